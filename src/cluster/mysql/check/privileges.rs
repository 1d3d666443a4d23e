//! The account's privileges, against those that each work needs.

use std::collections::BTreeSet;

use super::{Finding, Severity};
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, Version, WireError};

/// A privilege and from which version on there is one of that name.
struct Needed {
    name: &'static str,
    since: Version,
    /// For what.
    why: &'static str,
}

const fn needed(name: &'static str, since: Version, why: &'static str) -> Needed {
    Needed { name, since, why }
}

/// To make whoever is wanted log in for whoever is wanted.
const PROXY: &str = "PROXY";
const ALWAYS: Version = (0, 0, 0);

const MARIADB_BACKUP: &[Needed] = &[
    needed("SELECT", ALWAYS, "reads the rows, and the accounts in mysql.*"),
    needed("SHOW VIEW", ALWAYS, "reads the definitions of views"),
    needed("TRIGGER", ALWAYS, "reads triggers"),
    needed("EVENT", ALWAYS, "reads events"),
    needed(
        "PROCESS",
        ALWAYS,
        "sees long statements, and tables that were exchanged during a snapshot",
    ),
    needed(
        "RELOAD",
        ALWAYS,
        "holds commits back for a moment where the log does not tell a snapshot's place",
    ),
    needed("BINLOG MONITOR", (10, 5, 0), "reads the log's position"),
    needed("REPLICATION SLAVE", ALWAYS, "reads the log"),
];
const MARIADB_GOOD: &[Needed] = &[
    needed(
        "BINLOG ADMIN",
        (10, 5, 0),
        "gives a table's lock back as soon as it is read, so that no ALTER waits for the backup",
    ),
    needed("SLAVE MONITOR", (10, 5, 0), "sees whether the server is a replica"),
];
const MARIADB_RESTORE: &[Needed] = &[
    needed("INSERT", ALWAYS, "loads rows"),
    needed("UPDATE", ALWAYS, "replays the log"),
    needed("DELETE", ALWAYS, "replays the log"),
    needed("CREATE", ALWAYS, "makes tables and databases"),
    needed("DROP", ALWAYS, "drops what was replaced"),
    needed("ALTER", ALWAYS, "renames tables into place"),
    needed("INDEX", ALWAYS, "adds indexes"),
    needed("REFERENCES", ALWAYS, "adds foreign keys"),
    needed("CREATE VIEW", ALWAYS, "makes views"),
    needed("CREATE ROUTINE", ALWAYS, "makes routines"),
    needed("ALTER ROUTINE", ALWAYS, "drops routines"),
    needed("LOCK TABLES", ALWAYS, "loads tables"),
    needed("DELETE HISTORY", ALWAYS, "loads system-versioned tables"),
    needed("CREATE USER", ALWAYS, "locks accounts during a restore, and makes them"),
    needed("SET USER", (10, 5, 0), "makes programs of other definers"),
    needed("BINLOG REPLAY", (10, 5, 0), "replays the log"),
    needed("CONNECTION ADMIN", (10, 5, 0), "ends sessions"),
    needed(
        "READ_ONLY ADMIN",
        (10, 5, 0),
        "writes while the server is read-only for others",
    ),
];
/// For restores of a whole server, its accounts included.
const MARIADB_WHOLE: &[Needed] = &[
    needed("GRANT OPTION", ALWAYS, "gives accounts their grants back"),
    needed("SUPER", ALWAYS, "stops the event scheduler, and sets global variables"),
];
const MYSQL_WHOLE: &[Needed] = &[
    needed("GRANT OPTION", ALWAYS, "gives accounts their grants back"),
    needed("SYSTEM_USER", (8, 0, 16), "locks and makes accounts that have it"),
];
const MYSQL_BACKUP: &[Needed] = &[
    needed("SELECT", ALWAYS, "reads the rows, and the accounts in mysql.*"),
    needed("SHOW VIEW", ALWAYS, "reads the definitions of views"),
    needed("TRIGGER", ALWAYS, "reads triggers"),
    needed("EVENT", ALWAYS, "reads events"),
    needed(
        "PROCESS",
        ALWAYS,
        "sees long statements, and tables that were exchanged during a snapshot",
    ),
    needed(
        "RELOAD",
        ALWAYS,
        "holds commits back for the moment in which a view is opened",
    ),
    needed("REPLICATION CLIENT", ALWAYS, "reads the log's position"),
    needed("REPLICATION SLAVE", ALWAYS, "reads the log"),
];
const MYSQL_RESTORE: &[Needed] = &[
    needed("INSERT", ALWAYS, "loads rows"),
    needed("UPDATE", ALWAYS, "replays the log"),
    needed("DELETE", ALWAYS, "replays the log"),
    needed("CREATE", ALWAYS, "makes tables and databases"),
    needed("DROP", ALWAYS, "drops what was replaced"),
    needed("ALTER", ALWAYS, "renames tables into place"),
    needed("INDEX", ALWAYS, "adds indexes"),
    needed("REFERENCES", ALWAYS, "adds foreign keys"),
    needed("CREATE VIEW", ALWAYS, "makes views"),
    needed("CREATE ROUTINE", ALWAYS, "makes routines"),
    needed("ALTER ROUTINE", ALWAYS, "drops routines"),
    needed("LOCK TABLES", ALWAYS, "loads tables"),
    needed("CREATE USER", ALWAYS, "locks accounts during a restore, and makes them"),
    needed("SYSTEM_VARIABLES_ADMIN", ALWAYS, "closes the server to applications"),
    needed("CONNECTION_ADMIN", ALWAYS, "ends sessions"),
    needed("BINLOG_ADMIN", ALWAYS, "replays the log"),
    needed("REPLICATION_APPLIER", (8, 0, 18), "replays the log"),
    needed("SESSION_VARIABLES_ADMIN", (8, 0, 14), "keeps a restore out of the log"),
    needed("ROLE_ADMIN", ALWAYS, "gives roles"),
    needed("SET_ANY_DEFINER", (8, 2, 0), "makes programs of other definers"),
    needed(
        "ALLOW_NONEXISTENT_DEFINER",
        (8, 2, 0),
        "makes programs whose definer is gone",
    ),
];

