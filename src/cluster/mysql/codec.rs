//! Reads these servers' records without a connection.

use super::{binlog, restore, snapshot};
use crate::cluster::{ClusterError, Codec, Ddl, TableDef, TableDelta};
use crate::model::checksum::TableChecksum;
use crate::model::filter::TableFilter;
use crate::model::position::Position;
use crate::model::table::TableName;

/// The codec of MySQL and MariaDB.
pub(super) struct MysqlCodec;

impl Codec for MysqlCodec {
    fn batch_checksum(&self, batch: &[u8]) -> Result<TableChecksum, ClusterError> {
        snapshot::record::checksum(batch)
    }

    fn covers(&self, position: &Position, transaction: &str) -> Option<bool> {
        super::gtid::covers(position, transaction)
    }

    fn continues(&self, now: &Position, end: &Position) -> Option<bool> {
        super::gtid::continues(now, end)
    }

    fn cascades_past(
        &self,
        tables: &[TableDef],
        filter: &TableFilter,
        version: &str,
    ) -> Result<Vec<TableName>, ClusterError> {
        let mut numbers = version.strip_prefix("MySQL ").unwrap_or_default().split('.');
        let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        if (number(), number()) >= (9, 6) {
            return Ok(Vec::new());
        }
        restore::cascades_past(tables, filter)
    }

    fn describe(&self, payload: &[u8]) -> Result<(Vec<TableDelta>, Option<Ddl>), ClusterError> {
        binlog::payload::describe(payload)
    }
}
