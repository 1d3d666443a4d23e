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

    /// Ends what several connections of one server are doing. Who is gone already, or cannot be reached, is left alone.
    pub fn end_statements(all: &[Killer]) {
        let Some(first) = all.first() else {
            return;
        };
        let Ok(mut conn) = Conn::open(&first.options, &first.endpoint) else {
            return;
        };
        if conn.set_timeout(Some(first.options.timeout)).is_err() {
            return;
        }
        for killer in all {
            match conn.run(&format!("KILL QUERY {}", killer.id)) {
                Err(e) if e.code().is_none() => return,
                _ => {}
            }
        }
    }

    /// Ends the connection.
    pub fn end_connection(&self) -> Result<(), WireError> {
        self.kill("KILL")
    }

    /// Whether the server lives: it lets us in, or says why not.
    pub(super) fn server_answers(&self) -> bool {
        match Conn::open(&self.options, &self.endpoint) {
            Ok(_) => true,
            Err(refused) => refused.answered,
        }
    }

    fn kill(&self, what: &str) -> Result<(), WireError> {
        let mut conn = Conn::open(&self.options, &self.endpoint).map_err(|refused| refused.error)?;
        conn.set_timeout(Some(self.options.timeout))?;
        match conn.run(&format!("{what} {}", self.id)) {
            // It is gone already.
            Err(e) if e.code() == Some(1094) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
