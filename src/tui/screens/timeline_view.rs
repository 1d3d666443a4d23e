//! How the Timeline looks: the month with the chosen day beside it, the bar with its marks, the changes within it, and
//! the chosen moment in all its forms.

use ratatui::layout::Rect;

use super::log::{view_changes, what, what_where};
use super::restore_view::yes;
use super::timeline::{Focus, On, Timeline};
use crate::model::clock::Millis;
use crate::model::ids::IncarnationId;
use crate::model::log::{Change, ChangeKind, LogRun};
use crate::model::position::Moment;
use crate::model::time;
use crate::model::window::Window;
use crate::tui::event::Query;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, first_that_fits, safe, wrap};
use crate::tui::popups::form::view_input;
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::bar::{self, Coverage, Stretch};
use crate::tui::widgets::{month, status};

const LABEL: u16 = 12;
/// Lines of the bar: restorable, log, changes, scale.
const BAR: u16 = 5;
/// Lines of the answer, its rule included.
const ANSWER: u16 = 5;

/// How many cells the bar has on a screen this wide.
pub fn cells(width: u16) -> u16 {
    width.saturating_sub(LABEL + 4).max(10)
}

/// Paints it.
pub fn view(s: &Timeline, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    let Some(window) = s.window(m) else {
        return super::messages::view_loading(m, &Query::Cluster(s.cluster.clone()), p, area);
    };
    let (Some(stretch), Some(_)) = (s.stretch(m), window.bounds()) else {
        let text = "There is no moment to restore to yet. B takes the first backup, L starts the log backup.";
        for (i, line) in wrap(text, usize::from(area.width.saturating_sub(4))).iter().enumerate() {
            let y = area.y + 1 + i as u16;
            p.put(area.x + 2, y, area.width.saturating_sub(3), line, Meaning::Base);
        }
        return;
    };
    let coverage = Coverage::new(window);
    let bar = if m.zoomed && s.focus == Focus::Changes { 0 } else { BAR };
    let rest = area.height.saturating_sub(bar + ANSWER);
    let chosen = month::day_of(s.instant(m), m.zone_shown());
    let zoomed = |part: Focus| m.zoomed && s.focus == part;
    let grid = match rest {
        ..=5 => 0,
        _ if zoomed(Focus::Bar) || zoomed(Focus::Changes) => 0,
        _ => month::height(chosen).min(rest.saturating_sub(3)),
    };
    if grid > 0 {
        view_month(s, m, p, Rect { height: grid, ..area }, &coverage);
    }
    let y = area.y + grid;
    if bar > 0 {
        view_bar(s, m, p, Rect { y, height: bar, ..area }, (&coverage, stretch));
    }
    let list = Rect {
        y: y + bar,
        height: rest.saturating_sub(grid),
        ..area
    };
    view_list(s, m, cache, p, list);
    let y = area.bottom().saturating_sub(ANSWER);
    view_answer(
        s,
        m,
        p,
        Rect {
            y,
            height: ANSWER,
            ..area
        },
    );
    if p.cursor.is_none() {
        // The part that has the keys has no room here: the moment on the bar stands for it.
        let cell = stretch.cell(s.instant(m), cells(area.width)).unwrap_or(0);
        p.cursor_at(area.x + 1 + LABEL + cell, area.y + grid + bar.max(1) - 1);
    }
}

/// Changes worth a look from one instant up to another, newest first.
fn changes<'a>(s: &Timeline, m: &'a Model, from: Millis, to: Millis) -> &'a [Change] {
    let all = m.store.changes(&s.cluster, false).unwrap_or_default();
    let a = all.partition_point(|c| c.at.at >= to);
    let b = all.partition_point(|c| c.at.at >= from);
    all.get(a..b).unwrap_or_default()
}

