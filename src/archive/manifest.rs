//! The manifest: written last, it makes a backup exist.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use crate::model::backup::BackupSummary;
use crate::model::checksum::TableChecksum;
use crate::model::crash::crash_point;
use crate::model::definition::Definition;
use crate::model::ids::BackupId;
use crate::model::table::TableName;

use super::data::{StoredObject, missing};
use super::error::ArchiveError;
use super::lock::ArchiveLock;
use super::sealed::{FrameKind, Level, ObjectKind, SealedReader, SealedWriter};
use super::{Archive, Result};

/// The most bytes of a manifest on storage, and of one batch of it.
const MAX_MANIFEST: usize = 256 << 20;
/// The most bytes of all its tables together.
const MAX_TABLES: usize = 1 << 30;
/// Tables are collected to batches of about this size.
const BATCH: usize = 1 << 20;

/// One data file of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestChunk {
    /// The file.
    pub object: StoredObject,
    /// The rows in it.
    pub sum: TableChecksum,
}

/// One table of a backup, with all that a restore needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestTable {
    /// Its name at the source.
    pub name: TableName,
    /// Its schema in the driver's own words.
    pub schema: String,
    /// Whether it belongs to the system.
    pub system: bool,
    /// Rows, bytes and checksum.
    pub sum: TableChecksum,
    /// Bytes on storage.
    pub stored_bytes: u64,
    /// Its files, in the order of rows.
    pub chunks: Vec<ManifestChunk>,
}

/// A backup: what it is and where its rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What the lists show.
    pub summary: BackupSummary,
    /// Its tables, ordered by name.
    pub tables: Vec<ManifestTable>,
    /// What is not a table.
    pub definitions: Vec<Definition>,
}

/// The first frame.
#[derive(Serialize, Deserialize)]
struct Head {
    summary: BackupSummary,
    tables: u64,
    /// How many definitions come behind the tables.
    #[serde(default, skip_serializing_if = "is_zero")]
    definitions: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks this way
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The tables of a manifest, one after the other; the last answer comes only when all were there.
pub struct ManifestTables {
    file: SealedReader,
    expected: u64,
    /// Tables read, given or ready.
    read: u64,
    bytes: usize,
    ready: VecDeque<ManifestTable>,
    expected_definitions: u64,
    definitions: Vec<Definition>,
}

impl ManifestTables {
    /// The next table, or `None` at the verified end.
    #[allow(clippy::should_implement_trait)] // an iterator could be read on after an error
    pub fn next(&mut self) -> Result<Option<ManifestTable>> {
        loop {
            if let Some(table) = self.ready.pop_front() {
                return Ok(Some(table));
            }
            let Some((kind, batch)) = self.file.next(MAX_MANIFEST)? else {
                return self.end().map(|()| None);
            };
            self.bytes += batch.len();
            if kind != FrameKind::Payload || self.bytes > MAX_TABLES {
                return Err(self.file.corrupt("its tables are not in order"));
            }
            if self.read < self.expected {
                self.ready = from_json(&self.file, &batch)?;
                self.read += self.ready.len() as u64;
            } else {
                let more: Vec<Definition> = from_json(&self.file, &batch)?;
                self.definitions.extend(more);
            }
        }
    }

    fn end(&self) -> Result<()> {
        let check = |found: u64, expected: u64, what: &str| {
            let why = || format!("it holds {found} {what} instead of {expected}");
            if found == expected {
                Ok(())
            } else {
                Err(self.file.corrupt(&why()))
            }
        };
        check(self.read, self.expected, "tables")?;
        check(self.definitions.len() as u64, self.expected_definitions, "definitions")
    }
}

fn from_json<T: for<'a> Deserialize<'a>>(file: &SealedReader, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| file.corrupt(&e.to_string()))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| ArchiveError::Unfit {
        what: "the manifest",
        why: e.to_string(),
    })
}

/// Tables or definitions as JSON arrays of about [`BATCH`] bytes.
fn batches<T: Serialize>(items: &[T]) -> Result<Vec<Vec<u8>>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    for item in items {
        batch.push(if batch.is_empty() { b'[' } else { b',' });
        batch.append(&mut to_json(item)?);
        if batch.len() >= BATCH {
            batch.push(b']');
            batches.push(std::mem::take(&mut batch));
        }
    }
    if !batch.is_empty() {
        batch.push(b']');
        batches.push(batch);
    }
    Ok(batches)
}

impl Archive {
    /// Publishes a backup, if all its data files are there; gives the manifest's size.
    ///
    /// Fills in `stored_bytes` and `objects` of the summary, because only here the manifest's own size is known.
    pub fn write_manifest(&self, lock: &ArchiveLock, manifest: &Manifest) -> Result<u64> {
        let id = &manifest.summary.id;
        let epoch = self.guard(lock)?;
        let name = self.layout().manifest(id)?;
        let bytes = self.encode_manifest(manifest, epoch)?;
        self.must_have_files(manifest)?;
        crash_point("archive.manifest.before");
        self.guard(lock)?;
        self.store().put_new(&name, &bytes)?;
        crash_point("archive.manifest.after");
        // A holder that was stopped between check and publish may have been taken over, and its data cleared away:
        // then what was published is no backup.
        if let Err(fenced) = self.guard(lock)
            && self.must_have_files(manifest).is_err()
        {
            self.store().delete(&name)?;
            return Err(fenced);
        }
        Ok(bytes.len() as u64)
    }

