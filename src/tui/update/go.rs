//! Commands: first whether they can be done, then what they do. Moving around is here; the rest in [`super::run`].

use std::borrow::Cow;

use super::{list_of, open, refresh, run, visit};
use crate::model::job::LineLevel;
use crate::tui::Exit;
use crate::tui::commands::{Cmd, Scope, find};
use crate::tui::event::Effect;
use crate::tui::list::{Ids, List};
use crate::tui::model::{Model, TimeMode};
use crate::tui::popups::forms::Subject;
use crate::tui::popups::{Popup, acts};
use crate::tui::screens::Screen;
use crate::tui::screens::log::Log;
use crate::tui::screens::overview::Overview;
use crate::tui::screens::restore::Focus;
use crate::tui::screens::restore_view::cells;
use crate::tui::screens::retention::Retention;
use crate::tui::screens::schema::Schema;
use crate::tui::screens::timeline::{self, Timeline};
use crate::tui::screens::timeline_view;
use crate::tui::update::enabled::enabled;

/// A second Ctrl-C within this time leaves everything running.
const TWICE: i64 = 2_000;

/// Does a command, or says why it cannot be done now.
pub fn attempt(m: &mut Model, cmd: Cmd) -> Vec<Effect> {
    if cmd == Cmd::Accident && !m.is_demo() {
        return go(m, Cmd::GoMessages);
    }
    match enabled(cmd, m) {
        Ok(()) => go(m, cmd),
        Err(why) => {
            let label = find(cmd).map_or("", |c| c.label);
            if let (Cmd::RunPlan, Screen::Plan(plan)) = (cmd, m.screen_mut()) {
                plan.error = Some(format!("Not started: {why}."));
            } else {
                // What Enter means is another thing on each screen: its reason speaks for itself.
                let label = if cmd == Cmd::Enter { "Not now" } else { label };
                m.toast(LineLevel::Info, format!("{label}: {why}"));
            }
            Vec::new()
        }
    }
}

/// Does a command that can be done.
fn go(m: &mut Model, cmd: Cmd) -> Vec<Effect> {
    match cmd {
        Cmd::Down => step(m, 1),
        Cmd::Up => step(m, -1),
        Cmd::PageDown => step(m, page(m)),
        Cmd::PageUp => step(m, -page(m)),
        Cmd::Top => step(m, isize::MIN / 2),
        Cmd::Bottom => step(m, isize::MAX / 2),
        Cmd::Left => sideways(m, -1),
        Cmd::Right => sideways(m, 1),
        Cmd::NextField => field(m, 1),
        Cmd::PrevField => field(m, -1),
        Cmd::Back => back(m),
        Cmd::QuitOrBack if m.screens.len() > 1 => {
            m.filtering = false;
            leave(m)
        }
        Cmd::QuitOrBack => quit(m),
        Cmd::Interrupt => interrupt(m),
        Cmd::Suspend if m.is_busy() => acts::open(m, Subject::Suspend),
        Cmd::Suspend => vec![Effect::Suspend],
        Cmd::Repaint => vec![Effect::Repaint],
        Cmd::Pager => super::copy::whole(m).map(Effect::Page).into_iter().collect(),
        Cmd::Palette => {
            open(m, Popup::Palette(Default::default()));
            Vec::new()
        }
        Cmd::Help => {
            open(m, Popup::Help(Default::default()));
            Vec::new()
        }
        Cmd::Filter => {
            m.filtering = true;
            Vec::new()
        }
        Cmd::Mark | Cmd::MarkRange | Cmd::MarkInvert => mark(m, cmd),
        Cmd::NextHit => hit(m, 1),
        Cmd::PrevHit => hit(m, -1),
        Cmd::TimeMode => time_mode(m),
        Cmd::Refresh => refresh(m),
        Cmd::Sort => sort(m, 1),
        Cmd::SortReverse => sort(m, 0),
        Cmd::Themes => themes(m),
        Cmd::Backward => leave(m),
        Cmd::Forward => forward(m),
        Cmd::GoClusters => {
            m.depart();
            m.left.clear();
            m.screens.truncate(1);
            Vec::new()
        }
        Cmd::GoBackup => m.cluster().map_or_else(Vec::new, |c| run::open_backup(m, c)),
        Cmd::GoLog => go_to(m, |m| m.cluster().map(|c| Screen::Log(Log::new(c)))),
        Cmd::GoTimeline => go_to(m, |m| m.cluster().map(|c| Screen::Timeline(Timeline::new(c)))),
        Cmd::GoOverview => go_to(m, |m| m.cluster().map(|c| Screen::Overview(Overview::new(c)))),
        Cmd::GoRetention => go_to(m, |m| m.cluster().map(|c| Screen::Retention(Retention::new(c)))),
        Cmd::GoInEffect => go_to(m, |_| Some(list_of(Screen::InEffect))),
        Cmd::GoSchema => go_to(m, |m| m.cluster().map(|c| Screen::Schema(Schema::new(c)))),
        Cmd::LastView => last_view(m),
        Cmd::NextTab => tab(m, 1),
        Cmd::PrevTab => tab(m, -1),
        Cmd::Zoom => {
            m.zoomed = !m.zoomed;
            Vec::new()
        }
        Cmd::MoreDays => days(m, 1),
        Cmd::FewerDays => days(m, -1),
        Cmd::NextMark => marks(m, true),
        Cmd::PrevMark => marks(m, false),
        Cmd::GoJobs => go_to(m, |_| Some(list_of(Screen::Jobs))),
        Cmd::GoStorages => go_to(m, |_| Some(list_of(Screen::Storages))),
        Cmd::GoMessages => go_to(m, |_| Some(list_of(Screen::Messages))),
        other => run::run(m, other),
    }
}

