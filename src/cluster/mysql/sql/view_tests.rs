//! Tests of [`super`].

use super::*;
use crate::cluster::mysql::wire::Flavor;
use proptest::prelude::*;

/// `d` is in `_s`, `e` in `_e`, everything but `mysql` nowhere.
struct Shadows;

impl Places for Shadows {
    fn place(&self, db: &str) -> Option<String> {
        match db {
            "d" => Some("_s".to_owned()),
            "e" => Some("_e".to_owned()),
            "mysql" => None,
            _ => Some("_none".to_owned()),
        }
    }
    fn db(&self, place: &str) -> Option<String> {
        ["d", "e"]
            .into_iter()
            .find(|db| self.place(db).as_deref() == Some(place))
            .map(str::to_owned)
    }
}

fn modes() -> Modes {
    Modes::of(0, Flavor::MariaDb)
}

const HEAD: &str = "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW ";

fn of(query: &str) -> Moved {
    moved(
        &format!("{HEAD}`v` AS {query}"),
        modes(),
        &TableName::new("_s", "v"),
        &Shadows,
    )
    .unwrap()
}

fn query(query: &str) -> String {
    let create = of(query).create;
    let head = "CREATE ALGORITHM = UNDEFINED SQL SECURITY DEFINER VIEW `_s`.`v` AS ";
    create.strip_prefix(head).unwrap_or(&create).to_owned()
}

fn back(typed: &str, shown: &str) -> Result<String, String> {
    let head = "CREATE ALGORITHM=UNDEFINED DEFINER=`brine`@`x` SQL SECURITY DEFINER VIEW `v` AS ";
    let moved = of(typed);
    let shown = format!("{head}{shown}");
    let called = moved.called_as_typed(&shown, modes(), &Shadows)?;
    let back = moved.back(called.as_deref().unwrap_or(&shown), modes(), &Shadows)?;
    let head = format!("{HEAD}`v` AS ");
    Ok(back.strip_prefix(&head).unwrap_or(&back).to_owned())
}

#[test]
fn databases_are_found_wherever_a_query_names_them() {
    let cases = [
        ("select * from d.t", "select * from _s.t"),
        (
            "select d.a, d.t.a, d.t.* from d.t as d, e . `t` x",
            "select d.a, _s.t.a, _s.t.* from _s.t as d, _e . `t` x",
        ),
        (
            "select t.a from t join d.u on t.a = u.a, (e.w natural join `d`.x)",
            "select t.a from t join _s.u on t.a = u.a, (_e.w natural join _s.x)",
        ),
        (
            "select (select max(u.a) from d.u where d.a = u.b) from t d",
            "select (select max(u.a) from _s.u where d.a = u.b) from t d",
        ),
        (
            "select extract(year from d.a), trim(both d.b from d.c) from d.d",
            "select extract(year from d.a), trim(both d.b from d.c) from _s.d",
        ),
        (
            "select d.f(d.a), nextval(d.s), next value for e.s from t d",
            "select _s.f(d.a), nextval(_s.s), next value for _e.s from t d",
        ),
        (
            "select 1 from t use index for order by (d), d.u force index for join (a)",
            "select 1 from t use index for order by (d), _s.u force index for join (a)",
        ),
        (
            "select 1 from d.t for system_time all, d.u where a in (select d.b from d)",
            "select 1 from _s.t for system_time all, _s.u where a in (select d.b from d)",
        ),
        (
            "select 1 from t union all (select 2 from d.t order by d.a limit 1, 2)",
            "select 1 from t union all (select 2 from _s.t order by d.a limit 1, 2)",
        ),
        (
            "with d as (select * from d.t) select d.a from d, json_table(d.j, '$' columns (d int path '$')) x",
            "with d as (select * from _s.t) select d.a from d, json_table(d.j, '$' columns (d int path '$')) x",
        ),
        ("table d.t", "table _s.t"),
        (
            "select 1 from { oj d.t left outer join d.u on t.a = u.a }",
            "select 1 from { oj _s.t left outer join _s.u on t.a = u.a }",
        ),
        (
            "select * from mysql.user join x.t",
            "select * from mysql.user join _none.t",
        ),
        (
            "select straight_join 'd.t', `d.t`.a from (d.t) join (select a from d.u) as y",
            "select straight_join 'd.t', `d.t`.a from (_s.t) join (select a from _s.u) as y",
        ),
    ];
    for (typed, wanted) in cases {
        assert_eq!(query(typed), wanted);
    }
}

