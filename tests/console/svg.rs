//! A painted screen as an SVG: the pictures of the README.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

const CELL_W: u16 = 9;
const CELL_H: u16 = 19;
const PAD: u16 = 12;
/// What the terminal's own colours stand for: paper and ink.
pub type Ground = (&'static str, &'static str);
pub const DARK: Ground = ("#16181d", "#c9ccd3");
pub const LIGHT: Ground = ("#f4f6f8", "#1f2933");

fn color(c: Color, otherwise: &str) -> String {
    match c {
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        _ => otherwise.to_owned(),
    }
}

/// Foreground and background as they are seen.
fn seen(cell: &Cell, ground: Ground) -> (String, String) {
    let (fg, bg) = (color(cell.fg, ground.1), color(cell.bg, ground.0));
    if cell.modifier.contains(Modifier::REVERSED) {
        (bg, fg)
    } else {
        (fg, bg)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The same buffer always gives the same bytes.
pub fn svg(buf: &Buffer, title: &str, ground: Ground) -> String {
    let (w, h) = (buf.area.width * CELL_W + 2 * PAD, buf.area.height * CELL_H + 2 * PAD);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\">\n\
         <title>{}</title>\n<rect width=\"{w}\" height=\"{h}\" rx=\"8\" fill=\"{}\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"15\" xml:space=\"preserve\">\n",
        escape(title),
        ground.0
    );
    for y in 0..buf.area.height {
        let mut x = 0;
        while x < buf.area.width {
            let first = &buf[(x, y)];
            let look = (seen(first, ground), first.modifier);
            let start = x;
            let mut text = String::new();
            while x < buf.area.width && (seen(&buf[(x, y)], ground), buf[(x, y)].modifier) == look {
                text.push_str(buf[(x, y)].symbol());
                x += 1;
            }
            run(&mut out, (start, y, x - start), &text, &look, ground);
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// One run of cells that look alike.
fn run(
    out: &mut String,
    (x, y, width): (u16, u16, u16),
    text: &str,
    ((fg, bg), modifier): &((String, String), Modifier),
    ground: Ground,
) {
    let (left, top, wide) = (PAD + x * CELL_W, PAD + y * CELL_H, width * CELL_W);
    if bg != ground.0 {
        writeln!(
            out,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{CELL_H}\" fill=\"{bg}\"/>"
        )
        .unwrap();
    }
    let shown = text.trim_end();
    if shown.is_empty() {
        return;
    }
    let lead = shown.len() - shown.trim_start().len();
    let shown = shown.trim_start();
    let columns = u16::try_from(unicode_width::UnicodeWidthStr::width(shown)).unwrap();
    let left = left + u16::try_from(lead).unwrap() * CELL_W;
    let bold = if modifier.contains(Modifier::BOLD) {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let (base, wide) = (top + 14, columns * CELL_W);
    writeln!(
        out,
        "<text x=\"{left}\" y=\"{base}\" textLength=\"{wide}\" fill=\"{fg}\"{bold}>{}</text>",
        escape(shown)
    )
    .unwrap();
}
