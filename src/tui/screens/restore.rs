//! Restore 1/2: which point, what, and where. Nothing happens here; the answers become a request for a plan.

use std::rc::Rc;

use tui_input::Input;

use crate::model::backup::{BackupEntry, BackupStatus, BackupTable};
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, ClusterName};
use crate::model::log::Change;
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::time;
use crate::model::window::Window;
use crate::service::desk::Question;
use crate::tui::event::Query;
use crate::tui::filter::{Col, column};
use crate::tui::keys::Key;
use crate::tui::list::{Ids, Lines, List};
use crate::tui::model::Model;
use crate::tui::widgets::bar::Stretch;

/// Restore Mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Basic Snapshot Restore.
    Snapshot,
    /// Point-in-Time Restore.
    PointInTime,
}

/// How the point in time is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// As late as possible.
    Latest,
    /// A typed moment.
    Exact,
    /// Before a change of the log.
    BeforeChange,
    /// The newest snapshot before a typed moment, no log.
    Fastest,
}

/// What is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Everything.
    Whole,
    /// The table of the selected change.
    TableOfChange,
    /// Tables by filter rules.
    Chosen,
}

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Under new names in the same cluster.
    Beside,
    /// Another cluster.
    Other,
    /// Over the cluster itself.
    InPlace,
}

/// The fields, in the order of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the labels on screen
pub enum Focus {
    Mode,
    Point,
    Timeline,
    Time,
    Changes,
    Snapshots,
    Which,
    Tables,
    Place,
    Suffix,
    Other,
    Names,
    StayClosed,
}

/// What the databases of a restore beside get behind their names.
pub const SUFFIX: &str = "_restored";

/// The screen's state.
#[derive(Clone, Debug)]
pub struct Restore {
    /// Whose archive.
    pub cluster: ClusterName,
    /// Restore Mode.
    pub mode: Mode,
    /// How the point is chosen.
    pub point: Point,
    /// The changes, and which one.
    pub changes: List,
    /// Whether all transactions are listed.
    pub all: bool,
    /// Whether the change itself is restored too.
    pub through: bool,
    /// The snapshots, and which one.
    pub snapshots: List,
    /// The moment, as typed.
    pub time: Input,
    /// What is restored.
    pub which: Which,
    /// Whether the operator chose it; until then it follows the selected change.
    pub which_chosen: bool,
    /// Filter rules, as typed.
    pub tables: Input,
    /// Where to.
    pub place: Place,
    /// The other cluster.
    pub other: Option<ClusterName>,
    /// What is put behind database names beside.
    pub suffix: Input,
    /// New names in the other cluster, as typed; empty keeps the names.
    pub names: Input,
    /// Whether the cluster stays closed after a restore in place.
    pub stay_closed: bool,
    /// Which field has the keys.
    pub focus: Focus,
    /// How often the timeline was zoomed in, each time by four.
    pub zoom: u32,
    /// Why there is no plan.
    pub error: Option<String>,
}

/// The nearest instant whose whole millisecond can be restored: a written time means all of its millisecond, and
/// the window may end in the middle of one.
pub fn within((from, to): (Moment, Moment), at: Millis) -> Millis {
    let whole = to.last_tso() == Moment::of_millis(to.at).last_tso();
    let last = if whole { to.at } else { to.at.plus(-1) };
    at.min(last).max(from.at)
}

impl Restore {
    /// Point-in-time, with the changes to choose from.
    pub fn new(cluster: ClusterName) -> Restore {
        Restore {
            cluster,
            mode: Mode::PointInTime,
            point: Point::BeforeChange,
            changes: List::newest_first(),
            all: false,
            through: false,
            snapshots: List::default(),
            time: Input::default(),
            which: Which::Whole,
            which_chosen: false,
            tables: Input::default(),
            place: Place::Beside,
            other: None,
            suffix: Input::new(SUFFIX.to_owned()),
            names: Input::default(),
            stay_closed: false,
            focus: Focus::Point,
            zoom: 0,
            error: None,
        }
    }

    /// From a snapshot.
    pub fn from_snapshot(cluster: ClusterName, id: &BackupId) -> Restore {
        let mut new = Restore::new(cluster);
        new.mode = Mode::Snapshot;
        new.snapshots.select(id.as_str());
        new.focus = Focus::Snapshots;
        new
    }

    /// Of a cluster without any log, there are only snapshots to restore.
    pub fn without_log(cluster: ClusterName) -> Restore {
        Restore {
            mode: Mode::Snapshot,
            focus: Focus::Snapshots,
            ..Restore::new(cluster)
        }
    }

