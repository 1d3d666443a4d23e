//! Giving the tables and databases of a statement other names.

use super::Modes;
use super::classify::classify;
use super::reader::{Reader, Ref, RefKind};
use super::statement::Statement;
use crate::cluster::mysql::text::{self, ident};
use crate::model::table::TableName;

/// New names.
pub trait NewNames {
    /// The new database and name of a table (also of a sequence); `None` leaves it, but it is written with its database.
    fn table(&self, db: &str, table: &str) -> Option<(String, String)>;
    /// The new name of a database; `None` leaves it.
    fn database(&self, db: &str) -> Option<String>;
}

/// Rewrites a statement about tables, sequences or databases: every name of one of them becomes its new name, always with a
/// database, so that the statement means the same whatever the default database is. Comments and everything else stay.
///
/// MySQL logs `CREATE TABLE ... AS SELECT` as a definition that ends in `START TRANSACTION`, followed by rows; those words are
/// left out.
///
/// `Err` says what was not understood; then nothing may be run.
pub fn rename(sql: &str, default_db: &str, modes: Modes, names: &dyn NewNames) -> Result<String, String> {
    let mut reader = Reader::new(sql, default_db, modes);
    let statement = classify(&mut reader);
    match statement {
        Statement::CreateTable { select: true, .. } => {
            return Err("it makes a table from a query".to_owned());
        }
        Statement::CreateTable { .. }
        | Statement::AlterTable { .. }
        | Statement::DropTables { .. }
        | Statement::RenameTables(_)
        | Statement::Truncate(_)
        | Statement::CreateSequence { .. }
        | Statement::CreateDatabase { .. }
        | Statement::DropDatabase { .. } => {}
        Statement::AlterDatabase { .. } => return alter_database(sql, &reader, names),
        _ => return Err("it is not about tables or databases only".to_owned()),
    }
    let sql = match (&statement, reader.last_words(["START", "TRANSACTION"])) {
        (Statement::CreateTable { .. }, Some(at)) => sql.get(..at).unwrap_or(sql).trim_end(),
        _ => sql,
    };
    replace(sql, reader.refs, names)
}

/// What a statement about tables needs besides them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// The tables that its foreign keys refer to.
    pub parents: Vec<TableName>,
    /// The sequences whose values are defaults.
    pub sequences: Vec<TableName>,
}

/// What a statement needs besides the tables that it is about.
pub fn needed(sql: &str, default_db: &str, modes: Modes) -> Needed {
    let mut reader = Reader::new(sql, default_db, modes);
    classify(&mut reader);
    let mut needed = Needed::default();
    for r in reader.refs {
        match r.kind {
            RefKind::Parent => needed.parents.push(r.name),
            RefKind::Sequence => needed.sequences.push(r.name),
            RefKind::Table | RefKind::OfColumn | RefKind::Database => {}
        }
    }
    needed
}

/// The name of the database may be missing; then it is put in.
fn alter_database(sql: &str, reader: &Reader<'_>, names: &dyn NewNames) -> Result<String, String> {
    if !reader.refs.is_empty() {
        return replace(sql, reader.refs.clone(), names);
    }
    let at = reader.peek().map(|t| t.at).and_then(|at| sql.split_at_checked(at));
    let (before, behind) = at.ok_or("it changes a database without saying how")?;
    let db = reader.default_db();
    if db.is_empty() {
        return Err("it does not say which database".to_owned());
    }
    let new = names.database(db).unwrap_or_else(|| db.to_owned());
    Ok(format!("{before}{} {behind}", ident(&new)))
}

fn replace(sql: &str, mut refs: Vec<Ref>, names: &dyn NewNames) -> Result<String, String> {
    // Of two that overlap the one that was found by the grammar came first; the sort is stable.
    let mut kept: Vec<Ref> = Vec::with_capacity(refs.len());
    for r in refs.drain(..) {
        if kept.iter().all(|k| k.end <= r.start || r.end <= k.start) {
            kept.push(r);
        }
    }
    kept.sort_by_key(|r| r.start);
    let mut out = String::with_capacity(sql.len() + 32 * kept.len());
    let mut at = 0;
    for r in kept {
        let Some(new) = new_name(&r, names)? else { continue };
        out.push_str(sql.get(at..r.start).unwrap_or_default());
        out.push_str(&new);
        at = r.end;
    }
    out.push_str(sql.get(at..).unwrap_or_default());
    Ok(out)
}

