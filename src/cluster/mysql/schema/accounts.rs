//! Reading what belongs to the whole server: accounts, roles, their grants, and variables that were set at run time.

use std::collections::BTreeSet;

use super::definition::{AccountName, DefinitionText, kind};
use super::identity::{is_locked, unlocked, with_second, without_default_role, without_identity};
use super::zone::{self, Zone};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
use crate::cluster::mysql::{login, text};
use crate::model::definition::Definition;

/// Accounts that the server makes itself.
const SYSTEM: [&str; 4] = ["mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"];

/// Variables that say what a server does just now, not how it is set up; or that belong to its place in a group.
const TRANSIENT: [&str; 12] = [
    "read_only",
    "super_read_only",
    "offline_mode",
    "init_connect",
    "event_scheduler",
    "gtid_binlog_state",
    "gtid_slave_pos",
    "gtid_purged",
    "gtid_executed",
    "server_id",
    "rpl_semi_sync_master_enabled",
    "rpl_semi_sync_slave_enabled",
];

/// Where MySQL keeps it.
const SECOND_PASSWORD: &str = ", HEX(JSON_UNQUOTE(JSON_EXTRACT(user_attributes, '$.additional_password')))";

fn definition(kind: &str, name: String, made: &DefinitionText) -> Result<Definition, WireError> {
    let text = made.text().map_err(|e| WireError::Protocol(e.to_string()))?;
    Ok(Definition {
        kind: kind.to_owned(),
        db: None,
        name,
        text,
    })
}

struct Account {
    name: AccountName,
    role: bool,
    /// The hash of a password that is still good besides the new one (MySQL), in hex digits.
    second: Option<String>,
}

impl Account {
    /// As statements write it.
    fn quoted(&self) -> String {
        if self.role {
            return text::ident(&self.name.user);
        }
        format!("{}@{}", text::ident(&self.name.user), text::ident(&self.name.host))
    }

    fn shown(&self) -> String {
        if self.role {
            return self.name.user.clone();
        }
        format!("{}@{}", self.name.user, self.name.host)
    }

    /// MariaDB's role that everybody has; it is there already.
    fn is_public(&self) -> bool {
        self.role && self.name.user.eq_ignore_ascii_case("PUBLIC")
    }
}

/// Accounts, then roles, then grants, then variables.
pub fn read(conn: &mut Conn) -> Result<Vec<Definition>, WireError> {
    let flavor = conn.info().flavor;
    if flavor == Flavor::MySql {
        // Salts of caching_sha2_password are any bytes.
        conn.run("SET SESSION print_identified_with_as_hex = ON")?;
    }
    let own = conn
        .row("SELECT CURRENT_USER()")?
        .map(|r| r.text(0))
        .unwrap_or_default();
    let accounts = accounts(conn, flavor)?;
    let fenced = fenced(conn)?;
    let mut made = Vec::new();
    let mut grants = Vec::new();
    for account in &accounts {
        let fenced = fenced.contains(&account.name);
        match of_account(conn, account, &own, fenced) {
            Ok((definition, own_grants)) => {
                made.extend(definition);
                grants.push(own_grants);
            }
            // Listed, but not known to the running server: with skip_name_resolve it leaves out accounts with a host's name.
            Err(e) if matches!(e.code(), Some(1133 | 1141 | 1269 | 1396)) => {}
            Err(e) => return Err(e),
        }
    }
    made.sort_by_key(|d| d.kind != kind::ACCOUNT);
    made.extend(grants);
    made.extend(globals(conn, flavor)?);
    made.extend(settings(conn, flavor)?);
    made.push(time_zone(conn)?);
    Ok(made)
}

fn of_account(
    conn: &mut Conn,
    account: &Account,
    own: &str,
    fenced: bool,
) -> Result<(Option<Definition>, Definition), WireError> {
    if account.is_public() {
        return Ok((None, grants_of(conn, account, Vec::new())?));
    }
    let (definition, defaults) = one(conn, account, own, fenced)?;
    Ok((Some(definition), grants_of(conn, account, defaults)?))
}

