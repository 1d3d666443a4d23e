//! The command line from outside: the real binary, each test in directories of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "cli/env.rs"]
mod env;
#[path = "cli/full_disk.rs"]
mod full_disk;
#[path = "cli/jobs.rs"]
mod jobs;
#[path = "cli/json.rs"]
mod json;
#[path = "cli/killed.rs"]
mod killed;
#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/small_disk.rs"]
mod small_disk;
#[path = "cli/story.rs"]
mod story;
#[path = "cli/terminal.rs"]
mod terminal;
