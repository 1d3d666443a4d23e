//! TABLE_MAP and rows events, as far as is needed to count rows: which table, and how long each value is.

use crate::cluster::ClusterError;
use crate::model::table::TableName;

use super::event::{Cursor, Event, Kind, RowsAct, malformed};

/// What a TABLE_MAP says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMap {
    /// The number by which rows events refer to it.
    pub id: u64,
    /// The table.
    pub table: TableName,
    /// How long the values of each column are; `None` when a type is not known here.
    columns: Option<Vec<Length>>,
}

/// How the length of a value is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// Always so many bytes.
    Fixed(u32),
    /// A length of so many bytes stands before it.
    Prefixed(u8),
}

impl TableMap {
    /// Takes a TABLE_MAP event apart.
    pub fn parse(event: &Event<'_>) -> Result<TableMap, ClusterError> {
        parse_map(event.body).ok_or_else(|| malformed("a table map is cut"))
    }
}

fn parse_map(body: &[u8]) -> Option<TableMap> {
    let mut at = Cursor::new(body);
    let id = at.number(6)?;
    let _flags = at.u16()?;
    let (db, table) = (at.name()?, at.name()?);
    let count = usize::try_from(at.lenenc()?).ok()?;
    let types = at.take(count)?;
    let meta_len = usize::try_from(at.lenenc()?).ok()?;
    let mut meta = Cursor::new(at.take(meta_len)?);
    let columns = types.iter().map(|t| length(*t, &mut meta)).collect();
    Some(TableMap {
        id,
        table: TableName::new(db, table),
        columns,
    })
}

fn length(kind: u8, meta: &mut Cursor<'_>) -> Option<Length> {
    use Length::{Fixed, Prefixed};
    Some(match kind {
        1 | 13 => Fixed(1),
        2 => Fixed(2),
        3 | 7 => Fixed(4),
        4 | 5 => {
            meta.u8()?;
            Fixed(if kind == 4 { 4 } else { 8 })
        }
        6 => Fixed(0),
        8 | 12 => Fixed(8),
        9..=11 | 14 => Fixed(3),
        // VARCHAR, VAR_STRING, and MariaDB's compressed VARCHAR.
        15 | 253 | 141 => Prefixed(if meta.u16()? < 256 { 1 } else { 2 }),
        16 => {
            let (bits, bytes) = (meta.u8()?, meta.u8()?);
            Fixed(u32::from(bytes) + u32::from(bits > 0))
        }
        17 => Fixed(4 + fraction(meta)?),
        18 => Fixed(5 + fraction(meta)?),
        19 => Fixed(3 + fraction(meta)?),
        // VECTOR, JSON, BLOB, GEOMETRY, and MariaDB's compressed BLOB.
        242 | 245 | 252 | 255 | 140 => Prefixed(meta.u8().filter(|n| (1..=4).contains(n))?),
        246 => decimal(meta.u8()?, meta.u8()?)?,
        247 | 248 => {
            meta.u8()?;
            Fixed(meta.u8()?.into())
        }
        254 => string(meta.u8()?, meta.u8()?),
        _ => return None,
    })
}

/// Bytes of the fractional seconds.
fn fraction(meta: &mut Cursor<'_>) -> Option<u32> {
    Some(u32::from(meta.u8()?).div_ceil(2))
}

