//! The overview of a cluster: what it is, what is stored of it, and how its numbers went.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use crate::cluster::{ClusterFacts, ClusterState};
use crate::model::backup::{BackupEntry, BackupStatus, BackupType};
use crate::model::ids::ClusterName;
use crate::model::log::ChangeKind;
use crate::model::size;
use crate::model::time;
use crate::service::desk::ClusterPage;
use crate::tui::event::Query;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, fit_middle, pad, safe, wrap};
use crate::tui::scroll::Scroll;
use crate::tui::theme::Meaning;
use crate::tui::widgets::spark::{share, spark};
use crate::tui::widgets::status::{self, plural};

/// The screen's state.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The cluster.
    pub cluster: ClusterName,
    /// Lines scrolled down.
    pub scroll: Scroll,
}

/// A line: a rule with its title, or pieces.
enum Line {
    Rule(String),
    Pieces(Vec<(String, Meaning)>),
}

/// How wide the labels of facts are.
const LABEL: usize = 11;

fn fact(label: &str, text: impl Into<String>, meaning: Meaning) -> Line {
    Line::Pieces(vec![
        (format!("{label:<LABEL$}"), Meaning::Muted),
        (text.into(), meaning),
    ])
}

/// A fact on as many lines as it needs.
fn hanging(line: Line, room: usize) -> Vec<Line> {
    match &line {
        Line::Pieces(pieces) => match pieces.as_slice() {
            [(label, _), (text, meaning)] => {
                let lines = wrap(&safe(text), room).into_iter().enumerate();
                let label = |i| if i == 0 { label.trim_end() } else { "" };
                lines.map(|(i, text)| fact(label(i), text, *meaning)).collect()
            }
            _ => vec![line],
        },
        Line::Rule(_) => vec![line],
    }
}

impl Overview {
    /// The overview of a cluster.
    pub fn new(cluster: ClusterName) -> Overview {
        Overview {
            cluster,
            scroll: Scroll::default(),
        }
    }

    /// What the page needs to know.
    pub fn wants(&self, m: &Model) -> super::Wants {
        let mut wants = super::page_and_backups(&self.cluster, false);
        // Reading every transaction is work: once is enough for the volumes by table.
        if m.store.changes(&self.cluster, true).is_none() {
            wants.push(super::log::ask_changes(&self.cluster, true));
        }
        wants
    }

    /// Paints it.
    pub fn view(&self, m: &Model, p: &mut Painter<'_>, area: Rect) {
        let Some(page) = m.store.page(&self.cluster) else {
            return super::messages::view_loading(m, &Query::Cluster(self.cluster.clone()), p, area);
        };
        let lines = self.lines(m, p, page, area.width);
        let from = self.scroll.first(lines.len(), area.height);
        for (i, line) in lines.iter().skip(from).take(usize::from(area.height)).enumerate() {
            let y = area.y + i as u16;
            match line {
                Line::Rule(title) => p.rule(area, y, title),
                Line::Pieces(pieces) => {
                    let pieces: Vec<(&str, Meaning)> = pieces.iter().map(|(t, m)| (t.as_str(), *m)).collect();
                    p.pieces(area.x + 1, y, area.width.saturating_sub(2), &pieces);
                }
            }
        }
        p.cursor_at(area.x, area.y);
    }

    fn lines(&self, m: &Model, p: &Painter<'_>, page: &ClusterPage, width: u16) -> Vec<Line> {
        let cells = usize::from(width.saturating_sub(40)).clamp(10, 80);
        let room = usize::from(width.saturating_sub(2 + LABEL as u16));
        let facts = facts(m, p, page).into_iter();
        let mut out: Vec<Line> = facts.flat_map(|line| hanging(line, room)).collect();
        stored(p, page, cells, &mut out);
        trends(m, p, &self.cluster, usize::from(width.saturating_sub(3)), &mut out);
        durations(m, p, &self.cluster, usize::from(width.saturating_sub(3)), &mut out);
        volumes(m, p, &self.cluster, cells, &mut out);
        out
    }
}

