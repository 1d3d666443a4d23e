//! Stories on the embedded cluster, used by `brine demo`, the tests and the pictures.
//!
//! The demo's past is made by the real engine under an injected clock: real commits, real snapshots, real log segments,
//! a real gap. Then the clock goes live and traffic begins.

mod clock;
mod history;
mod leftovers;
mod stage;

pub use clock::DemoClock;
pub use history::{Story, tell};
pub use stage::{DemoOptions, Stage};
