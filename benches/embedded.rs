//! How fast the engine is on the embedded cluster, beside the raw limits of the same machine in the same run.
//!
//! `cargo bench --bench embedded` loads 5 million rows of about 200 bytes; `BRINE_BENCH_ROWS` asks for fewer.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brine::archive::{Archive, ArchiveIdentity, ArchiveLock, Holder};
use brine::cluster::embedded::{EmbeddedCluster, Options};
use brine::cluster::{BatchSink, Cluster, ReplayTxn, RestoreAsk, RestoreScope, Stop, TableDef};
use brine::engine::backup::{self, BackupPlan};
use brine::engine::cx::{JobCx, TestCx};
use brine::engine::error::EngineError;
use brine::engine::log::task::{LogShared, LogTask};
use brine::engine::log::{LogOptions, control};
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::engine::restore::planner::{self, Source, Target};
use brine::engine::restore::run::{LogControl, RestoreRun};
use brine::engine::view::{SummaryCache, View};
use brine::model::backup::BackupType;
use brine::model::clock::SystemClock;
use brine::model::filter::{RenameMap, TableFilter};
use brine::model::ids::ClusterName;
use brine::model::position::Moment;
use brine::model::table::TableName;
use brine::storage::local::Local;

const MB: f64 = 1e6;

fn table() -> TableName {
    TableName::new("bench", "rows")
}

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

/// About 200 bytes, half words and half digits, so that it compresses as rows do.
fn row(n: u64, dice: &mut fastrand::Rng) -> (Vec<u8>, Vec<u8>) {
    let mut value = format!(
        r#"{{"n":{n},"status":"paid","city":"Turin","note":"order number {n} of a generated table","digits":""#
    )
    .into_bytes();
    while value.len() < 186 {
        value.extend_from_slice(format!("{:08}", dice.u32(0..100_000_000)).as_bytes());
    }
    value.extend_from_slice(b"\"}");
    (format!("{n:012}").into_bytes(), value)
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let out = work();
    (start.elapsed().as_secs_f64(), out)
}

fn line(what: &str, bytes: f64, seconds: f64, beside: &str) {
    println!(
        "{what:44} {:8.0} MB/s  {seconds:7.2} s  {:4} MB at most   {beside}",
        bytes / MB / seconds,
        peak_mb()
    );
}

/// Peak memory of this process since the last call, in MB; limit 300 in backup and restore. What the store of the source keeps
/// in memory for its own use is part of it.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| {
        l.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    // Where the system does not allow that, it is the peak so far.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    peak.unwrap_or(0) / 1000
}

struct Count(u64);

impl BatchSink for Count {
    fn put(&mut self, batch: &[u8], _: u64) -> Result<(), Stop> {
        self.0 += batch.len() as u64;
        Ok(())
    }
}

struct NoLog;

impl LogControl for NoLog {
    fn flush(&self, _: &ClusterName, _: &dyn JobCx) -> Result<Option<Moment>, EngineError> {
        Ok(None)
    }
}

