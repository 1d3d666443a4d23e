//! Views of the log. They go by the names that statements give them, and become what a server shows of them: each is made in
//! the shadows for a moment, over what it reads as that is then.
//!
//! *Invariants: no view stays in a shadow, and none is there while a statement of the log is run. What was shown is noted
//! before what it was shown of changes: whoever goes on after a crash finds later tables.*

use std::collections::{BTreeMap, BTreeSet};

use super::Statements;
use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::names::{Shadows, wanted};
use crate::cluster::mysql::restore::programs::{self, Program};
use crate::cluster::mysql::restore::replay::rewrite::InShadows;
use crate::cluster::mysql::restore::replay::views::{Made, Touched, View};
use crate::cluster::mysql::restore::state::{self, ShownView};
use crate::cluster::mysql::restore::steps;
use crate::cluster::mysql::schema;
use crate::cluster::mysql::schema::definition::DefinitionText;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::statement::{ProgramKind, Statement};
use crate::cluster::mysql::sql::tokens::words;
use crate::cluster::mysql::sql::view::{Moved, Places, arguments, moved};
use crate::cluster::mysql::text::table;
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::model::crash::crash_point;
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// So many functions stand in for those that a view calls.
const FUNCTIONS: usize = 64;

/// A view that is to stand in a shadow.
struct Planned {
    name: TableName,
    place: TableName,
    /// Its statement there, or why there is none.
    moved: Result<Moved, String>,
    program: Program,
    modes: Modes,
}

/// What stands in the shadows for a moment.
#[derive(Default)]
struct Standing {
    views: Vec<TableName>,
    functions: Vec<TableName>,
    /// Views that could not be made, and why.
    lacking: BTreeMap<TableName, String>,
}

impl Statements {
    /// Before a statement changes what views of the log read: shows them as they are.
    pub fn show_before(&mut self, statement: &Statement, at: (u64, u64)) -> Result<(), ClusterError> {
        match touched(statement) {
            Some(touched) => self.show(self.views.reading(touched), at),
            None => Ok(()),
        }
    }

    /// At the end: those that go under another name, which their text does not have.
    pub(super) fn show_renamed(&mut self) -> Result<(), ClusterError> {
        let rename = |name: &&TableName| self.ask.rename.apply(name) != **name;
        let names = self.views.logged().filter(rename).cloned().collect();
        self.show(names, (u64::MAX, 0))
    }

    /// Gives views new names where a statement renames any. `Some` says what is left of it for tables, with its text.
    pub(super) fn move_views(
        &mut self,
        statement: &Statement,
        sql: &str,
        modes: Modes,
    ) -> Option<Option<(Statement, String)>> {
        let pairs = match statement {
            Statement::RenameTables(pairs) => pairs.clone(),
            Statement::AlterTable {
                table,
                renamed: Some(to),
                ..
            } => vec![(table.clone(), to.clone())],
            _ => return None,
        };
        let all = pairs.len();
        let views = &mut self.views;
        let left: Vec<_> = pairs.into_iter().filter(|(from, to)| !views.rename(from, to)).collect();
        if left.len() == all {
            return None;
        }
        if left.is_empty() {
            return Some(None);
        }
        let if_exists = match words(sql, modes).get(2) {
            Some(token) if token.is("IF") => "IF EXISTS ",
            _ => "",
        };
        let quote = |t: &TableName| table(&t.db, &t.table);
        let list: Vec<String> = left
            .iter()
            .map(|(a, b)| format!("{} TO {}", quote(a), quote(b)))
            .collect();
        let text = format!("RENAME TABLE {if_exists}{}", list.join(", "));
        Some(Some((Statement::RenameTables(left), text)))
    }

    /// Takes away what a run left in the shadows that died while it stood there.
    pub(super) fn clear_views(conn: &mut Conn, shadows: &Shadows) -> Result<(), ClusterError> {
        let dbs: Vec<&str> = shadows.of.values().map(String::as_str).collect();
        let there = steps::there(conn, &dbs)?;
        let views = there.into_iter().filter(|(_, is_view)| *is_view);
        let standing = Standing {
            views: views.map(|(name, _)| name).collect(),
            ..Standing::default()
        };
        standing.clear(conn)
    }

