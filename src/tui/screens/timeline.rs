//! The Timeline: every restorable moment of a cluster, from months down to single transactions.
//!
//! One moment is chosen all the time. It is moved by day in the month, by cell on the bar, from mark to mark, along the
//! changes below, or typed; what stands below says it in all its forms, and whether it can be restored and why not.

use chrono::Days;
use tui_input::Input;

use super::restore::{Restore, within};
use super::restore_request::not_restorable;
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, ClusterName};
use crate::model::log::{Change, ChangeKind};
use crate::model::position::Moment;
use crate::model::time;
use crate::model::window::{Base, Span, Window};
use crate::service::desk::Question;
use crate::tui::event::{Effect, Query};
use crate::tui::list::{Ids, List};
use crate::tui::model::Model;
use crate::tui::widgets::bar::Stretch;
use crate::tui::widgets::month;

/// How long the bar is at each step of zooming in, after the whole window.
const LENGTHS: [i64; 7] = [
    7 * Millis::DAY,
    Millis::DAY,
    6 * Millis::HOUR,
    Millis::HOUR,
    10 * Millis::MINUTE,
    Millis::MINUTE,
    10 * Millis::SECOND,
];
/// From this length down, every transaction is listed.
const FINE: i64 = 10 * Millis::MINUTE;
/// Transactions listed at most.
const MANY: usize = 500;

/// Which part of the screen has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// The month grid.
    Month,
    /// The bar.
    Bar,
    /// The changes below it.
    Changes,
}

/// A mark that the moment stands on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// A base.
    Base(BackupId),
    /// A change; the moment is just before it.
    Change(String),
    /// Where restorable moments end or begin again.
    Edge,
}

/// The screen's state.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The cluster.
    pub cluster: ClusterName,
    /// The chosen instant; the latest restorable one until it is moved.
    pub at: Option<Millis>,
    /// The mark it stands on, if it came there by one.
    pub on: Option<On>,
    /// How often the bar was zoomed in.
    pub zoom: usize,
    /// Where the bar begins.
    pub left: Millis,
    /// Which part has the keys.
    pub focus: Focus,
    /// The changes within the bar.
    pub list: List,
    /// A time that is being typed.
    pub typing: Option<Input>,
    /// Why what was typed is no time.
    pub error: Option<String>,
    /// The stretch whose transactions were asked for.
    pub asked: Option<(Millis, Millis)>,
}

impl Timeline {
    /// The timeline of a cluster, at its latest restorable moment.
    pub fn new(cluster: ClusterName) -> Timeline {
        Timeline {
            cluster,
            at: None,
            on: None,
            zoom: 0,
            left: Millis(i64::MIN),
            focus: Focus::Bar,
            list: List::default(),
            typing: None,
            error: None,
            asked: None,
        }
    }

