//! One job: its phases with their own units, rate and end, its log, and at the end its receipt.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::model::ids::JobId;
use crate::model::job::{Job, JobState, JobStep, Verb};
use crate::model::text::command;
use crate::model::time;
use crate::service::desk::Question;
use crate::tui::event::Query;
use crate::tui::model::Model;
use crate::tui::paint::{Painter, safe, wrap};
use crate::tui::scroll::Scroll;
use crate::tui::theme::Meaning;
use crate::tui::widgets::{progress, status};

/// The screen's state.
#[derive(Clone, Debug)]
pub struct Run {
    /// The job.
    pub job: JobId,
    /// Lines scrolled down.
    pub scroll: Scroll,
    /// Whether the log's newest line stays in sight.
    pub follow: bool,
    /// Whether long lines of the log are wrapped.
    pub wrap: bool,
}

impl Run {
    /// The page of a job.
    pub fn new(job: JobId) -> Run {
        Run {
            job,
            scroll: Scroll::default(),
            follow: false,
            wrap: false,
        }
    }

    /// Scrolls; who scrolls up no longer follows.
    pub fn step(&mut self, by: isize) {
        if std::mem::take(&mut self.follow) {
            self.scroll.to_end();
        }
        self.scroll.by(by);
    }

    /// What the page needs to know.
    pub fn wants(&self, m: &Model) -> super::Wants {
        let id = self.job;
        let mut wants = vec![
            (Query::Job(id), Question::Job { id }),
            (Query::Lines(id), Question::JobLines { id, after: 0 }),
        ];
        if let Some(job) = m.store.job(id) {
            wants.extend(super::page(&job.cluster));
        }
        wants
    }

    /// Paints it.
    pub fn view(&self, m: &Model, p: &mut Painter<'_>, area: Rect) {
        let Some(job) = m.store.job(self.job) else {
            return super::messages::view_loading(m, &Query::Job(self.job), p, area);
        };
        let lines = self.lines(m, p, job, area.width);
        let first = self.scroll.first(lines.len(), area.height);
        let from = match self.follow {
            true => lines.len().saturating_sub(usize::from(area.height)),
            false => first,
        };
        for (i, (text, meaning)) in lines.iter().skip(from).take(usize::from(area.height)).enumerate() {
            let y = area.y + i as u16;
            match text.strip_prefix('\u{1}') {
                Some(title) => p.rule(area, y, title),
                None => {
                    p.put(area.x + 1, y, area.width.saturating_sub(2), text, *meaning);
                }
            }
        }
        p.cursor_at(area.x, area.y);
    }

    /// Everything there is to say, line by line; a title starts with a control character that no text can hold.
    fn lines(&self, m: &Model, p: &Painter<'_>, job: &Job, width: u16) -> Vec<(String, Meaning)> {
        let width = usize::from(width.saturating_sub(2));
        let mut out = head(m, p, job, width);
        let wrapped = |text: &str| wrap(&safe(text), width);
        if !job.error.is_empty() {
            out.push(rule("error"));
            for (i, cause) in job.error.iter().enumerate() {
                let lead = if i == 0 { "" } else { "because " };
                out.extend(
                    wrapped(&format!("{lead}{cause}"))
                        .into_iter()
                        .map(|l| (l, Meaning::Error)),
                );
            }
        }
        let receipt = super::receipt::lines(m, job);
        if !receipt.is_empty() {
            out.push(rule("receipt"));
            for (text, meaning) in receipt {
                out.extend(super::receipt::hanging(&text, width).into_iter().map(|l| (l, meaning)));
            }
        }
        out.push(rule("steps"));
        out.extend(job.steps.iter().map(|s| step_line(m, p, (s, job), width)));
        if job.steps.is_empty() {
            out.push(("No step has begun.".to_owned(), Meaning::Muted));
        }
        if let Some(line) = &job.command {
            out.push(rule("the same on the command line (y copies)"));
            out.extend(wrap(&command(line), width).into_iter().map(|l| (l, Meaning::Muted)));
        }
        // The log comes last: followed, its newest line is the last one of the page.
        out.push(rule(if self.follow {
            "log, followed (f stops)"
        } else {
            "log (f follows, w wraps)"
        }));
        for line in m.store.lines(self.job).unwrap_or_default() {
            let (_, meaning) = super::messages::level(p, line.level);
            let text = format!("{}  {}", m.stamp_seconds(line.at), m.told(&line.text));
            match self.wrap {
                true => out.extend(wrapped(&text).into_iter().map(|l| (l, meaning))),
                false => out.push((text, meaning)),
            }
        }
        out
    }
}

fn rule(title: &str) -> (String, Meaning) {
    (format!("\u{1}{title}"), Meaning::Title)
}

