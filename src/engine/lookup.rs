//! Looking things up in the archived log: the segments of a stretch, the last transaction in and the first one
//! out, and what comes after a moment.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::archive::Archive;
use crate::archive::log::{SegmentName, Segments, TableActivity};
use crate::engine::error::EngineError;
use crate::engine::restore::plan::TxnRef;
use crate::engine::verify::codec_of;
use crate::engine::view::View;
use crate::model::filter::TableFilter;
use crate::model::log::{Change, ChangeKind, LogRun};
use crate::model::position::{Moment, Position};
use crate::model::table::TableName;
use crate::model::text::safe;

/// More segments than this are not read only to count what is lost.
const MAX_COUNTED: usize = 400;

/// The segments of a stretch of log, in order.
pub fn segments(archive: &Archive, run: &LogRun) -> Result<Segments, EngineError> {
    Ok(archive.segments(run.first_seq..run.end_seq, Some((run.from, run.to)))?)
}

/// The tables touched between two moments of a stretch.
pub fn tables_between(
    archive: &Archive,
    run: &LogRun,
    from: Moment,
    until: Moment,
) -> Result<BTreeSet<TableName>, EngineError> {
    let mut tables = BTreeSet::new();
    let mut names = segments(archive, run)?;
    while let Some(name) = names.next()? {
        if name.to > from && name.from < until {
            let index = archive.segment_index(&name)?.index;
            tables.extend(index.tables.into_iter().map(|t| t.table));
            tables.extend(index.changes.into_iter().filter_map(|c| c.table));
        }
    }
    Ok(tables)
}

/// The last transaction at or before a moment and the first one after it, within a stretch of log.
pub fn around(archive: &Archive, run: &LogRun, until: Moment) -> Result<(Option<TxnRef>, Option<TxnRef>), EngineError> {
    let mut before: Option<SegmentName> = None;
    let mut names = segments(archive, run)?;
    while let Some(name) = names.next()? {
        if name.to <= until {
            before = Some(name);
            continue;
        }
        let (mut last, first) = split(archive, &name, until)?;
        if last.is_none()
            && let Some(before) = &before
        {
            (last, _) = split(archive, before, until)?;
        }
        return Ok((last, first));
    }
    match before {
        Some(name) => split(archive, &name, until),
        None => Ok((None, None)),
    }
}

/// So many segments are looked at in one round of a search.
const SAMPLES: usize = 64;

/// The segment of a stretch that a transaction lies in; `None` where the stretch does not reach it.
///
/// `covers` says whether the log up to a place holds it. The listing is never held as a whole: every round spreads its
/// samples over what is left of the stretch.
pub fn segment_holding(
    archive: &Archive,
    run: &LogRun,
    covers: &dyn Fn(&Position) -> bool,
) -> Result<Option<SegmentName>, EngineError> {
    let mut range = run.first_seq..run.end_seq;
    loop {
        let (samples, all) = sampled(archive, run, range.clone())?;
        let (mut low, mut high) = (0, samples.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(name) = samples.get(middle) else { break };
            match covers(&archive.segment_index(name)?.to_position) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        let Some(holding) = samples.get(low) else {
            return Ok(None);
        };
        if all {
            return Ok(Some(holding.clone()));
        }
        let before = low.checked_sub(1).and_then(|i| samples.get(i));
        range = before.map_or(range.start, |b| b.last_seq + 1)..holding.last_seq + 1;
    }
}

/// Segments spread over a range of numbers, its last one among them, and whether they are all there are.
fn sampled(archive: &Archive, run: &LogRun, range: Range<u64>) -> Result<(Vec<SegmentName>, bool), EngineError> {
    let mut names = archive.segments(range, Some((run.from, run.to)))?;
    let (mut samples, mut every, mut seen) = (Vec::<SegmentName>::new(), 1_u64, 0_u64);
    let mut last = None;
    while let Some(name) = names.next()? {
        if seen % every == 0 {
            samples.push(name.clone());
        }
        seen += 1;
        last = Some(name);
        if samples.len() == 2 * SAMPLES {
            let mut n = 0;
            samples.retain(|_| {
                n += 1;
                n % 2 == 1
            });
            every *= 2;
        }
    }
    if let Some(last) = last.filter(|l| samples.last() != Some(l)) {
        samples.push(last);
    }
    Ok((samples, every == 1))
}

/// The transaction of that id in a segment; without it the first and the last ones there are.
pub fn in_segment(archive: &Archive, name: &SegmentName, id: &str) -> Result<Result<TxnRef, Vec<TxnRef>>, EngineError> {
    let mut reader = archive.segment_reader(name)?;
    let (mut first, mut last) = (None, None);
    while let Some(entry) = reader.next()? {
        let found = TxnRef {
            at: entry.commit,
            id: entry.id,
        };
        if found.id == id {
            return Ok(Ok(found));
        }
        match first {
            None => first = Some(found),
            Some(_) => last = Some(found),
        }
    }
    Ok(Err(first.into_iter().chain(last).collect()))
}

/// What the index of the log says of a change: `DROP TABLE shop.orders`.
pub fn describe(archive: &Archive, run: &LogRun, at: Moment, id: &str) -> Result<Option<String>, EngineError> {
    let mut names = segments(archive, run)?;
    while let Some(name) = names.next()? {
        if name.from < at && at <= name.to {
            let listed = archive.segment_index(&name)?.index.changes;
            return Ok(listed.iter().find(|c| c.id == id).map(words));
        }
    }
    Ok(None)
}

fn words(change: &Change) -> String {
    let table = change
        .table
        .as_ref()
        .map_or_else(|| "the cluster".to_owned(), ToString::to_string);
    match &change.kind {
        ChangeKind::Ddl { text } => {
            // A server's own remark at the end of what it writes anew.
            let text = text.trim_end().trim_end_matches("/* generated by server */");
            safe(text.trim_end(), 80)
        }
        ChangeKind::MassDelete => format!("the delete of {} rows of {table}", change.rows),
        ChangeKind::MassUpdate => format!("the update of {} rows of {table}", change.rows),
        ChangeKind::BigTransaction | ChangeKind::Transaction => format!("transaction {}", change.transaction),
    }
}

/// The last entry of a segment at or before a moment, and the first after it.
fn split(
    archive: &Archive,
    name: &SegmentName,
    until: Moment,
) -> Result<(Option<TxnRef>, Option<TxnRef>), EngineError> {
    let mut last = None;
    let mut reader = archive.segment_reader(name)?;
    while let Some(entry) = reader.next()? {
        let found = TxnRef {
            at: entry.commit,
            id: entry.id,
        };
        if found.at > until {
            return Ok((last, Some(found)));
        }
        last = Some(found);
    }
    Ok((last, None))
}

/// What happened after a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// Transactions; `None` when there is too much log to count them.
    pub transactions: Option<u64>,
    /// Tables touched.
    pub tables: u64,
}

