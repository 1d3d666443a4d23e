//! The steps of the switch. They are written down before the first is done, and each can be repeated: after a crash the rest
//! is done by whoever asks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::mysql::core::{Core, SESSION};
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{ClusterError, mysql::binlog};
use crate::model::crash::crash_point;
use crate::model::table::TableName;

use super::accounts::{self, Accounts};
use super::programs::{self, Program};
use super::{session, state};

/// A table that moves: the live one aside, the built one in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    /// Where it was built; without, the live one only goes.
    pub built: Option<TableName>,
    /// Its place.
    pub place: TableName,
    /// Where a live one is put.
    pub aside: TableName,
    /// A live one is not put aside: it came into being meanwhile, and the switch fails at it.
    #[serde(default)]
    pub absent: bool,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    /// Writes the restore into the server's log.
    Marker,
    /// Statements that may be repeated; the errors in `done` mean that they were.
    Run {
        what: String,
        statements: Vec<String>,
        done: Vec<u16>,
    },
    /// Foreign keys of tables that stay, and to tables that were not chosen: what cannot be linked becomes a remark.
    Links(Vec<String>),
    /// Puts tables in their places, all at once.
    Rename(Vec<Move>),
    /// Views, triggers, routines, events: what cannot be made becomes a remark.
    Programs(Vec<Program>),
    /// Accounts, roles and grants.
    Accounts(Accounts),
    /// Global variables: what cannot be set becomes a remark.
    Globals(Vec<String>),
}

/// Does what is left.
pub(super) fn run(
    core: &Core,
    conn: &mut Conn,
    n: u64,
    id: &str,
    remarks: &mut Vec<String>,
) -> Result<(), ClusterError> {
    for (k, step) in state::steps_left::<Step>(conn, n)? {
        one(core, conn, n, id, &step, remarks)?;
        crash_point("mysql.restore.step-run");
        reset(conn)?;
        state::set_remarks(conn, n, remarks)?;
        state::step_done(conn, n, k)?;
        crash_point("mysql.restore.step-noted");
    }
    Ok(())
}

/// Puts a session back into the state for building.
pub(super) fn reset(conn: &mut Conn) -> Result<(), ClusterError> {
    conn.run_all(SESSION).map_err(|e| e.doing("preparing the session"))?;
    session::prepare(conn)
}

fn one(
    core: &Core,
    conn: &mut Conn,
    n: u64,
    id: &str,
    step: &Step,
    remarks: &mut Vec<String>,
) -> Result<(), ClusterError> {
    match step {
        Step::Marker => {
            let mark = binlog::write_marker(core, conn, id)?;
            state::set_mark(conn, n, &mark)
        }
        Step::Run { what, statements, done } => run_all(conn, what, statements, done),
        Step::Links(statements) => {
            remarks.extend(link(conn, statements)?);
            Ok(())
        }
        Step::Rename(moves) => rename(conn, moves),
        Step::Programs(list) => {
            remarks.extend(programs::make(conn, list)?);
            Ok(())
        }
        Step::Accounts(accounts) => {
            remarks.extend(accounts::make(conn, accounts)?);
            Ok(())
        }
        Step::Globals(statements) => {
            for statement in statements {
                match conn.run(statement) {
                    Ok(_) => {}
                    Err(e) if e.code().is_some() => remarks.push(format!("{statement} was not possible: {e}")),
                    Err(e) => return Err(e.doing("setting global variables")),
                }
            }
            Ok(())
        }
    }
}

fn link(conn: &mut Conn, statements: &[String]) -> Result<Vec<String>, ClusterError> {
    let mut remarks = Vec::new();
    for statement in statements {
        match conn.run(statement) {
            Ok(_) => {}
            Err(e) if e.code() == Some(1091) || e.code() == Some(1146) => {}
            Err(e) if e.code().is_some() => remarks.push(format!("a link to another table was lost: {statement}: {e}")),
            Err(e) => return Err(e.doing("linking foreign keys")),
        }
    }
    Ok(remarks)
}