    fn show(&mut self, names: Vec<TableName>, at: (u64, u64)) -> Result<(), ClusterError> {
        let mut todo = BTreeSet::new();
        for name in names.into_iter().filter(|name| wanted(&self.ask, name)) {
            let made_at = self.views.made_at(&name);
            match made_at.and_then(|made_at| self.shown.get(&made_at)) {
                Some(shown) => self.views.shown(&name, shown.clone()),
                // An earlier run came past here, and noted nothing.
                None if self.begun_at() > at.0 => {
                    let older = "this restore was begun by an older version of brine".to_owned();
                    self.views.shown(&name, Err(older));
                }
                None => {
                    todo.insert(name);
                }
            }
        }
        if todo.is_empty() {
            return Ok(());
        }
        let planned = self.plan(&todo)?;
        let mut standing = Standing::default();
        standing.make(&mut self.conn, &self.shadows, &planned)?;
        crash_point("mysql.restore.views-standing");
        let mut shown = Vec::new();
        for view in planned.iter().filter(|view| todo.contains(&view.name)) {
            let of_view = self.shown_of(view, &standing)?;
            let of_view = of_view.map_err(|why| of_source(why, &self.shadows));
            if let Some(made_at) = self.views.made_at(&view.name) {
                shown.push((made_at, of_view.clone()));
            }
            self.views.shown(&view.name, of_view);
        }
        standing.clear(&mut self.conn)?;
        state::add_views(&mut self.conn, self.shadows.number, &shown)?;
        crash_point("mysql.restore.views-shown");
        self.shown.extend(shown);
        Ok(())
    }

    /// How the views and all that they read are made in the shadows.
    fn plan(&mut self, names: &BTreeSet<TableName>) -> Result<Vec<Planned>, ClusterError> {
        let views = self.views.with_what_they_read(names);
        let chosen = views.iter().filter(|v| wanted(&self.ask, &v.name));
        let dbs: BTreeSet<String> = chosen.map(|v| v.name.db.clone()).collect();
        for db in dbs {
            self.shadow(&db)?;
        }
        let views = self.views.with_what_they_read(names);
        views.into_iter().map(|view| planned(view, &self.shadows)).collect()
    }

