//! States as sign, word and colour; never by colour alone.

use crate::cluster::{ClusterKind, ClusterState};
use crate::model::backup::{BackupStatus, KeptTo, PitrTo, Proof};
use crate::model::clock::Millis;
use crate::model::ids::ClusterName;
use crate::model::job::JobState;
use crate::model::log::{LogActual, LogDesired, LogStatus};
use crate::model::position::{Moment, Position};
use crate::model::time;
use crate::model::window::Hole;
use crate::service::desk::{ClusterCard, HealthLevel, NextRun};
use crate::tui::glyphs::Glyphs;
use crate::tui::model::Model;
use crate::tui::paint::first_that_fits;
use crate::tui::theme::Meaning;

/// Text and its meaning.
pub type Words = (String, Meaning);

fn words(glyph: &str, word: &str, meaning: Meaning) -> Words {
    (format!("{glyph} {word}"), meaning)
}

/// What is shown in the place of a state or a number that could not be read: `?` and the age of what was known last.
pub fn unknown(m: &Model, cluster: &ClusterName, g: &Glyphs) -> Option<Words> {
    let since = m.unknown_since(cluster)?;
    let age = match m.now.since(since) {
        ..Millis::MINUTE => "<1m".to_owned(),
        ms => short_age(ms),
    };
    Some((format!("{} {age} old", g.unknown), Meaning::Unknown))
}

/// A cluster's health, or the state that goes before it.
pub fn health(m: &Model, card: &ClusterCard, g: &Glyphs) -> Words {
    if let Some(words) = unknown(m, &card.name, g) {
        return words;
    }
    match &card.state {
        ClusterState::Restoring { .. } => return words(g.busy, "Restoring", Meaning::Busy),
        ClusterState::Closed { .. } => return words(g.warn, "Closed", Meaning::Warn),
        ClusterState::Unreachable { .. } => return words(g.bad, "unreachable", Meaning::Error),
        ClusterState::Available => {}
    }
    let (glyph, meaning) = level(card.health.level, g);
    words(glyph, &card.health.word, meaning)
}

/// The sign and colour of a level.
pub fn level(level: HealthLevel, g: &Glyphs) -> (&'static str, Meaning) {
    match level {
        HealthLevel::Ok => (g.ok, Meaning::Ok),
        HealthLevel::Off => (g.off, Meaning::Muted),
        HealthLevel::Warning => (g.warn, Meaning::Warn),
        HealthLevel::Bad => (g.bad, Meaning::Error),
    }
}

/// The log backup: the wish and what is really so.
pub fn log(m: &Model, card: &ClusterCard, g: &Glyphs) -> Words {
    if let Some(words) = unknown(m, &card.name, g) {
        return words;
    }
    let status = &card.log;
    match (status.desired, &status.actual) {
        (None, _) | (_, LogActual::None) => words(g.off, "none", Meaning::Muted),
        (Some(LogDesired::Paused), _) => words(g.warn, "Paused", Meaning::Warn),
        (Some(LogDesired::Stopped), _) => words(g.off, "Stopped", Meaning::Muted),
        (Some(LogDesired::Running), LogActual::Streaming) => words(g.ok, "Running", Meaning::Ok),
        (Some(LogDesired::Running), LogActual::NoRunner) => words(g.warn, "no runner", Meaning::Warn),
        (Some(LogDesired::Running), LogActual::Failed { .. }) => words(g.bad, "failing", Meaning::Error),
        (Some(LogDesired::Running), LogActual::Idle) => words(g.busy, "starting", Meaning::Busy),
    }
}

/// How far the checkpoint lies behind now.
pub fn rpo(m: &Model, status: &LogStatus) -> Option<i64> {
    let wanted = matches!(status.desired, Some(LogDesired::Running | LogDesired::Paused));
    let checkpoint = status.checkpoint.filter(|_| wanted)?;
    Some(m.now.since(checkpoint.at).max(0))
}

/// The next scheduled snapshot.
pub fn next_run(m: &Model, next: &NextRun) -> Words {
    match next {
        NextRun::Off => ("off".to_owned(), Meaning::Muted),
        NextRun::At { at } => (format!("in {}", m.age(at.since(m.now))), Meaning::Base),
        NextRun::Overdue { .. } => ("overdue".to_owned(), Meaning::Error),
        NextRun::Retry { at } => (format!("retry {}", m.age(at.since(m.now))), Meaning::Warn),
    }
}

