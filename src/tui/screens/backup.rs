//! The Backup page of a cluster: what can be restored, the log, the settings, and every snapshot with its proof.

use std::cmp::Reverse;
use std::rc::Rc;

use chrono_tz::Tz;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::jobs::schedule;
use crate::model::backup::{BackupEntry, BackupStatus, PitrTo};
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, ClusterName};
use crate::model::position::Position;
use crate::model::settings::BackupSettings;
use crate::model::size;
use crate::model::time;
use crate::service::desk::{ClusterPage, NextRun, Question};
use crate::tui::event::Query;
use crate::tui::filter::{Col, column};
use crate::tui::list::{Lines, List};
use crate::tui::model::Model;
use crate::tui::paint::{Painter, first_that_fits, fit_middle, safe};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::bar::{self, Stretch};
use crate::tui::widgets::status;
use crate::tui::widgets::table::{self, Column, left, right};

/// How the backups can be sorted.
pub const ORDERS: [&str; 4] = ["newest first", "size, the largest first", "how long it took", "type"];

/// The screen's state.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The cluster.
    pub cluster: ClusterName,
    /// Selection and filter.
    pub list: List,
    /// Whether backups in the trash are listed too.
    pub trash: bool,
}

const SNAPSHOT: Column = left("SNAPSHOT", 2, 13);
const AGE: Column = right("AGE", 16, 6);
const TYPE: Column = left("TYPE", 24, 8);
const STATUS: Column = left("STATUS", 32, 11);
const SIZE: Column = right("SIZE", 43, 8);
const KEPT: Column = left("KEPT TO", 53, 8);
const PITR: Column = left("PITR TO", 62, 8);
const PROOF: Column = left("PROOF", 71, 9);
const NOTE: Column = left("NOTE", 82, 200);

impl Backup {
    /// The page of a cluster.
    pub fn new(cluster: ClusterName) -> Backup {
        Backup {
            cluster,
            list: List::default(),
            trash: false,
        }
    }

