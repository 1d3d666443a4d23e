//! What others do meanwhile: tables that come into being during a restore, a delete that became the last, a merge that
//! cannot be done.

use std::sync::Arc;

use brine::cluster::ClusterError;
use brine::engine::cx::{JobCx, MemoryResumeLog, ResumeError, ResumeLog};
use brine::engine::error::{EngineError, ErrorKind};
use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::engine::restore::run::{LogControl, RestoreRun};
use brine::engine::view::base_of;
use brine::engine::{delete, retention};
use brine::model::ids::ClusterName;
use brine::model::position::Moment;
use brine::model::window::covering_run;
use brine::storage::memory::Memory;
use brine::storage::{ObjectName, Storage};
use parking_lot::Mutex;

use crate::env::{World, t};

/// One table with a row, and a backup of it.
fn world() -> (World, RestorePoint) {
    let w = World::new();
    w.app().create_table(&t("shop", "a"), "{}").unwrap();
    w.app().put(&t("shop", "a"), b"k", b"v").unwrap();
    let id = w.backup().id;
    (w, RestorePoint::Snapshot { id })
}

#[test]
fn a_table_that_came_into_being_during_a_restore_beside_is_not_overwritten() {
    let (w, point) = world();
    let plan = w.plan(&w.request(point, RestoreTarget::Beside)).unwrap();
    let name = t("shop_restored", "a");
    let (cluster, theirs) = (w.c().clone(), name.clone());
    let meddled = w.cx().at_step("Switch over", move || {
        let app = cluster.session("app").unwrap();
        app.create_table(&theirs, "{}").unwrap();
        app.put(&theirs, b"theirs", b"!").unwrap();
    });
    let e = w.run(&plan, &meddled).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    assert_eq!(w.app().get(&name, b"theirs").unwrap().as_deref(), Some(&b"!"[..]));
    assert_eq!(w.app().get(&name, b"k").unwrap(), None);
}

