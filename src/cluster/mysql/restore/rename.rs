//! The moment of the switch: all tables move, the live ones aside and the built ones into their places. All at once where others
//! are at work in the server; in parts where it is closed, since nobody sees it: a server takes four times as long for twice
//! as many renames in one statement (MariaDB 11.8: 0.8 s for 1,000, 30 s for 4,000).
//!
//! Whoever holds a lock on one of them is waited for, for minutes; what is waited for can be asked meanwhile. A live table
//! that the server can neither read nor rename (its file is gone) does not hold up the others: a restore is what it needs.
//!
//! *Invariants: each table's state tells how far it is, so that a rename that stopped anywhere is brought to its end, or
//! back to its beginning.*

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::steps::there;
use super::waiting::{Patience, is_locked_out};
use crate::cluster::ClusterError;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::model::table::TableName;

/// A table that moves: the live one aside, the built one in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    /// Where it was built; without, the live one only goes.
    pub built: Option<TableName>,
    /// Its place.
    pub place: TableName,
    /// Where a live one is put.
    pub aside: TableName,
    /// A live one is not put aside: it came into being meanwhile, and the switch fails at it.
    #[serde(default)]
    pub absent: bool,
}

/// So many renames are one statement in a closed server.
const PART: usize = 200;

type There = BTreeMap<TableName, bool>;
type Pair<'a> = (&'a TableName, &'a TableName);

/// The renames that are left, given what there is.
pub(super) fn pairs<'a>(moves: &'a [Move], there: &There) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for m in moves {
        let coming = m.built.as_ref().filter(|b| there.contains_key(*b));
        if m.built.is_some() && coming.is_none() {
            continue;
        }
        if there.contains_key(&m.place) && !there.contains_key(&m.aside) && !m.absent {
            pairs.push((&m.place, &m.aside));
        }
        if let Some(built) = coming {
            pairs.push((built, &m.place));
        }
    }
    pairs
}

/// The renames that bring everything back to where it was.
pub(super) fn pairs_back<'a>(moves: &'a [Move], there: &There) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for m in moves {
        let is_free = match &m.built {
            Some(built) if !there.contains_key(built) && there.contains_key(&m.place) => {
                pairs.push((&m.place, built));
                true
            }
            _ => !there.contains_key(&m.place),
        };
        if is_free && there.contains_key(&m.aside) {
            pairs.push((&m.aside, &m.place));
        }
    }
    pairs
}

fn looked_at(conn: &mut Conn, moves: &[Move]) -> Result<There, ClusterError> {
    let mut dbs: Vec<&str> = moves
        .iter()
        .flat_map(|m| m.built.iter().chain([&m.place, &m.aside]))
        .map(|t| t.db.as_str())
        .collect();
    dbs.sort_unstable();
    dbs.dedup();
    there(conn, &dbs)
}

fn named(table: &TableName) -> String {
    text::table(&table.db, &table.table)
}

