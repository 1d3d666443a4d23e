//! The change log as the drivers give and take it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClusterError, Mark};
use crate::model::position::{Moment, Position};
use crate::model::table::TableName;

/// What one transaction did to one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDelta {
    /// The table.
    pub table: TableName,
    /// Rows put (inserted or updated).
    pub puts: u64,
    /// Of those, rows known to have existed before; 0 where the source does not tell.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Bytes of the change.
    pub bytes: u64,
}

/// A schema change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ddl {
    /// The statement, or its equivalent.
    pub text: String,
    /// The table concerned.
    pub table: Option<TableName>,
    /// Rows the table had, where known.
    pub rows: u64,
}

/// What a transaction did that its record does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The table, where it is about one.
    pub table: Option<TableName>,
    /// As a clause.
    pub what: String,
}

/// A step of a transaction that is committed in two, with the name that both steps give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was prepared: its rows are in this record, and count when it is committed.
    Prepared(String),
    /// It was committed.
    Committed(String),
    /// It was rolled back.
    RolledBack(String),
}

/// A transaction of the change log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// Its commit time; never goes back within a stream.
    pub commit: Moment,
    /// The place just behind it.
    pub position: Position,
    /// GTID or TSO as text.
    pub id: String,
    /// What it did, table by table.
    pub deltas: Vec<TableDelta>,
    /// The schema change, if it is one.
    pub ddl: Option<Ddl>,
    /// What else it did, so that no replay of the record gives the same.
    pub lack: Option<Box<Lack>>,
    /// Whether it is one of two steps.
    pub step: Option<Box<Step>>,
    /// The record itself, for the archive and for [`Restorer::replay`](super::Restorer::replay); of a transaction in
    /// pieces, its opening.
    pub payload: Vec<u8>,
    /// What of the record is too large for memory.
    pub pieces: Option<Pieces>,
}

impl Txn {
    /// Bytes of the record.
    pub fn bytes(&self) -> u64 {
        self.payload.len() as u64 + self.pieces.as_ref().map_or(0, Pieces::bytes)
    }
}

/// Keeps the pieces of a transaction, outside of memory.
pub trait PieceStore: Send + Sync {
    /// How many there are, at least one.
    fn count(&self) -> u64;

    /// Their bytes.
    fn bytes(&self) -> u64;

    /// Reads one, checked. Any may be read any number of times.
    fn read(&self, number: u64) -> Result<Vec<u8>, ClusterError>;
}

/// The pieces of a transaction that is too large for memory, in order. A driver cuts them as it likes; each is some MiB.
#[derive(Clone)]
pub struct Pieces(Arc<dyn PieceStore>);

impl Pieces {
    /// Of a store.
    pub fn new(store: Arc<dyn PieceStore>) -> Pieces {
        Pieces(store)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Reads one, checked.
    pub fn read(&self, number: u64) -> Result<Vec<u8>, ClusterError> {
        self.0.read(number)
    }
}

impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Pieces {}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pieces of {} bytes", self.count(), self.bytes())
    }
}

/// An item of the change stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A transaction.
    Txn(Txn),
    /// Everything up to this mark has been handed over: the checkpoint may move there.
    Reached(Mark),
    /// A restore replaced tables of the cluster at this mark; the history before and after must not be mixed.
    Restored(Mark),
}

/// The change log, from a position on.
pub trait Changes: Send {
    /// The next event; `None` when there was none within `wait`.
    fn next(&mut self, wait: Duration) -> Result<Option<LogEvent>, ClusterError>;
}

/// A transaction of an archived log, on its way into a restore.
#[derive(Clone, Copy, Debug)]
pub struct ReplayTxn<'a> {
    /// Its commit time.
    pub commit: Moment,
    /// GTID or TSO as text.
    pub id: &'a str,
    /// The record as [`Txn::payload`] had it; of a transaction in pieces, its opening.
    pub payload: &'a [u8],
    /// It comes before the base: what it did is there. Only what it prepared counts, when a later one commits that.
    pub early: bool,
}
