//! Which tables a server has, and how they are made.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::misprint;
use super::table::{Column, ColumnWay, TableKind, TableSchema};
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
use crate::model::table::TableName;

/// The condition on a column that holds a database's name: not the server's own, and not ours.
pub fn not_system(column: &str) -> String {
    format!(
        "{column} NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') AND LEFT({column}, 6) <> '_brine'"
    )
}

/// A table as the server lists it; rows and bytes are estimates.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: TableName,
    /// What kind.
    pub kind: TableKind,
    /// Its engine; empty when the server cannot open it.
    pub engine: String,
    /// About so many rows.
    pub rows: u64,
    /// About so many bytes.
    pub bytes: u64,
}

impl Listed {
    /// Whether its rows are seen as of a view's moment.
    pub fn transactional(&self) -> bool {
        is_transactional(&self.engine)
    }

    /// Whether its rows are kept elsewhere (in other tables, files or servers), so that only its definition is backed up.
    pub fn rows_elsewhere(&self) -> bool {
        const ENGINES: [&str; 7] = [
            "MRG_MyISAM",
            "FEDERATED",
            "CONNECT",
            "SPIDER",
            "OQGRAPH",
            "BLACKHOLE",
            "SEQUENCE",
        ];
        self.kind != TableKind::Sequence && ENGINES.iter().any(|e| e.eq_ignore_ascii_case(&self.engine))
    }
}

/// Whether an engine keeps what a transaction did together.
pub fn is_transactional(engine: &str) -> bool {
    const ENGINES: [&str; 4] = ["InnoDB", "ROCKSDB", "TokuDB", "ndbcluster"];
    ENGINES.iter().any(|e| e.eq_ignore_ascii_case(engine))
}

/// All tables, ordered by name.
pub fn list(conn: &mut Conn) -> Result<Vec<Listed>, WireError> {
    let sql = format!(
        "SELECT table_schema, table_name, table_type, engine, table_rows, data_length FROM information_schema.tables \
         WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') AND {}",
        not_system("table_schema")
    );
    let rows = conn.rows(&sql)?;
    let mut tables: Vec<Listed> = rows
        .iter()
        .map(|row| Listed {
            name: TableName::new(row.text(0), row.text(1)),
            kind: match row.text(2).as_str() {
                "SYSTEM VERSIONED" => TableKind::Versioned,
                "SEQUENCE" => TableKind::Sequence,
                _ => TableKind::Base,
            },
            engine: row.text(3),
            rows: row.number(4),
            bytes: row.number(5),
        })
        .collect();
    if tables.iter().any(|table| table.engine.is_empty()) {
        // MariaDB takes a view that it cannot read for a table when it is asked for rows.
        let views: HashSet<TableName> = views(conn)?.into_iter().collect();
        tables.retain(|table| !views.contains(&table.name));
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tables)
}

/// The names of all views, in order.
pub(super) fn views(conn: &mut Conn) -> Result<Vec<TableName>, WireError> {
    let sql = format!(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'VIEW' AND {} \
         ORDER BY table_schema, table_name",
        not_system("table_schema")
    );
    let rows = conn.rows(&sql)?;
    Ok(rows
        .iter()
        .map(|row| TableName::new(row.text(0), row.text(1)))
        .collect())
}

/// The statement that makes a table: `SHOW CREATE TABLE`, for a sequence `SHOW CREATE SEQUENCE`.
pub fn create(conn: &mut Conn, name: &TableName, kind: TableKind) -> Result<String, WireError> {
    let shown = match kind {
        TableKind::Sequence => {
            let row = conn.row(&format!("SHOW CREATE SEQUENCE {}", text::table(&name.db, &name.table)))?;
            row.as_ref().and_then(|r| r.bytes(1)).map(text::statement)
        }
        TableKind::Base | TableKind::Versioned => misprint::shown(conn, name)?,
    };
    shown.ok_or_else(|| WireError::Protocol(format!("SHOW CREATE of {name} gave nothing")))
}

/// Whether a server could not show a table because it merges others that are gone or no longer fit. It has no rows, and nobody
/// can use it.
pub fn is_broken_merge(e: &WireError) -> bool {
    e.code() == Some(1168)
}

/// A table's definition without its AUTO_INCREMENT counter, which moves with every insert.
pub fn settled(create: &str) -> String {
    match counter(create) {
        Some((from, to, _)) => [create.get(..from), create.get(to..)].into_iter().flatten().collect(),
        None => create.to_owned(),
    }
}

