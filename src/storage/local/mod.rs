//! A storage in a local directory (or a mounted one).
//!
//! Directories are 0700 and files 0600, whatever the umask. An object is written to a file under `.tmp/`, synced,
//! renamed to its name without replacing, and its directory synced; so it is there whole or not at all, also after a
//! power cut. No symbolic link below the root is ever followed. Names that start with a dot (`.tmp/`, `.lock`) are
//! ours and no objects.

mod beneath;
mod facts;
mod listing;
mod swap;
mod temp;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, OFlags, fstat, fsync, unlinkat};
use rustix::io::Errno;

use super::error::{ErrorKind, StorageError};
use super::memory::past_end;
use super::name::{DirName, ObjectName};
use super::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageFacts, Version};

use beneath::Beneath;
use temp::{LocalWriter, clean};

/// A storage in a local directory.
pub struct Local {
    beneath: Arc<Beneath>,
    path: PathBuf,
}

impl Local {
    /// Opens the storage in an existing directory.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let shown = path.display();
        let root = File::open(path).map_err(|e| io_error(e, "open", &shown))?;
        if !root.metadata().map_err(|e| io_error(e, "open", &shown))?.is_dir() {
            return Err(StorageError::new(ErrorKind::Corrupt, "open", shown).detail("it is not a directory"));
        }
        let beneath = Arc::new(Beneath::new(root.into()));
        clean(&beneath);
        Ok(Local {
            beneath,
            path: path.to_owned(),
        })
    }

    /// Opens the storage in a directory, which is created if it does not exist.
    pub fn create(path: &Path) -> Result<Self, StorageError> {
        make_all(path).map_err(|e| io_error(e, "create", path.display()))?;
        Self::open(path)
    }

    /// As on a kernel without `openat2`: for tests.
    #[doc(hidden)]
    pub fn without_openat2(self) -> Self {
        self.beneath.forget_openat2();
        self
    }

    fn open_file(&self, name: &ObjectName, doing: &'static str) -> Result<(File, u64), StorageError> {
        // A fifo in an object's place must not block us.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let fd = self
            .beneath
            .open(name.as_str(), flags)
            .map_err(|e| errno(e, doing, name))?;
        let stat = fstat(&fd).map_err(|e| errno(e, doing, name))?;
        regular(stat.st_mode, doing, name)?;
        Ok((File::from(fd), stat.st_size.max(0) as u64))
    }
}

/// Creates a directory and those above it, each synced into its parent.
fn make_all(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        // Another process was faster.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Storage for Local {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StorageError> {
        let mut writer = LocalWriter::new(self.beneath.clone(), name)?;
        writer.write(bytes)?;
        Box::new(writer).finish()
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>, StorageError> {
        Ok(Box::new(LocalWriter::new(self.beneath.clone(), name)?))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn ObjectReader>, StorageError> {
        let (file, len) = self.open_file(name, "open")?;
        let name = name.clone();
        Ok(Box::new(LocalReader { file, len, name }))
    }

    fn size(&self, name: &ObjectName) -> Result<Option<u64>, StorageError> {
        let found = self.beneath.open(name.as_str(), OFlags::PATH).and_then(|fd| fstat(&fd));
        match found {
            Ok(stat) => {
                regular(stat.st_mode, "look at", name)?;
                Ok(Some(stat.st_size.max(0) as u64))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(errno(e, "look at", name)),
        }
    }

    fn list(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<ObjectInfo>, StorageError> {
        listing::objects(&self.beneath, dir, after, limit)
    }

    fn list_dirs(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError> {
        listing::dirs(&self.beneath, dir, after, limit)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        let _held = swap::hold(&self.beneath, "delete", name)?;
        let dir = match self.beneath.dir(&name.dir()) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(errno(e, "delete", name)),
        };
        match unlinkat(&dir, name.file(), AtFlags::empty()) {
            Ok(()) => fsync(&dir).map_err(|e| errno(e, "delete", name))?,
            Err(Errno::NOENT) => {}
            Err(e) => return Err(errno(e, "delete", name)),
        }
        self.beneath.prune(name.dir());
        Ok(())
    }

    fn get_versioned(&self, name: &ObjectName, max: u64) -> Result<Option<(Vec<u8>, Version)>, StorageError> {
        match self.read(name, max) {
            Ok(bytes) => {
                let version = swap::version(&bytes);
                Ok(Some((bytes, version)))
            }
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn compare_and_swap(
        &self,
        name: &ObjectName,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<Version, StorageError> {
        let _held = swap::hold(&self.beneath, "replace", name)?;
        let found = self.get_versioned(name, u64::MAX)?.map(|(_, version)| version);
        if found.as_ref() != expected {
            return Err(StorageError::new(ErrorKind::Conflict, "replace", name));
        }
        let mut writer = LocalWriter::new(self.beneath.clone(), name)?;
        writer.write(bytes)?;
        writer.replace()?;
        Ok(swap::version(bytes))
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }

    fn facts(&self) -> StorageFacts {
        facts::of(&self.beneath)
    }
}

struct LocalReader {
    file: File,
    len: u64,
    name: ObjectName,
}

impl ObjectReader for LocalReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        // Checked before anything is allocated.
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(past_end(&self.name, offset, len));
        }
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|e| io_error(e, "read", &self.name))?;
        Ok(bytes)
    }
}

fn regular(mode: u32, doing: &'static str, name: &ObjectName) -> Result<(), StorageError> {
    if FileType::from_raw_mode(mode) == FileType::RegularFile {
        return Ok(());
    }
    Err(StorageError::new(ErrorKind::Corrupt, doing, name).detail("it is not a regular file"))
}

/// An error of the operating system, by what the caller can do next.
fn errno(e: Errno, doing: &'static str, object: impl ToString) -> StorageError {
    let kind = match e {
        Errno::NOENT => ErrorKind::NotFound,
        Errno::EXIST => ErrorKind::Exists,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => ErrorKind::Full,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::Permission,
        Errno::AGAIN | Errno::BUSY | Errno::MFILE | Errno::NFILE | Errno::STALE | Errno::TIMEDOUT => {
            ErrorKind::Temporary
        }
        Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::XDEV => ErrorKind::Corrupt,
        _ => ErrorKind::Other,
    };
    let error = StorageError::new(kind, doing, object).because(std::io::Error::from(e));
    match e {
        Errno::LOOP | Errno::XDEV => error.detail("a symbolic link or a mount is in its way"),
        Errno::FBIG => error.detail("its files may not grow so large (ulimit -f)"),
        Errno::NOTDIR | Errno::ISDIR => error.detail("files and directories are mixed up"),
        _ => error,
    }
}

fn io_error(e: std::io::Error, doing: &'static str, object: impl ToString) -> StorageError {
    match Errno::from_io_error(&e) {
        Some(e) => errno(e, doing, object),
        None if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            StorageError::new(ErrorKind::Corrupt, doing, object).detail("it became shorter while it was read")
        }
        None => StorageError::new(ErrorKind::Other, doing, object).because(e),
    }
}
