//! The logical checksum of a table: rows, bytes and an additive 128-bit hash.
//!
//! It does not depend on the order of rows and can be merged over ranges, so the same value comes out
//! of a live table, its backup and its restored copy. It finds mistakes, not forgers: protection against
//! tampering comes from the archive's own hashes.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Rows, bytes and additive hash of a set of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableChecksum {
    /// How many rows.
    pub rows: u64,
    /// The sum of the rows' bytes (key and value).
    pub bytes: u64,
    /// The sum, modulo 2^128, of the rows' XXH3-128.
    pub hash: u128,
}

impl TableChecksum {
    /// Adds one row. A row's hash covers the length of its key too, so that `("ab","c")` and `("a","bc")` differ.
    pub fn add_row(&mut self, key: &[u8], value: &[u8]) {
        let mut hasher = Xxh3::new();
        hasher.update(&(key.len() as u64).to_le_bytes());
        hasher.update(key);
        hasher.update(value);
        self.add_hashed((key.len() + value.len()) as u64, hasher.digest128());
    }

    /// Adds one row whose whole content is `row`, for sources whose rows have no separate key.
    pub fn add_record(&mut self, row: &[u8]) {
        self.add_hashed(row.len() as u64, xxh3_128(row));
    }

    fn add_hashed(&mut self, bytes: u64, hash: u128) {
        self.rows += 1;
        self.bytes += bytes;
        self.hash = self.hash.wrapping_add(hash);
    }

    /// The hash as 32 hex digits.
    pub fn hex(&self) -> String {
        format!("{:032x}", self.hash)
    }
}

impl Add for TableChecksum {
    type Output = TableChecksum;
    fn add(self, other: TableChecksum) -> TableChecksum {
        TableChecksum {
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            hash: self.hash.wrapping_add(other.hash),
        }
    }
}

impl Sum for TableChecksum {
    fn sum<I: Iterator<Item = TableChecksum>>(parts: I) -> TableChecksum {
        parts.fold(TableChecksum::default(), Add::add)
    }
}

impl fmt::Display for TableChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {} bytes, {:032x}", self.rows, self.bytes, self.hash)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    rows: u64,
    bytes: u64,
    checksum: String,
}

impl Serialize for TableChecksum {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Wire {
            rows: self.rows,
            bytes: self.bytes,
            checksum: self.hex(),
        }
        .serialize(s)
    }
}

impl<'de> Deserialize<'de> for TableChecksum {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let w = Wire::deserialize(d)?;
        let hash = u128::from_str_radix(&w.checksum, 16).map_err(serde::de::Error::custom)?;
        Ok(TableChecksum {
            rows: w.rows,
            bytes: w.bytes,
            hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&str, &str)]) -> TableChecksum {
        let mut sum = TableChecksum::default();
        rows.iter().for_each(|(k, v)| sum.add_row(k.as_bytes(), v.as_bytes()));
        sum
    }

    #[test]
    fn order_does_not_matter_but_content_and_number_do() {
        assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
        assert_ne!(of(&[("a", "1"), ("a", "1")]).hash, 0, "equal rows must not cancel out");
        assert_ne!(of(&[("ab", "c")]), of(&[("a", "bc")]));
        assert_ne!(of(&[("a", "1"), ("b", "2")]), of(&[("a", "2"), ("b", "1")]));
    }

    #[test]
    fn ranges_merge_and_json_round_trips() {
        let whole = of(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(of(&[("a", "1")]) + of(&[("c", "3"), ("b", "2")]), whole);
        let json = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<TableChecksum>(&json).unwrap(), whole);
    }
}
