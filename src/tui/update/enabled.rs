//! Whether a command can be done now; if not, why not. Nothing is ever hidden or a dead key.

use crate::cluster::ClusterState;
use crate::model::backup::{BackupEntry, BackupStatus};
use crate::model::ids::ClusterName;
use crate::model::job::{Job, JobState, Verb};
use crate::service::desk::ClusterCard;
use crate::tui::commands::Cmd;
use crate::tui::model::Model;
use crate::tui::popups::marked::Marked;
use crate::tui::screens::Screen;
use crate::tui::screens::jobs;
use crate::tui::screens::restore::{Mode, Point};
use crate::tui::screens::timeline::Timeline;

/// The step in which a restore puts what it built in its place.
const SWITCH: &str = "Switch over";

type Verdict = Result<(), String>;

fn require(ok: bool, why: &str) -> Verdict {
    if ok { Ok(()) } else { Err(why.to_owned()) }
}

/// Whether a command can be done now; else why not.
pub fn enabled(cmd: Cmd, m: &Model) -> Verdict {
    if changes(cmd) {
        writable(m)?;
    }
    if let Some(marked) = Marked::of(m, cmd) {
        return marked.possible();
    }
    match cmd {
        Cmd::BackupNow => backup_now(m),
        Cmd::Restore => match m.screen() {
            Screen::Timeline(_) | Screen::Schema(_) => restore(m).and_then(|()| enter(m)),
            _ => restore(m),
        },
        Cmd::Settings => settings(m),
        Cmd::LogMenu
        | Cmd::GoBackup
        | Cmd::GoLog
        | Cmd::GoTimeline
        | Cmd::GoOverview
        | Cmd::GoRetention
        | Cmd::GoSchema => cluster(m).map(|_| ()),
        Cmd::LastView => require(m.previous.is_some(), "no other screen was shown before"),
        Cmd::Zoom => require(
            m.screen().list().is_some() || matches!(m.screen(), Screen::Timeline(_) | Screen::Restore(_)),
            "this screen has one part only",
        ),
        Cmd::Follow | Cmd::Wrap => require(matches!(m.screen(), Screen::Run(_)), "only on the page of a job"),
        Cmd::Pager => match m.screen() {
            Screen::Messages(_) => {
                let any = m.store.messages().is_some_and(|all| !all.is_empty()) || !m.notes.is_empty();
                require(any, "there is no message yet")
            }
            Screen::Run(s) => require(
                m.store.lines(s.job).is_some_and(|l| !l.is_empty()),
                "the job has said nothing yet",
            ),
            _ => Err("only on Messages (6) and on the page of a job".to_owned()),
        },
        Cmd::Verify => complete(m).map(|_| ()),
        Cmd::Protect => complete(m).map(|_| ()),
        Cmd::Delete => delete(m),
        Cmd::Undelete => in_trash(backup(m)?),
        Cmd::Mark | Cmd::MarkRange | Cmd::MarkInvert => match m.screen() {
            Screen::Backup(s) => require(!s.rows(m).is_empty(), "there is no backup to mark"),
            _ => Err("only on the Backup page (2)".to_owned()),
        },
        Cmd::NextHit | Cmd::PrevHit => {
            let filtered = m.screen().list().is_some_and(|l| !l.filter.value().is_empty());
            require(filtered, "this list has no filter: / sets one")
        }
        Cmd::Undo => undo(m),
        Cmd::OpenCluster => match card(m)?.state {
            ClusterState::Closed { .. } => Ok(()),
            // Nobody is at work on it: the restore was interrupted, and nothing of it is visible yet.
            ClusterState::Restoring { .. } if card(m)?.job.is_none() => Ok(()),
            ClusterState::Restoring { .. } => Err("a restore is at work; cancel its job first".to_owned()),
            _ => Err("the cluster is not closed".to_owned()),
        },
        Cmd::RunPlan => match m.screen() {
            Screen::Plan(plan) => plan.ready(m).map(|_| ()),
            _ => Err("there is no plan".to_owned()),
        },
        Cmd::CancelJob => require(!job(m)?.state.is_over(), "the job has ended"),
        Cmd::ResumeJob => require(
            job(m)?.resumable && job(m)?.state.is_over(),
            "this job cannot be continued",
        ),
        Cmd::Accident => {
            require(m.is_demo(), "only in the demo; here ! shows Messages")?;
            cluster(m).map(|_| ())
        }
        Cmd::Traffic => require(card(m)?.product.contains("embedded"), "only on an embedded cluster"),
        Cmd::Filter => require(m.screen().list().is_some(), "there is no list here"),
        Cmd::CopyMenu => require(super::copy::is_anything(m), "there is nothing to copy here yet"),
        Cmd::AllChanges => match m.screen() {
            Screen::Restore(s) => require(
                s.mode == Mode::PointInTime && s.point == Point::BeforeChange,
                "only for Just before a change",
            ),
            _ => Ok(()),
        },
        Cmd::OtherBase => {
            let plan = m.store.plan().ok_or("the plan is not ready yet")?;
            require(
                !matches!(m.screen(), Screen::Plan(s) if s.undo || s.started.is_some()),
                "the way back has its own base",
            )?;
            require(!plan.alternatives.is_empty(), "no other base would do")
        }
        Cmd::PickTables => match m.screen() {
            Screen::Restore(s) => require(s.known_tables(m).is_some(), "the tables of the base are not known yet"),
            _ => Err("only on Restore 1/2".to_owned()),
        },
        Cmd::Through => match m.screen() {
            Screen::Restore(s) => require(
                s.mode == Mode::PointInTime && s.point == Point::BeforeChange,
                "only for a change",
            ),
            _ => Err("only on Restore 1/2".to_owned()),
        },
        Cmd::RunRetention => match m.screen() {
            Screen::Retention(s) => {
                require(s.days.is_none(), "these days are only tried: set them first (E)")?;
                let plan = s.plan(m).ok_or("it is being worked out")?;
                let some = plan.dropped().next().is_some() || plan.truncate_until.is_some();
                require(some, "nothing goes: every backup stays")
            }
            _ => Err("only on Retention (8)".to_owned()),
        },
        Cmd::MoreDays | Cmd::FewerDays => match m.screen() {
            Screen::Retention(_) => settings(m),
            _ => Err("only on Retention (8)".to_owned()),
        },
        Cmd::TestStorage => match m.screen() {
            Screen::Storages(list) => require(list.selected().is_some(), "no storage is selected"),
            _ => Err("only on Storages (5)".to_owned()),
        },
        Cmd::NextMark | Cmd::PrevMark => match m.screen() {
            Screen::Timeline(s) => timeline(m, s),
            _ => Err("only on the Timeline (7)".to_owned()),
        },
        Cmd::TypeTime | Cmd::ZoomIn | Cmd::ZoomOut => match m.screen() {
            Screen::Timeline(s) => timeline(m, s),
            Screen::Restore(s) => require(s.mode == Mode::PointInTime, "only for Point-in-Time Restore"),
            _ => Err("only on the Timeline (7) and on Restore 1/2".to_owned()),
        },
        Cmd::Enter => enter(m),
        Cmd::NextField | Cmd::PrevField => match (m.screen(), m.store.plan()) {
            (Screen::Plan(s), plan) => require(
                plan.is_some_and(|plan| s.needs_name(m, plan)),
                "no name has to be typed for this plan",
            ),
            (Screen::Timeline(s), _) => timeline(m, s),
            _ => Ok(()),
        },
        Cmd::Sort | Cmd::SortReverse => require(!m.screen().orders().is_empty(), "this list has one order only"),
        Cmd::Suspend => suspend(m),
        Cmd::Themes => require(m.theme.is_some(), "colours are off (NO_COLOR or --no-color)"),
        Cmd::Backward => require(m.screens.len() > 1, "this is the first screen"),
        Cmd::Forward => require(!m.left.is_empty(), "no screen was left by going back"),
        Cmd::Back => {
            let list = m.screen().list();
            let filtered = list.is_some_and(|l| !l.filter.value().is_empty() || !l.marks.is_empty());
            require(filtered || m.screens.len() > 1, "this is the first screen; q quits")
        }
        Cmd::Trash
        | Cmd::Down
        | Cmd::Up
        | Cmd::PageDown
        | Cmd::PageUp
        | Cmd::Top
        | Cmd::Bottom
        | Cmd::NextTab
        | Cmd::PrevTab
        | Cmd::Left
        | Cmd::Right
        | Cmd::QuitOrBack
        | Cmd::Interrupt
        | Cmd::Repaint
        | Cmd::Palette
        | Cmd::Help
        | Cmd::TimeMode
        | Cmd::Refresh
        | Cmd::GoClusters
        | Cmd::GoJobs
        | Cmd::GoStorages
        | Cmd::GoInEffect
        | Cmd::GoMessages => Ok(()),
    }
}

