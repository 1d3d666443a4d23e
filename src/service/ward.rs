//! A ward: one cluster in this process's care, with its archive, its lock and its log keeper.
//!
//! Everything is opened when it is first needed, so that a dead database does not keep its archive from being read and a
//! locked archive does not keep its window from being shown.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::desk::{Refusal, RefusalKind};
use super::keeper::{Keeper, Tell};
use super::traffic::Traffic;
use crate::archive::{Archive, ArchiveIdentity, ArchiveLock, Holder};
use crate::cluster::embedded::{EmbeddedCluster, Options};
use crate::cluster::{Cluster, ClusterFacts, ClusterState};
use crate::config::{ClusterConfig, ClusterSource};
use crate::engine::error::EngineError;
use crate::engine::log::LogOptions;
use crate::engine::log::task::{LogShared, LogTask};
use crate::engine::view::{SummaryCache, View};
use crate::model::clock::Clock;
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
    /// Made-up applications, for the demo and for learning.
    pub traffic: Traffic,
    options: WardOptions,
    cluster: Mutex<Option<Arc<EmbeddedCluster>>>,
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
            traffic: Traffic::default(),
            config,
            options,
            cluster: Mutex::default(),
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

    /// The directory of an embedded cluster.
    pub fn path(&self) -> &PathBuf {
        let ClusterSource::Embedded { path } = &self.config.source;
        path
    }

    /// The database, opened now if it was not.
    pub fn cluster(&self) -> Result<Arc<EmbeddedCluster>, EngineError> {
        let mut slot = self.cluster.lock();
        if let Some(cluster) = &*slot {
            return Ok(Arc::clone(cluster));
        }
        self.check_not_lost()?;
        let mut options = Options::new(Arc::clone(&self.options.clock));
        options.history = self.options.history;
        let cluster = EmbeddedCluster::open(self.path(), options)?;
        *slot = Some(Arc::clone(&cluster));
        Ok(cluster)
    }

    /// A database that has backups and is not there is lost, or its volume is not mounted: it is not silently begun anew.
    fn check_not_lost(&self) -> Result<(), EngineError> {
        if self.path().exists() || !matches!(self.archive_if_any(), Ok(Some(_))) {
            return Ok(());
        }
        Err(EngineError::refused(
            format!(
                "the database in {} is not there, although it has backups",
                self.path().display()
            ),
            "mount it; or create the directory for an empty one; or restore the backups into another cluster with --to",
        ))
    }

    /// Puts an opened database in place, for callers that made it themselves.
    pub fn adopt_open(&self, cluster: Arc<EmbeddedCluster>) {
        *self.cluster.lock() = Some(cluster);
    }

    /// Facts, or why there are none.
    pub fn facts(&self) -> Result<ClusterFacts, ClusterState> {
        let facts = self.cluster().and_then(|c| Ok(c.facts()?));
        facts.map_err(|e| ClusterState::Unreachable {
            error: crate::model::text::safe(&e.to_string(), 300),
        })
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
    fn check_identity(&self, archive: &Archive) -> Result<(), Refusal> {
        let (there, here) = (
            archive.identity().cluster_identity.clone(),
            self.cluster()?.facts().map_err(EngineError::from)?.identity,
        );
        if there == here {
            return Ok(());
        }
        Err(Refusal {
            kind: RefusalKind::Refused,
            chain: vec![format!(
                "the archive belongs to another database of the name {} (identity {there}); the one in {} is {here}",
                self.name(),
                self.path().display()
            )],
            hint: Some("give the new database another name in the config; the old backups can be restored into it with `brine restore ... --to`".to_owned()),
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
        *self.cluster.lock() = None;
    }
}
