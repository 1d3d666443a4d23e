//! A server that follows another and logs nothing of it: its log holds no longer what its tables hold.

use std::time::{Duration, Instant};

use brine::cluster::{Cluster, ClusterError};
use brine::engine::log::status::{Runner, status};
use brine::engine::point::RestorePoint;
use brine::model::clock::{Clock, SystemClock};
use brine::model::log::RunEnd;

use crate::log::{Follower, follow};
use crate::look;
use crate::server::{Kind, Server, servers_with};
use crate::world::{World, chain};

const OFF: &str = "--log-slave-updates=OFF";
const BY_PLACE: [&str; 3] = [OFF, "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];

/// A source with an account for replicas, and the one that follows it by and by.
fn two(kind: Kind, options: &[&str]) -> [Server; 2] {
    let [source, s] = servers_with([kind, kind], options);
    source.sql("create user repl@'%' identified by 'repl'; grant replication slave on *.* to repl@'%'");
    if kind.is_mysql() && !options.contains(&BY_PLACE[1]) {
        // Or it would make the account there as well.
        source.sql("reset binary logs and gtids");
    }
    s.sql("create database d; create table d.t (a int auto_increment primary key)");
    (0..5).for_each(|_| drop(s.sql("insert into d.t values ()")));
    [source, s]
}

/// It follows until it has what the source has written.
fn take_in(s: &Server, source: &Server, name: &str) {
    if s.value("select @@log_bin") == "1" && source.kind.is_mysql() && s.value("select @@gtid_mode") == "OFF" {
        let sql = format!(
            "change replication source to source_host = '127.0.0.1', source_port = {}, source_user = 'repl', \
             source_password = 'repl', get_source_public_key = 1, source_log_file = '{}', source_log_pos = {}; start replica",
            source.port,
            source.column("show binary log status").pop().unwrap(),
            source.rows("show binary log status")[0][1],
        );
        s.sql(&sql);
    } else {
        follow(s, source);
    }
    source.sql(&format!(
        "create database {name}; create table {name}.t (a int primary key); insert into {name}.t values (1)"
    ));
    let deadline = Instant::now() + Duration::from_secs(60);
    while s.try_sql(&format!("select a from {name}.t")).unwrap_or_default().trim() != "1" {
        assert!(Instant::now() < deadline, "{:?}: it does not replicate", s.kind);
    }
}

fn stand_alone(s: &Server) {
    s.sql(match s.kind.is_mysql() {
        true => "stop replica; reset replica all",
        false => "stop slave; reset slave all",
    });
}

fn needed(w: &World) -> Option<String> {
    status(&w.view(), Runner::default(), SystemClock.now()).needs_base
}

#[test]
fn what_it_took_in_while_nobody_read_its_log_is_a_gap() {
    for kind in Kind::ALL {
        let [source, s] = two(kind, &[OFF]);
        // Long ago it was a replica as well.
        take_in(&s, &source, "early");
        stand_alone(&s);
        let w = World::new(&s);
        w.backup();
        w.start_log();
        s.sql("insert into d.t values ()");
        w.catch_up();
        s.restart();
        s.sql("insert into d.t values ()");
        w.catch_up();
        assert_eq!(
            (w.log_doc().runs.len(), needed(&w)),
            (1, None),
            "{kind:?}: {:?}",
            w.log_doc()
        );

        take_in(&s, &source, "late");
        let e = chain(&w.try_catch_up(&w.cx()).unwrap_err());
        assert!(e.contains("it follows 127.0.0.1"), "{kind:?}: {e}");
        let e = chain(&w.c().check_log().unwrap_err());
        assert!(e.contains("it follows 127.0.0.1"), "{kind:?}: {e}");
        stand_alone(&s);
        s.sql("insert into d.t values ()");
        w.catch_up();
        let ends: Vec<_> = w.log_doc().runs.into_iter().map(|r| r.ended).collect();
        assert_eq!(ends, [Some(RunEnd::SourceLogGone), None], "{kind:?}");
        let why = needed(&w).unwrap();
        assert!(why.contains("take a snapshot"), "{kind:?}: {why}");

        drop(source);
        w.backup();
        s.sql("insert into d.t values ()");
        w.catch_up();
        assert_eq!((w.log_doc().runs.len(), needed(&w)), (2, None), "{kind:?}");
    }
}

#[test]
fn what_it_takes_in_while_its_log_is_read_ends_the_stream() {
    for (kind, options) in [
        (Kind::MariaDb1011, &[OFF][..]),
        (Kind::MariaDb118, &[OFF]),
        (Kind::Mysql97, &[OFF]),
        (Kind::Mysql97, &BY_PLACE),
    ] {
        let [source, s] = two(kind, options);
        let mut follower = Follower::new(&s);
        s.sql("insert into d.t values ()");
        follower.catch_up();
        take_in(&s, &source, "late");
        let deadline = Instant::now() + Duration::from_secs(30);
        let e = loop {
            match follower.step() {
                Err(e) => break e,
                Ok(_) => assert!(Instant::now() < deadline, "{kind:?} {options:?}: nothing is said"),
            }
        };
        assert!(matches!(e, ClusterError::LogLacks(..)), "{kind:?} {options:?}: {e}");
        assert!(e.ends_log() && e.to_string().contains("take a new snapshot"), "{e}");
    }
}

#[test]
fn the_log_does_not_begin_at_a_snapshot_of_a_server_that_took_in_more() {
    for (kind, options) in [
        (Kind::MariaDb1011, &[OFF][..]),
        (Kind::Mysql97, &[OFF]),
        (Kind::Mysql97, &BY_PLACE),
    ] {
        let [source, s] = two(kind, options);
        take_in(&s, &source, "early");
        let w = World::new(&s);
        let base = w.backup();
        source.sql("insert into early.t values (2)");
        let deadline = Instant::now() + Duration::from_secs(60);
        while s.column("select a from early.t").len() < 2 {
            assert!(Instant::now() < deadline, "{kind:?}: it does not replicate");
        }
        // As the hint says: from now on it logs what comes, if it follows anybody.
        s.stop();
        s.up_with(&["--log-slave-updates=ON"]);
        w.start_log();
        s.sql("insert into d.t values ()");
        w.catch_up();
        assert!(needed(&w).unwrap().contains("take a snapshot"), "{kind:?} {options:?}");
        assert!(w.log_doc().runs[0].from > base.commit);
        w.backup();
        w.catch_up();
        assert_eq!(needed(&w), None, "{kind:?} {options:?}");
        if kind == Kind::MariaDb1011 {
            stand_alone(&s);
            drop(source);
            w.in_place(RestorePoint::Latest);
            assert_eq!(s.column("select a from early.t"), ["1", "2"]);
            drop(look::everything(&s));
        }
    }
}
