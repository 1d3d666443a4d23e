//! The switch from live tables to restored ones: what stands in its way is found beforehand or undone, and never leaves a
//! server half switched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brine::cluster::{Cluster, ClusterState};
use brine::engine::cx::TestCx;
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::engine::restore::plan::RestoreReceipt;
use brine::model::filter::{RenameMap, TableFilter};
use brine::storage::memory::Memory;

use crate::client::Session;
use crate::look;
use crate::server::{Kind, Server, server, servers};
use crate::world::{World, chain, ok, snapshot};

/// A world that does not wait long for locks.
fn impatient(s: &Server) -> World {
    let mut options = s.options();
    options.switch_patience = Duration::from_secs(2);
    World::on(options, "shop", Arc::new(Memory::new()))
}

fn some_in_place(w: &World, point: RestorePoint, filter: &[&str]) -> Result<RestoreReceipt, String> {
    let request = RestoreRequest {
        filter: TableFilter::parse(filter).unwrap(),
        ..w.request(point, RestoreTarget::InPlace)
    };
    w.try_restore(&request, w).map_err(|e| chain(&e))
}

/// The server is open, and nothing of a restore is left on it.
fn assert_untouched(s: &Server, w: &World, before: &look::Look, what: &str) {
    before.assert_same(&look::everything(s), what);
    assert_eq!(w.c().facts().unwrap().state, ClusterState::Available, "{what}");
    let names = s.column("select schema_name from information_schema.schemata");
    assert!(!names.iter().any(|n| n.starts_with("_brine_")), "{what}: {names:?}");
    assert_eq!(s.value("select count(*) from _brine.restores"), "0", "{what}");
    assert_eq!(s.value("select @@global.init_connect"), "", "{what}");
}

const LIVE: &str = "
    create database d; use d;
    create table t (id int primary key, v varchar(20)); insert into t values (1, 'a'), (2, 'b');
    create table log (id int auto_increment primary key, what varchar(40));
    create trigger t_first before insert on t for each row set new.v = upper(new.v);
    create trigger t_second before insert on t for each row follows t_first set new.v = concat(new.v, '!');
    create trigger t_log after delete on t for each row insert into log (what) values (old.v);
    create view v as select id from t; create procedure p() select 1; create event ev on schedule every 1 day do select 1;
    create user app@'%' identified by 'pw'; grant all on d.* to app@'%'";

/// A session that brine takes for one of its own, and does not end.
fn taken_for_brine(s: &Server) -> Session {
    let mut session = s.session();
    session.run("select get_lock(concat('brine session ', connection_id()), 0)");
    session
}

#[test]
fn a_switch_that_cannot_get_its_locks_is_undone() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = impatient(&s);
        s.sql(LIVE);
        let backup = w.backup();
        s.sql("use d; insert into t values (3, 'later'); drop view v; create table v (id int); insert into v values (7); create table own (a int)");
        let live = look::everything(&s);
        let mut session = taken_for_brine(&s);
        session.run("start transaction; select * from d.t");
        let cx = w.cx();
        let request = w.request(snapshot(&backup.id), RestoreTarget::InPlace);
        let plan = ok("planning", w.plan_to(&request, &w));
        let error = chain(&w.run_to(&plan, &w, false, &cx).unwrap_err());
        assert!(
            error.contains("others hold locks") && error.contains("own session"),
            "{kind:?}: {error}"
        );
        let said = cx.lines().iter().any(|(_, line)| line.contains("waiting for locks"));
        assert!(said, "{kind:?}: {:?}", cx.lines());
        assert_untouched(&s, &w, &live, "after the failed switch");
        // The triggers came back in their order.
        s.sql("insert into d.t values (9, 'x'); delete from d.t where id = 9");
        assert_eq!(s.value("select what from d.log order by id desc limit 1"), "X!");
        session.run("commit");
        w.in_place(snapshot(&backup.id));
        assert_eq!(s.column("select id from d.t order by id"), ["1", "2"], "{kind:?}");
        assert_eq!(
            s.column("select id from d.v order by id"),
            ["1", "2"],
            "{kind:?}: the view"
        );
    }
}

