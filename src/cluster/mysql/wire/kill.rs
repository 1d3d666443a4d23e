//! Ends a statement of another connection.

use super::{Conn, WireError};
use crate::cluster::mysql::options::{Endpoint, MysqlOptions};

/// Ends what a connection is doing, from another thread and through a connection of its own.
#[derive(Clone)]
pub struct Killer {
    pub(super) options: MysqlOptions,
    pub(super) endpoint: Endpoint,
    pub(super) id: u64,
}

impl Killer {
    /// Ends the statement that runs; the connection gets error 1317 and can be used further.
    pub fn end_statement(&self) -> Result<(), WireError> {
        self.kill("KILL QUERY")
    }

    /// Ends the connection.
    pub fn end_connection(&self) -> Result<(), WireError> {
        self.kill("KILL")
    }

    fn kill(&self, what: &str) -> Result<(), WireError> {
        let mut conn = Conn::connect(&self.options, &self.endpoint)?;
        match conn.run(&format!("{what} {}", self.id)) {
            // It is gone already.
            Err(e) if e.code() == Some(1094) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
