//! What the switch will do, worked out before its first step.
//!
//! Order: live programs that are replaced, and the triggers of tables that move; all tables at once; the marker in the
//! server's log; foreign keys between restored and other tables; programs; accounts and global variables; and at the very
//! end what was put aside is dropped. The marker comes behind the tables: a switch that fails before has not ended the
//! history that the log backup goes on with.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::mysql::schema::definition::{DefinitionText, kind};
use crate::cluster::mysql::schema::table::TableKind;
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{ClusterError, RestoreAsk, RestoreScope};
use crate::model::definition::Definition;
use crate::model::table::TableName;

use super::accounts::{Accounts, Logged};
use super::create::{CreateTable, SequenceColumn};
use super::names::{Shadows, is_system, target_db};
use super::programs::{self, Program};
use super::state::KnownTable;
use super::steps::{Move, Step, there};

/// There is no such key, column or table (any more).
const GONE: &[u16] = &[1091, 1146];

/// All that a switch is worked out from.
pub(super) struct Switch<'a> {
    pub ask: &'a RestoreAsk,
    pub shadows: &'a Shadows,
    /// The tables that were defined from the backup.
    pub known: &'a [KnownTable],
    /// The tables that are built, by their names at the source.
    pub built: &'a [TableName],
    /// Their columns that take values of sequences, by the sequences' names in the shadows.
    pub sequence_defaults: &'a [(TableName, SequenceColumn)],
    /// What the backup holds besides tables, after what the log did to databases.
    pub definitions: &'a [Definition],
    /// What the log did to programs, in order.
    pub logged_programs: Vec<Program>,
    /// What the log did to accounts.
    pub logged_accounts: Vec<Logged>,
}

fn run(what: &str, statements: Vec<String>, done: &[u16]) -> Step {
    Step::Run {
        what: what.to_owned(),
        statements,
        done: done.to_vec(),
    }
}

