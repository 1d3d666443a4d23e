//! `brine log`.

use super::args::{ChangesArgs, LogArgs, LogCommand, StopArgs, TruncateArgs};
use super::ask::{self, Danger};
use super::call::{Call, answer};
use super::table::{Fit, columns, fitted, indented, pairs};
use super::words::{self, At, count, grouped};
use super::{Outcome, follow, refuse};
use crate::model::ids::ClusterName;
use crate::model::log::{Change, LogActual, LogDesired, LogStatus};
use crate::model::{size, time};
use crate::service::desk::{Answer, LogAct, Question, TruncatePlan};

/// The most changes that are listed.
const MOST_CHANGES: usize = 1_000;

pub(super) fn run(call: &mut Call<'_>, command: LogCommand) -> Outcome {
    match command {
        LogCommand::Start(args) => act(call, args.cluster, LogAct::Start, None),
        LogCommand::Pause(args) => act(call, args.cluster, LogAct::Pause, None),
        LogCommand::Resume(args) => act(call, args.cluster, LogAct::Resume, None),
        LogCommand::Stop(args) => stop(call, args),
        LogCommand::Flush(args) => act(call, args.cluster, LogAct::Flush, None),
        LogCommand::Status(args) => status(call, args),
        LogCommand::Truncate(args) => truncate(call, &args),
        LogCommand::Changes(args) => changes(call, args),
    }
}

fn stop(call: &mut Call<'_>, args: StopArgs) -> Outcome {
    let about = "without its log backup nothing after this moment can be restored but snapshots";
    let confirm_name = ask::if_protected(call, &args.confirm, &args.cluster, about)?;
    act(call, args.cluster, LogAct::Stop, confirm_name)
}

fn act(call: &mut Call<'_>, cluster: ClusterName, act: LogAct, confirm_name: Option<String>) -> Outcome {
    let at = call.at(&cluster);
    let question = Question::Log {
        cluster,
        act,
        confirm_name,
    };
    let log = answer!(call, question, Answer::Log);
    let at = At { now: call.now(), ..at };
    let printed = call.print(&log, at.zone, || vec![acted(act, &log, at)])?;
    warn(call, &log);
    Ok(printed)
}

fn acted(act: LogAct, log: &LogStatus, at: At) -> String {
    let checkpoint = log
        .checkpoint
        .map(|c| format!("; restorable to {}", at.forms(c)))
        .unwrap_or_default();
    match act {
        LogAct::Start | LogAct::Resume => format!("the log backup is Running{checkpoint}"),
        LogAct::Pause => format!("the log backup is Paused{checkpoint}"),
        LogAct::Stop => format!("the log backup is Stopped{checkpoint}"),
        LogAct::Flush => format!("flushed{checkpoint}"),
    }
}

/// What keeps a log backup that is wanted from being of use.
pub(super) fn warn(call: &mut Call<'_>, log: &LogStatus) {
    if log.desired != Some(LogDesired::Running) {
        return;
    }
    if log.actual == LogActual::NoRunner {
        call.note("warning: no process runs the log backup: start `brine agent`, or open the console");
    }
    for why in log.astray.iter().chain(&log.needs_base) {
        call.note(&format!("warning: {why}"));
    }
}

fn status(call: &mut Call<'_>, args: LogArgs) -> Outcome {
    let at = call.at(&args.cluster);
    let cluster = args.cluster;
    let log = answer!(call, Question::LogStatus { cluster }, Answer::Log);
    call.print(&log, at.zone, || page(&log, at))
}

/// The log backup on a page.
pub(super) fn page(log: &LogStatus, at: At) -> Vec<String> {
    let rate = (log.transactions_per_second > 0.0).then(|| {
        format!(
            "{:.1} transactions/s, {}/s",
            log.transactions_per_second,
            size::iec(log.bytes_per_second as u64)
        )
    });
    let error = log
        .last_error
        .as_ref()
        .map(|e| format!("{}: {}", at.with_age(e.at), e.text));
    let mut lines = pairs(&[
        (
            "wanted",
            log.desired.map_or("never started", LogDesired::word).to_owned(),
        ),
        ("really", at.actual(log)),
        (
            "restorable to",
            log.checkpoint.map_or_else(|| "nothing yet".to_owned(), |c| at.forms(c)),
        ),
        (
            "position",
            log.position.as_ref().map(words::position).unwrap_or_default(),
        ),
        ("RPO gap", log.rpo_gap_ms.map(time::took).unwrap_or_default()),
        ("rate", rate.unwrap_or_default()),
        ("log from", log.safepoint.map(|s| at.forms(s)).unwrap_or_default()),
        (
            "stored",
            format!(
                "{}, {}",
                count(log.segments, "segment", "segments"),
                size::iec(log.stored_bytes)
            ),
        ),
        ("last error", error.unwrap_or_default()),
        ("at the source", log.astray.clone().unwrap_or_default()),
        (
            "needs",
            log.needs_base.as_deref().map(|n| at.told(n)).unwrap_or_default(),
        ),
    ]);
    let row = |r: &crate::model::log::LogRun| {
        let ended = r.ended.as_ref().map_or("still grows", |e| e.words());
        vec![
            r.incarnation.to_string(),
            at.local(r.from.at),
            at.local(r.to.at),
            ended.to_owned(),
        ]
    };
    let runs: Vec<Vec<String>> = log.runs.iter().map(row).collect();
    if !runs.is_empty() {
        lines.push("gapless stretches:".to_owned());
        lines.extend(indented(columns(
            &["HISTORY", "FROM", "TO", "ENDED BECAUSE"],
            &[],
            &runs,
        )));
    }
    lines
}

