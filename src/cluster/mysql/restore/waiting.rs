//! Waiting for locks that others hold, for minutes, and saying so meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::cluster::ClusterError;
use crate::cluster::mysql::wire::{Conn, WireError};
use crate::cluster::mysql::{fence, sessions};

/// A lock was not to be had in time, or only against somebody else.
const LOCKED: [u16; 3] = [1205, 1213, 3572];
const PAUSE: Duration = Duration::from_millis(200);

/// Whether a statement failed for a lock that somebody else holds.
pub(super) fn is_locked_out(e: &WireError) -> bool {
    e.code().is_some_and(|code| LOCKED.contains(&code))
}

/// What the switch waits for, as others ask it.
#[derive(Default)]
pub(super) struct Waiting {
    what: Mutex<Option<String>>,
    no_longer: AtomicBool,
}

impl Waiting {
    /// In words, while it waits.
    pub fn now(&self) -> Option<String> {
        self.what.lock().clone()
    }

    /// Nobody wants to wait any longer.
    pub fn interrupt(&self) {
        self.no_longer.store(true, Ordering::Relaxed);
    }

    /// Begins to do something that waits for at most so long.
    pub fn patience(&self, conn: &mut Conn, patience: Duration) -> Result<Patience<'_>, ClusterError> {
        conn.run("SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
            .map_err(|e| e.doing("preparing the session"))?;
        Ok(Patience {
            waiting: self,
            until: Instant::now() + patience,
        })
    }
}

/// What is left of it.
pub(super) struct Patience<'a> {
    waiting: &'a Waiting,
    until: Instant,
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        *self.waiting.what.lock() = None;
    }
}

impl Patience<'_> {
    /// A lock was not to be had: says who may hold it, and pauses; an error when it is enough.
    pub fn lose_some(&self, conn: &mut Conn) -> Result<(), ClusterError> {
        let holding = sessions::holding(conn).map_err(|e| e.doing("looking who holds a lock"))?;
        let holding = match holding.is_empty() {
            true => "sessions that could not be found".to_owned(),
            false => holding.join("; "),
        };
        if Instant::now() >= self.until || self.waiting.no_longer.load(Ordering::Relaxed) {
            return Err(ClusterError::Unsupported {
                what: format!(
                    "the restored tables could not be put in their places, because others hold locks: {holding}"
                ),
                hint: "end them (KILL and the number), or decide the XA transaction; then restore again".to_owned(),
            });
        }
        *self.waiting.what.lock() = Some(format!("waiting for locks that others hold: {holding}"));
        // Only an account that is never locked can have come in since.
        if fence::is_closed(conn)? {
            let own = fence::own(conn)?;
            sessions::end_all(conn, &own)?;
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
