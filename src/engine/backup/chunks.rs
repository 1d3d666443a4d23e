//! The workers of a backup: tables are split into ranges, ranges are read into data objects.
//!
//! A range that is longer than one data object leaves a rest, which goes back into the queue. Where the view can be opened
//! again, what is finished is saved in the resume log before the next chunk of the same range is started.
//!
//! Objects are finished on threads of their own while the worker reads on: each waits for the storage twice. Many small ones
//! wait at a time, because those that wait together are written together: a server with thousands of small tables is backed up
//! several times as fast. Of the large ones a worker leaves one behind, so that what is not safe yet stays little.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

use super::pace::Pace;
use super::{BackupPlan, level};
use crate::archive::{Archive, ArchiveLock, DataWriter, StoredObject};
use crate::cluster::{BatchSink, ChunkRange, ChunkRead, ClusterError, Snapshot, Stop, TableDef};
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
/// Threads that finish small objects; large ones have as many as there are workers.
const FINISHERS: usize = 8;
/// What counts as small: so many bytes in the store at most.
const SMALL_BYTES: u64 = 256 << 10;

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
    /// The view can be opened again, so that what is finished is worth remembering.
    resumable: bool,
    cx: &'a dyn JobCx,
    meter: Arc<Meter>,
    pace: Pace,
    defs: Vec<TableDef>,
    splits: BTreeMap<TableName, Vec<ChunkRange>>,
    last: BTreeMap<(TableName, usize), Option<ChunkRange>>,
    next_number: AtomicU64,
    done: Mutex<Vec<ChunkDone>>,
    /// Tables that went away before they were read.
    gone: Mutex<BTreeSet<TableName>>,
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
            resumable: snapshot.token().is_some(),
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
            gone: Mutex::new(BTreeSet::new()),
            changed: Condvar::new(),
        }
    }

    /// Reads everything; returns the tables and all finished chunks.
    pub(super) fn run(self) -> Result<(Vec<TableDef>, Vec<ChunkDone>), EngineError> {
        std::thread::scope(|scope| {
            let (small, take_small) = bounded(FINISHERS);
            let (large, take_large) = bounded(0);
            let this = &self;
            let finishers = std::iter::repeat_n(take_small, FINISHERS)
                .chain(std::iter::repeat_n(take_large, self.plan.concurrency));
            for (n, take) in finishers.enumerate() {
                let finisher = std::thread::Builder::new().name(format!("backup-finish-{n}"));
                this.started(finisher.spawn_scoped(scope, move || this.finish_all(&take)));
            }
            let give = Finishers { small, large };
            for n in 0..self.plan.concurrency {
                let give = give.clone();
                let worker = std::thread::Builder::new().name(format!("backup-{n}"));
                this.started(worker.spawn_scoped(scope, move || this.work(&give)));
            }
            // The finishers end when the last worker has.
            drop(give);
            self.keep_alive();
        });
        let queue = self.queue.into_inner();
        match queue.error {
            Some(e) => Err(e),
            None => {
                let gone = self.gone.into_inner();
                let (mut defs, mut done) = (self.defs, self.done.into_inner());
                defs.retain(|def| !gone.contains(&def.name));
                done.retain(|chunk| !gone.contains(&chunk.table));
                Ok((defs, done))
            }
        }
    }

    fn started<T>(&self, thread: std::io::Result<T>) {
        if let Err(source) = thread {
            self.fail(EngineError::Corrupt(format!(
                "no worker thread could be started: {source}"
            )));
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

    fn work(&self, finishers: &Finishers) {
        while let Some(task) = self.next_task() {
            let result = guarded(|| self.perform(task, finishers));
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

    /// Finishes what the workers hand over, until they are all gone; after an error the rest is dropped, which leaves nothing.
    fn finish_all(&self, take: &Receiver<Unfinished>) {
        for unfinished in take {
            if self.queue.lock().error.is_some() {
                continue;
            }
            if let Err(e) = guarded(|| self.finish(unfinished)) {
                self.fail(e);
            }
        }
    }

    fn perform(&self, task: Task, finishers: &Finishers) -> Result<Vec<Task>, EngineError> {
        self.cx.check()?;
        let done = match task {
            Task::Split(def) => self.split(&def),
            Task::Read { table, .. } if self.gone.lock().contains(&table) => Ok(Vec::new()),
            Task::Read { table, part, range } => {
                let rest = self.read(table, part, range, finishers);
                rest.map(|rest| rest.into_iter().collect())
            }
        };
        match done {
            Err(e) => match went_away(&e) {
                Some(table) => {
                    self.gone.lock().insert(table.clone());
                    Ok(Vec::new())
                }
                None => Err(e),
            },
            done => done,
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
                self.remember(&format!("{SPLIT}{}", def.name), &ranges)?;
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
    fn read(
        &self,
        table: TableName,
        part: usize,
        range: ChunkRange,
        finishers: &Finishers,
    ) -> Result<Option<Task>, EngineError> {
        let number = self.next_number.fetch_add(1, Ordering::SeqCst);
        let writer = self.archive.data_writer(self.lock, self.id, number, level(self.plan))?;
        let mut sink = Sink { work: self, writer };
        let read = self
            .snapshot
            .read(&table, &range, OBJECT_BYTES, &mut sink)
            .map_err(unwrap_stop);
        let read = read.doing(|| format!("reading {table}"))?;
        let rest = read.rest.clone();
        let unfinished = Unfinished {
            writer: sink.writer,
            table: table.clone(),
            part,
            number,
            read,
        };
        // One that can be resumed goes on with a range only when what was read of it is remembered.
        match self.resumable {
            true => self.finish(unfinished)?,
            false => finishers.take(unfinished).map_or(Ok(()), |back| self.finish(back))?,
        }
        Ok(rest.map(|range| Task::Read { table, part, range }))
    }

    fn finish(&self, unfinished: Unfinished) -> Result<(), EngineError> {
        let Unfinished {
            writer,
            table,
            part,
            number,
            read,
        } = unfinished;
        crash_point("backup.before-data-object");
        let object = writer.finish().doing(|| format!("storing rows of {table}"))?;
        crash_point("backup.after-data-object");
        let chunk = ChunkDone {
            table,
            part,
            number,
            object,
            sum: read.sum,
            rest: read.rest,
        };
        self.remember(&format!("{CHUNK}{number:08}"), &chunk)?;
        self.done.lock().push(chunk);
        crash_point("backup.after-chunk-saved");
        Ok(())
    }

    /// Saves what a resumed run goes on from, where one can.
    fn remember<T: Serialize>(&self, key: &str, value: &T) -> Result<(), EngineError> {
        if self.resumable {
            self.cx.resume_log().save(key, &serde_json::json!(value))?;
        }
        Ok(())
    }
}

/// The table that went away before it was read, if that is what an error says.
fn went_away(e: &EngineError) -> Option<&TableName> {
    match e {
        EngineError::While { source, .. } => went_away(source),
        EngineError::Cluster(ClusterError::TableGone(table)) => Some(table),
        _ => None,
    }
}

/// An object whose rows are all written, and which is not in the store yet.
struct Unfinished {
    writer: DataWriter,
    table: TableName,
    part: usize,
    number: u64,
    read: ChunkRead,
}

/// Who finishes what the workers hand over.
#[derive(Clone)]
struct Finishers {
    small: Sender<Unfinished>,
    /// Holds none: who hands one over waits until a thread is there for it.
    large: Sender<Unfinished>,
}

impl Finishers {
    /// Hands it over; gives it back when no such thread could be started.
    fn take(&self, unfinished: Unfinished) -> Option<Unfinished> {
        let to = match unfinished.writer.stored_bytes() > SMALL_BYTES {
            true => &self.large,
            false => &self.small,
        };
        to.send(unfinished).err().map(|back| back.into_inner())
    }
}

/// A panic must not leave the others waiting for this thread.
fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(EngineError::Corrupt(
            "a worker of the backup stopped at an error in brine itself".to_owned(),
        ))
    })
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
