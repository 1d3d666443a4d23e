//! Checksums of live tables, by the same SELECT that a backup uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::core::Core;
use super::snapshot::{self, View};
use crate::cluster::{BatchSink, ChunkRange, ClusterError, Snapshot, Stop};
use crate::model::checksum::TableChecksum;
use crate::model::filter::TableFilter;
use crate::model::position::Moment;
use crate::model::table::TableName;

/// Takes rows and forgets them: the sum is made where they are read.
struct Nowhere;

impl BatchSink for Nowhere {
    fn put(&mut self, _batch: &[u8], _rows: u64) -> Result<(), Stop> {
        Ok(())
    }
}

/// Rows, bytes and checksum of the tables that match, in one consistent view, ordered by name.
pub(super) fn checksums(
    core: &Arc<Core>,
    filter: &TableFilter,
    at: Option<Moment>,
) -> Result<Vec<(TableName, TableChecksum)>, ClusterError> {
    if at.is_some() {
        return Err(ClusterError::Unsupported {
            what: "these servers cannot be read as of a past moment".to_owned(),
            hint: "restore that moment beside, and compare with that".to_owned(),
        });
    }
    let view = snapshot::open_tables(core)?;
    let sums = of_view(&view, filter);
    let settled = view.settle();
    view.release()?;
    let sums = sums?;
    settled?;
    Ok(sums)
}

fn of_view(view: &View, filter: &TableFilter) -> Result<Vec<(TableName, TableChecksum)>, ClusterError> {
    let mut tables: Vec<(&TableName, u64)> = view.sizes().filter(|(name, _)| filter.matches(name)).collect();
    tables.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let mut sums: BTreeMap<&TableName, TableChecksum> = BTreeMap::new();
    let mut tasks: Vec<(&TableName, ChunkRange)> = Vec::new();
    for (name, _) in &tables {
        sums.insert(name, TableChecksum::default());
        tasks.extend(view.split(name, snapshot::width() * 2)?.into_iter().map(|r| (*name, r)));
    }
    let tasks = Mutex::new(tasks.into_iter());
    let sums = Mutex::new(sums);
    let failed = Mutex::new(None);
    let work = || {
        while failed.lock().is_none() {
            let Some((name, range)) = tasks.lock().next() else {
                return;
            };
            match view.read(name, &range, u64::MAX, &mut Nowhere) {
                Ok(read) => {
                    let mut sums = sums.lock();
                    let sum = sums.entry(name).or_default();
                    *sum = *sum + read.sum;
                }
                Err(e) => {
                    failed.lock().get_or_insert(e);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..snapshot::width() {
            scope.spawn(work);
        }
    });
    match failed.into_inner() {
        Some(e) => Err(e),
        None => Ok(sums.into_inner().into_iter().map(|(n, s)| (n.clone(), s)).collect()),
    }
}
