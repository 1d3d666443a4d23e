//! Accounts and grants after a restore are those of the source, and nobody else's.

use brine::engine::point::RestorePoint;

use crate::server::{Kind, Server, server, servers};
use crate::world::{World, ok, snapshot};

/// What statements of the log do to whoever runs them.
const OWN: &str = "alter user current_user() with max_queries_per_hour 777; grant process on *.* to current_user;
revoke r2 from current_user(); alter user current_user() account lock";

fn shown(s: &Server, account: &str) -> Vec<String> {
    let mut all = s.column(&format!("show create user {account}"));
    all.extend(s.column(&format!("show grants for {account}")));
    all
}

#[test]
fn what_an_account_did_to_itself_is_not_done_to_the_one_that_restores() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.sql("create database d; create table d.t (id int primary key); create role r1; create role r2; create user app@localhost identified by 'x'");
        source
            .sql("grant create user, process on *.* to app@localhost with grant option; grant r1 to app@localhost; grant r2 to app@localhost with admin option");
        if kind.is_mysql() {
            source.sql("grant role_admin on *.* to app@localhost");
        }
        spare.sql("create role r1; create role r2");
        let own = shown(&spare, "root@localhost");
        let (w, other) = (World::new(&source), World::target(&spare));
        w.backup();
        w.start_log();
        source.session_as("app", "x").run(OWN);
        w.catch_up();
        let request = w.request_to(&other, RestorePoint::Latest);
        let receipt = ok("restoring", w.try_restore(&request, &other));
        assert_eq!(shown(&spare, "root@localhost"), own, "{kind:?}");
        let account = "app@localhost";
        // MariaDB does not log who took a role from himself.
        match kind.is_mysql() {
            true => assert_eq!(shown(&spare, account), shown(&source, account)),
            false => {
                assert!(
                    receipt
                        .warnings
                        .iter()
                        .any(|w| w.contains("(revoke r2 ...) was left out")),
                    "{:?}",
                    receipt.warnings
                );
                spare.sql("revoke r2 from app@localhost");
                assert_eq!(shown(&spare, account), shown(&source, account), "{kind:?}");
            }
        }
    }
}

#[test]
fn what_everybody_was_given_later_goes() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let s = server(kind);
        s.sql("create database d; create table d.t (id int primary key, v int); create procedure d.p() select 1");
        s.sql("create role r; grant select on d.* to public with grant option; grant update (v) on d.t to public");
        let w = World::new(&s);
        let backup = w.backup();
        let then = s.column("show grants for public");
        s.sql("grant delete, drop on *.* to public; grant all on d.* to public; grant insert (id) on d.t to public");
        s.sql("grant execute on procedure d.p to public; grant r to public; revoke update (v) on d.t from public");
        let later = s.column("show grants for public");
        let receipt = w.in_place(snapshot(&backup.id));
        assert_eq!(s.column("show grants for public"), then, "{kind:?}");
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
        w.undo();
        assert_eq!(s.column("show grants for public"), later, "{kind:?}");
        s.sql("revoke all privileges, grant option from public");
        w.in_place(snapshot(&backup.id));
        assert_eq!(s.column("show grants for public"), then, "{kind:?}");
    }
}

#[test]
fn a_mandatory_role_keeps_nothing_of_what_it_was_given_later() {
    let s = server(Kind::Mysql97);
    s.sql("create database d; create table d.t (id int primary key); create role base; grant select on d.* to base");
    s.sql("create user app@'%' identified by 'x'; set global mandatory_roles = 'base'");
    let w = World::new(&s);
    let backup = w.backup();
    let then = shown(&s, "base");
    s.sql("grant delete, drop on *.* to base");
    s.sql("revoke select on d.* from base; grant proxy on app@'%' to base");
    s.sql("alter user base identified by 'y' with max_queries_per_hour 7 account unlock");
    let later = shown(&s, "base");
    let receipt = w.in_place(snapshot(&backup.id));
    assert_eq!(shown(&s, "base"), then);
    assert_eq!(receipt.warnings, Vec::<String>::new());
    w.undo();
    assert_eq!(shown(&s, "base"), later);
}

#[test]
fn a_mandatory_role_that_was_not_there_is_left_with_nothing() {
    let s = server(Kind::Mysql97);
    s.sql("create database d; create table d.t (id int primary key)");
    let w = World::new(&s);
    let backup = w.backup();
    s.sql("create role late; grant delete on *.* to late; set global mandatory_roles = 'late'");
    let receipt = w.in_place(snapshot(&backup.id));
    assert_eq!(s.column("show grants for late"), ["GRANT USAGE ON *.* TO `late`@`%`"]);
    let said = |w: &String| w.starts_with("the role late@% was not there") && w.contains("mandatory_roles");
    assert!(receipt.warnings.iter().any(said), "{:?}", receipt.warnings);
}

