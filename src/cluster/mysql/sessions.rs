//! Who is connected to a server besides brine, and how such sessions are ended.
//!
//! Brine's own connections hold a lock of the server each, named after the connection's id: so every process
//! of brine knows those of all others, whatever account an application uses. The name of an account tells nothing: the one
//! that brine was given may be an application's too.
//!
//! *Invariant: a session that does not hold its lock is not brine's.*

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::schema::definition::AccountName;
use super::wire::{Conn, WireError};
use crate::cluster::ClusterError;
use crate::model::text::safe;

/// How long sessions may take to end: a large transaction is rolled back first.
const ENDING: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(50);
/// How often, and after what time, sessions under brine's account are looked at again.
const MORE_LOOKS: usize = 2;
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// For so long it is watched whether sessions that cannot be locked out come back.
const WATCHED: Duration = Duration::from_secs(2);
/// Coming back so often is an application's way, not an operator's.
const RETURNS: usize = 3;
const NO_SUCH_SESSION: u16 = 1094;
/// What the server calls a connection that has not logged in yet.
const NOBODY: &str = "unauthenticated user";

/// The question that gives a connection's own id, and by which it takes the lock that marks it as brine's.
pub(super) const MARK: &str = "SELECT CONNECTION_ID(), GET_LOCK(CONCAT('brine session ', CONNECTION_ID()), 0)";

/// The question by which a connection that writes for a restore takes the lock that says so.
pub(super) const RESTORING: &str = "SELECT GET_LOCK(CONCAT('brine restoring ', CONNECTION_ID()), 0)";

fn doing(what: &'static str) -> impl Fn(WireError) -> ClusterError {
    move |e| e.doing(what)
}

/// Somebody's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub id: u64,
    pub user: String,
    pub host: String,
    db: String,
    command: String,
    seconds: u64,
    statement: String,
}

impl Session {
    /// Who it is, in a few words.
    pub fn who(&self) -> String {
        let host = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
        format!("{} of {}@{host}", self.id, self.user)
    }

    /// Who it is and what it does.
    pub fn doing(&self) -> String {
        let at = match self.db.is_empty() {
            true => String::new(),
            false => format!(" in {}", self.db),
        };
        match self.statement.is_empty() {
            true => format!("{}{at}, {} for {} s", self.who(), self.command, self.seconds),
            false => format!(
                "{}{at}, for {} s: {}",
                self.who(),
                self.seconds,
                safe(&self.statement, 100)
            ),
        }
    }

    fn is_dump(&self) -> bool {
        self.command.starts_with("Binlog Dump")
    }
}

/// The sessions that are not brine's and not the server's own; those that have not logged in yet among them.
///
/// A session of brine's holds no lock while it logs in, is reset, or ends. Those under brine's account are therefore looked
/// at again: whoever is there each time without the lock is an application's. Not for long: an application's session may be
/// a short one.
fn foreign(conn: &mut Conn) -> Result<Vec<Session>, WireError> {
    let account = conn.row("SELECT USER()")?.map(|r| r.text(0)).unwrap_or_default();
    let own = account.rsplit_once('@').map_or(account.as_str(), |(user, _)| user);
    let mut found = unmarked(conn)?;
    for _ in 0..MORE_LOOKS {
        if found.iter().all(|s| s.user != own) {
            break;
        }
        std::thread::sleep(LOOK_AGAIN);
        let seen: BTreeSet<u64> = found.iter().map(|s| s.id).collect();
        found = unmarked(conn)?;
        found.retain(|s| s.user != own || seen.contains(&s.id));
    }
    Ok(found)
}

/// The sessions that hold no lock of brine's.
fn unmarked(conn: &mut Conn) -> Result<Vec<Session>, WireError> {
    let rows = conn.rows("SHOW PROCESSLIST")?;
    let all = rows.iter().map(|r| Session {
        id: r.number(0),
        user: r.text(1),
        host: r.text(2),
        db: r.text(3),
        command: r.text(4),
        seconds: r.number(5),
        statement: r.text(7),
    });
    let sessions: Vec<Session> = all
        .filter(|s| !["system user", "event_scheduler"].contains(&s.user.as_str()) && s.command != "Daemon")
        .collect();
    let mut ours = marked(conn, "brine session", sessions.iter().map(|s| s.id))?;
    ours.insert(conn.info().connection_id);
    Ok(sessions.into_iter().filter(|s| !ours.contains(&s.id)).collect())
}