/// The AUTO_INCREMENT counter of a table.
pub fn auto_increment(create: &str) -> Option<u64> {
    counter(create).map(|(_, _, n)| n)
}

/// Where ` AUTO_INCREMENT=n` stands among the options of a table, and n.
fn counter(create: &str) -> Option<(usize, usize, u64)> {
    const OPTION: &str = " AUTO_INCREMENT=";
    let options = create.rfind("\n) ")?;
    let tail = create.get(options..)?;
    let before_text = tail.find('\'').unwrap_or(tail.len());
    let from = options + tail.get(..before_text)?.find(OPTION)?;
    let digits = create.get(from + OPTION.len()..)?;
    let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let n = digits.get(..length)?.parse().ok()?;
    Some((from, from + OPTION.len() + length, n))
}

/// A column as the server lists it.
#[derive(Clone, Debug)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// `int`, `varchar` ...
    pub data_type: String,
    /// Of text.
    pub charset: Option<String>,
    /// Of text.
    pub collation: Option<String>,
    /// Made of others.
    pub generated: bool,
    /// `ROW END` of a versioned table.
    pub row_end: bool,
}

/// A part of a primary key.
#[derive(Clone, Debug)]
pub struct KeyPart {
    /// The column.
    pub column: String,
    /// The index holds the whole value, in ascending order, and is ordered at all.
    pub plain: bool,
}

/// What is known of a table besides its statement.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// Its columns, in order.
    pub columns: Vec<ColumnInfo>,
    /// Its primary key, in order.
    pub key: Vec<KeyPart>,
}

impl Details {
    /// Whether a column is the `ROW END` of a versioned table.
    pub fn is_row_end(&self, column: &str) -> bool {
        self.columns.iter().any(|c| c.row_end && c.name == column)
    }
}

/// The details of all tables of a database.
pub fn details(conn: &mut Conn, db: &str) -> Result<HashMap<String, Details>, WireError> {
    let mut all: HashMap<String, Details> = HashMap::new();
    let db = text::string(db);
    let rows = conn.rows(&format!(
        "SELECT table_name, column_name, data_type, character_set_name, generation_expression, collation_name \
         FROM information_schema.columns WHERE table_schema = {db} ORDER BY table_name, ordinal_position"
    ))?;
    for row in &rows {
        let expression = row.text(4);
        let period = matches!(expression.as_str(), "ROW START" | "ROW END");
        all.entry(row.text(0)).or_default().columns.push(ColumnInfo {
            name: row.text(1),
            data_type: row.text(2).to_ascii_lowercase(),
            charset: row.opt(3),
            collation: row.opt(5),
            generated: !expression.is_empty() && !period,
            row_end: expression == "ROW END",
        });
    }
    let rows = conn.rows(&format!(
        "SELECT table_name, column_name, sub_part, collation, index_type FROM information_schema.statistics \
         WHERE table_schema = {db} AND index_name = 'PRIMARY' ORDER BY table_name, seq_in_index"
    ))?;
    for row in &rows {
        all.entry(row.text(0)).or_default().key.push(KeyPart {
            column: row.text(1),
            plain: row.opt(2).is_none() && row.text(3) == "A" && row.text(4) == "BTREE",
        });
    }
    Ok(all)
}

/// How a column's values come and go.
fn way(data_type: &str, flavor: Flavor) -> ColumnWay {
    match data_type {
        "float" => ColumnWay::Float,
        "uuid" | "inet4" | "inet6" => ColumnWay::Text,
        "json" if flavor == Flavor::MySql => ColumnWay::Json,
        _ => ColumnWay::Bytes,
    }
}

/// The numbers of InnoDB's tables by its own names for them (`db/table`), of the databases that are wanted; those that it
/// makes for itself are left out. `None` where the account may not see them.
pub fn numbers(conn: &mut Conn, wanted: impl Fn(&str) -> bool) -> Result<Option<BTreeMap<String, u64>>, WireError> {
    let numbers = numbers_where(conn, "TRUE")?;
    let is_wanted = |name: &str| name.split_once('/').is_some_and(|(db, _)| wanted(db));
    Ok(numbers.map(|all| all.into_iter().filter(|(name, _)| is_wanted(name)).collect()))
}

/// The same of some tables; others whose names begin like theirs may be with them.
pub fn numbers_of(conn: &mut Conn, names: &[TableName]) -> Result<Option<BTreeMap<String, u64>>, WireError> {
    let like: Vec<String> = names
        .iter()
        .map(|name| format!("name LIKE {}", text::string(&begins(name))))
        .collect();
    match like.is_empty() {
        true => Ok(Some(BTreeMap::new())),
        false => numbers_where(conn, &like.join(" OR ")),
    }
}

