//! The change log of real servers: every transaction once, in order, dated so that moments and positions agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brine::cluster::mysql::binlog::{marker, payload};
use brine::cluster::mysql::{MysqlCluster, codec};
use brine::cluster::{Changes, Cluster, ClusterError, LogEvent, Mark, Txn};
use brine::model::clock::{Clock, SystemClock};
use brine::model::position::{Moment, Position};
use brine::model::tso::Tso;

use crate::server::{Kind, Server, server, servers, servers_with};

fn cluster(server: &Server) -> MysqlCluster {
    MysqlCluster::new(server.options(), Arc::new(SystemClock))
}

/// A cluster, its stream, and what has come.
pub struct Follower {
    pub cluster: Arc<MysqlCluster>,
    stream: Box<dyn Changes>,
    /// Where the stream goes on after it was lost.
    pub last: Mark,
    pub txns: Vec<Txn>,
    pub reached: Vec<Mark>,
    pub restored: Vec<Mark>,
}

impl Follower {
    pub fn new(server: &Server) -> Follower {
        let cluster = cluster(server);
        let last = cluster.mark().unwrap();
        Follower::at(cluster, last)
    }

    fn at(cluster: MysqlCluster, last: Mark) -> Follower {
        Follower::of(Arc::new(cluster), last)
    }

    /// Beside others that use the cluster.
    pub fn of(cluster: Arc<MysqlCluster>, last: Mark) -> Follower {
        let stream = cluster.changes(&last, &[]).unwrap();
        Follower {
            cluster,
            stream,
            last,
            txns: Vec::new(),
            reached: Vec::new(),
            restored: Vec::new(),
        }
    }

    pub fn step(&mut self) -> Result<bool, ClusterError> {
        let Some(event) = self.stream.next(Duration::from_millis(100))? else {
            return Ok(false);
        };
        match event {
            LogEvent::Txn(txn) => {
                self.last = Mark {
                    moment: txn.commit,
                    position: txn.position.clone(),
                };
                self.txns.push(txn);
            }
            LogEvent::Reached(mark) => {
                self.last = mark.clone();
                self.reached.push(mark);
            }
            LogEvent::Restored(mark) => self.restored.push(mark),
        }
        Ok(true)
    }

    /// As the keeper does it: after an error again, behind what has come.
    fn step_or_reconnect(&mut self) {
        if self.step().is_err()
            && let Ok(stream) = self.cluster.changes(&self.last, &[])
        {
            self.stream = stream;
        }
    }

    /// Reads until everything that is there now has come.
    pub fn catch_up(&mut self) {
        let now = self.cluster.mark().unwrap().moment;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.reached.last().is_none_or(|m| m.moment < now) {
            self.step().unwrap();
            assert!(Instant::now() < deadline, "the stream does not catch up");
        }
    }

    pub fn ids(&self) -> Vec<String> {
        self.txns.iter().map(|t| t.id.clone()).collect()
    }

    pub fn check_order(&self) {
        for pair in self.txns.windows(2) {
            assert!(
                pair[0].commit < pair[1].commit,
                "{:?}",
                pair.iter().map(|t| &t.id).collect::<Vec<_>>()
            );
        }
    }

    /// Moments and positions never contradict each other.
    fn check_marks(&self, more: &[Mark]) {
        for mark in self.reached.iter().chain(more) {
            for txn in &self.txns {
                let covered = codec().covers(&mark.position, &txn.id).unwrap();
                assert_eq!(covered, txn.commit <= mark.moment, "{} and {mark:?}", txn.id);
            }
        }
    }
}

/// The GTIDs in the server's log files, in order.
fn server_ids(server: &Server) -> Vec<String> {
    let mut out = Vec::new();
    for file in server.column("show binary logs") {
        for row in server.rows(&format!("show binlog events in '{file}'")) {
            if row[2] == "Gtid" || row[2] == "Gtid_tagged" || row[2].starts_with("Gtid_log") {
                let name = if server.kind.is_mysql() {
                    row[5].split('\'').nth(1).unwrap()
                } else {
                    row[5].rsplit(' ').find(|w| w.matches('-').count() == 2).unwrap()
                };
                out.push(name.to_owned());
            }
        }
    }
    out
}

fn everything(server: &Server, kind: Kind) -> Mark {
    let file = server.column("show binary logs").remove(0);
    let offset = if kind.is_mysql() { 158 } else { 4 };
    let position = Position::Binlog {
        gtid: String::new(),
        file,
        offset,
        begun: None,
        unlogged: None,
    };
    Mark {
        moment: Moment::of_tso(Tso(1)),
        position,
    }
}

