//! The frames of a sealed file.

use xxhash_rust::xxh3::Xxh3;

use super::header::take;

pub(super) const FRAME_HEAD: usize = 28;
/// The most uncompressed bytes of one frame.
pub(in crate::archive) const MAX_FRAME: usize = 4 << 20;
/// The most uncompressed bytes of a batch, which may span frames.
pub(in crate::archive) const MAX_BATCH: usize = (1 << 30) + (16 << 20);

const CONTINUED: u8 = 1;
const STORED: u8 = 2;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive) enum FrameKind {
    /// The end of the file.
    End = 0,
    /// What the file is for: rows, log entries, tables, a document.
    Payload = 1,
    /// The summary of a manifest.
    Summary = 2,
    /// The index of a segment.
    Index = 3,
}

/// The head of a frame, without its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: FrameKind,
    /// The batch goes on in the next frame.
    pub(super) continued: bool,
    /// Not compressed.
    pub(super) stored: bool,
    pub(super) raw_len: u32,
    pub(super) stored_len: u32,
}

impl FrameHead {
    /// The 12 bytes before the checksum.
    pub(super) fn encode(&self) -> [u8; 12] {
        let flags = if self.continued { CONTINUED } else { 0 } | if self.stored { STORED } else { 0 };
        let [a, b, c, d] = self.raw_len.to_le_bytes();
        let [e, f, g, h] = self.stored_len.to_le_bytes();
        [self.kind as u8, flags, 0, 0, a, b, c, d, e, f, g, h]
    }

    /// Reads a head; says what is impossible about it.
    pub(super) fn decode(bytes: [u8; 12]) -> Result<FrameHead, &'static str> {
        let [kind, flags, r1, r2, ..] = bytes;
        let kind = match kind {
            0 => FrameKind::End,
            1 => FrameKind::Payload,
            2 => FrameKind::Summary,
            3 => FrameKind::Index,
            _ => return Err("a frame is of an unknown kind"),
        };
        if flags & !(CONTINUED | STORED) != 0 || r1 != 0 || r2 != 0 {
            return Err("a frame has unknown flags");
        }
        let len = |at| take(&bytes, at).map(u32::from_le_bytes).unwrap_or(u32::MAX);
        let head = FrameHead {
            kind,
            continued: flags & CONTINUED != 0,
            stored: flags & STORED != 0,
            raw_len: len(4),
            stored_len: len(8),
        };
        head.check()
    }

    fn check(self) -> Result<FrameHead, &'static str> {
        if self.raw_len as usize > MAX_FRAME || self.stored_len > self.raw_len {
            return Err("a frame claims an impossible size");
        }
        if self.stored && self.stored_len != self.raw_len {
            return Err("an uncompressed frame has two sizes");
        }
        if self.kind == FrameKind::End && (self.continued || self.raw_len != 0) {
            return Err("the end frame is not empty");
        }
        Ok(self)
    }
}

/// The checksum of a frame: over the header's hash, the frame's number, its head and its stored bytes.
pub(super) fn frame_sum(header_hash: u128, number: u64, head: &[u8; 12], stored: &[u8]) -> [u8; 16] {
    let mut sum = Xxh3::new();
    sum.update(&header_hash.to_le_bytes());
    sum.update(&number.to_le_bytes());
    sum.update(head);
    sum.update(stored);
    sum.digest128().to_le_bytes()
}
