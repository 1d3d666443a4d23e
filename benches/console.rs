//! The console's budgets: how long an event and its picture take with many clusters and backups, and what the whole program
//! costs on a terminal.
//!
//! `cargo bench --bench console` prints each budget with the median and the worst of what was measured, and ends with 1
//! when one is not kept. `-- model` or `-- program` measures only the one or the other.
//!
//! The model's steps are walked several times, each time from a fresh start, and each step counts with its shortest time:
//! what other programs do on the machine meanwhile is not ours. The program is measured as it is.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

#[path = "console/process.rs"]
mod process;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brine::cluster::ClusterState;
use brine::model::backup::{BackupEntry, BackupStatus, BackupSummary, BackupType, KeptTo, PitrTo};
use brine::model::checksum::TableChecksum;
use brine::model::clock::Millis;
use brine::model::ids::{BackupId, ClusterName, IncarnationId};
use brine::model::log::{LogActual, LogDesired, LogRun, LogStatus};
use brine::model::position::{Moment, Position};
use brine::model::settings::BackupSettings;
use brine::model::tso::Tso;
use brine::model::window::{Base, Window};
use brine::service::desk::*;
use brine::tui::Options;
use brine::tui::event::{Effect, Event, What};
use brine::tui::glyphs::UNICODE;
use brine::tui::keys::{Key, Keymap};
use brine::tui::model::Model;
use brine::tui::theme::{Depth, Theme};
use brine::tui::update::update;
use brine::tui::view::{Look, ViewCache, view};
use crossterm::event::{KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const NOW: Millis = Millis(1_795_140_432_000);
const CLUSTERS: usize = 500;
/// Of one cluster, as a list; each of the others has 200 in its window.
const BACKUPS: usize = 100_000;
const EACH: usize = 200;
/// How often the steps are walked.
const ROUNDS: usize = 5;
const SIZE: (u16, u16) = (120, 36);

fn at_of(now: Millis, minutes_ago: usize) -> Moment {
    Moment::of_tso(Tso::from_millis(now.plus(-(minutes_ago as i64) * Millis::MINUTE)))
}

fn at(minutes_ago: usize) -> Moment {
    at_of(NOW, minutes_ago)
}

fn id(n: usize) -> BackupId {
    BackupId::new(format!("backup-{n:06}")).unwrap()
}

fn window(bases: usize) -> Window {
    let base = |n: usize| Base {
        id: id(n),
        commit: at(n * 10 + 1),
        incarnation: IncarnationId(1),
    };
    let from = at(bases * 10 + 2);
    let run = LogRun {
        incarnation: IncarnationId(1),
        from,
        from_position: Position::Tso(from.last_tso()),
        to: at(0),
        to_position: Position::Tso(at(0).last_tso()),
        first_seq: 0,
        end_seq: 1,
        first_hash: String::new(),
        last_hash: String::new(),
        ended: None,
        lacking: Vec::new(),
        waiting: Vec::new(),
    };
    Window::new((0..bases).map(base).collect(), &[run])
}

fn card(n: usize) -> ClusterCard {
    ClusterCard {
        name: ClusterName::new(format!("cluster-{n:03}")).unwrap(),
        product: "embedded 0.1".to_owned(),
        address: None,
        state: ClusterState::Available,
        health: Health {
            level: HealthLevel::Ok,
            word: "ok".to_owned(),
            reasons: Vec::new(),
        },
        log: LogStatus {
            desired: Some(LogDesired::Running),
            actual: LogActual::Streaming,
            checkpoint: Some(at(0)),
            ..LogStatus::none()
        },
        window: window(if n == 0 { BACKUPS } else { EACH }),
        backups: BACKUPS as u64,
        last_backup: Some(NOW),
        next_run: NextRun::At {
            at: NOW.plus(Millis::HOUR),
        },
        stored_bytes: 1 << 40,
        proof: None,
        protected: false,
        job: None,
    }
}

fn summary(id: BackupId, n: usize) -> BackupSummary {
    BackupSummary {
        id,
        cluster: ClusterName::new("cluster-000").unwrap(),
        cluster_identity: "0123456789abcdef0123456789abcdef".into(),
        incarnation: IncarnationId(1),
        kind: if n.is_multiple_of(7) {
            BackupType::Manual
        } else {
            BackupType::Auto
        },
        commit: at(n),
        position: Position::Tso(at(n).last_tso()),
        started: at(n).at,
        finished: at(n).at,
        tables: 10,
        totals: TableChecksum::default(),
        stored_bytes: 1 << 30,
        objects: 9,
        filter: Vec::new(),
        keep_days: None,
        note: None,
        source_version: "embedded 0.1".into(),
        tool_version: "0.1.0".into(),
        asked_by: "schedule".into(),
    }
}

fn backup(n: usize) -> BackupEntry {
    BackupEntry {
        summary: Arc::new(summary(id(n), n)),
        status: BackupStatus::Complete,
        protection: None,
        proof: None,
        kept_to: KeptTo::Deleted,
        pitr_to: PitrTo::Checkpoint,
    }
}

/// The desk's answers, made once.
struct World {
    fleet: Vec<ClusterCard>,
    backups: Vec<BackupEntry>,
}

impl World {
    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Fleet => Answer::Fleet(self.fleet.clone()),
            Question::Cluster { cluster } => {
                let card = self.fleet.iter().find(|c| c.name == cluster).unwrap().clone();
                Answer::Cluster(Box::new(ClusterPage {
                    card,
                    facts: None,
                    settings: BackupSettings::default(),
                    next_runs: Vec::new(),
                    storages: Vec::new(),
                    location: "file:///var/backups".to_owned(),
                    incarnations: Vec::new(),
                    undo: None,
                    in_trash: 0,
                    traffic: Vec::new(),
                    traffic_error: None,
                }))
            }
            Question::Backups { .. } => Answer::Backups(self.backups.clone()),
            Question::Jobs { .. } => Answer::Jobs(Vec::new()),
            Question::Changes { .. } => Answer::Changes(Vec::new()),
            _ => Answer::Done(String::new()),
        }
    }
}

