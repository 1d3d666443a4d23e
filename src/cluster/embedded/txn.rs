//! A transaction: it reads its start's moment and its own writes, and commits them all or not at all.
//!
//! Snapshot isolation; of two transactions that wrote the same row, the first to commit wins.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::cluster::ClusterError;
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::catalog::TableInfo;
use super::commit::{Prepared, PreparedRow, PreparedTable};
use super::estimates::Estimate;
use super::history::Reading;
use super::keys;
use super::recent;
use super::record::{self, TableOps};
use super::scan::{self, Scan};
use super::session::{Found, Session};
use super::store::Rows;
use super::wire::MAX_VALUE;

/// The most bytes of a transaction.
const MAX_BYTES: u64 = 256 << 20;
/// Up to this many writes of a table, the rows that were there before are looked up for the log.
const LOOKED_UP: usize = 1_000;
/// How many reads are remembered, to know what was there before.
const REMEMBERED: usize = 100_000;

/// What a transaction wrote and read in one table.
struct Table {
    info: Arc<TableInfo>,
    store: Rows,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Bytes of the rows that were read; `None` for rows that were not there.
    seen: HashMap<Vec<u8>, Option<u64>>,
}

impl Table {
    fn saw(&mut self, key: &[u8], bytes: Option<u64>) {
        if self.seen.len() < REMEMBERED {
            self.seen.insert(key.to_vec(), bytes);
        }
    }
}

/// An open transaction. Dropping it rolls it back.
pub struct Transaction<'a> {
    session: &'a Session,
    reading: Reading,
    tables: BTreeMap<TableName, Table>,
    bytes: u64,
}

impl<'a> Transaction<'a> {
    pub(super) fn begin(session: &'a Session) -> Result<Self, ClusterError> {
        let core = &session.core;
        let start = core.txns.enter(|| core.visible.get());
        match core.history.read(|| start) {
            Some(reading) => Ok(Transaction {
                session,
                reading,
                tables: BTreeMap::new(),
                bytes: 0,
            }),
            None => {
                core.txns.leave(start);
                Err(ClusterError::SnapshotGone(crate::model::position::Moment::of_tso(
                    start,
                )))
            }
        }
    }

    /// The moment that it sees.
    pub fn start(&self) -> Tso {
        self.reading.ts()
    }

    fn table(&mut self, name: &TableName) -> Result<&mut Table, ClusterError> {
        self.session.core.door.check(self.session.era)?;
        if !self.tables.contains_key(name) {
            let (info, store) = self.session.core.table(name, self.start())?;
            let table = Table {
                info,
                store,
                writes: BTreeMap::new(),
                seen: HashMap::new(),
            };
            self.tables.insert(name.clone(), table);
        }
        self.tables
            .get_mut(name)
            .ok_or_else(|| ClusterError::NoTable(name.clone()))
    }

    /// Reads a row.
    pub fn get(&mut self, table: &TableName, key: &[u8]) -> Result<Option<Vec<u8>>, ClusterError> {
        keys::check(key)?;
        let start = self.start();
        let table = self.table(table)?;
        if let Some(written) = table.writes.get(key) {
            return Ok(written.clone());
        }
        let found = scan::get(&table.store, key, start)?;
        table.saw(key, found.as_ref().map(|v| (key.len() + v.len()) as u64));
        Ok(found)
    }

    /// Writes a row.
    pub fn put(&mut self, table: &TableName, key: &[u8], value: &[u8]) -> Result<(), ClusterError> {
        if value.len() > MAX_VALUE {
            return Err(ClusterError::TooLarge(format!(
                "a row of {} bytes is too large: at most {MAX_VALUE} bytes",
                value.len()
            )));
        }
        self.write(table, key, Some(value))
    }

    /// Deletes a row. One that is not there is no error.
    pub fn delete(&mut self, table: &TableName, key: &[u8]) -> Result<(), ClusterError> {
        self.write(table, key, None)
    }

