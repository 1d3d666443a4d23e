//! Commands that open something: pages, forms, menus, plans.

use tui_input::Input;

use super::{open, refresh, visit};
use crate::model::backup::BackupStatus;
use crate::model::ids::ClusterName;
use crate::model::log::Change;
use crate::model::time;
use crate::service::desk::Question;
use crate::tui::commands::Cmd;
use crate::tui::event::{Effect, Query};
use crate::tui::model::{Model, Then};
use crate::tui::popups::forms::Subject;
use crate::tui::popups::marked::Marked;
use crate::tui::popups::tables::Tables;
use crate::tui::popups::{Popup, acts};
use crate::tui::screens::Screen;
use crate::tui::screens::backup::Backup;
use crate::tui::screens::jobs;
use crate::tui::screens::plan::Plan;
use crate::tui::screens::restore::{Focus, Mode, Point, Restore};
use crate::tui::screens::run::Run;
use crate::tui::screens::timeline;
use crate::tui::update::enabled::job;

/// So long after its first key a chord's second one is not asked for.
const WHICH_KEY: i64 = 300;

/// Does a command that opens something.
pub fn run(m: &mut Model, cmd: Cmd) -> Vec<Effect> {
    match cmd {
        Cmd::Enter => enter(m),
        Cmd::Restore => restore(m),
        Cmd::Undo => undo(m),
        Cmd::OtherBase => {
            if let Some(plan) = m.store.plan() {
                let menu = acts::base_menu(m, plan);
                open(m, Popup::Menu(menu));
            }
            Vec::new()
        }
        Cmd::PickTables => pick_tables(m),
        Cmd::Through => {
            with_restore(m, |s, _| s.through = !s.through);
            Vec::new()
        }
        Cmd::TestStorage => test_storage(m),
        Cmd::RunPlan => start(m),
        Cmd::Trash | Cmd::AllChanges | Cmd::Follow | Cmd::Wrap => toggle(m, cmd),
        Cmd::TypeTime | Cmd::ZoomIn | Cmd::ZoomOut => timeline(m, cmd),
        Cmd::CopyMenu => {
            let mut menu = acts::copy_menu(super::copy::things(m));
            menu.quiet_until = Some(m.now.plus(WHICH_KEY));
            open(m, Popup::Menu(menu));
            Vec::new()
        }
        Cmd::LogMenu | Cmd::Accident => {
            let Some(cluster) = m.cluster() else { return Vec::new() };
            let menu = match cmd {
                Cmd::LogMenu => acts::log_menu(m, &cluster),
                _ => acts::accident_menu(&m.demo.as_ref().map_or(cluster, |d| d.cluster.clone())),
            };
            open(m, Popup::Menu(menu));
            Vec::new()
        }
        other => subject(m, other).map_or_else(Vec::new, |s| acts::open(m, s)),
    }
}

/// The form of a command.
fn subject(m: &Model, cmd: Cmd) -> Option<Subject> {
    let backup = |m: &Model| match m.screen() {
        Screen::Backup(s) => s
            .selected(m)
            .map(|b| (s.cluster.clone(), b.summary.id.clone(), b.protection.is_none())),
        _ => None,
    };
    if let Some(marked) = Marked::of(m, cmd) {
        return Some(Subject::Marked(Box::new(marked)));
    }
    match cmd {
        Cmd::BackupNow => Some(Subject::BackupNow { cluster: m.cluster()? }),
        Cmd::OpenCluster => Some(Subject::OpenCluster { cluster: m.cluster()? }),
        Cmd::Settings => {
            let cluster = m.cluster()?;
            let was = m.store.page(&cluster)?.settings.clone();
            Some(Subject::Settings { cluster, was })
        }
        Cmd::Traffic => {
            let cluster = m.cluster()?;
            let flows = m
                .store
                .page(&cluster)
                .is_some_and(|p| p.traffic.iter().rev().take(3).any(|n| *n > 0));
            Some(Subject::Traffic { cluster, on: !flows })
        }
        Cmd::Verify => backup(m).map(|(cluster, id, _)| Subject::Verify { cluster, id }),
        Cmd::Protect => backup(m).map(|(cluster, id, on)| Subject::Protect { cluster, id, on }),
        Cmd::Delete => backup(m).map(|(cluster, id, _)| Subject::Delete { cluster, id }),
        Cmd::RunRetention => Some(Subject::Retention { cluster: m.cluster()? }),
        Cmd::Undelete => backup(m).map(|(cluster, id, _)| Subject::Undelete { cluster, id }),
        Cmd::CancelJob => Some(Subject::Cancel { job: job(m).ok()?.id }),
        Cmd::ResumeJob => Some(Subject::Resume { job: job(m).ok()?.id }),
        _ => None,
    }
}

