//! Packets on a socket: a 3-byte length, a sequence number, the payload; 16 MiB - 1 and more come in continued packets.
//!
//! *Invariants: the sequence of every packet is checked. What arrived and was not taken stays in the buffer, so a read that
//! timed out can be repeated. A payload grows with the bytes that came, never by its announced length.*

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::net::Net;
use super::tls::TlsStream;
use super::{WireError, answer};

/// The length that says: another packet continues this one.
pub(super) const CONTINUED: usize = 0xFF_FFFF;
/// The longest payload: what the protocol's `max_allowed_packet` can be, and a little for the command.
pub(super) const LONGEST: usize = (1 << 30) + (1 << 16);
/// The read buffer; the batches of a stream are parts of it.
const BUFFER: usize = 1 << 20;
/// ER_NET_PACKET_TOO_LARGE.
const TOO_LONG: u16 = 1153;
/// For so long a server's last words are waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// What is written is collected up to here.
const COLLECT: usize = 64 << 10;

/// A server that does not answer this often is gone.
const FAILURES: u32 = 3;
/// The longest pause between two looks at a silent server.
const PAUSE: Duration = Duration::from_secs(60);

/// Takes whole snapshot records and their number.
pub(super) type TakeRecords<'a> = dyn FnMut(&[u8], u64) -> Result<(), WireError> + 'a;
/// Tells whether the server lives.
pub(super) type Watch = Box<dyn Fn() -> bool + Send + Sync>;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Until this instant.
    Until(Instant),
    /// As long as something comes at least every so often; `None` as long as the watch is content.
    Silence(Option<Duration>),
}

/// A socket that speaks in packets.
pub(super) struct PacketStream {
    net: Net,
    address: String,
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    /// The sequence number of the next packet, read or written.
    seq: u8,
    out: Vec<u8>,
    limit: Limit,
    /// The timeout that the socket has.
    armed: Option<Option<Duration>>,
    /// Looks after a silent server, at first after this pause.
    watch: Option<(Duration, Watch)>,
    /// Looks since something came, and how many of the last ones found nobody.
    looks: (u32, u32),
    over: bool,
}

impl PacketStream {
    /// Over a socket; `address` is for errors.
    pub fn new(net: Net, address: String, limit: Limit) -> Self {
        PacketStream {
            net,
            address,
            buf: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            seq: 0,
            out: Vec::new(),
            limit,
            armed: None,
            watch: None,
            looks: (0, 0),
            over: false,
        }
    }

    /// From now on `watch` looks after a server that is silent without a limit.
    pub fn watch(&mut self, pause: Duration, watch: Watch) {
        self.watch = Some((pause.max(Duration::from_millis(100)), watch));
    }

