//! A server with its archive, and short words for every verb.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brine::archive::state::LogDoc;
use brine::archive::{Archive, ArchiveIdentity, ArchiveLock, Holder};
use brine::cluster::Cluster;
use brine::cluster::mysql::{MysqlCluster, MysqlOptions};
use brine::engine::backup::{self, BackupPlan};
use brine::engine::cx::{JobCx, TestCx};
use brine::engine::error::EngineError;
use brine::engine::log::task::{LogShared, LogTask};
use brine::engine::log::{LogOptions, control};
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::engine::restore::plan::{RestorePlan, RestoreReceipt};
use brine::engine::restore::planner::{self, Source, Target};
use brine::engine::restore::run::{LogControl, RestoreRun, TargetArchive};
use brine::engine::restore::way_back;
use brine::engine::view::{SummaryCache, View};
use brine::model::backup::{BackupSummary, BackupType};
use brine::model::clock::SystemClock;
use brine::model::filter::{RenameMap, TableFilter};
use brine::model::ids::{BackupId, ClusterName};
use brine::model::log::LogDesired;
use brine::model::position::Moment;
use brine::storage::Storage;
use brine::storage::local::Local;
use brine::storage::memory::Memory;

use crate::server::Server;

/// Whatever was wrong, with its causes.
pub fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(c) = cause {
        text = format!("{text}: {c}");
        cause = c.source();
    }
    text
}

/// The value, or a failure with all causes.
pub fn ok<T>(what: &str, result: Result<T, EngineError>) -> T {
    result.unwrap_or_else(|e| panic!("{what}: {}", chain(&e)))
}

/// A server as brine sees it, with its archive.
pub struct World {
    pub name: ClusterName,
    pub log_options: LogOptions,
    /// Cut tables into several ranges, small as they are.
    pub split: bool,
    /// Whether it has an archive of its own, which restores into it must mind.
    pub archived: bool,
    pub archive: Archive,
    pub lock: Arc<ArchiveLock>,
    pub cluster: Arc<MysqlCluster>,
}

impl World {
    /// A server, archived in memory.
    pub fn new(server: &Server) -> World {
        World::on(server.options(), "shop", Arc::new(Memory::new()))
    }

    /// A server to restore into.
    pub fn target(server: &Server) -> World {
        World {
            archived: false,
            ..World::on(server.options(), "other", Arc::new(Memory::new()))
        }
    }

    /// Archived in a directory, as several processes find it.
    pub fn in_dir(options: MysqlOptions, dir: &Path) -> World {
        World::on(options, "shop", Arc::new(Local::create(dir).unwrap()))
    }

    pub fn on(options: MysqlOptions, name: &str, storage: Arc<dyn Storage>) -> World {
        let cluster = Arc::new(MysqlCluster::new(options, Arc::new(SystemClock)));
        let name = ClusterName::new(name).unwrap();
        let facts = cluster.facts().unwrap_or_else(|e| panic!("{}", chain(&e)));
        let identity = ArchiveIdentity {
            cluster: name.clone(),
            cluster_identity: facts.identity,
            kind: "mysql".to_owned(),
            created: brine::model::clock::Clock::now(&SystemClock),
        };
        let archive = Archive::create(storage, identity).unwrap();
        let holder = Holder::here("test", "tests").unwrap();
        let lock = ArchiveLock::take(&archive, holder, Arc::new(SystemClock)).unwrap();
        World {
            name,
            log_options: LogOptions {
                flush_every: Duration::from_secs(3600),
                flush_bytes: 20_000,
                level: 1,
            },
            split: true,
            archived: true,
            archive,
            lock: Arc::new(lock),
            cluster,
        }
    }

    /// The driver, as every part of brine uses it.
    pub fn c(&self) -> &Arc<MysqlCluster> {
        &self.cluster
    }

    pub fn cx(&self) -> TestCx {
        TestCx::default()
    }

    pub fn view(&self) -> View {
        ok(
            "reading the archive",
            View::read(&self.archive, &SummaryCache::default()),
        )
    }

    // --- backup ---------------------------------------------------------------------------------

    pub fn plan_backup(&self) -> Result<BackupPlan, EngineError> {
        let identity = self.c().facts()?.identity;
        let plan = BackupPlan::full(self.name.clone(), identity, BackupType::Auto);
        let mut plan = backup::plan(&**self.c(), plan)?;
        if self.split {
            plan.bytes_estimate = 1 << 40;
        }
        Ok(plan)
    }

    pub fn try_backup(&self) -> Result<BackupSummary, EngineError> {
        let plan = self.plan_backup()?;
        backup::run(&**self.c(), &self.archive, &self.lock, &plan, &self.cx())
    }

    pub fn backup(&self) -> BackupSummary {
        ok("backup", self.try_backup())
    }

    // --- log ------------------------------------------------------------------------------------

    /// Wants the log backup, and begins it.
    pub fn start_log(&self) {
        ok("starting the log", control::start(&self.archive, &self.lock));
        self.catch_up();
    }

