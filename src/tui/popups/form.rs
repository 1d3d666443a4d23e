//! A form: a few fields and buttons. The first button always does nothing, and it has the focus where an act could
//! lose something.

use crossterm::event::KeyCode;
use ratatui::layout::Rect;
use tui_input::{Input, InputRequest};
use unicode_width::UnicodeWidthStr;

use super::forms::Subject;
use crate::tui::keys::Key;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, fit, safe, wrap};
use crate::tui::theme::Meaning;

/// One field.
#[derive(Clone, Debug)]
pub enum Field {
    /// A line of text.
    Text {
        /// Its label.
        label: &'static str,
        /// What is typed.
        input: Input,
        /// What may be typed.
        hint: &'static str,
    },
    /// One of a few.
    Choice {
        /// Its label.
        label: &'static str,
        /// What can be chosen.
        options: Vec<String>,
        /// What is chosen.
        at: usize,
    },
    /// A name that must be typed, never pasted, before the last button works.
    Typed {
        /// What is typed.
        input: Input,
        /// What must be typed.
        must: String,
    },
    /// The buttons; the first one leaves everything as it is.
    Buttons {
        /// Their labels.
        labels: Vec<String>,
        /// Which one has the focus.
        at: usize,
    },
}

/// A form that is open.
#[derive(Clone, Debug)]
pub struct Form {
    /// What it is about.
    pub subject: Subject,
    /// Its fields, the buttons last.
    pub fields: Vec<Field>,
    /// Which field has the keys.
    pub focus: usize,
    /// Why it was not accepted.
    pub error: Option<String>,
    /// Lines of its text scrolled down.
    pub scroll: usize,
}

/// What a key did to a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to do outside.
    Stay,
    /// A field changed.
    Changed,
    /// Leave everything as it is.
    Close,
    /// The n-th button was pressed; 1 is the first that does something.
    Press(usize),
}

/// Applies an editing key to a line of text; false when the key is none.
pub fn edit(input: &mut Input, key: Key) -> bool {
    let request = match (key.code, key.ctrl) {
        (KeyCode::Char('a'), true) | (KeyCode::Home, _) => InputRequest::GoToStart,
        (KeyCode::Char('e'), true) | (KeyCode::End, _) => InputRequest::GoToEnd,
        (KeyCode::Char('w'), true) => InputRequest::DeletePrevWord,
        (KeyCode::Char('u'), true) => InputRequest::DeleteLine,
        (KeyCode::Char('k'), true) => InputRequest::DeleteTillEnd,
        (KeyCode::Char(c), false) if !key.alt => InputRequest::InsertChar(c),
        (KeyCode::Backspace, _) => InputRequest::DeletePrevChar,
        (KeyCode::Delete, _) => InputRequest::DeleteNextChar,
        (KeyCode::Left, _) => InputRequest::GoToPrevChar,
        (KeyCode::Right, _) => InputRequest::GoToNextChar,
        _ => return false,
    };
    input.handle(request);
    true
}

/// Inserts pasted text, one line of it.
pub fn paste(input: &mut Input, text: &str) {
    let line = text.lines().next().unwrap_or_default();
    for c in safe(line).chars().take(500) {
        input.handle(InputRequest::InsertChar(c));
    }
}

impl Form {
    /// A form with the focus on its first field, or on its buttons when they are all it has.
    pub fn new(subject: Subject, mut fields: Vec<Field>, buttons: &[&str]) -> Form {
        let labels = buttons.iter().map(|b| (*b).to_owned()).collect();
        let at = subject.first_button();
        fields.push(Field::Buttons { labels, at });
        Form {
            subject,
            fields,
            focus: 0,
            error: None,
            scroll: 0,
        }
    }

    /// The text of the n-th field.
    pub fn text(&self, n: usize) -> &str {
        match self.fields.get(n) {
            Some(Field::Text { input, .. } | Field::Typed { input, .. }) => input.value().trim(),
            _ => "",
        }
    }

    /// The chosen option of the n-th field.
    pub fn choice(&self, n: usize) -> usize {
        match self.fields.get(n) {
            Some(Field::Choice { at, .. }) => *at,
            _ => 0,
        }
    }

