//! Merging small log segments into larger ones, so that a quiet day is not 17 000 objects.
//!
//! Size-tiered: sixteen neighbours below a tier's limit become one, so each byte is rewritten at most once per tier. A
//! merged segment keeps the first one's predecessor and the last one's hash; readers see either form.

use crate::archive::log::SegmentName;
use crate::archive::state::LogDoc;
use crate::archive::{Archive, ArchiveLock};
use crate::engine::cx::JobCx;
use crate::engine::error::{Doing, EngineError};
use crate::engine::lookup;
use crate::model::clock::Millis;
use crate::model::job::LineLevel;
use crate::model::log::LogRun;

/// Segments below this many bytes are merged with their like.
const TIERS: [u64; 3] = [256 << 10, 4 << 20, LARGE];
/// From this many bytes on, a segment stays as it is.
const LARGE: u64 = 32 << 20;
/// So many neighbours make a merge.
const FAN_IN: usize = 16;
/// A merged segment is not made larger than this.
const MAX_BYTES: u64 = 64 << 20;

/// The end of a stretch of log: its segments that may still be merged.
#[derive(Debug, Default)]
pub struct Tail(Vec<SegmentName>);

impl Tail {
    /// Reads the segments of a stretch that are still small.
    pub(super) fn load(archive: &Archive, run: &LogRun) -> Result<Tail, EngineError> {
        let mut tail = Tail::default();
        let mut segments = lookup::segments(archive, run)?;
        while let Some(name) = segments.next()? {
            tail.push(name);
        }
        Ok(tail)
    }

    /// Adds the newest segment. A large one ends what can be merged before it.
    pub(super) fn push(&mut self, name: SegmentName) {
        if name.size >= LARGE {
            self.0.clear();
            return;
        }
        self.0.push(name);
    }

    /// Forgets the segments that truncating the log has deleted; says whether there were any.
    fn forget_truncated(&mut self, archive: &Archive) -> Result<bool, EngineError> {
        let runs = archive.state::<LogDoc>()?.value.runs;
        let before = self.0.len();
        self.0.retain(|n| {
            runs.iter()
                .any(|r| r.first_seq <= n.first_seq && n.last_seq < r.end_seq)
        });
        Ok(self.0.len() < before)
    }

    /// Merges where enough neighbours are small.
    pub(super) fn compact(&mut self, archive: &Archive, lock: &ArchiveLock, cx: &dyn JobCx) -> Result<(), EngineError> {
        while let Some(range) = plan(&self.0.iter().map(|n| (day_of(n), n.size)).collect::<Vec<_>>()) {
            let chosen = self.0.get(range.clone()).unwrap_or_default();
            let names: Vec<SegmentName> = chosen.to_vec();
            let before: u64 = chosen.iter().map(|n| n.size).sum();
            if self.forget_truncated(archive)? {
                continue;
            }
            let merged = match archive.compact(lock, &names) {
                Ok(merged) => merged,
                // Truncated just now.
                Err(_) if self.forget_truncated(archive)? => continue,
                Err(e) => return Err(e).doing(|| format!("merging {} small log segments", names.len())),
            };
            archive.update(lock, |doc: &mut LogDoc| {
                doc.segments = doc.segments.saturating_sub(names.len() as u64 - 1);
                doc.stored_bytes = (doc.stored_bytes + merged.name.size).saturating_sub(before);
            })?;
            cx.line(
                LineLevel::Info,
                format!("merged {} log segments into {}", names.len(), merged.name.object),
            );
            self.0.splice(range, [merged.name]);
        }
        Ok(())
    }
}

/// The UTC day that a segment belongs to; segments of different days are kept apart.
fn day_of(name: &SegmentName) -> i64 {
    name.to.at.0.div_euclid(Millis::DAY)
}

/// The first neighbours of one day that should become one segment, given days and sizes of segments in order.
fn plan(segments: &[(i64, u64)]) -> Option<std::ops::Range<usize>> {
    TIERS.iter().find_map(|limit| {
        let (mut start, mut total, mut today) = (0, 0, None);
        for (at, (day, size)) in segments.iter().enumerate() {
            if size >= limit {
                (start, total, today) = (at + 1, 0, None);
                continue;
            }
            if today != Some(*day) || total + size > MAX_BYTES {
                (start, total, today) = (at, 0, Some(*day));
            }
            total += size;
            if at + 1 - start == FAN_IN {
                return Some(start..at + 1);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sixteen_small_neighbours_become_one() {
        assert_eq!(plan(&[(1, 100); 15]), None);
        assert_eq!(plan(&[(1, 100); 16]), Some(0..16));
        let mut segments = vec![(1, 100); 10];
        segments.push((1, 40 << 20));
        segments.extend([(1, 100); 16]);
        assert_eq!(plan(&segments), Some(11..27), "a large one in between is left alone");
        let mut segments = vec![(1, 100); 10];
        segments.extend([(2, 100); 16]);
        assert_eq!(plan(&segments), Some(10..26), "two days are kept apart");
    }

    proptest! {
        /// A long quiet stretch ends with few segments, and nothing grows past the limit.
        #[test]
        fn a_stretch_stays_short(sizes in proptest::collection::vec(1u64..300_000, 1..2_000)) {
            let mut tail: Vec<(i64, u64)> = Vec::new();
            let mut rewritten = 0;
            for size in &sizes {
                tail.push((1, *size));
                while let Some(range) = plan(&tail) {
                    let merged: u64 = tail[range.clone()].iter().map(|(_, size)| size).sum();
                    prop_assert!(merged <= MAX_BYTES);
                    rewritten += merged;
                    tail.splice(range, [(1, merged)]);
                }
            }
            let total: u64 = sizes.iter().sum();
            prop_assert_eq!(tail.iter().map(|(_, size)| size).sum::<u64>(), total);
            prop_assert!(rewritten <= 4 * total);
            prop_assert!(tail.len() as u64 <= 3 * FAN_IN as u64 + 2 * FAN_IN as u64 * (total / LARGE + 1));
        }
    }
}
