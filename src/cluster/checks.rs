//! What is looked at before a restore into a cluster, as the plan shows it.

use serde::{Deserialize, Serialize};

/// One thing that was looked at before a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreCheck {
    /// What: "replicas", "privileges".
    pub name: String,
    /// The result.
    pub result: CheckResult,
    /// What was found, in words.
    pub found: String,
    /// What is wanted, or the statement that mends it.
    pub wanted: String,
}

/// The result of a [`RestoreCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// As it should be.
    Ok,
    /// Can be done, with a limit that is said.
    Warning,
    /// Cannot be done until it is mended.
    Blocked,
}
