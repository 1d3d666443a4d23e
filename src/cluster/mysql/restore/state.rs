//! What a restore remembers, in the database `_brine` of the server that it writes.
//!
//! | table | what |
//! |---|---|
//! | `restores` | one row a restore: what was asked, how far it is, its mark once it was switched over |
//! | `shadows` | the databases in which it builds |
//! | `loaded` | the tables that it defined; whether their rows are in, and their checksum as it was read back |
//! | `links` | foreign keys of restored tables to ones that are not, as the log has left them |
//! | `progress` | for each lane of the replay the last transaction that is in; committed with the rows |
//! | `plain` | batches of rows of tables without transactions that are under way: after a crash they are neither in nor out |
//! | `ddl` | the statement of the log that was begun last, and how its tables looked before; in the switch, of those about accounts |
//! | `views` | views of the log as the server showed them before something changed that they read |
//! | `steps` | the steps of the switch, and which are done |
//!
//! *Invariant: what is written here is written before the thing that it describes begins, or in the same transaction.*

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::mysql::schema::table::TableSchema;
use crate::cluster::mysql::text::string;
use crate::cluster::mysql::wire::{Conn, Row};
use crate::cluster::{ClusterError, Mark, RestoreAsk};
use crate::model::checksum::TableChecksum;
use crate::model::definition::Definition;
use crate::model::table::TableName;

use super::names::Shadows;
use super::outside::Links;

const TABLES: &[&str] = &[
    "CREATE DATABASE IF NOT EXISTS _brine CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS _brine.restores (id VARCHAR(64) NOT NULL PRIMARY KEY, n INT NOT NULL AUTO_INCREMENT UNIQUE, \
     ask LONGTEXT NOT NULL, phase VARCHAR(16) NOT NULL, mark LONGTEXT, remarks LONGTEXT) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.shadows (n INT NOT NULL, db VARCHAR(64) NOT NULL, shadow VARCHAR(64) NOT NULL, \
     PRIMARY KEY (n, db)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.loaded (n INT NOT NULL, db VARCHAR(64) NOT NULL, tbl VARCHAR(64) NOT NULL, \
     def LONGTEXT NOT NULL, state INT NOT NULL, sum LONGTEXT, PRIMARY KEY (n, db, tbl)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.links (n INT NOT NULL, db VARCHAR(64) NOT NULL, tbl VARCHAR(64) NOT NULL, \
     def LONGTEXT NOT NULL, PRIMARY KEY (n, db, tbl)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.progress (n INT NOT NULL, lane INT NOT NULL, txn BIGINT UNSIGNED NOT NULL, \
     PRIMARY KEY (n, lane)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.plain (n INT NOT NULL, batch BIGINT UNSIGNED NOT NULL, PRIMARY KEY (n, batch)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.ddl (n INT NOT NULL PRIMARY KEY, txn BIGINT UNSIGNED NOT NULL, part INT NOT NULL, \
     before_it LONGTEXT NOT NULL, done INT NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.views (n INT NOT NULL, txn BIGINT UNSIGNED NOT NULL, part INT NOT NULL, \
     def LONGTEXT NOT NULL, PRIMARY KEY (n, txn, part)) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.steps (n INT NOT NULL, k INT NOT NULL, step LONGTEXT NOT NULL, done INT NOT NULL, \
     PRIMARY KEY (n, k)) ENGINE=InnoDB",
];

/// How far a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It is thrown away: nobody goes on with it.
    Abandoning,
    /// Rows are loaded.
    Loading,
    /// The log is replayed.
    Replaying,
    /// The live tables are replaced: once they have moved there is no way but forward.
    Switching,
    /// All is done.
    Done,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Phase::Abandoning => "abandoning",
            Phase::Loading => "loading",
            Phase::Replaying => "replaying",
            Phase::Switching => "switching",
            Phase::Done => "done",
        }
    }

    fn parse(word: &str) -> Option<Phase> {
        let all = [
            Phase::Abandoning,
            Phase::Loading,
            Phase::Replaying,
            Phase::Switching,
            Phase::Done,
        ];
        all.into_iter().find(|p| p.word() == word)
    }
}

/// How far a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// It is defined.
    No,
    /// Rows were begun: after a crash it is made anew.
    Begun,
    /// Rows and keys are in.
    Whole,
    /// It is defined with all its keys: its few rows go in with those of others, in one transaction.
    Keyed,
}