fn view_month(s: &Timeline, m: &Model, p: &mut Painter<'_>, area: Rect, coverage: &Coverage<'_>) {
    let zone = m.zone_shown();
    let Some((first, last)) = s.window(m).and_then(|w| w.bounds()) else {
        return;
    };
    let (day_now, glyphs) = (month::day_of(s.instant(m), zone), p.glyphs);
    let look = |begin: Millis, end: Millis| {
        let (from, to) = (begin.max(first.at).0, (end.0 - 1).min(last.at.0));
        let sign = if from > to || !coverage.touches(from, to) {
            (" ", Meaning::Muted)
        } else if !coverage.covered(from, to) && !whole_of_spans(coverage, from, to) {
            (glyphs.part, Meaning::Gap)
        } else if coverage.bases(from, to + 1).is_empty() {
            (glyphs.log, Meaning::Busy)
        } else {
            (glyphs.base, Meaning::Mark)
        };
        let mark = if changes(s, m, begin, end).is_empty() {
            (" ", Meaning::Base)
        } else {
            (glyphs.change, Meaning::Warn)
        };
        month::Day { sign, mark }
    };
    let focus = s.focus == Focus::Month && s.typing.is_none();
    let grid = Rect::new(area.x + 1, area.y, month::WIDTH, area.height);
    month::paint(p, grid, (day_now, zone, focus), look);
    let x = area.x + 1 + month::WIDTH + 3;
    let side = Rect::new(x, area.y, area.right().saturating_sub(x + 1), area.height);
    view_day(s, m, p, side, (coverage, month::ends(day_now, zone)));
}

/// Whether a stretch has no hole, though several spans cover it.
fn whole_of_spans(coverage: &Coverage<'_>, from: i64, to: i64) -> bool {
    !coverage.holes().iter().any(|h| h.from.at.0 < to && from < h.to.at.0)
}

/// What the chosen day holds.
fn view_day(
    s: &Timeline,
    m: &Model,
    p: &mut Painter<'_>,
    area: Rect,
    (coverage, (begin, end)): (&Coverage<'_>, (Millis, Millis)),
) {
    let zone = m.zone_shown();
    let noon = begin.plus(end.since(begin) / 2);
    let day = noon.utc().with_timezone(&zone).format("%A %-d %b %Y").to_string();
    p.put(area.x, area.y, area.width, &day, Meaning::Title);
    let mut lines: Vec<(&str, String, Meaning)> = Vec::new();
    let of_day = |h: &&crate::model::window::Hole| h.from.at < end && begin < h.to.at;
    let holes: Vec<_> = coverage.holes().iter().filter(of_day).copied().collect();
    let can = coverage.touches(begin.0, end.0 - 1);
    lines.push(match (can, holes.as_slice()) {
        (false, _) => ("restorable", "nothing of it".to_owned(), Meaning::Gap),
        (true, []) => ("restorable", "without a gap".to_owned(), Meaning::Ok),
        (true, holes) => {
            let turns = holes.iter().filter(|h| h.between_histories).count() as u64;
            let gaps = holes.len() as u64 - turns;
            let words = [(gaps, "gap"), (turns, "turn")].into_iter().filter(|(n, _)| *n > 0);
            let words: Vec<String> = words.map(|(n, word)| status::plural(n, word)).collect();
            ("restorable", format!("in part: {}", words.join(", ")), Meaning::Gap)
        }
    });
    let bases = coverage.bases(begin.0, end.0);
    let clock = |at: Millis| at.utc().with_timezone(&zone).format("%H:%M").to_string();
    let times: Vec<String> = bases.iter().take(5).map(|b| clock(b.commit.at)).collect();
    let more = if bases.len() > 5 {
        format!(" and {} more", bases.len() - 5)
    } else {
        String::new()
    };
    let bases = if times.is_empty() {
        "none".to_owned()
    } else {
        format!("{}{more}", times.join(" "))
    };
    lines.push(("bases", bases, Meaning::Base));
    let found = changes(s, m, begin, end);
    lines.push(("changes", format!("{} worth a look", found.len()), Meaning::Base));
    for c in found.iter().take(usize::from(area.height.saturating_sub(5))) {
        lines.push(("", format!("{} {}", clock(c.at.at), what_where(c)), Meaning::Warn));
    }
    for (i, (label, text, meaning)) in lines
        .iter()
        .enumerate()
        .take(usize::from(area.height.saturating_sub(2)))
    {
        let label = format!("{label:<11}");
        let pieces = [(label.as_str(), Meaning::Muted), (text.as_str(), *meaning)];
        p.pieces(area.x, area.y + 1 + i as u16, area.width, &pieces);
    }
    let g = p.glyphs;
    let legend = format!(
        "{} base {} log {} part {} change {} turn",
        g.base, g.log, g.part, g.change, g.turn
    );
    p.put(area.x, area.bottom() - 1, area.width, &legend, Meaning::Muted);
}

/// The bar: what can be restored, what log is archived, where changes lie, and the scale with the moment.
fn view_bar(s: &Timeline, m: &Model, p: &mut Painter<'_>, area: Rect, (coverage, stretch): (&Coverage<'_>, Stretch)) {
    let (x, width) = (area.x + 1 + LABEL, cells(area.width));
    let length = time::words(stretch.to.since(stretch.from));
    p.rule(area, area.y, &format!("{length}  (+ - zoom, n N next mark)"));
    let focus = s.focus == Focus::Bar && s.typing.is_none();
    for (line, label) in [(1, "Restorable"), (2, "Log"), (3, "Changes")] {
        let meaning = if focus && line == 1 {
            Meaning::Key
        } else {
            Meaning::Muted
        };
        p.put(area.x + 1, area.y + line, LABEL, label, meaning);
        p.put(x - 1, area.y + line, 1, p.glyphs.end, Meaning::Border);
        p.put(x + width, area.y + line, 1, p.glyphs.end, Meaning::Border);
    }
    bar::paint_ready(p, (x, area.y + 1), width, coverage, stretch);
    let runs = m
        .store
        .card(&s.cluster)
        .map(|c| c.log.runs.as_slice())
        .unwrap_or_default();
    for i in (0..width).filter(|_| !p.glyphs.quiet) {
        let (text, meaning) = log_cell(p, runs, stretch.ends(i, width));
        p.put(x + i, area.y + 2, 1, text, meaning);
    }
    if let Some(cell) = checkpoint(s, m).and_then(|at| stretch.cell(at, width)) {
        p.put(x + cell, area.y + 2, 1, p.glyphs.check, Meaning::Mark);
    }
    view_marks(s, m, p, (x, area.y + 3), (stretch, width));
    let here = stretch.cell(s.instant(m), width);
    view_scale(m, p, (x, area.y + 4), (stretch, width, here));
    if let Some(cell) = here {
        p.put(x + cell, area.y + 4, 1, p.glyphs.here, Meaning::Mark);
        if focus {
            p.cursor_at(x + cell, area.y + 4);
        }
    }
}

