//! Retention as a plan over made-up archives: what is needed stays, whatever else happened.

use std::sync::Arc;

use brine::archive::state::{Incarnation, IncarnationsDoc, LogDoc, ProofsDoc, ProtectDoc, WayBack, WayBackKind};
use brine::engine::retention::{self, RetentionPlan};
use brine::engine::view::View;
use brine::model::backup::{BackupSummary, BackupType, Protection};
use brine::model::checksum::TableChecksum;
use brine::model::clock::Millis;
use brine::model::ids::{BackupId, IncarnationId};
use brine::model::log::{LogRun, RunEnd};
use brine::model::position::{Moment, Position};
use brine::model::settings::{BackupSettings, RetentionDays};
use brine::model::tso::Tso;
use brine::model::window::Window;
use proptest::prelude::*;

use crate::env::{START, name};
use crate::moments::cases;

fn moment(hour: i64) -> Moment {
    Moment::of_tso(Tso::from_millis(START.plus(hour * Millis::HOUR)))
}

#[derive(Clone, Debug)]
enum Event {
    Backup(BackupType, Option<u32>),
    Partial,
    Protect,
    /// The log ends here and goes on from the next backup.
    Gap,
    /// Whether with a bookmark.
    Restore(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![6 => Just(BackupType::Auto), 1 => Just(BackupType::Manual)];
    prop_oneof![
        12 => (kind, proptest::option::weighted(0.2, 1..20u32)).prop_map(|(kind, days)| {
            let days = days.filter(|_| kind == BackupType::Manual);
            Event::Backup(kind, days)
        }),
        1 => Just(Event::Partial),
        1 => Just(Event::Protect),
        1 => Just(Event::Gap),
        1 => any::<bool>().prop_map(Event::Restore),
    ]
}

fn summary(n: usize, at: Moment, incarnation: u32, kind: BackupType, keep_days: Option<u32>) -> BackupSummary {
    BackupSummary {
        id: BackupId::new(format!("b{n:04}")).unwrap(),
        cluster: name("demo"),
        cluster_identity: "x".into(),
        incarnation: IncarnationId(incarnation),
        kind,
        commit: at,
        position: Position::Tso(at.last_tso()),
        started: at.at,
        finished: at.at,
        tables: 1,
        totals: TableChecksum::default(),
        stored_bytes: 10,
        objects: 2,
        filter: Vec::new(),
        keep_days,
        note: None,
        source_version: "".into(),
        tool_version: "".into(),
        asked_by: "".into(),
    }
}

fn run(incarnation: u32, from: Moment, to: Moment, seq: u64) -> LogRun {
    LogRun {
        incarnation: IncarnationId(incarnation),
        from,
        from_position: Position::Tso(from.last_tso()),
        to,
        to_position: Position::Tso(to.last_tso()),
        first_seq: seq,
        end_seq: seq + 1,
        first_hash: format!("{seq}"),
        last_hash: format!("{}", seq + 1),
        ended: None,
        lacking: Vec::new(),
        waiting: Vec::new(),
    }
}

/// Plays events, some hours apart, into a view.
fn view(events: &[(i64, Event)]) -> (View, Millis) {
    let mut v = View {
        backups: Vec::new(),
        broken: Vec::new(),
        incomplete: Vec::new(),
        trash: Vec::new(),
        log: LogDoc::default(),
        incarnations: IncarnationsDoc::default(),
        protect: ProtectDoc::default(),
        proofs: ProofsDoc::default(),
        settings: BackupSettings::default(),
        damaged: Vec::new(),
    };
    let (mut hour, mut live) = (0, 1);
    for (n, (hours, event)) in events.iter().enumerate() {
        hour += hours;
        let now = moment(hour);
        if let Some(open) = v.log.runs.last_mut().filter(|r| r.ended.is_none()) {
            open.to = now;
        }
        match event {
            Event::Backup(kind, days) => {
                v.backups.push(Arc::new(summary(n, now, live, *kind, *days)));
                if v.log.runs.last().is_none_or(|r| r.ended.is_some()) {
                    v.log.runs.push(run(live, now, now, n as u64));
                }
            }
            Event::Partial => {
                let mut partial = summary(n, now, live, BackupType::Auto, None);
                partial.filter = vec!["a.*".to_owned()];
                v.backups.push(Arc::new(partial));
            }
            Event::Protect => {
                if let Some(last) = v.backups.last() {
                    let protection = Protection {
                        by: "me".to_owned(),
                        at: now.at,
                    };
                    v.protect.0.insert(last.id.clone(), protection);
                }
            }
            Event::Gap => {
                if let Some(open) = v.log.runs.last_mut() {
                    open.ended.get_or_insert(RunEnd::SourceLogGone);
                }
            }
            Event::Restore(bookmark) => {
                let base = v.bases().last().cloned();
                let kind = match base {
                    Some(base) if *bookmark => WayBackKind::Bookmark {
                        base: base.id,
                        at: now,
                        incarnation: IncarnationId(live),
                    },
                    _ => {
                        v.backups
                            .push(Arc::new(summary(n, now, live, BackupType::WayBack, None)));
                        WayBackKind::Snapshot {
                            id: v.backups.last().unwrap().id.clone(),
                        }
                    }
                };
                if let Some(open) = v.log.runs.last_mut() {
                    open.ended.get_or_insert(RunEnd::Restored);
                }
                live += 1;
                v.incarnations.list.push(Incarnation {
                    id: IncarnationId(live),
                    began: now,
                    began_position: Position::Tso(now.last_tso()),
                    restored_to: None,
                    from: None,
                    partial: false,
                    job: None,
                    way_back: Some(WayBack {
                        kind,
                        until: now.at.plus(7 * Millis::DAY),
                        used: false,
                        tables: None,
                    }),
                });
                let then = Moment::of_tso(now.last_tso().next());
                v.backups
                    .push(Arc::new(summary(n + 5_000, then, live, BackupType::Base, None)));
                v.log.runs.push(run(live, now, then, n as u64));
            }
        }
    }
    v.backups.sort_by(|a, b| (a.commit, &a.id).cmp(&(b.commit, &b.id)));
    (v, START.plus((hour + 1) * Millis::HOUR))
}

/// The window that lasting bases give: one that goes after days of its own promises nothing.
fn promised(v: &View) -> Window {
    let lasting = v
        .bases()
        .into_iter()
        .filter(|b| v.backup(&b.id).unwrap().keep_days.is_none());
    Window::new(lasting.collect(), &v.log.runs)
}

/// What is left after a plan was run.
fn after(v: &View, plan: &RetentionPlan) -> View {
    let mut left = v.clone();
    left.backups
        .retain(|b| plan.backups.iter().any(|l| l.keep && l.id == b.id));
    if let Some(until) = plan.truncate_until {
        left.log.runs.retain(|r| r.to > until || r.ended.is_none());
        left.log
            .runs
            .iter_mut()
            .for_each(|r| r.from = r.from.max(until.min(r.to)));
    }
    left
}

fn check(v: &View, plan: &RetentionPlan, now: Millis, days: u32) -> Result<(), TestCaseError> {
    let left = after(v, plan);
    prop_assert_eq!(v.bases().is_empty(), left.bases().is_empty(), "the last good backup");
    let last = |v: &View| v.bases().last().cloned();
    prop_assert_eq!(last(v), last(&left), "the last good backup");
    let cutoff = now.plus(-i64::from(days) * Millis::DAY);
    let (before, kept) = (promised(v), left.window());
    for hour in 0.. {
        let at = moment(hour);
        if at.at > now {
            break;
        }
        let was = before.span_at(at).filter(|_| at.at > cutoff);
        prop_assert!(
            was.is_none() || kept.span_at(at).is_some(),
            "{at:?} is within {days} days and was lost: {plan:#?}"
        );
        // What is advertised can be reached from what is left.
        if let Some(span) = plan.window_after.span_at(at) {
            let reached = left.bases().iter().any(|b| {
                let run = brine::model::window::covering_run(b, &left.log.runs);
                b.incarnation == span.incarnation
                    && b.commit <= at
                    && (b.commit == at || run.is_some_and(|r| at <= r.to))
            });
            prop_assert!(reached, "{at:?} is advertised and cannot be reached");
        }
    }
    if let Some(until) = plan.truncate_until {
        prop_assert!(left.bases().iter().all(|b| until <= b.commit));
    }
    for b in &v.backups {
        let line = plan.backups.iter().find(|l| l.id == b.id).unwrap();
        let is_sacred = v.protect.0.contains_key(&b.id) || (b.kind == BackupType::Manual && b.keep_days.is_none());
        prop_assert!(line.keep || !is_sacred, "{line:?}");
    }
    for way_back in v
        .incarnations
        .list
        .iter()
        .filter_map(|i| i.way_back.as_ref())
        .filter(|w| w.until > now)
    {
        let (id, at) = match &way_back.kind {
            WayBackKind::Bookmark { base, at, .. } => (base, Some(*at)),
            WayBackKind::Snapshot { id } => (id, None),
        };
        prop_assert!(left.backup(id).is_ok(), "{way_back:?}");
        prop_assert!(
            at.is_none_or(|at| v.window().span_at(at).is_none() || kept.span_at(at).is_some()),
            "{way_back:?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(400))]

    /// Promises 16, 18 and 19; also when retention runs again and again while time passes.
    #[test]
    fn what_the_window_needs_is_kept(
        events in proptest::collection::vec((1..60i64, event()), 1..40),
        days in 7..12u32,
        every in 1..5usize,
    ) {
        let (mut gone, mut cut): (Vec<BackupId>, Option<Moment>) = (Vec::new(), None);
        for n in 1..=events.len() {
            let (mut v, now) = view(&events[..n]);
            v.settings.retention_days = RetentionDays::new(days).unwrap();
            v.backups.retain(|b| !gone.contains(&b.id));
            if let Some(until) = cut {
                v.log.runs.retain(|r| r.to > until || r.ended.is_none());
                v.log.runs.iter_mut().for_each(|r| r.from = r.from.max(until.min(r.to)));
            }
            let plan = retention::plan(&v, &v.settings, now);
            check(&v, &plan, now, days)?;
            if n % every == 0 {
                gone.extend(plan.dropped().map(|l| l.id.clone()));
                cut = cut.max(plan.truncate_until);
            }
        }
    }
}
