//! Tables that merge others (MERGE): they name those, and where they lie in another database, by its name.
//!
//! *Invariant: while everything is built, such a table names shadows alone. The log writes rows through it, and none of them
//! may reach a live table. Behind the switch it is made anew, with the names of the places.*

use crate::cluster::mysql::schema::table::TableSchema;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::rename::{NewNames, rename};
use crate::cluster::mysql::text::table;
use crate::cluster::mysql::wire::{Conn, Flavor};
use crate::cluster::{ClusterError, RestoreAsk};
use crate::model::table::TableName;

use super::names::Shadows;
use super::state::KnownTable;

/// As the servers write it, in letters of either case.
pub(super) const MERGE: &str = "MRG_MyISAM";

/// The new names of tables.
struct By<'a>(&'a dyn Fn(&TableName) -> TableName);

impl NewNames for By<'_> {
    fn table(&self, db: &str, table: &str) -> Option<(String, String)> {
        let new = (self.0)(&TableName::new(db, table));
        Some((new.db, new.table))
    }

    fn database(&self, _: &str) -> Option<String> {
        None
    }
}

/// Whether it merges tables of another database.
fn reaches_out(schema: &TableSchema) -> bool {
    let union = schema.create.rsplit_once(" UNION=(");
    schema.engine.eq_ignore_ascii_case(MERGE) && union.is_some_and(|(_, list)| list.contains("`.`"))
}

/// The statements that make a table anew, under other names.
fn made(create: &str, own: &TableName, names: &dyn Fn(&TableName) -> TableName) -> Result<[String; 2], ClusterError> {
    let place = names(own);
    let create = rename(create, &own.db, Modes::of(0, Flavor::MariaDb), &By(names));
    let create = create.map_err(|why| ClusterError::Malformed {
        what: "the definition of a table that merges others",
        why,
    })?;
    Ok([
        format!("DROP TABLE IF EXISTS {}", table(&place.db, &place.table)),
        create,
    ])
}

/// Makes the tables of the backup that merge others anew, with the names of the shadows.
pub(super) fn link<'a>(
    conn: &mut Conn,
    shadows: &Shadows,
    known: impl Iterator<Item = &'a KnownTable>,
) -> Result<(), ClusterError> {
    let nowhere = format!("{}none", shadows.prefix());
    let names = |t: &TableName| TableName::new(shadows.shadow(&t.db).unwrap_or(&nowhere), t.table.clone());
    for of in known.filter(|k| reaches_out(&k.schema)) {
        for statement in made(&of.schema.create, &of.name, &names)? {
            conn.run(&statement)
                .map_err(|e| e.doing(format!("linking {} to the tables that it merges", of.name)))?;
        }
    }
    Ok(())
}

/// The statements that make such tables anew behind the switch. `built` are all that were built, as the server shows them; one
/// whose others are not restored it does not show, and the definition of the backup is taken.
pub(super) fn anew(
    ask: &RestoreAsk,
    shadows: &Shadows,
    known: &[KnownTable],
    built: &[(TableName, TableSchema)],
) -> Result<Vec<String>, ClusterError> {
    let names = |t: &TableName| {
        let source = shadows.source(&t.db).unwrap_or(&t.db);
        ask.rename.apply(&TableName::new(source, t.table.clone()))
    };
    let mut out = Vec::new();
    for (name, schema) in built.iter().filter(|(_, s)| s.engine.eq_ignore_ascii_case(MERGE)) {
        let of_backup = || known.iter().find(|k| k.name == *name).map(|k| &k.schema);
        let schema = match schema.create.is_empty() {
            true => of_backup(),
            false => Some(schema),
        };
        if let Some(schema) = schema.filter(|s| reaches_out(s)) {
            out.extend(made(&schema.create, name, &names)?);
        }
    }
    Ok(out)
}
