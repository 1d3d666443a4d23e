//! The task that streams a cluster's change log into segments.
//!
//! Nothing it holds in memory matters: the log document says where it is, and a new task goes on from there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::LogOptions;
use super::compaction::Tail;
use super::index::IndexBuilder;
use super::runs::{self, OpenRun};
use crate::archive::log::{ChainHash, Entry, SegmentEnd, SegmentInfo, SegmentName, SegmentStart, SegmentWriter};
use crate::archive::state::LogDoc;
use crate::archive::{Archive, ArchiveLock, Level};
use crate::cluster::{Cluster, ClusterError, LogEvent, Mark, Pieces, Txn};
use crate::engine::cx::{Cancelled, JobCx};
use crate::engine::error::{Doing, EngineError};
use crate::model::clock::Millis;
use crate::model::crash::crash_point;
use crate::model::job::LineLevel;
use crate::model::log::{LogRun, RunEnd};
use crate::model::position::{Moment, Position};

/// How long the task waits for a change before it looks around.
const POLL: Duration = Duration::from_millis(200);
/// Rates are over this long.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// What others see of a running task, and what they ask of it.
#[derive(Debug, Default)]
pub struct LogShared {
    live: Mutex<Live>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Live {
    stop: bool,
    /// The newest moment somebody waits for.
    flush_to: Option<Moment>,
    checkpoint: Option<Moment>,
    streaming: bool,
    ended: bool,
    samples: Vec<(Instant, u64, u64)>,
}

/// The rates of a running task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogRates {
    /// Bytes of changes per second over the last minute.
    pub bytes: f64,
    /// Transactions per second over the last minute.
    pub transactions: f64,
}

impl LogShared {
    /// Asks the task to flush and end.
    pub fn stop(&self) {
        self.live.lock().stop = true;
        self.changed.notify_all();
    }

    /// Whether it is archiving.
    pub fn is_streaming(&self) -> bool {
        let live = self.live.lock();
        live.streaming && !live.ended
    }

    /// The checkpoint it has reached.
    pub fn checkpoint(&self) -> Option<Moment> {
        self.live.lock().checkpoint
    }

    /// How fast it archives.
    pub fn rates(&self, now: Instant) -> LogRates {
        let live = self.live.lock();
        let recent = live
            .samples
            .iter()
            .filter(|(at, _, _)| now.duration_since(*at) <= RATE_WINDOW);
        let (bytes, transactions) = recent.fold((0, 0), |(b, t), s| (b + s.1, t + s.2));
        let seconds = RATE_WINDOW.as_secs_f64();
        LogRates {
            bytes: bytes as f64 / seconds,
            transactions: transactions as f64 / seconds,
        }
    }

    /// Asks for a flush and waits until the checkpoint has reached `moment`.
    ///
    /// Returns false when the task ended before that.
    pub fn flush_to(&self, moment: Moment, cx: &dyn JobCx) -> Result<bool, Cancelled> {
        let mut live = self.live.lock();
        live.flush_to = live.flush_to.max(Some(moment));
        while live.checkpoint < Some(moment) {
            if live.ended {
                return Ok(false);
            }
            cx.check()?;
            self.changed.wait_for(&mut live, POLL);
        }
        Ok(true)
    }

    fn wants_stop(&self) -> bool {
        self.live.lock().stop
    }

    fn flush_wanted(&self, checkpoint: Moment) -> bool {
        self.live.lock().flush_to.is_some_and(|m| m > checkpoint)
    }

    fn publish(&self, checkpoint: Moment, bytes: u64, transactions: u64) {
        let now = Instant::now();
        let mut live = self.live.lock();
        live.checkpoint = Some(checkpoint);
        live.streaming = true;
        live.samples.retain(|(at, _, _)| now.duration_since(*at) <= RATE_WINDOW);
        live.samples.push((now, bytes, transactions));
        drop(live);
        self.changed.notify_all();
    }

    /// The task is over, however it ended.
    pub fn end(&self) {
        self.live.lock().ended = true;
        self.changed.notify_all();
    }
}

