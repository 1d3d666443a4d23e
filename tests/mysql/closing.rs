//! A server that is closed for a restore: who is kept out, who cannot be, and what is said of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use brine::cluster::{ClosedAs, Cluster, ClusterState};
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};

use crate::look;
use crate::server::{Kind, Server, server, servers};
use crate::world::{World, chain, ok, snapshot};

fn state(w: &World) -> ClusterState {
    w.c().facts().unwrap().state
}

/// Does something over and over in the background.
fn meanwhile<T>(again: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    meanwhile_from(&AtomicBool::new(true), again, work)
}

/// The same, from a moment on.
fn meanwhile_from<T>(begun: &AtomicBool, again: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    match begun.load(Ordering::SeqCst) {
                        true => again(),
                        false => std::thread::yield_now(),
                    }
                }
            });
        }
        let _stop = Stop(&stop);
        work()
    })
}

const D: &str = "create database d; create table d.t (a int primary key); insert into d.t values (1); \
    create user app@'%' identified by 'pw'; grant all on d.* to app@'%'";

#[test]
fn sessions_of_brines_own_account_end_like_all_others() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(D);
        let backup = w.backup();
        let mut root = s.session();
        root.run("insert into d.t values (2)");
        w.in_place(snapshot(&backup.id));
        assert_eq!(
            root.try_run("insert into d.t values (3)"),
            None,
            "{kind:?}: it was ended"
        );
        assert_eq!(s.column("select a from d.t"), ["1"]);
    }
}

#[test]
fn an_application_that_comes_back_with_brines_account_is_named() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(D);
        let backup = w.backup();
        let before = look::everything(&s);
        let error = meanwhile(
            || drop(s.try_sql("select sleep(0.2)")),
            || chain(&w.try_in_place(snapshot(&backup.id)).unwrap_err()),
        );
        assert!(
            error.contains("comes back") && error.contains("account of its own"),
            "{kind:?}: {error}"
        );
        assert_eq!(state(&w), ClusterState::Available, "{kind:?}: {error}");
        before.assert_same(&look::everything(&s), "opened again");
        s.session_as("app", "pw").run("insert into d.t values (2)");
    }
}

/// Nobody of theirs was connected while the server was closed; they come before it is built in, and before the switch.
#[test]
fn an_application_that_comes_late_with_brines_account_is_named_too() {
    for at in ["Create the tables", "Switch over"] {
        let s = server(Kind::MariaDb1011);
        let w = World::new(&s);
        s.sql(D);
        let backup = w.backup();
        let before = look::everything(&s);
        let request = w.request(snapshot(&backup.id), RestoreTarget::InPlace);
        let plan = w.plan_to(&request, &w).unwrap();
        let (begun, inside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (begin, entered) = (begun.clone(), inside.clone());
        let cx = w.cx().at_step(at, move || {
            begin.store(true, Ordering::SeqCst);
            while entered.load(Ordering::SeqCst) < 4 {
                std::thread::yield_now();
            }
        });
        let application = || {
            let mut session = s.session();
            if session.try_run("select 1").is_some() {
                inside.fetch_add(1, Ordering::SeqCst);
                session.try_run("select sleep(5)");
            }
        };
        let restore = || chain(&w.run_to(&plan, &w, false, &cx).unwrap_err());
        let error = meanwhile_from(&begun, application, restore);
        assert!(error.contains("comes back"), "{at}: {error}");
        assert_eq!(state(&w), ClusterState::Available, "{at}: {error}");
        before.assert_same(&look::everything(&s), "opened again");
    }
}

#[test]
fn a_storm_of_logins_does_not_keep_a_server_open() {
    let s = server(Kind::MariaDb1011);
    let w = World::new(&s);
    s.sql(D);
    let app = || drop(s.session_as("app", "pw").try_run("select 1"));
    meanwhile(app, || w.c().close(ClosedAs::Restoring).unwrap());
    assert!(matches!(state(&w), ClusterState::Restoring { .. }));
    assert_eq!(s.session_as("app", "pw").try_run("select 1"), None);
    w.c().open().unwrap();
    assert_eq!(s.session_as("app", "pw").run("select 1"), ["1"]);
}

#[test]
fn prepared_transactions_are_decided_first() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(D);
        let backup = w.backup();
        let mut session = s.session();
        session.run("xa start 'it','is',7; insert into d.t values (5); xa end 'it','is',7; xa prepare 'it','is',7");
        drop(session);
        let error = chain(&w.try_in_place(snapshot(&backup.id)).unwrap_err());
        let decide = "XA ROLLBACK X'6974',X'6973',7";
        assert!(error.contains(decide), "{kind:?}: {error}");
        assert_eq!(state(&w), ClusterState::Available);
        s.sql(decide);
        w.in_place(snapshot(&backup.id));
        assert_eq!(s.column("select a from d.t"), ["1"]);
    }
}