struct Bench {
    dir: tempfile::TempDir,
    cluster: Arc<EmbeddedCluster>,
    archive: Archive,
    lock: Arc<ArchiveLock>,
    cx: TestCx,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let clock = Arc::new(SystemClock);
        let cluster = EmbeddedCluster::open(&dir.path().join("source"), Options::new(clock.clone())).unwrap();
        let storage = Arc::new(Local::create(&dir.path().join("storage")).unwrap());
        let identity = ArchiveIdentity {
            cluster: name("bench"),
            cluster_identity: cluster.facts().unwrap().identity,
            kind: "embedded".to_owned(),
            created: brine::model::clock::Clock::now(&SystemClock),
        };
        let archive = Archive::create(storage, identity).unwrap();
        let lock = ArchiveLock::take(&archive, Holder::here("bench", "bench").unwrap(), clock.clone()).unwrap();
        Bench {
            dir,
            cluster,
            archive,
            lock: Arc::new(lock),
            cx: TestCx::new(clock),
        }
    }

    fn backup(&self) -> brine::model::backup::BackupSummary {
        let identity = self.cluster.facts().unwrap().identity;
        let plan = BackupPlan::full(name("bench"), identity, BackupType::Manual);
        let plan = backup::plan(&*self.cluster, plan).unwrap();
        backup::run(&*self.cluster, &self.archive, &self.lock, &plan, &TestCx::default()).unwrap()
    }

    fn task(&self) -> LogTask {
        LogTask {
            cluster: self.cluster.clone(),
            archive: self.archive.clone(),
            lock: self.lock.clone(),
            options: LogOptions::default(),
            shared: Arc::new(LogShared::default()),
        }
    }

    /// Restores into a fresh cluster.
    fn restore(&self, point: RestorePoint, into: &str) -> f64 {
        let path = self.dir.path().join(into);
        let target = EmbeddedCluster::open(&path, Options::new(Arc::new(SystemClock))).unwrap();
        let view = View::read(&self.archive, &SummaryCache::default()).unwrap();
        let request = RestoreRequest::new(name("bench"), point, RestoreTarget::Cluster { name: name(into) });
        let source = Source {
            archive: &self.archive,
            view: &view,
        };
        let to = Target {
            name: name(into),
            cluster: &*target,
            view: None,
        };
        let plan = planner::plan(&request, &source, &to).unwrap();
        let run = RestoreRun {
            plan: &plan,
            source: &self.archive,
            target: &*target,
            target_archive: None,
            log: &NoLog,
            undo: false,
            cx: &TestCx::default(),
        };
        let (seconds, receipt) = timed(|| run.run().unwrap());
        assert!(receipt.rows > 0);
        drop(target);
        std::fs::remove_dir_all(path).unwrap();
        seconds
    }
}

