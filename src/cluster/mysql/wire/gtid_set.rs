//! A set of MySQL's transaction ids as a dump request wants it.

use std::collections::BTreeMap;

/// One source of transactions: its UUID and, since MySQL 8.3, a tag.
type Source = ([u8; 16], String);

/// Encodes `uuid:1-5:7,uuid:tag:1-3,...`; `None` when it is none.
pub(super) fn encode(text: &str) -> Option<Vec<u8>> {
    let mut sets: BTreeMap<Source, Vec<(u64, u64)>> = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let mut fields = part.split(':').map(str::trim);
        let id = uuid(fields.next()?)?;
        let mut tag = String::new();
        let mut any = false;
        for field in fields {
            if field.starts_with(|c: char| c.is_ascii_digit()) {
                let (from, to) = field.split_once('-').unwrap_or((field, field));
                let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
                if from == 0 || to < from || to == u64::MAX {
                    return None;
                }
                sets.entry((id, tag.clone())).or_default().push((from, to + 1));
                any = true;
            } else {
                let is_tag = !field.is_empty()
                    && field.len() <= 32
                    && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if !is_tag {
                    return None;
                }
                tag = field.to_ascii_lowercase();
            }
        }
        if !any {
            return None;
        }
    }
    Some(bytes(&sets))
}

fn bytes(sets: &BTreeMap<Source, Vec<(u64, u64)>>) -> Vec<u8> {
    let tagged = sets.keys().any(|(_, tag)| !tag.is_empty());
    let count = sets.len() as u64;
    let head = if tagged { 1 | count << 8 | 1 << 56 } else { count };
    let mut out = head.to_le_bytes().to_vec();
    for ((id, tag), intervals) in sets {
        out.extend_from_slice(id);
        if tagged {
            // A variable-length number; below 128 it is one byte, doubled.
            out.push(u8::try_from(tag.len() * 2).unwrap_or(0));
            out.extend_from_slice(tag.as_bytes());
        }
        let intervals = merged(intervals);
        out.extend_from_slice(&(intervals.len() as u64).to_le_bytes());
        for (from, to) in intervals {
            out.extend_from_slice(&from.to_le_bytes());
            out.extend_from_slice(&to.to_le_bytes());
        }
    }
    out
}

/// In order, without overlaps: the server refuses others.
fn merged(intervals: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut sorted = intervals.to_vec();
    sorted.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
    for (from, to) in sorted {
        match out.last_mut() {
            Some((_, end)) if from <= *end => *end = (*end).max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    let mut out = [0; 16];
    for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3E11FA47-71CA-11E1-9E33-C80AA9429562";

    #[test]
    fn plain_sets_are_encoded() {
        assert_eq!(encode("").unwrap(), vec![0; 8]);
        let one = encode(&format!("{A}:1-5:7, {}:6", A.to_lowercase())).unwrap();
        assert_eq!(one.len(), 8 + 16 + 8 + 16);
        assert_eq!(one[0], 1);
        assert_eq!(one[8], 0x3E);
        assert_eq!((one[32], one[40]), (1, 8));
    }

    #[test]
    fn tags_change_the_form() {
        let both = encode(&format!("{A}:1-5:tag:3")).unwrap();
        assert_eq!(&both[..8], &[1, 2, 0, 0, 0, 0, 0, 1]);
        assert_eq!(both.len(), 8 + (16 + 1 + 8 + 16) + (16 + 1 + 3 + 8 + 16));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "x",
            A,
            "0-1-2",
            &format!("{A}:0"),
            &format!("{A}:5-1"),
            &format!("{A}:1-"),
            &format!("{A}:a b:1"),
        ] {
            assert!(encode(bad).is_none(), "{bad}");
        }
    }
}