/// Whether a command changes something. (Opening Restore 1/2 and menus changes nothing.)
fn changes(cmd: Cmd) -> bool {
    matches!(
        cmd,
        Cmd::BackupNow
            | Cmd::Settings
            | Cmd::Verify
            | Cmd::Protect
            | Cmd::Delete
            | Cmd::Undelete
            | Cmd::Undo
            | Cmd::LogMenu
            | Cmd::OpenCluster
            | Cmd::RunPlan
            | Cmd::CancelJob
            | Cmd::ResumeJob
            | Cmd::RunRetention
            | Cmd::TestStorage
            | Cmd::Accident
            | Cmd::Traffic
    )
}

fn writable(m: &Model) -> Verdict {
    require(!m.is_read_only(), "brine was started read-only")
}

fn cluster(m: &Model) -> Result<ClusterName, String> {
    m.cluster().ok_or_else(|| "no cluster is selected".to_owned())
}

fn card(m: &Model) -> Result<&ClusterCard, String> {
    let name = cluster(m)?;
    m.store
        .card(&name)
        .ok_or_else(|| "the cluster is not loaded yet".to_owned())
}

fn backup_now(m: &Model) -> Verdict {
    let card = card(m)?;
    match &card.state {
        ClusterState::Unreachable { .. } => return Err("the cluster cannot be reached".to_owned()),
        ClusterState::Restoring { .. } => return Err("the cluster is being restored".to_owned()),
        ClusterState::Available | ClusterState::Closed { .. } => {}
    }
    let running = m
        .store
        .running()
        .into_iter()
        .find(|j| j.cluster == card.name && j.verb == Verb::Backup);
    running.map_or(Ok(()), |j| Err(format!("job {} takes a backup of it now", j.id)))
}

