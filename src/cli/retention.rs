//! `brine retention`.

use super::args::RetentionCommand;
use super::call::{Call, answer};
use super::table::{columns, indented};
use super::words::At;
use super::{Outcome, ask, follow};
use crate::model::size;
use crate::service::desk::{Answer, Question, RetentionLine, RetentionPlan};

pub(super) fn run(call: &mut Call<'_>, command: RetentionCommand) -> Outcome {
    match command {
        RetentionCommand::Plan { cluster } => {
            let at = call.at(&cluster);
            let plan = answer!(call, Question::PlanRetention { cluster }, Answer::Retention);
            call.print(&plan, at.zone, || lines(&plan, at))
        }
        RetentionCommand::Run { cluster, confirm } => {
            let about = "backups that the settings no longer keep go into the trash, log before them for good";
            let confirm_name = ask::if_protected(call, &confirm, &cluster, about)?;
            follow::start(call, Question::RunRetention { cluster, confirm_name })
        }
    }
}

/// What stays, what goes, and why.
pub(super) fn lines(plan: &RetentionPlan, at: At) -> Vec<String> {
    let mut lines = vec![format!("with a retention of {} days:", plan.days)];
    let row = |l: &RetentionLine| {
        let verdict = if l.keep { "stays" } else { "GOES" };
        let moment = at.local(l.commit.at);
        vec![
            l.id.to_string(),
            moment,
            size::iec(l.stored_bytes),
            verdict.to_owned(),
            l.reason.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = plan.backups.iter().map(row).collect();
    if rows.is_empty() {
        lines.push("  there are no backups".to_owned());
        return lines;
    }
    lines.extend(indented(columns(
        &["ID", "MOMENT", "STORED", "", "BECAUSE"],
        &["STORED"],
        &rows,
    )));
    if let Some(until) = plan.truncate_until {
        lines.push(format!("  the log up to {} goes", at.local(until.at)));
    }
    if plan.dropped().next().is_some() {
        lines.push(format!(
            "  {} are freed once the trash is emptied",
            size::iec(plan.freed_bytes)
        ));
    }
    lines.push("  restorable afterwards:".to_owned());
    lines.extend(at.window(&plan.window_after).into_iter().map(|l| format!("    {l}")));
    lines
}