/// What InnoDB's name of a table is like: other characters than these it writes in its own way.
fn begins(name: &TableName) -> String {
    let plain = |part: &str| {
        let kept = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
        kept.collect::<String>().replace('_', "\\_")
    };
    let (db, table) = (plain(&name.db), plain(&name.table));
    match db.replace('\\', "").len() == name.db.len() {
        true => format!("{db}/{table}%"),
        false => format!("{db}%"),
    }
}

fn numbers_where(conn: &mut Conn, condition: &str) -> Result<Option<BTreeMap<String, u64>>, WireError> {
    let list = match conn.info().flavor {
        Flavor::MariaDb => "innodb_sys_tables",
        Flavor::MySql => "innodb_tables",
    };
    let sql = format!("SELECT name, table_id FROM information_schema.{list} WHERE {condition}");
    let rows = match conn.rows(&sql) {
        Ok(rows) => rows,
        Err(WireError::Server { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let is_own = |name: &str| {
        name.split_once('/')
            .is_none_or(|(_, table)| table.contains("#sql") || table.starts_with("FTS_") || table.starts_with("fts_"))
    };
    let numbers = rows.iter().map(|r| (r.text(0), r.number(1)));
    Ok(Some(numbers.filter(|(name, _)| !is_own(name)).collect()))
}

/// A table's definition, of all that was read about it.
pub fn schema(listed: &Listed, create: String, details: &Details, flavor: Flavor) -> TableSchema {
    let mut columns: Vec<Column> = details
        .columns
        .iter()
        .filter(|c| !c.generated)
        .map(|c| Column {
            name: c.name.clone(),
            way: way(&c.data_type, flavor),
        })
        .collect();
    if listed.kind == TableKind::Versioned && !details.columns.iter().any(|c| c.row_end) {
        // The server names these itself, and shows them only when asked by name.
        columns.extend(["row_start", "row_end"].map(|name| Column {
            name: name.to_owned(),
            way: ColumnWay::Bytes,
        }));
    }
    TableSchema {
        kind: listed.kind,
        auto_increment: auto_increment(&create),
        generated: None,
        stored_order: true,
        create,
        engine: listed.engine.clone(),
        columns,
        primary_key: details.key.iter().map(|p| p.column.clone()).collect(),
        consistent: listed.kind == TableKind::Sequence || listed.transactional(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_only_among_the_options() {
        let create = "CREATE TABLE `t` (\n  `a` int COMMENT ' AUTO_INCREMENT=3'\n) ENGINE=InnoDB AUTO_INCREMENT=57 DEFAULT CHARSET=utf8mb4 COMMENT='x AUTO_INCREMENT=9'";
        assert_eq!(auto_increment(create), Some(57));
        assert!(settled(create).contains("ENGINE=InnoDB DEFAULT CHARSET"));
        assert!(settled(create).ends_with("COMMENT='x AUTO_INCREMENT=9'"));
        let without = "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='x AUTO_INCREMENT=9'";
        assert_eq!(auto_increment(without), None);
        assert_eq!(settled(without), without);
    }

    #[test]
    fn names_of_innodb_begin_as_those_of_the_tables() {
        let of = |db: &str, table: &str| begins(&TableName::new(db, table));
        assert_eq!(of("_brine_1_0", "a_b1"), "\\_brine\\_1\\_0/a\\_b1%");
        assert_eq!(of("d", "Part-x"), "d/Part%");
        assert_eq!(of("d", "été"), "d/%");
        assert_eq!(of("d-x", "t"), "d%");
    }

    #[test]
    fn generated_columns_are_not_read_and_history_is() {
        let column = |name: &str, data_type: &str, generated| ColumnInfo {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            charset: None,
            collation: None,
            generated,
            row_end: false,
        };
        let details = Details {
            columns: vec![
                column("id", "int", false),
                column("g", "int", true),
                column("f", "float", false),
            ],
            key: Vec::new(),
        };
        let listed = Listed {
            name: TableName::new("d", "t"),
            kind: TableKind::Versioned,
            engine: "InnoDB".to_owned(),
            rows: 0,
            bytes: 0,
        };
        let schema = schema(&listed, String::new(), &details, Flavor::MariaDb);
        let names: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["id", "f", "row_start", "row_end"]);
        assert_eq!(schema.columns.get(1).map(|c| c.way), Some(ColumnWay::Float));
    }
}
