//! Painting the model: the frame around every screen, popups and notices over it. Does nothing else.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr;

use super::commands::{COMMANDS, Cmd, Command, Scope, find};
use super::glyphs::Glyphs;
use super::model::Model;
use super::model::TimeMode;
use super::paint::{Painter, first_that_fits, fit_middle, safe, wrap};
use super::popups::form::view_input;
use super::screens::{self, messages};
use super::theme::{Meaning, Theme};
use super::update::enabled::enabled;
use super::widgets::progress;
use crate::model::time;

/// Scroll offsets from the last painting; losing them must not matter.
#[derive(Clone, Debug, Default)]
pub struct ViewCache {
    offsets: BTreeMap<&'static str, usize>,
    /// Where the lines of the list stand that has the keys.
    pub rows: Option<Rect>,
}

impl ViewCache {
    /// Where a list was scrolled to.
    pub fn offset(&self, list: &'static str) -> usize {
        self.offsets.get(list).copied().unwrap_or(0)
    }

    /// Remembers where a list is scrolled to.
    pub fn set_offset(&mut self, list: &'static str, offset: usize) {
        self.offsets.insert(list, offset);
    }
}

/// What somebody who opens the console for the first time should know.
const TIPS: [&str; 3] = [
    "Enter opens a cluster, Esc goes back, q leaves. ? lists the keys of a screen.",
    "Lower case looks, upper case acts: B backs up, R restores, and each asks first.",
    "In doubt press : and type what you want to do. Any key puts these lines away.",
];

/// How things look.
#[derive(Clone)]
pub struct Look {
    /// The styles.
    pub theme: Theme,
    /// The signs.
    pub glyphs: &'static Glyphs,
}

/// The terminal's title: what runs, in words that change only by whole percents.
pub fn title(m: &Model) -> String {
    let running = m.store.running();
    match running.first() {
        None => "brine".to_owned(),
        Some(job) => format!(
            "brine: {} running, {} {} {}",
            running.len(),
            job.verb.word(),
            safe(job.cluster.as_str()),
            progress::percent(job.progress.basis_points).trim()
        ),
    }
}

/// Paints the model into a buffer; returns where the hardware cursor shall stand.
pub fn view(m: &Model, cache: &mut ViewCache, look: &Look, buf: &mut Buffer) -> Option<Position> {
    let area = buf.area;
    buf.set_style(area, look.theme.style(Meaning::Base));
    let mut p = Painter {
        buf,
        theme: &look.theme,
        glyphs: look.glyphs,
        rows: None,
        cursor: None,
    };
    if m.too_small() {
        view_too_small(m, &mut p, area);
    } else {
        view_frame(m, cache, &mut p, area);
    }
    if let Some(popup) = m.popups.last() {
        if m.accessible && area.height > 1 {
            // A line is read from edge to edge: what lies behind would be mixed with what is asked.
            let behind = Rect::new(area.x, area.y + 1, area.width, area.height - 1);
            p.clear(behind);
        }
        let inside = Rect::new(area.x, area.y, area.width, area.height);
        popup.view(m, &mut p, inside);
        p.rows = None;
    }
    cache.rows = p.rows;
    p.cursor
}

/// Still says what runs, and how to leave.
fn view_too_small(m: &Model, p: &mut Painter<'_>, area: Rect) {
    let (w, h) = super::model::MIN_SIZE;
    let needs = format!("brine needs {w}x{h}");
    let forms = [format!("{needs}, this is {}x{}", area.width, area.height), needs];
    let text = first_that_fits(&forms, usize::from(area.width)).unwrap_or_default();
    p.put(area.x, area.y, area.width, &text, Meaning::Warn);
    let leaves = if m.screens.len() > 1 { "q goes back" } else { "q quits" };
    p.put(area.x, area.y + 1, area.width, leaves, Meaning::Muted);
    if let Some(job) = m.store.running().first() {
        p.put(area.x, area.y + 3, area.width, "X cancels it", Meaning::Muted);
        let text = progress::ticker(m, job, p.glyphs, usize::from(area.width));
        p.put(area.x, area.y + 2, area.width, &text, Meaning::Busy);
    }
    p.cursor_at(area.x, area.y);
}

