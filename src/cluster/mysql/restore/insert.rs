//! Rows from snapshot records into a table: bulk execution on MariaDB, `INSERT` of many rows elsewhere.
//!
//! Bulk execution takes the values as the server gave them: only an indicator byte is put before each. In a statement they are
//! hex literals with a character set, which a server takes as bytes of exactly that set, whatever its modes are.
//!
//! *Invariant: every row that was sent is in the table afterwards, or there is an error; a warning is an error too.*

use crate::cluster::ClusterError;
use crate::cluster::mysql::schema::table::{ColumnWay, TableKind, TableSchema};
use crate::cluster::mysql::snapshot::record;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Done, ParamType, Statement};
use crate::model::table::TableName;

/// About how much goes into one transaction: more is no faster, and less costs a commit.
const BATCH: usize = 1 << 20;
/// The warning for an ENUM whose value is none of its members: an empty string in the backup, and again in the table. Where
/// it means a value that was cut, the comparison after the load finds it.
const ENUM_WITHOUT_MEMBER: u64 = 1265;
/// MySQL warns of a transaction over several engines, and takes statements that commit by themselves for one when tables
/// without transactions are written one after the other (9.7). It says nothing of values.
const ENGINES_TOGETHER: u64 = 6414;
/// About how much goes into a statement as text, which is twice as long as its values.
const TEXT_BATCH: usize = 512 << 10;

/// Writes rows into one table.
pub(super) struct Inserter {
    conn: Conn,
    head: String,
    ways: Vec<ColumnWay>,
    prepared: Option<(Statement, Vec<ParamType>)>,
    limit: usize,
    name: String,
    buffer: Vec<u8>,
    text: String,
    count: u64,
}

fn malformed() -> ClusterError {
    ClusterError::Malformed {
        what: "a row of the backup",
        why: "its values are not those of the table's columns".to_owned(),
    }
}

impl Inserter {
    /// For a table that has another name than at the source.
    pub fn new(mut conn: Conn, schema: &TableSchema, into: &TableName) -> Result<Inserter, ClusterError> {
        let columns: Vec<String> = schema.columns.iter().map(|c| text::ident(&c.name)).collect();
        let table = text::table(&into.db, &into.table);
        let head = format!("INSERT INTO {table} ({}) VALUES ", columns.join(","));
        let doing = || format!("preparing to write rows of {table}");
        let allowed = conn
            .row("SELECT @@GLOBAL.max_allowed_packet")
            .map_err(|e| e.doing(doing()))?
            .map_or(BATCH as u64, |r| r.number(0));
        let bulk = conn.has_bulk() && schema.kind != TableKind::Sequence;
        let prepared = if bulk {
            let marks = vec!["?"; columns.len()].join(",");
            let statement = conn
                .prepare(&format!("{head}({marks})"))
                .map_err(|e| e.doing(doing()))?;
            let types = schema.columns.iter().map(|c| param(c.way)).collect();
            Some((statement, types))
        } else {
            None
        };
        let batch = if bulk { BATCH } else { TEXT_BATCH };
        Ok(Inserter {
            conn,
            head,
            ways: schema.columns.iter().map(|c| c.way).collect(),
            prepared,
            limit: batch.min(usize::try_from(allowed / 2).unwrap_or(batch)),
            name: table,
            buffer: Vec::new(),
            text: String::new(),
            count: 0,
        })
    }