fn facts(m: &Model, p: &Painter<'_>, page: &ClusterPage) -> Vec<Line> {
    let card = &page.card;
    let (health, meaning) = status::health(m, card, p.glyphs);
    let state = match &card.state {
        ClusterState::Available => "available".to_owned(),
        ClusterState::Closed { .. } => "closed: O opens it".to_owned(),
        ClusterState::Restoring { .. } => "being restored".to_owned(),
        ClusterState::Unreachable { error } => format!("cannot be reached: {error}"),
    };
    let address = card.address.as_deref().map(|a| format!(" at {a}")).unwrap_or_default();
    let guard = if card.protected { ", protected" } else { "" };
    let mut out = vec![
        fact("Health", health, meaning),
        fact(
            "Cluster",
            format!("{}{address}{guard}, {state}", card.product),
            Meaning::Base,
        ),
    ];
    let data = |f: &ClusterFacts| {
        format!(
            "{}, about {}, {}",
            plural(f.tables, "table"),
            plural(f.rows_estimate, "row"),
            size::iec(f.bytes_estimate)
        )
    };
    match (&page.facts, m.trends.last_facts(&card.name)) {
        (Some(f), _) => {
            let text = format!("{}; {} now", data(f), plural(u64::from(f.sessions), "session"));
            out.push(fact("Data", text, Meaning::Base));
        }
        (None, Some((at, f))) => {
            let text = format!("{} not readable now; {}: {}", p.glyphs.unknown, m.ago(*at), data(f));
            out.push(fact("Data", text, Meaning::Unknown));
        }
        (None, None) => {
            let text = format!("{} not readable now, and not read before", p.glyphs.unknown);
            out.push(fact("Data", text, Meaning::Unknown));
        }
    }
    let window = card.window.bounds().map_or_else(
        || ("nothing yet: B takes the first backup".to_owned(), Meaning::Warn),
        |(a, b)| {
            let holes = status::holes(&card.window.holes());
            let (from, to) = (m.stamp_seconds(a.at), m.stamp_seconds(b.at));
            let text = format!("{from} -> {to} ({}), {holes}", m.ago(b.at));
            (text, Meaning::Base)
        },
    );
    out.push(fact("Restorable", window.0, window.1));
    // Listed are those that restores began; the first one began with the archive.
    if let Some(last) = page.incarnations.last().filter(|last| last.id.0 > 1) {
        let text = format!(
            "{}, the present one since {}",
            plural(u64::from(last.id.0), "history"),
            m.stamp(last.began.at)
        );
        out.push(fact("Histories", text, Meaning::Base));
    }
    if let Some(undo) = &page.undo {
        let text = format!(
            "u goes back to {}, until {}",
            m.stamp_seconds(undo.to.at),
            m.stamp(undo.until)
        );
        out.push(fact("Undo", text, Meaning::Warn));
    }
    out
}

/// What is stored, against what the cluster holds.
fn stored(p: &Painter<'_>, page: &ClusterPage, cells: usize, out: &mut Vec<Line>) {
    let log = page.card.log.stored_bytes;
    let backups = page.card.stored_bytes.saturating_sub(log);
    let data = page.facts.as_ref().map_or(0, |f| f.bytes_estimate);
    let ratio = if data > 0 && page.card.stored_bytes > 0 {
        format!(": {:.1} times the data", page.card.stored_bytes as f64 / data as f64)
    } else {
        String::new()
    };
    out.push(Line::Rule(format!(
        "stored {}{ratio}",
        size::iec(page.card.stored_bytes)
    )));
    let most = data.max(backups).max(log);
    for (label, bytes, meaning) in [
        ("data", data, Meaning::Base),
        ("backups", backups, Meaning::ProgressDone),
        ("log", log, Meaning::ProgressDone),
    ] {
        out.push(Line::Pieces(vec![
            (format!("{label:<11}"), Meaning::Muted),
            (share(p.glyphs, bytes, most, cells), meaning),
            (format!(" {:>10}", size::iec(bytes)), Meaning::Base),
        ]));
    }
}