fn view_frame(m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    view_top(m, p, area);
    view_hints(m, p, area);
    let mut bottom = area.bottom() - 1;
    if m.accessible {
        // A line of its own, so that no notice covers anything.
        bottom -= 1;
        view_last_toast(m, p, Rect::new(area.x, bottom, area.width, 1));
    }
    if let Some(strip) = &m.demo {
        bottom -= 1;
        view_strip(m, p, Rect::new(area.x, bottom, area.width, 1), strip);
    }
    if let Some(tour) = &m.tour {
        let lines = wrap(&tour.caption(), usize::from(area.width.saturating_sub(2)));
        for line in lines.iter().take(2).rev() {
            bottom -= 1;
            let pad = " ".repeat(usize::from(area.width).saturating_sub(line.width() + 1));
            p.put(area.x, bottom, area.width, &format!(" {line}{pad}"), Meaning::Badge);
        }
    }
    if m.tips {
        for line in TIPS.iter().rev() {
            bottom -= 1;
            let pad = " ".repeat(usize::from(area.width).saturating_sub(line.width() + 1));
            p.put(area.x, bottom, area.width, &format!(" {line}{pad}"), Meaning::Badge);
        }
    }
    let on_run = m.scope() == Scope::Run;
    let running = m.store.running();
    if let Some(job) = running.first().filter(|_| !on_run) {
        bottom -= 1;
        let more = if running.len() > 1 {
            format!("  and {} more (J)", running.len() - 1)
        } else {
            String::new()
        };
        let room = usize::from(area.width).saturating_sub(more.len() + 2);
        let text = format!(" {}{more}", progress::ticker(m, job, p.glyphs, room));
        p.put(area.x, bottom, area.width, &text, Meaning::Busy);
    }
    let old = m.old();
    if let Some((_, why)) = &old {
        let lines = wrap(&m.told(why), usize::from(area.width.saturating_sub(4)));
        for (i, line) in lines.iter().enumerate().take(2).rev() {
            bottom -= 1;
            let sign = if i == 0 { p.glyphs.warn } else { " " };
            let cut = if i == 1 && lines.len() > 2 { p.glyphs.cut } else { "" };
            p.put(
                area.x,
                bottom,
                area.width,
                &format!(" {sign} {line}{cut}"),
                Meaning::Warn,
            );
        }
    }
    let body = Rect::new(area.x, area.y + 1, area.width, bottom - area.y - 1);
    let own = screens::side::view(m, p, body);
    m.screen().view(m, cache, p, own);
    if p.cursor.is_none() {
        // Nothing can be chosen: who follows the cursor reads from the top.
        p.cursor_at(body.x, body.y);
    }
    if old.is_some() {
        // It is better than nothing, and must not look like the truth of now.
        let style = p.style(Meaning::Muted);
        p.buf.set_style(body, style);
    }
    view_toasts(m, p, body);
}

/// `brine > prod-eu > Backup  /orders      MariaDB 10.11 | 03:07 +01:00`.
fn view_top(m: &Model, p: &mut Painter<'_>, area: Rect) {
    let crumb = format!(" {} ", p.glyphs.crumb);
    let badges = badges(m);
    // However long a name is, the badges and the clock keep their places.
    let kept: usize = badges.iter().map(|(text, _)| text.width() + 1).sum::<usize>() + clock(m).width() + 2;
    let end = area.right().saturating_sub(kept as u16);
    let mut at = p.put(area.x, area.y, 6, "brine", Meaning::Mark);
    for word in fitted(m.screen().crumbs(m), usize::from(end.saturating_sub(at)), p.glyphs.cut) {
        at = p.put(at, area.y, end.saturating_sub(at), &crumb, Meaning::Muted);
        at = p.put(at, area.y, end.saturating_sub(at), &word, Meaning::Title);
    }
    for (text, meaning) in &badges {
        at = p.put(at + 1, area.y, area.right().saturating_sub(at + 1), text, *meaning);
    }
    at = view_filter(m, p, area, at);
    let right = corner(m);
    let width = right.width() as u16;
    if at + 2 + width <= area.right() {
        p.put(area.right() - width, area.y, width, &right, Meaning::Muted);
    } else if at + 2 + 12 <= area.right() {
        let clock = clock(m);
        p.put_right(at + 1, area.y, area.right() - at - 1, &clock, Meaning::Muted);
    }
}

