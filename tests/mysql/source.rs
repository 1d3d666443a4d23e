//! The source of an archive: the right server, with the log that was read, and a clock that was not set back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brine::archive::state::{IncarnationsDoc, LogDoc};
use brine::cluster::mysql::{MysqlCluster, codec};
use brine::cluster::{Cluster, ClusterError, Mark};
use brine::engine::point::RestorePoint;
use brine::model::clock::SystemClock;
use brine::model::filter::RenameMap;
use brine::model::log::RunEnd;
use brine::model::position::{Moment, Position};
use brine::model::tso::Tso;
use brine::storage::ErrorKind;
use brine::storage::count::Call;
use brine::storage::faults::{Fault, FaultRule, Faults};
use brine::storage::memory::Memory;

use crate::log::{Follower, follow};
use crate::server::{Kind, Server, server, servers, servers_with};
use crate::world::{World, chain, snapshot};

/// The archive of one server, and another server in its place.
fn in_place_of(world: &World, other: &Server) -> World {
    World {
        name: world.name.clone(),
        log_options: world.log_options.clone(),
        split: world.split,
        archived: true,
        archive: world.archive.clone(),
        lock: world.lock.clone(),
        cluster: Arc::new(MysqlCluster::new(other.options(), Arc::new(SystemClock))),
    }
}

/// Rows enough that a log which began anew is longer than the old one was.
const ROWS: &str =
    "insert into d.t (v) values (repeat('x', 100)), (repeat('y', 100)); insert into d.t (v) values ('z')";
const TABLE: &str = "create database d; create table d.t (id int auto_increment primary key, v varchar(200))";

fn reset(server: &Server) {
    let files = server.column("show binary logs").len();
    // Files are told apart by the second in which they were begun.
    let second = server.value("select unix_timestamp()");
    while server.value("select unix_timestamp()") == second {}
    server.sql(match server.kind.is_mysql() {
        true => "reset binary logs and gtids",
        false => "reset master",
    });
    let number = |name: &str| name.rsplit('.').next().unwrap().parse::<usize>().unwrap();
    // The numbers of the old files, which may not have begun with 1.
    for _ in 0..files + 3 {
        if number(&server.column("show binary logs").pop().unwrap()) < files {
            server.sql("flush binary logs");
        }
    }
    (0..30).for_each(|_| drop(server.sql(ROWS)));
}

#[test]
fn a_log_with_holes_is_not_archived() {
    let follow = |kind: Kind| match kind.is_mysql() {
        true => "change replication source to source_host = '127.0.0.1', source_port = 1, source_user = 'x'",
        false => "change master to master_host = '127.0.0.1', master_port = 1, master_user = 'x'",
    };
    let stop = |kind: Kind| match kind.is_mysql() {
        true => "reset replica all",
        false => "reset slave all",
    };
    for (kind, options) in [
        (Kind::MariaDb1011, "--log-slave-updates=OFF"),
        (Kind::MariaDb118, "--log-slave-updates=OFF"),
        (Kind::Mysql97, "--log-replica-updates=OFF"),
    ] {
        let [s] = servers_with([kind], &[options]);
        s.sql(TABLE);
        let w = World::new(&s);
        w.backup();
        w.start_log();
        // It stands alone: all that is written comes from its own clients.
        w.catch_up();
        s.sql(follow(kind));
        let e = chain(&w.try_catch_up(&w.cx()).unwrap_err());
        assert!(e.contains("it follows 127.0.0.1"), "{kind:?}: {e}");
        s.sql(stop(kind));
        s.sql(ROWS);
        w.catch_up();
    }
    let [s] = servers_with([Kind::MariaDb1011], &["--binlog-ignore-db=scratch"]);
    s.sql(TABLE);
    let w = World::new(&s);
    w.backup();
    brine::engine::log::control::start(&w.archive, &w.lock).unwrap();
    let e = chain(&w.try_catch_up(&w.cx()).unwrap_err());
    assert!(e.contains("changes to scratch never reach the log"), "{e}");
}

