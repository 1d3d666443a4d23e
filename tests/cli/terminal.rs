//! On a terminal brine shows the plan and asks.

use std::io::{Read as _, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::env::{BRINE, Brine, wait_until};

/// A command on a terminal.
struct OnTerminal {
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    bytes: Receiver<Vec<u8>>,
    screen: String,
}

impl OnTerminal {
    fn start(brine: &Brine, args: &[&str]) -> OnTerminal {
        let size = PtySize {
            rows: 40,
            cols: 120,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(BRINE);
        command.args(args);
        command.env_clear();
        command.env("HOME", brine.path(""));
        command.env("TERM", "xterm");
        command.env("USER", "tester");
        command.env("BRINE_DATA_DIR", brine.path("data"));
        command.env("BRINE_CONFIG", brine.path("config.toml"));
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let (send, bytes) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                if send.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        OnTerminal {
            child,
            writer: pty.master.take_writer().unwrap(),
            _master: pty.master,
            bytes,
            screen: String::new(),
        }
    }

    fn until(&mut self, wanted: &str) {
        read_until(&self.bytes, &mut self.screen, wanted);
    }

    fn types(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command on a terminal, answers its question, and gives code and screen.
fn answered(brine: &Brine, args: &[&str], question: &str, answer: &str) -> (u32, String) {
    let mut terminal = OnTerminal::start(brine, args);
    terminal.until(question);
    terminal.types(&format!("{answer}\n"));
    let code = terminal.child.wait().unwrap().exit_code();
    while let Ok(bytes) = terminal.bytes.recv_timeout(Duration::from_millis(300)) {
        terminal.screen.push_str(&String::from_utf8_lossy(&bytes));
    }
    (code, std::mem::take(&mut terminal.screen))
}

fn read_until(from: &Receiver<Vec<u8>>, screen: &mut String, wanted: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while !screen.contains(wanted) {
        assert!(Instant::now() < end, "waited in vain for `{wanted}`: {screen}");
        if let Ok(bytes) = from.recv_timeout(Duration::from_millis(100)) {
            screen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn in_place_is_asked_about_with_the_plan_and_wants_the_typed_name() {
    let brine = Brine::new();
    let moment = brine.with_history();
    let (then, now) = (brine.sums("demo", Some(&moment)), brine.sums("demo", None));
    let args = ["restore", "demo", "--at", &moment, "--in-place"];
    let (code, screen) = answered(&brine, &args, "Type the name demo", "dmeo");
    assert_eq!(code, 4, "{screen}");
    assert!(
        screen.contains("first out") && screen.contains("nothing was changed"),
        "{screen}"
    );
    assert_eq!(brine.sums("demo", None), now);
    let (code, screen) = answered(&brine, &args, "Type the name demo", "demo");
    assert_eq!(code, 0, "{screen}");
    assert_eq!(brine.sums("demo", None), then);
}

#[test]
fn what_overwrites_nothing_is_asked_about_with_yes_or_no() {
    let brine = Brine::new();
    brine.with_history();
    let args = ["restore", "demo", "--latest", "--to", "other"];
    let (code, screen) = answered(&brine, &args, "[y/N]", "");
    assert_eq!(code, 4, "{screen}");
    let (code, screen) = answered(&brine, &args, "[y/N]", "y");
    assert_eq!(code, 0, "{screen}");
    assert_eq!(brine.sums("other", None), brine.sums("demo", None));
}

/// Who holds the lease of the data directory: what it is, and its process.
fn holder(brine: &Brine) -> Option<(String, i32)> {
    let note: serde_json::Value = serde_json::from_slice(&std::fs::read(brine.path("data/runner.json")).ok()?).ok()?;
    Some((
        note["what"].as_str()?.to_owned(),
        i32::try_from(note["pid"].as_i64()?).ok()?,
    ))
}

#[test]
fn a_console_that_may_only_look_does_not_keep_others_from_working() {
    let brine = Brine::new();
    brine.with_history();
    let mut console = OnTerminal::start(&brine, &["--read-only"]);
    console.until("READ-ONLY");
    console.until("demo");
    wait_until("the console holds the lease", || {
        holder(&brine).is_some_and(|(what, _)| what == "console")
    });
    brine.ok("backup create demo --note beside");
    console.screen.clear();
    console.types("B");
    console.until("read-only");
    // Others' work goes on when its terminal is gone, and others go on working.
    drop(std::mem::replace(&mut console.writer, Box::new(std::io::sink())));
    let (_, pid) = holder(&brine).unwrap();
    let process = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    wait_until("the process goes on as an agent", || {
        holder(&brine).is_some_and(|(what, _)| what == "agent")
    });
    drop(console);
    brine.ok("backup create demo --note after");
    assert_eq!(holder(&brine), Some(("agent".to_owned(), pid)));
    assert_eq!(brine.run(&["--read-only", "backup", "create", "demo"]).code, 4);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    wait_until("the agent has ended", || holder(&brine).is_none());
}

#[test]
fn where_no_log_is_archived_a_restore_begins_with_the_snapshots() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 10");
    brine.ok("backup create demo");
    let mut console = OnTerminal::start(&brine, &[]);
    console.until("demo");
    console.types("R");
    console.until("(o) Basic Snapshot Restore");
}
