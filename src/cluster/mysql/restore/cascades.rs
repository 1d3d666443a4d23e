//! What a change of one table does to others by foreign keys, at servers whose logs say nothing of it: MariaDB, and MySQL before 9.6.
//!
//! A replay repeats it where all tables on the way are there. Where one is left out, rows below it would silently stay.

use std::collections::BTreeMap;

use super::together::schema_of;
use crate::cluster::mysql::schema::create::{CreateTable, Foreign};
use crate::cluster::{ClusterError, TableDef};
use crate::model::filter::TableFilter;
use crate::model::table::TableName;

/// What happens to the rows that refer to one that goes, or gets another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Nothing,
    Change,
    Go,
}

/// A foreign key with an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    child: TableName,
    parent: TableName,
    on_delete: Effect,
    on_update: Effect,
}

/// Which changes of a table reach others so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reaches {
    pub delete: bool,
    pub update: bool,
}

impl Edge {
    /// Of a foreign key of a table; `None` for one that changes nothing.
    pub fn of(child: &TableName, key: &Foreign) -> Option<Edge> {
        let db = key.db.as_deref().unwrap_or(&child.db);
        let (on_delete, on_update) = (effect(&key.after, "ON DELETE "), effect(&key.after, "ON UPDATE "));
        let edge = Edge {
            child: child.clone(),
            parent: TableName::new(db, key.table.clone()),
            on_delete,
            on_update,
        };
        (on_delete != Effect::Nothing || on_update != Effect::Nothing).then_some(edge)
    }
}

fn effect(after: &str, on: &str) -> Effect {
    let after = after.to_ascii_uppercase();
    let Some((_, action)) = after.split_once(on) else {
        return Effect::Nothing;
    };
    match () {
        () if action.starts_with("CASCADE") && on.contains("DELETE") => Effect::Go,
        () if ["CASCADE", "SET NULL", "SET DEFAULT"]
            .iter()
            .any(|a| action.starts_with(a)) =>
        {
            Effect::Change
        }
        () => Effect::Nothing,
    }
}

/// The foreign keys with an effect, of all tables of a base.
pub(super) fn edges(tables: &[TableDef]) -> Result<Vec<Edge>, ClusterError> {
    let mut out = Vec::new();
    // Most tables need not be parsed for this.
    for table in tables.iter().filter(|t| t.schema.contains("FOREIGN KEY")) {
        let schema = schema_of(table)?;
        let create = CreateTable::parse(&schema.create)?;
        out.extend(create.foreign_keys().filter_map(|key| Edge::of(&table.name, key)));
    }
    Ok(out)
}

/// The tables whose changes reach restored ones past tables that are not restored. `from` are foreign keys of restored tables to others.
pub(super) fn past(from: impl Iterator<Item = Edge>, all: &[Edge]) -> BTreeMap<TableName, Reaches> {
    let mut out: BTreeMap<TableName, Reaches> = BTreeMap::new();
    let mark = |out: &mut BTreeMap<TableName, Reaches>, parent: &TableName, delete: bool, update: bool| {
        let known = out.entry(parent.clone()).or_default();
        let before = *known;
        *known = Reaches {
            delete: known.delete || delete,
            update: known.update || update,
        };
        before != *known
    };
    for edge in from {
        let (delete, update) = (edge.on_delete != Effect::Nothing, edge.on_update != Effect::Nothing);
        mark(&mut out, &edge.parent, delete, update);
    }
    let mut more = true;
    while std::mem::take(&mut more) {
        for edge in all {
            let Some(child) = out.get(&edge.child).copied() else {
                continue;
            };
            let delete = match edge.on_delete {
                Effect::Nothing => false,
                Effect::Change => child.update,
                Effect::Go => child.delete,
            };
            let update = edge.on_update != Effect::Nothing && child.update;
            if delete || update {
                more |= mark(&mut out, &edge.parent, delete, update);
            }
        }
    }
    out
}

/// The same for tables of a base, by a filter.
pub(in crate::cluster::mysql) fn past_filter(
    tables: &[TableDef],
    filter: &TableFilter,
) -> Result<Vec<TableName>, ClusterError> {
    let all = edges(tables)?;
    let leaves = |e: &&Edge| filter.matches(&e.child) && !filter.matches(&e.parent);
    let from: Vec<Edge> = all.iter().filter(leaves).cloned().collect();
    Ok(past(from.into_iter(), &all).into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(child: &str, parent: &str, after: &str) -> Option<Edge> {
        let key = Foreign {
            name: None,
            before: String::new(),
            db: None,
            table: parent.to_owned(),
            after: format!(" (`id`){after}"),
        };
        Edge::of(&TableName::new("d", child), &key)
    }

    fn reached(list: &[(&str, &str, &str)]) -> String {
        let all: Vec<Edge> = list.iter().filter_map(|(c, p, a)| edge(c, p, a)).collect();
        let from = all.iter().filter(|e| e.child.table == "leaf").cloned();
        let words = |(t, r): (&TableName, &Reaches)| {
            let (d, u) = (if r.delete { "d" } else { "" }, if r.update { "u" } else { "" });
            format!("{}:{d}{u}", t.table)
        };
        past(from, &all).iter().map(words).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_goes_or_changes_is_followed_upwards() {
        let both = " ON DELETE CASCADE ON UPDATE CASCADE";
        assert_eq!(reached(&[("leaf", "p", "")]), "");
        assert_eq!(reached(&[("leaf", "p", " ON DELETE CASCADE")]), "p:d");
        assert_eq!(reached(&[("leaf", "p", " ON UPDATE SET NULL")]), "p:u");
        assert_eq!(
            reached(&[("leaf", "m", " ON DELETE CASCADE"), ("m", "p", " ON DELETE CASCADE")]),
            "m:d p:d"
        );
        assert_eq!(
            reached(&[("leaf", "m", " ON DELETE CASCADE"), ("m", "p", " ON UPDATE CASCADE")]),
            "m:d"
        );
        assert_eq!(
            reached(&[("leaf", "m", both), ("m", "p", " ON DELETE SET NULL")]),
            "m:du p:d"
        );
        assert_eq!(
            reached(&[("leaf", "m", " ON DELETE CASCADE"), ("m", "p", " ON DELETE SET NULL")]),
            "m:d"
        );
        assert_eq!(
            reached(&[("leaf", "a", both), ("a", "b", both), ("b", "a", both)]),
            "a:du b:du"
        );
    }
}
