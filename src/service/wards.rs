//! All clusters and storages of this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::desk::{Refusal, RefusalKind};
use super::refusal::failed;
use super::ward::{Ward, WardOptions};
use crate::config::{Config, StoragePlace};
use crate::engine::error::EngineError;
use crate::model::ids::{ClusterName, StorageName};
use crate::model::text;
use crate::storage::Storage;
use crate::storage::local::Local;

/// All clusters of the config, and where scratch files go.
pub struct Wards {
    wards: BTreeMap<ClusterName, Arc<Ward>>,
    config: Config,
}

impl Wards {
    /// Makes the wards of a config; opens nothing yet.
    pub fn new(config: Config, options: &WardOptions) -> Self {
        let wards = config
            .clusters
            .iter()
            .map(|c| (c.name.clone(), Arc::new(Ward::new(c.clone(), options.clone()))));
        Wards {
            wards: wards.collect(),
            config,
        }
    }

    /// One cluster by name; a wrong name is answered with the nearest.
    pub fn get(&self, name: &ClusterName) -> Result<Arc<Ward>, Refusal> {
        if let Some(ward) = self.wards.get(name) {
            return Ok(Arc::clone(ward));
        }
        let known = || self.wards.keys().map(ClusterName::as_str);
        let hint = match text::nearest(name.as_str(), known()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("the config has: {}", known().collect::<Vec<_>>().join(", ")),
        };
        Err(Refusal {
            kind: RefusalKind::NotFound,
            chain: vec![format!("there is no cluster {name}")],
            hint: Some(hint),
        })
    }

    /// All clusters by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Ward>> {
        self.wards.values()
    }

    /// What is in effect.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A directory of its own for something that is thrown away when the guard is dropped.
    pub fn scratch_dir(&self) -> Result<ScratchDir, Refusal> {
        ScratchDir::new(&self.config.data_dir.join("scratch"))
    }
}

/// Opens a storage of the config.
pub fn open_storage(config: &Config, name: &StorageName) -> Result<Arc<dyn Storage>, Refusal> {
    let Some(storage) = config.storage(name) else {
        return Err(Refusal {
            kind: RefusalKind::NotFound,
            chain: vec![format!("there is no storage {name}")],
            hint: Some("`brine storage list` shows those of the config".to_owned()),
        });
    };
    let StoragePlace::Directory(path) = &storage.place;
    // Our own folder is made when it is missing. Any other may be a mount that is not there: backups must not
    // silently go to the disk below it.
    let own = path.starts_with(&config.data_dir);
    let opened = if own { Local::create(path) } else { Local::open(path) };
    let opened = opened.map_err(|e| {
        let mut refusal = Refusal::from(EngineError::from(crate::archive::ArchiveError::from(e)));
        refusal.hint = Some(format!(
            "storage {name} is the directory {}: mount or create it",
            path.display()
        ));
        refusal
    })?;
    Ok(Arc::new(opened))
}

/// A directory that goes away.
pub struct ScratchDir(PathBuf);

impl ScratchDir {
    fn new(parent: &Path) -> Result<Self, Refusal> {
        let name = getrandom::u64().map_err(|e| failed(format!("the system gives no random numbers: {e}")))?;
        let path = parent.join(format!("{name:016x}"));
        crate::config::prepare_data_dir(&path).map_err(|e| failed(e.to_string()))?;
        Ok(ScratchDir(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // What cannot be removed now is only wasted space; the next start removes the whole scratch folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
