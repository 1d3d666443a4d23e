//! From what was asked to a moment: the incarnation it belongs to and the stretch of log that holds it.

use crate::archive::Archive;
use crate::cluster::Codec;
use crate::engine::error::EngineError;
use crate::engine::lookup;
use crate::engine::point::{RestorePoint, RestoreRequest};
use crate::engine::restore::plan::TxnRef;
use crate::engine::verify;
use crate::engine::view::View;
use crate::model::backup::BackupSummary;
use crate::model::ids::{BackupId, IncarnationId};
use crate::model::log::LogRun;
use crate::model::position::{Moment, Position};
use crate::model::time::mention_exact;
use crate::model::tso::Tso;
use crate::model::window::Window;

/// A point, resolved.
pub(super) struct Resolved {
    /// Changes after this are left out.
    pub until: Moment,
    /// Where the moment belongs.
    pub incarnation: IncarnationId,
    /// The point in words.
    pub words: String,
    /// The base, where the point itself is a backup.
    pub base: Option<BackupId>,
    /// The stretch of log that holds the moment.
    pub run: Option<LogRun>,
}

impl Resolved {
    pub(super) fn base_reason(&self, base: &BackupSummary, by_hand: bool) -> String {
        match (by_hand, &self.base) {
            (_, Some(_)) => "the chosen snapshot; no log is replayed".to_owned(),
            (true, None) => "chosen by hand".to_owned(),
            (false, None) if base.commit == self.until => "exactly that moment; no log is needed".to_owned(),
            (false, None) => "newest before the moment".to_owned(),
        }
    }
}

/// Resolves the point of a request against the archive.
pub(super) fn resolve(request: &RestoreRequest, archive: &Archive, view: &View) -> Result<Resolved, EngineError> {
    match &request.point {
        RestorePoint::Snapshot { id } => Ok(snapshot(view.backup(id)?)),
        RestorePoint::Fastest { moment } => fastest(view, *moment),
        RestorePoint::Latest => latest(view),
        RestorePoint::At { moment } => at(view, to_the_end(*moment), None),
        RestorePoint::Before { change } => {
            let (tso, what) = find(archive, view, change)?;
            at(view, Moment::of_tso(tso.prev()), Some(format!("just before {what}")))
        }
        RestorePoint::Through { change } => {
            let (tso, what) = find(archive, view, change)?;
            at(view, Moment::of_tso(tso), Some(format!("through {what}")))
        }
    }
}

/// A moment without a timestamp includes its whole millisecond.
fn to_the_end(moment: Moment) -> Moment {
    Moment::of_tso(moment.last_tso())
}

fn snapshot(base: &BackupSummary) -> Resolved {
    Resolved {
        until: base.commit,
        incarnation: base.incarnation,
        words: format!("snapshot {}", base.id),
        base: Some(base.id.clone()),
        run: None,
    }
}

fn fastest(view: &View, moment: Moment) -> Result<Resolved, EngineError> {
    let moment = to_the_end(moment);
    let newest = view.bases().into_iter().rev().find(|b| b.commit <= moment);
    match newest {
        Some(base) => Ok(snapshot(view.backup(&base.id)?)),
        None => Err(outside(view, &view.window(), moment)),
    }
}

fn latest(view: &View) -> Result<Resolved, EngineError> {
    let window = view.window();
    let live = view.live();
    let last = window.spans.iter().rev().find(|s| s.incarnation == live);
    match last {
        Some(span) => at(view, span.to, Some("latest".to_owned())),
        None => Err(EngineError::not_found(
            "there is no backup of the live history to restore".to_owned(),
            format!(
                "take a snapshot, or choose a moment before the last restore{}",
                broken(view)
            ),
        )),
    }
}

fn at(view: &View, until: Moment, words: Option<String>) -> Result<Resolved, EngineError> {
    let window = view.window();
    let Some(span) = window.span_at(until) else {
        return Err(outside(view, &window, until));
    };
    let run = view
        .log
        .runs
        .iter()
        .find(|r| r.incarnation == span.incarnation && r.from <= until && until <= r.to);
    Ok(Resolved {
        until,
        incarnation: span.incarnation,
        words: words.unwrap_or_else(|| mention_exact(until.at)),
        base: None,
        run: run.cloned(),
    })
}

