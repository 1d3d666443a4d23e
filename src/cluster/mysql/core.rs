//! What the driver's parts share: the options, the clock, and the way to a connection.
//!
//! *Invariant: connections that belong together (the readers of one snapshot, the writers of one restore) go to one and the
//! same server; see [`Core::connect_beside`].*

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::clock::CommitClock;
use super::control::Control;
use super::login;
use super::options::{Endpoint, MysqlOptions};
use super::wire::{Conn, Flavor, Version, WireError};
use crate::cluster::ClusterError;
use crate::model::clock::Clock;

/// One cluster of servers.
pub(super) struct Core {
    pub options: MysqlOptions,
    /// Dates transactions, snapshots and checkpoints.
    pub commit_clock: CommitClock,
    /// For waiting and for what happens on this side; the server's own clock dates what happens there.
    pub clock: Arc<dyn Clock>,
    /// The connection for short questions.
    pub control: Control,
    /// The endpoint that was used last: it is the first to be tried again.
    chosen: AtomicUsize,
}

impl Core {
    /// For servers that are reached so.
    pub fn new(options: MysqlOptions, clock: Arc<dyn Clock>) -> Core {
        Core {
            options,
            commit_clock: CommitClock::default(),
            clock,
            control: Control::default(),
            chosen: AtomicUsize::new(0),
        }
    }

    /// A new connection to the server that was used last, else to the first one that lets us in, with the session settings
    /// that every part relies on: see [`super::login`].
    pub fn connect(&self) -> Result<Conn, ClusterError> {
        self.connect_where(&mut |_| Ok(true))
    }

    /// A new connection to the first server that `suits`, beginning with the one that was used last. When none does, the
    /// error is the first one that `suits` gave, else that of the hosts.
    pub fn connect_where(
        &self,
        suits: &mut dyn FnMut(&mut Conn) -> Result<bool, ClusterError>,
    ) -> Result<Conn, ClusterError> {
        let endpoints = &self.options.endpoints;
        let first = self.chosen.load(Ordering::Relaxed);
        let mut unusable = Vec::new();
        let mut unsuited = None;
        for i in 0..endpoints.len() {
            let i = (first + i) % endpoints.len();
            let Some(endpoint) = endpoints.get(i) else { continue };
            let mut conn = match self.connect_to(endpoint) {
                Ok(conn) => conn,
                Err(e) => {
                    unusable.push(e);
                    continue;
                }
            };
            match suits(&mut conn) {
                Ok(true) => {
                    self.chosen.store(i, Ordering::Relaxed);
                    return Ok(conn);
                }
                Ok(false) => {}
                Err(e) => {
                    unsuited.get_or_insert(e);
                }
            }
        }
        Err(unsuited.unwrap_or_else(|| none(unusable, endpoints)))
    }

    /// Another connection to the very server that `conn` is connected to.
    pub fn connect_beside(&self, conn: &mut Conn) -> Result<Conn, ClusterError> {
        self.connect_home(&self.home(conn)?)
    }

    /// What [`Core::connect_home`] needs to find this server again.
    pub fn home(&self, conn: &mut Conn) -> Result<Home, ClusterError> {
        Ok(Home {
            endpoint: conn.endpoint().clone(),
            identity: identity(conn).map_err(|e| e.doing("asking the server who it is"))?,
        })
    }

    /// A connection to this server and no other. One address may lead to several servers (a name with several addresses, a
    /// balancer), so it is compared who answers.
    pub fn connect_home(&self, home: &Home) -> Result<Conn, ClusterError> {
        let Home { endpoint, identity } = home;
        let mut conn = self.connect_to(endpoint)?;
        let there = self.home(&mut conn)?.identity;
        if *identity != there {
            return Err(ClusterError::OtherServer(format!(
                "two connections to {endpoint} reached two servers ({identity} and {there}); name each server by an address of its own"
            )));
        }
        Ok(conn)
    }

    /// A new connection to this server.
    fn connect_to(&self, endpoint: &Endpoint) -> Result<Conn, ClusterError> {
        let mut conn = Conn::connect(&self.options, endpoint).map_err(|e| e.doing("connecting"))?;
        known(&conn)?;
        login::anew(&mut conn).map_err(|e| e.doing("preparing the session"))?;
        Ok(conn)
    }
}

/// The oldest version that is known: before it there are neither `SHOW REPLICA STATUS` nor a list of sessions in the
/// performance schema (MySQL), nor the privileges that are asked for (MariaDB).
pub(super) fn oldest(flavor: Flavor) -> Version {
    match flavor {
        Flavor::MariaDb => (10, 6, 0),
        Flavor::MySql => (8, 0, 22),
    }
}

/// Refuses a server that is older: what it lacks would be met in the middle of the work.
fn known(conn: &Conn) -> Result<(), ClusterError> {
    let (major, minor, patch) = oldest(conn.info().flavor);
    if conn.info().version >= (major, minor, patch) {
        return Ok(());
    }
    Err(ClusterError::Unsupported {
        what: format!(
            "{} is {}, which is older than what brine knows",
            conn.endpoint(),
            super::facts::version(conn)
        ),
        hint: format!("upgrade it to {major}.{minor}.{patch} or newer"),
    })
}

/// One server, which is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    endpoint: Endpoint,
    identity: String,
}

/// What tells servers apart: id, host, port and directory.
fn identity(conn: &mut Conn) -> Result<String, WireError> {
    let row = conn.row("SELECT CONCAT_WS(' ', @@server_id, @@hostname, @@port, @@datadir)")?;
    Ok(row.map(|row| row.text(0)).unwrap_or_default())
}

/// The error when no server could be used.
fn none(mut errors: Vec<ClusterError>, endpoints: &[Endpoint]) -> ClusterError {
    if errors.len() == 1
        && let Some(e) = errors.pop()
    {
        return e;
    }
    let addresses: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    let why: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let why = if why.is_empty() {
        "no host suits".to_owned()
    } else {
        why.join("; ")
    };
    ClusterError::Connect {
        address: addresses.join(", "),
        why,
        hint: "one of the cluster's hosts has to be there".to_owned(),
    }
}
