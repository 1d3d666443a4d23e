//! The runner with made-up work: order, cancel, panic, crash, resume, progress, a journal that cannot be written.

use super::*;
use crate::engine::cx::TestCx;
use crate::jobs::journal::SlotRun;
use crate::jobs::lease::{HolderKind, Lease};
use crate::model::clock::SystemClock;
use crate::model::job::{LineLevel, Unit};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use serde_json::json;
use std::path::Path;

mod closing;

const LONG: Duration = Duration::from_secs(30);

fn runner(dir: &Path) -> Runner {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let lease = Lease::acquire_within(dir, HolderKind::Agent, &clock, LONG).unwrap();
    Runner::start(Journal::open(lease, Arc::clone(&clock)).unwrap(), clock).unwrap()
}

fn spec(key: &str) -> JobSpec {
    JobSpec {
        verb: Verb::Backup,
        cluster: ClusterName::new("demo").unwrap(),
        title: "back up demo".into(),
        command: None,
        plan: json!({}),
        asked_by: "ann".into(),
        exclusive: Some(key.into()),
        resumable: true,
        slot: None,
    }
}

/// Work that says when it has begun and goes on until it is let go or cancelled.
fn gate() -> (Work, Receiver<()>, Sender<()>) {
    let (begun, has_begun) = bounded(1);
    let (let_go, go) = bounded(1);
    let work: Work = Box::new(move |cx| {
        begun.send(()).unwrap();
        while go.recv_timeout(Duration::from_millis(5)).is_err() {
            cx.check()?;
        }
        Ok(json!({"done": true}))
    });
    (work, has_begun, let_go)
}

#[test]
fn one_at_a_time_per_key_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let (order, seen) = unbounded();
    let (first, begun, let_go) = gate();
    let a = r.submit(spec("demo"), first).unwrap();
    begun.recv_timeout(LONG).unwrap();
    let mut waiting = Vec::new();
    for n in 0..5 {
        let order = order.clone();
        waiting.push(
            r.submit(
                spec("demo"),
                Box::new(move |_| {
                    order.send(n).unwrap();
                    Ok(json!(n))
                }),
            )
            .unwrap(),
        );
    }
    let other = r.submit(spec("other"), Box::new(|_| Ok(json!({})))).unwrap();
    assert_eq!(
        r.wait(other, LONG).unwrap().state,
        JobState::Succeeded,
        "another key does not wait"
    );
    assert!(waiting.iter().all(|id| r.get(*id).unwrap().state == JobState::Queued));
    assert!(seen.is_empty());
    let_go.send(()).unwrap();
    for id in [a].iter().chain(&waiting) {
        let job = r.wait(*id, LONG).unwrap();
        assert_eq!(
            (job.state, job.progress.basis_points),
            (JobState::Succeeded, Some(10_000))
        );
    }
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(r.list(&JobQuery::default()).unwrap().len(), 7);
}

#[test]
fn cancelling_is_visible_and_the_queued_go_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let (tidied, tidy) = bounded::<()>(0);
    let (begun, has_begun) = bounded(1);
    let work: Work = Box::new(move |cx| {
        begun.send(()).unwrap();
        while cx.check().is_ok() {
            std::thread::yield_now();
        }
        tidied.send(()).unwrap();
        Err(JobError::from(cx.check().unwrap_err()).note("nothing was left behind"))
    });
    let running = r.submit(spec("demo"), work).unwrap();
    has_begun.recv_timeout(LONG).unwrap();
    let queued = r.submit(spec("demo"), Box::new(|_| panic!("must not run"))).unwrap();
    assert_eq!(r.cancel(queued).unwrap(), JobState::Cancelled);
    assert_eq!(r.cancel(running).unwrap(), JobState::Cancelling);
    assert_eq!(
        r.cancel(running).unwrap(),
        JobState::Cancelling,
        "asking twice is no error"
    );
    assert_eq!(
        r.journal().reader().job(running).unwrap().unwrap().state,
        JobState::Cancelling
    );
    tidy.recv_timeout(LONG).unwrap();
    let job = r.wait(running, LONG).unwrap();
    assert_eq!((job.state, job.resumable), (JobState::Cancelled, false));
    assert_eq!(job.error, ["cancelled", "nothing was left behind"]);
    assert_eq!(r.error(running).unwrap().unwrap().kind, ErrorKind::Cancelled);
    assert_eq!(r.cancel(running).unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(r.cancel(JobId(99)).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn done_before_it_noticed_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let (begun, has_begun) = bounded(1);
    let (let_go, go) = bounded::<()>(1);
    let work: Work = Box::new(move |_| {
        begun.send(()).unwrap();
        go.recv().unwrap();
        Ok(json!({}))
    });
    let id = r.submit(spec("demo"), work).unwrap();
    has_begun.recv_timeout(LONG).unwrap();
    r.cancel(id).unwrap();
    let_go.send(()).unwrap();
    assert_eq!(r.wait(id, LONG).unwrap().state, JobState::Succeeded);
}

#[test]
fn cancelled_without_being_asked_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let id = r
        .submit(spec("demo"), Box::new(|_| Err(crate::engine::cx::Cancelled.into())))
        .unwrap();
    assert_eq!(r.wait(id, LONG).unwrap().state, JobState::Failed);
}

