//! What was prepared before a base and decided behind it: the base has nothing of it, the log from the base on only that it was
//! committed. Its rows lie further back in the log.

use crate::archive::Archive;
use crate::archive::log::SegmentInfo;
use crate::engine::error::EngineError;
use crate::engine::lookup;
use crate::model::log::{LogRun, Prepared};
use crate::model::position::Moment;
use crate::model::tso::Tso;

/// Entries no further apart than this are read in one go, with what lies between them.
const NEAR_MS: i64 = 10_000;

/// Where to read before the base.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Earlier {
    /// After the first moment of each, up to and including the second; in order.
    pub spans: Vec<(Moment, Moment)>,
    /// What was prepared when the log did not reach back to, any more.
    pub lost: Vec<Prepared>,
}

/// Looks what a replay from a base needs of the log before it.
pub(super) fn find(archive: &Archive, run: &LogRun, base: Moment) -> Result<Earlier, EngineError> {
    let first = first_behind(archive, run, base)?;
    Ok(first.map_or_else(Earlier::default, |first| of(&first, run, base)))
}

/// The first segment that holds something behind a moment.
fn first_behind(archive: &Archive, run: &LogRun, at: Moment) -> Result<Option<SegmentInfo>, EngineError> {
    let mut segments = archive.segments(run.first_seq..run.end_seq, Some((at, run.to)))?;
    while let Some(name) = segments.next()? {
        if name.to > at {
            return Ok(Some(archive.segment_index(&name)?));
        }
    }
    Ok(None)
}

fn of(first: &SegmentInfo, run: &LogRun, base: Moment) -> Earlier {
    let mut earlier = Earlier::default();
    let mut waiting = first.index.waiting_before.clone();
    waiting.sort();
    for prepared in waiting {
        if prepared.at <= run.from {
            earlier.lost.push(prepared);
            continue;
        }
        let at = prepared.at;
        match earlier.spans.last_mut() {
            Some((_, to)) if at.at.since(to.at) <= NEAR_MS => *to = at,
            _ => earlier.spans.push((just_before(at), at)),
        }
    }
    // What was prepared and decided in one segment left no trace in its index.
    let from = first.name.from.max(run.from);
    if first.index.prepares > 0 && from < base {
        earlier.spans.push((from, base));
    }
    earlier
}

fn just_before(at: Moment) -> Moment {
    Moment::of_tso(Tso(at.last_tso().0.saturating_sub(1)))
}

/// Of what the log no longer has, what was decided by a moment.
pub(super) fn decided(
    archive: &Archive,
    run: &LogRun,
    lost: Vec<Prepared>,
    until: Moment,
) -> Result<Vec<Prepared>, EngineError> {
    let mut open = run.waiting.clone();
    let mut segments = lookup::segments(archive, run)?;
    while let Some(name) = segments.next()? {
        if name.to >= until {
            open = archive.segment_index(&name)?.index.waiting_after;
            break;
        }
    }
    Ok(lost.into_iter().filter(|p| !open.contains(p)).collect())
}
