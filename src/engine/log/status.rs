//! What `log status` tells, from facts: the log document, the running task if there is one, and the clock.

use super::task::LogRates;
use crate::archive::state::LogDoc;
use crate::engine::view::View;
use crate::model::clock::Millis;
use crate::model::log::{LogActual, LogDesired, LogStatus};
use crate::model::time::mention;
use crate::model::window::covering_run;

/// What this process, or the one that holds the lease, knows of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Runner {
    /// Whether somebody runs the task.
    pub present: bool,
    /// Whether it is archiving just now.
    pub streaming: bool,
    /// How fast.
    pub rates: LogRates,
}

/// Puts the status together.
pub fn status(view: &View, runner: Runner, now: Millis) -> LogStatus {
    let doc = &view.log;
    let run = doc.runs.last();
    let checkpoint = run.map(|r| r.to);
    LogStatus {
        desired: doc.desired,
        actual: actual(doc, runner),
        checkpoint,
        position: run.map(|r| r.to_position.clone()),
        rpo_gap_ms: checkpoint.map(|c| now.since(c.at).max(0)),
        safepoint: doc.safepoint.or_else(|| doc.runs.first().map(|r| r.from)),
        bytes_per_second: runner.rates.bytes,
        transactions_per_second: runner.rates.transactions,
        segments: doc.segments,
        stored_bytes: doc.stored_bytes,
        last_error: doc.last_error.clone(),
        runs: doc.runs.clone(),
        needs_base: needs_base(view),
        astray: None,
    }
}

fn actual(doc: &LogDoc, runner: Runner) -> LogActual {
    match doc.desired {
        None => LogActual::None,
        Some(LogDesired::Paused | LogDesired::Stopped) => LogActual::Idle,
        Some(LogDesired::Running) if runner.streaming => LogActual::Streaming,
        Some(LogDesired::Running) => match &doc.last_error {
            Some(e) if runner.present => LogActual::Failed {
                error: e.text.clone(),
                since: e.at,
            },
            _ if runner.present => LogActual::Streaming,
            _ => LogActual::NoRunner,
        },
    }
}

/// Why a new snapshot is needed before the growing log is of use.
fn needs_base(view: &View) -> Option<String> {
    let live = view.live();
    let run = view.log.runs.last();
    let run = run.filter(|r| r.ended.is_none() && r.incarnation == live)?;
    let bases = view.bases();
    let newest = bases
        .iter()
        .filter(|b| b.incarnation == live && covering_run(b, std::slice::from_ref(run)).is_some())
        .map(|b| b.commit)
        .max();
    let Some(newest) = newest else {
        return Some(format!(
            "take a snapshot: the log since {} has no base to start from",
            mention(run.from.at)
        ));
    };
    let lacking = run.lacking.iter().find(|l| l.at > newest)?;
    Some(format!(
        "take a snapshot: a restore from before {} may end there, because the log does not hold all of transaction {}{}: {}",
        mention(lacking.at.at),
        lacking.transaction,
        lacking.table.as_ref().map(|t| format!(" ({t})")).unwrap_or_default(),
        lacking.what
    ))
}
