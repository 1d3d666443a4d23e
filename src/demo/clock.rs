//! The demo's clock: told by the story until it goes live.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::clock::{Clock, ManualClock, Millis, SystemClock};

/// Stands where the story puts it, until [`DemoClock::go_live`].
pub struct DemoClock {
    told: ManualClock,
    live: AtomicBool,
}

impl DemoClock {
    /// A clock that stands at `start`.
    pub fn new(start: Millis) -> Self {
        DemoClock {
            told: ManualClock::new(start),
            live: AtomicBool::new(false),
        }
    }

    /// Moves the story on.
    pub fn set(&self, to: Millis) {
        self.told.set(to);
    }

    /// From now on it is the system's clock.
    pub fn go_live(&self) {
        self.live.store(true, Ordering::SeqCst);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Millis {
        if self.live.load(Ordering::SeqCst) {
            SystemClock.now()
        } else {
            self.told.now()
        }
    }
}
