//! Which segments a stretch of log needs, and whether they are all there: seen from names and indexes, before
//! anything is applied.

use serde::{Deserialize, Serialize};

use crate::archive::{Archive, ArchiveError, Result};
use crate::model::log::LogRun;
use crate::model::position::Moment;
use crate::model::tso::Tso;

use super::chain::ChainHash;
use super::names::SegmentName;
use super::segment::SegmentInfo;
use super::walk::Segments;

/// What reading a stretch of log takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlan {
    /// Segments to read.
    pub segments: u64,
    /// Their bytes on storage.
    pub bytes: u64,
    /// Bytes of the entries in them.
    pub raw_bytes: u64,
    /// Entries in them; at the edges more than are wanted.
    pub entries: u64,
}

/// Whether a moment is after what a base at `from` holds. Without a TSO the entries of the same instant are given
/// too, because the base may lie between them; its position decides.
pub(super) fn is_after(moment: Moment, from: Moment) -> bool {
    match from.tso {
        Some(_) => moment.last_tso() > from.last_tso(),
        None => moment.at >= from.at,
    }
}

/// Whether a moment is at or before `until`.
pub(super) fn is_within(moment: Moment, until: Moment) -> bool {
    moment.tso.unwrap_or(Tso::from_millis(moment.at)) <= until.last_tso()
}

/// Walks the segments of a run that a stretch needs, and checks by their names that none is missing or foreign.
pub(super) struct RunWalk {
    archive: Archive,
    run: LogRun,
    from: Moment,
    until: Moment,
    segments: Segments,
    previous: Option<SegmentName>,
    /// After a restart: the number to go on with.
    resume: Option<u64>,
}

impl RunWalk {
    pub(super) fn new(archive: &Archive, run: &LogRun, from: Moment, until: Moment) -> Result<RunWalk> {
        let outside = |asked| ArchiveError::OutsideLog {
            asked,
            from: run.from,
            to: run.to,
        };
        if from.last_tso() < run.from.last_tso() {
            return Err(outside(from));
        }
        if until.tso.unwrap_or(Tso::from_millis(until.at)) > run.to.last_tso() {
            return Err(outside(until));
        }
        let max = Moment::of_tso(Tso::MAX);
        let segments = archive.segments(run.first_seq..run.end_seq, Some((from, max)))?;
        Ok(RunWalk {
            segments: segments.ending_with(short(&run.last_hash)),
            archive: archive.clone(),
            run: run.clone(),
            from,
            until,
            previous: None,
            resume: None,
        })
    }

    /// Lists again from the segment that is to come: the one that was named is gone, perhaps compacted.
    pub(super) fn restart(&mut self, at: &SegmentName) -> Result<()> {
        let max = Moment::of_tso(Tso::MAX);
        let seq = self.resume.unwrap_or(at.first_seq);
        let segments = self.archive.segments(seq..self.run.end_seq, Some((self.from, max)))?;
        self.segments = segments.ending_with(short(&self.run.last_hash));
        self.resume = Some(seq);
        Ok(())
    }

    /// The next segment that holds entries of the stretch.
    pub(super) fn next(&mut self) -> Result<Option<SegmentName>> {
        loop {
            if self.is_done() {
                return Ok(None);
            }
            let Some(segment) = self.segments.next()? else {
                if self.previous.is_none() && self.resume.is_none() && self.ended_before()? {
                    return Ok(None);
                }
                return Err(self.broken(self.expected(), None, "it is missing"));
            };
            if !is_after(segment.to, self.from) {
                // A hole before the stretch harms nobody.
                self.previous = Some(segment);
                continue;
            }
            self.check(&segment)?;
            let needed = is_within(segment.from, self.until);
            let seen = self.previous.insert(segment);
            if needed {
                return Ok(Some(seen.clone()));
            }
        }
    }

