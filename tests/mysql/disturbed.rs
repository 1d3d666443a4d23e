//! A server that is busy, that loses its connections, or whose disk is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brine::cluster::{Cluster, ClusterState};
use brine::engine::cx::MemoryResumeLog;
use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::engine::verify::{self, Scratch};
use brine::model::backup::ProofLevel;

use crate::edges::last_gtid;
use crate::look::{self, Look};
use crate::server::{Kind, Server, server, servers};
use crate::small_disk::{SmallDisk, inside};
use crate::world::{World, ok, through};

const SCHEMA: &str = "create database d; use d;
create table t (id int primary key auto_increment, v int, pad varchar(400));
create table account (id int primary key, n int);
insert into t (v, pad) values (0, repeat('x', 400));";

fn filled(s: &Server, doublings: u32) {
    s.sql(SCHEMA);
    for _ in 0..doublings {
        s.sql("insert into d.t (v, pad) select v, pad from d.t");
    }
    let accounts: Vec<String> = (1..=400).map(|n| format!("({n}, 1000)")).collect();
    s.sql(&format!("insert into d.account values {}", accounts.join(",")));
}

/// Single transactions from several sessions, each paced so that all together make `wanted` a second, as far as the machine
/// goes.
fn write(s: &Server, wanted: u32, done: &AtomicBool, written: &AtomicU64) {
    const SESSIONS: u64 = 4;
    const BATCH: u64 = 50;
    let pause = Duration::from_secs_f64((SESSIONS * BATCH) as f64 / f64::from(wanted));
    std::thread::scope(|scope| {
        for who in 0..SESSIONS {
            scope.spawn(move || {
                let mut session = s.session();
                let mut next = Instant::now();
                while !done.load(Ordering::SeqCst) {
                    let batch: Vec<String> = (0..BATCH)
                        .map(|_| {
                            // Its own hundred of the accounts: no two sessions wait for each other.
                            let id = 1 + who * 100 + fastrand::u64(0..100);
                            match fastrand::u8(0..4) {
                                0 => format!("insert into d.t (v, pad) values ({id}, repeat('y', {id}))"),
                                1 => format!("delete from d.t where id = {}", fastrand::u64(1..100_000)),
                                _ => format!("update d.account set n = n + 1 where id = {id}"),
                            }
                        })
                        .collect();
                    session.run(&batch.join(";"));
                    written.fetch_add(BATCH, Ordering::SeqCst);
                    next += pause;
                    if let Some(early) = next.checked_duration_since(Instant::now()) {
                        std::thread::sleep(early);
                    }
                }
            });
        }
    });
}

