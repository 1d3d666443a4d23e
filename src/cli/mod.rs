//! Words in; lines or JSON out.

pub mod args;
pub mod exit;
pub mod manual;
pub mod output;
