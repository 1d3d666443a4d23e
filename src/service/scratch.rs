//! Scratch clusters for test restores: made when one is wanted, thrown away after.
//!
//! For a backup of a server a server of the same kind is started from the programs of this host: in a directory of its own,
//! on a Unix socket only, and ended when its guard is dropped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::cluster::mysql::{Endpoint, MysqlCluster, MysqlOptions, Password};
use crate::engine::error::EngineError;
use crate::model::clock::Clock;
use crate::model::text::safe;

/// For the server to answer, and for the making of its directory.
const PATIENCE: Duration = Duration::from_secs(120);
/// For the server to end by itself.
const GOODBYE: Duration = Duration::from_secs(30);
/// In its directory, what a server says before it has a log.
const SAID: &str = "said";
/// The longest path of a Unix socket.
const SOCKET_LEN: usize = 107;

/// A server of our own.
pub(super) struct Server {
    child: Child,
}

/// Which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    MariaDb,
    MySql,
}

impl Product {
    /// As facts name it: `MariaDB 10.11.19`.
    fn of(version: &str) -> Product {
        match version.contains("MariaDB") {
            true => Product::MariaDb,
            false => Product::MySql,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Product::MariaDb => "MariaDB",
            Product::MySql => "MySQL",
        }
    }

    /// The program, found on this host. Under the name `mysqld` there may be the other product's: it is asked.
    fn program(self) -> Result<PathBuf, EngineError> {
        let name = match self {
            Product::MariaDb => "mariadbd",
            Product::MySql => "mysqld",
        };
        let mut named = all(name);
        named.find(|p| self.is_of(p)).ok_or_else(|| self.missing(name))
    }

    fn is_of(self, program: &Path) -> bool {
        let asked = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        asked.is_ok_and(|out| out.status.success() && Product::of(&String::from_utf8_lossy(&out.stdout)) == self)
    }

    fn missing(self, program: &str) -> EngineError {
        EngineError::refused(
            format!(
                "a test restore of this backup needs a {0} server on this host, and `{program}` is not on the path",
                self.name()
            ),
            format!(
                "install the {} server here (it need not run), or verify with --level checksums",
                self.name()
            ),
        )
    }
}

/// Looks in the path, and where servers are put that users do not call.
fn all(name: &'static str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin"];
    let places: Vec<PathBuf> = std::env::split_paths(&path).chain(usual.map(PathBuf::from)).collect();
    places
        .into_iter()
        .map(move |dir| dir.join(name))
        .filter(|p| p.is_file())
}

