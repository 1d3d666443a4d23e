//! The timestamp oracle: never back, never twice, whatever the clock and the power do.
//!
//! Every timestamp handed out lies below a bound that is on disk. After a crash the oracle starts at that
//! bound, so that also marks, which are written nowhere, are never undercut by a later commit.

use crate::cluster::ClusterError;
use crate::model::clock::Millis;
use crate::model::tso::Tso;

use super::store::{Space, Store};

/// How far ahead of the clock the bound is written.
const AHEAD_MS: i64 = 3_000;

const KEY: &[u8] = b"tso";

/// Hands out timestamps; used under the commit lock.
#[derive(Debug)]
pub(super) struct Oracle {
    last: Tso,
    bound: Tso,
}

impl Oracle {
    /// The oracle of a store whose last commit is known.
    pub(super) fn open(store: &Store, floor: Tso) -> Result<Oracle, ClusterError> {
        let bound = match store.get(Space::Meta, KEY)? {
            Some(bytes) => {
                let bytes: [u8; 8] = (*bytes).try_into().map_err(|_| ClusterError::Malformed {
                    what: "the timestamp bound",
                    why: "it does not have 8 bytes".to_owned(),
                })?;
                Tso(u64::from_be_bytes(bytes))
            }
            None => Tso::ZERO,
        };
        let last = bound.max(floor);
        Ok(Oracle { last, bound: last })
    }

    /// The last timestamp handed out.
    pub(super) fn last(&self) -> Tso {
        self.last
    }

    /// A timestamp after all before it, and not before the clock.
    pub(super) fn next(&mut self, now: Millis, store: &Store) -> Result<Tso, ClusterError> {
        let next = self.last.next().max(Tso::from_millis(now));
        self.advance(next, store)?;
        Ok(next)
    }

    /// Makes sure that no later timestamp is at or before this one.
    pub(super) fn advance(&mut self, to: Tso, store: &Store) -> Result<(), ClusterError> {
        if to >= self.bound {
            let bound = Tso::from_millis(to.millis().plus(AHEAD_MS));
            write(store, bound)?;
            self.bound = bound;
        }
        self.last = self.last.max(to);
        Ok(())
    }

    /// At a clean end: the next start need not skip ahead.
    pub(super) fn close(&mut self, store: &Store) -> Result<(), ClusterError> {
        self.bound = self.last;
        write(store, self.last)
    }
}

fn write(store: &Store, bound: Tso) -> Result<(), ClusterError> {
    let mut batch = store.batch();
    batch.put(Space::Meta, KEY, bound.0.to_be_bytes());
    batch.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back_across_reopen_and_clock_jumps() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 20).unwrap();
        let mut last = Tso::ZERO;
        for clean in [true, false, false, true] {
            let mut oracle = Oracle::open(&store, Tso::ZERO).unwrap();
            for now in [10_000, 5, 90_000, 90_001, 94_000, 0] {
                for _ in 0..3 {
                    let t = oracle.next(Millis(now), &store).unwrap();
                    assert!(t > last && t.millis() >= Millis(now));
                    assert!(t < oracle.bound);
                    last = t;
                }
            }
            if clean {
                oracle.close(&store).unwrap();
                assert!(Oracle::open(&store, Tso::ZERO).unwrap().last() == last);
            }
        }
    }
}
