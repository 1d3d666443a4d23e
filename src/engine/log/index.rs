//! The index of a segment: which tables it touches, and the changes worth a look.

use std::collections::BTreeMap;

use crate::archive::log::{SegmentIndex, TableActivity};
use crate::cluster::{Lack, Step, TableDelta, Txn};
use crate::model::clock::Millis;
use crate::model::log::{Change, ChangeKind, Prepared};
use crate::model::table::TableName;
use crate::model::text::safe;

/// From so many rows on, a delete or update of one transaction is worth a look.
pub const MASS_ROWS: u64 = 1_000;
/// From so many bytes on, a transaction can be one of the biggest.
const BIG_BYTES: u64 = 1 << 20;
/// So many of the biggest transactions are listed per segment.
const BIGGEST: usize = 3;
/// Rows changed are counted in slots of this many milliseconds.
const RATE_SLOT: i64 = 10_000;

/// Collects the index while transactions pass by. Its size grows with tables and changes, not with transactions.
#[derive(Default)]
pub struct IndexBuilder {
    tables: BTreeMap<TableName, TableActivity>,
    changes: Vec<Change>,
    biggest: Vec<Change>,
    rates: Vec<(Millis, u32)>,
    before: Vec<Prepared>,
    waiting: Vec<Prepared>,
    prepares: u64,
}

impl IndexBuilder {
    /// Of the segment that follows; `waiting` is what was prepared before it and is not decided.
    pub fn behind(waiting: &[Prepared]) -> IndexBuilder {
        IndexBuilder {
            before: waiting.to_vec(),
            waiting: waiting.to_vec(),
            ..IndexBuilder::default()
        }
    }

    /// Takes note of one transaction.
    pub fn add(&mut self, txn: &Txn) {
        let mut rows = 0;
        for delta in &txn.deltas {
            rows += delta.puts + delta.deletes;
            self.activity(delta);
            if let Some(kind) = mass_change(delta) {
                let n = if kind == ChangeKind::MassDelete {
                    delta.deletes
                } else {
                    delta.puts
                };
                self.note(txn, kind, Some(delta.table.clone()), n, delta.bytes);
            }
        }
        if let Some(ddl) = &txn.ddl {
            let kind = ChangeKind::Ddl { text: ddl.text.clone() };
            self.note(txn, kind, ddl.table.clone(), ddl.rows, txn.bytes());
        }
        let undone = self.step(txn);
        if let Some(lack) = txn.lack.as_deref().or(undone.as_ref()) {
            if txn.ddl.is_none() {
                self.note(txn, ChangeKind::Transaction, lack.table.clone(), rows, txn.bytes());
            }
            if let Some(change) = self.changes.last_mut() {
                change.lacks = Some(lack.what.clone());
            }
        }
        self.rate(txn.commit.at, rows);
        self.consider_big(txn, rows);
    }

    /// The index, with changes in the order they happened.
    pub fn finish(mut self) -> SegmentIndex {
        self.changes.append(&mut self.biggest);
        self.changes.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        SegmentIndex {
            tables: self.tables.into_values().collect(),
            changes: self.changes,
            rates: self.rates,
            waiting_before: self.before,
            waiting_after: self.waiting,
            prepares: self.prepares,
        }
    }

    /// Follows what is prepared and decided; a commit of what this log never saw prepared has its rows nowhere.
    fn step(&mut self, txn: &Txn) -> Option<Lack> {
        let (name, committed) = match txn.step.as_deref()? {
            Step::Prepared(name) => {
                self.waiting.retain(|w| w.name != *name);
                self.waiting.push(Prepared {
                    at: txn.commit,
                    name: name.clone(),
                });
                self.prepares += 1;
                return None;
            }
            Step::Committed(name) => (name, true),
            Step::RolledBack(name) => (name, false),
        };
        let known = self.waiting.len();
        self.waiting.retain(|w| w.name != *name);
        (committed && self.waiting.len() == known).then(|| Lack {
            table: None,
            what: format!(
                "it commits the XA transaction {}, which was prepared before this log begins",
                safe(name, 80)
            ),
        })
    }