impl Filled {
    fn number(self) -> u64 {
        match self {
            Filled::No => 0,
            Filled::Begun => 1,
            Filled::Whole => 2,
            Filled::Keyed => 3,
        }
    }

    fn of(number: u64) -> Result<Filled, ClusterError> {
        let all = [Filled::No, Filled::Begun, Filled::Whole, Filled::Keyed];
        let found = all.into_iter().find(|f| f.number() == number);
        found.ok_or_else(|| unreadable("it is of a newer version"))
    }
}

/// What is remembered of a table.
#[derive(Clone, Debug)]
pub(super) struct KnownTable {
    pub name: TableName,
    pub schema: TableSchema,
    pub filled: Filled,
    pub sum: Option<TableChecksum>,
}

/// A restore's memory.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub number: u64,
    pub phase: Phase,
    pub mark: Option<Mark>,
    pub remarks: Vec<String>,
}

const DOING: &str = "keeping a restore's memory in the database _brine";

fn failed(e: crate::cluster::mysql::wire::WireError) -> ClusterError {
    e.doing(DOING)
}

fn unreadable(e: impl std::fmt::Display) -> ClusterError {
    ClusterError::Malformed {
        what: "a restore's memory in the database _brine",
        why: e.to_string(),
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, ClusterError> {
    serde_json::to_string(value).map(|t| string(&t)).map_err(unreadable)
}

fn from_json<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, ClusterError> {
    serde_json::from_str(text).map_err(unreadable)
}

/// Makes the tables where they are missing.
pub(super) fn make_tables(conn: &mut Conn) -> Result<(), ClusterError> {
    conn.run_all(TABLES).map_err(failed)
}

impl Memory {
    /// The memory of an ask, if it was begun.
    pub fn find(conn: &mut Conn, ask: &RestoreAsk) -> Result<Option<Memory>, ClusterError> {
        let sql = format!(
            "SELECT n, phase, mark, ask, remarks FROM _brine.restores WHERE id = {}",
            string(&ask.id)
        );
        let Some(row) = conn.row(&sql).map_err(failed)? else {
            return Ok(None);
        };
        let asked: RestoreAsk = from_json(&row.text(3))?;
        if asked != *ask {
            return Err(unreadable(format!("restore {} was asked for something else", ask.id)));
        }
        let mark = row.opt(2).map(|t| from_json(&t)).transpose()?;
        let remarks = row.opt(4).map(|t| from_json(&t)).transpose()?.unwrap_or_default();
        let phase = Phase::parse(&row.text(1)).ok_or_else(|| unreadable("it is of a newer version"))?;
        Ok(Some(Memory {
            number: row.number(0),
            phase,
            mark,
            remarks,
        }))
    }

    /// Begins one.
    pub fn begin(conn: &mut Conn, ask: &RestoreAsk) -> Result<Memory, ClusterError> {
        let sql = format!(
            "INSERT INTO _brine.restores (id, ask, phase) VALUES ({}, {}, 'loading')",
            string(&ask.id),
            json(ask)?
        );
        conn.run(&sql).map_err(failed)?;
        Memory::find(conn, ask)?.ok_or_else(|| unreadable("what was just written is gone"))
    }
}

/// Notes how far it is.
pub(super) fn set_phase(conn: &mut Conn, n: u64, phase: Phase) -> Result<(), ClusterError> {
    let sql = format!("UPDATE _brine.restores SET phase = '{}' WHERE n = {n}", phase.word());
    conn.run(&sql).map_err(failed).map(drop)
}

/// Notes where it was made visible.
pub(super) fn set_mark(conn: &mut Conn, n: u64, mark: &Mark) -> Result<(), ClusterError> {
    let sql = format!("UPDATE _brine.restores SET mark = {} WHERE n = {n}", json(mark)?);
    conn.run(&sql).map_err(failed).map(drop)
}

/// The mark, as far as it is known: before the marker was written, with the place before it.
pub(super) fn mark(conn: &mut Conn, n: u64) -> Result<Option<Mark>, ClusterError> {
    let row = conn
        .row(&format!("SELECT mark FROM _brine.restores WHERE n = {n}"))
        .map_err(failed)?;
    row.and_then(|r| r.opt(0)).map(|t| from_json(&t)).transpose()
}

/// Notes what the operator should know.
pub(super) fn set_remarks(conn: &mut Conn, n: u64, remarks: &[String]) -> Result<(), ClusterError> {
    let sql = format!("UPDATE _brine.restores SET remarks = {} WHERE n = {n}", json(&remarks)?);
    conn.run(&sql).map_err(failed).map(drop)
}

/// The databases in which it builds.
pub(super) fn shadows(conn: &mut Conn, n: u64) -> Result<Shadows, ClusterError> {
    let rows = conn
        .rows(&format!("SELECT db, shadow FROM _brine.shadows WHERE n = {n}"))
        .map_err(failed)?;
    Ok(Shadows {
        number: n,
        of: rows.iter().map(|r| (r.text(0), r.text(1))).collect(),
    })
}

/// Notes one more.
pub(super) fn add_shadow(conn: &mut Conn, n: u64, db: &str, shadow: &str) -> Result<(), ClusterError> {
    let sql = format!(
        "INSERT INTO _brine.shadows (n, db, shadow) VALUES ({n}, {}, {})",
        string(db),
        string(shadow)
    );
    conn.run(&sql).map_err(failed).map(drop)
}

/// The tables that were defined.
pub(super) fn tables(conn: &mut Conn, n: u64) -> Result<Vec<KnownTable>, ClusterError> {
    let sql = format!("SELECT db, tbl, def, state, sum FROM _brine.loaded WHERE n = {n} ORDER BY db, tbl");
    let rows = conn.rows(&sql).map_err(failed)?;
    rows.iter()
        .map(|row| {
            Ok(KnownTable {
                name: TableName::new(row.text(0), row.text(1)),
                schema: from_json(&row.text(2))?,
                filled: Filled::of(row.number(3))?,
                sum: row.opt(4).map(|t| from_json(&t)).transpose()?,
            })
        })
        .collect()
}

/// Notes tables that are defined, all of them or none.
pub(super) fn add_tables(conn: &mut Conn, n: u64, tables: &[KnownTable]) -> Result<(), ClusterError> {
    at_once(conn, |conn| {
        for table in tables {
            let sql = format!(
                "INSERT IGNORE INTO _brine.loaded (n, db, tbl, def, state) VALUES ({n}, {}, {}, {}, {})",
                string(&table.name.db),
                string(&table.name.table),
                json(&table.schema)?,
                table.filled.number()
            );
            conn.run(&sql).map_err(failed)?;
        }
        Ok(())
    })
}

/// In one transaction. After an error nothing of it is kept, and neither may the connection be.
pub(super) fn at_once(
    conn: &mut Conn,
    work: impl FnOnce(&mut Conn) -> Result<(), ClusterError>,
) -> Result<(), ClusterError> {
    conn.run("START TRANSACTION").map_err(failed)?;
    work(conn)?;
    conn.run("COMMIT").map_err(failed).map(drop)
}

fn of_table(n: u64, name: &TableName) -> String {
    format!(
        "WHERE n = {n} AND db = {} AND tbl = {}",
        string(&name.db),
        string(&name.table)
    )
}

/// Notes how far a table is.
pub(super) fn set_filled(conn: &mut Conn, n: u64, name: &TableName, filled: Filled) -> Result<(), ClusterError> {
    let sql = format!(
        "UPDATE _brine.loaded SET state = {} {}",
        filled.number(),
        of_table(n, name)
    );
    conn.run(&sql).map_err(failed).map(drop)
}

/// Notes the checksums of tables as they were read back.
pub(super) fn set_sums<'a>(
    conn: &mut Conn,
    n: u64,
    sums: impl Iterator<Item = (&'a TableName, &'a TableChecksum)>,
) -> Result<(), ClusterError> {
    at_once(conn, |conn| {
        for (name, sum) in sums {
            let sql = format!("UPDATE _brine.loaded SET sum = {} {}", json(sum)?, of_table(n, name));
            conn.run(&sql).map_err(failed)?;
        }
        Ok(())
    })
}

/// The foreign keys to tables that are not restored.
pub(super) fn links(conn: &mut Conn, n: u64) -> Result<Links, ClusterError> {
    let rows = conn
        .rows(&format!("SELECT db, tbl, def FROM _brine.links WHERE n = {n}"))
        .map_err(failed)?;
    let of = |row: &Row| Ok((TableName::new(row.text(0), row.text(1)), from_json(&row.text(2))?));
    rows.iter().map(of).collect()
}

/// Notes those of some tables, all of them or none.
pub(super) fn set_links(conn: &mut Conn, n: u64, links: &Links) -> Result<(), ClusterError> {
    if links.is_empty() {
        return Ok(());
    }
    at_once(conn, |conn| {
        for (name, keys) in links {
            let sql = match keys.is_empty() {
                true => format!("DELETE FROM _brine.links {}", of_table(n, name)),
                false => format!(
                    "REPLACE INTO _brine.links (n, db, tbl, def) VALUES ({n}, {}, {}, {})",
                    string(&name.db),
                    string(&name.table),
                    json(keys)?
                ),
            };
            conn.run(&sql).map_err(failed)?;
        }
        Ok(())
    })
}

/// The last transaction of each lane that is in.
pub(super) fn progress(conn: &mut Conn, n: u64) -> Result<Vec<(u64, u64)>, ClusterError> {
    let rows = conn
        .rows(&format!("SELECT lane, txn FROM _brine.progress WHERE n = {n}"))
        .map_err(failed)?;
    Ok(rows.iter().map(|r| (r.number(0), r.number(1))).collect())
}

/// The statement that notes it.
pub(super) fn progress_statement(n: u64, lane: usize, txn: u64) -> String {
    format!("REPLACE INTO _brine.progress (n, lane, txn) VALUES ({n}, {lane}, {txn})")
}

/// Notes a batch with rows of tables without transactions, before any of it is sent.
pub(super) fn begin_plain(conn: &mut Conn, n: u64, batch: u64) -> Result<(), ClusterError> {
    conn.run(&format!("INSERT INTO _brine.plain (n, batch) VALUES ({n}, {batch})"))
        .map_err(failed)
        .map(drop)
}

/// The statement that strikes it, in the transaction that notes the progress.
pub(super) fn end_plain_statement(n: u64, batch: u64) -> String {
    format!("DELETE FROM _brine.plain WHERE n = {n} AND batch = {batch}")
}

/// Whether a run that died was writing rows of tables without transactions: nobody knows which of them are in.
pub(super) fn is_torn(conn: &mut Conn, n: u64) -> Result<bool, ClusterError> {
    let row = conn
        .row(&format!("SELECT COUNT(*) FROM _brine.plain WHERE n = {n}"))
        .map_err(failed)?;
    Ok(row.is_some_and(|r| r.number(0) > 0))
}

/// Forgets all that was built, so that it is built anew. What says why goes last.
pub(super) fn start_again(conn: &mut Conn, n: u64) -> Result<(), ClusterError> {
    for table in ["shadows", "loaded", "links", "progress", "ddl", "views", "steps"] {
        conn.run(&format!("DELETE FROM _brine.{table} WHERE n = {n}"))
            .map_err(failed)?;
    }
    set_phase(conn, n, Phase::Loading)?;
    conn.run(&format!("DELETE FROM _brine.plain WHERE n = {n}"))
        .map_err(failed)
        .map(drop)
}

/// Writes the steps of the switch and begins it, at once.
pub(super) fn begin_switch<S: Serialize>(conn: &mut Conn, n: u64, steps: &[S]) -> Result<(), ClusterError> {
    conn.run("START TRANSACTION").map_err(failed)?;
    conn.run(&format!("DELETE FROM _brine.steps WHERE n = {n}"))
        .map_err(failed)?;
    for (k, step) in steps.iter().enumerate() {
        let sql = format!(
            "INSERT INTO _brine.steps (n, k, step, done) VALUES ({n}, {k}, {}, 0)",
            json(step)?
        );
        conn.run(&sql).map_err(failed)?;
    }
    set_phase(conn, n, Phase::Switching)?;
    conn.run("COMMIT").map_err(failed).map(drop)
}

/// The steps that are left, in order.
pub(super) fn steps_left<S: for<'a> Deserialize<'a>>(conn: &mut Conn, n: u64) -> Result<Vec<(u64, S)>, ClusterError> {
    let sql = format!("SELECT k, step FROM _brine.steps WHERE n = {n} AND done = 0 ORDER BY k");
    let rows = conn.rows(&sql).map_err(failed)?;
    rows.iter().map(|r| Ok((r.number(0), from_json(&r.text(1))?))).collect()
}

/// All steps, in order, and whether they are done.
pub(super) fn steps<S: for<'a> Deserialize<'a>>(conn: &mut Conn, n: u64) -> Result<Vec<(u64, S, bool)>, ClusterError> {
    let sql = format!("SELECT k, step, done FROM _brine.steps WHERE n = {n} ORDER BY k");
    let rows = conn.rows(&sql).map_err(failed)?;
    let all = rows
        .iter()
        .map(|r| Ok((r.number(0), from_json(&r.text(1))?, r.number(2) == 1)));
    all.collect()
}

/// Notes that all steps are to be done again.
pub(super) fn steps_undone(conn: &mut Conn, n: u64) -> Result<(), ClusterError> {
    conn.run(&format!("UPDATE _brine.steps SET done = 0 WHERE n = {n}"))
        .map_err(failed)
        .map(drop)
}

/// Notes a step as done.
pub(super) fn step_done(conn: &mut Conn, n: u64, k: u64) -> Result<(), ClusterError> {
    conn.run(&format!("UPDATE _brine.steps SET done = 1 WHERE n = {n} AND k = {k}"))
        .map_err(failed)
        .map(drop)
}

/// A statement of the log that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BegunDdl {
    pub txn: u64,
    pub part: u64,
    /// How its tables looked before.
    pub before: String,
    pub done: bool,
}