    /// To just before a change.
    pub fn before_change(cluster: ClusterName, change: &Change) -> Restore {
        let mut new = Restore::new(cluster);
        new.changes.select(change.id.clone());
        new.all = matches!(change.kind, crate::model::log::ChangeKind::Transaction);
        new.focus = Focus::Changes;
        new
    }

    /// To the latest moment.
    pub fn latest(cluster: ClusterName) -> Restore {
        let mut new = Restore::new(cluster);
        new.point = Point::Latest;
        new.focus = Focus::Which;
        new
    }

    /// To an instant; or to an exact place in the source's log, as it is typed.
    pub fn at_moment(cluster: ClusterName, m: &Model, at: Millis, place: Option<String>) -> Restore {
        let mut new = Restore::new(cluster);
        new.point = Point::Exact;
        match place {
            Some(place) => new.time = Input::new(place),
            None => new.set_time(m, at),
        }
        new.focus = Focus::Which;
        new
    }

    /// The fields that are shown now.
    pub fn fields(&self) -> Vec<Focus> {
        let mut out = vec![Focus::Mode];
        match (self.mode, self.point) {
            (Mode::Snapshot, _) => out.push(Focus::Snapshots),
            (Mode::PointInTime, Point::Latest) => out.push(Focus::Point),
            (Mode::PointInTime, Point::BeforeChange) => out.extend([Focus::Point, Focus::Changes]),
            (Mode::PointInTime, Point::Exact | Point::Fastest) => {
                out.extend([Focus::Point, Focus::Timeline, Focus::Time])
            }
        }
        out.push(Focus::Which);
        if self.which == Which::Chosen {
            out.push(Focus::Tables);
        }
        out.push(Focus::Place);
        match self.place {
            Place::Beside => out.push(Focus::Suffix),
            Place::Other => out.extend([Focus::Other, Focus::Names]),
            Place::InPlace => out.push(Focus::StayClosed),
        }
        out
    }

    /// Moves the keys to the next or previous field, round.
    pub fn move_focus(&mut self, by: isize) {
        let fields = self.fields();
        let at = fields.iter().position(|f| *f == self.focus).unwrap_or(0) as isize;
        let to = (at + by).rem_euclid(fields.len() as isize) as usize;
        if let Some(field) = fields.get(to) {
            self.focus = *field;
        }
    }

    /// Keeps the focus on a field that is shown, and the other cluster one that exists.
    pub fn reconcile(&mut self, others: &[ClusterName], whiches: &[Which]) {
        if !self.which_chosen || !whiches.contains(&self.which) {
            self.which = whiches.first().copied().unwrap_or(Which::Whole);
        }
        if !self.fields().contains(&self.focus) {
            self.focus = match self.focus {
                Focus::Tables => Focus::Which,
                Focus::Suffix | Focus::Other | Focus::Names | Focus::StayClosed => Focus::Place,
                _ => Focus::Point,
            };
        }
        if self.other.as_ref().is_none_or(|o| !others.contains(o)) {
            self.other = others.first().cloned();
        }
    }

    /// The list that is chosen from.
    pub fn list(&self) -> Option<&List> {
        match (self.mode, self.point) {
            (Mode::Snapshot, _) => Some(&self.snapshots),
            (Mode::PointInTime, Point::BeforeChange) => Some(&self.changes),
            (Mode::PointInTime, _) => None,
        }
    }

    /// The list that is chosen from.
    pub fn list_mut(&mut self) -> Option<&mut List> {
        match (self.mode, self.point) {
            (Mode::Snapshot, _) => Some(&mut self.snapshots),
            (Mode::PointInTime, Point::BeforeChange) => Some(&mut self.changes),
            (Mode::PointInTime, _) => None,
        }
    }

    /// Whether the list has the keys.
    pub fn in_list(&self) -> bool {
        matches!(self.focus, Focus::Changes | Focus::Snapshots)
    }

