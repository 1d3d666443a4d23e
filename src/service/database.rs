//! The database of a ward, as the config describes it: which driver it has, and how it is opened.

use std::path::Path;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::cluster::embedded::EmbeddedCluster;
use crate::cluster::mysql::{Endpoint, MysqlCluster, MysqlOptions, Password, TlsMode};
use crate::config::{ClusterSource, ServerConfig, ServerPlace, TlsWish};
use crate::engine::error::EngineError;
use crate::model::clock::Clock;
use crate::model::ids::ClusterName;

/// An opened database.
#[derive(Clone)]
pub(super) enum Database {
    /// In this process.
    Embedded(Arc<EmbeddedCluster>),
    /// A server.
    Mysql(Arc<MysqlCluster>),
}

impl Database {
    /// As the engine sees it.
    pub fn cluster(&self) -> Arc<dyn Cluster> {
        match self {
            Database::Embedded(c) => Arc::clone(c) as Arc<dyn Cluster>,
            Database::Mysql(c) => Arc::clone(c) as Arc<dyn Cluster>,
        }
    }
}

/// The driver of a server; it connects when it is first needed.
///
/// What is too large for memory is kept in `spool`.
pub(super) fn server(config: &ServerConfig, clock: &Arc<dyn Clock>, spool: &Path) -> Arc<MysqlCluster> {
    let mut options = options(config);
    options.spool.dir = spool.to_owned();
    Arc::new(MysqlCluster::new(options, Arc::clone(clock)))
}

/// What the config says, in the driver's words.
fn options(config: &ServerConfig) -> MysqlOptions {
    let endpoints: Vec<Endpoint> = config.places.iter().map(endpoint).collect();
    let local = endpoints.iter().all(Endpoint::is_local);
    // The config never holds an empty list; a socket that is not there says more than a panic would.
    let first = endpoints.first().cloned().unwrap_or(Endpoint::Socket("".into()));
    let mut options = MysqlOptions::new(first, config.user.clone(), Password::default());
    options.endpoints = endpoints;
    let password = config.password.clone();
    options.password = Arc::new(move || {
        let fetched = password.fetch().map_err(|e| super::refusal::chain(&e).join(": "));
        fetched.map(Password::new)
    });
    options.tls.mode = match config.tls {
        Some(TlsWish::Off) => TlsMode::Off,
        Some(TlsWish::Encrypt) => TlsMode::Encrypt,
        Some(TlsWish::VerifyCa) => TlsMode::VerifyCa,
        Some(TlsWish::VerifyFull) => TlsMode::VerifyFull,
        None if local => TlsMode::Off,
        None => TlsMode::VerifyFull,
    };
    options.tls.ca.clone_from(&config.tls_ca);
    options.server_id = config.server_id.unwrap_or_default();
    options.semi_sync = config.semi_sync;
    options
}

fn endpoint(place: &ServerPlace) -> Endpoint {
    match place {
        ServerPlace::Tcp { host, port } => Endpoint::Tcp {
            host: host.clone(),
            port: *port,
        },
        ServerPlace::Socket(path) => Endpoint::Socket(path.clone()),
    }
}

/// The product's name while it cannot be asked.
pub(super) fn product(source: &ClusterSource) -> &'static str {
    match source {
        ClusterSource::Embedded { .. } => "embedded",
        ClusterSource::Mysql(_) => "mysql",
    }
}

/// Where it is, for people.
pub(super) fn place(source: &ClusterSource) -> String {
    match source {
        ClusterSource::Embedded { path } => path.display().to_string(),
        ClusterSource::Mysql(server) => {
            let places: Vec<String> = server.places.iter().map(ToString::to_string).collect();
            places.join(", ")
        }
    }
}

/// A database in a directory that has backups and is not there is lost, or its volume is not mounted.
pub(super) fn lost(path: &Path) -> EngineError {
    EngineError::refused(
        format!(
            "the database in {} is not there, although it has backups",
            path.display()
        ),
        "mount it; or create the directory for an empty one; or restore the backups into another cluster with --to",
    )
}

/// For what only the store in this process can do.
pub(super) fn not_embedded(name: &ClusterName, what: &str) -> EngineError {
    EngineError::refused(
        format!("{what} is for embedded clusters, and {name} is a MySQL or MariaDB server"),
        "use its own client",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretSource;

    fn config(places: Vec<ServerPlace>) -> ServerConfig {
        ServerConfig {
            places,
            user: "backup".to_owned(),
            password: SecretSource::None,
            tls: None,
            tls_ca: None,
            server_id: None,
            semi_sync: false,
        }
    }

    fn tcp(host: &str) -> ServerPlace {
        ServerPlace::Tcp {
            host: host.to_owned(),
            port: 3306,
        }
    }

    #[test]
    fn what_leaves_this_host_is_encrypted_unless_somebody_says_otherwise() {
        let socket = ServerPlace::Socket("/run/mysqld.sock".into());
        for (places, mode) in [
            (vec![socket.clone()], TlsMode::Off),
            (vec![tcp("127.0.0.1")], TlsMode::Off),
            (vec![tcp("127.0.0.1"), tcp("db-2")], TlsMode::VerifyFull),
            (vec![tcp("db-1")], TlsMode::VerifyFull),
        ] {
            assert_eq!(options(&config(places)).tls.mode, mode);
        }
        let mut off = config(vec![tcp("db-1")]);
        off.tls = Some(TlsWish::Off);
        assert_eq!(options(&off).tls.mode, TlsMode::Off);
    }

    #[test]
    fn a_password_is_fetched_at_every_login() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        let mut config = config(vec![tcp("db-1")]);
        config.password = SecretSource::File(file.clone());
        let options = options(&config);
        let error = (options.password)().unwrap_err();
        assert!(error.contains("pw cannot be read: No such file"), "{error}");
        for secret in ["one", "two"] {
            std::fs::write(&file, secret).unwrap();
            assert_eq!((options.password)().unwrap().reveal(), secret);
        }
    }
}