/// The statement that was begun last.
pub(super) fn ddl(conn: &mut Conn, n: u64) -> Result<Option<BegunDdl>, ClusterError> {
    let row = conn
        .row(&format!(
            "SELECT txn, part, before_it, done FROM _brine.ddl WHERE n = {n}"
        ))
        .map_err(failed)?;
    Ok(row.map(|r| BegunDdl {
        txn: r.number(0),
        part: r.number(1),
        before: r.text(2),
        done: r.number(3) == 1,
    }))
}

/// Notes the statement that begins, or that it is done.
pub(super) fn set_ddl(conn: &mut Conn, n: u64, ddl: &BegunDdl) -> Result<(), ClusterError> {
    let sql = format!(
        "REPLACE INTO _brine.ddl (n, txn, part, before_it, done) VALUES ({n}, {}, {}, {}, {})",
        ddl.txn,
        ddl.part,
        string(&ddl.before),
        u8::from(ddl.done)
    );
    conn.run(&sql).map_err(failed).map(drop)
}

/// What the server showed of a view of the log, or why that is not known.
pub(super) type ShownView = Result<Definition, String>;

/// Views of the log as they were shown, by the statements that made them.
pub(super) fn views(conn: &mut Conn, n: u64) -> Result<BTreeMap<(u64, u64), ShownView>, ClusterError> {
    let rows = conn
        .rows(&format!("SELECT txn, part, def FROM _brine.views WHERE n = {n}"))
        .map_err(failed)?;
    let of = |row: &Row| Ok(((row.number(0), row.number(1)), from_json(&row.text(2))?));
    rows.iter().map(of).collect()
}

/// Notes some, all of them or none.
pub(super) fn add_views(conn: &mut Conn, n: u64, views: &[((u64, u64), ShownView)]) -> Result<(), ClusterError> {
    at_once(conn, |conn| {
        for ((txn, part), shown) in views {
            let sql = format!(
                "REPLACE INTO _brine.views (n, txn, part, def) VALUES ({n}, {txn}, {part}, {})",
                json(shown)?
            );
            conn.run(&sql).map_err(failed)?;
        }
        Ok(())
    })
}

/// Forgets everything but that it was, and how it ended.
pub(super) fn forget_details(conn: &mut Conn, n: u64) -> Result<(), ClusterError> {
    for table in [
        "shadows", "loaded", "links", "progress", "plain", "ddl", "views", "steps",
    ] {
        conn.run(&format!("DELETE FROM _brine.{table} WHERE n = {n}"))
            .map_err(failed)?;
    }
    Ok(())
}

/// Forgets all of it.
pub(super) fn forget(conn: &mut Conn, n: u64) -> Result<(), ClusterError> {
    forget_details(conn, n)?;
    conn.run(&format!("DELETE FROM _brine.restores WHERE n = {n}"))
        .map_err(failed)
        .map(drop)
}
