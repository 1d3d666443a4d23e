//! Views that read what is not there: at the source it was dropped after they were made, and they stayed. They are made
//! again as they were, while tables stand in for what is missing.
//!
//! *Invariant: no such table stays. It is known by its comment, so that one is found that a crash left.*

use std::collections::BTreeSet;

use crate::cluster::ClusterError;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{TokenKind, words};
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::model::table::TableName;

use super::names::is_system;
use super::programs::{self, Made, Program};
use super::steps;

/// By this they are known.
const COMMENT: &str = "brine: stands in for what a view reads";
/// Columns at most.
const COLUMNS: usize = 350;
/// So many tables are tried.
const TABLES: usize = 64;

/// Makes views that could not be made for now, and says of each what it lacks.
pub(super) fn make(conn: &mut Conn, mut waiting: Vec<&Program>, old: &[Program]) -> Result<Vec<String>, ClusterError> {
    let mut tables: BTreeSet<TableName> = BTreeSet::new();
    let mut broken: Vec<&Program> = Vec::new();
    loop {
        programs::again(conn, &mut waiting)?;
        let more = missing(conn, &waiting, &tables)?;
        if more.is_empty() || tables.len() > TABLES {
            break;
        }
        if tables.is_empty() {
            // What is made from here on reads something that is not there.
            broken.clone_from(&waiting);
        }
        let columns = columns(conn, &waiting);
        for name in more {
            stand_in(conn, &name, &columns)?;
            tables.insert(name);
        }
    }
    let mut remarks = Vec::new();
    for program in &waiting {
        if let Made::No(e) = programs::one(conn, program)? {
            remarks.push(programs::instead(conn, program, &e, old)?);
        }
    }
    clear(conn)?;
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let made = broken.iter().filter(|b| !waiting.contains(b));
    remarks.extend(made.map(|b| {
        format!(
            "{} is made, but cannot be read: there is no {}",
            b.what,
            names.join(", no ")
        )
    }));
    Ok(remarks)
}

/// What views that wait read and what is not there.
fn missing(
    conn: &mut Conn,
    waiting: &[&Program],
    tried: &BTreeSet<TableName>,
) -> Result<BTreeSet<TableName>, ClusterError> {
    let mut out = BTreeSet::new();
    for program in waiting {
        if let Made::No(e) = programs::one(conn, program)?
            && let Some(name) = named(&e)
            && !is_system(&name.db)
            && !tried.contains(&name)
            && !is_waiting(waiting, &name)
        {
            out.insert(name);
        }
    }
    steps::reset(conn)?;
    Ok(out)
}

/// Whether it is a view that waits itself.
fn is_waiting(waiting: &[&Program], name: &TableName) -> bool {
    let drop = format!("DROP VIEW IF EXISTS {}", table(&name.db, &name.table));
    waiting.iter().any(|p| p.drop.as_ref() == Some(&drop))
}

/// The table that an error says is not there.
fn named(e: &WireError) -> Option<TableName> {
    let WireError::Server {
        code: 1146, message, ..
    } = e
    else {
        return None;
    };
    let (_, rest) = message.split_once('\'')?;
    let (name, _) = rest.split_once("' ")?;
    let (db, table) = name.split_once('.')?;
    Some(TableName::new(db, table))
}

/// All names in the views: whatever column is read, it is among them.
fn columns(conn: &Conn, waiting: &[&Program]) -> BTreeSet<String> {
    let modes = Modes::of(0, conn.info().flavor);
    let mut seen = BTreeSet::new();
    let mut out = BTreeSet::new();
    // Servers show views with names in backticks; in the log they are as they were typed.
    for kind in [TokenKind::Name, TokenKind::Word] {
        for word in waiting.iter().flat_map(|p| words(&p.create, modes)) {
            let name = word.name();
            let usable = word.kind == kind && !name.is_empty() && !name.ends_with(' ');
            if usable && out.len() < COLUMNS && seen.insert(name.to_lowercase()) {
                out.insert(name);
            }
        }
    }
    out
}

/// One that cannot be made leaves the view to a remark.
fn stand_in(conn: &mut Conn, name: &TableName, columns: &BTreeSet<String>) -> Result<(), ClusterError> {
    let list: Vec<String> = columns.iter().map(|c| format!("{} TINYTEXT", ident(c))).collect();
    let sql = format!(
        "CREATE TABLE {} ({}) CHARACTER SET utf8mb4 COMMENT = {}",
        table(&name.db, &name.table),
        list.join(", "),
        string(COMMENT)
    );
    match conn.run(&sql) {
        Err(e) if e.code().is_none() => Err(e.doing(format!("making a table that stands in for {name}"))),
        _ => Ok(()),
    }
}

/// Takes them away again.
pub(super) fn clear(conn: &mut Conn) -> Result<(), ClusterError> {
    steps::reset(conn)?;
    let doing = "taking away the tables that stand in for others";
    let rows = conn
        .rows(&format!(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_comment = {}",
            string(COMMENT)
        ))
        .map_err(|e| e.doing(doing))?;
    for row in rows {
        conn.run(&format!("DROP TABLE IF EXISTS {}", table(&row.text(0), &row.text(1))))
            .map_err(|e| e.doing(doing))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_table_is_read_out_of_the_error() {
        let error = |code, message: &str| WireError::Server {
            code,
            state: "42S02".to_owned(),
            message: message.to_owned(),
        };
        let found = named(&error(1146, "Table 'd.it's' doesn't exist"));
        assert_eq!(found, Some(TableName::new("d", "it's")));
        assert_eq!(named(&error(1054, "Unknown column 'd.x'")), None);
        assert_eq!(named(&error(1146, "nothing")), None);
    }
}
