//! Whether what a statement does to a table can depend on the time zone: moments that become local time, or the other way.
//!
//! A server says that a statement used the zone also where nothing comes of it: it reads the defaults of a table that is
//! altered. What is not understood here counts as dependent.

use super::Modes;
use super::fills::{is_key, parts};
use super::tokens::{Token, TokenKind, words};

/// The table of the statement, as it is before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct There {
    /// Its columns that hold moments, in lower case.
    pub timestamps: Vec<String>,
    /// Whether it has columns or keys that are computed from others.
    pub computed: bool,
    /// Whether its history goes into partitions by time.
    pub by_time: bool,
}

/// Whether the outcome of `ALTER TABLE`, `CREATE TABLE`, `CREATE INDEX` and the like can depend on it.
pub fn depends(sql: &str, modes: Modes, there: &There) -> bool {
    let all = words(sql, modes);
    let has = |word: &str| all.iter().any(|t| t.is(word));
    if (there.computed && !there.timestamps.is_empty())
        || (there.by_time && has("PARTITION"))
        || has("SYSTEM_TIME")
        || has("UNIX_TIMESTAMP")
        || has("FROM_UNIXTIME")
    {
        return true;
    }
    let Some(table) = all.iter().take(5).position(|t| t.is("TABLE")) else {
        // A key over expressions.
        return all.windows(2).any(|two| two.iter().all(|t| t.is_symbol('(')));
    };
    let rest = all.get(table + 1..).unwrap_or_default();
    match all.iter().take(table).any(|t| t.is("ALTER")) {
        true => alters(rest, there),
        false => creates(rest),
    }
}

