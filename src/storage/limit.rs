//! A limit on bytes per second, both ways together: a wrapper.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::error::StorageError;
use super::name::{DirName, ObjectName};
use super::pace::{Pace, SystemPace};
use super::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageFacts, Version};

/// How much time may be saved up while nothing moves.
const BURST: Duration = Duration::from_millis(250);

/// A rate that many calls share, and that can be changed while they run.
pub struct Rate {
    /// Bytes per second; 0 is no limit.
    limit: AtomicU64,
    /// When the bytes promised so far will have gone through.
    free_at: Mutex<Duration>,
    pace: Box<dyn Pace>,
}

impl Rate {
    /// A limit in bytes per second; 0 is none.
    pub fn new(bytes_per_second: u64) -> Arc<Rate> {
        Self::with_pace(bytes_per_second, Box::new(SystemPace::default()))
    }

    /// The same with another clock: for tests.
    pub fn with_pace(bytes_per_second: u64, pace: Box<dyn Pace>) -> Arc<Rate> {
        Arc::new(Rate {
            limit: AtomicU64::new(bytes_per_second),
            free_at: Mutex::new(Duration::ZERO),
            pace,
        })
    }

    /// Changes the limit.
    pub fn set(&self, bytes_per_second: u64) {
        self.limit.store(bytes_per_second, Ordering::Relaxed);
    }

    /// Waits until `bytes` more may go.
    pub fn wait(&self, bytes: usize) {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return;
        }
        let now = self.pace.elapsed();
        let until = {
            let mut free_at = self.free_at.lock();
            let from = (*free_at).max(now.saturating_sub(BURST));
            *free_at = from + Duration::from_secs_f64(bytes as f64 / limit as f64);
            *free_at
        };
        if until > now {
            self.pace.sleep(until - now);
        }
    }
}

/// Keeps a storage's traffic below a rate.
pub struct Limited {
    inner: Arc<dyn Storage>,
    rate: Arc<Rate>,
}

impl Limited {
    /// Wraps a storage.
    pub fn new(inner: Arc<dyn Storage>, rate: Arc<Rate>) -> Self {
        Limited { inner, rate }
    }
}

impl Storage for Limited {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StorageError> {
        self.rate.wait(bytes.len());
        self.inner.put_new(name, bytes)
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let inner = self.inner.create(name)?;
        let rate = self.rate.clone();
        Ok(Box::new(LimitedWriter { inner, rate }))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn ObjectReader>, StorageError> {
        let inner = self.inner.open(name)?;
        let rate = self.rate.clone();
        Ok(Box::new(LimitedReader { inner, rate }))
    }

    fn size(&self, name: &ObjectName) -> Result<Option<u64>, StorageError> {
        self.inner.size(name)
    }

    fn list(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<ObjectInfo>, StorageError> {
        self.inner.list(dir, after, limit)
    }

    fn list_dirs(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError> {
        self.inner.list_dirs(dir, after, limit)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.inner.delete(name)
    }

    // State documents are small and others wait for them: never slowed down.
    fn get_versioned(&self, name: &ObjectName, max: u64) -> Result<Option<(Vec<u8>, Version)>, StorageError> {
        self.inner.get_versioned(name, max)
    }

    fn compare_and_swap(
        &self,
        name: &ObjectName,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<Version, StorageError> {
        self.inner.compare_and_swap(name, expected, bytes)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn facts(&self) -> StorageFacts {
        self.inner.facts()
    }
}

struct LimitedWriter {
    inner: Box<dyn ObjectWriter>,
    rate: Arc<Rate>,
}

impl ObjectWriter for LimitedWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.rate.wait(bytes.len());
        self.inner.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), StorageError> {
        self.inner.finish()
    }
}

struct LimitedReader {
    inner: Box<dyn ObjectReader>,
    rate: Arc<Rate>,
}

impl ObjectReader for LimitedReader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        self.rate.wait(len);
        self.inner.read_at(offset, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::memory::Memory;
    use crate::storage::pace::ManualPace;

    struct Shared(Arc<ManualPace>);

    impl Pace for Shared {
        fn elapsed(&self) -> Duration {
            self.0.elapsed()
        }
        fn sleep(&self, time: Duration) {
            self.0.sleep(time);
        }
    }

    #[test]
    fn traffic_stays_below_the_rate_both_ways() {
        let pace = Arc::new(ManualPace::default());
        let rate = Rate::with_pace(1000, Box::new(Shared(pace.clone())));
        let storage = Limited::new(Arc::new(Memory::new()), rate.clone());
        let name = ObjectName::new("a").unwrap();
        storage.put_new(&name, &[0; 5000]).unwrap();
        assert!(storage.read(&name, 5000).is_ok());
        assert!(
            (9.7..=10.0).contains(&pace.elapsed().as_secs_f64()),
            "{:?}",
            pace.elapsed()
        );
        rate.set(0);
        storage.read(&name, 5000).unwrap();
        assert!(pace.elapsed().as_secs_f64() <= 10.0, "no limit, no wait");
    }
}
