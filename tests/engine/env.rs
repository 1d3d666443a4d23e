//! A cluster with its archive, a clock that the test moves, and short words for every verb.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brine::archive::state::LogDoc;
use brine::archive::{Archive, ArchiveIdentity, ArchiveLock, Holder};
use brine::cluster::Cluster;
use brine::cluster::embedded::{EmbeddedCluster, Options, Session};
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
use brine::model::checksum::TableChecksum;
use brine::model::clock::{Clock, ManualClock, Millis, SystemClock};
use brine::model::filter::TableFilter;
use brine::model::ids::ClusterName;
use brine::model::log::LogDesired;
use brine::model::position::Moment;
use brine::model::table::TableName;
use brine::model::tso::Tso;
use brine::storage::Storage;
use brine::storage::memory::Memory;

/// 14 Nov 2023, 23:59:30 UTC: a day ends soon.
pub const START: Millis = Millis(1_700_006_370_000);

pub type Sums = Vec<(TableName, TableChecksum)>;

pub fn t(db: &str, table: &str) -> TableName {
    TableName::new(db, table)
}

pub fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

/// In memory where the system has such a place: these tests write much and trust nothing to survive a power cut.
pub fn scratch_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

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

/// A cluster of the tests, with an archive where it has one.
pub struct World {
    pub dir: PathBuf,
    temp: Option<tempfile::TempDir>,
    pub clock: Arc<ManualClock>,
    pub name: ClusterName,
    pub storage: Arc<dyn Storage>,
    pub log_options: LogOptions,
    pub history: Option<Duration>,
    /// Cut tables into several ranges, small as they are.
    pub split: bool,
    pub archive: Archive,
    pub lock: Arc<ArchiveLock>,
    cluster: Option<Arc<EmbeddedCluster>>,
    spare: std::sync::OnceLock<Box<World>>,
}

impl World {
    /// A new cluster, archived in memory.
    pub fn new() -> World {
        World::on(Arc::new(Memory::new()))
    }

    /// A new cluster, archived in `storage`.
    pub fn on(storage: Arc<dyn Storage>) -> World {
        World::with(storage, "demo", None)
    }

    pub fn with(storage: Arc<dyn Storage>, cluster_name: &str, history: Option<Duration>) -> World {
        let temp = scratch_dir();
        let world = World::open(temp.path(), storage, cluster_name, history, START);
        World {
            temp: Some(temp),
            ..world
        }
    }

    /// A world that is there already.
    pub fn existing(dir: &Path, storage: Arc<dyn Storage>, now: Millis) -> World {
        World::open(dir, storage, "demo", None, now)
    }

    /// One of another name.
    pub fn at(dir: &Path, storage: Arc<dyn Storage>, cluster_name: &str, now: Millis) -> World {
        World::open(dir, storage, cluster_name, None, now)
    }

    /// Deletes this directory at the end.
    pub fn owning(self, temp: tempfile::TempDir) -> World {
        World {
            temp: Some(temp),
            ..self
        }
    }

    fn open(
        dir: &Path,
        storage: Arc<dyn Storage>,
        cluster_name: &str,
        history: Option<Duration>,
        now: Millis,
    ) -> World {
        let clock = Arc::new(ManualClock::new(now));
        let options = Options::new(clock.clone()).with_history(history);
        let cluster = EmbeddedCluster::open(dir, options).unwrap();
        let identity = ArchiveIdentity {
            cluster: name(cluster_name),
            cluster_identity: cluster.facts().unwrap().identity,
            kind: "embedded".to_owned(),
            created: START,
        };
        let archive = Archive::create(storage.clone(), identity).unwrap();
        let holder = Holder::here("test", "tests").unwrap();
        let lock = ArchiveLock::take(&archive, holder, Arc::new(SystemClock)).unwrap();
        World {
            dir: dir.to_owned(),
            temp: None,
            clock,
            name: name(cluster_name),
            storage,
            log_options: LogOptions {
                flush_every: Duration::from_secs(3600),
                flush_bytes: 400,
                level: 1,
            },
            history,
            split: false,
            archive,
            lock: Arc::new(lock),
            cluster: Some(cluster),
            spare: std::sync::OnceLock::new(),
        }
    }

