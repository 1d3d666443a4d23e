//! The theme picker: the whole console is painted in the theme under the cursor; Esc goes back to the one before.

use crossterm::event::KeyCode;
use ratatui::layout::Rect;

use crate::tui::keys::Key;
use crate::tui::paint::Painter;
use crate::tui::theme::{Meaning, Theme};

/// The open picker.
#[derive(Clone, Debug)]
pub struct Themes {
    names: Vec<&'static str>,
    at: usize,
    /// The one that was in use when the picker was opened.
    was: usize,
}

/// What a key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Stay,
    /// Another theme is looked at.
    Show(&'static str),
    /// This one is kept.
    Keep(&'static str),
    /// The one before comes back.
    Close(&'static str),
}

impl Themes {
    /// The picker with the theme in use selected.
    pub fn new(now: &str) -> Themes {
        let names = Theme::names();
        let at = names.iter().position(|n| *n == now).unwrap_or(0);
        Themes { names, at, was: at }
    }

    fn name(&self, at: usize) -> &'static str {
        self.names.get(at).copied().unwrap_or("mono")
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: Key) -> Outcome {
        let last = self.names.len().saturating_sub(1);
        let before = self.at;
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Outcome::Close(self.name(self.was)),
            KeyCode::Enter => return Outcome::Keep(self.name(self.at)),
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => self.at = (self.at + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') | KeyCode::BackTab => self.at = self.at.saturating_sub(1),
            _ => {}
        }
        if self.at == before {
            Outcome::Stay
        } else {
            Outcome::Show(self.name(self.at))
        }
    }

    /// Paints it, with a sample of what the meanings look like.
    pub fn view(&self, p: &mut Painter<'_>, screen: Rect) {
        let size = (44, self.names.len() as u16 + 5);
        let area = super::frame(p, screen, size, "Themes", false);
        for (i, name) in self.names.iter().enumerate() {
            let y = area.y + i as u16;
            let sign = if i == self.was { p.glyphs.ok } else { " " };
            p.put(
                area.x + 1,
                y,
                area.width.saturating_sub(1),
                &format!("{sign} {name}"),
                Meaning::Base,
            );
            if i == self.at {
                p.highlight(Rect { y, height: 1, ..area }, y);
                p.cursor_at(area.x, y);
            }
        }
        let sample = [
            ("ok ", Meaning::Ok),
            ("warning ", Meaning::Warn),
            ("error ", Meaning::Error),
            ("busy ", Meaning::Busy),
            ("muted ", Meaning::Muted),
            ("key", Meaning::Key),
        ];
        p.pieces(area.x + 1, area.bottom().saturating_sub(2), area.width, &sample);
        let foot = "Enter keeps it, Esc goes back";
        p.put(
            area.x,
            area.bottom().saturating_sub(1),
            area.width,
            foot,
            Meaning::Muted,
        );
    }
}
