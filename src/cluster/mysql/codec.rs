//! Reads these servers' records without a connection.

use super::{binlog, snapshot};
use crate::cluster::{ClusterError, Codec, Ddl, TableDelta};
use crate::model::checksum::TableChecksum;
use crate::model::position::Position;

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

    fn describe(&self, payload: &[u8]) -> Result<(Vec<TableDelta>, Option<Ddl>), ClusterError> {
        binlog::payload::describe(payload)
    }
}