/// Streams one cluster's log into one archive.
pub struct LogTask {
    /// The source.
    pub cluster: Arc<dyn Cluster>,
    /// Where to.
    pub archive: Archive,
    /// The archive's lock, held by this process.
    pub lock: Arc<ArchiveLock>,
    /// How.
    pub options: LogOptions,
    /// What others see.
    pub shared: Arc<LogShared>,
}

/// The segment that is being filled.
struct Filling {
    writer: SegmentWriter,
    index: IndexBuilder,
    since: Instant,
    last: Mark,
    bytes: u64,
    transactions: u64,
}

/// When the task is done.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    Stopped,
    Reached(Moment),
}

impl LogTask {
    /// Archives until it is asked to stop; flushes before it returns.
    pub fn run(&self, cx: &dyn JobCx) -> Result<(), EngineError> {
        let result = self.stream(cx, Until::Stopped);
        self.shared.end();
        result.map(|_| ())
    }

    /// Archives everything up to the cluster's present moment and returns the checkpoint.
    pub fn catch_up(&self, cx: &dyn JobCx) -> Result<Moment, EngineError> {
        let now = self.cluster.mark()?;
        let reached = self.stream(cx, Until::Reached(now.moment))?;
        if reached < now.moment {
            // Only a cancel ends it before.
            cx.check()?;
        }
        Ok(reached)
    }

    fn stream(&self, cx: &dyn JobCx, until: Until) -> Result<Moment, EngineError> {
        let open = runs::open(&*self.cluster, &self.archive, &self.lock, cx)?;
        self.cluster.keep_log(Some(&open.run.to_position))?;
        let (tail, last) = Tail::load(&self.archive, &open.run)?;
        let covered = match last {
            Some(name) => self.end_of_stored(&name, &open.run, cx)?,
            None => beginning(&open.run),
        };
        let mut stream = Stream {
            task: self,
            tail,
            covered,
            open,
            filling: None,
            reached: None,
            idle_since: Instant::now(),
        };
        self.shared.publish(stream.open.run.to, 0, 0);
        loop {
            let stop = self.shared.wants_stop() || cx.check().is_err();
            if stop || stream.is_at(until) {
                stream.flush(cx)?;
                if stop || stream.is_at(until) {
                    return Ok(stream.open.run.to);
                }
            }
            if let Err(e) = stream.step(cx) {
                return Err(stream.break_off(e, cx));
            }
        }
    }
}

impl LogTask {
    /// Where the last stored segment ends. One that is damaged is a hole in the past; what comes now is still archived.
    fn end_of_stored(&self, name: &SegmentName, run: &LogRun, cx: &dyn JobCx) -> Result<Mark, EngineError> {
        match self.archive.segment_index(name) {
            Ok(info) => Ok(end_of(&info)),
            Err(e) if e.is_corrupt() => {
                cx.line(
                    LineLevel::Warning,
                    format!("take a new snapshot: the last log segment cannot be read: {e}"),
                );
                // Its name tells the moment. Without a TSO the position of the checkpoint behind it has to do.
                let position = name.to.tso.map_or_else(|| run.to_position.clone(), Position::Tso);
                Ok(Mark {
                    moment: name.to,
                    position,
                })
            }
            Err(e) => Err(e.into()),
        }
    }
}

struct Stream<'a> {
    task: &'a LogTask,
    open: OpenRun,
    tail: Tail,
    /// Where the last segment ends. The next one begins there, not at the checkpoint that idle time has moved on: so it
    /// tells by itself that nothing was between them.
    covered: Mark,
    filling: Option<Filling>,
    /// The newest mark up to which everything has been handed over.
    reached: Option<Mark>,
    idle_since: Instant,
}

