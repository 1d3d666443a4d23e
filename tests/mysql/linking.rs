//! Keys that servers make for foreign keys: they drop and rename them by themselves, and so does a restored server.

use brine::engine::point::RestorePoint;

use crate::replay::{comparable, through_the_log};
use crate::server::{Kind, Server, servers};
use crate::world::{World, snapshot};

const BASE: &str = "create database d; use d;
create table par (id int primary key, a int, b int, unique (a, b)); insert into par values (1, 1, 1), (2, 2, 2);
create table bare (id int primary key, p int, v int, foreign key (p) references par (id), key (v)); insert into bare values (1, 1, 1);
create table named (id int primary key, p int, v int, constraint fk_n foreign key (p) references par (id), key a (v), key z (v, p));
create table twice (id int primary key, p int, constraint tw_a foreign key (p) references par (id), constraint tw_b foreign key (p) references par (id));
create table indexed (id int primary key, p int, foreign key jj (p) references par (id));
create table self (id int primary key, up int, v int, foreign key (up) references self (id) on delete cascade, key (v));
insert into self values (1, null, 1), (2, 1, 2);
create table composite (id int primary key, a int, b int, foreign key (a) references par (id), foreign key (a, b) references par (a, b));
create table dumped (id int primary key, p int, key fk_d (p), constraint fk_d foreign key (p) references par (id));
create table explicit (id int primary key, p int, key p (p), foreign key (p) references par (id));
create table gaps (id int primary key, p int, q int, foreign key (p) references par (id), foreign key (q) references par (id));
alter table gaps drop foreign key gaps_ibfk_1;
create table p (id int primary key, p int, constraint p foreign key (p) references par (id));
create table renamed_old (id int primary key, p int, foreign key (p) references par (id)); rename table renamed_old to renamed;
create table other (id int primary key, p int, constraint bare foreign key (p) references bare (id));
create table odd (id int primary key, p int, q int, constraint `a``) (``b` foreign key (q) references odd (id), constraint `f``k` foreign key (p) references par (id)); insert into odd values (1, 1, 1)";

const MARIADB: &str = "use d;
create table up (id int primary key, q int, r int, foreign key (q) references par (id), key (r));
create table down (id int primary key, q int, foreign key (q) references up (q), r int, foreign key (r) references up (r));
create table history (id int primary key, p int, v int, foreign key (p) references par (id), key (v)) with system versioning;
insert into history values (1, 1, 1); update history set v = 2";

/// Usual migrations; each of them meets a key that a foreign key made.
const WORK: &str = "use d;
alter table bare add index p (p); alter table named add index idx_p (p); alter table twice add index idx_p (p);
alter table indexed add index jj (p); alter table self add index up (up, v); alter table composite add index idx_ab (a, b);
alter table dumped add index idx_p (p); alter table explicit add index idx_p (p);
alter table gaps drop foreign key gaps_ibfk_2, add constraint fkx foreign key (q) references par (id), add index idx_p (p);
alter table p drop foreign key p; alter table p add constraint fk_p foreign key (p) references par (id);
alter table p drop foreign key fk_p; alter table p drop index fk_p;
alter table renamed add index idx_p (p); create index made on other (p);
alter table odd drop foreign key `f``k`, add v int, add index (v); alter table odd add constraint `g``` foreign key (p) references par (id)";

const MARIADB_WORK: &str = "use d; alter table up add index idx_q (q, r); alter table history add index idx_p (p)";

#[test]
fn keys_of_foreign_keys_go_and_change_as_at_the_source() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let (before, work) = match kind.is_mysql() {
            true => (BASE.to_owned(), vec![WORK]),
            false => (format!("{BASE};\n{MARIADB}"), vec![WORK, MARIADB_WORK]),
        };
        // From the log.
        let warnings = through_the_log(&source, &spare, &before, &work);
        assert_eq!(warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
    }
}

#[test]
fn restored_tables_are_altered_as_those_of_the_source() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(BASE);
        if !kind.is_mysql() {
            source.sql(MARIADB);
        }
        let base = w.backup();
        w.restore_to(&other, snapshot(&base.id));
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
        for server in [&source, &spare] {
            server.sql(WORK);
            if !kind.is_mysql() {
                server.sql(MARIADB_WORK);
            }
        }
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?} after the same work"));
    }
}

