//! The restorer: what is asked of it, step by step, and what it remembers.

mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::cluster::mysql::before;
use crate::cluster::mysql::core::Core;
use crate::cluster::mysql::fence;
use crate::cluster::mysql::schema::history;
use crate::cluster::mysql::schema::table::TableSchema;
use crate::cluster::mysql::sessions;
use crate::cluster::mysql::text::ident;
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{BatchSource, ClusterError, Loaded, Mark, ReplayTxn, RestoreAsk, Restorer, TableDef};
use crate::model::checksum::TableChecksum;
use crate::model::crash::crash_point;
use crate::model::definition::Definition;
use crate::model::table::TableName;

use super::cascades::{self, Edge};
use super::computed::{self, Begins};
use super::links::sequence_columns;
use super::names::{Shadows, wanted};
use super::publish::{self, Switch};
use super::replay::absent::Absent;
use super::replay::{Collected, Replay};
use super::session::Pool;
use super::state::{self, Filled, KnownTable, Memory, Phase};
use super::steps::Switching;
use super::together;
use super::waiting::Waiting;
use super::{back, linking, load, merges, outside, own_directories, read_back, session};

/// How long another restore may take to let go of the server: one that just died.
const LOCK_WAIT_SECONDS: u32 = 10;

/// What changes while it is worked on.
pub(super) struct Inner {
    pub memory: Memory,
    pub shadows: Shadows,
    pub known: BTreeMap<TableName, KnownTable>,
    pub definitions: Vec<Definition>,
    /// The foreign keys of the whole base.
    edges: Vec<Edge>,
    /// Where sessions of the source begin, once that was asked for.
    pub begins: Option<Begins>,
    /// All log has been given.
    ended: bool,
    /// What the log held besides rows.
    collected: Collected,
}

/// A restore in progress.
pub(super) struct Building {
    core: Arc<Core>,
    pub(super) ask: RestoreAsk,
    pub(super) pool: Pool,
    pub(super) inner: Mutex<Inner>,
    replay: Mutex<Option<Replay>>,
    waiting: Waiting,
    /// The switch has begun: no statement may be ended from outside any more.
    switches: AtomicBool,
    /// The server was found fit in this run.
    ready: AtomicBool,
    /// Holds the server's lock on restores for as long as it lives.
    _lock: Mutex<Conn>,
}

fn unknown(name: &TableName) -> ClusterError {
    ClusterError::Malformed {
        what: "a restore",
        why: format!("{name} was not defined"),
    }
}

impl Building {
    /// Begins it, or goes on with the one of that id.
    pub fn open(core: &Arc<Core>, ask: &RestoreAsk) -> Result<Building, ClusterError> {
        let mut conn = session::connect(core)?;
        let taken = conn
            .row(&format!("SELECT GET_LOCK('brine restore', {LOCK_WAIT_SECONDS})"))
            .map_err(|e| e.doing("locking the server for a restore"))?;
        if taken.is_none_or(|r| r.number(0) != 1) {
            return Err(ClusterError::Unsupported {
                what: "another restore is writing this server".to_owned(),
                hint: "wait for it, or cancel it".to_owned(),
            });
        }
        sessions::end_dead_restore(&mut conn)?;
        state::make_tables(&mut conn)?;
        let mut memory = match Memory::find(&mut conn, ask)? {
            Some(memory) if memory.phase == Phase::Abandoning => {
                let prefix = state::shadows(&mut conn, memory.number)?.prefix();
                back::throw_away(&mut conn, memory.number, &prefix)?;
                Memory::begin(&mut conn, ask)?
            }
            Some(memory) => memory,
            None => Memory::begin(&mut conn, ask)?,
        };
        if memory.phase == Phase::Replaying && state::is_torn(&mut conn, memory.number)? {
            back::start_again(&mut conn, memory.number)?;
            memory.phase = Phase::Loading;
        }
        let is_switching = memory.phase >= Phase::Switching;
        let shadows = state::shadows(&mut conn, memory.number)?;
        let known = state::tables(&mut conn, memory.number)?
            .into_iter()
            .map(|t| (t.name.clone(), t))
            .collect();
        let pool = Pool::beside(core, &mut conn)?;
        Ok(Building {
            core: core.clone(),
            ask: ask.clone(),
            pool,
            inner: Mutex::new(Inner {
                memory,
                shadows,
                known,
                definitions: Vec::new(),
                edges: Vec::new(),
                begins: None,
                ended: false,
                collected: Collected::default(),
            }),
            replay: Mutex::new(None),
            waiting: Waiting::default(),
            switches: AtomicBool::new(is_switching),
            ready: AtomicBool::new(false),
            _lock: Mutex::new(conn),
        })
    }

