//! The workers of a backup: tables are split into ranges, ranges are read into data objects.
//!
//! A range that is longer than one data object leaves a rest, which goes back into the queue. What is finished
//! is saved in the resume log before the next chunk of the same range is started.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

use super::pace::Pace;
use super::{BackupPlan, level};
use crate::archive::{Archive, ArchiveLock, DataWriter, StoredObject};
use crate::cluster::{BatchSink, ChunkRange, Snapshot, Stop, TableDef};
use crate::engine::cx::{JobCx, Meter};
use crate::engine::error::{Doing, EngineError, unwrap_stop};
use crate::model::checksum::TableChecksum;
use crate::model::crash::crash_point;
use crate::model::ids::BackupId;
use crate::model::table::TableName;

/// Bytes of rows in one data object.
const OBJECT_BYTES: u64 = 64 << 20;
/// A table is split into ranges of at least this many bytes, as estimated.
const RANGE_BYTES: u64 = 32 << 20;

/// A finished data object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ChunkDone {
    pub table: TableName,
    /// Which range of the table.
    pub part: usize,
    /// Which object of the backup; grows within a part.
    pub number: u64,
    pub object: StoredObject,
    pub sum: TableChecksum,
    /// What is left of the range.
    pub rest: Option<ChunkRange>,
}

const CHUNK: &str = "chunk/";
const SPLIT: &str = "split/";

/// What an interrupted run had done.
#[derive(Default)]
pub(super) struct Resumed {
    done: Vec<ChunkDone>,
    /// The ranges each table had been cut into.
    splits: BTreeMap<TableName, Vec<ChunkRange>>,
    /// What the last finished chunk of each part left over.
    last: BTreeMap<(TableName, usize), Option<ChunkRange>>,
}

impl Resumed {
    /// Reads the resume log.
    pub(super) fn read(memory: Vec<(String, serde_json::Value)>) -> Result<Self, EngineError> {
        let mut resumed = Resumed::default();
        for (key, value) in memory {
            let bad = |e: &dyn std::fmt::Display| {
                EngineError::Corrupt(format!("the job's memory of {key} cannot be read: {e}"))
            };
            if key.starts_with(CHUNK) {
                resumed.done.push(serde_json::from_value(value).map_err(|e| bad(&e))?);
            } else if let Some(table) = key.strip_prefix(SPLIT) {
                let table = table.parse().map_err(|e| bad(&e))?;
                resumed
                    .splits
                    .insert(table, serde_json::from_value(value).map_err(|e| bad(&e))?);
            }
        }
        resumed.done.sort_by_key(|c| c.number);
        let last = resumed.done.iter().map(|c| ((c.table.clone(), c.part), c.rest.clone()));
        resumed.last = last.collect();
        Ok(resumed)
    }

    /// How many chunks are finished.
    pub(super) fn chunks(&self) -> usize {
        self.done.len()
    }
}

enum Task {
    Split(TableDef),
    Read {
        table: TableName,
        part: usize,
        range: ChunkRange,
    },
}

struct Queue {
    tasks: VecDeque<Task>,
    /// Workers that may still add tasks.
    busy: usize,
    error: Option<EngineError>,
}

