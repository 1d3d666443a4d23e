//! A made-up desk: values built by hand, the same every time. What was asked of it is remembered.

use std::sync::Mutex;
use std::time::Duration;

use brine::cluster::{ClusterFacts, ClusterKind, ClusterState, Mark};
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::engine::restore::plan::{
    Assumptions, BaseOption, Check, CheckState, LogSpan, Losses, PlannedTable, RestorePlan, RestoreReceipt, TxnRef,
    WayBackPlan,
};
use brine::model::backup::*;
use brine::model::checksum::TableChecksum;
use brine::model::clock::Millis;
use brine::model::ids::*;
use brine::model::job::*;
use brine::model::log::*;
use brine::model::position::{Moment, Position};
use brine::model::settings::BackupSettings;
use brine::model::table::TableName;
use brine::model::tso::Tso;
use brine::model::window::Window;
use brine::service::desk::*;

/// 20 Nov 2026, 03:07:12 in Berlin.
pub const NOW: Millis = Millis(1_795_140_432_000);
const MIN: i64 = Millis::MINUTE;
const HOUR: i64 = Millis::HOUR;
const DAY: i64 = Millis::DAY;

/// What kind of world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// One cluster without a backup.
    Empty,
    /// Three clusters with history, a gap, and a running job.
    Normal,
    /// Every question is refused.
    Broken,
    /// The same, but what looks like a gap is a restore that began a new history.
    Turned,
    /// Names, notes and errors that are long, wide, or full of escape sequences.
    Hostile,
}

/// The desk.
pub struct World {
    pub mood: Mood,
    pub demo: bool,
    pub pid: u32,
    pub asked: Mutex<Vec<Question>>,
    /// Whether the newest change made a table.
    pub created: bool,
    /// Whether the running job is a restore in its switch.
    pub switching: bool,
    /// Whether the restore job has ended.
    pub restored: Mutex<bool>,
    /// Whether everything is refused from now on.
    pub refusing: Mutex<bool>,
}

pub fn cluster(name: &str) -> ClusterName {
    ClusterName::new(name).unwrap()
}

fn at(ms_ago: i64) -> Moment {
    Moment::of_tso(Tso::from_millis(NOW.plus(-ms_ago)))
}

fn id(ms_ago: i64) -> BackupId {
    let t = NOW.plus(-ms_ago).utc();
    BackupId::new(format!("{}-7f3a", t.format("%Y%m%d%H%M%S"))).unwrap()
}

fn position(m: Moment) -> Position {
    Position::Tso(m.last_tso())
}

fn run(from: i64, to: i64, ended: Option<RunEnd>) -> LogRun {
    LogRun {
        incarnation: IncarnationId(1),
        from: at(from),
        from_position: position(at(from)),
        to: at(to),
        to_position: position(at(to)),
        first_seq: 1,
        end_seq: 900,
        first_hash: "00".to_owned(),
        last_hash: "ff".to_owned(),
        ended,
        lacking: Vec::new(),
        waiting: Vec::new(),
    }
}

/// 03:07:12 minus 02:00:04: today's base.
const TODAY: i64 = HOUR + 7 * MIN + 8_000;

fn ages() -> Vec<i64> {
    vec![
        TODAY,
        12 * HOUR + 36 * MIN,
        TODAY + DAY,
        TODAY + 2 * DAY,
        TODAY + 3 * DAY,
        TODAY + 4 * DAY,
        TODAY + 5 * DAY,
        TODAY + 6 * DAY,
        TODAY + 7 * DAY,
    ]
}

fn gap() -> (i64, i64) {
    (3 * DAY + 5 * HOUR + 53 * MIN, 3 * DAY + 4 * HOUR + 5 * MIN)
}

fn runs() -> Vec<LogRun> {
    vec![
        run(8 * DAY, gap().0, Some(RunEnd::SourceLogGone)),
        run(gap().1, 9_000, None),
    ]
}

/// The window; with the gap as it is, or as the turn of a history.
fn window(turned: bool) -> Window {
    let base = |a: i64| brine::model::window::Base {
        id: id(a),
        commit: at(a),
        incarnation: IncarnationId(if turned && a < gap().1 { 2 } else { 1 }),
    };
    let mut runs = runs();
    if turned {
        runs[0].ended = Some(RunEnd::Restored);
        runs[1].incarnation = IncarnationId(2);
    }
    Window::new(ages().into_iter().map(base).collect(), &runs)
}

