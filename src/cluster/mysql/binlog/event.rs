//! Events of the binary log: the 19-byte header, the kinds, the checksum behind the body.

use crate::cluster::ClusterError;

/// Bytes before the body.
pub const HEADER: usize = 19;
/// Bytes of the CRC32 behind the body, where the log has checksums.
pub const CHECKSUM: usize = 4;

/// What kind of event: the number in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub u8);

#[allow(missing_docs)] // the names are those of the protocol
impl Kind {
    pub const QUERY: Kind = Kind(2);
    pub const STOP: Kind = Kind(3);
    pub const ROTATE: Kind = Kind(4);
    pub const INTVAR: Kind = Kind(5);
    pub const RAND: Kind = Kind(13);
    pub const USER_VAR: Kind = Kind(14);
    pub const FORMAT_DESCRIPTION: Kind = Kind(15);
    pub const XID: Kind = Kind(16);
    pub const BEGIN_LOAD_QUERY: Kind = Kind(17);
    pub const EXECUTE_LOAD_QUERY: Kind = Kind(18);
    pub const TABLE_MAP: Kind = Kind(19);
    pub const WRITE_ROWS_V1: Kind = Kind(23);
    pub const UPDATE_ROWS_V1: Kind = Kind(24);
    pub const DELETE_ROWS_V1: Kind = Kind(25);
    pub const INCIDENT: Kind = Kind(26);
    pub const HEARTBEAT: Kind = Kind(27);
    pub const IGNORABLE: Kind = Kind(28);
    pub const ROWS_QUERY: Kind = Kind(29);
    pub const WRITE_ROWS: Kind = Kind(30);
    pub const UPDATE_ROWS: Kind = Kind(31);
    pub const DELETE_ROWS: Kind = Kind(32);
    pub const GTID: Kind = Kind(33);
    pub const ANONYMOUS_GTID: Kind = Kind(34);
    pub const PREVIOUS_GTIDS: Kind = Kind(35);
    /// MySQL: `XA PREPARE`, also used for one-phase commits of XA transactions. MariaDB uses the same number.
    pub const XA_PREPARE: Kind = Kind(38);
    pub const PARTIAL_UPDATE_ROWS: Kind = Kind(39);
    pub const TRANSACTION_PAYLOAD: Kind = Kind(40);
    pub const HEARTBEAT_V2: Kind = Kind(41);
    pub const GTID_TAGGED: Kind = Kind(42);
    pub const ANNOTATE_ROWS: Kind = Kind(160);
    pub const BINLOG_CHECKPOINT: Kind = Kind(161);
    pub const MARIADB_GTID: Kind = Kind(162);
    pub const GTID_LIST: Kind = Kind(163);
    pub const START_ENCRYPTION: Kind = Kind(164);
    pub const QUERY_COMPRESSED: Kind = Kind(165);
    pub const WRITE_ROWS_COMPRESSED_V1: Kind = Kind(166);
    pub const UPDATE_ROWS_COMPRESSED_V1: Kind = Kind(167);
    pub const DELETE_ROWS_COMPRESSED_V1: Kind = Kind(168);
    pub const WRITE_ROWS_COMPRESSED: Kind = Kind(169);
    pub const UPDATE_ROWS_COMPRESSED: Kind = Kind(170);
    pub const DELETE_ROWS_COMPRESSED: Kind = Kind(171);

    /// What a rows event does; `None` for other kinds. Compressed kinds are none: a payload holds them unfolded.
    pub fn rows(self) -> Option<RowsAct> {
        match self {
            Kind::WRITE_ROWS_V1 | Kind::WRITE_ROWS => Some(RowsAct::Insert),
            Kind::UPDATE_ROWS_V1 | Kind::UPDATE_ROWS | Kind::PARTIAL_UPDATE_ROWS => Some(RowsAct::Update),
            Kind::DELETE_ROWS_V1 | Kind::DELETE_ROWS => Some(RowsAct::Delete),
            _ => None,
        }
    }

    /// Whether it begins a transaction.
    pub fn is_gtid(self) -> bool {
        matches!(
            self,
            Kind::MARIADB_GTID | Kind::GTID | Kind::ANONYMOUS_GTID | Kind::GTID_TAGGED
        )
    }
}

/// What a rows event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsAct {
    /// New rows.
    Insert,
    /// Rows before and after.
    Update,
    /// Rows that go.
    Delete,
}

/// The header of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Seconds since the epoch; the start of the statement, which a session can forge.
    pub timestamp: u32,
    /// What kind.
    pub kind: Kind,
    /// The server that wrote it first.
    pub server_id: u32,
    /// Bytes, header and checksum included.
    pub size: u32,
    /// The low 32 bits of the offset behind it; 0 for events that are in no file.
    pub log_pos: u32,
    /// Flags.
    pub flags: u16,
}

/// Flag of an event that the server made up for the stream; it is in no file.
pub const ARTIFICIAL: u16 = 0x20;

