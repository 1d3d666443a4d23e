//! The lock: one writer at a time, and one that lost it publishes nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use brine::archive::state::LogDoc;
use brine::archive::{Archive, ArchiveError, ArchiveLock, ErrorKind, Holder, Level, LockError, LockTiming};
use brine::model::clock::{Clock, ManualClock, Millis, SystemClock};
use brine::storage::Storage;
use brine::storage::local::Local;
use brine::storage::memory::Memory;
use rustix::process::{Pid, Signal, kill_process};

use crate::env::{NOW, id, identity, manifest, write_backup};
use crate::snapshots::note;

const FAST: LockTiming = LockTiming {
    beat: Duration::from_millis(20),
    expiry: Duration::from_millis(500),
};
/// Never beats within a test.
const SILENT: LockTiming = LockTiming {
    beat: Duration::from_secs(3600),
    expiry: Duration::from_secs(60),
};

fn archive() -> Archive {
    Archive::create(Arc::new(Memory::new()), identity()).unwrap()
}

fn here() -> Holder {
    Holder::here("ana", "backup").unwrap()
}

fn at(ms: i64) -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(NOW.plus(ms)))
}

fn held(result: Result<ArchiveLock, LockError>) -> Holder {
    match result.err() {
        Some(LockError::Held { holder, .. }) => *holder,
        other => panic!("not held: {other:?}"),
    }
}

#[test]
fn one_holder_and_then_the_next() {
    let archive = archive();
    let first = ArchiveLock::take(&archive, here(), at(0)).unwrap();
    let told = held(ArchiveLock::take(&archive, here(), at(0)));
    assert_eq!((&told, told.what.as_str()), (first.holder(), "backup"));
    let status = ArchiveLock::status(&archive).unwrap().unwrap();
    assert!(status.holder == told && status.since == NOW && !status.gone);
    first.check().unwrap();
    let epoch = first.epoch();
    drop(first);
    assert!(ArchiveLock::status(&archive).unwrap().is_none());
    assert!(ArchiveLock::take(&archive, here(), at(0)).unwrap().epoch() > epoch);
}