fn go_to(m: &mut Model, screen: impl Fn(&Model) -> Option<Screen>) -> Vec<Effect> {
    if let Some(screen) = screen(m) {
        visit(m, screen);
    }
    // What a screen shows may have changed since it was last open.
    refresh(m)
}

/// A click selects a line; on the selected line it opens it.
pub fn click(m: &mut Model, by: i32) -> Vec<Effect> {
    m.last_key = m.now;
    if !m.popups.is_empty() {
        return Vec::new();
    }
    match by {
        0 => attempt(m, Cmd::Enter),
        by => step(m, by as isize),
    }
}

/// The wheel moves as the arrow keys do.
pub fn wheel(m: &mut Model, by: i32) -> Vec<Effect> {
    m.last_key = m.now;
    if m.popups.is_empty() {
        step(m, by as isize)
    } else {
        Vec::new()
    }
}

/// Half a screen.
fn page(m: &Model) -> isize {
    (m.size.1 / 2).max(1) as isize
}

/// Moves in the list, from field to field, or in the text.
fn step(m: &mut Model, by: isize) -> Vec<Effect> {
    if matches!(m.screen(), Screen::Timeline(_)) {
        let cells = timeline_view::cells(m.size.0);
        timeline::with(m, |s, m| s.step(m, by, cells));
        return Vec::new();
    }
    let moved = m.screen().list().map(|list| {
        let ids = m.screen().ids(m);
        let ends = ids.is_empty() || (list.index() == 0 && by == -1) || (list.index() + 1 >= ids.len() && by == 1);
        (list.away(&ids, by), ends)
    });
    match m.screen_mut() {
        Screen::Plan(s) => s.scroll.by(by),
        Screen::Overview(s) => s.scroll.by(by),
        Screen::Run(s) => s.step(by),
        Screen::Restore(s) if !s.in_list() => s.move_focus(by.signum()),
        Screen::Restore(s) => match (moved, s.list_mut()) {
            (Some((place, false)), Some(list)) => list.move_to(place),
            _ => s.move_focus(by.signum()),
        },
        other => {
            if let (Some((place, _)), Some(list)) = (moved, other.list_mut()) {
                list.move_to(place);
            }
        }
    }
    Vec::new()
}

