//! How a form looks: its text, its fields and its buttons; in a small terminal as much of them as fits around the field that
//! has the keys.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::form::{Field, Form, view_input};
use super::twin;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, first_that_fits, safe, wrap};
use crate::tui::theme::Meaning;

/// How wide labels are where they stand beside their fields.
const LABEL: u16 = 18;
/// From so many cells on they do.
const WIDE: u16 = 50;
/// So many lines of text are shown where the rest of them has to be scrolled.
const LEAST: usize = 3;

/// One line of a form.
enum Row {
    Text(String, Meaning),
    /// What a field is called, where it stands in the line below.
    Label(usize),
    Field(usize),
}

impl Form {
    /// Paints it.
    pub fn view(&self, m: &Model, p: &mut Painter<'_>, screen: Rect) {
        let width = match screen.width {
            ..60 => screen.width,
            width => (width - 4).min(78),
        };
        let inner = usize::from(width.saturating_sub(4)).max(10);
        let mut text: Vec<(String, Meaning)> = Vec::new();
        for (line, meaning) in self.subject.body(m, self) {
            text.extend(wrap(&safe(&line), inner).into_iter().map(|l| (l, meaning)));
        }
        text.extend(self.twin_lines(inner));
        let errors = self.error.as_deref().map(|e| wrap(&safe(e), inner)).unwrap_or_default();
        let fixed = self.fields.len() + errors.len() + 4;
        let height = usize::from(screen.height);
        if usize::from(WIDE) > inner || height < fixed + 2 + text.len().min(LEAST) {
            return self.view_small(m, p, screen, (width, text, errors));
        }
        let shown = text.len().min(height.saturating_sub(fixed + 2));
        let size = (width, (shown + fixed) as u16);
        let area = super::frame(p, screen, size, &self.subject.title(m), self.subject.is_dangerous());
        let from = self.scroll.first(text.len(), shown as u16);
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
            if matches!(field, Field::Buttons { .. }) {
                for line in &errors {
                    p.put(area.x, y, area.width, line, Meaning::Error);
                    y += 1;
                }
                y = area.bottom().saturating_sub(1);
            }
            field.view(p, Rect { y, height: 1, ..area }, i == self.focus);
            y += 1;
        }
    }

    /// The command line that does the same, below the text.
    fn twin_lines(&self, width: usize) -> Vec<(String, Meaning)> {
        let commands = twin::commands(self);
        let Some(first) = commands.first() else {
            return Vec::new();
        };
        let key = match self.fields.get(self.focus) {
            Some(Field::Buttons { .. }) => "c copies",
            _ => "Ctrl-y copies",
        };
        let more = match commands.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let text = format!("The same ({key}): {first}{more}");
        wrap(&safe(&text), width)
            .into_iter()
            .map(|line| (line, Meaning::Muted))
            .collect()
    }

    /// Everything in one column, of which the part with the focus is shown; the buttons stay in the last line.
    fn view_small(
        &self,
        m: &Model,
        p: &mut Painter<'_>,
        screen: Rect,
        (width, text, errors): (u16, Vec<(String, Meaning)>, Vec<String>),
    ) {
        let mut rows: Vec<Row> = text
            .into_iter()
            .map(|(line, meaning)| Row::Text(line, meaning))
            .collect();
        let buttons = self.fields.len().saturating_sub(1);
        let narrow = width.saturating_sub(4) < WIDE;
        let mut focused = None;
        for i in 0..buttons {
            if narrow {
                rows.push(Row::Label(i));
            }
            rows.push(Row::Field(i));
            if i == self.focus {
                focused = Some(rows.len());
            }
        }
        let has_error = !errors.is_empty();
        rows.extend(errors.into_iter().map(|line| Row::Text(line, Meaning::Error)));
        let size = (width, (rows.len() as u16).saturating_add(3));
        let area = super::frame(p, screen, size, &self.subject.title(m), self.subject.is_dangerous());
        let body = usize::from(area.height.saturating_sub(1));
        let last = rows.len().saturating_sub(body);
        let from = match focused {
            _ if has_error => last,
            // The field that has the keys is the last line shown, unless somebody scrolls up from it.
            Some(end) => end.saturating_sub(body),
            None => self.scroll.first(rows.len(), body as u16),
        };
        let line = |i: usize| Rect {
            y: area.y + i as u16,
            height: 1,
            ..area
        };
        for (y, row) in rows.iter().skip(from).take(body).enumerate() {
            let at = line(y);
            match row {
                Row::Text(text, meaning) => {
                    p.put(at.x, at.y, at.width, text, *meaning);
                }
                Row::Label(i) => {
                    let meaning = if *i == self.focus { Meaning::Key } else { Meaning::Muted };
                    let forms = self.fields.get(*i).map(Field::labels).unwrap_or_default();
                    let label = first_that_fits(&forms, usize::from(at.width)).unwrap_or_default();
                    p.put(at.x, at.y, at.width, &label, meaning);
                }
                Row::Field(i) => {
                    if let Some(field) = self.fields.get(*i) {
                        field.view(p, at, *i == self.focus);
                    }
                }
            }
        }
        if last > from && from == 0 && focused.is_none() {
            p.put_right(
                area.x,
                area.y + area.height.saturating_sub(2),
                area.width,
                " PgDn",
                Meaning::Key,
            );
        }
        if let (Some(field), true) = (self.fields.last(), area.height > 0) {
            field.view(p, line(usize::from(area.height) - 1), self.focus == buttons);
        }
    }
}