#[test]
fn privileges_that_come_and_go_with_routines_do_so_here() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.sql("create database d; create table d.t (id int primary key); create user app@'%'; create database dd");
        for name in ["old", "gone", "kept"] {
            source.sql(&format!(
                "create procedure d.{name}() select 1; grant execute on procedure d.{name} to app@'%'"
            ));
        }
        source.sql(
            "create function d.kept() returns int deterministic return 1; grant execute on function d.kept to app@'%'",
        );
        source.sql("create procedure dd.x() select 1; grant execute on procedure dd.x to app@'%'");
        for (user, more) in [("dev", ""), ("some", ", execute"), ("most", ", execute, alter routine")] {
            source.sql(&format!("create user {user}@localhost identified by 'x'"));
            source.sql(&format!("grant create routine{more} on d.* to {user}@localhost"));
        }
        let (w, other) = (World::new(&source), World::target(&spare));
        w.backup();
        w.start_log();
        for user in ["dev", "some", "most"] {
            let mut session = source.session_as(user, "x");
            session.run(&format!(
                "create procedure d.P{user}() select 1; create function d.f{user}() returns int deterministic return 1"
            ));
        }
        let mut dev = source.session_as("dev", "x");
        dev.run("create procedure d.brief() select 1; drop procedure d.brief");
        source.sql(
            "drop procedure d.old; create procedure d.old() select 2; drop function d.kept; drop procedure d.pdev",
        );
        source.sql("grant execute on procedure d.gone to dev@localhost; drop procedure d.gone");
        source.sql("drop database dd; create database dd; create procedure dd.x() select 2");
        if !kind.is_mysql() {
            source.sql("create or replace procedure d.kept() select 3");
        }
        w.catch_up();
        let request = w.request_to(&other, RestorePoint::Latest);
        let receipt = ok("restoring", w.try_restore(&request, &other));
        let given = |s: &Server| {
            s.column(
                "select concat_ws(' ', user, host, db, routine_name, routine_type, proc_priv) from mysql.procs_priv
                 where user in ('app', 'dev', 'some', 'most') order by 1",
            )
        };
        assert_eq!(given(&spare), given(&source), "{kind:?}");
        assert_eq!(given(&source).len(), 5, "{kind:?} {:?}", given(&source));
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn a_grant_on_columns_of_which_some_are_gone_gives_the_others() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.sql("create database d; create table d.t (id int primary key, x int, y int); create user app@'%'; create user late@'%'");
        source.sql("grant select (x), insert (ID), update (y, x), delete on d.t to app@'%'");
        let (w, other) = (World::new(&source), World::target(&spare));
        w.start_log();
        source.sql("use d; grant select (x), insert (id) on t to late@'%'; grant update (x) on t to late@'%'");
        source.sql("alter table d.t drop column x");
        w.catch_up();
        w.backup();
        source.sql("use d; grant references (y) on t to late@'%'; alter table t drop column y");
        w.catch_up();
        let request = w.request_to(&other, RestorePoint::Latest);
        let receipt = ok("restoring", w.try_restore(&request, &other));
        let given = |s: &Server| {
            s.column(
                "select concat_ws(' ', user, lower(column_name), column_priv) from mysql.columns_priv where lower(column_name) = 'id'
                 union select concat_ws(' ', user, table_name, table_priv) from mysql.tables_priv where db = 'd' order by 1",
            )
        };
        let want = ["app id Insert", "app t Delete", "late id Insert", "late t "];
        assert_eq!(given(&spare), want, "{kind:?} {:?}", receipt.warnings);
        let said = |w: &&String| w.contains(" ON d.t ... app@%") && w.contains("without the columns x, y");
        assert_eq!(
            receipt.warnings.iter().filter(said).count(),
            1,
            "{kind:?} {:?}",
            receipt.warnings
        );
    }
}

#[test]
fn what_root_gave_by_a_role_of_his_is_given() {
    let [source, spare] = servers([Kind::Mysql97, Kind::Mysql97]);
    for s in [&source, &spare] {
        s.sql("set global partial_revokes = on");
    }
    source.sql("create database d; create table d.t (id int primary key); create user app@'%'");
    let (w, other) = (World::new(&source), World::target(&spare));
    w.backup();
    w.start_log();
    source.sql("create role dba; grant select on *.* to dba; grant dba to root@localhost; set role dba; grant process, reload on *.* to app@'%'");
    w.catch_up();
    let request = w.request_to(&other, RestorePoint::Latest);
    let receipt = ok("restoring", w.try_restore(&request, &other));
    assert_eq!(
        shown(&spare, "app@'%'"),
        shown(&source, "app@'%'"),
        "{:?}",
        receipt.warnings
    );
}

#[test]
fn what_was_given_on_a_table_that_is_gone_stands() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.sql("create database d; create table d.t (id int primary key); create table d.old (id int primary key)");
        source.sql("create table d.gone (id int primary key); create user app@'%'; create role r");
        source.sql("grant select, insert on d.old to app@'%' with grant option; grant delete on d.gone to r; rename table d.old to d.new; drop table d.gone");
        let (w, other) = (World::new(&source), World::target(&spare));
        let backup = w.backup();
        let receipt = w.restore_to(&other, snapshot(&backup.id));
        for who in ["app@'%'", "r"] {
            let of = |s: &Server| s.column(&format!("show grants for {who}"));
            assert_eq!(of(&spare), of(&source), "{kind:?}");
        }
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
    }
}