    /// The lines shown.
    pub fn rows<'a>(&self, m: &'a Model) -> Vec<&'a BackupEntry> {
        let all = m.store.backups(&self.cluster, self.trash).unwrap_or_default();
        self.shown(m, all).iter().filter_map(|i| all.get(*i)).collect()
    }

    /// The numbers of the backups that are shown, in their order.
    fn shown(&self, m: &Model, all: &[BackupEntry]) -> Rc<Vec<usize>> {
        let lines = self.lines(m, all);
        let zone = m.zone_shown();
        let text = |i: usize, out: &mut String| {
            if let Some(b) = all.get(i) {
                says(m, b, zone, out);
            }
        };
        let of = |i: &usize| all.get(*i).map(|b| &b.summary);
        self.list.shown(lines, text, |by, rows| match by {
            1 => rows.sort_by_key(|i| Reverse(of(i).map(|s| s.stored_bytes))),
            2 => rows.sort_by_key(|i| Reverse(of(i).map(|s| s.finished.since(s.started)))),
            _ => rows.sort_by_key(|i| of(i).map(|s| s.kind.word())),
        })
    }

    fn lines(&self, m: &Model, all: &[BackupEntry]) -> Lines {
        let query = Query::Backups(self.cluster.clone(), self.trash);
        Lines {
            version: (m.store.version(&query), m.time_mode as u8),
            len: all.len(),
        }
    }

    /// Gets a few more lines of a long list ready for a filter; says whether there are more to come.
    pub fn prepare(&self, m: &Model) -> bool {
        let Some(all) = m.store.backups(&self.cluster, self.trash) else {
            return false;
        };
        let zone = m.zone_shown();
        self.list.prepare(self.lines(m, all), m.filtering, |i, out| {
            if let Some(b) = all.get(i) {
                says(m, b, zone, out);
            }
        })
    }

    /// The marked backups that are shown.
    pub fn marked<'a>(&self, m: &'a Model) -> Vec<&'a BackupEntry> {
        if self.list.marks.is_empty() {
            return Vec::new();
        }
        let mut rows = self.rows(m);
        rows.retain(|b| self.list.marks.holds(b.summary.id.as_str()));
        rows
    }

    /// The selected backup.
    pub fn selected<'a>(&self, m: &'a Model) -> Option<&'a BackupEntry> {
        let id = self.list.selected()?;
        let all = m.store.backups(&self.cluster, self.trash)?;
        let is_it = |b: &&BackupEntry| b.summary.id.as_str() == id;
        let in_place = self.shown(m, all).get(self.list.index()).and_then(|i| all.get(*i));
        in_place.filter(is_it).or_else(|| all.iter().find(is_it))
    }

    /// What the page needs to know.
    pub fn wants(&self, m: &Model) -> super::Wants {
        let mut wants = super::page_and_backups(&self.cluster, self.trash);
        let known = |id: &BackupId| m.store.tables(&self.cluster, id).is_some();
        if let Some(entry) = self
            .selected(m)
            .filter(|b| b.status == BackupStatus::Complete && !known(&b.summary.id))
        {
            let id = entry.summary.id.clone();
            let question = Question::Backup {
                cluster: self.cluster.clone(),
                id: id.clone(),
            };
            wants.push((Query::Backup(self.cluster.clone(), id), question));
        }
        wants
    }

    /// Paints it.
    pub fn view(&self, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
        let Some(page) = m.store.page(&self.cluster) else {
            return super::messages::view_loading(m, &Query::Cluster(self.cluster.clone()), p, area);
        };
        let top = match m.zoomed {
            true => area.y,
            false => view_facts(m, p, area, page),
        };
        let detail = m.below(if area.height >= 19 { 5 } else { 0 });
        let list = Rect::new(area.x, top, area.width, area.bottom().saturating_sub(top + detail));
        self.view_list(m, cache, p, list, page);
        if let (Some(entry), true) = (self.selected(m), detail > 0) {
            let below = Rect::new(area.x, area.bottom() - detail, area.width, detail);
            view_detail(m, p, below, page, entry);
        }
    }

    fn view_list(&self, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect, page: &ClusterPage) {
        p.rule(area, area.y, "");
        let mut columns = vec![SNAPSHOT, AGE, TYPE, STATUS, SIZE, KEPT, PITR, PROOF];
        if area.width >= 100 {
            columns.push(NOTE);
        }
        table::header(p, area, area.y + 1, &columns);
        if area.width < 100 {
            table::more_columns(p, area, area.y + 1);
        }
        let rows = self.rows(m);
        let body = Rect::new(area.x, area.y + 2, area.width, area.height.saturating_sub(3));
        if rows.is_empty() {
            return self.view_empty(m, p, body, page.in_trash);
        }
        let selected = self.list.index().min(rows.len() - 1);
        let offset = cache.offset("backups");
        let offset = table::rows(p, body, (rows.len(), Some(selected)), offset, |p, i, y| {
            if let Some(entry) = rows.get(i) {
                row(m, p, body, y, page, entry);
                if self.list.marks.holds(entry.summary.id.as_str()) {
                    p.put(body.x + 1, y, 1, p.glyphs.done, Meaning::Mark);
                }
            }
        });
        cache.set_offset("backups", offset);
        let y = body.bottom();
        let more = table::more(p, rows.len(), offset, usize::from(body.height));
        let marked = match self.marked(m).len() {
            0 => more,
            n => format!("{n} marked  {more}"),
        };
        p.put(area.x + 1, y, 30, &marked, Meaning::Muted);
        let log = page.card.log.stored_bytes;
        let trash = match page.in_trash {
            0 => String::new(),
            n if self.trash => format!("{n} in trash  "),
            n => format!("{n} in trash (a)  "),
        };
        let backups = status::plural(page.card.backups, "backup");
        let (stored, log) = (size::iec(page.card.stored_bytes), size::iec(log));
        let forms = [
            format!("{trash}{backups}: {stored}, log {log}"),
            format!("{backups}: {stored}, log {log}"),
            format!("{stored}, log {log}"),
        ];
        let total = first_that_fits(&forms, usize::from(area.width.saturating_sub(32))).unwrap_or_default();
        p.put_right(area.x + 31, y, area.width.saturating_sub(32), &total, Meaning::Muted);
    }

    fn view_empty(&self, m: &Model, p: &mut Painter<'_>, area: Rect, in_trash: u64) {
        let query = Query::Backups(self.cluster.clone(), self.trash);
        let loaded = m.store.backups(&self.cluster, self.trash).is_some();
        if loaded && in_trash > 0 && self.list.filter.value().is_empty() {
            let many = status::plural(in_trash, "backup");
            let text = format!("No backup can be restored; {many} in the trash: a shows, U undeletes.");
            p.put(area.x + 2, area.y, area.width.saturating_sub(2), &text, Meaning::Warn);
            let more = "B takes a new one.";
            p.put(
                area.x + 2,
                area.y + 1,
                area.width.saturating_sub(2),
                more,
                Meaning::Muted,
            );
            return;
        }
        let text = if !self.list.filter.value().is_empty() {
            "No backup matches the filter. Esc clears it."
        } else if m.store.backups(&self.cluster, self.trash).is_some() {
            "No backups yet. Press B to take the first, E to have one taken every day."
        } else {
            return super::messages::view_loading(m, &query, p, area);
        };
        p.put(area.x + 2, area.y, area.width.saturating_sub(2), text, Meaning::Base);
        let plays = m
            .store
            .card(&self.cluster)
            .is_some_and(|c| c.product.contains("embedded"));
        let more = if plays {
            "L starts the log backup, T starts traffic to play with."
        } else {
            "L starts the log backup."
        };
        p.put(
            area.x + 2,
            area.y + 1,
            area.width.saturating_sub(2),
            more,
            Meaning::Muted,
        );
    }
}

