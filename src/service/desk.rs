//! The questions a user can ask and the answers; all of them plain values that fit a socket.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::cluster::mysql::{Finding, Severity};
use crate::cluster::{ClusterFacts, ClusterState, TableFacts};
pub use crate::engine::adopt::Adoption;
pub use crate::engine::delete::DeletePlan;
use crate::engine::point::RestoreRequest;
use crate::engine::restore::plan::RestorePlan;
pub use crate::engine::retention::{RetentionLine, RetentionPlan};
pub use crate::engine::truncate::TruncatePlan;
pub use crate::jobs::error::ErrorKind as RefusalKind;
use crate::model::backup::{BackupEntry, BackupTable, ProofLevel};
use crate::model::checksum::TableChecksum;
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, ClusterName, IncarnationId, JobId, StorageName};
use crate::model::job::{Job, JobLine, Verb};
use crate::model::log::{Change, LogStatus};
use crate::model::position::Moment;
use crate::model::settings::BackupSettings;
use crate::model::table::TableName;
use crate::model::tso::Tso;
use crate::model::window::Window;
pub use crate::storage::StorageFacts;

/// Something that answers questions. Calls may block for as long as the work takes; the console asks from its own threads.
pub trait Desk: Send + Sync {
    /// Answers one question.
    fn ask(&self, question: Question) -> Result<Answer, Refusal>;
}

/// Why a question was not answered, ready to be shown and to become an exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", self.chain.join(": "))]
pub struct Refusal {
    /// What kind of failure.
    pub kind: RefusalKind,
    /// What failed, then its causes, outermost first.
    pub chain: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
}

/// A new snapshot backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRequest {
    /// Table filter rules; empty takes everything.
    pub filter: Vec<String>,
    /// The operator's note.
    pub note: Option<String>,
    /// Days to keep it; until deleted when not given.
    pub keep_days: Option<u32>,
    /// The storage; the cluster's first when not given.
    pub storage: Option<StorageName>,
    /// Worker threads; as many as cores when not given.
    pub concurrency: Option<usize>,
    /// Bytes per second.
    pub rate_limit: Option<u64>,
    /// zstd level, 1 when not given.
    pub level: Option<i32>,
}

/// A demo accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accident {
    /// Drop the orders table.
    DropTable,
    /// Delete most orders in one transaction.
    MassDelete,
    /// Set every price to zero.
    BadUpdate,
}

