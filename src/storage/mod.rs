//! Names to bytes: where an archive's objects are kept.
//!
//! [`Storage`] is the written contract; [`local::Local`] and [`memory::Memory`] keep it, and the wrappers
//! [`retry::Retrying`], [`limit::Limited`], [`count::Counting`] and [`faults::Faults`] add one behaviour
//! each. Every implementation passes the same conformance suite (`tests/archive/conformance.rs`).
//!
//! *Invariants: an object becomes visible whole or not at all, and once published it never changes unless
//! by compare-and-swap; no name and no link leads out of a storage; a successful publish is durable.*

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod count;
pub mod error;
pub mod faults;
pub mod limit;
pub mod local;
pub mod memory;
pub mod name;
pub mod pace;
pub mod retry;
pub mod url;

pub use error::{ErrorKind, StorageError};
pub use name::{BadObjectName, DirName, ObjectName};

/// The version of an object that is changed by compare-and-swap; only good for comparing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub String);

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub name: ObjectName,
    /// Its size in bytes.
    pub size: u64,
}

/// A place that keeps objects. All calls block.
///
/// Any call may be repeated after an error of kind `Temporary`; whether the failed call took effect is unknown
/// then, so a repeated `put_new` may answer `Exists` although the object is the caller's own
/// ([`retry::Retrying`] finds out).
pub trait Storage: Send + Sync {
    /// Publishes a small object: atomic, durable, and never over an existing one (`Exists`).
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StorageError>;

    /// Starts a large object, which is visible only after [`ObjectWriter::finish`].
    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>, StorageError>;

    /// Opens an object; `NotFound` when there is none.
    fn open(&self, name: &ObjectName) -> Result<Box<dyn ObjectReader>, StorageError>;

    /// Reads a whole object of at most `max` bytes, else `TooLarge`.
    fn read(&self, name: &ObjectName, max: u64) -> Result<Vec<u8>, StorageError> {
        let mut object = self.open(name)?;
        let len = object.len();
        if len > max {
            return Err(StorageError::new(ErrorKind::TooLarge, "read", name)
                .detail(format!("it has {len} bytes, more than the {max} that it can have")));
        }
        object.read_at(0, len as usize)
    }

    /// The size of an object, or `None` when there is none.
    fn size(&self, name: &ObjectName) -> Result<Option<u64>, StorageError>;

    /// The objects directly in `dir` whose last component sorts after `after`, in order, at most `limit`.
    /// A directory that does not exist is empty.
    fn list(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<ObjectInfo>, StorageError>;

    /// The last components of the directories directly in `dir` that sort after `after`, in order, at most `limit`.
    /// A directory is there while it holds objects; one left empty by a crash may be listed until a
    /// `delete` of any name in it.
    fn list_dirs(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError>;

    /// Deletes an object, durably. No error when there is none.
    fn delete(&self, name: &ObjectName) -> Result<(), StorageError>;

    /// Reads an object of at most `max` bytes with its version; `None` when there is none.
    fn get_versioned(&self, name: &ObjectName, max: u64) -> Result<Option<(Vec<u8>, Version)>, StorageError>;

    /// Replaces an object, atomically and durably, if it still has the expected version (`None`: does not
    /// exist); else `Conflict`, and nothing is written.
    fn compare_and_swap(
        &self,
        name: &ObjectName,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<Version, StorageError>;

    /// Where it is, for people; without secrets.
    fn describe(&self) -> String;

    /// What is known of the place itself.
    fn facts(&self) -> StorageFacts;
}

/// What is known of the place where objects are kept, in words for people. What is not known is left out: nothing is guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageFacts {
    /// What lets brine in, without secrets.
    pub credentials: Option<String>,
    /// Whether overwritten and deleted objects are kept as older versions.
    pub versioning: Option<String>,
    /// Whether objects can be kept from being deleted.
    pub immutability: Option<String>,
    /// Bytes that can still be written.
    pub free: Option<u64>,
    /// Bytes there is room for in all.
    pub size: Option<u64>,
}

/// An object being written. Dropping it without `finish` leaves nothing.
pub trait ObjectWriter: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError>;

    /// Publishes the object durably; `Exists` when another one has got the name meanwhile.
    fn finish(self: Box<Self>) -> Result<(), StorageError>;
}

/// An open object. Its size does not change.
pub trait ObjectReader: Send {
    /// Its size in bytes.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exactly `len` bytes from `offset` on; an error when the object ends before that.
    fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError>;
}

impl fmt::Debug for dyn Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}
