//! Reading a stretch of log: a thread reads, checks and decompresses ahead; memory is bounded.

use std::collections::VecDeque;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use crate::archive::{Archive, ArchiveError, Result};
use crate::model::log::LogRun;
use crate::model::position::Moment;

use super::chain::ChainHash;
use super::entry::{OwnedEntry, Read};
use super::names::SegmentName;
use super::plan::{RunWalk, broken_by, is_after, is_within};
use super::reader::SegmentReader;

/// Behind so many bytes at once, nothing is read ahead: a part of a transaction may have a GiB.
const LARGE: usize = 8 << 20;

/// What the thread hands over: entries, none where it only waits until the last ones were used, or the end.
type Batch = Result<Option<Vec<Read>>>;

/// How often a segment that vanished is looked for again: compaction may have replaced it.
const LOOKS: u32 = 3;

/// The entries of a stretch of log, in order. An error is the last answer.
pub struct LogReader {
    batches: Option<Receiver<Batch>>,
    ready: VecDeque<Read>,
    /// Pieces of the entry given last that were not read yet.
    due: u64,
    thread: Option<JoinHandle<()>>,
}

impl LogReader {
    /// The next entry, or `None` at the verified end. Pieces of the one before that were not read are passed over.
    #[allow(clippy::should_implement_trait)] // an iterator could be read on after an error
    pub fn next(&mut self) -> Result<Option<OwnedEntry>> {
        self.due = 0;
        while let Some(read) = self.next_read()? {
            if let Read::Entry(entry) = read {
                self.due = entry.pieces;
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The next piece of the entry given last, or `None` behind its last.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        if self.due == 0 {
            return Ok(None);
        }
        self.due -= 1;
        match self.next_read()? {
            Some(Read::Piece(_, piece)) => Ok(Some(piece)),
            // The segment's reader has counted them.
            _ => Err(ArchiveError::Thread {
                doing: "read the log",
                source: std::io::Error::other("it lost pieces of a transaction"),
            }),
        }
    }

    fn next_read(&mut self) -> Result<Option<Read>> {
        loop {
            if let Some(read) = self.ready.pop_front() {
                return Ok(Some(read));
            }
            let Some(batches) = &self.batches else { return Ok(None) };
            match batches.recv() {
                Ok(Ok(None)) => self.batches = None,
                Ok(Ok(Some(batch))) => self.ready = batch.into(),
                Ok(Err(e)) => {
                    self.batches = None;
                    return Err(e);
                }
                // The thread says when it has come to the end; one that just stops must not look like an end.
                Err(_) => {
                    self.batches = None;
                    return Err(ArchiveError::Thread {
                        doing: "read the log",
                        source: std::io::Error::other("it stopped before the end"),
                    });
                }
            }
        }
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked was reported by `next`.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Feed {
    archive: Archive,
    walk: RunWalk,
    from: Moment,
    until: Moment,
    chain: Option<ChainHash>,
    good: Moment,
    out: Sender<Batch>,
}

/// The reader was dropped.
struct Gone;

impl Feed {
    fn run(mut self) {
        let last = loop {
            match self.segment() {
                Ok(Some(Ok(()))) => {}
                Ok(Some(Err(Gone))) => return,
                Ok(None) => break Ok(None),
                Err(e) => break Err(e),
            }
        };
        // Nobody to tell is no error.
        let _ = self.out.send(last);
    }

    /// Hands over one segment; `None` when there is no more.
    fn segment(&mut self) -> Result<Option<std::result::Result<(), Gone>>> {
        let Some((name, mut reader)) = self.open()? else {
            return Ok(None);
        };
        self.walk.check_info(reader.info(), self.chain)?;
        if let Some(chain) = self.chain {
            reader.skip_to(chain);
        }
        let broken = |e| broken_by(e, &name, self.good);
        while let Some(mut batch) = reader.next_batch().map_err(broken)? {
            batch.retain(|read| is_after(read.commit(), self.from) && is_within(read.commit(), self.until));
            let bytes: usize = batch.iter().map(Read::len).sum();
            if !batch.is_empty() && self.out.send(Ok(Some(batch))).is_err() {
                return Ok(Some(Err(Gone)));
            }
            if bytes > LARGE && self.out.send(Ok(Some(Vec::new()))).is_err() {
                return Ok(Some(Err(Gone)));
            }
        }
        self.chain = Some(reader.info().last_hash);
        self.good = name.to;
        self.walk.passed();
        Ok(Some(Ok(())))
    }

    /// Opens the next segment; one that was compacted away since it was listed is found in its new place.
    fn open(&mut self) -> Result<Option<(SegmentName, SegmentReader)>> {
        let mut looks = 0;
        loop {
            let before = self.walk.previous();
            let Some(name) = self.walk.next()? else { return Ok(None) };
            match self.archive.segment_reader(&name) {
                Ok(reader) => return Ok(Some((name, reader))),
                Err(ArchiveError::Missing { .. }) if looks < LOOKS => {
                    looks += 1;
                    self.walk.step_back(before);
                    self.walk.restart(&name)?;
                }
                Err(e) => return Err(broken_by(e, &name, self.good)),
            }
        }
    }
}

impl Archive {
    /// Reads the entries of a run after `from` up to and including `until`. Everything is checked on the way, as by
    /// [`Archive::check_log`], and the bytes too.
    pub fn read_log(&self, run: &LogRun, from: Moment, until: Moment) -> Result<LogReader> {
        let walk = RunWalk::new(self, run, from, until)?;
        // One batch is read while one is used.
        let (out, batches) = crossbeam_channel::bounded(0);
        let feed = Feed {
            archive: self.clone(),
            walk,
            from,
            until,
            chain: None,
            good: from,
            out,
        };
        let thread = std::thread::Builder::new()
            .name("archive-log".to_owned())
            .spawn(move || feed.run());
        let thread = thread.map_err(|source| ArchiveError::Thread {
            doing: "read the log",
            source,
        })?;
        Ok(LogReader {
            batches: Some(batches),
            ready: VecDeque::new(),
            due: 0,
            thread: Some(thread),
        })
    }
}