impl Stream<'_> {
    /// Whether everything up to the wanted moment has come in.
    fn is_at(&self, until: Until) -> bool {
        let Until::Reached(moment) = until else {
            return false;
        };
        self.open.run.to >= moment || self.reached.as_ref().is_some_and(|m| m.moment >= moment)
    }

    fn step(&mut self, cx: &dyn JobCx) -> Result<(), EngineError> {
        let event = self
            .open
            .changes
            .next(POLL)
            .doing(|| "reading the source's change log".to_owned())?;
        match event {
            Some(LogEvent::Txn(txn)) => match &txn.pieces {
                None => self.take(&txn)?,
                Some(pieces) => self.take_large(&txn, pieces, cx)?,
            },
            Some(LogEvent::Reached(mark)) => self.reached = Some(mark),
            Some(LogEvent::Restored(mark)) => return self.cross(&mark, cx),
            None => {}
        }
        if self.is_due() { self.flush(cx) } else { Ok(()) }
    }

    fn take(&mut self, txn: &Txn) -> Result<(), EngineError> {
        let mut filling = match self.filling.take() {
            Some(f) => f,
            None => self.begin_segment()?,
        };
        filling.writer.put(Entry {
            commit: txn.commit,
            id: &txn.id,
            payload: &txn.payload,
        })?;
        filling.index.add(txn);
        filling.last = Mark {
            moment: txn.commit,
            position: txn.position.clone(),
        };
        filling.bytes += txn.payload.len() as u64;
        filling.transactions += 1;
        self.filling = Some(filling);
        Ok(())
    }

    /// A transaction that is too large for memory gets a segment of its own, which is written as it is read.
    ///
    /// When the task is to end, it is left: the stream gives it again.
    fn take_large(&mut self, txn: &Txn, pieces: &Pieces, cx: &dyn JobCx) -> Result<(), EngineError> {
        self.flush(cx)?;
        let (archive, lock) = (&self.task.archive, &self.task.lock);
        let stopping = || self.task.shared.wants_stop() || cx.check().is_err();
        let entry = Entry {
            commit: txn.commit,
            id: &txn.id,
            payload: &txn.payload,
        };
        let mut segment = archive.large_segment(self.next_start()?, entry, pieces.count())?;
        for number in 0..pieces.count() {
            if stopping() {
                return Ok(());
            }
            segment.hash(&pieces.read(number)?)?;
        }
        let mut index = IndexBuilder::behind(&self.open.run.waiting);
        index.add(txn);
        let end = SegmentEnd {
            to: txn.commit,
            to_position: txn.position.clone(),
            index: index.finish(),
        };
        let doing = || "storing a log segment of one large transaction".to_owned();
        let mut writer = segment.write(lock, self.level(), end).doing(doing)?;
        for number in 0..pieces.count() {
            if stopping() {
                return Ok(());
            }
            writer.put(&pieces.read(number)?).doing(doing)?;
        }
        let info = writer.finish(lock).doing(doing)?;
        self.stored(info)?;
        self.publish(txn.bytes(), 1, cx)
    }

    /// Where the next segment begins.
    fn next_start(&self) -> Result<SegmentStart, EngineError> {
        let run = &self.open.run;
        Ok(SegmentStart {
            seq: run.end_seq,
            prev_hash: chain(&run.last_hash)?,
            incarnation: run.incarnation,
            from: self.covered.moment,
            from_position: self.covered.position.clone(),
        })
    }

    fn level(&self) -> Level {
        Level::new(self.task.options.level).unwrap_or_default()
    }

    fn begin_segment(&self) -> Result<Filling, EngineError> {
        let run = &self.open.run;
        let archive = &self.task.archive;
        Ok(Filling {
            writer: archive.segment_writer(&self.task.lock, self.next_start()?, self.level())?,
            index: IndexBuilder::behind(&run.waiting),
            since: Instant::now(),
            last: Mark {
                moment: run.to,
                position: run.to_position.clone(),
            },
            bytes: 0,
            transactions: 0,
        })
    }

    fn is_due(&self) -> bool {
        let options = &self.task.options;
        let waited = match &self.filling {
            Some(f) if f.bytes >= options.flush_bytes => return true,
            Some(f) => f.since.elapsed(),
            None => self.idle_since.elapsed(),
        };
        let checkpoint = self.open.run.to;
        let has_news = self.filling.is_some() || self.reached.as_ref().is_some_and(|m| m.moment > checkpoint);
        has_news && (waited >= options.flush_every || self.task.shared.flush_wanted(checkpoint))
    }

    /// The stream failed. Where the source's log itself is damaged or gone, trying again would fail for ever: what is whole
    /// is archived, the stretch ends there, and the next one begins behind it.
    fn break_off(&mut self, e: EngineError, cx: &dyn JobCx) -> EngineError {
        if !is_for_good(&e) {
            return e;
        }
        let (archive, lock) = (&self.task.archive, &self.task.lock);
        let ended = self
            .flush(cx)
            .and_then(|()| runs::end_run(archive, lock, &self.open.run, RunEnd::SourceLogGone));
        if let Err(also) = ended {
            cx.line(
                LineLevel::Warning,
                format!("the stretch of log could not be ended: {also}"),
            );
        }
        e
    }

    /// Closes the segment and moves the checkpoint.
    fn flush(&mut self, cx: &dyn JobCx) -> Result<(), EngineError> {
        let (archive, lock) = (&self.task.archive, &self.task.lock);
        let (mut bytes, mut transactions) = (0, 0);
        if let Some(f) = self.filling.take() {
            (bytes, transactions) = (f.bytes, f.transactions);
            let end = SegmentEnd {
                to: f.last.moment,
                to_position: f.last.position,
                index: f.index.finish(),
            };
            let info = f
                .writer
                .finish(lock, end)
                .doing(|| "storing a log segment".to_owned())?;
            self.stored(info)?;
        }
        if let Some(mark) = self.reached.take().filter(|m| m.moment > self.open.run.to) {
            runs::advance_idle(archive, lock, &mut self.open.run, &mark)?;
        }
        self.publish(bytes, transactions, cx)
    }

    /// A segment is in the storage: the log document names it from now on.
    fn stored(&mut self, info: SegmentInfo) -> Result<(), EngineError> {
        crash_point("log.after-segment");
        runs::advance(&self.task.archive, &self.task.lock, &mut self.open.run, &info)?;
        self.covered = end_of(&info);
        crash_point("log.after-state");
        self.tail.push(info.name);
        Ok(())
    }

    /// Tells others how far it has come, and merges what has become enough.
    fn publish(&mut self, bytes: u64, transactions: u64, cx: &dyn JobCx) -> Result<(), EngineError> {
        let (archive, lock) = (&self.task.archive, &self.task.lock);
        self.idle_since = Instant::now();
        self.task.cluster.keep_log(Some(&self.open.run.to_position))?;
        self.task.shared.publish(self.open.run.to, bytes, transactions);
        if let Err(e) = self.tail.compact(archive, lock, cx) {
            // Merging saves objects; that it fails must not keep new changes from being archived.
            lock.check()?;
            cx.line(LineLevel::Warning, format!("small log segments stay as they are: {e}"));
            self.tail = Tail::default();
        }
        Ok(())
    }

    /// The stream came across a restore: this history ends here and the next begins.
    fn cross(&mut self, mark: &Mark, cx: &dyn JobCx) -> Result<(), EngineError> {
        self.reached = None;
        self.flush(cx)?;
        let task = self.task;
        self.open = runs::cross_restore(&*task.cluster, &task.archive, &task.lock, &self.open.run, mark)?;
        self.tail = Tail::default();
        self.covered = beginning(&self.open.run);
        task.shared.publish(self.open.run.to, 0, 0);
        Ok(())
    }
}

/// Where a segment ends.
fn end_of(segment: &SegmentInfo) -> Mark {
    Mark {
        moment: segment.name.to,
        position: segment.to_position.clone(),
    }
}

/// Where a stretch without segments begins.
fn beginning(run: &LogRun) -> Mark {
    Mark {
        moment: run.from,
        position: run.from_position.clone(),
    }
}

fn is_for_good(e: &EngineError) -> bool {
    match e {
        EngineError::While { source, .. } => is_for_good(source),
        EngineError::Cluster(e) => e.ends_log() || matches!(e, ClusterError::Malformed { .. }),
        _ => false,
    }
}

fn chain(hex: &str) -> Result<ChainHash, EngineError> {
    ChainHash::from_hex(hex)
        .ok_or_else(|| EngineError::Corrupt("the log document holds a chain hash that is none".to_owned()))
}

/// Notes an error of the log backup in the log document, for everyone to see.
pub fn record_error(archive: &Archive, lock: &ArchiveLock, at: Millis, text: String) -> Result<(), EngineError> {
    let error = crate::model::log::LogError { at, text };
    archive.update(lock, |doc: &mut LogDoc| doc.last_error = Some(error.clone()))?;
    Ok(())
}