fn busy(kind: Kind) {
    let [s, spare] = servers([kind, kind]);
    filled(&s, 12);
    let (mut w, other) = (World::new(&s), World::target(&spare));
    w.log_options.flush_bytes = 1 << 20;
    w.log_options.flush_every = Duration::from_millis(200);
    w.backup();
    w.start_log();
    let mut moments = Vec::new();
    for round in 0..2 {
        let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
        let began = Instant::now();
        let task = w.log_task();
        std::thread::scope(|scope| {
            let log = scope.spawn(|| task.run(&w.cx()));
            scope.spawn(|| write(&s, 4_000, &done, &written));
            for _ in 0..2 {
                w.backup();
            }
            while written.load(Ordering::SeqCst) < 10_000 && began.elapsed() < Duration::from_secs(20) {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            done.store(true, Ordering::SeqCst);
            task.shared.stop();
            ok("the log backup", log.join().unwrap());
        });
        let (n, took) = (written.load(Ordering::SeqCst), began.elapsed());
        println!(
            "{kind:?}, round {round}: {:.0} transactions/s",
            n as f64 / took.as_secs_f64()
        );
        w.catch_up();
        moments.push((last_gtid(&s), look::rows(&s)));
    }
    assert_eq!(w.log_doc().runs.len(), 1, "one log without a gap");
    for (gtid, then) in moments {
        w.restore_to(&other, through(&gtid));
        then.assert_same(&look::rows(&spare), &format!("{kind:?} through {gtid}"));
    }
}

#[test]
fn four_thousand_transactions_a_second_beside_snapshot_and_log_on_mariadb_10_11() {
    busy(Kind::MariaDb1011);
}

#[test]
fn four_thousand_transactions_a_second_beside_snapshot_and_log_on_mysql_9_7() {
    busy(Kind::Mysql97);
}

/// Ends all connections but its own, at a random moment, once something is done on one of them.
///
/// A restore in place ends this one too, when it closes the server; it comes again like any other administrator.
fn cut(s: &Server, within: u64, done: &AtomicBool) {
    let others = "user not in ('system user', 'event_scheduler') and command <> 'Daemon' and id <> connection_id()";
    let busy = format!("select count(*) from information_schema.processlist where {others} and command <> 'Sleep'");
    let mut session = s.session();
    while !done.load(Ordering::SeqCst) {
        match session.try_run(&busy) {
            Some(n) if n == ["0"] => {}
            Some(_) => break,
            None => session = s.session(),
        }
    }
    std::thread::park_timeout(Duration::from_millis(fastrand::u64(0..within)));
    let list = s.try_sql(&format!("select id from information_schema.processlist where {others}"));
    for id in list.unwrap_or_default().lines() {
        // Some have ended by themselves meanwhile.
        let _ = s.try_sql(&format!("kill {id}"));
    }
}

fn lost(kind: Kind) {
    let s = server(kind);
    filled(&s, 13);
    let w = World::new(&s);
    w.backup();
    w.start_log();
    s.sql("insert into d.t (v) values (-1); update d.account set n = 5 where id = 1");
    w.catch_up();
    let live = look::everything(&s).without_counters();
    let mut failures = 0;
    for round in 0..4 {
        for verb in ["backup", "log", "beside", "in place"] {
            let what = format!("{kind:?}, {verb}, round {round}");
            let memory = Arc::new(MemoryResumeLog::default());
            let cx = || w.cx().with_resume(memory.clone());
            let plan = match verb {
                "beside" => Some(w.request(RestorePoint::Latest, RestoreTarget::Beside)),
                "in place" => Some(w.request(RestorePoint::Latest, RestoreTarget::InPlace)),
                _ => None,
            };
            let plan = plan.map(|request| ok(&what, w.plan_to(&request, &w)));
            let run = || match (&plan, verb) {
                (Some(plan), _) => w.run_to(plan, &w, false, &cx()).map(|r| r.warnings),
                (None, "backup") => w.try_backup().map(|_| Vec::new()),
                (None, _) => w.try_catch_up(&cx()).map(|_| Vec::new()),
            };
            let over = AtomicBool::new(false);
            let first = std::thread::scope(|scope| {
                scope.spawn(|| cut(&s, if plan.is_some() { 600 } else { 60 }, &over));
                let result = run();
                over.store(true, Ordering::SeqCst);
                result
            });
            let mut warnings = first.as_ref().cloned().unwrap_or_default();
            if let Err(e) = first {
                failures += 1;
                let text = e.chain();
                println!("{what}: {text}");
                let told = ["lost", "gone away", "connection", "killed", "interrupted", "closed"];
                assert!(told.iter().any(|t| text.to_lowercase().contains(t)), "{what}: {text}");
                // The same job again, as `brine job resume` runs it.
                warnings = ok(&format!("{what}, again after {text}"), run());
            }
            if warnings.iter().any(|w| w.contains("first base of the new history")) {
                // As the receipt says.
                w.backup();
            }
            if verb == "beside" {
                assert_eq!(s.value("select n from d_restored.account where id = 1"), "5", "{what}");
                s.sql("drop database d_restored");
            }
            live.assert_same(&look::everything(&s).without_counters(), &what);
            assert_eq!(w.c().facts().unwrap().state, ClusterState::Available, "{what}");
        }
    }
    println!("{kind:?}: {failures} of 16 were hit");
    let left = s.column("select schema_name from information_schema.schemata");
    assert!(!left.iter().any(|d| d.starts_with("_brine_")), "{left:?}");
}

#[test]
fn connections_lost_in_the_middle_of_a_verb_on_mariadb_10_11() {
    lost(Kind::MariaDb1011);
}

#[test]
fn connections_lost_in_the_middle_of_a_verb_on_mysql_9_7() {
    lost(Kind::Mysql97);
}

/// The first base of the new history loses its connections, again and again: it is taken all the same.
#[test]
fn the_first_base_of_a_new_history_is_tried_again() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        filled(&s, 14);
        let w = World::new(&s);
        w.backup();
        w.start_log();
        let plan = ok(
            "planning",
            w.plan_to(&w.request(RestorePoint::Latest, RestoreTarget::InPlace), &w),
        );
        let cx = w.cx();
        let over = AtomicBool::new(false);
        let said = || {
            cx.lines()
                .iter()
                .filter(|(_, text)| text.contains("trying again in"))
                .count()
        };
        let receipt = std::thread::scope(|scope| {
            scope.spawn(|| {
                let begun = || cx.steps().iter().any(|(name, _)| name.starts_with("Take the first base"));
                while !over.load(Ordering::SeqCst) && !begun() {
                    std::thread::yield_now();
                }
                let ids = "select id from information_schema.processlist \
                    where user not in ('system user', 'event_scheduler') and command <> 'Daemon' and id <> connection_id()";
                let mut session = s.session();
                while !over.load(Ordering::SeqCst) && said() < 2 {
                    let list = session.try_run(ids).unwrap_or_default();
                    // One that has ended by itself meanwhile ends the session that would end it.
                    if list.iter().any(|id| session.try_run(&format!("kill {id}")).is_none()) {
                        session = s.session();
                    }
                }
            });
            let receipt = w.run_to(&plan, &w, false, &cx);
            over.store(true, Ordering::SeqCst);
            receipt
        });
        let receipt = ok(&format!("{kind:?}"), receipt);
        assert!(said() >= 2, "{kind:?}: {:?}", cx.lines());
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
        assert_eq!(w.view().bases().len(), 2, "{kind:?}");
        assert_eq!(w.c().facts().unwrap().state, ClusterState::Available, "{kind:?}");
    }
}

