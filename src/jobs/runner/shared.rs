//! What the runner, its job threads and its once-a-second writer share.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::cx::RunCx;
use super::live::{Live, Outcome};
use super::{Rebuild, STOPPING, Work, journal_error, refused};
use crate::jobs::error::{ErrorKind, JobError};
use crate::jobs::journal::{Ended, Journal, JournalError};
use crate::jobs::priority;
use crate::model::clock::Clock;
use crate::model::ids::JobId;
use crate::model::job::{JobState, Verb};

/// Counters are written this often.
const TICK: Duration = Duration::from_secs(1);

pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rebuild: Mutex<Option<Rebuild>>,
    pub(super) queue: Mutex<Queue>,
    /// Jobs that are not over, or whose end the journal does not have yet.
    pub(super) live: Mutex<BTreeMap<JobId, Arc<Live>>>,
    pub(super) version: Mutex<u64>,
    changed: Condvar,
    /// Another process has the lease: stop working.
    pub(super) fenced: AtomicBool,
    closed: AtomicBool,
}

#[derive(Default)]
pub(super) struct Queue {
    pending: Vec<(Arc<Live>, Work)>,
    busy: HashSet<String>,
}

/// Somebody waits for a restore with a closed cluster; everything else can step back.
fn is_urgent(verb: Verb) -> bool {
    match verb {
        Verb::Restore | Verb::Undo => true,
        Verb::Backup | Verb::Delete | Verb::Verify | Verb::Retention | Verb::Truncate | Verb::Compact => false,
    }
}

