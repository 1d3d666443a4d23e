//! Real servers in directories of their own: started, restarted, killed, and gone with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use brine::cluster::mysql::{Endpoint, MysqlOptions, Password};
use parking_lot::{Condvar, Mutex};

/// The servers of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    MariaDb1011,
    MariaDb118,
    Mysql97,
}

use Kind::{MariaDb118, MariaDb1011, Mysql97};

impl Kind {
    pub const ALL: [Kind; 3] = [MariaDb1011, MariaDb118, Mysql97];

    pub fn is_mysql(self) -> bool {
        self == Mysql97
    }

    fn folder(self) -> &'static str {
        match self {
            MariaDb1011 => "mariadb-10.11",
            MariaDb118 => "mariadb-11.8",
            Mysql97 => "mysql-9.7",
        }
    }

    /// Where `tests/servers/get` has put it.
    pub fn place(self) -> PathBuf {
        let place = root().join(self.folder());
        assert!(
            place.join("complete").exists(),
            "{} is missing: run tests/servers/get",
            place.display()
        );
        place
    }

    /// A program that came with it.
    pub fn program(self, name: &str) -> PathBuf {
        self.place().join("exec").join(name)
    }
}

fn root() -> PathBuf {
    if let Some(root) = std::env::var_os("BRINE_TEST_SERVERS") {
        return PathBuf::from(root);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    cache.join("brine-test-servers")
}

/// Servers use memory and processors, so only so many live at once.
static SEATS: Mutex<usize> = Mutex::new(4);
static FREED: Condvar = Condvar::new();

/// The right to run one server.
struct Seat;

impl Seat {
    /// All at once: two tests that hold one each and wait for a second would wait for ever.
    fn take<const N: usize>() -> [Seat; N] {
        let mut free = SEATS.lock();
        while *free < N {
            FREED.wait(&mut free);
        }
        *free -= N;
        std::array::from_fn(|_| Seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *SEATS.lock() += 1;
        FREED.notify_all();
    }
}

/// A test takes all its servers in one call.
pub fn servers<const N: usize>(kinds: [Kind; N]) -> [Server; N] {
    servers_with(kinds, &[])
}

/// The same, with more options for each of them.
pub fn servers_with<const N: usize>(kinds: [Kind; N], options: &[&str]) -> [Server; N] {
    let mut seats = Seat::take::<N>().into_iter();
    kinds.map(|kind| Server::start(kind, options, seats.next().unwrap()))
}

/// One server.
pub fn server(kind: Kind) -> Server {
    let [one] = servers([kind]);
    one
}

/// A server, with its data in a directory that goes away with it.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    options: Vec<String>,
    running: Mutex<Option<Running>>,
    dir: tempfile::TempDir,
    _seat: Seat,
}

/// The process, under a shell that kills it when this process ends however it ends.
struct Running {
    shell: Child,
    pid: i32,
}

impl Server {
    fn start(kind: Kind, options: &[&str], seat: Seat) -> Server {
        // Paths of sockets are short.
        let base = if Path::new("/dev/shm").is_dir() {
            "/dev/shm"
        } else {
            "/tmp"
        };
        let dir = tempfile::Builder::new().prefix("brine-t").tempdir_in(base).unwrap();
        let copied = Command::new("cp")
            .args(["-a", "--sparse=always"])
            .arg(kind.place().join("template"))
            .arg(dir.path().join("data"))
            .status();
        assert!(copied.unwrap().success());
        std::fs::create_dir(dir.path().join("log")).unwrap();
        let server = Server {
            kind,
            port: free_port(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            running: Mutex::new(None),
            dir,
            _seat: seat,
        };
        server.up();
        server
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir().join("s.sock")
    }

    /// How brine reaches it: over the socket, as root.
    pub fn options(&self) -> MysqlOptions {
        MysqlOptions::new(Endpoint::Socket(self.socket()), "root", Password::default())
    }

    /// Over TCP, as somebody else.
    pub fn options_tcp(&self, user: &str, password: &str) -> MysqlOptions {
        let endpoint = Endpoint::Tcp {
            host: "127.0.0.1".to_owned(),
            port: self.port,
        };
        MysqlOptions::new(endpoint, user, Password::new(password))
    }

    fn arguments(&self) -> Vec<String> {
        let at = |name: &str| self.dir().join(name).display().to_string();
        let mut all = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={}", at("data")),
            format!("--socket={}", at("s.sock")),
            format!("--pid-file={}", at("pid")),
            format!("--log-error={}", at("err")),
            format!("--log-bin={}", at("log/bin")),
            format!("--port={}", self.port),
            format!("--server-id={}", self.port),
            format!("--tmpdir={}", self.dir().display()),
        ];
        let same = [
            "--user=root",
            "--bind-address=127.0.0.1",
            "--binlog-row-image=FULL",
            "--binlog-format=ROW",
            "--innodb-buffer-pool-size=64M",
            "--innodb-use-native-aio=0",
            "--innodb-flush-method=fsync",
            "--max-allowed-packet=1G",
            "--character-set-server=utf8mb4",
            "--event-scheduler=OFF",
            "--skip-name-resolve",
            "--secure-file-priv=",
            "--local-infile=1",
            "--log-bin-trust-function-creators=1",
            "--performance-schema=OFF",
        ];
        let own: &[&str] = if self.kind.is_mysql() {
            &[
                "--gtid-mode=ON",
                "--enforce-gtid-consistency=ON",
                "--mysqlx=OFF",
                "--innodb-redo-log-capacity=64M",
            ]
        } else {
            &["--gtid-strict-mode=1", "--innodb-log-file-size=64M"]
        };
        all.extend(same.iter().chain(own).map(|o| (*o).to_owned()));
        all.extend(self.options.iter().cloned());
        if self.kind.is_mysql() {
            // log_status, which snapshots read, lives there.
            all.retain(|o| o != "--performance-schema=OFF");
        }
        all
    }

    /// Starts it again after [`Server::kill`] or [`Server::stop`].
    pub fn up(&self) {
        self.up_with(&[]);
    }

    /// With options for this run only.
    pub fn up_with(&self, more: &[&str]) {
        self.run(more, None);
    }

    /// Again, on a host in this time zone, which the C library knows by rule (`EST5EDT,M3.2.0,M11.1.0`).
    pub fn restart_in(&self, zone: &str) {
        self.stop();
        self.run(&[], Some(zone));
    }

    fn run(&self, more: &[&str], zone: Option<&str>) {
        let mut running = self.running.lock();
        assert!(running.is_none(), "it is up");
        let program = if self.kind.is_mysql() { "mysqld" } else { "mariadbd" };
        let watch =
            r#"out=$1; shift; "$@" </dev/null >>"$out" 2>&1 & p=$!; echo $p; read -r _; kill -KILL $p; wait $p"#;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", watch, "sh"])
            .arg(self.dir().join("out"))
            .arg(self.kind.program(program))
            .args(self.arguments())
            .args(more)
            .envs(zone.map(|zone| ("TZ", zone)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let pid = line.trim().parse().unwrap();
        *running = Some(Running { shell, pid });
        drop(running);
        self.wait_until_up(pid);
    }

    fn wait_until_up(&self, pid: i32) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while self.try_sql("select 1").is_err() {
            let alive = is_running(pid);
            if !alive || Instant::now() > deadline {
                let log = ["out", "err"].map(|f| std::fs::read_to_string(self.dir().join(f)).unwrap_or_default());
                let log = log.concat();
                let tail: Vec<&str> = log.lines().rev().take(40).collect();
                panic!(
                    "{:?} does not start:\n{}",
                    self.kind,
                    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The server's process.
    pub fn pid(&self) -> i32 {
        self.running.lock().as_ref().unwrap().pid
    }

    /// As a power cut does it.
    pub fn kill(&self) {
        if let Some(mut running) = self.running.lock().take() {
            drop(running.shell.stdin.take());
            running.shell.wait().unwrap();
        }
    }

    /// In good order.
    pub fn stop(&self) {
        let Some(mut running) = self.running.lock().take() else {
            return;
        };
        let pid = rustix::process::Pid::from_raw(running.pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while is_running(running.pid) {
            assert!(Instant::now() < deadline, "{:?} does not stop", self.kind);
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(running.shell.stdin.take());
        running.shell.wait().unwrap();
    }

    pub fn restart(&self) {
        self.stop();
        self.up();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir().join("err")).unwrap_or_default();
            for line in log.lines().filter(|l| l.contains("[ERROR]")) {
                println!("{:?}: {line}", self.kind);
            }
        }
        self.kill();
    }
}

/// Whether a process is there and no zombie.
fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with('Z')
}

/// A port of 127.0.0.1 that nobody has: asked of the system, and never the same twice in this process.
fn free_port() -> u16 {
    static LAST: AtomicU16 = AtomicU16::new(0);
    loop {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if LAST.swap(port, Ordering::SeqCst) != port {
            return port;
        }
    }
}
