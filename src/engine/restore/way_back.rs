//! The way back of a restore: a bookmark where base and log are proved good, else a safety snapshot.

use std::time::{Duration, Instant};

use super::run::TargetArchive;
use crate::archive::state::{WayBack, WayBackKind};
use crate::cluster::Mark;
use crate::cluster::{Changes, Cluster, LogEvent};
use crate::engine::backup::{self, BackupPlan};
use crate::engine::cx::JobCx;
use crate::engine::error::{Doing, EngineError};
use crate::engine::incarnation;
use crate::engine::log::runs;
use crate::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use crate::engine::scope::Scoped;
use crate::engine::verify;
use crate::engine::view::{SummaryCache, View};
use crate::model::backup::BackupType;
use crate::model::clock::Millis;
use crate::model::filter::TableFilter;
use crate::model::ids::ClusterName;
use crate::model::job::{LineLevel, Unit};
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::time::mention;
use crate::model::window::covering_run;

/// For so long a restore can be undone.
const KEPT: i64 = 7 * Millis::DAY;
/// A server's stream needs a moment to connect and to come to the present.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(250);

/// Makes the way back of a closed, flushed cluster; `tables` are those that the restore writes, or `None` for all.
pub(super) fn make(
    cluster: &dyn Cluster,
    target: TargetArchive<'_>,
    name: &ClusterName,
    tables: Option<Vec<TableName>>,
    cx: &dyn JobCx,
) -> Result<WayBack, EngineError> {
    let until = cx.clock().now().plus(KEPT);
    match bookmark(cluster, target, cx) {
        Ok(Some(kind)) => {
            return Ok(WayBack {
                kind,
                until,
                used: false,
                tables,
            });
        }
        Ok(None) => {}
        Err(e @ EngineError::Cancelled(_)) => return Err(e),
        Err(e) => cx.line(
            LineLevel::Warning,
            format!("base and log cannot serve as the way back ({e}); taking a safety snapshot"),
        ),
    }
    cx.step("Take a safety snapshot", Unit::Bytes, None);
    let identity = cluster.facts()?.identity;
    let plan = BackupPlan::full(name.clone(), identity, BackupType::WayBack);
    let scoped = Scoped::new(cx, "way-back-snapshot/");
    let taken = backup::run(cluster, target.archive, target.lock, &plan, &scoped)
        .doing(|| "taking the safety snapshot".to_owned())?;
    Ok(WayBack {
        kind: WayBackKind::Snapshot { id: taken.id },
        until,
        used: false,
        tables,
    })
}

/// The newest base whose growing log reaches the present; both are read through first.
fn bookmark(
    cluster: &dyn Cluster,
    target: TargetArchive<'_>,
    cx: &dyn JobCx,
) -> Result<Option<WayBackKind>, EngineError> {
    let view = View::read(target.archive, &SummaryCache::default())?;
    let live = view.live();
    let found = view
        .bases()
        .into_iter()
        .rev()
        .filter(|b| b.incarnation == live)
        .find_map(|b| {
            let run = covering_run(&b, &view.log.runs)?;
            run.ended.is_none().then(|| (b, run.clone()))
        });
    let Some((base, run)) = found else {
        return Ok(None);
    };
    // Nothing may have been committed that the log does not hold: the cluster is closed, and the log was flushed after that.
    let end = Mark {
        moment: run.to,
        position: run.to_position.clone(),
    };
    let now = cluster.mark()?.moment;
    let mut changes = cluster.changes(&end, &runs::anchors(&view, &end))?;
    if !nothing_until(now, &mut *changes, cx)? {
        return Ok(None);
    }
    cx.step("Check the way back", Unit::Bytes, None);
    verify::read_through(target.archive, &base.id, cx)?;
    let mut reader = target.archive.read_log(&run, base.commit, run.to)?;
    while reader.next()?.is_some() {
        cx.check()?;
    }
    Ok(Some(WayBackKind::Bookmark {
        base: base.id,
        at: run.to,
        incarnation: live,
    }))
}

/// Whether a stream comes to a moment without anything on the way.
fn nothing_until(moment: Moment, changes: &mut dyn Changes, cx: &dyn JobCx) -> Result<bool, EngineError> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        cx.check()?;
        match changes.next(LOOK)? {
            Some(LogEvent::Reached(mark)) if mark.moment >= moment => return Ok(true),
            Some(LogEvent::Reached(_)) | None => {}
            Some(LogEvent::Txn(_) | LogEvent::Restored(_)) => return Ok(false),
        }
    }
    let text = "the source's log did not come to the present in time; taking a safety snapshot".to_owned();
    cx.line(LineLevel::Warning, text);
    Ok(false)
}

/// The restore that undoes the last one into a cluster: of the tables which that one wrote, and of no others.
pub fn undo_request(view: &View, cluster: &ClusterName, now: Millis) -> Result<RestoreRequest, EngineError> {
    let none = |what: String| EngineError::refused(what, "restore the moment you want with `brine restore`");
    let Some(way_back) = incarnation::way_back(&view.incarnations) else {
        return Err(none(format!("{cluster} has no restore that can be undone")));
    };
    if way_back.until < now {
        return Err(none(format!(
            "the last restore of {cluster} could be undone until {}",
            mention(way_back.until)
        )));
    }
    let point = match &way_back.kind {
        WayBackKind::Bookmark { at, .. } => RestorePoint::At { moment: *at },
        WayBackKind::Snapshot { id } => RestorePoint::Snapshot { id: id.clone() },
    };
    let mut request = RestoreRequest::new(cluster.clone(), point, RestoreTarget::InPlace);
    if let WayBackKind::Bookmark { base, .. } = &way_back.kind {
        request.base = Some(base.clone());
    }
    if let Some(tables) = &way_back.tables {
        request.filter = TableFilter::only(tables);
        request.exactly = true;
    }
    Ok(request)
}
