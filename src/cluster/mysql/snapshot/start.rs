//! Opening one view on several connections at once, and the place in the binary log that it stands for.
//!
//! On MariaDB no lock is needed: views are opened together and opened again until all of them name the same place of the
//! binary log. Where the log does not tell (it is off, filtered, or does not hold what replication brings), commits are held
//! back for the milliseconds that the views need; MySQL needs that always. A lock waits for running statements, and others
//! wait behind it: so it is given up after [`LOCK_WAIT`] seconds and tried again, and at last the error names who was in the way.

use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::{by_place, unlogged_at_snapshot};
use crate::cluster::mysql::prepared;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
use crate::model::clock::Millis;
use crate::model::position::Position;

/// How often views are opened without a lock before one is taken.
const TRIES: usize = 50;
/// Seconds that a lock may wait, and with it everyone behind it.
pub(super) const LOCK_WAIT: u32 = 1;
/// Milliseconds between attempts to lock. Many: where sessions wait for each other's rows, MySQL's lock comes only in a
/// moment when none does, because the one that is waited for has to wait for the lock.
pub(super) const PAUSES: [u64; 14] = [
    100, 100, 200, 200, 300, 500, 500, 1000, 1000, 2000, 2000, 3000, 5000, 5000,
];

const BEGIN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// A view's place and the server's clock, read after it was opened.
pub(super) struct Started {
    pub position: Position,
    pub server_now: Millis,
}

/// Where the binary log is.
struct Log {
    file: String,
    offset: u64,
    /// Some databases never reach the log.
    filtered: bool,
    /// MySQL's executed set.
    executed: String,
}

/// Opens a view on all connections. `None` when a lock could not be had in time: to be tried again.
pub(super) fn start(conns: &mut [Conn], locker: &mut Conn) -> Result<Option<Started>, WireError> {
    let flavor = locker.info().flavor;
    // Before the view: what comes in between is in none of its tables, perhaps.
    let missing = unlogged_at_snapshot(locker)?;
    let place = match flavor {
        Flavor::MariaDb if tells(locker)? && !uses_xa(locker)? => agreed(conns)?,
        _ => None,
    };
    // It may just have begun to.
    let place = match place {
        Some(_) if uses_xa(locker)? => None,
        other => other,
    };
    let position = match place {
        Some((file, offset)) => Some(mariadb_position(locker, file, offset)?),
        None => locked(conns, locker, flavor)?,
    };
    let Some(mut position) = position else {
        return Ok(None);
    };
    if let Position::Binlog { unlogged, .. } = &mut position {
        *unlogged = missing.text();
    }
    Ok(Some(Started {
        position,
        server_now: server_now(locker)?,
    }))
}

/// The server's clock.
pub(in crate::cluster::mysql) fn server_now(conn: &mut Conn) -> Result<Millis, WireError> {
    let row = conn.row("SELECT CAST(FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000) AS SIGNED)")?;
    let millis = row.and_then(|r| r.opt(0)).and_then(|t| t.parse().ok());
    millis
        .map(Millis)
        .ok_or_else(|| WireError::Protocol("the server did not tell its time".to_owned()))
}

/// Whether every change of every table goes through this server's binary log.
fn tells(locker: &mut Conn) -> Result<bool, WireError> {
    let row = locker.row("SELECT @@log_bin, @@log_slave_updates, @@gtid_slave_pos = ''")?;
    let Some(row) = row else { return Ok(false) };
    let (on, relayed, no_replica) = (row.number(0) == 1, row.number(1) == 1, row.number(2) == 1);
    // A Galera node gets the others' changes as a replica does.
    let node = locker.row("SHOW GLOBAL VARIABLES LIKE 'wsrep_on'")?;
    let alone = no_replica && node.is_none_or(|r| r.text(1) != "ON");
    if !on || !(relayed || alone) {
        return Ok(false);
    }
    Ok(log(locker)?.is_some_and(|log| !log.filtered))
}

/// Whether XA transactions may be under way. When one is decided by another session than its own, MariaDB writes that into the log
/// first and lets the rows be seen some moments later: the place of a view that is opened in between would count them in.
fn uses_xa(locker: &mut Conn) -> Result<bool, WireError> {
    let counted = locker.row("SHOW GLOBAL STATUS LIKE 'Com_xa_prepare'")?;
    Ok(counted.is_none_or(|r| r.number(1) > 0) || !prepared::ids(locker)?.is_empty())
}

/// Opens views together until all stand at the same place.
fn agreed(conns: &mut [Conn]) -> Result<Option<(String, u64)>, WireError> {
    for _ in 0..TRIES {
        begin(conns)?;
        let mut places = Vec::with_capacity(conns.len());
        for conn in conns.iter_mut() {
            places.push(snapshot_place(conn)?);
        }
        let first = places.first().cloned().flatten();
        if first.is_some() && places.iter().all(|p| *p == first) {
            return Ok(first);
        }
    }
    Ok(None)
}

/// Opens a view on each, all statements under way at once; an older view is given up.
fn begin(conns: &mut [Conn]) -> Result<(), WireError> {
    for conn in conns.iter_mut() {
        conn.send(BEGIN)?;
    }
    let mut failed = None;
    for conn in conns.iter_mut() {
        if let Err(e) = conn.finish() {
            failed.get_or_insert(e);
        }
    }
    failed.map_or(Ok(()), Err)
}

