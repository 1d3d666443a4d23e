//! The stream of a server's binary log.

use std::time::Duration;

use super::WireError;
use super::conn::Conn;

/// Where a dump starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DumpStart {
    /// After these transactions: `domain-server-seq,...` (MariaDB) or `uuid:1-9,...` (MySQL, the executed set).
    Gtid(String),
    /// At a place.
    File {
        /// The file.
        name: String,
        /// The offset in it.
        offset: u64,
    },
}

/// A dump that is asked for.
#[derive(Clone, Debug)]
pub struct DumpRequest {
    /// Our replica id; no other replica of the server may have it.
    pub server_id: u32,
    /// Where.
    pub start: DumpStart,
    /// How often the server says that nothing happened.
    pub heartbeat: Duration,
}

/// A running dump.
pub struct Dump {
    _conn: Conn,
}

impl Conn {
    /// Turns the connection into a stream of events.
    pub fn dump(self, _request: &DumpRequest) -> Result<Dump, WireError> {
        Err(WireError::Protocol("not written yet".to_owned()))
    }
}

impl Dump {
    /// The next event with its 19-byte header, its checksum as the server has it, heartbeats and artificial events too;
    /// `None` when none came within `wait`. The server's own end of the stream is [`WireError::Lost`], its error (1236 when
    /// the log is gone) [`WireError::Server`].
    pub fn next(&mut self, _wait: Duration) -> Result<Option<&[u8]>, WireError> {
        Err(WireError::Protocol("not written yet".to_owned()))
    }
}
