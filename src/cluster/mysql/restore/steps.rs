//! The steps of the switch. They are written down before the first is done, and each can be repeated: after a crash the rest
//! is done by whoever asks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::mysql::core::Core;
use crate::cluster::mysql::login;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{ClusterError, mysql::binlog};
use crate::model::crash::crash_point;
use crate::model::table::TableName;

use super::accounts::{self, Accounts};
use super::programs::{self, Program};
use super::rename::{self, Move};
use super::waiting::{Patience, Waiting, is_locked_out};
use super::{session, state};

/// There is no such key, column or table (any more).
pub(super) const GONE: &[u16] = &[1091, 1146, 1176];

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
    /// Makes the databases; `made` are those that are not there yet.
    Databases { statements: Vec<String>, made: Vec<String> },
    /// Takes away what stands in the way of the tables; `back` makes it again.
    TakeAway {
        statements: Vec<String>,
        back: Vec<Program>,
    },
    /// Statements that may fail: then `what` and the statement become a remark. The errors in `done` mean that there is
    /// nothing left to do.
    Try {
        what: String,
        statements: Vec<String>,
        done: Vec<u16>,
    },
    /// Puts tables in their places, all at once.
    Rename(Vec<Move>),
    /// Views, triggers, routines, events: what cannot be made becomes a remark. `old` are live ones of the same names, which
    /// come back where their successors cannot be made.
    Programs { list: Vec<Program>, old: Vec<Program> },
    /// Accounts and roles, without their grants: programs need their definers.
    NewAccounts(Accounts),
    /// Grants, and what the log did to accounts.
    Accounts(Accounts),
    /// Global variables: what cannot be set becomes a remark.
    Globals(Vec<String>),
}

/// A switch that is under way.
pub(super) struct Switching<'a> {
    pub core: &'a Core,
    pub conn: &'a mut Conn,
    pub n: u64,
    pub id: &'a str,
    pub remarks: &'a mut Vec<String>,
    pub waiting: &'a Waiting,
}

impl Switching<'_> {
    /// Does what is left.
    pub fn run(&mut self) -> Result<(), ClusterError> {
        for (k, step) in state::steps_left::<Step>(self.conn, self.n)? {
            self.one(&step)?;
            crash_point("mysql.restore.step-run");
            reset(self.conn)?;
            state::set_remarks(self.conn, self.n, self.remarks)?;
            state::step_done(self.conn, self.n, k)?;
            crash_point("mysql.restore.step-noted");
        }
        Ok(())
    }

    fn one(&mut self, step: &Step) -> Result<(), ClusterError> {
        let conn = &mut *self.conn;
        let remarks = match step {
            Step::Marker => return self.marker(),
            Step::Run { what, statements, done } => return run_all(conn, what, statements, done),
            Step::Databases { statements, .. } => return run_all(conn, "making the databases", statements, &[]),
            Step::TakeAway { statements, .. } => {
                let patience = self.waiting.patience(conn, self.core.options.switch_patience)?;
                return take_away(conn, statements, &patience);
            }
            Step::Try { what, statements, done } => try_all(conn, what, statements, done)?,
            Step::Rename(moves) => {
                let patience = self.waiting.patience(conn, self.core.options.switch_patience)?;
                rename::forward(conn, moves, &patience)?
            }
            Step::Programs { list, old } => programs::make(conn, list, old)?,
            Step::NewAccounts(accounts) => accounts::make_accounts(conn, accounts)?,
            Step::Accounts(accounts) => accounts::make_grants(conn, accounts, self.n)?,
            Step::Globals(statements) => try_all(conn, "a global variable could not be set", statements, &[])?,
        };
        let new: Vec<String> = remarks.into_iter().filter(|r| !self.remarks.contains(r)).collect();
        self.remarks.extend(new);
        Ok(())
    }

    /// Writes the marker, unless a run that died had written it already: a second one would end the new history.
    fn marker(&mut self) -> Result<(), ClusterError> {
        let (core, conn, n) = (self.core, &mut *self.conn, self.n);
        let written = match state::mark(conn, n)? {
            Some(noted) => binlog::written_marker(core, conn, self.id, &noted)?,
            None => None,
        };
        let mark = match written {
            Some(mark) => mark,
            None => binlog::write_marker(core, conn, self.id, &mut |conn, mark| state::set_mark(conn, n, mark))?,
        };
        crash_point("mysql.restore.marked");
        state::set_mark(self.conn, n, &mark)
    }
}

/// Puts a session back into the state for building, whatever was set in it.
pub(super) fn reset(conn: &mut Conn) -> Result<(), ClusterError> {
    login::anew(conn).map_err(|e| e.doing("preparing the session"))?;
    session::prepare(conn)
}

/// Runs what needs the locks of tables.
fn take_away(conn: &mut Conn, statements: &[String], patience: &Patience<'_>) -> Result<(), ClusterError> {
    for statement in statements {
        loop {
            match conn.run(statement) {
                Ok(_) => break,
                Err(e) if e.code().is_some_and(|code| GONE.contains(&code)) => break,
                Err(e) if is_locked_out(&e) => patience.lose_some(conn)?,
                Err(e) => return Err(e.doing("taking away what is replaced")),
            }
        }
    }
    Ok(())
}

/// Runs what may fail; returns what failed.
fn try_all(conn: &mut Conn, what: &str, statements: &[String], done: &[u16]) -> Result<Vec<String>, ClusterError> {
    let mut remarks = Vec::new();
    for statement in statements {
        match conn.run(statement) {
            Ok(_) => {}
            Err(e) if e.code().is_some_and(|code| done.contains(&code)) => {}
            Err(e) if e.code().is_some() => remarks.push(format!("{what}: {statement}: {e}")),
            Err(e) => return Err(e.doing(statement.clone())),
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