/// Without the parent there is no foreign key in the build, and the keys keep their names.
#[test]
fn a_child_alone_keeps_its_keys() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(BASE);
        spare.sql(BASE);
        w.backup();
        w.start_log();
        source.sql("insert into d.named values (5, 1, 1)");
        w.catch_up();
        let tables = ["d.bare", "d.named", "d.twice", "d.indexed"];
        // The child of one of them stays, and refers to the new one.
        w.restore_some(&other, RestorePoint::Latest, &tables);
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
        // The parent of all is replaced under them.
        w.restore_some(&other, RestorePoint::Latest, &["d.par"]);
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}: the parent"));
    }
}

/// The child is in one database, the session in another or in none.
#[test]
fn a_parent_without_a_database_is_the_one_beside_the_child() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.sql(
            "create database a; create table a.par (id int primary key); insert into a.par values (1);
             create database b; create table b.par (id int primary key); insert into b.par values (2);
             create table b.had (id int primary key, p int); create table b.none (id int primary key, p int)",
        );
        let (w, other) = (World::new(&source), World::target(&spare));
        w.backup();
        w.start_log();
        source.sql(
            "create table b.child (id int primary key, p int, constraint c_none foreign key (p) references par (id)); insert into b.child values (1, 2);
             alter table b.none add constraint n_none foreign key (p) references par (id); insert into b.none values (1, 2);
             use a; create table b.chi (id int primary key, p int, constraint c_a foreign key (p) references par (id)); insert into b.chi values (1, 2);
             alter table b.had add constraint h_a foreign key (p) references par (id); insert into b.had values (1, 2)",
        );
        w.catch_up();
        w.restore_to(&other, RestorePoint::Latest);
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
    }
}

/// MariaDB shows foreign keys without doubling the backticks in their names and columns, MySQL with them.
const ODD: &str = "create database d; create database `e``e`; use d; create table `p``x` (`i``d` int primary key, `k``` int, a int, unique key (`k```), unique key (a));
create table `e``e`.`q``q` (id int primary key); insert into `p``x` values (1, 1, 1); insert into `e``e`.`q``q` values (1);
create table t (id int primary key, a int, `a``b` int, `x`` FOREIGN KEY (``y` int, s varchar(90), constraint `f``k` foreign key (`a``b`) references `p``x` (`i``d`) on delete cascade on update set null,
constraint `f````k` foreign key (a) references `p``x` (`k```) on update no action, constraint `x`` FOREIGN KEY (``y` foreign key (a) references `e``e`.`q``q` (id),
constraint `f``
``k` foreign key (`x`` FOREIGN KEY (``y`) references `p``x` (a) on delete set null, constraint `CONSTRAINT ``x`` FOREIGN KEY (``id``) REFERENCES ``p`` (``id``)` foreign key (a) references t (id),
constraint ```````````````` foreign key (id) references `e``e`.`q``q` (id),
constraint ck check (s <> '
  CONSTRAINT `a`b` FOREIGN KEY (`id`) REFERENCES `p` (`id`)'));
insert into t values (1, 1, 1, 1, 'x'); create table plain (id int primary key, constraint fk_p foreign key (id) references t (id))";

const ODD_WORK: &str = "use d; alter table t add v int; insert into `e``e`.`q``q` values (2); insert into t values (2, 1, 1, 1, 'y', 1); alter table plain add constraint `m``n` foreign key (id) references t (id);
create table late (id int primary key, `l``` int, constraint `l````` foreign key (`l```) references `p``x` (`i``d`))";

fn foreign_keys(s: &Server) -> Vec<String> {
    s.column(
        "select concat_ws(' ', k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name, \
         k.referenced_column_name, r.update_rule, r.delete_rule) from information_schema.key_column_usage k \
         join information_schema.referential_constraints r using (constraint_schema, constraint_name, table_name) \
         where k.table_schema = 'd' and k.referenced_table_name is not null order by 1",
    )
}

#[test]
fn foreign_keys_with_backticks_come_back_as_they_were() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(ODD);
        let base = w.backup();
        w.start_log();
        let then = foreign_keys(&source);
        assert_eq!(then.len(), 7, "{kind:?}: {then:?}");
        w.restore_to(&other, snapshot(&base.id));
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
        assert_eq!(foreign_keys(&spare), then, "{kind:?}");
        source.sql(ODD_WORK);
        w.catch_up();
        spare.sql("drop database d; drop database `e``e`");
        w.restore_to(&other, RestorePoint::Latest);
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}, from the log"));
        assert_eq!(foreign_keys(&spare), foreign_keys(&source), "{kind:?}, from the log");
        w.in_place(snapshot(&base.id));
        assert_eq!(foreign_keys(&source), then, "{kind:?}, in place");
    }
}
