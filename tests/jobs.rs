//! Jobs across processes: kill -9, a full disk, a fight for the lease, umask, leaving the terminal.
//!
//! The other processes are this very test binary, started with a role (see `role.rs`).

#[path = "jobs/detach.rs"]
mod detach;
#[path = "jobs/journal.rs"]
mod journal;
#[path = "jobs/lease.rs"]
mod lease;
#[path = "jobs/role.rs"]
mod role;
