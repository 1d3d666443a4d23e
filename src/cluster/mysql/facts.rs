//! What a server is and holds, cheaply.

use std::sync::Arc;

use super::core::Core;
use super::schema::tables;
use super::wire::{Conn, Flavor, WireError};
use super::{binlog, fence, sessions};
use crate::cluster::{ClusterError, ClusterFacts, ClusterKind, ClusterState, TableFacts};

/// The facts. Sizes are estimates, and up to a minute old.
pub(super) fn facts(core: &Arc<Core>) -> Result<ClusterFacts, ClusterError> {
    let sizes = core.estimates(|| tables_now(core))?;
    let about = core.ask("asking the server what it is", |conn| {
        Ok(About {
            version: version(conn),
            identity: identity(conn)?,
            address: conn.endpoint().to_string(),
            sessions: u32::try_from(sessions::applications(conn)?).unwrap_or(u32::MAX),
            state: fence::state(conn)?,
        })
    })?;
    Ok(ClusterFacts {
        kind: ClusterKind::Mysql,
        version: about.version,
        identity: about.identity,
        address: Some(about.address),
        state: about.state,
        tables: sizes.len() as u64,
        rows_estimate: sizes.iter().map(|t| t.rows_estimate).sum(),
        bytes_estimate: sizes.iter().map(|t| t.bytes_estimate).sum(),
        sessions: about.sessions,
        now: binlog::mark(core)?,
        history_from: None,
    })
}

struct About {
    version: String,
    identity: String,
    address: String,
    sessions: u32,
    state: ClusterState,
}

/// The tables, ordered by name, as they are now.
pub(super) fn tables(core: &Arc<Core>) -> Result<Vec<TableFacts>, ClusterError> {
    core.forget_estimates();
    core.estimates(|| tables_now(core))
}

fn tables_now(core: &Core) -> Result<Vec<TableFacts>, ClusterError> {
    let listed = core.ask("listing the tables", tables::list)?;
    Ok(listed
        .into_iter()
        .map(|t| TableFacts {
            name: t.name,
            rows_estimate: t.rows,
            bytes_estimate: t.bytes,
            system: false,
        })
        .collect())
}

/// Product and version.
pub(super) fn version(conn: &Conn) -> String {
    let info = conn.info();
    let (major, minor, patch) = info.version;
    let product = match info.flavor {
        Flavor::MariaDb => "MariaDB",
        Flavor::MySql => "MySQL",
    };
    format!("{product} {major}.{minor}.{patch}")
}

/// What tells a server from others. MySQL has an id for that; MariaDB has none, so it is what its operators keep distinct:
/// replication domain and server id, with the host it says it runs on. That its log continues an archive's history is looked at
/// besides, whenever the log is read.
pub(super) fn identity(conn: &mut Conn) -> Result<String, WireError> {
    let (sql, prefix) = match conn.info().flavor {
        Flavor::MariaDb => (
            "SELECT CONCAT(@@gtid_domain_id, '-', @@global.server_id, '@', @@hostname, ':', @@port)",
            "mariadb",
        ),
        Flavor::MySql => ("SELECT @@server_uuid", "mysql"),
    };
    let row = conn.row(sql)?.and_then(|r| r.opt(0));
    row.map(|text| format!("{prefix}:{text}"))
        .ok_or_else(|| WireError::Protocol("the server did not tell its identity".to_owned()))
}
