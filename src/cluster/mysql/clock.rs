//! The commit times that brine gives to transactions, snapshots and checkpoints of a server.
//!
//! A [`Tso`] serves as a hybrid logical clock: milliseconds of the server's clock, then a counter. One lock orders
//! everything that is dated in this process: while a snapshot is opened or a mark is taken, no transaction is handed out by
//! the stream, so what was handed out before lies before that place and what comes later can be dated after it.
//!
//! *Invariant: for every dated place (position, moment) and every transaction of the stream: the transaction's time is at or
//! before the moment exactly when the position includes the transaction.*

use parking_lot::{Mutex, MutexGuard};

use crate::cluster::{ClusterError, Mark};
use crate::model::clock::Millis;
use crate::model::position::{Moment, Position};
use crate::model::tso::Tso;

/// The clock of one cluster.
#[derive(Default)]
pub(super) struct CommitClock {
    state: Mutex<ClockState>,
}

/// What is behind the lock.
#[derive(Default)]
pub(super) struct ClockState {
    /// The newest time that was given to anything.
    pub last: Tso,
    /// Whether a stream is open; without one nobody needs anchors.
    pub streams: u32,
    /// Places that were dated ahead of the stream, in order.
    pub anchors: Vec<Mark>,
}

impl CommitClock {
    /// Holds the stream back while the guard lives.
    pub fn hold(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock()
    }
}

impl ClockState {
    /// Dates a place that was read from the server since the hold began: `server_now` is the server's clock, read since then
    /// too. The stream keeps to it. An error when the place lies before what the stream has handed out already (another,
    /// lagging host).
    pub fn date_place(&mut self, server_now: Millis, _position: &Position) -> Result<Moment, ClusterError> {
        self.last = self.last.next().max(Tso::from_millis(server_now));
        Ok(Moment::of_tso(self.last))
    }
}