    /// What the server shows of one, under the names of the source.
    fn shown_of(&mut self, view: &Planned, standing: &Standing) -> Result<ShownView, ClusterError> {
        let moved = match (&view.moved, standing.lacking.get(&view.place)) {
            (Ok(moved), None) => moved,
            (Err(why), _) | (Ok(_), Some(why)) => return Ok(Err(why.clone())),
        };
        steps::reset(&mut self.conn)?;
        let (db, name) = (&view.place.db, &view.place.table);
        let shown = match schema::programs::view(&mut self.conn, db, name) {
            Err(e) if e.code().is_some() => return Ok(Err(e.to_string())),
            shown => shown.map_err(|e| e.doing(format!("looking at the view {}", view.name)))?,
        };
        let made = DefinitionText::parse(&shown.text)?;
        let (places, modes) = (InShadows(&self.shadows), Modes::of(0, self.conn.info().flavor));
        let back = |sql: &String| moved.back(sql, modes, &places);
        let statements: Result<Vec<String>, String> = made.statements.iter().map(back).collect();
        let (statements, qualified) = match (statements, made.qualified.as_ref().map(back).transpose()) {
            (Ok(statements), Ok(qualified)) => (statements, qualified),
            (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
        };
        let text = DefinitionText {
            statements,
            qualified,
            ..made
        };
        Ok(Ok(Definition {
            db: Some(view.name.db.clone()),
            name: view.name.table.clone(),
            text: text.text()?,
            ..shown
        }))
    }
}

/// What a server said of shadows, in the names of the source.
fn of_source(why: String, shadows: &Shadows) -> String {
    let names = shadows.of.iter();
    names.fold(why, |why, (db, shadow)| why.replace(shadow.as_str(), db))
}

fn planned(view: &View, shadows: &Shadows) -> Result<Planned, ClusterError> {
    let places = InShadows(shadows);
    let place = TableName::new(places.of(&view.name.db), view.name.table.clone());
    let (db, settings) = match &view.made {
        Made::Shown(definition) => {
            let program = programs::of_backup(definition, &place.db)?;
            (place.db.clone(), program.map(|p| p.settings).unwrap_or_default())
        }
        // Where the default database is not built, a view that needs it cannot be made.
        Made::Logged { program, .. } => {
            let db = match places.place(&program.db) {
                Some(_) => shadows.shadow(&program.db).unwrap_or_default().to_owned(),
                None => program.db.clone(),
            };
            (db, program.settings.clone())
        }
    };
    let sql = view.create()?;
    let moved = match &sql {
        Some(sql) => moved(sql, view.modes, &place, &places),
        None => Err("its name is not found".to_owned()),
    };
    Ok(Planned {
        program: Program {
            what: format!("view {}", view.name),
            db,
            settings,
            create: moved.as_ref().map(|m| m.create.clone()).unwrap_or_default(),
            ..Program::default()
        },
        name: view.name.clone(),
        place,
        moved,
        modes: view.modes,
    })
}

impl Standing {
    /// Makes them, in as many rounds as they stand on each other. What cannot be made is left out.
    fn make(&mut self, conn: &mut Conn, shadows: &Shadows, planned: &[Planned]) -> Result<(), ClusterError> {
        let mut waiting: Vec<&Planned> = planned.iter().filter(|view| view.moved.is_ok()).collect();
        loop {
            let mut left = Vec::new();
            let before = waiting.len();
            for view in waiting {
                match self.one(conn, shadows, view)? {
                    None => {
                        self.views.push(view.place.clone());
                        self.call_columns(conn, shadows, view)?;
                    }
                    Some(why) => left.push((view, why)),
                }
            }
            if left.is_empty() || left.len() == before {
                let lacking = left
                    .into_iter()
                    .map(|(view, why)| (view.place.clone(), why.to_string()));
                self.lacking.extend(lacking);
                return steps::reset(conn);
            }
            waiting = left.into_iter().map(|(view, _)| view).collect();
        }
    }

    /// Makes one, with functions in the place of those that it calls: there are none in the shadows. Says why it does not stand.
    fn one(&mut self, conn: &mut Conn, shadows: &Shadows, view: &Planned) -> Result<Option<WireError>, ClusterError> {
        loop {
            let e = match programs::one(conn, &view.program)? {
                programs::Made::Yes | programs::Made::Not(_) => return Ok(None),
                programs::Made::No(e) => e,
            };
            let function = unknown_function(&e).filter(|f| shadows.source(&f.db).is_some());
            let Some(function) = function.filter(|f| !self.functions.contains(f)) else {
                return Ok(Some(e));
            };
            if self.functions.len() >= FUNCTIONS || !self.function(conn, view, function)? {
                return Ok(Some(e));
            }
        }
    }

    /// Calls the columns of one as they are called at the source: what reads it calls its own after them.
    fn call_columns(&mut self, conn: &mut Conn, shadows: &Shadows, view: &Planned) -> Result<(), ClusterError> {
        let (place, flavor) = (&view.place, conn.info().flavor);
        steps::reset(conn)?;
        let shown = match schema::programs::view(conn, &place.db, &place.table) {
            Err(e) if e.code().is_some() => {
                self.lacking.insert(place.clone(), e.to_string());
                return Ok(());
            }
            shown => shown.map_err(|e| e.doing(format!("looking at the view {}", view.name)))?,
        };
        let Some(program) = programs::of_backup(&shown, &place.db)? else {
            return Ok(());
        };
        let called = view
            .moved
            .as_ref()
            .map(|moved| moved.called_as_typed(&program.create, Modes::of(0, flavor), &InShadows(shadows)));
        let why = match called {
            Ok(Ok(Some(create))) => match programs::one(conn, &Program { create, ..program })? {
                programs::Made::No(e) => e.to_string(),
                programs::Made::Yes | programs::Made::Not(_) => return Ok(()),
            },
            Ok(Err(why)) => why,
            Ok(Ok(None)) | Err(_) => return Ok(()),
        };
        // What reads it would call its columns otherwise too.
        conn.run(&programs::drop_of("VIEW", place))
            .map_err(|e| e.doing(format!("taking away the view {}", view.name)))?;
        self.lacking.insert(place.clone(), why);
        Ok(())
    }

