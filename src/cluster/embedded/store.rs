//! The key-value engine behind the cluster, and nothing of what its bytes mean.
//!
//! Three fixed keyspaces (`meta`, `catalog`, `log`) and one per table generation (`t_<id>`). What the
//! cluster needs of an engine is here and nowhere else: an atomic batch over keyspaces that is on disk when
//! it returns, ordered ranges, sorted ingestion, dropping a keyspace, and a filter for old versions.
//!
//! *Invariants: only this file names the engine. Every iterator's error is passed on. A batch is synced.*

use std::collections::HashMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::compaction::filter::{CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict};
use fjall::config::BlockSizePolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
pub(super) use fjall::{Error as OpenError, Slice};
use parking_lot::RwLock;

use crate::cluster::ClusterError;
use crate::model::tso::Tso;

use super::keys;

const TABLE_PREFIX: &str = "t_";

/// A failure of the store while doing something.
pub(super) fn failed<E: std::error::Error + Send + Sync + 'static>(
    doing: impl Into<String>,
) -> impl FnOnce(E) -> ClusterError {
    let doing = doing.into();
    move |e| ClusterError::Store {
        doing,
        source: Box::new(e),
    }
}

/// Where old versions may be thrown away, shared with the running compactions.
#[derive(Default)]
pub(super) struct Collecting {
    /// Of the versions of a row at or before this timestamp only the newest is kept.
    pub(super) safepoint: AtomicU64,
    /// How many versions were thrown away since the store was opened.
    pub(super) dropped: AtomicU64,
}

/// The opened store.
pub(super) struct Store {
    meta: Keyspace,
    catalog: Keyspace,
    log: Keyspace,
    tables: RwLock<HashMap<u64, Rows>>,
    next_id: AtomicU64,
    /// Shared with the compaction filter.
    pub(super) collecting: Arc<Collecting>,
    db: Database,
}

/// The rows of one table generation.
#[derive(Clone)]
pub(super) struct Rows(Keyspace);

/// One of the fixed keyspaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Single values: identity, timestamps, state, pins, restores.
    Meta,
    /// The versions of the catalog.
    Catalog,
    /// The change log.
    Log,
}

fn options(memtable: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .data_block_size_policy(BlockSizePolicy::all(16 * 1024))
        .max_memtable_size(memtable)
}

impl Store {
    /// Whether a directory holds a store already.
    pub(super) fn exists(dir: &Path) -> bool {
        dir.join("version").exists()
    }

