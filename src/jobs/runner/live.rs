//! A job while it is in memory: its counters, steps and lines, and what of them the journal has.
//!
//! *Invariant: `saving` is taken before `inner`, and neither while waiting for work; what is shown comes from
//! here until the journal holds the end.*

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;

use crate::engine::cx::Meter;
use crate::jobs::error::JobError;
use crate::jobs::journal::{Ended, Journal, JournalError, StepRow};
use crate::jobs::progress::{Share, Tracker};
use crate::model::clock::Millis;
use crate::model::ids::JobId;
use crate::model::job::{Job, JobLine, JobState, JobStep, LineLevel, StepProgress, Unit};
use crate::model::text::{redact, safe};

/// So many lines are kept of one job; the rest is counted.
const MAX_LINES: usize = 2_000;
/// The longest line.
const MAX_LINE: usize = 2_000;
/// So many warnings go into a receipt.
const MAX_WARNINGS: usize = 100;

/// A job in memory.
pub(super) struct Live {
    pub(super) id: JobId,
    pub(super) exclusive: Option<String>,
    cancel: AtomicBool,
    born: Instant,
    /// Held over "look and write", so that an older look is never written over a newer one.
    saving: Mutex<()>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// All but steps and progress, which are filled in when it is shown.
    job: Job,
    /// The state the journal has.
    saved: JobState,
    /// The job at its end, before it is shown.
    settled: Option<Job>,
    steps: Vec<JobStep>,
    meter: Option<Arc<Meter>>,
    tracker: Tracker,
    lines: Vec<JobLine>,
    /// The number of the first of `lines`: a resumed job goes on counting.
    first_line: usize,
    written: usize,
    warnings: Vec<String>,
    error: Option<JobError>,
}

/// How the work of a job ended.
pub(super) struct Outcome {
    pub(super) state: JobState,
    pub(super) error: Option<JobError>,
    pub(super) receipt: Option<Value>,
}

impl Live {
    pub(super) fn new(job: Job, exclusive: Option<String>, lines_before: usize) -> Live {
        Live {
            id: job.id,
            exclusive,
            cancel: AtomicBool::new(false),
            born: Instant::now(),
            saving: Mutex::new(()),
            inner: Mutex::new(Inner {
                saved: job.state,
                settled: None,
                steps: job.steps.clone(),
                meter: None,
                tracker: Tracker::default(),
                lines: Vec::new(),
                first_line: lines_before,
                written: lines_before,
                warnings: Vec::new(),
                error: None,
                job,
            }),
        }
    }

    pub(super) fn state(&self) -> JobState {
        self.inner.lock().job.state
    }

    pub(super) fn ask_to_stop(&self) {
        self.cancel.store(true, Ordering::Release);
    }

    pub(super) fn is_asked_to_stop(&self) -> bool {
        self.cancel.load(Ordering::Acquire)
    }

