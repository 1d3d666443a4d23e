//! What a database holds besides tables.

use serde::{Deserialize, Serialize};

/// A database, view, trigger, routine, event, account or setting, as a backup keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What it is, in the driver's words: `database`, `view`, `trigger`, `procedure`, `account` ...
    pub kind: String,
    /// The database it lives in; `None` for what belongs to the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<String>,
    /// Its name.
    pub name: String,
    /// All that is needed to make it again, in the driver's own words.
    pub text: String,
}
