//! Messages: everything that was said, by the desk and by the console, newest first; errors in full below.

use ratatui::layout::Rect;

use crate::model::job::LineLevel;
use crate::service::desk::{Message, RefusalKind};
use crate::tui::event::Query;
use crate::tui::list::List;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, wrap};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::table;

/// The lines shown, each with an id that stays with it.
pub fn rows<'a>(m: &'a Model, list: &List) -> Vec<(String, &'a Message)> {
    let desk = m.store.messages().unwrap_or_default().iter();
    let mut all: Vec<&Message> = desk.chain(m.notes.iter()).collect();
    all.sort_by_key(|b| std::cmp::Reverse(b.at));
    let words = list.words();
    all.retain(|x| words.as_ref().is_none_or(|w| w.passes(&x.text)));
    all.into_iter().map(|x| (format!("{} {}", x.at.0, x.text), x)).collect()
}

/// The sign and colour of a level.
pub fn level(p: &Painter<'_>, level: LineLevel) -> (&'static str, Meaning) {
    match level {
        LineLevel::Info => (p.glyphs.off, Meaning::Base),
        LineLevel::Warning => (p.glyphs.warn, Meaning::Warn),
        LineLevel::Error => (p.glyphs.bad, Meaning::Error),
    }
}

/// Paints it.
pub fn view(m: &Model, list: &List, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    let rows = rows(m, list);
    if rows.is_empty() {
        if m.store.messages().is_none() {
            return view_loading(m, &Query::Messages, p, area);
        }
        let text = match list.filter.value() {
            "" => "No messages.",
            _ => "No message matches the filter. Esc clears it.",
        };
        p.put(area.x + 2, area.y + 1, area.width, text, Meaning::Muted);
        p.cursor_at(area.x + 2, area.y + 1);
        return;
    }
    let selected = list.index().min(rows.len() - 1);
    let full: Vec<String> = rows.get(selected).map_or_else(Vec::new, |(_, x)| {
        wrap(&m.told(&x.text), usize::from(area.width.saturating_sub(2)))
    });
    let detail = m.below((full.len() as u16 + 1).clamp(3, (area.height / 2).max(3)));
    let body = Rect::new(area.x, area.y, area.width, area.height.saturating_sub(detail));
    let offset = cache.offset("messages");
    let offset = table::rows(p, body, (rows.len(), Some(selected)), offset, |p, i, y| {
        let Some((_, x)) = rows.get(i) else { return };
        let (glyph, meaning) = level(p, x.level);
        let cluster = x.cluster.as_ref().map(|c| format!("{c}: ")).unwrap_or_default();
        let stamp = format!("{:<15} ", m.stamp_seconds(x.at));
        let sign = format!("{glyph} ");
        let text = m.told(&x.text);
        let pieces = [
            (stamp.as_str(), Meaning::Muted),
            (&sign, meaning),
            (&cluster, Meaning::Title),
            (&text, meaning),
        ];
        p.pieces(body.x + 2, y, body.width.saturating_sub(2), &pieces);
    });
    cache.set_offset("messages", offset);
    if detail > 0 {
        p.rule(area, body.bottom(), "in full");
    }
    for (i, line) in full.iter().enumerate().take(usize::from(detail.saturating_sub(1))) {
        p.put(
            area.x + 1,
            body.bottom() + 1 + i as u16,
            area.width.saturating_sub(2),
            line,
            Meaning::Base,
        );
    }
}

/// Since when an answer is awaited, when it is late.
pub fn late(m: &Model, query: &Query) -> String {
    let since = m.store.slot(query).and_then(|s| s.late_since(m.now));
    let words = since.map(|at| format!(" Asked at {}, no answer yet.", m.clock_seconds(at)));
    words.unwrap_or_default()
}

/// The same for what is not there on the first day: that is no error, and `empty` says what to do about it.
pub fn view_missing(m: &Model, query: &Query, p: &mut Painter<'_>, area: Rect, empty: &str) {
    let missing = m.store.error(query).is_some_and(|e| e.kind == RefusalKind::NotFound);
    if !missing {
        return view_loading(m, query, p, area);
    }
    p.cursor_at(area.x + 2, area.y + 1);
    for (i, line) in wrap(empty, usize::from(area.width.saturating_sub(4)))
        .iter()
        .enumerate()
    {
        p.put(
            area.x + 2,
            area.y + 1 + i as u16,
            area.width.saturating_sub(3),
            line,
            Meaning::Base,
        );
    }
}

/// What a screen shows that has no data yet: that it is being asked for, or why it did not come.
pub fn view_loading(m: &Model, query: &Query, p: &mut Painter<'_>, area: Rect) {
    let width = area.width.saturating_sub(4);
    p.cursor_at(area.x + 2, area.y + 1);
    let Some(error) = m.store.error(query) else {
        let text = format!("Loading...{}", late(m, query));
        p.put(area.x + 2, area.y + 1, width, &text, Meaning::Muted);
        return;
    };
    let mut lines = vec![("This could not be read:".to_owned(), Meaning::Error)];
    let why = wrap(&m.why(error), usize::from(width));
    lines.extend(why.into_iter().map(|line| (line, Meaning::Base)));
    lines.push((String::new(), Meaning::Base));
    lines.push(("r asks again, Esc goes back.".to_owned(), Meaning::Muted));
    // It may be one part of a screen among others, and small.
    let room = usize::from(area.height.saturating_sub(1));
    for (i, (line, meaning)) in lines.iter().take(room).enumerate() {
        p.put(area.x + 2, area.y + 1 + i as u16, width, line, *meaning);
    }
}
