//! Choosing tables: databases with their tables as a tree, found by a few letters, written down as filter rules.

use std::collections::BTreeSet;

use crossterm::event::KeyCode;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::layout::Rect;
use tui_input::Input;

use super::form::{edit, view_input};
use crate::model::backup::BackupTable;
use crate::model::filter::TableFilter;
use crate::model::size;
use crate::model::table::TableName;
use crate::tui::keys::Key;
use crate::tui::paint::{Painter, fit_middle, safe};
use crate::tui::theme::Meaning;
use crate::tui::widgets::status::plural;

/// The open picker.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Sorted by name.
    all: Vec<BackupTable>,
    /// Which ones are chosen, by their number.
    chosen: BTreeSet<usize>,
    input: Input,
    at: usize,
    /// The lines as they are filtered now.
    lines: Vec<Line>,
}

/// One line: a database with the numbers of its tables that are shown, or a table's number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Db(String, Vec<usize>),
    Table(usize),
}

/// What a key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays open.
    Stay,
    /// It closes, and nothing is changed.
    Close,
    /// These rules are kept.
    Keep(String),
}

impl Tables {
    /// The picker; what the rules choose now is chosen.
    pub fn new(tables: &[BackupTable], rules: &TableFilter) -> Tables {
        let mut all = tables.to_vec();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let chosen = if rules.is_all() {
            BTreeSet::new()
        } else {
            let hit = all.iter().enumerate().filter(|(_, t)| rules.matches(&t.name));
            hit.map(|(i, _)| i).collect()
        };
        let mut new = Tables {
            all,
            chosen,
            input: Input::default(),
            at: 0,
            lines: Vec::new(),
        };
        new.lines = new.find();
        new
    }

    /// The lines that match what is typed: as a tree when nothing is, else the best match first.
    fn find(&self) -> Vec<Line> {
        let typed = self.input.value().trim();
        if typed.is_empty() {
            return self.tree();
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let score = |(i, t): (usize, &BackupTable)| {
            let name = t.name.to_string();
            let score = pattern.score(Utf32Str::new(&name, &mut buffer), &mut matcher)?;
            Some((std::cmp::Reverse(score), i))
        };
        let mut scored: Vec<_> = self.all.iter().enumerate().filter_map(score).collect();
        scored.sort_unstable();
        scored.into_iter().map(|(_, i)| Line::Table(i)).collect()
    }

    fn tree(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        let mut from = 0;
        while let Some(db) = self.all.get(from).map(|t| t.name.db.clone()) {
            let len = self.all.iter().skip(from).take_while(|t| t.name.db == db).count();
            lines.push(Line::Db(db, (from..from + len).collect()));
            lines.extend((from..from + len).map(Line::Table));
            from += len;
        }
        lines
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: Key) -> Outcome {
        let last = self.lines.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Outcome::Close,
            KeyCode::Enter => {
                if self.chosen.is_empty() {
                    self.toggle(self.at);
                }
                return Outcome::Keep(self.rules());
            }
            // Elsewhere it begins a filter; here one types at once.
            KeyCode::Char('/') if self.input.value().is_empty() => {}
            KeyCode::Char(' ') => {
                self.toggle(self.at);
                self.at = (self.at + 1).min(last);
            }
            KeyCode::Char('a') if key.ctrl => {
                let shown: Vec<usize> = self.lines.iter().filter_map(Line::table).collect();
                self.toggle_all(&shown);
            }
            _ => {
                if let Some(at) = super::moved(self.at, self.lines.len(), key) {
                    self.at = at;
                } else if edit(&mut self.input, key) {
                    self.lines = self.find();
                    self.at = 0;
                }
            }
        }
        Outcome::Stay
    }

    /// Pasted text narrows the list as typed text does.
    pub fn on_paste(&mut self, text: &str) {
        super::form::paste(&mut self.input, text);
        self.lines = self.find();
        self.at = 0;
    }

    /// Chooses a line, or no longer; a database stands for its tables.
    fn toggle(&mut self, at: usize) {
        match self.lines.get(at).cloned() {
            Some(Line::Db(_, tables)) => self.toggle_all(&tables),
            Some(Line::Table(i)) => self.toggle_all(&[i]),
            None => {}
        }
    }

    fn toggle_all(&mut self, tables: &[usize]) {
        let on = !tables.iter().all(|i| self.chosen.contains(i));
        for i in tables {
            if on {
                self.chosen.insert(*i);
            } else {
                self.chosen.remove(i);
            }
        }
    }

    /// The chosen tables as rules; a database that is chosen whole is one rule.
    fn rules(&self) -> String {
        let mut rules = Vec::new();
        for line in self.tree() {
            let Line::Db(db, tables) = line else { continue };
            if tables.iter().all(|i| self.chosen.contains(i)) {
                rules.push(format!("{}.*", quoted(&db)));
                continue;
            }
            let some = tables
                .iter()
                .filter(|i| self.chosen.contains(i))
                .filter_map(|i| self.all.get(*i));
            rules.extend(some.map(|t| rule(&t.name)));
        }
        rules.join(" ")
    }

