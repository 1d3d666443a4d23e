//! What a transaction did that no log holds: told when it is archived, and mended by a snapshot.

use std::sync::Arc;

use brine::engine::log::status::{Runner, status};
use brine::engine::point::{RestorePoint, RestoreRequest};
use brine::engine::restore::plan::{Check, CheckState, RestorePlan};
use brine::model::clock::{Clock, SystemClock};
use brine::model::filter::TableFilter;
use brine::storage::memory::Memory;

use crate::large::little_memory;
use crate::look;
use crate::server::{Kind, Server, servers};
use crate::world::{World, chain};

/// What `log status` says is needed.
fn needed(w: &World) -> Option<String> {
    status(&w.view(), Runner::default(), SystemClock.now()).needs_base
}

fn log_check(plan: &RestorePlan) -> &Check {
    plan.checks.iter().find(|c| c.name == "log, files").unwrap()
}

/// Does something at the source that the log does not hold whole: it is told at once, a restore from before it ends there, one
/// of other tables does not, and behind the next snapshot all is well.
fn told(servers: &[Server; 2], prepare: &str, act: &str, words: &[&str]) {
    let [s, spare] = servers;
    let (w, other) = (World::new(s), World::target(spare));
    s.sql("create database d; create table d.other (a int primary key)");
    s.sql(prepare);
    w.backup();
    w.start_log();
    s.sql("insert into d.other values (1)");
    w.catch_up();
    assert_eq!(needed(&w), None);

    s.sql(act);
    s.sql("insert into d.other values (2)");
    w.catch_up();
    let why = needed(&w).unwrap();
    assert!(why.starts_with("take a snapshot"), "{why}");
    let latest = w.request_to(&other, RestorePoint::Latest);
    let plan = w.plan_to(&latest, &other).unwrap();
    let check = log_check(&plan);
    assert_eq!(check.state, CheckState::Warning);
    for word in words {
        assert!(
            why.contains(word) && check.found.contains(word),
            "{word}: {why} | {}",
            check.found
        );
    }
    let e = chain(&w.try_restore(&latest, &other).unwrap_err());
    let id = w.log_doc().runs[0].lacking[0].transaction.clone();
    assert!(e.contains(&id), "{id}: {e}");
    w.restore_to(&other, RestorePoint::Before { change: id });
    assert_eq!(spare.column("select a from d.other"), ["1"]);

    w.backup();
    assert_eq!(needed(&w), None);
    s.sql("insert into d.other values (3)");
    w.catch_up();
    assert_eq!(log_check(&w.plan_to(&latest, &other).unwrap()).state, CheckState::Ok);
    w.restore_to(&other, RestorePoint::Latest);
    look::everything(s).assert_same(&look::everything(spare), "from the snapshot behind it");
}

#[test]
fn numbers_that_only_the_server_knew() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        told(
            &servers([kind, kind]),
            "create table d.t (a int, key (a)); insert into d.t values (3), (1), (2)",
            "update d.t set a = 9 where a = 1; alter table d.t add id int auto_increment primary key",
            &["d.t", "numbered"],
        );
    }
}

#[test]
fn rows_that_were_logged_as_a_statement() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        told(
            &servers([kind, kind]),
            "create table d.t (a int primary key)",
            "set session binlog_format = 'STATEMENT'; insert into d.t values (1)",
            &["insert into d.t values (1)", "binlog_format"],
        );
    }
}

#[test]
fn rows_that_went_with_a_file() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        told(
            &servers([kind, kind]),
            "create table d.t (a int primary key); insert into d.t values (1)",
            "alter table d.t discard tablespace; drop table d.t",
            &["d.t", "DISCARD TABLESPACE"],
        );
    }
}

/// Temporary tables and tables without transactions have the server log a part that was taken back, with the way back.
const TAKEN_BACK: &str = "use d; create temporary table old (a int);
begin; insert into i (a) values (1); savepoint s; insert into i (a) values (2); insert into m values (2); rollback to s; commit;
begin; savepoint s; create temporary table tt (a int); insert into i (a) values (3); rollback to s; insert into i (a) values (4); commit;
begin; update i set v = 'kept' where a = 1; savepoint `A b`; update i set v = 'gone'; drop temporary table old; savepoint c;
delete from i; insert into other values (7); savepoint `ä`; insert into k values (1, 1); rollback to c; insert into i values (5, 'gone');
rollback to savepoint `a B`; insert into k values (2, 2); insert into i values (6, 'last'); commit;
begin; insert into i values (7, 'seven'); savepoint s; insert into i values (8, 'eight'); commit;
begin; savepoint s; delete from i where a = 7; create temporary table t3 (a int); rollback to s; commit;
begin; savepoint s; delete from i; create temporary table t4 (a int); rollback to s; rollback;
xa start 'x'; insert into i values (9, 'nine'); savepoint s; create temporary table t5 (a int) engine = myisam;
insert into t5 values (1); insert into i values (10, 'gone'); rollback to s; xa end 'x'; xa prepare 'x'; xa commit 'x';
insert into other values (8); update k set b = 3";

#[test]
fn a_part_that_was_rolled_back() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s, spare] = servers([kind, kind]);
        s.sql(
            "create database d; use d; create table i (a int primary key, v varchar(20) default 'none') engine = innodb;
             create table m (a int primary key) engine = myisam; create table k (a int, b int); create table other (a int primary key)",
        );
        let mut small = little_memory(s.options());
        (small.spool.memory, small.spool.piece) = (300, 120);
        let worlds = [World::new(&s), World::on(small, "shop", Arc::new(Memory::new()))];
        for w in &worlds {
            w.backup();
            w.start_log();
        }
        // MySQL with GTIDs takes no rows of such a table in a transaction, and no temporary one in XA.
        let taken = |one: &&str| kind != Kind::Mysql97 || !(one.contains("into m") || one.contains("t5"));
        s.sql(&TAKEN_BACK.split(';').filter(taken).collect::<Vec<_>>().join(";"));
        for w in worlds {
            let other = World::target(&spare);
            w.catch_up();
            assert_eq!(needed(&w), None);
            w.restore_to(&other, RestorePoint::Latest);
            look::everything(&s).assert_same(&look::everything(&spare), &format!("{kind:?}"));
        }
    }
}

#[test]
fn what_it_is_not_about_is_not_warned_of() {
    let [s, spare] = servers([Kind::MariaDb1011, Kind::MariaDb1011]);
    let (w, other) = (World::new(&s), World::target(&spare));
    s.sql("create database d; create table d.t (a int, key (a)); create table d.other (a int primary key)");
    s.sql("insert into d.t values (3), (1), (2)");
    w.backup();
    w.start_log();
    s.sql("alter table d.t add u char(36) default (uuid()); insert into d.other values (1)");
    w.catch_up();
    let request = RestoreRequest {
        filter: TableFilter::parse(&["d.other"]).unwrap(),
        ..w.request_to(&other, RestorePoint::Latest)
    };
    assert_eq!(log_check(&w.plan_to(&request, &other).unwrap()).state, CheckState::Ok);
    w.restore_some(&other, RestorePoint::Latest, &["d.other"]);
    assert_eq!(spare.column("select a from d.other"), ["1"]);
}
