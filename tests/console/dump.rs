//! A picture as text: the characters, then for each line the runs of style that are not the plain one.

use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::style::{Color, Modifier, Style};

/// The characters, line by line, without trailing blanks.
pub fn text(buf: &Buffer) -> String {
    let mut out = String::new();
    for y in buf.area.top()..buf.area.bottom() {
        let mut line = String::new();
        let mut skip = 0;
        for x in buf.area.left()..buf.area.right() {
            let symbol = buf[(x, y)].symbol();
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The characters, the cursor, and the styles.
pub fn styled(buf: &Buffer, cursor: Option<Position>) -> String {
    let mut out = text(buf);
    out.push_str(&format!(
        "cursor {}\n",
        cursor.map_or("hidden".to_owned(), |p| format!("{},{}", p.x, p.y))
    ));
    for y in buf.area.top()..buf.area.bottom() {
        let runs = runs(buf, y);
        if !runs.is_empty() {
            out.push_str(&format!("@{y} {}\n", runs.join("  ")));
        }
    }
    out
}

fn runs(buf: &Buffer, y: u16) -> Vec<String> {
    let mut out = Vec::new();
    let mut from = buf.area.left();
    while from < buf.area.right() {
        let style = buf[(from, y)].style();
        let mut to = from;
        while to < buf.area.right() && buf[(to, y)].style() == style {
            to += 1;
        }
        let words = words(style);
        if !words.is_empty() {
            out.push(format!("{from}-{} {words}", to - 1));
        }
        from = to;
    }
    out
}

fn words(style: Style) -> String {
    let color = |c: Option<Color>| c.filter(|c| *c != Color::Reset).map(|c| c.to_string().to_lowercase());
    let mut out = Vec::new();
    out.extend(color(style.fg));
    out.extend(color(style.bg).map(|c| format!("on-{c}")));
    for (modifier, word) in [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::UNDERLINED, "under"),
        (Modifier::REVERSED, "inverse"),
    ] {
        if style.add_modifier.contains(modifier) {
            out.push(word.to_owned());
        }
    }
    out.join(" ")
}