fn decimal(precision: u8, scale: u8) -> Option<Length> {
    const BYTES: [u32; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
    let digits = |n: u8| Some(u32::from(n / 9) * 4 + BYTES.get(usize::from(n % 9))?);
    Some(Length::Fixed(digits(precision.checked_sub(scale)?)? + digits(scale)?))
}

/// CHAR, ENUM and SET share a type; its real one and the upper bits of the length are mixed.
fn string(first: u8, second: u8) -> Length {
    let (kind, max) = match first & 0x30 {
        0x30 => (first, u16::from(second)),
        mixed => (first | 0x30, u16::from(second) | u16::from(mixed ^ 0x30) << 4),
    };
    match kind {
        247 | 248 => Length::Fixed(max.into()),
        _ => Length::Prefixed(if max < 256 { 1 } else { 2 }),
    }
}

/// The number by which a rows event refers to its table.
pub fn table_id(event: &Event<'_>) -> Option<u64> {
    Cursor::new(event.body).number(6)
}

/// Whether it is the last rows event of its statement.
pub fn ends_statement(event: &Event<'_>) -> bool {
    let mut at = Cursor::new(event.body);
    at.number(6).is_some() && at.u16().is_some_and(|flags| flags & 1 != 0)
}

/// How many rows an event is about; 0 when it holds something that is not known here.
pub(super) fn count(event: &Event<'_>, map: &TableMap) -> u64 {
    let Some(columns) = &map.columns else { return 0 };
    // Updates of parts of a JSON value have a form of their own.
    if event.kind() == Kind::PARTIAL_UPDATE_ROWS {
        return 0;
    }
    walk(event, columns).unwrap_or(0)
}

/// A rows event, opened.
pub(super) struct RowsAt<'a> {
    /// What is behind the bitmaps: the rows.
    pub rows: Cursor<'a>,
    /// The number of columns.
    width: usize,
    /// Which of them are there; of updates, in the rows before ...
    before: &'a [u8],
    /// ... and after.
    after: Option<&'a [u8]>,
}

/// Reads a rows event up to its rows; also one whose rows are compressed.
pub(super) fn rows_at<'a>(kind: Kind, body: &'a [u8]) -> Option<RowsAt<'a>> {
    let mut at = Cursor::new(body);
    at.take(8)?;
    // The second version of the event has room for more between.
    if matches!(kind, Kind(30..=32 | 39 | 169..=171)) {
        let extra = at.u16()?;
        at.take(usize::from(extra).checked_sub(2)?)?;
    }
    let width = usize::try_from(at.lenenc()?).ok()?;
    let bitmap = width.div_ceil(8);
    let before = at.take(bitmap)?;
    let update = matches!(kind, Kind(24 | 31 | 39 | 167 | 170));
    let after = if update { Some(at.take(bitmap)?) } else { None };
    Some(RowsAt {
        rows: at,
        width,
        before,
        after,
    })
}

fn walk(event: &Event<'_>, columns: &[Length]) -> Option<u64> {
    let RowsAt {
        rows: mut at,
        width,
        before,
        after,
    } = rows_at(event.kind(), event.body)?;
    if width != columns.len() {
        return None;
    }
    let present = |bitmap: &[u8]| -> Vec<Length> {
        let there = columns.iter().enumerate().filter(|(i, _)| bit(bitmap, *i));
        there.map(|(_, l)| *l).collect()
    };
    let before = present(before);
    let after = after.map(present);
    let mut rows = 0;
    while !at.rest().is_empty() {
        skip_row(&mut at, &before)?;
        if let Some(after) = &after {
            skip_row(&mut at, after)?;
        }
        rows += 1;
        if before.is_empty() && after.as_ref().is_none_or(Vec::is_empty) {
            return Some(rows);
        }
    }
    Some(rows)
}

fn bit(bitmap: &[u8], at: usize) -> bool {
    bitmap.get(at / 8).is_some_and(|b| b >> (at % 8) & 1 == 1)
}

fn skip_row(at: &mut Cursor<'_>, columns: &[Length]) -> Option<()> {
    let nulls = at.take(columns.len().div_ceil(8))?;
    for (chunk, nulls) in columns.chunks(8).zip(nulls) {
        for (i, length) in chunk.iter().enumerate() {
            if nulls >> i & 1 == 1 {
                continue;
            }
            let len = match length {
                Length::Fixed(n) => *n as usize,
                Length::Prefixed(n) => at.number((*n).into())? as usize,
            };
            at.take(len)?;
        }
    }
    Some(())
}