/// Questions about, and small acts on, the data of an embedded cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "data")]
#[allow(missing_docs)] // the fields are the words of `brine data`
pub enum DataQuestion {
    Tables,
    Count,
    Checksum {
        at: Option<Moment>,
    },
    Put {
        table: TableName,
        key: String,
        value: String,
    },
    Get {
        table: TableName,
        key: String,
    },
    Delete {
        table: TableName,
        key: String,
    },
    Scan {
        table: TableName,
        at: Option<Moment>,
        after: Option<String>,
        limit: usize,
    },
    Load {
        table: TableName,
        rows: u64,
        size: usize,
        seed: u64,
    },
    Drop {
        table: TableName,
        #[serde(default)]
        confirm_name: Option<String>,
    },
    /// Runs for so many seconds, or until told otherwise when `seconds` is none; rate 0 stops it.
    Traffic {
        rate: u32,
        seconds: Option<u64>,
    },
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
#[allow(missing_docs)] // the fields are the vocabulary's words
pub enum Question {
    /// Who answers.
    Hello,
    /// All clusters, worst first.
    Fleet,
    /// One cluster's page.
    Cluster { cluster: ClusterName },
    /// Its backups, newest first; those in the trash only when asked.
    Backups { cluster: ClusterName, deleted: bool },
    /// One backup with its tables.
    Backup { cluster: ClusterName, id: BackupId },
    /// What a change of settings would do to the backups.
    PreviewSettings {
        cluster: ClusterName,
        settings: BackupSettings,
    },
    /// Changes the settings.
    SetSettings {
        cluster: ClusterName,
        settings: BackupSettings,
        #[serde(default)]
        confirm_name: Option<String>,
    },
    /// The log backup.
    LogStatus { cluster: ClusterName },
    /// Changes of the log worth a look, newest first.
    Changes {
        cluster: ClusterName,
        from: Option<Moment>,
        to: Option<Moment>,
        table: Option<TableName>,
        all: bool,
        limit: usize,
    },
    /// Starts, pauses, resumes, stops the log backup, or flushes it up to now.
    Log {
        cluster: ClusterName,
        act: LogAct,
        #[serde(default)]
        confirm_name: Option<String>,
    },
    /// Plans a restore.
    PlanRestore { request: RestoreRequest },
    /// Runs a planned restore.
    Restore {
        plan: Box<RestorePlan>,
        confirm_name: Option<String>,
    },
    /// Plans the way back of the last restore into a cluster.
    PlanUndo { cluster: ClusterName },
    /// Runs the planned way back.
    Undo {
        plan: Box<RestorePlan>,
        confirm_name: Option<String>,
    },
    /// What deleting would do.
    PlanDelete { cluster: ClusterName, id: BackupId },
    /// Deletes a backup into the trash.
    Delete {
        cluster: ClusterName,
        id: BackupId,
        confirm_name: Option<String>,
    },
    /// Takes a backup out of the trash.
    Undelete { cluster: ClusterName, id: BackupId },
    /// Keeps a backup until unprotected, or lets go of it.
    Protect {
        cluster: ClusterName,
        id: BackupId,
        on: bool,
    },
    /// Takes a snapshot backup.
    TakeBackup {
        cluster: ClusterName,
        request: BackupRequest,
    },
    /// Verifies a backup.
    Verify {
        cluster: ClusterName,
        id: BackupId,
        level: ProofLevel,
        /// The cluster for a test restore, where none is to be made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scratch: Option<ClusterName>,
    },
    /// What retention would do now.
    PlanRetention { cluster: ClusterName },
    /// Runs retention.
    RunRetention {
        cluster: ClusterName,
        #[serde(default)]
        confirm_name: Option<String>,
    },
    /// What truncating the log would do.
    PlanTruncate {
        cluster: ClusterName,
        until: Moment,
        drop_pitr: bool,
    },
    /// Truncates the log ("Purge log").
    Truncate {
        cluster: ClusterName,
        until: Moment,
        drop_pitr: bool,
        #[serde(default)]
        confirm_name: Option<String>,
    },
    /// Opens a closed cluster.
    Open { cluster: ClusterName },
    /// What a cluster has and lacks for backups and restores.
    CheckCluster { cluster: ClusterName },
    /// Accepts a database that is not the one its archive was made for, or that lost data.
    Adopt {
        cluster: ClusterName,
        confirm_name: Option<String>,
    },
    /// Jobs, newest first.
    Jobs {
        cluster: Option<ClusterName>,
        verb: Option<Verb>,
        limit: usize,
    },
    /// One job.
    Job { id: JobId },
    /// Its log lines after the n-th.
    JobLines { id: JobId, after: u64 },
    /// Why a job ended badly, with its kind.
    JobError { id: JobId },
    /// Waits until the job has ended or the time is over.
    WaitJob { id: JobId, timeout_ms: u64 },
    /// Asks a job to stop.
    CancelJob {
        id: JobId,
        #[serde(default)]
        confirm_name: Option<String>,
    },
    /// Goes on with an interrupted or failed job.
    ResumeJob { id: JobId },
    /// Waits until anything has changed since a version, or the time is over.
    Pulse { since: u64, timeout_ms: u64 },
    /// Messages kept for the operator, newest first.
    Messages { limit: usize },
    /// The storages.
    Storages,
    /// What the config says, with where each value came from.
    InEffect,
    /// Whether one storage can be written, read and listed.
    CheckStorage { storage: StorageName },
    /// Data of an embedded cluster.
    Data {
        cluster: ClusterName,
        question: DataQuestion,
    },
    /// An accident, in the demo only.
    Accident { cluster: ClusterName, kind: Accident },
}

impl Question {
    /// Whether answering it changes something.
    pub fn changes_something(&self) -> bool {
        use Question as Q;
        match self {
            Q::SetSettings { .. }
            | Q::Log { .. }
            | Q::Restore { .. }
            | Q::Undo { .. }
            | Q::Delete { .. }
            | Q::Undelete { .. }
            | Q::Protect { .. }
            | Q::TakeBackup { .. }
            | Q::Verify { .. }
            | Q::RunRetention { .. }
            | Q::Truncate { .. }
            | Q::Open { .. }
            | Q::Adopt { .. }
            | Q::CancelJob { .. }
            | Q::ResumeJob { .. }
            | Q::CheckStorage { .. }
            | Q::Accident { .. } => true,
            Q::Data { question, .. } => !matches!(
                question,
                DataQuestion::Tables
                    | DataQuestion::Count
                    | DataQuestion::Checksum { .. }
                    | DataQuestion::Get { .. }
                    | DataQuestion::Scan { .. }
            ),
            Q::Hello
            | Q::Fleet
            | Q::Cluster { .. }
            | Q::CheckCluster { .. }
            | Q::Backups { .. }
            | Q::Backup { .. }
            | Q::PreviewSettings { .. }
            | Q::LogStatus { .. }
            | Q::Changes { .. }
            | Q::PlanRestore { .. }
            | Q::PlanUndo { .. }
            | Q::PlanDelete { .. }
            | Q::PlanRetention { .. }
            | Q::PlanTruncate { .. }
            | Q::Jobs { .. }
            | Q::Job { .. }
            | Q::JobLines { .. }
            | Q::JobError { .. }
            | Q::WaitJob { .. }
            | Q::Pulse { .. }
            | Q::Messages { .. }
            | Q::InEffect
            | Q::Storages => false,
        }
    }
}

/// Acts on the log backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // DESIGN's verbs
pub enum LogAct {
    Start,
    Pause,
    Resume,
    Stop,
    Flush,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// Version of brine.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// `console`, `agent` or `command`.
    pub role: String,
    /// Whether this is a demo.
    pub demo: bool,
    /// Whether changes are refused.
    pub read_only: bool,
    /// The wall clock.
    pub now: Millis,
}

/// How a cluster's backups are doing, from facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthLevel {
    /// Nothing to do.
    Ok,
    /// Nothing is asked for: no schedule, no log.
    Off,
    /// A look is due.
    Warning,
    /// Data would be lost.
    Bad,
}

