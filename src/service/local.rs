//! The desk of this process: answers questions from its own clusters, archives and jobs.

use std::sync::Arc;
use std::time::Duration;

use super::acts::{confirmed, named_if_protected};
use super::desk::{Answer, BackupRequest, Desk, HelloAnswer, LogAct, Message, Question, Refusal, RefusalKind};
use super::pages::settings_of;
use super::refusal::{failed, of_job, of_journal, usage};
use super::ward::Ward;
use super::wards::Wards;
use super::work::Task;
use super::{data, shop};
use super::{history, log_control};
use crate::archive::Archive;
use crate::engine::backup::{self, BackupPlan};
use crate::engine::changes::{self, Wanted};
use crate::engine::cx::TestCx;
use crate::engine::error::EngineError;
use crate::engine::point::{RestoreRequest, RestoreTarget};
use crate::engine::restore::plan::RestorePlan;
use crate::engine::restore::planner::{self, Source, Target};
use crate::engine::restore::way_back;
use crate::engine::{delete, retention, truncate};
use crate::jobs::error::{ErrorKind, JobError};
use crate::jobs::journal::{JobQuery, ScheduleSlot};
use crate::jobs::runner::{JobSpec, Runner, Work};
use crate::jobs::schedule::Scheduled;
use crate::model::backup::{BackupTable, BackupType};
use crate::model::clock::{Clock, Millis};
use crate::model::filter::TableFilter;
use crate::model::ids::{BackupId, ClusterName, JobId};
use crate::model::settings::BackupSettings;

/// The longest that one question waits.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// The longest that somebody waits for any change at all: an idle console shall not be woken for nothing.
const MAX_PULSE: Duration = Duration::from_secs(120);

/// What this process is.
#[derive(Clone, Debug)]
pub struct Role {
    /// `console`, `agent` or `command`.
    pub word: &'static str,
    /// Whether this is a demo.
    pub demo: bool,
    /// Whether changes are refused to who asks here.
    pub read_only: bool,
    /// `user@host`.
    pub asked_by: String,
}

/// The desk of this process.
#[derive(Clone)]
pub struct LocalDesk {
    pub(super) wards: Arc<Wards>,
    pub(super) runner: Arc<Runner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) role: Role,
}

impl LocalDesk {
    /// A desk over opened parts.
    pub fn new(wards: Arc<Wards>, runner: Arc<Runner>, clock: Arc<dyn Clock>, role: Role) -> Self {
        let own = Arc::clone(&wards);
        runner.set_rebuild(Arc::new(move |job| {
            let task: Task = serde_json::from_value(job.plan.clone())
                .map_err(|e| JobError::new(ErrorKind::Failed, format!("its plan cannot be read: {e}")))?;
            Ok(work(task, Arc::clone(&own)))
        }));
        LocalDesk {
            wards,
            runner,
            clock,
            role,
        }
    }

    /// The same desk for somebody who asks through the socket.
    pub fn for_user(&self, by: &str, read_only: bool) -> LocalDesk {
        let mut desk = self.clone();
        desk.role.asked_by = by.to_owned();
        desk.role.read_only |= read_only;
        desk
    }

    /// Queues a task.
    pub fn submit(&self, task: Task, slot: Option<ScheduleSlot>, asked_by: &str) -> Result<JobId, Refusal> {
        let plan = serde_json::to_value(&task).map_err(|e| failed(format!("the plan cannot be written down: {e}")))?;
        let spec = JobSpec {
            verb: task.verb(),
            cluster: task.cluster().clone(),
            title: task.title(),
            command: Some(task.command()),
            plan,
            asked_by: asked_by.to_owned(),
            exclusive: Some(task.cluster().to_string()),
            resumable: task.is_resumable(),
            slot,
        };
        self.runner
            .submit(spec, work(task, Arc::clone(&self.wards)))
            .map_err(of_job)
    }

    pub(super) fn start(&self, task: Task) -> Result<Answer, Refusal> {
        self.submit(task, None, &self.role.asked_by).map(Answer::Job)
    }

    /// Surroundings of what is done at once, without a job.
    pub(super) fn at_once(&self) -> TestCx {
        TestCx::new(Arc::clone(&self.clock)).asked_by(&self.role.asked_by)
    }

    fn backup(&self, ward: &Ward, id: &BackupId) -> Result<Answer, Refusal> {
        let (archive, view) = ward.view_for_reading()?;
        let entry = view
            .entries(true, self.clock.now())
            .into_iter()
            .find(|e| e.summary.id == *id);
        let Some(entry) = entry else {
            // Says what is nearest, or why it cannot be used.
            view.backup(id)?;
            return Err(failed(format!("backup {id} cannot be shown")));
        };
        let mut tables = Vec::new();
        let mut reader = archive.manifest_tables(id).map_err(EngineError::from)?;
        while let Some(t) = reader.next().map_err(EngineError::from)? {
            tables.push(BackupTable {
                name: t.name,
                sum: t.sum,
                stored_bytes: t.stored_bytes,
            });
        }
        Ok(Answer::Backup {
            entry: Box::new(entry),
            tables,
        })
    }

