//! `brine restore` and `brine undo`: a plan, an agreement, and that very plan run.

use super::args::{ConfirmArgs, RestoreArgs, UndoArgs};
use super::ask::{self, Danger};
use super::call::{Call, answer};
use super::words::At;
use super::{Outcome, follow, plan, refuse};
use crate::engine::point::{RestorePoint, RestoreRequest};
use crate::engine::restore::plan::RestorePlan;
use crate::model::filter::{RenameMap, TableFilter};
use crate::model::log::LogDesired;
use crate::service::desk::{Answer, LogAct, Question, Refusal, RefusalKind};

pub(super) fn run(call: &mut Call<'_>, args: &RestoreArgs) -> Outcome {
    let request = request(call, args)?;
    let planned = plan_fresh(call, request)?;
    let at = call.at(&args.cluster);
    if args.plan {
        let document = plan::document(&planned, at)?;
        return call.print(&document, at.zone, || plan::lines(&planned, at));
    }
    if let Some(hash) = &args.plan_hash {
        agreed(&planned, hash, at)?;
    }
    let confirm_name = agree(call, &planned, &args.confirm, at)?;
    let plan = Box::new(planned);
    follow::start(call, Question::Restore { plan, confirm_name })
}

pub(super) fn undo(call: &mut Call<'_>, args: &UndoArgs) -> Outcome {
    let cluster = args.cluster.clone();
    let planned = *answer!(call, Question::PlanUndo { cluster }, Answer::Restore);
    let at = call.at(&args.cluster);
    let confirm_name = agree(call, &planned, &args.confirm, at)?;
    let plan = Box::new(planned);
    follow::start(call, Question::Undo { plan, confirm_name })
}

/// The plan. A moment that has passed and that a running log backup has not archived yet is no error: flush, plan again.
fn plan_fresh(call: &mut Call<'_>, request: RestoreRequest) -> Result<RestorePlan, Refusal> {
    let question = || Question::PlanRestore {
        request: request.clone(),
    };
    let refusal = match call.ask(question()) {
        Ok(Answer::Restore(plan)) => return Ok(*plan),
        Ok(other) => return Err(refuse::unexpected(&other)),
        Err(refusal) => refusal,
    };
    if refusal.kind != RefusalKind::NotFound || !flushed_for(call, &request) {
        return Err(refusal);
    }
    Ok(*answer!(call, question(), Answer::Restore))
}

/// Flushes the log for a moment that it may soon hold; false where that would not help.
fn flushed_for(call: &mut Call<'_>, request: &RestoreRequest) -> bool {
    let RestorePoint::At { moment } = request.point else {
        return false;
    };
    let cluster = request.source.clone();
    let status = call.ask(Question::LogStatus {
        cluster: cluster.clone(),
    });
    let Ok(Answer::Log(log)) = status else { return false };
    let waits = log.desired == Some(LogDesired::Running) && log.checkpoint.is_none_or(|c| c < moment);
    if !waits || moment.at > call.now() {
        return false;
    }
    call.note("the log backup has not archived that moment yet: flushing it first");
    let act = LogAct::Flush;
    call.ask(Question::Log {
        cluster,
        act,
        confirm_name: None,
    })
    .is_ok()
}

fn request(call: &Call<'_>, args: &RestoreArgs) -> Result<RestoreRequest, Refusal> {
    if let Some(storage) = &args.storage {
        call.first_storage(&args.cluster, storage)?;
    }
    Ok(RestoreRequest {
        source: args.cluster.clone(),
        point: point(call, args)?,
        base: args.base.clone(),
        filter: TableFilter::parse(&args.filter).map_err(|e| refuse::usage(&e))?,
        rename: RenameMap::parse(&args.rename).map_err(|e| refuse::usage(&e))?,
        target: args.place.target(),
        replace: args.replace,
        stay_closed: args.stay_closed,
        exactly: false,
    })
}

fn point(call: &Call<'_>, args: &RestoreArgs) -> Result<RestorePoint, Refusal> {
    let p = &args.point;
    let moment = |flag: &str, text: &str| call.moment(flag, text, &args.cluster);
    Ok(match (&p.snapshot, &p.at, &p.before, &p.through, &p.fastest) {
        (Some(id), ..) => RestorePoint::Snapshot { id: id.clone() },
        (_, Some(text), ..) => RestorePoint::At {
            moment: moment("--at", text)?,
        },
        (_, _, Some(change), ..) => RestorePoint::Before { change: change.clone() },
        (_, _, _, Some(change), _) => RestorePoint::Through { change: change.clone() },
        (_, _, _, _, Some(text)) => RestorePoint::Fastest {
            moment: moment("--fastest", text)?,
        },
        // The description of the command line lets exactly one of them through.
        _ => RestorePoint::Latest,
    })
}

/// The plan must be the one that was looked at.
fn agreed(planned: &RestorePlan, hash: &str, at: At) -> Result<(), Refusal> {
    if planned.hash().starts_with(hash) {
        return Ok(());
    }
    let a = &planned.assumptions;
    let in_the_way: Vec<String> = a.in_the_way.iter().map(ToString::to_string).collect();
    Err(Refusal {
        kind: RefusalKind::Refused,
        chain: vec![
            format!("drifted: the plan has the hash {} now, not {hash}", planned.hash()),
            format!(
                "it now restores {} to {} from base {}, in history {}, into {} (identity {}), with {} in the way",
                planned.target,
                at.forms(planned.until),
                a.base,
                a.live_incarnation,
                planned.target,
                a.target_identity,
                if in_the_way.is_empty() {
                    "nothing".to_owned()
                } else {
                    in_the_way.join(" ")
                }
            ),
        ],
        hint: Some(
            "look at the new plan with --plan; a moment such as `10m ago` is another one each time, a TSO is not"
                .to_owned(),
        ),
    })
}

/// Nothing that cannot be done is asked about; what overwrites needs the typed name.
fn agree(call: &mut Call<'_>, planned: &RestorePlan, given: &ConfirmArgs, at: At) -> Result<Option<String>, Refusal> {
    if let Some(check) = planned.blocked() {
        return Err(refuse::guarded(
            format!("{}: {}", check.name, check.found),
            check.wanted.clone(),
        ));
    }
    let grave = planned.needs_typed_name() || call.is_protected(&planned.target);
    let danger = if grave { Danger::Grave } else { Danger::Mild };
    ask::confirm(call, given, &planned.target, danger, &plan::lines(planned, at))
}
