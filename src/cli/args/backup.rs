//! `brine backup` and `brine settings`.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::{ConfirmArgs, values};
use crate::model::backup::ProofLevel;
use crate::model::ids::{BackupId, ClusterName, StorageName};
use crate::model::settings::{BackupTime, RetentionDays};
use crate::service::desk::BackupRequest;

/// `brine backup`.
#[derive(Clone, Debug, Subcommand)]
pub enum BackupCommand {
    /// Take a snapshot backup now
    #[command(after_help = "Example: brine backup create demo --filter 'shop.*' --filter '!shop.tmp_*' --keep 30")]
    Create(CreateArgs),
    /// List the backups, newest first
    #[command(after_help = "Example: brine backup list demo")]
    List {
        /// The cluster
        cluster: ClusterName,
        /// Those in the trash too
        #[arg(long)]
        deleted: bool,
    },
    /// Show one backup with its tables
    #[command(after_help = "Example: brine backup show demo 20261120010004-7f3a")]
    Show(BackupArgs),
    /// Put a backup into the trash, for 3 days
    #[command(after_help = "Example: brine backup delete demo 20261120010004-7f3a")]
    Delete {
        /// The backup
        #[command(flatten)]
        backup: BackupArgs,
        /// The answers
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Take a backup out of the trash
    #[command(after_help = "Example: brine backup undelete demo 20261120010004-7f3a")]
    Undelete(BackupArgs),
    /// Keep a backup until it is unprotected, whatever the rules say
    #[command(after_help = "Example: brine backup protect demo 20261120010004-7f3a")]
    Protect(BackupArgs),
    /// Leave a backup to the rules again
    #[command(after_help = "Example: brine backup unprotect demo 20261120010004-7f3a")]
    Unprotect(BackupArgs),
    /// Prove that a backup is good
    #[command(after_help = "Example: brine backup verify demo 20261120010004-7f3a --level test")]
    Verify {
        /// The backup
        #[command(flatten)]
        backup: BackupArgs,
        /// How thoroughly
        #[arg(long, value_enum, default_value_t = VerifyLevel::Checksums)]
        level: VerifyLevel,
        /// Make the test restore in this cluster, beside what it holds, and throw it away; else a server or store of its own
        /// is started for it
        #[arg(long, value_name = "CLUSTER")]
        scratch: Option<ClusterName>,
    },
}

/// One backup of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct BackupArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// The backup's id
    pub id: BackupId,
}

/// `brine backup create`.
#[derive(Clone, Debug, Args)]
pub struct CreateArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// Tables: db.table with * and ?, a leading ! leaves out; can be repeated, the last match decides
    #[arg(long, value_name = "RULE", value_parser = values::filter_rule)]
    pub filter: Vec<String>,
    /// A note, shown with the backup
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Days to keep it; without, until it is deleted
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep: Option<u32>,
    /// The storage; without, the cluster's first
    #[arg(long, value_name = "STORAGE")]
    pub storage: Option<StorageName>,
    /// Tables and ranges read at once; without, as many as cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: Option<u16>,
    /// Bytes per second at most, for example 50MiB
    #[arg(long, value_name = "BYTES", value_parser = values::rate)]
    pub rate_limit: Option<u64>,
    /// Compression, 1 (fast) to 19 (small)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=19))]
    pub level: Option<i32>,
}

impl CreateArgs {
    /// As the service wants it.
    pub fn request(&self) -> BackupRequest {
        BackupRequest {
            filter: self.filter.clone(),
            note: self.note.clone(),
            keep_days: self.keep,
            storage: self.storage.clone(),
            concurrency: self.concurrency.map(usize::from),
            rate_limit: self.rate_limit,
            level: self.level,
        }
    }
}

/// How thoroughly a backup is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerifyLevel {
    /// All files are there with the right sizes
    Files,
    /// Every byte is read and its checksum compared
    Checksums,
    /// It is restored into a scratch cluster and compared
    Test,
}

impl From<VerifyLevel> for ProofLevel {
    fn from(level: VerifyLevel) -> ProofLevel {
        match level {
            VerifyLevel::Files => ProofLevel::Files,
            VerifyLevel::Checksums => ProofLevel::Checksums,
            VerifyLevel::Test => ProofLevel::Tested,
        }
    }
}

/// `brine settings`.
#[derive(Clone, Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show Backup Settings and the next runs
    #[command(after_help = "Example: brine settings show demo")]
    Show {
        /// The cluster
        cluster: ClusterName,
    },
    /// Change Backup Settings; says first what that would remove
    #[command(after_help = "Example: brine settings set demo --retention-days 14 --pitr on")]
    Set(SettingsSetArgs),
}

/// `brine settings set`.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(["time", "retention_days", "schedule", "pitr"]))]
pub struct SettingsSetArgs {
    /// The cluster
    pub cluster: ClusterName,
    /// Backup Time, in the cluster's zone
    #[arg(long, value_name = "HH:MM")]
    pub time: Option<BackupTime>,
    /// Backup Retention, 7 to 90 days
    #[arg(long, value_name = "N", value_parser = retention_days)]
    pub retention_days: Option<RetentionDays>,
    /// Daily snapshots
    #[arg(long, value_name = "on|off", value_parser = values::on_off)]
    pub schedule: Option<bool>,
    /// Point-in-time restore: whether the log backup should run
    #[arg(long, value_name = "on|off", value_parser = values::on_off)]
    pub pitr: Option<bool>,
    /// The answers
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

fn retention_days(text: &str) -> Result<RetentionDays, String> {
    let days = text.parse().map_err(|_| "write a number of days, 7 to 90".to_owned())?;
    RetentionDays::new(days).map_err(|bad| bad.to_string())
}
