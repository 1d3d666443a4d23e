//! The runner: jobs in a queue, each on a thread of its own, cancelled and resumed, watched while they run.
//!
//! *Invariants: of the jobs with one exclusive key one runs at a time, in the order they were asked for; a
//! panic ends its job and nothing else; a job's end is in the journal before anybody is told, except where the
//! journal cannot be written: then memory is right and the journal is caught up as soon as it can be.
//! Locks are taken in the order `queue`, `live`, a job's own.*

mod cx;
mod live;
mod shared;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::live::Live;
use self::shared::Shared;
use super::error::{ErrorKind, JobError};
use super::journal::{JobQuery, Journal, JournalError, NewJob, ScheduleSlot};
use super::state;
use crate::engine::cx::JobCx;
use crate::model::clock::{Clock, Millis};
use crate::model::ids::{ClusterName, JobId};
use crate::model::job::{Job, JobLine, JobProgress, JobState, Verb};
use crate::model::text::{command, redact, redact_json, safe};

/// What is said to whoever asks for a job of a process that ends: another will take it.
pub const STOPPING: &str = "brine is stopping and takes no further jobs";
/// How long one that waits for the last job sleeps at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What a job does when its turn has come; it gives the receipt.
pub type Work = Box<dyn FnOnce(&dyn JobCx) -> Result<Value, JobError> + Send>;

/// Makes the work of a job again from its verb and plan, to go on with it after a crash.
pub type Rebuild = Arc<dyn Fn(&Job) -> Result<Work, JobError> + Send + Sync>;

/// A job that is asked for. Neither command nor plan may carry secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobSpec {
    /// What it does.
    pub verb: Verb,
    /// The cluster it works on.
    pub cluster: ClusterName,
    /// What exactly, in one line.
    pub title: String,
    /// The command line that does the same.
    pub command: Option<String>,
    /// The plan it runs.
    pub plan: Value,
    /// Who asked.
    pub asked_by: String,
    /// Jobs with the same key (the cluster's name, mostly) run one after the other.
    pub exclusive: Option<String>,
    /// Whether the work remembers in the resume log how far it is, and can go on after a crash.
    pub resumable: bool,
    /// The slot of the schedule that this is the run of; a slot that has its run refuses another.
    pub slot: Option<ScheduleSlot>,
}

impl JobSpec {
    fn without_secrets(mut self) -> JobSpec {
        redact_json(&mut self.plan);
        self.title = safe(&redact(&self.title), 200);
        self.command = self.command.as_deref().map(|c| command(&redact(c)));
        self.asked_by = safe(&self.asked_by, 100);
        self
    }

    fn new_job(&self) -> NewJob<'_> {
        NewJob {
            verb: self.verb,
            cluster: &self.cluster,
            exclusive: self.exclusive.as_deref(),
            title: &self.title,
            command: self.command.as_deref(),
            plan: &self.plan,
            asked_by: &self.asked_by,
            resumable: self.resumable,
            slot: self.slot,
        }
    }

    fn into_job(self, id: JobId, now: Millis) -> Job {
        Job {
            id,
            verb: self.verb,
            cluster: self.cluster,
            title: self.title,
            state: JobState::Queued,
            asked_by: self.asked_by,
            created: now,
            started: None,
            ended: None,
            steps: Vec::new(),
            progress: JobProgress::default(),
            error: Vec::new(),
            resumable: self.resumable,
            command: self.command,
            plan: self.plan,
            receipt: None,
        }
    }
}

/// What becomes of jobs when the runner stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// They are cancelled and waited for.
    Cancel,
    /// They are left; the next runner finds them interrupted.
    Leave,
}

/// The runner. Dropping it takes no further jobs; running ones go on, and keep the lease until they end.
pub struct Runner {
    shared: Arc<Shared>,
}

impl Runner {
    /// Starts on a journal; jobs of a dead process become interrupted.
    pub fn start(journal: Journal, clock: Arc<dyn Clock>) -> Result<Runner, JournalError> {
        journal.interrupt_dead(clock.now())?;
        let shared = Shared::start(journal, clock)?;
        Ok(Runner { shared })
    }

