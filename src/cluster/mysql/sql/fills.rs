//! What an ALTER TABLE puts into the rows that are there, where neither its text nor the rows say it.

use super::Modes;
use super::tokens::{Token, TokenKind, words};

/// What comes into rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filling {
    /// AUTO_INCREMENT: numbers in the order in which the server reads the rows.
    Numbers {
        /// Whether the column is a new one.
        added: bool,
    },
    /// `ALTER IGNORE TABLE` with a unique key: of equal rows the first one stays.
    FirstOfEqual,
    /// A value that is computed from something else than the row: by this function or from this variable.
    Value(String),
}

/// One column or key of the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// What comes into the rows.
    pub filling: Filling,
    /// Only where there is no such column: `IF NOT EXISTS`.
    pub unless: Option<String>,
}

/// Functions that give other values at another time, to another session or on another server. Times are not among them:
/// the log has them.
const FUNCTIONS: [&str; 36] = [
    "UUID",
    "UUID_SHORT",
    "UUID_V4",
    "UUIDV4",
    "UUID_V7",
    "UUIDV7",
    "SYS_GUID",
    "RAND",
    "RANDOM_BYTES",
    "ENCRYPT",
    "SYSDATE",
    "NEXTVAL",
    "LASTVAL",
    "SETVAL",
    "LAST_INSERT_ID",
    "DATABASE",
    "SCHEMA",
    "USER",
    "CURRENT_USER",
    "SESSION_USER",
    "SYSTEM_USER",
    "CURRENT_ROLE",
    "CONNECTION_ID",
    "PS_CURRENT_THREAD_ID",
    "VERSION",
    "FOUND_ROWS",
    "ROW_COUNT",
    "LOAD_FILE",
    "GET_LOCK",
    "RELEASE_LOCK",
    "RELEASE_ALL_LOCKS",
    "IS_FREE_LOCK",
    "IS_USED_LOCK",
    "BINLOG_GTID_POS",
    "SLEEP",
    "BENCHMARK",
];

/// What a statement fills rows with; nothing for all but `ALTER TABLE`.
pub fn fills(sql: &str, modes: Modes) -> Vec<Fill> {
    let all = words(sql, modes);
    let Some(start) = all.iter().position(|t| t.is("ALTER")) else {
        return Vec::new();
    };
    // SET STATEMENT ... FOR stands before it, nothing else.
    if start > 0 && !all.get(start - 1).is_some_and(|t| t.is("FOR") || t.is_symbol('(')) {
        return Vec::new();
    }
    let rest = all.get(start + 1..).unwrap_or_default();
    let Some(table) = rest.iter().take(3).position(|t| t.is("TABLE")) else {
        return Vec::new();
    };
    let ignore = rest.iter().take(table).any(|t| t.is("IGNORE"));
    let mut out = Vec::new();
    for (n, part) in parts(rest.get(table + 1..).unwrap_or_default()).into_iter().enumerate() {
        let part = if n == 0 { behind_the_name(part) } else { part };
        read(part, ignore, &mut out);
    }
    out
}

/// The variable of a session that no log holds, and on which the values hang that an `ALTER TABLE` puts into new columns.
pub fn hangs_on(sql: &str, modes: Modes) -> Option<&'static str> {
    let all = words(sql, modes);
    let any = |names: &[&str]| all.iter().any(|t| names.iter().any(|name| t.is(name)));
    let alters = all.first().is_some_and(|t| t.is("ALTER"));
    // Those that are computed and stored are so anew when they change.
    let computes = alters && any(&["STORED", "PERSISTENT"]) && any(&["ADD", "MODIFY", "CHANGE"]);
    let adds = computes || (alters && any(&["ADD"]));
    let at = |n: usize| all.get(n);
    let default = all.iter().enumerate().find(|(n, t)| match at(n + 1) {
        Some(next) if t.is("DEFAULT") => next.is_symbol('(') || next.kind == TokenKind::Word,
        Some(next) if t.is("AS") => computes && next.is_symbol('('),
        _ => false,
    })?;
    let called = |n: usize| at(n + 1).is_some_and(|t| t.is_symbol('('));
    let values = all.iter().enumerate().skip(default.0 + 1);
    values.filter(|_| adds).find_map(|(n, token)| match () {
        () if token.is_symbol('/') => Some("div_precision_increment"),
        () if token.is("WEEK") && called(n) && week_of_one(all.get(n + 2..).unwrap_or_default()) => {
            Some("default_week_format")
        }
        () if (token.is("AES_ENCRYPT") || token.is("AES_DECRYPT")) && called(n) => Some("block_encryption_mode"),
        () => None,
    })
}

/// Whether the list that ends here has one part: `WEEK` with two takes nothing from a variable.
fn week_of_one(list: &[Token<'_>]) -> bool {
    let mut depth = 1_i32;
    let end = list.iter().position(|t| {
        depth += i32::from(t.is_symbol('(')) - i32::from(t.is_symbol(')'));
        depth == 0
    });
    parts(list.get(..end.unwrap_or(list.len())).unwrap_or_default()).len() == 1
}

/// The parts between the commas that stand in no parentheses.
pub(super) fn parts<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut depth = 0_i32;
    tokens
        .split(|t| {
            depth += i32::from(t.is_symbol('(')) - i32::from(t.is_symbol(')'));
            depth == 0 && t.is_symbol(',')
        })
        .collect()
}

