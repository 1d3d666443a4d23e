//! The theme picker: the whole console is painted in the theme under the cursor; Esc goes back to the one before.

use crossterm::event::KeyCode;
use ratatui::layout::Rect;

use crate::tui::keys::Key;
use crate::tui::paint::Painter;
use crate::tui::theme::{Library, Meaning};

/// The open picker.
#[derive(Clone, Debug)]
pub struct Themes {
    /// The names, and whether each is the operator's own.
    names: Vec<(String, bool)>,
    at: usize,
    /// The one that was in use when the picker was opened.
    was: usize,
}

/// What a key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Stay,
    /// Another theme is looked at.
    Show(String),
    /// This one is kept.
    Keep(String),
    /// The one before comes back.
    Close(String),
}

impl Themes {
    /// The picker with the theme in use selected.
    pub fn new(library: &Library, now: &str) -> Themes {
        let own = |name: String| {
            let own = library.is_own(&name);
            (name, own)
        };
        let names: Vec<(String, bool)> = library.names().into_iter().map(own).collect();
        let at = names.iter().position(|(n, _)| *n == now).unwrap_or(0);
        Themes { names, at, was: at }
    }

    fn name(&self, at: usize) -> String {
        self.names.get(at).map_or_else(|| "mono".to_owned(), |(n, _)| n.clone())
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: Key) -> Outcome {
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Outcome::Close(self.name(self.was)),
            KeyCode::Enter => return Outcome::Keep(self.name(self.at)),
            _ => {}
        }
        match super::moved_by_letters(self.at, self.names.len(), key) {
            Some(at) if at != self.at => {
                self.at = at;
                Outcome::Show(self.name(at))
            }
            _ => Outcome::Stay,
        }
    }

    /// Paints it, with a sample of what the meanings look like.
    pub fn view(&self, p: &mut Painter<'_>, screen: Rect) {
        let size = (44, self.names.len() as u16 + 5);
        let area = super::frame(p, screen, size, "Themes", false);
        let body = Rect {
            height: area.height.saturating_sub(3),
            ..area
        };
        super::lines(p, body, (self.names.len(), self.at), |p, i, line| {
            let Some((name, own)) = self.names.get(i) else { return };
            let sign = if i == self.was { p.glyphs.ok } else { " " };
            let text = format!("{sign} {name}");
            p.put(line.x + 1, line.y, line.width.saturating_sub(1), &text, Meaning::Base);
            if *own {
                p.put_right(line.x, line.y, line.width.saturating_sub(1), "yours", Meaning::Muted);
            }
        });
        let sample = [
            ("ok ", Meaning::Ok),
            ("warning ", Meaning::Warn),
            ("error ", Meaning::Error),
            ("busy ", Meaning::Busy),
            ("muted ", Meaning::Muted),
            ("key", Meaning::Key),
        ];
        p.pieces(area.x + 1, area.bottom().saturating_sub(2), area.width, &sample);
        super::foot(p, area, "Enter keeps it, Esc goes back");
    }
}
