//! Settings in effect: every value with where it came from. The config's come from flag, environment, file or default;
//! Backup Settings come from the cluster's archive, so that every host agrees.

use ratatui::layout::Rect;

use crate::tui::event::Query;
use crate::tui::filter::{Col, line};
use crate::tui::list::List;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, fit_middle, safe, wrap};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::table::{self, left};

/// One line: which setting, its value, and where it came from.
pub type Line = (String, String, String);

/// The lines shown: the console's own, Backup Settings of clusters that were looked at, then the config.
pub fn rows(m: &Model, list: &List) -> Vec<Line> {
    let on = |b: bool| if b { "on" } else { "off" }.to_owned();
    let mut all: Vec<Line> = Vec::new();
    let theme = m.theme.clone().unwrap_or_else(|| "mono".to_owned());
    all.push((
        "console in use: theme".to_owned(),
        theme,
        "this terminal; c chooses another".to_owned(),
    ));
    all.push((
        "console in use: read-only".to_owned(),
        on(m.is_read_only()),
        match (m.read_only, m.is_read_only()) {
            (true, _) => "flag --read-only",
            (false, true) => "who answers",
            (false, false) => "default",
        }
        .to_owned(),
    ));
    for card in m.store.fleet().unwrap_or_default() {
        let Some(page) = m.store.page(&card.name) else { continue };
        let s = &page.settings;
        let from = "its archive, E sets it".to_owned();
        let values = [
            ("Backup Time", format!("{} {}", s.backup_time, s.time_zone.name())),
            ("Backup Retention", format!("{} days", s.retention_days)),
            ("daily schedule", on(s.schedule)),
            ("point-in-time", on(s.pitr)),
        ];
        all.extend(values.map(|(name, value)| (format!("{}: {name}", card.name), value, from.clone())));
    }
    let config = m.store.in_effect().unwrap_or_default().iter();
    all.extend(config.map(|s| (s.key.clone(), s.value.clone(), s.from.clone())));
    let words = list.words();
    let says = |(key, value, from): &Line| line(&[(Col::Setting, key), (Col::Value, value), (Col::From, from)]);
    all.retain(|setting| words.as_ref().is_none_or(|w| w.passes(&says(setting))));
    all
}

/// Paints it.
pub fn view(m: &Model, list: &List, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    if m.store.in_effect().is_none() {
        return super::messages::view_loading(m, &Query::InEffect, p, area);
    }
    let rows = rows(m, list);
    if rows.is_empty() {
        p.put(
            area.x + 2,
            area.y + 1,
            area.width,
            "No setting matches the filter. Esc clears it.",
            Meaning::Muted,
        );
        return;
    }
    let key = (area.width / 3).clamp(20, 44);
    let value = (area.width.saturating_sub(key + 4) / 2).max(16);
    let columns = [
        left("SETTING", 2, key),
        left("VALUE", key + 4, value),
        left("FROM", key + value + 6, area.width.saturating_sub(key + value + 7)),
    ];
    table::header(p, area, area.y, &columns);
    let detail = 4;
    let body = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1 + detail));
    let selected = list.index().min(rows.len() - 1);
    let offset = cache.offset("in effect");
    let offset = table::rows(p, body, (rows.len(), Some(selected)), offset, |p, i, y| {
        let Some((key, value, from)) = rows.get(i) else { return };
        let meaning = if from == "default" {
            Meaning::Muted
        } else {
            Meaning::Base
        };
        // The end of a path with its line says more than its beginning.
        for (column, text) in columns.iter().zip([key, value, from]) {
            let text = fit_middle(&safe(text), usize::from(column.width), p.glyphs.cut);
            table::cell(p, body, y, *column, (&text, meaning));
        }
    });
    cache.set_offset("in effect", offset);
    if let Some((key, value, from)) = rows.get(selected) {
        p.rule(area, body.bottom(), key);
        let width = area.width.saturating_sub(2);
        let mut lines = wrap(&safe(value), usize::from(width));
        lines.truncate(2);
        lines.push(format!("from {from}"));
        for (i, line) in lines.iter().enumerate() {
            p.put(area.x + 1, body.bottom() + 1 + i as u16, width, line, Meaning::Base);
        }
    }
}
