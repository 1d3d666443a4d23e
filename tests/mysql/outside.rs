//! Tables of the log that need others which are not restored: parents of foreign keys, sequences.

use brine::engine::point::RestoreRequest;
use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::model::filter::{RenameMap, TableFilter};

use crate::crash;
use crate::look;
use crate::replay::comparable;
use crate::server::{Kind, server, servers};
use crate::world::{World, chain};

const PARENT: &str =
    "create database u; use u; create table par (id int primary key, v int); insert into par values (1, 1), (2, 2)";

const BASE: &str =
    "use u; create table ch0 (id int primary key, p int, constraint c0 foreign key (p) references par (id));
create table ch1 (id int primary key, p int, constraint c1 foreign key (p) references par (id) on update cascade);
create table ch2 (id int primary key, p int);
insert into ch0 values (1, 1); insert into ch1 values (1, 2); insert into ch2 values (1, 1)";

/// Children are made, linked, renamed and unlinked.
const WORK: &[&str] = &[
    "use u; create table chi (id int primary key, p int, foreign key (p) references par (id)); insert into chi values (1, 1), (2, 2)",
    "use u; alter table ch2 add constraint x foreign key (p) references par (id) on delete set null; insert into ch2 values (2, 2)",
    "create database v; create table v.far (id int primary key, p int, constraint far_p foreign key (p) references u.par (id)); \
     insert into v.far values (1, 2)",
    "use u; alter table ch0 drop foreign key c0, add z int; insert into ch0 values (2, 77, 1)",
    "use u; alter table ch1 change p q int; insert into ch1 values (2, 1)",
    "use u; create table ch3 (id int primary key, p int, r int, foreign key (r) references ch3 (id), foreign key (p) references par (id)); \
     insert into ch3 values (1, 1, null), (2, 2, 1)",
    "use u; alter table ch3 add w int; rename table ch3 to ch4; alter table ch4 rename to ch5; insert into ch5 values (3, 1, 2, 3)",
    "use u; create table gone (id int primary key, p int, foreign key (p) references par (id)); insert into gone values (1, 1); drop table gone",
    "use u; update chi set p = 2 where id = 1; alter table chi add index i (p, id)",
    "use u; create table ch7 (id int primary key, p int, foreign key (p) references par (id)); insert into ch7 values (1, 1)",
];

const CHILDREN: [&str; 3] = ["u.ch*", "u.gone", "v.far"];

#[test]
fn children_of_the_log_are_linked_to_the_live_parent() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(PARENT);
        source.sql(BASE);
        spare.sql(PARENT);
        w.backup();
        w.start_log();
        for step in WORK {
            source.sql(step);
        }
        w.catch_up();
        let receipt = w.restore_some(&other, RestorePoint::Latest, &CHILDREN);
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
        // Once more, in place, over themselves.
        let request = RestoreRequest {
            filter: TableFilter::parse(&CHILDREN).unwrap(),
            ..w.request(RestorePoint::Latest, RestoreTarget::InPlace)
        };
        let wanted = comparable(&source);
        w.try_restore(&request, &w)
            .unwrap_or_else(|e| panic!("{kind:?}: {}", chain(&e)));
        wanted.assert_same(&comparable(&source), &format!("{kind:?} in place"));
    }
}

#[test]
fn a_cascade_from_outside_is_an_error_where_no_log_holds_it() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(PARENT);
        spare.sql(PARENT);
        w.backup();
        w.start_log();
        source.sql("use u; create table ch (id int primary key, p int, foreign key (p) references par (id) on delete cascade); insert into ch values (1, 1), (2, 2)");
        source.sql("delete from u.par where id = 1");
        w.catch_up();
        let request = RestoreRequest {
            filter: TableFilter::parse(&["u.ch"]).unwrap(),
            ..w.request_to(&other, RestorePoint::Latest)
        };
        match (kind, w.try_restore(&request, &other)) {
            (Kind::MariaDb1011, Err(e)) => assert!(chain(&e).contains("cascade into chosen tables"), "{}", chain(&e)),
            (Kind::Mysql97, Ok(_)) => assert_eq!(spare.column("select id from u.ch"), ["2"]),
            (_, other) => panic!("{kind:?}: {other:?}"),
        }
    }
}

#[test]
fn defaults_take_values_of_the_live_sequence() {
    let base = "create database q; use q; create table b (id int primary key default nextval(sq), x int); insert into b (x) values (1), (2)";
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql("create database q; create sequence q.sq; create database r; create sequence r.far");
        source.sql(&base.replace("create database q; ", ""));
        w.backup();
        w.start_log();
        source.sql("use q; create table t (id int primary key default nextval(sq), x int, y int default (next value for r.far)); insert into t (x) values (1), (2)");
        source.sql("use q; alter table b modify x bigint, add w int; alter table t add z int; insert into b (x) values (5000000000)");
        w.catch_up();
        spare.sql("create database q; create sequence q.sq start with 500; create database r; create sequence r.far");
        let receipt = w.restore_some(&other, RestorePoint::Latest, &["q.t", "q.b"]);
        assert_eq!(receipt.warnings, Vec::<String>::new());
        let tables = |s| look::everything(s).only(|name| name.contains("`q`.`t`") || name.contains("`q`.`b`"));
        tables(&source).assert_same(&tables(&spare), &format!("{kind:?}"));
        spare.sql("insert into q.t (x) values (3); insert into q.b (x) values (3)");

        // A target without it: the column is there, and names nothing that is not.
        spare.sql("drop database q; drop database r");
        let receipt = w.restore_some(&other, RestorePoint::Latest, &["q.t", "q.b"]);
        assert!(
            receipt
                .warnings
                .iter()
                .all(|w| w.contains("lost a default: the sequence")),
            "{:?}",
            receipt.warnings
        );
        assert!(!receipt.warnings.is_empty());
        for table in ["t", "b"] {
            let shown = spare.sql(&format!("show create table q.{table}"));
            assert!(!shown.contains("_brine") && !shown.contains("nextval"), "{shown}");
        }
        let names = spare.column("select schema_name from information_schema.schemata");
        assert!(!names.iter().any(|n| n.starts_with("_brine_")), "{names:?}");
    }
}