#[test]
fn a_panic_fails_its_job_and_the_next_one_runs() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let bad = r
        .submit(spec("demo"), Box::new(|_| panic!("password=hunter2 boom")))
        .unwrap();
    let good = r.submit(spec("demo"), Box::new(|_| Ok(json!({})))).unwrap();
    let job = r.wait(bad, LONG).unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert!(
        job.error.join(" ").contains("boom") && !job.error.join(" ").contains("hunter2"),
        "{:?}",
        job.error
    );
    assert_eq!(r.wait(good, LONG).unwrap().state, JobState::Succeeded);
}

#[test]
fn steps_lines_and_warnings_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let (begun, has_begun) = bounded(1);
    let (let_go, go) = bounded::<()>(1);
    let work: Work = Box::new(move |cx| {
        cx.outline(&[("read", 75), ("write", 25)]);
        cx.step("read", Unit::Bytes, Some(10)).add(10);
        let meter = cx.step("write", Unit::Rows, Some(4));
        meter.add(2);
        cx.line(LineLevel::Info, "by the way \x1b[2J".into());
        cx.line(LineLevel::Warning, "table a.b has no key".into());
        cx.line(LineLevel::Info, "after".into());
        begun.send(()).unwrap();
        go.recv().unwrap();
        Ok(json!({"rows": 4}))
    });
    let id = r.submit(spec("demo"), work).unwrap();
    has_begun.recv_timeout(LONG).unwrap();
    let now = r.get(id).unwrap();
    assert_eq!((now.progress.basis_points, now.steps.len()), (Some(8_750), 2));
    assert_eq!((now.steps[0].ended.is_some(), now.steps[1].progress.done), (true, 2));
    let texts = |from| {
        r.lines(id, from)
            .unwrap()
            .into_iter()
            .map(|l| l.text)
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(0), ["by the way ?[2J", "table a.b has no key", "after"]);
    assert_eq!(texts(1), ["table a.b has no key", "after"]);
    assert_eq!(texts(9), Vec::<String>::new());
    let_go.send(()).unwrap();
    let job = r.wait(id, LONG).unwrap();
    assert_eq!(
        job.receipt.unwrap(),
        json!({"rows": 4, "warnings": ["table a.b has no key"]})
    );
    assert_eq!(texts(0).len(), 3);
    assert_eq!(r.list(&JobQuery::default()).unwrap()[0].steps[1].progress.done, 2);
}

