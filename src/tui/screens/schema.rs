//! The Schema page of a cluster: the tables of its newest backup, how large they are, and what changed in them last.
//!
//! What the server holds now is not asked for: what is listed here is what can be restored. Enter restores a table.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::log::{ask_changes, what};
use super::restore::{Mode, Point, Restore, Which};
use crate::model::backup::{BackupEntry, BackupStatus, BackupTable};
use crate::model::ids::ClusterName;
use crate::model::log::Change;
use crate::model::size;
use crate::model::table::TableName;
use crate::service::desk::Question;
use crate::tui::event::Query;
use crate::tui::filter::{Col, line};
use crate::tui::list::List;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, fit, fit_middle, safe};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::spark::share;
use crate::tui::widgets::status::{count, plural};
use crate::tui::widgets::table::{self, left, right};

/// How the tables can be sorted.
pub const ORDERS: [&str; 3] = ["name", "size, the largest first", "rows, the most first"];

/// The screen's state.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The cluster.
    pub cluster: ClusterName,
    /// Selection and filter.
    pub list: List,
}

/// Fewer cells than this do not hold when and what.
const LEAST_CHANGE: u16 = 20;

impl Schema {
    /// The page of a cluster.
    pub fn new(cluster: ClusterName) -> Schema {
        Schema {
            cluster,
            list: List::default(),
        }
    }

