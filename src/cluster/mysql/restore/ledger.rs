//! Which of the log's statements about accounts are done: each is done once, whatever dies.
//!
//! A server commits such a statement by itself, so it is noted before it is run, with how the accounts look, and after it. A
//! run that finds one begun looks whether the accounts still are as they were before it.
//!
//! *Invariant: between a note and its statement nothing else changes accounts.*

use serde::{Deserialize, Serialize};

use super::state::{self, BegunDdl};
use crate::cluster::ClusterError;
use crate::cluster::mysql::wire::{Conn, Flavor};

/// What a note begins with: the place is that of the last statement of the replay, which has ended.
const OURS: &str = "accounts\n";

/// The tables of accounts and grants that every server has, and those of each kind.
pub(super) const OF_ALL: &[&str] = &["db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv"];
pub(super) const OF_MARIADB: &[&str] = &["global_priv", "roles_mapping"];
pub(super) const OF_MYSQL: &[&str] = &["user", "role_edges", "default_roles", "global_grants"];

/// What is noted of the statement that was begun last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    /// Which it is.
    at: usize,
    /// How the accounts looked before it.
    looks: String,
    /// What is to be run behind it, if it succeeds.
    pub then: Vec<String>,
    /// What was to be said until now.
    remarks: Vec<String>,
}

/// The notes of a restore.
pub(super) struct Ledger {
    n: u64,
    last: Option<(Note, bool)>,
}

/// How the accounts look.
fn looks(conn: &mut Conn) -> Result<String, ClusterError> {
    let own = match conn.info().flavor {
        Flavor::MariaDb => OF_MARIADB,
        Flavor::MySql => OF_MYSQL,
    };
    let list: Vec<String> = OF_ALL.iter().chain(own).map(|t| format!("mysql.{t}")).collect();
    let rows = conn
        .rows(&format!("CHECKSUM TABLE {}", list.join(", ")))
        .map_err(|e| e.doing("looking at the accounts"))?;
    let sums: Vec<String> = rows.iter().map(|r| r.text(1)).collect();
    Ok(sums.join(" "))
}

impl Ledger {
    /// As an earlier run left it.
    pub fn open(conn: &mut Conn, n: u64) -> Result<Ledger, ClusterError> {
        let found = state::ddl(conn, n)?;
        let ours = found
            .as_ref()
            .and_then(|f| Some((f.before.strip_prefix(OURS)?, f.done)));
        let last = ours.map(|(text, done)| {
            let note = serde_json::from_str(text).map_err(|e| ClusterError::Malformed {
                what: "a restore's memory in the database _brine",
                why: e.to_string(),
            });
            note.map(|note| (note, done))
        });
        Ok(Ledger {
            n,
            last: last.transpose()?,
        })
    }

    /// Whether no statement was begun yet.
    pub fn is_new(&self) -> bool {
        self.last.is_none()
    }

    /// What was to be said until the last statement.
    pub fn remarks(&self) -> Vec<String> {
        self.last
            .as_ref()
            .map(|(note, _)| note.remarks.clone())
            .unwrap_or_default()
    }

    /// Whether an earlier run came past a statement.
    pub fn is_past(&self, at: usize) -> bool {
        self.last
            .as_ref()
            .is_some_and(|(note, done)| at < note.at || (at == note.at && *done))
    }

    /// Begins a statement, behind which `then` is run; returns the note of an earlier run that had run it already.
    pub fn begin(
        &mut self,
        conn: &mut Conn,
        at: usize,
        then: Vec<String>,
        remarks: &[String],
    ) -> Result<Option<Note>, ClusterError> {
        let looks = looks(conn)?;
        if let Some((note, false)) = &self.last
            && note.at == at
            && note.looks != looks
        {
            return Ok(Some(note.clone()));
        }
        let note = Note {
            at,
            looks,
            then,
            remarks: remarks.to_vec(),
        };
        self.write(conn, note, false)?;
        Ok(None)
    }

    /// It is done, with all that belongs to it.
    pub fn end(&mut self, conn: &mut Conn, remarks: &[String]) -> Result<(), ClusterError> {
        match self.last.take() {
            Some((note, _)) => {
                let remarks = remarks.to_vec();
                self.write(conn, Note { remarks, ..note }, true)
            }
            None => Ok(()),
        }
    }

    fn write(&mut self, conn: &mut Conn, note: Note, done: bool) -> Result<(), ClusterError> {
        let text = serde_json::to_string(&note).map_err(|e| ClusterError::Malformed {
            what: "a restore's memory in the database _brine",
            why: e.to_string(),
        })?;
        let row = BegunDdl {
            txn: note.at as u64,
            part: 0,
            before: format!("{OURS}{text}"),
            done,
        };
        state::set_ddl(conn, self.n, &row)?;
        self.last = Some((note, done));
        Ok(())
    }
}