fn log(desired: Option<LogDesired>, actual: LogActual, behind: i64) -> LogStatus {
    LogStatus {
        desired,
        actual,
        checkpoint: desired.map(|_| at(behind)),
        position: desired.map(|_| position(at(behind))),
        rpo_gap_ms: desired.map(|_| behind),
        safepoint: desired.map(|_| at(8 * DAY)),
        bytes_per_second: 182_000.0,
        transactions_per_second: 14.2,
        segments: 1204,
        stored_bytes: 31_400_000_000,
        last_error: None,
        runs: if desired.is_some() { runs() } else { Vec::new() },
        needs_base: None,
        astray: None,
    }
}

fn health(level: HealthLevel, word: &str, reasons: &[&str]) -> Health {
    Health {
        level,
        word: word.to_owned(),
        reasons: reasons.iter().map(|r| (*r).to_owned()).collect(),
    }
}

const EVIL: &str = "\u{1b}]52;c;aGk=\u{7}\u{202e}drop\u{9b}2J 日本語のとても長いテーブル名 and then some more words that never seem to end at all";

impl World {
    pub fn new(mood: Mood) -> World {
        World {
            mood,
            demo: false,
            pid: 1,
            asked: Mutex::new(Vec::new()),
            created: false,
            switching: false,
            restored: Mutex::new(false),
            refusing: Mutex::new(false),
        }
    }

