//! Reading a sealed file: nothing is handed over unchecked, and no size is believed.

use std::io::Cursor;

use zstd::bulk::Decompressor;

use crate::archive::error::ArchiveError;
use crate::storage::{ErrorKind, ObjectReader, StorageError};

use super::frame::{FRAME_HEAD, FrameHead, FrameKind, MAX_BATCH, frame_sum};
use super::header::{ArchiveId, HEADER_LEN, Header, ObjectKind, header_hash, take};

/// How much is read from storage at once, at first and at most: the header alone, then more and more, because many a
/// file is opened only for its beginning or its end.
const READ_AHEAD: (usize, usize) = (32 << 10, 1 << 20);

/// Reads one sealed file from its beginning.
pub(in crate::archive) struct SealedReader {
    object: Box<dyn ObjectReader>,
    name: String,
    header: Header,
    header_hash: u128,
    /// Where the frames end: the file's end, or its trailer.
    end: u64,
    /// Bytes read from storage but not yet used begin at `at` in `ahead`.
    ahead: Vec<u8>,
    at: usize,
    /// How much the next read takes at least.
    read_ahead: usize,
    /// Where in the file the next read from storage begins.
    next_read: u64,
    frames: u64,
    ended: bool,
    decompressor: Decompressor<'static>,
    /// Hash of all bytes that were used, where asked for.
    hasher: Option<blake3::Hasher>,
}

impl SealedReader {
    /// Opens a file whose last `trailer` bytes are not frames.
    pub(in crate::archive) fn open(
        object: Box<dyn ObjectReader>,
        name: &str,
        kind: ObjectKind,
        archive: ArchiveId,
        within: &str,
        trailer: u64,
    ) -> Result<Self, ArchiveError> {
        let len = object.len();
        let cut = || ArchiveError::corrupt(name, "it is cut: not even its header is whole");
        let end = len
            .checked_sub(trailer)
            .filter(|end| *end >= HEADER_LEN as u64)
            .ok_or_else(cut)?;
        let decompressor =
            Decompressor::new().map_err(|e| StorageError::new(ErrorKind::Other, "decompress", name).because(e))?;
        let mut reader = SealedReader {
            object,
            name: name.to_owned(),
            header: Header::new(
                kind.into(),
                super::header::Codec::None,
                archive,
                within,
                Default::default(),
                0,
            ),
            header_hash: 0,
            end,
            ahead: Vec::new(),
            at: 0,
            read_ahead: 0,
            next_read: 0,
            frames: 0,
            ended: false,
            decompressor,
            hasher: None,
        };
        let header = reader.take(HEADER_LEN)?.to_vec();
        reader.header = Header::decode(name, &header, kind, archive, within)?;
        reader.header_hash = header_hash(&header);
        Ok(reader)
    }

