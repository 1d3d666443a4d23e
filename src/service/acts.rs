//! Small acts that are done at once, or that check something before their job is queued.

use super::desk::{Answer, LogAct, Refusal};
use super::local::LocalDesk;
use super::log_control;
use super::refusal::{of_job, of_journal};
use super::ward::Ward;
use super::work::Task;
use crate::archive::state::{LogDoc, ProtectDoc};
use crate::cluster::ClusterState;
use crate::engine::delete;
use crate::engine::error::EngineError;
use crate::jobs::journal::JobQuery;
use crate::model::backup::Protection;
use crate::model::ids::{BackupId, ClusterName, JobId};
use crate::model::job::{Job, JobState, Verb};
use crate::model::log::LogDesired;
use crate::model::settings::BackupSettings;

impl LocalDesk {
    pub(super) fn set_settings(&self, ward: &Ward, settings: &BackupSettings) -> Result<Answer, Refusal> {
        let (archive, lock) = (ward.archive()?, ward.lock()?);
        let _alone = ward.settling.lock();
        let (_, before) = archive
            .update(&lock, |doc: &mut BackupSettings| {
                std::mem::replace(doc, settings.clone())
            })
            .map_err(EngineError::from)?;
        let rescheduled = (before.schedule, before.backup_time, before.time_zone)
            != (settings.schedule, settings.backup_time, settings.time_zone);
        if rescheduled {
            self.runner
                .journal()
                .schedule_changed(ward.name(), self.clock.now())
                .map_err(of_journal)?;
        }
        // The log's own wish decides, not the settings before: an act that failed the last time is done now.
        let log = archive.state::<LogDoc>().map_err(EngineError::from)?.value;
        let wanted = matches!(log.desired, Some(LogDesired::Running | LogDesired::Paused));
        if settings.pitr != wanted {
            let wanted = if settings.pitr { LogAct::Start } else { LogAct::Stop };
            log_control::act(ward, wanted, &self.role.asked_by, &self.at_once())?;
        }
        Ok(Answer::Done("settings saved".to_owned()))
    }

    pub(super) fn protect(&self, ward: &Ward, id: &BackupId, on: bool) -> Result<Answer, Refusal> {
        let (archive, view) = ward.view_for_reading()?;
        view.backup(id)?;
        let protection = Protection {
            by: self.role.asked_by.clone(),
            at: self.clock.now(),
        };
        let change = |doc: &mut ProtectDoc| match on {
            true => doc.0.entry(id.clone()).or_insert_with(|| protection.clone()).clone(),
            false => doc.0.remove(id).unwrap_or_else(|| protection.clone()),
        };
        archive
            .update(&*ward.lock_archive()?, change)
            .map_err(EngineError::from)?;
        Ok(Answer::Done(format!(
            "{id} is {}",
            if on { "protected" } else { "no longer protected" }
        )))
    }

    pub(super) fn delete(&self, ward: &Ward, id: &BackupId, confirm: Option<&str>) -> Result<Answer, Refusal> {
        let (_, view) = ward.view_for_reading()?;
        let plan = delete::plan(&view, id, self.clock.now())?;
        if let Some(why) = plan.refused {
            return Err(
                EngineError::refused(format!("backup {id} cannot be deleted: {why}"), "choose another backup").into(),
            );
        }
        if plan.last_good || ward.config.protected {
            confirmed(ward.name(), confirm)?;
        }
        self.start(Task::Delete {
            cluster: ward.name().clone(),
            id: id.clone(),
            confirmed: confirm == Some(ward.name().as_str()),
        })
    }

    pub(super) fn undelete(&self, ward: &Ward, id: &BackupId) -> Result<Answer, Refusal> {
        let archive = ward.archive_for_reading()?;
        archive
            .take_back(&*ward.lock_archive()?, id)
            .map_err(EngineError::from)?;
        Ok(Answer::Done(format!("{id} is back")))
    }