    /// What was asked that changes something.
    pub fn acts(&self) -> Vec<Question> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|q| q.changes_something())
            .cloned()
            .collect()
    }

    fn text<'a>(&self, plain: &'a str) -> &'a str {
        if self.mood == Mood::Hostile { EVIL } else { plain }
    }

    fn name(&self) -> ClusterName {
        match self.mood {
            Mood::Hostile => cluster(&"production-europe-west-1-orders.and.payments_".repeat(2)[..64]),
            _ => cluster("prod-eu"),
        }
    }

    fn fleet(&self) -> Vec<ClusterCard> {
        if self.mood == Mood::Empty {
            return vec![self.empty_card()];
        }
        let late = ClusterCard {
            name: cluster("prod-us"),
            health: health(
                HealthLevel::Bad,
                "late",
                &[
                    "Log backup is 17 h behind and falling back further: nothing after 19 Nov 10:03 can be restored. See its last error on the Log page (3).",
                ],
            ),
            log: log(
                Some(LogDesired::Running),
                LogActual::Failed {
                    error: "connection refused".to_owned(),
                    since: NOW.plus(-17 * HOUR),
                },
                17 * HOUR + 4 * MIN,
            ),
            next_run: NextRun::Overdue { since: NOW.plus(-HOUR) },
            proof: None,
            job: None,
            protected: true,
            ..self.card()
        };
        let paused = ClusterCard {
            name: cluster("staging"),
            health: health(
                HealthLevel::Warning,
                "paused",
                &["Log backup was paused 2 h 10 min ago: resume it (L) before the source throws its log away."],
            ),
            log: log(Some(LogDesired::Paused), LogActual::Idle, 2 * HOUR + 10 * MIN),
            next_run: NextRun::At {
                at: NOW.plus(21 * HOUR + 50 * MIN),
            },
            job: None,
            protected: false,
            ..self.card()
        };
        vec![late, paused, self.card()]
    }

    fn empty_card(&self) -> ClusterCard {
        ClusterCard {
            name: cluster("demo"),
            health: health(
                HealthLevel::Off,
                "no backup",
                &["There is no backup yet: take the first one (B), then turn the schedule on (E)."],
            ),
            log: log(None, LogActual::None, 0),
            window: Window::default(),
            backups: 0,
            last_backup: None,
            next_run: NextRun::Off,
            stored_bytes: 0,
            proof: None,
            job: None,
            address: None,
            ..self.card()
        }
    }

    fn card(&self) -> ClusterCard {
        ClusterCard {
            name: self.name(),
            product: self.text("embedded 0.1").to_owned(),
            address: Some("db-eu-1:3306".to_owned()).filter(|_| self.mood == Mood::Hostile),
            state: ClusterState::Available,
            health: health(HealthLevel::Ok, "ok", &[]),
            log: log(Some(LogDesired::Running), LogActual::Streaming, 9_000),
            window: window(self.mood == Mood::Turned),
            backups: 9,
            last_backup: Some(at(TODAY).at),
            next_run: NextRun::At {
                at: NOW.plus(22 * HOUR + 52 * MIN),
            },
            stored_bytes: 549_755_813_888,
            proof: Some((ProofLevel::Tested, NOW.plus(-12 * DAY))),
            protected: false,
            job: None,
        }
    }

    fn page(&self, name: &ClusterName) -> ClusterPage {
        let card = self
            .fleet()
            .into_iter()
            .find(|c| c.name == *name)
            .unwrap_or_else(|| self.card());
        let facts = ClusterFacts {
            kind: ClusterKind::Embedded,
            version: "0.1".to_owned(),
            identity: "c1".to_owned(),
            address: None,
            state: card.state.clone(),
            tables: 412,
            rows_estimate: 118_000_000,
            bytes_estimate: 130_000_000_000,
            sessions: 12,
            now: Mark {
                moment: at(0),
                position: position(at(0)),
            },
            history_from: None,
        };
        let undo = (self.mood == Mood::Normal).then(|| UndoOffer {
            to: at(DAY),
            until: NOW.plus(6 * DAY),
        });
        ClusterPage {
            facts: Some(facts),
            settings: BackupSettings {
                time_zone: chrono_tz::Europe::Berlin,
                schedule: true,
                pitr: true,
                ..BackupSettings::default()
            },
            next_runs: vec![
                NOW.plus(22 * HOUR + 52 * MIN),
                NOW.plus(46 * HOUR + 52 * MIN),
                NOW.plus(70 * HOUR + 52 * MIN),
            ],
            storages: vec![StorageName::new("local").unwrap()],
            location: self.text("file:///var/backups/brine/backup-prod-eu").to_owned(),
            // The first history is not listed, as no restore began it.
            incarnations: (self.mood == Mood::Turned)
                .then(|| IncarnationView {
                    id: IncarnationId(2),
                    began: at(gap().1),
                    restored_to: None,
                })
                .into_iter()
                .collect(),
            undo,
            in_trash: 1,
            traffic: (0..40).map(|i| (i * 7) % 23).collect(),
            traffic_error: None,
            card,
        }
    }

    fn entry(&self, age: i64, n: usize) -> BackupEntry {
        let kind = if n == 1 { BackupType::Manual } else { BackupType::Auto };
        let proof = match n {
            1 => Some((ProofLevel::Checksums, 12 * HOUR)),
            2 | 3 => Some((ProofLevel::Files, 25 * HOUR)),
            5 => Some((ProofLevel::Tested, 2 * DAY)),
            _ => None,
        };
        let behind_gap = age > gap().0;
        BackupEntry {
            summary: std::sync::Arc::new(self.summary(age, kind)),
            status: BackupStatus::Complete,
            protection: (n == 4).then(|| Protection {
                by: self.text("anna@bastion-1").to_owned(),
                at: NOW.plus(-3 * DAY),
            }),
            proof: proof.map(|(level, ago)| Proof {
                level,
                at: NOW.plus(-ago),
                failed: None,
            }),
            kept_to: match n {
                1 => KeptTo::Deleted,
                4 => KeptTo::Unprotected,
                _ => KeptTo::Instant {
                    at: NOW.plus(7 * DAY - age),
                },
            },
            pitr_to: if behind_gap {
                PitrTo::Moment {
                    moment: at(gap().0),
                    because: "log was lost: the source had thrown it away, or did not write rows".to_owned(),
                }
            } else {
                PitrTo::Checkpoint
            },
        }
    }

    fn summary(&self, age: i64, kind: BackupType) -> BackupSummary {
        BackupSummary {
            id: id(age),
            cluster: self.name(),
            cluster_identity: "c1".into(),
            incarnation: IncarnationId(if self.mood == Mood::Turned && age < gap().1 {
                2
            } else {
                1
            }),
            kind,
            commit: at(age),
            position: position(at(age)),
            started: NOW.plus(-age),
            finished: NOW.plus(-age + 232_000),
            tables: 412,
            totals: TableChecksum {
                rows: 118_000_000,
                bytes: 130_000_000_000,
                hash: 7,
            },
            stored_bytes: 44_238_540_800 - age as u64,
            objects: 900,
            filter: Vec::new(),
            keep_days: None,
            note: (kind == BackupType::Manual).then(|| self.text("before the 8.4 upgrade").to_owned()),
            source_version: "embedded 0.1".into(),
            tool_version: "0.1.0".into(),
            asked_by: self.text("schedule").into(),
        }
    }

    fn backups(&self, deleted: bool) -> Vec<BackupEntry> {
        if self.mood == Mood::Empty {
            return Vec::new();
        }
        let mut all: Vec<BackupEntry> = ages()
            .into_iter()
            .enumerate()
            .map(|(n, age)| self.entry(age, n))
            .collect();
        let mut failed = self.entry(TODAY + DAY + 20 * MIN, 0);
        failed.status = BackupStatus::Failed {
            error: self.text("connection lost, retried at 02:20").to_owned(),
        };
        all.insert(3, failed);
        let mut broken = self.entry(TODAY + 6 * DAY + HOUR, 0);
        broken.status = BackupStatus::Broken {
            error: "manifest.json: checksum differs".to_owned(),
        };
        all.insert(8, broken);
        if deleted {
            let mut gone = self.entry(TODAY + 8 * DAY, 0);
            gone.status = BackupStatus::Deleted {
                until: NOW.plus(2 * DAY),
            };
            all.push(gone);
        }
        all
    }

    fn table(&self, name: &str) -> TableName {
        TableName::new("shop", self.text(name))
    }

    fn changes(&self, all: bool) -> Vec<Change> {
        let change = |ago: i64, kind: ChangeKind, table: &str, rows: u64| Change {
            id: at(ago).last_tso().to_string(),
            at: at(ago),
            transaction: at(ago).last_tso().to_string(),
            kind,
            table: Some(self.table(table)),
            rows,
            bytes: rows * 40,
            lacks: None,
        };
        if self.mood == Mood::Empty {
            return Vec::new();
        }
        let verb = if self.created { "CREATE" } else { "DROP" };
        let ddl = |t: &str| ChangeKind::Ddl {
            text: format!("{verb} TABLE shop.{t}"),
        };
        let mut out = vec![
            change(19 * MIN + 58_000, ddl("order_items"), "order_items", 3_980_000),
            change(19 * MIN + 59_000, ddl("orders"), "orders", 1_204_511),
            change(35 * MIN + 32_000, ChangeKind::MassDelete, "sessions", 412_880),
            change(3 * DAY + 5 * HOUR, ChangeKind::BigTransaction, "orders", 90_000),
        ];
        if all {
            out.insert(0, change(60_000, ChangeKind::Transaction, "orders", 1));
        }
        out
    }

    fn tables(&self) -> Vec<BackupTable> {
        ["orders", "order_items", "sessions", "users"]
            .iter()
            .enumerate()
            .map(|(i, t)| BackupTable {
                name: self.table(t),
                sum: TableChecksum {
                    rows: 1000 * (i as u64 + 1),
                    bytes: 1_000_000,
                    hash: 1,
                },
                stored_bytes: 300_000,
            })
            .collect()
    }

    fn jobs(&self) -> Vec<Job> {
        if self.mood == Mood::Empty {
            return Vec::new();
        }
        let mut verify = self.job(118, Verb::Verify, JobState::Running);
        verify.progress.basis_points = Some(4210);
        if self.switching {
            verify.verb = Verb::Restore;
            verify.steps[1].name = "Switch over".to_owned();
        }
        let mut failed = self.job(116, Verb::Backup, JobState::Interrupted);
        failed.resumable = true;
        failed.error = vec![self.text("its process ended").to_owned(), "killed".to_owned()];
        let mut restore = self.job(115, Verb::Restore, JobState::Succeeded);
        restore.receipt = Some(serde_json::to_value(self.receipt()).unwrap());
        let asked = self.asked.lock().unwrap();
        let started = asked
            .iter()
            .any(|q| matches!(q, Question::Restore { .. } | Question::Undo { .. }));
        drop(asked);
        let latest = started.then(|| self.restore_job());
        latest.into_iter().chain([verify, failed, restore]).collect()
    }

    pub fn job(&self, n: u64, verb: Verb, state: JobState) -> Job {
        let over = state.is_over();
        let step = |name: &str, from: i64, to: Option<i64>, done: u64, total: Option<u64>, unit: Unit| JobStep {
            name: name.to_owned(),
            started: NOW.plus(-from),
            ended: to.map(|t| NOW.plus(-t)),
            progress: StepProgress { done, total, unit },
        };
        Job {
            id: JobId(n),
            verb,
            cluster: self.name(),
            title: self.text("checksums of 19 Nov 14:31").to_owned(),
            state,
            asked_by: "anna@bastion-1".to_owned(),
            created: NOW.plus(-6 * MIN),
            started: Some(NOW.plus(-6 * MIN)),
            ended: over.then(|| NOW.plus(-MIN)),
            steps: vec![
                step("list objects", 6 * MIN, Some(5 * MIN), 900, Some(900), Unit::Objects),
                step(
                    self.text("read and check blocks"),
                    5 * MIN,
                    over.then_some(MIN),
                    18_600_000_000,
                    Some(44_238_540_800),
                    Unit::Bytes,
                ),
            ],
            progress: JobProgress {
                basis_points: Some(if state == JobState::Succeeded { 10_000 } else { 4210 }),
                rate: 212_000_000.0,
                left_ms: (!over).then_some((11 * MIN, 14 * MIN)),
                moved: Some(NOW.plus(-1000)),
            },
            error: Vec::new(),
            resumable: false,
            command: Some("brine backup verify prod-eu 20261119133112-7f3a --level checksums".to_owned()),
            plan: serde_json::Value::Null,
            receipt: None,
        }
    }

    fn receipt(&self) -> RestoreReceipt {
        RestoreReceipt {
            target: self.name(),
            point: "just before DROP TABLE shop.orders".to_owned(),
            until: at(20 * MIN),
            base: id(TODAY),
            last_in: Some(self.txn(20 * MIN)),
            first_out: Some(self.txn(19 * MIN + 59_000)),
            tables: 412,
            rows: 1_204_511,
            bytes: 90_000_000,
            replayed: 8821,
            took_ms: 75_000,
            compared: "checksums of 412 tables with the backup's".to_owned(),
            incarnation: Some(IncarnationId(2)),
            undo_until: Some(NOW.plus(7 * DAY)),
            next_steps: vec![
                "Reconnect the applications; their sessions were ended.".to_owned(),
                "Take a new base (it is queued).".to_owned(),
            ],
            warnings: vec![self.text("2 tables had no rows").to_owned()],
        }
    }

    fn txn(&self, ago: i64) -> TxnRef {
        TxnRef {
            id: at(ago).last_tso().to_string(),
            at: at(ago),
        }
    }

    fn plan(&self, request: RestoreRequest) -> RestorePlan {
        let loud = request.target == RestoreTarget::InPlace;
        let check = |name: &str, state, found: &str, wanted: &str| Check {
            name: name.to_owned(),
            state,
            found: self.text(found).to_owned(),
            wanted: wanted.to_owned(),
        };
        let target = match &request.target {
            RestoreTarget::Cluster { name } => name.clone(),
            RestoreTarget::Beside | RestoreTarget::InPlace => request.source.clone(),
        };
        let suffix = if loud { "" } else { "_restored" };
        let tables = self.tables().into_iter().map(|t| PlannedTable {
            target: TableName::new(format!("shop{suffix}"), t.name.table.clone()),
            source: t.name,
            rows: t.sum.rows,
            bytes: t.sum.bytes,
            replaces: loud,
        });
        RestorePlan {
            target: target.clone(),
            point: "just before DROP TABLE shop.orders".to_owned(),
            until: at(20 * MIN),
            incarnation: IncarnationId(1),
            last_in: Some(self.txn(20 * MIN)),
            first_out: Some(self.txn(19 * MIN + 59_000)),
            base: BaseOption {
                id: id(TODAY),
                commit: at(TODAY),
                reason: "newest before the moment".to_owned(),
            },
            alternatives: vec![BaseOption {
                id: id(TODAY + DAY),
                commit: at(TODAY + DAY),
                reason: "older: 24 h more of log".to_owned(),
            }],
            log: Some(LogSpan {
                from: at(TODAY),
                to: at(20 * MIN),
                segments: 210,
                stored_bytes: 641_728_512,
            }),
            tables: tables.collect(),
            whole: request.filter.is_all(),
            losses: loud.then(|| Losses {
                transactions: Some(18_402),
                tables: 37,
                sessions: 12,
                dropped: vec![self.table("coupons")],
            }),
            way_back: loud.then(|| WayBackPlan::Bookmark { base: id(TODAY) }),
            checks: vec![
                check("identity", CheckState::Ok, "the archive is this cluster's", ""),
                check(
                    "log, key",
                    CheckState::Ok,
                    "gapless to the moment",
                    "1,204 objects present",
                ),
                check(
                    "disk",
                    CheckState::Warning,
                    "cannot be seen",
                    "needs ~190 GiB: look with df",
                ),
            ],
            duration_ms: (34 * MIN, 51 * MIN),
            measured: 3,
            assumptions: Assumptions {
                base: id(TODAY),
                base_commit: at(TODAY),
                live_incarnation: IncarnationId(1),
                target_identity: "c1".to_owned(),
                in_the_way: Vec::new(),
                writes: Vec::new(),
            },
            command: format!(
                "brine restore {target} --before 0-3-8809772 {}",
                if loud { "--in-place" } else { "--beside" }
            ),
            request,
        }
    }

    fn retention(&self) -> RetentionPlan {
        RetentionPlan {
            at: NOW,
            days: 7,
            backups: ages()
                .into_iter()
                .map(|a| RetentionLine {
                    id: id(a),
                    commit: at(a),
                    keep: a < 7 * DAY,
                    reason: "older than the window".to_owned(),
                    kept_to: KeptTo::LastGood,
                    stored_bytes: 41 << 30,
                })
                .collect(),
            truncate_until: None,
            freed_bytes: 41 << 30,
            window_before: window(false),
            window_after: window(false),
        }
    }

    fn refused(&self) -> Refusal {
        Refusal {
            kind: RefusalKind::Failed,
            chain: vec![
                "the archive cannot be read".to_owned(),
                "/var/backups/brine: permission denied (os error 13)".to_owned(),
            ],
            hint: Some("Run brine as the user that owns the directory".to_owned()),
        }
    }

    fn answer(&self, question: Question) -> Result<Answer, Refusal> {
        let window_after = window(false);
        Ok(match question {
            Question::Fleet => Answer::Fleet(self.fleet()),
            Question::Cluster { cluster } => Answer::Cluster(Box::new(self.page(&cluster))),
            Question::Backups { deleted, .. } => Answer::Backups(self.backups(deleted)),
            Question::Backup { id, .. } => {
                let entry = self
                    .backups(true)
                    .into_iter()
                    .find(|b| b.summary.id == id)
                    .ok_or_else(|| self.refused())?;
                Answer::Backup {
                    entry: Box::new(entry),
                    tables: self.tables(),
                }
            }
            Question::Changes { all, .. } => Answer::Changes(self.changes(all)),
            Question::Jobs { .. } => Answer::Jobs(self.jobs()),
            Question::Job { id: JobId(200) } => Answer::JobState(Box::new(self.restore_job())),
            Question::Job { id } => {
                let job = self
                    .jobs()
                    .into_iter()
                    .find(|j| j.id == id)
                    .ok_or_else(|| self.refused())?;
                Answer::JobState(Box::new(job))
            }
            Question::JobLines { .. } => Answer::Lines(vec![
                JobLine {
                    at: NOW.plus(-5 * MIN),
                    level: LineLevel::Info,
                    text: "900 objects listed".to_owned(),
                },
                JobLine {
                    at: NOW.plus(-2000),
                    level: LineLevel::Warning,
                    text: self.text("slow read of data-17, tried again").to_owned(),
                },
            ]),
            Question::Messages { .. } => Answer::Messages(vec![
                Message {
                    at: NOW.plus(-HOUR),
                    level: LineLevel::Info,
                    cluster: Some(self.name()),
                    text: "daily backup done".to_owned(),
                },
                Message {
                    at: NOW.plus(-17 * HOUR),
                    level: LineLevel::Error,
                    cluster: Some(cluster("prod-us")),
                    text: self.text("log backup failed: connection refused").to_owned(),
                },
            ]),
            Question::Storages => Answer::Storages(vec![StorageCard {
                name: StorageName::new("local").unwrap(),
                url: self.text("file:///var/backups/brine").to_owned(),
                archives: vec![(self.name(), 549_755_813_888)],
                error: None,
                facts: Some(StorageFacts {
                    credentials: Some("the rights of brine's user; no other user of this host may enter".into()),
                    versioning: Some("none: a directory keeps no older versions of a file".into()),
                    immutability: None,
                    free: Some(1_319_413_953_331),
                    size: Some(2_199_023_255_552),
                }),
            }]),
            Question::InEffect => {
                let line = |key: &str, value: &str, from: &str| SettingLine {
                    key: key.to_owned(),
                    value: self.text(value).to_owned(),
                    from: from.to_owned(),
                };
                Answer::InEffect(vec![
                    line("data_dir", "/var/lib/brine", "env BRINE_DATA_DIR"),
                    line("console.theme", "brine-dark", "default"),
                    line(
                        "cluster.prod-eu.path",
                        "/var/lib/brine/prod-eu",
                        "/etc/brine/config.toml:12",
                    ),
                ])
            }
            Question::PreviewSettings { .. } | Question::PlanRetention { .. } => Answer::Retention(self.retention()),
            Question::PlanRestore { request } => Answer::Restore(Box::new(self.plan(request))),
            Question::PlanUndo { cluster } => {
                let request =
                    RestoreRequest::new(cluster, RestorePoint::At { moment: at(DAY) }, RestoreTarget::InPlace);
                Answer::Restore(Box::new(self.plan(request)))
            }
            Question::PlanDelete { id, .. } => Answer::DeletePlan(DeletePlan {
                id,
                refused: None,
                loses: vec!["the moments from 2026-11-19 13:31:00 UTC to 2026-11-20 01:00:00 UTC".to_owned()],
                last_good: false,
                freed_bytes: 41 << 30,
                trash_until: NOW.plus(3 * DAY),
                window_after,
            }),
            Question::PlanTruncate { until, .. } => Answer::TruncatePlan(TruncatePlan {
                until,
                segments: 300,
                freed_bytes: 8 << 30,
                bases_lost: vec![id(TODAY + 7 * DAY)],
                refused: None,
                window_before: window(false),
                window_after,
            }),
            Question::Restore { .. } | Question::Undo { .. } => Answer::Job(JobId(200)),
            Question::TakeBackup { .. } | Question::Delete { .. } | Question::Verify { .. } => Answer::Job(JobId(201)),
            Question::ResumeJob { id } => Answer::Job(id),
            other => Answer::Done(
                format!("{other:?}")
                    .split([' ', '{'])
                    .next()
                    .unwrap_or_default()
                    .to_lowercase(),
            ),
        })
    }

    fn restore_job(&self) -> Job {
        let done = *self.restored.lock().unwrap();
        let mut job = self.job(
            200,
            Verb::Restore,
            if done { JobState::Succeeded } else { JobState::Running },
        );
        job.title = "prod-eu to just before DROP TABLE shop.orders, in place".to_owned();
        job.receipt = done.then(|| serde_json::to_value(self.receipt()).unwrap());
        let asked = self.asked.lock().unwrap();
        let plan = asked.iter().rev().find_map(|q| match q {
            Question::Restore { plan, .. } | Question::Undo { plan, .. } => Some(plan),
            _ => None,
        });
        job.plan = serde_json::json!({ "work": "restore", "undo": false, "plan": plan });
        job
    }
}

impl Desk for World {
    fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        self.asked.lock().unwrap().push(question.clone());
        match question {
            Question::Pulse { since: 0, .. } => Ok(Answer::Pulse(1)),
            Question::Pulse { since, timeout_ms } => {
                std::thread::park_timeout(Duration::from_millis(timeout_ms));
                Ok(Answer::Pulse(since))
            }
            Question::Hello => Ok(Answer::Hello(HelloAnswer {
                version: "0.1.0".to_owned(),
                pid: self.pid,
                role: "console".to_owned(),
                demo: self.demo,
                read_only: false,
                now: NOW,
            })),
            _ if self.mood == Mood::Broken || *self.refusing.lock().unwrap() => Err(self.refused()),
            other => self.answer(other),
        }
    }
}
