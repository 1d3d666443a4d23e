//! How Restore 1/2 looks: the choices, the timeline, the list to choose from, and the live answer below.

use ratatui::layout::Rect;

use super::log::{view_changes, what_where};
use super::restore::{Focus, Mode, Place, Point, Restore, SUFFIX, Which};
use crate::model::position::Moment;
use crate::model::size;
use crate::model::time;
use crate::model::window::{Span, Window};
use crate::tui::event::Query;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, first_that_fits, safe, wrap};
use crate::tui::popups::form::view_input;
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::pick::{self, Pick};
use crate::tui::widgets::table::{self, left, right};
use crate::tui::widgets::{bar, status};

const LABEL: u16 = 14;

/// Paints it.
pub fn view(s: &Restore, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    if m.store.card(&s.cluster).is_none() {
        return super::messages::view_loading(m, &Query::Cluster(s.cluster.clone()), p, area);
    }
    if m.zoomed && s.in_list() {
        return middle_part(s, m, cache, p, area);
    }
    let x = area.x + 1;
    let mut y = area.y;
    choices(p, area, y, "Restore Mode", s.focus == Focus::Mode, &modes(s));
    y += 1;
    if s.mode == Mode::PointInTime {
        choices(p, area, y, "Point", s.focus == Focus::Point, &points(s));
        y += 1;
    }
    p.put(x, y, LABEL, "Restorable", Meaning::Muted);
    p.put(
        x + LABEL,
        y,
        area.width.saturating_sub(LABEL + 2),
        &bounds(s, m),
        Meaning::Base,
    );
    y += 1;
    if s.mode == Mode::PointInTime {
        timeline(s, m, p, area, y);
        y += 2;
    }
    let below = 7 + u16::from(s.which == Which::Chosen) + u16::from(s.place == Place::Other);
    // In a small terminal the list takes the place of the fields below it, until one of those has the keys.
    let upper = matches!(
        s.focus,
        Focus::Mode | Focus::Point | Focus::Timeline | Focus::Time | Focus::Changes | Focus::Snapshots
    );
    let tight = area.bottom().saturating_sub(y + below) < 4 && upper;
    let below = if tight { 3 } else { below };
    let middle = Rect::new(area.x, y, area.width, area.bottom().saturating_sub(y + below));
    let cursor = p.cursor;
    middle_part(s, m, cache, p, middle);
    if !s.in_list() {
        // The list has a selected line, but another field has the keys.
        p.cursor = cursor;
    }
    answer(
        s,
        m,
        p,
        Rect::new(area.x, area.bottom().saturating_sub(below), area.width, below),
    );
}

fn modes(s: &Restore) -> Vec<Pick> {
    let option = |long: &str, short, mode| Pick::new(long, short, s.mode == mode);
    vec![
        option("Basic Snapshot Restore", "Snapshot", Mode::Snapshot),
        option("Point-in-Time Restore", "Point-in-Time", Mode::PointInTime),
    ]
}

fn points(s: &Restore) -> Vec<Pick> {
    let option = |long: &str, short, point| Pick::new(long, short, s.point == point);
    let (change, short) = match s.through {
        true => ("Through a change", "Through"),
        false => ("Just before a change", "Before"),
    };
    vec![
        option("Latest", "Latest", Point::Latest),
        option("Exact time", "Exact", Point::Exact),
        option(change, short, Point::BeforeChange),
        option("Fastest", "Fastest", Point::Fastest),
    ]
}

/// A label and its choices on one line.
fn choices(p: &mut Painter<'_>, area: Rect, y: u16, label: &str, focus: bool, options: &[Pick]) {
    let x = area.x + 1;
    p.put(x, y, LABEL, label, if focus { Meaning::Key } else { Meaning::Muted });
    pick::paint(p, (x + LABEL, y, area.width.saturating_sub(LABEL + 2)), focus, options);
}