    fn mono(&self) -> i64 {
        i64::try_from(self.born.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// The job as it is now.
    pub(super) fn job(&self, now: Millis) -> Job {
        let mono = self.mono();
        let mut inner = self.inner.lock();
        inner.look(mono, now);
        let mut job = inner.job.clone();
        job.steps.clone_from(&inner.steps);
        if !job.state.is_over() {
            job.progress = inner.tracker.progress();
        }
        job
    }

    pub(super) fn error(&self) -> Option<JobError> {
        let inner = self.inner.lock();
        inner.error.clone().filter(|_| inner.job.state.is_over())
    }

    /// The lines from a number on that the journal may not have yet, and the number of the first of them.
    pub(super) fn unwritten_lines(&self, from: usize) -> (usize, Vec<JobLine>) {
        let inner = self.inner.lock();
        let start = from.max(inner.written);
        (
            start,
            inner.lines.iter().skip(start - inner.first_line).cloned().collect(),
        )
    }

    pub(super) fn outline(&self, shares: Vec<Share>) {
        self.inner.lock().tracker.outline(shares);
    }

    pub(super) fn step(&self, name: &str, unit: Unit, total: Option<u64>, now: Millis) -> Arc<Meter> {
        let meter = Arc::new(Meter::new(unit, total));
        let mono = self.mono();
        let mut inner = self.inner.lock();
        inner.look(mono, now);
        inner.end_step(now);
        let name = safe(name, 200);
        inner.tracker.begin_step(&name, mono, now);
        inner.steps.push(JobStep {
            name,
            started: now,
            ended: None,
            progress: meter.progress(),
        });
        inner.meter = Some(Arc::clone(&meter));
        meter
    }

    pub(super) fn line(&self, level: LineLevel, text: &str, now: Millis) {
        let text = safe(&redact(text), MAX_LINE);
        let mut inner = self.inner.lock();
        if level == LineLevel::Warning && inner.warnings.len() < MAX_WARNINGS {
            inner.warnings.push(text.clone());
        }
        match inner.lines.len() {
            n if n < MAX_LINES => inner.lines.push(JobLine { at: now, level, text }),
            MAX_LINES => inner.lines.push(JobLine {
                at: now,
                level: LineLevel::Warning,
                text: format!("only the first {MAX_LINES} lines are kept"),
            }),
            _ => {}
        }
    }

    /// Writes counters and lines.
    pub(super) fn save(&self, journal: &Journal, now: Millis) -> Result<(), JournalError> {
        let _one_at_a_time = self.saving.lock();
        let (steps, progress, lines) = {
            let mono = self.mono();
            let mut inner = self.inner.lock();
            if inner.settled.is_some() {
                // Its end has been written, or is about to be, and says more.
                return Ok(());
            }
            inner.look(mono, now);
            let skip = inner.steps.len().saturating_sub(2);
            let steps: Vec<(usize, JobStep)> = inner.steps.iter().cloned().enumerate().skip(skip).collect();
            (steps, inner.tracker.progress(), inner.numbered_lines())
        };
        let rows: Vec<StepRow<'_>> = steps
            .iter()
            .map(|(n, step)| StepRow {
                job: self.id,
                n: *n,
                step,
            })
            .collect();
        let written = lines.last().map(|(n, _)| n + 1);
        journal.save_progress(&rows, &[(self.id, progress)], &[(self.id, lines)])?;
        if let Some(written) = written {
            self.inner.lock().written = written;
        }
        Ok(())
    }

    /// Moves on to a state that is not an end, in memory first: cancelling works on a full disk, too.
    pub(super) fn move_on(&self, journal: &Journal, to: JobState, now: Millis) -> Result<(), JournalError> {
        let from = {
            let mut inner = self.inner.lock();
            inner.job.state = to;
            if to == JobState::Running {
                inner.job.started = Some(now);
            }
            inner.saved
        };
        journal.set_state(self.id, from, to, now)?;
        self.inner.lock().saved = to;
        Ok(())
    }

    /// Settles the end; nobody sees it until [`Live::show_end`], and [`Live::save_end`] comes before that.
    pub(super) fn settle(&self, outcome: Outcome, now: Millis) {
        let mono = self.mono();
        let mut inner = self.inner.lock();
        inner.look(mono, now);
        inner.end_step(now);
        let mut job = inner.job.clone();
        job.progress = inner.tracker.ended(outcome.state == JobState::Succeeded);
        job.resumable &= matches!(outcome.state, JobState::Failed | JobState::Interrupted);
        job.receipt = outcome.receipt.map(|receipt| inner.with_warnings(receipt));
        job.error = outcome.error.as_ref().map(|e| e.chain.clone()).unwrap_or_default();
        job.ended = Some(now);
        job.state = outcome.state;
        inner.error = outcome.error;
        inner.settled = Some(job);
    }

    /// Lets the settled end be seen.
    pub(super) fn show_end(&self) {
        let mut inner = self.inner.lock();
        if let Some(job) = inner.settled.clone() {
            inner.job = job;
        }
    }

    pub(super) fn save_end(&self, journal: &Journal) -> Result<(), JournalError> {
        let _one_at_a_time = self.saving.lock();
        let (settled, steps, lines, error, saved) = {
            let inner = self.inner.lock();
            let lines = inner.numbered_lines();
            (
                inner.settled.clone(),
                inner.steps.clone(),
                lines,
                inner.error.clone(),
                inner.saved,
            )
        };
        // Only what was settled has an end to write.
        let Some(job) = settled else { return Ok(()) };
        let at = job.ended.unwrap_or_default();
        let mut from = saved;
        // The journal missed that it was being cancelled: catch up, one allowed change after the other.
        if job.state == JobState::Cancelled && saved == JobState::Running {
            journal.set_state(self.id, saved, JobState::Cancelling, at)?;
            from = JobState::Cancelling;
            self.inner.lock().saved = from;
        }
        let rows: Vec<StepRow<'_>> = steps
            .iter()
            .enumerate()
            .map(|(n, step)| StepRow { job: self.id, n, step })
            .collect();
        let end = Ended {
            state: job.state,
            at,
            progress: &job.progress,
            error: error.as_ref(),
            receipt: job.receipt.as_ref(),
            resumable: job.resumable,
        };
        journal.end_job(self.id, from, &rows, &lines, &end)?;
        self.inner.lock().saved = job.state;
        Ok(())
    }
}

impl Inner {
    /// Reads the current step's counter.
    fn look(&mut self, mono: i64, now: Millis) {
        let Some(progress) = self.meter.as_ref().map(|m| m.progress()) else {
            return;
        };
        self.show(progress);
        if !self.job.state.is_over() {
            self.tracker.sample(mono, now, progress);
        }
    }

    fn show(&mut self, progress: StepProgress) {
        if let Some(step) = self.steps.last_mut() {
            step.progress = progress;
        }
    }

    fn end_step(&mut self, now: Millis) {
        self.meter = None;
        if let Some(step) = self.steps.last_mut() {
            step.ended.get_or_insert(now);
        }
    }

    fn numbered_lines(&self) -> Vec<(usize, JobLine)> {
        let skip = self.written.saturating_sub(self.first_line);
        self.lines
            .iter()
            .cloned()
            .enumerate()
            .skip(skip)
            .map(|(i, line)| (i + self.first_line, line))
            .collect()
    }

    /// Warnings must not be lost in the log: they are part of what the operator is told at the end.
    fn with_warnings(&self, mut receipt: Value) -> Value {
        if let Value::Object(fields) = &mut receipt
            && !self.warnings.is_empty()
        {
            fields.entry("warnings").or_insert_with(|| self.warnings.clone().into());
        }
        receipt
    }
}
