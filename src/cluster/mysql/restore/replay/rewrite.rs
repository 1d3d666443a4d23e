//! Events made ready for another database: table maps with the name of the shadow and a number of ours, rows events with
//! that number.
//!
//! The source numbers tables anew after a restart and after every change of a definition; a batch may span both. So each
//! table map that says something new gets a number of its own here.

use std::collections::HashMap;

use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::event::{Event, HEADER, Header, build};
use crate::cluster::mysql::restore::names::{Shadows, is_system};
use crate::cluster::mysql::sql::rename::NewNames;
use crate::cluster::mysql::sql::view::Places;
use crate::model::table::TableName;

/// The flag of the last rows event of a statement.
pub(super) const STATEMENT_END: u16 = 1;
/// The flag of rows that were written without checks of foreign keys.
pub(super) const NO_FOREIGN_KEYS: u16 = 2;
/// The flag of rows whose foreign keys the server looked after itself, above its engines (MySQL 9.6): what cascaded is in
/// the log row by row, and a REPLACE let children live that a replayed DELETE of their parent would take along.
const CASCADES_LOGGED: u16 = 16;
/// Number and flags at the beginning of a table map or rows event.
const FIXED: usize = 8;

pub(super) fn malformed(why: &str) -> ClusterError {
    ClusterError::Malformed {
        what: "a record of the change log",
        why: why.to_owned(),
    }
}

/// The numbers that were given.
#[derive(Default)]
pub(super) struct Numbers {
    given: HashMap<Vec<u8>, u64>,
}

impl Numbers {
    /// A table map for the table `db`.`table`, with its number. The same content gets the same number.
    pub fn map(&mut self, event: &Event<'_>, db: &str, table: &str) -> Result<(u64, Vec<u8>), ClusterError> {
        let cut = || malformed("a table map is cut");
        let flags = event.body.get(6..FIXED).ok_or_else(cut)?;
        let rest = event.body.get(FIXED..).and_then(behind_name).and_then(behind_name);
        let mut content = flags.to_vec();
        for name in [db, table] {
            content.push(u8::try_from(name.len()).map_err(|_| malformed("a name is too long"))?);
            content.extend_from_slice(name.as_bytes());
            content.push(0);
        }
        content.extend_from_slice(rest.ok_or_else(cut)?);
        let next = self.given.len() as u64 + 1;
        let number = *self.given.entry(content.clone()).or_insert(next);
        let mut body = number.to_le_bytes().get(..6).unwrap_or_default().to_vec();
        body.append(&mut content);
        let mut out = Vec::new();
        build(plain(event.header), &body, false, &mut out);
        Ok((number, out))
    }
}

/// What is behind a name: a length of one byte, the text, a zero.
fn behind_name(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*bytes.first()?);
    bytes.get(length + 2..)
}

/// A header for an event that is in no file.
fn plain(header: Header) -> Header {
    Header { log_pos: 0, ..header }
}

/// The number and the flags of a rows event.
pub(super) fn number_and_flags(event: &Event<'_>) -> Option<(u64, u16)> {
    let (id, flags) = event.body.get(..FIXED)?.split_at(6);
    let number = id.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    Some((number, u16::from_le_bytes(flags.try_into().ok()?)))
}

/// Whether rows that these ones took along are in the log too.
pub(super) fn cascades_are_logged(flags: u16) -> bool {
    flags & CASCADES_LOGGED != 0
}

/// The flags with which rows are replayed: exactly these rows, where the log holds what cascaded as well.
pub(super) fn replayed(flags: u16) -> u16 {
    match flags & CASCADES_LOGGED {
        0 => flags,
        _ => flags & !CASCADES_LOGGED | NO_FOREIGN_KEYS,
    }
}

/// Appends a rows event with another number, and without the end of its statement; returns where its flags are.
pub(super) fn rows(event: &Event<'_>, number: u64, out: &mut Vec<u8>) -> Result<usize, ClusterError> {
    let cut = || malformed("a rows event is cut");
    let (_, flags) = number_and_flags(event).ok_or_else(cut)?;
    let rest = event.body.get(FIXED..).ok_or_else(cut)?;
    let start = out.len();
    let header = Header {
        size: u32::try_from(HEADER + event.body.len()).map_err(|_| malformed("an event is too large"))?,
        ..plain(event.header)
    };
    out.reserve(HEADER + event.body.len());
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(number.to_le_bytes().get(..6).unwrap_or_default());
    out.extend_from_slice(&(replayed(flags) & !STATEMENT_END).to_le_bytes());
    out.extend_from_slice(rest);
    Ok(start + HEADER + 6)
}

/// The names in the shadows. Every database has a shadow here, whether anything of it is restored or not: a statement can
/// never reach a live table.
pub(super) struct InShadows<'a>(pub &'a Shadows);

impl InShadows<'_> {
    /// That of a database.
    pub fn of(&self, db: &str) -> String {
        match self.0.shadow(db) {
            Some(shadow) => shadow.to_owned(),
            None => self.0.none(),
        }
    }
}