/// The words of the breadcrumb in so many cells: a long name of a cluster makes room for the page's.
fn fitted(mut words: Vec<String>, room: usize, cut: &str) -> Vec<String> {
    let rest: usize = words.iter().skip(1).map(|w| safe(w).width()).sum::<usize>() + 3 * words.len();
    if let ([first, _, ..], true) = (words.as_mut_slice(), room > rest) {
        *first = fit_middle(&safe(first), (room - rest).max(8), cut);
    }
    words
}

/// What must be known of the whole console, beside the name of the screen.
fn badges(m: &Model) -> Vec<(String, Meaning)> {
    let mut badges: Vec<(String, Meaning)> = Vec::new();
    if m.is_demo() {
        badges.push((" DEMO ".to_owned(), Meaning::Badge));
    }
    if m.is_read_only() {
        badges.push((" READ-ONLY ".to_owned(), Meaning::Badge));
    }
    if m.desk_lost {
        badges.push((" NO ANSWER ".to_owned(), Meaning::Danger));
    }
    let old = m.old().map(|(at, _)| format!(" {} OLD ", m.age(m.now.since(at))));
    badges.extend(old.map(|text| (text, Meaning::Danger)));
    badges
}

fn view_filter(m: &Model, p: &mut Painter<'_>, area: Rect, at: u16) -> u16 {
    let Some(list) = m.screen().list() else { return at };
    if m.filtering {
        let at = p.put(at + 2, area.y, 1, "/", Meaning::Key);
        view_input(
            p,
            (at, area.y),
            20.min(area.right().saturating_sub(at)),
            &list.filter,
            true,
        );
        return at + 20;
    }
    match list.filter.value() {
        "" => at,
        text => p.put(at + 2, area.y, 24, &format!("/{}", safe(text)), Meaning::Warn),
    }
}

/// The product and the clock.
fn corner(m: &Model) -> String {
    // Only where the screen is about that cluster.
    let own = m.screen().cluster(m).filter(|_| !matches!(m.scope(), Scope::Fleet));
    let product = own.and_then(|name| m.store.card(&name)).map(|c| {
        let address = c.address.as_deref().map(|a| format!(" {a}")).unwrap_or_default();
        format!("{}{address} | ", safe(&c.product))
    });
    format!("{}{}", product.unwrap_or_default(), clock(m))
}

/// The clock with its offset; seconds only while something moves.
fn clock(m: &Model) -> String {
    let zone = m.zone_shown();
    let local = m.now.utc().with_timezone(&zone);
    let form = if m.is_live() { "%H:%M:%S" } else { "%H:%M" };
    let mode = match m.time_mode {
        TimeMode::Relative => " ago",
        TimeMode::Local | TimeMode::Utc => "",
    };
    format!("{} {}{mode}", local.format(form), time::offset(m.now, zone))
}

