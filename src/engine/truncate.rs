//! Truncating the log: delete segments that end at or before a safepoint ("Purge log").
//!
//! First the fact (the log document no longer names them), then the files. A crash in between leaves files that
//! nothing refers to; the next truncate removes them.

use serde::{Deserialize, Serialize};

use crate::archive::log::SegmentName;
use crate::archive::state::LogDoc;
use crate::archive::{Archive, ArchiveLock};
use crate::engine::cx::JobCx;
use crate::engine::error::EngineError;
use crate::engine::lookup;
use crate::engine::view::View;
use crate::model::clock::Millis;
use crate::model::crash::crash_point;
use crate::model::ids::BackupId;
use crate::model::job::Unit;
use crate::model::log::LogRun;
use crate::model::position::Moment;
use crate::model::window::{Window, covering_run};

/// What truncating the log does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruncatePlan {
    /// Log at or before this moment goes.
    pub until: Moment,
    /// Segments that go.
    pub segments: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Bases that lose point-in-time.
    pub bases_lost: Vec<BackupId>,
    /// Why it is refused, if so.
    pub refused: Option<String>,
    /// The window before
    pub window_before: Window,
    /// and after.
    pub window_after: Window,
}

/// What it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncated {
    /// Segments deleted.
    pub segments: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
}

/// Makes the plan.
pub fn plan(archive: &Archive, view: &View, until: Moment, drop_pitr: bool) -> Result<TruncatePlan, EngineError> {
    let mut runs = view.log.runs.clone();
    let (mut segments, mut freed_bytes) = (0, 0);
    for run in &mut runs {
        let (gone, _) = cut(archive, run, until)?;
        segments += gone.len() as u64;
        freed_bytes += gone.iter().map(|n| n.size).sum::<u64>();
    }
    let loses =
        |b: &crate::model::window::Base| covering_run(b, &view.log.runs).is_some() && covering_run(b, &runs).is_none();
    let bases_lost: Vec<BackupId> = view.bases().into_iter().filter(loses).map(|b| b.id).collect();
    let refused = (!drop_pitr && !bases_lost.is_empty()).then(|| {
        let oldest = bases_lost.first().map_or("", BackupId::as_str);
        match bases_lost.len() {
            1 => format!("the snapshot {oldest} would lose point-in-time restore"),
            n => format!("{n} snapshots would lose point-in-time restore, the oldest is {oldest}"),
        }
    });
    Ok(TruncatePlan {
        until,
        segments,
        freed_bytes,
        refused,
        bases_lost,
        window_before: view.window(),
        window_after: Window::new(view.bases(), &runs),
    })
}

/// Moves the start of a stretch behind the segments that end at or before `until`; returns those and whether the stretch stays.
fn cut(archive: &Archive, run: &mut LogRun, until: Moment) -> Result<(Vec<SegmentName>, bool), EngineError> {
    let mut gone = Vec::new();
    if run.from >= until {
        return Ok((gone, run.to > until || run.ended.is_none()));
    }
    let mut segments = lookup::segments(archive, run)?;
    let mut first = None;
    while let Some(name) = segments.next()? {
        if name.to > until {
            first = Some(name);
            break;
        }
        gone.push(name);
    }
    if let Some(oldest) = oldest_waiting(archive, run, first.as_ref(), until)? {
        gone.retain(|name| name.to < oldest);
    }
    if let Some(last) = gone.last() {
        let info = archive.segment_index(last)?;
        run.first_seq = last.last_seq + 1;
        run.first_hash = info.last_hash.hex();
        (run.from, run.from_position) = (info.name.to, info.to_position);
    }
    Ok((gone, run.to > until || run.ended.is_none()))
}

/// The oldest transaction that waited for its decision at a moment: a base there needs its rows when it is committed. One that was
/// forgotten must not keep all log for ever.
fn oldest_waiting(
    archive: &Archive,
    run: &LogRun,
    first: Option<&SegmentName>,
    until: Moment,
) -> Result<Option<Moment>, EngineError> {
    let waiting = match first.map(|first| archive.segment_index(first)) {
        Some(Ok(info)) => info.index.waiting_before,
        // What cannot be read needs nothing before it.
        Some(Err(e)) if e.is_corrupt() => Vec::new(),
        Some(Err(e)) => return Err(e.into()),
        None => run.waiting.clone(),
    };
    let recent = |at: &Moment| *at <= until && until.at.since(at.at) <= Millis::DAY;
    Ok(waiting.into_iter().map(|p| p.at).filter(recent).min())
}

/// Deletes the log at or before `until`.
pub fn run(archive: &Archive, lock: &ArchiveLock, until: Moment, cx: &dyn JobCx) -> Result<Truncated, EngineError> {
    let before = archive.state::<LogDoc>()?.value;
    let mut kept = Vec::new();
    for mut run in before.runs {
        let old = (run.first_seq, run.first_hash.clone());
        let (_, stays) = cut(archive, &mut run, until)?;
        kept.push((old, stays.then_some(run)));
    }
    archive.update(lock, |doc: &mut LogDoc| {
        for (old, new) in &kept {
            let at = doc
                .runs
                .iter()
                .position(|r| r.first_seq == old.0 && r.first_hash == old.1);
            match (at.and_then(|i| doc.runs.get_mut(i)), new) {
                (Some(known), Some(new)) => {
                    (known.first_seq, known.first_hash) = (new.first_seq, new.first_hash.clone());
                    (known.from, known.from_position) = (new.from, new.from_position.clone());
                    known.lacking.retain(|l| l.at > new.from);
                }
                (Some(_), None) => doc.runs.retain(|r| r.first_seq != old.0 || r.first_hash != old.1),
                (None, _) => {}
            }
        }
        doc.safepoint = doc.safepoint.max(Some(until));
    })?;
    crash_point("truncate.fact");
    sweep(archive, lock, cx)
}

/// Deletes the segments that no stretch names.
fn sweep(archive: &Archive, lock: &ArchiveLock, cx: &dyn JobCx) -> Result<Truncated, EngineError> {
    let LogDoc { runs, next_seq, .. } = archive.state()?.value;
    // Named once there is something to delete: a step that does nothing tells nobody anything.
    let mut meter = None;
    let mut done = Truncated::default();
    let named = |n: &SegmentName| {
        runs.iter()
            .any(|r| r.first_seq <= n.last_seq && n.first_seq < r.end_seq)
    };
    let mut segments = archive.segments(0..u64::MAX, None)?;
    while let Some(name) = segments.next()? {
        // What comes next is just being written, and named a moment later.
        if name.first_seq >= next_seq || named(&name) {
            continue;
        }
        cx.check()?;
        let bytes = name.size;
        archive.delete_segment(lock, &name)?;
        crash_point("truncate.deleted");
        done.segments += 1;
        done.freed_bytes += bytes;
        meter
            .get_or_insert_with(|| cx.step("Delete log segments", Unit::Objects, None))
            .add(1);
    }
    archive.update(lock, |doc: &mut LogDoc| {
        doc.segments = doc.segments.saturating_sub(done.segments);
        doc.stored_bytes = doc.stored_bytes.saturating_sub(done.freed_bytes);
    })?;
    Ok(done)
}