impl Field {
    /// What it is called, for a line of its own, the longest first.
    fn labels(&self) -> Vec<String> {
        match self {
            Field::Text { label, hint, .. } => vec![format!("{label} ({hint})"), (*label).to_owned()],
            Field::Choice { label, .. } => vec![(*label).to_owned()],
            Field::Typed { must, .. } => vec![
                format!("Type {must}, then Enter"),
                format!("Type {must}"),
                "Type the cluster's name".to_owned(),
            ],
            Field::Buttons { .. } => Vec::new(),
        }
    }

    fn view(&self, p: &mut Painter<'_>, area: Rect, focus: bool) {
        let meaning = if focus { Meaning::Key } else { Meaning::Muted };
        let beside = area.width >= WIDE;
        match self {
            Field::Text { label, input, hint } if beside => {
                p.put(area.x, area.y, LABEL, label, meaning);
                // The whole hint, and what is left for the field.
                let cells = area.width.saturating_sub(LABEL + 1 + hint.width() as u16).clamp(12, 34);
                view_input(p, (area.x + LABEL, area.y), cells, input, focus);
                let x = area.x + LABEL + 1 + cells;
                p.put(x, area.y, area.right().saturating_sub(x), hint, Meaning::Muted);
            }
            Field::Text { input, .. } => view_input(p, (area.x, area.y), area.width, input, focus),
            Field::Choice { label, options, at } => {
                let options: Vec<&str> = options.iter().map(String::as_str).collect();
                let mut x = area.x;
                if beside {
                    p.put(area.x, area.y, LABEL, label, meaning);
                    x += LABEL;
                }
                let room = area.right().saturating_sub(x);
                one_of(p, (x, area.y, room), (&options, *at), focus);
            }
            Field::Typed { input, must } => view_typed(p, area, (input, must), focus),
            Field::Buttons { labels, at } => view_buttons(p, area, (labels, *at), focus),
        }
    }
}

/// One of a few, all of them where they fit, else the chosen one and how many there are.
fn one_of(p: &mut Painter<'_>, (x, y, room): (u16, u16, u16), (options, at): (&[&str], usize), focus: bool) {
    let whole: usize = options.iter().map(|o| o.width() + 6).sum::<usize>().saturating_sub(2);
    if whole > usize::from(room) {
        let text = format!("< {} > {} of {}", options.get(at).unwrap_or(&""), at + 1, options.len());
        p.put(x, y, room, &text, Meaning::Title);
        if focus {
            p.cursor_at(x, y);
        }
        return;
    }
    let mut next = x;
    for (i, option) in options.iter().enumerate() {
        let chosen = i == at;
        let sign = if chosen { p.glyphs.chosen } else { p.glyphs.open };
        let meaning = if chosen { Meaning::Title } else { Meaning::Muted };
        if chosen && focus {
            p.cursor_at(next + 1, y);
        }
        let left = (x + room).saturating_sub(next);
        next = p.put(next, y, left, &format!("{sign} {option}  "), meaning);
    }
}

fn view_typed(p: &mut Painter<'_>, area: Rect, (input, must): (&tui_input::Input, &str), focus: bool) {
    if area.width < WIDE {
        return view_input(p, (area.x, area.y), area.width, input, focus);
    }
    let meaning = if focus { Meaning::Key } else { Meaning::Muted };
    // A name too long for the line stands in the form's title.
    let short = must.width() <= 30;
    let label = if short {
        format!("Type {must}: ")
    } else {
        "Type the cluster's name: ".to_owned()
    };
    let at = p.put(area.x, area.y, area.width.saturating_sub(12), &label, meaning);
    let cells = (must.width() as u16 + 4).clamp(8, area.right().saturating_sub(at).max(8));
    view_input(p, (at, area.y), cells, input, focus);
    let x = at + cells + 1;
    p.put(x, area.y, area.right().saturating_sub(x), "then Enter", Meaning::Muted);
}

fn view_buttons(p: &mut Painter<'_>, area: Rect, (labels, at): (&[String], usize), focus: bool) {
    let (x, y) = (area.x, area.y);
    let whole: usize = labels.iter().map(|l| l.width() + 6).sum::<usize>().saturating_sub(2);
    if whole > usize::from(area.width) {
        let label = labels.get(at).map(String::as_str).unwrap_or_default();
        let text = format!("[ {label} ] {} of {}", at + 1, labels.len());
        p.put(
            x,
            y,
            area.width,
            &text,
            if focus { Meaning::Selection } else { Meaning::Base },
        );
        if focus {
            p.cursor_at(x, y);
        }
        return;
    }
    let mut next = x;
    for (i, label) in labels.iter().enumerate() {
        let here = focus && i == at;
        let meaning = if here { Meaning::Selection } else { Meaning::Base };
        if here {
            p.cursor_at(next, y);
        }
        let left = area.right().saturating_sub(next);
        next = p.put(next, y, left, &format!("[ {label} ]"), meaning) + 2;
    }
    let hint = if labels.len() == 2 {
        "y n, or Tab and Enter"
    } else {
        "Tab and Enter"
    };
    let room = area.right().saturating_sub(next);
    if usize::from(room) > hint.len() {
        p.put_right(next, y, room, hint, Meaning::Muted);
    }
}
