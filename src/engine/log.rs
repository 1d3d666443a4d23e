//! The log backup: the continuous archive of a cluster's changes.
//!
//! A [`task::LogTask`] streams the source's change log into segments. The archive's log document is the truth about
//! how far it has come: a segment counts once the document names it, and the checkpoint is what the document says.
//! After a crash a finished segment that the document does not name yet is adopted if it continues the chain.

mod ahead;
pub mod compaction;
pub mod control;
mod index;
pub(in crate::engine) mod runs;
pub mod status;
pub mod task;

pub use runs::goes_on;

use std::time::Duration;

/// How the log backup works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment is closed at the latest so long after its first transaction.
    pub flush_every: Duration,
    /// A segment is closed when it holds so many bytes.
    pub flush_bytes: u64,
    /// zstd level.
    pub level: i32,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            flush_every: Duration::from_secs(5),
            flush_bytes: 16 << 20,
            level: 1,
        }
    }
}
