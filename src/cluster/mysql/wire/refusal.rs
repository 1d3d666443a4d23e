//! Why a connection could not be made, and what to do about it.

use std::io;

use super::WireError;
use super::auth::AuthError;
use crate::cluster::mysql::options::Endpoint;

/// What to do when access is denied.
const DENIED: &str = "check user and password; the server looks for an account of this user from this host, and shows \
    what there is with: SELECT user, host, plugin FROM mysql.user";

/// The error of an endpoint that cannot be used.
pub(super) fn refused(endpoint: &Endpoint, why: impl Into<String>, hint: impl Into<String>) -> WireError {
    WireError::Connect {
        address: endpoint.to_string(),
        why: why.into(),
        hint: hint.into(),
    }
}

/// The socket could not be connected.
pub(super) fn unreachable(endpoint: &Endpoint, e: &io::Error) -> WireError {
    let (why, hint): (String, &str) = match (e.kind(), endpoint) {
        (io::ErrorKind::ConnectionRefused, Endpoint::Tcp { .. }) => (
            "nothing listens there".into(),
            "check that the server runs, its port, and bind_address or skip_networking in its settings",
        ),
        (io::ErrorKind::ConnectionRefused, Endpoint::Socket(_)) => (
            "the socket is there but no server listens on it".into(),
            "start the server",
        ),
        (io::ErrorKind::NotFound, _) => (
            "there is no such socket".into(),
            "check that the server runs, and the path with: SELECT @@socket",
        ),
        (io::ErrorKind::PermissionDenied, _) => (
            "this user may not open it".into(),
            "run brine as a user that may, or connect over TCP",
        ),
        (io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock, _) => (
            "no answer in time".into(),
            "check the address, and firewalls on the way",
        ),
        (io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable, _) => {
            (e.to_string(), "check the address and the network")
        }
        _ => (e.to_string(), "check the address and that the server runs"),
    };
    refused(endpoint, why, hint)
}

/// The login failed.
pub(super) fn login(endpoint: &Endpoint, user: &str, encrypted: bool, e: AuthError) -> WireError {
    let open = !encrypted && matches!(endpoint, Endpoint::Tcp { .. });
    let user_sql = user.replace('\\', "\\\\").replace('\'', "''");
    match e {
        AuthError::Wire(WireError::Server {
            code: 1045, message, ..
        }) if open => refused(
            endpoint,
            format!("the server says 1045: {message}"),
            format!(
                "{DENIED}; an account with REQUIRE SSL, and a server with require_secure_transport, need tls = \"verify-full\""
            ),
        ),
        AuthError::Wire(e) => failed(endpoint, user, e),
        AuthError::Plugin(plugin) => refused(
            endpoint,
            format!("the account {user} logs in by the plugin {plugin}, which brine does not have"),
            format!(
                "give it a password on MariaDB with: ALTER USER '{user_sql}'@'HOST' IDENTIFIED VIA mysql_native_password USING PASSWORD('...'), on MySQL with: ALTER USER '{user_sql}'@'HOST' IDENTIFIED WITH caching_sha2_password BY '...'"
            ),
        ),
        AuthError::ClearOnOpenRoad(plugin) => refused(
            endpoint,
            format!("the server asks for the password in clear ({plugin}) over a connection that is not private"),
            "set tls to verify-full, or connect through the Unix socket",
        ),
        AuthError::Question(plugin) => refused(
            endpoint,
            format!("the account {user} is asked for more than its password ({plugin})"),
            "give brine an account of its own that logs in by its password alone",
        ),
        AuthError::Key => refused(
            endpoint,
            "the server's public key for passwords cannot be used",
            "set tls to verify-full, or connect through the Unix socket",
        ),
    }
}

/// Any error before or during the login.
pub(super) fn failed(endpoint: &Endpoint, user: &str, e: WireError) -> WireError {
    match e {
        WireError::Server { code, message, .. } => {
            let hint = hint(code, user);
            refused(endpoint, format!("the server says {code}: {message}"), hint)
        }
        WireError::Lost { source, .. } => match source.kind() {
            io::ErrorKind::TimedOut => refused(
                endpoint,
                "it took the connection, and did not answer in time",
                "check that it is a MySQL or MariaDB server and not overloaded; on MySQL the port of the X protocol is not it",
            ),
            _ => refused(
                endpoint,
                format!("it ended the connection during the login ({source})"),
                "look into the server's error log; a proxy or tcp wrapper may be in between",
            ),
        },
        WireError::Protocol(why) => refused(
            endpoint,
            format!("what answers is no MySQL or MariaDB server that brine knows: {why}"),
            "check the address and the port",
        ),
        other => other,
    }
}

/// What to do about the server's refusal.
fn hint(code: u16, user: &str) -> String {
    match code {
        1045 | 1698 => DENIED.to_owned(),
        1130 => format!("allow this host, on the server: CREATE USER '{user}'@'THIS HOST' IDENTIFIED BY '...'"),
        1040 | 1203 | 1226 => {
            "wait, end idle sessions, or raise the limit: SET GLOBAL max_connections = ...".to_owned()
        }
        1129 => "unblock it on the server: FLUSH HOSTS, or mariadb-admin flush-hosts; on MySQL 8: TRUNCATE TABLE \
            performance_schema.host_cache"
            .to_owned(),
        4151 | 3118 => format!("unlock it, if that is right: ALTER USER '{user}'@'HOST' ACCOUNT UNLOCK"),
        1820 | 1862 | 3032 => {
            format!("its password expired; set a new one: ALTER USER '{user}'@'HOST' IDENTIFIED BY '...'")
        }
        3159 | 4031 => "the server takes only encrypted connections: set tls to verify-full".to_owned(),
        1251 | 1275 | 1524 | 2059 => {
            format!("give the account another plugin: ALTER USER '{user}'@'HOST' IDENTIFIED BY '...'")
        }
        1053 => "the server is shutting down; wait".to_owned(),
        _ => "look the number up in the server's manual".to_owned(),
    }
}
