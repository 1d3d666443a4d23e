//! Rows that a statement of the log filled at the source with what the log does not hold: a restore ends before it.
//!
//! Numbers are the same here where the server reads the rows in the same order. Rows with a clustered key are read in its
//! order. Others are read as they were stored, and the log has transactions as they were committed: the order is known only
//! of rows that the base brought, which keeps it (old ones did not always), and of those that one transaction wrote into an
//! empty table.

use std::collections::HashMap;

use super::alter::Alter;
use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::event::RowsAct;
use crate::cluster::mysql::restore::state::KnownTable;
use crate::cluster::mysql::schema::create::{CreateTable, ItemKind};
use crate::cluster::mysql::sql::fills::{Fill, Filling, fills};
use crate::cluster::mysql::sql::statement::Statement;
use crate::cluster::mysql::text::{string, table};
use crate::cluster::mysql::wire::Conn;
use crate::model::table::TableName;

/// What the log did to the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// It made or emptied the table.
    None,
    /// Then this transaction wrote rows.
    Of(u64),
    /// Anything else.
    Mixed,
}

/// Of which tables the order of the rows is known. Tables that are not in it have rows as the base brought them, in order.
#[derive(Debug, Default)]
pub(super) struct Orders(HashMap<TableName, Rows>);

impl Orders {
    /// Before the log: of some tables the base brought the rows in the order of a key that holds all columns.
    pub fn of_base<'a>(known: impl Iterator<Item = &'a KnownTable>) -> Orders {
        let by_a_key = |of: &&KnownTable| {
            let (schema, keys) = (&of.schema, [ItemKind::Unique, ItemKind::Index]);
            let holds_keys = |create: CreateTable| create.items.iter().any(|i| keys.contains(&i.kind));
            !schema.stored_order
                && schema.primary_key.is_empty()
                && CreateTable::parse(&schema.create).is_ok_and(holds_keys)
        };
        Orders(
            known
                .filter(by_a_key)
                .map(|of| (of.name.clone(), Rows::Mixed))
                .collect(),
        )
    }

    /// Rows of the log, whether they are in already or not.
    pub fn rows(&mut self, name: &TableName, act: RowsAct, at: u64) {
        let now = match self.0.get(name) {
            Some(Rows::None) if act == RowsAct::Insert => Rows::Of(at),
            Some(Rows::Of(one)) if act == RowsAct::Insert && *one == at => return,
            Some(Rows::Mixed) => return,
            _ => Rows::Mixed,
        };
        self.0.insert(name.clone(), now);
    }

    /// After a statement.
    pub fn follow(&mut self, statement: &Statement) {
        if let Some(db) = statement.dropped_database() {
            self.0.retain(|t, _| t.db != db);
        }
        match statement {
            Statement::CreateTable {
                table,
                if_not_exists: false,
                ..
            }
            | Statement::Truncate(table) => {
                self.0.insert(table.clone(), Rows::None);
            }
            Statement::DropTables { tables, .. } => self.0.retain(|t, _| !tables.contains(t)),
            Statement::RenameTables(pairs) => pairs.iter().for_each(|(from, to)| self.renamed(from, to)),
            Statement::AlterTable {
                table,
                renamed,
                partner,
            } => {
                if let Some(partner) = partner
                    && (self.0.contains_key(table) || self.0.contains_key(partner))
                {
                    self.0.insert(table.clone(), Rows::Mixed);
                    self.0.insert(partner.clone(), Rows::Mixed);
                }
                if let Some(to) = renamed {
                    self.renamed(table, to);
                }
            }
            _ => {}
        }
    }

    fn renamed(&mut self, from: &TableName, to: &TableName) {
        match self.0.remove(from) {
            Some(rows) => self.0.insert(to.clone(), rows),
            None => self.0.remove(to),
        };
    }

    fn known(&self, name: &TableName) -> bool {
        self.0.get(name) != Some(&Rows::Mixed)
    }
}

/// Refuses to run an ALTER TABLE that would fill the rows that are there with something else than at the source.
pub(super) fn refuse(conn: &mut Conn, alter: &Alter<'_>, orders: &Orders) -> Result<(), ClusterError> {
    let (name, all) = (alter.table, fills(alter.sql, alter.modes));
    let Some(built) = alter.built().filter(|_| !all.is_empty()) else {
        return Ok(());
    };
    let Some(found) = Found::of(conn, &built, name)? else {
        return Ok(());
    };
    match all.iter().find_map(|fill| found.refuses(fill, orders.known(name))) {
        None => Ok(()),
        Some(why) => Err(alter.is_the_end(&format!(
            "what transaction {} put into the rows of {name}, {why}",
            alter.id
        ))),
    }
}

