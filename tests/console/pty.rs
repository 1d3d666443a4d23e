//! The console in a real pseudo-terminal: this very test program started again, with the made-up desk.
//!
//! Every wait is for a condition; what was on the screen is printed when it does not come.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use brine::model::clock::{Clock, ManualClock, Millis};
use brine::service::desk::{Answer, Desk, Question, Refusal};
use brine::service::opening::OpeningDesk;
use brine::tui::{Exit, Options, run};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::world::{Mood, NOW, World};

/// Set for the child; its value is the mood.
const CHILD: &str = "BRINE_TEST_CONSOLE";
const PATIENCE: Duration = Duration::from_secs(30);

/// Set for the child where something in it is to fall: a file that says what, and that is not there yet.
const FALLS: &str = "BRINE_TEST_FALLS";

/// Standing time, and a desk: one of them panics as soon as the file says so.
struct Fragile {
    world: World,
    clock: ManualClock,
    file: Option<PathBuf>,
}

impl Fragile {
    fn new(world: World) -> Arc<Fragile> {
        Arc::new(Fragile {
            world,
            clock: ManualClock::new(NOW),
            file: std::env::var_os(FALLS).map(PathBuf::from),
        })
    }

    fn falls(&self, what: &str) {
        let said = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        assert!(said.is_none_or(|said| said != what), "the {what} fell");
    }
}

impl Clock for Fragile {
    fn now(&self) -> Millis {
        self.falls("console");
        self.clock.now()
    }
}

impl Desk for Fragile {
    fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        self.falls("desk");
        self.world.ask(question)
    }
}

/// In the child this is the program; in the test run it does nothing.
#[test]
fn child() {
    let Ok(mood) = std::env::var(CHILD) else { return };
    let mood = if mood == "empty" { Mood::Empty } else { Mood::Normal };
    let world = World {
        pid: std::process::id(),
        ..World::new(mood)
    };
    let fragile = Fragile::new(world);
    // Time stands still, so that nothing on the screen has a reason to move.
    let options = Options {
        clock: fragile.clone(),
        ..Options::default()
    };
    let exit = run(OpeningDesk::opened(fragile), options);
    if matches!(exit, Ok(Exit::TerminalLost)) {
        // The process carries on without a terminal, as an agent would, until the test ends it.
        let note = std::env::var("BRINE_TEST_NOTE").unwrap();
        std::fs::write(note, std::process::id().to_string()).unwrap();
        std::thread::sleep(Duration::from_secs(60));
    }
    println!("ended with {:?}", exit.map_err(|e| e.to_string()));
}

struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    bytes: Receiver<Vec<u8>>,
    /// Ends the reader with the next byte, so that the terminal can hang up.
    deaf: Arc<AtomicBool>,
    parser: vt100::Parser,
    seen: usize,
    raw: Vec<u8>,
}

