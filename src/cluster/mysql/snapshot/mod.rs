//! A consistent view over several connections, read in chunks.
//!
//! Reading downwards: [`open`] takes a look at the server ([`gather`]), opens the view ([`start`]) and looks again, until
//! nothing changed in between; [`split`] cuts tables by their keys ([`keys`], [`cuts`]) and [`read`] reads a range, on a connection lent
//! by the [`pool`]; [`watch`] ends a backup that others wait for.

mod cuts;
mod gather;
mod keys;
mod pool;
mod read;
pub mod record;
mod restless;
mod split;
pub(super) mod start;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gather::{Extent, Shown};
use keys::{Key, Range};
use pool::{Lent, Pool};
use read::ViewTable;
use restless::{LeftOut, Restless, Then};
use watch::Watch;

use super::binlog;
use super::case;
use super::check;
use super::clock::Where;
use super::core::Core;
use super::prepared;
use super::schema::tables::{self, Details};
use super::schema::{generated, history, literals, select};
use super::text;
use super::wire::{Conn, Flavor, WireError};
use crate::cluster::{BatchSink, ChunkRange, ChunkRead, ClusterError, Mark, Snapshot, TableDef};
use crate::model::definition::Definition;
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::tso::Tso;

/// How often a view is opened anew because something was altered meanwhile.
const ATTEMPTS: usize = 8;

/// For so long a server may need until a transaction that it has sent can be seen.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(10);

/// MariaDB gives back table locks at a savepoint only in sessions that do not log.
const KEEPS_LOCKS: &str = "SET SESSION sql_log_bin = 0";

/// Opens a consistent view of now. A view of these servers dies with its connections: a token is an error.
pub(super) fn open(core: &Arc<Core>, token: Option<&str>) -> Result<Box<dyn Snapshot>, ClusterError> {
    if token.is_some() {
        return Err(ClusterError::SnapshotGone(Moment::of_tso(Tso::ZERO)));
    }
    Ok(Box::new(View::open(core, Extent::Everything)?))
}

/// A view of the tables alone, for checksums of what is there now.
pub(super) fn open_tables(core: &Arc<Core>) -> Result<View, ClusterError> {
    View::open(core, Extent::Tables)
}

/// The view.
pub(super) struct View {
    core: Arc<Core>,
    pool: Pool,
    mark: Mark,
    shown: Shown,
    tables: BTreeMap<TableName, ViewTable>,
    watch: Watch,
    /// XA transactions that wait for their decision.
    prepared: Vec<String>,
    /// What is not in it.
    left_out: LeftOut,
    /// What is read is kept, and has to be good for a restore.
    keeps: bool,
}

/// How many connections a view has.
pub(super) fn width() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    (cores * 2).clamp(2, 8)
}

/// `SELECT 1` of a table, history included.
fn select_one(table: &ViewTable) -> String {
    let all = select::rows(&table.schema, &table.listed.name);
    let from = all.split_once(" FROM ").map_or("", |(_, from)| from);
    // A name may hold " FROM ": then it is the full list of columns, which is as good.
    if from.starts_with(&text::table(&table.listed.name.db, &table.listed.name.table)) {
        format!("SELECT 1 FROM {from}")
    } else {
        all
    }
}

/// Makes a connection ready for a view; tells whether its session gives locks back at a savepoint.
fn prepare(conn: &mut Conn) -> Result<bool, ClusterError> {
    if conn.info().flavor == Flavor::MySql {
        return Ok(true);
    }
    match conn.run(KEEPS_LOCKS) {
        Ok(_) => Ok(true),
        Err(WireError::Server { .. }) => Ok(false),
        Err(e) => Err(e.doing("preparing a session for the view")),
    }
}

/// Something vanished between being listed and being shown, or MySQL gave up one of two statements that waited for each other: one
/// that looks at many tables, and one that alters them.
fn vanished(e: &WireError) -> bool {
    matches!(
        e.code(),
        Some(1008 | 1049 | 1054 | 1146 | 1213 | 1305 | 1347 | 1356 | 1360 | 1539 | 4091)
    )
}

