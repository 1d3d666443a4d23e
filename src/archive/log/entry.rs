//! One transaction of the log, as a segment holds it.

use crate::model::clock::Millis;
use crate::model::position::Moment;
use crate::model::tso::Tso;

use crate::archive::error::ArchiveError;
use crate::archive::sealed::MAX_BATCH;

pub(super) const ENTRY_HEAD: usize = 23;
/// The number of pieces at the beginning of an opening's payload.
const COUNT: usize = 8;

const HAS_TSO: u8 = 1;
const OPENS: u8 = 2;
const PIECE: u8 = 4;

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
    /// The driver's record; of a transaction in pieces, its opening.
    pub payload: Vec<u8>,
    /// How many pieces of it follow.
    pub pieces: u64,
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

/// What is read from a segment.
#[derive(Debug)]
pub(super) enum Read {
    /// A transaction, or the opening of one.
    Entry(OwnedEntry),
    /// A piece of the one before.
    Piece(Moment, Vec<u8>),
}

impl Read {
    pub(super) fn commit(&self) -> Moment {
        match self {
            Read::Entry(entry) => entry.commit,
            Read::Piece(commit, _) => *commit,
        }
    }

    /// Bytes of the driver's.
    pub(super) fn len(&self) -> usize {
        match self {
            Read::Entry(entry) => entry.payload.len(),
            Read::Piece(_, bytes) => bytes.len(),
        }
    }
}

/// What an entry is of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// All of it.
    Whole,
    /// Its beginning; the payload begins with the number of pieces.
    Opening,
    /// One of its pieces.
    Piece,
}

/// The payload of an opening.
pub(super) fn opening(pieces: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(COUNT + payload.len());
    out.extend_from_slice(&pieces.to_le_bytes());
    out.extend_from_slice(payload);
    out
}

/// The fixed part before id and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryHead {
    role: Role,
    commit: Moment,
    id_len: u16,
    payload_len: u32,
}

impl EntryHead {
    pub(super) fn of(role: Role, entry: &Entry<'_>) -> Result<EntryHead, ArchiveError> {
        let unfit = |why: String| ArchiveError::Unfit {
            what: "a transaction",
            why,
        };
        let id_len = u16::try_from(entry.id.len()).map_err(|_| unfit("its id is too long".to_owned()))?;
        if ENTRY_HEAD + entry.id.len() + entry.payload.len() > MAX_BATCH {
            return Err(unfit(format!(
                "it has {} bytes in one part, more than {MAX_BATCH}",
                entry.payload.len()
            )));
        }
        Ok(EntryHead {
            role,
            commit: entry.commit,
            id_len,
            payload_len: entry.payload.len() as u32,
        })
    }

    pub(super) fn encode(&self) -> [u8; ENTRY_HEAD] {
        let role = match self.role {
            Role::Whole => 0,
            Role::Opening => OPENS,
            Role::Piece => PIECE,
        };
        let tso = if self.commit.tso.is_some() { HAS_TSO } else { 0 };
        let fields = [role | tso]
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
        let flags = *bytes.first()?;
        let tso = match (flags & HAS_TSO, tso) {
            (0, 0) => None,
            (HAS_TSO, tso) => Some(Tso(tso)),
            _ => return None,
        };
        let role = match flags & !HAS_TSO {
            0 => Role::Whole,
            OPENS => Role::Opening,
            PIECE => Role::Piece,
            _ => return None,
        };
        Some(EntryHead {
            role,
            commit: Moment { at: Millis(at), tso },
            id_len: u16::from_le_bytes(part(bytes, 17)?),
            payload_len: u32::from_le_bytes(part(bytes, 19)?),
        })
    }

    /// Bytes of the entry.
    pub(super) fn len(&self) -> usize {
        ENTRY_HEAD + usize::from(self.id_len) + self.payload_len as usize
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// One entry within a batch, borrowed.
pub(super) struct RawEntry<'a> {
    pub(super) head: EntryHead,
    pub(super) role: Role,
    pub(super) commit: Moment,
    pub(super) id: &'a str,
    /// As it is stored and hashed.
    pub(super) stored: &'a [u8],
    /// The pieces that an opening announces.
    pub(super) pieces: u64,
    /// What follows it.
    pub(super) rest: &'a [u8],
}

impl RawEntry<'_> {
    /// Where in the entry the driver's bytes begin.
    pub(super) fn payload_at(&self) -> usize {
        let count = if self.role == Role::Opening { COUNT } else { 0 };
        ENTRY_HEAD + self.id.len() + count
    }
}

/// Takes the first entry off a batch; `None` when it is cut or impossible.
pub(super) fn split_entry(batch: &[u8]) -> Option<RawEntry<'_>> {
    let head = EntryHead::decode(batch)?;
    let (id, rest) = batch.get(ENTRY_HEAD..)?.split_at_checked(head.id_len.into())?;
    let (stored, rest) = rest.split_at_checked(head.payload_len as usize)?;
    let pieces = match head.role {
        Role::Opening => u64::from_le_bytes(part(stored, 0)?),
        _ => 0,
    };
    Some(RawEntry {
        head,
        role: head.role,
        commit: head.commit,
        id: std::str::from_utf8(id).ok()?,
        stored,
        pieces,
        rest,
    })
}
