//! The third pane: on wide terminals, what belongs to the selected line stands beside the list and its detail.

use ratatui::layout::Rect;

use super::Screen;
use super::run::step_line;
use crate::model::backup::BackupStatus;
use crate::model::ids::ClusterName;
use crate::model::job::Job;
use crate::model::size;
use crate::service::desk::Question;
use crate::tui::event::Query;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, fit_middle, pad, safe, wrap};
use crate::tui::screens::jobs;
use crate::tui::theme::Meaning;
use crate::tui::widgets::status;

/// From this width on there are three panes.
const FROM: u16 = 160;
/// How wide the third one is, its border included.
const WIDTH: u16 = 58;

/// A line with its meaning; a title begins a part.
enum Line {
    Title(String),
    Text(String, Meaning),
}

/// Whether there is room for it, and this screen has one.
pub fn fits(m: &Model) -> bool {
    let has = matches!(
        m.screen(),
        Screen::Fleet(_) | Screen::Backup(_) | Screen::Log(_) | Screen::Schema(_) | Screen::Jobs(_)
    );
    // A screen reader reads across: columns side by side would be mixed.
    has && m.size.0 >= FROM && !m.zoomed && !m.accessible
}

/// What the pane needs to know beside what the screen asks for itself.
pub fn wants(screen: &Screen, m: &Model) -> super::Wants {
    match screen {
        Screen::Fleet(s) => s
            .selected(m)
            .map_or_else(Vec::new, |c| vec![super::backups(&c.name, false)]),
        Screen::Jobs(list) => jobs::selected(m, list).map_or_else(Vec::new, |j| {
            vec![(Query::Lines(j.id), Question::JobLines { id: j.id, after: 0 })]
        }),
        _ => Vec::new(),
    }
}

/// Paints it, where there is room; returns what is left for the screen.
pub fn view(m: &Model, p: &mut Painter<'_>, area: Rect) -> Rect {
    if !fits(m) || area.width < FROM {
        return area;
    }
    let x = area.right() - WIDTH;
    for y in area.y..area.bottom() {
        p.put(x, y, 1, p.glyphs.side, Meaning::Border);
    }
    let width = WIDTH - 3;
    let lines = match m.screen() {
        Screen::Fleet(s) => s.selected(m).map(|c| of_cluster(m, p, &c.name)),
        Screen::Backup(s) => Some(of_backup(m, p, s)),
        Screen::Log(s) => Some(jobs_of(m, p, &s.cluster, 20)),
        Screen::Schema(s) => Some(of_table(m, s)),
        Screen::Jobs(list) => jobs::selected(m, list).map(|j| of_job(m, p, m.store.fresher(j))),
        _ => None,
    };
    let lines = lines.unwrap_or_default();
    for (i, line) in lines.iter().enumerate().take(usize::from(area.height)) {
        let y = area.y + i as u16;
        match line {
            Line::Title(text) => p.put(x + 2, y, width, text, Meaning::Title),
            Line::Text(text, meaning) => p.put(x + 2, y, width, text, *meaning),
        };
    }
    Rect {
        width: area.width - WIDTH,
        ..area
    }
}

/// A cluster's newest backups and jobs.
fn of_cluster(m: &Model, p: &Painter<'_>, cluster: &ClusterName) -> Vec<Line> {
    let mut out = vec![Line::Title("newest backups".to_owned())];
    match m.store.backups(cluster, false) {
        None => match m.store.error(&Query::Backups(cluster.clone(), false)) {
            Some(error) => {
                let text = wrap(&m.why(error), usize::from(WIDTH - 3));
                out.extend(text.into_iter().map(|l| Line::Text(l, Meaning::Error)));
            }
            None => out.push(Line::Text("Loading...".to_owned(), Meaning::Muted)),
        },
        Some([]) => out.push(Line::Text("none: B takes the first".to_owned(), Meaning::Warn)),
        Some(all) => {
            for b in all.iter().take(12) {
                let (word, meaning) = status::backup(&b.status, p.glyphs);
                let bytes = match b.status {
                    BackupStatus::Complete => size::iec(b.summary.stored_bytes),
                    _ => "-".to_owned(),
                };
                let stamp = m.stamp(b.summary.commit.at);
                let text = format!("{stamp:<13} {:<8} {word:<11} {bytes:>9}", b.summary.kind.word());
                out.push(Line::Text(text, meaning));
            }
        }
    }
    out.push(Line::Text(String::new(), Meaning::Base));
    out.extend(jobs_of(m, p, cluster, 8));
    out
}

