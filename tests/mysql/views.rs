//! Views that the log makes: a server keeps what their names meant when they were made, the log has only the text.

use brine::engine::point::RestorePoint;
use brine::model::filter::RenameMap;

use crate::crash::{run, world};
use crate::look;
use crate::server::{Kind, server, servers};
use crate::world::World;

const KINDS: [Kind; 3] = [Kind::MariaDb1011, Kind::MariaDb118, Kind::Mysql97];

const BASE: &str = "create user app@`%`; grant select on *.* to app@`%`; create database d; create database e; use d;
    create table t (a int primary key, b int); create table u (a int, c int); insert into t values (1, 2); insert into u values (1, 3);
    create function f (x int, y varchar(10)) returns int deterministic return x + 1;
    create table e.t (a int, b int, z int); create view alike as select d.t.a, e.t.z from t join e.t on d.t.b = e.t.a;
    create view base as select * from t; create view unlike as select f(a, 'x') as fa from t";

/// Each statement takes something that the ones behind it change.
const LOG: &str = "use d;
    create view star as select * from t;
    create definer = app@`%` view on_star as select * from star;
    create algorithm = merge view on_both as select s.*, b.b as bb from star s join base b using (a);
    create view shared as select * from t natural join u;
    create view either as select c from t join u on t.a = u.a where (select max(c) from t) > 0;
    create view called as select *, f(a, 'it''s'), f(b, 'x') as fb from t;
    create sql security invoker view who (p, q) as select * from t with cascaded check option;
    use e;
    create view d.elsewhere as select d.t.*, d.t.a + 1, d.f(d.t.b, ','), (select count(*) from d.u x where x.a = d.t.a) from d.t; create view further as select * from d.elsewhere;
    create view d.twins as select * from d.t natural join e.t; create view own as select t.* from d.t t, (select * from d.on_star) y;
    use d;
    alter table t add x int first, add c int after a;
    rename table u to u_old; create table u (a int, c int, z int); alter table u_old add z int, add b int;
    create or replace view star as select b, x, a from t;
    rename table who to who_else;
    alter view called as select *, 'new' from t;
    create view swapped as select * from u; create view gone as select * from u;
    rename table u to tmp, u_old to u, tmp to u_old;
    drop view gone;
    alter table t add y int;
    create view late as select * from t";

#[test]
fn a_view_has_the_columns_that_there_were_when_it_was_made() {
    for kind in KINDS {
        let [s, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&s), World::target(&spare));
        s.sql(BASE);
        if !kind.is_mysql() {
            s.sql("create table d.h (a int) with system versioning");
        }
        w.backup();
        w.start_log();
        s.sql(LOG);
        if !kind.is_mysql() {
            s.sql("create view d.old as select * from d.h for system_time all; set system_versioning_alter_history = keep; alter table d.h add b int");
        }
        w.catch_up();
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        assert!(
            !receipt.warnings.iter().any(|warning| warning.contains("view")),
            "{:?}",
            receipt.warnings
        );
        look::everything(&s).assert_same(&look::everything(&spare), &format!("{kind:?}"));
        assert_eq!(
            spare.column("select concat_ws(',', a, b, new) from d.called"),
            ["1,2,new"],
            "{kind:?}"
        );
    }
}

#[test]
fn a_view_of_the_log_goes_under_another_name() {
    for kind in KINDS {
        let s = server(kind);
        let w = World::new(&s);
        s.sql(BASE);
        w.backup();
        w.start_log();
        s.sql(LOG);
        w.catch_up();
        let renames = RenameMap::parse(&["d=n", "e=m"]).unwrap();
        let receipt = w.beside(RestorePoint::Latest, &["d.*", "e.*"], renames);
        let lost = ["left out", "could not be made"];
        let is_lost = |warning: &String| lost.iter().any(|words| warning.contains(words));
        assert!(!receipt.warnings.iter().any(is_lost), "{:?}", receipt.warnings);
        let of = |db: &str| {
            s.column(&format!(
                "select table_name from information_schema.views where table_schema = '{db}' order by 1"
            ))
        };
        assert_eq!(of("n"), of("d"), "{kind:?}");
        s.sql("update n.t set b = 7");
        assert_eq!(s.column("select b from n.star"), ["7"], "{kind:?}: it reads its own");
        assert_eq!(s.column("select b from d.star"), ["2"], "{kind:?}");
    }
}

/// What it reads can be had neither by itself nor from the target.
#[test]
fn a_view_that_cannot_be_known_is_told() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&s), World::target(&spare));
        s.sql(BASE);
        w.backup();
        w.start_log();
        s.sql("create view d.odd as select *, d.f(a, 1), `d`.f(b, 2) from d.t; create view d.named as select t.a, d.f(a, 1), `d`.f(b, 2) from d.t; alter table d.t add x int");
        w.catch_up();
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        let told: Vec<&String> = receipt
            .warnings
            .iter()
            .filter(|warning| warning.contains("view d."))
            .collect();
        let [told] = told.as_slice() else {
            panic!("{kind:?}: {told:?}");
        };
        assert!(told.contains("d.odd") && told.contains("two ways"), "{told}");
    }
}

