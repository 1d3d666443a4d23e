//! XA transactions around a base: what was prepared before it and committed behind it is in no table of the base, and comes back
//! all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brine::cluster::mysql::MysqlOptions;
use brine::engine::log::status::{Runner, status};
use brine::engine::point::{RestorePoint, RestoreRequest};
use brine::engine::restore::plan::CheckState;
use brine::engine::truncate;
use brine::model::clock::{Clock, SystemClock};
use brine::model::ids::BackupId;
use brine::storage::memory::Memory;

use crate::large::little_memory;
use crate::look;
use crate::server::{Kind, Server, servers};
use crate::world::{World, chain, ok};

const SCHEMA: &str =
    "create database d; create table d.t (a int primary key, v varchar(200)); create table d.other (a int primary key)";

/// Prepares, and leaves.
fn prepare(s: &Server, name: &str, rows: &str) {
    s.sql(&format!(
        "xa start '{name}'; insert into d.t values {rows}; xa end '{name}'; xa prepare '{name}'"
    ));
}

fn from_base(w: &World, target: &World, base: &BackupId) -> RestoreRequest {
    RestoreRequest {
        base: Some(base.clone()),
        ..w.request_to(target, RestorePoint::Latest)
    }
}

fn around_a_base(
    source: &Server,
    target: &Server,
    options: fn(MysqlOptions) -> MysqlOptions,
    rows: &dyn Fn(u32) -> String,
) {
    let w = World::on(options(source.options()), "shop", Arc::new(Memory::new()));
    let other = World {
        archived: false,
        ..World::on(options(target.options()), "other", Arc::new(Memory::new()))
    };
    source.sql(SCHEMA);
    w.backup();
    w.start_log();
    // In segments of their own.
    prepare(source, "early", &rows(100));
    prepare(source, "gone", &rows(200));
    w.catch_up();
    prepare(source, "done", &rows(300));
    w.catch_up();
    source.sql("insert into d.other values (1); xa commit 'done'");
    // In the segment in which the base lies, and the second of them the commit too.
    prepare(source, "near", &rows(400));
    prepare(source, "done", &rows(500));
    prepare(source, "open", &rows(600));
    source.sql("xa rollback 'done'");
    let base = w.backup();
    source.sql("insert into d.other values (2); xa commit 'near'");
    w.catch_up();
    source.sql("xa rollback 'gone'; insert into d.other values (3)");
    w.catch_up();
    source.sql("xa commit 'early'; update d.t set v = 'changed' where a = 100");
    w.catch_up();

    let latest = w.request_to(&other, RestorePoint::Latest);
    let plan = ok("planning", w.plan_to(&latest, &other));
    assert_eq!(plan.base.id, base.id);
    assert!(
        plan.checks
            .iter()
            .all(|c| c.name != "log, files" || c.state == CheckState::Ok),
        "{:?}",
        plan.checks
    );
    let receipt = w.restore_to(&other, RestorePoint::Latest);
    look::everything(source).assert_same(&look::everything(target), "behind the base");
    assert!(
        receipt
            .warnings
            .iter()
            .any(|r| r.contains("not committed at that moment")),
        "{:?}",
        receipt.warnings
    );
    // The same rows as from a base before all of it.
    let first = w.view().bases().first().unwrap().id.clone();
    ok(
        "from the first base",
        w.try_restore(&from_base(&w, &other, &first), &other),
    );
    look::everything(source).assert_same(&look::everything(target), "from the first base");

    source.sql("xa commit 'open'");
    w.catch_up();
    w.restore_to(&other, RestorePoint::Latest);
    look::everything(source).assert_same(&look::everything(target), "the last is decided");
    w.restore_some(&other, RestorePoint::Latest, &["d.other"]);
    look::everything(source).assert_same(&look::everything(target), "of another table");
    // What a kept base needs of the log before it stays.
    ok("truncating", truncate::run(&w.archive, &w.lock, base.commit, &w.cx()));
    w.restore_to(&other, RestorePoint::Latest);
    look::everything(source).assert_same(&look::everything(target), "after truncating");
}

