//! One runner per state directory: a lock of the operating system, and a note that says who holds it.
//!
//! The kernel lets the lock go when its process dies, however it dies, so the next process takes over at
//! once. The number that fences off an earlier holder (the epoch) stands in the journal.
//!
//! *Invariants: at most one live [`Lease`] per directory; the note is only believed while the lock is held;
//! the lock file itself is never deleted. The directory must be on a local file system.*

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::model::clock::{Clock, Millis};

const LOCK_FILE: &str = "runner.lock";
const NOTE_FILE: &str = "runner.json";
/// Longer notes are not ours.
const MAX_NOTE: u64 = 16 * 1024;
/// How often a waiting process tries again.
const RETRY: Duration = Duration::from_millis(25);

/// What kind of process holds the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HolderKind {
    /// A console at a terminal.
    Console,
    /// Without a terminal.
    Agent,
    /// A single command.
    Command,
}

impl HolderKind {
    /// The word on screen.
    pub fn word(self) -> &'static str {
        match self {
            HolderKind::Console => "console",
            HolderKind::Agent => "agent",
            HolderKind::Command => "command",
        }
    }
}

/// Who holds the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its host.
    pub host: String,
    /// Which boot of that host.
    pub boot_id: String,
    /// Since when.
    pub started: Millis,
    /// What it is.
    pub what: HolderKind,
}

/// Why the lease was not had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process holds it.
    #[error("another brine works in {}{}: let it do the work, or stop it first", dir.display(), named(holder.as_ref()))]
    Held {
        /// The state directory.
        dir: PathBuf,
        /// Who, where known.
        holder: Option<Holder>,
    },
    /// The directory cannot be used.
    #[error("the state directory {} cannot be used: {doing} failed", dir.display())]
    Io {
        /// The state directory.
        dir: PathBuf,
        /// What failed.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn named(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |h| {
        format!(" ({}, process {} on {})", h.what.word(), h.pid, h.host)
    })
}

/// The right to write in a state directory, held while this value lives.
#[derive(Debug)]
pub struct Lease {
    dir: PathBuf,
    /// Holds the lock; closing it lets go.
    _lock: File,
    holder: Mutex<Holder>,
    unclean: bool,
}

impl Lease {
    /// Takes the lease, or says who has it. Makes the directory where it is missing.
    pub fn acquire(dir: &Path, what: HolderKind, clock: &Arc<dyn Clock>) -> Result<Lease, LeaseError> {
        let io = |doing| {
            move |source| LeaseError::Io {
                dir: dir.to_owned(),
                doing,
                source,
            }
        };
        private_dir(dir).map_err(io("making it private"))?;
        let lock = open_private(&dir.join(LOCK_FILE)).map_err(io("opening its lock"))?;
        if !try_lock(&lock).map_err(io("locking"))? {
            return Err(LeaseError::Held {
                dir: dir.to_owned(),
                holder: noted(dir),
            });
        }
        let unclean = dir.join(NOTE_FILE).exists();
        let holder = Holder {
            pid: std::process::id(),
            host: host_name(),
            boot_id: boot_id(),
            started: clock.now(),
            what,
        };
        write_note(dir, &holder).map_err(io("writing down who works here"))?;
        Ok(Lease {
            dir: dir.to_owned(),
            _lock: lock,
            holder: Mutex::new(holder),
            unclean,
        })
    }

