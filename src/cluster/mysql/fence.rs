//! Keeping applications out of a server while it is restored, and letting them in again.
//!
//! What holds is `ACCOUNT LOCK`: it survives a crash of the server. `init_connect`, `read_only` and the event scheduler are
//! set besides, and come back with the next call when the server lost them. Before anything is touched, the accounts and the
//! settings as they were are written into `_brine.fence` and `_brine.fence_accounts`; opening goes by those tables alone.
//!
//! Not locked are brine's own account, the server's own ones and `root@localhost`: the operator's last door. Their
//! sessions, brine's excepted, are ended all the same, and a server on which they come back is not closed. The journal also
//! says where the server's log was: whatever it holds beyond that, when the restore is switched over, came from somebody who
//! was not to be there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::core::Core;
use super::prepared;
use super::restore::session::keep_out_of_log;
use super::schema::definition::AccountName;
use super::sessions::{self, Session};
use super::text::{ident, string};
use super::wire::{Conn, Flavor, WireError};
use crate::cluster::{ClosedAs, ClusterError, ClusterState};
use crate::model::clock::Millis;
use crate::model::crash::crash_point;

const TABLES: &[&str] = &[
    "CREATE DATABASE IF NOT EXISTS _brine CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS _brine.fence (id INT NOT NULL PRIMARY KEY, phase VARCHAR(16) NOT NULL, \
     state LONGTEXT NOT NULL, saved LONGTEXT NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS _brine.fence_accounts (user VARCHAR(128) NOT NULL, host VARCHAR(255) NOT NULL, \
     PRIMARY KEY (user, host)) ENGINE=InnoDB",
];
/// Two readings of when a server was started differ by less, in seconds.
const RESTARTED: u64 = 5;
/// What a session gets that comes in all the same.
const TURNED_AWAY: &str = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'closed by brine for a restore'";
/// Accounts that the server makes for itself.
const SYSTEM: [&str; 4] = ["mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"];

/// How a server is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shut {
    Restoring { since: Millis },
    Closed { why: String },
}

/// Settings as they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    read_only: String,
    init_connect: String,
    event_scheduler: String,
    /// What the server had done when it was closed; nothing while it is being closed.
    #[serde(default)]
    closed_at: Option<ClosedAt>,
}

/// A closed server, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ClosedAt {
    /// The GTIDs of its log; empty where it has none.
    gtid: String,
    /// When it was started, in seconds.
    started: u64,
}

/// What the journal says.
struct Journal {
    shut: Shut,
    saved: Saved,
}

fn doing(what: &'static str) -> impl Fn(WireError) -> ClusterError {
    move |e| e.doing(what)
}

const CLOSING: &str = "closing the server to applications";
const OPENING: &str = "opening the server to applications";

fn unreadable(e: impl std::fmt::Display) -> ClusterError {
    ClusterError::Malformed {
        what: "the journal of the closed server in _brine.fence",
        why: e.to_string(),
    }
}

/// The state that the journal gives a server; open where there is none.
pub(super) fn state(conn: &mut Conn) -> Result<ClusterState, WireError> {
    match conn.row("SELECT state FROM _brine.fence WHERE id = 1") {
        Ok(None) => Ok(ClusterState::Available),
        Ok(Some(row)) => Ok(match serde_json::from_str(&row.text(0)) {
            Ok(Shut::Restoring { since }) => ClusterState::Restoring { since },
            Ok(Shut::Closed { why }) => ClusterState::Closed { why },
            Err(e) => ClusterState::Closed {
                why: format!("its journal in _brine.fence cannot be read: {e}"),
            },
        }),
        // No such database or table, or none that this account may see: then it never closed this server either.
        Err(e) if matches!(e.code(), Some(1049 | 1146 | 1142 | 1044)) => Ok(ClusterState::Available),
        Err(e) => Err(e),
    }
}

/// Whether the server is closed.
pub(super) fn is_closed(conn: &mut Conn) -> Result<bool, ClusterError> {
    let state = state(conn).map_err(|e| e.doing("reading whether the server is closed"))?;
    Ok(state != ClusterState::Available)
}

fn journal(conn: &mut Conn) -> Result<Option<Journal>, ClusterError> {
    let row = conn
        .row("SELECT state, saved FROM _brine.fence WHERE id = 1")
        .map_err(doing("reading _brine.fence"))?;
    row.map(|row| {
        Ok(Journal {
            shut: serde_json::from_str(&row.text(0)).map_err(unreadable)?,
            saved: serde_json::from_str(&row.text(1)).map_err(unreadable)?,
        })
    })
    .transpose()
}

/// A connection that stays out of the log.
fn connect(core: &Core) -> Result<Conn, ClusterError> {
    let mut conn = core.connect()?;
    keep_out_of_log(&mut conn)?;
    Ok(conn)
}

