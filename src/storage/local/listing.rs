//! Listing a directory: streamed, with no more names in memory than are asked for.

use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::Errno;

use crate::storage::ObjectInfo;
use crate::storage::error::StorageError;
use crate::storage::name::{DirName, is_component};

use super::beneath::Beneath;
use super::errno;

pub(super) fn objects(
    beneath: &Beneath,
    dir: &DirName,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ObjectInfo>, StorageError> {
    let (fd, names) = scan(beneath, dir, after, limit, FileType::RegularFile)?;
    let Some(fd) = fd else { return Ok(Vec::new()) };
    let info = |file: String| {
        // One that was deleted meanwhile stays in the page, or the page would look like the last one.
        let size = match statat(&fd, &file, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat.st_size.max(0) as u64,
            Err(Errno::NOENT) => 0,
            Err(e) => return Err(errno(e, "list", dir)),
        };
        let name = dir.object(&file)?;
        Ok(ObjectInfo { name, size })
    };
    names.into_iter().map(info).collect()
}

pub(super) fn dirs(
    beneath: &Beneath,
    dir: &DirName,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    Ok(scan(beneath, dir, after, limit, FileType::Directory)?.1)
}

/// The first `limit` names of one type after `after`, in order, and the directory. Names outside the grammar are
/// none of ours.
fn scan(
    beneath: &Beneath,
    dir: &DirName,
    after: Option<&str>,
    limit: usize,
    wanted: FileType,
) -> Result<(Option<OwnedFd>, Vec<String>), StorageError> {
    let fail = |e| errno(e, "list", dir);
    let fd = match beneath.dir(dir) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok((None, Vec::new())),
        Err(e) => return Err(fail(e)),
    };
    let mut least = BinaryHeap::new();
    for entry in Dir::read_from(&fd).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let in_page = after.is_none_or(|after| name > after) && (least.len() < limit || is_less(name, &least));
        if !in_page || !is_component(name) {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not tell.
            FileType::Unknown => statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
            known => known,
        };
        if kind == wanted {
            least.push(name.to_owned());
            if least.len() > limit {
                least.pop();
            }
        }
    }
    Ok((Some(fd), least.into_sorted_vec()))
}

fn is_less(name: &str, heap: &BinaryHeap<String>) -> bool {
    heap.peek().is_some_and(|greatest| name < greatest.as_str())
}
