//! A menu: a few lines with a key each; what cannot be done now is shown with its reason.

use crossterm::event::KeyCode;
use ratatui::layout::Rect;

use crate::model::clock::Millis;

use super::forms::Subject;
use crate::engine::point::RestoreRequest;
use crate::tui::keys::Key;
use crate::tui::paint::Painter;
use crate::tui::theme::Meaning;

/// What a line of a menu does.
#[derive(Clone, Debug, PartialEq)]
pub enum Pick {
    /// Opens a form.
    Open(Box<Subject>),
    /// Copies text.
    Copy(String),
    /// Asks for another plan in the place of the one that is shown.
    Replan(Box<RestoreRequest>),
}

/// One line.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its key.
    pub key: char,
    /// What it says.
    pub label: String,
    /// What it does, or why it cannot be done.
    pub pick: Result<Pick, String>,
}

/// What a key did to a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Stay,
    /// It closes.
    Close,
    /// This line was picked.
    Pick(usize),
}

/// An open menu.
#[derive(Clone, Debug)]
pub struct Menu {
    /// Its title.
    pub title: String,
    /// Its lines.
    pub items: Vec<Item>,
    /// The selected line.
    pub at: usize,
    /// Not painted before: who knows the letter is not shown what it does.
    pub quiet_until: Option<Millis>,
}

impl Menu {
    /// A menu with its first line selected.
    pub fn new(title: impl Into<String>, items: Vec<Item>) -> Menu {
        Menu {
            title: title.into(),
            items,
            at: 0,
            quiet_until: None,
        }
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: Key) -> Outcome {
        if let Some(at) = super::moved_by_letters(self.at, self.items.len(), key) {
            self.at = at;
            return Outcome::Stay;
        }
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => Outcome::Close,
            KeyCode::Enter => Outcome::Pick(self.at),
            KeyCode::Char(_) if key.ctrl || key.alt => Outcome::Stay,
            KeyCode::Char(c) => {
                let found = self.items.iter().position(|i| i.key == c);
                found.map_or(Outcome::Stay, Outcome::Pick)
            }
            _ => Outcome::Stay,
        }
    }

    /// Paints it.
    pub fn view(&self, p: &mut Painter<'_>, screen: Rect) {
        let size = (screen.width.saturating_sub(4).min(70), self.items.len() as u16 + 3);
        let area = super::frame(p, screen, size, &self.title, false);
        let body = Rect {
            height: area.height.saturating_sub(1),
            ..area
        };
        super::lines(p, body, (self.items.len(), self.at), |p, i, line| {
            let Some(item) = self.items.get(i) else { return };
            let key = format!("{}  ", item.key);
            let (text, meaning) = match &item.pick {
                Ok(_) => (item.label.clone(), Meaning::Base),
                // Why not says more than what it would do, and must not be cut off.
                Err(why) => {
                    let name = item.label.split("  ").next().unwrap_or_default();
                    (format!("{name}  not now: {why}"), Meaning::Muted)
                }
            };
            let pieces = [(key.as_str(), Meaning::Key), (text.as_str(), meaning)];
            p.pieces(line.x + 1, line.y, line.width.saturating_sub(1), &pieces);
        });
        super::foot(p, area, "Enter or the letter picks, Esc closes");
    }
}
