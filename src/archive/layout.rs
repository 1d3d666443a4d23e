//! Where things are within an archive; the only place that makes object names.
//!
//! ```text
//! backup-<cluster>/
//!   archive.json
//!   state/<document>
//!   snapshot-<id>/data-<number, 8 digits>-<8 hex digits>, manifest
//!   log-backup/<yyyymmdd>/<segment>.seg
//!   trash/<id>
//! ```

use crate::model::ids::{BackupId, ClusterName};
use crate::storage::{BadObjectName, DirName, ObjectName};

/// How the directory of an archive begins.
const ARCHIVE_PREFIX: &str = "backup-";
/// How the directory of a snapshot begins.
pub(super) const SNAPSHOT_PREFIX: &str = "snapshot-";

/// The names of one archive's objects.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: DirName,
}

impl Layout {
    pub(super) fn new(cluster: &ClusterName) -> Result<Self, BadObjectName> {
        let root = DirName::root().join(&format!("{ARCHIVE_PREFIX}{cluster}"))?;
        Ok(Layout { root })
    }

    /// The cluster whose archive a directory of the storage is.
    pub(super) fn cluster_of(dir: &str) -> Option<ClusterName> {
        ClusterName::new(dir.strip_prefix(ARCHIVE_PREFIX)?).ok()
    }

    pub(super) fn root(&self) -> &DirName {
        &self.root
    }

    pub(super) fn identity(&self) -> Result<ObjectName, BadObjectName> {
        self.root.object("archive.json")
    }

    pub(super) fn state(&self, document: &str) -> Result<ObjectName, BadObjectName> {
        self.root.join("state")?.object(document)
    }

    pub(super) fn snapshot(&self, id: &BackupId) -> Result<DirName, BadObjectName> {
        self.root.join(&format!("{SNAPSHOT_PREFIX}{id}"))
    }

    /// The backup whose directory this is.
    pub(super) fn backup_of(dir: &str) -> Option<BackupId> {
        BackupId::new(dir.strip_prefix(SNAPSHOT_PREFIX)?).ok()
    }

    pub(super) fn manifest(&self, id: &BackupId) -> Result<ObjectName, BadObjectName> {
        self.snapshot(id)?.object("manifest")
    }

    /// A data file; `file` is its last component, as a manifest names it.
    pub(super) fn data(&self, id: &BackupId, file: &str) -> Result<ObjectName, BadObjectName> {
        self.snapshot(id)?.object(file)
    }

    pub(super) fn trash_dir(&self) -> Result<DirName, BadObjectName> {
        self.root.join("trash")
    }

    pub(super) fn trash(&self, id: &BackupId) -> Result<ObjectName, BadObjectName> {
        self.trash_dir()?.object(id.as_str())
    }

    pub(super) fn log_dir(&self) -> Result<DirName, BadObjectName> {
        self.root.join("log-backup")
    }

    pub(super) fn log_day(&self, day: &str) -> Result<DirName, BadObjectName> {
        self.log_dir()?.join(day)
    }

    /// The name within the archive: what the header of a sealed file is bound to.
    pub(super) fn within(&self, name: &ObjectName) -> String {
        let root = self.root.as_str();
        let inner = name.as_str().strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
        inner.unwrap_or(name.as_str()).to_owned()
    }
}