    /// Also hashes every byte, from the header on.
    pub(in crate::archive) fn hashing(mut self) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.header.encode());
        self.hasher = Some(hasher);
        self
    }

    pub(in crate::archive) fn header(&self) -> &Header {
        &self.header
    }

    pub(in crate::archive) fn header_hash(&self) -> u128 {
        self.header_hash
    }

    /// Goes on at another frame: for an index at the end of the file.
    pub(in crate::archive) fn seek(&mut self, offset: u64, frame: u64) {
        self.ahead.clear();
        self.at = 0;
        self.next_read = offset;
        self.frames = frame;
    }

    /// The next batch of at most `max` bytes, or `None` behind the end frame.
    pub(in crate::archive) fn next(&mut self, max: usize) -> Result<Option<(FrameKind, Vec<u8>)>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        let mut batch = Vec::new();
        let max = max.min(MAX_BATCH);
        let first = self.frame(&mut batch, max)?;
        if first.kind == FrameKind::End {
            return self.end().map(|()| None);
        }
        let mut head = first;
        while head.continued {
            head = self.frame(&mut batch, max)?;
            if head.kind != first.kind {
                return Err(self.corrupt("a batch goes on in a frame of another kind"));
            }
        }
        Ok(Some((first.kind, batch)))
    }

    /// Reads one frame and appends its raw bytes to `batch`.
    fn frame(&mut self, batch: &mut Vec<u8>, max: usize) -> Result<FrameHead, ArchiveError> {
        let number = self.frames;
        let head_bytes = self.take(FRAME_HEAD)?;
        let (encoded, sum) = (take::<12>(head_bytes, 0), take::<16>(head_bytes, 12));
        let (Some(encoded), Some(sum)) = (encoded, sum) else {
            return Err(self.corrupt("a frame is cut"));
        };
        let head = FrameHead::decode(encoded).map_err(|why| self.corrupt(why))?;
        if batch.len() + head.raw_len as usize > max {
            return Err(self.corrupt(&format!("a batch has more than {max} bytes")));
        }
        let header_hash = self.header_hash;
        let stored = self.take(head.stored_len as usize)?;
        if frame_sum(header_hash, number, &encoded, stored) != sum {
            return Err(self.corrupt(&format!("the checksum of frame {number} is wrong")));
        }
        self.frames += 1;
        self.unpack(&head, batch)?;
        Ok(head)
    }

    /// Decompresses the stored bytes that were taken last.
    fn unpack(&mut self, head: &FrameHead, batch: &mut Vec<u8>) -> Result<(), ArchiveError> {
        let start = self.at - head.stored_len as usize;
        let stored = self.ahead.get(start..self.at).unwrap_or_default();
        if head.stored || head.raw_len == 0 {
            batch.extend_from_slice(stored);
            return Ok(());
        }
        let (before, raw_len) = (batch.len(), head.raw_len as usize);
        // One frame at most, 4 MiB: growing by what was really read keeps a lying file from costing memory.
        batch.reserve(raw_len);
        let mut room = Cursor::new(batch);
        room.set_position(before as u64);
        match self.decompressor.decompress_to_buffer(stored, &mut room) {
            Ok(len) if len == raw_len => Ok(()),
            Ok(_) => Err(self.corrupt("a frame is not as long as it claims")),
            Err(e) => Err(self.corrupt(&format!("a frame cannot be decompressed: {e}"))),
        }
    }

    /// Checks that nothing follows the end frame.
    fn end(&mut self) -> Result<(), ArchiveError> {
        self.ended = true;
        let used = self.next_read - (self.ahead.len() - self.at) as u64;
        if used != self.end {
            return Err(self.corrupt("bytes follow its end"));
        }
        Ok(())
    }

    /// The hash of the whole file, once its end was reached.
    pub(in crate::archive) fn hash(&self) -> Option<String> {
        let hasher = self.hasher.as_ref().filter(|_| self.ended)?;
        Some(hasher.finalize().to_hex().to_string())
    }

    /// The next `len` bytes of the file.
    fn take(&mut self, len: usize) -> Result<&[u8], ArchiveError> {
        if self.ahead.len() - self.at < len {
            self.refill(len)?;
        }
        let start = self.at;
        self.at += len;
        let taken = self.ahead.get(start..self.at).unwrap_or_default();
        if let Some(hasher) = &mut self.hasher {
            hasher.update(taken);
        }
        Ok(taken)
    }

    fn refill(&mut self, len: usize) -> Result<(), ArchiveError> {
        self.ahead.drain(..self.at);
        self.at = 0;
        let left = self.end.saturating_sub(self.next_read);
        let missing = len - self.ahead.len();
        if (missing as u64) > left {
            return Err(ArchiveError::corrupt(&self.name, "it is cut"));
        }
        let want = left.min(missing.max(self.read_ahead) as u64) as usize;
        let read = self.object.read_at(self.next_read, want)?;
        if read.len() != want {
            return Err(self.corrupt("the storage gave fewer bytes than it has"));
        }
        self.next_read += want as u64;
        let (least, most) = READ_AHEAD;
        self.read_ahead = (self.read_ahead * 4).clamp(least, most);
        if self.ahead.is_empty() {
            self.ahead = read;
        } else {
            self.ahead.extend_from_slice(&read);
        }
        Ok(())
    }

    pub(in crate::archive) fn corrupt(&self, why: &str) -> ArchiveError {
        ArchiveError::corrupt(&self.name, why)
    }
}

/// Bytes that are in memory already.
struct Bytes(Vec<u8>);

impl ObjectReader for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let start = usize::try_from(offset).ok();
        let part = start.and_then(|start| self.0.get(start..start.checked_add(len)?));
        part.map(<[u8]>::to_vec)
            .ok_or_else(|| StorageError::new(ErrorKind::Corrupt, "read", "bytes"))
    }
}

/// Opens a small sealed file of one batch; gives the batch and the epoch of its writer.
pub(in crate::archive) fn open_bytes(
    bytes: Vec<u8>,
    name: &str,
    kind: ObjectKind,
    archive: ArchiveId,
    within: &str,
    max: usize,
) -> Result<(Vec<u8>, u64), ArchiveError> {
    let mut file = SealedReader::open(Box::new(Bytes(bytes)), name, kind, archive, within, 0)?;
    let epoch = file.header().epoch;
    let Some((FrameKind::Payload, batch)) = file.next(max)? else {
        return Err(file.corrupt("it holds no document"));
    };
    if file.next(max)?.is_some() {
        return Err(file.corrupt("it holds more than one document"));
    }
    Ok((batch, epoch))
}
