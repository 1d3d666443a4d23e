//! Tables that come and go while a backup is taken.

use std::sync::Arc;

use brine::cluster::{BatchSink, Cluster, ClusterError, Stop};
use brine::engine::backup::{self, BackupPlan};
use brine::engine::cx::{JobCx, MemoryResumeLog};
use brine::engine::point::{RestorePoint, RestoreRequest};
use brine::model::definition::Definition;
use brine::model::table::TableName;
use brine::storage::ErrorKind;
use brine::storage::count::Call;
use brine::storage::faults::{Fault, FaultRule, Faults};
use brine::storage::memory::Memory;

use crate::look;
use crate::server::{Kind, server, servers};
use crate::world::{World, chain, ok};

struct Nowhere;

impl BatchSink for Nowhere {
    fn put(&mut self, _batch: &[u8], _rows: u64) -> Result<(), Stop> {
        Ok(())
    }
}

/// A scratch table is made and dropped all the time; another is dropped before it is read.
#[test]
fn tables_that_come_and_go_are_left_out() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&s), World::target(&spare));
        s.sql("create database d; create table d.t (a int primary key); insert into d.t values (1); create table d.src (a int)");
        s.sql("insert into d.src values (1), (2), (3)");
        w.backup();
        w.start_log();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let bases = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut session = s.session();
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    session.run("create table d.etl as select * from d.src");
                    session.run("insert into d.etl values (4)");
                    session.run("alter table d.etl add b int; update d.etl set b = a; truncate d.etl");
                    session.run("drop table d.etl; insert into d.src values (5)");
                }
            });
            let all = (0..2).map(|_| w.try_backup()).collect::<Vec<_>>();
            stop.store(true, std::sync::atomic::Ordering::SeqCst);
            all
        });
        let bases: Vec<_> = bases.into_iter().map(|b| ok("backup", b)).collect();
        w.catch_up();
        for base in bases {
            let request = RestoreRequest {
                base: Some(base.id),
                ..w.request_to(&other, RestorePoint::Latest)
            };
            let receipt = ok("restoring", w.try_restore(&request, &other));
            assert_eq!(receipt.warnings, Vec::<String>::new());
            look::everything(&s).assert_same(&look::everything(&spare), &format!("{kind:?}"));
        }
    }
}

#[test]
fn a_table_dropped_before_it_is_read_is_left_out_and_said() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql("create database d; create table d.t (a int primary key); insert into d.t values (1); create table d.gone (a int); insert into d.gone values (1)");
        let view = w.c().open_snapshot(None).unwrap();
        let name = TableName::new("d", "gone");
        s.sql("insert into d.gone values (2); drop table d.gone");
        assert!(matches!(view.split(&name, 1), Err(ClusterError::TableGone(_))));
        let left: Vec<_> = view
            .definitions()
            .unwrap()
            .iter()
            .filter_map(Definition::left_out)
            .collect();
        assert_eq!(left, [name]);
        // One that is only emptied stays, and so does one that is renamed.
        let t = TableName::new("d", "t");
        s.sql("truncate d.t");
        let e = view.split(&t, 1).and_then(|ranges| {
            let mut sink = Nowhere;
            ranges
                .iter()
                .try_for_each(|r| view.read(&t, r, u64::MAX, &mut sink).map(drop))
        });
        assert!(matches!(e, Err(ClusterError::Unsupported { .. })), "{e:?}");
    }
}

/// A migration runs for a while: its table stays, and no log brings the rows that it had. A backup has it, or is none.
#[test]
fn a_table_that_is_altered_again_and_again_is_never_left_out() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql("create database d; create table d.orders (id int primary key); insert into d.orders values (1), (2)");
        let stop = std::sync::atomic::AtomicBool::new(false);
        let tried = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut session = s.session();
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    session.run("alter table d.orders add a int; create index k on d.orders (a)");
                    session.run("alter table d.orders drop a, algorithm=copy");
                }
            });
            let all = (0..2).map(|_| w.try_backup()).collect::<Vec<_>>();
            stop.store(true, std::sync::atomic::Ordering::SeqCst);
            all
        });
        let name = TableName::new("d", "orders");
        for backup in tried.into_iter().chain([w.try_backup()]) {
            match backup {
                Ok(summary) => {
                    let manifest = w.archive.read_manifest(&summary.id).unwrap();
                    assert!(
                        manifest.tables.iter().any(|t| t.name == name),
                        "{:?}",
                        manifest.definitions
                    );
                }
                Err(e) => assert!(chain(&e).contains("orders was altered"), "{}", chain(&e)),
            }
        }
    }
}

