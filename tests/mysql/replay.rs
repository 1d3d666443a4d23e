//! What the log says is done as it was done at the source: under the same settings, on the same tables, to the same views.

use brine::engine::point::{RestorePoint, RestoreRequest};
use brine::model::filter::TableFilter;

use crate::look::{self, Look};
use crate::server::{Kind, Server, servers, servers_with};
use crate::world::{World, before, chain};

/// What a restore from the log brings, whatever is brine's own or a counter.
pub fn comparable(server: &Server) -> Look {
    let not_ours = |name: &str| !["account 'root'@'localhost'", "account privileges"].contains(&name);
    look::everything(server).only(not_ours).without_counters()
}

/// A base, then work, then all of it in another server; what the receipt warns of.
pub fn through_the_log(source: &Server, spare: &Server, before: &str, work: &[&str]) -> Vec<String> {
    let (w, other) = (World::new(source), World::target(spare));
    source.sql(before);
    w.backup();
    w.start_log();
    for script in work {
        source.sql(script);
    }
    w.catch_up();
    w.restore_to(&other, RestorePoint::Latest).warnings
}

const PLAIN: &str = "create database d; use d; create table k (a int); insert into k values (1), (2), (3);
create database l character set latin1 collate latin1_german1_ci; use l;
create procedure of_base(a varchar(10)) select a; create function f_base(a char(3)) returns varchar(5) deterministic return a;
create table t (a varchar(10));
delimiter //
create trigger tr before insert on t for each row begin declare x varchar(10); set x = new.a; end//
delimiter ;
alter database l collate latin1_bin";

#[test]
fn each_statement_runs_under_its_own_settings() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let mut work = vec![
            "set session auto_increment_increment = 10, auto_increment_offset = 3; create table d.i (id int auto_increment primary key)",
            "alter table d.k add id int auto_increment primary key",
            "set session explicit_defaults_for_timestamp = 0; create table d.ts0 (a timestamp, b timestamp default '2020-01-01')",
            "set session explicit_defaults_for_timestamp = 1; create table d.ts1 (a timestamp, b timestamp default '2020-01-01')",
            "set session collation_server = latin1_bin; create database made; create table made.t (a text)",
            "create database made2; create table made2.t (a text)",
            "set session sql_mode = 'ANSI_QUOTES'; create table d.\"q\" (\"a\" int); set session lc_time_names = 'de_DE'; \
             create table d.q2 (a int)",
            "alter database l character set utf8mb4; use l; create procedure of_log(a varchar(10)) select a",
            "alter database l collate latin1_danish_ci; create procedure l.of_log2(a varchar(10)) select a",
        ];
        if !kind.is_mysql() {
            work.push("set session sql_if_exists = 1; create table d.x (a int); drop table d.x, d.nothing; alter table d.nothing add column b int");
            work.push("create table d.checked (a int check (a > 0)); set session check_constraint_checks = 0; insert into d.checked values (-1)");
            work.push(
                "set session check_constraint_checks = 0; alter table d.checked add column b int, algorithm = copy",
            );
        }
        if kind == Kind::MariaDb118 {
            work.push("set session character_set_collations = 'utf8mb4=utf8mb4_bin'; create table d.chosen (a text character set utf8mb4)");
            work.push("create table d.usual (a text character set utf8mb4)");
        }
        let warnings = through_the_log(&source, &spare, PLAIN, &work);
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
    }
}

/// All that was in the database is gone then: tables, views, programs, events, whether of the base or of the log.
#[test]
fn a_database_that_is_replaced_loses_all_it_held() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let [source, spare] = servers([kind, kind]);
        let base = "create database d; use d; create table t (a int); create view v as select a from t; create view kept_name as select 1 as a;
            create procedure p() select 1; create function f() returns int deterministic return 1;
            create event e on schedule every 1 day do set @a = 1;
            delimiter //
            create trigger tr before insert on t for each row begin set new.a = 1; end//
            delimiter ;
            create database other; use other; create table t (a int); create view v as select a from t;
            create event e on schedule every 1 day do set @a = 1";
        let work = [
            "use d; create view v2 as select a from t; create event e2 on schedule every 1 day do set @a = 2; create procedure p2() select 2",
            "create or replace database d character set latin1",
            "use d; create table t2 (a int); insert into t2 values (1); create view kept_name as select a from t2; \
             create event e2 on schedule every 2 day do set @a = 3",
        ];
        let warnings = through_the_log(&source, &spare, base, &work);
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
    }
}

