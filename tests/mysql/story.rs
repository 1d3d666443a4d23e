//! What migration tools and administrators do every day, restored from the log.

use brine::engine::point::RestorePoint;

use crate::look;
use crate::server::{Kind, servers};
use crate::world::World;

const BEFORE: &str = "create database w; use w;
create table t (id int primary key, v int); create table t_new like t;
create trigger tr before insert on t for each row set new.v = 1;
create table par (id int primary key); create table chi (id int primary key, p int, constraint fk_chi foreign key (p) references par (id));
create table nokey (a int, b varchar(20));
insert into nokey values (3, 'c'), (1, 'a'), (2, 'b'), (9, 'i'), (5, 'e');
create user lockme@'%' identified by 'x'; create user xroot@localhost identified by 'y'; create user old_name@'%' identified by 'z'";

/// A session without a default database, as such tools have.
const WORK: &str = "rename table w.t to w.t_old, w.t_new to w.t;
insert into w.t values (1, 7); insert into w.t_old values (2, 9);
create procedure w.p1() select 1; create view w.vq as select * from w.t;
alter user lockme@'%' account lock; drop user xroot@localhost; rename user old_name@'%' to new_name@'%';
create table w.ctas as select * from w.t;
alter table w.nokey add id int auto_increment primary key; update w.nokey set b = 'x' where id = 2; delete from w.nokey where id = 4;";

#[test]
fn what_is_done_every_day_comes_back() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(BEFORE);
        w.backup();
        w.start_log();
        // MySQL drops a parent together with its child.
        let drop = if kind.is_mysql() {
            "drop table w.par, w.chi"
        } else {
            "drop table w.chi, w.par"
        };
        source.sql(&format!("{WORK} {drop}"));
        w.catch_up();
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        assert_eq!(receipt.warnings, Vec::<String>::new(), "nothing was left out");
        let comparable =
            |look: look::Look| look.only(|name| !["account 'root'@'localhost'", "account privileges"].contains(&name));
        comparable(look::everything(&source)).assert_same(&comparable(look::everything(&spare)), "everything");
    }
}
