//! Semi-synchronous replication, the replica's side: commits at the server wait until we say that their events have come.
//!
//! Source: `semisync_slave.cc`, `semisync_master.cc` and `semisync_master_ack_receiver.cc` of MariaDB 10.11, the documentation
//! of MySQL's semisync plugins; tried on MariaDB 10.11, 11.8 and MySQL 9.7.
//!
//! *Invariant: a reader that pauses is no such replica any more: [`Attention`] ends the connection then, and nobody waits.*

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::net::Latch;

/// Before each event, and first in what we say.
const MAGIC: u8 = 0xEF;
/// Where an event says how long it is.
const LENGTH_AT: usize = 9;
/// Longer pauses of the reader would be felt by commits.
const PAUSE: Duration = Duration::from_millis(200);

/// What asks a server to treat the connection so. A server without the plugin takes no notice.
pub(super) const REQUEST: [&str; 2] = ["SET @rpl_semi_sync_slave = 1", "SET @rpl_semi_sync_replica = 1"];

/// Takes the two bytes before an event off: whether a commit waits for it, and the event. The event's own length tells whether
/// they are there at all: semi-sync can be turned on and off while events are sent.
pub(super) fn announced(bytes: &[u8]) -> Option<(bool, &[u8])> {
    let [MAGIC, flag @ (0 | 1), event @ ..] = bytes else {
        return None;
    };
    let length = event.get(LENGTH_AT..LENGTH_AT + 4)?.first_chunk::<4>()?;
    (u32::from_le_bytes(*length) as usize == event.len()).then_some((*flag == 1, event))
}

/// What we say when everything before a place has come.
pub(super) fn word(file: &str, offset: u64) -> Vec<u8> {
    let mut word = vec![MAGIC];
    word.extend_from_slice(&offset.to_le_bytes());
    word.extend_from_slice(file.as_bytes());
    word
}

/// Looks whether the reader reads.
pub(super) struct Attention {
    shared: Arc<Shared>,
    /// Dropped with it: then the thread ends.
    _stop: Sender<()>,
}

struct Shared {
    began: Instant,
    /// Milliseconds since `began` when the reader came back with something; [`READING`] while it waits for more.
    left_at: AtomicU64,
    ended: AtomicBool,
}

const READING: u64 = u64::MAX;

impl Attention {
    /// Begins to look after the reader of a socket.
    pub fn pay(latch: Latch) -> io::Result<Attention> {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            left_at: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let (stop, stopped) = bounded::<()>(0);
        let looked_at = Arc::clone(&shared);
        let look = move || {
            while stopped.recv_timeout(PAUSE / 4) == Err(RecvTimeoutError::Timeout) {
                if looked_at.pauses() {
                    looked_at.ended.store(true, Ordering::SeqCst);
                    return latch.shut();
                }
            }
        };
        std::thread::Builder::new().name("semi-sync".to_owned()).spawn(look)?;
        Ok(Attention { shared, _stop: stop })
    }

    /// The reader waits for events from now on.
    pub fn reads(&self) {
        self.shared.left_at.store(READING, Ordering::SeqCst);
    }

    /// It does something else.
    pub fn leaves(&self) {
        let now = self.shared.began.elapsed().as_millis() as u64;
        self.shared.left_at.store(now, Ordering::SeqCst);
    }

    /// Whether the connection was ended because it paused.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn pauses(&self) -> bool {
        let left_at = self.left_at.load(Ordering::SeqCst);
        let now = self.began.elapsed().as_millis() as u64;
        left_at != READING && now.saturating_sub(left_at) > PAUSE.as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(len: usize) -> Vec<u8> {
        let mut event = vec![7; len];
        event[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&(len as u32).to_le_bytes());
        event
    }

    #[test]
    fn events_with_and_without_the_two_bytes() {
        let plain = event(40);
        assert_eq!(announced(&plain), None);
        for (flag, waits) in [(0, false), (1, true)] {
            let with = [&[MAGIC, flag], plain.as_slice()].concat();
            assert_eq!(announced(&with), Some((waits, plain.as_slice())));
        }
        // The first byte of an event's time may be the same.
        let mut like = event(40);
        (like[0], like[1]) = (MAGIC, 1);
        assert_eq!(announced(&like), None);
        assert_eq!(announced(&[MAGIC, 1, 0]), None);
        assert_eq!(announced(&[MAGIC, 2]), None);
    }

    #[test]
    fn the_word_is_place_and_file() {
        assert_eq!(word("b.1", 0x0102), b"\xEF\x02\x01\0\0\0\0\0\0b.1");
    }

    #[test]
    fn a_pause_is_time_away_from_the_reading() {
        let shared = Shared {
            began: Instant::now().checked_sub(Duration::from_secs(10)).unwrap(),
            left_at: AtomicU64::new(READING),
            ended: AtomicBool::new(false),
        };
        assert!(!shared.pauses());
        shared.left_at.store(9_990, Ordering::SeqCst);
        assert!(!shared.pauses());
        shared.left_at.store(9_000, Ordering::SeqCst);
        assert!(shared.pauses());
    }
}
