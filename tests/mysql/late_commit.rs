//! A restore that dies while a commit of it is still on its way: who goes on must not look at what is in before that is decided.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::restore::{child, stage};
use crate::server::Kind;

/// Stands before a server's socket.
struct Between {
    server: PathBuf,
    /// So many commits of the replay are passed on at once; the next is held.
    before: AtomicUsize,
    reached: Sender<()>,
}

impl Between {
    fn begin(listener: UnixListener, server: PathBuf, before: usize) -> Receiver<()> {
        let (reached, is_reached) = channel();
        let before = AtomicUsize::new(before);
        let between = Arc::new(Between {
            server,
            before,
            reached,
        });
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let server = UnixStream::connect(&between.server).unwrap();
                between.clone().pass(client.unwrap(), server);
            }
        });
        is_reached
    }

    fn pass(self: Arc<Self>, mut client: UnixStream, mut server: UnixStream) {
        let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let (open, is_closed) = channel::<()>();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut answers, &mut back);
            drop(open);
        });
        std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            let mut noted = false;
            while let Ok(n @ 1..) = client.read(&mut bytes) {
                let has = |what: &[u8]| bytes[..n].windows(what.len()).any(|w| w == what);
                noted |= has(b"REPLACE INTO _brine.progress");
                if noted && has(b"\x03COMMIT") {
                    noted = false;
                    if self.before.fetch_sub(1, Ordering::SeqCst) == 0 {
                        self.reached.send(()).unwrap();
                        // It comes late: when the server has ended the session, or never.
                        let _ = is_closed.recv();
                    }
                }
                if server.write_all(&bytes[..n]).is_err() {
                    return;
                }
            }
            let _ = server.shutdown(std::net::Shutdown::Write);
        });
    }
}

fn late(kind: Kind) {
    let stage = stage(kind);
    let dir = tempfile::tempdir_in(stage.dir.path()).unwrap();
    for before in [0, 3] {
        let socket = dir.path().join(format!("{before}.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let reached = Between::begin(listener, stage.target.socket(), before);
        let mut job = stage.job(&format!("late{before}"));
        job.socket = socket;
        let mut running = child(&job, stage.dir.path(), &[]);
        reached
            .recv_timeout(Duration::from_secs(120))
            .unwrap_or_else(|e| panic!("{kind:?}: no commit number {before}: {e}, {}", stage.child_error()));
        running.kill().unwrap();
        running.wait().unwrap();
        job.socket = stage.target.socket();
        stage.finish(&job, &format!("{kind:?}: died in commit {before}"));
    }
}

#[test]
fn a_restore_that_died_in_a_commit_does_nothing_twice_mariadb_10_11() {
    late(Kind::MariaDb1011);
}

#[test]
fn a_restore_that_died_in_a_commit_does_nothing_twice_mysql_9_7() {
    late(Kind::Mysql97);
}