/// What a filter is matched against.
fn says(m: &Model, b: &BackupEntry, zone: Tz, out: &mut String) {
    let s = &b.summary;
    column(out, Col::Time);
    m.push_stamp(out, s.commit.at, zone);
    let (status, _) = status::backup_words(&b.status, &crate::tui::glyphs::ASCII);
    let cells = [
        (Col::Id, s.id.as_str()),
        (Col::Type, s.kind.word()),
        (Col::Status, status.1),
        (Col::Note, s.note.as_deref().unwrap_or_default()),
    ];
    for (col, text) in cells {
        column(out, col);
        out.push_str(text);
    }
}

fn row(m: &Model, p: &mut Painter<'_>, area: Rect, y: u16, page: &ClusterPage, entry: &BackupEntry) {
    let s = &entry.summary;
    let (status, status_meaning) = status::backup(&entry.status, p.glyphs);
    table::cell(p, area, y, SNAPSHOT, (&m.stamp(s.commit.at), Meaning::Base));
    table::cell(p, area, y, AGE, (&m.age(m.now.since(s.commit.at)), Meaning::Base));
    table::cell(p, area, y, TYPE, (s.kind.word(), Meaning::Base));
    table::cell(p, area, y, STATUS, (&status, status_meaning));
    let rest = area.width.saturating_sub(KEPT.x);
    match &entry.status {
        BackupStatus::Failed { error } | BackupStatus::Broken { error } => {
            p.put_right(area.x + SIZE.x, y, SIZE.width, "-", Meaning::Muted);
            p.put(area.x + KEPT.x, y, rest, error, Meaning::Error);
            return;
        }
        BackupStatus::Running { job } => {
            let progress = m
                .store
                .job(*job)
                .map(|j| crate::tui::widgets::progress::percent(j.progress.basis_points));
            let text = format!("job {job}  {}", progress.unwrap_or_default());
            p.put(area.x + KEPT.x, y, rest, &text, Meaning::Busy);
            return;
        }
        BackupStatus::Incomplete => {
            p.put(area.x + KEPT.x, y, rest, "interrupted: see Jobs (4)", Meaning::Warn);
            return;
        }
        BackupStatus::Deleted { until } => {
            let text = if *until > m.now {
                format!("until {}; U undeletes", time::day(*until, m.zone_shown()))
            } else {
                "goes next; U undeletes".to_owned()
            };
            table::cell(p, area, y, SIZE, (&size::iec(s.stored_bytes), Meaning::Base));
            p.put(area.x + KEPT.x, y, rest, &text, Meaning::Muted);
            return;
        }
        BackupStatus::Complete => {}
    }
    let (kept, kept_meaning) = status::kept_to(m, &entry.kept_to);
    let (pitr, pitr_meaning) = status::pitr_to(m, &entry.pitr_to, Some(&page.card.log));
    let (proof, proof_meaning) = status::proof(m, entry.proof.as_ref());
    table::cell(p, area, y, SIZE, (&size::iec(s.stored_bytes), Meaning::Base));
    table::cell(p, area, y, KEPT, (&kept, kept_meaning));
    table::cell(p, area, y, PITR, (&pitr, pitr_meaning));
    table::cell(p, area, y, PROOF, (&proof, proof_meaning));
    if area.width >= 100 {
        table::cell(p, area, y, NOTE, (s.note.as_deref().unwrap_or(""), Meaning::Muted));
    }
}