    fn activity(&mut self, delta: &TableDelta) {
        let entry = self.tables.entry(delta.table.clone()).or_insert_with(|| TableActivity {
            table: delta.table.clone(),
            transactions: 0,
            puts: 0,
            deletes: 0,
            bytes: 0,
        });
        entry.transactions += 1;
        entry.puts += delta.puts;
        entry.deletes += delta.deletes;
        entry.bytes += delta.bytes;
    }

    fn note(&mut self, txn: &Txn, kind: ChangeKind, table: Option<TableName>, rows: u64, bytes: u64) {
        let earlier = self
            .changes
            .iter()
            .rev()
            .take_while(|c| c.transaction == txn.id)
            .count();
        self.changes.push(Change {
            id: if earlier == 0 {
                txn.id.clone()
            } else {
                format!("{}.{earlier}", txn.id)
            },
            at: txn.commit,
            transaction: txn.id.clone(),
            kind,
            table,
            rows,
            bytes,
            lacks: None,
        });
    }

    fn rate(&mut self, at: Millis, rows: u64) {
        let slot = Millis(at.0 - at.0.rem_euclid(RATE_SLOT));
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        match self.rates.last_mut() {
            Some((last, n)) if *last == slot => *n = n.saturating_add(rows),
            _ => self.rates.push((slot, rows)),
        }
    }

    /// Keeps the biggest transactions that are not already listed for another reason.
    fn consider_big(&mut self, txn: &Txn, rows: u64) {
        let bytes = txn.bytes();
        if bytes < BIG_BYTES || self.changes.last().is_some_and(|c| c.transaction == txn.id) {
            return;
        }
        let widest = txn.deltas.iter().max_by_key(|d| d.bytes);
        self.biggest.push(Change {
            id: txn.id.clone(),
            at: txn.commit,
            transaction: txn.id.clone(),
            kind: ChangeKind::BigTransaction,
            table: widest.map(|d| d.table.clone()),
            rows,
            bytes,
            lacks: None,
        });
        self.biggest.sort_by_key(|c| std::cmp::Reverse(c.bytes));
        self.biggest.truncate(BIGGEST);
    }
}

