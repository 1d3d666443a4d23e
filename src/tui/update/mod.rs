//! What an event does to the model. Pure: effects come out as values, and time comes in with the event.

use std::collections::BTreeSet;

use crossterm::event::KeyEventKind;

use super::Exit;
use super::event::{Effect, Event, Query, Ticket, What};
use super::keys::Key;
use super::list::List;
use super::model::{Model, Then};
use super::popups::Popup;
use super::screens::Screen;
use super::screens::run::Run;
use crate::model::clock::Millis;
use crate::model::ids::{ClusterName, JobId};
use crate::model::job::{JobState, LineLevel};
use crate::model::time;
use crate::service::desk::{Answer, Question, Refusal};

pub mod copy;
pub mod enabled;
pub mod go;
pub mod keys;
pub mod run;

/// Running jobs are asked about this often.
const SAMPLE: i64 = 250;
/// Everything shown is asked for again at most this often because something changed.
const SETTLE: i64 = 250;
/// The order of clusters stays while keys were pressed within this time.
const FREEZE: i64 = 3 * Millis::SECOND;
/// An archive's lock may be taken over a minute after its last heartbeat, and the last one may have been 20 s old.
const LOCK_HOLDS: i64 = 40 * Millis::SECOND;

/// Takes an event.
pub fn update(m: &mut Model, event: Event) -> Vec<Effect> {
    (m.now, m.store.now) = (event.at, event.at);
    let mut effects = match event.what {
        What::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        What::Key(key) => {
            m.last_key = m.now;
            // Errors go once somebody has been there to see them.
            m.toasts
                .retain(|t| t.until.is_some() || m.popups.is_empty() && key.code != crossterm::event::KeyCode::Esc);
            let key = Key::from(key);
            let tips = std::mem::take(&mut m.tips).then_some(Effect::TipsSeen);
            let mut effects = match super::tour::takes(m, key) {
                true => Vec::new(),
                false => keys::on_key(m, key),
            };
            effects.extend(tips);
            effects
        }
        What::Focus(focused) => {
            m.focused = focused;
            Vec::new()
        }
        What::Ground(light) => ground(m, light),
        What::Click(by) => go::click(m, by),
        What::Wheel(by) => go::wheel(m, by),
        What::Paste(text) => keys::on_paste(m, &text),
        What::Resize(width, height) => {
            m.size = (width, height);
            Vec::new()
        }
        What::Answered(ticket, result) => answered(m, &ticket, *result),
        What::Pulse(result) => pulse(m, result),
        What::Deadline => Vec::new(),
        What::Continued => vec![Effect::Retake],
        What::Awake(stopped) => awake(m, stopped),
        What::Terminate => vec![Effect::Quit(Exit::Quit)],
        What::Hangup => vec![Effect::Quit(Exit::TerminalLost)],
        What::Panicked(text) => {
            m.toast(LineLevel::Error, format!("A part of brine failed: {text}"));
            Vec::new()
        }
        What::NotOpened(refusal) => vec![Effect::Fail(refusal)],
    };
    effects.extend(tick(m));
    effects.extend(super::tour::tick(m));
    settle(m);
    effects.extend(ensure(m));
    effects.extend(super::screens::timeline::settle(m));
    m.preparing = matches!(m.screen(), Screen::Backup(s) if s.prepare(m));
    if !m.bell {
        effects.retain(|e| *e != Effect::Bell);
    }
    effects
}

/// The operator has continued the process: what became of the work that stood still with it.
fn awake(m: &mut Model, stopped: i64) -> Vec<Effect> {
    if m.is_busy() {
        let took = time::took(stopped);
        match stopped < LOCK_HOLDS {
            true => m.toast(
                LineLevel::Info,
                format!("brine stood still for {took}; its jobs and log backups go on."),
            ),
            false => m.toast(
                LineLevel::Warning,
                format!(
                    "brine stood still for {took}, longer than its locks hold. Its jobs and log backups go on, and each \
                     looks before it writes whether another process has taken over its lock."
                ),
            ),
        }
    }
    refresh(m)
}