    /// An empty cluster to restore into, made when it is asked for.
    pub fn spare(&self) -> &World {
        self.spare.get_or_init(|| Box::new(crate::moments::other()))
    }

    /// Restores into this cluster then.
    pub fn with_spare(self, spare: World) -> World {
        assert!(self.spare.set(Box::new(spare)).is_ok());
        self
    }

    /// Closes everything; what is left is the directory.
    pub fn into_dir(self) -> tempfile::TempDir {
        self.temp.unwrap()
    }

    pub fn c(&self) -> &Arc<EmbeddedCluster> {
        self.cluster.as_ref().unwrap()
    }

    /// As after the end of one process and the start of the next.
    pub fn reopen(&mut self) {
        self.cluster = None;
        let options = Options::new(self.clock.clone()).with_history(self.history);
        self.cluster = Some(EmbeddedCluster::open(&self.dir, options).unwrap());
    }

    pub fn app(&self) -> Session {
        self.c().session("app").unwrap()
    }

    pub fn cx(&self) -> TestCx {
        TestCx::new(self.clock.clone())
    }

    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    pub fn advance(&self, ms: i64) {
        self.clock.set(self.now().plus(ms));
    }

    pub fn try_view(&self) -> Result<View, EngineError> {
        View::read(&self.archive, &SummaryCache::default())
    }

    pub fn view(&self) -> View {
        self.try_view().unwrap()
    }

    pub fn log_doc(&self) -> LogDoc {
        self.archive.state::<LogDoc>().unwrap().value
    }

    /// Every object of the archive with its size, the lock left out: it beats.
    pub fn listing(&self) -> BTreeMap<String, u64> {
        list(&*self.storage)
    }

    // --- backup ---------------------------------------------------------------------------------

    pub fn plan_backup(&self, kind: BackupType) -> BackupPlan {
        let identity = self.c().facts().unwrap().identity;
        let plan = BackupPlan::full(self.name.clone(), identity, kind);
        let mut plan = backup::plan(&**self.c(), plan).unwrap();
        if self.split {
            plan.bytes_estimate = 1 << 40;
        }
        plan
    }

    pub fn backup(&self) -> BackupSummary {
        self.try_backup(&self.cx()).unwrap()
    }

    pub fn try_backup(&self, cx: &dyn JobCx) -> Result<BackupSummary, EngineError> {
        self.run_backup(&self.plan_backup(BackupType::Auto), cx)
    }

    pub fn run_backup(&self, plan: &BackupPlan, cx: &dyn JobCx) -> Result<BackupSummary, EngineError> {
        backup::run(&**self.c(), &self.archive, &self.lock, plan, cx)
    }

    // --- log ------------------------------------------------------------------------------------

    /// Wants the log backup, and begins it.
    pub fn start_log(&self) {
        control::start(&self.archive, &self.lock).unwrap();
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
        self.try_catch_up(&self.cx())
            .unwrap_or_else(|e| panic!("{}", chain(&e)))
    }

    // --- restore --------------------------------------------------------------------------------

    pub fn request(&self, point: RestorePoint, target: RestoreTarget) -> RestoreRequest {
        RestoreRequest::new(self.name.clone(), point, target)
    }

    /// A restore of a moment into another cluster, over whatever is there.
    pub fn request_to(&self, other: &World, at: Tso) -> RestoreRequest {
        let point = RestorePoint::At {
            moment: Moment::of_tso(at),
        };
        let target = RestoreTarget::Cluster {
            name: other.name.clone(),
        };
        RestoreRequest {
            replace: true,
            ..self.request(point, target)
        }
    }

    pub fn plan(&self, request: &RestoreRequest) -> Result<RestorePlan, EngineError> {
        self.plan_to(request, self)
    }

