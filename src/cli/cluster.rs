//! `brine cluster`.

use super::args::{ClusterCommand, ConfirmArgs};
use super::ask::{self, Danger};
use super::backup::act;
use super::call::{Call, answer};
use super::exit::ExitCode;
use super::table::{columns, indented, pairs};
use super::words::{self, At, count, grouped};
use super::{Outcome, log, settings};
use crate::model::ids::ClusterName;
use crate::model::{size, time};
use crate::service::desk::{Adoption, Answer, ClusterCard, ClusterPage, Finding, Question, Severity};

pub(super) fn run(call: &mut Call<'_>, command: ClusterCommand) -> Outcome {
    match command {
        ClusterCommand::List => list(call),
        ClusterCommand::Show { cluster } => show(call, cluster),
        ClusterCommand::Check { cluster } => check(call, cluster),
        ClusterCommand::Adopt { cluster, confirm } => adopt(call, cluster, &confirm),
        ClusterCommand::Open { cluster } => act(call, Question::Open { cluster }),
    }
}

fn check(call: &mut Call<'_>, cluster: ClusterName) -> Outcome {
    let zone = call.zone(&cluster);
    let findings = answer!(call, Question::CheckCluster { cluster }, Answer::Findings);
    let missing = findings.iter().any(|f| f.severity == Severity::Missing);
    call.print(&findings, zone, || found(&findings))?;
    Ok(if missing { ExitCode::Failed } else { ExitCode::Done })
}

fn found(findings: &[Finding]) -> Vec<String> {
    let row = |f: &Finding| {
        let result = match f.severity {
            Severity::Ok => "ok",
            Severity::Warning => "warning",
            Severity::Missing => "MISSING",
        };
        vec![f.name.clone(), result.to_owned(), f.found.clone()]
    };
    let rows: Vec<Vec<String>> = findings.iter().map(row).collect();
    let mut lines = columns(&["CHECK", "RESULT", "FOUND"], &[], &rows);
    let mends: Vec<&String> = findings.iter().filter_map(|f| f.mend.as_ref()).collect();
    if !mends.is_empty() {
        lines.push("what to do:".to_owned());
        lines.extend(mends.into_iter().map(|m| format!("  {m}")));
    }
    lines
}

fn adopt(call: &mut Call<'_>, cluster: ClusterName, given: &ConfirmArgs) -> Outcome {
    let zone = call.zone(&cluster);
    let about = [
        format!("the backups of {cluster} go on with the database that is there now"),
        "where its log does not continue theirs, a new history begins: no moment between the two can be restored"
            .to_owned(),
    ];
    let confirm_name = ask::confirm(call, given, &cluster, Danger::Grave, &about)?;
    let question = Question::Adopt {
        cluster: cluster.clone(),
        confirm_name,
    };
    let adopted = answer!(call, question, Answer::Adopted);
    call.print(&adopted, zone, || adoption(&cluster, &adopted))
}

fn adoption(cluster: &ClusterName, a: &Adoption) -> Vec<String> {
    let mut lines = vec![match a.identity == a.before {
        true => format!("{cluster} is {}, as before", a.identity),
        false => format!("{cluster} is {} from now on; it was {}", a.identity, a.before),
    }];
    if a.continued {
        lines.push("  its log continues the archive's: nothing is missing".to_owned());
        return lines;
    }
    lines.extend(a.incarnation.map(|i| format!("  history number {i} began")));
    lines.push(format!(
        "  next: take a snapshot, it is the first moment that can be restored again: brine backup create {cluster}"
    ));
    lines
}

