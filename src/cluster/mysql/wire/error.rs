//! What goes wrong on a connection.

use crate::cluster::{ClusterError, Stop};
use crate::model::disk;

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
                hint: hint(code, &message),
                code,
                state,
                message,
            },
            WireError::Stopped(stop) => ClusterError::Stopped(stop),
            other => ClusterError::Store {
                doing,
                source: Box::new(other),
            },
        }
    }
}

/// What to do about an error of a server, beginning with a separator; empty where it has to speak for itself.
fn hint(code: u16, message: &str) -> String {
    match code {
        // Access denied; you need (at least one of) the SUPER, BINLOG ADMIN privilege(s) for this operation
        1227 => {
            let named = message
                .split_once("the ")
                .and_then(|(_, rest)| rest.split_once(" privilege"));
            let named = named.map_or("what it asks for", |(names, _)| names);
            let more = match named.contains(',') || named.contains(" or ") {
                true => " (one of them is enough)",
                false => "",
            };
            format!("; GRANT {named} ON *.* TO brine's account{more}: `brine cluster check` lists all that it lacks")
        }
        1044 | 1045 | 1142 | 1143 | 1370 => {
            "; `brine cluster check` lists the privileges that are missing, with the GRANT for each".to_owned()
        }
        // The disk, or a tablespace that may not grow.
        1021 | 1114 | 3675 => format!("; the server's disk is full: {}", disk::FREE_SPACE),
        _ => match disk::advice(message) {
            Some(advice) => format!("; {advice}"),
            None => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_mended_is_said_with_how() {
        let says = |code, message: &str, words: &str| {
            let given = hint(code, message);
            assert!(given.contains(words), "{given}");
        };
        let denied = |names: &str| {
            format!("Access denied; you need (at least one of) the {names} privilege(s) for this operation")
        };
        says(
            1227,
            &denied("REPLICATION SLAVE"),
            "GRANT REPLICATION SLAVE ON *.* TO brine's account:",
        );
        says(1227, &denied("SUPER, BINLOG ADMIN"), "(one of them is enough)");
        says(1114, "The table 't' is full", "free some space there");
        says(
            3675,
            "Create table/tablespace 'restores' failed, as disk is full",
            "free some space there",
        );
        says(
            3,
            "Error writing file './d/t.ibd' (Errcode: 28 \"No space left on device\")",
            "free some space there",
        );
        assert_eq!(hint(1064, "You have an error in your SQL syntax"), "");
    }
}