    /// Paints it.
    pub fn view(&self, p: &mut Painter<'_>, screen: Rect) {
        let size = (screen.width.saturating_sub(4).min(90), screen.height.saturating_sub(2));
        let area = super::frame(p, screen, size, "Tables to restore", false);
        p.put(area.x, area.y, 2, "/", Meaning::Key);
        let body = Rect {
            y: area.y + 1,
            height: area.height.saturating_sub(3),
            ..area
        };
        super::lines(p, body, (self.lines.len(), self.at), |p, i, area| {
            if let Some(line) = self.lines.get(i) {
                self.view_line(p, area, line);
            }
        });
        if self.lines.is_empty() {
            p.put(area.x + 1, area.y + 1, area.width, "No table matches.", Meaning::Muted);
        }
        let chosen = self.chosen.iter().filter_map(|i| self.all.get(*i));
        let bytes = chosen.map(|t| t.sum.bytes).sum();
        let count = plural(self.chosen.len() as u64, "table");
        let foot = format!("{count}, {} of rows in the base", size::iec(bytes));
        let y = area.bottom();
        p.put(area.x, y - 2, area.width, &foot, Meaning::Title);
        super::foot(
            p,
            area,
            "type to find, Space chooses, Ctrl-a all shown, Enter keeps, Esc leaves",
        );
        view_input(p, (area.x + 2, area.y), area.width.saturating_sub(2), &self.input, true);
    }

    fn view_line(&self, p: &mut Painter<'_>, area: Rect, line: &Line) {
        match line {
            Line::Db(db, tables) => {
                let on = tables.iter().filter(|i| self.chosen.contains(i)).count();
                let sign = match on {
                    0 => "[ ]",
                    n if n == tables.len() => "[x]",
                    _ => "[-]",
                };
                let text = format!("{sign} {}", safe(db));
                p.put(area.x + 1, area.y, area.width, &text, Meaning::Title);
                let count = format!("{on} of {}", tables.len());
                p.put_right(area.x, area.y, area.width.saturating_sub(1), &count, Meaning::Muted);
            }
            Line::Table(i) => {
                let Some(t) = self.all.get(*i) else { return };
                let sign = if self.chosen.contains(i) { "[x]" } else { "[ ]" };
                let width = area.width.saturating_sub(32);
                let name = fit_middle(&safe(&t.name.to_string()), usize::from(width), p.glyphs.cut);
                p.put(area.x + 3, area.y, width + 4, &format!("{sign} {name}"), Meaning::Base);
                let sizes = format!("{}  {:>9}", plural(t.sum.rows, "row"), size::iec(t.sum.bytes));
                p.put_right(area.x, area.y, area.width.saturating_sub(1), &sizes, Meaning::Muted);
            }
        }
    }
}

impl Line {
    fn table(&self) -> Option<usize> {
        match self {
            Line::Table(i) => Some(*i),
            Line::Db(..) => None,
        }
    }
}

/// A name as it stands in a rule: in backticks where a rule would read it otherwise.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('`', "``"))
    }
}

fn rule(name: &TableName) -> String {
    format!("{}.{}", quoted(&name.db), quoted(&name.table))
}

/// Rules as they stand in one line: apart by spaces that are not inside backticks.
pub fn split_rules(text: &str) -> Vec<String> {
    let mut rules = vec![String::new()];
    let mut inside = false;
    for c in text.chars() {
        if c == '`' {
            inside = !inside;
        }
        if c.is_whitespace() && !inside {
            rules.push(String::new());
        } else if let Some(last) = rules.last_mut() {
            last.push(c);
        }
    }
    rules.retain(|r| !r.is_empty());
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checksum::TableChecksum;

    fn tables(names: &[(&str, &str)]) -> Vec<BackupTable> {
        let table = |(db, t): &(&str, &str)| BackupTable {
            name: TableName::new(*db, *t),
            sum: TableChecksum::default(),
            stored_bytes: 0,
        };
        names.iter().map(table).collect()
    }

    fn press(p: &mut Tables, keys: &str) -> Outcome {
        let mut out = Outcome::Stay;
        for c in keys.chars() {
            let key = if c == '\n' {
                "Enter".parse()
            } else if c == ' ' {
                "Space".parse()
            } else {
                c.to_string().parse()
            };
            out = p.on_key(key.unwrap());
        }
        out
    }

    #[test]
    fn what_is_chosen_becomes_rules_that_choose_just_that() {
        let all = tables(&[
            ("shop", "orders"),
            ("shop", "a b"),
            ("crm", "x.y"),
            ("crm", "q`q"),
            ("crm", "plain"),
        ]);
        let mut p = Tables::new(&all, &TableFilter::all());
        press(&mut p, "x.y ");
        let Outcome::Keep(text) = press(&mut p, "\n") else {
            panic!()
        };
        assert_eq!(text, "crm.`x.y`");
        for table in &all {
            let mut p = Tables::new(&all, &TableFilter::only(std::slice::from_ref(&table.name)));
            let Outcome::Keep(text) = press(&mut p, "\n") else {
                panic!()
            };
            let filter = TableFilter::parse(&split_rules(&text)).unwrap();
            let hit: Vec<_> = all.iter().filter(|t| filter.matches(&t.name)).collect();
            assert_eq!(hit, [table], "{text}");
        }
    }

    #[test]
    fn a_whole_database_is_one_rule_and_enter_alone_takes_the_line() {
        let all = tables(&[("shop", "orders"), ("shop", "items"), ("crm", "people")]);
        let mut p = Tables::new(&all, &TableFilter::all());
        assert_eq!(press(&mut p, "\n"), Outcome::Keep("crm.*".to_owned()));
        let mut p = Tables::new(&all, &TableFilter::all());
        assert_eq!(press(&mut p, "ordrs\n"), Outcome::Keep("shop.orders".to_owned()));
        let mut p = Tables::new(&all, &TableFilter::all());
        assert_eq!(press(&mut p, "/items\n"), Outcome::Keep("shop.items".to_owned()));
    }
}
