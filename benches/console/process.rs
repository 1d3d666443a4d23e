//! The budgets of the whole program: the real binary in a pseudo-terminal, with a job, with nothing to do, and with 500
//! clusters whose archives hold 100,000 backups.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use brine::archive::{Archive, ArchiveIdentity, ArchiveLock, Holder, Manifest};
use brine::model::clock::{Clock, Millis, SystemClock};
use brine::model::ids::ClusterName;
use brine::storage::local::Local;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::{CLUSTERS, EACH, at_of, id, report, report_number, summary};

const BRINE: &str = env!("CARGO_BIN_EXE_brine");
const PATIENCE: Duration = Duration::from_secs(120);
const SIZE: PtySize = PtySize {
    rows: 36,
    cols: 120,
    pixel_width: 0,
    pixel_height: 0,
};

/// The program on a terminal.
struct Terminal {
    _master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    bytes: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    seen: usize,
}

impl Terminal {
    fn start(args: &[&str]) -> Terminal {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        let mut command = CommandBuilder::new(BRINE);
        command.args(args);
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")] {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, bytes) = channel();
        std::thread::spawn(move || {
            let mut buf = [0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut buf) {
                if sender.send(buf[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            writer: pair.master.take_writer().unwrap(),
            _master: pair.master,
            child,
            bytes,
            parser: vt100::Parser::new(cells(SIZE.rows), cells(SIZE.cols), 0),
            seen: 0,
        }
    }

    /// Takes what comes, until something has come or the time is over.
    fn take(&mut self, wait: Duration) -> bool {
        let Ok(bytes) = self.bytes.recv_timeout(wait) else {
            return false;
        };
        self.seen += bytes.len();
        self.parser.process(&bytes);
        true
    }

    fn until(&mut self, what: &str, condition: impl Fn(&Terminal) -> bool) -> Duration {
        let begun = Instant::now();
        while !condition(self) {
            self.take(Duration::from_millis(20));
            let text = self.parser.screen().contents();
            assert!(begun.elapsed() < PATIENCE, "waited for {what} in vain:\n{text}");
        }
        begun.elapsed()
    }

    fn shows(&mut self, text: &str) -> Duration {
        self.until(text, |t| t.parser.screen().contents().contains(text))
    }

    fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// From a key to its answer, which is more than the few bytes that a job's progress takes.
    fn answer(&mut self, keys: &str, least: usize) -> Duration {
        while self.take(Duration::from_millis(1)) {}
        let (before, begun) = (self.seen, Instant::now());
        self.press(keys);
        while self.seen - before < least {
            self.take(Duration::from_millis(200));
            assert!(begun.elapsed() < PATIENCE, "{keys:?} was not answered");
        }
        begun.elapsed()
    }

    fn bytes_within(&mut self, time: Duration) -> usize {
        let (before, end) = (self.seen, Instant::now() + time);
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.take(left);
        }
        self.seen - before
    }

    /// The program and the parent that keeps the shell waiting.
    fn processes(&self) -> Vec<u32> {
        let first = self.child.process_id().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|p| p.parse().ok());
        std::iter::once(first).chain(children).collect()
    }

    /// Wake-ups, and hundredths of a second of CPU, of all threads.
    fn spent(&self) -> (u64, u64) {
        let mut spent = (0, 0);
        for pid in self.processes() {
            let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
                continue;
            };
            for task in tasks.flatten().map(|t| t.path()) {
                let read = |name: &str| std::fs::read_to_string(task.join(name)).unwrap_or_default();
                let wakes = |l: &str| l.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok();
                spent.0 += read("status").lines().find_map(wakes).unwrap_or(0);
                let stat = read("stat");
                let fields: Vec<u64> = stat
                    .rsplit(')')
                    .next()
                    .unwrap_or_default()
                    .split_whitespace()
                    .flat_map(str::parse)
                    .collect();
                // Behind the name and the letter of the state, times are the 11th and 12th number.
                spent.1 += fields.get(10).unwrap_or(&0) + fields.get(11).unwrap_or(&0);
            }
        }
        spent
    }

    /// The most memory that it ever had, MB.
    fn memory(&self) -> u64 {
        let peak = |pid: u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status
                .lines()
                .find_map(|l| l.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
            line.unwrap_or(0)
        };
        self.processes().into_iter().map(peak).sum::<u64>() / 1024
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Quits, with whatever is running; the parent's end would leave the console behind.
        for pid in self.processes().into_iter().rev() {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
        let _ = self.child.wait();
    }
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

fn brine(args: &[&str]) {
    let output = Command::new(BRINE).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Where files lie: in memory where there is such a place, because the disk is not what is measured.
fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    tempfile::tempdir_in(parent).unwrap()
}

/// One embedded cluster: starting, doing nothing, and a job.
pub fn one_cluster() -> bool {
    let dir = place();
    let data = dir.path().join("data");
    let global = ["--data-dir", data.to_str().unwrap()];
    let with = |args: &[&str]| brine(&[&global, args].concat());
    with(&[
        "data",
        "load",
        "demo",
        "shop.orders",
        "--rows",
        "30000",
        "--size",
        "400",
    ]);
    let mut kept = true;
    let starts = (0..7).map(|_| {
        let begun = Instant::now();
        let mut t = Terminal::start(&global);
        t.shows("brine");
        begun.elapsed()
    });
    kept &= report(
        "program: first frame after its start",
        starts.collect(),
        Duration::from_millis(50),
    );
    let mut t = Terminal::start(&global);
    t.shows("no backup");
    kept &= idle(&mut t);
    let mut job = Command::new(BRINE)
        .args(global)
        .args(["backup", "create", "demo", "--rate-limit", "400KB"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    t.shows("job 1");
    t.bytes_within(Duration::from_secs(1));
    let bytes = t.bytes_within(Duration::from_secs(8)) as u64 / 8;
    kept &= report_number("job: bytes a second to the terminal", bytes, 6_000);
    let mut random = fastrand::Rng::with_seed(1);
    let keys = (0..200).map(|n| {
        std::thread::sleep(Duration::from_millis(random.u64(5..45)));
        t.answer(if n % 2 == 0 { "?" } else { "q" }, 300)
    });
    kept &= report("job: key to first bytes", keys.collect(), Duration::from_millis(5));
    assert!(
        t.parser.screen().contents().contains("job 1"),
        "the job has ended too early"
    );
    drop(t);
    let _ = job.wait();
    kept
}

/// Nothing to do: no bytes, no CPU.
fn idle(t: &mut Terminal) -> bool {
    // What has just been started still settles; the clock on the screen goes on by the minute.
    while t.bytes_within(Duration::from_secs(5)) > 0 {}
    let to_the_minute = 60 - SystemClock.now().0.rem_euclid(Millis::MINUTE) / Millis::SECOND;
    if to_the_minute < 12 {
        t.bytes_within(Duration::from_secs(to_the_minute.unsigned_abs() + 1));
    }
    let before = t.spent();
    let bytes = t.bytes_within(Duration::from_secs(10));
    let after = t.spent();
    let mut kept = report_number("idle for 10 s: bytes", bytes as u64, 0);
    kept &= report_number("idle for 10 s: hundredths of a second of CPU", after.1 - before.1, 1);
    t.bytes_within(Duration::from_secs(50));
    println!(
        "{:58} {:>10}",
        "idle for a minute: wake-ups of all threads",
        t.spent().0 - before.0
    );
    kept
}

/// As many archives as there are clusters, each with its share of 100,000 backups.
fn archives(dir: &Path) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let work = |from: usize| {
        let storage = Arc::new(Local::create(dir).unwrap());
        for n in (from..CLUSTERS).step_by(2) {
            let cluster = ClusterName::new(format!("cluster-{n:03}")).unwrap();
            let identity = ArchiveIdentity {
                cluster: cluster.clone(),
                cluster_identity: format!("{n:032}"),
                kind: "mysql".to_owned(),
                created: clock.now(),
            };
            let archive = Archive::create(storage.clone(), identity).unwrap();
            let holder = Holder::here("bench", "bench").unwrap();
            let lock = ArchiveLock::take(&archive, holder, Arc::clone(&clock)).unwrap();
            for age in 0..EACH {
                let manifest = Manifest {
                    summary: brine::model::backup::BackupSummary {
                        cluster: cluster.clone(),
                        commit: at_of(clock.now(), age * 60 * 24 / 4),
                        ..summary(id(age), age)
                    },
                    tables: Vec::new(),
                    definitions: Vec::new(),
                };
                archive.write_manifest(&lock, &manifest).unwrap();
            }
        }
    };
    std::thread::scope(|s| {
        s.spawn(|| work(0));
        s.spawn(|| work(1));
    });
}

fn config(dir: &Path) -> PathBuf {
    let storage = dir.join("storage");
    let mut text = format!("[[storage]]\nname = \"s\"\nurl = \"file://{}\"\n", storage.display());
    for n in 0..CLUSTERS {
        text += &format!(
            "[[cluster]]\nname = \"cluster-{n:03}\"\nkind = \"mysql\"\nhosts = [\"127.0.0.1:1\"]\nuser = \"backup\"\nstorage = [\"s\"]\n"
        );
    }
    let file = dir.join("config.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// A fleet whose servers do not answer and whose archives lie here.
pub fn fleet() -> bool {
    let dir = place();
    let begun = Instant::now();
    archives(&dir.path().join("storage"));
    println!(
        "{:58} {:>10.1?}",
        "(made 500 archives with 100,000 backups)",
        begun.elapsed()
    );
    // Writing them out is this bench's own load.
    rustix::fs::sync();
    let (config, data) = (config(dir.path()), dir.path().join("data"));
    let args = [
        "--config",
        config.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let starts = (0..5).map(|_| {
        let begun = Instant::now();
        let mut t = Terminal::start(&args);
        t.shows("brine");
        begun.elapsed()
    });
    let mut kept = report("fleet: first frame", starts.collect(), Duration::from_millis(50));
    let begun = Instant::now();
    let mut t = Terminal::start(&args);
    t.shows("cluster-000");
    println!(
        "{:58} {:>10.1?}",
        "fleet: all archives read, from the start",
        begun.elapsed()
    );
    t.bytes_within(Duration::from_secs(2));
    let frame = Duration::from_millis(16);
    // Line by line, half a screen at a time, and back: at the end of the list a key changes nothing.
    let key = |n: u32| match n {
        0..50 => "j",
        50..75 => "\u{4}",
        _ => "\u{15}",
    };
    let scroll = (0..100).map(|n| t.answer(key(n), 40)).collect();
    kept &= report("fleet: key to first bytes, scrolling", scroll, frame);
    let filter = ["/", "c", "l", "u", "s", "t", "e", "r", "-", "4"].map(|k| t.answer(k, 10));
    kept &= report("fleet: key to first bytes, filtering", filter.to_vec(), frame);
    t.press("\r\r");
    t.shows("SNAPSHOT");
    t.shows("200 backups");
    kept &= report_number("fleet: memory at its most, MB", t.memory(), 150);
    kept
}
