//! Merging: a table's base rows with what the log did to them, in one pass and in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::cluster::{BatchSource, ClusterError};
use crate::model::checksum::TableChecksum;

use super::super::scan;
use super::super::wire::{BATCH, Reader};
use super::collect::Life;
use super::spill::{RowChange, RunReader};

/// A row: its key and the stored form of its value.
type Row = (Vec<u8>, Vec<u8>);

/// A source's next change, ordered by key, then newest source first.
type Head = Reverse<(Vec<u8>, Reverse<usize>, Option<Vec<u8>>)>;

/// One source of changes: a run, or what stayed in memory.
enum Source<'a> {
    Run(Box<RunReader<'a>>),
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
    heads: BinaryHeap<Head>,
}

impl<'a> LastChanges<'a> {
    /// The changes of a life; of none, when the log did nothing to the table.
    pub(super) fn new(life: Option<&'a Life>) -> Result<Self, ClusterError> {
        let mut sources = Vec::new();
        if let Some(life) = life {
            for run in &life.runs {
                sources.push(Source::Run(Box::new(RunReader::open(run)?)));
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
    pub(super) fn next(&mut self) -> Result<Option<Row>, ClusterError> {
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
        Ok(Some((key.to_vec(), scan::stored(Some(value)))))
    }
}

/// The rows at the restored moment, in order.
pub(super) struct Merged<'a, 'b> {
    base: BaseRows<'a>,
    base_counts: bool,
    head: Option<Row>,
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
    pub(super) fn next(&mut self) -> Result<Option<Row>, ClusterError> {
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
                return Ok(Some((key, scan::stored(Some(&value)))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::super::record::{self, TableOps, Tip};
    use super::super::super::wire;
    use super::super::collect::Collector;
    use super::*;
    use crate::cluster::{ReplayTxn, Stop, TableDef};
    use crate::model::filter::TableFilter;
    use crate::model::position::Moment;
    use crate::model::table::TableName;
    use crate::model::tso::Tso;

    type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

    #[derive(Clone, Debug)]
    enum Step {
        Rows(Vec<(u8, Option<u8>)>),
        Again,
    }

    struct One(Option<Vec<u8>>);

    impl BatchSource for One {
        fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
            Ok(self.0.take())
        }
    }

    /// Gives a collector the steps of one table; returns what the rows should be, and whether the base counts.
    fn play(collector: &mut Collector, steps: &[Step], base: &Rows) -> Rows {
        let name = TableName::new("d", "t");
        let def = TableDef {
            name: name.clone(),
            schema: String::new(),
            system: false,
        };
        let (mut tip, mut rows) = (Tip::START, base.clone());
        let mut give = |body: Vec<u8>| {
            let ts = tip.ts.next();
            let payload = record::record(tip, &body);
            let txn = ReplayTxn {
                commit: Moment::of_tso(ts),
                id: "",
                payload: &payload,
                early: false,
            };
            collector.take(&txn).unwrap();
            tip = tip.then(ts, &body);
        };
        for step in steps {
            match step {
                Step::Rows(changes) => {
                    let mut ops = TableOps::new(name.clone());
                    for (key, value) in changes {
                        let value = value.map(|v| vec![v; 40]);
                        ops.push(&[*key], value.as_deref());
                        match value {
                            Some(value) => rows.insert(vec![*key], value),
                            None => rows.remove(&[*key][..]),
                        };
                    }
                    give(record::txn_body(&[ops]));
                }
                Step::Again => {
                    give(record::drop_body(&name, 0));
                    give(record::create_body(&def));
                    rows.clear();
                }
            }
        }
        rows
    }

    proptest! {
        #[test]
        fn merged_rows_are_those_of_a_plain_map(
            base in proptest::collection::btree_map(any::<u8>(), any::<u8>(), 0..40),
            steps in proptest::collection::vec(prop_oneof![
                8 => proptest::collection::vec((any::<u8>(), proptest::option::of(any::<u8>())), 1..20).prop_map(Step::Rows),
                1 => Just(Step::Again),
            ], 0..25),
            memory in prop_oneof![Just(1usize), 500usize..4000, Just(usize::MAX)],
        ) {
            let dir = tempfile::tempdir().unwrap();
            let base: Rows = base.into_iter().map(|(k, v)| (vec![k], vec![v])).collect();
            let mut batch = Vec::new();
            base.iter().for_each(|(k, v)| wire::put_row(&mut batch, k, v));
            let mut collector = Collector::new(TableFilter::all(), BTreeSet::new(), Tso::MAX, memory, dir.path());
            let want = play(&mut collector, &steps, &base);
            let lives = collector.finish();
            let mut source = One(Some(batch));
            let mut merged = Merged::new(&mut source, lives.get(&TableName::new("d", "t"))).unwrap();
            let mut got = Vec::new();
            while let Some((key, stored)) = merged.next().unwrap() {
                got.push((key, scan::value(&stored).unwrap().unwrap().to_vec()));
            }
            prop_assert_eq!(merged.base_sum().rows, base.len() as u64);
            prop_assert_eq!(got, want.into_iter().collect::<Vec<_>>());
        }
    }
}
