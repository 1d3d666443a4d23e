//! Whether the log at the source goes on from where the archive's ends: told from the places of both, whoever runs the log backup,
//! and also when nobody does.

use super::ward::Ward;
use crate::cluster::{ClusterFacts, codec};
use crate::model::backup::{BackupEntry, PitrTo};
use crate::model::clock::Millis;
use crate::model::ids::ClusterName;
use crate::model::log::{LogDesired, LogRun, LogStatus};

/// A server may need so long to count what it has already sent.
const COUNTED_WITHIN: i64 = 2 * Millis::SECOND;

/// The stretch that should grow.
fn growing(log: &LogStatus) -> Option<&LogRun> {
    let wanted = matches!(log.desired, Some(LogDesired::Running | LogDesired::Paused));
    log.runs.last().filter(|r| wanted && r.ended.is_none())
}

/// Why it does not go on, if the source can be asked and says so.
pub(super) fn asked(ward: &Ward, log: &LogStatus) -> Option<String> {
    growing(log)?;
    astray(ward.name(), log, &ward.facts().ok()?)
}

/// Why it does not go on, by what is known of the source.
pub(super) fn astray(cluster: &ClusterName, log: &LogStatus, facts: &ClusterFacts) -> Option<String> {
    let run = growing(log)?;
    // What was heard before the archive came so far says nothing.
    let heard_behind = facts.now.moment.at >= run.to.at.plus(COUNTED_WITHIN);
    let goes_on = codec(facts.kind).continues(&facts.now.position, &run.to_position);
    (heard_behind && goes_on == Some(false)).then(|| {
        format!(
            "the server's log is at {}, and does not go on from {}, where the archive ends: it was reset, or this is another server, or \
             one that lags behind; what was committed since {} can be restored to no point in time. Take a snapshot: `brine backup \
             create {cluster}`; where that is refused, `brine cluster adopt {cluster}` comes before it",
            facts.now.position,
            run.to_position,
            run.to.at.utc().format("%d %b %H:%M:%S UTC")
        )
    })
}

/// No backup reaches further than the end of a log that does not go on.
pub(super) fn bound(entries: &mut [BackupEntry], log: &LogStatus) {
    let (Some(run), true) = (growing(log), log.astray.is_some()) else {
        return;
    };
    for entry in entries.iter_mut().filter(|e| e.pitr_to == PitrTo::Checkpoint) {
        entry.pitr_to = match entry.summary.commit <= run.to {
            true => PitrTo::Moment {
                moment: run.to,
                because: "the server's log does not go on from there".to_owned(),
            },
            false => PitrTo::SnapshotOnly,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ClusterKind, ClusterState, Mark};
    use crate::model::ids::IncarnationId;
    use crate::model::log::RunEnd;
    use crate::model::position::{Moment, Position};

    fn place(gtid: &str) -> Position {
        Position::Binlog {
            gtid: gtid.to_owned(),
            file: "bin.000001".to_owned(),
            offset: 4,
            begun: None,
            unlogged: None,
        }
    }

    fn log(desired: LogDesired, ended: Option<RunEnd>) -> LogStatus {
        let at = |s: i64| Moment::of_millis(Millis(s * 1000));
        let run = LogRun {
            incarnation: IncarnationId(1),
            from: at(0),
            from_position: place(""),
            to: at(100),
            to_position: place("0-1-7"),
            first_seq: 0,
            end_seq: 0,
            first_hash: String::new(),
            last_hash: String::new(),
            ended,
            lacking: Vec::new(),
            waiting: Vec::new(),
        };
        LogStatus {
            desired: Some(desired),
            runs: vec![run],
            ..LogStatus::none()
        }
    }

    fn facts(gtid: &str, second: i64) -> ClusterFacts {
        ClusterFacts {
            kind: ClusterKind::Mysql,
            version: "MariaDB 10.11.1".to_owned(),
            identity: "mariadb:0-1".to_owned(),
            address: None,
            state: ClusterState::Available,
            tables: 0,
            rows_estimate: 0,
            bytes_estimate: 0,
            sessions: 0,
            now: Mark {
                moment: Moment::of_millis(Millis(second * 1000)),
                position: place(gtid),
            },
            history_from: None,
        }
    }

    #[test]
    fn a_log_that_was_reset_is_told_of_whoever_runs_the_backup() {
        let shop = ClusterName::new("shop").unwrap();
        let said = |log: &LogStatus, gtid: &str, second| astray(&shop, log, &facts(gtid, second));
        let running = log(LogDesired::Running, None);
        let why = said(&running, "0-1-3", 200).unwrap();
        assert!(
            why.contains("0-1-3") && why.contains("brine cluster adopt shop"),
            "{why}"
        );
        assert!(said(&log(LogDesired::Paused, None), "", 200).is_some());
        assert_eq!(said(&running, "0-1-7", 200), None);
        assert_eq!(said(&running, "0-2-9", 200), None);
        assert_eq!(said(&running, "0-1-3", 101), None, "heard too early");
        assert_eq!(said(&log(LogDesired::Stopped, None), "0-1-3", 200), None);
        assert_eq!(
            said(&log(LogDesired::Running, Some(RunEnd::SourceLogGone)), "0-1-3", 200),
            None
        );
    }
}
