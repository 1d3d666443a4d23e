//! Changes worth a look, from the indexes of log segments; or every transaction of a stretch.

use crate::archive::Archive;
use crate::archive::log::SegmentName;
use crate::cluster::Codec;
use crate::engine::error::EngineError;
use crate::engine::lookup;
use crate::engine::view::View;
use crate::model::log::{Change, ChangeKind};
use crate::model::position::Moment;
use crate::model::table::TableName;

/// Which changes are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// At or after this moment.
    pub from: Option<Moment>,
    /// At or before this moment.
    pub to: Option<Moment>,
    /// Only of this table.
    pub table: Option<TableName>,
    /// Ordinary transactions too.
    pub all: bool,
    /// At most so many.
    pub limit: usize,
}

impl Wanted {
    fn takes(&self, change: &Change) -> bool {
        self.from.is_none_or(|f| f <= change.at)
            && self.to.is_none_or(|t| change.at <= t)
            && self.table.as_ref().is_none_or(|t| change.table.as_ref() == Some(t))
    }

    fn overlaps(&self, name: &SegmentName) -> bool {
        self.from.is_none_or(|f| f <= name.to) && self.to.is_none_or(|t| name.from < t)
    }
}

/// The newest changes first.
pub fn list(archive: &Archive, view: &View, codec: &dyn Codec, wanted: &Wanted) -> Result<Vec<Change>, EngineError> {
    let mut found: Vec<Change> = Vec::new();
    for run in view.log.runs.iter().rev() {
        let mut names = Vec::new();
        let mut segments = lookup::segments(archive, run)?;
        while let Some(name) = segments.next()? {
            if wanted.overlaps(&name) {
                names.push(name);
            }
        }
        for name in names.iter().rev() {
            let mut own = match wanted.all {
                true => transactions(archive, name, codec)?,
                false => archive.segment_index(name)?.index.changes,
            };
            own.retain(|c| wanted.takes(c));
            own.reverse();
            found.append(&mut own);
            if found.len() >= wanted.limit {
                found.truncate(wanted.limit);
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Every transaction of a segment, one line a table.
fn transactions(archive: &Archive, name: &SegmentName, codec: &dyn Codec) -> Result<Vec<Change>, EngineError> {
    let mut all = Vec::new();
    let mut reader = archive.segment_reader(name)?;
    while let Some(entry) = reader.next()? {
        let (deltas, ddl) = codec.describe(&entry.payload)?;
        let change = |kind, table, rows, bytes| Change {
            id: entry.id.clone(),
            at: entry.commit,
            transaction: entry.id.clone(),
            kind,
            table,
            rows,
            bytes,
        };
        if let Some(ddl) = ddl {
            all.push(change(
                ChangeKind::Ddl { text: ddl.text },
                ddl.table,
                ddl.rows,
                entry.payload.len() as u64,
            ));
        }
        for d in deltas {
            all.push(change(
                ChangeKind::Transaction,
                Some(d.table),
                d.puts + d.deletes,
                d.bytes,
            ));
        }
    }
    Ok(all)
}
