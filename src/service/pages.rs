//! The fleet and the page of one cluster, put together from facts.

use std::sync::Arc;

use super::desk::{ClusterCard, ClusterPage, IncarnationView, NextRun, Refusal, UndoOffer};
use super::health::{self, Facts};
use super::local::LocalDesk;
use super::ward::Ward;
use super::{astray, database};
use crate::archive::state::WayBackKind;
use crate::cluster::ClusterState;
use crate::config::ClusterSource;
use crate::engine::incarnation;
use crate::engine::log::status::{self, Runner};
use crate::engine::view::View;
use crate::jobs::journal::JobQuery;
use crate::jobs::schedule::{self, Scheduled, Standing};
use crate::model::clock::Millis;
use crate::model::job::{JobState, Verb};
use crate::model::log::LogStatus;
use crate::model::position::Moment;
use crate::model::settings::BackupSettings;

/// So many archives are read at the same time.
const READERS: usize = 8;

impl LocalDesk {
    /// All clusters, worst first.
    pub(super) fn fleet(&self) -> Result<Vec<ClusterCard>, Refusal> {
        self.wards.all().for_each(|w| w.ask_facts());
        let wards: Vec<&Arc<Ward>> = self.wards.all().collect();
        // Reading an archive is waiting for storage, most of the time: several at once.
        let share = wards.len().div_ceil(READERS).max(1);
        let card = |w: &&Arc<Ward>| self.card(w).map(|(card, _)| card);
        let read = |some: &[&Arc<Ward>]| some.iter().map(card).collect::<Result<Vec<_>, _>>();
        let shares: Vec<_> = std::thread::scope(|scope| {
            let work = |some| scope.spawn(move || read(some));
            let threads: Vec<_> = wards.chunks(share).map(work).collect();
            let lost = |_| {
                Err(super::refusal::failed(
                    "reading an archive failed in brine itself".to_owned(),
                ))
            };
            threads.into_iter().map(|t| t.join().unwrap_or_else(lost)).collect()
        });
        let mut cards = Vec::with_capacity(wards.len());
        for read in shares {
            cards.extend(read?);
        }
        cards.sort_by(|a, b| b.health.level.cmp(&a.health.level).then_with(|| a.name.cmp(&b.name)));
        Ok(cards)
    }

    /// One cluster's line, and the archive it was read from.
    fn card(&self, ward: &Arc<Ward>) -> Result<(ClusterCard, Option<View>), Refusal> {
        let now = self.clock.now();
        let facts = ward.facts();
        // An archive that cannot be read makes its cluster's line bad, not the whole fleet unreadable.
        let (view, archive_error) = match ward.view() {
            Ok(view) => (view, None),
            Err(e) => (None, Some(e)),
        };
        let (state, product, address) = match &facts {
            Ok(f) => (f.state.clone(), f.version.clone(), f.address.clone()),
            Err(state) => (
                state.clone(),
                database::product(&ward.config.source).to_owned(),
                Some(ward.place()).filter(|_| matches!(ward.config.source, ClusterSource::Mysql(_))),
            ),
        };
        let state = match archive_error {
            Some(e) => ClusterState::Unreachable {
                error: format!("its archive: {e}"),
            },
            None => state,
        };
        let mut log = log_status(view.as_ref(), self.runner_of(ward), now);
        log.astray = facts
            .as_ref()
            .ok()
            .and_then(|facts| astray::astray(ward.name(), &log, facts));
        let next_run = self.next_run(ward, view.as_ref(), now)?;
        let query = JobQuery {
            cluster: Some(ward.name().clone()),
            verb: None,
            limit: Some(5),
        };
        let jobs = self.runner.list(&query).map_err(super::refusal::of_job)?;
        let interrupted = jobs.iter().find(|j| matches!(j.verb, Verb::Restore | Verb::Undo));
        let interrupted = interrupted.filter(|j| j.state == JobState::Interrupted).map(|j| j.id);
        let health = health::health(&Facts {
            state: &state,
            view: view.as_ref(),
            log: &log,
            next_run: &next_run,
            interrupted,
            now,
        });
        let job = jobs.into_iter().find(|j| !j.state.is_over());
        let window = view.as_ref().map(View::window).unwrap_or_default();
        let card = ClusterCard {
            name: ward.name().clone(),
            product,
            address,
            health,
            window,
            backups: view.as_ref().map_or(0, |v| v.backups.len() as u64),
            last_backup: view.as_ref().and_then(|v| v.backups.last()).map(|b| b.commit.at),
            next_run,
            stored_bytes: view.as_ref().map_or(0, stored_bytes),
            proof: view.as_ref().and_then(newest_proof),
            protected: ward.config.protected,
            state,
            log,
            job,
        };
        Ok((card, view))
    }

    /// What is known of the log's task.
    pub(super) fn runner_of(&self, ward: &Ward) -> Runner {
        ward.keeper.runner()
    }

