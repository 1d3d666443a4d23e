//! Who may come in: the open or closed state, and the sessions that a close ends.
//!
//! Every close begins a new era; a session belongs to the era in which it was opened, and a session of an
//! older era is refused everything. The check at commit is made under the commit lock, under which a close
//! also happens: once `close` has returned, no application's commit can follow.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::cluster::{ClosedAs, ClusterError, ClusterState};
use crate::model::clock::Millis;

use super::store::{Space, Store, failed};

const KEY: &[u8] = b"state";

/// That the cluster is closed, as it is kept on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shut {
    how: ClosedAs,
    since: Millis,
}

#[derive(Debug, Default)]
struct Inside {
    shut: Option<Shut>,
    era: u64,
    sessions: u32,
    ended: String,
}

/// The state of the cluster towards applications.
#[derive(Debug, Default)]
pub(super) struct Door(Mutex<Inside>);

fn reason(how: &ClosedAs) -> String {
    match how {
        ClosedAs::Restoring => "it is being restored".to_owned(),
        ClosedAs::Closed(why) => why.clone(),
    }
}

impl Door {
    /// The state as it was left.
    pub(super) fn load(store: &Store) -> Result<Door, ClusterError> {
        let shut = match store.get(Space::Meta, KEY)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| ClusterError::Malformed {
                what: "the cluster's state",
                why: e.to_string(),
            })?,
            None => None,
        };
        Ok(Door(Mutex::new(Inside {
            shut,
            ..Inside::default()
        })))
    }

    /// Lets a session in; returns its era.
    pub(super) fn enter(&self) -> Result<u64, ClusterError> {
        let mut inside = self.0.lock();
        if let Some(shut) = &inside.shut {
            return Err(ClusterError::Closed(reason(&shut.how)));
        }
        inside.sessions += 1;
        Ok(inside.era)
    }

    /// A session has gone.
    pub(super) fn leave(&self, era: u64) {
        let mut inside = self.0.lock();
        if inside.era == era {
            inside.sessions = inside.sessions.saturating_sub(1);
        }
    }

    /// Whether a session of this era may still work.
    pub(super) fn check(&self, era: u64) -> Result<(), ClusterError> {
        let inside = self.0.lock();
        if inside.era == era {
            Ok(())
        } else {
            Err(ClusterError::SessionEnded(inside.ended.clone()))
        }
    }

    /// How many sessions there are.
    pub(super) fn sessions(&self) -> u32 {
        self.0.lock().sessions
    }

    /// The state in words.
    pub(super) fn state(&self) -> ClusterState {
        match self.0.lock().shut.clone() {
            None => ClusterState::Available,
            Some(Shut {
                how: ClosedAs::Restoring,
                since,
            }) => ClusterState::Restoring { since },
            Some(Shut {
                how: ClosedAs::Closed(why),
                ..
            }) => ClusterState::Closed { why },
        }
    }

    /// Ends all sessions and refuses new ones. The caller holds the commit lock.
    pub(super) fn close(&self, how: ClosedAs, now: Millis, store: &Store) -> Result<(), ClusterError> {
        let mut inside = self.0.lock();
        let since = match &inside.shut {
            Some(shut) if shut.how == how => shut.since,
            _ => now,
        };
        let ended = reason(&how);
        let shut = Some(Shut { how, since });
        save(store, &shut)?;
        inside.shut = shut;
        inside.era += 1;
        inside.sessions = 0;
        inside.ended = ended;
        Ok(())
    }

    /// Lets applications in again.
    pub(super) fn open(&self, store: &Store) -> Result<(), ClusterError> {
        let mut inside = self.0.lock();
        if inside.shut.is_some() {
            save(store, &None)?;
            inside.shut = None;
        }
        Ok(())
    }
}

fn save(store: &Store, shut: &Option<Shut>) -> Result<(), ClusterError> {
    let text = serde_json::to_vec(shut).map_err(failed("writing the cluster's state"))?;
    let mut batch = store.batch();
    batch.put(Space::Meta, KEY, text);
    batch.commit()
}
