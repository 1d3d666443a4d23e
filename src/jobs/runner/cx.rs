//! What a running job sees of the runner: [`JobCx`] over the journal.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::Shared;
use super::live::Live;
use crate::engine::cx::{Cancelled, DONE, JobCx, Meter, ResumeError, ResumeLog};
use crate::jobs::journal::JournalError;
use crate::jobs::progress::Share;
use crate::model::clock::Clock;
use crate::model::job::{LineLevel, Unit};

pub(super) struct RunCx {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Live>,
    pub(super) asked_by: String,
}

impl RunCx {
    /// Counters and lines are not worth a job: what could not be written is written with the next ones.
    fn save(&self) {
        self.shared
            .noted(self.live.save(&self.shared.journal, self.shared.clock.now()));
    }
}

impl JobCx for RunCx {
    fn check(&self) -> Result<(), Cancelled> {
        if self.live.is_asked_to_stop() || self.shared.fenced.load(Ordering::Acquire) {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    fn outline(&self, steps: &[(&str, u64)]) {
        let shares = steps.iter().map(|(name, weight)| Share {
            name: (*name).to_owned(),
            weight: *weight,
        });
        self.live.outline(shares.collect());
    }

    fn step(&self, name: &str, unit: Unit, total: Option<u64>) -> Arc<Meter> {
        let meter = self.live.step(name, unit, total, self.shared.clock.now());
        self.save();
        self.shared.bump();
        meter
    }

    fn line(&self, level: LineLevel, text: String) {
        self.live.line(level, &text, self.shared.clock.now());
        // Ordinary lines wait for the next second's write.
        if level != LineLevel::Info {
            self.save();
            self.shared.bump();
        }
    }

    fn resume_log(&self) -> &dyn ResumeLog {
        self
    }

    fn asked_by(&self) -> &str {
        &self.asked_by
    }
}

impl ResumeLog for RunCx {
    fn load(&self) -> Result<Vec<(String, Value)>, ResumeError> {
        self.shared
            .journal
            .reader()
            .resume_entries(self.live.id)
            .map_err(failed("read"))
    }

    fn save(&self, key: &str, value: &Value) -> Result<(), ResumeError> {
        let saved = self.shared.journal.resume_save(self.live.id, key, value);
        saved.map_err(|e| failed("saved")(self.shared.fence_seen(e)))
    }

    fn clear(&self) -> Result<(), ResumeError> {
        let cleared = self.shared.journal.resume_clear(self.live.id);
        cleared.map_err(|e| failed("cleared")(self.shared.fence_seen(e)))
    }

    fn finish(&self, result: &Value) -> Result<(), ResumeError> {
        let saved = self.shared.journal.resume_finish(self.live.id, DONE, result);
        saved.map_err(|e| failed("saved")(self.shared.fence_seen(e)))
    }
}

fn failed(doing: &'static str) -> impl Fn(JournalError) -> ResumeError {
    move |e| ResumeError {
        doing,
        source: Box::new(e),
    }
}