    /// Whether the name that must be typed is typed; the reason when it is not.
    pub fn confirmed(&self) -> Result<Option<String>, String> {
        for field in &self.fields {
            if let Field::Typed { input, must } = field {
                return match input.value().trim() {
                    typed if typed == must => Ok(Some(must.clone())),
                    "" => Err(format!("Type {must} to confirm.")),
                    typed => Err(format!("`{}` is not {must}: nothing was done.", safe(typed))),
                };
            }
        }
        Ok(None)
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: Key) -> Outcome {
        let last = self.fields.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Outcome::Close,
            KeyCode::PageDown => self.scroll += 5,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(5),
            KeyCode::Tab if self.beside(true) => {}
            KeyCode::BackTab if self.beside(false) => {}
            KeyCode::Tab | KeyCode::Down => self.go(true),
            KeyCode::BackTab | KeyCode::Up => self.go(false),
            KeyCode::Enter => return self.on_enter(last),
            _ => return self.on_field_key(key),
        }
        Outcome::Stay
    }

    /// To the button beside the one in focus, when there is one.
    fn beside(&mut self, on: bool) -> bool {
        let Some(Field::Buttons { labels, at }) = self.fields.get_mut(self.focus) else {
            return false;
        };
        let next = if on { at.checked_add(1) } else { at.checked_sub(1) };
        let next = next.filter(|n| *n < labels.len());
        *at = next.unwrap_or(*at);
        next.is_some()
    }

    /// To the next or previous field, round.
    fn go(&mut self, on: bool) {
        let last = self.fields.len().saturating_sub(1);
        if let (0, Some(Field::Buttons { labels, at })) = (last, self.fields.get_mut(self.focus)) {
            // There is nothing but buttons.
            *at = if on { 0 } else { labels.len().saturating_sub(1) };
        }
        self.focus = match on {
            true if self.focus >= last => 0,
            true => self.focus + 1,
            false => self.focus.checked_sub(1).unwrap_or(last),
        };
    }

    /// Enter on a field goes on; in the name field it confirms; on a button it presses it.
    fn on_enter(&mut self, last: usize) -> Outcome {
        match self.fields.get(self.focus) {
            Some(Field::Buttons { at: 0, .. }) => Outcome::Close,
            Some(Field::Buttons { at, .. }) => Outcome::Press(*at),
            Some(Field::Typed { .. }) => Outcome::Press(1),
            Some(Field::Text { .. } | Field::Choice { .. }) | None => {
                self.focus = (self.focus + 1).min(last);
                Outcome::Stay
            }
        }
    }

    fn on_field_key(&mut self, key: Key) -> Outcome {
        match self.fields.get_mut(self.focus) {
            Some(Field::Text { input, .. } | Field::Typed { input, .. }) => {
                if !edit(input, key) {
                    return Outcome::Stay;
                }
                self.error = None;
                return Outcome::Changed;
            }
            Some(Field::Choice { options, at, .. }) => {
                let count = options.len().max(1);
                match key.code {
                    KeyCode::Left | KeyCode::Char('h') => *at = (*at + count - 1) % count,
                    KeyCode::Right | KeyCode::Char('l' | ' ') => *at = (*at + 1) % count,
                    _ => return Outcome::Stay,
                }
                self.error = None;
                return Outcome::Changed;
            }
            Some(Field::Buttons { labels, at }) => return on_button_key(labels, at, key),
            None => {}
        }
        Outcome::Stay
    }

    /// Pasted text goes into text fields; into the field that confirms, never.
    pub fn on_paste(&mut self, text: &str) -> Outcome {
        match self.fields.get_mut(self.focus) {
            Some(Field::Text { input, .. }) => {
                paste(input, text);
                Outcome::Changed
            }
            Some(Field::Typed { must, .. }) => {
                self.error = Some(format!("Pasted text does not confirm anything: type {must}."));
                Outcome::Stay
            }
            _ => Outcome::Stay,
        }
    }

    /// Paints it.
    pub fn view(&self, m: &Model, p: &mut Painter<'_>, screen: Rect) {
        let width = screen.width.saturating_sub(4).min(78);
        let inner = usize::from(width.saturating_sub(4)).max(10);
        let mut text: Vec<(String, Meaning)> = Vec::new();
        for (line, meaning) in self.subject.body(m, self) {
            text.extend(wrap(&safe(&line), inner).into_iter().map(|l| (l, meaning)));
        }
        let errors = self.error.as_deref().map(|e| wrap(&safe(e), inner)).unwrap_or_default();
        let fixed = self.fields.len() + errors.len() + 4;
        let room = usize::from(screen.height).saturating_sub(fixed + 2).max(1);
        let shown = text.len().min(room);
        let size = (width, (shown + fixed) as u16);
        let area = super::frame(p, screen, size, &self.subject.title(m), self.subject.is_dangerous());
        let from = self.scroll.min(text.len() - shown);
        let mut y = area.y;
        for (line, meaning) in text.iter().skip(from).take(shown) {
            p.put(area.x, y, area.width, line, *meaning);
            y += 1;
        }
        if text.len() > shown {
            p.put_right(area.x, y, area.width, "PgDn PgUp scroll", Meaning::Muted);
        }
        y += 1;
        for (i, field) in self.fields.iter().enumerate() {
            if y >= area.bottom() {
                // In a terminal that is too small, the buttons are what is left.
                y = area.bottom().saturating_sub(1);
            }
            if matches!(field, Field::Buttons { .. }) {
                for line in &errors {
                    p.put(area.x, y, area.width, line, Meaning::Error);
                    y += 1;
                }
                y = area.bottom().saturating_sub(1);
            }
            p.clear(Rect { y, height: 1, ..area });
            field.view(p, Rect { y, height: 1, ..area }, i == self.focus);
            y += 1;
        }
    }
}

