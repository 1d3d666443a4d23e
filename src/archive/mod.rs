//! The archive: the format, and the only place that knows bytes on storage.
//!
//! *Invariants:*
//! 1. *A backup exists when its manifest exists. Data first, manifest last and whole; neither is ever patched.*
//! 2. *Deleting goes the other way: first the fact, then the files, manifest before data, then the fact.*
//! 3. *Every byte read back is checked before it is used; sizes are limits, never allocations.*
//! 4. *Whoever writes holds the [`lock::ArchiveLock`]; every publishing step checks it, and everything
//!    written carries its epoch.*
//!
//! # Format, versions 1 and 2
//!
//! All numbers are little-endian. The layout of names stands in [`layout`].
//!
//! ## archive.json
//!
//! One line of JSON: `{"format":1,"archive":"<32 hex>","cluster":..,"cluster_identity":..,"kind":..,"created":<ms>,
//! "checksum":"<64 hex>"}` and a newline. The checksum is the BLAKE3 of all bytes before `,"checksum"`.
//!
//! ## Sealed file: every other object
//!
//! | offset | size | header |
//! |---|---|---|
//! | 0 | 8 | magic `BRINE\r\n\x1a` |
//! | 8 | 2 | format version: 1, or 2 of a segment that holds a transaction in pieces |
//! | 10 | 1 | suite: 0 plain (AES-256-GCM has its place here) |
//! | 11 | 1 | compression of frames: 0 none, 1 zstd |
//! | 12 | 1 | kind: 1 data, 2 manifest, 3 segment, 4 state, 5 trash note |
//! | 13 | 3 | 0 |
//! | 16 | 16 | id of the archive |
//! | 32 | 32 | BLAKE3 of the name within the archive (a segment's: `log-backup/<12 digits of its first number>`) |
//! | 64 | 32 | random salt |
//! | 96 | 16 | key id, 0 without key |
//! | 112 | 8 | fencing epoch of the writer |
//! | 120 | 8 | XXH3-64 of bytes 0 to 119 |
//!
//! Then frames, numbered from 0; the last one is the end frame, and nothing but a segment's trailer follows it.
//!
//! | offset | size | frame |
//! |---|---|---|
//! | 0 | 1 | kind: 0 end, 1 payload, 2 summary of a manifest, 3 index of a segment |
//! | 1 | 1 | flags: 1 the batch goes on in the next frame, 2 not compressed |
//! | 2 | 2 | 0 |
//! | 4 | 4 | uncompressed size, at most 4 MiB |
//! | 8 | 4 | stored size, at most the uncompressed one |
//! | 12 | 16 | XXH3-128 of (XXH3-128 of the header, frame number as 8 bytes, bytes 0 to 11, stored bytes) |
//! | 28 | | stored bytes |
//!
//! A batch is one frame, or several of one kind of which all but the last are flagged 1; at most 1 GiB + 16 MiB.
//!
//! * **data**: one payload batch for each batch of rows, as the driver gave it. Its whole-file BLAKE3 stands in the manifest.
//! * **manifest**: a summary frame, uncompressed JSON padded with spaces: `{"summary":..,"tables":n}`; then payload
//!   batches, each a JSON array of tables.
//! * **state, trash note**: one payload batch of JSON.
//! * **segment**: payload batches of whole entries; an index batch of JSON; the end frame; the trailer.
//!
//! | offset | size | entry of a segment |
//! |---|---|---|
//! | 0 | 1 | flags: 1 it has a TSO; version 2: 2 pieces of it follow, 4 it is such a piece |
//! | 1 | 8 | commit time, ms since the Unix epoch |
//! | 9 | 8 | TSO, or 0 |
//! | 17 | 2 | size of the transaction's id |
//! | 19 | 4 | size of the payload |
//! | 23 | | id, payload |
//!
//! A transaction that is too large for memory is an entry flagged 2, whose payload begins with the number of its pieces (8
//! bytes), and behind it as many entries flagged 4, with its commit time, an empty id and a piece each; all in one segment.
//!
//! | offset | size | trailer of a segment |
//! |---|---|---|
//! | 0 | 8 | magic `BRINEEND` |
//! | 8 | 8 | offset of the index batch in the file |
//! | 16 | 8 | number of its first frame |
//! | 24 | 8 | XXH3-64 of (XXH3-128 of the header, bytes 0 to 23) |
//!
//! The chain runs over entries, not files: `h = BLAKE3(h before, entry)`, so that compaction keeps it. A run begins with
//! BLAKE3 of `brine log run`, the incarnation and the moment it starts after.

mod data;
mod error;
mod identity;
mod layout;
pub mod lock;
pub mod log;
mod manifest;
mod sealed;
mod snapshots;
pub mod state;
mod trash;

use std::sync::Arc;

