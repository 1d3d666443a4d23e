//! Collecting what nobody can read any more: old versions, deletions, dropped tables, old log.
//!
//! The safepoint moves first and is on disk before anything is thrown away. Old versions go in the store's
//! compactions; a deletion goes when the version it hid has gone; a dropped table's files go as a whole.

use std::ops::Bound;
use std::sync::atomic::Ordering;

use crate::cluster::ClusterError;
use crate::model::crash::crash_point;
use crate::model::tso::Tso;

use super::catalog::Catalog;
use super::core::Core;
use super::keys;
use super::scan;
use super::store::Rows;

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// The oldest moment that can be read now.
    pub safepoint: Tso,
    /// Table generations whose files were deleted.
    pub tables_dropped: u64,
    /// Versions of rows that were thrown away, deletions included.
    pub versions_dropped: u64,
    /// The change log reaches back to here.
    pub log_from: Tso,
}

/// Which tables a collection rewrites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Those where it frees a good part.
    Worthwhile,
    /// All that hold anything hidden.
    All,
}

/// Collects; one collection at a time.
pub(super) fn collect(core: &Core, effort: Effort) -> Result<GcReport, ClusterError> {
    let _one = core.collecting.lock();
    let mut report = GcReport {
        safepoint: core.history.safepoint(),
        log_from: core.log.oldest(),
        ..GcReport::default()
    };
    let Some(window) = core.window else {
        return Ok(report);
    };
    let now = core.clock.now();
    let back = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    let wanted = Tso::from_millis(now.plus(back.saturating_neg())).min(core.visible.get());
    report.safepoint = core.history.advance(wanted, now, &core.store)?;
    crash_point("embedded.gc.safepoint-moved");
    let collecting = &core.store.collecting;
    collecting.safepoint.store(report.safepoint.0, Ordering::SeqCst);
    report.tables_dropped = drop_tables(core, report.safepoint)?;
    let before = collecting.dropped.load(Ordering::Relaxed);
    let mut deletions = 0;
    let tables = core.catalog.read().tables(Tso::MAX);
    for (_, info) in tables {
        let e = core.estimates.get(info.id);
        let worthwhile = e.hidden > 1_000 + e.rows.max(0) / 4;
        if worthwhile || (effort == Effort::All && e.hidden > 0) {
            let (removed, hidden) = collect_table(core, &core.store.rows(info.id)?, report.safepoint)?;
            core.estimates.collected(info.id, hidden);
            deletions += removed;
        }
    }
    report.versions_dropped = collecting.dropped.load(Ordering::Relaxed) - before + deletions;
    report.log_from = core.log.trim(core.window, now, &core.store)?;
    Ok(report)
}

/// Forgets catalog entries behind the safepoint and deletes the files of generations that ended there.
fn drop_tables(core: &Core, safepoint: Tso) -> Result<u64, ClusterError> {
    let obsolete = core.catalog.read().obsolete(safepoint);
    if obsolete.is_empty() {
        return Ok(0);
    }
    let mut batch = core.store.batch();
    for (name, ts, _) in &obsolete {
        Catalog::write_removal(&mut batch, name, *ts);
    }
    batch.commit()?;
    crash_point("embedded.gc.entries-removed");
    let mut dropped = 0;
    for (name, ts, ended) in obsolete {
        core.catalog.write().forget(&name, ts);
        if let Some(id) = ended {
            core.store.delete_rows(id)?;
            core.estimates.forget(id);
            dropped += 1;
        }
    }
    Ok(dropped)
}

/// Rewrites a table without its old versions, then removes deletions that hide nothing any more; returns how
/// many, and how many hidden versions and deletions are left.
fn collect_table(core: &Core, rows: &Rows, safepoint: Tso) -> Result<(u64, i64), ClusterError> {
    rows.compact()?;
    crash_point("embedded.gc.compacted");
    let mut pairs = rows.range(Bound::Unbounded, Bound::Unbounded);
    let mut batch = core.store.batch();
    let (mut removed, mut hidden) = (0, 0);
    // A deletion that may go if the next pair belongs to another row.
    let mut lone: Option<Vec<u8>> = None;
    let mut row: Vec<u8> = Vec::new();
    loop {
        let pair = pairs.next()?;
        let same = match &pair {
            Some((key, _)) => keys::split(key)?.0 == row,
            None => false,
        };
        if let Some(key) = lone.take().filter(|_| !same) {
            batch.remove_row(rows, &key);
            removed += 1;
            hidden -= 1;
        }
        if batch.len() >= 10_000 {
            std::mem::replace(&mut batch, core.store.batch()).commit()?;
        }
        let Some((key, stored)) = pair else { break };
        let (prefix, version) = keys::split(&key)?;
        let deleted = scan::value(&stored)?.is_none();
        hidden += i64::from(same || deleted);
        if !same {
            prefix.clone_into(&mut row);
            lone = (deleted && version <= safepoint).then(|| key.to_vec());
        }
    }
    batch.commit()?;
    Ok((removed, hidden))
}