impl Shared {
    pub(super) fn start(journal: Journal, clock: Arc<dyn Clock>) -> Result<Arc<Shared>, JournalError> {
        let shared = Arc::new(Shared {
            journal,
            clock,
            rebuild: Mutex::default(),
            queue: Mutex::default(),
            live: Mutex::default(),
            version: Mutex::new(1),
            changed: Condvar::new(),
            fenced: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let writer = Arc::clone(&shared);
        let spawned = std::thread::Builder::new()
            .name("job-writer".to_owned())
            .spawn(move || writer.write_on());
        spawned.map_err(|source| JournalError::Io {
            path: shared.journal.lease().dir().to_owned(),
            doing: "given its writer thread",
            source,
        })?;
        Ok(shared)
    }

    pub(super) fn live(&self, id: JobId) -> Option<Arc<Live>> {
        self.live.lock().get(&id).cloned()
    }

    pub(super) fn bump(&self) {
        *self.version.lock() += 1;
        self.changed.notify_all();
    }

    pub(super) fn changed_since(&self, version: u64, patience: Duration) -> u64 {
        let until = Instant::now() + patience;
        let mut now = self.version.lock();
        while *now == version && !self.changed.wait_until(&mut now, until).timed_out() {}
        *now
    }

    /// Remembers that we were replaced, and hands the error on.
    pub(super) fn fence_seen(&self, e: JournalError) -> JournalError {
        if matches!(e, JournalError::Fenced { .. }) {
            self.fenced.store(true, Ordering::Release);
        }
        e
    }

    /// For writes that will be tried again.
    pub(super) fn noted(&self, result: Result<(), JournalError>) -> bool {
        result.map_err(|e| self.fence_seen(e)).is_ok()
    }

    pub(super) fn accepts(&self, _queue: &Queue) -> Result<(), JobError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(refused(STOPPING.to_owned()));
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        // Under the queue's lock, so that nothing is accepted after this returns.
        let mut queue = self.queue.lock();
        self.closed.store(true, Ordering::Release);
        // They stay queued in the journal, and the next runner finds them there.
        for (left, _) in queue.pending.drain(..) {
            self.live.lock().remove(&left.id);
        }
        self.bump();
    }

    /// Closes unless a job is queued or at work.
    pub(super) fn close_if_idle(&self) -> bool {
        // Under the queue's lock, so that nothing is accepted between the look and the end.
        let _queue = self.queue.lock();
        let idle = self.active() == 0;
        if idle {
            self.closed.store(true, Ordering::Release);
            self.bump();
        }
        idle
    }

    pub(super) fn active(&self) -> usize {
        self.live.lock().values().filter(|l| !l.state().is_over()).count()
    }

    pub(super) fn enqueue(self: &Arc<Self>, queue: &mut Queue, live: Arc<Live>, work: Work) {
        self.live.lock().insert(live.id, Arc::clone(&live));
        queue.pending.push((live, work));
        self.dispatch(queue);
        self.bump();
    }

    /// Starts every job whose turn has come.
    fn dispatch(self: &Arc<Self>, queue: &mut Queue) {
        let mut i = 0;
        while let Some((live, _)) = queue.pending.get(i) {
            if live.exclusive.as_ref().is_some_and(|key| queue.busy.contains(key)) {
                i += 1;
                continue;
            }
            let (live, work) = queue.pending.remove(i);
            self.launch(queue, live, work);
        }
    }

    fn launch(self: &Arc<Self>, queue: &mut Queue, live: Arc<Live>, work: Work) {
        queue.busy.extend(live.exclusive.clone());
        if let Err(e) = live.move_on(&self.journal, JobState::Running, self.clock.now()) {
            let error = journal_error(self.fence_seen(e)).context("the job could not be started");
            return self.end(queue, &live, failed(error));
        }
        let (shared, job) = (Arc::clone(self), Arc::clone(&live));
        let spawned = std::thread::Builder::new()
            .name(format!("job-{}", live.id))
            .spawn(move || shared.run(&job, work));
        if let Err(e) = spawned {
            let error = JobError::of(ErrorKind::Failed, &e).context("no thread could be started for the job");
            self.end(queue, &live, failed(error));
        }
    }

    /// The life of a job's thread.
    fn run(self: Arc<Self>, live: &Arc<Live>, work: Work) {
        let job = live.job(self.clock.now());
        if !is_urgent(job.verb) {
            priority::step_back();
        }
        let asked_by = job.asked_by;
        let cx = RunCx {
            shared: Arc::clone(&self),
            live: Arc::clone(live),
            asked_by,
        };
        let result = catch_unwind(AssertUnwindSafe(|| work(&cx)));
        let outcome = match result {
            Ok(Ok(receipt)) => Outcome {
                state: JobState::Succeeded,
                error: None,
                receipt: Some(receipt),
            },
            Ok(Err(e)) if e.kind == ErrorKind::Cancelled && live.is_asked_to_stop() => Outcome {
                state: JobState::Cancelled,
                error: Some(e),
                receipt: None,
            },
            Ok(Err(e)) => failed(e),
            Err(panic) => failed(panicked(&*panic)),
        };
        drop(cx);
        let mut queue = self.queue.lock();
        self.end(&mut queue, live, outcome);
        self.dispatch(&mut queue);
        drop(queue);
        self.bump();
        self.noted(self.journal.save_copy_daily().map(|_| ()));
    }

    fn end(&self, queue: &mut Queue, live: &Arc<Live>, outcome: Outcome) {
        live.settle(outcome, self.clock.now());
        if let Some(key) = &live.exclusive {
            queue.busy.remove(key);
        }
        self.keep_end(live);
    }

    /// Writes a job's end; a job whose end is not written stays in memory and is tried again.
    fn keep_end(&self, live: &Arc<Live>) {
        let saved = self.noted(live.save_end(&self.journal));
        live.show_end();
        if saved {
            self.live.lock().remove(&live.id);
        }
    }

    pub(super) fn cancel(self: &Arc<Self>, id: JobId) -> Result<JobState, JobError> {
        let mut queue = self.queue.lock();
        let Some(live) = self.live(id) else {
            return self.give_up(id);
        };
        match live.state() {
            JobState::Queued => {
                queue.pending.retain(|(l, _)| l.id != id);
                let error = JobError::new(ErrorKind::Cancelled, "cancelled before it began");
                let settled = Outcome {
                    state: JobState::Cancelled,
                    error: Some(error),
                    receipt: None,
                };
                live.settle(settled, self.clock.now());
                self.keep_end(&live);
            }
            JobState::Running => {
                live.ask_to_stop();
                self.noted(live.move_on(&self.journal, JobState::Cancelling, self.clock.now()));
            }
            JobState::Cancelling => {}
            over => return Err(refused(format!("job {id} is over: {}", over.word().to_lowercase()))),
        }
        Ok(live.state())
    }

    /// Ends an interrupted job for good.
    fn give_up(&self, id: JobId) -> Result<JobState, JobError> {
        let job = self.journal.reader().job(id).map_err(journal_error)?;
        let job = job.ok_or_else(|| JobError::new(ErrorKind::NotFound, format!("there is no job {id}")))?;
        if job.state != JobState::Interrupted {
            return Err(refused(format!(
                "job {id} is over: {}",
                job.state.word().to_lowercase()
            )));
        }
        let error = JobError::new(ErrorKind::Cancelled, "given up after it was interrupted");
        let end = Ended {
            state: JobState::Cancelled,
            at: self.clock.now(),
            progress: &job.progress,
            error: Some(&error),
            receipt: None,
            resumable: false,
        };
        let ended = self.journal.end_job(id, JobState::Interrupted, &[], &[], &end);
        ended.map_err(|e| journal_error(self.fence_seen(e)))?;
        Ok(JobState::Cancelled)
    }

    /// Writes what is due: counters of running jobs, ends that could not be written before.
    pub(super) fn save_all(&self) {
        let all: Vec<Arc<Live>> = self.live.lock().values().cloned().collect();
        for live in all {
            match live.state() {
                JobState::Queued => {}
                JobState::Running | JobState::Cancelling => {
                    self.noted(live.save(&self.journal, self.clock.now()));
                }
                _ => self.keep_end(&live),
            }
        }
    }

    /// The life of the writer's thread: once a second while there are jobs, asleep while there are none.
    fn write_on(self: Arc<Self>) {
        self.noted(self.journal.save_copy_daily().map(|_| ()));
        loop {
            let mut version = self.version.lock();
            while self.live.lock().is_empty() && !self.closed.load(Ordering::Acquire) {
                self.changed.wait(&mut version);
            }
            drop(version);
            if self.live.lock().is_empty() || self.fenced.load(Ordering::Acquire) {
                return;
            }
            self.sleep_a_tick();
            self.save_all();
            let all_over = self.live.lock().values().all(|l| l.state().is_over());
            if all_over && self.closed.load(Ordering::Acquire) {
                return;
            }
        }
    }

    fn sleep_a_tick(&self) {
        let until = Instant::now() + TICK;
        let mut version = self.version.lock();
        loop {
            let over = self.closed.load(Ordering::Acquire) && self.live.lock().is_empty();
            if over || self.changed.wait_until(&mut version, until).timed_out() {
                return;
            }
        }
    }
}

fn failed(error: JobError) -> Outcome {
    Outcome {
        state: JobState::Failed,
        error: Some(error),
        receipt: None,
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> JobError {
    let said = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    JobError::new(
        ErrorKind::Failed,
        "the job stopped at an error in brine itself; please report it",
    )
    .note(said)
}