/// Closes the server to applications and ends their sessions.
pub(super) fn close(core: &Arc<Core>, state: ClosedAs) -> Result<(), ClusterError> {
    let mut conn = connect(core)?;
    conn.run_all(TABLES).map_err(doing(CLOSING))?;
    let before = journal(&mut conn)?;
    let restoring = state == ClosedAs::Restoring;
    if restoring {
        prepared::none(&mut conn)?;
    }
    if before.is_none() {
        refuse_half_switched(&mut conn, CLOSING)?;
    }
    let shut = match (state, &before) {
        (
            ClosedAs::Restoring,
            Some(Journal {
                shut: Shut::Restoring { since },
                ..
            }),
        ) => Shut::Restoring { since: *since },
        (ClosedAs::Restoring, _) => Shut::Restoring {
            since: core.clock.now(),
        },
        (ClosedAs::Closed(why), _) => Shut::Closed { why },
    };
    write_journal(&mut conn, &shut, before.is_none())?;
    crash_point("mysql.fence.journal");
    let ended = put_up(&mut conn)?;
    let own = own(&mut conn)?;
    sessions::stay_away(&mut conn, &own, &ended)?;
    if restoring {
        // One may have been left by a session that was just ended.
        prepared::none(&mut conn)?;
    }
    crash_point("mysql.fence.up");
    note_closed(&mut conn)
}

/// Puts the fence of a closed server up again: a restart of the server takes parts of it away.
pub(super) fn hold(conn: &mut Conn) -> Result<(), ClusterError> {
    if is_closed(conn)? {
        put_up(conn)?;
    }
    Ok(())
}

/// Writes down that it is closed, and the first time what the server had done until then.
fn note_closed(conn: &mut Conn) -> Result<(), ClusterError> {
    if let Some(Journal { mut saved, .. }) = journal(conn)?
        && saved.closed_at.is_none()
    {
        saved.closed_at = Some(now(conn)?);
        let saved = serde_json::to_string(&saved).map_err(unreadable)?;
        conn.run(&format!(
            "UPDATE _brine.fence SET saved = {} WHERE id = 1",
            string(&saved)
        ))
        .map_err(doing(CLOSING))?;
    }
    conn.run("UPDATE _brine.fence SET phase = 'closed' WHERE id = 1")
        .map_err(doing(CLOSING))?;
    Ok(())
}

fn now(conn: &mut Conn) -> Result<ClosedAt, ClusterError> {
    let err = doing("looking where the closed server is");
    let gtid = match conn.info().flavor {
        Flavor::MariaDb => "SELECT @@GLOBAL.gtid_binlog_pos",
        Flavor::MySql => "SELECT @@GLOBAL.gtid_executed",
    };
    let gtid = conn.row(gtid).map_err(&err)?.map(|r| r.text(0)).unwrap_or_default();
    let uptime = conn.row("SHOW GLOBAL STATUS LIKE 'Uptime'").map_err(&err)?;
    let clock = conn.row("SELECT UNIX_TIMESTAMP(SYSDATE())").map_err(&err)?;
    let clock = clock.map(|r| r.number(0)).unwrap_or_default();
    Ok(ClosedAt {
        gtid: gtid.chars().filter(|c| !c.is_whitespace()).collect(),
        started: clock.saturating_sub(uptime.map(|r| r.number(1)).unwrap_or_default()),
    })
}

/// What happened on a closed server that should not have: nothing of brine's is in its log, so whatever is there came from a
/// session that could not be kept out, or from an event after a restart. Empty for a server that is open.
pub(super) fn intrusions(conn: &mut Conn) -> Result<Vec<String>, ClusterError> {
    if !is_closed(conn)? {
        return Ok(Vec::new());
    }
    let Some(before) = journal(conn)?.and_then(|j| j.saved.closed_at) else {
        return Ok(Vec::new());
    };
    let now = now(conn)?;
    let mut out = Vec::new();
    if now.gtid != before.gtid {
        out.push(format!(
            "while the server was closed somebody wrote all the same: its log went from {} to {}. What was written is not in the \
             restored data; it can be restored from the log of the history before this restore",
            before.gtid, now.gtid
        ));
    }
    if now.started > before.started + RESTARTED {
        out.push(
            "the server was restarted while it was closed for the restore: until brine came back, the event scheduler and \
             read_only were as its configuration says; the accounts stayed locked"
                .to_owned(),
        );
    }
    Ok(out)
}

