//! `brine job`.

use serde_json::json;

use super::args::{ConfirmArgs, JobCommand};
use super::ask::{self, Danger};
use super::backup::act;
use super::call::{Call, answer};
use super::table::{columns, indented, pairs};
use super::words::At;
use super::{Outcome, follow, receipt};
use crate::model::ids::{ClusterName, JobId};
use crate::model::job::{Job, JobLine, JobState, JobStep, LineLevel, Verb};
use crate::model::time;
use crate::service::desk::{Answer, Question};
use crate::service::overwrites;

/// The most jobs that are listed.
const MOST: usize = 200;

pub(super) fn run(call: &mut Call<'_>, command: JobCommand) -> Outcome {
    match command {
        JobCommand::List { cluster, verb } => list(call, cluster, verb),
        JobCommand::Show(args) => show(call, args.id),
        JobCommand::Watch(args) => {
            // An unknown number is answered before anything is waited for.
            answer!(call, Question::Job { id: args.id }, Answer::JobState);
            follow::watch(call, args.id)
        }
        JobCommand::Cancel { job, confirm } => cancel(call, job.id, &confirm),
        JobCommand::Resume(args) => follow::start(call, Question::ResumeJob { id: args.id }),
    }
}

fn list(call: &mut Call<'_>, cluster: Option<ClusterName>, verb: Option<Verb>) -> Outcome {
    let at = At {
        zone: cluster.as_ref().map_or_else(|| call.any_zone(), |c| call.zone(c)),
        now: call.now(),
        server: false,
    };
    let jobs = answer!(
        call,
        Question::Jobs {
            cluster,
            verb,
            limit: MOST
        },
        Answer::Jobs
    );
    let row = |j: &Job| {
        let percent = j.progress.basis_points.filter(|_| !j.state.is_over());
        vec![
            j.id.to_string(),
            j.cluster.to_string(),
            j.verb.word().to_owned(),
            j.state.word().to_owned(),
            percent.map(|p| format!("{} %", p / 100)).unwrap_or_default(),
            at.local(j.created),
            time::age(at.now.since(j.created)),
            follow::took(j).map(time::took).unwrap_or_default(),
            j.asked_by.clone(),
            at.told(&j.title),
        ]
    };
    let rows: Vec<Vec<String>> = jobs.iter().map(row).collect();
    let heads = [
        "JOB", "CLUSTER", "VERB", "STATE", "DONE", "ASKED", "AGE", "TOOK", "BY", "WHAT",
    ];
    let lines = match rows.is_empty() {
        true => vec!["there are no jobs".to_owned()],
        false => columns(&heads, &["JOB", "DONE"], &rows),
    };
    call.print(&jobs, at.zone, || lines)
}

fn show(call: &mut Call<'_>, id: JobId) -> Outcome {
    let job = answer!(call, Question::Job { id }, Answer::JobState);
    let log = answer!(call, Question::JobLines { id, after: 0 }, Answer::Lines);
    let at = call.at(&job.cluster);
    call.print(&json!({ "job": job, "lines": log }), at.zone, || page(&job, &log, at))
}

fn page(job: &Job, log: &[JobLine], at: At) -> Vec<String> {
    let when = |t: Option<crate::model::clock::Millis>| t.map(|t| at.with_age(t)).unwrap_or_default();
    let mut lines = vec![format!("job {}: {} {}", job.id, job.verb.word(), at.told(&job.title))];
    lines.extend(indented(pairs(&[
        ("state", job.state.word().to_owned()),
        ("cluster", job.cluster.to_string()),
        ("asked by", job.asked_by.clone()),
        ("asked", at.with_age(job.created)),
        ("started", when(job.started)),
        ("ended", when(job.ended)),
        ("took", follow::took(job).map(time::took).unwrap_or_default()),
        ("the same", job.command.clone().unwrap_or_default()),
        (
            "can go on",
            if can_go_on(job) {
                format!("brine job resume {}", job.id)
            } else {
                String::new()
            },
        ),
    ])));
    if !job.state.is_over() {
        lines.push(format!("  {}", follow::progress_line(job, at.zone, at.now)));
    }
    lines.extend(steps(job));
    lines.extend(job.error.iter().map(|e| format!("  error: {e}")));
    let mark = |l: &JobLine| match l.level {
        LineLevel::Info => "",
        LineLevel::Warning => "warning: ",
        LineLevel::Error => "error: ",
    };
    lines.extend(
        log.iter()
            .map(|l| format!("  {}  {}{}", time::clock(l.at, at.zone), mark(l), at.told(&l.text))),
    );
    if job.state == JobState::Succeeded {
        lines.extend(receipt::lines(job, at));
    }
    lines
}

fn can_go_on(job: &Job) -> bool {
    job.resumable && matches!(job.state, JobState::Interrupted | JobState::Failed)
}

fn steps(job: &Job) -> Vec<String> {
    let steps = &job.steps;
    // The last step of a job that did not succeed was not done, whatever the clock says.
    let broken_off = match job.state {
        JobState::Failed => "failed here",
        JobState::Cancelled => "cancelled here",
        JobState::Interrupted => "interrupted here",
        JobState::Queued | JobState::Running | JobState::Cancelling | JobState::Succeeded => "",
    };
    let row = |(n, s): (usize, &JobStep)| {
        let p = s.progress;
        let done = follow::counted(p.done, p.unit);
        let of = p
            .total
            .map(|t| format!("of {}", follow::counted(t, p.unit)))
            .unwrap_or_default();
        let took = s
            .ended
            .map(|e| time::took(e.since(s.started)))
            .unwrap_or_else(|| "at work".to_owned());
        let end = if n + 1 == steps.len() { broken_off } else { "" };
        let done = if p.done == 0 { String::new() } else { done };
        vec![s.name.clone(), took, done, of, end.to_owned()]
    };
    let rows: Vec<Vec<String>> = steps.iter().enumerate().map(row).collect();
    indented(columns(&["STEP", "TOOK", "DONE", "", ""], &[], &rows))
        .filter(|_| !rows.is_empty())
        .collect()
}

/// Cancelling a restore that overwrites is a typed act.
fn cancel(call: &mut Call<'_>, id: JobId, given: &ConfirmArgs) -> Outcome {
    let job = answer!(call, Question::Job { id }, Answer::JobState);
    let begun = matches!(
        job.state,
        JobState::Running | JobState::Cancelling | JobState::Interrupted
    );
    let mut confirm_name = None;
    if overwrites(&job) && begun {
        let about = [
            format!("job {id} restores {} over itself", job.cluster),
            "cancelled before it switches over, nothing is changed and the cluster opens again".to_owned(),
        ];
        confirm_name = ask::confirm(call, given, &job.cluster, Danger::Grave, &about)?;
    }
    act(call, Question::CancelJob { id, confirm_name })
}
