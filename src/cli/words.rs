//! Values of the model in the words that lists and pages use.

use chrono_tz::Tz;

use super::call::all_forms;
use crate::cluster::ClusterState;
use crate::model::backup::{BackupEntry, BackupStatus, KeptTo, PitrTo, Proof};
use crate::model::clock::Millis;
use crate::model::log::{Change, ChangeKind, LogActual, LogStatus};
use crate::model::position::{Moment, Position};
use crate::model::text::safe;
use crate::model::time;
use crate::model::window::{Span, Window};
use crate::service::desk::NextRun;

/// Where times are shown: in which zone, and how long before which instant.
#[derive(Clone, Copy)]
pub(super) struct At {
    /// The zone.
    pub zone: Tz,
    /// Now.
    pub now: Millis,
    /// Whether it is about a server, where transactions and positions say exactly where, and timestamps nothing.
    pub server: bool,
}

impl At {
    /// A moment in all its forms: with its TSO where the cluster has an oracle.
    pub fn forms(&self, moment: Moment) -> String {
        let shown = if self.server {
            Moment::of_millis(moment.at)
        } else {
            moment
        };
        all_forms(shown, self.zone, self.now)
    }

    /// A sentence of the engine's, its moments in the zone of the rest.
    pub fn told(&self, text: &str) -> String {
        time::with_mentions(text, |at| self.local(at))
    }

    /// Local time with offset.
    pub fn local(&self, at: Millis) -> String {
        time::local(at, self.zone)
    }

    /// Local time with offset, and the distance from now.
    pub fn with_age(&self, at: Millis) -> String {
        format!("{}, {}", self.local(at), time::ago(self.now.since(at)))
    }

    /// Whether a backup can be used.
    pub fn status(&self, status: &BackupStatus) -> String {
        match status {
            BackupStatus::Complete => "complete".to_owned(),
            BackupStatus::Running { job } => format!("running, job {job}"),
            BackupStatus::Incomplete => "incomplete".to_owned(),
            BackupStatus::Failed { error } => format!("failed: {error}"),
            BackupStatus::Deleted { until } => format!("in the trash until {}", self.local(*until)),
            BackupStatus::Broken { error } => format!("broken: {error}"),
        }
    }

    /// Until when a backup is kept.
    pub fn kept_to(&self, entry: &BackupEntry) -> String {
        if entry.protection.is_some() {
            return "unprotected".to_owned();
        }
        match &entry.kept_to {
            KeptTo::Deleted => "always".to_owned(),
            KeptTo::Unprotected => "unprotected".to_owned(),
            KeptTo::Instant { at } => time::short(*at, self.zone),
            KeptTo::LastGood => "a newer one".to_owned(),
        }
    }

    /// How far a point-in-time restore from a backup can go.
    pub fn pitr_to(&self, to: &PitrTo) -> String {
        match to {
            PitrTo::Checkpoint => "checkpoint".to_owned(),
            PitrTo::Moment { moment, .. } => self.local(moment.at),
            PitrTo::SnapshotOnly => "itself".to_owned(),
        }
    }

    /// The last word on whether a backup is good.
    pub fn proof(&self, proof: Option<&Proof>) -> String {
        match proof {
            None => String::new(),
            Some(Proof {
                failed: Some(_),
                level,
                at,
            }) => {
                format!("{} FAILED {}", level.word(), time::day(*at, self.zone))
            }
            Some(Proof {
                failed: None,
                level,
                at,
            }) => format!("{} {}", level.word(), time::day(*at, self.zone)),
        }
    }

    /// The next scheduled snapshot.
    pub fn next_run(&self, next: &NextRun) -> String {
        match next {
            NextRun::Off => "off".to_owned(),
            NextRun::At { at } => self.with_age(*at),
            NextRun::Overdue { since } => format!("overdue since {}", self.local(*since)),
            NextRun::Retry { at } => format!("tried again {}", self.with_age(*at)),
        }
    }

    /// A span of the restorable window.
    pub fn span(&self, span: &Span) -> String {
        let ended = span.ended.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        if span.from == span.to {
            return format!("{} only{ended}", self.local(span.from.at));
        }
        format!("{} to {}{ended}", self.local(span.from.at), self.local(span.to.at))
    }

    /// The whole window, a line a span.
    pub fn window(&self, window: &Window) -> Vec<String> {
        if window.spans.is_empty() {
            return vec!["nothing".to_owned()];
        }
        window.spans.iter().map(|s| self.span(s)).collect()
    }

    /// What the log backup really does.
    pub fn actual(&self, log: &LogStatus) -> String {
        match &log.actual {
            LogActual::None => "never started".to_owned(),
            LogActual::Streaming => "streaming".to_owned(),
            LogActual::NoRunner => "no process runs it: start `brine agent`".to_owned(),
            LogActual::Failed { error, since } => format!("failing since {}: {error}", self.local(*since)),
            LogActual::Idle => "idle, as wanted".to_owned(),
        }
    }
}

/// A place in a server's own log; nothing where it is a timestamp, which the moment beside it shows.
pub(super) fn position(position: &Position) -> String {
    match position {
        Position::Tso(_) => String::new(),
        Position::Binlog { .. } => safe(&position.to_string(), 200),
    }
}

/// The state of a cluster in one word, for lists; why it is so stands on its page.
pub(super) fn short_state(state: &ClusterState) -> &'static str {
    match state {
        ClusterState::Available => "Available",
        ClusterState::Restoring { .. } => "Restoring",
        ClusterState::Closed { .. } => "Closed",
        ClusterState::Unreachable { .. } => "Unreachable",
    }
}

/// The state of a cluster, and why.
pub(super) fn state(state: &ClusterState) -> String {
    match state {
        ClusterState::Available => "Available".to_owned(),
        ClusterState::Restoring { .. } => "Restoring".to_owned(),
        ClusterState::Closed { why } => format!("Closed: {why}"),
        ClusterState::Unreachable { error } => format!("Unreachable: {error}"),
    }
}

/// What a change did.
pub(super) fn change(change: &Change) -> String {
    let what = match &change.kind {
        ChangeKind::Ddl { text } => text.as_str(),
        ChangeKind::MassDelete => "mass delete",
        ChangeKind::MassUpdate => "mass update",
        ChangeKind::BigTransaction => "big transaction",
        ChangeKind::Transaction => "transaction",
    };
    match &change.lacks {
        None => what.to_owned(),
        Some(lacks) => format!("{what} (not whole in the log: {lacks})"),
    }
}

/// A word with its number: `1 table`, `2 tables`.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// A number in groups of three digits, as `1,234,567`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_show_no_timestamp_of_an_oracle() {
        let moment = Moment::of_tso(crate::model::tso::Tso::from_millis(Millis(1_795_136_404_000)));
        let at = |server| At {
            zone: Tz::UTC,
            now: moment.at,
            server,
        };
        assert!(at(false).forms(moment).contains("TSO 470584237490176000"));
        assert!(!at(true).forms(moment).contains("TSO"));
        assert!(at(true).forms(moment).contains("2026-11-20 01:00:04"));
    }

    #[test]
    fn numbers_are_grouped_from_the_right() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), text);
        }
        assert_eq!(
            (count(1, "row", "rows"), count(2, "row", "rows")),
            ("1 row".into(), "2 rows".into())
        );
    }
}