fn restore(m: &Model) -> Verdict {
    let card = card(m)?;
    require(
        !card.window.bases.is_empty(),
        "nothing can be restored yet: B takes the first backup",
    )
}

/// Whether there is anything on the timeline.
fn timeline(m: &Model, s: &Timeline) -> Verdict {
    let some = s.window(m).is_some_and(|w| w.bounds().is_some());
    require(some, "nothing can be restored yet: B takes the first backup")
}

fn settings(m: &Model) -> Verdict {
    let name = cluster(m)?;
    require(m.store.page(&name).is_some(), "its settings are not loaded yet")
}

fn undo(m: &Model) -> Verdict {
    let name = cluster(m)?;
    let page = m.store.page(&name).ok_or("the cluster is not loaded yet")?;
    require(page.undo.is_some(), "no restore into this cluster can be undone")
}

/// A process that is stopped holds what it holds: not while others wait for that.
fn suspend(m: &Model) -> Verdict {
    let own = m.store.hello().is_none_or(|h| h.pid == m.pid);
    for job in m.store.running().into_iter().filter(|_| own) {
        let step = job.steps.last().filter(|s| s.ended.is_none());
        if step.is_some_and(|s| s.name == SWITCH) {
            return Err(format!(
                "job {} is switching {} over: wait until it has",
                job.id, job.cluster
            ));
        }
        if job.verb == Verb::Backup && job.state == JobState::Running && job.steps.is_empty() {
            let who = format!("job {} may hold locks of {}", job.id, job.cluster);
            return Err(format!("{who} while it opens its view: try again in a moment"));
        }
    }
    Ok(())
}

