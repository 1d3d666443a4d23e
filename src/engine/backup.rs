//! Taking a snapshot backup.
//!
//! A backup exists when its manifest exists: data objects first, the manifest last. Tables are split into ranges, ranges
//! are read by a pool of workers, and each finished data object is remembered in the job's resume log, so that
//! a run after `kill -9` reads no finished chunk again - where the cluster can open the same view once more.
//! Where it cannot, everything is thrown away and the snapshot starts again: never two moments in one backup.

mod chunks;
mod pace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::chunks::{ChunkDone, Resumed, Work};
use crate::archive::state::{IncarnationsDoc, LogDoc};
use crate::archive::{Archive, ArchiveLock, Level, Manifest, ManifestChunk, ManifestTable};
use crate::cluster::{Cluster, ClusterError, Snapshot, TableDef};
use crate::engine::cx::{self, JobCx};
use crate::engine::error::{Doing, EngineError};
use crate::engine::incarnation;
use crate::engine::interrupt::interruptible;
use crate::engine::log::runs;
use crate::model::backup::{BackupSummary, BackupType};
use crate::model::checksum::TableChecksum;
use crate::model::clock::Millis;
use crate::model::crash::crash_point;
use crate::model::definition::Definition;
use crate::model::filter::TableFilter;
use crate::model::ids::{BackupId, ClusterName, IncarnationId};
use crate::model::job::{LineLevel, Unit};
use crate::model::log::{LogRun, RunEnd};
use crate::model::position::Moment;
use crate::model::time::mention_exact;

/// A snapshot backup, planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPlan {
    /// The cluster.
    pub cluster: ClusterName,
    /// Its identity when the plan was made.
    pub cluster_identity: String,
    /// Why it is taken.
    #[serde(rename = "type")]
    pub kind: BackupType,
    /// Which tables.
    pub filter: TableFilter,
    /// How many tables that is now.
    pub tables: u64,
    /// About so many bytes of rows.
    pub bytes_estimate: u64,
    /// The operator's note.
    pub note: Option<String>,
    /// Days to keep it; `None` is by the rules of its type.
    pub keep_days: Option<u32>,
    /// Worker threads.
    pub concurrency: usize,
    /// Bytes of rows per second.
    pub rate_limit: Option<u64>,
    /// zstd level.
    pub level: i32,
}

/// A source's clock that is further behind than this is not waited for.
const CLOCK_BACK_MS: i64 = 60_000;
/// How often a wait looks whether it was cancelled.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// The most worker threads that are ever used.
const MAX_CONCURRENCY: usize = 64;

impl BackupPlan {
    /// A full backup with the defaults.
    pub fn full(cluster: ClusterName, cluster_identity: String, kind: BackupType) -> Self {
        BackupPlan {
            cluster,
            cluster_identity,
            kind,
            filter: TableFilter::all(),
            tables: 0,
            bytes_estimate: 0,
            note: None,
            keep_days: None,
            concurrency: std::thread::available_parallelism().map_or(2, usize::from),
            rate_limit: None,
            level: 1,
        }
    }
}

/// Completes a plan with what the cluster holds now; refuses a filter that matches nothing.
pub fn plan(cluster: &dyn Cluster, mut wanted: BackupPlan) -> Result<BackupPlan, EngineError> {
    let tables = cluster.tables()?;
    let chosen: Vec<_> = tables.iter().filter(|t| wanted.filter.matches(&t.name)).collect();
    if chosen.is_empty() && !wanted.filter.is_all() {
        let some: Vec<String> = tables
            .iter()
            .filter(|t| !t.system)
            .take(3)
            .map(|t| t.name.to_string())
            .collect();
        return Err(EngineError::not_found(
            format!(
                "the filter {} matches no table of {}",
                wanted.filter.rules().join(" "),
                wanted.cluster
            ),
            format!("tables there are, for example: {}", some.join(", ")),
        ));
    }
    if !(1..=22).contains(&wanted.level) {
        return Err(EngineError::refused(
            format!("zstd level {} does not exist", wanted.level),
            "choose 1 to 22",
        ));
    }
    wanted.tables = chosen.len() as u64;
    wanted.bytes_estimate = chosen.iter().map(|t| t.bytes_estimate).sum();
    wanted.concurrency = wanted.concurrency.clamp(1, MAX_CONCURRENCY);
    Ok(wanted)
}

