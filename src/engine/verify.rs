//! Verifying a backup: files present, checksums read, or restored into a scratch cluster and compared.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::archive::state::ProofsDoc;
use crate::archive::{Archive, ArchiveLock, ManifestTable};
use crate::cluster::{Cluster, codec};
use crate::engine::cx::JobCx;
use crate::engine::error::{Doing, EngineError, ErrorKind};
use crate::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use crate::engine::restore::planner::{self, Source, Target};
use crate::engine::restore::run::{LogControl, RestoreRun};
use crate::engine::scope::Scoped;
use crate::engine::view::{SummaryCache, View};
use crate::model::backup::{Proof, ProofLevel};
use crate::model::checksum::TableChecksum;
use crate::model::filter::TableFilter;
use crate::model::ids::{BackupId, ClusterName};
use crate::model::job::Unit;
use crate::model::position::Moment;

/// So many results are remembered per backup.
const REMEMBERED: usize = 20;

/// Makes an empty scratch cluster of the right kind; it goes away when dropped.
pub type MakeScratch<'a> = &'a (dyn Fn() -> Result<Arc<dyn Cluster>, EngineError> + Sync);

/// Where a test restore goes.
#[derive(Clone, Copy)]
pub enum Scratch<'a> {
    /// Into a cluster that is made for it.
    Fresh(MakeScratch<'a>),
    /// Into one of the operator's, beside what it holds: everything is built and compared there as for a restore, and
    /// thrown away instead of being switched over.
    Named(&'a ClusterName, &'a dyn Cluster),
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReceipt {
    /// The backup.
    pub id: BackupId,
    /// The level that holds.
    pub level: ProofLevel,
    /// Tables checked.
    pub tables: u64,
    /// Objects checked.
    pub objects: u64,
    /// Rows read (none at level `files`).
    pub rows: u64,
}

/// Verifies and records the result, good or bad. A cancel, or a storage that cannot be reached, proves nothing.
pub fn run(
    archive: &Archive,
    lock: &ArchiveLock,
    id: &BackupId,
    level: ProofLevel,
    scratch: Scratch<'_>,
    cx: &dyn JobCx,
) -> Result<VerifyReceipt, EngineError> {
    let result = check(archive, id, level, scratch, cx);
    let failed = match &result {
        Ok(_) => None,
        Err(e) if matches!(e.kind(), ErrorKind::Corrupt) => Some(crate::model::text::safe(&e.chain(), 500)),
        Err(_) => return result,
    };
    let proof = Proof {
        level,
        at: cx.clock().now(),
        failed,
    };
    archive.update(lock, |doc: &mut ProofsDoc| {
        let all = doc.0.entry(id.clone()).or_default();
        all.push(proof.clone());
        let extra = all.len().saturating_sub(REMEMBERED);
        all.drain(..extra);
    })?;
    result
}

fn check(
    archive: &Archive,
    id: &BackupId,
    level: ProofLevel,
    scratch: Scratch<'_>,
    cx: &dyn JobCx,
) -> Result<VerifyReceipt, EngineError> {
    let mut receipt = files(archive, id, cx)?;
    receipt.level = level;
    match level {
        ProofLevel::Files => {}
        ProofLevel::Checksums => receipt.rows = read_through(archive, id, cx)?,
        ProofLevel::Tested => receipt.rows = test_restore(archive, id, scratch, cx)?,
    }
    Ok(receipt)
}

/// Level `files`: every object is there with its size.
fn files(archive: &Archive, id: &BackupId, cx: &dyn JobCx) -> Result<VerifyReceipt, EngineError> {
    let manifest = archive.read_manifest(id)?;
    cx.step(
        "Check that all files are there",
        Unit::Objects,
        Some(manifest.summary.objects),
    );
    let problems = archive.check_files(&manifest)?;
    match problems.split_first() {
        None => Ok(VerifyReceipt {
            id: id.clone(),
            level: ProofLevel::Files,
            tables: manifest.summary.tables,
            objects: manifest.summary.objects,
            rows: 0,
        }),
        Some((first, rest)) => Err(EngineError::Corrupt(format!(
            "`{}`: {} (and {} more)",
            first.object,
            first.why,
            rest.len()
        ))),
    }
}

/// Level `checksums`: every byte is read and every table's logical checksum computed anew; returns the rows.
pub fn read_through(archive: &Archive, id: &BackupId, cx: &dyn JobCx) -> Result<u64, EngineError> {
    let summary = archive.read_summary(id)?;
    let meter = cx.step("Read and check every row", Unit::Bytes, Some(summary.totals.bytes));
    let codec = codec_of(archive)?;
    let mut total = TableChecksum::default();
    let mut tables = archive.manifest_tables(id)?;
    while let Some(table) = tables.next()? {
        let sum = read_table(archive, id, &table, codec, &meter, cx)?;
        if sum != table.sum {
            return Err(EngineError::Mismatch {
                table: table.name.to_string(),
                expected_of: "the manifest",
                expected: table.sum.to_string(),
                found_of: "the stored rows",
                found: sum.to_string(),
            });
        }
        total = total + sum;
    }
    meter.complete();
    Ok(total.rows)
}

/// Reads the records of the kind of cluster that an archive is of.
pub fn codec_of(archive: &Archive) -> Result<&'static dyn crate::cluster::Codec, EngineError> {
    let kind = serde_json::from_value(serde_json::Value::String(archive.identity().kind.clone()));
    kind.map(codec).map_err(|e| {
        EngineError::Corrupt(format!(
            "the archive is of a kind of cluster that this version does not know: {e}"
        ))
    })
}

