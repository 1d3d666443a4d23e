//! What opens over a screen and takes the keys: forms, menus, help, the palette, the themes.

use ratatui::layout::Rect;

use super::model::Model;
use super::paint::Painter;
use super::theme::Meaning;

pub mod acts;
pub mod form;
pub mod forms;
pub mod help;
pub mod menu;
pub mod palette;
pub mod tables;
pub mod themes;

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
