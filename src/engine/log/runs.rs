//! Where the log backup goes on: the open stretch of log, or a new one.

use std::sync::Arc;

use super::ahead;
use crate::archive::log::{ChainHash, SegmentInfo};
use crate::archive::state::{IncarnationsDoc, LogDoc};
use crate::archive::{Archive, ArchiveError, ArchiveLock};
use crate::cluster::{Changes, Cluster, ClusterError, Mark};
use crate::engine::cx::JobCx;
use crate::engine::error::{Doing, EngineError};
use crate::engine::incarnation;
use crate::engine::lookup;
use crate::engine::view::{SummaryCache, View};
use crate::model::backup::BackupSummary;
use crate::model::crash::crash_point;
use crate::model::ids::IncarnationId;
use crate::model::job::LineLevel;
use crate::model::log::{Lacking, LogRun, RunEnd};
use crate::model::position::{Moment, Position};
use crate::model::time::mention;

/// So many transactions that the log does not hold whole are named.
const LACKING: usize = 200;

/// The stretch of log that grows, and the source's stream behind its end.
pub(super) struct OpenRun {
    pub run: LogRun,
    pub changes: Box<dyn Changes>,
}

/// Finds the stretch to go on with, or begins one.
pub(super) fn open(
    cluster: &dyn Cluster,
    archive: &Archive,
    lock: &ArchiveLock,
    cx: &dyn JobCx,
) -> Result<OpenRun, EngineError> {
    adopt(archive, lock, cx)?;
    // What a merge left that was killed between publishing and deleting; no reader sees it.
    // Where the merged one is damaged they stay, and are all the better for it.
    match archive.clean_segments(lock, None) {
        Err(e) if e.is_corrupt() => cx.line(LineLevel::Warning, format!("clearing away merged log segments: {e}")),
        other => drop(other?),
    }
    let view = View::read(archive, &SummaryCache::default())?;
    let live = view.live();
    if let Some(run) = continuable(&view.log) {
        let end = Mark {
            moment: run.to,
            position: run.to_position.clone(),
        };
        let opened = recognise(cluster, archive, &run)?.and_then(|()| cluster.changes(&end, &anchors(&view, &end)));
        match opened {
            Ok(changes) => return reopen(archive, lock, run, changes),
            Err(e) if e.ends_log() => {
                cx.line(
                    LineLevel::Warning,
                    format!("gap in the log after {}: {e}", mention(run.to.at)),
                );
                end_run(archive, lock, &run, RunEnd::SourceLogGone)?;
            }
            Err(e) => return Err(e).doing(|| "opening the source's change log".to_owned()),
        }
    }
    for start in starts(&view, live) {
        match cluster.changes(&start, &anchors(&view, &start)) {
            Ok(changes) => return begin(archive, lock, live, &start, changes),
            Err(e) if e.ends_log() => {}
            Err(e) => return Err(e).doing(|| "opening the source's change log".to_owned()),
        }
    }
    let now = cluster.mark()?;
    cx.line(
        LineLevel::Warning,
        "the log backup begins now: take a snapshot, it is the first moment that can be restored".to_owned(),
    );
    let changes = cluster.changes(&now, &[])?;
    begin(archive, lock, live, &now, changes)
}

/// Whether the source's log has the transaction that was archived last: if not, it is another source than the archive's,
/// or its log was made anew. The outer error is one of the archive.
pub(in crate::engine) fn recognise(
    cluster: &dyn Cluster,
    archive: &Archive,
    run: &LogRun,
) -> Result<Result<(), ClusterError>, EngineError> {
    let mut last = None;
    let mut segments = lookup::segments(archive, run)?;
    while let Some(name) = segments.next()? {
        last = Some(name);
    }
    let Some(name) = last else { return Ok(Ok(())) };
    let read = || -> Result<_, ArchiveError> {
        let mut reader = archive.segment_reader(&name)?;
        let (mut earlier, mut last) = (Vec::new(), None);
        while let Some(entry) = reader.next()? {
            if let Some((id, _)) = last.replace((entry.id, entry.payload)) {
                earlier.push(id);
            }
        }
        Ok(last.map(|(_, payload)| (reader.info().from_position.clone(), earlier, payload)))
    };
    match read() {
        Ok(Some((from, earlier, payload))) => Ok(cluster.recognise(&from, &earlier, &payload)),
        Ok(None) => Ok(Ok(())),
        // A hole in the past is said elsewhere; what comes now is still archived.
        Err(e) if e.is_corrupt() => Ok(Ok(())),
        Err(e) => Err(e.into()),
    }
}

/// The same, and whether its log goes on from there.
pub fn goes_on(
    cluster: &dyn Cluster,
    archive: &Archive,
    run: &LogRun,
) -> Result<Result<(), ClusterError>, EngineError> {
    Ok(recognise(cluster, archive, run)?.and_then(|()| cluster.continues(&run.to_position)))
}

