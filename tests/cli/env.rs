//! The binary with a home, a config and a data directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// What the binary under test is called with.
pub const BRINE: &str = env!("CARGO_BIN_EXE_brine");

/// Two embedded clusters, `demo` and `other`, and one storage.
pub struct Brine {
    dir: TempDir,
}

/// What one command gave.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// The command must have gone well.
    #[track_caller]
    pub fn ok(self) -> Run {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// Its one JSON document.
    #[track_caller]
    pub fn json(self) -> Value {
        let run = self.ok();
        serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}: {}", run.out))
    }
}

impl Brine {
    pub fn new() -> Brine {
        Brine::with("")
    }

    /// The same with more lines for the cluster `demo`.
    pub fn with(demo: &str) -> Brine {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("backups")).unwrap();
        let config = format!(
            r#"
[[storage]]
name = "local"
url = "backups"

[[cluster]]
name = "demo"
kind = "embedded"
path = "demo"
storage = ["local"]
{demo}

[[cluster]]
name = "other"
kind = "embedded"
path = "other"
storage = ["local"]
"#
        );
        fs::write(dir.path().join("config.toml"), config).unwrap();
        Brine { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command, not yet started, with nothing of the developer's own surroundings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.surroundings(BRINE);
        command.args(args).env("BRINE_CONFIG", self.path("config.toml"));
        command
    }

    /// Any program in the same surroundings, but for the config.
    pub fn surroundings(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = Path::new(BRINE).parent().unwrap().display().to_string();
        let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path())
            .env("USER", "tester")
            .env("BRINE_DATA_DIR", self.path("data"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        let output = self.command(args).output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs words separated by blanks; must go well.
    #[track_caller]
    pub fn ok(&self, line: &str) -> Run {
        self.run(&line.split_whitespace().collect::<Vec<_>>()).ok()
    }

    /// Runs with `--json`; must go well.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        self.ok(&format!("{line} --json")).json()
    }

    /// Writes a row and gives the TSO of its commit.
    #[track_caller]
    pub fn put(&self, table: &str, key: &str, value: &str) -> String {
        let done = self.run(&["data", "put", "demo", table, key, value, "--json"]).json();
        done["committed"]["tso"].as_str().unwrap().to_owned()
    }

    /// Checksums by table, now or at a moment.
    #[track_caller]
    pub fn sums(&self, cluster: &str, at: Option<&str>) -> BTreeMap<String, String> {
        let at = at.map(|at| format!(" --at {at}")).unwrap_or_default();
        let sums = self.json(&format!("data checksum {cluster}{at}"));
        let tables = sums["tables"].as_array().unwrap().iter();
        tables
            .map(|t| {
                (
                    t["table"].as_str().unwrap().to_owned(),
                    format!("{} {}", t["rows"], t["checksum"]),
                )
            })
            .collect()
    }

    /// A cluster with a backup, a running log backup and rows before and after a moment; gives that moment.
    pub fn with_history(&self) -> String {
        self.ok("data load demo shop.orders --rows 300 --seed 7");
        self.ok("backup create demo");
        self.ok("log start demo");
        let moment = self.put("shop.notes", "a", "1");
        self.put("shop.notes", "b", "2");
        self.ok("data delete demo shop.orders 000000000007");
        self.ok("log flush demo");
        moment
    }

    /// The newest backup's id.
    #[track_caller]
    pub fn newest_backup(&self) -> String {
        let list = self.json("backup list demo");
        list[0]["summary"]["id"].as_str().unwrap().to_owned()
    }

    /// Everything that a refused command must not change: the archive's files but its lock, and the clusters' data.
    pub fn fingerprint(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut open = vec![self.path("backups")];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else if !path.ends_with("state/lock") {
                    all.insert(path.display().to_string(), fs::read(&path).unwrap());
                }
            }
        }
        for cluster in ["demo", "other"] {
            all.insert(
                cluster.to_owned(),
                format!("{:?}", self.sums(cluster, None)).into_bytes(),
            );
        }
        all
    }

    /// Starts a command that stays.
    pub fn spawn(&self, args: &[&str]) -> Stays {
        Stays(self.command(args).spawn().unwrap())
    }
}

/// A command that stays until it is told to go.
pub struct Stays(Child);

impl Stays {
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end and gives its code and stderr.
    pub fn end(mut self) -> (Option<i32>, String) {
        use std::io::Read as _;
        wait_until("the command has ended", || self.0.try_wait().unwrap().is_some());
        let mut err = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.0.wait().unwrap().code(), err)
    }
}

impl Drop for Stays {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a condition.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
