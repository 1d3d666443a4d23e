//! What speaks against a restore into a server: others that follow its log, or a log that it follows itself.
//!
//! What a restore builds and switches is not written into the server's log, so whoever follows that log would go on with
//! the old data; and what comes in from elsewhere would be applied to tables that are no longer what it was made for.

use std::sync::Arc;

use super::case;
use super::check::lacking_for_whole;
use super::core::Core;
use super::snapshot::start::processlist;
use super::wire::{Conn, Flavor, WireError};
use crate::cluster::{CheckResult, ClusterError, RestoreCheck};

/// What stands against a restore into the server.
pub(super) fn checks(core: &Arc<Core>, whole: bool) -> Result<Vec<RestoreCheck>, ClusterError> {
    core.ask("looking for what speaks against a restore", |conn| {
        let mut checks = vec![replicas(conn)?, replicates(conn)?];
        checks.extend(galera(conn)?);
        if whole {
            checks.push(privileges(conn)?);
        }
        checks.extend(case::finding(conn)?.map(|(name, found, mend)| check(name, Err(found), mend)));
        Ok(checks)
    })
}

fn check(name: &str, found: Result<String, String>, wanted: &str) -> RestoreCheck {
    let (result, found) = match found {
        Ok(good) => (CheckResult::Ok, good),
        Err(bad) => (CheckResult::Blocked, bad),
    };
    RestoreCheck {
        name: name.to_owned(),
        result,
        found,
        wanted: wanted.to_owned(),
    }
}

/// An account that could not be given its grants back would be noticed only after the switch.
fn privileges(conn: &mut Conn) -> Result<RestoreCheck, WireError> {
    let lacking = lacking_for_whole(conn)?;
    let found = match lacking.is_empty() {
        true => Ok("all that a whole restore needs".to_owned()),
        false => Err(format!("{} are lacking", lacking.len())),
    };
    Ok(check("privileges", found, &lacking.join("; ")))
}

/// Who reads its log, but for brine itself.
fn replicas(conn: &mut Conn) -> Result<RestoreCheck, WireError> {
    let sql = format!(
        "SELECT CONCAT(user, '@', host) FROM {} WHERE command LIKE 'Binlog Dump%' \
         AND user <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)",
        processlist(conn.info().flavor)
    );
    let readers: Vec<String> = conn.rows(&sql)?.iter().map(|row| row.text(0)).collect();
    let found = match readers.is_empty() {
        true => Ok("none is attached".to_owned()),
        false => Err(format!("attached: {}", readers.join(", "))),
    };
    Ok(check(
        "replicas",
        found,
        "STOP REPLICA on each of them first; afterwards they must be set up anew from the restored server",
    ))
}

/// Whether it follows another server's log.
fn replicates(conn: &mut Conn) -> Result<RestoreCheck, WireError> {
    let sql = match conn.info().flavor {
        Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
        Flavor::MySql => "SHOW REPLICA STATUS",
    };
    let found = match conn.rows(sql)?.len() {
        0 => Ok("it follows no other server".to_owned()),
        _ => Err("it is itself a replica of another server".to_owned()),
    };
    let mend = match conn.info().flavor {
        Flavor::MariaDb => "STOP ALL SLAVES; RESET SLAVE ALL; or restore into its source",
        Flavor::MySql => "STOP REPLICA; RESET REPLICA ALL; or restore into its source",
    };
    Ok(check("replication", found, mend))
}

/// A node of a Galera cluster would be alone with what was restored.
fn galera(conn: &mut Conn) -> Result<Option<RestoreCheck>, WireError> {
    if conn.info().flavor == Flavor::MySql {
        return Ok(None);
    }
    let row = conn.row("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")?;
    let on = row.is_some_and(|row| row.text(1).eq_ignore_ascii_case("on"));
    Ok(on.then(|| {
        check(
            "galera",
            Err("it is a node of a Galera cluster (wsrep_on)".to_owned()),
            "restore into a server of its own, and let the nodes join that one",
        )
    }))
}
