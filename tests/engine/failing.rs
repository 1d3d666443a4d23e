//! A cluster that fails at one place: in the switch, behind it, and in the middle of its change log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use brine::cluster::{
    BatchSource, Capabilities, Changes, ClosedAs, Cluster, ClusterError, ClusterFacts, ClusterState, Codec, Loaded,
    LogEvent, Mark, ReplayTxn, RestoreAsk, Restorer, Snapshot, TableDef, TableFacts,
};
use brine::engine::cx::MemoryResumeLog;
use brine::engine::error::ErrorKind;
use brine::engine::log::task::{LogShared, LogTask};
use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::engine::restore::run::RestoreRun;
use brine::model::checksum::TableChecksum;
use brine::model::filter::TableFilter;
use brine::model::log::RunEnd;
use brine::model::position::{Moment, Position};
use brine::model::table::TableName;

use crate::env::{World, t};

/// Where it fails, and how often still.
#[derive(Default)]
struct Fails {
    /// The answer to the switch is lost, the switch itself is done.
    behind_publish: AtomicBool,
    /// Nobody can tell whether it was switched.
    asking: AtomicBool,
    /// Nothing can be built, nor thrown away.
    restoring: AtomicBool,
    /// Loading stops at an error in the program.
    load_panics: AtomicBool,
    /// So many transactions of the log can be read, and then a damaged one; 0 is none.
    log_after: AtomicU64,
}

struct Failing {
    inner: Arc<dyn Cluster>,
    fails: Arc<Fails>,
}

struct FailingRestorer {
    inner: Box<dyn Restorer>,
    fails: Arc<Fails>,
}

struct FailingChanges {
    inner: Box<dyn Changes>,
    left: u64,
}

fn failure() -> ClusterError {
    ClusterError::Connect {
        address: "db:3306".to_owned(),
        why: "connection lost".to_owned(),
        hint: "is it up?".to_owned(),
    }
}

impl Cluster for Failing {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn facts(&self) -> Result<ClusterFacts, ClusterError> {
        self.inner.facts()
    }
    fn tables(&self) -> Result<Vec<TableFacts>, ClusterError> {
        self.inner.tables()
    }
    fn mark(&self) -> Result<Mark, ClusterError> {
        self.inner.mark()
    }
    fn open_snapshot(&self, token: Option<&str>) -> Result<Box<dyn Snapshot>, ClusterError> {
        self.inner.open_snapshot(token)
    }
    fn changes(&self, after: &Mark, anchors: &[Mark]) -> Result<Box<dyn Changes>, ClusterError> {
        let inner = self.inner.changes(after, anchors)?;
        Ok(match self.fails.log_after.swap(0, Ordering::SeqCst) {
            0 => inner,
            left => Box::new(FailingChanges { inner, left }),
        })
    }
    fn keep_log(&self, from: Option<&Position>) -> Result<(), ClusterError> {
        self.inner.keep_log(from)
    }
    fn checksums(
        &self,
        filter: &TableFilter,
        at: Option<Moment>,
    ) -> Result<Vec<(TableName, TableChecksum)>, ClusterError> {
        self.inner.checksums(filter, at)
    }
    fn close(&self, state: ClosedAs) -> Result<(), ClusterError> {
        self.inner.close(state)
    }
    fn open(&self) -> Result<(), ClusterError> {
        self.inner.open()
    }
    fn restorer(&self, ask: &RestoreAsk) -> Result<Box<dyn Restorer>, ClusterError> {
        if self.fails.restoring.load(Ordering::SeqCst) {
            return Err(failure());
        }
        Ok(Box::new(FailingRestorer {
            inner: self.inner.restorer(ask)?,
            fails: self.fails.clone(),
        }))
    }
    fn codec(&self) -> &'static dyn Codec {
        self.inner.codec()
    }
}

