//! The engine, from outside: every verb on an embedded cluster and an archive in memory or in a directory.

#[path = "engine/env.rs"]
mod env;
#[path = "engine/moments.rs"]
mod moments;
