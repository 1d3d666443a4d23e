//! A statement that no server reads as it was: it stands in the way only of the tables that it is about.

use crate::cluster::mysql::binlog::query::Query;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::statement::Statement;
use crate::model::table::TableName;

use super::statements::Statements;

/// Whether such a one is surely about tables that are not restored.
pub(super) fn is_about_others(statements: &Statements, query: &Query<'_>, modes: Modes) -> bool {
    let statement = Statement::classify(&query.shown(), &query.db, modes);
    let tables = statement.tables();
    let program = matches!(statement, Statement::Program { .. } | Statement::Account);
    // A mark may be any letter.
    let is_read = |name: &str| !name.contains(char::REPLACEMENT_CHARACTER);
    let others = |t: &&TableName| is_read(&t.db) && is_read(&t.table) && !statements.wanted(t);
    !program && !tables.is_empty() && tables.iter().all(others)
}
