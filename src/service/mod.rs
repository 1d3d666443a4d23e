//! What a user can ask for, shared by `cli` and `tui`: questions, actions, guards, health.
//!
//! A [`Desk`](desk::Desk) answers questions. The desk of this process works on the clusters itself; a desk behind the
//! control socket passes every question on to the process that holds the runner lease. Both speak in
//! the same values, so the console and the commands cannot tell them apart.

mod acts;
mod astray;
mod backups;
mod clusters;
mod data;
mod database;
pub mod desk;
mod health;
mod history;
pub mod host;
mod keeper;
pub mod local;
mod log_control;
pub mod opening;
mod pages;
mod refusal;
pub mod remote;
mod scratch;
pub mod shop;
mod storages;
mod traffic;
pub mod ward;
pub mod wards;
mod watch;
mod work;

pub use acts::overwrites;
