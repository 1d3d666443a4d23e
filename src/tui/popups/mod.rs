//! What opens over a screen and takes the keys: forms, menus, help, the palette, the themes.

use crossterm::event::KeyCode;
use ratatui::layout::Rect;

use super::keys::Key;
use super::list::scroll;
use super::model::Model;
use super::paint::Painter;
use super::theme::Meaning;

pub mod acts;
pub mod form;
pub mod form_view;
pub mod forms;
pub mod help;
pub mod marked;
pub mod menu;
pub mod palette;
pub mod tables;
pub mod themes;
pub mod twin;

/// A popup with its state.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // each is documented in its module
pub enum Popup {
    Form(Box<form::Form>),
    Menu(menu::Menu),
    Help(help::Help),
    Palette(palette::Palette),
    Tables(Box<tables::Tables>),
    Themes(themes::Themes),
}

impl Popup {
    /// Paints it over the screen.
    pub fn view(&self, m: &Model, p: &mut Painter<'_>, screen: Rect) {
        p.cursor = None;
        match self {
            Popup::Form(form) => form.view(m, p, screen),
            Popup::Menu(menu) if menu.quiet_until.is_some_and(|until| m.now < until) => p.cursor_at(screen.x, screen.y),
            Popup::Menu(menu) => menu.view(p, screen),
            Popup::Help(help) => help.view(m, p, screen),
            Popup::Palette(palette) => palette.view(m, p, screen),
            Popup::Tables(tables) => tables.view(p, screen),
            Popup::Themes(themes) => themes.view(p, screen),
        }
    }
}

/// Paints an empty box with a title in the middle of the screen; returns the area inside.
pub fn frame(p: &mut Painter<'_>, screen: Rect, (width, height): (u16, u16), title: &str, danger: bool) -> Rect {
    let (width, height) = (width.min(screen.width), height.min(screen.height));
    let x = screen.x + (screen.width - width) / 2;
    let y = screen.y + (screen.height - height) / 2;
    let area = Rect::new(x, y, width, height);
    p.clear(area);
    let meaning = if danger { Meaning::Danger } else { Meaning::Selection };
    p.put(x, y, width, &" ".repeat(usize::from(width)), meaning);
    p.put(x + 2, y, width.saturating_sub(3), title, meaning);
    let bottom = area.bottom().saturating_sub(1);
    for row in y + 1..bottom {
        p.put(x, row, 1, p.glyphs.side, Meaning::BorderFocus);
        p.put(
            area.right().saturating_sub(1),
            row,
            1,
            p.glyphs.side,
            Meaning::BorderFocus,
        );
    }
    p.put(
        x,
        bottom,
        width,
        &p.glyphs.rule.repeat(usize::from(width)),
        Meaning::BorderFocus,
    );
    Rect::new(x + 2, y + 1, width.saturating_sub(4), height.saturating_sub(2))
}

/// The line that a key moves the selection to, among so many; nothing for other keys.
pub fn moved(at: usize, len: usize, key: Key) -> Option<usize> {
    let last = len.saturating_sub(1);
    Some(match key.code {
        KeyCode::Down | KeyCode::Tab => (at + 1).min(last),
        KeyCode::Up | KeyCode::BackTab => at.saturating_sub(1),
        KeyCode::PageDown => (at + 10).min(last),
        KeyCode::PageUp => at.saturating_sub(10),
        _ => return None,
    })
}

/// The same where letters are not typed: with j and k.
pub fn moved_by_letters(at: usize, len: usize, key: Key) -> Option<usize> {
    let code = match key.code {
        KeyCode::Char('d') if key.ctrl => KeyCode::PageDown,
        KeyCode::Char('u') if key.ctrl => KeyCode::PageUp,
        KeyCode::Char('j') => KeyCode::Down,
        KeyCode::Char('k') => KeyCode::Up,
        code => code,
    };
    moved(at, len, Key { code, ..key })
}

/// Paints lines to choose from, as many as there is room for, the selected one among them with the cursor on it.
pub fn lines(
    p: &mut Painter<'_>,
    area: Rect,
    (len, at): (usize, usize),
    mut line: impl FnMut(&mut Painter<'_>, usize, Rect),
) {
    let height = usize::from(area.height);
    let offset = scroll(0, at, height, len);
    for (row, i) in (offset..len.min(offset + height)).enumerate() {
        let area = Rect {
            y: area.y + row as u16,
            height: 1,
            ..area
        };
        line(p, i, area);
        if i == at {
            p.highlight(area, area.y);
            p.cursor_at(area.x, area.y);
        }
    }
}

/// Paints the last line of a popup: what its keys do.
pub fn foot(p: &mut Painter<'_>, area: Rect, text: &str) {
    p.put(
        area.x,
        area.bottom().saturating_sub(1),
        area.width,
        text,
        Meaning::Muted,
    );
}