/// After a crash the tables are further than the log is.
#[test]
fn a_killed_restore_knows_what_its_views_were() {
    const POINTS: [&str; 7] = [
        "views-standing",
        "views-shown",
        "statement-begun",
        "statement-run",
        "views-standing",
        "views-shown",
        "log-in",
    ];
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        s.sql(BASE);
        let dir = tempfile::tempdir().unwrap();
        let w = world(dir.path(), &s.socket());
        w.backup();
        w.start_log();
        s.sql(LOG);
        let wanted = look::everything(&s);
        s.sql("drop table d.t");
        let bad = crate::edges::last_gtid(&s);
        s.sql("drop view d.late, d.star; drop table d.u_old");
        w.catch_up();
        drop(w);
        for point in POINTS {
            assert!(
                run(dir.path(), &s, &bad, Some(&format!("mysql.restore.{point}"))),
                "{kind:?}: {point}"
            );
        }
        assert!(!run(dir.path(), &s, &bad, None));
        wanted.assert_same(&look::everything(&s), &format!("{kind:?}"));
    }
}

/// A server opens views and functions for their definers: whose grants a fresh server has not got yet, or who are gone.
#[test]
fn views_on_what_is_of_others_are_made_on_a_fresh_server() {
    const OTHERS: &str = "use d; create user goes@`%`; grant select, execute on d.* to goes@`%`;
        create definer = app@`%` view plain as select * from t; create view on_plain as select * from plain;
        create view within as select * from (select a from plain) x; create definer = app@`%` view again as select * from within;
        create definer = app@`%` function g () returns int reads sql data return (select max(a) from plain);
        grant execute on d.* to app@`%`; create view calls as select g() as g from (select * from again) y;
        create definer = goes@`%` view of_gone as select * from t; create definer = goes@`%` function h () returns int deterministic return 1;
        create view on_gone as select * from of_gone; create view calls_gone as select h() as h;
        create view chosen (`x``y`, z) as select h(), a from t where a > h() with local check option; drop user goes@`%`";
    const HERE: &str = "create user goes@`%`; grant select, execute on d.* to goes@`%`";
    const LATER: &str = "use d; create user goes@`%`; grant select, execute on d.* to goes@`%`; create definer = app@`%` view plain2 as select * from t; create view on_plain2 as select * from plain2;
        create definer = app@`%` function g2 () returns int deterministic return 2; create view calls2 as select g2(), h() from on_plain2;
        create definer = goes@`%` view of_gone2 as select * from t; create view on_gone2 as select x.*, y.a as c from of_gone2 x join on_plain y using (a);
        drop user goes@`%`; alter table t add x int";
    for kind in KINDS {
        let [s, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&s), World::target(&spare));
        s.sql(BASE);
        s.sql(OTHERS);
        w.backup();
        w.start_log();
        s.sql(LATER);
        w.catch_up();
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        assert!(
            !receipt.warnings.iter().any(|warning| warning.contains("d.")),
            "{:?}",
            receipt.warnings
        );
        // A server does not show a view that calls a function of somebody who is gone.
        s.sql(HERE);
        let wanted = look::everything(&s);
        spare.sql(HERE);
        wanted.assert_same(&look::everything(&spare), &format!("{kind:?}"));
        w.in_place(RestorePoint::Latest);
        wanted.assert_same(&look::everything(&s), &format!("{kind:?}, in place"));
    }
}

/// A server takes views that it cannot show: they stop no backup, and are not forgotten.
#[test]
fn a_broken_view_stops_no_backup() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&s), World::target(&spare));
        s.sql(BASE);
        s.sql(
            "use d; create view e.broken as select * from t natural join d.t; create view e.mended as select * from t natural join d.t;
             create view e.gone as select * from t natural join d.t",
        );
        assert!(s.try_sql("show create view e.broken").is_err(), "{kind:?}");
        w.backup();
        w.start_log();
        s.sql("create or replace view e.mended as select a from d.t; drop view e.gone");
        w.catch_up();
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        // It is made as broken as it was, or that is said.
        let made = spare.try_sql("drop view e.broken").is_ok();
        let told = receipt.warnings.iter().any(|warning| warning.contains("view e.broken"));
        assert_ne!(made, told, "{kind:?}: {:?}", receipt.warnings);
        s.sql("drop view e.broken");
        look::everything(&s).assert_same(&look::everything(&spare), &format!("{kind:?}"));
    }
}
