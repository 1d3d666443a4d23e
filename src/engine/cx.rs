//! What a running verb asks of its surroundings: whether to stop, the clock, counters, a log, a memory.
//!
//! The engine owns these traits and `jobs` implements them, so that every verb runs in a test on memory
//! storage with a [`TestCx`].
//!
//! *Invariants: [`Meter::add`] costs one relaxed atomic add; what [`ResumeLog::save`] has returned from
//! survives a crash (of a [`TestCx`] only as long as the value lives).*

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::model::clock::{Clock, SystemClock};
use crate::model::job::{LineLevel, StepProgress, Unit};

/// The job was asked to stop; a verb hands this up unchanged after it has tidied up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// The memory of a job could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the job's progress could not be {doing}")]
pub struct ResumeError {
    /// What was tried: "read", "saved" or "cleared".
    pub doing: &'static str,
    /// Why not.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The surroundings of a running verb.
pub trait JobCx: Send + Sync {
    /// Asked between chunks, at least every second: an error once the job was asked to stop.
    fn check(&self) -> Result<(), Cancelled>;

    /// The same, asked by somebody who only watches.
    fn is_cancelled(&self) -> bool {
        self.check().is_err()
    }

    /// Where "now" comes from.
    fn clock(&self) -> &Arc<dyn Clock>;

    /// Says which steps will come and the weight of each in the whole (bytes, mostly), before the first step.
    ///
    /// Only with this can the job as a whole show how far it is and how long it will take. Steps that are
    /// not in the outline have no share; a new outline replaces the old one, and shown progress stays monotone.
    fn outline(&self, _steps: &[(&str, u64)]) {}

    /// Starts a step and ends the one before it.
    fn step(&self, name: &str, unit: Unit, total: Option<u64>) -> Arc<Meter>;

    /// Writes a line into the job's log; warnings also end up in the receipt.
    fn line(&self, level: LineLevel, text: String);

    /// What this job remembers across crashes.
    fn resume_log(&self) -> &dyn ResumeLog;

    /// Who asked for the job.
    fn asked_by(&self) -> &str;
}

/// What a job remembers across crashes: small values under keys, in the order of their first save.
pub trait ResumeLog: Send + Sync {
    /// Everything saved so far.
    fn load(&self) -> Result<Vec<(String, serde_json::Value)>, ResumeError>;

    /// Saves a value under a key, replacing an earlier one; durable before it returns.
    fn save(&self, key: &str, value: &serde_json::Value) -> Result<(), ResumeError>;

    /// Forgets everything.
    fn clear(&self) -> Result<(), ResumeError>;

    /// The verb ended well, with this result: it takes the place of everything else, in one step.
    ///
    /// Between here and the moment at which the job is known to have succeeded the process may die; a resume then
    /// finds the result ([`finished`]) and does nothing a second time.
    fn finish(&self, result: &serde_json::Value) -> Result<(), ResumeError>;
}

/// The key of a result in a [`ResumeLog`].
pub const DONE: &str = "done";

/// The result that an earlier run of this job had ended with.
pub fn finished<T: serde::de::DeserializeOwned>(cx: &dyn JobCx) -> Result<Option<T>, ResumeError> {
    let memory = cx.resume_log().load()?;
    let done = memory.into_iter().find(|(key, value)| key == DONE && !value.is_null());
    done.map(|(_, value)| {
        serde_json::from_value(value).map_err(|e| ResumeError {
            doing: "read",
            source: Box::new(e),
        })
    })
    .transpose()
}

/// Ends a verb with its result: see [`ResumeLog::finish`].
pub fn finish<T: serde::Serialize>(cx: &dyn JobCx, result: &T) -> Result<(), ResumeError> {
    let value = serde_json::to_value(result).map_err(|e| ResumeError {
        doing: "saved",
        source: Box::new(e),
    })?;
    cx.resume_log().finish(&value)
}

/// In [`Meter::total`]: not known.
const UNKNOWN: u64 = u64::MAX;

/// The counter of one step, shared by its workers.
#[derive(Debug)]
pub struct Meter {
    done: AtomicU64,
    total: AtomicU64,
    unit: Unit,
}

impl Meter {
    /// A counter at zero.
    pub fn new(unit: Unit, total: Option<u64>) -> Self {
        Meter {
            done: AtomicU64::new(0),
            total: AtomicU64::new(total.unwrap_or(UNKNOWN)),
            unit,
        }
    }

    /// So many more are done.
    pub fn add(&self, n: u64) {
        self.done.fetch_add(n, Ordering::Relaxed);
    }