    /// Looks whether the server is fit to be built in, once a run. Not a part of opening: what was built must be thrown away
    /// from a server that is not fit (any more), or it would stay closed with it.
    fn make_ready(&self) -> Result<(), ClusterError> {
        if self.phase() >= Phase::Switching || self.ready.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.pool.with(|conn| {
            before::alone(conn)?;
            session::exact(conn)?;
            // It may have been restarted since it was closed.
            fence::hold(conn)
        })?;
        self.ready.store(true, Ordering::SeqCst);
        Ok(())
    }

    pub(super) fn number(&self) -> u64 {
        self.inner.lock().memory.number
    }

    pub(super) fn phase(&self) -> Phase {
        self.inner.lock().memory.phase
    }

    /// Where a table of the source is built.
    pub(super) fn place(&self, name: &TableName) -> Result<TableName, ClusterError> {
        self.inner.lock().shadows.place(name).ok_or_else(|| unknown(name))
    }

    pub(super) fn schema(&self, name: &TableName) -> Option<TableSchema> {
        self.inner.lock().known.get(name).map(|k| k.schema.clone())
    }

    /// The database in which a database of the source is built, made where it is not there.
    pub(super) fn shadow(&self, conn: &mut Conn, inner: &mut Inner, db: &str) -> Result<String, ClusterError> {
        let shadow = match inner.shadows.shadow(db) {
            Some(shadow) => shadow.to_owned(),
            None => {
                let shadow = inner.shadows.next();
                state::add_shadow(conn, inner.memory.number, db, &shadow)?;
                inner.shadows.of.insert(db.to_owned(), shadow.clone());
                shadow
            }
        };
        // A table that the log creates takes its character set from its database.
        let options = publish::options_of(&inner.definitions, db)?;
        conn.run(&format!("CREATE DATABASE IF NOT EXISTS {}{options}", ident(&shadow)))
            .map_err(|e| e.doing(format!("making the database {shadow}")))?;
        Ok(shadow)
    }

    fn set_filled(&self, conn: &mut Conn, name: &TableName, filled: Filled) -> Result<(), ClusterError> {
        let mut inner = self.inner.lock();
        state::set_filled(conn, inner.memory.number, name, filled)?;
        if let Some(known) = inner.known.get_mut(name) {
            known.filled = filled;
        }
        Ok(())
    }

    /// Adds the foreign keys between the tables that are restored, and defaults from sequences. Foreign keys must be there
    /// before the log: what a cascade does is not in it. Once the log has begun, it says which there are.
    fn link(&self) -> Result<(), ClusterError> {
        if self.phase() > Phase::Loading {
            return Ok(());
        }
        self.pool.with(|conn| {
            let (shadows, known) = {
                let mut inner = self.inner.lock();
                let others = linking::other_sequences(&inner.known)?;
                for sequence in &others {
                    self.shadow(conn, &mut inner, &sequence.db)?;
                    linking::stand_in(conn, &inner.shadows, sequence)?;
                }
                (inner.shadows.clone(), inner.known.clone())
            };
            state::set_links(conn, shadows.number, &outside::of_base(known.values())?)?;
            linking::link(conn, &shadows, &known)?;
            merges::link(conn, &shadows, known.values())
        })
    }

    fn begin_replay(&self) -> Result<Replay, ClusterError> {
        self.link()?;
        let zone = computed::of_lanes(self)?;
        let mut inner = self.inner.lock();
        self.pool
            .with(|conn| state::set_phase(conn, inner.memory.number, Phase::Replaying))?;
        inner.memory.phase = Phase::Replaying;
        crash_point("mysql.restore.replay-begun");
        Replay::begin(
            &self.pool,
            &self.ask,
            &inner.shadows,
            &inner.known,
            &inner.definitions,
            &inner.edges,
            zone.as_deref(),
        )
    }