    /// The backup whose tables are listed: the newest whole one, else the newest.
    pub fn backup<'a>(&self, m: &'a Model) -> Option<&'a BackupEntry> {
        let all = m.store.backups(&self.cluster, false)?;
        let complete = || all.iter().filter(|b| b.status == BackupStatus::Complete);
        complete().find(|b| b.summary.is_full()).or_else(|| complete().next())
    }

    fn tables<'a>(&self, m: &'a Model) -> Option<&'a [BackupTable]> {
        m.store.tables(&self.cluster, &self.backup(m)?.summary.id)
    }

    /// The lines shown.
    pub fn rows<'a>(&self, m: &'a Model) -> Vec<&'a BackupTable> {
        let words = self.list.words();
        let says = |t: &BackupTable| line(&[(Col::Table, &t.name.to_string())]);
        let all = self.tables(m).unwrap_or_default().iter();
        let mut rows: Vec<&BackupTable> = all
            .filter(|t| words.as_ref().is_none_or(|w| w.passes(&says(t))))
            .collect();
        match self.list.sort.0 {
            1 => rows.sort_by_key(|t| Reverse(t.sum.bytes)),
            2 => rows.sort_by_key(|t| Reverse(t.sum.rows)),
            _ => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        if self.list.sort.1 {
            rows.reverse();
        }
        rows
    }

    /// The selected table.
    pub fn selected<'a>(&self, m: &'a Model) -> Option<&'a BackupTable> {
        let id = self.list.selected()?;
        self.tables(m)?.iter().find(|t| t.name.to_string() == id)
    }

    /// What the page needs to know.
    pub fn wants(&self, m: &Model) -> super::Wants {
        let mut wants = super::page_and_backups(&self.cluster, false);
        wants.push(ask_changes(&self.cluster, false));
        if let Some(entry) = self.backup(m) {
            let (cluster, id) = (self.cluster.clone(), entry.summary.id.clone());
            // What a backup holds never changes: once is enough.
            if m.store.tables(&cluster, &id).is_none() {
                let query = Query::Backup(cluster.clone(), id.clone());
                wants.push((query, Question::Backup { cluster, id }));
            }
        }
        wants
    }

    /// Restore 1/2 with the selected table filled in.
    pub fn restore(&self, m: &Model) -> Restore {
        let mut new = Restore::new(self.cluster.clone());
        if let Some(table) = self.selected(m) {
            (new.mode, new.point) = (Mode::PointInTime, Point::Latest);
            (new.which, new.which_chosen) = (Which::Chosen, true);
            new.tables = tui_input::Input::new(table.name.to_string());
        }
        new
    }

    /// Paints it.
    pub fn view(&self, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
        let backups = Query::Backups(self.cluster.clone(), false);
        if m.store.backups(&self.cluster, false).is_none() {
            return super::messages::view_loading(m, &backups, p, area);
        }
        let room = area.width.saturating_sub(3);
        let Some(backup) = self.backup(m) else {
            let text = "No backup yet, so no table can be restored. B takes the first.";
            p.put(area.x + 2, area.y + 1, room, text, Meaning::Base);
            return;
        };
        let Some(all) = self.tables(m) else {
            let query = Query::Backup(self.cluster.clone(), backup.summary.id.clone());
            return super::messages::view_loading(m, &query, p, area);
        };
        let bytes: u64 = all.iter().map(|t| t.sum.bytes).sum();
        let text = format!(
            "{}, {} of rows, as of the backup of {} ({})",
            plural(all.len() as u64, "table"),
            size::iec(bytes),
            m.stamp(backup.summary.commit.at),
            m.ago(backup.summary.commit.at)
        );
        p.put(area.x + 1, area.y, room, &text, Meaning::Muted);
        let below = Rect {
            y: area.y + 1,
            height: area.height.saturating_sub(1),
            ..area
        };
        self.view_tables(m, cache, p, below);
    }

    fn view_tables(&self, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
        let rows = self.rows(m);
        let last = last_changes(m, &self.cluster);
        let wide = area.width >= 120;
        let name = left("TABLE", 2, if wide { 40 } else { 26 });
        let lines = right("ROWS", name.x + name.width + 1, 12);
        let bytes = right("SIZE", lines.x + 13, 9);
        let part = left("SHARE", bytes.x + 11, if wide { 16 } else { 0 });
        let change = part.x + if wide { 18 } else { 0 };
        let change = left(
            "LAST CHANGE WORTH A LOOK",
            change,
            area.width.saturating_sub(change + 1),
        );
        // Cut to a few cells it would say nothing: the line below the list says it of the selected table then.
        let change_fits = change.width >= LEAST_CHANGE;
        let columns = [name, lines, bytes, part, change];
        let shown = if change_fits { &columns[..] } else { &columns[..4] };
        table::header(p, area, area.y, shown);
        if !change_fits {
            table::more_columns(p, area, area.y);
        }
        let body = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(2));
        if rows.is_empty() {
            let text = match self.list.filter.value() {
                "" => "The backup holds no table.",
                _ => "No table matches the filter. Esc clears it.",
            };
            p.put(area.x + 2, body.y, area.width.saturating_sub(3), text, Meaning::Muted);
            return;
        }
        let most = rows.iter().map(|t| t.sum.bytes).max().unwrap_or(0);
        let selected = self.list.index().min(rows.len() - 1);
        let offset = cache.offset("schema");
        let offset = table::rows(p, body, (rows.len(), Some(selected)), offset, |p, i, y| {
            let Some(t) = rows.get(i) else { return };
            let text = fit_middle(&safe(&t.name.to_string()), usize::from(name.width), p.glyphs.cut);
            table::cell(p, body, y, name, (&text, Meaning::Title));
            table::cell(p, body, y, lines, (&count(t.sum.rows), Meaning::Base));
            table::cell(p, body, y, bytes, (&size::iec(t.sum.bytes), Meaning::Base));
            let bar = share(p.glyphs, t.sum.bytes, most, usize::from(part.width));
            table::cell(p, body, y, part, (&bar, Meaning::ProgressDone));
            if let Some(c) = last.get(&t.name).filter(|_| change_fits) {
                let text = format!("{} {}", m.stamp(c.at.at), what(c));
                let text = fit(&text, usize::from(change.width), p.glyphs.cut);
                table::cell(p, body, y, change, (&text, Meaning::Warn));
            }
        });
        cache.set_offset("schema", offset);
        let more = table::more(p, rows.len(), offset, usize::from(body.height));
        let at = p.put(area.x + 1, body.bottom(), 40, &more, Meaning::Muted);
        let cut = rows.get(selected).and_then(|t| last.get(&t.name)).filter(|c| {
            let width = m.stamp(c.at.at).width() + 1 + what(c).width();
            !change_fits || width > usize::from(change.width)
        });
        if let Some(c) = cut {
            let at = if more.is_empty() { at } else { at + 2 };
            let text = format!("last change: {} {}", m.stamp(c.at.at), what(c));
            p.put(at, body.bottom(), area.right().saturating_sub(at), &text, Meaning::Warn);
        }
    }
}

/// The newest change worth a look of each table.
fn last_changes<'a>(m: &'a Model, cluster: &ClusterName) -> BTreeMap<&'a TableName, &'a Change> {
    let mut last = BTreeMap::new();
    for c in m.store.changes(cluster, false).unwrap_or_default() {
        if let Some(table) = &c.table {
            last.entry(table).or_insert(c);
        }
    }
    last
}
