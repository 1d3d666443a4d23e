//! Carrying on without the terminal: a tiny parent that keeps the shell waiting, and leaving it.
//!
//! ```text
//! shell ── brine (parent: waits) ── brine (child: the console, with lease, socket and jobs)
//!                 ^ "left"                 │  new session, terminal closed
//!                 └────────────────────────┘
//! ```
//!
//! The process that has jobs cannot give the shell its prompt back by itself without ending. So the console
//! runs as a child of a parent that does nothing but wait; when the child leaves the terminal it says so
//! over a pipe, the parent exits, and the child goes on as an agent. There is no `fork` in a process with
//! threads: the parent starts its own program a second time.
//!
//! *Invariants: the exit code of the child is that of the parent; the two stop, continue and end together
//! until the child has left; after that nothing that happens to the terminal reaches the child.*

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process, setsid, waitpid};
use tokio::net::unix::pipe::Receiver;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};

/// Tells the child who its parent is and where to write: `<parent's pid>:<number of the pipe's end>`.
const MARK: &str = "BRINE_PARENT";
/// What the child writes when it has left the terminal.
const LEFT: u8 = b'L';

/// Which of the two this process is.
#[derive(Debug)]
pub enum Role {
    /// The parent, at its end: exit with this code.
    Parent {
        /// The child's exit code, or 0 after it has left.
        code: i32,
    },
    /// The child: be the console, and keep this for [`leave`].
    Child(Link),
}

/// The child's line to its parent.
#[derive(Debug, Default)]
pub struct Link {
    pipe: Option<File>,
}

impl Link {
    /// For a process without such a parent.
    pub fn none() -> Link {
        Link::default()
    }

    /// Whether leaving gives the shell its prompt back while this process goes on.
    pub fn can_leave(&self) -> bool {
        self.pipe.is_some()
    }
}

/// Starts this very program again as a child and waits for it, or finds out that it is that child.
///
/// Called first thing in `main`, while there is one thread.
pub fn behind_parent() -> io::Result<Role> {
    if let Some(link) = link_from_mark() {
        return Ok(Role::Child(link));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        // Handlers, not "ignore": an ignored signal would stay ignored in the child.
        let mut signals = Signals::new()?;
        let (from_child, to_parent) = pipe_with(PipeFlags::CLOEXEC)?;
        let child = spawn(&to_parent)?;
        drop(to_parent);
        watch(child, Receiver::from_owned_fd(from_child)?, &mut signals).await
    })?;
    Ok(Role::Parent { code })
}

fn spawn(to_parent: &OwnedFd) -> io::Result<Pid> {
    fcntl_setfd(to_parent, FdFlags::empty())?;
    let mut args = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    command
        .args(args)
        .env(MARK, format!("{}:{}", getpid().as_raw_nonzero(), to_parent.as_raw_fd()));
    let child = command.spawn()?;
    Pid::from_raw(i32::try_from(child.id()).unwrap_or_default())
        .ok_or_else(|| io::Error::other("a child without a pid"))
}

/// The line of a child, if this is one; a grandchild inherits the mark, but its parent is another.
fn link_from_mark() -> Option<Link> {
    let mark = std::env::var(MARK).ok()?;
    let (pid, fd) = mark.split_once(':')?;
    let parent = Pid::from_raw(pid.parse().ok()?)?;
    if getppid() != Some(parent) {
        return None;
    }
    let fd: u32 = fd.parse().ok()?;
    // Opened anew, so that it is ours to close and no grandchild inherits it.
    let pipe = OpenOptions::new().write(true).open(format!("/dev/fd/{fd}")).ok()?;
    follow_parent(Some(Signal::HUP));
    // It may have died before we asked to be told.
    if getppid() != Some(parent) {
        return None;
    }
    Some(Link { pipe: Some(pipe) })
}

/// A parent that is killed leaves the terminal to the shell: for the child that is a hang-up.
fn follow_parent(signal: Option<Signal>) {
    #[cfg(target_os = "linux")]
    // Where it cannot be had, a killed parent is simply not noticed.
    let _ = rustix::process::set_parent_process_death_signal(signal);
    #[cfg(not(target_os = "linux"))]
    let _ = signal;
}

/// What the waiting parent listens to.
struct Signals {
    child: Arrivals,
    hangup: Arrivals,
    terminate: Arrivals,
    resume: Arrivals,
    /// The terminal sends these to the child as well: the parent only must not die of them.
    from_keys: [Arrivals; 3],
}

