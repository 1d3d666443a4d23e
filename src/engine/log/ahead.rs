//! Reading ahead: the source's log is read and taken apart in a thread of its own while what came before is compressed,
//! hashed and stored.
//!
//! *Invariant: events are handed over in their order and none is left out; behind an error or a restore nothing is read.*

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::cluster::{Changes, ClusterError, LogEvent};

/// So many bytes of transactions make a parcel; a larger transaction makes one by itself.
const PARCEL: usize = 2 << 20;
/// So many parcels may wait. With the one that is filled and the one that is emptied they bound the memory.
const WAITING: usize = 4;
/// For so long a parcel is held back for more.
const LINGER: Duration = Duration::from_millis(2);
/// How long the source is waited for: at first, and at most when nothing happens for a while. So long the end may take.
const WAIT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

type Parcel = Vec<Result<LogEvent, ClusterError>>;

/// A stream that is read ahead.
struct Ahead {
    parcels: Option<Receiver<Parcel>>,
    ready: VecDeque<Result<LogEvent, ClusterError>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Reads a stream ahead.
pub(super) fn read(changes: Box<dyn Changes>) -> Result<Box<dyn Changes>, ClusterError> {
    let (out, parcels) = crossbeam_channel::bounded(WAITING);
    let stop = Arc::new(AtomicBool::new(false));
    let feed = Feed {
        changes,
        out,
        stop: Arc::clone(&stop),
    };
    let thread = std::thread::Builder::new().name("log-reader".to_owned());
    let thread = thread.spawn(move || feed.run()).map_err(|e| ClusterError::Store {
        doing: "starting a thread to read the change log".to_owned(),
        source: Box::new(e),
    })?;
    Ok(Box::new(Ahead {
        parcels: Some(parcels),
        ready: VecDeque::new(),
        stop,
        thread: Some(thread),
    }))
}

impl Changes for Ahead {
    fn next(&mut self, wait: Duration) -> Result<Option<LogEvent>, ClusterError> {
        if let Some(event) = self.ready.pop_front() {
            return event.map(Some);
        }
        let parcel = match &self.parcels {
            Some(parcels) => parcels.recv_timeout(wait),
            None => Err(RecvTimeoutError::Disconnected),
        };
        match parcel {
            Ok(parcel) => self.ready = parcel.into(),
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(ClusterError::Store {
                    doing: "reading the change log".to_owned(),
                    source: "the thread that reads it has ended".into(),
                });
            }
        }
        self.ready.pop_front().transpose()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.parcels = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has no more to say.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Feed {
    changes: Box<dyn Changes>,
    out: Sender<Parcel>,
    stop: Arc<AtomicBool>,
}

impl Feed {
    fn run(mut self) {
        let mut wait = WAIT.0;
        while !self.stop.load(Ordering::Relaxed) {
            let (parcel, ended) = self.fill(wait);
            wait = match parcel.is_empty() {
                true => (wait * 2).min(WAIT.1),
                false => WAIT.0,
            };
            // Nobody to tell is the end too.
            if ended || (!parcel.is_empty() && self.out.send(parcel).is_err()) {
                return;
            }
        }
    }

    /// The next events, and whether they are the last ones, which are handed over here.
    fn fill(&mut self, wait: Duration) -> (Parcel, bool) {
        let (mut parcel, mut bytes, mut wait) = (Parcel::new(), 0, wait);
        loop {
            let event = match self.changes.next(wait) {
                Ok(None) => return (parcel, false),
                Ok(Some(event)) => Ok(event),
                Err(e) => Err(e),
            };
            let last = matches!(event, Err(_) | Ok(LogEvent::Restored(_)));
            let mark = matches!(event, Ok(LogEvent::Reached(_)));
            if let Ok(LogEvent::Txn(txn)) = &event {
                bytes += txn.payload.len();
            }
            parcel.push(event);
            if last {
                // Who asked may be gone.
                let _ = self.out.send(std::mem::take(&mut parcel));
                return (parcel, true);
            }
            if mark || bytes >= PARCEL || self.stop.load(Ordering::Relaxed) {
                return (parcel, false);
            }
            wait = LINGER;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Mark, Txn};
    use crate::model::position::{Moment, Position};
    use crate::model::tso::Tso;

    fn mark(n: u64) -> Mark {
        Mark {
            moment: Moment::of_tso(Tso(n)),
            position: Position::Tso(Tso(n)),
        }
    }

    /// Counts up, and ends with what it is given.
    struct Counting {
        n: u64,
        until: u64,
        end: Option<Result<LogEvent, ClusterError>>,
        size: usize,
    }

    impl Changes for Counting {
        fn next(&mut self, wait: Duration) -> Result<Option<LogEvent>, ClusterError> {
            self.n += 1;
            if self.n > self.until {
                return match self.end.take() {
                    Some(end) => end.map(Some),
                    None => {
                        std::thread::sleep(wait);
                        Ok(None)
                    }
                };
            }
            if self.n.is_multiple_of(7) {
                return Ok(Some(LogEvent::Reached(mark(self.n))));
            }
            Ok(Some(LogEvent::Txn(Txn {
                commit: mark(self.n).moment,
                position: mark(self.n).position,
                id: self.n.to_string(),
                deltas: Vec::new(),
                ddl: None,
                lack: None,
                step: None,
                payload: vec![0; self.size],
                pieces: None,
            })))
        }
    }

    fn counting(until: u64, size: usize, end: Option<Result<LogEvent, ClusterError>>) -> Box<dyn Changes> {
        read(Box::new(Counting { n: 0, until, end, size })).unwrap()
    }

    fn at(event: &LogEvent) -> u64 {
        match event {
            LogEvent::Txn(txn) => txn.commit.last_tso().0,
            LogEvent::Reached(mark) | LogEvent::Restored(mark) => mark.moment.last_tso().0,
        }
    }

    #[test]
    fn everything_comes_in_order_and_an_error_last() {
        for (size, end) in [(0, None), (700_000, Some(())), (3 << 20, Some(()))] {
            let error = end.map(|()| Err(ClusterError::OtherServer("the end".to_owned())));
            let fails = error.is_some();
            let mut ahead = counting(50, size, error);
            for n in 1..=50 {
                let event = loop {
                    if let Some(event) = ahead.next(Duration::from_millis(50)).unwrap() {
                        break event;
                    }
                };
                assert_eq!(at(&event), n);
            }
            match fails {
                true => {
                    let said = loop {
                        match ahead.next(Duration::from_millis(50)) {
                            Ok(None) => {}
                            Ok(Some(more)) => panic!("{more:?}"),
                            Err(e) => break e.to_string(),
                        }
                    };
                    assert_eq!(said, "the end");
                    assert!(ahead.next(Duration::ZERO).is_err(), "and nothing behind it");
                }
                false => assert!(ahead.next(Duration::from_millis(1)).unwrap().is_none()),
            }
        }
    }

    #[test]
    fn a_restore_ends_it_and_dropping_it_early_does_not_hang() {
        let mut ahead = counting(3, 0, Some(Ok(LogEvent::Restored(mark(9)))));
        let mut seen = Vec::new();
        while seen.last() != Some(&9) {
            seen.extend(ahead.next(Duration::from_millis(50)).unwrap().iter().map(at));
        }
        assert_eq!(seen, [1, 2, 3, 9]);
        drop(counting(u64::MAX, 2 << 20, None));
    }
}