fn backup(m: &Model) -> Result<&BackupEntry, String> {
    match m.screen() {
        Screen::Backup(s) => s.selected(m).ok_or_else(|| "no backup is selected".to_owned()),
        _ => Err("only on the Backup page (2)".to_owned()),
    }
}

fn complete(m: &Model) -> Result<&BackupEntry, String> {
    let entry = backup(m)?;
    complete_entry(entry).map(|()| entry)
}

/// Whether a backup is there to be used; else why not.
pub fn complete_entry(entry: &BackupEntry) -> Verdict {
    match &entry.status {
        BackupStatus::Complete => Ok(()),
        BackupStatus::Running { job } => Err(format!("job {job} is still taking this backup")),
        BackupStatus::Incomplete => Err("this backup was interrupted: continue its job (4, then C)".to_owned()),
        BackupStatus::Failed { .. } => Err("this run failed and left nothing behind".to_owned()),
        BackupStatus::Deleted { .. } => Err("this backup is in the trash: U takes it out".to_owned()),
        BackupStatus::Broken { .. } => Err("this backup is broken and cannot be used".to_owned()),
    }
}

fn delete(m: &Model) -> Verdict {
    deletable(backup(m)?)
}

/// Whether a backup is in the trash.
pub fn in_trash(entry: &BackupEntry) -> Verdict {
    let is_so = matches!(entry.status, BackupStatus::Deleted { .. });
    require(is_so, "this backup is not in the trash; a shows the trash")
}

/// Whether a backup can be deleted; else why not.
pub fn deletable(entry: &BackupEntry) -> Verdict {
    if matches!(entry.status, BackupStatus::Broken { .. }) {
        return Ok(());
    }
    complete_entry(entry)?;
    require(entry.protection.is_none(), "this backup is protected: P unprotects it")
}

/// The job that is shown or selected.
pub fn job(m: &Model) -> Result<&Job, String> {
    let found = match m.screen() {
        Screen::Run(run) => m.store.job(run.job),
        Screen::Jobs(list) => jobs::selected(m, list).and_then(|j| m.store.job(j.id)),
        _ => m.store.running().first().copied(),
    };
    found.ok_or_else(|| "no job is selected".to_owned())
}

fn enter(m: &Model) -> Verdict {
    match m.screen() {
        Screen::Fleet(s) => require(s.selected(m).is_some(), "no cluster is selected"),
        Screen::Backup(_) => backup(m).map(|_| ()),
        Screen::Log(s) => {
            let some = s.list.selected().is_some_and(|id| s.rows(m).iter().any(|c| c.id == id));
            require(some, "no change is selected")
        }
        Screen::Jobs(list) => require(jobs::selected(m, list).is_some(), "no job is selected"),
        Screen::Schema(s) => require(s.selected(m).is_some(), "no table is selected"),
        Screen::Timeline(s) if s.typing.is_some() => Ok(()),
        Screen::Timeline(s) => s
            .restorable(m)
            .map(|_| ())
            .map_err(|why| format!("this moment cannot be restored: {why}")),
        Screen::Restore(_) | Screen::Plan(_) => Ok(()),
        Screen::Run(_) => Err("there is nothing to open here; Esc goes back".to_owned()),
        Screen::Overview(_) => Err("there is nothing to open here; R restores".to_owned()),
        Screen::Retention(_) | Screen::InEffect(_) | Screen::Storages(_) | Screen::Messages(_) => {
            Err("all there is to see is shown below the list".to_owned())
        }
    }
}
