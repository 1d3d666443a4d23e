//! Snapshots, trash and state: what a crash or a failure at any step leaves behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brine::archive::state::{LogDoc, ProtectDoc};
use brine::archive::{Archive, ArchiveError, ErrorKind, Level, Manifest, TrashNote, TrashState};
use brine::model::backup::Protection;
use brine::model::clock::Millis;
use brine::model::settings::BackupSettings;
use brine::storage::Storage;
use brine::storage::faults::Faults;
use brine::storage::local::Local;

use crate::env::{Env, NOW, id, identity, manifest, objects, read_data, summary, take, write_backup};

pub fn note() -> TrashNote {
    TrashNote {
        deleted_at: NOW,
        until: NOW.plus(3 * Millis::DAY),
        by: "ana@bastion".to_owned(),
        stored_bytes: 123,
        state: TrashState::Kept,
    }
}

const ONE: &str = "20261120100000-aaaa";

#[test]
fn a_backup_comes_back_whole() {
    let env = Env::new();
    let written = env.backup(ONE, &[b"a", b"bb", b"ccc"]);
    let read = env.archive.read_manifest(&id(ONE)).unwrap();
    assert_eq!(read.tables, written.tables);
    assert_eq!(env.archive.read_summary(&id(ONE)).unwrap(), read.summary);
    let batches: Vec<_> = objects(&read)
        .iter()
        .flat_map(|o| read_data(&env.archive, &id(ONE), o).unwrap())
        .collect();
    assert_eq!(batches, [b"a".to_vec(), b"bb".to_vec(), b"ccc".to_vec()]);
    let sizes = env
        .names()
        .iter()
        .filter(|n| n.starts_with("snapshot-"))
        .map(|n| env.bytes(n).len() as u64)
        .sum();
    assert_eq!(
        (read.summary.stored_bytes, read.summary.objects),
        (sizes, 3),
        "the manifest counts itself"
    );
    assert!(env.archive.check_files(&read).unwrap().is_empty());
}

#[test]
fn many_tables_come_back_in_order() {
    let env = Env::new();
    let mut big = manifest(id(ONE), Vec::new());
    let table = big.tables.remove(0);
    big.tables = (0..5000)
        .map(|i| {
            let mut table = table.clone();
            table.name.table = format!("odd.name `{i:05}");
            table.schema = "x".repeat(i % 700);
            table
        })
        .collect();
    env.archive.write_manifest(&env.lock, &big).unwrap();
    assert_eq!(env.archive.read_manifest(&id(ONE)).unwrap().tables, big.tables);
}

#[test]
fn archives_are_found_and_not_mixed_up() {
    let env = Env::new();
    let storage: Arc<dyn Storage> = Arc::new(env.memory.clone());
    let again = Archive::create(storage.clone(), identity()).unwrap();
    assert_eq!(again.id(), env.archive.id(), "creating twice is opening");
    let mut other = identity();
    other.cluster_identity = "9999".to_owned();
    let error = Archive::create(storage.clone(), other).unwrap_err();
    assert!(
        matches!(error, ArchiveError::Foreign { .. }) && error.kind() == ErrorKind::Refused,
        "{error}"
    );
    assert_eq!(Archive::list(&*storage).unwrap(), [identity().cluster]);
    let none = brine::model::ids::ClusterName::new("none").unwrap();
    assert!(Archive::open(storage, &none).unwrap().is_none());
}

#[test]
fn no_manifest_without_its_files_and_never_two() {
    let env = Env::new();
    let written = env.backup(ONE, &[b"a", b"b"]);
    let error = env.archive.write_manifest(&env.lock, &written).unwrap_err();
    assert!(
        matches!(&error, ArchiveError::Storage(e) if e.kind == brine::storage::ErrorKind::Exists),
        "{error}"
    );

    let mut lost = written.clone();
    lost.summary.id = id("20261121100000-bbbb");
    let error = env.archive.write_manifest(&env.lock, &lost).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert!(!env.names().iter().any(|n| n.contains("bbbb")));
}

#[test]
fn a_manifest_names_only_data_files() {
    let env = Env::new();
    let mut evil = env.backup(ONE, &[b"a"]);
    for name in ["../../../etc/passwd", "manifest", "data-1/../x", "data-\0", ""] {
        evil.tables[0].chunks[0].object.name = name.to_owned();
        assert!(env.archive.check_files(&evil).unwrap_err().is_corrupt(), "{name:?}");
        let object = evil.tables[0].chunks[0].object.clone();
        assert!(
            env.archive
                .data_reader(&id(ONE), &object)
                .err()
                .is_some_and(|e| e.is_corrupt())
        );
    }
}

