//! MySQL and MariaDB, with real servers: what is backed up comes back, to the byte, at every moment.
//!
//! The servers are fetched by `tests/servers/get`; a server that is not there fails the tests. Each test has servers of
//! its own, in memory where the system has such a place, and what they hold is looked at through the servers' own clients,
//! not through brine's. `BRINE_TEST_CASES=<n>` gives random tests more cases,
//! `BRINE_TEST_SEED=<n>` others.

// Helpers of tests may fail as tests do; clippy allows it only inside `#[test]` functions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

#[path = "mysql/accounts.rs"]
mod accounts;
#[path = "mysql/adopt.rs"]
mod adopt;
#[path = "mysql/charsets.rs"]
mod charsets;
#[path = "mysql/client.rs"]
mod client;
#[path = "mysql/closing.rs"]
mod closing;
#[path = "mysql/computed.rs"]
mod computed;
#[path = "mysql/crash.rs"]
mod crash;
#[path = "mysql/dataset.rs"]
mod dataset;
#[path = "mysql/direct.rs"]
mod direct;
#[path = "mysql/disturbed.rs"]
mod disturbed;
#[path = "mysql/edges.rs"]
mod edges;
#[path = "mysql/fidelity.rs"]
mod fidelity;
#[path = "mysql/following.rs"]
mod following;
#[path = "mysql/globals.rs"]
mod globals;
#[path = "mysql/grouped.rs"]
mod grouped;
#[path = "mysql/killed.rs"]
mod killed;
#[path = "mysql/lacking.rs"]
mod lacking;
#[path = "mysql/large.rs"]
mod large;
#[path = "mysql/late_commit.rs"]
mod late_commit;
#[path = "mysql/linking.rs"]
mod linking;
#[path = "mysql/log.rs"]
mod log;
#[path = "mysql/look.rs"]
mod look;
#[path = "mysql/meanwhile.rs"]
mod meanwhile;
#[path = "mysql/outside.rs"]
mod outside;
#[path = "mysql/own_directories.rs"]
mod own_directories;
#[path = "mysql/peers.rs"]
mod peers;
#[path = "mysql/places.rs"]
mod places;
#[path = "mysql/privileges.rs"]
mod privileges;
#[path = "mysql/publish.rs"]
mod publish;
#[path = "mysql/replay.rs"]
mod replay;
#[path = "mysql/reset.rs"]
mod reset;
#[path = "mysql/restless.rs"]
mod restless;
#[path = "mysql/restore.rs"]
mod restore;
#[path = "mysql/semisync.rs"]
mod semisync;
#[path = "mysql/server.rs"]
mod server;
#[path = "mysql/servers.rs"]
mod servers;
#[path = "cli/small_disk.rs"]
mod small_disk;
#[path = "mysql/snapshot.rs"]
mod snapshot;
#[path = "mysql/source.rs"]
mod source;
#[path = "mysql/story.rs"]
mod story;
#[path = "mysql/switch.rs"]
mod switch;
#[path = "mysql/views.rs"]
mod views;
#[path = "mysql/wire.rs"]
mod wire;
#[path = "mysql/world.rs"]
mod world;
#[path = "mysql/xa.rs"]
mod xa;
#[path = "mysql/xa_killed.rs"]
mod xa_killed;
#[path = "mysql/zones.rs"]
mod zones;