/// Rows put, of those updated, and deleted by an event.
pub(super) fn effect(act: RowsAct, rows: u64) -> (u64, u64, u64) {
    match act {
        RowsAct::Insert => (rows, 0, 0),
        RowsAct::Update => (rows, rows, 0),
        RowsAct::Delete => (0, 0, rows),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cluster::mysql::binlog::event::{Header, build};
    use proptest::prelude::*;

    /// An event of a kind with a body, without checksum.
    pub(in super::super) fn event(kind: Kind, body: &[u8]) -> Vec<u8> {
        let header = Header {
            timestamp: 1_700_000_000,
            kind,
            server_id: 1,
            size: 0,
            log_pos: 0,
            flags: 0,
        };
        let mut raw = Vec::new();
        build(header, body, false, &mut raw);
        raw
    }

    /// `db.t (INT, VARCHAR(10), DECIMAL(10,2))` under a number.
    pub(in super::super) fn map(id: u8, db: &str, table: &str) -> Vec<u8> {
        let mut body = vec![id, 0, 0, 0, 0, 0, 1, 0];
        for name in [db, table] {
            body.push(name.len() as u8);
            body.extend_from_slice(name.as_bytes());
            body.push(0);
        }
        body.extend_from_slice(&[3, 3, 15, 246, 4, 10, 0, 10, 2, 0b110]);
        event(Kind::TABLE_MAP, &body)
    }

    /// A row of that table: 7, 'ab', and a decimal or NULL.
    fn row(null: bool) -> Vec<u8> {
        let mut row = vec![if null { 0b100 } else { 0 }, 7, 0, 0, 0, 2, b'a', b'b'];
        if !null {
            row.extend_from_slice(&[0x80, 0, 0, 1, 50]);
        }
        row
    }

    pub(in super::super) fn rows(kind: Kind, id: u8, count: usize) -> Vec<u8> {
        let mut body = vec![id, 0, 0, 0, 0, 0, 1, 0, 3, 0xFF];
        let images = match kind.rows().unwrap() {
            RowsAct::Update => {
                body.push(0xFF);
                2
            }
            _ => 1,
        };
        for i in 0..count * images {
            body.extend(row(i % 2 == 1));
        }
        event(kind, &body)
    }

    #[test]
    fn rows_are_counted() {
        let raw = map(9, "db", "t");
        let map = TableMap::parse(&Event::parse(&raw, false).unwrap()).unwrap();
        assert_eq!((map.id, map.table.to_string().as_str()), (9, "db.t"));
        for (kind, n) in [
            (Kind::WRITE_ROWS_V1, 5),
            (Kind::UPDATE_ROWS_V1, 3),
            (Kind::DELETE_ROWS_V1, 1),
        ] {
            let raw = rows(kind, 9, n);
            let event = Event::parse(&raw, false).unwrap();
            assert_eq!(count(&event, &map), n as u64);
            assert_eq!(table_id(&event), Some(9));
            assert!(ends_statement(&event));
            let cut = super::tests::event(kind, &event.body[..event.body.len() - 1]);
            assert_eq!(
                count(&Event::parse(&cut, false).unwrap(), &map),
                0,
                "a wrong length is noticed"
            );
        }
    }

    #[test]
    fn lengths_by_type() {
        let of = |kind, meta: &[u8]| length(kind, &mut Cursor::new(meta));
        assert_eq!(of(254, &[254, 255]), Some(Length::Prefixed(1)));
        assert_eq!(
            of(254, &[0xEE, 0xFC]),
            Some(Length::Prefixed(2)),
            "CHAR(255) of utf8mb4 has 1020 bytes"
        );
        assert_eq!(of(254, &[247, 2]), Some(Length::Fixed(2)));
        assert_eq!(of(246, &[65, 30]), Some(Length::Fixed(16 + 14)));
        assert_eq!(of(18, &[6]), Some(Length::Fixed(8)));
        assert_eq!(of(16, &[3, 1]), Some(Length::Fixed(2)));
        assert_eq!(of(200, &[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted_or_not(
            map in proptest::collection::vec(any::<u8>(), 0..60),
            body in proptest::collection::vec(any::<u8>(), 0..60),
            kind in 20u8..45,
        ) {
            let (map, rows) = (event(Kind::TABLE_MAP, &map), event(Kind(kind), &body));
            if let Ok(map) = TableMap::parse(&Event::parse(&map, false).unwrap()) {
                let _ = count(&Event::parse(&rows, false).unwrap(), &map);
            }
        }
    }
}
