//! Jobs as an operator sees them: verb, state, steps, progress.

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::ids::{ClusterName, JobId};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Take a snapshot backup.
    Backup,
    /// Restore a snapshot or a point in time.
    Restore,
    /// Restore the way back of the last restore.
    Undo,
    /// Delete a backup.
    Delete,
    /// Verify a backup.
    Verify,
    /// Run retention.
    Retention,
    /// Truncate the log.
    Truncate,
    /// Merge small log segments.
    Compact,
}

impl Verb {
    /// The word on screen and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Backup => "backup",
            Verb::Restore => "restore",
            Verb::Undo => "undo",
            Verb::Delete => "delete",
            Verb::Verify => "verify",
            Verb::Retention => "retention",
            Verb::Truncate => "truncate",
            Verb::Compact => "compact",
        }
    }
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Asked to stop, and stopping.
    Cancelling,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended because it was cancelled.
    Cancelled,
    /// Its process died; it can be resumed.
    Interrupted,
}

impl JobState {
    /// Whether it has ended.
    pub fn is_over(self) -> bool {
        match self {
            JobState::Queued | JobState::Running | JobState::Cancelling => false,
            JobState::Succeeded | JobState::Failed | JobState::Cancelled | JobState::Interrupted => true,
        }
    }

    /// The word on screen.
    pub fn word(self) -> &'static str {
        match self {
            JobState::Queued => "Queued",
            JobState::Running => "Running",
            JobState::Cancelling => "Cancelling",
            JobState::Succeeded => "Succeeded",
            JobState::Failed => "Failed",
            JobState::Cancelled => "Cancelled",
            JobState::Interrupted => "Interrupted",
        }
    }
}

/// What a step counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes of rows or files.
    #[default]
    Bytes,
    /// Rows.
    Rows,
    /// Objects on storage.
    Objects,
    /// Tables.
    Tables,
    /// Transactions of the log.
    Transactions,
}

/// How far a step has come: a count with a unit and a known or unknown total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepProgress {
    /// So many are done.
    pub done: u64,
    /// Of so many; `None` while it cannot be known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStep {
    /// Its name: a few plain words.
    pub name: String,
    /// When it started.
    pub started: Millis,
    /// When it ended.
    pub ended: Option<Millis>,
    /// How far it is, or was at its end.
    pub progress: StepProgress,
}

/// A job's progress as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobProgress {
    /// Hundredths of a percent, never going back, 10000 only when the job has succeeded; `None` when unknown.
    pub basis_points: Option<u32>,
    /// The current step's units per second over the last seconds.
    pub rate: f64,
    /// Time left as a range in milliseconds (from, to); `None` when unknown.
    pub left_ms: Option<(i64, i64)>,
    /// When a counter last moved.
    pub moved: Option<Millis>,
}

/// How bad a line of the job's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineLevel {
    /// For the record.
    Info,
    /// Went on, but the report must say it.
    Warning,
    /// Ended it.
    Error,
}

/// One line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLine {
    /// When.
    pub at: Millis,
    /// How bad.
    pub level: LineLevel,
    /// The text.
    pub text: String,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub verb: Verb,
    /// The cluster it works on.
    pub cluster: ClusterName,
    /// What exactly, in one line.
    pub title: String,
    /// Its state.
    pub state: JobState,
    /// Who asked.
    pub asked_by: String,
    /// When it was queued.
    pub created: Millis,
    /// When it started.
    pub started: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// Its steps so far.
    pub steps: Vec<JobStep>,
    /// Progress over all steps.
    pub progress: JobProgress,
    /// The error with its causes, outermost first.
    pub error: Vec<String>,
    /// Whether `job resume` can go on with it.
    pub resumable: bool,
    /// The command line that does the same.
    pub command: Option<String>,
    /// The plan it runs, as JSON.
    pub plan: serde_json::Value,
    /// The receipt, as JSON, once it has succeeded.
    pub receipt: Option<serde_json::Value>,
}
