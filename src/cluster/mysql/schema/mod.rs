//! Definitions of tables and of everything else, as the server shows them.

pub mod accounts;
pub(in crate::cluster::mysql) mod create;
pub mod definition;
pub mod generated;
pub mod history;
pub mod identity;
pub mod literals;
mod misprint;
pub mod programs;
pub mod select;
pub mod table;
pub mod tables;
mod views;
pub mod zone;
