//! A desk that is still being opened: the console shows itself meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::desk::{Answer, Desk, Question, Refusal, RefusalKind};

type Outcome = Result<Arc<dyn Desk>, Refusal>;

/// A desk that somebody opens on a thread of its own. Whoever asks it earlier waits until it is open.
///
/// *Invariant: it opens or fails once, and stays so.*
pub struct OpeningDesk {
    outcome: Mutex<Option<Outcome>>,
    known: Condvar,
}

impl OpeningDesk {
    /// Begins to open a desk. A panic in there is a failure too.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn begin(open: impl FnOnce() -> Outcome + Send + 'static) -> std::io::Result<Arc<Self>> {
        let desk = Arc::new(OpeningDesk {
            outcome: Mutex::new(None),
            known: Condvar::new(),
        });
        let opened = Arc::clone(&desk);
        let work = move || {
            let outcome = catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| Err(panicked()));
            *opened.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            opened.known.notify_all();
        };
        std::thread::Builder::new()
            .name("brine-opening".to_owned())
            .spawn(work)?;
        Ok(desk)
    }

    /// A desk that is open.
    pub fn opened(desk: Arc<dyn Desk>) -> Arc<Self> {
        Arc::new(OpeningDesk {
            outcome: Mutex::new(Some(Ok(desk))),
            known: Condvar::new(),
        })
    }

    /// Waits until it is open or has failed, as long as it takes.
    pub fn wait(&self) -> Outcome {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*outcome {
                Some(outcome) => return outcome.clone(),
                None => outcome = self.known.wait(outcome).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Waits no longer than that; `None` while it is still being opened.
    pub fn wait_for(&self, patience: Duration) -> Option<Outcome> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |outcome: &mut Option<Outcome>| outcome.is_none();
        let (outcome, _) = self
            .known
            .wait_timeout_while(outcome, patience, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        outcome.clone()
    }
}

impl Desk for OpeningDesk {
    fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        self.wait()?.ask(question)
    }
}

fn panicked() -> Refusal {
    Refusal {
        kind: RefusalKind::Failed,
        chain: vec!["brine failed while it opened its clusters".to_owned()],
        hint: Some("This is a bug worth reporting".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Answering;

    impl Desk for Answering {
        fn ask(&self, _: Question) -> Result<Answer, Refusal> {
            Ok(Answer::Pulse(7))
        }
    }

    fn pulse() -> Question {
        Question::Pulse {
            since: 0,
            timeout_ms: 0,
        }
    }

    #[test]
    fn who_asks_early_is_answered_when_it_is_open() {
        let (go, wait) = crossbeam_channel::bounded::<()>(0);
        let desk = OpeningDesk::begin(move || {
            let _ = wait.recv();
            Ok(Arc::new(Answering) as Arc<dyn Desk>)
        })
        .unwrap();
        assert!(desk.wait_for(Duration::ZERO).is_none());
        let asked = Arc::clone(&desk);
        let asking = std::thread::spawn(move || asked.ask(pulse()));
        go.send(()).unwrap();
        assert_eq!(asking.join().unwrap().unwrap(), Answer::Pulse(7));
        assert!(desk.wait_for(Duration::ZERO).unwrap().is_ok());
    }

    #[test]
    fn who_waits_is_told_of_a_failure_and_of_a_panic() {
        let no = Refusal {
            kind: RefusalKind::Usage,
            chain: vec!["no".to_owned()],
            hint: None,
        };
        let told = no.clone();
        let failed = OpeningDesk::begin(move || Err(told)).unwrap();
        assert_eq!(failed.ask(pulse()), Err(no));
        let broken = OpeningDesk::begin(|| std::panic::resume_unwind(Box::new("broken"))).unwrap();
        assert_eq!(broken.ask(pulse()), Err(panicked()));
    }
}