pub use data::{DataReader, DataWriter, StoredObject};
pub use error::{ArchiveError, ErrorKind};
pub use identity::ArchiveIdentity;
pub use lock::{ArchiveLock, Holder, LockError, LockTiming};
pub use manifest::{Manifest, ManifestChunk, ManifestTable, ManifestTables};
pub use sealed::{ArchiveId, Level};
pub use snapshots::{FileProblem, SnapshotDir};
pub use trash::{TrashNote, TrashState};

use crate::model::ids::ClusterName;
use crate::storage::{DirName, ObjectName, Storage};

use layout::Layout;
use sealed::SALT_LEN;

/// The newest version of the format: that of segments with transactions in pieces.
pub const FORMAT_VERSION: u16 = 2;
/// The version of everything else, so that an older brine reads what it can.
const FIRST_VERSION: u16 = 1;

/// How many names a listing asks for at once.
const PAGE: usize = 1000;

/// What the operations of this module give.
pub type Result<T, E = ArchiveError> = std::result::Result<T, E>;

/// All of one cluster's backup data in one storage. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Arc<dyn Storage>,
    layout: Layout,
    id: ArchiveId,
    identity: ArchiveIdentity,
}

impl Archive {
    /// Creates the archive of a cluster; the existing one, if it is of the same cluster.
    pub fn create(storage: Arc<dyn Storage>, identity: ArchiveIdentity) -> Result<Archive> {
        let layout = Layout::new(&identity.cluster)?;
        let (id, found) = identity::create(&*storage, &layout, &identity)?;
        found.must_be(&identity, &layout)?;
        Ok(Archive::assemble(storage, layout, id, found))
    }

    /// Opens the archive of a cluster, if there is one.
    pub fn open(storage: Arc<dyn Storage>, cluster: &ClusterName) -> Result<Option<Archive>> {
        let layout = Layout::new(cluster)?;
        let Some((id, identity)) = identity::read(&*storage, &layout)? else {
            return Ok(None);
        };
        if identity.cluster != *cluster {
            return Err(ArchiveError::Misplaced {
                object: layout.root().to_string(),
                why: format!("it is the archive of {}", identity.cluster),
            });
        }
        Ok(Some(Archive::assemble(storage, layout, id, identity)))
    }

    /// The clusters that have an archive in a storage, ordered by name.
    pub fn list(storage: &dyn Storage) -> Result<Vec<ClusterName>> {
        let mut clusters = Vec::new();
        for dir in dirs(storage, &DirName::root())? {
            let Some(cluster) = Layout::cluster_of(&dir) else {
                continue;
            };
            let layout = Layout::new(&cluster)?;
            // One that has lost its identity is an archive all the same; opening it says so.
            if storage.size(&layout.identity()?)?.is_some() || !dirs(storage, layout.root())?.is_empty() {
                clusters.push(cluster);
            }
        }
        clusters.sort();
        Ok(clusters)
    }

    fn assemble(storage: Arc<dyn Storage>, layout: Layout, id: ArchiveId, identity: ArchiveIdentity) -> Archive {
        Archive {
            inner: Arc::new(Inner {
                storage,
                layout,
                id,
                identity,
            }),
        }
    }

    /// Whose archive it is.
    pub fn identity(&self) -> &ArchiveIdentity {
        &self.inner.identity
    }

    /// Where it is kept.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.inner.storage
    }

    /// The random id that every file of this archive carries.
    pub fn id(&self) -> ArchiveId {
        self.inner.id
    }

    fn store(&self) -> &dyn Storage {
        &*self.inner.storage
    }

    fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// The name of an object within this archive.
    fn within(&self, name: &ObjectName) -> String {
        self.inner.layout.within(name)
    }

    /// Checks that `lock` is the lock of this archive and still ours; gives its epoch.
    fn guard(&self, lock: &ArchiveLock) -> Result<u64> {
        lock.check_for(self.inner.id)?;
        Ok(lock.epoch())
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "archive of {} in {}",
            self.inner.identity.cluster,
            self.inner.storage.describe()
        )
    }
}

/// All directories in `dir`, in order.
fn dirs(storage: &dyn Storage, dir: &DirName) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let page = storage.list_dirs(dir, all.last().map(String::as_str), PAGE)?;
        let whole = page.len() == PAGE;
        all.extend(page);
        if !whole {
            return Ok(all);
        }
    }
}

/// A random salt for one file.
fn salt() -> Result<[u8; SALT_LEN]> {
    let mut salt = [0; SALT_LEN];
    random(&mut salt)?;
    Ok(salt)
}

/// Fills `bytes` from the operating system.
fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|e| ArchiveError::Unfit {
        what: "a new file",
        why: format!("the operating system gives no random bytes: {e}"),
    })
}

impl From<crate::storage::BadObjectName> for ArchiveError {
    fn from(bad: crate::storage::BadObjectName) -> Self {
        ArchiveError::Storage(bad.into())
    }
}