/// The first specification, without the table's name before it. ADD and CHANGE can be names only behind a dot.
fn behind_the_name<'t, 'a>(part: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let find = |word: &str| {
        (1..part.len()).find(|at| {
            let dot = part.get(at - 1).is_some_and(|t| t.is_symbol('.'));
            !dot && part.get(*at).is_some_and(|t| t.is(word))
        })
    };
    let at = find("ADD").or_else(|| find("CHANGE")).or_else(|| find("MODIFY"));
    at.and_then(|at| part.get(at..)).unwrap_or_default()
}

fn read(part: &[Token<'_>], ignore: bool, out: &mut Vec<Fill>) {
    let Some((first, mut rest)) = part.split_first() else {
        return;
    };
    let added = first.is("ADD");
    if !(added || first.is("MODIFY") || first.is("CHANGE")) {
        return;
    }
    let unique = |tokens: &[Token<'_>]| tokens.iter().any(|t| t.is("UNIQUE") || t.is("PRIMARY"));
    if ignore && unique(rest) {
        out.push(Fill {
            filling: Filling::FirstOfEqual,
            unless: None,
        });
    }
    // VECTOR, SYSTEM and PERIOD may be names of columns too; then there is nothing like a key behind them.
    if added && rest.first().is_some_and(is_key) && !names_a_column(rest) {
        return;
    }
    if let Some((column, behind)) = rest.split_first()
        && column.is("COLUMN")
    {
        rest = behind;
    }
    let conditional = added
        && rest
            .first_chunk::<3>()
            .is_some_and(|[a, b, c]| a.is("IF") && b.is("NOT") && c.is("EXISTS"));
    if conditional {
        rest = rest.get(3..).unwrap_or_default();
    } else if rest
        .first_chunk::<2>()
        .is_some_and(|[a, b]| a.is("IF") && b.is("EXISTS"))
    {
        rest = rest.get(2..).unwrap_or_default();
    }
    match rest.split_first() {
        Some((open, inner)) if added && open.is_symbol('(') => {
            let inner = inner.split_last().map_or(inner, |(_, inner)| inner);
            parts(inner)
                .into_iter()
                .filter(|p| !p.first().is_some_and(is_key) || names_a_column(p))
                .for_each(|p| column(p, added, conditional, out));
        }
        _ => column(rest, added, conditional, out),
    }
}

/// Whether a word may begin something else than a column.
pub(super) fn is_key(token: &Token<'_>) -> bool {
    const OTHERS: [&str; 13] = [
        "INDEX",
        "KEY",
        "UNIQUE",
        "PRIMARY",
        "FULLTEXT",
        "SPATIAL",
        "VECTOR",
        "CONSTRAINT",
        "FOREIGN",
        "CHECK",
        "PARTITION",
        "PERIOD",
        "SYSTEM",
    ];
    OTHERS.iter().any(|word| token.is(word))
}

/// Whether a word that may begin a key or more is the name of a column here.
fn names_a_column(part: &[Token<'_>]) -> bool {
    let Some([name, next]) = part.first_chunk::<2>() else {
        return false;
    };
    match () {
        () if name.is("VECTOR") => !(next.is("INDEX") || next.is("KEY") || next.is_symbol('(')),
        () if name.is("SYSTEM") => !next.is("VERSIONING"),
        () if name.is("PERIOD") => !next.is("FOR"),
        () => false,
    }
}

/// A column with its definition.
fn column(part: &[Token<'_>], added: bool, conditional: bool, out: &mut Vec<Fill>) {
    let Some((name, definition)) = part.split_first() else {
        return;
    };
    let unless = conditional.then(|| name.name());
    let mut push = |filling| {
        out.push(Fill {
            filling,
            unless: unless.clone(),
        });
    };
    if definition.iter().any(|t| t.is("AUTO_INCREMENT") || t.is("SERIAL")) {
        push(Filling::Numbers { added });
    }
    // A column that is changed keeps its values.
    if added && let Some(function) = unknown_value(definition) {
        push(Filling::Value(function));
    }
}

/// The first thing in a definition that is not the same everywhere.
fn unknown_value(definition: &[Token<'_>]) -> Option<String> {
    let at = |n: usize| definition.get(n);
    definition.iter().enumerate().find_map(|(n, token)| {
        let next = at(n + 1);
        let called = next.is_some_and(|t| t.is_symbol('('));
        let behind_dot = n > 0 && at(n - 1).is_some_and(|t| t.is_symbol('.'));
        let of_sequence = token.is("NEXTVAL") || token.is("CURRVAL");
        let bare = ["CURRENT_USER", "CURRENT_ROLE"].iter().any(|w| token.is(w));
        let value_of = (token.is("NEXT") || token.is("PREVIOUS")) && next.is_some_and(|t| t.is("VALUE"));
        let function = FUNCTIONS.iter().any(|f| token.is(f)) && called;
        match () {
            () if function || bare || (of_sequence && behind_dot) => Some(token.text.to_ascii_lowercase()),
            () if value_of => Some(format!("{} value", token.text.to_ascii_lowercase())),
            () if token.is_symbol('@') && token.kind == TokenKind::Symbol => Some("a variable".to_owned()),
            () => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::wire::Flavor;

    fn of(sql: &str) -> Vec<Fill> {
        fills(sql, Modes::of(0, Flavor::MariaDb))
    }

    fn fill(filling: Filling) -> Fill {
        Fill { filling, unless: None }
    }

    fn value(function: &str) -> Vec<Fill> {
        vec![fill(Filling::Value(function.to_owned()))]
    }

    #[test]
    fn values_that_hang_on_a_variable() {
        let on = |sql: &str| hangs_on(sql, Modes::of(0, Flavor::MariaDb));
        for (sql, variable) in [
            (
                "ALTER TABLE s ADD dv DECIMAL(30,20) DEFAULT (1/3)",
                Some("div_precision_increment"),
            ),
            (
                "alter table s add wk int default (week(concat('2026-01-01', '')))",
                Some("default_week_format"),
            ),
            ("alter table s add wk int default (week('2026-01-01', 3))", None),
            (
                "alter table s add ae varbinary(100) default (aes_encrypt('x','k'))",
                Some("block_encryption_mode"),
            ),
            (
                "alter table s add g decimal(30,20) as (a / 7) stored",
                Some("div_precision_increment"),
            ),
            (
                "alter table s modify g int generated always as (week(d)) persistent",
                Some("default_week_format"),
            ),
            ("alter table s add g decimal(30,20) as (a / 7) virtual", None),
            ("alter table s add a int default 5, add b int", None),
            ("alter table s modify d decimal(30,20) default (1/3)", None),
            ("create table s (d decimal(30,20) default (1/3))", None),
        ] {
            assert_eq!(on(sql), variable, "{sql}");
        }
    }

    #[test]
    fn numbers() {
        let numbers = |added| vec![fill(Filling::Numbers { added })];
        assert_eq!(
            of("alter table t add id int auto_increment primary key first"),
            numbers(true)
        );
        assert_eq!(of("ALTER TABLE `a`.add DROP x, ADD COLUMN id SERIAL"), numbers(true));
        assert_eq!(
            of("alter table d.t add (a int, id bigint auto_increment, key (id))"),
            numbers(true)
        );
        assert_eq!(
            of("alter table t modify id int auto_increment primary key"),
            numbers(false)
        );
        assert_eq!(
            of("alter table t change i id int unsigned auto_increment"),
            numbers(false)
        );
        let conditional = Fill {
            filling: Filling::Numbers { added: true },
            unless: Some("id".to_owned()),
        };
        assert_eq!(
            of(
                "set statement lock_wait_timeout=1 for alter online table if exists t add column if not exists id int auto_increment primary key"
            ),
            [conditional]
        );
        for none in [
            "alter table t auto_increment = 5",
            "alter table t engine=innodb auto_increment 7, add x int",
            "create table t (id int auto_increment primary key)",
            "alter table t add key auto_increment (id)",
            "alter table t add x int comment 'auto_increment uuid()'",
            "alter sequence s restart 5",
        ] {
            assert_eq!(of(none), [], "{none}");
        }
    }

    #[test]
    fn values() {
        assert_eq!(of("alter table t add u char(36) default (uuid())"), value("uuid"));
        assert_eq!(
            of("alter table modify add u double not null default rand() after x"),
            value("rand")
        );
        assert_eq!(
            of("alter table t add column x int default nextval(`d`.`s`)"),
            value("nextval")
        );
        assert_eq!(
            of("alter table t add column x int default (next value for s)"),
            value("next value")
        );
        assert_eq!(
            of("alter table t add who varchar(90) default current_user"),
            value("current_user")
        );
        assert_eq!(
            of("alter table t add a int, add (b int, c text default (concat('x', /*!50000 schema() */)))"),
            value("schema")
        );
        assert_eq!(
            of("alter table t add system varchar(9) default @@hostname"),
            value("a variable")
        );
        for none in [
            "alter table t modify u char(36) not null default (uuid())",
            "alter table t alter u set default (uuid())",
            "alter table t add uuid uuid, add rand int default (1), add `user()` int",
            "alter table t add ts timestamp(6) default now(6) on update now(6)",
            "alter table t add unique key database (x)",
            "alter table t add system versioning",
        ] {
            assert_eq!(of(none), [], "{none}");
        }
    }

    #[test]
    fn equal_rows() {
        assert_eq!(of("alter ignore table t add unique (a)"), [fill(Filling::FirstOfEqual)]);
        assert_eq!(of("alter table t add unique (a)"), []);
    }
}
