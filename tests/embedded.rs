//! The embedded cluster, from outside: what an application and the engine may rely on.

// A test's helpers fail as the test does.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "embedded/basics.rs"]
mod basics;
#[path = "embedded/crash.rs"]
mod crash;
#[path = "embedded/env.rs"]
mod env;
#[path = "embedded/log.rs"]
mod log;
#[path = "embedded/model.rs"]
mod model;
#[path = "embedded/restore.rs"]
mod restore;
