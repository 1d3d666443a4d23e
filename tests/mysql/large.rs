//! Transactions that are too large for memory: archived and replayed in pieces. The bound is lowered, so that they are
//! large without gigabytes.

use std::sync::Arc;

use brine::cluster::mysql::{MysqlOptions, SpoolOptions};
use brine::cluster::{CheckResult, Cluster};
use brine::engine::point::RestorePoint;
use brine::storage::memory::Memory;

use crate::look;
use crate::server::{Kind, Server, server, servers};
use crate::world::World;

const MEMORY: usize = 2500;
const PIECE: usize = 1000;

/// Reaches a server with little memory for a transaction.
pub fn little_memory(mut options: MysqlOptions) -> MysqlOptions {
    options.spool = SpoolOptions {
        memory: MEMORY,
        piece: PIECE,
        ..SpoolOptions::default()
    };
    options
}

const SCHEMA: &str = "create database d; use d;
create table seq (n int primary key);
insert into seq values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
insert into seq select a.n * 10 + b.n + 10 from seq a, seq b where a.n * 10 + b.n + 10 > 9;
create table wide (id int primary key, a varchar(50), b decimal(20,5), c datetime(6), j json, t text);
create table nokey (a int, b varchar(20)); create table mi (a int primary key, b varchar(30)) engine = myisam;
create table parent (id int primary key, v varchar(20));
create table child (id int primary key auto_increment, p int, key (p), foreign key (p) references parent (id) on delete cascade);
create table blobs (id int primary key, b longblob); create table new_ones (id int primary key, v varchar(200));
insert into nokey select n, concat('n', n % 3) from seq; insert into parent select n, 'p' from seq;
insert into child (p) select n from seq; create database other; create table other.o (a int primary key, b varchar(90))";

/// Each is one large transaction, or a few.
const WORK: &[&str] = &[
    "use d; insert into wide select n, concat('row ', n), n / 3, '2024-01-01', '{\"a\": [1, 2]}', repeat('t', n) from seq",
    "use d; update wide set a = concat(a, ' changed'), t = repeat('u', id % 90)",
    "use d; update nokey set b = concat(b, '+') where a > 3; delete from nokey where a % 2 = 0",
    "use d; delete from parent where id % 3 = 0",
    "use d; start transaction; insert into new_ones select n, repeat('x', 90) from seq; savepoint s; update wide set b = b + 1; \
     insert into other.o select n, repeat('o', 80) from seq; delete from wide where id > 80; commit",
    "use d; create table copied (id int primary key) as select n as id, repeat('c', 70) as v from seq",
    "use d; insert into blobs values (1, repeat('blob', 50000)), (2, repeat('B', 700)), (3, repeat('c', 90000))",
    "use d; xa start 'kept'; insert into new_ones select n + 1000, repeat('k', 60) from seq; xa end 'kept'; xa prepare 'kept'",
    "use d; xa start 'gone'; insert into new_ones select n + 2000, repeat('g', 60) from seq; xa end 'gone'; xa prepare 'gone'",
    "use d; insert into new_ones values (5000, 'between')",
    "xa commit 'kept'",
    "xa rollback 'gone'",
    "use d; start transaction; insert into wide select n + 500, 'never', 1, null, null, repeat('n', 50) from seq; \
     insert into mi select n, repeat('m', 25) from seq; rollback",
    "use d; update blobs set b = concat(b, 'end')",
];

/// The sizes of all pieces of the archived log, by transaction.
fn pieces(world: &World) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    for run in world.log_doc().runs {
        let mut reader = world.archive.read_log(&run, run.from, run.to).unwrap();
        while let Some(entry) = reader.next().unwrap() {
            assert!(entry.payload.len() <= MEMORY.max(100_000));
            let mut sizes = Vec::new();
            while let Some(piece) = reader.next_piece().unwrap() {
                sizes.push(piece.len());
            }
            if !sizes.is_empty() {
                all.push(sizes);
            }
        }
    }
    all
}

