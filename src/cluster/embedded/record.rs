//! The change log's records: one per transaction, written in the same batch as its data.
//!
//! ```text
//! record: version 1, hash of the record before (16 bytes), body
//! body:   1, n tables, n x (name, puts, updates, deletes, bytes, length of ops), ops of each table in turn
//!         2, name, schema, system                       a table was created
//!         3, name, rows                                 a table was dropped
//!         4, n, n x name, m, m x name                   a restore: tables put in place, tables dropped
//! op:     0, key, value                                 put
//!         1, key                                        delete
//! ```
//!
//! Numbers are varints; names, keys, values and texts are preceded by their length. The hash of a record is
//! XXH3-128 over the hash before it, its commit timestamp and its body: a record that is missing, out of
//! order or changed breaks the chain.

use xxhash_rust::xxh3::Xxh3;

use crate::cluster::{ClusterError, Ddl, TableDef, TableDelta};
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::wire::{self, Reader};

const VERSION: u8 = 1;
const TXN: u8 = 1;
const CREATE: u8 = 2;
const DROP: u8 = 3;
const RESTORED: u8 = 4;
const PUT: u8 = 0;
const DELETE: u8 = 1;

/// What a log record is called in errors.
const WHAT: &str = "a record of the change log";

/// The place of a record in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    /// The commit timestamp of the last record.
    pub(super) ts: Tso,
    /// Its hash.
    pub(super) hash: u128,
}

impl Tip {
    /// Before the first record.
    pub(super) const START: Tip = Tip { ts: Tso::ZERO, hash: 0 };

    /// The tip after a record with this body.
    pub(super) fn then(self, ts: Tso, body: &[u8]) -> Tip {
        let mut hasher = Xxh3::new();
        hasher.update(&self.hash.to_le_bytes());
        hasher.update(&ts.0.to_le_bytes());
        hasher.update(body);
        Tip {
            ts,
            hash: hasher.digest128(),
        }
    }
}

/// One table's part of a transaction, being written.
pub(super) struct TableOps {
    /// What is said of it beside the operations.
    pub(super) delta: TableDelta,
    /// The encoded operations.
    pub(super) ops: Vec<u8>,
}

impl TableOps {
    /// Nothing yet.
    pub(super) fn new(table: TableName) -> Self {
        TableOps {
            delta: TableDelta {
                table,
                puts: 0,
                updates: 0,
                deletes: 0,
                bytes: 0,
            },
            ops: Vec::new(),
        }
    }

    /// Adds one row's change.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.delta.bytes += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        match value {
            Some(value) => {
                self.delta.puts += 1;
                self.ops.push(PUT);
                wire::put_bytes(&mut self.ops, key);
                wire::put_bytes(&mut self.ops, value);
            }
            None => {
                self.delta.deletes += 1;
                self.ops.push(DELETE);
                wire::put_bytes(&mut self.ops, key);
            }
        }
    }
}

/// The body of a transaction's record.
pub(super) fn txn_body(tables: &[TableOps]) -> Vec<u8> {
    let mut out = Vec::with_capacity(tables.iter().map(|t| t.ops.len() + 128).sum());
    out.push(TXN);
    wire::put_varint(&mut out, tables.len() as u64);
    for TableOps { delta, ops } in tables {
        wire::put_name(&mut out, &delta.table);
        for n in [delta.puts, delta.updates, delta.deletes, delta.bytes, ops.len() as u64] {
            wire::put_varint(&mut out, n);
        }
    }
    tables.iter().for_each(|t| out.extend_from_slice(&t.ops));
    out
}

/// The body of a created table's record.
pub(super) fn create_body(def: &TableDef) -> Vec<u8> {
    let mut out = vec![CREATE];
    wire::put_name(&mut out, &def.name);
    wire::put_bytes(&mut out, def.schema.as_bytes());
    out.push(u8::from(def.system));
    out
}

/// The body of a dropped table's record.
pub(super) fn drop_body(name: &TableName, rows: u64) -> Vec<u8> {
    let mut out = vec![DROP];
    wire::put_name(&mut out, name);
    wire::put_varint(&mut out, rows);
    out
}

/// The body of a restore's record.
pub(super) fn restored_body(placed: &[TableName], dropped: &[TableName]) -> Vec<u8> {
    let mut out = vec![RESTORED];
    for names in [placed, dropped] {
        wire::put_varint(&mut out, names.len() as u64);
        names.iter().for_each(|n| wire::put_name(&mut out, n));
    }
    out
}

/// A whole record.
pub(super) fn record(before: Tip, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(17 + body.len());
    out.push(VERSION);
    out.extend_from_slice(&before.hash.to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// A record taken apart.
pub(super) struct Parsed<'a> {
    /// The hash of the record before.
    pub(super) before: u128,
    /// The body, for the chain.
    pub(super) body: &'a [u8],
    /// What it says.
    pub(super) change: Change<'a>,
}

impl Parsed<'_> {
    /// The chain's end after this record.
    pub(super) fn tip(&self, ts: Tso) -> Tip {
        let before = Tip {
            ts: Tso::ZERO,
            hash: self.before,
        };
        before.then(ts, self.body)
    }
}

