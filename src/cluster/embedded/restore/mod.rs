//! Restoring: new generations of tables are built beside the live ones and put in place in one batch.
//!
//! The log is collected first; then each table is loaded in one sorted pass that merges its base rows with
//! the changes. What is built is remembered under the ask's id: after a crash, finished tables are not
//! loaded again, while the log is given and collected again. Nothing is visible before `publish`, whose
//! single batch switches the catalog, records the restore in the change log and marks the restore as done.
//!
//! A `Whole` restore drops the tables that it does not bring, but never system tables that the filter left out.

mod collect;
mod merge;
mod spill;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::cluster::{
    BatchSource, ClusterError, Loaded, Mark, ReplayTxn, RestoreAsk, RestoreScope, Restorer, TableDef,
};
use crate::model::checksum::TableChecksum;
use crate::model::clock::Millis;
use crate::model::crash::crash_point;
use crate::model::table::TableName;
use crate::model::tso::Tso;

use self::collect::{Collector, Life};
use self::merge::Merged;
use super::catalog::TableInfo;
use super::core::{Core, mark_at};
use super::parallel::each;
use super::scan::{self, Scan};
use super::session::check_name;
use super::store::{Batch, Space, Store, failed};
use super::{keys, record};

const KEY: &str = "restore/";
/// How long an unfinished restore is kept.
const KEPT_MS: i64 = 7 * Millis::DAY;

/// A table that was built.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Built {
    id: u64,
    /// What the source gave.
    base: TableChecksum,
    /// What came out.
    rows: TableChecksum,
}

/// What is remembered of a restore.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Staged {
    ask: RestoreAsk,
    started: Millis,
    built: BTreeMap<TableName, Built>,
    published: Option<Tso>,
}

/// Where a restore is.
enum Phase {
    Collecting(Box<Collector>),
    Loading(Arc<BTreeMap<TableName, Life>>),
}

/// That a restore is being worked on: two at once would mix their files.
struct Working {
    core: Arc<Core>,
    name: String,
}

impl Working {
    fn begin(core: &Arc<Core>, name: &str) -> Result<Working, ClusterError> {
        if !core.restores.lock().insert(name.to_owned()) {
            return Err(bad("it is being worked on already"));
        }
        Ok(Working {
            core: core.clone(),
            name: name.to_owned(),
        })
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.core.restores.lock().remove(&self.name);
    }
}

/// A restore in progress.
pub(super) struct Restore {
    core: Arc<Core>,
    _working: Working,
    name: String,
    spill: PathBuf,
    staged: Mutex<Staged>,
    phase: Mutex<Phase>,
    defined: Mutex<BTreeMap<TableName, TableDef>>,
}

fn bad(why: impl Into<String>) -> ClusterError {
    ClusterError::Malformed {
        what: "a restore",
        why: why.into(),
    }
}

fn save(batch: &mut Batch<'_>, name: &str, staged: &Staged) -> Result<(), ClusterError> {
    let text = serde_json::to_vec(staged).map_err(failed("writing a restore's progress"))?;
    batch.put(Space::Meta, format!("{KEY}{name}").as_bytes(), text);
    Ok(())
}

/// All restores that are remembered.
fn load_all(store: &Store) -> Result<Vec<(String, Staged)>, ClusterError> {
    let (from, to) = (KEY.as_bytes().to_vec(), b"restore0".to_vec());
    let mut pairs = store.range(Space::Meta, Bound::Included(from), Bound::Excluded(to));
    let mut all = Vec::new();
    while let Some((key, value)) = pairs.next()? {
        let name = String::from_utf8_lossy(key.get(KEY.len()..).unwrap_or_default()).into_owned();
        let staged = serde_json::from_slice(&value).map_err(|e| bad(format!("its progress cannot be read: {e}")))?;
        all.push((name, staged));
    }
    Ok(all)
}

/// Forgets old restores; returns the table generations that others still build on.
pub(super) fn clean(store: &Store, now: Millis) -> Result<BTreeSet<u64>, ClusterError> {
    let mut ids = BTreeSet::new();
    for (name, staged) in load_all(store)? {
        if now.since(staged.started) > KEPT_MS {
            let mut batch = store.batch();
            batch.remove(Space::Meta, format!("{KEY}{name}").as_bytes());
            batch.commit()?;
        } else {
            ids.extend(staged.built.values().map(|b| b.id));
        }
    }
    Ok(ids)
}