impl Restorer for FailingRestorer {
    fn define(&self, table: &TableDef) -> Result<(), ClusterError> {
        self.inner.define(table)
    }
    fn is_loaded(&self, table: &TableName) -> Result<bool, ClusterError> {
        self.inner.is_loaded(table)
    }
    fn replay(&self, txn: &ReplayTxn<'_>) -> Result<(), ClusterError> {
        self.inner.replay(txn)
    }
    fn end_of_log(&self) -> Result<(), ClusterError> {
        self.inner.end_of_log()
    }
    fn load(&self, table: &TableName, source: &mut dyn BatchSource) -> Result<Loaded, ClusterError> {
        assert!(!self.fails.load_panics.load(Ordering::SeqCst), "a bug in the driver");
        self.inner.load(table, source)
    }
    fn tables(&self) -> Result<Vec<TableName>, ClusterError> {
        self.inner.tables()
    }
    fn checksums(&self) -> Result<Vec<(TableName, TableChecksum)>, ClusterError> {
        self.inner.checksums()
    }
    fn published(&self) -> Result<Option<Mark>, ClusterError> {
        match self.fails.asking.load(Ordering::SeqCst) {
            true => Err(failure()),
            false => self.inner.published(),
        }
    }
    fn publish(&self) -> Result<Mark, ClusterError> {
        let mark = self.inner.publish()?;
        match self.fails.behind_publish.swap(false, Ordering::SeqCst) {
            true => Err(failure()),
            false => Ok(mark),
        }
    }
    fn abandon(&self) -> Result<(), ClusterError> {
        self.inner.abandon()
    }
}

impl Changes for FailingChanges {
    fn next(&mut self, wait: Duration) -> Result<Option<LogEvent>, ClusterError> {
        let event = self.inner.next(wait)?;
        if let Some(LogEvent::Txn(_)) = &event {
            if self.left == 0 {
                return Err(ClusterError::Malformed {
                    what: "a record of the change log",
                    why: "its checksum is wrong".to_owned(),
                });
            }
            self.left -= 1;
        }
        Ok(event)
    }
}

/// A backup with one row, and another row since; and the cluster as something that can fail.
fn world() -> (World, Failing, RestorePoint) {
    let w = World::new();
    w.app().create_table(&t("shop", "a"), "{}").unwrap();
    w.app().put(&t("shop", "a"), b"k", b"backed up").unwrap();
    let id = w.backup().id;
    w.app().put(&t("shop", "a"), b"k", b"later").unwrap();
    let failing = Failing {
        inner: w.c().clone(),
        fails: Arc::default(),
    };
    (w, failing, RestorePoint::Snapshot { id })
}

