//! Compaction: many small segments become one. The chain stays as it was.

use crate::archive::lock::ArchiveLock;
use crate::archive::sealed::{Level, SealedWriter};
use crate::archive::{Archive, ArchiveError, PAGE, Result};
use crate::model::crash::crash_point;
use crate::model::position::Moment;
use crate::storage::{ErrorKind, ObjectInfo, ObjectName};

use super::entry::Read;
use super::names::SegmentName;
use super::segment::{Facts, SegmentInfo, bound_name};
use super::writer::EntryWriter;

/// Level of compacted segments: they are written once and kept long.
const LEVEL: i32 = 3;

impl Archive {
    /// Deletes segments that a compacted one beside them replaces: what a crash in the middle of [`Archive::compact`]
    /// left. They do not count for any reader. Gives how many. `days` limits it as in [`Archive::segments`].
    pub fn clean_segments(&self, lock: &ArchiveLock, days: Option<(Moment, Moment)>) -> Result<u64> {
        let mut cleaned = 0;
        for day in self.log_days(days)? {
            let replaced = replaced(self.day_segments(&day)?);
            for (by, leftovers) in replaced {
                // The small ones go only when the one that replaces them is good.
                self.verify_segment(&by)?;
                for segment in leftovers {
                    self.delete_segment(lock, &segment)?;
                    cleaned += 1;
                }
            }
        }
        Ok(cleaned)
    }

