//! Leaving the terminal, on a pseudo-terminal.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brine::jobs::detach::{Link, Role, behind_parent, leave, survive_hangup};
use parking_lot::Mutex;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, getsid, kill_process};

use crate::role::{ARGS, env, note, put, until};

/// The process under test: parent and child; the child does what its role says.
#[allow(clippy::disallowed_methods)] // it stands for `main`
pub fn console(role: &str, dir: &Path) {
    match behind_parent().unwrap() {
        Role::Parent { code } => std::process::exit(code),
        Role::Child(link) => {
            assert!(link.can_leave());
            child(role, dir, link);
        }
    }
}

#[allow(clippy::disallowed_methods)] // it stands for `main`
fn child(role: &str, dir: &Path, link: Link) {
    let hangup = dir.join("hangup");
    if role == "hears-hangup" {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut hup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).unwrap();
            put(&dir.join("child"), &std::process::id().to_string());
            hup.recv().await.unwrap();
        });
        put(&hangup, "");
    }
    if role != "dies" {
        survive_hangup().unwrap();
    }
    put(&dir.join("child"), &std::process::id().to_string());
    if role == "exits" {
        std::process::exit(7);
    }
    note(&dir.join("go"));
    leave(link).unwrap();
    let target = |n: u32| {
        std::fs::read_link(format!("/proc/self/fd/{n}"))
            .unwrap()
            .display()
            .to_string()
    };
    put(&dir.join("left"), &format!("{} {} {}", target(0), target(1), target(2)));
    note(&dir.join("stop"));
    put(&dir.join("ended"), "");
    std::process::exit(0);
}

struct Console {
    dir: tempfile::TempDir,
    /// Dropping it is the hang-up.
    terminal: Option<Box<dyn MasterPty + Send>>,
    parent: Box<dyn Child + Send + Sync>,
    child: Pid,
}