/// The most useful commands that can be done now, as many as fit, and always help.
///
/// Where not all fit, shorter words make room, so that what this screen is for is not pushed out.
fn view_hints(m: &Model, p: &mut Painter<'_>, area: Rect) {
    let y = area.bottom() - 1;
    let shown = hinted(m);
    let help = m.keymap.hint(Cmd::Help).to_owned();
    let room = usize::from(area.width).saturating_sub(help.width() + 3);
    let width = |c: &&'static Command, words: Words| m.keymap.hint(c.cmd).width() + label(m, c, words).width() + 3;
    let whole = |words: Words| shown.iter().map(|c| width(c, words)).sum::<usize>();
    let own = |words: Words| {
        let own = shown
            .iter()
            .filter(|c| !c.scopes.contains(&Scope::Everywhere) || c.cmd == Cmd::Enter);
        own.map(|c| width(c, words)).sum::<usize>()
    };
    let words = if whole(Words::Long) <= room || own(Words::Long) + 8 <= room {
        Words::Long
    } else {
        Words::Short
    };
    let mut at = area.x + 1;
    let mut used = 0;
    for c in &shown {
        let wide = width(c, words);
        if used + wide > room {
            continue;
        }
        used += wide;
        let pieces = [
            (m.keymap.hint(c.cmd), Meaning::Key),
            (" ", Meaning::Base),
            (label(m, c, words), Meaning::Muted),
        ];
        at = p.pieces(at, y, area.right().saturating_sub(at), &pieces) + 2;
    }
    let help = if used + 6 <= room { format!("{help} Help") } else { help };
    p.put_right(area.x, y, area.width - 1, &help, Meaning::Muted);
}

/// The commands worth a hint here and now, the most useful first.
fn hinted(m: &Model) -> Vec<&'static Command> {
    let scope = m.scope();
    let here = |c: &&Command| {
        let within = |s: &Scope| *s == scope || *s == Scope::Everywhere || (*s == Scope::List && scope.is_list());
        c.priority > 0 && c.scopes.iter().any(within)
    };
    let mut shown: Vec<&'static Command> = COMMANDS
        .iter()
        .filter(here)
        .filter(|c| c.cmd != Cmd::Accident || m.is_demo())
        // It quits on the first screen only; elsewhere Esc is shown, which does the same.
        .filter(|c| c.cmd != Cmd::QuitOrBack || m.screens.len() == 1)
        .filter(|c| !m.keymap.hint(c.cmd).is_empty() && enabled(c.cmd, m).is_ok() && !is_idle_enter(m, c))
        .collect();
    shown.sort_by_key(|c| std::cmp::Reverse(priority(c, scope)));
    shown
}

/// A command's place in the hints of a screen.
fn priority(c: &Command, scope: Scope) -> u8 {
    match (c.cmd, scope) {
        // R is there too and offers every point, the selected snapshot included.
        (Cmd::Enter, Scope::Backup) => 42,
        // Enter does the same there.
        (Cmd::Restore, Scope::Timeline | Scope::Retention | Scope::Schema) => 20,
        (Cmd::ZoomIn, Scope::Timeline) => 85,
        (Cmd::ZoomOut, Scope::Timeline) => 84,
        (Cmd::TypeTime, Scope::Timeline) => 87,
        // Who is led through steps wants to know the way back before other places.
        (Cmd::Back, Scope::Restore | Scope::Plan | Scope::Run) => 23,
        _ => c.priority,
    }
}

/// How long the words of hints are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Long,
    Short,
}

/// On the plan page Enter does something only in the field for the name.
fn is_idle_enter(m: &Model, c: &Command) -> bool {
    let typing = matches!(m.screen(), super::screens::Screen::Plan(s) if s.typing);
    c.cmd == Cmd::Enter && m.scope() == Scope::Plan && !typing
}