/// Starts a restore, or goes on with the one of that id.
pub(super) fn open(core: &Arc<Core>, ask: &RestoreAsk, memory: Option<usize>) -> Result<Restore, ClusterError> {
    // The id comes from outside and names a directory.
    let name = format!("{:032x}", xxh3_128(ask.id.as_bytes()));
    let working = Working::begin(core, &name)?;
    let known = load_all(&core.store)?.into_iter().find(|(n, _)| *n == name);
    let staged = match known {
        Some((_, staged)) if staged.ask == *ask => staged,
        Some(_) => return Err(bad("another restore has the same id but asks for something else")),
        None => {
            let staged = Staged {
                ask: ask.clone(),
                started: core.clock.now(),
                built: BTreeMap::new(),
                published: None,
            };
            let mut batch = core.store.batch();
            save(&mut batch, &name, &staged)?;
            batch.commit()?;
            staged
        }
    };
    let spill = core.dir.join("spill").join(&name);
    empty_dir(&spill)?;
    let loaded = staged.built.keys().cloned().collect();
    let memory = memory.unwrap_or(collect::MEMORY);
    let collector = Collector::new(ask.filter.clone(), loaded, ask.until.last_tso(), memory, &spill);
    Ok(Restore {
        core: core.clone(),
        _working: working,
        name,
        spill,
        staged: Mutex::new(staged),
        phase: Mutex::new(Phase::Collecting(Box::new(collector))),
        defined: Mutex::default(),
    })
}

fn empty_dir(dir: &PathBuf) -> Result<(), ClusterError> {
    let doing = || failed(format!("preparing {}", dir.display()));
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(doing()(e)),
        _ => {}
    }
    super::private_dir(dir).map_err(doing())
}

impl Restore {
    fn lives(&self) -> Result<Arc<BTreeMap<TableName, Life>>, ClusterError> {
        match &*self.phase.lock() {
            Phase::Loading(lives) => Ok(lives.clone()),
            Phase::Collecting(_) => Err(bad("the end of the log must be told before tables are loaded")),
        }
    }

    fn wants(&self, name: &TableName) -> bool {
        self.staged.lock().ask.filter.matches(name)
    }

    /// The tables at the restored moment, by their names at the source.
    fn definitions(&self) -> Result<BTreeMap<TableName, TableDef>, ClusterError> {
        let lives = self.lives()?;
        let mut tables = self.defined.lock().clone();
        for (name, life) in lives.iter() {
            if life.dropped {
                tables.remove(name);
            } else if let Some(def) = &life.created {
                tables.insert(name.clone(), def.clone());
            } else if !tables.contains_key(name) {
                return Err(bad(format!(
                    "the log changes rows of {name}, which neither the base nor the log creates"
                )));
            }
        }
        Ok(tables)
    }

    /// Source names with target names; an error when two would become one.
    fn targets(&self) -> Result<Vec<(TableName, TableDef)>, ClusterError> {
        let rename = self.staged.lock().ask.rename.clone();
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        for (source, def) in self.definitions()? {
            let target = rename.apply(&source);
            check_name(&target)?;
            if !seen.insert(target.clone()) {
                return Err(bad(format!("two tables would be restored as {target}")));
            }
            let system = def.system && target == source;
            out.push((
                source,
                TableDef {
                    name: target,
                    system,
                    ..def
                },
            ));
        }
        Ok(out)
    }

    fn built(&self, source: &TableName) -> Result<Built, ClusterError> {
        let built = self.staged.lock().built.get(source).cloned();
        built.ok_or_else(|| bad(format!("table {source} was not loaded")))
    }

    /// Builds the rows of a new generation.
    fn build(&self, id: u64, life: Option<&Life>, source: &mut dyn BatchSource) -> Result<Built, ClusterError> {
        let mut merged = Merged::new(source, life)?;
        let mut sum = TableChecksum::default();
        self.core.store.rows(id)?.ingest(|| {
            let Some((key, stored)) = merged.next()? else {
                return Ok(None);
            };
            sum.add_row(&key, scan::value(&stored)?.unwrap_or_default());
            Ok(Some((keys::stored(&key, Tso::ZERO), stored)))
        })?;
        Ok(Built {
            id,
            base: merged.base_sum(),
            rows: sum,
        })
    }

    fn remember(&self, source: &TableName, built: Built) -> Result<(), ClusterError> {
        let mut staged = self.staged.lock();
        let mut next = staged.clone();
        next.built.insert(source.clone(), built);
        let mut batch = self.core.store.batch();
        save(&mut batch, &self.name, &next)?;
        batch.commit()?;
        *staged = next;
        Ok(())
    }
}

impl Restorer for Restore {
    fn define(&self, table: &TableDef) -> Result<(), ClusterError> {
        if self.wants(&table.name) {
            self.defined.lock().insert(table.name.clone(), table.clone());
        }
        Ok(())
    }

    fn is_loaded(&self, table: &TableName) -> Result<bool, ClusterError> {
        Ok(self.staged.lock().built.contains_key(table))
    }

    fn replay(&self, txn: &ReplayTxn<'_>) -> Result<(), ClusterError> {
        match &mut *self.phase.lock() {
            Phase::Collecting(_) if txn.early => Ok(()),
            Phase::Collecting(collector) => collector.take(txn),
            Phase::Loading(_) => Err(bad("log was given after its end was told")),
        }
    }

