//! Everything the console knows: settings, what the desk answered, the stack of screens, popups, toasts.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::commands::Scope;
use super::event::{Effect, Query};
use super::keys::Keymap;
use super::list::List;
use super::paint::safe;
use super::popups::Popup;
use super::screens::Screen;
use super::store::{Slot, Store};
use super::theme::Library;
use super::tour::Tour;
use super::trends::Trends;
use super::{DemoStrip, Options};
use crate::config::Notify;
use crate::model::clock::Millis;
use crate::model::ids::ClusterName;
use crate::model::job::LineLevel;
use crate::model::log::LogActual;
use crate::model::time;
use crate::service::desk::{ClusterCard, Message, Question, Refusal};

/// The smallest size at which screens are drawn.
pub const MIN_SIZE: (u16, u16) = (60, 16);

/// How times are shown; `t` goes round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeMode {
    /// In the cluster's zone.
    #[default]
    Local,
    /// In UTC.
    Utc,
    /// As distance from now.
    Relative,
}

/// A short notice at the bottom right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// How bad.
    pub level: LineLevel,
    /// The text.
    pub text: String,
    /// When it goes; errors stay until a key is pressed after they were shown.
    pub until: Option<Millis>,
}

/// What follows when an act was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// A toast is enough.
    Tell,
    /// Show the job that was started.
    Follow,
}

/// An act that was asked for and is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// In words: `Back up demo`.
    pub label: String,
    /// What follows.
    pub then: Then,
}

/// The console's whole state.
pub struct Model {
    /// Now, as of the latest event.
    pub now: Millis,
    /// Columns and rows.
    pub size: (u16, u16),
    /// The zone that was asked for; else each cluster's own.
    pub zone: Option<Tz>,
    /// Whether nothing repaints by itself more often than every 5 s.
    pub accessible: bool,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Whether the bell is rung.
    pub bell: bool,
    /// Whether the terminal shall be asked for notifications.
    pub notify: bool,
    /// Whether the terminal's window has the keys, as far as it says so.
    pub focused: bool,
    /// Whether the tips of the first run are shown.
    pub tips: bool,
    /// The demo's strip.
    pub demo: Option<DemoStrip>,
    /// The tour, while it walks.
    pub tour: Option<Tour>,
    /// The keys.
    pub keymap: Keymap,
    /// The theme's name; none without colours.
    pub theme: Option<String>,
    /// All themes.
    pub themes: Library,
    /// What the desk answered.
    pub store: Store,
    /// How numbers went since the console was started.
    pub trends: Trends,
    /// The stack of screens; the last one is shown. Never empty.
    pub screens: Vec<Screen>,
    /// Screens that were left by going back, the latest last; going forward visits them again.
    pub left: Vec<Screen>,
    /// The screen that was shown before this one.
    pub previous: Option<Box<Screen>>,
    /// Whether the part of the screen that has the keys has all the room.
    pub zoomed: bool,
    /// Popups; the last one has the keys.
    pub popups: Vec<Popup>,
    /// Notices.
    pub toasts: Vec<Toast>,
    /// What the console itself has to say; kept in Messages.
    pub notes: Vec<Message>,
    /// How times are shown.
    pub time_mode: TimeMode,
    /// Whether the filter of the list is being typed.
    pub filtering: bool,
    /// Acts on their way.
    pub acts: BTreeMap<u64, Pending>,
    /// When Ctrl-C was pressed last.
    pub interrupted: Option<Millis>,
    /// Whether a long list is being got ready for a filter.
    pub preparing: bool,
    /// When any key was pressed last.
    pub last_key: Millis,
    /// When running jobs were last asked about.
    pub sampled: Millis,
    /// When everything shown was last asked for.
    pub refreshed: Millis,
    /// When it shall be asked for again, because something changed.
    pub refresh_due: Option<Millis>,
    /// Whether the desk no longer answers.
    pub desk_lost: bool,
    /// This process, to know whether jobs are its own.
    pub pid: u32,
    acts_so_far: u64,
}

impl Model {
    /// A console that knows nothing yet.
    pub fn new(options: &Options, keymap: Keymap, now: Millis, size: (u16, u16)) -> Model {
        let mut model = Model {
            now,
            size,
            zone: options.zone,
            accessible: options.accessible,
            read_only: options.read_only,
            bell: options.bell,
            notify: options.notify != Notify::Off,
            focused: true,
            tips: options.tips.as_ref().is_some_and(|seen| !seen.exists()),
            demo: options.demo.clone(),
            tour: options.tour.then(|| Tour::new(now)),
            keymap,
            theme: options.theme.clone(),
            themes: options.themes.clone(),
            store: Store::default(),
            trends: Trends::default(),
            screens: vec![Screen::Fleet(super::screens::fleet::Fleet::default())],
            left: Vec::new(),
            previous: None,
            zoomed: false,
            popups: Vec::new(),
            toasts: Vec::new(),
            notes: Vec::new(),
            time_mode: TimeMode::default(),
            filtering: false,
            acts: BTreeMap::new(),
            interrupted: None,
            preparing: false,
            last_key: now,
            sampled: now,
            refreshed: now,
            refresh_due: None,
            desk_lost: false,
            pid: 0,
            acts_so_far: 0,
        };
        for warning in &options.warnings {
            model.toast(LineLevel::Warning, warning.as_str());
        }
        model
    }

