//! `brine data`: the data of an embedded cluster.

use std::time::{Duration, Instant};

use serde_json::json;

use super::args::{DataCommand, TrafficArgs};
use super::backup::act;
use super::call::{Call, answer};
use super::signals::Signals;
use super::table::columns;
use super::words::{At, grouped};
use super::{Outcome, ask, exit::ExitCode, refuse};
use crate::model::ids::ClusterName;
use crate::model::position::Moment;
use crate::model::size;
use crate::model::table::TableName;
use crate::service::desk::{Answer, ChecksumAnswer, DataQuestion, Question, RefusalKind};

/// Rows of one scan come in pages of this many.
const PAGE: usize = 1_000;

pub(super) fn run(call: &mut Call<'_>, command: DataCommand) -> Outcome {
    use DataQuestion as D;
    match command {
        DataCommand::Tables { cluster } => tables(call, cluster),
        DataCommand::Count { cluster } => count(call, cluster),
        DataCommand::Checksum { cluster, at } => checksum(call, cluster, at.as_ref()),
        DataCommand::Put { table: t, key, value } => {
            let table = t.table;
            commit(call, t.cluster, D::Put { table, key, value })
        }
        DataCommand::Get { table: t, key } => get(call, t.cluster, t.table, key),
        DataCommand::Delete { table: t, key } => commit(call, t.cluster, D::Delete { table: t.table, key }),
        DataCommand::Drop { table: t, confirm } => {
            let about = format!("table {} goes with all its rows", t.table);
            let confirm_name = ask::if_protected(call, &confirm, &t.cluster, &about)?;
            let table = t.table;
            commit(call, t.cluster, D::Drop { table, confirm_name })
        }
        DataCommand::Scan { table: t, at } => scan(call, t.cluster, t.table, at.as_ref()),
        DataCommand::Load(args) => {
            let question = D::Load {
                table: args.table.table,
                rows: args.rows,
                size: usize::try_from(args.size).unwrap_or(usize::MAX),
                seed: args.seed,
            };
            let cluster = args.table.cluster;
            act(call, Question::Data { cluster, question })
        }
        DataCommand::Traffic(args) => traffic(call, &args),
    }
}

