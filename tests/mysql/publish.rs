//! What the switch makes beside tables: events as the log left them, columns of sequences, roles, views.

use std::sync::Arc;

use brine::engine::point::RestorePoint;
use brine::model::filter::RenameMap;
use brine::storage::memory::Memory;

use crate::look::{self, Look};
use crate::server::{Kind, Server, server, servers};
use crate::world::{World, snapshot};

/// What a restore from the log brings, whatever is brine's own or a counter.
fn comparable(server: &Server) -> Look {
    let not_ours = |name: &str| !["account 'root'@'localhost'", "account privileges"].contains(&name);
    look::everything(server).only(not_ours).without_counters()
}

const BASE: &str = "create database d; create database gone; use d; create table t (id int primary key); insert into t values (1);
create user app@'%'; grant all on *.* to app@'%';
create event wipe on schedule every 1 second do delete from d.t;
create event chg on schedule every 1 day do select 'old';
create event dis on schedule every 1 day on completion preserve comment 'DO not; ENABLE it' do select 'off';
create event ren on schedule every 1 day do select 'ren'; create event ren_gone on schedule every 1 second do delete from d.t;
create event more on schedule every 1 day starts '2031-01-01 00:00:00' do set @a = 1;
create event kept on schedule every 1 day do select 'kept'; create event gone.g on schedule every 1 day do select 1;
create view w1 as select id from t; create view w2 as select * from w1; create view vt as select 1 x;
drop view w1";

const WORK: &str = "use d; drop event wipe; alter event dis disable; alter event ren rename to ren_new;
alter event ren_gone rename to rg; drop event rg; drop event chg; create event chg on schedule every 2 day disable do select 'new';
set sql_mode = 'ANSI_QUOTES'; alter event more on schedule every 3 hour starts '2032-01-01 00:00:00' ends '2036-01-01 00:00:00'
  comment 'said' do select \"id\" from t; set sql_mode = '';
create event made on schedule every 1 hour do select 1; alter event made disable comment 'made''s';
create event at_once on schedule every 1 second do delete from d.t; alter event at_once disable;
drop database gone; drop view w2; create view w1 as select id from t; drop view vt; create table vt (a int);
insert into t values (2)";

#[test]
fn events_and_views_are_as_the_log_left_them() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(BASE);
        w.backup();
        w.start_log();
        source.sql(WORK);
        source.sql("create view d.w2 as select 1 one; drop view d.w2");
        w.catch_up();
        spare.sql("set global event_scheduler = on");
        let warnings = w.restore_to(&other, RestorePoint::Latest).warnings;
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
        let events = "select event_schema, event_name, definer, status, sql_mode, time_zone, starts, ends, interval_value, \
            event_comment from information_schema.events order by 1, 2";
        assert_eq!(source.rows(events), spare.rows(events), "{kind:?}");
        assert_eq!(spare.column("select id from d.t order by id"), ["1", "2"], "{kind:?}");
    }
}

#[test]
fn a_table_may_have_several_columns_of_sequences() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(
            "create database d; use d; create sequence sq; create sequence s2 start with 100; create table p (id int primary key);
             insert into p values (1);
             create table two (id int primary key default nextval(sq), x int default nextval(s2), p int, foreign key (p) references p (id));
             insert into two (p) values (1)",
        );
        let backup = w.backup();
        w.start_log();
        source.sql(
            "use d; create table fs (id int primary key default nextval(sq), x int); 
             alter table fs add column y int default nextval(s2) after id; insert into fs values (); insert into fs (x) values (1)",
        );
        w.catch_up();
        let warnings = w.restore_to(&other, RestorePoint::Latest).warnings;
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        let tables = |s: &Server| ["two", "fs"].map(|t| s.rows(&format!("show create table d.{t}")));
        assert_eq!(tables(&source), tables(&spare), "{kind:?}");
        spare.sql("insert into d.two (p) values (1); insert into d.fs (x) values (2)");
        let rename = RenameMap::parse(&["d=copy"]).unwrap();
        let warnings = w.beside(snapshot(&backup.id), &["d.*"], rename).warnings;
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        let shown = source.rows("show create table copy.two");
        let shown = format!("{shown:?}");
        assert!(
            shown.contains("`copy`.`sq`") && shown.contains("`copy`.`s2`"),
            "{kind:?}: {shown}"
        );
        source.sql("insert into copy.two (p) values (1)");
    }
}

/// The server lets a sequence go that a column names; nothing can be put into that table then.
#[test]
fn a_column_whose_sequence_is_gone_does_not_spoil_the_others() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql("create database d");
        w.backup();
        w.start_log();
        source.sql(
            "use d; create sequence sq nocache; create sequence sq2;
             create table two (id int default (nextval(sq2)) primary key, v int default (next value for sq), w int default 5);
             insert into two () values (); rename table sq2 to sq3",
        );
        w.catch_up();
        let warnings = w.restore_to(&other, RestorePoint::Latest).warnings;
        let [said] = warnings.as_slice() else {
            panic!("{kind:?}: {warnings:?}")
        };
        assert!(
            said.contains("d.two lost a default") && said.contains("d.sq2"),
            "{said}"
        );
        let shown = format!("{:?}", spare.rows("show create table d.two"));
        assert!(
            shown.contains("nextval(`d`.`sq`)") && !shown.contains("_brine"),
            "{shown}"
        );
        spare.sql("insert into d.two (id) values (7)");
        assert_eq!(spare.column("select v from d.two where id = 7"), ["2"], "{kind:?}");
    }
}

