//! A socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::sockopt;

use super::tls::TlsStream;

/// A connected socket.
pub(super) enum Net {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream>),
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
            Net::Tls(s) => (s.sock.set_read_timeout(timeout)).and_then(|()| s.sock.set_write_timeout(timeout)),
            Net::Unix(s) => s.set_read_timeout(timeout).and_then(|()| s.set_write_timeout(timeout)),
        }
    }

    /// Ends it in both directions.
    pub fn shut(&self) {
        // A connection that is gone already cannot be shut, and need not be.
        let _ = match self {
            Net::Tcp(s) => s.shutdown(Shutdown::Both),
            Net::Tls(s) => s.sock.shutdown(Shutdown::Both),
            Net::Unix(s) => s.shutdown(Shutdown::Both),
        };
    }

    /// What ends it from another thread.
    pub fn latch(&self) -> io::Result<Latch> {
        match self {
            Net::Tcp(s) => s.try_clone().map(Latch::Tcp),
            Net::Tls(s) => s.sock.try_clone().map(Latch::Tcp),
            Net::Unix(s) => s.try_clone().map(Latch::Unix),
        }
    }
}

/// Another hold on a socket, which can only end it.
pub(super) enum Latch {
    /// Of TCP, with or without TLS.
    Tcp(TcpStream),
    /// Of a Unix socket.
    Unix(UnixStream),
}

impl Latch {
    /// Ends it in both directions, as [`Net::shut`].
    pub fn shut(&self) {
        let _ = match self {
            Latch::Tcp(s) => s.shutdown(Shutdown::Both),
            Latch::Unix(s) => s.shutdown(Shutdown::Both),
        };
    }
}

/// No waiting for more to send, and a host that is gone is noticed within a minute even when nothing is sent.
pub(super) fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(20))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(socket, 60_000)?;
    Ok(())
}

impl Read for Net {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Net::Tcp(s) => s.read(buf),
            Net::Tls(s) => s.read(buf),
            Net::Unix(s) => s.read(buf),
        }
    }
}

impl Write for Net {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Net::Tcp(s) => s.write(buf),
            Net::Tls(s) => s.write(buf),
            Net::Unix(s) => s.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Net::Tcp(s) => s.flush(),
            Net::Tls(s) => s.flush(),
            Net::Unix(s) => s.flush(),
        }
    }
}
