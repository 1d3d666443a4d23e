//! A form: a few fields and buttons. The first button always does nothing, and it has the focus where an act could
//! lose something. How it looks is in [`super::form_view`].

use crossterm::event::KeyCode;
use tui_input::{Input, InputRequest};
use unicode_width::UnicodeWidthStr;

use super::forms::Subject;
use crate::model::text::is_hostile;
use crate::tui::keys::Key;
use crate::tui::paint::{Painter, fit, safe};
use crate::tui::scroll::Scroll;
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
    pub scroll: Scroll,
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
    /// The command line that does the same shall be copied.
    Copy,
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

/// Inserts pasted text: its first line that is not empty, without the blanks around it. A tab is a blank, and other control
/// characters are left out.
pub fn paste(input: &mut Input, text: &str) {
    let mut lines = text.split(['\n', '\r']).map(str::trim);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let kept = line.chars().map(|c| if c == '\t' { ' ' } else { c });
    for c in kept.filter(|c| !is_hostile(*c)).take(500) {
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
            scroll: Scroll::default(),
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
            KeyCode::PageDown => self.scroll.by(5),
            KeyCode::PageUp => self.scroll.by(-5),
            KeyCode::Tab if self.beside(true) => {}
            KeyCode::BackTab if self.beside(false) => {}
            KeyCode::Tab | KeyCode::Down => self.go(true),
            KeyCode::BackTab | KeyCode::Up => self.go(false),
            KeyCode::Enter => return self.on_enter(last),
            KeyCode::Char('y') if key.ctrl => return Outcome::Copy,
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
}

fn on_button_key(labels: &[String], at: &mut usize, key: Key) -> Outcome {
    let last = labels.len().saturating_sub(1);
    if key.ctrl || key.alt {
        // They mean other things elsewhere, and must not consent by mistake.
        return Outcome::Stay;
    }
    match key.code {
        KeyCode::Left | KeyCode::Char('h') => *at = at.saturating_sub(1),
        KeyCode::Right | KeyCode::Char('l') => *at = (*at + 1).min(last),
        KeyCode::Char('n') => return Outcome::Close,
        KeyCode::Char('y') if labels.len() == 2 => return Outcome::Press(1),
        KeyCode::Char('q') => return Outcome::Close,
        KeyCode::Char('c') => return Outcome::Copy,
        _ => {}
    }
    Outcome::Stay
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
