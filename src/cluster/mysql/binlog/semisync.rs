//! When commits at the server wait for the stream.
//!
//! Only while it is at the end of the log: behind one that lags, every commit would wait for what came before. And only while
//! somebody reads: a stream that pauses is opened again without, and asks for it later.

use std::time::{Duration, Instant};

/// For so long it is not asked for again after a pause.
const LATER: Duration = Duration::from_secs(30);

/// Whether to ask for it.
pub(super) struct SemiSync {
    wanted: bool,
    not_before: Instant,
    at_the_end: bool,
}

impl SemiSync {
    /// Of a stream that begins somewhere.
    pub fn new(wanted: bool) -> SemiSync {
        SemiSync {
            wanted,
            not_before: Instant::now(),
            at_the_end: false,
        }
    }

    /// The stream has come to where the log ended a moment ago.
    pub fn is_at_the_end(&mut self) {
        self.at_the_end = true;
    }

    /// Whether the time has come.
    pub fn is_due(&self) -> bool {
        self.wanted && self.at_the_end && Instant::now() >= self.not_before
    }

    /// Not now.
    pub fn put_off(&mut self) {
        self.not_before = Instant::now() + LATER;
        self.at_the_end = false;
    }
}
