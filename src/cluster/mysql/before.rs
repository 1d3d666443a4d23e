//! What speaks against a restore into a server: others that follow its log, or a log that it follows itself.
//!
//! What a restore builds and switches is not written into the server's log, so whoever follows that log would go on with
//! the old data; and what comes in from elsewhere would be applied to tables that are no longer what it was made for.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::OWN_DB;
use super::authentication;
use super::case;
use super::check::{self, Topology, lacking_for_restore};
use super::core::Core;
use super::fence;
use super::schema::definition::{self, DefinitionText, kind};
use super::schema::zone::{self, Zone};
use super::wire::{Conn, Flavor, WireError};
use crate::cluster::{CheckResult, ClusterError, RestoreCheck};
use crate::model::definition::Definition;
use crate::model::table::TableName;
use crate::model::text::safe;

/// What stands against a restore into the server.
pub(super) fn checks(core: &Arc<Core>, whole: bool) -> Result<Vec<RestoreCheck>, ClusterError> {
    core.ask("looking for what speaks against a restore", |conn| {
        let mut checks = place(&check::topology::of(conn)?, conn.info().flavor);
        checks.push(largest_row(conn)?);
        checks.push(privileges(conn, whole)?);
        checks.extend(keyless(conn)?);
        if fence::is_half_switched(conn)? {
            checks.push(check(
                "unfinished restore",
                Err(fence::HALF_SWITCHED.to_owned()),
                fence::FINISH_IT,
            ));
        }
        checks.extend(case::finding(conn)?.map(|(name, found, mend)| check(name, Err(found), mend)));
        Ok(checks)
    })
}

/// What stands against making what a backup holds besides tables: the accounts of another server may be proxies of others.
pub(super) fn definition_checks(
    core: &Arc<Core>,
    definitions: &[Definition],
) -> Result<Vec<RestoreCheck>, ClusterError> {
    let mut proxies = Vec::new();
    for definition in definitions.iter().filter(|d| d.kind == kind::GRANTS) {
        let made = DefinitionText::parse(&definition.text)?;
        proxies.extend(made.account.filter(|_| !made.own && check::is_proxy(&made.statements)));
    }
    let mut checks = Vec::new();
    if !proxies.is_empty() {
        let lacking = core.ask("reading the account's privileges", |conn| {
            check::lacking_for_proxies(conn, &proxies)
        })?;
        let found = "brine's account may not make proxies, which the backup has";
        checks.extend(lacking.map(|grant| check("proxies", Err(found.to_owned()), &grant)));
    }
    checks.extend(logins(core, definitions)?);
    Ok(checks)
}

/// Accounts that cannot be made, since the server does not know how they log in.
fn logins(core: &Arc<Core>, definitions: &[Definition]) -> Result<Option<RestoreCheck>, ClusterError> {
    let (flavor, there) = core.ask("listing the server's plugins", |conn| {
        Ok((conn.info().flavor, authentication::there(conn)?))
    })?;
    let lacking = authentication::lacking(definitions, flavor, &there)?;
    let Some((account, plugin)) = lacking.first() else {
        return Ok(None);
    };
    let more = match lacking.len() {
        1 => String::new(),
        n => format!(", nor {} more", n - 1),
    };
    let plugins: BTreeSet<&str> = lacking.iter().map(|(_, plugin)| plugin.as_str()).collect();
    let plugins: Vec<&str> = plugins.into_iter().collect();
    Ok(Some(RestoreCheck {
        name: "ways of logging in".to_owned(),
        result: CheckResult::Warning,
        found: format!(
            "the account {} cannot be made{more}: this server has no plugin {plugin}",
            safe(account, 60)
        ),
        wanted: format!(
            "these plugins loaded (INSTALL PLUGIN), if the accounts are wanted: {}",
            plugins.join(", ")
        ),
    }))
}

/// Tables that stay when these are replaced, and refer to them by foreign keys.
pub(super) fn referring(core: &Arc<Core>, replaced: &[TableName]) -> Result<Vec<(TableName, TableName)>, ClusterError> {
    let rows = core.ask("listing foreign keys", |conn| {
        conn.rows(
            "SELECT DISTINCT table_schema, table_name, referenced_table_schema, referenced_table_name \
             FROM information_schema.key_column_usage WHERE referenced_table_name IS NOT NULL",
        )
    })?;
    let all = rows.iter().map(|r| {
        let child = TableName::new(r.text(0), r.text(1));
        (child, TableName::new(r.text(2), r.text(3)))
    });
    let replaced: BTreeSet<&TableName> = replaced.iter().collect();
    Ok(all
        .filter(|(child, parent)| replaced.contains(parent) && !replaced.contains(child))
        .filter(|(child, _)| !child.db.starts_with(OWN_DB))
        .collect())
}