fn statement(pairs: &[Pair<'_>]) -> String {
    let list: Vec<String> = pairs
        .iter()
        .map(|(from, to)| format!("{} TO {}", named(from), named(to)))
        .collect();
    format!("RENAME TABLE {}", list.join(", "))
}

/// Renames all of them. Those that are spared say that the server is not closed.
fn run(conn: &mut Conn, moves: &[Move], pairs: &[Pair<'_>]) -> Result<(), WireError> {
    let part = match moves.iter().any(|m| m.absent) {
        true => pairs.len(),
        false => PART,
    };
    for some in pairs.chunks(part.max(1)) {
        conn.run(&statement(some))?;
    }
    Ok(())
}

/// Moves all tables; returns what the operator should know.
pub(super) fn forward(conn: &mut Conn, moves: &[Move], patience: &Patience<'_>) -> Result<Vec<String>, ClusterError> {
    let mut remarks = Vec::new();
    let mut stuck: BTreeSet<TableName> = BTreeSet::new();
    loop {
        let there = looked_at(conn, moves)?;
        let mut left = pairs(moves, &there);
        left.retain(|(from, _)| !stuck.contains(*from));
        if left.is_empty() {
            remarks.extend(drop_stuck(conn, &stuck)?);
            return Ok(remarks);
        }
        match run(conn, moves, &left) {
            Ok(()) => {}
            Err(e) if is_locked_out(&e) => patience.lose_some(conn)?,
            Err(e) => {
                let before = (remarks.len(), stuck.len());
                single_out(conn, moves, &mut stuck, &mut remarks)?;
                if before == (remarks.len(), stuck.len()) {
                    return Err(e.doing("putting the restored tables in their places"));
                }
            }
        }
    }
}

/// Puts live tables that cannot be read aside one by one, and those that cannot be moved out of the way.
fn single_out(
    conn: &mut Conn,
    moves: &[Move],
    stuck: &mut BTreeSet<TableName>,
    remarks: &mut Vec<String>,
) -> Result<(), ClusterError> {
    let there = looked_at(conn, moves)?;
    for m in moves {
        let place = named(&m.place);
        // A place that was taken already has its table in it.
        let is_live = m.built.as_ref().is_none_or(|b| there.contains_key(b)) && there.contains_key(&m.place);
        if !is_live || m.absent || stuck.contains(&m.place) {
            continue;
        }
        let why = match conn.run(&format!("SELECT 1 FROM {place} LIMIT 0")) {
            Err(e) if e.code().is_none() => return Err(e.doing(format!("reading {}", m.place))),
            Err(e) if !is_locked_out(&e) => e,
            _ => continue,
        };
        match conn.run(&statement(&[(&m.place, &m.aside)])) {
            Ok(_) => remarks.push(format!("{} could not be read ({why}); it was replaced", m.place)),
            Err(e) if e.code().is_none() => return Err(e.doing(format!("putting {} aside", m.place))),
            // It only goes: behind the others.
            Err(_) if m.built.is_none() => {
                stuck.insert(m.place.clone());
            }
            Err(_) => {
                conn.run(&format!("DROP TABLE {place}"))
                    .map_err(|e| e.doing(format!("dropping {}, which cannot be read", m.place)))?;
                remarks.push(format!(
                    "{} could neither be read nor moved ({why}): it was dropped to make room for the restored one",
                    m.place
                ));
            }
        }
    }
    Ok(())
}

/// Drops tables that could not be put aside, when all others are in their places.
fn drop_stuck(conn: &mut Conn, stuck: &BTreeSet<TableName>) -> Result<Vec<String>, ClusterError> {
    let mut remarks = Vec::new();
    for table in stuck {
        let drop = format!("DROP TABLE {}", named(table));
        remarks.push(match conn.run(&drop) {
            Ok(_) => format!("{table}, which the restored moment did not have, could not be read: it was dropped"),
            Err(e) if e.code().is_some() => {
                format!(
                    "{table}, which the restored moment did not have, could be neither read nor dropped ({e}): {drop}"
                )
            }
            Err(e) => return Err(e.doing(format!("dropping {table}, which cannot be read"))),
        });
    }
    Ok(remarks)
}

/// Moves everything back to where it was.
pub(super) fn back(conn: &mut Conn, moves: &[Move]) -> Result<(), ClusterError> {
    let there = looked_at(conn, moves)?;
    let pairs = pairs_back(moves, &there);
    if pairs.is_empty() {
        return Ok(());
    }
    run(conn, moves, &pairs).map_err(|e| e.doing("putting the live tables back in their places"))?;
    Ok(())
}

/// Whether all tables are in their places.
pub(super) fn is_done(conn: &mut Conn, moves: &[Move]) -> Result<bool, ClusterError> {
    let there = looked_at(conn, moves)?;
    Ok(moves
        .iter()
        .filter_map(|m| m.built.as_ref())
        .all(|b| !there.contains_key(b))
        && pairs(moves, &there).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> TableName {
        text.parse().unwrap()
    }

    fn moves() -> Vec<Move> {
        let mv = |built: Option<&str>, place: &str, aside: &str| Move {
            built: built.map(name),
            place: name(place),
            aside: name(aside),
            absent: false,
        };
        vec![
            mv(Some("n.a"), "d.a", "o.a"),
            mv(Some("n.b"), "d.b", "o.b"),
            mv(None, "d.c", "o.c"),
        ]
    }

    /// Renames one after the other, as a server does.
    fn apply(there: &mut There, pairs: &[Pair<'_>], stop: usize) {
        for (from, to) in pairs.iter().take(stop) {
            assert!(there.remove(*from).is_some(), "{from} is not there");
            assert!(there.insert((*to).clone(), false).is_none(), "{to} is there");
        }
    }

    fn start(live: bool) -> There {
        let mut there: There = ["n.a", "n.b", "d.c"].into_iter().map(|t| (name(t), false)).collect();
        if live {
            there.insert(name("d.a"), false);
        }
        there
    }

    proptest! {
        #[test]
        fn a_rename_that_stopped_anywhere_is_brought_to_its_end(stop in 0_usize..6, live in any::<bool>()) {
            let moves = moves();
            let mut there = start(live);
            let first = pairs(&moves, &there);
            apply(&mut there, &first, stop);
            let rest = pairs(&moves, &there);
            apply(&mut there, &rest, usize::MAX);
            let mut expected = vec![name("d.a"), name("d.b"), name("o.c")];
            if live {
                expected.push(name("o.a"));
            }
            expected.sort();
            prop_assert_eq!(there.into_keys().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn or_back_to_its_beginning(stop in 0_usize..6, live in any::<bool>()) {
            let moves = moves();
            let mut there = start(live);
            let first = pairs(&moves, &there);
            apply(&mut there, &first, stop);
            let back = pairs_back(&moves, &there);
            apply(&mut there, &back, usize::MAX);
            prop_assert_eq!(there, start(live));
        }
    }
}