impl Terminal {
    fn start(mood: &str, size: (u16, u16), env: &[(&str, &str)]) -> Terminal {
        let pair = native_pty_system().openpty(pty_size(size)).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(["--exact", "pty::child", "--nocapture", "--test-threads=1"]);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env_remove("NO_COLOR");
        command.env_remove("LC_ALL");
        command.env(CHILD, mood);
        env.iter().for_each(|(k, v)| command.env(k, v));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, bytes) = channel();
        let deaf = Arc::new(AtomicBool::new(false));
        let enough = Arc::clone(&deaf);
        std::thread::spawn(move || {
            let mut buf = [0; 65_536];
            while let Ok(n) = reader.read(&mut buf) {
                if n == 0 || enough.load(Ordering::SeqCst) || sender.send(buf[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            writer: Some(pair.master.take_writer().unwrap()),
            master: Some(pair.master),
            child,
            bytes,
            deaf,
            parser: vt100::Parser::new(cells(size.1), cells(size.0), 0),
            seen: 0,
            raw: Vec::new(),
        }
    }

    fn take(&mut self, bytes: Vec<u8>) {
        self.seen += bytes.len();
        self.parser.process(&bytes);
        self.raw.extend(bytes);
    }

    fn text(&self) -> String {
        self.parser.screen().contents()
    }

    #[track_caller]
    fn until(&mut self, what: &str, condition: impl Fn(&Terminal) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition(self) {
            match self.bytes.recv_timeout(Duration::from_millis(50)) {
                Ok(bytes) => self.take(bytes),
                Err(_) => assert!(Instant::now() < end, "waited for {what} in vain:\n{}", self.text()),
            }
        }
    }

    #[track_caller]
    fn until_shows(&mut self, text: &str) {
        self.until(text, |t| t.text().contains(text));
    }

    fn press(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    fn resize(&mut self, size: (u16, u16)) {
        self.master.as_ref().unwrap().resize(pty_size(size)).unwrap();
        self.parser.screen_mut().set_size(cells(size.1), cells(size.0));
    }

    fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(self.child.process_id().unwrap() as i32).unwrap()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// The line breaks while a key is on its way; waits until the console has noticed, which it says in `note`.
    fn hang_up_behind_a_key(&mut self, note: &std::path::Path) {
        self.deaf.store(true, Ordering::SeqCst);
        self.press("j");
        self.writer = None;
        self.master = None;
        let end = Instant::now() + PATIENCE;
        while !note.exists() {
            assert!(Instant::now() < end, "the hang-up was not noticed: {}", note.display());
            let _ = self.bytes.recv_timeout(Duration::from_millis(50));
        }
    }

    /// Bytes that come within this time.
    fn bytes_within(&mut self, time: Duration) -> usize {
        let (before, end) = (self.seen, Instant::now() + time);
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if let Ok(bytes) = self.bytes.recv_timeout(left) {
                self.take(bytes);
            }
        }
        self.seen - before
    }

    /// Waits until nothing comes any more.
    fn settle(&mut self) {
        let end = Instant::now() + PATIENCE;
        while self.bytes_within(Duration::from_millis(400)) > 0 && Instant::now() < end {}
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

/// Clock ticks of CPU that a process has used.
fn cpu(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn starts_moves_and_quits() {
    let mut t = Terminal::start("normal", (80, 24), &[]);
    t.until_shows("prod-us");
    t.until("the cursor on the first row", |t| {
        t.parser.screen().cursor_position() == (2, 0)
    });
    t.press("j");
    t.until("the cursor on the second row", |t| {
        t.parser.screen().cursor_position() == (3, 0)
    });
    t.press("j\r");
    t.until_shows("SNAPSHOT");
    t.press("\u{1b}");
    t.until_shows("CLUSTER");
    t.press("q");
    t.until_shows("Leave running");
    t.press("\r");
    t.until_shows("ended with Ok(LeaveRunning)");
    assert!(!t.parser.screen().alternate_screen() && !t.parser.screen().hide_cursor());
}

#[test]
fn survives_a_terminal_that_is_too_small() {
    let mut t = Terminal::start("normal", (80, 24), &[]);
    t.until_shows("prod-us");
    t.press("jj\r");
    t.until_shows("SNAPSHOT");
    t.resize((20, 5));
    t.until_shows("brine needs 60x16");
    t.resize((1, 1));
    t.resize((100, 30));
    t.until_shows("SNAPSHOT");
    t.until_shows("NOTE");
}

#[test]
fn without_colours_the_selection_is_still_seen() {
    let mut t = Terminal::start("normal", (80, 24), &[("NO_COLOR", "1")]);
    t.until_shows("prod-us");
    t.until("an inverse row", |t| {
        t.parser.screen().cell(2, 4).is_some_and(vt100::Cell::inverse)
    });
    let raw = String::from_utf8_lossy(&t.raw).into_owned();
    assert!(!raw.contains("38;5;") && !raw.contains("38;2;"), "a colour was written");
}

#[test]
fn an_idle_console_writes_nothing() {
    let mut t = Terminal::start("empty", (80, 24), &[]);
    t.until_shows("no backup");
    t.settle();
    let before = cpu(t.pid().as_raw_nonzero().get());
    assert_eq!(t.bytes_within(Duration::from_secs(2)), 0);
    let used = cpu(t.pid().as_raw_nonzero().get()) - before;
    assert!(used <= 2, "{used} ticks of CPU while idle");
}

#[test]
fn sigterm_gives_the_terminal_back() {
    let mut t = Terminal::start("normal", (80, 24), &[]);
    t.until_shows("prod-us");
    assert!(t.parser.screen().alternate_screen());
    t.signal(rustix::process::Signal::TERM);
    t.until_shows("ended with Ok(Quit)");
    assert!(!t.parser.screen().alternate_screen() && !t.parser.screen().hide_cursor());
    assert!(!t.parser.screen().bracketed_paste());
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_read_there() {
    let dir = tempfile::tempdir().unwrap();
    let falls = dir.path().join("falls");
    let mut t = Terminal::start("normal", (80, 24), &[(FALLS, falls.to_str().unwrap())]);
    t.until_shows("prod-us");
    std::fs::write(&falls, "console").unwrap();
    t.press("j");
    t.until_shows("the console fell");
    assert!(!t.parser.screen().alternate_screen() && !t.parser.screen().hide_cursor());
    assert!(!t.parser.screen().bracketed_paste());
    assert!(!t.child.wait().unwrap().success());
}

#[test]
fn a_panic_behind_the_console_is_told_and_the_console_stays() {
    let dir = tempfile::tempdir().unwrap();
    let falls = dir.path().join("falls");
    let mut t = Terminal::start("normal", (120, 36), &[(FALLS, falls.to_str().unwrap())]);
    t.until_shows("prod-us");
    std::fs::write(&falls, "desk").unwrap();
    t.press("r");
    t.press(":messages\r");
    t.until_shows(": the desk fell");
    assert!(t.parser.screen().alternate_screen());
    std::fs::remove_file(&falls).unwrap();
    t.signal(rustix::process::Signal::TERM);
    t.until_shows("ended with Ok(Quit)");
}

#[test]
fn a_hang_up_leaves_no_cpu() {
    let dir = tempfile::tempdir().unwrap();
    let note = dir.path().join("note");
    let mut t = Terminal::start("normal", (80, 24), &[("BRINE_TEST_NOTE", note.to_str().unwrap())]);
    t.until_shows("prod-us");
    let pid = t.pid().as_raw_nonzero().get();
    t.hang_up_behind_a_key(&note);
    let before = cpu(pid);
    std::thread::park_timeout(Duration::from_secs(2));
    let used = cpu(pid) - before;
    assert!(used <= 5, "{used} ticks of CPU after the terminal was lost");
}

#[test]
fn stops_and_continues() {
    let mut t = Terminal::start("empty", (80, 24), &[]);
    t.until_shows("no backup");
    t.press("\u{1a}");
    t.until("the primary screen", |t| !t.parser.screen().alternate_screen());
    let stopped = |t: &Terminal| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", t.pid().as_raw_nonzero())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    };
    t.until("the stopped process", stopped);
    t.signal(rustix::process::Signal::CONT);
    t.until("the console again", |t| t.parser.screen().alternate_screen());
    t.until_shows("no backup");
    t.press("q");
    t.until_shows("ended with Ok(Quit)");
}

#[test]
fn a_dumb_terminal_is_told_of_the_commands() {
    let mut t = Terminal::start("empty", (200, 24), &[("TERM", "dumb")]);
    t.until_shows("TERM=dumb");
    t.until_shows("brine --help");
    assert!(!t.raw.windows(8).any(|w| w == b"\x1b[?1049h"));
}

/// Who reads keys when the line breaks is the one who would have to hear of it. It is a matter of microseconds: in one of
/// twenty tries or so.
#[test]
fn a_hang_up_behind_a_key_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..25 {
        let note = dir.path().join(n.to_string());
        let mut t = Terminal::start("normal", (80, 24), &[("BRINE_TEST_NOTE", note.to_str().unwrap())]);
        t.until_shows("prod-us");
        t.hang_up_behind_a_key(&note);
    }
}

#[test]
fn a_hang_up_signal_alone_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let note = dir.path().join("note");
    let mut t = Terminal::start("normal", (80, 24), &[("BRINE_TEST_NOTE", note.to_str().unwrap())]);
    t.until_shows("prod-us");
    t.signal(rustix::process::Signal::HUP);
    t.until("the note that it goes on without a terminal", |_| note.exists());
    t.until("the primary screen", |t| !t.parser.screen().alternate_screen());
    assert!(!t.parser.screen().hide_cursor() && !t.parser.screen().bracketed_paste());
}

#[test]
fn what_others_set_is_put_aside_and_comes_back() {
    let mut t = Terminal::start("empty", (80, 24), &[]);
    t.until_shows("no backup");
    let has = |t: &Terminal, bytes: &str| t.raw.windows(bytes.len()).any(|w| w == bytes.as_bytes());
    assert!(
        has(&t, "\u{1b}[22;0t") && has(&t, "\u{1b}[?2004h"),
        "title and paste mode"
    );
    assert!(!has(&t, "\u{1b}[?1000h"), "the mouse stays the terminal's");
    t.press("q");
    t.until_shows("ended with Ok(Quit)");
    assert!(
        has(&t, "\u{1b}[23;0t") && has(&t, "\u{1b}[?2004l"),
        "title and paste mode"
    );
}

#[test]
fn what_is_copied_goes_to_the_terminals_clipboard() {
    let mut t = Terminal::start("normal", (80, 24), &[]);
    t.until_shows("prod-us");
    t.press("yc");
    t.until_shows("clipboard");
    let osc = b"\x1b]52;c;";
    let at = t
        .raw
        .windows(osc.len())
        .position(|w| w == osc)
        .expect("no OSC 52 was sent");
    // The command line's first letters, `brin`, in base64.
    assert_eq!(&t.raw[at + osc.len()..][..5], b"YnJpb");
}

#[test]
fn every_usual_terminal_gets_colours_that_it_knows() {
    for term in ["xterm", "screen", "linux", "vt100"] {
        let mut t = Terminal::start("normal", (80, 24), &[("TERM", term), ("COLORTERM", "")]);
        t.until_shows("prod-us");
        t.until("the selected row", |t| t.parser.screen().cursor_position() == (2, 0));
        let raw = String::from_utf8_lossy(&t.raw).into_owned();
        assert!(!raw.contains("8;2;"), "{term} got 24-bit colours");
        // 16 colours, which crossterm writes in the long form too.
        let indexed = raw
            .split("8;5;")
            .skip(1)
            .filter_map(|s| s.split(['m', ';']).next()?.parse::<u8>().ok());
        assert!(indexed.clone().all(|n| n < 16), "{term} got {:?}", indexed.max());
        t.press("jj\r");
        t.until_shows("SNAPSHOT");
    }
}

#[test]
fn a_light_ground_is_heard_of_behind_the_first_picture_and_a_silent_terminal_is_not_waited_for() {
    // brine-light's ink and brine-dark's, as they are written to the terminal.
    let (light, dark) = ("\u{1b}[38;2;31;41;51", "\u{1b}[?2026h");
    let asked = |t: &Terminal| String::from_utf8_lossy(&t.raw).contains("\u{1b}]11;?");
    let mut t = Terminal::start("normal", (80, 24), &[("COLORTERM", "truecolor")]);
    t.until("the question", asked);
    t.until_shows("prod-us");
    let raw = String::from_utf8_lossy(&t.raw).into_owned();
    assert!(raw.find(dark) < raw.find("\u{1b}]11;?"), "the picture goes first");
    assert!(!raw.contains(light));
    // Keys typed meanwhile stay keys, and the answer presses none.
    t.press("j\u{1b}]11;rgb:ffff/ffff/dddd\u{1b}\\j");
    t.until("the light theme", |t| String::from_utf8_lossy(&t.raw).contains(light));
    t.until("the cursor on the third row", |t| {
        t.parser.screen().cursor_position() == (4, 0)
    });
    t.press("c");
    t.until_shows("brine-light");
    for env in [("TERM", "xterm"), ("COLORFGBG", "15;0"), ("NO_COLOR", "1")] {
        let mut t = Terminal::start("normal", (80, 24), &[env]);
        t.until_shows("prod-us");
        t.press("j");
        t.until("the cursor on the second row", |t| {
            t.parser.screen().cursor_position() == (3, 0)
        });
        assert!(!asked(&t), "{env:?}");
    }
}

#[test]
fn a_storm_of_sizes_ends_in_the_right_picture() {
    let mut t = Terminal::start("normal", (80, 24), &[]);
    t.until_shows("prod-us");
    t.press("jj\r");
    t.until_shows("SNAPSHOT");
    for n in 0..120 {
        t.resize((40 + n % 90, 8 + n % 40));
    }
    t.resize((100, 30));
    t.until("the page in its new size", |t| {
        let text = t.text();
        let lines: Vec<&str> = text.trim_end().lines().collect();
        text.contains("NOTE") && lines.len() == 30 && lines.last().is_some_and(|l| l.contains("Restore"))
    });
    t.press("\u{1b}");
    t.until_shows("CLUSTER");
}

#[test]
fn a_paste_of_megabytes_presses_no_keys_and_blocks_nothing() {
    let mut t = Terminal::start("normal", (80, 24), &[]);
    t.until_shows("prod-us");
    // Every letter of it is a key: quit, delete, restore, back up.
    let paste = format!("\u{1b}[200~{}\u{1b}[201~", "qDRBX\r".repeat(500_000));
    t.press(&paste);
    t.press("j");
    t.until("the key after the paste", |t| {
        t.parser.screen().cursor_position() == (3, 0)
    });
    t.press("/");
    t.until_shows("/");
    t.press(&format!("\u{1b}[200~{}\u{1b}[201~", "prod-us ".repeat(200_000)));
    t.until_shows("rod-us prod-us prod");
    t.press("\u{1b}");
    t.until_shows("staging");
}

/// As over a line with 75 ms each way: everything is late by that, and nothing waits for more than one round trip.
#[test]
fn on_a_slow_line_keys_may_be_typed_ahead() {
    let mut t = Terminal::start("normal", (80, 24), &[]);
    t.until_shows("prod-us");
    let delay = Duration::from_millis(150);
    // What was typed during the round trip arrives in one go, arrows and a lonely escape among it.
    std::thread::park_timeout(delay);
    t.press("\u{1b}[B\u{1b}[B\u{1b}[A\u{1b}[Bjk\r");
    t.until_shows("SNAPSHOT");
    std::thread::park_timeout(delay);
    t.press("?");
    t.until_shows("Keys:");
    t.press("\u{1b}");
    t.until("the page without help", |t| !t.text().contains("Keys:"));
    t.press("\u{1b}");
    t.until_shows("CLUSTER");
}

#[test]
fn the_pager_has_the_terminal_until_it_ends_and_ctrl_c_in_it_ends_nothing_else() {
    let pager = [("PAGER", "sed s/^/PAGED:/; read answer </dev/tty")];
    let mut t = Terminal::start("normal", (80, 24), &pager);
    t.until_shows("prod-eu");
    t.press("6");
    t.until_shows("daily backup done");
    t.press("o");
    t.until_shows("PAGED:2026-11-");
    assert!(
        !t.parser.screen().alternate_screen(),
        "the pager has the terminal as it was"
    );
    t.press("\u{3}");
    t.until_shows("› Messages");
    t.press("1");
    t.until_shows("CLUSTER");
    t.signal(rustix::process::Signal::INT);
    t.until_shows("ended with Ok(Quit)");
    let mut t = Terminal::start("normal", (80, 24), &[("PAGER", "no-such-pager")]);
    t.until_shows("prod-eu");
    t.press("6");
    t.until_shows("daily backup done");
    t.press("o");
    t.until_shows("set PAGER");
}