/// The snapshots behind a place: what the log dates must agree with them.
pub(in crate::engine) fn anchors(view: &View, after: &Mark) -> Vec<Mark> {
    let later = view.backups.iter().filter(|b| b.commit > after.moment);
    let mark = |b: &Arc<BackupSummary>| Mark {
        moment: b.commit,
        position: b.position.clone(),
    };
    later.map(mark).collect()
}

/// The last stretch, if nothing but a stop ended it. One of an earlier incarnation goes on as well: what it does not
/// have yet is archived first, and then the stream comes across the restore.
pub(in crate::engine) fn continuable(doc: &LogDoc) -> Option<LogRun> {
    let run = doc.runs.last()?;
    matches!(run.ended, None | Some(RunEnd::Stopped)).then(|| run.clone())
}

/// Places worth beginning at, best first: the newest base of the live incarnation, then its beginning.
fn starts(view: &View, live: IncarnationId) -> Vec<Mark> {
    // Before the end of the last stretch the log was read already, as far as it could be.
    let read = view
        .log
        .runs
        .iter()
        .filter(|r| r.incarnation == live)
        .map(|r| r.to)
        .max();
    let newest = view.backups.iter().rev().find(|b| b.is_full() && b.incarnation == live);
    let base = newest.filter(|b| read.is_none_or(|read| read < b.commit));
    let base = base.map(|b| Mark {
        moment: b.commit,
        position: b.position.clone(),
    });
    let began = view.incarnations.list.iter().find(|i| i.id == live);
    let began = began.map(|i| Mark {
        moment: i.began,
        position: i.began_position.clone(),
    });
    let began = began.filter(|_| read.is_none());
    base.into_iter().chain(began).collect()
}

/// Begins a new stretch just after `start`.
pub(super) fn begin(
    archive: &Archive,
    lock: &ArchiveLock,
    incarnation: IncarnationId,
    start: &Mark,
    changes: Box<dyn Changes>,
) -> Result<OpenRun, EngineError> {
    let hash = ChainHash::start(incarnation, start.moment).hex();
    let (_, run) = archive.update(lock, |doc: &mut LogDoc| {
        let run = LogRun {
            incarnation,
            from: start.moment,
            from_position: start.position.clone(),
            to: start.moment,
            to_position: start.position.clone(),
            first_seq: doc.next_seq,
            end_seq: doc.next_seq,
            first_hash: hash.clone(),
            last_hash: hash.clone(),
            ended: None,
            lacking: Vec::new(),
            waiting: Vec::new(),
        };
        doc.runs.retain(|r| r.end_seq > r.first_seq || r.from < r.to);
        doc.runs.push(run.clone());
        run
    })?;
    let changes = ahead::read(changes)?;
    Ok(OpenRun { run, changes })
}

fn reopen(
    archive: &Archive,
    lock: &ArchiveLock,
    run: LogRun,
    changes: Box<dyn Changes>,
) -> Result<OpenRun, EngineError> {
    update_run(archive, lock, &run, |r| r.ended = None)?;
    Ok(OpenRun {
        run: LogRun { ended: None, ..run },
        changes: ahead::read(changes)?,
    })
}

/// Ends a stretch for good.
pub(in crate::engine) fn end_run(
    archive: &Archive,
    lock: &ArchiveLock,
    run: &LogRun,
    why: RunEnd,
) -> Result<(), EngineError> {
    update_run(archive, lock, run, |r| r.ended = Some(why.clone()))
}

/// Changes one stretch in the log document. It is known by its end: truncating the log moves its beginning.
fn update_run(
    archive: &Archive,
    lock: &ArchiveLock,
    run: &LogRun,
    mut change: impl FnMut(&mut LogRun),
) -> Result<(), EngineError> {
    let same = |r: &&mut LogRun| r.end_seq == run.end_seq && r.last_hash == run.last_hash;
    let (_, found) = archive.update(lock, |doc: &mut LogDoc| {
        doc.runs.iter_mut().find(same).map(&mut change).is_some()
    })?;
    if found {
        return Ok(());
    }
    Err(EngineError::Corrupt(
        "the log document no longer names the stretch of log that is being written".to_owned(),
    ))
}

