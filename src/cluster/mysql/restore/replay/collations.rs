//! The collations of the source's databases at each place of the log: a routine keeps that of its database for the
//! variables and parameters that name none.

use std::collections::BTreeMap;

use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::query::Query;
use crate::cluster::mysql::restore::steps;
use crate::cluster::mysql::schema::definition::{DefinitionText, kind};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::statement::Statement;
use crate::cluster::mysql::sql::tokens::words;
use crate::cluster::mysql::text::string;
use crate::cluster::mysql::wire::Conn;
use crate::model::definition::Definition;

/// Those of the base.
pub(super) fn of_base(definitions: &[Definition]) -> Result<BTreeMap<String, String>, ClusterError> {
    let mut out = BTreeMap::new();
    for of in definitions.iter().filter(|d| d.kind == kind::DATABASE) {
        if let Some(collation) = DefinitionText::parse(&of.text)?.db_collation {
            out.insert(of.name.clone(), collation);
        }
    }
    Ok(out)
}

/// What a statement says about a database's collation.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Collation(String),
    Charset(String),
    Nothing,
}

fn said(sql: &str, modes: Modes) -> Said {
    let words = words(sql, modes);
    let value = |at: usize| {
        let at = at + usize::from(words.get(at).is_some_and(|t| t.is_symbol('=')));
        words.get(at).map(|t| t.name())
    };
    let mut said = Said::Nothing;
    for (at, token) in words.iter().enumerate() {
        let set = token.is("SET") && at > 0 && words.get(at - 1).is_some_and(|t| t.is("CHARACTER") || t.is("CHAR"));
        if token.is("COLLATE") {
            if let Some(name) = value(at + 1) {
                return Said::Collation(name);
            }
        } else if (set || token.is("CHARSET"))
            && let Some(name) = value(at + 1)
        {
            said = Said::Charset(name);
        }
    }
    said
}

/// Follows a statement about a database.
pub(super) fn follow(
    collations: &mut BTreeMap<String, String>,
    conn: &mut Conn,
    statement: &Statement,
    query: &Query<'_>,
    sql: &str,
    modes: Modes,
) -> Result<(), ClusterError> {
    let (db, made) = match statement {
        Statement::CreateDatabase { db, .. } => (db, true),
        Statement::AlterDatabase { db } => (db, false),
        Statement::DropDatabase { db, .. } => {
            collations.remove(db);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let (ask, setting) = match (said(sql, modes), query.settings.charset) {
        (Said::Collation(name), _) => {
            collations.insert(db.clone(), name);
            return Ok(());
        }
        (Said::Charset(name), _) => (format!("COLLATION(CONVERT('' USING {}))", string(&name)), None),
        (Said::Nothing, Some((_, _, server))) if made => (
            "@@SESSION.collation_server".to_owned(),
            Some(format!("SET SESSION collation_server = {server}")),
        ),
        (Said::Nothing, _) => return Ok(()),
    };
    let doing = || format!("asking for the collation of {db}");
    for setting in query.settings.statements(conn.info()).iter().chain(&setting) {
        conn.run(setting).map_err(|e| e.doing(doing()))?;
    }
    let row = conn.row(&format!("SELECT {ask}")).map_err(|e| e.doing(doing()))?;
    steps::reset(conn)?;
    if let Some(name) = row.and_then(|r| r.opt(0)) {
        collations.insert(db.clone(), name);
    }
    Ok(())
}

/// The numbers by which a session may name its client charset: of charsets that hold ASCII, utf8mb4 excepted.
const CLIENTS: [u16; 34] = [
    1, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 16, 18, 19, 22, 24, 25, 26, 28, 30, 32, 33, 36, 37, 38, 39, 40, 41, 51, 57,
    59, 92, 95, 97,
];

/// Whether a session of that client charset may send this text as UTF-8: a program remembers the charset.
pub(super) fn client_can_send(collation: u16, sql: &str) -> bool {
    CLIENTS.contains(&collation) && (sql.is_ascii() || (collation == 33 && sql.chars().all(|c| c.len_utf8() < 4)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::wire::Flavor;

    #[test]
    fn a_collation_counts_more_than_a_charset() {
        let said = |sql| said(sql, Modes::of(0, Flavor::MariaDb));
        let collation = |name: &str| Said::Collation(name.to_owned());
        assert_eq!(said("CREATE DATABASE charset"), Said::Nothing);
        assert_eq!(
            said("ALTER DATABASE d CHARACTER SET = latin1"),
            Said::Charset("latin1".to_owned())
        );
        assert_eq!(
            said("create database d default charset 'utf8mb4'"),
            Said::Charset("utf8mb4".to_owned())
        );
        assert_eq!(
            said("ALTER DATABASE CHARSET=latin1 COLLATE = `latin1_bin`"),
            collation("latin1_bin")
        );
        assert_eq!(
            said("ALTER DATABASE d COLLATE utf8mb4_bin CHARSET utf8mb4"),
            collation("utf8mb4_bin")
        );
    }
}