/// Writes how it is closed, and the first time how everything was before.
fn write_journal(conn: &mut Conn, shut: &Shut, first: bool) -> Result<(), ClusterError> {
    let shut = serde_json::to_string(shut).map_err(unreadable)?;
    let err = doing(CLOSING);
    if !first {
        let sql = format!("UPDATE _brine.fence SET state = {} WHERE id = 1", string(&shut));
        return conn.run(&sql).map_err(err).map(drop);
    }
    let row = conn
        .row("SELECT @@GLOBAL.read_only, @@GLOBAL.init_connect, @@GLOBAL.event_scheduler")
        .map_err(&err)?
        .unwrap_or_else(|| super::wire::Row(Vec::new()));
    let saved = Saved {
        read_only: row.text(0),
        init_connect: row.text(1),
        event_scheduler: row.text(2),
        closed_at: None,
    };
    let saved = serde_json::to_string(&saved).map_err(unreadable)?;
    let open = unlocked(conn)?;
    conn.run("START TRANSACTION").map_err(&err)?;
    conn.run("DELETE FROM _brine.fence_accounts").map_err(&err)?;
    for account in &open {
        remember(conn, account)?;
    }
    let sql = format!(
        "INSERT INTO _brine.fence (id, phase, state, saved) VALUES (1, 'closing', {}, {})",
        string(&shut),
        string(&saved)
    );
    conn.run(&sql).map_err(&err)?;
    conn.run("COMMIT").map_err(&err).map(drop)
}

/// Writes down that an account is to be unlocked when the server opens.
pub(super) fn remember(conn: &mut Conn, account: &AccountName) -> Result<(), ClusterError> {
    let sql = format!(
        "REPLACE INTO _brine.fence_accounts (user, host) VALUES ({}, {})",
        string(&account.user),
        string(&account.host)
    );
    conn.run(&sql).map_err(doing(CLOSING)).map(drop)
}

/// Strikes an account from the journal: it stays locked when the server opens.
pub(super) fn strike(conn: &mut Conn, account: &AccountName) -> Result<(), ClusterError> {
    let sql = format!(
        "DELETE FROM _brine.fence_accounts WHERE user = {} AND host = {}",
        string(&account.user),
        string(&account.host)
    );
    conn.run(&sql).map_err(doing(CLOSING)).map(drop)
}

/// Whether an account opens again with the server.
pub(super) fn remembers(conn: &mut Conn, account: &AccountName) -> Result<bool, ClusterError> {
    let sql = format!(
        "SELECT 1 FROM _brine.fence_accounts WHERE user = {} AND host = {}",
        string(&account.user),
        string(&account.host)
    );
    Ok(conn.row(&sql).map_err(doing(CLOSING))?.is_some())
}

/// As statements write it.
pub(super) fn quoted(account: &AccountName) -> String {
    format!("{}@{}", ident(&account.user), ident(&account.host))
}

/// The account that this connection logged in with.
pub(super) fn own(conn: &mut Conn) -> Result<AccountName, ClusterError> {
    let row = conn
        .row("SELECT CURRENT_USER()")
        .map_err(doing("asking for the own account"))?;
    let text = row.map(|r| r.text(0)).unwrap_or_default();
    let (user, host) = text.rsplit_once('@').unwrap_or((&text, ""));
    Ok(AccountName {
        user: user.to_owned(),
        host: host.to_owned(),
    })
}

/// Whether an account is never locked nor changed.
pub(super) fn is_spared(account: &AccountName, own: &AccountName) -> bool {
    account == own || SYSTEM.contains(&account.user.as_str()) || (account.user == "root" && account.host == "localhost")
}

/// The accounts that can log in and are not spared.
pub(super) fn unlocked(conn: &mut Conn) -> Result<Vec<AccountName>, ClusterError> {
    let sql = match conn.info().flavor {
        Flavor::MariaDb => {
            "SELECT user, host FROM mysql.global_priv WHERE COALESCE(JSON_VALUE(priv, '$.is_role'), 0) = 0 \
             AND COALESCE(JSON_VALUE(priv, '$.account_locked'), 0) = 0"
        }
        Flavor::MySql => "SELECT user, host FROM mysql.user WHERE account_locked = 'N'",
    };
    let own = own(conn)?;
    let rows = conn.rows(sql).map_err(doing("reading which accounts are locked"))?;
    Ok(rows
        .iter()
        .map(|r| AccountName {
            user: r.text(0),
            host: r.text(1),
        })
        .filter(|a| !is_spared(a, &own))
        .collect())
}

/// Locks what is not locked yet, and writes it down before.
pub(super) fn lock_all(conn: &mut Conn) -> Result<(), ClusterError> {
    for account in unlocked(conn)? {
        remember(conn, &account)?;
        lock(conn, &account)?;
    }
    Ok(())
}

fn lock(conn: &mut Conn, account: &AccountName) -> Result<(), ClusterError> {
    let sql = format!("ALTER USER {} ACCOUNT LOCK", quoted(account));
    match conn.run(&sql) {
        // Dropped in this moment.
        Err(e) if e.code() == Some(1396) => Ok(()),
        other => other
            .map_err(|e| e.doing(format!("locking the account {}@{}", account.user, account.host)))
            .map(drop),
    }
}