    /// The journal under it.
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// Says how work is made again for [`Runner::resume`].
    pub fn set_rebuild(&self, rebuild: Rebuild) {
        *self.shared.rebuild.lock() = Some(rebuild);
    }

    /// Queues a job.
    pub fn submit(&self, spec: JobSpec, work: Work) -> Result<JobId, JobError> {
        let shared = &self.shared;
        let spec = spec.without_secrets();
        let mut queue = shared.queue.lock();
        shared.accepts(&queue)?;
        let now = shared.clock.now();
        let id = shared
            .journal
            .insert_job(&spec.new_job(), now)
            .map_err(|e| journal_error(shared.fence_seen(e)))?;
        let exclusive = spec.exclusive.clone();
        let live = Live::new(spec.into_job(id, now), exclusive, 0);
        shared.enqueue(&mut queue, Arc::new(live), work);
        Ok(id)
    }

    /// Records a job whose work could not even be made: it fails at once, and is seen and counted as a try.
    ///
    /// Without this a schedule whose storage is gone would be tried at every look, and leave no trace.
    pub fn submit_failed(&self, spec: JobSpec, error: JobError) -> Result<JobId, JobError> {
        let spec = JobSpec {
            exclusive: None,
            resumable: false,
            ..spec
        };
        self.submit(spec, Box::new(move |_| Err(error)))
    }

    /// Queues an interrupted or failed job again; it goes on where it was.
    pub fn resume(&self, id: JobId) -> Result<(), JobError> {
        let shared = &self.shared;
        let job = self.get(id)?;
        state::check(job.state, JobState::Queued).map_err(|e| refused(format!("job {id} cannot be resumed: {e}")))?;
        // A job that never began has nothing to go on with, and nothing that could be half done.
        if !job.resumable && job.started.is_some() {
            return Err(refused(format!("job {id} cannot be resumed: start it anew")));
        }
        let rebuild = shared.rebuild.lock().clone();
        let rebuild = rebuild.ok_or_else(|| refused(format!("job {id} cannot be resumed by this process")))?;
        let work = rebuild(&job).map_err(|e| e.context(format!("job {id} cannot be resumed")))?;
        let reader = shared.journal.reader();
        let exclusive = reader.exclusive_key(id).map_err(journal_error)?;
        let lines_before = reader.lines(id, 0).map_err(journal_error)?.len();

        let mut queue = shared.queue.lock();
        shared.accepts(&queue)?;
        let moved = shared
            .journal
            .set_state(id, job.state, JobState::Queued, shared.clock.now());
        moved.map_err(|e| journal_error(shared.fence_seen(e)))?;
        let job = Job {
            state: JobState::Queued,
            ended: None,
            error: Vec::new(),
            receipt: None,
            ..job
        };
        shared.enqueue(&mut queue, Arc::new(Live::new(job, exclusive, lines_before)), work);
        Ok(())
    }

    /// Asks a job to stop, takes it out of the queue, or gives an interrupted one up; gives its state after.
    pub fn cancel(&self, id: JobId) -> Result<JobState, JobError> {
        let state = self.shared.cancel(id)?;
        self.shared.bump();
        Ok(state)
    }

    /// One job as it is now.
    pub fn get(&self, id: JobId) -> Result<Job, JobError> {
        if let Some(live) = self.shared.live(id) {
            return Ok(live.job(self.shared.clock.now()));
        }
        let found = self.shared.journal.reader().job(id).map_err(journal_error)?;
        found.ok_or_else(|| JobError::new(ErrorKind::NotFound, format!("there is no job {id}")))
    }

    /// Why a job ended badly, with its kind.
    pub fn error(&self, id: JobId) -> Result<Option<JobError>, JobError> {
        match self.shared.live(id) {
            Some(live) => Ok(live.error()),
            None => self.shared.journal.reader().error(id).map_err(journal_error),
        }
    }

