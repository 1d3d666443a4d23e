//! On a terminal brine shows the plan and asks.

use std::io::{Read as _, Write as _};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::env::{BRINE, Brine};

/// Runs a command on a terminal, answers its question, and gives code and screen.
fn answered(brine: &Brine, args: &[&str], question: &str, answer: &str) -> (u32, String) {
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
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let (mut reader, mut writer) = (
        pty.master.try_clone_reader().unwrap(),
        pty.master.take_writer().unwrap(),
    );
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut bytes) {
            if send.send(bytes[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut screen = String::new();
    read_until(&receive, &mut screen, question);
    writer.write_all(format!("{answer}\n").as_bytes()).unwrap();
    let code = child.wait().unwrap().exit_code();
    while let Ok(bytes) = receive.recv_timeout(Duration::from_millis(300)) {
        screen.push_str(&String::from_utf8_lossy(&bytes));
    }
    (code, screen)
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
