//! Tables that were there at the base's moment, or were made about then, and that it does not have: they came and went while it
//! was taken. Until the log drops or makes one it is passed over.
//!
//! *Invariant: what a statement makes out of such a table is an error, never a table with other rows than at the source.*

use std::collections::BTreeSet;

use crate::cluster::mysql::restore::names::wanted;
use crate::cluster::mysql::sql::statement::Statement;
use crate::cluster::{ClusterError, RestoreAsk};
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// They, at a place of the log.
#[derive(Debug, Default)]
pub(in crate::cluster::mysql::restore) struct Absent(BTreeSet<TableName>);

impl Absent {
    /// Those of the base that were wanted.
    pub fn of_base(definitions: &[Definition], ask: &RestoreAsk) -> Absent {
        let all = definitions.iter().filter_map(Definition::left_out);
        Absent(all.filter(|t| wanted(ask, t)).collect())
    }

    pub fn has(&self, table: &TableName) -> bool {
        self.0.contains(table)
    }

    /// Follows a statement; whether it is only about such tables, and is not to be run.
    pub fn follow(&mut self, statement: &Statement, id: &str) -> Result<bool, ClusterError> {
        if let Some(db) = statement.dropped_database() {
            self.0.retain(|t| t.db != db);
        }
        match statement {
            Statement::DropTables { tables, .. } => {
                self.0.retain(|t| !tables.contains(t));
                return Ok(false);
            }
            // It is there, or it is not: then nobody can tell its rows from now on.
            Statement::CreateTable {
                table,
                if_not_exists: true,
                replace: false,
                ..
            } if self.has(table) => return Ok(true),
            Statement::CreateTable { table, .. } => self.0.retain(|t| t != table),
            _ => {}
        }
        let tables = statement.tables();
        let Some(absent) = tables.iter().find(|t| self.has(t)) else {
            return Ok(false);
        };
        match tables.iter().find(|t| *t != absent) {
            None => Ok(true),
            Some(other) => Err(ClusterError::Unsupported {
                what: format!(
                    "transaction {id} makes {other} out of {absent}, or the other way round, and the base does not have {absent}: it \
                     came or went while the backup was taken"
                ),
                hint: "restore to just before it (--before), or from another base (--base)".to_owned(),
            }),
        }
    }

    /// What the operator should know at the end.
    pub fn remarks(&self) -> Vec<String> {
        let said = |t: &TableName| {
            format!(
                "{t} is not restored: it came or went while the base was taken, which does not have it; another base may (--base)"
            )
        };
        self.0.iter().map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::sql::Modes;
    use crate::cluster::mysql::wire::Flavor;

    fn follow(absent: &mut Absent, sql: &str) -> Result<bool, ClusterError> {
        let statement = Statement::classify(sql, "d", Modes::of(0, Flavor::MariaDb));
        absent.follow(&statement, "0-1-1")
    }

    fn absent() -> Absent {
        Absent(BTreeSet::from([TableName::new("d", "etl")]))
    }

    #[test]
    fn the_log_makes_it_anew_or_drops_it() {
        for sql in [
            "drop table if exists x, etl",
            "create table etl (a int)",
            "create or replace table d.etl (a int)",
            "drop database d",
        ] {
            let mut it = absent();
            assert!(!follow(&mut it, sql).unwrap(), "{sql}");
            assert!(it.remarks().is_empty(), "{sql}");
        }
    }

    #[test]
    fn until_then_it_is_passed_over() {
        for sql in [
            "truncate etl",
            "alter table etl add b int",
            "create index i on etl (a)",
            "create table if not exists etl (a int)",
        ] {
            let mut it = absent();
            assert!(follow(&mut it, sql).unwrap(), "{sql}");
            assert_eq!(it.remarks().len(), 1, "{sql}");
        }
        assert!(!follow(&mut absent(), "alter table other add b int").unwrap());
    }

    #[test]
    fn nothing_is_made_out_of_it() {
        for sql in [
            "rename table etl to real_one",
            "rename table t to old, etl to t",
            "alter table etl rename to t",
            "create table t like etl",
            "alter table t exchange partition p with table etl",
        ] {
            assert!(follow(&mut absent(), sql).is_err(), "{sql}");
        }
    }
}
