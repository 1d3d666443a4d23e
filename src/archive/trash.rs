//! Deleting in two phases: a note in the trash first, and the files only when its time has come.

use serde::{Deserialize, Serialize};

use crate::model::clock::Millis;
use crate::model::crash::crash_point;
use crate::model::ids::BackupId;
use crate::storage::{ObjectName, Version};

use super::error::ArchiveError;
use super::lock::ArchiveLock;
use super::sealed::{ObjectKind, open_bytes, seal_bytes};
use super::{Archive, PAGE, Result};

const MAX_NOTE: usize = 64 << 10;

/// How far a deletion has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrashState {
    /// It can be taken back.
    #[default]
    Kept,
    /// Its files are being deleted; there is no way back.
    Purging,
    /// It was taken back; the note is on its way out.
    Returned,
}

/// What is known of a deleted backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashNote {
    /// When it was deleted.
    pub deleted_at: Millis,
    /// When it really goes.
    pub until: Millis,
    /// Who deleted it.
    pub by: String,
    /// Bytes that become free then.
    pub stored_bytes: u64,
    /// How far the deletion has come.
    #[serde(default)]
    pub state: TrashState,
}

impl Archive {
    /// Puts a backup into the trash. Putting it there twice keeps the first note.
    pub fn trash(&self, lock: &ArchiveLock, id: &BackupId, note: &TrashNote) -> Result<()> {
        match self.note(id)? {
            Some((found, version)) if found.state == TrashState::Returned => {
                self.put_note(lock, id, Some(&version), note)?;
                Ok(())
            }
            Some((found, _)) if found.state == TrashState::Purging => Err(ArchiveError::Purging(id.clone())),
            Some(_) => Ok(()),
            None => self.put_note(lock, id, None, note).map(drop),
        }
    }

    /// What is in the trash, also what is being deleted for good, ordered by id.
    pub fn in_trash(&self) -> Result<Vec<(BackupId, TrashNote)>> {
        let mut notes = Vec::new();
        for id in self.note_ids()? {
            // A note may go while the list is read.
            if let Some((note, _)) = self.note(&id)?
                && note.state != TrashState::Returned
            {
                notes.push((id, note));
            }
        }
        Ok(notes)
    }

    /// Takes a backup out of the trash.
    pub fn take_back(&self, lock: &ArchiveLock, id: &BackupId) -> Result<()> {
        let (mut note, version) = self.note(id)?.ok_or_else(|| ArchiveError::NotInTrash(id.clone()))?;
        match note.state {
            TrashState::Purging => return Err(ArchiveError::Purging(id.clone())),
            TrashState::Returned => {}
            TrashState::Kept => {
                note.state = TrashState::Returned;
                self.put_note(lock, id, Some(&version), &note)?;
                crash_point("archive.take-back.noted");
            }
        }
        self.drop_note(lock, id)
    }

    /// Deletes a backup for good: the note says so first, then manifest, data and the note go. Can be repeated.
    pub fn purge(&self, lock: &ArchiveLock, id: &BackupId) -> Result<()> {
        let (mut note, version) = self.note(id)?.ok_or_else(|| ArchiveError::NotInTrash(id.clone()))?;
        match note.state {
            TrashState::Returned => return Err(ArchiveError::NotInTrash(id.clone())),
            TrashState::Purging => {}
            TrashState::Kept => {
                note.state = TrashState::Purging;
                self.put_note(lock, id, Some(&version), &note)?;
            }
        }
        crash_point("archive.purge.noted");
        self.remove_snapshot(lock, id)?;
        crash_point("archive.purge.removed");
        self.drop_note(lock, id)
    }

    /// Ends what a crash has interrupted: purges that had begun, and notes of backups that were taken back.
    pub fn finish_purges(&self, lock: &ArchiveLock) -> Result<Vec<BackupId>> {
        let mut purged = Vec::new();
        for id in self.note_ids()? {
            match self.note(&id)?.map(|(note, _)| note.state) {
                Some(TrashState::Purging) => {
                    self.purge(lock, &id)?;
                    purged.push(id);
                }
                Some(TrashState::Returned) => self.drop_note(lock, &id)?,
                Some(TrashState::Kept) | None => {}
            }
        }
        Ok(purged)
    }

    fn note_ids(&self) -> Result<Vec<BackupId>> {
        let dir = self.layout().trash_dir()?;
        let mut ids: Vec<BackupId> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store().list(&dir, after.as_deref(), PAGE)?;
            after = page.last().map(|object| object.name.file().to_owned());
            ids.extend(page.iter().filter_map(|object| BackupId::new(object.name.file()).ok()));
            if page.len() < PAGE {
                return Ok(ids);
            }
        }
    }

    fn note(&self, id: &BackupId) -> Result<Option<(TrashNote, Version)>> {
        let name = self.layout().trash(id)?;
        let Some((bytes, version)) = self.store().get_versioned(&name, MAX_NOTE as u64)? else {
            return Ok(None);
        };
        let (json, _) = self.open_note(&name, bytes)?;
        let note = serde_json::from_slice(&json).map_err(|e| ArchiveError::corrupt(&name, e.to_string()))?;
        Ok(Some((note, version)))
    }

    fn open_note(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(Vec<u8>, u64)> {
        open_bytes(
            bytes,
            name.as_str(),
            ObjectKind::Trash,
            self.id(),
            &self.within(name),
            MAX_NOTE,
        )
    }

    fn put_note(
        &self,
        lock: &ArchiveLock,
        id: &BackupId,
        expected: Option<&Version>,
        note: &TrashNote,
    ) -> Result<Version> {
        let epoch = self.guard(lock)?;
        let name = self.layout().trash(id)?;
        let json = serde_json::to_vec(note).map_err(|e| ArchiveError::Unfit {
            what: "a trash note",
            why: e.to_string(),
        })?;
        let within = self.within(&name);
        let bytes = seal_bytes(ObjectKind::Trash, self.id(), &within, super::salt()?, epoch, &json)?;
        Ok(self.store().compare_and_swap(&name, expected, &bytes)?)
    }

    fn drop_note(&self, lock: &ArchiveLock, id: &BackupId) -> Result<()> {
        self.guard(lock)?;
        Ok(self.store().delete(&self.layout().trash(id)?)?)
    }
}