/// What a record says.
pub(super) enum Change<'a> {
    /// Rows changed.
    Rows(Vec<(TableDelta, &'a [u8])>),
    /// A table was created.
    Created(TableDef),
    /// A table was dropped, with so many rows.
    Dropped(TableName, u64),
    /// A restore was published.
    Restored,
}

impl Change<'_> {
    /// The schema change as an operator would have written it.
    pub(super) fn ddl(&self) -> Option<Ddl> {
        let (verb, table, rows) = match self {
            Change::Created(def) => ("CREATE", &def.name, 0),
            Change::Dropped(name, rows) => ("DROP", name, *rows),
            Change::Rows(_) | Change::Restored => return None,
        };
        Some(Ddl {
            text: format!("{verb} TABLE {table}"),
            table: Some(table.clone()),
            rows,
        })
    }
}

/// Takes a record apart; the operations stay encoded.
pub(super) fn parse(record: &[u8]) -> Result<Parsed<'_>, ClusterError> {
    let mut reader = Reader::new(record, WHAT);
    if reader.byte()? != VERSION {
        return Err(reader.bad("its version is unknown; it was written by a newer brine"));
    }
    let before = reader.take(16)?.try_into().map(u128::from_le_bytes);
    let before = before.map_err(|_| reader.bad("it ends too early"))?;
    let body = record.get(17..).unwrap_or_default();
    let change = match reader.byte()? {
        TXN => Change::Rows(parse_tables(&mut reader)?),
        CREATE => Change::Created(TableDef {
            name: reader.name()?,
            schema: reader.text()?,
            system: reader.byte()? != 0,
        }),
        DROP => Change::Dropped(reader.name()?, reader.varint()?),
        RESTORED => {
            for _ in 0..2 {
                for _ in 0..reader.varint()? {
                    reader.name()?;
                }
            }
            Change::Restored
        }
        kind => return Err(reader.bad(format!("its kind {kind} is unknown"))),
    };
    if !reader.is_empty() {
        return Err(reader.bad("it has bytes after its end"));
    }
    Ok(Parsed { before, body, change })
}

fn parse_tables<'a>(reader: &mut Reader<'a>) -> Result<Vec<(TableDelta, &'a [u8])>, ClusterError> {
    let mut heads = Vec::new();
    for _ in 0..reader.varint()? {
        let delta = TableDelta {
            table: reader.name()?,
            puts: reader.varint()?,
            updates: reader.varint()?,
            deletes: reader.varint()?,
            bytes: reader.varint()?,
        };
        heads.push((delta, reader.varint()?));
    }
    heads
        .into_iter()
        .map(|(delta, len)| Ok((delta, reader.take(len)?)))
        .collect()
}

/// Walks the operations of one table in a transaction.
pub(super) struct Ops<'a>(Reader<'a>);

impl<'a> Ops<'a> {
    /// The operations that [`Change::Rows`] gave.
    pub(super) fn new(ops: &'a [u8]) -> Self {
        Ops(Reader::new(ops, WHAT))
    }

    /// The next key with its new value, or `None` for a deleted row.
    #[allow(clippy::type_complexity)] // a row's change: its key, and its value unless it was deleted
    pub(super) fn next(&mut self) -> Result<Option<(&'a [u8], Option<&'a [u8]>)>, ClusterError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let kind = self.0.byte()?;
        let key = self.0.bytes()?;
        if key.is_empty() || key.len() > super::keys::MAX_KEY {
            return Err(self.0.bad("a key is empty or too long"));
        }
        let value = match kind {
            PUT => Some(self.0.bytes()?),
            DELETE => None,
            kind => return Err(self.0.bad(format!("an operation of kind {kind} is unknown"))),
        };
        Ok(Some((key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_transaction_survives_encoding() {
        let mut ops = TableOps::new(TableName::new("a.b", "c"));
        ops.push(b"k", Some(b"v"));
        ops.push(b"d", None);
        let body = txn_body(&[ops]);
        let bytes = record(Tip { ts: Tso(1), hash: 7 }, &body);
        let parsed = parse(&bytes).unwrap();
        assert_eq!((parsed.before, parsed.body), (7, &body[..]));
        let Change::Rows(tables) = parsed.change else { panic!() };
        let (delta, ops) = &tables[0];
        assert_eq!((delta.puts, delta.deletes, delta.bytes), (1, 1, 3));
        let mut ops = Ops::new(ops);
        assert_eq!(ops.next().unwrap(), Some((&b"k"[..], Some(&b"v"[..]))));
        assert_eq!(ops.next().unwrap(), Some((&b"d"[..], None)));
        assert_eq!(ops.next().unwrap(), None);
    }

    #[test]
    fn every_cut_is_an_error() {
        let mut ops = TableOps::new(TableName::new("d", "t"));
        ops.push(b"key", Some(b"value"));
        let def = TableDef {
            name: TableName::new("d", "t"),
            schema: "{}".into(),
            system: false,
        };
        let names = [TableName::new("d", "t")];
        for body in [
            txn_body(&[ops]),
            create_body(&def),
            drop_body(&def.name, 9),
            restored_body(&names, &names),
        ] {
            let bytes = record(Tip::START, &body);
            assert!(parse(&bytes).is_ok());
            for cut in 0..bytes.len() {
                assert!(parse(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn the_chain_sees_order_time_and_content() {
        let (a, b) = (Tip::START.then(Tso(1), b"a"), Tip::START.then(Tso(2), b"a"));
        assert_ne!(a.hash, b.hash);
        assert_ne!(a.then(Tso(3), b"x").hash, b.then(Tso(3), b"x").hash);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            if let Some(first) = bytes.first_mut() { *first = VERSION; }
            if let Ok(Parsed { change: Change::Rows(tables), .. }) = parse(&bytes) {
                for (_, ops) in tables {
                    let mut ops = Ops::new(ops);
                    while let Ok(Some(_)) = ops.next() {}
                }
            }
        }
    }
}
