//! Replaying the log into the shadow databases.
//!
//! Rows go through [`lane`]s; [`lanes`] says which. A statement of the log is a barrier: everything before it is committed,
//! then it is run under its own settings and the names of the shadows, see [`statements`]. Programs and accounts do not
//! live in shadows: their statements are collected for the switch.
//!
//! The whole log is given again after a crash. Each lane skips what it has; the last statement that was begun is compared
//! with what its tables look like. Nothing ties rows of tables without transactions to the progress: a batch that has some is
//! noted before it is sent, and after a crash in the middle of it all is built anew.
//!
//! *Invariants: a statement is run only with every table and database in it renamed. What is not understood is an error.*

pub(super) mod absent;
mod alter;
mod collations;
mod ending;
mod events;
mod fills;
mod keyless;
mod lane;
mod lanes;
mod looks;
mod partitions;
mod pieces;
mod rewrite;
mod savepoints;
mod sessions;
pub(super) use sessions::stands_for;
mod statements;
mod triggers;
mod unread;
mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::cluster::mysql::binlog::event::{Event, Kind, RowsAct};
use crate::cluster::mysql::binlog::payload::{self, Head};
use crate::cluster::mysql::binlog::query::Query;
use crate::cluster::mysql::binlog::{notes::noted, rows::TableMap};
use crate::cluster::mysql::options::SpoolOptions;
use crate::cluster::mysql::schema::tables;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::statement::{Statement, TransactionWord};
use crate::cluster::{ClusterError, Pieces, ReplayTxn, RestoreAsk, RestoreScope};
use crate::model::definition::Definition;
use crate::model::table::TableName;

use super::accounts::Logged;
use super::cascades::{Edge, Reaches};
use super::merges::MERGE;
use super::names::{Shadows, is_system, is_told_by_statements, wanted};
use super::programs::Program;
use super::session::Pool;
use super::state::{self, KnownTable};
use crate::cluster::mysql::schema::create::CreateTable;

use self::absent::Absent;
use self::ending::{Ending, ending};
use self::fills::Orders;
use self::keyless::Keyless;
use self::lane::Lane;
use self::lanes::Lanes;
use self::rewrite::{Numbers, cascades_are_logged, malformed, number_and_flags, statement_based};
use self::statements::Statements;

/// Connections that apply rows.
const LANES: usize = 3;
/// A rows event that is about no table: the end of a statement that changed nothing of interest.
const NO_TABLE: u64 = 0x00FF_FFFF;

/// The replay of one restore.
pub(super) struct Replay {
    /// Of the restore.
    number: u64,
    ask: RestoreAsk,
    lanes: Vec<Lane>,
    choice: Lanes,
    numbers: Numbers,
    keyless: Keyless,
    statements: Statements,
    /// Prepared XA transactions, by their id.
    prepared: BTreeMap<String, Prepared>,
    spool: SpoolOptions,
    /// Tables whose changes cascade into restored ones past tables that are not restored.
    outside_parents: BTreeMap<TableName, Reaches>,
    /// The transaction of the last statement that an earlier run had begun: before it those parents were others.
    begun_at: u64,
    /// Tables that the base does not have.
    absent: Absent,
    /// Tables without transactions.
    plain: BTreeSet<TableName>,
    /// Whether a table may merge others: then one statement must not change a table by two names.
    merges: bool,
    /// Batches with rows of such tables so far.
    batches: u64,
    /// Tables of the server's own whose rows were changed without the statements that are meant for it.
    by_hand: BTreeSet<String>,
    last: u64,
}

/// A table map of the transaction that is read.
struct Mapped {
    table: TableName,
    number: u64,
    event: Vec<u8>,
}

/// A prepared XA transaction that is not committed yet.
enum Prepared {
    Small(Vec<u8>),
    /// Its opening and its pieces.
    Large(Vec<u8>, Pieces),
    /// A large one of which nothing is restored.
    Unwanted,
}

/// A transaction whose events are applied.
struct Applying<'a> {
    head: Head,
    at: u64,
    id: &'a str,
    rolled_back: bool,
    /// Its savepoints are set in the lanes.
    savepoints: bool,
    /// Events so far.
    part: u64,
    maps: HashMap<u64, Option<Mapped>>,
}

