//! Rows behind savepoints: where a transaction goes back to one and the log has the rows all the same, they do not count.

use std::collections::{BTreeMap, VecDeque};

use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::words;

/// So many are remembered: who goes back further counts rows that were taken back.
const REMEMBERED: usize = 1000;

/// Inserts, updates and deletes.
pub type Counts = (u64, u64, u64);

/// The rows since each savepoint, by the places of their tables.
#[derive(Debug, Default)]
pub struct Savepoints(VecDeque<(String, BTreeMap<usize, Counts>)>);

/// What a statement does about savepoints, and the name of the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is set, in place of an older one of that name.
    Set(String),
    /// What came behind it is taken back.
    BackTo(String),
    /// It is forgotten.
    Release(String),
}

/// Reads such a statement.
pub fn word(sql: &str, modes: Modes) -> Option<Word> {
    let words = words(sql, modes);
    let name = words.last()?.name().to_string();
    let first = words.first()?;
    match () {
        () if words.len() < 2 => None,
        () if first.is("ROLLBACK") => Some(Word::BackTo(name)),
        () if first.is("RELEASE") => Some(Word::Release(name)),
        () => first.is("SAVEPOINT").then_some(Word::Set(name)),
    }
}

impl Savepoints {
    /// One is set. The server forgets an older one of that name; here it is only out of reach.
    pub fn set(&mut self, name: &str) {
        let name = name.to_lowercase();
        if let Some((_, rows)) = self.0.pop_back_if(|(last, _)| *last == name) {
            rows.into_iter().for_each(|(at, counts)| self.count(at, counts));
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((name, BTreeMap::new()));
    }

    /// Rows of the table at that place.
    pub fn count(&mut self, at: usize, counts: Counts) {
        if let Some((_, rows)) = self.0.back_mut() {
            let sum = rows.entry(at).or_default();
            *sum = (sum.0 + counts.0, sum.1 + counts.1, sum.2 + counts.2);
        }
    }

    /// The rows that go when the transaction goes back to one, which stays.
    pub fn back_to(&mut self, name: &str) -> Vec<(usize, Counts)> {
        let name = name.to_lowercase();
        let Some(at) = self.0.iter().rposition(|(one, _)| *one == name) else {
            return Vec::new();
        };
        let gone = self.0.split_off(at);
        self.0.push_back((name, BTreeMap::new()));
        gone.into_iter().flat_map(|(_, rows)| rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::wire::Flavor;

    #[test]
    fn rows_go_back_to_the_newest_of_that_name() {
        let mut all = Savepoints::default();
        all.count(0, (9, 0, 0));
        all.set("a");
        all.count(0, (1, 0, 0));
        all.set("b");
        all.count(1, (0, 2, 0));
        all.set("A");
        all.set("a");
        all.count(0, (4, 0, 0));
        assert_eq!(all.back_to("none"), []);
        assert_eq!(all.back_to("A"), [(0, (4, 0, 0))]);
        all.count(2, (0, 0, 1));
        assert_eq!(all.back_to("B"), [(1, (0, 2, 0)), (2, (0, 0, 1))]);
        assert_eq!(all.back_to("b"), []);
        assert_eq!(all.back_to("a"), [(0, (1, 0, 0))]);
    }

    #[test]
    fn many_are_not_all_kept() {
        let mut all = Savepoints::default();
        for n in 0..5 * REMEMBERED {
            all.set(&n.to_string());
        }
        assert_eq!(all.0.len(), REMEMBERED);
    }

    #[test]
    fn their_statements() {
        let read = |sql| word(sql, Modes::of(0, Flavor::MariaDb));
        assert_eq!(read("SAVEPOINT `a ``b`"), Some(Word::Set("a `b".to_owned())));
        assert_eq!(read("ROLLBACK TO `x`"), Some(Word::BackTo("x".to_owned())));
        assert_eq!(read("rollback work to savepoint x"), Some(Word::BackTo("x".to_owned())));
        assert_eq!(read("RELEASE SAVEPOINT x"), Some(Word::Release("x".to_owned())));
        assert_eq!(read("SAVEPOINT"), None);
    }
}
