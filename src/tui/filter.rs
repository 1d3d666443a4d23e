//! Filters of lists: words that must be there, words that must not, letters in their order, and words of one column.
//!
//! What a line says is written once, in lower case, with a sign before each column that nobody can type; so that `done` is
//! looked for in what a line says and never in what its columns are called.

/// The columns that can be named in a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names below
pub enum Col {
    Time,
    Id,
    Type,
    Status,
    Note,
    Cluster,
    Health,
    Product,
    Verb,
    What,
    Table,
    Storage,
    Address,
    Text,
    Setting,
    Value,
    From,
    Because,
}

impl Col {
    const ALL: [(Col, &'static str); 18] = [
        (Col::Time, "time"),
        (Col::Id, "id"),
        (Col::Type, "type"),
        (Col::Status, "status"),
        (Col::Note, "note"),
        (Col::Cluster, "cluster"),
        (Col::Health, "health"),
        (Col::Product, "product"),
        (Col::Verb, "verb"),
        (Col::What, "what"),
        (Col::Table, "table"),
        (Col::Storage, "storage"),
        (Col::Address, "address"),
        (Col::Text, "text"),
        (Col::Setting, "setting"),
        (Col::Value, "value"),
        (Col::From, "from"),
        (Col::Because, "because"),
    ];

    /// The sign that stands before its text.
    fn sign(self) -> char {
        // From the private use area, which `safe` text and keyboards do not have.
        char::from_u32(0xE000 + self as u32).unwrap_or('\u{e0ff}')
    }

    /// The signs of the columns that a word may mean.
    fn meant(word: &str) -> Vec<char> {
        let all = Col::ALL
            .iter()
            .filter(|(_, name)| !word.is_empty() && name.starts_with(word));
        all.map(|(col, _)| col.sign()).collect()
    }
}

/// Begins a column of a line; its text follows.
pub fn column(out: &mut String, col: Col) {
    out.push(col.sign());
}

/// A line of these columns.
pub fn line(cells: &[(Col, &str)]) -> String {
    let mut out = String::new();
    for (col, text) in cells {
        column(&mut out, *col);
        out.push_str(text);
    }
    out
}

fn is_sign(c: char) -> bool {
    ('\u{e000}'..='\u{e0ff}').contains(&c)
}

/// One word of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// Whether it must be there, or must not.
    wanted: bool,
    /// Whether its letters may have others between them.
    loose: bool,
    /// In one of these columns only.
    columns: Option<Vec<char>>,
    /// What is looked for, in lower case.
    text: String,
}

impl Word {
    /// `!` leaves out, `~` finds letters in their order, `column:` looks there only.
    fn parse(text: &str) -> Word {
        let (wanted, rest) = text.strip_prefix('!').map_or((true, text), |rest| (false, rest));
        let (loose, rest) = rest.strip_prefix('~').map_or((false, rest), |rest| (true, rest));
        let of_column = rest.split_once(':').map(|(name, word)| (Col::meant(name), word));
        let (columns, word) = match of_column {
            Some((columns, word)) if !columns.is_empty() => (Some(columns), word),
            // Not a column: a time, for example.
            _ => (None, rest),
        };
        Word {
            wanted,
            loose,
            columns,
            text: word.to_owned(),
        }
    }

    fn hits(&self, cell: &str) -> bool {
        if !self.loose {
            return cell.contains(self.text.as_str());
        }
        let mut rest = cell.chars();
        self.text.chars().all(|c| rest.any(|d| d == c))
    }

    /// Whether a line passes. What is not typed yet leaves nothing out.
    fn passes(&self, line: &str) -> bool {
        if self.text.is_empty() {
            return true;
        }
        let found = match &self.columns {
            // Signs are never looked for, so that a word is found within one column or not at all.
            None if !self.loose => line.contains(self.text.as_str()),
            None => line.split(is_sign).any(|cell| self.hits(cell)),
            Some(columns) => line.match_indices(is_sign).any(|(at, sign)| {
                let from = at + sign.len();
                let rest = line.get(from..).unwrap_or_default();
                let cell = rest.split(is_sign).next().unwrap_or_default();
                sign.chars().all(|c| columns.contains(&c)) && self.hits(cell)
            }),
        };
        found == self.wanted
    }

    /// Whether every line that passes this one passes the other.
    fn is_within(&self, other: &Word) -> bool {
        if other.text.is_empty() || self == other {
            return true;
        }
        let same = (self.wanted, self.loose, &self.columns) == (other.wanted, other.loose, &other.columns);
        same && self.wanted
            && match self.loose {
                true => self.text.starts_with(&other.text),
                false => self.text.contains(&other.text),
            }
    }
}

/// A filter that is taken apart: every word of it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<Word>);

impl Words {
    /// Takes a filter apart; nothing when it is empty.
    pub fn parse(filter: &str) -> Option<Words> {
        let filter = filter.to_lowercase();
        let words: Vec<Word> = filter.split_whitespace().map(Word::parse).collect();
        (!words.is_empty()).then_some(Words(words))
    }

    /// Whether a line with this text passes.
    pub fn passes(&self, text: &str) -> bool {
        self.passes_lower(&text.to_lowercase())
    }

    /// The same with a text in lower case.
    pub fn passes_lower(&self, text: &str) -> bool {
        self.0.iter().all(|w| w.passes(text))
    }

    /// Whether everything that passes would have passed the other filter, too.
    pub fn is_within(&self, other: &Words) -> bool {
        other
            .0
            .iter()
            .all(|w| self.0.iter().any(|own| own.is_within(w)) || w.text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: &str, cells: &[(Col, &str)]) -> bool {
        Words::parse(filter).is_none_or(|w| w.passes(&line(cells)))
    }

    #[test]
    fn words_absences_letters_and_columns() {
        let auto = [
            (Col::Time, "20 Nov 02:00"),
            (Col::Type, "auto"),
            (Col::Status, "Complete"),
            (Col::Note, "after the status meeting"),
        ];
        for filter in [
            "",
            "AUTO",
            "auto nov",
            "!manual",
            "type:auto",
            "ty:au !st:failed",
            "02:00",
            "~cmplt",
            "~st:cmp",
            "!~xyz",
            "note:status",
            "type:",
            "!",
            "~",
        ] {
            assert!(passes(filter, &auto), "{filter}");
        }
        for filter in [
            "manual",
            "!auto",
            "type:complete",
            "!type:auto",
            "note:auto",
            "~otua",
            "type",
            "03:00",
            "autocomplete",
        ] {
            assert!(!passes(filter, &auto), "{filter}");
        }
    }

    #[test]
    fn letters_are_found_within_one_column_only() {
        let cells = [(Col::Type, "ab"), (Col::Note, "cd")];
        assert!(passes("~ab", &cells) && !passes("~bc", &cells) && !passes("bc", &cells));
    }
}