#[test]
fn a_cancel_ends_the_waiting_for_locks() {
    let s = server(Kind::MariaDb1011);
    let w = World::new(&s);
    s.sql(LIVE);
    let backup = w.backup();
    s.sql("insert into d.t values (3, 'later')");
    let live = look::everything(&s);
    let mut session = taken_for_brine(&s);
    session.run("start transaction; select * from d.t");
    let cx = w.cx();
    let request = w.request(snapshot(&backup.id), RestoreTarget::InPlace);
    let plan = ok("planning", w.plan_to(&request, &w));
    let error = cancelled(
        &cx,
        || cx.lines().iter().any(|(_, l)| l.contains("waiting for locks")),
        || w.run_to(&plan, &w, false, &cx).map(drop).unwrap_err(),
    );
    assert!(error.contains("cancel"), "{error}");
    assert_untouched(&s, &w, &live, "cancelled");
}

/// Cancels as soon as `when` is so; the error, which comes soon.
fn cancelled(
    cx: &TestCx,
    when: impl Fn() -> bool + Sync,
    work: impl FnOnce() -> brine::engine::error::EngineError,
) -> String {
    std::thread::scope(|scope| {
        let cancel = scope.spawn(|| {
            let give_up = Instant::now() + Duration::from_secs(60);
            while !when() {
                assert!(Instant::now() < give_up, "it never came so far");
                std::thread::sleep(Duration::from_millis(10));
            }
            cx.cancel_after(0);
            Instant::now()
        });
        let error = chain(&work());
        let took = cancel.join().unwrap().elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        error
    })
}

#[test]
fn a_cancel_ends_a_long_statement() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, target] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&target));
        source.sql("create database d; create table d.t (id int primary key, v int)");
        w.backup();
        w.start_log();
        source.sql("insert into d.t values (1, 1); alter table d.t add column w int default 5; insert into d.t values (2, 2, 2)");
        w.catch_up();
        w.restore_to(&other, RestorePoint::Latest);
        let cx = w.cx();
        let plan = ok(
            "planning",
            w.plan_to(&w.request_to(&other, RestorePoint::Latest), &other),
        );
        // Rows of brine's own table are locked: a statement that writes there waits as long as a long one takes.
        let mut session = taken_for_brine(&target);
        session.run("start transaction; select * from _brine.loaded for update");
        // An application's session would be ended for the restore.
        let watch = parking_lot::Mutex::new(taken_for_brine(&target));
        let waits = || {
            let waiting = "select left(trx_query, 30) from information_schema.innodb_trx where trx_state = 'LOCK WAIT'";
            watch.lock().run(waiting).into_iter().next()
        };
        let until = |what: &str, is_so: &dyn Fn() -> bool| {
            let give_up = Instant::now() + Duration::from_secs(20);
            while !is_so() {
                assert!(Instant::now() < give_up, "{kind:?}: {what}");
                // The servers look at transactions anew only for who has not asked for a tenth of a second.
                std::thread::sleep(Duration::from_millis(250));
            }
        };
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                until("nothing waits", &|| waits().is_some());
                let waiting = waits();
                assert!(
                    waiting.as_ref().is_some_and(|w| w.contains("INSERT")),
                    "{kind:?}: {waiting:?}"
                );
                cx.cancel_after(0);
                // What waits now, if anything, is the clearing up.
                until("it was not ended", &|| waits() != waiting);
                drop(session);
            });
            chain(&w.run_to(&plan, &other, false, &cx).unwrap_err())
        });
        assert!(error.contains("cancel"), "{kind:?}: {error}");
    }
}

#[test]
fn a_live_table_never_loses_its_foreign_key() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql("create database d; use d; create table p (id int primary key, code int); insert into p values (1, 10)");
        let backup = w.backup();
        s.sql(
            "use d; alter table p add unique (code);
             create table c (id int primary key, code int, constraint by_code foreign key (code) references p (code));
             insert into c values (1, 10)",
        );
        let live = look::everything(&s);
        let error = some_in_place(&w, snapshot(&backup.id), &["d.p"]).unwrap_err();
        assert!(
            error.contains("by_code") && error.contains("--filter d.c"),
            "{kind:?}: {error}"
        );
        assert_untouched(&s, &w, &live, "refused");
        // With a parent that fits, the child that stays keeps its key.
        let later = w.backup();
        s.sql("update d.p set id = 2");
        let warnings = some_in_place(&w, snapshot(&later.id), &["d.p"]).unwrap().warnings;
        live.assert_same(&look::everything(&s), "the parent alone");
        assert!(
            warnings
                .iter()
                .any(|w| w.contains("d.c stays as it is and refers to d.p")),
            "{kind:?}: {warnings:?}"
        );
        let mut request = w.request(snapshot(&later.id), RestoreTarget::InPlace);
        request.filter = TableFilter::parse(&["d.p"]).unwrap();
        let plan = ok("planning", w.plan_to(&request, &w));
        let said = plan.checks.iter().find(|c| c.name == "foreign keys").unwrap();
        assert!(said.found.contains("d.c refers to d.p"), "{said:?}");
        assert!(
            s.try_sql("insert into d.c values (2, 11)").is_err(),
            "the key is in force"
        );
    }
}