impl<'a> Applying<'a> {
    fn new(head: Head, at: u64, id: &'a str, rolled_back: bool) -> Applying<'a> {
        Applying {
            head,
            at,
            id,
            rolled_back,
            savepoints: false,
            part: 0,
            maps: HashMap::new(),
        }
    }
}

/// What came out of the log besides rows.
#[derive(Default)]
pub(super) struct Collected {
    pub shadows: Shadows,
    pub definitions: Vec<Definition>,
    pub programs: Vec<Program>,
    pub accounts: Vec<Logged>,
    pub remarks: Vec<String>,
}

impl Replay {
    /// Begins, or goes on behind what is in.
    pub fn begin(
        pool: &Pool,
        ask: &RestoreAsk,
        shadows: &Shadows,
        known: &BTreeMap<TableName, KnownTable>,
        definitions: &[Definition],
        edges: &[Edge],
        zone: Option<&str>,
    ) -> Result<Replay, ClusterError> {
        let n = shadows.number;
        let mut conn = pool.take()?;
        let progress: BTreeMap<u64, u64> = state::progress(&mut conn, n)?.into_iter().collect();
        for lane in (0..LANES).filter(|l| !progress.contains_key(&(*l as u64))) {
            conn.run(&state::progress_statement(n, lane, 0))
                .map_err(|e| e.doing("beginning the replay"))?;
        }
        let begun = state::ddl(&mut conn, n)?;
        let lanes = (0..LANES)
            .map(|l| {
                Lane::new(
                    pool.take()?,
                    n,
                    l,
                    progress.get(&(l as u64)).copied().unwrap_or(0),
                    zone,
                )
            })
            .collect::<Result<_, ClusterError>>()?;
        let (mut links, mut plain) = (Vec::new(), BTreeSet::new());
        let merges = known.values().any(|of| of.schema.engine.eq_ignore_ascii_case(MERGE));
        for of in known.values() {
            if !tables::is_transactional(&of.schema.engine) {
                plain.insert(of.name.clone());
            }
            let Ok(create) = CreateTable::parse(&of.schema.create) else {
                continue;
            };
            for key in create.foreign_keys() {
                let parent = TableName::new(key.db.as_deref().unwrap_or(&of.name.db), key.table.clone());
                if known.contains_key(&parent) {
                    links.push((of.name.clone(), parent));
                }
            }
        }
        let mut choice = Lanes::new(LANES, &links);
        if merges {
            choice.unite();
        }
        let keyless = Keyless::new(&mut conn, shadows)?;
        let mut statements = Statements::new(conn, ask.clone(), shadows.clone(), definitions.to_vec(), begun, edges)?;
        statements.orders = Orders::of_base(known.values());
        statements.has_databases(known.keys().map(|table| table.db.as_str()));
        Ok(Replay {
            number: n,
            ask: ask.clone(),
            lanes,
            choice,
            numbers: Numbers::default(),
            keyless,
            outside_parents: statements.outside_parents(),
            begun_at: statements.begun_at(),
            absent: Absent::of_base(definitions, ask),
            statements,
            prepared: BTreeMap::new(),
            spool: pool.spool().clone(),
            plain,
            merges,
            batches: 0,
            by_hand: BTreeSet::new(),
            last: 0,
        })
    }

    /// Takes the next transaction.
    pub fn take(&mut self, txn: &ReplayTxn<'_>) -> Result<(), ClusterError> {
        let at = self.goes_on(txn)?;
        match txn.early {
            true => self.early(txn.payload),
            false => self.payload(txn.payload, at, txn.id),
        }
    }

    /// Takes one from before the base: of an XA transaction that waits for its decision there, the base has nothing.
    fn early(&mut self, bytes: &[u8]) -> Result<(), ClusterError> {
        let payload = payload::parse(bytes)?;
        let last = payload.events().last().transpose()?;
        match ending(last.as_slice(), payload.head)?.how {
            Ending::Prepared(xid) => {
                self.prepared.insert(xid, Prepared::Small(bytes.to_vec()));
            }
            Ending::XaCommit(xid) | Ending::XaRollback(xid) => {
                self.prepared.remove(&xid);
            }
            Ending::Committed | Ending::RolledBack => {}
        }
        Ok(())
    }

