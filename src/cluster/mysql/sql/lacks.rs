//! What a statement did at the source that its text does not say: known when it is archived, long before somebody restores.
//!
//! Whether it did so hangs on the tables as they were then, which only a replay finds out: these are possibilities.

use super::Modes;
use super::fills::{Filling, fills};
use super::tokens::words;
use crate::cluster::mysql::wire::Flavor;
use crate::model::text::safe;

/// Of a statement in another charset than brine's own.
pub const UNREAD: &str = "its letters cannot be read back from the charset of its session";

/// Rows that were logged as a statement.
pub fn rows_of(sql: &str, flavor: Flavor) -> String {
    // MariaDB logs these tables so always, whatever binlog_format says.
    let or = match flavor {
        Flavor::MariaDb => ", or the table keeps its history by the ids of transactions",
        Flavor::MySql => "",
    };
    format!(
        "its rows were logged as a statement ({}): a session has set binlog_format itself{or}",
        safe(sql, 80)
    )
}

/// What a statement may have put into tables besides what it says.
pub fn of(sql: &str, modes: Modes) -> Option<String> {
    if let Some(fill) = fills(sql, modes).first() {
        return Some(match &fill.filling {
            Filling::Numbers { .. } => {
                "rows that were there may have been numbered in an order that only the server knew".to_owned()
            }
            Filling::FirstOfEqual => "which of several equal rows stayed, only the server knew".to_owned(),
            Filling::Value(function) => {
                format!("rows that were there got values of {function}, which only the server knew")
            }
        });
    }
    file_of_rows(sql, modes).map(|word| format!("rows came or went with a file ({word} TABLESPACE)"))
}

/// `IMPORT` or `DISCARD`, where a statement does that to the tablespace of a table or partition.
pub fn file_of_rows(sql: &str, modes: Modes) -> Option<&'static str> {
    let all = words(sql, modes);
    if !all.first().is_some_and(|t| t.is("ALTER")) {
        return None;
    }
    // A partition's name may stand between: DISCARD PARTITION p0, p1 TABLESPACE.
    let find = |word: &'static str| {
        let at = all.iter().skip(2).position(|t| t.is(word))? + 3;
        let next = all.get(at)?;
        let of_table = next.is("TABLESPACE");
        let of_parts = next.is("PARTITION") && all.last().is_some_and(|t| t.is("TABLESPACE"));
        (of_table || of_parts).then_some(word)
    };
    find("IMPORT").or_else(|| find("DISCARD"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(sql: &str) -> Option<String> {
        of(sql, Modes::of(0, Flavor::MariaDb))
    }

    #[test]
    fn what_only_the_server_knew() {
        for (sql, word) in [
            ("ALTER TABLE t ADD id INT AUTO_INCREMENT PRIMARY KEY", "numbered"),
            ("ALTER TABLE t ADD u CHAR(36) DEFAULT (uuid())", "uuid"),
            ("ALTER IGNORE TABLE t ADD UNIQUE (a)", "equal rows"),
            ("ALTER TABLE t IMPORT TABLESPACE", "with a file (IMPORT"),
            (
                "alter table d.t discard partition p0, p1 tablespace",
                "with a file (DISCARD",
            ),
        ] {
            let told = lacks(sql).unwrap_or_default();
            assert!(told.contains(word), "{sql}: {told}");
        }
    }

    #[test]
    fn what_a_statement_says_itself() {
        for sql in [
            "ALTER TABLE t ADD a INT DEFAULT 5",
            "ALTER TABLE t ADD KEY (a)",
            "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, u CHAR(36) DEFAULT (uuid()))",
            "ALTER TABLE t RENAME COLUMN import TO tablespace",
            "DROP TABLE import, tablespace",
        ] {
            assert_eq!(lacks(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_statement_of_rows_is_named() {
        let told = rows_of("insert into d.t select uuid()", Flavor::MySql);
        assert!(told.contains("insert into d.t") && !told.contains("history"), "{told}");
    }
}