/// A job's memory that acts once, when the switch is about to be done and nothing is looked at any more.
struct AtTheLast {
    memory: MemoryResumeLog,
    act: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl ResumeLog for AtTheLast {
    fn load(&self) -> Result<Vec<(String, serde_json::Value)>, ResumeError> {
        self.memory.load()
    }
    fn save(&self, key: &str, value: &serde_json::Value) -> Result<(), ResumeError> {
        if key == "publishing"
            && let Some(act) = self.act.lock().take()
        {
            act();
        }
        self.memory.save(key, value)
    }
    fn clear(&self) -> Result<(), ResumeError> {
        self.memory.clear()
    }
    fn finish(&self, result: &serde_json::Value) -> Result<(), ResumeError> {
        self.memory.finish(result)
    }
}

/// The narrowest gap: after the last look, before the switch.
#[test]
fn a_table_that_came_into_being_after_the_last_look_is_not_overwritten() {
    let (w, point) = world();
    let plan = w.plan(&w.request(point.clone(), RestoreTarget::Beside)).unwrap();
    let (cluster, name) = (w.c().clone(), t("shop_restored", "a"));
    let theirs = name.clone();
    let memory = Arc::new(AtTheLast {
        memory: MemoryResumeLog::default(),
        act: Mutex::new(Some(Box::new(move || {
            let app = cluster.session("app").unwrap();
            app.create_table(&theirs, "{}").unwrap();
            app.put(&theirs, b"theirs", b"!").unwrap();
        }))),
    });
    let e = w.run(&plan, &w.cx().with_resume(memory.clone())).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    assert!(e.to_string().contains("shop_restored.a"), "{e}");
    assert!(memory.act.lock().is_none(), "it came to that");
    assert_eq!(w.app().get(&name, b"theirs").unwrap().as_deref(), Some(&b"!"[..]));
    assert_eq!(w.app().get(&name, b"k").unwrap(), None);
    // With the name free again the same restore works.
    w.app().drop_table(&name).unwrap();
    w.restore(&w.request(point, RestoreTarget::Beside)).unwrap();
    assert_eq!(w.app().get(&name, b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_cluster_that_becomes_exactly_the_source_is_closed_meanwhile() {
    let (w, point) = world();
    let spare = w.spare();
    let target = RestoreTarget::Cluster {
        name: spare.name.clone(),
    };
    let plan = w.plan_to(&w.request(point, target), spare).unwrap();
    assert!(plan.whole && plan.losses.is_none());
    let cluster = spare.c().clone();
    let meddled = w.cx().at_step("Switch over", move || {
        assert!(matches!(cluster.session("app"), Err(ClusterError::Closed(_))));
    });
    w.run_to(&plan, spare, false, &meddled).unwrap();
    assert_eq!(spare.sums(), w.sums());
    spare.app().put(&t("shop", "a"), b"open", b"again").unwrap();
}

#[test]
fn a_backup_that_became_the_last_good_one_needs_its_own_yes() {
    let (w, _) = world();
    let id = w.view().bases()[0].id.clone();
    let delete = |confirmed| delete::run(&w.archive, &w.lock, &w.view(), &id, confirmed, &w.cx());
    assert_eq!(delete(false).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(w.view().bases().len(), 1);
    delete(true).unwrap();
    assert!(w.view().bases().is_empty());
}

/// After a restore the new history stands on one base: without it nothing since can be restored, old bases or not.
#[test]
fn the_only_base_of_the_live_history_needs_its_own_yes_and_says_what_is_lost() {
    let (w, point) = world();
    w.start_log();
    w.restore(&w.request(point, RestoreTarget::InPlace)).unwrap();
    w.app().put(&t("shop", "a"), b"k", b"of the new history").unwrap();
    w.catch_up();
    let view = w.view();
    let base = view.bases().into_iter().find(|b| b.incarnation == view.live()).unwrap();
    let plan = delete::plan(&view, &base.id, w.now()).unwrap();
    assert!(
        plan.last_good && plan.loses.iter().any(|l| l.contains("no other base leads to them")),
        "{plan:?}"
    );
    assert_eq!(
        delete::run(&w.archive, &w.lock, &view, &base.id, false, &w.cx())
            .unwrap_err()
            .kind(),
        ErrorKind::Refused
    );
}

/// Found by a new user: delete, back up, undelete - and the log of the first backup was gone.
#[test]
fn what_is_in_the_trash_keeps_its_log() {
    let w = World::new();
    w.app().create_table(&t("shop", "a"), "{}").unwrap();
    let first = w.backup();
    w.start_log();
    w.app().put(&t("shop", "a"), b"k", b"v").unwrap();
    w.catch_up();
    w.backup();
    delete::run(&w.archive, &w.lock, &w.view(), &first.id, false, &w.cx()).unwrap();
    let plan = retention::plan(&w.view(), &w.view().settings, w.now());
    retention::run(&w.archive, &w.lock, &w.view(), &plan, &w.cx()).unwrap();
    w.archive.take_back(&w.lock, &first.id).unwrap();
    let view = w.view();
    let base = base_of(view.backup(&first.id).unwrap());
    assert!(covering_run(&base, &view.log.runs).is_some(), "{:?}", view.log.runs);
}

/// Merging saves objects; that it cannot be done must not keep new changes from being archived.
#[test]
fn a_damaged_small_segment_does_not_stop_the_log_backup() {
    let memory = Memory::new();
    let w = World::on(Arc::new(memory.clone()));
    w.app().create_table(&t("shop", "a"), "{}").unwrap();
    w.backup();
    w.start_log();
    for n in 0..40u32 {
        w.app().put(&t("shop", "a"), &n.to_be_bytes(), b"v").unwrap();
        let before = w.mark();
        let checkpoint = w.catch_up();
        assert!(checkpoint.last_tso() > before, "segment {n}");
        if n == 5 {
            let names = memory.names();
            let segment = names.iter().rfind(|n| n.ends_with(".seg")).unwrap();
            let object = ObjectName::new(segment.clone()).unwrap();
            let mut bytes = memory.read(&object, 1 << 20).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            memory.overwrite(&object, &bytes);
        }
    }
    // What came after the damage is there; a restore across it is refused.
    assert_eq!(w.log_doc().runs.len(), 1);
}

/// A log backup that cannot be flushed.
struct Failing;

impl LogControl for Failing {
    fn flush(&self, _: &ClusterName, _: &dyn JobCx) -> Result<Option<Moment>, EngineError> {
        Err(EngineError::Corrupt("the log backup fails".to_owned()))
    }
}

/// Then, of all times, a restore must be possible; and what the log lacks must not be missing from the way back.
#[test]
fn in_place_while_the_log_backup_fails_the_way_back_is_a_safety_snapshot() {
    let (w, point) = world();
    w.start_log();
    w.app().put(&t("shop", "a"), b"not archived", b"!").unwrap();
    let before = w.sums();
    let plan = w.plan(&w.request(point, RestoreTarget::InPlace)).unwrap();
    let cx = w.cx();
    let run = RestoreRun {
        log: &Failing,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    let receipt = run.run().unwrap();
    assert!(
        cx.lines().iter().any(|(_, l)| l.contains("could not be flushed")),
        "{:?}",
        cx.lines()
    );
    assert!(receipt.undo_until.is_some());
    assert_ne!(w.sums(), before);
    w.undo().unwrap();
    assert_eq!(w.sums(), before, "the row that no log held is back");
    // To the latest moment, in place, the log is needed: nothing is restored without it.
    let plan = w
        .plan(&w.request(RestorePoint::Latest, RestoreTarget::InPlace))
        .unwrap();
    let cx = w.cx();
    let run = RestoreRun {
        log: &Failing,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    run.run().unwrap_err();
    assert_eq!(w.sums(), before);
}
