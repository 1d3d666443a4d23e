//! A data set with every type of column, shape of key, kind of object and odd name that the servers allow.

use crate::server::Server;

const COMMON: &str = include_str!("data/common.sql");
const MARIADB: &str = include_str!("data/mariadb.sql");
const MYSQL: &str = include_str!("data/mysql.sql");

/// Fills a fresh server.
pub fn fill(server: &Server) {
    server.sql(COMMON);
    server.sql(if server.kind.is_mysql() { MYSQL } else { MARIADB });
}

/// What a server needs before it can take the data set's accounts: plugins are the operator's, not the backup's, and a
/// global variable is in no log.
pub fn plugins(server: &Server) {
    server.sql(if server.kind.is_mysql() {
        "set global partial_revokes = on"
    } else {
        "install soname 'auth_ed25519'"
    });
}
