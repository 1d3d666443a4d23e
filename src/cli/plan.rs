//! Plans in words: what a restore will do.

use serde_json::Value;

use super::call::echoed;
use super::receipt::held;
use super::table::{columns, indented, pairs};
use super::words::{At, count, grouped};
use crate::engine::point::RestoreTarget;
use crate::engine::restore::plan::{CheckState, Losses, RestorePlan, TxnRef, WayBackPlan};
use crate::model::text::command;
use crate::model::{size, time};
use crate::service::desk::Refusal;

/// So many tables are listed.
const LISTED: usize = 40;

/// The plan as JSON, with its hash.
pub(super) fn document(plan: &RestorePlan, at: At) -> Result<Value, Refusal> {
    let mut value = echoed(plan, at.zone)?;
    if let Value::Object(fields) = &mut value {
        fields.insert("hash".to_owned(), plan.hash().into());
    }
    Ok(value)
}

/// The plan in words.
pub(super) fn lines(plan: &RestorePlan, at: At) -> Vec<String> {
    let rows = plan.tables.iter().map(|t| t.rows).sum();
    let bytes = plan.tables.iter().map(|t| t.bytes).sum();
    let base = format!(
        "{}, of {}: {}",
        plan.base.id,
        at.local(plan.base.commit.at),
        plan.base.reason
    );
    let mut lines = vec![format!("{} of {}", plan.request.point.mode(), plan.request.source)];
    lines.extend(indented(pairs(&[
        ("point", plan.point.clone()),
        ("moment", at.forms(plan.until)),
        ("into", into(plan)),
        ("base", base),
        ("log", log(plan, at)),
        ("last in", txn(plan.last_in.as_ref(), at)),
        ("first out", txn(plan.first_out.as_ref(), at)),
        ("in the base", held(plan.tables.len() as u64, rows, bytes)),
        ("lost", plan.losses.as_ref().map(losses).unwrap_or_default()),
        ("way back", plan.way_back.as_ref().map(way_back).unwrap_or_default()),
        ("takes", plan.duration_words()),
        ("plan hash", plan.hash()),
    ])));
    lines.extend(indented(tables(plan)));
    lines.extend(indented(checks(plan, at)));
    lines.extend(
        plan.alternatives
            .iter()
            .map(|b| format!("  other base: {}, {}", b.id, b.reason)),
    );
    lines.push(format!("  the same: {}", command(&plan.command)));
    lines
}

/// A transaction with its time.
pub(super) fn txn(txn: Option<&TxnRef>, at: At) -> String {
    txn.map(|t| format!("{} at {}", t.id, time::exact(t.at.at, at.zone)))
        .unwrap_or_default()
}

fn into(plan: &RestorePlan) -> String {
    let place = match plan.request.target {
        RestoreTarget::Beside => "under new names",
        RestoreTarget::Cluster { .. } => "another cluster",
        RestoreTarget::InPlace => "in place",
    };
    let what = if plan.whole { "all of it" } else { "these tables only" };
    format!("{}, {place}, {what}", plan.target)
}

fn log(plan: &RestorePlan, at: At) -> String {
    let span = plan.log.as_ref().map(|l| {
        format!(
            "{}, {}, from {} to {}",
            count(l.segments, "segment", "segments"),
            size::iec(l.stored_bytes),
            at.local(l.from.at),
            at.local(l.to.at)
        )
    });
    span.unwrap_or_else(|| "none".to_owned())
}

fn losses(l: &Losses) -> String {
    let newer = match l.transactions {
        Some(n) => format!("{} after the moment", count(n, "transaction", "transactions")),
        None => "more transactions after the moment than were counted".to_owned(),
    };
    let mut parts = vec![newer];
    if l.tables > 0 {
        parts.push(format!("on {}", count(l.tables, "table", "tables")));
    }
    if l.sessions > 0 {
        parts.push(format!("{} ended", count(u64::from(l.sessions), "session", "sessions")));
    }
    if !l.dropped.is_empty() {
        let names: Vec<String> = l.dropped.iter().take(LISTED).map(ToString::to_string).collect();
        let more = match l.dropped.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more; --json lists all"),
        };
        parts.push(format!("dropped: {}{more}", names.join(" ")));
    }
    parts.join(", ")
}

fn way_back(w: &WayBackPlan) -> String {
    match w {
        WayBackPlan::Bookmark { base } => format!("a bookmark on base {base} and its log"),
        WayBackPlan::Snapshot => "a safety snapshot is taken first".to_owned(),
        WayBackPlan::None { why } => format!("NONE: {why}"),
    }
}

fn tables(plan: &RestorePlan) -> Vec<String> {
    let row = |t: &crate::engine::restore::plan::PlannedTable| {
        let target = if t.source == t.target {
            String::new()
        } else {
            t.target.to_string()
        };
        let replaced = if t.replaces { "replaced" } else { "" };
        vec![
            t.source.to_string(),
            target,
            grouped(t.rows),
            size::iec(t.bytes),
            replaced.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = plan.tables.iter().take(LISTED).map(row).collect();
    let mut lines = columns(
        &["TABLE", "BECOMES", "ROWS", "SIZE", "AT THE TARGET"],
        &["ROWS", "SIZE"],
        &rows,
    );
    if plan.tables.len() > LISTED {
        lines.push(format!("and {} more; --json lists all", plan.tables.len() - LISTED));
    }
    lines
}

fn checks(plan: &RestorePlan, at: At) -> Vec<String> {
    let rows: Vec<Vec<String>> = plan
        .checks
        .iter()
        .map(|c| {
            let state = match c.state {
                CheckState::Ok => "ok",
                CheckState::Warning => "warning",
                CheckState::Blocked => "BLOCKED",
            };
            let wanted = if c.state == CheckState::Ok {
                String::new()
            } else {
                c.wanted.clone()
            };
            vec![c.name.clone(), state.to_owned(), at.told(&c.found), wanted]
        })
        .collect();
    columns(&["CHECK", "RESULT", "FOUND", "WANTED"], &[], &rows)
}
