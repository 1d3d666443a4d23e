//! A member of a replication group: backed up like any other server, and never restored into, because the others would not notice.

use std::net::TcpListener;

use brine::cluster::mysql::Severity;
use brine::engine::point::RestorePoint;

use crate::look;
use crate::server::{Kind, Server, servers};
use crate::world::{World, chain};

/// A group of one.
fn found(s: &Server) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    s.sql(&format!(
        "install plugin group_replication soname 'group_replication.so';
         set global group_replication_group_name = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa';
         set global group_replication_local_address = '127.0.0.1:{port}';
         set global group_replication_group_seeds = '127.0.0.1:{port}';
         set global group_replication_bootstrap_group = on; start group_replication;
         set global group_replication_bootstrap_group = off"
    ));
}

#[test]
fn a_member_of_a_group_is_backed_up_and_not_restored_into() {
    let [s, spare] = servers([Kind::Mysql97, Kind::Mysql97]);
    found(&s);
    s.sql("create database d; create table d.t (a int primary key, v int); insert into d.t values (1, 1)");
    let (w, other) = (World::new(&s), World::target(&spare));
    let findings = w.c().check().unwrap();
    assert!(
        findings
            .iter()
            .any(|f| f.name == "group replication" && f.severity == Severity::Warning),
        "{findings:?}"
    );
    w.backup();
    w.start_log();
    s.sql("insert into d.t values (2, 2); alter table d.t add b int default 5; update d.t set v = 7 where a = 1");
    w.catch_up();
    let before = look::rows(&s);
    let e = chain(&w.try_in_place(RestorePoint::Latest).unwrap_err());
    assert!(e.contains("group replication"), "{e}");
    assert_eq!(s.value("select @@read_only"), "0");
    before.assert_same(&look::rows(&s), "refused");
    w.restore_to(&other, RestorePoint::Latest);
    before.assert_same(&look::rows(&spare), "from the member");
}