#[test]
fn a_log_that_was_reset_is_noticed() {
    let by_place = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    for (kind, options) in [
        (Kind::Mysql97, &by_place[..]),
        (Kind::Mysql97, &[]),
        (Kind::MariaDb1011, &[]),
        (Kind::MariaDb118, &[]),
    ] {
        for with_log in [true, false] {
            let [s] = servers_with([kind], options);
            // One file, so that its number is the same afterwards.
            s.sql(match kind.is_mysql() {
                true => "reset binary logs and gtids",
                false => "reset master",
            });
            s.sql(TABLE);
            let w = World::new(&s);
            w.backup();
            w.start_log();
            if with_log {
                s.sql(ROWS);
                w.catch_up();
            }
            reset(&s);
            let what = format!("{kind:?} {options:?}, transactions archived: {with_log}");
            if kind.is_mysql() {
                if !with_log && options.is_empty() {
                    // The places of GTIDs are numbers only; nothing was archived that could be compared.
                    continue;
                }
                w.catch_up();
                let doc = w.log_doc();
                let ends: Vec<_> = doc.runs.iter().map(|r| r.ended.clone()).collect();
                assert_eq!(ends, [Some(RunEnd::SourceLogGone), None], "{what}");
            } else if with_log {
                let e = chain(&w.try_catch_up(&w.cx()).unwrap_err());
                assert!(
                    e.contains("its log was reset") && e.contains("cluster adopt"),
                    "{what}: {e}"
                );
                let e = chain(&w.try_backup().unwrap_err());
                assert!(e.contains("its log was reset"), "{what}: {e}");
            }
        }
    }
}

#[test]
fn a_log_that_is_reset_while_it_is_read_ends_the_stream() {
    let by_place = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    for (kind, options) in [
        (Kind::Mysql97, &by_place[..]),
        (Kind::Mysql97, &[]),
        (Kind::MariaDb1011, &[]),
        (Kind::MariaDb118, &[]),
    ] {
        let [s] = servers_with([kind], options);
        s.sql(TABLE);
        let mut follower = Follower::new(&s);
        (0..40).for_each(|_| drop(s.sql(ROWS)));
        follower.catch_up();
        s.sql(match kind.is_mysql() {
            true => "reset binary logs and gtids",
            false => "reset master",
        });
        s.sql("insert into d.t (v) values ('behind the reset')");
        let seen = follower.txns.len();
        let deadline = Instant::now() + Duration::from_secs(40);
        while follower.step().is_ok() {
            assert!(Instant::now() < deadline, "{kind:?} {options:?}: nothing is said");
        }
        assert_eq!(follower.txns.len(), seen, "{kind:?} {options:?}");
        let e = follower.cluster.changes(&follower.last, &[]).map(|_| ()).unwrap_err();
        let gone = matches!(e, ClusterError::LogGone { .. });
        let other = matches!(e, ClusterError::OtherServer(_));
        assert!(if kind.is_mysql() { gone } else { other }, "{kind:?} {options:?}: {e}");
    }
}

#[test]
fn another_server_of_the_same_numbers_is_refused() {
    for kind in [Kind::MariaDb1011, Kind::MariaDb118] {
        let [mine, other] = servers_with([kind, kind], &["--server-id=1"]);
        for s in [&mine, &other] {
            s.sql(TABLE);
        }
        let w = World::new(&mine);
        w.backup();
        w.start_log();
        mine.sql(ROWS);
        w.catch_up();
        let before = w.log_doc();
        // Another second, and more of them.
        let second = other.value("select unix_timestamp()");
        while other.value("select unix_timestamp()") == second {}
        (0..5).for_each(|_| drop(other.sql(ROWS)));
        let wrong = in_place_of(&w, &other);
        for e in [
            chain(&wrong.try_catch_up(&w.cx()).unwrap_err()),
            chain(&wrong.try_backup().unwrap_err()),
        ] {
            assert!(e.contains("is not the server that was archived"), "{kind:?}: {e}");
            assert!(e.contains(&other.socket().display().to_string()), "{kind:?}: {e}");
        }
        assert_eq!(w.log_doc().runs, before.runs);
        mine.sql(ROWS);
        w.catch_up();
        assert_eq!(w.log_doc().runs.len(), 1, "the right one goes on");
    }
}

#[test]
fn a_replica_that_took_over_is_known_again() {
    for kind in Kind::ALL {
        let [first, second] = servers_with([kind, kind], &["--log-slave-updates=1"]);
        first.sql("create user repl@'%' identified by 'repl'; grant replication slave on *.* to repl@'%'");
        first.sql(TABLE);
        follow(&second, &first);
        let w = World::new(&first);
        w.backup();
        w.start_log();
        first.sql(ROWS);
        w.catch_up();
        let rows = first.value("select count(*) from d.t");
        let deadline = Instant::now() + Duration::from_secs(60);
        while second.try_sql("select count(*) from d.t").unwrap_or_default().trim() != rows {
            assert!(Instant::now() < deadline, "{kind:?}: it does not replicate");
        }
        first.kill();
        second.sql(if kind.is_mysql() { "stop replica" } else { "stop slave" });
        second.sql(ROWS);
        let next = in_place_of(&w, &second);
        next.catch_up();
        assert_eq!(next.log_doc().runs.len(), 1, "{kind:?}");
        let (entries, ended) = (next.log_doc().segments, next.log_doc().runs[0].ended.clone());
        assert!(entries >= 2 && ended.is_none(), "{kind:?}: {entries} {ended:?}");
    }
}

