//! The documents themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::backup::{Proof, Protection};
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, IncarnationId};
use crate::model::log::{LogDesired, LogError, LogRun};
use crate::model::position::{Moment, Position};
use crate::model::settings::BackupSettings;
use crate::model::table::TableName;

use super::StateDoc;
use crate::archive::{Archive, Result};

impl StateDoc for BackupSettings {
    const NAME: &'static str = "settings";
    const MEND: &'static str = "put it back from a copy of this storage, or delete it and set Backup Settings again (they are the default ones then)";
}

/// The log backup: what is wanted of it and what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDoc {
    /// What the operator wants; `None` before the first start.
    pub desired: Option<LogDesired>,
    /// The number of the task; a start after a stop is a new one.
    pub task: u32,
    /// The number of the next segment; never goes back.
    pub next_seq: u64,
    /// Gapless stretches, oldest first.
    pub runs: Vec<LogRun>,
    /// Older log was deleted.
    pub safepoint: Option<Moment>,
    /// Why it is paused, if it is.
    pub paused: Option<String>,
    /// The last error.
    pub last_error: Option<LogError>,
    /// Segments on storage.
    pub segments: u64,
    /// Their bytes.
    pub stored_bytes: u64,
}

impl StateDoc for LogDoc {
    const NAME: &'static str = "log";

    /// Segments: without the document nobody would know of them, and a new log would take their numbers.
    fn traces(archive: &Archive) -> Result<Option<String>> {
        let days = archive.log_days(None)?;
        Ok(days.last().map(|day| format!("there is log of {day}")))
    }
}

/// The history of the cluster: from restore to restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncarnationsDoc {
    /// Oldest first.
    pub list: Vec<Incarnation>,
}

impl StateDoc for IncarnationsDoc {
    const NAME: &'static str = "incarnations";
}

/// A cluster's history between two restores into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// Its number.
    pub id: IncarnationId,
    /// When it began.
    pub began: Moment,
    /// The same as a place in the source's log.
    pub began_position: Position,
    /// The moment that the restore brought back; `None` for the first.
    pub restored_to: Option<Moment>,
    /// The incarnation that was restored from.
    pub from: Option<IncarnationId>,
    /// Only some tables were restored.
    pub partial: bool,
    /// The job that restored, as text.
    pub job: Option<String>,
    /// How to undo that restore.
    pub way_back: Option<WayBack>,
}

/// How a restore can be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayBack {
    /// By what.
    pub kind: WayBackKind,
    /// It is kept until then.
    pub until: Millis,
    /// It was used.
    pub used: bool,
    /// The tables that the restore wrote, where it did not replace the whole cluster: the way back leads those back and no
    /// others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<TableName>>,
}

/// What a way back stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayBackKind {
    /// A base and the log up to a moment.
    Bookmark {
        /// The base.
        base: BackupId,
        /// The moment just before the restore.
        at: Moment,
        /// The incarnation they belong to.
        incarnation: IncarnationId,
    },
    /// A snapshot taken for this purpose.
    Snapshot {
        /// The snapshot.
        id: BackupId,
    },
}

/// Other databases that an operator accepted as the archive's own, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdoptedDoc(
    /// The last one is the one that may write.
    pub Vec<Adopted>,
);

impl StateDoc for AdoptedDoc {
    const NAME: &'static str = "adopted";
}

/// One such database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// What tells it from every other.
    pub identity: String,
    /// When it was accepted.
    pub at: Millis,
    /// By whom.
    pub by: String,
    /// Whether its log continued the archive's.
    pub continued: bool,
}

/// Which backups are protected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProtectDoc(
    /// By backup.
    pub BTreeMap<BackupId, Protection>,
);

impl StateDoc for ProtectDoc {
    const NAME: &'static str = "protect";
}

/// What was verified, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProofsDoc(
    /// By backup, oldest first.
    pub BTreeMap<BackupId, Vec<Proof>>,
);

impl StateDoc for ProofsDoc {
    const NAME: &'static str = "proofs";
    const MEND: &'static str = "put it back from a copy of this storage, or delete it and verify the backups again";
}

/// The wrapped keys of the archive: none while it is not encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysDoc {}

impl StateDoc for KeysDoc {
    const NAME: &'static str = "keys";
}
