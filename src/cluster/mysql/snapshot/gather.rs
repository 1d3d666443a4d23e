//! What a server shows of its tables and everything else, read twice: just before and just after a view is opened. Only when
//! both are the same do the definitions belong to the view's moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::cluster::mysql::schema::tables::{self, Details, Listed};
use crate::cluster::mysql::schema::{accounts, programs};
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::model::definition::Definition;
use crate::model::table::TableName;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Tables alone: for checksums.
    Tables,
    /// Programs and accounts too: for a backup.
    Everything,
}

/// One look at a server.
pub(super) struct Shown {
    pub tables: Vec<Listed>,
    pub creates: BTreeMap<TableName, String>,
    pub definitions: Vec<Definition>,
    /// InnoDB's own numbers of its tables, which go with a table when it is renamed.
    pub numbers: Option<BTreeMap<String, u64>>,
    /// Tables that were listed, and gone when they were to be shown.
    pub vanished: BTreeSet<TableName>,
}

impl Shown {
    /// The tables that are not the same in another look.
    pub fn restless(&self, other: &Shown) -> BTreeSet<TableName> {
        let (mine, theirs) = (self.by_table(), other.by_table());
        let shown = |s: &Shown, name: &TableName| s.creates.get(name).map(|c| tables::settled(c));
        let names = self.creates.keys().chain(other.creates.keys());
        let changed = |n: &&TableName| {
            let key = (n.db.as_str(), n.table.as_str());
            mine.get(&key) != theirs.get(&key) || shown(self, n) != shown(other, n)
        };
        let vanished = self.vanished.iter().chain(&other.vanished);
        names.filter(changed).chain(vanished).cloned().collect()
    }

    /// The same without these tables.
    pub fn leave_out(&mut self, names: &BTreeSet<TableName>) {
        if names.is_empty() {
            return;
        }
        self.tables.retain(|t| !names.contains(&t.name));
        self.creates.retain(|name, _| !names.contains(name));
        self.vanished.retain(|name| !names.contains(name));
        if let Some(numbers) = &mut self.numbers {
            numbers.retain(|own, _| !names.iter().any(|name| is_of(own, name)));
        }
    }

    /// InnoDB's numbers of all tables; one of each that has partitions.
    fn by_table(&self) -> BTreeMap<(&str, &str), u64> {
        let all = self.numbers.iter().flatten();
        all.filter_map(|(own, number)| Some((parts(own)?, *number))).collect()
    }

    /// InnoDB's number of a table.
    pub fn number(&self, name: &TableName) -> Option<u64> {
        let mut numbers = self.numbers.as_ref()?.iter();
        numbers.find(|(own, _)| is_of(own, name)).map(|(_, number)| *number)
    }

    /// What differs from another look, for a message; `None` when nothing does.
    pub fn differs(&self, other: &Shown) -> Option<String> {
        let settled = |s: &Shown| -> BTreeMap<TableName, String> {
            s.creates.iter().map(|(n, c)| (n.clone(), tables::settled(c))).collect()
        };
        let (mine, theirs) = (settled(self), settled(other));
        if let Some(name) = self.vanished.iter().chain(&other.vanished).next() {
            return Some(format!("table {name}"));
        }
        let names: BTreeSet<&TableName> = mine.keys().chain(theirs.keys()).collect();
        if let Some(name) = names.into_iter().find(|n| mine.get(n) != theirs.get(n)) {
            return Some(format!("table {name}"));
        }
        let key = |d: &Definition| (d.kind.clone(), d.db.clone(), d.name.clone());
        let all =
            |s: &Shown| -> BTreeMap<_, String> { s.definitions.iter().map(|d| (key(d), d.text.clone())).collect() };
        let (mine, theirs) = (all(self), all(other));
        if let Some((kind, db, name)) = mine.keys().chain(theirs.keys()).find(|k| mine.get(k) != theirs.get(k)) {
            let db = db.as_ref().map(|db| format!("{db}.")).unwrap_or_default();
            return Some(format!("{kind} {db}{name}"));
        }
        let (mine, theirs) = (self.numbers.as_ref()?, other.numbers.as_ref()?);
        let name = mine
            .keys()
            .chain(theirs.keys())
            .find(|n| mine.get(*n) != theirs.get(*n))?;
        Some(format!("table {}", name.replace('/', ".")))
    }
}

/// Looks at the server over several connections; something that vanishes meanwhile is an error of the server.
///
/// A program is shown in the charset of the session that made it, and is read as text. A table's definition is read as its
/// bytes: a conversion would spoil what MySQL shows of expressions.
pub(super) fn look(conns: &mut [Conn], extent: Extent) -> Result<Shown, WireError> {
    let Some(first) = conns.first_mut() else {
        return Err(WireError::Protocol("no connection".to_owned()));
    };
    first.run("SET SESSION character_set_results = utf8mb4")?;
    let shown = look_as_text(first, extent);
    first.run("SET SESSION character_set_results = NULL")?;
    let mut shown = shown?;
    let creates = side_by_side(conns, &shown.tables, |conn, t| {
        match tables::create(conn, &t.name, t.kind) {
            // There is nothing of it to be read; `cluster check` names it.
            Err(e) if tables::is_broken_merge(&e) => Ok(None),
            Err(e) if matches!(e.code(), Some(1146 | 4091)) => Ok(Some(None)),
            create => create.map(|c| Some(Some(c))),
        }
    })?;
    let names = shown.tables.iter().map(|t| t.name.clone());
    for (name, create) in names.zip(creates) {
        match create {
            Some(Some(create)) => drop(shown.creates.insert(name, create)),
            Some(None) => drop(shown.vanished.insert(name)),
            None => {}
        }
    }
    shown.tables.retain(|t| shown.creates.contains_key(&t.name));
    Ok(shown)
}