    /// The restorable window.
    pub fn window<'a>(&self, m: &'a Model) -> Option<&'a Window> {
        m.store.card(&self.cluster).map(|c| &c.window)
    }

    /// The chosen instant.
    pub fn instant(&self, m: &Model) -> Millis {
        let bounds = self.window(m).and_then(Window::bounds);
        self.at.or(bounds.map(|b| within(b, b.1.at))).unwrap_or(m.now)
    }

    /// The chosen moment, exact where it stands on a mark.
    pub fn moment(&self, m: &Model) -> Option<Moment> {
        let window = self.window(m)?;
        let plain = || {
            let at = Moment::of_millis(self.instant(m));
            match window.bounds()?.0.tso {
                Some(_) => Some(Moment::of_tso(at.last_tso())),
                None => Some(at),
            }
        };
        if self.at.is_none() {
            return window.bounds().map(|b| b.1);
        }
        match &self.on {
            Some(On::Change(_)) => self.change(m).map(|c| c.at).or_else(plain),
            Some(On::Base(id)) => base(window, id).map(|b| b.commit).or_else(plain),
            Some(On::Edge) | None => plain(),
        }
    }

    /// The change that the moment stands on.
    pub fn change<'a>(&self, m: &'a Model) -> Option<&'a Change> {
        let Some(On::Change(id)) = &self.on else { return None };
        let worth = m.store.changes(&self.cluster, false).unwrap_or_default().iter();
        let all = m.store.transactions(&self.cluster).unwrap_or_default().iter();
        worth.chain(all).find(|c| c.id == *id)
    }

    /// Whether the chosen moment can be restored, with the span it lies in; else why not.
    pub fn restorable<'a>(&self, m: &'a Model) -> Result<&'a Span, String> {
        let window = self.window(m).ok_or("the cluster is not known yet")?;
        let moment = self.moment(m).ok_or("there is no backup yet: press B first")?;
        let zone = m.zone_of(Some(&self.cluster));
        let say = |at: Option<Moment>| at.map_or_else(|| "none".to_owned(), |x| time::exact(x.at, zone));
        let span = window.span_at(moment);
        span.ok_or_else(|| not_restorable(window, moment, &say))
    }

    /// The part of the window that the bar shows.
    pub fn stretch(&self, m: &Model) -> Option<Stretch> {
        let whole = Stretch::of(self.window(m)?)?;
        let length = self.length(whole);
        let from = self.left.max(whole.from).min(whole.to.plus(-length)).max(whole.from);
        Some(Stretch {
            from,
            to: from.plus(length),
        })
    }

    /// How long the bar is.
    fn length(&self, whole: Stretch) -> i64 {
        let all = whole.to.since(whole.from).max(1);
        let zoomed = self.zoom.checked_sub(1).and_then(|i| LENGTHS.get(i));
        zoomed.map_or(all, |l| all.min(*l))
    }

    /// Whether every transaction is listed.
    pub fn is_fine(&self, m: &Model) -> bool {
        self.zoom > 0 && self.stretch(m).is_some_and(|s| s.to.since(s.from) <= FINE)
    }

    /// The changes within the bar, newest first.
    pub fn rows<'a>(&self, m: &'a Model) -> Vec<&'a Change> {
        let Some(stretch) = self.stretch(m) else {
            return Vec::new();
        };
        let found = if self.is_fine(m) {
            m.store.transactions(&self.cluster)
        } else {
            m.store.changes(&self.cluster, false)
        };
        let text = |c: &Change| super::log::says(m, c);
        let words = self.list.words();
        let all = found.unwrap_or_default();
        // Newest first: what lies right of the bar is skipped without being looked at.
        let first = all.partition_point(|c| c.at.at > stretch.to);
        let inside = all.iter().skip(first).take_while(|c| c.at.at >= stretch.from);
        inside
            .filter(|c| words.as_ref().is_none_or(|w| w.passes(&text(c))))
            .collect()
    }

    /// What the page needs to know.
    pub fn wants(&self, m: &Model) -> super::Wants {
        let mut wants = super::page(&self.cluster);
        wants.push(super::log::ask_changes(&self.cluster, false));
        // What is archived does not change: only where the log still grows is there more to come.
        let end = self.window(m).and_then(Window::bounds).map(|b| b.1.at);
        let grows = self.asked.filter(|(_, to)| end.is_none_or(|end| *to >= end));
        wants.extend(grows.map(|stretch| self.ask_transactions(stretch)));
        wants
    }

    fn ask_transactions(&self, (from, to): (Millis, Millis)) -> (Query, Question) {
        let question = Question::Changes {
            cluster: self.cluster.clone(),
            from: Some(Moment::of_millis(from)),
            to: Some(Moment::of_millis(to)),
            table: None,
            all: true,
            limit: MANY,
        };
        (Query::Transactions(self.cluster.clone()), question)
    }

    /// Keeps the bar around the moment, and the list on the change that it stands on.
    pub fn reconcile(&mut self, m: &Model) {
        let Some(whole) = self.window(m).and_then(Stretch::of) else {
            return;
        };
        let length = self.length(whole);
        let at = self.instant(m);
        let edge = length / 20;
        let (from, to) = (self.left, self.left.plus(length));
        if at < from.plus(edge) || at > to.plus(-edge) {
            let middle = at.plus(-length / 2);
            self.left = middle.min(whole.to.plus(-length)).max(whole.from);
        }
        if let Some(On::Change(id)) = &self.on {
            self.list.select(id.clone());
        }
        let ids: Ids<'_> = self.rows(m).iter().map(|c| c.id.as_str().into()).collect();
        self.list.reconcile(&ids);
        if self.focus == Focus::Changes && ids.is_empty() {
            self.focus = Focus::Bar;
        }
    }

    /// The transactions that must be asked for, when the bar has come to where none are known.
    pub fn missing(&mut self, m: &Model) -> Option<(Query, Question)> {
        let stretch = self.stretch(m).filter(|_| self.is_fine(m))?;
        let known = |(from, to): (Millis, Millis)| from <= stretch.from && stretch.to <= to;
        if self.asked.is_some_and(known) {
            return None;
        }
        // Some more on both sides, so that not every step asks anew.
        let more = stretch.to.since(stretch.from);
        let wanted = (stretch.from.plus(-more), stretch.to.plus(more));
        self.asked = Some(wanted);
        Some(self.ask_transactions(wanted))
    }

    /// Puts the moment somewhere inside the window.
    pub fn go_to(&mut self, m: &Model, at: Millis, on: Option<On>) {
        let bounds = self.window(m).and_then(Window::bounds);
        let (low, high) = bounds.map_or((at, at), |(a, b)| (a.at, b.at));
        self.at = Some(at.max(low).min(high));
        self.on = on;
        self.error = None;
    }

    /// Moves by cells of a bar this wide.
    pub fn move_cells(&mut self, m: &Model, by: i64, cells: u16) {
        let Some(stretch) = self.stretch(m) else { return };
        let step = (stretch.to.since(stretch.from) / i64::from(cells.max(1))).max(1);
        let at = self.instant(m).plus(by.saturating_mul(step));
        // Whole seconds read better, where a cell is longer than one.
        let fraction = if step >= Millis::SECOND {
            at.0.rem_euclid(Millis::SECOND)
        } else {
            0
        };
        self.go_to(m, at.plus(-fraction), None);
    }

    /// Moves by days, keeping the time of day.
    pub fn move_days(&mut self, m: &Model, by: i64) {
        let zone = m.zone_shown();
        let at = self.instant(m);
        let day = month::day_of(at, zone);
        let days = Days::new(by.unsigned_abs());
        let to = if by < 0 {
            day.checked_sub_days(days)
        } else {
            day.checked_add_days(days)
        };
        let Some(to) = to else { return };
        let into = at.since(month::ends(day, zone).0);
        self.go_to(m, month::ends(to, zone).0.plus(into), None);
    }

    /// Up and down: weeks in the month, lines in the list, and between the parts.
    pub fn step(&mut self, m: &Model, by: isize, cells: u16) {
        let far = by.unsigned_abs() > 1;
        match self.focus {
            _ if by.unsigned_abs() > 100_000 && self.focus != Focus::Changes => {
                let ends = self.window(m).and_then(Window::bounds);
                let at = ends.map(|(a, b)| if by < 0 { a.at } else { b.at });
                self.go_to(m, at.unwrap_or(m.now), None);
            }
            Focus::Month if far => self.move_days(m, 28 * by.signum() as i64),
            Focus::Month => self.step_weeks(m, by),
            Focus::Bar if far => self.move_cells(m, by.signum() as i64 * i64::from(cells), cells),
            Focus::Bar if by < 0 => self.focus = Focus::Month,
            Focus::Bar => {
                if let Some(first) = self.rows(m).first() {
                    let (at, id) = (first.at.at, first.id.clone());
                    self.focus = Focus::Changes;
                    self.go_to(m, at, Some(On::Change(id)));
                }
            }
            Focus::Changes if by == -1 && self.list.index() == 0 => self.focus = Focus::Bar,
            Focus::Changes => {
                let rows = self.rows(m);
                let ids: Ids<'_> = rows.iter().map(|c| c.id.as_str().into()).collect();
                self.list.step(&ids, by);
                if let Some(c) = rows.get(self.list.index()) {
                    self.go_to(m, c.at.at, Some(On::Change(c.id.clone())));
                }
            }
        }
    }

    /// A week up or down; past the last week the bar gets the keys.
    fn step_weeks(&mut self, m: &Model, by: isize) {
        let before = self.at;
        self.move_days(m, 7 * by as i64);
        let end = self.window(m).and_then(Window::bounds).map(|b| b.1.at);
        if by > 0 && before.is_none_or(|at| Some(at) == end) {
            self.focus = Focus::Bar;
        }
    }

    /// Moves the keys to the next part.
    pub fn move_focus(&mut self, m: &Model, by: isize) {
        let all = [Focus::Month, Focus::Bar, Focus::Changes];
        let parts = if self.rows(m).is_empty() { 2 } else { 3 };
        let at = all.iter().position(|f| *f == self.focus).unwrap_or(0) as isize;
        let to = (at + by).rem_euclid(parts) as usize;
        self.focus = all.get(to).copied().unwrap_or(Focus::Bar);
        if self.focus == Focus::Changes && !matches!(self.on, Some(On::Change(_))) {
            let nearest = self
                .rows(m)
                .into_iter()
                .min_by_key(|c| c.at.at.since(self.instant(m)).abs());
            if let Some((at, id)) = nearest.map(|c| (c.at.at, c.id.clone())) {
                self.go_to(m, at, Some(On::Change(id)));
            }
        }
    }

    /// Zooms in or out around the moment; steps that would show the same are left out.
    pub fn zoom(&mut self, m: &Model, by: isize) {
        let Some(whole) = self.window(m).and_then(Stretch::of) else {
            return;
        };
        let before = self.length(whole);
        let mut zoom = self.zoom;
        loop {
            let next = zoom.saturating_add_signed(by).min(LENGTHS.len());
            if next == zoom {
                break;
            }
            zoom = next;
            self.zoom = zoom;
            if self.length(whole) != before {
                break;
            }
        }
        self.left = Millis(i64::MIN);
    }

    /// The next or previous mark: a base, a change worth a look, the edge of a hole.
    pub fn next_mark(&mut self, m: &Model, forward: bool) {
        let marks = self.marks(m);
        let here = (self.instant(m), self.on.clone());
        let found = if forward {
            // Standing on no mark, those of this very instant are still ahead.
            marks
                .iter()
                .find(|(at, on)| (*at, Some(on.clone())) > here && (here.1.is_some() || *at > here.0))
        } else {
            marks
                .iter()
                .rev()
                .find(|(at, on)| (*at, Some(on.clone())) < here && (here.1.is_some() || *at < here.0))
        };
        if let Some((at, on)) = found.cloned() {
            self.go_to(m, at, Some(on));
        }
    }

    /// All marks, oldest first.
    pub fn marks(&self, m: &Model) -> Vec<(Millis, On)> {
        let Some(window) = self.window(m) else {
            return Vec::new();
        };
        let bases = window.bases.iter().map(|b| (b.commit.at, On::Base(b.id.clone())));
        let changes = m.store.changes(&self.cluster, false).unwrap_or_default().iter();
        let changes = changes.map(|c| (c.at.at, On::Change(c.id.clone())));
        let holes = window.holes();
        let edges = holes.iter().flat_map(|h| [(h.from.at, On::Edge), (h.to.at, On::Edge)]);
        let inside = window.bounds().map_or((m.now, m.now), |(a, b)| (a.at, b.at));
        let all = bases.chain(changes).chain(edges);
        let mut marks: Vec<(Millis, On)> = all.filter(|(at, _)| inside.0 <= *at && *at <= inside.1).collect();
        marks.sort();
        marks
    }

    /// Takes what was typed as the moment.
    pub fn accept(&mut self, m: &Model) -> Result<(), String> {
        let text = self.typing.as_ref().map(|i| i.value().to_owned()).unwrap_or_default();
        let zone = m.zone_of(Some(&self.cluster));
        let when = time::parse_when(&text, zone, m.now).map_err(|e| e.to_string())?;
        let at = when.millis();
        self.typing = None;
        self.go_to(m, at, None);
        if self.at != Some(at) {
            self.error = Some(format!(
                "{} lies outside the restorable window: this is its nearest end",
                time::local(at, zone)
            ));
        }
        Ok(())
    }

    /// Restore 1/2 with the moment filled in.
    pub fn restore(&self, m: &Model) -> Restore {
        let cluster = self.cluster.clone();
        match (&self.on, self.change(m)) {
            (Some(On::Change(_)), Some(c)) if !matches!(c.kind, ChangeKind::Transaction) => {
                Restore::before_change(cluster, c)
            }
            (Some(On::Base(id)), _) => Restore::from_snapshot(cluster, id),
            _ if self.at.is_none() => Restore::latest(cluster),
            (_, change) => {
                let before = change.and_then(|c| c.at.tso).map(|t| t.0.saturating_sub(1).to_string());
                let at = self.instant(m);
                Restore::at_moment(cluster, m, at, before)
            }
        }
    }
}

/// The base of an id.
pub fn base<'a>(window: &'a Window, id: &BackupId) -> Option<&'a Base> {
    window.bases.iter().rev().find(|b| b.id == *id)
}

/// Changes the timeline while reading the rest of the model.
pub fn with(m: &mut Model, change: impl FnOnce(&mut Timeline, &Model)) {
    let super::Screen::Timeline(s) = m.screen() else { return };
    let mut copy = s.clone();
    change(&mut copy, m);
    *m.screen_mut() = super::Screen::Timeline(copy);
}

/// Keeps the timeline on top valid, and asks for the transactions that its bar has come to.
pub fn settle(m: &mut Model) -> Option<Effect> {
    let mut wanted = None;
    with(m, |s, m| {
        s.reconcile(m);
        wanted = s.missing(m);
    });
    wanted.map(|(query, question)| m.store.ask_anew(query, question))
}