#[test]
fn what_was_prepared_before_a_base_comes_back_when_it_is_committed() {
    for kind in Kind::ALL {
        let [source, target] = servers([kind, kind]);
        around_a_base(&source, &target, |o| o, &|at| {
            format!("({at}, 'small'), ({}, 'too')", at + 1)
        });
    }
}

#[test]
fn also_in_pieces() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, target] = servers([kind, kind]);
        let rows = |at: u32| {
            let all = (at..at + 60).map(|n| format!("({n}, repeat('v', 150))"));
            all.collect::<Vec<_>>().join(", ")
        };
        around_a_base(&source, &target, little_memory, &rows);
    }
}

#[test]
fn what_the_log_never_saw_prepared_is_told_before_a_restore() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, target] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&target));
        source.sql(SCHEMA);
        prepare(&source, "before", "(1, 'x')");
        let cx = w.cx();
        let plan = w.plan_backup().unwrap();
        ok(
            "backup",
            brine::engine::backup::run(&**w.c(), &w.archive, &w.lock, &plan, &cx),
        );
        assert!(
            cx.lines()
                .iter()
                .any(|l| l.1.contains("XA transaction(s) are prepared")),
            "{:?}",
            cx.lines()
        );
        w.start_log();
        source.sql("xa commit 'before'; insert into d.other values (1)");
        w.catch_up();
        let needed = || status(&w.view(), Runner::default(), SystemClock.now()).needs_base;
        let why = needed().unwrap();
        assert!(
            why.starts_with("take a snapshot") && why.contains("XA transaction"),
            "{why}"
        );
        let latest = w.request_to(&other, RestorePoint::Latest);
        let plan = ok("planning", w.plan_to(&latest, &other));
        let check = plan.checks.iter().find(|c| c.name == "log, files").unwrap();
        assert!(
            check.state == CheckState::Warning && check.found.contains("XA transaction"),
            "{check:?}"
        );
        let e = chain(&w.try_restore(&latest, &other).unwrap_err());
        assert!(e.contains("before the log of this archive begins"), "{e}");
        w.backup();
        assert_eq!(needed(), None);
        source.sql("insert into d.other values (2)");
        w.catch_up();
        w.restore_to(&other, RestorePoint::Latest);
        look::everything(&source).assert_same(&look::everything(&target), "behind the snapshot");
    }
}

/// Decided by another session than its own, an XA transaction is in MariaDB's log before its rows can be seen.
#[test]
fn bases_under_steady_xa_lose_nothing() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let w = World::new(&source);
        source.sql(SCHEMA);
        w.backup();
        w.start_log();
        let stop = AtomicBool::new(false);
        let mut bases = Vec::new();
        std::thread::scope(|scope| {
            for client in 0..3_u32 {
                let (source, stop) = (&source, &stop);
                scope.spawn(move || {
                    for n in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                        let name = format!("x{client}-{n}");
                        let key = client * 1_000_000 + n;
                        prepare(source, &name, &format!("({key}, 'steady')"));
                        let word = if n % 5 == 4 { "rollback" } else { "commit" };
                        // The server may still be about to let go of its session.
                        while source.try_sql(&format!("xa {word} '{name}'")).is_err() {}
                    }
                });
            }
            for _ in 0..4 {
                bases.push(w.backup());
                w.catch_up();
            }
            stop.store(true, Ordering::SeqCst);
        });
        w.catch_up();
        let wanted = look::everything(&source);
        let other = World::target(&spare);
        for base in bases {
            ok("from a base", w.try_restore(&from_base(&w, &other, &base.id), &other));
            wanted.assert_same(&look::everything(&spare), &format!("{kind:?} from {}", base.id));
        }
    }
}