    /// The ids of that list.
    pub fn ids<'a>(&self, m: &'a Model) -> Ids<'a> {
        match (self.mode, self.point) {
            (Mode::Snapshot, _) => self
                .snapshot_rows(m)
                .iter()
                .map(|b| b.summary.id.as_str().into())
                .collect(),
            (Mode::PointInTime, Point::BeforeChange) => {
                self.change_rows(m).iter().map(|c| c.id.as_str().into()).collect()
            }
            (Mode::PointInTime, _) => Vec::new(),
        }
    }

    /// Snapshots that can be restored.
    pub fn snapshot_rows<'a>(&self, m: &'a Model) -> Vec<&'a BackupEntry> {
        let all = m.store.backups(&self.cluster, false).unwrap_or_default();
        let found = self.shown(m, all);
        let found = found.iter().filter_map(|i| all.get(*i));
        found.filter(|b| b.status == BackupStatus::Complete).collect()
    }

    /// The numbers of the backups that pass the filter, whatever their status.
    fn shown(&self, m: &Model, all: &[BackupEntry]) -> Rc<Vec<usize>> {
        let query = Query::Backups(self.cluster.clone(), false);
        let lines = Lines {
            version: (m.store.version(&query), m.time_mode as u8),
            len: all.len(),
        };
        let zone = m.zone_shown();
        let text = |i: usize, out: &mut String| {
            if let Some(s) = all.get(i).map(|b| &b.summary) {
                column(out, Col::Time);
                m.push_stamp(out, s.commit.at, zone);
                column(out, Col::Type);
                out.push_str(s.kind.word());
                column(out, Col::Id);
                out.push_str(s.id.as_str());
            }
        };
        self.snapshots.shown(lines, text, |_, _| {})
    }

    /// Changes to restore to just before of.
    pub fn change_rows<'a>(&self, m: &'a Model) -> Vec<&'a Change> {
        super::log::changes(m, &self.cluster, self.all, &self.changes)
    }

    /// The selected change.
    pub fn change<'a>(&self, m: &'a Model) -> Option<&'a Change> {
        let id = self.changes.selected()?;
        self.change_rows(m).into_iter().find(|c| c.id == id)
    }

    /// The selected snapshot.
    pub fn snapshot<'a>(&self, m: &'a Model) -> Option<&'a BackupEntry> {
        let id = self.snapshots.selected()?;
        let all = m.store.backups(&self.cluster, false)?;
        let shown = self.shown(m, all);
        let is_it = |b: &&BackupEntry| b.summary.id.as_str() == id && b.status == BackupStatus::Complete;
        let found = |i: &usize| all.get(*i).filter(is_it);
        // Most often it is where it was, or a little below, behind lines that are not offered.
        let near = shown.iter().skip(self.snapshots.index()).find_map(found);
        near.or_else(|| shown.iter().find_map(found))
    }

    /// What the page needs to know.
    pub fn wants(&self, m: &Model) -> super::Wants {
        let mut wants = super::page_and_backups(&self.cluster, false);
        wants.push((Query::Fleet, Question::Fleet));
        wants.push(super::log::ask_changes(&self.cluster, self.all));
        let newest = self.base_id(m).filter(|id| m.store.tables(&self.cluster, id).is_none());
        if let Some(id) = newest {
            let (cluster, question_id) = (self.cluster.clone(), id.clone());
            wants.push((
                Query::Backup(cluster.clone(), id),
                Question::Backup {
                    cluster,
                    id: question_id,
                },
            ));
        }
        wants
    }

    /// The backup whose tables stand for the point: the selected snapshot, else the newest whole one.
    fn base_id(&self, m: &Model) -> Option<BackupId> {
        let chosen = self.snapshot(m).filter(|_| self.mode == Mode::Snapshot);
        let whole = |b: &&BackupEntry| b.summary.is_full() && b.status == BackupStatus::Complete;
        let newest = || m.store.backups(&self.cluster, false)?.iter().find(whole);
        chosen.or_else(newest).map(|b| b.summary.id.clone())
    }

    /// The tables known to be in the backup that stands for the point.
    pub fn known_tables<'a>(&self, m: &'a Model) -> Option<&'a [BackupTable]> {
        m.store.tables(&self.cluster, &self.base_id(m)?)
    }

    /// Their names.
    pub fn tables(&self, m: &Model) -> Vec<TableName> {
        self.known_tables(m)
            .unwrap_or_default()
            .iter()
            .map(|t| t.name.clone())
            .collect()
    }

    /// Other clusters that could be restored into.
    pub fn others(&self, m: &Model) -> Vec<ClusterName> {
        let fleet = m.store.fleet().unwrap_or_default().iter();
        fleet.map(|c| c.name.clone()).filter(|n| *n != self.cluster).collect()
    }

    /// The restorable window.
    pub fn window<'a>(&self, m: &'a Model) -> Option<&'a Window> {
        m.store.card(&self.cluster).map(|c| &c.window)
    }

    /// The moment that was typed.
    pub fn typed(&self, m: &Model) -> Result<Moment, String> {
        let when =
            time::parse_when(self.time.value(), m.zone_of(Some(&self.cluster)), m.now).map_err(|e| e.to_string())?;
        let oracle = self
            .window(m)
            .and_then(Window::bounds)
            .is_some_and(|(a, _)| a.tso.is_some());
        Ok(if oracle { when.on_oracle() } else { when.moment() })
    }

    /// The moment the answers stand for, where one is known.
    pub fn moment(&self, m: &Model) -> Option<Moment> {
        match (self.mode, self.point) {
            (Mode::Snapshot, _) => self.snapshot(m).map(|b| b.summary.commit),
            (_, Point::Latest) => self.window(m)?.bounds().map(|(_, to)| to),
            (_, Point::BeforeChange) => self.change(m).map(|c| c.at),
            (_, Point::Exact | Point::Fastest) => self.typed(m).ok(),
        }
    }

    /// The part of the window that the timeline shows, around the moment.
    pub fn stretch(&self, m: &Model) -> Option<Stretch> {
        let whole = Stretch::of(self.window(m)?)?;
        let length = whole.to.since(whole.from);
        let part = (length >> (2 * self.zoom.min(12)))
            .max(Millis::MINUTE)
            .min(length.max(1));
        let middle = self.moment(m).map_or(whole.to, |x| x.at);
        let from = middle
            .plus(-part / 2)
            .max(whole.from)
            .min(whole.to.plus(-part))
            .max(whole.from);
        Some(Stretch {
            from,
            to: from.plus(part),
        })
    }

    /// Moves the typed moment along the timeline by cells of a bar this wide.
    pub fn move_moment(&mut self, m: &Model, by: i64, cells: i64) {
        let Some(stretch) = self.stretch(m) else { return };
        let Some((from, to)) = self.window(m).and_then(Window::bounds) else {
            return;
        };
        let step = (stretch.to.since(stretch.from) / cells.max(1)).max(Millis::SECOND);
        let at = self.moment(m).map_or(to.at, |x| x.at).plus(by * step);
        self.set_time(m, at.max(from.at).min(to.at));
    }

    /// Writes a moment into the time field; one outside the window becomes the nearest inside.
    pub fn set_time(&mut self, m: &Model, at: Millis) {
        let at = self.window(m).and_then(Window::bounds).map_or(at, |b| within(b, at));
        self.time = Input::new(time::exact(at, m.zone_of(Some(&self.cluster))));
    }

    /// The text field that has the keys, if one has.
    pub fn input_mut(&mut self) -> Option<&mut Input> {
        match self.focus {
            Focus::Time => Some(&mut self.time),
            Focus::Tables => Some(&mut self.tables),
            Focus::Suffix => Some(&mut self.suffix),
            Focus::Names => Some(&mut self.names),
            _ => None,
        }
    }

    /// Gives a key to the text field that has the keys; false when none took it.
    pub fn on_text_key(&mut self, key: Key) -> bool {
        let taken = self
            .input_mut()
            .is_some_and(|input| crate::tui::popups::form::edit(input, key));
        if taken {
            self.error = None;
        }
        taken
    }

    /// Left or right on a field with choices.
    pub fn choose(&mut self, m: &Model, by: isize) {
        fn next<T: Copy + PartialEq>(all: &[T], now: T, by: isize) -> T {
            let at = all.iter().position(|x| *x == now).unwrap_or(0) as isize;
            let to = (at + by).rem_euclid(all.len().max(1) as isize) as usize;
            all.get(to).copied().unwrap_or(now)
        }
        self.error = None;
        match self.focus {
            Focus::Mode => self.mode = next(&[Mode::Snapshot, Mode::PointInTime], self.mode, by),
            Focus::Point => {
                let all = [Point::Latest, Point::Exact, Point::BeforeChange, Point::Fastest];
                self.point = next(&all, self.point, by);
            }
            Focus::Which => {
                self.which = next(&self.whiches(m), self.which, by);
                self.which_chosen = true;
            }
            Focus::Place => self.place = next(&[Place::Beside, Place::Other, Place::InPlace], self.place, by),
            Focus::StayClosed => self.stay_closed = !self.stay_closed,
            Focus::Other => {
                let others = self.others(m);
                let at = others.iter().position(|o| Some(o) == self.other.as_ref()).unwrap_or(0) as isize;
                let to = (at + by).rem_euclid(others.len().max(1) as isize) as usize;
                self.other = others.get(to).cloned();
            }
            Focus::Timeline
            | Focus::Time
            | Focus::Changes
            | Focus::Snapshots
            | Focus::Tables
            | Focus::Suffix
            | Focus::Names => {}
        }
        if self.time.value().is_empty() && matches!(self.point, Point::Exact | Point::Fastest) {
            let latest = self.window(m).and_then(Window::bounds).map_or(m.now, |(_, to)| to.at);
            self.set_time(m, latest);
        }
    }

    /// What can be restored, given the point.
    pub fn whiches(&self, m: &Model) -> Vec<Which> {
        let of_change = self.mode == Mode::PointInTime
            && self.point == Point::BeforeChange
            && self
                .change(m)
                .is_some_and(|c| c.table.is_some() && (self.through || !c.makes_its_table()));
        let table = of_change.then_some(Which::TableOfChange);
        table.into_iter().chain([Which::Whole, Which::Chosen]).collect()
    }
}
