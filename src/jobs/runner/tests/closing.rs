//! How a runner ends while there are jobs.

use super::*;

#[test]
fn what_comes_while_the_last_is_asked_after_is_done_too() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    r.close_when_idle(|| panic!("nobody was there"));
    assert!(r.submit(spec("demo"), Box::new(|_| Ok(json!({})))).is_err());

    drop(r);
    let r = runner(dir.path());
    let (work, begun, let_go) = gate();
    let first = r.submit(spec("demo"), work).unwrap();
    begun.recv_timeout(LONG).unwrap();
    let late = std::cell::Cell::new(None);
    std::thread::scope(|threads| {
        threads.spawn(|| let_go.send(()).unwrap());
        r.close_when_idle(|| {
            if late.get().is_none() {
                late.set(Some(r.submit(spec("demo"), Box::new(|_| Ok(json!({})))).unwrap()));
            }
        });
    });
    // The first may have been over before anybody looked.
    let all = [Some(first), late.get()];
    assert!(
        all.into_iter()
            .flatten()
            .all(|id| r.get(id).unwrap().state == JobState::Succeeded)
    );
    assert!(r.submit(spec("demo"), Box::new(|_| Ok(json!({})))).is_err());
}

#[test]
fn shutdown_cancels_and_waits() {
    let dir = tempfile::tempdir().unwrap();
    let r = runner(dir.path());
    let (work, begun, _keep) = gate();
    let running = r.submit(spec("demo"), work).unwrap();
    begun.recv_timeout(LONG).unwrap();
    let queued = r.submit(spec("demo"), Box::new(|_| panic!("must not run"))).unwrap();
    assert_eq!(r.active(), 2);
    assert!(r.shutdown(Shutdown::Cancel, LONG));
    for id in [running, queued] {
        assert_eq!(r.get(id).unwrap().state, JobState::Cancelled);
    }
}