fn accounts(conn: &mut Conn, flavor: Flavor) -> Result<Vec<Account>, WireError> {
    let role = match flavor {
        Flavor::MariaDb => "is_role",
        Flavor::MySql => "'N'",
    };
    let list = |second: &str| format!("SELECT user, host, {role}{second} FROM mysql.user ORDER BY user, host");
    let rows = match flavor {
        Flavor::MariaDb => conn.rows(&list(""))?,
        Flavor::MySql => match conn.rows(&list(SECOND_PASSWORD)) {
            // One of before there were two.
            Err(e) if e.code() == Some(1054) => conn.rows(&list(""))?,
            rows => rows?,
        },
    };
    Ok(rows
        .iter()
        .map(|row| Account {
            name: AccountName {
                user: row.text(0),
                host: row.text(1),
            },
            role: row.text(2) == "Y",
            second: row.opt(3),
        })
        .filter(|a| !SYSTEM.contains(&a.name.user.as_str()))
        .collect())
}

/// The definition, and the statements for its default roles.
fn one(conn: &mut Conn, account: &Account, own: &str, fenced: bool) -> Result<(Definition, Vec<String>), WireError> {
    let mut made = DefinitionText {
        account: Some(account.name.clone()),
        ..DefinitionText::default()
    };
    if account.role {
        made.statements = vec![format!("CREATE ROLE {}", account.quoted())];
        return Ok((definition(kind::ROLE, account.shown(), &made)?, Vec::new()));
    }
    let shown = conn.row(&format!("SHOW CREATE USER {}", account.quoted()))?;
    let create = shown.map(|r| r.text(0)).unwrap_or_default();
    let (create, roles) = without_default_role(&create);
    let create = if fenced { unlocked(&create) } else { create };
    made.locked = is_locked(&create);
    made.own = account.shown() == own;
    made.statements = match account.second.as_deref() {
        None => vec![create],
        Some(hash) => with_second(&create, &account.quoted(), hash).ok_or_else(|| {
            WireError::Protocol(format!(
                "the account {} has two passwords, but SHOW CREATE USER shows no hash of one",
                account.quoted()
            ))
        })?,
    };
    let defaults = roles.map(|r| format!("SET DEFAULT ROLE {r} TO {}", account.quoted()));
    Ok((
        definition(kind::ACCOUNT, account.shown(), &made)?,
        defaults.into_iter().collect(),
    ))
}

/// Accounts that are locked only because the server is closed for a restore.
fn fenced(conn: &mut Conn) -> Result<BTreeSet<AccountName>, WireError> {
    match conn.rows("SELECT user, host FROM _brine.fence_accounts") {
        Ok(rows) => Ok(rows
            .iter()
            .map(|row| AccountName {
                user: row.text(0),
                host: row.text(1),
            })
            .collect()),
        // Nothing was ever restored here; or it is not for this account to see, who then did not restore either.
        Err(e) if matches!(e.code(), Some(1146 | 1049 | 1142 | 1044)) => Ok(BTreeSet::new()),
        Err(e) => Err(e),
    }
}