    /// The time of a transaction that is the next one.
    fn goes_on(&mut self, txn: &ReplayTxn<'_>) -> Result<u64, ClusterError> {
        let at = txn
            .commit
            .tso
            .map(|t| t.0)
            .ok_or_else(|| malformed("a transaction has no time"))?;
        if txn.commit > self.ask.until || at <= self.last {
            return Err(malformed("a transaction came out of its order"));
        }
        self.last = at;
        Ok(at)
    }

    fn payload(&mut self, bytes: &[u8], at: u64, id: &str) -> Result<(), ClusterError> {
        let payload = payload::parse(bytes)?;
        let events = payload.events().collect::<Result<Vec<Event<'_>>, _>>()?;
        self.statements.sessions.noted = noted(&events)?;
        let ended = ending(&events, payload.head)?;
        match ended.how {
            Ending::Prepared(xid) => {
                self.prepared.insert(xid, Prepared::Small(bytes.to_vec()));
                Ok(())
            }
            Ending::XaCommit(xid) => match self.prepared.remove(&xid) {
                Some(prepared) => self.commit_prepared(&prepared, at, id),
                None => Err(ClusterError::Unsupported {
                    what: format!(
                        "transaction {id} commits the XA transaction {xid}, which was prepared before the log of this archive begins: its rows \
                         are in neither log nor base"
                    ),
                    hint: "restore to just before it (--before), or from a base behind it".to_owned(),
                }),
            },
            Ending::XaRollback(xid) => {
                self.prepared.remove(&xid);
                Ok(())
            }
            Ending::Committed => {
                let applying = Applying::new(payload.head, at, id, false);
                self.events(applying, &events, ended.goes_back)
            }
            Ending::RolledBack => self.events(Applying::new(payload.head, at, id, true), &events, false),
        }
    }

    fn commit_prepared(&mut self, prepared: &Prepared, at: u64, id: &str) -> Result<(), ClusterError> {
        match prepared {
            Prepared::Small(bytes) => {
                let payload = payload::parse(bytes)?;
                let events = payload.events().collect::<Result<Vec<Event<'_>>, _>>()?;
                let goes_back = ending(&events, payload.head)?.goes_back;
                self.events(Applying::new(payload.head, at, id, false), &events, goes_back)
            }
            Prepared::Unwanted => Ok(()),
            Prepared::Large(opening, pieces) => {
                let mut numbers = 0..pieces.count();
                let mut next = || numbers.next().map(|n| pieces.read(n)).transpose();
                self.pieces(&payload::parse_opening(opening)?, &mut next, at, id, false)
            }
        }
    }