/// A newer server has other default collations: what the log of an older one makes keeps its own.
#[test]
fn default_collations_are_those_of_the_source() {
    let [source, spare] = servers([Kind::MariaDb1011, Kind::MariaDb118]);
    let work = "create table d.t (id varchar(10) primary key, b text character set utf8mb3) character set utf8mb4;
        alter table d.t add c varchar(10) character set utf8mb4;
        create database e character set utf8mb4; create table e.t (a varchar(10) primary key)";
    through_the_log(&source, &spare, "create database d collate utf8mb4_general_ci", &[work]);
    let columns = "select table_schema, column_name, collation_name from information_schema.columns \
        where table_schema in ('d', 'e') order by 1, 2";
    assert_eq!(source.rows(columns), spare.rows(columns));
    let databases = "select schema_name, default_collation_name from information_schema.schemata \
        where schema_name in ('d', 'e') order by 1";
    assert_eq!(source.rows(databases), spare.rows(databases));
}

const SHAPES: &str = "create database d; use d;
create table k (a int, c varchar(20)); insert into k values (1, 'a'), (1, 'a'), (2, 'b'), (3, null);
create table kx (a int, c varchar(20)); insert into kx values (4, 'x'), (8, 'y');
create table pt (a int, c varchar(20)) partition by hash (a) partitions 2;
create table t (id int primary key); insert into t values (1);
create view v as select id from t; create view w as select id + 1 x from v; create view gone as select 1 one;
create view `v ``odd` (`a b`) as select 1";

/// What a table without a key goes through, and views under new names.
const WORK: &str = "use d;
update k set c = 'changed' where a = 1 limit 1; alter table k modify c text; update k set c = 'again' where a = 2;
create table k_like like k; delete from k where a = 3; alter table k add column d int default 7, engine = myisam;
update k set c = repeat('long', 3000) where a = 2; rename table k to k_new; update k_new set d = 8 where a = 1;
update kx set c = 'moved' where a = 4; alter table pt exchange partition p0 with table kx; update kx set a = 1 where a = 4;
rename table v to v2, t to t_old; rename table t_old to t; create or replace view w as select id from v2;
rename table `v ``odd` to `x ``odd`;
create table tmp (a int); create view of_tmp as select a from tmp; drop view of_tmp; drop table tmp;
create view swap_a as select 'a' x; create view swap_b as select 'b' x;
rename table swap_a to swap, swap_b to swap_a, swap to swap_b; alter view swap_b as select 'altered' x;
drop view gone; create table gone (a int); rename table gone to gone2, w to gone";

#[test]
fn tables_without_a_key_and_views_follow_the_log() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let warnings = through_the_log(&source, &spare, SHAPES, &[WORK]);
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
        assert_eq!(
            spare.value("select count(*) from information_schema.statistics where index_name like '\\_brine%'"),
            "0"
        );
    }
}

#[test]
fn what_cannot_be_done_again_is_said() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let by_hand = if kind.is_mysql() {
            "update mysql.user set max_questions = 7 where user = 'app'; flush privileges"
        } else {
            "update mysql.global_priv set priv = json_set(priv, '$.max_questions', 7) where user = 'app'; flush privileges"
        };
        let before = "create database d; create user app@'%'; set timestamp = 1000000000; \
            create event d.once on schedule at '2001-09-10 00:00:00' do select 1";
        let due = "set timestamp = 1000000000; create event d.due on schedule at '2001-09-11 00:00:00' do select 1";
        let warnings = through_the_log(&source, &spare, before, &[by_hand, due]);
        let has = |text: &str| warnings.iter().any(|w| w.contains(text));
        let table = if kind.is_mysql() {
            "mysql.user "
        } else {
            "mysql.global_priv"
        };
        assert!(
            has(table) && has("event d.once") && has("event d.due"),
            "{kind:?}: {warnings:?}"
        );
    }
}

/// A server that passes over changes that do not fit would make a wrong restore look right.
#[test]
fn a_server_that_passes_over_changes_is_refused() {
    let [source, spare] = servers_with(
        [Kind::MariaDb1011, Kind::MariaDb1011],
        &["--slave-exec-mode=IDEMPOTENT"],
    );
    let (w, other) = (World::new(&source), World::target(&spare));
    source.sql("create database d; create table d.t (a int primary key)");
    w.backup();
    w.start_log();
    let error = w
        .try_restore(&w.request_to(&other, RestorePoint::Latest), &other)
        .unwrap_err();
    assert!(chain(&error).contains("slave_exec_mode"), "{}", chain(&error));
    spare.sql("set global slave_exec_mode = 'STRICT'");
    w.restore_to(&other, RestorePoint::Latest);
}

