//! Clusters: one line each, worst first, with the restorable window as a bar.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use crate::model::ids::ClusterName;
use crate::model::size;
use crate::model::time;
use crate::service::desk::ClusterCard;
use crate::tui::event::Query;
use crate::tui::filter::{Col, line};
use crate::tui::list::List;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, wrap};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::bar::{self, Stretch};
use crate::tui::widgets::status;
use crate::tui::widgets::table::{self, Column, left, right};

/// How the clusters can be sorted.
pub const ORDERS: [&str; 5] = [
    "worst first",
    "name",
    "RPO, the longest first",
    "stored, the most first",
    "last backup, the oldest first",
];

/// The screen's state.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Selection and filter.
    pub list: List,
    /// The order of the lines while keys are being pressed; new clusters come last.
    pub frozen: Vec<ClusterName>,
}

impl Fleet {
    /// The lines shown.
    pub fn rows<'a>(&self, m: &'a Model) -> Vec<&'a ClusterCard> {
        let mut rows: Vec<&ClusterCard> = m.store.fleet().unwrap_or_default().iter().collect();
        let places: BTreeMap<&ClusterName, usize> = self.frozen.iter().enumerate().map(|(i, n)| (n, i)).collect();
        rows.sort_by_cached_key(|c| places.get(&c.name).copied().unwrap_or(usize::MAX));
        match self.list.sort.0 {
            1 => rows.sort_by(|a, b| a.name.cmp(&b.name)),
            2 => rows.sort_by_cached_key(|c| std::cmp::Reverse(status::rpo(m, &c.log).unwrap_or(-1))),
            3 => rows.sort_by_key(|c| std::cmp::Reverse(c.stored_bytes)),
            4 => rows.sort_by_key(|c| c.last_backup),
            _ => {}
        }
        if self.list.sort.1 {
            rows.reverse();
        }
        if let Some(words) = self.list.words() {
            let says = |c: &ClusterCard| {
                let (name, health) = (c.name.as_str(), c.health.word.as_str());
                line(&[(Col::Cluster, name), (Col::Health, health), (Col::Product, &c.product)])
            };
            rows.retain(|c| words.passes(&says(c)));
        }
        rows
    }

    /// The selected cluster.
    pub fn selected<'a>(&self, m: &'a Model) -> Option<&'a ClusterCard> {
        let id = self.list.selected()?;
        m.store.fleet()?.iter().find(|c| c.name.as_str() == id)
    }

    /// Paints it.
    pub fn view(&self, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
        let rows = self.rows(m);
        let plan = Columns::of(area.width, &rows);
        plan.header(p, area);
        let detail = m.below(if area.height >= 14 { 7 } else { 0 });
        let list = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1 + detail));
        if rows.is_empty() {
            return self.view_empty(m, p, list);
        }
        let selected = self.list.index().min(rows.len() - 1);
        let offset = cache.offset("fleet");
        let offset = table::rows(p, list, (rows.len(), Some(selected)), offset, |p, i, y| {
            if let Some(card) = rows.get(i) {
                plan.row(m, p, Rect { y, height: 1, ..list }, card);
            }
        });
        cache.set_offset("fleet", offset);
        if let (Some(card), true) = (rows.get(selected), detail > 0) {
            let below = Rect::new(area.x, area.bottom() - detail, area.width, detail);
            view_detail(m, p, below, card);
        }
    }

    fn view_empty(&self, m: &Model, p: &mut Painter<'_>, area: Rect) {
        let text = if !self.list.filter.value().is_empty() {
            "No cluster matches the filter. Esc clears it."
        } else if m.store.fleet().is_some() {
            "No clusters yet. Add a [[cluster]] to the config and start brine again."
        } else {
            return super::messages::view_loading(m, &Query::Fleet, p, area);
        };
        p.put(
            area.x + 2,
            area.y + 1,
            area.width.saturating_sub(2),
            text,
            Meaning::Muted,
        );
    }
}

