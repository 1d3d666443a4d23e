//! Running a program to its end on disk, and what it cost.

use std::fs;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::server::Server;

/// What a run cost.
#[derive(Clone, Copy)]
pub struct Cost {
    /// By the clock on the wall, in seconds.
    pub wall: f64,
    /// Processor time of the programs, in seconds.
    pub client: f64,
    /// Processor time of the server meanwhile, in seconds.
    pub server: f64,
    /// Peak of the program's memory in MB; 0 when it was not watched.
    pub peak: u64,
}

impl Cost {
    /// The time that the same work takes when no core ever waits.
    pub fn floor(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (self.client + self.server) / cores as f64
    }
}

/// Seconds in fields of a line of /proc/PID/stat, counted from 1.
pub fn ticks(stat: &str, fields: [usize; 2]) -> f64 {
    // The second field is a name that may hold blanks: what follows the last bracket begins with the third.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let values: Vec<&str> = rest.split_whitespace().collect();
    let sum: u64 = fields.iter().map(|f| values[f - 3].parse::<u64>().unwrap()).sum();
    // The unit is 1/100 s on every Linux.
    sum as f64 / 100.0
}

/// Processor time of the programs that we waited for.
fn children() -> f64 {
    ticks(&fs::read_to_string("/proc/self/stat").unwrap(), [16, 17])
}

/// Takes what `work` costs, with `sync` at its end so that nobody gets the page cache for nothing.
pub fn cost(server: &Server, work: impl FnOnce() -> u64) -> Cost {
    shell("sync");
    let (client, at_server, began) = (children(), server.cpu(), Instant::now());
    let peak = work();
    shell("sync");
    Cost {
        wall: began.elapsed().as_secs_f64(),
        client: children() - client,
        server: server.cpu() - at_server,
        peak,
    }
}

/// Runs a shell line that must succeed.
pub fn shell(line: &str) {
    let done = Command::new("bash")
        .args(["-o", "pipefail", "-c", line])
        .status()
        .unwrap();
    assert!(done.success(), "{line}");
}

/// Runs a program to its end; its peak of memory in MB.
pub fn watched(command: &mut Command) -> (ExitStatus, u64) {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        peak = peak.max(high_water(&status));
        if let Some(done) = child.try_wait().unwrap() {
            return (done, peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// VmHWM of a /proc/PID/status, in MB.
pub fn high_water(file: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    let kb: u64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    kb / 1024
}

/// One line of the report.
pub fn show(what: &str, cost: &Cost, mb: f64) {
    let peak = if cost.peak > 0 {
        format!("  peak {} MB", cost.peak)
    } else {
        String::new()
    };
    println!(
        "  {what:<40} {:>7.2} s {:>6.0} MB/s  cpu {:>6.2} + {:>6.2} server{peak}",
        cost.wall,
        mb / cost.wall,
        cost.client,
        cost.server
    );
}

/// How many times faster we were than a peer, and the goal.
pub fn ratio(peer: &str, ours: f64, theirs: f64, goal: f64) {
    println!("    {:>5.2} x {peer} (goal {goal})", theirs / ours);
}