    /// Opens or creates the store in a directory.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Store, fjall::Error> {
        // Some damage of the journal makes the engine (3.1.13) panic instead of returning an error.
        let opened = std::panic::catch_unwind(|| Store::open_unguarded(dir, cache_bytes));
        opened.unwrap_or(Err(fjall::Error::Unrecoverable))
    }

    fn open_unguarded(dir: &Path, cache_bytes: u64) -> Result<Store, fjall::Error> {
        let collecting = Arc::new(Collecting::default());
        let shared = collecting.clone();
        let db = Database::builder(dir)
            .cache_size(cache_bytes)
            // Bounds the memory of all memtables together, and the time to reopen.
            .max_journaling_size(128 << 20)
            .with_compaction_filter_factories(Arc::new(move |name: &str| {
                name.starts_with(TABLE_PREFIX)
                    .then(|| Arc::new(FilterFactory(shared.clone())) as Arc<dyn Factory>)
            }))
            .open()?;
        let mut tables = HashMap::new();
        let mut next_id = 1;
        for name in db.list_keyspace_names() {
            let Some(id) = name.strip_prefix(TABLE_PREFIX).and_then(|id| id.parse::<u64>().ok()) else {
                continue;
            };
            next_id = next_id.max(id.saturating_add(1));
            tables.insert(id, Rows(db.keyspace(&name, || options(8 << 20))?));
        }
        Ok(Store {
            meta: db.keyspace("meta", || options(4 << 20))?,
            catalog: db.keyspace("catalog", || options(4 << 20))?,
            log: db.keyspace("log", || options(16 << 20))?,
            tables: RwLock::new(tables),
            next_id: AtomicU64::new(next_id),
            collecting,
            db,
        })
    }

    fn space(&self, space: Space) -> &Keyspace {
        match space {
            Space::Meta => &self.meta,
            Space::Catalog => &self.catalog,
            Space::Log => &self.log,
        }
    }

    /// Reads one value.
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, ClusterError> {
        self.space(space).get(key).map_err(failed("reading the store"))
    }

    /// Reads a range in order.
    pub(super) fn range(&self, space: Space, from: Bound<Vec<u8>>, to: Bound<Vec<u8>>) -> Pairs {
        Pairs(self.space(space).range((from, to)))
    }

    /// Bytes of the change log on disk.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log.disk_space()
    }

    /// Throws away the files that hold only log records up to a timestamp; what is left is removed later.
    pub(super) fn drop_log(&self, through: Tso) -> Result<(), ClusterError> {
        use fjall::AbstractTree;
        let end = through.0.to_be_bytes();
        self.log
            .tree
            .drop_range::<[u8; 8], _>(..=end)
            .map_err(failed("trimming the change log"))
    }

    /// An empty batch.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            store: self,
            inner: self.db.batch().durability(Some(PersistMode::SyncData)),
        }
    }

    /// Creates the keyspace of a new table generation.
    pub(super) fn create_rows(&self) -> Result<(u64, Rows), ClusterError> {
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let rows = self
            .db
            .keyspace(&format!("{TABLE_PREFIX}{id}"), || options(8 << 20))
            .map_err(failed("creating a table's files"))?;
        let rows = Rows(rows);
        self.tables.write().insert(id, rows.clone());
        Ok((id, rows))
    }

    /// The rows of a table generation.
    pub(super) fn rows(&self, id: u64) -> Result<Rows, ClusterError> {
        let found = self.tables.read().get(&id).cloned();
        found.ok_or_else(|| ClusterError::Malformed {
            what: "the catalog",
            why: format!("the rows of table generation {id} are missing; restore the cluster from a backup"),
        })
    }

    /// The table generations that have files.
    pub(super) fn row_ids(&self) -> Vec<u64> {
        self.tables.read().keys().copied().collect()
    }

    /// Deletes a table generation; its files go when the last reader has gone.
    pub(super) fn delete_rows(&self, id: u64) -> Result<(), ClusterError> {
        let Some(rows) = self.tables.write().remove(&id) else {
            return Ok(());
        };
        self.db
            .delete_keyspace(rows.0)
            .map_err(failed("deleting a table's files"))
    }
}

impl Rows {
    /// Reads a range in order.
    pub(super) fn range(&self, from: Bound<Vec<u8>>, to: Bound<Vec<u8>>) -> Pairs {
        Pairs(self.0.range((from, to)))
    }

    /// The last stored pair.
    pub(super) fn last_key(&self) -> Result<Option<Slice>, ClusterError> {
        self.0
            .last_key_value()
            .map(|g| g.key().map_err(failed("reading a table's last row")))
            .transpose()
    }

    /// Writes pairs in strictly ascending order; all become visible, or none.
    pub(super) fn ingest(
        &self,
        mut next: impl FnMut() -> Result<Option<(Vec<u8>, Vec<u8>)>, ClusterError>,
    ) -> Result<(), ClusterError> {
        let mut ingestion = self.0.start_ingestion().map_err(failed("starting a bulk load"))?;
        let mut last: Vec<u8> = Vec::new();
        while let Some((key, value)) = next()? {
            // The engine would panic.
            if key <= last {
                return Err(ClusterError::Malformed {
                    what: "a stream of rows",
                    why: "the rows are not in strictly ascending order of their keys".to_owned(),
                });
            }
            ingestion
                .write(&key[..], value)
                .map_err(failed("writing rows in bulk"))?;
            last = key;
        }
        ingestion.finish().map_err(failed("finishing a bulk load"))
    }

    /// Rewrites all files, so that the filter sees every version.
    pub(super) fn compact(&self) -> Result<(), ClusterError> {
        self.0
            .rotate_memtable_and_wait()
            .and_then(|()| self.0.major_compact())
            .map_err(failed("compacting a table"))
    }
}

/// Pairs in the order of their keys.
pub(super) struct Pairs(fjall::Iter);

