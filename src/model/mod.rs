//! The vocabulary as plain values: ids, moments, positions, backups, windows, filters, sizes.
//!
//! Everything here is a value without behaviour that could fail from outside: no I/O, no locks, no
//! clock (the [`clock::Clock`] trait is handed in). Every other folder speaks in these words.
//!
//! *Invariant: `model` uses nothing else of ours.*

pub mod backup;
pub mod checksum;
pub mod clock;
pub mod crash;
pub mod definition;
pub mod disk;
pub mod filter;
pub mod ids;
pub mod job;
pub mod log;
pub mod position;
pub mod settings;
pub mod size;
pub mod table;
pub mod text;
pub mod time;
pub mod tso;
pub mod window;
pub mod word;