fn on_button_key(labels: &[String], at: &mut usize, key: Key) -> Outcome {
    let last = labels.len().saturating_sub(1);
    match key.code {
        KeyCode::Left | KeyCode::Char('h') => *at = at.saturating_sub(1),
        KeyCode::Right | KeyCode::Char('l') => *at = (*at + 1).min(last),
        KeyCode::Char('n') => return Outcome::Close,
        KeyCode::Char('y') if labels.len() == 2 => return Outcome::Press(1),
        KeyCode::Char('q') => return Outcome::Close,
        _ => {}
    }
    Outcome::Stay
}

impl Field {
    fn view(&self, p: &mut Painter<'_>, area: Rect, focus: bool) {
        let (x, y) = (area.x, area.y);
        let label_meaning = if focus { Meaning::Key } else { Meaning::Muted };
        match self {
            Field::Text { label, input, hint } => {
                p.put(x, y, 18, label, label_meaning);
                let cells = area.width.saturating_sub(18).min(34);
                view_input(p, (x + 18, y), cells, input, focus);
                p.put(
                    x + 19 + cells,
                    y,
                    area.width.saturating_sub(19 + cells),
                    hint,
                    Meaning::Muted,
                );
            }
            Field::Choice { label, options, at } => {
                p.put(x, y, 18, label, label_meaning);
                let mut at_x = x + 18;
                for (i, option) in options.iter().enumerate() {
                    let chosen = i == *at;
                    let sign = if chosen { p.glyphs.chosen } else { p.glyphs.open };
                    let meaning = if chosen { Meaning::Title } else { Meaning::Muted };
                    if chosen && focus {
                        p.cursor_at(at_x + 1, y);
                    }
                    at_x = p.put(
                        at_x,
                        y,
                        area.right().saturating_sub(at_x),
                        &format!("{sign} {option}  "),
                        meaning,
                    );
                }
            }
            Field::Typed { input, must } => {
                // A name too long for the line stands in the form's title.
                let short = must.width() <= 30;
                let label = if short {
                    format!("Type {must}: ")
                } else {
                    "Type the cluster's name: ".to_owned()
                };
                let at = p.put(x, y, area.width.saturating_sub(12), &label, label_meaning);
                let cells = (must.width() as u16 + 4).clamp(8, area.right().saturating_sub(at).max(8));
                view_input(p, (at, y), cells, input, focus);
                p.put(
                    at + cells + 1,
                    y,
                    area.right().saturating_sub(at + cells + 1),
                    "then Enter",
                    Meaning::Muted,
                );
            }
            Field::Buttons { labels, at } => {
                let mut at_x = x;
                for (i, label) in labels.iter().enumerate() {
                    let here = focus && i == *at;
                    let meaning = if here { Meaning::Selection } else { Meaning::Base };
                    if here {
                        p.cursor_at(at_x, y);
                    }
                    at_x = p.put(
                        at_x,
                        y,
                        area.right().saturating_sub(at_x),
                        &format!("[ {label} ]"),
                        meaning,
                    ) + 2;
                }
                let hint = if labels.len() == 2 {
                    "y n, or Tab and Enter"
                } else {
                    "Tab and Enter"
                };
                let room = area.right().saturating_sub(at_x);
                if usize::from(room) > hint.len() {
                    p.put_right(at_x, y, room, hint, Meaning::Muted);
                }
            }
        }
    }
}

/// Paints a line of text with the cursor in it.
pub fn view_input(p: &mut Painter<'_>, (x, y): (u16, u16), cells: u16, input: &Input, focus: bool) {
    let width = usize::from(cells);
    let skip = input.visual_scroll(width.saturating_sub(1));
    let mut skipped = 0;
    let visible: String = input
        .value()
        .chars()
        .skip_while(|c| {
            let w = unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            let skip_it = skipped < skip;
            skipped += w;
            skip_it
        })
        .collect();
    let text = fit(&safe(&visible), width, "");
    let pad = " ".repeat(width.saturating_sub(text.width()));
    p.put(x, y, cells, &format!("{text}{pad}"), Meaning::Input);
    if focus {
        let at = input.visual_cursor().saturating_sub(skip) as u16;
        p.cursor_at(x + at.min(cells.saturating_sub(1)), y);
    }
}
