//! Stored columns that the server computes from moments come back as the source's sessions made them, not as UTC would.

use brine::engine::point::RestorePoint;

use crate::look;
use crate::server::{Kind, Server, servers};
use crate::world::{World, ok};

/// Of two rows, the days are one in UTC and two in the source's zone.
const BASE: &str = "create database d; use d;
create table a (id int primary key, u int, ts timestamp null, day date as (date(ts)) stored, next date as (day + interval 1 day) stored, unique (u, day));
create table m (id int primary key, ts timestamp null, h int generated always as (hour(ts)) stored) engine = myisam;
create table k (x int, ts timestamp null, h int generated always as (hour(ts)) virtual, key (h));
create table plain (id int primary key, d datetime, day date as (date(d)) stored);
insert into a (id, u, ts) values (1, 1, '2026-01-01 02:00:00'), (2, 1, '2025-12-31 23:00:00'), (3, 1, null);
insert into m (id, ts) values (1, '2026-01-01 02:00:00'); insert into k (x, ts) values (1, '2026-01-01 02:00:00'), (1, '2026-01-01 02:00:00');
insert into plain (id, d) values (1, '2026-01-01 02:00:00')";

const LOG: &str = "use d; insert into a (id, u, ts) values (11, 2, '2026-07-01 02:00:00'), (12, 2, '2026-06-30 23:00:00');
update a set ts = '2026-03-01 01:00:00' where id = 2; insert into m (id, ts) values (2, '2026-07-01 02:00:00'); delete from k limit 1;
create table late (id int primary key, ts timestamp, day date as (date(ts)) stored); insert into late (id, ts) values (1, '2026-01-01 02:00:00');
insert into plain (id, d) values (2, '2026-01-01 02:00:00')";

fn days(s: &Server) -> Vec<String> {
    let of = |sql: &str| s.column(sql);
    let mut all = of("select concat_ws(' ', 'a', id, day, next) from d.a order by id");
    all.extend(of("select concat_ws(' ', 'm', id, h) from d.m order by id"));
    all.extend(of("select concat_ws(' ', 'late', id, day) from d.late order by id"));
    all.extend(of("select concat_ws(' ', 'plain', id, day) from d.plain order by id"));
    all.extend(of("select count(*) from d.k"));
    all
}

#[test]
fn days_are_those_of_the_zone_in_which_sessions_of_the_source_begin() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.sql("set global time_zone = '+05:00'");
        source.sql(BASE);
        let (w, other) = (World::new(&source), World::target(&spare));
        w.backup();
        w.start_log();
        source.sql(LOG);
        w.catch_up();
        let request = w.request_to(&other, RestorePoint::Latest);
        let receipt = ok("restoring", w.try_restore(&request, &other));
        assert_eq!(days(&source), days(&spare), "{kind:?}");
        assert!(
            days(&spare).contains(&"a 1 2026-01-01 2026-01-02".to_owned()),
            "{:?}",
            days(&spare)
        );
        let said = |table: &str| {
            receipt
                .warnings
                .iter()
                .any(|w| w.starts_with(table) && w.contains("+05:00"))
        };
        assert!(
            said("d.a: the columns day, next") && said("d.m: ") && said("d.k: "),
            "{:?}",
            receipt.warnings
        );
        assert!(
            !receipt.warnings.iter().any(|w| w.starts_with("d.plain")),
            "{:?}",
            receipt.warnings
        );
    }
}

/// What the server's host has as a zone, and another host does not know.
#[test]
fn a_zone_that_is_not_known_is_said() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        source.restart_in("EST5EDT,M3.2.0,M11.1.0");
        spare.restart_in("UTC0");
        source.sql("create database d; create table d.t (id int primary key, ts timestamp null, day date as (date(ts)) stored)");
        source.sql("insert into d.t (id, ts) values (1, '2026-07-01 23:00:00')");
        let (w, other) = (World::new(&source), World::target(&spare));
        w.backup();
        w.start_log();
        let request = w.request_to(&other, RestorePoint::Latest);
        let receipt = ok("restoring", w.try_restore(&request, &other));
        let said = |w: &String| w.starts_with("d.t: the column day") && w.contains("does not know EST");
        assert!(receipt.warnings.iter().any(said), "{:?}", receipt.warnings);
        crate::zones::load_zone(&spare, "America/Some");
        let receipt = ok("restoring", w.try_restore(&request, &other));
        let said = |w: &String| w.starts_with("d.t: the column day") && w.contains("America/Some");
        assert!(receipt.warnings.iter().any(said), "{:?}", receipt.warnings);
        assert_eq!(spare.column("select day from d.t"), ["2026-07-01"], "{kind:?}");
    }
}

