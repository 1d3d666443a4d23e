//! Every edge between transactions: a restore through one and one before the next are exactly what the server was then.

use std::time::Duration;

use brine::engine::point::RestorePoint;

use crate::client::Session;
use crate::look::{self, Look};
use crate::server::{Kind, Server, servers};
use crate::world::{World, before, through};

/// What the server was when its last transaction was this one.
struct Edge {
    what: String,
    gtid: String,
    look: Look,
}

/// The id of the last transaction that the server committed.
pub fn last_gtid(server: &Server) -> String {
    if server.kind.is_mysql() {
        // uuid:1-7 → uuid:7
        let set = server.value("select @@global.gtid_executed").replace("\\n", "");
        let (uuid, ranges) = set
            .rsplit_once(',')
            .map_or(set.as_str(), |(_, l)| l)
            .split_once(':')
            .unwrap();
        let last = ranges.rsplit([':', '-']).next().unwrap();
        return format!("{}:{last}", uuid.trim());
    }
    server.value("select @@global.gtid_binlog_pos")
}

pub const SCHEMA: &str = "
    create database d; create database `e``x`;
    create table d.t (id int primary key, v varchar(40), n int) ;
    create table d.nokey (a int, b varchar(20));
    create table d.parent (id int primary key, v int);
    create table d.child (id int primary key, p int, key (p), foreign key (p) references d.parent (id) on delete cascade on update cascade);
    create table d.log (id int primary key auto_increment, what varchar(40));
    create table d.mi (id int primary key, v int) engine = myisam;
    create table `e``x`.`w r` (`k``` int primary key, v float, ts timestamp(6) null);
    create trigger d.tr after insert on d.t for each row insert into d.log (what) values (concat('new ', new.id));
    insert into d.parent values (1, 1), (2, 2), (3, 3), (4, 4);
    insert into d.child values (10, 1), (11, 1), (20, 2), (30, 3), (40, 4);
    insert into d.t (id, v, n) values (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
    insert into d.nokey values (1, 'a'), (1, 'a'), (2, 'b'), (null, null);";

/// Statements that do the odd things, each as one or more transactions.
fn steps(kind: Kind) -> Vec<&'static str> {
    let mut all = vec![
        "use d; insert into t values (100, 'plain', 1)",
        "use d; start transaction; insert into t values (101, 'a', 1); update t set n = n + 1; delete from nokey where a = 2; commit",
        "use d; update nokey set b = 'changed' where a = 1 limit 1",
        "use d; delete from parent where id = 1",
        "use d; update parent set id = 22 where id = 2",
        "use d; start transaction; insert into t values (102, 'kept', 1); savepoint s; insert into t values (103, 'gone', 1); rollback to s; commit",
        "use d; start transaction; insert into t values (104, 'rolled back', 1); rollback; insert into t values (105, 'x', 1)",
        "use `e``x`; insert into `w r` values (1, 0.1, '2024-01-01 00:00:00.000001'), (2, 1e38, null)",
        "use `e``x`; alter table `w r` add column `new col` varchar(10) default 'd' after v, add key (v)",
        "use `e``x`; insert into `w r` (`k```, v) values (3, 3.4028234e38)",
        "use d; create table made (id int auto_increment primary key, v varchar(20) character set latin1); ",
        "use d; insert into made (v) values ('é'), ('ü')",
        "use d; alter table made modify v varchar(30) character set utf8mb4, add column j json",
        "use d; insert into made (v, j) values ('日本', '{\"a\": [1, 2.5, null]}')",
        "use d; rename table made to `e``x`.moved",
        "use d; insert into `e``x`.moved (v) values ('after the move')",
        "use d; create table copy_ as select id, v from t",
        "use d; insert into copy_ values (900, 'x')",
        "use d; truncate table copy_",
        "use d; insert into copy_ values (901, 'y')",
        "use d; create table like_ like t",
        "use d; insert into like_ select * from t",
        "use d; drop table like_, copy_",
        "use d; create view v as select id from t",
        "use d; create procedure p() insert into t values (200, 'p1', 1), (201, 'p2', 1)",
        "use d; call p()",
        "use d; drop trigger tr",
        "use d; insert into t values (300, 'no trigger', 1)",
        "use d; create temporary table tmp (a int); insert into tmp values (1), (2); insert into nokey select a, 'tmp' from tmp; drop temporary table tmp",
        "use d; insert into mi values (1, 1), (2, 2)",
        "use d; update mi set v = 9 where id = 1",
        "create database another; create table another.one (a int primary key); insert into another.one values (1)",
        "use d; update t t1 join parent p on p.id = t1.n set t1.v = 'joined', p.v = 100",
        "set timestamp = 1000000000; insert into d.t values (400, 'forged past', 1)",
        "set timestamp = 2000000000; insert into d.t values (401, 'forged future', 1)",
        "use d; set foreign_key_checks = 0; insert into child values (99, 12345)",
        "use d; alter table t drop column n, rename column v to w",
        "use d; insert into t values (500, 'two columns')",
        "use d; replace into t values (500, 'replaced'); insert into t values (500, 'x') on duplicate key update w = 'updated'",
        "use d; alter table child drop foreign key child_ibfk_1",
        "use d; delete from child",
        "drop database another",
        "use d; insert into t values (600, repeat('l', 30)); set sql_mode = 'ANSI_QUOTES'; create table \"quoted\" (\"a b\" int)",
        "use d; insert into quoted values (1)",
    ];
    if kind.is_mysql() {
        all.push("use d; create table gipk (a int, b json); insert into gipk values (1, json_object('n', 1.10))");
        all.push("use d; update gipk set b = json_set(b, '$.m', 2)");
    } else {
        all.extend([
            "use d; xa start 'x1'; insert into t values (700, 'xa'); xa end 'x1'; xa prepare 'x1'; xa commit 'x1'",
            "use d; xa start 'x2'; insert into t values (701, 'xa gone'); xa end 'x2'; xa prepare 'x2'; xa rollback 'x2'",
            "use d; create sequence sq start with 5 increment by 5 nocache",
            "use d; do nextval(sq), nextval(sq)",
            "use d; create table hist (id int primary key, v int) with system versioning; insert into hist values (1, 1), (2, 2)",
            "use d; update hist set v = 10 where id = 1",
            "use d; delete from hist where id = 2",
            "use d; create or replace table made2 (u uuid, i inet6); insert into made2 values ('6ccd780c-baba-1026-9564-5b8c656024db', '::1')",
            "use d; alter table t add column if not exists z int default 3",
        ]);
    }
    all
}

