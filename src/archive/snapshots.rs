//! The snapshots of an archive: listing, checking and removing them.

use crate::model::crash::crash_point;
use crate::model::ids::BackupId;
use crate::storage::DirName;

use super::layout::Layout;
use super::lock::ArchiveLock;
use super::manifest::Manifest;
use super::{Archive, PAGE, Result, dirs};

/// A snapshot's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotDir {
    /// The backup.
    pub id: BackupId,
    /// Whether its manifest is there, which is whether it exists as a backup.
    pub has_manifest: bool,
}

/// A data file that is not as the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The object's full name.
    pub object: String,
    /// What is wrong.
    pub why: String,
}

impl Archive {
    /// All snapshots, finished or not, in the trash or not, ordered by id.
    pub fn snapshots(&self) -> Result<Vec<SnapshotDir>> {
        let mut found = Vec::new();
        for dir in dirs(self.store(), self.layout().root())? {
            let Some(id) = Layout::backup_of(&dir) else { continue };
            let has_manifest = self.store().size(&self.layout().manifest(&id)?)?.is_some();
            found.push(SnapshotDir { id, has_manifest });
        }
        Ok(found)
    }

    /// The data files that are missing or of the wrong size; does not read them.
    pub fn check_files(&self, manifest: &Manifest) -> Result<Vec<FileProblem>> {
        let mut problems = Vec::new();
        for object in manifest.tables.iter().flat_map(|t| &t.chunks).map(|c| &c.object) {
            let name = self.data_name(&manifest.summary.id, object)?;
            let why = match self.store().size(&name)? {
                Some(size) if size == object.size => continue,
                Some(size) => format!("it has {size} bytes instead of {}", object.size),
                None => "it is missing".to_owned(),
            };
            problems.push(FileProblem {
                object: name.to_string(),
                why,
            });
        }
        Ok(problems)
    }

    /// Removes a snapshot: manifest first, so that a half-removed one is no backup; can be repeated.
    pub fn remove_snapshot(&self, lock: &ArchiveLock, id: &BackupId) -> Result<()> {
        self.guard(lock)?;
        self.store().delete(&self.layout().manifest(id)?)?;
        crash_point("archive.remove.manifest");
        self.remove_all(lock, &self.layout().snapshot(id)?)
    }

    fn remove_all(&self, lock: &ArchiveLock, dir: &DirName) -> Result<()> {
        loop {
            self.guard(lock)?;
            let page = self.store().list(dir, None, PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            for object in page {
                crash_point("archive.remove.data");
                self.store().delete(&object.name)?;
            }
        }
    }
}