/// Whether what a transaction did to a table is a mass delete or update.
fn mass_change(delta: &TableDelta) -> Option<ChangeKind> {
    if delta.deletes >= MASS_ROWS {
        return Some(ChangeKind::MassDelete);
    }
    (delta.updates >= MASS_ROWS).then_some(ChangeKind::MassUpdate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Ddl;
    use crate::model::position::{Moment, Position};
    use crate::model::tso::Tso;

    fn txn(ms: i64, deltas: Vec<TableDelta>, ddl: Option<Ddl>, bytes: usize) -> Txn {
        let tso = Tso::from_millis(Millis(ms));
        Txn {
            commit: Moment::of_tso(tso),
            position: Position::Tso(tso),
            id: tso.to_string(),
            deltas,
            ddl,
            lack: None,
            step: None,
            payload: vec![0; bytes],
            pieces: None,
        }
    }

    fn delta(table: &str, puts: u64, updates: u64, deletes: u64) -> TableDelta {
        let table = TableName::new("shop", table);
        TableDelta {
            table,
            puts,
            updates,
            deletes,
            bytes: 100,
        }
    }

    fn index(txns: &[Txn]) -> SegmentIndex {
        let mut b = IndexBuilder::default();
        txns.iter().for_each(|t| b.add(t));
        b.finish()
    }

    #[test]
    fn small_transactions_only_count() {
        let i = index(&[
            txn(1_000, vec![delta("orders", 2, 1, 0)], None, 50),
            txn(2_000, vec![delta("orders", 0, 0, 1)], None, 50),
        ]);
        assert!(i.changes.is_empty());
        assert_eq!(
            (i.tables[0].transactions, i.tables[0].puts, i.tables[0].deletes),
            (2, 2, 1)
        );
        assert_eq!(i.rates, [(Millis(0), 3)]);
    }

    #[test]
    fn mass_changes_and_ddl_are_listed_in_order_with_ids_of_their_own() {
        let ddl = Ddl {
            text: "DROP TABLE shop.orders".into(),
            table: Some(TableName::new("shop", "orders")),
            rows: 7,
        };
        let both = vec![delta("a", 0, 0, MASS_ROWS), delta("b", 5_000, 5_000, 0)];
        let i = index(&[txn(10, both, None, 50), txn(20, vec![], Some(ddl), 50)]);
        let kinds: Vec<_> = i.changes.iter().map(|c| (&c.kind, c.rows)).collect();
        assert_eq!(kinds[0], (&ChangeKind::MassDelete, MASS_ROWS));
        assert_eq!(kinds[1], (&ChangeKind::MassUpdate, 5_000));
        assert!(matches!(kinds[2], (ChangeKind::Ddl { .. }, 7)));
        assert!(i.changes[1].id.ends_with(".1"));
    }

    #[test]
    fn what_the_log_lacks_is_noted_with_the_change_or_by_itself() {
        let lack = |what: &str| {
            Some(Box::new(Lack {
                table: Some(TableName::new("shop", "a")),
                what: what.to_owned(),
            }))
        };
        let ddl = Ddl {
            text: "ALTER TABLE shop.a ADD u INT DEFAULT (rand())".into(),
            table: Some(TableName::new("shop", "a")),
            rows: 0,
        };
        let altered = Txn {
            lack: lack("values"),
            ..txn(10, vec![], Some(ddl), 50)
        };
        let torn = Txn {
            lack: lack("rows"),
            ..txn(20, vec![delta("a", 1, 0, 0)], None, 50)
        };
        let i = index(&[altered, torn, txn(30, vec![delta("a", 1, 0, 0)], None, 50)]);
        let lacks: Vec<_> = i.changes.iter().map(|c| (&c.kind, c.lacks.as_deref())).collect();
        assert!(matches!(lacks[0], (ChangeKind::Ddl { .. }, Some("values"))));
        assert_eq!(lacks[1..], [(&ChangeKind::Transaction, Some("rows"))]);
    }

    #[test]
    fn what_is_prepared_waits_across_segments() {
        let step = |ms: i64, step: Step| Txn {
            step: Some(Box::new(step)),
            ..txn(ms, vec![], None, 50)
        };
        let names = |list: &[Prepared]| list.iter().map(|p| (p.at.at.0, p.name.clone())).collect::<Vec<_>>();
        let mut first = IndexBuilder::default();
        first.add(&step(10, Step::Prepared("a".into())));
        first.add(&step(20, Step::Prepared("b".into())));
        first.add(&step(30, Step::Committed("a".into())));
        first.add(&step(40, Step::Prepared("c".into())));
        let mut first = first.finish();
        assert_eq!((first.waiting_before.len(), first.prepares), (0, 3));
        assert_eq!(
            names(&first.waiting_after),
            [(20, "b".to_owned()), (40, "c".to_owned())]
        );
        assert!(first.changes.is_empty());

        let mut second = IndexBuilder::behind(&first.waiting_after);
        second.add(&step(50, Step::RolledBack("c".into())));
        second.add(&step(60, Step::RolledBack("never seen".into())));
        second.add(&step(70, Step::Committed("nor this".into())));
        let second = second.finish();
        assert_eq!(second.waiting_before, first.waiting_after);
        assert_eq!(names(&second.waiting_after), [(20, "b".to_owned())]);
        let lacking: Vec<_> = second
            .changes
            .iter()
            .map(|c| (c.at.at.0, c.lacks.clone().unwrap()))
            .collect();
        assert!(
            matches!(lacking.as_slice(), [(70, what)] if what.contains("nor this")),
            "{lacking:?}"
        );

        first.append(&second);
        assert_eq!(
            (first.waiting_before.len(), first.waiting_after.len(), first.prepares),
            (0, 1, 3)
        );
    }

    #[test]
    fn only_the_biggest_transactions_are_listed() {
        let txns: Vec<_> = (0..10)
            .map(|n| txn(n, vec![delta("t", 1, 0, 0)], None, (2 << 20) + n as usize))
            .collect();
        let i = index(&txns);
        assert_eq!(i.changes.len(), BIGGEST);
        assert_eq!(i.changes[0].bytes, (2 << 20) + 7);
    }
}