    pub fn log_task(&self) -> LogTask {
        LogTask {
            cluster: self.c().clone(),
            archive: self.archive.clone(),
            lock: self.lock.clone(),
            options: self.log_options.clone(),
            shared: Arc::new(LogShared::default()),
        }
    }

    pub fn try_catch_up(&self, cx: &dyn JobCx) -> Result<Moment, EngineError> {
        self.log_task().catch_up(cx)
    }

    /// Brings the log backup up to the present.
    pub fn catch_up(&self) -> Moment {
        ok("archiving the log", self.try_catch_up(&self.cx()))
    }

    pub fn log_doc(&self) -> LogDoc {
        self.archive.state::<LogDoc>().unwrap().value
    }

    // --- restore --------------------------------------------------------------------------------

    pub fn request(&self, point: RestorePoint, target: RestoreTarget) -> RestoreRequest {
        RestoreRequest::new(self.name.clone(), point, target)
    }

    /// Into another server, over whatever is there.
    pub fn request_to(&self, target: &World, point: RestorePoint) -> RestoreRequest {
        let name = target.name.clone();
        RestoreRequest {
            replace: true,
            ..self.request(point, RestoreTarget::Cluster { name })
        }
    }

    pub fn plan_to(&self, request: &RestoreRequest, target: &World) -> Result<RestorePlan, EngineError> {
        let (view, target_view) = (self.view(), target.view());
        let source = Source {
            archive: &self.archive,
            view: &view,
        };
        let target = Target {
            name: target.name.clone(),
            cluster: &**target.c(),
            view: target.archived.then_some(&target_view),
        };
        planner::plan(request, &source, &target)
    }

    pub fn run_to(
        &self,
        plan: &RestorePlan,
        target: &World,
        undo: bool,
        cx: &dyn JobCx,
    ) -> Result<RestoreReceipt, EngineError> {
        let own = TargetArchive {
            archive: &target.archive,
            lock: &target.lock,
        };
        let run = RestoreRun {
            plan,
            source: &self.archive,
            target: &**target.c(),
            target_archive: target.archived.then_some(own),
            log: &Logs(vec![self, target]),
            undo,
            cx,
        };
        run.run()
    }

    pub fn try_restore(&self, request: &RestoreRequest, target: &World) -> Result<RestoreReceipt, EngineError> {
        self.run_to(&self.plan_to(request, target)?, target, false, &self.cx())
    }

    /// Restores a point into another server.
    pub fn restore_to(&self, target: &World, point: RestorePoint) -> RestoreReceipt {
        let what = format!("restoring {point:?}");
        ok(&what, self.try_restore(&self.request_to(target, point), target))
    }

    /// Restores some tables into another server.
    pub fn restore_some(&self, target: &World, point: RestorePoint, filter: &[&str]) -> RestoreReceipt {
        let request = RestoreRequest {
            filter: TableFilter::parse(filter).unwrap(),
            ..self.request_to(target, point)
        };
        ok("restoring some", self.try_restore(&request, target))
    }

    pub fn try_in_place(&self, point: RestorePoint) -> Result<RestoreReceipt, EngineError> {
        self.try_restore(&self.request(point, RestoreTarget::InPlace), self)
    }

    pub fn in_place(&self, point: RestorePoint) -> RestoreReceipt {
        let what = format!("in place, {point:?}");
        ok(&what, self.try_in_place(point))
    }

    /// Under new names in the same server.
    pub fn beside(&self, point: RestorePoint, filter: &[&str], rename: RenameMap) -> RestoreReceipt {
        let request = RestoreRequest {
            filter: TableFilter::parse(filter).unwrap(),
            rename,
            ..self.request(point, RestoreTarget::Beside)
        };
        ok("beside", self.try_restore(&request, self))
    }

    /// Restores the way back of the last restore.
    pub fn undo(&self) -> RestoreReceipt {
        let now = brine::model::clock::Clock::now(&SystemClock);
        let request = ok("undo", way_back::undo_request(&self.view(), &self.name, now));
        let plan = ok("planning the undo", self.plan_to(&request, self));
        ok("undo", self.run_to(&plan, self, true, &self.cx()))
    }
}

pub fn snapshot(id: &BackupId) -> RestorePoint {
    RestorePoint::Snapshot { id: id.clone() }
}

pub fn through(change: &str) -> RestorePoint {
    let change = change.to_owned();
    RestorePoint::Through { change }
}

pub fn before(change: &str) -> RestorePoint {
    let change = change.to_owned();
    RestorePoint::Before { change }
}

/// The log backups of some worlds, caught up in the calling thread.
pub struct Logs<'a>(pub Vec<&'a World>);

impl LogControl for Logs<'_> {
    fn flush(&self, cluster: &ClusterName, cx: &dyn JobCx) -> Result<Option<Moment>, EngineError> {
        let Some(world) = self.0.iter().find(|w| w.name == *cluster) else {
            return Ok(None);
        };
        if world.archive.state::<LogDoc>()?.value.desired != Some(LogDesired::Running) {
            return Ok(None);
        }
        world.try_catch_up(cx).map(Some)
    }
}
