//! The verbs, each a pure plan and a run.
//!
//! A verb gets a cluster, an archive with its lock, and a [`cx::JobCx`] (cancel, counters, clock, job log,
//! resume log). Planning looks at values and returns a value; running takes that very plan, checks its
//! assumptions again and stops with "drifted" rather than adapt.
//!
//! *Invariants: nothing here names config, clap, ratatui or a file path; no driver is named; a verb that fails
//! before its publishing step has changed nothing that is visible.*

pub mod adopt;
pub mod backup;
pub mod changes;
pub mod cx;
pub mod delete;
pub mod error;
pub mod incarnation;
mod interrupt;
pub mod log;
pub mod lookup;
pub mod point;
pub mod restore;
pub mod retention;
pub mod scope;
pub mod truncate;
pub mod verify;
pub mod view;
