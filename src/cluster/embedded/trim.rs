//! How far back the change log reaches, and who asked for it.
//!
//! The log is kept for the history window; where the log backup asked, from its position on, but at most
//! 24 hours or 10 GB beyond. What is trimmed is gone for every reader: a stream that needs it ends with an
//! error instead of skipping.

use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::cluster::ClusterError;
use crate::model::clock::Millis;
use crate::model::crash::crash_point;
use crate::model::tso::Tso;

use super::store::{Space, Store};

/// The longest that the log is kept for a log backup that does not move.
const LONGEST_MS: i64 = Millis::DAY;
/// The most bytes that are kept.
const MOST_BYTES: u64 = 10_000_000_000;

const TRIMMED: &[u8] = b"log/trimmed";
const KEEP: &[u8] = b"log/keep";

/// The window of the change log.
pub(super) struct LogWindow {
    trimmed: AtomicU64,
    keep: Mutex<Option<Tso>>,
}

fn load(store: &Store, key: &[u8]) -> Result<Option<Tso>, ClusterError> {
    let Some(bytes) = store.get(Space::Meta, key)? else {
        return Ok(None);
    };
    let bytes: [u8; 8] = (*bytes).try_into().map_err(|_| ClusterError::Malformed {
        what: "the window of the change log",
        why: "it does not have 8 bytes".to_owned(),
    })?;
    Ok(Some(Tso(u64::from_be_bytes(bytes))))
}

impl LogWindow {
    /// The window as it was left.
    pub(super) fn load(store: &Store) -> Result<LogWindow, ClusterError> {
        Ok(LogWindow {
            trimmed: AtomicU64::new(load(store, TRIMMED)?.unwrap_or_default().0),
            keep: Mutex::new(load(store, KEEP)?),
        })
    }

    /// Everything after this is still there.
    pub(super) fn oldest(&self) -> Tso {
        Tso(self.trimmed.load(Ordering::SeqCst))
    }

    /// Keeps the log from a position on.
    pub(super) fn keep(&self, from: Option<Tso>, store: &Store) -> Result<(), ClusterError> {
        let mut keep = self.keep.lock();
        if *keep == from {
            return Ok(());
        }
        let mut batch = store.batch();
        match from {
            Some(ts) => batch.put(Space::Meta, KEEP, ts.0.to_be_bytes()),
            None => batch.remove(Space::Meta, KEEP),
        }
        batch.commit()?;
        *keep = from;
        Ok(())
    }

    /// Trims what neither the window nor the log backup needs; returns where the log begins now.
    pub(super) fn trim(&self, window: Option<Duration>, now: Millis, store: &Store) -> Result<Tso, ClusterError> {
        let Some(window) = window else {
            return Ok(self.oldest());
        };
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let mut to = Tso::from_millis(now.plus(window_ms.saturating_neg()));
        if let Some(keep) = *self.keep.lock() {
            let longest = Tso::from_millis(now.plus(-LONGEST_MS.max(window_ms)));
            to = to.min(keep).max(longest);
        }
        if store.log_bytes() > MOST_BYTES {
            to = to.max(self.too_much(store)?);
        }
        if to > self.oldest() {
            self.cut(to, store)?;
        }
        Ok(self.oldest())
    }

    /// Lets everything up to a timestamp go.
    pub(super) fn cut(&self, to: Tso, store: &Store) -> Result<(), ClusterError> {
        let mut batch = store.batch();
        batch.put(Space::Meta, TRIMMED, to.0.to_be_bytes());
        batch.commit()?;
        self.trimmed.store(to.0, Ordering::SeqCst);
        crash_point("embedded.gc.before-trim");
        store.drop_log(to)
    }

    /// Up to where the log would have to go to fit.
    fn too_much(&self, store: &Store) -> Result<Tso, ClusterError> {
        let from = Bound::Excluded(self.oldest().0.to_be_bytes().to_vec());
        let mut sizes = store.range(Space::Log, from.clone(), Bound::Unbounded);
        let mut total = 0u64;
        while let Some(size) = sizes.next_size()? {
            total += size;
        }
        let mut records = store.range(Space::Log, from, Bound::Unbounded);
        let mut to = self.oldest();
        while total > MOST_BYTES {
            let Some((key, record)) = records.next()? else { break };
            total = total.saturating_sub(record.len() as u64);
            to = key.first_chunk().map_or(to, |bytes| Tso(u64::from_be_bytes(*bytes)));
        }
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_backup_holds_the_log_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 20).unwrap();
        let log = LogWindow::load(&store).unwrap();
        let hour = Some(Duration::from_secs(3600));
        let now = Millis(100 * Millis::DAY);
        let ago = |ms: i64| Tso::from_millis(now.plus(-ms));
        assert_eq!(log.trim(None, now, &store).unwrap(), Tso::ZERO);
        log.keep(Some(ago(5 * Millis::HOUR)), &store).unwrap();
        assert_eq!(log.trim(hour, now, &store).unwrap(), ago(5 * Millis::HOUR));
        let log = LogWindow::load(&store).unwrap();
        assert_eq!(log.oldest(), ago(5 * Millis::HOUR));
        let later = now.plus(2 * Millis::DAY);
        let day_before = Tso::from_millis(later.plus(-Millis::DAY));
        assert_eq!(log.trim(hour, later, &store).unwrap(), day_before);
        log.keep(None, &store).unwrap();
        let hour_before = Tso::from_millis(later.plus(-Millis::HOUR));
        assert_eq!(log.trim(hour, later, &store).unwrap(), hour_before);
        assert_eq!(log.trim(hour, now, &store).unwrap(), hour_before, "never back");
    }
}
