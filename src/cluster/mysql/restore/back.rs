//! The way back out of a switch whose tables have not moved yet: what it took away is made again, and what was built goes.
//!
//! *Invariant: a restore that is being thrown away is never gone on with; its phase says so before the first of it goes.*

use std::time::{Duration, Instant};

use super::programs::{self, Made, Program};
use super::publish::own_databases;
use super::rename;
use super::state::{self, Phase};
use super::steps::{self, Step};
use super::waiting::is_locked_out;
use crate::cluster::ClusterError;
use crate::cluster::mysql::text::{ident, string};
use crate::cluster::mysql::wire::Conn;
use crate::model::crash::crash_point;

/// Whether the live tables are still where they were, so that there is a way back.
pub(super) fn is_open(conn: &mut Conn, n: u64) -> Result<bool, ClusterError> {
    let steps = state::steps::<Step>(conn, n)?;
    for (_, step, done) in &steps {
        if let Step::Rename(moves) = step {
            return Ok(!done && !rename::is_done(conn, moves)?);
        }
    }
    Ok(false)
}

/// Goes it; returns what could not be made again.
pub(super) fn go(conn: &mut Conn, n: u64, patience: Duration) -> Result<Vec<String>, ClusterError> {
    let steps = state::steps::<Step>(conn, n)?;
    // Who finds this half done goes through all steps again, from the first.
    state::steps_undone(conn, n)?;
    steps::reset(conn)?;
    let mut lost = Vec::new();
    for (_, step, _) in steps.iter().rev() {
        match step {
            Step::Rename(moves) => rename::back(conn, moves)?,
            Step::TakeAway { back, .. } => {
                let give_up = Instant::now() + patience;
                for program in back {
                    lost.extend(put_back(conn, program, give_up)?);
                }
            }
            Step::Databases { made, .. } => {
                for db in made {
                    drop_if_empty(conn, db)?;
                }
            }
            _ => {}
        }
    }
    Ok(lost)
}

/// Throws away what was built: a run died while it wrote rows of tables without transactions, and nothing tells which of
/// them are in. The base and the log still hold them all.
pub(super) fn start_again(conn: &mut Conn, n: u64) -> Result<(), ClusterError> {
    let prefix = state::shadows(conn, n)?.prefix();
    for db in own_databases(conn, &prefix)? {
        conn.run(&format!("DROP DATABASE IF EXISTS {}", ident(&db)))
            .map_err(|e| e.doing(format!("dropping {db}")))?;
    }
    crash_point("mysql.restore.dropped-to-start-again");
    state::start_again(conn, n)
}

/// Makes a program that was taken away again, if it was. Here nothing is left to go back to, so locks are waited for.
fn put_back(conn: &mut Conn, program: &Program, give_up: Instant) -> Result<Option<String>, ClusterError> {
    let show = program
        .drop
        .as_ref()
        .map(|drop| drop.replacen("DROP", "SHOW CREATE", 1).replacen(" IF EXISTS", "", 1));
    if show.is_some_and(|show| conn.run(&show).is_ok()) {
        return Ok(None);
    }
    loop {
        match programs::one(conn, program)? {
            Made::Yes => return Ok(None),
            Made::Not(why) => return Ok(Some(format!("{} is not there again: {why}", program.what))),
            Made::No(e) if is_locked_out(&e) && Instant::now() < give_up => {}
            Made::No(e) => {
                return Ok(Some(format!(
                    "{} could not be made again ({e}): {}",
                    program.what, program.create
                )));
            }
        }
    }
}

fn drop_if_empty(conn: &mut Conn, db: &str) -> Result<(), ClusterError> {
    let doing = "dropping a database that was made for the restore";
    let db_text = string(db);
    let sql = format!(
        "SELECT (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {db_text}) \
         + (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = {db_text}) \
         + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = {db_text})"
    );
    let held = conn.row(&sql).map_err(|e| e.doing(doing))?;
    if held.is_some_and(|r| r.number(0) == 0) {
        conn.run(&format!("DROP DATABASE IF EXISTS {}", ident(db)))
            .map_err(|e| e.doing(doing))?;
    }
    Ok(())
}

/// Throws away what was built, and all memory of it.
pub(super) fn throw_away(conn: &mut Conn, n: u64, prefix: &str) -> Result<(), ClusterError> {
    state::set_phase(conn, n, Phase::Abandoning)?;
    for db in own_databases(conn, prefix)? {
        conn.run(&format!("DROP DATABASE IF EXISTS {}", ident(&db)))
            .map_err(|e| e.doing(format!("dropping {db}")))?;
    }
    state::forget(conn, n)
}