/// Goes to a cluster's Backup page.
pub fn open_backup(m: &mut Model, cluster: ClusterName) -> Vec<Effect> {
    visit(m, Screen::Backup(Backup::new(cluster)));
    refresh(m)
}

fn show(m: &mut Model, screen: Screen) -> Vec<Effect> {
    m.filtering = false;
    m.depart();
    m.screens.push(screen);
    refresh(m)
}

fn enter(m: &mut Model) -> Vec<Effect> {
    match m.screen() {
        Screen::Fleet(s) => match s.selected(m).map(|c| c.name.clone()) {
            Some(cluster) => open_backup(m, cluster),
            None => Vec::new(),
        },
        Screen::Backup(s) => {
            let Some(entry) = s.selected(m) else { return Vec::new() };
            let screen = match &entry.status {
                BackupStatus::Complete => {
                    Screen::Restore(Box::new(Restore::from_snapshot(s.cluster.clone(), &entry.summary.id)))
                }
                BackupStatus::Running { job } => Screen::Run(Run::new(*job)),
                BackupStatus::Incomplete
                | BackupStatus::Failed { .. }
                | BackupStatus::Deleted { .. }
                | BackupStatus::Broken { .. } => super::list_of(Screen::Jobs),
            };
            show(m, screen)
        }
        Screen::Log(_) => restore(m),
        Screen::Timeline(s) if s.typing.is_some() => {
            timeline::with(m, |s, m| {
                if let Err(why) = s.accept(m) {
                    s.error = Some(why);
                }
            });
            Vec::new()
        }
        Screen::Timeline(_) => restore(m),
        Screen::Jobs(list) => match jobs::selected(m, list).map(|j| j.id) {
            Some(id) => show(m, Screen::Run(Run::new(id))),
            None => Vec::new(),
        },
        Screen::Schema(_) => restore(m),
        Screen::Restore(_) => plan(m),
        Screen::Plan(s) if s.typing => super::go::attempt(m, Cmd::RunPlan),
        Screen::Plan(s) => {
            let said = s.instead_of_enter(m).map(str::to_owned);
            if let Screen::Plan(s) = m.screen_mut() {
                s.error = said;
            }
            Vec::new()
        }
        Screen::Run(_)
        | Screen::Overview(_)
        | Screen::Retention(_)
        | Screen::InEffect(_)
        | Screen::Storages(_)
        | Screen::Messages(_) => Vec::new(),
    }
}

/// Restore 1/2; from the Log page with the selected change filled in.
fn restore(m: &mut Model) -> Vec<Effect> {
    let Some(cluster) = m.cluster() else { return Vec::new() };
    if let Screen::Timeline(s) = m.screen() {
        let new = s.restore(m);
        return show(m, Screen::Restore(Box::new(new)));
    }
    if let Screen::Schema(s) = m.screen() {
        let new = s.restore(m);
        return show(m, Screen::Restore(Box::new(new)));
    }
    let change: Option<Change> = match m.screen() {
        Screen::Log(s) => s
            .rows(m)
            .into_iter()
            .find(|c| Some(c.id.as_str()) == s.list.selected())
            .cloned(),
        _ => None,
    };
    let new = change.map_or_else(
        || {
            let logged = m.store.card(&cluster).is_none_or(|c| !c.log.runs.is_empty());
            match logged {
                true => Restore::new(cluster.clone()),
                false => Restore::without_log(cluster.clone()),
            }
        },
        |c| Restore::before_change(cluster.clone(), &c),
    );
    show(m, Screen::Restore(Box::new(new)))
}

/// Asks for the plan of the answers and shows it.
fn plan(m: &mut Model) -> Vec<Effect> {
    let Screen::Restore(s) = m.screen() else {
        return Vec::new();
    };
    let source = s.cluster.clone();
    match s.request(m) {
        Ok(request) => {
            let ask = m.store.ask_anew(Query::RestorePlan, Question::PlanRestore { request });
            m.depart();
            m.screens.push(Screen::Plan(Box::new(Plan::new(source, false))));
            vec![ask]
        }
        Err(why) => {
            with_restore(m, |s, _| s.error = Some(why));
            vec![Effect::Bell]
        }
    }
}