/// A short age for a proof: whole days, hours or minutes.
pub fn short_age(ms: i64) -> String {
    match ms {
        ..Millis::HOUR => format!("{}m", (ms / Millis::MINUTE).max(0)),
        Millis::HOUR..Millis::DAY => format!("{}h", ms / Millis::HOUR),
        Millis::DAY.. => format!("{}d", ms / Millis::DAY),
    }
}

/// A proof with its age; `none` is shown, because nothing says OK without evidence.
pub fn proof(m: &Model, proof: Option<&Proof>) -> Words {
    match proof {
        None => ("none".to_owned(), Meaning::Muted),
        Some(Proof { failed: Some(_), .. }) => ("FAILED".to_owned(), Meaning::Error),
        Some(p) => {
            let age = short_age(m.now.since(p.at));
            // The column is nine wide: `tested 2d`, `checksums`.
            let text = format!("{} {age}", p.level.word());
            let text = if text.len() > 9 {
                p.level.word().to_owned()
            } else {
                text
            };
            (text, Meaning::Ok)
        }
    }
}

/// A backup's status.
pub fn backup(status: &BackupStatus, g: &Glyphs) -> Words {
    let ((glyph, word), meaning) = backup_words(status, g);
    words(glyph, word, meaning)
}

/// The same as sign and word.
pub fn backup_words(status: &BackupStatus, g: &Glyphs) -> ((&'static str, &'static str), Meaning) {
    match status {
        BackupStatus::Complete => ((g.ok, "Complete"), Meaning::Ok),
        BackupStatus::Running { .. } => ((g.busy, "Running"), Meaning::Busy),
        BackupStatus::Incomplete => ((g.warn, "Partial"), Meaning::Warn),
        BackupStatus::Failed { .. } => ((g.bad, "Failed"), Meaning::Error),
        BackupStatus::Deleted { .. } => ((g.off, "In trash"), Meaning::Muted),
        BackupStatus::Broken { .. } => ((g.bad, "Broken"), Meaning::Error),
    }
}

/// Until when a backup is kept, at most eight wide.
pub fn kept_to(m: &Model, kept: &KeptTo) -> Words {
    match kept {
        KeptTo::Deleted => ("always".to_owned(), Meaning::Base),
        KeptTo::Unprotected => ("P always".to_owned(), Meaning::Protected),
        // Retention may drop it, and will when it runs next: a day in the past would say that it is gone.
        KeptTo::Instant { at } if *at <= m.now => ("next run".to_owned(), Meaning::Warn),
        KeptTo::Instant { at } => (time::day(*at, m.zone_shown()), Meaning::Base),
        KeptTo::LastGood => ("last one".to_owned(), Meaning::Base),
    }
}

/// How far a point-in-time restore from a backup reaches, at most eight wide.
pub fn pitr_to(m: &Model, pitr: &PitrTo, log: Option<&LogStatus>) -> Words {
    match pitr {
        PitrTo::Checkpoint => match log.map(|l| (&l.actual, l.checkpoint)) {
            Some((LogActual::Streaming, _)) | None => ("now".to_owned(), Meaning::Ok),
            Some((_, Some(at))) => (time::day(at.at, m.zone_shown()), Meaning::Warn),
            Some((_, None)) => ("itself".to_owned(), Meaning::Muted),
        },
        PitrTo::Moment { moment, .. } => (format!("! {}", time::day(moment.at, m.zone_shown())), Meaning::Warn),
        PitrTo::SnapshotOnly => ("itself".to_owned(), Meaning::Muted),
    }
}

/// A job's state.
pub fn job(state: JobState, g: &Glyphs) -> Words {
    let (glyph, meaning) = match state {
        JobState::Queued => (g.off, Meaning::Muted),
        JobState::Running => (g.busy, Meaning::Busy),
        JobState::Cancelling => (g.warn, Meaning::Warn),
        JobState::Succeeded => (g.ok, Meaning::Ok),
        JobState::Failed => (g.bad, Meaning::Error),
        JobState::Cancelled => (g.off, Meaning::Muted),
        JobState::Interrupted => (g.warn, Meaning::Warn),
    };
    words(glyph, state.word(), meaning)
}