#[test]
fn every_transaction_comes_once_over_rotation_restart_and_kill() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d; create table d.t (a int primary key auto_increment, b varchar(100)) engine=innodb");
        let done = AtomicBool::new(false);
        let mut follower = Follower::at(cluster(&s), everything(&s, kind));
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|w| {
                    let (s, done) = (&s, &done);
                    scope.spawn(move || {
                        while !done.load(Ordering::SeqCst) {
                            let script = format!(
                                "insert into d.t (b) values ('{w}'), (repeat('x', 90)); begin; update d.t set b = '{w}' \
                                 where a % 7 = {w} limit 5; delete from d.t where a % 11 = {w} limit 1; commit; \
                                 create table d.t{w} (a int); drop table d.t{w};"
                            );
                            // While the server is down nothing is written.
                            let _ = s.try_sql(&script);
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                let wait_for = |more: usize| {
                    let start: usize = s.column("select count(*) from d.t")[0].parse().unwrap();
                    while s.column("select count(*) from d.t")[0].parse::<usize>().unwrap() < start + more {}
                };
                wait_for(20);
                s.sql("flush binary logs");
                wait_for(20);
                s.restart();
                wait_for(20);
                s.kill();
                s.up();
                wait_for(20);
                s.sql("flush binary logs");
                done.store(true, Ordering::SeqCst);
            });
            while !done.load(Ordering::SeqCst) {
                follower.step_or_reconnect();
            }
            for writer in writers {
                writer.join().unwrap();
            }
        });
        follower.catch_up();
        assert_eq!(follower.ids(), server_ids(&s), "{kind:?}");
        follower.check_order();
        follower.check_marks(&[]);
        let end = follower.cluster.mark().unwrap().position;
        assert_eq!(follower.reached.last().unwrap().position, end, "{kind:?}");
    }
}

#[test]
fn marks_agree_with_transactions_under_load() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d; create table d.t (a int primary key)");
        let mut follower = Follower::new(&s);
        let (done, acked) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut marks = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut session = s.session();
                let mut n = 0;
                while !done.load(Ordering::SeqCst) {
                    n += 1;
                    session.run(&format!("insert into d.t values ({n}); select 1"));
                    acked.store(n, Ordering::SeqCst);
                }
            });
            for _ in 0..40 {
                let before = acked.load(Ordering::SeqCst);
                let mark = follower.cluster.mark().unwrap();
                marks.push((before, mark));
                for _ in 0..5 {
                    follower.step().unwrap();
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        follower.catch_up();
        assert_eq!(follower.txns.len() as u64, acked.load(Ordering::SeqCst), "{kind:?}");
        follower.check_order();
        let only: Vec<Mark> = marks.iter().map(|(_, m)| m.clone()).collect();
        follower.check_marks(&only);
        for (before, mark) in marks {
            let included = follower.txns.iter().filter(|t| t.commit <= mark.moment).count() as u64;
            assert!(included >= before, "{kind:?}: {included} of {before} acknowledged ones");
        }
    }
}

#[test]
fn rows_statements_and_large_values_are_summed_up() {
    for kind in Kind::ALL {
        let s = server(kind);
        let mut follower = Follower::new(&s);
        let compress = if kind.is_mysql() {
            "set session binlog_transaction_compression = 1"
        } else {
            "set global log_bin_compress = 1; set global log_bin_compress_min_len = 10"
        };
        s.sql(&format!(
            "create database `o``d`; use `o``d`; create table t (a int primary key, b longblob, c varchar(300)); \
             insert into t values (1, 'x', null), (2, null, repeat('y', 300)); update t set c = 'z'; \
             insert into t values (3, repeat('q', 30000000), ''); delete from t where a < 3; \
             create table u like t; create table v like t; drop table u, v; \
             xa start 'x1'; insert into t values (4, 'xa', ''); xa end 'x1'; xa prepare 'x1'; xa commit 'x1'; \
             {compress}; insert into t select a + 10, b, repeat('compressed ', 20) from t; \
             create user someone identified by 'Secret-7'; truncate t",
        ));
        if !kind.is_mysql() {
            s.sql("set global log_bin_compress = 0");
        }
        follower.catch_up();
        let seen: Vec<String> = follower.txns.iter().map(said).collect();
        let lines = [
            "create database `o``d`",
            "create table t (a int primary key, b longblob, c varchar(300)) on `o``d`.t",
            "`o``d`.t 2/0/0",
            "`o``d`.t 2/2/0",
            "`o``d`.t 1/0/0",
            "`o``d`.t 0/0/2",
            "create table u like t on `o``d`.u",
            "create table v like t on `o``d`.v",
            "DROP TABLE `u`,`v` /* generated by server */ on `o``d`.u",
            "`o``d`.t 1/0/0",
            "",
            "`o``d`.t 2/0/0",
        ];
        assert_eq!(seen[..lines.len()], lines, "{kind:?}");
        assert!(!seen[lines.len()].contains("Secret"), "{kind:?}");
        assert_eq!(seen.last().unwrap(), "truncate t on `o``d`.t");
        let big = &follower.txns[4];
        assert!(big.bytes() > 30_000_000);
        for txn in &follower.txns {
            let (deltas, ddl) = codec().describe(&txn.payload).unwrap();
            assert_eq!((&deltas, &ddl), (&txn.deltas, &txn.ddl));
            // Of one in pieces the record is an opening, which has no events to take apart.
            if txn.pieces.is_none() {
                let gtid = payload::parse(&txn.payload).unwrap().gtid().unwrap();
                assert_eq!(gtid.gtid.unwrap().to_string(), txn.id);
            }
        }
    }
}

