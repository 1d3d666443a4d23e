//! What an archive holds, read in one go: backups, log, incarnations, settings.
//!
//! Storage is the truth; a [`View`] is a picture of it at one instant and is made anew whenever it is needed.
//! Manifests never change, so their summaries are remembered in a [`SummaryCache`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::archive::state::{IncarnationsDoc, LogDoc, ProofsDoc, ProtectDoc, StateDoc};
use crate::archive::{Archive, TrashNote};
use crate::engine::error::EngineError;
use crate::engine::point::RestorePoint;
use crate::engine::{incarnation, retention};
use crate::model::backup::{BackupEntry, BackupStatus, BackupSummary, KeptTo, PitrTo, Proof};
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, IncarnationId};
use crate::model::settings::BackupSettings;
use crate::model::time::mention;
use crate::model::window::{Base, Window, covering_run};

/// Summaries of manifests that were read before; can be thrown away at any time.
#[derive(Debug, Default)]
pub struct SummaryCache(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    summaries: HashMap<BackupId, Arc<BackupSummary>>,
    /// The one that was read last: most say much alike.
    last: Option<Arc<BackupSummary>>,
}

impl SummaryCache {
    fn get(&self, archive: &Archive, id: &BackupId) -> Result<Arc<BackupSummary>, EngineError> {
        if let Some(known) = self.0.lock().summaries.get(id) {
            return Ok(Arc::clone(known));
        }
        let mut summary = archive.read_summary(id)?;
        let mut known = self.0.lock();
        if let Some(last) = &known.last {
            summary.share(last);
        }
        let summary = Arc::new(summary);
        known.summaries.insert(summary.id.clone(), Arc::clone(&summary));
        known.last = Some(Arc::clone(&summary));
        Ok(summary)
    }

    fn keep_only(&self, ids: &BTreeSet<BackupId>) {
        self.0.lock().summaries.retain(|id, _| ids.contains(id));
    }
}

/// An archive at one instant.
#[derive(Clone, Debug)]
pub struct View {
    /// Complete backups that are not deleted, oldest first.
    pub backups: Vec<Arc<BackupSummary>>,
    /// Backups whose manifest cannot be used, with the error.
    pub broken: Vec<(BackupId, String)>,
    /// Backups without a manifest: running or interrupted.
    pub incomplete: Vec<BackupId>,
    /// Deleted backups, with their summary where it can still be read.
    pub trash: Vec<(BackupId, TrashNote, Option<Arc<BackupSummary>>)>,
    /// The log backup.
    pub log: LogDoc,
    /// The incarnations.
    pub incarnations: IncarnationsDoc,
    /// What is protected.
    pub protect: ProtectDoc,
    /// What was proved.
    pub proofs: ProofsDoc,
    /// Backup Settings.
    pub settings: BackupSettings,
    /// Documents that cannot be used, each with the error; empty unless it was read [for a snapshot](View::read_for).
    pub damaged: Vec<String>,
}

/// How documents of the archive are read.
enum Documents {
    /// An error in any is an error.
    All,
    /// What cannot be used counts as empty, and is noted.
    Usable(Vec<String>),
}

impl Documents {
    fn read<T: StateDoc>(&mut self, archive: &Archive) -> Result<T, EngineError> {
        match (archive.state::<T>(), self) {
            (Ok(doc), _) => Ok(doc.value),
            (Err(e), Documents::Usable(damaged)) if e.is_corrupt() => {
                damaged.push(e.to_string());
                Ok(T::default())
            }
            (Err(e), _) => Err(e.into()),
        }
    }

    fn checked(&mut self, check: Result<(), EngineError>) -> Result<(), EngineError> {
        match (check, self) {
            (Err(EngineError::Corrupt(text)), Documents::Usable(damaged)) => {
                damaged.push(text);
                Ok(())
            }
            (other, _) => other,
        }
    }
}

impl View {
    /// Reads an archive.
    pub fn read(archive: &Archive, cache: &SummaryCache) -> Result<View, EngineError> {
        View::read_with(archive, cache, Documents::All)
    }

    /// Reads an archive for a restore to `point`. One of a snapshot needs nothing but the snapshot: damaged documents
    /// are no hindrance then.
    pub fn read_for(archive: &Archive, cache: &SummaryCache, point: &RestorePoint) -> Result<View, EngineError> {
        let documents = match point {
            RestorePoint::Snapshot { .. } => Documents::Usable(Vec::new()),
            _ => Documents::All,
        };
        View::read_with(archive, cache, documents)
    }

    fn read_with(archive: &Archive, cache: &SummaryCache, mut documents: Documents) -> Result<View, EngineError> {
        let trash: BTreeMap<BackupId, TrashNote> = archive.in_trash()?.into_iter().collect();
        let dirs = archive.snapshots()?;
        cache.keep_only(&dirs.iter().map(|d| d.id.clone()).collect());
        let mut view = View {
            backups: Vec::new(),
            broken: Vec::new(),
            incomplete: Vec::new(),
            trash: Vec::new(),
            log: documents.read(archive)?,
            incarnations: IncarnationsDoc::default(),
            protect: documents.read(archive)?,
            proofs: documents.read(archive)?,
            settings: documents.read(archive)?,
            damaged: Vec::new(),
        };
        for dir in dirs {
            let deleted = trash.get(&dir.id);
            if !dir.has_manifest && deleted.is_none() {
                view.incomplete.push(dir.id);
                continue;
            }
            match (cache.get(archive, &dir.id), deleted) {
                (Ok(summary), None) => view.backups.push(summary),
                (read, Some(note)) => view.trash.push((dir.id, note.clone(), read.ok())),
                (Err(e), None) if is_about_the_object(&e) => view.broken.push((dir.id, e.to_string())),
                (Err(e), None) => return Err(e),
            }
        }
        // Last: what names a history was written after the history.
        view.incarnations = documents.read(archive)?;
        documents.checked(incarnation::check(&view.incarnations, &view.log))?;
        documents.checked(incarnation::check_backups(&view.incarnations, &view.backups))?;
        if let Documents::Usable(damaged) = documents {
            view.damaged = damaged;
        }
        view.backups.sort_by(|a, b| (a.commit, &a.id).cmp(&(b.commit, &b.id)));
        Ok(view)
    }