    fn write(&mut self, table: &TableName, key: &[u8], value: Option<&[u8]>) -> Result<(), ClusterError> {
        keys::check(key)?;
        let bytes = (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        if self.bytes + bytes > MAX_BYTES {
            return Err(ClusterError::TooLarge(format!(
                "the transaction is too large: at most {MAX_BYTES} bytes; split it"
            )));
        }
        let table = self.table(table)?;
        table.writes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        self.bytes += bytes;
        Ok(())
    }

    /// Reads up to `limit` rows from a bound on, its own writes included.
    pub fn scan(&mut self, table: &TableName, from: Bound<&[u8]>, limit: usize) -> Result<Found, ClusterError> {
        let start = self.start();
        let table = self.table(table)?;
        let mut stored = Scan::range(&table.store, start, from, None);
        let mut next = stored.next()?;
        let mut writes = table.writes.range::<[u8], _>((from, Bound::Unbounded)).peekable();
        let (mut found, mut seen) = (Found::new(), Vec::new());
        while found.len() < limit {
            let own = writes.next_if(|(key, _)| next.as_ref().is_none_or(|row| **key <= row.key));
            let Some((key, value)) = own else {
                let Some(row) = next.take() else { break };
                let value = row.value().to_vec();
                seen.push((row.key.clone(), (row.key.len() + value.len()) as u64));
                found.push((row.key, value));
                next = stored.next()?;
                continue;
            };
            if next.as_ref().is_some_and(|row| row.key == *key) {
                next = stored.next()?;
            }
            if let Some(value) = value {
                found.push((key.clone(), value.clone()));
            }
        }
        seen.iter().for_each(|(key, bytes)| table.saw(key, Some(*bytes)));
        Ok(found)
    }

    /// Makes the writes durable and visible; returns their commit timestamp (the start's, when there are none).
    pub fn commit(mut self) -> Result<Tso, ClusterError> {
        let session = self.session;
        session.core.door.check(session.era)?;
        let start = self.start();
        let tables = std::mem::take(&mut self.tables);
        let mut prepared = Vec::new();
        let mut ops = Vec::new();
        for (name, table) in tables.into_iter().filter(|(_, t)| !t.writes.is_empty()) {
            let (rows, op) = prepare(name, table, start)?;
            prepared.push(rows);
            ops.push(op);
        }
        if prepared.is_empty() {
            return Ok(start);
        }
        session.core.commit(Prepared {
            start,
            era: session.era,
            tables: prepared,
            body: record::txn_body(&ops),
            bytes: self.bytes,
        })
    }

    /// Throws the writes away.
    pub fn rollback(self) {}
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.session.core.txns.leave(self.reading.ts());
    }
}

/// What the row's key was before: unknown, not there, or there with so many bytes.
fn before(table: &Table, key: &[u8], start: Tso) -> Result<Option<Option<u64>>, ClusterError> {
    if let Some(seen) = table.seen.get(key) {
        return Ok(Some(*seen));
    }
    if table.writes.len() > LOOKED_UP {
        return Ok(None);
    }
    let found = scan::get(&table.store, key, start)?;
    Ok(Some(found.map(|v| (key.len() + v.len()) as u64)))
}

fn prepare(name: TableName, mut table: Table, start: Tso) -> Result<(PreparedTable, TableOps), ClusterError> {
    let mut ops = TableOps::new(name.clone());
    let mut rows = Vec::with_capacity(table.writes.len());
    let mut change = Estimate::default();
    let befores: Vec<_> = table
        .writes
        .keys()
        .map(|key| before(&table, key, start))
        .collect::<Result<_, _>>()?;
    for ((key, value), before) in std::mem::take(&mut table.writes).into_iter().zip(befores) {
        let existed = before.flatten();
        ops.delta.updates += u64::from(existed.is_some() && value.is_some());
        let new = value.as_ref().map(|v| (key.len() + v.len()) as i64);
        let old = existed.map(|b| b as i64);
        change.bytes += new.unwrap_or(0) - old.unwrap_or(0);
        change.hidden += i64::from(old.is_some() || new.is_none());
        change.rows += match (before, &value) {
            (Some(Some(_)), Some(_)) | (Some(None), None) => 0,
            (_, Some(_)) => 1,
            (_, None) => -1,
        };
        ops.push(&key, value.as_deref());
        rows.push(PreparedRow {
            prefix: keys::prefix(&key),
            hash: recent::row_hash(table.info.id, &key),
            stored: scan::stored(value.as_deref()),
        });
    }
    let prepared = PreparedTable {
        name,
        info: table.info,
        store: table.store,
        rows,
        change,
    };
    Ok((prepared, ops))
}