fn read_table(
    archive: &Archive,
    id: &BackupId,
    table: &ManifestTable,
    codec: &dyn crate::cluster::Codec,
    meter: &crate::engine::cx::Meter,
    cx: &dyn JobCx,
) -> Result<TableChecksum, EngineError> {
    let mut sum = TableChecksum::default();
    for chunk in &table.chunks {
        let mut reader = archive.data_reader(id, &chunk.object)?;
        while let Some(batch) = reader.next().doing(|| format!("reading rows of {}", table.name))? {
            cx.check()?;
            sum = sum + codec.batch_checksum(&batch)?;
            meter.add(batch.len() as u64);
        }
    }
    Ok(sum)
}

/// A scratch cluster has no log to flush.
struct NoLog;

impl LogControl for NoLog {
    fn flush(&self, _: &ClusterName, _: &dyn JobCx) -> Result<Option<Moment>, EngineError> {
        Ok(None)
    }
}

/// Level `tested`: restores into a scratch cluster, by the same road as a real restore; returns the rows.
fn test_restore(archive: &Archive, id: &BackupId, scratch: Scratch<'_>, cx: &dyn JobCx) -> Result<u64, EngineError> {
    let cx = &Scoped::new(cx, "test/");
    let (made, named);
    let (name, target): (ClusterName, &dyn Cluster) = match scratch {
        Scratch::Fresh(make) => {
            // It dies with its process: nothing of what an earlier run had done in one is of use in another.
            cx.resume_log().clear()?;
            made = make()?;
            named = ClusterName::new("scratch").map_err(|e| EngineError::Corrupt(e.to_string()))?;
            (named, &*made)
        }
        Scratch::Named(name, cluster) => (name.clone(), cluster),
    };
    let view = View::read(archive, &SummaryCache::default())?;
    let source = archive.identity().cluster.clone();
    let point = RestorePoint::Snapshot { id: id.clone() };
    let mut request = RestoreRequest::new(source, point, RestoreTarget::Cluster { name: name.clone() });
    request.filter = TableFilter::parse(&view.backup(id)?.filter).map_err(|e| EngineError::Corrupt(e.to_string()))?;
    request.replace = true;
    if matches!(scratch, Scratch::Named(..)) && request.filter.is_all() {
        // Tables only: neither accounts nor settings of the operator's cluster are any business of a test.
        request.filter = TableFilter::parse(&["*.*"]).map_err(|e| EngineError::Corrupt(e.to_string()))?;
    }
    let plan = planner::plan(
        &request,
        &Source { archive, view: &view },
        &Target {
            name,
            cluster: target,
            view: None,
        },
    )?;
    let run = RestoreRun {
        plan: &plan,
        source: archive,
        target,
        target_archive: None,
        log: &NoLog,
        undo: false,
        cx,
    };
    match scratch {
        Scratch::Fresh(_) => Ok(run.run()?.rows),
        Scratch::Named(..) => run.rehearse(),
    }
}
