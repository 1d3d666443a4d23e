//! How rows are named in the store: the user's key, escaped so that bytes sort alike, then the version.
//!
//! `0x00` becomes `00 FF` and the key ends with `00 00`, so that no key is a prefix of another and the
//! order of escaped keys is the order of keys. The version follows as `!commit_ts`, big endian: the newest
//! version of a key comes first. Version 0 is a row that came with its table (by a restore): it is as old
//! as the table itself.

use crate::cluster::ClusterError;
use crate::model::tso::Tso;

/// The longest key that is accepted; escaped it stays below the store's limit of 65 535 bytes.
pub(super) const MAX_KEY: usize = 16 * 1024;

/// The bytes of a version.
const VERSION: usize = 8;

/// Refuses keys that cannot be stored.
pub(super) fn check(key: &[u8]) -> Result<(), ClusterError> {
    if key.is_empty() {
        return Err(malformed("a key must not be empty"));
    }
    if key.len() > MAX_KEY {
        return Err(ClusterError::TooLarge(format!(
            "a key of {} bytes is too long: at most {MAX_KEY} bytes",
            key.len()
        )));
    }
    Ok(())
}

fn malformed(why: &str) -> ClusterError {
    ClusterError::Malformed {
        what: "a row's key",
        why: why.to_owned(),
    }
}

/// The escaped key with its end: what all versions of a row have in common.
pub(super) fn prefix(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 2 + VERSION);
    escape(key, &mut out);
    out
}

/// The stored key of a row's version.
pub(super) fn stored(key: &[u8], ts: Tso) -> Vec<u8> {
    let mut out = prefix(key);
    out.extend_from_slice(&(!ts.0).to_be_bytes());
    out
}

fn escape(key: &[u8], out: &mut Vec<u8>) {
    // Most keys hold no zero byte.
    if key.contains(&0) {
        for &b in key {
            out.push(b);
            if b == 0 {
                out.push(0xff);
            }
        }
    } else {
        out.extend_from_slice(key);
    }
    out.extend_from_slice(&[0, 0]);
}

/// A prefix with a version behind it.
pub(super) fn with_version(prefix: &[u8], ts: Tso) -> Vec<u8> {
    let mut out = Vec::with_capacity(prefix.len() + VERSION);
    out.extend_from_slice(prefix);
    out.extend_from_slice(&(!ts.0).to_be_bytes());
    out
}

/// Splits a stored key into its prefix and its version.
pub(super) fn split(stored: &[u8]) -> Result<(&[u8], Tso), ClusterError> {
    try_split(stored).ok_or_else(|| malformed("a stored key is too short"))
}

/// As [`split`], for the compaction filter, which leaves alone what it does not know.
pub(super) fn try_split(stored: &[u8]) -> Option<(&[u8], Tso)> {
    let (prefix, version) = stored.split_last_chunk::<VERSION>()?;
    prefix
        .ends_with(&[0, 0])
        .then_some((prefix, Tso(!u64::from_be_bytes(*version))))
}

/// The user's key of a prefix.
pub(super) fn unescape(prefix: &[u8]) -> Result<Vec<u8>, ClusterError> {
    let body = prefix
        .strip_suffix(&[0, 0])
        .ok_or_else(|| malformed("a stored key has no end"))?;
    // Most keys hold no zero byte.
    if !body.contains(&0) {
        return Ok(body.to_vec());
    }
    let mut out = Vec::with_capacity(body.len());
    let mut bytes = body.iter();
    while let Some(&b) = bytes.next() {
        out.push(b);
        if b == 0 && bytes.next() != Some(&0xff) {
            return Err(malformed("a stored key holds a broken escape"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_empty_and_too_long_keys() {
        assert!(check(b"").is_err());
        assert!(check(&vec![0; MAX_KEY + 1]).is_err());
        let longest = vec![0; MAX_KEY];
        check(&longest).unwrap();
        assert!(with_version(&prefix(&longest), Tso(1)).len() <= 65_535);
    }

    #[test]
    fn broken_keys_are_errors() {
        for bad in [&b""[..], b"abc", b"\x00\x00", b"a\x00\x00\x00\x00"] {
            assert!(try_split(bad).is_none() || split(bad).is_ok());
        }
        assert!(unescape(b"a\x00b\x00\x00").is_err());
        assert!(unescape(b"a").is_err());
    }

    proptest! {
        #[test]
        fn order_and_content_survive(a in proptest::collection::vec(0u8..4, 0..8), b in proptest::collection::vec(0u8..4, 0..8), ts: u64) {
            let (pa, pb) = (prefix(&a), prefix(&b));
            prop_assert_eq!(pa.cmp(&pb), a.cmp(&b));
            prop_assert!(a == b || !pa.starts_with(&pb));
            let stored = stored(&a, Tso(ts));
            prop_assert_eq!(&stored, &with_version(&pa, Tso(ts)));
            let (p, t) = split(&stored).unwrap();
            prop_assert_eq!((unescape(p).unwrap(), t), (a, Tso(ts)));
            prop_assert!(ts == 0 || with_version(&pa, Tso(ts)) < with_version(&pa, Tso(ts - 1)));
        }
    }
}