/// A command's label, told apart where Enter means something of its own.
fn label(m: &Model, c: &'static Command, words: Words) -> &'static str {
    let (long, short) = match (c.cmd, m.scope()) {
        (Cmd::Enter, Scope::Restore) => ("Plan", "Plan"),
        (Cmd::Enter, Scope::Plan) => ("Confirm", "Confirm"),
        (Cmd::Enter, Scope::Backup) => ("Restore from it", "From it"),
        (Cmd::Enter, Scope::Timeline) => ("Restore to it", "Restore to it"),
        (Cmd::Enter, Scope::Schema) => ("Restore it", "Restore it"),
        (Cmd::Enter, Scope::Log) => ("Restore to before it", "To before it"),
        (Cmd::BackupNow, _) => (c.label, "Back up"),
        // Beside it stands the Log page.
        (Cmd::LogMenu, _) => (c.label, "Log menu"),
        (Cmd::Undo, _) => (c.label, "Undo"),
        (Cmd::CancelJob, _) => (c.label, "Cancel"),
        _ => (c.label, c.label),
    };
    if words == Words::Long { long } else { short }
}

/// The demo's shop: orders per second, and what it says when it cannot work.
fn view_strip(m: &Model, p: &mut Painter<'_>, area: Rect, strip: &super::DemoStrip) {
    let Some(page) = m.store.page(&strip.cluster) else {
        return;
    };
    if let Some(error) = &page.traffic_error {
        let text = format!(" shop  {error}");
        let pad = " ".repeat(usize::from(area.width).saturating_sub(safe(&text).width()));
        p.put(area.x, area.y, area.width, &format!("{text}{pad}"), Meaning::Danger);
        let hint = "3 lists what happened: Enter on it restores ";
        if safe(&text).width() + 2 + hint.len() <= usize::from(area.width) {
            p.put_right(area.x, area.y, area.width, hint, Meaning::Danger);
        }
        return;
    }
    let works_here = find(Cmd::Accident).is_some_and(|c| c.scopes.contains(&m.scope()));
    let hint = if works_here { "! causes an accident " } else { "" };
    if m.accessible {
        let text = format!(" shop  works: it takes orders. {hint}");
        p.put(area.x, area.y, area.width, &text, Meaning::Muted);
        return;
    }
    let cells = 30;
    let recent: Vec<u32> = page.traffic.iter().rev().take(cells).rev().copied().collect();
    let most = recent.iter().copied().max().unwrap_or(0).max(1);
    let top = p.glyphs.levels.len() as u32 - 1;
    let level = |n: u32| {
        p.glyphs
            .levels
            .get((n * top).div_ceil(most) as usize)
            .copied()
            .unwrap_or(" ")
    };
    let line: String = recent.iter().map(|n| level(*n)).collect();
    let word = |n: u32| if n == 1 { "order" } else { "orders" };
    let now = recent.last().map(|n| format!(" {n} {}/s", word(*n)));
    let text = now.unwrap_or_default();
    let pieces = [
        (" shop  ", Meaning::Muted),
        (line.as_str(), Meaning::Ok),
        (&text, Meaning::Base),
    ];
    let at = p.pieces(area.x, area.y, area.width, &pieces);
    p.put_right(
        at + 1,
        area.y,
        area.right().saturating_sub(at + 1),
        hint,
        Meaning::Muted,
    );
}

/// Notices over the bottom right of the screen, newest lowest.
fn view_toasts(m: &Model, p: &mut Painter<'_>, area: Rect) {
    if m.accessible {
        return;
    }
    let width = area.width.saturating_sub(4).min(60);
    let mut bottom = area.bottom();
    for toast in m.toasts.iter().rev() {
        let (glyph, meaning) = messages::level(p, toast.level);
        let mut lines = wrap(&m.told(&toast.text), usize::from(width.saturating_sub(4)));
        lines.truncate(4);
        let height = lines.len() as u16;
        if bottom < area.y + height + 1 {
            return;
        }
        bottom -= height;
        let widest = lines.iter().map(|l| l.width()).max().unwrap_or(0) as u16 + 4;
        let x = area.right().saturating_sub(widest.min(width) + 1);
        p.clear(Rect::new(x, bottom, widest.min(width), height));
        for (i, line) in lines.iter().enumerate() {
            let lead = if i == 0 { format!(" {glyph} ") } else { "   ".to_owned() };
            p.put(
                x,
                bottom + i as u16,
                widest.min(width),
                &format!("{lead}{line}"),
                meaning,
            );
        }
    }
}

/// For screen readers: one line, never over other text.
fn view_last_toast(m: &Model, p: &mut Painter<'_>, area: Rect) {
    if let Some(toast) = m.toasts.last() {
        let y = area.bottom().saturating_sub(1);
        let text = m.told(&toast.text);
        let pad = " ".repeat(usize::from(area.width).saturating_sub(text.width()));
        p.put(area.x, y, area.width, &format!("{text}{pad}"), Meaning::Title);
    }
}
