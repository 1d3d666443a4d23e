//! `kill -9` of brine, and of the server, at random moments of backups and of the log backup, under traffic: what is there
//! can be restored, nothing is lost, nothing is there twice.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use brine::cluster::mysql::{Endpoint, MysqlOptions, Password};
use brine::engine::point::{RestorePoint, RestoreRequest};

use crate::look;
use crate::server::{Kind, Server, servers};
use crate::world::{World, ok};

const SCHEMA: &str = "create database d; use d;
create table t (id int primary key auto_increment, v int, pad varchar(200));
create table account (id int primary key, n int); insert into account values (1, 1000), (2, 1000), (3, 1000);
create table nokey (a int, b varchar(20));
insert into t (v, pad) values (0, repeat('x', 200));";

fn world(dir: &Path, socket: &Path) -> World {
    let options = MysqlOptions::new(Endpoint::Socket(socket.to_owned()), "root", Password::default());
    let mut w = World::in_dir(options, &dir.join("archive"));
    w.log_options.flush_every = Duration::from_millis(20);
    w.log_options.flush_bytes = 1 << 20;
    w
}

/// Not a test of its own: backs up and archives the log until it is killed. Without its variables it does nothing.
#[test]
fn child() {
    let var = |name: &str| std::env::var(name).ok();
    let (Some(dir), Some(socket)) = (var("BRINE_TEST_KILLED"), var("BRINE_TEST_SOCKET")) else {
        return;
    };
    let w = world(Path::new(&dir), Path::new(&socket));
    let task = w.log_task();
    std::thread::scope(|scope| {
        scope.spawn(|| task.run(&w.cx()).unwrap());
        loop {
            w.backup();
            println!("a backup is there");
        }
    });
}

fn start(dir: &Path, s: &Server) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child", "--nocapture", "--test-threads=1"])
        .env("BRINE_TEST_KILLED", dir)
        .env("BRINE_TEST_SOCKET", s.socket())
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Transfers, new rows and rows without a key, until it is told to end; over the server's deaths.
fn traffic(s: &Server, done: &AtomicBool, written: &AtomicU64) {
    let mut session = None;
    for n in 0u64.. {
        if done.load(Ordering::SeqCst) {
            return;
        }
        let (from, to) = (n % 3 + 1, (n + 1) % 3 + 1);
        let script = format!(
            "begin; update d.account set n = n - 1 where id = {from}; update d.account set n = n + 1 where id = {to}; \
             insert into d.t (v, pad) values ({n}, repeat('y', {})); commit; \
             insert into d.nokey values ({n}, 'a'), ({n}, 'a'); delete from d.nokey where a < {}",
            n % 200,
            n.saturating_sub(20)
        );
        let done = session.get_or_insert_with(|| s.session()).try_run(&script);
        match done {
            Some(_) => drop(written.fetch_add(1, Ordering::SeqCst)),
            None => session = None,
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn rounds() -> u64 {
    std::env::var("BRINE_TEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(4)
}

fn killed(kind: Kind) {
    let [s, spare] = servers([kind, kind]);
    s.sql(SCHEMA);
    for _ in 0..12 {
        s.sql("insert into d.t (v, pad) select v, pad from d.t");
    }
    // Of the machine's memory: this is about processes that die, not about disks.
    let dir = tempfile::tempdir_in(s.dir()).unwrap();
    let first = {
        let w = world(dir.path(), &s.socket());
        let first = w.backup().id;
        w.start_log();
        first
    };
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| traffic(&s, &done, &written));
        for round in 0..rounds() {
            let mut child = start(dir.path(), &s);
            // At least something is written while it runs.
            let seen = written.load(Ordering::SeqCst);
            while written.load(Ordering::SeqCst) < seen + 3 {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            std::thread::park_timeout(Duration::from_millis(fastrand::u64(50..900)));
            if round % 2 == 1 {
                // The server dies under it; what it makes of that is its own affair.
                s.kill();
                std::thread::park_timeout(Duration::from_millis(fastrand::u64(0..50)));
                s.up();
            }
            child.kill().unwrap();
            let status = child.wait().unwrap();
            assert!(
                round % 2 == 1 || status.signal() == Some(9),
                "it ended by itself: {status:?}"
            );
            let w = world(dir.path(), &s.socket());
            let before = w.log_doc().runs.last().unwrap().to;
            assert!(w.catch_up() >= before, "the checkpoint goes forward");
            assert!(w.view().broken.is_empty(), "{:?}", w.view().broken);
        }
        done.store(true, Ordering::SeqCst);
    });
    let (w, other) = (world(dir.path(), &s.socket()), World::target(&spare));
    w.backup();
    w.catch_up();
    assert_eq!(w.log_doc().runs.len(), 1, "one log without a gap: {:?}", w.log_doc());
    let source = look::rows(&s);
    assert_eq!(s.value("select sum(n) from d.account"), "3000");
    // Through the whole log from the first snapshot, and from the newest.
    let newest = w.view().bases().last().unwrap().id.clone();
    for base in [first, newest] {
        let request = RestoreRequest {
            base: Some(base.clone()),
            ..w.request_to(&other, RestorePoint::Latest)
        };
        ok("restoring", w.try_restore(&request, &other));
        source.assert_same(&look::rows(&spare), &format!("{kind:?} from {base}"));
    }
    // Every backup that is offered is one moment.
    for base in w.view().bases() {
        let id = base.id.clone();
        w.restore_to(&other, RestorePoint::Snapshot { id });
        assert_eq!(
            spare.value("select sum(n) from d.account"),
            "3000",
            "{kind:?} {}",
            base.id
        );
    }
}

#[test]
fn brine_and_server_killed_at_random_mariadb_10_11() {
    killed(Kind::MariaDb1011);
}

#[test]
fn brine_and_server_killed_at_random_mysql_9_7() {
    killed(Kind::Mysql97);
}
