//! Restores into the cluster itself: incarnations, ways back, and what stays restorable from before.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use brine::archive::state::WayBackKind;
use brine::engine::cx::JobCx;
use brine::engine::error::EngineError;
use brine::engine::log::control;
use brine::engine::log::task::LogShared;
use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::engine::restore::run::{LogControl, RestoreRun};
use brine::engine::restore::way_back;
use brine::engine::truncate;
use brine::model::filter::TableFilter;
use brine::model::ids::ClusterName;
use brine::model::position::Moment;
use brine::model::tso::Tso;
use proptest::prelude::*;

use crate::env::{Sums, World, chain, only, t};
use crate::moments::{Op, cases, check_moment, op, other, perform};

#[derive(Clone, Debug)]
enum Step {
    Do(Op),
    /// To the n-th commit so far.
    InPlace(u16),
    InPlaceLatest,
    Beside(u16),
    Undo,
    /// The log backup pauses, and goes on at the next pause.
    Pause,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => op().prop_map(Step::Do),
        2 => any::<u16>().prop_map(Step::InPlace),
        1 => Just(Step::InPlaceLatest),
        2 => any::<u16>().prop_map(Step::Beside),
        1 => Just(Step::Undo),
        1 => Just(Step::Pause),
    ]
}

fn at(ts: Tso) -> RestorePoint {
    RestorePoint::At {
        moment: Moment::of_tso(ts),
    }
}

/// What a restore wrote, and so what its undo leads back.
#[derive(Clone, Copy)]
enum Wrote {
    Everything,
    Beside,
}

impl Wrote {
    fn rules(self) -> &'static [&'static str] {
        match self {
            Wrote::Everything => &["*.*"],
            Wrote::Beside => &["*_restored.*"],
        }
    }

    fn rest(self) -> &'static [&'static str] {
        match self {
            Wrote::Everything => &["!*.*"],
            Wrote::Beside => &["*.*", "!*_restored.*"],
        }
    }
}

/// A cluster, what committed, and what was there before the last restore that can be undone.
struct Story {
    w: World,
    commits: Vec<Tso>,
    before: Option<(Wrote, Sums)>,
}

impl Story {
    fn pick(&self, n: u16) -> Option<Tso> {
        let len = self.commits.len();
        (len > 0).then(|| self.commits[n as usize % len])
    }

    fn play(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let fail = |e: EngineError| TestCaseError::fail(format!("{step:?}: {}", chain(&e)));
        let paused = self.w.log_doc().paused.is_some();
        match step {
            Step::Do(Op::CatchUp) if paused => {}
            Step::Do(op) => self.commits.extend(perform(&mut self.w, op)),
            Step::Pause if paused => control::resume(&self.w.archive, &self.w.lock).unwrap(),
            Step::Pause => control::pause(&self.w.archive, &self.w.lock, "me").unwrap(),
            Step::InPlace(n) => {
                let Some(ts) = self.pick(*n) else { return Ok(()) };
                self.in_place(at(ts), Some(ts))?;
            }
            Step::InPlaceLatest => self.in_place(RestorePoint::Latest, None)?,
            Step::Beside(n) => {
                let Some(ts) = self.pick(*n) else { return Ok(()) };
                let mut request = self.w.request(at(ts), RestoreTarget::Beside);
                request.replace = true;
                let (want, before) = (self.w.sums_at(ts), self.w.sums());
                let plan = match self.w.plan(&request) {
                    Ok(plan) => plan,
                    Err(EngineError::NotFound { .. }) => return Ok(()),
                    Err(e) => return Err(fail(e)),
                };
                self.w.run(&plan, &self.w.cx()).map_err(fail)?;
                // One that wrote over nothing leaves the way back of the restore before it.
                if plan.losses.is_some() {
                    self.before = Some((Wrote::Beside, before.clone()));
                }
                let after = self.w.sums();
                for (name, sum) in only(&want, &["*.*", "!mysql.*"]) {
                    let there = (t(&format!("{}_restored", name.db), &name.table), sum);
                    prop_assert!(after.contains(&there), "{there:?} beside, of {ts}, in {after:?}");
                }
                let rest = ["*.*", "!*_restored.*"];
                prop_assert_eq!(only(&after, &rest), only(&before, &rest));
            }
            Step::Undo => {
                let now = self.w.sums();
                match (self.w.undo(), self.before.take()) {
                    (Ok(_), Some((wrote, want))) => {
                        let undone = self.w.sums();
                        prop_assert_eq!(only(&undone, wrote.rules()), only(&want, wrote.rules()), "undone");
                        prop_assert_eq!(only(&undone, wrote.rest()), only(&now, wrote.rest()), "left alone");
                        self.before = Some((wrote, now));
                    }
                    (Err(EngineError::Refused { .. }), None) => {}
                    (other, want) => prop_assert!(false, "undo: {other:?}, wanted {:?}", want.map(|w| w.1)),
                }
            }
        }
        prop_assert!(self.w.c().session("app").is_ok(), "open after {:?}", step);
        Ok(())
    }