/// Left and right: choices, the timeline.
fn sideways(m: &mut Model, by: isize) -> Vec<Effect> {
    let width = m.size.0;
    timeline::with(m, |s, m| match s.focus {
        timeline::Focus::Month => s.move_days(m, by as i64),
        timeline::Focus::Bar => s.move_cells(m, by as i64, timeline_view::cells(width)),
        timeline::Focus::Changes => {
            s.focus = timeline::Focus::Bar;
            s.move_cells(m, by as i64, timeline_view::cells(width));
        }
    });
    run::with_restore(m, |s, m| match s.focus {
        Focus::Timeline => s.move_moment(m, by as i64, i64::from(cells(width))),
        _ => s.choose(m, by),
    });
    match m.scope() {
        Scope::Backup | Scope::Log | Scope::Overview | Scope::Retention | Scope::Schema => tab(m, by),
        _ => Vec::new(),
    }
}

/// The page of the same cluster beside this one, in the order of their names in help; not round.
fn tab(m: &mut Model, by: isize) -> Vec<Effect> {
    const PAGES: [(Scope, Cmd); 5] = [
        (Scope::Overview, Cmd::GoOverview),
        (Scope::Backup, Cmd::GoBackup),
        (Scope::Log, Cmd::GoLog),
        (Scope::Schema, Cmd::GoSchema),
        (Scope::Retention, Cmd::GoRetention),
    ];
    let here = m.scope();
    let at = PAGES.iter().position(|(scope, _)| *scope == here);
    let beside = at.and_then(|at| at.checked_add_signed(by)).and_then(|at| PAGES.get(at));
    let Some((_, cmd)) = beside else { return Vec::new() };
    // Going from page to page does not pile them up: back leads to where the first one was opened.
    let was = m.screen().clone();
    let under = (m.screens.len() > 1).then(|| m.screens.pop()).flatten();
    let effects = attempt(m, *cmd);
    if m.scope() == here {
        m.screens.extend(under);
    }
    m.previous = Some(Box::new(was));
    effects
}

/// There and back again.
fn last_view(m: &mut Model) -> Vec<Effect> {
    if let Some(screen) = m.previous.take() {
        visit(m, *screen);
    }
    refresh(m)
}

/// Marks the selected line and goes on, a range, or the other ones.
fn mark(m: &mut Model, cmd: Cmd) -> Vec<Effect> {
    let ids: Vec<String> = m.screen().ids(m).into_iter().map(Cow::into_owned).collect();
    let ids: Ids<'_> = ids.iter().map(|id| Cow::Borrowed(id.as_str())).collect();
    let Some(list) = m.list_mut() else { return Vec::new() };
    let at = list.index();
    match (cmd, ids.get(at)) {
        (Cmd::Mark, Some(id)) => {
            list.marks.toggle(id);
            list.step(&ids, 1);
        }
        (Cmd::MarkRange, Some(_)) => list.marks.range(&ids, at),
        (Cmd::MarkInvert, _) => list.marks.invert(&ids),
        _ => {}
    }
    Vec::new()
}

/// The next line that passes the filter, round.
fn hit(m: &mut Model, by: isize) -> Vec<Effect> {
    let last = m.screen().ids(m).len().saturating_sub(1);
    let at = m.screen().list().map_or(0, List::index);
    match by {
        1 if at >= last => step(m, isize::MIN / 2),
        -1 if at == 0 => step(m, isize::MAX / 2),
        _ => step(m, by),
    }
}

fn days(m: &mut Model, by: i32) -> Vec<Effect> {
    if let Screen::Retention(s) = m.screen() {
        let mut copy = s.clone();
        copy.try_days(m, by);
        *m.screen_mut() = Screen::Retention(copy);
    }
    Vec::new()
}

fn marks(m: &mut Model, forward: bool) -> Vec<Effect> {
    timeline::with(m, |s, m| s.next_mark(m, forward));
    Vec::new()
}

