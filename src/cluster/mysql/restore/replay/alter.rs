//! An ALTER TABLE of the log before it is run: what may stand against it.

use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::names::Shadows;
use crate::cluster::mysql::sql::Modes;
use crate::model::table::TableName;
use crate::model::text::safe;

/// Such a statement.
pub(super) struct Alter<'a> {
    pub shadows: &'a Shadows,
    /// The table, by its name at the source.
    pub table: &'a TableName,
    /// As the source ran it.
    pub sql: String,
    pub modes: Modes,
    /// The transaction.
    pub id: &'a str,
}

impl Alter<'_> {
    /// The table as it is built.
    pub fn built(&self) -> Option<TableName> {
        let shadow = self.shadows.shadow(&self.table.db)?;
        Some(TableName::new(shadow, self.table.table.clone()))
    }

    /// The restore ends before it, because the log does not say `what`.
    pub fn is_the_end(&self, what: &str) -> ClusterError {
        ClusterError::Unsupported {
            what: format!("the log does not say {what}: {}", safe(&self.sql, 160)),
            hint: format!(
                "restore to just before it (--before {}); what came after it can be restored from a snapshot that was taken \
                 after it",
                self.id
            ),
        }
    }
}
