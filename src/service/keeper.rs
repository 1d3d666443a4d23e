//! Keeps one cluster's log backup running: starts the task when it is wanted, again when it fails, stops it when not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::archive::state::LogDoc;
use crate::engine::cx::{Cancelled, JobCx, MemoryResumeLog, Meter, ResumeLog};
use crate::engine::error::EngineError;
use crate::engine::log::status::Runner;
use crate::engine::log::task::{LogShared, LogTask, record_error};
use crate::model::clock::Clock;
use crate::model::job::{LineLevel, Unit};
use crate::model::log::LogDesired;

/// The first pause after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the wish is read again even when nobody pokes.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Makes a task when one is wanted. Called in the keeper's own thread.
pub type MakeTask = Box<dyn Fn(Arc<LogShared>) -> Result<LogTask, EngineError> + Send + Sync>;
/// Reads the wish.
pub type ReadWish = Box<dyn Fn() -> Result<LogDoc, EngineError> + Send + Sync>;
/// Takes a line for the operator's messages.
pub type Tell = Arc<dyn Fn(LineLevel, String) + Send + Sync>;

/// Runs the log backup of one cluster in a thread of its own.
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
    tell: Tell,
}

#[derive(Default)]
struct State {
    quit: bool,
    poked: bool,
    failure: Option<String>,
    failures: u64,
    task: Option<Arc<LogShared>>,
}

impl Keeper {
    /// A keeper that has not started.
    pub fn new(clock: Arc<dyn Clock>, tell: Tell) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            clock,
            tell,
        };
        Keeper {
            shared: Arc::new(shared),
            thread: Mutex::default(),
        }
    }

    /// Starts the thread, once.
    pub fn start(&self, read_wish: ReadWish, make_task: MakeTask) {
        let mut thread = self.thread.lock();
        if thread.is_some() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        *thread = Some(std::thread::spawn(move || shared.keep(&read_wish, &make_task)));
    }

    /// The wish has changed: look again now. A running task is stopped when it is no longer wanted.
    pub fn poke(&self) {
        self.shared.state.lock().poked = true;
        self.shared.changed.notify_all();
    }

    /// Ends the running task after a flush, for a wish that says so, and waits for that.
    pub fn stop_task(&self) {
        let mut state = self.shared.state.lock();
        if let Some(task) = &state.task {
            task.stop();
        }
        state.poked = true;
        self.shared.changed.notify_all();
        while state.task.is_some() {
            self.shared.changed.wait(&mut state);
        }
    }

    /// Whether the thread was started.
    pub fn is_started(&self) -> bool {
        self.thread.lock().is_some()
    }

    /// The running task, waiting a moment for one that is about to start.
    pub fn wait_for_task(&self) -> Option<Arc<LogShared>> {
        let mut state = self.shared.state.lock();
        if state.task.is_none() {
            state.poked = true;
            self.shared.changed.notify_all();
            self.shared.changed.wait_for(&mut state, Duration::from_millis(200));
        }
        state.task.clone()
    }

    /// The error of the last try, while there was no better one.
    pub fn failure(&self) -> Option<String> {
        self.shared.state.lock().failure.clone()
    }

    /// The running task, if there is one.
    pub fn task(&self) -> Option<Arc<LogShared>> {
        self.shared.state.lock().task.clone()
    }

    /// What the status shows.
    pub fn runner(&self) -> Runner {
        let present = self.thread.lock().is_some();
        let state = self.shared.state.lock();
        let rates = state.task.as_ref().map(|t| t.rates(Instant::now())).unwrap_or_default();
        let streaming = state.task.as_ref().is_some_and(|t| t.is_streaming()) && state.failure.is_none();
        Runner {
            present,
            streaming,
            rates,
        }
    }

    /// How often it has failed since it was started.
    pub fn failures(&self) -> u64 {
        self.shared.state.lock().failures
    }

    /// Flushes, ends the task and the thread.
    pub fn quit(&self) {
        self.shared.state.lock().quit = true;
        self.stop_task();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            (self.shared.tell)(LineLevel::Error, "the log backup's thread had panicked".to_owned());
        }
    }
}