/// What the resume log keeps of the view that is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Begun {
    id: BackupId,
    token: Option<String>,
    started: Millis,
    incarnation: IncarnationId,
}

const BEGUN: &str = "begun";

/// Takes the backup and returns what its manifest says.
///
/// When it is cancelled nothing is left behind. When it fails, what was written stays for a resume and is cleared away by
/// retention later; where no run can open the same view again it is of no use, and goes at once: tries that fail because a
/// storage is nearly full must not fill it.
pub fn run(
    cluster: &dyn Cluster,
    archive: &Archive,
    lock: &ArchiveLock,
    plan: &BackupPlan,
    cx: &dyn JobCx,
) -> Result<BackupSummary, EngineError> {
    if let Some(done) = cx::finished(cx)? {
        return Ok(done);
    }
    let version = check_identity(cluster, plan)?;
    if let Some(summary) = finished_before(cluster, archive, cx)? {
        cx::finish(cx, &summary)?;
        return Ok(summary);
    }
    let (begun, snapshot, resumed) = open(cluster, archive, lock, cx)?;
    let job = Take {
        archive,
        lock,
        plan,
        cx,
        begun: &begun,
        snapshot: &*snapshot,
        version,
    };
    let taken = interruptible(cx, &|| {}, &|| snapshot.interrupt(), || job.run(resumed));
    match taken {
        Ok(summary) => {
            let_go(&*snapshot, cx);
            cx::finish(cx, &summary)?;
            crash_point("backup.done");
            Ok(summary)
        }
        Err(EngineError::Cancelled(cancelled)) => {
            let_go(&*snapshot, cx);
            archive
                .remove_snapshot(lock, &begun.id)
                .doing(|| format!("clearing away the cancelled backup {}", begun.id))?;
            cx.resume_log().clear()?;
            Err(cancelled.into())
        }
        Err(e) => {
            if begun.token.is_none() {
                clear_away(archive, lock, &begun.id, cx);
            }
            Err(e)
        }
    }
}

/// What the job failed of is the news, not that this fails too: then retention does it.
fn clear_away(archive: &Archive, lock: &ArchiveLock, id: &BackupId, cx: &dyn JobCx) {
    let removed = match is_published(archive, id) {
        // It failed behind its manifest: the backup is there.
        Ok(true) => return,
        Ok(false) => archive.remove_snapshot(lock, id).map_err(EngineError::from),
        Err(e) => Err(e),
    };
    if let Err(e) = removed.and_then(|()| Ok(cx.resume_log().clear()?)) {
        let text = format!(
            "what was stored of {id} stays until retention clears it away: {}",
            e.chain()
        );
        cx.line(LineLevel::Warning, text);
    }
}

fn is_published(archive: &Archive, id: &BackupId) -> Result<bool, EngineError> {
    let mut known = archive.snapshots()?.into_iter();
    Ok(known.any(|d| d.id == *id && d.has_manifest))
}

/// Whether the source could be told or not, the backup is what it is: its view ends by itself some time.
fn let_go(snapshot: &dyn Snapshot, cx: &dyn JobCx) {
    if let Err(e) = snapshot.release() {
        let text = format!("the source could not be told that its view is no longer needed: {e}");
        cx.line(LineLevel::Warning, text);
    }
}

/// Returns the source's version.
fn check_identity(cluster: &dyn Cluster, plan: &BackupPlan) -> Result<String, EngineError> {
    let facts = cluster.facts()?;
    let found = facts.identity;
    if found == plan.cluster_identity {
        return Ok(facts.version);
    }
    Err(EngineError::Drifted {
        what: format!("the identity of {}", plan.cluster),
        planned: plan.cluster_identity.clone(),
        found,
    })
}

type Opened = (Begun, Box<dyn Snapshot>, Resumed);