fn said(txn: &Txn) -> String {
    if let Some(ddl) = &txn.ddl {
        let on = ddl.table.as_ref().map(|t| format!(" on {t}"));
        return format!("{}{}", ddl.text, on.unwrap_or_default());
    }
    let deltas = txn.deltas.iter();
    let words: Vec<String> = deltas
        .map(|d| format!("{} {}/{}/{}", d.table, d.puts, d.updates, d.deletes))
        .collect();
    words.join(", ")
}

#[test]
fn forged_stamps_do_not_move_time() {
    for kind in Kind::ALL {
        let s = server(kind);
        s.sql("create database d; create table d.t (a int primary key)");
        let mut follower = Follower::new(&s);
        let start = SystemClock.now();
        s.sql(
            "set timestamp = 1; insert into d.t values (1); set timestamp = 2000000000; insert into d.t values (2); \
               set timestamp = default; insert into d.t values (3)",
        );
        follower.catch_up();
        assert_eq!(follower.txns.len(), 3);
        follower.check_order();
        for txn in &follower.txns {
            let off = txn.commit.at.since(start);
            assert!((-2_000..30_000).contains(&off), "{kind:?}: {off} ms");
        }
    }
}

#[test]
fn brines_own_tables_are_left_out_and_its_marker_ends_a_history() {
    for kind in Kind::ALL {
        let s = server(kind);
        let mut follower = Follower::new(&s);
        let at = Tso::last_of_millis(SystemClock.now().plus(60_000));
        s.sql(&format!(
            "create database _brine; create table _brine.restores (a int) comment = ''; create database _brine_1_shop; \
             create table _brine_1_shop.t (a int); insert into _brine_1_shop.t values (1); create database d; {}",
            marker::statement("r1", at)
        ));
        follower.catch_up();
        let seen: Vec<String> = follower.txns.iter().map(said).collect();
        assert_eq!(seen, ["create database d"], "{kind:?}");
        let restored = follower.restored.remove(0);
        assert_eq!(restored.moment, Moment::of_tso(at));
        let id = server_ids(&s).pop().unwrap();
        assert_eq!(
            codec().covers(&restored.position, &id),
            Some(true),
            "the marker itself is behind"
        );
        // The next history begins there, and nothing of the old one comes again.
        s.sql("create database e");
        let mut next = Follower::of(follower.cluster, restored);
        next.catch_up();
        assert_eq!(next.txns.iter().map(said).collect::<Vec<_>>(), ["create database e"]);
        assert!(next.txns[0].commit > Moment::of_tso(at));
    }
}

fn refusal(cluster: &MysqlCluster, after: &Mark) -> ClusterError {
    match cluster.changes(after, &[]) {
        Ok(_) => panic!("the stream was opened"),
        Err(e) => e,
    }
}

#[test]
fn a_purged_log_is_a_gap_and_another_server_is_named() {
    for kind in Kind::ALL {
        let [s, other] = servers([kind, kind]);
        s.sql("create database d; create table d.t (a int primary key)");
        let cluster = cluster(&s);
        let old = cluster.mark().unwrap();
        s.sql("insert into d.t values (1); flush binary logs; insert into d.t values (2); flush binary logs");
        let newer = cluster.mark().unwrap();
        let last = s.column("show binary logs").pop().unwrap();
        s.sql(&format!("purge binary logs to '{last}'"));
        match refusal(&cluster, &old) {
            ClusterError::LogGone { asked, oldest } => {
                assert_eq!(*asked, old.position);
                // The server may keep more than it was asked to.
                let first = s.column("show binary logs").remove(0);
                let Position::Binlog { file, .. } = *oldest else {
                    panic!("{oldest:?}")
                };
                assert_eq!(file, first, "{kind:?}: {last}");
            }
            e => panic!("{kind:?}: {e}"),
        }
        drop(cluster.changes(&newer, &[]).unwrap());
        // A server with a history of its own: shorter, then longer.
        let stranger = MysqlCluster::new(other.options(), Arc::new(SystemClock));
        let e = refusal(&stranger, &newer);
        assert!(matches!(e, ClusterError::OtherServer(_)), "{kind:?}: {e}");
        let more = "create database d; create table d.t (a int primary key); insert into d.t values (1), (2);";
        other.sql(more);
        (0..9).for_each(|i| drop(other.sql(&format!("create database d{i}"))));
        let e = refusal(&stranger, &newer);
        assert!(matches!(e, ClusterError::OtherServer(_)), "{kind:?}: {e}");
    }
}

