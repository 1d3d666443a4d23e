//! What the switch will do, worked out before its first step.
//!
//! Order: the triggers of tables that move, and views in their places; all tables at once; the marker in the server's log;
//! other live programs that are replaced; foreign keys between restored and other tables; accounts with the global variables
//! that say which there can be, programs, grants and events; what was put aside is dropped; and at the very end come all
//! other global variables, when nothing is left that one of them could stop. The marker comes behind the tables: a
//! switch that fails before has not ended the history that the log backup goes on with.
//!
//! *Invariant: whatever is done before the tables move can be undone (see [`super::back`]), and whatever is done behind them
//! may fail: then it becomes a remark. So a restore never stands half switched for another reason than a lost connection.*

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::mysql::schema::create::SequenceColumn;
use crate::cluster::mysql::schema::definition::{DefinitionText, kind};
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{ClusterError, RestoreAsk, RestoreScope};
use crate::model::definition::Definition;
use crate::model::table::TableName;

use super::accounts::{Accounts, Logged};
use super::links::{self, Inward, Taken};
use super::live;
use super::names::{Shadows, is_system, target_db};
use super::outside::Links;
use super::programs::{self, Program};
use super::rename::Move;
use super::routines;
use super::steps::{GONE, Step, there};

/// All that a switch is worked out from.
pub(super) struct Switch<'a> {
    pub ask: &'a RestoreAsk,
    pub shadows: &'a Shadows,
    /// The foreign keys to tables that are not restored.
    pub links: Links,
    /// The tables that are built, by their names at the source.
    pub built: &'a [TableName],
    /// Their columns that take values of sequences, by the sequences' names in the shadows.
    pub sequence_defaults: &'a [(TableName, SequenceColumn)],
    /// The statements that make tables anew which merge others.
    pub merges: Vec<String>,
    /// What the backup holds besides tables, after what the log did to databases.
    pub definitions: &'a [Definition],
    /// What the log did to programs, in order.
    pub logged_programs: Vec<Program>,
    /// What the log did to accounts.
    pub logged_accounts: Vec<Logged>,
}

/// What stands before a statement that failed.
const LINK: &str = "a link to another table was lost";

/// Parts of the names of global variables without which accounts, roles or programs of the source cannot be made.
const OF_ACCOUNTS: [&str; 5] = ["password", "auth", "role", "partial_revokes", "trust_function_creators"];
/// Global variables that depend on how a server is reached.
const WAY_IN: [&str; 2] = ["require_secure_transport", "proxy_protocol_networks"];

