//! The one SELECT by which rows are read: for a backup, for the checksum of a live table and of a restored one.

use super::table::{ColumnWay, TableKind, TableSchema};
use crate::cluster::mysql::text;
use crate::model::table::TableName;

/// The columns, in the order of a record.
pub fn columns(schema: &TableSchema) -> String {
    let columns = schema.columns.iter().map(|c| {
        let name = text::ident(&c.name);
        match c.way {
            ColumnWay::Float => format!("{name}+0e0"),
            ColumnWay::Json => format!("CAST(CAST(CAST({name} AS CHAR) AS JSON) AS CHAR)"),
            ColumnWay::Bytes | ColumnWay::Text => name,
        }
    });
    columns.collect::<Vec<_>>().join(",")
}

/// `SELECT columns FROM table`, to which conditions can be appended. The table may have another name than at the source.
pub fn rows(schema: &TableSchema, name: &TableName) -> String {
    format!("SELECT {} FROM {}", columns(schema), whole(schema, name))
}

/// How many rows [`rows`] gives.
pub fn count(schema: &TableSchema, name: &TableName) -> String {
    format!("SELECT COUNT(*) FROM {}", whole(schema, name))
}

/// The table with its history.
fn whole(schema: &TableSchema, name: &TableName) -> String {
    let table = text::table(&name.db, &name.table);
    match schema.kind {
        TableKind::Versioned => format!("{table} FOR SYSTEM_TIME ALL"),
        TableKind::Base | TableKind::Sequence => table,
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Column;
    use super::*;

    #[test]
    fn floats_keep_their_digits_and_history_is_read() {
        let column = |name: &str, way| Column {
            name: name.to_owned(),
            way,
        };
        let schema = TableSchema {
            kind: TableKind::Versioned,
            create: String::new(),
            engine: "InnoDB".to_owned(),
            columns: vec![column("a`b", ColumnWay::Bytes), column("f", ColumnWay::Float)],
            primary_key: Vec::new(),
            consistent: true,
            auto_increment: None,
            generated: None,
            stored_order: false,
        };
        assert_eq!(
            rows(&schema, &TableName::new("d", "t")),
            "SELECT `a``b`,`f`+0e0 FROM `d`.`t` FOR SYSTEM_TIME ALL"
        );
        assert_eq!(
            count(&schema, &TableName::new("d", "t")),
            "SELECT COUNT(*) FROM `d`.`t` FOR SYSTEM_TIME ALL"
        );
    }
}