#[test]
fn what_would_lose_changes_is_refused() {
    for (option, word) in [
        ("--binlog-format=STATEMENT", "binlog_format"),
        ("--binlog-row-image=MINIMAL", "binlog_row_image"),
        ("--skip-log-bin", "log_bin"),
    ] {
        let [s] = servers_with([Kind::MariaDb1011], &[option]);
        let c = cluster(&s);
        let mark = c.mark().unwrap();
        let e = refusal(&c, &mark);
        assert!(matches!(e, ClusterError::Unsupported { .. }), "{e}");
        assert!(e.to_string().contains(word), "{e}");
    }
    let [s] = servers_with([Kind::MariaDb1011], &["--gtid-strict-mode=0"]);
    s.sql("create database d; create table d.t (a int)");
    let mut follower = Follower::new(&s);
    s.sql("set session server_id = 7, gtid_seq_no = 2; insert into d.t values (2)");
    let deadline = Instant::now() + Duration::from_secs(30);
    let e = loop {
        assert!(Instant::now() < deadline);
        if let Err(e) = follower.step() {
            break e;
        }
    };
    assert!(matches!(e, ClusterError::Malformed { .. }), "{e}");
    assert!(e.to_string().contains("0-7-2"), "{e}");
    assert!(follower.txns.is_empty());
}

#[test]
fn without_gtids_the_file_and_offset_name_a_transaction() {
    let [s] = servers_with([Kind::Mysql97], &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]);
    let mut follower = Follower::new(&s);
    s.sql(
        "create database d; create table d.t (a int primary key); insert into d.t values (1); flush binary logs; \
           insert into d.t values (2)",
    );
    follower.catch_up();
    let ids = follower.ids();
    assert_eq!(ids.len(), 4);
    assert!(ids[0].contains(':') && ids[3] > ids[2], "{ids:?}");
    follower.check_order();
    follower.check_marks(&[]);
    let middle = Mark {
        moment: follower.txns[1].commit,
        position: follower.txns[1].position.clone(),
    };
    let mut again = Follower::at(cluster(&s), middle);
    again.catch_up();
    assert_eq!(again.ids(), ids[2..]);
}

/// Makes `replica` follow `source`.
pub fn follow(replica: &Server, source: &Server) {
    let port = source.port;
    let sql = if source.kind.is_mysql() {
        format!(
            "change replication source to source_host = '127.0.0.1', source_port = {port}, source_user = 'repl', \
             source_password = 'repl', source_auto_position = 1, get_source_public_key = 1; start replica"
        )
    } else {
        format!(
            "change master to master_host = '127.0.0.1', master_port = {port}, master_user = 'repl', \
             master_password = 'repl', master_use_gtid = slave_pos; start slave"
        )
    };
    replica.sql(&sql);
}

#[test]
fn the_log_goes_on_at_the_host_that_continues_the_history() {
    for kind in Kind::ALL {
        let [first, second] = servers_with([kind, kind], &["--log-slave-updates=1"]);
        first.sql("create user repl@'%' identified by 'repl'; grant replication slave on *.* to repl@'%'");
        follow(&second, &first);
        first.sql("create database d; create table d.t (a int primary key)");
        let mut options = first.options();
        options.endpoints.extend(second.options().endpoints);
        let cluster = MysqlCluster::new(options, Arc::new(SystemClock));
        let mark = cluster.mark().unwrap();
        let mut follower = Follower::at(cluster, mark);
        first.sql("insert into d.t values (1); insert into d.t values (2)");
        follower.catch_up();
        if kind != Kind::MariaDb118 {
            // Files are named otherwise on the other host.
            second.sql("flush binary logs; flush binary logs");
        }
        first.sql("insert into d.t values (3)");
        let deadline = Instant::now() + Duration::from_secs(60);
        while second.value("select count(*) from d.t") != "3" {
            assert!(Instant::now() < deadline, "{kind:?}: it does not replicate");
        }
        first.kill();
        second.sql(if kind.is_mysql() { "stop replica" } else { "stop slave" });
        second.sql("insert into d.t values (4)");
        while follower.step().is_ok() {}
        follower.stream = follower.cluster.changes(&follower.last, &[]).unwrap();
        follower.catch_up();
        let (ids, all) = (follower.ids(), server_ids(&second));
        assert_eq!(ids, all[all.len() - 4..], "{kind:?}");
        follower.check_order();
    }
}