impl NewNames for InShadows<'_> {
    fn table(&self, db: &str, table: &str) -> Option<(String, String)> {
        Some((self.of(db), table.to_owned()))
    }

    fn database(&self, db: &str) -> Option<String> {
        Some(self.of(db))
    }
}

impl Places for InShadows<'_> {
    fn place(&self, db: &str) -> Option<String> {
        (!is_system(db)).then(|| self.of(db))
    }

    fn db(&self, place: &str) -> Option<String> {
        self.0.source(place).map(str::to_owned)
    }
}

/// A statement that brings rows from a table that is not restored.
pub(super) fn not_chosen(other: &TableName, chosen: &TableName, id: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: format!("transaction {id} makes {chosen} out of {other}, which is not chosen"),
        hint: format!("choose it too: --filter {other}"),
    }
}

/// A statement that brings rows, where only rows are replayed.
pub(super) fn statement_based(id: &str, sql: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: format!(
            "transaction {id} was logged as a statement, not as rows: {}",
            crate::model::text::safe(sql, 120)
        ),
        hint: "restore to a moment before it; set binlog_format=ROW at the source and take a new snapshot".to_owned(),
    }
}

/// A statement whose names are not found.
pub(super) fn odd(id: &str, sql: &str, why: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: format!(
            "the statement of transaction {id} is not understood ({why}): {}",
            crate::model::text::safe(sql, 120)
        ),
        hint: "restore to just before it (--before), or from a newer base".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::binlog::event::Kind;
    use crate::cluster::mysql::binlog::rows::TableMap;
    use proptest::prelude::*;

    fn event(kind: Kind, body: &[u8]) -> Vec<u8> {
        let header = Header {
            timestamp: 1,
            kind,
            server_id: 2,
            size: 0,
            log_pos: 77,
            flags: 0,
        };
        let mut out = Vec::new();
        build(header, body, true, &mut out);
        out
    }

    fn map_body(id: u64, db: &str, table: &str) -> Vec<u8> {
        let mut body = id.to_le_bytes()[..6].to_vec();
        body.extend([1, 0]);
        for name in [db, table] {
            body.push(name.len() as u8);
            body.extend(name.as_bytes());
            body.push(0);
        }
        body.extend([1, 3, 0, 1]);
        body
    }

    #[test]
    fn a_map_names_the_shadow_and_keeps_the_columns() {
        let mut numbers = Numbers::default();
        let raw = event(Kind::TABLE_MAP, &map_body(300, "shop", "t"));
        let (n, out) = numbers
            .map(&Event::parse(&raw, true).unwrap(), "_brine_1_0", "t")
            .unwrap();
        let made = Event::parse(&out, false).unwrap();
        let map = TableMap::parse(&made).unwrap();
        assert_eq!((map.id, map.table.to_string()), (n, "_brine_1_0.t".to_owned()));
        assert_eq!(made.body[made.body.len() - 4..], [1, 3, 0, 1]);
        let again = event(Kind::TABLE_MAP, &map_body(9, "shop", "t"));
        assert_eq!(
            numbers
                .map(&Event::parse(&again, true).unwrap(), "_brine_1_0", "t")
                .unwrap()
                .0,
            n,
            "after a restart of the source"
        );
        let other = event(Kind::TABLE_MAP, &map_body(300, "shop", "u"));
        assert_ne!(
            numbers
                .map(&Event::parse(&other, true).unwrap(), "_brine_1_0", "u")
                .unwrap()
                .0,
            n
        );
    }

    proptest! {
        #[test]
        fn rows_stay_as_they_are(payload in proptest::collection::vec(any::<u8>(), 0..50), id in 0_u64..1 << 40, flags in 0_u16..64, number in 0_u64..1 << 40) {
            let mut body = id.to_le_bytes()[..6].to_vec();
            body.extend(flags.to_le_bytes());
            body.extend(&payload);
            let raw = event(Kind::WRITE_ROWS_V1, &body);
            let parsed = Event::parse(&raw, true).unwrap();
            prop_assert_eq!(number_and_flags(&parsed), Some((id, flags)));
            let mut out = vec![9; 3];
            let at = rows(&parsed, number, &mut out).unwrap();
            prop_assert_eq!(at, 3 + HEADER + 6);
            let made = Event::parse(&out[3..], false).unwrap();
            prop_assert_eq!(number_and_flags(&made), Some((number, replayed(flags) & !STATEMENT_END)));
            prop_assert_eq!(&made.body[8..], &payload[..]);
        }

        #[test]
        fn any_body_is_safe(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let raw = event(Kind::TABLE_MAP, &body);
            let parsed = Event::parse(&raw, true).unwrap();
            let _ = Numbers::default().map(&parsed, "a", "b");
            let _ = rows(&parsed, 1, &mut Vec::new());
        }
    }
}