    /// The live incarnation.
    pub fn live(&self) -> IncarnationId {
        incarnation::live(&self.incarnations)
    }

    /// One complete backup.
    pub fn backup(&self, id: &BackupId) -> Result<&Arc<BackupSummary>, EngineError> {
        if let Some(found) = self.backups.iter().find(|b| b.id == *id) {
            return Ok(found);
        }
        if let Some((_, note, _)) = self.trash.iter().find(|(i, _, _)| i == id) {
            let until = mention(note.until);
            return Err(EngineError::refused(
                format!("backup {id} was deleted and is in the trash until {until}"),
                "undelete it first",
            ));
        }
        if let Some((_, error)) = self.broken.iter().find(|(i, _)| i == id) {
            return Err(EngineError::Corrupt(format!("backup {id} cannot be used: {error}")));
        }
        let hint = match self.nearest_id(id) {
            Some(near) => format!("the nearest is {near}; `brine backup list` shows all"),
            None => "this archive holds no backup yet".to_owned(),
        };
        Err(EngineError::not_found(format!("there is no backup {id}"), hint))
    }

    /// The id that shares the longest beginning with a mistyped one.
    fn nearest_id(&self, id: &BackupId) -> Option<&BackupId> {
        let common = |other: &str| {
            other
                .bytes()
                .zip(id.as_str().bytes())
                .take_while(|(a, b)| a == b)
                .count()
        };
        self.backups.iter().map(|b| &b.id).max_by_key(|b| common(b.as_str()))
    }

    /// The full backups that can be bases: complete, not deleted, not proved bad.
    pub fn bases(&self) -> Vec<Base> {
        let good = self
            .backups
            .iter()
            .filter(|b| b.is_full() && !self.is_proved_bad(&b.id));
        good.map(|b| base_of(b)).collect()
    }

    /// Whether the latest verification of a backup failed.
    pub fn is_proved_bad(&self, id: &BackupId) -> bool {
        self.proofs
            .0
            .get(id)
            .and_then(|p| p.iter().max_by_key(|p| p.at))
            .is_some_and(|p| p.failed.is_some())
    }

    /// The restorable window.
    pub fn window(&self) -> Window {
        Window::new(self.bases(), &self.log.runs)
    }

    /// The proof that is shown: the latest failure if nothing held since, else the strongest that held.
    pub fn proof(&self, id: &BackupId) -> Option<Proof> {
        let all = self.proofs.0.get(id)?;
        let latest = all.iter().max_by_key(|p| p.at)?;
        if latest.failed.is_some() {
            return Some(latest.clone());
        }
        all.iter()
            .filter(|p| p.failed.is_none())
            .max_by_key(|p| (p.level, p.at))
            .cloned()
    }

    /// The list of backups, newest first; those in the trash only when asked.
    pub fn entries(&self, deleted: bool, now: Millis) -> Vec<BackupEntry> {
        let plan = retention::plan(self, &self.settings, now);
        let mut entries: Vec<BackupEntry> = self
            .backups
            .iter()
            .rev()
            .map(|b| self.entry(b, BackupStatus::Complete, &plan))
            .collect();
        if deleted {
            let gone = self
                .trash
                .iter()
                .filter_map(|(_, note, summary)| Some((note, summary.as_ref()?)));
            entries.extend(gone.map(|(note, s)| self.entry(s, BackupStatus::Deleted { until: note.until }, &plan)));
            entries.sort_by_key(|e| std::cmp::Reverse(e.summary.commit));
        }
        entries
    }

    fn entry(
        &self,
        summary: &Arc<BackupSummary>,
        status: BackupStatus,
        plan: &retention::RetentionPlan,
    ) -> BackupEntry {
        // What lies in the trash is kept until it is emptied, whatever the rules say.
        let kept_to = match &status {
            BackupStatus::Deleted { until } => KeptTo::Instant { at: *until },
            _ => plan.kept_to(&summary.id),
        };
        BackupEntry {
            summary: Arc::clone(summary),
            status,
            protection: self.protect.0.get(&summary.id).cloned(),
            proof: self.proof(&summary.id),
            kept_to,
            pitr_to: self.pitr_to(summary),
        }
    }

    /// How far a point-in-time restore from a backup can go.
    pub fn pitr_to(&self, summary: &BackupSummary) -> PitrTo {
        match covering_run(&base_of(summary), &self.log.runs) {
            None => PitrTo::SnapshotOnly,
            Some(run) => match &run.ended {
                None => PitrTo::Checkpoint,
                Some(why) => PitrTo::Moment {
                    moment: run.to,
                    because: why.words().to_owned(),
                },
            },
        }
    }
}

/// A backup as the window sees it.
pub fn base_of(summary: &BackupSummary) -> Base {
    Base {
        id: summary.id.clone(),
        commit: summary.commit,
        incarnation: summary.incarnation,
    }
}

/// Whether an error says that one object is bad, rather than that the storage cannot be read.
fn is_about_the_object(e: &EngineError) -> bool {
    match e {
        EngineError::Archive(a) => a.is_corrupt(),
        _ => false,
    }
}
