//! What a transaction did that no log holds: told when it is archived, and mended by a snapshot.

use brine::engine::log::status::{Runner, status};
use brine::engine::point::{RestorePoint, RestoreRequest};
use brine::engine::restore::plan::{Check, CheckState, RestorePlan};
use brine::model::clock::{Clock, SystemClock};
use brine::model::filter::TableFilter;

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
    assert!(e.contains(&id) || e.contains("rolled back in part"), "{id}: {e}");
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

#[test]
fn a_part_that_was_rolled_back() {
    told(
        &servers([Kind::MariaDb1011, Kind::MariaDb1011]),
        "create table d.i (a int primary key) engine = innodb; create table d.m (a int primary key) engine = myisam",
        "begin; insert into d.i values (1); savepoint s; insert into d.i values (2); insert into d.m values (2); \
         rollback to s; commit",
        &["rolled back"],
    );
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