fn main() {
    let rows: u64 = std::env::var("BRINE_BENCH_ROWS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(5_000_000);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    println!("{rows} rows, {cores} cores");
    let bench = Bench::new();
    let session = bench.cluster.session("bench").unwrap();
    session.create_table(&table(), "{}").unwrap();
    let mut dice = fastrand::Rng::with_seed(1);
    let (load_s, _) = timed(|| {
        session
            .load(&table(), &mut (0..rows).map(|n| row(n, &mut dice)))
            .unwrap()
    });
    let bytes = rows as f64 * 200.0;
    line(
        "load through sessions, durable",
        bytes,
        load_s,
        &format!("{:.0} rows/s", rows as f64 / load_s),
    );

    let limits = limits(&bench, rows, cores);
    snapshot(&bench, &limits);
    replay(&bench, rows);
    paced(&bench);
    println!("{:44} {:4} MB at most (limit 300)", "the workload", peak_mb());
}

struct Limits {
    /// Bytes of rows as the snapshot counts them.
    bytes: f64,
    slower: f64,
    /// Scanning and compressing on the same cores, one after the other.
    both: f64,
    write: f64,
}

/// What the store, zstd and the disk can do by themselves.
fn limits(bench: &Bench, rows: u64, cores: usize) -> Limits {
    let snapshot = bench.cluster.open_snapshot(None).unwrap();
    let ranges = snapshot.split(&table(), cores * 4).unwrap();
    let next = AtomicU64::new(0);
    let total = AtomicU64::new(0);
    let (scan_s, ()) = timed(|| {
        std::thread::scope(|s| {
            for _ in 0..cores {
                s.spawn(|| {
                    while let Some(range) = ranges.get(next.fetch_add(1, Ordering::SeqCst) as usize) {
                        let mut sink = Count(0);
                        snapshot.read(&table(), range, u64::MAX, &mut sink).unwrap();
                        total.fetch_add(sink.0, Ordering::SeqCst);
                    }
                });
            }
        });
    });
    snapshot.release().unwrap();
    let bytes = total.load(Ordering::SeqCst) as f64;
    line(&format!("limit: store scan, {cores} threads"), bytes, scan_s, "");
    let mut dice = fastrand::Rng::with_seed(2);
    let mut sample = Vec::new();
    for n in 0..rows.min(50_000) {
        let (key, value) = row(n, &mut dice);
        sample.extend_from_slice(&key);
        sample.extend_from_slice(&value);
    }
    let (zstd_s, packed) = timed(|| {
        sample
            .chunks(1 << 20)
            .map(|c| zstd::bulk::compress(c, 1).unwrap().len())
            .sum::<usize>()
    });
    let zstd_rate = sample.len() as f64 / zstd_s;
    line(
        "limit: zstd level 1, one core",
        sample.len() as f64,
        zstd_s,
        &format!("ratio {:.2}", sample.len() as f64 / packed as f64),
    );
    let write = write_limit(bench.dir.path());
    line("limit: sequential write, fsynced", write.0, write.1, "");
    let (scan, zstd) = (bytes / scan_s, zstd_rate * cores as f64);
    Limits {
        bytes,
        slower: scan.min(zstd),
        both: 1.0 / (1.0 / scan + 1.0 / zstd),
        write: write.0 / write.1,
    }
}

fn write_limit(dir: &Path) -> (f64, f64) {
    let mut dice = fastrand::Rng::with_seed(3);
    let block: Vec<u8> = (0..1 << 20).map(|_| dice.u8(..)).collect();
    let path = dir.join("write-limit");
    let (seconds, ()) = timed(|| {
        let mut file = std::fs::File::create(&path).unwrap();
        (0..256).for_each(|_| file.write_all(&block).unwrap());
        file.sync_all().unwrap();
    });
    std::fs::remove_file(path).unwrap();
    (256.0 * block.len() as f64, seconds)
}

fn snapshot(bench: &Bench, limits: &Limits) {
    let (seconds, summary) = timed(|| bench.backup());
    let rate = limits.bytes / seconds;
    let stored = summary.stored_bytes as f64;
    line(
        "snapshot backup",
        limits.bytes,
        seconds,
        &format!(
            "{:.0} % of the slower limit (goal 60), {:.0} % of both on these cores; ratio {:.2}, {:.0} % of the disk (goal 250 MB/s of rows)",
            100.0 * rate / limits.slower,
            100.0 * rate / limits.both,
            limits.bytes / stored,
            100.0 * stored / seconds / limits.write
        ),
    );
    let seconds = bench.restore(RestorePoint::Snapshot { id: summary.id }, "restored");
    line("snapshot restore, compared", limits.bytes, seconds, "goal 150 MB/s");
}

/// A log of updates: staged and merged into a restore.
fn replay(bench: &Bench, rows: u64) {
    control::start(&bench.archive, &bench.lock).unwrap();
    bench.task().catch_up(&bench.cx).unwrap();
    let view = View::read(&bench.archive, &SummaryCache::default()).unwrap();
    let base = view.bases().pop().unwrap();
    let session = bench.cluster.session("bench").unwrap();
    let changes = (rows / 5).min(1_000_000);
    let mut dice = fastrand::Rng::with_seed(4);
    let mut keys = fastrand::Rng::with_seed(5);
    let mut updates = (0..changes).map(|_| row(keys.u64(0..rows), &mut dice));
    session.load(&table(), &mut updates).unwrap();
    println!("{:44} {:4} MB at most", format!("{changes} rows changed"), peak_mb());
    let (archive_s, _) = timed(|| bench.task().catch_up(&bench.cx).unwrap());
    let view = View::read(&bench.archive, &SummaryCache::default()).unwrap();
    let run = view.log.runs.last().unwrap().clone();
    let path = bench.dir.path().join("replayed");
    let target = EmbeddedCluster::open(&path, Options::new(Arc::new(SystemClock))).unwrap();
    let ask = RestoreAsk {
        id: "bench".to_owned(),
        scope: RestoreScope::Whole,
        filter: TableFilter::all(),
        rename: RenameMap::default(),
        until: run.to,
        spares: false,
    };
    let restorer = target.restorer(&ask).unwrap();
    restorer
        .define(&TableDef {
            name: table(),
            schema: "{}".to_owned(),
            system: false,
        })
        .unwrap();
    let mut bytes = 0.0;
    let (seconds, ()) = timed(|| {
        let mut log = bench.archive.read_log(&run, base.commit, run.to).unwrap();
        while let Some(e) = log.next().unwrap() {
            bytes += e.payload.len() as f64;
            restorer
                .replay(&ReplayTxn {
                    commit: e.commit,
                    id: &e.id,
                    payload: &e.payload,
                    early: false,
                })
                .unwrap();
        }
        restorer.end_of_log().unwrap();
    });
    restorer.abandon().unwrap();
    drop((restorer, target));
    std::fs::remove_dir_all(path).unwrap();
    line("archiving the log", bytes, archive_s, "");
    line(
        "log replay (read, check, stage, sort)",
        bytes,
        seconds,
        &format!("{:.0} changed rows/s (goal 100000, 20 MB/s)", changes as f64 / seconds),
    );
    let whole = bench.restore(RestorePoint::Latest, "latest");
    println!(
        "{:44} {whole:22.2} s  {:4} MB at most",
        "whole restore with that log merged in",
        peak_mb()
    );
}

/// A workload at 30 % of its peak, alone, with the log backup, and with log and snapshot.
fn paced(bench: &Bench) {
    let peak = workload(bench, None, Duration::from_secs(5)).0;
    let rate = peak * 0.3;
    println!("write workload: peak {peak:.0} transactions/s; paced at {rate:.0}/s");
    let seconds = Duration::from_secs(10);
    let (alone, p99) = workload(bench, Some(rate), seconds);
    println!("  alone              {alone:8.0}/s  p99 {p99:6.2} ms");
    let task = bench.task();
    let shared = task.shared.clone();
    let log_cx = TestCx::default();
    std::thread::scope(|s| {
        s.spawn(move || task.run(&log_cx).unwrap());
        let (with, p99) = workload(bench, Some(rate), seconds);
        println!(
            "  with log backup    {with:8.0}/s  p99 {p99:6.2} ms  loses {:.1} % (goal 5)",
            100.0 * (1.0 - with / alone)
        );
        let done = AtomicBool::new(false);
        std::thread::scope(|inner| {
            inner.spawn(|| {
                // As the runner does for backup jobs.
                brine::jobs::priority::step_back();
                while !done.load(Ordering::SeqCst) {
                    bench.backup();
                }
            });
            let (with, p99) = workload(bench, Some(rate), seconds);
            println!(
                "  with log, snapshot {with:8.0}/s  p99 {p99:6.2} ms  loses {:.1} % (goal 20)",
                100.0 * (1.0 - with / alone)
            );
            done.store(true, Ordering::SeqCst);
        });
        shared.stop();
    });
}

/// Transactions of one row from four sessions; returns transactions per second and the p99 in milliseconds.
fn workload(bench: &Bench, rate: Option<f64>, time: Duration) -> (f64, f64) {
    const SESSIONS: u64 = 4;
    let start = Instant::now();
    let mut waits: Vec<f64> = std::thread::scope(|s| {
        let work = |n: u64| {
            let session = bench.cluster.session("paced").unwrap();
            let mut dice = fastrand::Rng::with_seed(n);
            let mut waits = Vec::new();
            let gap = rate.map(|r| Duration::from_secs_f64(SESSIONS as f64 / r));
            let mut next = Instant::now();
            while start.elapsed() < time {
                let (key, value) = row(dice.u64(0..1_000_000), &mut dice);
                let begun = Instant::now();
                session.put(&table(), &key, &value).unwrap();
                waits.push(begun.elapsed().as_secs_f64() * 1e3);
                if let Some(gap) = gap {
                    next += gap;
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            }
            waits
        };
        let threads: Vec<_> = (0..SESSIONS).map(|n| s.spawn(move || work(n))).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let per_second = waits.len() as f64 / start.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    (per_second, waits[waits.len() * 99 / 100])
}
