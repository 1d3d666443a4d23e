//! What a server takes in by replication without writing it into its own log: a replica without `log_slave_updates` changes its
//! tables, and nobody who reads its log can know.
//!
//! MySQL tells exactly: such transactions count as executed and as purged. MariaDB has the last one of each domain in
//! `gtid_slave_pos`, where it stays when the server has long ceased to be a replica; so places in the log remember what was
//! there already ([`Unlogged`]), and what is new since then is missing. Of servers without GTIDs only the present tells.

use crate::cluster::ClusterError;
use crate::cluster::mysql::check::{self, logs_updates};
use crate::cluster::mysql::clock::Where;
use crate::cluster::mysql::gtid::{Gtid, GtidSet, Unlogged};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};

use super::host;

/// As it is now. Of MySQL nothing is remembered.
pub(super) fn now(conn: &mut Conn) -> Result<Unlogged, WireError> {
    if conn.info().flavor == Flavor::MySql {
        return Ok(Unlogged::Unknown);
    }
    // First what was taken in: of that the log has everything, if it has it at all.
    let taken = one(conn, "SELECT @@global.gtid_slave_pos")?;
    if taken.is_empty() {
        return Ok(Unlogged::Upto(GtidSet::Empty));
    }
    let logged = one(conn, "SELECT @@global.gtid_binlog_state")?;
    Ok(Unlogged::Upto(without(&taken, &logged)))
}

/// For a snapshot: what comes to such a replica behind it is in no log.
pub(in crate::cluster::mysql) fn at_snapshot(conn: &mut Conn) -> Result<Unlogged, WireError> {
    let exact = conn.info().flavor == Flavor::MySql && !host::by_place(conn)?;
    if !exact && check::unlogged(conn)?.is_some() {
        return Ok(Unlogged::More);
    }
    now(conn)
}

/// Those of the GTIDs that the log does not reach, which has several of a domain: the last one of each server.
fn without(taken: &str, logged: &str) -> GtidSet {
    let of = |text: &str| text.split(',').filter_map(Gtid::parse).collect::<Vec<_>>();
    let logged = of(logged);
    let mut left = GtidSet::Empty;
    for gtid in of(taken) {
        if !logged.iter().any(|there| reaches(there, &gtid)) {
            left.add(&gtid);
        }
    }
    left
}

fn reaches(there: &Gtid, gtid: &Gtid) -> bool {
    match (there, gtid) {
        (
            Gtid::Maria { domain, server, seq },
            Gtid::Maria {
                domain: d,
                server: s,
                seq: q,
            },
        ) => (domain, server) == (d, s) && seq >= q,
        _ => false,
    }
}

/// Looks out for what comes in while the log is read.
pub(super) struct Watch {
    /// What replication brings does not reach the log.
    silent: bool,
    /// GTIDs do not tell what came.
    by_place: bool,
    /// What it had taken in where reading began.
    before: Unlogged,
    /// What was executed and is not to be found in the log, as of before the mark that is aimed at.
    purged: GtidSet,
}

impl Watch {
    /// Of the server that is to be read from there on; an error when something came since then.
    pub fn begin(conn: &mut Conn, at: &mut Where) -> Result<Watch, ClusterError> {
        let asking = |e: WireError| e.doing("asking what the server takes in");
        let watch = Watch {
            silent: !logs_updates(conn).map_err(asking)?,
            by_place: host::by_place(conn).map_err(asking)?,
            before: at.unlogged.clone(),
            purged: GtidSet::Empty,
        };
        let now = now(conn).map_err(asking)?;
        watch.compare(at, &now)?;
        if at.unlogged == Unlogged::Unknown {
            at.unlogged = now;
        }
        Ok(Watch {
            before: at.unlogged.clone(),
            ..watch
        })
    }

    /// Before a mark is read.
    pub fn look(&mut self, conn: &mut Conn, at: &Where) -> Result<(), ClusterError> {
        let asking = |e: WireError| e.doing("asking what the server takes in");
        let flavor = conn.info().flavor;
        if flavor == Flavor::MySql && !self.by_place {
            let purged = one(conn, "SELECT @@global.gtid_purged").map_err(asking)?;
            self.purged = GtidSet::parse(&purged).unwrap_or(GtidSet::Empty);
            return Ok(());
        }
        if self.silent && applies(conn, flavor).map_err(asking)? {
            return Err(lacks(at, "now"));
        }
        Ok(())
    }

    /// Of a mark that was read.
    pub fn judge(&self, at: &Where, mark: &Where) -> Result<(), ClusterError> {
        self.compare(at, &mark.unlogged)
    }

    fn compare(&self, at: &Where, now: &Unlogged) -> Result<(), ClusterError> {
        let (Unlogged::Upto(before), Unlogged::Upto(GtidSet::Maria(now))) = (&self.before, now) else {
            return Ok(());
        };
        // Where what comes in is logged, only filters make a difference: what they leave out is in no table either.
        if !self.silent {
            return Ok(());
        }
        for (domain, (server, seq)) in now {
            let (domain, server, seq) = (*domain, *server, *seq);
            let gtid = Gtid::Maria { domain, server, seq };
            if !before.contains(&gtid) {
                return Err(lacks(at, &format!("up to {gtid}")));
            }
        }
        Ok(())
    }

    /// A mark is reached: everything that the log had when `purged` was read has been read.
    pub fn has_come(&self, at: &Where) -> Result<(), ClusterError> {
        if at.set.contains_all(&self.purged) {
            return Ok(());
        }
        Err(lacks(at, &format!("among {}", self.purged)))
    }
}

/// Whether somebody applies what comes by replication right now. What the account may not see is not there.
fn applies(conn: &mut Conn, flavor: Flavor) -> Result<bool, WireError> {
    let (sql, column) = match flavor {
        Flavor::MariaDb => ("SHOW GLOBAL STATUS LIKE 'Slaves_running'", 1),
        Flavor::MySql => (
            "SELECT COUNT(*) FROM performance_schema.replication_applier_status WHERE service_state = 'ON'",
            0,
        ),
    };
    match conn.row(sql) {
        Err(WireError::Server { .. }) => Ok(false),
        row => Ok(row?.is_some_and(|row| row.number(column) > 0)),
    }
}

/// The error, with when it came or what it was.
pub(super) fn lacks(after: &Where, what: &str) -> ClusterError {
    let what = format!("what replication brought to the server ({what}), which logs nothing of it (log_slave_updates)");
    ClusterError::LogLacks(Box::new(after.position()), what)
}

fn one(conn: &mut Conn, sql: &str) -> Result<String, WireError> {
    Ok(conn.row(sql)?.map(|row| row.text(0)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_has_of_each_server_is_left_out() {
        let left = |taken, logged| without(taken, logged).to_string();
        assert_eq!(left("0-1-5,2-7-9", "0-1-5,0-3-9,2-7-8"), "2-7-9");
        assert_eq!(left("0-1-5", "0-3-9"), "0-1-5");
        assert_eq!(left("0-1-5", ""), "0-1-5");
        assert_eq!(left("", "0-1-5"), "");
    }
}
