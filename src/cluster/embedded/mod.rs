//! The embedded cluster: a transactional multi-version table store in a directory, in this process.
//!
//! ```text
//! <dir>/store/       the key-value engine's files
//! <dir>/high-water   the last commit known to be durable, written by other means than the store's
//! <dir>/holder       which process has it open
//! <dir>/spill/       sorted runs of running restores
//! ```
//!
//! Reading downwards: [`session`] and [`txn`] are what applications use; [`commit`] writes their batches;
//! [`changes`] streams the log; [`snapshot`] and [`restore`] are the two ends of a backup; [`history`],
//! [`gc`] and [`trim`] decide what is kept; [`catalog`], [`scan`], [`keys`], [`record`] and [`wire`] know
//! the bytes; [`store`] is the only file that names the engine.
//!
//! *Invariants: an acknowledged commit is on disk. A read at a timestamp sees exactly the commits at or
//! before it. Timestamps never go back. A store that lost commits is refused, not opened.*

mod catalog;
mod changes;
mod cluster;
mod commit;
mod core;
mod door;
mod estimates;
mod gc;
mod guard;
mod history;
mod keys;
mod open;
mod parallel;
mod recent;
mod record;
mod restore;
mod scan;
mod session;
mod snapshot;
mod store;
mod trim;
mod tso;
mod txn;
mod wire;

use std::path::Path;

use super::Codec;

pub use cluster::EmbeddedCluster;
pub use gc::GcReport;
pub use open::Options;
pub use session::{Found, Session};
pub use txn::Transaction;

/// The codec of embedded clusters' records.
pub fn codec() -> &'static dyn Codec {
    &wire::EmbeddedCodec
}

/// Creates a directory that only its owner may enter.
fn private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
