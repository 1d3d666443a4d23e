//! Snapshot backups as an operator sees them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checksum::TableChecksum;
use super::clock::Millis;
use super::ids::{BackupId, ClusterName, IncarnationId};
use super::position::{Moment, Position};
use super::table::TableName;
use super::word::Word;

/// Why a snapshot backup was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupType {
    /// By the daily schedule.
    Auto,
    /// Because somebody asked.
    Manual,
    /// Before an in-place restore, as its way back.
    WayBack,
    /// After a restore, as the first base of the new incarnation.
    Base,
}

impl BackupType {
    /// The word on screen.
    pub fn word(self) -> &'static str {
        match self {
            BackupType::Auto => "auto",
            BackupType::Manual => "manual",
            BackupType::WayBack => "way back",
            BackupType::Base => "base",
        }
    }
}

/// What a manifest says about its backup as a whole. What many of them say alike is shared, see [`BackupSummary::share`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    /// The backup's id.
    pub id: BackupId,
    /// The cluster it was taken of, by the name it had then.
    pub cluster: ClusterName,
    /// The identity of that cluster.
    pub cluster_identity: Word,
    /// The incarnation it belongs to.
    pub incarnation: IncarnationId,
    /// Why it was taken.
    #[serde(rename = "type")]
    pub kind: BackupType,
    /// The moment whose state it holds (`commit_ts`).
    pub commit: Moment,
    /// The same moment as a place in the source's log.
    pub position: Position,
    /// When it was started.
    pub started: Millis,
    /// When its manifest was written.
    pub finished: Millis,
    /// How many tables it holds.
    pub tables: u64,
    /// Rows, bytes and checksum over all tables.
    pub totals: TableChecksum,
    /// Bytes on storage, manifest included.
    pub stored_bytes: u64,
    /// Objects on storage, manifest included.
    pub objects: u64,
    /// The table filter; empty for a full backup. A filtered backup is no base for an unfiltered restore.
    pub filter: Vec<String>,
    /// Days to keep a manual backup; `None` is until deleted.
    pub keep_days: Option<u32>,
    /// The operator's note.
    pub note: Option<String>,
    /// Kind and version of the source.
    pub source_version: Word,
    /// Version of brine.
    pub tool_version: Word,
    /// Who asked: `user@host` or `schedule`.
    pub asked_by: Word,
}

impl BackupSummary {
    /// Shares with another one what both say alike: of a hundred thousand, each copy would cost megabytes.
    pub fn share(&mut self, with: &BackupSummary) {
        if self.cluster == with.cluster {
            self.cluster = with.cluster.clone();
        }
        self.cluster_identity.share(&with.cluster_identity);
        self.source_version.share(&with.source_version);
        self.tool_version.share(&with.tool_version);
        self.asked_by.share(&with.asked_by);
    }

    /// Whether it holds the whole cluster, and so can be the base of any restore.
    pub fn is_full(&self) -> bool {
        self.filter.is_empty()
    }
}

/// One table of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTable {
    /// Its name at the source.
    pub name: TableName,
    /// Rows, bytes and checksum.
    #[serde(flatten)]
    pub sum: TableChecksum,
    /// Bytes on storage.
    pub stored_bytes: u64,
}

/// Whether a backup can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum BackupStatus {
    /// Its manifest exists.
    Complete,
    /// Being taken now.
    Running {
        /// The job that takes it.
        job: super::ids::JobId,
    },
    /// No manifest; a run was interrupted and can be resumed or will be cleared away.
    Incomplete,
    /// A run failed and left nothing behind.
    Failed {
        /// The first line of the error.
        error: String,
    },
    /// Deleted, and kept in the trash until then.
    Deleted {
        /// When it really goes.
        until: Millis,
    },
    /// Its manifest is there but cannot be read or does not match: never offered for restore.
    Broken {
        /// Why.
        error: String,
    },
}

/// How far a backup has been proved to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofLevel {
    /// All objects are there with the right sizes.
    Files,
    /// All bytes were read and their checksums hold.
    Checksums,
    /// It was restored into a scratch cluster and compared.
    Tested,
}

impl ProofLevel {
    /// The word on screen.
    pub fn word(self) -> &'static str {
        match self {
            ProofLevel::Files => "files",
            ProofLevel::Checksums => "checksums",
            ProofLevel::Tested => "tested",
        }
    }
}

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What was checked.
    pub level: ProofLevel,
    /// When.
    pub at: Millis,
    /// `None` when it held, else the error.
    pub failed: Option<String>,
}

/// That a backup is kept until unprotected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Who protected it.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// Until when a backup is kept, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "rule")]
pub enum KeptTo {
    /// Until somebody deletes it (manual).
    Deleted,
    /// Until it is unprotected.
    Unprotected,
    /// Until about this instant, by Backup Retention or its own `--keep`.
    Instant {
        /// The earliest instant at which retention may drop it.
        at: Millis,
    },
    /// Until a newer good backup exists: it is the last good one.
    LastGood,
}

/// How far a point-in-time restore from this base can go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reach")]
pub enum PitrTo {
    /// As far as the checkpoint.
    Checkpoint,
    /// As far as a gap, or the end of its incarnation.
    Moment {
        /// The last moment that can be restored from it.
        moment: Moment,
        /// Why it ends there.
        because: String,
    },
    /// Only the snapshot itself: no log was archived then.
    SnapshotOnly,
}

/// One line of the list of backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupEntry {
    /// What its manifest says; for a run without manifest, what is known. Shared with whoever read it: there may be a
    /// hundred thousand.
    #[serde(with = "shared")]
    pub summary: Arc<BackupSummary>,
    /// Whether it can be used.
    pub status: BackupStatus,
    /// Whether it is protected.
    pub protection: Option<Protection>,
    /// The strongest proof that held, or the latest that failed.
    pub proof: Option<Proof>,
    /// Until when it is kept.
    pub kept_to: KeptTo,
    /// How far its log reaches.
    pub pitr_to: PitrTo,
}

/// A shared value is written as the value.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
        (**value).serialize(to)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}
