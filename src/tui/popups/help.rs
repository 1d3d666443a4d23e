//! Help: every command of this screen and everywhere, from the command table; unavailable ones say why.

use crossterm::event::KeyCode;
use ratatui::layout::Rect;
use tui_input::Input;

use super::form::{edit, view_input};

use crate::tui::commands::{COMMANDS, Command, Scope};
use crate::tui::keys::Key;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, wrap};
use crate::tui::scroll::Scroll;
use crate::tui::theme::Meaning;
use crate::tui::update::enabled::enabled;

/// The open overlay.
#[derive(Clone, Debug, Default)]
pub struct Help {
    /// Lines scrolled down.
    pub scroll: Scroll,
    /// What is looked for.
    pub filter: Input,
    /// Whether it is being typed.
    pub typing: bool,
}

impl Help {
    /// Pasted text is searched for, where text is being typed.
    pub fn on_paste(&mut self, text: &str) {
        if self.typing {
            super::form::paste(&mut self.filter, text);
            self.scroll = Scroll::default();
        }
    }

    /// Takes a key; true closes.
    pub fn on_key(&mut self, key: Key) -> bool {
        if self.typing {
            match key.code {
                KeyCode::Enter => self.typing = false,
                KeyCode::Esc => {
                    self.typing = false;
                    self.filter.reset();
                }
                _ => {
                    edit(&mut self.filter, key);
                    self.scroll = Scroll::default();
                }
            }
            return false;
        }
        match key.code {
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Esc if !self.filter.value().is_empty() => self.filter.reset(),
            KeyCode::Char('d') if key.ctrl => self.scroll.by(10),
            KeyCode::Char('u') if key.ctrl => self.scroll.by(-10),
            KeyCode::Down | KeyCode::Char('j') => self.scroll.by(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll.by(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll.by(10),
            KeyCode::PageUp => self.scroll.by(-10),
            KeyCode::Home | KeyCode::Char('g') => self.scroll = Scroll::default(),
            KeyCode::End | KeyCode::Char('G') => self.scroll.to_end(),
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | '?') | KeyCode::F(1) => return true,
            _ => {}
        }
        false
    }

    /// Paints it.
    pub fn view(&self, m: &Model, p: &mut Painter<'_>, screen: Rect) {
        let size = (screen.width.saturating_sub(4).min(100), screen.height.saturating_sub(2));
        let title = format!("Keys: {}", m.scope().words());
        let area = super::frame(p, screen, size, &title, false);
        let lines = lines(m, self.filter.value(), usize::from(area.width));
        let room = usize::from(area.height.saturating_sub(1));
        let from = self.scroll.first(lines.len(), room as u16);
        for (i, line) in lines.iter().skip(from).take(room).enumerate() {
            let y = area.y + i as u16;
            match line {
                Line::Group(title) => {
                    p.put(area.x, y, area.width, title, Meaning::Title);
                }
                Line::Command { keys, text, off } => {
                    let keys = format!("{keys:<KEYS$}");
                    let meaning = if *off { Meaning::Muted } else { Meaning::Base };
                    p.pieces(area.x, y, area.width, &[(&keys, Meaning::Key), (text, meaning)]);
                }
            }
        }
        p.cursor_at(area.x, area.y);
        let last = area.bottom().saturating_sub(1);
        if self.typing || !self.filter.value().is_empty() {
            p.put(area.x, last, 1, "/", Meaning::Key);
            view_input(p, (area.x + 1, last), 30, &self.filter, self.typing);
            p.put(
                area.x + 33,
                last,
                area.width.saturating_sub(33),
                "Enter keeps, Esc clears",
                Meaning::Muted,
            );
            return;
        }
        let foot = "j k PgDn PgUp scroll, / finds, Esc closes. Upper case acts, and asks.";
        super::foot(p, area, foot);
    }
}

/// Where the texts begin.
const KEYS: usize = 14;

enum Line {
    Group(&'static str),
    Command { keys: String, text: String, off: bool },
}

fn lines(m: &Model, filter: &str, width: usize) -> Vec<Line> {
    let wanted_text = filter.trim().to_lowercase();
    let scope = m.scope();
    let groups: [(&'static str, Scope); 3] = [
        ("On this screen", scope),
        ("In lists", Scope::List),
        ("Everywhere", Scope::Everywhere),
    ];
    let mut out = Vec::new();
    for (title, wanted) in groups {
        if wanted == Scope::List && !scope.is_list() {
            continue;
        }
        let found = |c: &&Command| {
            let keys = m.keymap.keys_of(c.cmd).join(" ");
            let text = format!("{} {} {} {keys}", c.id, c.label, c.help).to_lowercase();
            text.contains(&wanted_text)
        };
        let of_group: Vec<&Command> = COMMANDS
            .iter()
            .filter(|c| c.scopes.contains(&wanted))
            .filter(found)
            .collect();
        if of_group.is_empty() {
            continue;
        }
        out.push(Line::Group(title));
        for c in of_group {
            let why = enabled(c.cmd, m).err();
            let off = why.is_some();
            let why = why.map(|w| format!(" (not now: {w})")).unwrap_or_default();
            let keys = m.keymap.keys_of(c.cmd).join(" ");
            let text = format!("{} [{}]{why}", c.help, c.id);
            for (i, text) in wrap(&text, width.saturating_sub(KEYS)).into_iter().enumerate() {
                let keys = if i == 0 { keys.clone() } else { String::new() };
                out.push(Line::Command { keys, text, off });
            }
        }
    }
    out
}
