//! Which tables are wanted, where they are built, and what they are called in the end.

use std::collections::BTreeMap;

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

/// Whether a table of the server's own is changed by statements (`GRANT`, `CREATE PROCEDURE` ...), of which the log holds no
/// rows: rows of it were changed by hand.
pub(super) fn is_told_by_statements(table: &TableName) -> bool {
    const TABLES: [&str; 18] = [
        "global_priv",
        "user",
        "db",
        "tables_priv",
        "columns_priv",
        "procs_priv",
        "proxies_priv",
        "roles_mapping",
        "role_edges",
        "default_roles",
        "global_grants",
        "password_history",
        "proc",
        "event",
        "func",
        "plugin",
        "servers",
        "component",
    ];
    table.db == "mysql" && TABLES.contains(&table.table.as_str())
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