#[test]
fn the_marker_of_a_restore_beside_has_its_exact_place() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d; create table d.t (id int auto_increment primary key, v int); create table d.small (a int primary key)");
        let w = World::new(&s);
        let base = w.backup();
        w.start_log();
        let start = w.c().mark().unwrap();
        let mut follower = Follower::of(w.c().clone(), start);
        let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut session = s.session();
                    while !done.load(Ordering::SeqCst) {
                        session.run("insert into d.t (v) values (1); select 1");
                        written.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            for n in 0..3 {
                let rename = RenameMap::parse(&[format!("d.small=d.small{n}")]).unwrap();
                w.beside(snapshot(&base.id), &["d.small"], rename);
                if n == 1 {
                    s.sql("flush binary logs");
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        follower.catch_up();
        let began = w.archive.state::<IncarnationsDoc>().unwrap().value.list;
        assert_eq!(began.len(), 3, "{kind:?}");
        assert_eq!(follower.restored.len(), 3, "{kind:?}");
        assert!(follower.txns.len() as u64 >= written.load(Ordering::SeqCst));
        for (mark, incarnation) in follower.restored.iter().zip(&began) {
            assert_eq!(mark.moment, incarnation.began, "{kind:?}");
            for txn in &follower.txns {
                let covered = codec().covers(&incarnation.began_position, &txn.id).unwrap();
                assert_eq!(
                    covered,
                    txn.commit <= incarnation.began,
                    "{kind:?}: {} and {incarnation:?}",
                    txn.id
                );
            }
        }
    }
}

#[test]
fn an_idle_server_moves_the_checkpoint() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql(TABLE);
        let mut follower = Follower::new(&s);
        let deadline = Instant::now() + Duration::from_secs(30);
        while follower.reached.len() < 3 {
            follower.step().unwrap();
            assert!(Instant::now() < deadline, "{kind:?}");
        }
        assert!(follower.txns.is_empty());
        for pair in follower.reached.windows(2) {
            assert!(pair[0].moment < pair[1].moment, "{kind:?}");
        }
        let (first, last) = (&follower.reached[0], follower.reached.last().unwrap());
        assert_eq!(first.position, last.position, "{kind:?}");
    }
}

#[test]
fn a_snapshot_is_dated_behind_the_checkpoint_or_refused() {
    let s = server(Kind::MariaDb1011);
    s.sql(TABLE);
    let w = World::new(&s);
    w.backup();
    w.start_log();
    let ahead = |by: i64| {
        w.archive
            .update(&w.lock, |doc: &mut LogDoc| {
                let run = doc.runs.last_mut().unwrap();
                run.to = Moment::of_tso(Tso::last_of_millis(run.to.at.plus(by)));
            })
            .unwrap();
        w.log_doc().runs.last().unwrap().to
    };
    let checkpoint = ahead(1_500);
    assert!(w.backup().commit > checkpoint);
    ahead(3_600_000);
    let e = chain(&w.try_backup().unwrap_err());
    assert!(e.contains("clock went back"), "{e}");
    assert_eq!(w.view().backups.len(), 2);
}

#[test]
fn a_backup_that_failed_leaves_nothing_where_nobody_could_go_on_with_it() {
    let s = server(Kind::MariaDb1011);
    s.sql(TABLE);
    s.sql(ROWS);
    s.sql("create table d.other (id int primary key, t longtext); insert into d.other select a, repeat(uuid(), 2000) from (select id as a from d.t) x");
    let storage = Faults::new(Arc::new(Memory::new()));
    let w = World::on(s.options(), "shop", Arc::new(storage.clone()));
    let good = w.backup();
    // From some write on the storage is full; what is there can still be deleted.
    for nth in [1, 2] {
        storage.add(FaultRule {
            call: Some(Call::Finish),
            nth,
            times: u64::MAX,
            fault: Fault::Fail(ErrorKind::Full),
        });
        let e = chain(&w.try_backup().unwrap_err());
        assert!(e.contains("injected"), "{e}");
        storage.clear();
        let there: Vec<_> = w.archive.snapshots().unwrap().into_iter().map(|d| d.id).collect();
        assert_eq!(there, std::slice::from_ref(&good.id), "write {nth}");
    }
    w.backup();
}

