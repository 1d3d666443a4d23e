//! Objects in the making: files under `.tmp/` that become objects by a rename.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FlockOperation, OFlags, RenameFlags, flock, fstat, fsync, linkat, renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::storage::ObjectWriter;
use crate::storage::error::{ErrorKind, StorageError};
use crate::storage::name::ObjectName;

use super::beneath::Beneath;
use super::{errno, io_error};

pub(super) const DIR: &str = ".tmp";
/// Small writes are collected to this size.
const BUFFER: usize = 256 << 10;
/// A file in the making that nobody holds open is debris after this many seconds.
const DEBRIS_AGE: i64 = 600;
/// How often publishing is tried when somebody removes the directory as empty at the same time.
const TRIES: u32 = 8;

/// Writes one object. Dropping it removes the file.
pub(super) struct LocalWriter {
    beneath: Arc<Beneath>,
    name: ObjectName,
    dir: OwnedFd,
    temp: String,
    file: File,
    buffer: Vec<u8>,
    /// The file has become an object.
    published: bool,
}

impl LocalWriter {
    pub(super) fn new(beneath: Arc<Beneath>, name: &ObjectName) -> Result<Self, StorageError> {
        let fail = |e| errno(e, "create", name);
        let dir = beneath.temp_dir().map_err(fail)?;
        let temp = random_name(name)?;
        let fd = beneath.create_in(&dir, &temp).map_err(fail)?;
        // Tells `clean` that somebody is writing. Where locks do not work, age alone protects the file.
        let _ = flock(&fd, FlockOperation::NonBlockingLockShared);
        Ok(LocalWriter {
            beneath,
            name: name.clone(),
            dir,
            temp,
            file: File::from(fd),
            buffer: Vec::new(),
            published: false,
        })
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.file
            .write_all(&self.buffer)
            .map_err(|e| io_error(e, "write", &self.name))?;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.flush()?;
        self.file.sync_all().map_err(|e| io_error(e, "write", &self.name))
    }

    /// Publishes over what is there.
    pub(super) fn replace(mut self) -> Result<(), StorageError> {
        self.publish("replace", |w, parent| renameat(&w.dir, &w.temp, parent, w.name.file()))
    }

    fn publish(
        &mut self,
        doing: &'static str,
        rename: impl Fn(&Self, &OwnedFd) -> rustix::io::Result<()>,
    ) -> Result<(), StorageError> {
        self.sync()?;
        let name = self.name.clone();
        let fail = |e| errno(e, doing, &name);
        let mut tries = TRIES;
        loop {
            let parent = self.beneath.make_dir(&name.dir());
            match parent.and_then(|parent| rename(self, &parent).map(|()| parent)) {
                Ok(parent) => {
                    self.published = true;
                    return fsync(&parent).map_err(fail);
                }
                Err(Errno::NOENT) if tries > 0 => tries -= 1,
                Err(e) => return Err(fail(e)),
            }
        }
    }
}

impl ObjectWriter for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            return self.file.write_all(bytes).map_err(|e| io_error(e, "write", &self.name));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        self.publish("create", rename_new)
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is debris for `clean`.
            let _ = unlinkat(&self.dir, &self.temp, AtFlags::empty());
        }
    }
}

/// Renames without replacing.
fn rename_new(w: &LocalWriter, parent: &OwnedFd) -> rustix::io::Result<()> {
    let file = w.name.file();
    match renameat_with(&w.dir, &w.temp, parent, file, RenameFlags::NOREPLACE) {
        // The file system (or the kernel) cannot; a hard link never replaces either.
        Err(Errno::NOSYS | Errno::INVAL) => {
            linkat(&w.dir, &w.temp, parent, file, AtFlags::empty())?;
            unlinkat(&w.dir, &w.temp, AtFlags::empty())
        }
        other => other,
    }
}

fn random_name(name: &ObjectName) -> Result<String, StorageError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| {
        StorageError::new(ErrorKind::Other, "create", name).detail(format!("no random bytes from the system: {e}"))
    })?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Removes what crashed writers left under `.tmp/`. Best effort: debris harms nobody.
pub(super) fn clean(beneath: &Beneath) {
    let Ok(dir) = beneath.open(DIR, OFlags::RDONLY | OFlags::DIRECTORY) else {
        return;
    };
    let Ok(entries) = Dir::read_from(&dir) else { return };
    let mut names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()));
    let Some(first) = names.find(|name| !name.starts_with('.')) else {
        return;
    };
    // The file system's own clock: it may be another host's.
    let probe = format!("clock-{first}");
    let Ok(fd) = beneath.create_in(&dir, &probe) else {
        return;
    };
    let now = fstat(&fd).map(|stat| stat.st_mtime);
    let _ = unlinkat(&dir, &probe, AtFlags::empty());
    let Ok(now) = now else { return };
    for name in std::iter::once(first).chain(names.filter(|name| !name.starts_with('.'))) {
        let path = format!("{DIR}/{name}");
        let Ok(file) = beneath.open(&path, OFlags::RDONLY | OFlags::NONBLOCK) else {
            continue;
        };
        let old = fstat(&file).is_ok_and(|stat| now - stat.st_mtime > DEBRIS_AGE);
        if old && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = unlinkat(&dir, &name, AtFlags::empty());
        }
    }
}
