//! Connections that build: nothing of what they do reaches the server's log, and no check stands in the way of rows that
//! the source holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::own_directories;
use crate::cluster::ClusterError;
use crate::cluster::budget::Budget;
use crate::cluster::mysql::core::{Core, Home};
use crate::cluster::mysql::options::SpoolOptions;
use crate::cluster::mysql::sessions::RESTORING;
use crate::cluster::mysql::wire::{Conn, Flavor, Killer, WireError};

/// What may wait for writers at a time, in bytes.
const IN_FLIGHT: usize = 32 << 20;

/// Connections that are free, all to one server: a restore that is spread over two is none.
pub(super) struct Pool {
    core: Arc<Core>,
    home: Home,
    free: Mutex<Vec<Conn>>,
    /// Those that were taken and not given back, by their ids.
    busy: Mutex<BTreeMap<u64, Killer>>,
    /// Writers of rows that are at work.
    writers: Mutex<usize>,
    /// What waits for a writer or is being written, of all tables together: a row may have a GiB.
    pub in_flight: Budget,
    /// See [`Pool::begin_with`].
    values: Mutex<Vec<String>>,
}

/// The right to be a writer of rows.
pub(super) struct Seat<'a>(&'a Pool);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        *self.0.writers.lock() -= 1;
    }
}

impl Pool {
    /// To the server of `conn`.
    pub fn beside(core: &Arc<Core>, conn: &mut Conn) -> Result<Pool, ClusterError> {
        Ok(Pool {
            core: core.clone(),
            home: core.home(conn)?,
            free: Mutex::new(Vec::new()),
            busy: Mutex::new(BTreeMap::new()),
            writers: Mutex::new(0),
            values: Mutex::default(),
            in_flight: Budget::new(IN_FLIGHT),
        })
    }

    /// Where what is too large for memory is kept.
    pub fn spool(&self) -> &SpoolOptions {
        &self.core.options.spool
    }

    /// A free connection, or a new one.
    pub fn take(&self) -> Result<Conn, ClusterError> {
        let free = self.free.lock().pop();
        let conn = match free {
            Some(conn) => conn,
            None => {
                let mut conn = prepared(self.core.connect_home(&self.home)?)?;
                conn.run(RESTORING).map_err(|e| e.doing("preparing the session"))?;
                self.value(&mut conn)?;
                conn
            }
        };
        self.busy.lock().insert(conn.info().connection_id, conn.killer());
        Ok(conn)
    }

    /// From now on connections have the values with which sessions of the source begin, where columns that the server computes and
    /// stores hang on them. Those that are free are ended: a MariaDB session that is in a database also goes on with the character
    /// set which that had when the session came into it, and creates tables with it.
    pub fn begin_with(&self, settings: Vec<String>) {
        *self.values.lock() = settings;
        self.free.lock().clear();
    }