fn snapshot_place(conn: &mut Conn) -> Result<Option<(String, u64)>, WireError> {
    let rows = conn.rows("SHOW STATUS LIKE 'binlog_snapshot_%'")?;
    let value = |name: &str| {
        let row = rows.iter().find(|r| r.text(0).eq_ignore_ascii_case(name))?;
        row.opt(1).filter(|v| !v.is_empty())
    };
    let offset = value("binlog_snapshot_position").and_then(|v| v.parse().ok());
    Ok(value("binlog_snapshot_file").zip(offset))
}

/// Where the log is; `None` without one.
fn log(conn: &mut Conn) -> Result<Option<Log>, WireError> {
    let info = conn.info();
    let statement = match info.flavor {
        Flavor::MySql if info.version >= (8, 2, 0) => "SHOW BINARY LOG STATUS",
        _ => "SHOW MASTER STATUS",
    };
    Ok(conn.row(statement)?.map(|row| Log {
        file: row.text(0),
        offset: row.number(1),
        filtered: !row.text(2).is_empty() || !row.text(3).is_empty(),
        executed: row.text(4).split_whitespace().collect(),
    }))
}

/// The GTIDs up to a place. The server reads its log from the file's beginning for that; not so when it still is at the place.
fn mariadb_position(conn: &mut Conn, file: String, offset: u64) -> Result<Position, WireError> {
    let mut gtid = conn.row("SELECT @@global.gtid_binlog_pos")?;
    let now = log(conn)?;
    if now.is_none_or(|now| now.file != file || now.offset != offset) {
        gtid = conn.row(&format!("SELECT BINLOG_GTID_POS({}, {offset})", text::string(&file)))?;
    }
    Ok(Position::Binlog {
        gtid: gtid.map(|r| r.text(0)).unwrap_or_default(),
        file,
        offset,
        begun: None,
        unlogged: None,
    })
}

/// Opens the views while nobody can commit.
fn locked(conns: &mut [Conn], locker: &mut Conn, flavor: Flavor) -> Result<Option<Position>, WireError> {
    let (lock, unlock): (&[&str], &str) = match flavor {
        Flavor::MariaDb => (&["BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"], "BACKUP STAGE END"),
        Flavor::MySql => (&["FLUSH TABLES WITH READ LOCK"], "UNLOCK TABLES"),
    };
    locker.run(&format!("SET SESSION lock_wait_timeout = {LOCK_WAIT}"))?;
    for statement in lock {
        match locker.run(statement) {
            Ok(_) => {}
            // Waited long enough.
            Err(e) if e.code() == Some(1205) => {
                // Not begun, not to be ended.
                let _ = locker.run(unlock);
                return Ok(None);
            }
            Err(e) => {
                let _ = locker.run(unlock);
                return Err(e);
            }
        }
    }
    let opened = begin(conns).and_then(|()| log(locker));
    // The lock goes with its connection, should this fail.
    locker.run(unlock)?;
    let Some(log) = opened? else {
        return Ok(Some(Position::Binlog {
            gtid: String::new(),
            file: String::new(),
            offset: 0,
            begun: None,
            unlogged: None,
        }));
    };
    match flavor {
        Flavor::MariaDb => mariadb_position(locker, log.file, log.offset).map(Some),
        Flavor::MySql => Ok(Some(Position::Binlog {
            gtid: match by_place(locker)? {
                true => String::new(),
                false => log.executed,
            },
            file: log.file,
            offset: log.offset,
            begun: None,
            unlogged: None,
        })),
    }
}

/// Where the sessions of a server are listed.
pub(in crate::cluster::mysql) fn processlist(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::MariaDb => "information_schema.processlist",
        Flavor::MySql => "performance_schema.processlist",
    }
}

/// The error when no lock could be had, naming the statements that run longest.
pub(super) fn in_the_way(locker: &mut Conn) -> ClusterError {
    let sql = format!(
        "SELECT id, user, time, LEFT(info, 120) FROM {} \
         WHERE command <> 'Sleep' AND command <> 'Daemon' AND command NOT LIKE 'Binlog Dump%' AND user <> 'system user' \
         AND id <> CONNECTION_ID() AND info IS NOT NULL ORDER BY time DESC LIMIT 3",
        processlist(locker.info().flavor)
    );
    let rows = locker.rows(&sql);
    let named: Vec<String> = rows
        .unwrap_or_default()
        .iter()
        .map(|r| {
            format!(
                "connection {} of {} for {} s: {}",
                r.text(0),
                r.text(1),
                r.text(2),
                crate::model::text::safe(&r.text(3), 120)
            )
        })
        .collect();
    let named = if named.is_empty() {
        "a statement that had ended when it was looked for".to_owned()
    } else {
        named.join("; ")
    };
    ClusterError::Unsupported {
        what: format!(
            "no consistent view could be opened: the lock that it needs for a moment was not to be had within {LOCK_WAIT} s, \
             {} times; in the way: {named}",
            PAUSES.len() + 1
        ),
        hint: "wait for that statement or KILL it, then take the backup again".to_owned(),
    }
}
