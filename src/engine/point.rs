//! What a restore is asked to do: which point, from what, to where.

use serde::{Deserialize, Serialize};

use crate::model::filter::{RenameMap, TableFilter};
use crate::model::ids::{BackupId, ClusterName};
use crate::model::position::Moment;

/// The point to restore to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "point")]
pub enum RestorePoint {
    /// Basic Snapshot Restore: exactly this backup.
    Snapshot {
        /// The backup.
        id: BackupId,
    },
    /// Point-in-time: everything with a commit time at or before this moment.
    At {
        /// The moment.
        moment: Moment,
    },
    /// Point-in-time: as late as possible; the log is flushed first.
    Latest,
    /// Point-in-time: everything before this transaction or change.
    Before {
        /// A transaction (GTID or TSO) or the id of a change.
        change: String,
    },
    /// Point-in-time: everything up to and including this transaction or change.
    Through {
        /// A transaction (GTID or TSO) or the id of a change.
        change: String,
    },
    /// The newest snapshot at or before this moment, without any log.
    Fastest {
        /// The moment.
        moment: Moment,
    },
}

impl RestorePoint {
    /// Restore Mode, in the console's words.
    pub fn mode(&self) -> &'static str {
        match self {
            RestorePoint::Snapshot { .. } => "Basic Snapshot Restore",
            _ => "Point-in-Time Restore",
        }
    }
}

/// Where a restore goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "where")]
pub enum RestoreTarget {
    /// Under new names in the same cluster.
    Beside,
    /// Into another cluster.
    Cluster {
        /// Its name in the config.
        name: ClusterName,
    },
    /// Over the cluster itself.
    InPlace,
}

/// A restore as an operator asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// Whose archive.
    pub source: ClusterName,
    /// Which point.
    #[serde(flatten)]
    pub point: RestorePoint,
    /// The base, where the operator overrides the engine's choice.
    pub base: Option<BackupId>,
    /// Which tables; all of them without rules.
    pub filter: TableFilter,
    /// New names. Beside without a map puts every database `db` into `db_restored`, or the next such name that is free.
    pub rename: RenameMap,
    /// Where to.
    pub target: RestoreTarget,
    /// Whether what is in the way at the target may be replaced.
    pub replace: bool,
    /// Whether the cluster stays closed after an in-place restore.
    pub stay_closed: bool,
    /// Whether chosen tables that the moment lacks are dropped at the target, so that it is as if they had never been: what
    /// an undo means.
    #[serde(default)]
    pub exactly: bool,
}

impl RestoreRequest {
    /// A whole restore of `point`, beside.
    pub fn new(source: ClusterName, point: RestorePoint, target: RestoreTarget) -> Self {
        RestoreRequest {
            source,
            point,
            base: None,
            filter: TableFilter::all(),
            rename: RenameMap::default(),
            target,
            replace: false,
            stay_closed: false,
            exactly: false,
        }
    }
}
