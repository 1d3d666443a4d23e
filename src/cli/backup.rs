//! `brine backup`.

use serde_json::json;

use super::args::BackupCommand;
use super::ask::{self, Danger};
use super::call::{Call, answer};
use super::table::{columns, indented, pairs};
use super::words::{At, grouped};
use super::{Outcome, follow, receipt, refuse};
use crate::cli::args::ConfirmArgs;
use crate::model::backup::{BackupEntry, BackupTable, ProofLevel};
use crate::model::ids::{BackupId, ClusterName};
use crate::model::size;
use crate::model::time;
use crate::service::desk::{Answer, DeletePlan, Question};

pub(super) fn run(call: &mut Call<'_>, command: BackupCommand) -> Outcome {
    match command {
        BackupCommand::Create(args) => {
            let (cluster, request) = (args.cluster.clone(), args.request());
            follow::start(call, Question::TakeBackup { cluster, request })
        }
        BackupCommand::List { cluster, deleted } => list(call, cluster, deleted),
        BackupCommand::Show(b) => show(call, b.cluster, b.id),
        BackupCommand::Delete { backup: b, confirm } => delete(call, b.cluster, b.id, &confirm),
        BackupCommand::Undelete(b) => {
            let (cluster, id) = (b.cluster, b.id);
            act(call, Question::Undelete { cluster, id })
        }
        BackupCommand::Protect(b) => protect(call, b.cluster, b.id, true),
        BackupCommand::Unprotect(b) => protect(call, b.cluster, b.id, false),
        BackupCommand::Verify {
            backup: b,
            level,
            scratch,
        } => {
            // Naming a cluster for the test asks for the test.
            let level = match scratch {
                Some(_) => ProofLevel::Tested,
                None => level.into(),
            };
            let (cluster, id) = (b.cluster, b.id);
            follow::start(
                call,
                Question::Verify {
                    cluster,
                    id,
                    level,
                    scratch,
                },
            )
        }
    }
}

/// A question whose answer is that it was done.
pub(super) fn act(call: &mut Call<'_>, question: Question) -> Outcome {
    let text = answer!(call, question, Answer::Done);
    call.done(&text)
}

fn protect(call: &mut Call<'_>, cluster: ClusterName, id: BackupId, on: bool) -> Outcome {
    act(call, Question::Protect { cluster, id, on })
}

fn list(call: &mut Call<'_>, cluster: ClusterName, deleted: bool) -> Outcome {
    let at = call.at(&cluster);
    let zone = at.zone;
    let name = cluster.clone();
    let backups = answer!(call, Question::Backups { cluster, deleted }, Answer::Backups);
    let lines = || match backups.is_empty() {
        true => vec![format!(
            "{name} has no backups yet; take the first: brine backup create {name}"
        )],
        false => table(&backups, at),
    };
    call.print(&backups, zone, lines)
}

fn table(backups: &[BackupEntry], at: At) -> Vec<String> {
    let row = |e: &BackupEntry| {
        let s = &e.summary;
        vec![
            s.id.to_string(),
            at.local(s.commit.at),
            time::age(at.now.since(s.commit.at)),
            s.kind.word().to_owned(),
            grouped(s.tables),
            grouped(s.totals.rows),
            size::iec(s.totals.bytes),
            size::iec(s.stored_bytes),
            at.status(&e.status),
            at.pitr_to(&e.pitr_to),
            at.kept_to(e),
            at.proof(e.proof.as_ref()),
            s.note.clone().unwrap_or_default(),
        ]
    };
    let heads = [
        "ID", "MOMENT", "AGE", "TYPE", "TABLES", "ROWS", "SIZE", "STORED", "STATE", "PITR TO", "KEPT TO", "PROVED",
        "NOTE",
    ];
    let rows: Vec<Vec<String>> = backups.iter().map(row).collect();
    columns(&heads, &["TABLES", "ROWS", "SIZE", "STORED"], &rows)
}

