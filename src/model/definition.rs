//! What a database holds besides tables.

use serde::{Deserialize, Serialize};

use super::table::TableName;

/// The kind of a table that a backup lacks.
const LEFT_OUT: &str = "left-out";

/// A database, view, trigger, routine, event, account or setting, as a backup keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What it is, in the driver's words: `database`, `view`, `trigger`, `procedure`, `account` ...
    pub kind: String,
    /// The database it lives in; `None` for what belongs to the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<String>,
    /// Its name.
    pub name: String,
    /// All that is needed to make it again, in the driver's own words.
    pub text: String,
}

impl Definition {
    /// Says that a backup does not have a table: it came or went while the backup was taken.
    pub fn of_left_out(table: &TableName) -> Definition {
        Definition {
            kind: LEFT_OUT.to_owned(),
            db: Some(table.db.clone()),
            name: table.table.clone(),
            text: String::new(),
        }
    }

    /// The table of which it says that.
    pub fn left_out(&self) -> Option<TableName> {
        let db = self.db.as_ref().filter(|_| self.kind == LEFT_OUT)?;
        Some(TableName::new(db, self.name.clone()))
    }
}