    fn in_place(&mut self, point: RestorePoint, ts: Option<Tso>) -> Result<(), TestCaseError> {
        let before = self.w.sums();
        let request = self.w.request(point, RestoreTarget::InPlace);
        match self.w.restore(&request) {
            Ok(receipt) => {
                let until = ts.unwrap_or_else(|| receipt.until.last_tso());
                let want = self.w.sums_at(until);
                prop_assert_eq!(self.w.sums(), want, "in place at {}", until);
                if ts.is_none() && self.w.log_doc().paused.is_none() {
                    prop_assert_eq!(&self.w.sums(), &before, "latest");
                }
                self.before = Some((Wrote::Everything, before));
            }
            Err(EngineError::NotFound { .. }) => prop_assert_eq!(self.w.sums(), before),
            Err(e) => return Err(TestCaseError::fail(format!("in place at {ts:?}: {}", chain(&e)))),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(6))]

    /// A moment belongs to the history that was live then, and stays restorable through all later ones.
    #[test]
    fn every_moment_of_every_history_can_be_restored(steps in proptest::collection::vec(step(), 20..90)) {
        let mut w = World::new();
        let other = other();
        for n in 0..3 {
            perform(&mut w, &Op::Create(n));
        }
        let first = w.backup().commit.last_tso();
        w.start_log();
        w.log_options.flush_bytes = 100;
        let mut story = Story { w, commits: Vec::new(), before: None };
        for step in &steps {
            story.play(step)?;
        }
        let Story { w, commits, .. } = story;
        if w.log_doc().paused.is_some() {
            control::resume(&w.archive, &w.lock).unwrap();
        }
        w.catch_up();
        let window = w.view().window();
        for (n, ts) in commits.iter().enumerate() {
            prop_assert!(*ts > first);
            prop_assert!(window.span_at(Moment::of_tso(*ts)).is_some(), "{} is not restorable: {:#?}", ts, w.log_doc());
            check_moment(&w, &other, *ts, n % 7 == 0)?;
            let before = ts.prev();
            if window.span_at(Moment::of_tso(before)).is_some() {
                check_moment(&w, &other, before, false)?;
            }
        }
    }
}

/// Two writes, a backup before and the log after: the least that a restore in place needs.
fn small() -> (World, Vec<Tso>) {
    let w = World::new();
    let app = w.app();
    app.create_table(&t("shop", "a"), "{}").unwrap();
    app.put(&t("shop", "a"), b"k0", b"before").unwrap();
    w.backup();
    w.start_log();
    let commits = (0..5u8).map(|n| app.put(&t("shop", "a"), &[b'k', n], &[n; 20]).unwrap());
    let commits = commits.collect();
    (w, commits)
}

#[test]
fn an_undo_can_be_undone_and_is_used_once() {
    let (w, commits) = small();
    let first = w.sums();
    w.catch_up();
    let receipt = w.in_place(commits[1]).unwrap();
    assert_eq!(receipt.incarnation.unwrap().0, 2);
    assert_eq!(receipt.last_in.unwrap().at.last_tso(), commits[1]);
    assert_eq!(receipt.first_out.unwrap().at.last_tso(), commits[2]);
    let second = w.sums();
    assert_ne!(first, second);
    w.undo().unwrap();
    assert_eq!(w.sums(), first);
    w.undo().unwrap();
    assert_eq!(w.sums(), second, "the undo of the undo");
    let used: Vec<bool> = w
        .view()
        .incarnations
        .list
        .iter()
        .map(|i| i.way_back.as_ref().unwrap().used)
        .collect();
    assert_eq!(used, [true, true, false]);
}

