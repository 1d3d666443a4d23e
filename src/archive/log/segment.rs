//! What a segment says about itself: facts, index and trailer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::model::clock::Millis;
use crate::model::ids::IncarnationId;
use crate::model::log::{Change, Prepared};
use crate::model::position::{Moment, Position};
use crate::model::table::TableName;

use crate::archive::data::missing;
use crate::archive::sealed::{Form, FrameKind, ObjectKind, SealedReader, take};
use crate::archive::{Archive, ArchiveError, FORMAT_VERSION, Result};
use crate::storage::{ObjectInfo, ObjectName};

use super::chain::ChainHash;
use super::names::{SegmentName, day_of};

pub(super) const TRAILER_LEN: u64 = 32;
const TRAILER_MAGIC: [u8; 8] = *b"BRINEEND";
/// The most bytes of an index.
pub(super) const MAX_INDEX: usize = 64 << 20;

/// Where a segment begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStart {
    /// Its number.
    pub seq: u64,
    /// Where the chain stands before it.
    pub prev_hash: ChainHash,
    /// The incarnation.
    pub incarnation: IncarnationId,
    /// It holds everything after this moment ...
    pub from: Moment,
    /// ... which is this place.
    pub from_position: Position,
}

/// Where a segment ends, and what is worth knowing of it without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentEnd {
    /// It holds everything up to and including this moment ...
    pub to: Moment,
    /// ... which is this place.
    pub to_position: Position,
    /// What is in it.
    pub index: SegmentIndex,
}

/// What happened to one table within a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableActivity {
    /// The table.
    pub table: TableName,
    /// Transactions that touched it.
    pub transactions: u64,
    /// Rows put.
    pub puts: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Bytes of the changes.
    pub bytes: u64,
}

/// What is in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentIndex {
    /// By table, ordered by name.
    pub tables: Vec<TableActivity>,
    /// Entries worth a look, in order.
    pub changes: Vec<Change>,
    /// Changed rows per stretch of time, in order: the beginning of the stretch and the rows.
    pub rates: Vec<(Millis, u32)>,
    /// What was prepared before it and not decided at its beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_before: Vec<Prepared>,
    /// The same at its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_after: Vec<Prepared>,
    /// How many transactions were prepared in it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prepares: u64,
}

impl SegmentIndex {
    /// Adds the index of the segment that follows.
    pub fn append(&mut self, next: &SegmentIndex) {
        let mut tables: BTreeMap<TableName, TableActivity> = BTreeMap::new();
        for activity in self.tables.drain(..).chain(next.tables.iter().cloned()) {
            match tables.get_mut(&activity.table) {
                None => drop(tables.insert(activity.table.clone(), activity)),
                Some(sum) => {
                    sum.transactions += activity.transactions;
                    sum.puts += activity.puts;
                    sum.deletes += activity.deletes;
                    sum.bytes += activity.bytes;
                }
            }
        }
        self.tables = tables.into_values().collect();
        self.changes.extend_from_slice(&next.changes);
        self.waiting_after.clone_from(&next.waiting_after);
        self.prepares += next.prepares;
        for (at, rows) in &next.rates {
            match self.rates.last_mut() {
                Some((last, sum)) if last == at => *sum = sum.saturating_add(*rows),
                _ => self.rates.push((*at, *rows)),
            }
        }
    }
}

/// A segment as its index describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its name.
    pub name: SegmentName,
    /// The incarnation.
    pub incarnation: IncarnationId,
    /// The place of `name.from`.
    pub from_position: Position,
    /// The place of `name.to`.
    pub to_position: Position,
    /// Where the chain stands before it.
    pub prev_hash: ChainHash,
    /// Where the chain stands after it.
    pub last_hash: ChainHash,
    /// How many entries.
    pub entries: u64,
    /// Bytes of the entries.
    pub raw_bytes: u64,
    /// Pieces of transactions that are too large for memory.
    pub pieces: u64,
    /// What is in it.
    pub index: SegmentIndex,
}

/// The index batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) incarnation: IncarnationId,
    pub(super) from: Moment,
    pub(super) from_position: Position,
    pub(super) to: Moment,
    pub(super) to_position: Position,
    pub(super) prev_hash: ChainHash,
    pub(super) last_hash: ChainHash,
    pub(super) entries: u64,
    pub(super) raw_bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) pieces: u64,
    pub(super) index: SegmentIndex,
}