fn run_all(conn: &mut Conn, what: &str, statements: &[String], done: &[u16]) -> Result<(), ClusterError> {
    for statement in statements {
        match conn.run(statement) {
            Err(e) if e.code().is_some_and(|code| done.contains(&code)) => {}
            other => {
                other.map_err(|e| e.doing(what))?;
            }
        }
    }
    Ok(())
}

/// Which tables there are in some databases, and whether they are views.
pub(super) fn there(conn: &mut Conn, dbs: &[&str]) -> Result<BTreeMap<TableName, bool>, ClusterError> {
    if dbs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let list: Vec<String> = dbs.iter().map(|db| text::string(db)).collect();
    let sql = format!(
        "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema IN ({})",
        list.join(",")
    );
    let rows = conn.rows(&sql).map_err(|e| e.doing("listing tables"))?;
    Ok(rows
        .iter()
        .map(|r| (TableName::new(r.text(0), r.text(1)), r.text(2).contains("VIEW")))
        .collect())
}

/// The renames that are left, given what there is.
fn pairs<'a>(moves: &'a [Move], there: &BTreeMap<TableName, bool>) -> Vec<(&'a TableName, &'a TableName)> {
    let mut pairs = Vec::new();
    for m in moves {
        let coming = m.built.as_ref().filter(|b| there.contains_key(*b));
        if m.built.is_some() && coming.is_none() {
            continue;
        }
        if there.contains_key(&m.place) && !there.contains_key(&m.aside) && !m.absent {
            pairs.push((&m.place, &m.aside));
        }
        if let Some(built) = coming {
            pairs.push((built, &m.place));
        }
    }
    pairs
}

fn rename(conn: &mut Conn, moves: &[Move]) -> Result<(), ClusterError> {
    let mut dbs: Vec<&str> = moves
        .iter()
        .flat_map(|m| m.built.iter().chain([&m.place, &m.aside]))
        .map(|t| t.db.as_str())
        .collect();
    dbs.sort_unstable();
    dbs.dedup();
    let there = there(conn, &dbs)?;
    let pairs = pairs(moves, &there);
    if pairs.is_empty() {
        return Ok(());
    }
    let named = |t: &TableName| text::table(&t.db, &t.table);
    let list: Vec<String> = pairs
        .iter()
        .map(|(from, to)| format!("{} TO {}", named(from), named(to)))
        .collect();
    conn.run(&format!("RENAME TABLE {}", list.join(", ")))
        .map_err(|e| e.doing("putting the restored tables in their places"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> TableName {
        text.parse().unwrap()
    }

    fn moves() -> Vec<Move> {
        let mv = |built: Option<&str>, place: &str, aside: &str| Move {
            built: built.map(name),
            place: name(place),
            aside: name(aside),
            absent: false,
        };
        vec![
            mv(Some("n.a"), "d.a", "o.a"),
            mv(Some("n.b"), "d.b", "o.b"),
            mv(None, "d.c", "o.c"),
        ]
    }

    /// Renames one after the other, as a server does.
    fn apply(there: &mut BTreeMap<TableName, bool>, pairs: &[(&TableName, &TableName)], stop: usize) {
        for (from, to) in pairs.iter().take(stop) {
            assert!(there.remove(*from).is_some(), "{from} is not there");
            assert!(there.insert((*to).clone(), false).is_none(), "{to} is there");
        }
    }

    proptest! {
        #[test]
        fn a_rename_that_stopped_anywhere_is_brought_to_its_end(stop in 0_usize..6, live in any::<bool>()) {
            let moves = moves();
            let mut there: BTreeMap<TableName, bool> = ["n.a", "n.b", "d.c"].into_iter().map(|t| (name(t), false)).collect();
            if live {
                there.insert(name("d.a"), false);
            }
            let first = pairs(&moves, &there);
            apply(&mut there, &first, stop);
            let rest = pairs(&moves, &there);
            apply(&mut there, &rest, usize::MAX);
            let mut expected = vec![name("d.a"), name("d.b"), name("o.c")];
            if live {
                expected.push(name("o.a"));
            }
            expected.sort();
            prop_assert_eq!(there.into_keys().collect::<Vec<_>>(), expected);
        }
    }
}
