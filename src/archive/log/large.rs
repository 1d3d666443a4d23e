//! A segment of one transaction that is too large for memory: it goes to storage piece by piece.
//!
//! A segment's name tells where the chain stands behind it, so the pieces are read twice: hashed first, then written.

use crate::model::crash::crash_point;
use crate::model::position::Moment;
use crate::storage::{ErrorKind, ObjectInfo, ObjectName, ObjectWriter};

use crate::archive::lock::ArchiveLock;
use crate::archive::sealed::{Level, SealedWriter};
use crate::archive::{Archive, ArchiveError, Result};

use super::chain::ChainHash;
use super::entry::{Entry, EntryHead, Role, opening};
use super::segment::{Contents, Facts, SegmentEnd, SegmentInfo, SegmentStart, bound_name};
use super::writer::EntryWriter;

/// A segment whose pieces are hashed.
pub struct LargeSegment {
    archive: Archive,
    start: SegmentStart,
    commit: Moment,
    id: String,
    payload: Vec<u8>,
    pieces: u64,
    hashed: u64,
    chain: ChainHash,
    raw_bytes: u64,
}

impl LargeSegment {
    /// Hashes the next piece.
    pub fn hash(&mut self, piece: &[u8]) -> Result<()> {
        let entry = Entry {
            commit: self.commit,
            id: "",
            payload: piece,
        };
        self.hashed += 1;
        self.follow(Role::Piece, entry)
    }

    fn follow(&mut self, role: Role, entry: Entry<'_>) -> Result<()> {
        let head = EntryHead::of(role, &entry)?;
        self.chain = self.chain.after(&head, entry.id.as_bytes(), entry.payload);
        self.raw_bytes += head.len() as u64;
        Ok(())
    }

    /// Starts writing, once all pieces are hashed.
    pub fn write(self, lock: &ArchiveLock, level: Level, end: SegmentEnd) -> Result<LargeWriter> {
        if self.hashed != self.pieces || self.pieces == 0 {
            return Err(ArchiveError::Unfit {
                what: "a segment",
                why: "its transaction does not have as many pieces as it was said to have".to_owned(),
            });
        }
        let archive = self.archive;
        let contents = Contents {
            last: Some(self.commit),
            last_hash: self.chain,
            entries: 1,
            raw_bytes: self.raw_bytes,
            pieces: self.pieces,
        };
        let facts = Facts::of(self.start, end, contents)?;
        let object = archive.segment_object(&facts)?;
        let within = bound_name(facts.first_seq);
        let (form, salt, epoch) = (facts.form(), crate::archive::salt()?, lock.epoch());
        let sink = archive.store().create(&object)?;
        let file = SealedWriter::new(sink, form, archive.id(), &within, salt, epoch, level)?;
        let mut entries = EntryWriter::new(file, facts.prev_hash);
        let entry = Entry {
            commit: self.commit,
            id: &self.id,
            payload: &self.payload,
        };
        entries.open(entry, self.pieces)?;
        Ok(LargeWriter {
            archive,
            facts,
            object,
            entries,
        })
    }
}

/// A segment whose pieces are written. Dropping it without `finish` leaves nothing.
pub struct LargeWriter {
    archive: Archive,
    facts: Facts,
    object: ObjectName,
    entries: EntryWriter<Box<dyn ObjectWriter>>,
}

impl LargeWriter {
    /// Appends the next piece, the same that was hashed.
    pub fn put(&mut self, piece: &[u8]) -> Result<()> {
        self.entries.piece(piece)
    }

    /// Publishes the segment. Publishing the same one again, after a crash, is no error.
    pub fn finish(self, lock: &ArchiveLock) -> Result<SegmentInfo> {
        if self.entries.chain() != self.facts.last_hash {
            return Err(ArchiveError::Unfit {
                what: "a transaction",
                why: "its pieces are not the same when they are read again".to_owned(),
            });
        }
        let (sink, size) = self.entries.finish(&self.facts)?;
        self.archive.guard(lock)?;
        crash_point("archive.segment.before");
        let name = self.object;
        let info = self.facts.into_info(ObjectInfo { name, size })?;
        match sink.finish() {
            Ok(()) => {}
            Err(e) if e.kind == ErrorKind::Exists => return self.archive.same_segment(info),
            Err(e) => return Err(e.into()),
        }
        crash_point("archive.segment.after");
        Ok(info)
    }
}

impl Archive {
    /// Begins a segment of one transaction in so many pieces; `entry` is its opening.
    pub fn large_segment(&self, start: SegmentStart, entry: Entry<'_>, pieces: u64) -> Result<LargeSegment> {
        let mut segment = LargeSegment {
            archive: self.clone(),
            commit: entry.commit,
            id: entry.id.to_owned(),
            payload: entry.payload.to_vec(),
            pieces,
            hashed: 0,
            chain: start.prev_hash,
            raw_bytes: 0,
            start,
        };
        let payload = &opening(pieces, entry.payload);
        segment.follow(Role::Opening, Entry { payload, ..entry })?;
        Ok(segment)
    }
}
