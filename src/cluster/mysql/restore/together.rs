//! Many tables at once: made over several connections, and small ones filled together.
//!
//! A server waits for its disk at each table that it makes and at each commit. Where there are thousands of small tables that
//! is all the time a restore takes. So they are made beside each other, with all their keys, and the rows of many go in with
//! the note that they are in, in one transaction.
//!
//! *Invariant: a table is noted before it is made, as it will be made.*

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::building::Building;
use super::computed;
use super::insert::Inserter;
use super::load;
use super::names::wanted;
use super::session::Pool;
use super::state::{self, Filled, KnownTable, Phase};
use crate::cluster::mysql::schema::create::{CreateTable, ItemKind};
use crate::cluster::mysql::schema::table::TableSchema;
use crate::cluster::mysql::snapshot::record;
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{ClusterError, Loaded, TableDef};
use crate::model::checksum::TableChecksum;
use crate::model::crash::crash_point;
use crate::model::table::TableName;

/// Connections that make tables.
const MAKERS: usize = 4;
/// A table with at most so many bytes of rows is small: keys that are there already cost its rows nothing.
const SMALL: u64 = 64 << 10;

/// A table to be made.
struct Made {
    schema: TableSchema,
    place: TableName,
    keyed: bool,
}

/// Whether a table's rows go in with those of others: it has few, they can be taken back, and its keys are those which a table
/// without rows gets at no cost.
fn is_small(schema: &TableSchema, bytes: u64) -> Result<bool, ClusterError> {
    if bytes > SMALL || !load::lean(schema) || !computed::columns(schema).is_empty() {
        return Ok(false);
    }
    let create = CreateTable::parse(&schema.create)?;
    Ok(create.items.iter().all(|i| i.kind != ItemKind::Special))
}

/// As the backup has it.
pub(super) fn schema_of(table: &TableDef) -> Result<TableSchema, ClusterError> {
    serde_json::from_str(&table.schema).map_err(|e| ClusterError::Malformed {
        what: "a table's definition in the backup",
        why: format!("{}: {e}", table.name),
    })
}

/// Defines tables, each given with about how many bytes of rows it gets.
pub(super) fn define(building: &Building, tables: &[(TableDef, u64)]) -> Result<(), ClusterError> {
    let mine = tables.iter().filter(|(t, _)| wanted(&building.ask, &t.name));
    let mine: Vec<_> = mine.collect();
    if building.phase() > Phase::Loading || mine.is_empty() {
        return Ok(());
    }
    let (mut new, mut made, mut shadows) = (Vec::new(), Vec::new(), BTreeMap::new());
    building.pool.with(|conn| {
        let mut inner = building.inner.lock();
        for (table, bytes) in mine {
            let schema = schema_of(table)?;
            let db = &table.name.db;
            let shadow = match shadows.get(db) {
                Some(shadow) => String::clone(shadow),
                None => building.shadow(conn, &mut inner, db)?,
            };
            shadows.insert(db, shadow.clone());
            let filled = match inner.known.get(&table.name) {
                Some(known) => known.filled,
                None if is_small(&schema, *bytes)? => Filled::Keyed,
                None => Filled::No,
            };
            made.push(Made {
                schema: schema.clone(),
                place: TableName::new(shadow, table.name.table.clone()),
                keyed: filled == Filled::Keyed,
            });
            if !inner.known.contains_key(&table.name) {
                new.push(KnownTable {
                    name: table.name.clone(),
                    schema,
                    filled,
                    sum: None,
                });
            }
        }
        state::add_tables(conn, inner.memory.number, &new)?;
        let known = new.into_iter().map(|t| (t.name.clone(), t));
        inner.known.extend(known);
        Ok(())
    })?;
    crash_point("mysql.restore.tables-noted");
    make(&building.pool, &made)
}

/// Makes tables over several connections; the first error ends it.
fn make(pool: &Pool, tables: &[Made]) -> Result<(), ClusterError> {
    let next = AtomicUsize::new(0);
    let error: Mutex<Option<ClusterError>> = Mutex::new(None);
    let some = |conn: &mut Conn| {
        while error.lock().is_none()
            && let Some(table) = tables.get(next.fetch_add(1, Ordering::SeqCst))
        {
            load::create(conn, &table.schema, &table.place, table.keyed)?;
            crash_point("mysql.restore.defined");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..MAKERS.min(tables.len()) {
            scope.spawn(|| {
                if let Err(e) = pool.with(some) {
                    error.lock().get_or_insert(e);
                }
            });
        }
    });
    error.into_inner().map_or(Ok(()), Err)
}

/// Whether a table was defined to be filled together with others, and is not filled yet.
pub(super) fn goes(building: &Building, name: &TableName) -> bool {
    let inner = building.inner.lock();
    let known = inner.known.get(name);
    inner.memory.phase == Phase::Loading && known.is_some_and(|k| k.filled == Filled::Keyed)
}

/// Fills small tables, each given with all its batches, in one transaction.
pub(super) fn load(building: &Building, tables: &[(TableName, Vec<Vec<u8>>)]) -> Result<Vec<Loaded>, ClusterError> {
    let n = building.number();
    let _seat = building.pool.seat();
    // An error leaves the connection out of the pool, and its end takes the transaction back.
    let mut conn = building.pool.take()?;
    conn.run("START TRANSACTION")
        .map_err(|e| e.doing("writing rows of small tables"))?;
    let mut loaded = Vec::with_capacity(tables.len());
    for (name, batches) in tables {
        let schema = building.schema(name).filter(|_| goes(building, name));
        let schema = schema.ok_or_else(|| ClusterError::Malformed {
            what: "a restore",
            why: format!("{name} was not defined to be filled together with others"),
        })?;
        let mut sum = TableChecksum::default();
        for batch in batches {
            sum = sum + record::checksum(batch)?;
        }
        if !batches.is_empty() {
            let mut inserter = Inserter::new(conn, &schema, &building.place(name)?)?;
            batches.iter().try_for_each(|batch| inserter.put(batch))?;
            conn = inserter.finish()?;
        }
        state::set_filled(&mut conn, n, name, Filled::Whole)?;
        loaded.push(Loaded { sum, written: sum });
    }
    crash_point("mysql.restore.together-written");
    conn.run("COMMIT")
        .map_err(|e| e.doing("writing rows of small tables"))?;
    crash_point("mysql.restore.together-in");
    building.pool.give(conn);
    let mut inner = building.inner.lock();
    for (name, _) in tables {
        if let Some(known) = inner.known.get_mut(name) {
            known.filled = Filled::Whole;
        }
    }
    Ok(loaded)
}
