//! Incarnations: a cluster's history between two restores into it.
//!
//! A moment belongs to the incarnation that was live then; no base and no log is used across. The list is
//! one state document of the archive; it only grows.

use std::sync::Arc;

use crate::archive::state::{Incarnation, IncarnationsDoc, LogDoc, WayBack};
use crate::archive::{Archive, ArchiveLock};
use crate::cluster::Mark;
use crate::engine::error::EngineError;
use crate::model::backup::BackupSummary;
use crate::model::ids::IncarnationId;
use crate::model::position::Moment;

/// What is known of a restore when its incarnation begins.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// The moment the restore went to.
    pub restored_to: Option<Moment>,
    /// The incarnation that was read.
    pub from: Option<IncarnationId>,
    /// Whether only some tables were replaced or added.
    pub partial: bool,
    /// The job.
    pub job: Option<String>,
    /// How to go back.
    pub way_back: Option<WayBack>,
}

/// The live incarnation; 1 in an archive that has never seen a restore.
pub fn live(doc: &IncarnationsDoc) -> IncarnationId {
    doc.list.last().map_or(IncarnationId(1), |i| i.id)
}

/// Refuses to write into an archive whose list of incarnations is gone or older than its log: what is written now would
/// be taken for part of another history.
pub fn check(doc: &IncarnationsDoc, log: &LogDoc) -> Result<(), EngineError> {
    reaches(doc, log.runs.iter().map(|r| r.incarnation).max(), "the log")
}

/// The same by the backups.
pub fn check_backups(doc: &IncarnationsDoc, backups: &[Arc<BackupSummary>]) -> Result<(), EngineError> {
    reaches(doc, backups.iter().map(|b| b.incarnation).max(), "the newest backup")
}

fn reaches(doc: &IncarnationsDoc, newest: Option<IncarnationId>, of: &str) -> Result<(), EngineError> {
    match newest {
        Some(newest) if newest > live(doc) => Err(EngineError::Corrupt(format!(
            "`state/incarnations` is missing or old: it ends with {}, {of} with {newest}; put it back from a copy of the \
             archive",
            live(doc)
        ))),
        _ => Ok(()),
    }
}

/// The incarnation that was live at a moment.
pub fn at(doc: &IncarnationsDoc, moment: Moment) -> IncarnationId {
    let begun = doc.list.iter().rev().find(|i| i.began <= moment);
    begun.map_or(IncarnationId(1), |i| i.id)
}

/// Begins the incarnation that a restore at `mark` made.
///
/// Idempotent by the mark: the log task and the restore itself both call it, in either order; details are filled
/// in by whoever knows them. The stretch of log before it is ended by the log task alone, when its stream
/// comes to the restore: until then there may be changes from before it that are still to be archived.
pub fn begin(
    archive: &Archive,
    lock: &ArchiveLock,
    mark: &Mark,
    beginning: &Beginning,
) -> Result<IncarnationId, EngineError> {
    let (_, id) = archive.update(lock, |doc: &mut IncarnationsDoc| enter(doc, mark, beginning))?;
    Ok(id)
}

/// The way back of the last restore that wrote over something, unless it was taken.
pub fn way_back(doc: &IncarnationsDoc) -> Option<&WayBack> {
    let last = doc.list.iter().rev().find(|i| !only_added(i))?;
    last.way_back.as_ref().filter(|w| !w.used)
}

/// Whether a restore wrote over nothing: it needs no way back, and does not end that of the one before it.
fn only_added(incarnation: &Incarnation) -> bool {
    // Of one that the log alone knows nobody can tell what it wrote; a whole one leaves nothing of what was before it.
    incarnation.way_back.is_none() && incarnation.partial && incarnation.restored_to.is_some()
}

/// The way back of the restore before the one at `mark` was taken.
pub fn use_way_back(archive: &Archive, lock: &ArchiveLock, mark: &Mark) -> Result<(), EngineError> {
    archive.update(lock, |doc: &mut IncarnationsDoc| {
        let mut before = doc.list.iter_mut().rev().filter(|i| i.began < mark.moment);
        let undone = before.find(|i| !only_added(i));
        if let Some(way_back) = undone.and_then(|i| i.way_back.as_mut()) {
            way_back.used = true;
        }
    })?;
    Ok(())
}

fn enter(doc: &mut IncarnationsDoc, mark: &Mark, with: &Beginning) -> IncarnationId {
    let next = IncarnationId(live(doc).0 + 1);
    if let Some(known) = doc.list.iter_mut().find(|i| i.began == mark.moment) {
        known.restored_to = with.restored_to.or(known.restored_to);
        known.from = with.from.or(known.from);
        known.partial |= with.partial;
        known.job = with.job.clone().or_else(|| known.job.take());
        known.way_back = with.way_back.clone().or_else(|| known.way_back.take());
        return known.id;
    }
    doc.list.push(Incarnation {
        id: next,
        began: mark.moment,
        began_position: mark.position.clone(),
        restored_to: with.restored_to,
        from: with.from,
        partial: with.partial,
        job: with.job.clone(),
        way_back: with.way_back.clone(),
    });
    next
}
