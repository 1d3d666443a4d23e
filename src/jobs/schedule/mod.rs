//! When a daily backup is due: pure decisions over the settings, the journal's runs and the clock.
//!
//! The slots are in `slots.rs`. The loop that sleeps, asks [`tick`] and starts what is due stands outside;
//! a slot is claimed by the job that is queued for it, so that asking twice starts nothing twice.
//!
//! *Invariants: a slot runs once, and again only after it failed; after a time without a runner at most one
//! missed slot is made up; a clock that jumped does not silence a schedule.*

mod slots;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use slots::{latest_slot, slot_after};

use super::journal::{JournalError, Reader, ScheduleSlot, SlotRun};
use crate::model::clock::Millis;
use crate::model::ids::{ClusterName, JobId};
use crate::model::job::JobState;
use crate::model::settings::BackupSettings;

/// A failed backup is tried again after this time.
pub const RETRY_MS: i64 = 20 * Millis::MINUTE;
/// A slot later than this is called missed or overdue.
const GRACE_MS: i64 = 10 * Millis::MINUTE;
/// A run further ahead than this was made by a clock that stood wrong.
const AHEAD_MS: i64 = Millis::DAY;
/// Clocks are stepped and machines sleep: never trust a longer wait.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What is known of a cluster's schedule.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its settings.
    pub settings: BackupSettings,
    /// When the newest good snapshot was taken, by whomever.
    pub newest_backup: Option<Millis>,
    /// Since when the schedule stands as it is, where known.
    pub since: Option<Millis>,
    /// The latest slot that was tried.
    pub last: Option<SlotRun>,
}

/// Why a backup is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The cluster has no backup yet.
    First,
    /// It is Backup Time.
    Time,
    /// Backup Time passed while nobody was there.
    Missed,
    /// The last try failed.
    Retry,
    /// The last try was interrupted.
    Interrupted,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The schedule is off.
    Off,
    /// Start a backup.
    Start {
        /// For this slot.
        slot: ScheduleSlot,
        /// Why.
        why: Why,
        /// The interrupted job of this slot; where it can be resumed, that is better than a new one.
        interrupted: Option<JobId>,
    },
    /// The slot's job is queued or at work.
    Running {
        /// The slot.
        slot: Millis,
        /// The job.
        job: JobId,
    },
    /// Nothing, until then.
    Wait {
        /// The next slot.
        next: Millis,
        /// The slot that failed and when it is tried again.
        retry: Option<(Millis, Millis)>,
    },
}

/// How a schedule stands, for the screens; says nothing of whether anybody is there to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Standing {
    /// Switched off.
    Off,
    /// The last slot was run; the next one is known.
    NotYet {
        /// The next slot.
        next: Millis,
    },
    /// It is time.
    Due {
        /// The slot.
        slot: Millis,
    },
    /// A scheduled backup is queued or at work.
    Running {
        /// The slot.
        slot: Millis,
        /// Its job.
        job: JobId,
    },
    /// A slot has passed without a good backup.
    Overdue {
        /// The slot.
        slot: Millis,
        /// When it is tried again, where that is fixed; otherwise as soon as a runner is there.
        next_try: Option<Millis>,
    },
    /// There has never been a scheduled backup.
    NeverRan {
        /// The next slot.
        next: Millis,
    },
}

/// Decides what to do; `None` only at the ends of the calendar.
pub fn decide(facts: &Facts, now: Millis) -> Option<Decision> {
    if !facts.settings.schedule {
        return Some(Decision::Off);
    }
    let latest = latest_slot(&facts.settings, now)?;
    let last = facts.last.filter(|run| run.slot.since(now) <= AHEAD_MS);
    if let Some(decision) = last.and_then(|run| unfinished(facts, &run, latest, now)) {
        return Some(decision);
    }
    let since = facts.since.map(|t| t.min(now));
    let last_slot = last.map(|run| run.slot);
    let fresh = last_slot.is_none_or(|slot| since.is_some_and(|since| since > slot));
    if facts.newest_backup.is_none() && fresh {
        return Some(start(since.unwrap_or(latest), 1, Why::First));
    }
    let covered = last_slot.max(since.or(facts.newest_backup.map(|t| t.min(now))));
    if covered.is_none_or(|t| t < latest) {
        let why = if now.since(latest) <= GRACE_MS {
            Why::Time
        } else {
            Why::Missed
        };
        return Some(start(latest, 1, why));
    }
    wait(facts, last_slot, None, now)
}

fn start(slot: Millis, attempt: u32, why: Why) -> Decision {
    Decision::Start {
        slot: ScheduleSlot { slot, attempt },
        why,
        interrupted: None,
    }
}

