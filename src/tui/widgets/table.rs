//! A list in columns: header, visible rows only, the selected row highlighted with the cursor on it.

use ratatui::layout::Rect;

use crate::tui::list::scroll;
use crate::tui::paint::Painter;
use crate::tui::theme::Meaning;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its header.
    pub title: &'static str,
    /// Where it starts, from the left edge of the table.
    pub x: u16,
    /// How wide it is.
    pub width: u16,
    /// Whether its text ends at its right edge.
    pub right: bool,
}

/// A column whose text starts at its left edge.
pub const fn left(title: &'static str, x: u16, width: u16) -> Column {
    Column {
        title,
        x,
        width,
        right: false,
    }
}

/// A column whose text ends at its right edge.
pub const fn right(title: &'static str, x: u16, width: u16) -> Column {
    Column {
        title,
        x,
        width,
        right: true,
    }
}

/// From so many cells on, a column whose text may be cut still says something.
const LEAST: u16 = 8;

impl Column {
    /// How much of it there is room for in a table so wide; a column is squeezed no further than can be read: it is dropped
    /// as a whole.
    fn room(self, table: u16) -> u16 {
        let room = self.width.min(table.saturating_sub(self.x));
        if room < self.width.min(LEAST) { 0 } else { room }
    }
}

/// Paints the header line.
pub fn header(p: &mut Painter<'_>, area: Rect, y: u16, columns: &[Column]) {
    for c in columns {
        let width = c.room(area.width);
        if c.right {
            p.put_right(area.x + c.x, y, width, c.title, Meaning::Muted);
        } else {
            p.put(area.x + c.x, y, width, c.title, Meaning::Muted);
        }
    }
}

/// Says at the end of the header that there are more columns where there is more room.
pub fn more_columns(p: &mut Painter<'_>, area: Rect, y: u16) {
    p.put(area.right().saturating_sub(1), y, 1, p.glyphs.crumb, Meaning::Muted);
}

/// Paints one cell.
pub fn cell(p: &mut Painter<'_>, area: Rect, y: u16, column: Column, (text, meaning): (&str, Meaning)) {
    let width = column.room(area.width);
    if width == 0 {
        return;
    }
    if column.right {
        p.put_right(area.x + column.x, y, width, text, meaning);
    } else {
        p.put(area.x + column.x, y, width, text, meaning);
    }
}

/// Paints the visible rows by calling `row` for each with its number and line, and says what is out of sight.
///
/// Returns the new scroll offset.
pub fn rows(
    p: &mut Painter<'_>,
    area: Rect,
    (len, selected): (usize, Option<usize>),
    offset: usize,
    mut row: impl FnMut(&mut Painter<'_>, usize, u16),
) -> usize {
    let height = usize::from(area.height);
    let offset = scroll(offset, selected.unwrap_or(0), height, len);
    let shown = len.saturating_sub(offset).min(height);
    p.rows = Some(Rect {
        height: shown as u16,
        ..area
    });
    for (line, i) in (offset..len.min(offset + height)).enumerate() {
        let y = area.y + line as u16;
        row(p, i, y);
        if selected == Some(i) {
            p.highlight(area, y);
            p.put(area.x, y, 1, p.glyphs.select, Meaning::Selection);
            p.cursor_at(area.x, y);
        }
    }
    offset
}

/// The line under a list: how many rows are above and below.
pub fn more(p: &Painter<'_>, len: usize, offset: usize, height: usize) -> String {
    let below = len.saturating_sub(offset + height);
    match (offset, below) {
        (0, 0) => String::new(),
        (0, below) => format!("{} {below} more", p.glyphs.down),
        (above, 0) => format!("{} {above} above", p.glyphs.up),
        (above, below) => format!("{} {above} above  {} {below} more", p.glyphs.up, p.glyphs.down),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_dropped_and_not_squeezed_to_nothing() {
        let column = left("KEPT TO", 53, 8);
        assert_eq!(
            (column.room(80), column.room(61), column.room(60), column.room(40)),
            (8, 8, 0, 0)
        );
        // A long text may be cut.
        assert_eq!(
            (left("NOTE", 82, 200).room(100), left("NOTE", 82, 200).room(88)),
            (18, 0)
        );
    }
}
