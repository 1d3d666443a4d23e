//! Foreign keys between built tables, with the keys that the server makes for them, and defaults from sequences.
//!
//! A key that a foreign key made is made by one again: what the log does to it then ends as at the source. It gets the name
//! of the foreign key that makes it; where that is another one, a foreign key to no table makes it, and is dropped.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::create::{CreateTable, Foreign, name_list};
use crate::cluster::mysql::schema::generated;
use crate::cluster::mysql::schema::table::TableKind;
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::model::table::TableName;

use super::links::{linked, sequence_columns};
use super::names::Shadows;
use super::state::KnownTable;

/// A table that is never there.
const NONE: &str = "_brine_none";

/// A key that comes with the foreign keys.
struct Held {
    name: String,
    columns: Vec<String>,
    text: String,
    /// By a foreign key; others only keep their order.
    made: bool,
}

/// A built table.
struct Built<'a> {
    of: &'a KnownTable,
    place: TableName,
    /// Those whose other table is restored too, with that one's place.
    foreign: Vec<(Foreign, TableName)>,
    held: Vec<Held>,
}

/// Links all of them. What is there already stays.
pub(super) fn link(
    conn: &mut Conn,
    shadows: &Shadows,
    known: &BTreeMap<TableName, KnownTable>,
) -> Result<(), ClusterError> {
    let mut built = Vec::new();
    for of in known.values() {
        if let Some(shadow) = shadows.shadow(&of.name.db) {
            built.push(Built::of(of, shadow, shadows, known)?);
        }
    }
    let with_keys = built.iter().any(|b| !b.held.is_empty());
    if with_keys {
        drop_makers(conn, shadows)?;
    }
    let linked = linked(conn, shadows)?;
    let there = match with_keys {
        true => keys(conn, shadows)?,
        false => BTreeSet::new(),
    };
    for b in &mut built {
        b.foreign.retain(|(f, _)| {
            let name = f.name.clone().unwrap_or_default();
            !linked.contains(&(b.place.db.clone(), name))
        });
        b.held.retain(|k| !there.contains(&(b.place.clone(), k.name.clone())));
    }
    in_order(&mut built, conn, shadows, &linked)
}

