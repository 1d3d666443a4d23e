//! Reading one segment: every frame is checked, and the chain from its recorded beginning to its recorded end.

use std::collections::VecDeque;

use crate::archive::sealed::{FrameKind, MAX_BATCH, SealedReader};
use crate::archive::{Archive, ArchiveError, FORMAT_VERSION, Result};
use crate::model::position::Moment;
use crate::storage::ObjectInfo;

use super::chain::ChainHash;
use super::entry::{OwnedEntry, RawEntry, Read, Role, split_entry};
use super::names::SegmentName;
use super::segment::{MAX_INDEX, SegmentInfo, decode_facts};

/// Reads the entries of one segment; the last answer comes only when the chain holds.
pub struct SegmentReader {
    file: SealedReader,
    info: SegmentInfo,
    chain: ChainHash,
    entries: u64,
    pieces: u64,
    ready: VecDeque<Read>,
    /// Pieces of the transaction given last that were not read yet.
    due: u64,
    /// Commit of the transaction whose pieces come, and how many of them are still to come.
    open: Option<(Moment, u64)>,
    /// Entries are passed over until the chain stands here.
    skip_to: Option<ChainHash>,
}

impl SegmentReader {
    /// What the segment says about itself.
    pub fn info(&self) -> &SegmentInfo {
        &self.info
    }

    /// The next entry, or `None` at the verified end. Pieces of the one before that were not read are passed over.
    #[allow(clippy::should_implement_trait)] // an iterator could be read on after an error
    pub fn next(&mut self) -> Result<Option<OwnedEntry>> {
        self.due = 0;
        while let Some(read) = self.next_read()? {
            if let Read::Entry(entry) = read {
                self.due = entry.pieces;
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The next piece of the entry given last, or `None` behind its last.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        if self.due == 0 {
            return Ok(None);
        }
        self.due -= 1;
        match self.next_read()? {
            Some(Read::Piece(_, piece)) => Ok(Some(piece)),
            _ => Err(self.file.corrupt("pieces of a transaction are missing")),
        }
    }

    fn next_read(&mut self) -> Result<Option<Read>> {
        loop {
            if let Some(read) = self.ready.pop_front() {
                return Ok(Some(read));
            }
            match self.next_batch()? {
                Some(batch) => self.ready = batch.into(),
                None => return Ok(None),
            }
        }
    }

    /// Passes over the entries up to where the chain stood at `from`.
    pub(super) fn skip_to(&mut self, from: ChainHash) {
        self.skip_to = (from != self.chain).then_some(from);
    }

    /// The next entries, or `None` at the verified end.
    pub(super) fn next_batch(&mut self) -> Result<Option<Vec<Read>>> {
        match self.file.next(MAX_BATCH)? {
            Some((FrameKind::Payload, batch)) => self.take_apart(batch).map(Some),
            Some((FrameKind::Index, json)) => self.end(&json).map(|()| None),
            Some(_) => Err(self.file.corrupt("it holds a frame that no segment has")),
            None => Err(self.file.corrupt("it has no index")),
        }
    }

    fn take_apart(&mut self, mut batch: Vec<u8>) -> Result<Vec<Read>> {
        let mut entries = Vec::new();
        let mut at = 0;
        while at < batch.len() {
            let rest = batch.get(at..).unwrap_or_default();
            let Some(entry) = split_entry(rest) else {
                return Err(self.file.corrupt("an entry is cut"));
            };
            self.follow(&entry)?;
            let (begin, end) = (at + entry.payload_at(), batch.len() - entry.rest.len());
            let (role, commit, pieces) = (entry.role, entry.commit, entry.pieces);
            let id = entry.id.to_owned();
            let whole_batch = at == 0 && end == batch.len();
            at = end;
            if self.passed_over() {
                continue;
            }
            // A large one stands alone: its bytes are moved, not copied.
            let payload = match whole_batch {
                true => {
                    batch.drain(..begin);
                    at = batch.len();
                    std::mem::take(&mut batch)
                }
                false => batch.get(begin..end).unwrap_or_default().to_vec(),
            };
            entries.push(match role {
                Role::Piece => Read::Piece(commit, payload),
                Role::Whole | Role::Opening => Read::Entry(OwnedEntry {
                    commit,
                    id,
                    payload,
                    pieces,
                }),
            });
        }
        Ok(entries)
    }

    /// Goes behind an entry: counts it, and checks that pieces stand where they are announced and nowhere else.
    fn follow(&mut self, entry: &RawEntry<'_>) -> Result<()> {
        let old = self.file.header().form.version < FORMAT_VERSION;
        self.open = match (entry.role, self.open) {
            (Role::Opening | Role::Piece, _) if old => {
                return Err(self.file.corrupt("an entry is cut"));
            }
            (Role::Whole, None) => None,
            (Role::Opening, None) => Some((entry.commit, entry.pieces)).filter(|(_, n)| *n > 0),
            (Role::Piece, Some((commit, n))) if commit == entry.commit => Some((commit, n - 1)).filter(|(_, n)| *n > 0),
            (Role::Piece, _) => return Err(self.file.corrupt("a piece of a transaction stands in a wrong place")),
            (_, Some(_)) => return Err(self.file.corrupt("pieces of a transaction are missing")),
        };
        match entry.role {
            Role::Piece => self.pieces += 1,
            _ => self.entries += 1,
        }
        self.chain = self.chain.after(&entry.head, entry.id.as_bytes(), entry.stored);
        Ok(())
    }

    /// Whether the entry just read lies before the place to go on from.
    fn passed_over(&mut self) -> bool {
        let Some(from) = self.skip_to else { return false };
        if from == self.chain {
            self.skip_to = None;
        }
        true
    }

    fn end(&mut self, json: &[u8]) -> Result<()> {
        let object = ObjectInfo {
            name: self.info.name.object.clone(),
            size: self.info.name.size,
        };
        if decode_facts(&self.file, json)?.into_info(object)? != self.info {
            return Err(self.file.corrupt("its index is not the one that its trailer names"));
        }
        if self.open.is_some() {
            return Err(self.file.corrupt("pieces of a transaction are missing"));
        }
        let counted = (self.entries, self.pieces) == (self.info.entries, self.info.pieces);
        if self.chain != self.info.last_hash || !counted {
            return Err(self
                .file
                .corrupt("its entries are not those that its index counts: the hash chain breaks"));
        }
        if self.skip_to.is_some() {
            return Err(self
                .file
                .corrupt("it does not go on from where the log was read before"));
        }
        if self.file.next(MAX_INDEX)?.is_some() {
            return Err(self.file.corrupt("frames follow its index"));
        }
        Ok(())
    }
}

impl Archive {
    /// Opens a segment.
    pub fn segment_reader(&self, name: &SegmentName) -> Result<SegmentReader> {
        let info = self.segment_index(name)?;
        let (file, _) = self.open_segment(&name.object, name.first_seq)?;
        Ok(SegmentReader {
            chain: info.prev_hash,
            file,
            info,
            entries: 0,
            pieces: 0,
            ready: VecDeque::new(),
            due: 0,
            open: None,
            skip_to: None,
        })
    }

    /// Reads a segment to its verified end.
    pub fn verify_segment(&self, name: &SegmentName) -> Result<SegmentInfo> {
        let mut reader = self.segment_reader(name)?;
        while reader.next_batch()?.is_some() {}
        if reader.info.name.size != name.size {
            return Err(ArchiveError::corrupt(&name.object, "its size changed"));
        }
        Ok(reader.info)
    }
}
