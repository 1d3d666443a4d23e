//! The heavy part of a restore: log and rows into the restorer, then the comparison.

mod small;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::small::Portion;
use super::earlier;
use super::plan::{RestorePlan, TxnRef};
use crate::archive::log::LogReader;
use crate::archive::{Archive, ManifestTable, StoredObject};
use crate::cluster::budget::{Budget, Share};
use crate::cluster::{BatchSource, Capabilities, ReplayTxn, Restorer, Stop, TableDef};
use crate::engine::cx::{JobCx, Meter};
use crate::engine::error::unwrap_stop;
use crate::engine::error::{Doing, EngineError};
use crate::engine::view::{SummaryCache, View};
use crate::model::checksum::TableChecksum;
use crate::model::crash::crash_point;
use crate::model::ids::BackupId;
use crate::model::job::Unit;
use crate::model::log::LogRun;
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::window::{Base, covering_run};

/// Batches that a reader may be ahead of its loader.
const AHEAD: usize = 8;
/// And the bytes of all those batches together: a row may have a GiB.
const IN_MEMORY: usize = 64 << 20;

/// So many tables are created between two looks whether the job was cancelled.
const DEFINED: usize = 200;

/// In the job's memory: the loaded rows were compared with the base.
const COMPARED: &str = "base-compared";

/// What was restored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    pub tables: u64,
    pub sum: TableChecksum,
    pub replayed: u64,
    pub last_in: Option<TxnRef>,
    pub compared: String,
    /// What the driver says of what was left out.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// One load, with everything it needs.
pub(super) struct Load<'a> {
    pub plan: &'a RestorePlan,
    pub until: Moment,
    pub archive: &'a Archive,
    pub restorer: &'a dyn Restorer,
    pub cx: &'a dyn JobCx,
    pub capabilities: Capabilities,
}

