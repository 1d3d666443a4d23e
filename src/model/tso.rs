//! The timestamp oracle's 64-bit timestamps.
//!
//! Layout as in TiDB: physical milliseconds since the Unix epoch `<< 18`, plus an 18-bit counter.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::clock::Millis;

/// How many bits the logical counter takes.
pub const LOGICAL_BITS: u32 = 18;

/// A 64-bit timestamp: physical milliseconds `<< 18` plus an 18-bit counter.
///
/// In JSON it is a string, because its 63 bits do not fit a double.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tso(pub u64);

impl Tso {
    /// Before everything.
    pub const ZERO: Tso = Tso(0);
    /// After everything.
    pub const MAX: Tso = Tso(u64::MAX);

    /// The first timestamp of a millisecond.
    pub fn from_millis(ms: Millis) -> Tso {
        Tso((ms.0.max(0) as u64) << LOGICAL_BITS)
    }

    /// The last timestamp of a millisecond: everything that happened in it is at or before this.
    pub fn last_of_millis(ms: Millis) -> Tso {
        Tso(Tso::from_millis(ms).0 | ((1 << LOGICAL_BITS) - 1))
    }

    /// The physical part, in milliseconds since the Unix epoch.
    pub fn millis(self) -> Millis {
        Millis((self.0 >> LOGICAL_BITS) as i64)
    }

    /// The counter within the millisecond.
    pub fn logical(self) -> u32 {
        (self.0 & ((1 << LOGICAL_BITS) - 1)) as u32
    }

    /// The timestamp just after this one.
    pub fn next(self) -> Tso {
        Tso(self.0.saturating_add(1))
    }

    /// The timestamp just before this one.
    pub fn prev(self) -> Tso {
        Tso(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Tso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Tso {
    type Err = ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Tso)
    }
}

impl Serialize for Tso {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tso {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_into_milliseconds_and_counter() {
        let t = Tso::from_millis(Millis(1_700_000_000_123));
        assert_eq!(t.millis(), Millis(1_700_000_000_123));
        assert_eq!(t.logical(), 0);
        assert_eq!(t.next().logical(), 1);
        assert_eq!(Tso::last_of_millis(Millis(5)).next(), Tso::from_millis(Millis(6)));
    }

    #[test]
    fn json_keeps_all_bits() {
        let t = Tso(u64::MAX - 1);
        let json = serde_json::to_string(&t).unwrap();
        assert_eq!(json, "\"18446744073709551614\"");
        assert_eq!(serde_json::from_str::<Tso>(&json).unwrap(), t);
    }
}