/// A view of these servers cannot be opened again: what was stored of it would only fill the storage, and the log needs that.
#[test]
fn a_backup_that_failed_leaves_nothing() {
    let s = server(Kind::MariaDb1011);
    let faults = Faults::new(Arc::new(Memory::new()));
    let w = World::on(s.options(), "shop", Arc::new(faults.clone()));
    s.sql("create database d; create table d.t (a int primary key); insert into d.t values (1)");
    let (cx, memory) = (w.cx(), Arc::new(MemoryResumeLog::default()));
    let cx = cx.with_resume(memory.clone());
    let plan = w.plan_backup().unwrap();
    faults.clear();
    faults.add(FaultRule {
        call: Some(Call::PutNew),
        nth: 1,
        times: u64::MAX,
        fault: Fault::Fail(ErrorKind::Full),
    });
    assert!(backup::run(&**w.c(), &w.archive, &w.lock, &plan, &cx).is_err());
    assert_eq!(w.archive.snapshots().unwrap().len(), 0);
    faults.clear();
    let done = ok("backup", backup::run(&**w.c(), &w.archive, &w.lock, &plan, &cx));
    let all = w.archive.snapshots().unwrap();
    assert_eq!(all.iter().map(|d| &d.id).collect::<Vec<_>>(), [&done.id]);
}

/// Who drops a table while a backup is taken wants it back from another one.
#[test]
fn a_base_that_lacks_a_table_is_not_chosen_for_it() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&s), World::target(&spare));
        s.sql("create database d; create table d.a (id int primary key auto_increment, v varchar(1000)); create table d.z (id int primary key)");
        s.sql("insert into d.a (v) values (repeat('v', 1000)); insert into d.z values (1)");
        (0..11).for_each(|_| drop(s.sql("insert into d.a (v) select v from d.a")));
        let whole = w.backup();
        w.start_log();
        s.sql("insert into d.z values (2)");
        let cx = w.cx();
        let plan = BackupPlan {
            concurrency: 1,
            rate_limit: Some(1 << 20),
            ..w.plan_backup().unwrap()
        };
        let without = std::thread::scope(|scope| {
            scope.spawn(|| {
                while cx.resume_log().load().unwrap().is_empty() {
                    std::thread::yield_now();
                }
                s.sql("insert into d.z values (3); drop table d.z");
            });
            ok("backup", backup::run(&**w.c(), &w.archive, &w.lock, &plan, &cx))
        });
        assert!(
            cx.lines().iter().any(|l| l.1.contains("left out: d.z")),
            "{:?}",
            cx.lines()
        );
        let dropped = crate::edges::last_gtid(&s);
        s.sql("insert into d.a (v) values ('more')");
        w.catch_up();

        let point = || RestorePoint::Before {
            change: dropped.clone(),
        };
        let plan = ok("planning", w.plan_to(&w.request_to(&other, point()), &other));
        assert_eq!(plan.base.id, whole.id);
        w.restore_to(&other, point());
        assert_eq!(spare.column("select id from d.z order by 1"), ["1", "2", "3"]);
        // By hand: what is not there is said.
        let by_hand = RestoreRequest {
            base: Some(without.id),
            ..w.request_to(&other, point())
        };
        let plan = ok("planning", w.plan_to(&by_hand, &other));
        assert!(
            plan.checks
                .iter()
                .any(|c| c.name == "left out" && c.found.contains("d.z"))
        );
        let receipt = ok("restoring", w.try_restore(&by_hand, &other));
        assert!(
            receipt.warnings.iter().any(|w| w.starts_with("d.z is not restored")),
            "{:?}",
            receipt.warnings
        );
        w.restore_to(&other, RestorePoint::Latest);
        look::everything(&s).assert_same(&look::everything(&spare), "behind the drop");
    }
}
