//! `kill -9` of brine, and of the server, in the middle of a replay that commits what was prepared before the base: nothing of it is
//! lost, and nothing is there twice.

use brine::cluster::mysql::{Endpoint, MysqlOptions, Password};

use crate::crash::run_some;
use crate::large::little_memory;
use crate::look;
use crate::server::{Kind, Server, server};
use crate::world::World;

/// Of so many XA transactions each.
const EACH: u32 = 6;

fn prepare(s: &Server, name: &str, at: u32, rows: u32) {
    let rows = |text: &str| {
        let all = (at..at + rows).map(|n| format!("({n}, {text})"));
        all.collect::<Vec<_>>().join(", ")
    };
    // What is applied twice to a table without a key is there twice.
    s.sql(&format!(
        "xa start '{name}'; insert into d.t values {}; insert into d.nokey values {}; xa end '{name}'; xa prepare '{name}'",
        rows("repeat('v', 150)"),
        rows("'x'")
    ));
}

/// Decides one by one what was prepared, between statements and rows that make the replay pause.
fn decide(s: &Server) {
    for n in 0..EACH {
        s.sql(&format!(
            "xa commit 'early{n}'; insert into d.nokey values (1, 'between'), (1, 'between')"
        ));
        s.sql(&format!(
            "create table d.n{n} (a int); insert into d.n{n} values (1), (1)"
        ));
        s.sql(&format!(
            "xa {} 'near{n}'; update d.t set v = 'changed' where a = {}",
            ["commit", "rollback"][n as usize % 2],
            n * 100
        ));
        s.sql(&format!(
            "alter table d.n{n} add b int default 7; insert into d.plain values (1), (1); delete from d.plain where a = 1 limit 1"
        ));
        let late = format!("late{n}");
        prepare(s, &late, 200_000 + n * 100, 2);
        s.sql(&format!("insert into d.n{n} values (2, 2); xa commit '{late}'"));
    }
}

fn killed(kind: Kind, rows: u32, with_server: bool, points: &[&str]) {
    let s = server(kind);
    let dir = tempfile::tempdir().unwrap();
    s.sql("create database d; create table d.t (a int primary key, v varchar(200)); create table d.nokey (a int, v varchar(20)); create table d.plain (a int)");
    let (wanted, bad) = {
        let options = MysqlOptions::new(Endpoint::Socket(s.socket()), "root", Password::default());
        let w = World::in_dir(little_memory(options), &dir.path().join("archive"));
        w.backup();
        w.start_log();
        (0..EACH).for_each(|n| prepare(&s, &format!("early{n}"), n * 100, rows));
        w.catch_up();
        (0..EACH).for_each(|n| prepare(&s, &format!("near{n}"), 100_000 + n * 100, rows));
        w.backup();
        decide(&s);
        w.catch_up();
        let wanted = look::everything(&s);
        s.sql("drop table d.t");
        let bad = crate::edges::last_gtid(&s);
        w.catch_up();
        (wanted, bad)
    };
    let mut passed = Vec::new();
    for point in points {
        if !run_some(dir.path(), &s, "", &bad, Some(point)) {
            break;
        }
        passed.push(point);
        if with_server {
            s.kill();
            s.up();
        }
    }
    assert_eq!(passed.len(), points.len(), "{kind:?}: only {passed:?}");
    assert!(!run_some(dir.path(), &s, "", &bad, None));
    let what = format!("{kind:?}, {rows} rows each, killed at {passed:?}");
    wanted
        .without_counters()
        .assert_same(&look::everything(&s).without_counters(), &what);
    let names = s.column("select schema_name from information_schema.schemata");
    assert!(!names.iter().any(|n| n.starts_with("_brine_")), "{names:?}");
    assert!(s.rows("xa recover").is_empty(), "{what}");
}

/// Each goes on where the one before it was killed.
const POINTS: [&str; 11] = [
    "mysql.restore.replay-begun",
    "mysql.restore.batch-in",
    "mysql.restore.batch-in",
    "mysql.restore.batch-in:2",
    "mysql.restore.statement-begun",
    "mysql.restore.statement-run",
    "mysql.restore.batch-in:2",
    "mysql.restore.statement-run:2",
    "mysql.restore.batch-in",
    "mysql.restore.log-in",
    "restore.before-publish",
];

#[test]
fn a_replay_of_xa_is_brought_to_its_end_mariadb() {
    killed(Kind::MariaDb1011, 3, false, &POINTS);
    killed(Kind::MariaDb118, 3, true, &POINTS);
}

#[test]
fn a_replay_of_xa_is_brought_to_its_end_mysql() {
    killed(Kind::Mysql97, 3, true, &POINTS);
}

#[test]
fn a_replay_of_xa_in_pieces_is_brought_to_its_end() {
    let points = [
        "mysql.replay.piece",
        "mysql.replay.piece:2",
        "mysql.restore.batch-in",
        "mysql.replay.piece:4",
        "mysql.restore.statement-run",
        "mysql.replay.piece",
        "mysql.restore.log-in",
    ];
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        killed(kind, 60, kind.is_mysql(), &points);
    }
}
