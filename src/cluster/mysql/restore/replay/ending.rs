//! How a transaction of the log ended.

use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::event::{Event, Kind};
use crate::cluster::mysql::binlog::payload::Head;
use crate::cluster::mysql::binlog::query::Query;
use crate::cluster::mysql::binlog::xa;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::statement::{Statement, TransactionWord, XaWord};

/// How a transaction ended.
pub(super) enum Ending {
    Committed,
    RolledBack,
    Prepared(String),
    XaCommit(String),
    XaRollback(String),
}

/// How it ended, and what can be seen of its savepoints meanwhile.
pub(super) struct Ended {
    pub how: Ending,
    /// It goes back to a savepoint.
    pub goes_back: bool,
}

pub(super) fn ending(events: &[Event<'_>], head: Head) -> Result<Ended, ClusterError> {
    let (mut ending, mut goes_back) = (Ending::Committed, false);
    for event in events {
        match event.kind() {
            Kind::QUERY => {
                let query = Query::parse(event)?;
                if query.text.len() >= LONGER_THAN_WORDS {
                    continue;
                }
                // Only a few short words matter here, and those are ASCII.
                let sql = query.shown();
                let modes = Modes::of(query.settings.sql_mode.unwrap_or(0), head.flavor);
                match word(&sql, modes) {
                    Some(Statement::Xa(XaWord::Commit, xid)) => ending = Ending::XaCommit(xa::plain(&xid)),
                    Some(Statement::Xa(XaWord::Rollback, xid)) => ending = Ending::XaRollback(xa::plain(&xid)),
                    Some(Statement::Transaction(TransactionWord::Rollback)) => ending = Ending::RolledBack,
                    // Of the statements about savepoints only this one is read here.
                    Some(Statement::Transaction(TransactionWord::Savepoint)) => goes_back = true,
                    _ => {}
                }
            }
            Kind::XA_PREPARE => {
                if let Some(xid) = xa::prepared(event)? {
                    ending = Ending::Prepared(xid);
                }
            }
            _ => {}
        }
    }
    Ok(Ended { how: ending, goes_back })
}

/// No statement that ends a transaction, or a part of it, has so many bytes.
const LONGER_THAN_WORDS: usize = 600;

/// The class of a statement that may end a transaction, or go back to a savepoint.
fn word(sql: &str, modes: Modes) -> Option<Statement> {
    let first = sql.trim_start().get(..2)?.to_ascii_uppercase();
    let short = ["XA", "RO"].contains(&first.as_str());
    short.then(|| Statement::classify(sql, "", modes))
}