fn truncate(call: &mut Call<'_>, args: &TruncateArgs) -> Outcome {
    let at = call.at(&args.cluster);
    let until = call.moment("--until", &args.until, &args.cluster)?;
    let (cluster, drop_pitr) = (args.cluster.clone(), args.drop_pitr);
    let question = Question::PlanTruncate {
        cluster: cluster.clone(),
        until,
        drop_pitr,
    };
    let plan = answer!(call, question, Answer::TruncatePlan);
    if args.dry_run {
        return call.print(&plan, at.zone, || purge(&plan, at));
    }
    if let Some(why) = &plan.refused {
        return Err(refuse::guarded(
            format!("the log is not truncated: {why}"),
            "choose an earlier moment, or add --drop-pitr",
        ));
    }
    let danger = if call.is_protected(&cluster) {
        Danger::Grave
    } else {
        Danger::Mild
    };
    let confirm_name = ask::confirm(call, &args.confirm, &cluster, danger, &purge(&plan, at))?;
    follow::start(
        call,
        Question::Truncate {
            cluster,
            until,
            drop_pitr,
            confirm_name,
        },
    )
}

fn purge(plan: &TruncatePlan, at: At) -> Vec<String> {
    let lost: Vec<String> = plan.bases_lost.iter().map(ToString::to_string).collect();
    let mut lines = vec![format!("purge the log up to {}", at.forms(plan.until))];
    lines.extend(indented(pairs(&[
        (
            "deletes",
            format!(
                "{}, {}",
                count(plan.segments, "segment", "segments"),
                size::iec(plan.freed_bytes)
            ),
        ),
        ("lose point-in-time", lost.join(" ")),
        ("REFUSED", plan.refused.clone().unwrap_or_default()),
    ])));
    lines.push("  restorable before:".to_owned());
    lines.extend(at.window(&plan.window_before).into_iter().map(|l| format!("    {l}")));
    lines.push("  restorable after:".to_owned());
    lines.extend(at.window(&plan.window_after).into_iter().map(|l| format!("    {l}")));
    lines
}

fn changes(call: &mut Call<'_>, args: ChangesArgs) -> Outcome {
    let at = call.at(&args.cluster);
    let question = Question::Changes {
        from: call.moment_if_any("--from", args.from.as_ref(), &args.cluster)?,
        to: call.moment_if_any("--to", args.to.as_ref(), &args.cluster)?,
        cluster: args.cluster,
        table: args.table,
        all: args.all,
        limit: MOST_CHANGES,
    };
    let changes = answer!(call, question, Answer::Changes);
    let width = call.columns();
    call.print(&changes, at.zone, || listed(&changes, at, width))
}

fn listed(changes: &[Change], at: At, width: Option<usize>) -> Vec<String> {
    if changes.is_empty() {
        return vec!["no changes worth a look; --all lists every transaction".to_owned()];
    }
    let row = |c: &Change| {
        let table = c.table.as_ref().map(ToString::to_string).unwrap_or_default();
        let time = time::exact(c.at.at, at.zone);
        vec![
            c.id.clone(),
            time,
            time::age(at.now.since(c.at.at)),
            words::change(c),
            table,
            grouped(c.rows),
            size::iec(c.bytes),
        ]
    };
    let rows: Vec<Vec<String>> = changes.iter().map(row).collect();
    // The id is what a restore is asked for with: it is never cut.
    let fit = Fit {
        width,
        spare: &["LOG", "AGE", "ROWS", "TABLE"],
        cut: &["CHANGE", "TABLE"],
    };
    let heads = ["ID", "TIME", "AGE", "CHANGE", "TABLE", "ROWS", "LOG"];
    let mut lines = fitted(&heads, &["ROWS", "LOG"], &rows, &fit);
    if changes.len() == MOST_CHANGES {
        lines.push(format!(
            "only the newest {MOST_CHANGES} are listed; narrow it with --from and --to"
        ));
    }
    lines
}
