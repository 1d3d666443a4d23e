//! Writing a sealed file, frame by frame.

use std::io::Cursor;

use zstd::bulk::Compressor;

use crate::archive::error::ArchiveError;
use crate::storage::{ErrorKind, ObjectWriter, StorageError};

use super::Level;
use super::frame::{FRAME_HEAD, FrameHead, FrameKind, MAX_BATCH, MAX_FRAME, frame_sum};
use super::header::{ArchiveId, Codec, Form, Header, ObjectKind, SALT_LEN, header_hash};

/// Where the bytes of a sealed file go.
pub(in crate::archive) trait ByteSink {
    fn push(&mut self, bytes: &[u8]) -> Result<(), StorageError>;
}

impl ByteSink for Vec<u8> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl ByteSink for Box<dyn ObjectWriter> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.write(bytes)
    }
}

/// Writes one sealed file.
pub(in crate::archive) struct SealedWriter<S: ByteSink> {
    sink: S,
    header_hash: u128,
    frames: u64,
    written: u64,
    compressor: Option<Compressor<'static>>,
    /// Head and stored bytes of the frame in the making; kept to save allocations.
    frame: Vec<u8>,
}

impl<S: ByteSink> SealedWriter<S> {
    /// Starts a file: writes its header.
    pub(in crate::archive) fn new(
        mut sink: S,
        form: impl Into<Form>,
        archive: ArchiveId,
        within: &str,
        salt: [u8; SALT_LEN],
        epoch: u64,
        level: Level,
    ) -> Result<Self, ArchiveError> {
        let (codec, compressor) = match level.get() {
            0 => (Codec::None, None),
            n => (
                Codec::Zstd,
                Some(Compressor::new(n).map_err(|e| codec_error(within, e))?),
            ),
        };
        let header = Header::new(form.into(), codec, archive, within, salt, epoch).encode();
        sink.push(&header)?;
        Ok(SealedWriter {
            sink,
            header_hash: header_hash(&header),
            frames: 0,
            written: header.len() as u64,
            compressor,
            frame: Vec::new(),
        })
    }

    /// Writes one batch, in as many frames as it needs.
    pub(in crate::archive) fn put(&mut self, kind: FrameKind, batch: &[u8]) -> Result<(), ArchiveError> {
        if batch.len() > MAX_BATCH {
            return Err(ArchiveError::Unfit {
                what: "a batch",
                why: format!("it has {} bytes, more than {MAX_BATCH}", batch.len()),
            });
        }
        let mut parts = batch.chunks(MAX_FRAME).peekable();
        if parts.peek().is_none() {
            return self.put_frame(kind, false, &[], false);
        }
        while let Some(part) = parts.next() {
            self.put_frame(kind, parts.peek().is_some(), part, true)?;
        }
        Ok(())
    }

    /// Writes one frame of at most [`MAX_FRAME`] bytes uncompressed, so that its size is known beforehand.
    pub(in crate::archive) fn put_plain(&mut self, kind: FrameKind, raw: &[u8]) -> Result<(), ArchiveError> {
        if raw.len() > MAX_FRAME {
            let why = format!("it has {} bytes, more than {MAX_FRAME}", raw.len());
            return Err(ArchiveError::Unfit { what: "a summary", why });
        }
        self.put_frame(kind, false, raw, false)
    }

    fn put_frame(&mut self, kind: FrameKind, continued: bool, raw: &[u8], squeeze: bool) -> Result<(), ArchiveError> {
        self.frame.clear();
        self.frame.resize(FRAME_HEAD, 0);
        let stored = !(squeeze && self.compress(raw)?);
        if stored {
            self.frame.truncate(FRAME_HEAD);
            self.frame.extend_from_slice(raw);
        }
        let head = FrameHead {
            kind,
            continued,
            stored,
            raw_len: raw.len() as u32,
            stored_len: (self.frame.len() - FRAME_HEAD) as u32,
        }
        .encode();
        let payload = self.frame.get(FRAME_HEAD..).unwrap_or_default();
        let sum = frame_sum(self.header_hash, self.frames, &head, payload);
        let head = head.into_iter().chain(sum);
        self.frame.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        self.sink.push(&self.frame)?;
        self.frames += 1;
        self.written += self.frame.len() as u64;
        Ok(())
    }

    /// Appends the compressed bytes to the frame; false when that would not make them fewer.
    fn compress(&mut self, raw: &[u8]) -> Result<bool, ArchiveError> {
        let Some(compressor) = &mut self.compressor else {
            return Ok(false);
        };
        if raw.len() < 16 {
            return Ok(false);
        }
        // Behind the head, into memory that nobody had to fill with zeros first.
        self.frame.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        let mut room = Cursor::new(&mut self.frame);
        room.set_position(FRAME_HEAD as u64);
        let len = compressor
            .compress_to_buffer(raw, &mut room)
            .map_err(|e| codec_error("a frame", e))?;
        Ok(len < raw.len())
    }

    /// Bytes written so far.
    pub(in crate::archive) fn written(&self) -> u64 {
        self.written
    }

    /// Frames written so far: the number of the next one.
    pub(in crate::archive) fn frames(&self) -> u64 {
        self.frames
    }

    /// The hash that binds what stands outside the frames to this file.
    pub(in crate::archive) fn header_hash(&self) -> u128 {
        self.header_hash
    }

    /// Writes the end frame and gives the sink back.
    pub(in crate::archive) fn finish(mut self) -> Result<(S, u64), ArchiveError> {
        self.put_frame(FrameKind::End, false, &[], false)?;
        Ok((self.sink, self.written))
    }
}

/// A small sealed file of one batch, in memory.
pub(in crate::archive) fn seal_bytes(
    kind: ObjectKind,
    archive: ArchiveId,
    within: &str,
    salt: [u8; SALT_LEN],
    epoch: u64,
    batch: &[u8],
) -> Result<Vec<u8>, ArchiveError> {
    let mut file = SealedWriter::new(Vec::new(), kind, archive, within, salt, epoch, Level::default())?;
    file.put(FrameKind::Payload, batch)?;
    Ok(file.finish()?.0)
}

fn codec_error(object: &str, cause: std::io::Error) -> ArchiveError {
    StorageError::new(ErrorKind::Other, "compress", object)
        .because(cause)
        .into()
}