fn check(name: &str, found: Result<String, String>, mend: &str) -> RestoreCheck {
    let (result, found, wanted) = match found {
        Ok(good) => (CheckResult::Ok, good, ""),
        Err(bad) => (CheckResult::Blocked, bad, mend),
    };
    RestoreCheck {
        name: name.to_owned(),
        result,
        found,
        wanted: wanted.to_owned(),
    }
}

/// What lacks would be noticed in the middle of the restore, or only after the switch.
fn privileges(conn: &mut Conn, whole: bool) -> Result<RestoreCheck, WireError> {
    let lacking = lacking_for_restore(conn, whole)?;
    let found = match lacking.is_empty() {
        true => Ok("all that this restore needs".to_owned()),
        false => Err(format!("{} are lacking", lacking.len())),
    };
    Ok(check("privileges", found, &lacking.join("; ")))
}

/// What a replay of the log needs besides, given what the base says of its server: time zones. `SYSTEM` is another one on each.
pub(super) fn replay_checks(core: &Arc<Core>, base: &[Definition]) -> Result<Vec<RestoreCheck>, ClusterError> {
    let of_base = definition::zones(base)?;
    core.ask("comparing time zones", |conn| {
        let here = Zone::system(conn)?;
        let Some((there, names)) = &of_base else {
            return Ok(vec![not_told(&here)]);
        };
        let mut checks = vec![system_zone(conn, there, &here)?];
        if names.is_some_and(|n| n > 0) && zone::known(conn)? == Some(0) {
            checks.push(RestoreCheck {
                name: "named time zones".to_owned(),
                result: CheckResult::Warning,
                found: "the source has time zones loaded, this server has none: a statement of the log that ran in one, and \
                        depends on it, ends the restore"
                    .to_owned(),
                wanted: zone::load(conn.info().flavor).to_owned(),
            });
        }
        Ok(checks)
    })
}

const ZONE: &str = "time zone";

fn not_told(here: &Zone) -> RestoreCheck {
    RestoreCheck {
        name: ZONE.to_owned(),
        result: CheckResult::Warning,
        found: format!(
            "the backup does not say what the time zone SYSTEM was at its source; here it is {}",
            here.name
        ),
        wanted: "the same zone, where the log changes columns between TIMESTAMP and others".to_owned(),
    }
}

fn system_zone(conn: &mut Conn, there: &Zone, here: &Zone) -> Result<RestoreCheck, WireError> {
    let both = format!("SYSTEM was {} at the source and is {} here", there.name, here.name);
    let found = match here.is_like_for_ever(there) {
        true => {
            return Ok(check(
                ZONE,
                Ok(format!("the same as at the source ({})", there.name)),
                "",
            ));
        }
        false => there.found(conn)?,
    };
    let (result, found, wanted) = match found {
        // MySQL has no later moments in its columns.
        Some((zone, false)) if conn.info().flavor == Flavor::MariaDb => (
            CheckResult::Warning,
            format!(
                "{both}: statements of the log that depend on it are run in {zone}, which is the same until 2037; TIMESTAMPs of \
                 later years may come out an hour off where they become local time"
            ),
            "a server that runs in the source's zone (TZ), if the source has such moments".to_owned(),
        ),
        Some((zone, _)) => (
            CheckResult::Ok,
            format!("{both}: statements of the log that depend on it are run in {zone}"),
            String::new(),
        ),
        None => (
            CheckResult::Warning,
            format!("{both}, which knows no zone like it: a statement of the log that depends on it ends the restore"),
            format!(
                "{}, or start the server in that zone (TZ)",
                zone::load(conn.info().flavor)
            ),
        ),
    };
    Ok(RestoreCheck {
        name: ZONE.to_owned(),
        result,
        found,
        wanted,
    })
}