/// All but the definitions of the tables.
fn look_as_text(conn: &mut Conn, extent: Extent) -> Result<Shown, WireError> {
    let tables = tables::list(conn)?;
    let numbers = numbers(conn)?;
    let mut definitions = Vec::new();
    if extent == Extent::Everything {
        definitions = programs::read(conn)?;
        definitions.extend(accounts::read(conn)?);
    }
    Ok(Shown {
        creates: BTreeMap::new(),
        tables,
        definitions,
        numbers,
        vanished: BTreeSet::new(),
    })
}

/// The database and the table of a name that InnoDB uses. Other letters than ASCII's are spelled otherwise.
fn parts(own: &str) -> Option<(&str, &str)> {
    let (db, table) = own.split_once('/')?;
    let partition = table.split_once("#p#").or(table.split_once("#P#"));
    Some((db, partition.map_or(table, |(table, _)| table)))
}

/// Whether it is that of a table or one of its partitions.
pub(super) fn is_of(own: &str, name: &TableName) -> bool {
    parts(own) == Some((&name.db, &name.table))
}

/// The columns and keys of all tables, database by database.
pub(super) fn details(
    conns: &mut [Conn],
    tables: &[Listed],
) -> Result<HashMap<String, HashMap<String, Details>>, WireError> {
    let names: BTreeSet<&String> = tables.iter().map(|t| &t.name.db).collect();
    let names: Vec<&String> = names.into_iter().collect();
    let all = side_by_side(conns, &names, |conn, db| tables::details(conn, db))?;
    Ok(names.into_iter().cloned().zip(all).collect())
}

/// The numbers of InnoDB's tables by its own names for them; `None` where the account may not see them.
pub(super) fn numbers(conn: &mut Conn) -> Result<Option<BTreeMap<String, u64>>, WireError> {
    let own = |db: &str| matches!(db, "mysql" | "sys") || db.starts_with("_brine");
    tables::numbers(conn, |db| !own(db))
}

/// A table whose name now means another table that was there before, too.
pub(super) fn exchanged(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Option<String> {
    let known: BTreeSet<u64> = before.values().copied().collect();
    let swapped = |(name, number): &(&String, &u64)| {
        before.get(*name).is_some_and(|old| old != *number) && known.contains(*number)
    };
    after.iter().find(swapped).map(|(name, _)| name.replace('/', "."))
}

/// Does something for each item, on all connections at once; the answers are in the items' order.
pub(super) fn side_by_side<T: Sync, R: Send>(
    conns: &mut [Conn],
    items: &[T],
    work: impl Fn(&mut Conn, &T) -> Result<R, WireError> + Sync,
) -> Result<Vec<R>, WireError> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(items.len()));
    let failed = Mutex::new(None);
    let run = |conn: &mut Conn| {
        loop {
            let at = next.fetch_add(1, Ordering::SeqCst);
            let Some(item) = items.get(at) else { return };
            match work(conn, item) {
                Ok(answer) => answers.lock().push((at, answer)),
                Err(e) => {
                    failed.lock().get_or_insert(e);
                    next.store(items.len(), Ordering::SeqCst);
                }
            }
        }
    };
    if items.len() < 8 || conns.len() < 2 {
        conns.iter_mut().take(1).for_each(run);
    } else {
        std::thread::scope(|scope| {
            for conn in conns.iter_mut() {
                scope.spawn(|| run(conn));
            }
        });
    }
    if let Some(e) = failed.into_inner() {
        return Err(e);
    }
    let mut answers = answers.into_inner();
    if answers.len() != items.len() {
        return Err(WireError::Protocol("some definitions were not read".to_owned()));
    }
    answers.sort_by_key(|(at, _)| *at);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_that_were_there_can_be_exchanged() {
        let of = |all: &[(&str, u64)]| -> BTreeMap<String, u64> {
            all.iter().map(|(n, id)| ((*n).to_owned(), *id)).collect()
        };
        let before = of(&[("d/a", 1), ("d/b", 2), ("d/c", 3)]);
        // Made anew (the view refuses to read it), dropped, added: no harm.
        assert_eq!(exchanged(&before, &of(&[("d/a", 9), ("d/b", 2), ("d/x", 8)])), None);
        assert_eq!(
            exchanged(&before, &of(&[("d/a", 2), ("d/b", 1)])),
            Some("d.a".to_owned())
        );
        assert_eq!(exchanged(&before, &of(&[("d/a", 3)])), Some("d.a".to_owned()));
    }
}
