//! The databases: one trait with capabilities, and the drivers behind it.
//!
//! A driver says what it can do ([`Capabilities`]); the engine and the console ask before they offer.
//! Rows and log records are opaque bytes to everyone but the driver's [`Codec`]; what the engine needs
//! to know of them (counts, checksums, commit times, table names) travels beside them.
//!
//! All calls block; the engine gives them threads. A driver never sees an archive or a storage.
//!
//! *Invariant: the engine knows no driver by name; everything it does goes through these traits.*

use serde::{Deserialize, Serialize};

use crate::model::checksum::TableChecksum;
use crate::model::clock::Millis;
use crate::model::definition::Definition;
use crate::model::filter::{RenameMap, TableFilter};
use crate::model::position::{Moment, Position};
use crate::model::table::TableName;
use crate::model::tso::Tso;

mod batch;
pub mod budget;
mod checks;
mod codec;
pub mod embedded;
mod log;
mod lost;
pub mod mysql;

use batch::Given;
pub use batch::{BatchSink, BatchSource, Stop};
pub use checks::{CheckResult, RestoreCheck};
pub use codec::{Codec, codec};
pub use log::{Changes, Ddl, Lack, LogEvent, PieceStore, Pieces, ReplayTxn, Step, TableDelta, Txn};

/// What kind of database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// The transactional store in this process.
    Embedded,
    /// A MySQL or MariaDB server.
    Mysql,
}

impl ClusterKind {
    /// The word on screen.
    pub fn word(self) -> &'static str {
        match self {
            ClusterKind::Embedded => "embedded",
            ClusterKind::Mysql => "mysql",
        }
    }
}

/// What a driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// A snapshot can be reopened at the same moment after a crash, so that a backup resumes.
    pub reopen_snapshot: bool,
    /// Old moments inside the history window can be read (checksums at T).
    pub read_past: bool,
    /// Log must be given to a restore before the rows, to be merged into the load.
    pub log_before_load: bool,
    /// A whole restore becomes visible in one atomic step.
    pub atomic_restore: bool,
}

/// A place in time and in the source's log, taken together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The moment.
    pub moment: Moment,
    /// The place: everything up to it, and nothing after it, had committed.
    pub position: Position,
}

/// The state a cluster is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ClusterState {
    /// Open to applications.
    Available,
    /// Closed while a restore runs.
    Restoring {
        /// Since when.
        since: Millis,
    },
    /// Closed until the operator opens it.
    Closed {
        /// Why, in one line.
        why: String,
    },
    /// Cannot be reached.
    Unreachable {
        /// The error.
        error: String,
    },
}

/// Facts about a cluster, cheap to get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// Kind of database.
    pub kind: ClusterKind,
    /// Product and version.
    pub version: String,
    /// What tells this cluster from every other, for ever (a random id for embedded ones).
    pub identity: String,
    /// host:port or socket, where there is one.
    pub address: Option<String>,
    /// Its state.
    pub state: ClusterState,
    /// How many tables, system tables included.
    pub tables: u64,
    /// Rows, roughly.
    pub rows_estimate: u64,
    /// Bytes of rows, roughly.
    pub bytes_estimate: u64,
    /// Sessions of applications now.
    pub sessions: u32,
    /// Where its log is now.
    pub now: Mark,
    /// The oldest moment that can still be read, where old moments can.
    pub history_from: Option<Moment>,
}

/// One table as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name.
    pub name: TableName,
    /// Rows, roughly.
    pub rows_estimate: u64,
    /// Bytes of rows, roughly.
    pub bytes_estimate: u64,
    /// Whether it belongs to the system (accounts, variables).
    pub system: bool,
}

/// A table's definition, as the driver wants it back at restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDef {
    /// Its name.
    pub name: TableName,
    /// The schema in the driver's own words.
    pub schema: String,
    /// Whether it belongs to the system.
    pub system: bool,
}

