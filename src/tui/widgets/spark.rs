//! Small charts in one line: a row of levels, and a bar for a share of a whole.

use crate::tui::glyphs::Glyphs;

/// The newest values as levels, at most so many cells; the highest of those shown reaches the top.
pub fn spark(g: &Glyphs, values: &[f64], cells: usize) -> String {
    let shown = values.get(values.len().saturating_sub(cells)..).unwrap_or_default();
    let most = shown.iter().copied().fold(0.0, f64::max);
    let top = g.levels.len() - 1;
    let level = |v: f64| {
        let part = if most > 0.0 { v / most } else { 0.0 };
        // What is not nothing is seen.
        let at = (part * top as f64).ceil() as usize;
        g.levels.get(at.min(top)).copied().unwrap_or(" ")
    };
    shown.iter().map(|v| level(*v)).collect()
}

/// A bar of so many cells for a part of a whole; what is not nothing has a cell.
pub fn share(g: &Glyphs, part: u64, whole: u64, cells: usize) -> String {
    let done = (u128::from(part) * cells as u128).div_ceil(u128::from(whole.max(1))) as usize;
    let done = done.min(cells);
    format!("{}{}", g.done.repeat(done), " ".repeat(cells - done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::glyphs::ASCII;

    #[test]
    fn levels_reach_from_nothing_to_the_top() {
        assert_eq!(spark(&ASCII, &[0.0, 1.0, 50.0, 100.0], 10), " .:#");
        assert_eq!(spark(&ASCII, &[9.0, 0.0, 2.0], 2), " #");
        assert_eq!(spark(&ASCII, &[], 5), "");
        assert_eq!(spark(&ASCII, &[0.0, 0.0], 5), "  ");
    }

    #[test]
    fn shares_are_seen_when_they_are_small() {
        assert_eq!(share(&ASCII, 1, 1_000_000, 4), "#   ");
        assert_eq!(share(&ASCII, 0, 10, 4), "    ");
        assert_eq!(share(&ASCII, u64::MAX, u64::MAX, 4), "####");
        assert_eq!(share(&ASCII, 5, 0, 4), "####");
    }
}
