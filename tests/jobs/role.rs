//! The other processes of these tests, and how to wait for what they do.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "BRINE_TEST_ROLE";
const DIR: &str = "BRINE_TEST_DIR";
/// Longer than anything takes here, even on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// The arguments that make this binary play a role.
pub const ARGS: [&str; 4] = ["--exact", "role::play", "--nocapture", "--test-threads=1"];

/// In an ordinary test run this does nothing; in a started process it is the process's whole life.
#[test]
fn play() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
    match role.as_str() {
        "contender" => crate::lease::contend(&dir),
        "worker" => crate::journal::work(&dir),
        "full-disk" => crate::journal::fill_the_disk(&dir),
        "umask" => crate::journal::live_with_umask_zero(&dir),
        other => crate::detach::console(other, &dir),
    }
}

/// What a process needs to know of its role.
pub fn env(role: &str, dir: &Path) -> [(&'static str, String); 2] {
    [(ROLE, role.to_owned()), (DIR, dir.to_str().unwrap().to_owned())]
}

/// A process in a role, killed when dropped.
pub struct Player(pub Child);

impl Player {
    pub fn start(role: &str, dir: &Path) -> Player {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(ARGS)
            .envs(env(role, dir))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        Player(command.spawn().unwrap())
    }

    /// kill -9, and wait until it is gone.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Leaves a note for another process, whole or not at all.
pub fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// Waits for a note and reads it.
pub fn note(path: &Path) -> String {
    until(&format!("{}", path.display()), || path.exists());
    std::fs::read_to_string(path).unwrap()
}