impl Switch<'_> {
    fn whole(&self) -> bool {
        self.ask.scope == RestoreScope::Whole
    }

    fn target(&self, name: &TableName) -> TableName {
        self.ask.rename.apply(name)
    }

    /// The steps, and what is left out.
    pub fn steps(self, conn: &mut Conn) -> Result<(Vec<Step>, Vec<String>), ClusterError> {
        let live_dbs = databases(conn)?;
        let source_dbs = self.source_dbs();
        let touched: BTreeSet<String> = match self.whole() {
            true => live_dbs
                .iter()
                .cloned()
                .chain(source_dbs.iter().map(|d| target_db(self.ask, d)))
                .collect(),
            false => self.built.iter().map(|t| self.target(t).db).collect(),
        };
        let dbs: Vec<&str> = touched.iter().map(String::as_str).collect();
        let live = there(conn, &dbs)?;
        let moves = self.moves(&live);
        let moving: BTreeSet<&TableName> = moves.iter().map(|m| &m.place).collect();
        if let Some(taken) = moves.iter().find(|m| m.absent && live.contains_key(&m.place)) {
            return Err(ClusterError::TableExists(taken.place.clone()));
        }
        let mut remarks = Vec::new();

        let mut steps = vec![run(
            "making the databases",
            self.make_databases(&moves, &source_dbs)?,
            &[],
        )];
        let unnamed = other_names(conn, &moves, &moving)?;
        steps.push(run("giving foreign keys other names", unnamed, GONE));
        let taken = self.take_away(conn, &live, &moving)?;
        steps.push(run("taking away what is replaced", taken, GONE));
        let relinked = outside_links(conn, &moving)?;
        let aside: BTreeSet<String> = moves.iter().map(|m| m.aside.db.clone()).collect();
        steps.push(Step::Rename(moves));
        steps.push(Step::Marker);
        steps.push(Step::Links(relinked));
        steps.push(Step::Links(self.links_out()?));
        steps.push(run("linking sequences", self.sequence_links(), &[]));
        let (programs, events) = self.programs(&mut remarks)?;
        steps.push(Step::Programs(programs));
        if self.whole() {
            self.server_steps(&mut steps, &mut remarks)?;
        }
        steps.push(Step::Programs(events));
        let mut gone: Vec<String> = Vec::new();
        if self.whole() {
            let kept: BTreeSet<String> = source_dbs.iter().map(|d| target_db(self.ask, d)).collect();
            gone.extend(live_dbs.difference(&kept).cloned());
        }
        steps.push(run("dropping what was put aside", self.drops(&aside, &gone), &[1008]));
        Ok((steps, remarks))
    }

    fn source_dbs(&self) -> BTreeSet<String> {
        if !self.whole() {
            return self.built.iter().map(|t| t.db.clone()).collect();
        }
        let defined = self.definitions.iter().filter(|d| d.kind == kind::DATABASE);
        let named = defined.map(|d| d.name.clone()).filter(|d| !is_system(d));
        named.chain(self.shadows.of.keys().cloned()).collect()
    }

    fn moves(&self, live: &BTreeMap<TableName, bool>) -> Vec<Move> {
        let mut aside: BTreeMap<String, String> = BTreeMap::new();
        let mut aside_of = |place: &TableName| {
            let k = aside.len();
            let db = aside.entry(place.db.clone()).or_insert_with(|| self.shadows.aside(k));
            TableName::new(db.clone(), place.table.clone())
        };
        let mut moves: Vec<Move> = Vec::new();
        for source in self.built {
            let Some(shadow) = self.shadows.shadow(&source.db) else {
                continue;
            };
            let place = self.target(source);
            moves.push(Move {
                built: Some(TableName::new(shadow, source.table.clone())),
                aside: aside_of(&place),
                place,
                absent: self.ask.spares,
            });
        }
        if self.whole() {
            let places: BTreeSet<TableName> = moves.iter().map(|m| m.place.clone()).collect();
            let going = live.iter().filter(|(name, view)| !**view && !places.contains(*name));
            for (place, _) in going {
                moves.push(Move {
                    built: None,
                    place: place.clone(),
                    aside: aside_of(place),
                    absent: false,
                });
            }
        }
        moves
    }

    /// Live programs that go: of a whole restore all of them, else what stands in the way of the tables.
    fn take_away(
        &self,
        conn: &mut Conn,
        live: &BTreeMap<TableName, bool>,
        moving: &BTreeSet<&TableName>,
    ) -> Result<Vec<String>, ClusterError> {
        let mut out = Vec::new();
        let whole = self.whole();
        let mut list = |sql: &str, what: &str| -> Result<(), ClusterError> {
            let rows = conn
                .rows(sql)
                .map_err(|e| e.doing(format!("listing live {}s", what.to_lowercase())))?;
            for row in rows {
                let (db, name) = (row.text(0), row.text(1));
                let on = TableName::new(db.clone(), row.text(2));
                if !is_system(&db) && (whole || moving.contains(&on)) {
                    out.push(format!("DROP {what} IF EXISTS {}.{}", ident(&db), ident(&name)));
                }
            }
            Ok(())
        };
        list(
            "SELECT trigger_schema, trigger_name, event_object_table FROM information_schema.triggers",
            "TRIGGER",
        )?;
        if whole {
            list(
                "SELECT event_schema, event_name, '' FROM information_schema.events",
                "EVENT",
            )?;
            for what in ["PROCEDURE", "FUNCTION", "PACKAGE BODY", "PACKAGE"] {
                let sql = format!(
                    "SELECT routine_schema, routine_name, '' FROM information_schema.routines WHERE routine_type = '{what}'"
                );
                list(&sql, what)?;
            }
        }
        // Packages are known by name only to sessions of this mode.
        if let Some(first) = out.iter().position(|s| s.starts_with("DROP PACKAGE")) {
            out.insert(first, "SET SESSION sql_mode = 'ORACLE'".to_owned());
            out.push("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'".to_owned());
        }
        let views = live
            .iter()
            .filter(|(name, view)| **view && (whole || moving.contains(name)));
        out.extend(views.map(|(v, _)| format!("DROP VIEW IF EXISTS {}", table(&v.db, &v.table))));
        Ok(out)
    }

    fn make_databases(&self, moves: &[Move], source_dbs: &BTreeSet<String>) -> Result<Vec<String>, ClusterError> {
        let mut out = Vec::new();
        let mut made = BTreeSet::new();
        for db in source_dbs {
            let (target, options) = (target_db(self.ask, db), options_of(self.definitions, db)?);
            out.push(format!("CREATE DATABASE IF NOT EXISTS {}{options}", ident(&target)));
            if self.whole() && !options.is_empty() {
                out.push(format!("ALTER DATABASE {}{options}", ident(&target)));
            }
            made.insert(target);
        }
        for m in moves {
            if made.insert(m.place.db.clone()) {
                out.push(format!("CREATE DATABASE IF NOT EXISTS {}", ident(&m.place.db)));
            }
            if made.insert(m.aside.db.clone()) {
                out.push(format!("CREATE DATABASE IF NOT EXISTS {}", ident(&m.aside.db)));
            }
        }
        Ok(out)
    }

    /// Foreign keys of restored tables to tables that were not chosen, and defaults from such sequences: by name, to what the
    /// target has.
    fn links_out(&self) -> Result<Vec<String>, ClusterError> {
        let mut out = Vec::new();
        for known in self.known.iter().filter(|k| self.built.contains(&k.name)) {
            if known.schema.kind == TableKind::Sequence {
                continue;
            }
            for key in CreateTable::parse(&known.schema.create)?.foreign_keys() {
                let parent = TableName::new(key.db.as_deref().unwrap_or(&known.name.db), key.table.clone());
                if self.known.iter().any(|k| k.name == parent) {
                    continue;
                }
                let (place, parent) = (self.target(&known.name), self.target(&parent));
                let clause = key.clause(&parent.db, &parent.table);
                if let Some(name) = &key.name {
                    let place = table(&place.db, &place.table);
                    out.push(format!("ALTER TABLE {place} DROP FOREIGN KEY {}", ident(name)));
                }
                out.push(format!("ALTER TABLE {} {clause}", table(&place.db, &place.table)));
            }
            for column in CreateTable::parse(&known.schema.create)?.sequence_columns() {
                let db = column.db.as_deref().unwrap_or(&known.name.db);
                let sequence = TableName::new(db, column.sequence.clone());
                if self.known.iter().any(|k| k.name == sequence) {
                    continue;
                }
                let (place, sequence) = (self.target(&known.name), self.target(&sequence));
                let clause = column.clause(&sequence.db, &sequence.table);
                out.push(format!("ALTER TABLE {} {clause}", table(&place.db, &place.table)));
            }
        }
        Ok(out)
    }

    /// A default names its sequence with the database, which has another name now.
    fn sequence_links(&self) -> Vec<String> {
        let links = self.sequence_defaults.iter().map(|(name, column)| {
            let db = column.db.as_deref().unwrap_or_default();
            let source = self.shadows.source(db).unwrap_or(db);
            let sequence = self.target(&TableName::new(source, column.sequence.clone()));
            let place = self.target(name);
            let clause = column.clause(&sequence.db, &sequence.table);
            format!("ALTER TABLE {} {clause}", table(&place.db, &place.table))
        });
        links.collect()
    }

    /// Programs, and apart from them events, which come last.
    fn programs(&self, remarks: &mut Vec<String>) -> Result<(Vec<Program>, Vec<Program>), ClusterError> {
        let (mut programs, mut events) = (Vec::new(), Vec::new());
        let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
        for definition in self.definitions {
            let (Some(db), Some(_)) = (&definition.db, programs::word(&definition.kind)) else {
                continue;
            };
            if is_system(db) {
                continue;
            }
            match self.place_of(definition, db)? {
                Some(target) => {
                    let list = match definition.kind.as_str() {
                        kind::EVENT => &mut events,
                        _ => &mut programs,
                    };
                    list.extend(programs::of_backup(definition, &target)?);
                }
                None => *skipped.entry(definition.kind.as_str()).or_default() += 1,
            }
        }
        if !skipped.is_empty() {
            let list: Vec<String> = skipped
                .iter()
                .filter_map(|(k, n)| Some(format!("{n} {}", programs::word(k)?.to_lowercase())))
                .collect();
            remarks.push(format!(
                "not restored, because they are not chosen or would act under a new name: {}",
                list.join(", ")
            ));
        }
        programs.extend(self.logged_programs.iter().cloned());
        Ok((programs, events))
    }

    /// The database that a program is made in; `None` when it is left out.
    ///
    /// What only reads may go under another name; a trigger or an event would act on the live database by its name.
    fn place_of(&self, definition: &Definition, db: &str) -> Result<Option<String>, ClusterError> {
        let own = TableName::new(db, definition.name.clone());
        let target = target_db(self.ask, db);
        let chosen = self.whole() || self.ask.filter.matches(&own);
        Ok(match definition.kind.as_str() {
            kind::TRIGGER => {
                let made = DefinitionText::parse(&definition.text)?;
                let on = TableName::new(db, made.table.unwrap_or_default());
                let kept = self.built.contains(&on) && self.target(&on) == on;
                kept.then_some(target)
            }
            kind::EVENT => (chosen && target == db).then_some(target),
            _ => chosen.then_some(target),
        })
    }

    /// What belongs to the server as a whole.
    fn server_steps(&self, steps: &mut Vec<Step>, remarks: &mut Vec<String>) -> Result<(), ClusterError> {
        // Some of them say which accounts and grants there can be.
        let globals = self.definitions.iter().filter(|d| d.kind == kind::GLOBAL);
        let mut statements = Vec::new();
        for definition in globals {
            statements.extend(DefinitionText::parse(&definition.text)?.statements);
        }
        steps.push(Step::Globals(statements));
        let accounts = Accounts::new(self.definitions, self.logged_accounts.clone())?;
        match accounts.is_empty() {
            true => remarks.push("the backup holds no accounts: those of the target stay as they are".to_owned()),
            false => steps.push(Step::Accounts(accounts)),
        }
        Ok(())
    }

    /// What is dropped in the end: shadows, what was put aside, databases that the source did not have.
    fn drops(&self, aside: &BTreeSet<String>, gone: &[String]) -> Vec<String> {
        aside
            .iter()
            .chain(self.shadows.of.values())
            .chain(gone)
            .map(|db| format!("DROP DATABASE IF EXISTS {}", ident(db)))
            .collect()
    }
}

