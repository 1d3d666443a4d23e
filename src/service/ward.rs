//! A ward: one cluster in this process's care, with its archive, its lock and its log keeper.
//!
//! Everything is opened when it is first needed, so that a dead database does not keep its archive from being read and a
//! locked archive does not keep its window from being shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::database::{self, Database};
use super::desk::{Refusal, RefusalKind};
use super::keeper::{Keeper, Tell};
use super::traffic::Traffic;
use super::watch::Watch;
use crate::archive::{Archive, ArchiveIdentity, ArchiveLock, Holder};
use crate::cluster::embedded::{EmbeddedCluster, Options};
use crate::cluster::mysql::MysqlCluster;
use crate::cluster::{Cluster, ClusterError, ClusterFacts, ClusterState};
use crate::config::{ClusterConfig, ClusterSource};
use crate::engine::adopt;
use crate::engine::error::EngineError;
use crate::engine::log::LogOptions;
use crate::engine::log::task::{LogShared, LogTask};
use crate::engine::point::RestorePoint;
use crate::engine::view::{SummaryCache, View};
use crate::model::clock::Clock;
use crate::model::disk;
use crate::model::ids::{ClusterName, StorageName};
use crate::storage::Storage;

/// Opens a storage by its name in the config.
pub type OpenStorage = Arc<dyn Fn(&StorageName) -> Result<Arc<dyn Storage>, Refusal> + Send + Sync>;

/// How wards are opened.
#[derive(Clone)]
pub struct WardOptions {
    /// The clock of everything.
    pub clock: Arc<dyn Clock>,
    /// History window of embedded clusters; `None` keeps all history.
    pub history: Option<std::time::Duration>,
    /// How the log backup works.
    pub log: LogOptions,
    /// The folder for what is too large for memory.
    pub spool: PathBuf,
    /// Who holds the archive locks.
    pub holder: Holder,
    /// Opens a storage by name.
    pub open_storage: OpenStorage,
    /// Takes messages for the operator.
    pub tell: Tell,
}

/// One cluster in our care.
pub struct Ward {
    /// What the operator wrote of it.
    pub config: ClusterConfig,
    /// The archive's summaries that were read before.
    pub cache: SummaryCache,
    /// Keeps its log backup running.
    pub keeper: Keeper,
    /// Held while a log backup catches up without its keeper: two must never write one log.
    pub catching_up: Mutex<()>,
    /// Held while settings are saved and the log backup is made to follow them: two who save at once get the settings of
    /// one, and not of each a part.
    pub settling: Mutex<()>,
    /// Made-up applications, for the demo and for learning.
    pub traffic: Traffic,
    options: WardOptions,
    database: Mutex<Option<Database>>,
    watch: Watch,
    archive: Mutex<Option<Archive>>,
    lock: Mutex<Option<Arc<ArchiveLock>>>,
}

