//! What a statement of the log does, and to what.

use super::Modes;
use super::classify::classify;
use super::reader::Reader;
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
    /// The database that goes, with all that is in it.
    pub fn dropped_database(&self) -> Option<&str> {
        match self {
            Statement::DropDatabase { db, .. } | Statement::CreateDatabase { db, replace: true, .. } => Some(db),
            _ => None,
        }
    }

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
