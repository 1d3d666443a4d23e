//! Foreign keys and other constraints across the edge of what is restored: to and from tables that stay, and names that are
//! taken.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{Shadows, is_system};
use super::rename::Move;
use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::create::{CreateTable, Foreign, ItemKind, SequenceColumn};
use crate::cluster::mysql::schema::table::{TableKind, TableSchema};
use crate::cluster::mysql::schema::tables::{self, is_broken_merge};
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
use crate::model::table::TableName;

/// The names of constraints that tables which stay have, by database: there they are given once.
pub(super) struct Taken {
    foreign: BTreeMap<String, BTreeSet<String>>,
    checks: BTreeMap<String, BTreeSet<String>>,
}

impl Taken {
    /// In these databases.
    pub fn read(conn: &mut Conn, dbs: &BTreeSet<&str>, moving: &BTreeSet<&TableName>) -> Result<Taken, ClusterError> {
        let mut taken = Taken {
            foreign: BTreeMap::new(),
            checks: BTreeMap::new(),
        };
        for db in dbs {
            let sql = format!(
                "SELECT constraint_name, table_name, constraint_type FROM information_schema.table_constraints \
                 WHERE table_schema = {} AND constraint_type IN ('FOREIGN KEY', 'CHECK')",
                string(db)
            );
            let rows = conn.rows(&sql).map_err(|e| e.doing("listing constraints"))?;
            for row in rows
                .iter()
                .filter(|r| !moving.contains(&TableName::new(*db, r.text(1))))
            {
                let of = match row.text(2).as_str() {
                    "CHECK" => &mut taken.checks,
                    _ => &mut taken.foreign,
                };
                of.entry((*db).to_owned()).or_default().insert(row.text(0));
            }
        }
        Ok(taken)
    }

    /// A name like it that a foreign key of a restored table can have in a database; the same in every try.
    pub fn free(&self, db: &str, name: &str) -> String {
        let taken = self.foreign.get(db);
        let mut free = name.to_owned();
        let mut k = 1;
        while taken.is_some_and(|names| names.contains(&free)) {
            k += 1;
            // Names have 64 characters at most.
            let short: String = name.chars().take(58).collect();
            free = format!("{short}_r{k}");
        }
        free
    }

    fn is_foreign(&self, db: &str, name: &str) -> bool {
        self.foreign.get(db).is_some_and(|names| names.contains(name))
    }

    fn is_check(&self, db: &str, name: &str) -> bool {
        self.checks.get(db).is_some_and(|names| names.contains(name))
    }

    fn in_db(&self, db: &str) -> bool {
        [&self.foreign, &self.checks].into_iter().any(|of| of.contains_key(db))
    }
}

/// A built table loses the names of constraints that a table which stays has in the database it goes to.
pub(super) fn other_names(conn: &mut Conn, moves: &[Move], taken: &Taken) -> Result<Vec<String>, ClusterError> {
    let mut out = Vec::new();
    for m in moves {
        let Some(built) = m.built.as_ref().filter(|_| taken.in_db(&m.place.db)) else {
            continue;
        };
        let name = table(&built.db, &built.table);
        let Some(create) = defined(conn, built)? else {
            continue;
        };
        for key in create.foreign_keys() {
            let Some(own) = key.name.as_ref().filter(|own| taken.is_foreign(&m.place.db, own)) else {
                continue;
            };
            let clause = key.unnamed(key.db.as_deref().unwrap_or(&built.db), &key.table);
            out.extend(keep_keys(&create, key, None, &name));
            out.push(format!("ALTER TABLE {name} DROP FOREIGN KEY {}, {clause}", ident(own)));
        }
        // MariaDB names checks within a table.
        if conn.info().flavor == Flavor::MySql {
            let generated = format!("{}_chk_", built.table);
            for (own, clause) in checks(&create) {
                // The server gives a name of its own making anew when the table gets another.
                let follows = own.starts_with(&generated) && built.table != m.place.table;
                if taken.is_check(&m.place.db, &own) && !follows {
                    out.push(format!("ALTER TABLE {name} DROP CHECK {}, ADD {clause}", ident(&own)));
                }
            }
        }
    }
    Ok(out)
}