fn grants_of(conn: &mut Conn, account: &Account, defaults: Vec<String>) -> Result<Definition, WireError> {
    let rows = conn.rows(&format!("SHOW GRANTS FOR {}", account.quoted()))?;
    let made = DefinitionText {
        statements: rows
            .iter()
            .map(|r| without_identity(&r.text(0)))
            .chain(defaults)
            .collect(),
        account: Some(account.name.clone()),
        ..DefinitionText::default()
    };
    definition(kind::GRANTS, account.shown(), &made)
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// What statements of the log depend on and do not say: sessions begin with these values.
fn settings(conn: &mut Conn, flavor: Flavor) -> Result<Vec<Definition>, WireError> {
    const ALL: &[&str] = &[
        "div_precision_increment",
        "default_week_format",
        "block_encryption_mode",
    ];
    const MARIADB: &[&str] = &["old_mode", "default_regex_flags"];
    let own = match flavor {
        Flavor::MariaDb => MARIADB,
        Flavor::MySql => &[],
    };
    let mut out = Vec::new();
    // The engine of tables that are made without a word about it comes first: it may be lacking at the target.
    for name in ["default_storage_engine"].iter().chain(ALL).chain(own) {
        let value = match conn.row(&format!("SELECT @@GLOBAL.{name}")) {
            Ok(row) => row.and_then(|r| r.opt(0)),
            // Not every version has each.
            Err(e) if e.code() == Some(1193) => None,
            Err(e) => return Err(e),
        };
        let Some(value) = value else { continue };
        let value = match *name {
            "default_storage_engine" => text::ident(&value),
            _ => literal(name, value),
        };
        out.push(setting(name, format!("SET SESSION {name} = {value}"))?);
    }
    let modes = conn.row("SELECT @@GLOBAL.sql_mode")?.map(|r| r.text(0));
    if let Some(statement) = reckoning(&modes.unwrap_or_default()) {
        out.push(setting("sql_mode", statement)?);
    }
    Ok(out)
}

fn setting(name: &str, statement: String) -> Result<Definition, WireError> {
    let made = DefinitionText {
        statements: vec![statement],
        ..DefinitionText::default()
    };
    definition(kind::SETTING, name.to_owned(), &made)
}

/// Adds to a session's modes those of a server on which the values of generated columns hang, and nothing that is loaded.
fn reckoning(modes: &str) -> Option<String> {
    const RECKONING: [&str; 3] = [
        "NO_UNSIGNED_SUBTRACTION",
        "TIME_ROUND_FRACTIONAL",
        "TIME_TRUNCATE_FRACTIONAL",
    ];
    let found: Vec<&str> = modes.split(',').filter(|mode| RECKONING.contains(mode)).collect();
    (!found.is_empty()).then(|| {
        let added = text::string(&format!(",{}", found.join(",")));
        format!("SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, {added})")
    })
}

/// What the server's time zones are. One that does not tell is backed up all the same.
fn time_zone(conn: &mut Conn) -> Result<Definition, WireError> {
    let begins = conn.row("SELECT @@GLOBAL.time_zone")?.map(|row| row.text(0));
    let made = DefinitionText {
        zone: Zone::told(conn)?,
        default_zone: begins.filter(|zone| !zone.eq_ignore_ascii_case("SYSTEM")),
        zones: zone::known(conn)?,
        ..DefinitionText::default()
    };
    definition(kind::SETTING, "time_zone".to_owned(), &made)
}

/// A variable's value as SET takes it.
fn literal(name: &str, value: String) -> String {
    // Shown are words that stand for no value.
    match value.as_str() {
        "DEFAULT" if name == "system_versioning_asof" => return value,
        "" if name.ends_with("_storage_engine") => return "NULL".to_owned(),
        _ => {}
    }
    match value.parse::<f64>().is_ok() && value.bytes().all(|b| b"0123456789.+-eE".contains(&b)) {
        true => value,
        false => text::string(&value),
    }
}

fn globals(conn: &mut Conn, flavor: Flavor) -> Result<Vec<Definition>, WireError> {
    let sql = match flavor {
        Flavor::MariaDb => "SELECT LOWER(variable_name), global_value FROM information_schema.system_variables \
             WHERE global_value_origin = 'SQL' ORDER BY variable_name"
            .to_owned(),
        Flavor::MySql => format!(
            "SELECT LOWER(v.variable_name), v.variable_value FROM performance_schema.global_variables v \
             JOIN performance_schema.variables_info i USING (variable_name) \
             LEFT JOIN performance_schema.persisted_variables p USING (variable_name) \
             WHERE p.variable_name IS NOT NULL OR (i.variable_source = 'DYNAMIC' AND v.variable_name NOT IN ({}) \
             AND (v.variable_name, v.variable_value) NOT IN ({})) ORDER BY v.variable_name",
            listed(login::NOT_TOLD.iter().map(|name| text::string(name))),
            listed(login::TOLD_BY_VALUE.iter().map(|(name, value)| format!(
                "({}, {})",
                text::string(name),
                text::string(value)
            ))),
        ),
    };
    let mut out = Vec::new();
    for row in conn.rows(&sql)? {
        let (name, Some(value)) = (row.text(0), row.opt(1)) else {
            continue;
        };
        if TRANSIENT.contains(&name.as_str()) {
            continue;
        }
        let literal = literal(&name, value);
        let made = DefinitionText {
            statements: vec![format!("SET GLOBAL {} = {literal}", text::ident(&name))],
            ..DefinitionText::default()
        };
        out.push(definition(kind::GLOBAL, name, &made)?);
    }
    Ok(out)
}