/// Both ends of the window with the age of the later one, and its gaps.
fn bounds(s: &Restore, m: &Model) -> String {
    let Some((window, (from, to))) = s.window(m).and_then(|w| Some((w, w.bounds()?))) else {
        return "nothing yet: go back and press B to take the first backup".to_owned();
    };
    let zone = m.zone_shown();
    let gaps = status::holes(&window.holes());
    let few = status::few_holes(&window.holes());
    let offset = time::offset(to.at, zone);
    let (a, b) = (time::short_seconds(from.at, zone), time::short_seconds(to.at, zone));
    let bounds = format!("{a} -> {b} {offset} ({})", m.ago(to.at));
    let short = format!(
        "{} -> {} {offset}",
        time::short(from.at, zone),
        time::short(to.at, zone)
    );
    // Both ends stand beside the field whatever the width; where the holes are, the bar below shows.
    let room = usize::from(m.size.0.saturating_sub(LABEL + 2));
    let forms = [
        format!("{bounds}, {gaps}"),
        format!("{bounds}, {few}"),
        format!("{short}, {few}"),
    ];
    first_that_fits(&forms, room).unwrap_or(short)
}

/// Two lines: the bar, and a mark under the chosen moment between the ends' times.
fn timeline(s: &Restore, m: &Model, p: &mut Painter<'_>, area: Rect, y: u16) {
    let (Some(window), Some(stretch)) = (s.window(m), s.stretch(m)) else {
        return;
    };
    let focus = s.focus == Focus::Timeline;
    let x = area.x + 1;
    let width = cells(area.width);
    p.put(x, y, 7, "Window", if focus { Meaning::Key } else { Meaning::Muted });
    p.put(x + 8, y, 1, p.glyphs.end, Meaning::Border);
    bar::paint(p, (x + 9, y), width, window, stretch);
    p.put(x + 9 + width, y, 1, p.glyphs.end, Meaning::Border);
    let zone = m.zone_shown();
    let (a, b) = (time::short(stretch.from, zone), time::short(stretch.to, zone));
    let here = s.moment(m).and_then(|at| stretch.cell(at.at, width));
    // The mark goes before the time of the end that it would cover.
    if here.is_none_or(|cell| cell > 12) {
        p.put(x + 9, y + 1, 12, &a, Meaning::Muted);
    }
    if here.is_none_or(|cell| cell + 13 < width) {
        p.put_right(x + 9, y + 1, width, &b, Meaning::Muted);
    }
    if let Some(cell) = here {
        p.put(x + 9 + cell, y + 1, 1, p.glyphs.here, Meaning::Mark);
        if focus {
            p.cursor_at(x + 9 + cell, y + 1);
        }
    }
}

/// How many cells the timeline has on a screen this wide.
pub fn cells(width: u16) -> u16 {
    width.saturating_sub(12).max(10)
}

fn middle_part(s: &Restore, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let body = Rect::new(area.x, area.y + 1, area.width, area.height - 1);
    match (s.mode, s.point) {
        (Mode::Snapshot, _) => {
            p.rule(area, area.y, "snapshots that can be restored");
            snapshots(s, m, cache, p, body);
        }
        (_, Point::BeforeChange) => {
            let what = if s.all {
                "all transactions"
            } else {
                "changes worth a look"
            };
            p.rule(
                area,
                area.y,
                &format!(
                    "{what} (a {}, / filter)",
                    if s.all { "fewer" } else { "all transactions" }
                ),
            );
            let query = Query::Changes(s.cluster.clone(), s.all);
            let empty = "No change worth a look in the archived log: choose Exact time, or a for all transactions.";
            let rows = s.change_rows(m);
            view_changes(m, cache, p, body, (&rows, &s.changes), (&query, empty));
        }
        (_, Point::Exact | Point::Fastest) => {
            p.rule(
                area,
                area.y,
                if s.point == Point::Exact {
                    "exact time"
                } else {
                    "newest snapshot before, no log"
                },
            );
            let focus = s.focus == Focus::Time;
            p.put(
                area.x + 1,
                body.y,
                LABEL,
                "Time",
                if focus { Meaning::Key } else { Meaning::Muted },
            );
            view_input(
                p,
                (area.x + 1 + LABEL, body.y),
                40.min(area.width.saturating_sub(LABEL + 2)),
                &s.time,
                focus,
            );
            let hints = [
                "2026-11-20 02:47:12 +01:00, yesterday 02:00, 10m ago, or a TSO",
                "2026-11-20 02:47:12, yesterday 02:00, 10m ago",
                "2026-11-20 02:47, yesterday 02:00, 10m ago",
            ];
            let room = area.width.saturating_sub(LABEL + 2);
            let hint = first_that_fits(&hints, usize::from(room)).unwrap_or_default();
            p.put(area.x + 1 + LABEL, body.y + 1, room, &hint, Meaning::Muted);
            let zone = format!("without a zone: {}", m.zone_of(Some(&s.cluster)).name());
            p.put(
                area.x + 1 + LABEL,
                body.y + 2,
                area.width.saturating_sub(LABEL + 2),
                &zone,
                Meaning::Muted,
            );
        }
        (_, Point::Latest) => {
            p.rule(area, area.y, "latest");
            let text = "The log is flushed first; everything that has been committed until then is restored.";
            p.put(area.x + 1, body.y, area.width.saturating_sub(2), text, Meaning::Base);
        }
    }
}

