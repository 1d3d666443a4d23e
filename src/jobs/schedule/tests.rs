//! Days in the life of a schedule.

use super::*;
use crate::jobs::journal::{Journal, JournalError, NewJob};
use crate::jobs::lease::{HolderKind, Lease};
use crate::model::clock::{Clock, SystemClock};
use crate::model::job::Verb;
use std::sync::Arc;

/// Noon of 20 Nov 2026, UTC; the default Backup Time is 02:00.
const NOON: Millis = Millis(1_795_176_000_000);
const SLOT: Millis = Millis(NOON.0 - 10 * Millis::HOUR);
const NEXT: Millis = Millis(SLOT.0 + Millis::DAY);

fn on() -> Facts {
    let settings = BackupSettings {
        schedule: true,
        ..BackupSettings::default()
    };
    Facts {
        settings,
        newest_backup: None,
        since: None,
        last: None,
    }
}

fn run(slot: Millis, attempts: u32, state: JobState) -> Option<SlotRun> {
    let tried_at = slot.plus(i64::from(attempts - 1) * (RETRY_MS + Millis::MINUTE));
    Some(SlotRun {
        slot,
        attempts,
        tried_at,
        job: JobId(7),
        state: Some(state),
        ended: state.is_over().then_some(tried_at.plus(Millis::MINUTE)),
    })
}

