//! A MariaDB server of its own, backed up, restored and replayed by brine and by the tools that people use instead, in turn
//! in one run; the ratios are what counts.
//!
//! `tests/servers/get` fetches the server; `BRINE_BENCH_ROWS` is the number of rows (2,000,000), `BRINE_BENCH_TRX` the
//! transactions of the log (180,000), `BRINE_BENCH_PARTS` the parts to be run: `snapshot restore flush replay paced`. Peers that
//! are not installed are left out, and that is said.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

mod log;
mod paced;
mod run;
mod server;
mod snapshot;
mod workload;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use run::{Cost, cost, watched};
use server::Server;

const TABLES: u64 = 4;

/// Two servers, and what stands between them.
struct Bench {
    source: Server,
    target: Server,
    scratch: PathBuf,
    servers: PathBuf,
    rows: u64,
    /// Row text, in millions of bytes.
    mb: f64,
}

impl Bench {
    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brine"));
        let out = fs::File::create(self.scratch.join("brine.out")).unwrap();
        command
            .env("BRINE_CONFIG", self.scratch.join("brine.toml"))
            .env("BRINE_DATA_DIR", self.scratch.join("state"))
            .arg("-q")
            .args(args.split_whitespace())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        command
    }

    /// Runs brine, counting the work of `server`.
    fn brine(&self, server: &Server, args: &str) -> Cost {
        cost(server, || {
            let (done, peak) = watched(&mut self.command(args));
            let said = || fs::read_to_string(self.scratch.join("brine.out")).unwrap();
            assert!(done.success(), "brine {args}: {}", said());
            peak
        })
    }

    /// Brings the target to a point of the source's history.
    fn restore(&self, point: &str) -> Cost {
        let line = format!("restore source {point} --to target --replace --confirm-name target --yes");
        self.brine(&self.target, &line)
    }

    fn configure(&self) {
        let cluster = |name: &str, server: &Server| {
            format!(
                "[[cluster]]\nname = \"{name}\"\nkind = \"mysql\"\nsocket = \"{}\"\nuser = \"root\"\n\
                 password = {{ command = \"printf %s\" }}\nstorage = [\"local\"]\n",
                server.socket().display()
            )
        };
        let storage = self.scratch.join("storage");
        fs::create_dir_all(&storage).unwrap();
        let text = format!(
            "[[storage]]\nname = \"local\"\nurl = \"file://{}\"\n{}{}",
            storage.display(),
            cluster("source", &self.source),
            cluster("target", &self.target)
        );
        fs::write(self.scratch.join("brine.toml"), text).unwrap();
    }

    /// Rows as the usual OLTP bench makes them: two numbers and 178 random digits in groups.
    fn fill(&mut self) {
        self.source.sql("create database bench");
        let digits = |groups: usize| vec!["lpad(floor(rand() * 1e11), 11, '0')"; groups].join(", ");
        let (rows, source) = (self.rows, &self.source);
        std::thread::scope(|scope| {
            for n in 1..=TABLES {
                let fill = format!(
                    "create table bench.t{n} (id int primary key auto_increment, k int not null, c char(120) not null, \
                     pad char(60) not null, key k (k)); \
                     insert into bench.t{n} (k, c, pad) select floor(rand() * {rows}), concat_ws('-', {}), \
                     concat_ws('-', {}) from bench.seq_1_to_{}",
                    digits(10),
                    digits(5),
                    rows / TABLES
                );
                scope.spawn(move || source.sql(&fill));
            }
        });
        let sum = "select sum(length(id) + length(k) + length(c) + length(pad) + 4) / 1e6 from";
        let tables = (1..=TABLES).map(|n| self.source.sql(&format!("{sum} bench.t{n}")));
        self.mb = tables.map(|t| t.parse::<f64>().unwrap()).sum();
    }

    /// Whether both servers hold the same rows.
    fn same(&self, what: &str) {
        let tables: Vec<String> = (1..=TABLES).map(|n| format!("bench.t{n}")).collect();
        let sums = format!("checksum table {}", tables.join(", "));
        assert_eq!(self.target.sql(&sums), self.source.sql(&sums), "{what}");
    }

    /// A target that was just started. In one that was used before, the purge may still be busy with what is gone and leave the
    /// new rows for later, or write pages of it: the same load then costs a quarter less, or more.
    fn fresh_target(&mut self) {
        self.target = self.target.anew(&self.servers);
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Whether a part is to be run: all are, unless `BRINE_BENCH_PARTS` names some.
fn wanted(part: &str) -> bool {
    std::env::var("BRINE_BENCH_PARTS").map_or(true, |parts| parts.split_whitespace().any(|p| p == part))
}

/// Whether a peer is there; says so when it is not.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !there {
        println!("  {program} is not installed: what needs it is left out");
    }
    there
}

fn main() -> ExitCode {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let servers =
        std::env::var_os("BRINE_TEST_SERVERS").map_or_else(|| cache.join("brine-test-servers"), PathBuf::from);
    if !servers.join("mariadb-10.11/exec/mariadbd").exists() {
        println!("no server: run tests/servers/get first");
        return ExitCode::FAILURE;
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let mut bench = Bench {
        source: Server::start(&servers, at("a")),
        target: Server::start(&servers, at("b")),
        scratch: scratch.path().to_owned(),
        servers,
        rows: number("BRINE_BENCH_ROWS", 2_000_000),
        mb: 0.0,
    };
    bench.configure();
    bench.fill();
    println!("{} rows, {:.0} MB of row text", bench.rows, bench.mb);
    match wanted("snapshot") {
        true => bench.snapshots(),
        // The other parts need one.
        false => drop(bench.brine(&bench.source, "backup create source")),
    }
    if wanted("restore") {
        bench.restores();
    }
    if wanted("flush") || wanted("replay") {
        bench.log(number("BRINE_BENCH_TRX", 180_000));
    }
    if wanted("paced") {
        bench.paced();
    }
    ExitCode::SUCCESS
}
