//! A list's selection and filter. The selection is an id, so that it stays with its line when the list changes.
//!
//! Lists may have a hundred thousand lines. What a line says is written down once for each state of the lines, a filter that
//! grows is only looked for among what it let through before, and nothing is made for lines that are not seen.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use tui_input::Input;

use super::filter::Words;

/// Lists with fewer lines are filtered in no time.
const MANY: usize = 5_000;
/// So many lines are written down at a time: a few milliseconds.
const SLICE: usize = 8_000;

/// The ids of a list's lines in the order shown.
pub type Ids<'a> = Vec<Cow<'a, str>>;

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
    /// The lines that are marked, by id, and the one that was marked last.
    pub marks: Marks,
    /// What was found out about the lines; losing it must not matter.
    found: RefCell<Found>,
}

/// Lines that are marked, to do something with all of them.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    ids: BTreeSet<String>,
    /// Where a range begins.
    last: Option<String>,
}

impl Marks {
    /// Whether a line is marked.
    pub fn holds(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// How many are marked.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Marks nothing.
    pub fn clear(&mut self) {
        *self = Marks::default();
    }

    /// Marks a line, or no longer.
    pub fn toggle(&mut self, id: &str) {
        if !self.ids.remove(id) {
            self.ids.insert(id.to_owned());
        }
        self.last = Some(id.to_owned());
    }

    /// Marks all from the line that was marked last, else from the first, to this one.
    pub fn range(&mut self, ids: &Ids<'_>, to: usize) {
        let last = self.last.as_deref();
        let from = last.and_then(|l| ids.iter().position(|id| id == l)).unwrap_or(0);
        let between = ids.get(from.min(to)..=from.max(to)).unwrap_or_default();
        self.ids.extend(between.iter().map(|id| id.clone().into_owned()));
        self.last = ids.get(to).map(|id| id.clone().into_owned());
    }

    /// Marks what is not marked, and the other way round.
    pub fn invert(&mut self, ids: &Ids<'_>) {
        for id in ids {
            if !self.ids.remove(id.as_ref()) {
                self.ids.insert(id.clone().into_owned());
            }
        }
    }
}

/// Which lines: a number that is another one whenever their texts are others, and how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Stands for the lines as they are.
    pub version: (u64, u8),
    /// How many there are.
    pub len: usize,
}

/// What a list remembers of its lines from one picture to the next.
#[derive(Clone, Debug, Default)]
struct Found {
    /// What each line says.
    texts: Option<(Lines, Rc<Texts>)>,
    /// The filter, and what it let through, as the lines come.
    passed: Option<(Lines, Words, Rc<Vec<usize>>)>,
    /// Filter and order, and what they show.
    shown: Option<(Asked, Rc<Vec<usize>>)>,
}

/// Which lines are shown, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    lines: Lines,
    words: Option<Words>,
    sort: (usize, bool),
}

/// What each line says, in lower case, one behind the other.
#[derive(Clone, Debug, Default)]
struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Room for what so many lines say.
    fn with_room(len: usize) -> Texts {
        Texts {
            all: String::with_capacity(len * 48),
            ends: Vec::with_capacity(len),
        }
    }

    /// Writes down what the next lines say, up to a number of them.
    fn extend(&mut self, upto: usize, text: impl Fn(usize, &mut String)) {
        let mut line = String::new();
        for i in self.ends.len()..upto {
            line.clear();
            text(i, &mut line);
            if line.is_ascii() {
                line.make_ascii_lowercase();
                self.all.push_str(&line);
            } else {
                self.all.push_str(&line.to_lowercase());
            }
            self.ends.push(self.all.len());
        }
    }

    fn get(&self, i: usize) -> &str {
        let from = i.checked_sub(1).and_then(|before| self.ends.get(before)).unwrap_or(&0);
        let to = self.ends.get(i).unwrap_or(from);
        self.all.get(*from..*to).unwrap_or_default()
    }
}