/// A foreign key that is given anew makes its key anew, under its own name, where one made it. Whoever gave a key a name is
/// taken to want it so: then it keeps it. The statements can be repeated.
pub(super) fn keep_keys(create: &CreateTable, key: &Foreign, name: Option<&str>, place: &str) -> Vec<String> {
    const MEANWHILE: &str = "_brine_key";
    let same = create.plain_keys().into_iter();
    same.filter(|k| k.columns == key.columns() && name != Some(k.name.as_str()))
        .flat_map(|k| {
            let rename =
                |from: &str, to: &str| format!("ALTER TABLE {place} RENAME INDEX {} TO {}", ident(from), ident(to));
            [rename(&k.name, MEANWHILE), rename(MEANWHILE, &k.name)]
        })
        .collect()
}

/// The named checks of a table, and their clauses without the name.
fn checks(create: &CreateTable) -> Vec<(String, String)> {
    let others = create.items.iter().filter(|i| i.kind == ItemKind::Other);
    others
        .filter_map(|item| {
            let (name, rest) =
                crate::cluster::mysql::schema::create::leading_name(item.text.strip_prefix("CONSTRAINT ")?)?;
            let rest = rest.trim_start();
            rest.starts_with("CHECK").then(|| (name, rest.to_owned()))
        })
        .collect()
}

/// A table's definition as the server shows it now; `None` for what is not a table.
pub(super) fn defined(conn: &mut Conn, name: &TableName) -> Result<Option<CreateTable>, ClusterError> {
    let shown = match tables::create(conn, name, TableKind::Base) {
        Ok(shown) => shown,
        Err(e) if is_broken_merge(&e) => return Ok(None),
        Err(e) => return Err(e.doing(format!("reading the definition of {name}"))),
    };
    as_table(&shown)
}

/// A definition that was shown, if it is that of a table.
pub(super) fn as_table(shown: &str) -> Result<Option<CreateTable>, ClusterError> {
    match shown.starts_with("CREATE TABLE") {
        true => CreateTable::parse(shown).map(Some),
        false => Ok(None),
    }
}

/// How a table that is built is defined now; `None` where it is not there.
pub(super) fn create_of(conn: &mut Conn, built: &TableName) -> Result<Option<String>, ClusterError> {
    match tables::create(conn, built, TableKind::Base) {
        Ok(shown) => Ok(Some(shown)),
        Err(e) if matches!(e.code(), Some(1146 | 1049)) => Ok(None),
        Err(e) => Err(e.doing(format!("reading the definition of {built}"))),
    }
}

/// A foreign key of a live table, which stays, to one that is replaced.
pub(super) struct Inward {
    child: TableName,
    parent: TableName,
    name: String,
    key: Foreign,
    /// What comes first.
    keep: Vec<String>,
}

