//! Accepting a database that is not the one an archive was made for, or one that lost data.
//!
//! An archive belongs to one database. After a failover, a move to another host or a loss it can go on with another one,
//! if an operator says so. Where the new one's log continues the archive's, nothing else changes. Where it does not, the
//! stretch of log ends and a new history begins: no base and no log is ever used across.

use serde::{Deserialize, Serialize};

use super::incarnation::{self, Beginning};
use crate::archive::state::{Adopted, AdoptedDoc, LogDoc};
use crate::archive::{Archive, ArchiveLock};
use crate::cluster::{Cluster, ClusterError, Mark};
use crate::engine::cx::JobCx;
use crate::engine::error::{Doing, EngineError};
use crate::engine::log::runs;
use crate::engine::view::{SummaryCache, View};
use crate::model::crash::crash_point;
use crate::model::ids::IncarnationId;
use crate::model::log::{LogRun, RunEnd};
use crate::model::position::Position;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// The identity that the archive had.
    pub before: String,
    /// The one it has now.
    pub identity: String,
    /// Whether the log goes on without a gap.
    pub continued: bool,
    /// The history that began, where it does not.
    pub incarnation: Option<IncarnationId>,
}

/// The identity that what is written into an archive must come from: the one accepted last, or its first.
pub fn expected(archive: &Archive) -> Result<String, EngineError> {
    let adopted = archive.state::<AdoptedDoc>()?.value;
    let last = adopted.0.into_iter().next_back().map(|a| a.identity);
    Ok(last.unwrap_or_else(|| archive.identity().cluster_identity.clone()))
}

/// Accepts the database as it is now.
pub fn run(
    cluster: &dyn Cluster,
    archive: &Archive,
    lock: &ArchiveLock,
    cx: &dyn JobCx,
) -> Result<Adoption, EngineError> {
    let facts = cluster.facts()?;
    if facts.kind.word() != archive.identity().kind {
        return Err(EngineError::refused(
            format!(
                "the archive holds records of kind {}, and this database is of kind {}: neither can read the other's",
                archive.identity().kind,
                facts.kind.word()
            ),
            "give the new database another name in the config",
        ));
    }
    let identity = facts.identity;
    let before = expected(archive)?;
    let view = View::read(archive, &SummaryCache::default())?;
    let continued = continues(cluster, archive, &view, identity != before)?;
    let mut adoption = Adoption {
        continued,
        incarnation: None,
        before,
        identity,
    };
    if !continued {
        // First the end of what was: an adoption that dies here is simply asked for again.
        archive.update(lock, |doc: &mut LogDoc| {
            let open = |r: &&mut LogRun| matches!(r.ended, None | Some(RunEnd::Stopped));
            if let Some(run) = doc.runs.last_mut().filter(open) {
                run.ended = Some(RunEnd::SourceLogGone);
            }
        })?;
        crash_point("adopt.log-ended");
        if adoption.identity != adoption.before {
            adoption.incarnation = Some(new_history(cluster, archive, lock, &view)?);
            crash_point("adopt.history");
        }
    }
    if adoption.identity != adoption.before {
        let entry = Adopted {
            identity: adoption.identity.clone(),
            at: cx.clock().now(),
            by: cx.asked_by().to_owned(),
            continued,
        };
        archive.update(lock, |doc: &mut AdoptedDoc| doc.0.push(entry.clone()))?;
    }
    Ok(adoption)
}

/// Whether the database's log has the archive's last place and everything since.
fn continues(cluster: &dyn Cluster, archive: &Archive, view: &View, foreign: bool) -> Result<bool, EngineError> {
    let run = view
        .log
        .runs
        .last()
        .filter(|r| !matches!(r.ended, Some(RunEnd::SourceLogGone)));
    let end = match (run, view.backups.last()) {
        (Some(run), _) => Mark {
            moment: run.to,
            position: run.to_position.clone(),
        },
        (None, Some(base)) => Mark {
            moment: base.commit,
            position: base.position.clone(),
        },
        (None, None) => return Ok(true),
    };
    // Files and offsets are counted by every server for itself, and so are the timestamps of stores.
    let comparable = matches!(&end.position, Position::Binlog { gtid, .. } if !gtid.is_empty());
    if foreign && !comparable {
        return Ok(false);
    }
    let recognised = match run {
        Some(run) => runs::recognise(cluster, archive, run)?,
        None => Ok(()),
    };
    match recognised.and_then(|()| cluster.changes(&end, &runs::anchors(view, &end))) {
        Ok(_) => Ok(true),
        Err(ClusterError::OtherServer(_)) => Ok(false),
        Err(e) if e.ends_log() => Ok(false),
        Err(e) => Err(e).doing(|| "looking whether its log continues the archive's".to_owned()),
    }
}

/// A history that has nothing to do with the one before; a base of it must be taken.
fn new_history(
    cluster: &dyn Cluster,
    archive: &Archive,
    lock: &ArchiveLock,
    view: &View,
) -> Result<IncarnationId, EngineError> {
    let mark = cluster.mark()?;
    let known = view.incarnations.list.iter().map(|i| i.began);
    let logged = view.log.runs.iter().map(|r| r.to);
    let newest = known.chain(logged).chain(view.backups.iter().map(|b| b.commit)).max();
    if newest.is_some_and(|newest| newest >= mark.moment) {
        return Err(EngineError::refused(
            "its clock is behind what the archive holds: its moments would be taken for older ones",
            "set the clock of its host right, then adopt it",
        ));
    }
    incarnation::begin(archive, lock, &mark, &Beginning::default())
}
