//! Data files: the rows of a snapshot, batch by batch.

use serde::{Deserialize, Serialize};

use crate::model::ids::BackupId;
use crate::storage::{ObjectName, ObjectWriter, StorageError, name};

use super::error::ArchiveError;
use super::lock::ArchiveLock;
use super::sealed::{ByteSink, FrameKind, Level, MAX_BATCH, ObjectKind, SealedReader, SealedWriter};
use super::{Archive, Result};

pub(super) const PREFIX: &str = "data-";

/// A finished data file, as a manifest remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Its last name component.
    pub name: String,
    /// Bytes on storage.
    pub size: u64,
    /// Bytes of the batches in it.
    pub raw_bytes: u64,
    /// BLAKE3 of the stored bytes, hex.
    pub hash: String,
}

/// Hashes the stored bytes on their way.
struct Hashed {
    object: Box<dyn ObjectWriter>,
    hasher: blake3::Hasher,
}

impl ByteSink for Hashed {
    fn push(&mut self, bytes: &[u8]) -> std::result::Result<(), StorageError> {
        self.hasher.update(bytes);
        self.object.write(bytes)
    }
}

/// Writes one data file. Dropping it without `finish` leaves nothing.
pub struct DataWriter {
    file: SealedWriter<Hashed>,
    name: ObjectName,
    raw_bytes: u64,
}

impl DataWriter {
    /// Appends one batch of at most 1 GiB + 16 MiB; it comes back as it is.
    pub fn put(&mut self, batch: &[u8]) -> Result<()> {
        self.raw_bytes += batch.len() as u64;
        self.file.put(FrameKind::Payload, batch)
    }

    /// Bytes on storage so far.
    pub fn stored_bytes(&self) -> u64 {
        self.file.written()
    }

    /// Publishes the file.
    pub fn finish(self) -> Result<StoredObject> {
        let (sink, size) = self.file.finish()?;
        sink.object.finish()?;
        Ok(StoredObject {
            name: self.name.file().to_owned(),
            size,
            raw_bytes: self.raw_bytes,
            hash: sink.hasher.finalize().to_hex().to_string(),
        })
    }
}

/// Reads one data file; the last answer comes only when the hash of the whole file holds.
pub struct DataReader {
    file: SealedReader,
    expected: StoredObject,
    raw_bytes: u64,
}

impl DataReader {
    /// The next batch, or `None` at the verified end.
    #[allow(clippy::should_implement_trait)] // an iterator could be read on after an error
    pub fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self.file.next(MAX_BATCH)? {
            Some((FrameKind::Payload, batch)) => {
                self.raw_bytes += batch.len() as u64;
                Ok(Some(batch))
            }
            Some(_) => Err(self.file.corrupt("it holds a frame that no data file has")),
            None if self.file.hash().as_ref() != Some(&self.expected.hash) => Err(self
                .file
                .corrupt("it is not the file that the manifest names: its hash differs")),
            None if self.raw_bytes != self.expected.raw_bytes => {
                Err(self.file.corrupt("it does not hold as many bytes as the manifest says"))
            }
            None => Ok(None),
        }
    }
}

impl Archive {
    /// Starts data file `number` of a backup. A random suffix keeps writers apart that have lost their lock.
    pub fn data_writer(&self, lock: &ArchiveLock, id: &BackupId, number: u64, level: Level) -> Result<DataWriter> {
        let salt = super::salt()?;
        let suffix: String = salt.iter().take(4).map(|b| format!("{b:02x}")).collect();
        let name = self.layout().data(id, &format!("{PREFIX}{number:08}-{suffix}"))?;
        let sink = Hashed {
            object: self.store().create(&name)?,
            hasher: blake3::Hasher::new(),
        };
        let within = self.within(&name);
        let file = SealedWriter::new(sink, ObjectKind::Data, self.id(), &within, salt, lock.epoch(), level)?;
        Ok(DataWriter {
            file,
            name,
            raw_bytes: 0,
        })
    }

    /// Opens a data file of a backup.
    pub fn data_reader(&self, id: &BackupId, object: &StoredObject) -> Result<DataReader> {
        let name = self.data_name(id, object)?;
        let opened = self.store().open(&name).map_err(|e| missing(&name, e))?;
        if opened.len() != object.size {
            let why = format!("it has {} bytes instead of {}", opened.len(), object.size);
            return Err(ArchiveError::corrupt(&name, why));
        }
        let within = self.within(&name);
        let file = SealedReader::open(opened, name.as_str(), ObjectKind::Data, self.id(), &within, 0)?.hashing();
        Ok(DataReader {
            file,
            expected: object.clone(),
            raw_bytes: 0,
        })
    }

    /// The full name of a data file; a manifest can name no other kind of object.
    pub(super) fn data_name(&self, id: &BackupId, object: &StoredObject) -> Result<ObjectName> {
        if !object.name.starts_with(PREFIX) || !name::is_component(&object.name) {
            let manifest = self.layout().manifest(id)?;
            return Err(ArchiveError::corrupt(
                manifest,
                "it names an object that cannot be a data file",
            ));
        }
        Ok(self.layout().data(id, &object.name)?)
    }
}

/// A missing object is damage, not a wrong question.
pub(super) fn missing(name: &ObjectName, e: StorageError) -> ArchiveError {
    if e.is_not_found() {
        ArchiveError::Missing {
            object: name.to_string(),
        }
    } else {
        e.into()
    }
}
