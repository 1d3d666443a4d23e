//! Reading a range of rows through a view.
//!
//! A table's metadata lock is held only while a range of it is read: a savepoint is rolled back to afterwards. Under that lock
//! the table's definition is looked at once more: rows that a changed table gave are never taken.

use super::gather;
use super::keys::{Key, Point, Range};
use super::pool::Lent;
use super::record;
use crate::cluster::mysql::schema::select;
use crate::cluster::mysql::schema::table::{TableKind, TableSchema};
use crate::cluster::mysql::schema::tables::{self, Listed};
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::cluster::{BatchSink, ChunkRead, ClusterError, Stop};
use crate::model::checksum::TableChecksum;
use crate::model::table::TableName;

/// What a view knows of a table.
pub(super) struct ViewTable {
    pub listed: Listed,
    /// Its definition as the server shows it.
    pub shown: String,
    pub schema: TableSchema,
    pub key: Key,
}

/// Tables of less bytes than this are read with one statement and not cut.
pub(super) const SMALL: u64 = 16 << 20;
/// The most rows that a first statement asks for: until then, the rows' size is only guessed.
const FIRST_ROWS: u64 = 50_000;
/// The savepoint before a table is touched.
pub(super) const SAVEPOINT: &str = "SAVEPOINT brine";
/// Gives back the locks of the tables that were touched.
pub(super) const UNTOUCH: &str = "ROLLBACK TO SAVEPOINT brine";

impl ViewTable {
    /// Whether reading can stop between two rows and go on there.
    pub fn can_pause(&self) -> bool {
        self.key.whole && self.listed.transactional() && self.listed.bytes >= SMALL
    }

    /// Whether ranges of it can be read apart from each other.
    pub fn can_split(&self) -> bool {
        !self.key.columns.is_empty() && self.listed.transactional()
    }

    /// `SELECT` of a range's rows, at most so many of them.
    fn select(&self, range: &Range, limit: Option<u64>) -> Result<String, ClusterError> {
        let mut sql = select::rows(&self.schema, &self.listed.name);
        let condition = range.condition(&self.key)?;
        if condition.is_some() || limit.is_some() {
            sql.push_str(" FORCE INDEX (PRIMARY)");
        } else if self.schema.primary_key.is_empty() && self.schema.kind != TableKind::Sequence {
            // In the order in which they are stored, and not in that of a key which holds all columns.
            sql.push_str(" USE INDEX ()");
        }
        if let Some(condition) = condition {
            sql.push_str(" WHERE ");
            sql.push_str(&condition);
        }
        if let Some(limit) = limit {
            sql.push_str(&format!(" ORDER BY {} LIMIT {limit}", self.key.order()));
        }
        Ok(sql)
    }
}

const ALTERED: &str = "was altered, emptied, renamed or dropped while the backup was being taken";

/// Whether an error says that.
pub(super) fn is_altered(e: &ClusterError) -> bool {
    matches!(e, ClusterError::Unsupported { what, .. } if what.ends_with(ALTERED))
}

/// The error when a table is not what it was when the view was opened.
pub(super) fn altered(name: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: format!("table {name} {ALTERED}"),
        hint: "take the backup again".to_owned(),
    }
}

/// An error while a table was read.
pub(super) fn failed(e: WireError, name: &TableName) -> ClusterError {
    match e.code() {
        // Definition has changed; no such table, column, key, database.
        Some(1412 | 1146 | 1054 | 1176 | 1049) => altered(&name.to_string()),
        _ => e.doing(format!("reading {name}")),
    }
}

/// Adds up what goes by, and remembers the key of the last row.
struct Counting<'a> {
    sink: &'a mut dyn BatchSink,
    sum: TableChecksum,
    /// Where the last row is wanted: the key, and its values.
    key: Option<&'a Key>,
    last: Option<Point>,
}

