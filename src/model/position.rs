//! Positions: a place in a source's own change log.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::tso::Tso;

/// A place in the source's own change log: everything up to and including it has happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// Embedded and TiDB clusters: a timestamp of their oracle.
    Tso(Tso),
    /// MySQL and MariaDB: a GTID set with the binlog file and offset behind it.
    Binlog {
        /// The executed GTID set; empty where the server has none.
        gtid: String,
        /// The binlog file's name.
        file: String,
        /// The offset of the next event.
        offset: u64,
        /// When the file was begun, in seconds since the epoch, where transactions have no GTID: a server whose log is
        /// reset gives the same names to other files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        begun: Option<u32>,
        /// What replication had brought to the server and its own log does not hold: GTIDs, or `*` where more was to come.
        /// `None` where it was not asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unlogged: Option<String>,
    },
}

impl Position {
    /// The timestamp, where positions are timestamps.
    pub fn tso(&self) -> Option<Tso> {
        match self {
            Position::Tso(t) => Some(*t),
            Position::Binlog { .. } => None,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Tso(t) => write!(f, "TSO {t}"),
            Position::Binlog { gtid, file, offset, .. } if gtid.is_empty() => write!(f, "{file}:{offset}"),
            Position::Binlog { gtid, file, offset, .. } => write!(f, "GTID {gtid} {file}:{offset}"),
        }
    }
}

/// An instant as brine knows it: wall-clock milliseconds and, where the cluster has one, its TSO.
///
/// Order within an archive is by `(at, tso)`. How it is shown (local with offset, UTC, age) is the
/// business of [`super::time`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// The commit time in milliseconds since the Unix epoch.
    pub at: Millis,
    /// The exact timestamp, for clusters that have a timestamp oracle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tso: Option<Tso>,
}

impl Moment {
    /// The moment of a TSO.
    pub fn of_tso(tso: Tso) -> Moment {
        Moment {
            at: tso.millis(),
            tso: Some(tso),
        }
    }

    /// The moment of an instant on a cluster without a timestamp oracle.
    pub fn of_millis(at: Millis) -> Moment {
        Moment { at, tso: None }
    }

    /// The last TSO that this moment includes: its own, or the last of its millisecond.
    pub fn last_tso(&self) -> Tso {
        self.tso.unwrap_or_else(|| Tso::last_of_millis(self.at))
    }
}
