//! Made-up applications that work on an embedded cluster: so many orders a second.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::shop::Shop;
use crate::cluster::ClusterError;
use crate::cluster::embedded::{EmbeddedCluster, Session};

/// So many seconds of counts are remembered.
const SECONDS: usize = 60;
/// How long a shop that cannot work waits before it tries again.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// The traffic of one cluster.
#[derive(Default)]
pub struct Traffic {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    rate: AtomicU32,
    quit: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Orders per second, newest last; the last is still running.
    counts: VecDeque<u32>,
    second: Option<Instant>,
    error: Option<String>,
}

impl Traffic {
    /// Starts, or changes the rate of, the traffic; ends by itself after `seconds`. Rate 0 stops it.
    pub fn start(&self, cluster: Arc<EmbeddedCluster>, rate: u32, seconds: Option<u64>, seed: u64) {
        if rate == 0 {
            self.stop();
            return;
        }
        self.shared.rate.store(rate, Ordering::SeqCst);
        let mut thread = self.thread.lock();
        if thread.as_ref().is_some_and(|t| !t.is_finished()) {
            return;
        }
        self.shared.quit.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        let end = seconds.map(|s| Instant::now() + Duration::from_secs(s));
        *thread = Some(std::thread::spawn(move || shared.trade(&cluster, end, seed)));
    }

    /// Stops and waits until the last order is done.
    pub fn stop(&self) {
        self.shared.quit.store(true, Ordering::SeqCst);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            self.shared.seen.lock().error = Some("the shop's thread had panicked".to_owned());
        }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.thread.lock().as_ref().is_some_and(|t| !t.is_finished())
    }

    /// Waits until it has ended by itself.
    pub fn join(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            self.shared.seen.lock().error = Some("the shop's thread had panicked".to_owned());
        }
    }

    /// Orders of each whole second, newest last, and the error while it cannot work.
    pub fn seen(&self) -> (Vec<u32>, Option<String>) {
        if !self.is_running() {
            return (Vec::new(), self.shared.seen.lock().error.clone());
        }
        let mut seen = self.shared.seen.lock();
        (seen.whole(Instant::now()), seen.error.clone())
    }
}

impl Seen {
    /// Begins new seconds up to now.
    fn roll(&mut self, now: Instant) {
        let mut second = *self.second.get_or_insert(now);
        while now.duration_since(second) >= Duration::from_secs(1) {
            second += Duration::from_secs(1);
            self.counts.push_back(0);
            if self.counts.len() > SECONDS {
                self.counts.pop_front();
            }
        }
        self.second = Some(second);
    }

    /// The second that is running says too little: at its beginning there are no orders in it.
    fn whole(&mut self, now: Instant) -> Vec<u32> {
        self.roll(now);
        let whole = self.counts.len().saturating_sub(1);
        self.counts.iter().take(whole).copied().collect()
    }

    fn count(&mut self, now: Instant) {
        self.error = None;
        self.roll(now);
        match self.counts.back_mut() {
            Some(n) => *n += 1,
            None => self.counts.push_back(1),
        }
    }
}

impl Shared {
    fn trade(&self, cluster: &Arc<EmbeddedCluster>, end: Option<Instant>, seed: u64) {
        let mut shop = Shop::new(seed);
        let mut session: Option<Session> = None;
        let mut next = Instant::now();
        while !self.quit.load(Ordering::SeqCst) && end.is_none_or(|e| Instant::now() < e) {
            match self.one(cluster, &mut shop, &mut session) {
                Ok(()) => self.seen.lock().count(Instant::now()),
                Err(ClusterError::Conflict { .. }) => {}
                Err(e) => {
                    session = None;
                    self.seen.lock().error = Some(e.to_string());
                    std::thread::sleep(TRY_AGAIN);
                    next = Instant::now();
                }
            }
            next += Duration::from_secs(1) / self.rate.load(Ordering::SeqCst).max(1);
            let now = Instant::now();
            // A shop that fell behind does not rush.
            next = next.max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
            std::thread::sleep(next.saturating_duration_since(now).min(Duration::from_millis(200)));
        }
    }

    fn one(
        &self,
        cluster: &Arc<EmbeddedCluster>,
        shop: &mut Shop,
        session: &mut Option<Session>,
    ) -> Result<(), ClusterError> {
        let open = match session {
            Some(open) => open,
            None => session.insert(cluster.session("shop")?),
        };
        shop.trade(open).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_told_when_it_is_over() {
        let (mut seen, begin) = (Seen::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        for ms in [0, 300, 600, 900] {
            seen.count(at(ms));
        }
        assert!(seen.whole(at(950)).is_empty());
        assert_eq!(seen.whole(at(1_001)), [4]);
        seen.count(at(1_500));
        assert_eq!(seen.whole(at(1_900)), [4]);
        assert_eq!(seen.whole(at(3_100)), [4, 1, 0]);
    }
}
