//! Tables without any key: each changed row would read the whole table. They get an index for the time of the replay.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Replay;
use super::rewrite::number_and_flags;
use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::event::{Event, Kind, RowsAct};
use crate::cluster::mysql::binlog::rows::TableMap;
use crate::cluster::mysql::sql::statement::Statement;
use crate::cluster::mysql::text::{ident, string, table};
use crate::cluster::mysql::wire::Conn;
use crate::model::table::TableName;

use crate::cluster::mysql::restore::names::{Shadows, wanted};

/// What the index is called.
const INDEX: &str = "_brine_replay";
/// Columns in it at most, and characters of each.
const COLUMNS: usize = 8;
const CHARACTERS: u64 = 40;

/// Which tables have no key, and which have ours.
pub(super) struct Keyless {
    shadows: Shadows,
    /// Whether a table was looked at, by its name at the source: `true` when nothing more is to be done.
    looked: BTreeMap<TableName, bool>,
    indexed: BTreeSet<TableName>,
}

impl Keyless {
    /// Finds the indexes that an earlier run made.
    pub fn new(conn: &mut Conn, shadows: &Shadows) -> Result<Keyless, ClusterError> {
        let sql = format!(
            "SELECT DISTINCT table_schema, table_name FROM information_schema.statistics WHERE index_name = {}",
            string(INDEX)
        );
        let rows = conn
            .rows(&sql)
            .map_err(|e| e.doing("looking for indexes of an earlier run"))?;
        let indexed: BTreeSet<TableName> = rows
            .iter()
            .map(|r| TableName::new(r.text(0), r.text(1)))
            .filter(|t| shadows.source(&t.db).is_some())
            .collect();
        Ok(Keyless {
            shadows: shadows.clone(),
            looked: BTreeMap::new(),
            indexed,
        })
    }

    /// Whether a table, by its name at the source, was not looked at yet.
    pub fn wants(&self, name: &TableName) -> bool {
        !self.looked.get(name).copied().unwrap_or(false)
    }

    /// Looks at a table, and gives it an index where it has no key.
    pub fn add(&mut self, conn: &mut Conn, name: &TableName) -> Result<(), ClusterError> {
        self.looked.insert(name.clone(), true);
        let Some(place) = self.shadows.place(name) else {
            return Ok(());
        };
        let (db, tbl) = (string(&place.db), string(&place.table));
        let doing = || format!("looking for a key of {name}");
        let keys = conn
            .row(&format!(
                "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = {db} AND table_name = {tbl} \
                 AND index_type = 'BTREE'"
            ))
            .map_err(|e| e.doing(doing()))?;
        if keys.is_none_or(|r| r.number(0) > 0) {
            return Ok(());
        }
        let rows = conn
            .rows(&format!(
                "SELECT column_name, data_type, COALESCE(character_maximum_length, 0), extra, generation_expression \
                 FROM information_schema.columns WHERE table_schema = {db} AND table_name = {tbl} ORDER BY ordinal_position"
            ))
            .map_err(|e| e.doing(doing()))?;
        let parts: Vec<String> = rows
            .iter()
            .filter(|r| r.text(4).is_empty())
            .filter_map(|r| part(&r.text(0), &r.text(1).to_ascii_lowercase(), r.number(2)))
            .take(COLUMNS)
            .collect();
        if parts.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "ALTER TABLE {} ADD INDEX {} ({})",
            table(&place.db, &place.table),
            ident(INDEX),
            parts.join(", ")
        );
        match conn.run(&sql) {
            Ok(_) => {
                self.indexed.insert(place);
                Ok(())
            }
            // An engine or a table that takes no such index: it is slow, not wrong.
            Err(e) if e.code().is_some() => Ok(()),
            Err(e) => Err(e.doing(format!("adding an index to {name} for the replay"))),
        }
    }

    /// Takes the indexes from the tables that a statement names: it must find them as they were at the source, where no
    /// index stood in its way or went with a copy.
    pub fn make_way(&mut self, conn: &mut Conn, statement: &Statement) -> Result<(), ClusterError> {
        // Whatever is in a database goes with it.
        if let Some(shadow) = statement.dropped_database().and_then(|db| self.shadows.shadow(db)) {
            self.indexed.retain(|place| place.db != shadow);
        }
        for name in statement.tables() {
            let Some(place) = self.shadows.place(name) else {
                continue;
            };
            if self.indexed.remove(&place) {
                drop_index(conn, &place)?;
            }
        }
        Ok(())
    }

    /// After a statement: its tables may have another definition.
    pub fn refresh(&mut self, statement: &Statement) {
        match statement {
            Statement::RenameTables(_) => self.looked.clear(),
            _ if statement.dropped_database().is_some() => self.looked.clear(),
            _ => {
                for table in statement.tables() {
                    self.looked.remove(table);
                }
            }
        }
    }

    /// Takes the indexes away again, wherever the tables have gone.
    pub fn remove(&self, conn: &mut Conn) -> Result<(), ClusterError> {
        if self.indexed.is_empty() {
            return Ok(());
        }
        let now = Keyless::new(conn, &self.shadows)?;
        now.indexed.iter().try_for_each(|place| drop_index(conn, place))
    }
}

impl Replay {
    /// Gives tables without a key an index before their first change: without one every changed row reads the whole table.
    /// After a crash what is in already needs none, and a table may be further than the log is here.
    pub(super) fn index_keyless(&mut self, events: &[Event<'_>], at: u64) -> Result<(), ClusterError> {
        let mut maps: HashMap<u64, TableName> = HashMap::new();
        let mut missing = BTreeSet::new();
        for event in events {
            if event.kind() == Kind::TABLE_MAP {
                let map = TableMap::parse(event)?;
                maps.insert(map.id, map.table);
            } else if event.kind().rows().is_some_and(|act| act != RowsAct::Insert)
                && let Some((number, _)) = number_and_flags(event)
                && let Some(table) = maps.get(&number)
                && self.keyless.wants(table)
                && wanted(&self.ask, table)
                && self.lanes.get(self.choice.of(table)).is_some_and(|lane| at > lane.done)
            {
                missing.insert(table.clone());
            }
        }
        self.index(missing)
    }

    pub(super) fn index(&mut self, tables: BTreeSet<TableName>) -> Result<(), ClusterError> {
        for table in tables {
            self.settle()?;
            self.keyless.add(self.statements.conn(), &table)?;
        }
        Ok(())
    }
}

fn drop_index(conn: &mut Conn, place: &TableName) -> Result<(), ClusterError> {
    let name = table(&place.db, &place.table);
    conn.run(&format!("ALTER TABLE {name} DROP INDEX {}", ident(INDEX)))
        .map_err(|e| e.doing(format!("taking the index of the replay from {place}")))?;
    Ok(())
}

/// A column as part of the index; `None` for types whose values are not found again by comparing.
fn part(name: &str, data_type: &str, characters: u64) -> Option<String> {
    match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "date" | "datetime" | "timestamp"
        | "time" | "year" | "enum" | "uuid" | "inet4" | "inet6" => Some(ident(name)),
        "char" | "varchar" | "binary" | "varbinary" if characters <= CHARACTERS => Some(ident(name)),
        "char" | "varchar" | "binary" | "varbinary" => Some(format!("{}({CHARACTERS})", ident(name))),
        _ => None,
    }
}
