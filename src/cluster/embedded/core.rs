//! What the parts of the cluster share: the store, the catalog, the clock and the visible moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::cluster::{ClusterError, Mark};
use crate::model::clock::Clock;
use crate::model::position::{Moment, Position};
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::catalog::{Catalog, TableInfo};
use super::commit::{CommitState, Queue};
use super::door::Door;
use super::estimates::Estimates;
use super::guard::Guard;
use super::history::{History, Reading};
use super::store::{Rows, Store};
use super::trim::LogWindow;

/// The newest moment that may be read: everything up to it is durable.
pub(super) struct Visible {
    ts: AtomicU64,
    lock: Mutex<()>,
    moved: Condvar,
}

impl Visible {
    /// Starts at the last commit.
    pub(super) fn new(ts: Tso) -> Self {
        Visible {
            ts: AtomicU64::new(ts.0),
            lock: Mutex::new(()),
            moved: Condvar::new(),
        }
    }

    /// The newest visible commit.
    pub(super) fn get(&self) -> Tso {
        Tso(self.ts.load(Ordering::SeqCst))
    }

    /// Makes a commit visible and wakes those who wait for one.
    pub(super) fn publish(&self, ts: Tso) {
        self.ts.store(ts.0, Ordering::SeqCst);
        self.wake();
    }

    /// Waits until something after `seen` is visible, the time is over, or [`Visible::wake`] was called and `over` says so.
    pub(super) fn wait_while_still(&self, seen: Tso, wait: Duration, over: impl Fn() -> bool) {
        let end = Instant::now() + wait;
        let mut lock = self.lock.lock();
        while self.get() <= seen && !over() && !self.moved.wait_until(&mut lock, end).timed_out() {}
    }

    /// Wakes everybody who waits, to look again.
    pub(super) fn wake(&self) {
        drop(self.lock.lock());
        self.moved.notify_all();
    }

    /// Waits until something after `seen` is visible; false when the time is over.
    pub(super) fn wait_beyond(&self, seen: Tso, wait: Duration) -> bool {
        let end = Instant::now() + wait;
        let mut lock = self.lock.lock();
        while self.get() <= seen {
            if self.moved.wait_until(&mut lock, end).timed_out() {
                return self.get() > seen;
            }
        }
        true
    }
}

/// The starts of open transactions.
#[derive(Default)]
pub(super) struct OpenTxns(Mutex<BTreeMap<Tso, usize>>);

impl OpenTxns {
    /// Registers one; its start is asked under the lock, so that pruning never overtakes it.
    pub(super) fn enter(&self, start: impl FnOnce() -> Tso) -> Tso {
        let mut open = self.0.lock();
        let start = start();
        *open.entry(start).or_default() += 1;
        start
    }

    /// One has ended.
    pub(super) fn leave(&self, start: Tso) {
        let mut open = self.0.lock();
        if let Some(n) = open.get_mut(&start) {
            *n -= 1;
            if *n == 0 {
                open.remove(&start);
            }
        }
    }

    /// The oldest start, or what a transaction would start at that began now.
    pub(super) fn oldest(&self, now: impl FnOnce() -> Tso) -> Tso {
        let open = self.0.lock();
        open.keys().next().copied().unwrap_or_else(now)
    }
}

/// The shared inside of a cluster.
pub(super) struct Core {
    pub(super) dir: PathBuf,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) window: Option<Duration>,
    pub(super) identity: String,
    /// When the cluster was created: before, there is nothing to read.
    pub(super) created: AtomicU64,
    pub(super) catalog: RwLock<Catalog>,
    pub(super) commit: Mutex<CommitState>,
    pub(super) queue: Queue,
    pub(super) visible: Visible,
    pub(super) txns: OpenTxns,
    pub(super) door: Door,
    pub(super) history: Arc<History>,
    pub(super) log: LogWindow,
    pub(super) estimates: Estimates,
    pub(super) guard: Mutex<Guard>,
    /// The restores that are being worked on in this process.
    pub(super) restores: Mutex<BTreeSet<String>>,
    /// One collection at a time.
    pub(super) collecting: Mutex<()>,
}

impl Core {
    /// A mark at or after everything acknowledged; nothing later commits at or before it.
    pub(super) fn mark(&self) -> Result<Mark, ClusterError> {
        Ok(mark_at(self.exclusive()?.allocate()?))
    }

    /// A mark that somebody will rely on: what it covers is noted beside the store.
    pub(super) fn guarded_mark(&self) -> Result<Mark, ClusterError> {
        let mark = self.mark()?;
        let tip = self.commit.lock().tip;
        self.guard.lock().write(tip)?;
        Ok(mark)
    }

    /// Keeps a moment readable that must lie in the history window; `None` is now.
    pub(super) fn reading(&self, at: Option<Moment>) -> Result<Reading, ClusterError> {
        let Some(asked) = at else {
            let reading = self.history.read(|| self.visible.get());
            return reading.ok_or_else(|| self.outside(Moment::of_tso(self.visible.get()), Tso::ZERO));
        };
        let ts = asked.last_tso();
        let newest = self.settle(ts)?;
        if ts > newest {
            return Err(self.outside(asked, newest));
        }
        self.history.read(|| ts).ok_or_else(|| self.outside(asked, newest))
    }

    /// Makes sure that nothing later commits at or before a moment that the clock has reached; returns the
    /// newest readable timestamp.
    fn settle(&self, ts: Tso) -> Result<Tso, ClusterError> {
        if ts <= self.visible.get() {
            return Ok(self.visible.get());
        }
        let mut exclusive = self.exclusive()?;
        if ts.millis() <= self.clock.now().max(exclusive.last().millis()) {
            exclusive.advance(ts)?;
        }
        Ok(exclusive.last())
    }

    fn outside(&self, asked: Moment, newest: Tso) -> ClusterError {
        ClusterError::OutsideHistory {
            asked,
            from: Moment::of_tso(self.oldest()),
            to: Moment::of_tso(newest.max(self.visible.get())),
        }
    }

    /// The oldest moment that can be read.
    pub(super) fn oldest(&self) -> Tso {
        self.history.safepoint().max(Tso(self.created.load(Ordering::SeqCst)))
    }

    /// What a table's name means at a moment, and its rows.
    pub(super) fn table(&self, name: &TableName, ts: Tso) -> Result<(Arc<TableInfo>, Rows), ClusterError> {
        let info = self.catalog.read().get(name, ts)?;
        let rows = self.store.rows(info.id)?;
        Ok((info, rows))
    }
}

/// The mark of a timestamp.
pub(super) fn mark_at(ts: Tso) -> Mark {
    Mark {
        moment: Moment::of_tso(ts),
        position: Position::Tso(ts),
    }
}
