//! Where a transaction is kept while it comes in: in memory, and beyond a bound in a file without a name, which goes with the
//! process.
//!
//! *Invariants: pieces are cut between events; what is read back is compared with what was written.*

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::options::SpoolOptions;
use crate::cluster::{ClusterError, PieceStore, Pieces};

/// Collects the events of a transaction behind its front.
pub(super) struct Spool {
    options: SpoolOptions,
    /// All of it while it is small; the piece in the making once it is not.
    bytes: Vec<u8>,
    /// Where in `bytes` the events begin.
    front: usize,
    /// Where in `bytes` a piece would end.
    cuts: Vec<usize>,
    file: Option<Spilled>,
}

/// What became of a transaction.
pub(super) enum Kept {
    /// Front and events.
    Memory(Vec<u8>),
    /// The front, and the events in pieces.
    Pieces(Vec<u8>, Pieces),
}

impl Spool {
    /// Begins with what stands before the events.
    pub fn new(options: &SpoolOptions, front: Vec<u8>) -> Spool {
        Spool {
            options: options.clone(),
            front: front.len(),
            bytes: front,
            cuts: Vec::new(),
            file: None,
        }
    }

    /// Where the next event is to be appended, of so many bytes.
    pub fn room(&mut self, len: usize) -> Result<&mut Vec<u8>, ClusterError> {
        let begin = match self.file {
            Some(_) => 0,
            None => self.cuts.last().copied().unwrap_or(self.front),
        };
        let cut = self.bytes.len() > begin && self.bytes.len() - begin + len > self.options.piece;
        match &mut self.file {
            Some(file) if cut => {
                file.add(&self.bytes)?;
                self.bytes.clear();
                // One huge event must not keep its memory.
                self.bytes.shrink_to(self.options.piece);
            }
            Some(_) => {}
            None => {
                if cut {
                    self.cuts.push(self.bytes.len());
                }
                if self.bytes.len() + len > self.options.memory {
                    self.spill()?;
                }
            }
        }
        Ok(&mut self.bytes)
    }

    /// Moves the events to a file, all but the piece in the making.
    fn spill(&mut self) -> Result<(), ClusterError> {
        let mut file = Spilled::begin(&self.options)?;
        let mut at = self.front;
        for cut in std::mem::take(&mut self.cuts) {
            file.add(self.bytes.get(at..cut).unwrap_or_default())?;
            at = cut;
        }
        let rest = self.bytes.split_off(at);
        self.bytes.truncate(self.front);
        file.front = std::mem::replace(&mut self.bytes, rest);
        file.front.shrink_to_fit();
        self.file = Some(file);
        Ok(())
    }

    /// The events are complete.
    pub fn finish(self) -> Result<Kept, ClusterError> {
        let Some(mut file) = self.file else {
            return Ok(Kept::Memory(self.bytes));
        };
        if !self.bytes.is_empty() {
            file.add(&self.bytes)?;
        }
        let front = std::mem::take(&mut file.front);
        Ok(Kept::Pieces(front, file.pieces()))
    }

    /// Only the front is wanted.
    pub fn front(mut self) -> Vec<u8> {
        match self.file {
            Some(file) => file.front,
            None => {
                self.bytes.truncate(self.front);
                self.bytes
            }
        }
    }
}

/// Pieces in a file.
pub(super) struct Spilled {
    file: File,
    front: Vec<u8>,
    /// Offset, length and checksum of each.
    pieces: Vec<(u64, usize, u64)>,
    end: u64,
    dir: String,
}

impl Spilled {
    /// A file without a name.
    pub fn begin(options: &SpoolOptions) -> Result<Spilled, ClusterError> {
        let dir = options.dir.display().to_string();
        let file = unnamed(&options.dir).map_err(|e| failed(&dir, e))?;
        Ok(Spilled {
            file,
            front: Vec::new(),
            pieces: Vec::new(),
            end: 0,
            dir,
        })
    }

