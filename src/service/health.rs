//! Health: how a cluster's backups are doing, from facts, never from a task's own word.
//!
//! Pure: facts in, findings out. Each finding says what is wrong and what to do.

use super::desk::{Health, HealthLevel, NextRun};
use crate::cluster::ClusterState;
use crate::engine::view::View;
use crate::model::clock::Millis;
use crate::model::ids::JobId;
use crate::model::log::{LogActual, LogDesired, LogStatus, RunEnd};
use crate::model::time::mention;

/// From so long a gap on, the log backup is late.
const LATE: i64 = 10 * Millis::MINUTE;
/// From so long a gap on, somebody should know.
const SLOW: i64 = 2 * Millis::MINUTE;
/// A backup older than this is old even without a schedule.
const OLD_BACKUP: i64 = 8 * Millis::DAY;

/// What health looks at.
pub struct Facts<'a> {
    /// The state of the database.
    pub state: &'a ClusterState,
    /// The archive; `None` while there is none.
    pub view: Option<&'a View>,
    /// The log backup.
    pub log: &'a LogStatus,
    /// The schedule.
    pub next_run: &'a NextRun,
    /// The restore that closed it and was interrupted.
    pub interrupted: Option<JobId>,
    /// Now.
    pub now: Millis,
}

struct Finding {
    level: HealthLevel,
    word: &'static str,
    text: String,
}

/// Puts the findings together; the worst gives level and word.
pub fn health(facts: &Facts<'_>) -> Health {
    let mut findings = Vec::new();
    state(facts, &mut findings);
    backups(facts, &mut findings);
    log(facts, &mut findings);
    findings.sort_by_key(|f: &Finding| std::cmp::Reverse(f.level));
    let off = facts.next_run == &NextRun::Off && facts.log.desired.is_none();
    let (level, word) = match findings.first() {
        Some(worst) => (worst.level, worst.word),
        None if off => (HealthLevel::Off, "off"),
        None => (HealthLevel::Ok, "ok"),
    };
    Health {
        level,
        word: word.to_owned(),
        reasons: findings.into_iter().map(|f| f.text).collect(),
    }
}

fn state(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    match facts.state {
        ClusterState::Available => {}
        ClusterState::Restoring { .. } => out.push(match facts.interrupted {
            None => Finding {
                level: HealthLevel::Warning,
                word: "restoring",
                text: "the cluster is closed while a restore runs".to_owned(),
            },
            Some(job) => Finding {
                level: HealthLevel::Bad,
                word: "interrupted",
                text: format!(
                    "the restore of job {job} was interrupted and the cluster is closed: go on with `brine job resume {job}`, \
                     or open it as it was with `brine cluster open`"
                ),
            },
        }),
        ClusterState::Closed { why } => out.push(Finding {
            level: HealthLevel::Warning,
            word: "closed",
            text: format!("the cluster is closed: {why}; open it with `brine cluster open`"),
        }),
        ClusterState::Unreachable { error } => out.push(Finding {
            level: HealthLevel::Bad,
            word: "unreachable",
            text: match facts.view.is_some_and(|view| !view.bases().is_empty()) {
                true => format!("the cluster cannot be reached: {error}; it can still be restored elsewhere"),
                false => format!("the cluster cannot be reached: {error}"),
            },
        }),
    }
}

fn backups(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let bases = facts.view.map(View::bases).unwrap_or_default();
    let Some(newest) = bases.last() else {
        let wanted = facts.next_run != &NextRun::Off || facts.log.desired == Some(LogDesired::Running);
        out.push(Finding {
            level: if wanted { HealthLevel::Bad } else { HealthLevel::Off },
            word: "no backup",
            text: "there is no backup: nothing can be restored; take the first one now".to_owned(),
        });
        return;
    };
    let age = facts.now.since(newest.commit.at);
    match facts.next_run {
        NextRun::Overdue { .. } => out.push(Finding {
            level: HealthLevel::Bad,
            word: "overdue",
            text: "the scheduled snapshot is overdue: start `brine agent`, or open the console".to_owned(),
        }),
        NextRun::Retry { .. } => out.push(Finding {
            level: HealthLevel::Warning,
            word: "retrying",
            text: "the last scheduled snapshot failed and is tried again; look at its job".to_owned(),
        }),
        NextRun::Off | NextRun::At { .. } if age > OLD_BACKUP => out.push(Finding {
            level: HealthLevel::Warning,
            word: "old",
            text: format!(
                "the newest backup is {} days old: take one, or turn the schedule on",
                age / Millis::DAY
            ),
        }),
        NextRun::Off | NextRun::At { .. } => {}
    }
    if let Some(view) = facts.view {
        proved_bad(view, out);
    }
}

