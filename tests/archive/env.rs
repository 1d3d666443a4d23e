//! What every test here needs: an archive on memory, its lock, and things to put into it.

use std::sync::Arc;

use brine::archive::{
    Archive, ArchiveIdentity, ArchiveLock, Holder, Level, Manifest, ManifestChunk, ManifestTable, StoredObject,
};
use brine::model::backup::{BackupSummary, BackupType};
use brine::model::checksum::TableChecksum;
use brine::model::clock::{ManualClock, Millis};
use brine::model::ids::{BackupId, ClusterName, IncarnationId};
use brine::model::position::{Moment, Position};
use brine::model::table::TableName;
use brine::model::tso::Tso;
use brine::storage::memory::Memory;
use brine::storage::{ObjectName, Storage};

/// 20 November 2026, 10:00 UTC.
pub const NOW: Millis = Millis(1_795_168_800_000);

pub fn identity() -> ArchiveIdentity {
    ArchiveIdentity {
        cluster: ClusterName::new("shop").unwrap(),
        cluster_identity: "11112222".to_owned(),
        kind: "embedded".to_owned(),
        created: NOW,
    }
}

pub struct Env {
    pub memory: Memory,
    pub archive: Archive,
    pub lock: ArchiveLock,
}

pub fn take(archive: &Archive) -> ArchiveLock {
    let holder = Holder::here("ana", "test").unwrap();
    ArchiveLock::take(archive, holder, Arc::new(ManualClock::new(NOW))).unwrap()
}

impl Env {
    pub fn new() -> Env {
        let memory = Memory::new();
        let archive = Archive::create(Arc::new(memory.clone()), identity()).unwrap();
        let lock = take(&archive);
        Env { memory, archive, lock }
    }

    /// The same objects through another storage.
    pub fn through(&self, storage: Arc<dyn Storage>) -> Archive {
        Archive::open(storage, &identity().cluster).unwrap().unwrap()
    }

    /// The names of all objects but the lock, within the archive.
    pub fn names(&self) -> Vec<String> {
        let names = self.memory.names().into_iter();
        let within = names.filter_map(|name| name.strip_prefix("backup-shop/").map(str::to_owned));
        within.filter(|name| name != "state/lock").collect()
    }

    pub fn bytes(&self, within: &str) -> Vec<u8> {
        self.memory.read(&object(within), u64::MAX).unwrap()
    }

    pub fn overwrite(&self, within: &str, bytes: &[u8]) {
        self.memory.overwrite(&object(within), bytes);
    }

    /// A backup of one table with these batches, as two data files.
    pub fn backup(&self, id: &str, batches: &[&[u8]]) -> Manifest {
        write_backup(&self.archive, &self.lock, id, batches).unwrap()
    }
}

pub fn object(within: &str) -> ObjectName {
    ObjectName::new(format!("backup-shop/{within}")).unwrap()
}

pub fn id(id: &str) -> BackupId {
    BackupId::new(id).unwrap()
}

pub fn moment(ms: i64) -> Moment {
    Moment::of_tso(Tso::from_millis(NOW.plus(ms)))
}

pub fn position(ms: i64) -> Position {
    Position::Tso(moment(ms).last_tso())
}

pub fn write_backup(
    archive: &Archive,
    lock: &ArchiveLock,
    id: &str,
    batches: &[&[u8]],
) -> brine::archive::Result<Manifest> {
    let id = self::id(id);
    let mut chunks = Vec::new();
    for (number, part) in batches.chunks(batches.len().div_ceil(2).max(1)).enumerate() {
        let mut writer = archive.data_writer(lock, &id, number as u64, Level::default())?;
        for batch in part {
            writer.put(batch)?;
        }
        let object = writer.finish()?;
        let sum = TableChecksum::default();
        chunks.push(ManifestChunk { object, sum });
    }
    let manifest = manifest(id, chunks);
    archive.write_manifest(lock, &manifest)?;
    Ok(manifest)
}

pub fn manifest(id: BackupId, chunks: Vec<ManifestChunk>) -> Manifest {
    let table = ManifestTable {
        name: TableName::new("shop", "orders"),
        schema: "orders(id, total)".to_owned(),
        system: false,
        sum: TableChecksum::default(),
        stored_bytes: chunks.iter().map(|c| c.object.size).sum(),
        chunks,
    };
    Manifest {
        summary: summary(id),
        tables: vec![table],
        definitions: Vec::new(),
    }
}

pub fn summary(id: BackupId) -> BackupSummary {
    BackupSummary {
        id,
        cluster: identity().cluster,
        cluster_identity: identity().cluster_identity.into(),
        incarnation: IncarnationId(1),
        kind: BackupType::Manual,
        commit: moment(0),
        position: position(0),
        started: NOW,
        finished: NOW.plus(1000),
        tables: 1,
        totals: TableChecksum::default(),
        stored_bytes: 0,
        objects: 0,
        filter: Vec::new(),
        keep_days: None,
        note: Some("before the upgrade".to_owned()),
        source_version: "embedded 1".into(),
        tool_version: "0.1.0".into(),
        asked_by: "ana@bastion".into(),
    }
}

pub fn objects(manifest: &Manifest) -> Vec<StoredObject> {
    let chunks = manifest.tables.iter().flat_map(|t| &t.chunks);
    chunks.map(|c| c.object.clone()).collect()
}

/// All batches of a data file.
pub fn read_data(archive: &Archive, id: &BackupId, object: &StoredObject) -> brine::archive::Result<Vec<Vec<u8>>> {
    let mut reader = archive.data_reader(id, object)?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.next()? {
        batches.push(batch);
    }
    Ok(batches)
}
