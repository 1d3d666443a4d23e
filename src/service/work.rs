//! What a job does, as a value: stored with the job, so that it can go on after a crash.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::acts::left_closed;
use super::desk::Refusal;
use super::log_control;
use super::log_control::Logs;
use super::scratch;
use super::ward::Ward;
use super::wards::Wards;
use crate::cluster::embedded::{EmbeddedCluster, Options};
use crate::cluster::{Cluster, ClusterKind, ClusterState};
use crate::engine::backup::{self, BackupPlan};
use crate::engine::cx::{self, JobCx};
use crate::engine::error::EngineError;
use crate::engine::point::RestoreTarget;
use crate::engine::restore::plan::RestorePlan;
use crate::engine::restore::run::{RestoreRun, TargetArchive};
use crate::engine::{delete, retention, truncate, verify};
use crate::jobs::error::JobError;
use crate::model::backup::ProofLevel;
use crate::model::ids::{BackupId, ClusterName};
use crate::model::job::{LineLevel, Verb};
use crate::model::position::Moment;
use crate::model::text::shell_word;
use crate::model::time::mention;

/// One job's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "work")]
pub enum Task {
    /// Take a snapshot backup; run retention after it.
    Backup {
        /// The plan.
        plan: BackupPlan,
    },
    /// Restore.
    Restore {
        /// The plan that was agreed to.
        plan: Box<RestorePlan>,
        /// Whether it is the undo of an earlier one.
        undo: bool,
    },
    /// Delete a backup.
    Delete {
        /// Of this cluster
        cluster: ClusterName,
        /// this backup.
        id: BackupId,
        /// Whether the name was typed, as the last good backup needs it.
        #[serde(default)]
        confirmed: bool,
    },
    /// Verify a backup.
    Verify {
        /// Of this cluster
        cluster: ClusterName,
        /// this backup
        id: BackupId,
        /// so far.
        level: ProofLevel,
        /// The cluster for a test restore, where none is to be made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scratch: Option<ClusterName>,
    },
    /// Run retention.
    Retention {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Truncate the log.
    Truncate {
        /// The cluster.
        cluster: ClusterName,
        /// Log at or before this goes.
        until: Moment,
        /// Even where bases lose point-in-time.
        drop_pitr: bool,
    },
}

impl Task {
    /// The cluster that is worked on.
    pub fn cluster(&self) -> &ClusterName {
        match self {
            Task::Backup { plan } => &plan.cluster,
            Task::Restore { plan, .. } => &plan.target,
            Task::Delete { cluster, .. }
            | Task::Verify { cluster, .. }
            | Task::Retention { cluster }
            | Task::Truncate { cluster, .. } => cluster,
        }
    }

    /// The verb.
    pub fn verb(&self) -> Verb {
        match self {
            Task::Backup { .. } => Verb::Backup,
            Task::Restore { undo: false, .. } => Verb::Restore,
            Task::Restore { undo: true, .. } => Verb::Undo,
            Task::Delete { .. } => Verb::Delete,
            Task::Verify { .. } => Verb::Verify,
            Task::Retention { .. } => Verb::Retention,
            Task::Truncate { .. } => Verb::Truncate,
        }
    }

    /// What exactly, in one line.
    pub fn title(&self) -> String {
        match self {
            Task::Backup { plan } => format!("{} snapshot of {}", plan.kind.word(), plan.cluster),
            Task::Restore { plan, .. } => {
                let where_to = match &plan.request.target {
                    RestoreTarget::InPlace => format!("{} in place", plan.target),
                    RestoreTarget::Beside => format!("beside, in {},", plan.target),
                    RestoreTarget::Cluster { name } => format!("into {name}"),
                };
                format!("{where_to} to {}", plan.point)
            }
            Task::Delete { id, .. } => format!("delete backup {id}"),
            Task::Verify { id, level, .. } => format!("verify {} of backup {id}", level.word()),
            Task::Retention { cluster } => format!("retention of {cluster}"),
            Task::Truncate { cluster, until, .. } => format!("purge the log of {cluster} up to {}", mention(until.at)),
        }
    }