fn creates(rest: &[Token<'_>]) -> bool {
    let Some(open) = rest.iter().position(|t| t.is_symbol('(')) else {
        return false;
    };
    let mut depth = 0_i32;
    let list = rest.get(open + 1..).unwrap_or_default();
    let end = list.iter().position(|t| {
        depth += i32::from(t.is_symbol('(')) - i32::from(t.is_symbol(')'));
        depth < 0
    });
    let (list, tail) = list.split_at(end.unwrap_or(list.len()));
    let by_clock = |t: &Token<'_>| CLOCK.iter().any(|word| t.is(word));
    tail.iter().any(by_clock)
        || parts(list)
            .into_iter()
            .filter(|part| !part.first().is_some_and(is_key))
            .any(|part| part.split_first().is_some_and(|(_, column)| made(column)))
}

/// Whether an `ALTER TABLE` makes moments of the local times in the rows that are there.
pub fn makes_moments(sql: &str, modes: Modes, there: &There) -> bool {
    let all = words(sql, modes);
    let table = all.iter().take(5).position(|t| t.is("TABLE"));
    let Some(table) = table.filter(|_| all.first().is_some_and(|t| t.is("ALTER"))) else {
        return false;
    };
    changes_any(all.get(table + 1..).unwrap_or_default(), |verb, part| {
        let part = without(without(part, &["COLUMN"]), &["IF", "EXISTS"]);
        let column = match verb.is("CHANGE") {
            true => part.get(2..),
            false => part.get(1..).filter(|_| verb.is("MODIFY")),
        };
        let was = |t: &Token<'_>| there.timestamps.contains(&t.name().to_lowercase());
        column.is_some_and(is_timestamp) && !part.first().is_some_and(was)
    })
}

/// The strings of a statement.
pub fn strings(sql: &str, modes: Modes) -> Vec<String> {
    let all = words(sql, modes);
    let text = all.iter().filter(|t| t.kind == TokenKind::Text);
    text.map(|t| t.text.trim_matches(['\'', '"']).to_owned()).collect()
}

fn alters(rest: &[Token<'_>], there: &There) -> bool {
    changes_any(rest, |verb, part| changes(verb, part, there))
}

/// Whether one of the changes of an `ALTER TABLE` is such; each is given as its verb and what comes behind.
fn changes_any(rest: &[Token<'_>], is_such: impl Fn(&Token<'_>, &[Token<'_>]) -> bool) -> bool {
    const VERBS: [&str; 4] = ["ADD", "MODIFY", "CHANGE", "ALTER"];
    parts(rest).into_iter().enumerate().any(|(n, part)| {
        let verb = |at: &usize| part.get(*at).is_some_and(|t| VERBS.iter().any(|word| t.is(word)));
        // The table's name comes first.
        let at = match n {
            0 => (1..part.len()).find(verb),
            _ => Some(0).filter(verb),
        };
        let part = at.and_then(|at| part.get(at..)).unwrap_or_default();
        part.split_first().is_some_and(|(verb, part)| is_such(verb, part))
    })
}

/// One change of a table.
fn changes(verb: &Token<'_>, part: &[Token<'_>], there: &There) -> bool {
    if verb.is("ADD") && part.first().is_some_and(is_key) {
        let checks = part.iter().any(|t| t.is("CHECK"));
        return !checks && part.windows(2).any(|two| two.iter().all(|t| t.is_symbol('(')));
    }
    let mut part = without(part, &["COLUMN"]);
    part = without(part, &["IF", "NOT", "EXISTS"]);
    part = without(part, &["IF", "EXISTS"]);
    let Some((name, rest)) = part.split_first() else {
        return false;
    };
    if verb.is("ADD") && name.is_symbol('(') {
        let list = rest.split_last().map_or(rest, |(_, list)| list);
        return parts(list)
            .into_iter()
            .filter(|part| !part.first().is_some_and(is_key))
            .any(|part| part.split_first().is_some_and(|(_, column)| added(column)));
    }
    if verb.is("ADD") {
        return added(rest);
    }
    let was = there.timestamps.contains(&name.name().to_lowercase());
    if verb.is("ALTER") {
        return was && rest.iter().any(|t| t.is("SET")) && moment(rest);
    }
    let column = match verb.is("CHANGE") {
        true => rest.get(1..).unwrap_or_default(),
        false => rest,
    };
    was != is_timestamp(column) || made(column)
}

fn without<'t, 'a>(part: &'t [Token<'a>], front: &[&str]) -> &'t [Token<'a>] {
    let begins = part.len() >= front.len() && part.iter().zip(front).all(|(t, word)| t.is(word));
    match begins {
        true => part.get(front.len()..).unwrap_or_default(),
        false => part,
    }
}

/// What stands for the time of the statement.
const CLOCK: [&str; 12] = [
    "NOW",
    "CURRENT_TIMESTAMP",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "CURRENT_DATE",
    "CURDATE",
    "CURRENT_TIME",
    "CURTIME",
    "SYSDATE",
    "UTC_TIMESTAMP",
    "UTC_DATE",
    "UTC_TIME",
];

fn is_timestamp(column: &[Token<'_>]) -> bool {
    column.first().is_some_and(|t| t.is("TIMESTAMP"))
}

/// A column that fills no rows.
fn made(column: &[Token<'_>]) -> bool {
    let computed = column.iter().any(|t| t.is("AS") || t.is("GENERATED"));
    computed || (is_timestamp(column) && moment(column))
}

/// A column that comes to rows that are there: its default becomes their value.
fn added(column: &[Token<'_>]) -> bool {
    let literal = |value: &[Token<'_>]| match value {
        [first, rest @ ..] => {
            let plain = ["NULL", "TRUE", "FALSE"].iter().any(|word| first.is(word));
            let signed = first.is_symbol('-') || first.is_symbol('+');
            let hex = first.text.get(..2).is_some_and(|two| two.eq_ignore_ascii_case("0x"));
            // As x'00', _utf8mb4'a' and DATE'2026-01-01' are.
            let named = first.kind == TokenKind::Word && rest.first().is_some_and(|t| t.kind == TokenKind::Text);
            plain || signed || hex || named || matches!(first.kind, TokenKind::Text | TokenKind::Number)
        }
        [] => true,
    };
    made(column) || (!is_timestamp(column) && default(column).is_some_and(|value| !literal(value)))
}

fn default<'t, 'a>(column: &'t [Token<'a>]) -> Option<&'t [Token<'a>]> {
    let at = column.iter().position(|t| t.is("DEFAULT"))?;
    column.get(at + 1..)
}

/// Whether the default of a TIMESTAMP is a moment that is written in local time.
fn moment(column: &[Token<'_>]) -> bool {
    let Some(first) = default(column).and_then(<[_]>::first) else {
        return false;
    };
    let now = CLOCK.iter().take(4).any(|word| first.is(word));
    let zero = matches!(first.kind, TokenKind::Text | TokenKind::Number)
        && first.text.chars().all(|c| !c.is_alphanumeric() || c == '0');
    !(first.is("NULL") || now || zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::wire::Flavor;

    fn on(sql: &str, there: &There) -> bool {
        depends(sql, Modes::of(0, Flavor::MariaDb), there)
    }

    fn there() -> There {
        There {
            timestamps: vec!["ts".to_owned()],
            ..There::default()
        }
    }

    #[test]
    fn moments_that_become_local_time_depend_on_it() {
        for sql in [
            "ALTER TABLE t MODIFY ts DATETIME",
            "ALTER TABLE d.t CHANGE COLUMN `TS` x varchar(30)",
            "ALTER TABLE t MODIFY COLUMN d TIMESTAMP NULL",
            "ALTER TABLE t ADD a INT, ADD x TIMESTAMP NOT NULL DEFAULT '2026-03-03 03:03:03'",
            "ALTER TABLE t ADD y DATETIME DEFAULT now()",
            "ALTER TABLE t ADD (a INT, y DATE DEFAULT (curdate()))",
            "ALTER TABLE t ADD z TEXT DEFAULT ('at ' || now())",
            "ALTER TABLE t ADD y DATE AS (date(ts))",
            "ALTER TABLE t ALTER ts SET DEFAULT '2026-03-03'",
            "ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (UNIX_TIMESTAMP('2026-01-01')))",
            "ALTER TABLE t ADD INDEX i ((date(ts)))",
            "CREATE INDEX i ON t ((date(ts)))",
            "CREATE TABLE t (id INT, ts TIMESTAMP DEFAULT '2026-03-03')",
            "CREATE TABLE t (id INT, ts TIMESTAMP) PARTITION BY RANGE (UNIX_TIMESTAMP(ts)) (PARTITION a VALUES LESS THAN (1))",
            "CREATE TABLE t (id INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME INTERVAL 1 DAY",
        ] {
            assert!(on(sql, &there()), "{sql}");
        }
        let computed = There {
            computed: true,
            ..there()
        };
        assert!(on("ALTER TABLE t ADD a INT", &computed));
    }

    #[test]
    fn local_times_of_rows_become_moments() {
        let on = |sql: &str| makes_moments(sql, Modes::of(0, Flavor::MariaDb), &there());
        assert!(on("ALTER TABLE t MODIFY d TIMESTAMP NULL"));
        assert!(on("alter table t add a int, change column if exists d e timestamp(3)"));
        assert!(!on(
            "ALTER TABLE t MODIFY ts TIMESTAMP(6), ADD x TIMESTAMP DEFAULT '2026-01-01'"
        ));
        assert!(!on("ALTER TABLE t MODIFY ts DATETIME"));
        assert!(!on("CREATE TABLE t (d TIMESTAMP)"));
        assert_eq!(
            strings(
                "ALTER TABLE t ADD x TIMESTAMP DEFAULT '2026-01-01 02:03:04'",
                Modes::of(0, Flavor::MariaDb)
            ),
            ["2026-01-01 02:03:04"]
        );
    }

    #[test]
    fn all_else_does_not() {
        for sql in [
            "ALTER TABLE t ADD a INT DEFAULT 5, ADD b VARCHAR(10) DEFAULT 'x', ADD c INT DEFAULT -1 AFTER b",
            "ALTER TABLE t MODIFY s VARCHAR(300), ENGINE = InnoDB",
            "ALTER TABLE t MODIFY ts TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
            "ALTER TABLE t ADD ts3 TIMESTAMP NOT NULL DEFAULT current_timestamp()",
            "ALTER TABLE t ADD u DATETIME DEFAULT '2026-03-03', ADD v DATE DEFAULT DATE'2026-03-03', ADD w BINARY(1) DEFAULT x'00'",
            "ALTER TABLE t ADD CONSTRAINT c CHECK ((d > '2020-01-01')), ADD KEY (s), DROP COLUMN x, RENAME COLUMN a TO b",
            "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
            "ALTER TABLE t PARTITION BY HASH (id) PARTITIONS 3",
            "CREATE INDEX i ON t (ts)",
            "CREATE TABLE t (id INT, ts TIMESTAMP DEFAULT '0000-00-00 00:00:00', d DATETIME DEFAULT CURRENT_TIMESTAMP, KEY (ts))",
            "CREATE TABLE t LIKE u",
        ] {
            assert!(!on(sql, &there()), "{sql}");
        }
    }
}