    /// Plans and starts a backup.
    pub fn take_backup(
        &self,
        ward: &Ward,
        request: &BackupRequest,
        kind: BackupType,
        slot: Option<ScheduleSlot>,
        asked_by: &str,
    ) -> Result<JobId, Refusal> {
        if let Some(storage) = &request.storage
            && storage != ward.storage_name()?
        {
            return Err(Refusal {
                kind: RefusalKind::Refused,
                chain: vec![format!("{storage} is not the first storage of {}", ward.name())],
                hint: Some("copies in further storages are not in this version; leave out --storage".to_owned()),
            });
        }
        let cluster = ward.cluster()?;
        let facts = cluster.facts().map_err(EngineError::from)?;
        self.check_not_left_closed(ward, &facts.state)?;
        let mut plan = BackupPlan::full(ward.name().clone(), facts.identity, kind);
        plan.filter = TableFilter::parse(&request.filter).map_err(|e| usage(e.to_string()))?;
        (plan.note, plan.keep_days, plan.rate_limit) = (request.note.clone(), request.keep_days, request.rate_limit);
        plan.concurrency = request.concurrency.unwrap_or(plan.concurrency);
        plan.level = request.level.unwrap_or(plan.level);
        let plan = backup::plan(&*cluster, plan)?;
        // Who cannot write the archive hears of it here, not from a failed job.
        ward.lock()?;
        self.submit(Task::Backup { plan }, slot, asked_by)
    }

    fn plan_restore(&self, request: &RestoreRequest) -> Result<RestorePlan, Refusal> {
        let source = self.wards.get(&request.source)?;
        let (archive, view) = source.view_for_restore(&request.point)?;
        let target = match &request.target {
            RestoreTarget::Beside | RestoreTarget::InPlace => Arc::clone(&source),
            RestoreTarget::Cluster { name } => self.wards.get(name)?,
        };
        let cluster = target.cluster()?;
        let own = if Arc::ptr_eq(&source, &target) {
            Some(view.clone())
        } else {
            target.view()?
        };
        let target = Target {
            name: target.name().clone(),
            cluster: &*cluster,
            view: own.as_ref(),
        };
        let mut plan = planner::plan(
            request,
            &Source {
                archive: &archive,
                view: &view,
            },
            &target,
        )?;
        plan.command = plan.command_line();
        history::expect(&self.runner, &mut plan);
        Ok(plan)
    }

    fn restore(&self, plan: RestorePlan, confirm: Option<&str>, undo: bool) -> Result<Answer, Refusal> {
        if let Some(check) = plan.blocked() {
            return Err(EngineError::refused(format!("{}: {}", check.name, check.found), check.wanted.clone()).into());
        }
        let protected = self.wards.get(&plan.target)?.config.protected;
        if plan.needs_typed_name() || protected {
            confirmed(&plan.target, confirm)?;
        }
        self.start(Task::Restore {
            plan: Box::new(plan),
            undo,
        })
    }

    /// A test restore into a cluster of the config: it must be there, and of the backup's kind.
    fn check_scratch(&self, archive: &Archive, scratch: &ClusterName) -> Result<(), Refusal> {
        let facts = self.wards.get(scratch)?.cluster()?.facts().map_err(EngineError::from)?;
        let (here, there) = (facts.kind.word(), archive.identity().kind.as_str());
        if here == there {
            return Ok(());
        }
        Err(EngineError::refused(
            format!("{scratch} is of kind {here}, and the backup is of kind {there}"),
            "name a cluster of the backup's kind, or leave out --scratch",
        )
        .into())
    }

    fn plan_undo(&self, cluster: &ClusterName) -> Result<RestorePlan, Refusal> {
        let (_, view) = self.wards.get(cluster)?.view_for_reading()?;
        self.plan_restore(&way_back::undo_request(&view, cluster, self.clock.now())?)
    }

    fn changes(&self, ward: &Ward, wanted: &Wanted) -> Result<Answer, Refusal> {
        let (archive, view) = ward.view_for_reading()?;
        let codec = crate::engine::verify::codec_of(&archive)?;
        Ok(Answer::Changes(changes::list(&archive, &view, codec, wanted)?))
    }

    fn pulse(&self, since: u64, timeout_ms: u64) -> Answer {
        Answer::Pulse(
            self.runner
                .changed_since(since, Duration::from_millis(timeout_ms).min(MAX_PULSE)),
        )
    }