/// Members of ENUM and SET, defaults and expressions of a base hold what their server shows as question marks.
#[test]
fn what_servers_show_with_question_marks_comes_back() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let before = "set names utf8mb4; create database d; use d; create table t (id int primary key, e enum('a', '🙂', '😀', '?') collate utf8mb4_bin \
            not null default '🙂', s set('x', '🙂') default '🙂', v varchar(20) default 'd🙂?', t text default ('t🙂'), \
            u enum('😀', 'it''s') character set utf16 default '😀', w varchar(30) as (concat(v, '🙃')) stored, check (v <> '🙃')); \
            insert into t (id) values (1); create table none like t";
        let work = "set names utf8mb4; use d; create table of_log (a int, e enum('🙂', '?') default '🙂'); insert into of_log (a) values (1)";
        through_the_log(&source, &spare, before, &[work]);
        for server in [&source, &spare] {
            server.sql("use d; insert into t (id) values (2); insert into t (id, e, s) values (3, 3, 3), (4, 4, 1); insert into none (id) values (1)");
            assert!(
                server
                    .try_sql("set names utf8mb4; insert into d.t (id, v) values (5, '🙃')")
                    .is_err(),
                "{kind:?}"
            );
        }
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
    }
}

/// Tables that the log fills with what it does not hold, and others for which the same statements are no riddle.
const FILLED: &str = "create database d; use d;
create table unkeyed (s varchar(20)); create table placed (id int primary key); insert into placed values (1);
create table random (id int primary key); insert into random values (1), (2);
create table bare (id int primary key); create table keyed (a varchar(9) primary key); insert into keyed values ('b'), ('a')";

#[test]
fn a_restore_ends_before_what_the_log_does_not_hold() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(FILLED);
        w.backup();
        w.start_log();
        let mut first = source.session();
        first.run("begin; insert into d.unkeyed values ('first')");
        source.sql("insert into d.unkeyed values ('second')");
        first.run("commit");
        source.sql(
            "use d; alter table unkeyed add id int auto_increment primary key first; update unkeyed set s = 'x' where id = 1;
            alter table placed add tenant varchar(64) default (database());
            alter table bare add tenant varchar(64) default (database()); insert into bare values (1, 'one');
            insert into keyed values ('c'), ('_'); alter table keyed add id int auto_increment, add unique (id);
            update keyed set a = 'first' where id = 1;
            create table made as select 'x' a union all select 'b' union all select 'c';
            alter table made add id int auto_increment primary key; delete from made where id = 2",
        );
        let mut unknown = vec![
            ("d.unkeyed", "there was no key"),
            ("d.placed", "because database gives"),
        ];
        if !kind.is_mysql() {
            source.sql(
                "use d; alter table random add u char(36) default (uuid()); delete from random where u is not null;
                alter table keyed add column if not exists a char(36) default (uuid())",
            );
            unknown.push(("d.random", "because uuid gives"));
        }
        w.catch_up();
        for (table, why) in unknown {
            let some = |point| RestoreRequest {
                filter: TableFilter::parse(&[table]).unwrap(),
                ..w.request_to(&other, point)
            };
            let error = match w.try_restore(&some(RestorePoint::Latest), &other) {
                Ok(_) => panic!("{kind:?}: {table} was restored"),
                Err(e) => chain(&e),
            };
            assert!(error.contains(why), "{kind:?}: {error}");
            // As the hint says.
            let (_, id) = error.split_once("(--before ").expect("a hint");
            let (id, _) = id.split_once(')').expect("a hint");
            let ended = w.try_restore(&some(before(id)), &other);
            assert!(ended.is_ok(), "{kind:?}: {table} before {id}");
        }
        assert_eq!(spare.value("select count(*) from d.unkeyed"), "2");
        let known = ["d.bare", "d.keyed", "d.made"];
        w.restore_some(&other, RestorePoint::Latest, &known);
        for table in known {
            let rows = format!("select * from {table} order by 1");
            assert_eq!(source.rows(&rows), spare.rows(&rows), "{kind:?}: {table}");
        }
    }
}

/// MySQL 9.6 looks after foreign keys above its engines: it logs what cascades row by row, and a REPLACE keeps the children.
#[test]
fn what_cascades_at_the_source_cascades_and_nothing_else() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let warnings = through_the_log(
            &source,
            &spare,
            "create database u; use u; create table par (id int primary key, v int);
             create table del (id int primary key, p int, foreign key (p) references par (id) on delete cascade);
             create table upd (id int primary key, p int, foreign key (p) references par (id) on delete set null on update cascade);
             insert into par values (1, 1), (2, 2), (3, 3), (4, 4), (5, 5);
             insert into del values (1, 1), (2, 2), (3, 3), (4, 4); insert into upd values (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)",
            &["use u; replace into par values (3, 3); replace into par values (2, 5); delete from par where id = 1; delete from del where id = 4;
               update par set id = 40 where id = 4; insert into par values (5, 5) on duplicate key update id = 50"],
        );
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
    }
}