#[test]
fn beside_under_a_new_name() {
    let source = server(Kind::MariaDb1011);
    let w = World::new(&source);
    source.sql(PARENT);
    w.backup();
    w.start_log();
    source.sql(WORK[0]);
    w.catch_up();
    w.beside(
        RestorePoint::Latest,
        &["u.chi"],
        RenameMap::parse(&["u.chi=u.chi2"]).unwrap(),
    );
    assert_eq!(source.column("select id from u.chi2 order by 1"), ["1", "2"]);
    let shown = source.sql("show create table u.chi2");
    assert!(shown.contains("REFERENCES `par` (`id`)"), "{shown}");
}

#[test]
fn a_killed_restore_links_them_all_the_same() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        s.sql(PARENT);
        s.sql(BASE);
        let dir = tempfile::tempdir().unwrap();
        let (wanted, bad) = {
            let w = crash::world(dir.path(), &s.socket());
            w.backup();
            w.start_log();
            for step in WORK {
                s.sql(step);
            }
            let wanted = comparable(&s);
            s.sql("delete from u.chi");
            let bad = crate::edges::last_gtid(&s);
            w.catch_up();
            (wanted, bad)
        };
        let mut kills = 0;
        let points = [
            "mysql.restore.statement-begun",
            "mysql.restore.statement-run",
            "mysql.restore.statement-linked",
        ];
        for n in 1..=3 {
            for point in points {
                let point = match n {
                    1 => point.to_owned(),
                    n => format!("{point}:{n}"),
                };
                if crash::run_some(dir.path(), &s, &CHILDREN.join(","), &bad, Some(&point)) {
                    kills += 1;
                }
            }
        }
        assert!(kills >= 6, "{kind:?}: {kills}");
        assert!(!crash::run_some(dir.path(), &s, &CHILDREN.join(","), &bad, None));
        wanted.assert_same(&comparable(&s), &format!("{kind:?}: after {kills} kills"));
    }
}

/// A chain of which only the last table is chosen, or all but the one between.
#[test]
fn a_cascade_past_tables_that_are_left_out_never_leaves_rows_behind() {
    const CHAIN: &str = "create database u; use u; create table top (id int primary key, v int);
        create table mid (id int primary key, t int, v int, foreign key (t) references top (id) on delete cascade);
        create table leaf (id int primary key, m int, foreign key (m) references mid (id) on delete cascade);
        insert into top values (1, 1), (2, 2); insert into mid values (1, 1, 1), (2, 2, 2); insert into leaf values (1, 1), (2, 2)";
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(CHAIN);
        spare.sql(CHAIN);
        w.backup();
        w.start_log();
        // Nothing of this cascades.
        source.sql("use u; update top set v = 7; update mid set v = 8; insert into top values (3, 3)");
        w.catch_up();
        let request = |filter: &[&str]| RestoreRequest {
            filter: TableFilter::parse(filter).unwrap(),
            ..w.request_to(&other, RestorePoint::Latest)
        };
        let told = |filter: &[&str]| {
            let plan = w.plan_to(&request(filter), &other).unwrap();
            plan.checks
                .iter()
                .find(|c| c.name == "cascades")
                .map(|c| c.found.clone())
        };
        w.restore_some(&other, RestorePoint::Latest, &["u.leaf"]);
        assert_eq!(
            spare.column("select id from u.leaf order by id"),
            ["1", "2"],
            "{kind:?}"
        );

        source.sql("delete from u.top where id = 1");
        w.catch_up();
        for filter in [&["u.leaf"][..], &["u.leaf", "u.top"]] {
            let what = format!("{kind:?} {filter:?}");
            let said = told(filter);
            match (kind, w.try_restore(&request(filter), &other)) {
                (Kind::Mysql97, done) => {
                    assert!(done.is_ok() && said.is_none(), "{what}: {said:?} {done:?}");
                    assert_eq!(spare.column("select id from u.leaf"), ["2"], "{what}");
                }
                (_, Err(e)) => {
                    let e = chain(&e);
                    assert!(e.contains("changes of u.top cascade into chosen tables"), "{what}: {e}");
                    assert!(said.unwrap().contains("u.top"), "{what}");
                }
                (_, Ok(_)) => panic!("{what}: it succeeded"),
            }
        }
        w.restore_some(&other, RestorePoint::Latest, &["u.leaf", "u.mid", "u.top"]);
        assert_eq!(spare.column("select id from u.leaf"), ["2"], "{kind:?}");
        assert_eq!(told(&["u.leaf", "u.mid", "u.top"]), None);
    }
}