/// Links tables in such an order that a key is there before a foreign key of another table needs it, and that a name, which is
/// given once in a database, is free for whoever makes a key by a foreign key of another name than his own.
fn in_order(
    built: &mut [Built<'_>],
    conn: &mut Conn,
    shadows: &Shadows,
    linked: &[(String, String)],
) -> Result<(), ClusterError> {
    let makers: BTreeSet<Constraint> = built.iter().flat_map(|b| b.makers()).collect();
    let held: BTreeSet<Leading> = built.iter().flat_map(|b| b.held.iter().map(|k| b.leading(k))).collect();
    let needed: BTreeSet<Leading> = built
        .iter()
        .flat_map(|b| b.needs())
        .filter(|n| held.contains(n))
        .collect();
    let is_late = |b: &Built<'_>| b.own_names().any(|name| makers.contains(&name));
    let mut order: Vec<(u8, usize)> = Vec::new();
    for (at, b) in built.iter_mut().enumerate() {
        let serves = b.held.iter().any(|k| needed.contains(&b.leading(k)));
        let needs = b.needs().any(|n| held.contains(&n));
        match (serves, is_late(b)) {
            (true, false) if !needs => order.push((0, at)),
            (false, false) => order.push((1, at)),
            (serves, _) => {
                order.push((2, at));
                if serves {
                    b.serve(conn, &needed)?;
                }
            }
        }
    }
    order.sort_unstable();
    let there = linked.iter().map(|(db, name)| (db.clone(), name.to_lowercase()));
    let mut taken: BTreeSet<Constraint> = there.collect();
    let late: Vec<Constraint> = built.iter().filter(|b| is_late(b)).flat_map(Built::own_names).collect();
    for (group, at) in order {
        if group == 2 {
            taken.extend(late.iter().cloned());
        }
        if let Some(b) = built.get(at) {
            b.link(conn, shadows, &taken)?;
        }
        taken.extend(built.get(at).into_iter().flat_map(Built::own_names));
    }
    Ok(())
}

/// A sequence that is not restored, for defaults that take its values: at the end they get the live one.
pub(super) fn stand_in(conn: &mut Conn, shadows: &Shadows, sequence: &TableName) -> Result<(), ClusterError> {
    let Some(db) = shadows.shadow(&sequence.db) else {
        return Ok(());
    };
    let sql = format!("CREATE SEQUENCE IF NOT EXISTS {}", table(db, &sequence.table));
    conn.run(&sql)
        .map(drop)
        .map_err(|e| e.doing(format!("making a sequence in the place of {sequence}")))
}

/// The sequences that defaults of the base name, and that are not restored.
pub(super) fn other_sequences(known: &BTreeMap<TableName, KnownTable>) -> Result<BTreeSet<TableName>, ClusterError> {
    let mut out = BTreeSet::new();
    for of in known.values() {
        for column in sequence_columns(&of.schema)? {
            let db = column.db.unwrap_or_else(|| of.name.db.clone());
            out.insert(TableName::new(db, column.sequence));
        }
    }
    out.retain(|sequence| !known.contains_key(sequence));
    Ok(out)
}

/// A table's place, and the first column of a key of it.
type Leading = (TableName, String);

/// A database and the name of a foreign key in it, in lower case.
type Constraint = (String, String);

impl<'a> Built<'a> {
    fn of(
        of: &'a KnownTable,
        shadow: &str,
        shadows: &Shadows,
        known: &BTreeMap<TableName, KnownTable>,
    ) -> Result<Built<'a>, ClusterError> {
        let mut built = Built {
            of,
            place: TableName::new(shadow, of.name.table.clone()),
            foreign: Vec::new(),
            held: Vec::new(),
        };
        if of.schema.kind == TableKind::Sequence {
            return Ok(built);
        }
        let create = generated::held(&of.schema, &of.schema.create)?;
        let made = generated::of(&of.schema, &create);
        // A foreign key that comes only after the switch would give its key another name.
        let mut outside = BTreeSet::new();
        for key in create.foreign_keys() {
            let parent = TableName::new(key.db.as_deref().unwrap_or(&of.name.db), key.table.clone());
            match shadows.shadow(&parent.db).filter(|_| known.contains_key(&parent)) {
                Some(db) => built.foreign.push((key.clone(), TableName::new(db, parent.table))),
                None => {
                    outside.insert(key.columns());
                }
            }
        }
        built.held = held(&create, &made, &outside);
        Ok(built)
    }

    fn leading(&self, key: &Held) -> Leading {
        (self.place.clone(), key.columns.first().cloned().unwrap_or_default())
    }

    /// The keys that its foreign keys refer to.
    fn needs(&self) -> impl Iterator<Item = Leading> {
        let referenced =
            |(f, parent): &(Foreign, TableName)| Some((parent.clone(), f.referenced().into_iter().next()?));
        self.foreign.iter().filter_map(referenced)
    }

    /// Adds those of its keys that others need, as any other key.
    fn serve(&mut self, conn: &mut Conn, needed: &BTreeSet<Leading>) -> Result<(), ClusterError> {
        let held = std::mem::take(&mut self.held).into_iter();
        let (now, later): (Vec<Held>, Vec<Held>) = held.partition(|k| needed.contains(&self.leading(k)));
        self.held = later;
        self.alter(conn, now.iter().map(|k| format!("ADD {}", k.text)).collect())
    }

    fn constraint(&self, name: &str) -> Constraint {
        (self.place.db.clone(), name.to_lowercase())
    }

    /// The names of its foreign keys.
    fn own_names(&self) -> impl Iterator<Item = Constraint> {
        let names = self.foreign.iter().filter_map(|(f, _)| f.name.as_deref());
        names.map(|name| self.constraint(name))
    }

    /// Whether a foreign key makes a key, with its own name.
    fn is_made_by(key: &Held, foreign: &Foreign) -> bool {
        key.made && foreign.name.as_ref() == Some(&key.name) && foreign.columns() == key.columns
    }

    /// The names of keys that none of its foreign keys makes under that name.
    fn makers(&self) -> impl Iterator<Item = Constraint> {
        let other = |key: &&Held| key.made && !self.foreign.iter().any(|(f, _)| Self::is_made_by(key, f));
        self.held.iter().filter(other).map(|key| self.constraint(&key.name))
    }

    fn alter(&self, conn: &mut Conn, clauses: Vec<String>) -> Result<(), ClusterError> {
        if clauses.is_empty() {
            return Ok(());
        }
        let place = table(&self.place.db, &self.place.table);
        let sql = format!("ALTER TABLE {place} {}", clauses.join(", "));
        conn.run(&sql)
            .map(drop)
            .map_err(|e| e.doing(format!("linking {} to other tables", self.of.name)))
    }

    fn link(&self, conn: &mut Conn, shadows: &Shadows, taken: &BTreeSet<Constraint>) -> Result<(), ClusterError> {
        let mut sequences = Vec::new();
        for column in sequence_columns(&self.of.schema)? {
            let sequence = TableName::new(
                column.db.as_deref().unwrap_or(&self.of.name.db),
                column.sequence.clone(),
            );
            if let Some(db) = shadows.shadow(&sequence.db) {
                sequences.push(column.clause(db, &sequence.table));
            }
        }
        let clause = |(key, parent): &(Foreign, TableName)| key.clause(&parent.db, &parent.table);
        let (mut clauses, mut keys, mut makers) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest: Vec<&(Foreign, TableName)> = self.foreign.iter().collect();
        for key in &self.held {
            let name = self.constraint(&key.name);
            let is_free = !taken.contains(&name) && !self.own_names().any(|own| own == name);
            if let Some(at) = rest.iter().position(|(f, _)| Self::is_made_by(key, f)) {
                keys.push(clause(rest.remove(at)));
            } else if key.made && is_free {
                keys.push(maker(&self.place, &key.name, &key.columns));
                makers.push(format!("DROP FOREIGN KEY {}", ident(&key.name)));
            } else {
                keys.push(format!("ADD {}", key.text));
            }
        }
        // Of two keys that the server makes for the same columns the later one stays.
        clauses.extend(rest.into_iter().map(clause));
        clauses.append(&mut keys);
        clauses.extend(sequences.iter().cloned());
        let linked = self.alter(conn, clauses);
        if makers.is_empty() {
            return linked;
        }
        match linked {
            Ok(()) => self.alter(conn, makers),
            // A server that wants it otherwise: the keys are there all the same.
            Err(ClusterError::Server { .. }) => {
                let keys = self.held.iter().map(|k| format!("ADD {}", k.text));
                self.alter(
                    conn,
                    keys.chain(self.foreign.iter().map(clause)).chain(sequences).collect(),
                )
            }
            Err(e) => Err(e),
        }
    }
}

