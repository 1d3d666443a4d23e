//! One transaction of the log, as a segment holds it.

use crate::model::clock::Millis;
use crate::model::position::Moment;
use crate::model::tso::Tso;

use crate::archive::error::ArchiveError;
use crate::archive::sealed::MAX_BATCH;

pub(super) const ENTRY_HEAD: usize = 23;

/// A transaction on its way into a segment.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its commit time; never goes back.
    pub commit: Moment,
    /// GTID or TSO as text.
    pub id: &'a str,
    /// The driver's record.
    pub payload: &'a [u8],
}

/// A transaction read from a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedEntry {
    /// Its commit time.
    pub commit: Moment,
    /// GTID or TSO as text.
    pub id: String,
    /// The driver's record.
    pub payload: Vec<u8>,
}

impl OwnedEntry {
    /// The same, borrowed.
    pub fn borrow(&self) -> Entry<'_> {
        Entry {
            commit: self.commit,
            id: &self.id,
            payload: &self.payload,
        }
    }
}

/// The fixed part before id and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryHead {
    commit: Moment,
    id_len: u16,
    payload_len: u32,
}

impl EntryHead {
    pub(super) fn of(entry: &Entry<'_>) -> Result<EntryHead, ArchiveError> {
        let unfit = |why: String| ArchiveError::Unfit {
            what: "a transaction",
            why,
        };
        let id_len = u16::try_from(entry.id.len()).map_err(|_| unfit("its id is too long".to_owned()))?;
        if ENTRY_HEAD + entry.id.len() + entry.payload.len() > MAX_BATCH {
            return Err(unfit(format!(
                "it has {} bytes, more than {MAX_BATCH}",
                entry.payload.len()
            )));
        }
        Ok(EntryHead {
            commit: entry.commit,
            id_len,
            payload_len: entry.payload.len() as u32,
        })
    }

    pub(super) fn encode(&self) -> [u8; ENTRY_HEAD] {
        let fields = [u8::from(self.commit.tso.is_some())]
            .into_iter()
            .chain(self.commit.at.0.to_le_bytes())
            .chain(self.commit.tso.unwrap_or_default().0.to_le_bytes())
            .chain(self.id_len.to_le_bytes())
            .chain(self.payload_len.to_le_bytes());
        let mut bytes = [0; ENTRY_HEAD];
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads the head at the beginning of `bytes`.
    fn decode(bytes: &[u8]) -> Option<EntryHead> {
        let at = i64::from_le_bytes(part(bytes, 1)?);
        let tso = u64::from_le_bytes(part(bytes, 9)?);
        let tso = match (bytes.first()?, tso) {
            (0, 0) => None,
            (1, tso) => Some(Tso(tso)),
            _ => return None,
        };
        Some(EntryHead {
            commit: Moment { at: Millis(at), tso },
            id_len: u16::from_le_bytes(part(bytes, 17)?),
            payload_len: u32::from_le_bytes(part(bytes, 19)?),
        })
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// One entry within a batch, borrowed.
pub(super) struct RawEntry<'a> {
    pub(super) head: EntryHead,
    pub(super) commit: Moment,
    pub(super) id: &'a str,
    pub(super) payload: &'a [u8],
    /// What follows it.
    pub(super) rest: &'a [u8],
}

/// Takes the first entry off a batch; `None` when it is cut or impossible.
pub(super) fn split_entry(batch: &[u8]) -> Option<RawEntry<'_>> {
    let head = EntryHead::decode(batch)?;
    let (id, rest) = batch.get(ENTRY_HEAD..)?.split_at_checked(head.id_len.into())?;
    let (payload, rest) = rest.split_at_checked(head.payload_len as usize)?;
    Some(RawEntry {
        head,
        commit: head.commit,
        id: std::str::from_utf8(id).ok()?,
        payload,
        rest,
    })
}
