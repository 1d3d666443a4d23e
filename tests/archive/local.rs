//! What is special about local directories: rights, links, debris.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use brine::model::clock::{Clock, SystemClock};
use brine::storage::local::Local;
use brine::storage::{DirName, ErrorKind, ObjectName, Storage};
use rustix::fs::Mode;

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

/// Both ways of opening: with the kernel's help and component by component.
fn both(path: &Path) -> [Local; 2] {
    [
        Local::create(path).unwrap(),
        Local::create(path).unwrap().without_openat2(),
    ]
}

fn walk(dir: &Path, each: &mut dyn FnMut(&Path)) {
    each(dir);
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, each);
        } else {
            each(&path);
        }
    }
}

#[test]
fn nobody_else_can_look_whatever_the_umask() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("deep/er");
    // Belongs to the whole process; other tests do not depend on it.
    let before = rustix::process::umask(Mode::empty());
    let storage = Local::create(&root).unwrap();
    storage.put_new(&name("a/b/c"), b"secret").unwrap();
    storage.compare_and_swap(&name("state/x"), None, b"secret").unwrap();
    let mut writer = storage.create(&name("w/x")).unwrap();
    writer.write(b"secret").unwrap();
    rustix::process::umask(before);
    let mut seen = 0;
    walk(&temp.path().join("deep"), &mut |path| {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        seen += 1;
    });
    assert!(seen >= 9, "only {seen} files and directories");
}

#[test]
fn no_link_is_followed() {
    let temp = tempfile::tempdir().unwrap();
    let (root, outside) = (temp.path().join("root"), temp.path().join("outside"));
    fs::create_dir_all(&root).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("passwd"), b"root").unwrap();
    symlink(&outside, root.join("dir")).unwrap();
    fs::create_dir(root.join("real")).unwrap();
    symlink(outside.join("passwd"), root.join("real/file")).unwrap();
    symlink(".", root.join("real/self")).unwrap();
    for storage in both(&root) {
        for evil in ["dir/passwd", "real/file", "real/self/file"] {
            let kind = |r: Result<(), brine::storage::StorageError>| r.unwrap_err().kind;
            assert_eq!(
                kind(storage.read(&name(evil), 99).map(drop)),
                ErrorKind::Corrupt,
                "{evil}"
            );
            assert_eq!(kind(storage.size(&name(evil)).map(drop)), ErrorKind::Corrupt, "{evil}");
        }
        assert!(storage.put_new(&name("dir/new"), b"x").is_err());
        assert!(storage.delete(&name("dir/passwd")).is_err());
        assert!(storage.compare_and_swap(&name("dir/passwd"), None, b"x").is_err());
        assert_eq!(
            storage.put_new(&name("real/file"), b"x").unwrap_err().kind,
            ErrorKind::Exists
        );
        assert!(
            storage
                .list(&DirName::new("real").unwrap(), None, 9)
                .unwrap()
                .is_empty()
        );
        assert_eq!(storage.list_dirs(&DirName::root(), None, 9).unwrap(), ["real"]);
        assert!(storage.list(&DirName::new("dir").unwrap(), None, 9).is_err());
    }
    assert_eq!(fs::read(outside.join("passwd")).unwrap(), b"root");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn what_is_no_file_is_no_object() {
    let temp = tempfile::tempdir().unwrap();
    for storage in both(temp.path()) {
        let fifo = temp.path().join("fifo");
        if !fifo.exists() {
            let mode = Mode::RUSR | Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            fs::create_dir(temp.path().join("sub")).unwrap();
        }
        for odd in ["fifo", "sub"] {
            assert_eq!(
                storage.read(&name(odd), 9).unwrap_err().kind,
                ErrorKind::Corrupt,
                "{odd}"
            );
            assert_eq!(storage.size(&name(odd)).unwrap_err().kind, ErrorKind::Corrupt, "{odd}");
        }
        assert!(storage.list(&DirName::root(), None, 9).unwrap().is_empty());
    }
}

#[test]
fn debris_goes_and_live_writers_stay() {
    let temp = tempfile::tempdir().unwrap();
    let storage = Local::create(temp.path()).unwrap();
    let mut live = storage.create(&name("live")).unwrap();
    live.write(b"still here").unwrap();
    let tmp = temp.path().join(".tmp");
    let old = SystemTime::from(SystemClock.now().utc()) - Duration::from_secs(3600);
    let age = |path: &Path| {
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(old)
            .unwrap()
    };
    let mine = fs::read_dir(&tmp).unwrap().next().unwrap().unwrap().path();
    age(&mine);
    fs::write(tmp.join("0123dead"), b"debris").unwrap();
    age(&tmp.join("0123dead"));
    fs::write(tmp.join("0123young"), b"perhaps somebody's").unwrap();
    let again = Local::open(temp.path()).unwrap();
    assert!(!tmp.join("0123dead").exists(), "debris stayed");
    assert!(
        tmp.join("0123young").exists() && mine.exists(),
        "a live file was removed"
    );
    live.finish().unwrap();
    assert_eq!(again.read(&name("live"), 99).unwrap(), b"still here");
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 1);
}

#[test]
fn a_storage_that_is_not_there_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let missing = Local::open(&temp.path().join("none")).err().unwrap();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    fs::write(temp.path().join("file"), b"").unwrap();
    assert!(Local::create(&temp.path().join("file")).is_err());
    let url = format!("file://{}", temp.path().join("new/storage").display());
    let storage = brine::storage::url::open(&url).unwrap();
    assert!(storage.describe().ends_with("new/storage"));
}

#[test]
fn empty_directories_of_a_crash_go_with_a_delete() {
    let temp = tempfile::tempdir().unwrap();
    let storage = Local::create(temp.path()).unwrap();
    fs::create_dir_all(temp.path().join("a/b")).unwrap();
    storage.delete(&name("a/b/manifest")).unwrap();
    assert!(!temp.path().join("a").exists());
}
