//! Which lane applies a table's changes.
//!
//! Tables that foreign keys link share a lane: what one cascades into the other is not in the log, it happens when the
//! change is applied, and must keep its place in the order. The choice depends on the definitions at the base and on the
//! statements so far alone, so that it is the same after a crash.

use std::collections::BTreeMap;
use std::hash::Hasher;

use xxhash_rust::xxh3::Xxh3;

use crate::model::table::TableName;

/// Chooses lanes.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    count: usize,
    /// Of linked tables, the one that stands for all of them.
    leaders: BTreeMap<TableName, TableName>,
    /// All go to the first lane: a statement of the log may have linked any.
    single: bool,
}

impl Lanes {
    /// From the links between tables.
    pub fn new(count: usize, links: &[(TableName, TableName)]) -> Lanes {
        let mut leaders: BTreeMap<TableName, TableName> = BTreeMap::new();
        for (a, b) in links {
            let leader = |t: &TableName, leaders: &BTreeMap<TableName, TableName>| {
                leaders.get(t).cloned().unwrap_or_else(|| t.clone())
            };
            let (first, second) = (leader(a, &leaders), leader(b, &leaders));
            let (keep, give_up) = (first.clone().min(second.clone()), first.max(second));
            for t in [a, b] {
                leaders.entry(t.clone()).or_insert_with(|| keep.clone());
            }
            for of in leaders.values_mut().filter(|l| **l == give_up) {
                of.clone_from(&keep);
            }
        }
        Lanes {
            count: count.max(1),
            leaders,
            single: false,
        }
    }

    /// From here on there is only one lane.
    pub fn unite(&mut self) {
        self.single = true;
    }

    /// The lane of a table.
    pub fn of(&self, table: &TableName) -> usize {
        if self.single {
            return 0;
        }
        let leader = self.leaders.get(table).unwrap_or(table);
        let mut hasher = Xxh3::new();
        hasher.write(leader.db.as_bytes());
        hasher.write(&[0]);
        hasher.write(leader.table.as_bytes());
        usize::try_from(hasher.finish() % self.count as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn t(n: u8) -> TableName {
        TableName::new("d", format!("t{n}"))
    }

    proptest! {
        #[test]
        fn linked_tables_share_a_lane(links in proptest::collection::vec((0_u8..12, 0_u8..12), 0..14), count in 1_usize..5) {
            let named: Vec<_> = links.iter().map(|(a, b)| (t(*a), t(*b))).collect();
            let lanes = Lanes::new(count, &named);
            // What is linked, over any number of steps.
            let mut group: Vec<u8> = (0..12).collect();
            for _ in 0..12 {
                for (a, b) in &links {
                    let low = group[usize::from(*a)].min(group[usize::from(*b)]);
                    (group[usize::from(*a)], group[usize::from(*b)]) = (low, low);
                }
            }
            for a in 0..12_u8 {
                prop_assert!(lanes.of(&t(a)) < count);
                for b in 0..12_u8 {
                    if group[usize::from(a)] == group[usize::from(b)] {
                        prop_assert_eq!(lanes.of(&t(a)), lanes.of(&t(b)));
                    }
                }
            }
        }
    }

    #[test]
    fn unlinked_tables_spread_until_united() {
        let mut lanes = Lanes::new(2, &[]);
        let used: std::collections::BTreeSet<usize> = (0..12).map(|n| lanes.of(&t(n))).collect();
        assert_eq!(used.len(), 2);
        lanes.unite();
        assert!((0..12).all(|n| lanes.of(&t(n)) == 0));
    }
}