/// MariaDB's `innodb_force_primary_key` is no variable of a session. (MySQL's `sql_require_primary_key` is, and brine's ones
/// have it off.)
fn keyless(conn: &mut Conn) -> Result<Option<RestoreCheck>, WireError> {
    if conn.info().flavor == Flavor::MySql {
        return Ok(None);
    }
    let forced = conn.row("SELECT @@GLOBAL.innodb_force_primary_key")?;
    Ok(forced.filter(|row| row.number(0) == 1).map(|_| RestoreCheck {
        name: "primary keys".to_owned(),
        result: CheckResult::Warning,
        found: "the server takes no table without a primary key (innodb_force_primary_key): a restore of one fails, before \
                anything is switched"
            .to_owned(),
        wanted: "SET GLOBAL innodb_force_primary_key = OFF, if the source has such tables".to_owned(),
    }))
}

/// Below this a server does not take what many a source holds.
const ROOMY: u64 = 64 << 20;

/// A row goes into one packet, as a literal of twice its length or in the text of a `BINLOG` statement, which for an update
/// holds it twice. How large the source's rows are is not known.
fn largest_row(conn: &mut Conn) -> Result<RestoreCheck, WireError> {
    let allowed = conn
        .row("SELECT @@GLOBAL.max_allowed_packet")?
        .map_or(0, |row| row.number(0));
    let row = match conn.info().flavor {
        // MariaDB takes the statement in two halves.
        Flavor::MariaDb => allowed / 4 * 3,
        Flavor::MySql => allowed / 8 * 3,
    };
    let result = match allowed < ROOMY {
        true => CheckResult::Warning,
        false => CheckResult::Ok,
    };
    let mib = |bytes: u64| bytes >> 20;
    Ok(RestoreCheck {
        name: "largest row".to_owned(),
        result,
        found: format!(
            "rows of up to {} MiB fit in (max_allowed_packet is {} MiB)",
            mib(row),
            mib(allowed)
        ),
        wanted: match result {
            CheckResult::Ok => String::new(),
            _ => "SET GLOBAL max_allowed_packet = 1073741824, if the source has larger ones".to_owned(),
        },
    })
}

/// A server that does not stand alone: others would go on with the old rows, or bring it changes of rows that it no longer has.
fn place(found: &Topology, flavor: Flavor) -> Vec<RestoreCheck> {
    let replicas = match found.replicas.is_empty() {
        true => Ok("none is attached".to_owned()),
        false => Err(format!("attached: {}", found.replicas.join(", "))),
    };
    let replicates = match &found.source {
        None => Ok("it follows no other server".to_owned()),
        Some(source) => Err(format!("it is itself a replica of {source}")),
    };
    let mend = match flavor {
        Flavor::MariaDb => "STOP ALL SLAVES; RESET SLAVE ALL; or restore into its source",
        Flavor::MySql => "STOP REPLICA; RESET REPLICA ALL; or restore into its source",
    };
    let mut checks = vec![
        check(
            "replicas",
            replicas,
            "STOP REPLICA on each of them first; afterwards they must be set up anew from the restored server",
        ),
        check("replication", replicates, mend),
    ];
    let groups = [
        (found.galera, "galera", "it is a node of a Galera cluster (wsrep_on)"),
        (
            found.group,
            "group replication",
            "it is a member of a replication group (InnoDB Cluster)",
        ),
    ];
    for (_, name, what) in groups.into_iter().filter(|(is, _, _)| *is) {
        checks.push(check(
            name,
            Err(what.to_owned()),
            "restore into a server of its own, and let the members join that one",
        ));
    }
    checks
}

/// Refuses a server that others follow, or that follows another: what a restore writes is not in its log.
pub(super) fn alone(conn: &mut Conn) -> Result<(), ClusterError> {
    let found = check::topology(conn)?;
    if found.alone() {
        return Ok(());
    }
    let mut what: Vec<String> = found.replicas.iter().map(|r| format!("{r} follows its log")).collect();
    what.extend(found.source.iter().map(|s| format!("it follows {s}")));
    what.extend(found.galera.then(|| "it is a node of a Galera cluster".to_owned()));
    what.extend(found.group.then(|| "it is a member of a replication group".to_owned()));
    Err(ClusterError::Unsupported {
        what: format!(
            "this server does not stand alone ({}), and the others would go on with the old rows",
            what.join(", ")
        ),
        hint: "detach them first; afterwards they are set up anew from the restored server".to_owned(),
    })
}