/// Health with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The worst of the reasons.
    pub level: HealthLevel,
    /// One word for the list: `ok`, `late`, `gap`, `overdue`, `no runner`, `failed`, `no backup`, `restoring`.
    pub word: String,
    /// Each finding as a sentence with what to do, worst first.
    pub reasons: Vec<String>,
}

/// When the next scheduled snapshot is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "next")]
#[allow(missing_docs)]
pub enum NextRun {
    /// The schedule is off.
    Off,
    /// At this instant.
    At { at: Millis },
    /// It should have run then and has not.
    Overdue { since: Millis },
    /// The last try failed; the next one is then.
    Retry { at: Millis },
}

/// One line of the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterCard {
    /// Its name.
    pub name: ClusterName,
    /// Kind and version: `embedded 0.1`.
    pub product: String,
    /// host:port, where there is one.
    pub address: Option<String>,
    /// Its state.
    pub state: ClusterState,
    /// Health.
    pub health: Health,
    /// The log backup.
    pub log: LogStatus,
    /// The restorable window of the live incarnation and those before.
    pub window: Window,
    /// Complete backups.
    pub backups: u64,
    /// When the last good backup was made.
    pub last_backup: Option<Millis>,
    /// The next scheduled snapshot.
    pub next_run: NextRun,
    /// Bytes on storage.
    pub stored_bytes: u64,
    /// The newest proof of its newest proved backup.
    pub proof: Option<(ProofLevel, Millis)>,
    /// Whether dangerous acts always need the typed name.
    pub protected: bool,
    /// The job that works on it now.
    pub job: Option<Job>,
}