/// Which columns there is room for, and where.
struct Columns {
    name: Column,
    health: Column,
    rpo: Column,
    bar: Column,
    span: Column,
    log: Column,
    next: Column,
    proof: Option<Column>,
    bases: Option<Column>,
    last: Option<Column>,
    stored: Option<Column>,
}

impl Columns {
    fn of(width: u16, rows: &[&ClusterCard]) -> Columns {
        let longest = rows.iter().map(|c| c.name.as_str().len()).max().unwrap_or(8);
        let most = match width {
            ..100 => 14,
            100..140 => 24,
            _ => 40,
        };
        let name = (longest as u16).clamp(8, most);
        let (wide, wider, widest) = (width >= 94, width >= 104, width >= 134);
        let health = left("HEALTH", 2 + name + 2, 13);
        let rpo = right("RPO", health.x + 14, 6);
        // The next run goes first where there is no room: the bar says more.
        let next_run = if width >= 72 { 1 + 11 } else { 0 };
        let fixed_right =
            7 + 2 + 11 + next_run + if wide { 14 } else { 0 } + if wider { 9 } else { 0 } + if widest { 24 } else { 0 };
        let bar_x = rpo.x + 6 + 2;
        let bar_width = width.saturating_sub(bar_x + fixed_right).max(4);
        let span = right("SPAN", bar_x + bar_width, 7);
        let log = left("LOG", span.x + 9, 11);
        let next = left("NEXT", log.x + 12, 11);
        let window = if bar_width >= 18 { "RESTORABLE WINDOW" } else { "WINDOW" };
        Columns {
            name: left("CLUSTER", 2, name),
            health,
            rpo,
            bar: left(window, bar_x, bar_width),
            span,
            log,
            next,
            proof: wide.then(|| left("PROOF", next.x + 12, 14)),
            bases: wider.then(|| right("BASES", next.x + 26, 6)),
            last: widest.then(|| right("LAST BACKUP", next.x + 34, 11)),
            stored: widest.then(|| right("STORED", next.x + 46, 9)),
        }
    }

    fn header(&self, p: &mut Painter<'_>, area: Rect) {
        let always = [
            self.name,
            self.health,
            self.rpo,
            self.bar,
            self.span,
            self.log,
            self.next,
        ];
        table::header(p, area, area.y, &always);
        let extra = [self.proof, self.bases, self.last, self.stored];
        let extra: Vec<Column> = extra.into_iter().flatten().collect();
        table::header(p, area, area.y, &extra);
        if self.stored.is_none() {
            table::more_columns(p, area, area.y);
        }
    }

    fn row(&self, m: &Model, p: &mut Painter<'_>, area: Rect, card: &ClusterCard) {
        let y = area.y;
        let (health, health_meaning) = status::health(m, card, p.glyphs);
        let rpo = status::rpo(m, &card.log);
        let (rpo_text, rpo_meaning) = match rpo {
            _ if status::unknown(m, &card.name, p.glyphs).is_some() => (p.glyphs.unknown.to_owned(), Meaning::Unknown),
            Some(ms) => (m.age(ms), Meaning::Base),
            None => ("none".to_owned(), Meaning::Muted),
        };
        let (log, log_meaning) = status::log(m, card, p.glyphs);
        let (next, next_meaning) = status::next_run(m, &card.next_run);
        table::cell(p, area, y, self.name, (card.name.as_str(), Meaning::Title));
        table::cell(p, area, y, self.health, (&health, health_meaning));
        table::cell(p, area, y, self.rpo, (&rpo_text, rpo_meaning));
        self.window(p, area, card);
        table::cell(p, area, y, self.log, (&log, log_meaning));
        table::cell(p, area, y, self.next, (&next, next_meaning));
        if let Some(column) = self.proof {
            let text = card.proof.map_or_else(
                || ("none".to_owned(), Meaning::Muted),
                |(level, at)| {
                    (
                        format!("{} {}", level.word(), status::short_age(m.now.since(at))),
                        Meaning::Ok,
                    )
                },
            );
            table::cell(p, area, y, column, (&text.0, text.1));
        }
        if let Some(column) = self.bases {
            table::cell(
                p,
                area,
                y,
                column,
                (&card.window.bases.len().to_string(), Meaning::Base),
            );
        }
        if let Some(column) = self.last {
            let text = card
                .last_backup
                .map_or_else(|| "none".to_owned(), |at| m.age(m.now.since(at)));
            table::cell(p, area, y, column, (&text, Meaning::Base));
        }
        if let Some(column) = self.stored {
            table::cell(p, area, y, column, (&size::iec(card.stored_bytes), Meaning::Base));
        }
    }

