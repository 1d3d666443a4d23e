//! The FORMAT_DESCRIPTION event: which lengths the events behind it have, and whether they carry checksums.

use crate::cluster::ClusterError;
use crate::cluster::mysql::wire::Flavor;

use super::event::{Cursor, Event, HEADER, Header, Kind, build as build_event, malformed};
use super::payload::Head;

/// Bytes of the server's version.
const VERSION: usize = 50;
/// What `checksum algorithm` means CRC32.
const CRC32: u8 = 1;

/// The lengths of the fixed parts of events 1 to 171 of MariaDB (10.6 to 11.8); those in between are 0.
const MARIADB: [(usize, &[u8]); 2] = [
    (
        1,
        &[
            0x38, 0x0D, 0, 8, 0, 0x12, 0, 4, 4, 4, 4, 0x12, 0, 0, 0xE4, 0, 4, 0x1A, 8, 0, 0, 0, 8, 8, 8, 2, 0, 0, 0,
            0x0A, 0x0A, 0x0A, 0, 0, 0, 0, 0, 0, 0x0A, 0x0A, 0x0A,
        ],
    ),
    (161, &[4, 0x13, 4, 0, 0x0D, 8, 8, 8, 0x0A, 0x0A, 0x0A]),
];
const MARIADB_KINDS: usize = 171;
/// The same of events 1 to 42 of MySQL (9.7; those of 8.0 end at 41).
const MYSQL: [u8; 42] = [
    0, 0x0D, 0, 8, 0, 0, 0, 0, 4, 0, 4, 0, 0, 0, 0x63, 0, 4, 0x1A, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0x0A, 0x0A, 0x0A,
    0x2A, 0x2A, 0, 0x12, 0x34, 0, 0x0A, 0x28, 0, 0,
];

/// Makes one for a payload's source.
pub(super) fn build(head: &Head) -> Vec<u8> {
    let (major, minor, patch) = head.version;
    let suffix = match head.flavor {
        Flavor::MariaDb => "-MariaDB",
        Flavor::MySql => "",
    };
    let mut version = format!("{major}.{minor}.{patch}{suffix}").into_bytes();
    version.resize(VERSION, 0);
    let mut body = vec![4, 0];
    body.append(&mut version);
    body.extend_from_slice(&[0; 4]);
    body.push(HEADER as u8);
    match head.flavor {
        Flavor::MariaDb => {
            let start = body.len();
            body.resize(start + MARIADB_KINDS, 0);
            for (first, lengths) in MARIADB {
                let part = body.get_mut(start + first - 1..).unwrap_or_default();
                part.iter_mut().zip(lengths).for_each(|(to, from)| *to = *from);
            }
        }
        Flavor::MySql => body.extend_from_slice(&MYSQL),
    }
    body.push(if head.checksum { CRC32 } else { 0 });
    // This event has room for a checksum in any case; where the others have none, nobody looks at it.
    let header = Header {
        timestamp: 0,
        kind: Kind::FORMAT_DESCRIPTION,
        server_id: 1,
        size: 0,
        log_pos: 0,
        flags: 0,
    };
    let mut out = Vec::new();
    build_event(header, &body, true, &mut out);
    out
}

/// What the stream's own FORMAT_DESCRIPTION says: the server's version, and whether the events behind it end in a CRC32.
pub(super) fn read(raw: &[u8]) -> Result<(String, bool), ClusterError> {
    // The checksum is not compared: whether there is one stands in the event itself.
    let event = Event::unchecked(raw, true)?;
    parse(event.body).ok_or_else(|| malformed("a format description is cut"))
}

fn parse(body: &[u8]) -> Option<(String, bool)> {
    let mut at = Cursor::new(body);
    let binlog_version = at.u16()?;
    let version = at.take(VERSION)?;
    let version: Vec<u8> = version.iter().copied().take_while(|b| *b != 0).collect();
    let _created = at.u32()?;
    let header = at.u8()?;
    let algorithm = *at.rest().last()?;
    let known = binlog_version == 4 && usize::from(header) == HEADER && algorithm <= CRC32;
    known.then(|| (String::from_utf8_lossy(&version).into_owned(), algorithm == CRC32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_makes() {
        for checksum in [false, true] {
            let head = Head {
                flavor: Flavor::MariaDb,
                version: (10, 11, 19),
                checksum,
            };
            let raw = build(&head);
            assert_eq!(raw.len(), 252);
            assert_eq!(read(&raw).unwrap(), ("10.11.19-MariaDB".to_owned(), checksum));
            Event::parse(&raw, true).unwrap();
            // The lengths of GTID (162) and WRITE_ROWS_V1 (23).
            assert_eq!((raw[19 + 57 + 161], raw[19 + 57 + 22]), (0x13, 8));
            let raw = build(&Head {
                flavor: Flavor::MySql,
                version: (9, 7, 4),
                checksum,
            });
            assert_eq!(raw.len(), 123);
            assert_eq!(read(&raw).unwrap(), ("9.7.4".to_owned(), checksum));
        }
    }
}
