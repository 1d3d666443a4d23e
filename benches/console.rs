//! The console's budgets, measured without a terminal: how long an event and its picture take with many clusters and backups.
//!
//! `cargo bench --bench console` prints each budget with the median and the worst of what was measured, and ends with 1
//! when one is not kept.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::process::ExitCode;
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
const SIZE: (u16, u16) = (120, 36);

fn at(minutes_ago: usize) -> Moment {
    Moment::of_tso(Tso::from_millis(NOW.plus(-(minutes_ago as i64) * Millis::MINUTE)))
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
        window: window(if n == 0 { BACKUPS } else { 200 }),
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

fn backup(n: usize) -> BackupEntry {
    BackupEntry {
        summary: BackupSummary {
            id: id(n),
            cluster: ClusterName::new("cluster-000").unwrap(),
            cluster_identity: "c".to_owned(),
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
            source_version: "embedded 0.1".to_owned(),
            tool_version: "0.1.0".to_owned(),
            asked_by: "schedule".to_owned(),
        },
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
        "{what:52} median {middle:>10.2?}  worst {worst:>10.2?}  budget {budget:>6.0?}  {}",
        if kept { "kept" } else { "NOT KEPT" }
    );
    kept
}

/// Resident memory, MB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:"));
    let kb = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

fn main() -> ExitCode {
    let world = World {
        fleet: (0..CLUSTERS).map(card).collect(),
        backups: (0..BACKUPS).map(backup).collect(),
    };
    let (frame, first) = (Duration::from_millis(16), Duration::from_millis(50));
    let mut kept = true;
    let mut console = Console::new();
    kept &= report(
        "first picture, before any answer",
        vec![console.frame(What::Deadline)],
        first,
    );
    console.settle(&world);
    kept &= report(
        "clusters: first picture with 500",
        vec![console.frame(What::Deadline)],
        first,
    );
    kept &= report("clusters: scroll", console.keys(&["j"], 200), frame);
    kept &= report(
        "clusters: filter",
        console.keys(&["/", "c", "-", "4", "2", "Esc"], 5),
        frame,
    );
    console.keys(&["g", "Enter"], 1);
    console.settle(&world);
    kept &= report(
        "backups: first picture with 100,000",
        vec![console.frame(What::Deadline)],
        first,
    );
    kept &= report("backups: scroll", console.keys(&["j", "j", "PgDn"], 100), frame);
    kept &= report("backups: filter", console.keys(&["/", "m", "a", "n", "Esc"], 5), frame);
    console.keys(&["7"], 1);
    console.settle(&world);
    kept &= report(
        "timeline: first picture with 100,000 bases",
        vec![console.frame(What::Deadline)],
        first,
    );
    kept &= report(
        "timeline: move, zoom, next mark",
        console.keys(&["h", "N", "+", "l", "-"], 20),
        frame,
    );
    println!("memory with the desk's own copy of everything: {} MB", memory());
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
