//! Jobs across processes: kill -9, a full disk, a fight for the lease, umask, leaving the terminal.
//!
//! The other processes are this very test binary, started with a role (see `role.rs`).

// Helpers of tests are not in test functions, where clippy would let them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

#[path = "jobs/detach.rs"]
mod detach;
#[path = "jobs/journal.rs"]
mod journal;
#[path = "jobs/lease.rs"]
mod lease;
#[path = "jobs/role.rs"]
mod role;