/// Runs two rounds of work that "crashes" in the first (the thread stands still, its process is replaced).
#[test]
fn an_interrupted_job_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let first = Journal::open(
            Lease::acquire(
                dir.path(),
                HolderKind::Agent,
                &(Arc::new(SystemClock) as Arc<dyn Clock>),
            )
            .unwrap(),
            Arc::new(SystemClock),
        )
        .unwrap();
        let cluster = ClusterName::new("demo").unwrap();
        let new = NewJob {
            verb: Verb::Backup,
            cluster: &cluster,
            exclusive: Some("demo"),
            title: "t",
            command: None,
            plan: &json!({"n": 7}),
            asked_by: "ann",
            resumable: true,
            slot: None,
        };
        let id = first.insert_job(&new, Millis(1)).unwrap();
        first
            .set_state(id, JobState::Queued, JobState::Running, Millis(2))
            .unwrap();
        first.resume_save(id, "chunk", &json!(3)).unwrap();
        id
    };
    let r = runner(dir.path());
    let job = r.get(id).unwrap();
    assert_eq!((job.state, job.resumable), (JobState::Interrupted, true));
    assert_eq!(r.resume(id).unwrap_err().kind, ErrorKind::Refused, "nobody knows how");
    let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&asked);
    r.set_rebuild(Arc::new(move |job| {
        seen.lock().push(job.plan.clone());
        Ok(Box::new(|cx| {
            let memory = cx.resume_log().load()?;
            assert_eq!(memory, [("chunk".to_owned(), json!(3))]);
            cx.resume_log().save("chunk", &json!(4))?;
            Ok(json!({"from": memory}))
        }))
    }));
    r.resume(id).unwrap();
    let job = r.wait(id, LONG).unwrap();
    assert_eq!(
        (job.state, job.resumable, job.asked_by.as_str()),
        (JobState::Succeeded, false, "ann")
    );
    assert_eq!(*asked.lock(), [json!({"n": 7})], "the very plan");
    assert!(
        r.journal().reader().resume_entries(id).unwrap().is_empty(),
        "nothing is left to go on with"
    );
    assert_eq!(r.resume(id).unwrap_err().kind, ErrorKind::Refused);
}

#[test]
fn a_failed_job_can_be_resumed_and_an_interrupted_one_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let fail: Work = Box::new(|cx| {
        cx.step("try", Unit::Rows, None);
        cx.line(LineLevel::Warning, "first try".into());
        Err(JobError::new(ErrorKind::Failed, "storage is full"))
    });
    let id = r.submit(spec("demo"), fail).unwrap();
    let job = r.wait(id, LONG).unwrap();
    assert_eq!((job.state, job.resumable), (JobState::Failed, true));
    r.set_rebuild(Arc::new(|_| {
        Ok(Box::new(|cx| {
            cx.step("try again", Unit::Rows, None);
            cx.line(LineLevel::Info, "second try".into());
            Ok(json!({}))
        }))
    }));
    r.resume(id).unwrap();
    let job = r.wait(id, LONG).unwrap();
    assert_eq!(
        (job.state, job.error.len(), job.steps.len()),
        (JobState::Succeeded, 0, 2)
    );
    assert_eq!(r.lines(id, 0).unwrap().len(), 2, "the log goes on");

    let (work, begun, _keep) = gate();
    let running = r.submit(spec("demo"), work).unwrap();
    begun.recv_timeout(LONG).unwrap();
    let queued = r.submit(spec("demo"), Box::new(|_| Ok(json!({})))).unwrap();
    assert!(!r.shutdown(Shutdown::Leave, LONG));
    assert_eq!(
        r.submit(spec("demo"), Box::new(|_| Ok(json!({})))).unwrap_err().kind,
        ErrorKind::Refused
    );
    r.cancel(running).unwrap();
    r.wait(running, LONG).unwrap();
    drop(r);
    let r = runner(dir.path());
    assert_eq!(r.get(queued).unwrap().state, JobState::Interrupted);
    assert_eq!(r.cancel(queued).unwrap(), JobState::Cancelled);
    assert_eq!(r.get(queued).unwrap().error, ["given up after it was interrupted"]);
}

#[test]
fn a_watcher_is_woken_by_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let v0 = r.version();
    assert_eq!(
        r.changed_since(v0, Duration::from_millis(1)),
        v0,
        "nothing happens by itself"
    );
    let (work, begun, let_go) = gate();
    let id = r.submit(spec("demo"), work).unwrap();
    begun.recv_timeout(LONG).unwrap();
    let v1 = r.changed_since(v0, LONG);
    assert!(v1 > v0);
    let before = r.version();
    std::thread::scope(|s| {
        let waiter = s.spawn(|| r.changed_since(before, LONG));
        let_go.send(()).unwrap();
        assert!(waiter.join().unwrap() > before);
    });
    r.wait(id, LONG).unwrap();
}