/// The five lines about the cluster; returns the line below them.
fn view_facts(m: &Model, p: &mut Painter<'_>, area: Rect, page: &ClusterPage) -> u16 {
    let (x, width) = (area.x + 1, area.width.saturating_sub(2));
    let card = &page.card;
    view_health(m, p, area, page);
    view_bar(m, p, Rect::new(x, area.y + 1, width, 1), page);
    let (log, log_meaning) = status::log(m, card, p.glyphs);
    let known = status::unknown(m, &card.name, p.glyphs).is_none();
    let behind = status::rpo(m, &card.log)
        .filter(|_| known)
        .map(|ms| format!(", {} behind", m.age(ms)))
        .unwrap_or_default();
    let position = card.log.position.as_ref().map(Position::to_string).unwrap_or_default();
    let at = p.pieces(
        x,
        area.y + 2,
        width,
        &[
            ("Log     ", Meaning::Muted),
            (&log, log_meaning),
            (&behind, Meaning::Base),
        ],
    );
    p.put(
        at + 3,
        area.y + 2,
        (x + width).saturating_sub(at + 3),
        &position,
        Meaning::Muted,
    );
    let s = &page.settings;
    let (next, next_meaning) = match &card.next_run {
        NextRun::At { at } => (format!("next in {}", m.age(at.since(m.now))), Meaning::Base),
        NextRun::Off => ("schedule off (E)".to_owned(), Meaning::Warn),
        other => status::next_run(m, other),
    };
    let when = format!("{} {}, ", s.backup_time, s.time_zone.name());
    let pitr = if s.pitr { "on" } else { "off" };
    let keep = format!("    keep {} d    point-in-time {pitr}", s.retention_days);
    let pieces = [
        ("Backup  ", Meaning::Muted),
        (&when, Meaning::Base),
        (&next, next_meaning),
        (&keep, Meaning::Base),
    ];
    p.pieces(x, area.y + 3, width, &pieces);
    let location = fit_middle(
        &safe(&page.location),
        usize::from(width.saturating_sub(8)),
        p.glyphs.cut,
    );
    p.pieces(
        x,
        area.y + 4,
        width,
        &[("Store   ", Meaning::Muted), (&location, Meaning::Base)],
    );
    area.y + 5
}

