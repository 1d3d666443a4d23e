//! How the tables of a statement, or the database that it makes, look: by this a crash in the middle of one is told from one
//! before or after it.

use std::collections::BTreeSet;

use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::links::create_of;
use crate::cluster::mysql::restore::names::Shadows;
use crate::cluster::mysql::schema::tables;
use crate::cluster::mysql::sql::statement::Statement;
use crate::cluster::mysql::text::ident;
use crate::cluster::mysql::wire::Conn;
use crate::model::table::TableName;

use super::sessions::UNKNOWN_DATABASE;

/// How they look now.
pub(super) fn of(conn: &mut Conn, shadows: &Shadows, statement: &Statement) -> Result<String, ClusterError> {
    let (mut out, mut places, mut there) = (Vec::new(), Vec::new(), BTreeSet::new());
    let names: BTreeSet<&TableName> = statement.tables().into_iter().collect();
    for name in &names {
        let Some(place) = shadows.place(name) else {
            continue;
        };
        let shown = create_of(conn, &place)?;
        there.extend(shown.is_some().then_some(*name));
        out.push(shown.map_or_else(|| "-".to_owned(), |create| tables::settled(&create)));
        places.push(place);
    }
    if let Statement::CreateDatabase { db, .. } = statement
        && let Some(shadow) = shadows.shadow(db)
    {
        out.push(database(conn, shadow)?);
    }
    if exchanges(statement)
        && (places.len() < names.len() || keeps_names(statement, &there))
        && let Some(numbers) = numbers(conn, &places)?
    {
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

/// Whether a statement may exchange tables which look alike.
fn exchanges(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::RenameTables(_)
            | Statement::AlterTable { renamed: Some(_), .. }
            | Statement::AlterTable { partner: Some(_), .. }
    )
}

/// Whether the same names, of those that are there, are there after a statement too. Else it can be seen by them that it ran.
fn keeps_names(statement: &Statement, there: &BTreeSet<&TableName>) -> bool {
    let moves: Vec<(&TableName, &TableName)> = match statement {
        Statement::RenameTables(pairs) => pairs.iter().map(|(from, to)| (from, to)).collect(),
        Statement::AlterTable {
            table,
            renamed: Some(to),
            ..
        } => vec![(table, to)],
        _ => Vec::new(),
    };
    let mut after = there.clone();
    for (from, to) in moves {
        if after.remove(from) {
            after.insert(to);
        }
    }
    after == *there
}

/// The server's own numbers of these tables, summed up; `None` where it may not be known.
///
/// The server goes through all tables for them, so they are asked for only where names do not tell enough.
fn numbers(conn: &mut Conn, places: &[TableName]) -> Result<Option<String>, ClusterError> {
    let numbers = tables::numbers_of(conn, places).map_err(|e| e.doing("reading the numbers of the tables"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn t(name: &str) -> TableName {
        TableName::new("d", name)
    }

    #[test]
    fn only_an_exchange_keeps_the_names_that_are_there() {
        let renamed = |there: &[&str], pairs: &[(&str, &str)]| {
            let there: Vec<TableName> = there.iter().map(|n| t(n)).collect();
            let statement = Statement::RenameTables(pairs.iter().map(|(from, to)| (t(from), t(to))).collect());
            keeps_names(&statement, &there.iter().collect())
        };
        assert!(!renamed(&["a"], &[("a", "b")]));
        assert!(!renamed(&["a", "new"], &[("a", "old"), ("new", "a")]));
        assert!(renamed(&["a", "b"], &[("a", "x"), ("b", "a"), ("x", "b")]));
        assert!(renamed(&["a"], &[("a", "x"), ("x", "a")]));
        // One that did nothing cannot be told by names.
        assert!(renamed(&["b"], &[("a", "c")]));
        let (a, b) = (t("a"), t("b"));
        let alter = |renamed: Option<TableName>, partner: Option<TableName>| Statement::AlterTable {
            table: a.clone(),
            renamed,
            partner,
        };
        assert!(!keeps_names(&alter(Some(b.clone()), None), &[&a].into_iter().collect()));
        assert!(keeps_names(
            &alter(None, Some(b.clone())),
            &[&a, &b].into_iter().collect()
        ));
    }
}