/// Starts a server like the one of `version` in an empty directory.
pub(super) fn start(
    version: &str,
    dir: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<(Server, Arc<dyn Cluster>), EngineError> {
    let product = Product::of(version);
    let program = product.program()?;
    let socket = dir.join("s.sock");
    if socket.as_os_str().len() > SOCKET_LEN {
        return Err(EngineError::refused(
            format!("the path {} is too long for a Unix socket", socket.display()),
            "choose a data directory with a shorter path (--data-dir)",
        ));
    }
    initialise(product, &program, dir)?;
    // MySQL gives a name without an ending one of its own.
    let errors = dir.join("errors.err");
    let mut command = Command::new(&program);
    command.arg("--no-defaults").args(user());
    for (option, value) in [
        ("datadir", "data"),
        ("socket", "s.sock"),
        ("pid-file", "pid"),
        ("log-error", "errors.err"),
    ] {
        command.arg(option_of(option, &dir.join(value)));
    }
    command.arg(option_of("log-bin", &dir.join("bin")));
    command.args([
        "--skip-networking",
        "--server-id=1",
        "--binlog-format=ROW",
        "--sync-binlog=0",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=128M",
        "--max-allowed-packet=1G",
        "--local-infile=1",
        "--event-scheduler=OFF",
        "--character-set-server=utf8mb4",
        "--log-bin-trust-function-creators=1",
    ]);
    if product == Product::MySql {
        command.args(["--mysqlx=OFF", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"]);
        // Its default is a directory that only an installed server has.
        command.arg("--secure-file-priv=NULL");
    }
    let child = told(&mut command, &dir.join(SAID))?
        .spawn()
        .map_err(|e| failed(&program, &e))?;
    let mut server = Server { child };
    let options = MysqlOptions::new(Endpoint::Socket(socket), "root", Password::default());
    let cluster = Arc::new(MysqlCluster::new(options, Arc::clone(clock)));
    server.wait_for(&cluster, &errors)?;
    Ok((server, cluster))
}

/// Makes the data directory with nothing but the system's own tables.
fn initialise(product: Product, program: &Path, dir: &Path) -> Result<(), EngineError> {
    let data = option_of("datadir", &dir.join("data"));
    let mut command = match product {
        Product::MariaDb => {
            let name = "mariadb-install-db";
            let mut command = Command::new(all(name).next().ok_or_else(|| product.missing(name))?);
            command.args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]);
            command
        }
        Product::MySql => {
            let mut command = Command::new(program);
            command.args(["--no-defaults", "--initialize-insecure"]);
            command
        }
    };
    command.args(user()).arg(data);
    let errors = dir.join("initialised.err");
    command.arg(option_of("log-error", &errors));
    let mut child = told(&mut command, &dir.join(SAID))?
        .spawn()
        .map_err(|e| failed(program, &e))?;
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().map_err(|e| failed(program, &e))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                return Err(EngineError::refused(
                    format!("a scratch server could not be made: {status}: {}", last_line(&errors)),
                    "verify with --level checksums",
                ));
            }
            None if Instant::now() > end => {
                end_now(&mut child);
                return Err(EngineError::refused(
                    format!("making a scratch server took longer than {} s", PATIENCE.as_secs()),
                    "try it again when the host is less busy",
                ));
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// What it says before it has a log goes into a file.
fn told<'c>(command: &'c mut Command, said: &Path) -> Result<&'c mut Command, EngineError> {
    let unusable = |e: std::io::Error| failed(said, &e);
    let out = std::fs::File::options()
        .create(true)
        .append(true)
        .open(said)
        .map_err(unusable)?;
    let errors = out.try_clone().map_err(unusable)?;
    Ok(command.stdin(Stdio::null()).stdout(out).stderr(errors))
}

/// These servers refuse to run as root unless they are told to.
fn user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("--user=root")
}

fn option_of(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(format!("--{option}="));
    argument.push(path);
    argument
}

fn failed(program: &Path, e: &std::io::Error) -> EngineError {
    EngineError::refused(
        format!("{} could not be started: {e}", program.display()),
        "verify with --level checksums",
    )
}

/// The last error that a server wrote into its log, or said before it had one.
fn last_line(errors: &Path) -> String {
    let read = |path: &Path| std::fs::read(path).unwrap_or_default();
    let mut text = read(&errors.with_file_name(SAID));
    text.extend(read(errors));
    let text = String::from_utf8_lossy(&text);
    let is_error = |l: &&str| l.contains("[ERROR]");
    let line = text.lines().rev().find(is_error).or_else(|| text.lines().next_back());
    safe(line.unwrap_or("it wrote nothing"), 300)
}

impl Server {
    fn wait_for(&mut self, cluster: &MysqlCluster, errors: &Path) -> Result<(), EngineError> {
        let end = Instant::now() + PATIENCE;
        loop {
            let error = match cluster.facts() {
                Ok(_) => return Ok(()),
                Err(e) => e,
            };
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(EngineError::refused(
                    format!("the scratch server ended ({status}): {}", last_line(errors)),
                    "verify with --level checksums",
                ));
            }
            if Instant::now() > end {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn end_now(child: &mut Child) {
    // One that cannot be ended has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let end = Instant::now() + GOODBYE;
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(50)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        end_now(&mut self.child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_that_of_the_backup() {
        assert_eq!(Product::of("MariaDB 10.11.19"), Product::MariaDb);
        assert_eq!(Product::of("MySQL 8.0.36"), Product::MySql);
    }

    #[test]
    fn a_program_that_is_not_here_is_named_with_what_to_do() {
        assert_eq!(all("no-such-program-of-a-server").next(), None);
        let e = Product::MySql.missing("mysqld");
        assert!(e.to_string().contains("needs a MySQL server on this host"), "{e}");
        assert!(e.hint().is_some_and(|h| h.contains("--level checksums")));
    }

    #[test]
    fn the_last_error_of_a_server_is_found_in_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("errors");
        assert_eq!(last_line(&log), "it wrote nothing");
        std::fs::write(&log, "a [Note] x\nb [ERROR] out of memory\nc [Note] bye\n").unwrap();
        assert_eq!(last_line(&log), "b [ERROR] out of memory");
    }
}
