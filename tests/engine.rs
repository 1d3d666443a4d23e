//! The engine, from outside: every verb on an embedded cluster and an archive in memory or in a directory.
//!
//! `BRINE_TEST_CASES=<n>` gives the property tests more cases; with `BRINE_TEST_ALL` set, faults, kills and damage are
//! tried in every place instead of a selection.

// Helpers of tests may fail as tests do; clippy allows it only inside `#[test]` functions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

#[path = "engine/cancel.rs"]
mod cancel;
#[path = "engine/changes.rs"]
mod changes;
#[path = "engine/crash.rs"]
mod crash;
#[path = "engine/damage.rs"]
mod damage;
#[path = "engine/env.rs"]
mod env;
#[path = "engine/failing.rs"]
mod failing;
#[path = "engine/faults.rs"]
mod faults;
#[path = "engine/histories.rs"]
mod histories;
#[path = "engine/meanwhile.rs"]
mod meanwhile;
#[path = "engine/moments.rs"]
mod moments;
#[path = "engine/refusals.rs"]
mod refusals;
#[path = "engine/retention.rs"]
mod retention;
#[path = "engine/verbs.rs"]
mod verbs;