/// The next slot counts from the last slot, so that a clock set back does not run one twice.
fn wait(facts: &Facts, last: Option<Millis>, retry: Option<(Millis, Millis)>, now: Millis) -> Option<Decision> {
    let next = slot_after(&facts.settings, last.map_or(now, |slot| slot.max(now)))?;
    Some(Decision::Wait { next, retry })
}

/// What the last run still needs, if anything.
fn unfinished(facts: &Facts, run: &SlotRun, latest: Millis, now: Millis) -> Option<Decision> {
    let state = run.state?;
    if !state.is_over() {
        return Some(Decision::Running {
            slot: run.slot,
            job: run.job,
        });
    }
    let interrupted = match state {
        JobState::Failed => false,
        JobState::Interrupted => true,
        // Cancelling a scheduled backup means "not tonight".
        _ => return None,
    };
    // The next slot has come: it takes the place of the failed one.
    if latest > run.slot {
        return None;
    }
    // What dies as soon as it starts must not be started without pause.
    let at_once = interrupted && run.attempts <= 1;
    let tried = run.ended.map_or(run.tried_at, |ended| ended.max(run.tried_at));
    let ready = tried.plus(RETRY_MS);
    let clock_went_back = now < run.tried_at;
    if at_once || now >= ready || clock_went_back {
        let slot = ScheduleSlot {
            slot: run.slot,
            attempt: run.attempts.saturating_add(1),
        };
        let why = if interrupted { Why::Interrupted } else { Why::Retry };
        return Some(Decision::Start {
            slot,
            why,
            interrupted: interrupted.then_some(run.job),
        });
    }
    wait(facts, Some(run.slot), Some((run.slot, ready)), now)
}

/// How the schedule stands.
pub fn standing(facts: &Facts, now: Millis) -> Option<Standing> {
    let next = || slot_after(&facts.settings, now);
    Some(match decide(facts, now)? {
        Decision::Off => Standing::Off,
        Decision::Running { slot, job } => Standing::Running { slot, job },
        Decision::Start { why: Why::First, .. } => Standing::NeverRan { next: next()? },
        Decision::Start {
            slot, why: Why::Time, ..
        } => Standing::Due { slot: slot.slot },
        Decision::Start { slot, .. } => Standing::Overdue {
            slot: slot.slot,
            next_try: None,
        },
        Decision::Wait {
            retry: Some((slot, at)),
            ..
        } => Standing::Overdue {
            slot,
            next_try: Some(at),
        },
        Decision::Wait { next, retry: None } if facts.last.is_none() => Standing::NeverRan { next },
        Decision::Wait { next, retry: None } => Standing::NotYet { next },
    })
}

/// A cluster with its settings, as the service knows it.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// Its name.
    pub cluster: ClusterName,
    /// Its settings.
    pub settings: BackupSettings,
    /// When its newest good snapshot was taken.
    pub newest_backup: Option<Millis>,
}

/// A backup to be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueBackup {
    /// The cluster.
    pub cluster: ClusterName,
    /// Goes into [`JobSpec::slot`](super::runner::JobSpec::slot).
    pub slot: ScheduleSlot,
    /// Why.
    pub why: Why,
    /// The interrupted job of this slot: try [`Runner::resume`](super::runner::Runner::resume) first.
    pub interrupted: Option<JobId>,
}

/// What a look at all schedules gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// What to start now.
    pub due: Vec<DueBackup>,
    /// How long one may sleep before the next look.
    pub sleep: Duration,
}

/// What the journal and the service know of a cluster's schedule.
pub fn facts(reader: &Reader, cluster: &Scheduled, now: Millis) -> Result<Facts, JournalError> {
    Ok(Facts {
        settings: cluster.settings.clone(),
        newest_backup: cluster.newest_backup,
        since: reader.schedule_since(&cluster.cluster)?,
        last: reader.last_slot(&cluster.cluster, now.plus(AHEAD_MS))?,
    })
}

/// Looks at all schedules.
pub fn tick(reader: &Reader, clusters: &[Scheduled], now: Millis) -> Result<Tick, JournalError> {
    let mut tick = Tick {
        due: Vec::new(),
        sleep: LONGEST_SLEEP,
    };
    for scheduled in clusters {
        match decide(&facts(reader, scheduled, now)?, now) {
            Some(Decision::Start { slot, why, interrupted }) => {
                tick.due.push(DueBackup {
                    cluster: scheduled.cluster.clone(),
                    slot,
                    why,
                    interrupted,
                });
            }
            Some(Decision::Wait { next, retry }) => {
                let soonest = retry.map_or(next, |(_, at)| at.min(next));
                let left = u64::try_from(soonest.since(now)).unwrap_or(0);
                tick.sleep = tick.sleep.min(Duration::from_millis(left));
            }
            Some(Decision::Off | Decision::Running { .. }) | None => {}
        }
    }
    Ok(tick)
}

#[cfg(test)]
mod tests;
