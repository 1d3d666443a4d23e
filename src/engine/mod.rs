//! The verbs, each a pure plan and a run.
//!
//! *Invariant: the engine gets a cluster, an archive and a [`cx::JobCx`]; it never sees config, a terminal or
//! an operator's file path.*

pub mod cx;
pub mod point;
pub mod restore;