    /// What the schedule needs to know of a cluster.
    pub(super) fn scheduled(ward: &Ward, view: Option<&View>) -> Scheduled {
        Scheduled {
            cluster: ward.name().clone(),
            settings: view.map(|v| v.settings.clone()).unwrap_or_default(),
            newest_backup: view.and_then(|v| v.bases().last().map(|b| b.commit.at)),
        }
    }

    fn next_run(&self, ward: &Ward, view: Option<&View>, now: Millis) -> Result<NextRun, Refusal> {
        let scheduled = Self::scheduled(ward, view);
        let facts =
            schedule::facts(self.runner.journal().reader(), &scheduled, now).map_err(super::refusal::of_journal)?;
        Ok(match schedule::standing(&facts, now) {
            None | Some(Standing::Off) => NextRun::Off,
            Some(Standing::NotYet { next } | Standing::NeverRan { next }) => NextRun::At { at: next },
            Some(Standing::Due { slot } | Standing::Running { slot, .. }) => NextRun::At { at: slot },
            Some(Standing::Overdue { next_try: Some(at), .. }) => NextRun::Retry { at },
            Some(Standing::Overdue { slot, next_try: None }) => NextRun::Overdue { since: slot },
        })
    }

    /// One cluster's page.
    pub(super) fn page(&self, ward: &Arc<Ward>) -> Result<ClusterPage, Refusal> {
        let (card, view) = self.card(ward)?;
        let now = self.clock.now();
        let settings = settings_of(ward, view.as_ref());
        let (traffic, traffic_error) = ward.traffic.seen();
        Ok(ClusterPage {
            next_runs: match settings.schedule {
                true => next_runs(&settings, now),
                false => Vec::new(),
            },
            facts: ward.facts().ok(),
            storages: ward.config.storages.clone(),
            location: self.location(ward)?,
            incarnations: view.as_ref().map(incarnations).unwrap_or_default(),
            undo: view.as_ref().and_then(|v| undo_offer(v, now)),
            in_trash: view.as_ref().map_or(0, |v| v.trash.len() as u64),
            settings,
            traffic,
            traffic_error,
            card,
        })
    }

    fn location(&self, ward: &Ward) -> Result<String, Refusal> {
        let storage = self.wards.config().storage(ward.storage_name()?);
        let url = storage.map(|s| s.place.url()).unwrap_or_default();
        Ok(format!("{url}/backup-{}", ward.name()))
    }

    /// The log backup of one cluster.
    pub(super) fn log_status(&self, ward: &Ward) -> Result<LogStatus, Refusal> {
        let mut log = log_status(ward.view()?.as_ref(), self.runner_of(ward), self.clock.now());
        log.astray = astray::asked(ward, &log);
        Ok(log)
    }
}

/// The settings in effect: the archive's, with the config's zone while nobody has set any.
pub(super) fn settings_of(ward: &Ward, view: Option<&View>) -> BackupSettings {
    match view {
        Some(view) if view.settings != BackupSettings::default() => view.settings.clone(),
        _ => BackupSettings {
            time_zone: ward.config.time_zone,
            ..BackupSettings::default()
        },
    }
}

fn log_status(view: Option<&View>, runner: Runner, now: Millis) -> LogStatus {
    match view {
        Some(view) => status::status(view, runner, now),
        None => LogStatus::none(),
    }
}

fn stored_bytes(view: &View) -> u64 {
    view.backups.iter().map(|b| b.stored_bytes).sum::<u64>() + view.log.stored_bytes
}

/// The proof of the newest backup that has one that held.
fn newest_proof(view: &View) -> Option<(crate::model::backup::ProofLevel, Millis)> {
    let proved = view.backups.iter().rev().filter_map(|b| view.proof(&b.id));
    proved.filter(|p| p.failed.is_none()).map(|p| (p.level, p.at)).next()
}

fn next_runs(settings: &BackupSettings, now: Millis) -> Vec<Millis> {
    let mut runs = Vec::new();
    let mut after = now;
    while settings.schedule && runs.len() < 3 {
        let Some(next) = schedule::slot_after(settings, after) else {
            break;
        };
        runs.push(next);
        after = next;
    }
    runs
}

fn incarnations(view: &View) -> Vec<IncarnationView> {
    let list = view.incarnations.list.iter();
    list.map(|i| IncarnationView {
        id: i.id,
        began: i.began,
        restored_to: i.restored_to,
    })
    .collect()
}

/// The way back of the last restore, while it is offered.
pub(super) fn undo_offer(view: &View, now: Millis) -> Option<UndoOffer> {
    let way_back = incarnation::way_back(&view.incarnations).filter(|w| w.until >= now)?;
    let to: Moment = match &way_back.kind {
        WayBackKind::Bookmark { at, .. } => *at,
        WayBackKind::Snapshot { id } => view.backup(id).ok()?.commit,
    };
    Some(UndoOffer {
        to,
        until: way_back.until,
    })
}