    /// Learns the total, or a better one.
    pub fn set_total(&self, total: Option<u64>) {
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// Everything was done: an estimated total becomes what it turned out to be.
    pub fn complete(&self) {
        self.total.store(self.done.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// How far the step is.
    pub fn progress(&self) -> StepProgress {
        let total = self.total.load(Ordering::Relaxed);
        StepProgress {
            done: self.done.load(Ordering::Relaxed),
            total: (total != UNKNOWN).then_some(total),
            unit: self.unit,
        }
    }
}

/// A [`ResumeLog`] in memory.
#[derive(Debug, Default)]
pub struct MemoryResumeLog(Mutex<Vec<(String, serde_json::Value)>>);

impl ResumeLog for MemoryResumeLog {
    fn load(&self) -> Result<Vec<(String, serde_json::Value)>, ResumeError> {
        Ok(self.0.lock().clone())
    }

    fn save(&self, key: &str, value: &serde_json::Value) -> Result<(), ResumeError> {
        let mut entries = self.0.lock();
        match entries.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value.clone(),
            None => entries.push((key.to_owned(), value.clone())),
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), ResumeError> {
        self.0.lock().clear();
        Ok(())
    }

    fn finish(&self, result: &serde_json::Value) -> Result<(), ResumeError> {
        *self.0.lock() = vec![(DONE.to_owned(), result.clone())];
        Ok(())
    }
}

/// Surroundings in memory: for tests, for the demo's history and for callers that need no journal.
pub struct TestCx {
    clock: Arc<dyn Clock>,
    asked_by: String,
    /// Checks that still succeed; negative means no limit.
    checks_left: AtomicI64,
    resume: Arc<dyn ResumeLog>,
    steps: Mutex<Vec<(String, Arc<Meter>)>>,
    lines: Mutex<Vec<(LineLevel, String)>>,
    meanwhile: Option<(String, Box<dyn Fn() + Send + Sync>)>,
}

impl Default for TestCx {
    fn default() -> Self {
        TestCx::new(Arc::new(SystemClock))
    }
}

impl TestCx {
    /// Surroundings that nobody cancels.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        TestCx {
            clock,
            asked_by: "test".to_owned(),
            checks_left: AtomicI64::new(-1),
            resume: Arc::new(MemoryResumeLog::default()),
            steps: Mutex::default(),
            lines: Mutex::default(),
            meanwhile: None,
        }
    }

    /// The same, with another name of who asked.
    #[must_use]
    pub fn asked_by(mut self, who: &str) -> Self {
        who.clone_into(&mut self.asked_by);
        self
    }

    /// The same, with a memory that outlives it: hand one to two runs to test going on after a crash.
    #[must_use]
    pub fn with_resume(mut self, resume: Arc<dyn ResumeLog>) -> Self {
        self.resume = resume;
        self
    }

    /// The same, where something else happens when the job comes to a step.
    #[must_use]
    pub fn at_step(mut self, name: &str, act: impl Fn() + Send + Sync + 'static) -> Self {
        self.meanwhile = Some((name.to_owned(), Box::new(act)));
        self
    }

    /// Lets `n` more checks succeed and fails all after them; 0 cancels at once.
    pub fn cancel_after(&self, n: u32) {
        self.checks_left.store(i64::from(n), Ordering::SeqCst);
    }

    /// The steps so far, with how far each came.
    pub fn steps(&self) -> Vec<(String, StepProgress)> {
        self.steps
            .lock()
            .iter()
            .map(|(name, meter)| (name.clone(), meter.progress()))
            .collect()
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<(LineLevel, String)> {
        self.lines.lock().clone()
    }
}

impl JobCx for TestCx {
    fn check(&self) -> Result<(), Cancelled> {
        let took = self
            .checks_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                (left > 0).then_some(left - 1)
            });
        match took {
            Err(0) => Err(Cancelled),
            _ => Ok(()),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.checks_left.load(Ordering::SeqCst) == 0
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn step(&self, name: &str, unit: Unit, total: Option<u64>) -> Arc<Meter> {
        if let Some((_, act)) = self.meanwhile.as_ref().filter(|(at, _)| at == name) {
            act();
        }
        let meter = Arc::new(Meter::new(unit, total));
        self.steps.lock().push((name.to_owned(), Arc::clone(&meter)));
        meter
    }

    fn line(&self, level: LineLevel, text: String) {
        self.lines.lock().push((level, text));
    }

    fn resume_log(&self) -> &dyn ResumeLog {
        &*self.resume
    }

    fn asked_by(&self) -> &str {
        &self.asked_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_after_so_many_checks() {
        let cx = TestCx::default();
        for _ in 0..10 {
            assert_eq!(cx.check(), Ok(()));
        }
        cx.cancel_after(2);
        assert_eq!(
            [cx.check(), cx.check(), cx.check(), cx.check()],
            [Ok(()), Ok(()), Err(Cancelled), Err(Cancelled)]
        );
        cx.cancel_after(0);
        assert_eq!(cx.check(), Err(Cancelled));
    }

    #[test]
    fn remembers_in_order_of_first_save() {
        let log = MemoryResumeLog::default();
        for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
            log.save(key, &value.into()).unwrap();
        }
        assert_eq!(
            log.load().unwrap(),
            [("a".to_owned(), 3.into()), ("b".to_owned(), 2.into())]
        );
        log.clear().unwrap();
        assert!(log.load().unwrap().is_empty());
    }

    #[test]
    fn a_meter_counts_from_many_threads() {
        let cx = TestCx::default();
        let meter = cx.step("copy", Unit::Rows, None);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..1000).for_each(|_| meter.add(2)));
            }
        });
        assert_eq!(
            meter.progress(),
            StepProgress {
                done: 8000,
                total: None,
                unit: Unit::Rows
            }
        );
        meter.set_total(Some(8000));
        assert_eq!(
            cx.steps(),
            [(
                "copy".to_owned(),
                StepProgress {
                    done: 8000,
                    total: Some(8000),
                    unit: Unit::Rows
                }
            )]
        );
    }
}