    /// The same, waiting for the holder to go away.
    pub fn acquire_within(
        dir: &Path,
        what: HolderKind,
        clock: &Arc<dyn Clock>,
        patience: Duration,
    ) -> Result<Lease, LeaseError> {
        let until = Instant::now() + patience;
        loop {
            match Lease::acquire(dir, what, clock) {
                Err(LeaseError::Held { .. }) if Instant::now() < until => std::thread::sleep(RETRY),
                other => return other,
            }
        }
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Who we are in the note.
    pub fn holder(&self) -> Holder {
        self.holder.lock().clone()
    }

    /// Whether the holder before us went without letting go.
    pub fn was_unclean(&self) -> bool {
        self.unclean
    }

    /// Notes that this process has become something else: a console that lost its terminal is an agent.
    pub fn now_is(&self, what: HolderKind) -> Result<(), LeaseError> {
        let mut holder = self.holder.lock();
        holder.what = what;
        write_note(&self.dir, &holder).map_err(|source| LeaseError::Io {
            dir: self.dir.clone(),
            doing: "writing down who works here",
            source,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Before the lock goes; a note that stays only makes the next start check more than it had to.
        let _ = fs::remove_file(self.dir.join(NOTE_FILE));
    }
}

/// Tries a few times, because [`holder_of`] takes the lock for an instant to see whether it is free.
fn try_lock(lock: &File) -> io::Result<bool> {
    for attempt in 0..4 {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if attempt < 3 => std::thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
    Ok(false)
}

/// Who holds the lease of this directory now; `None` when nobody does.
pub fn holder_of(dir: &Path) -> Option<Holder> {
    let lock = File::open(dir.join(LOCK_FILE)).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => noted(dir),
        _ => None,
    }
}

fn noted(dir: &Path) -> Option<Holder> {
    use std::io::Read as _;
    let mut text = String::new();
    File::open(dir.join(NOTE_FILE))
        .ok()?
        .take(MAX_NOTE)
        .read_to_string(&mut text)
        .ok()?;
    serde_json::from_str(&text).ok()
}

fn write_note(dir: &Path, holder: &Holder) -> io::Result<()> {
    let new = dir.join("runner.json.new");
    // A rest of a crash may have other permissions or be a link: never write through it.
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = open_private(&new)?;
    file.write_all(serde_json::to_string(holder).map_err(io::Error::other)?.as_bytes())?;
    fs::rename(&new, dir.join(NOTE_FILE))
}

/// Makes a directory that only we can enter, and takes others' rights off one that is there.
pub(super) fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    if fs::metadata(dir)?.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Opens or makes a file that only we can read, whatever the umask.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nofollow)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != 0o600 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn host_name() -> String {
    first_line("/proc/sys/kernel/hostname")
        .or_else(|| first_line("/etc/hostname"))
        .unwrap_or_else(|| "this host".into())
}

fn boot_id() -> String {
    first_line("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| crate::model::text::safe(line, 255))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::SystemClock;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    #[test]
    fn one_holder_and_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        assert_eq!(holder_of(&dir), None);
        let lease = Lease::acquire(&dir, HolderKind::Agent, &clock()).unwrap();
        assert!(!lease.was_unclean());
        match Lease::acquire(&dir, HolderKind::Console, &clock()) {
            Err(e @ LeaseError::Held { .. }) => {
                let text = e.to_string();
                assert!(
                    text.contains("agent") && text.contains(&std::process::id().to_string()),
                    "{text}"
                );
            }
            other => panic!("{other:?}"),
        }
        lease.now_is(HolderKind::Console).unwrap();
        assert_eq!(holder_of(&dir).unwrap().what, HolderKind::Console);
        drop(lease);
        assert_eq!(holder_of(&dir), None);
        let again = Lease::acquire(&dir, HolderKind::Command, &clock()).unwrap();
        assert!(!again.was_unclean(), "the note was taken away");
    }

    #[test]
    fn a_note_that_stayed_tells_of_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let lease = Lease::acquire(dir.path(), HolderKind::Agent, &clock()).unwrap();
        let note = fs::read(dir.path().join(NOTE_FILE)).unwrap();
        drop(lease);
        fs::write(dir.path().join(NOTE_FILE), note).unwrap();
        assert_eq!(holder_of(dir.path()), None, "a note without a lock names nobody");
        assert!(
            Lease::acquire(dir.path(), HolderKind::Agent, &clock())
                .unwrap()
                .was_unclean()
        );
    }

    #[test]
    fn the_directory_is_made_private() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("a/state");
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let _lease = Lease::acquire(&dir, HolderKind::Agent, &clock()).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&dir).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