#[test]
fn missing_and_cut_files_are_told_without_reading() {
    let env = Env::new();
    let written = env.backup(ONE, &[b"a", b"b"]);
    let files = objects(&written);
    let path = |i: usize| format!("snapshot-{ONE}/{}", files[i].name);
    env.overwrite(&path(0), b"short");
    env.memory.delete(&crate::env::object(&path(1))).unwrap();
    let problems = env.archive.check_files(&written).unwrap();
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0].why.contains("5 bytes") && problems[1].why.contains("missing"),
        "{problems:?}"
    );
    let error = read_data(&env.archive, &id(ONE), &files[1]).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("missing"), "{error}");
}

#[test]
fn what_is_not_a_backup_is_said() {
    let env = Env::new();
    let none = env.archive.read_summary(&id(ONE)).unwrap_err();
    assert!(matches!(none, ArchiveError::NoBackup { .. }) && none.kind() == ErrorKind::NotFound);
    let mut writer = env
        .archive
        .data_writer(&env.lock, &id(ONE), 0, Level::default())
        .unwrap();
    writer.put(b"rows").unwrap();
    drop(writer);
    assert!(
        env.archive.snapshots().unwrap().is_empty(),
        "an aborted file leaves nothing"
    );
    let writer = env
        .archive
        .data_writer(&env.lock, &id(ONE), 0, Level::default())
        .unwrap();
    writer.finish().unwrap();
    assert!(matches!(
        env.archive.read_manifest(&id(ONE)).unwrap_err(),
        ArchiveError::Unfinished(_)
    ));
    let found = env.archive.snapshots().unwrap();
    assert!(found.len() == 1 && !found[0].has_manifest);
    env.archive.remove_snapshot(&env.lock, &id(ONE)).unwrap();
    assert!(env.archive.snapshots().unwrap().is_empty());
}

#[test]
fn trash_and_back_and_gone() {
    let env = Env::new();
    let (archive, lock) = (&env.archive, &env.lock);
    env.backup(ONE, &[b"a"]);
    archive.trash(lock, &id(ONE), &note()).unwrap();
    let mut later = note();
    later.by = "bob".to_owned();
    archive.trash(lock, &id(ONE), &later).unwrap();
    assert_eq!(archive.in_trash().unwrap(), [(id(ONE), note())], "the first note stays");
    archive.take_back(lock, &id(ONE)).unwrap();
    assert!(archive.in_trash().unwrap().is_empty());
    assert!(matches!(
        archive.take_back(lock, &id(ONE)).unwrap_err(),
        ArchiveError::NotInTrash(_)
    ));
    assert!(matches!(
        archive.purge(lock, &id(ONE)).unwrap_err(),
        ArchiveError::NotInTrash(_)
    ));
    assert!(archive.read_manifest(&id(ONE)).is_ok());
    archive.trash(lock, &id(ONE), &note()).unwrap();
    archive.purge(lock, &id(ONE)).unwrap();
    assert!(archive.in_trash().unwrap().is_empty() && archive.snapshots().unwrap().is_empty());
    assert_eq!(env.names(), ["archive.json"]);
}

/// Runs `work` once for each of its storage calls, with that call failing or everything from there on; then `check`.
fn at_every_step(
    prepare: impl Fn(&Env),
    work: impl Fn(&Archive, &brine::archive::ArchiveLock) -> brine::archive::Result<()>,
    check: impl Fn(&Env, bool, &str),
) {
    for crash in [false, true] {
        for n in 1.. {
            let env = Env::new();
            prepare(&env);
            let faults = Faults::new(Arc::new(env.memory.clone()));
            let archive = env.through(Arc::new(faults.clone()));
            faults.clear();
            if crash {
                faults.crash_after(n - 1);
            } else {
                faults.fail_call(n, brine::storage::ErrorKind::Temporary);
            }
            let done = work(&archive, &env.lock).is_ok();
            let hit = n <= if crash { faults.changes() } else { faults.calls() };
            check(&env, done, &format!("crash {crash}, step {n}"));
            if !hit {
                assert!(done);
                break;
            }
        }
    }
}

/// A backup that is offered is whole.
fn whole_if_offered(env: &Env, what: &str) -> usize {
    let mut offered = 0;
    let trash = env.archive.in_trash().unwrap();
    for dir in env.archive.snapshots().unwrap() {
        let purging = trash
            .iter()
            .any(|(id, note)| *id == dir.id && note.state == TrashState::Purging);
        if dir.has_manifest && !purging {
            offered += 1;
            let manifest: Manifest = env.archive.read_manifest(&dir.id).unwrap();
            for object in objects(&manifest) {
                read_data(&env.archive, &dir.id, &object).unwrap_or_else(|e| panic!("{what}: {e}"));
            }
        }
    }
    offered
}

