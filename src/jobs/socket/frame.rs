//! Frames: four bytes of length, most significant first, then that many bytes of JSON.
//!
//! *Invariant: memory grows with what has arrived, not with what a header promises.*

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame.
pub(super) const MAX_FRAME: u32 = 16 * 1024 * 1024;

/// A stream on which nothing lasts longer than until the deadline.
struct Timed<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            Ok(left)
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buf).map_err(as_timeout)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(buf).map_err(as_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The system says "would block" when a timeout of a socket has passed.
fn as_timeout(e: io::Error) -> io::Error {
    match e.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => e,
    }
}

/// Waits without end for a frame to begin, then for `patience` until it is there; `None` when the other side
/// has hung up.
pub(super) fn next<T: DeserializeOwned>(stream: &UnixStream, patience: Duration) -> io::Result<Option<T>> {
    stream.set_read_timeout(None)?;
    let mut first = [0u8];
    let n = loop {
        match (&*stream).read(&mut first) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if n == 0 {
        return Ok(None);
    }
    let mut timed = Timed {
        stream,
        deadline: Instant::now() + patience,
    };
    let [b0] = first;
    let mut rest = [0u8; 3];
    timed.read_exact(&mut rest)?;
    let [b1, b2, b3] = rest;
    body(&mut timed, u32::from_be_bytes([b0, b1, b2, b3])).map(Some)
}

/// Reads a frame that must be there within `patience`.
pub(super) fn read<T: DeserializeOwned>(stream: &UnixStream, patience: Duration) -> io::Result<T> {
    let mut timed = Timed {
        stream,
        deadline: Instant::now() + patience,
    };
    let mut header = [0u8; 4];
    timed.read_exact(&mut header)?;
    body(&mut timed, u32::from_be_bytes(header))
}

fn body<T: DeserializeOwned>(from: &mut impl Read, len: u32) -> io::Result<T> {
    if len > MAX_FRAME {
        return Err(too_long(u64::from(len)));
    }
    let mut bytes = Vec::new();
    from.take(u64::from(len)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != u64::from(len) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&bytes).map_err(io::Error::from)
}

/// Writes a frame within `patience`.
pub(super) fn write<T: Serialize>(stream: &UnixStream, value: &T, patience: Duration) -> io::Result<()> {
    let mut bytes = vec![0u8; 4];
    serde_json::to_writer(&mut bytes, value)?;
    let len = bytes.len() - 4;
    let header = u32::try_from(len)
        .ok()
        .filter(|n| *n <= MAX_FRAME)
        .ok_or_else(|| too_long(len as u64))?;
    bytes.splice(..4, header.to_be_bytes());
    Timed {
        stream,
        deadline: Instant::now() + patience,
    }
    .write_all(&bytes)
}

fn too_long(len: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a frame of {len} bytes is too long (at most {MAX_FRAME})"),
    )
}
