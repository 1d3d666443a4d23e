//! Reading one segment: every frame is checked, and the chain from its recorded beginning to its recorded end.

use std::collections::VecDeque;

use crate::archive::sealed::{FrameKind, MAX_BATCH, SealedReader};
use crate::archive::{Archive, ArchiveError, Result};
use crate::storage::ObjectInfo;

use super::chain::ChainHash;
use super::entry::{OwnedEntry, split_entry};
use super::names::SegmentName;
use super::segment::{MAX_INDEX, SegmentInfo, decode_facts};

/// Reads the entries of one segment; the last answer comes only when the chain holds.
pub struct SegmentReader {
    file: SealedReader,
    info: SegmentInfo,
    chain: ChainHash,
    entries: u64,
    ready: VecDeque<OwnedEntry>,
    /// Entries are passed over until the chain stands here.
    skip_to: Option<ChainHash>,
}

impl SegmentReader {
    /// What the segment says about itself.
    pub fn info(&self) -> &SegmentInfo {
        &self.info
    }

    /// The next entry, or `None` at the verified end.
    #[allow(clippy::should_implement_trait)] // an iterator could be read on after an error
    pub fn next(&mut self) -> Result<Option<OwnedEntry>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
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
    pub(super) fn next_batch(&mut self) -> Result<Option<Vec<OwnedEntry>>> {
        match self.file.next(MAX_BATCH)? {
            Some((FrameKind::Payload, batch)) => self.take_apart(batch).map(Some),
            Some((FrameKind::Index, json)) => self.end(&json).map(|()| None),
            Some(_) => Err(self.file.corrupt("it holds a frame that no segment has")),
            None => Err(self.file.corrupt("it has no index")),
        }
    }

    fn take_apart(&mut self, batch: Vec<u8>) -> Result<Vec<OwnedEntry>> {
        let mut entries = Vec::new();
        let mut rest = batch.as_slice();
        while !rest.is_empty() {
            let Some(entry) = split_entry(rest) else {
                return Err(self.file.corrupt("an entry is cut"));
            };
            rest = entry.rest;
            self.entries += 1;
            self.chain = self.chain.after(&entry.head, entry.id.as_bytes(), entry.payload);
            if let Some(from) = self.skip_to {
                if from == self.chain {
                    self.skip_to = None;
                }
                continue;
            }
            entries.push(OwnedEntry {
                commit: entry.commit,
                id: entry.id.to_owned(),
                payload: entry.payload.to_vec(),
            });
        }
        Ok(entries)
    }

    fn end(&mut self, json: &[u8]) -> Result<()> {
        let object = ObjectInfo {
            name: self.info.name.object.clone(),
            size: self.info.name.size,
        };
        if decode_facts(&self.file, json)?.into_info(object)? != self.info {
            return Err(self.file.corrupt("its index is not the one that its trailer names"));
        }
        if self.chain != self.info.last_hash || self.entries != self.info.entries {
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
            ready: VecDeque::new(),
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