fn undo(m: &mut Model) -> Vec<Effect> {
    let Some(cluster) = m.cluster() else { return Vec::new() };
    let ask = m.store.ask_anew(
        Query::RestorePlan,
        Question::PlanUndo {
            cluster: cluster.clone(),
        },
    );
    m.depart();
    m.screens.push(Screen::Plan(Box::new(Plan::new(cluster, true))));
    vec![ask]
}

fn pick_tables(m: &mut Model) -> Vec<Effect> {
    let Screen::Restore(s) = m.screen() else {
        return Vec::new();
    };
    let Some(tables) = s.known_tables(m) else {
        return Vec::new();
    };
    let chosen = s.filter(m).unwrap_or_default();
    let picker = Tables::new(tables, &chosen);
    open(m, Popup::Tables(Box::new(picker)));
    Vec::new()
}

fn test_storage(m: &mut Model) -> Vec<Effect> {
    let Screen::Storages(list) = m.screen() else {
        return Vec::new();
    };
    let found = m.store.storages().unwrap_or_default();
    let Some(storage) = found.iter().find(|s| Some(s.name.as_str()) == list.selected()) else {
        return Vec::new();
    };
    let storage = storage.name.clone();
    vec![m.act(
        format!("Test {storage}"),
        Then::Tell,
        Question::CheckStorage { storage },
    )]
}

/// Runs exactly the plan that is shown.
fn start(m: &mut Model) -> Vec<Effect> {
    let Screen::Plan(s) = m.screen() else { return Vec::new() };
    let (Ok(confirm_name), Some(plan)) = (s.ready(m), m.store.plan()) else {
        return Vec::new();
    };
    let plan = Box::new(plan.clone());
    let label = format!("Restore to {}", plan.point);
    let question = if s.undo {
        Question::Undo { plan, confirm_name }
    } else {
        Question::Restore { plan, confirm_name }
    };
    let effect = m.act(label, Then::Follow, question);
    let started = m.acts.last_key_value().map(|(n, _)| *n);
    if let Screen::Plan(s) = m.screen_mut() {
        (s.started, s.error, s.typing) = (started, None, false);
    }
    vec![effect]
}

/// The trash, all transactions, how a log is shown.
fn toggle(m: &mut Model, cmd: Cmd) -> Vec<Effect> {
    match m.screen_mut() {
        Screen::Run(s) if cmd == Cmd::Follow => s.follow = !s.follow,
        Screen::Run(s) => s.wrap = !s.wrap,
        Screen::Backup(s) => s.trash = !s.trash,
        Screen::Log(s) => s.all = !s.all,
        Screen::Restore(s) => s.all = !s.all,
        _ => {}
    }
    Vec::new()
}

fn timeline(m: &mut Model, cmd: Cmd) -> Vec<Effect> {
    timeline::with(m, |s, m| match cmd {
        Cmd::ZoomIn => s.zoom(m, 1),
        Cmd::ZoomOut => s.zoom(m, -1),
        _ => {
            let now = time::exact(s.instant(m), m.zone_of(Some(&s.cluster)));
            s.typing = Some(Input::new(now));
        }
    });
    with_restore(m, |s, m| {
        match cmd {
            Cmd::ZoomIn => s.zoom = (s.zoom + 1).min(10),
            Cmd::ZoomOut => s.zoom = s.zoom.saturating_sub(1),
            _ => {
                if !matches!(s.point, Point::Exact | Point::Fastest) {
                    let at = s.moment(m).map_or(m.now, |x| x.at);
                    s.point = Point::Exact;
                    s.set_time(m, at);
                }
                s.mode = Mode::PointInTime;
                s.focus = Focus::Time;
            }
        };
    });
    Vec::new()
}

/// Changes the restore screen while reading the rest of the model.
pub fn with_restore(m: &mut Model, change: impl FnOnce(&mut Restore, &Model)) {
    let Screen::Restore(s) = m.screen() else { return };
    let mut copy = s.clone();
    change(&mut copy, m);
    *m.screen_mut() = Screen::Restore(copy);
}
