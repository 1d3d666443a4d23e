//! What the driver's parts share.

use std::sync::Arc;

use super::clock::CommitClock;
use super::control::Control;
use super::options::MysqlOptions;
use super::wire::{Conn, WireError};
use crate::cluster::ClusterError;
use crate::model::clock::Clock;

/// One cluster of servers.
pub(super) struct Core {
    pub options: MysqlOptions,
    /// Dates transactions, snapshots and checkpoints.
    pub commit_clock: CommitClock,
    /// For waiting and for what happens on this side; the server's own clock dates what happens there.
    pub clock: Arc<dyn Clock>,
    /// The connection for short questions.
    pub control: Control,
}

impl Core {
    /// A new connection with the session settings that every part relies on: see [`SESSION`].
    pub fn connect(&self) -> Result<Conn, ClusterError> {
        let mut last = None;
        for endpoint in &self.options.endpoints {
            match Conn::connect(&self.options, endpoint) {
                Ok(mut conn) => {
                    conn.run_all(SESSION).map_err(|e| e.doing("preparing the session"))?;
                    return Ok(conn);
                }
                Err(e) => last = Some(e),
            }
        }
        let none = || WireError::Protocol("no host is configured".to_owned());
        Err(last.unwrap_or_else(none).doing("connecting"))
    }
}

/// UTC, no conversion of text on the way out, no modes that change how text is read, REPEATABLE READ, and no waiting
/// behind locks for ever. Each is accepted by MariaDB 10.6 to 11.8 and MySQL 8.0 to 9.7.
pub(super) const SESSION: &[&str] = &[
    "SET NAMES utf8mb4",
    "SET SESSION character_set_results = NULL",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION lock_wait_timeout = 30",
    "SET SESSION net_write_timeout = 3600",
    "SET SESSION wait_timeout = 86400",
];
