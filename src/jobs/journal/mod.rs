//! The journal: what jobs did, in SQLite, so that it survives the process.
//!
//! `jobs.rs` keeps the jobs with their steps, lines and resume entries, `runs.rs` the slots of schedules,
//! `messages.rs` what the operator shall be told, `care.rs` opens, checks and saves the file itself.
//!
//! *Invariants: every write is one transaction that first compares the lease's epoch with ours, so that a
//! holder that was replaced writes nothing more; what a write has returned from survives power loss (WAL,
//! synchronous=FULL); the journal is never needed to restore: storage is the truth.*

mod care;
mod jobs;
mod messages;
mod runs;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lease::Lease;
use crate::model::clock::{Clock, Millis};
use crate::model::job::JobState;

#[cfg(test)]
pub(super) use jobs::tests::sample_job;
pub use jobs::{Ended, JobQuery, NewJob, StepRow};
pub use messages::Message;
pub use runs::{ScheduleSlot, SlotRun};

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite failed.
    #[error("the journal {} failed while {doing}", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The file itself could not be handled.
    #[error("the journal {} could not be {doing}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has taken over.
    #[error("another brine has taken over this state directory (epoch {now}, ours {ours}): nothing more is written")]
    Fenced {
        /// Our epoch.
        ours: i64,
        /// The present one.
        now: i64,
    },
    /// Written by a newer brine.
    #[error("the journal {} is of version {version}, newer than this brine knows: use the newer brine", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
    },
    /// A job is not in the state it should be changed from.
    #[error("job {job} is no longer {}", from.word().to_lowercase())]
    StateMoved {
        /// The job.
        job: u64,
        /// The state that was expected.
        from: JobState,
    },
    /// The slot has its run already.
    #[error("the scheduled backup of this slot has been started already")]
    SlotTaken,
}

/// Reads the journal; does not need the lease.
pub struct Reader {
    path: PathBuf,
    conn: Mutex<Connection>,
}

impl Reader {
    /// Opens the journal of a state directory for reading; `None` when there is none yet.
    pub fn open(state_dir: &Path) -> Result<Option<Reader>, JournalError> {
        care::open_reader(state_dir)
    }

    fn read<T>(
        &self,
        doing: &'static str,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        f(&self.conn.lock()).map_err(|source| JournalError::Sql {
            path: self.path.clone(),
            doing,
            source,
        })
    }
}

/// The journal, open for writing.
///
/// It owns the lease, because without one nobody may write.
pub struct Journal {
    reader: Reader,
    writer: Mutex<Connection>,
    epoch: i64,
    /// When the last copy was saved, by our clock.
    copied: Mutex<Option<Millis>>,
    clock: Arc<dyn Clock>,
    lease: Lease,
}

impl Journal {
    /// Opens or makes the journal of the lease's directory and becomes its only writer.
    ///
    /// A journal that is lost or damaged is set aside, a new one is begun, and a [`Message`] says so.
    pub fn open(lease: Lease, clock: Arc<dyn Clock>) -> Result<Journal, JournalError> {
        care::open(lease, clock)
    }

    /// The lease under which it is written.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The number of this holder; every holder's is higher than the ones before.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// For reading; never waits for a writer.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Saves a copy beside the journal when the last one is a day old.
    pub fn save_copy_daily(&self) -> Result<bool, JournalError> {
        care::save_copy_daily(self)
    }

    fn write<T>(
        &self,
        doing: &'static str,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, JournalError> {
        let failed = |source| JournalError::Sql {
            path: self.reader.path.clone(),
            doing,
            source,
        };
        let mut conn = self.writer.lock();
        let tx = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let now: i64 = tx
            .query_row("SELECT epoch FROM lease", [], |r| r.get(0))
            .map_err(failed)?;
        if now != self.epoch {
            return Err(JournalError::Fenced { ours: self.epoch, now });
        }
        let value = match f(&tx) {
            Ok(value) => value,
            Err(WriteError::Sql(e)) => return Err(failed(e)),
            Err(WriteError::Refused(e)) => return Err(e),
        };
        tx.commit().map_err(failed)?;
        Ok(value)
    }
}

/// How the inside of a write ends badly; either way nothing is written.
enum WriteError {
    Sql(rusqlite::Error),
    Refused(JournalError),
}

impl From<rusqlite::Error> for WriteError {
    fn from(e: rusqlite::Error) -> Self {
        WriteError::Sql(e)
    }
}

/// An enum of the model as the word it has in JSON.
fn word<T: Serialize>(value: T) -> rusqlite::Result<String> {
    match serde_json::to_value(value).map_err(bad_write)? {
        serde_json::Value::String(s) => Ok(s),
        other => Ok(other.to_string()),
    }
}

fn from_word<T: DeserializeOwned>(word: String) -> rusqlite::Result<T> {
    serde_json::from_value(serde_json::Value::String(word)).map_err(bad_read)
}

fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(bad_write)
}

fn from_json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(bad_read)
}

fn bad_write(e: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(e))
}

fn bad_read(e: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e))
}

/// Counters beyond 2^63 do not fit into SQLite; they are kept at its end.
fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn uint(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn millis(n: Option<i64>) -> Option<Millis> {
    n.map(Millis)
}
