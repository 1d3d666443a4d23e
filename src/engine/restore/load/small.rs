//! Small tables, several at a time: what each of them waits for, they wait for together.
//!
//! *Invariant: a portion holds little more than [`PORTION_BYTES`] of rows, so that it may be in memory as a whole.*

use std::collections::BTreeMap;

use super::{Load, mismatch, raw_bytes};
use crate::archive::ManifestTable;
use crate::cluster::Restorer;
use crate::engine::cx::Meter;
use crate::engine::error::{Doing, EngineError, unwrap_stop};
use crate::model::checksum::TableChecksum;
use crate::model::crash::crash_point;
use crate::model::table::TableName;

/// So many bytes of rows go together.
const PORTION_BYTES: u64 = 1 << 20;
/// And so many tables.
const PORTION_TABLES: usize = 64;

/// What one worker loads in one go.
pub(super) enum Portion<'a> {
    /// One table, in a stream.
    One(&'a TableName),
    /// Small ones.
    Small(Vec<(&'a TableName, &'a ManifestTable)>),
}

/// Cuts tables into portions: each table is in one of them.
pub(super) fn portions<'a>(
    restorer: &dyn Restorer,
    names: &'a [TableName],
    tables: &'a BTreeMap<TableName, ManifestTable>,
) -> Result<Vec<Portion<'a>>, EngineError> {
    let mut portions = Vec::new();
    let (mut open, mut bytes) = (Vec::new(), 0);
    for name in names {
        match tables.get(name) {
            Some(table) if restorer.goes_together(name)? && !restorer.is_loaded(name)? => {
                let own = raw_bytes(table);
                let full = open.len() >= PORTION_TABLES || bytes + own > PORTION_BYTES;
                if full && !open.is_empty() {
                    portions.push(Portion::Small(std::mem::take(&mut open)));
                    bytes = 0;
                }
                open.push((name, table));
                bytes += own;
            }
            _ => portions.push(Portion::One(name)),
        }
    }
    if !open.is_empty() {
        portions.push(Portion::Small(open));
    }
    Ok(portions)
}

impl Load<'_> {
    /// Loads a portion of small tables; returns the sum over their rows.
    pub(super) fn load_small(
        &self,
        portion: &[(&TableName, &ManifestTable)],
        meter: &Meter,
    ) -> Result<TableChecksum, EngineError> {
        let mut read = Vec::with_capacity(portion.len());
        for (name, table) in portion {
            self.cx.check()?;
            let mut batches = Vec::new();
            for chunk in &table.chunks {
                let mut reader = self.archive.data_reader(&self.plan.base.id, &chunk.object)?;
                while let Some(batch) = reader.next()? {
                    batches.push(batch);
                }
            }
            read.push(((*name).clone(), batches));
        }
        let loaded = self.restorer.load_together(&read);
        let loaded = loaded.map_err(unwrap_stop).doing(|| said(portion))?;
        let mut written = TableChecksum::default();
        for ((name, table), loaded) in portion.iter().zip(loaded) {
            if loaded.sum != table.sum {
                return Err(mismatch(
                    name,
                    "the manifest",
                    table.sum,
                    "the backup's rows",
                    loaded.sum,
                ));
            }
            written = written + loaded.written;
            meter.add(raw_bytes(table));
        }
        crash_point("restore.tables-loaded");
        Ok(written)
    }
}

fn said(portion: &[(&TableName, &ManifestTable)]) -> String {
    match portion {
        [] => "loading no tables".to_owned(),
        [(only, _)] => format!("loading {only}"),
        [(first, _), rest @ ..] => format!("loading {first} and {} other small tables", rest.len()),
    }
}
