//! Jobs: running, queued and ended ones, newest first; the selected one's steps and last words below.

use ratatui::layout::Rect;

use crate::model::job::{Job, JobState};
use crate::model::time;
use crate::service::desk::Question;
use crate::tui::event::Query;
use crate::tui::filter::{Col, line};
use crate::tui::list::List;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, safe, wrap};
use crate::tui::theme::Meaning;
use crate::tui::view::ViewCache;
use crate::tui::widgets::table::{self, left, right};
use crate::tui::widgets::{progress, status};

/// The lines shown.
pub fn rows<'a>(m: &'a Model, list: &List) -> Vec<&'a Job> {
    let all = m.store.jobs().unwrap_or_default().iter();
    let fresh = all.map(|j| m.store.fresher(j));
    let (words, says) = (list.words(), |j: &Job| {
        line(&[
            (Col::Id, &j.id.to_string()),
            (Col::Verb, j.verb.word()),
            (Col::Cluster, j.cluster.as_str()),
            (Col::Status, j.state.word()),
            (Col::What, &j.title),
        ])
    });
    fresh
        .filter(|j| words.as_ref().is_none_or(|w| w.passes(&says(j))))
        .collect()
}

/// All jobs worth showing, as a question.
pub fn ask() -> (Query, Question) {
    let question = Question::Jobs {
        cluster: None,
        verb: None,
        limit: 200,
    };
    (Query::Jobs, question)
}

/// The selected job.
pub fn selected<'a>(m: &'a Model, list: &List) -> Option<&'a Job> {
    let id = list.selected()?;
    m.store.jobs()?.iter().find(|j| j.id.to_string() == id)
}

/// Paints it.
pub fn view(m: &Model, list: &List, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
    let rows = rows(m, list);
    if rows.is_empty() {
        let text = match m.store.jobs() {
            None => return super::messages::view_loading(m, &Query::Jobs, p, area),
            Some([]) => "No jobs yet. Backups, restores and verifications are listed here.",
            Some(_) => "No job matches the filter. Esc clears it.",
        };
        p.put(
            area.x + 2,
            area.y + 1,
            area.width.saturating_sub(2),
            text,
            Meaning::Base,
        );
        return;
    }
    let longest = rows.iter().map(|j| j.cluster.as_str().len()).max().unwrap_or(0);
    let cluster = (longest as u16).clamp(7, 14);
    let state = 18 + cluster + 1;
    let columns = [
        right("JOB", 1, 5),
        left("VERB", 8, 10),
        left("CLUSTER", 18, cluster),
        left("STATE", state, 13),
        left("STARTED", state + 14, 13),
        right("TOOK", state + 27, 7),
        left("WHAT", state + 36, area.width.saturating_sub(state + 37)),
    ];
    table::header(p, area, area.y, &columns);
    let detail = m.below(if area.height >= 14 { 6 } else { 0 });
    let body = Rect::new(area.x, area.y + 1, area.width, area.height.saturating_sub(1 + detail));
    let selected = list.index().min(rows.len() - 1);
    let offset = table::rows(
        p,
        body,
        (rows.len(), Some(selected)),
        cache.offset("jobs"),
        |p, i, y| {
            if let Some(job) = rows.get(i) {
                let texts = cells(m, p, job);
                for (column, (text, meaning)) in columns.iter().zip(&texts) {
                    table::cell(p, body, y, *column, (text, *meaning));
                }
            }
        },
    );
    cache.set_offset("jobs", offset);
    if let (Some(job), true) = (rows.get(selected), detail > 0) {
        let below = Rect::new(area.x, area.bottom() - detail, area.width, detail);
        view_detail(m, p, below, job);
    }
}

fn cells(m: &Model, p: &Painter<'_>, job: &Job) -> [(String, Meaning); 7] {
    let (mut state, meaning) = status::job(job.state, p.glyphs);
    if job.state == JobState::Running {
        state = format!(
            "{} {}",
            p.glyphs.busy,
            progress::percent(job.progress.basis_points).trim()
        );
    }
    let started = job.started.unwrap_or(job.created);
    let took = job.started.map(|s| match job.ended {
        Some(end) => time::took(end.since(s).max(0)),
        None => m.took_so_far(m.now.since(s).max(0)),
    });
    [
        (job.id.to_string(), Meaning::Title),
        (job.verb.word().to_owned(), Meaning::Base),
        (job.cluster.to_string(), Meaning::Base),
        (state, meaning),
        (m.stamp(started), Meaning::Base),
        (took.unwrap_or_default(), Meaning::Base),
        (m.told(&job.title), Meaning::Muted),
    ]
}

fn view_detail(m: &Model, p: &mut Painter<'_>, area: Rect, job: &Job) {
    p.rule(area, area.y, &format!("job {}: {}", job.id, m.told(&job.title)));
    let width = area.width.saturating_sub(2);
    let mut lines: Vec<(String, Meaning)> = Vec::new();
    if !job.state.is_over() {
        lines.push((progress::ticker(m, job, p.glyphs, usize::from(width)), Meaning::Busy));
    }
    if !job.error.is_empty() {
        let text = wrap(&safe(&job.error.join(": ")), usize::from(width));
        lines.extend(text.into_iter().map(|l| (l, Meaning::Error)));
    }
    if job.resumable && job.state.is_over() {
        lines.push(("C continues it where it stopped.".to_owned(), Meaning::Warn));
    }
    let steps: Vec<&str> = job.steps.iter().map(|s| s.name.as_str()).collect();
    let asked = format!("asked by {}; steps: {}", job.asked_by, steps.join(", "));
    let asked = wrap(&safe(&asked), usize::from(width));
    lines.extend(asked.into_iter().take(2).map(|line| (line, Meaning::Muted)));
    lines.push(("Enter shows steps, log and receipt.".to_owned(), Meaning::Muted));
    for (i, (text, meaning)) in lines.iter().enumerate().take(usize::from(area.height - 1)) {
        p.put(area.x + 1, area.y + 1 + i as u16, width, text, *meaning);
    }
}