#[test]
fn the_head_says_all_but_who_and_whether() {
    let cases = [
        (
            "CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`a`@`b` SQL SECURITY INVOKER VIEW d.v (x) AS select 1",
            "CREATE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW `_s`.`v` (x) AS select 1",
        ),
        (
            "ALTER DEFINER=`a` VIEW `v` AS select 1 WITH CASCADED CHECK OPTION",
            "CREATE VIEW `_s`.`v` AS select 1 WITH CASCADED CHECK OPTION",
        ),
        (
            "CREATE DEFINER='a'@'b' VIEW IF NOT EXISTS d.`definer` AS select 1",
            "CREATE VIEW `_s`.`v` AS select 1",
        ),
    ];
    for (sql, wanted) in cases {
        let moved = moved(sql, modes(), &TableName::new("_s", "v"), &Shadows).unwrap();
        assert_eq!(moved.create, wanted);
    }
    let without = "CREATE SQL SECURITY DEFINER VIEW v AS select 1";
    assert!(moved(without, modes(), &TableName::new("_s", "v"), &Shadows).is_err());
}

#[test]
fn a_definer_is_left_out() {
    let without = |sql: &str| without_definer(sql, modes());
    let sql = "CREATE DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW `definer` AS select 'DEFINER'";
    let wanted = "CREATE  SQL SECURITY DEFINER VIEW `definer` AS select 'DEFINER'";
    assert_eq!(without(sql).as_deref(), Some(wanted));
    assert_eq!(without(wanted), None);
    let sql = "CREATE DEFINER=`a`@`%` AGGREGATE FUNCTION f(x int) RETURNS int SQL SECURITY DEFINER return 1";
    let wanted = "CREATE  AGGREGATE FUNCTION f(x int) RETURNS int SQL SECURITY DEFINER return 1";
    assert_eq!(without(sql).as_deref(), Some(wanted));
    assert_eq!(without(wanted), None);
    assert_eq!(without("SELECT 1"), None);
}

#[test]
fn what_is_shown_gets_its_names_and_its_definer_back() {
    assert_eq!(
        back(
            "select * from d.t join e.u",
            "select `t`.`a` AS `a`,`_e`.`u`.`b` AS `b` from (`t` join `_e`.`u`)"
        )
        .as_deref(),
        Ok("select `t`.`a` AS `a`,`e`.`u`.`b` AS `b` from (`t` join `e`.`u`)")
    );
    assert_eq!(
        back("select d.f(1), 2", "select `_s`.`f`(1) AS `_s.f(1)`,2 AS `2`").as_deref(),
        Ok("select `d`.`f`(1) AS `d.f(1)`,2 AS `2`")
    );
    assert_eq!(
        back(
            "select (select 1 from d.t), 2 from e.u",
            "select (select 1 AS `1` from `t`) AS `(select 1 from _s.t)`,2 AS `2` from `_e`.`u`"
        )
        .as_deref(),
        Ok("select (select 1 AS `1` from `t`) AS `(select 1 from d.t)`,2 AS `2` from `e`.`u`")
    );
    assert_eq!(
        back("select `d`.f(1)", "select `_s`.`f`(1) AS `_s.f(1)`").as_deref(),
        Ok("select `d`.`f`(1) AS ```d``.f(1)`")
    );
}

#[test]
fn what_is_not_sure_is_an_error() {
    let both = "select d.f(1), `d`.f(2)";
    assert!(back(both, "select `_s`.`f`(1) AS `_s.f(1)`,`_s`.`f`(2) AS `_s.f(2)`").is_err());
    assert!(back(both, "select `_s`.`f`(1) AS `a`,`_s`.`f`(2) AS `b`").is_ok());
    assert!(back("select 1", "select `d`.`t`.`a` AS `a` from `d`.`t`").is_err());
    assert!(back("select d.f(1)", "select `_s`.`f`(1) AS `Name_exp_1`").is_err());
    assert!(back("select d.f(1) name_exp_1", "select `_s`.`f`(1) AS `name_exp_1`").is_ok());
    let long = "x".repeat(LONGEST_NAME);
    assert!(back("select d.f(1)", &format!("select 1 AS `{long}`")).is_ok());
    assert!(
        back(
            "select `d`.f(1)",
            &format!("select 1 AS `_s{}`", "x".repeat(LONGEST_NAME - 2))
        )
        .is_err()
    );
}

