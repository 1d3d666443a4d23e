//! Writing a segment. It is kept in memory, compressed, until it is finished: its name tells where it ends.

use crate::model::crash::crash_point;
use crate::model::position::Moment;
use crate::storage::{ErrorKind, ObjectInfo, ObjectName};

use crate::archive::lock::ArchiveLock;
use crate::archive::sealed::{ByteSink, FrameKind, Level, ObjectKind, SealedWriter, Sealing};
use crate::archive::{Archive, ArchiveError, Result};

use super::chain::ChainHash;
use super::entry::{Entry, EntryHead, Role, opening};
use super::names::{SegmentName, day_of};
use super::segment::{Contents, Facts, SegmentEnd, SegmentInfo, SegmentStart, bound_name, encode_trailer};

/// Entries are collected to batches of about this size.
const BATCH: usize = 1 << 20;

/// Appends entries to a sealed file and keeps the chain.
pub(super) struct EntryWriter<S: ByteSink> {
    file: Sealing<S>,
    batch: Vec<u8>,
    chain: ChainHash,
    last: Option<Moment>,
    entries: u64,
    raw_bytes: u64,
    pieces: u64,
    /// Pieces that are still to come of the last transaction.
    due: u64,
}

/// The error when a transaction does not have as many pieces as were announced.
fn uneven() -> ArchiveError {
    ArchiveError::Unfit {
        what: "a transaction",
        why: "it does not have as many pieces as it was said to have".to_owned(),
    }
}

impl<S: ByteSink + Send + 'static> EntryWriter<S> {
    pub(super) fn new(file: SealedWriter<S>, prev: ChainHash) -> Self {
        EntryWriter {
            file: Sealing::new(file),
            batch: Vec::new(),
            chain: prev,
            last: None,
            entries: 0,
            raw_bytes: 0,
            pieces: 0,
            due: 0,
        }
    }

    pub(super) fn put(&mut self, entry: Entry<'_>) -> Result<()> {
        self.append(Role::Whole, entry)?;
        self.entries += 1;
        Ok(())
    }

    /// Begins a transaction of so many pieces.
    pub(super) fn open(&mut self, entry: Entry<'_>, pieces: u64) -> Result<()> {
        let payload = &opening(pieces, entry.payload);
        self.append(Role::Opening, Entry { payload, ..entry })?;
        self.entries += 1;
        self.due = pieces;
        Ok(())
    }

    /// The next piece of the transaction that was begun.
    pub(super) fn piece(&mut self, payload: &[u8]) -> Result<()> {
        let (Some(commit), Some(due)) = (self.last, self.due.checked_sub(1)) else {
            return Err(uneven());
        };
        self.due = 0;
        self.append(
            Role::Piece,
            Entry {
                commit,
                id: "",
                payload,
            },
        )?;
        self.due = due;
        self.pieces += 1;
        Ok(())
    }

    fn append(&mut self, role: Role, entry: Entry<'_>) -> Result<()> {
        let head = EntryHead::of(role, &entry)?;
        if self.due > 0 {
            return Err(uneven());
        }
        if self.last.is_some_and(|last| last.last_tso() > entry.commit.last_tso()) {
            return Err(ArchiveError::Unfit {
                what: "a transaction",
                why: format!("{} committed before its predecessor in the log", entry.id),
            });
        }
        if !self.batch.is_empty() && self.batch.len() + head.len() > BATCH {
            self.file.put(&mut self.batch)?;
        }
        if head.len() > BATCH {
            self.batch.reserve_exact(head.len());
        }
        self.batch.extend_from_slice(&head.encode());
        self.batch.extend_from_slice(entry.id.as_bytes());
        self.batch.extend_from_slice(entry.payload);
        self.chain = self.chain.after(&head, entry.id.as_bytes(), entry.payload);
        self.last = Some(entry.commit);
        self.raw_bytes += head.len() as u64;
        match self.batch.len() >= BATCH {
            true => self.file.put(&mut self.batch),
            false => Ok(()),
        }
    }

    /// Writes index, end and trailer; gives the sink back.
    pub(super) fn finish(self, facts: &Facts) -> Result<(S, u64)> {
        if self.due > 0 {
            return Err(uneven());
        }
        let mut file = self.file.finish()?;
        if !self.batch.is_empty() {
            file.put(FrameKind::Payload, &self.batch)?;
        }
        let json = serde_json::to_vec(facts).map_err(|e| ArchiveError::Unfit {
            what: "the index of a segment",
            why: e.to_string(),
        })?;
        let trailer = encode_trailer(file.header_hash(), file.written(), file.frames());
        file.put(FrameKind::Index, &json)?;
        let (mut sink, written) = file.finish()?;
        sink.push(&trailer)?;
        Ok((sink, written + trailer.len() as u64))
    }

    /// What was written so far.
    fn contents(&self) -> Contents {
        Contents {
            last: self.last,
            last_hash: self.chain,
            entries: self.entries,
            raw_bytes: self.raw_bytes,
            pieces: self.pieces,
        }
    }

    pub(super) fn chain(&self) -> ChainHash {
        self.chain
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    pub(super) fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }
}