    fn guard_read_only(&self, question: &Question) -> Result<(), Refusal> {
        if self.role.read_only && question.changes_something() {
            return Err(Refusal {
                kind: RefusalKind::Refused,
                chain: vec!["this is a read-only session".to_owned()],
                hint: Some("start brine without --read-only to change things".to_owned()),
            });
        }
        Ok(())
    }
}

impl Desk for LocalDesk {
    fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        self.guard_read_only(&question)?;
        let now = || self.clock.now();
        match question {
            Question::Hello => Ok(Answer::Hello(self.hello())),
            Question::Fleet => self.fleet().map(Answer::Fleet),
            Question::Cluster { cluster } => Ok(Answer::Cluster(Box::new(self.page(&self.wards.get(&cluster)?)?))),
            Question::Backups { cluster, deleted } => self.backups(&self.wards.get(&cluster)?, deleted),
            Question::Backup { cluster, id } => self.backup(&*self.wards.get(&cluster)?, &id),
            Question::PreviewSettings { cluster, settings } => {
                let view = self.wards.get(&cluster)?.view()?;
                let plan = view.map(|v| retention::plan(&v, &settings, now()));
                plan.map(Answer::Retention).ok_or_else(|| not_yet(&cluster))
            }
            Question::SetSettings {
                cluster,
                settings,
                confirm_name,
            } => {
                let ward = self.wards.get(&cluster)?;
                named_if_protected(&ward, confirm_name.as_deref())?;
                self.set_settings(&ward, &settings)
            }
            Question::LogStatus { cluster } => self.log_status(&*self.wards.get(&cluster)?).map(Answer::Log),
            Question::Changes {
                cluster,
                from,
                to,
                table,
                all,
                limit,
            } => self.changes(
                &*self.wards.get(&cluster)?,
                &Wanted {
                    from,
                    to,
                    table,
                    all,
                    limit,
                },
            ),
            Question::Log {
                cluster,
                act,
                confirm_name,
            } => {
                let ward = self.wards.get(&cluster)?;
                if act == LogAct::Stop {
                    named_if_protected(&ward, confirm_name.as_deref())?;
                }
                // Both change the settings as well.
                let alone = matches!(act, LogAct::Start | LogAct::Stop).then(|| ward.settling.lock());
                log_control::act(&ward, act, &self.role.asked_by, &self.at_once())?;
                drop(alone);
                self.log_status(&ward).map(Answer::Log)
            }
            Question::PlanRestore { request } => Ok(Answer::Restore(Box::new(self.plan_restore(&request)?))),
            Question::Restore { plan, confirm_name } => self.restore(*plan, confirm_name.as_deref(), false),
            Question::PlanUndo { cluster } => Ok(Answer::Restore(Box::new(self.plan_undo(&cluster)?))),
            Question::Undo { plan, confirm_name } => self.restore(*plan, confirm_name.as_deref(), true),
            Question::PlanDelete { cluster, id } => {
                let (_, view) = self.wards.get(&cluster)?.view_for_reading()?;
                Ok(Answer::DeletePlan(delete::plan(&view, &id, now())?))
            }
            Question::Delete {
                cluster,
                id,
                confirm_name,
            } => self.delete(&*self.wards.get(&cluster)?, &id, confirm_name.as_deref()),
            Question::Undelete { cluster, id } => self.undelete(&*self.wards.get(&cluster)?, &id),
            Question::Protect { cluster, id, on } => self.protect(&*self.wards.get(&cluster)?, &id, on),
            Question::TakeBackup { cluster, request } => {
                let ward = self.wards.get(&cluster)?;
                self.take_backup(&ward, &request, BackupType::Manual, None, &self.role.asked_by)
                    .map(Answer::Job)
            }
            Question::Verify {
                cluster,
                id,
                level,
                scratch,
            } => {
                let (archive, view) = self.wards.get(&cluster)?.view_for_reading()?;
                view.backup(&id)?;
                if let Some(scratch) = &scratch {
                    self.check_scratch(&archive, scratch)?;
                }
                self.start(Task::Verify {
                    cluster,
                    id,
                    level,
                    scratch,
                })
            }
            Question::PlanRetention { cluster } => {
                let (_, view) = self.wards.get(&cluster)?.view_for_reading()?;
                Ok(Answer::Retention(retention::plan(&view, &view.settings, now())))
            }
            Question::RunRetention { cluster, confirm_name } => {
                named_if_protected(&*self.wards.get(&cluster)?, confirm_name.as_deref())?;
                self.start(Task::Retention { cluster })
            }
            Question::PlanTruncate {
                cluster,
                until,
                drop_pitr,
            } => {
                let (archive, view) = self.wards.get(&cluster)?.view_for_reading()?;
                Ok(Answer::TruncatePlan(truncate::plan(&archive, &view, until, drop_pitr)?))
            }
            Question::Truncate {
                cluster,
                until,
                drop_pitr,
                confirm_name,
            } => {
                named_if_protected(&*self.wards.get(&cluster)?, confirm_name.as_deref())?;
                self.start(Task::Truncate {
                    cluster,
                    until,
                    drop_pitr,
                })
            }
            Question::CheckCluster { cluster } => self.check_cluster(&*self.wards.get(&cluster)?),
            Question::Adopt { cluster, confirm_name } => {
                self.adopt(&*self.wards.get(&cluster)?, confirm_name.as_deref())
            }
            Question::Open { cluster } => self.open(&*self.wards.get(&cluster)?),
            Question::Jobs { cluster, verb, limit } => {
                let limit = Some(u32::try_from(limit).unwrap_or(u32::MAX));
                self.runner
                    .list(&JobQuery { cluster, verb, limit })
                    .map(Answer::Jobs)
                    .map_err(of_job)
            }
            Question::Job { id } => self
                .runner
                .get(id)
                .map(|j| Answer::JobState(Box::new(j)))
                .map_err(of_job),
            Question::JobError { id } => {
                let error = self.runner.error(id).map_err(of_job)?;
                Ok(Answer::JobError(error.map(of_job)))
            }
            Question::JobLines { id, after } => {
                let lines = self.runner.lines(id, usize::try_from(after).unwrap_or(usize::MAX));
                lines.map(Answer::Lines).map_err(of_job)
            }
            Question::WaitJob { id, timeout_ms } => {
                let job = self.runner.wait(id, Duration::from_millis(timeout_ms).min(MAX_WAIT));
                job.map(|j| Answer::JobState(Box::new(j))).map_err(of_job)
            }
            Question::CancelJob { id, confirm_name } => self.cancel(id, confirm_name.as_deref()),
            Question::ResumeJob { id } => self.runner.resume(id).map(|()| Answer::Job(id)).map_err(of_job),
            Question::Pulse { since, timeout_ms } => Ok(self.pulse(since, timeout_ms)),
            Question::Messages { limit } => self.messages(limit),
            Question::Storages => Ok(self.storages()),
            Question::InEffect => Ok(self.in_effect()),
            Question::CheckStorage { storage } => self.check_storage(&storage),
            Question::Data { cluster, question } => data::answer(&*self.wards.get(&cluster)?, question),
            Question::Accident { cluster, kind } => {
                if !self.role.demo {
                    return Err(EngineError::refused("accidents happen in the demo only", "brine demo").into());
                }
                let session = self
                    .wards
                    .get(&cluster)?
                    .embedded("an accident of the demo")?
                    .session("intern")
                    .map_err(EngineError::from)?;
                Ok(Answer::Committed(
                    shop::accident(&session, kind).map_err(EngineError::from)?,
                ))
            }
        }
    }
}

