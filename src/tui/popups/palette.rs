//! The palette: every command found by a few letters; what can be done here first, the rest with its reason.

use crossterm::event::KeyCode;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::layout::Rect;
use tui_input::Input;
use unicode_width::UnicodeWidthStr;

use super::form::{edit, view_input};
use crate::model::ids::ClusterName;
use crate::tui::commands::{COMMANDS, Cmd, Scope};
use crate::tui::keys::Key;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, fit, safe, wrap};
use crate::tui::theme::Meaning;
use crate::tui::update::enabled::enabled;

/// Lines for the selected command in full, where the list has to cut some.
const IN_FULL: u16 = 2;

/// The open palette.
#[derive(Clone, Debug, Default)]
pub struct Palette {
    /// What is typed.
    pub input: Input,
    /// The selected line.
    pub at: usize,
}

/// What a line of the palette does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A command of this screen.
    Run(Cmd),
    /// A cluster's Backup page.
    Visit(ClusterName),
}

/// One line.
pub struct Entry {
    /// What it says.
    pub text: String,
    /// Its name alone.
    pub label: &'static str,
    /// Its key.
    pub key: String,
    /// What it does, or why it cannot be done now.
    pub goal: Result<Goal, String>,
}

/// What Enter or Esc did.
pub enum Outcome {
    /// It stays open.
    Stay,
    /// It closes.
    Close,
    /// This line was picked.
    Pick(usize),
}

impl Palette {
    /// Takes a key.
    pub fn on_key(&mut self, key: Key) -> Outcome {
        match key.code {
            KeyCode::Esc => return Outcome::Close,
            KeyCode::Enter => return Outcome::Pick(self.at),
            _ => {
                // Where the end is, is known when it is painted.
                if let Some(at) = super::moved(self.at, usize::MAX, key) {
                    self.at = at;
                } else if edit(&mut self.input, key) {
                    self.at = 0;
                }
            }
        }
        Outcome::Stay
    }

    /// The lines that match what is typed, possible ones first, the best match first.
    pub fn entries(&self, m: &Model) -> Vec<Entry> {
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(self.input.value(), CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut scored: Vec<(bool, u32, Entry)> = candidates(m)
            .into_iter()
            .filter_map(|e| {
                let score = pattern.score(Utf32Str::new(&e.text, &mut buffer), &mut matcher)?;
                Some((e.goal.is_err(), score, e))
            })
            .collect();
        scored.sort_by_key(|(off, score, _)| (*off, std::cmp::Reverse(*score)));
        scored.into_iter().map(|(_, _, e)| e).collect()
    }

    /// Paints it.
    pub fn view(&self, m: &Model, p: &mut Painter<'_>, screen: Rect) {
        let size = (
            screen.width.saturating_sub(4).min(78),
            screen.height.saturating_sub(4).min(20),
        );
        let area = super::frame(p, screen, size, "Commands", false);
        p.put(area.x, area.y, 2, ":", Meaning::Key);
        let entries = self.entries(m);
        let at = self.at.min(entries.len().saturating_sub(1));
        // What is cut off in its line is said in full below, of the selected command.
        let said = |e: &Entry| match &e.goal {
            Ok(_) => (e.text.clone(), Meaning::Base),
            // Why not says more than what it would do.
            Err(why) => (format!("{}: {why}", e.label), Meaning::Muted),
        };
        let room = |e: &Entry, width: u16| usize::from(width).saturating_sub(e.key.width() + 3);
        let cut = entries.iter().any(|e| said(e).0.width() > room(e, area.width));
        let below = if cut { IN_FULL } else { 0 };
        let body = Rect {
            y: area.y + 1,
            height: area.height.saturating_sub(2 + below),
            ..area
        };
        super::lines(p, body, (entries.len(), at), |p, i, line| {
            let Some(e) = entries.get(i) else { return };
            let (text, meaning) = said(e);
            let text = fit(&safe(&text), room(e, line.width), p.glyphs.cut);
            p.put_right(line.x, line.y, line.width, &e.key, Meaning::Key);
            p.put(line.x + 1, line.y, line.width, &text, meaning);
        });
        if let Some((text, meaning)) = entries.get(at).filter(|_| cut).map(said) {
            let full = wrap(&safe(&text), usize::from(area.width.saturating_sub(2)));
            for (i, line) in full.iter().take(usize::from(IN_FULL)).enumerate() {
                p.put(area.x + 1, body.bottom() + i as u16, area.width, line, meaning);
            }
        }
        if entries.is_empty() {
            p.put(
                area.x + 1,
                area.y + 1,
                area.width,
                "No command matches.",
                Meaning::Muted,
            );
        }
        super::foot(p, area, "type to find, Up Down select, Enter runs, Esc closes");
        view_input(p, (area.x + 2, area.y), area.width.saturating_sub(2), &self.input, true);
    }
}

/// Everything that could be meant: the commands of this screen, and each cluster by name.
fn candidates(m: &Model) -> Vec<Entry> {
    let scope = m.scope();
    let here = |scopes: &[Scope]| {
        scopes
            .iter()
            .any(|s| *s == scope || *s == Scope::Everywhere || (*s == Scope::List && scope.is_list()))
    };
    let moves = |c: Cmd| c <= Cmd::Right || matches!(c, Cmd::Palette | Cmd::Enter);
    let commands = COMMANDS.iter().filter(|c| !moves(c.cmd));
    let mut out: Vec<Entry> = commands
        .map(|c| {
            let goal = if here(c.scopes) {
                enabled(c.cmd, m).map(|()| Goal::Run(c.cmd))
            } else {
                Err(format!("only on {}", c.scopes.first().map_or("", |s| s.words())))
            };
            let text = match c.help.starts_with(c.label) {
                true => c.help.to_owned(),
                false => format!("{}: {}", c.label, c.help),
            };
            Entry {
                text,
                label: c.label,
                key: m.keymap.hint(c.cmd).to_owned(),
                goal,
            }
        })
        .collect();
    out.extend(m.store.fleet().unwrap_or_default().iter().map(|c| Entry {
        text: format!("backups {}", c.name),
        label: "backups",
        key: String::new(),
        goal: Ok(Goal::Visit(c.name.clone())),
    }));
    out
}