/// Some tables went back; others were written since. The undo of the one is not the undo of the others.
#[test]
fn an_undo_leads_back_only_what_the_restore_wrote() {
    let (w, commits) = small();
    let app = w.app();
    app.create_table(&t("shop", "b"), "{}").unwrap();
    app.create_table(&t("shop", "dropped"), "{}").unwrap();
    app.put(&t("shop", "dropped"), b"k", b"old").unwrap();
    let there = w.mark();
    app.drop_table(&t("shop", "dropped")).unwrap();
    w.catch_up();
    let before = w.sums();

    let mut request = w.request(at(there), RestoreTarget::InPlace);
    request.filter = TableFilter::parse(&["shop.a", "shop.dropped"]).unwrap();
    w.restore(&request).unwrap();
    let dropped = t("shop", "dropped");
    assert!(w.sums().iter().any(|(name, _)| *name == dropped));
    w.app().put(&t("shop", "a"), b"k0", b"lost by the undo").unwrap();
    let since = w.app().put(&t("shop", "b"), b"k", b"after the restore").unwrap();
    w.catch_up();
    let restored = w.sums();

    let undone = w.undo().unwrap();
    assert!(undone.until.last_tso() > commits[4]);
    let b = ["shop.b", "mysql.*"];
    let rest = ["*.*", "!shop.b", "!mysql.*"];
    assert_eq!(
        only(&w.sums(), &b),
        only(&w.sums_at(since), &b),
        "not part of the restore"
    );
    assert_eq!(
        only(&w.sums(), &rest),
        only(&before, &rest),
        "as before, without the table that had been dropped"
    );
    w.undo().unwrap();
    assert_eq!(w.sums(), restored, "the undo of the undo");
}

/// What was restored beside wrote over nothing: the restore in place before it can be undone, and the plan of that says what goes.
#[test]
fn a_restore_beside_leaves_the_way_back_of_the_one_in_place() {
    for some in [false, true] {
        let (w, commits) = small();
        w.catch_up();
        let before = w.sums();
        let mut request = w.request(at(commits[1]), RestoreTarget::InPlace);
        if some {
            request.filter = TableFilter::parse(&["shop.a"]).unwrap();
        }
        w.restore(&request).unwrap();
        for _ in 0..2 {
            let mut beside = w.request(at(commits[3]), RestoreTarget::Beside);
            beside.filter = TableFilter::parse(&["shop.a"]).unwrap();
            w.restore(&beside).unwrap();
        }
        let now = w.sums();
        let plan = w
            .plan(&way_back::undo_request(&w.view(), &w.name, w.now()).unwrap())
            .unwrap();
        let dropped: Vec<String> = plan.losses.unwrap().dropped.iter().map(ToString::to_string).collect();
        w.undo().unwrap();
        if some {
            assert_eq!(dropped, [""; 0]);
            let beside = ["shop_*.*"];
            assert_eq!(only(&w.sums(), &beside), only(&now, &beside));
            assert_eq!(only(&w.sums(), &["shop.*"]), only(&before, &["shop.*"]));
        } else {
            assert_eq!(dropped.len(), 2, "{dropped:?}");
            assert_eq!(w.sums(), before);
        }
        let used: Vec<bool> = w
            .view()
            .incarnations
            .list
            .iter()
            .filter_map(|i| i.way_back.as_ref().map(|w| w.used))
            .collect();
        assert_eq!(used, [true, false], "the undo has its own way back");
        w.undo().unwrap();
        assert_eq!(w.sums(), now, "the undo of the undo");
    }
}

