//! The commit times that brine gives to transactions, snapshots and checkpoints of a server.
//!
//! A [`Tso`] serves as a hybrid logical clock: milliseconds of the server's clock, then a counter. One lock orders
//! everything that is dated in this process: while a snapshot is opened or a mark is taken, no transaction is handed out by
//! the stream, so what was handed out before lies before that place and what comes later can be dated after it.
//!
//! *Invariant: for every dated place (position, moment) and every transaction of the stream: the transaction's time is at or
//! before the moment exactly when the position includes the transaction.*
//!
//! How it holds: a place gets a moment above everything that was dated before, and its position is read after the lock was
//! taken. A stream dates its transactions in the order of the log, each above the one before; it knows the places ahead of
//! it, passes one when the first transaction comes that is not in it, and never gives a time above a place that it has not
//! passed. Places are remembered for streams that start again from an older checkpoint.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::gtid::{Gtid, GtidSet, Place, Unlogged};
use crate::cluster::{ClusterError, Mark};
use crate::model::clock::Millis;
use crate::model::position::{Moment, Position};
use crate::model::tso::Tso;

/// So many places are remembered: snapshots and marks of this process.
const REMEMBERED: usize = 4096;
/// Room for the transactions before a place when the server's clock went back: this many milliseconds.
const ROOM_MS: i64 = 100;
/// A stamp may be ahead of what is known of the server's clock by this much.
const AHEAD_MS: i64 = 1_000;

/// The clock of one cluster.
#[derive(Default)]
pub(super) struct CommitClock {
    state: Mutex<ClockState>,
}

/// What is behind the lock.
#[derive(Default)]
pub(super) struct ClockState {
    /// The newest time that was given to anything.
    last: Tso,
    /// How many streams are open.
    streams: u32,
    /// Places that were dated, oldest first, with the number of the first.
    places: VecDeque<Anchor>,
    first: u64,
    /// What the streams have handed out.
    handed: Option<Where>,
}

/// A place in the log, by both of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Where {
    /// What is before it.
    pub set: GtidSet,
    /// The file and offset.
    pub place: Place,
    /// When the file was begun: only where the server has no GTIDs, and places alone tell what is before them.
    pub begun: Option<u32>,
    /// What the server had taken in by then and did not log.
    pub unlogged: Unlogged,
}

impl Where {
    /// Of a position; an error when it is none of these servers.
    pub fn of(position: &Position) -> Result<Where, ClusterError> {
        let bad = || ClusterError::Malformed {
            what: "a position",
            why: format!("{position} is not one of a MySQL or MariaDB server"),
        };
        let Position::Binlog {
            gtid,
            file,
            offset,
            begun,
            unlogged,
        } = position
        else {
            return Err(bad());
        };
        Ok(Where {
            set: GtidSet::parse(gtid).ok_or_else(bad)?,
            place: Place {
                file: file.clone(),
                offset: *offset,
            },
            begun: *begun,
            unlogged: Unlogged::parse(unlogged.as_deref()).ok_or_else(bad)?,
        })
    }

    /// As others see it.
    pub fn position(&self) -> Position {
        Position::Binlog {
            gtid: self.set.to_string(),
            file: self.place.file.clone(),
            offset: self.place.offset,
            begun: self.begun,
            unlogged: self.unlogged.text(),
        }
    }

    /// Whether a transaction is before it. The GTID decides where there is one: files have other names on other hosts.
    pub fn includes(&self, gtid: Option<&Gtid>, behind: &Place) -> bool {
        match gtid {
            Some(gtid) => self.set.contains(gtid),
            None => self.place.reaches(behind),
        }
    }

    /// Whether everything before the other one is before this one.
    pub fn reaches(&self, other: &Where) -> bool {
        if other.set.is_empty() && self.set.is_empty() {
            return other.place.file.is_empty() || self.place.reaches(&other.place);
        }
        self.set.contains_all(&other.set)
    }
}

#[derive(Clone, Debug)]
struct Anchor {
    moment: Tso,
    at: Where,
}

impl CommitClock {
    /// Holds the stream back while the guard lives.
    pub fn hold(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock()
    }

    /// The same, if it is to be had within a time: somebody may be opening a snapshot.
    pub fn hold_within(&self, wait: Duration) -> Option<MutexGuard<'_, ClockState>> {
        self.state.try_lock_for(wait)
    }
}