/// Which of these connections hold a lock of that name.
fn marked(conn: &mut Conn, name: &str, ids: impl Iterator<Item = u64>) -> Result<BTreeSet<u64>, WireError> {
    let ids: Vec<u64> = ids.collect();
    let mut found = BTreeSet::new();
    for some in ids.chunks(200) {
        let questions: Vec<String> = some.iter().map(|id| format!("IS_USED_LOCK('{name} {id}')")).collect();
        let Some(row) = conn.row(&format!("SELECT {}", questions.join(", ")))? else {
            continue;
        };
        found.extend(
            some.iter()
                .enumerate()
                .filter(|(k, id)| row.number(*k) == **id)
                .map(|(_, id)| *id),
        );
    }
    Ok(found)
}

/// Ends what a restore has left that died, and waits until it is gone: a commit of it may still be on its way, and whoever goes on
/// behind what is in must not look before that is decided. Only for who holds the lock that makes a restore the only one.
pub(super) fn end_dead_restore(conn: &mut Conn) -> Result<(), ClusterError> {
    let give_up = Instant::now() + ENDING;
    let mut dead: BTreeSet<u64> = BTreeSet::new();
    loop {
        let there: BTreeSet<u64> = conn
            .rows("SHOW PROCESSLIST")
            .map_err(doing("listing sessions"))?
            .iter()
            .map(|r| r.number(0))
            .collect();
        let found = marked(conn, "brine restoring", there.iter().copied());
        // The lock of one that ends goes before the session does.
        dead.extend(found.map_err(doing("looking for sessions of a restore that died"))?);
        dead.retain(|id| there.contains(id));
        if dead.is_empty() {
            return Ok(());
        }
        for id in &dead {
            kill(conn, *id).map_err(doing("ending a session of a restore that died"))?;
        }
        if Instant::now() > give_up {
            return Err(do_not_end(format!(
                "sessions of a restore that died do not end: {dead:?}"
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Sessions of applications: not brine's, not the server's own, not replicas.
pub(super) fn applications(conn: &mut Conn) -> Result<usize, WireError> {
    let sessions = foreign(conn)?;
    Ok(sessions.iter().filter(|s| s.user != NOBODY && !s.is_dump()).count())
}

/// Those who read the server's log, as user and host: replicas and other tools, not brine.
pub(super) fn readers_of_log(conn: &mut Conn) -> Result<Vec<String>, WireError> {
    let sessions = foreign(conn)?;
    Ok(sessions
        .iter()
        .filter(|s| s.is_dump())
        .map(|s| format!("{} from {}", s.user, s.host))
        .collect())
}

/// Sessions that are to end: everybody's but brine's and replicas'.
fn others(conn: &mut Conn) -> Result<Vec<Session>, ClusterError> {
    let sessions = foreign(conn).map_err(doing("listing sessions"))?;
    Ok(sessions.into_iter().filter(|s| !s.is_dump()).collect())
}

fn end(conn: &mut Conn, sessions: &[Session]) -> Result<(), ClusterError> {
    for session in sessions {
        kill(conn, session.id).map_err(|e| e.doing(format!("ending the session {}", session.who())))?;
    }
    Ok(())
}

/// Ends a session, if it is still there.
fn kill(conn: &mut Conn, id: u64) -> Result<(), WireError> {
    match conn.run(&format!("KILL CONNECTION {id}")) {
        Err(e) if e.code() == Some(NO_SUCH_SESSION) => Ok(()),
        other => other.map(drop),
    }
}

fn do_not_end(what: String) -> ClusterError {
    ClusterError::Unsupported {
        what,
        hint: "a large transaction is rolled back first: wait, then try again".to_owned(),
    }
}

/// Ends the sessions of everybody else, and waits until they are gone. Who has not logged in yet is ended too, but not
/// waited for: with all accounts locked it does not get in, and there may always be a next one. One whose account may not be
/// locked gets in again and again: that is not waited for either.
pub(super) fn end_all(conn: &mut Conn, own: &AccountName) -> Result<Vec<Session>, ClusterError> {
    let give_up = Instant::now() + ENDING;
    let mut ended: BTreeMap<u64, Session> = BTreeMap::new();
    let (mut first, mut back) = (true, BTreeSet::new());
    loop {
        let left = others(conn)?;
        end(conn, &left)?;
        let named: Vec<Session> = left.into_iter().filter(|s| s.user != NOBODY).collect();
        if named.is_empty() {
            return Ok(ended.into_values().collect());
        }
        let news = named.iter().filter(|s| !first && !ended.contains_key(&s.id));
        back.extend(news.filter(|s| !is_locked(s, own)).map(|s| s.id));
        if back.len() >= RETURNS
            && let Some(last) = named.iter().rev().find(|s| back.contains(&s.id))
        {
            return Err(comes_back(own, last));
        }
        first = false;
        if Instant::now() > give_up {
            let names: Vec<String> = named.iter().take(5).map(Session::doing).collect();
            return Err(do_not_end(format!("sessions do not end: {}", names.join("; "))));
        }
        ended.extend(named.into_iter().map(|s| (s.id, s)));
        std::thread::sleep(PAUSE);
    }
}

/// Whether those of `ended` whose accounts are not locked stay away. An application that uses such an account comes back at
/// once, and what it would write into a server that is restored would be lost.
pub(super) fn stay_away(conn: &mut Conn, own: &AccountName, ended: &[Session]) -> Result<(), ClusterError> {
    if ended.is_empty() {
        return Ok(());
    }
    let watched_until = Instant::now() + WATCHED;
    let mut back: BTreeMap<u64, Session> = BTreeMap::new();
    while Instant::now() < watched_until {
        let now = others(conn)?;
        end(conn, &now)?;
        back.extend(now.into_iter().filter(|s| s.user != NOBODY).map(|s| (s.id, s)));
        if back.len() >= RETURNS
            && let Some(last) = back.values().next_back()
        {
            return Err(comes_back(own, last));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Whether a closed server has locked a session's account: all are but brine's own, and root.
pub(super) fn is_locked(session: &Session, own: &AccountName) -> bool {
    session.user != own.user && session.user != "root"
}

fn comes_back(own: &AccountName, session: &Session) -> ClusterError {
    let hint = match session.user == own.user {
        true => format!(
            "give brine an account of its own: CREATE USER 'brine'@'{}' IDENTIFIED BY '...', the grants that `brine cluster \
             check` names for it, and that user in the config; or stop the application first",
            own.host
        ),
        false => {
            "give the application an account of its own (that one is never locked: it is the operator's last door), or \
                  stop it first"
                .to_owned()
        }
    };
    ClusterError::Unsupported {
        what: format!(
            "the server cannot be closed: an application logs in as {}, which brine may not lock, and comes back as soon as \
             it is ended (session {})",
            session.user,
            session.doing()
        ),
        hint,
    }
}

/// Who may hold a lock that is waited for: who runs a statement or has a transaction open, brine's own work included.
pub(super) fn holding(conn: &mut Conn) -> Result<Vec<String>, WireError> {
    let own = conn.info().connection_id;
    let sql = "SELECT trx_mysql_thread_id, trx_started FROM information_schema.innodb_trx ORDER BY trx_started";
    let open: BTreeMap<u64, String> = match conn.rows(sql) {
        Ok(rows) => rows.iter().map(|r| (r.number(0), r.text(1))).collect(),
        // It may not be seen.
        Err(WireError::Server { .. }) => BTreeMap::new(),
        Err(e) => return Err(e),
    };
    let foreign = foreign(conn)?;
    let mut out: Vec<String> = Vec::new();
    for session in foreign.iter().filter(|s| s.id != own && !s.is_dump()) {
        match open.get(&session.id) {
            Some(since) => out.push(format!(
                "session {} (its transaction is open since {since})",
                session.doing()
            )),
            None if session.command != "Sleep" => out.push(format!("session {}", session.doing())),
            None => {}
        }
    }
    let known: BTreeSet<u64> = foreign.iter().map(|s| s.id).collect();
    for (id, since) in open.iter().filter(|(id, _)| **id != own && !known.contains(id)) {
        out.push(match id {
            0 => format!("a prepared XA transaction, open since {since} (XA RECOVER lists it)"),
            id => format!("brine's own session {id}, open since {since}"),
        });
    }
    Ok(out)
}
