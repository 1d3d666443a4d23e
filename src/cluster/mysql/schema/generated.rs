//! Keys that the server made by itself for foreign keys.
//!
//! It marks them, and later drops them or gives them other names without a word, where another key serves as well. It shows
//! them like any other key. But it does the same in a temporary copy of the table: there keys are added to find out.

use super::create::{CreateTable, Foreign, PlainKey, name_list};
use super::table::TableSchema;
use crate::cluster::ClusterError;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::model::table::TableName;

/// The temporary table.
const COPY: &str = "_brine_keys";

/// The names of the keys that foreign keys made; `None` where the server does not let itself be asked.
pub fn ask(conn: &mut Conn, name: &TableName, create: &str, engine: &str) -> Result<Option<Vec<String>>, WireError> {
    if !engine.eq_ignore_ascii_case("InnoDB") || !create.contains(" FOREIGN KEY (") {
        return Ok(None);
    }
    let Ok(parsed) = CreateTable::parse(create) else {
        return Ok(None);
    };
    let plain = parsed.plain_keys();
    if plain.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let copy = text::table(&name.db, COPY);
    let shown = shown(conn, name, &copy, &plain);
    let dropped = conn.run(&format!("DROP TEMPORARY TABLE IF EXISTS {copy}"));
    match shown {
        Ok(there) => {
            dropped?;
            let gone = plain.into_iter().filter(|k| !there.contains(&k.name));
            Ok(Some(gone.map(|k| k.name).collect()))
        }
        // Not for this account, or not with this table.
        Err(e) if e.code().is_some() => Ok(None),
        Err(e) => Err(e),
    }
}

/// The keys of a copy that has others over the same columns.
fn shown(conn: &mut Conn, name: &TableName, copy: &str, plain: &[PlainKey]) -> Result<Vec<String>, WireError> {
    let others = plain.iter().enumerate().map(|(n, key)| {
        let other = text::ident(&format!("_brine_{n}"));
        format!("ADD INDEX {other} {}", name_list(&key.columns))
    });
    let others: Vec<String> = others.collect();
    conn.run(&format!("DROP TEMPORARY TABLE IF EXISTS {copy}"))?;
    let table = text::table(&name.db, &name.table);
    conn.run(&format!("CREATE TEMPORARY TABLE {copy} LIKE {table}"))?;
    conn.run(&format!("ALTER TABLE {copy} {}", others.join(", ")))?;
    let rows = conn.rows(&format!("SHOW INDEX FROM {copy}"))?;
    Ok(rows.iter().map(|r| r.text(2)).collect())
}

/// A table's definition, with the keys that foreign keys make held back.
pub(in crate::cluster::mysql) fn held(schema: &TableSchema, create: &str) -> Result<CreateTable, ClusterError> {
    let parsed = CreateTable::parse(create)?;
    if !schema.engine.eq_ignore_ascii_case("InnoDB") {
        return Ok(parsed);
    }
    let names = of(schema, &parsed);
    Ok(parsed.hold(&names))
}

/// The keys that foreign keys made: as the backup says, else those that have the name which the server gives.
pub(in crate::cluster::mysql) fn of(schema: &TableSchema, parsed: &CreateTable) -> Vec<String> {
    if let Some(names) = &schema.generated {
        return names.clone();
    }
    let plain = parsed.plain_keys().into_iter();
    let made = plain.filter(|key| parsed.foreign_keys().any(|foreign| would_make(foreign, key)));
    made.map(|key| key.name).collect()
}

/// Whether a foreign key makes such a key under such a name: its own, or where the server named it, its first column's.
fn would_make(foreign: &Foreign, key: &PlainKey) -> bool {
    let numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let Some(name) = foreign.name.as_deref().filter(|_| foreign.columns() == key.columns) else {
        return false;
    };
    let unnamed = name.rsplit_once("_ibfk_").is_some_and(|(_, n)| numbered(n));
    let first = key.columns.first().map_or("", String::as_str);
    let behind = key.name.strip_prefix(first);
    let of_column = behind.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('_').is_some_and(numbered));
    name == key.name || (unnamed && of_column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_name_of_the_foreign_key_or_of_its_first_column() {
        let of = |keys: &str, foreign: &str| {
            let create = format!("CREATE TABLE `t` (\n  `p` int,\n  `q` int,\n  {keys},\n  {foreign}\n) ENGINE=InnoDB");
            let parsed = CreateTable::parse(&create).unwrap();
            let schema = TableSchema {
                kind: super::super::table::TableKind::Base,
                create: create.clone(),
                engine: "InnoDB".to_owned(),
                columns: Vec::new(),
                primary_key: Vec::new(),
                consistent: true,
                auto_increment: None,
                generated: None,
                stored_order: false,
            };
            super::of(&schema, &parsed)
        };
        let unnamed = "CONSTRAINT `t_ibfk_1` FOREIGN KEY (`p`) REFERENCES `x` (`id`)";
        let named = "CONSTRAINT `fk` FOREIGN KEY (`p`) REFERENCES `x` (`id`)";
        assert_eq!(of("KEY `p` (`p`)", unnamed), ["p"]);
        assert_eq!(of("KEY `p_2` (`p`)", unnamed), ["p_2"]);
        assert_eq!(of("KEY `t_ibfk_1` (`p`)", unnamed), ["t_ibfk_1"]);
        assert_eq!(of("KEY `fk` (`p`),\n  KEY `p` (`p`)", named), ["fk"]);
        for (keys, foreign) in [
            ("KEY `idx_p` (`p`)", unnamed),
            ("KEY `p` (`p`)", named),
            ("KEY `p` (`p`,`q`)", unnamed),
            ("KEY `p` (`p`) COMMENT 'x'", unnamed),
            ("KEY `p` (`p` DESC)", unnamed),
            ("UNIQUE KEY `p` (`p`)", unnamed),
        ] {
            assert_eq!(of(keys, foreign), Vec::<String>::new(), "{keys}");
        }
    }
}