/// The words behind `brine`: what runs, and the state that operators know.
pub fn crumbs(m: &Model, run: &Run) -> Vec<String> {
    let Some(job) = m.store.job(run.job) else {
        return vec![format!("job {}", run.job)];
    };
    let restores = matches!(job.verb, Verb::Restore | Verb::Undo);
    let word = if restores && job.state == JobState::Running {
        "Restoring"
    } else {
        job.state.word()
    };
    vec![
        job.cluster.to_string(),
        format!("job {} {}", job.id, job.verb.word()),
        word.to_owned(),
    ]
}

fn head(m: &Model, p: &Painter<'_>, job: &Job, width: usize) -> Vec<(String, Meaning)> {
    let (state, meaning) = status::job(job.state, p.glyphs);
    let mut out = vec![(format!("{state}  {}", m.told(&job.title)), meaning)];
    let bar = progress::bar(p.glyphs, job.progress.basis_points, if width < 78 { 10 } else { 30 });
    let percent = progress::percent(job.progress.basis_points);
    match job.state {
        JobState::Queued => out.push(("Waits for its turn.".to_owned(), Meaning::Muted)),
        JobState::Running => {
            let tail = [progress::rate(job), progress::ends(m, job)];
            let tail: Vec<String> = tail.into_iter().flatten().collect();
            out.push((format!("{bar} {percent}  {}", tail.join("  ")), Meaning::Busy));
            let rates = m.trends.of_job(job.id);
            if rates.iter().filter(|r| **r > 0.0).count() > 3 && !p.glyphs.quiet {
                let line = crate::tui::widgets::spark::spark(p.glyphs, &rates, 40);
                out.push((format!("rate {line}"), Meaning::ProgressDone));
            }
            if let Some(still) = progress::stillness(m, job) {
                out.push((format!("{} {still}", p.glyphs.warn), Meaning::Warn));
            }
        }
        JobState::Cancelling => out.push((
            format!("{bar} {percent}  stopping; it says what it leaves behind when it has"),
            Meaning::Warn,
        )),
        JobState::Succeeded | JobState::Failed | JobState::Cancelled | JobState::Interrupted => {
            let took = job
                .started
                .zip(job.ended)
                .map(|(a, b)| format!(" after {}", time::took(b.since(a))));
            let ended = job
                .ended
                .map(|at| time::local(at, m.zone_of(Some(&job.cluster))))
                .unwrap_or_default();
            out.push((format!("ended {ended}{}", took.unwrap_or_default()), Meaning::Muted));
            if job.resumable && job.state != JobState::Succeeded {
                out.push(("C continues it where it stopped.".to_owned(), Meaning::Warn));
            }
        }
    }
    let last = m.store.lines(job.id).and_then(|l| l.last()).map(|l| m.told(&l.text));
    if let Some(text) = last.filter(|_| !job.state.is_over()) {
        out.push((format!("last: {text}"), Meaning::Muted));
    }
    out
}

/// `* load tables     3.1 GiB of 4.0 GiB   212 MiB/s   41 s`.
pub fn step_line(m: &Model, p: &Painter<'_>, (step, job): (&JobStep, &Job), width: usize) -> (String, Meaning) {
    let last = job.steps.last().is_some_and(|s| std::ptr::eq(s, step));
    let (glyph, meaning, word) = match (job.state, step.ended) {
        (JobState::Succeeded, _) => (p.glyphs.ok, Meaning::Ok, ""),
        // A job that ended badly ended in its last step, whether or not anybody lived to write that down.
        (JobState::Failed, _) if last => (p.glyphs.bad, Meaning::Error, "  failed here"),
        (JobState::Interrupted, _) if last => (p.glyphs.warn, Meaning::Warn, "  interrupted here"),
        (JobState::Cancelled, _) if last => (p.glyphs.off, Meaning::Muted, "  cancelled here"),
        (_, Some(_)) => (p.glyphs.ok, Meaning::Ok, ""),
        (state, None) if state.is_over() => (p.glyphs.bad, Meaning::Error, ""),
        (_, None) => (p.glyphs.busy, Meaning::Busy, ""),
    };
    let took = match step.ended.or(job.ended) {
        Some(end) => time::took(end.since(step.started).max(0)),
        None => m.took_so_far(m.now.since(step.started).max(0)),
    };
    let amounts = job.steps.iter().map(|s| progress::steps(&s.progress).width());
    // As wide as the widest amount needs, so that it does not jump about, and the names get the rest.
    let amount = match width {
        ..78 => amounts.max().unwrap_or(0),
        _ => amounts.max().unwrap_or(0).max(26),
    };
    let room = width.saturating_sub(2 + 2 + amount + 1 + 7 + word.len()).clamp(12, 44);
    let name = crate::tui::paint::pad(&safe(&step.name), room, p.glyphs.cut);
    let done = crate::tui::paint::pad(&progress::steps(&step.progress), amount, p.glyphs.cut);
    (format!("{glyph} {name}  {done} {took:>7}{word}"), meaning)
}