impl Ward {
    /// A ward with nothing opened yet.
    pub fn new(config: ClusterConfig, options: WardOptions) -> Self {
        Ward {
            cache: SummaryCache::default(),
            keeper: Keeper::new(Arc::clone(&options.clock), Arc::clone(&options.tell)),
            catching_up: Mutex::default(),
            settling: Mutex::default(),
            traffic: Traffic::default(),
            config,
            options,
            database: Mutex::default(),
            watch: Watch::default(),
            archive: Mutex::default(),
            lock: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &ClusterName {
        &self.config.name
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.options.clock
    }

    /// Where the database is, for people.
    pub fn place(&self) -> String {
        database::place(&self.config.source)
    }

    /// A failure, with the place of the database where its disk is full.
    pub(super) fn refusal(&self, e: EngineError) -> Refusal {
        let advice = e.store_advice();
        let mut refusal = Refusal::from(e);
        if let Some(advice) = advice {
            refusal.hint = Some(disk::advice_in(advice, &self.place()));
        }
        refusal
    }

    /// The database, opened now if it was not. A server is connected to when it is first asked something.
    pub fn cluster(&self) -> Result<Arc<dyn Cluster>, EngineError> {
        Ok(self.database()?.cluster())
    }

    /// The store in this process, for what only it can do: `what` begins the sentence that says so.
    pub fn embedded(&self, what: &str) -> Result<Arc<EmbeddedCluster>, EngineError> {
        match self.database()? {
            Database::Embedded(cluster) => Ok(cluster),
            Database::Mysql(_) => Err(database::not_embedded(self.name(), what)),
        }
    }

    /// The server, if it is one.
    pub fn server(&self) -> Result<Option<Arc<MysqlCluster>>, EngineError> {
        match self.database()? {
            Database::Embedded(_) => Ok(None),
            Database::Mysql(cluster) => Ok(Some(cluster)),
        }
    }

    fn database(&self) -> Result<Database, EngineError> {
        let mut slot = self.database.lock();
        if let Some(database) = &*slot {
            return Ok(database.clone());
        }
        let database = match &self.config.source {
            ClusterSource::Embedded { path } => Database::Embedded(self.open_embedded(path)?),
            ClusterSource::Mysql(server) => {
                Database::Mysql(database::server(server, &self.options.clock, &self.options.spool))
            }
        };
        *slot = Some(database.clone());
        Ok(database)
    }

    /// The database, as an operator accepts it: a store that lost data is opened, too.
    pub(super) fn accept(&self) -> Result<Arc<dyn Cluster>, EngineError> {
        let opened = self.cluster();
        let (ClusterSource::Embedded { path }, Err(EngineError::Cluster(e))) = (&self.config.source, &opened) else {
            return opened;
        };
        if !matches!(e, ClusterError::WentBack { .. } | ClusterError::Malformed { .. }) {
            return opened;
        }
        let cluster = Database::Embedded(self.open_store(path, true)?);
        *self.database.lock() = Some(cluster.clone());
        Ok(cluster.cluster())
    }

    /// A database that has backups and is not there is not silently begun anew.
    fn open_embedded(&self, path: &Path) -> Result<Arc<EmbeddedCluster>, EngineError> {
        if !path.exists() && matches!(self.archive_if_any(), Ok(Some(_))) {
            return Err(database::lost(path));
        }
        self.open_store(path, false)
    }

    fn open_store(&self, path: &Path, accept_loss: bool) -> Result<Arc<EmbeddedCluster>, EngineError> {
        let mut options = Options::new(Arc::clone(&self.options.clock));
        (options.history, options.accept_loss) = (self.options.history, accept_loss);
        Ok(EmbeddedCluster::open(path, options)?)
    }

    /// Facts, or why there are none. A server that does not answer keeps nobody waiting.
    pub fn facts(&self) -> Result<ClusterFacts, ClusterState> {
        let facts = match self.database() {
            Ok(Database::Mysql(_)) => {
                self.ask_facts();
                self.watch.heard()
            }
            Ok(Database::Embedded(cluster)) => cluster.facts().map_err(|e| super::refusal::chain(&e).join(": ")),
            Err(e) => Err(super::refusal::chain(&e).join(": ")),
        };
        facts.map_err(|e| ClusterState::Unreachable {
            error: crate::model::text::safe(&e, 300),
        })
    }

    /// Starts asking a server for its facts; who needs those of many clusters asks all of them first.
    pub fn ask_facts(&self) {
        if let Ok(Database::Mysql(cluster)) = self.database() {
            self.watch
                .ask(move || cluster.facts().map_err(|e| super::refusal::chain(&e).join(": ")));
        }
    }

    /// Its state was changed: what was heard of it before is of no use any more.
    pub fn forget_facts(&self) {
        self.watch.forget();
    }

    /// The first storage, which holds the settings.
    pub fn storage_name(&self) -> Result<&StorageName, Refusal> {
        self.config.storages.first().ok_or_else(|| Refusal {
            kind: RefusalKind::Usage,
            chain: vec![format!("cluster {} names no storage", self.name())],
            hint: Some("give it one in the config: storage = [\"local\"]".to_owned()),
        })
    }

    /// The archive, if there is one.
    pub fn archive_if_any(&self) -> Result<Option<Archive>, Refusal> {
        let mut slot = self.archive.lock();
        if slot.is_none() {
            let storage = (self.options.open_storage)(self.storage_name()?)?;
            *slot = Archive::open(storage, self.name()).map_err(EngineError::from)?;
        }
        Ok(slot.clone())
    }

    /// The archive, made now if there was none. A database of another identity is refused.
    pub fn archive(&self) -> Result<Archive, Refusal> {
        if let Some(archive) = self.archive_if_any()? {
            return Ok(archive);
        }
        let facts = self.cluster()?.facts().map_err(EngineError::from)?;
        let storage = (self.options.open_storage)(self.storage_name()?)?;
        let identity = ArchiveIdentity {
            cluster: self.name().clone(),
            cluster_identity: facts.identity,
            kind: facts.kind.word().to_owned(),
            created: self.options.clock.now(),
        };
        let archive = Archive::create(storage, identity).map_err(EngineError::from)?;
        *self.archive.lock() = Some(archive.clone());
        Ok(archive)
    }

    /// The archive of an existing backup, for reading; says so when there is none.
    pub fn archive_for_reading(&self) -> Result<Archive, Refusal> {
        self.archive_if_any()?.ok_or_else(|| Refusal {
            kind: RefusalKind::NotFound,
            chain: vec![format!("{} has no backups yet", self.name())],
            hint: Some(format!("take the first: brine backup create {}", self.name())),
        })
    }

    /// The archive's lock, for writing what comes from the database; taken now if it was not held.
    pub fn lock(&self) -> Result<Arc<ArchiveLock>, Refusal> {
        let archive = self.archive()?;
        self.check_identity(&archive)?;
        self.take_lock(&archive)
    }

    /// The archive's lock, for acts that need no database: it may be gone.
    pub fn lock_archive(&self) -> Result<Arc<ArchiveLock>, Refusal> {
        self.take_lock(&self.archive_for_reading()?)
    }

    fn take_lock(&self, archive: &Archive) -> Result<Arc<ArchiveLock>, Refusal> {
        let mut slot = self.lock.lock();
        if let Some(lock) = &*slot
            && lock.check().is_ok()
        {
            return Ok(Arc::clone(lock));
        }
        let taken = ArchiveLock::take(archive, self.options.holder.clone(), Arc::clone(&self.options.clock));
        let lock = Arc::new(taken.map_err(EngineError::from)?);
        *slot = Some(Arc::clone(&lock));
        Ok(lock)
    }

    /// What is written into an archive must come from the database it was made for.
    pub(super) fn check_identity(&self, archive: &Archive) -> Result<(), Refusal> {
        let (there, here) = (
            adopt::expected(archive)?,
            self.cluster()?.facts().map_err(EngineError::from)?.identity,
        );
        if there == here {
            return Ok(());
        }
        Err(Refusal {
            kind: RefusalKind::Refused,
            chain: vec![format!(
                "the archive belongs to another database of the name {} (identity {there}); the one at {} is {here}",
                self.name(),
                self.place()
            )],
            hint: Some(format!(
                "if it is to take the other one's place (a failover, a move): brine cluster adopt {}; else give it another \
                 name in the config, and restore the old backups into it with `brine restore ... --to`",
                self.name()
            )),
        })
    }

    /// The archive as it is now; `None` while there is none.
    pub fn view(&self) -> Result<Option<View>, Refusal> {
        match self.archive_if_any()? {
            Some(archive) => Ok(Some(View::read(&archive, &self.cache)?)),
            None => Ok(None),
        }
    }

    /// The archive as it is now, for acts that need one.
    pub fn view_for_reading(&self) -> Result<(Archive, View), Refusal> {
        let archive = self.archive_for_reading()?;
        let view = View::read(&archive, &self.cache)?;
        Ok((archive, view))
    }

    /// The archive as it is now, for a restore to that point.
    pub fn view_for_restore(&self, point: &RestorePoint) -> Result<(Archive, View), Refusal> {
        let archive = self.archive_for_reading()?;
        let view = View::read_for(&archive, &self.cache, point)?;
        Ok((archive, view))
    }

    /// A task that archives its log.
    pub fn log_task(&self, shared: Arc<LogShared>) -> Result<LogTask, Refusal> {
        Ok(LogTask {
            cluster: self.cluster()?,
            archive: self.archive()?,
            lock: self.lock()?,
            options: self.options.log.clone(),
            shared,
        })
    }

    /// Ends everything that runs for it and closes what is open.
    pub fn shut(&self) {
        self.traffic.stop();
        self.keeper.quit();
        *self.lock.lock() = None;
        *self.archive.lock() = None;
        *self.database.lock() = None;
    }
}