/// One look over all connections; `None` when something vanished on the way.
fn look(conns: &mut [Conn], extent: Extent) -> Result<Option<Shown>, ClusterError> {
    match gather::look(conns, extent) {
        Ok(shown) => Ok(Some(shown)),
        Err(e) if vanished(&e) => Ok(None),
        Err(e) => Err(e.doing("reading what the server holds")),
    }
}

/// A server does not say that it hides something from an account: a backup would lack it and seem whole.
fn check_sight(conn: &mut Conn, extent: Extent) -> Result<(), ClusterError> {
    let lacking = check::hiding(conn, extent == Extent::Everything);
    let lacking = lacking.map_err(|e| e.doing("reading the account's privileges"))?;
    if lacking.is_empty() {
        return Ok(());
    }
    Err(ClusterError::Unsupported {
        what: "brine's account may not see everything, and a backup would lack the rest without a word".to_owned(),
        hint: lacking.join("; "),
    })
}

/// Rows that would go into a backup and could never come back.
fn versioned_by_transaction(name: &TableName) -> ClusterError {
    ClusterError::Unsupported {
        what: format!(
            "{name} keeps its history by the ids of transactions (ROW START and ROW END are BIGINT); no restore can write such rows"
        ),
        hint: format!(
            "leave it out (--filter '*.*' --filter '!{name}'), or let it keep its history by time (TIMESTAMP(6))"
        ),
    }
}

/// What a server does not show of a definition could not be read.
fn blind(name: &TableName, e: WireError) -> ClusterError {
    let denied = matches!(e.code(), Some(1044 | 1142));
    match e.doing(format!(
        "reading members and defaults of {name}, which the server shows with question marks"
    )) {
        ClusterError::Server {
            doing,
            code,
            state,
            message,
            ..
        } if denied => ClusterError::Server {
            doing,
            code,
            state,
            message,
            hint: "; GRANT CREATE TEMPORARY TABLES ON *.* TO brine's account".to_owned(),
        },
        e => e,
    }
}

/// Opens views on all connections, at one moment, and dates it.
fn begin(core: &Core, conns: &mut [Conn], locker: &mut Conn, extent: Extent) -> Result<Mark, ClusterError> {
    let mut pauses = start::PAUSES.iter();
    let until = Instant::now() + CAUGHT_UP_WITHIN;
    loop {
        // The stream hands nothing out until the view is dated.
        let mut hold = (extent == Extent::Everything).then(|| core.commit_clock.hold());
        let started = start::start(conns, locker).map_err(|e| e.doing("opening a consistent view"))?;
        let pause = match (started, &mut hold) {
            (Some(started), None) => {
                return Ok(Mark {
                    moment: Moment::of_tso(Tso::from_millis(started.server_now)),
                    position: started.position,
                });
            }
            // The server sends a transaction some moments before it can be seen: what was handed out is not in the view yet.
            (Some(started), Some(clock))
                if clock.is_behind(&Where::of(&started.position)?) && Instant::now() < until =>
            {
                2
            }
            (Some(started), Some(clock)) => {
                let moment = clock.date_place(started.server_now, &started.position)?;
                let by_place =
                    binlog::by_place(locker).map_err(|e| e.doing("reading the settings of the binary log"))?;
                let position = match by_place {
                    true => binlog::stamped(core, started.position)?,
                    false => started.position,
                };
                return Ok(Mark { moment, position });
            }
            (None, _) => match pauses.next() {
                Some(pause) => *pause,
                None => return Err(start::in_the_way(locker)),
            },
        };
        drop(hold);
        std::thread::sleep(Duration::from_millis(pause));
    }
}

/// The same statement on every connection.
fn on_all(conns: &mut [Conn], sql: &str, doing: &str) -> Result<(), ClusterError> {
    conns
        .iter_mut()
        .try_for_each(|conn| conn.run(sql).map(|_| ()).map_err(|e| e.doing(doing)))
}