#[test]
fn threads_never_hold_it_together() {
    let archive = archive();
    let (inside, taken) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while taken.load(Ordering::SeqCst) < 40 {
                    let Ok(lock) = ArchiveLock::take(&archive, here(), at(0)) else {
                        continue;
                    };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    lock.check().unwrap();
                    taken.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
}

#[test]
fn a_process_of_this_host_that_is_gone_is_taken_over_at_once() {
    let archive = archive();
    let mut gone = here();
    gone.started += 1;
    let first = ArchiveLock::take_with(&archive, gone, at(0), SILENT).unwrap();
    let second = ArchiveLock::take_with(&archive, here(), at(0), SILENT).unwrap();
    assert!(second.epoch() > first.epoch());
    assert!(matches!(first.check(), Err(LockError::Fenced(Some(_)))));
    drop(first);
    second.check().unwrap();
}

fn elsewhere() -> Holder {
    Holder {
        host: "elsewhere".to_owned(),
        ..here()
    }
}

#[test]
fn a_silent_host_is_taken_over_after_expiry_only() {
    let archive = archive();
    let _first = ArchiveLock::take_with(&archive, elsewhere(), at(0), SILENT).unwrap();
    let timing = LockTiming {
        expiry: Duration::from_secs(60),
        ..FAST
    };
    for age in [-Millis::DAY, 0, 59_999] {
        assert_eq!(
            held(ArchiveLock::take_with(&archive, here(), at(age), timing)).host,
            "elsewhere"
        );
    }
    ArchiveLock::take_with(&archive, here(), at(60_000), timing).unwrap();
}

/// The other host's clock is a day behind ours; its heart beats all the same.
#[test]
fn a_slow_clock_is_no_death() {
    let archive = archive();
    let _first = ArchiveLock::take_with(&archive, elsewhere(), at(0), FAST).unwrap();
    let timing = LockTiming {
        beat: Duration::from_millis(400),
        expiry: Duration::from_secs(60),
    };
    assert_eq!(
        held(ArchiveLock::take_with(&archive, here(), at(Millis::DAY), timing)).host,
        "elsewhere"
    );
}

#[test]
fn breaking_by_hand_fences_only_the_one_that_was_shown() {
    let archive = archive();
    let first = ArchiveLock::take_with(&archive, elsewhere(), at(0), SILENT).unwrap();
    assert!(!ArchiveLock::break_lock(&archive, &here()).unwrap());
    first.check().unwrap();
    assert!(ArchiveLock::break_lock(&archive, first.holder()).unwrap());
    assert!(matches!(first.check(), Err(LockError::Fenced(None))));
    let second = ArchiveLock::take(&archive, here(), at(0)).unwrap();
    assert!(second.epoch() > first.epoch() + 1);
}

#[test]
fn a_fenced_writer_publishes_nothing() {
    let archive = archive();
    let stale = ArchiveLock::take_with(&archive, elsewhere(), at(0), SILENT).unwrap();
    let backup = "20261120100000-aaaa";
    write_backup(&archive, &stale, backup, &[b"rows"]).unwrap();
    let mut writer = archive
        .data_writer(&stale, &id("20261121100000-bbbb"), 0, Level::default())
        .unwrap();
    writer.put(b"rows").unwrap();
    writer.finish().unwrap();
    assert!(ArchiveLock::break_lock(&archive, stale.holder()).unwrap());
    let lock = ArchiveLock::take(&archive, here(), at(0)).unwrap();

    let unfinished = manifest(id("20261121100000-bbbb"), Vec::new());
    let trash = id(backup);
    archive.trash(&lock, &trash, &note()).unwrap();
    for (what, result) in [
        ("manifest", archive.write_manifest(&stale, &unfinished).map(drop)),
        (
            "state",
            archive.update(&stale, |doc: &mut LogDoc| doc.task = 9).map(drop),
        ),
        ("trash", archive.trash(&stale, &id("20261121100000-bbbb"), &note())),
        ("take back", archive.take_back(&stale, &trash)),
        ("purge", archive.purge(&stale, &trash)),
        ("remove", archive.remove_snapshot(&stale, &trash)),
    ] {
        let error = result.expect_err(what);
        assert!(
            matches!(error, ArchiveError::Lock(LockError::Fenced(_))),
            "{what}: {error}"
        );
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
    assert!(archive.read_manifest(&trash).is_ok());
    assert_eq!(archive.state::<LogDoc>().unwrap().value.task, 0);
    assert_eq!(archive.in_trash().unwrap().len(), 1);
}

#[test]
fn a_damaged_lock_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::create(Arc::new(Local::create(dir.path()).unwrap()), identity()).unwrap();
    drop(ArchiveLock::take(&archive, here(), at(0)).unwrap());
    let file = dir.path().join("backup-shop/state/lock");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let Err(LockError::Archive(e)) = ArchiveLock::take(&archive, here(), at(0)) else {
        panic!("taken")
    };
    assert!(
        e.to_string().contains("when no brine works on this archive, delete it"),
        "{e}"
    );
    std::fs::remove_file(&file).unwrap();
    ArchiveLock::take(&archive, here(), at(0)).unwrap();
}

#[test]
fn the_lock_of_another_archive_opens_nothing() {
    let (one, two) = (archive(), archive());
    let lock = ArchiveLock::take(&one, here(), at(0)).unwrap();
    let error = two.update(&lock, |doc: &mut LogDoc| doc.task = 1).unwrap_err();
    assert!(matches!(error, ArchiveError::Lock(LockError::OtherArchive)), "{error}");
}

#[test]
fn a_heart_beats_by_itself() {
    let archive = archive();
    let clock = Arc::new(ManualClock::new(NOW));
    let _lock = ArchiveLock::take_with(&archive, here(), clock.clone(), FAST).unwrap();
    clock.set(NOW.plus(5000));
    let deadline = Instant::now() + Duration::from_secs(20);
    while ArchiveLock::status(&archive).unwrap().unwrap().heartbeat != NOW.plus(5000) {
        assert!(Instant::now() < deadline, "no heartbeat");
        std::thread::yield_now();
    }
}

fn open(path: &Path) -> Archive {
    let storage: Arc<dyn Storage> = Arc::new(Local::create(path).unwrap());
    Archive::create(storage, identity()).unwrap()
}

/// The other process of the tests below; does nothing when run with the other tests.
#[test]
#[ignore = "run by the tests that need a second process"]
fn second_process() {
    let Some(path) = std::env::var_os("BRINE_TEST_ARCHIVE") else {
        return;
    };
    let archive = open(Path::new(&path));
    let lock = ArchiveLock::take_with(&archive, here(), Arc::new(SystemClock), FAST).unwrap();
    write_backup(&archive, &lock, "20261120100000-aaaa", &[b"rows"]).unwrap();
    eprintln!("taken {}", lock.epoch());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let answer = match write_backup(&archive, &lock, "20261121100000-bbbb", &[b"rows"]) {
        Err(ArchiveError::Lock(LockError::Fenced(_))) => "fenced",
        Err(_) => "failed",
        Ok(_) => "published",
    };
    eprintln!("{answer}");
}

fn spawn(path: &Path) -> (Child, BufReader<std::process::ChildStderr>) {
    let (child, mut lines) = start(path, "lock::second_process");
    assert!(wait_for(&mut lines, "taken").starts_with("taken"));
    (child, lines)
}

fn start(path: &Path, test: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("BRINE_TEST_ARCHIVE", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap());
    (child, lines)
}

fn wait_for(lines: &mut impl BufRead, word: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(
            lines.read_line(&mut line).unwrap() > 0,
            "the second process ended without `{word}`"
        );
        if line.contains(word) {
            return line;
        }
    }
}

