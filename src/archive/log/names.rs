//! The names of segments: order by name is order by number, and the name alone tells coverage and gaps.
//!
//! `<first>-<last>-<from>-<to>-<chain before>-<chain after>.seg`: numbers in 12 digits; moments as `t<TSO>` or
//! `m<ms>`; the first 16 hex digits of the chain. In the directory of the UTC day of `to`.

use crate::model::clock::Millis;
use crate::model::position::Moment;
use crate::model::tso::Tso;
use crate::storage::{DirName, ObjectInfo, ObjectName};

use super::segment::Facts;

/// A segment as its name describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentName {
    /// The number of the first segment in it.
    pub first_seq: u64,
    /// The number of the last one; the same unless it was compacted.
    pub last_seq: u64,
    /// It holds everything after this moment ...
    pub from: Moment,
    /// ... up to and including this one.
    pub to: Moment,
    /// The first 16 hex digits of the chain before it.
    pub prev: String,
    /// The first 16 hex digits of the chain after it.
    pub last: String,
    /// The object.
    pub object: ObjectName,
    /// Its size in bytes.
    pub size: u64,
}

/// The directory of a moment: its UTC day.
pub(super) fn day_of(moment: Moment) -> String {
    moment.at.utc().format("%Y%m%d").to_string()
}

/// Whether a directory of the log is one of a day.
pub(super) fn is_day(dir: &str) -> bool {
    dir.len() == 8 && dir.bytes().all(|b| b.is_ascii_digit())
}

fn moment_text(moment: Moment) -> String {
    match moment.tso {
        Some(tso) => format!("t{tso}"),
        None => format!("m{}", moment.at.0),
    }
}

fn parse_moment(text: &str) -> Option<Moment> {
    let moment = match text.split_at_checked(1)? {
        ("t", tso) => Moment::of_tso(Tso(tso.parse().ok()?)),
        ("m", ms) => Moment::of_millis(Millis(ms.parse().ok()?)),
        _ => return None,
    };
    (moment_text(moment) == text).then_some(moment)
}

fn parse_seq(text: &str) -> Option<u64> {
    (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn parse_hash(text: &str) -> Option<String> {
    let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    hex.then(|| text.to_owned())
}

impl SegmentName {
    /// Reads the name of an object; `None` when it is not one of a segment.
    pub(super) fn parse(object: ObjectInfo) -> Option<SegmentName> {
        let parts: Vec<&str> = object.name.file().strip_suffix(".seg")?.split('-').collect();
        let [first, last, from, to, prev, after] = parts.as_slice() else {
            return None;
        };
        let (first_seq, last_seq) = (parse_seq(first)?, parse_seq(last)?);
        let name = SegmentName {
            first_seq,
            last_seq,
            from: parse_moment(from)?,
            to: parse_moment(to)?,
            prev: parse_hash(prev)?,
            last: parse_hash(after)?,
            object: object.name,
            size: object.size,
        };
        (first_seq <= last_seq).then_some(name)
    }

    /// The file name of a segment with these facts.
    pub(super) fn file_of(facts: &Facts) -> String {
        let (from, to) = (moment_text(facts.from), moment_text(facts.to));
        let (first, last) = (facts.first_seq, facts.last_seq);
        let (prev, after) = (facts.prev_hash.short(), facts.last_hash.short());
        format!("{first:012}-{last:012}-{from}-{to}-{prev}-{after}.seg")
    }

    /// The day directory that it is in.
    pub(super) fn dir(&self) -> DirName {
        self.object.dir()
    }

    /// Whether several segments were compacted into it.
    pub fn is_compacted(&self) -> bool {
        self.first_seq < self.last_seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(file: &str) -> ObjectInfo {
        ObjectInfo {
            name: ObjectName::new(format!("log/20261120/{file}")).unwrap(),
            size: 7,
        }
    }

    #[test]
    fn strange_names_are_not_segments() {
        let good = "000000000001-000000000002-t5-m7-0011223344556677-8899aabbccddeeff.seg";
        let name = SegmentName::parse(info(good)).unwrap();
        assert_eq!((name.first_seq, name.last_seq, name.size), (1, 2, 7));
        assert_eq!(
            (name.from, name.to),
            (Moment::of_tso(Tso(5)), Moment::of_millis(Millis(7)))
        );
        for bad in [
            good.replace(".seg", ""),
            good.replace("000000000002", "000000000000"),
            good.replace("000000000001", "1"),
            good.replace("t5", "t05"),
            good.replace("t5", "x5"),
            good.replace("t5", "t"),
            good.replace("00112233", "00112Z33"),
            format!("x-{good}"),
        ] {
            assert_eq!(SegmentName::parse(info(&bad)), None, "{bad}");
        }
    }
}
