//! Putting text on the screen: always inside its area, always cut by display width, never raw from outside.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::glyphs::Glyphs;
use super::theme::{Meaning, Theme};

/// What every screen needs to paint: the buffer, the theme and the signs.
pub struct Painter<'a> {
    /// Where the text goes.
    pub buf: &'a mut Buffer,
    /// The styles.
    pub theme: &'a Theme,
    /// The signs.
    pub glyphs: &'static Glyphs,
    /// Where the lines of a list stand, for clicks.
    pub rows: Option<Rect>,
    /// Where the hardware cursor shall stand: on the selected row or in the active field.
    pub cursor: Option<Position>,
}

/// Removes what must not reach a terminal from foreign text.
pub fn safe(text: &str) -> String {
    crate::model::text::safe(text, 4096)
}

/// Cuts to a display width, with a sign where something was cut.
pub fn fit(text: &str, width: usize, cut: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    let mut out = String::new();
    let mut used = cut.width();
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > width {
            break;
        }
        used += w;
        out.push(c);
    }
    out.push_str(cut);
    out
}

/// Cuts or pads to exactly a display width.
pub fn pad(text: &str, width: usize, cut: &str) -> String {
    let text = fit(text, width, cut);
    let missing = width.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

/// Cuts in the middle, for paths and names whose end matters.
pub fn fit_middle(text: &str, width: usize, cut: &str) -> String {
    if text.width() <= width || width < 5 {
        return fit(text, width, cut);
    }
    let tail_width = (width - 1) / 2;
    let mut tail: Vec<char> = Vec::new();
    let mut used = 0;
    for c in text.chars().rev() {
        let w = c.width().unwrap_or(0);
        if used + w > tail_width {
            break;
        }
        used += w;
        tail.push(c);
    }
    let head = fit(text, width - used, cut);
    head + &tail.iter().rev().collect::<String>()
}

/// The first of several wordings, the longest first, that fits into so many cells.
pub fn first_that_fits(texts: &[impl AsRef<str>], width: usize) -> Option<String> {
    let mut texts = texts.iter().map(AsRef::as_ref);
    texts.find(|t| safe(t).width() <= width).map(str::to_owned)
}

/// Breaks text into lines of a width, at spaces where there are any.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word.to_owned();
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        while word.width() > width {
            let head = fit(&word, width, "");
            word = word.chars().skip(head.chars().count().max(1)).collect();
            lines.push(head);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

impl Painter<'_> {
    /// The style of a meaning.
    pub fn style(&self, meaning: Meaning) -> Style {
        self.theme.style(meaning)
    }

    /// Puts text at a place, cut to `width`; returns the column behind it.
    pub fn put(&mut self, x: u16, y: u16, width: u16, text: &str, meaning: Meaning) -> u16 {
        let style = self.theme.style(meaning);
        self.put_styled(x, y, width, text, style)
    }

    /// The same with a style.
    pub fn put_styled(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let area = self.buf.area;
        if y < area.y || y >= area.bottom() || x < area.x || x >= area.right() || width == 0 {
            return x;
        }
        let width = width.min(area.right() - x);
        let text = fit(&safe(text), usize::from(width), self.glyphs.cut);
        self.buf.set_stringn(x, y, text, usize::from(width), style).0
    }

    /// Puts text so that it ends at the right edge of a column.
    pub fn put_right(&mut self, x: u16, y: u16, width: u16, text: &str, meaning: Meaning) {
        let text = fit(&safe(text), usize::from(width), self.glyphs.cut);
        let pad = width.saturating_sub(text.width() as u16);
        self.put(x + pad, y, width - pad, &text, meaning);
    }

    /// Puts several pieces one after the other; returns the column behind them.
    pub fn pieces(&mut self, x: u16, y: u16, width: u16, pieces: &[(&str, Meaning)]) -> u16 {
        let end = x.saturating_add(width);
        let mut at = x;
        for (text, meaning) in pieces {
            at = self.put(at, y, end.saturating_sub(at), text, *meaning);
        }
        at
    }

    /// A horizontal rule with an optional title.
    pub fn rule(&mut self, area: Rect, y: u16, title: &str) {
        let line = self.glyphs.rule.repeat(usize::from(area.width));
        self.put(area.x, y, area.width, &line, Meaning::Border);
        if !title.is_empty() {
            let text = format!(" {} ", safe(title));
            self.put(area.x + 2, y, area.width.saturating_sub(4), &text, Meaning::Title);
        }
    }

    /// Colours a whole row, keeping its text.
    pub fn highlight(&mut self, area: Rect, y: u16) {
        let style = self.theme.style(Meaning::Selection);
        let row = Rect::new(area.x, y, area.width, 1).intersection(self.buf.area);
        self.buf.set_style(row, style);
    }

    /// Empties an area and gives it the popup's ground.
    pub fn clear(&mut self, area: Rect) {
        let style = self.theme.style(Meaning::Popup);
        let area = area.intersection(self.buf.area);
        for y in area.top()..area.bottom() {
            self.buf.set_stringn(
                area.x,
                y,
                " ".repeat(usize::from(area.width)),
                usize::from(area.width),
                Style::reset(),
            );
        }
        self.buf.set_style(area, style);
    }

    /// Puts the hardware cursor, if the place is on screen.
    pub fn cursor_at(&mut self, x: u16, y: u16) {
        if self.buf.area.contains(Position::new(x, y)) {
            self.cursor = Some(Position::new(x, y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_is_by_width() {
        assert_eq!(fit("orders", 6, "~"), "orders");
        assert_eq!(fit("orders", 4, "~"), "ord~");
        assert_eq!(fit("日本語", 5, "~"), "日本~");
        assert_eq!(fit("日本語", 4, "~"), "日~");
        assert_eq!(fit("abc", 0, "~"), "");
        assert_eq!(fit_middle("/var/backups/brine", 9, "~"), "/var~rine");
    }

    #[test]
    fn wrapping_breaks_at_spaces_and_inside_long_words() {
        assert_eq!(wrap("take a new snapshot", 10), ["take a new", "snapshot"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
