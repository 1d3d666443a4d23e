//! Foreign keys of restored tables to tables that are not restored. While the tables are built there are none of them: a row
//! may refer to one that only the live table has. At the end they are given anew, to the live tables.
//!
//! A statement of the log that is about them, or makes one, finds them there: for its time they lead to tables that do not
//! exist, which a session without checks takes. What is there afterwards is noted and taken away again. So the server
//! itself says what a statement makes of them.
//!
//! *Invariant: what a statement left is noted before the statement is noted as done, and taken away after that.*

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::mysql::schema::create::{CreateTable, Foreign};
use crate::cluster::mysql::sql::statement::Statement;
use crate::cluster::mysql::text::{ident, table};
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{ClusterError, RestoreAsk};
use crate::model::table::TableName;

use super::cascades::{self, Edge, Reaches};
use super::linking::maker;
use super::links::{as_table, create_of};
use super::names::{Shadows, is_system, wanted};
use super::state::{self, KnownTable};

/// The foreign keys, by the names of tables at the source; each names the database of the other table.
pub(super) type Links = BTreeMap<TableName, Vec<Foreign>>;

/// Those of the base.
pub(super) fn of_base<'a>(known: impl Iterator<Item = &'a KnownTable> + Clone) -> Result<Links, ClusterError> {
    let names: BTreeSet<&TableName> = known.clone().map(|k| &k.name).collect();
    let mut links = Links::new();
    // Most tables need not be parsed for this.
    for of in known.filter(|k| k.schema.create.contains("FOREIGN KEY")) {
        for key in CreateTable::parse(&of.schema.create)?.foreign_keys() {
            let db = key.db.clone().unwrap_or_else(|| of.name.db.clone());
            if !names.contains(&TableName::new(db.clone(), key.table.clone())) {
                let key = Foreign {
                    db: Some(db),
                    ..key.clone()
                };
                links.entry(of.name.clone()).or_default().push(key);
            }
        }
    }
    Ok(links)
}

/// They, while the log is replayed.
#[derive(Debug, Default)]
pub(super) struct Outside {
    links: Links,
    /// Those of the base, between whichever tables.
    edges: Vec<Edge>,
}

impl Outside {
    /// As they were noted last.
    pub fn read(conn: &mut Conn, n: u64, edges: &[Edge]) -> Result<Outside, ClusterError> {
        Ok(Outside {
            links: state::links(conn, n)?,
            edges: edges.to_vec(),
        })
    }

    /// The tables whose changes cascade by them into restored ones.
    pub fn cascading(&self) -> BTreeMap<TableName, Reaches> {
        let keys = self
            .links
            .iter()
            .flat_map(|(child, keys)| keys.iter().map(move |key| (child, key)));
        cascades::past(keys.filter_map(|(child, key)| Edge::of(child, key)), &self.edges)
    }

    /// Whether a statement may be about them, or makes one to `parents`.
    pub fn concerns(&self, ask: &RestoreAsk, statement: &Statement, sql: &str, parents: &[TableName]) -> bool {
        if let Some(db) = statement.dropped_database() {
            return self.links.keys().any(|t| t.db == db);
        }
        let own = || statement.tables().into_iter().any(|t| self.links.contains_key(t));
        let makes = || parents.iter().any(|p| is_outside(ask, p));
        match statement {
            Statement::AlterTable { .. } => {
                let text = sql.to_ascii_uppercase();
                let words = ["FOREIGN", "REFERENCES", "CONSTRAINT", "RENAME", "CHANGE"];
                makes() || (own() && words.iter().any(|w| text.contains(w)))
            }
            Statement::CreateTable { .. } => makes() || own(),
            Statement::DropTables { .. } | Statement::RenameTables(_) => own(),
            _ => false,
        }
    }

    /// Gives the tables of a statement theirs.
    pub fn give(&self, conn: &mut Conn, shadows: &Shadows, statement: &Statement) -> Result<(), ClusterError> {
        for name in affected(statement) {
            let (Some(keys), Some(place)) = (self.links.get(&name), shadows.place(&name)) else {
                continue;
            };
            let Some(there) = built(conn, &place)? else { continue };
            let names: BTreeSet<Option<&str>> = there.foreign_keys().map(|f| f.name.as_deref()).collect();
            let lacking: Vec<&Foreign> = keys.iter().filter(|k| !names.contains(&k.name.as_deref())).collect();
            let clause = |key: &&Foreign| {
                let db = key.db.as_deref().unwrap_or(&name.db);
                let db = shadows.shadow(db).map_or_else(|| shadows.none(), str::to_owned);
                key.clause(&db, &key.table)
            };
            let clauses: Vec<String> = lacking.iter().map(clause).collect();
            keep_names(conn, &place, &there, &lacking, clauses)?;
        }
        Ok(())
    }