impl LocalDesk {
    fn hello(&self) -> HelloAnswer {
        HelloAnswer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            role: self.role.word.to_owned(),
            demo: self.role.demo,
            read_only: self.role.read_only,
            now: self.clock.now(),
        }
    }

    fn messages(&self, limit: usize) -> Result<Answer, Refusal> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let all = self.runner.journal().reader().messages(limit).map_err(of_journal)?;
        let message = |m: crate::jobs::journal::Message| Message {
            at: m.at,
            level: m.level,
            cluster: m.cluster.and_then(|c| ClusterName::new(c).ok()),
            text: m.text,
        };
        Ok(Answer::Messages(all.into_iter().map(message).collect()))
    }

    /// What the schedule wants now; of clusters whose archive cannot be read, why not.
    pub fn scheduled_clusters(&self) -> (Vec<Scheduled>, Vec<(ClusterName, Refusal)>) {
        let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
        for ward in self.wards.all() {
            match ward.view() {
                Ok(view) => readable.push(LocalDesk::scheduled(ward, view.as_ref())),
                Err(e) => unreadable.push((ward.name().clone(), e)),
            }
        }
        (readable, unreadable)
    }

    /// The wall clock.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// One cluster.
    pub fn ward(&self, cluster: &ClusterName) -> Result<Arc<Ward>, Refusal> {
        self.wards.get(cluster)
    }

    /// The settings in effect for a cluster.
    pub fn settings(&self, cluster: &ClusterName) -> Result<BackupSettings, Refusal> {
        let ward = self.wards.get(cluster)?;
        Ok(settings_of(&ward, ward.view()?.as_ref()))
    }
}

fn work(task: Task, wards: Arc<Wards>) -> Work {
    Box::new(move |cx| task.run(&wards, cx))
}

fn not_yet(cluster: &ClusterName) -> Refusal {
    Refusal {
        kind: RefusalKind::NotFound,
        chain: vec![format!("{cluster} has no backups yet")],
        hint: Some(format!("take the first: brine backup create {cluster}")),
    }
}
