//! The answering side: one thread that accepts, one for each connection.

use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json};

use super::client::is_trusted;
use super::{Answer, Greeting, PROTOCOL, SocketError, frame, place};
use crate::jobs::lease::Lease;

/// More connections than this are turned away.
const MAX_CONNECTIONS: usize = 64;
/// How long a frame may take once it has begun, and an answer to be fetched.
const FRAME: Duration = Duration::from_secs(10);
/// How long a stopping server lets answers be finished.
const FAREWELL: Duration = Duration::from_secs(2);

/// Answers questions; called from many threads at once.
pub trait Handler: Send + Sync {
    /// Answers one question.
    fn handle(&self, request: Value) -> Result<Value, Value>;
}

impl<F: Fn(Value) -> Result<Value, Value> + Send + Sync> Handler for F {
    fn handle(&self, request: Value) -> Result<Value, Value> {
        self(request)
    }
}

/// A control socket being served. Dropping it stops it.
pub struct Server {
    state_dir: PathBuf,
    socket: PathBuf,
    /// Closing it wakes the accepting thread for the last time.
    stop: Option<UnixStream>,
    accepting: Option<JoinHandle<()>>,
    connections: Arc<Connections>,
}

#[derive(Default)]
struct Connections {
    open: Mutex<BTreeMap<u64, UnixStream>>,
    one_less: Condvar,
}

impl Server {
    /// Serves the control socket of the lease's state directory.
    ///
    /// `runtime_dir` is where the socket goes when its path would be too long.
    pub fn start(lease: &Lease, runtime_dir: &Path, handler: Arc<dyn Handler>) -> Result<Server, SocketError> {
        let (listener, socket) = place::listen(lease, runtime_dir)?;
        let io = |doing| {
            let path = socket.clone();
            move |source| SocketError::Io {
                path: path.clone(),
                doing,
                source,
            }
        };
        listener.set_nonblocking(true).map_err(io("served"))?;
        let (stop, stopped) = UnixStream::pair().map_err(io("served"))?;
        let connections = Arc::new(Connections::default());
        let shared = Arc::clone(&connections);
        let accepting = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &stopped, &shared, &handler))
            .map_err(io("served"))?;
        Ok(Server {
            state_dir: lease.dir().to_owned(),
            socket,
            stop: Some(stop),
            accepting: Some(accepting),
            connections,
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.socket
    }

    /// Takes no further questions, lets answers be finished for two seconds, and hangs up.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        if self.stop.take().is_none() {
            return;
        }
        if let Some(accepting) = self.accepting.take() {
            // It catches what its handlers do; a panic of its own is no reason to fail here.
            let _ = accepting.join();
        }
        place::clear(&self.state_dir, &self.socket);
        let mut open = self.connections.open.lock();
        open.values().for_each(|s| hang_up(s, Shutdown::Read));
        let until = Instant::now() + FAREWELL;
        while !open.is_empty() && !self.connections.one_less.wait_until(&mut open, until).timed_out() {}
        open.values().for_each(|s| hang_up(s, Shutdown::Both));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.finish();
    }
}

fn hang_up(stream: &UnixStream, how: Shutdown) {
    // The other side may have gone first.
    let _ = stream.shutdown(how);
}

/// The life of the accepting thread: asleep until somebody comes or the server stops.
fn accept(listener: &UnixListener, stopped: &UnixStream, connections: &Arc<Connections>, handler: &Arc<dyn Handler>) {
    let mut number = 0;
    loop {
        let mut fds = [
            PollFd::new(listener, PollFlags::IN),
            PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let [_, stop] = fds;
        if !stop.revents().is_empty() {
            return;
        }
        match listener.accept() {
            Ok((stream, _)) => {
                number += 1;
                welcome(number, stream, connections, handler);
            }
            // Out of file descriptors, mostly: others must hang up first; do not spin.
            Err(e) if e.kind() != io::ErrorKind::WouldBlock && e.kind() != io::ErrorKind::Interrupted => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(_) => {}
        }
    }
}

fn welcome(number: u64, stream: UnixStream, connections: &Arc<Connections>, handler: &Arc<dyn Handler>) {
    if stream.set_nonblocking(false).is_err() || peer_uid(&stream).is_some_and(|uid| !is_trusted(uid)) {
        return;
    }
    let Ok(second) = stream.try_clone() else { return };
    {
        let mut open = connections.open.lock();
        if open.len() >= MAX_CONNECTIONS {
            drop(open);
            return turn_away(&stream, "too many connections are open; close some and try again");
        }
        open.insert(number, second);
    }
    let (shared, handler) = (Arc::clone(connections), Arc::clone(handler));
    let spawned = std::thread::Builder::new()
        .name("control-client".to_owned())
        .spawn(move || {
            serve(&stream, &*handler);
            forget(&shared, number);
        });
    if spawned.is_err() {
        forget(connections, number);
    }
}

fn forget(connections: &Connections, number: u64) {
    connections.open.lock().remove(&number);
    connections.one_less.notify_all();
}

fn turn_away(stream: &UnixStream, why: &str) {
    let greeting = Greeting {
        refused: Some(why.to_owned()),
        ..Greeting::ours()
    };
    // Whoever cannot be told finds out anyway.
    let _ = frame::write(stream, &greeting, Duration::from_millis(100));
}

/// The life of a connection.
fn serve(stream: &UnixStream, handler: &dyn Handler) {
    let Ok(theirs) = frame::read::<Greeting>(stream, FRAME) else {
        return;
    };
    if theirs.brine != PROTOCOL {
        return turn_away(stream, "another protocol");
    }
    if frame::write(stream, &Greeting::ours(), FRAME).is_err() {
        return;
    }
    loop {
        match frame::next::<Value>(stream, FRAME) {
            Ok(Some(question)) => {
                if reply(stream, &answer(handler, question)).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            // What comes after a broken frame cannot be told apart any more.
            Err(e) => {
                let _ = reply(stream, &Answer::Err(json!({ "error": e.to_string() })));
                return;
            }
        }
    }
}

fn answer(handler: &dyn Handler, question: Value) -> Answer {
    match catch_unwind(AssertUnwindSafe(|| handler.handle(question))) {
        Ok(Ok(value)) => Answer::Ok(value),
        Ok(Err(error)) => Answer::Err(error),
        Err(_) => Answer::Err(json!({ "error": "the question ran into an error in brine itself; please report it" })),
    }
}

fn reply(stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    match frame::write(stream, answer, FRAME) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => frame::write(
            stream,
            &Answer::Err(json!({ "error": format!("the answer cannot be sent: {e}") })),
            FRAME,
        ),
        other => other,
    }
}

/// The user on the other side, where the system tells; the file's permissions stand before it everywhere.
pub(super) fn peer_uid(stream: &UnixStream) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        // An unreadable answer is nobody's.
        Some(rustix::net::sockopt::socket_peercred(stream).map_or(u32::MAX, |c| c.uid.as_raw()))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        None
    }
}