    /// Appends a piece.
    pub fn add(&mut self, piece: &[u8]) -> Result<(), ClusterError> {
        self.file.write_all(piece).map_err(|e| failed(&self.dir, e))?;
        self.pieces.push((self.end, piece.len(), xxh3_64(piece)));
        self.end += piece.len() as u64;
        Ok(())
    }

    /// What was added.
    pub fn pieces(self) -> Pieces {
        Pieces::new(Arc::new(self))
    }
}

impl PieceStore for Spilled {
    fn count(&self) -> u64 {
        self.pieces.len() as u64
    }

    fn bytes(&self) -> u64 {
        self.end
    }

    fn read(&self, number: u64) -> Result<Vec<u8>, ClusterError> {
        let piece = usize::try_from(number).ok().and_then(|n| self.pieces.get(n));
        let damaged = |why: &str| ClusterError::Store {
            doing: format!("reading a large transaction back from a temporary file in {}", self.dir),
            source: why.into(),
        };
        let (at, len, sum) = piece.copied().ok_or_else(|| damaged("there is no such piece"))?;
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(|e| failed(&self.dir, e))?;
        match xxh3_64(&bytes) == sum {
            true => Ok(bytes),
            false => Err(damaged("it is not what was written: the disk or the memory is faulty")),
        }
    }
}

fn unnamed(dir: &Path) -> std::io::Result<File> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let path = dir.join(format!(".brine-{:016x}", u64::from_le_bytes(random)));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn failed(dir: &str, e: std::io::Error) -> ClusterError {
    ClusterError::Store {
        doing: format!(
            "keeping a transaction that is too large for memory in a temporary file in {dir}: there must be room for all of it"
        ),
        source: e.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(memory: usize, piece: usize) -> SpoolOptions {
        SpoolOptions {
            dir: std::env::temp_dir(),
            memory,
            piece,
        }
    }

    proptest! {
        #[test]
        fn events_come_back_whole_and_in_order(
            sizes in proptest::collection::vec(1_usize..40, 0..60),
            memory in 10_usize..600,
            piece in 1_usize..80,
        ) {
            let front = vec![255; 7];
            let mut spool = Spool::new(&options(memory, piece), front.clone());
            let events: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect();
            let mut largest = 0;
            for event in &events {
                spool.room(event.len()).unwrap().extend_from_slice(event);
                largest = largest.max(spool.bytes.len());
            }
            let all = events.concat();
            prop_assert!(largest <= memory.max(piece).max(40), "{largest} bytes in memory");
            match spool.finish().unwrap() {
                Kept::Memory(bytes) => {
                    prop_assert!(bytes.len() <= memory.max(front.len()));
                    prop_assert_eq!(bytes, [front, all].concat());
                }
                Kept::Pieces(kept, pieces) => {
                    prop_assert_eq!(kept, front);
                    prop_assert_eq!(pieces.bytes(), all.len() as u64);
                    let read: Vec<Vec<u8>> = (0..pieces.count()).map(|n| pieces.read(n).unwrap()).collect();
                    prop_assert!(pieces.read(pieces.count()).is_err());
                    prop_assert_eq!(read.concat(), all);
                    // Each piece is whole events.
                    let mut next = events.iter();
                    for piece_bytes in &read {
                        let mut rest = &piece_bytes[..];
                        let mut held = 0;
                        while !rest.is_empty() {
                            let event = next.next().unwrap();
                            rest = rest.strip_prefix(&event[..]).unwrap();
                            held += 1;
                        }
                        prop_assert!(piece_bytes.len() <= piece || held == 1);
                    }
                }
            }
        }
    }

    #[test]
    fn a_folder_without_room_is_named() {
        let options = SpoolOptions {
            dir: "/nowhere/at/all".into(),
            memory: 4,
            piece: 2,
        };
        let mut spool = Spool::new(&options, Vec::new());
        let error = spool.room(100).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all") && error.contains("room"), "{error}");
    }
}