/// The moment cannot be restored: says why, the bounds, and the nearest moments that can.
fn outside(view: &View, window: &Window, moment: Moment) -> EngineError {
    let show = |m: Moment| format!("{} (TSO {})", mention_exact(m.at), m.last_tso());
    let Some((first, last)) = window.bounds() else {
        return EngineError::not_found(
            "nothing can be restored yet: there is no complete full backup",
            format!("take a snapshot first{}", broken(view)),
        );
    };
    let why = if moment < first {
        "is before the first restorable moment"
    } else if moment > last {
        "is after the last restorable moment"
    } else {
        "lies in a gap"
    };
    let nearest = match window.nearest(moment) {
        (Some(before), Some(after)) => format!("the nearest are {} and {}", show(before), show(after)),
        (Some(one), None) | (None, Some(one)) => format!("the nearest is {}", show(one)),
        (None, None) => String::new(),
    };
    EngineError::not_found(
        format!("{} {why}", show(moment)),
        format!(
            "restorable is {} to {}; {nearest}{}",
            show(first),
            show(last),
            broken(view)
        ),
    )
}

/// The backups whose damage may be why.
fn broken(view: &View) -> String {
    let text = |(id, error): &(BackupId, String)| format!("; backup {id} cannot be used: {error}");
    view.broken.iter().map(text).collect()
}

/// The commit timestamp of a transaction or change, checked against the log, and what it is in words.
fn find(archive: &Archive, view: &View, change: &str) -> Result<(Tso, String), EngineError> {
    let codec = verify::codec_of(archive)?;
    let is_id = |id: &str| {
        let known = |run: &LogRun| codec.covers(&run.to_position, id).is_some();
        view.log.runs.iter().any(known)
    };
    // A change of a transaction with several carries a number behind its transaction's id.
    let transaction = match change.rsplit_once('.') {
        Some((before, number)) if !is_id(change) && number.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => change,
    };
    let found = match transaction.parse() {
        Ok(tso) => find_tso(archive, view, change, tso)?,
        Err(_) if is_id(transaction) => find_id(archive, view, change, transaction, codec)?,
        Err(_) => return Err(not_in_log(change, "`brine log changes` lists ids".to_owned())),
    };
    let (run, moment) = found;
    let what = lookup::describe(archive, run, moment, change)?;
    let what = what.unwrap_or_else(|| format!("transaction {change}"));
    Ok((moment.last_tso(), what))
}

/// There is no such thing in the log; `hint` says what there is.
fn not_in_log(change: &str, why: String) -> EngineError {
    EngineError::not_found(
        format!(
            "there is no transaction or change `{}` in the log: {why}",
            crate::model::text::safe(change, 60)
        ),
        "`brine log changes` lists what is worth a look, with --all every transaction",
    )
}

fn neighbours(near: impl IntoIterator<Item = TxnRef>) -> String {
    let ids: Vec<String> = near.into_iter().map(|t| t.id).collect();
    match ids.is_empty() {
        true => "the log holds none".to_owned(),
        false => format!("its neighbours are {}", ids.join(" and ")),
    }
}

fn find_tso<'v>(
    archive: &Archive,
    view: &'v View,
    change: &str,
    tso: Tso,
) -> Result<(&'v LogRun, Moment), EngineError> {
    let moment = Moment::of_tso(tso);
    let run = view.log.runs.iter().find(|r| r.from < moment && moment <= r.to);
    let run = run.ok_or_else(|| not_in_log(change, "it lies outside the archived log".to_owned()))?;
    let (last, next) = lookup::around(archive, run, moment)?;
    match last {
        Some(last) if last.at == moment => Ok((run, moment)),
        last => Err(not_in_log(change, neighbours(last.into_iter().chain(next)))),
    }
}

/// By the source's own id: the positions in the log tell which segment it must be in.
fn find_id<'v>(
    archive: &Archive,
    view: &'v View,
    change: &str,
    transaction: &str,
    codec: &dyn Codec,
) -> Result<(&'v LogRun, Moment), EngineError> {
    let covers = |position: &Position| codec.covers(position, transaction);
    // The newest first: after a restore to before it, the same id may have been given again.
    let holds = |r: &&LogRun| covers(&r.to_position) == Some(true) && covers(&r.from_position) != Some(true);
    let Some(run) = view.log.runs.iter().rev().find(holds) else {
        return Err(not_in_log(change, "it lies outside the archived log".to_owned()));
    };
    let segment = lookup::segment_holding(archive, run, &|position| covers(position) == Some(true))?;
    let Some(segment) = segment else {
        return Err(not_in_log(change, "it changed nothing that is backed up".to_owned()));
    };
    match lookup::in_segment(archive, &segment, transaction)? {
        Ok(found) => Ok((run, found.at)),
        Err(near) => Err(not_in_log(change, neighbours(near))),
    }
}
