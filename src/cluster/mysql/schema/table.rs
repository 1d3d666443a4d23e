//! A table as a restore needs it: what a [`crate::cluster::TableDef`] of these servers holds as JSON.

use serde::{Deserialize, Serialize};

/// How the values of a column come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnWay {
    /// Bytes as they are, given back as a BLOB parameter.
    Bytes,
    /// FLOAT: read as `col+0e0`, because the text form loses digits.
    Float,
    /// Text in utf8mb4 given back as a STRING parameter: UUID, INET4, INET6.
    Text,
    /// JSON of MySQL, as the text that comes back as the same text: a number that was a DECIMAL has become a DOUBLE, a date a
    /// string, because no text keeps what they were. Given back as a STRING parameter.
    Json,
}

/// One stored column (generated ones are not read).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How it comes and goes.
    pub way: ColumnWay,
}

/// What kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// An ordinary table.
    Base,
    /// System-versioned: history rows are read and written too.
    Versioned,
    /// A sequence of MariaDB: one row, its state.
    Sequence,
}

/// A table's definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// What kind.
    pub kind: TableKind,
    /// `SHOW CREATE TABLE`, whole; of a sequence `SHOW CREATE SEQUENCE`.
    pub create: String,
    /// InnoDB, MyISAM, Aria ...
    pub engine: String,
    /// The columns that are read, in the order of a record.
    pub columns: Vec<Column>,
    /// The columns of the primary key, in order; empty without one.
    pub primary_key: Vec<String>,
    /// Whether the rows are of the snapshot's moment (transactional engines), or of some moment during it.
    pub consistent: bool,
    /// The counter of AUTO_INCREMENT, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_increment: Option<u64>,
    /// The names of keys that foreign keys made; the server drops and renames these by itself. `None` where a backup did not
    /// ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Vec<String>>,
    /// Whether rows without a clustered key were read in the order in which they were stored, and not in that of another key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stored_order: bool,
}