fn field(m: &mut Model, by: isize) -> Vec<Effect> {
    timeline::with(m, |s, m| s.move_focus(m, by));
    let needs_name = match (m.screen(), m.store.plan()) {
        (Screen::Plan(s), Some(plan)) => s.needs_name(m, plan),
        _ => false,
    };
    match m.screen_mut() {
        Screen::Restore(s) => s.move_focus(by),
        Screen::Plan(s) => s.typing = !s.typing && needs_name,
        _ => {}
    }
    Vec::new()
}

/// One thing per press: the filter, then the screen.
fn back(m: &mut Model) -> Vec<Effect> {
    if let Screen::Timeline(s) = m.screen_mut()
        && (s.typing.take().is_some() | s.error.take().is_some())
    {
        return Vec::new();
    }
    let filtered = m.screen().list().is_some_and(|l| !l.filter.value().is_empty());
    if filtered {
        if let Some(list) = m.list_mut() {
            list.filter.reset();
        }
    } else if let Some(list) = m.list_mut().filter(|l| !l.marks.is_empty()) {
        list.marks.clear();
    } else if m.screens.len() > 1 {
        return leave(m);
    }
    Vec::new()
}

/// Goes back one screen, and remembers the one that is left.
fn leave(m: &mut Model) -> Vec<Effect> {
    if m.screens.len() > 1 {
        m.depart();
    }
    if m.screens.len() > 1
        && let Some(left) = m.screens.pop()
    {
        // A plan belongs to the answers it was asked for with: it is asked for again from there.
        if !matches!(left, Screen::Plan(_)) {
            m.left.push(left);
        }
        let extra = m.left.len().saturating_sub(20);
        m.left.drain(..extra);
    }
    Vec::new()
}

/// Goes forward to the screen that was left last.
fn forward(m: &mut Model) -> Vec<Effect> {
    if let Some(screen) = m.left.pop() {
        m.depart();
        m.screens.push(screen);
    }
    refresh(m)
}

/// The next order, or the same one the other way round.
fn sort(m: &mut Model, by: usize) -> Vec<Effect> {
    let orders = m.screen().orders();
    let Some(list) = m.list_mut() else { return Vec::new() };
    let (at, reverse) = list.sort;
    list.sort = if by == 0 {
        (at, !reverse)
    } else {
        ((at + by) % orders.len().max(1), false)
    };
    let word = orders.get(list.sort.0).copied().unwrap_or_default();
    let way = if list.sort.1 { ", the other way round" } else { "" };
    m.toast(
        LineLevel::Info,
        format!("Sorted by {word}{way}; s next order, S reverses."),
    );
    Vec::new()
}

fn themes(m: &mut Model) -> Vec<Effect> {
    let now = m.theme.clone().unwrap_or_default();
    let picker = crate::tui::popups::themes::Themes::new(&m.themes, &now);
    open(m, Popup::Themes(picker));
    Vec::new()
}

fn quit(m: &mut Model) -> Vec<Effect> {
    if m.is_busy() && m.demo.is_none() {
        return acts::open(m, Subject::Quit);
    }
    vec![Effect::Quit(Exit::Quit)]
}

/// Never cancels work: asks first, and twice means leave it running.
fn interrupt(m: &mut Model) -> Vec<Effect> {
    let again = m.interrupted.is_some_and(|at| m.now.since(at) <= TWICE);
    m.interrupted = Some(m.now);
    if again && m.is_busy() && m.demo.is_none() {
        return vec![Effect::Quit(Exit::LeaveRunning)];
    }
    m.popups.clear();
    quit(m)
}

fn time_mode(m: &mut Model) -> Vec<Effect> {
    let (mode, words) = match m.time_mode {
        TimeMode::Local => (TimeMode::Utc, "UTC"),
        TimeMode::Utc => (TimeMode::Relative, "relative"),
        TimeMode::Relative => (TimeMode::Local, "local"),
    };
    m.time_mode = mode;
    m.toast(LineLevel::Info, format!("Times are {words}."));
    Vec::new()
}