    /// The jobs that match, newest first, as they are now.
    pub fn list(&self, query: &JobQuery) -> Result<Vec<Job>, JobError> {
        let now = self.shared.clock.now();
        // Memory first: what ends in between is then found ended in the journal, and believed.
        let live = self.shared.live.lock().clone();
        let mut jobs = self.shared.journal.reader().jobs(query).map_err(journal_error)?;
        for job in &mut jobs {
            if let Some(live) = live.get(&job.id)
                && !job.state.is_over()
            {
                *job = live.job(now);
            }
        }
        Ok(jobs)
    }

    /// The lines of a job's log from number `from` (counted from 0) on.
    pub fn lines(&self, id: JobId, from: usize) -> Result<Vec<JobLine>, JobError> {
        let unwritten = self.shared.live(id).map(|live| live.unwritten_lines(from));
        let mut lines = self.shared.journal.reader().lines(id, from).map_err(journal_error)?;
        if let Some((start, rest)) = unwritten {
            // What was written in between is in both.
            lines.truncate(start - from);
            lines.extend(rest);
        }
        Ok(lines)
    }

    /// How many jobs are queued or at work.
    pub fn active(&self) -> usize {
        self.shared.active()
    }

    /// Waits until no job is left, and takes none from then on. When there were any, `linger` is run before: whoever started
    /// them asks for their ends, and may start others.
    pub fn close_when_idle(&self, linger: impl Fn()) {
        let mut waited = false;
        loop {
            let seen = self.version();
            if self.active() > 0 {
                waited = true;
                self.changed_since(seen, LOOK_AGAIN);
                continue;
            }
            if waited {
                linger();
            }
            if self.shared.close_if_idle() {
                return;
            }
            waited = true;
        }
    }

    /// Waits until a job is over or the time is; gives the job as it is then.
    pub fn wait(&self, id: JobId, patience: Duration) -> Result<Job, JobError> {
        let until = Instant::now() + patience;
        loop {
            let seen = self.version();
            let job = self.get(id)?;
            let left = until.saturating_duration_since(Instant::now());
            if job.state.is_over() || left.is_zero() {
                return Ok(job);
            }
            self.changed_since(seen, left);
        }
    }

    /// A number that rises whenever a job is queued, changes its state, begins a step or warns.
    pub fn version(&self) -> u64 {
        *self.shared.version.lock()
    }

    /// Waits until the version is another than this one or the time is over; gives the version.
    pub fn changed_since(&self, version: u64, patience: Duration) -> u64 {
        self.shared.changed_since(version, patience)
    }

    fn cancel_all(&self) {
        // The youngest first, so that nothing moves up only to be cancelled; then the door, then late ones.
        for closed in [false, true] {
            if closed {
                self.shared.close();
            }
            let ids: Vec<JobId> = self.shared.live.lock().keys().rev().copied().collect();
            for id in ids {
                // One that has just ended by itself is no error.
                let _ = self.cancel(id);
            }
        }
    }

    /// Takes no further jobs and deals with those there are; says whether all have ended.
    pub fn shutdown(&self, how: Shutdown, patience: Duration) -> bool {
        match how {
            Shutdown::Cancel => self.cancel_all(),
            Shutdown::Leave => self.shared.close(),
        }
        let until = Instant::now() + patience;
        loop {
            let seen = self.version();
            let left = until.saturating_duration_since(Instant::now());
            if self.active() == 0 || how == Shutdown::Leave || left.is_zero() {
                self.shared.save_all();
                return self.active() == 0;
            }
            self.changed_since(seen, left);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

fn refused(text: String) -> JobError {
    JobError::new(ErrorKind::Refused, text)
}

/// Refusals of the journal are no failures.
fn journal_error(e: JournalError) -> JobError {
    let kind = match e {
        JournalError::SlotTaken | JournalError::StateMoved { .. } | JournalError::Fenced { .. } => ErrorKind::Refused,
        JournalError::Sql { .. } | JournalError::Io { .. } | JournalError::Newer { .. } => ErrorKind::Failed,
    };
    JobError::of(kind, &e)
}

#[cfg(test)]
mod tests;
