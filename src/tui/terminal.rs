//! The terminal itself: taking it, giving it back, stopping and continuing, and noticing that it is gone.
//!
//! Only the console's own thread may give the terminal back when it panics; a panic elsewhere becomes a message.

use std::io::{IsTerminal, Write, stdout};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange};
use crossterm::style::Print;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::config::Notify;

/// The terminal that is painted on.
pub type Screen = Terminal<CrosstermBackend<std::io::BufWriter<std::io::Stdout>>>;

/// Refuses where a full-screen program cannot work, and says what can.
pub fn check(env: fn(&str) -> Option<String>) -> anyhow::Result<()> {
    const INSTEAD: &str =
        "the commands work anywhere: see `brine --help`, for example `brine cluster list` or `brine check`";
    if !std::io::stdin().is_terminal() || !stdout().is_terminal() {
        bail!("the console needs a terminal, and standard input or output is none; {INSTEAD}");
    }
    match env("TERM").as_deref() {
        None | Some("" | "dumb") => bail!("the console cannot work with TERM=dumb; {INSTEAD}"),
        Some(_) => Ok(()),
    }
}

/// Takes the terminal.
pub fn take() -> anyhow::Result<Screen> {
    // crossterm 0.29 answers NO_COLOR with a bare reset for each colour, which wipes reverse and bold too. brine
    // decides about colours itself (theme `mono`). Remove when a crossterm release no longer does that.
    crossterm::style::force_color_output(true);
    enable_raw_mode().context("the terminal cannot be put into raw mode")?;
    // The title is put aside and comes back at the end; terminals that cannot do that ignore it.
    execute!(
        stdout(),
        Print("\x1b[22;0t"),
        EnterAlternateScreen,
        EnableBracketedPaste,
        EnableFocusChange
    )
    .context("the terminal cannot be taken over")?;
    let backend = CrosstermBackend::new(std::io::BufWriter::with_capacity(16 << 10, stdout()));
    let mut screen = Terminal::new(backend).context("the terminal's size cannot be read")?;
    clear(&mut screen)?;
    Ok(screen)
}

/// Asks for clicks and the wheel, not for movement: fewer bytes, and text can still be marked with Shift.
pub fn listen_to_mouse() -> anyhow::Result<()> {
    execute!(stdout(), Print("\x1b[?1000h\x1b[?1006h")).context("the terminal cannot be written")
}

/// Takes the terminal again after somebody else may have changed its modes.
pub fn retake() -> anyhow::Result<Screen> {
    // Without this crossterm believes that raw mode is still on, and does nothing.
    disable_raw_mode().context("the terminal's mode cannot be changed")?;
    take()
}

/// What asks the terminal to show a notification.
pub fn notification(kind: Notify, text: &str, in_tmux: bool) -> String {
    let text = crate::model::text::safe(text, 200);
    let sequence = match kind {
        Notify::Off => return String::new(),
        Notify::Osc9 => format!("\x1b]9;{text}\x07"),
        // Its fields are parted by semicolons.
        Notify::Osc777 => format!("\x1b]777;notify;brine;{}\x07", text.replace(';', ",")),
    };
    match in_tmux {
        true => format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")),
        false => sequence,
    }
}

/// Clears the terminal, so that the next picture is painted whole.
///
/// Not `Terminal::clear`: that asks the terminal where the cursor is, and waits two seconds for an answer which the
/// reader of events may take away.
pub fn clear(screen: &mut Screen) -> anyhow::Result<()> {
    let size = screen.size().context("the terminal's size cannot be read")?;
    screen.resize(size.into()).context("the terminal cannot be cleared")
}

/// Gives the terminal back; goes on after errors, because there is nothing better to do.
pub fn give_back() {
    let _ = execute!(
        stdout(),
        Print("\x1b[?1006l\x1b[?1000l"),
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Print("\x1b[23;0t"),
        cursor::Show
    );
    let _ = disable_raw_mode();
    let _ = stdout().flush();
}

/// Until dropped, panics of this thread give the terminal back first, and panics of others are only reported.
pub struct PanicGuard {
    before: Arc<dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync>,
}