/// A foreign key that makes a key of its own name.
pub(super) fn maker(place: &TableName, name: &str, columns: &[String]) -> String {
    let columns = name_list(columns);
    format!(
        "ADD CONSTRAINT {} FOREIGN KEY {columns} REFERENCES {} {columns}",
        ident(name),
        table(&place.db, NONE)
    )
}

fn held(create: &CreateTable, made: &[String], outside: &BTreeSet<Vec<String>>) -> Vec<Held> {
    let plain = create.plain_keys();
    create
        .held()
        .map(|(at, item)| {
            let key = plain.iter().find(|k| k.at == at);
            Held {
                name: item.key_name(),
                columns: item.key_columns(),
                text: item.text.clone(),
                made: key.is_some_and(|k| made.contains(&k.name) && !outside.contains(&k.columns)),
            }
        })
        .collect()
}

fn in_shadows(shadows: &Shadows) -> String {
    let all: Vec<String> = shadows.of.values().map(|db| string(db)).collect();
    all.join(", ")
}

/// The keys that are there.
fn keys(conn: &mut Conn, shadows: &Shadows) -> Result<BTreeSet<(TableName, String)>, ClusterError> {
    let sql = format!(
        "SELECT DISTINCT table_schema, table_name, index_name FROM information_schema.statistics WHERE table_schema IN ({})",
        in_shadows(shadows)
    );
    let rows = conn.rows(&sql).map_err(|e: WireError| e.doing("listing keys"))?;
    let all = rows.iter();
    Ok(all.map(|r| (TableName::new(r.text(0), r.text(1)), r.text(2))).collect())
}

/// Drops the foreign keys to no table that a run which died has left.
fn drop_makers(conn: &mut Conn, shadows: &Shadows) -> Result<(), ClusterError> {
    let sql = format!(
        "SELECT constraint_schema, table_name, constraint_name FROM information_schema.referential_constraints \
         WHERE constraint_schema IN ({}) AND referenced_table_name = {}",
        in_shadows(shadows),
        string(NONE)
    );
    let doing = |e: WireError| e.doing("listing foreign keys");
    for row in conn.rows(&sql).map_err(doing)? {
        let place = table(&row.text(0), &row.text(1));
        conn.run(&format!("ALTER TABLE {place} DROP FOREIGN KEY {}", ident(&row.text(2))))
            .map_err(doing)?;
    }
    Ok(())
}
