//! A job within a job: its own keys in the same resume log.

use std::sync::Arc;

use crate::engine::cx::{Cancelled, JobCx, Meter, ResumeError, ResumeLog};
use crate::model::clock::Clock;
use crate::model::job::{LineLevel, Unit};

/// The surroundings of a verb that another verb runs.
pub struct Scoped<'a> {
    cx: &'a dyn JobCx,
    memory: Memory<'a>,
    /// Whether it still hears a cancel.
    stoppable: bool,
}

struct Memory<'a> {
    cx: &'a dyn JobCx,
    prefix: &'static str,
}

impl<'a> Scoped<'a> {
    /// Puts `prefix` before every key of the resume log.
    pub fn new(cx: &'a dyn JobCx, prefix: &'static str) -> Self {
        Scoped {
            cx,
            memory: Memory { cx, prefix },
            stoppable: true,
        }
    }

    /// The same for what has to be brought to its end: a cancel comes too late.
    pub fn finishing(cx: &'a dyn JobCx, prefix: &'static str) -> Self {
        Scoped {
            stoppable: false,
            ..Scoped::new(cx, prefix)
        }
    }
}

impl JobCx for Scoped<'_> {
    fn check(&self) -> Result<(), Cancelled> {
        if self.stoppable { self.cx.check() } else { Ok(()) }
    }
    fn is_cancelled(&self) -> bool {
        self.stoppable && self.cx.is_cancelled()
    }
    fn clock(&self) -> &Arc<dyn Clock> {
        self.cx.clock()
    }
    fn step(&self, name: &str, unit: Unit, total: Option<u64>) -> Arc<Meter> {
        self.cx.step(name, unit, total)
    }
    fn line(&self, level: LineLevel, text: String) {
        self.cx.line(level, text);
    }
    fn resume_log(&self) -> &dyn ResumeLog {
        &self.memory
    }
    fn asked_by(&self) -> &str {
        self.cx.asked_by()
    }
}

impl ResumeLog for Memory<'_> {
    fn load(&self) -> Result<Vec<(String, serde_json::Value)>, ResumeError> {
        let all = self.cx.resume_log().load()?;
        let own = all.into_iter().filter(|(_, v)| !v.is_null());
        Ok(own
            .filter_map(|(k, v)| Some((k.strip_prefix(self.prefix)?.to_owned(), v)))
            .collect())
    }

    fn save(&self, key: &str, value: &serde_json::Value) -> Result<(), ResumeError> {
        self.cx.resume_log().save(&format!("{}{key}", self.prefix), value)
    }

    /// Blanks the keys; the outer verb removes them at its own end.
    fn clear(&self) -> Result<(), ResumeError> {
        for (key, _) in self.load()? {
            self.save(&key, &serde_json::Value::Null)?;
        }
        Ok(())
    }

    /// The outer verb keeps the result itself, and may have to run the inner one again.
    fn finish(&self, _result: &serde_json::Value) -> Result<(), ResumeError> {
        self.clear()
    }
}