/// Rows of the hour that clocks repeat, and of others.
const REPEATED: &str = "create database d; use d; set time_zone = '+00:00';
create table t (id int primary key, ts timestamp null, at datetime as (ts) stored, u timestamp(3) not null default current_timestamp(3) on update
current_timestamp(3), y int as (year(u)) stored, seen datetime on update current_timestamp, key (at), key (y));
create table m (ts timestamp null, h int as (hour(ts)) stored, key (h)) engine = myisam;
create table v (id int primary key, ts timestamp null, h int as (hour(ts)) virtual, key (h));
insert into t (id, ts, u) values (1, '2026-11-01 05:30:00', '2026-11-01 05:30:00.125'), (2, '2026-11-01 06:30:00', '2026-01-01 03:00:00'),
(3, null, '2026-11-01 05:00:00'), (4, '2026-07-01 02:00:00', '2038-01-19 03:14:07');
insert into m (ts) values ('2026-11-01 05:30:00'), ('2026-11-01 06:30:00'); insert into v (id, ts) values (1, '2026-11-01 05:59:59');
set time_zone = 'SYSTEM'; update t set ts = ts, u = u, seen = '2020-02-02'; update m set ts = ts; update v set ts = ts";

#[test]
fn moments_of_a_repeated_hour_are_as_they_were() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        source.restart_in("EST5EDT,M3.2.0,M11.1.0");
        spare.restart_in("UTC0");
        crate::zones::load_zone(&spare, "America/Some");
        source.sql(REPEATED);
        let before = look::everything(&source);
        assert_eq!(
            source.value("select count(*) from d.t where at = '2026-11-01 01:30:00'"),
            "2"
        );
        let w = World::new(&source);
        w.backup();
        w.start_log();
        source.sql("insert into d.t (id, ts) values (9, now())");
        let with_log = look::everything(&source);
        w.catch_up();
        w.restore_to(&World::target(&spare), RestorePoint::Latest);
        with_log.assert_same(&look::everything(&spare), &format!("{kind:?}: in another zone"));
        w.in_place(crate::world::snapshot(&w.view().bases()[0].id));
        before.assert_same(&look::everything(&source), &format!("{kind:?}: in place"));
    }
}

/// `a - b` of unsigned numbers may go below zero only in a mode of the server, and what becomes of a fraction of a second is another.
const BELOW: &str = "create database d; use d;
create table t (id int primary key, a int unsigned, b int unsigned, c bigint as (a - b) stored, key (c));
create table v (id int primary key, a int unsigned, b int unsigned, c bigint as (a - b) virtual, key (c));
create table w (id int primary key, a int unsigned, b int unsigned, c bigint as (a - b) virtual, check (a - b < 10));
insert into t (id, a, b) values (1, 1, 2), (2, 5, 3); insert into v (id, a, b) select id, a, b from t;
insert into w (id, a, b) select id, a, b from t";

/// MariaDB has no such column: its value may not hang on a mode.
const FRACTION: &str =
    "use d; create table s (id int primary key, at datetime(6), c datetime as (cast(at as datetime)) stored);
insert into s (id, at) values (1, '2026-01-01 00:00:00.7')";

#[test]
fn numbers_below_zero_and_fractions_are_reckoned_as_the_source_does() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let (fractions, more) = match kind {
            Kind::Mysql97 => (FRACTION, ",TIME_TRUNCATE_FRACTIONAL"),
            _ => ("", ""),
        };
        source.sql(&format!(
            "set global sql_mode = concat(@@global.sql_mode, ',NO_UNSIGNED_SUBTRACTION{more}')"
        ));
        source.sql(&format!("{BELOW}; {fractions}"));
        let (w, other) = (World::new(&source), World::target(&spare));
        w.backup();
        w.start_log();
        source.sql(
            "use d; insert into t (id, a, b) values (3, 1, 9); update v set b = 9 where id = 2; update w set a = 0 where id = 1;
             alter table w add index (c);
             create table late (a int unsigned, c bigint as (a - 5) stored); insert into late (a) values (3)",
        );
        w.catch_up();
        let request = w.request_to(&other, RestorePoint::Latest);
        ok("restoring", w.try_restore(&request, &other));
        let reckoned = |s: &Server| {
            let names =
                s.column("select table_name from information_schema.tables where table_schema = 'd' order by 1");
            let of = |table: &String| s.column(&format!("select c from d.{table} order by c"));
            names.iter().map(of).collect::<Vec<_>>()
        };
        let live = reckoned(&source);
        assert!(
            live.contains(&vec!["-8".to_owned(), "-1".to_owned(), "2".to_owned()]),
            "{kind:?}: {live:?}"
        );
        // Who sees it decides what a column that is not stored is, there and here.
        spare.sql("set global sql_mode = concat(@@global.sql_mode, ',NO_UNSIGNED_SUBTRACTION'); flush tables");
        assert_eq!(live, reckoned(&spare), "{kind:?}");
    }
}
