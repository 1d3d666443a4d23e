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
}

impl Restless {
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