/// What the account holds, and as what it is written in a GRANT.
fn account(conn: &mut Conn) -> Result<(BTreeSet<String>, String), WireError> {
    let user = conn
        .row("SELECT CURRENT_USER()")?
        .map(|r| r.text(0))
        .unwrap_or_default();
    let (user, host) = user.rsplit_once('@').unwrap_or((&user, "%"));
    let account = format!("{}@{}", text::ident(user), text::ident(host));
    let mut sql = "SHOW GRANTS".to_owned();
    if conn.info().flavor == Flavor::MySql {
        // MySQL counts the active roles in only when they are named.
        let roles = conn
            .row("SELECT CURRENT_ROLE()")?
            .map(|r| r.text(0))
            .unwrap_or_default();
        if !matches!(roles.as_str(), "" | "NONE") {
            sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
        }
    }
    let rows = conn.rows(&sql)?;
    Ok((held(rows.iter().map(|r| r.text(0))), account))
}

/// The GRANTs without which the server would hide something without a word, so that a backup lacked it.
pub(in crate::cluster::mysql) fn hiding(conn: &mut Conn, everything: bool) -> Result<Vec<String>, WireError> {
    let (held, account) = account(conn)?;
    let mut wanted = vec!["SELECT"];
    if everything {
        // Without PROCESS it could not be seen that a table was put in another's place meanwhile.
        wanted.extend(["SHOW VIEW", "TRIGGER", "EVENT", "PROCESS"]);
    }
    let lacking = wanted.into_iter().filter(|name| !has(&held, name));
    Ok(lacking
        .map(|name| format!("GRANT {name} ON *.* TO {account}"))
        .collect())
}

/// The GRANTs without which a restore of a whole server would lose accounts or their grants after it was switched over.
pub(in crate::cluster::mysql) fn lacking_for_whole(conn: &mut Conn) -> Result<Vec<String>, WireError> {
    let (held, account) = account(conn)?;
    let version = conn.info().version;
    let (restore, whole) = match conn.info().flavor {
        Flavor::MariaDb => (MARIADB_RESTORE, MARIADB_WHOLE),
        Flavor::MySql => (MYSQL_RESTORE, MYSQL_WHOLE),
    };
    let lacking = restore
        .iter()
        .chain(whole)
        .filter(|n| version >= n.since && !has(&held, n.name));
    Ok(lacking
        .map(|n| format!("GRANT {} ON *.* TO {account}", n.name))
        .collect())
}

pub(super) fn check(conn: &mut Conn) -> Result<Vec<Finding>, WireError> {
    let (held, account) = account(conn)?;
    let (flavor, version) = (conn.info().flavor, conn.info().version);
    let works: &[(&str, Severity, &[Needed])] = match flavor {
        Flavor::MariaDb => &[
            ("for backups", Severity::Missing, MARIADB_BACKUP),
            ("for backups, better", Severity::Warning, MARIADB_GOOD),
            ("for restores into this server", Severity::Warning, MARIADB_RESTORE),
            ("for restores of the whole server", Severity::Warning, MARIADB_WHOLE),
        ],
        Flavor::MySql => &[
            ("for backups", Severity::Missing, MYSQL_BACKUP),
            ("for restores into this server", Severity::Warning, MYSQL_RESTORE),
            ("for restores of the whole server", Severity::Warning, MYSQL_WHOLE),
        ],
    };
    let mut found: Vec<Finding> = works
        .iter()
        .flat_map(|(what, severity, list)| against(&held, version, &account, what, *severity, list))
        .collect();
    if !held.contains(PROXY) && gives_proxies(conn)? {
        found.push(proxy(flavor, &account));
    }
    Ok(found)
}