/// A table as it is built now.
struct Found {
    /// Its rows, two at most.
    rows: usize,
    /// Whether the server reads it in the order of a key.
    clustered: bool,
    /// Whether rows without a clustered key are in the order in which they came.
    stored: bool,
    numbered: bool,
    columns: Vec<String>,
}

impl Found {
    /// `None` when it is not there.
    fn of(conn: &mut Conn, place: &TableName, name: &TableName) -> Result<Option<Found>, ClusterError> {
        let of_table = format!(
            "table_schema = {} AND table_name = {}",
            string(&place.db),
            string(&place.table)
        );
        let doing = || format!("looking at {name}");
        let row = conn
            .row(&format!(
                "SELECT engine, table_type FROM information_schema.tables WHERE {of_table}"
            ))
            .map_err(|e| e.doing(doing()))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let innodb = row.text(0).eq_ignore_ascii_case("InnoDB");
        let history = match row.text(1).as_str() {
            "SYSTEM VERSIONED" => " FOR SYSTEM_TIME ALL",
            _ => "",
        };
        let all = format!("SELECT 1 FROM {}{history} LIMIT 2", table(&place.db, &place.table));
        let rows = conn.rows(&all).map_err(|e| e.doing(doing()))?.len();
        let keys = conn
            .rows(&format!(
                "SELECT index_name FROM information_schema.statistics WHERE {of_table} AND non_unique = 0 \
                 GROUP BY index_name HAVING SUM(index_type <> 'BTREE' OR column_name IS NULL OR nullable = 'YES' \
                 OR sub_part IS NOT NULL) = 0"
            ))
            .map_err(|e| e.doing(doing()))?;
        let columns = conn
            .rows(&format!(
                "SELECT column_name, extra FROM information_schema.columns WHERE {of_table}"
            ))
            .map_err(|e| e.doing(doing()))?;
        Ok(Some(Found {
            rows,
            clustered: innodb && !keys.is_empty(),
            stored: keys.is_empty(),
            numbered: columns
                .iter()
                .any(|r| r.text(1).to_ascii_lowercase().contains("auto_increment")),
            columns: columns.iter().map(|r| r.text(0).to_lowercase()).collect(),
        }))
    }

    /// Why what comes into the rows is not known. `in_order`: the rows came in the order in which the source stored them.
    fn refuses(&self, fill: &Fill, in_order: bool) -> Option<String> {
        let there = |column: &String| self.columns.contains(&column.to_lowercase());
        if fill.unless.as_ref().is_some_and(there) {
            return None;
        }
        let ordered = self.rows < 2 || self.clustered || (self.stored && in_order);
        match &fill.filling {
            Filling::Value(function) if self.rows > 0 => {
                Some(format!("because {function} gives other values at every time and place"))
            }
            Filling::Numbers { added } if !ordered && (*added || !self.numbered) => Some(
                "which were numbered in the order in which that server had stored them (there was no key)".to_owned(),
            ),
            Filling::FirstOfEqual if !ordered => Some(
                "of which it dropped some by the order in which that server had stored them (there was no key)"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::restore::state::Filled;

    #[test]
    fn old_bases_do_not_tell_in_which_order_rows_with_keys_were_stored() {
        let of = |keys: &str, new: &str| {
            let create = format!("CREATE TABLE `t` (\n  `a` int{keys}\n) ENGINE=InnoDB");
            let schema = format!(
                r#"{{"kind":"base","create":{create:?},"engine":"InnoDB","columns":[],"primary_key":[],"consistent":true{new}}}"#
            );
            let known = KnownTable {
                name: TableName::new("d", "t"),
                schema: serde_json::from_str(&schema).unwrap(),
                filled: Filled::Whole,
                sum: None,
            };
            Orders::of_base([&known].into_iter()).known(&known.name)
        };
        assert!(of("", ""));
        assert!(!of(",\n  KEY `a` (`a`)", ""));
        assert!(of(",\n  KEY `a` (`a`)", r#","stored_order":true"#));
    }
}
