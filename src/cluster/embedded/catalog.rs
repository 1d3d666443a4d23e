//! Which tables exist, and since when: a history of every name.
//!
//! An entry says that from its timestamp on a name means this generation of rows, or nothing. The whole
//! catalog is held in memory; what is written goes into the batch of the change that it belongs to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterError, TableDef};
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::keys;
use super::store::{Batch, Space, Store};

/// A table during one of its generations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableInfo {
    /// The generation, which names the keyspace of its rows.
    pub(super) id: u64,
    /// The schema as it was given.
    pub(super) schema: String,
    /// Whether it belongs to the system.
    pub(super) system: bool,
}

type Versions = Vec<(Tso, Option<Arc<TableInfo>>)>;

/// All versions of all names.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    names: BTreeMap<TableName, Versions>,
}

fn key(name: &TableName, ts: Tso) -> Vec<u8> {
    keys::stored(name.to_string().as_bytes(), ts)
}

/// The newest entry at or before a timestamp.
fn at(versions: &Versions, ts: Tso) -> Option<&Arc<TableInfo>> {
    let (_, info) = versions.iter().rev().find(|(since, _)| *since <= ts)?;
    info.as_ref()
}

impl Catalog {
    /// Reads the whole catalog.
    pub(super) fn load(store: &Store) -> Result<Catalog, ClusterError> {
        let mut catalog = Catalog::default();
        let mut pairs = store.range(Space::Catalog, Bound::Unbounded, Bound::Unbounded);
        while let Some((k, v)) = pairs.next()? {
            let (prefix, ts) = keys::split(&k)?;
            let name = String::from_utf8(keys::unescape(prefix)?).map_err(|e| bad(e.to_string()))?;
            let name: TableName = name.parse().map_err(|e| bad(format!("{e}")))?;
            let info: Option<TableInfo> = serde_json::from_slice(&v).map_err(|e| bad(e.to_string()))?;
            catalog.set(name, ts, info.map(Arc::new));
        }
        Ok(catalog)
    }

    /// Puts an entry into a batch.
    pub(super) fn write(
        batch: &mut Batch<'_>,
        name: &TableName,
        ts: Tso,
        info: Option<&TableInfo>,
    ) -> Result<(), ClusterError> {
        let text = serde_json::to_vec(&info).map_err(|e| bad(e.to_string()))?;
        batch.put(Space::Catalog, &key(name, ts), text);
        Ok(())
    }

    /// Takes over an entry whose batch was written.
    pub(super) fn set(&mut self, name: TableName, ts: Tso, info: Option<Arc<TableInfo>>) {
        let versions = self.names.entry(name).or_default();
        let place = versions.partition_point(|(t, _)| *t < ts);
        versions.insert(place, (ts, info));
    }

    /// What a name means at a timestamp.
    pub(super) fn get(&self, name: &TableName, ts: Tso) -> Result<Arc<TableInfo>, ClusterError> {
        self.names
            .get(name)
            .and_then(|v| at(v, ts))
            .cloned()
            .ok_or_else(|| ClusterError::NoTable(name.clone()))
    }

    /// The tables at a timestamp, ordered by name.
    pub(super) fn tables(&self, ts: Tso) -> Vec<(TableName, Arc<TableInfo>)> {
        let live = |(name, v): (&TableName, &Versions)| at(v, ts).map(|i| (name.clone(), i.clone()));
        self.names.iter().filter_map(live).collect()
    }

    /// All generations that any entry names.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.names
            .values()
            .flatten()
            .filter_map(|(_, i)| i.as_ref().map(|i| i.id))
    }

    /// Entries that nobody can read behind a safepoint: (name, timestamp, generation that ends with it).
    pub(super) fn obsolete(&self, safepoint: Tso) -> Vec<(TableName, Tso, Option<u64>)> {
        let mut out = Vec::new();
        for (name, versions) in &self.names {
            let readable = versions.partition_point(|(ts, _)| *ts <= safepoint).saturating_sub(1);
            let old = versions.iter().take(readable);
            out.extend(old.map(|(ts, info)| (name.clone(), *ts, info.as_ref().map(|i| i.id))));
            // What is left of a dropped table is the entry that says so.
            if let [.., (ts, None)] = versions.as_slice()
                && *ts <= safepoint
            {
                out.push((name.clone(), *ts, None));
            }
        }
        out
    }

    /// Puts the removal of an entry into a batch.
    pub(super) fn write_removal(batch: &mut Batch<'_>, name: &TableName, ts: Tso) {
        batch.remove(Space::Catalog, &key(name, ts));
    }

    /// Forgets an entry whose removal was written.
    pub(super) fn forget(&mut self, name: &TableName, ts: Tso) {
        if let Some(versions) = self.names.get_mut(name) {
            versions.retain(|(t, _)| *t != ts);
            if versions.is_empty() {
                self.names.remove(name);
            }
        }
    }
}

impl TableInfo {
    /// As the engine sees it.
    pub(super) fn def(&self, name: &TableName) -> TableDef {
        TableDef {
            name: name.clone(),
            schema: self.schema.clone(),
            system: self.system,
        }
    }
}

fn bad(why: String) -> ClusterError {
    ClusterError::Malformed {
        what: "an entry of the catalog",
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(id: u64) -> Arc<TableInfo> {
        Arc::new(TableInfo {
            id,
            schema: String::new(),
            system: false,
        })
    }

    #[test]
    fn a_name_means_what_it_meant_then() {
        let t = TableName::new("d", "t");
        let mut c = Catalog::default();
        c.set(t.clone(), Tso(10), Some(info(1)));
        c.set(t.clone(), Tso(20), None);
        c.set(t.clone(), Tso(30), Some(info(2)));
        let id = |ts| c.get(&t, Tso(ts)).map(|i| i.id).ok();
        assert_eq!(
            [9, 10, 19, 20, 29, 30].map(id),
            [None, Some(1), Some(1), None, None, Some(2)]
        );
    }

    #[test]
    fn only_what_nobody_can_read_is_obsolete() {
        let t = TableName::new("d", "t");
        let mut c = Catalog::default();
        c.set(t.clone(), Tso(10), Some(info(1)));
        c.set(t.clone(), Tso(20), None);
        assert!(c.obsolete(Tso(19)).is_empty());
        assert_eq!(
            c.obsolete(Tso(20)),
            [(t.clone(), Tso(10), Some(1)), (t.clone(), Tso(20), None)]
        );
        c.set(t.clone(), Tso(30), Some(info(2)));
        assert_eq!(c.obsolete(Tso(20)), [(t, Tso(10), Some(1))]);
    }
}
