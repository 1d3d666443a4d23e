//! What speaks for and against a plan, line by line.

use super::plan::{Check, CheckState};
use super::planner::{Needed, Target};
use crate::cluster::{CheckResult, ClusterFacts, RestoreCheck};
use crate::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use crate::engine::view::View;
use crate::model::backup::BackupSummary;
use crate::model::definition::Definition;
use crate::model::filter::TableFilter;
use crate::model::log::{Lacking, LogRun, RunEnd};
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::text::safe;
use crate::model::time::mention;

fn line(name: &str, state: CheckState, found: String, wanted: &str) -> Check {
    Check {
        name: name.to_owned(),
        state,
        found,
        wanted: wanted.to_owned(),
    }
}

/// Which server it is.
pub(super) fn identity(facts: &ClusterFacts) -> Check {
    let found = format!("{} {}", facts.kind.word(), facts.identity);
    line("identity", CheckState::Ok, found, "known target")
}

/// The log between base and moment, which was found without gaps: what of its transactions it does not hold.
pub(super) fn log(log: Option<&Needed>, base: &BackupSummary, until: Moment, filter: &TableFilter) -> Check {
    let concerns = |l: &&Lacking| {
        let chosen = l.table.as_ref().is_none_or(|t| filter.matches(t));
        base.commit < l.at && l.at <= until && chosen
    };
    if let Some(lost) = log.and_then(|log| log.lost.first()) {
        return line(
            "log, files",
            CheckState::Warning,
            format!(
                "the XA transaction {} was prepared at {}, which the log does not reach back to any more; the restore ends where it is \
                 committed",
                safe(&lost.name, 80),
                mention(lost.at.at)
            ),
            "a base behind its commit",
        );
    }
    let lacking = log.and_then(|log| log.run.lacking.iter().find(concerns));
    match lacking {
        None => line(
            "log, files",
            CheckState::Ok,
            "gapless to the moment, all objects present".to_owned(),
            "nothing missing",
        ),
        Some(l) => line(
            "log, files",
            CheckState::Warning,
            format!(
                "gapless, but the log does not hold all of transaction {}{}, and the restore may end there: {}",
                l.transaction,
                l.table.as_ref().map(|t| format!(" of {t}")).unwrap_or_default(),
                l.what
            ),
            &format!(
                "a base behind it: `brine backup create`; before it: --before {}",
                l.transaction
            ),
        ),
    }
}

/// The name of the line about a gap behind what is restored.
pub(super) const GAP: &str = "latest";

/// An instant in words.
pub(super) fn clock(moment: Moment) -> String {
    mention(moment.at)
}

/// Latest is as far as the log behind the newest base goes; that may be long ago.
pub(super) fn gap(log: Option<&LogRun>, request: &RestoreRequest) -> Option<Check> {
    let run = log.filter(|run| request.point == RestorePoint::Latest && run.ended == Some(RunEnd::SourceLogGone))?;
    Some(line(
        GAP,
        CheckState::Warning,
        format!(
            "the log has a gap behind {}: what was committed since then is not restored",
            clock(run.to)
        ),
        "a snapshot behind the gap: brine backup create",
    ))
}

/// Tables that the log changes, and whose changes reach chosen tables past ones that are not chosen.
pub(super) fn cascades(tables: &[TableName]) -> Option<Check> {
    let names: Vec<String> = tables.iter().take(8).map(ToString::to_string).collect();
    let filters: Vec<String> = names.iter().map(|n| format!("--filter {n}")).collect();
    (!names.is_empty()).then(|| {
        line(
            "cascades",
            CheckState::Warning,
            format!(
                "the log changes {}: where that cascades into chosen tables past others, which no log holds, the restore ends",
                names.join(", ")
            ),
            &format!("all tables on the way: {}", filters.join(" ")),
        )
    })
}