    fn window(&self, p: &mut Painter<'_>, area: Rect, card: &ClusterCard) {
        let y = area.y;
        let Some(stretch) = Stretch::of(&card.window) else {
            let text = if self.bar.width < 18 {
                "nothing"
            } else {
                "nothing restorable"
            };
            table::cell(p, area, y, self.bar, (text, Meaning::Muted));
            return;
        };
        let width = self.bar.width.saturating_sub(2);
        p.put(area.x + self.bar.x, y, 1, p.glyphs.end, Meaning::Border);
        bar::paint(p, (area.x + self.bar.x + 1, y), width, &card.window, stretch);
        p.put(area.x + self.bar.x + 1 + width, y, 1, p.glyphs.end, Meaning::Border);
        let span = time::age(stretch.to.since(stretch.from));
        table::cell(p, area, y, self.span, (&span, Meaning::Base));
    }
}

/// The selected cluster's findings and facts.
fn view_detail(m: &Model, p: &mut Painter<'_>, area: Rect, card: &ClusterCard) {
    p.rule(area, area.y, card.name.as_str());
    let width = area.width.saturating_sub(2);
    let mut lines: Vec<(String, Meaning)> = Vec::new();
    let (glyph, meaning) = status::level(card.health.level, p.glyphs);
    for reason in &card.health.reasons {
        let wrapped = wrap(&m.told(reason), usize::from(width.saturating_sub(3)));
        for (i, line) in wrapped.into_iter().enumerate() {
            let lead = if i == 0 { glyph } else { " " };
            lines.push((format!("{lead} {line}"), meaning));
        }
    }
    lines.truncate(usize::from(area.height.saturating_sub(4)));
    let last = card.last_backup.map_or_else(
        || "No backup yet: press B to take the first.".to_owned(),
        |at| format!("Last good backup {} ({}).", m.stamp(at), m.ago(at)),
    );
    let stored = format!(
        "{}, {} stored.",
        status::plural(card.backups, "backup"),
        size::iec(card.stored_bytes)
    );
    let window = card.window.bounds().map_or_else(
        || "Nothing can be restored yet.".to_owned(),
        |(from, to)| {
            let zone = m.zone_of(Some(&card.name));
            format!(
                "Restorable {} to {}.",
                time::local(from.at, zone),
                time::local(to.at, zone)
            )
        },
    );
    let address = card.address.as_deref().map(|a| format!(" at {a}")).unwrap_or_default();
    let guard = if card.protected {
        ", protected: dangerous acts want its name typed"
    } else {
        ""
    };
    let product = format!("{}{address}{guard}", card.product);
    let facts = [
        (format!("{last} {stored}"), Meaning::Base),
        (window, Meaning::Base),
        (product, Meaning::Muted),
    ];
    for (text, meaning) in facts {
        let wrapped = wrap(&crate::tui::paint::safe(&text), usize::from(width));
        lines.extend(wrapped.into_iter().map(|line| (line, meaning)));
    }
    for (i, (text, meaning)) in lines
        .iter()
        .enumerate()
        .take(usize::from(area.height.saturating_sub(1)))
    {
        p.put(area.x + 1, area.y + 1 + i as u16, width, text, *meaning);
    }
}
