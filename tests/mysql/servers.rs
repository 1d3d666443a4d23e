//! The harness itself: servers start, survive what the tests do to them, and the witness sees every difference.

use crate::dataset;
use crate::look;
use crate::server::{Kind, server};

#[test]
fn servers_keep_their_data_over_a_restart_and_a_kill() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d; create table d.t (a int primary key); insert into d.t values (1)");
        s.restart();
        s.sql("insert into d.t values (2)");
        let (pid, mut session) = (s.pid(), s.session());
        assert_eq!(session.run("select count(*) from d.t"), ["2"]);
        s.kill();
        assert_eq!(session.try_run("select 1"), None);
        s.up();
        assert_ne!(s.pid(), pid);
        assert_eq!(s.column("select a from d.t order by a"), ["1", "2"]);
        assert!(s.try_sql("select nonsense").unwrap_err().contains("nonsense"));
    }
}

#[test]
fn the_witness_sees_every_kind_of_difference() {
    for kind in Kind::ALL {
        let s = server(kind);
        dataset::fill(&s);
        let before = look::everything(&s);
        assert!(before.0.len() > 150, "{}", before.0.len());
        before.assert_same(&look::everything(&s), "looked at twice");
        let mut changes = vec![
            ("rows `fid`.`reals`", "update fid.reals set f = f + 1e-7 where id = 5"),
            ("rows `fid`.`ints`", "update fid.ints set o = o ^ 1 where id = 1"),
            (
                "rows `fid`.`times`",
                "update fid.times set t6 = addtime(t6, '0.000001') where id = 3",
            ),
            ("rows `fid`.`texts`", "update fid.texts set c = 'ABC' where id = 3"),
            (
                "rows `fid`.`big`",
                "update fid.big set b = insert(b, 20000000, 1, 'q') where id = 1",
            ),
            ("rows `fid`.`hidden`", "update fid.hidden set a = 9 where id = 2"),
            ("rows `fid`.`no_key`", "delete from fid.no_key where a is null limit 1"),
            (
                "table `fid`.`auto_high`",
                "alter table fid.auto_high auto_increment = 2000000000",
            ),
            ("table `fid`.`commented`", "alter table fid.commented comment 'other'"),
            ("table `fid`.`latin`", "alter table fid.latin drop key v"),
            ("event `fid`.`ev_off`", "alter event fid.ev_off enable"),
            ("triggers", "drop trigger fid.t_third"),
            ("procedure `fid`.`p_plain`", "alter procedure fid.p_plain comment 'x'"),
            ("view `fid`.`v_literals`", "drop view fid.v_literals"),
            (
                "database `empty-db`",
                "alter database `empty-db` collate utf8mb4_general_ci",
            ),
            ("rows `日本語`.`表`", "drop database `日本語`"),
            ("account 'app'@'%'", "grant select on fid.num to 'app'@'%'"),
            (
                "account 'limits'@'%'",
                "alter user 'limits'@'%' with max_user_connections 4",
            ),
            ("account 'writer'", "drop role writer"),
        ];
        if kind.is_mysql() {
            changes.push((
                "rows `my`.`js_real`",
                "update my.js_real set j = json_set(j, '$.z', 2) where id = 1",
            ));
            changes.push((
                "rows `my`.`made_key`",
                "update my.made_key set b = 'other' where my_row_id = 2",
            ));
        } else {
            changes.push(("rows `maria`.`s_used`", "do setval(maria.s_used, 5000)"));
            changes.push((
                "rows `maria`.`history_plain`",
                "set session system_versioning_insert_history = 1; insert into maria.history_plain (id, v, row_start, row_end) \
                 values (9, 9, '2020-01-01', '2020-01-02')",
            ));
            changes.push((
                "rows `maria`.`ids`",
                "update maria.ids set u = '00000000-0000-0000-0000-000000000001' where id = 1001",
            ));
        }
        for (_, change) in &changes {
            s.sql(change);
        }
        let diff = before.diff(&look::everything(&s));
        for (name, change) in changes {
            let name = if kind.is_mysql() {
                name.replace("'writer'", "'writer'@'%'")
            } else {
                name.to_owned()
            };
            assert!(
                diff.contains(&format!(": {name}")),
                "{kind:?}: {change} was not seen:\n{diff}"
            );
        }
    }
}
