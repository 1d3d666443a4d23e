//! Merging small log segments into larger ones, so that a quiet day is not 17 000 objects.
//!
//! In levels: sixteen neighbours that each hold about as many segments become one, so each byte is rewritten at most
//! once per level: after about a minute, twenty minutes and six hours. A merged segment keeps the first one's
//! predecessor and the last one's hash; readers see either form.

use crate::archive::log::SegmentName;
use crate::archive::state::LogDoc;
use crate::archive::{Archive, ArchiveLock};
use crate::engine::cx::JobCx;
use crate::engine::error::{Doing, EngineError};
use crate::engine::lookup;
use crate::model::clock::Millis;
use crate::model::job::LineLevel;
use crate::model::log::LogRun;

/// From this many bytes on, a segment stays as it is.
const LARGE: u64 = 32 << 20;
/// Segments of this level are not merged further.
const LAST_LEVEL: u32 = 3;
/// So many neighbours make a merge.
const FAN_IN: usize = 16;
/// A merged segment is not made larger than this.
const MAX_BYTES: u64 = 64 << 20;

/// The end of a stretch of log: its segments that may still be merged.
#[derive(Debug, Default)]
pub struct Tail(Vec<SegmentName>);

impl Tail {
    /// Reads the segments of a stretch that are still small, and names its last one.
    pub(super) fn load(archive: &Archive, run: &LogRun) -> Result<(Tail, Option<SegmentName>), EngineError> {
        let (mut tail, mut last) = (Tail::default(), None);
        let mut segments = lookup::segments(archive, run)?;
        while let Some(name) = segments.next()? {
            last = Some(name.clone());
            tail.push(name);
        }
        Ok((tail, last))
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
        while let Some(range) = plan(&self.0.iter().map(Piece::of).collect::<Vec<_>>()) {
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

/// A segment as merging sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// The UTC day it belongs to; segments of different days are kept apart.
    day: i64,
    /// How often sixteen went into one: from the number of segments in it.
    level: u32,
    bytes: u64,
}

impl Piece {
    fn of(name: &SegmentName) -> Piece {
        Piece {
            day: name.to.at.0.div_euclid(Millis::DAY),
            level: (name.last_seq - name.first_seq + 1).ilog(FAN_IN as u64),
            bytes: name.size,
        }
    }

    /// Whether it may be merged with a neighbour.
    fn joins(&self, other: &Piece) -> bool {
        (self.day, self.level) == (other.day, other.level)
    }
}

/// The first sixteen neighbours that should become one segment.
fn plan(pieces: &[Piece]) -> Option<std::ops::Range<usize>> {
    let (mut start, mut total) = (0, 0);
    let mut before: Option<&Piece> = None;
    for (at, piece) in pieces.iter().enumerate() {
        if piece.bytes >= LARGE || piece.level >= LAST_LEVEL {
            (start, total, before) = (at + 1, 0, None);
            continue;
        }
        if before.is_some_and(|b| !b.joins(piece)) || total + piece.bytes > MAX_BYTES {
            (start, total) = (at, 0);
        }
        (total, before) = (total + piece.bytes, Some(piece));
        if at + 1 - start == FAN_IN {
            return Some(start..at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small(day: i64, level: u32) -> Piece {
        Piece { day, level, bytes: 100 }
    }

    #[test]
    fn sixteen_alike_neighbours_become_one() {
        assert_eq!(plan(&[small(1, 0); 15]), None);
        assert_eq!(plan(&[small(1, 0); 16]), Some(0..16));
        let with = |middle: Piece| [vec![small(1, 0); 10], vec![middle], vec![small(1, 0); 16]].concat();
        assert_eq!(
            plan(&with(Piece {
                bytes: 40 << 20,
                ..small(1, 0)
            })),
            Some(11..27),
            "a large one is left alone"
        );
        assert_eq!(
            plan(&with(small(1, 1))),
            Some(11..27),
            "a merged one waits for fifteen like it"
        );
        let days = [vec![small(1, 0); 10], vec![small(2, 0); 16]].concat();
        assert_eq!(plan(&days), Some(10..26), "two days are kept apart");
        assert_eq!(plan(&[small(1, LAST_LEVEL); 40]), None);
    }

    proptest! {
        /// A long quiet stretch ends with few segments, no byte is rewritten more than once a level, nothing grows too large.
        #[test]
        fn a_stretch_stays_short(sizes in proptest::collection::vec(1u64..300_000, 1..3_000)) {
            let mut tail: Vec<(Piece, u64)> = Vec::new();
            let mut rewritten = 0;
            for bytes in &sizes {
                tail.push((Piece { day: 1, level: 0, bytes: *bytes }, 1));
                while let Some(range) = plan(&tail.iter().map(|(p, _)| *p).collect::<Vec<_>>()) {
                    let merged = &tail[range.clone()];
                    let (bytes, n) = merged.iter().fold((0, 0), |(b, n), (p, m)| (b + p.bytes, n + m));
                    prop_assert!(bytes <= MAX_BYTES);
                    rewritten += bytes;
                    tail.splice(range, [(Piece { day: 1, level: n.ilog(FAN_IN as u64), bytes }, n)]);
                }
            }
            let total: u64 = sizes.iter().sum();
            prop_assert_eq!(tail.iter().map(|(p, _)| p.bytes).sum::<u64>(), total);
            prop_assert!(rewritten <= u64::from(LAST_LEVEL) * total);
            let full = sizes.len() / (FAN_IN * FAN_IN);
            prop_assert!(tail.len() <= full + 3 * FAN_IN, "{} segments of {}", tail.len(), sizes.len());
        }
    }
}