    /// The screen on top.
    #[allow(clippy::indexing_slicing)] // the stack is never empty: `back` keeps the last one
    pub fn screen(&self) -> &Screen {
        &self.screens[self.screens.len() - 1]
    }

    /// The screen on top.
    #[allow(clippy::indexing_slicing)] // as above
    pub fn screen_mut(&mut self) -> &mut Screen {
        let top = self.screens.len() - 1;
        &mut self.screens[top]
    }

    /// Another screen is about to be shown: remembers this one.
    pub fn depart(&mut self) {
        self.zoomed = false;
        // A plan belongs to the answers it was asked for with: it is asked for again from there.
        if !matches!(self.screen(), Screen::Plan(_)) {
            self.previous = Some(Box::new(self.screen().clone()));
        }
    }

    /// So many lines below a list, unless the list was given all the room.
    pub fn below(&self, lines: u16) -> u16 {
        if self.zoomed { 0 } else { lines }
    }

    /// Where commands are looked up.
    pub fn scope(&self) -> Scope {
        self.screen().scope()
    }

    /// The cluster that is shown or selected.
    pub fn cluster(&self) -> Option<ClusterName> {
        let own = self.screen().cluster(self);
        let alone = || match self.store.fleet() {
            Some([only]) => Some(only.name.clone()),
            _ => None,
        };
        own.or_else(|| self.screens.iter().rev().find_map(|s| s.cluster(self)))
            .or_else(alone)
    }

    /// The card of that cluster.
    pub fn card(&self) -> Option<&ClusterCard> {
        self.store.card(&self.cluster()?)
    }

    /// The list of the screen on top, if it has one.
    pub fn list_mut(&mut self) -> Option<&mut List> {
        self.screen_mut().list_mut()
    }

    /// Whether this is a demo.
    pub fn is_demo(&self) -> bool {
        self.demo.is_some() || self.store.hello().is_some_and(|h| h.demo)
    }