/// Runs the steps and remembers every edge; several transactions of a step make one edge.
fn walk(server: &Server, session: &mut Session) -> Vec<Edge> {
    let mut edges = Vec::new();
    for step in steps(server.kind) {
        let what = format!("{:?}: {step}", server.kind);
        assert!(session.try_run(step).is_some(), "{what}");
        session.run("set timestamp = default; set sql_mode = default; set foreign_key_checks = 1");
        edges.push(Edge {
            what,
            gtid: last_gtid(server),
            look: look::everything(server).without_accounts().without_counters(),
        });
    }
    edges
}

fn every_edge(kind: Kind) {
    let [source, spare] = servers([kind, kind]);
    let (w, other) = (World::new(&source), World::target(&spare));
    source.sql(SCHEMA);
    w.backup();
    w.start_log();
    let mut session = source.session();
    let edges = walk(&source, &mut session);
    w.catch_up();
    let every = std::env::var("BRINE_TEST_CASES").map_or(4, |n| 40_usize.div_ceil(n.parse().unwrap()));
    // Another seed tries others of them.
    let seed = std::env::var("BRINE_TEST_SEED").map_or(0, |n| n.parse::<usize>().unwrap());
    let offset = seed % every;
    for (n, pair) in edges.windows(2).enumerate() {
        let [edge, next] = pair else { continue };
        if edge.gtid == next.gtid || n % every != offset {
            continue;
        }
        w.restore_to(&other, through(&edge.gtid));
        let has = look::everything(&spare).without_accounts().without_counters();
        edge.look
            .assert_same(&has, &format!("through {}, {}", edge.gtid, edge.what));
    }
    let last = edges.last().unwrap();
    w.restore_to(&other, RestorePoint::Latest);
    let has = look::everything(&spare).without_accounts().without_counters();
    last.look.assert_same(&has, "the latest moment");
}

#[test]
fn every_edge_of_mariadb_10_11() {
    every_edge(Kind::MariaDb1011);
}

