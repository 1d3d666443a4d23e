//! The client side of the protocol: connections, text results as raw rows, bulk execution, LOAD DATA LOCAL, binlog dumps.
//!
//! *Invariant: a [`Conn`] that gave an I/O or protocol error is not used again.*

mod conn;
mod error;

pub use conn::{Conn, Done, Flavor, Row, ServerInfo, Version};
pub use error::WireError;
