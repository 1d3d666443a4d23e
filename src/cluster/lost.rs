//! Telling a lost connection from a database that says no.

use std::io::ErrorKind;

use super::ClusterError;

/// The server shuts down, or an administrator ended the statement or the connection.
const ENDED: [u16; 4] = [1053, 1317, 1927, 3169];

/// What an operating system says of a connection that is gone.
const GONE: [ErrorKind; 7] = [
    ErrorKind::UnexpectedEof,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::ConnectionRefused,
    ErrorKind::NotConnected,
    ErrorKind::BrokenPipe,
    ErrorKind::TimedOut,
];

impl ClusterError {
    /// Whether the way to the cluster broke, or none could be found, so that the same may go well a little later.
    pub fn is_lost_connection(&self) -> bool {
        match self {
            ClusterError::Connect { .. } => true,
            ClusterError::Server { code, .. } => ENDED.contains(code),
            ClusterError::Store { source, .. } => {
                let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**source);
                while let Some(e) = cause {
                    if e.downcast_ref::<std::io::Error>()
                        .is_some_and(|e| GONE.contains(&e.kind()))
                    {
                        return true;
                    }
                    cause = e.source();
                }
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_lost_connection() {
        let store = |kind: ErrorKind| ClusterError::Store {
            doing: "reading".to_owned(),
            source: Box::new(std::io::Error::from(kind)),
        };
        assert!(store(ErrorKind::UnexpectedEof).is_lost_connection());
        assert!(!store(ErrorKind::StorageFull).is_lost_connection());
        let server = |code| ClusterError::Server {
            doing: String::new(),
            code,
            state: String::new(),
            message: String::new(),
            hint: String::new(),
        };
        assert!(server(1927).is_lost_connection());
        assert!(!server(1045).is_lost_connection());
    }
}
