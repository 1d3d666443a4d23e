//! Progress: a bar that is never full before the job is done, a rate, and the time it ends as a clock time.

use unicode_width::UnicodeWidthStr;

use crate::model::clock::Millis;
use crate::model::job::{Job, JobState, JobStep, StepProgress, Unit};
use crate::model::size;
use crate::model::time;
use crate::tui::glyphs::Glyphs;
use crate::tui::model::Model;

use super::status::{count, plural};

/// How long nothing may move before it is said.
const STILL: i64 = 60 * Millis::SECOND;

/// `[####....]` of so many cells.
pub fn bar(g: &Glyphs, basis_points: Option<u32>, cells: usize) -> String {
    if g.quiet {
        return String::new();
    }
    let Some(points) = basis_points else {
        return format!("[{}]", g.todo.repeat(cells));
    };
    let done = (points.min(10_000) as usize * cells) / 10_000;
    format!("[{}{}]", g.done.repeat(done), g.todo.repeat(cells - done))
}

/// `42 %`, or `?` while it cannot be known.
pub fn percent(basis_points: Option<u32>) -> String {
    basis_points.map_or_else(|| "  ?".to_owned(), |p| format!("{} %", p.min(10_000) / 100))
}

/// So many of a unit.
pub fn amount(n: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => size::iec(n),
        Unit::Rows => plural(n, "row"),
        Unit::Objects => plural(n, "object"),
        Unit::Tables => plural(n, "table"),
        Unit::Transactions => plural(n, "transaction"),
    }
}

/// `3.1 GiB of 4.0 GiB`.
pub fn steps(progress: &StepProgress) -> String {
    match (progress.total, progress.unit) {
        (Some(total), Unit::Bytes) => format!("{} of {}", size::iec(progress.done), size::iec(total)),
        (Some(total), unit) => format!("{} of {}", count(progress.done), amount(total, unit)),
        // A step that counts nothing says nothing.
        (None, _) if progress.done == 0 => String::new(),
        (None, unit) => amount(progress.done, unit),
    }
}

/// `212 MiB/s`.
pub fn rate(job: &Job) -> Option<String> {
    let unit = job.steps.last()?.progress.unit;
    (job.progress.rate > 0.0).then(|| format!("{}/s", amount(job.progress.rate as u64, unit)))
}

/// `ends about 14:52`, or a range, or nothing while it cannot be known.
pub fn ends(m: &Model, job: &Job) -> Option<String> {
    let (from, to) = job.progress.left_ms?;
    let zone = m.zone_of(Some(&job.cluster));
    let clock = |ms: i64| m.now.plus(ms).utc().with_timezone(&zone).format("%H:%M").to_string();
    let (a, b) = (clock(from), clock(to));
    Some(if a == b {
        format!("ends about {a}")
    } else {
        format!("ends about {a}-{b}")
    })
}

/// `no movement for 6 min in load tables`, when that is so.
pub fn stillness(m: &Model, job: &Job) -> Option<String> {
    let moved = job.progress.moved.or(job.started)?;
    let still = m.now.since(moved);
    let step: Option<&JobStep> = job.steps.last().filter(|s| s.ended.is_none());
    let step = step.map(|s| format!(" in {}", s.name)).unwrap_or_default();
    (job.state == JobState::Running && still >= STILL).then(|| format!("no movement for {}{step}", time::age(still)))
}

/// One line about a running job, at most so many cells wide: what does not fit is left out whole, the least important
/// first.
pub fn ticker(m: &Model, job: &Job, g: &Glyphs, width: usize) -> String {
    let doing = match job.state {
        JobState::Cancelling => "cancelling".to_owned(),
        JobState::Queued => "queued".to_owned(),
        _ => job.steps.last().map(|s| s.name.clone()).unwrap_or_default(),
    };
    let doing = crate::tui::paint::safe(&doing);
    let tail = stillness(m, job).or_else(|| ends(m, job)).unwrap_or_default();
    let cluster = crate::tui::paint::fit(job.cluster.as_str(), 20, g.cut);
    let percent = percent(job.progress.basis_points);
    let head = format!("job {} {} {cluster}", job.id, job.verb.word());
    let line = |cells: usize, parts: [&str; 2]| {
        let bar = bar(g, job.progress.basis_points, cells);
        let parts = parts.into_iter().filter(|p| !p.is_empty()).map(|p| format!("  {p}"));
        format!("{head}  {bar} {percent}{}", parts.collect::<String>())
    };
    let tries = [
        line(12, [&tail, &doing]),
        line(6, [&tail, &doing]),
        line(12, [&tail, ""]),
        line(6, [&tail, ""]),
    ];
    let fits = tries.into_iter().find(|t| t.width() <= width);
    fits.unwrap_or_else(|| format!("{head}  {percent}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::glyphs::ASCII;

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        assert_eq!(bar(&ASCII, Some(9_999), 10), "[#########.]");
        assert_eq!(bar(&ASCII, Some(10_000), 10), "[##########]");
        assert_eq!(bar(&ASCII, None, 3), "[...]");
        assert_eq!(percent(Some(9_999)), "99 %");
    }
}
