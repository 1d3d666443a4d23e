//! The control socket: how other processes of the same user reach the holder of the lease.
//!
//! A Unix socket in the state directory carries frames (`frame.rs`): a greeting each way with the protocol's
//! version, then questions and answers as JSON. What they mean is the service's matter.
//!
//! *Invariants: only processes of our user (or root) get an answer; a socket file is replaced only under the
//! lease; no frame is longer than 16 MiB and none keeps a thread waiting once it has begun.*

mod client;
mod frame;
mod place;
mod server;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use client::Client;
pub use server::{Handler, Server};

/// The version of what is spoken; raised when a client of one version must not talk to a server of another.
pub const PROTOCOL: u32 = 1;

/// Why a question had no answer, or the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nobody listens.
    #[error("no brine is at work in {}", state_dir.display())]
    NobodyThere {
        /// The state directory.
        state_dir: PathBuf,
    },
    /// The other side speaks another protocol.
    #[error(
        "the brine at work here (process {pid}) is version {theirs} and speaks another protocol than this one \
         ({ours}): use the same version, or stop it first"
    )]
    Mismatch {
        /// Its process.
        pid: u32,
        /// Its version.
        theirs: String,
        /// Our version.
        ours: &'static str,
    },
    /// The other side does not want to talk.
    #[error("the brine at work here did not accept the connection: {0}")]
    Refused(String),
    /// The socket belongs to another user.
    #[error("the control socket {} belongs to another user (uid {uid})", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// The user.
        uid: u32,
    },
    /// No answer in time; it is not known whether the request was carried out.
    #[error("the brine at work here did not answer in time; it may still carry the request out")]
    TimedOut,
    /// The connection broke; it is not known whether the request was carried out.
    #[error("the connection to the brine at work here broke while {doing}")]
    Broken {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket could not be made.
    #[error("the control socket {} could not be {doing}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The handler's own error.
    #[error("the brine at work here answered with an error")]
    Answered(Value),
}

/// The first frame of each side.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Greeting {
    /// The protocol.
    brine: u32,
    version: String,
    pid: u32,
    /// Why the server hangs up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl Greeting {
    fn ours() -> Greeting {
        Greeting {
            brine: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            refused: None,
        }
    }
}

/// The frame after a question.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(Value),
    Err(Value),
}

#[cfg(test)]
mod tests;