/// The log backup since the console was started.
fn trends(m: &Model, p: &Painter<'_>, cluster: &ClusterName, cells: usize, out: &mut Vec<Line>) {
    let samples = m.trends.of_cluster(cluster);
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return;
    };
    let since = m.age(last.at.since(first.at));
    let gaps: Vec<f64> = samples.iter().map(|s| s.rpo_ms).collect();
    let rates: Vec<f64> = samples.iter().map(|s| s.bytes_per_second).collect();
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let now = m.age(last.rpo_ms as i64);
    let title = if m.accessible {
        format!("RPO gap: {now} now, at most {}", m.age(most(&gaps) as i64))
    } else if samples.len() > 1 {
        format!("RPO gap: {now} now, at most {} in {since}", m.age(most(&gaps) as i64))
    } else {
        format!("RPO gap: {now} now; how it goes is drawn from now on")
    };
    out.push(Line::Rule(title));
    out.push(Line::Pieces(vec![(spark(p.glyphs, &gaps, cells), Meaning::Warn)]));
    let title = format!(
        "log archived: {}/s now, at most {}/s",
        size::iec(last.bytes_per_second as u64),
        size::iec(most(&rates) as u64)
    );
    out.push(Line::Rule(title));
    out.push(Line::Pieces(vec![(
        spark(p.glyphs, &rates, cells),
        Meaning::ProgressDone,
    )]));
}

/// How long scheduled backups took, the newest at the right.
fn durations(m: &Model, p: &Painter<'_>, cluster: &ClusterName, cells: usize, out: &mut Vec<Line>) {
    let all = m.store.backups(cluster, false).unwrap_or_default();
    let counts = |b: &&BackupEntry| b.status == BackupStatus::Complete && b.summary.kind == BackupType::Auto;
    let took = |b: &BackupEntry| b.summary.finished.since(b.summary.started).max(0);
    let mut values: Vec<f64> = all.iter().filter(counts).take(cells).map(|b| took(b) as f64).collect();
    values.reverse();
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return;
    };
    let title = format!(
        "scheduled backups took: {} last, {} {} ago",
        time::took(*last as i64),
        time::took(*first as i64),
        plural(values.len().saturating_sub(1) as u64, "run")
    );
    out.push(Line::Rule(title));
    out.push(Line::Pieces(vec![(
        spark(p.glyphs, &values, cells),
        Meaning::ProgressDone,
    )]));
}

/// Which tables fill the log.
fn volumes(m: &Model, p: &Painter<'_>, cluster: &ClusterName, cells: usize, out: &mut Vec<Line>) {
    let changes = m.store.changes(cluster, true).unwrap_or_default();
    let mut tables: BTreeMap<String, u64> = BTreeMap::new();
    for c in changes.iter().filter(|c| matches!(c.kind, ChangeKind::Transaction)) {
        if let Some(table) = &c.table {
            *tables.entry(table.to_string()).or_default() += c.bytes;
        }
    }
    let mut sorted: Vec<(String, u64)> = tables.into_iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let Some(most) = sorted.first().map(|(_, n)| *n) else {
        return;
    };
    out.push(Line::Rule(format!(
        "log by table, of the last {}",
        plural(changes.len() as u64, "change")
    )));
    for (table, bytes) in sorted.iter().take(8) {
        let name = pad(&fit_middle(&safe(table), 24, p.glyphs.cut), 25, p.glyphs.cut);
        out.push(Line::Pieces(vec![
            (name, Meaning::Title),
            (
                share(p.glyphs, *bytes, most, cells.saturating_sub(14).max(5)),
                Meaning::ProgressDone,
            ),
            (format!(" {:>10}", size::iec(*bytes)), Meaning::Base),
        ]));
    }
}
