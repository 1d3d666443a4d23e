//! What a statement of the log does, and to what.

use super::Modes;
use super::reader::Reader;
use super::tokens::{Token, TokenKind};
use crate::model::table::TableName;

/// A statement, as far as a restore needs to know it. Names are as written; unqualified ones have the default database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `CREATE [OR REPLACE] [TEMPORARY] TABLE`.
    CreateTable {
        /// The table.
        table: TableName,
        /// Only for its session: never replayed.
        temporary: bool,
        /// `OR REPLACE`.
        replace: bool,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// The table after `LIKE`.
        like: Option<TableName>,
        /// Whether rows follow from a query (`AS SELECT`).
        select: bool,
    },
    /// `ALTER TABLE` (also `ALTER SEQUENCE`), whatever it does, and `CREATE INDEX`, `DROP INDEX`.
    AlterTable {
        /// The table.
        table: TableName,
        /// Its new name, with `RENAME TO`.
        renamed: Option<TableName>,
        /// The table that a partition is exchanged with or converted to or from.
        partner: Option<TableName>,
    },
    /// `DROP TABLE`, `DROP SEQUENCE`.
    DropTables {
        /// The tables.
        tables: Vec<TableName>,
        /// `DROP TEMPORARY TABLE`: never replayed.
        temporary: bool,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `RENAME TABLE`: old and new names, in order.
    RenameTables(Vec<(TableName, TableName)>),
    /// `TRUNCATE [TABLE]`, and `DELETE FROM` without a condition: so a server empties MEMORY tables after it was restarted.
    Truncate(TableName),
    /// `CREATE SEQUENCE`.
    CreateSequence {
        /// The sequence.
        table: TableName,
        /// `OR REPLACE`.
        replace: bool,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `CREATE DATABASE`.
    CreateDatabase {
        /// The database.
        db: String,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `OR REPLACE`: drops the old one with all that is in it.
        replace: bool,
    },
    /// `ALTER DATABASE`.
    AlterDatabase {
        /// The database.
        db: String,
    },
    /// `DROP DATABASE`.
    DropDatabase {
        /// The database.
        db: String,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `CREATE`, `ALTER`, `DROP` of a view, trigger, procedure, function, event or package.
    Program {
        /// Which.
        act: Act,
        /// Of what kind.
        kind: ProgramKind,
        /// Their names: database and name; several with `DROP VIEW a, b`. The new name of an event that is renamed is last.
        names: Vec<TableName>,
        /// The table of a trigger that is created.
        on: Option<TableName>,
    },
    /// Accounts, roles and privileges: `CREATE USER`, `GRANT`, `SET PASSWORD` ...
    Account,
    /// Of no consequence for the data: `FLUSH`, `ANALYZE`, `OPTIMIZE`, `REPAIR`, `LOCK TABLES`, `KILL` ...
    Admin,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT` ...
    Transaction(TransactionWord),
    /// `XA START | END | PREPARE | COMMIT | ROLLBACK` with the id as it is written.
    Xa(XaWord, String),
    /// `SET`, `USE`.
    Session,
    /// `INSERT`, `UPDATE`, `DELETE`, `REPLACE`, `LOAD`, `CALL`, `DO` ...: logged as a statement, not as rows.
    Rows,
    /// Tablespaces, servers, plugins, resource groups: what belongs to the server.
    Server,
    /// Something that is not known here.
    Unknown,
}

/// What happens to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is made, perhaps in place of an older one.
    Create,
    /// It is changed.
    Alter,
    /// It goes.
    Drop,
}

/// Kinds of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum ProgramKind {
    View,
    Trigger,
    Procedure,
    /// A stored one; loadable functions of `CREATE FUNCTION ... SONAME` are [`Statement::Server`].
    Function,
    Event,
    Package,
    PackageBody,
}

/// The statements of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TransactionWord {
    Begin,
    Commit,
    Rollback,
    /// `SAVEPOINT`, `RELEASE SAVEPOINT`, `ROLLBACK TO`.
    Savepoint,
}

/// The statements of XA transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum XaWord {
    Start,
    End,
    Prepare,
    Commit,
    Rollback,
}

impl Statement {
    /// What a statement does. Never fails: what is not understood is [`Statement::Unknown`].
    pub fn classify(sql: &str, default_db: &str, modes: Modes) -> Statement {
        classify(&mut Reader::new(sql, default_db, modes))
    }

    /// The tables it names (not those in queries inside of it), in order.
    pub fn tables(&self) -> Vec<&TableName> {
        match self {
            Statement::CreateTable { table, like, .. } => [table].into_iter().chain(like).collect(),
            Statement::AlterTable {
                table,
                renamed,
                partner,
            } => [table].into_iter().chain(renamed).chain(partner).collect(),
            Statement::DropTables { tables, .. } => tables.iter().collect(),
            Statement::RenameTables(pairs) => pairs.iter().flat_map(|(from, to)| [from, to]).collect(),
            Statement::Truncate(table) | Statement::CreateSequence { table, .. } => vec![table],
            Statement::Program { on, .. } => on.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The databases in which it changes something.
    pub fn databases(&self) -> Vec<&str> {
        match self {
            Statement::CreateDatabase { db, .. }
            | Statement::AlterDatabase { db }
            | Statement::DropDatabase { db, .. } => vec![db],
            Statement::Program { names, .. } => names.iter().map(|n| n.db.as_str()).collect(),
            other => other.tables().iter().map(|t| t.db.as_str()).collect(),
        }
    }
}

/// Reads the statement to its end where it is about tables, so that the reader has all its references.
pub(super) fn classify(r: &mut Reader<'_>) -> Statement {
    while r.take_symbol('(') {}
    if r.take(&["SET", "STATEMENT"]) {
        while !r.take(&["FOR"]) {
            if r.next().is_none() {
                return Statement::Unknown;
            }
        }
    }
    read(r).unwrap_or(Statement::Unknown)
}

fn read(r: &mut Reader<'_>) -> Option<Statement> {
    let word = r.next()?.text.to_ascii_uppercase();
    match word.as_str() {
        "CREATE" => create(r),
        "ALTER" => alter(r),
        "DROP" => drop_object(r),
        "RENAME" => rename(r),
        "TRUNCATE" => {
            r.take(&["TABLE"]);
            Some(Statement::Truncate(r.table()?))
        }
        "GRANT" | "REVOKE" => Some(Statement::Account),
        "SET" if r.at_word("PASSWORD") => Some(Statement::Account),
        "SET" if r.at_word("DEFAULT") && r.peek_at(1).is_some_and(|t| t.is("ROLE")) => Some(Statement::Account),
        "SET" | "USE" | "PREPARE" | "EXECUTE" | "DEALLOCATE" => Some(Statement::Session),
        "FLUSH" | "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK" | "CHECKSUM" | "LOCK" | "UNLOCK" | "KILL" | "RESET"
        | "PURGE" | "CACHE" | "SHOW" | "HELP" | "BACKUP" | "SHUTDOWN" | "CHANGE" | "STOP" | "BINLOG" => {
            Some(Statement::Admin)
        }
        "START" | "BEGIN" if word == "BEGIN" || r.at_word("TRANSACTION") => {
            Some(Statement::Transaction(TransactionWord::Begin))
        }
        "START" => Some(Statement::Admin),
        "COMMIT" => Some(Statement::Transaction(TransactionWord::Commit)),
        "ROLLBACK" => {
            r.take(&["WORK"]);
            Some(Statement::Transaction(match r.at_word("TO") {
                true => TransactionWord::Savepoint,
                false => TransactionWord::Rollback,
            }))
        }
        "SAVEPOINT" | "RELEASE" => Some(Statement::Transaction(TransactionWord::Savepoint)),
        "XA" => xa(r),
        "DELETE" if r.take(&["FROM"]) => {
            let table = r.table()?;
            Some(match r.peek() {
                None => Statement::Truncate(table),
                Some(_) => Statement::Rows,
            })
        }
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "CALL" | "DO" | "WITH" | "SELECT" | "HANDLER"
        | "TABLE" | "VALUES" | "IMPORT" | "MERGE" => Some(Statement::Rows),
        "INSTALL" | "UNINSTALL" => Some(Statement::Server),
        _ => None,
    }
}

fn create(r: &mut Reader<'_>) -> Option<Statement> {
    let replace = r.take(&["OR", "REPLACE"]);
    let temporary = r.take(&["TEMPORARY"]);
    if r.take(&["TABLE"]) {
        return create_table(r, replace, temporary);
    }
    if r.take(&["SEQUENCE"]) {
        let if_not_exists = r.if_not_exists();
        let table = r.table()?;
        return Some(match temporary {
            true => Statement::CreateTable {
                table,
                temporary,
                replace,
                if_not_exists,
                like: None,
                select: false,
            },
            false => Statement::CreateSequence {
                table,
                replace,
                if_not_exists,
            },
        });
    }
    if r.take_any(&["DATABASE", "SCHEMA"]) {
        let if_not_exists = r.if_not_exists();
        let db = r.database()?;
        return Some(Statement::CreateDatabase {
            db,
            if_not_exists,
            replace,
        });
    }
    if let Some(program) = program(r, Act::Create) {
        return Some(program);
    }
    if r.take_any(&["USER", "ROLE"]) {
        return Some(Statement::Account);
    }
    if r.at_any(&["SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE"]) || r.take(&["SPATIAL", "REFERENCE"]) {
        return Some(Statement::Server);
    }
    r.take_any(&["ONLINE", "OFFLINE"]);
    r.take_any(&["UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"]);
    r.take(&["INDEX"]).then_some(())?;
    r.if_not_exists();
    index_on(r)
}

fn create_table(r: &mut Reader<'_>, replace: bool, temporary: bool) -> Option<Statement> {
    let if_not_exists = r.if_not_exists();
    let table = r.table()?;
    let place = r.place();
    r.take_symbol('(');
    let like = match r.take(&["LIKE"]) {
        true => Some(r.table()?),
        false => None,
    };
    let mut select = false;
    if like.is_none() {
        r.go_to(place);
        select = has_query(r);
        r.go_to(place);
        r.body(&table)?;
    }
    Some(Statement::CreateTable {
        table,
        temporary,
        replace,
        if_not_exists,
        like,
        select,
    })
}

/// Whether a query follows, outside of the column list or as all there is in the parentheses.
fn has_query(r: &mut Reader<'_>) -> bool {
    let query = ["SELECT", "WITH", "VALUES", "TABLE"];
    let start = r.place();
    while r.take_symbol('(') {}
    if r.place() > start && r.at_any(&query) {
        return true;
    }
    r.go_to(start);
    let mut depth = 0_u32;
    while let Some(token) = r.next() {
        if token.is_symbol('(') {
            depth += 1;
        } else if token.is_symbol(')') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && ["SELECT", "VALUES", "AS"].iter().any(|w| token.is(w)) {
            return true;
        }
    }
    false
}

/// `name ON table` of an index.
fn index_on(r: &mut Reader<'_>) -> Option<Statement> {
    while !r.take(&["ON"]) {
        r.next()?;
    }
    Some(Statement::AlterTable {
        table: r.table()?,
        renamed: None,
        partner: None,
    })
}

fn program_kind(r: &mut Reader<'_>) -> Option<ProgramKind> {
    let kinds = [
        ("VIEW", ProgramKind::View),
        ("TRIGGER", ProgramKind::Trigger),
        ("PROCEDURE", ProgramKind::Procedure),
        ("FUNCTION", ProgramKind::Function),
        ("EVENT", ProgramKind::Event),
    ];
    if r.take(&["PACKAGE", "BODY"]) {
        return Some(ProgramKind::PackageBody);
    }
    if r.take(&["PACKAGE"]) {
        return Some(ProgramKind::Package);
    }
    kinds
        .into_iter()
        .find(|(word, _)| r.take(&[word]))
        .map(|(_, kind)| kind)
}

/// A program with what may stand before its kind; `None`, and nothing read, when it is none.
fn program(r: &mut Reader<'_>, act: Act) -> Option<Statement> {
    let start = r.place();
    let found = program_at(r, act);
    if found.is_none() {
        r.go_to(start);
    }
    found
}

fn program_at(r: &mut Reader<'_>, act: Act) -> Option<Statement> {
    loop {
        if r.take(&["ALGORITHM"]) {
            r.take_symbol('=');
            r.next()?;
        } else if r.take(&["DEFINER"]) {
            r.definer();
        } else if r.take(&["SQL", "SECURITY"]) {
            r.next()?;
        } else if !r.take_any(&["AGGREGATE", "JSON", "RELATIONAL", "DUALITY"]) {
            break;
        }
    }
    let kind = program_kind(r)?;
    let _ = r.if_exists() || r.if_not_exists();
    let mut names = vec![r.qualified()?.0];
    let mut on = None;
    match (act, kind) {
        (Act::Drop, ProgramKind::View) => {
            while r.take_symbol(',') {
                names.push(r.qualified()?.0);
            }
        }
        (Act::Create, ProgramKind::Function) if r.take(&["RETURNS"]) => {
            r.next()?;
            if r.at_word("SONAME") {
                return Some(Statement::Server);
            }
        }
        (Act::Create, ProgramKind::Trigger) => {
            while !r.take(&["ON"]) {
                r.next()?;
            }
            on = Some(r.qualified()?.0);
        }
        (Act::Alter, ProgramKind::Event) => {
            while r.peek().is_some() && !r.at_word("DO") {
                if r.take(&["RENAME", "TO"]) {
                    names.push(r.qualified()?.0);
                    break;
                }
                r.next();
            }
        }
        _ => {}
    }
    Some(Statement::Program { act, kind, names, on })
}

fn alter(r: &mut Reader<'_>) -> Option<Statement> {
    if let Some(program) = program(r, Act::Alter) {
        return Some(program);
    }
    if r.take_any(&["DATABASE", "SCHEMA"]) {
        let db = match unnamed_database(r) {
            true => r.default_db().to_owned(),
            false => r.database()?,
        };
        return Some(Statement::AlterDatabase { db });
    }
    if r.take_any(&["USER", "ROLE"]) {
        return Some(Statement::Account);
    }
    if r.at_any(&["SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE", "INSTANCE"]) {
        return Some(Statement::Server);
    }
    while r.take_any(&["ONLINE", "OFFLINE", "IGNORE"]) {}
    r.take_any(&["TABLE", "SEQUENCE"]).then_some(())?;
    r.if_exists();
    let table = r.table()?;
    r.wait();
    let (mut renamed, mut partner) = (None, None);
    let place = r.place();
    alter_specs(r, &mut renamed, &mut partner)?;
    // Once more, for the names within the specifications.
    r.go_to(place);
    r.body(&table)?;
    Some(Statement::AlterTable {
        table,
        renamed,
        partner,
    })
}

/// Whether an option stands where the name of the database may be left out.
fn unnamed_database(r: &Reader<'_>) -> bool {
    // These are reserved words; the others may be names.
    if r.at_any(&["CHARACTER", "CHAR", "COLLATE", "DEFAULT", "READ"]) {
        return true;
    }
    let value = |t: &Token<'_>| t.is_symbol('=') || t.kind == TokenKind::Text;
    let option = |t: &Token<'_>| {
        let options = [
            "CHARACTER",
            "CHARSET",
            "CHAR",
            "COLLATE",
            "DEFAULT",
            "READ",
            "ENCRYPTION",
            "COMMENT",
            "UPGRADE",
        ];
        options.iter().any(|o| t.is(o))
    };
    r.at_any(&["CHARSET", "ENCRYPTION", "COMMENT"]) && r.peek_at(1).is_some_and(|t| value(t) || !option(t))
}

/// The names of other tables in the specifications of ALTER TABLE.
fn alter_specs(r: &mut Reader<'_>, renamed: &mut Option<TableName>, partner: &mut Option<TableName>) -> Option<()> {
    let (mut depth, mut first) = (0_u32, true);
    while let Some(token) = r.peek().copied() {
        if depth == 0 && first && r.take(&["RENAME"]) {
            first = false;
            if !r.at_any(&["COLUMN", "INDEX", "KEY"]) {
                let _ = r.take_any(&["TO", "AS"]) || r.take_symbol('=');
                *renamed = Some(r.table()?);
            }
            continue;
        }
        if depth == 0 && first && r.take(&["EXCHANGE", "PARTITION"]) {
            r.next()?;
            r.take(&["WITH", "TABLE"]).then_some(())?;
            *partner = Some(r.table()?);
            continue;
        }
        if depth == 0 && first && r.take(&["CONVERT", "TABLE"]) {
            *partner = Some(r.table()?);
            continue;
        }
        if depth == 0 && first && r.take(&["CONVERT", "PARTITION"]) {
            r.next()?;
            r.take(&["TO", "TABLE"]).then_some(())?;
            *partner = Some(r.table()?);
            continue;
        }
        first = depth == 0 && token.is_symbol(',');
        depth += u32::from(token.is_symbol('('));
        depth = depth.saturating_sub(u32::from(token.is_symbol(')')));
        r.next();
    }
    Some(())
}

fn drop_object(r: &mut Reader<'_>) -> Option<Statement> {
    let temporary = r.take(&["TEMPORARY"]);
    if r.take_any(&["TABLE", "TABLES", "SEQUENCE"]) {
        let if_exists = r.if_exists();
        return Some(Statement::DropTables {
            tables: r.tables()?,
            temporary,
            if_exists,
        });
    }
    if r.take_any(&["DATABASE", "SCHEMA"]) {
        let if_exists = r.if_exists();
        return Some(Statement::DropDatabase {
            db: r.database()?,
            if_exists,
        });
    }
    if let Some(program) = program(r, Act::Drop) {
        return Some(program);
    }
    if r.take_any(&["USER", "ROLE"]) {
        return Some(Statement::Account);
    }
    if r.take(&["PREPARE"]) {
        return Some(Statement::Session);
    }
    if r.at_any(&["SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE", "SPATIAL"]) {
        return Some(Statement::Server);
    }
    r.take_any(&["ONLINE", "OFFLINE"]);
    r.take(&["INDEX"]).then_some(())?;
    r.if_exists();
    index_on(r)
}

fn rename(r: &mut Reader<'_>) -> Option<Statement> {
    if r.take(&["USER"]) {
        return Some(Statement::Account);
    }
    r.take_any(&["TABLE", "TABLES"]).then_some(())?;
    r.if_exists();
    let mut pairs = Vec::new();
    loop {
        let from = r.table()?;
        r.wait();
        r.take(&["TO"]).then_some(())?;
        pairs.push((from, r.table()?));
        if !r.take_symbol(',') {
            return Some(Statement::RenameTables(pairs));
        }
    }
}

fn xa(r: &mut Reader<'_>) -> Option<Statement> {
    let word = match r.next()?.text.to_ascii_uppercase().as_str() {
        "START" | "BEGIN" => XaWord::Start,
        "END" => XaWord::End,
        "PREPARE" => XaWord::Prepare,
        "COMMIT" => XaWord::Commit,
        "ROLLBACK" => XaWord::Rollback,
        _ => return None,
    };
    let mut id = String::new();
    while let Some(token) = r.next() {
        if ["JOIN", "RESUME", "SUSPEND", "ONE"].iter().any(|w| token.is(w)) || token.is_symbol(';') {
            break;
        }
        id.push_str(token.text);
    }
    Some(Statement::Xa(word, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::wire::Flavor;

    fn of(sql: &str) -> Statement {
        Statement::classify(sql, "d", Modes::of(0, Flavor::MariaDb))
    }

    fn t(db: &str, table: &str) -> TableName {
        TableName::new(db, table)
    }

    #[test]
    fn tables_are_made() {
        let plain = |sql: &str| match of(sql) {
            Statement::CreateTable {
                table,
                temporary,
                replace,
                if_not_exists,
                like,
                select,
            } => (
                table.to_string(),
                temporary,
                replace,
                if_not_exists,
                like.map(|l| l.to_string()),
                select,
            ),
            other => panic!("{sql}: {other:?}"),
        };
        let no = |name: &str| (name.to_owned(), false, false, false, None, false);
        assert_eq!(plain("CREATE TABLE t (a int)"), no("d.t"));
        assert_eq!(
            plain("create /* x */ table `x`.`a``b` (a int, b int AS (a+1) STORED)"),
            no("x.`a``b`")
        );
        assert_eq!(
            plain(
                "CREATE TABLE t (a int) WITH SYSTEM VERSIONING PARTITION BY RANGE (a) (PARTITION p VALUES LESS THAN (3))"
            ),
            no("d.t")
        );
        assert_eq!(plain("CREATE TABLE t (a int) START TRANSACTION"), no("d.t"));
        assert_eq!(
            plain("SET STATEMENT max_statement_time=1 FOR CREATE TABLE t (a int)"),
            no("d.t")
        );
        let (_, temporary, replace, missing, like, select) =
            plain("CREATE OR REPLACE TEMPORARY TABLE IF NOT EXISTS t LIKE x.y");
        assert!(temporary && replace && missing && !select);
        assert_eq!(like.as_deref(), Some("x.y"));
        assert_eq!(plain("CREATE TABLE t (LIKE u)").4.as_deref(), Some("d.u"));
        assert!(plain("CREATE TABLE t SELECT 1 AS a").5);
        assert!(plain("CREATE TABLE t (a int) ENGINE=InnoDB AS SELECT 1").5);
        assert!(plain("CREATE TABLE t ((SELECT 1))").5);
    }

    #[test]
    fn tables_are_changed() {
        let sql =
            "ALTER ONLINE IGNORE TABLE IF EXISTS a.t WAIT 5 ADD COLUMN c int, RENAME COLUMN x TO y, RENAME TO b.u";
        let want = Statement::AlterTable {
            table: t("a", "t"),
            renamed: Some(t("b", "u")),
            partner: None,
        };
        assert_eq!(of(sql), want);
        let partner = |sql: &str| match of(sql) {
            Statement::AlterTable { partner, renamed, .. } => (partner, renamed),
            other => panic!("{sql}: {other:?}"),
        };
        let with = (Some(t("d", "u")), None);
        assert_eq!(
            partner("ALTER TABLE t EXCHANGE PARTITION p0 WITH TABLE u WITHOUT VALIDATION"),
            with
        );
        assert_eq!(partner("ALTER TABLE t CONVERT PARTITION p0 TO TABLE u"), with);
        assert_eq!(
            partner("ALTER TABLE t CONVERT TABLE u TO PARTITION p0 VALUES LESS THAN (3)"),
            with
        );
        assert_eq!(partner("ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4"), (None, None));
        assert_eq!(
            partner("ALTER TABLE t RENAME INDEX a TO b, RENAME KEY c TO d"),
            (None, None)
        );
        assert_eq!(partner("ALTER TABLE t RENAME u"), (None, Some(t("d", "u"))));
        assert_eq!(
            of("CREATE UNIQUE INDEX i USING BTREE ON x.t (a)").tables(),
            [&t("x", "t")]
        );
        assert_eq!(of("DROP INDEX `PRIMARY` ON t").tables(), [&t("d", "t")]);
        assert_eq!(of("ALTER SEQUENCE s RESTART 5").tables(), [&t("d", "s")]);
    }

    #[test]
    fn tables_go() {
        let want = Statement::DropTables {
            tables: vec![t("a", "t"), t("d", "u")],
            temporary: false,
            if_exists: true,
        };
        assert_eq!(of("DROP TABLE IF EXISTS `a`.`t`,`u` /* generated by server */"), want);
        assert!(matches!(
            of("DROP TEMPORARY TABLE x"),
            Statement::DropTables { temporary: true, .. }
        ));
        assert_eq!(of("TRUNCATE t"), Statement::Truncate(t("d", "t")));
        assert_eq!(of("TRUNCATE TABLE x . t"), Statement::Truncate(t("x", "t")));
        let pairs = vec![(t("d", "a"), t("e", "b")), (t("d", "c"), t("d", "a"))];
        assert_eq!(
            of("RENAME TABLE a NOWAIT TO e.b, c TO a"),
            Statement::RenameTables(pairs)
        );
    }

    #[test]
    fn databases() {
        let alter = |db: &str| Statement::AlterDatabase { db: db.to_owned() };
        assert_eq!(of("ALTER DATABASE CHARACTER SET utf8mb4"), alter("d"));
        assert_eq!(of("ALTER SCHEMA COMMENT 'x'"), alter("d"));
        assert_eq!(of("ALTER DATABASE comment COLLATE utf8mb4_bin"), alter("comment"));
        assert_eq!(of("ALTER DATABASE x READ ONLY = 1"), alter("x"));
        let drop = Statement::DropDatabase {
            db: "a b".to_owned(),
            if_exists: true,
        };
        assert_eq!(of("DROP DATABASE IF EXISTS `a b`"), drop);
        assert!(matches!(
            of("CREATE OR REPLACE DATABASE x"),
            Statement::CreateDatabase { replace: true, .. }
        ));
    }

    #[test]
    fn programs() {
        let program = |sql: &str| match of(sql) {
            Statement::Program { act, kind, names, on } => (act, kind, names, on),
            other => panic!("{sql}: {other:?}"),
        };
        let definer = "CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW v AS SELECT 1";
        assert_eq!(
            program(definer),
            (Act::Create, ProgramKind::View, vec![t("d", "v")], None)
        );
        let trigger =
            "CREATE DEFINER=view@localhost TRIGGER IF NOT EXISTS x.tr AFTER INSERT ON x.t FOR EACH ROW SET @a=1";
        let want = (Act::Create, ProgramKind::Trigger, vec![t("x", "tr")], Some(t("x", "t")));
        assert_eq!(program(trigger), want);
        let event = "ALTER DEFINER=CURRENT_USER() EVENT e ON SCHEDULE EVERY 1 DAY RENAME TO f DO RENAME TABLE a TO b";
        assert_eq!(program(event).2, [t("d", "e"), t("d", "f")]);
        assert_eq!(program("DROP VIEW IF EXISTS a, x.b").2, [t("d", "a"), t("x", "b")]);
        assert_eq!(
            program("CREATE OR REPLACE PACKAGE BODY p AS END").1,
            ProgramKind::PackageBody
        );
        assert_eq!(
            program("CREATE FUNCTION f() RETURNS int RETURN 1").1,
            ProgramKind::Function
        );
        assert_eq!(
            of("CREATE AGGREGATE FUNCTION f RETURNS STRING SONAME 'x.so'"),
            Statement::Server
        );
    }

    #[test]
    fn the_rest() {
        for sql in [
            "GRANT ALL ON *.* TO a",
            "CREATE USER x",
            "DROP ROLE r",
            "SET PASSWORD FOR a = 'x'",
            "RENAME USER a TO b",
            "SET DEFAULT ROLE x FOR y",
            "ALTER USER a ACCOUNT LOCK",
            "REVOKE ALL ON *.* FROM a",
        ] {
            assert_eq!(of(sql), Statement::Account, "{sql}");
        }
        for sql in [
            "FLUSH TABLES",
            "ANALYZE TABLE t",
            "OPTIMIZE NO_WRITE_TO_BINLOG TABLE t",
            "UNLOCK TABLES",
        ] {
            assert_eq!(of(sql), Statement::Admin, "{sql}");
        }
        assert_eq!(
            of("ROLLBACK TO SAVEPOINT x"),
            Statement::Transaction(TransactionWord::Savepoint)
        );
        assert_eq!(of("COMMIT"), Statement::Transaction(TransactionWord::Commit));
        assert_eq!(
            of("XA START X'61',X'',1"),
            Statement::Xa(XaWord::Start, "X'61',X'',1".to_owned())
        );
        assert_eq!(
            of("XA COMMIT 'a' ONE PHASE"),
            Statement::Xa(XaWord::Commit, "'a'".to_owned())
        );
        assert_eq!(of("INSERT INTO t VALUES (1)"), Statement::Rows);
        assert_eq!(of("DELETE FROM `x`.`t`"), Statement::Truncate(t("x", "t")));
        assert_eq!(of("DELETE FROM t WHERE a = 1"), Statement::Rows);
        assert_eq!(
            of("CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')"),
            Statement::Server
        );
        assert_eq!(of("CREATE"), Statement::Unknown);
        assert_eq!(of(""), Statement::Unknown);
    }
}
