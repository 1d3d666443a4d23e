//! Repeating: what failed for a moment works, and a lost answer is no second owner.

use std::sync::Arc;
use std::time::Duration;

use brine::storage::count::{Call, Counting};
use brine::storage::faults::{Fault, FaultRule, Faults};
use brine::storage::memory::Memory;
use brine::storage::pace::{ManualPace, Pace};
use brine::storage::retry::{RetryPolicy, Retrying};
use brine::storage::{ErrorKind, ObjectName, Storage};

struct Rig {
    memory: Memory,
    faults: Faults,
    counts: Arc<brine::storage::count::Counts>,
    pace: Arc<ManualPace>,
    storage: Retrying,
}

fn rig() -> Rig {
    let memory = Memory::new();
    let counting = Counting::new(Arc::new(memory.clone()));
    let counts = counting.counts();
    let faults = Faults::new(Arc::new(counting));
    let pace = Arc::new(ManualPace::default());
    let storage = Retrying::new(Arc::new(faults.clone()), RetryPolicy::default()).with_pace(pace.clone());
    Rig {
        memory,
        faults,
        counts,
        pace,
        storage,
    }
}

fn at(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn rule(call: Call, times: u64, fault: Fault) -> FaultRule {
    FaultRule {
        call: Some(call),
        nth: 1,
        times,
        fault,
    }
}

const BUSY: Fault = Fault::Fail(ErrorKind::Temporary);

#[test]
fn what_fails_for_a_moment_works() {
    let rig = rig();
    for call in [
        Call::PutNew,
        Call::Open,
        Call::ReadAt,
        Call::List,
        Call::Delete,
        Call::CompareAndSwap,
    ] {
        rig.faults.add(rule(call, 3, BUSY));
    }
    rig.storage.put_new(&at("a/b"), b"x").unwrap();
    assert_eq!(rig.storage.read(&at("a/b"), 1).unwrap(), b"x");
    assert_eq!(rig.storage.list(&at("a/b").dir(), None, 9).unwrap().len(), 1);
    rig.storage.compare_and_swap(&at("c"), None, b"y").unwrap();
    rig.storage.delete(&at("a/b")).unwrap();
    assert_eq!(rig.memory.names(), ["c"]);
    assert!(
        rig.pace.elapsed() > Duration::from_millis(500),
        "it did not wait between tries"
    );
}

#[test]
fn patience_ends_with_the_budget() {
    let rig = rig();
    rig.faults.add(rule(Call::PutNew, u64::MAX, BUSY));
    let error = rig.storage.put_new(&at("a"), b"x").unwrap_err();
    assert!(error.is_temporary());
    let waited = rig.pace.elapsed();
    assert!(
        Duration::from_secs(150) < waited && waited <= Duration::from_secs(180),
        "{waited:?}"
    );
    let tries = rig.faults.calls();
    assert!((15..60).contains(&tries), "{tries} tries");
}

#[test]
fn what_will_not_get_better_is_not_repeated() {
    let rig = rig();
    rig.faults.add(rule(Call::PutNew, 1, Fault::Fail(ErrorKind::Full)));
    assert_eq!(rig.storage.put_new(&at("a"), b"x").unwrap_err().kind, ErrorKind::Full);
    assert_eq!(rig.faults.calls(), 1);
    assert_eq!(rig.counts.of(Call::PutNew), 0);
}

#[test]
fn a_lost_answer_is_looked_up() {
    let rig = rig();
    let lost = |call| rig.faults.add(rule(call, 1, Fault::LostAnswer));
    lost(Call::PutNew);
    rig.storage.put_new(&at("new"), b"mine").unwrap();
    lost(Call::CompareAndSwap);
    let version = rig.storage.compare_and_swap(&at("doc"), None, b"mine").unwrap();
    assert_eq!(rig.storage.get_versioned(&at("doc"), 9).unwrap().unwrap().1, version);
    lost(Call::Finish);
    let mut writer = rig.storage.create(&at("large")).unwrap();
    writer.write(b"mine").unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_lost_answer_does_not_make_two_owners() {
    let rig = rig();
    rig.memory.put_new(&at("new"), b"theirs").unwrap();
    assert_eq!(
        rig.storage.put_new(&at("new"), b"theirs").unwrap_err().kind,
        ErrorKind::Exists
    );
    rig.faults.add(rule(Call::PutNew, 1, Fault::LostAnswer));
    assert_eq!(
        rig.storage.put_new(&at("new"), b"mine").unwrap_err().kind,
        ErrorKind::Exists
    );
    rig.faults.clear();
    rig.memory.put_new(&at("doc"), b"theirs").unwrap();
    rig.faults.add(rule(Call::CompareAndSwap, 1, Fault::LostAnswer));
    assert_eq!(
        rig.storage
            .compare_and_swap(&at("doc"), None, b"mine")
            .unwrap_err()
            .kind,
        ErrorKind::Conflict
    );
    rig.memory.put_new(&at("large"), b"them").unwrap();
    rig.faults.clear();
    rig.faults.add(rule(Call::Finish, 1, Fault::LostAnswer));
    let mut writer = rig.storage.create(&at("large")).unwrap();
    writer.write(b"mine").unwrap();
    assert_eq!(writer.finish().unwrap_err().kind, ErrorKind::Exists);
    assert_eq!(rig.memory.read(&at("new"), 9).unwrap(), b"theirs");
}