#[test]
fn a_replica_that_logs_in_as_brine_is_seen() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(D);
        let backup = w.backup();
        let program = if kind.is_mysql() {
            "mysqlbinlog"
        } else {
            "mariadb-binlog"
        };
        let file = s.value(if kind.is_mysql() {
            "show binary log status"
        } else {
            "show master status"
        });
        let mut replica = std::process::Command::new(kind.program(program))
            .args([
                "--no-defaults",
                "-uroot",
                "--read-from-remote-server",
                "--stop-never",
                "--raw",
            ])
            .arg(format!("--result-file={}/copy-", s.dir().display()))
            .arg(format!("--socket={}", s.socket().display()))
            .arg(file)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !s.sql("show processlist").contains("Binlog Dump") {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let request = w.request(snapshot(&backup.id), RestoreTarget::InPlace);
        let plan = ok("planning", w.plan_to(&request, &w));
        let blocked = plan.blocked().map(|c| c.found.clone());
        replica.kill().unwrap();
        replica.wait().unwrap();
        let found = blocked.unwrap_or_default();
        assert!(found.contains("attached"), "{kind:?}: {found}");
    }
}

/// The log backup of brine itself is no replica.
#[test]
fn brines_own_reading_of_the_log_is_no_replica() {
    let s = server(Kind::MariaDb1011);
    let w = World::new(&s);
    s.sql(D);
    w.backup();
    w.start_log();
    let mark = w.c().mark().unwrap();
    let mut changes = w.c().changes(&mark, &[]).unwrap();
    changes.next(std::time::Duration::from_millis(100)).unwrap();
    assert!(s.sql("show processlist").contains("Binlog Dump"));
    let checks = w.c().restore_checks(true).unwrap();
    let replicas = checks.iter().find(|c| c.name == "replicas").unwrap();
    assert_eq!(replicas.found, "none is attached");
    drop(changes);
}

/// A session holds no lock while it logs in and while it ends.
#[test]
fn brines_own_comings_and_goings_are_no_replicas() {
    for kind in [Kind::MariaDb118, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(D);
        w.backup();
        let mark = w.c().mark().unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::SeqCst) {
                    let mut changes = w.c().changes(&mark, &[]).unwrap();
                    changes.next(std::time::Duration::from_millis(1)).unwrap();
                }
            });
            let found: Vec<String> = (0..40)
                .map(|_| {
                    let checks = w.c().restore_checks(true).unwrap();
                    checks.into_iter().find(|c| c.name == "replicas").unwrap().found
                })
                .collect();
            over.store(true, std::sync::atomic::Ordering::SeqCst);
            assert!(found.iter().all(|f| f == "none is attached"), "{kind:?}: {found:?}");
        });
    }
}

fn init_connect(s: &Server) -> String {
    s.value("select @@global.init_connect")
}

#[test]
fn the_fence_is_put_up_again_and_what_happened_is_said() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(D);
        let backup = w.backup();
        w.c().close(ClosedAs::Restoring).unwrap();
        s.kill();
        s.up();
        assert_eq!(init_connect(&s), "");
        let ask = brine::cluster::RestoreAsk {
            id: "r1".to_owned(),
            scope: brine::cluster::RestoreScope::Whole,
            filter: brine::model::filter::TableFilter::all(),
            rename: brine::model::filter::RenameMap::default(),
            until: backup.commit,
            spares: false,
        };
        let restorer = w.c().restorer(&ask).unwrap();
        restorer.define_others(&[]).unwrap();
        assert!(init_connect(&s).contains("brine"), "{kind:?}");
        restorer.abandon().unwrap();
        drop(restorer);
        // Somebody gets in through the operator's door.
        s.sql("insert into d.t values (2)");
        let receipt = w.in_place(snapshot(&backup.id));
        let text = receipt.warnings.join("\n");
        assert!(text.contains("somebody wrote all the same"), "{kind:?}: {text}");
        assert_eq!(s.column("select a from d.t"), ["1"]);
        w.c().open().unwrap();
        let quiet = w.in_place(snapshot(&w.backup().id));
        assert_eq!(quiet.warnings, Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn a_server_stays_closed_until_it_is_opened() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&s), World::target(&spare));
        s.sql(D);
        let backup = w.backup();
        w.start_log();
        s.sql("insert into d.t values (2)");
        w.catch_up();
        let accounts = look::everything(&s).only(|k| k.starts_with("account '"));
        let request = RestoreRequest {
            stay_closed: true,
            ..w.request(snapshot(&backup.id), RestoreTarget::InPlace)
        };
        let receipt = ok("in place", w.try_restore(&request, &w));
        assert!(
            receipt.next_steps.iter().any(|n| n.contains("brine cluster open shop")),
            "{:?}",
            receipt.next_steps
        );
        let is_closed = |when: &str| {
            assert!(
                matches!(state(&w), ClusterState::Closed { .. }),
                "{kind:?}: {when}: {:?}",
                state(&w)
            );
            assert_eq!(s.session_as("app", "pw").try_run("select 1"), None, "{kind:?}: {when}");
        };
        is_closed("at once");
        // The operator looks at it; backups and the log backup go on.
        assert_eq!(s.column("select a from d.t"), ["1"]);
        w.catch_up();
        w.backup();
        s.kill();
        s.up();
        is_closed("after a restart of the server");
        w.c().open().unwrap();
        assert_eq!(state(&w), ClusterState::Available);
        s.session_as("app", "pw").run("insert into d.t values (3)");
        accounts.assert_same(
            &look::everything(&s).only(|k| k.starts_with("account '")),
            "the accounts",
        );
        w.catch_up();
        w.restore_to(&other, RestorePoint::Latest);
        assert_eq!(
            spare.column("select a from d.t order by a"),
            ["1", "3"],
            "{kind:?}: the new history goes on"
        );
    }
}