/// Opens the view of an interrupted run again, or a new one.
fn open(cluster: &dyn Cluster, archive: &Archive, lock: &ArchiveLock, cx: &dyn JobCx) -> Result<Opened, EngineError> {
    let memory = cx.resume_log().load()?;
    if let Some(begun) = begun(&memory) {
        match reopen(cluster, &begun) {
            Ok(snapshot) => {
                let resumed = Resumed::read(memory)?;
                cx.line(
                    LineLevel::Info,
                    format!(
                        "going on with backup {}: {} chunks are done",
                        begun.id,
                        resumed.chunks()
                    ),
                );
                return Ok((begun, snapshot, resumed));
            }
            Err(ClusterError::SnapshotGone(_)) => {
                cx.line(
                    LineLevel::Warning,
                    format!(
                        "the view of backup {} can no longer be read; starting again at a new moment",
                        begun.id
                    ),
                );
                archive.remove_snapshot(lock, &begun.id)?;
                cx.resume_log().clear()?;
            }
            Err(e) => return Err(e.into()),
        }
    }
    let log = archive.state::<LogDoc>()?.value;
    if let Some(run) = runs::continuable(&log) {
        let goes_on = |()| match cluster.continues(&run.to_position) {
            // Whose log cannot be read now may still be backed up.
            Err(e) if run.ended.is_none() && (e.ends_log() || matches!(e, ClusterError::OtherServer(_))) => Err(e),
            _ => Ok(()),
        };
        match runs::recognise(cluster, archive, &run)?.and_then(goes_on) {
            Ok(()) => {}
            // What is archived ends before the gap, and must not be taken for the log of this snapshot.
            Err(e) if e.ends_log() => {
                let gap = format!("gap in the log after {}: {e}", run.to.at.utc().to_rfc3339());
                cx.line(LineLevel::Warning, gap);
                runs::end_run(archive, lock, &run, RunEnd::SourceLogGone)?;
            }
            Err(e) => return Err(e).doing(|| "looking whether this is the source of the archive".to_owned()),
        }
    }
    let snapshot = open_behind(cluster, &log, cx)?;
    let moment = snapshot.mark().moment;
    tell_prepared(&*snapshot, &log, cx)?;
    let histories = archive.state::<IncarnationsDoc>()?.value;
    incarnation::check(&histories, &archive.state()?.value)?;
    let incarnation = incarnation::at(&histories, moment);
    let begun = Begun {
        id: new_id(moment.at, |id| Ok(archive.has_files(id)?))?,
        token: snapshot.token(),
        started: cx.clock().now(),
        incarnation,
    };
    cx.resume_log().save(BEGUN, &serde_json::json!(begun))?;
    crash_point("backup.begun");
    Ok((begun, snapshot, Resumed::default()))
}

/// What waits for its decision is in no table yet; only a log that has seen it prepared can bring it back.
fn tell_prepared(snapshot: &dyn Snapshot, log: &LogDoc, cx: &dyn JobCx) -> Result<(), EngineError> {
    let prepared = snapshot.prepared()?;
    if prepared.is_empty() || log.runs.iter().any(|r| r.ended.is_none()) {
        return Ok(());
    }
    let shown: Vec<&str> = prepared.iter().take(3).map(String::as_str).collect();
    let text = format!(
        "{} XA transaction(s) are prepared and wait for a decision ({}): their rows are not in this snapshot, and a log backup that \
         begins now does not hold them; once they are decided, take another snapshot",
        prepared.len(),
        shown.join("; ")
    );
    cx.line(LineLevel::Warning, text);
    Ok(())
}

/// Opens a view whose moment lies behind everything that the archive has dated. Where the source's clock went back it does
/// not: then a restore would take changes for later than the view that are in it.
fn open_behind(cluster: &dyn Cluster, log: &LogDoc, cx: &dyn JobCx) -> Result<Box<dyn Snapshot>, EngineError> {
    let last = log.runs.iter().max_by_key(|r| r.to);
    loop {
        let snapshot = cluster
            .open_snapshot(None)
            .doing(|| "opening a consistent view".to_owned())?;
        let mark = snapshot.mark();
        let behind = |r: &&LogRun| r.to < mark.moment || (r.to == mark.moment && r.to_position == mark.position);
        let Some(dated) = last.filter(|r| !behind(r)).map(|r| r.to) else {
            return Ok(snapshot);
        };
        let_go(&*snapshot, cx);
        drop(snapshot);
        let ahead = dated.at.since(mark.moment.at);
        if ahead > CLOCK_BACK_MS {
            return Err(EngineError::refused(
                format!(
                    "the source's clock went back: it shows {}, and the log backup has dated changes up to {}",
                    mention_exact(mark.moment.at),
                    mention_exact(dated.at)
                ),
                "set the source's clock right (NTP); where the time in the archive is the wrong one, wait until it is past",
            ));
        }
        let text = format!("waiting for {ahead} ms: the source's clock is behind the log backup's checkpoint");
        cx.line(LineLevel::Warning, text);
        let until = Instant::now() + Duration::from_millis(ahead.unsigned_abs() + 1);
        while Instant::now() < until {
            cx.check()?;
            let left = until.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(LOOK_AROUND));
        }
    }
}