impl Signals {
    fn new() -> io::Result<Signals> {
        let number = |s: Signal| signal(SignalKind::from_raw(s.as_raw()));
        Ok(Signals {
            child: signal(SignalKind::child())?,
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            resume: number(Signal::CONT)?,
            from_keys: [number(Signal::INT)?, number(Signal::QUIT)?, number(Signal::TSTP)?],
        })
    }
}

/// Waits until the child has ended or left.
async fn watch(child: Pid, pipe: Receiver, signals: &mut Signals) -> io::Result<i32> {
    let mut listening = true;
    let Signals {
        child: chld,
        hangup,
        terminate,
        resume,
        from_keys: [int, quit, tstp],
    } = signals;
    loop {
        if let Some(code) = look_after(child).await? {
            return Ok(code);
        }
        tokio::select! {
            ready = pipe.readable(), if listening => match ready.and_then(|()| heard(&pipe)) {
                Ok(Heard::Left) => return Ok(0),
                Ok(Heard::Nothing) => {}
                // The child is ending; its exit code follows.
                Ok(Heard::Closed) | Err(_) => listening = false,
            },
            _ = chld.recv() => {}
            _ = hangup.recv() => pass_on(child, Signal::HUP),
            _ = terminate.recv() => pass_on(child, Signal::TERM),
            _ = resume.recv() => pass_on(child, Signal::CONT),
            _ = int.recv() => {}
            _ = quit.recv() => {}
            _ = tstp.recv() => {}
        }
    }
}

enum Heard {
    Left,
    Nothing,
    Closed,
}

fn heard(pipe: &Receiver) -> io::Result<Heard> {
    let mut byte = [0u8];
    match pipe.try_read(&mut byte) {
        Ok(0) => Ok(Heard::Closed),
        Ok(_) if byte == [LEFT] => Ok(Heard::Left),
        Ok(_) => Ok(Heard::Nothing),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Heard::Nothing),
        Err(e) => Err(e),
    }
}

/// The child may have ended just now; then its end is the next thing we hear of.
fn pass_on(child: Pid, signal: Signal) {
    let _ = kill_process(child, signal);
}

/// The child's exit code once it has ended; stops with a child that has stopped, so that the shell sees it.
async fn look_after(child: Pid) -> io::Result<Option<i32>> {
    loop {
        let status = match waitpid(Some(child), WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(Some((_, status))) => status,
            Ok(None) => return Ok(None),
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        };
        if let Some(code) = status.exit_status() {
            return Ok(Some(code));
        }
        if let Some(signal) = status.terminating_signal() {
            return Ok(Some(128 + signal));
        }
        // Stopped. If the whole group was stopped and is just being continued, ours came first: look again.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let continued = waitpid(Some(child), WaitOptions::NOHANG | WaitOptions::CONTINUED);
        if status.stopped() && matches!(continued, Ok(None)) {
            // What lets us go on is passed on to the child by the caller.
            kill_process(getpid(), Signal::STOP)?;
        }
    }
}

/// From here on a hang-up does not end this process, whatever becomes of the terminal.
pub fn survive_hangup() -> io::Result<()> {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The handler stays when its listener and the runtime are gone.
    runtime.block_on(async { signal(SignalKind::hangup()).map(drop) })
}

/// Leaves the terminal: new session, nothing of the terminal held open, the parent told to exit.
///
/// The caller has put the terminal back into its normal mode before. Says whether the process is now in a
/// session of its own; it is not when it was started without a parent, and then only hang-ups are survived.
pub fn leave(link: Link) -> io::Result<bool> {
    survive_hangup()?;
    let alone = match setsid() {
        Ok(_) => true,
        // The leader of a group cannot; that is what the parent is there for.
        Err(Errno::PERM) => false,
        Err(e) => return Err(e.into()),
    };
    close_terminal()?;
    if let Some(mut pipe) = link.pipe {
        follow_parent(None);
        match pipe.write_all(&[LEFT]) {
            // It is gone already: killed, or hung up on.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
    }
    Ok(alone)
}

/// Puts a silent pipe in the place of standard input and `/dev/null` in that of the outputs.
///
/// Not `/dev/null` for the input: that is always readable, and a reader of keys that is still there would
/// spin on it, as it would on a terminal that was hung up.
fn close_terminal() -> io::Result<()> {
    let (silent, never_written) = pipe_with(PipeFlags::CLOEXEC)?;
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&silent)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    // Closing it would end the silence: it stays open for the life of the process.
    std::mem::forget(never_written);
    Ok(())
}