fn tables(call: &mut Call<'_>, cluster: ClusterName) -> Outcome {
    let zone = call.zone(&cluster);
    let question = DataQuestion::Tables;
    let tables = answer!(call, Question::Data { cluster, question }, Answer::Tables);
    let lines = || {
        let row = |t: &crate::cluster::TableFacts| {
            let system = if t.system { "system" } else { "" };
            let rows = format!("~{}", grouped(t.rows_estimate));
            vec![
                t.name.to_string(),
                rows,
                format!("~{}", size::iec(t.bytes_estimate)),
                system.to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = tables.iter().map(row).collect();
        columns(&["TABLE", "ROWS", "SIZE", "KIND"], &["ROWS", "SIZE"], &rows)
    };
    call.print(&tables, zone, lines)
}

fn count(call: &mut Call<'_>, cluster: ClusterName) -> Outcome {
    let zone = call.zone(&cluster);
    let question = DataQuestion::Count;
    let sums = answer!(call, Question::Data { cluster, question }, Answer::Checksums);
    let counts: Vec<_> = sums
        .tables
        .iter()
        .map(|t| json!({ "table": t.table, "rows": t.sum.rows }))
        .collect();
    let document = json!({ "at": sums.at, "tables": counts });
    let lines = || {
        let rows: Vec<Vec<String>> = sums
            .tables
            .iter()
            .map(|t| vec![t.table.to_string(), grouped(t.sum.rows)])
            .collect();
        columns(&["TABLE", "ROWS"], &["ROWS"], &rows)
    };
    call.print(&document, zone, lines)
}

fn checksum(call: &mut Call<'_>, cluster: ClusterName, at: Option<&String>) -> Outcome {
    let shown = call.at(&cluster);
    let at = call.moment_if_any("--at", at, &cluster)?;
    let question = DataQuestion::Checksum { at };
    let mut sums = answer!(call, Question::Data { cluster, question }, Answer::Checksums);
    sums.tables.sort_by_cached_key(|t| t.table.to_string());
    call.print(&sums, shown.zone, || sums_table(&sums, shown))
}

fn sums_table(sums: &ChecksumAnswer, at: At) -> Vec<String> {
    let mut lines = vec![format!("at {}", at.forms(sums.at))];
    let row = |t: &crate::service::desk::TableSum| {
        vec![
            t.table.to_string(),
            grouped(t.sum.rows),
            grouped(t.sum.bytes),
            t.sum.hex(),
        ]
    };
    let rows: Vec<Vec<String>> = sums.tables.iter().map(row).collect();
    lines.extend(columns(
        &["TABLE", "ROWS", "BYTES", "CHECKSUM"],
        &["ROWS", "BYTES"],
        &rows,
    ));
    lines
}

/// A change of the data; prints the moment of its commit.
fn commit(call: &mut Call<'_>, cluster: ClusterName, question: DataQuestion) -> Outcome {
    let at = call.at(&cluster);
    let tso = answer!(call, Question::Data { cluster, question }, Answer::Committed);
    let moment = Moment::of_tso(tso);
    let document = json!({ "committed": moment });
    call.print(&document, at.zone, || {
        vec![format!("committed at {}", at.forms(moment))]
    })
}

fn get(call: &mut Call<'_>, cluster: ClusterName, table: TableName, key: String) -> Outcome {
    let zone = call.zone(&cluster);
    let question = DataQuestion::Get {
        table: table.clone(),
        key: key.clone(),
    };
    let rows = answer!(call, Question::Data { cluster, question }, Answer::Rows);
    let Some((key, value)) = rows.into_iter().next() else {
        let what = format!("{table} has no row with the key {key}");
        return Err(refuse::of(RefusalKind::NotFound, what, None));
    };
    call.print(&json!({ "key": key, "value": value }), zone, || vec![value.clone()])
}

/// All rows, page by page; as JSON in one document.
fn scan(call: &mut Call<'_>, cluster: ClusterName, table: TableName, at: Option<&String>) -> Outcome {
    let zone = call.zone(&cluster);
    let mut at = call.moment_if_any("--at", at, &cluster)?;
    if at.is_none() {
        // All pages must be of one moment.
        let question = Question::Cluster {
            cluster: cluster.clone(),
        };
        let page = answer!(call, question, Answer::Cluster);
        at = page.facts.map(|f| f.now.moment);
    }
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let question = DataQuestion::Scan {
            table: table.clone(),
            at,
            after: after.take(),
            limit: PAGE,
        };
        let rows = answer!(
            call,
            Question::Data {
                cluster: cluster.clone(),
                question
            },
            Answer::Rows
        );
        after = (rows.len() == PAGE)
            .then(|| rows.last().map(|(key, _)| key.clone()))
            .flatten();
        if call.out.is_json() {
            all.extend(rows.iter().map(|(key, value)| json!({ "key": key, "value": value })));
        } else {
            let lines: Vec<String> = rows.iter().map(|(key, value)| format!("{key}  {value}")).collect();
            call.out.lines(&lines).map_err(refuse::printing)?;
        }
        if after.is_none() {
            break;
        }
    }
    if call.out.is_json() {
        return call.print(&json!({ "at": at, "rows": all }), zone, Vec::new);
    }
    Ok(ExitCode::Done)
}

/// Traffic runs in the process that has the cluster; this command waits for its end, or ends it.
fn traffic(call: &mut Call<'_>, args: &TrafficArgs) -> Outcome {
    let ask = |call: &mut Call<'_>, rate, seconds| {
        let question = DataQuestion::Traffic { rate, seconds };
        let cluster = args.cluster.clone();
        call.ask(Question::Data { cluster, question })
    };
    let signals = Signals::listen().map_err(refuse::printing)?;
    ask(call, args.rate, args.seconds)?;
    call.note(&format!(
        "{} orders a second on {}; Ctrl-C ends it",
        args.rate, args.cluster
    ));
    let end = args.seconds.map(|s| Instant::now() + Duration::from_secs(s));
    while end.is_none_or(|end| Instant::now() < end) {
        let left = end.map_or(Duration::from_secs(60), |end| {
            end.saturating_duration_since(Instant::now())
        });
        if signals.within(left) {
            break;
        }
    }
    ask(call, 0, None)?;
    call.done("traffic has ended")
}