/// A table comes alone, its parent does not: the key is there, by name, to whatever the target has; or it is said that it is not.
#[test]
fn a_key_to_a_table_that_is_not_restored_is_not_lost_in_silence() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s, spare] = servers([kind, kind]);
        s.sql(
            "create database d; use d; create table p (id int primary key); insert into p values (1);
             create table c (id int primary key, p int, constraint to_p foreign key (p) references p (id)); insert into c values (1, 1)",
        );
        let w = World::new(&s);
        let backup = w.backup();
        let other = World::target(&spare);
        for (parent, fits) in [
            ("", true),
            ("create table d.p (id int primary key)", true),
            ("create table d.p (id varchar(20) primary key)", false),
        ] {
            let what = format!("{kind:?}: {parent:?}");
            spare.sql(&format!("drop database if exists d; create database d; {parent}"));
            let request = RestoreRequest {
                filter: TableFilter::parse(&["d.c"]).unwrap(),
                ..w.request(
                    snapshot(&backup.id),
                    RestoreTarget::Cluster {
                        name: other.name.clone(),
                    },
                )
            };
            let receipt = w
                .try_restore(&request, &other)
                .unwrap_or_else(|e| panic!("{what}: {}", chain(&e)));
            let has = "select count(*) from information_schema.table_constraints where table_schema = 'd' and constraint_name = 'to_p'";
            let has = spare.value(has) == "1";
            let said = receipt
                .warnings
                .iter()
                .any(|w| w.contains("a link to another table was lost"));
            assert!(has || said, "{what}: {:?}", receipt.warnings);
            assert!(has || !fits, "{what}: {:?}", receipt.warnings);
            assert_eq!(spare.column("select id from d.c"), ["1"], "{what}");
        }
    }
}

#[test]
fn names_of_constraints_that_are_taken_do_not_stop_a_copy_beside() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(
            "create database d; use d; create table p (id int primary key); insert into p values (1), (2);
             create table c (id int primary key, p int, v int, constraint positive check (v > 0), check (v < 100),
               constraint fk_p foreign key (p) references p (id));
             insert into c values (1, 1, 5), (2, 2, 6)",
        );
        w.backup();
        w.start_log();
        let live = look::everything(&s);
        let rename = RenameMap::parse(&["d.c=d.c_old"]).unwrap();
        let receipt = w.beside(RestorePoint::Latest, &["d.c"], rename);
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
        live.assert_same(
            &look::everything(&s).only(|k| !k.contains("c_old") && !k.contains("_brine")),
            "what was there",
        );
        assert_eq!(s.column("select v from d.c_old order by id"), ["5", "6"]);
        for bad in ["(3, 1, 0)", "(3, 1, 100)", "(3, 9, 1)"] {
            assert!(
                s.try_sql(&format!("insert into d.c_old values {bad}")).is_err(),
                "{kind:?}: {bad}"
            );
        }
    }
}

#[test]
fn a_live_table_whose_file_is_gone_does_not_stop_a_whole_restore() {
    for kind in Kind::ALL {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(
            "create database d; create table d.t (id int primary key, v int); insert into d.t values (1, 1), (2, 2);
             create table d.fine (a int primary key); insert into d.fine values (1)",
        );
        let backup = w.backup();
        // Without a log the way back would be a snapshot, which cannot be taken.
        w.start_log();
        let before = look::everything(&s);
        s.sql("create table d.extra (a int); insert into d.extra values (1); insert into d.fine values (2)");
        w.catch_up();
        s.stop();
        for lost in ["t", "extra"] {
            std::fs::remove_file(s.dir().join("data/d").join(format!("{lost}.ibd"))).unwrap();
        }
        s.up();
        assert!(s.try_sql("select * from d.t").is_err());
        let receipt = w.in_place(snapshot(&backup.id));
        before.assert_same(&look::everything(&s), &format!("{kind:?}"));
        assert!(
            receipt.warnings.join("\n").contains("d.t could"),
            "{kind:?}: {:?}",
            receipt.warnings
        );
        assert_eq!(w.c().facts().unwrap().state, ClusterState::Available);
        assert_eq!(
            s.value("select count(*) from _brine.steps"),
            "0",
            "{kind:?}: nothing is left to do"
        );
    }
}