/// What the resume log keeps of an interrupted run.
fn begun(memory: &[(String, serde_json::Value)]) -> Option<Begun> {
    let (_, value) = memory.iter().find(|(k, _)| k == BEGUN)?;
    serde_json::from_value(value.clone()).ok()
}

/// A crash between the manifest and the end of the job: the backup is there, whether or not its view still is.
fn finished_before(
    cluster: &dyn Cluster,
    archive: &Archive,
    cx: &dyn JobCx,
) -> Result<Option<BackupSummary>, EngineError> {
    let Some(begun) = begun(&cx.resume_log().load()?) else {
        return Ok(None);
    };
    if !is_published(archive, &begun.id)? {
        return Ok(None);
    }
    let summary = archive.read_summary(&begun.id)?;
    match reopen(cluster, &begun) {
        Ok(snapshot) => let_go(&*snapshot, cx),
        Err(ClusterError::SnapshotGone(_)) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(Some(summary))
}

fn reopen(cluster: &dyn Cluster, begun: &Begun) -> Result<Box<dyn Snapshot>, ClusterError> {
    match &begun.token {
        Some(token) => cluster.open_snapshot(Some(token)),
        // The view died with the process that had opened it.
        None => Err(ClusterError::SnapshotGone(Moment::of_millis(begun.started))),
    }
}

/// `yyyymmddhhmmss-xxxx`: sorts by time, and is none that is `taken`.
fn new_id(at: Millis, taken: impl Fn(&BackupId) -> Result<bool, EngineError>) -> Result<BackupId, EngineError> {
    loop {
        let mut random = [0u8; 2];
        getrandom::fill(&mut random)
            .map_err(|e| EngineError::Corrupt(format!("the system gives no random numbers: {e}")))?;
        let text = format!("{}-{:04x}", at.utc().format("%Y%m%d%H%M%S"), u16::from_be_bytes(random));
        let id = BackupId::new(text).map_err(|e| EngineError::Corrupt(e.to_string()))?;
        // No storage holds 65,536 backups of one second.
        if !taken(&id)? {
            return Ok(id);
        }
    }
}

/// One run, with everything it needs.
struct Take<'a> {
    archive: &'a Archive,
    lock: &'a ArchiveLock,
    plan: &'a BackupPlan,
    cx: &'a dyn JobCx,
    begun: &'a Begun,
    snapshot: &'a dyn Snapshot,
    version: String,
}

