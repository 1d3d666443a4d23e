//! The archived log: segments, chained by hash over their entries.
//!
//! A segment's name tells its numbers, its moments and where the chain stands before and after it, so that gaps,
//! foreign and missing segments are seen without reading them. A compacted segment stands beside the small ones it
//! replaces until those are deleted; readers prefer it.

mod chain;
mod compact;
mod entry;
mod large;
mod names;
mod plan;
mod reader;
mod segment;
mod stream;
mod walk;
mod writer;

pub use chain::ChainHash;
pub use entry::{Entry, OwnedEntry};
pub use large::{LargeSegment, LargeWriter};
pub use names::SegmentName;
pub use plan::LogPlan;
pub use reader::SegmentReader;
pub use segment::{SegmentEnd, SegmentIndex, SegmentInfo, SegmentStart, TableActivity};
pub use stream::LogReader;
pub use walk::Segments;
pub use writer::SegmentWriter;
