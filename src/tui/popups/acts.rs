//! Opening forms and menus, and what happens when they are confirmed.

use tui_input::Input;

use super::Popup;
use super::form::{Field, Form};
use super::forms::{Subject, accident_word, act_word};
use super::marked::Act;
use super::menu::{Item, Menu, Pick};
use crate::engine::restore::plan::RestorePlan;
use crate::model::backup::ProofLevel;
use crate::model::ids::ClusterName;
use crate::model::job::JobState;
use crate::model::log::{LogActual, LogDesired};
use crate::model::position::Moment;
use crate::model::settings::{BackupSettings, RetentionDays};
use crate::model::time;
use crate::service::desk::{Accident, BackupRequest, DataQuestion, LogAct, Question};
use crate::service::overwrites;
use crate::tui::Exit;
use crate::tui::commands::Cmd;
use crate::tui::event::{Effect, Query};
use crate::tui::model::{Model, Then};
use crate::tui::update::enabled::enabled;

const LEVELS: [ProofLevel; 3] = [ProofLevel::Files, ProofLevel::Checksums, ProofLevel::Tested];
/// Orders per second of started traffic.
pub(super) const TRAFFIC: u32 = 20;

fn text(label: &'static str, value: impl Into<String>, hint: &'static str) -> Field {
    Field::Text {
        label,
        input: Input::new(value.into()),
        hint,
    }
}

fn choice(label: &'static str, options: &[&str], at: usize) -> Field {
    Field::Choice {
        label,
        options: options.iter().map(|o| (*o).to_owned()).collect(),
        at,
    }
}

fn typed(must: &ClusterName) -> Field {
    Field::Typed {
        input: Input::default(),
        must: must.to_string(),
    }
}

/// Clusters whose log backup this process may be running.
pub fn streaming(m: &Model) -> impl Iterator<Item = &ClusterName> {
    let fleet = m.store.fleet().unwrap_or_default().iter();
    fleet.filter(|c| c.log.actual == LogActual::Streaming).map(|c| &c.name)
}

/// Opens a form, and asks for what it shows.
pub fn open(m: &mut Model, subject: Subject) -> Vec<Effect> {
    let protected = |c: &ClusterName| m.store.card(c).is_some_and(|card| card.protected);
    let (fields, buttons): (Vec<Field>, Vec<&str>) = match &subject {
        Subject::BackupNow { .. } => (
            vec![
                text("Note", "", "optional"),
                text("Keep days", "", "empty: until deleted"),
            ],
            vec!["Cancel", "Back up now"],
        ),
        Subject::Settings { cluster, was } => {
            let mut fields = settings_fields(was);
            fields.extend(protected(cluster).then(|| typed(cluster)));
            (fields, vec!["Cancel", "Confirm"])
        }
        Subject::Verify { .. } => (
            vec![choice("Level", &["files", "checksums", "test restore"], 1)],
            vec!["Cancel", "Verify"],
        ),
        Subject::Protect { on, .. } => (Vec::new(), vec!["No", if *on { "Protect" } else { "Unprotect" }]),
        Subject::Delete { cluster, .. } => (vec![typed(cluster)], vec!["Cancel", "Delete"]),
        Subject::Undelete { .. } => (Vec::new(), vec!["No", "Undelete"]),
        Subject::Marked(marked) => {
            let field = match marked.act {
                Act::Verify => Some(choice("Level", &["files", "checksums", "test restore"], 1)),
                Act::Delete => Some(typed(&marked.cluster)),
                Act::Protect | Act::Unprotect | Act::Undelete => None,
            };
            (field.into_iter().collect(), vec!["Cancel", marked.button()])
        }
        Subject::Retention { cluster } => (
            protected(cluster).then(|| typed(cluster)).into_iter().collect(),
            vec!["Cancel", "Delete what goes"],
        ),
        Subject::Log { cluster, act } => {
            let typed_stop = *act == LogAct::Stop && protected(cluster);
            (
                typed_stop.then(|| typed(cluster)).into_iter().collect(),
                vec!["No", act_word(*act)],
            )
        }
        Subject::Purge { cluster } => (
            vec![
                text("Purge up to", "", "2026-11-20 02:00, 7d ago, TSO"),
                choice("Oldest base", &["keep its point-in-time", "give it up too"], 0),
                typed(cluster),
            ],
            vec!["Cancel", "Purge log"],
        ),
        Subject::OpenCluster { .. } => (Vec::new(), vec!["No", "Open"]),
        Subject::Cancel { job } => {
            let loud = m
                .store
                .job(*job)
                .filter(|j| overwrites(j) && j.state != JobState::Queued)
                .map(|j| typed(&j.cluster));
            (loud.into_iter().collect(), vec!["No, go on", "Cancel the job"])
        }
        Subject::Resume { .. } => (Vec::new(), vec!["No", "Continue"]),
        // What others started here is not for somebody to stop who may only look.
        Subject::Quit if m.is_read_only() => (Vec::new(), vec!["Stay", "Leave running"]),
        Subject::Quit => (Vec::new(), vec!["Stay", "Leave running", "Stop and quit"]),
        Subject::Suspend => (Vec::new(), vec!["Stay", "Suspend"]),
        Subject::Accident { .. } => (Vec::new(), vec!["No", "Do it"]),
        Subject::Traffic { on, .. } => (Vec::new(), vec!["No", if *on { "Start" } else { "Stop" }]),
    };
    let mut form = Form::new(subject.clone(), fields, &buttons);
    match &subject {
        // A note is optional: the buttons have the focus, with Cancel in it.
        Subject::BackupNow { .. } => form.focus = form.fields.len() - 1,
        Subject::Quit => {
            if let Some(Field::Buttons { at, .. }) = form.fields.last_mut() {
                *at = 1;
            }
        }
        _ => {}
    }
    m.popups.push(Popup::Form(Box::new(form)));
    first_questions(m, &subject)
}

