//! Pieces that several screens share: the window bar, states as words, tables, progress.

pub mod bar;
pub mod month;
pub mod pick;
pub mod progress;
pub mod spark;
pub mod status;
pub mod table;
