//! The snapshots of an archive: listing, checking and removing them.

use std::collections::BTreeSet;

use crate::model::crash::crash_point;
use crate::model::ids::BackupId;
use crate::storage::{DirName, ObjectInfo};

use super::data;
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

    /// Whether anything of a snapshot is there, finished or not.
    pub fn has_files(&self, id: &BackupId) -> Result<bool> {
        Ok(!self.store().list(&self.layout().snapshot(id)?, None, 1)?.is_empty())
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

    /// Removes the data files of a backup that its manifest, about to be written, does not list: what an interrupted
    /// run had finished but not remembered.
    pub fn remove_unlisted(&self, lock: &ArchiveLock, manifest: &Manifest) -> Result<u64> {
        self.guard(lock)?;
        let id = &manifest.summary.id;
        let objects = manifest.tables.iter().flat_map(|t| &t.chunks).map(|c| &c.object);
        let listed = objects
            .map(|o| self.data_name(id, o))
            .collect::<Result<BTreeSet<_>>>()?;
        let (dir, mut after, mut removed) = (self.layout().snapshot(id)?, None::<String>, 0);
        loop {
            let page = self.store().list(&dir, after.as_deref(), PAGE)?;
            let Some(last) = page.last() else {
                return Ok(removed);
            };
            after = Some(last.name.file().to_owned());
            // Only data files: a manifest that is there already is none of this call's business.
            let data = |o: &ObjectInfo| o.name.file().starts_with(data::PREFIX);
            for object in page.into_iter().filter(|o| data(o) && !listed.contains(&o.name)) {
                self.store().delete(&object.name)?;
                removed += 1;
            }
        }
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