/// Where the selection comes to lie; see [`List::find`].
#[derive(Debug)]
pub struct Place {
    index: usize,
    selected: Option<String>,
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
    pub fn reconcile(&mut self, ids: &Ids<'_>) {
        let place = self.find(ids);
        self.put(place);
    }

    /// Where the selection belongs among these lines; nothing when it lies there already.
    pub fn find(&self, ids: &Ids<'_>) -> Option<Place> {
        let own = self.selected.as_deref();
        let is_own = |at: usize| own.is_some() && ids.get(at).map(Cow::as_ref) == own;
        let at = if self.at_top && !ids.is_empty() {
            0
        } else if is_own(self.index) {
            return None;
        } else if let Some(at) = own.and_then(|s| ids.iter().position(|id| id == s)) {
            at
        } else if ids.is_empty() {
            // While nothing is loaded yet, an id that was asked for is kept; what a filter hides is not selected.
            let kept = self.selected.clone().filter(|_| self.filter.value().is_empty());
            return Some(Place {
                index: 0,
                selected: kept,
            });
        } else {
            self.index.min(ids.len() - 1)
        };
        (at != self.index || !is_own(at)).then(|| Place {
            index: at,
            selected: ids.get(at).map(|id| id.clone().into_owned()),
        })
    }

    /// Where so many lines away from the selection lie, stopping at the ends.
    pub fn away(&self, ids: &Ids<'_>, by: isize) -> Place {
        let index = self.index.saturating_add_signed(by).min(ids.len().saturating_sub(1));
        let there = ids.get(index).map(|id| id.clone().into_owned());
        Place {
            index,
            selected: there.or_else(|| self.selected.clone()),
        }
    }

    /// Selects what was found.
    pub fn put(&mut self, place: Option<Place>) {
        if let Some(place) = place {
            (self.index, self.selected) = (place.index, place.selected);
        }
    }

    /// Selects what was moved to: from now on new lines do not take the selection.
    pub fn move_to(&mut self, place: Place) {
        self.at_top = false;
        self.put(Some(place));
    }

    /// Moves by so many lines, stopping at the ends.
    pub fn step(&mut self, ids: &Ids<'_>, by: isize) {
        let place = self.away(ids, by);
        self.move_to(place);
    }

    /// The filter, taken apart once for many lines; none when it is empty.
    pub fn words(&self) -> Option<Words> {
        Words::parse(self.filter.value())
    }

    /// Whether a line with this text passes the filter.
    pub fn passes(&self, text: &str) -> bool {
        self.words().is_none_or(|w| w.passes(text))
    }

    /// The numbers of the lines shown, in their order. `text` writes what a line says; `order` sorts by the order that is
    /// chosen, when it is not the first.
    pub fn shown(
        &self,
        lines: Lines,
        text: impl Fn(usize, &mut String),
        order: impl FnOnce(usize, &mut [usize]),
    ) -> Rc<Vec<usize>> {
        let asked = Asked {
            lines,
            words: self.words(),
            sort: self.sort,
        };
        if let Some((known, shown)) = &self.found.borrow().shown
            && *known == asked
        {
            return Rc::clone(shown);
        }
        let passed = match &asked.words {
            Some(words) => self.passed(lines, words, text),
            None => Rc::new((0..lines.len).collect()),
        };
        let shown = match self.sort {
            (0, false) => passed,
            (by, reverse) => {
                let mut sorted = passed.to_vec();
                if by > 0 {
                    order(by, &mut sorted);
                }
                if reverse {
                    sorted.reverse();
                }
                Rc::new(sorted)
            }
        };
        self.found.borrow_mut().shown = Some((asked, Rc::clone(&shown)));
        shown
    }

