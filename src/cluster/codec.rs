//! What is known of a driver's records and places without a connection.

use super::{ClusterError, ClusterKind, Ddl, TableDef, TableDelta, embedded, mysql};
use crate::model::checksum::TableChecksum;
use crate::model::filter::TableFilter;
use crate::model::position::Position;
use crate::model::table::TableName;

/// Reads a driver's records without a connection: for archives whose source is gone.
pub trait Codec: Send + Sync {
    /// Rows, bytes and checksum of one batch of snapshot records.
    fn batch_checksum(&self, batch: &[u8]) -> Result<TableChecksum, ClusterError>;

    /// Whether a position includes a transaction of this id; `None` when the id is not one of this kind of cluster.
    fn covers(&self, position: &Position, transaction: &str) -> Option<bool>;

    /// Whether a log that is at `now` goes on from `end`; `None` where places do not tell.
    fn continues(&self, _now: &Position, _end: &Position) -> Option<bool> {
        None
    }

    /// The tables whose changes reach chosen ones past tables that are not, unseen by the log of a source of that version.
    fn cascades_past(
        &self,
        _tables: &[TableDef],
        _filter: &TableFilter,
        _version: &str,
    ) -> Result<Vec<TableName>, ClusterError> {
        Ok(Vec::new())
    }

    /// What a log record did: table by table, and the schema change if it is one.
    fn describe(&self, payload: &[u8]) -> Result<(Vec<TableDelta>, Option<Ddl>), ClusterError>;
}

/// The codec of a kind of cluster.
pub fn codec(kind: ClusterKind) -> &'static dyn Codec {
    match kind {
        ClusterKind::Embedded => embedded::codec(),
        ClusterKind::Mysql => mysql::codec(),
    }
}
