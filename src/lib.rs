//! brine: the Backup and Restore IN-process Engine.
//!
//! # Bird's-eye view
//!
//! ```text
//! data:     cluster -> engine -> archive -> storage          a restore runs the same road back
//! control:  cli | tui -> service -> jobs -> engine
//! values:   everyone -> model -> nothing of ours
//! ```
//!
//! An operator asks through the command line or the console; both speak to `service`, which answers
//! questions and starts jobs; a job runs one verb of the engine; the engine moves bytes between a cluster
//! and an archive, and the archive puts them on a storage.
//!
//! # The folders, and which way they look
//!
//! A module uses only what stands to its left:
//! `model < config < storage < archive, cluster < engine < jobs < service < cli, tui < demo < main`.
//!
//! * [`model`]: the vocabulary as plain values.
//! * [`config`]: what the operator wrote: TOML, defaults, environment, flags; where files live.
//! * [`storage`]: names to bytes; a local directory and memory, with wrappers for limits and faults.
//! * [`archive`]: the format, and the only place that knows bytes on storage.
//! * [`cluster`]: the databases: one trait with capabilities, and its drivers.
//! * [`engine`]: the verbs, each a pure plan and a run.
//! * [`jobs`]: running verbs: queue, states, progress, journal, schedule, lease, control socket.
//! * [`service`]: what a user can ask for, shared by `cli` and `tui`.
//! * [`cli`]: words in; lines or JSON out.
//! * [`tui`]: the console.
//! * [`demo`]: stories on the embedded cluster.
//!
//! # What must never be
//!
//! * The engine never sees config, clap, ratatui or an operator's file path.
//! * Only `archive` knows bytes on storage; only `storage` knows where names lead.
//! * A backup exists when its manifest exists; data and manifests are never patched.
//! * Nothing reads the system's clock but [`model::clock::SystemClock`].
//! * Secrets never reach a log, a screen or `ps`; foreign text goes through [`model::text::safe`].
//!
//! `tests/layers.rs` reads the `use` lines and keeps the directions true.

pub mod archive;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod engine;
pub mod jobs;
pub mod model;
pub mod service;
pub mod storage;
pub mod tui;
