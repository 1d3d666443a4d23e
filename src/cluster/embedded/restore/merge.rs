//! Merging: a table's base rows with what the log did to them, in one pass and in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::cluster::{BatchSource, ClusterError};
use crate::model::checksum::TableChecksum;

use super::super::wire::{BATCH, Reader};
use super::collect::Life;
use super::spill::{RowChange, RunReader};

/// One source of changes: a run, or what stayed in memory.
enum Source<'a> {
    Run(RunReader<'a>),
    Memory(std::slice::Iter<'a, RowChange>),
}

impl Source<'_> {
    fn next(&mut self) -> Result<Option<RowChange>, ClusterError> {
        match self {
            Source::Run(run) => run.next(),
            Source::Memory(changes) => Ok(changes.next().cloned()),
        }
    }
}

/// The changes of a life in the order of their keys; of each row only the last.
pub(super) struct LastChanges<'a> {
    sources: Vec<Source<'a>>,
    /// Ordered by key, then newest source first.
    heads: BinaryHeap<Reverse<(Vec<u8>, Reverse<usize>, Option<Vec<u8>>)>>,
}

impl<'a> LastChanges<'a> {
    /// The changes of a life; of none, when the log did nothing to the table.
    pub(super) fn new(life: Option<&'a Life>) -> Result<Self, ClusterError> {
        let mut sources = Vec::new();
        if let Some(life) = life {
            for run in &life.runs {
                sources.push(Source::Run(RunReader::open(run)?));
            }
            sources.push(Source::Memory(life.sorted.iter()));
        }
        let mut changes = LastChanges {
            sources,
            heads: BinaryHeap::new(),
        };
        for n in 0..changes.sources.len() {
            changes.refill(n)?;
        }
        Ok(changes)
    }

    fn refill(&mut self, n: usize) -> Result<(), ClusterError> {
        let Some(source) = self.sources.get_mut(n) else {
            return Ok(());
        };
        if let Some((key, value)) = source.next()? {
            self.heads.push(Reverse((key, Reverse(n), value)));
        }
        Ok(())
    }

    /// The key of the next change.
    pub(super) fn peek(&self) -> Option<&[u8]> {
        self.heads.peek().map(|Reverse((key, _, _))| key.as_slice())
    }

    /// The next change.
    pub(super) fn next(&mut self) -> Result<Option<RowChange>, ClusterError> {
        let Some(Reverse((key, Reverse(n), value))) = self.heads.pop() else {
            return Ok(None);
        };
        self.refill(n)?;
        // Older sources' changes of the same row.
        while self.peek() == Some(key.as_slice()) {
            if let Some(Reverse((_, Reverse(older), _))) = self.heads.pop() {
                self.refill(older)?;
            }
        }
        Ok(Some((key, value)))
    }
}

/// The rows of a base, one by one.
pub(super) struct BaseRows<'a> {
    source: &'a mut dyn BatchSource,
    batch: Vec<u8>,
    at: usize,
    last: Vec<u8>,
    /// What was given so far.
    pub(super) sum: TableChecksum,
}

impl<'a> BaseRows<'a> {
    /// The rows of a source.
    pub(super) fn new(source: &'a mut dyn BatchSource) -> Self {
        BaseRows {
            source,
            batch: Vec::new(),
            at: 0,
            last: Vec::new(),
            sum: TableChecksum::default(),
        }
    }

    /// The next row; an error when it is not behind the one before.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>, ClusterError> {
        while self.at >= self.batch.len() {
            let Some(batch) = self.source.next()? else {
                return Ok(None);
            };
            (self.batch, self.at) = (batch, 0);
        }
        let left = self.batch.get(self.at..).unwrap_or_default();
        let mut reader = Reader::new(left, BATCH);
        let (key, value) = reader.row()?;
        if key <= self.last.as_slice() {
            return Err(reader.bad("its rows are not in strictly ascending order of their keys"));
        }
        self.at = self.batch.len() - reader.left();
        key.clone_into(&mut self.last);
        self.sum.add_row(key, value);
        Ok(Some((key.to_vec(), value.to_vec())))
    }
}

/// The rows at the restored moment, in order.
pub(super) struct Merged<'a, 'b> {
    base: BaseRows<'a>,
    base_counts: bool,
    head: Option<(Vec<u8>, Vec<u8>)>,
    changes: LastChanges<'b>,
}

impl<'a, 'b> Merged<'a, 'b> {
    /// Merges a base with a life; a base that does not count is read for its checksum only.
    pub(super) fn new(source: &'a mut dyn BatchSource, life: Option<&'b Life>) -> Result<Self, ClusterError> {
        let mut merged = Merged {
            base: BaseRows::new(source),
            base_counts: !life.is_some_and(|l| l.void_base),
            head: None,
            changes: LastChanges::new(life)?,
        };
        merged.advance()?;
        Ok(merged)
    }

    fn advance(&mut self) -> Result<(), ClusterError> {
        loop {
            self.head = self.base.next()?;
            if self.base_counts || self.head.is_none() {
                return Ok(());
            }
        }
    }

    /// The checksum of the base.
    pub(super) fn base_sum(&self) -> TableChecksum {
        self.base.sum
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>, ClusterError> {
        loop {
            let change_first = match (&self.head, self.changes.peek()) {
                (Some((base, _)), Some(change)) => change <= base.as_slice(),
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if !change_first {
                let row = self.head.take();
                if row.is_some() {
                    self.advance()?;
                }
                return Ok(row);
            }
            let Some((key, value)) = self.changes.next()? else {
                continue;
            };
            if self.head.as_ref().is_some_and(|(base, _)| *base == key) {
                self.advance()?;
            }
            if let Some(value) = value {
                return Ok(Some((key, value)));
            }
        }
    }
}