/// The databases of users.
pub(super) fn databases(conn: &mut Conn) -> Result<BTreeSet<String>, ClusterError> {
    let rows = conn
        .rows("SELECT schema_name FROM information_schema.schemata")
        .map_err(|e| e.doing("listing databases"))?;
    Ok(rows.iter().map(|r| r.text(0)).filter(|d| !is_system(d)).collect())
}

/// What stands behind the name in a database's definition: its character set and collation.
pub(super) fn options_of(definitions: &[Definition], db: &str) -> Result<String, ClusterError> {
    let found = definitions.iter().find(|d| d.kind == kind::DATABASE && d.name == db);
    let Some(found) = found else {
        return Ok(String::new());
    };
    let made = DefinitionText::parse(&found.text)?;
    let create = made.statements.first().map(String::as_str).unwrap_or_default();
    let options = create.strip_prefix(&format!("CREATE DATABASE {}", ident(db)));
    Ok(options.map(str::trim_end).unwrap_or_default().to_owned())
}

/// Foreign keys are named once in a database: a built table loses the names that a table which stays has there.
fn other_names(conn: &mut Conn, moves: &[Move], moving: &BTreeSet<&TableName>) -> Result<Vec<String>, ClusterError> {
    let dbs: BTreeSet<&str> = moves.iter().map(|m| m.place.db.as_str()).collect();
    let mut taken: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for db in dbs {
        let sql = format!(
            "SELECT constraint_name, table_name FROM information_schema.table_constraints \
             WHERE table_schema = {} AND constraint_type = 'FOREIGN KEY'",
            string(db)
        );
        let rows = conn.rows(&sql).map_err(|e| e.doing("listing foreign keys"))?;
        let staying = rows.iter().filter(|r| !moving.contains(&TableName::new(db, r.text(1))));
        taken.insert(db, staying.map(|r| r.text(0)).collect());
    }
    let mut out = Vec::new();
    for m in moves {
        let taken = taken.get(m.place.db.as_str()).filter(|names| !names.is_empty());
        let (Some(built), Some(taken)) = (m.built.as_ref(), taken) else {
            continue;
        };
        let name = table(&built.db, &built.table);
        let shown = match conn.row(&format!("SHOW CREATE TABLE {name}")) {
            Ok(row) => row.map(|r| r.text(1)).unwrap_or_default(),
            Err(e) => return Err(e.doing(format!("reading the definition of {built}"))),
        };
        if !shown.starts_with("CREATE TABLE") {
            continue;
        }
        for key in CreateTable::parse(&shown)?.foreign_keys() {
            let Some(own) = key.name.as_ref().filter(|own| taken.contains(*own)) else {
                continue;
            };
            let clause = key.unnamed(key.db.as_deref().unwrap_or(&built.db), &key.table);
            out.push(format!("ALTER TABLE {name} DROP FOREIGN KEY {}, {clause}", ident(own)));
        }
    }
    Ok(out)
}

