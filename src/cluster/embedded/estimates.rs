//! Roughly how many rows and bytes each table has: counted along, kept on disk now and then.
//!
//! *Invariant: nothing that must be right is computed from these numbers.*

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::cluster::ClusterError;
use crate::model::checksum::TableChecksum;

use super::store::{Space, Store, failed};

const KEY: &[u8] = b"estimates";

/// The numbers of one table generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Estimate {
    /// Rows.
    pub(super) rows: i64,
    /// Bytes of keys and values.
    pub(super) bytes: i64,
    /// Versions that newer ones have hidden, and deletions.
    pub(super) hidden: i64,
}

impl Estimate {
    /// Rows, not below zero.
    pub(super) fn rows(&self) -> u64 {
        self.rows.max(0) as u64
    }

    /// Bytes, not below zero.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.max(0) as u64
    }
}

/// The numbers of all table generations.
#[derive(Default)]
pub(super) struct Estimates(Mutex<HashMap<u64, Estimate>>);

impl Estimates {
    /// The numbers as they were left; they start anew when they cannot be read.
    pub(super) fn load(store: &Store) -> Result<Estimates, ClusterError> {
        let kept = store.get(Space::Meta, KEY)?;
        let numbers = kept.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        Ok(Estimates(Mutex::new(numbers)))
    }

    /// Writes them down.
    pub(super) fn save(&self, store: &Store) -> Result<(), ClusterError> {
        let text = serde_json::to_vec(&*self.0.lock()).map_err(failed("writing the estimates"))?;
        let mut batch = store.batch();
        batch.put(Space::Meta, KEY, text);
        batch.commit()
    }

    /// The numbers of a table.
    pub(super) fn get(&self, id: u64) -> Estimate {
        self.0.lock().get(&id).copied().unwrap_or_default()
    }

    /// Counts a change.
    pub(super) fn add(&self, id: u64, change: Estimate) {
        let mut all = self.0.lock();
        let e = all.entry(id).or_default();
        e.rows += change.rows;
        e.bytes += change.bytes;
        e.hidden += change.hidden;
    }

    /// Takes over what was really counted.
    pub(super) fn counted(&self, id: u64, sum: &TableChecksum) {
        let mut all = self.0.lock();
        let e = all.entry(id).or_default();
        e.rows = i64::try_from(sum.rows).unwrap_or(i64::MAX);
        e.bytes = i64::try_from(sum.bytes).unwrap_or(i64::MAX);
    }

    /// Hidden versions were collected; so many are left.
    pub(super) fn collected(&self, id: u64, left: i64) {
        if let Some(e) = self.0.lock().get_mut(&id) {
            e.hidden = left;
        }
    }

    /// The table is gone.
    pub(super) fn forget(&self, id: u64) {
        self.0.lock().remove(&id);
    }
}
