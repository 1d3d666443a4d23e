//! A list's selection and filter. The selection is an id, so that it stays with its line when the list changes.

use std::cell::RefCell;
use std::rc::Rc;

use tui_input::Input;

/// Filter, version and number of lines, and which of them passed.
type Found = ((String, (u64, u8), usize), Rc<Vec<usize>>);

/// The state of a list: which line is selected, and what is filtered.
#[derive(Clone, Debug, Default)]
pub struct List {
    selected: Option<String>,
    index: usize,
    /// Until a line is chosen, the first one stays selected, whatever comes in.
    at_top: bool,
    /// The filter; empty shows everything.
    pub filter: Input,
    /// By which of the screen's orders the lines are sorted, and whether the other way round.
    pub sort: (usize, bool),
    /// What passed the filter the last time, and what was filtered then; losing it must not matter.
    found: RefCell<Option<Found>>,
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

    /// The filter, taken apart once for many lines; none when it is empty.
    pub fn words(&self) -> Option<Words> {
        let filter = self.filter.value().to_lowercase();
        let word = |w: &str| match w.strip_prefix('!') {
            Some(not) => (false, not.to_owned()),
            None => (true, w.to_owned()),
        };
        let words: Vec<(bool, String)> = filter.split_whitespace().map(word).collect();
        (!words.is_empty()).then_some(Words(words))
    }

    /// Whether a line with this text passes the filter: every word must be there, `!word` must not.
    pub fn passes(&self, text: &str) -> bool {
        self.words().is_none_or(|w| w.passes(text))
    }

    /// The numbers of the lines that pass the filter; found anew only when the filter or the lines have changed.
    ///
    /// `version` stands for the lines as they are; it must be another one whenever their texts are others.
    pub fn hits(&self, version: (u64, u8), len: usize, text: impl Fn(usize) -> String) -> Rc<Vec<usize>> {
        let key = (self.filter.value().to_owned(), version, len);
        if let Some((known, hits)) = &*self.found.borrow()
            && *known == key
        {
            return Rc::clone(hits);
        }
        let hits = match self.words() {
            Some(words) => (0..len).filter(|i| words.passes(&text(*i))).collect(),
            None => (0..len).collect(),
        };
        let hits = Rc::new(hits);
        *self.found.borrow_mut() = Some((key, Rc::clone(&hits)));
        hits
    }
}

/// A filter that is taken apart: words that must be there, and words that must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<(bool, String)>);

impl Words {
    /// Whether a line with this text passes.
    pub fn passes(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        // `!` alone, while the word behind it is not typed yet, leaves nothing out.
        self.0
            .iter()
            .all(|(wanted, word)| word.is_empty() || text.contains(word.as_str()) == *wanted)
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
    fn hits_are_found_anew_only_when_something_changed() {
        let mut list = List::default();
        let asked = std::cell::Cell::new(0);
        let text = |i: usize| {
            asked.set(asked.get() + 1);
            format!("line {i}")
        };
        list.filter = Input::new("1".to_owned());
        assert_eq!(*list.hits((0, 0), 12, text), [1, 10, 11]);
        assert_eq!(*list.hits((0, 0), 12, text), [1, 10, 11]);
        assert_eq!(asked.get(), 12);
        assert_eq!(*list.hits((1, 0), 2, text), [1]);
        list.filter = Input::new("!1".to_owned());
        assert_eq!(*list.hits((1, 0), 2, text), [0]);
    }

    #[test]
    fn scrolling_moves_as_little_as_possible() {
        assert_eq!(scroll(0, 9, 5, 20), 5);
        assert_eq!(scroll(5, 7, 5, 20), 5);
        assert_eq!(scroll(5, 2, 5, 20), 2);
        assert_eq!(scroll(18, 1, 5, 3), 0);
    }
}
