//! The rate limit of a backup: all workers together stay below so many bytes a second.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Spreads bytes over time. Without a limit it does nothing.
pub struct Pace {
    limit: Option<f64>,
    free_at: Mutex<Instant>,
}

impl Pace {
    /// At most so many bytes a second.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Pace {
            limit: bytes_per_second.filter(|b| *b > 0).map(|b| b as f64),
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// Says how long to wait before the next bytes, having just handled `bytes`.
    pub fn wait_for(&self, bytes: u64, now: Instant) -> Duration {
        let Some(limit) = self.limit else {
            return Duration::ZERO;
        };
        let mut free_at = self.free_at.lock();
        let start = (*free_at).max(now);
        *free_at = start + Duration::from_secs_f64(bytes as f64 / limit);
        free_at.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_bytes_over_time_for_all_workers_together() {
        let now = Instant::now();
        let pace = Pace::new(Some(1_000));
        assert_eq!(pace.wait_for(500, now).as_millis(), 500);
        assert_eq!(
            pace.wait_for(500, now).as_millis(),
            1_000,
            "the second worker queues behind the first"
        );
        let later = now + Duration::from_secs(10);
        assert_eq!(
            pace.wait_for(500, later).as_millis(),
            500,
            "time that passed unused is not saved up"
        );
        assert_eq!(Pace::new(None).wait_for(1 << 40, now), Duration::ZERO);
    }
}
