//! `brine restore` and `brine undo`.

use clap::Args;

use super::{ConfirmArgs, values};
use crate::engine::point::RestoreTarget;
use crate::model::ids::{BackupId, ClusterName, StorageName};

/// `brine restore`.
#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// The cluster whose backups are used
    pub cluster: ClusterName,
    /// Which point
    #[command(flatten)]
    pub point: PointArgs,
    /// Where to
    #[command(flatten)]
    pub place: WhereArgs,
    /// Start from this snapshot instead of the one brine would choose
    #[arg(long, value_name = "ID", conflicts_with_all = ["snapshot", "fastest"])]
    pub base: Option<BackupId>,
    /// The storage to read from; without, the cluster's first
    #[arg(long, value_name = "STORAGE")]
    pub storage: Option<StorageName>,
    /// Tables: db.table with * and ?, a leading ! leaves out; can be repeated, the last match decides
    #[arg(long, value_name = "RULE", value_parser = values::filter_rule)]
    pub filter: Vec<String>,
    /// New names: olddb=newdb or olddb.table=newdb.table; can be repeated
    #[arg(long, value_name = "A=B", value_parser = values::rename_rule, conflicts_with = "in_place")]
    pub rename: Vec<String>,
    /// Replace what is in the way at the target
    #[arg(long, conflicts_with = "in_place")]
    pub replace: bool,
    /// Leave the cluster closed to applications until `brine cluster open`
    #[arg(long, requires = "in_place")]
    pub stay_closed: bool,
    /// Only print the plan
    #[arg(long, conflicts_with_all = ["yes", "confirm_name", "plan_hash"])]
    pub plan: bool,
    /// Run only if the plan has this hash, or one that begins with it
    #[arg(long, value_name = "HASH", value_parser = values::plan_hash)]
    pub plan_hash: Option<String>,
    /// The answers
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// Which point: exactly one.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct PointArgs {
    /// Basic Snapshot Restore: this backup
    #[arg(long, value_name = "ID")]
    pub snapshot: Option<BackupId>,
    /// Point-in-Time Restore: this moment
    #[arg(long, value_name = "T", value_parser = values::words)]
    pub at: Option<String>,
    /// Point-in-Time Restore: as late as possible
    #[arg(long)]
    pub latest: bool,
    /// Point-in-Time Restore: just before this change or transaction
    #[arg(long, value_name = "X", value_parser = values::words)]
    pub before: Option<String>,
    /// Point-in-Time Restore: up to and including this change or transaction
    #[arg(long, value_name = "X", value_parser = values::words)]
    pub through: Option<String>,
    /// The newest snapshot before this moment, without any log
    #[arg(long, value_name = "T", value_parser = values::words)]
    pub fastest: Option<String>,
}

/// Where to: at most one.
#[derive(Clone, Debug, Default, Args)]
#[group(required = false, multiple = false)]
pub struct WhereArgs {
    /// Into this other cluster
    #[arg(long, value_name = "CLUSTER")]
    pub to: Option<ClusterName>,
    /// Under new names in the same cluster (what happens without any of these)
    #[arg(long)]
    pub beside: bool,
    /// Over the cluster itself: applications are ended and refused, what is newer is lost
    #[arg(long)]
    pub in_place: bool,
}

impl WhereArgs {
    /// As the engine wants it. Nothing said means beside, the quiet path.
    pub fn target(&self) -> RestoreTarget {
        match &self.to {
            Some(name) => RestoreTarget::Cluster { name: name.clone() },
            None if self.in_place => RestoreTarget::InPlace,
            None => RestoreTarget::Beside,
        }
    }
}

/// `brine undo`.
#[derive(Clone, Debug, Args)]
pub struct UndoArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// The answers
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}