    /// The command line that does the same.
    pub fn command(&self) -> String {
        match self {
            Task::Backup { plan } => backup_command(plan),
            Task::Restore { plan, undo: false } => plan.command_line(),
            Task::Restore { plan, undo: true } => format!("brine undo {0} --confirm-name {0} --yes", plan.target),
            Task::Delete { cluster, id, .. } => format!("brine backup delete {cluster} {id} --yes"),
            Task::Verify {
                cluster,
                id,
                level,
                scratch,
            } => {
                let level = match level {
                    ProofLevel::Files => "files",
                    ProofLevel::Checksums => "checksums",
                    ProofLevel::Tested => "test",
                };
                let scratch = scratch.as_ref().map(|s| format!(" --scratch {s}")).unwrap_or_default();
                format!("brine backup verify {cluster} {id} --level {level}{scratch}")
            }
            Task::Retention { cluster } => format!("brine retention run {cluster}"),
            Task::Truncate {
                cluster,
                until,
                drop_pitr,
            } => {
                let drop = if *drop_pitr { " --drop-pitr" } else { "" };
                format!("brine log truncate {cluster} --until {}{drop}", until.last_tso())
            }
        }
    }

    /// Whether it can go on after a crash.
    pub fn is_resumable(&self) -> bool {
        // Every verb here can be repeated; backup and restore also remember what they had done.
        true
    }

    /// Does the work.
    pub fn run(&self, wards: &Arc<Wards>, cx: &dyn JobCx) -> Result<Value, JobError> {
        self.perform(wards, cx).map_err(JobError::from)
    }

    fn perform(&self, wards: &Arc<Wards>, cx: &dyn JobCx) -> Result<Value, Refusal> {
        // An earlier run of this job did everything, and died before the journal knew.
        if let Some(done) = cx::finished(cx).map_err(EngineError::from)? {
            return Ok(done);
        }
        let receipt = self.perform_anew(wards, cx)?;
        cx.resume_log().finish(&receipt).map_err(EngineError::from)?;
        Ok(receipt)
    }