/// Tables that the base lacks.
pub(super) fn left_out(definitions: &[Definition], filter: &TableFilter) -> Option<Check> {
    let all = definitions.iter().filter_map(Definition::left_out);
    let names: Vec<String> = all.filter(|t| filter.matches(t)).map(|t| t.to_string()).collect();
    let more = match names.len() {
        0 => return None,
        1..=5 => String::new(),
        n => format!(" and {} more", n - 5),
    };
    let some: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    Some(line(
        "left out",
        CheckState::Warning,
        format!(
            "the base does not have {}{more}: they came or went while it was taken; only the log can bring them",
            some.join(", ")
        ),
        "an older base (--base), if they matter",
    ))
}

/// What is in the way.
pub(super) fn target(request: &RestoreRequest, target: &Target<'_>, in_the_way: &[TableName]) -> Check {
    let in_place = request.target == RestoreTarget::InPlace;
    let blocked = !in_place && !request.replace && !in_the_way.is_empty();
    let names = in_the_way
        .iter()
        .take(3)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    match (blocked, in_the_way.len()) {
        (true, n) => line(
            "target",
            CheckState::Blocked,
            format!(
                "{} in the way in {}: {names}",
                if n == 1 {
                    "1 table is".to_owned()
                } else {
                    format!("{n} tables are")
                },
                target.name
            ),
            "choose other names, an empty cluster, or --replace",
        ),
        (false, 0) => line("target", CheckState::Ok, "nothing is in the way".to_owned(), "empty"),
        (false, n) => line(
            "target",
            CheckState::Warning,
            format!(
                "{n} {} will be replaced: {names}",
                if n == 1 { "table" } else { "tables" }
            ),
            "agreed by typing the name",
        ),
    }
}

/// Types, accounts and programs of one product are not the other's, nor all of a newer version an older one's.
pub(super) fn product(source: &str, target: &str) -> Option<Check> {
    let parts = |text: &str| {
        let (name, version) = text.split_once(' ')?;
        let mut numbers = version.split('.').map_while(|n| n.parse::<u32>().ok());
        Some((name.to_owned(), (numbers.next()?, numbers.next()?)))
    };
    let ((from, old), (into, new)) = (parts(source)?, parts(target)?);
    let (state, wanted) = match from == into {
        false => (CheckState::Blocked, format!("a {from} server as the target")),
        true if new < old => (
            CheckState::Warning,
            "a version as new as the source's: an older one may lack types, collations and keywords".to_owned(),
        ),
        true => return None,
    };
    Some(Check {
        name: "product".to_owned(),
        state,
        found: format!("the backup is of {source}, the target is {target}"),
        wanted,
    })
}

/// What a moment means where the source stamps its transactions only roughly.
pub(super) fn resolution(request: &RestoreRequest, base: &BackupSummary) -> Option<Check> {
    let by_time = matches!(request.point, RestorePoint::At { .. });
    (by_time && base.source_version.contains("MariaDB")).then(|| Check {
        name: "resolution".to_owned(),
        state: CheckState::Ok,
        found: "the source dates transactions by the second in which they began (floored to 1 s)".to_owned(),
        wanted: "see the last one in and the first one out".to_owned(),
    })
}

/// Documents of the archive that cannot be used, and are not needed for this restore.
pub(super) fn damage(view: &View, request: &RestoreRequest) -> Option<Check> {
    // A restore in place begins a new history, which is written there.
    let (state, wanted) = match request.target {
        RestoreTarget::InPlace => (
            CheckState::Blocked,
            "mend them, or restore the snapshot beside what is there or into another cluster: that needs none of them",
        ),
        _ => (
            CheckState::Warning,
            "the snapshot itself does not need them; all else of this archive does",
        ),
    };
    (!view.damaged.is_empty()).then(|| Check {
        name: "archive".to_owned(),
        state,
        found: view.damaged.join("; "),
        wanted: wanted.to_owned(),
    })
}

/// What the driver itself found.
pub(super) fn driver(c: RestoreCheck) -> Check {
    Check {
        name: c.name,
        state: match c.result {
            CheckResult::Ok => CheckState::Ok,
            CheckResult::Warning => CheckState::Warning,
            CheckResult::Blocked => CheckState::Blocked,
        },
        found: c.found,
        wanted: c.wanted,
    }
}