/// A contiguous range of a table's rows, in the driver's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChunkRange(pub serde_json::Value);

/// What reading a chunk gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRead {
    /// Rows, bytes and checksum of the records handed over.
    pub sum: TableChecksum,
    /// What is left of the range, when the byte limit was reached before its end.
    pub rest: Option<ChunkRange>,
}

/// What went wrong at a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The log no longer reaches back to the asked position.
    #[error("the change log was thrown away up to {oldest}, after {asked}: take a new snapshot")]
    LogGone {
        /// What was asked for.
        asked: Box<Position>,
        /// What is still there.
        oldest: Box<Position>,
    },
    /// The cluster changed its tables and its log does not hold it.
    #[error("the change log behind {0} does not hold {1}: take a new snapshot")]
    LogLacks(Box<Position>, String),
    /// The moment is outside the history that can be read.
    #[error("moment {} is outside the readable history ({} to {})", asked.last_tso(), from.last_tso(), to.last_tso())]
    OutsideHistory {
        /// What was asked for.
        asked: Moment,
        /// The oldest readable moment.
        from: Moment,
        /// The newest readable moment.
        to: Moment,
    },
    /// A snapshot that should be reopened is gone.
    #[error("the snapshot at TSO {} can no longer be read: its history was garbage-collected; start a new backup", .0.last_tso())]
    SnapshotGone(Moment),
    /// The cluster is closed to applications.
    #[error("the cluster is closed: {0}")]
    Closed(String),
    /// This session was ended.
    #[error("the session was ended: {0}")]
    SessionEnded(String),
    /// Two transactions wrote the same row; nothing of this one was written.
    #[error("write conflict on {table}: another transaction changed the row after {start}; try again")]
    Conflict {
        /// The table.
        table: TableName,
        /// When this transaction started.
        start: Tso,
    },
    /// No such table.
    #[error("there is no table {0}")]
    NoTable(TableName),
    /// A table of a view went away before it was read. The view's [`Snapshot::definitions`] say that it is left out.
    #[error("table {0} went away while the backup was being taken")]
    TableGone(TableName),
    /// The table is there already.
    #[error("table {0} exists already")]
    TableExists(TableName),
    /// Something is too large.
    #[error("{0}")]
    TooLarge(String),
    /// Another process has the store open.
    #[error("{path} is in use by another process{holder}")]
    Locked {
        /// The directory.
        path: String,
        /// Who, when known; starts with a separator.
        holder: String,
    },
    /// The store holds less than it is known to have held.
    #[error(
        "the store in {path} lost data: it ends at {has}, but had reached {expected}; restore it from a backup, or accept the loss"
    )]
    WentBack {
        /// The directory.
        path: String,
        /// Where it ends now.
        has: Tso,
        /// Where it is known to have been.
        expected: Tso,
    },
    /// Records, schema or range that this driver cannot have written.
    #[error("{what} cannot be decoded: {why}")]
    Malformed {
        /// What kind of bytes.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The caller's sink or source stopped it.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// No connection to the server could be made.
    #[error("{address} cannot be used: {why}; {hint}")]
    Connect {
        /// host:port or socket.
        address: String,
        /// Why.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The server answered a statement with an error.
    #[error("{doing}: the server says {code} ({state}): {message}{hint}")]
    Server {
        /// What was being done.
        doing: String,
        /// Its error number.
        code: u16,
        /// Its SQLSTATE.
        state: String,
        /// Its words.
        message: String,
        /// What to do, beginning with a separator; may be empty.
        hint: String,
    },
    /// It is another server than the one that was expected.
    #[error("{0}")]
    OtherServer(String),
    /// The server, its settings or its privileges do not allow it.
    #[error("{what}; {hint}")]
    Unsupported {
        /// What cannot be done, and why.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The store under the cluster failed.
    #[error("{doing}")]
    Store {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ClusterError {
    /// Whether no more log comes behind what was read: the stretch ends, and only a snapshot can begin another.
    pub fn ends_log(&self) -> bool {
        matches!(self, ClusterError::LogGone { .. } | ClusterError::LogLacks(..))
    }
}

/// A consistent view of a cluster at one moment.
pub trait Snapshot: Send + Sync {
    /// Its moment and place.
    fn mark(&self) -> Mark;

    /// With this, [`Cluster::open_snapshot`] opens the same view again after a crash.
    fn token(&self) -> Option<String>;

    /// The tables at that moment, ordered by name.
    fn tables(&self) -> Result<Vec<TableDef>, ClusterError>;

    /// What is not a table: databases, views, triggers, routines, events, accounts, in the order of their creation.
    fn definitions(&self) -> Result<Vec<Definition>, ClusterError> {
        Ok(Vec::new())
    }

    /// The transactions that were prepared at about that moment and waited for a decision, by name: their rows are in no table.
    fn prepared(&self) -> Result<Vec<String>, ClusterError> {
        Ok(Vec::new())
    }

    /// Called after the last read: an error when what was read does not belong to one moment after all.
    fn settle(&self) -> Result<(), ClusterError> {
        Ok(())
    }

    /// Splits a table into at most `parts` ranges of roughly equal size, in order; none for an empty table.
    fn split(&self, table: &TableName, parts: usize) -> Result<Vec<ChunkRange>, ClusterError>;

    /// Hands the records of a range to the sink, in order, and stops after about `max_bytes` of them.
    fn read(
        &self,
        table: &TableName,
        range: &ChunkRange,
        max_bytes: u64,
        sink: &mut dyn BatchSink,
    ) -> Result<ChunkRead, ClusterError>;

    /// Keeps the view's history from being collected for another 72 minutes; called every few seconds.
    fn keep_alive(&self) -> Result<(), ClusterError>;

    /// Ends as soon as possible what [`Snapshot::split`] and [`Snapshot::read`] are doing: they return an error. Asked from
    /// another thread, again and again until they have returned.
    fn interrupt(&self) {}

    /// Lets the history go. (Dropping the view without this keeps it for a later reopen.)
    fn release(&self) -> Result<(), ClusterError>;
}

/// What a restore shall do to the target as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestoreScope {
    /// Afterwards the target holds exactly what was restored: other tables are dropped.
    Whole,
    /// Only the restored tables are touched.
    Tables,
    /// Only the tables that the filter chooses are touched; those of them that the restored moment lacks are dropped.
    Exactly,
}

/// What a restorer is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreAsk {
    /// A random id of this restore; asking again with the same id after a crash goes on with it.
    pub id: String,
    /// What happens to the tables that are not restored.
    pub scope: RestoreScope,
    /// Which of the source's tables are wanted.
    pub filter: TableFilter,
    /// New names for them.
    pub rename: RenameMap,
    /// Changes after this moment are not applied.
    pub until: Moment,
    /// Tables that the target has under those names stay as they are: [`Restorer::publish`] ends with
    /// [`ClusterError::TableExists`] at one that came into being meanwhile. Without, they are replaced.
    #[serde(default)]
    pub spares: bool,
}

/// What [`Restorer::load`] made of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows, bytes and checksum of what the source gave (before changes are merged in).
    pub sum: TableChecksum,
    /// The same of what was written (after changes were merged in).
    pub written: TableChecksum,
}

/// One restore in progress. What it builds is invisible until [`Restorer::publish`].
///
/// Every call may be repeated after a crash; finished parts are remembered under the ask's id.
pub trait Restorer: Send + Sync {
    /// Creates a table under its source name; the rename map gives the target's name.
    fn define(&self, table: &TableDef) -> Result<(), ClusterError>;

    /// Creates several tables, each given with about how many bytes of rows will come: all that [`Restorer::define`] does, at
    /// once where that is quicker.
    fn define_all(&self, tables: &[(TableDef, u64)]) -> Result<(), ClusterError> {
        tables.iter().try_for_each(|(table, _)| self.define(table))
    }

    /// Takes what is not a table, before the tables; what the ask's filter and scope leave out is ignored.
    fn define_others(&self, _definitions: &[Definition]) -> Result<(), ClusterError> {
        Ok(())
    }

    /// All tables of the base, where not all are restored: what changes one may change another.
    fn know(&self, _tables: &[TableDef]) -> Result<(), ClusterError> {
        Ok(())
    }

    /// Whether this table was completely loaded before a crash.
    fn is_loaded(&self, table: &TableName) -> Result<bool, ClusterError>;

    /// Takes transactions of the log in commit order; ones after `until` are an error. First come the early ones, if any.
    ///
    /// Where [`Capabilities::log_before_load`] says so, all log comes before the first `load`.
    fn replay(&self, txn: &ReplayTxn<'_>) -> Result<(), ClusterError>;

    /// The same for a transaction in pieces: `txn` holds its opening.
    fn replay_pieces(&self, txn: &ReplayTxn<'_>, _pieces: &mut dyn BatchSource) -> Result<(), ClusterError> {
        Err(ClusterError::Malformed {
            what: "the log",
            why: format!(
                "transaction {} comes in pieces, which such a cluster never writes",
                txn.id
            ),
        })
    }

    /// No more log will come.
    fn end_of_log(&self) -> Result<(), ClusterError>;

    /// Loads a whole table from its chunks in order; different tables may be loaded in parallel.
    ///
    /// Tables that the log created are loaded from an empty source.
    fn load(&self, table: &TableName, source: &mut dyn BatchSource) -> Result<Loaded, ClusterError>;

    /// Whether [`Restorer::load_together`] takes this table.
    fn goes_together(&self, _table: &TableName) -> Result<bool, ClusterError> {
        Ok(false)
    }

    /// Loads several small tables at once: each with all its batches. Either all of them are loaded afterwards or none.
    fn load_together(&self, tables: &[(TableName, Vec<Vec<u8>>)]) -> Result<Vec<Loaded>, ClusterError> {
        let load = |(name, batches): &(TableName, Vec<Vec<u8>>)| self.load(name, &mut Given(batches.iter()));
        tables.iter().map(load).collect()
    }

    /// How many tables are best loaded at a time.
    fn loaders(&self) -> usize {
        std::thread::available_parallelism().map_or(2, usize::from)
    }

    /// The tables, by the names they have at the source, that exist at the restored moment.
    fn tables(&self) -> Result<Vec<TableName>, ClusterError>;

    /// Reads what was built and returns the checksum of each table, by target name.
    fn checksums(&self) -> Result<Vec<(TableName, TableChecksum)>, ClusterError>;

    /// Reads how many rows each table that was built has now, by target name.
    fn counts(&self) -> Result<Vec<(TableName, u64)>, ClusterError> {
        let sums = self.checksums()?;
        Ok(sums.into_iter().map(|(name, sum)| (name, sum.rows)).collect())
    }

    /// Where it was made visible, if it was: before a crash, an earlier run of this restore may have come so far.
    fn published(&self) -> Result<Option<Mark>, ClusterError>;

    /// Makes everything visible; where [`Capabilities::atomic_restore`] says so, in one step.
    fn publish(&self) -> Result<Mark, ClusterError>;

    /// What the operator should know of a restore that was made visible: what was left out, what could not be made.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Ends as soon as possible what the other calls are doing: they return an error. Asked from another thread, again and
    /// again until they have returned. Once tables are being made visible it comes too late, and does nothing.
    fn interrupt(&self) {}

    /// What [`Restorer::publish`] waits for right now, in words; asked from another thread.
    fn waiting(&self) -> Option<String> {
        None
    }

    /// Throws away what was built. Also possible while making it visible has begun and nothing of it is seen yet.
    fn abandon(&self) -> Result<(), ClusterError>;
}

/// A database that brine protects.
pub trait Cluster: Send + Sync {
    /// What this driver can do.
    fn capabilities(&self) -> Capabilities;

    /// The cheap facts.
    fn facts(&self) -> Result<ClusterFacts, ClusterError>;

    /// The tables as they are now, ordered by name.
    fn tables(&self) -> Result<Vec<TableFacts>, ClusterError>;

    /// A mark at or after everything acknowledged before the call.
    fn mark(&self) -> Result<Mark, ClusterError>;

    /// Opens a consistent view of now, or the view of a token.
    fn open_snapshot(&self, token: Option<&str>) -> Result<Box<dyn Snapshot>, ClusterError>;

    /// Streams everything after a place; [`ClusterError::LogGone`] when the source no longer has it.
    ///
    /// Commit times are above the place's moment. `anchors` are places further on that were dated before (the snapshots
    /// of the archive, in order): transactions up to such a place get times at or before its moment, those behind it
    /// later ones, so that moments and positions never contradict each other.
    fn changes(&self, after: &Mark, anchors: &[Mark]) -> Result<Box<dyn Changes>, ClusterError>;

    /// An error when the cluster's log does not go on behind this place.
    fn continues(&self, _end: &Position) -> Result<(), ClusterError> {
        Ok(())
    }

    /// An error when the cluster is set up so that its log cannot be archived.
    fn check_log(&self) -> Result<(), ClusterError> {
        Ok(())
    }

    /// An error when the cluster's log has another transaction in the place of an archived one: `last` is its record, and it
    /// came behind the place `from` and the transactions `earlier`. No error where that cannot be told.
    fn recognise(&self, _from: &Position, _earlier: &[String], _last: &[u8]) -> Result<(), ClusterError> {
        Ok(())
    }

    /// Asks the source to keep its log from this position on (as long as it can); `None` lets go.
    fn keep_log(&self, from: Option<&Position>) -> Result<(), ClusterError>;

    /// Checksums of the tables that match, ordered by name, now or at a past moment.
    fn checksums(
        &self,
        filter: &TableFilter,
        at: Option<Moment>,
    ) -> Result<Vec<(TableName, TableChecksum)>, ClusterError>;

    /// Closes the cluster to applications and ends their sessions. Survives a crash. Closing twice is no error.
    fn close(&self, state: ClosedAs) -> Result<(), ClusterError>;

    /// Opens it again. Opening an open cluster is no error.
    fn open(&self) -> Result<(), ClusterError>;

    /// Starts a restore, or goes on with the one of that id.
    fn restorer(&self, ask: &RestoreAsk) -> Result<Box<dyn Restorer>, ClusterError>;

    /// What speaks for and against a restore into this cluster as it is now; `whole` closes it and replaces what it holds.
    fn restore_checks(&self, _whole: bool) -> Result<Vec<RestoreCheck>, ClusterError> {
        Ok(Vec::new())
    }

    /// What speaks against making here what a backup holds besides tables, accounts among them.
    fn definition_checks(&self, _definitions: &[Definition]) -> Result<Vec<RestoreCheck>, ClusterError> {
        Ok(Vec::new())
    }

    /// The same for a replay of the log behind a base, given the base's definitions.
    fn replay_checks(&self, _base: &[Definition]) -> Result<Vec<RestoreCheck>, ClusterError> {
        Ok(Vec::new())
    }

    /// Tables that stay when these are replaced, and refer to them: each with the one that it refers to.
    fn referring(&self, _replaced: &[TableName]) -> Result<Vec<(TableName, TableName)>, ClusterError> {
        Ok(Vec::new())
    }

    /// Why no table of a restore can get that name here, if it cannot.
    fn refuses_name(&self, _name: &TableName) -> Option<&'static str> {
        None
    }

    /// Decodes this driver's records without a connection.
    fn codec(&self) -> &'static dyn Codec;
}

/// How a cluster is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosedAs {
    /// For a running restore.
    Restoring,
    /// Until the operator opens it, and why.
    Closed(String),
}
