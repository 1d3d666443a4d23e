//! Retention: which backups stay and which go, on the month and as a list, for the days that are set or for others.
//!
//! Trying other days changes nothing: it shows what confirming them in the settings would do.

use ratatui::layout::Rect;

use crate::engine::retention::{RetentionLine, RetentionPlan};
use crate::model::clock::Millis;
use crate::model::ids::ClusterName;
use crate::model::settings::RetentionDays;
use crate::model::size;
use crate::model::time;
use crate::service::desk::Question;
use crate::tui::event::Query;
use crate::tui::filter::{Col, column};
use crate::tui::list::{Lines, List};
use crate::tui::model::Model;
use crate::tui::paint::{Painter, first_that_fits, safe, wrap};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::bar::Coverage;
use crate::tui::widgets::month;
use crate::tui::widgets::status::{self, plural};
use crate::tui::widgets::table;

/// The screen's state.
#[derive(Clone, Debug)]
pub struct Retention {
    /// The cluster.
    pub cluster: ClusterName,
    /// The selected backup and the filter.
    pub list: List,
    /// The days that are tried; those that are set when none are.
    pub days: Option<u32>,
}

impl Retention {
    /// The retention of a cluster as it is set.
    pub fn new(cluster: ClusterName) -> Retention {
        Retention {
            cluster,
            list: List::default(),
            days: None,
        }
    }