fn full(kind: Kind) {
    let s = server(kind);
    filled(&s, 15);
    let w = World::new(&s);
    w.backup();
    w.start_log();
    let before = look::everything(&s).without_counters();
    let rows = look::rows(&s);
    s.stop();
    let disk = SmallDisk::over(&s.dir().join("data"), 400 << 10);
    s.up();
    for (left, target) in [(4 << 10, RestoreTarget::Beside), (9 << 10, RestoreTarget::InPlace)] {
        let what = format!("{kind:?} {target:?}");
        let request = w.request(RestorePoint::Latest, target.clone());
        let plan = ok(&what, w.plan_to(&request, &w));
        let memory = Arc::new(MemoryResumeLog::default());
        let run = || w.run_to(&plan, &w, false, &w.cx().with_resume(memory.clone()));
        disk.fill_but(left);
        let e = run().unwrap_err();
        println!("{what}: {}", e.chain());
        // MariaDB ends itself when its undo log cannot grow; where a server lives, it says what is wrong.
        let died = s.try_sql("select 1").is_err();
        let full = ["full", "free some space"].iter().all(|t| e.chain().contains(t));
        // It may still have said so to one session, and died of the next one's statement.
        assert!(full || died && e.chain().contains("was lost"), "{what}: {}", e.chain());
        disk.free();
        if died {
            s.kill();
            s.up();
        } else {
            before.assert_same(&look::everything(&s).without_counters(), &what);
            assert_eq!(w.c().facts().unwrap().state, ClusterState::Available, "{what}");
            let names = s.column("select schema_name from information_schema.schemata");
            assert!(
                !names.iter().any(|d| d.starts_with("_brine_") || d == "d_restored"),
                "{what}: {names:?}"
            );
        }
        let live = |look: Look| look.only(|name| !name.contains("_brine"));
        live(rows.only(|_| true)).assert_same(&live(look::rows(&s)), &what);
        ok(&what, run());
        let names = s.column("select schema_name from information_schema.schemata");
        assert!(!names.iter().any(|d| d.starts_with("_brine_")), "{what}: {names:?}");
        if target == RestoreTarget::Beside {
            s.sql("drop database d_restored");
        }
        before.assert_same(&look::everything(&s).without_counters(), &what);
    }
    drop(s);
}

#[test]
fn a_full_disk_of_mariadb_10_11() {
    if inside("disturbed::a_full_disk_of_mariadb_10_11") {
        full(Kind::MariaDb1011);
    }
}

#[test]
fn a_full_disk_of_mysql_9_7() {
    if inside("disturbed::a_full_disk_of_mysql_9_7") {
        full(Kind::Mysql97);
    }
}

/// A test restore in a cluster of the operator's: beside what it holds, compared, thrown away; nothing there is touched.
#[test]
fn a_test_restore_in_a_named_cluster_leaves_it_as_it_was() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s, spare] = servers([kind, kind]);
        crate::dataset::fill(&s);
        crate::dataset::plugins(&spare);
        let (w, other) = (World::new(&s), World::target(&spare));
        let id = w.backup().id;
        spare.sql(
            "create database fid; create table fid.ints (a int); insert into fid.ints values (7); create user own",
        );
        let there = look::everything(&spare);
        let named = Scratch::Named(&other.name, &**other.c());
        let verify = |cx: &_| verify::run(&w.archive, &w.lock, &id, ProofLevel::Tested, named, cx);
        let receipt = ok("verifying", verify(&w.cx()));
        assert!(receipt.rows > 1000, "{receipt:?}");
        there.assert_same(&look::everything(&spare), &format!("{kind:?}: the named cluster"));
        // Cancelled in the middle it leaves nothing either.
        let cx = w.cx();
        cx.cancel_after(12);
        verify(&cx).unwrap_err();
        there.assert_same(
            &look::everything(&spare),
            &format!("{kind:?}: the named cluster after a cancel"),
        );
        let proofs = w.view();
        assert!(proofs.broken.is_empty());
    }
}
