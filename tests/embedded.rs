//! The embedded cluster, from outside: what an application and the engine may rely on.

#[path = "embedded/basics.rs"]
mod basics;
#[path = "embedded/env.rs"]
mod env;
#[path = "embedded/log.rs"]
mod log;
#[path = "embedded/restore.rs"]
mod restore;
