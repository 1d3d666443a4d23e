//! Where a restore goes: in place with a way back, beside under new names, some tables only.

use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::model::filter::RenameMap;

use crate::dataset;
use crate::edges::last_gtid;
use crate::look;
use crate::server::{Kind, server, servers};
use crate::world::{World, before as before_the, snapshot};

fn in_place(kind: Kind) {
    let s = server(kind);
    let w = World::new(&s);
    dataset::fill(&s);
    let backup = w.backup();
    w.start_log();
    let before = look::everything(&s);
    s.sql(
        "insert into fid.reals (id, f) values (9999, 0.1); drop table fid.times; create table fid.new_one (a int);
         drop database `日本語`; create database later; create table later.t (a int); create user newcomer;
         drop view fid.v_temp; grant process on *.* to 'app'@'%';",
    );
    let accident = look::everything(&s);
    let mut session = s.session_as("app", "other-pw");
    session.run("select 1");
    w.in_place(snapshot(&backup.id));
    assert_eq!(session.try_run("select 1"), None, "sessions were ended");
    before.assert_same(&look::everything(&s), "in place");
    // Applications get in again.
    s.sql("create user 'probe'@'localhost' identified by 'p'; grant select on fid.* to 'probe'@'localhost'; drop user 'probe'@'localhost'");
    w.undo();
    accident.assert_same(&look::everything(&s), "undone");
    s.sql("insert into fid.reals (id, f) values (10000, 0.2)");
    let goes_on = look::everything(&s);
    w.catch_up();
    s.sql("truncate table fid.reals");
    w.catch_up();
    w.in_place(before_the(&last_gtid(&s)));
    goes_on.assert_same(&look::everything(&s), "before a change in the new history");
}

#[test]
fn in_place_and_back_on_mariadb_10_11() {
    in_place(Kind::MariaDb1011);
}

#[test]
fn in_place_and_back_on_mariadb_11_8() {
    in_place(Kind::MariaDb118);
}

#[test]
fn in_place_and_back_on_mysql_9_7() {
    in_place(Kind::Mysql97);
}

#[test]
fn beside_under_new_names() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        let w = World::new(&s);
        dataset::fill(&s);
        w.backup();
        w.start_log();
        s.sql("update fid.by_hash set v = v + 1; insert into fid.child (id, parent_id) values (7000, 1)");
        w.catch_up();
        let before = look::everything(&s);
        w.beside(RestorePoint::Latest, &["fid.*"], RenameMap::default());
        let after = look::everything(&s);
        let own = |name: &str| !name.contains("`fid_restored`");
        before.assert_same(&after.only(own), "what was there is as it was");
        let renamed = look::Look(
            after
                .rows()
                .0
                .into_iter()
                .filter(|(k, _)| k.contains("`fid_restored`"))
                .map(|(k, v)| (k.replace("`fid_restored`", "`fid`"), v))
                .collect(),
        );
        before
            .rows()
            .only(|k| k.starts_with("rows `fid`."))
            .assert_same(&renamed, "the copies");
    }
}

#[test]
fn some_tables_into_another_server() {
    for kind in [Kind::MariaDb118, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        dataset::fill(&source);
        w.backup();
        w.start_log();
        source.sql(
            "update fid.texts set v = 'changed' where id = 1; delete from fid.ints where id = 2; drop table fid.by_key",
        );
        w.catch_up();
        spare.sql(
            "create database fid; create table fid.mine (a int); insert into fid.mine values (1); create user own",
        );
        let there = look::everything(&spare);
        w.restore_some(&other, RestorePoint::Latest, &["fid.texts", "fid.ints", "fid.by_key"]);
        let wanted = ["`fid`.`texts`", "`fid`.`ints`"];
        let is_wanted = |k: &str| wanted.iter().any(|w| k.ends_with(w));
        look::everything(&source)
            .only(is_wanted)
            .assert_same(&look::everything(&spare).only(is_wanted), "the wanted ones");
        there.assert_same(&look::everything(&spare).only(|k| !is_wanted(k)), "and nothing else");
    }
}

/// Programs, a view and accounts, and no table: such a server comes back too.
#[test]
fn a_server_without_tables_comes_back() {
    const BASE: &str =
        "create database d; create procedure d.p() select 1; create view d.v as select 1 as a; create user app@'%'";
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(BASE);
        let backup = w.backup();
        let before = look::everything(&source);
        w.restore_to(&other, snapshot(&backup.id));
        before.assert_same(&look::everything(&spare), &format!("{kind:?}, into another"));
        source.sql("drop procedure d.p; create table d.t (id int primary key); drop user app@'%'");
        let changed = look::everything(&source);
        w.in_place(snapshot(&backup.id));
        before.assert_same(&look::everything(&source), &format!("{kind:?}, in place"));
        w.undo();
        changed.assert_same(&look::everything(&source), &format!("{kind:?}, undone"));
        let beside = w.request(snapshot(&backup.id), RestoreTarget::Beside);
        let refused = w.try_restore(&beside, &w).unwrap_err().to_string();
        assert!(refused.contains("hold no table"), "{refused}");
    }
}