    /// Writes a batch of records.
    pub fn put(&mut self, batch: &[u8]) -> Result<(), ClusterError> {
        for row in record::rows(batch) {
            let row = row?;
            if self.count > 0 && self.size() + row.len() > self.limit {
                self.flush()?;
            }
            match self.prepared {
                Some(_) => encode_bulk(row, self.ways.len(), &mut self.buffer)?,
                None => {
                    let first = self.count == 0;
                    if first {
                        self.text.push_str(&self.head);
                    }
                    encode_text(row, &self.ways, first, &mut self.text)?;
                }
            }
            self.count += 1;
            if self.size() > 4 * BATCH {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.buffer.len() + self.text.len()
    }

    /// Writes what is left, and gives the connection back.
    pub fn finish(mut self) -> Result<Conn, ClusterError> {
        self.flush()?;
        if let Some((statement, _)) = self.prepared.take() {
            self.conn
                .close_statement(statement)
                .map_err(|e| e.doing(format!("writing rows of {}", self.name)))?;
        }
        Ok(self.conn)
    }

    fn flush(&mut self) -> Result<(), ClusterError> {
        if self.count == 0 {
            return Ok(());
        }
        let done = match &self.prepared {
            Some((statement, types)) => self.conn.bulk(statement, types, &self.buffer, self.count),
            None => self.conn.run(&self.text),
        };
        let done = done.map_err(|e| e.doing(format!("writing rows of {}", self.name)))?;
        self.check(done)?;
        self.buffer.clear();
        self.text.clear();
        // One huge row must not keep its memory.
        self.buffer.shrink_to(4 * BATCH);
        self.text.shrink_to(4 * BATCH);
        self.count = 0;
        Ok(())
    }

    fn check(&mut self, done: Done) -> Result<(), ClusterError> {
        if done.warnings > 0 {
            let rows = self
                .conn
                .rows("SHOW WARNINGS LIMIT 5")
                .map_err(|e| e.doing(format!("reading the warnings for rows of {}", self.name)))?;
            let harmless = |code: u64| matches!(code, ENUM_WITHOUT_MEMBER | ENGINES_TOGETHER);
            if let Some(row) = rows.iter().find(|r| r.text(0) != "Note" && !harmless(r.number(1))) {
                return Err(ClusterError::Server {
                    doing: format!("writing rows of {}", self.name),
                    code: u16::try_from(row.number(1)).unwrap_or(0),
                    state: "warning".to_owned(),
                    message: row.text(2),
                    hint: "; a value would not be the same as at the source".to_owned(),
                });
            }
        }
        if done.affected != self.count {
            return Err(ClusterError::Malformed {
                what: "the server's answer to rows that were written",
                why: format!("{} were sent, {} taken, into {}", self.count, done.affected, self.name),
            });
        }
        Ok(())
    }
}

fn param(way: ColumnWay) -> ParamType {
    match way {
        ColumnWay::Bytes | ColumnWay::Float => ParamType::Blob,
        ColumnWay::Text | ColumnWay::Json => ParamType::Text,
    }
}

/// The length of a length-encoded string, its length bytes included.
fn cell_size(cell: &[u8]) -> Option<usize> {
    let number = |n: usize| -> Option<usize> {
        let bytes = cell.get(1..1 + n)?;
        let value = bytes.iter().rev().fold(0_u64, |v, b| v << 8 | u64::from(*b));
        usize::try_from(value).ok()?.checked_add(1 + n)
    };
    match *cell.first()? {
        0xFC => number(2),
        0xFD => number(3),
        0xFE => number(8),
        0xFB | 0xFF => None,
        short => Some(usize::from(short) + 1),
    }
}

/// A row as bulk execution wants it: an indicator byte before each value, none behind a NULL.
fn encode_bulk(row: &[u8], columns: usize, out: &mut Vec<u8>) -> Result<(), ClusterError> {
    let mut rest = row;
    for _ in 0..columns {
        if rest.first() == Some(&0xFB) {
            out.push(1);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let (cell, tail) = cell_size(rest)
            .and_then(|n| rest.split_at_checked(n))
            .ok_or_else(malformed)?;
        out.push(0);
        out.extend_from_slice(cell);
        rest = tail;
    }
    match rest.is_empty() {
        true => Ok(()),
        false => Err(malformed()),
    }
}

/// A row as part of an `INSERT`.
fn encode_text(row: &[u8], ways: &[ColumnWay], first: bool, out: &mut String) -> Result<(), ClusterError> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS.get(usize::from(n)).copied().unwrap_or(b'0'));
    out.push_str(if first { "(" } else { ",(" });
    let mut cells = record::cells(row);
    for (at, way) in ways.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let Some(value) = cells.next().ok_or_else(malformed)? else {
            out.push_str("NULL");
            continue;
        };
        out.push_str(match way {
            ColumnWay::Bytes | ColumnWay::Float => "_binary x'",
            ColumnWay::Text | ColumnWay::Json => "_utf8mb4 x'",
        });
        out.reserve(value.len() * 2 + 1);
        for b in value {
            out.push(digit(b >> 4));
            out.push(digit(b & 15));
        }
        out.push('\'');
    }
    out.push(')');
    match cells.next() {
        None => Ok(()),
        Some(_) => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(cells: &[Option<Vec<u8>>]) -> Vec<u8> {
        let mut row = Vec::new();
        for cell in cells {
            match cell {
                None => row.push(0xFB),
                Some(c) if c.len() < 251 => {
                    row.push(c.len() as u8);
                    row.extend_from_slice(c);
                }
                Some(c) if c.len() < 1 << 16 => {
                    row.push(0xFC);
                    row.extend_from_slice(&(c.len() as u16).to_le_bytes());
                    row.extend_from_slice(c);
                }
                Some(c) => {
                    row.push(0xFD);
                    row.extend_from_slice((c.len() as u32).to_le_bytes().get(..3).unwrap());
                    row.extend_from_slice(c);
                }
            }
        }
        row
    }

    #[test]
    fn a_row_becomes_a_literal() {
        let mut out = String::new();
        let ways = [ColumnWay::Bytes, ColumnWay::Text, ColumnWay::Float];
        encode_text(
            &row(&[Some(b"a'".to_vec()), None, Some(b"1.5".to_vec())]),
            &ways,
            true,
            &mut out,
        )
        .unwrap();
        assert_eq!(out, "(_binary x'6127',NULL,_binary x'312e35')");
    }

    #[test]
    fn too_many_and_too_few_values_are_errors() {
        let two = row(&[None, Some(vec![1])]);
        assert!(encode_bulk(&two, 1, &mut Vec::new()).is_err());
        assert!(encode_bulk(&two, 3, &mut Vec::new()).is_err());
        let ways = [ColumnWay::Bytes; 3];
        assert!(encode_text(&two, &ways, true, &mut String::new()).is_err());
        assert!(encode_text(&two, ways.get(..1).unwrap(), true, &mut String::new()).is_err());
    }

    proptest! {
        #[test]
        fn values_are_copied_whole(cells in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)), 0..6), large in any::<bool>()) {
            let mut cells = cells;
            if large {
                cells.push(Some(vec![7; 70_000]));
            }
            let mut out = Vec::new();
            encode_bulk(&row(&cells), cells.len(), &mut out).unwrap();
            let mut expected = Vec::new();
            for cell in &cells {
                expected.push(u8::from(cell.is_none()));
                if cell.is_some() {
                    expected.extend(row(std::slice::from_ref(cell)));
                }
            }
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..40), columns in 0_usize..5) {
            let _ = encode_bulk(&bytes, columns, &mut Vec::new());
            let _ = encode_text(&bytes, &vec![ColumnWay::Bytes; columns], true, &mut String::new());
        }
    }
}
