//! The storages: what lies in them, and whether they work.

use super::desk::{Answer, Refusal, SettingLine, StorageCard};
use super::local::LocalDesk;
use super::refusal::failed;
use super::wards::open_storage;
use crate::archive::Archive;
use crate::engine::error::EngineError;
use crate::model::ids::{ClusterName, StorageName};
use crate::storage::ObjectName;

impl LocalDesk {
    pub(super) fn storages(&self) -> Answer {
        let config = self.wards.config();
        let cards = config.storages.iter().map(|s| {
            let archives = self.archives_in(&s.name);
            StorageCard {
                name: s.name.clone(),
                url: s.place.url(),
                error: archives.as_ref().err().map(ToString::to_string),
                facts: open_storage(config, &s.name).ok().map(|storage| storage.facts()),
                archives: archives.unwrap_or_default(),
            }
        });
        Answer::Storages(cards.collect())
    }

    /// The config of this process, as `config show` prints it.
    pub(super) fn in_effect(&self) -> Answer {
        let line = |s: &crate::config::Setting| SettingLine {
            key: s.key.clone(),
            value: s.value.clone(),
            from: s.origin.to_string(),
        };
        Answer::InEffect(self.wards.config().settings.iter().map(line).collect())
    }

    fn archives_in(&self, name: &StorageName) -> Result<Vec<(ClusterName, u64)>, Refusal> {
        let storage = open_storage(self.wards.config(), name)?;
        let names = Archive::list(&*storage).map_err(EngineError::from)?;
        let size = |n: ClusterName| {
            let ward = self.wards.get(&n).ok();
            let view = ward.and_then(|w| w.view().ok().flatten());
            let bytes = view.map_or(0, |v| {
                v.backups.iter().map(|b| b.stored_bytes).sum::<u64>() + v.log.stored_bytes
            });
            (n, bytes)
        };
        Ok(names.into_iter().map(size).collect())
    }

    /// Writes, reads, lists and deletes a small object.
    pub(super) fn check_storage(&self, name: &StorageName) -> Result<Answer, Refusal> {
        let storage = open_storage(self.wards.config(), name)?;
        let random = getrandom::u64().map_err(|e| failed(format!("the system gives no random numbers: {e}")))?;
        let object = ObjectName::new(format!("brine-check-{random:016x}")).map_err(|e| failed(e.to_string()))?;
        let of = |e| Refusal::from(EngineError::from(crate::archive::ArchiveError::from(e)));
        let body = random.to_le_bytes();
        storage.put_new(&object, &body).map_err(of)?;
        let read = storage.read(&object, 64).map_err(of);
        storage.delete(&object).map_err(of)?;
        if read? != body {
            return Err(failed(format!(
                "storage {name} gave back other bytes than were written"
            )));
        }
        Ok(Answer::Done(format!(
            "{name} can be written, read and deleted: {}",
            storage.describe()
        )))
    }
}