    /// Applies the events of a transaction. Of one that was rolled back only tables without transactions keep their rows.
    fn events(
        &mut self,
        mut applying: Applying<'_>,
        events: &[Event<'_>],
        goes_back: bool,
    ) -> Result<(), ClusterError> {
        let at = applying.at;
        self.index_keyless(events, at)?;
        if goes_back {
            applying = self.with_savepoints(applying)?;
        }
        for event in events {
            self.event(&mut applying, event)?;
        }
        self.end_transaction(at)
    }

    fn event(&mut self, applying: &mut Applying<'_>, event: &Event<'_>) -> Result<(), ClusterError> {
        let id = applying.id;
        match event.kind() {
            Kind::QUERY => self.query(applying, event)?,
            Kind::TABLE_MAP => {
                let map = TableMap::parse(event)?;
                let mapped = self.map(&map, event)?;
                applying.maps.insert(map.id, mapped);
            }
            Kind::INCIDENT => {
                return Err(ClusterError::Unsupported {
                    what: format!("at transaction {id} the source lost part of its own log"),
                    hint: "restore to a moment before it".to_owned(),
                });
            }
            Kind::BEGIN_LOAD_QUERY | Kind::EXECUTE_LOAD_QUERY => return Err(statement_based(id, "LOAD DATA")),
            kind => {
                if let Some(act) = kind.rows() {
                    self.rows(applying, event, act)?;
                }
            }
        }
        applying.part += 1;
        Ok(())
    }

    fn end_transaction(&mut self, at: u64) -> Result<(), ClusterError> {
        for lane in &mut self.lanes {
            lane.end_transaction(at)?;
        }
        Ok(())
    }

    fn map(&mut self, map: &TableMap, event: &Event<'_>) -> Result<Option<Mapped>, ClusterError> {
        if !wanted(&self.ask, &map.table) {
            if self.ask.scope == RestoreScope::Whole && is_told_by_statements(&map.table) {
                self.by_hand.insert(map.table.table.clone());
            }
            let parent = self.outside_parents.contains_key(&map.table);
            return Ok(parent.then(|| Mapped {
                table: map.table.clone(),
                number: 0,
                event: Vec::new(),
            }));
        }
        if self.absent.has(&map.table) {
            return Ok(None);
        }
        let shadow = self.statements.shadow(&map.table.db)?;
        let (number, event) = self.numbers.map(event, &shadow, &map.table.table)?;
        Ok(Some(Mapped {
            table: map.table.clone(),
            number,
            event,
        }))
    }

    /// The log holds nothing of what a change of that table did to restored ones.
    fn cascades(&self, table: &TableName) -> ClusterError {
        let absent = self.outside_parents.keys().filter(|t| !wanted(&self.ask, t));
        let filters: Vec<String> = absent.take(8).map(|t| format!("--filter {t}")).collect();
        ClusterError::Unsupported {
            what: format!(
                "changes of {table} cascade into chosen tables by foreign keys, and not all tables on the way are chosen"
            ),
            hint: format!("choose them too: {}", filters.join(" ")),
        }
    }

    fn rows(&mut self, applying: &Applying<'_>, event: &Event<'_>, act: RowsAct) -> Result<(), ClusterError> {
        let (number, flags) = number_and_flags(event).ok_or_else(|| malformed("a rows event is cut"))?;
        let Some(mapped) = applying.maps.get(&number) else {
            if number == NO_TABLE {
                return Ok(());
            }
            return Err(malformed("rows of a table that no map names"));
        };
        let Some(mapped) = mapped else {
            return Ok(());
        };
        let reaches = self
            .outside_parents
            .get(&mapped.table)
            .is_some_and(|reaches| match act {
                RowsAct::Insert => false,
                RowsAct::Update => reaches.update,
                RowsAct::Delete => reaches.delete,
            });
        let over = cascades_are_logged(flags) || applying.rolled_back || applying.at < self.begun_at;
        if reaches && !over {
            return Err(self.cascades(&mapped.table));
        }
        if mapped.event.is_empty() {
            return Ok(());
        }
        if applying.rolled_back && !self.plain.contains(&mapped.table) {
            return Ok(());
        }
        self.statements.orders.rows(&mapped.table, act, applying.at);
        let lane = self.choice.of(&mapped.table);
        let lane = self.lanes.get_mut(lane).ok_or_else(|| malformed("a lane is missing"))?;
        if applying.at <= lane.done {
            return Ok(());
        }
        if !lane.is_noted() && self.plain.contains(&mapped.table) {
            self.batches += 1;
            state::begin_plain(self.statements.conn(), self.number, self.batches)?;
            lane.noted(self.batches);
        }
        let alone = self.merges && self.plain.contains(&mapped.table);
        lane.rows(applying.head, mapped.number, &mapped.event, event, alone)
    }

    fn query(&mut self, applying: &Applying<'_>, event: &Event<'_>) -> Result<(), ClusterError> {
        let (head, at, part, id) = (applying.head, applying.at, applying.part, applying.id);
        let query = Query::parse_of(event, head)?;
        let modes = Modes::of(query.settings.sql_mode.unwrap_or(0), head.flavor);
        let sql = match query.read(self.statements.conn(), modes) {
            Ok(sql) => sql,
            Err(_) if unread::is_about_others(&self.statements, &query, modes) => return Ok(()),
            Err(e) => return Err(e),
        };
        let statement = Statement::classify(&sql, &query.db, modes);
        self.statements.show_before(&statement, (at, part))?;
        match &statement {
            Statement::Transaction(TransactionWord::Savepoint) => return self.savepoint(applying, &sql, modes),
            Statement::Transaction(_) | Statement::Xa(..) | Statement::Session | Statement::Admin => return Ok(()),
            Statement::Server => {
                let text = crate::model::text::safe(&sql, 100);
                self.statements
                    .remark(format!("left out, because it is about the server itself: {text}"));
                return Ok(());
            }
            Statement::Rows => return Err(statement_based(id, &sql)),
            Statement::Program { .. } | Statement::Account => {
                self.statements.collect(&statement, &query, sql, modes, (at, part));
                return Ok(());
            }
            Statement::Unknown => {
                return Err(ClusterError::Unsupported {
                    what: format!(
                        "transaction {id} holds a statement that is not understood: {}",
                        crate::model::text::safe(&sql, 120)
                    ),
                    hint: "restore to just before it (--before), or from a newer base".to_owned(),
                });
            }
            _ => {}
        }
        if self.absent.follow(&statement, id)? || !self.statements.concerns(&statement) {
            return Ok(());
        }
        self.settle()?;
        if links_tables(&statement, &sql) {
            self.choice.unite();
        }
        self.keyless.make_way(self.statements.conn(), &statement)?;
        self.statements.run(&statement, &query, &sql, modes, (at, part), id)?;
        self.keyless.refresh(&statement);
        self.statements.orders.follow(&statement);
        self.outside_parents = self.statements.outside_parents();
        self.look_at_engines(&statement)
    }

    /// After a statement: which of its tables have no transactions.
    fn look_at_engines(&mut self, statement: &Statement) -> Result<(), ClusterError> {
        if let Some(db) = statement.dropped_database() {
            self.plain.retain(|t| t.db != db);
        }
        let tables: Vec<TableName> = statement
            .tables()
            .into_iter()
            .filter(|t| wanted(&self.ask, t))
            .cloned()
            .collect();
        for name in tables {
            let engine = self.statements.engine(&name)?;
            if engine.as_ref().is_some_and(|e| e.eq_ignore_ascii_case(MERGE)) {
                self.merges = true;
                self.choice.unite();
            }
            match engine {
                Some(engine) if !tables::is_transactional(&engine) => self.plain.insert(name),
                _ => self.plain.remove(&name),
            };
        }
        Ok(())
    }

    /// Commits what is under way in all lanes.
    fn settle(&mut self) -> Result<(), ClusterError> {
        // All at once, then one after the other.
        for lane in &mut self.lanes {
            lane.commit()?;
        }
        for lane in &mut self.lanes {
            lane.settle()?;
        }
        Ok(())
    }

    /// The end of the log: everything is committed, and what was only for the replay goes.
    pub fn end(mut self) -> Result<Collected, ClusterError> {
        self.settle()?;
        self.keyless.remove(self.statements.conn())?;
        let mut collected = self.statements.end()?;
        for table in &self.by_hand {
            collected.remarks.push(format!(
                "rows of mysql.{table} were changed directly, without the statements for it: those changes are not restored"
            ));
        }
        collected.remarks.extend(self.absent.remarks());
        for xid in self.prepared.keys() {
            collected.remarks.push(format!(
                "the XA transaction {xid} was prepared and not committed at that moment: it is not restored"
            ));
        }
        Ok(collected)
    }
}

/// Whether a statement may link tables by foreign keys, or give a linked table another name.
fn links_tables(statement: &Statement, sql: &str) -> bool {
    let text = sql.to_ascii_uppercase();
    text.contains("REFERENCES")
        || matches!(
            statement,
            Statement::RenameTables(_) | Statement::AlterTable { renamed: Some(_), .. }
        )
}

/// Whether anything of a database is restored.
fn wanted_db(db: &str) -> bool {
    !is_system(db)
}
