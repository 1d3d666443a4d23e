//! The servers' own client, as the independent witness.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::server::Server;

impl Server {
    fn client(&self) -> Command {
        let program = if self.kind.is_mysql() { "mysql" } else { "mariadb" };
        let mut command = Command::new(self.kind.program(program));
        command
            .args(["--no-defaults", "-uroot", "--default-character-set=utf8mb4"])
            .args(["--batch", "--skip-column-names", "--unbuffered"])
            .arg("--max-allowed-packet=1G")
            .arg(format!("--socket={}", self.socket().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a script; its output, or the first error.
    pub fn try_sql(&self, script: &str) -> Result<String, String> {
        let mut child = self.client().spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let script = script.to_owned();
        // The client may stop reading at an error: that is told by its exit.
        let feed = std::thread::spawn(move || {
            let _ = stdin.write_all(script.as_bytes());
        });
        let out = child.wait_with_output().unwrap();
        feed.join().unwrap();
        if out.status.success() {
            Ok(String::from_utf8_lossy(&out.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&out.stderr).into_owned())
        }
    }

    /// Runs a script that must not fail.
    pub fn sql(&self, script: &str) -> String {
        self.try_sql(script)
            .unwrap_or_else(|e| panic!("{:?}: {e}\n{}", self.kind, script.chars().take(400).collect::<String>()))
    }

    /// Runs a script as it is, from a session that speaks this charset.
    pub fn sql_in(&self, charset: &str, script: &[u8]) {
        let mut command = self.client();
        command.arg(format!("--default-character-set={charset}"));
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(script).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(
            out.status.success(),
            "{:?} in {charset}: {}",
            self.kind,
            String::from_utf8_lossy(&out.stderr)
        );
    }

    /// The rows of a query, in the client's escaped text; NULL is `NULL`.
    pub fn rows(&self, query: &str) -> Vec<Vec<String>> {
        let lines = self.sql(query);
        lines
            .lines()
            .map(|l| l.split('\t').map(str::to_owned).collect())
            .collect()
    }

    /// The first column of every row.
    pub fn column(&self, query: &str) -> Vec<String> {
        self.rows(query).into_iter().map(|mut r| r.swap_remove(0)).collect()
    }

    /// The first value.
    pub fn value(&self, query: &str) -> String {
        self.column(query).into_iter().next().unwrap_or_default()
    }

    /// A session that stays.
    pub fn session(&self) -> Session {
        Self::open(self.client())
    }

    /// One of an application.
    pub fn session_as(&self, user: &str, password: &str) -> Session {
        let mut command = self.client();
        command
            .arg(format!("--user={user}"))
            .arg(format!("--password={password}"));
        Self::open(command)
    }

    fn open(mut command: Command) -> Session {
        let mut child = command.arg("--skip-reconnect").stderr(Stdio::null()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Session {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            asked: 0,
        }
    }
}

/// One connection of the client, for what must happen in one session or in step with other things.
pub struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    asked: u64,
}

impl Session {
    /// Sends statements and waits for their end; the lines of their results. `None` after an error, which ends
    /// the session, and when the server is gone.
    pub fn try_run(&mut self, script: &str) -> Option<Vec<String>> {
        self.asked += 1;
        let mark = format!("--done-{}--", self.asked);
        writeln!(self.stdin, "{script};\nselect '{mark}';").ok()?;
        self.stdin.flush().ok()?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end_matches('\n');
            if line == mark {
                return Some(lines);
            }
            lines.push(line.to_owned());
        }
    }

    pub fn run(&mut self, script: &str) -> Vec<String> {
        self.try_run(script).expect("the session lives")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
