//! Where reading is, as the events tell it.

use super::event::{ARTIFICIAL, Cursor, Event, malformed};
use crate::cluster::ClusterError;
use crate::cluster::mysql::gtid::Place;

/// The file that comes now. The server may name a place before the one that was asked for and skip what is between.
pub(super) fn rotate(read: &mut Place, event: &Event<'_>) -> Result<(), ClusterError> {
    let mut at = Cursor::new(event.body);
    let offset = at.u64().ok_or_else(|| malformed("a rotate event is cut"))?;
    let file = String::from_utf8_lossy(at.rest()).into_owned();
    if read.file != file {
        *read = Place { file, offset };
    }
    Ok(())
}

/// The server has sent everything before this place.
pub(super) fn heartbeat(read: &mut Place, event: &Event<'_>) {
    let file = String::from_utf8_lossy(event.body);
    let offset = u64::from(event.header.log_pos);
    if read.file == file && read.offset < offset {
        read.offset = offset;
    }
}

/// Moves behind an event. Only 32 bits of its end are told; files may be longer.
pub(super) fn advance(read: &mut Place, event: &Event<'_>, part_of_transaction: bool) {
    let end = u64::from(event.header.log_pos);
    if end == 0 || event.header.flags & ARTIFICIAL != 0 {
        return;
    }
    let (high, low) = (read.offset >> 32, read.offset & 0xFFFF_FFFF);
    let wrapped = low > 0xC000_0000 && end < 0x4000_0000;
    let end = end | (high + u64::from(wrapped)) << 32;
    if part_of_transaction || end > read.offset {
        read.offset = end;
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Kind;
    use super::super::rows::tests::event;
    use super::*;

    fn at(file: &str, offset: u64) -> Place {
        Place {
            file: file.to_owned(),
            offset,
        }
    }

    #[test]
    fn places_move_with_the_events() {
        let mut read = at("b.000001", 400);
        let mut rotate_body = 4_u64.to_le_bytes().to_vec();
        rotate_body.extend_from_slice(b"b.000001");
        let raw = event(Kind::ROTATE, &rotate_body);
        rotate(&mut read, &Event::parse(&raw, false).unwrap()).unwrap();
        assert_eq!(
            read,
            at("b.000001", 400),
            "the server goes to the beginning of the file and skips"
        );
        *rotate_body.last_mut().unwrap() = b'2';
        let raw = event(Kind::ROTATE, &rotate_body);
        rotate(&mut read, &Event::parse(&raw, false).unwrap()).unwrap();
        assert_eq!(read, at("b.000002", 4));
        let mut raw = event(Kind::HEARTBEAT, b"b.000002");
        raw[13..17].copy_from_slice(&900_u32.to_le_bytes());
        heartbeat(&mut read, &Event::parse(&raw, false).unwrap());
        assert_eq!(read, at("b.000002", 900));
        let mut raw = event(Kind::XID, &[0; 8]);
        raw[13..17].copy_from_slice(&7_u32.to_le_bytes());
        read.offset = 0xFFFF_FFF0;
        advance(&mut read, &Event::parse(&raw, false).unwrap(), true);
        assert_eq!(read.offset, (1 << 32) + 7);
    }
}
