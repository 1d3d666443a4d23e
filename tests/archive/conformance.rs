//! The one suite that every storage passes.

use std::sync::Arc;

use brine::storage::faults::Faults;
use brine::storage::limit::{Limited, Rate};
use brine::storage::local::Local;
use brine::storage::memory::Memory;
use brine::storage::retry::{RetryPolicy, Retrying};
use brine::storage::{DirName, ErrorKind, ObjectName, Storage};

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn dir(text: &str) -> DirName {
    DirName::new(text).unwrap()
}

/// Runs the suite on fresh storages.
fn storage(make: impl Fn() -> Arc<dyn Storage>) {
    publishes_once(&*make());
    writers_publish_at_the_end(&*make());
    reads_exactly(&*make());
    lists_in_order_by_pages(&*make());
    deletes_idempotently(&*make());
    swaps_by_version(&*make());
    one_of_many_wins(make());
    directories_come_and_go(make());
}

fn publishes_once(s: &dyn Storage) {
    s.put_new(&name("a/b/c"), b"one").unwrap();
    assert_eq!(s.put_new(&name("a/b/c"), b"two").unwrap_err().kind, ErrorKind::Exists);
    assert_eq!(s.read(&name("a/b/c"), 3).unwrap(), b"one");
    assert_eq!(s.size(&name("a/b/c")).unwrap(), Some(3));
    assert_eq!(s.size(&name("a/b/d")).unwrap(), None);
    assert_eq!(s.size(&name("x/y")).unwrap(), None);
    s.put_new(&name("empty"), b"").unwrap();
    assert_eq!(s.read(&name("empty"), 0).unwrap(), b"");
}

fn writers_publish_at_the_end(s: &dyn Storage) {
    let mut dropped = s.create(&name("w/1")).unwrap();
    dropped.write(b"lost").unwrap();
    drop(dropped);
    assert_eq!(s.size(&name("w/1")).unwrap(), None);

    let (mut first, mut second) = (s.create(&name("w/1")).unwrap(), s.create(&name("w/1")).unwrap());
    let big = vec![7; 700_000];
    first.write(b"head").unwrap();
    first.write(&big).unwrap();
    second.write(b"late").unwrap();
    assert_eq!(s.size(&name("w/1")).unwrap(), None, "nothing is visible before finish");
    assert!(s.list(&dir("w"), None, 10).unwrap().is_empty());
    first.finish().unwrap();
    assert_eq!(second.finish().unwrap_err().kind, ErrorKind::Exists);
    let bytes = s.read(&name("w/1"), 1 << 20).unwrap();
    assert_eq!((&bytes[..4], &bytes[4..]), (b"head".as_slice(), big.as_slice()));
}