#[test]
fn every_edge_of_mariadb_11_8() {
    every_edge(Kind::MariaDb118);
}

#[test]
fn every_edge_of_mysql_9_7() {
    every_edge(Kind::Mysql97);
}

/// The accident: a table is dropped, and what was done to it just before must be there again.
#[test]
fn before_a_drop_and_through_it() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(SCHEMA);
        w.backup();
        w.start_log();
        source.sql("insert into d.t values (50, 'just before', 1)");
        let alive = look::rows(&source);
        source.sql("drop table d.t");
        let drop = last_gtid(&source);
        source.sql("insert into d.nokey values (77, 'after')");
        w.catch_up();
        w.restore_to(&other, before(&drop));
        alive.assert_same(&look::rows(&spare), "before the drop");
        w.restore_to(&other, through(&drop));
        alive
            .only(|n| n != "rows `d`.`t`")
            .assert_same(&look::rows(&spare), "through the drop");
    }
}

/// Many sessions move money between accounts: whatever moment is restored, the sum is the same.
#[test]
fn the_sum_is_the_same_at_every_moment() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(
            "create database bank; create table bank.a (id int primary key, money int); create table bank.b like bank.a;
             create table bank.done (who int, n int, primary key (who, n));",
        );
        for table in ["a", "b"] {
            let rows: Vec<String> = (0..500).map(|n| format!("({n}, 1000)")).collect();
            source.sql(&format!("insert into bank.{table} values {}", rows.join(",")));
        }
        let w = World {
            log_options: brine::engine::log::LogOptions {
                flush_every: Duration::from_millis(50),
                ..w.log_options.clone()
            },
            ..w
        };
        w.start_log();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let stop = &stop;
        let mut bases = Vec::new();
        std::thread::scope(|scope| {
            let (task, cx) = (w.log_task(), w.cx());
            let shared = task.shared.clone();
            let streaming = scope.spawn(move || task.run(&cx).unwrap());
            for who in 0..3 {
                let mut session = source.session();
                scope.spawn(move || {
                    let mut dice = fastrand::Rng::with_seed(who);
                    for n in 0.. {
                        if stop.load(std::sync::atomic::Ordering::SeqCst) {
                            return;
                        }
                        let (from, to, sum) = (dice.u32(0..500), dice.u32(0..500), dice.u32(1..9));
                        session.run(&format!(
                            "start transaction; update bank.a set money = money - {sum} where id = {from}; \
                             update bank.b set money = money + {sum} where id = {to}; \
                             insert into bank.done values ({who}, {n}); commit"
                        ));
                    }
                });
            }
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(300));
                bases.push(w.backup());
            }
            stop.store(true, std::sync::atomic::Ordering::SeqCst);
            shared.stop();
            streaming.join().unwrap();
        });
        w.catch_up();
        let check = |what: &str| {
            let sum = spare.value("select (select sum(money) from bank.a) + (select sum(money) from bank.b)");
            assert_eq!(sum, "1000000", "{kind:?}: {what}");
            // Nobody's transaction is missing before a later one of the same session.
            let holes = spare.value(
                "select count(*) from (select who, max(n) + 1 - count(*) h from bank.done group by who) x where h <> 0",
            );
            assert_eq!(holes, "0", "{kind:?}: {what}");
        };
        let mut counts = Vec::new();
        for base in &bases {
            w.restore_to(&other, crate::world::snapshot(&base.id));
            check("a snapshot");
            counts.push(spare.value("select count(*) from bank.done").parse::<u32>().unwrap());
        }
        assert!(counts.is_sorted() && counts[0] < counts[2], "{counts:?}");
        let all: u32 = source.value("select count(*) from bank.done").parse().unwrap();
        let (first, last) = (bases[0].commit.at.0, w.log_doc().runs.last().unwrap().to.at.0);
        for k in 1..6 {
            let at = brine::model::clock::Millis(first + (last - first) * k / 6);
            let moment = brine::model::position::Moment::of_millis(at);
            w.restore_to(&other, RestorePoint::At { moment });
            check(&format!("moment {k}"));
        }
        w.restore_to(&other, RestorePoint::Latest);
        check("the latest");
        assert_eq!(
            spare.value("select count(*) from bank.done").parse::<u32>().unwrap(),
            all
        );
    }
}
