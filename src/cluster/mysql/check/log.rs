//! The binary log's settings.

use super::topology::{self, Topology};
use super::{Finding, Variables};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};

/// A log that is thrown away sooner than this may be gone before a runner that was down has read it.
const KEPT: u64 = 2 * 86_400;

pub(super) fn check(conn: &mut Conn, variables: &Variables) -> Result<Vec<Finding>, WireError> {
    let flavor = conn.info().flavor;
    let mut findings = Vec::new();
    if variables.on("log_bin") != Some(true) {
        findings.push(Finding::missing(
            "binary log",
            "off: there are snapshots, but no log backup and no point-in-time restore",
            "log_bin = bin, server_id = 1 and binlog_format = ROW in the [mysqld] section of its configuration, and a restart",
        ));
        return Ok(findings);
    }
    findings.push(Finding::ok("binary log", "on"));
    // Where the variable is gone, there is no other format.
    findings.push(exactly(
        variables,
        "binlog_format",
        "ROW",
        "changes cannot be replayed exactly",
    ));
    findings.push(exactly(
        variables,
        "binlog_row_image",
        "FULL",
        "rows are logged in part, and a replay may hit others",
    ));
    findings.push(if variables.get("binlog_checksum") == Some("NONE") {
        Finding::warning(
            "binlog_checksum",
            "NONE: damage to the log would not be noticed",
            "SET GLOBAL binlog_checksum = CRC32",
        )
    } else {
        Finding::ok("binlog_checksum", variables.get("binlog_checksum").unwrap_or("CRC32"))
    });
    findings.push(gtid(variables, flavor));
    findings.push(kept(variables));
    findings.push(match filtered(conn)? {
        None => Finding::ok("log filters", "none"),
        Some(found) => Finding::missing("log filters", found, NO_FILTERS),
    });
    let replicated = variables
        .on("log_slave_updates")
        .or(variables.on("log_replica_updates"));
    if replicated == Some(false) {
        findings.push(match elsewhere(&topology::of(conn)?) {
            Some(why) => Finding::missing("log_slave_updates", format!("OFF, and {why}"), LOG_UPDATES),
            None => Finding::warning(
                "log_slave_updates",
                "OFF: what replication brings to this server would not reach its log",
                "log_slave_updates = ON in its configuration, and a restart, if it becomes a replica",
            ),
        });
    }
    Ok(findings)
}

/// What mends a log that leaves databases out.
const NO_FILTERS: &str = "take binlog_do_db and binlog_ignore_db out of its configuration, and restart";
/// What mends a log that leaves out what replication brings.
const LOG_UPDATES: &str = "log_slave_updates = ON (MySQL: log_replica_updates) in its configuration, and a restart; or back up its source; or \
     RESET SLAVE ALL (MySQL: RESET REPLICA ALL), if it follows nobody any more";

/// Where changes come from besides the server's own clients.
fn elsewhere(topology: &Topology) -> Option<String> {
    if let Some(source) = &topology.source {
        return Some(format!(
            "it follows {source}: what comes from there does not reach its log"
        ));
    }
    let group = match (topology.galera, topology.group) {
        (true, _) => "Galera cluster",
        (_, true) => "replication group",
        _ => return None,
    };
    Some(format!(
        "it is a member of a {group}: what the others write does not reach its log"
    ))
}

/// What the server's log leaves out by its settings, and what to do: from such a log no moment can be restored.
pub(in crate::cluster::mysql) fn holes(conn: &mut Conn) -> Result<Option<(String, &'static str)>, WireError> {
    if let Some(found) = filtered(conn)? {
        return Ok(Some((found, NO_FILTERS)));
    }
    let why = unlogged(conn)?;
    Ok(why.map(|why| (format!("log_slave_updates is OFF, and {why}"), LOG_UPDATES)))
}

/// Whether what replication brings reaches the server's own log.
pub(in crate::cluster::mysql) fn logs_updates(conn: &mut Conn) -> Result<bool, WireError> {
    let switches = "SHOW GLOBAL VARIABLES WHERE variable_name IN ('log_slave_updates', 'log_replica_updates')";
    Ok(conn.rows(switches)?.iter().all(|row| row.text(1) != "OFF"))
}

/// Where changes come from that the server does not write into its log, as a clause.
pub(in crate::cluster::mysql) fn unlogged(conn: &mut Conn) -> Result<Option<String>, WireError> {
    if logs_updates(conn)? {
        return Ok(None);
    }
    Ok(elsewhere(&topology::of(conn)?))
}

fn exactly(variables: &Variables, name: &str, wanted: &str, else_what: &str) -> Finding {
    let found = variables.get(name).unwrap_or(wanted);
    if found.eq_ignore_ascii_case(wanted) {
        return Finding::ok(name, wanted);
    }
    Finding::missing(
        name,
        format!("{found}: {else_what}"),
        format!("SET GLOBAL {name} = {wanted}, the same in its configuration, and let applications reconnect"),
    )
}

fn gtid(variables: &Variables, flavor: Flavor) -> Finding {
    match flavor {
        Flavor::MariaDb if variables.on("gtid_strict_mode") == Some(true) => {
            Finding::ok("GTIDs", "always on; gtid_strict_mode is ON")
        }
        Flavor::MariaDb => Finding::warning(
            "GTIDs",
            "gtid_strict_mode is OFF: numbers may come out of order",
            "SET GLOBAL gtid_strict_mode = ON",
        ),
        Flavor::MySql if variables.get("gtid_mode") == Some("ON") => Finding::ok("GTIDs", "gtid_mode is ON"),
        Flavor::MySql => Finding::warning(
            "GTIDs",
            "gtid_mode is not ON: transactions are known by file and offset, and the log cannot be followed to another host",
            "SET GLOBAL enforce_gtid_consistency = ON; then gtid_mode step by step to ON",
        ),
    }
}

fn kept(variables: &Variables) -> Finding {
    const NAME: &str = "kept log";
    let seconds = variables.number("binlog_expire_logs_seconds").filter(|s| *s > 0);
    let days = variables.get("expire_logs_days").and_then(|d| d.parse::<f64>().ok());
    let days = days.filter(|d| *d > 0.0).map(|d| (d * 86_400.0) as u64);
    match seconds.or(days) {
        None => Finding::ok(NAME, "until it is purged by hand"),
        Some(s) if s >= KEPT => Finding::ok(NAME, format!("{} hours", s / 3600)),
        Some(s) => Finding::warning(
            NAME,
            format!(
                "only {} hours: a log backup that stands still for longer has a gap",
                s / 3600
            ),
            "SET GLOBAL binlog_expire_logs_seconds = 604800",
        ),
    }
}

/// Which databases the log leaves out, if it does and the account may know.
fn filtered(conn: &mut Conn) -> Result<Option<String>, WireError> {
    let statement = match conn.info().flavor {
        Flavor::MySql if conn.info().version >= (8, 2, 0) => "SHOW BINARY LOG STATUS",
        _ => "SHOW MASTER STATUS",
    };
    let row = match conn.row(statement) {
        Ok(row) => row,
        // Not allowed: the privileges say so.
        Err(WireError::Server { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let (only, not) = row.map(|r| (r.text(2), r.text(3))).unwrap_or_default();
    if only.is_empty() && not.is_empty() {
        return Ok(None);
    }
    let found = match only.is_empty() {
        true => format!("changes to {not} never reach the log"),
        false => format!("only changes to {only} reach the log"),
    };
    Ok(Some(format!(
        "{found}: they are in snapshots, but in no point-in-time restore"
    )))
}