impl View {
    fn open(core: &Arc<Core>, extent: Extent) -> Result<View, ClusterError> {
        let mut locker = core.connect()?;
        // Temporary tables of ours are nobody else's business.
        let _ = locker.run(KEEPS_LOCKS);
        check_sight(&mut locker, extent)?;
        case::refuse(&mut locker, "what it holds cannot be restored elsewhere")?;
        let mut conns = Vec::with_capacity(width());
        let mut gives_back = true;
        for _ in 0..width() {
            let mut conn = core.connect_beside(&mut locker)?;
            gives_back &= prepare(&mut conn)?;
            conns.push(conn);
        }
        let (mut what, mut restless) = (None, Restless::default());
        restless.looks(&mut locker)?;
        let mut before = look(&mut conns, extent)?;
        for _ in 0..ATTEMPTS {
            let mark = begin(core, &mut conns, &mut locker, extent)?;
            on_all(&mut conns, read::SAVEPOINT, "opening a consistent view")?;
            restless.looks(&mut locker)?;
            let now = look(&mut conns, extent)?;
            on_all(&mut conns, read::UNTOUCH, "opening a consistent view")?;
            let now = match (now, &mut before) {
                (Some(mut now), Some(before)) => {
                    restless.watch(&mut locker)?;
                    let left_out = restless.take_out(&mut now, before, &mut locker)?;
                    match now.differs(before) {
                        None => return View::of(core, conns, &mut locker, mark, now, left_out, gives_back, extent),
                        Some(difference) => {
                            what = Some(difference);
                            Some(now)
                        }
                    }
                }
                (now, _) => now,
            };
            on_all(&mut conns, "ROLLBACK", "giving up a view")?;
            before = now;
        }
        let what = what.unwrap_or_else(|| "something".to_owned());
        Err(ClusterError::Unsupported {
            what: format!("{what} was altered, made or dropped each of the {ATTEMPTS} times that a view was opened"),
            hint: "take the backup while no tables, programs or accounts are being altered".to_owned(),
        })
    }

    #[allow(clippy::too_many_arguments)] // gathered once, from one caller
    fn of(
        core: &Arc<Core>,
        mut conns: Vec<Conn>,
        asker: &mut Conn,
        mark: Mark,
        mut shown: Shown,
        mut left_out: BTreeMap<TableName, Then>,
        gives_back: bool,
        extent: Extent,
    ) -> Result<View, ClusterError> {
        let doing = |e: WireError| e.doing("reading the columns of the tables");
        let flavor = conns.first().map_or(Flavor::MySql, |c| c.info().flavor);
        let mut details = gather::details(&mut conns, &shown.tables).map_err(doing)?;
        on_all(&mut conns, read::UNTOUCH, "opening a consistent view")?;
        let mut tables = BTreeMap::new();
        for listed in std::mem::take(&mut shown.tables) {
            let own = details
                .get_mut(&listed.name.db)
                .and_then(|db| db.remove(&listed.name.table));
            let Some(own): Option<Details> = own else {
                if !restless::is_gone(asker, &shown, &listed)? {
                    return Err(read::altered(&listed.name.to_string()));
                }
                left_out.insert(listed.name, Then::Gone);
                continue;
            };
            let seen = shown.creates.remove(&listed.name).unwrap_or_default();
            let create = literals::exact(asker, &listed.name, &seen, &own).map_err(|e| blind(&listed.name, e))?;
            let mut schema = tables::schema(&listed, create, &own, flavor);
            if extent == Extent::Everything {
                let made = generated::ask(asker, &listed.name, &seen, &listed.engine);
                schema.generated = made.map_err(|e| e.doing(format!("looking at the keys of {}", listed.name)))?;
            }
            let table = ViewTable {
                key: Key::of(&schema, &own),
                shown: seen,
                schema,
                listed,
            };
            tables.insert(table.listed.name.clone(), table);
        }
        Ok(View {
            core: Arc::clone(core),
            pool: Pool::new(conns),
            mark,
            shown,
            tables,
            watch: Watch::new(gives_back),
            left_out: LeftOut::new(left_out),
            prepared: prepared::ids(asker).map_err(|e| e.doing("looking for prepared XA transactions"))?,
            keeps: extent == Extent::Everything,
        })
    }