/// The whole reading phase.
pub(super) struct Work<'a> {
    archive: &'a Archive,
    lock: &'a ArchiveLock,
    id: &'a BackupId,
    plan: &'a BackupPlan,
    snapshot: &'a dyn Snapshot,
    cx: &'a dyn JobCx,
    meter: Arc<Meter>,
    pace: Pace,
    defs: Vec<TableDef>,
    splits: BTreeMap<TableName, Vec<ChunkRange>>,
    last: BTreeMap<(TableName, usize), Option<ChunkRange>>,
    next_number: AtomicU64,
    done: Mutex<Vec<ChunkDone>>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl<'a> Work<'a> {
    #[allow(clippy::too_many_arguments)] // gathered once, from one caller
    pub(super) fn new(
        archive: &'a Archive,
        lock: &'a ArchiveLock,
        id: &'a BackupId,
        plan: &'a BackupPlan,
        snapshot: &'a dyn Snapshot,
        cx: &'a dyn JobCx,
        meter: Arc<Meter>,
        defs: Vec<TableDef>,
        resumed: Resumed,
    ) -> Self {
        let Resumed { done, splits, last } = resumed;
        meter.add(done.iter().map(|c| c.sum.bytes).sum());
        Work {
            archive,
            lock,
            id,
            plan,
            snapshot,
            cx,
            meter,
            pace: Pace::new(plan.rate_limit),
            next_number: AtomicU64::new(done.iter().map(|c| c.number + 1).max().unwrap_or(0)),
            queue: Mutex::new(Queue {
                tasks: defs.iter().cloned().map(Task::Split).collect(),
                busy: 0,
                error: None,
            }),
            defs,
            splits,
            last,
            done: Mutex::new(done),
            changed: Condvar::new(),
        }
    }

    /// Reads everything; returns the tables and all finished chunks.
    pub(super) fn run(self) -> Result<(Vec<TableDef>, Vec<ChunkDone>), EngineError> {
        std::thread::scope(|scope| {
            for n in 0..self.plan.concurrency {
                let worker = || self.work();
                if let Err(source) = std::thread::Builder::new()
                    .name(format!("backup-{n}"))
                    .spawn_scoped(scope, worker)
                {
                    self.fail(EngineError::Corrupt(format!(
                        "no worker thread could be started: {source}"
                    )));
                }
            }
            self.keep_alive();
        });
        let queue = self.queue.into_inner();
        match queue.error {
            Some(e) => Err(e),
            None => Ok((self.defs, self.done.into_inner())),
        }
    }

    /// Keeps the view's history from being collected until the workers are done.
    fn keep_alive(&self) {
        let mut queue = self.queue.lock();
        while queue.error.is_none() && !(queue.tasks.is_empty() && queue.busy == 0) {
            let timed_out = self.changed.wait_for(&mut queue, Duration::from_secs(5)).timed_out();
            if timed_out && let Err(e) = parking_lot::MutexGuard::unlocked(&mut queue, || self.snapshot.keep_alive()) {
                queue.error.get_or_insert(e.into());
                self.changed.notify_all();
            }
        }
    }

    fn work(&self) {
        while let Some(task) = self.next_task() {
            // A panic must not leave the others waiting for this worker.
            let performed = catch_unwind(AssertUnwindSafe(|| self.perform(task)));
            let result = performed.unwrap_or_else(|_| {
                Err(EngineError::Corrupt(
                    "a worker of the backup stopped at an error in brine itself".to_owned(),
                ))
            });
            let mut queue = self.queue.lock();
            queue.busy -= 1;
            match result {
                // In front, so that a table is finished before the next is begun and memory of it stays small.
                Ok(more) => more.into_iter().rev().for_each(|t| queue.tasks.push_front(t)),
                Err(e) => {
                    queue.error.get_or_insert(e);
                }
            }
            drop(queue);
            self.changed.notify_all();
        }
    }

    fn next_task(&self) -> Option<Task> {
        let mut queue = self.queue.lock();
        loop {
            if queue.error.is_some() {
                return None;
            }
            if let Some(task) = queue.tasks.pop_front() {
                queue.busy += 1;
                return Some(task);
            }
            if queue.busy == 0 {
                return None;
            }
            self.changed.wait(&mut queue);
        }
    }

    fn fail(&self, e: EngineError) {
        self.queue.lock().error.get_or_insert(e);
        self.changed.notify_all();
    }

    fn perform(&self, task: Task) -> Result<Vec<Task>, EngineError> {
        self.cx.check()?;
        match task {
            Task::Split(def) => self.split(&def),
            Task::Read { table, part, range } => self.read(table, part, range).map(|rest| rest.into_iter().collect()),
        }
    }

    /// The ranges of a table: as an earlier run had cut them, less what it had finished, or cut now.
    fn split(&self, def: &TableDef) -> Result<Vec<Task>, EngineError> {
        let ranges = match self.splits.get(&def.name) {
            Some(ranges) => ranges.clone(),
            None => {
                let parts = self.plan.concurrency * 4;
                let parts = parts.min(usize::try_from(self.plan.bytes_estimate / RANGE_BYTES).unwrap_or(parts) + 1);
                let ranges = self.snapshot.split(&def.name, parts)?;
                self.cx
                    .resume_log()
                    .save(&format!("{SPLIT}{}", def.name), &serde_json::json!(ranges))?;
                ranges
            }
        };
        let left = ranges.into_iter().enumerate().filter_map(|(part, range)| {
            let table = def.name.clone();
            let range = self.last.get(&(table.clone(), part)).cloned().unwrap_or(Some(range))?;
            Some(Task::Read { table, part, range })
        });
        Ok(left.collect())
    }

    /// Reads one data object's worth of a range; returns the task for the rest.
    fn read(&self, table: TableName, part: usize, range: ChunkRange) -> Result<Option<Task>, EngineError> {
        let number = self.next_number.fetch_add(1, Ordering::SeqCst);
        let writer = self.archive.data_writer(self.lock, self.id, number, level(self.plan))?;
        let mut sink = Sink { work: self, writer };
        let read = self
            .snapshot
            .read(&table, &range, OBJECT_BYTES, &mut sink)
            .map_err(unwrap_stop);
        let read = read.doing(|| format!("reading {table}"))?;
        crash_point("backup.before-data-object");
        let object = sink.writer.finish().doing(|| format!("storing rows of {table}"))?;
        crash_point("backup.after-data-object");
        let rest = read.rest.clone();
        let chunk = ChunkDone {
            table: table.clone(),
            part,
            number,
            object,
            sum: read.sum,
            rest: read.rest,
        };
        self.cx
            .resume_log()
            .save(&format!("{CHUNK}{number:08}"), &serde_json::json!(chunk))?;
        self.done.lock().push(chunk);
        crash_point("backup.after-chunk-saved");
        Ok(rest.map(|range| Task::Read { table, part, range }))
    }
}

struct Sink<'w, 'a> {
    work: &'w Work<'a>,
    writer: DataWriter,
}

impl BatchSink for Sink<'_, '_> {
    fn put(&mut self, batch: &[u8], _rows: u64) -> Result<(), Stop> {
        let stop = |e: EngineError| Stop(Box::new(e));
        self.work.cx.check().map_err(|e| stop(e.into()))?;
        self.writer.put(batch).map_err(|e| stop(e.into()))?;
        self.work.meter.add(batch.len() as u64);
        let wait = self.work.pace.wait_for(batch.len() as u64, Instant::now());
        self.sleep(wait).map_err(stop)
    }
}

impl Sink<'_, '_> {
    /// Waits in short naps, so that a cancel is heard.
    fn sleep(&self, mut wait: Duration) -> Result<(), EngineError> {
        const NAP: Duration = Duration::from_millis(100);
        while !wait.is_zero() {
            self.work.cx.check()?;
            let nap = wait.min(NAP);
            std::thread::sleep(nap);
            wait -= nap;
        }
        Ok(())
    }
}
