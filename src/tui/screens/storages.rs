//! Storages: where backup data is kept, and what lies there.

use ratatui::layout::Rect;

use crate::model::size;
use crate::service::desk::StorageCard;
use crate::tui::event::Query;
use crate::tui::filter::{Col, line};
use crate::tui::list::List;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, fit_middle, safe, wrap};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::spark::share;
use crate::tui::widgets::status::plural;
use crate::tui::widgets::table::{self, left, right};

/// How wide the names of facts are.
const FACT: u16 = 14;

/// The lines shown.
pub fn rows<'a>(m: &'a Model, list: &List) -> Vec<&'a StorageCard> {
    let all = m.store.storages().unwrap_or_default().iter();
    all.filter(|s| list.passes(&line(&[(Col::Storage, s.name.as_str()), (Col::Address, &s.url)])))
        .collect()
}

/// Paints it.
pub fn view(m: &Model, list: &List, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    let rows = rows(m, list);
    if rows.is_empty() {
        if m.store.storages().is_none() {
            return super::messages::view_loading(m, &Query::Storages, p, area);
        }
        let text = match list.filter.value() {
            "" => "No storage yet. Add a [[storage]] to the config and start brine again.",
            _ => "No storage matches the filter. Esc clears it.",
        };
        p.put(area.x + 2, area.y + 1, area.width, text, Meaning::Muted);
        return;
    }
    let url = area.width.saturating_sub(50);
    let columns = [
        left("STORAGE", 2, 16),
        left("STATE", 19, 14),
        right("STORED", 33, 9),
        left("ADDRESS", 44, url),
    ];
    let [name, state, stored, address] = columns;
    table::header(p, area, area.y, &columns);
    // Facts and archives, where there is room for both.
    let detail = if area.height >= 16 { 11 } else { 5 };
    let body = Rect::new(
        area.x,
        area.y + 1,
        area.width,
        area.height.saturating_sub(1 + m.below(detail)),
    );
    let selected = list.index().min(rows.len() - 1);
    let offset = table::rows(
        p,
        body,
        (rows.len(), Some(selected)),
        cache.offset("storages"),
        |p, i, y| {
            let Some(s) = rows.get(i) else { return };
            let (word, meaning) = match &s.error {
                None => (format!("{} reachable", p.glyphs.ok), Meaning::Ok),
                Some(_) => (format!("{} unreachable", p.glyphs.bad), Meaning::Error),
            };
            let total: u64 = s.archives.iter().map(|(_, bytes)| bytes).sum();
            table::cell(p, body, y, name, (s.name.as_str(), Meaning::Title));
            table::cell(p, body, y, state, (&word, meaning));
            table::cell(p, body, y, stored, (&size::iec(total), Meaning::Base));
            let text = fit_middle(&safe(&s.url), usize::from(address.width), p.glyphs.cut);
            table::cell(p, body, y, address, (&text, Meaning::Base));
        },
    );
    cache.set_offset("storages", offset);
    let Some(s) = rows.get(selected).filter(|_| !m.zoomed) else {
        return;
    };
    p.rule(area, body.bottom(), s.name.as_str());
    let width = area.width.saturating_sub(2);
    let y = body.bottom() + 1;
    if let Some(error) = &s.error {
        let lines = wrap(&safe(error), usize::from(width));
        for (i, line) in lines.iter().take(4).enumerate() {
            p.put(area.x + 1, y + i as u16, width, line, Meaning::Error);
        }
        return;
    }
    let mut y = y;
    if detail > 5 {
        for (label, text) in facts(s) {
            let lines = wrap(&safe(&text), usize::from(width.saturating_sub(FACT)));
            p.put(area.x + 1, y, FACT, label, Meaning::Muted);
            for line in lines.iter().take(2) {
                p.put(area.x + 1 + FACT, y, width.saturating_sub(FACT), line, Meaning::Base);
                y += 1;
            }
        }
    }
    if s.archives.is_empty() {
        let text = "No archive lies in it yet. V tests it.";
        p.put(area.x + 1, y, width, text, Meaning::Muted);
        return;
    }
    view_archives(p, Rect::new(area.x + 1, y, width, area.bottom().saturating_sub(y)), s);
}

/// What is known of the place itself; what is not known is said to be so.
fn facts(s: &StorageCard) -> Vec<(&'static str, String)> {
    let facts = s.facts.clone().unwrap_or_default();
    let known = |text: Option<String>| text.unwrap_or_else(|| "not known".to_owned());
    let room = facts.free.zip(facts.size);
    let room = room.map(|(free, size)| format!("{} free of {}", size::iec(free), size::iec(size)));
    vec![
        ("Address", s.url.clone()),
        ("Access", known(facts.credentials)),
        ("Room", known(room)),
        ("Versions", known(facts.versioning)),
        ("Immutability", known(facts.immutability)),
    ]
}

/// Which clusters' archives lie in a storage, the largest first.
fn view_archives(p: &mut Painter<'_>, area: Rect, s: &StorageCard) {
    let total: u64 = s.archives.iter().map(|(_, bytes)| bytes).sum();
    let mut archives: Vec<_> = s.archives.iter().collect();
    archives.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let most = usize::from(area.height.min(5));
    for (i, (cluster, bytes)) in archives.iter().take(most).enumerate() {
        let y = area.y + i as u16;
        if i + 1 == most && archives.len() > most {
            let more = format!("and {} more", plural((archives.len() - i) as u64, "archive"));
            p.put(area.x, y, area.width, &more, Meaning::Muted);
            return;
        }
        let name = crate::tui::paint::pad(cluster.as_str(), 24, p.glyphs.cut);
        let bar = share(
            p.glyphs,
            *bytes,
            total,
            usize::from(area.width.saturating_sub(50)).max(8),
        );
        let bytes = format!(" {:>10}", size::iec(*bytes));
        let pieces = [
            (name.as_str(), Meaning::Title),
            (" ", Meaning::Base),
            (&bar, Meaning::ProgressDone),
            (&bytes, Meaning::Base),
        ];
        p.pieces(area.x, y, area.width, &pieces);
    }
}