fn proved_bad(view: &View, out: &mut Vec<Finding>) {
    for (id, error) in &view.broken {
        out.push(Finding {
            level: HealthLevel::Bad,
            word: "broken",
            text: format!("backup {id} cannot be used: {error}"),
        });
    }
    for backup in view.backups.iter().filter(|b| view.is_proved_bad(&b.id)) {
        out.push(Finding {
            level: HealthLevel::Bad,
            word: "broken",
            text: format!("the last verification of backup {} failed: take a new one", backup.id),
        });
    }
}

fn log(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let log = facts.log;
    let mut add = |level, word, text: String| out.push(Finding { level, word, text });
    match (&log.desired, &log.actual) {
        (Some(LogDesired::Running), LogActual::NoRunner) => add(
            HealthLevel::Bad,
            "no runner",
            "the log backup should run, but no process runs it: start `brine agent`, or open the console".to_owned(),
        ),
        (Some(LogDesired::Running), LogActual::Failed { error, .. }) => {
            add(
                HealthLevel::Bad,
                "log failed",
                format!("the log backup fails and is tried again: {error}"),
            );
        }
        (Some(LogDesired::Running), _) => match log.rpo_gap_ms {
            Some(gap) if gap > LATE => add(HealthLevel::Bad, "late", lag(gap)),
            Some(gap) if gap > SLOW => add(HealthLevel::Warning, "slow", lag(gap)),
            _ => {}
        },
        (Some(LogDesired::Paused), _) => {
            add(
                HealthLevel::Warning,
                "paused",
                "the log backup is paused: what is written now cannot be restored to a point in time until it goes on"
                    .to_owned(),
            );
        }
        (Some(LogDesired::Stopped) | None, _) => {}
    }
    if let Some(why) = &log.astray {
        add(HealthLevel::Bad, "log broken", why.clone());
    }
    if let Some(why) = log
        .needs_base
        .as_ref()
        .filter(|_| log.desired == Some(LogDesired::Running))
    {
        add(HealthLevel::Warning, "needs base", why.clone());
    }
    if let [.., before, last] = log.runs.as_slice()
        && before.ended == Some(RunEnd::SourceLogGone)
        && before.incarnation == last.incarnation
        && facts.now.since(before.to.at) < Millis::DAY
    {
        let at = mention(before.to.at);
        add(
            HealthLevel::Warning,
            "gap",
            format!("the log has a gap after {at}: moments in it cannot be restored"),
        );
    }
}

fn lag(gap: i64) -> String {
    format!(
        "the log backup is {} min behind: that much would be lost now",
        gap / Millis::MINUTE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(desired: Option<LogDesired>, actual: LogActual, gap: Option<i64>) -> LogStatus {
        LogStatus {
            desired,
            actual,
            rpo_gap_ms: gap,
            ..LogStatus::none()
        }
    }

    fn of(log: &LogStatus, next_run: &NextRun) -> Health {
        let state = ClusterState::Available;
        health(&Facts {
            state: &state,
            view: None,
            log,
            next_run,
            interrupted: None,
            now: Millis(0),
        })
    }

    #[test]
    fn a_cluster_nobody_asked_to_protect_is_off_and_says_that_nothing_can_be_restored() {
        let h = of(&log(None, LogActual::None, None), &NextRun::Off);
        assert_eq!((h.level, h.word.as_str()), (HealthLevel::Off, "no backup"));
        assert!(h.reasons[0].contains("nothing can be restored"));
    }

    #[test]
    fn a_log_that_should_run_and_does_not_is_bad() {
        let h = of(
            &log(Some(LogDesired::Running), LogActual::NoRunner, Some(0)),
            &NextRun::Off,
        );
        assert_eq!(h.level, HealthLevel::Bad);
        assert!(h.reasons.iter().any(|r| r.contains("brine agent")));
    }

    #[test]
    fn the_gap_decides_not_the_word_streaming() {
        let h = of(
            &log(Some(LogDesired::Running), LogActual::Streaming, Some(LATE + 1)),
            &NextRun::At { at: Millis(9) },
        );
        assert!(h.reasons.iter().any(|r| r.contains("behind")), "{h:?}");
    }
}