fn snapshots(s: &Restore, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    let columns = [
        left("SNAPSHOT", 2, 13),
        right("AGE", 16, 6),
        left("TYPE", 24, 8),
        right("SIZE", 33, 9),
        left("PROOF", 44, 12),
        left("ID", 57, 24),
    ];
    table::header(p, area, area.y, &columns);
    let rows = s.snapshot_rows(m);
    let body = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1));
    if rows.is_empty() {
        p.put(
            body.x + 2,
            body.y,
            body.width.saturating_sub(2),
            "No snapshot can be restored. Esc, then B takes one.",
            Meaning::Muted,
        );
        return;
    }
    let selected = s.snapshots.index().min(rows.len() - 1);
    let offset = table::rows(
        p,
        body,
        (rows.len(), Some(selected)),
        cache.offset("restore"),
        |p, i, y| {
            let Some(b) = rows.get(i) else { return };
            let (proof, meaning) = status::proof(m, b.proof.as_ref());
            let texts = [
                (m.stamp(b.summary.commit.at), Meaning::Title),
                (m.age(m.now.since(b.summary.commit.at)), Meaning::Base),
                (b.summary.kind.word().to_owned(), Meaning::Base),
                (size::iec(b.summary.stored_bytes), Meaning::Base),
                (proof, meaning),
                (b.summary.id.to_string(), Meaning::Muted),
            ];
            for (column, (text, meaning)) in columns.iter().zip(&texts) {
                table::cell(p, body, y, *column, (text, *meaning));
            }
        },
    );
    cache.set_offset("restore", offset);
}

/// The live answer: the moment in all forms, whether it can be restored, what, and where.
fn answer(s: &Restore, m: &Model, p: &mut Painter<'_>, area: Rect) {
    p.rule(area, area.y, &heading(s, m));
    let (x, width) = (area.x + 1, area.width.saturating_sub(2));
    let mut y = area.y + 1;
    let moment = match (s.mode, s.point) {
        (_, Point::Exact | Point::Fastest) if s.mode == Mode::PointInTime => s.typed(m),
        _ => s.moment(m).ok_or_else(|| "none chosen".to_owned()),
    };
    let exact = moment.as_ref().ok().copied();
    let moment = moment.map_or_else(
        |_| ("none yet".to_owned(), Meaning::Error),
        |at| {
            let room = usize::from(width.saturating_sub(LABEL));
            (status::echo_within(m, at, room), Meaning::Base)
        },
    );
    p.pieces(
        x,
        y,
        width,
        &[(&format!("{:<14}", "moment"), Meaning::Muted), (&moment.0, moment.1)],
    );
    y += 1;
    if m.accessible && s.focus == Focus::Timeline {
        // Who hears the screen hears the line of the cursor: the moment in words, not the bar.
        p.cursor_at(x, y - 1);
    }
    let (text, meaning) = verdict(s, m);
    let lines = match area.height {
        // One line, and where it is cut that is seen.
        ..7 => vec![safe(&text)],
        _ => wrap(&safe(&text), usize::from(width.saturating_sub(LABEL))),
    };
    p.put(x, y, LABEL, "restorable", Meaning::Muted);
    for line in lines.iter().take(2) {
        p.put(x + LABEL, y, width.saturating_sub(LABEL), line, meaning);
        y += 1;
    }
    if lines.len() < 2 && area.height >= 7 {
        p.put(
            x + LABEL,
            y,
            width.saturating_sub(LABEL),
            &boundary(s, m, exact),
            Meaning::Muted,
        );
    }
    if area.height < 7 {
        return;
    }
    y = area.y + 4;
    choices(p, area, y, "What", s.focus == Focus::Which, &whiches(s, m));
    if s.which == Which::Chosen {
        y += 1;
        tables(s, m, p, area, y);
    }
    choices(p, area, y + 1, "Where", s.focus == Focus::Place, &places(s));
    detail(s, m, p, area, y + 2);
}