/// A base, then work; what becomes of the tables when the work is done again.
const RELATIONS: &str = "create database d; use d;
create table pairs (a int, key (a)); insert into pairs values (3), (1), (2);
create table links (a int, b int, unique (b, a)); insert into links values (1, 9), (2, 7), (3, 8);
create table plain (a int, b int, key (b, a)) engine = myisam; insert into plain values (1, 9), (2, 7), (3, 8);
create table parted (a int, key (a)) partition by hash (a) partitions 2; insert into parted values (4), (2), (3), (1)";

#[test]
fn rows_without_a_key_are_numbered_as_at_the_source_whatever_keys_hold_them() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let tables: &[&str] = match kind.is_mysql() {
            true => &["pairs", "links", "parted"],
            false => &["pairs", "links", "plain", "parted"],
        };
        let mut work = String::new();
        for table in tables {
            work += &format!(
                "alter table d.{table} add id int auto_increment, add primary key ({}); update d.{table} set a = 70 where id = 1;",
                if *table == "parted" { "id, a" } else { "id" }
            );
        }
        through_the_log(&source, &spare, RELATIONS, &[&work]);
        for table in tables {
            let rows = format!("select * from d.{table} order by id");
            assert_eq!(source.rows(&rows), spare.rows(&rows), "{kind:?}: {table}");
        }
    }
}

/// What a database held goes with it, and what comes under its names is something else.
#[test]
fn a_database_is_dropped_and_made_again() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let mut before = String::new();
        for db in ["one", "two", "three"] {
            before += &format!(
                "create database {db}; use {db}; create table nk (a int, b int); insert into nk values (1, 1), (2, 2);
                create table my (a int, b int) engine = myisam; insert into my values (1, 1);
                create table par (id int primary key); create table c (id int primary key, p int, foreign key (p) references par (id));
                create view v as select a from nk; create trigger tr before insert on nk for each row set new.b = 5;
                create procedure p() select 1; create event ev on schedule every 1 day disable do select 1;"
            );
        }
        let again = "create table nk (a int, b int); insert into nk values (1, 1), (2, 2); update nk set a = a + 20;
            create table my (a int primary key); insert into my values (1); update my set a = 2;
            create table par (id int primary key); create table c (id int primary key, p int, foreign key (p) references par (id));
            alter table c add index p (p)";
        let changed = |db: &str| format!("use {db}; update nk set a = a + 10; update my set a = 7;");
        let mut work = vec![format!(
            "{} drop database one; create database one; use one; {again}",
            changed("one")
        )];
        work.push(format!("{} drop database two", changed("two")));
        if !kind.is_mysql() {
            work.push(format!(
                "{} create or replace database three character set latin1; use three; {again}",
                changed("three")
            ));
        }
        let work: Vec<&str> = work.iter().map(String::as_str).collect();
        let warnings = through_the_log(&source, &spare, &before, &work);
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
    }
}

/// A history that goes into the next partition after so many rows lies otherwise here than at the source.
#[test]
fn a_partition_of_counted_history_is_not_taken_away() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        let changed = "update d.h set v = v + 1;";
        source.sql(&format!(
            "create database d; create table d.h (id int primary key, v int) with system versioning \
             partition by system_time limit 3 partitions 4; insert into d.h values (1, 1), (2, 2); {changed} {changed} {changed}"
        ));
        w.backup();
        w.start_log();
        source.sql(&format!("{changed} {changed}"));
        let all = "select id, v, row_start, row_end from d.h for system_time all order by 1, 2, 3";
        let wanted = source.rows(all);
        source.sql("alter table d.h drop partition p0");
        w.catch_up();
        let error = w
            .try_restore(&w.request_to(&other, RestorePoint::Latest), &other)
            .unwrap_err();
        let error = chain(&error);
        let (_, id) = error.split_once("(--before ").expect("a hint");
        let (id, _) = id.split_once(')').expect("a hint");
        assert!(error.contains("took away with a partition"), "{error}");
        let warnings = w.restore_to(&other, before(id)).warnings;
        assert!(
            warnings
                .iter()
                .any(|w| w.contains("other partitions") && w.contains("d.h")),
            "{warnings:?}"
        );
        assert_eq!(spare.rows(all), wanted);
    }
}