fn view_health(m: &Model, p: &mut Painter<'_>, area: Rect, page: &ClusterPage) {
    let card = &page.card;
    let (x, width) = (area.x + 1, area.width.saturating_sub(2));
    let (health, meaning) = status::health(m, card, p.glyphs);
    let health = format!("{:<7} ", health.replacen("ok", "OK", 1));
    let Some((from, to)) = card.window.bounds() else {
        let finding = card.health.reasons.first().filter(|_| card.backups > 0);
        let text = finding.map_or(
            "Nothing can be restored yet: B takes the first backup.".to_owned(),
            |f| m.told(f),
        );
        let health = format!("{} ", health.trim_end());
        p.pieces(
            x,
            area.y,
            width,
            &[(&health, meaning), (" ", meaning), (&text, Meaning::Title)],
        );
        return;
    };
    let zone = m.zone_shown();
    // A long word of health takes the seconds' place.
    let start = if health.width() > 8 {
        time::short
    } else {
        time::short_seconds
    };
    let (from, at) = (start(from.at, zone), time::short_seconds(to.at, zone));
    let room = usize::from(width).saturating_sub(health.width());
    let window = format!("Restorable {from} -> {at}");
    let window = first_that_fits(&[format!("{window} ({})", m.ago(to.at))], room).unwrap_or(window);
    let holes = card.window.holes();
    let gap = match holes.as_slice() {
        [] => String::new(),
        [h] if !h.between_histories => format!("  gap {}", time::age(h.to.at.since(h.from.at))),
        many => {
            let room = room.saturating_sub(window.width());
            let (whole, few) = (status::holes(many), status::few_holes(many));
            // Where there is no room for either, the bar below shows them.
            first_that_fits(&[format!("  {whole}"), format!("  {few}")], room).unwrap_or_default()
        }
    };
    let pieces = [
        (health.as_str(), meaning),
        (&window, Meaning::Title),
        (&gap, Meaning::Gap),
    ];
    p.pieces(x, area.y, width, &pieces);
}

fn view_bar(m: &Model, p: &mut Painter<'_>, area: Rect, page: &ClusterPage) {
    let window = &page.card.window;
    let Some(stretch) = Stretch::of(window) else {
        let text = "A backup makes its moment restorable, log backup every moment after it.";
        p.put(area.x, area.y, area.width, text, Meaning::Muted);
        return;
    };
    let zone = m.zone_shown();
    let (from, to) = (time::day(stretch.from, zone), time::day(stretch.to, zone));
    let legend = format!(" {to}  {} base", p.glyphs.base);
    let legend_width = legend.chars().count() as u16;
    let at = p.put(area.x, area.y, 7, &format!("{from} "), Meaning::Muted);
    let cells = area.right().saturating_sub(at + 2 + legend_width);
    p.put(at, area.y, 1, p.glyphs.end, Meaning::Border);
    bar::paint(p, (at + 1, area.y), cells, window, stretch);
    p.put(at + 1 + cells, area.y, 1, p.glyphs.end, Meaning::Border);
    p.put(at + 2 + cells, area.y, legend_width, &legend, Meaning::Muted);
}

/// Four lines about the selected backup.
fn view_detail(m: &Model, p: &mut Painter<'_>, area: Rect, page: &ClusterPage, entry: &BackupEntry) {
    let s = &entry.summary;
    p.rule(area, area.y, &format!("{} {}", s.kind.word(), s.id));
    let (x, width) = (area.x + 1, area.width.saturating_sub(2));
    let lines = [
        (format!("at {}", status::echo(m, s.commit)), Meaning::Base),
        (contents(m, entry, usize::from(width)), Meaning::Base),
        (origin(page, entry), Meaning::Muted),
        remark(m, entry),
    ];
    for (i, (text, meaning)) in lines.iter().enumerate() {
        p.put(x, area.y + 1 + i as u16, width, text, *meaning);
    }
}

