//! An ALTER TABLE of the log before it is run: what may stand against it.

use super::fills::{self, Orders};
use super::partitions;
use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::names::Shadows;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::fills::hangs_on;
use crate::cluster::mysql::sql::lacks;
use crate::cluster::mysql::wire::Conn;
use crate::model::table::TableName;
use crate::model::text::safe;

/// Such a statement.
pub(super) struct Alter<'a> {
    pub shadows: &'a Shadows,
    /// The table, by its name at the source.
    pub table: &'a TableName,
    /// As the source ran it.
    pub sql: &'a str,
    pub modes: Modes,
    /// The transaction.
    pub id: &'a str,
}

impl Alter<'_> {
    /// The table as it is built.
    pub fn built(&self) -> Option<TableName> {
        self.shadows.place(self.table)
    }

    /// Ends the restore before one that does to rows what the log does not hold.
    pub fn refuse(&self, conn: &mut Conn, orders: &Orders) -> Result<(), ClusterError> {
        if let Some(word) = lacks::file_of_rows(self.sql, self.modes) {
            return Err(self.is_the_end(&format!(
                "which rows transaction {} brought to {} or took from it with a file ({word} TABLESPACE)",
                self.id, self.table
            )));
        }
        fills::refuse(conn, self, orders)?;
        partitions::refuse(conn, self)
    }

    /// What has to be said of one that is run.
    pub fn remark(&self) -> Option<String> {
        let variable = hangs_on(self.sql, self.modes)?;
        Some(format!(
            "transaction {} filled rows of {} with values that hang on {variable}, and the log does not say which value it had: \
             they were computed with the source's global one",
            self.id, self.table
        ))
    }

    /// The restore ends before it, because the log does not say `what`.
    pub fn is_the_end(&self, what: &str) -> ClusterError {
        ClusterError::Unsupported {
            what: format!("the log does not say {what}: {}", safe(self.sql, 160)),
            hint: format!(
                "restore to just before it (--before {}); what came after it can be restored from a snapshot that was taken \
                 after it",
                self.id
            ),
        }
    }
}