    /// All segments of a day, replaced ones too.
    fn day_segments(&self, day: &str) -> Result<Vec<SegmentName>> {
        let dir = self.layout().log_day(day)?;
        let mut segments = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store().list(&dir, after.as_deref(), PAGE)?;
            after = page.last().map(|object| object.name.file().to_owned());
            let whole = page.len() == PAGE;
            segments.extend(page.into_iter().filter_map(SegmentName::parse));
            if !whole {
                return Ok(segments);
            }
        }
    }

    /// Merges consecutive segments of one UTC day into one, verifies it, and only then deletes them. Can be repeated
    /// after a crash.
    pub fn compact(&self, lock: &ArchiveLock, small: &[SegmentName]) -> Result<SegmentInfo> {
        let facts = self.merged_facts(small)?;
        let object = self.segment_object(&facts)?;
        // What an earlier merge of this day left when it was interrupted.
        self.clean_segments(lock, Some((facts.to, facts.to)))?;
        let info = match self.store().size(&object)? {
            // Published before a crash: verified below, as a new one is.
            Some(_) => None,
            None => Some(self.merge(lock, small, &facts, &object)?),
        };
        crash_point("archive.compact.published");
        let info = match info {
            Some(info) => self.verify_merged(lock, info.name)?,
            None => self.verify_merged(lock, self.name_at(&facts, &object)?)?,
        };
        crash_point("archive.compact.verified");
        for segment in small.iter().filter(|segment| segment.object != object) {
            self.delete_segment(lock, segment)?;
            crash_point("archive.compact.deleted");
        }
        Ok(info)
    }

    fn name_at(&self, facts: &Facts, object: &ObjectName) -> Result<SegmentName> {
        let size = self.store().size(object)?.unwrap_or_default();
        let name = object.clone();
        Ok(facts.clone().into_info(ObjectInfo { name, size })?.name)
    }

    /// Reads the merged segment back. One that does not hold goes, so that the small ones count again.
    fn verify_merged(&self, lock: &ArchiveLock, name: SegmentName) -> Result<SegmentInfo> {
        match self.verify_segment(&name) {
            Ok(info) => Ok(info),
            Err(e) => {
                if e.is_corrupt() {
                    self.delete_segment(lock, &name)?;
                }
                Err(e)
            }
        }
    }

    /// What the merged segment will say about itself; an error when these cannot be merged.
    fn merged_facts(&self, small: &[SegmentName]) -> Result<Facts> {
        let unfit = |why: &str| ArchiveError::Unfit {
            what: "a compacted segment",
            why: why.to_owned(),
        };
        let (first, rest) = small.split_first().ok_or_else(|| unfit("there is nothing to merge"))?;
        let last = rest.last().ok_or_else(|| unfit("one segment alone is not merged"))?;
        let mut sum = self.segment_index(first)?;
        for name in rest {
            let next = self.segment_index(name)?;
            if next.name.first_seq != sum.name.last_seq + 1 || next.prev_hash != sum.last_hash {
                return Err(unfit("the segments do not follow one another"));
            }
            if next.incarnation != sum.incarnation || name.dir() != last.dir() || first.dir() != last.dir() {
                return Err(unfit("the segments are of several incarnations or days"));
            }
            sum.name.last_seq = next.name.last_seq;
            sum.name.to = next.name.to;
            sum.to_position = next.to_position;
            sum.last_hash = next.last_hash;
            sum.entries += next.entries;
            sum.raw_bytes += next.raw_bytes;
            sum.pieces += next.pieces;
            sum.index.append(&next.index);
        }
        Ok(Facts {
            first_seq: sum.name.first_seq,
            last_seq: sum.name.last_seq,
            incarnation: sum.incarnation,
            from: sum.name.from,
            from_position: sum.from_position,
            to: sum.name.to,
            to_position: sum.to_position,
            prev_hash: sum.prev_hash,
            last_hash: sum.last_hash,
            entries: sum.entries,
            raw_bytes: sum.raw_bytes,
            pieces: sum.pieces,
            index: sum.index,
        })
    }

    fn merge(
        &self,
        lock: &ArchiveLock,
        small: &[SegmentName],
        facts: &Facts,
        object: &ObjectName,
    ) -> Result<SegmentInfo> {
        let within = bound_name(facts.first_seq);
        let level = Level::new(LEVEL).unwrap_or_default();
        let (form, salt, epoch) = (facts.form(), crate::archive::salt()?, lock.epoch());
        let sink = self.store().create(object)?;
        let file = SealedWriter::new(sink, form, self.id(), &within, salt, epoch, level)?;
        let mut merged = EntryWriter::new(file, facts.prev_hash);
        for name in small {
            let mut reader = self.segment_reader(name)?;
            while let Some(batch) = reader.next_batch()? {
                for read in &batch {
                    match read {
                        Read::Entry(entry) if entry.pieces > 0 => merged.open(entry.borrow(), entry.pieces)?,
                        Read::Entry(entry) => merged.put(entry.borrow())?,
                        Read::Piece(_, piece) => merged.piece(piece)?,
                    }
                }
            }
        }
        if merged.chain() != facts.last_hash {
            return Err(ArchiveError::corrupt(
                object,
                "the merged entries do not end the chain as the segments do",
            ));
        }
        let (sink, size) = merged.finish(facts)?;
        self.guard(lock)?;
        crash_point("archive.compact.before");
        match sink.finish() {
            Ok(()) => {}
            Err(e) if e.kind == ErrorKind::Exists => {}
            Err(e) => return Err(e.into()),
        }
        let name = object.clone();
        facts.clone().into_info(ObjectInfo { name, size })
    }
}

/// Compacted segments, each with those that it replaces.
fn replaced(mut segments: Vec<SegmentName>) -> Vec<(SegmentName, Vec<SegmentName>)> {
    segments.sort_by_key(|s| (s.first_seq, std::cmp::Reverse(s.last_seq)));
    let mut groups: Vec<(SegmentName, Vec<SegmentName>)> = Vec::new();
    for segment in segments {
        match groups.last_mut() {
            // Equal numbers are another matter: there a fenced writer was at work, and the chain decides.
            Some((by, leftovers)) if segment.last_seq <= by.last_seq && by.is_compacted() => {
                if (segment.first_seq, segment.last_seq) != (by.first_seq, by.last_seq) {
                    leftovers.push(segment);
                }
            }
            _ => groups.push((segment, Vec::new())),
        }
    }
    groups.retain(|(_, leftovers)| !leftovers.is_empty());
    groups
}
