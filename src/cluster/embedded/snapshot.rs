//! A consistent view for a backup: one moment, pinned on disk until it is released or its lease runs out.

use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cluster::{BatchSink, ChunkRange, ChunkRead, ClusterError, Mark, Snapshot, TableDef};
use crate::model::checksum::TableChecksum;
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::core::{Core, mark_at};
use super::keys;
use super::scan::Scan;
use super::store::{Rows, failed};
use super::wire;

/// About how many bytes a batch holds.
const BATCH_BYTES: usize = 1 << 20;

/// What opens a view again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Token {
    /// The cluster's identity: another's moments are not ours.
    cluster: String,
    id: String,
    ts: Tso,
}

/// A range of rows: after one key, up to and including another; keys in hex.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Range {
    after: Option<String>,
    through: Option<String>,
}

/// The view.
pub(super) struct View {
    core: Arc<Core>,
    token: Token,
}

/// A random id, in hex.
pub(super) fn random_id() -> Result<String, ClusterError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(failed("asking the system for random bytes"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Opens the view of now, or that of a token.
pub(super) fn open(core: &Arc<Core>, token: Option<&str>) -> Result<View, ClusterError> {
    let token: Token = match token {
        Some(text) => serde_json::from_str(text).map_err(|e| ClusterError::Malformed {
            what: "a snapshot's token",
            why: e.to_string(),
        })?,
        None => Token {
            cluster: core.identity.clone(),
            id: random_id()?,
            ts: core.guarded_mark()?.moment.last_tso(),
        },
    };
    let newest = core.exclusive()?.last();
    if token.ts > newest || token.cluster != core.identity {
        return Err(ClusterError::SnapshotGone(Moment::of_tso(token.ts)));
    }
    let view = View {
        core: core.clone(),
        token,
    };
    view.keep_alive()?;
    Ok(view)
}

impl View {
    fn rows(&self, table: &TableName) -> Result<Rows, ClusterError> {
        Ok(self.core.table(table, self.token.ts)?.1)
    }

    /// An error when the lease ran out and the history was collected.
    fn check(&self) -> Result<(), ClusterError> {
        if self.core.history.safepoint() > self.token.ts {
            return Err(ClusterError::SnapshotGone(Moment::of_tso(self.token.ts)));
        }
        Ok(())
    }
}

/// A key that limits a range, where it is limited.
type Limit = Option<Vec<u8>>;

fn decode(range: &ChunkRange) -> Result<(Limit, Limit), ClusterError> {
    let bad = |why: String| ClusterError::Malformed {
        what: "a range of rows",
        why,
    };
    let Range { after, through } = serde_json::from_value(range.0.clone()).map_err(|e| bad(e.to_string()))?;
    let key = |text: Option<String>| {
        text.map(|t| from_hex(&t).ok_or_else(|| bad("a key is not hex".into())))
            .transpose()
    };
    Ok((key(after)?, key(through)?))
}

fn encode(after: Option<&[u8]>, through: Option<&[u8]>) -> Result<ChunkRange, ClusterError> {
    let range = Range {
        after: after.map(to_hex),
        through: through.map(to_hex),
    };
    let json = serde_json::to_value(range).map_err(failed("writing a range of rows"))?;
    Ok(ChunkRange(json))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| match pair {
            [a, b] => Some(digit(*a)? << 4 | digit(*b)?),
            _ => None,
        })
        .collect()
}

/// Keys that divide the space between two keys evenly, as far as eight bytes behind what they share tell.
fn divide(first: &[u8], last: &[u8], parts: usize) -> Vec<Vec<u8>> {
    let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let number = |key: &[u8]| {
        let mut bytes = [0u8; 8];
        let rest = key.get(shared..).unwrap_or_default();
        bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        u128::from(u64::from_be_bytes(bytes))
    };
    let (low, high) = (number(first), number(last));
    let mut out: Vec<Vec<u8>> = Vec::new();
    for part in 1..parts as u128 {
        let at = low + (high.saturating_sub(low)) * part / parts as u128;
        let mut key = first.get(..shared).unwrap_or_default().to_vec();
        key.extend_from_slice(&(at as u64).to_be_bytes());
        if *key > *first && *key < *last && out.last().is_none_or(|l| *l < key) {
            out.push(key);
        }
    }
    out
}

impl Snapshot for View {
    fn mark(&self) -> Mark {
        mark_at(self.token.ts)
    }

    fn token(&self) -> Option<String> {
        serde_json::to_string(&self.token).ok()
    }

    fn tables(&self) -> Result<Vec<TableDef>, ClusterError> {
        self.check()?;
        let tables = self.core.catalog.read().tables(self.token.ts);
        self.check()?;
        Ok(tables.iter().map(|(name, info)| info.def(name)).collect())
    }

    fn split(&self, table: &TableName, parts: usize) -> Result<Vec<ChunkRange>, ClusterError> {
        self.check()?;
        let rows = self.rows(table)?;
        let Some(first) = Scan::all(&rows, self.token.ts).next()? else {
            return Ok(Vec::new());
        };
        let Some(last) = rows.last_key()? else {
            return Ok(Vec::new());
        };
        let last = keys::unescape(keys::split(&last)?.0)?;
        let mut ranges = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        for key in divide(&first.key, &last, parts) {
            ranges.push(encode(after.as_deref(), Some(&key))?);
            after = Some(key);
        }
        ranges.push(encode(after.as_deref(), None)?);
        Ok(ranges)
    }

    fn read(
        &self,
        table: &TableName,
        range: &ChunkRange,
        max_bytes: u64,
        sink: &mut dyn BatchSink,
    ) -> Result<ChunkRead, ClusterError> {
        self.check()?;
        let (after, through) = decode(range)?;
        let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut scan = Scan::range(&self.rows(table)?, self.token.ts, from, through.as_deref());
        let mut sum = TableChecksum::default();
        let (mut batch, mut rows) = (Vec::with_capacity(BATCH_BYTES + 4096), 0);
        let mut rest = None;
        while let Some(row) = scan.next()? {
            sum.add_row(&row.key, row.value());
            wire::put_row(&mut batch, &row.key, row.value());
            rows += 1;
            if batch.len() >= BATCH_BYTES {
                sink.put(&batch, rows)?;
                batch.clear();
                rows = 0;
            }
            if sum.bytes >= max_bytes {
                rest = Some(encode(Some(&row.key), through.as_deref())?);
                break;
            }
        }
        if rows > 0 {
            sink.put(&batch, rows)?;
        }
        self.check()?;
        Ok(ChunkRead { sum, rest })
    }

    fn keep_alive(&self) -> Result<(), ClusterError> {
        let Token { id, ts, .. } = &self.token;
        self.core.history.pin(id, *ts, self.core.clock.now(), &self.core.store)
    }

    fn release(&self) -> Result<(), ClusterError> {
        self.core.history.unpin(&self.token.id, &self.core.store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn divisions_are_ordered_and_inside(a in proptest::collection::vec(any::<u8>(), 1..12), b in proptest::collection::vec(any::<u8>(), 1..12), parts in 1usize..20) {
            let (first, last) = if a < b { (a, b) } else { (b, a) };
            let keys = divide(&first, &last, parts);
            prop_assert!(keys.len() < parts);
            prop_assert!(keys.windows(2).all(|w| w[0] < w[1]));
            prop_assert!(keys.iter().all(|k| *k > first && *k < last));
        }

        #[test]
        fn hex_round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn even_keys_are_divided_evenly() {
        let key = |n: u32| format!("row{n:06}").into_bytes();
        let keys = divide(&key(0), &key(999_999), 4);
        assert_eq!(keys.len(), 3);
        for (cut, want) in keys.iter().zip([250_000, 500_000, 750_000u32]) {
            let below = (0..1_000_000).step_by(1000).filter(|n| key(*n) <= *cut).count() as i64 * 1000;
            assert!((below - i64::from(want)).abs() <= 100_000, "{below} for {want}");
        }
    }
}
