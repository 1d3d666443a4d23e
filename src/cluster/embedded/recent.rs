//! The rows written lately: what the conflict check needs, without a look into the store.
//!
//! A row is remembered by a 128-bit hash of its table generation and key for as long as a transaction is
//! open that began before it was written. The number of rows is bounded; a transaction that is older than
//! what is remembered cannot be checked and is refused.

use std::collections::{HashMap, VecDeque};

use xxhash_rust::xxh3::Xxh3;

use crate::model::tso::Tso;

/// The most rows that are remembered.
const MOST: usize = 500_000;

/// The hash of a row.
pub(super) fn row_hash(table: u64, key: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(&table.to_le_bytes());
    hasher.update(key);
    hasher.digest128()
}

/// What the check of a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody wrote it since.
    Free,
    /// Somebody did.
    Written,
}

/// Recently written rows.
#[derive(Default)]
pub(super) struct Recent {
    rows: HashMap<u128, Tso>,
    order: VecDeque<(Tso, u128)>,
    forgotten: Tso,
}

impl Recent {
    /// Whether a transaction that began at `start` can be checked at all.
    pub(super) fn reaches(&self, start: Tso) -> bool {
        start >= self.forgotten
    }

    /// Whether a row was written after `start`.
    pub(super) fn check(&self, row: u128, start: Tso) -> Verdict {
        match self.rows.get(&row) {
            Some(at) if *at > start => Verdict::Written,
            _ => Verdict::Free,
        }
    }

    /// Remembers a written row.
    pub(super) fn add(&mut self, row: u128, at: Tso) {
        self.rows.insert(row, at);
        self.order.push_back((at, row));
    }

    /// Forgets what no transaction that began at or after `oldest` can conflict with, and what is too much.
    pub(super) fn prune(&mut self, oldest: Tso) {
        while let Some((at, row)) = self.order.front().copied() {
            let needed = at > oldest;
            if needed && self.order.len() <= MOST {
                break;
            }
            if needed {
                self.forgotten = at;
            }
            self.order.pop_front();
            if self.rows.get(&row) == Some(&at) {
                self.rows.remove(&row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_only_what_is_not_needed_and_says_so_otherwise() {
        let mut recent = Recent::default();
        recent.add(1, Tso(10));
        recent.add(1, Tso(20));
        recent.prune(Tso(10));
        assert_eq!(recent.check(1, Tso(19)), Verdict::Written);
        assert_eq!(recent.check(1, Tso(20)), Verdict::Free);
        assert!(recent.reaches(Tso(0)), "a needed row was not forgotten");
        (0..MOST as u128 + 5).for_each(|n| recent.add(n + 2, Tso(30 + n as u64)));
        recent.prune(Tso(0));
        assert!(recent.rows.len() <= MOST && recent.order.len() == MOST);
        assert!(!recent.reaches(Tso(19)) && recent.reaches(Tso(40)));
        recent.prune(Tso::MAX);
        assert!(recent.rows.is_empty() && recent.order.is_empty());
    }
}