impl PanicGuard {
    /// Puts the hook in place.
    pub fn new(report: impl Fn(String) + Send + Sync + 'static) -> PanicGuard {
        let before: Arc<dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync> = std::panic::take_hook().into();
        let (console, then) = (std::thread::current().id(), Arc::clone(&before));
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() == console {
                give_back();
                then(info);
            } else {
                // Where, and on a line of its own, what.
                report(info.to_string().replace('\n', " "));
            }
        }));
        PanicGuard { before }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let before = Arc::clone(&self.before);
            std::panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

/// Stops the process group until the shell continues it, as Ctrl-Z does without raw mode.
pub fn stop() -> anyhow::Result<()> {
    let signal = rustix::process::Signal::STOP;
    rustix::process::kill_current_process_group(signal).context("the process cannot be stopped")
}

/// Shows a text in a pager that has the terminal: the operator's, or `less`, or `more`.
pub fn page(pager: Option<&str>, text: &str) -> anyhow::Result<()> {
    // As other programs do: the setting is a command line for a shell.
    let command = pager.filter(|p| !p.trim().is_empty()).unwrap_or("less || more");
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .spawn()
        .context("no shell could be started")?;
    if let Some(mut into) = child.stdin.take() {
        match into.write_all(text.as_bytes()) {
            // It was left before it had read all.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {}
            other => other.context("it took no text")?,
        }
    }
    let status = child.wait().context("it cannot be waited for")?;
    match status.code() {
        Some(126 | 127) => bail!("`{command}` was not found: set PAGER"),
        _ => Ok(()),
    }
}

/// Waits in a thread of its own, without waking up, until the terminal hangs up.
pub fn watch(gone: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let watcher = std::thread::Builder::new().name("brine-tty".to_owned());
    let wait = move || {
        loop {
            let stdin = rustix::stdio::stdin();
            // No events are asked for: a hang-up is always reported, and nothing else wakes us.
            let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
                Ok(_) => break,
            }
        }
        // Before anybody is told: the thread that would hear of it may be the one that spins in crossterm's reader.
        if let Ok(silent) = silence() {
            // Kept for the life of the process, which goes on without a terminal.
            std::mem::forget(silent);
        }
        gone();
    };
    watcher
        .spawn(wait)
        .context("the thread that watches the terminal cannot be started")?;
    Ok(())
}

/// Puts a pipe that never says anything in the place of a terminal that is gone, and throws output away.
///
/// crossterm 0.29's reader spins for ever on a hung-up terminal (crossterm issue 793). Remove when a release has the fix.
pub fn abandon() -> std::io::Result<OwnedFd> {
    let silent = silence()?;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(silent)
}

/// Puts a pipe that never says anything in the place of standard input. It does not wait for anything either: a reader that
/// spins on the hung-up terminal is told that there is nothing to read now, and goes away.
fn silence() -> std::io::Result<OwnedFd> {
    let (read, write) = rustix::pipe::pipe()?;
    rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
    rustix::stdio::dup2_stdin(&read)?;
    // Whoever keeps this end keeps the pipe silent: without it the reader would see its end, and spin again.
    Ok(write)
}

/// Whether the terminal has hung up. Standard output tells it too, once standard input has been silenced.
pub fn hung_up() -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    let mut fds = [
        PollFd::new(&input, PollFlags::empty()),
        PollFd::new(&output, PollFlags::empty()),
    ];
    poll(&mut fds, Some(&now)).is_ok() && fds.iter().any(|fd| fd.revents().intersects(gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_what_terminals_know_and_carry_no_sequence_of_others() {
        let text = "job 7 failed\u{7}; \u{1b}]52;c;x";
        assert_eq!(notification(Notify::Off, text, true), "");
        for kind in [Notify::Osc9, Notify::Osc777] {
            let plain = notification(kind, text, false);
            assert_eq!(plain.matches(['\u{1b}', '\u{7}']).count(), 2, "{plain:?}");
            assert!(plain.contains("job 7 failed"));
        }
        assert!(notification(Notify::Osc777, text, false).starts_with("\x1b]777;notify;brine;job 7 failed"));
        let wrapped = notification(Notify::Osc9, "done", true);
        assert_eq!(wrapped, "\x1bPtmux;\x1b\x1b]9;done\x07\x1b\\");
    }
}
