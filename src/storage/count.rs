//! Counting calls and bytes: a wrapper for tests and benches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::StorageError;
use super::name::{DirName, ObjectName};
use super::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageFacts, Version};

/// What is called. Also how [`super::faults`] chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `put_new`
    PutNew,
    /// `create`
    Create,
    /// [`ObjectWriter::write`]
    Write,
    /// [`ObjectWriter::finish`]
    Finish,
    /// `open`, and `read` as a whole
    Open,
    /// [`ObjectReader::read_at`]
    ReadAt,
    /// `size`
    Size,
    /// `list`
    List,
    /// `list_dirs`
    ListDirs,
    /// `delete`
    Delete,
    /// `get_versioned`
    GetVersioned,
    /// `compare_and_swap`
    CompareAndSwap,
}

impl Call {
    /// Every kind of call.
    pub const ALL: [Call; 12] = [
        Call::PutNew,
        Call::Create,
        Call::Write,
        Call::Finish,
        Call::Open,
        Call::ReadAt,
        Call::Size,
        Call::List,
        Call::ListDirs,
        Call::Delete,
        Call::GetVersioned,
        Call::CompareAndSwap,
    ];

    /// Whether it can change what is stored.
    pub fn changes(self) -> bool {
        matches!(
            self,
            Call::PutNew | Call::Create | Call::Write | Call::Finish | Call::Delete | Call::CompareAndSwap
        )
    }
}

/// How often each call was made, and how many bytes went each way.
#[derive(Debug, Default)]
pub struct Counts {
    calls: [AtomicU64; Call::ALL.len()],
    read: AtomicU64,
    written: AtomicU64,
}

impl Counts {
    /// How often this call was made.
    pub fn of(&self, call: Call) -> u64 {
        self.calls.get(call as usize).map_or(0, |n| n.load(Ordering::Relaxed))
    }

    /// How many calls were made.
    pub fn total(&self) -> u64 {
        Call::ALL.into_iter().map(|call| self.of(call)).sum()
    }

    /// Bytes read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn call(&self, call: Call) {
        if let Some(n) = self.calls.get(call as usize) {
            n.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn wrote(&self, bytes: &[u8]) {
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    fn got(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Counts the calls that go through it.
pub struct Counting {
    inner: Arc<dyn Storage>,
    counts: Arc<Counts>,
}

impl Counting {
    /// Wraps a storage.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        let counts = Arc::default();
        Counting { inner, counts }
    }

    /// The counts so far; they go on counting.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }
}

impl Storage for Counting {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StorageError> {
        self.counts.call(Call::PutNew);
        self.counts.wrote(bytes);
        self.inner.put_new(name, bytes)
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.counts.call(Call::Create);
        let inner = self.inner.create(name)?;
        let counts = self.counts.clone();
        Ok(Box::new(CountingWriter { inner, counts }))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn ObjectReader>, StorageError> {
        self.counts.call(Call::Open);
        let inner = self.inner.open(name)?;
        let counts = self.counts.clone();
        Ok(Box::new(CountingReader { inner, counts }))
    }

    fn size(&self, name: &ObjectName) -> Result<Option<u64>, StorageError> {
        self.counts.call(Call::Size);
        self.inner.size(name)
    }

    fn list(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<ObjectInfo>, StorageError> {
        self.counts.call(Call::List);
        self.inner.list(dir, after, limit)
    }

    fn list_dirs(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError> {
        self.counts.call(Call::ListDirs);
        self.inner.list_dirs(dir, after, limit)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.counts.call(Call::Delete);
        self.inner.delete(name)
    }

    fn get_versioned(&self, name: &ObjectName, max: u64) -> Result<Option<(Vec<u8>, Version)>, StorageError> {
        self.counts.call(Call::GetVersioned);
        let found = self.inner.get_versioned(name, max)?;
        self.counts.got(found.as_ref().map_or(0, |(bytes, _)| bytes.len()));
        Ok(found)
    }

    fn compare_and_swap(
        &self,
        name: &ObjectName,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<Version, StorageError> {
        self.counts.call(Call::CompareAndSwap);
        self.counts.wrote(bytes);
        self.inner.compare_and_swap(name, expected, bytes)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn facts(&self) -> StorageFacts {
        self.inner.facts()
    }
}

struct CountingWriter {
    inner: Box<dyn ObjectWriter>,
    counts: Arc<Counts>,
}

impl ObjectWriter for CountingWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.counts.call(Call::Write);
        self.counts.wrote(bytes);
        self.inner.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<(), StorageError> {
        self.counts.call(Call::Finish);
        self.inner.finish()
    }
}

struct CountingReader {
    inner: Box<dyn ObjectReader>,
    counts: Arc<Counts>,
}

impl ObjectReader for CountingReader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        self.counts.call(Call::ReadAt);
        self.counts.got(len);
        self.inner.read_at(offset, len)
    }
}
