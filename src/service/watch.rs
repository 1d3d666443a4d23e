//! What was last heard of a database that may not answer: asked in the background, so that a dead host keeps nobody waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::cluster::ClusterFacts;

/// What was heard so short a time ago is not asked again.
const FRESH: Duration = Duration::from_millis(1_000);
/// How long an answer is waited for by somebody who has nothing yet.
const FIRST_WAIT: Duration = Duration::from_millis(3_000);
/// How long one is waited for that is newer than what there is.
const NEXT_WAIT: Duration = Duration::from_millis(400);
/// From then on what was heard is no longer believed while no answer comes.
const STALE: Duration = Duration::from_secs(15);

/// What a server last said of itself, or why it said nothing.
pub type Heard = Result<ClusterFacts, String>;

/// The ear.
#[derive(Default)]
pub struct Watch {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Since when an answer is awaited.
    asking: Option<Instant>,
    heard: Option<(Instant, Heard)>,
    /// Answers asked for before this are too old to be believed.
    forgotten: Option<Instant>,
}

impl Watch {
    /// Starts asking, unless the answer is fresh or somebody asks already.
    pub fn ask(&self, ask: impl FnOnce() -> Heard + Send + 'static) {
        let mut state = self.shared.state.lock();
        let fresh = state.heard.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH);
        if fresh || state.asking.is_some() {
            return;
        }
        let started = Instant::now();
        state.asking = Some(started);
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            let panicked = || Err("asking it failed".to_owned());
            let heard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).unwrap_or_else(|_| panicked());
            let mut state = shared.state.lock();
            state.asking = None;
            // What was asked before an act says nothing of the time after it.
            if state.forgotten.is_none_or(|at| at <= started) {
                state.heard = Some((Instant::now(), heard));
            }
            drop(state);
            shared.changed.notify_all();
        });
    }

    /// What is known, after a short wait for an answer that is on its way.
    pub fn heard(&self) -> Heard {
        let mut state = self.shared.state.lock();
        let patience = if state.heard.is_some() { NEXT_WAIT } else { FIRST_WAIT };
        // From when it was asked on: who looks at many databases waits once for all of them.
        while let Some(since) = state.asking {
            if self.shared.changed.wait_until(&mut state, since + patience).timed_out() {
                break;
            }
        }
        let silent = state.asking.map(|since| since.elapsed());
        match (&state.heard, silent) {
            (Some((at, Ok(_))), Some(silent)) if at.elapsed() > STALE => Err(no_answer(silent)),
            (Some((_, heard)), _) => heard.clone(),
            (None, Some(silent)) => Err(no_answer(silent)),
            (None, None) => Err("it was not asked yet".to_owned()),
        }
    }

    /// Something was done to it: what was heard before is of no use any more.
    pub fn forget(&self) {
        let mut state = self.shared.state.lock();
        state.heard = None;
        state.forgotten = Some(Instant::now());
    }
}

fn no_answer(silent: Duration) -> String {
    format!("no answer for {} s", silent.as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_dead_host_keeps_nobody_waiting_for_long() {
        let watch = Watch::default();
        let (release, wait) = channel::<()>();
        watch.ask(move || {
            let _ = wait.recv();
            Err("refused".to_owned())
        });
        let started = Instant::now();
        assert!(watch.heard().unwrap_err().contains("no answer"));
        assert!(started.elapsed() < Duration::from_secs(20));
        // A second one does not start while the first is on its way.
        watch.ask(|| panic!("asked twice"));
        drop(release);
        while watch.heard().unwrap_err() != "refused" {}
    }

    #[test]
    fn many_dead_hosts_are_waited_for_once() {
        let (release, wait) = crossbeam_channel::bounded::<()>(0);
        let watches: Vec<Watch> = (0..4).map(|_| Watch::default()).collect();
        for watch in &watches {
            let wait = wait.clone();
            watch.ask(move || {
                let _ = wait.recv();
                Err("refused".to_owned())
            });
        }
        let started = Instant::now();
        for watch in &watches {
            assert!(watch.heard().unwrap_err().contains("no answer"));
        }
        assert!(started.elapsed() < 2 * FIRST_WAIT, "{:?}", started.elapsed());
        drop(release);
    }

    #[test]
    fn what_was_asked_before_an_act_is_not_believed_after_it() {
        let watch = Watch::default();
        let (release, wait) = channel::<()>();
        watch.ask(move || {
            let _ = wait.recv();
            Err("old".to_owned())
        });
        watch.forget();
        drop(release);
        while watch.heard().unwrap_err() != "it was not asked yet" {}
        watch.ask(|| Err("new".to_owned()));
        assert_eq!(watch.heard().unwrap_err(), "new");
    }
}
