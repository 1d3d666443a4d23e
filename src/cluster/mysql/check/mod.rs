//! What a server has and lacks for backups and restores.
//!
//! Reading downwards: [`check`] goes through the server's version, its log, its tables, its place among other servers
//! ([`mod@topology`]) and the account's privileges ([`privileges`]). Each finding that is not as it should be says what mends it.

mod grants;
mod log;
mod privileges;
mod semisync;
mod tables;
pub(super) mod topology;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use grants::is_proxy;
pub(super) use log::{holes as log_holes, logs_updates, unlogged};
pub(super) use privileges::{hiding, lacking_for_proxies, lacking_for_restore};
pub use topology::Topology;

use super::case;
use super::core::{self, Core};
use super::facts;
use super::wire::{Conn, Flavor, WireError};
use crate::cluster::ClusterError;
use crate::model::clock::Millis;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Works, with a limit that is said.
    Warning,
    /// Something cannot be done.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What: "binlog format", "privilege REPLICATION SLAVE".
    pub name: String,
    /// How bad.
    pub severity: Severity,
    /// What was found, in words.
    pub found: String,
    /// The statement or setting that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn ok(name: &str, found: impl Into<String>) -> Finding {
        Finding {
            name: name.to_owned(),
            severity: Severity::Ok,
            found: found.into(),
            mend: None,
        }
    }

    fn warning(name: &str, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding {
            name: name.to_owned(),
            severity: Severity::Warning,
            found: found.into(),
            mend: Some(mend.into()).filter(|m: &String| !m.is_empty()),
        }
    }

    fn missing(name: &str, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Missing,
            ..Finding::warning(name, found, mend)
        }
    }
}

/// Global variables by their names in lower case.
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    fn read(conn: &mut Conn) -> Result<Variables, WireError> {
        let rows = conn.rows("SHOW GLOBAL VARIABLES")?;
        Ok(Variables(
            rows.iter()
                .map(|r| (r.text(0).to_ascii_lowercase(), r.text(1)))
                .collect(),
        ))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse::<f64>().ok().map(|n| n as u64)
    }

    /// `None` for a variable that the server does not have.
    fn on(&self, name: &str) -> Option<bool> {
        self.get(name).map(|v| matches!(v, "ON" | "1"))
    }
}

/// Looks at everything.
pub(super) fn check(core: &Arc<Core>) -> Result<Vec<Finding>, ClusterError> {
    let mut conn = core.connect()?;
    let doing = |what: &'static str| move |e: WireError| e.doing(what);
    let variables = Variables::read(&mut conn).map_err(doing("reading the server's variables"))?;
    let mut findings = vec![version(&conn)];
    findings.extend(log::check(&mut conn, &variables).map_err(doing("looking at the binary log"))?);
    if core.options.semi_sync {
        findings.push(semisync::check(&variables, conn.info().flavor));
    }
    findings.extend(tables::check(&mut conn).map_err(doing("looking at the tables"))?);
    let folds = case::finding(&mut conn).map_err(doing("reading the server's variables"))?;
    findings.extend(folds.map(|(name, found, mend)| {
        let found = format!("{found}: neither backups nor restores of it are exact, and brine refuses them");
        Finding::missing(name, found, mend)
    }));
    findings.extend(topology::check(&mut conn, &variables));
    findings.extend(limits(&conn, &variables));
    let ours = core.clock.now();
    findings.push(clock(&mut conn, ours).map_err(doing("reading the server's clock"))?);
    findings.extend(privileges::check(&mut conn).map_err(doing("reading the account's privileges"))?);
    Ok(findings)
}

/// Which other servers hang on this one, and which it hangs on: a restore must not leave them behind.
pub(super) fn topology(conn: &mut Conn) -> Result<Topology, ClusterError> {
    topology::of(conn).map_err(|e| e.doing("looking for replicas and groups"))
}

fn version(conn: &Conn) -> Finding {
    let found = facts::version(conn);
    let (major, minor, patch) = core::oldest(conn.info().flavor);
    if conn.info().version >= (major, minor, patch) {
        return Finding::ok("version", found);
    }
    Finding::missing(
        "version",
        format!("{found} is older than what brine knows"),
        format!("use {major}.{minor}.{patch} or newer"),
    )
}

fn limits(conn: &Conn, variables: &Variables) -> Vec<Finding> {
    const WANTED: u64 = 64 << 20;
    let mut findings = Vec::new();
    let packet = variables.number("max_allowed_packet").unwrap_or(WANTED);
    findings.push(if packet >= WANTED {
        Finding::ok("max_allowed_packet", packet.to_string())
    } else {
        Finding::warning(
            "max_allowed_packet",
            format!("{packet}: rows larger than that cannot be restored into this server"),
            "SET GLOBAL max_allowed_packet = 1073741824, and the same in its configuration",
        )
    });
    if conn.info().flavor == Flavor::MySql {
        findings.push(if variables.on("local_infile") == Some(true) {
            Finding::ok("local_infile", "ON")
        } else {
            Finding::warning(
                "local_infile",
                "OFF: a restore into this server uses INSERT, which is slower",
                "SET GLOBAL local_infile = ON",
            )
        });
    }
    findings
}

fn clock(conn: &mut Conn, ours: Millis) -> Result<Finding, WireError> {
    const SKEW: i64 = 5_000;
    let theirs = super::snapshot::start::server_now(conn)?;
    let ahead = theirs.0 - ours.0;
    Ok(if ahead.abs() <= SKEW {
        Finding::ok("clock", "as on this host")
    } else {
        let word = if ahead > 0 { "ahead of" } else { "behind" };
        Finding::warning(
            "clock",
            format!(
                "{} s {word} this host's: moments are those of the server's clock",
                ahead.abs() / 1000
            ),
            "set both by NTP",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_they_are_written() {
        let of =
            |pairs: &[(&str, &str)]| Variables(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect());
        let v = of(&[("log_bin", "ON"), ("expire_logs_days", "0.000694"), ("x", "1")]);
        assert_eq!(v.on("log_bin"), Some(true));
        assert_eq!(v.on("x"), Some(true));
        assert_eq!(v.on("y"), None);
        assert_eq!(v.number("expire_logs_days"), Some(0));
    }
}