    fn perform_anew(&self, wards: &Arc<Wards>, cx: &dyn JobCx) -> Result<Value, Refusal> {
        let ward = wards.get(self.cluster())?;
        match self {
            Task::Backup { plan } => take_backup(&ward, plan, cx),
            Task::Restore { plan, undo } => restore(wards, &ward, plan, *undo, cx),
            Task::Delete { id, confirmed, .. } => {
                let (archive, view) = ward.view_for_reading()?;
                Ok(json!(delete::run(
                    &archive,
                    &*ward.lock_archive()?,
                    &view,
                    id,
                    *confirmed,
                    cx
                )?))
            }
            Task::Verify {
                id,
                level,
                scratch: None,
                ..
            } => verify(wards, &ward, id, *level, cx),
            Task::Verify {
                id,
                level,
                scratch: Some(scratch),
                ..
            } => {
                let (archive, target) = (ward.archive_for_reading()?, wards.get(scratch)?.cluster()?);
                let named = verify::Scratch::Named(scratch, &*target);
                let receipt = verify::run(&archive, &*ward.lock_archive()?, id, *level, named, cx);
                Ok(json!(receipt?))
            }
            Task::Retention { .. } => run_retention(&ward, cx),
            Task::Truncate { until, drop_pitr, .. } => {
                let (archive, view) = ward.view_for_reading()?;
                let plan = truncate::plan(&archive, &view, *until, *drop_pitr)?;
                if let Some(why) = plan.refused {
                    return Err(EngineError::refused(why, "choose an earlier moment, or --drop-pitr").into());
                }
                Ok(json!(truncate::run(&archive, &*ward.lock_archive()?, *until, cx)?))
            }
        }
    }
}

fn backup_command(plan: &BackupPlan) -> String {
    let mut line = format!("brine backup create {}", plan.cluster);
    plan.filter
        .rules()
        .iter()
        .for_each(|f| line += &format!(" --filter {}", shell_word(f)));
    plan.note
        .iter()
        .for_each(|n| line += &format!(" --note {}", shell_word(n)));
    plan.keep_days.iter().for_each(|d| line += &format!(" --keep {d}"));
    line
}

/// A backup, then retention: old backups go only after a new one is there.
fn take_backup(ward: &Ward, plan: &BackupPlan, cx: &dyn JobCx) -> Result<Value, Refusal> {
    let (cluster, archive, lock) = (ward.cluster()?, ward.archive()?, ward.lock()?);
    // No restore works on it while this job does: what is closed was left so.
    if let ClusterState::Restoring { .. } = cluster.facts().map_err(EngineError::from)?.state {
        return Err(left_closed(ward.name(), ""));
    }
    if !ward.keeper.is_started() {
        catch_up(ward, cx)?;
    }
    let summary = backup::run(&*cluster, &archive, &lock, plan, cx)?;
    // The backup is good whatever becomes of the old ones; a failure here must not make the schedule take it again.
    if let Err(e) = run_retention(ward, cx) {
        cx.line(
            LineLevel::Warning,
            format!("the backup is complete; retention after it failed: {e}"),
        );
    }
    Ok(json!(summary))
}

/// Where nobody streams, the log may hold a restore that the archive has not heard of: the snapshot behind it belongs to the
/// history that began there. A log that cannot be read is no reason to go without a snapshot, often it is the cause.
fn catch_up(ward: &Ward, cx: &dyn JobCx) -> Result<(), Refusal> {
    if let Err(refusal) = log_control::flush(ward, cx) {
        cx.check().map_err(EngineError::from)?;
        let why = refusal.chain.join(": ");
        cx.line(
            LineLevel::Warning,
            format!("the log backup could not be brought up to the snapshot: {why}"),
        );
    }
    Ok(())
}

fn run_retention(ward: &Ward, cx: &dyn JobCx) -> Result<Value, Refusal> {
    let (archive, view) = ward.view_for_reading()?;
    let plan = retention::plan(&view, &view.settings, cx.clock().now());
    let receipt = retention::run(&archive, &*ward.lock_archive()?, &view, &plan, cx)?;
    Ok(json!(receipt))
}

fn restore(wards: &Arc<Wards>, ward: &Ward, plan: &RestorePlan, undo: bool, cx: &dyn JobCx) -> Result<Value, Refusal> {
    let source = wards.get(&plan.request.source)?.archive_for_reading()?;
    let target = ward.cluster()?;
    // A target that was never backed up has no history of its own to end.
    let own = match ward.archive_if_any()? {
        Some(archive) => Some((archive, ward.lock()?)),
        None => None,
    };
    let run = RestoreRun {
        plan,
        source: &source,
        target: &*target,
        target_archive: own.as_ref().map(|(archive, lock)| TargetArchive { archive, lock }),
        log: &Logs {
            wards: Arc::clone(wards),
        },
        undo,
        cx,
    };
    let receipt = run.run();
    ward.forget_facts();
    ward.keeper.poke();
    receipt.map(|receipt| json!(receipt)).map_err(|e| ward.refusal(e))
}

/// The scratch cluster lies beside the others in the data directory and goes away with its guard.
fn verify(wards: &Arc<Wards>, ward: &Ward, id: &BackupId, level: ProofLevel, cx: &dyn JobCx) -> Result<Value, Refusal> {
    let archive = ward.archive_for_reading()?;
    let dir = wards.scratch_dir()?;
    let version = archive.read_summary(id).map_err(EngineError::from)?.source_version;
    let is_server = archive.identity().kind == ClusterKind::Mysql.word();
    // Ended before its directory goes.
    let server = Mutex::new(None);
    let scratch = || {
        if is_server {
            let (started, cluster) = scratch::start(&version, dir.path(), cx.clock())?;
            *server.lock() = Some(started);
            return Ok(cluster);
        }
        let cluster = EmbeddedCluster::open(dir.path(), Options::new(Arc::clone(cx.clock())))?;
        Ok(cluster as Arc<dyn Cluster>)
    };
    Ok(json!(verify::run(
        &archive,
        &*ward.lock_archive()?,
        id,
        level,
        verify::Scratch::Fresh(&scratch),
        cx
    )?))
}
