//! The restorable window as a bar: one cell stands for window / width.
//!
//! A gap that lies within one cell is drawn over a base, and a base over the log, so that a gap never vanishes. Where one
//! history ended and the next began stands a sign of its own.

use crate::model::clock::Millis;
use crate::model::window::{Base, Hole, Span, Window};
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
    /// The whole window; for one of a single moment that moment and what lies before it, so that its bar is not full.
    pub fn of(window: &Window) -> Option<Stretch> {
        let (from, to) = window.bounds()?;
        Some(Stretch {
            from: Millis(from.at.0.min(to.at.0 - 1)),
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
    pub fn ends(&self, cell: u16, width: u16) -> (i64, i64) {
        let whole = i128::from(self.to.since(self.from).max(1));
        let at = |n: u16| self.from.0 + (whole * i128::from(n) / i128::from(width.max(1))) as i64;
        (at(cell), at(cell + 1))
    }
}

/// What a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Moments that cannot be restored.
    Gap,
    /// One history ended and the next began.
    Turn,
    /// A base.
    Base,
    /// Covered from end to end.
    Log,
}

/// A window made ready for drawing: looked at once a picture, and then asked for many cells.
pub struct Coverage<'a> {
    window: &'a Window,
    holes: Vec<Hole>,
    ordered: bool,
}

impl<'a> Coverage<'a> {
    /// Makes a window ready.
    pub fn new(window: &'a Window) -> Coverage<'a> {
        let pairs = window.spans.iter().zip(window.spans.iter().skip(1));
        Coverage {
            window,
            holes: window.holes(),
            ordered: pairs.into_iter().all(|(a, b)| a.to <= b.from),
        }
    }

    /// The stretches that cannot be restored, oldest first.
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// The bases from one instant up to, not including, another.
    pub fn bases(&self, from: i64, to: i64) -> &'a [Base] {
        let bases = &self.window.bases;
        let a = bases.partition_point(|b| b.commit.at.0 < from);
        let b = bases.partition_point(|b| b.commit.at.0 < to);
        bases.get(a..b).unwrap_or_default()
    }

    /// Whether every moment from one instant to another can be restored.
    pub fn covered(&self, from: i64, to: i64) -> bool {
        let holds = |s: &Span| s.from.at.0 <= from && to <= s.to.at.0.max(from);
        let spans = &self.window.spans;
        if !self.ordered {
            return spans.iter().any(holds);
        }
        let at = spans.partition_point(|s| s.from.at.0 <= from);
        at.checked_sub(1).and_then(|i| spans.get(i)).is_some_and(holds)
    }

    /// Whether any moment from one instant up to another can be restored.
    pub fn touches(&self, from: i64, to: i64) -> bool {
        let meets = |s: &Span| s.from.at.0 < to && from <= s.to.at.0;
        if !self.ordered {
            return self.window.spans.iter().any(meets);
        }
        let at = self.window.spans.partition_point(|s| s.to.at.0 < from);
        self.window.spans.get(at).is_some_and(meets)
    }

    /// What a cell from one instant to another shows.
    pub fn cell(&self, (from, to): (i64, i64), last: bool) -> Cell {
        let holds = |at: i64| from <= at && (at < to || (last && at <= to));
        let first = self.holes.partition_point(|h| h.from.at.0 < from);
        let mut inside = self.holes.iter().skip(first).take_while(|h| holds(h.from.at.0));
        let mut turn = false;
        if inside.any(|h| {
            turn |= h.between_histories;
            holds(h.to.at.0) && !h.between_histories
        }) {
            return Cell::Gap;
        }
        if turn {
            return Cell::Turn;
        }
        if !self.bases(from, if last { to + 1 } else { to }).is_empty() {
            return Cell::Base;
        }
        if self.covered(from, to) { Cell::Log } else { Cell::Gap }
    }
}

/// Paints the bar between two ends.
pub fn paint(p: &mut Painter<'_>, at: (u16, u16), width: u16, window: &Window, stretch: Stretch) {
    paint_ready(p, at, width, &Coverage::new(window), stretch);
}

/// The same with a window that is ready.
pub fn paint_ready(p: &mut Painter<'_>, (x, y): (u16, u16), width: u16, coverage: &Coverage<'_>, stretch: Stretch) {
    if p.glyphs.quiet {
        return;
    }
    for i in 0..width {
        let what = coverage.cell(stretch.ends(i, width), i + 1 == width);
        let (text, meaning) = sign(p.glyphs, what);
        p.put(x + i, y, 1, text, meaning);
    }
}

/// The sign of a cell.
pub fn sign(glyphs: &'static Glyphs, what: Cell) -> (&'static str, Meaning) {
    match what {
        Cell::Gap => (" ", Meaning::Gap),
        Cell::Turn => (glyphs.turn, Meaning::Gap),
        Cell::Base => (glyphs.base, Meaning::Mark),
        Cell::Log => (glyphs.log, Meaning::Busy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{BackupId, IncarnationId};
    use crate::model::position::Moment;

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
        let coverage = Coverage::new(w);
        let cells = (0..width).map(|i| coverage.cell(stretch.ends(i, width), i + 1 == width));
        cells
            .map(|c| match c {
                Cell::Gap => ' ',
                Cell::Turn => '/',
                Cell::Base => '+',
                Cell::Log => '=',
            })
            .collect()
    }

    #[test]
    fn a_single_moment_is_a_base_and_nothing_before_it() {
        assert_eq!(drawn(&window(&[(5, 5)], &[5]), 6), "     +");
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
    fn the_turn_of_a_history_is_seen() {
        let mut w = window(&[(0, 500), (510, 1000)], &[0, 510]);
        w.spans[1].incarnation = IncarnationId(2);
        w.bases[1].incarnation = IncarnationId(2);
        assert_eq!(drawn(&w, 10), "+====/====");
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