    /// The tables as they are built now, by their names at the source, with their definitions.
    fn built(&self) -> Result<Vec<(TableName, TableSchema)>, ClusterError> {
        let shadows = self.inner.lock().shadows.clone();
        let mut out = Vec::new();
        self.pool.with(|conn| {
            for (db, shadow) in &shadows.of {
                let schemas = read_back::schemas(conn, shadow)?;
                let named = schemas.into_iter().map(|(n, s)| (TableName::new(db, n.table), s));
                // Sequences may stand in for others.
                out.extend(named.filter(|(name, _)| wanted(&self.ask, name)));
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// The checksums as they were before the log.
    fn loaded_sums(&self) -> Option<Vec<(TableName, TableChecksum)>> {
        let inner = self.inner.lock();
        let sum = |k: &KnownTable| Some((self.ask.rename.apply(&k.name), k.sum?));
        inner.known.values().map(sum).collect()
    }

    fn read_sums(&self, tables: &[(TableName, TableSchema)]) -> Result<Vec<TableChecksum>, ClusterError> {
        read_back::sums(&self.pool, &self.placed(tables)?)
    }

    /// Tables by the names under which they are built.
    fn placed(&self, tables: &[(TableName, TableSchema)]) -> Result<Vec<(TableName, TableSchema)>, ClusterError> {
        let place = |(name, schema): &(TableName, TableSchema)| Ok((self.place(name)?, schema.clone()));
        tables.iter().map(place).collect()
    }

    /// Does the steps of the switch that are left.
    fn finish_switch(&self) -> Result<Mark, ClusterError> {
        let (n, mut remarks) = {
            let inner = self.inner.lock();
            (inner.memory.number, inner.memory.remarks.clone())
        };
        let mut conn = self.pool.take()?;
        let mut switching = Switching {
            core: &self.core,
            conn: &mut conn,
            n,
            id: &self.ask.id,
            remarks: &mut remarks,
            waiting: &self.waiting,
        };
        // It may have been restarted since, and somebody may have come in.
        if let Err(e) = fence::hold(switching.conn).and_then(|()| switching.run()) {
            return Err(self.undo_switch(e));
        }
        let memory = Memory::find(&mut conn, &self.ask)?;
        let mark = memory.and_then(|m| m.mark).ok_or_else(|| ClusterError::Malformed {
            what: "a restore",
            why: "it was switched over without a mark".to_owned(),
        })?;
        state::set_phase(&mut conn, n, Phase::Done)?;
        crash_point("mysql.restore.done");
        state::forget_details(&mut conn, n)?;
        self.pool.give(conn);
        let mut inner = self.inner.lock();
        inner.memory.phase = Phase::Done;
        inner.memory.remarks = remarks;
        inner.memory.mark = Some(mark.clone());
        self.core.forget_estimates();
        Ok(mark)
    }
}

impl Restorer for Building {
    fn define(&self, table: &TableDef) -> Result<(), ClusterError> {
        // Nobody knows how many rows will come.
        self.define_all(&[(table.clone(), u64::MAX)])
    }

    fn define_all(&self, tables: &[(TableDef, u64)]) -> Result<(), ClusterError> {
        self.make_ready()?;
        together::define(self, tables)
    }

    fn define_others(&self, definitions: &[Definition]) -> Result<(), ClusterError> {
        self.make_ready()?;
        self.inner.lock().definitions = definitions.to_vec();
        self.pool.begin_with(computed::settings(definitions)?);
        Ok(())
    }

    fn know(&self, tables: &[TableDef]) -> Result<(), ClusterError> {
        self.inner.lock().edges = cascades::edges(tables)?;
        Ok(())
    }

    fn is_loaded(&self, table: &TableName) -> Result<bool, ClusterError> {
        let inner = self.inner.lock();
        let whole = inner.known.get(table).is_some_and(|k| k.filled == Filled::Whole);
        Ok(whole || inner.memory.phase > Phase::Loading)
    }

    fn replay(&self, txn: &ReplayTxn<'_>) -> Result<(), ClusterError> {
        let mut replay = self.replay.lock();
        let replay = match &mut *replay {
            Some(replay) => replay,
            none => none.insert(self.begin_replay()?),
        };
        replay.take(txn)
    }

    fn replay_pieces(&self, txn: &ReplayTxn<'_>, pieces: &mut dyn BatchSource) -> Result<(), ClusterError> {
        let mut replay = self.replay.lock();
        let replay = match &mut *replay {
            Some(replay) => replay,
            none => none.insert(self.begin_replay()?),
        };
        replay.take_pieces(txn, pieces)
    }

    fn end_of_log(&self) -> Result<(), ClusterError> {
        // Before the log's own definitions take the place of the base's.
        let mut said = computed::of(self)?;
        said.extend(own_directories::of(self)?);
        match self.replay.lock().take() {
            Some(replay) => {
                let collected = replay.end()?;
                let mut inner = self.inner.lock();
                inner.shadows = collected.shadows.clone();
                inner.definitions.clone_from(&collected.definitions);
                inner.collected = collected;
            }
            None => {
                self.link()?;
                let mut inner = self.inner.lock();
                inner.collected.remarks = Absent::of_base(&inner.definitions, &self.ask).remarks();
            }
        }
        let mut inner = self.inner.lock();
        inner.collected.remarks.extend(said);
        inner.ended = true;
        drop(inner);
        crash_point("mysql.restore.log-in");
        Ok(())
    }

    fn load(&self, name: &TableName, source: &mut dyn BatchSource) -> Result<Loaded, ClusterError> {
        let Some(schema) = self.schema(name).filter(|_| self.phase() == Phase::Loading) else {
            // The log is in already, in part: what the base held was loaded before.
            return load::drain(source);
        };
        // Before the table is made: all that begin at once shall count, before one of them takes more writers.
        let seat = self.pool.seat();
        let place = self.place(name)?;
        let begun = self.inner.lock().known.get(name).map(|k| k.filled);
        self.pool.with(|conn| {
            if begun != Some(Filled::No) {
                load::recreate(conn, &schema, &place)?;
            }
            self.set_filled(conn, name, Filled::Begun)
        })?;
        crash_point("mysql.restore.load-begun");
        let loaded = match history::by_transaction(&schema.create) {
            // Old backups hold such rows.
            true => load::only_empty(name, source)?,
            false => {
                let begins = match computed::columns(&schema).is_empty() {
                    true => None,
                    false => Some(computed::begins(self)?),
                };
                load::fill(&self.pool, seat, &schema, &place, source, begins.as_ref())?
            }
        };
        self.pool.with(|conn| self.set_filled(conn, name, Filled::Whole))?;
        crash_point("mysql.restore.loaded");
        Ok(loaded)
    }

    fn goes_together(&self, table: &TableName) -> Result<bool, ClusterError> {
        Ok(together::goes(self, table))
    }

    fn load_together(&self, tables: &[(TableName, Vec<Vec<u8>>)]) -> Result<Vec<Loaded>, ClusterError> {
        together::load(self, tables)
    }

    fn loaders(&self) -> usize {
        session::most_writers()
    }

    fn tables(&self) -> Result<Vec<TableName>, ClusterError> {
        if self.phase() == Phase::Loading {
            return Ok(self.inner.lock().known.keys().cloned().collect());
        }
        Ok(self.built()?.into_iter().map(|(name, _)| name).collect())
    }

    fn counts(&self) -> Result<Vec<(TableName, u64)>, ClusterError> {
        let built = self.built()?;
        let counts = read_back::counts(&self.pool, &self.placed(&built)?)?;
        let names = built.iter().map(|(name, _)| self.ask.rename.apply(name));
        Ok(names.zip(counts).collect())
    }

    fn checksums(&self) -> Result<Vec<(TableName, TableChecksum)>, ClusterError> {
        let (phase, ended) = {
            let inner = self.inner.lock();
            (inner.memory.phase, inner.ended)
        };
        if phase > Phase::Loading
            && !ended
            && let Some(sums) = self.loaded_sums()
        {
            return Ok(sums);
        }
        if phase > Phase::Loading || ended {
            let built = self.built()?;
            let sums = self.read_sums(&built)?;
            let names = built.iter().map(|(name, _)| self.ask.rename.apply(name));
            return Ok(names.zip(sums).collect());
        }
        let tables: Vec<(TableName, TableSchema)> = {
            let inner = self.inner.lock();
            inner
                .known
                .values()
                .map(|k| (k.name.clone(), k.schema.clone()))
                .collect()
        };
        let sums = self.read_sums(&tables)?;
        let n = self.number();
        self.pool.with(|conn| {
            let mut inner = self.inner.lock();
            state::set_sums(conn, n, tables.iter().map(|(name, _)| name).zip(&sums))?;
            for ((name, _), sum) in tables.iter().zip(&sums) {
                if let Some(known) = inner.known.get_mut(name) {
                    known.sum = Some(*sum);
                }
            }
            Ok(())
        })?;
        let names = tables.iter().map(|(name, _)| self.ask.rename.apply(name));
        Ok(names.zip(sums).collect())
    }

    fn published(&self) -> Result<Option<Mark>, ClusterError> {
        let (phase, mark) = {
            let inner = self.inner.lock();
            (inner.memory.phase, inner.memory.mark.clone())
        };
        match phase {
            Phase::Done => Ok(mark),
            Phase::Switching => self.finish_switch().map(Some),
            Phase::Abandoning | Phase::Loading | Phase::Replaying => Ok(None),
        }
    }

    fn publish(&self) -> Result<Mark, ClusterError> {
        if let Some(mark) = self.published()? {
            return Ok(mark);
        }
        let built_schemas = self.built()?;
        let built: Vec<TableName> = built_schemas.iter().map(|(name, _)| name.clone()).collect();
        let mut sequence_defaults = Vec::new();
        for (name, schema) in &built_schemas {
            for column in sequence_columns(schema)? {
                sequence_defaults.push((name.clone(), column));
            }
        }
        let mut conn = self.pool.take()?;
        {
            let mut inner = self.inner.lock();
            let known: Vec<KnownTable> = inner.known.values().cloned().collect();
            let switch = Switch {
                ask: &self.ask,
                shadows: &inner.shadows,
                links: state::links(&mut conn, inner.memory.number)?,
                built: &built,
                sequence_defaults: &sequence_defaults,
                merges: merges::anew(&self.ask, &inner.shadows, &known, &built_schemas)?,
                definitions: &inner.definitions,
                logged_programs: inner.collected.programs.clone(),
                logged_accounts: inner.collected.accounts.clone(),
            };
            let (steps, mut remarks) = switch.steps(&mut conn)?;
            remarks.extend(inner.collected.remarks.iter().cloned());
            remarks.extend(fence::intrusions(&mut conn)?);
            remarks.extend(other_partitions(&built_schemas));
            // Several statements about one program are one matter, and so are base and log.
            let mut said = BTreeSet::new();
            remarks.retain(|remark| said.insert(remark.clone()));
            state::set_remarks(&mut conn, inner.memory.number, &remarks)?;
            crash_point("mysql.restore.before-switch");
            self.switches.store(true, Ordering::SeqCst);
            state::begin_switch(&mut conn, inner.memory.number, &steps)?;
            inner.memory.remarks = remarks;
            inner.memory.phase = Phase::Switching;
        }
        self.pool.give(conn);
        crash_point("mysql.restore.switching");
        self.finish_switch()
    }

    fn remarks(&self) -> Vec<String> {
        self.inner.lock().memory.remarks.clone()
    }

    fn interrupt(&self) {
        match self.switches.load(Ordering::SeqCst) {
            true => self.waiting.interrupt(),
            false => self.pool.interrupt(),
        }
    }

    fn waiting(&self) -> Option<String> {
        self.waiting.now()
    }

    fn abandon(&self) -> Result<(), ClusterError> {
        match self.phase() {
            Phase::Switching => {
                return match self.go_back()? {
                    Some(lost) if lost.is_empty() => Ok(()),
                    Some(lost) => Err(ClusterError::Unsupported {
                        what: format!("the live tables are as they were, but: {}", lost.join("; ")),
                        hint: "make these again by hand".to_owned(),
                    }),
                    None => Err(ClusterError::Unsupported {
                        what: "the restored tables are in their places already, so they cannot be thrown away"
                            .to_owned(),
                        hint: "resume the job: it finishes the switch".to_owned(),
                    }),
                };
            }
            Phase::Done => return Ok(()),
            Phase::Abandoning | Phase::Loading | Phase::Replaying => {}
        }
        let (n, prefix) = {
            let inner = self.inner.lock();
            (inner.memory.number, inner.shadows.prefix())
        };
        self.pool.with(|conn| back::throw_away(conn, n, &prefix))
    }
}

/// What is to be known of histories that the server puts into the next partition after so many rows.
fn other_partitions(built: &[(TableName, TableSchema)]) -> Option<String> {
    let by_number = built.iter().filter(|(_, schema)| history::by_number(&schema.create));
    let names: Vec<String> = by_number.map(|(name, _)| name.to_string()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "old rows may lie in other partitions than at the source (PARTITION BY SYSTEM_TIME LIMIT), which matters before one is \
             dropped: {}",
            names.join(", ")
        )
    })
}
