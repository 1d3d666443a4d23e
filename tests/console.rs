//! The console as a black box: a scripted desk on one side, keys and pictures on the other.

// A test may panic, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "console/accessible.rs"]
mod accessible;
#[path = "console/assets.rs"]
mod assets;
#[path = "console/commands.rs"]
mod commands;
#[path = "console/dump.rs"]
mod dump;
#[path = "console/forms.rs"]
mod forms;
#[path = "console/fuzz.rs"]
mod fuzz;
#[path = "console/harness.rs"]
mod harness;
#[path = "console/panes.rs"]
mod panes;
#[path = "console/pictures.rs"]
mod pictures;
#[path = "console/pty.rs"]
mod pty;
#[path = "console/states.rs"]
mod states;
#[path = "console/svg.rs"]
mod svg;
#[path = "console/walks.rs"]
mod walks;
#[path = "console/world.rs"]
mod world;
