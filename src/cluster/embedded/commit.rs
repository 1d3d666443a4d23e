//! Committing: conflict check, timestamp, log record and data in one synced batch.
//!
//! Commits are grouped: whoever gets the commit lock writes all that are waiting in one batch with one
//! sync, and the others find theirs done. A commit is acknowledged after the sync, and becomes visible
//! before it is acknowledged. After a failed write nothing more is accepted: whether the batch is on disk
//! is only known after the next open.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::cluster::ClusterError;
use crate::model::crash::crash_point;
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::catalog::{Catalog, TableInfo};
use super::core::Core;
use super::estimates::Estimate;
use super::keys;
use super::recent::{Recent, Verdict};
use super::record::{self, Tip};
use super::store::{Batch, Rows, Space};
use super::tso::Oracle;

/// The most bytes of transactions that one batch takes together.
const GROUP_BYTES: u64 = 8 << 20;

/// The key of the last record's place in the chain.
const TIP: &[u8] = b"tip";

/// What only the holder of the commit lock may touch.
pub(super) struct CommitState {
    pub(super) oracle: Oracle,
    pub(super) tip: Tip,
    pub(super) recent: Recent,
    failed: Option<String>,
}

impl CommitState {
    /// The state of a store that was found good.
    pub(super) fn new(oracle: Oracle, tip: Tip) -> Self {
        CommitState {
            oracle,
            tip,
            recent: Recent::default(),
            failed: None,
        }
    }
}

/// Reads the last record's place in the chain.
pub(super) fn load_tip(store: &super::store::Store) -> Result<Tip, ClusterError> {
    let Some(bytes) = store.get(Space::Meta, TIP)? else {
        return Ok(Tip::START);
    };
    let bad = || ClusterError::Malformed {
        what: "the end of the change log",
        why: "it does not have 24 bytes".to_owned(),
    };
    let (ts, hash) = bytes.split_at_checked(8).ok_or_else(bad)?;
    Ok(Tip {
        ts: Tso(u64::from_be_bytes(ts.try_into().map_err(|_| bad())?)),
        hash: u128::from_be_bytes(hash.try_into().map_err(|_| bad())?),
    })
}

fn write_tip(batch: &mut Batch<'_>, tip: Tip) {
    let mut bytes = tip.ts.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&tip.hash.to_be_bytes());
    batch.put(Space::Meta, TIP, bytes);
}

/// One row of a transaction, ready to be written.
pub(super) struct PreparedRow {
    pub(super) prefix: Vec<u8>,
    pub(super) hash: u128,
    pub(super) stored: Vec<u8>,
}

/// One table's rows of a transaction.
pub(super) struct PreparedTable {
    pub(super) name: TableName,
    pub(super) info: Arc<TableInfo>,
    pub(super) store: Rows,
    pub(super) rows: Vec<PreparedRow>,
    pub(super) change: Estimate,
}

/// A transaction, ready to be written.
pub(super) struct Prepared {
    pub(super) start: Tso,
    pub(super) era: u64,
    pub(super) tables: Vec<PreparedTable>,
    pub(super) body: Vec<u8>,
    pub(super) bytes: u64,
}

/// A transaction on its way through the queue.
#[derive(Default)]
struct Slot {
    done: Mutex<Option<Result<Tso, ClusterError>>>,
}

/// The transactions that wait to be written.
#[derive(Default)]
pub(super) struct Queue(Mutex<Vec<(Prepared, Arc<Slot>)>>);

impl Queue {
    /// Takes as many as go into one batch, in order.
    fn take(&self) -> Vec<(Prepared, Arc<Slot>)> {
        let mut waiting = self.0.lock();
        let mut bytes = 0;
        let fits = waiting.iter().take_while(|(p, _)| {
            let room = bytes == 0 || bytes + p.bytes <= GROUP_BYTES;
            bytes += p.bytes.max(1);
            room
        });
        let n = fits.count();
        waiting.drain(..n).collect()
    }
}

/// The commit lock, held.
pub(super) struct Exclusive<'a> {
    core: &'a Core,
    state: MutexGuard<'a, CommitState>,
}

impl Core {
    /// Takes the commit lock; an error when an earlier write failed.
    pub(super) fn exclusive(&self) -> Result<Exclusive<'_>, ClusterError> {
        let state = self.commit.lock();
        if let Some(why) = &state.failed {
            return Err(ClusterError::Store {
                doing: "the cluster takes no more commits since a write failed; open it again".to_owned(),
                source: why.clone().into(),
            });
        }
        Ok(Exclusive { core: self, state })
    }

    /// Writes a transaction, together with others that wait; returns when it is durable.
    pub(super) fn commit(&self, txn: Prepared) -> Result<Tso, ClusterError> {
        let slot = Arc::new(Slot::default());
        self.queue.0.lock().push((txn, slot.clone()));
        loop {
            let exclusive = self.exclusive();
            if let Some(result) = slot.done.lock().take() {
                return result;
            }
            let group = self.queue.take();
            match exclusive {
                Ok(mut exclusive) => exclusive.write_group(group),
                Err(_) => group.into_iter().for_each(|(_, slot)| {
                    let error = self.exclusive().err();
                    *slot.done.lock() = error.map(Err);
                }),
            }
        }
    }
}