/// The terminal's ground is known: on a light one, the theme for light ones. Only asked where no theme was chosen.
fn ground(m: &mut Model, light: bool) -> Vec<Effect> {
    let choosing = m.popups.iter().any(|p| matches!(p, Popup::Themes(_)));
    if !light || choosing || m.theme.as_deref() != Some("brine-dark") {
        return Vec::new();
    }
    m.theme = Some("brine-light".to_owned());
    vec![Effect::Theme("brine-light".to_owned())]
}

/// What time alone does: notices go, running jobs and stale data are asked for.
fn tick(m: &mut Model) -> Vec<Effect> {
    let now = m.now;
    m.toasts.retain(|t| t.until.is_none_or(|until| until > now));
    let mut effects = Vec::new();
    if m.refresh_due.is_some_and(|due| due <= now) || stale_at(m).is_some_and(|at| at <= now) {
        effects.extend(refresh(m));
    }
    let running: Vec<_> = m.store.running().iter().map(|j| j.id).take(3).collect();
    if !running.is_empty() && now.since(m.sampled) >= sample(m) {
        m.sampled = now;
        let jobs = running.into_iter().map(|id| (Query::Job(id), Question::Job { id }));
        let shown = match m.screen() {
            Screen::Run(run) => run.wants(m),
            _ => Vec::new(),
        };
        for (query, question) in jobs.chain(shown) {
            // A sample that is late is not asked for again.
            if !m.store.is_waiting(&query) {
                effects.extend(m.store.ask(query, question));
            }
        }
    }
    effects
}

/// How often running jobs are asked about.
fn sample(m: &Model) -> i64 {
    if m.accessible { 5 * Millis::SECOND } else { SAMPLE }
}

/// When what is shown is too old without anything having been said.
fn stale_at(m: &Model) -> Option<Millis> {
    let period = if m.demo.is_some() {
        Millis::SECOND
    } else {
        5 * Millis::SECOND
    };
    m.is_live().then(|| m.refreshed.plus(period))
}

