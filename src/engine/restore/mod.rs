//! Restore: from a snapshot or to any point in time.

pub mod plan;