impl Pairs {
    /// The next pair.
    pub(super) fn next(&mut self) -> Result<Option<(Slice, Slice)>, ClusterError> {
        self.0
            .next()
            .map(|guard| guard.into_inner().map_err(failed("reading the store")))
            .transpose()
    }

    /// The last pair.
    pub(super) fn next_back(&mut self) -> Result<Option<(Slice, Slice)>, ClusterError> {
        self.0
            .next_back()
            .map(|guard| guard.into_inner().map_err(failed("reading the store")))
            .transpose()
    }

    /// The next key and the size of its value, which is not read.
    pub(super) fn next_size(&mut self) -> Result<Option<u64>, ClusterError> {
        self.0
            .next()
            .map(|guard| guard.size().map(u64::from).map_err(failed("reading the store")))
            .transpose()
    }
}

/// Changes that become visible and durable together.
pub(super) struct Batch<'a> {
    store: &'a Store,
    inner: OwnedWriteBatch,
}

impl Batch<'_> {
    /// Sets a value. No key may be written twice in a batch.
    pub(super) fn put(&mut self, space: Space, key: &[u8], value: impl Into<Slice>) {
        self.inner.insert(self.store.space(space), key, value);
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, space: Space, key: &[u8]) {
        self.inner.remove(self.store.space(space), key);
    }

    /// Writes a version of a row.
    pub(super) fn put_row(&mut self, rows: &Rows, key: Vec<u8>, value: Vec<u8>) {
        self.inner.insert(&rows.0, key, value);
    }

    /// Removes a version of a row for good.
    pub(super) fn remove_row(&mut self, rows: &Rows, key: &[u8]) {
        self.inner.remove(&rows.0, key);
    }

    /// How many changes it holds.
    pub(super) fn len(&self) -> usize {
        self.inner.len()
    }

    /// Writes everything and returns when it is on disk.
    pub(super) fn commit(self) -> Result<(), ClusterError> {
        self.inner.commit().map_err(failed("writing to the store"))
    }
}

struct FilterFactory(Arc<Collecting>);

impl Factory for FilterFactory {
    fn name(&self) -> &str {
        "old versions"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(OldVersions {
            safepoint: Tso(self.0.safepoint.load(Ordering::SeqCst)),
            shared: self.0.clone(),
            row: Vec::new(),
            covered: false,
        })
    }
}

/// Drops versions that a newer one at or before the safepoint hides.
///
/// Deletions are kept: the versions they hide may stand in files that this compaction does not see.
struct OldVersions {
    safepoint: Tso,
    shared: Arc<Collecting>,
    row: Vec<u8>,
    covered: bool,
}

impl CompactionFilter for OldVersions {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let Some((row, version)) = keys::try_split(item.key()) else {
            return Ok(Verdict::Keep);
        };
        if row != self.row {
            row.clone_into(&mut self.row);
            self.covered = false;
        }
        if self.covered {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            // A versioned key is written once, so nothing older can come back.
            return Ok(Verdict::Destroy);
        }
        self.covered = version <= self.safepoint;
        Ok(Verdict::Keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_out_of_order_are_an_error_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 20).unwrap();
        let (_, rows) = store.create_rows().unwrap();
        for keys in [["b", "a"], ["a", "a"]] {
            let mut keys = keys.iter();
            let e = rows
                .ingest(|| Ok(keys.next().map(|k| (k.as_bytes().to_vec(), vec![]))))
                .unwrap_err();
            assert!(matches!(e, ClusterError::Malformed { .. }), "{e}");
            assert!(rows.last_key().unwrap().is_none());
        }
    }

    #[test]
    fn generations_are_found_again_and_deleted_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 20).unwrap();
        let (a, _) = store.create_rows().unwrap();
        let (b, _) = store.create_rows().unwrap();
        store.delete_rows(a).unwrap();
        drop(store);
        let store = Store::open(dir.path(), 1 << 20).unwrap();
        assert_eq!(store.row_ids(), [b]);
        assert!(store.rows(a).is_err() && store.rows(b).is_ok());
        assert!(store.create_rows().unwrap().0 > b);
    }
}