#[test]
fn secrets_do_not_reach_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let mut s = spec("demo");
    s.title = "back up mysql://root:hunter2@db/".into();
    s.command = Some("brine backup create demo --password hunter2".into());
    s.plan = json!({"source": {"password": "hunter2", "url": "mysql://root:hunter2@db/"}});
    let work: Work = Box::new(|cx| {
        cx.line(LineLevel::Warning, "retry mysql://root:hunter2@db/".into());
        Err(JobError::new(ErrorKind::Failed, "cannot log in with password=hunter2"))
    });
    let id = r.submit(s, work).unwrap();
    r.wait(id, LONG).unwrap();
    drop(r);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            // The job's thread lets go of the lease a moment after its end, and takes its note along.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => panic!("{path:?}: {e}"),
        };
        assert!(!bytes.windows(7).any(|w| w == b"hunter2"), "{path:?} holds a secret");
    }
}

/// A part of a command line would do something else.
#[test]
fn a_long_command_line_is_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let mut s = spec("demo");
    s.command = Some("brine restore demo --filter 'some_database.*'".repeat(1_000));
    let command = s.command.clone();
    let id = r.submit(s, Box::new(|_| Ok(json!({})))).unwrap();
    assert_eq!(r.wait(id, LONG).unwrap().command, command);
}

#[test]
fn a_slot_has_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let demo = ClusterName::new("demo").unwrap();
    let run = |attempt, work: Work| {
        let mut s = spec("demo");
        s.slot = Some(ScheduleSlot {
            slot: Millis(1_000),
            attempt,
        });
        r.submit(s, work)
    };
    let id = run(1, Box::new(|_| Err(JobError::new(ErrorKind::Failed, "no")))).unwrap();
    r.wait(id, LONG).unwrap();
    for attempt in [0, 1, 3] {
        assert_eq!(
            run(attempt, Box::new(|_| Ok(json!({})))).unwrap_err().kind,
            ErrorKind::Refused,
            "{attempt}"
        );
    }
    let again = run(2, Box::new(|_| Ok(json!({})))).unwrap();
    r.wait(again, LONG).unwrap();
    assert_eq!(
        run(3, Box::new(|_| Ok(json!({})))).unwrap_err().kind,
        ErrorKind::Refused,
        "it has succeeded"
    );
    let SlotRun {
        attempts, job, state, ..
    } = r
        .journal()
        .reader()
        .last_slot(&demo, Millis(i64::MAX))
        .unwrap()
        .unwrap();
    assert_eq!((attempts, job, state), (2, again, Some(JobState::Succeeded)));
    assert_eq!(
        r.list(&JobQuery::default()).unwrap().len(),
        2,
        "a refused run leaves no job"
    );
}

#[test]
fn a_try_that_could_not_begin_counts() {
    use crate::jobs::schedule::{Scheduled, tick};
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let cluster = ClusterName::new("demo").unwrap();
    let settings = crate::model::settings::BackupSettings {
        schedule: true,
        ..Default::default()
    };
    let clusters = [Scheduled {
        cluster,
        settings,
        newest_backup: None,
    }];
    let look = || tick(r.journal().reader(), &clusters, SystemClock.now()).unwrap().due;
    let due = look().remove(0);
    let spec = JobSpec {
        slot: Some(due.slot),
        ..spec("demo")
    };
    let id = r
        .submit_failed(spec, JobError::new(ErrorKind::Failed, "no storage"))
        .unwrap();
    let job = r.wait(id, LONG).unwrap();
    assert_eq!(
        (job.state, job.resumable, job.error),
        (JobState::Failed, false, vec!["no storage".to_owned()])
    );
    assert_eq!(look(), [], "not again before 20 minutes have passed");
}

#[test]
fn a_journal_that_cannot_be_written_stops_neither_work_nor_cancel() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let (work, begun, _keep) = gate();
    let id = r.submit(spec("demo"), work).unwrap();
    begun.recv_timeout(LONG).unwrap();
    let raw = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    raw.execute_batch("CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN SELECT RAISE(FAIL, 'disk full'); END")
        .unwrap();
    assert_eq!(r.cancel(id).unwrap(), JobState::Cancelling);
    assert_eq!(r.wait(id, LONG).unwrap().state, JobState::Cancelled, "memory knows");
    assert_eq!(r.journal().reader().job(id).unwrap().unwrap().state, JobState::Running);
    assert_eq!(r.list(&JobQuery::default()).unwrap()[0].state, JobState::Cancelled);
    raw.execute_batch("DROP TRIGGER full").unwrap();
    let until = Instant::now() + LONG;
    while r.journal().reader().job(id).unwrap().unwrap().state != JobState::Cancelled {
        assert!(Instant::now() < until, "the journal was not caught up");
        r.changed_since(r.version(), Duration::from_millis(20));
    }
}

