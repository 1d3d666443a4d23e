//! The archive and its storages, from outside.

// Helpers of tests may fail as tests do; clippy allows it only inside `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "archive/conformance.rs"]
mod conformance;
#[path = "archive/env.rs"]
mod env;
#[path = "archive/fixtures.rs"]
mod fixtures;
#[path = "archive/format.rs"]
mod format;
#[path = "archive/local.rs"]
mod local;
#[path = "archive/lock.rs"]
mod lock;
#[path = "archive/log.rs"]
mod log;
#[path = "archive/pieces.rs"]
mod pieces;
#[path = "archive/retry.rs"]
mod retry;
#[path = "archive/snapshots.rs"]
mod snapshots;
