//! The engine, from outside: every verb on an embedded cluster and an archive in memory or in a directory.

#[path = "engine/cancel.rs"]
mod cancel;
#[path = "engine/changes.rs"]
mod changes;
#[path = "engine/crash.rs"]
mod crash;
#[path = "engine/damage.rs"]
mod damage;
#[path = "engine/env.rs"]
mod env;
#[path = "engine/faults.rs"]
mod faults;
#[path = "engine/histories.rs"]
mod histories;
#[path = "engine/moments.rs"]
mod moments;
#[path = "engine/refusals.rs"]
mod refusals;
#[path = "engine/retention.rs"]
mod retention;
#[path = "engine/verbs.rs"]
mod verbs;