impl Take<'_> {
    fn run(&self, resumed: Resumed) -> Result<BackupSummary, EngineError> {
        let (plan, cx) = (self.plan, self.cx);
        let tables = self
            .snapshot
            .tables()?
            .into_iter()
            .filter(|t| plan.filter.matches(&t.name))
            .collect();
        let rows = plan.bytes_estimate.max(1);
        cx.outline(&[("Read and store rows", rows), ("Publish the manifest", rows / 50 + 1)]);
        let counted = cx.step(
            "Read and store rows",
            Unit::Bytes,
            Some(plan.bytes_estimate).filter(|b| *b > 0),
        );
        let work = Work::new(
            self.archive,
            self.lock,
            &self.begun.id,
            plan,
            self.snapshot,
            cx,
            Arc::clone(&counted),
            tables,
            resumed,
        );
        let (tables, chunks) = work.run()?;
        self.snapshot
            .settle()
            .doing(|| "looking whether all that was read is of one moment".to_owned())?;
        // The total was an estimate; what was read is what there is.
        counted.complete();
        let published = cx.step("Publish the manifest", Unit::Objects, Some(1));
        cx.check()?;
        let manifest = self.assemble(tables, chunks)?;
        self.archive.remove_unlisted(self.lock, &manifest)?;
        self.check_stored(&manifest)?;
        crash_point("backup.before-manifest");
        self.archive.write_manifest(self.lock, &manifest)?;
        crash_point("backup.after-manifest");
        published.add(1);
        // As it was written: with the manifest's own size.
        Ok(self.archive.read_summary(&self.begun.id)?)
    }

    /// Everything that the manifest will list is there: what a long run has stored may have been cleared away meanwhile.
    fn check_stored(&self, manifest: &Manifest) -> Result<(), EngineError> {
        let problems = self.archive.check_files(manifest)?;
        let Some(first) = problems.first() else {
            return Ok(());
        };
        // A resume would list the same again.
        self.cx.resume_log().clear()?;
        Err(EngineError::Corrupt(format!(
            "`{}` of the backup that was being taken: {}; take it again",
            first.object, first.why
        )))
    }

    fn assemble(&self, defs: Vec<TableDef>, mut chunks: Vec<ChunkDone>) -> Result<Manifest, EngineError> {
        let objects = chunks.len() as u64 + 1;
        chunks.sort_by(|a, b| (&a.table, a.part, a.number).cmp(&(&b.table, b.part, b.number)));
        let mut chunks = chunks.into_iter().peekable();
        let mut tables = Vec::with_capacity(defs.len());
        for def in defs {
            let mut own = Vec::new();
            while let Some(c) = chunks.next_if(|c| c.table == def.name) {
                own.push(ManifestChunk {
                    object: c.object,
                    sum: c.sum,
                });
            }
            tables.push(ManifestTable {
                name: def.name,
                schema: def.schema,
                system: def.system,
                sum: own.iter().map(|c| c.sum).sum(),
                stored_bytes: own.iter().map(|c| c.object.size).sum(),
                chunks: own,
            });
        }
        match chunks.next() {
            Some(stray) => Err(EngineError::Corrupt(format!(
                "a finished chunk belongs to {}, which the view does not have",
                stray.table
            ))),
            None => Ok(Manifest {
                summary: self.summary(&tables, objects),
                tables,
                definitions: self.definitions()?,
            }),
        }
    }

    /// What is not a table; the operator is told of the tables that were left out.
    fn definitions(&self) -> Result<Vec<Definition>, EngineError> {
        let mut all = self.snapshot.definitions()?;
        all.retain(|d| d.left_out().is_none_or(|table| self.plan.filter.matches(&table)));
        for table in all.iter().filter_map(Definition::left_out) {
            let text = format!("left out: {table} came or went while the backup was being taken");
            self.cx.line(LineLevel::Warning, text);
        }
        Ok(all)
    }

    fn summary(&self, tables: &[ManifestTable], objects: u64) -> BackupSummary {
        let mark = self.snapshot.mark();
        let totals: TableChecksum = tables.iter().map(|t| t.sum).sum();
        BackupSummary {
            id: self.begun.id.clone(),
            cluster: self.plan.cluster.clone(),
            cluster_identity: self.plan.cluster_identity.as_str().into(),
            incarnation: self.begun.incarnation,
            kind: self.plan.kind,
            commit: mark.moment,
            position: mark.position,
            started: self.begun.started,
            finished: self.cx.clock().now(),
            tables: tables.len() as u64,
            totals,
            stored_bytes: tables.iter().map(|t| t.stored_bytes).sum(),
            objects,
            filter: self.plan.filter.rules().to_vec(),
            keep_days: self.plan.keep_days,
            note: self.plan.note.clone(),
            source_version: self.version.as_str().into(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            asked_by: self.cx.asked_by().into(),
        }
    }
}

/// The level as the archive wants it; the plan was checked.
fn level(plan: &BackupPlan) -> Level {
    Level::new(plan.level).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn backups_of_one_second_have_different_ids() {
        let mut known = BTreeSet::new();
        // By chance alone, one of so many would be there twice: 1 - exp(-3000^2 / 2 / 65536).
        for _ in 0..3000 {
            let id = new_id(Millis(1_700_006_370_000), |id| Ok(known.contains(id))).unwrap();
            assert!(id.as_str().starts_with("20231114235930-"), "{id}");
            assert!(known.insert(id));
        }
    }
}
