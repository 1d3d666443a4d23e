//! Savepoints of a transaction that went back to one while the log has the rows in between all the same: so a server does where a
//! temporary table came or went meanwhile, or a table without transactions was written.
//!
//! Done as on a replica: the lanes set the savepoints too and go back to them, so each engine keeps what it keeps.

use super::rewrite::malformed;
use super::{Applying, Replay};
use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::savepoints::{Word, word};
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::text::ident;

impl Replay {
    /// A transaction comes whose savepoints are set: those of others must not be there, which may bear the same names.
    pub(super) fn with_savepoints<'a>(&mut self, applying: Applying<'a>) -> Result<Applying<'a>, ClusterError> {
        for lane in &mut self.lanes {
            lane.commit()?;
        }
        Ok(Applying {
            savepoints: true,
            ..applying
        })
    }

    /// A statement about a savepoint.
    pub(super) fn savepoint(&mut self, applying: &Applying<'_>, sql: &str, modes: Modes) -> Result<(), ClusterError> {
        let word = word(sql, modes).ok_or_else(|| malformed("a savepoint has no name"))?;
        if applying.rolled_back {
            return Ok(());
        }
        let ours = match (&word, applying.savepoints) {
            (Word::BackTo(_), false) => return Err(unknown(applying.id)),
            (_, false) => return Ok(()),
            (Word::Set(name), true) => format!("SAVEPOINT {}", ident(name)),
            (Word::BackTo(name), true) => format!("ROLLBACK TO SAVEPOINT {}", ident(name)),
            (Word::Release(name), true) => format!("RELEASE SAVEPOINT {}", ident(name)),
        };
        for lane in &mut self.lanes {
            if applying.at > lane.done {
                lane.savepoint(&ours)?;
            }
        }
        Ok(())
    }
}

/// It was archived by a brine that did not note whether it goes back.
fn unknown(id: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: format!(
            "transaction {id} of the log was rolled back in part, and the log holds the rows all the same: it is large, and was \
             archived by an older brine, which did not note that"
        ),
        hint: "restore to a moment before it, or from a newer base".to_owned(),
    }
}