impl ClockState {
    /// Dates a place that was read from the server since the hold began: `server_now` is the server's clock, read since then
    /// too. The stream keeps to it. An error when the place lies before what the stream has handed out already (another,
    /// lagging host).
    pub fn date_place(&mut self, server_now: Millis, position: &Position) -> Result<Moment, ClusterError> {
        let at = Where::of(position)?;
        if self.is_behind(&at) {
            return Err(ClusterError::OtherServer(format!(
                "the log backup has read further than {position}, where this server is: it lags behind the other host; \
                 wait until it has caught up, or name the host first that the log is read from"
            )));
        }
        let moment = self.above(server_now, &at);
        self.remember(Anchor { moment, at });
        Ok(Moment::of_tso(moment))
    }

    /// The time of a restore's marker that is about to be written.
    pub fn date_marker(&mut self, server_now: Millis) -> Tso {
        let now = Tso::last_of_millis(server_now);
        self.last = match now > self.last {
            true => now,
            false => Tso::last_of_millis(self.last.millis().plus(ROOM_MS)),
        };
        self.last
    }

    /// The marker was written: this is the place behind it.
    pub fn place_marker(&mut self, moment: Tso, position: &Position) -> Result<(), ClusterError> {
        let at = Where::of(position)?;
        self.remember(Anchor { moment, at });
        Ok(())
    }

    /// Whether a place lies before what was handed out. On MySQL that is so for some milliseconds after a commit.
    pub fn is_behind(&self, at: &Where) -> bool {
        self.handed.as_ref().is_some_and(|handed| !at.reaches(handed))
    }

    /// A moment above everything that was dated, at the end of a millisecond: with room for the transactions that come before it.
    fn above(&self, server_now: Millis, at: &Where) -> Tso {
        let now = Tso::last_of_millis(server_now);
        if now > self.last {
            return now;
        }
        // The server's clock went back, or this is the same millisecond.
        if self.places.back().is_some_and(|p| p.moment == self.last && p.at == *at) {
            return self.last.next();
        }
        Tso::last_of_millis(self.last.millis().plus(ROOM_MS))
    }

    fn remember(&mut self, anchor: Anchor) {
        self.last = self.last.max(anchor.moment);
        self.places.push_back(anchor);
        if self.places.len() > REMEMBERED {
            self.places.pop_front();
            self.first += 1;
        }
    }

    /// How many places were dated so far; a stream that sees the number grow takes a mark of its own soon.
    pub fn dated(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    /// The number of the first place that this stream has not seen.
    fn since(&self, seen: u64) -> impl Iterator<Item = &Anchor> {
        let skip = seen.saturating_sub(self.first);
        self.places.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }
}

/// How one stream dates its transactions.
pub(super) struct StreamDates {
    /// The newest time that this stream gave.
    last: Tso,
    /// Places ahead, by moment.
    ahead: VecDeque<Anchor>,
    /// The stream's own mark, which is the newest place there is.
    target: Option<Anchor>,
    /// How many of the clock's places were taken over.
    seen: u64,
}

impl StreamDates {
    /// Begins behind `after`; `anchors` are places further on.
    pub fn begin(state: &mut ClockState, after: &Mark, anchors: &[Mark]) -> Result<StreamDates, ClusterError> {
        let start = after.moment.last_tso();
        let mut ahead: Vec<Anchor> = Vec::with_capacity(anchors.len());
        for mark in anchors {
            ahead.push(Anchor {
                moment: mark.moment.last_tso(),
                at: Where::of(&mark.position)?,
            });
        }
        let known = ahead.iter().map(|a| a.moment).max().unwrap_or_default();
        state.last = state.last.max(start).max(known);
        // The same place twice does no harm.
        ahead.extend(state.places.iter().cloned());
        ahead.retain(|a| a.moment > start);
        ahead.sort_by_key(|a| a.moment);
        state.streams += 1;
        let at = Where::of(&after.position)?;
        // Of two streams the one that is further on counts.
        if state.handed.as_ref().is_none_or(|handed| at.reaches(handed)) {
            state.handed = Some(at);
        }
        Ok(StreamDates {
            last: start,
            ahead: ahead.into(),
            target: None,
            seen: state.dated(),
        })
    }