fn show(call: &mut Call<'_>, cluster: ClusterName, id: BackupId) -> Outcome {
    let at = call.at(&cluster);
    let zone = at.zone;
    let (entry, tables) = match call.ask(Question::Backup { cluster, id })? {
        Answer::Backup { entry, tables } => (entry, tables),
        other => return Err(refuse::unexpected(&other)),
    };
    let document = json!({ "backup": entry, "tables": tables });
    call.print(&document, zone, || page(&entry, &tables, at))
}

fn page(entry: &BackupEntry, tables: &[BackupTable], at: At) -> Vec<String> {
    let s = &entry.summary;
    let protected = entry.protection.as_ref();
    let failed = entry.proof.as_ref().and_then(|p| p.failed.clone());
    let mut lines = vec![format!("backup {} of {}", s.id, s.cluster)];
    lines.extend(indented(pairs(&[
        ("state", at.status(&entry.status)),
        ("moment", at.forms(s.commit)),
        ("position", s.position.to_string()),
        ("type", s.kind.word().to_owned()),
        ("note", s.note.clone().unwrap_or_default()),
        ("asked by", s.asked_by.to_string()),
        ("took", time::took(s.finished.since(s.started))),
        ("holds", receipt::held(s.tables, s.totals.rows, s.totals.bytes)),
        ("filter", s.filter.join(" ")),
        (
            "stored",
            format!("{} in {} objects", size::iec(s.stored_bytes), s.objects),
        ),
        ("point in time to", at.pitr_to(&entry.pitr_to)),
        ("kept to", at.kept_to(entry)),
        (
            "protected",
            protected
                .map(|p| format!("by {} since {}", p.by, at.local(p.at)))
                .unwrap_or_default(),
        ),
        ("proved", at.proof(entry.proof.as_ref())),
        ("why it failed", failed.unwrap_or_default()),
        ("history", s.incarnation.to_string()),
        (
            "source",
            format!("{}, identity {}", s.source_version, s.cluster_identity),
        ),
        ("made with", format!("brine {}", s.tool_version)),
    ])));
    let row = |t: &BackupTable| {
        vec![
            t.name.to_string(),
            grouped(t.sum.rows),
            size::iec(t.sum.bytes),
            size::iec(t.stored_bytes),
            t.sum.hex(),
        ]
    };
    let rows: Vec<Vec<String>> = tables.iter().map(row).collect();
    lines.extend(indented(columns(
        &["TABLE", "ROWS", "SIZE", "STORED", "CHECKSUM"],
        &["ROWS", "SIZE", "STORED"],
        &rows,
    )));
    lines
}

fn delete(call: &mut Call<'_>, cluster: ClusterName, id: BackupId, given: &ConfirmArgs) -> Outcome {
    let at = call.at(&cluster);
    let question = Question::PlanDelete {
        cluster: cluster.clone(),
        id: id.clone(),
    };
    let plan = answer!(call, question, Answer::DeletePlan);
    let grave = plan.last_good || call.is_protected(&cluster);
    let danger = if grave { Danger::Grave } else { Danger::Mild };
    let mut confirm_name = given.confirm_name.clone();
    // One that cannot be deleted is refused by the desk, with the reason, before anybody is asked.
    if plan.refused.is_none() {
        confirm_name = ask::confirm(call, given, &cluster, danger, &loses(&plan, at))?;
    }
    follow::start(
        call,
        Question::Delete {
            cluster,
            id,
            confirm_name,
        },
    )
}

fn loses(plan: &DeletePlan, at: At) -> Vec<String> {
    let mut lines = vec![format!("deleting backup {} loses:", plan.id)];
    lines.extend(plan.loses.iter().map(|l| format!("  {}", at.told(l))));
    lines.push("restorable afterwards:".to_owned());
    lines.extend(indented(at.window(&plan.window_after)));
    lines.push(format!("it stays in the trash until {}", at.local(plan.trash_until)));
    lines
}