    /// What would be done.
    pub fn plan<'a>(&self, m: &'a Model) -> Option<&'a RetentionPlan> {
        m.store.retention(&self.cluster, self.days)
    }

    /// The lines shown, newest first.
    pub fn rows<'a>(&self, m: &'a Model) -> Vec<&'a RetentionLine> {
        let all = self.plan(m).map(|p| p.backups.as_slice()).unwrap_or_default();
        let query = Query::Retention(self.cluster.clone(), self.days);
        let days = self.days.map_or(0, |d| u64::from(d) << 32);
        let lines = Lines {
            version: (m.store.version(&query) | days, m.time_mode as u8),
            len: all.len(),
        };
        let zone = m.zone_shown();
        let text = |i: usize, out: &mut String| {
            if let Some(l) = all.get(i) {
                column(out, Col::Time);
                m.push_stamp(out, l.commit.at, zone);
                column(out, Col::Status);
                out.push_str(if l.keep { "stays" } else { "goes" });
                column(out, Col::Because);
                out.push_str(&l.reason);
                column(out, Col::Id);
                out.push_str(l.id.as_str());
            }
        };
        let shown = self.list.shown(lines, text, |_, _| {});
        shown.iter().filter_map(|i| all.get(*i)).collect()
    }

    /// What the page needs to know.
    pub fn wants(&self, m: &Model) -> super::Wants {
        let mut wants = super::page(&self.cluster);
        let cluster = self.cluster.clone();
        let settings = m.store.page(&cluster).map(|p| p.settings.clone());
        let question = match (self.days.and_then(|d| RetentionDays::new(d).ok()), settings) {
            (Some(days), Some(mut settings)) => {
                settings.retention_days = days;
                Question::PreviewSettings { cluster, settings }
            }
            _ => Question::PlanRetention { cluster },
        };
        wants.push((Query::Retention(self.cluster.clone(), self.days), question));
        wants
    }

    /// Tries more or fewer days; back at those that are set, nothing is tried.
    pub fn try_days(&mut self, m: &Model, by: i32) {
        let Some(set) = m.store.page(&self.cluster).map(|p| p.settings.retention_days.get()) else {
            return;
        };
        let days = self.days.unwrap_or(set).saturating_add_signed(by);
        if RetentionDays::new(days).is_ok() {
            self.days = Some(days).filter(|d| *d != set);
        }
    }

    /// Paints it.
    pub fn view(&self, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
        let query = Query::Retention(self.cluster.clone(), self.days);
        let top = self.view_head(m, p, area);
        let body = Rect::new(area.x, top, area.width, area.bottom().saturating_sub(top));
        let Some(plan) = self.plan(m) else {
            let text = "No backup yet, so nothing stays and nothing goes. B takes the first.";
            return super::messages::view_missing(m, &query, p, body, text);
        };
        let rows = self.rows(m);
        let selected = self.list.index().min(rows.len().saturating_sub(1));
        let detail = 3;
        let middle = Rect {
            height: body.height.saturating_sub(detail),
            ..body
        };
        let wide = area.width >= month::WIDTH + 36;
        let mut x = middle.x;
        if wide {
            view_month(m, p, middle, plan, rows.get(selected).map_or(plan.at, |l| l.commit.at));
            x += month::WIDTH + 2;
        }
        let list = Rect::new(x, middle.y, area.right().saturating_sub(x), middle.height);
        self.view_list(m, cache, p, list, (&rows, selected));
        let below = Rect::new(area.x, middle.bottom(), area.width, detail);
        view_detail(m, p, below, rows.get(selected).copied());
    }

    /// What is set, what is tried, and what comes of it; returns the line below.
    fn view_head(&self, m: &Model, p: &mut Painter<'_>, area: Rect) -> u16 {
        let (x, width) = (area.x + 1, area.width.saturating_sub(2));
        let set = m.store.page(&self.cluster).map(|p| p.settings.retention_days.get());
        let set_text = set.map(|d| format!("{d} days")).unwrap_or_default();
        let room = usize::from(width).saturating_sub(10 + set_text.len() + 3);
        let rules = [
            "manual, protected, way back and the last good always stay",
            "manual, protected, last good: always stay",
            "not what is manual or protected",
        ];
        let rules = first_that_fits(&rules, room).unwrap_or_default();
        let pieces = [
            ("Set       ", Meaning::Muted),
            (&set_text, Meaning::Base),
            ("   ", Meaning::Base),
            (rules.as_str(), Meaning::Muted),
        ];
        p.pieces(x, area.y, width, &pieces);
        let tried = match self.days {
            Some(days) => (
                format!("{days} days: a trial, nothing is changed (E sets it)"),
                Meaning::Warn,
            ),
            None => ("as set (- + tries fewer or more days)".to_owned(), Meaning::Base),
        };
        p.pieces(
            x,
            area.y + 1,
            width,
            &[("Shown     ", Meaning::Muted), (&tried.0, tried.1)],
        );
        let result = self.plan(m).map_or_else(
            || {
                let query = Query::Retention(self.cluster.clone(), self.days);
                let failed = m.store.error(&query).is_some();
                let text = if failed { "none" } else { "working it out..." };
                (text.to_owned(), Meaning::Muted)
            },
            |plan| result(m, plan, usize::from(width).saturating_sub(10)),
        );
        p.pieces(
            x,
            area.y + 2,
            width,
            &[("Result    ", Meaning::Muted), (&result.0, result.1)],
        );
        p.rule(area, area.y + 3, "");
        area.y + 4
    }

    fn view_list(
        &self,
        m: &Model,
        cache: &mut ViewCache,
        p: &mut Painter<'_>,
        area: Rect,
        (rows, selected): (&[&RetentionLine], usize),
    ) {
        if rows.is_empty() {
            let text = if self.list.filter.value().is_empty() {
                "There is no backup yet."
            } else {
                "No backup matches the filter. Esc clears it."
            };
            p.put(area.x + 1, area.y, area.width, text, Meaning::Muted);
            p.cursor_at(area.x, area.y);
            return;
        }
        let offset = cache.offset("retention");
        let offset = table::rows(p, area, (rows.len(), Some(selected)), offset, |p, i, y| {
            let Some(line) = rows.get(i) else { return };
            let (sign, word, meaning) = if line.keep {
                (p.glyphs.ok, "stays", Meaning::Ok)
            } else {
                (p.glyphs.bad, "goes ", Meaning::Error)
            };
            let stamp = format!("{:<13}", m.stamp(line.commit.at));
            let sign = format!("{sign} {word} ");
            let pieces = [
                (stamp.as_str(), Meaning::Base),
                (&sign, meaning),
                (&line.reason, Meaning::Muted),
            ];
            p.pieces(area.x + 2, y, area.width.saturating_sub(2), &pieces);
        });
        cache.set_offset("retention", offset);
    }
}