#[test]
fn a_holder_that_was_stopped_past_expiry_is_fenced() {
    let temp = tempfile::tempdir().unwrap();
    let (mut child, mut lines) = spawn(temp.path());
    let archive = open(temp.path());
    let take = || ArchiveLock::take_with(&archive, here(), Arc::new(SystemClock), FAST);
    held(take());
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    let deadline = Instant::now() + Duration::from_secs(40);
    let lock = loop {
        match take() {
            Ok(lock) => break lock,
            Err(e) => assert!(Instant::now() < deadline, "{e}"),
        }
    };
    kill_process(pid, Signal::CONT).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(wait_for(&mut lines, "ed").trim(), "fenced");
    assert!(child.wait().unwrap().success());
    lock.check().unwrap();
    let left: Vec<_> = archive
        .snapshots()
        .unwrap()
        .into_iter()
        .filter(|s| s.has_manifest)
        .collect();
    assert_eq!(left.len(), 1, "a fenced writer published a backup");
}

/// One of several processes that take the lock by turns and note something each time; does nothing when run with the others.
#[test]
#[ignore = "run by the test that needs several processes"]
fn one_of_several() {
    let Some(path) = std::env::var_os("BRINE_TEST_ARCHIVE") else {
        return;
    };
    let archive = open(Path::new(&path));
    let (mut noted, mut fenced) = (0, 0);
    while noted < 3 {
        let Ok(lock) = ArchiveLock::take_with(&archive, here(), Arc::new(SystemClock), FAST) else {
            std::thread::yield_now();
            continue;
        };
        for _ in 0..3 {
            match archive.update(&lock, |doc: &mut LogDoc| doc.task += 1) {
                Ok(_) => noted += 1,
                Err(ArchiveError::Lock(LockError::Fenced(_))) => {
                    fenced += 1;
                    break;
                }
                Err(e) if e.kind() == ErrorKind::Temporary => break,
                Err(e) => panic!("{e}"),
            }
        }
    }
    eprintln!("noted {noted} {fenced}");
}

/// The one that holds the lock is stopped, again and again, until another one has taken it; then it goes on.
#[test]
fn of_eight_processes_one_writes_at_a_time_however_long_the_others_were_stopped() {
    let temp = tempfile::tempdir().unwrap();
    let archive = open(temp.path());
    let mut children: Vec<_> = (0..8).map(|_| start(temp.path(), "lock::one_of_several")).collect();
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut stopped = 0;
    while stopped < 3 && children.iter_mut().any(|c| c.0.try_wait().unwrap().is_none()) {
        assert!(Instant::now() < deadline, "nobody goes on");
        let Some(status) = ArchiveLock::status(&archive).unwrap() else {
            std::thread::yield_now();
            continue;
        };
        let Some(child) = children.iter().find(|c| c.0.id() == status.holder.pid) else {
            continue;
        };
        let pid = Pid::from_child(&child.0);
        kill_process(pid, Signal::STOP).unwrap();
        let holds = || {
            ArchiveLock::status(&archive)
                .unwrap()
                .is_some_and(|s| s.holder.pid == child.0.id())
        };
        // Stopped in the middle of a swap it keeps everybody out until it goes on.
        let patience = Instant::now() + 6 * FAST.expiry;
        while holds() && Instant::now() < patience {
            std::thread::yield_now();
        }
        stopped += u32::from(!holds());
        kill_process(pid, Signal::CONT).unwrap();
    }
    let (mut noted, mut fenced) = (0, 0);
    for (mut child, mut lines) in children {
        let told = wait_for(&mut lines, "noted");
        let counts: Vec<u32> = told.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
        (noted, fenced) = (noted + counts[0], fenced + counts[1]);
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        archive.state::<LogDoc>().unwrap().value.task,
        noted,
        "{fenced} were fenced"
    );
    assert!(stopped > 0);
}

#[test]
fn a_holder_that_was_killed_is_taken_over_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let (mut child, _lines) = spawn(temp.path());
    let archive = open(temp.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let lock = ArchiveLock::take(&archive, here(), Arc::new(SystemClock)).unwrap();
    lock.check().unwrap();
}