/// Where exactly the line is drawn: the first transaction left out, or the timestamp.
fn boundary(s: &Restore, m: &Model, moment: Option<Moment>) -> String {
    let change = s
        .change(m)
        .filter(|_| s.mode == Mode::PointInTime && s.point == Point::BeforeChange);
    if let Some(change) = change {
        let word = if s.through { "last in " } else { "first out" };
        return format!("{word}   {}", change.transaction);
    }
    moment.and_then(|x| status::place(m, x)).unwrap_or_default()
}

fn heading(s: &Restore, m: &Model) -> String {
    match (s.mode, s.point) {
        (Mode::Snapshot, _) => "to this snapshot".to_owned(),
        (_, Point::Latest) => "to the latest moment".to_owned(),
        (_, Point::Exact) => "to this moment".to_owned(),
        (_, Point::Fastest) => "to the newest snapshot before this moment".to_owned(),
        (_, Point::BeforeChange) => s.change(m).map_or_else(
            || "to a change".to_owned(),
            |c| {
                let word = if s.through { "through" } else { "to just before" };
                format!("{word} {}", what_where(c))
            },
        ),
    }
}

fn verdict(s: &Restore, m: &Model) -> (String, Meaning) {
    if let Some(error) = &s.error {
        return (error.clone(), Meaning::Error);
    }
    match s.restorable(m) {
        Ok(None) => ("YES".to_owned(), Meaning::Ok),
        Ok(Some(span)) => {
            let text = s.moment(m).and_then(|at| Some(yes(m, s.window(m)?, span, at)));
            (text.unwrap_or_else(|| "YES".to_owned()), Meaning::Ok)
        }
        Err(why) => (format!("NO: {why}"), Meaning::Error),
    }
}

/// That a moment can be restored, and from what.
pub fn yes(m: &Model, window: &Window, span: &Span, at: Moment) -> String {
    let from = window.bases.partition_point(|b| b.commit <= at);
    let older = window.bases.get(..from).unwrap_or_default();
    let base = older.iter().rev().find(|b| b.incarnation == span.incarnation);
    base.map_or_else(
        || "YES".to_owned(),
        |b| {
            let log = time::age(at.at.since(b.commit.at));
            format!("YES: base {} + {log} of log, gapless", m.stamp(b.commit.at))
        },
    )
}

fn whiches(s: &Restore, m: &Model) -> Vec<Pick> {
    let table = s
        .change(m)
        .and_then(|c| c.table.clone())
        .map(|t| t.to_string())
        .unwrap_or_default();
    let pick = |w: Which| match w {
        Which::Whole => Pick::new("whole cluster", "whole", s.which == w),
        Which::TableOfChange => Pick::new(&table, "", s.which == w),
        Which::Chosen => Pick::new("choose tables", "choose", s.which == w),
    };
    s.whiches(m).into_iter().map(pick).collect()
}

fn places(s: &Restore) -> Vec<Pick> {
    let option = |long: &str, short, place| Pick::new(long, short, s.place == place);
    vec![
        option("beside it, under new names", "beside it", Place::Beside),
        option("other cluster", "other cluster", Place::Other),
        option("IN PLACE", "IN PLACE", Place::InPlace),
    ]
}