/// A moment in all its forms, on one line.
pub fn echo(m: &Model, moment: Moment) -> String {
    format!("{}, {}{}", both_zones(m, moment), m.ago(moment.at), tso(m, moment))
}

/// A moment to the millisecond as local time, UTC and age.
pub fn echo_time(m: &Model, moment: Moment) -> String {
    let echo = time::Echo::of(moment, m.zone_here(), m.now);
    format!("{} = {}, {}", echo.local, echo.utc, m.ago(moment.at))
}

/// The same in so many cells: the age goes first, then UTC.
pub fn echo_within(m: &Model, moment: Moment, room: usize) -> String {
    let echo = time::Echo::of(moment, m.zone_here(), m.now);
    let both = format!("{} = {}", echo.local, echo.utc);
    let forms = [
        format!("{both}, {}", m.ago(moment.at)),
        both,
        format!("{}, {}", echo.local, m.ago(moment.at)),
    ];
    first_that_fits(&forms, room).unwrap_or(echo.local)
}

/// A moment as local time, UTC and, where there is one, TSO.
pub fn echo_place(m: &Model, moment: Moment) -> String {
    format!("{}{}", both_zones(m, moment), tso(m, moment))
}

/// To the second: beside it stands the TSO, which is exact.
fn both_zones(m: &Model, moment: Moment) -> String {
    let local = time::local(moment.at, m.zone_here());
    format!("{local} = {}", time::utc(moment.at))
}

fn tso(m: &Model, moment: Moment) -> String {
    place(m, moment).map(|t| format!(", {t}")).unwrap_or_default()
}

/// A moment as the timestamp of the cluster that is shown; none on servers, which know only positions.
pub fn place(m: &Model, moment: Moment) -> Option<String> {
    let page = m.cluster().and_then(|c| m.store.page(&c));
    let server = page.is_some_and(|p| {
        let kind = p.facts.as_ref().map(|f| f.kind);
        kind == Some(ClusterKind::Mysql) || matches!(p.card.log.position, Some(Position::Binlog { .. }))
    });
    moment.tso.filter(|_| !server).map(|t| format!("TSO {t}"))
}

/// A position of a server's log; nothing where the timestamp says it already.
pub fn server_place(position: Option<&Position>) -> Option<String> {
    position
        .filter(|p| matches!(p, Position::Binlog { .. }))
        .map(Position::to_string)
}

/// How many stretches of a window cannot be restored, and of which kind; `no gap` only when there is none at all.
pub fn holes(holes: &[Hole]) -> String {
    let between = holes.iter().filter(|h| h.between_histories).count();
    let gaps = match holes.len() - between {
        0 => None,
        1 => Some("one gap".to_owned()),
        n => Some(format!("{n} gaps")),
    };
    let turns = match between {
        0 => None,
        1 => Some("one hole between histories".to_owned()),
        n => Some(format!("{n} holes between histories")),
    };
    match (gaps, turns) {
        (None, None) => "no gap".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(gaps), Some(turns)) => format!("{gaps}, {turns}"),
    }
}

/// The same in a few letters.
pub fn few_holes(holes: &[Hole]) -> String {
    match holes.len() {
        0 => "no gap".to_owned(),
        1 => "1 hole".to_owned(),
        n => format!("{n} holes"),
    }
}

/// A count with thousands separated; millions shortened.
pub fn count(n: u64) -> String {
    if n >= 10_000_000 {
        return format!("{:.1} M", n as f64 / 1e6);
    }
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 table`, `2 tables`.
pub fn plural(n: u64, one: &str) -> String {
    let many = match one {
        "history" => "histories".to_owned(),
        _ => format!("{one}s"),
    };
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{} {many}", count(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_204_511, "1,204,511"),
            (118_000_000, "118.0 M"),
        ] {
            assert_eq!(count(n), text);
        }
        assert_eq!(
            (plural(1, "table"), plural(2, "table")),
            ("1 table".to_owned(), "2 tables".to_owned())
        );
    }

    #[test]
    fn proof_ages_fit_their_column() {
        assert_eq!(short_age(2 * Millis::DAY + 5), "2d");
        assert_eq!(short_age(59 * Millis::MINUTE), "59m");
        assert_eq!(short_age(23 * Millis::HOUR), "23h");
    }
}
