//! The bytes of snapshot records and the small pieces that log records share with them.
//!
//! A snapshot record is `varint key length, varint value length, key, value`; a batch holds whole records.
//! Everything read is checked against what is left: lengths are limits, never allocations.

use crate::cluster::{ClusterError, Codec, Ddl, TableDelta};
use crate::model::checksum::TableChecksum;
use crate::model::position::Position;
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::keys;
use super::record::{self, Change};

/// The largest value of a row.
pub(super) const MAX_VALUE: usize = 64 << 20;

/// Appends a number, seven bits a byte, lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends a length and the bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a table's name.
pub(super) fn put_name(out: &mut Vec<u8>, name: &TableName) {
    put_bytes(out, name.db.as_bytes());
    put_bytes(out, name.table.as_bytes());
}

/// Appends one snapshot record.
pub(super) fn put_row(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    put_varint(out, key.len() as u64);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// Reads from the front of some bytes; every error names what was being read.
pub(super) struct Reader<'a> {
    left: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which are `what`.
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Reader { left: bytes, what }
    }

    /// Whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// How many bytes were not read yet.
    pub(super) fn left(&self) -> usize {
        self.left.len()
    }

    /// The error that these bytes are wrong.
    pub(super) fn bad(&self, why: impl Into<String>) -> ClusterError {
        ClusterError::Malformed {
            what: self.what,
            why: why.into(),
        }
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, ClusterError> {
        let (first, rest) = self.left.split_first().ok_or_else(|| self.bad("it ends too early"))?;
        self.left = rest;
        Ok(*first)
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: u64) -> Result<&'a [u8], ClusterError> {
        let n = usize::try_from(n).ok().filter(|n| *n <= self.left.len());
        let (taken, rest) = n
            .and_then(|n| self.left.split_at_checked(n))
            .ok_or_else(|| self.bad("a length goes beyond the end"))?;
        self.left = rest;
        Ok(taken)
    }

    /// A number.
    pub(super) fn varint(&mut self) -> Result<u64, ClusterError> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            let part = u64::from(b & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            n |= part << shift;
            if b & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(self.bad("a number is too large"))
    }

    /// A length and that many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], ClusterError> {
        let n = self.varint()?;
        self.take(n)
    }

    /// A length and that many bytes of text.
    pub(super) fn text(&mut self) -> Result<String, ClusterError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| self.bad("a text is not UTF-8"))
    }

    /// A table's name.
    pub(super) fn name(&mut self) -> Result<TableName, ClusterError> {
        Ok(TableName::new(self.text()?, self.text()?))
    }

    /// One snapshot record.
    pub(super) fn row(&mut self) -> Result<(&'a [u8], &'a [u8]), ClusterError> {
        let (klen, vlen) = (self.varint()?, self.varint()?);
        let (key, value) = (self.take(klen)?, self.take(vlen)?);
        if key.is_empty() || key.len() > keys::MAX_KEY || value.len() > MAX_VALUE {
            return Err(self.bad("a row is empty or larger than any that can be stored"));
        }
        Ok((key, value))
    }
}

/// What a batch of snapshot records is called in errors.
pub(super) const BATCH: &str = "a batch of rows";

/// Reads the records of embedded clusters.
pub(super) struct EmbeddedCodec;

impl Codec for EmbeddedCodec {
    fn batch_checksum(&self, batch: &[u8]) -> Result<TableChecksum, ClusterError> {
        let mut sum = TableChecksum::default();
        let mut reader = Reader::new(batch, BATCH);
        while !reader.is_empty() {
            let (key, value) = reader.row()?;
            sum.add_row(key, value);
        }
        Ok(sum)
    }

    fn covers(&self, position: &Position, transaction: &str) -> Option<bool> {
        let commit: Tso = transaction.parse().ok()?;
        Some(commit <= position.tso()?)
    }

    fn describe(&self, payload: &[u8]) -> Result<(Vec<TableDelta>, Option<Ddl>), ClusterError> {
        let change = record::parse(payload)?.change;
        let ddl = change.ddl();
        let deltas = match change {
            Change::Rows(tables) => tables.into_iter().map(|(delta, _)| delta).collect(),
            Change::Created(_) | Change::Dropped(..) | Change::Restored => Vec::new(),
        };
        Ok((deltas, ddl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_batch_has_the_checksum_of_its_rows() {
        let (mut batch, mut sum) = (Vec::new(), TableChecksum::default());
        for (k, v) in [("a", "1"), ("b", ""), ("\0", "x")] {
            put_row(&mut batch, k.as_bytes(), v.as_bytes());
            sum.add_row(k.as_bytes(), v.as_bytes());
        }
        assert_eq!(EmbeddedCodec.batch_checksum(&batch).unwrap(), sum);
        for cut in 1..batch.len() {
            let front = EmbeddedCodec.batch_checksum(&batch[..cut]);
            assert!(front.is_err() || front.unwrap().rows < 3);
        }
        assert!(EmbeddedCodec.batch_checksum(&[0, 0]).is_err(), "an empty key");
    }

    proptest! {
        #[test]
        fn numbers_round_trip(n: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, n);
            prop_assert_eq!(Reader::new(&out, "x").varint().unwrap(), n);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = EmbeddedCodec.batch_checksum(&bytes);
        }
    }
}