    /// Whether the last segment of the run is there and lies before the stretch. The walk lists the days from the
    /// stretch's beginning on, so a quiet source leaves it nothing to see: the last segment is in an earlier day's folder.
    fn ended_before(&self) -> Result<bool> {
        let last = self.run.end_seq.saturating_sub(1)..self.run.end_seq;
        let mut segments = self.archive.segments(last, Some((self.run.from, self.from)))?;
        while let Some(segment) = segments.next()? {
            let is_last = segment.last_seq + 1 == self.run.end_seq && segment.last == short(&self.run.last_hash);
            if is_last && !is_after(segment.to, self.from) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The segment is behind us: the next one is resumed after it.
    pub(super) fn passed(&mut self) {
        self.resume = None;
    }

    /// The segment that was given last.
    pub(super) fn previous(&self) -> Option<SegmentName> {
        self.previous.clone()
    }

    /// Where the walk goes on when `previous` shall be given again.
    pub(super) fn step_back(&mut self, to: Option<SegmentName>) {
        self.previous = to;
    }

    fn is_done(&self) -> bool {
        let Some(previous) = &self.previous else {
            return self.run.first_seq == self.run.end_seq || !is_after(self.until, self.from);
        };
        let at_end = previous.last_seq + 1 >= self.run.end_seq;
        // What begins after `until` holds nothing of the stretch; nor does what follows a segment that reaches it.
        let reached = match previous.to.tso {
            Some(_) => previous.to.last_tso() >= self.until.last_tso(),
            None => previous.to.at > self.until.at,
        };
        at_end || reached
    }

    fn expected(&self) -> u64 {
        let after = |previous: &SegmentName| previous.last_seq + 1;
        self.resume
            .or(self.previous.as_ref().map(after))
            .unwrap_or(self.run.first_seq)
    }

    fn check(&self, segment: &SegmentName) -> Result<()> {
        let object = Some(segment);
        if segment.last_seq >= self.run.end_seq {
            return Err(self.broken(self.run.end_seq, object, "it goes on behind the end of the log"));
        }
        if self
            .resume
            .is_some_and(|seq| segment.first_seq < seq && seq <= segment.last_seq)
        {
            return Ok(());
        }
        let first_short = short(&self.run.first_hash);
        let within = |p: &&SegmentName| is_after(p.to, self.from) || p.last_seq + 1 == segment.first_seq;
        match self.previous.as_ref().filter(within) {
            Some(previous) if segment.first_seq != previous.last_seq + 1 => {
                return Err(self.broken(previous.last_seq + 1, None, "it is missing"));
            }
            Some(previous) if segment.prev != previous.last => {
                return Err(self.broken(segment.first_seq, object, "it does not follow its predecessor"));
            }
            None if segment.first_seq == self.run.first_seq && segment.prev != first_short => {
                return Err(self.broken(segment.first_seq, object, "it is of another log"));
            }
            // The listing began in the middle of the run: the stretch's beginning must be covered.
            None if segment.first_seq != self.run.first_seq && segment.from.last_tso() > self.from.last_tso() => {
                return Err(self.broken(segment.first_seq.saturating_sub(1), None, "it is missing"));
            }
            _ => {}
        }
        if segment.last_seq + 1 == self.run.end_seq && segment.last != short(&self.run.last_hash) {
            return Err(self.broken(segment.last_seq, object, "it is not the one that the log ends with"));
        }
        Ok(())
    }

    fn broken(&self, seq: u64, object: Option<&SegmentName>, why: &str) -> ArchiveError {
        let why = match object {
            Some(segment) => format!("`{}`: {why}", segment.object),
            None => why.to_owned(),
        };
        ArchiveError::BrokenLog {
            seq,
            object: object.map(|segment| segment.object.to_string()),
            why,
            good: Some(self.previous.as_ref().map_or(self.from, |previous| previous.to)),
        }
    }

    /// Checks what only the index tells: incarnation and the whole hashes.
    pub(super) fn check_info(&self, info: &SegmentInfo, chain: Option<ChainHash>) -> Result<()> {
        let name = &info.name;
        let at_start = name.first_seq == self.run.first_seq;
        let at_end = name.last_seq + 1 == self.run.end_seq;
        if info.incarnation != self.run.incarnation {
            return Err(self.broken(name.first_seq, Some(name), "it is of another incarnation"));
        }
        if self.resume.is_none() && chain.is_some_and(|chain| chain != info.prev_hash) {
            return Err(self.broken(name.first_seq, Some(name), "it does not follow its predecessor"));
        }
        if at_start && info.prev_hash.hex() != self.run.first_hash
            || at_end && info.last_hash.hex() != self.run.last_hash
        {
            return Err(self.broken(name.first_seq, Some(name), "it is of another log"));
        }
        Ok(())
    }
}

fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

impl Archive {
    /// Checks by names and indexes that the log of a run from `from` to `until` is whole, and says what it is. The
    /// error names the first segment that is missing, damaged or foreign, and the last good moment.
    pub fn check_log(&self, run: &LogRun, from: Moment, until: Moment) -> Result<LogPlan> {
        let mut walk = RunWalk::new(self, run, from, until)?;
        let mut plan = LogPlan::default();
        let mut chain = None;
        let mut good = from;
        while let Some(name) = walk.next()? {
            let info = self.segment_index(&name).map_err(|e| broken_by(e, &name, good))?;
            walk.check_info(&info, chain)?;
            chain = Some(info.last_hash);
            good = name.to;
            plan.segments += 1;
            plan.bytes += name.size;
            plan.raw_bytes += info.raw_bytes;
            plan.entries += info.entries;
        }
        Ok(plan)
    }
}

/// Damage of a segment, told as a break of the log.
pub(super) fn broken_by(e: ArchiveError, name: &SegmentName, good: Moment) -> ArchiveError {
    if !e.is_corrupt() {
        return e;
    }
    ArchiveError::BrokenLog {
        seq: name.first_seq,
        object: Some(name.object.to_string()),
        why: e.to_string(),
        good: Some(good),
    }
}