/// Whether there are accounts that may log in for others, besides the one that a restore leaves as it is.
fn gives_proxies(conn: &mut Conn) -> Result<bool, WireError> {
    let sql = "SELECT COUNT(*) FROM mysql.proxies_priv WHERE NOT (user = 'root' AND host = 'localhost')";
    match conn.row(sql) {
        Ok(row) => Ok(row.is_some_and(|r| r.number(0) > 0)),
        // What it may not see is asked for elsewhere.
        Err(e) if e.code().is_some() => Ok(false),
        Err(e) => Err(e),
    }
}

fn proxy(flavor: Flavor, account: &str) -> Finding {
    let all = match flavor {
        Flavor::MariaDb => "''@'%'",
        Flavor::MySql => "''@''",
    };
    Finding {
        name: "privilege PROXY".to_owned(),
        severity: Severity::Warning,
        found: "not granted (for restores of the whole server): it gives accounts back that they may log in for others"
            .to_owned(),
        mend: Some(format!("GRANT PROXY ON {all} TO {account} WITH GRANT OPTION")),
    }
}

fn against(
    held: &BTreeSet<String>,
    version: Version,
    account: &str,
    what: &str,
    severity: Severity,
    list: &[Needed],
) -> Vec<Finding> {
    let lacking = list.iter().filter(|n| version >= n.since && !has(held, n.name));
    let findings: Vec<Finding> = lacking
        .map(|n| Finding {
            name: format!("privilege {}", n.name),
            severity,
            found: format!("not granted ({what}): it {}", n.why),
            mend: Some(format!("GRANT {} ON *.* TO {account}", n.name)),
        })
        .collect();
    if findings.is_empty() {
        return vec![Finding::ok("privileges", format!("all {what}"))];
    }
    findings
}

fn has(held: &BTreeSet<String>, name: &str) -> bool {
    // The same, by an older or newer name.
    const SAME: [&[&str]; 4] = [
        &["BINLOG MONITOR", "REPLICATION CLIENT"],
        &["SLAVE MONITOR", "REPLICA MONITOR"],
        &["REPLICATION SLAVE", "REPLICATION REPLICA"],
        &["DELETE HISTORY", "DELETE VERSIONING ROWS"],
    ];
    let names = SAME
        .iter()
        .find(|same| same.contains(&name))
        .copied()
        .unwrap_or_default();
    (held.contains("ALL PRIVILEGES") && name != "GRANT OPTION")
        || held.contains(name)
        || names.iter().any(|n| held.contains(*n))
}

/// The global privileges among the lines of `SHOW GRANTS`. One that is revoked for a single database is not held.
fn held(lines: impl Iterator<Item = String>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut revoked = BTreeSet::new();
    for line in lines {
        if let Some((list, _)) = line.strip_prefix("REVOKE ").and_then(|l| l.split_once(" ON ")) {
            revoked.extend(list.split(',').map(|p| p.trim().to_ascii_uppercase()));
        }
        if line.starts_with("GRANT PROXY ON ''@") || line.starts_with("GRANT PROXY ON ``@") {
            all.extend(line.contains(" WITH GRANT OPTION").then(|| PROXY.to_owned()));
        }
        let Some(list) = line
            .strip_prefix("GRANT ")
            .and_then(|l| l.split_once(" ON *.* TO "))
            .map(|(l, _)| l)
        else {
            continue;
        };
        all.extend(list.split(',').map(|p| p.trim().to_ascii_uppercase()));
        if line.contains(" WITH GRANT OPTION") {
            all.insert("GRANT OPTION".to_owned());
        }
    }
    all.difference(&revoked).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> BTreeSet<String> {
        held(lines.iter().map(|l| (*l).to_owned()))
    }

    #[test]
    fn grants_are_read() {
        let some = of(&[
            "GRANT `ro` TO `b`@`%`",
            "GRANT SELECT, BINLOG MONITOR ON *.* TO `b`@`%` IDENTIFIED BY PASSWORD '*x'",
            "GRANT DROP ON `d`.* TO `b`@`%`",
        ]);
        assert!(has(&some, "SELECT") && has(&some, "REPLICATION CLIENT") && !has(&some, "DROP"));
        assert!(has(
            &of(&["GRANT ALL PRIVILEGES ON *.* TO `r`@`%` WITH GRANT OPTION"]),
            "RELOAD"
        ));
        let gives = |line: &str| has(&of(&[line]), "GRANT OPTION");
        assert!(gives("GRANT ALL PRIVILEGES ON *.* TO `r`@`%` WITH GRANT OPTION"));
        assert!(!gives("GRANT ALL PRIVILEGES ON *.* TO `r`@`%`"));
    }

    #[test]
    fn what_lacks_comes_with_its_grant() {
        let some = of(&["GRANT SELECT ON *.* TO `b`@`%`"]);
        let found = against(
            &some,
            (10, 11, 0),
            "`b`@`%`",
            "for backups",
            Severity::Missing,
            MARIADB_BACKUP,
        );
        let reload = found.iter().find(|f| f.name == "privilege RELOAD").unwrap();
        assert_eq!(reload.mend.as_deref(), Some("GRANT RELOAD ON *.* TO `b`@`%`"));
        assert!(!found.iter().any(|f| f.name == "privilege SELECT"));
    }
}