#[test]
fn without_log_the_way_back_is_a_safety_snapshot() {
    let (w, _) = small();
    control::pause(&w.archive, &w.lock, "me").unwrap();
    let first = w.sums();
    let base = w.view().backups[0].id.clone();
    let request = w.request(RestorePoint::Snapshot { id: base }, RestoreTarget::InPlace);
    w.restore(&request).unwrap();
    assert_ne!(w.sums(), first);
    let way_back = w.view().incarnations.list[0].way_back.clone().unwrap();
    assert!(matches!(way_back.kind, WayBackKind::Snapshot { .. }));
    w.undo().unwrap();
    assert_eq!(w.sums(), first);
}

#[test]
fn what_was_not_archived_before_a_restore_beside_is_archived_after_it() {
    let (w, commits) = small();
    let base = w.view().backups[0].id.clone();
    let request = w.request(RestorePoint::Snapshot { id: base }, RestoreTarget::Beside);
    w.restore(&request).unwrap();
    w.app().put(&t("shop", "a"), b"k9", b"after").unwrap();
    let now = w.mark();
    w.catch_up();
    let other = other();
    for ts in commits.iter().copied().chain([now]) {
        check_moment(&w, &other, ts, false).unwrap();
    }
    let ids: Vec<u32> = w.log_doc().runs.iter().map(|r| r.incarnation.0).collect();
    assert_eq!(ids, [1, 2]);
}

#[test]
fn a_restore_beside_while_the_log_streams_disturbs_nothing() {
    let (mut w, commits) = small();
    w.log_options.flush_every = std::time::Duration::from_millis(1);
    let task = w.log_task();
    let shared = task.shared.clone();
    let cx = w.cx();
    std::thread::scope(|scope| {
        let streaming = scope.spawn(|| task.run(&cx));
        let base = w.view().backups[0].id.clone();
        for n in 0..3 {
            let mut request = w.request(RestorePoint::Snapshot { id: base.clone() }, RestoreTarget::Beside);
            request.rename.0 = vec![brine::model::filter::Rename::Db {
                from: "shop".to_owned(),
                to: format!("shop{n}"),
            }];
            w.app().put(&t("shop", "a"), b"k7", &[n]).unwrap();
            w.restore(&request).unwrap();
        }
        let now = Moment::of_tso(w.mark());
        assert!(shared.flush_to(now, &cx).unwrap());
        shared.stop();
        streaming.join().unwrap().unwrap();
    });
    let other = other();
    for ts in commits {
        check_moment(&w, &other, ts, false).unwrap();
    }
    let doc = w.log_doc();
    assert_eq!(doc.runs.last().unwrap().incarnation.0, 4);
    assert!(doc.runs.iter().rev().skip(1).all(|r| r.ended.is_some()));
}

/// Truncating takes away what a running task would merge, and moves the beginning of the stretch that it writes.
#[test]
fn a_truncate_while_the_log_streams_disturbs_nothing() {
    let (mut w, _) = small();
    w.log_options.flush_bytes = 1;
    let task = w.log_task();
    let shared = task.shared.clone();
    let cx = w.cx();
    std::thread::scope(|scope| {
        let streaming = scope.spawn(|| task.run(&cx));
        let reached = |ts| assert!(shared.flush_to(Moment::of_tso(ts), &cx).unwrap(), "the task ended");
        for n in 0..12u8 {
            for k in 0..5 {
                w.app().put(&t("shop", "a"), &[b'k', k], &[n; 20]).unwrap();
            }
            reached(w.mark());
            let base = w.backup();
            let done = truncate::run(&w.archive, &w.lock, base.commit, &w.cx()).unwrap();
            assert!(done.segments > 0);
            reached(w.mark());
        }
        shared.stop();
        streaming.join().unwrap().unwrap();
    });
    let other = other();
    let now = w.app().put(&t("shop", "a"), b"k9", b"after").unwrap();
    w.catch_up();
    for ts in [w.view().bases().last().unwrap().commit.last_tso(), now] {
        check_moment(&w, &other, ts, false).unwrap();
    }
    assert_eq!(w.log_doc().runs.len(), 1);
}

