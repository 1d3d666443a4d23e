//! What a server has and lacks for backups and restores.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::core::Core;
use crate::cluster::ClusterError;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Works, with a limit that is said.
    Warning,
    /// Something cannot be done.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What: "binlog format", "privilege REPLICATION SLAVE".
    pub name: String,
    /// How bad.
    pub severity: Severity,
    /// What was found, in words.
    pub found: String,
    /// The statement or setting that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Looks at everything.
pub(super) fn check(_core: &Arc<Core>) -> Result<Vec<Finding>, ClusterError> {
    Err(super::binlog::not_yet())
}