/// The switch was done and its answer was lost: nothing is given up, and the restore ends as if it had come.
#[test]
fn an_error_behind_the_switch_gives_nothing_up() {
    let (w, failing, point) = world();
    let plan = w.plan(&w.request(point, RestoreTarget::InPlace)).unwrap();
    failing.fails.behind_publish.store(true, Ordering::SeqCst);
    let cx = w.cx();
    let run = RestoreRun {
        target: &failing,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    let receipt = run.run().unwrap();
    assert_eq!(receipt.incarnation.map(|i| i.0), Some(2), "the new history is recorded");
    let row = || w.app().get(&t("shop", "a"), b"k").unwrap();
    assert_eq!(row().as_deref(), Some(&b"backed up"[..]));
    w.undo().unwrap();
    assert_eq!(row().as_deref(), Some(&b"later"[..]));
}

/// Where not even that can be asked, the target stays closed and the job can go on: whatever it was, it is not undone
/// halfway.
#[test]
fn where_nobody_can_tell_whether_it_was_switched_the_target_stays_closed_until_the_job_goes_on() {
    let (w, failing, point) = world();
    let plan = w.plan(&w.request(point, RestoreTarget::InPlace)).unwrap();
    let memory = Arc::new(MemoryResumeLog::default());
    let cx = w.cx().with_resume(memory.clone());
    failing.fails.asking.store(true, Ordering::SeqCst);
    failing.fails.behind_publish.store(true, Ordering::SeqCst);
    let run = RestoreRun {
        target: &failing,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    let e = run.run().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Failed, "{e}");
    let state = w.c().facts().unwrap().state;
    assert!(matches!(state, ClusterState::Restoring { .. }), "{state:?}");
    failing.fails.asking.store(false, Ordering::SeqCst);
    let cx = w.cx().with_resume(memory);
    let run = RestoreRun {
        target: &failing,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    run.run().unwrap();
    let row = w.app().get(&t("shop", "a"), b"k").unwrap();
    assert_eq!(row.as_deref(), Some(&b"backed up"[..]));
}

#[test]
fn a_panic_in_a_worker_gives_the_restore_up_and_opens_the_target() {
    let (w, failing, point) = world();
    let plan = w.plan(&w.request(point, RestoreTarget::InPlace)).unwrap();
    failing.fails.load_panics.store(true, Ordering::SeqCst);
    let cx = w.cx();
    let run = RestoreRun {
        target: &failing,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    let e = run.run().unwrap_err();
    assert!(e.chain().contains("an error in brine itself"), "{}", e.chain());
    w.app().put(&t("shop", "a"), b"open", b"again").unwrap();
    assert_eq!(
        w.app().get(&t("shop", "a"), b"k").unwrap().as_deref(),
        Some(&b"later"[..])
    );
}

/// A full disk, say: applications are let in again, and the job can be resumed when it is mended.
#[test]
fn where_what_was_built_cannot_be_thrown_away_the_target_is_opened_all_the_same() {
    let (w, failing, point) = world();
    let plan = w.plan(&w.request(point, RestoreTarget::InPlace)).unwrap();
    let memory = Arc::new(MemoryResumeLog::default());
    failing.fails.restoring.store(true, Ordering::SeqCst);
    let cx = w.cx().with_resume(memory.clone());
    let run = RestoreRun {
        target: &failing,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    let e = run.run().unwrap_err();
    assert!(e.chain().contains("throwing away"), "{}", e.chain());
    assert_eq!(w.c().facts().unwrap().state, ClusterState::Available);
    w.app().put(&t("shop", "a"), b"k", b"meanwhile").unwrap();
    failing.fails.restoring.store(false, Ordering::SeqCst);
    let cx = w.cx().with_resume(memory);
    let run = RestoreRun {
        target: &failing,
        ..w.restore_run(&plan, &w, false, &cx)
    };
    run.run().unwrap();
    let row = || w.app().get(&t("shop", "a"), b"k").unwrap();
    assert_eq!(row().as_deref(), Some(&b"backed up"[..]));
    w.undo().unwrap();
    assert_eq!(
        row().as_deref(),
        Some(&b"meanwhile"[..]),
        "the way back is not older than what was written"
    );
}

/// A record of the source's log that cannot be read: what comes before it is archived, what lies behind is a gap that is
/// named, and no restore goes across it.
#[test]
fn a_damaged_source_log_is_a_gap_and_nothing_before_it_is_lost() {
    let (w, failing, _) = world();
    w.start_log();
    let mut written = Vec::new();
    for n in 0..6u8 {
        written.push(w.app().put(&t("shop", "a"), &[n], b"v").unwrap());
    }
    failing.fails.log_after.store(3, Ordering::SeqCst);
    let task = LogTask {
        cluster: Arc::new(failing),
        archive: w.archive.clone(),
        lock: w.lock.clone(),
        options: w.log_options.clone(),
        shared: Arc::new(LogShared::default()),
    };
    let e = task.catch_up(&w.cx()).unwrap_err();
    assert!(e.chain().contains("its checksum is wrong"), "{}", e.chain());
    let doc = w.log_doc();
    let last = doc.runs.last().unwrap();
    assert_eq!(last.ended, Some(RunEnd::SourceLogGone), "{doc:?}");
    assert!(last.to >= Moment::of_tso(written[2]) && last.to < Moment::of_tso(written[3]));
    // The log backup goes on behind the damage, and needs a snapshot before it is of use again.
    w.catch_up();
    let restorable = |n: usize| w.view().window().span_at(Moment::of_tso(written[n])).is_some();
    assert_eq!([0, 2, 3, 5].map(restorable), [true, true, false, false]);
    let other = crate::moments::other();
    w.restore_to(&w.request_to(&other, written[2]), &other).unwrap();
    assert_eq!(other.sums(), w.sums_at(written[2]));
    w.restore_to(&w.request_to(&other, written[4]), &other).unwrap_err();
    assert_eq!(other.sums(), w.sums_at(written[2]), "nothing was touched");
    w.backup();
    let after = w.app().put(&t("shop", "a"), b"after", b"v").unwrap();
    w.catch_up();
    w.restore_to(&w.request_to(&other, after), &other).unwrap();
    assert_eq!(other.sums(), w.sums_at(after));
}