#[test]
fn a_fenced_runner_stops_working() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let (begun, has_begun) = bounded(1);
    let (let_go, go) = bounded::<()>(1);
    let (stopped, has_stopped) = bounded(1);
    let work: Work = Box::new(move |cx| {
        cx.resume_log().save("n", &json!(1))?;
        begun.send(()).unwrap();
        go.recv().unwrap();
        let error = cx.resume_log().save("n", &json!(2)).unwrap_err();
        stopped.send(cx.check().is_err()).unwrap();
        Err(error.into())
    });
    let id = r.submit(spec("demo"), work).unwrap();
    has_begun.recv_timeout(LONG).unwrap();
    let raw = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    raw.execute("UPDATE lease SET epoch = epoch + 1", []).unwrap();
    let_go.send(()).unwrap();
    assert!(has_stopped.recv_timeout(LONG).unwrap(), "check says stop");
    r.wait(id, LONG).unwrap();
    assert_eq!(
        r.journal().reader().job(id).unwrap().unwrap().state,
        JobState::Running,
        "not ours to write any more"
    );
    assert_eq!(
        r.submit(spec("x"), Box::new(|_| Ok(json!({})))).unwrap_err().kind,
        ErrorKind::Refused
    );
}

#[test]
fn the_same_work_runs_without_a_runner() {
    let (work, begun, let_go) = gate();
    let_go.send(()).unwrap();
    assert_eq!(work(&TestCx::default()).unwrap(), json!({"done": true}));
    begun.try_recv().unwrap();
}

/// Many threads submit and cancel: whatever the order, nothing is left, nothing runs beside its like, and the
/// journal and memory agree.
#[test]
fn a_crowd_of_askers_leaves_no_job_behind() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let at_work: [std::sync::atomic::AtomicUsize; 3] = Default::default();
    let at_work = Arc::new(at_work);
    std::thread::scope(|s| {
        for asker in 0..6u64 {
            let (r, at_work) = (&r, &at_work);
            s.spawn(move || {
                let mut random = fastrand::Rng::with_seed(asker);
                for _ in 0..12 {
                    let key = random.usize(..3);
                    let (busy, fails, spins) = (Arc::clone(at_work), random.bool(), random.u32(..2_000));
                    let work: Work = Box::new(move |cx| {
                        use std::sync::atomic::Ordering::SeqCst;
                        assert_eq!(busy[key].fetch_add(1, SeqCst), 0, "two at once under one key");
                        let meter = cx.step("spin", Unit::Rows, Some(u64::from(spins)));
                        let stopped = (0..spins).find_map(|_| {
                            meter.add(1);
                            std::thread::yield_now();
                            cx.check().err()
                        });
                        busy[key].fetch_sub(1, SeqCst);
                        match (stopped, fails) {
                            (Some(cancelled), _) => Err(cancelled.into()),
                            (None, true) => Err(JobError::new(ErrorKind::Failed, "bad luck")),
                            (None, false) => Ok(json!({})),
                        }
                    });
                    let id = r.submit(spec(&key.to_string()), work).unwrap();
                    if random.u8(..3) == 0 {
                        // It may be over already.
                        let _ = r.cancel(JobId(random.u64(1..=id.0)));
                    }
                }
            });
        }
    });
    let all = r.list(&JobQuery::default()).unwrap();
    assert_eq!(all.len(), 72);
    for job in &all {
        let job = r.wait(job.id, LONG).unwrap();
        assert!(job.state.is_over());
        assert!(job.error.iter().all(|e| e != "two at once under one key"), "{job:?}");
        assert_eq!(
            job.progress.basis_points == Some(10_000),
            job.state == JobState::Succeeded
        );
        assert_eq!(r.journal().reader().job(job.id).unwrap().unwrap(), job);
    }
    assert_eq!(r.active(), 0);
}
