//! The restorable window as a bar: one cell stands for window / width.
//!
//! A gap that lies within one cell is drawn over a base, and a base over the log, so that a gap never vanishes.

use crate::model::clock::Millis;
use crate::model::window::Window;
use crate::tui::glyphs::Glyphs;
use crate::tui::paint::Painter;
use crate::tui::theme::Meaning;

/// A stretch of time that a bar shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its left end.
    pub from: Millis,
    /// Its right end.
    pub to: Millis,
}

impl Stretch {
    /// The whole window.
    pub fn of(window: &Window) -> Option<Stretch> {
        let (from, to) = window.bounds()?;
        Some(Stretch {
            from: from.at,
            to: to.at,
        })
    }

    /// The cell of a moment in a bar of so many cells.
    pub fn cell(&self, at: Millis, width: u16) -> Option<u16> {
        if at < self.from || at > self.to || width == 0 {
            return None;
        }
        let whole = i128::from(self.to.since(self.from).max(1));
        let cell = i128::from(at.since(self.from)) * i128::from(width) / whole;
        Some((cell as u16).min(width - 1))
    }

    /// The instants at which a cell begins and ends.
    fn ends(&self, cell: u16, width: u16) -> (i64, i64) {
        let whole = i128::from(self.to.since(self.from).max(1));
        let at = |n: u16| self.from.0 + (whole * i128::from(n) / i128::from(width.max(1))) as i64;
        (at(cell), at(cell + 1))
    }
}

/// What a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Gap,
    Base,
    Log,
}

fn cell(window: &Window, (from, to): (i64, i64), last: bool) -> Cell {
    let holds = |at: i64| from <= at && (at < to || (last && at <= to));
    let hidden_gap = window.gaps().iter().any(|(a, b)| holds(a.at.0) && holds(b.at.0));
    if hidden_gap {
        return Cell::Gap;
    }
    if window.bases.iter().any(|b| holds(b.commit.at.0)) {
        return Cell::Base;
    }
    let covered = window
        .spans
        .iter()
        .any(|s| s.from.at.0 <= from && to <= s.to.at.0.max(from));
    if covered { Cell::Log } else { Cell::Gap }
}

/// Paints the bar between two ends.
pub fn paint(p: &mut Painter<'_>, (x, y): (u16, u16), width: u16, window: &Window, stretch: Stretch) {
    for i in 0..width {
        let what = cell(window, stretch.ends(i, width), i + 1 == width);
        let (text, meaning) = sign(p.glyphs, what);
        p.put(x + i, y, 1, text, meaning);
    }
}

fn sign(glyphs: &'static Glyphs, what: Cell) -> (&'static str, Meaning) {
    match what {
        Cell::Gap => (" ", Meaning::Gap),
        Cell::Base => (glyphs.base, Meaning::Mark),
        Cell::Log => (glyphs.log, Meaning::Busy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{BackupId, IncarnationId};
    use crate::model::position::Moment;
    use crate::model::window::{Base, Span};

    fn window(spans: &[(i64, i64)], bases: &[i64]) -> Window {
        let at = |s: &i64| Moment::of_millis(Millis(*s));
        let incarnation = IncarnationId(1);
        Window {
            spans: spans
                .iter()
                .map(|(from, to)| Span {
                    from: at(from),
                    to: at(to),
                    incarnation,
                    ended: Some("stopped".to_owned()),
                })
                .collect(),
            bases: bases
                .iter()
                .map(|b| Base {
                    id: BackupId::new(format!("b{b}")).unwrap(),
                    commit: at(b),
                    incarnation,
                })
                .collect(),
        }
    }

    fn drawn(w: &Window, width: u16) -> String {
        let stretch = Stretch::of(w).unwrap();
        let cells = (0..width).map(|i| cell(w, stretch.ends(i, width), i + 1 == width));
        cells
            .map(|c| match c {
                Cell::Gap => ' ',
                Cell::Base => '+',
                Cell::Log => '=',
            })
            .collect()
    }

    #[test]
    fn bases_log_and_gaps() {
        assert_eq!(drawn(&window(&[(0, 1000)], &[0, 550]), 10), "+====+====");
        assert_eq!(drawn(&window(&[(0, 400), (700, 1000)], &[0, 700]), 10), "+===   +==");
    }

    #[test]
    fn a_gap_smaller_than_a_cell_is_still_seen() {
        assert_eq!(drawn(&window(&[(0, 510), (520, 1000)], &[0, 520]), 10), "+==== ====");
    }

    #[test]
    fn lonely_snapshots_are_seen() {
        assert_eq!(
            drawn(&window(&[(0, 0), (500, 500), (1000, 1000)], &[0, 500, 1000]), 5),
            "+ + +"
        );
        let one = window(&[(5, 5)], &[5]);
        assert!(drawn(&one, 3).contains('+'));
    }

    #[test]
    fn moments_find_their_cell() {
        let s = Stretch {
            from: Millis(0),
            to: Millis(1000),
        };
        assert_eq!(
            (s.cell(Millis(0), 10), s.cell(Millis(999), 10), s.cell(Millis(1000), 10)),
            (Some(0), Some(9), Some(9))
        );
        assert_eq!((s.cell(Millis(-1), 10), s.cell(Millis(1001), 10)), (None, None));
    }
}
