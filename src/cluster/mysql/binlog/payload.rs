//! A transaction of the binary log as the archive keeps it.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format, [`FORMAT`] |
//! | 1 | whose server: 0 MariaDB, 1 MySQL |
//! | 1 | 1 when each event ends in a CRC32 |
//! | 1 | 0 |
//! | 6 | the server's version: major, minor, patch, u16 little endian each |
//! | ... | the events of the transaction, one behind the other, as they came |
//!
//! The first event is the one with the transaction's GTID. Compressed events and compressed transactions are unfolded
//! before they come here (with lengths and checksums made anew); everything else is byte for byte what the server sent.
//! Behind them may come events of brine's own, see [`super::notes`]. MariaDB can log an ALTER when it starts and again when it
//! is done (`binlog_alter_two_phase`): of the first, and of one that failed, only the GTID is kept.

use serde::{Deserialize, Serialize};

use crate::cluster::mysql::wire::{Flavor, Version};
use crate::cluster::{ClusterError, Ddl, TableDelta};

use super::event::{CHECKSUM, Cursor, Event, HEADER, Header};
use super::gtid_event::GtidEvent;
use super::summary::{self, Summary};

/// The format that is written.
pub const FORMAT: u8 = 1;
/// The format of the opening of a transaction in pieces.
pub const OPENING: u8 = 2;
/// Bytes before the events.
pub const HEAD: usize = 10;

/// Where the events of a payload come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose server.
    pub flavor: Flavor,
    /// Its version.
    pub version: Version,
    /// Whether each event ends in a CRC32.
    pub checksum: bool,
}

impl Head {
    /// Its bytes.
    pub fn encode(&self) -> [u8; HEAD] {
        let flavor = match self.flavor {
            Flavor::MariaDb => 0,
            Flavor::MySql => 1,
        };
        let (major, minor, patch) = self.version;
        let fields = [FORMAT, flavor, u8::from(self.checksum), 0]
            .into_iter()
            .chain([major, minor, patch].into_iter().flat_map(u16::to_le_bytes));
        let mut bytes = [0; HEAD];
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// A payload, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// Where its events come from.
    pub head: Head,
    events: &'a [u8],
}

/// Takes a payload apart.
pub fn parse(payload: &[u8]) -> Result<Payload<'_>, ClusterError> {
    let mut at = Cursor::new(payload);
    let (_, head) = parse_head(&mut at)
        .filter(|(format, _)| *format == FORMAT)
        .ok_or_else(|| malformed("its head is cut or of a newer format"))?;
    Ok(Payload {
        head,
        events: at.rest(),
    })
}

/// The format, and the head.
fn parse_head(at: &mut Cursor<'_>) -> Option<(u8, Head)> {
    let format = at.u8()?;
    let flavor = match at.u8()? {
        0 => Flavor::MariaDb,
        1 => Flavor::MySql,
        _ => return None,
    };
    let checksum = match at.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let _ = at.u8()?;
    let version = (at.u16()?, at.u16()?, at.u16()?);
    let head = Head {
        flavor,
        version,
        checksum,
    };
    Some((format, head))
}

/// The opening of a transaction in pieces, taken apart.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// Where the events of the pieces come from.
    pub head: Head,
    /// What it did, table by table.
    pub deltas: Vec<TableDelta>,
    /// Its schema change.
    pub ddl: Option<Ddl>,
    /// It goes back to a savepoint.
    pub goes_back: bool,
    events: &'a [u8],
}

#[derive(Serialize)]
struct DidRef<'a> {
    deltas: &'a [TableDelta],
    ddl: Option<&'a Ddl>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    goes_back: bool,
}

#[derive(Deserialize)]
struct Did {
    deltas: Vec<TableDelta>,
    ddl: Option<Ddl>,
    #[serde(default)]
    goes_back: bool,
}

/// Makes an opening.
pub(super) fn opening(head: &Head, summary: &Summary, gtid: &[u8], last: &[u8]) -> Result<Vec<u8>, ClusterError> {
    let did = DidRef {
        deltas: &summary.deltas,
        ddl: summary.ddl.as_ref(),
        goes_back: summary.goes_back,
    };
    let did = serde_json::to_vec(&did).map_err(|e| malformed(e.to_string()))?;
    let len = u32::try_from(did.len()).map_err(|_| malformed("it changes too many tables"))?;
    let mut out = head.encode().to_vec();
    if let Some(format) = out.first_mut() {
        *format = OPENING;
    }
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&did);
    out.extend_from_slice(gtid);
    out.extend_from_slice(last);
    Ok(out)
}

