//! Changes worth a look, from the indexes of log segments; or every transaction of a stretch.

use std::collections::VecDeque;

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
            let room = wanted.limit - found.len();
            let mut own = Newest::new(room);
            match wanted.all {
                true => transactions(archive, name, codec, wanted, &mut own)?,
                false => {
                    let listed = archive.segment_index(name)?.index.changes;
                    listed.into_iter().filter(|c| wanted.takes(c)).for_each(|c| own.push(c));
                }
            }
            found.extend(own.changes.into_iter().rev());
            if found.len() >= wanted.limit {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// The last changes that were seen, no more than there is room for.
struct Newest {
    room: usize,
    changes: VecDeque<Change>,
}

impl Newest {
    fn new(room: usize) -> Newest {
        Newest {
            room,
            changes: VecDeque::new(),
        }
    }

    fn push(&mut self, change: Change) {
        if self.changes.len() == self.room {
            self.changes.pop_front();
        }
        if self.room > 0 {
            self.changes.push_back(change);
        }
    }
}

/// Every transaction of a segment that is wanted, one line a table.
fn transactions(
    archive: &Archive,
    name: &SegmentName,
    codec: &dyn Codec,
    wanted: &Wanted,
    newest: &mut Newest,
) -> Result<(), EngineError> {
    let mut take = |change: Change| {
        if wanted.takes(&change) {
            newest.push(change);
        }
    };
    let mut reader = archive.segment_reader(name)?;
    while let Some(entry) = reader.next()? {
        if wanted.from.is_some_and(|f| entry.commit < f) || wanted.to.is_some_and(|t| t < entry.commit) {
            continue;
        }
        let (deltas, ddl) = codec.describe(&entry.payload)?;
        let change = |kind, table, rows, bytes| Change {
            id: entry.id.clone(),
            at: entry.commit,
            transaction: entry.id.clone(),
            kind,
            table,
            rows,
            bytes,
            lacks: None,
        };
        if let Some(ddl) = ddl {
            take(change(
                ChangeKind::Ddl { text: ddl.text },
                ddl.table,
                ddl.rows,
                entry.payload.len() as u64,
            ));
        }
        for d in deltas {
            take(change(
                ChangeKind::Transaction,
                Some(d.table),
                d.puts + d.deletes,
                d.bytes,
            ));
        }
    }
    Ok(())
}
