//! The console: model, update, view; screens, popups, widgets, theme, keymap.
//!
//! One [`model::Model`] holds everything that is shown. [`update::update`] is pure: an event comes in with its
//! time, the model changes, effects go out as values. [`view::view`] paints the model into a buffer and does
//! nothing else. The shell (`shell.rs`) is the only part that touches the terminal, threads and signals: it runs effects,
//! asks the desk on threads of its own, and paints only when the picture has changed, so that an idle console
//! costs no bytes and no CPU.
//!
//! Everything is asked of a [`Desk`](crate::service::desk::Desk); the console knows no engine, no storage and no file.
//!
//! *Invariant: `update` and `view` do no I/O, take no locks and ask no clock.*

use std::path::PathBuf;
use std::sync::Arc;

use chrono_tz::Tz;

use crate::config::Notify;
use crate::model::clock::{Clock, SystemClock};
use crate::model::ids::ClusterName;
use crate::service::opening::OpeningDesk;
use theme::Library;

pub mod commands;
pub mod event;
pub mod filter;
pub mod glyphs;
mod ground;
pub mod keys;
pub mod list;
pub mod model;
pub mod paint;
pub mod popups;
pub mod screens;
pub mod scroll;
mod shell;
pub mod store;
mod terminal;
pub mod theme;
pub mod tour;
pub mod trends;
pub mod update;
pub mod view;
pub mod widgets;

/// How the console shall look and behave.
#[derive(Clone)]
pub struct Options {
    /// The theme's name; chosen by the terminal when not given.
    pub theme: Option<String>,
    /// The themes to choose from.
    pub themes: Library,
    /// What shall be said at the start, as warnings.
    pub warnings: Vec<String>,
    /// Only ASCII signs.
    pub ascii: bool,
    /// No colours.
    pub no_color: bool,
    /// For screen readers: nothing repaints by itself more often than every 5 s.
    pub accessible: bool,
    /// Clicks and the wheel.
    pub mouse: bool,
    /// The demo walks through the story of a restore by itself.
    pub tour: bool,
    /// Changes are refused here, before they are asked for.
    pub read_only: bool,
    /// Whether the bell is rung.
    pub bell: bool,
    /// How the terminal is asked for notifications.
    pub notify: Notify,
    /// The file that says that the tips of the first run were seen; tips are shown where it is named and not there.
    pub tips: Option<PathBuf>,
    /// The zone in which times are shown; the cluster's own when not given.
    pub zone: Option<Tz>,
    /// The demo's strip, in the demo.
    pub demo: Option<DemoStrip>,
    /// The `[keys]` table of the config.
    pub keys: Vec<(String, Vec<String>)>,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// The environment, handed in.
    pub env: fn(&str) -> Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            theme: None,
            themes: Library::default(),
            warnings: Vec::new(),
            ascii: false,
            no_color: false,
            accessible: false,
            mouse: false,
            tour: false,
            read_only: false,
            bell: true,
            notify: Notify::Off,
            tips: None,
            zone: None,
            demo: None,
            keys: Vec::new(),
            clock: Arc::new(SystemClock),
            env: |name| std::env::var(name).ok(),
        }
    }
}

/// The strip that shows the demo's shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoStrip {
    /// The cluster the shop writes to.
    pub cluster: ClusterName,
}

/// How the console ended. What follows is the caller's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The operator quit: stop jobs and log backups and end.
    Quit,
    /// The operator quit and leaves jobs and log backups running.
    LeaveRunning,
    /// The terminal is gone; nothing may be written to it any more.
    TerminalLost,
}

/// Runs the console until the operator leaves or the terminal goes away.
///
/// The desk is asked from threads of the console's own; they end with the process. One that is still being opened is
/// waited for behind the first picture; when it cannot be opened, the error is its [refusal](crate::service::desk::Refusal).
pub fn run(desk: Arc<OpeningDesk>, options: Options) -> anyhow::Result<Exit> {
    shell::run(desk, options)
}
