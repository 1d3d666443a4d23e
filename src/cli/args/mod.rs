//! The command line as types: what can be typed, checked as far as words alone allow.
//!
//! Values that need nothing but themselves are parsed here (names, sizes, filters, settings). Moments stay
//! text, because reading them needs the cluster's zone and the clock. What belongs to later versions is not
//! offered at all.
//!
//! *Invariant: nothing here looks at files, environment or clock.*

mod backup;
mod data;
mod job;
mod log;
mod restore;
mod values;

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::config::Flags;
use crate::model::ids::{ClusterName, StorageName};

pub use backup::{BackupCommand, CreateArgs, SettingsCommand, SettingsSetArgs};
pub use data::{DataCommand, LoadArgs, TrafficArgs};
pub use job::{JobCommand, RetentionCommand};
pub use log::{ChangesArgs, LogArgs, LogCommand, StopArgs, TruncateArgs};
pub use restore::{PointArgs, RestoreArgs, UndoArgs, WhereArgs};

/// The whole command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "brine",
    version,
    about = "Back up and restore MySQL-family databases. Without a command: the console.",
    after_help = "Times: 2026-11-20 02:00, 2026-11-20T02:00:04+01:00, yesterday 02:00, 10m ago, or a TSO.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage or config, 3 not found, 4 refused, 5 corrupt or wrong key, \
                  130 cancelled.\n\nExample: brine demo",
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Flags that work before and after every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The command; the console without one.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Reads the process's arguments. Help and version come as errors too, with exit code 0.
    pub fn parse_args<I, T>(args: I) -> Result<Cli, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        Cli::try_parse_from(args)
    }

    /// The description of the whole command line, for completions and the manual page.
    pub fn describe() -> clap::Command {
        Cli::command()
    }
}

/// Flags that work before and after every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Config file (env BRINE_CONFIG)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of jobs, control socket and the default cluster (env BRINE_DATA_DIR)
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Zone of times, instead of the cluster's: Europe/Berlin
    #[arg(long, global = true, value_name = "ZONE", value_parser = values::zone)]
    pub tz: Option<Tz>,
    /// Refuse everything that changes something
    #[arg(long, global = true)]
    pub read_only: bool,
    /// No colour
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Plain ASCII instead of lines and symbols
    #[arg(long, global = true)]
    pub ascii: bool,
    /// No moving parts, for screen readers (env BRINE_ACCESSIBLE)
    #[arg(long, global = true)]
    pub accessible: bool,
    /// Clicks and the wheel in the console
    #[arg(long, global = true)]
    pub mouse: bool,
    /// Theme of the console
    #[arg(long, global = true, value_name = "T")]
    pub theme: Option<String>,
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more; twice for details
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

