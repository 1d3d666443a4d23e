//! Reading the rows of a table as they were at a moment: of each row the newest version at or before it.

use std::ops::Bound;

use crate::cluster::ClusterError;
use crate::model::checksum::TableChecksum;
use crate::model::tso::Tso;

use super::keys;
use super::store::{Pairs, Rows, Slice};

/// The first byte of a stored value: a row, or that it was deleted.
const ROW: u8 = 1;
const DELETED: u8 = 0;

/// The stored form of a value, or of a deletion.
pub(super) fn stored(value: Option<&[u8]>) -> Vec<u8> {
    let Some(value) = value else {
        return vec![DELETED];
    };
    let mut out = Vec::with_capacity(1 + value.len());
    out.push(ROW);
    out.extend_from_slice(value);
    out
}

/// The value of its stored form; `None` when it is a deletion.
pub(super) fn value(stored: &[u8]) -> Result<Option<&[u8]>, ClusterError> {
    match stored.split_first() {
        Some((&ROW, value)) => Ok(Some(value)),
        Some((&DELETED, [])) => Ok(None),
        _ => Err(ClusterError::Malformed {
            what: "a stored row",
            why: "its first byte is unknown".to_owned(),
        }),
    }
}

/// The lower bound of the rows after, or from, a key.
fn lower(from: Bound<&[u8]>) -> Bound<Vec<u8>> {
    match from {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(key) => Bound::Included(keys::prefix(key)),
        // All versions of the key come before this.
        Bound::Excluded(key) => Bound::Excluded(keys::stored(key, Tso::ZERO)),
    }
}

/// The upper bound of the rows up to and including a key.
fn upper(through: Option<&[u8]>) -> Bound<Vec<u8>> {
    through.map_or(Bound::Unbounded, |key| Bound::Included(keys::stored(key, Tso::ZERO)))
}

/// A row that was read.
pub(super) struct Row {
    /// Its key.
    pub(super) key: Vec<u8>,
    stored: Slice,
}

impl Row {
    /// Its value.
    pub(super) fn value(&self) -> &[u8] {
        self.stored.get(1..).unwrap_or_default()
    }
}

/// Rows in the order of their keys.
pub(super) struct Scan {
    pairs: Pairs,
    ts: Tso,
    done: Vec<u8>,
}

impl Scan {
    /// All rows.
    pub(super) fn all(rows: &Rows, ts: Tso) -> Scan {
        Scan::range(rows, ts, Bound::Unbounded, None)
    }

    /// The rows from a bound on, up to and including a key.
    pub(super) fn range(rows: &Rows, ts: Tso, from: Bound<&[u8]>, through: Option<&[u8]>) -> Scan {
        let (from, to) = (lower(from), upper(through));
        // An inverted range is empty, which the store would not accept.
        let inverted = match (&from, &to) {
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b)) => a > b,
            _ => false,
        };
        let to = if inverted { Bound::Excluded(vec![]) } else { to };
        let from = if inverted { Bound::Unbounded } else { from };
        Scan {
            pairs: rows.range(from, to),
            ts,
            done: Vec::new(),
        }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Row>, ClusterError> {
        while let Some((stored_key, stored)) = self.pairs.next()? {
            let (prefix, version) = keys::split(&stored_key)?;
            if version > self.ts || prefix == self.done {
                continue;
            }
            prefix.clone_into(&mut self.done);
            if value(&stored)?.is_some() {
                let key = keys::unescape(prefix)?;
                return Ok(Some(Row { key, stored }));
            }
        }
        Ok(None)
    }

    /// Reads everything that is left into a checksum.
    pub(super) fn checksum(mut self) -> Result<TableChecksum, ClusterError> {
        let mut sum = TableChecksum::default();
        while let Some(row) = self.next()? {
            sum.add_row(&row.key, row.value());
        }
        Ok(sum)
    }
}

/// One row at a moment.
pub(super) fn get(rows: &Rows, key: &[u8], ts: Tso) -> Result<Option<Vec<u8>>, ClusterError> {
    let prefix = keys::prefix(key);
    let from = Bound::Included(keys::with_version(&prefix, ts));
    let to = Bound::Included(keys::with_version(&prefix, Tso::ZERO));
    let Some((found, stored)) = rows.range(from, to).next()? else {
        return Ok(None);
    };
    if !found.starts_with(&prefix) {
        return Err(ClusterError::Malformed {
            what: "the store",
            why: "a range gave a row outside of it".to_owned(),
        });
    }
    Ok(value(&stored)?.map(<[u8]>::to_vec))
}
