//! The event that begins a transaction and names it.

use crate::cluster::ClusterError;
use crate::cluster::mysql::gtid::{Gtid, Source};

use super::event::{Cursor, Event, Kind, malformed};

/// The event that begins a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidEvent {
    /// Its name; `None` where the server gives none (MySQL with `gtid_mode=OFF`).
    pub gtid: Option<Gtid>,
    /// When it committed at the server that sends it, microseconds since the epoch (MySQL only).
    pub committed_micros: Option<u64>,
    /// MariaDB: one statement follows, without BEGIN and COMMIT.
    pub standalone: bool,
    /// MariaDB: the transaction is only prepared; `XA COMMIT` or `XA ROLLBACK` decides later.
    pub xa_prepared: bool,
    /// MariaDB: this is that `XA COMMIT` or `XA ROLLBACK`.
    pub xa_completed: bool,
    /// MariaDB: the XA transaction's id: format, global part, branch part.
    pub xid: Option<(u32, Vec<u8>, Vec<u8>)>,
    /// MariaDB with `binlog_alter_two_phase`: which half of an ALTER it is.
    pub alter: Option<AlterPhase>,
}

/// MariaDB can log an ALTER twice: when it starts and when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterPhase {
    /// It has started: nothing to be done yet.
    Start,
    /// It is done: now it counts.
    Commit,
    /// It failed: it never happened.
    Rollback,
}

impl GtidEvent {
    /// Reads it.
    pub fn parse(event: &Event<'_>) -> Result<GtidEvent, ClusterError> {
        let read = match event.kind() {
            Kind::MARIADB_GTID => mariadb(event),
            Kind::GTID | Kind::ANONYMOUS_GTID => mysql(event),
            Kind::GTID_TAGGED => tagged(event),
            other => return Err(malformed(format!("kind {} is no GTID", other.0))),
        };
        read.ok_or_else(|| malformed("a GTID event is cut"))
    }

    /// Whether what follows is not done at this place: the first half of an ALTER, or one that failed.
    pub fn is_idle(&self) -> bool {
        matches!(self.alter, Some(AlterPhase::Start | AlterPhase::Rollback))
    }
}

fn mariadb(event: &Event<'_>) -> Option<GtidEvent> {
    let mut at = Cursor::new(event.body);
    let (seq, domain, flags) = (at.u64()?, at.u32()?, at.u8()?);
    let mut out = GtidEvent {
        gtid: Some(Gtid::Maria {
            domain,
            server: event.header.server_id,
            seq,
        }),
        standalone: flags & 1 != 0,
        xa_prepared: flags & 64 != 0,
        xa_completed: flags & 128 != 0,
        ..GtidEvent::default()
    };
    if flags & 2 != 0 {
        at.u64()?;
    }
    if out.xa_prepared || out.xa_completed {
        let (format, global, branch) = (at.u32()?, at.u8()?, at.u8()?);
        let global = at.take(global.into())?.to_vec();
        out.xid = Some((format, global, at.take(branch.into())?.to_vec()));
    }
    out.alter = match at.u8().unwrap_or(0) & 0x0E {
        2 => Some(AlterPhase::Start),
        4 => Some(AlterPhase::Commit),
        8 => Some(AlterPhase::Rollback),
        _ => None,
    };
    Some(out)
}

fn mysql(event: &Event<'_>) -> Option<GtidEvent> {
    let mut at = Cursor::new(event.body);
    let _flags = at.u8()?;
    let uuid: [u8; 16] = at.take(16)?.try_into().ok()?;
    let number = at.u64()?;
    let named = event.kind() == Kind::GTID;
    let mut out = GtidEvent {
        gtid: named.then(|| Gtid::MySql {
            source: Source {
                uuid,
                tag: String::new(),
            },
            number,
        }),
        ..GtidEvent::default()
    };
    // Two logical clocks behind a 2; then the commit time, whose top bit says that another server's follows.
    if at.u8() == Some(2) && at.take(16).is_some() {
        out.committed_micros = at.number(7).map(|t| t & !(1 << 55));
    }
    Some(out)
}

