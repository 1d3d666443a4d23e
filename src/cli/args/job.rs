//! `brine job` and `brine retention`.

use clap::builder::TypedValueParser;
use clap::{Args, Subcommand};

use super::{ConfirmArgs, values};
use crate::model::ids::{ClusterName, JobId};
use crate::model::job::Verb;

/// `brine job`.
#[derive(Clone, Debug, Subcommand)]
pub enum JobCommand {
    /// List jobs, newest first
    #[command(after_help = "Example: brine job list demo --verb restore")]
    List {
        /// Only of this cluster
        cluster: Option<ClusterName>,
        /// Only of this verb: backup, restore, undo, delete, verify, retention, truncate, compact
        #[arg(long, value_name = "VERB", value_parser = values::verb)]
        verb: Option<Verb>,
    },
    /// Show one job: steps, log, plan, receipt
    #[command(after_help = "Example: brine job show 12")]
    Show(JobArgs),
    /// Follow a job to its end
    #[command(after_help = "Example: brine job watch 12")]
    Watch(JobArgs),
    /// Ask a job to stop; says what it leaves behind
    #[command(after_help = "Example: brine job cancel 12")]
    Cancel {
        /// The job
        #[command(flatten)]
        job: JobArgs,
        /// The answers; cancelling an in-place restore needs the cluster's name
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Go on with an interrupted or failed job
    #[command(after_help = "Example: brine job resume 12")]
    Resume(JobArgs),
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct JobArgs {
    /// The job's number
    #[arg(value_parser = clap::value_parser!(u64).map(JobId))]
    pub id: JobId,
}

/// `brine retention`.
#[derive(Clone, Debug, Subcommand)]
pub enum RetentionCommand {
    /// Say which backups and which log would go, which stay, and why
    #[command(after_help = "Example: brine retention plan demo")]
    Plan {
        /// The cluster
        cluster: ClusterName,
    },
    /// Do it
    #[command(after_help = "Example: brine retention run demo")]
    Run {
        /// The cluster
        cluster: ClusterName,
        /// The answers; only a protected cluster asks
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}
