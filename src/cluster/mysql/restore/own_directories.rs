//! Tables that have directories of their own at the source.
//!
//! MariaDB cannot move them: the file of an InnoDB table stays where it was when the table is renamed into another database, and
//! after the second restart the server has lost it (so do 10.11 and 11.8); MyISAM and Aria name the file without the database, so
//! that two tables of a name are in each other's way. A restore builds elsewhere and renames. So such tables are made
//! in the server's own directory, and it is said.

use super::building::Building;
use crate::cluster::ClusterError;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::words;
use crate::cluster::mysql::wire::Flavor;
use crate::model::table::TableName;

/// Lets a MariaDB session pass over directories. In the strict session of a statement of the log that would be an error; and what was
/// none at the source is none without it.
pub(super) const PASSED_OVER: &str = "SET SESSION sql_mode = CONCAT_WS(',', REPLACE(REPLACE(REPLACE(@@SESSION.sql_mode, \
     'STRICT_TRANS_TABLES', ''), 'STRICT_ALL_TABLES', ''), 'TRADITIONAL', ''), 'NO_DIR_IN_CREATE')";

/// What is said of the tables of a base.
pub(super) fn of(building: &Building) -> Result<Vec<String>, ClusterError> {
    if building.pool.with(|conn| Ok(conn.info().flavor))? != Flavor::MariaDb {
        return Ok(Vec::new());
    }
    let modes = Modes::of(0, Flavor::MariaDb);
    let inner = building.inner.lock();
    let moved = inner.known.values().filter(|of| has_any(&of.schema.create, modes));
    Ok(moved.map(|of| said(&of.name)).collect())
}

/// Whether a statement gives a table, or a part of it, a directory.
pub(super) fn has_any(sql: &str, modes: Modes) -> bool {
    // Nearly all have not: they are not read.
    let is_there = |word: &str| {
        sql.as_bytes()
            .windows(word.len())
            .any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
    };
    is_there("DIRECTORY")
        && words(sql, modes)
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if (a.is("DATA") || a.is("INDEX")) && b.is("DIRECTORY")))
}

/// What is said of such a table.
pub(super) fn said(table: &TableName) -> String {
    format!(
        "{table} is in the server's own data directory, and not in the DATA or INDEX DIRECTORY that it had: MariaDB loses \
         such files when a table is renamed, as every restore does"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_found_where_a_table_or_a_partition_has_one() {
        let has = |sql: &str| has_any(sql, Modes::of(0, Flavor::MariaDb));
        for sql in [
            "CREATE TABLE `t` (`a` int) ENGINE=InnoDB DATA DIRECTORY='/x/'",
            "create table t (a int) engine=myisam index  directory = '/x'",
            "CREATE TABLE t (a int) PARTITION BY HASH (a) (PARTITION p0 DATA DIRECTORY = '/x' ENGINE = InnoDB)",
            "CREATE TABLE t (a int)\n/*!50100 PARTITION BY HASH (a) (PARTITION p0 DATA DIRECTORY = '/x') */",
            "ALTER TABLE t ADD PARTITION (PARTITION p1 VALUES LESS THAN (5) DATA/* here */DIRECTORY='/x')",
        ] {
            assert!(has(sql), "{sql}");
        }
        for sql in [
            "CREATE TABLE t (`data directory` int)",
            "CREATE TABLE t (a int COMMENT 'DATA DIRECTORY=x')",
            "CREATE TABLE t (`DATA` int, directory int)",
            "CREATE TABLE t (a int) /* DATA DIRECTORY */",
        ] {
            assert!(!has(sql), "{sql}");
        }
    }
}
