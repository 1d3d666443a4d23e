//! Statements that take a partition of a table whose history goes into the next partition after so many rows: a restore ends
//! before them, because other rows lie in that partition than at the source.

use super::alter::Alter;
use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::links::create_of;
use crate::cluster::mysql::schema::history;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::words;
use crate::cluster::mysql::wire::{Conn, Flavor};

/// Refuses such a one.
pub(super) fn refuse(conn: &mut Conn, alter: &Alter<'_>) -> Result<(), ClusterError> {
    if conn.info().flavor != Flavor::MariaDb || !takes_a_partition(alter.sql, alter.modes) {
        return Ok(());
    }
    let Some(built) = alter.built() else {
        return Ok(());
    };
    match create_of(conn, &built)?.is_some_and(|create| history::by_number(&create)) {
        false => Ok(()),
        true => Err(alter.is_the_end(&format!(
            "which old rows of {} transaction {} took away with a partition (PARTITION BY SYSTEM_TIME LIMIT)",
            alter.table, alter.id
        ))),
    }
}

fn takes_a_partition(sql: &str, modes: Modes) -> bool {
    const TAKES: [&str; 4] = ["DROP", "TRUNCATE", "EXCHANGE", "CONVERT"];
    let all = words(sql, modes);
    all.windows(2).any(|two| match two {
        [verb, what] => TAKES.iter().any(|word| verb.is(word)) && what.is("PARTITION"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_taken() {
        let takes = |sql: &str| takes_a_partition(sql, Modes::of(0, Flavor::MariaDb));
        for sql in [
            "alter table t drop partition if exists p0",
            "ALTER TABLE d.t TRUNCATE PARTITION p0",
            "alter table t convert partition p0 to table x",
            "alter table t exchange partition p0 with table x",
        ] {
            assert!(takes(sql), "{sql}");
        }
        for sql in [
            "alter table t add partition partitions 2",
            "alter table t drop column `partition`",
            "alter table t comment 'drop partition p0'",
        ] {
            assert!(!takes(sql), "{sql}");
        }
    }
}
