//! What is not a table, as a restore needs it: the JSON in [`crate::model::definition::Definition::text`].
//!
//! A statement is kept as the server shows it, with the session settings under which it was made: without them the server
//! may read it differently. It is shown with its database as the default one, so that names inside that database stay
//! unqualified where the server leaves them so; a restore runs it with the database it goes to as the default one.

use serde::{Deserialize, Serialize};

use super::zone::Zone;
use crate::cluster::ClusterError;
use crate::model::definition::Definition;

/// What a definition is: the words of [`crate::model::definition::Definition::kind`].
///
/// The order is the one in which they are made; what depends on another of the same kind comes behind it.
pub mod kind {
    /// A database: `CREATE DATABASE`, with its character set and collation.
    pub const DATABASE: &str = "database";
    /// A stored function.
    pub const FUNCTION: &str = "function";
    /// A stored procedure.
    pub const PROCEDURE: &str = "procedure";
    /// A package of MariaDB.
    pub const PACKAGE: &str = "package";
    /// Its body.
    pub const PACKAGE_BODY: &str = "package-body";
    /// A view.
    pub const VIEW: &str = "view";
    /// A trigger; `table` says of which table.
    pub const TRIGGER: &str = "trigger";
    /// An event; `status` says whether it runs.
    pub const EVENT: &str = "event";
    /// An account: `CREATE USER` with its hashed password; the name is `user@host`, `account` has its parts.
    pub const ACCOUNT: &str = "account";
    /// A role.
    pub const ROLE: &str = "role";
    /// The grants of an account or role, made after all accounts and roles: `GRANT`s, default role.
    pub const GRANTS: &str = "grants";
    /// A global variable that was set at run time: `SET GLOBAL`.
    pub const GLOBAL: &str = "global";
    /// A setting of the server that statements of the log depend on and do not name: `SET SESSION`, or `zone`. Nothing is
    /// made of it.
    pub const SETTING: &str = "setting";
}

/// The user and host of an account, as they are, without quotes. A role has an empty host on MariaDB.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountName {
    /// The user.
    pub user: String,
    /// The host.
    pub host: String,
}

/// All that is needed to make an object again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionText {
    /// The statements, in order, each without a final semicolon; one for everything but grants.
    pub statements: Vec<String>,
    /// The sql_mode under which it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql_mode: Option<String>,
    /// `character_set_client` at its making: the statement's text is UTF-8 here all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset_client: Option<String>,
    /// `collation_connection` at its making.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation_connection: Option<String>,
    /// The collation of its database at its making.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_collation: Option<String>,
    /// Of a view that reads other databases: its statement with every database written out. Servers show tables of one name in
    /// two databases alike otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualified: Option<String>,
    /// `user@host` of its definer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definer: Option<String>,
    /// The time zone of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Of an event: `ENABLED`, `DISABLED`, `SLAVESIDE_DISABLED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Of a trigger: its table, in the same database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Of an account, a role and grants: whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// Of an account: whether it is locked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// Of an account: it is the one that brine logs in with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// Of the server: what `SYSTEM` means as a time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Of the server: the zone in which its sessions begin, unless that is `SYSTEM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_zone: Option<String>,
    /// Of the server: how many time zones it knows by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<u64>,
}

impl DefinitionText {
    /// From the text of a definition.
    pub fn parse(text: &str) -> Result<Self, ClusterError> {
        serde_json::from_str(text).map_err(|e| ClusterError::Malformed {
            what: "a definition in the backup",
            why: e.to_string(),
        })
    }

    /// The text of a definition.
    pub fn text(&self) -> Result<String, ClusterError> {
        serde_json::to_string(self).map_err(|e| ClusterError::Malformed {
            what: "a definition of the server",
            why: e.to_string(),
        })
    }
}

/// What a base says about the time zones of its server: `SYSTEM`, and how many it had loaded. Older ones do not.
pub fn zones(definitions: &[Definition]) -> Result<Option<(Zone, Option<u64>)>, ClusterError> {
    for of in definitions.iter().filter(|d| d.kind == kind::SETTING) {
        let text = DefinitionText::parse(&of.text)?;
        if let Some(zone) = text.zone {
            return Ok(Some((zone, text.zones)));
        }
    }
    Ok(None)
}
