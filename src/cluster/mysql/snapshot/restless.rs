//! Tables that come and go while a backup is taken: those that somebody makes and drops all the time, and those that are dropped
//! before their rows were read. They are left out, by name; who stays and is changed ends the backup. A table whose definition or number
//! differs may as well be altered, and its rows are in no log: only one that is seen to go is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::gather::{self, Shown};
use super::read;
use crate::cluster::ClusterError;
use crate::cluster::mysql::core::Core;
use crate::cluster::mysql::schema::table::TableKind;
use crate::cluster::mysql::schema::tables::{self, Listed};
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// So often one must have been another when a view is opened. A table that is made for good is so once.
const SEEN: usize = 2;
/// For so long one is looked at whether it goes, and the time between looks. A look waits for a statement that drops it.
const WITHIN: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(2);
/// For so long the server is watched when two looks are equal, and tables were made or dropped between them.
const WATCHED: Duration = Duration::from_millis(200);
/// The server's counts of statements by which a table comes or goes. MySQL's count those of temporary tables too.
const COUNTS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_create_table', 'Com_drop_table', 'Com_rename_table', \
     'Com_alter_table', 'Com_drop_db')";

/// What there was of a table that is left out, when the view was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Gone,
    /// It had this number.
    Numbered(u64),
    There,
}

/// What differed so far.
#[derive(Default)]
pub(super) struct Restless {
    seen: BTreeMap<TableName, usize>,
    goes: BTreeSet<TableName>,
    /// What was counted when the earlier look began, and when the later one did.
    counted: (u64, u64),
}

impl Restless {
    /// A look begins.
    pub fn looks(&mut self, conn: &mut Conn) -> Result<(), ClusterError> {
        self.counted = (self.counted.1, counted(conn)?);
        Ok(())
    }

    /// Between two looks a table may have gone, come and gone again: they are equal, and the view between them has it. When
    /// the server has counted such statements since the earlier one began, it is watched for a while.
    pub fn watch(&mut self, conn: &mut Conn) -> Result<(), ClusterError> {
        if counted(conn)? == self.counted.0 {
            return Ok(());
        }
        let (until, mut before) = (Instant::now() + WATCHED, numbered(conn)?);
        while Instant::now() < until {
            std::thread::sleep(BETWEEN);
            let now = numbered(conn)?;
            let names: BTreeSet<&TableName> = before.keys().chain(now.keys()).collect();
            for name in names.into_iter().filter(|name| before.get(*name) != now.get(*name)) {
                *self.seen.entry(name.clone()).or_default() += 1;
            }
            before = now;
        }
        Ok(())
    }

    /// Counts what differs between two looks, and takes what has differed too often, and goes, out of both.
    pub fn take_out(
        &mut self,
        now: &mut Shown,
        before: &mut Shown,
        asker: &mut Conn,
    ) -> Result<BTreeMap<TableName, Then>, ClusterError> {
        for name in now.restless(before) {
            *self.seen.entry(name).or_default() += 1;
        }
        let often = self.seen.iter().filter(|(_, seen)| **seen >= SEEN);
        let often = often.map(|(name, _)| name).filter(|name| !self.goes.contains(*name));
        let gone = going(asker, often.cloned().collect(), TableKind::Base)?;
        self.goes.extend(gone);
        let then = |name: &TableName| match now.number(name) {
            Some(number) => Then::Numbered(number),
            None if now.creates.contains_key(name) => Then::There,
            None => Then::Gone,
        };
        let out = self.goes.iter().map(|name| (name.clone(), then(name))).collect();
        now.leave_out(&self.goes);
        before.leave_out(&self.goes);
        Ok(out)
    }
}

/// The tables that a backup leaves out.
#[derive(Default)]
pub(super) struct LeftOut(Mutex<BTreeMap<TableName, Then>>);

impl LeftOut {
    pub fn new(names: BTreeMap<TableName, Then>) -> LeftOut {
        LeftOut(Mutex::new(names))
    }

    pub fn add(&self, name: &TableName) {
        self.0.lock().insert(name.clone(), Then::Gone);
    }