    fn table(&self, name: &TableName) -> Result<&ViewTable, ClusterError> {
        self.tables.get(name).ok_or_else(|| ClusterError::NoTable(name.clone()))
    }

    /// What became of reading a table: one that has gone is left out.
    fn or_gone<T>(&self, table: &ViewTable, result: Result<T, ClusterError>) -> Result<T, ClusterError> {
        let Err(e) = result else { return result };
        if !read::is_altered(&e) {
            return Err(e);
        }
        let gone = self
            .core
            .connect()
            .and_then(|mut conn| restless::is_gone(&mut conn, &self.shown, &table.listed))?;
        match gone {
            true => {
                self.left_out.add(&table.listed.name);
                Err(ClusterError::TableGone(table.listed.name.clone()))
            }
            false => Err(e),
        }
    }

    /// The tables with their estimated bytes.
    pub fn sizes(&self) -> impl Iterator<Item = (&TableName, u64)> {
        self.tables.iter().map(|(name, t)| (name, t.listed.bytes))
    }
}

impl Snapshot for View {
    fn mark(&self) -> Mark {
        self.mark.clone()
    }

    fn token(&self) -> Option<String> {
        None
    }

    fn tables(&self) -> Result<Vec<TableDef>, ClusterError> {
        let def = |(name, table): (&TableName, &ViewTable)| {
            let schema = serde_json::to_string(&table.schema).map_err(|e| ClusterError::Malformed {
                what: "a table's definition",
                why: e.to_string(),
            })?;
            Ok(TableDef {
                name: name.clone(),
                schema,
                system: false,
            })
        };
        self.tables.iter().map(def).collect()
    }

    fn definitions(&self) -> Result<Vec<Definition>, ClusterError> {
        let mut all = self.shown.definitions.clone();
        all.extend(self.left_out.definitions());
        Ok(all)
    }

    fn prepared(&self) -> Result<Vec<String>, ClusterError> {
        Ok(self.prepared.clone())
    }

    fn settle(&self) -> Result<(), ClusterError> {
        self.left_out.settle(&self.core)?;
        self.pool
            .lend(|conn| Lent::Good(read::still_the_same(&self.shown, conn)))
    }

    fn split(&self, name: &TableName, parts: usize) -> Result<Vec<ChunkRange>, ClusterError> {
        let table = self.table(name)?;
        if table.listed.rows_elsewhere() {
            return Ok(Vec::new());
        }
        let _reading = self.watch.reading(name);
        let ranges = self.pool.lend(|conn| match split::split(conn, table, parts) {
            Err(e) if e.code().is_none() => Lent::Lost(read::failed(e, name)),
            result => read::settle(conn, table, result.map_err(|e| read::failed(e, name))),
        });
        let ranges = self.or_gone(table, ranges)?;
        if !ranges.is_empty() && self.keeps && history::by_transaction(&table.shown) {
            return Err(versioned_by_transaction(name));
        }
        ranges.iter().map(Range::write).collect()
    }

    fn read(
        &self,
        name: &TableName,
        range: &ChunkRange,
        max_bytes: u64,
        sink: &mut dyn BatchSink,
    ) -> Result<ChunkRead, ClusterError> {
        let table = self.table(name)?;
        let range = Range::read(range)?;
        let _reading = self.watch.reading(name);
        let read = self.pool.lend(|conn| read::read(conn, table, &range, max_bytes, sink));
        self.or_gone(table, read)
    }

    fn keep_alive(&self) -> Result<(), ClusterError> {
        self.pool.each_idle(|conn| conn.run("DO 1").is_ok())?;
        self.watch.check(&self.core)
    }

    fn interrupt(&self) {
        self.pool.interrupt();
    }

    fn release(&self) -> Result<(), ClusterError> {
        self.pool.close();
        Ok(())
    }
}
