//! The desk of one process, asked as console and commands ask it: guards, clusters that do not answer, schedules.

// Helpers of tests are not in test functions, where clippy would let them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "service/adopt.rs"]
mod adopt;
#[path = "service/env.rs"]
mod env;
#[path = "service/guards.rs"]
mod guards;
#[path = "service/meanwhile.rs"]
mod meanwhile;
#[path = "service/servers.rs"]
mod servers;
#[path = "service/work.rs"]
mod work;
