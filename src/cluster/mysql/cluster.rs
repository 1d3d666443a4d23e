//! The driver: the [`Cluster`] trait over one server or a group of them.

use std::sync::Arc;

use super::check::Finding;
use super::core::Core;
use super::options::MysqlOptions;
use super::{before, binlog, check, facts, fence, restore, snapshot, sums};
use crate::cluster::{
    Capabilities, Changes, ClosedAs, Cluster, ClusterError, ClusterFacts, Codec, Mark, RestoreAsk, RestoreCheck,
    Restorer, Snapshot, TableFacts,
};
use crate::model::checksum::TableChecksum;
use crate::model::clock::Clock;
use crate::model::definition::Definition;
use crate::model::filter::TableFilter;
use crate::model::position::{Moment, Position};
use crate::model::table::TableName;

/// A MySQL or MariaDB server, or several that replicate each other.
pub struct MysqlCluster {
    core: Arc<Core>,
}

impl MysqlCluster {
    /// Makes the driver; connects when it is first needed.
    pub fn new(options: MysqlOptions, clock: Arc<dyn Clock>) -> Self {
        MysqlCluster {
            core: Arc::new(Core::new(options, clock)),
        }
    }

    /// What the server has and lacks for backups, with the statements that mend it.
    pub fn check(&self) -> Result<Vec<Finding>, ClusterError> {
        check::check(&self.core)
    }
}

impl Cluster for MysqlCluster {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            reopen_snapshot: false,
            read_past: false,
            log_before_load: false,
            atomic_restore: false,
        }
    }

    fn facts(&self) -> Result<ClusterFacts, ClusterError> {
        facts::facts(&self.core)
    }

    fn tables(&self) -> Result<Vec<TableFacts>, ClusterError> {
        facts::tables(&self.core)
    }

    fn mark(&self) -> Result<Mark, ClusterError> {
        binlog::mark(&self.core)
    }

    fn open_snapshot(&self, token: Option<&str>) -> Result<Box<dyn Snapshot>, ClusterError> {
        snapshot::open(&self.core, token)
    }

    fn changes(&self, after: &Mark, anchors: &[Mark]) -> Result<Box<dyn Changes>, ClusterError> {
        binlog::changes(&self.core, after, anchors)
    }

    fn continues(&self, end: &Position) -> Result<(), ClusterError> {
        binlog::continues(&self.core, end)
    }

    fn check_log(&self) -> Result<(), ClusterError> {
        binlog::check_log(&self.core)
    }

    fn recognise(&self, from: &Position, earlier: &[String], last: &[u8]) -> Result<(), ClusterError> {
        binlog::recognise(&self.core, from, earlier, last)
    }

    fn keep_log(&self, from: Option<&Position>) -> Result<(), ClusterError> {
        binlog::keep_log(&self.core, from)
    }

    fn checksums(
        &self,
        filter: &TableFilter,
        at: Option<Moment>,
    ) -> Result<Vec<(TableName, TableChecksum)>, ClusterError> {
        sums::checksums(&self.core, filter, at)
    }

    fn close(&self, state: ClosedAs) -> Result<(), ClusterError> {
        fence::close(&self.core, state)
    }

    fn open(&self) -> Result<(), ClusterError> {
        fence::open(&self.core)
    }

    fn restorer(&self, ask: &RestoreAsk) -> Result<Box<dyn Restorer>, ClusterError> {
        restore::open(&self.core, ask)
    }

    fn restore_checks(&self, whole: bool) -> Result<Vec<RestoreCheck>, ClusterError> {
        before::checks(&self.core, whole)
    }

    fn definition_checks(&self, definitions: &[Definition]) -> Result<Vec<RestoreCheck>, ClusterError> {
        before::definition_checks(&self.core, definitions)
    }

    fn replay_checks(&self, base: &[Definition]) -> Result<Vec<RestoreCheck>, ClusterError> {
        before::replay_checks(&self.core, base)
    }

    fn referring(&self, replaced: &[TableName]) -> Result<Vec<(TableName, TableName)>, ClusterError> {
        before::referring(&self.core, replaced)
    }

    fn refuses_name(&self, name: &TableName) -> Option<&'static str> {
        super::restore::refused_name(name)
    }

    fn codec(&self) -> &'static dyn Codec {
        super::codec()
    }
}
