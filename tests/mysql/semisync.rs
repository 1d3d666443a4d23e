//! Commits that wait until the log backup has them, and never wait for one that does not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brine::cluster::Cluster;
use brine::cluster::mysql::{MysqlCluster, MysqlOptions, Severity};
use brine::model::clock::SystemClock;

use crate::log::Follower;
use crate::server::{Kind, Server, servers_with};

/// So long a commit would wait for a replica that says nothing.
const TIMEOUT_MS: u32 = 100_000;

/// What a server calls it.
struct Names {
    of_server: &'static str,
    of_others: &'static str,
    status: &'static str,
}

impl Names {
    fn of(kind: Kind) -> Names {
        match kind {
            Kind::Mysql97 => Names {
                of_server: "source",
                of_others: "replica",
                status: "performance_schema",
            },
            _ => Names {
                of_server: "master",
                of_others: "slave",
                status: "information_schema",
            },
        }
    }

    fn status(&self, s: &Server, name: &str) -> String {
        s.value(&format!(
            "select variable_value from {}.global_status where variable_name = 'Rpl_semi_sync_{}_{name}'",
            self.status, self.of_server
        ))
    }

    fn number(&self, s: &Server, name: &str) -> u64 {
        self.status(s, name).parse().unwrap()
    }
}

fn start(kind: Kind) -> (Server, Names, Arc<MysqlCluster>) {
    let [s] = servers_with([kind], &[]);
    let names = Names::of(kind);
    if kind == Kind::Mysql97 {
        s.sql("install plugin rpl_semi_sync_source soname 'semisync_source.so'");
    }
    let of = format!("rpl_semi_sync_{}", names.of_server);
    s.sql(&format!(
        "set global {of}_timeout = {TIMEOUT_MS}, {of}_wait_no_{} = 0, {of}_enabled = 1",
        names.of_others
    ));
    s.sql("create database d; create table d.t (a int auto_increment primary key, b longtext)");
    let mut options = s.options();
    options.semi_sync = true;
    let cluster = MysqlCluster::new(options, Arc::new(SystemClock));
    (s, names, Arc::new(cluster))
}

fn wait_for(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Reads on while something is done.
fn reading<T>(follower: &mut Follower, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                follower.step().unwrap();
            }
        });
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let _done = Done(&done);
        work()
    })
}

fn commits_wait_for_a_reader_and_for_nobody_else(kind: Kind) {
    let (s, names, cluster) = start(kind);
    let last = cluster.mark().unwrap();
    let mut follower = Follower::of(cluster, last);
    let insert = |n: usize| (0..n).for_each(|_| drop(s.sql("insert into d.t (b) values (repeat('x', 2000))")));
    reading(&mut follower, || {
        wait_for("no semi-sync replica came", || names.number(&s, "clients") == 1);
        let before = names.number(&s, "yes_tx");
        insert(20);
        s.sql("flush binary logs");
        insert(20);
        s.sql("insert into d.t (b) values (repeat('y', 3000000))");
        assert_eq!(
            names.number(&s, "yes_tx") - before,
            41,
            "{kind:?}: each was acknowledged"
        );
        assert_eq!(names.status(&s, "status"), "ON");
    });
    // Nobody reads any more: the next commits go on all the same.
    let began = Instant::now();
    insert(5);
    assert!(
        began.elapsed() < Duration::from_millis(u64::from(TIMEOUT_MS) / 2),
        "{kind:?}"
    );
    wait_for("the reader that pauses is still waited for", || {
        names.number(&s, "clients") == 0
    });
    insert(5);
    follower.catch_up();
    follower.check_order();
    assert_eq!(follower.txns.len(), 51, "{kind:?}: {:?}", follower.ids());
    drop(follower);
    insert(1);
}

#[test]
fn commits_wait_for_a_reader_and_for_nobody_else_on_mariadb() {
    commits_wait_for_a_reader_and_for_nobody_else(Kind::MariaDb1011);
    commits_wait_for_a_reader_and_for_nobody_else(Kind::MariaDb118);
}

#[test]
fn commits_wait_for_a_reader_and_for_nobody_else_on_mysql() {
    commits_wait_for_a_reader_and_for_nobody_else(Kind::Mysql97);
}

#[test]
fn the_check_says_what_the_server_needs_for_it() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [s] = servers_with([kind], &[]);
        let mut options = s.options();
        let found = |options: &MysqlOptions| {
            let cluster = MysqlCluster::new(options.clone(), Arc::new(SystemClock));
            let all = cluster.check().unwrap();
            all.into_iter().find(|f| f.name == "semi-sync")
        };
        assert_eq!(found(&options), None, "{kind:?}: it is not wanted");
        options.semi_sync = true;
        let mut steps = 0;
        while let Some(finding) = found(&options).filter(|f| f.severity != Severity::Ok) {
            s.sql(&finding.mend.unwrap());
            steps += 1;
            assert!(steps < 4, "{kind:?}: {}", finding.found);
        }
        assert!(steps > 0 && found(&options).is_some(), "{kind:?}");
    }
}
