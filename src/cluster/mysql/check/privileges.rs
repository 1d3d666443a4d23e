//! The account's privileges, against those that each work needs.

use std::collections::BTreeSet;

use super::{Finding, Severity, grants};
use crate::cluster::mysql::fence::is_spared;
use crate::cluster::mysql::schema::definition::AccountName;
use crate::cluster::mysql::schema::tables::not_system;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, Version, WireError};
use crate::model::table::TableName;

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

/// Without it, what the server shows with question marks cannot be read: see [`crate::cluster::mysql::schema::literals`].
const TEMPORARY: &str = "CREATE TEMPORARY TABLES";

/// A table with members or defaults that the server may show with question marks.
fn shown_with_marks(conn: &mut Conn) -> Result<Option<String>, WireError> {
    let default = match conn.info().flavor {
        Flavor::MariaDb => " OR LEFT(column_default, 1) = '\\'' AND LOCATE('?', column_default) > 0",
        Flavor::MySql => "",
    };
    let sql = format!(
        "SELECT table_schema, table_name FROM information_schema.columns \
         WHERE character_set_name IN ('utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030') \
         AND (data_type IN ('enum', 'set') AND LOCATE('?', column_type) > 0{default}) AND {} LIMIT 1",
        not_system("table_schema")
    );
    let row = conn.row(&sql)?;
    Ok(row.map(|r| TableName::new(r.text(0), r.text(1)).to_string()))
}

/// Brine's own account.
struct OwnAccount {
    name: AccountName,
    /// As a GRANT writes it.
    quoted: String,
    /// What `SHOW GRANTS` says.
    lines: Vec<String>,
    held: BTreeSet<String>,
}

fn account(conn: &mut Conn) -> Result<OwnAccount, WireError> {
    let user = conn
        .row("SELECT CURRENT_USER()")?
        .map(|r| r.text(0))
        .unwrap_or_default();
    let (user, host) = user.rsplit_once('@').unwrap_or((&user, "%"));
    let quoted = format!("{}@{}", text::ident(user), text::ident(host));
    let name = AccountName {
        user: user.to_owned(),
        host: host.to_owned(),
    };
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
    let lines: Vec<String> = conn.rows(&sql)?.iter().map(|r| r.text(0)).collect();
    Ok(OwnAccount {
        name,
        quoted,
        held: held(lines.iter().cloned()),
        lines,
    })
}

/// The GRANTs without which the server would hide something without a word, so that a backup lacked it.
pub(in crate::cluster::mysql) fn hiding(conn: &mut Conn, everything: bool) -> Result<Vec<String>, WireError> {
    let OwnAccount {
        held, quoted: account, ..
    } = account(conn)?;
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

/// The GRANTs without which a restore would fail in the middle; one that closes the server and replaces what it holds would
/// besides lose accounts or their grants after it was switched over.
pub(in crate::cluster::mysql) fn lacking_for_restore(conn: &mut Conn, whole: bool) -> Result<Vec<String>, WireError> {
    let own = account(conn)?;
    let version = conn.info().version;
    // What is restored is read back, and the new history needs its first backup.
    let (backup, restore, more) = match conn.info().flavor {
        Flavor::MariaDb => (MARIADB_BACKUP, MARIADB_RESTORE, MARIADB_WHOLE),
        Flavor::MySql => (MYSQL_BACKUP, MYSQL_RESTORE, MYSQL_WHOLE),
    };
    let more = if whole { more } else { &[] };
    let all = backup.iter().chain(restore).chain(more);
    let lacking = all.filter(|n| version >= n.since && !has(&own.held, n.name));
    let mut grants: Vec<String> = lacking
        .map(|n| format!("GRANT {} ON *.* TO {}", n.name, own.quoted))
        .collect();
    if !has(&own.held, TEMPORARY) && shown_with_marks(conn)?.is_some() {
        grants.push(format!("GRANT {TEMPORARY} ON *.* TO {}", own.quoted));
    }
    // Without SELECT it is not even known who else there is.
    if whole && has(&own.held, "SELECT") {
        let to_give = grants::lacking_to_give(conn, &own.lines, &own.held, (&own.name, &own.quoted))?;
        grants.extend(to_give.into_iter().filter(|g| !grants.contains(g)).collect::<Vec<_>>());
    }
    Ok(grants)
}

/// The GRANT without which a restore could not make these proxies; some it leaves as they are.
pub(in crate::cluster::mysql) fn lacking_for_proxies(
    conn: &mut Conn,
    proxies: &[AccountName],
) -> Result<Option<String>, WireError> {
    let own = account(conn)?;
    if proxies.iter().all(|proxy| is_spared(proxy, &own.name)) {
        return Ok(None);
    }
    Ok(grants::lacking_proxy(conn.info().flavor, &own.lines, &own.quoted))
}

pub(super) fn check(conn: &mut Conn) -> Result<Vec<Finding>, WireError> {
    let own = account(conn)?;
    let (held, account) = (&own.held, &own.quoted);
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
    let found = works
        .iter()
        .flat_map(|(what, severity, list)| against(held, version, account, what, *severity, list));
    let mut findings: Vec<Finding> = found.collect();
    if !has(held, TEMPORARY)
        && let Some(table) = shown_with_marks(conn)?
    {
        findings.push(Finding::missing(
            "privilege CREATE TEMPORARY TABLES",
            format!(
                "not granted (for backups): it reads members and defaults that the server shows with question marks, as in {table}"
            ),
            format!("GRANT {TEMPORARY} ON *.* TO {account}"),
        ));
    }
    if has(held, "SELECT") {
        let to_give = grants::lacking_to_give(conn, &own.lines, held, (&own.name, account))?;
        findings.extend(to_give.into_iter().map(|grant| {
            let found =
                "other accounts hold more than brine's may give: a restore of the whole server could not give it back";
            Finding::warning("privileges to give", found, grant)
        }));
    }
    Ok(findings)
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

pub(super) fn has(held: &BTreeSet<String>, name: &str) -> bool {
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
