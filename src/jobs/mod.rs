//! Running verbs: queue, states, progress, journal, schedule, lease, control socket.
//!
//! ```text
//! lease    one runner per state directory
//! journal  what happened, in SQLite, fenced by the lease's epoch
//! runner   queue, threads, cancel, resume; live progress merged with the journal
//! schedule when a daily backup is due
//! socket   how other processes reach the runner
//! detach   carrying on without the terminal
//! ```
//!
//! *Invariants: only the holder of the lease writes the journal; a state changes only as [`state`] allows; no
//! job is ever stuck "running" after its process has died; nothing secret reaches the journal.*

pub mod detach;
pub mod error;
pub mod journal;
pub mod lease;
pub mod priority;
pub mod progress;
pub mod runner;
pub mod schedule;
pub mod socket;
pub mod state;
