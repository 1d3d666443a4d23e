//! What goes wrong on a connection.

use crate::cluster::{ClusterError, Stop};

/// An error of a connection.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It could not be made.
    #[error("{address} cannot be used: {why}; {hint}")]
    Connect {
        /// host:port or socket.
        address: String,
        /// Why.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The server answered with an error.
    #[error("the server says {code} ({state}): {message}")]
    Server {
        /// Its error number.
        code: u16,
        /// Its SQLSTATE.
        state: String,
        /// Its words.
        message: String,
    },
    /// The connection was lost.
    #[error("the connection to {address} was lost")]
    Lost {
        /// host:port or socket.
        address: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// What came is not what the protocol allows here.
    #[error("the server's answer was not understood: {0}")]
    Protocol(String),
    /// The taker of rows stopped.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl WireError {
    /// The server's error number, if it is one.
    pub fn code(&self) -> Option<u16> {
        match self {
            WireError::Server { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// As an error of the cluster, with what was being done.
    pub fn doing(self, doing: impl Into<String>) -> ClusterError {
        let doing = doing.into();
        match self {
            WireError::Connect { address, why, hint } => ClusterError::Connect { address, why, hint },
            WireError::Server { code, state, message } => ClusterError::Server {
                doing,
                code,
                state,
                message,
                hint: String::new(),
            },
            WireError::Stopped(stop) => ClusterError::Stopped(stop),
            other => ClusterError::Store {
                doing,
                source: Box::new(other),
            },
        }
    }
}