impl Header {
    /// Reads it.
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let mut at = Cursor::new(bytes);
        Some(Header {
            timestamp: at.u32()?,
            kind: Kind(at.u8()?),
            server_id: at.u32()?,
            size: at.u32()?,
            log_pos: at.u32()?,
            flags: at.u16()?,
        })
    }

    /// Its bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let fields = self
            .timestamp
            .to_le_bytes()
            .into_iter()
            .chain([self.kind.0])
            .chain(self.server_id.to_le_bytes())
            .chain(self.size.to_le_bytes())
            .chain(self.log_pos.to_le_bytes())
            .chain(self.flags.to_le_bytes());
        let mut bytes = [0; HEADER];
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// An event, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its header.
    pub header: Header,
    /// What is between header and checksum.
    pub body: &'a [u8],
    /// All of it.
    pub raw: &'a [u8],
}

impl<'a> Event<'a> {
    /// Takes an event apart whose bytes are exactly `raw`; with `checksum` the last four are one, and are compared.
    pub fn parse(raw: &'a [u8], checksum: bool) -> Result<Event<'a>, ClusterError> {
        let event = Event::unchecked(raw, checksum)?;
        let sum = raw.last_chunk::<CHECKSUM>().filter(|_| checksum);
        let covered = raw.get(..HEADER + event.body.len()).unwrap_or_default();
        if sum.is_some_and(|sum| u32::from_le_bytes(*sum) != crc32fast::hash(covered)) {
            return Err(malformed(format!(
                "the checksum of an event (kind {}) does not match",
                event.kind().0
            )));
        }
        Ok(event)
    }

    /// The same without comparing the checksum.
    pub(super) fn unchecked(raw: &'a [u8], checksum: bool) -> Result<Event<'a>, ClusterError> {
        let header = Header::parse(raw).ok_or_else(|| malformed("it is shorter than a header"))?;
        if header.size as usize != raw.len() {
            let why = format!("its header says {} bytes, but it has {}", header.size, raw.len());
            return Err(malformed(why));
        }
        let tail = if checksum { CHECKSUM } else { 0 };
        let body = raw
            .len()
            .checked_sub(tail)
            .and_then(|end| raw.get(HEADER..end))
            .ok_or_else(|| malformed("it is too short"))?;
        Ok(Event { header, body, raw })
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.header.kind
    }
}

/// Builds an event: header (its size is set), body, and a checksum if wanted.
pub fn build(header: Header, body: &[u8], checksum: bool, out: &mut Vec<u8>) {
    let start = out.len();
    let size = HEADER + body.len() + if checksum { CHECKSUM } else { 0 };
    let header = Header {
        size: size as u32,
        ..header
    };
    out.reserve(size);
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(body);
    if checksum {
        let sum = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
    }
}

pub(super) fn malformed(why: impl Into<String>) -> ClusterError {
    ClusterError::Malformed {
        what: "an event of the binary log",
        why: why.into(),
    }
}

/// Reads little-endian fields off the front of bytes; `None` when they end too early.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of `n` bytes, at most 8.
    pub fn number(&mut self, n: usize) -> Option<u64> {
        let bytes = self.take(n)?;
        (n <= 8).then(|| bytes.iter().rev().fold(0, |sum, b| sum << 8 | u64::from(*b)))
    }

    /// A length-encoded number of the client protocol; `None` for NULL too.
    pub fn lenenc(&mut self) -> Option<u64> {
        match self.u8()? {
            b @ 0..=250 => Some(b.into()),
            0xFC => self.u16().map(u64::from),
            0xFD => self.number(3),
            0xFE => self.u64(),
            _ => None,
        }
    }

    /// Text behind a one-byte length, and the zero byte behind it.
    pub fn name(&mut self) -> Option<String> {
        let len = self.u8()?;
        let text = self.take(len.into())?;
        (self.u8()? == 0).then(|| String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn builds_what_it_reads() {
        let header = Header {
            timestamp: 7,
            kind: Kind::XID,
            server_id: 3,
            size: 0,
            log_pos: 99,
            flags: 8,
        };
        for checksum in [false, true] {
            let mut raw = Vec::new();
            build(header, b"12345678", checksum, &mut raw);
            let event = Event::parse(&raw, checksum).unwrap();
            assert_eq!(event.body, b"12345678");
            assert_eq!((event.header.log_pos, event.kind()), (99, Kind::XID));
        }
    }

    #[test]
    fn one_flipped_bit_is_found() {
        let mut raw = Vec::new();
        let header = Header {
            timestamp: 0,
            kind: Kind::XID,
            server_id: 1,
            size: 0,
            log_pos: 0,
            flags: 0,
        };
        build(header, b"abc", true, &mut raw);
        raw[20] ^= 1;
        assert!(Event::parse(&raw, true).unwrap_err().to_string().contains("checksum"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_an_error(raw in proptest::collection::vec(any::<u8>(), 0..80), checksum: bool) {
            let _ = Event::parse(&raw, checksum);
        }
    }
}
