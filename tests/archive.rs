//! The archive and its storages, from outside.

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
#[path = "archive/retry.rs"]
mod retry;
#[path = "archive/snapshots.rs"]
mod snapshots;
