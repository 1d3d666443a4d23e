//! MySQL and MariaDB servers.
//!
//! Reading downwards: [`cluster`] is the driver; [`core`] what its parts share; [`snapshot`] and [`restore`] are the two
//! ends of a backup; [`binlog`] reads the change log and [`clock`] dates it; [`schema`] reads definitions; [`sql`]
//! understands as much of a statement as a rename needs; [`fence`] keeps applications out, with [`sessions`] and [`prepared`]; [`check`] says what a server
//! lacks; [`wire`] is the only folder that knows the protocol.
//!
//! **Moments.** These servers stamp a transaction with its statement's start, in seconds, and a session can forge it. So
//! every archived transaction gets a timestamp of our own, a [`crate::model::tso::Tso`] used as a hybrid logical clock: its
//! stamp, raised above its predecessor's and above every moment that was given away before (a checkpoint, a snapshot).
//! The same number therefore orders transactions, snapshots and checkpoints of one archive; see [`clock`].
//!
//! **Records.** A snapshot record is a row as the server sent it in a text result: a length (u32, little endian), then
//! the columns as length-encoded strings, NULL as `0xFB`. A log record is described in [`binlog::payload`].
//!
//! *Invariants: nothing is decoded that need not be. A row is never changed on its way. Passwords appear in no error.*

mod authentication;
mod before;
mod case;
mod check;
mod clock;
mod cluster;
mod codec;
mod control;
mod core;
mod facts;
mod fence;
mod login;

mod options;
mod prepared;
mod sessions;
mod spool;
mod text;

pub mod binlog;
pub mod gtid;
pub mod restore;
pub mod schema;
pub mod snapshot;
pub mod sql;
pub mod sums;
pub mod wire;

use super::Codec;

pub use check::{Finding, Severity};
pub use cluster::MysqlCluster;
pub use options::{Endpoint, MysqlOptions, Password, SpoolOptions, TlsMode, TlsOptions};

/// The codec of these servers' records.
pub fn codec() -> &'static dyn Codec {
    &codec::MysqlCodec
}

/// The database that brine keeps its own few tables in, on servers that it restores into.
pub const OWN_DB: &str = "_brine";
/// What the databases of an unfinished restore begin with. Everything in such a database is left out of backups.
pub const SHADOW_PREFIX: &str = "_brine_";
