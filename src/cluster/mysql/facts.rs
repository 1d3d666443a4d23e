//! What a server is and holds, cheaply.

use std::sync::Arc;

use super::core::Core;
use crate::cluster::{ClusterError, ClusterFacts, TableFacts};

/// The facts.
pub(super) fn facts(_core: &Arc<Core>) -> Result<ClusterFacts, ClusterError> {
    Err(super::binlog::not_yet())
}

/// The tables, ordered by name.
pub(super) fn tables(_core: &Arc<Core>) -> Result<Vec<TableFacts>, ClusterError> {
    Err(super::binlog::not_yet())
}
