//! Which tables are wanted, where they are built, and what they are called in the end.

use std::collections::BTreeMap;

use super::ledger;
use crate::cluster::RestoreAsk;
use crate::cluster::mysql::SHADOW_PREFIX;
use crate::model::filter::Rename;
use crate::model::table::TableName;

/// The databases in which a restore builds: each database of the source has one, in which its tables keep their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shadows {
    /// The number of the restore, part of every name.
    pub number: u64,
    /// Databases of the source and their shadows.
    pub of: BTreeMap<String, String>,
}

impl Shadows {
    /// The shadow that a further database of the source gets.
    pub fn next(&self) -> String {
        format!("{SHADOW_PREFIX}{}_{}", self.number, self.of.len())
    }

    /// Where a database is built, if anything of it is.
    pub fn shadow(&self, db: &str) -> Option<&str> {
        self.of.get(db).map(String::as_str)
    }

    /// Where a table is built, if anything of its database is.
    pub fn place(&self, name: &TableName) -> Option<TableName> {
        let shadow = self.shadow(&name.db)?;
        Some(TableName::new(shadow, name.table.clone()))
    }

    /// The database of the source that is built in a shadow.
    pub fn source(&self, shadow: &str) -> Option<&str> {
        self.of.iter().find(|(_, s)| *s == shadow).map(|(db, _)| db.as_str())
    }

    /// What the databases are called in which live tables are put aside.
    pub fn aside(&self, k: usize) -> String {
        format!("{SHADOW_PREFIX}{}_old_{k}", self.number)
    }

    /// What the database is called in which the switch is tried beforehand.
    pub fn probe(&self) -> String {
        format!("{SHADOW_PREFIX}{}_probe", self.number)
    }

    /// What a database is called that is never there.
    pub fn none(&self) -> String {
        format!("{SHADOW_PREFIX}{}_none", self.number)
    }

    /// What every database of this restore begins with.
    pub fn prefix(&self) -> String {
        format!("{SHADOW_PREFIX}{}_", self.number)
    }
}

/// Databases of the server itself, and brine's own.
pub(super) fn is_system(db: &str) -> bool {
    let db = db.to_ascii_lowercase();
    ["mysql", "sys", "information_schema", "performance_schema"].contains(&db.as_str()) || db.starts_with("_brine")
}

/// Why a database or a table cannot be called so (the rules of both products for names).
pub(in crate::cluster::mysql) fn refused(name: &TableName) -> Option<&'static str> {
    if is_system(&name.db) {
        return Some("that database belongs to the server, or to brine, and is in no backup");
    }
    let each = |bad: fn(&str) -> bool| bad(&name.db) || bad(&name.table);
    if each(str::is_empty) {
        return Some("a name has at least one character");
    }
    if each(|n| n.chars().count() > 64) {
        return Some("servers take names of 64 characters at most");
    }
    if each(|n| n.ends_with(' ')) {
        return Some("servers take no name that ends with a blank");
    }
    // Names are in utf8mb3.
    each(|n| n.chars().any(|c| c == '\0' || u32::from(c) > 0xFFFF))
        .then_some("servers take no such characters in names")
}

/// Whether a table of the server's own is changed by statements (`GRANT`, `CREATE PROCEDURE` ...), of which the log holds no
/// rows: rows of it were changed by hand.
pub(super) fn is_told_by_statements(table: &TableName) -> bool {
    const OTHERS: &[&str] = &[
        "password_history",
        "proc",
        "event",
        "func",
        "plugin",
        "servers",
        "component",
    ];
    let lists = [ledger::OF_ALL, ledger::OF_MARIADB, ledger::OF_MYSQL, OTHERS];
    table.db == "mysql" && lists.iter().any(|list| list.contains(&table.table.as_str()))
}

/// Whether a restore brings a table of the source.
pub(super) fn wanted(ask: &RestoreAsk, table: &TableName) -> bool {
    !is_system(&table.db) && ask.filter.matches(table)
}

/// The name that a database gets as a whole.
pub(super) fn target_db(ask: &RestoreAsk, db: &str) -> String {
    let rule = ask.rename.0.iter().find_map(|r| match r {
        Rename::Db { from, to } if from == db => Some(to.clone()),
        Rename::Db { .. } | Rename::Table { .. } => None,
    });
    rule.unwrap_or_else(|| db.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::RestoreScope;
    use crate::model::filter::{RenameMap, TableFilter};
    use crate::model::position::Moment;
    use crate::model::tso::Tso;

    #[test]
    fn names_that_servers_refuse_are_known_beforehand() {
        let name = |db: &str, table: &str| TableName::new(db, table);
        let long = "ü".repeat(64);
        for good in [name("a", "b"), name(&long, &long), name(" a", "b.c/`\"")] {
            assert_eq!(refused(&good), None, "{good}");
        }
        for bad in [
            name("mysql", "t"),
            name("Performance_Schema", "t"),
            name("_brine_9_9", "t"),
            name("a ", "t"),
            name("a", "t "),
            name("", "t"),
            name(&format!("{long}x"), "t"),
            name("a", "\u{1F600}"),
            name("a\0", "t"),
        ] {
            assert!(refused(&bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn system_databases_are_never_wanted() {
        let ask = RestoreAsk {
            id: "r1".to_owned(),
            scope: RestoreScope::Whole,
            filter: TableFilter::all(),
            rename: RenameMap::parse(&["shop=shop2"]).unwrap(),
            spares: false,
            until: Moment::of_tso(Tso(1)),
        };
        assert!(wanted(&ask, &TableName::new("shop", "t")));
        for db in ["mysql", "MySQL", "_brine", "_brine_3_0", "sys"] {
            assert!(!wanted(&ask, &TableName::new(db, "t")), "{db}");
        }
        assert_eq!(target_db(&ask, "shop"), "shop2");
        assert_eq!(target_db(&ask, "x"), "x");
    }
}
