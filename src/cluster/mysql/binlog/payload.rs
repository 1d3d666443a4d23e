//! A transaction of the binary log as the archive keeps it.

use crate::cluster::{ClusterError, Ddl, TableDelta};

/// What a transaction did.
pub fn describe(_payload: &[u8]) -> Result<(Vec<TableDelta>, Option<Ddl>), ClusterError> {
    Err(super::not_yet())
}