    fn end_of_log(&self) -> Result<(), ClusterError> {
        let mut phase = self.phase.lock();
        if let Phase::Collecting(collector) = &mut *phase {
            let lives = collector.finish();
            *phase = Phase::Loading(Arc::new(lives));
        }
        drop(phase);
        self.targets().map(|_| ())
    }

    fn load(&self, table: &TableName, source: &mut dyn BatchSource) -> Result<Loaded, ClusterError> {
        if let Some(built) = self.staged.lock().built.get(table) {
            return Ok(Loaded {
                sum: built.base,
                written: built.rows,
            });
        }
        let lives = self.lives()?;
        if !self.definitions()?.contains_key(table) {
            return Err(ClusterError::NoTable(table.clone()));
        }
        let (id, _) = self.core.store.create_rows()?;
        crash_point("embedded.restore.files-made");
        let built = match self.build(id, lives.get(table), source) {
            Ok(built) => built,
            Err(e) => {
                self.core.store.delete_rows(id)?;
                return Err(e);
            }
        };
        crash_point("embedded.restore.table-built");
        let (sum, written) = (built.base, built.rows);
        self.core.estimates.counted(id, &written);
        self.remember(table, built)?;
        crash_point("embedded.restore.table-remembered");
        Ok(Loaded { sum, written })
    }

    fn tables(&self) -> Result<Vec<TableName>, ClusterError> {
        Ok(self.definitions()?.into_keys().collect())
    }

    fn checksums(&self) -> Result<Vec<(TableName, TableChecksum)>, ClusterError> {
        let targets = self.targets()?;
        let mut sums = each(&targets, |(source, def)| {
            let rows = self.core.store.rows(self.built(source)?.id)?;
            Ok((def.name.clone(), Scan::all(&rows, Tso::ZERO).checksum()?))
        })?;
        sums.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(sums)
    }

    fn published(&self) -> Result<Option<Mark>, ClusterError> {
        Ok(self.staged.lock().published.map(mark_at))
    }

    fn publish(&self) -> Result<Mark, ClusterError> {
        let mut staged = self.staged.lock().clone();
        if let Some(ts) = staged.published {
            return Ok(mark_at(ts));
        }
        let mut entries = Vec::new();
        for (source, def) in self.targets()? {
            let info = TableInfo {
                id: self.built(&source)?.id,
                schema: def.schema,
                system: def.system,
            };
            entries.push((def.name, Some(Arc::new(info))));
        }
        let placed: BTreeSet<TableName> = entries.iter().map(|(name, _)| name.clone()).collect();
        let mut exclusive = self.core.exclusive()?;
        if staged.ask.spares {
            let there = self.core.catalog.read().tables(Tso::MAX);
            if let Some((name, _)) = there.into_iter().find(|(name, _)| placed.contains(name)) {
                return Err(ClusterError::TableExists(name));
            }
        }
        let mut dropped = Vec::new();
        let meant = |name: &TableName| match staged.ask.scope {
            RestoreScope::Whole => true,
            RestoreScope::Exactly => staged.ask.filter.matches(name),
            RestoreScope::Tables => false,
        };
        if staged.ask.scope != RestoreScope::Tables {
            let tables = self.core.catalog.read().tables(Tso::MAX);
            let others = tables
                .into_iter()
                .filter(|(n, i)| !i.system && !placed.contains(n) && meant(n));
            dropped.extend(others.map(|(name, _)| name));
        }
        entries.extend(dropped.iter().map(|name| (name.clone(), None)));
        let placed: Vec<TableName> = placed.into_iter().collect();
        let ts = exclusive.allocate()?;
        staged.published = Some(ts);
        crash_point("embedded.restore.before-publish");
        let body = record::restored_body(&placed, &dropped);
        exclusive.write_change(ts, &body, entries, |batch| save(batch, &self.name, &staged))?;
        crash_point("embedded.restore.published");
        let tip = exclusive.tip();
        drop(exclusive);
        *self.staged.lock() = staged;
        // It only lags behind then, which is its safe side; the switch itself is durable.
        let _ = self.core.guard.lock().write(tip);
        Ok(mark_at(ts))
    }

    fn abandon(&self) -> Result<(), ClusterError> {
        let mut staged = self.staged.lock();
        let mut batch = self.core.store.batch();
        batch.remove(Space::Meta, format!("{KEY}{}", self.name).as_bytes());
        batch.commit()?;
        crash_point("embedded.restore.abandoned");
        let built = std::mem::take(&mut staged.built);
        if staged.published.is_none() {
            for table in built.values() {
                self.core.store.delete_rows(table.id)?;
                self.core.estimates.forget(table.id);
            }
        }
        Ok(())
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // What stays behind is emptied by the next restore of this id, and removed when the cluster is opened.
        let _ = fs::remove_dir_all(&self.spill);
    }
}