fn checkpoint(s: &Timeline, m: &Model) -> Option<Millis> {
    m.store.card(&s.cluster)?.log.checkpoint.map(|c| c.at)
}

/// Whether log is archived for a cell: all of it, a part, or nothing.
fn log_cell(p: &Painter<'_>, runs: &[LogRun], (from, to): (i64, i64)) -> (&'static str, Meaning) {
    let covers = |r: &LogRun| r.from.at.0 <= from && to <= r.to.at.0;
    let meets = |r: &LogRun| r.from.at.0 < to && from < r.to.at.0;
    if runs.iter().any(covers) {
        (p.glyphs.log, Meaning::Busy)
    } else if runs.iter().any(meets) {
        (p.glyphs.part, Meaning::Warn)
    } else {
        (" ", Meaning::Gap)
    }
}

/// A letter for each kind of change; the loudest in a cell wins.
fn letter(kind: &ChangeKind) -> (&'static str, u8) {
    match kind {
        ChangeKind::Ddl { .. } => ("D", 4),
        ChangeKind::MassDelete => ("x", 3),
        ChangeKind::MassUpdate => ("u", 2),
        ChangeKind::BigTransaction => ("b", 1),
        ChangeKind::Transaction => (".", 0),
    }
}

fn view_marks(s: &Timeline, m: &Model, p: &mut Painter<'_>, (x, y): (u16, u16), (stretch, width): (Stretch, u16)) {
    let mut loudest: Vec<Option<(&str, u8)>> = vec![None; usize::from(width)];
    for c in s.rows(m) {
        let place = stretch
            .cell(c.at.at, width)
            .and_then(|i| loudest.get_mut(usize::from(i)));
        if let Some(place) = place {
            let new = letter(&c.kind);
            if place.is_none_or(|(_, rank)| rank < new.1) {
                *place = Some(new);
            }
        }
    }
    for (i, (sign, rank)) in loudest.into_iter().enumerate().filter_map(|(i, l)| Some((i, l?))) {
        let meaning = if rank == 0 { Meaning::Base } else { Meaning::Warn };
        p.put(x + i as u16, y, 1, sign, meaning);
    }
}