fn list(call: &mut Call<'_>) -> Outcome {
    let zone = call.any_zone();
    let cards = answer!(call, Question::Fleet, Answer::Fleet);
    let row = |c: &ClusterCard| {
        let at = call.at(&c.name);
        let to = c.window.bounds().map(|(_, to)| at.local(to.at));
        vec![
            c.name.to_string(),
            c.health.word.clone(),
            words::short_state(&c.state).to_owned(),
            to.unwrap_or_else(|| "nothing".to_owned()),
            c.log.rpo_gap_ms.map(time::age).unwrap_or_default(),
            c.last_backup.map(|b| time::ago(at.now.since(b))).unwrap_or_default(),
            grouped(c.backups),
            size::iec(c.stored_bytes),
            c.product.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = cards.iter().map(row).collect();
    let heads = [
        "CLUSTER",
        "HEALTH",
        "STATE",
        "RESTORABLE TO",
        "RPO GAP",
        "LAST BACKUP",
        "BACKUPS",
        "STORED",
        "PRODUCT",
    ];
    let lines = columns(&heads, &["BACKUPS", "STORED"], &rows);
    call.print(&cards, zone, || lines)
}

fn show(call: &mut Call<'_>, cluster: ClusterName) -> Outcome {
    let at = call.at(&cluster);
    let page = answer!(call, Question::Cluster { cluster }, Answer::Cluster);
    call.print(&page, at.zone, || lines(&page, at))
}

fn lines(page: &ClusterPage, at: At) -> Vec<String> {
    let card = &page.card;
    let storages: Vec<String> = page.storages.iter().map(ToString::to_string).collect();
    let undo = page
        .undo
        .as_ref()
        .map(|u| format!("to {}, until {}", at.forms(u.to), at.local(u.until)));
    let proof = card
        .proof
        .map(|(level, when)| format!("{}, {}", level.word(), at.with_age(when)));
    let mut lines = vec![format!(
        "{}  {}  {}",
        card.name,
        [Some(&card.product), card.address.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" at "),
        words::state(&card.state)
    )];
    lines.extend(indented(pairs(&[
        ("health", card.health.word.clone()),
        (
            "identity",
            page.facts.as_ref().map(|f| f.identity.clone()).unwrap_or_default(),
        ),
        (
            "holds",
            page.facts
                .as_ref()
                .map(|f| {
                    format!(
                        "{}, about {} rows, {}",
                        count(f.tables, "table", "tables"),
                        grouped(f.rows_estimate),
                        size::iec(f.bytes_estimate)
                    )
                })
                .unwrap_or_default(),
        ),
        (
            "now",
            page.facts.as_ref().map(|f| at.forms(f.now.moment)).unwrap_or_default(),
        ),
        (
            "position",
            page.facts
                .as_ref()
                .map(|f| words::position(&f.now.position))
                .unwrap_or_default(),
        ),
        (
            "sessions",
            page.facts.as_ref().map(|f| f.sessions.to_string()).unwrap_or_default(),
        ),
        (
            "backups",
            format!("{}, {} stored", grouped(card.backups), size::iec(card.stored_bytes)),
        ),
        (
            "last backup",
            card.last_backup.map(|b| at.with_age(b)).unwrap_or_default(),
        ),
        ("proved", proof.unwrap_or_default()),
        ("next run", at.next_run(&card.next_run)),
        ("undo", undo.unwrap_or_default()),
        ("storage", format!("{} ({})", storages.join(" "), page.location)),
        (
            "protected",
            if card.protected {
                "every dangerous act needs the typed name".to_owned()
            } else {
                String::new()
            },
        ),
        (
            "job",
            card.job
                .as_ref()
                .map(|j| format!("{} {}: {}", j.id, j.state.word().to_lowercase(), j.title))
                .unwrap_or_default(),
        ),
    ])));
    lines.extend(card.health.reasons.iter().map(|r| format!("  ! {}", at.told(r))));
    lines.push("restorable:".to_owned());
    lines.extend(indented(at.window(&card.window)));
    lines.push("Backup Settings:".to_owned());
    lines.extend(indented(settings::settings(&page.settings)));
    lines.push("log backup:".to_owned());
    lines.extend(indented(log::page(&card.log, at)));
    lines.extend(histories(page, at));
    lines
}

fn histories(page: &ClusterPage, at: At) -> Vec<String> {
    let line = |i: &crate::service::desk::IncarnationView| {
        let to = i.restored_to.map(|m| format!(", by a restore to {}", at.local(m.at)));
        format!("  {} began {}{}", i.id, at.local(i.began.at), to.unwrap_or_default())
    };
    let mut lines: Vec<String> = page.incarnations.iter().map(line).collect();
    if !lines.is_empty() {
        lines.insert(0, "histories:".to_owned());
    }
    lines
}