/// Counts what came after a moment, in its incarnation and those that followed. Of some tables only it is the most that it can
/// have been: a transaction on two of them is counted twice.
pub fn after(archive: &Archive, view: &View, until: Moment, filter: &TableFilter) -> Result<After, EngineError> {
    let mut names = Vec::new();
    for run in view.log.runs.iter().filter(|r| r.to > until) {
        let mut walk = segments(archive, run)?;
        while let Some(name) = walk.next()? {
            if name.to <= until {
                continue;
            }
            if names.len() == MAX_COUNTED {
                return Ok(After {
                    transactions: None,
                    tables: 0,
                });
            }
            names.push(name);
        }
    }
    let mut transactions = 0;
    let mut tables: BTreeSet<TableName> = BTreeSet::new();
    for name in names {
        let info = archive.segment_index(&name)?;
        let chosen: Vec<TableActivity> = info
            .index
            .tables
            .into_iter()
            .filter(|t| filter.matches(&t.table))
            .collect();
        // A statement such as DROP TABLE changes no rows, and stands only among the changes.
        let statements: BTreeSet<&str> = info
            .index
            .changes
            .iter()
            .filter(|c| matches!(&c.kind, ChangeKind::Ddl { text } if concerns(text, c.table.as_ref(), filter)))
            .map(|c| c.transaction.as_str())
            .collect();
        let touching = match filter.is_all() {
            true => info.entries,
            false => chosen.iter().map(|t| t.transactions).sum::<u64>() + statements.len() as u64,
        };
        transactions += match name.from >= until || touching == 0 {
            true => touching.min(info.entries),
            false => count_after(archive, &name, until, filter)?,
        };
        tables.extend(chosen.into_iter().map(|t| t.table));
    }
    Ok(After {
        transactions: Some(transactions),
        tables: tables.len() as u64,
    })
}

/// Whether a statement is on one of the tables, or may be one on all of a database.
fn concerns(statement: &str, table: Option<&TableName>, filter: &TableFilter) -> bool {
    match table {
        Some(table) => filter.matches(table),
        None => statement
            .get(..5)
            .is_some_and(|verb| verb.eq_ignore_ascii_case("drop ")),
    }
}

/// The same of one segment that holds the moment, entry by entry.
fn count_after(archive: &Archive, name: &SegmentName, until: Moment, filter: &TableFilter) -> Result<u64, EngineError> {
    let codec = codec_of(archive)?;
    let mut n = 0;
    let mut reader = archive.segment_reader(name)?;
    while let Some(entry) = reader.next()? {
        if entry.commit <= until {
            continue;
        }
        let touches = filter.is_all() || {
            let (deltas, ddl) = codec.describe(&entry.payload)?;
            deltas.iter().any(|d| filter.matches(&d.table))
                || ddl.is_some_and(|d| concerns(&d.text, d.table.as_ref(), filter))
        };
        n += u64::from(touches);
    }
    Ok(n)
}