impl BatchSink for Counting<'_> {
    fn put(&mut self, batch: &[u8], rows: u64) -> Result<(), Stop> {
        let mut newest: &[u8] = &[];
        for row in record::rows(batch) {
            let row = row.map_err(|e| Stop(Box::new(e)))?;
            record::add(&mut self.sum, row);
            newest = row;
        }
        if let Some(key) = self.key {
            self.last = Some(key.point(newest).map_err(|e| Stop(Box::new(e)))?);
        }
        self.sink.put(batch, rows)
    }
}

/// Reads a range on a connection of the view.
pub(super) fn read(
    conn: &mut Conn,
    table: &ViewTable,
    range: &Range,
    max_bytes: u64,
    sink: &mut dyn BatchSink,
) -> Lent<ChunkRead> {
    let mut counting = Counting {
        sink,
        sum: TableChecksum::default(),
        key: table.can_pause().then_some(&table.key),
        last: None,
    };
    let read = rows(conn, table, range, max_bytes, &mut counting);
    let rest = match read {
        Ok(rest) => rest,
        Err(Failed::Wire(e)) if e.code().is_none() => return Lent::Lost(failed(e, &table.listed.name)),
        Err(Failed::Wire(e)) => return settle(conn, table, Err(failed(e, &table.listed.name))),
        Err(Failed::Other(e)) => return settle(conn, table, Err(e)),
    };
    let whole = ChunkRead {
        sum: counting.sum,
        rest: None,
    };
    let done = match rest.map(|r| r.write()).transpose() {
        Ok(rest) => Ok(ChunkRead { rest, ..whole }),
        Err(e) => Err(e),
    };
    settle(conn, table, done)
}

/// Looks whether the table is still what it was, and gives its lock back.
pub(super) fn settle<T>(conn: &mut Conn, table: &ViewTable, result: Result<T, ClusterError>) -> Lent<T> {
    let name = &table.listed.name;
    let result = result.and_then(|done| match tables::create(conn, name, table.listed.kind) {
        Ok(now) if tables::settled(&now) == tables::settled(&table.shown) => Ok(done),
        Ok(_) => Err(altered(&name.to_string())),
        Err(e) => Err(failed(e, name)),
    });
    match conn.run(UNTOUCH) {
        Ok(_) => Lent::Good(result),
        Err(e) => Lent::Lost(failed(e, name)),
    }
}

enum Failed {
    Wire(WireError),
    Other(ClusterError),
}

/// Reads until the range or the bytes are at their end; returns what is left of the range.
fn rows(
    conn: &mut Conn,
    table: &ViewTable,
    range: &Range,
    max_bytes: u64,
    counting: &mut Counting<'_>,
) -> Result<Option<Range>, Failed> {
    if !table.can_pause() {
        let sql = table.select(range, None).map_err(Failed::Other)?;
        conn.stream(&sql, counting).map_err(Failed::Wire)?;
        return Ok(None);
    }
    let mut left = range.clone();
    let a_row = (table.listed.bytes / table.listed.rows.max(1)).max(64);
    let mut ask = (max_bytes / a_row).clamp(1, FIRST_ROWS);
    loop {
        let sql = table.select(&left, Some(ask)).map_err(Failed::Other)?;
        let got = conn.stream(&sql, counting).map_err(Failed::Wire)?;
        if got < ask {
            return Ok(None);
        }
        left.after = counting.last.take();
        if counting.sum.bytes >= max_bytes / 8 * 7 {
            return Ok(Some(left));
        }
        let a_row = counting.sum.bytes / counting.sum.rows.max(1) + 1;
        ask = ((max_bytes - counting.sum.bytes.min(max_bytes)) / a_row).clamp(1, ask.saturating_mul(16));
    }
}

/// Whether the tables that were read are still those of the beginning: one may have been put in another's place.
pub(super) fn still_the_same(before: &gather::Shown, conn: &mut Conn) -> Result<(), ClusterError> {
    let Some(before) = &before.numbers else {
        return Ok(());
    };
    let after = gather::numbers(conn).map_err(|e| e.doing("comparing the tables with those at the beginning"))?;
    match after.and_then(|after| gather::exchanged(before, &after)) {
        Some(name) => Err(altered(&name)),
        None => Ok(()),
    }
}