fn tables(s: &Restore, m: &Model, p: &mut Painter<'_>, area: Rect, y: u16) {
    let focus = s.focus == Focus::Tables;
    let x = area.x + 1;
    p.put(
        x,
        y,
        LABEL,
        "  Tables",
        if focus { Meaning::Key } else { Meaning::Muted },
    );
    let cells = area.width.saturating_sub(LABEL + 30).max(12);
    view_input(p, (x + LABEL, y), cells, &s.tables, focus);
    let all = s.tables(m);
    let (text, meaning) = match s.filter(m) {
        Ok(f) => (
            format!(
                "{} of {} in the base",
                all.iter().filter(|t| f.matches(t)).count(),
                all.len()
            ),
            Meaning::Ok,
        ),
        Err(_) if s.tables.value().trim().is_empty() => ("shop.* !shop.tmp_*".to_owned(), Meaning::Muted),
        Err(e) => (e, Meaning::Error),
    };
    p.put(
        x + LABEL + cells + 1,
        y,
        area.right().saturating_sub(x + LABEL + cells + 2),
        &text,
        meaning,
    );
}

/// The line that belongs to the place.
fn detail(s: &Restore, m: &Model, p: &mut Painter<'_>, area: Rect, y: u16) {
    let x = area.x + 1;
    let rest = area.width.saturating_sub(LABEL + 2);
    let label = |focus: bool| if focus { Meaning::Key } else { Meaning::Muted };
    match s.place {
        Place::Beside => {
            let focus = s.focus == Focus::Suffix;
            p.put(x, y, LABEL, "  New names", label(focus));
            let cells = if focus && s.suffix.value().contains('=') {
                40
            } else {
                18
            };
            view_input(p, (x + LABEL, y), cells, &s.suffix, focus);
            let room = rest.saturating_sub(cells + 1);
            let texts = match s.suffix.value().trim() {
                rules if rules.contains('=') => ["each name=new name".to_owned(), String::new()],
                // The engine looks for the first such name that is free.
                SUFFIX => [
                    format!("shop -> shop{SUFFIX}, or the next free name"),
                    "or the next free name".to_owned(),
                ],
                suffix => [
                    format!("shop -> shop{suffix}; or write a.b=c.d"),
                    format!("shop -> shop{suffix}"),
                ],
            };
            let text = first_that_fits(&texts, usize::from(room)).unwrap_or_default();
            p.put(x + LABEL + cells + 1, y, room, &text, Meaning::Muted);
        }
        Place::Other => {
            p.put(x, y, LABEL, "  Cluster", label(s.focus == Focus::Other));
            let others = s.others(m);
            let options: Vec<Pick> = others
                .iter()
                .map(|o| Pick::new(o.as_str(), "", Some(o) == s.other.as_ref()))
                .collect();
            if options.is_empty() {
                p.put(
                    x + LABEL,
                    y,
                    rest,
                    "there is no other cluster in the config",
                    Meaning::Error,
                );
            } else {
                choices(p, area, y, "  Cluster", s.focus == Focus::Other, &options);
            }
            let focus = s.focus == Focus::Names;
            p.put(x, y + 1, LABEL, "  New names", label(focus));
            let cells = 32.min(rest / 2);
            view_input(p, (x + LABEL, y + 1), cells, &s.names, focus);
            let room = rest.saturating_sub(cells + 1);
            let hints = ["empty: as they are; shop=shop2 a.b=c.d", "empty: as they are"];
            let hint = first_that_fits(&hints, usize::from(room)).unwrap_or_default();
            p.put(x + LABEL + cells + 1, y + 1, room, &hint, Meaning::Muted);
        }
        Place::InPlace => {
            let focus = s.focus == Focus::StayClosed;
            let options = [
                Pick::new("open it", "", !s.stay_closed),
                Pick::new("stay closed until I open it", "stay closed", s.stay_closed),
            ];
            choices(p, area, y, "  Afterwards", focus, &options);
        }
    }
}