/// The times of both ends and of the middle; the mark of the moment goes before one that it would cover.
fn view_scale(m: &Model, p: &mut Painter<'_>, (x, y): (u16, u16), (stretch, width, here): (Stretch, u16, Option<u16>)) {
    let zone = m.zone_shown();
    let length = stretch.to.since(stretch.from);
    let show = |at: Millis| {
        if length < Millis::HOUR {
            time::short_seconds(at, zone)
        } else {
            time::short(at, zone)
        }
    };
    let wide = show(stretch.from).len() as u16;
    let middle = (width / 2).saturating_sub(wide / 2);
    let places = [
        (0, stretch.from),
        (middle, stretch.from.plus(length / 2)),
        (width.saturating_sub(wide), stretch.to),
    ];
    for (i, (from, at)) in places.into_iter().enumerate() {
        let covered = here.is_some_and(|cell| from <= cell + 1 && cell <= from + wide);
        let crowded = i == 1 && width < 50;
        if !covered && !crowded {
            p.put(x + from, y, wide, &show(at), Meaning::Muted);
        }
    }
}

fn view_list(s: &Timeline, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    let fine = s.is_fine(m);
    let title = if fine {
        "every transaction within the bar"
    } else {
        "changes worth a look within the bar"
    };
    let hint = if fine {
        ""
    } else {
        "  (+ down to 10 min: every transaction)"
    };
    p.rule(area, area.y, &format!("{title}{hint}"));
    let body = Rect::new(area.x, area.y + 1, area.width, area.height - 1);
    let query = if fine {
        Query::Transactions(s.cluster.clone())
    } else {
        Query::Changes(s.cluster.clone(), false)
    };
    let rows = s.rows(m);
    if s.focus == Focus::Changes || matches!(s.on, Some(On::Change(_))) {
        let cursor = p.cursor;
        view_changes(m, cache, p, body, (&rows, &s.list), (&query, "None."));
        if s.focus != Focus::Changes {
            p.cursor = cursor;
        }
    } else {
        let text = match (rows.as_slice(), m.store.slot(&query).is_some_and(|x| x.at.is_some())) {
            ([], true) => "None within the bar.".to_owned(),
            ([], false) => return super::messages::view_loading(m, &query, p, Rect { y: area.y, ..body }),
            ([c], _) => format!("One: {} {}", m.stamp_seconds(c.at.at), what_where(c)),
            (many, _) => summary(m, many),
        };
        p.put(body.x + 2, body.y, body.width.saturating_sub(3), &text, Meaning::Base);
        let more = "n or Tab goes to them";
        if !rows.is_empty() && body.height > 1 {
            p.put(
                body.x + 2,
                body.y + 1,
                body.width.saturating_sub(3),
                more,
                Meaning::Muted,
            );
        }
    }
}

/// `4: 2 x DROP TABLE, ...; newest 20 Nov 02:47:14 DROP TABLE shop.orders`.
fn summary(m: &Model, rows: &[&Change]) -> String {
    let newest = rows
        .first()
        .map(|c| format!("{} {}", m.stamp_seconds(c.at.at), what(c)));
    let oldest = rows.last().map(|c| format!("{} {}", m.stamp_seconds(c.at.at), what(c)));
    format!(
        "{}: from {} to {}",
        rows.len(),
        oldest.unwrap_or_default(),
        newest.unwrap_or_default()
    )
}