fn started(decision: Option<Decision>) -> (Millis, u32, Why) {
    match decision {
        Some(Decision::Start { slot, why, .. }) => (slot.slot, slot.attempt, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn off_is_off_and_on_without_a_backup_is_at_once() {
    let mut f = on();
    assert_eq!(started(decide(&f, NOON)), (SLOT, 1, Why::First));
    assert_eq!(standing(&f, NOON), Some(Standing::NeverRan { next: NEXT }));
    f.since = Some(NOON.plus(-5));
    assert_eq!(started(decide(&f, NOON)), (NOON.plus(-5), 1, Why::First));
    f.settings.schedule = false;
    assert_eq!(
        (decide(&f, NOON), standing(&f, NOON)),
        (Some(Decision::Off), Some(Standing::Off))
    );
}

#[test]
fn switched_on_with_a_backup_waits_for_backup_time() {
    let f = Facts {
        newest_backup: Some(SLOT.plus(-Millis::DAY)),
        since: Some(NOON.plus(-Millis::MINUTE)),
        ..on()
    };
    assert_eq!(
        decide(&f, NOON),
        Some(Decision::Wait {
            next: NEXT,
            retry: None
        })
    );
    assert_eq!(standing(&f, NOON), Some(Standing::NeverRan { next: NEXT }));
    assert_eq!(started(decide(&f, NEXT)), (NEXT, 1, Why::Time));
    assert_eq!(standing(&f, NEXT), Some(Standing::Due { slot: NEXT }));
}

#[test]
fn missed_while_nobody_was_there_is_made_up_once() {
    let mut f = Facts {
        newest_backup: Some(SLOT.plus(-5 * Millis::DAY)),
        last: run(SLOT.plus(-5 * Millis::DAY), 1, JobState::Succeeded),
        ..on()
    };
    assert_eq!(started(decide(&f, NOON)), (SLOT, 1, Why::Missed));
    assert_eq!(
        standing(&f, NOON),
        Some(Standing::Overdue {
            slot: SLOT,
            next_try: None
        })
    );
    f.last = run(SLOT, 1, JobState::Running);
    assert_eq!(
        decide(&f, NOON),
        Some(Decision::Running {
            slot: SLOT,
            job: JobId(7)
        })
    );
    f.last = run(SLOT, 1, JobState::Succeeded);
    assert_eq!(
        decide(&f, NOON),
        Some(Decision::Wait {
            next: NEXT,
            retry: None
        })
    );
    assert_eq!(standing(&f, NOON), Some(Standing::NotYet { next: NEXT }));
    // The state directory is lost: the newest backup tells.
    let f = Facts {
        newest_backup: Some(SLOT.plus(-5 * Millis::DAY)),
        ..on()
    };
    assert_eq!(started(decide(&f, NOON)), (SLOT, 1, Why::Missed));
}

#[test]
fn a_failed_one_is_tried_every_twenty_minutes_until_the_next_slot() {
    let mut f = Facts {
        newest_backup: Some(SLOT.plus(-Millis::DAY)),
        last: run(SLOT, 1, JobState::Failed),
        ..on()
    };
    let ended = SLOT.plus(Millis::MINUTE);
    let ready = ended.plus(RETRY_MS);
    for t in [ended, ready.plus(-1)] {
        assert_eq!(
            decide(&f, t),
            Some(Decision::Wait {
                next: NEXT,
                retry: Some((SLOT, ready))
            })
        );
        assert_eq!(
            standing(&f, t),
            Some(Standing::Overdue {
                slot: SLOT,
                next_try: Some(ready)
            })
        );
    }
    assert_eq!(started(decide(&f, ready)), (SLOT, 2, Why::Retry));
    f.last = run(SLOT, 60, JobState::Failed);
    assert_eq!(started(decide(&f, NEXT.plus(-1))), (SLOT, 61, Why::Retry));
    assert_eq!(
        started(decide(&f, NEXT)),
        (NEXT, 1, Why::Time),
        "the next slot takes its place"
    );
}

#[test]
fn interrupted_goes_on_at_once_but_not_in_a_circle() {
    let mut f = Facts {
        newest_backup: Some(SLOT.plus(-Millis::DAY)),
        last: run(SLOT, 1, JobState::Interrupted),
        ..on()
    };
    let soon = SLOT.plus(2 * Millis::MINUTE);
    let slot = ScheduleSlot { slot: SLOT, attempt: 2 };
    assert_eq!(
        decide(&f, soon),
        Some(Decision::Start {
            slot,
            why: Why::Interrupted,
            interrupted: Some(JobId(7))
        })
    );
    f.last = run(SLOT, 2, JobState::Interrupted);
    let soon = f.last.unwrap().tried_at.plus(2 * Millis::MINUTE);
    assert!(matches!(decide(&f, soon), Some(Decision::Wait { retry: Some(_), .. })));
}

#[test]
fn cancelled_means_not_tonight() {
    let f = Facts {
        newest_backup: Some(SLOT.plus(-Millis::DAY)),
        last: run(SLOT, 1, JobState::Cancelled),
        ..on()
    };
    assert_eq!(
        decide(&f, NOON),
        Some(Decision::Wait {
            next: NEXT,
            retry: None
        })
    );
}

#[test]
fn another_backup_time_does_not_make_up_for_the_past() {
    let mut f = Facts {
        newest_backup: Some(SLOT),
        last: run(SLOT, 1, JobState::Succeeded),
        since: Some(NOON),
        ..on()
    };
    f.settings.backup_time = "09:00".parse().unwrap();
    assert_eq!(
        decide(&f, NOON),
        Some(Decision::Wait {
            next: SLOT.plus(31 * Millis::HOUR),
            retry: None
        })
    );
    f.settings.backup_time = "13:00".parse().unwrap();
    assert_eq!(
        decide(&f, NOON),
        Some(Decision::Wait {
            next: NOON.plus(Millis::HOUR),
            retry: None
        })
    );
}

#[test]
fn a_clock_that_jumped_runs_nothing_twice_and_silences_nothing() {
    let f = Facts {
        newest_backup: Some(SLOT),
        last: run(SLOT, 1, JobState::Succeeded),
        ..on()
    };
    // Set back over the slot that was run.
    assert_eq!(
        decide(&f, SLOT.plus(-Millis::HOUR)),
        Some(Decision::Wait {
            next: NEXT,
            retry: None
        })
    );
    // A year ahead, and back.
    let ahead = SLOT.plus(365 * Millis::DAY);
    let f = Facts {
        newest_backup: Some(ahead),
        last: run(ahead, 1, JobState::Succeeded),
        since: Some(ahead),
        ..on()
    };
    assert!(matches!(decide(&f, NOON), Some(Decision::Wait { next: NEXT, .. })));
    let f = Facts {
        newest_backup: Some(NOON.plus(-1)),
        last: run(ahead, 1, JobState::Failed),
        ..on()
    };
    assert_eq!(started(decide(&f, NEXT)), (NEXT, 1, Why::Time));
    // A failure "in the future" does not wait for it.
    let f = Facts {
        newest_backup: Some(SLOT.plus(-Millis::DAY)),
        last: run(SLOT, 20, JobState::Failed),
        ..on()
    };
    assert_eq!(started(decide(&f, SLOT.plus(Millis::HOUR))), (SLOT, 21, Why::Retry));
}

/// Thirty days against the journal, looked at every 10 minutes, twice: each slot runs once.
#[test]
fn a_month_of_ticks_runs_every_slot_once() {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = Journal::open(Lease::acquire(dir.path(), HolderKind::Agent, &clock).unwrap(), clock).unwrap();
    let cluster = ClusterName::new("demo").unwrap();
    let settings = BackupSettings {
        schedule: true,
        time_zone: chrono_tz::Europe::Berlin,
        ..BackupSettings::default()
    };
    let mut scheduled = Scheduled {
        cluster: cluster.clone(),
        settings,
        newest_backup: Some(NOON),
    };
    journal.schedule_changed(&cluster, NOON).unwrap();
    let mut slots = Vec::new();
    let mut t = NOON;
    while t < NOON.plus(30 * Millis::DAY) {
        t = t.plus(10 * Millis::MINUTE);
        for due in tick(journal.reader(), &[scheduled.clone()], t).unwrap().due {
            let queue = || {
                let new = NewJob {
                    verb: Verb::Backup,
                    cluster: &cluster,
                    exclusive: None,
                    title: "",
                    command: None,
                    plan: &serde_json::Value::Null,
                    asked_by: "schedule",
                    resumable: true,
                    slot: Some(due.slot),
                };
                journal.insert_job(&new, t)
            };
            let id = queue().unwrap();
            assert!(matches!(queue(), Err(JournalError::SlotTaken)), "asked twice, run once");
            assert!(tick(journal.reader(), &[scheduled.clone()], t).unwrap().due.is_empty());
            // Every third slot fails at first.
            let fails = due.slot.attempt == 1 && slots.len() % 3 == 2;
            let end = if fails { JobState::Failed } else { JobState::Cancelled };
            let ended = crate::jobs::journal::Ended {
                state: end,
                at: t,
                progress: &crate::model::job::JobProgress::default(),
                error: None,
                receipt: None,
                resumable: false,
            };
            journal.end_job(id, JobState::Queued, &[], &[], &ended).unwrap();
            if !fails {
                slots.push(due.slot.slot);
                scheduled.newest_backup = Some(t);
            }
        }
    }
    assert_eq!(slots.len(), 30);
    assert!(slots.windows(2).all(|w| w[1].since(w[0]) == Millis::DAY), "{slots:?}");
}
