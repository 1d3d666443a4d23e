//! The journal's file: epochs, damage, loss, newer versions.

use super::*;
use crate::jobs::lease::HolderKind;
use crate::model::clock::SystemClock;
use std::os::unix::fs::PermissionsExt as _;

fn journal(dir: &Path) -> Journal {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Journal::open(Lease::acquire(dir, HolderKind::Agent, &clock).unwrap(), clock).unwrap()
}

/// As after kill -9: the note of the holder stays.
fn crash(dir: &Path, journal: Journal) {
    drop(journal);
    fs::write(dir.join("runner.json"), "{}").unwrap();
}

#[test]
fn every_holder_has_a_higher_epoch_and_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    for expected in 1..=3 {
        let j = journal(dir.path());
        assert_eq!(j.epoch(), expected);
        assert!(j.reader().messages(10).unwrap().is_empty());
        assert_eq!(j.save_copy_daily().unwrap(), expected == 1);
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{:?}",
                entry.path()
            );
        }
    }
}

#[test]
fn a_replaced_holder_writes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let old = journal(dir.path());
    let raw = connect(&dir.path().join(FILE)).unwrap();
    raw.execute("UPDATE lease SET epoch = epoch + 1", []).unwrap();
    let e = old.tell(LineLevel::Info, None, "late").unwrap_err();
    assert!(matches!(e, JournalError::Fenced { ours: 1, now: 2 }), "{e:?}");
    assert!(old.reader().messages(10).unwrap().is_empty());
}

#[test]
fn a_damaged_journal_is_set_aside_and_said() {
    for damage in [
        b"this is not a database, it never was one; not at all".to_vec(),
        Vec::new(),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let j = journal(dir.path());
        j.save_copy_daily().unwrap();
        crash(dir.path(), j);
        let path = dir.path().join(FILE);
        if damage.is_empty() {
            fs::remove_file(&path).unwrap();
        } else {
            fs::write(&path, &damage).unwrap();
        }
        let j = journal(dir.path());
        let told = j.reader().messages(10).unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].text.contains("a new one was begun"), "{told:?}");
        let kept = fs::read_dir(dir.path())
            .unwrap()
            .filter_map(|e| fs::read(e.unwrap().path()).ok())
            .any(|b| b == damage);
        assert!(damage.is_empty() || kept, "the damaged file is kept");
    }
}

#[test]
fn flipped_bytes_are_found_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let j = journal(dir.path());
    for n in 0..400 {
        j.tell(LineLevel::Info, None, &format!("message {n} {}", "x".repeat(100)))
            .unwrap();
    }
    crash(dir.path(), j);
    let path = dir.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes.iter_mut().skip(middle).take(4096).for_each(|b| *b = 0xa5);
    fs::write(&path, bytes).unwrap();
    let told = journal(dir.path()).reader().messages(10).unwrap();
    assert!(told.len() == 1 && told[0].text.contains("damaged"), "{told:?}");
}

#[test]
fn a_newer_journal_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(journal(dir.path()));
    connect(&dir.path().join(FILE))
        .unwrap()
        .pragma_update(None, "user_version", VERSION + 1)
        .unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let lease = Lease::acquire(dir.path(), HolderKind::Agent, &clock).unwrap();
    assert!(matches!(
        Journal::open(lease, clock),
        Err(JournalError::Newer { version: 2, .. })
    ));
    assert!(matches!(Reader::open(dir.path()), Err(JournalError::Newer { .. })));
}