#[test]
fn turning_gtids_on_or_off_is_a_gap() {
    let [s] = servers_with([Kind::Mysql97], &["--gtid-mode=OFF_PERMISSIVE"]);
    s.sql(TABLE);
    let w = World::new(&s);
    w.backup();
    w.start_log();
    s.sql(ROWS);
    w.catch_up();
    let Position::Binlog { gtid, begun, .. } = w.log_doc().runs[0].to_position.clone() else {
        panic!("no place")
    };
    assert!(gtid.is_empty() && begun.is_some());
    s.sql("set global gtid_mode = on_permissive; set global gtid_mode = on");
    s.sql(ROWS);
    w.catch_up();
    let ends: Vec<_> = w.log_doc().runs.into_iter().map(|r| r.ended).collect();
    assert_eq!(ends, [Some(RunEnd::SourceLogGone), None]);
    let base = w.backup();
    s.sql(ROWS);
    w.catch_up();
    let [t] = servers([Kind::Mysql97]);
    let target = World::target(&t);
    w.restore_to(&target, RestorePoint::Latest);
    let count = "select count(*) from d.t";
    assert_eq!(t.value(count), s.value(count));
    assert!(w.view().backups.iter().any(|b| b.id == base.id));
}

/// An empty server in the place of the one that has stopped.
fn make_anew(s: &Server, option: &str) {
    let data = s.dir().join("data");
    std::fs::remove_dir_all(&data).unwrap();
    let made = std::process::Command::new(s.kind.program("mysqld"))
        .args(["--no-defaults", "--initialize-insecure", "--user=root", option])
        .arg(format!("--datadir={}", data.display()))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn a_server_that_folds_names_is_refused_everywhere() {
    for kind in Kind::ALL {
        let [plain, folding] = servers([kind, kind]);
        plain.sql(TABLE);
        folding.sql(TABLE);
        let w = World::new(&folding);
        let before = w.c().mark().unwrap();
        folding.stop();
        if kind.is_mysql() {
            // It keeps to what it was made with.
            make_anew(&folding, "--lower-case-table-names=1");
        }
        folding.up_with(&["--lower-case-table-names=1"]);
        let findings = w.c().check().unwrap();
        assert!(findings.iter().any(|f| f.name == "lower_case_table_names"), "{kind:?}");
        let refused = [
            chain(&w.try_backup().unwrap_err()),
            chain(&w.c().changes(&before, &[]).map(|_| ()).unwrap_err()),
        ];
        for e in refused {
            assert!(e.contains("lower_case_table_names is 1"), "{kind:?}: {e}");
        }
        let source = World::new(&plain);
        let base = source.backup();
        let request = source.request_to(&w, snapshot(&base.id));
        let plan = source.plan_to(&request, &w);
        let said = match &plan {
            Ok(plan) => serde_json::to_string(plan).unwrap(),
            Err(e) => chain(e),
        };
        assert!(said.contains("lower_case_table_names is 1"), "{kind:?}: {said}");
        assert!(source.try_restore(&request, &w).is_err(), "{kind:?}");
    }
}

#[test]
fn a_place_that_a_stream_cannot_begin_at_is_reached_from_the_beginning_of_its_file() {
    let [s] = servers_with([Kind::Mysql97], &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]);
    s.sql(TABLE);
    let mut follower = Follower::new(&s);
    (0..5).for_each(|_| drop(s.sql(ROWS)));
    s.sql("flush binary logs");
    (0..2).for_each(|_| drop(s.sql(ROWS)));
    follower.catch_up();
    let ids = follower.ids();
    assert_eq!(ids.len(), 14);
    let mut options = s.options();
    options.reach = 300;
    let places = follower.txns.iter().map(|t| (t.commit, t.position.clone()));
    for (at, (moment, position)) in places.enumerate() {
        let cluster = Arc::new(MysqlCluster::new(options.clone(), Arc::new(SystemClock)));
        let mut again = Follower::of(cluster, Mark { moment, position });
        again.catch_up();
        assert_eq!(again.ids(), ids[at + 1..], "behind {at}");
        again.check_order();
    }
    // No event of the file ends there.
    let Position::Binlog {
        file, offset, begun, ..
    } = follower.txns[3].position.clone()
    else {
        panic!("no place")
    };
    let between = Position::Binlog {
        gtid: String::new(),
        file,
        offset: offset - 1,
        begun,
        unlogged: None,
    };
    let cluster = MysqlCluster::new(options, Arc::new(SystemClock));
    let mark = Mark {
        moment: follower.txns[3].commit,
        position: between,
    };
    let e = cluster.changes(&mark, &[]).map(|_| ()).unwrap_err();
    assert!(matches!(e, ClusterError::LogGone { .. }), "{e}");
}
