//! Following a job: progress while it runs, Ctrl-C, and its end.
//!
//! On a terminal one line is rewritten; elsewhere lines come when a step begins and at most every 5 s. All of it goes to
//! stderr, so that stdout holds nothing but the receipt.

use std::time::{Duration, Instant};

use chrono_tz::Tz;
use serde_json::json;

use super::call::{Call, answer};
use super::signals::Signals;
use super::{Outcome, receipt, refuse};
use crate::model::clock::Millis;
use crate::model::ids::JobId;
use crate::model::job::{Job, JobState, LineLevel, Unit};
use crate::model::{size, time};
use crate::service::desk::{Answer, Question, Refusal, RefusalKind};

/// How long one look takes while nothing happens; also how late a Ctrl-C is heard.
const LOOK_MS: u64 = 200;
/// How often a line is printed where lines cannot be rewritten.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// A job that has not moved for so long is worth a remark.
const STUCK: i64 = Millis::MINUTE;

/// Asks a question that starts a job, and follows it to its receipt.
pub(super) fn start(call: &mut Call<'_>, question: Question) -> Outcome {
    let id = answer!(call, question, Answer::Job);
    follow(call, id, 0)
}

/// Follows a job that somebody else started: Ctrl-C only ends the watching.
pub(super) fn watch(call: &mut Call<'_>, id: JobId) -> Outcome {
    follow(call, id, 1)
}

/// Follows a job to its receipt. The first Ctrl-C asks it to stop, the second leaves it.
fn follow(call: &mut Call<'_>, id: JobId, mut asked: u32) -> Outcome {
    let signals = Signals::listen()
        .map_err(|e| refuse::of(RefusalKind::Failed, format!("signals cannot be listened to: {e}"), None))?;
    let mut shown = Shown::new(call);
    let job = loop {
        let job = look(call, &mut shown, id).map_err(|lost| out_of_sight(lost, id))?;
        if job.state.is_over() {
            break job;
        }
        if signals.within(Duration::ZERO) {
            asked += 1;
            shown.clear(call);
            if asked > 1 {
                return Err(left(call, id));
            }
            // Only a job that this very command has started comes here, and its name was typed then.
            let confirm_name = Some(job.cluster.to_string());
            call.ask(Question::CancelJob { id, confirm_name })?;
            call.note(&format!("job {id} is asked to stop; Ctrl-C again leaves it"));
        }
    };
    shown.clear(call);
    ended(call, &job)
}

/// Waits a moment, and shows what is new.
fn look(call: &mut Call<'_>, shown: &mut Shown, id: JobId) -> Result<Job, Refusal> {
    let question = Question::WaitJob {
        id,
        timeout_ms: LOOK_MS,
    };
    let job = *answer!(call, question, Answer::JobState);
    shown.show(call, &job)?;
    Ok(job)
}

/// The process that works on the job cannot be asked any more; that says nothing about the job.
fn out_of_sight(mut lost: Refusal, id: JobId) -> Refusal {
    lost.chain.insert(0, format!("lost sight of job {id}"));
    lost.hint
        .get_or_insert_with(|| format!("how it went: brine job show {id}"));
    lost
}

/// The operator leaves: the job goes on elsewhere, or can be taken up again.
fn left(call: &mut Call<'_>, id: JobId) -> Refusal {
    call.leave();
    let hint = match call.is_here() {
        true => format!("brine job resume {id} goes on with it, brine job cancel {id} gives it up"),
        false => format!("it goes on in the other process: brine job watch {id}"),
    };
    refuse::of(
        RefusalKind::Cancelled,
        format!("left job {id} before its end"),
        Some(hint),
    )
}

/// The receipt of a job that went well, or why it did not.
fn ended(call: &mut Call<'_>, job: &Job) -> Outcome {
    if job.state != JobState::Succeeded {
        return Err(why(call, job)?);
    }
    let at = call.at(&job.cluster);
    let document = json!({
        "job": job.id, "verb": job.verb, "cluster": job.cluster, "state": job.state,
        "took_ms": took(job), "receipt": job.receipt,
    });
    call.print(&document, at.zone, || receipt::lines(job, at))
}

/// Milliseconds from start to end.
pub(super) fn took(job: &Job) -> Option<i64> {
    Some(job.ended?.since(job.started?))
}