fn contents(m: &Model, entry: &BackupEntry, width: usize) -> String {
    let s = &entry.summary;
    let took = time::took(s.finished.since(s.started).max(0));
    let filter = if s.is_full() {
        "whole cluster".to_owned()
    } else {
        format!("only {}", s.filter.join(" "))
    };
    let known = m.store.tables(&s.cluster, &s.id);
    let largest = known.and_then(|t| t.iter().max_by_key(|t| t.sum.bytes));
    let largest = largest.map(|t| format!(", largest {}", t.name)).unwrap_or_default();
    let (tables, rows) = (status::plural(s.tables, "table"), status::plural(s.totals.rows, "row"));
    let text = format!(
        "{tables}, {rows}, {} of rows, {filter}, took {took}",
        size::iec(s.totals.bytes)
    );
    first_that_fits(&[format!("{text}{largest}")], width).unwrap_or(text)
}

fn origin(page: &ClusterPage, entry: &BackupEntry) -> String {
    let s = &entry.summary;
    // The first history is not listed: no restore began it.
    let live = page.incarnations.last().map(|i| i.id);
    let older = if live.is_some_and(|live| s.incarnation < live) {
        ", of an earlier history"
    } else {
        ""
    };
    format!(
        "by {}, brine {}, from {}{older}{}",
        s.asked_by,
        s.tool_version,
        s.source_version,
        status::server_place(Some(&s.position))
            .map(|p| format!(", {p}"))
            .unwrap_or_default()
    )
}

/// The most important thing to know about a backup.
fn remark(m: &Model, entry: &BackupEntry) -> (String, Meaning) {
    let zone = m.zone_shown();
    match &entry.status {
        BackupStatus::Failed { error } => return (format!("Failed: {error}"), Meaning::Error),
        BackupStatus::Broken { error } => {
            return (format!("Broken, never offered for restore: {error}"), Meaning::Error);
        }
        BackupStatus::Incomplete => {
            return (
                "No manifest: continue its job (4, then C), or let brine clear it away.".to_owned(),
                Meaning::Warn,
            );
        }
        BackupStatus::Deleted { until } => {
            let text = format!(
                "In the trash, goes for good at {}. U undeletes it.",
                time::local(*until, zone)
            );
            return (text, Meaning::Warn);
        }
        BackupStatus::Running { job } => return (format!("Being taken now by job {job}."), Meaning::Busy),
        BackupStatus::Complete => {}
    }
    if let Some((error, proof)) = entry.proof.as_ref().and_then(|p| p.failed.as_ref().map(|e| (e, p))) {
        return (
            format!(
                "Verification ({}) FAILED {}: {error}",
                proof.level.word(),
                m.ago(proof.at)
            ),
            Meaning::Error,
        );
    }
    if let PitrTo::Moment { moment, because } = &entry.pitr_to {
        return (
            format!("Point in time up to {}: {because}.", time::local(moment.at, zone)),
            Meaning::Warn,
        );
    }
    if let Some(protection) = &entry.protection {
        return (
            format!("Protected by {} since {}.", protection.by, m.stamp(protection.at)),
            Meaning::Protected,
        );
    }
    let proof = entry.proof.as_ref().map_or_else(
        || "Not verified yet (V).".to_owned(),
        |p| format!("Verified: {}, {}.", p.level.word(), m.ago(p.at)),
    );
    let note = entry
        .summary
        .note
        .as_ref()
        .map(|n| format!(" Note: {n}"))
        .unwrap_or_default();
    (format!("{proof}{note}"), Meaning::Base)
}

/// The next three runs of a schedule, for dialogs.
pub fn next_runs(m: &Model, cluster: &ClusterName, settings: &BackupSettings) -> String {
    let zone = m.zone_of(Some(cluster));
    let after = |at: &Millis| schedule::slot_after(settings, *at);
    let runs = std::iter::successors(schedule::slot_after(settings, m.now), after);
    let texts: Vec<String> = runs.take(3).map(|at| time::short(at, zone)).collect();
    texts.join(", ")
}
