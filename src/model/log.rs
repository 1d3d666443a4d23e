//! The log backup: its wanted and its real state, coverage, and changes worth a look.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::ids::IncarnationId;
use super::position::{Moment, Position};
use super::table::TableName;

/// What the operator wants of the log backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDesired {
    /// Archive changes.
    Running,
    /// Hold for now; the source keeps its log for us as long as it can.
    Paused,
    /// Ended for good; a later start is a new task.
    Stopped,
}

impl LogDesired {
    /// The word on screen.
    pub fn word(self) -> &'static str {
        match self {
            LogDesired::Running => "Running",
            LogDesired::Paused => "Paused",
            LogDesired::Stopped => "Stopped",
        }
    }
}

/// What is really so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum LogActual {
    /// There has never been a log backup.
    None,
    /// Archiving.
    Streaming,
    /// It should run, but no process runs it.
    NoRunner,
    /// It should run, and fails; it is tried again.
    Failed {
        /// The error's first line.
        error: String,
        /// Since when.
        since: Millis,
    },
    /// Paused or stopped, as wanted.
    Idle,
}

/// A gapless stretch of archived log in one incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRun {
    /// The incarnation it belongs to.
    pub incarnation: IncarnationId,
    /// It holds everything after this moment ...
    pub from: Moment,
    /// ... which is this place in the source's log ...
    pub from_position: Position,
    /// ... up to and including this moment ...
    pub to: Moment,
    /// ... which is this place.
    pub to_position: Position,
    /// The number of its first segment; segment numbers are never used again.
    pub first_seq: u64,
    /// The number after its last segment; equal to `first_seq` while it holds none.
    pub end_seq: u64,
    /// The chain hash before its first segment, hex.
    pub first_hash: String,
    /// The chain hash after its last segment, hex.
    pub last_hash: String,
    /// Why it ended; `None` for the run that grows.
    pub ended: Option<RunEnd>,
    /// The transactions that it does not hold whole, the last ones: see [`Lacking`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<Lacking>,
    /// The transactions that were prepared in it and not decided by its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Prepared>,
}

/// A transaction that was prepared and waits to be committed or rolled back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prepared {
    /// When: the entry of the log that has its rows.
    pub at: Moment,
    /// The name that its decision will give.
    pub name: String,
}

/// A transaction that did at the source what the log does not hold. A restore that has to replay it may end there; one from a
/// snapshot behind it does not come by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// When it was committed.
    pub at: Moment,
    /// Its id.
    pub transaction: String,
    /// The table, where it is about one.
    pub table: Option<TableName>,
    /// What is lacking, as a clause.
    pub what: String,
}

/// Why a stretch of log ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum RunEnd {
    /// The source threw away log that was not archived, or wrote what cannot be archived.
    SourceLogGone,
    /// The operator stopped the log backup.
    Stopped,
    /// A restore into the cluster began a new incarnation.
    Restored,
}

impl RunEnd {
    /// The reason as a clause.
    pub fn words(&self) -> &'static str {
        match self {
            RunEnd::SourceLogGone => "log was lost: the source had thrown it away, or did not write all of it",
            RunEnd::Stopped => "the log backup was stopped",
            RunEnd::Restored => "a restore began a new history",
        }
    }
}

/// What `log status` tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogStatus {
    /// The wish; `None` when there has never been a log backup.
    pub desired: Option<LogDesired>,
    /// The reality.
    pub actual: LogActual,
    /// "Restorable to".
    pub checkpoint: Option<Moment>,
    /// The same as a place in the source's log.
    pub position: Option<Position>,
    /// The distance of the checkpoint from now, milliseconds.
    pub rpo_gap_ms: Option<i64>,
    /// Where the log begins that can still be used.
    pub safepoint: Option<Moment>,
    /// Logical bytes per second over the last minute.
    pub bytes_per_second: f64,
    /// Transactions per second over the last minute.
    pub transactions_per_second: f64,
    /// Segments on storage.
    pub segments: u64,
    /// Their stored bytes.
    pub stored_bytes: u64,
    /// The last error, kept after it has passed.
    pub last_error: Option<LogError>,
    /// Gapless stretches, oldest first.
    pub runs: Vec<LogRun>,
    /// Why a new snapshot is needed before a point in time can be restored, if so.
    pub needs_base: Option<String>,
    /// Why the log at the source does not go on where the archive's ends, if the source was asked and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub astray: Option<String>,
}

impl LogStatus {
    /// There has never been a log backup.
    pub fn none() -> LogStatus {
        LogStatus {
            desired: None,
            actual: LogActual::None,
            checkpoint: None,
            position: None,
            rpo_gap_ms: None,
            safepoint: None,
            bytes_per_second: 0.0,
            transactions_per_second: 0.0,
            segments: 0,
            stored_bytes: 0,
            last_error: None,
            runs: Vec::new(),
            needs_base: None,
            astray: None,
        }
    }
}

/// An error of the log backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogError {
    /// When.
    pub at: Millis,
    /// With its causes.
    pub text: String,
}

/// What kind of change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ChangeKind {
    /// A schema change, as a statement.
    Ddl {
        /// The statement.
        text: String,
    },
    /// One transaction deleted many rows of a table.
    MassDelete,
    /// One transaction updated many rows of a table.
    MassUpdate,
    /// One of the biggest transactions.
    BigTransaction,
    /// An ordinary transaction (listed with `--all`).
    Transaction,
}

/// An entry of the log worth a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its id: the transaction's id and, where it holds several changes, a number.
    pub id: String,
    /// Its commit time.
    pub at: Moment,
    /// The transaction: GTID or TSO.
    pub transaction: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: ChangeKind,
    /// The table it happened to; `None` for changes of a whole database.
    pub table: Option<TableName>,
    /// Rows changed; for a dropped table the rows it had, where known.
    pub rows: u64,
    /// Bytes of the change in the log.
    pub bytes: u64,
    /// What of it the log does not hold, as a clause: a restore from before it may end there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
}

impl Change {
    /// Whether its table was not there before it.
    pub fn makes_its_table(&self) -> bool {
        let first = |text: &str| text.split_whitespace().next().map(str::to_ascii_lowercase);
        matches!(&self.kind, ChangeKind::Ddl { text } if first(text).as_deref() == Some("create"))
    }
}
