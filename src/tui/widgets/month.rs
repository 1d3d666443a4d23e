//! A month as a grid: a cell for each day, with a sign for what it holds. What a sign means is the caller's business.

use chrono::{Datelike, Days, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use ratatui::layout::Rect;

use crate::model::clock::Millis;
use crate::tui::paint::Painter;
use crate::tui::theme::Meaning;

/// How wide a month is.
pub const WIDTH: u16 = 36;
/// How wide a day is.
const CELL: u16 = 5;

/// What a day's cell shows behind its number: a sign, and a mark beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// What can be done with the day.
    pub sign: (&'static str, Meaning),
    /// What happened on it.
    pub mark: (&'static str, Meaning),
}

/// The day of an instant in a zone.
pub fn day_of(at: Millis, zone: Tz) -> NaiveDate {
    at.utc().with_timezone(&zone).date_naive()
}

/// The instants at which a local day begins and ends.
pub fn ends(day: NaiveDate, zone: Tz) -> (Millis, Millis) {
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    (start(day, zone), start(next, zone))
}

/// The first instant of a local day; where the clock skips midnight, the first one after it.
fn start(day: NaiveDate, zone: Tz) -> Millis {
    let midnight = day.and_time(NaiveTime::MIN);
    let found = (0..=4).find_map(|half_hours| {
        let time = midnight.checked_add_signed(chrono::TimeDelta::minutes(30 * half_hours))?;
        zone.from_local_datetime(&time).earliest()
    });
    found.map_or(Millis(midnight.and_utc().timestamp_millis()), |t| {
        Millis(t.timestamp_millis())
    })
}

/// The weeks of a day's month, Mondays first, and which of them holds the day.
fn weeks(chosen: NaiveDate) -> (Vec<NaiveDate>, usize) {
    let first = chosen.with_day(1).unwrap_or(chosen);
    let monday = |d: NaiveDate| {
        let back = u64::from(d.weekday().num_days_from_monday());
        d.checked_sub_days(Days::new(back)).unwrap_or(d)
    };
    let mut mondays = Vec::new();
    let mut week = monday(first);
    while week <= chosen || week.month() == chosen.month() {
        mondays.push(week);
        let Some(next) = week.checked_add_days(Days::new(7)) else {
            break;
        };
        week = next;
    }
    let at = mondays.iter().position(|w| *w == monday(chosen)).unwrap_or(0);
    (mondays, at)
}

/// How many lines a day's month takes, its two heads included.
pub fn height(chosen: NaiveDate) -> u16 {
    weeks(chosen).0.len() as u16 + 2
}

/// Paints the month of a day. Where the area is too low, the weeks around the day are shown.
pub fn paint(
    p: &mut Painter<'_>,
    area: Rect,
    (chosen, zone, focus): (NaiveDate, Tz, bool),
    look: impl Fn(Millis, Millis) -> Day,
) {
    let title = chosen.format("%B %Y").to_string();
    p.put(
        area.x,
        area.y,
        area.width,
        &title,
        if focus { Meaning::Key } else { Meaning::Title },
    );
    for (i, name) in ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"].iter().enumerate() {
        p.put(area.x + CELL * i as u16, area.y + 1, 2, name, Meaning::Muted);
    }
    let (mondays, at) = weeks(chosen);
    let room = usize::from(area.height.saturating_sub(2));
    let from = crate::tui::list::scroll(at.saturating_sub(room / 2), at, room, mondays.len());
    for (line, week) in mondays.iter().skip(from).take(room).enumerate() {
        let y = area.y + 2 + line as u16;
        for i in 0..7u16 {
            let Some(day) = week.checked_add_days(Days::new(u64::from(i))) else {
                continue;
            };
            if day.month() != chosen.month() {
                continue;
            }
            let (begin, end) = ends(day, zone);
            let shown = look(begin, end);
            let x = area.x + CELL * i;
            let here = day == chosen;
            p.put_right(
                x,
                y,
                2,
                &day.day().to_string(),
                if here { Meaning::Title } else { Meaning::Base },
            );
            p.put(x + 2, y, 1, shown.sign.0, shown.sign.1);
            p.put(x + 3, y, 1, shown.mark.0, shown.mark.1);
            if here {
                p.highlight(Rect::new(x, y, 4, 1), y);
                if focus {
                    p.cursor_at(x, y);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_has_all_its_weeks() {
        let (mondays, at) = weeks(date("2026-11-20"));
        assert_eq!((mondays.len(), at), (6, 3));
        assert_eq!((mondays[0], mondays[5]), (date("2026-10-26"), date("2026-11-30")));
        let (mondays, at) = weeks(date("2027-02-28"));
        assert_eq!((mondays.len(), at), (4, 3));
        assert_eq!(height(date("2027-02-01")), 6);
    }

    #[test]
    fn days_of_changing_clocks_are_longer_and_shorter() {
        let zone = Tz::Europe__Berlin;
        let hours = |day: &str| {
            let (a, b) = ends(date(day), zone);
            b.since(a) / Millis::HOUR
        };
        assert_eq!(
            (hours("2026-10-25"), hours("2026-03-29"), hours("2026-11-20")),
            (25, 23, 24)
        );
        // Here midnight itself is skipped.
        let (a, b) = ends(date("2024-04-26"), Tz::Africa__Cairo);
        assert_eq!(b.since(a) / Millis::HOUR, 23);
    }
}