impl Load<'_> {
    pub(super) fn run(&self) -> Result<Totals, EngineError> {
        let base = &self.plan.base.id;
        let manifest = self.archive.read_manifest(base)?;
        if !manifest
            .tables
            .iter()
            .all(|t| self.plan.request.filter.matches(&t.name))
        {
            let all: Vec<TableDef> = manifest.tables.iter().map(def).collect();
            self.restorer.know(&all)?;
        }
        let chosen = manifest
            .tables
            .into_iter()
            .filter(|t| self.plan.request.filter.matches(&t.name));
        let tables: BTreeMap<TableName, ManifestTable> = chosen.map(|t| (t.name.clone(), t)).collect();
        self.restorer.define_others(&manifest.definitions)?;
        let meter = self
            .cx
            .step("Create the tables", Unit::Tables, Some(tables.len() as u64));
        let defined = tables.values().map(|table| (def(table), raw_bytes(table)));
        let defined: Vec<_> = defined.collect();
        for some in defined.chunks(DEFINED) {
            self.cx.check()?;
            self.restorer.define_all(some)?;
            meter.add(some.len() as u64);
        }
        drop(defined);
        meter.complete();
        let mut totals = Totals::default();
        if self.capabilities.log_before_load {
            self.replay(&mut totals)?;
            totals.sum = self.load(&tables)?;
            self.compare(&mut totals)?;
        } else {
            self.load_and_compare(&tables)?;
            totals.tables = tables.len() as u64;
            totals.sum = tables.values().map(|t| t.sum).sum();
            self.replay(&mut totals)?;
            self.count(&mut totals)?;
        }
        Ok(totals)
    }

    /// Rows first, compared table by table with the base before the log is applied to them.
    ///
    /// Once the log has begun to change them there is nothing left to compare with, so it is remembered that it was done.
    fn load_and_compare(&self, tables: &BTreeMap<TableName, ManifestTable>) -> Result<(), EngineError> {
        let memory = self.cx.resume_log().load()?;
        if memory.iter().any(|(k, _)| k == COMPARED) && self.all_loaded()? {
            return Ok(());
        }
        self.load(tables)?;
        self.cx.step("Compare checksums", Unit::Tables, None);
        self.cx.check()?;
        let built: BTreeMap<TableName, TableChecksum> = self.restorer.checksums()?.into_iter().collect();
        let rename = &self.plan.request.rename;
        let loaded = self.restorer.tables()?;
        let expected = loaded.iter().map(|name| {
            let sum = tables.get(name).map_or(TableChecksum::default(), |t| t.sum);
            (rename.apply(name), sum)
        });
        compare_tables(&expected.collect(), &built)?;
        self.cx.resume_log().save(COMPARED, &serde_json::json!(built.len()))?;
        crash_point("restore.compared");
        Ok(())
    }

    fn all_loaded(&self) -> Result<bool, EngineError> {
        for name in self.restorer.tables()? {
            if !self.restorer.is_loaded(&name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is there now that the log was applied to it; without a log it is what was compared.
    fn count(&self, totals: &mut Totals) -> Result<(), EngineError> {
        if totals.replayed > 0 {
            self.cx.step("Count the rows", Unit::Tables, None);
            self.cx.check()?;
            let built = self.restorer.counts()?;
            totals.tables = built.len() as u64;
            totals.sum.rows = built.iter().map(|(_, rows)| rows).sum();
        }
        let base = match self.plan.tables.len() {
            1 => "the table of the base, read back after loading, equals its backup's checksum".to_owned(),
            n => format!("the {n} tables of the base, read back after loading, equal their backup's checksums"),
        };
        totals.compared = match totals.replayed {
            0 => base,
            1 => format!("{base}; one transaction was applied to them"),
            n => format!("{base}; {n} transactions were applied to them"),
        };
        Ok(())
    }

    /// Hands the log between base and moment to the restorer.
    fn replay(&self, totals: &mut Totals) -> Result<(), EngineError> {
        let from = self.plan.base.commit;
        if self.until > from {
            let view = View::read(self.archive, &SummaryCache::default())?;
            let base = Base {
                id: self.plan.base.id.clone(),
                commit: from,
                incarnation: self.plan.incarnation,
            };
            let run = covering_run(&base, &view.log.runs)
                .ok_or_else(|| EngineError::Corrupt(format!("no log continues backup {}", base.id)))?;
            let log = self.archive.check_log(run, from, self.until)?;
            for (from, to) in earlier::find(self.archive, run, from)?.spans {
                self.hand_over(run, from, to, true, &mut |_| {})?;
            }
            let meter = self.cx.step("Read the log", Unit::Transactions, Some(log.entries));
            self.hand_over(run, from, self.until, false, &mut |last_in| {
                meter.add(1);
                totals.replayed += 1;
                totals.last_in = Some(last_in);
            })?;
            meter.complete();
        }
        self.restorer.end_of_log()?;
        crash_point("restore.log-staged");
        Ok(())
    }

    /// Hands the transactions of a stretch to the restorer.
    fn hand_over(
        &self,
        run: &LogRun,
        from: Moment,
        until: Moment,
        early: bool,
        done: &mut dyn FnMut(TxnRef),
    ) -> Result<(), EngineError> {
        let mut reader = self.archive.read_log(run, from, until)?;
        while let Some(entry) = reader.next().doing(|| "reading the log".to_owned())? {
            self.cx.check()?;
            let txn = ReplayTxn {
                commit: entry.commit,
                id: &entry.id,
                payload: &entry.payload,
                early,
            };
            let replayed = match entry.pieces {
                0 => self.restorer.replay(&txn),
                _ => {
                    let mut pieces = PieceSource {
                        reader: &mut reader,
                        cx: self.cx,
                    };
                    self.restorer.replay_pieces(&txn, &mut pieces)
                }
            };
            replayed
                .map_err(unwrap_stop)
                .doing(|| format!("replaying transaction {}", entry.id))?;
            done(TxnRef {
                id: entry.id,
                at: entry.commit,
            });
        }
        Ok(())
    }

    /// Loads all tables that exist at the moment; returns the sum over what the base gave.
    fn load(&self, tables: &BTreeMap<TableName, ManifestTable>) -> Result<TableChecksum, EngineError> {
        let mut names = self.restorer.tables()?;
        // The largest first: one that comes last would be loaded alone.
        names.sort_by_key(|n| std::cmp::Reverse(tables.get(n).map_or(0, raw_bytes)));
        let bytes = names.iter().filter_map(|n| tables.get(n)).map(raw_bytes).sum();
        let meter = self.cx.step("Load rows", Unit::Bytes, Some(bytes));
        let next = AtomicUsize::new(0);
        let error: Mutex<Option<EngineError>> = Mutex::new(None);
        let written = Mutex::new(TableChecksum::default());
        let budget = Budget::new(IN_MEMORY);
        let known: BTreeMap<String, serde_json::Value> = self.cx.resume_log().load()?.into_iter().collect();
        let portions = small::portions(self.restorer, &names, tables)?;
        let workers = self.restorer.loaders().min(portions.len().max(1));
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while error.lock().is_none()
                        && let Some(portion) = portions.get(next.fetch_add(1, Ordering::SeqCst))
                    {
                        match self.load_guarded(portion, tables, &known, &meter, &budget) {
                            Ok(sum) => {
                                let mut total = written.lock();
                                *total = *total + sum;
                            }
                            Err(e) => {
                                error.lock().get_or_insert(e);
                            }
                        }
                    }
                });
            }
        });
        match error.into_inner() {
            Some(e) => Err(e),
            None => Ok(written.into_inner()),
        }
    }

    /// A panic must not take the whole restore with it: what was built is still to be given up, and the target to be opened.
    fn load_guarded(
        &self,
        portion: &Portion<'_>,
        tables: &BTreeMap<TableName, ManifestTable>,
        known: &BTreeMap<String, serde_json::Value>,
        meter: &Meter,
        budget: &Budget,
    ) -> Result<TableChecksum, EngineError> {
        let loaded = catch_unwind(AssertUnwindSafe(|| match portion {
            Portion::One(name) => self.load_table(name, tables.get(*name), known, meter, budget),
            Portion::Small(some) => self.load_small(some, meter),
        }));
        loaded.unwrap_or_else(|_| {
            let what = match portion {
                Portion::One(name) => name.to_string(),
                Portion::Small(some) => format!("{} small tables", some.len()),
            };
            Err(EngineError::Corrupt(format!(
                "loading {what} stopped at an error in brine itself; please report it"
            )))
        })
    }

    fn load_table(
        &self,
        name: &TableName,
        table: Option<&ManifestTable>,
        known: &BTreeMap<String, serde_json::Value>,
        meter: &Meter,
        budget: &Budget,
    ) -> Result<TableChecksum, EngineError> {
        let key = format!("loaded/{name}");
        if self.restorer.is_loaded(name)? {
            // Where all of it is read back, what was written need not be remembered.
            if !self.capabilities.log_before_load {
                meter.add(table.map_or(0, raw_bytes));
                return Ok(table.map_or(TableChecksum::default(), |t| t.sum));
            }
            let known = known.get(&key).and_then(|v| serde_json::from_value(v.clone()).ok());
            if let Some(sum) = known {
                meter.add(table.map_or(0, raw_bytes));
                return Ok(sum);
            }
        }
        let objects: Vec<&StoredObject> = table.iter().flat_map(|t| &t.chunks).map(|c| &c.object).collect();
        let loaded = std::thread::scope(|scope| {
            let (give, take) = bounded(AHEAD);
            scope.spawn(move || self.read_objects(&self.plan.base.id, &objects, budget, &give));
            let mut source = Source {
                take,
                share: None,
                cx: self.cx,
                meter,
            };
            self.restorer.load(name, &mut source)
        });
        let loaded = loaded.map_err(unwrap_stop).doing(|| format!("loading {name}"))?;
        let expected = table.map_or(TableChecksum::default(), |t| t.sum);
        if loaded.sum != expected {
            return Err(mismatch(
                name,
                "the manifest",
                expected,
                "the backup's rows",
                loaded.sum,
            ));
        }
        crash_point("restore.table-loaded");
        if self.capabilities.log_before_load {
            self.cx.resume_log().save(&key, &serde_json::json!(loaded.written))?;
        }
        Ok(loaded.written)
    }

    /// Reads and decompresses ahead of the loader; ends quietly when the loader has gone.
    fn read_objects<'b>(
        &self,
        id: &BackupId,
        objects: &[&StoredObject],
        budget: &'b Budget,
        give: &Sender<Result<(Vec<u8>, Share<'b>), EngineError>>,
    ) {
        for object in objects {
            let read = self
                .archive
                .data_reader(id, object)
                .map_err(EngineError::from)
                .and_then(|mut reader| {
                    while let Some(batch) = reader.next()? {
                        let share = budget.take(batch.len());
                        if give.send(Ok((batch, share))).is_err() {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                });
            match read {
                Ok(true) => {}
                Ok(false) => return,
                Err(e) => {
                    // The loader takes the error as its own; when it has gone, nobody wants it.
                    drop(give.send(Err(e)));
                    return;
                }
            }
        }
    }

    /// Reads back what was built and compares it with what was written.
    fn compare(&self, totals: &mut Totals) -> Result<(), EngineError> {
        self.cx.step("Compare checksums", Unit::Tables, None);
        self.cx.check()?;
        let built = self.restorer.checksums()?;
        totals.tables = built.len() as u64;
        let read_back: TableChecksum = built.iter().map(|(_, s)| *s).sum();
        let all = TableName::new("all", "tables");
        if read_back != totals.sum {
            return Err(mismatch(
                &all,
                "what was written",
                totals.sum,
                "what was read back",
                read_back,
            ));
        }
        if totals.replayed == 0 {
            for table in &self.plan.tables {
                let found = built
                    .iter()
                    .find(|(n, _)| *n == table.target)
                    .map(|(_, s)| *s)
                    .unwrap_or_default();
                if (found.rows, found.bytes) != (table.rows, table.bytes) {
                    return Err(EngineError::Corrupt(format!(
                        "{} has {} rows, its backup {}",
                        table.target, found.rows, table.rows
                    )));
                }
            }
        }
        let tables = match built.len() {
            1 => "one table".to_owned(),
            n => format!("{n} tables"),
        };
        totals.compared = match totals.replayed {
            0 => format!("read back, the checksums of {tables} equal the backup's"),
            _ => format!("the base's rows equal its manifest; {tables}, read back, equal what was written"),
        };
        Ok(())
    }
}

/// Table by table: the same tables, and in each the same rows.
fn compare_tables(
    expected: &BTreeMap<TableName, TableChecksum>,
    built: &BTreeMap<TableName, TableChecksum>,
) -> Result<(), EngineError> {
    for (name, sum) in expected {
        let found = built
            .get(name)
            .ok_or_else(|| EngineError::Corrupt(format!("{name} was loaded, and is not there when it is read back")))?;
        if found != sum {
            return Err(mismatch(name, "the manifest", *sum, "what was read back", *found));
        }
    }
    match built.keys().find(|name| !expected.contains_key(*name)) {
        Some(stray) => Err(EngineError::Corrupt(format!(
            "{stray} was built, and is not in the base"
        ))),
        None => Ok(()),
    }
}

/// As drivers take it.
pub(super) fn def(table: &ManifestTable) -> TableDef {
    TableDef {
        name: table.name.clone(),
        schema: table.schema.clone(),
        system: table.system,
    }
}

/// Bytes of a table's records as they are read: what the step counts.
fn raw_bytes(table: &ManifestTable) -> u64 {
    table.chunks.iter().map(|c| c.object.raw_bytes).sum()
}

fn mismatch(
    name: &TableName,
    expected_of: &'static str,
    expected: TableChecksum,
    found_of: &'static str,
    found: TableChecksum,
) -> EngineError {
    EngineError::Mismatch {
        table: name.to_string(),
        expected_of,
        expected: expected.to_string(),
        found_of,
        found: found.to_string(),
    }
}

/// The pieces of the transaction that the reader gave last.
struct PieceSource<'a> {
    reader: &'a mut LogReader,
    cx: &'a dyn JobCx,
}

impl BatchSource for PieceSource<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        self.cx.check().map_err(|e| Stop(Box::new(EngineError::from(e))))?;
        let piece = self.reader.next_piece();
        piece.map_err(|e| Stop(Box::new(EngineError::from(e))))
    }
}

struct Source<'a> {
    take: Receiver<Result<(Vec<u8>, Share<'a>), EngineError>>,
    /// That of the batch that was given last.
    share: Option<Share<'a>>,
    cx: &'a dyn JobCx,
    meter: &'a Meter,
}

impl BatchSource for Source<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        self.cx.check().map_err(|e| Stop(Box::new(EngineError::from(e))))?;
        self.share = None;
        match self.take.recv() {
            Ok(Ok((batch, share))) => {
                self.share = Some(share);
                self.meter.add(batch.len() as u64);
                Ok(Some(batch))
            }
            Ok(Err(e)) => Err(Stop(Box::new(e))),
            // The reader has gone after its last batch.
            Err(_) => Ok(None),
        }
    }
}
