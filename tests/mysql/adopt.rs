//! A server that was lost and built anew from its archive: it is adopted, killed or not, and its log goes on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use brine::archive::{Archive, ArchiveLock, Holder};
use brine::cluster::mysql::{Endpoint, MysqlCluster, MysqlOptions, Password};
use brine::engine::adopt;
use brine::engine::point::RestorePoint;
use brine::model::clock::SystemClock;
use brine::model::ids::ClusterName;
use brine::storage::Storage;
use brine::storage::local::Local;

use crate::look;
use crate::server::{Kind, Server, servers};
use crate::world::{World, chain, ok, snapshot};

/// The archive of a directory, with whichever server is there now.
fn at(dir: &Path, socket: &Path) -> World {
    let options = MysqlOptions::new(Endpoint::Socket(socket.to_owned()), "root", Password::default());
    let name = ClusterName::new("shop").unwrap();
    let storage: Arc<dyn Storage> = Arc::new(Local::create(dir).unwrap());
    let Some(archive) = Archive::open(storage, &name).unwrap() else {
        return World::in_dir(options, dir);
    };
    let holder = Holder::here("test", "tests").unwrap();
    let lock = ArchiveLock::take(&archive, holder, Arc::new(SystemClock)).unwrap();
    World {
        name,
        log_options: brine::engine::log::LogOptions {
            flush_every: std::time::Duration::from_secs(3600),
            flush_bytes: 20_000,
            level: 1,
        },
        split: true,
        archived: true,
        archive,
        lock: Arc::new(lock),
        cluster: Arc::new(MysqlCluster::new(options, Arc::new(SystemClock))),
    }
}

/// Not a test of its own: what the parents below start. Without their variables it does nothing.
#[test]
fn child() {
    let Ok(dir) = std::env::var("BRINE_TEST_ADOPT").map(PathBuf::from) else {
        return;
    };
    let w = at(&dir, Path::new(&std::env::var("BRINE_TEST_SOCKET").unwrap()));
    match std::env::var("BRINE_TEST_DO").unwrap().as_str() {
        "adopt" => drop(ok("adopting", adopt::run(&**w.c(), &w.archive, &w.lock, &w.cx()))),
        _ => drop(w.catch_up()),
    }
}

/// Runs the child; whether it died at that point.
fn dies(dir: &Path, s: &Server, what: &str, crash_at: Option<&str>) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "adopt::child", "--nocapture", "--test-threads=1"])
        .env("BRINE_TEST_ADOPT", dir)
        .env("BRINE_TEST_SOCKET", s.socket())
        .env("BRINE_TEST_DO", what)
        .env("RUST_BACKTRACE", "0")
        .envs(crash_at.map(|point| ("BRINE_CRASH_AT", point)));
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    match (out.status.success(), out.status.signal()) {
        (true, _) => false,
        (false, Some(6)) => true,
        _ => panic!("{what}, {crash_at:?}: {said}"),
    }
}

#[test]
fn a_rebuilt_server_is_adopted_and_its_log_goes_on() {
    for (kind, busy) in [
        (Kind::MariaDb1011, false),
        (Kind::MariaDb1011, true),
        (Kind::Mysql97, true),
    ] {
        let [old, new, third] = servers([kind, kind, kind]);
        let dir = tempfile::tempdir().unwrap();
        old.sql("create database d; create table d.t (id int primary key, v varchar(20)); insert into d.t values (1, 'base')");
        let (base, wanted) = {
            let w = at(dir.path(), &old.socket());
            let base = w.backup();
            w.start_log();
            old.sql("insert into d.t values (2, 'log'); create table d.u (a int primary key)");
            w.catch_up();
            (base, look::rows(&old))
        };
        old.kill();
        if busy {
            // Its own log counts further than the archive's: that makes it no continuation.
            let inserts: String = (0..200).map(|n| format!("insert into own.t values ({n});")).collect();
            new.sql(&format!("create database own; create table own.t (a int); {inserts}"));
        }
        {
            let (w, target) = (at(dir.path(), &new.socket()), World::target(&new));
            w.restore_to(&target, RestorePoint::Latest);
            wanted.assert_same(&look::rows(&new), &format!("{kind:?}: rebuilt"));
            let error = chain(&w.try_catch_up(&w.cx()).unwrap_err());
            assert!(error.contains("adopt"), "{kind:?}, busy {busy}: {error}");
        }
        new.sql("insert into d.t values (3, 'before')");
        let mut killed = 0;
        for point in ["adopt.log-ended", "adopt.history"] {
            killed += u32::from(dies(dir.path(), &new, "adopt", Some(point)));
        }
        assert_eq!(killed, 2, "{kind:?}, busy {busy}: it was taken for a continuation");
        assert!(!dies(dir.path(), &new, "adopt", None));
        new.sql("insert into d.t values (4, 'after')");
        assert!(!dies(dir.path(), &new, "log", None), "the log goes on");
        ok("a base", at(dir.path(), &new.socket()).try_backup());
        new.sql(
            "insert into d.t values (5, 'later'); create table d.w (a int primary key); insert into d.w values (1)",
        );
        assert!(dies(dir.path(), &new, "log", Some("log.after-segment")));
        new.sql("insert into d.w values (2)");
        let w = at(dir.path(), &new.socket());
        w.catch_up();
        let target = World::target(&third);
        w.restore_to(&target, RestorePoint::Latest);
        look::rows(&new).assert_same(&look::rows(&third), &format!("{kind:?}, busy {busy}: the new history"));
        w.restore_to(&target, snapshot(&base.id));
        assert_eq!(third.column("select v from d.t"), ["base"], "{kind:?}: the old one");
    }
}
