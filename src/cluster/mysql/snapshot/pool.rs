//! The connections of one view, lent to one reader each.

use parking_lot::{Condvar, Mutex};

use crate::cluster::ClusterError;
use crate::cluster::mysql::wire::{Conn, Killer};

/// Connections that share a view.
pub(super) struct Pool {
    state: Mutex<State>,
    back: Condvar,
    killers: Vec<Killer>,
}

struct State {
    idle: Vec<Conn>,
    /// Idle or lent.
    alive: usize,
    /// Why there are no more.
    ended: Option<String>,
}

impl Pool {
    pub fn new(conns: Vec<Conn>) -> Pool {
        Pool {
            killers: conns.iter().map(Conn::killer).collect(),
            state: Mutex::new(State {
                alive: conns.len(),
                idle: conns,
                ended: None,
            }),
            back: Condvar::new(),
        }
    }

    /// Ends what the connections are doing.
    pub fn interrupt(&self) {
        Killer::end_statements(&self.killers);
    }

    /// Lends a connection; waits for one.
    pub fn lend<T>(&self, work: impl FnOnce(&mut Conn) -> Lent<T>) -> Result<T, ClusterError> {
        let mut conn = self.take()?;
        match work(&mut conn) {
            Lent::Good(result) => {
                self.state.lock().idle.push(conn);
                self.back.notify_one();
                result
            }
            Lent::Lost(error) => {
                drop(conn);
                self.lose(&error.to_string());
                Err(error)
            }
        }
    }

    fn take(&self) -> Result<Conn, ClusterError> {
        let mut state = self.state.lock();
        loop {
            if let Some(conn) = state.idle.pop() {
                return Ok(conn);
            }
            if state.alive == 0 {
                let why = state.ended.clone().unwrap_or_else(|| "it was released".to_owned());
                return Err(gone(&why));
            }
            self.back.wait(&mut state);
        }
    }

    fn lose(&self, why: &str) {
        let mut state = self.state.lock();
        state.alive = state.alive.saturating_sub(1);
        state.ended.get_or_insert_with(|| why.to_owned());
        drop(state);
        self.back.notify_all();
    }

    /// Lends each idle connection once; those that are lent are at work.
    pub fn each_idle(&self, mut work: impl FnMut(&mut Conn) -> bool) -> Result<(), ClusterError> {
        let idle = std::mem::take(&mut self.state.lock().idle);
        let mut kept = Vec::with_capacity(idle.len());
        let mut lost = 0;
        for mut conn in idle {
            if work(&mut conn) {
                kept.push(conn);
            } else {
                lost += 1;
            }
        }
        self.state.lock().idle.extend(kept);
        for _ in 0..lost {
            self.lose("a connection of the view was lost");
        }
        self.back.notify_all();
        match lost {
            0 => Ok(()),
            _ => Err(gone("a connection of the view was lost")),
        }
    }

    /// Closes all connections that are not at work; nobody gets one any more.
    pub fn close(&self) {
        let mut state = self.state.lock();
        let idle = std::mem::take(&mut state.idle);
        state.alive = 0;
        drop(state);
        self.back.notify_all();
        drop(idle);
    }
}

/// What became of a lent connection.
pub(super) enum Lent<T> {
    /// It can be lent again.
    Good(Result<T, ClusterError>),
    /// It cannot.
    Lost(ClusterError),
}

fn gone(why: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: format!("the consistent view is gone: {why}"),
        hint: "take the backup again; a view of these servers dies with its connections".to_owned(),
    }
}