impl Exclusive<'_> {
    /// A fresh timestamp.
    pub(super) fn allocate(&mut self) -> Result<Tso, ClusterError> {
        self.state.oracle.next(self.core.clock.now(), &self.core.store)
    }

    /// Makes sure that nothing later commits at or before this.
    pub(super) fn advance(&mut self, to: Tso) -> Result<(), ClusterError> {
        self.state.oracle.advance(to, &self.core.store)
    }

    /// The last timestamp handed out.
    pub(super) fn last(&self) -> Tso {
        self.state.oracle.last()
    }

    /// The last durable commit.
    pub(super) fn tip(&self) -> Tip {
        self.state.tip
    }

    /// Writes one change of the schema, or a restore: its record, what `fill` adds, and its effect on the catalog.
    pub(super) fn write_change(
        &mut self,
        ts: Tso,
        body: &[u8],
        entries: Vec<(TableName, Option<Arc<TableInfo>>)>,
        fill: impl FnOnce(&mut Batch<'_>) -> Result<(), ClusterError>,
    ) -> Result<(), ClusterError> {
        let core = self.core;
        let mut batch = core.store.batch();
        for (name, info) in &entries {
            Catalog::write(&mut batch, name, ts, info.as_deref())?;
        }
        fill(&mut batch)?;
        let tip = self.append(&mut batch, self.state.tip, ts, body);
        self.sync(batch, tip)?;
        let mut catalog = core.catalog.write();
        entries.into_iter().for_each(|(name, info)| catalog.set(name, ts, info));
        drop(catalog);
        core.visible.publish(ts);
        Ok(())
    }

    /// Puts a record into the batch; returns the chain's new end.
    fn append(&self, batch: &mut Batch<'_>, tip: Tip, ts: Tso, body: &[u8]) -> Tip {
        batch.put(Space::Log, &ts.0.to_be_bytes(), record::record(tip, body));
        tip.then(ts, body)
    }

    /// Syncs a batch that moves the chain's end.
    fn sync(&mut self, mut batch: Batch<'_>, tip: Tip) -> Result<(), ClusterError> {
        write_tip(&mut batch, tip);
        crash_point("embedded.commit.before-sync");
        if let Err(e) = batch.commit() {
            self.state.failed = Some(e.to_string());
            return Err(e);
        }
        crash_point("embedded.commit.after-sync");
        self.state.tip = tip;
        // A mark that cannot be written protects less; the commit itself is safe.
        let _ = self.core.guard.lock().now_and_then(tip);
        Ok(())
    }

    /// Writes a group in one batch and tells each transaction how it ended.
    fn write_group(&mut self, group: Vec<(Prepared, Arc<Slot>)>) {
        let oldest = self.core.txns.oldest(|| self.core.visible.get());
        self.state.recent.prune(oldest);
        let mut batch = self.core.store.batch();
        let mut tip = self.state.tip;
        let mut written: Vec<(Arc<Slot>, Tso)> = Vec::new();
        let mut changes = Vec::new();
        for (txn, slot) in group {
            match self.admit(&txn) {
                Ok(ts) => {
                    tip = self.append(&mut batch, tip, ts, &txn.body);
                    self.fill(&mut batch, txn, ts, &mut changes);
                    written.push((slot, ts));
                }
                Err(e) => *slot.done.lock() = Some(Err(e)),
            }
        }
        if written.is_empty() {
            return;
        }
        let result = self.sync(batch, tip);
        if result.is_ok() {
            changes.into_iter().for_each(|(id, c)| self.core.estimates.add(id, c));
            self.core.visible.publish(tip.ts);
        }
        let why = result.err().map(|e| e.to_string());
        for (slot, ts) in written {
            *slot.done.lock() = Some(match &why {
                None => Ok(ts),
                Some(why) => Err(ClusterError::Store {
                    doing: "committing a transaction; whether it is durable is known after the next open".to_owned(),
                    source: why.clone().into(),
                }),
            });
        }
        crash_point("embedded.commit.acked");
    }

    /// Checks a transaction against everything committed before it; gives it its timestamp.
    fn admit(&mut self, txn: &Prepared) -> Result<Tso, ClusterError> {
        self.core.door.check(txn.era)?;
        if !self.state.recent.reaches(txn.start) {
            return Err(ClusterError::TooLarge(
                "the transaction is too old to be checked for conflicts: too many rows were written since it began; \
                 try again"
                    .to_owned(),
            ));
        }
        let catalog = self.core.catalog.read();
        for table in &txn.tables {
            let conflict = || ClusterError::Conflict {
                table: table.name.clone(),
                start: txn.start,
            };
            if catalog.get(&table.name, Tso::MAX)?.id != table.info.id {
                return Err(conflict());
            }
            let written = |row: &PreparedRow| self.state.recent.check(row.hash, txn.start) == Verdict::Written;
            if table.rows.iter().any(written) {
                return Err(conflict());
            }
        }
        drop(catalog);
        self.allocate()
    }

    /// Puts the rows into the batch and remembers them for the conflict check.
    fn fill(&mut self, batch: &mut Batch<'_>, txn: Prepared, ts: Tso, changes: &mut Vec<(u64, Estimate)>) {
        for table in txn.tables {
            for row in table.rows {
                self.state.recent.add(row.hash, ts);
                batch.put_row(&table.store, keys::with_version(&row.prefix, ts), row.stored);
            }
            changes.push((table.info.id, table.change));
        }
    }
}
