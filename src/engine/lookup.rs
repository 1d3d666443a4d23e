//! Looking things up in the archived log: the segments of a stretch, the last transaction in and the first one
//! out, and what comes after a moment.

use std::collections::BTreeSet;

use crate::archive::Archive;
use crate::archive::log::{SegmentName, Segments};
use crate::engine::error::EngineError;
use crate::engine::restore::plan::TxnRef;
use crate::engine::view::View;
use crate::model::log::{Change, ChangeKind, LogRun};
use crate::model::position::Moment;
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
        ChangeKind::Ddl { text } => safe(text, 80),
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

/// Counts what came after a moment, in its incarnation and those that followed.
pub fn after(archive: &Archive, view: &View, until: Moment) -> Result<After, EngineError> {
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
        tables.extend(info.index.tables.into_iter().map(|t| t.table));
        transactions += if name.from >= until {
            info.entries
        } else {
            count_after(archive, &name, until)?
        };
    }
    Ok(After {
        transactions: Some(transactions),
        tables: tables.len() as u64,
    })
}

fn count_after(archive: &Archive, name: &SegmentName, until: Moment) -> Result<u64, EngineError> {
    let mut n = 0;
    let mut reader = archive.segment_reader(name)?;
    while let Some(entry) = reader.next()? {
        n += u64::from(entry.commit > until);
    }
    Ok(n)
}
