//! Tables that come and go while a backup is taken: those that somebody makes and drops all the time, and those that are dropped
//! before their rows were read. They are left out, by name; who stays and is changed ends the backup.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;

use super::gather::{self, Shown};
use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::tables::{self, Listed};
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// So often one must have been another when a view is opened. A table that is made for good is so once.
const SEEN: usize = 2;
/// Looks at one that could not be read, and the time between them.
const LOOKS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(100);

/// What differed so far.
#[derive(Default)]
pub(super) struct Restless(BTreeMap<TableName, usize>);

impl Restless {
    /// Counts what differs between two looks, and takes what has differed too often out of both.
    pub fn take_out(&mut self, now: &mut Shown, before: &mut Shown) -> BTreeSet<TableName> {
        for name in now.restless(before) {
            *self.0.entry(name).or_default() += 1;
        }
        let often = self.0.iter().filter(|(_, seen)| **seen >= SEEN);
        let out: BTreeSet<TableName> = often.map(|(name, _)| name.clone()).collect();
        now.leave_out(&out);
        before.leave_out(&out);
        out
    }
}

/// The tables that a backup leaves out.
#[derive(Default)]
pub(super) struct LeftOut(Mutex<BTreeSet<TableName>>);

impl LeftOut {
    pub fn new(names: BTreeSet<TableName>) -> LeftOut {
        LeftOut(Mutex::new(names))
    }

    pub fn add(&self, name: &TableName) {
        self.0.lock().insert(name.clone());
    }

    pub fn definitions(&self) -> Vec<Definition> {
        self.0.lock().iter().map(Definition::of_left_out).collect()
    }
}

/// Whether a table that could not be read has gone, or comes and goes; one that has another name now, or stays, has not.
pub(super) fn is_gone(conn: &mut Conn, before: &Shown, table: &Listed) -> Result<bool, ClusterError> {
    let doing = |e: WireError| e.doing(format!("looking whether {} is still there", table.name));
    let own = before.number(&table.name);
    let mut first = None;
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(BETWEEN);
        }
        let numbers = gather::numbers(conn).map_err(doing)?.unwrap_or_default();
        if own.is_some_and(|own| {
            numbers
                .iter()
                .any(|(name, n)| *n == own && !gather::is_of(name, &table.name))
        }) {
            return Ok(false);
        }
        let shown = match tables::create(conn, &table.name, table.kind) {
            Ok(shown) => shown,
            Err(e) if matches!(e.code(), Some(1146 | 1049 | 4091)) => return Ok(true),
            Err(e) => return Err(doing(e)),
        };
        let now = (
            numbers.into_iter().find(|(name, _)| gather::is_of(name, &table.name)),
            shown,
        );
        match &first {
            None => first = Some(now),
            Some(first) if first.0 != now.0 => return Ok(true),
            Some(_) => {}
        }
    }
    Ok(false)
}
