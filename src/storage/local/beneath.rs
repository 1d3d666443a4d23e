//! Opening below a root and nowhere else.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, fchmod, fsync, mkdirat, openat, openat2, unlinkat};
use rustix::io::{Errno, Result};

use crate::storage::name::DirName;

/// A root that no name and no link leads out of.
pub(super) struct Beneath {
    root: OwnedFd,
    /// The kernel has `openat2`; else each component is opened by itself.
    openat2: AtomicBool,
}

impl Beneath {
    pub(super) fn new(root: OwnedFd) -> Self {
        Beneath {
            root,
            openat2: AtomicBool::new(true),
        }
    }

    pub(super) fn forget_openat2(&self) {
        self.openat2.store(false, Ordering::Relaxed);
    }

    /// Opens what `path` names below the root; a link anywhere on the way is an error.
    pub(super) fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        self.open_with(path, flags, Mode::empty())
    }

    pub(super) fn open_with(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        if self.openat2.load(Ordering::Relaxed) {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            loop {
                match openat2(&self.root, path, flags, mode, resolve) {
                    // A rename elsewhere raced with the walk; the kernel asks to try again.
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(Errno::NOSYS) => break self.forget_openat2(),
                    // Some sandboxes refuse system calls that they do not know.
                    Err(Errno::PERM) => break,
                    other => return other,
                }
            }
        }
        self.walk(path, flags, mode)
    }

    fn walk(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let Some((dirs, last)) = path.rsplit_once('/') else {
            return openat(&self.root, path, flags | OFlags::NOFOLLOW, mode);
        };
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut parts = dirs.split('/');
        let mut at = openat(&self.root, parts.next().unwrap_or("."), step, Mode::empty())?;
        for part in parts {
            at = openat(&at, part, step, Mode::empty())?;
        }
        openat(&at, last, flags | OFlags::NOFOLLOW, mode)
    }

    /// Opens a directory for listing and syncing.
    pub(super) fn dir(&self, dir: &DirName) -> Result<OwnedFd> {
        let path = if dir.is_root() { "." } else { dir.as_str() };
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens a directory, creating it and those above it where missing, each synced into its parent.
    pub(super) fn make_dir(&self, dir: &DirName) -> Result<OwnedFd> {
        match self.dir(dir) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let Some(parent) = dir.parent() else {
            return Err(Errno::NOENT);
        };
        let parent = self.make_dir(&parent)?;
        self.make_in(&parent, dir.last())?;
        self.dir(dir)
    }

    fn make_in(&self, parent: impl AsFd, name: &str) -> Result<()> {
        match mkdirat(&parent, name, Mode::RWXU) {
            // Another writer was faster; its sync of the parent may not have come yet.
            Err(Errno::EXIST) => return fsync(&parent),
            other => other?,
        }
        // The umask may have taken bits away.
        rustix::fs::chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?;
        fsync(&parent)
    }

    /// Opens the directory of files in the making.
    pub(super) fn temp_dir(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.open(super::temp::DIR, flags) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        self.make_in(&self.root, super::temp::DIR)?;
        self.open(super::temp::DIR, flags)
    }

    /// Creates a file with mode 0600 in an open directory.
    pub(super) fn create_in(&self, dir: impl AsFd, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = openat(dir, name, flags, mode)?;
        fchmod(&fd, mode)?;
        Ok(fd)
    }

    /// Removes a directory and those above it as long as they are empty. It may fail: an empty directory is nothing.
    pub(super) fn prune(&self, dir: DirName) {
        let mut dir = dir;
        while let Some(parent) = dir.parent() {
            let Ok(above) = self.dir(&parent) else { return };
            if unlinkat(&above, dir.last(), AtFlags::REMOVEDIR).is_err() {
                return;
            }
            dir = parent;
        }
    }
}