#[test]
fn a_live_view_stays_when_its_successor_cannot_be_made() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(
            "create database d; use d; create table v_t (id int primary key); create table other (id int primary key, z int);
             create view v_z as select z from other",
        );
        let backup = w.backup();
        s.sql("use d; create or replace view v_z as select 1 as one; alter table other drop column z; insert into v_t values (1)");
        let receipt = some_in_place(&w, snapshot(&backup.id), &["d.v*"]).unwrap();
        let text = receipt.warnings.join("\n");
        assert!(
            text.contains("v_z could not be made") && text.contains("was kept"),
            "{kind:?}: {text}"
        );
        assert_eq!(s.column("select one from d.v_z"), ["1"], "{kind:?}");
        assert_eq!(s.value("select count(*) from d.v_t"), "0");
    }
}

#[test]
fn a_database_that_keeps_another_character_set_is_said_with_the_statement_for_it() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d character set latin1; create table d.t (v varchar(20)); insert into d.t values ('ä')");
        s.sql("create database e character set latin2; create table e.t (v varchar(20))");
        let w = World::new(&s);
        let backup = w.backup();
        s.sql("alter database d character set utf8mb4; alter database e character set utf8mb4; truncate table d.t");
        let own =
            || s.value("select default_character_set_name from information_schema.schemata where schema_name = 'd'");

        let some = some_in_place(&w, snapshot(&backup.id), &["d.t"]).unwrap();
        assert_eq!(some.warnings, Vec::<String>::new(), "{kind:?}");
        let all = some_in_place(&w, snapshot(&backup.id), &["d.*"]).unwrap();
        let [said] = &all.warnings[..] else {
            panic!("{kind:?}: {:?}", all.warnings);
        };
        assert!(said.starts_with("d keeps the character set"), "{kind:?}: {said}");
        assert_eq!(
            (own(), s.value("select v from d.t")),
            ("utf8mb4".to_owned(), "ä".to_owned())
        );
        let (_, statement) = said.split_once("moment: ").unwrap();
        s.sql(statement);
        assert_eq!(own(), "latin1", "{kind:?}");
    }
}

/// More than one statement renames in a closed server. Each table refers to the one before.
#[test]
fn many_tables_move_in_parts_and_back_again() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = impatient(&s);
        let mut script =
            "create database d; use d; create table t0 (id int primary key, p int); insert into t0 values (1, 1)"
                .to_owned();
        for n in 1..150 {
            let before = n - 1;
            script += &format!(
                "; create table t{n} (id int primary key, p int, foreign key (p) references t{before} (id)); insert into t{n} values (1, 1)"
            );
        }
        s.sql(&script);
        let backup = w.backup();
        let before = look::everything(&s);
        let later: Vec<String> = (0..150).map(|n| format!("insert into d.t{n} values (2, 1)")).collect();
        s.sql(&later.join("; "));
        let live = look::everything(&s);
        let mut session = taken_for_brine(&s);
        // Names in their order: t99 is the last.
        session.run("start transaction; select * from d.t99");
        let plan = ok(
            "planning",
            w.plan_to(&w.request(snapshot(&backup.id), RestoreTarget::InPlace), &w),
        );
        let error = chain(&w.run_to(&plan, &w, false, &w.cx()).unwrap_err());
        assert!(error.contains("others hold locks"), "{kind:?}: {error}");
        assert_untouched(&s, &w, &live, "after the failed switch");
        session.run("commit");
        w.in_place(snapshot(&backup.id));
        let restored = |look: &look::Look| look.only(|name| !name.contains("_brine") && !name.starts_with("account"));
        restored(&before).assert_same(&restored(&look::everything(&s)), &format!("{kind:?}"));
    }
}