/// The self-describing form of MySQL 8.3 and later: fields with a number before each, numbers of variable length.
fn tagged(event: &Event<'_>) -> Option<GtidEvent> {
    let mut at = Cursor::new(event.body);
    let (_version, _size, _last) = (varint(&mut at)?, varint(&mut at)?, varint(&mut at)?);
    let (mut uuid, mut number, mut tag) = ([0; 16], None, String::new());
    let mut out = GtidEvent::default();
    while !at.rest().is_empty() {
        match varint(&mut at)? {
            0 => drop(at.u8()?),
            1 => {
                for byte in &mut uuid {
                    *byte = varint(&mut at)?.try_into().ok()?;
                }
            }
            2 => number = Some(signed(&mut at)?),
            3 => {
                let len = usize::try_from(varint(&mut at)?).ok()?;
                tag = String::from_utf8_lossy(at.take(len)?).into_owned();
            }
            4 | 5 => drop(signed(&mut at)?),
            6 => out.committed_micros = Some(varint(&mut at)?),
            _ => break,
        }
    }
    out.gtid = Some(Gtid::MySql {
        source: Source { uuid, tag },
        number: u64::try_from(number?).ok()?,
    });
    Some(out)
}

/// As many low one-bits as bytes follow, a zero bit, the value.
fn varint(at: &mut Cursor<'_>) -> Option<u64> {
    let first = at.u8()?;
    let more = first.trailing_ones() as usize;
    let low = u64::from(first).checked_shr(more as u32 + 1).unwrap_or(0);
    let rest = at.number(more)?;
    let low_bits = 7_usize.saturating_sub(more);
    Some(low | rest << low_bits)
}

/// The sign in the lowest bit.
fn signed(at: &mut Cursor<'_>) -> Option<i64> {
    let raw = varint(at)?;
    let value = (raw >> 1) as i64;
    Some(if raw & 1 == 1 { !value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::binlog::event::{Header, build};
    use proptest::prelude::*;

    fn event(kind: Kind, body: &[u8]) -> Vec<u8> {
        let header = Header {
            timestamp: 1,
            kind,
            server_id: 33306,
            size: 0,
            log_pos: 0,
            flags: 0,
        };
        let mut raw = Vec::new();
        build(header, body, true, &mut raw);
        raw
    }

    fn parse(kind: Kind, body: &[u8]) -> Option<GtidEvent> {
        GtidEvent::parse(&Event::parse(&event(kind, body), true).unwrap()).ok()
    }

    #[test]
    fn mariadb_names() {
        let mut body = vec![100, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1];
        body.extend_from_slice(&[0; 6]);
        let read = parse(Kind::MARIADB_GTID, &body).unwrap();
        assert_eq!(read.gtid.unwrap().to_string(), "3-33306-100");
        assert!(read.standalone && !read.xa_prepared && read.alter.is_none());
        let mut xa = vec![7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64 | 4, 1, 0, 0, 0, 2, 1];
        xa.extend_from_slice(b"gtb");
        let read = parse(Kind::MARIADB_GTID, &xa).unwrap();
        assert_eq!(read.xid, Some((1, b"gt".to_vec(), b"b".to_vec())));
        assert!(parse(Kind::MARIADB_GTID, &xa[..19]).is_none());
        let alter = [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0];
        assert!(parse(Kind::MARIADB_GTID, &alter).unwrap().is_idle());
    }

    #[test]
    fn mysql_names() {
        let mut body = vec![0];
        body.extend_from_slice(&[0xAB; 16]);
        body.extend_from_slice(&9_u64.to_le_bytes());
        body.push(2);
        body.extend_from_slice(&[0; 16]);
        body.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0x80]);
        let read = parse(Kind::GTID, &body).unwrap();
        assert_eq!(read.committed_micros, Some(1));
        assert_eq!(read.gtid.unwrap().to_string(), "abababab-abab-abab-abab-abababababab:9");
        assert_eq!(parse(Kind::ANONYMOUS_GTID, &body).unwrap().gtid, None);
    }

    #[test]
    fn numbers_of_variable_length() {
        let read = |bytes: &[u8]| varint(&mut Cursor::new(bytes));
        assert_eq!(read(&[0b1010]), Some(5));
        assert_eq!(read(&[0b01, 0b10]), Some(0b10 << 6));
        assert_eq!(read(&[0xFF, 1, 0, 0, 0, 0, 0, 0, 0]), Some(1));
        assert_eq!(read(&[0xFF, 1]), None);
    }

    proptest! {
        #[test]
        fn any_body_is_a_gtid_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..90), which in 0usize..4) {
            let kinds = [Kind::MARIADB_GTID, Kind::GTID, Kind::ANONYMOUS_GTID, Kind::GTID_TAGGED];
            let _ = parse(kinds[which], &body);
        }
    }
}
