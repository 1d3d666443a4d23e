//! Views that a server does not make as they are. One reads what is not there: at the source that was dropped after the view was
//! made, which stayed; while the view is made, a table stands in for what is missing. Or one reads a view or calls a function whose
//! definer has not got his privileges yet, or is gone: while the one is made, the other is brine's own.
//!
//! *Invariant: no such table stays. It is known by its comment, so that one is found that a crash left. What is brine's own is
//! among the programs of the restore: whoever goes on after a crash makes all of them anew.*

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::cluster::ClusterError;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{TokenKind, words};
use crate::cluster::mysql::sql::view::{mentioned, without_definer};
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
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

/// Makes the views among programs, some of which could not be made as they are, and says of each what it lacks.
pub(super) fn make(conn: &mut Conn, programs: &[Program], old: &[Program]) -> Result<Vec<String>, ClusterError> {
    let flavor = conn.info().flavor;
    let views: Vec<&Program> = programs.iter().filter(|p| p.patient).collect();
    let functions = called(conn, programs)?;
    for function in &functions {
        programs::one(conn, &as_ours(function, flavor))?;
    }
    let ours: Vec<Program> = views.iter().map(|view| as_ours(view, flavor)).collect();
    let mut waiting: Vec<&Program> = ours.iter().collect();
    let mut made: Vec<&Program> = Vec::new();
    let mut tables: BTreeSet<TableName> = BTreeSet::new();
    let mut whole = 0;
    loop {
        made.extend(programs::again(conn, &mut waiting)?);
        if tables.is_empty() {
            // What is made from here on reads something that is not there.
            whole = made.len();
        }
        let more = missing(conn, &waiting, &tables)?;
        if more.is_empty() || tables.len() > TABLES {
            break;
        }
        let columns = columns(conn, &waiting);
        for name in more {
            stand_in(conn, &name, &columns)?;
            tables.insert(name);
        }
    }
    let real: HashMap<_, _> = views.iter().map(|view| (&view.drop, *view)).collect();
    let real = |of_us: &Program| real.get(&of_us.drop).copied();
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let mut remarks = Vec::new();
    // Whoever reads another gets its own definer before that does.
    for (at, view) in made.iter().enumerate().rev().filter_map(|(at, v)| Some((at, real(v)?))) {
        match programs::one(conn, view)? {
            Made::No(e) => remarks.push(programs::instead(conn, view, &e, old)?),
            Made::Yes | Made::Not(_) if at >= whole => remarks.push(format!(
                "{} is made, but cannot be read: there is no {}",
                view.what,
                names.join(", no ")
            )),
            Made::Yes | Made::Not(_) => {}
        }
    }
    for view in waiting.into_iter().filter_map(real) {
        if let Made::No(e) = programs::one(conn, view)? {
            remarks.push(programs::instead(conn, view, &e, old)?);
        }
    }
    for function in functions {
        if let Made::No(e) = programs::one(conn, function)? {
            remarks.push(programs::instead(conn, function, &e, old)?);
        }
    }
    clear(conn)?;
    Ok(remarks)
}

/// The functions among programs that are there, and which their views may call. One that the log alters after it made it is left
/// out: it would have to be altered again.
fn called<'a>(conn: &mut Conn, programs: &'a [Program]) -> Result<Vec<&'a Program>, ClusterError> {
    let flavor = conn.info().flavor;
    let names = |p: &Program| mentioned(&p.create, p.modes(flavor));
    let is_alter = |p: &&Program| words(&p.create, p.modes(flavor)).first().is_some_and(|t| t.is("ALTER"));
    let views = programs.iter().filter(|p| p.patient);
    let mut wanted: HashSet<String> = views.flat_map(names).collect();
    for altered in programs
        .iter()
        .filter(|p| p.drop.is_none())
        .filter(is_alter)
        .flat_map(names)
    {
        wanted.remove(&altered);
    }
    let rows = conn
        .rows("SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_type = 'FUNCTION'")
        .map_err(|e| e.doing("listing functions"))?;
    let there = rows.iter().map(|r| TableName::new(r.text(0), r.text(1)));
    let there = there.filter(|name| wanted.contains(&name.table.to_lowercase()));
    let made: HashMap<_, _> = programs.iter().map(|p| (p.drop.as_deref(), p)).collect();
    Ok(there
        .filter_map(|name| made.get(&Some(programs::drop_of("FUNCTION", &name).as_str())).copied())
        .collect())
}

/// A program with brine as its definer.
fn as_ours(program: &Program, flavor: Flavor) -> Program {
    let create = without_definer(&program.create, program.modes(flavor));
    Program {
        create: create.unwrap_or_else(|| program.create.clone()),
        ..program.clone()
    }
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
    let drop = programs::drop_of("VIEW", name);
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
