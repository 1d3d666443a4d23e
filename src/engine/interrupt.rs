//! Work inside a driver that may be silent for long: a statement that builds an index, a read of a large table.
//!
//! The verb asks between its own steps whether the job was cancelled; while the driver is at work, a second thread asks, and
//! then has the driver end what it is doing. The error that comes of it is the cancel.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::engine::cx::JobCx;
use crate::engine::error::EngineError;

/// How often it is asked.
const TICK: Duration = Duration::from_millis(200);

/// Says that the work has ended, however it ended.
struct Ended<'a>(&'a Mutex<bool>, &'a Condvar);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        *self.0.lock() = true;
        self.1.notify_all();
    }
}

/// Does the work. Meanwhile `look` is called now and then, and `interrupt`, again and again, once the job is cancelled.
pub(super) fn interruptible<T>(
    cx: &dyn JobCx,
    look: &(dyn Fn() + Sync),
    interrupt: &(dyn Fn() + Sync),
    work: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let (ended, told) = (Mutex::new(false), Condvar::new());
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut is_over = ended.lock();
            while !*is_over {
                told.wait_for(&mut is_over, TICK);
                if *is_over {
                    return;
                }
                parking_lot::MutexGuard::unlocked(&mut is_over, || match cx.is_cancelled() {
                    true => interrupt(),
                    false => look(),
                });
            }
        });
        let _ended = Ended(&ended, &told);
        work()
    });
    match result {
        Err(e) if !matches!(e, EngineError::Cancelled(_)) => match cx.is_cancelled() {
            true => Err(EngineError::Cancelled(crate::engine::cx::Cancelled)),
            false => Err(e),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cx::TestCx;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_cancel_ends_what_the_driver_does() {
        let (cx, stopped) = (TestCx::default(), AtomicBool::new(false));
        let (gate, passed) = (Mutex::new(()), Condvar::new());
        cx.cancel_after(0);
        let interrupt = || {
            stopped.store(true, Ordering::SeqCst);
            passed.notify_all();
        };
        let result: Result<(), EngineError> = interruptible(&cx, &|| {}, &interrupt, || {
            let mut gate = gate.lock();
            while !stopped.load(Ordering::SeqCst) {
                passed.wait_for(&mut gate, TICK);
            }
            Err(EngineError::Corrupt("the driver's own error".to_owned()))
        });
        assert!(matches!(result, Err(EngineError::Cancelled(_))));
    }

    #[test]
    fn without_one_the_result_is_the_result() {
        let cx = TestCx::default();
        cx.cancel_after(3);
        assert_eq!(interruptible(&cx, &|| {}, &|| {}, || Ok(7)).unwrap(), 7);
        let e: Result<(), _> = interruptible(&cx, &|| {}, &|| {}, || Err(EngineError::Corrupt("x".to_owned())));
        assert!(matches!(e, Err(EngineError::Corrupt(_))));
        assert!(cx.check().is_ok(), "it is asked without counting");
    }
}