impl Shared {
    fn keep(&self, read_wish: &ReadWish, make_task: &MakeTask) {
        let mut pause = FIRST_PAUSE;
        while !self.state.lock().quit {
            // A panic must not end the thread: nobody would archive anything, and nobody would be told.
            let result = catch_unwind(AssertUnwindSafe(|| {
                read_wish().and_then(|doc| match doc.desired {
                    Some(LogDesired::Running) => self.run_task(read_wish, make_task).map(|()| true),
                    _ => Ok(false),
                })
            }));
            let result = result.unwrap_or_else(|_| Err(panicked()));
            match result {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => self.wait(LOOK_AGAIN),
                Err(e) => {
                    // First the status: whoever is told looks there.
                    let mut state = self.state.lock();
                    state.failure = Some(e.chain());
                    state.failures += 1;
                    drop(state);
                    (self.tell)(
                        LineLevel::Error,
                        format!("log backup: {}; trying again in {} s", e.chain(), pause.as_secs()),
                    );
                    self.wait(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Waits until somebody pokes or the time is over.
    fn wait(&self, time: Duration) {
        let mut state = self.state.lock();
        if !state.poked && !state.quit {
            self.changed.wait_for(&mut state, time);
        }
        state.poked = false;
    }

    fn run_task(&self, read_wish: &ReadWish, make_task: &MakeTask) -> Result<(), EngineError> {
        let shared = Arc::new(LogShared::default());
        let task = make_task(Arc::clone(&shared))?;
        {
            let mut state = self.state.lock();
            if state.quit {
                return Ok(());
            }
            state.task = Some(shared);
            state.failure = None;
            state.poked = false;
        }
        self.changed.notify_all();
        // The wish may have changed before anybody could see this task and stop it.
        if read_wish().map(|doc| doc.desired).ok() != Some(Some(LogDesired::Running)) {
            task.shared.stop();
        }
        let cx = KeeperCx {
            clock: &self.clock,
            tell: &self.tell,
            memory: MemoryResumeLog::default(),
        };
        // A panic must not leave a task behind that others wait for.
        let run = catch_unwind(AssertUnwindSafe(|| task.run(&cx)));
        let result = run.unwrap_or_else(|_| {
            task.shared.end();
            Err(panicked())
        });
        self.state.lock().task = None;
        self.changed.notify_all();
        if let Err(e) = &result
            && let Err(also) = record_error(&task.archive, &task.lock, self.clock.now(), e.chain())
        {
            (self.tell)(
                LineLevel::Warning,
                format!("the error could not be noted in the archive: {also}"),
            );
        }
        result
    }
}

fn panicked() -> EngineError {
    EngineError::Corrupt("the log backup stopped at an error in brine itself".to_owned())
}

/// The surroundings of a log task: it is stopped through its [`LogShared`], not cancelled.
struct KeeperCx<'a> {
    clock: &'a Arc<dyn Clock>,
    tell: &'a Tell,
    memory: MemoryResumeLog,
}

impl JobCx for KeeperCx<'_> {
    fn check(&self) -> Result<(), Cancelled> {
        Ok(())
    }
    fn clock(&self) -> &Arc<dyn Clock> {
        self.clock
    }
    fn step(&self, _: &str, unit: Unit, total: Option<u64>) -> Arc<Meter> {
        Arc::new(Meter::new(unit, total))
    }
    fn line(&self, level: LineLevel, text: String) {
        (self.tell)(level, text);
    }
    fn resume_log(&self) -> &dyn ResumeLog {
        &self.memory
    }
    fn asked_by(&self) -> &str {
        "log backup"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::SystemClock;
    use crossbeam_channel::unbounded;

    /// Whatever panics in its thread: the operator is told, the status says that it fails, and it is tried again.
    #[test]
    fn a_panic_ends_neither_the_thread_nor_the_log_backup() {
        for in_wish in [true, false] {
            let (told, tells) = unbounded();
            let tell: Tell = Arc::new(move |level, text| drop(told.send((level, text))));
            let keeper = Keeper::new(Arc::new(SystemClock), tell);
            let (tried, tries) = unbounded();
            let wish = LogDoc {
                desired: Some(LogDesired::Running),
                ..LogDoc::default()
            };
            let wants = tried.clone();
            keeper.start(
                Box::new(move || {
                    if in_wish {
                        let _ = wants.send(());
                        panic!("in the wish");
                    }
                    Ok(wish.clone())
                }),
                Box::new(move |_| {
                    let _ = tried.send(());
                    panic!("in the making")
                }),
            );
            let patience = Duration::from_secs(30);
            for _ in 0..2 {
                tries.recv_timeout(patience).unwrap();
                let (level, text) = tells.recv_timeout(patience).unwrap();
                assert_eq!(level, LineLevel::Error);
                assert!(text.contains("an error in brine itself"), "{text}");
                assert!(!keeper.runner().streaming);
                keeper.poke();
            }
            assert!(keeper.failure().is_some() && keeper.failures() >= 2);
            keeper.quit();
            assert!(tells.is_empty() || tells.try_iter().all(|(_, t)| !t.contains("panicked")));
        }
    }
}