impl Inward {
    /// All of them.
    pub fn read(conn: &mut Conn, moving: &BTreeSet<&TableName>) -> Result<Vec<Inward>, ClusterError> {
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
            let name = row.text(2);
            let create = defined(conn, &child)?;
            let Some(create) = create else { continue };
            let key = create
                .foreign_keys()
                .find(|f| f.name.as_deref() == Some(&name))
                .cloned();
            if let Some(key) = key {
                out.push(Inward {
                    keep: keep_keys(&create, &key, Some(&name), &table(&child.db, &child.table)),
                    child,
                    parent,
                    name,
                    key,
                });
            }
        }
        Ok(out)
    }

    /// What nobody looks at: the child's rows are of now, the parent's of then.
    pub fn said(&self) -> String {
        format!(
            "{} stays as it is and refers to {}, which was replaced, by its foreign key {}: rows of it may refer to rows that \
             are not there any more; look for them, or restore {} too",
            self.child, self.parent, self.name, self.child
        )
    }

    /// Gives it anew: a key follows the table that moves away.
    pub fn statements(&self) -> Vec<String> {
        let child = table(&self.child.db, &self.child.table);
        let mut out = self.keep.clone();
        out.push(format!("ALTER TABLE {child} DROP FOREIGN KEY {}", ident(&self.name)));
        let clause = self.key.clause(&self.parent.db, &self.parent.table);
        out.push(format!("ALTER TABLE {child} {clause}"));
        out
    }

    /// Refuses where the built parent cannot be referred to so: the live child would lose its key.
    fn probe(&self, conn: &mut Conn, built: &TableName, probe: &str) -> Result<(), ClusterError> {
        let doing = |e: WireError| e.doing("trying a foreign key beforehand");
        let place = table(probe, "child");
        conn.run(&format!("DROP TABLE IF EXISTS {place}")).map_err(doing)?;
        let child = table(&self.child.db, &self.child.table);
        conn.run(&format!("CREATE TABLE {place} LIKE {child}")).map_err(doing)?;
        let clause = self.key.unnamed(&built.db, &built.table);
        match conn.run(&format!("ALTER TABLE {place} {clause}")) {
            Ok(_) => Ok(()),
            Err(e) if e.code().is_some() => Err(ClusterError::Unsupported {
                what: format!(
                    "{} refers to {} by its foreign key {}, and cannot refer to that table as it was then ({e})",
                    self.child, self.parent, self.name
                ),
                hint: format!(
                    "restore {} too (--filter {}), or drop its key first: ALTER TABLE {child} DROP FOREIGN KEY {}",
                    self.child,
                    self.child,
                    ident(&self.name)
                ),
            }),
            Err(e) => Err(doing(e)),
        }
    }
}

/// Tries on copies without rows whether live tables that stay can refer to the built ones.
pub(super) fn probe(conn: &mut Conn, shadows: &Shadows, moves: &[Move], inward: &[Inward]) -> Result<(), ClusterError> {
    if inward.is_empty() {
        return Ok(());
    }
    let doing = |e: WireError| e.doing("trying foreign keys beforehand");
    let db = shadows.probe();
    let drop = format!("DROP DATABASE IF EXISTS {}", ident(&db));
    conn.run(&drop).map_err(doing)?;
    conn.run(&format!("CREATE DATABASE {}", ident(&db))).map_err(doing)?;
    let mut tried = Ok(());
    for link in inward {
        let built = moves
            .iter()
            .find(|m| m.place == link.parent)
            .and_then(|m| m.built.as_ref());
        if let Some(built) = built {
            tried = tried.and_then(|()| link.probe(conn, built, &db));
        }
    }
    conn.run(&drop).map_err(doing)?;
    tried
}

/// The columns of a table that take values of sequences.
pub(super) fn sequence_columns(schema: &TableSchema) -> Result<Vec<SequenceColumn>, ClusterError> {
    // Most tables need not be parsed for this.
    if schema.kind == TableKind::Sequence || !schema.create.contains("nextval(") {
        return Ok(Vec::new());
    }
    Ok(CreateTable::parse(&schema.create)?.sequence_columns().collect())
}

/// The foreign keys that are there, as database and name.
pub(super) fn linked(conn: &mut Conn, shadows: &Shadows) -> Result<Vec<(String, String)>, ClusterError> {
    let rows = conn
        .rows("SELECT constraint_schema, constraint_name FROM information_schema.table_constraints WHERE constraint_type = 'FOREIGN KEY'")
        .map_err(|e: WireError| e.doing("listing foreign keys"))?;
    let all = rows.iter().map(|r| (r.text(0), r.text(1)));
    Ok(all.filter(|(db, _)| shadows.source(db).is_some()).collect())
}