    fn must_have_files(&self, manifest: &Manifest) -> Result<()> {
        match self.check_files(manifest)?.into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(ArchiveError::corrupt(problem.object, problem.why)),
        }
    }

    fn encode_manifest(&self, manifest: &Manifest, epoch: u64) -> Result<Vec<u8>> {
        let mut batches = batches(&manifest.tables)?;
        batches.extend(self::batches(&manifest.definitions)?);
        let mut head = Head {
            summary: manifest.summary.clone(),
            tables: manifest.tables.len() as u64,
            definitions: manifest.definitions.len() as u64,
        };
        // The summary holds the size of the whole: reserve room for the longest number, measure, then fill in.
        head.summary.stored_bytes = u64::MAX;
        head.summary.objects = u64::MAX;
        let room = to_json(&head)?.len();
        let salt = super::salt()?;
        let size = self.seal_manifest(&head, room, &batches, salt, epoch)?.len() as u64;
        let files = || manifest.tables.iter().flat_map(|t| &t.chunks).map(|c| &c.object);
        head.summary.stored_bytes = files().map(|o| o.size).sum::<u64>() + size;
        head.summary.objects = files().count() as u64 + 1;
        let bytes = self.seal_manifest(&head, room, &batches, salt, epoch)?;
        if bytes.len() > MAX_MANIFEST {
            let why = format!("it has {} bytes, more than {MAX_MANIFEST}", bytes.len());
            return Err(ArchiveError::Unfit {
                what: "the manifest",
                why,
            });
        }
        Ok(bytes)
    }

    fn seal_manifest(
        &self,
        head: &Head,
        room: usize,
        batches: &[Vec<u8>],
        salt: [u8; super::SALT_LEN],
        epoch: u64,
    ) -> Result<Vec<u8>> {
        let within = self.within(&self.layout().manifest(&head.summary.id)?);
        let level = Level::default();
        let mut file = SealedWriter::new(Vec::new(), ObjectKind::Manifest, self.id(), &within, salt, epoch, level)?;
        let mut summary = to_json(head)?;
        summary.resize(room, b' ');
        file.put_plain(FrameKind::Summary, &summary)?;
        for batch in batches {
            file.put(FrameKind::Payload, batch)?;
        }
        Ok(file.finish()?.0)
    }

    fn open_manifest(&self, id: &BackupId) -> Result<(Head, SealedReader)> {
        let name = self.layout().manifest(id)?;
        let object = match self.store().open(&name) {
            Ok(object) => object,
            Err(e) if e.is_not_found() => return Err(self.no_manifest(id)?),
            Err(e) => return Err(missing(&name, e)),
        };
        if object.len() > MAX_MANIFEST as u64 {
            return Err(ArchiveError::corrupt(&name, "it is larger than a manifest can be"));
        }
        let within = self.within(&name);
        let mut file = SealedReader::open(object, name.as_str(), ObjectKind::Manifest, self.id(), &within, 0)?;
        let Some((FrameKind::Summary, summary)) = file.next(MAX_MANIFEST)? else {
            return Err(file.corrupt("it does not begin with a summary"));
        };
        let head: Head = from_json(&file, &summary)?;
        if head.summary.id != *id {
            return Err(file.corrupt("it describes another backup"));
        }
        Ok((head, file))
    }

    /// Tells a backup that was never finished from one that never was.
    fn no_manifest(&self, id: &BackupId) -> Result<ArchiveError> {
        let dir = self.layout().snapshot(id)?;
        if !self.store().list(&dir, None, 1)?.is_empty() {
            return Ok(ArchiveError::Unfinished(id.clone()));
        }
        Ok(ArchiveError::NoBackup {
            id: id.clone(),
            cluster: self.identity().cluster.clone(),
        })
    }

    /// What the lists show of a backup; reads only the beginning of its manifest.
    pub fn read_summary(&self, id: &BackupId) -> Result<BackupSummary> {
        Ok(self.open_manifest(id)?.0.summary)
    }

    /// The tables of a backup, one after the other.
    pub fn manifest_tables(&self, id: &BackupId) -> Result<ManifestTables> {
        Ok(self.open_tables(id)?.1)
    }

    fn open_tables(&self, id: &BackupId) -> Result<(BackupSummary, ManifestTables)> {
        let (head, file) = self.open_manifest(id)?;
        let tables = ManifestTables {
            file,
            expected: head.tables,
            read: 0,
            bytes: 0,
            ready: VecDeque::new(),
            expected_definitions: head.definitions,
            definitions: Vec::new(),
        };
        Ok((head.summary, tables))
    }

    /// A whole manifest.
    pub fn read_manifest(&self, id: &BackupId) -> Result<Manifest> {
        let (summary, mut reader) = self.open_tables(id)?;
        let mut tables = Vec::new();
        while let Some(table) = reader.next()? {
            tables.push(table);
        }
        Ok(Manifest {
            summary,
            tables,
            definitions: reader.definitions,
        })
    }
}