/// Statements that give live tables, which stay, their foreign keys to replaced ones anew: a key follows the table that
/// moves away.
fn outside_links(conn: &mut Conn, moving: &BTreeSet<&TableName>) -> Result<Vec<String>, ClusterError> {
    let rows = conn
        .rows(
            "SELECT DISTINCT table_schema, table_name, constraint_name, referenced_table_schema, referenced_table_name \
             FROM information_schema.key_column_usage WHERE referenced_table_name IS NOT NULL",
        )
        .map_err(|e| e.doing("listing foreign keys"))?;
    let mut out = Vec::new();
    for row in rows {
        let child = TableName::new(row.text(0), row.text(1));
        let parent = TableName::new(row.text(3), row.text(4));
        if is_system(&child.db) || moving.contains(&child) || !moving.contains(&parent) {
            continue;
        }
        let name = table(&child.db, &child.table);
        let shown = conn
            .row(&format!("SHOW CREATE TABLE {name}"))
            .map_err(|e| e.doing(format!("reading the definition of {child}")))?;
        let create = CreateTable::parse(&shown.map(|r| r.text(1)).unwrap_or_default())?;
        let key = row.text(2);
        let found = create.foreign_keys().find(|f| f.name.as_deref() == Some(&key));
        if let Some(found) = found {
            out.push(format!("ALTER TABLE {name} DROP FOREIGN KEY {}", ident(&key)));
            out.push(format!(
                "ALTER TABLE {name} {}",
                found.clause(&parent.db, &parent.table)
            ));
        }
    }
    Ok(out)
}

/// All databases of a restore, as the server has them.
pub(super) fn own_databases(conn: &mut Conn, prefix: &str) -> Result<Vec<String>, ClusterError> {
    let sql = format!(
        "SELECT schema_name FROM information_schema.schemata WHERE LEFT(schema_name, {}) = {}",
        prefix.len(),
        string(prefix)
    );
    let rows = conn.rows(&sql).map_err(|e| e.doing("listing databases"))?;
    Ok(rows.iter().map(|r| r.text(0)).collect())
}