/// The moment in all its forms, and whether it can be restored.
fn view_answer(s: &Timeline, m: &Model, p: &mut Painter<'_>, area: Rect) {
    let (x, width) = (area.x + 1, area.width.saturating_sub(2));
    p.rule(area, area.y, &heading(s, m));
    let mut y = area.y + 1;
    if let Some(input) = &s.typing {
        p.put(x, y, LABEL, "Go to", Meaning::Key);
        view_input(p, (x + LABEL, y), 30, input, true);
        let zone = m.zone_of(Some(&s.cluster)).name();
        let hints = [
            format!("Enter goes, Esc leaves; {zone}"),
            format!("Enter goes; {zone}"),
            zone.to_owned(),
        ];
        let room = width.saturating_sub(LABEL + 31);
        let hint = first_that_fits(&hints, usize::from(room)).unwrap_or_default();
        p.put(x + LABEL + 31, y, room, &hint, Meaning::Muted);
        y += 1;
    }
    let moment = s.moment(m);
    let room = usize::from(width.saturating_sub(LABEL));
    let echo = moment.map(|at| status::echo_within(m, at, room)).unwrap_or_default();
    if m.accessible && s.typing.is_none() && s.focus != Focus::Changes {
        // Who hears the screen hears the line of the cursor: the moment in words, not the bar.
        p.cursor_at(x, y);
    }
    p.put(x, y, LABEL, "moment", Meaning::Muted);
    p.put(x + LABEL, y, width.saturating_sub(LABEL), &echo, Meaning::Base);
    y += 1;
    let place = place(s, m, moment);
    if !place.is_empty() && s.typing.is_none() {
        p.put(x + LABEL, y, width.saturating_sub(LABEL), &place, Meaning::Muted);
        y += 1;
    }
    let (text, meaning) = match (&s.error, s.restorable(m), moment, s.window(m)) {
        (Some(error), ..) => (error.clone(), Meaning::Warn),
        (None, Ok(span), Some(at), Some(window)) => {
            let history = history(s, m, span.incarnation);
            (format!("{}{history}", yes(m, window, span, at)), Meaning::Ok)
        }
        (None, Ok(_), ..) => ("YES".to_owned(), Meaning::Ok),
        (None, Err(why), ..) => (format!("NO: {why}"), Meaning::Error),
    };
    p.put(x, y, LABEL, "restorable", Meaning::Muted);
    let lines = wrap(&safe(&text), usize::from(width.saturating_sub(LABEL)));
    let room = usize::from(area.bottom().saturating_sub(y));
    for (i, line) in lines.iter().take(room).enumerate() {
        p.put(x + LABEL, y + i as u16, width.saturating_sub(LABEL), line, meaning);
    }
}

/// Which history a moment belongs to, where it is not the present one.
fn history(s: &Timeline, m: &Model, id: IncarnationId) -> String {
    let all = m
        .store
        .page(&s.cluster)
        .map(|p| p.incarnations.as_slice())
        .unwrap_or_default();
    let next = all.iter().find(|i| i.id > id);
    next.map_or_else(String::new, |i| {
        format!(", in the history before the restore of {}", m.stamp(i.began.at))
    })
}

/// Where exactly the line is drawn: the first transaction out, the timestamp, or the position in the server's log.
fn place(s: &Timeline, m: &Model, moment: Option<Moment>) -> String {
    if let Some(c) = s.change(m) {
        return format!("first out {}", c.transaction);
    }
    let backups = || m.store.backups(&s.cluster, false).unwrap_or_default();
    let position = match &s.on {
        Some(On::Base(id)) => backups()
            .iter()
            .find(|b| b.summary.id == *id)
            .map(|b| &b.summary.position),
        None if s.at.is_none() => m.store.card(&s.cluster).and_then(|c| c.log.position.as_ref()),
        _ => None,
    };
    let place = status::server_place(position).or_else(|| status::place(m, moment?));
    // A server has no timestamp to show: where its transactions are listed, the last one says it.
    place.or_else(|| last_in(s, m, moment?)).unwrap_or_default()
}

/// The last transaction at or before a moment, where every one is known.
fn last_in(s: &Timeline, m: &Model, moment: Moment) -> Option<String> {
    let known = m.store.transactions(&s.cluster).filter(|_| s.is_fine(m))?;
    let last = known.iter().find(|c| c.at <= moment)?;
    Some(format!("last in {}", last.transaction))
}

/// Whether the moment stands where one history ended and the next began.
fn turns(s: &Timeline, m: &Model) -> bool {
    let at = s.instant(m);
    let holes = s.window(m).map(Window::holes).unwrap_or_default();
    holes
        .iter()
        .any(|h| h.between_histories && (h.from.at == at || h.to.at == at))
}

fn heading(s: &Timeline, m: &Model) -> String {
    match (&s.on, s.change(m)) {
        (Some(On::Change(_)), Some(c)) => format!("just before {}", what_where(c)),
        (Some(On::Base(id)), _) => format!("base {id}"),
        (Some(On::Edge), _) if turns(s, m) => "where a restore began a new history".to_owned(),
        (Some(On::Edge), _) => "where a gap begins or ends".to_owned(),
        _ if s.at.is_none() => "the latest restorable moment".to_owned(),
        _ => "this moment".to_owned(),
    }
}
