//! Repeating what failed temporarily: a wrapper.
//!
//! A conditional write whose answer was lost may have been done. Then what is there decides: our bytes (every sealed
//! file carries a random salt) mean that it was ours.

use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

use super::error::{ErrorKind, StorageError};
use super::name::{DirName, ObjectName};
use super::pace::{Pace, SystemPace};
use super::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageFacts, Version};

/// How long and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// No new try after this time.
    pub budget: Duration,
    /// The first pause; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            budget: Duration::from_secs(180),
            first: Duration::from_millis(100),
            most: Duration::from_secs(10),
        }
    }
}

/// Told before each pause, so that "retrying" can be shown.
pub type OnRetry = Arc<dyn Fn(&StorageError, Duration) + Send + Sync>;

/// Repeats calls that failed temporarily.
#[derive(Clone)]
pub struct Retrying {
    inner: Arc<dyn Storage>,
    policy: RetryPolicy,
    pace: Arc<dyn Pace>,
    on_retry: Option<OnRetry>,
}

impl Retrying {
    /// Wraps a storage.
    pub fn new(inner: Arc<dyn Storage>, policy: RetryPolicy) -> Self {
        Retrying {
            inner,
            policy,
            pace: Arc::new(SystemPace::default()),
            on_retry: None,
        }
    }

    /// With another clock: for tests.
    pub fn with_pace(mut self, pace: Arc<dyn Pace>) -> Self {
        self.pace = pace;
        self
    }

    /// With somebody to tell.
    pub fn on_retry(mut self, on_retry: OnRetry) -> Self {
        self.on_retry = Some(on_retry);
        self
    }

    /// Calls `work` until it answers something that is not temporary; tells it which try it is, from 0.
    fn retry<T>(&self, mut work: impl FnMut(u32) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let began = self.pace.elapsed();
        let mut pause = self.policy.first;
        for tries in 0.. {
            let error = match work(tries) {
                Err(e) if e.is_temporary() => e,
                other => return other,
            };
            // Between half and all of the pause, so that many clients do not come back together.
            let wait = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            if self.pace.elapsed() - began + wait > self.policy.budget {
                return Err(error);
            }
            if let Some(tell) = &self.on_retry {
                tell(&error, wait);
            }
            self.pace.sleep(wait);
            pause = (pause * 2).min(self.policy.most);
        }
        Err(StorageError::new(ErrorKind::Temporary, "use", self.inner.describe()))
    }

    /// The version of the object, if it holds just these bytes.
    fn holds(&self, name: &ObjectName, bytes: &[u8]) -> Result<Option<Version>, StorageError> {
        match self.inner.get_versioned(name, bytes.len() as u64) {
            Ok(found) => Ok(found.filter(|(there, _)| there == bytes).map(|(_, version)| version)),
            Err(e) if e.kind == ErrorKind::TooLarge => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Storage for Retrying {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StorageError> {
        self.retry(|tries| match self.inner.put_new(name, bytes) {
            Err(e) if e.kind == ErrorKind::Exists && tries > 0 && self.holds(name, bytes)?.is_some() => Ok(()),
            other => other,
        })
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let inner = self.retry(|_| self.inner.create(name))?;
        Ok(Box::new(RetryingWriter {
            inner,
            storage: self.clone(),
            name: name.clone(),
            len: 0,
            hash: Xxh3::new(),
        }))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn ObjectReader>, StorageError> {
        let inner = self.retry(|_| self.inner.open(name))?;
        let storage = self.clone();
        Ok(Box::new(RetryingReader { inner, storage }))
    }

    fn size(&self, name: &ObjectName) -> Result<Option<u64>, StorageError> {
        self.retry(|_| self.inner.size(name))
    }

    fn list(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<ObjectInfo>, StorageError> {
        self.retry(|_| self.inner.list(dir, after, limit))
    }

    fn list_dirs(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError> {
        self.retry(|_| self.inner.list_dirs(dir, after, limit))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.retry(|_| self.inner.delete(name))
    }

    fn get_versioned(&self, name: &ObjectName, max: u64) -> Result<Option<(Vec<u8>, Version)>, StorageError> {
        self.retry(|_| self.inner.get_versioned(name, max))
    }

    fn compare_and_swap(
        &self,
        name: &ObjectName,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<Version, StorageError> {
        self.retry(|tries| match self.inner.compare_and_swap(name, expected, bytes) {
            Err(e) if e.kind == ErrorKind::Conflict && tries > 0 => self.holds(name, bytes)?.ok_or(e),
            other => other,
        })
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn facts(&self) -> StorageFacts {
        self.inner.facts()
    }
}

struct RetryingWriter {
    inner: Box<dyn ObjectWriter>,
    storage: Retrying,
    name: ObjectName,
    len: u64,
    hash: Xxh3,
}

impl ObjectWriter for RetryingWriter {
    /// Not repeated: how much of it was written is unknown.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.len += bytes.len() as u64;
        self.hash.update(bytes);
        self.inner.write(bytes)
    }

    /// A publish whose answer was lost is looked up.
    fn finish(self: Box<Self>) -> Result<(), StorageError> {
        let RetryingWriter {
            inner,
            storage,
            name,
            len,
            hash,
        } = *self;
        let error = match inner.finish() {
            Err(e) if e.is_temporary() => e,
            other => return other,
        };
        let Some(size) = storage.size(&name)? else {
            return Err(error);
        };
        if size == len && same_content(storage.open(&name)?, hash.digest128())? {
            return Ok(());
        }
        Err(StorageError::new(ErrorKind::Exists, "create", &name).because(error))
    }
}

/// Whether the published object has this hash; read in pieces.
fn same_content(mut object: Box<dyn ObjectReader>, hash: u128) -> Result<bool, StorageError> {
    const PIECE: u64 = 1 << 20;
    let len = object.len();
    let mut there = Xxh3::new();
    let mut at = 0;
    while at < len {
        let piece = PIECE.min(len - at);
        there.update(&object.read_at(at, piece as usize)?);
        at += piece;
    }
    Ok(there.digest128() == hash)
}

struct RetryingReader {
    inner: Box<dyn ObjectReader>,
    storage: Retrying,
}

impl ObjectReader for RetryingReader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let RetryingReader { inner, storage } = self;
        storage.retry(|_| inner.read_at(offset, len))
    }
}