    /// Whether changes are refused, here or by who answers.
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.store.hello().is_some_and(|h| h.read_only)
    }

    /// Whether leaving would stop something that runs in this very process.
    pub fn is_busy(&self) -> bool {
        let own = self.store.hello().is_none_or(|h| h.pid == self.pid);
        own && (!self.store.running().is_empty() || super::popups::acts::streaming(self).next().is_some())
    }

    /// The zone in which a cluster's times are shown.
    pub fn zone_of(&self, cluster: Option<&ClusterName>) -> Tz {
        let own = || cluster.and_then(|c| self.store.page(c)).map(|p| p.settings.time_zone);
        self.zone.or_else(own).unwrap_or(Tz::UTC)
    }

    /// The zone of the cluster that is shown.
    pub fn zone_here(&self) -> Tz {
        self.zone_of(self.cluster().as_ref())
    }

    /// The zone that is really shown: UTC when the operator asked for UTC.
    pub fn zone_shown(&self) -> Tz {
        match self.time_mode {
            TimeMode::Utc => Tz::UTC,
            TimeMode::Local | TimeMode::Relative => self.zone_here(),
        }
    }

    /// An instant for a column, at most 12 wide.
    pub fn stamp(&self, at: Millis) -> String {
        match self.time_mode {
            TimeMode::Local | TimeMode::Utc => time::short(at, self.zone_shown()),
            TimeMode::Relative => self.ago(at),
        }
    }

    /// The same behind what is there already.
    ///
    /// The zone shown is handed in: finding it for each of many lines would take longer than the rest.
    pub fn push_stamp(&self, out: &mut String, at: Millis, shown: Tz) {
        match self.time_mode {
            TimeMode::Local | TimeMode::Utc => time::push_short(out, at, shown),
            TimeMode::Relative => out.push_str(&self.ago(at)),
        }
    }

    /// The same with seconds, at most 15 wide.
    pub fn stamp_seconds(&self, at: Millis) -> String {
        match self.time_mode {
            TimeMode::Local | TimeMode::Utc => time::short_seconds(at, self.zone_shown()),
            TimeMode::Relative => self.ago(at),
        }
    }

    /// An age; in minutes only while nothing on screen moves, so that an idle console stays still.
    pub fn age(&self, ms: i64) -> String {
        if ms < Millis::MINUTE && !self.is_live() {
            "<1 min".to_owned()
        } else {
            time::age(ms)
        }
    }

    /// How long something has taken that has not ended; whole minutes where nothing shall move by itself.
    pub fn took_so_far(&self, ms: i64) -> String {
        match (self.accessible, ms) {
            (true, ..Millis::MINUTE) => "<1 min".to_owned(),
            (true, ms) => time::took(ms - ms.rem_euclid(Millis::MINUTE)),
            (false, ms) => time::took(ms),
        }
    }

    /// A distance from now.
    pub fn ago(&self, at: Millis) -> String {
        let ms = self.now.since(at);
        if (0..Millis::MINUTE).contains(&ms) && !self.is_live() {
            "<1 min ago".to_owned()
        } else {
            time::ago(ms)
        }
    }

    /// Whether seconds matter now: a log streams, a job runs, or this is the demo.
    pub fn is_live(&self) -> bool {
        if self.accessible {
            return false;
        }
        let streams = |c: &ClusterCard| c.log.actual == LogActual::Streaming;
        self.demo.is_some()
            || !self.store.running().is_empty()
            || self.store.fleet().is_some_and(|f| f.iter().any(streams))
    }

    /// Shows a notice and keeps it in Messages.
    pub fn toast(&mut self, level: LineLevel, text: impl Into<String>) {
        let text = super::paint::safe(&text.into());
        let life = match level {
            LineLevel::Info => Some(4 * Millis::SECOND),
            LineLevel::Warning => Some(8 * Millis::SECOND),
            LineLevel::Error => None,
        };
        self.notes.push(Message {
            at: self.now,
            level,
            cluster: None,
            text: text.clone(),
        });
        let extra = self.notes.len().saturating_sub(500);
        self.notes.drain(..extra);
        self.toasts.retain(|t| t.text != text);
        let until = life.map(|ms| self.now.plus(ms));
        self.toasts.push(Toast { level, text, until });
        let extra = self.toasts.len().saturating_sub(3);
        self.toasts.drain(..extra);
    }

    /// Shows why something was refused, and what to do next.
    pub fn refuse(&mut self, doing: &str, refusal: &Refusal) {
        self.toast(LineLevel::Error, format!("{doing}: {}", refusal_text(refusal)));
    }

    /// A sentence of somebody else's, safe to show, its moments as the rest of the screen shows them.
    pub fn told(&self, text: &str) -> String {
        safe(&time::with_mentions(text, |at| self.stamp_seconds(at)))
    }

    /// A refusal, likewise.
    pub fn why(&self, refusal: &Refusal) -> String {
        self.told(&refusal_text(refusal))
    }

    /// Asks the desk to do something.
    pub fn act(&mut self, label: impl Into<String>, then: Then, question: Question) -> Effect {
        self.acts_so_far += 1;
        let n = self.acts_so_far;
        let label = label.into();
        self.acts.insert(n, Pending { label, then });
        self.store.ask_anew(Query::Act(n), question)
    }

    /// Since when what the screen shows is old, because the latest try to read it failed or takes long; and why.
    pub fn old(&self) -> Option<(Millis, String)> {
        let wants = self.screen().wants(self);
        let slots = wants.iter().filter_map(|(query, _)| self.store.slot(query));
        let old = slots.filter_map(|s| Some((s.at?, self.why_old(s)?)));
        old.min_by_key(|(at, _)| *at)
    }

    /// Since when nobody knows how a cluster is: its latest answer is this old, and a newer one failed or is late.
    pub fn unknown_since(&self, cluster: &ClusterName) -> Option<Millis> {
        let slots = [Query::Cluster(cluster.clone()), Query::Fleet];
        let slots = slots.iter().filter_map(|query| self.store.slot(query));
        let newest = slots.max_by_key(|s| s.at)?;
        self.why_old(newest)?;
        newest.at
    }

    fn why_old(&self, slot: &Slot) -> Option<String> {
        if let Some(error) = &slot.error {
            return Some(format!("It could not be read again: {}", refusal_text(error)));
        }
        let since = slot.late_since(self.now)?;
        Some(format!("Asked again at {}, no answer yet.", self.clock_seconds(since)))
    }

    /// The time of day to the second, for what happens now.
    pub fn clock_seconds(&self, at: Millis) -> String {
        time::clock(at, self.zone_shown())
    }

    /// Whether the terminal is too small for screens.
    pub fn too_small(&self) -> bool {
        self.size.0 < MIN_SIZE.0 || self.size.1 < MIN_SIZE.1
    }
}

/// A hint as a sentence of its own.
fn sentence(hint: &str) -> String {
    let mut chars = hint.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    // The name of a program is written as it is called.
    if hint.starts_with("brine ") {
        return hint.to_owned();
    }
    format!("{first}{}", chars.as_str())
}

/// A refusal as one text: the chain, then what to do next.
pub fn refusal_text(refusal: &Refusal) -> String {
    let chain = refusal.chain.join(": ");
    match &refusal.hint {
        Some(hint) => format!("{chain}. {}", sentence(hint)),
        None => chain,
    }
}