#[test]
fn a_backup_that_fails_anywhere_is_no_backup() {
    at_every_step(
        |_| {},
        |archive, lock| write_backup(archive, lock, ONE, &[b"a", b"b", b"c"]).map(drop),
        |env, done, what| {
            let offered = whole_if_offered(env, what);
            // A call that fails after the manifest was published may leave a backup that is good.
            assert!(if done { offered == 1 } else { offered <= 1 }, "{what}");
            env.archive.remove_snapshot(&env.lock, &id(ONE)).unwrap();
            assert_eq!(env.names(), ["archive.json"], "{what}");
        },
    );
}

#[test]
fn a_purge_that_fails_anywhere_is_finished_later() {
    at_every_step(
        |env| {
            env.backup(ONE, &[b"a", b"b", b"c"]);
            env.backup("20261121100000-bbbb", &[b"other"]);
            env.archive.trash(&env.lock, &id(ONE), &note()).unwrap();
        },
        |archive, lock| archive.purge(lock, &id(ONE)),
        |env, done, what| {
            whole_if_offered(env, what);
            let purging = env
                .archive
                .in_trash()
                .unwrap()
                .iter()
                .any(|(_, n)| n.state == TrashState::Purging);
            if purging {
                let refused = env.archive.take_back(&env.lock, &id(ONE)).unwrap_err();
                assert!(matches!(refused, ArchiveError::Purging(_)), "{what}: {refused}");
                env.archive.finish_purges(&env.lock).unwrap();
            }
            let left = env.archive.snapshots().unwrap();
            let expected = if done || purging { 1 } else { 2 };
            assert_eq!(left.len(), expected, "{what}");
            assert_eq!(whole_if_offered(env, what), expected, "{what}");
        },
    );
}

#[test]
fn trashing_and_taking_back_fail_cleanly() {
    at_every_step(
        |env| drop(env.backup(ONE, &[b"a"])),
        |archive, lock| archive.trash(lock, &id(ONE), &note()),
        |env, done, what| {
            assert_eq!(whole_if_offered(env, what), 1);
            assert!(!done || env.archive.in_trash().unwrap().len() == 1, "{what}");
        },
    );
    at_every_step(
        |env| {
            env.backup(ONE, &[b"a"]);
            env.archive.trash(&env.lock, &id(ONE), &note()).unwrap();
        },
        |archive, lock| archive.take_back(lock, &id(ONE)),
        |env, done, what| {
            assert_eq!(whole_if_offered(env, what), 1);
            assert!(!done || env.archive.in_trash().unwrap().is_empty(), "{what}");
            env.archive.finish_purges(&env.lock).unwrap();
            assert_eq!(
                whole_if_offered(env, what),
                1,
                "{what}: a backup that was taken back must stay"
            );
        },
    );
}

#[test]
fn documents_change_by_compare_and_swap() {
    let env = Env::new();
    assert_eq!(
        env.archive.state::<BackupSettings>().unwrap().value,
        BackupSettings::default()
    );
    let names = env.names();
    env.archive.update(&env.lock, |_: &mut LogDoc| ()).unwrap();
    assert_eq!(env.names(), names, "no change, no write");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    // Sixteen tries may not be enough for four that never rest.
                    while env
                        .archive
                        .update(&env.lock, |doc: &mut LogDoc| doc.next_seq += 1)
                        .is_err()
                    {}
                }
            });
        }
    });
    assert_eq!(env.archive.state::<LogDoc>().unwrap().value.next_seq, 100);
    let protection = Protection {
        by: "ana".to_owned(),
        at: NOW,
    };
    let protect = |doc: &mut ProtectDoc| doc.0.insert(id(ONE), protection.clone()).is_none();
    let (doc, new) = env.archive.update(&env.lock, protect).unwrap();
    assert!(new && env.archive.state::<ProtectDoc>().unwrap().value == doc);
}

#[test]
fn ten_thousand_backups_are_listed_quickly() {
    // In memory where there is such a directory: making them must not take longer than the test.
    let root = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let storage: Arc<dyn Storage> = Arc::new(Local::create(root.path()).unwrap());
    let archive = Archive::create(storage, identity()).unwrap();
    let lock = take(&archive);
    let template = manifest(id("20261120100000-aaaa"), Vec::new());
    archive.write_manifest(&lock, &template).unwrap();
    for i in 0..10_000 {
        let dir = root.path().join(format!("backup-shop/snapshot-20261120{i:06}-cccc"));
        std::fs::create_dir(&dir).unwrap();
        if i % 10 != 0 {
            std::fs::write(dir.join("manifest"), b"x").unwrap();
        }
    }
    let began = Instant::now();
    let found = archive.snapshots().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(
        (found.len(), found.iter().filter(|s| s.has_manifest).count()),
        (10_001, 9001)
    );
    assert!(found.is_sorted_by(|a, b| a.id < b.id));
    assert_eq!(
        archive.read_summary(&id("20261120100000-aaaa")).unwrap().note,
        summary(id(ONE)).note
    );
}