struct Console {
    model: Model,
    cache: ViewCache,
    look: Look,
    /// Questions that were not answered yet: answering is the desk's time, not ours.
    asked: Vec<(brine::tui::event::Ticket, Question)>,
}

impl Console {
    fn new() -> Console {
        let model = Model::new(&Options::default(), Keymap::new(&[]).unwrap(), NOW, SIZE);
        Console {
            model,
            cache: ViewCache::default(),
            look: Look {
                theme: Theme::load("brine-dark", Depth::True).unwrap(),
                glyphs: &UNICODE,
            },
            asked: Vec::new(),
        }
    }

    /// An event and its picture.
    fn frame(&mut self, what: What) -> Duration {
        let begun = Instant::now();
        self.event(what);
        let mut buf = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
        view(&self.model, &mut self.cache, &self.look, &mut buf);
        begun.elapsed()
    }

    fn event(&mut self, what: What) {
        for effect in update(&mut self.model, Event { at: NOW, what }) {
            if let Effect::Ask(ticket, question) = effect {
                self.asked.push((ticket, *question));
            }
        }
    }

    fn settle(&mut self, world: &World) {
        while let Some((ticket, question)) = self.asked.pop() {
            let answer = Box::new(Ok(world.answer(question)));
            self.event(What::Answered(ticket, answer));
        }
    }

    fn key(&mut self, name: &str) -> Duration {
        let key: Key = name.parse().unwrap();
        self.frame(What::Key(KeyEvent::new(key.code, KeyModifiers::NONE)))
    }

    /// Keys one after the other, each with its picture.
    fn keys(&mut self, names: &[&str], times: usize) -> Vec<Duration> {
        (0..times)
            .flat_map(|_| names.iter().map(|n| self.key(n)).collect::<Vec<_>>())
            .collect()
    }
}

fn report(what: &str, mut times: Vec<Duration>, budget: Duration) -> bool {
    times.sort();
    let (middle, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let kept = worst <= budget;
    println!(
        "{what:46} median {middle:>10.2?}  worst {worst:>10.2?}  budget {budget:>6.0?}  {}",
        if kept { "kept" } else { "NOT KEPT" }
    );
    kept
}

fn report_number(what: &str, found: u64, budget: u64) -> bool {
    let kept = found <= budget;
    println!(
        "{what:46} {found:>17}  {:>16}  budget {budget:>6}  {}",
        "",
        if kept { "kept" } else { "NOT KEPT" }
    );
    kept
}

/// What was measured, in the order of the walk.
type Walk = Vec<(&'static str, Duration, Vec<Duration>)>;

/// One walk through the screens, from a console that knows nothing.
fn walk(world: &World) -> Walk {
    let frame = Duration::from_millis(16);
    let first = Duration::from_millis(50);
    let mut c = Console::new();
    let mut walk: Walk = Vec::new();
    walk.push(("first picture, before any answer", first, vec![c.frame(What::Deadline)]));
    c.settle(world);
    walk.push(("clusters: first picture with 500", first, vec![c.frame(What::Deadline)]));
    walk.push(("clusters: scroll", frame, c.keys(&["j"], 200)));
    let keys = ["/", "c", "-", "4", "2", "Esc", "/", "!", "4", "Esc"];
    walk.push(("clusters: filter", frame, c.keys(&keys, 5)));
    c.keys(&["g", "Enter"], 1);
    c.settle(world);
    walk.push((
        "backups: first picture with 100,000",
        first,
        vec![c.frame(What::Deadline)],
    ));
    walk.push(("backups: scroll", frame, c.keys(&["j", "j", "PgDn", "G", "k", "g"], 30)));
    let keys = ["/", "m", "a", "n", "Backspace", "Esc", "/", "0", "0", "7", "Esc"];
    walk.push(("backups: filter", frame, c.keys(&keys, 5)));
    walk.push(("backups: sort", frame, c.keys(&["s", "j", "S", "j"], 5)));
    c.keys(&["Enter"], 1);
    c.settle(world);
    walk.push(("restore: choose the snapshot", frame, c.keys(&["j", "PgDn", "k"], 30)));
    c.keys(&["Esc", "7"], 1);
    c.settle(world);
    walk.push((
        "timeline: first picture with 100,000 bases",
        first,
        vec![c.frame(What::Deadline)],
    ));
    walk.push((
        "timeline: move, zoom, next mark",
        frame,
        c.keys(&["h", "N", "+", "l", "-"], 20),
    ));
    walk
}

/// Walks several times; each step counts with its shortest time.
fn model() -> bool {
    let world = World {
        fleet: (0..CLUSTERS).map(card).collect(),
        backups: (0..BACKUPS).map(backup).collect(),
    };
    let mut best = walk(&world);
    for _ in 1..ROUNDS {
        for ((_, _, best), (_, _, again)) in best.iter_mut().zip(walk(&world)) {
            best.iter_mut().zip(again).for_each(|(a, b)| *a = (*a).min(b));
        }
    }
    best.into_iter()
        .map(|(what, budget, times)| report(what, times, budget))
        .fold(true, |a, b| a & b)
}

fn main() -> ExitCode {
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|o| o == part);
    let mut kept = true;
    // The program first: to start one takes longer for a process that has grown, as this one has after the model's part.
    if wanted("program") {
        kept &= process::one_cluster();
        kept &= process::fleet();
    }
    if wanted("model") {
        kept &= model();
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
