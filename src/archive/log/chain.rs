//! The hash chain over log entries.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::ids::IncarnationId;
use crate::model::position::Moment;

use super::entry::EntryHead;

/// Where the chain stands: the hash over all entries so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// The beginning of a run.
    pub fn start(incarnation: IncarnationId, from: Moment) -> ChainHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"brine log run");
        hasher.update(&incarnation.0.to_le_bytes());
        hasher.update(&from.at.0.to_le_bytes());
        hasher.update(&[u8::from(from.tso.is_some())]);
        hasher.update(&from.tso.unwrap_or_default().0.to_le_bytes());
        ChainHash(*hasher.finalize().as_bytes())
    }

    /// The chain after one more entry.
    pub(super) fn after(self, head: &EntryHead, id: &[u8], payload: &[u8]) -> ChainHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&head.encode());
        hasher.update(id);
        hasher.update(payload);
        ChainHash(*hasher.finalize().as_bytes())
    }

    /// As 64 hex digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The first 16 hex digits: enough for a name.
    pub(super) fn short(&self) -> String {
        self.0.iter().take(8).map(|b| format!("{b:02x}")).collect()
    }

    /// Reads 64 hex digits.
    pub fn from_hex(hex: &str) -> Option<ChainHash> {
        if hex.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        // Refuses signs and upper case, so that a hash has one spelling.
        let hash = ChainHash(bytes);
        (hash.hex() == hex).then_some(hash)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({})", self.short())
    }
}

impl Serialize for ChainHash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(d)?;
        ChainHash::from_hex(&hex).ok_or_else(|| serde::de::Error::custom("not a chain hash: 64 hex digits"))
    }
}