/// A cluster's page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterPage {
    /// The fleet's line.
    pub card: ClusterCard,
    /// Facts, when it can be reached.
    pub facts: Option<ClusterFacts>,
    /// Backup Settings.
    pub settings: BackupSettings,
    /// The next three scheduled runs.
    pub next_runs: Vec<Millis>,
    /// Its storages, the first holds the settings.
    pub storages: Vec<StorageName>,
    /// Where its archive lies, for people.
    pub location: String,
    /// The incarnations, oldest first.
    pub incarnations: Vec<IncarnationView>,
    /// The undo on offer.
    pub undo: Option<UndoOffer>,
    /// Backups in the trash.
    #[serde(default)]
    pub in_trash: u64,
    /// Traffic per second of an embedded cluster (demo), newest last.
    pub traffic: Vec<u32>,
    /// The error of the demo's shop, while it cannot work.
    pub traffic_error: Option<String>,
}

/// One incarnation as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncarnationView {
    /// Its number.
    pub id: IncarnationId,
    /// When it began.
    pub began: Moment,
    /// To which moment the restore went that began it.
    pub restored_to: Option<Moment>,
}

/// An undo that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoOffer {
    /// The moment it goes back to.
    pub to: Moment,
    /// Until when it is offered.
    pub until: Millis,
}

/// A storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageCard {
    /// Its name.
    pub name: StorageName,
    /// Its URL without secrets.
    pub url: String,
    /// The archives in it and their stored bytes.
    pub archives: Vec<(ClusterName, u64)>,
    /// The error, when it cannot be reached.
    pub error: Option<String>,
    /// What is known of the place itself, when it can be reached.
    #[serde(default)]
    pub facts: Option<StorageFacts>,
}

/// One value of the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingLine {
    /// Which one, for example `cluster.demo.path`.
    pub key: String,
    /// Its value as text.
    pub value: String,
    /// Where it came from: `default`, file and line, `env NAME`, `flag --name`.
    pub from: String,
}

/// A message kept for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When.
    pub at: Millis,
    /// How bad.
    pub level: crate::model::job::LineLevel,
    /// The cluster concerned.
    pub cluster: Option<ClusterName>,
    /// The text.
    pub text: String,
}

/// Checksums of tables at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecksumAnswer {
    /// The moment.
    pub at: Moment,
    /// Sorted by table.
    pub tables: Vec<TableSum>,
}

/// One table's checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// The table.
    pub table: TableName,
    /// Rows, bytes and checksum.
    #[serde(flatten)]
    pub sum: TableChecksum,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer", content = "value")]
#[allow(missing_docs)] // each stands for the question of its name
pub enum Answer {
    Hello(HelloAnswer),
    Fleet(Vec<ClusterCard>),
    Cluster(Box<ClusterPage>),
    Backups(Vec<BackupEntry>),
    Backup {
        entry: Box<BackupEntry>,
        tables: Vec<BackupTable>,
    },
    Retention(RetentionPlan),
    Log(LogStatus),
    Changes(Vec<Change>),
    Restore(Box<RestorePlan>),
    DeletePlan(DeletePlan),
    TruncatePlan(TruncatePlan),
    Findings(Vec<Finding>),
    Adopted(Adoption),
    /// A job was started.
    Job(JobId),
    Jobs(Vec<Job>),
    JobState(Box<Job>),
    Lines(Vec<JobLine>),
    /// Why a job ended badly; nothing when it did not.
    JobError(Option<Refusal>),
    Pulse(u64),
    Messages(Vec<Message>),
    Storages(Vec<StorageCard>),
    InEffect(Vec<SettingLine>),
    Tables(Vec<TableFacts>),
    Checksums(ChecksumAnswer),
    /// Key and value, both shown as text.
    Rows(Vec<(String, String)>),
    Committed(Tso),
    /// Done, and nothing to tell but this line.
    Done(String),
    /// Anything that is printed as it is.
    Json(Value),
}