fn reads_exactly(s: &dyn Storage) {
    s.put_new(&name("r"), b"0123456789").unwrap();
    let mut object = s.open(&name("r")).unwrap();
    assert_eq!(object.len(), 10);
    assert_eq!(object.read_at(3, 4).unwrap(), b"3456");
    assert_eq!(object.read_at(10, 0).unwrap(), b"");
    assert!(object.read_at(8, 3).is_err(), "a read past the end is no short read");
    assert!(object.read_at(u64::MAX, 2).is_err());
    assert_eq!(s.read(&name("r"), 9).unwrap_err().kind, ErrorKind::TooLarge);
    assert_eq!(s.read(&name("nowhere/r"), 9).unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(s.open(&name("q")).err().map(|e| e.kind), Some(ErrorKind::NotFound));
}

fn lists_in_order_by_pages(s: &dyn Storage) {
    for i in [5, 3, 9, 1, 7] {
        s.put_new(&name(&format!("l/f{i}")), &[0; 2]).unwrap();
        s.put_new(&name(&format!("l/d{i}/x")), b"").unwrap();
    }
    // Sorts by component: `d1-x` and `d1.x` around `d1/`.
    s.put_new(&name("l/d1-x/x"), b"").unwrap();
    s.put_new(&name("l/d1.x/x"), b"").unwrap();
    let files = |after, limit| -> Vec<String> {
        let page = s.list(&dir("l"), after, limit).unwrap();
        assert!(page.iter().all(|o| o.size == 2));
        page.iter().map(|o| o.name.file().to_owned()).collect()
    };
    assert_eq!(files(None, 10), ["f1", "f3", "f5", "f7", "f9"]);
    assert_eq!(files(None, 2), ["f1", "f3"]);
    assert_eq!(files(Some("f3"), 2), ["f5", "f7"]);
    assert_eq!(files(Some("f4"), 9), ["f5", "f7", "f9"]);
    assert_eq!(files(Some("f9"), 9), [""; 0]);
    let dirs = |after, limit| s.list_dirs(&dir("l"), after, limit).unwrap();
    assert_eq!(dirs(None, 20), ["d1", "d1-x", "d1.x", "d3", "d5", "d7", "d9"]);
    assert_eq!(dirs(Some("d1-x"), 2), ["d1.x", "d3"]);
    assert_eq!(s.list_dirs(&DirName::root(), None, 9).unwrap(), ["l"]);
    assert!(s.list(&dir("none"), None, 9).unwrap().is_empty());
    assert!(s.list_dirs(&dir("none"), None, 9).unwrap().is_empty());
}

fn deletes_idempotently(s: &dyn Storage) {
    s.put_new(&name("d/1"), b"x").unwrap();
    s.delete(&name("d/1")).unwrap();
    s.delete(&name("d/1")).unwrap();
    s.delete(&name("no/such/dir")).unwrap();
    assert_eq!(s.size(&name("d/1")).unwrap(), None);
    s.put_new(&name("d/1"), b"y").unwrap();
    assert_eq!(s.read(&name("d/1"), 1).unwrap(), b"y");
}

fn swaps_by_version(s: &dyn Storage) {
    let at = name("state/doc");
    let conflict = |r: Result<_, brine::storage::StorageError>| assert_eq!(r.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(s.get_versioned(&at, 9).unwrap(), None);
    let one = s.compare_and_swap(&at, None, b"one").unwrap();
    conflict(s.compare_and_swap(&at, None, b"other"));
    let two = s.compare_and_swap(&at, Some(&one), b"two").unwrap();
    conflict(s.compare_and_swap(&at, Some(&one), b"other"));
    assert_eq!(s.get_versioned(&at, 3).unwrap(), Some((b"two".to_vec(), two.clone())));
    assert_eq!(s.get_versioned(&at, 2).unwrap_err().kind, ErrorKind::TooLarge);
    s.delete(&at).unwrap();
    conflict(s.compare_and_swap(&at, Some(&two), b"other"));
    assert_eq!(s.size(&at).unwrap(), None);
}

fn one_of_many_wins(s: Arc<dyn Storage>) {
    let winners = |work: &(dyn Fn(usize) -> bool + Sync)| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || work(i))).collect();
            threads
                .into_iter()
                .filter_map(|t| t.join().unwrap().then_some(()))
                .count()
        })
    };
    let at = name("race/new");
    assert_eq!(winners(&|i| s.put_new(&at, &[i as u8]).is_ok()), 1);
    let version = s.compare_and_swap(&name("race/swap"), None, b"start").unwrap();
    let swap = |i: usize| {
        s.compare_and_swap(&name("race/swap"), Some(&version), &[i as u8])
            .is_ok()
    };
    assert_eq!(winners(&swap), 1);
}

/// Writers and deleters of the same directory do not disturb one another.
fn directories_come_and_go(s: Arc<dyn Storage>) {
    std::thread::scope(|scope| {
        for i in 0..4 {
            let s = &s;
            scope.spawn(move || {
                for n in 0..30 {
                    let at = name(&format!("busy/{}/{i}", n % 2));
                    s.put_new(&at, b"x").unwrap();
                    s.delete(&at).unwrap();
                }
            });
        }
    });
    assert!(s.list_dirs(&DirName::root(), None, 9).unwrap().is_empty());
}

#[test]
fn memory() {
    storage(|| Arc::new(Memory::new()));
}

#[test]
fn local() {
    let root = tempfile::tempdir().unwrap();
    let n = std::sync::atomic::AtomicU32::new(0);
    storage(|| {
        let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Arc::new(Local::create(&root.path().join(n.to_string())).unwrap())
    });
}

#[test]
fn local_without_openat2() {
    let root = tempfile::tempdir().unwrap();
    let n = std::sync::atomic::AtomicU32::new(0);
    storage(|| {
        let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let storage = Local::create(&root.path().join(n.to_string())).unwrap();
        Arc::new(storage.without_openat2())
    });
}

#[test]
fn wrappers() {
    storage(|| {
        let faults = Arc::new(Faults::new(Arc::new(Memory::new())));
        let limited = Arc::new(Limited::new(faults, Rate::new(0)));
        Arc::new(Retrying::new(limited, RetryPolicy::default()))
    });
}