fn settings_fields(was: &BackupSettings) -> Vec<Field> {
    let on_off = |on: bool| usize::from(!on);
    vec![
        text("Backup Time", was.backup_time.to_string(), "HH:MM, cluster's zone"),
        text("Backup Retention", was.retention_days.to_string(), "days, 7 to 90"),
        choice("Daily schedule", &["on", "off"], on_off(was.schedule)),
        choice("Point-in-time", &["on", "off"], on_off(was.pitr)),
    ]
}

fn first_questions(m: &mut Model, subject: &Subject) -> Vec<Effect> {
    match subject {
        Subject::Settings { cluster, was } => {
            let (cluster, settings) = (cluster.clone(), was.clone());
            vec![
                m.store
                    .ask_anew(Query::Preview, Question::PreviewSettings { cluster, settings }),
            ]
        }
        Subject::Delete { cluster, id } => {
            let (cluster, id) = (cluster.clone(), id.clone());
            vec![
                m.store
                    .ask_anew(Query::DeletePlan, Question::PlanDelete { cluster, id }),
            ]
        }
        Subject::Purge { .. } => {
            m.store.forget(&Query::TruncatePlan);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// A field of the open form changed: what it shows is asked for anew.
pub fn changed(m: &mut Model, form: &mut Form) -> Vec<Effect> {
    match form.subject.clone() {
        Subject::Settings { cluster, was } => match settings(form, &was) {
            Ok(settings) => vec![
                m.store
                    .ask_anew(Query::Preview, Question::PreviewSettings { cluster, settings }),
            ],
            Err(why) => {
                form.error = Some(why);
                Vec::new()
            }
        },
        Subject::Purge { cluster } if form.focus < 2 => match until(m, form) {
            Ok(until) => {
                let drop_pitr = form.choice(1) == 1;
                let question = Question::PlanTruncate {
                    cluster,
                    until,
                    drop_pitr,
                };
                vec![m.store.ask_anew(Query::TruncatePlan, question)]
            }
            Err(_) => {
                m.store.forget(&Query::TruncatePlan);
                Vec::new()
            }
        },
        _ => Vec::new(),
    }
}

/// The settings as they are typed.
pub fn settings(form: &Form, was: &BackupSettings) -> Result<BackupSettings, String> {
    let days = form.text(1);
    let days: u32 = days
        .parse()
        .map_err(|_| format!("Backup Retention `{days}` is not a number of days."))?;
    Ok(BackupSettings {
        backup_time: form.text(0).parse().map_err(|e| format!("{e}."))?,
        retention_days: RetentionDays::new(days).map_err(|e| format!("{e}."))?,
        schedule: form.choice(2) == 0,
        pitr: form.choice(3) == 0,
        time_zone: was.time_zone,
    })
}

fn until(m: &Model, form: &Form) -> Result<Moment, String> {
    let when = time::parse_when(form.text(0), m.zone_here(), m.now).map_err(|e| e.to_string())?;
    Ok(when.moment())
}

/// The n-th button was pressed: the act, or why it is not done.
pub fn press(m: &mut Model, form: &Form, button: usize) -> Result<Vec<Effect>, String> {
    let confirm_name = form.confirmed()?;
    let subject = form.subject.clone();
    let label = subject.title(m);
    let (then, question) = match subject {
        Subject::Quit => {
            let exit = if button == 1 { Exit::LeaveRunning } else { Exit::Quit };
            return Ok(vec![Effect::Quit(exit)]);
        }
        Subject::Suspend => {
            // Work went on while the form was open.
            enabled(Cmd::Suspend, m).map_err(|why| format!("Not now: {why}."))?;
            return Ok(vec![Effect::Suspend]);
        }
        Subject::Marked(marked) => {
            let level = LEVELS.get(form.choice(0)).copied().unwrap_or(ProofLevel::Checksums);
            let questions = marked.questions(level, confirm_name.as_deref());
            if let Some(list) = m.list_mut() {
                list.marks.clear();
            }
            let effects = questions.into_iter().map(|(label, q)| m.act(label, Then::Tell, q));
            return Ok(effects.collect());
        }
        Subject::BackupNow { cluster } => (Then::Tell, backup_now(form, cluster)?),
        Subject::Settings { cluster, was } => {
            let settings = settings(form, &was)?;
            (
                Then::Tell,
                Question::SetSettings {
                    cluster,
                    settings,
                    confirm_name,
                },
            )
        }
        Subject::Verify { cluster, id } => {
            let level = LEVELS.get(form.choice(0)).copied().unwrap_or(ProofLevel::Checksums);
            (
                Then::Tell,
                Question::Verify {
                    cluster,
                    id,
                    level,
                    scratch: None,
                },
            )
        }
        Subject::Protect { cluster, id, on } => (Then::Tell, Question::Protect { cluster, id, on }),
        Subject::Delete { cluster, id } => {
            delete_is_planned(m)?;
            (
                Then::Tell,
                Question::Delete {
                    cluster,
                    id,
                    confirm_name,
                },
            )
        }
        Subject::Undelete { cluster, id } => (Then::Tell, Question::Undelete { cluster, id }),
        Subject::Retention { cluster } => (Then::Tell, Question::RunRetention { cluster, confirm_name }),
        Subject::Log { cluster, act } => (
            Then::Tell,
            Question::Log {
                cluster,
                act,
                confirm_name,
            },
        ),
        Subject::Purge { cluster } => {
            let until = truncate_is_planned(m)?;
            let drop_pitr = form.choice(1) == 1;
            (
                Then::Tell,
                Question::Truncate {
                    cluster,
                    until,
                    drop_pitr,
                    confirm_name,
                },
            )
        }
        Subject::OpenCluster { cluster } => (Then::Tell, Question::Open { cluster }),
        Subject::Cancel { job } => (Then::Tell, Question::CancelJob { id: job, confirm_name }),
        Subject::Resume { job } => (Then::Follow, Question::ResumeJob { id: job }),
        Subject::Accident { cluster, kind } => (Then::Tell, Question::Accident { cluster, kind }),
        Subject::Traffic { cluster, on } => {
            let rate = if on { TRAFFIC } else { 0 };
            let question = DataQuestion::Traffic { rate, seconds: None };
            (Then::Tell, Question::Data { cluster, question })
        }
    };
    Ok(vec![m.act(label, then, question)])
}

fn backup_now(form: &Form, cluster: ClusterName) -> Result<Question, String> {
    let keep_days = match form.text(1) {
        "" => None,
        days => {
            let days: u32 = days.parse().map_err(|_| format!("`{days}` is not a number of days."))?;
            Some(days)
                .filter(|d| *d > 0)
                .map(Some)
                .ok_or("Keep it at least 1 day.")?
        }
    };
    let note = Some(form.text(0).to_owned()).filter(|n| !n.is_empty());
    let request = BackupRequest {
        note,
        keep_days,
        ..BackupRequest::default()
    };
    Ok(Question::TakeBackup { cluster, request })
}

/// Nothing is deleted whose consequences were not shown.
fn delete_is_planned(m: &Model) -> Result<(), String> {
    let plan = m
        .store
        .delete_plan()
        .ok_or("What would be lost is not known yet: wait for the plan.")?;
    plan.refused
        .as_ref()
        .map_or(Ok(()), |why| Err(format!("It cannot be deleted: {why}")))
}

fn truncate_is_planned(m: &Model) -> Result<Moment, String> {
    let plan = m
        .store
        .truncate_plan()
        .ok_or("Type a moment first; what would go is shown before anything does.")?;
    plan.refused
        .as_ref()
        .map_or(Ok(plan.until), |why| Err(format!("Refused: {why}")))
}

/// The menu of the log backup.
pub fn log_menu(m: &Model, cluster: &ClusterName) -> Menu {
    let status = m.store.card(cluster).map(|c| &c.log);
    let desired = status.and_then(|s| s.desired);
    let failed = status.is_some_and(|s| matches!(s.actual, LogActual::Failed { .. } | LogActual::NoRunner));
    let act = |key, what: &str, act: LogAct, off: Option<&str>| Item {
        key,
        label: format!("{}  {what}", act_word(act)),
        pick: match off {
            None => Ok(Pick::Open(Box::new(Subject::Log {
                cluster: cluster.clone(),
                act,
            }))),
            Some(why) => Err(why.to_owned()),
        },
    };
    let (running, paused) = (
        desired == Some(LogDesired::Running),
        desired == Some(LogDesired::Paused),
    );
    let on = running || paused;
    let unless = |ok: bool, why: &'static str| (!ok).then_some(why);
    let purge = Item {
        key: 'u',
        label: "Purge log  delete archived log up to a moment".to_owned(),
        pick: Ok(Pick::Open(Box::new(Subject::Purge {
            cluster: cluster.clone(),
        }))),
    };
    let items = vec![
        act(
            's',
            "archive every change from now on",
            LogAct::Start,
            unless(!on, "it is on already"),
        ),
        act('p', "hold for now", LogAct::Pause, unless(running, "it is not running")),
        act(
            'r',
            "go on",
            LogAct::Resume,
            unless(paused || failed, "it is not paused"),
        ),
        act(
            'f',
            "archive everything up to now",
            LogAct::Flush,
            unless(running, "it is not running"),
        ),
        act('x', "end it for good", LogAct::Stop, unless(on, "it is not on")),
        purge,
    ];
    Menu::new(format!("Log backup of {cluster}"), items)
}

/// The demo's menu of accidents.
pub fn accident_menu(cluster: &ClusterName) -> Menu {
    let item = |key, kind: Accident| Item {
        key,
        label: accident_word(kind).to_owned(),
        pick: Ok(Pick::Open(Box::new(Subject::Accident {
            cluster: cluster.clone(),
            kind,
        }))),
    };
    let kinds = [
        ('d', Accident::DropTable),
        ('m', Accident::MassDelete),
        ('u', Accident::BadUpdate),
    ];
    let items = kinds.into_iter().map(|(key, kind)| item(key, kind)).collect();
    Menu::new(format!("Demo: cause an accident on {cluster}"), items)
}

/// The menu of what can be copied here.
pub fn copy_menu(things: Vec<(char, &str, String)>) -> Menu {
    let items = things
        .into_iter()
        .map(|(key, what, text)| {
            let label = match text.lines().count() {
                0 | 1 => format!("{what}: {}", crate::tui::paint::safe(&text)),
                lines => format!("{what}, {lines} lines"),
            };
            Item {
                key,
                label,
                pick: Ok(Pick::Copy(text)),
            }
        })
        .collect();
    Menu::new("Copy to the terminal's clipboard", items)
}

/// The menu of bases that a plan could start from.
pub fn base_menu(m: &Model, plan: &RestorePlan) -> Menu {
    let keys = "123456789".chars();
    let items = plan.alternatives.iter().zip(keys).map(|(other, key)| {
        let mut request = plan.request.clone();
        request.base = Some(other.id.clone());
        Item {
            key,
            label: format!("{}  {}", m.stamp(other.commit.at), other.reason),
            pick: Ok(Pick::Replan(Box::new(request))),
        }
    });
    Menu::new(
        format!("Plan from another base than {}", m.stamp(plan.base.commit.at)),
        items.collect(),
    )
}