/// What comes of a plan, in one line.
fn result(m: &Model, plan: &RetentionPlan, room: usize) -> (String, Meaning) {
    let goes = plan.dropped().count();
    let span = |w: &crate::model::window::Window| {
        w.bounds()
            .map_or_else(|| "nothing".to_owned(), |(a, b)| time::age(b.at.since(a.at)))
    };
    let (before, after) = (span(&plan.window_before), span(&plan.window_after));
    let window = if before == after {
        format!("window {after}")
    } else {
        format!("window {before} -> {after}")
    };
    let log = plan
        .truncate_until
        .map(|t| format!(", log before {} goes", m.stamp(t.at)))
        .unwrap_or_default();
    if goes == 0 && plan.truncate_until.is_none() {
        return (format!("every backup stays, {window}"), Meaning::Ok);
    }
    let stay = plan.backups.len() - goes;
    let verb = if goes == 1 { "goes" } else { "go" };
    let text = format!(
        "{} {verb}, {stay} stay, {} freed{log}",
        plural(goes as u64, "backup"),
        size::iec(plan.freed_bytes)
    );
    let text = first_that_fits(&[format!("{text}, {window}")], room).unwrap_or(text);
    (text, Meaning::Warn)
}

fn view_month(m: &Model, p: &mut Painter<'_>, area: Rect, plan: &RetentionPlan, chosen: Millis) {
    let zone = m.zone_shown();
    let (before, after) = (Coverage::new(&plan.window_before), Coverage::new(&plan.window_after));
    let glyphs = p.glyphs;
    let look = |begin: Millis, end: Millis| {
        let (from, to) = (begin.0, end.0 - 1);
        // Newest first: only the day's own backups are looked at.
        let first = plan.backups.partition_point(|l| l.commit.at >= end);
        let mut of_day = plan.backups.iter().skip(first).take_while(|l| l.commit.at >= begin);
        let mark = if of_day.any(|l| !l.keep) {
            (glyphs.bad, Meaning::Error)
        } else {
            (" ", Meaning::Base)
        };
        let sign = match (before.touches(from, to), after.touches(from, to)) {
            (_, true) if !after.bases(from, to + 1).is_empty() => (glyphs.base, Meaning::Mark),
            (_, true) => (glyphs.log, Meaning::Busy),
            (true, false) => ("-", Meaning::Gap),
            (false, false) => (" ", Meaning::Base),
        };
        month::Day { sign, mark }
    };
    let grid = Rect::new(area.x + 1, area.y, month::WIDTH, area.height.saturating_sub(1).min(8));
    month::paint(p, grid, (month::day_of(chosen, zone), zone, false), look);
    let legend = format!(
        "{} base {} log - lost {} backup goes",
        glyphs.base, glyphs.log, glyphs.bad
    );
    p.put(area.x + 1, grid.bottom(), month::WIDTH, &legend, Meaning::Muted);
}

/// Why the selected backup stays or goes, in full.
fn view_detail(m: &Model, p: &mut Painter<'_>, area: Rect, line: Option<&RetentionLine>) {
    let Some(line) = line else { return };
    p.rule(area, area.y, line.id.as_str());
    let width = area.width.saturating_sub(2);
    let (kept, _) = status::kept_to(m, &line.kept_to);
    let word = if line.keep {
        format!("Stays (kept to: {kept})")
    } else {
        "Goes to the trash, for 3 days".to_owned()
    };
    let text = format!("{word}, {}: {}", size::iec(line.stored_bytes), line.reason);
    let lines = wrap(&safe(&text), usize::from(width));
    for (i, text) in lines.iter().take(2).enumerate() {
        p.put(area.x + 1, area.y + 1 + i as u16, width, text, Meaning::Base);
    }
}
