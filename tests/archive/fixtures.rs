//! Archives of every format version that was ever shipped, kept for ever: they must stay readable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use brine::archive::state::{LogDoc, ProtectDoc};
use brine::archive::{Archive, TrashNote};
use brine::model::backup::Protection;
use brine::model::log::LogDesired;
use brine::storage::Storage;
use brine::storage::local::Local;

use crate::env::{NOW, id, identity, objects, read_data, take, write_backup};
use crate::log::{append, new_run};
use crate::pieces::{append_large, piece};
use crate::snapshots::note;

const BACKUP: &str = "20261120100000-aaaa";
const DELETED: &str = "20261119100000-bbbb";

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{version}"))
}

/// A copy, because opening a storage for writing makes its lock files.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn format_1_is_read() {
    let temp = tempfile::tempdir().unwrap();
    copy(&fixture(1), temp.path());
    let storage: Arc<dyn Storage> = Arc::new(Local::open(temp.path()).unwrap());
    let archive = Archive::open(storage, &identity().cluster).unwrap().unwrap();
    assert_eq!(*archive.identity(), identity());

    let manifest = archive.read_manifest(&id(BACKUP)).unwrap();
    assert_eq!(manifest.summary.note.as_deref(), Some("before the upgrade"));
    assert!(archive.check_files(&manifest).unwrap().is_empty());
    let batches: Vec<_> = objects(&manifest)
        .iter()
        .flat_map(|object| read_data(&archive, &id(BACKUP), object).unwrap())
        .collect();
    assert_eq!(batches, [b"first".to_vec(), vec![7; 10_000], b"third".to_vec()]);
    assert_eq!(archive.in_trash().unwrap(), [(id(DELETED), TrashNote { ..note() })]);

    let doc = archive.state::<LogDoc>().unwrap().value;
    assert_eq!((doc.desired, doc.runs.len()), (Some(LogDesired::Running), 1));
    let run = &doc.runs[0];
    let mut reader = archive.read_log(run, run.from, run.to).unwrap();
    let entries: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
    assert_eq!(
        entries.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(),
        ["10", "20", "30", "40", "50"]
    );
    assert_eq!(entries[4].payload, b"change at 50");
    assert_eq!(archive.state::<ProtectDoc>().unwrap().value.0.len(), 1);
    // And it can be gone on with.
    let lock = take(&archive);
    write_backup(&archive, &lock, "20261122100000-cccc", &[b"more"]).unwrap();
}

#[test]
fn format_2_is_read() {
    let temp = tempfile::tempdir().unwrap();
    copy(&fixture(2), temp.path());
    let storage: Arc<dyn Storage> = Arc::new(Local::open(temp.path()).unwrap());
    let archive = Archive::open(storage, &identity().cluster).unwrap().unwrap();
    let doc = archive.state::<LogDoc>().unwrap().value;
    let run = &doc.runs[0];
    let mut reader = archive.read_log(run, run.from, run.to).unwrap();
    let mut found = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        let mut pieces = 0;
        while let Some(bytes) = reader.next_piece().unwrap() {
            assert_eq!(bytes, piece(entry.id.parse().unwrap(), pieces));
            pieces += 1;
        }
        found.push((entry.id, pieces));
    }
    let found: Vec<_> = found.iter().map(|(id, n)| (id.as_str(), *n)).collect();
    assert_eq!(
        found,
        [("10", 0), ("20", 0), ("30", 3), ("40", 0), ("50", 2), ("60", 0)]
    );
}

/// Writes the fixture of the present version. Only by hand, and only for a version that was never shipped.
#[test]
#[ignore = "fixtures are written once"]
fn write_fixture() {
    let dir = fixture(brine::archive::FORMAT_VERSION.into());
    assert!(!dir.exists(), "{} is there already and must not change", dir.display());
    let storage: Arc<dyn Storage> = Arc::new(Local::create(&dir).unwrap());
    let archive = Archive::create(storage, identity()).unwrap();
    {
        let lock = take(&archive);
        write_backup(&archive, &lock, BACKUP, &[b"first", &[7; 10_000], b"third"]).unwrap();
        write_backup(&archive, &lock, DELETED, &[b"gone soon"]).unwrap();
        archive.trash(&lock, &id(DELETED), &note()).unwrap();
        let run = append(&archive, &lock, new_run(1), &[2], "");
        let run = append_large(&archive, &lock, run, 3);
        let run = append(&archive, &lock, run, &[1], "");
        let run = append_large(&archive, &lock, run, 2);
        let run = append(&archive, &lock, run, &[1], "");
        let mut segments = archive.segments(2..4, None).unwrap();
        let small: Vec<_> = std::iter::from_fn(|| segments.next().unwrap()).collect();
        archive.compact(&lock, &small).unwrap();
        let log = |doc: &mut LogDoc| {
            doc.desired = Some(LogDesired::Running);
            doc.next_seq = run.end_seq;
            doc.runs = vec![run.clone()];
        };
        archive.update(&lock, log).unwrap();
        let (by, at) = ("ana".to_owned(), NOW);
        let protect = |doc: &mut ProtectDoc| drop(doc.0.insert(id(BACKUP), Protection { by: by.clone(), at }));
        archive.update(&lock, protect).unwrap();
    }
    // Files of the storage, not of the archive.
    std::fs::remove_dir_all(dir.join(".tmp")).unwrap();
    std::fs::remove_file(dir.join(".lock")).unwrap();
}
