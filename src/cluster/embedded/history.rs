//! The history window: which past moments can be read, and what keeps them from being collected.
//!
//! The safepoint is the oldest readable timestamp. It only moves forward, never past an open reader, and
//! never past a pin: a snapshot's claim on its moment, kept on disk with a lease, so that a backup can go on
//! after a crash.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::cluster::ClusterError;
use crate::model::clock::Millis;
use crate::model::position::Moment;
use crate::model::tso::Tso;

use super::store::{Batch, Space, Store, failed};

/// How long a pin lasts without being renewed.
const LEASE_MS: i64 = 72 * Millis::MINUTE;

const SAFEPOINT: &[u8] = b"safepoint";
const PIN: &str = "pin/";

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pin {
    ts: Tso,
    until: Millis,
}

#[derive(Debug, Default)]
struct Inside {
    safepoint: Tso,
    readers: BTreeMap<Tso, usize>,
    pins: BTreeMap<String, Pin>,
}

/// The window and its claims.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<Inside>);

/// Keeps one moment readable while it lives.
pub(super) struct Reading {
    history: Arc<History>,
    ts: Tso,
}

impl Reading {
    /// The moment.
    pub(super) fn ts(&self) -> Tso {
        self.ts
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut inside = self.history.0.lock();
        if let Some(n) = inside.readers.get_mut(&self.ts) {
            *n -= 1;
            if *n == 0 {
                inside.readers.remove(&self.ts);
            }
        }
    }
}

impl History {
    /// The window as it was left.
    pub(super) fn load(store: &Store) -> Result<History, ClusterError> {
        let bad = |e: serde_json::Error| ClusterError::Malformed {
            what: "the history window",
            why: e.to_string(),
        };
        let mut inside = Inside::default();
        if let Some(bytes) = store.get(Space::Meta, SAFEPOINT)? {
            inside.safepoint = serde_json::from_slice(&bytes).map_err(bad)?;
        }
        let (from, to) = (PIN.as_bytes().to_vec(), b"pin0".to_vec());
        let mut pins = store.range(Space::Meta, Bound::Included(from), Bound::Excluded(to));
        while let Some((k, v)) = pins.next()? {
            let id = String::from_utf8_lossy(k.get(PIN.len()..).unwrap_or_default()).into_owned();
            inside.pins.insert(id, serde_json::from_slice(&v).map_err(bad)?);
        }
        Ok(History(Mutex::new(inside)))
    }

    /// The oldest readable timestamp.
    pub(super) fn safepoint(&self) -> Tso {
        self.0.lock().safepoint
    }

    /// Keeps a moment readable; `ts` is asked under the lock. `None` when it is collected already.
    pub(super) fn read(self: &Arc<Self>, ts: impl FnOnce() -> Tso) -> Option<Reading> {
        let mut inside = self.0.lock();
        let ts = ts();
        if ts < inside.safepoint {
            return None;
        }
        *inside.readers.entry(ts).or_default() += 1;
        Some(Reading {
            history: self.clone(),
            ts,
        })
    }

    /// Claims a moment for another lease, on disk; an error when it is collected already.
    pub(super) fn pin(&self, id: &str, ts: Tso, now: Millis, store: &Store) -> Result<(), ClusterError> {
        let mut inside = self.0.lock();
        if ts < inside.safepoint {
            return Err(ClusterError::SnapshotGone(Moment::of_tso(ts)));
        }
        let pin = Pin {
            ts,
            until: now.plus(LEASE_MS),
        };
        let text = serde_json::to_vec(&pin).map_err(failed("writing a snapshot's lease"))?;
        let mut batch = store.batch();
        batch.put(Space::Meta, format!("{PIN}{id}").as_bytes(), text);
        batch.commit()?;
        inside.pins.insert(id.to_owned(), pin);
        Ok(())
    }

    /// Gives a claim up.
    pub(super) fn unpin(&self, id: &str, store: &Store) -> Result<(), ClusterError> {
        let mut inside = self.0.lock();
        if inside.pins.contains_key(id) {
            let mut batch = store.batch();
            batch.remove(Space::Meta, format!("{PIN}{id}").as_bytes());
            batch.commit()?;
            inside.pins.remove(id);
        }
        Ok(())
    }

    /// Moves the safepoint as far towards `wanted` as readers and pins allow, on disk; returns where it is.
    pub(super) fn advance(&self, wanted: Tso, now: Millis, store: &Store) -> Result<Tso, ClusterError> {
        let mut inside = self.0.lock();
        let (live, expired) = std::mem::take(&mut inside.pins)
            .into_iter()
            .partition(|(_, pin)| pin.until > now);
        inside.pins = live;
        let pinned = inside.pins.values().map(|p| p.ts).min().unwrap_or(Tso::MAX);
        let read = inside.readers.keys().next().copied().unwrap_or(Tso::MAX);
        let safepoint = wanted.min(pinned).min(read).max(inside.safepoint);
        let mut batch = store.batch();
        expired
            .keys()
            .for_each(|id| batch.remove(Space::Meta, format!("{PIN}{id}").as_bytes()));
        write_safepoint(&mut batch, safepoint)?;
        batch.commit()?;
        inside.safepoint = safepoint;
        Ok(safepoint)
    }
}

fn write_safepoint(batch: &mut Batch<'_>, safepoint: Tso) -> Result<(), ClusterError> {
    let text = serde_json::to_vec(&safepoint).map_err(failed("writing the safepoint"))?;
    batch.put(Space::Meta, SAFEPOINT, text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_and_pins_hold_the_safepoint_also_across_reopen() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 20).unwrap();
        let history = Arc::new(History::load(&store).unwrap());
        let reading = history.read(|| Tso(50)).unwrap();
        assert_eq!(history.advance(Tso(90), Millis(0), &store).unwrap(), Tso(50));
        history.pin("a", Tso(60), Millis(0), &store).unwrap();
        drop(reading);
        let history = Arc::new(History::load(&store).unwrap());
        assert_eq!(history.safepoint(), Tso(50));
        assert_eq!(history.advance(Tso(90), Millis(LEASE_MS - 1), &store).unwrap(), Tso(60));
        assert_eq!(history.advance(Tso(90), Millis(LEASE_MS), &store).unwrap(), Tso(90));
        assert!(history.read(|| Tso(89)).is_none());
        assert!(history.pin("a", Tso(60), Millis(0), &store).is_err());
    }
}
