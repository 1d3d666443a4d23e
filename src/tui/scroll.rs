//! How far a page of text is scrolled down.

use std::cell::Cell;

/// Lines scrolled down, never beyond the end that was painted last.
#[derive(Clone, Debug)]
pub struct Scroll {
    at: usize,
    /// Where the last page begins, as it was painted; losing it must not matter.
    most: Cell<usize>,
}

impl Default for Scroll {
    fn default() -> Self {
        Scroll {
            at: 0,
            most: Cell::new(usize::MAX),
        }
    }
}

impl Scroll {
    /// Scrolls by so many lines, stopping at the ends.
    pub fn by(&mut self, lines: isize) {
        let most = self.most.get();
        self.at = self.at.min(most).saturating_add_signed(lines).min(most);
    }

    /// Goes to the end.
    pub fn to_end(&mut self) {
        self.at = self.most.get();
    }

    /// The first line to show of so many on a page so high.
    pub fn first(&self, lines: usize, height: u16) -> usize {
        let most = lines.saturating_sub(usize::from(height));
        self.most.set(most);
        self.at.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_end_one_line_up_is_one_line_up() {
        let mut scroll = Scroll::default();
        assert_eq!(scroll.first(30, 10), 0);
        scroll.by(isize::MAX / 2);
        assert_eq!(scroll.first(30, 10), 20);
        scroll.by(-1);
        assert_eq!(scroll.first(30, 10), 19);
        // The page became shorter.
        assert_eq!(scroll.first(15, 10), 5);
        scroll.by(-1);
        assert_eq!(scroll.first(15, 10), 4);
        scroll.by(isize::MIN / 2);
        assert_eq!(scroll.first(15, 10), 0);
    }
}
