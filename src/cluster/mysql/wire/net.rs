//! A socket.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A connected socket.
pub(super) enum Net {
    /// Plain TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Net {
    /// How long one read and one write may wait; `None` for ever.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        // A zero would be an error, and means "at once" here.
        let timeout = timeout.map(|t| t.max(Duration::from_millis(1)));
        match self {
            Net::Tcp(s) => s.set_read_timeout(timeout).and_then(|()| s.set_write_timeout(timeout)),
            Net::Unix(s) => s.set_read_timeout(timeout).and_then(|()| s.set_write_timeout(timeout)),
        }
    }

    /// Ends it in both directions.
    pub fn shut(&self) {
        // A connection that is gone already cannot be shut, and need not be.
        let _ = match self {
            Net::Tcp(s) => s.shutdown(Shutdown::Both),
            Net::Unix(s) => s.shutdown(Shutdown::Both),
        };
    }

    /// Whether nobody else can read or change what is sent.
    pub fn is_private(&self) -> bool {
        matches!(self, Net::Unix(_))
    }
}

impl Read for Net {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Net::Tcp(s) => s.read(buf),
            Net::Unix(s) => s.read(buf),
        }
    }
}

impl Write for Net {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Net::Tcp(s) => s.write(buf),
            Net::Unix(s) => s.write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Net::Tcp(s) => s.write_vectored(bufs),
            Net::Unix(s) => s.write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Net::Tcp(s) => s.flush(),
            Net::Unix(s) => s.flush(),
        }
    }
}
