//! The client side of the protocol: connections, text results as raw rows, bulk execution, LOAD DATA LOCAL, binlog dumps.
//!
//! Reading upwards: [`net`] is a socket, plain or encrypted; [`packet`] cuts it into packets; [`parse`] and [`answer`] read
//! what is in a packet; [`connect`] makes a connection with
//! [`handshake`], [`tls`] and [`auth`]; [`conn`] is what the rest of the driver uses, with [`rows`], [`statement`],
//! [`local`] and [`dump`] for the special roads and [`kill`] to end a statement from outside. [`refusal`] explains why a connection could not be made.
//!
//! *Invariants: a [`Conn`] that gave an I/O or protocol error is not used again, and refuses. No length that comes from the
//! wire is allocated before its bytes came. No password is in an error.*

mod answer;
mod auth;
mod conn;
mod connect;
mod dump;
mod error;
mod gtid_set;
mod handshake;
mod kill;
mod local;
mod net;
mod packet;
mod parse;
mod refusal;
mod rows;
mod rsa;
mod semisync;
mod sign;
mod statement;
mod tls;

pub use conn::{Conn, Done, Flavor, Row, ServerInfo, Version};
pub use dump::{Dump, DumpRequest, DumpStart};
pub use error::WireError;
pub use kill::Killer;
pub use statement::{ParamType, Statement};

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
pub(in crate::cluster::mysql) mod scripted;