impl GlobalArgs {
    /// What the config needs to know of the command line.
    pub fn config_flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            theme: self.theme.clone(),
            ascii: self.ascii,
            mouse: self.mouse,
            accessible: self.accessible,
        }
    }
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// The console on a fresh throw-away cluster with history and live traffic
    #[command(after_help = "Example: brine demo --days 5 --seed 7")]
    Demo(DemoArgs),
    /// Run schedules, log backups and jobs without a terminal
    #[command(after_help = "Example: brine agent --config /etc/brine/config.toml")]
    Agent,
    /// Say how healthy the backups are, in words and as exit code
    #[command(after_help = "Exits with 1 when a cluster is in the state Warning or Bad.\n\n\
                      Example: brine check demo || mail -s 'backups need a look' ops")]
    Check {
        /// Only this cluster
        cluster: Option<ClusterName>,
    },
    /// What is configured
    #[command(subcommand, after_help = "Example: brine config show")]
    Config(ConfigCommand),
    /// The clusters
    #[command(subcommand, after_help = "Example: brine cluster show demo")]
    Cluster(ClusterCommand),
    /// The storages
    #[command(subcommand, after_help = "Example: brine storage check local")]
    Storage(StorageCommand),
    /// Take, list, verify, protect and delete snapshot backups
    #[command(
        subcommand,
        after_help = "Example: brine backup create demo --note 'before the upgrade'"
    )]
    Backup(BackupCommand),
    /// Backup Settings: time, retention, schedule, point-in-time restore
    #[command(
        subcommand,
        after_help = "Example: brine settings set demo --time 02:00 --schedule on"
    )]
    Settings(SettingsCommand),
    /// The log backup, for point-in-time restore
    #[command(subcommand, after_help = "Example: brine log start demo")]
    Log(LogCommand),
    /// Restore a snapshot or any moment
    #[command(
        after_help = "Without --to, --beside or --in-place the tables come back beside, under new names.\n\
                      In place needs --in-place --confirm-name CLUSTER --yes.\n\n\
                      Example: brine restore demo --at '10m ago' --filter 'shop.orders' --beside"
    )]
    Restore(Box<RestoreArgs>),
    /// Go back to before the last restore
    #[command(after_help = "Example: brine undo demo --confirm-name demo --yes")]
    Undo(UndoArgs),
    /// What runs and what has run
    #[command(subcommand, after_help = "Example: brine job watch 12")]
    Job(JobCommand),
    /// What was said to the operator beside the jobs: missed backups, a log backup that ended, a schedule that could not run
    #[command(after_help = "Example: brine messages --limit 20")]
    Messages {
        /// The newest so many
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Which backups go, and why
    #[command(subcommand, after_help = "Example: brine retention plan demo")]
    Retention(RetentionCommand),
    /// Look at and change the data of an embedded cluster
    #[command(subcommand, after_help = "Example: brine data checksum demo --at '10m ago' --json")]
    Data(DataCommand),
    /// Print the keys of the console
    #[command(after_help = "Example: brine keys")]
    Keys,
    /// Print completions for a shell
    #[command(after_help = "Example: brine completions bash > /etc/bash_completion.d/brine")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example: brine man | man -l -")]
    Man,
}

/// `brine demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Orders per second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub rate: u32,
    /// Days of history
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=30))]
    pub days: u32,
    /// Repeat exactly the same story
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Walk through an accident and its restore by itself, with captions; Space pauses, any other key takes over
    #[arg(long)]
    pub tour: bool,
}

/// `brine config`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the config and report everything that is wrong
    #[command(after_help = "Example: brine config check --config ./config.toml")]
    Check,
    /// Print what is in effect, and where each value came from
    #[command(after_help = "Example: brine config show --json")]
    Show,
}

/// `brine cluster`.
#[derive(Clone, Debug, Subcommand)]
pub enum ClusterCommand {
    /// List the clusters, worst first
    #[command(after_help = "Example: brine cluster list")]
    List,
    /// Show one cluster
    #[command(after_help = "Example: brine cluster show demo")]
    Show {
        /// The cluster
        cluster: ClusterName,
    },
    /// Say what a cluster has and lacks for backups, with the statements that mend it
    #[command(after_help = "Exits with 1 when something is missing.\n\nExample: brine cluster check shop")]
    Check {
        /// The cluster
        cluster: ClusterName,
    },
    /// Accept the database that is there now as the one its backups go on with
    #[command(
        after_help = "After a failover or a move to another server, and for a store that lost data. Where its log \
                      continues the archive's, nothing else changes; else a new history begins, which needs a new \
                      snapshot.\n\nExample: brine cluster adopt shop --confirm-name shop --yes"
    )]
    Adopt {
        /// The cluster
        cluster: ClusterName,
        /// Given beforehand
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Open a cluster that a restore left closed
    #[command(after_help = "Example: brine cluster open demo")]
    Open {
        /// The cluster
        cluster: ClusterName,
    },
}

/// `brine storage`.
#[derive(Clone, Debug, Subcommand)]
pub enum StorageCommand {
    /// List the storages
    #[command(after_help = "Example: brine storage list")]
    List,
    /// Write, read, list and delete a probe
    #[command(after_help = "Example: brine storage check local")]
    Check {
        /// The storage
        storage: StorageName,
    },
}

/// The answers to a dangerous act's questions, given beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct ConfirmArgs {
    /// The name that would have to be typed
    #[arg(long, value_name = "NAME")]
    pub confirm_name: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}
