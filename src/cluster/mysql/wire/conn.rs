//! One connection.

use std::time::Duration;

use super::WireError;
use crate::cluster::BatchSink;
use crate::cluster::mysql::options::{Endpoint, MysqlOptions};

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// MariaDB.
    MariaDb,
    /// MySQL, Percona Server and kin.
    MySql,
}

/// Major, minor, patch.
pub type Version = (u16, u16, u16);

/// Who answered.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// Whose.
    pub flavor: Flavor,
    /// As numbers.
    pub version: Version,
    /// As it says itself.
    pub version_text: String,
    /// The id of this connection.
    pub connection_id: u64,
}

/// The answer to a statement without rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows changed.
    pub affected: u64,
    /// Warnings.
    pub warnings: u16,
}

/// A row of a small result, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Option<Vec<u8>>>);

impl Row {
    /// A column as text; empty for NULL and for columns that are not there.
    pub fn text(&self, column: usize) -> String {
        self.opt(column).unwrap_or_default()
    }

    /// A column as text, or `None` for NULL.
    pub fn opt(&self, column: usize) -> Option<String> {
        let value = self.0.get(column)?.as_ref()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// A column as a number; 0 when it is none.
    pub fn number(&self, column: usize) -> u64 {
        self.opt(column).and_then(|t| t.parse().ok()).unwrap_or(0)
    }

    /// A column's bytes.
    pub fn bytes(&self, column: usize) -> Option<&[u8]> {
        self.0.get(column)?.as_deref()
    }
}

/// One connection.
pub struct Conn {
    info: ServerInfo,
}

fn not_yet<T>() -> Result<T, WireError> {
    Err(WireError::Protocol("not written yet".to_owned()))
}

impl Conn {
    /// Connects and logs in.
    pub fn connect(_options: &MysqlOptions, _endpoint: &Endpoint) -> Result<Conn, WireError> {
        not_yet()
    }

    /// Who answered.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Runs a statement; rows that it gives are thrown away.
    pub fn run(&mut self, _sql: &str) -> Result<Done, WireError> {
        not_yet()
    }

    /// Sends all statements at once, then reads all answers; the first error is returned after all were read.
    pub fn run_all(&mut self, _sql: &[&str]) -> Result<(), WireError> {
        not_yet()
    }

    /// Sends a statement without waiting; [`Conn::finish`] reads its answer.
    pub fn send(&mut self, _sql: &str) -> Result<(), WireError> {
        not_yet()
    }

    /// Reads the answer to the oldest statement that was sent; rows are thrown away.
    pub fn finish(&mut self) -> Result<Done, WireError> {
        not_yet()
    }

    /// A small result, whole.
    pub fn rows(&mut self, _sql: &str) -> Result<Vec<Row>, WireError> {
        not_yet()
    }

    /// The first row of a small result.
    pub fn row(&mut self, sql: &str) -> Result<Option<Row>, WireError> {
        Ok(self.rows(sql)?.into_iter().next())
    }

    /// A result of any size as snapshot records (see [`crate::cluster::mysql`]), in batches of whole records of about 512 KiB;
    /// returns the rows. When the sink stops, the connection is of no more use.
    pub fn stream(&mut self, _sql: &str, _sink: &mut dyn BatchSink) -> Result<u64, WireError> {
        not_yet()
    }

    /// How long an answer may take; `None` for ever.
    pub fn set_timeout(&mut self, _timeout: Option<Duration>) -> Result<(), WireError> {
        not_yet()
    }
}