    /// Whether TLS is on.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.net, Net::Tls(_))
    }

    /// Turns a plain TCP socket into an encrypted one. What came before in plain would pass for encrypted: it is refused.
    pub fn upgrade<E>(
        &mut self,
        shake: impl FnOnce(TcpStream) -> Result<TlsStream, E>,
    ) -> Result<Result<(), E>, WireError> {
        if !self.ahead().is_empty() {
            return Err(WireError::Protocol(
                "the server spoke on before the encryption".to_owned(),
            ));
        }
        let Net::Tcp(socket) = &self.net else {
            return Err(WireError::Protocol("only a TCP socket is encrypted".to_owned()));
        };
        let socket = socket.try_clone().map_err(|e| self.lost(e))?;
        self.armed = None;
        Ok(shake(socket).map(|tls| self.net = Net::Tls(Box::new(tls))))
    }

    /// The socket.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// How long reads and writes wait from now on.
    pub fn set_limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// The next packet read has this sequence number.
    pub fn expect_seq(&mut self, seq: u8) {
        self.seq = seq;
    }

    /// The sequence number of the next packet.
    pub fn seq(&self) -> u8 {
        self.seq
    }

    /// What arrived and was not taken yet.
    pub fn ahead(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// The error of a lost connection.
    pub fn lost(&self, source: io::Error) -> WireError {
        WireError::Lost {
            address: self.address.clone(),
            source,
        }
    }

    /// Arms the socket for one call; an expired deadline is an error.
    fn arm(&mut self) -> Result<(), WireError> {
        let wait = match self.limit {
            Limit::Silence(Some(wait)) => Some(wait),
            Limit::Silence(None) => self.watch.as_ref().map(|(pause, _)| {
                let pause = pause.saturating_mul(1 << self.looks.0.min(4));
                pause.min(PAUSE)
            }),
            Limit::Until(end) => match end.checked_duration_since(Instant::now()) {
                Some(left) => Some(left),
                None => return Err(self.lost(io::ErrorKind::TimedOut.into())),
            },
        };
        if self.armed != Some(wait) {
            self.net.set_timeout(wait).map_err(|e| self.lost(e))?;
            self.armed = Some(wait);
        }
        Ok(())
    }

    /// A call on the socket failed: `Ok` when it is to be repeated.
    fn hitch(&mut self, e: io::Error) -> Result<(), WireError> {
        match e.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.silent(),
            _ => Err(self.lost(e)),
        }
    }

    /// The limit passed without a byte.
    fn silent(&mut self) -> Result<(), WireError> {
        match (self.limit, &self.watch) {
            (Limit::Silence(None), None) | (Limit::Until(_), _) => return Ok(()),
            (Limit::Silence(Some(_)), _) => {}
            (Limit::Silence(None), Some((_, watch))) => {
                let failures = if watch() { 0 } else { self.looks.1 + 1 };
                self.looks = (self.looks.0.saturating_add(1), failures);
                if failures < FAILURES {
                    return Ok(());
                }
            }
        }
        Err(self.lost(io::ErrorKind::TimedOut.into()))
    }

    /// Reads once into the free part of the buffer, which must not be empty.
    fn read_once(&mut self) -> Result<(), WireError> {
        loop {
            self.arm()?;
            let free = self.buf.get_mut(self.end..).unwrap_or_default();
            match self.net.read(free) {
                Ok(0) => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => {
                    self.end = (self.end + n).min(self.buf.len());
                    self.looks = (0, 0);
                    return Ok(());
                }
                Err(e) => self.hitch(e)?,
            }
        }
    }

    /// Waits until `n` bytes (at most the buffer) are ahead, or it is `end`; says which.
    pub fn poll(&mut self, n: usize, end: Instant) -> Result<bool, WireError> {
        let limit = std::mem::replace(&mut self.limit, Limit::Until(end));
        let result = self.need(n);
        self.limit = limit;
        match result {
            Ok(()) => Ok(true),
            Err(WireError::Lost { source, .. }) if source.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Whether so many bytes fit into the buffer.
    pub fn holds(&self, n: usize) -> bool {
        n <= self.buf.len()
    }

    /// Takes `n` bytes that are ahead.
    pub fn skip(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// Moves what is in the buffer to its front.
    fn compact(&mut self) {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Waits until `n` bytes (at most the buffer) are ahead.
    fn need(&mut self, n: usize) -> Result<(), WireError> {
        while self.end - self.start < n {
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
            } else if self.start + n > self.buf.len() {
                self.compact();
            }
            self.read_once()?;
        }
        Ok(())
    }

    /// The header ahead: length and sequence number.
    pub fn header(&self) -> Option<(usize, u8)> {
        let [a, b, c, seq] = *self.ahead().first_chunk::<4>()?;
        Some((u32::from_le_bytes([a, b, c, 0]) as usize, seq))
    }

    /// What a server said before it hung up. Too long a packet is a matter of the statement, all else of the connection.
    fn farewell(&mut self, said: WireError) -> WireError {
        self.over = true;
        match said.code() {
            Some(TOO_LONG) => said,
            _ => self.lost(io::Error::new(io::ErrorKind::ConnectionAborted, said.to_string())),
        }
    }

    /// Whether the server has hung up.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Sending failed; perhaps the server has said why before.
    fn why(&mut self, failed: WireError) -> WireError {
        let limit = std::mem::replace(&mut self.limit, Limit::Until(Instant::now() + LAST_WORDS));
        let mut packet = Vec::new();
        self.over = true;
        let said = self.words(&mut packet);
        self.limit = limit;
        match said {
            Ok(()) if packet.first() == Some(&0xFF) => {
                let said = answer::err(&packet);
                self.farewell(said)
            }
            _ => failed,
        }
    }

    /// A short packet, whatever its number.
    fn words(&mut self, into: &mut Vec<u8>) -> Result<(), WireError> {
        self.need(4)?;
        match self.header() {
            Some((3..=4096, seq)) => {
                self.seq = seq;
                self.packet(into)
            }
            _ => Ok(()),
        }
    }

    /// Checks a sequence number and moves on. An error packet out of turn is the server's farewell, and says why.
    pub fn check_seq(&mut self, seq: u8, payload: usize) -> Result<(), WireError> {
        if seq != self.seq {
            if (3..4096).contains(&payload) {
                self.need(4 + payload)?;
                if let Some(packet @ [0xFF, ..]) = self.ahead().get(4..4 + payload) {
                    let said = answer::err(packet);
                    return Err(self.farewell(said));
                }
            }
            let expected = self.seq;
            return Err(WireError::Protocol(format!(
                "packet {seq} came where {expected} was due"
            )));
        }
        self.seq = self.seq.wrapping_add(1);
        Ok(())
    }

    /// Takes a header and checks it.
    fn take_header(&mut self) -> Result<usize, WireError> {
        self.need(4)?;
        let (len, seq) = self.header().unwrap_or_default();
        self.check_seq(seq, len)?;
        self.start += 4;
        Ok(len)
    }

    /// The first packet of a server. What is no server may say anything, so nothing long is waited for.
    pub fn greeting(&mut self, into: &mut Vec<u8>) -> Result<(), WireError> {
        self.need(4)?;
        match self.header() {
            Some((3..=4096, 0)) => self.packet(into),
            _ => Err(WireError::Protocol("its first words are no greeting".to_owned())),
        }
    }

    /// Appends one payload, continued packets joined, to `into`.
    pub fn packet(&mut self, into: &mut Vec<u8>) -> Result<(), WireError> {
        let before = into.len();
        loop {
            let len = self.take_header()?;
            if into.len() - before + len > LONGEST {
                return Err(WireError::Protocol("a packet is longer than 1 GiB".to_owned()));
            }
            if len == CONTINUED {
                // A huge row grows by what comes, not by doubling.
                into.reserve_exact(len + 4);
            }
            let mut left = len;
            while left > 0 {
                self.need(1)?;
                let ahead = self.ahead();
                let part = ahead.get(..left).unwrap_or(ahead);
                into.extend_from_slice(part);
                let n = part.len();
                self.start += n;
                left -= n;
            }
            if len != CONTINUED {
                return Ok(());
            }
        }
    }

    /// Gives all row packets up to the one that ends them to `take` as snapshot records, many at a time, from where they
    /// arrived. Returns the rows and the last packet (EOF or ERR).
    pub fn records(&mut self, take: &mut TakeRecords<'_>) -> Result<(u64, Vec<u8>), WireError> {
        let mut total = 0u64;
        // Whole records lie from `start` to `parsed`.
        let mut parsed = self.start;
        let mut rows = 0u64;
        loop {
            let (len, whole) = match self.record_at(parsed) {
                Found::Row(n) => {
                    self.check_row_seq(parsed, n)?;
                    if let Some(seq) = self.buf.get_mut(parsed + 3) {
                        *seq = 0;
                    }
                    parsed += 4 + n;
                    rows += 1;
                    continue;
                }
                Found::Partial if self.buf.len() - self.end >= COLLECT => {
                    self.read_once()?;
                    continue;
                }
                Found::Partial => (0, false),
                Found::Other(n) => (n, true),
            };
            if rows > 0 {
                take(self.buf.get(self.start..parsed).unwrap_or_default(), rows)?;
                total += rows;
                rows = 0;
            }
            self.start = parsed;
            if whole {
                let mut packet = vec![0; 4];
                self.packet(&mut packet)?;
                let payload = packet.get(4..).unwrap_or_default();
                // A continued packet is a row, whatever it begins with.
                if len < CONTINUED {
                    match payload.first() {
                        Some(0xFF) => return Ok((total, payload.to_vec())),
                        Some(0xFE) if answer::is_eof(payload) => return Ok((total, payload.to_vec())),
                        Some(0xFE) | None => return Err(WireError::Protocol("a row is malformed".to_owned())),
                        Some(_) => {}
                    }
                }
                let size = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
                if let Some(head) = packet.first_chunk_mut::<4>() {
                    *head = size;
                }
                take(&packet, 1)?;
                total += 1;
            } else {
                self.compact();
                self.read_once()?;
            }
            parsed = self.start;
        }
    }

    /// What lies at `at` in the buffer.
    fn record_at(&self, at: usize) -> Found {
        let ahead = self.buf.get(at..self.end).unwrap_or_default();
        let [a, b, c, _, first, ..] = *ahead else {
            // A row has a column, so no payload of a result is empty; an empty one is for the slow road to refuse.
            return match ahead {
                [0, 0, 0, _] => Found::Other(0),
                _ => Found::Partial,
            };
        };
        let len = u32::from_le_bytes([a, b, c, 0]) as usize;
        if first >= 0xFE || len == 0 || len + 4 > BUFFER - COLLECT {
            return Found::Other(len);
        }
        if ahead.len() < 4 + len {
            return Found::Partial;
        }
        Found::Row(len)
    }

    /// The sequence check of a row in the buffer.
    fn check_row_seq(&mut self, at: usize, len: usize) -> Result<(), WireError> {
        let seq = self.buf.get(at + 3).copied().unwrap_or(0);
        if seq == self.seq {
            self.seq = self.seq.wrapping_add(1);
            return Ok(());
        }
        self.start = at;
        self.check_seq(seq, len)
    }

    /// Sends a command: sequence 0, the parts joined.
    pub fn command(&mut self, parts: &[&[u8]]) -> Result<(), WireError> {
        self.seq = 0;
        match self.write(parts).and_then(|()| self.flush()) {
            Err(failed @ WireError::Lost { .. }) => Err(self.why(failed)),
            other => other,
        }
    }

    /// Writes the parts as one payload without sending the last of it.
    pub fn write(&mut self, parts: &[&[u8]]) -> Result<(), WireError> {
        let mut left: usize = parts.iter().map(|p| p.len()).sum();
        let mut parts = parts.iter().copied().filter(|p| !p.is_empty());
        let mut part: &[u8] = &[];
        loop {
            let len = left.min(CONTINUED);
            let [a, b, c, ..] = len.to_le_bytes();
            self.put(&[a, b, c, self.seq])?;
            self.seq = self.seq.wrapping_add(1);
            let mut todo = len;
            while todo > 0 {
                if part.is_empty() {
                    part = parts.next().unwrap_or_default();
                }
                let (now, later) = part.split_at(part.len().min(todo));
                self.put(now)?;
                todo -= now.len();
                part = later;
            }
            left -= len;
            if len < CONTINUED {
                return Ok(());
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if self.out.len() + bytes.len() > COLLECT {
            self.flush()?;
        }
        if bytes.len() > COLLECT {
            return self.write_all(bytes);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Sends what was collected.
    pub fn flush(&mut self) -> Result<(), WireError> {
        let mut out = std::mem::take(&mut self.out);
        let result = self.write_all(&out);
        out.clear();
        self.out = out;
        result
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        while !bytes.is_empty() {
            self.arm()?;
            match self.net.write(bytes) {
                Ok(0) => return Err(self.lost(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    bytes = bytes.get(n..).unwrap_or_default();
                    self.looks = (0, 0);
                }
                Err(e) => self.hitch(e)?,
            }
        }
        // TLS keeps the last of it back.
        while let Err(e) = self.net.flush() {
            self.hitch(e)?;
        }
        Ok(())
    }
}

/// What lies in the buffer where a row may begin.
enum Found {
    /// A whole row packet with this payload.
    Row(usize),
    /// Not all of it.
    Partial,
    /// Something for the slow road: the end, or a packet that the buffer cannot hold.
    Other(usize),
}
