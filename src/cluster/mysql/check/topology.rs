//! A server's place among others. A restore writes rows that its log does not hold: whoever follows that log keeps the old
//! rows and does not notice.

use super::{Finding, Variables};
use crate::cluster::mysql::sessions;
use crate::cluster::mysql::wire::{Conn, Flavor, Row, WireError};

/// Which other servers hang on this one, and which it hangs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Servers that follow its log, as it knows them.
    pub replicas: Vec<String>,
    /// The server that it follows itself.
    pub source: Option<String>,
    /// It is a node of a Galera cluster.
    pub galera: bool,
    /// It is a member of a replication group.
    pub group: bool,
}

impl Topology {
    /// Whether it stands alone.
    pub fn alone(&self) -> bool {
        *self == Topology::default()
    }
}

/// Reads it. What the account may not see, or the server does not know, is not there.
pub(in crate::cluster::mysql) fn of(conn: &mut Conn) -> Result<Topology, WireError> {
    let flavor = conn.info().flavor;
    let version = conn.info().version;
    let new_words = flavor == Flavor::MySql && version >= (8, 0, 22);
    let status = match flavor {
        Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
        Flavor::MySql if new_words => "SHOW REPLICA STATUS",
        Flavor::MySql => "SHOW SLAVE STATUS",
    };
    // MariaDB puts the connection's name and the state of its threads before.
    let host = match flavor {
        Flavor::MariaDb => 3,
        Flavor::MySql => 1,
    };
    let source = may(conn, status)?.first().map(|r| r.text(host));
    let hosts = if new_words { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
    let mut replicas: Vec<String> = may(conn, hosts)?
        .iter()
        .map(|r| format!("server {} on {}:{}", r.text(0), r.text(1), r.text(2)))
        .collect();
    // Brine reads the log itself, and so may others with its account.
    if replicas.is_empty() {
        replicas.extend(match sessions::readers_of_log(conn) {
            Err(WireError::Server { .. }) => Vec::new(),
            readers => readers?,
        });
    }
    let galera = flavor == Flavor::MariaDb
        && may(conn, "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")?
            .first()
            .is_some_and(|r| r.text(1) == "ON");
    let members =
        "SELECT member_host FROM performance_schema.replication_group_members WHERE member_state <> 'OFFLINE'";
    let group = flavor == Flavor::MySql && !may(conn, members)?.is_empty();
    Ok(Topology {
        replicas,
        source,
        galera,
        group,
    })
}

/// The rows, or none where the server refuses.
fn may(conn: &mut Conn, sql: &str) -> Result<Vec<Row>, WireError> {
    match conn.rows(sql) {
        Err(WireError::Server { .. }) => Ok(Vec::new()),
        other => other,
    }
}

pub(super) fn check(conn: &mut Conn, _variables: &Variables) -> Vec<Finding> {
    let Ok(topology) = of(conn) else {
        return vec![Finding::warning("topology", "it could not be read", "")];
    };
    if topology.alone() {
        return vec![Finding::ok("topology", "a server on its own")];
    }
    let mut findings = Vec::new();
    if !topology.replicas.is_empty() {
        findings.push(Finding::warning(
            "replicas",
            format!(
                "{} follow(s) its log: a restore into this server is refused, it would leave them behind",
                topology.replicas.join(", ")
            ),
            "detach them before a restore, and build them anew after it",
        ));
    }
    if let Some(source) = &topology.source {
        findings.push(Finding::warning(
            "replication",
            format!("it follows {source}: a restore into it is refused while it does"),
            "STOP REPLICA; RESET REPLICA ALL before a restore",
        ));
    }
    let grouped = [(topology.galera, "Galera"), (topology.group, "group replication")];
    for (_, what) in grouped.into_iter().filter(|(is, _)| *is) {
        findings.push(Finding::warning(
            what,
            "the server is a member: a restore into it is refused".to_owned(),
            "restore into a server of its own, and build the group from it",
        ));
    }
    findings
}