/// Why a job ended otherwise than well.
pub(super) fn why(call: &mut Call<'_>, job: &Job) -> Result<Refusal, Refusal> {
    let error = answer!(call, Question::JobError { id: job.id }, Answer::JobError);
    let (kind, chain, told) = match (error, job.state) {
        (Some(error), _) => (error.kind, error.chain, error.hint),
        (None, JobState::Cancelled) => (RefusalKind::Cancelled, job.error.clone(), None),
        (None, _) => (RefusalKind::Failed, job.error.clone(), None),
    };
    let (hints, mut causes): (Vec<String>, Vec<String>) = chain.into_iter().partition(|line| line.starts_with(HINT));
    // The state says it already.
    causes.retain(|cause| !(job.state == JobState::Cancelled && cause == "cancelled"));
    causes.insert(
        0,
        format!("job {} ({}) {}", job.id, job.title, job.state.word().to_lowercase()),
    );
    let own = hints.first().and_then(|h| h.strip_prefix(HINT)).map(str::to_owned);
    let own = own.or(told);
    let again = || match (job.state, job.resumable) {
        (JobState::Failed | JobState::Interrupted, true) => Some(format!("brine job resume {}", job.id)),
        _ => None,
    };
    // A full disk does not keep the same job from going on once there is space.
    let own = own.map(|hint| match again() {
        Some(again) if hint.starts_with("free some space") => hint.replace("try again", &again),
        _ => hint,
    });
    Ok(Refusal {
        kind,
        chain: causes,
        hint: own.or_else(again),
    })
}

/// How the service marks the line of an error that says what to do.
const HINT: &str = "what to do: ";

/// What has been shown of a job.
struct Shown {
    rewrites: bool,
    lines: u64,
    steps: usize,
    last: Option<Instant>,
    state: Option<JobState>,
}

impl Shown {
    fn new(call: &Call<'_>) -> Self {
        Shown {
            rewrites: call.can_rewrite(),
            lines: 0,
            steps: 0,
            last: None,
            state: None,
        }
    }

    /// Shows what is new.
    fn show(&mut self, call: &mut Call<'_>, job: &Job) -> Result<(), Refusal> {
        self.warnings(call, job.id)?;
        let zone = call.zone(&job.cluster);
        if self.rewrites {
            if !job.state.is_over() {
                let line = progress_line(job, zone, call.now());
                call.passing(&line);
            }
            return Ok(());
        }
        let began = job.steps.len() > self.steps || self.state != Some(job.state);
        let due = self.last.is_none_or(|l| l.elapsed() >= LINE_EVERY);
        if (began || due) && !job.state.is_over() {
            call.note(&progress_line(job, zone, call.now()));
            (self.steps, self.last, self.state) = (job.steps.len(), Some(Instant::now()), Some(job.state));
        }
        Ok(())
    }

    /// The job's own lines: warnings always, the rest with `-v`.
    fn warnings(&mut self, call: &mut Call<'_>, id: JobId) -> Result<(), Refusal> {
        let lines = answer!(call, Question::JobLines { id, after: self.lines }, Answer::Lines);
        for line in lines {
            self.lines += 1;
            if line.level == LineLevel::Info && call.global.verbose == 0 {
                continue;
            }
            self.clear(call);
            let head = if line.level == LineLevel::Info { "" } else { "warning: " };
            call.note(&format!("{head}{}", line.text));
        }
        Ok(())
    }

    fn clear(&self, call: &mut Call<'_>) {
        if self.rewrites {
            call.passing("");
        }
    }
}

/// One line about how far a job is.
pub(super) fn progress_line(job: &Job, zone: Tz, now: Millis) -> String {
    let step = job.steps.iter().rev().find(|s| s.ended.is_none()).or(job.steps.last());
    let what = step.map_or(job.verb.word(), |s| s.name.as_str());
    let mut parts = vec![format!("job {} {}: {}", job.id, job.state.word().to_lowercase(), what)];
    if let Some(bp) = job.progress.basis_points {
        parts.push(format!("{}.{} %", bp / 100, bp % 100 / 10));
    } else if let Some(done) = step.map(|s| s.progress).filter(|p| p.done > 0) {
        parts.push(counted(done.done, done.unit));
    }
    if let (true, Some(step)) = (job.progress.rate >= 1.0, step) {
        parts.push(format!("{}/s", counted(job.progress.rate as u64, step.progress.unit)));
    }
    if let Some((from, to)) = job.progress.left_ms {
        let end = now.plus(from / 2 + to / 2);
        parts.push(format!(
            "ends about {}",
            time::clock(end, zone).get(..5).unwrap_or_default()
        ));
    }
    if let Some(still) = job.progress.moved.map(|m| now.since(m)).filter(|ms| *ms >= STUCK) {
        parts.push(format!("no movement for {}", time::age(still)));
    }
    parts.join("  ")
}

/// A count with its unit.
pub(super) fn counted(n: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => size::iec(n),
        Unit::Rows => format!("{n} rows"),
        Unit::Objects => format!("{n} objects"),
        Unit::Tables => format!("{n} tables"),
        Unit::Transactions => format!("{n} transactions"),
    }
}
