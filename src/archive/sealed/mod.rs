//! The container of every object: a sealed file.
//!
//! A header, frames, an end frame; the byte tables stand in [`super`]. The checksum of each frame covers the
//! header's hash and the frame's number, so a frame that was cut, swapped, repeated or taken from another
//! file is found. Sizes are limits, never allocations.

mod behind;
mod frame;
mod header;
mod reader;
mod writer;

pub(super) use behind::Sealing;
pub(super) use frame::{FrameKind, MAX_BATCH};
pub use header::ArchiveId;
pub(super) use header::{Form, ObjectKind, SALT_LEN, take};
pub(super) use reader::{SealedReader, open_bytes};
pub(super) use writer::{ByteSink, SealedWriter, seal_bytes};

/// How hard to compress: 0 not at all, 1 (the default) to 19.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(i32);

impl Level {
    /// Checks and wraps a level.
    pub fn new(level: i32) -> Option<Level> {
        (0..=19).contains(&level).then_some(Level(level))
    }

    /// The number.
    pub fn get(self) -> i32 {
        self.0
    }
}

impl Default for Level {
    fn default() -> Self {
        Level(1)
    }
}