    /// Writes down what a few more lines say, before anybody filters them; says whether there are more to come.
    ///
    /// Once is enough while nobody filters: lines that come in later are written down when somebody does.
    pub fn prepare(&self, lines: Lines, filtering: bool, text: impl Fn(usize, &mut String)) -> bool {
        let found = &mut *self.found.borrow_mut();
        let whole = |(known, texts): &(Lines, Rc<Texts>)| *known == lines || texts.ends.len() == known.len;
        if lines.len < MANY || !filtering && found.texts.as_ref().is_some_and(|t| whole(t) && t.0 != lines) {
            return false;
        }
        let known = found.texts.take().filter(|(known, _)| *known == lines);
        let mut texts = known.map_or_else(|| Rc::new(Texts::with_room(lines.len)), |(_, texts)| texts);
        let upto = lines.len.min(texts.ends.len() + SLICE);
        if texts.ends.len() < upto {
            Rc::make_mut(&mut texts).extend(upto, text);
        }
        found.texts = Some((lines, texts));
        upto < lines.len
    }

    /// The numbers of the lines that pass a filter, as they come.
    fn passed(&self, lines: Lines, words: &Words, text: impl Fn(usize, &mut String)) -> Rc<Vec<usize>> {
        let found = &mut *self.found.borrow_mut();
        let known = found.texts.take().filter(|(known, _)| *known == lines);
        let mut texts = known.map_or_else(|| Rc::new(Texts::with_room(lines.len)), |(_, texts)| texts);
        if texts.ends.len() < lines.len {
            Rc::make_mut(&mut texts).extend(lines.len, text);
        }
        let passes = |i: &usize| words.passes_lower(texts.get(*i));
        let passed: Vec<usize> = match &found.passed {
            // One more letter: only what passed before can pass still.
            Some((known, before, hits)) if *known == lines && words.is_within(before) => {
                hits.iter().copied().filter(passes).collect()
            }
            _ => (0..lines.len).filter(passes).collect(),
        };
        let passed = Rc::new(passed);
        found.texts = Some((lines, texts));
        found.passed = Some((lines, words.clone(), Rc::clone(&passed)));
        passed
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

    fn ids(text: &str) -> Ids<'_> {
        text.split_whitespace().map(Cow::Borrowed).collect()
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
    fn marks_go_one_by_one_in_ranges_and_the_other_way_round() {
        let all = ids("a b c d e");
        let mut marks = Marks::default();
        let of = |m: &Marks| -> String { all.iter().filter(|id| m.holds(id)).map(Cow::as_ref).collect() };
        marks.toggle("b");
        marks.range(&all, 3);
        assert_eq!((of(&marks).as_str(), marks.len()), ("bcd", 3));
        marks.toggle("c");
        marks.invert(&all);
        assert_eq!(of(&marks), "ace");
        // What the last mark stood on is gone: the range begins at the top.
        marks.clear();
        marks.toggle("x");
        marks.range(&all, 1);
        assert_eq!((of(&marks).as_str(), marks.holds("x")), ("ab", true));
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

    fn lines(version: u64, len: usize) -> Lines {
        Lines {
            version: (version, 0),
            len,
        }
    }

    #[test]
    fn what_lines_say_is_written_down_once() {
        let mut list = List::default();
        let asked = std::cell::Cell::new(0);
        let text = |i: usize, out: &mut String| {
            asked.set(asked.get() + 1);
            out.push_str(&format!("Line {i}"));
        };
        let sort = |_: usize, _: &mut [usize]| {};
        assert_eq!(list.shown(lines(0, 12), text, sort).len(), 12);
        assert_eq!(asked.get(), 0, "without a filter nobody asks what lines say");
        list.filter = Input::new("1".to_owned());
        assert_eq!(*list.shown(lines(0, 12), text, sort), [1, 10, 11]);
        list.filter = Input::new("line 1 !0".to_owned());
        assert_eq!(*list.shown(lines(0, 12), text, sort), [1, 11]);
        list.filter = Input::new("!1".to_owned());
        assert_eq!(list.shown(lines(0, 12), text, sort).len(), 9);
        assert_eq!(asked.get(), 12);
        assert_eq!(*list.shown(lines(1, 2), text, sort), [0]);
        assert_eq!(asked.get(), 14);
    }

    #[test]
    fn orders_are_kept_until_something_changes() {
        let sorted = std::cell::Cell::new(0);
        let order = |by: usize, rows: &mut [usize]| {
            sorted.set(sorted.get() + 1);
            rows.sort_by_key(|i| (i * by) % 5);
        };
        let mut list = List {
            sort: (3, false),
            ..List::default()
        };
        for _ in 0..2 {
            assert_eq!(*list.shown(lines(0, 5), |_, _| {}, order), [0, 2, 4, 1, 3]);
        }
        assert_eq!(sorted.get(), 1);
        list.sort.1 = true;
        assert_eq!(*list.shown(lines(0, 5), |_, _| {}, order), [3, 1, 4, 2, 0]);
    }

    #[test]
    fn a_filter_that_grows_only_ever_takes_away() {
        let texts = ["auto complete", "auto failed", "manual", "Ärger AUTO"];
        let mut random = fastrand::Rng::with_seed(3);
        let mut list = List::default();
        for _ in 0..3_000 {
            let c = *random.choice(&['a', 'u', 't', '!', ' ', 'f', 'ä', 'm']).unwrap();
            let mut filter = list.filter.value().to_owned();
            match random.u8(..4) {
                0 => drop(filter.pop()),
                1 if filter.len() > 8 => filter.clear(),
                _ => filter.push(c),
            }
            list.filter = Input::new(filter.clone());
            let shown = list.shown(lines(0, 4), |i, out| out.push_str(texts[i]), |_, _| {});
            let wanted: Vec<usize> = (0..4).filter(|i| list.passes(texts[*i])).collect();
            assert_eq!(*shown, wanted, "{filter:?}");
        }
    }

    #[test]
    fn scrolling_moves_as_little_as_possible() {
        assert_eq!(scroll(0, 9, 5, 20), 5);
        assert_eq!(scroll(5, 7, 5, 20), 5);
        assert_eq!(scroll(5, 2, 5, 20), 2);
        assert_eq!(scroll(18, 1, 5, 3), 0);
    }

    #[test]
    fn a_long_list_is_got_ready_in_slices_once_and_again_when_somebody_filters() {
        let asked = std::cell::Cell::new(0);
        let text = |i: usize, out: &mut String| {
            asked.set(asked.get() + 1);
            out.push_str(&format!("Line {i}"));
        };
        let lines = |version, len| Lines {
            version: (version, 0),
            len,
        };
        let mut list = List::default();
        assert!(!list.prepare(lines(1, MANY - 1), false, text), "short lists need none");
        let first = lines(1, 2 * SLICE + 1);
        assert!(list.prepare(first, false, text) && list.prepare(first, false, text));
        assert_eq!(asked.get(), 2 * SLICE);
        assert!(!list.prepare(first, false, text) && !list.prepare(first, false, text));
        assert_eq!(asked.get(), first.len);
        list.filter = Input::new("line 16000".to_owned());
        assert_eq!(*list.shown(first, text, |_, _| {}), [16_000]);
        assert_eq!(asked.get(), first.len, "nothing is written down twice");
        // Other lines have come, and nobody filters; then somebody does.
        let second = lines(2, 2 * SLICE);
        assert!(!list.prepare(second, false, text));
        assert_eq!(asked.get(), first.len);
        assert!(list.prepare(second, true, text));
        // What is not ready yet when the first key comes is written down then.
        assert_eq!(*list.shown(second, text, |_, _| {}), [0; 0]);
        list.filter = Input::new("line 15999".to_owned());
        assert_eq!(*list.shown(second, text, |_, _| {}), [15_999]);
        assert_eq!(asked.get(), first.len + second.len);
    }
}
