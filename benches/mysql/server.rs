//! The private servers of the bench.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use brine::cluster::mysql::wire::Conn;
use brine::cluster::mysql::{Endpoint, MysqlOptions, Password};

use crate::run::ticks;

/// A private server; ends with the value.
pub struct Server {
    exec: PathBuf,
    dir: PathBuf,
    pub port: u16,
    process: Child,
}

impl Server {
    /// Starts a MariaDB 10.11 at the durability that it is installed with.
    pub fn start(servers: &Path, dir: PathBuf) -> Server {
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
            .args(["--user=root", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--gtid-strict-mode=1", "--binlog-format=ROW", "--binlog-row-image=FULL"])
            .args(["--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1"])
            .args(["--max-allowed-packet=1G", "--max-binlog-size=1G", "--local-infile=1"])
            .args(["--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G"])
            .args(["--character-set-server=utf8mb4", "--event-scheduler=OFF"])
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
        let answers = || {
            let asked = server
                .program("mariadb-admin")
                .arg("ping")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            asked.unwrap().success()
        };
        while !answers() {
            assert!(
                Instant::now() < end,
                "the server does not start: see {}",
                server.dir.join("err").display()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    /// Another one, empty, at the same place.
    pub fn anew(&mut self, servers: &Path) -> Server {
        self.stop();
        fs::remove_dir_all(&self.dir).unwrap();
        Server::start(servers, self.dir.clone())
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("s.sock")
    }

    /// One of the server's own programs, logged in, as a shell line.
    pub fn line(&self, program: &str) -> String {
        format!(
            "{} --no-defaults -uroot -S {}",
            self.exec.join(program).display(),
            self.socket().display()
        )
    }

    /// A program of the server that logs in nowhere.
    pub fn bare(&self, program: &str) -> String {
        format!("{} --no-defaults", self.exec.join(program).display())
    }

    /// The file of a binary log.
    pub fn binlog(&self, name: &str) -> PathBuf {
        self.dir.join("log").join(name)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.exec.join(name));
        command.args(["--no-defaults", "-uroot", "-S"]).arg(self.socket());
        command
    }

    pub fn sql(&self, sql: &str) -> String {
        let out = self.program("mariadb").args(["-NBe", sql]).output().unwrap();
        assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// A session that stays.
    pub fn session(&self) -> Conn {
        let options = MysqlOptions::new(Endpoint::Socket(self.socket()), "root", Password::new(""));
        Conn::connect(&options, &options.endpoints[0]).unwrap()
    }

    /// Seconds of processor time since it started.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        ticks(&stat, [14, 15])
    }

    /// Where the next transaction goes: file, offset, GTID.
    pub fn place(&self) -> (String, u64, String) {
        let status = self.sql("show master status");
        let mut fields = status.split('\t');
        let file = fields.next().unwrap().to_owned();
        let offset = fields.next().unwrap().parse().unwrap();
        (file, offset, self.sql("select @@gtid_binlog_pos"))
    }

    /// Ends it, where it has not ended.
    fn stop(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        let asked = self
            .program("mariadb-admin")
            .arg("shutdown")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        drop(asked);
        drop(self.process.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