/// Moves the end of the open stretch behind a finished segment.
pub(super) fn advance(
    archive: &Archive,
    lock: &ArchiveLock,
    run: &mut LogRun,
    segment: &SegmentInfo,
) -> Result<(), EngineError> {
    let after = (segment.name.last_seq + 1, segment.last_hash.hex());
    // The document may have been written although the answer was lost.
    let same = |r: &&mut LogRun| {
        let end = (r.end_seq, &r.last_hash);
        r.ended.is_none() && (end == (run.end_seq, &run.last_hash) || end == (after.0, &after.1))
    };
    let (_, found) = archive.update(lock, |doc: &mut LogDoc| {
        let known = doc.runs.iter_mut().find(same)?;
        if known.end_seq <= segment.name.last_seq {
            take_in(known, segment);
            doc.next_seq = segment.name.last_seq + 1;
            doc.segments += 1;
            doc.stored_bytes += segment.name.size;
        }
        Some(())
    })?;
    if found.is_none() {
        return Err(EngineError::Corrupt(
            "the log document no longer has the open stretch of log".to_owned(),
        ));
    }
    take_in(run, segment);
    Ok(())
}

fn take_in(run: &mut LogRun, segment: &SegmentInfo) {
    run.end_seq = segment.name.last_seq + 1;
    run.last_hash = segment.last_hash.hex();
    run.to = segment.name.to;
    run.to_position = segment.to_position.clone();
    run.waiting.clone_from(&segment.index.waiting_after);
    let lacking = segment.index.changes.iter().filter_map(|change| {
        Some(Lacking {
            at: change.at,
            transaction: change.transaction.clone(),
            table: change.table.clone(),
            what: change.lacks.clone()?,
        })
    });
    run.lacking.extend(lacking);
    // Whoever has so many needs the newest ones only: a base that misses an old one misses the newer ones too.
    let old = run.lacking.len().saturating_sub(LACKING);
    run.lacking.drain(..old);
}

/// Moves the checkpoint while nothing happens at the source.
pub(super) fn advance_idle(
    archive: &Archive,
    lock: &ArchiveLock,
    run: &mut LogRun,
    mark: &Mark,
) -> Result<(), EngineError> {
    let (to, position): (Moment, Position) = (mark.moment, mark.position.clone());
    update_run(archive, lock, run, |r| {
        if r.to < to {
            (r.to, r.to_position) = (to, position.clone());
        }
    })?;
    (run.to, run.to_position) = (mark.moment, mark.position.clone());
    Ok(())
}

/// Takes in segments that were finished by a process that died before it could name them; removes those that
/// do not continue the chain (nothing ever referred to them).
fn adopt(archive: &Archive, lock: &ArchiveLock, cx: &dyn JobCx) -> Result<(), EngineError> {
    loop {
        let doc = archive.state::<LogDoc>()?.value;
        let Some(name) = archive.segments(doc.next_seq..u64::MAX, None)?.next()? else {
            return Ok(());
        };
        if name.first_seq < doc.next_seq {
            // Somebody went on and merged since the document was read: look again.
            if archive.state::<LogDoc>()?.value.next_seq != doc.next_seq {
                continue;
            }
            return Err(EngineError::Corrupt(format!(
                "`{}` reaches beyond the log document: put `state/log` back from a copy of the archive",
                name.object
            )));
        }
        let info = archive.segment_index(&name)?;
        let open = doc
            .runs
            .iter()
            .find(|r| r.ended.is_none() && r.end_seq == name.first_seq && r.last_hash == info.prev_hash.hex());
        crash_point("log.adopt");
        match open.cloned() {
            Some(mut run) => {
                cx.line(
                    LineLevel::Info,
                    format!(
                        "taking in segment {}, which an interrupted run had finished",
                        name.object
                    ),
                );
                advance(archive, lock, &mut run, &info)?;
            }
            None if archive.state::<LogDoc>()?.value.next_seq != doc.next_seq => {}
            None => {
                cx.line(
                    LineLevel::Warning,
                    format!("removing segment {}, which no log refers to", name.object),
                );
                archive.delete_segment(lock, &name)?;
            }
        }
    }
}

/// Begins the incarnation of a restore that the stream came across.
pub(super) fn cross_restore(
    cluster: &dyn Cluster,
    archive: &Archive,
    lock: &ArchiveLock,
    run: &LogRun,
    mark: &Mark,
) -> Result<OpenRun, EngineError> {
    let doc = archive.state::<IncarnationsDoc>()?.value;
    let later = doc.list.iter().find(|i| i.began > mark.moment);
    let is_known = doc.list.iter().any(|i| i.began == mark.moment);
    let (id, start) = match later {
        // A restore that nobody recorded, before one that was: what lies between them belongs to no history.
        Some(later) if !is_known => {
            let start = Mark {
                moment: later.began,
                position: later.began_position.clone(),
            };
            (later.id, start)
        }
        _ => {
            let beginning = incarnation::Beginning::default();
            (incarnation::begin(archive, lock, mark, &beginning)?, mark.clone())
        }
    };
    end_run(archive, lock, run, RunEnd::Restored)?;
    crash_point("log.crossing");
    let view = View::read(archive, &SummaryCache::default())?;
    let changes = cluster.changes(&start, &anchors(&view, &start))?;
    begin(archive, lock, id, &start, changes)
}