    /// Plans a restore of this cluster's archive into `target`'s cluster.
    pub fn plan_to(&self, request: &RestoreRequest, target: &World) -> Result<RestorePlan, EngineError> {
        let view = View::read_for(&self.archive, &SummaryCache::default(), &request.point)?;
        let target_view = View::read_for(&target.archive, &SummaryCache::default(), &request.point)?;
        planner::plan(
            request,
            &Source {
                archive: &self.archive,
                view: &view,
            },
            &Target {
                name: target.name.clone(),
                cluster: &**target.c(),
                view: (target.name != name("other")).then_some(&target_view),
            },
        )
    }

    pub fn run(&self, plan: &RestorePlan, cx: &dyn JobCx) -> Result<RestoreReceipt, EngineError> {
        self.run_to(plan, self, false, cx)
    }

    pub fn run_to(
        &self,
        plan: &RestorePlan,
        target: &World,
        undo: bool,
        cx: &dyn JobCx,
    ) -> Result<RestoreReceipt, EngineError> {
        let run = RestoreRun {
            log: &Logs(vec![self, target]),
            ..self.restore_run(plan, target, undo, cx)
        };
        run.run()
    }

    /// Without any log backup.
    pub fn restore_run<'a>(
        &'a self,
        plan: &'a RestorePlan,
        target: &'a World,
        undo: bool,
        cx: &'a dyn JobCx,
    ) -> RestoreRun<'a> {
        let own = TargetArchive {
            archive: &target.archive,
            lock: &target.lock,
        };
        RestoreRun {
            plan,
            source: &self.archive,
            target: &**target.c(),
            target_archive: (target.name != name("other")).then_some(own),
            log: &NoLogs,
            undo,
            cx,
        }
    }

    pub fn restore(&self, request: &RestoreRequest) -> Result<RestoreReceipt, EngineError> {
        self.run(&self.plan(request)?, &self.cx())
    }

    pub fn restore_to(&self, request: &RestoreRequest, target: &World) -> Result<RestoreReceipt, EngineError> {
        self.run_to(&self.plan_to(request, target)?, target, false, &self.cx())
    }

    pub fn in_place(&self, at: Tso) -> Result<RestoreReceipt, EngineError> {
        let point = RestorePoint::At {
            moment: Moment::of_tso(at),
        };
        self.restore(&self.request(point, RestoreTarget::InPlace))
    }

    /// Restores the way back of the last restore.
    pub fn undo(&self) -> Result<RestoreReceipt, EngineError> {
        let request = way_back::undo_request(&self.view(), &self.name, self.now())?;
        self.run_to(&self.plan(&request)?, self, true, &self.cx())
    }

    // --- looking --------------------------------------------------------------------------------

    pub fn sums(&self) -> Sums {
        self.c().checksums(&TableFilter::all(), None).unwrap()
    }

    /// What the cluster itself remembers of a moment: the oracle.
    pub fn sums_at(&self, at: Tso) -> Sums {
        self.c()
            .checksums(&TableFilter::all(), Some(Moment::of_tso(at)))
            .unwrap()
    }

    /// A timestamp after everything that was committed.
    pub fn mark(&self) -> Tso {
        self.c().mark().unwrap().moment.last_tso()
    }
}

/// No log backup runs.
pub struct NoLogs;

impl LogControl for NoLogs {
    fn flush(&self, _: &ClusterName, _: &dyn JobCx) -> Result<Option<Moment>, EngineError> {
        Ok(None)
    }
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

/// Every object below the root with its size, locks left out.
pub fn list(storage: &dyn Storage) -> BTreeMap<String, u64> {
    use brine::storage::DirName;
    let mut all = BTreeMap::new();
    let mut dirs = vec![DirName::root()];
    while let Some(dir) = dirs.pop() {
        for object in storage.list(&dir, None, 100_000).unwrap() {
            if object.name.file() != "lock" {
                all.insert(object.name.to_string(), object.size);
            }
        }
        for sub in storage.list_dirs(&dir, None, 100_000).unwrap() {
            dirs.push(dir.join(&sub).unwrap());
        }
    }
    all
}

/// The part of checksums that a filter wants.
pub fn only(sums: &Sums, filter: &[&str]) -> Sums {
    let filter = TableFilter::parse(filter).unwrap();
    sums.iter().filter(|(name, _)| filter.matches(name)).cloned().collect()
}