/// The fence itself; can be repeated, and puts back what a crash of the server took away. Gives the sessions that it ended.
fn put_up(conn: &mut Conn) -> Result<Vec<Session>, ClusterError> {
    set(conn, "init_connect", &string(TURNED_AWAY))?;
    let scheduler = conn
        .row("SELECT @@GLOBAL.event_scheduler")
        .map_err(doing(CLOSING))?
        .map(|r| r.text(0))
        .unwrap_or_default();
    if scheduler == "ON" {
        set(conn, "event_scheduler", "OFF")?;
    }
    lock_all(conn)?;
    let own = own(conn)?;
    let mut ended = sessions::end_all(conn, &own)?;
    set(conn, "read_only", "1")?;
    // An account that was made between the list and read_only.
    lock_all(conn)?;
    ended.extend(sessions::end_all(conn, &own)?);
    ended.retain(|s| !sessions::is_locked(s, &own));
    Ok(ended)
}

/// A setting's value as it was read: a switch is a number or a word.
fn setting(value: &str) -> String {
    match value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        true => value.to_owned(),
        false => string(value),
    }
}

fn set(conn: &mut Conn, name: &str, value: &str) -> Result<(), ClusterError> {
    match conn.run(&format!("SET GLOBAL {name} = {value}")) {
        Ok(_) => Ok(()),
        Err(WireError::Server {
            message, code: 1227, ..
        }) => Err(ClusterError::Unsupported {
            what: format!("brine's account may not set {name} ({message})"),
            hint: match conn.info().flavor {
                Flavor::MariaDb => "GRANT READ_ONLY ADMIN, CONNECTION ADMIN, SUPER ON *.* TO the account".to_owned(),
                Flavor::MySql => "GRANT SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN ON *.* TO the account".to_owned(),
            },
        }),
        Err(e) => Err(e.doing(format!("setting {name}"))),
    }
}

/// What stands against a server on which some tables of a restore are in their places and others are not.
pub(super) const HALF_SWITCHED: &str =
    "a restore was interrupted while it put its tables in their places, and has to be finished first";
/// What to do about it.
pub(super) const FINISH_IT: &str = "`brine job list` shows it; `brine job resume ID` goes on with it";

/// Whether a restore stopped between its first table in place and its last.
pub(super) fn is_half_switched(conn: &mut Conn) -> Result<bool, WireError> {
    match conn.row("SELECT id FROM _brine.restores WHERE phase = 'switching' LIMIT 1") {
        Ok(row) => Ok(row.is_some()),
        // Nothing was ever restored here.
        Err(e) if matches!(e.code(), Some(1146 | 1049)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// A server is neither closed for another restore nor opened while some of its tables are restored and others are not.
fn refuse_half_switched(conn: &mut Conn, what: &'static str) -> Result<(), ClusterError> {
    match is_half_switched(conn).map_err(doing(what))? {
        false => Ok(()),
        true => Err(ClusterError::Unsupported {
            what: HALF_SWITCHED.to_owned(),
            hint: FINISH_IT.to_owned(),
        }),
    }
}

/// Puts everything back as it was before [`close`].
pub(super) fn open(core: &Arc<Core>) -> Result<(), ClusterError> {
    let mut conn = connect(core)?;
    if !is_closed(&mut conn)? {
        return Ok(());
    }
    let Some(journal) = journal(&mut conn)? else {
        return Ok(());
    };
    let err = doing(OPENING);
    refuse_half_switched(&mut conn, OPENING)?;
    conn.run("UPDATE _brine.fence SET phase = 'opening' WHERE id = 1")
        .map_err(&err)?;
    let saved = journal.saved;
    set(&mut conn, "read_only", &setting(&saved.read_only))?;
    set(&mut conn, "init_connect", &string(&saved.init_connect))?;
    let rows = conn
        .rows("SELECT user, host FROM _brine.fence_accounts")
        .map_err(&err)?;
    for row in &rows {
        let account = AccountName {
            user: row.text(0),
            host: row.text(1),
        };
        match conn.run(&format!("ALTER USER {} ACCOUNT UNLOCK", quoted(&account))) {
            // The account has gone.
            Err(e) if e.code() == Some(1396) => {}
            other => drop(other.map_err(|e| e.doing(format!("unlocking {}@{}", account.user, account.host)))?),
        }
        crash_point("mysql.fence.unlocked");
    }
    if saved.event_scheduler == "ON" {
        set(&mut conn, "event_scheduler", "ON")?;
    }
    conn.run("START TRANSACTION").map_err(&err)?;
    conn.run("DELETE FROM _brine.fence_accounts").map_err(&err)?;
    conn.run("DELETE FROM _brine.fence").map_err(&err)?;
    conn.run("COMMIT").map_err(&err)?;
    Ok(())
}
