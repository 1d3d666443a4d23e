//! Sorted runs of row changes on disk, for logs that do not fit into memory.
//!
//! A run lives as long as the process that wrote it: after a crash the log is collected again. It is
//! checked all the same when it is read, because what comes back from a disk is not always what went there.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::cluster::ClusterError;

use super::super::keys::MAX_KEY;
use super::super::store::failed;
use super::super::wire::MAX_VALUE;

/// A key with its new value, or `None` for a deleted row.
pub(super) type RowChange = (Vec<u8>, Option<Vec<u8>>);

/// Bytes of a change's head: its kind and the lengths of key and value.
const HEAD: usize = 9;

/// A finished run.
#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
    entries: u64,
    hash: u64,
}

/// Writes changes, which are in ascending order of their keys.
pub(super) fn write(path: &Path, changes: &[RowChange]) -> Result<Run, ClusterError> {
    use std::os::unix::fs::OpenOptionsExt;
    let doing = || format!("writing a sorted run of changes to {}", path.display());
    let open = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut out = BufWriter::with_capacity(256 << 10, options.open(path)?);
        let mut hash = Xxh3::new();
        for (key, value) in changes {
            let mut put = |bytes: &[u8]| {
                hash.update(bytes);
                out.write_all(bytes)
            };
            put(&[u8::from(value.is_some())])?;
            put(&(key.len() as u32).to_le_bytes())?;
            put(&(value.as_ref().map_or(0, Vec::len) as u32).to_le_bytes())?;
            put(key)?;
            put(value.as_deref().unwrap_or_default())?;
        }
        out.flush()?;
        Ok::<_, std::io::Error>(hash.digest())
    };
    Ok(Run {
        path: path.to_owned(),
        entries: changes.len() as u64,
        hash: open().map_err(failed(doing()))?,
    })
}

/// Reads a run from its beginning.
pub(super) struct RunReader<'a> {
    run: &'a Run,
    input: BufReader<File>,
    left: u64,
    hash: Xxh3,
}

impl<'a> RunReader<'a> {
    /// Opens a run.
    pub(super) fn open(run: &'a Run) -> Result<Self, ClusterError> {
        let file = File::open(&run.path).map_err(failed(format!("opening {}", run.path.display())))?;
        Ok(RunReader {
            run,
            input: BufReader::with_capacity(64 << 10, file),
            left: run.entries,
            hash: Xxh3::new(),
        })
    }

    fn read(&mut self, len: usize) -> Result<Vec<u8>, ClusterError> {
        let mut bytes = vec![0; len];
        self.input
            .read_exact(&mut bytes)
            .map_err(failed(format!("reading {}", self.run.path.display())))?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn damaged(&self) -> ClusterError {
        ClusterError::Malformed {
            what: "a sorted run of changes",
            why: format!("{} is damaged; start the restore again", self.run.path.display()),
        }
    }

    /// The next change; the last one is followed by a check of the whole run.
    pub(super) fn next(&mut self) -> Result<Option<RowChange>, ClusterError> {
        if self.left == 0 {
            if self.hash.digest() != self.run.hash {
                return Err(self.damaged());
            }
            return Ok(None);
        }
        self.left -= 1;
        let head = self.read(HEAD)?;
        let (Some((kind, lengths)), damaged) = (head.split_first(), self.damaged()) else {
            return Err(self.damaged());
        };
        let Some((key, value)) = lengths.split_at_checked(4) else {
            return Err(damaged);
        };
        let length = |bytes: &[u8]| bytes.try_into().map_or(usize::MAX, |b| u32::from_le_bytes(b) as usize);
        let (key, value) = (length(key), length(value));
        if *kind > 1 || key > MAX_KEY || value > MAX_VALUE {
            return Err(damaged);
        }
        let (key, value) = (self.read(key)?, self.read(value)?);
        Ok(Some((key, (*kind == 1).then_some(value))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_back_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let changes = vec![
            (b"a".to_vec(), Some(b"1".to_vec())),
            (b"b".to_vec(), None),
            (b"c".to_vec(), Some(vec![])),
        ];
        let run = write(&path, &changes).unwrap();
        let read = || {
            let mut reader = RunReader::open(&run)?;
            let mut out = Vec::new();
            while let Some(change) = reader.next()? {
                out.push(change);
            }
            Ok::<_, ClusterError>(out)
        };
        assert_eq!(read().unwrap(), changes);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            std::fs::write(&path, &bad).unwrap();
            assert!(read().is_err(), "byte {at}");
        }
    }
}