    /// Cancelling a restore that overwrites a database is a typed act, once it has begun.
    pub(super) fn cancel(&self, id: JobId, confirm: Option<&str>) -> Result<Answer, Refusal> {
        let job = self.runner.get(id).map_err(of_job)?;
        let begun = matches!(
            job.state,
            JobState::Running | JobState::Cancelling | JobState::Interrupted
        );
        if begun && overwrites(&job) {
            confirmed(&job.cluster, confirm)?;
        }
        let state = self.runner.cancel(id).map_err(of_job)?;
        Ok(Answer::Done(format!("job {id} is {}", state.word())))
    }

    /// The restore into a cluster that is queued or runs.
    fn restoring(&self, cluster: &ClusterName) -> Result<Option<Job>, Refusal> {
        let jobs = self.last_jobs(cluster)?;
        let restores = |j: &Job| !j.state.is_over() && matches!(j.verb, Verb::Restore | Verb::Undo);
        Ok(jobs.into_iter().find(restores))
    }

    fn last_jobs(&self, cluster: &ClusterName) -> Result<Vec<Job>, Refusal> {
        let query = JobQuery {
            cluster: Some(cluster.clone()),
            verb: None,
            limit: Some(20),
        };
        self.runner.list(&query).map_err(of_job)
    }

    /// A cluster that a restore closed and left is not backed up: nobody knows yet what it is going to hold.
    ///
    /// Behind a restore that still runs a backup waits for its turn.
    pub(super) fn check_not_left_closed(&self, ward: &Ward, state: &ClusterState) -> Result<(), Refusal> {
        if !matches!(state, ClusterState::Restoring { .. }) || self.restoring(ward.name())?.is_some() {
            return Ok(());
        }
        let jobs = self.last_jobs(ward.name())?;
        let left = jobs
            .iter()
            .find(|j| matches!(j.verb, Verb::Restore | Verb::Undo) && j.resumable);
        let resume = left.map_or_else(String::new, |j| {
            format!("go on with it: brine job resume {}; or ", j.id)
        });
        Err(left_closed(ward.name(), &resume))
    }

    pub(super) fn open(&self, ward: &Ward) -> Result<Answer, Refusal> {
        let cluster = ward.cluster()?;
        let state = cluster.facts().map_err(EngineError::from)?.state;
        let restoring = self.restoring(ward.name())?;
        if let (ClusterState::Restoring { .. }, Some(job)) = (&state, restoring) {
            return Err(EngineError::refused(
                format!("{} is being restored by job {}", ward.name(), job.id),
                format!("wait for it, or cancel it: brine job cancel {}", job.id),
            )
            .into());
        }
        cluster.open().map_err(EngineError::from)?;
        ward.forget_facts();
        Ok(Answer::Done(format!("{} is open", ward.name())))
    }
}

/// Says that a restore closed a cluster and did not end; `resume` is advice that goes before.
pub(super) fn left_closed(cluster: &ClusterName, resume: &str) -> Refusal {
    EngineError::refused(
        format!("{cluster} was closed by a restore that has not ended: it cannot be backed up now"),
        format!("{resume}open it as it is: brine cluster open {cluster}"),
    )
    .into()
}

/// Whether a job is a restore over something that is there: in place, or with `--replace`.
pub fn overwrites(job: &Job) -> bool {
    match serde_json::from_value(job.plan.clone()) {
        Ok(Task::Restore { plan, .. }) => plan.losses.is_some(),
        Ok(_) => false,
        // Its plan is of another version: better ask once too often.
        Err(_) => matches!(job.verb, Verb::Restore | Verb::Undo),
    }
}

/// Every dangerous act on a protected cluster needs its typed name.
pub(super) fn named_if_protected(ward: &Ward, typed: Option<&str>) -> Result<(), Refusal> {
    match ward.config.protected {
        true => confirmed(ward.name(), typed),
        false => Ok(()),
    }
}

/// The typed name must be the target's.
pub(super) fn confirmed(name: &ClusterName, typed: Option<&str>) -> Result<(), Refusal> {
    if typed == Some(name.as_str()) {
        return Ok(());
    }
    let what = match typed {
        None => format!("this needs the typed name of {name}"),
        Some(other) => format!("the typed name `{}` is not {name}", crate::model::text::safe(other, 64)),
    };
    Err(EngineError::refused(what, format!("add --confirm-name {name}")).into())
}
