//! The binary log: read as a stream, dated, summed up, kept as it is.

mod charset;
pub mod event;
mod format;
mod group;
mod gtid_event;
pub mod marker;
pub mod payload;
pub mod query;
pub mod rows;
mod summary;
mod unfold;

pub use gtid_event::{AlterPhase, GtidEvent};
pub use summary::is_own;

use std::sync::Arc;

use super::core::Core;
use super::wire::Conn;
use crate::cluster::{Changes, ClusterError, Mark};
use crate::model::position::Position;

/// A mark at or after everything that was acknowledged before.
pub(super) fn mark(_core: &Arc<Core>) -> Result<Mark, ClusterError> {
    Err(not_yet())
}

/// Where the server's log is now. Without a binary log: an empty position.
pub(super) fn position(_conn: &mut Conn) -> Result<Position, ClusterError> {
    Err(not_yet())
}

/// Writes the marker of a restore into the log of a server that is closed to everyone else (whatever the session's
/// `sql_log_bin` is; it is put back), and dates it: the stream hands out the same mark as `LogEvent::Restored`.
/// The table `_brine.restores` must exist.
pub(super) fn write_marker(_core: &Core, _conn: &mut Conn, _id: &str) -> Result<Mark, ClusterError> {
    Err(not_yet())
}

/// The stream behind a place.
pub(super) fn changes(_core: &Arc<Core>, _after: &Mark, _anchors: &[Mark]) -> Result<Box<dyn Changes>, ClusterError> {
    Err(not_yet())
}

/// These servers keep their log by their own settings; nothing is asked of them.
pub(super) fn keep_log(_core: &Arc<Core>, _from: Option<&Position>) -> Result<(), ClusterError> {
    Ok(())
}

pub(super) fn not_yet() -> ClusterError {
    ClusterError::Unsupported {
        what: "not written yet".to_owned(),
        hint: "wait".to_owned(),
    }
}
