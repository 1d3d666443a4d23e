//! The verbs, each a pure plan and a run.

pub mod point;
pub mod restore;
