//! Reading what was built, by the same SELECT that a backup uses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::cluster::mysql::schema::select;
use crate::cluster::mysql::schema::table::{TableKind, TableSchema};
use crate::cluster::mysql::schema::tables::{self, Listed};
use crate::cluster::mysql::snapshot::record;
use crate::cluster::mysql::text::string;
use crate::cluster::mysql::wire::Conn;
use crate::cluster::{BatchSink, ClusterError, Stop};
use crate::model::checksum::TableChecksum;
use crate::model::table::TableName;

use super::merges::MERGE;
use super::session::Pool;

/// Tables that are read at a time.
const READERS: usize = 2;

/// Adds up what is read.
struct Adder(TableChecksum);

impl BatchSink for Adder {
    fn put(&mut self, batch: &[u8], _rows: u64) -> Result<(), Stop> {
        let sum = record::checksum(batch).map_err(|e| Stop(Box::new(e)))?;
        self.0 = self.0 + sum;
        Ok(())
    }
}

/// Whether its rows are another server's or another table's.
fn rows_elsewhere(schema: &TableSchema, name: &TableName) -> bool {
    let listed = Listed {
        name: name.clone(),
        kind: schema.kind,
        engine: schema.engine.clone(),
        rows: 0,
        bytes: 0,
    };
    listed.rows_elsewhere()
}

/// How many rows a table has; its name is where it is built.
fn count(pool: &Pool, schema: &TableSchema, name: &TableName) -> Result<u64, ClusterError> {
    if rows_elsewhere(schema, name) {
        return Ok(0);
    }
    pool.with(|conn| {
        let row = conn
            .row(&select::count(schema, name))
            .map_err(|e| e.doing(format!("counting the rows of {name}")))?;
        Ok(row.map_or(0, |r| r.number(0)))
    })
}

/// The checksum of one table; its name is where it is built.
fn sum(pool: &Pool, schema: &TableSchema, name: &TableName) -> Result<TableChecksum, ClusterError> {
    if rows_elsewhere(schema, name) {
        return Ok(TableChecksum::default());
    }
    pool.with(|conn| {
        let mut sum = Adder(TableChecksum::default());
        conn.stream(&select::rows(schema, name), &mut sum)
            .map_err(|e| e.doing(format!("reading back {name}")))?;
        Ok(sum.0)
    })
}

/// The checksums of tables, in their order.
pub(super) fn sums(pool: &Pool, tables: &[(TableName, TableSchema)]) -> Result<Vec<TableChecksum>, ClusterError> {
    each(tables, |schema, name| sum(pool, schema, name))
}

/// The numbers of rows of tables, in their order.
pub(super) fn counts(pool: &Pool, tables: &[(TableName, TableSchema)]) -> Result<Vec<u64>, ClusterError> {
    each(tables, |schema, name| count(pool, schema, name))
}

/// Asks several tables at a time; the answers are in the tables' order.
fn each<T: Send>(
    tables: &[(TableName, TableSchema)],
    ask: impl Fn(&TableSchema, &TableName) -> Result<T, ClusterError> + Sync,
) -> Result<Vec<T>, ClusterError> {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, Result<T, ClusterError>>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..READERS.min(tables.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some((name, schema)) = tables.get(at) else {
                        return;
                    };
                    let answer = ask(schema, name);
                    let failed = answer.is_err();
                    results.lock().insert(at, answer);
                    if failed {
                        // The others need not begin another one.
                        next.store(tables.len(), Ordering::SeqCst);
                    }
                }
            });
        }
    });
    results.into_inner().into_values().collect()
}

/// The tables of a database as they are now, with their definitions.
pub(super) fn schemas(conn: &mut Conn, db: &str) -> Result<Vec<(TableName, TableSchema)>, ClusterError> {
    let flavor = conn.info().flavor;
    let doing = || format!("reading the definitions in {db}");
    let rows = conn
        .rows(&format!(
            "SELECT table_name, table_type, engine FROM information_schema.tables WHERE table_schema = {} \
             AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') ORDER BY table_name",
            string(db)
        ))
        .map_err(|e| e.doing(doing()))?;
    let details = tables::details(conn, db).map_err(|e| e.doing(doing()))?;
    let mut out = Vec::new();
    for row in rows {
        let mut listed = Listed {
            name: TableName::new(db, row.text(0)),
            kind: match row.text(1).as_str() {
                "SYSTEM VERSIONED" => TableKind::Versioned,
                "SEQUENCE" => TableKind::Sequence,
                _ => TableKind::Base,
            },
            engine: row.text(2),
            rows: 0,
            bytes: 0,
        };
        let create = match tables::create(conn, &listed.name, listed.kind) {
            // It merges tables that are not restored.
            Err(e) if tables::is_broken_merge(&e) => {
                MERGE.clone_into(&mut listed.engine);
                String::new()
            }
            create => create.map_err(|e| e.doing(doing()))?,
        };
        let of_table = details.get(&listed.name.table).cloned().unwrap_or_default();
        let schema = tables::schema(&listed, create, &of_table, flavor);
        out.push((listed.name, schema));
    }
    Ok(out)
}
