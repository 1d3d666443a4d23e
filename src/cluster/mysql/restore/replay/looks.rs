//! How the tables of a statement, or the database that it makes, look: by this a crash in the middle of one is told from one
//! before or after it.

use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::links::create_of;
use crate::cluster::mysql::restore::names::Shadows;
use crate::cluster::mysql::schema::tables;
use crate::cluster::mysql::sql::statement::Statement;
use crate::cluster::mysql::text::ident;
use crate::cluster::mysql::wire::Conn;
use crate::model::table::TableName;

/// The server's error for a database that is not there.
const UNKNOWN_DATABASE: u16 = 1049;

/// How they look now.
pub(super) fn of(conn: &mut Conn, shadows: &Shadows, statement: &Statement) -> Result<String, ClusterError> {
    let mut out = Vec::new();
    let mut names: Vec<TableName> = statement.tables().into_iter().cloned().collect();
    names.sort();
    names.dedup();
    for name in names {
        let Some(place) = shadows.place(&name) else {
            continue;
        };
        let shown = create_of(conn, &place)?;
        out.push(shown.map_or_else(|| "-".to_owned(), |create| tables::settled(&create)));
    }
    if let Statement::CreateDatabase { db, .. } = statement
        && let Some(shadow) = shadows.shadow(db)
    {
        out.push(database(conn, shadow)?);
    }
    if let Some(numbers) = numbers(conn, shadows, statement)? {
        out.push(numbers);
    }
    Ok(out.join("\n"))
}

/// A database that is there has a definition.
fn database(conn: &mut Conn, shadow: &str) -> Result<String, ClusterError> {
    match conn.row(&format!("SHOW CREATE DATABASE {}", ident(shadow))) {
        Ok(row) => Ok(row.map(|r| r.text(1)).unwrap_or_default()),
        Err(e) if e.code() == Some(UNKNOWN_DATABASE) => Ok("-".to_owned()),
        Err(e) => Err(e.doing(format!("looking at the database {shadow}"))),
    }
}

/// The server's own numbers of the tables around a statement that may exchange tables which look alike, summed up;
/// `None` where it needs none or may not know them.
fn numbers(conn: &mut Conn, shadows: &Shadows, statement: &Statement) -> Result<Option<String>, ClusterError> {
    let exchanges = matches!(
        statement,
        Statement::RenameTables(_)
            | Statement::AlterTable { renamed: Some(_), .. }
            | Statement::AlterTable { partner: Some(_), .. }
    );
    if !exchanges {
        return Ok(None);
    }
    let prefix = shadows.prefix();
    let numbers = tables::numbers(conn, |db| db.starts_with(&prefix))
        .map_err(|e| e.doing("reading the numbers of the tables"))?;
    Ok(numbers.map(|numbers| {
        let mut sum = crc32fast::Hasher::new();
        for (name, number) in numbers {
            sum.update(name.as_bytes());
            sum.update(&number.to_be_bytes());
        }
        format!("{:08x}", sum.finalize())
    }))
}

/// Whether a statement of ours may run again although it ran.
pub(super) fn can_be_repeated(sql: &str) -> bool {
    ["DROP TABLE IF EXISTS ", "DROP DATABASE IF EXISTS "]
        .iter()
        .any(|words| sql.starts_with(words))
}