    /// Notes what a statement left of them.
    pub fn note(
        &mut self,
        conn: &mut Conn,
        shadows: &Shadows,
        ask: &RestoreAsk,
        statement: &Statement,
    ) -> Result<(), ClusterError> {
        let mut now: BTreeMap<TableName, Vec<Foreign>> = BTreeMap::new();
        for name in affected(statement) {
            now.insert(name.clone(), left(conn, shadows, ask, &name)?);
        }
        if let Some(db) = statement.dropped_database() {
            let gone = self.links.keys().filter(|t| t.db == db);
            now.extend(gone.map(|t| (t.clone(), Vec::new())));
        }
        state::set_links(conn, shadows.number, &now)?;
        for (name, keys) in now {
            match keys.is_empty() {
                true => self.links.remove(&name),
                false => self.links.insert(name, keys),
            };
        }
        Ok(())
    }

    /// Takes them away again.
    pub fn take(
        &self,
        conn: &mut Conn,
        shadows: &Shadows,
        ask: &RestoreAsk,
        statement: &Statement,
    ) -> Result<(), ClusterError> {
        for name in affected(statement) {
            let Some(place) = shadows.place(&name) else { continue };
            let there = left(conn, shadows, ask, &name)?;
            let names = there.iter().filter_map(|key| key.name.as_deref());
            let clauses: Vec<String> = names.map(|n| format!("DROP FOREIGN KEY {}", ident(n))).collect();
            alter(conn, &place, &clauses)?;
        }
        Ok(())
    }
}

/// Gives foreign keys to a table. A key that one of them has made before would be made anew, with its name: so that it keeps the name
/// that it has, a foreign key of that name makes it, and is dropped.
fn keep_names(
    conn: &mut Conn,
    place: &TableName,
    there: &CreateTable,
    keys: &[&Foreign],
    mut clauses: Vec<String>,
) -> Result<(), ClusterError> {
    let served = |name: &str, columns: &[String]| {
        let mut serving = keys.iter().filter(|key| key.columns() == columns).peekable();
        serving.peek().is_some() && serving.all(|key| key.name.as_deref() != Some(name))
    };
    let plain = there.plain_keys();
    let kept: Vec<_> = plain.iter().filter(|k| served(&k.name, &k.columns)).collect();
    let makers = kept.iter().map(|k| maker(place, &k.name, &k.columns));
    let with_makers: Vec<String> = clauses.iter().cloned().chain(makers).collect();
    match alter(conn, place, &with_makers) {
        Ok(()) => {
            clauses = kept
                .iter()
                .map(|k| format!("DROP FOREIGN KEY {}", ident(&k.name)))
                .collect()
        }
        // A foreign key of that name is there.
        Err(ClusterError::Server { .. }) if !kept.is_empty() => {}
        Err(e) => return Err(e),
    }
    alter(conn, place, &clauses)
}

/// The tables that a statement makes or changes.
fn affected(statement: &Statement) -> BTreeSet<TableName> {
    let mut all: BTreeSet<TableName> = statement.tables().into_iter().cloned().collect();
    if let Statement::AlterTable { renamed: Some(to), .. } = statement {
        all.insert(to.clone());
    }
    all
}

/// The table that a foreign key refers to.
fn other(key: &Foreign) -> Option<TableName> {
    Some(TableName::new(key.db.clone()?, key.table.clone()))
}

/// Whether a table stays as the target has it.
fn is_outside(ask: &RestoreAsk, name: &TableName) -> bool {
    !is_system(&name.db) && !wanted(ask, name)
}

/// A built table; `None` where it is not there, or is none.
fn built(conn: &mut Conn, place: &TableName) -> Result<Option<CreateTable>, ClusterError> {
    match create_of(conn, place)? {
        Some(shown) => as_table(&shown),
        None => Ok(None),
    }
}

/// Those that a built table has now.
fn left(conn: &mut Conn, shadows: &Shadows, ask: &RestoreAsk, name: &TableName) -> Result<Vec<Foreign>, ClusterError> {
    let Some(place) = shadows.place(name).filter(|_| wanted(ask, name)) else {
        return Ok(Vec::new());
    };
    let Some(create) = built(conn, &place)? else {
        return Ok(Vec::new());
    };
    let named = create.foreign_keys().map(|key| {
        let shadow = key.db.as_deref().unwrap_or(&place.db);
        Foreign {
            db: Some(shadows.source(shadow).unwrap_or(shadow).to_owned()),
            ..key.clone()
        }
    });
    let outside = |key: &Foreign| other(key).is_some_and(|parent| is_outside(ask, &parent));
    Ok(named.filter(outside).collect())
}

fn alter(conn: &mut Conn, place: &TableName, clauses: &[String]) -> Result<(), ClusterError> {
    if clauses.is_empty() {
        return Ok(());
    }
    let sql = format!("ALTER TABLE {} {}", table(&place.db, &place.table), clauses.join(", "));
    conn.run(&sql)
        .map(drop)
        .map_err(|e| e.doing(format!("foreign keys of {place} to tables that are not restored")))
}
