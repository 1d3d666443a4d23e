//! The header of a sealed file: 128 bytes that say what the file is and where it belongs.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::archive::error::ArchiveError;
use crate::archive::{FIRST_VERSION, FORMAT_VERSION};

pub(in crate::archive) const HEADER_LEN: usize = 128;
pub(in crate::archive) const SALT_LEN: usize = 32;
/// Not text, and a line-ending conversion or a cut of the eighth bit breaks it at once.
const MAGIC: [u8; 8] = *b"BRINE\r\n\x1a";
/// Where the header's own checksum stands; it covers everything before.
const SUM_AT: usize = 120;

/// The random id of an archive: files of another one are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveId(pub(in crate::archive) [u8; 16]);

impl ArchiveId {
    /// As 32 hex digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    pub(in crate::archive) fn from_hex(hex: &str) -> Option<ArchiveId> {
        if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return None;
        }
        u128::from_str_radix(hex, 16).ok().map(|n| ArchiveId(n.to_be_bytes()))
    }
}

/// What a sealed file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive) enum ObjectKind {
    Data = 1,
    Manifest = 2,
    Segment = 3,
    State = 4,
    Trash = 5,
}

impl ObjectKind {
    fn of(byte: u8) -> Option<ObjectKind> {
        use ObjectKind::{Data, Manifest, Segment, State, Trash};
        [Data, Manifest, Segment, State, Trash]
            .into_iter()
            .find(|k| *k as u8 == byte)
    }

    fn words(self) -> &'static str {
        match self {
            ObjectKind::Data => "a data file",
            ObjectKind::Manifest => "a manifest",
            ObjectKind::Segment => "a log segment",
            ObjectKind::State => "a state document",
            ObjectKind::Trash => "a trash note",
        }
    }
}

/// What a sealed file holds, and the version of the format that reading it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive) struct Form {
    pub(in crate::archive) kind: ObjectKind,
    pub(in crate::archive) version: u16,
}

impl From<ObjectKind> for Form {
    fn from(kind: ObjectKind) -> Form {
        Form {
            kind,
            version: FIRST_VERSION,
        }
    }
}

/// How frames are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive) enum Codec {
    None = 0,
    Zstd = 1,
}

/// The header of a sealed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::archive) struct Header {
    pub(in crate::archive) codec: Codec,
    pub(in crate::archive) form: Form,
    pub(in crate::archive) archive: ArchiveId,
    /// Hash of the name within the archive.
    pub(in crate::archive) name: [u8; 32],
    pub(in crate::archive) salt: [u8; SALT_LEN],
    /// The fencing epoch of the writer.
    pub(in crate::archive) epoch: u64,
}

fn name_hash(within: &str) -> [u8; 32] {
    *blake3::hash(within.as_bytes()).as_bytes()
}

impl Header {
    pub(in crate::archive) fn new(
        form: Form,
        codec: Codec,
        archive: ArchiveId,
        within: &str,
        salt: [u8; SALT_LEN],
        epoch: u64,
    ) -> Header {
        let name = name_hash(within);
        Header {
            codec,
            form,
            archive,
            name,
            salt,
            epoch,
        }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.form.version.to_le_bytes());
        out.extend_from_slice(&[0, self.codec as u8, self.form.kind as u8, 0, 0, 0]);
        out.extend_from_slice(&self.archive.0);
        out.extend_from_slice(&self.name);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        let sum = xxh3_64(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        let mut header = [0; HEADER_LEN];
        header.iter_mut().zip(out).for_each(|(to, from)| *to = from);
        header
    }

    /// Reads a header and checks that it is of a file of this kind, archive and name.
    pub(super) fn decode(
        object: &str,
        bytes: &[u8],
        kind: ObjectKind,
        archive: ArchiveId,
        within: &str,
    ) -> Result<Header, ArchiveError> {
        let header = Self::parse(object, bytes)?;
        let misplaced = |why: String| ArchiveError::Misplaced {
            object: object.to_owned(),
            why,
        };
        if header.archive != archive {
            let (theirs, ours) = (header.archive.hex(), archive.hex());
            return Err(misplaced(format!("it belongs to archive {theirs}, not to {ours}")));
        }
        if header.form.kind != kind {
            return Err(misplaced(format!(
                "it is {}, not {}",
                header.form.kind.words(),
                kind.words()
            )));
        }
        if header.name != name_hash(within) {
            return Err(misplaced("it was written under another name".to_owned()));
        }
        Ok(header)
    }

    fn parse(object: &str, bytes: &[u8]) -> Result<Header, ArchiveError> {
        let corrupt = |why: &str| ArchiveError::corrupt(object, why);
        if take::<8>(bytes, 0) != Some(MAGIC) {
            return Err(corrupt("it is not a file of brine"));
        }
        let sum = bytes.get(..SUM_AT).map(xxh3_64);
        let version = take::<2>(bytes, 8).map(u16::from_le_bytes).unwrap_or_default();
        if sum.is_none() || sum != take::<8>(bytes, SUM_AT).map(u64::from_le_bytes) {
            return Err(corrupt("the checksum of its header is wrong"));
        }
        let [suite, codec, kind, ..] = take::<6>(bytes, 10).unwrap_or_default();
        let newest = match ObjectKind::of(kind) {
            Some(ObjectKind::Segment) => FORMAT_VERSION,
            _ => FIRST_VERSION,
        };
        if !(FIRST_VERSION..=newest).contains(&version) {
            return Err(ArchiveError::TooNew {
                object: object.to_owned(),
                found: version.into(),
                known: newest.into(),
            });
        }
        if suite != 0 {
            let object = object.to_owned();
            return Err(ArchiveError::Encrypted { object, suite });
        }
        let codec = match codec {
            0 => Codec::None,
            1 => Codec::Zstd,
            _ => return Err(corrupt("its compression is unknown")),
        };
        let kind = ObjectKind::of(kind).ok_or_else(|| corrupt("its kind is unknown"))?;
        let short = || corrupt("its header is cut");
        Ok(Header {
            codec,
            form: Form { kind, version },
            archive: ArchiveId(take(bytes, 16).ok_or_else(short)?),
            name: take(bytes, 32).ok_or_else(short)?,
            salt: take(bytes, 64).ok_or_else(short)?,
            epoch: u64::from_le_bytes(take(bytes, 112).ok_or_else(short)?),
        })
    }
}

/// The hash of an encoded header, which every frame's checksum covers.
pub(super) fn header_hash(encoded: &[u8]) -> u128 {
    xxh3_128(encoded)
}

/// `N` bytes from `at` on.
pub(in crate::archive) fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