    pub fn definitions(&self) -> Vec<Definition> {
        self.0.lock().keys().map(Definition::of_left_out).collect()
    }

    /// An error when one that was there at the view's moment has stayed after all: no log brings its rows.
    pub fn settle(&self, core: &Core) -> Result<(), ClusterError> {
        let all = self.0.lock().clone();
        let there: Vec<_> = all.into_iter().filter(|(_, then)| *then != Then::Gone).collect();
        if there.is_empty() {
            return Ok(());
        }
        let conn = &mut core.connect()?;
        for (name, then) in there {
            let same = match then {
                Then::Gone => false,
                Then::There => true,
                Then::Numbered(number) => gather::numbers(conn)
                    .map_err(|e| e.doing(format!("looking whether {name} has stayed")))?
                    .is_none_or(|now| now.iter().any(|(own, n)| gather::is_of(own, &name) && *n == number)),
            };
            if same && !goes(conn, &name, TableKind::Base)? {
                return Err(read::altered(&name.to_string()));
            }
        }
        Ok(())
    }
}

fn counted(conn: &mut Conn) -> Result<u64, ClusterError> {
    let rows = conn.rows(COUNTS);
    let rows = rows.map_err(|e| e.doing("asking how many tables were made and dropped"))?;
    Ok(rows.iter().map(|r| r.number(1)).sum())
}

/// All tables, with InnoDB's numbers where they are to be had.
fn numbered(conn: &mut Conn) -> Result<BTreeMap<TableName, Option<u64>>, ClusterError> {
    let look = |conn: &mut Conn| Ok((tables::list(conn)?, gather::numbers(conn)?.unwrap_or_default()));
    let (all, numbers) = look(conn).map_err(|e: WireError| e.doing("looking which tables come and go"))?;
    let number = |name: &TableName| numbers.get(&format!("{}/{}", name.db, name.table)).copied();
    Ok(all.into_iter().map(|t| (t.name.clone(), number(&t.name))).collect())
}

/// Whether a table is not there, now or in the next moments.
fn goes(conn: &mut Conn, name: &TableName, kind: TableKind) -> Result<bool, ClusterError> {
    Ok(!going(conn, BTreeSet::from([name.clone()]), kind)?.is_empty())
}

/// Which of some tables are not there, now or in the next moments.
fn going(
    conn: &mut Conn,
    mut names: BTreeSet<TableName>,
    kind: TableKind,
) -> Result<BTreeSet<TableName>, ClusterError> {
    let until = Instant::now() + WITHIN;
    let mut gone = BTreeSet::new();
    loop {
        for name in std::mem::take(&mut names) {
            match tables::create(conn, &name, kind) {
                Err(e) if matches!(e.code(), Some(1146 | 1049 | 4091)) => drop(gone.insert(name)),
                Ok(_) => drop(names.insert(name)),
                // Broken, or the server has given up one of two that wait for each other.
                Err(e) if tables::is_broken_merge(&e) || e.code() == Some(1213) => drop(names.insert(name)),
                Err(e) => return Err(e.doing(format!("looking whether {name} is still there"))),
            }
        }
        if names.is_empty() || Instant::now() >= until {
            return Ok(gone);
        }
        std::thread::sleep(BETWEEN);
    }
}

/// Whether a table that could not be read has gone, or comes and goes; one that has another name now, or stays, has not.
pub(super) fn is_gone(conn: &mut Conn, before: &Shown, table: &Listed) -> Result<bool, ClusterError> {
    let own = before.number(&table.name);
    if !goes(conn, &table.name, table.kind)? {
        return Ok(false);
    }
    let doing = |e: WireError| e.doing(format!("looking whether {} has another name", table.name));
    let numbers = gather::numbers(conn).map_err(doing)?.unwrap_or_default();
    let elsewhere = |own| {
        numbers
            .iter()
            .any(|(name, n)| *n == own && !gather::is_of(name, &table.name))
    };
    Ok(!own.is_some_and(elsewhere))
}