/// Writes one segment. Dropping it without `finish` leaves nothing.
pub struct SegmentWriter {
    archive: Archive,
    start: SegmentStart,
    entries: EntryWriter<Vec<u8>>,
}

impl SegmentWriter {
    /// Appends one transaction, in commit order.
    pub fn put(&mut self, entry: Entry<'_>) -> Result<()> {
        self.entries.put(entry)
    }

    /// Bytes of the entries so far.
    pub fn raw_bytes(&self) -> u64 {
        self.entries.raw_bytes()
    }

    /// Entries so far.
    pub fn entries(&self) -> u64 {
        self.entries.entries()
    }

    /// Where the chain stands after the entries so far.
    pub fn hash(&self) -> ChainHash {
        self.entries.chain()
    }

    /// Publishes the segment. Publishing the same one again, after a crash, is no error.
    pub fn finish(self, lock: &ArchiveLock, end: SegmentEnd) -> Result<SegmentInfo> {
        let SegmentWriter {
            archive,
            start,
            entries,
        } = self;
        let facts = Facts::of(start, end, entries.contents())?;
        let name = archive.segment_object(&facts)?;
        let (bytes, _) = entries.finish(&facts)?;
        archive.guard(lock)?;
        crash_point("archive.segment.before");
        let size = bytes.len() as u64;
        let info = facts.into_info(ObjectInfo {
            name: name.clone(),
            size,
        })?;
        match archive.store().put_new(&name, &bytes) {
            Ok(()) => {}
            Err(e) if e.kind == ErrorKind::Exists => return archive.same_segment(info),
            Err(e) => return Err(e.into()),
        }
        crash_point("archive.segment.after");
        Ok(info)
    }
}

impl Archive {
    /// Starts a segment.
    pub fn segment_writer(&self, lock: &ArchiveLock, start: SegmentStart, level: Level) -> Result<SegmentWriter> {
        let within = bound_name(start.seq);
        let (kind, salt, epoch) = (ObjectKind::Segment, crate::archive::salt()?, lock.epoch());
        let file = SealedWriter::new(Vec::new(), kind, self.id(), &within, salt, epoch, level)?;
        Ok(SegmentWriter {
            archive: self.clone(),
            entries: EntryWriter::new(file, start.prev_hash),
            start,
        })
    }

    pub(super) fn segment_object(&self, facts: &Facts) -> Result<ObjectName> {
        Ok(self
            .layout()
            .log_day(&day_of(facts.to))?
            .object(&SegmentName::file_of(facts))?)
    }

    /// Checks that the segment that is there already holds the same entries.
    pub(super) fn same_segment(&self, mine: SegmentInfo) -> Result<SegmentInfo> {
        let mut name = mine.name.clone();
        name.size = self.store().size(&name.object)?.unwrap_or_default();
        let there = self.segment_index(&name)?;
        let same = there.prev_hash == mine.prev_hash
            && there.last_hash == mine.last_hash
            && there.to_position == mine.to_position
            && there.entries == mine.entries;
        if same {
            return Ok(there);
        }
        Err(ArchiveError::Misplaced {
            object: name.object.to_string(),
            why: "another segment has its name".to_owned(),
        })
    }

    /// Deletes a segment. No error when it is gone already.
    pub fn delete_segment(&self, lock: &ArchiveLock, name: &SegmentName) -> Result<()> {
        self.guard(lock)?;
        Ok(self.store().delete(&name.object)?)
    }
}