#[test]
fn columns_without_a_name_are_told_from_products() {
    for unnamed in [
        "select * from t",
        "select a, t.* from t",
        "select distinct * from t",
        "select a from t natural join u",
        "select a from t join u using (b)",
        "table t",
    ] {
        assert!(takes_unnamed(&format!("{HEAD} v AS {unnamed}"), modes()), "{unnamed}");
    }
    for named in ["select a * 2, count(*) from t", "select '*'", "select a*b from t"] {
        assert!(!takes_unnamed(&format!("{HEAD} v AS {named}"), modes()), "{named}");
    }
}

#[test]
fn a_view_reads_its_own_database_wherever_it_is() {
    let sql = format!(
        "{HEAD}`d`.`d` AS select `d`.`t`.`d` AS `d`,`e`.`t`.`a` AS `a`,`d`.`f`(`x`.`d`) AS `d.f(d)` from `d`.`t` join `e`.`t` join `t` `d`"
    );
    let wanted = format!(
        "{HEAD}`n``m`.`d` AS select `n``m`.`t`.`d` AS `d`,`e`.`t`.`a` AS `a`,`n``m`.`f`(`x`.`d`) AS `d.f(d)` from `n``m`.`t` join `e`.`t` join `t` `d`"
    );
    assert_eq!(in_database(&sql, modes(), "d", "n`m"), Some(wanted));
    assert!(names_databases(&sql, modes()));
    assert!(!names_databases(
        &format!("{HEAD}`d`.`v` AS select `t`.`a` AS `a` from `t`"),
        modes()
    ));
}

#[test]
fn columns_are_called_as_the_list_says() {
    let called = |query: &str| columns(query, modes()).map(|names| names.join("|"));
    let query = "select `t`.`a` AS `a`,extract(year from `t`.`d`) AS `y, ``z`,(select 1 AS `x` from `u`) AS `q` from `t` join (select 2 AS `w`) `v`";
    assert_eq!(called(query).as_deref(), Some("a|y, `z|q"));
    assert_eq!(called("select 1 AS `1`").as_deref(), Some("1"));
    assert_eq!(called("select 1"), None);
    assert_eq!(called("(select 1 AS `1`) union (select 2 AS `2`)"), None);
}

#[test]
fn arguments_are_counted() {
    let count = |sql: &str| arguments(sql, modes(), "f");
    assert_eq!(count("select f()"), Some(0));
    assert_eq!(count("select d.`F` (a, g(b, c), (1, 2))"), Some(3));
    assert_eq!(count("select f, g(1)"), None);
    assert_eq!(count("select f(1, 2"), None);
}

#[test]
fn a_name_is_found_wherever_it_stands() {
    let sql = "CREATE OR REPLACE VIEW IF NOT EXISTS d . `a``b` (x) AS select 1";
    let wanted = "CREATE OR REPLACE VIEW IF NOT EXISTS d . `n` (x) AS select 1";
    assert_eq!(renamed(sql, modes(), "n").as_deref(), Some(wanted));
    assert_eq!(renamed("CREATE TABLE t (a int)", modes(), "n"), None);
}

proptest! {
    #[test]
    fn any_text_is_rewritten_or_refused(
        sql in "((CREATE|DEFINER|=|a|@|SQL|SECURITY|VIEW|IF|NOT|EXISTS|AS|SELECT|FROM|JOIN|FOR|TABLE|d|`d`|\\{|'x|\u{e4}|/\\*|\\*/|[.,()*])( |\\.)){0,20}",
    ) {
        if let Ok(moved) = moved(&sql, modes(), &TableName::new("_s", "v"), &Shadows) {
            let _ = moved.back(&sql, modes(), &Shadows);
        }
        let _ = (takes_unnamed(&sql, modes()), arguments(&sql, modes(), "a"));
    }
}
