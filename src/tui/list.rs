//! A list's selection and filter. The selection is an id, so that it stays with its line when the list changes.

use tui_input::Input;

/// The state of a list: which line is selected, and what is filtered.
#[derive(Clone, Debug, Default)]
pub struct List {
    selected: Option<String>,
    index: usize,
    /// Until a line is chosen, the first one stays selected, whatever comes in.
    at_top: bool,
    /// The filter; empty shows everything.
    pub filter: Input,
}

impl List {
    /// A list whose newest line is selected until another one is chosen.
    pub fn newest_first() -> List {
        List {
            at_top: true,
            ..List::default()
        }
    }

    /// The selected id.
    pub fn selected(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    /// The selected line's number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Selects an id; [`List::reconcile`] finds its line.
    pub fn select(&mut self, id: impl Into<String>) {
        self.selected = Some(id.into());
        self.at_top = false;
    }

    /// Keeps the selection valid: by id, else the line that took its place.
    pub fn reconcile(&mut self, ids: &[String]) {
        if self.at_top && !ids.is_empty() {
            (self.index, self.selected) = (0, ids.first().cloned());
            return;
        }
        if let Some(at) = self.selected.as_ref().and_then(|s| ids.iter().position(|id| id == s)) {
            self.index = at;
            return;
        }
        if ids.is_empty() {
            self.index = 0;
            // While nothing is loaded yet, an id that was asked for is kept; what a filter hides is not selected.
            if !self.filter.value().is_empty() {
                self.selected = None;
            }
            return;
        }
        self.index = self.index.min(ids.len() - 1);
        self.selected = ids.get(self.index).cloned();
    }

    /// Moves by so many lines, stopping at the ends.
    pub fn step(&mut self, ids: &[String], by: isize) {
        let last = ids.len().saturating_sub(1);
        self.at_top = false;
        self.index = self.index.saturating_add_signed(by).min(last);
        self.selected = ids.get(self.index).cloned().or(self.selected.take());
    }

    /// Whether a line with this text passes the filter: every word must be there, `!word` must not.
    pub fn passes(&self, text: &str) -> bool {
        let filter = self.filter.value().to_lowercase();
        if filter.is_empty() {
            return true;
        }
        let text = text.to_lowercase();
        filter.split_whitespace().all(|word| match word.strip_prefix('!') {
            Some("") => true,
            Some(not) => !text.contains(not),
            None => text.contains(word),
        })
    }
}

/// The first line to show so that `index` is visible among `height` lines, moving as little as possible.
pub fn scroll(offset: usize, index: usize, height: usize, len: usize) -> usize {
    let height = height.max(1);
    let offset = offset.min(len.saturating_sub(height));
    if index < offset {
        index
    } else if index >= offset + height {
        index + 1 - height
    } else {
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_selection_follows_its_id_and_then_its_line() {
        let mut list = List::default();
        list.reconcile(&ids("a b c"));
        assert_eq!(list.selected(), Some("a"));
        list.step(&ids("a b c"), 1);
        list.reconcile(&ids("x a b c"));
        assert_eq!((list.selected(), list.index()), (Some("b"), 2));
        list.reconcile(&ids("x a"));
        assert_eq!((list.selected(), list.index()), (Some("a"), 1));
        list.step(&ids("x a"), -10);
        assert_eq!(list.selected(), Some("x"));
    }

    #[test]
    fn the_newest_line_stays_selected_until_one_is_chosen() {
        let mut list = List::newest_first();
        list.reconcile(&ids("b a"));
        list.reconcile(&ids("c b a"));
        assert_eq!(list.selected(), Some("c"));
        list.step(&ids("c b a"), 1);
        list.reconcile(&ids("d c b a"));
        assert_eq!(list.selected(), Some("b"));
    }

    #[test]
    fn filters_by_words_and_by_absence() {
        let list = List {
            filter: Input::new("auto !failed".to_owned()),
            ..List::default()
        };
        assert!(list.passes("20 Nov AUTO complete") && !list.passes("auto Failed") && !list.passes("manual"));
    }

    #[test]
    fn scrolling_moves_as_little_as_possible() {
        assert_eq!(scroll(0, 9, 5, 20), 5);
        assert_eq!(scroll(5, 7, 5, 20), 5);
        assert_eq!(scroll(5, 2, 5, 20), 2);
        assert_eq!(scroll(18, 1, 5, 3), 0);
    }
}