impl Console {
    fn start(role: &str) -> Console {
        let dir = tempfile::tempdir().unwrap();
        let pty = native_pty_system().openpty(PtySize::default()).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(ARGS);
        for (name, value) in env(role, dir.path()) {
            command.env(name, value);
        }
        let parent = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let child = pid(note(&dir.path().join("child")).parse().unwrap());
        Console {
            dir,
            terminal: Some(pty.master),
            parent,
            child,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn parent_pid(&self) -> Pid {
        pid(self.parent.process_id().unwrap())
    }

    fn exit_code(&mut self) -> u32 {
        self.parent.wait().unwrap().exit_code()
    }

    /// The child goes on without the parent, and ends when told to.
    fn carries_on(&self) {
        let left = note(&self.file("left"));
        assert!(
            left.starts_with("pipe:") && left.ends_with(" /dev/null /dev/null"),
            "{left}"
        );
        assert_eq!(getsid(Some(self.child)).unwrap(), self.child, "a session of its own");
        assert!(is_alive(self.child));
        put(&self.file("stop"), "");
        note(&self.file("ended"));
        let child = self.child;
        until("the end of the child", || !is_alive(child));
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        for pid in [Some(self.child), self.parent.process_id().map(pid)]
            .into_iter()
            .flatten()
        {
            // It has ended in most tests; its number is not reused within them.
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.parent.wait();
    }
}

fn pid(n: u32) -> Pid {
    Pid::from_raw(i32::try_from(n).unwrap()).unwrap()
}

/// The letter that the kernel gives the state of a process; `None` when it is gone.
fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn is_alive(pid: Pid) -> bool {
    state(pid).is_some_and(|s| s != 'Z')
}

#[test]
fn the_exit_code_is_the_childs() {
    let mut c = Console::start("exits");
    assert_eq!(c.exit_code(), 7);
}

#[test]
fn leaving_gives_the_prompt_back_and_goes_on() {
    let mut c = Console::start("stays");
    assert!(is_alive(c.parent_pid()));
    put(&c.file("go"), "");
    assert_eq!(c.exit_code(), 0);
    c.terminal = None;
    c.carries_on();
}

#[test]
fn a_hangup_ends_neither_before_the_child_has_left() {
    let mut c = Console::start("stays");
    c.terminal = None;
    put(&c.file("go"), "");
    assert_eq!(c.exit_code(), 0);
    c.carries_on();
}

#[test]
fn a_killed_parent_is_a_hangup_for_the_child() {
    let mut c = Console::start("hears-hangup");
    kill_process(c.parent_pid(), Signal::KILL).unwrap();
    c.parent.wait().unwrap();
    note(&c.file("hangup"));
    put(&c.file("go"), "");
    c.carries_on();
}

#[test]
fn a_hangup_of_the_parent_alone_reaches_the_child() {
    let c = Console::start("hears-hangup");
    kill_process(c.parent_pid(), Signal::HUP).unwrap();
    note(&c.file("hangup"));
}

#[test]
fn interrupt_and_terminate_end_both() {
    for (signal, to_parent, code) in [(Signal::INT, false, 130), (Signal::TERM, true, 143)] {
        let mut c = Console::start("dies");
        let parent = c.parent_pid();
        kill_process(parent, signal).unwrap();
        if !to_parent {
            assert!(is_alive(parent), "the keys' signals are the child's to answer");
            kill_process(c.child, signal).unwrap();
        }
        assert_eq!(c.exit_code(), code);
    }
}

#[test]
fn they_stop_and_continue_together() {
    let mut c = Console::start("stays");
    let (parent, child) = (c.parent_pid(), c.child);
    for _ in 0..3 {
        kill_process(child, Signal::STOP).unwrap();
        until("the parent stops with the child", || {
            state(parent) == Some('T') && state(child) == Some('T')
        });
        kill_process(parent, Signal::CONT).unwrap();
        until("both go on", || state(parent) != Some('T') && state(child) != Some('T'));
    }
    put(&c.file("go"), "");
    assert_eq!(c.exit_code(), 0);
    c.carries_on();
}

/// A shell with job control on a terminal, and all it has printed.
struct Shell {
    terminal: Box<dyn MasterPty + Send>,
    keys: Box<dyn std::io::Write + Send>,
    printed: Arc<Mutex<Vec<u8>>>,
    shell: Box<dyn Child + Send + Sync>,
}

impl Shell {
    fn start(dir: &Path) -> Shell {
        let pty = native_pty_system().openpty(PtySize::default()).unwrap();
        let mut command = CommandBuilder::new("/bin/sh");
        command.arg("-i");
        command.env("ENV", "");
        for (name, value) in env("stays", dir) {
            command.env(name, value);
        }
        let shell = pty.slave.spawn_command(command).unwrap();
        let (keys, mut screen) = (
            pty.master.take_writer().unwrap(),
            pty.master.try_clone_reader().unwrap(),
        );
        let printed = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&printed);
        std::thread::spawn(move || {
            let mut bytes = [0u8; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                sink.lock().extend_from_slice(&bytes[..n]);
            }
        });
        Shell {
            terminal: pty.master,
            keys,
            printed,
            shell,
        }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.keys, "{line}").unwrap();
    }

    fn sees(&self, text: &str) {
        until(text, || String::from_utf8_lossy(&self.printed.lock()).contains(text));
    }
}

#[test]
fn the_shell_has_its_prompt_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut sh = Shell::start(dir.path());
    sh.types("set -m");
    sh.types(&format!(
        "{} {}",
        std::env::current_exe().unwrap().display(),
        ARGS.join(" ")
    ));
    let child = pid(note(&dir.path().join("child")).parse().unwrap());
    let parent = pid(sh.terminal.process_group_leader().unwrap().try_into().unwrap());
    assert_ne!(
        Some(parent),
        sh.shell.process_id().map(pid),
        "it has the terminal, not the shell"
    );
    // The child stops: the shell notices, because its own child stops, too.
    kill_process(child, Signal::STOP).unwrap();
    until("both stop", || state(parent) == Some('T') && state(child) == Some('T'));
    sh.types("echo prompt-$((40 + 2))");
    sh.sees("prompt-42");
    sh.types("fg");
    until("both go on", || state(parent) != Some('T') && state(child) != Some('T'));
    put(&dir.path().join("go"), "");
    sh.types("echo left-$((40 + 2)) $?");
    sh.sees("left-42 0");
    note(&dir.path().join("left"));
    sh.types("exit");
    sh.shell.wait().unwrap();
    assert!(is_alive(child), "the shell has gone, the child has not");
    put(&dir.path().join("stop"), "");
    note(&dir.path().join("ended"));
}
