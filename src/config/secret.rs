//! Secrets: where one comes from, and how it is fetched when it is needed.
//!
//! *Invariant: the config holds no secret, only where it is; nothing here shows one.*

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::model::text::safe;

/// The longest that a command may take to print a secret.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest secret.
const MAX_LEN: u64 = 64 * 1024;

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// There is none: an account without a password.
    None,
    /// An environment variable of this process.
    Env(String),
    /// A file; one line end at its end is not part of the secret.
    File(PathBuf),
    /// What a program prints; one line end at its end is not part of the secret.
    Command(SecretCommand),
}

/// A program that prints a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretCommand {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments, started without a shell.
    Program(Vec<String>),
}

/// Why a secret could not be fetched; says where it should have come from, never what it is.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set or not text.
    #[error("the environment variable {} is not set; set it where brine is started", safe(.0, 80))]
    Env(String),
    /// The file cannot be read.
    #[error("{} cannot be read", safe(&file.display().to_string(), 300))]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program could not be started or did not end well.
    #[error("the command that prints the secret {0}")]
    Command(String),
    /// It is no text, or too long.
    #[error("what {0} gives is not a text of at most 64 KiB")]
    NotText(String),
}

impl SecretSource {
    /// Fetches it, now.
    pub fn fetch(&self) -> Result<String, SecretError> {
        let bytes = match self {
            SecretSource::None => return Ok(String::new()),
            SecretSource::Env(name) => {
                return std::env::var(name).map_err(|_| SecretError::Env(name.clone()));
            }
            SecretSource::File(path) => read_file(path)?,
            SecretSource::Command(command) => command.run(PATIENCE).map_err(SecretError::Command)?,
        };
        let not_text = || SecretError::NotText(self.to_string());
        if bytes.len() as u64 > MAX_LEN {
            return Err(not_text());
        }
        let text = String::from_utf8(bytes).map_err(|_| not_text())?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }

    /// What an operator should know of the place: a file that others can read.
    pub fn warning(&self) -> Option<String> {
        let SecretSource::File(path) = self else {
            return None;
        };
        let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| {
            let shown = safe(&path.display().to_string(), 300);
            format!("others may read the secret in {shown} (mode {mode:04o}): run chmod 600 {shown}")
        })
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, SecretError> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|f| f.take(MAX_LEN + 1).read_to_end(&mut bytes))
        .map_err(|source| SecretError::File {
            file: path.to_path_buf(),
            source,
        })?;
    Ok(bytes)
}

impl SecretCommand {
    /// Runs it and returns what it printed. What it writes to stderr goes to nobody: it could hold the secret.
    fn run(&self, patience: Duration) -> Result<Vec<u8>, String> {
        let mut command = match self {
            SecretCommand::Shell(line) => {
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(line);
                shell
            }
            SecretCommand::Program(words) => {
                let (program, arguments) = words.split_first().ok_or("is empty")?;
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
        };
        command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(Stdio::piped());
        // A group of its own: the console's keys do not reach it.
        command.process_group(0);
        let mut child = command.spawn().map_err(|e| format!("could not be started: {e}"))?;
        let stdout = child.stdout.take().ok_or("has no output")?;
        let (give, take) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.take(MAX_LEN + 1).read_to_end(&mut bytes).map(|_| bytes);
            // Nobody takes it when the command took too long.
            let _ = give.send(read);
        });
        let status = wait(&mut child, patience)?;
        if !status.success() {
            return Err(format!("failed ({status})"));
        }
        // Something that it left running may keep its output open.
        match take.recv_timeout(patience) {
            Ok(read) => read.map_err(|e| format!("could not be read: {e}")),
            Err(_) => Err("ended, but something that it started keeps its output open".to_owned()),
        }
    }
}

/// Waits for its end; one that takes too long is ended.
fn wait(child: &mut Child, patience: Duration) -> Result<std::process::ExitStatus, String> {
    let until = Instant::now() + patience;
    // Most are done within a millisecond, and every connection waits for one.
    let mut nap = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < until => {
                std::thread::sleep(nap);
                nap = (nap * 2).min(Duration::from_millis(10));
            }
            Ok(None) => {
                end(child);
                return Err(format!("did not end within {} s", patience.as_secs()));
            }
            Err(e) => return Err(format!("could not be waited for: {e}")),
        }
    }
}

/// Ends the command; one that cannot be ended any more has ended by itself.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Where it comes from, as `config show` prints it.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::None => f.write_str("none"),
            SecretSource::Env(name) => write!(f, "from env {}", safe(name, 80)),
            SecretSource::File(path) => write!(f, "from file {}", safe(&path.display().to_string(), 300)),
            // Its arguments may hold something that opens another door.
            SecretSource::Command(SecretCommand::Shell(_)) => f.write_str("from a shell command"),
            SecretSource::Command(SecretCommand::Program(words)) => {
                let program = words.first().map(String::as_str).unwrap_or_default();
                write!(f, "from the command {}", safe(program, 200))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> SecretSource {
        SecretSource::Command(SecretCommand::Shell(line.to_owned()))
    }

    #[test]
    fn one_line_end_is_not_part_of_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        for (text, secret) in [
            ("a b\n", "a b"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("", ""),
            (" x", " x"),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(SecretSource::File(file.clone()).fetch().unwrap(), secret);
        }
        assert_eq!(shell("echo pw").fetch().unwrap(), "pw");
        let program = vec![
            "printf".to_owned(),
            "%s %s\n".to_owned(),
            "a".to_owned(),
            "$b".to_owned(),
        ];
        let program = SecretSource::Command(SecretCommand::Program(program));
        assert_eq!(program.fetch().unwrap(), "a $b", "no shell in between");
    }

    #[test]
    fn errors_say_where_and_never_what() {
        let missing = SecretSource::File("/nowhere/pw".into()).fetch().unwrap_err();
        assert_eq!(missing.to_string(), "/nowhere/pw cannot be read");
        let unset = SecretSource::Env("BRINE_TEST_NO_SUCH".to_owned()).fetch().unwrap_err();
        assert!(unset.to_string().contains("BRINE_TEST_NO_SUCH is not set"), "{unset}");
        let failed = shell("echo geheim; echo geheim >&2; exit 3").fetch().unwrap_err();
        assert!(failed.to_string().contains("exit status: 3"), "{failed}");
        assert!(!format!("{failed} {failed:?}").contains("geheim"));
        let gone = SecretSource::Command(SecretCommand::Program(vec!["/nowhere/vault".to_owned()]));
        assert!(gone.fetch().unwrap_err().to_string().contains("could not be started"));
        assert_eq!(shell("vault read geheim").to_string(), "from a shell command");
        let binary = shell("printf '\\377'").fetch().unwrap_err();
        assert!(binary.to_string().contains("not a text"), "{binary}");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let started = Instant::now();
        let hangs = SecretCommand::Shell("exec sleep 600".to_owned());
        let error = hangs.run(Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("did not end"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_file_that_others_can_read_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        fs::write(&file, "x").unwrap();
        for (mode, warned) in [(0o600, false), (0o640, true), (0o644, true), (0o400, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(SecretSource::File(file.clone()).warning().is_some(), warned, "{mode:o}");
        }
    }
}
