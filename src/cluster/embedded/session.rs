//! An application's session: transactions, single statements, schema changes and bulk loads.

use std::ops::Bound;
use std::sync::Arc;

use crate::cluster::{ClusterError, TableDef};
use crate::model::crash::crash_point;
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::catalog::TableInfo;
use super::core::Core;
use super::record;
use super::scan::Scan;
use super::txn::Transaction;

/// How often a single statement is tried again after a conflict.
const TRIES: usize = 100;
/// The most rows and bytes of one transaction of a bulk load.
const LOAD_ROWS: usize = 1_000;
const LOAD_BYTES: usize = 4 << 20;
/// The longest part of a table's name.
const MAX_NAME: usize = 64;

/// An application's session. Dropping it ends it.
pub struct Session {
    pub(super) core: Arc<Core>,
    pub(super) era: u64,
    user: String,
}

/// Rows with their values, in the order of their keys.
pub type Found = Vec<(Vec<u8>, Vec<u8>)>;

impl Session {
    /// A new session; refused when the cluster is closed.
    pub(super) fn open(core: &Arc<Core>, user: &str) -> Result<Session, ClusterError> {
        Ok(Session {
            era: core.door.enter()?,
            core: core.clone(),
            user: user.to_owned(),
        })
    }

    /// Who opened it.
    pub fn user(&self) -> &str {
        &self.user
    }

    fn check(&self) -> Result<(), ClusterError> {
        self.core.door.check(self.era)
    }

    /// Begins a transaction: it sees what is committed now, and nothing later.
    pub fn begin(&self) -> Result<Transaction<'_>, ClusterError> {
        self.check()?;
        Transaction::begin(self)
    }

    /// Writes one row in a transaction of its own.
    pub fn put(&self, table: &TableName, key: &[u8], value: &[u8]) -> Result<Tso, ClusterError> {
        self.retry(|tx| tx.put(table, key, value))
    }

    /// Deletes one row in a transaction of its own. A row that is not there is no error.
    pub fn delete(&self, table: &TableName, key: &[u8]) -> Result<Tso, ClusterError> {
        self.retry(|tx| tx.delete(table, key))
    }

    /// Reads one row.
    pub fn get(&self, table: &TableName, key: &[u8]) -> Result<Option<Vec<u8>>, ClusterError> {
        self.begin()?.get(table, key)
    }

    fn retry(&self, write: impl Fn(&mut Transaction<'_>) -> Result<(), ClusterError>) -> Result<Tso, ClusterError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut tx = self.begin()?;
            write(&mut tx)?;
            match tx.commit() {
                Err(ClusterError::Conflict { .. }) if tries < TRIES => {}
                result => return result,
            }
        }
    }

    /// Reads up to `limit` rows after a key, now or at a past moment.
    pub fn scan(
        &self,
        table: &TableName,
        after: Option<&[u8]>,
        limit: usize,
        at: Option<Moment>,
    ) -> Result<Found, ClusterError> {
        self.check()?;
        let reading = self.core.reading(at)?;
        let (_, rows) = self.core.table(table, reading.ts())?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut scan = Scan::range(&rows, reading.ts(), from, None);
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(row) = scan.next()? else { break };
            let value = row.value().to_vec();
            found.push((row.key, value));
        }
        Ok(found)
    }

    /// Writes many rows in transactions of about a thousand; returns how many rows were written.
    pub fn load(
        &self,
        table: &TableName,
        rows: &mut dyn Iterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<u64, ClusterError> {
        let mut total = 0;
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let mut tx = self.begin()?;
            let (mut n, mut bytes) = (0, 0);
            while n < LOAD_ROWS && bytes < LOAD_BYTES {
                let Some((key, value)) = rows.next() else { break };
                n += 1;
                bytes += key.len() + value.len();
                tx.put(table, &key, &value)?;
            }
            tx.commit()?;
            total += n as u64;
        }
        Ok(total)
    }

    /// Creates a table. The schema is free text.
    pub fn create_table(&self, name: &TableName, schema: &str) -> Result<Tso, ClusterError> {
        self.check()?;
        let def = TableDef {
            name: name.clone(),
            schema: schema.to_owned(),
            system: false,
        };
        create_table(&self.core, def, Some(self.era))
    }

    /// Drops a table. Its past can be read as long as the history window reaches.
    pub fn drop_table(&self, name: &TableName) -> Result<Tso, ClusterError> {
        self.check()?;
        let mut exclusive = self.core.exclusive()?;
        self.check()?;
        let info = self.core.catalog.read().get(name, Tso::MAX)?;
        if info.system {
            return Err(ClusterError::Malformed {
                what: "DROP TABLE",
                why: format!("{name} belongs to the system and cannot be dropped"),
            });
        }
        let rows = self.core.estimates.get(info.id).rows();
        let ts = exclusive.allocate()?;
        let body = record::drop_body(name, rows);
        crash_point("embedded.ddl.before-commit");
        exclusive.write_change(ts, &body, vec![(name.clone(), None)], |_| Ok(()))?;
        Ok(ts)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.core.door.leave(self.era);
    }
}

/// Refuses names that no table may have.
pub(super) fn check_name(name: &TableName) -> Result<(), ClusterError> {
    let fits = |part: &str| !part.is_empty() && part.chars().count() <= MAX_NAME;
    if fits(&name.db) && fits(&name.table) {
        return Ok(());
    }
    Err(ClusterError::Malformed {
        what: "a table's name",
        why: format!("database and table need 1 to {MAX_NAME} characters each"),
    })
}

/// Creates a table for a session, or for the cluster itself.
pub(super) fn create_table(core: &Core, def: TableDef, era: Option<u64>) -> Result<Tso, ClusterError> {
    check_name(&def.name)?;
    if core.catalog.read().get(&def.name, Tso::MAX).is_ok() {
        return Err(ClusterError::TableExists(def.name));
    }
    // The files are made before the lock is taken: that takes milliseconds.
    let (id, _) = core.store.create_rows()?;
    crash_point("embedded.ddl.files-made");
    let created = create_with(core, &def, era, id);
    if created.is_err() {
        core.store.delete_rows(id)?;
    }
    created
}

fn create_with(core: &Core, def: &TableDef, era: Option<u64>, id: u64) -> Result<Tso, ClusterError> {
    let mut exclusive = core.exclusive()?;
    era.map_or(Ok(()), |era| core.door.check(era))?;
    if core.catalog.read().get(&def.name, Tso::MAX).is_ok() {
        return Err(ClusterError::TableExists(def.name.clone()));
    }
    let info = TableInfo {
        id,
        schema: def.schema.clone(),
        system: def.system,
    };
    let ts = exclusive.allocate()?;
    let entries = vec![(def.name.clone(), Some(Arc::new(info)))];
    crash_point("embedded.ddl.before-commit");
    exclusive.write_change(ts, &record::create_body(def), entries, |_| Ok(()))?;
    Ok(ts)
}