    /// The stream ends.
    pub fn end(&self, state: &mut ClockState) {
        state.streams = state.streams.saturating_sub(1);
        if state.streams == 0 {
            state.handed = None;
        }
    }

    /// Dates a mark of the stream's own: where the server's log is now. `None` when the server does not yet count what
    /// was handed out.
    pub fn aim(&mut self, state: &mut ClockState, server_now: Millis, at: &Where) -> Option<Moment> {
        if state.is_behind(at) {
            return None;
        }
        let moment = state.above(server_now, at);
        state.last = moment;
        self.target = Some(Anchor { moment, at: at.clone() });
        Some(Moment::of_tso(moment))
    }

    /// Whether a mark is aimed at that the transaction is not before.
    pub fn is_beyond_target(&self, gtid: Option<&Gtid>, behind: &Place) -> bool {
        self.target.as_ref().is_some_and(|t| !t.at.includes(gtid, behind))
    }

    /// Whether the mark is reached at this place of the stream, which must be of the same host.
    pub fn is_at_target(&self, at: &Where) -> bool {
        let Some(target) = &self.target else { return false };
        let by_gtid = !target.at.set.is_empty() && at.set.contains_all(&target.at.set);
        by_gtid || at.place.reaches(&target.at.place)
    }

    pub fn has_target(&self) -> bool {
        self.target.is_some()
    }

    /// The mark is reached: what comes now is later. The place is the server's own word for it.
    pub fn reach(&mut self) -> Option<(Moment, Where)> {
        let target = self.target.take()?;
        self.last = self.last.max(target.moment);
        Some((Moment::of_tso(target.moment), target.at))
    }

    /// The stream goes on at what may be another host: a mark of the old one means nothing there.
    pub fn forget_target(&mut self) {
        self.target = None;
    }

    /// Dates the next transaction of the stream: `stamp` is the server's own date, `server_now` what its clock shows
    /// about now. It counts as handed out.
    pub fn date(
        &mut self,
        state: &mut ClockState,
        gtid: Option<&Gtid>,
        behind: &Place,
        stamp: Millis,
        server_now: Millis,
    ) -> Moment {
        let new: Vec<Anchor> = state.since(self.seen).cloned().collect();
        self.seen = state.dated();
        self.ahead.extend(new);
        while let Some(place) = self.ahead.pop_front_if(|a| !a.at.includes(gtid, behind)) {
            self.last = self.last.max(place.moment);
        }
        let upper = match (&self.target, self.ahead.front()) {
            (Some(target), Some(place)) => Some(target.moment.min(place.moment)),
            (target, place) => target.as_ref().or(place).map(|a| a.moment),
        };
        let time = choose(self.last, upper, stamp, server_now);
        self.last = time;
        state.last = state.last.max(time);
        if let Some(handed) = &mut state.handed {
            if let Some(gtid) = gtid {
                handed.set.add(gtid);
            }
            if handed.place != *behind && !handed.place.reaches(behind) {
                handed.place = behind.clone();
            }
        }
        Moment::of_tso(time)
    }

    /// Dates a restore's marker, which brings its own time along.
    pub fn restored(&mut self, state: &mut ClockState, at: Tso) -> Moment {
        self.last = at.max(self.last.next());
        state.last = state.last.max(self.last);
        Moment::of_tso(self.last)
    }
}

/// The stamp, raised above the one before; not above the place that comes next. What is stamped in the future is not
/// believed: it gets the time of the one before.
fn choose(before: Tso, upper: Option<Tso>, stamp: Millis, server_now: Millis) -> Tso {
    let floor = before.next();
    let stamped = Tso::from_millis(stamp).max(floor);
    let believed = stamp <= server_now.plus(AHEAD_MS);
    let Some(upper) = upper else {
        return if believed { stamped } else { floor };
    };
    if floor > upper {
        // No counter is left before the place: the same time twice keeps the order, and the place.
        return if before == upper { upper } else { floor };
    }
    if believed && stamped <= upper {
        return stamped;
    }
    // Committed while the place was read: the beginning of its millisecond leaves room for others.
    let near = stamp <= upper.millis().plus(AHEAD_MS);
    let edge = Tso::from_millis(upper.millis()).max(floor);
    if believed && near && edge <= upper { edge } else { floor }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
