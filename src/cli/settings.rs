//! `brine settings`.

use serde_json::json;

use super::args::{SettingsCommand, SettingsSetArgs};
use super::ask::{self, Danger};
use super::call::{Call, answer};
use super::table::pairs;
use super::words::At;
use super::{Outcome, log, retention};
use crate::model::ids::ClusterName;
use crate::model::settings::BackupSettings;
use crate::service::desk::{Answer, ClusterPage, Question, Refusal, RefusalKind, RetentionPlan};

pub(super) fn run(call: &mut Call<'_>, command: SettingsCommand) -> Outcome {
    match command {
        SettingsCommand::Show { cluster } => show(call, cluster),
        SettingsCommand::Set(args) => set(call, &args),
    }
}

fn show(call: &mut Call<'_>, cluster: ClusterName) -> Outcome {
    let at = call.at(&cluster);
    let page = answer!(call, Question::Cluster { cluster }, Answer::Cluster);
    let document = json!({ "settings": page.settings, "next_runs": page.next_runs, "location": page.location });
    call.print(&document, at.zone, || lines(&page, at))
}

fn lines(page: &ClusterPage, at: At) -> Vec<String> {
    let mut lines = settings(&page.settings);
    let runs: Vec<String> = page.next_runs.iter().map(|r| at.local(*r)).collect();
    lines.extend(pairs(&[
        ("Next runs       ", runs.join(", ")),
        ("Archive         ", page.location.clone()),
    ]));
    lines
}

/// Backup Settings as pairs.
pub(super) fn settings(s: &BackupSettings) -> Vec<String> {
    let on = |on| if on { "on" } else { "off" };
    pairs(&[
        ("Backup Time     ", format!("{} {}", s.backup_time, s.time_zone.name())),
        ("Backup Retention", format!("{} days", s.retention_days.get())),
        ("Schedule        ", on(s.schedule).to_owned()),
        ("Point-in-time   ", on(s.pitr).to_owned()),
    ])
}

fn set(call: &mut Call<'_>, args: &SettingsSetArgs) -> Outcome {
    let cluster = args.cluster.clone();
    let at = call.at(&cluster);
    let page = answer!(
        call,
        Question::Cluster {
            cluster: cluster.clone()
        },
        Answer::Cluster
    );
    let wanted = changed(call, &page.settings, args);
    let preview = preview(call, &cluster, &wanted)?;
    let drops = preview.as_ref().is_some_and(|p| p.dropped().next().is_some());
    let about: Vec<String> = preview.iter().flat_map(|p| retention::lines(p, at)).collect();
    let mut confirm_name = None;
    if drops || call.is_protected(&cluster) {
        let danger = if call.is_protected(&cluster) {
            Danger::Grave
        } else {
            Danger::Serious
        };
        confirm_name = ask::confirm(call, &args.confirm, &cluster, danger, &about)?;
    } else {
        call.notes(&about);
    }
    let question = Question::SetSettings {
        cluster: cluster.clone(),
        settings: wanted.clone(),
        confirm_name,
    };
    answer!(call, question, Answer::Done);
    let document = json!({ "settings": wanted, "preview": preview });
    let printed = call.print(&document, at.zone, || settings(&wanted))?;
    if wanted.pitr {
        let status = answer!(call, Question::LogStatus { cluster }, Answer::Log);
        log::warn(call, &status);
    }
    Ok(printed)
}

/// The settings as they would be. Backup Time follows the config's zone.
fn changed(call: &Call<'_>, now: &BackupSettings, args: &SettingsSetArgs) -> BackupSettings {
    BackupSettings {
        backup_time: args.time.unwrap_or(now.backup_time),
        time_zone: call.config_zone(&args.cluster).unwrap_or(now.time_zone),
        retention_days: args.retention_days.unwrap_or(now.retention_days),
        schedule: args.schedule.unwrap_or(now.schedule),
        pitr: args.pitr.unwrap_or(now.pitr),
    }
}

/// What the settings would do to the backups; nothing while there are none.
fn preview(
    call: &Call<'_>,
    cluster: &ClusterName,
    settings: &BackupSettings,
) -> Result<Option<RetentionPlan>, Refusal> {
    let question = Question::PreviewSettings {
        cluster: cluster.clone(),
        settings: settings.clone(),
    };
    match call.ask(question) {
        Ok(Answer::Retention(plan)) => Ok(Some(plan)),
        Ok(other) => Err(super::refuse::unexpected(&other)),
        Err(refusal) if refusal.kind == RefusalKind::NotFound => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
