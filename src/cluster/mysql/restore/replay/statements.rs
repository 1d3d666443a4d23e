//! Statements of the log: run on the shadows under new names, or collected for the switch.

mod end;
mod shown;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::mysql::binlog::query::Query;
use crate::cluster::mysql::restore::accounts::Logged;
use crate::cluster::mysql::restore::cascades::{Edge, Reaches};
use crate::cluster::mysql::restore::names::{Shadows, target_db, wanted};
use crate::cluster::mysql::restore::outside::Outside;
use crate::cluster::mysql::restore::programs::{self, Program};
use crate::cluster::mysql::restore::routines;
use crate::cluster::mysql::restore::state::{self, BegunDdl, ShownView};
use crate::cluster::mysql::restore::{linking, publish, steps};
use crate::cluster::mysql::schema::definition::kind;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::rename::{needed, rename};
use crate::cluster::mysql::sql::statement::{Act, ProgramKind, Statement};
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{ClusterError, RestoreAsk, RestoreScope};
use crate::model::crash::crash_point;
use crate::model::definition::Definition;
use crate::model::table::TableName;

use super::alter::Alter;
use super::events::{Change, Events};
use super::fills::Orders;
use super::rewrite::{InShadows, not_chosen, odd};
use super::sessions::{Run, Sessions};
use super::triggers::Triggers;
use super::views::Views;
use super::{collations, looks, wanted_db};

/// What runs them.
pub(super) struct Statements {
    conn: Conn,
    ask: RestoreAsk,
    shadows: Shadows,
    definitions: Vec<Definition>,
    /// The source's databases at this place of the log. What is built tells it not: a shadow may be there before its statement.
    databases: BTreeSet<String>,
    begun: Option<BegunDdl>,
    programs: Vec<Collect>,
    accounts: Vec<Logged>,
    remarks: Vec<String>,
    triggers: Triggers,
    views: Views,
    /// Views of the log that were shown, by the statements that made them; also in an earlier run.
    shown: BTreeMap<(u64, u64), ShownView>,
    events: Events,
    /// The collations of the source's databases at this place of the log, where they are known.
    collations: BTreeMap<String, String>,
    /// Of which tables the order of the rows is known.
    pub orders: Orders,
    /// Foreign keys to tables that are not restored.
    outside: Outside,
    /// The source's sessions.
    pub sessions: Sessions,
}

/// A statement about programs.
struct Collect {
    /// The source's databases in which it changes something.
    dbs: BTreeSet<String>,
    /// The default database that it was run with.
    default_db: String,
    program: Program,
}

impl Statements {
    pub fn new(
        mut conn: Conn,
        ask: RestoreAsk,
        shadows: Shadows,
        mut definitions: Vec<Definition>,
        begun: Option<BegunDdl>,
        edges: &[Edge],
    ) -> Result<Self, ClusterError> {
        let triggers = Triggers::take(&mut definitions, conn.info().flavor)?;
        let views = Views::take(&mut definitions, conn.info().flavor);
        let events = Events::take(&mut definitions);
        let collations = collations::of_base(&definitions)?;
        let outside = Outside::read(&mut conn, shadows.number, edges)?;
        let sessions = Sessions::of(&definitions)?;
        Self::clear_views(&mut conn, &shadows)?;
        let shown = state::views(&mut conn, shadows.number)?;
        let defined = definitions.iter().filter(|d| d.kind == kind::DATABASE);
        Ok(Statements {
            databases: defined.map(|d| d.name.clone()).collect(),
            conn,
            ask,
            shadows,
            definitions,
            begun,
            programs: Vec::new(),
            accounts: Vec::new(),
            remarks: Vec::new(),
            triggers,
            views,
            shown,
            events,
            collations,
            orders: Orders::default(),
            outside,
            sessions,
        })
    }