fn comes_back(source: &Server, target: &Server) {
    let w = World::on(little_memory(source.options()), "shop", Arc::new(Memory::new()));
    let t = World {
        archived: false,
        ..World::on(little_memory(target.options()), "other", Arc::new(Memory::new()))
    };
    w.backup();
    w.start_log();
    for step in WORK {
        // MySQL keeps the two kinds of tables apart.
        if !(source.kind.is_mysql() && step.contains("into mi")) {
            source.sql(step);
        }
    }
    w.catch_up();
    let sizes = pieces(&w);
    assert!(sizes.len() >= 8, "{} in pieces", sizes.len());
    let many = sizes.iter().filter(|s| s.len() > 2).count();
    assert!(many >= 5, "{sizes:?}");
    // A rows event is at most 8 KiB here, but for the blobs.
    let bound = |s: &usize| *s <= 10_000 || (50_000..420_000).contains(s);
    assert!(sizes.iter().flatten().all(bound), "{sizes:?}");

    let expected = look::rows(source);
    w.restore_to(&t, RestorePoint::Latest);
    expected.assert_same(&look::rows(target), "the whole log");
    let some = look::rows(source).only(|name| name.contains("wide") || name.contains("nokey"));
    target.sql("drop database d; drop database other");
    w.restore_some(&t, RestorePoint::Latest, &["d.wide", "d.nokey"]);
    some.assert_same(
        &look::rows(target).only(|name| name.contains("wide") || name.contains("nokey")),
        "two tables",
    );
}

#[test]
fn a_large_transaction_comes_back_mariadb_10_11() {
    let [source, target] = servers([Kind::MariaDb1011; 2]);
    source.sql(SCHEMA);
    comes_back(&source, &target);
}

#[test]
fn a_large_compressed_transaction_comes_back_mariadb_11_8() {
    let [source, target] = servers([Kind::MariaDb118; 2]);
    source.sql("set global log_bin_compress = on");
    source.sql(SCHEMA);
    comes_back(&source, &target);
}

#[test]
fn a_large_transaction_comes_back_mysql_9_7() {
    let [source, target] = servers([Kind::Mysql97; 2]);
    source.sql(SCHEMA);
    comes_back(&source, &target);
}

#[test]
fn a_large_compressed_transaction_comes_back_mysql_9_7() {
    let [source, target] = servers([Kind::Mysql97; 2]);
    source.sql("set global binlog_transaction_compression = on");
    source.sql(SCHEMA);
    comes_back(&source, &target);
}

#[test]
fn a_server_that_takes_only_small_rows_is_named_before_a_restore() {
    for kind in [Kind::MariaDb118, Kind::Mysql97] {
        let s = server(kind);
        let w = World::target(&s);
        let largest = || {
            let checks = w.cluster.restore_checks(false).unwrap();
            checks.into_iter().find(|c| c.name == "largest row").unwrap()
        };
        assert_eq!(largest().result, CheckResult::Ok);
        s.sql("set global max_allowed_packet = 16777216");
        let now = largest();
        assert_eq!(now.result, CheckResult::Warning);
        assert!(
            now.found.contains("16 MiB") && now.wanted.contains("max_allowed_packet"),
            "{now:?}"
        );
    }
}

/// Huge rows do not stay in memory together, and come back.
#[test]
fn huge_rows_come_back_over_few_bytes_in_flight() {
    let [source, target] = servers([Kind::MariaDb1011, Kind::MariaDb1011]);
    source.sql(
        "create database d; use d; create table a (id int primary key, b longblob); create table z (id int primary key, b longblob);
         insert into a values (1, repeat('a', 20000000)), (2, repeat('b', 18000000)), (3, 'c'), (4, repeat('d', 17000000)); insert into z select * from a",
    );
    let (w, t) = (World::new(&source), World::target(&target));
    w.backup();
    w.start_log();
    source.sql("use d; update a set b = concat(b, 'x') where id < 3; insert into z values (9, repeat('z', 19000000))");
    w.catch_up();
    w.restore_to(&t, RestorePoint::Latest);
    look::rows(&source).assert_same(&look::rows(&target), "huge rows");
}
