//! Prepared statements and their bulk execution, which MariaDB has.

use super::WireError;
use super::conn::{Conn, Done};

/// How a parameter is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// Bytes as they are.
    Blob,
    /// Text in the session's character set.
    Text,
}

/// A statement that the server has prepared, on the connection that prepared it.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    pub(super) id: u32,
    /// Its parameters.
    pub params: u16,
}

impl Conn {
    /// Prepares a statement.
    pub fn prepare(&mut self, _sql: &str) -> Result<Statement, WireError> {
        Err(WireError::Protocol("not written yet".to_owned()))
    }

    /// Executes it for `count` rows (MariaDB). `rows` holds, for each row and parameter in order, an indicator byte: 1 for
    /// NULL, or 0 and a length-encoded string. One packet: keep it under the server's max_allowed_packet (1 MiB is best).
    pub fn bulk(
        &mut self,
        _statement: &Statement,
        _types: &[ParamType],
        _rows: &[u8],
        _count: u64,
    ) -> Result<Done, WireError> {
        Err(WireError::Protocol("not written yet".to_owned()))
    }

    /// Forgets a prepared statement.
    pub fn close_statement(&mut self, _statement: Statement) -> Result<(), WireError> {
        Err(WireError::Protocol("not written yet".to_owned()))
    }
}