#[test]
fn two_restores_of_which_the_first_was_never_recorded() {
    let (w, commits) = small();
    w.catch_up();
    // A restore that died before it could write into the archive: the cluster alone knows of it.
    let base = w.view().backups[0].id.clone();
    let request = w.request(RestorePoint::Snapshot { id: base.clone() }, RestoreTarget::Beside);
    let plan = w.plan(&request).unwrap();
    let cx = w.cx();
    let unrecorded = brine::engine::restore::run::RestoreRun {
        target_archive: None,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    unrecorded.run().unwrap();
    let between = w.app().put(&t("shop", "a"), b"k8", b"between").unwrap();
    let mut request = w.request(RestorePoint::Snapshot { id: base }, RestoreTarget::Beside);
    request.rename.0 = vec![brine::model::filter::Rename::Db {
        from: "shop".to_owned(),
        to: "again".to_owned(),
    }];
    w.restore(&request).unwrap();
    let now = w.app().put(&t("shop", "a"), b"k9", b"after").unwrap();
    w.catch_up();
    let other = other();
    for ts in commits.into_iter().chain([now]) {
        check_moment(&w, &other, ts, false).unwrap();
    }
    let e = w.plan_to(&w.request_to(&other, between), &other).unwrap_err();
    assert!(matches!(e, EngineError::NotFound { .. }), "{}", chain(&e));
    assert_eq!(w.view().live().0, 2);
}

/// As in a running process: one task streams, and a restore in place asks it to flush.
#[test]
fn in_place_and_back_while_the_log_streams_and_applications_write() {
    struct Streaming<'a>(&'a LogShared, &'a World);
    impl LogControl for Streaming<'_> {
        fn flush(&self, _: &ClusterName, cx: &dyn JobCx) -> Result<Option<Moment>, EngineError> {
            let now = Moment::of_tso(self.1.mark());
            assert!(self.0.flush_to(now, cx)?, "the task ended");
            Ok(self.0.checkpoint())
        }
    }
    let (mut w, commits) = small();
    w.catch_up();
    w.log_options.flush_bytes = 50;
    let task = w.log_task();
    let shared = task.shared.clone();
    let (cx, done) = (w.cx(), AtomicBool::new(false));
    let acked = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let streaming = scope.spawn(|| task.run(&cx));
        let writer = scope.spawn(|| {
            for n in 0u32.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                // Refused while the cluster is closed.
                let put = w
                    .c()
                    .session("app")
                    .and_then(|app| app.put(&t("shop", "a"), b"w", &n.to_le_bytes()));
                acked.lock().unwrap().extend(put.ok());
            }
        });
        for (n, ts) in commits.iter().take(3).enumerate() {
            let restore = |request, undo| {
                let plan = w.plan(&request).unwrap_or_else(|e| panic!("{}", chain(&e)));
                let (log, own) = (Streaming(&shared, &w), w.cx());
                let run = RestoreRun {
                    log: &log,
                    ..w.restore_run(&plan, &w, undo, &own)
                };
                run.run().unwrap_or_else(|e| panic!("{n}: {}", chain(&e)))
            };
            restore(w.request(at(*ts), RestoreTarget::InPlace), false);
            assert!(w.view().incarnations.list.last().unwrap().way_back.is_some());
            restore(way_back::undo_request(&w.view(), &w.name, w.now()).unwrap(), true);
        }
        done.store(true, Ordering::SeqCst);
        writer.join().unwrap();
        shared.stop();
        streaming.join().unwrap().unwrap();
    });
    w.catch_up();
    let (view, other) = (w.view(), other());
    assert_eq!(view.live().0, 7);
    let acked = acked.into_inner().unwrap();
    // What applications write after a restore and before its base is taken cannot be restored; nothing else is missing.
    let starts: Vec<(Tso, Tso)> = view
        .incarnations
        .list
        .iter()
        .map(|i| {
            let base = view.backups.iter().find(|b| b.incarnation == i.id).unwrap();
            (i.began.last_tso(), base.commit.last_tso())
        })
        .collect();
    let window = view.window();
    for ts in &acked {
        let before_base = starts.iter().any(|(began, base)| began < ts && ts < base);
        assert!(
            before_base || window.span_at(Moment::of_tso(*ts)).is_some(),
            "{ts}: {window:#?}"
        );
    }
    let some = acked.iter().step_by(acked.len() / 20 + 1);
    for ts in some.filter(|ts| window.span_at(Moment::of_tso(**ts)).is_some()) {
        check_moment(&w, &other, *ts, false).unwrap();
    }
}
