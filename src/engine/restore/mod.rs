//! Restore: from a snapshot or to any point in time; beside, into another cluster, or in place.
//!
//! [`planner`] makes a [`plan::RestorePlan`]; [`run`] runs that very plan. What is built is invisible until
//! its checksums agree and it is published.

mod advice;
mod base;
mod earlier;
mod load;
mod new_names;
pub mod plan;
pub mod planner;
mod preflight;
mod resolve;
pub mod run;
mod stays;
pub mod way_back;