fn new_name(r: &Ref, names: &dyn NewNames) -> Result<Option<String>, String> {
    let (db, table) = (r.name.db.as_str(), r.name.table.as_str());
    if r.kind == RefKind::Database {
        return Ok(names.database(db).map(|new| ident(&new)));
    }
    if db.is_empty() {
        return Err(format!("it names the table {} without a database", ident(table)));
    }
    let new = names.table(db, table);
    if r.kind == RefKind::OfColumn && new.is_none() {
        return Ok(None);
    }
    let (db, table) = new.unwrap_or_else(|| (db.to_owned(), table.to_owned()));
    Ok(Some(text::table(&db, &table)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::wire::Flavor;
    use proptest::prelude::*;

    /// Everything of `d` goes to `_s`, where `t` is called `T2`.
    struct Shadow;

    impl NewNames for Shadow {
        fn table(&self, db: &str, table: &str) -> Option<(String, String)> {
            let name = if table == "t" { "T2" } else { table };
            (db == "d").then(|| ("_s".to_owned(), name.to_owned()))
        }
        fn database(&self, db: &str) -> Option<String> {
            (db == "d").then(|| "_s".to_owned())
        }
    }

    fn renamed(sql: &str) -> Result<String, String> {
        rename(sql, "d", Modes::of(0, Flavor::MariaDb), &Shadow)
    }

    #[test]
    fn names_change_and_nothing_else() {
        let cases = [
            ("CREATE TABLE t (a int) -- t", "CREATE TABLE `_s`.`T2` (a int) -- t"),
            (
                "CREATE TABLE IF NOT EXISTS d . t LIKE u",
                "CREATE TABLE IF NOT EXISTS `_s`.`T2` LIKE `_s`.`u`",
            ),
            ("CREATE TABLE x.t (a int)", "CREATE TABLE `x`.`t` (a int)"),
            (
                "DROP TABLE IF EXISTS `t`,`x`.`t`,`u` /* generated by server */",
                "DROP TABLE IF EXISTS `_s`.`T2`,`x`.`t`,`_s`.`u` /* generated by server */",
            ),
            (
                "RENAME TABLE t TO x.t, d.u TO t",
                "RENAME TABLE `_s`.`T2` TO `x`.`t`, `_s`.`u` TO `_s`.`T2`",
            ),
            (
                "ALTER TABLE t ADD CONSTRAINT FOREIGN KEY (t) REFERENCES `u` (`t`), RENAME TO d.v",
                "ALTER TABLE `_s`.`T2` ADD CONSTRAINT FOREIGN KEY (t) REFERENCES `_s`.`u` (`t`), RENAME TO `_s`.`v`",
            ),
            // A parent without a database is one of the child's, wherever the session is.
            (
                "CREATE TABLE x.c (a int REFERENCES t (a))",
                "CREATE TABLE `x`.`c` (a int REFERENCES `x`.`t` (a))",
            ),
            (
                "ALTER TABLE x.c ADD FOREIGN KEY (a) REFERENCES t (a), ADD FOREIGN KEY (b) REFERENCES d.t (a)",
                "ALTER TABLE `x`.`c` ADD FOREIGN KEY (a) REFERENCES `x`.`t` (a), ADD FOREIGN KEY (b) REFERENCES `_s`.`T2` (a)",
            ),
            (
                "CREATE TABLE t (a int CHECK (t.a > 0), b int AS (d.t.a + lower('t.a')) , c int DEFAULT nextval(s), e int DEFAULT (next value for d.s))",
                "CREATE TABLE `_s`.`T2` (a int CHECK (`_s`.`T2`.a > 0), b int AS (`_s`.`T2`.a + lower('t.a')) , c int DEFAULT nextval(`_s`.`s`), e int DEFAULT (next value for `_s`.`s`))",
            ),
            (
                "CREATE TABLE m (a int) ENGINE=MERGE UNION=(t, x.u) INSERT_METHOD=LAST",
                "CREATE TABLE `_s`.`m` (a int) ENGINE=MERGE UNION=(`_s`.`T2`, `x`.`u`) INSERT_METHOD=LAST",
            ),
            (
                "ALTER TABLE d.u EXCHANGE PARTITION p WITH TABLE t",
                "ALTER TABLE `_s`.`u` EXCHANGE PARTITION p WITH TABLE `_s`.`T2`",
            ),
            ("create index t on t (t)", "create index t on `_s`.`T2` (t)"),
            (
                "CREATE TABLE `t` (`a` int) START TRANSACTION",
                "CREATE TABLE `_s`.`T2` (`a` int)",
            ),
            ("DELETE FROM `d`.`t`", "DELETE FROM `_s`.`T2`"),
            ("TRUNCATE t", "TRUNCATE `_s`.`T2`"),
            ("CREATE DATABASE d", "CREATE DATABASE `_s`"),
            ("DROP DATABASE IF EXISTS other", "DROP DATABASE IF EXISTS other"),
            (
                "ALTER DATABASE COLLATE utf8mb4_bin",
                "ALTER DATABASE `_s` COLLATE utf8mb4_bin",
            ),
            (
                "CREATE SEQUENCE t START WITH 5",
                "CREATE SEQUENCE `_s`.`T2` START WITH 5",
            ),
            (
                "ALTER TABLE d.d RENAME TO d.t",
                "ALTER TABLE `_s`.`d` RENAME TO `_s`.`T2`",
            ),
        ];
        for (from, to) in cases {
            assert_eq!(renamed(from).as_deref(), Ok(to), "{from}");
        }
    }

    #[test]
    fn other_tables_and_sequences_are_told_apart() {
        let found = |sql: &str| {
            let found = needed(sql, "d", Modes::of(0, Flavor::MariaDb));
            let list = |names: Vec<TableName>| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            (list(found.parents), list(found.sequences))
        };
        let both = |parents: &str, sequences: &str| (parents.to_owned(), sequences.to_owned());
        let sql = "create table t (a int references x.p (a), b int default nextval(s), c int default (next value for x.q), foreign key (b) references o (c))";
        assert_eq!(found(sql), both("x.p d.o", "d.s x.q"));
        assert_eq!(found("alter table t add index (a), rename to d.u"), both("", ""));
        assert_eq!(found("create table t like u"), both("", ""));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(renamed("CREATE TABLE t AS SELECT * FROM u").is_err());
        assert!(renamed("INSERT INTO t VALUES (1)").is_err());
        assert!(renamed("CREATE VIEW v AS SELECT 1").is_err());
        let modes = Modes::of(0, Flavor::MariaDb);
        assert!(rename("DROP TABLE t", "", modes, &Shadow).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_rewritten_or_refused(
            sql in "((CREATE|ALTER|DROP|RENAME|TABLE|DATABASE|TO|t|d|`d`|UNION|REFERENCES|IF|EXISTS|VIEW|ON|INDEX|'x|\u{e4}|/\\*|\\*/|[.,()=;])( |\\.)){0,12}",
        ) {
            let _ = renamed(&sql);
        }
    }
}
