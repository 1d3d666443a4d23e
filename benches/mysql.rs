//! A MariaDB server of its own, backed up, restored and replayed by brine and by the tools that people use instead, in turn
//! in one run; the ratios are what counts.
//!
//! `tests/servers/get` fetches the server; `BRINE_BENCH_ROWS` is the number of rows (1,000,000), `BRINE_BENCH_TRX` the
//! transactions of the log (40,000). Peers that are not installed are left out, and that is said.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const TABLES: u64 = 4;

/// A private server; ends with the value.
struct Server {
    exec: PathBuf,
    dir: PathBuf,
    port: u16,
    process: Child,
}

impl Server {
    fn start(servers: &Path, dir: PathBuf) -> Server {
        let home = servers.join("mariadb-10.11");
        fs::create_dir_all(dir.join("log")).unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(home.join("template"))
            .arg(dir.join("data"))
            .status();
        assert!(copied.unwrap().success());
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let at = |what: &str, name: &str| format!("--{what}={}", dir.join(name).display());
        let process = Command::new(home.join("exec/mariadbd"))
            .arg("--no-defaults")
            .args([at("datadir", "data"), at("socket", "s.sock"), at("pid-file", "pid")])
            .args([at("log-error", "err"), at("log-bin", "log/bin"), at("tmpdir", "")])
            .args([format!("--port={port}"), format!("--server-id={port}")])
            .args([
                "--user=root",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--gtid-strict-mode=1",
            ])
            .args([
                "--binlog-format=ROW",
                "--binlog-row-image=FULL",
                "--sync-binlog=1",
                "--max-allowed-packet=1G",
            ])
            .args([
                "--innodb-buffer-pool-size=1G",
                "--innodb-log-file-size=1G",
                "--event-scheduler=OFF",
            ])
            .args([
                "--character-set-server=utf8mb4",
                "--innodb-flush-log-at-trx-commit=1",
                "--local-infile=1",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server {
            exec: home.join("exec"),
            dir,
            port,
            process,
        };
        let end = Instant::now() + Duration::from_secs(60);
        while !server.client("select 1").status().unwrap().success() {
            assert!(
                Instant::now() < end,
                "the server does not start: see {}",
                server.dir.join("err").display()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    fn socket(&self) -> String {
        self.dir.join("s.sock").display().to_string()
    }

    /// One of the server's own programs, logged in.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.exec.join(name));
        command.args(["--no-defaults", "-uroot", "-S", &self.socket()]);
        command
    }

    fn client(&self, sql: &str) -> Command {
        let mut command = self.program("mariadb");
        command.args(["-NBe", sql]).stderr(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn sql(&self, sql: &str) -> String {
        let out = self.program("mariadb").args(["-NBe", sql]).output().unwrap();
        assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// `CHECKSUM TABLE` of what the bench made.
    fn sums(&self) -> String {
        let tables: Vec<String> = (1..=TABLES).map(|n| format!("bench.t{n}")).collect();
        self.sql(&format!("checksum table {}", tables.join(", ")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(
            self.program("mariadb-admin")
                .arg("shutdown")
                .stderr(Stdio::null())
                .status(),
        );
        drop(self.process.wait());
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Runs a shell line to its end on disk, and says how long it took.
fn shell(line: &str) -> f64 {
    let began = Instant::now();
    let done = Command::new("bash")
        .args(["-o", "pipefail", "-c", &format!("{line} && sync")])
        .status()
        .unwrap();
    assert!(done.success(), "{line}");
    began.elapsed().as_secs_f64()
}

fn show(what: &str, seconds: f64, mb: f64, against: Option<(&str, f64)>) {
    let ratio = against.map_or_else(String::new, |(who, other)| format!("   {:.2} x {who}", other / seconds));
    println!("{what:<44} {seconds:>8.2} s {:>8.0} MB/s{ratio}", mb / seconds);
}

struct Bench {
    source: Server,
    target: Server,
    scratch: PathBuf,
    mb: f64,
}

impl Bench {
    fn brine(&self, args: &str) -> f64 {
        let line = format!(
            "BRINE_CONFIG={0}/brine.toml BRINE_DATA_DIR={0}/state {1} -q {args} > {0}/brine.out 2>&1 || (cat {0}/brine.out; false)",
            self.scratch.display(),
            env!("CARGO_BIN_EXE_brine"),
        );
        shell(&line)
    }

    fn configure(&self) {
        let cluster = |name: &str, server: &Server| {
            format!(
                "[[cluster]]\nname = \"{name}\"\nkind = \"mysql\"\nsocket = \"{}\"\nuser = \"root\"\n\
                 password = {{ command = \"printf %s\" }}\nstorage = [\"local\"]\n",
                server.socket()
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

    fn fill(&self, rows: u64) {
        self.source.sql("create database bench");
        for n in 1..=TABLES {
            self.source.sql(
                &format!(
                    "create table bench.t{n} (id int primary key auto_increment, k int not null, c char(120) not null, \
                 pad char(60) not null, key k (k)); \
                 insert into bench.t{n} (k, c, pad) select seq * 7919 % {rows}, \
                 concat(sha2(seq, 256), sha2(seq + {n}, 224)), md5(seq) from bench.seq",
                )
                .replace("from bench.seq", &format!("from bench.seq_1_to_{}", rows / TABLES)),
            );
        }
    }

    fn drop_target(&self) {
        self.target.sql("drop database if exists bench");
    }

    /// Snapshots by everyone.
    fn snapshots(&self) {
        let (dir, socket) = (self.scratch.display(), self.source.socket());
        let dump = self.source.exec.join("mariadb-dump");
        let dump = format!(
            "{} --no-defaults -uroot -S {socket} --single-transaction bench",
            dump.display()
        );
        let brine = self.brine("backup create source");
        if installed("zstd") {
            let peer = shell(&format!("{dump} | zstd -1 -q -o {dir}/dump.zst"));
            show("mariadb-dump | zstd -1", peer, self.mb, None);
            show(
                "brine backup create (zstd, checksums)",
                brine,
                self.mb,
                Some(("mariadb-dump | zstd -1", peer)),
            );
        } else {
            println!("zstd is not installed: mariadb-dump | zstd -1 is left out");
        }
        shell(&format!("{dump} > {dir}/dump.sql"));
        if installed("mydumper") {
            let run = |more: &str| {
                shell(&format!(
                    "rm -rf {dir}/my; mydumper -u root -S {socket} -B bench -t 2 {more} -o {dir}/my 2>/dev/null"
                ))
            };
            let packed = run("--compress");
            let plain = run("");
            show("mydumper -t 2 plain", plain, self.mb, None);
            show("mydumper -t 2 --compress", packed, self.mb, None);
            show("brine backup create", brine, self.mb, Some(("mydumper plain", plain)));
            show(
                "brine backup create",
                brine,
                self.mb,
                Some(("mydumper --compress", packed)),
            );
        } else {
            println!("mydumper is not installed: it is left out");
        }
    }

    fn restores(&self) {
        let dir = self.scratch.display();
        let client = self.target.exec.join("mariadb");
        let client = format!("{} --no-defaults -uroot -S {}", client.display(), self.target.socket());
        self.target.sql("create database bench");
        let dumped = shell(&format!("{client} bench < {dir}/dump.sql"));
        show("mariadb < dump", dumped, self.mb, None);
        let mut loaded = None;
        if installed("myloader") {
            self.drop_target();
            let run = format!(
                "myloader -u root -S {} -t 4 -d {dir}/my 2>/dev/null",
                self.target.socket()
            );
            let seconds = shell(&run);
            show("myloader -t 4", seconds, self.mb, None);
            loaded = Some(seconds);
        }
        self.drop_target();
        let brine = self.brine("restore source --latest --to target --replace --confirm-name target --yes");
        assert_eq!(self.target.sums(), self.source.sums(), "restored");
        show(
            "brine restore (snapshot)",
            brine,
            self.mb,
            Some(("mariadb < dump", dumped)),
        );
        if let Some(loaded) = loaded {
            show("brine restore (snapshot)", brine, self.mb, Some(("myloader", loaded)));
        }
    }

    /// A log of small transactions, archived and replayed.
    fn log(&self, transactions: u64) {
        self.brine("log start source");
        self.brine("log flush source");
        self.drop_target();
        self.brine("restore source --latest --to target --replace --confirm-name target --yes");
        let base = self.brine("restore source --latest --to target --replace --confirm-name target --yes");
        // The peer sends the source's own numbers.
        self.target.sql("set global gtid_strict_mode = 0");
        let place = self.source.sql("show master status");
        let (file, position) = place.split_once('\t').unwrap();
        let position = position.split('\t').next().unwrap();
        let workers = 4;
        std::thread::scope(|scope| {
            for n in 0..workers {
                scope.spawn(move || {
                    let (table, count) = (n % TABLES + 1, transactions / workers);
                    self.source.sql(&format!(
                        "delimiter //\nbegin not atomic declare i int default 0; while i < {count} do \
                         start transaction; \
                         update bench.t{table} set k = k + 1 where id = 1 + (i * 7919) % 10000; \
                         update bench.t{table} set c = sha2(i, 256) where id = 1 + (i * 104729) % 10000; \
                         delete from bench.t{table} where id = 20000 + i; \
                         insert into bench.t{table} (k, c, pad) values (i, md5(i), 'new'); commit; \
                         set i = i + 1; end while; end//"
                    ));
                });
            }
        });
        let now = self.source.sql("show master status");
        let end: f64 = now.split('\t').nth(1).unwrap().parse().unwrap();
        let mb = (end - position.parse::<f64>().unwrap()) / 1e6;
        let archived = self.brine("log flush source");
        show("brine log flush (archives the log)", archived, mb, None);
        let binlog = self.source.exec.join("mariadb-binlog");
        let client = self.target.exec.join("mariadb");
        let client = format!("{} --no-defaults -uroot -S {}", client.display(), self.target.socket());
        let peer = shell(&format!(
            "{} --no-defaults --start-position={position} {} | {client}",
            binlog.display(),
            self.source.dir.join("log").join(file).display()
        ));
        assert_eq!(self.target.sums(), self.source.sums(), "replayed by the peer");
        let whole = self.brine("restore source --latest --to target --replace --confirm-name target --yes");
        assert_eq!(self.target.sums(), self.source.sums(), "replayed");
        let replay = (whole - base).max(0.01);
        println!("{transactions} transactions, {mb:.0} MB of log");
        show("mariadb-binlog | mariadb", peer, mb, None);
        show(
            "brine restore, less the same without log",
            replay,
            mb,
            Some(("mariadb-binlog | mariadb", peer)),
        );
    }
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
    let rows = number("BRINE_BENCH_ROWS", 1_000_000);
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let mut bench = Bench {
        source: Server::start(&servers, at("a")),
        target: Server::start(&servers, at("b")),
        scratch: scratch.path().to_owned(),
        mb: rows as f64 * 200.0 / 1e6,
    };
    bench.configure();
    bench.fill(rows);
    bench.mb = bench.source.sql("select sum(length(id) + length(k) + length(c) + length(pad) + 4) / 1e6 from \
        (select * from bench.t1 union all select * from bench.t2 union all select * from bench.t3 union all select * from bench.t4) x")
        .parse()
        .unwrap();
    println!(
        "{rows} rows, {:.0} MB of row text, port {}",
        bench.mb, bench.source.port
    );
    bench.snapshots();
    bench.restores();
    bench.log(number("BRINE_BENCH_TRX", 40_000));
    ExitCode::SUCCESS
}
