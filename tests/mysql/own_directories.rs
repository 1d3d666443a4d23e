//! Tables with directories of their own, which MariaDB cannot move.

use brine::engine::point::RestorePoint;
use brine::model::filter::RenameMap;

use crate::server::{Kind, Server, servers};
use crate::world::World;

const TABLES: [&str; 6] = ["i", "p", "m", "a", "later", "ml"];

fn fill(s: &Server, dir: &str) {
    s.sql(&format!(
        "create database d; use d;
         create table i (id int primary key, v varchar(9)) data directory = '{dir}';
         create table p (id int primary key, v varchar(9)) partition by range (id)
           (partition p0 values less than (10) data directory = '{dir}' engine = innodb, partition p1 values less than (20) engine = innodb);
         create table m (id int primary key, v varchar(9)) engine = myisam data directory = '{dir}' index directory = '{dir}';
         create table a (id int primary key, v varchar(9)) engine = aria transactional = 0 data directory = '{dir}';"
    ));
    for name in ["i", "p", "m", "a"] {
        s.sql(&format!("insert into d.{name} values (1, 'base'), (12, 'base')"));
    }
}

fn rows(s: &Server, db: &str) -> Vec<Vec<String>> {
    let of = |name| s.column(&format!("select concat(id, v) from {db}.{name} order by id"));
    TABLES.map(of).to_vec()
}

#[test]
fn tables_with_directories_outlive_restarts_behind_a_restore() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let [s, other] = servers([kind, kind]);
        let own = tempfile::tempdir_in(s.dir()).unwrap();
        let dir = own.path().to_str().unwrap();
        fill(&s, dir);
        let (w, target) = (World::new(&s), World::target(&other));
        w.backup();
        w.start_log();
        s.sql(&format!(
            "use d; insert into i values (2, 'log'); insert into m values (2, 'log');
             create table later (id int primary key, v varchar(9)) data directory = '{dir}'; insert into later values (1, 'log');
             create table ml (id int primary key, v varchar(9)) engine = myisam data directory = '{dir}'; insert into ml values (1, 'log');
             alter table p add partition (partition p2 values less than (30) data directory = '{dir}' engine = innodb);
             insert into p values (25, 'log')"
        ));
        w.catch_up();
        let live = rows(&s, "d");
        let said = |warnings: &[String]| {
            for name in TABLES {
                let about = |w: &&String| w.starts_with(&format!("d.{name} is in the server's own data directory"));
                assert_eq!(
                    warnings.iter().filter(about).count(),
                    1,
                    "{kind:?}, {name}: {warnings:?}"
                );
            }
            assert_eq!(warnings.len(), TABLES.len(), "{kind:?}: {warnings:?}");
        };

        said(&w.restore_some(&target, RestorePoint::Latest, &["d.*"]).warnings);
        let beside = w.beside(RestorePoint::Latest, &["d.*"], RenameMap::parse(&["d=copy"]).unwrap());
        said(&beside.warnings);
        said(&w.in_place(RestorePoint::Latest).warnings);
        let again = w.in_place(RestorePoint::Latest);
        assert_eq!(
            again.warnings,
            Vec::<String>::new(),
            "{kind:?}: they have none any more"
        );
        let gone =
            s.column("select schema_name from information_schema.schemata where schema_name like '\\_brine\\_%'");
        assert_eq!(gone, Vec::<String>::new(), "{kind:?}");
        drop((w, target));
        for restart in 0..3 {
            assert_eq!(rows(&s, "d"), live, "{kind:?}: restarted {restart} times");
            assert_eq!(rows(&s, "copy"), live, "{kind:?}: restarted {restart} times");
            assert_eq!(rows(&other, "d"), live, "{kind:?}: restarted {restart} times");
            s.restart();
            other.restart();
        }
    }
}
