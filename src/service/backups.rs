//! The list of backups as an operator wants it: what the archive holds, and the runs that are at work, failed or broken.

use std::sync::Arc;

use super::astray;
use super::desk::{Answer, Refusal};
use super::local::LocalDesk;
use super::refusal::of_job;
use super::ward::Ward;
use crate::engine::view::View;
use crate::jobs::journal::JobQuery;
use crate::model::backup::{BackupEntry, BackupStatus, BackupSummary, BackupType, KeptTo, PitrTo};
use crate::model::checksum::TableChecksum;
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, IncarnationId};
use crate::model::job::{Job, JobState, Verb};
use crate::model::position::{Moment, Position};
use crate::model::tso::Tso;
use crate::model::word::Word;

/// So many of the newest backup jobs are looked at for runs that left no backup.
const RUNS: u32 = 50;
/// Failed runs are listed for so long.
const FAILED_SHOWN: i64 = 7 * Millis::DAY;

impl LocalDesk {
    /// All backups of a cluster, newest first.
    pub(super) fn backups(&self, ward: &Arc<Ward>, deleted: bool) -> Result<Answer, Refusal> {
        let view = ward.view()?;
        let now = self.now();
        let mut entries = view.as_ref().map(|v| v.entries(deleted, now)).unwrap_or_default();
        if view.is_some() {
            astray::bound(&mut entries, &self.log_status(ward)?);
        }
        let query = JobQuery {
            cluster: Some(ward.name().clone()),
            verb: Some(Verb::Backup),
            limit: Some(RUNS),
        };
        let jobs = self.runner.list(&query).map_err(of_job)?;
        let recent = jobs.iter().filter(|j| now.since(j.created) < FAILED_SHOWN);
        entries.extend(recent.filter_map(|j| Some(stand_in(ward, j, status_of(j)?))));
        entries.extend(view.iter().flat_map(|v| broken(ward, v)));
        entries.sort_by_key(|e| std::cmp::Reverse(e.summary.commit));
        Ok(Answer::Backups(entries))
    }
}

/// The state of a run that is not, or not yet, a backup.
fn status_of(job: &Job) -> Option<BackupStatus> {
    match job.state {
        JobState::Queued | JobState::Running | JobState::Cancelling => Some(BackupStatus::Running { job: job.id }),
        JobState::Failed => Some(BackupStatus::Failed {
            error: job.error.first().cloned().unwrap_or_default(),
        }),
        JobState::Interrupted => Some(BackupStatus::Incomplete),
        JobState::Succeeded | JobState::Cancelled => None,
    }
}

/// A line for a run, with what is known of it.
fn stand_in(ward: &Ward, job: &Job, status: BackupStatus) -> BackupEntry {
    let kind = match job.asked_by.as_str() {
        "schedule" => BackupType::Auto,
        _ => BackupType::Manual,
    };
    let id = BackupId::of_job(job.id);
    entry(ward, id, job.created, kind, &job.asked_by, status)
}

/// Backups whose manifest cannot be used, dated by their ids.
fn broken(ward: &Ward, view: &View) -> Vec<BackupEntry> {
    let line = |(id, error): &(BackupId, String)| {
        let status = BackupStatus::Broken { error: error.clone() };
        entry(
            ward,
            id.clone(),
            id.dated().unwrap_or_default(),
            BackupType::Manual,
            "",
            status,
        )
    };
    view.broken.iter().map(line).collect()
}

fn entry(ward: &Ward, id: BackupId, at: Millis, kind: BackupType, by: &str, status: BackupStatus) -> BackupEntry {
    BackupEntry {
        summary: Arc::new(BackupSummary {
            id,
            cluster: ward.name().clone(),
            cluster_identity: Word::default(),
            incarnation: IncarnationId(0),
            kind,
            commit: Moment::of_millis(at),
            position: Position::Tso(Tso::ZERO),
            started: at,
            finished: at,
            tables: 0,
            totals: TableChecksum::default(),
            stored_bytes: 0,
            objects: 0,
            filter: Vec::new(),
            keep_days: None,
            note: None,
            source_version: Word::default(),
            tool_version: Word::default(),
            asked_by: by.into(),
        }),
        status,
        protection: None,
        proof: None,
        kept_to: KeptTo::Instant { at },
        pitr_to: PitrTo::SnapshotOnly,
    }
}