/// What was written into a segment.
pub(super) struct Contents {
    /// The commit of its last transaction.
    pub(super) last: Option<Moment>,
    pub(super) last_hash: ChainHash,
    pub(super) entries: u64,
    pub(super) raw_bytes: u64,
    pub(super) pieces: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Facts {
    /// Of a segment that is about to be written.
    pub(super) fn of(start: SegmentStart, end: SegmentEnd, contents: Contents) -> Result<Facts> {
        let behind = |m: Moment| m.last_tso() > end.to.last_tso();
        if behind(start.from) || contents.last.is_some_and(behind) {
            return Err(ArchiveError::Unfit {
                what: "a segment",
                why: "it would end before its last transaction".to_owned(),
            });
        }
        Ok(Facts {
            first_seq: start.seq,
            last_seq: start.seq,
            incarnation: start.incarnation,
            from: start.from,
            from_position: start.from_position,
            to: end.to,
            to_position: end.to_position,
            prev_hash: start.prev_hash,
            last_hash: contents.last_hash,
            entries: contents.entries,
            raw_bytes: contents.raw_bytes,
            pieces: contents.pieces,
            index: end.index,
        })
    }

    /// What the file is, by what is in it.
    pub(super) fn form(&self) -> Form {
        match self.pieces {
            0 => ObjectKind::Segment.into(),
            _ => Form {
                kind: ObjectKind::Segment,
                version: FORMAT_VERSION,
            },
        }
    }

    pub(super) fn into_info(self, object: ObjectInfo) -> Result<SegmentInfo> {
        let strange = || ArchiveError::corrupt(&object.name, "its name does not fit its index");
        let expected = SegmentName::file_of(&self);
        if object.name.file() != expected || object.name.dir().last() != day_of(self.to) {
            return Err(ArchiveError::Misplaced {
                object: object.name.to_string(),
                why: format!("its index says that it is {}/{expected}", day_of(self.to)),
            });
        }
        let name = SegmentName::parse(object.clone()).ok_or_else(strange)?;
        Ok(SegmentInfo {
            name,
            incarnation: self.incarnation,
            from_position: self.from_position,
            to_position: self.to_position,
            prev_hash: self.prev_hash,
            last_hash: self.last_hash,
            entries: self.entries,
            raw_bytes: self.raw_bytes,
            pieces: self.pieces,
            index: self.index,
        })
    }
}

/// What the header of a segment is bound to: its full name is not known when the header is written.
pub(super) fn bound_name(first_seq: u64) -> String {
    format!("log-backup/{first_seq:012}")
}

fn trailer_sum(header_hash: u128, bytes: &[u8]) -> u64 {
    let mut sum = Xxh3::new();
    sum.update(&header_hash.to_le_bytes());
    sum.update(bytes);
    sum.digest()
}

pub(super) fn encode_trailer(header_hash: u128, offset: u64, frame: u64) -> Vec<u8> {
    let mut bytes = TRAILER_MAGIC.to_vec();
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(&frame.to_le_bytes());
    let sum = trailer_sum(header_hash, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Offset and frame number of the index batch.
fn decode_trailer(header_hash: u128, bytes: &[u8]) -> Option<(u64, u64)> {
    let sum = trailer_sum(header_hash, bytes.get(..24)?);
    if take::<8>(bytes, 0)? != TRAILER_MAGIC || u64::from_le_bytes(take(bytes, 24)?) != sum {
        return None;
    }
    Some((
        u64::from_le_bytes(take(bytes, 8)?),
        u64::from_le_bytes(take(bytes, 16)?),
    ))
}

pub(super) fn decode_facts(file: &SealedReader, json: &[u8]) -> Result<Facts> {
    serde_json::from_slice(json).map_err(|e| file.corrupt(&e.to_string()))
}

impl Archive {
    /// Reads what a segment says about itself, from its end only.
    pub fn segment_index(&self, name: &SegmentName) -> Result<SegmentInfo> {
        let (mut file, trailer) = self.open_segment(&name.object, name.first_seq)?;
        let cut = || ArchiveError::corrupt(&name.object, "its trailer is damaged or cut");
        let (offset, frame) = decode_trailer(file.header_hash(), &trailer).ok_or_else(cut)?;
        file.seek(offset, frame);
        let Some((FrameKind::Index, json)) = file.next(MAX_INDEX)? else {
            return Err(file.corrupt("its trailer does not lead to its index"));
        };
        if file.next(0)?.is_some() {
            return Err(file.corrupt("frames follow its index"));
        }
        let object = ObjectInfo {
            name: name.object.clone(),
            size: name.size,
        };
        decode_facts(&file, &json)?.into_info(object)
    }

    /// Opens a segment for reading from its beginning; gives its trailer too.
    pub(super) fn open_segment(&self, name: &ObjectName, first_seq: u64) -> Result<(SealedReader, Vec<u8>)> {
        let mut object = self.store().open(name).map_err(|e| missing(name, e))?;
        let end = object.len().checked_sub(TRAILER_LEN);
        let end = end.ok_or_else(|| ArchiveError::corrupt(name, "it is cut: not even its trailer is whole"))?;
        let trailer = object.read_at(end, TRAILER_LEN as usize)?;
        let within = bound_name(first_seq);
        let (kind, id) = (ObjectKind::Segment, self.id());
        let file = SealedReader::open(object, name.as_str(), kind, id, &within, TRAILER_LEN)?;
        Ok((file, trailer))
    }
}
