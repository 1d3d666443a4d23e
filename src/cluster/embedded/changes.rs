//! The change log as a stream.
//!
//! A mark is taken first and then everything up to it is handed over, so `Reached` never runs ahead of a
//! transaction. The chain of hashes is checked on the way: a record that the store lost ends the stream.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{Changes, ClusterError, LogEvent, Mark, Txn};
use crate::model::position::{Moment, Position};
use crate::model::tso::Tso;

use super::core::{Core, mark_at};
use super::record::{self, Change, Tip};
use super::store::{Pairs, Slice, Space};

/// How many bytes are read before the view of the store is renewed, so that it can let old files go.
const RENEW_BYTES: u64 = 64 << 20;

/// One reader's place in the log.
pub(super) struct Stream {
    core: Arc<Core>,
    /// Everything up to here was handed over.
    at: Tso,
    /// The last record at or before `at`; unknown when it was trimmed.
    tip: Option<Tip>,
    round: Option<Round>,
    idle: bool,
}

/// The records up to a mark.
struct Round {
    mark: Mark,
    /// The last record at or before the mark.
    tip: Tip,
    until: Tso,
    records: Pairs,
    bytes: u64,
}

/// Starts a stream; an error when the log does not reach back to the position.
pub(super) fn stream(core: Arc<Core>, after: &Position) -> Result<Stream, ClusterError> {
    let at = after.tso().ok_or_else(|| ClusterError::Malformed {
        what: "a position",
        why: format!("{after} is not a timestamp of an embedded cluster"),
    })?;
    let mut stream = Stream {
        core,
        at,
        tip: None,
        round: None,
        idle: false,
    };
    stream.tip = stream.find_tip()?;
    stream.check_kept()?;
    let newest = stream.core.exclusive()?.last();
    if at > newest {
        return Err(ClusterError::OutsideHistory {
            asked: Moment::of_tso(at),
            from: Moment::of_tso(stream.core.log.oldest()),
            to: Moment::of_tso(newest),
        });
    }
    Ok(stream)
}

fn broken(why: &str) -> ClusterError {
    ClusterError::Malformed {
        what: "the change log",
        why: why.to_owned(),
    }
}

/// The commit timestamp that a record is kept under.
fn timestamp(key: &[u8]) -> Result<Tso, ClusterError> {
    let bytes = key.try_into().map_err(|_| broken("a key does not have 8 bytes"))?;
    Ok(Tso(u64::from_be_bytes(bytes)))
}

impl Stream {
    fn check_kept(&self) -> Result<(), ClusterError> {
        let oldest = self.core.log.oldest();
        if self.at < oldest {
            return Err(ClusterError::LogGone {
                asked: Box::new(Position::Tso(self.at)),
                oldest: Box::new(Position::Tso(oldest)),
            });
        }
        Ok(())
    }

    /// The last record at or before the place, from which the chain can be checked.
    fn find_tip(&self) -> Result<Option<Tip>, ClusterError> {
        let to = Bound::Included(self.at.0.to_be_bytes().to_vec());
        let last = self.core.store.range(Space::Log, Bound::Unbounded, to).next_back()?;
        let Some((key, record)) = last else {
            let whole = self.core.log.oldest() == Tso::ZERO;
            return Ok(whole.then_some(Tip::START));
        };
        let (ts, parsed) = (timestamp(&key)?, record::parse(&record)?);
        Ok(Some(parsed.tip(ts)))
    }

    /// Takes a mark and opens a view of the records up to it.
    fn new_round(&self) -> Result<Round, ClusterError> {
        let mut exclusive = self.core.exclusive()?;
        let mark = mark_at(exclusive.allocate()?);
        let tip = exclusive.tip();
        drop(exclusive);
        self.open_round(mark, tip)
    }

    fn open_round(&self, mark: Mark, tip: Tip) -> Result<Round, ClusterError> {
        let until = mark.moment.last_tso();
        let from = Bound::Excluded(self.at.0.to_be_bytes().to_vec());
        let to = Bound::Included(until.0.to_be_bytes().to_vec());
        let records = self.core.store.range(Space::Log, from, to);
        // After the view was opened: what it holds is complete if nothing was trimmed by now.
        self.check_kept()?;
        Ok(Round {
            mark,
            tip,
            until,
            records,
            bytes: 0,
        })
    }

    /// The next record's event, or `None` when the mark is reached.
    fn advance(&mut self, mut round: Round) -> Result<LogEvent, ClusterError> {
        if round.bytes > RENEW_BYTES {
            round = self.open_round(round.mark, round.tip)?;
        }
        let Some((key, record)) = round.records.next()? else {
            if self.tip.is_some_and(|tip| tip != round.tip) {
                return Err(broken("records are missing before its end: take a new snapshot"));
            }
            self.at = round.until;
            self.idle = true;
            return Ok(LogEvent::Reached(round.mark));
        };
        round.bytes += record.len() as u64;
        self.idle = false;
        let event = self.event(&key, &record)?;
        self.round = Some(round);
        Ok(event)
    }

    fn event(&mut self, key: &[u8], record: &Slice) -> Result<LogEvent, ClusterError> {
        let ts = timestamp(key)?;
        let parsed = record::parse(record)?;
        if self.tip.is_some_and(|tip| tip.hash != parsed.before) {
            return Err(broken("a record is missing or was changed: take a new snapshot"));
        }
        self.tip = Some(parsed.tip(ts));
        self.at = ts;
        let ddl = parsed.change.ddl();
        let deltas = match parsed.change {
            Change::Restored => return Ok(LogEvent::Restored(mark_at(ts))),
            Change::Rows(tables) => tables.into_iter().map(|(delta, _)| delta).collect(),
            Change::Created(_) | Change::Dropped(..) => Vec::new(),
        };
        Ok(LogEvent::Txn(Txn {
            commit: Moment::of_tso(ts),
            position: Position::Tso(ts),
            id: ts.to_string(),
            deltas,
            ddl,
            lack: None,
            step: None,
            payload: record.to_vec(),
            pieces: None,
        }))
    }
}

impl Changes for Stream {
    fn next(&mut self, wait: Duration) -> Result<Option<LogEvent>, ClusterError> {
        if let Some(round) = self.round.take() {
            return self.advance(round).map(Some);
        }
        if self.idle {
            self.core.visible.wait_beyond(self.at, wait);
        }
        let round = self.new_round()?;
        self.advance(round).map(Some)
    }
}
