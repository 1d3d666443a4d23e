//! One of a few choices on a line. Where not all fit they get their short names, and where those do not fit either, only the
//! chosen one is shown with how many there are: no name is cut to a stump.

use unicode_width::UnicodeWidthStr;

use crate::tui::paint::{Painter, safe};
use crate::tui::theme::Meaning;

/// One choice.
pub struct Pick {
    long: String,
    short: String,
    chosen: bool,
}

impl Pick {
    /// A choice with its names; one without a short name has only the long one.
    pub fn new(long: &str, short: &str, chosen: bool) -> Pick {
        let long = safe(long);
        let short = if short.is_empty() { long.clone() } else { safe(short) };
        Pick { long, short, chosen }
    }
}

/// Whether a choice is called by its long name.
type Long = fn(&Pick) -> bool;

/// The names in the longest form that fits, with the blanks between; none when no form does.
fn names(options: &[Pick], room: usize) -> Option<(Vec<&str>, usize)> {
    let forms: [(Long, usize); 4] = [(|_| true, 2), (|_| true, 1), (|o| o.chosen, 1), (|_| false, 1)];
    forms.into_iter().find_map(|(is_long, space)| {
        let mut names: Vec<&str> = Vec::new();
        for o in options {
            names.push(if is_long(o) { &o.long } else { &o.short });
        }
        let width: usize = names.iter().map(|n| n.width() + 4 + space).sum();
        (width.saturating_sub(space) <= room).then_some((names, space))
    })
}

/// Paints them into so many cells.
pub fn paint(p: &mut Painter<'_>, (x, y, room): (u16, u16, u16), focus: bool, options: &[Pick]) {
    let meaning = |chosen: bool| match (chosen, focus) {
        (true, true) => Meaning::Selection,
        (true, false) => Meaning::Title,
        (false, _) => Meaning::Base,
    };
    let Some((names, space)) = names(options, usize::from(room)) else {
        let at = options.iter().position(|o| o.chosen).unwrap_or(0);
        let name = options.get(at).map_or("", |o| o.short.as_str());
        let count = format!(" {} of {}", at + 1, options.len());
        let cells = room.saturating_sub(count.width() as u16);
        let next = p.put(x, y, cells, &format!("{} {name}", p.glyphs.chosen), meaning(true));
        p.put(next, y, count.width() as u16, &count, Meaning::Muted);
        if focus {
            p.cursor_at(x + 1, y);
        }
        return;
    };
    let mut at = x;
    for (name, option) in names.into_iter().zip(options) {
        let sign = if option.chosen { p.glyphs.chosen } else { p.glyphs.open };
        if option.chosen && focus {
            p.cursor_at(at + 1, y);
        }
        let left = (x + room).saturating_sub(at);
        at = p.put(at, y, left, &format!("{sign} {name}"), meaning(option.chosen)) + space as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_shorter_before_they_are_left_out() {
        let options = [
            Pick::new("Latest", "Latest", false),
            Pick::new("Exact time", "Exact", false),
            Pick::new("Just before a change", "Before", true),
        ];
        let at = |room| names(&options, room).map(|(n, space)| (n.join("|"), space));
        assert_eq!(at(80), Some(("Latest|Exact time|Just before a change".to_owned(), 2)));
        assert_eq!(at(50), Some(("Latest|Exact time|Just before a change".to_owned(), 1)));
        assert_eq!(at(45), Some(("Latest|Exact|Just before a change".to_owned(), 1)));
        assert_eq!(at(31), Some(("Latest|Exact|Before".to_owned(), 1)));
        assert_eq!(at(30), None);
    }
}