    /// Makes a function that stands in for one. Whether it stands.
    fn function(&mut self, conn: &mut Conn, view: &Planned, function: TableName) -> Result<bool, ClusterError> {
        let Some(count) = arguments(&view.program.create, view.modes, &function.table) else {
            return Ok(false);
        };
        steps::reset(conn)?;
        let (name, drop) = (
            table(&function.db, &function.table),
            programs::drop_of("FUNCTION", &function),
        );
        let list: Vec<String> = (0..count).map(|k| format!("a{k} TEXT")).collect();
        let create = format!(
            "CREATE FUNCTION {name} ({}) RETURNS TEXT DETERMINISTIC NO SQL RETURN NULL",
            list.join(", ")
        );
        self.functions.push(function);
        for sql in [drop, create] {
            match conn.run(&sql) {
                Err(e) if e.code().is_some() => return Ok(false),
                other => other.map_err(|e| e.doing("making a function that stands in for another"))?,
            };
        }
        Ok(true)
    }

    /// Takes all of it away again.
    fn clear(&self, conn: &mut Conn) -> Result<(), ClusterError> {
        let views = self.views.iter().rev().map(|name| programs::drop_of("VIEW", name));
        let functions = self.functions.iter().map(|name| programs::drop_of("FUNCTION", name));
        for sql in views.chain(functions) {
            conn.run(&sql)
                .map_err(|e| e.doing("taking a view away that was made to be looked at"))?;
        }
        steps::reset(conn)
    }
}

/// The function that an error says is not there.
fn unknown_function(e: &WireError) -> Option<TableName> {
    let WireError::Server { code, message, .. } = e else {
        return None;
    };
    let name = message.strip_prefix("FUNCTION ")?.strip_suffix(" does not exist")?;
    let (db, name) = name.split_once('.').filter(|_| *code == programs::NO_ROUTINE)?;
    Some(TableName::new(db, name))
}

/// What a statement changes that views may read.
fn touched(statement: &Statement) -> Option<Touched> {
    let names = match statement {
        Statement::DropDatabase { .. } | Statement::CreateDatabase { replace: true, .. } => return Some(Touched::All),
        Statement::CreateTable { temporary: true, .. } | Statement::DropTables { temporary: true, .. } => return None,
        Statement::AlterTable { .. }
        | Statement::CreateTable { replace: true, .. }
        | Statement::DropTables { .. }
        | Statement::RenameTables(_) => statement.tables(),
        Statement::Program {
            kind: ProgramKind::View,
            names,
            ..
        } => names.iter().collect(),
        _ => return None,
    };
    Some(Touched::Names(
        names.into_iter().map(|name| name.table.to_lowercase()).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_function_is_read_out_of_the_error() {
        let error = |code, message: &str| WireError::Server {
            code,
            state: "42000".to_owned(),
            message: message.to_owned(),
        };
        let found = unknown_function(&error(1305, "FUNCTION _brine_1_0.it's does not exist"));
        assert_eq!(found, Some(TableName::new("_brine_1_0", "it's")));
        assert_eq!(unknown_function(&error(1305, "PROCEDURE d.p does not exist")), None);
        assert_eq!(unknown_function(&error(1146, "FUNCTION d.p does not exist")), None);
    }
}