/// When something will happen without an event; `None` never comes, because ages change by the minute.
pub fn next_deadline(m: &Model) -> Option<Millis> {
    let toast = m.toasts.iter().filter_map(|t| t.until).min();
    let running = !m.store.running().is_empty();
    let sample = running.then(|| m.sampled.plus(sample(m)));
    let unit = if m.is_live() { Millis::SECOND } else { Millis::MINUTE };
    let next_age = Millis((m.now.0.div_euclid(unit) + 1) * unit);
    let quiet = match m.popups.last() {
        Some(Popup::Menu(menu)) => menu.quiet_until.filter(|until| m.now < *until),
        _ => None,
    };
    let wants = m.screen().wants(m);
    let awaited = wants.iter().filter_map(|(query, _)| m.store.slot(query)?.late_at());
    let late = awaited.filter(|at| *at > m.now).min();
    let tour = m.tour.as_ref().and_then(|t| t.deadline(m.now));
    let preparing = m.preparing.then_some(m.now);
    [
        m.refresh_due,
        preparing,
        toast,
        sample,
        stale_at(m),
        late,
        tour,
        quiet,
        Some(next_age),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// Asks for everything that is shown.
pub fn refresh(m: &mut Model) -> Vec<Effect> {
    m.refresh_due = None;
    m.refreshed = m.now;
    let wants = wants(m);
    wants
        .into_iter()
        .filter_map(|(query, question)| m.store.ask(query, question))
        .collect()
}

/// What the screen and its frame need to know.
fn wants(m: &Model) -> super::screens::Wants {
    let mut wants = vec![
        (Query::Hello, Question::Hello),
        super::screens::jobs::ask(),
        (Query::Fleet, Question::Fleet),
    ];
    // A running job's times are shown in its cluster's zone, which its page knows.
    let worked_on = m.store.running().first().map(|j| j.cluster.clone());
    if let Some(cluster) = worked_on.filter(|c| m.store.page(c).is_none()) {
        wants.extend(super::screens::page(&cluster));
    }
    if let Some(strip) = &m.demo {
        wants.extend(super::screens::page(&strip.cluster));
    }
    wants.extend(m.screen().wants(m));
    let mut seen = BTreeSet::new();
    wants.retain(|(query, _)| seen.insert(query.clone()));
    wants
}

/// Asks for what is shown and was never asked for.
fn ensure(m: &mut Model) -> Vec<Effect> {
    let missing: Vec<_> = wants(m)
        .into_iter()
        .filter(|(query, _)| m.store.slot(query).is_none())
        .collect();
    missing
        .into_iter()
        .filter_map(|(query, question)| m.store.ask(query, question))
        .collect()
}

/// Keeps selections, focus and the order of clusters valid.
pub fn settle(m: &mut Model) {
    freeze(m);
    let place = m.screen().list().and_then(|list| list.find(&m.screen().ids(m)));
    if let Some(list) = m.list_mut() {
        list.put(place);
    }
    let (others, whiches) = match m.screen() {
        Screen::Restore(s) => (s.others(m), s.whiches(m)),
        _ => (Vec::new(), Vec::new()),
    };
    if let Screen::Restore(s) = m.screen_mut() {
        s.reconcile(&others, &whiches);
    }
    let offer = match (m.screen(), m.store.plan()) {
        (Screen::Plan(s), Some(plan)) => !s.offered && s.needs_name(m, plan) && plan.blocked().is_none(),
        _ => false,
    };
    if let (Screen::Plan(s), true) = (m.screen_mut(), offer) {
        (s.offered, s.typing) = (true, true);
    }
}

/// Worst first, but nothing moves under a hand that is pressing keys.
fn freeze(m: &mut Model) {
    let order: Vec<_> = m
        .store
        .fleet()
        .unwrap_or_default()
        .iter()
        .map(|c| c.name.clone())
        .collect();
    let pressing = m.now.since(m.last_key) < FREEZE;
    let Some(Screen::Fleet(fleet)) = m.screens.first_mut() else {
        return;
    };
    if pressing && !fleet.frozen.is_empty() {
        let known: BTreeSet<ClusterName> = fleet.frozen.iter().cloned().collect();
        fleet.frozen.extend(order.into_iter().filter(|n| !known.contains(n)));
    } else {
        fleet.frozen = order;
    }
}

fn pulse(m: &mut Model, result: Result<u64, Refusal>) -> Vec<Effect> {
    match result {
        Ok(_) => {
            if std::mem::take(&mut m.desk_lost) {
                m.toast(LineLevel::Info, "The process that answers is back.");
            }
            // A screen reader begins anew with every change: there are few.
            let apart = if m.accessible { 5 * Millis::SECOND } else { SETTLE };
            let earliest = m.refreshed.plus(apart).max(m.now);
            m.refresh_due = Some(m.refresh_due.map_or(earliest, |due| due.min(earliest)));
        }
        Err(refusal) if !m.desk_lost => {
            m.desk_lost = true;
            m.refuse("Nobody answers; what is shown may be old", &refusal);
        }
        Err(_) => {}
    }
    Vec::new()
}

fn answered(m: &mut Model, ticket: &Ticket, result: Result<Answer, Refusal>) -> Vec<Effect> {
    if let Query::Act(n) = ticket.query {
        return acted(m, n, result);
    }
    let now = m.now;
    let running: Vec<_> = m.store.running().iter().map(|j| j.id).collect();
    let taken = m.store.take(ticket, result, now);
    if taken {
        remember(m, &ticket.query);
    }
    if taken && m.store.take_again(&ticket.query) {
        let due = now.plus(SETTLE);
        m.refresh_due = Some(m.refresh_due.map_or(due, |d| d.min(due)));
    }
    running.into_iter().flat_map(|id| ended(m, id)).collect()
}

/// Keeps what only the passing of time shows.
fn remember(m: &mut Model, query: &Query) {
    match query {
        Query::Fleet => {
            for card in m.store.fleet().unwrap_or_default() {
                m.trends.sample(card, m.now);
            }
        }
        Query::Cluster(cluster) => {
            if let Some(facts) = m.store.page(cluster).and_then(|p| p.facts.as_ref()) {
                m.trends.facts(cluster, facts, m.now);
            }
        }
        Query::Job(id) => {
            if let Some(job) = m.store.job_alone(*id) {
                m.trends.rate(job);
            }
        }
        _ => {}
    }
}

/// Says that a job has ended, unless it is being looked at; rings when it did not end well or nobody looks.
fn ended(m: &mut Model, id: JobId) -> Vec<Effect> {
    let Some(job) = m.store.job(id).filter(|j| j.state.is_over()) else {
        return Vec::new();
    };
    let good = job.state == JobState::Succeeded;
    let why = job.error.first().map(|e| format!(": {e}")).unwrap_or_default();
    let text = format!(
        "job {id} {} {}: {}{why}",
        job.verb.word(),
        job.cluster,
        job.state.word()
    );
    // What it changed is shown at once.
    m.refresh_due = Some(m.now);
    let away = !m.focused;
    let notice = (away && m.notify).then(|| Effect::Notify(super::paint::safe(&text)));
    if away || !matches!(m.screen(), Screen::Run(run) if run.job == id) {
        m.toast(if good { LineLevel::Info } else { LineLevel::Error }, text);
    }
    let bell = (away || !good).then_some(Effect::Bell);
    bell.into_iter().chain(notice).collect()
}

/// An act was accepted or refused.
fn acted(m: &mut Model, n: u64, result: Result<Answer, Refusal>) -> Vec<Effect> {
    let Some(pending) = m.acts.remove(&n) else {
        return Vec::new();
    };
    m.store.forget(&Query::Act(n));
    m.refresh_due = Some(m.now);
    match (result, pending.then) {
        (Err(refusal), _) => return refused(m, n, &pending.label, &refusal),
        (Ok(Answer::Job(id)), Then::Follow) => {
            m.depart();
            m.screens.retain(|s| !matches!(s, Screen::Plan(_) | Screen::Restore(_)));
            if m.screens.is_empty() {
                m.screens.push(Screen::Fleet(super::screens::fleet::Fleet::default()));
            }
            m.screens.push(Screen::Run(Run::new(id)));
        }
        (Ok(Answer::Job(id)), Then::Tell) => {
            m.toast(
                LineLevel::Info,
                format!("{}: job {id} started (J shows jobs)", pending.label),
            );
        }
        (Ok(Answer::Done(text)), _) => m.toast(LineLevel::Info, format!("{}: {text}", pending.label)),
        (Ok(_), _) => m.toast(LineLevel::Info, format!("{}: done", pending.label)),
    }
    Vec::new()
}

/// A refused act: on the plan page where it was started, else as a notice.
fn refused(m: &mut Model, n: u64, label: &str, refusal: &Refusal) -> Vec<Effect> {
    let text = super::model::refusal_text(refusal);
    let waiting = m.screens.iter_mut().find_map(|s| match s {
        Screen::Plan(plan) if plan.started == Some(n) => Some(plan),
        _ => None,
    });
    if let Some(plan) = waiting {
        plan.started = None;
        plan.error = Some(text);
    }
    m.refuse(label, refusal);
    vec![Effect::Bell]
}

/// Goes to a screen that the stack may hold already.
pub fn visit(m: &mut Model, screen: Screen) {
    m.depart();
    let same = |s: &Screen| s.scope() == screen.scope() && s.cluster(m) == screen.cluster(m);
    let open_already = m.screens.iter().position(same);
    m.left.clear();
    if let Some(at) = open_already {
        m.screens.truncate(at + 1);
    } else {
        m.screens.push(screen);
    }
    m.filtering = false;
}

/// An empty list screen.
pub fn list_of(make: fn(List) -> Screen) -> Screen {
    make(List::default())
}

/// Opens a popup.
pub fn open(m: &mut Model, popup: Popup) {
    m.popups.push(popup);
}