/// The latest jobs of a cluster.
fn jobs_of(m: &Model, p: &Painter<'_>, cluster: &ClusterName, most: usize) -> Vec<Line> {
    let mut out = vec![Line::Title("latest jobs".to_owned())];
    let all = m.store.jobs().unwrap_or_default().iter();
    let own = all.filter(|j| j.cluster == *cluster).map(|j| m.store.fresher(j));
    for j in own.take(most) {
        let (word, meaning) = status::job(j.state, p.glyphs);
        let started = m.stamp(j.started.unwrap_or(j.created));
        out.push(Line::Text(
            format!("{:>5}  {:<9} {word:<14} {started}", j.id, j.verb.word()),
            meaning,
        ));
    }
    if out.len() == 1 {
        out.push(Line::Text("none".to_owned(), Meaning::Muted));
    }
    out
}

/// The tables of the selected backup, the largest first, and its whole note.
fn of_backup(m: &Model, p: &Painter<'_>, s: &super::backup::Backup) -> Vec<Line> {
    let Some(entry) = s.selected(m) else {
        return jobs_of(m, p, &s.cluster, 20);
    };
    let mut out = Vec::new();
    if let Some(note) = &entry.summary.note {
        out.push(Line::Title("note".to_owned()));
        let lines = wrap(&safe(note), usize::from(WIDTH - 3));
        out.extend(lines.into_iter().take(4).map(|l| Line::Text(l, Meaning::Base)));
        out.push(Line::Text(String::new(), Meaning::Base));
    }
    out.push(Line::Title("its tables, the largest first".to_owned()));
    let known = m.store.tables(&s.cluster, &entry.summary.id);
    let mut tables: Vec<_> = known.unwrap_or_default().iter().collect();
    tables.sort_by_key(|t| std::cmp::Reverse(t.sum.bytes));
    if known.is_none() {
        let complete = entry.status == BackupStatus::Complete;
        let text = if complete { "Loading..." } else { "not known" };
        out.push(Line::Text(text.to_owned(), Meaning::Muted));
    }
    for t in tables {
        let name = pad(
            &fit_middle(&safe(&t.name.to_string()), 30, p.glyphs.cut),
            30,
            p.glyphs.cut,
        );
        let text = format!("{name} {:>12} {:>9}", status::count(t.sum.rows), size::iec(t.sum.bytes));
        out.push(Line::Text(text, Meaning::Base));
    }
    out
}

/// What happened to the selected table, as far as it is worth a look.
fn of_table(m: &Model, s: &super::schema::Schema) -> Vec<Line> {
    let Some(table) = s.selected(m) else { return Vec::new() };
    let mut out = vec![
        Line::Title(table.name.to_string()),
        Line::Text(
            format!("{} in the backup", status::plural(table.sum.rows, "row")),
            Meaning::Base,
        ),
        Line::Text(
            format!(
                "{} of rows, {} stored",
                size::iec(table.sum.bytes),
                size::iec(table.stored_bytes)
            ),
            Meaning::Base,
        ),
        Line::Text(String::new(), Meaning::Base),
        Line::Title("changes worth a look".to_owned()),
    ];
    let all = m.store.changes(&s.cluster, false).unwrap_or_default().iter();
    let own = all.filter(|c| c.table.as_ref() == Some(&table.name));
    let before = out.len();
    out.extend(own.take(20).map(|c| {
        let rows = match c.rows {
            0 => String::new(),
            n => status::plural(n, "row"),
        };
        let text = format!("{:<16} {}  {rows}", m.stamp_seconds(c.at.at), super::log::what(c));
        Line::Text(text, Meaning::Warn)
    }));
    if out.len() == before {
        out.push(Line::Text("none in the archived log".to_owned(), Meaning::Muted));
    }
    out
}

/// A job's steps and its last words.
fn of_job(m: &Model, p: &Painter<'_>, job: &Job) -> Vec<Line> {
    let width = usize::from(WIDTH - 3);
    let mut out = vec![Line::Title(format!("job {}: steps", job.id))];
    out.extend(job.steps.iter().map(|s| {
        let (text, meaning) = step_line(m, p, (s, job), width);
        Line::Text(text, meaning)
    }));
    if job.steps.is_empty() {
        out.push(Line::Text("No step has begun.".to_owned(), Meaning::Muted));
    }
    out.push(Line::Text(String::new(), Meaning::Base));
    out.push(Line::Title("its last words".to_owned()));
    let lines = m.store.lines(job.id).unwrap_or_default();
    for line in lines.iter().rev().take(8).rev() {
        let (_, meaning) = super::messages::level(p, line.level);
        let text = wrap(&m.told(&line.text), width);
        out.extend(text.into_iter().map(|l| Line::Text(l, meaning)));
    }
    out
}