fn attempt(what: &str, statements: Vec<String>, done: &[u16]) -> Step {
    Step::Try {
        what: what.to_owned(),
        statements,
        done: done.to_vec(),
    }
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

    /// The steps, and what is left out. What can be tried beforehand is tried here: a refusal leaves the target as it is.
    pub fn steps(self, conn: &mut Conn) -> Result<(Vec<Step>, Vec<String>), ClusterError> {
        let live_dbs = databases(conn)?;
        let source_dbs = self.source_dbs();
        let touched: BTreeSet<String> = match self.whole() {
            true => live_dbs
                .iter()
                .cloned()
                .chain(source_dbs.iter().map(|d| target_db(self.ask, d)))
                .collect(),
            false if self.ask.scope == RestoreScope::Exactly => live_dbs.clone(),
            false => self.built.iter().map(|t| self.target(t).db).collect(),
        };
        let dbs: Vec<&str> = touched.iter().map(String::as_str).collect();
        let live = there(conn, &dbs)?;
        let moves = self.moves(&live);
        let moving: BTreeSet<&TableName> = moves.iter().map(|m| &m.place).collect();
        if let Some(taken) = moves.iter().find(|m| m.absent && live.contains_key(&m.place)) {
            return Err(ClusterError::TableExists(taken.place.clone()));
        }
        let taken = Taken::read(conn, &moves.iter().map(|m| m.place.db.as_str()).collect(), &moving)?;
        let inward = Inward::read(conn, &moving)?;
        links::probe(conn, self.shadows, &moves, &inward)?;
        let mut remarks: Vec<String> = inward.iter().map(Inward::said).collect();

        let (databases, altered) = self.make_databases(&moves, &source_dbs, &live_dbs)?;
        let mut steps = vec![databases];
        let unnamed = links::other_names(conn, &moves, &taken)?;
        steps.push(run("giving constraints other names", unnamed, GONE));
        let live_programs = live::in_the_way(conn, &live, &moving, self.whole())?;
        let (mut programs, mut events) = self.programs(&mut remarks)?;
        let now = self.collations(conn, &live_dbs, &source_dbs)?;
        remarks.extend(self.kept_options(&now)?);
        programs.iter_mut().chain(&mut events).for_each(|p| surround(p, &now));
        let (old, old_events) = (live::namesakes(conn, &programs)?, live::namesakes(conn, &events)?);
        steps.push(live_programs.first);
        let relinked = inward.iter().flat_map(Inward::statements).collect();
        let aside: BTreeSet<String> = moves.iter().map(|m| m.aside.db.clone()).collect();
        steps.push(Step::Rename(moves));
        steps.push(Step::Marker);
        steps.push(attempt("a database keeps its old character set", altered, &[]));
        steps.push(attempt(
            "something of before the restore is still there",
            live_programs.later,
            &[],
        ));
        let merges = self.merges.clone();
        steps.push(attempt(
            "a table that merges others is lacking or incomplete",
            merges,
            &[],
        ));
        // First: a table whose column names a sequence that has moved away cannot be altered.
        let sources = self
            .sequence_defaults
            .iter()
            .map(|(name, column)| self.sequence(name, column));
        let others: BTreeSet<String> = sources.map(|s| self.target(&s).db).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let sequences_there = there(conn, &others)?;
        let gone = |sequence: &TableName| self.whole() || !sequences_there.contains_key(sequence);
        let sequences = self.sequence_links(&gone, &mut remarks);
        steps.push(attempt("a column lost its sequence", sequences, &[]));
        steps.push(attempt(LINK, relinked, GONE));
        steps.push(attempt(LINK, self.links_out(conn, &taken)?, GONE));
        let (accounts, globals) = match self.whole() {
            true => self.globals(&mut remarks)?,
            false => (Vec::new(), Vec::new()),
        };
        let grants = match self.whole() {
            true => {
                steps.push(Step::Globals(accounts));
                self.server_steps(conn, &mut steps, &mut remarks)?
            }
            false => None,
        };
        let kept = match grants {
            Some(_) => Vec::new(),
            None => routines::grants_on(conn, &programs)?,
        };
        steps.push(Step::Programs { list: programs, old });
        steps.extend(grants);
        steps.push(attempt(
            "a privilege on a routine is lost",
            kept,
            &[programs::NO_ROUTINE],
        ));
        steps.push(Step::Programs {
            list: events,
            old: old_events,
        });
        let mut gone: Vec<String> = Vec::new();
        if self.whole() {
            let kept: BTreeSet<String> = source_dbs.iter().map(|d| target_db(self.ask, d)).collect();
            gone.extend(live_dbs.difference(&kept).cloned());
        }
        let drops = self.drops(&aside, &gone);
        steps.push(attempt(
            "something that was replaced could not be dropped",
            drops,
            &[1008],
        ));
        steps.push(Step::Globals(globals));
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
            let Some(built) = self.shadows.place(source) else {
                continue;
            };
            let place = self.target(source);
            moves.push(Move {
                built: Some(built),
                aside: aside_of(&place),
                place,
                absent: self.ask.spares,
            });
        }
        let goes = |name: &TableName| match self.ask.scope {
            RestoreScope::Whole => true,
            RestoreScope::Exactly => self.ask.filter.matches(name),
            RestoreScope::Tables => false,
        };
        if self.ask.scope != RestoreScope::Tables {
            let places: BTreeSet<TableName> = moves.iter().map(|m| m.place.clone()).collect();
            let going = live
                .iter()
                .filter(|(name, view)| !**view && !places.contains(*name) && goes(name));
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

    /// The step that makes the databases, and the statements that give those which are there their character sets.
    fn make_databases(
        &self,
        moves: &[Move],
        source_dbs: &BTreeSet<String>,
        live: &BTreeSet<String>,
    ) -> Result<(Step, Vec<String>), ClusterError> {
        let (mut statements, mut altered) = (Vec::new(), Vec::new());
        let mut made = BTreeSet::new();
        for db in source_dbs {
            let (target, options) = (target_db(self.ask, db), options_of(self.definitions, db)?);
            statements.push(format!("CREATE DATABASE IF NOT EXISTS {}{options}", ident(&target)));
            if self.whole() && !options.is_empty() {
                altered.push(format!("ALTER DATABASE {}{options}", ident(&target)));
            }
            made.insert(target);
        }
        for db in moves.iter().flat_map(|m| [&m.place.db, &m.aside.db]) {
            if made.insert(db.clone()) {
                statements.push(format!("CREATE DATABASE IF NOT EXISTS {}", ident(db)));
            }
        }
        let made = made
            .into_iter()
            .filter(|d| !live.contains(d) && !is_system(d))
            .collect();
        Ok((Step::Databases { statements, made }, altered))
    }

    /// Foreign keys of restored tables to tables that were not chosen: by name, to what the target has.
    fn links_out(&self, conn: &mut Conn, taken: &Taken) -> Result<Vec<String>, ClusterError> {
        let mut out = Vec::new();
        for (child, keys) in self.links.iter().filter(|(child, _)| self.built.contains(child)) {
            let Some(built) = self.shadows.place(child) else {
                continue;
            };
            let built = links::defined(conn, &built)?;
            for key in keys {
                let parent = TableName::new(key.db.as_deref().unwrap_or(&child.db), key.table.clone());
                let (place, parent) = (self.target(child), self.target(&parent));
                let place_text = table(&place.db, &place.table);
                let clause = match &key.name {
                    None => key.clause(&parent.db, &parent.table),
                    Some(name) => {
                        let name = ident(&taken.free(&place.db, name));
                        out.push(format!("ALTER TABLE {place_text} DROP FOREIGN KEY {name}"));
                        let keep = |built| links::keep_keys(built, key, key.name.as_deref(), &place_text);
                        out.extend(built.iter().flat_map(keep));
                        let unnamed = key.unnamed(&parent.db, &parent.table);
                        let body = unnamed.strip_prefix("ADD ").unwrap_or(&unnamed);
                        format!("ADD CONSTRAINT {name} {body}")
                    }
                };
                out.push(format!("ALTER TABLE {place_text} {clause}"));
            }
        }
        Ok(out)
    }

    /// The sequence of a default, by its name at the source.
    fn sequence(&self, name: &TableName, column: &SequenceColumn) -> TableName {
        let db = column.db.as_deref().unwrap_or(&name.db);
        TableName::new(self.shadows.source(db).unwrap_or(db), column.sequence.clone())
    }

    /// A default names its sequence with the database, which has another name now. One whose sequence is gone, at the source
    /// too, goes as well: it would keep the name of a shadow, and the others of its table with it.
    fn sequence_links(&self, gone: &dyn Fn(&TableName) -> bool, remarks: &mut Vec<String>) -> Vec<String> {
        let mut clauses: BTreeMap<TableName, Vec<String>> = BTreeMap::new();
        for (name, column) in self.sequence_defaults {
            let source = self.sequence(name, column);
            let (place, sequence) = (self.target(name), self.target(&source));
            let clause = match !self.built.contains(&source) && gone(&sequence) {
                true => {
                    remarks.push(format!(
                        "{place} lost a default: the sequence {sequence} that it names does not exist"
                    ));
                    column.clause_without()
                }
                false => column.clause(&sequence.db, &sequence.table),
            };
            clauses.entry(place).or_default().push(clause);
        }
        // All columns of a table at once: none may be left with the old name.
        let links = clauses.iter();
        links
            .map(|(place, list)| format!("ALTER TABLE {} {}", table(&place.db, &place.table), list.join(", ")))
            .collect()
    }

    /// The collations and options that the databases have when programs are made, by their names at the target.
    fn collations(
        &self,
        conn: &mut Conn,
        live: &BTreeSet<String>,
        source_dbs: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, (String, String)>, ClusterError> {
        let mut out = BTreeMap::new();
        for db in source_dbs {
            let target = target_db(self.ask, db);
            let found = if !self.whole() && live.contains(&target) {
                let shown = conn
                    .row(&format!("SHOW CREATE DATABASE {}", ident(&target)))
                    .map_err(|e| e.doing(format!("reading the definition of {target}")))?;
                let create = shown.map(|r| r.text(1)).unwrap_or_default();
                let options = create.strip_prefix(&format!("CREATE DATABASE {}", ident(&target)));
                collation_of(conn, &target)?.zip(options.map(str::to_owned))
            } else {
                let own = self
                    .definitions
                    .iter()
                    .find(|d| d.kind == kind::DATABASE && d.name == *db);
                let made = own.map(|d| DefinitionText::parse(&d.text)).transpose()?;
                let collation = made.and_then(|m| m.db_collation);
                collation.zip(Some(options_of(self.definitions, db)?))
            };
            out.extend(
                found
                    .filter(|(_, options)| !options.is_empty())
                    .map(|found| (target, found)),
            );
        }
        Ok(out)
    }

    /// Databases whose tables are all chosen, and whose character set is not what it was: only tables are replaced.
    fn kept_options(&self, now: &BTreeMap<String, (String, String)>) -> Result<Vec<String>, ClusterError> {
        let mut said = Vec::new();
        for db in self.source_dbs() {
            let (target, was) = (target_db(self.ask, &db), options_of(self.definitions, &db)?);
            let other = now.get(&target).is_some_and(|(_, options)| *options != was);
            if other && !was.is_empty() && self.ask.filter.takes_database(&db) {
                said.push(format!(
                    "{target} keeps the character set that it has for new tables; for that of {db} at that moment: \
                     ALTER DATABASE {}{was}",
                    ident(&target)
                ));
            }
        }
        Ok(said)
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
                // Nobody asked for anything of other databases.
                None if !self.whole() && !self.built.iter().any(|t| t.db == *db) => {}
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
        let (logged_events, logged): (Vec<_>, Vec<_>) = self.logged_programs.iter().cloned().partition(|p| p.event);
        programs.extend(logged);
        events.extend(logged_events);
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

    /// The statements for global variables: those that say which accounts and grants there can be, and all others.
    fn globals(&self, remarks: &mut Vec<String>) -> Result<(Vec<String>, Vec<String>), ClusterError> {
        let (mut accounts, mut others) = (Vec::new(), Vec::new());
        for definition in self.definitions.iter().filter(|d| d.kind == kind::GLOBAL) {
            let name = definition.name.to_ascii_lowercase();
            if WAY_IN.contains(&name.as_str()) {
                remarks.push(format!(
                    "the global variable {name} was left as the target has it: it says who can connect, brine too"
                ));
                continue;
            }
            let list = match OF_ACCOUNTS.iter().any(|part| name.contains(part)) {
                true => &mut accounts,
                false => &mut others,
            };
            list.extend(DefinitionText::parse(&definition.text)?.statements);
        }
        Ok((accounts, others))
    }

    /// What belongs to the server as a whole; gives the step that is done behind the programs.
    fn server_steps(
        &self,
        conn: &mut Conn,
        steps: &mut Vec<Step>,
        remarks: &mut Vec<String>,
    ) -> Result<Option<Step>, ClusterError> {
        let accounts = Accounts::new(conn, self.definitions, self.logged_accounts.clone())?;
        if accounts.is_empty() {
            remarks.push("the backup holds no accounts: those of the target stay as they are".to_owned());
            return Ok(None);
        }
        // Before the programs: one that a live program names as its definer could not be made anew.
        steps.push(Step::NewAccounts(accounts.clone()));
        Ok(Some(Step::Accounts(accounts)))
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

/// A program that was made while its database had another collation is made so again.
fn surround(program: &mut Program, now: &BTreeMap<String, (String, String)>) {
    let Some((db, collation)) = &program.collation else {
        return;
    };
    if let Some((has, options)) = now.get(db)
        && !has.eq_ignore_ascii_case(collation)
    {
        let name = ident(db);
        let before = format!("ALTER DATABASE {name} COLLATE {}", ident(collation));
        program.around = Some((before, format!("ALTER DATABASE {name}{options}")));
    }
}

/// The collation of a database.
pub(super) fn collation_of(conn: &mut Conn, db: &str) -> Result<Option<String>, ClusterError> {
    let name = string(db);
    let row = conn
        .row(&format!(
            "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = {name}"
        ))
        .map_err(|e| e.doing(format!("reading the collation of {db}")))?;
    Ok(row.and_then(|r| r.opt(0)))
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