    /// These are databases of the source too: the base has tables in them.
    pub fn has_databases<'a>(&mut self, more: impl Iterator<Item = &'a str>) {
        self.databases.extend(more.map(str::to_owned));
    }

    /// Says in the receipt what a restore leaves out.
    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// A connection on which nothing is under way.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// The engine of a table as it is built now; `None` when it is not there.
    pub fn engine(&mut self, name: &TableName) -> Result<Option<String>, ClusterError> {
        let Some(built) = self.shadows.place(name) else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT engine FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
            string(&built.db),
            string(&built.table)
        );
        let row = self.conn.row(&sql);
        let row = row.map_err(|e| e.doing(format!("asking for the engine of {name}")))?;
        Ok(row.and_then(|r| r.opt(0)))
    }

    /// The tables that are not restored, and whose changes cascade into ones that are.
    pub fn outside_parents(&self) -> BTreeMap<TableName, Reaches> {
        self.outside.cascading()
    }

    /// The transaction of the statement that was begun last: after a crash, in an earlier run.
    pub fn begun_at(&self) -> u64 {
        self.begun.as_ref().map_or(0, |begun| begun.txn)
    }

    /// Whether a table is restored.
    pub fn wanted(&self, table: &TableName) -> bool {
        wanted(&self.ask, table)
    }

    /// The shadow of a database, made where it is not there.
    pub fn shadow(&mut self, db: &str) -> Result<String, ClusterError> {
        if let Some(shadow) = self.shadows.shadow(db) {
            return Ok(shadow.to_owned());
        }
        let shadow = self.shadows.next();
        let options = publish::options_of(&self.definitions, db)?;
        // Made before it is noted: a noted one is taken to be there.
        self.conn
            .run(&format!("CREATE DATABASE IF NOT EXISTS {}{options}", ident(&shadow)))
            .map_err(|e| e.doing(format!("making the database {shadow}")))?;
        state::add_shadow(&mut self.conn, self.shadows.number, db, &shadow)?;
        self.shadows.of.insert(db.to_owned(), shadow.clone());
        Ok(shadow)
    }

    /// Whether a statement about tables or databases concerns what is restored.
    pub fn concerns(&self, statement: &Statement) -> bool {
        let temporary = matches!(
            statement,
            Statement::CreateTable { temporary: true, .. } | Statement::DropTables { temporary: true, .. }
        );
        !temporary
            && (statement.tables().iter().any(|t| self.wanted(t))
                || statement.databases().iter().any(|db| wanted_db(db)))
    }

    /// Keeps a statement about programs or accounts for the switch. `at` is its transaction and its place in it.
    pub fn collect(&mut self, statement: &Statement, query: &Query<'_>, sql: String, modes: Modes, at: (u64, u64)) {
        let mut settings = query.settings.statements(self.conn.info());
        let Statement::Program { act, kind, names, on } = statement else {
            if !query.db.is_empty() {
                settings.insert(0, format!("USE {}", ident(&query.db)));
            }
            let invoker = query.settings.invoker.clone();
            self.accounts.push(Logged {
                settings,
                sql,
                invoker,
                routine: None,
            });
            return;
        };
        if let Some(change) = routines::Change::of(*kind, *act, names) {
            self.accounts.push(Logged {
                settings: Vec::new(),
                sql: String::new(),
                invoker: query.settings.invoker.clone(),
                routine: Some(change),
            });
        }
        match (kind, act) {
            (ProgramKind::Trigger, Act::Drop) => return names.iter().for_each(|name| self.triggers.drop(name)),
            (ProgramKind::View, Act::Drop) => return names.iter().for_each(|name| self.views.drop(name)),
            _ => {}
        }
        if let Some((client, _, _)) = query.settings.charset
            && collations::client_can_send(client, &sql)
        {
            settings.push(format!("SET SESSION character_set_client = {client}"));
        }
        let collation = names.first().and_then(|name| {
            let collation = self.collations.get(&name.db)?.clone();
            Some((target_db(&self.ask, &name.db), collation))
        });
        let program = Program {
            what: what(*kind, names),
            db: target_db(&self.ask, &query.db),
            settings,
            create: sql,
            event: *kind == ProgramKind::Event,
            collation: collation.filter(|_| *kind != ProgramKind::View),
            ..Program::default()
        };
        if let (ProgramKind::View, [name]) = (kind, names.as_slice()) {
            let db = query.db.clone();
            return self.views.create(name, modes, Program { db, ..program }, at);
        }
        if *kind == ProgramKind::Event {
            let who = query.settings.invoker.as_ref();
            let change = Change {
                program,
                modes,
                invoker: who.map(|(user, host)| format!("{}@{}", ident(user), ident(host))),
            };
            let said = self.events.follow(*act, names, change, self.conn.info().flavor);
            return self.remarks.extend(said);
        }
        let is_chosen = names
            .iter()
            .all(|name| self.is_chosen(name, on.as_ref().unwrap_or(name), *kind));
        let program = is_chosen.then_some(program);
        if let (ProgramKind::Trigger, Some(on), [name]) = (kind, on, names.as_slice()) {
            let program = program.map(|p| Program {
                db: target_db(&self.ask, &name.db),
                ..p
            });
            self.triggers.create(name, on, modes, program);
        } else if let Some(mut program) = program {
            let word = match kind {
                ProgramKind::Function => Some("FUNCTION"),
                ProgramKind::Procedure => Some("PROCEDURE"),
                _ => None,
            };
            if let (Act::Create, [name], Some(word)) = (act, names.as_slice(), word) {
                program.drop = programs::drop_of_routine(word, name, &program.create, modes);
            }
            self.programs.push(Collect {
                dbs: names.iter().map(|n| n.db.clone()).collect(),
                default_db: query.db.to_string(),
                program,
            });
        }
    }

    /// Whether a program of the log is made. One that would act under an old name is left out with a remark. `on` is the
    /// table of a trigger, of others the program itself.
    fn is_chosen(&mut self, name: &TableName, on: &TableName, kind: ProgramKind) -> bool {
        let whole = self.ask.scope == RestoreScope::Whole;
        if !wanted_db(&name.db) || !(whole || self.wanted(on)) {
            return false;
        }
        let kept = self.ask.rename.apply(on) == *on && target_db(&self.ask, &name.db) == name.db;
        if !kept {
            // Its text may name the live database.
            self.remarks.push(format!(
                "a change of {kind:?} {name} in the log is left out, because it would act under the old name"
            ));
        }
        kept
    }

    /// Triggers go and move with their tables.
    fn follow(&mut self, statement: &Statement) {
        match statement {
            Statement::DropTables { tables, .. } => tables.iter().for_each(|t| self.triggers.table_gone(t)),
            Statement::CreateTable {
                table, replace: true, ..
            } => self.triggers.table_gone(table),
            Statement::RenameTables(pairs) => {
                for (from, to) in pairs {
                    self.triggers.table_renamed(from, to);
                }
            }
            Statement::AlterTable {
                table,
                renamed: Some(to),
                ..
            } => self.triggers.table_renamed(table, to),
            _ => {}
        }
    }

    /// Runs a statement about tables or databases, exactly once. `at` is its transaction and its place in it.
    pub fn run(
        &mut self,
        statement: &Statement,
        query: &Query<'_>,
        sql: &str,
        modes: Modes,
        at: (u64, u64),
        id: &str,
    ) -> Result<(), ClusterError> {
        // The source logs a `CREATE DATABASE IF NOT EXISTS` of one that is there, too.
        if let Statement::CreateDatabase { db, replace: false, .. } = statement
            && self.databases.contains(db)
        {
            return Ok(());
        }
        let (without, text);
        let (statement, sql) = match self.move_views(statement, sql, modes) {
            None => (statement, sql),
            Some(None) => return Ok(()),
            Some(Some(tables)) => {
                (without, text) = tables;
                (&without, text.as_str())
            }
        };
        for name in statement.tables() {
            if self.wanted(name) {
                self.shadow(&name.db)?;
            }
        }
        for db in statement.databases() {
            if wanted_db(db) {
                self.database(statement, db)?;
            }
        }
        collations::follow(&mut self.collations, &mut self.conn, statement, query, sql, modes)?;
        self.follow(statement);
        self.tell_directories(statement, sql, modes);
        let linked = self.give_links(statement, query, sql, modes, at)?;
        let todo = self.renamed(statement, query, sql, modes, id)?;
        for (step, text) in todo.iter().enumerate() {
            let last = step + 1 == todo.len();
            let texts = (text.as_str(), sql, modes);
            self.once(statement, query, texts, (at.0, at.1, step), linked && last, id)?;
        }
        match linked {
            true => self.outside.take(&mut self.conn, &self.shadows, &self.ask, statement),
            false => Ok(()),
        }
    }

    /// Makes what a statement needs of tables that are not restored. Whether it may change foreign keys to them.
    fn give_links(
        &mut self,
        statement: &Statement,
        query: &Query<'_>,
        sql: &str,
        modes: Modes,
        at: (u64, u64),
    ) -> Result<bool, ClusterError> {
        let begun = self.begun.as_ref().map(|begun| (begun.txn, begun.part));
        if begun > Some(at) {
            return Ok(false);
        }
        let needed = needed(sql, &query.db, modes);
        let others = needed.parents.iter().chain(&needed.sequences);
        let others: BTreeSet<String> = others.filter(|t| !self.wanted(t)).map(|t| t.db.clone()).collect();
        for db in others {
            self.shadow(&db)?;
        }
        for sequence in &needed.sequences {
            if !self.wanted(sequence) {
                linking::stand_in(&mut self.conn, &self.shadows, sequence)?;
            }
        }
        let concerned = self.outside.concerns(&self.ask, statement, sql, &needed.parents);
        // After a crash the statement itself may have taken one away.
        if concerned && begun != Some(at) {
            self.outside.give(&mut self.conn, &self.shadows, statement)?;
        }
        Ok(concerned)
    }

    /// Runs one of the statements that a statement of the log (`source`) became, exactly once.
    fn once(
        &mut self,
        statement: &Statement,
        query: &Query<'_>,
        (sql, source, modes): (&str, &str, Modes),
        at: (u64, u64, usize),
        linked: bool,
        id: &str,
    ) -> Result<(), ClusterError> {
        let looks = looks::of(&mut self.conn, &self.shadows, statement)?;
        if let Some(begun) = &self.begun {
            let (step, before) = begun.before.split_once('\n').unwrap_or_default();
            let last = (begun.txn, begun.part, step.parse().unwrap_or(0));
            let done = begun.done || (before != looks && !looks::can_be_repeated(sql));
            if last == at && done && !begun.done && linked {
                self.outside.note(&mut self.conn, &self.shadows, &self.ask, statement)?;
            }
            if last > at || (last == at && done) {
                return self.say_unclear(statement, query, (source, modes), id, true);
            }
        }
        self.say_unclear(statement, query, (source, modes), id, false)?;
        if let Statement::AlterTable { table, .. } = statement {
            let alter = Alter {
                shadows: &self.shadows,
                table,
                sql: source,
                modes,
                id,
            };
            alter.refuse(&mut self.conn, &self.orders)?;
            self.remarks.extend(alter.remark());
        }
        let mut note = BegunDdl {
            txn: at.0,
            part: at.1,
            before: format!("{}\n{looks}", at.2),
            done: false,
        };
        let n = self.shadows.number;
        state::set_ddl(&mut self.conn, n, &note)?;
        crash_point("mysql.restore.statement-begun");
        self.execute(statement, query, (sql, modes), linked, id)?;
        crash_point("mysql.restore.statement-run");
        if linked {
            self.outside.note(&mut self.conn, &self.shadows, &self.ask, statement)?;
            crash_point("mysql.restore.statement-linked");
        }
        note.done = true;
        state::set_ddl(&mut self.conn, n, &note)?;
        self.begun = Some(note);
        Ok(())
    }

    /// Notes what a statement does to a database of the source; its shadow follows.
    fn database(&mut self, statement: &Statement, db: &str) -> Result<(), ClusterError> {
        if let Statement::CreateDatabase { .. } = statement {
            self.databases.insert(db.to_owned());
        }
        if statement.dropped_database() == Some(db) {
            self.databases.remove(db);
            self.definitions.retain(|d| d.db.as_deref() != Some(db));
            self.triggers.database_gone(db);
            self.views.database_gone(db);
            self.events.database_gone(db);
            for one in &mut self.programs {
                one.dbs.remove(db);
            }
            self.programs.retain(|one| !one.dbs.is_empty());
        }
        self.shadow(db).map(drop)
    }

    /// The statements to run, in the shadows' names.
    fn renamed(
        &mut self,
        statement: &Statement,
        query: &Query<'_>,
        sql: &str,
        modes: Modes,
        id: &str,
    ) -> Result<Vec<String>, ClusterError> {
        let place = |s: &Self, t: &TableName| {
            let names = InShadows(&s.shadows);
            table(&names.of(&t.db), &t.table)
        };
        match statement {
            Statement::DropTables { tables, .. } => {
                // One statement: tables that refer to each other go only together.
                let chosen = tables.iter().filter(|t| self.wanted(t));
                let list: Vec<String> = chosen.map(|t| place(self, t)).collect();
                let drop = (!list.is_empty()).then(|| format!("DROP TABLE IF EXISTS {}", list.join(", ")));
                return Ok(drop.into_iter().collect());
            }
            Statement::RenameTables(pairs) if pairs.iter().any(|(a, b)| self.wanted(a) != self.wanted(b)) => {
                let mut out = Vec::new();
                for (from, to) in pairs {
                    match (self.wanted(from), self.wanted(to)) {
                        (true, true) => out.push(format!("RENAME TABLE {} TO {}", place(self, from), place(self, to))),
                        (true, false) => out.push(format!("DROP TABLE IF EXISTS {}", place(self, from))),
                        (false, false) => {}
                        (false, true) => return Err(not_chosen(from, to, id)),
                    }
                }
                return Ok(out);
            }
            Statement::DropDatabase { db, .. } => {
                let shadow = InShadows(&self.shadows).of(db);
                return Ok(vec![format!("DROP DATABASE IF EXISTS {}", ident(&shadow))]);
            }
            Statement::CreateDatabase { db, .. } => {
                let shadow = InShadows(&self.shadows).of(db);
                let create =
                    rename(sql, &query.db, modes, &InShadows(&self.shadows)).map_err(|why| odd(id, sql, &why))?;
                return Ok(vec![format!("DROP DATABASE IF EXISTS {}", ident(&shadow)), create]);
            }
            _ => {}
        }
        if let Some(other) = statement.tables().into_iter().find(|t| !self.wanted(t)) {
            let chosen = statement.tables().into_iter().find(|t| self.wanted(t));
            return match chosen {
                Some(chosen) => Err(not_chosen(other, chosen, id)),
                None => Ok(Vec::new()),
            };
        }
        let renamed = rename(sql, &query.db, modes, &InShadows(&self.shadows)).map_err(|why| odd(id, sql, &why))?;
        Ok(vec![renamed])
    }

    fn execute(
        &mut self,
        statement: &Statement,
        query: &Query<'_>,
        (sql, modes): (&str, Modes),
        linked: bool,
        id: &str,
    ) -> Result<(), ClusterError> {
        let run = Run {
            query,
            sql,
            shadow: self.shadows.shadow(&query.db),
            id,
            modes,
            built: statement.tables().first().and_then(|t| self.shadows.place(t)),
        };
        self.sessions.set_up(&mut self.conn, &run)?;
        if linked {
            let unchecked = self.conn.run("SET SESSION foreign_key_checks = 0");
            unchecked.map_err(|e| e.doing(format!("setting up a session for the statement of transaction {id}")))?;
        }
        match self.conn.run(sql) {
            Ok(_) => {}
            // It ended with an error at the source too.
            Err(e) if query.error != 0 && e.code().is_some() => {}
            Err(e) => {
                let text = crate::model::text::safe(sql, 160);
                return Err(e.doing(format!("replaying the statement of transaction {id}: {text}")));
            }
        }
        steps::reset(&mut self.conn)
    }
}

/// A program of the log, in words.
fn what(kind: ProgramKind, names: &[TableName]) -> String {
    let list: Vec<String> = names.iter().map(ToString::to_string).collect();
    format!("{kind:?} {} of the log", list.join(", "))
}
