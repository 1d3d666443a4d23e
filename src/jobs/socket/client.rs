//! The asking side.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::server::peer_uid;
use super::{Answer, Greeting, PROTOCOL, SocketError, frame, place};
use crate::model::text::safe;

/// How long greetings may take.
const GREETING: Duration = Duration::from_secs(5);

/// A connection to the holder of a state directory's lease. One question at a time; for a long wait beside
/// other questions open a second one.
pub struct Client {
    state_dir: PathBuf,
    /// `None` after a failure: what is still on its way there belongs to no question.
    stream: Mutex<Option<UnixStream>>,
    /// What the other side said of itself.
    pid: u32,
}

impl Client {
    /// Connects to whoever serves this state directory.
    pub fn connect(state_dir: &Path) -> Result<Client, SocketError> {
        let (stream, pid) = open(state_dir)?;
        Ok(Client {
            state_dir: state_dir.to_owned(),
            stream: Mutex::new(Some(stream)),
            pid,
        })
    }

    /// The process on the other side.
    pub fn server_pid(&self) -> u32 {
        self.pid
    }

    /// Asks and waits for the answer; the handler's own error comes as [`SocketError::Answered`].
    ///
    /// After any other error nothing is sent again by itself; the next question opens a new connection.
    pub fn ask(&self, question: &Value, patience: Duration) -> Result<Value, SocketError> {
        let mut slot = self.stream.lock();
        let stream = match slot.take() {
            Some(stream) => stream,
            None => open(&self.state_dir)?.0,
        };
        frame::write(&stream, question, patience).map_err(failed("asking"))?;
        let answer = frame::read(&stream, patience).map_err(failed("waiting for the answer"))?;
        *slot = Some(stream);
        match answer {
            Answer::Ok(value) => Ok(value),
            Answer::Err(error) => Err(SocketError::Answered(error)),
        }
    }
}

fn open(state_dir: &Path) -> Result<(UnixStream, u32), SocketError> {
    let (stream, path) = reach(state_dir)?;
    if let Some(uid) = peer_uid(&stream).filter(|uid| !is_trusted(*uid)) {
        return Err(SocketError::Foreign { path, uid });
    }
    // A server that turns us away has hung up already; its greeting, which says why, can still be read.
    let sent = frame::write(&stream, &Greeting::ours(), GREETING);
    let theirs: Greeting = frame::read(&stream, GREETING).map_err(failed("greeting"))?;
    if theirs.brine != PROTOCOL {
        let theirs_version = safe(&theirs.version, 50);
        return Err(SocketError::Mismatch {
            pid: theirs.pid,
            theirs: theirs_version,
            ours: env!("CARGO_PKG_VERSION"),
        });
    }
    if let Some(why) = theirs.refused {
        return Err(SocketError::Refused(safe(&why, 500)));
    }
    sent.map_err(failed("greeting"))?;
    Ok((stream, theirs.pid))
}

/// Connects to the first socket at which somebody listens.
fn reach(state_dir: &Path) -> Result<(UnixStream, PathBuf), SocketError> {
    for path in place::candidates(state_dir) {
        match UnixStream::connect(&path) {
            Ok(stream) => return Ok((stream, path)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(source) => {
                let doing = "reached";
                return Err(SocketError::Io { path, doing, source });
            }
        }
    }
    Err(SocketError::NobodyThere {
        state_dir: state_dir.to_owned(),
    })
}

/// Ourselves, and root, who can do anything anyway.
pub(super) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> SocketError {
    move |source| match source.kind() {
        io::ErrorKind::TimedOut => SocketError::TimedOut,
        _ => SocketError::Broken { doing, source },
    }
}
