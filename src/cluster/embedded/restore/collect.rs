//! Collecting a log for a restore: of every row of every wanted table, what it is at the end.
//!
//! The last write wins, so only one change a row is kept. What exceeds the memory goes to sorted runs, the
//! largest tables first. A DROP voids everything before it, the base's rows included; a CREATE begins anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::cluster::{ClusterError, ReplayTxn, TableDef};
use crate::model::filter::TableFilter;
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::super::record::{self, Change, Ops, Tip};
use super::spill::{self, RowChange, Run};

/// About how many bytes of changes stay in memory.
pub(super) const MEMORY: usize = 64 << 20;
/// What an entry costs beside its bytes.
const ENTRY: usize = 96;

/// What the log does to one table.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// The table was dropped or created in the log: the base's rows do not count.
    pub(super) void_base: bool,
    /// It does not exist at the end.
    pub(super) dropped: bool,
    /// The definition, when the log created it.
    pub(super) created: Option<TableDef>,
    latest: HashMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    /// Sorted changes that stay in memory; newer than all runs.
    pub(super) sorted: Vec<RowChange>,
    /// Sorted changes on disk, oldest first.
    pub(super) runs: Vec<Run>,
}

impl Life {
    fn void(&mut self) {
        *self = Life {
            void_base: true,
            ..Life::default()
        };
    }

    /// Moves the changes in memory into `sorted`.
    fn sort(&mut self) {
        self.sorted = std::mem::take(&mut self.latest).into_iter().collect();
        self.sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    }
}

/// The lives of all wanted tables.
pub(super) struct Collector {
    filter: TableFilter,
    loaded: BTreeSet<TableName>,
    until: Tso,
    memory: usize,
    dir: PathBuf,
    runs: u64,
    lives: BTreeMap<TableName, Life>,
    bytes: usize,
    last: Option<Tip>,
}

fn bad(why: String) -> ClusterError {
    ClusterError::Malformed {
        what: "the log given to a restore",
        why,
    }
}

impl Collector {
    /// Nothing collected yet; runs go to `dir`. The rows of tables that are loaded already are not wanted.
    pub(super) fn new(filter: TableFilter, loaded: BTreeSet<TableName>, until: Tso, memory: usize, dir: &Path) -> Self {
        Collector {
            filter,
            loaded,
            until,
            memory,
            dir: dir.to_owned(),
            runs: 0,
            lives: BTreeMap::new(),
            bytes: 0,
            last: None,
        }
    }

    /// Takes the next transaction. Giving the last one again changes nothing.
    pub(super) fn take(&mut self, txn: &ReplayTxn<'_>) -> Result<(), ClusterError> {
        let ts = txn.commit.last_tso();
        if ts > self.until {
            return Err(bad(format!(
                "transaction {ts} lies after the moment to restore, {}",
                self.until
            )));
        }
        let parsed = record::parse(txn.payload)?;
        let tip = parsed.tip(ts);
        match self.last {
            Some(last) if last == tip => return Ok(()),
            Some(last) if ts <= last.ts => {
                return Err(bad(format!("transaction {ts} comes after {}, out of order", last.ts)));
            }
            Some(last) if last.hash != parsed.before => {
                return Err(bad(format!(
                    "between transactions {} and {ts} one is missing or was changed",
                    last.ts
                )));
            }
            _ => {}
        }
        self.apply(parsed.change)?;
        self.last = Some(tip);
        if self.bytes > self.memory {
            self.spill()?;
        }
        Ok(())
    }

    fn apply(&mut self, change: Change<'_>) -> Result<(), ClusterError> {
        match change {
            Change::Rows(tables) => {
                for (delta, ops) in tables {
                    if self.filter.matches(&delta.table) && !self.loaded.contains(&delta.table) {
                        self.rows(delta.table, ops)?;
                    }
                }
            }
            Change::Created(def) if self.filter.matches(&def.name) => {
                self.void(&def.name);
                let life = self.lives.entry(def.name.clone()).or_default();
                life.created = Some(def);
            }
            Change::Dropped(name, _) if self.filter.matches(&name) => {
                self.void(&name);
                self.lives.entry(name).or_default().dropped = true;
            }
            Change::Created(_) | Change::Dropped(..) => {}
            Change::Restored => {
                return Err(bad(
                    "it goes across a restore of the cluster; choose a base after that restore".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn void(&mut self, name: &TableName) {
        let life = self.lives.entry(name.clone()).or_default();
        self.bytes -= life.bytes;
        life.void();
    }

    fn rows(&mut self, name: TableName, ops: &[u8]) -> Result<(), ClusterError> {
        let life = self.lives.entry(name).or_default();
        let before = life.bytes;
        let mut ops = Ops::new(ops);
        while let Some((key, value)) = ops.next()? {
            let value_len = value.map_or(0, <[u8]>::len);
            life.bytes += value_len;
            match life.latest.get_mut(key) {
                Some(old) => {
                    life.bytes -= old.as_ref().map_or(0, Vec::len);
                    *old = value.map(<[u8]>::to_vec);
                }
                None => {
                    life.bytes += key.len() + ENTRY;
                    life.latest.insert(key.to_vec(), value.map(<[u8]>::to_vec));
                }
            }
        }
        self.bytes = self.bytes - before + life.bytes;
        Ok(())
    }

    /// Writes the largest tables to runs until half of the memory is free.
    fn spill(&mut self) -> Result<(), ClusterError> {
        while self.bytes > self.memory / 2 {
            let Some(life) = self.lives.values_mut().max_by_key(|l| l.bytes) else {
                return Ok(());
            };
            life.sort();
            self.runs += 1;
            let path = self.dir.join(format!("run-{}", self.runs));
            let sorted = std::mem::take(&mut life.sorted);
            life.runs.push(spill::write(&path, &sorted)?);
            self.bytes -= life.bytes;
            life.bytes = 0;
        }
        Ok(())
    }

    /// No more log: sorts what is in memory and gives the lives.
    pub(super) fn finish(&mut self) -> BTreeMap<TableName, Life> {
        let mut lives = std::mem::take(&mut self.lives);
        lives.values_mut().for_each(Life::sort);
        self.bytes = 0;
        lives
    }
}
