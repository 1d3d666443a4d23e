//! `brine log`.

use clap::{Args, Subcommand};

use super::{ConfirmArgs, values};
use crate::model::ids::ClusterName;
use crate::model::table::TableName;

/// `brine log`.
#[derive(Clone, Debug, Subcommand)]
pub enum LogCommand {
    /// Start the log backup
    #[command(after_help = "Example: brine log start demo")]
    Start(LogArgs),
    /// Hold the log backup for a while
    #[command(after_help = "Example: brine log pause demo")]
    Pause(LogArgs),
    /// Go on after a pause
    #[command(after_help = "Example: brine log resume demo")]
    Resume(LogArgs),
    /// End the log backup for good; a later start is a new one
    #[command(after_help = "Example: brine log stop demo")]
    Stop(StopArgs),
    /// Show what is wanted, what is so, and how far a restore can go
    #[command(after_help = "Example: brine log status demo --json")]
    Status(LogArgs),
    /// Bring the log backup up to now, and print the checkpoint
    #[command(after_help = "Example: brine log flush demo")]
    Flush(LogArgs),
    /// Delete log data older than a moment
    #[command(after_help = "Example: brine log truncate demo --until 'yesterday 02:00' --dry-run")]
    Truncate(TruncateArgs),
    /// List changes worth a look: schema changes, mass deletes and updates, big transactions
    #[command(after_help = "Example: brine log changes demo --from '1h ago' --table shop.orders")]
    Changes(ChangesArgs),
}

/// The cluster whose log backup is meant.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct LogArgs {
    /// The cluster
    pub cluster: ClusterName,
}

/// `brine log stop`.
#[derive(Clone, Debug, Args)]
pub struct StopArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// The answers; only a protected cluster asks
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// `brine log truncate`.
#[derive(Clone, Debug, Args)]
pub struct TruncateArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// Log data older than this moment goes
    #[arg(long, value_name = "T", value_parser = values::words)]
    pub until: String,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Even where a base that is kept loses point-in-time restore
    #[arg(long)]
    pub drop_pitr: bool,
    /// The answers
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// `brine log changes`.
#[derive(Clone, Debug, Args)]
pub struct ChangesArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// From this moment on
    #[arg(long, value_name = "T", value_parser = values::words)]
    pub from: Option<String>,
    /// Up to this moment
    #[arg(long, value_name = "T", value_parser = values::words)]
    pub to: Option<String>,
    /// Only this table
    #[arg(long, value_name = "DB.TABLE")]
    pub table: Option<TableName>,
    /// Ordinary transactions too
    #[arg(long)]
    pub all: bool,
}