/// Whether a record is the opening of a transaction in pieces.
pub fn is_opening(payload: &[u8]) -> bool {
    payload.first() == Some(&OPENING)
}

/// Takes an opening apart.
pub fn parse_opening(payload: &[u8]) -> Result<Opening<'_>, ClusterError> {
    let cut = || malformed("the opening of a transaction in pieces is cut or of a newer format");
    let mut at = Cursor::new(payload);
    let (_, head) = parse_head(&mut at)
        .filter(|(format, _)| *format == OPENING)
        .ok_or_else(cut)?;
    let len = at.u32().ok_or_else(cut)?;
    let did = at.take(len as usize).ok_or_else(cut)?;
    let Did { deltas, ddl, goes_back } = serde_json::from_slice(did).map_err(|e| malformed(e.to_string()))?;
    Ok(Opening {
        head,
        deltas,
        ddl,
        goes_back,
        events: at.rest(),
    })
}

impl<'a> Opening<'a> {
    /// The event with the GTID, and the last one.
    pub fn events(&self) -> Events<'a> {
        piece(&self.head, self.events)
    }
}

/// The events of a piece, each with its checksum compared.
pub fn piece<'a>(head: &Head, bytes: &'a [u8]) -> Events<'a> {
    Events {
        rest: bytes,
        checksum: head.checksum,
        compare: true,
    }
}

/// The events of a payload. Bound by [`parse`]'s head: each is checked.
pub fn events(payload: &[u8]) -> Result<Events<'_>, ClusterError> {
    Ok(parse(payload)?.events())
}

impl<'a> Payload<'a> {
    /// Its events in order, each with its checksum compared.
    pub fn events(&self) -> Events<'a> {
        Events {
            rest: self.events,
            checksum: self.head.checksum,
            compare: true,
        }
    }

    /// What its first event, the GTID, says.
    pub fn gtid(&self) -> Result<GtidEvent, ClusterError> {
        let first = self.events().next();
        let first = first.ok_or_else(|| malformed("it has no events"))??;
        GtidEvent::parse(&first)
    }
}

/// The events of a payload, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    rest: &'a [u8],
    checksum: bool,
    compare: bool,
}

impl<'a> Events<'a> {
    fn take(&mut self) -> Result<Event<'a>, ClusterError> {
        let cut = || malformed("an event is cut");
        let header = Header::parse(self.rest).ok_or_else(cut)?;
        let size = header.size as usize;
        if size < HEADER + if self.checksum { CHECKSUM } else { 0 } {
            return Err(malformed("an event is shorter than its header"));
        }
        let (raw, rest) = self.rest.split_at_checked(size).ok_or_else(cut)?;
        self.rest = rest;
        match self.compare {
            true => Event::parse(raw, self.checksum),
            false => Event::unchecked(raw, self.checksum),
        }
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<Event<'a>, ClusterError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let event = self.take();
        if event.is_err() {
            self.rest = &[];
        }
        Some(event)
    }
}

/// The event with the GTID, of a record in one piece or of an opening.
pub(super) fn first(record: &[u8]) -> Result<Event<'_>, ClusterError> {
    let mut events = match is_opening(record) {
        true => parse_opening(record)?.events(),
        false => parse(record)?.events(),
    };
    events.next().ok_or_else(|| malformed("it has no events"))?
}

/// A FORMAT_DESCRIPTION event that a server of the same kind takes before the payload's events in a `BINLOG` statement.
pub fn format_description(head: &Head) -> Vec<u8> {
    super::format::build(head)
}

/// What a transaction did.
pub fn describe(payload: &[u8]) -> Result<(Vec<TableDelta>, Option<Ddl>), ClusterError> {
    if is_opening(payload) {
        let opening = parse_opening(payload)?;
        return Ok((opening.deltas, opening.ddl));
    }
    let parsed = parse(payload)?;
    let summary = summary::of(&parsed, parsed.events())?;
    Ok((summary.deltas, summary.ddl))
}

pub(super) fn malformed(why: impl Into<String>) -> ClusterError {
    ClusterError::Malformed {
        what: "a record of the change log",
        why: why.into(),
    }
}