const ROLES: &str = "select user, host, role, admin_option from mysql.roles_mapping order by 1, 2, 3";
const EDGES: &str =
    "select to_user, to_host, from_user, from_host, with_admin_option from mysql.role_edges order by 1, 2, 3";

#[test]
fn who_may_give_a_role_on_may_do_so_afterwards() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118, Kind::Mysql97] {
        let s = server(kind);
        s.sql(
            "create user brine@'%' identified by 'pw'; grant all on *.* to brine@'%' with grant option;
             create user app@'%' identified by 'secret'; create role r1, r2, dropped; grant r1 to app@'%';
             create database d; create table d.t (id int primary key)",
        );
        if kind.is_mysql() {
            s.sql("grant r1, r2 to root@localhost with admin option");
        }
        let w = World::on(s.options_tcp("brine", "pw"), "shop", Arc::new(Memory::new()));
        for mend in w.c().check().unwrap().into_iter().filter_map(|f| f.mend) {
            if mend.starts_with("GRANT ") {
                s.sql(&mend);
            }
        }
        let base = w.backup();
        w.start_log();
        s.sql("drop role dropped; create role writer; grant writer to app@'%'; grant r2 to app@'%'; insert into d.t values (1)");
        if kind.is_mysql() {
            s.sql("grant writer to root@localhost");
        } else {
            s.sql("create role of_app with admin app@'%'; create role of_root with admin root@localhost; grant of_root to app@'%'");
        }
        let who = if kind.is_mysql() { EDGES } else { ROLES };
        let before = s.rows(who);
        w.catch_up();
        let receipt = w.in_place(RestorePoint::Latest);
        assert_eq!(s.rows(who), before, "{kind:?}: {:?}", receipt.warnings);
        let warnings = receipt.warnings.join("\n");
        assert!(!warnings.contains("SECRET") && !warnings.contains('*'), "{warnings}");
        // To the base: a role that the log dropped is there again, with who could give it on.
        let receipt = w.in_place(snapshot(&base.id));
        let text = receipt.warnings.join("\n");
        if !kind.is_mysql() {
            assert!(!text.contains("failed"), "{text}");
            let query = "select count(*) from mysql.roles_mapping where user = 'root' and role in ('r1', 'r2', 'dropped') and admin_option = 'Y'";
            assert_eq!(s.value(query), "3", "{kind:?}: {text}");
            assert_eq!(
                s.value("select count(*) from mysql.roles_mapping where user = 'brine'"),
                "0",
                "{kind:?}"
            );
        }
    }
}

#[test]
fn programs_of_other_databases_are_nobodys_business() {
    let s = server(Kind::MariaDb1011);
    let w = World::new(&s);
    s.sql("create database a; create table a.t (x int primary key); create view a.v as select 1 as one");
    s.sql("create database b; create procedure b.p() select 1; create function b.f() returns int return 1; create view b.v as select 2 as two");
    w.backup();
    w.start_log();
    w.catch_up();
    let rename = || RenameMap::parse(&["a=c"]).unwrap();
    let all = w.beside(RestorePoint::Latest, &["a.*"], rename());
    assert_eq!(all.warnings, Vec::<String>::new());
    s.sql("drop database c");
    let one = w.beside(RestorePoint::Latest, &["a.t"], rename());
    assert!(
        matches!(one.warnings.as_slice(), [w] if w.ends_with(": 1 view")),
        "{:?}",
        one.warnings
    );
}

#[test]
fn what_is_left_out_is_said_once() {
    let s = server(Kind::MariaDb1011);
    let w = World::new(&s);
    s.sql("create database a; use a; create table t (x int primary key); create view v as select x from t");
    w.backup();
    w.start_log();
    s.sql(
        "use a; create or replace view v as select 1 as one; alter view v as select 2 as two; rename table v to v2; rename table v2 to v;
         create trigger tr before insert on t for each row set new.x = 1; drop trigger tr;
         create trigger tr before insert on t for each row set new.x = 2; create or replace trigger tr before insert on t for each row set new.x = 3;
         create event e on schedule every 1 year do set @a = 1; alter event e disable; create procedure p() select 1; drop procedure p;
         create procedure p() select 2; create or replace view w as select 1 as one",
    );
    w.catch_up();
    let receipt = w.beside(RestorePoint::Latest, &["a.*"], RenameMap::parse(&["a=c"]).unwrap());
    let said = |what: &str| receipt.warnings.iter().filter(|w| w.contains(what)).count();
    for what in ["Trigger a.tr", "Procedure a.p", "Event a.e"] {
        assert_eq!(said(what), 1, "{what}: {:?}", receipt.warnings);
    }
    assert_eq!(s.column("select v.two + w.one from c.v, c.w"), ["3"]);
}
