//! The screens, an enum because the set is closed: what each shows, needs, and is called.

use crate::model::ids::ClusterName;
use crate::service::desk::Question;
use crate::tui::commands::Scope;
use crate::tui::event::Query;
use crate::tui::list::{Ids, List};
use crate::tui::model::Model;
use crate::tui::paint::Painter;
use crate::tui::view::ViewCache;

use ratatui::layout::Rect;

pub mod backup;
pub mod fleet;
pub mod in_effect;
pub mod jobs;
pub mod log;
pub mod messages;
pub mod overview;
pub mod plan;
pub mod receipt;
pub mod restore;
pub mod restore_request;
pub mod restore_view;
pub mod retention;
pub mod run;
pub mod schema;
pub mod side;
pub mod storages;
pub mod timeline;
pub mod timeline_view;

/// A screen with its state.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // each is documented in its module
pub enum Screen {
    Fleet(fleet::Fleet),
    Backup(backup::Backup),
    Log(log::Log),
    Timeline(timeline::Timeline),
    Overview(overview::Overview),
    Retention(retention::Retention),
    InEffect(List),
    Schema(schema::Schema),
    Restore(Box<restore::Restore>),
    Plan(Box<plan::Plan>),
    Jobs(List),
    Run(run::Run),
    Storages(List),
    Messages(List),
}

/// What a screen needs to know, as questions.
pub type Wants = Vec<(Query, Question)>;

impl Screen {
    /// Where its commands are looked up.
    pub fn scope(&self) -> Scope {
        match self {
            Screen::Fleet(_) => Scope::Fleet,
            Screen::Backup(_) => Scope::Backup,
            Screen::Log(_) => Scope::Log,
            Screen::Timeline(_) => Scope::Timeline,
            Screen::Overview(_) => Scope::Overview,
            Screen::Retention(_) => Scope::Retention,
            Screen::InEffect(_) => Scope::InEffect,
            Screen::Schema(_) => Scope::Schema,
            Screen::Restore(_) => Scope::Restore,
            Screen::Plan(_) => Scope::Plan,
            Screen::Jobs(_) => Scope::Jobs,
            Screen::Run(_) => Scope::Run,
            Screen::Storages(_) => Scope::Storages,
            Screen::Messages(_) => Scope::Messages,
        }
    }

    /// The cluster it is about.
    pub fn cluster(&self, m: &Model) -> Option<ClusterName> {
        match self {
            Screen::Fleet(s) => s.selected(m).map(|c| c.name.clone()),
            Screen::Backup(s) => Some(s.cluster.clone()),
            Screen::Log(s) => Some(s.cluster.clone()),
            Screen::Timeline(s) => Some(s.cluster.clone()),
            Screen::Overview(s) => Some(s.cluster.clone()),
            Screen::Retention(s) => Some(s.cluster.clone()),
            Screen::Schema(s) => Some(s.cluster.clone()),
            Screen::Restore(s) => Some(s.cluster.clone()),
            Screen::Plan(s) => Some(s.source.clone()),
            Screen::Jobs(list) => jobs::selected(m, list).map(|j| j.cluster.clone()),
            Screen::Run(s) => m.store.job(s.job).map(|j| j.cluster.clone()),
            Screen::Storages(_) | Screen::Messages(_) | Screen::InEffect(_) => None,
        }
    }

    /// Its list, if it is one.
    pub fn list_mut(&mut self) -> Option<&mut List> {
        match self {
            Screen::Fleet(s) => Some(&mut s.list),
            Screen::Backup(s) => Some(&mut s.list),
            Screen::Log(s) => Some(&mut s.list),
            Screen::Timeline(s) => Some(&mut s.list),
            Screen::Retention(s) => Some(&mut s.list),
            Screen::Schema(s) => Some(&mut s.list),
            Screen::Restore(s) => s.list_mut(),
            Screen::Jobs(list) | Screen::Storages(list) | Screen::Messages(list) | Screen::InEffect(list) => Some(list),
            Screen::Plan(_) | Screen::Run(_) | Screen::Overview(_) => None,
        }
    }

    /// Its list, if it is one.
    pub fn list(&self) -> Option<&List> {
        match self {
            Screen::Fleet(s) => Some(&s.list),
            Screen::Backup(s) => Some(&s.list),
            Screen::Log(s) => Some(&s.list),
            Screen::Timeline(s) => Some(&s.list),
            Screen::Retention(s) => Some(&s.list),
            Screen::Schema(s) => Some(&s.list),
            Screen::Restore(s) => s.list(),
            Screen::Jobs(list) | Screen::Storages(list) | Screen::Messages(list) | Screen::InEffect(list) => Some(list),
            Screen::Plan(_) | Screen::Run(_) | Screen::Overview(_) => None,
        }
    }

