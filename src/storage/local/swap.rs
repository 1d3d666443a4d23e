//! Compare-and-swap on a file system: under an advisory lock on `.lock`, which every process of ours takes.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use xxhash_rust::xxh3::xxh3_128;

use crate::storage::Version;
use crate::storage::error::{ErrorKind, StorageError};
use crate::storage::name::ObjectName;

use super::beneath::Beneath;
use super::errno;

const FILE: &str = ".lock";
/// Swaps take milliseconds; a holder that keeps others longer was stopped, or the file system hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Released when dropped.
pub(super) struct Held(#[allow(dead_code)] OwnedFd);

/// Waits for the lock.
pub(super) fn hold(beneath: &Beneath, doing: &'static str, name: &ObjectName) -> Result<Held, StorageError> {
    let fail = |e| errno(e, doing, name);
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NONBLOCK;
    let fd = beneath.open_with(FILE, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
    rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR).map_err(fail)?;
    let began = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Held(fd)),
            Err(Errno::AGAIN) if began.elapsed() < PATIENCE => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Err(Errno::AGAIN) => {
                let kept = "another process has kept the storage's .lock for 30 s: it may be stopped";
                return Err(StorageError::new(ErrorKind::Temporary, doing, name).detail(kept));
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(fail(e)),
        }
    }
}

/// The version of an object is its content: equal content needs no telling apart.
pub(super) fn version(bytes: &[u8]) -> Version {
    Version(format!("{:032x}", xxh3_128(bytes)))
}
