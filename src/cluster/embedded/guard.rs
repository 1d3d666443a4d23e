//! The high-water mark beside the store: the last commit that is known to have been durable.
//!
//! The engine takes a damaged journal for a torn one and opens with older data. This file is written by
//! other means, after the store has synced, so a store that ends before it has lost commits and is refused.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cluster::ClusterError;
use crate::model::tso::Tso;

use super::record::Tip;
use super::store::failed;

/// How long commits may go on before the mark is written again.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct OnDisk {
    identity: String,
    ts: Tso,
    hash: String,
}

/// The file and what it says.
pub(super) struct Guard {
    path: PathBuf,
    identity: String,
    written: Tip,
    at: Option<Instant>,
}

/// What the file said when the store was opened.
pub(super) struct Found {
    /// The store it belongs to.
    pub(super) identity: String,
    /// The last commit it knows.
    pub(super) tip: Tip,
}

/// Reads the file; `None` when there is none.
pub(super) fn read(dir: &Path) -> Result<Option<Found>, ClusterError> {
    let path = dir.join("high-water");
    let bad = |why: String| ClusterError::Malformed {
        what: "the high-water file",
        why: format!("{}: {why}", path.display()),
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(format!("reading {}", path.display()))(e)),
    };
    let file: OnDisk = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let hash = u128::from_str_radix(&file.hash, 16).map_err(|e| bad(e.to_string()))?;
    Ok(Some(Found {
        identity: file.identity,
        tip: Tip { ts: file.ts, hash },
    }))
}

impl Guard {
    /// The file of a store that was found good.
    pub(super) fn new(dir: &Path, identity: String) -> Self {
        Guard {
            path: dir.join("high-water"),
            identity,
            written: Tip::START,
            at: None,
        }
    }

    /// Writes the mark if the last time is long ago.
    pub(super) fn now_and_then(&mut self, tip: Tip) -> Result<(), ClusterError> {
        if self.at.is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        self.write(tip)
    }

    /// Writes the mark, unless it is there already.
    pub(super) fn write(&mut self, tip: Tip) -> Result<(), ClusterError> {
        if self.written == tip {
            return Ok(());
        }
        let file = OnDisk {
            identity: self.identity.clone(),
            ts: tip.ts,
            hash: format!("{:032x}", tip.hash),
        };
        let text = serde_json::to_string(&file).map_err(failed("writing the high-water file"))?;
        replace(&self.path, text.as_bytes())?;
        self.written = tip;
        self.at = Some(Instant::now());
        Ok(())
    }
}

/// Replaces a file as a whole: after a crash it is the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ClusterError> {
    use std::os::unix::fs::OpenOptionsExt;
    let tmp = path.with_extension("tmp");
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&tmp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&tmp, path)?;
        path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
    };
    write().map_err(failed(format!("writing {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_damage_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap().is_none());
        let mut guard = Guard::new(dir.path(), "me".into());
        let tip = Tip { ts: Tso(7), hash: 9 };
        guard.now_and_then(tip).unwrap();
        let found = read(dir.path()).unwrap().unwrap();
        assert_eq!((found.identity.as_str(), found.tip), ("me", tip));
        guard.now_and_then(Tip { ts: Tso(8), hash: 9 }).unwrap();
        assert_eq!(read(dir.path()).unwrap().unwrap().tip, tip, "not again within a second");
        fs::write(dir.path().join("high-water"), "{").unwrap();
        assert!(read(dir.path()).is_err());
    }
}