    /// The ids of its list's lines, filtered, in the order shown.
    pub fn ids<'a>(&self, m: &'a Model) -> Ids<'a> {
        match self {
            Screen::Fleet(s) => s.rows(m).iter().map(|c| c.name.as_str().into()).collect(),
            Screen::Backup(s) => s.rows(m).iter().map(|b| b.summary.id.as_str().into()).collect(),
            Screen::Log(s) => s.rows(m).iter().map(|c| c.id.as_str().into()).collect(),
            Screen::Timeline(s) => s.rows(m).iter().map(|c| c.id.as_str().into()).collect(),
            Screen::Schema(s) => s.rows(m).iter().map(|t| t.name.to_string().into()).collect(),
            Screen::Restore(s) => s.ids(m),
            Screen::Jobs(list) => jobs::rows(m, list).iter().map(|j| j.id.to_string().into()).collect(),
            Screen::Storages(list) => storages::rows(m, list).iter().map(|s| s.name.as_str().into()).collect(),
            Screen::Messages(list) => messages::rows(m, list).into_iter().map(|(id, _)| id.into()).collect(),
            Screen::Retention(s) => s.rows(m).iter().map(|l| l.id.as_str().into()).collect(),
            Screen::InEffect(list) => in_effect::rows(m, list)
                .into_iter()
                .map(|(key, ..)| key.into())
                .collect(),
            Screen::Plan(_) | Screen::Run(_) | Screen::Overview(_) => Vec::new(),
        }
    }

    /// The orders its list can be sorted by; the first one is how it comes.
    pub fn orders(&self) -> &'static [&'static str] {
        match self {
            Screen::Fleet(_) => &fleet::ORDERS,
            Screen::Backup(_) => &backup::ORDERS,
            Screen::Schema(_) => &schema::ORDERS,
            _ => &[],
        }
    }

    /// What it needs to know.
    pub fn wants(&self, m: &Model) -> Wants {
        let mut wants = self.own_wants(m);
        if side::fits(m) {
            wants.extend(side::wants(self, m));
        }
        wants
    }

    fn own_wants(&self, m: &Model) -> Wants {
        match self {
            Screen::Fleet(s) => {
                let selected = s.selected(m).map(|c| page(&c.name)).unwrap_or_default();
                [vec![(Query::Fleet, Question::Fleet)], selected].concat()
            }
            Screen::Backup(s) => s.wants(m),
            Screen::Log(s) => s.wants(),
            Screen::Timeline(s) => s.wants(m),
            Screen::Overview(s) => s.wants(m),
            Screen::Retention(s) => s.wants(m),
            Screen::InEffect(_) => vec![(Query::InEffect, Question::InEffect)],
            Screen::Schema(s) => s.wants(m),
            Screen::Restore(s) => s.wants(m),
            Screen::Plan(s) => page(&s.source),
            Screen::Jobs(_) => vec![jobs::ask()],
            Screen::Run(s) => s.wants(m),
            Screen::Storages(_) => vec![(Query::Storages, Question::Storages)],
            Screen::Messages(_) => vec![(Query::Messages, Question::Messages { limit: 500 })],
        }
    }

    /// The words of the breadcrumb behind `brine`.
    pub fn crumbs(&self, m: &Model) -> Vec<String> {
        let cluster = |c: &ClusterName, page: &str| vec![c.to_string(), page.to_owned()];
        match self {
            Screen::Fleet(_) => vec!["Clusters".to_owned()],
            Screen::Backup(s) => cluster(&s.cluster, if s.trash { "Backup with trash" } else { "Backup" }),
            Screen::Log(s) => cluster(&s.cluster, "Log"),
            Screen::Timeline(s) => cluster(&s.cluster, "Timeline"),
            Screen::Overview(s) => cluster(&s.cluster, "Overview"),
            Screen::Retention(s) => cluster(&s.cluster, "Retention"),
            Screen::InEffect(_) => vec!["Settings in effect".to_owned()],
            Screen::Schema(s) => cluster(&s.cluster, "Schema"),
            Screen::Restore(s) => cluster(&s.cluster, "Restore 1/2"),
            Screen::Plan(s) => cluster(&s.source, &s.title(m)),
            Screen::Jobs(_) => vec!["Jobs".to_owned()],
            Screen::Run(s) => run::crumbs(m, s),
            Screen::Storages(_) => vec!["Storages".to_owned()],
            Screen::Messages(_) => vec!["Messages".to_owned()],
        }
    }

    /// Paints it.
    pub fn view(&self, m: &Model, cache: &mut ViewCache, p: &mut Painter<'_>, area: Rect) {
        match self {
            Screen::Fleet(s) => s.view(m, cache, p, area),
            Screen::Backup(s) => s.view(m, cache, p, area),
            Screen::Log(s) => s.view(m, cache, p, area),
            Screen::Timeline(s) => timeline_view::view(s, m, cache, p, area),
            Screen::Overview(s) => s.view(m, p, area),
            Screen::Retention(s) => s.view(m, cache, p, area),
            Screen::InEffect(list) => in_effect::view(m, list, cache, p, area),
            Screen::Schema(s) => s.view(m, cache, p, area),
            Screen::Restore(s) => restore_view::view(s, m, cache, p, area),
            Screen::Plan(s) => s.view(m, p, area),
            Screen::Jobs(list) => jobs::view(m, list, cache, p, area),
            Screen::Run(s) => s.view(m, p, area),
            Screen::Storages(list) => storages::view(m, list, cache, p, area),
            Screen::Messages(list) => messages::view(m, list, cache, p, area),
        }
    }
}

/// The page of a cluster and its backups, as questions.
fn page_and_backups(cluster: &ClusterName, deleted: bool) -> Wants {
    let mut wants = page(cluster);
    wants.push(backups(cluster, deleted));
    wants
}

/// The backups of a cluster, or what was deleted of them, as a question.
fn backups(cluster: &ClusterName, deleted: bool) -> (Query, Question) {
    let question = Question::Backups {
        cluster: cluster.clone(),
        deleted,
    };
    (Query::Backups(cluster.clone(), deleted), question)
}

/// The page of a cluster, as a question.
pub fn page(cluster: &ClusterName) -> Wants {
    let question = Question::Cluster {
        cluster: cluster.clone(),
    };
    vec![(Query::Cluster(cluster.clone()), question)]
}
