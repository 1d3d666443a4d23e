//! Typed reading of a TOML document that remembers where each value stood.
//!
//! A [`Section`] is asked for the keys it may hold; what nobody asked for is an unknown key, reported with
//! the nearest of those that were. Mistakes are collected, so that an operator sees all of them in one run.

use std::cell::RefCell;

use toml::de::{DeTable, DeValue};

use super::error::{Place, Problem};
use crate::model::text::{nearest, safe};

/// A value with the place where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub value: T,
    pub place: Place,
}

/// The text of a file and what has been found wrong with it.
pub(super) struct Document<'t> {
    text: &'t str,
    /// Where each line begins; every value asks for its line.
    lines: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Document<'t> {
    pub fn new(text: &'t str) -> Self {
        Document {
            text,
            lines: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect(),
            problems: RefCell::default(),
        }
    }

    /// Parses the text; `None` when it is not TOML, which is then a problem.
    pub fn parse(&self) -> Option<DeTable<'t>> {
        match DeTable::parse(self.text) {
            Ok(table) => Some(table.into_inner()),
            Err(error) => {
                let place = self.place(error.span().map_or(0, |s| s.start));
                self.problem(place, format!("this is not TOML: {}", safe(error.message(), 300)));
                None
            }
        }
    }

    pub fn problem(&self, place: Place, text: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            place: Some(place),
            text: text.into(),
        });
    }

    /// Whether nothing has been found wrong so far.
    pub fn is_good(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Everything that is wrong, in the order of the lines.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|begin| *begin <= offset).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        Place {
            line,
            column: self.text.get(begin..offset).map_or(0, |before| before.chars().count()) + 1,
        }
    }
}

/// One table of the document.
pub(super) struct Section<'a, 't> {
    document: &'a Document<'t>,
    title: &'static str,
    table: &'a DeTable<'t>,
    place: Place,
    asked: Vec<&'static str>,
}

impl<'a, 't> Section<'a, 't> {
    /// The document's outermost table.
    pub fn root(document: &'a Document<'t>, table: &'a DeTable<'t>) -> Self {
        Section {
            document,
            title: "the file",
            table,
            place: Place { line: 1, column: 1 },
            asked: Vec::new(),
        }
    }

    /// Where it begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether it holds that key, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(k, _)| k.get_ref().as_ref() == key)
    }

    fn find(&mut self, key: &'static str) -> Option<At<&'a DeValue<'t>>> {
        self.asked.push(key);
        let (_, value) = self.table.iter().find(|(k, _)| k.get_ref().as_ref() == key)?;
        Some(At {
            value: value.get_ref(),
            place: self.document.place(value.span().start),
        })
    }

    fn mismatch(&self, place: Place, key: &str, wanted: &str, found: &DeValue<'_>) {
        let found = found.type_str();
        self.document.problem(
            place,
            format!("`{key}` must be {wanted}, and this is {}", with_article(found)),
        );
    }

    /// A key that must be there: its absence is a problem.
    pub fn needed<T>(&self, key: &str, found: Option<At<T>>, example: &str) -> Option<At<T>> {
        if found.is_none() && !self.has(key) {
            let text = format!("{} needs `{key}`, for example: {key} = {example}", self.title);
            self.document.problem(self.place, text);
        }
        found
    }

    pub fn string(&mut self, key: &'static str) -> Option<At<String>> {
        let At { value, place } = self.find(key)?;
        let Some(text) = value.as_str() else {
            self.mismatch(place, key, "text in quotes", value);
            return None;
        };
        let value = text.to_owned();
        Some(At { value, place })
    }

    pub fn boolean(&mut self, key: &'static str) -> Option<At<bool>> {
        let At { value, place } = self.find(key)?;
        let Some(value) = value.as_bool() else {
            self.mismatch(place, key, "true or false", value);
            return None;
        };
        Some(At { value, place })
    }

    /// A whole number of a range.
    pub fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<u32>) -> Option<At<u32>> {
        let At { value, place } = self.find(key)?;
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(number) = value.as_integer() else {
            self.mismatch(place, key, &wanted, value);
            return None;
        };
        let digits = number.as_str().replace('_', "");
        match u32::from_str_radix(&digits, number.radix()) {
            Ok(value) if range.contains(&value) => Some(At { value, place }),
            _ => {
                self.document.problem(place, format!("`{key}` must be {wanted}"));
                None
            }
        }
    }

    pub fn strings(&mut self, key: &'static str) -> Option<At<Vec<At<String>>>> {
        let At { value, place } = self.find(key)?;
        let value = self.string_list(key, value, place)?;
        Some(At { value, place })
    }

    /// Reads a list of texts, or one text alone.
    fn string_list(&self, key: &str, value: &DeValue<'_>, place: Place) -> Option<Vec<At<String>>> {
        if let Some(one) = value.as_str() {
            let value = one.to_owned();
            return Some(vec![At { value, place }]);
        }
        let Some(list) = value.as_array() else {
            self.mismatch(place, key, "a list of texts", value);
            return None;
        };
        let mut texts = Vec::new();
        for item in list.iter() {
            let place = self.document.place(item.span().start);
            let Some(text) = item.get_ref().as_str() else {
                self.mismatch(place, key, "a list of texts", item.get_ref());
                return None;
            };
            let value = text.to_owned();
            texts.push(At { value, place });
        }
        Some(texts)
    }

    /// A `[table]` inside this one.
    pub fn section(&mut self, key: &'static str, title: &'static str) -> Option<Section<'a, 't>> {
        self.section_like(key, title, "a table")
    }

    /// The same, and how it is written, for who wrote something else.
    pub fn section_like(&mut self, key: &'static str, title: &'static str, like: &str) -> Option<Section<'a, 't>> {
        let At { value, place } = self.find(key)?;
        let Some(table) = value.as_table() else {
            self.mismatch(place, key, like, value);
            return None;
        };
        Some(self.inner(title, table, place))
    }

    /// The `[[tables]]` inside this one, and whether the key was there at all.
    pub fn sections(&mut self, key: &'static str, title: &'static str) -> Option<Vec<Section<'a, 't>>> {
        let At { value, place } = self.find(key)?;
        let Some(list) = value.as_array() else {
            let text = format!("`{key}` must be a list of tables: write [[{key}]] with double brackets");
            self.document.problem(place, text);
            return Some(Vec::new());
        };
        let mut sections = Vec::new();
        for item in list.iter() {
            let place = self.document.place(item.span().start);
            match item.get_ref().as_table() {
                Some(table) => sections.push(self.inner(title, table, place)),
                None => self.mismatch(place, key, "a list of tables", item.get_ref()),
            }
        }
        Some(sections)
    }

    /// All keys of this table with their lists of texts; the caller knows which keys there are.
    pub fn all_string_lists(&self) -> Vec<(String, At<Vec<At<String>>>)> {
        let mut all = Vec::new();
        for (key, value) in self.table {
            let place = self.document.place(key.span().start);
            if let Some(list) = self.string_list(key.get_ref(), value.get_ref(), place) {
                all.push((key.get_ref().to_string(), At { value: list, place }));
            }
        }
        all
    }

    fn inner(&self, title: &'static str, table: &'a DeTable<'t>, place: Place) -> Section<'a, 't> {
        Section {
            document: self.document,
            title,
            table,
            place,
            asked: Vec::new(),
        }
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let advice = nearest(name, self.asked.iter().copied()).map_or_else(
                || format!("it may hold {}", self.asked.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let text = format!("unknown key `{}` in {}: {advice}", safe(name, 60), self.title);
            self.document.problem(self.document.place(key.span().start), text);
        }
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}