    fn value(&self, conn: &mut Conn) -> Result<(), ClusterError> {
        for setting in self.values.lock().iter() {
            match conn.run(setting) {
                // This version has no such variable, or no such value.
                Err(e) if !matches!(e.code(), Some(1193 | 1231)) => {
                    return Err(e.doing("preparing a session for a restore"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A writer that must be.
    pub fn seat(&self) -> Seat<'_> {
        *self.writers.lock() += 1;
        Seat(self)
    }

    /// One writer more, where there are not enough of them to keep the server busy.
    pub fn another_seat(&self) -> Option<Seat<'_>> {
        let mut writers = self.writers.lock();
        if *writers >= most_writers() {
            return None;
        }
        *writers += 1;
        Some(Seat(self))
    }

    /// Ends the statements that run on connections which were taken.
    pub fn interrupt(&self) {
        let busy: Vec<Killer> = self.busy.lock().values().cloned().collect();
        Killer::end_statements(&busy);
    }

    /// Gives back a connection that gave no error and has no transaction open.
    pub fn give(&self, conn: Conn) {
        self.busy.lock().remove(&conn.info().connection_id);
        self.free.lock().push(conn);
    }

    /// Runs something on a connection. One that gave an error is not kept.
    pub fn with<T>(&self, work: impl FnOnce(&mut Conn) -> Result<T, ClusterError>) -> Result<T, ClusterError> {
        let mut conn = self.take()?;
        let result = work(&mut conn)?;
        self.give(conn);
        Ok(result)
    }
}

/// How many connections write rows at a time: while one waits for its commit, another keeps the server busy. More of them in
/// one table wait for each other at its index (with two a table, MariaDB spent 8 % more processor time than with one in
/// each of twice as many tables).
pub(super) fn most_writers() -> usize {
    2 * std::thread::available_parallelism().map_or(2, usize::from)
}

/// A connection that builds.
pub(super) fn connect(core: &Core) -> Result<Conn, ClusterError> {
    prepared(core.connect()?)
}

fn prepared(mut conn: Conn) -> Result<Conn, ClusterError> {
    prepare(&mut conn)?;
    conn.set_timeout(None).map_err(|e| e.doing("preparing the session"))?;
    Ok(conn)
}

/// Keeps what follows out of the server's own log.
pub(in crate::cluster::mysql) fn keep_out_of_log(conn: &mut Conn) -> Result<(), ClusterError> {
    match conn.run("SET SESSION sql_log_bin = 0") {
        Ok(_) => Ok(()),
        Err(WireError::Server { message, .. }) => Err(ClusterError::Unsupported {
            what: format!("brine's account may not keep a restore out of the server's own log ({message})"),
            hint: match conn.info().flavor {
                Flavor::MariaDb => "GRANT BINLOG ADMIN ON *.* TO the account".to_owned(),
                Flavor::MySql => {
                    "GRANT SYSTEM_VARIABLES_ADMIN, SESSION_VARIABLES_ADMIN ON *.* TO the account".to_owned()
                }
            },
        }),
        Err(e) => Err(e.doing("preparing the session")),
    }
}

/// Refuses a server that would apply changes of the log otherwise than they were made, or makes the session apply them
/// exactly: where a row is missing or there already, that is an error and nothing to be passed over.
pub(super) fn exact(conn: &mut Conn) -> Result<(), ClusterError> {
    let doing = "asking how the server applies changes of the log";
    if conn.info().flavor == Flavor::MySql {
        conn.run("SET SESSION rbr_exec_mode = STRICT")
            .map_err(|e| e.doing(doing))?;
        return Ok(());
    }
    let mode = conn
        .row("SELECT @@GLOBAL.slave_exec_mode")
        .map_err(|e| e.doing(doing))?;
    let mode = mode.map(|r| r.text(0)).unwrap_or_default();
    if mode.eq_ignore_ascii_case("STRICT") {
        return Ok(());
    }
    Err(ClusterError::Unsupported {
        what: format!(
            "the server passes over changes that do not fit (slave_exec_mode = {mode}), and a wrong restore would seem right"
        ),
        hint: "SET GLOBAL slave_exec_mode = 'STRICT', also in its configuration file; then again".to_owned(),
    })
}

/// Puts a session that was just made [`super::super::login::anew`] into the state for building.
pub(super) fn prepare(conn: &mut Conn) -> Result<(), ClusterError> {
    keep_out_of_log(conn)?;
    let info = conn.info().clone();
    let mut statements = vec![
        // What the source let pass is made here too.
        "SET SESSION foreign_key_checks = 0, innodb_strict_mode = 0, innodb_lock_wait_timeout = 120",
    ];
    match info.flavor {
        Flavor::MariaDb => {
            statements.push("SET SESSION check_constraint_checks = 0, system_versioning_alter_history = KEEP");
            statements.push(own_directories::PASSED_OVER);
            if info.version >= (10, 11, 0) {
                statements.push("SET SESSION system_versioning_insert_history = 1");
            }
        }
        Flavor::MySql => {
            statements.push("SET SESSION sql_require_primary_key = 0");
            if info.version >= (8, 0, 30) {
                statements.push("SET SESSION sql_generate_invisible_primary_key = 0");
            }
            if info.version >= (8, 4, 0) {
                statements.push("SET SESSION restrict_fk_on_non_standard_key = 0");
            }
        }
    }
    conn.run_all(&statements)
        .map_err(|e| e.doing("preparing a session for a restore"))
}
