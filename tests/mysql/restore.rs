//! Restores that die, and go on: at every crash point of the driver, and with the server killed under them.
//!
//! What is restored is read once from a source (rows, definitions, log) and kept in a file; a child process gives it to the
//! driver, as the engine does, and dies where it is told to. The same restore is then asked for again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brine::cluster::mysql::{Endpoint, MysqlCluster, MysqlOptions, Password};
use brine::cluster::{
    BatchSink, BatchSource, ClosedAs, Cluster, ClusterState, LogEvent, Mark, Pieces, ReplayTxn, RestoreAsk,
    RestoreScope, Stop, TableDef,
};
use brine::model::clock::SystemClock;
use brine::model::definition::Definition;
use brine::model::filter::{RenameMap, TableFilter};
use brine::model::position::Moment;
use serde::{Deserialize, Serialize};

use crate::large::little_memory;
use crate::look;
use crate::server::{Kind, Server, servers};
use crate::world::{World, snapshot};

/// What the child restores, from a file.
const JOB: &str = "BRINE_TEST_RESTORE_JOB";

/// With little memory, so that some of the log comes in pieces.
fn driver(socket: &Path) -> MysqlCluster {
    let options = MysqlOptions::new(Endpoint::Socket(socket.to_owned()), "root", Password::new(""));
    let mut options = little_memory(options);
    (options.spool.memory, options.spool.piece) = (600, 250);
    MysqlCluster::new(options, Arc::new(SystemClock))
}

#[derive(Serialize, Deserialize)]
struct Table {
    def: TableDef,
    batches: Vec<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Txn {
    commit: Moment,
    id: String,
    payload: Vec<u8>,
    pieces: Vec<Vec<u8>>,
}

/// A whole backup and its log.
#[derive(Serialize, Deserialize)]
struct Backup {
    tables: Vec<Table>,
    definitions: Vec<Definition>,
    log: Vec<Txn>,
    until: Moment,
}

#[derive(Serialize, Deserialize)]
pub struct Job {
    pub socket: std::path::PathBuf,
    backup: std::path::PathBuf,
    ask: RestoreAsk,
    close: bool,
}

struct Keep(Vec<Vec<u8>>);

impl BatchSink for Keep {
    fn put(&mut self, batch: &[u8], _rows: u64) -> Result<(), Stop> {
        self.0.push(batch.to_vec());
        Ok(())
    }
}

struct Give<'a>(std::slice::Iter<'a, Vec<u8>>);

impl BatchSource for Give<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        Ok(self.0.next().cloned())
    }
}

/// Reads everything, and everything that `work` does behind it.
fn read(server: &Server, work: impl FnOnce()) -> Backup {
    let source = driver(&server.socket());
    let snapshot = source.open_snapshot(None).unwrap();
    let mut tables = Vec::new();
    for def in snapshot.tables().unwrap() {
        let mut keep = Keep(Vec::new());
        for range in snapshot.split(&def.name, 1).unwrap() {
            let mut next = Some(range);
            while let Some(range) = next.take() {
                next = snapshot.read(&def.name, &range, u64::MAX, &mut keep).unwrap().rest;
            }
        }
        tables.push(Table { def, batches: keep.0 });
    }
    let definitions = snapshot.definitions().unwrap();
    let mark = snapshot.mark();
    snapshot.release().unwrap();
    work();
    let end = source.mark().unwrap();
    Backup {
        tables,
        definitions,
        log: log(&source, &mark, &end),
        until: end.moment,
    }
}

fn all(pieces: &Pieces) -> impl Iterator<Item = Vec<u8>> {
    (0..pieces.count()).map(|n| pieces.read(n).unwrap())
}

fn log(source: &MysqlCluster, from: &Mark, to: &Mark) -> Vec<Txn> {
    let mut changes = source.changes(from, &[]).unwrap();
    let mut out = Vec::new();
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < give_up, "the log does not reach {to:?}");
        match changes.next(Duration::from_secs(1)).unwrap() {
            Some(LogEvent::Txn(txn)) => out.push(Txn {
                commit: txn.commit,
                id: txn.id,
                payload: txn.payload,
                pieces: txn.pieces.iter().flat_map(all).collect(),
            }),
            Some(LogEvent::Reached(mark)) if mark.moment >= to.moment => return out,
            _ => {}
        }
    }
}

/// Runs a job as the engine does.
fn run(job: &Job) -> Mark {
    let backup: Backup = serde_json::from_slice(&std::fs::read(&job.backup).unwrap()).unwrap();
    let target = driver(&job.socket);
    if let Some(done) = target.restorer(&job.ask).unwrap().published().unwrap() {
        return done;
    }
    if job.close {
        target.close(ClosedAs::Restoring).unwrap();
    }
    let restorer = target.restorer(&job.ask).unwrap();
    let bytes = |t: &Table| t.batches.iter().map(|b| b.len() as u64).sum();
    let defs: Vec<_> = backup.tables.iter().map(|t| (t.def.clone(), bytes(t))).collect();
    restorer.define_others(&backup.definitions).unwrap();
    defs.chunks(3).for_each(|some| restorer.define_all(some).unwrap());
    let of: BTreeMap<_, _> = backup.tables.iter().map(|t| (t.def.name.clone(), t)).collect();
    let mut sums = BTreeMap::new();
    let small = |name: &_| restorer.goes_together(name).unwrap() && !restorer.is_loaded(name).unwrap();
    let small: Vec<_> = restorer.tables().unwrap().into_iter().filter(small).collect();
    let small: Vec<_> = small.into_iter().map(|n| (n.clone(), of[&n].batches.clone())).collect();
    for some in small.chunks(2) {
        let loaded = restorer.load_together(some).unwrap();
        let names = some.iter().map(|(name, _)| job.ask.rename.apply(name));
        sums.extend(names.zip(loaded.iter().map(|l| l.sum)));
    }
    for name in restorer.tables().unwrap() {
        let batches = of.get(&name).map(|t| t.batches.clone()).unwrap_or_default();
        let loaded = match restorer.is_loaded(&name).unwrap() {
            true => continue,
            false => restorer.load(&name, &mut Give(batches.iter())).unwrap(),
        };
        sums.insert(job.ask.rename.apply(&name), loaded.sum);
    }
    for (name, sum) in restorer.checksums().unwrap() {
        if let Some(expected) = sums.get(&name) {
            assert_eq!(sum, *expected, "{name}");
        }
    }
    for Txn {
        commit,
        id,
        payload,
        pieces,
    } in &backup.log
    {
        let txn = ReplayTxn {
            commit: *commit,
            id,
            payload,
            early: false,
        };
        match pieces.is_empty() {
            true => restorer.replay(&txn).unwrap(),
            false => restorer.replay_pieces(&txn, &mut Give(pieces.iter())).unwrap(),
        }
    }
    restorer.end_of_log().unwrap();
    let mark = restorer.publish().unwrap();
    drop(restorer);
    if job.close {
        target.open().unwrap();
    }
    mark
}

/// The child: does nothing when the tests run.
#[test]
fn restore_of_a_child() {
    let Some(file) = std::env::var_os(JOB) else {
        return;
    };
    let job: Job = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    run(&job);
}

pub fn child(job: &Job, dir: &Path, more: &[(&str, &str)]) -> std::process::Child {
    let file = dir.join("job.json");
    std::fs::write(&file, serde_json::to_vec(job).unwrap()).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restore::restore_of_a_child", "--nocapture"])
        .env(JOB, &file)
        .env("RUST_BACKTRACE", "0")
        .envs(more.iter().copied())
        .stdout(std::process::Stdio::null())
        .stderr(std::fs::File::create(dir.join("child.err")).unwrap())
        .spawn()
        .unwrap()
}

fn ask(id: &str, until: Moment) -> RestoreAsk {
    RestoreAsk {
        id: id.to_owned(),
        scope: RestoreScope::Whole,
        filter: TableFilter::all(),
        rename: RenameMap::default(),
        until,
        spares: false,
    }
}

const BEFORE: &str = "
create database shop character set latin1; use shop;
create table p (id int primary key, n varchar(20)); insert into p values (1,'a'),(2,'b'),(3,'c'),(4,'d');
create table c (id int auto_increment primary key, p int, v varchar(20), key (v), foreign key (p) references p(id) on delete cascade);
insert into c (p, v) values (1,'x'),(2,'y'),(3,'z'),(4,'zz');
create table nokey (a int, b varchar(20)); insert into nokey values (1,'a'),(1,'a'),(2,'b');
create table gone (a int primary key); insert into gone values (1);
create table loose (a int, b varchar(20)) engine = myisam; insert into loose values (1, 'one'), (2, 'two'), (2, 'two');
create table big (id int auto_increment primary key, t longtext); insert into big (t) values (repeat('x', 3000000)), (repeat('y', 3000000));
create view v as select p.n, c.v from p join c on c.p = p.id;
create trigger tr before insert on c for each row set new.v = upper(new.v);
create user app@'%' identified by 'pw'; grant all on shop.* to app@'%'";

const WORK: &str = "use shop;
delete from p where id = 2; update p set n = 'changed' where id = 3; insert into c (p, v) values (3, 'late');
delete from nokey where a = 1 limit 1; update nokey set b = 'u' where a = 2;
insert into loose values (3, 'three'), (3, 'three'); update loose set b = 'changed' where a = 1; delete from loose where a = 2 limit 1;
create table loose2 (a int) engine = myisam; insert into loose2 values (1), (1);
create table later (id int primary key, v varchar(10)); insert into later values (1, 'é'), (2, 'b');
alter table later add column w int default 5, add key (w); insert into later values (3, 'c', 9);
drop table gone; rename table nokey to nokey2; insert into nokey2 values (7, 'seven');
update big set t = concat(t, 'z') where id = 1;
create database other; create table other.t (a int primary key); insert into other.t values (1);
create or replace view v as select n from p; create user late@'%' identified by 'pw2';
start transaction; insert into p values (10, 'ten'); insert into c (p, v) values (10, 'of ten'); update later set w = 0;
update nokey2 set b = concat(b, repeat('q', 10)); insert into p values (11, 'eleven'); insert into c (p, v) values (11, repeat('e', 20)); delete from p where id = 4;
update nokey2 set a = a + 1; insert into nokey2 values (8, 'eight'); commit;
truncate table other.t; insert into other.t values (2);
create user first@'%' identified by 'pw3'; rename user first@'%' to second@'%'; revoke delete on shop.* from app@'%';
create role r1; grant r1 to app@'%'; grant select on shop.* to second@'%'; drop user late@'%'; create user late@'%' identified by 'pw4'";

/// Databases that the log changes: what a table without a charset gets is what its database had at that moment.
const DATABASES: &str = "
create database d character set latin1; create database e; create database gone; create database keep character set latin2;
create table d.t (id int primary key, v varchar(20)); insert into d.t values (1, 'a'), (2, 'b');
create table e.t (id int primary key); insert into e.t values (1); create table gone.t (a int); insert into gone.t values (1);
create table keep.t (a int)";

const CHANGED_DATABASES: &str = "
insert into d.t values (3, 'c'); insert into e.t values (2); insert into gone.t values (2); insert into keep.t values (1);
alter database d character set utf8mb4; create table d.later (id int primary key, v varchar(20)); insert into d.later values (1, 'ü');
insert into d.t values (4, 'd'); drop database gone; insert into d.t values (5, 'e');
drop database e; create database e character set latin2; create table e.u (id int primary key, v varchar(20)); insert into e.u values (1, 'x');
alter database e character set cp1251; create table e.t (id int, v varchar(20)); insert into e.t values (9, 'n');
create database brief; create table brief.t (a int); insert into brief.t values (1); drop database brief;
create database if not exists d; create database if not exists f character set latin1; create table f.t (v varchar(20)); insert into f.t values ('f');
create table d.last (v varchar(20)); insert into d.last values ('z'); insert into d.t values (6, 'f')";

const IN_THE_WAY: &str = "create database if not exists shop; create table if not exists shop.p (z int); create database if not exists extra; \
    create table if not exists extra.t (a int primary key); create or replace view extra.v as select * from extra.t; \
    create user if not exists intruder@'%' identified by 'x'";

pub struct Stage {
    /// Kept running: its end would be the end of the test's servers.
    _source: Server,
    pub target: Server,
    pub dir: tempfile::TempDir,
    until: Moment,
    expected: look::Look,
}

/// Without brine's own account, and without the raw form of privileges, in which an account that was locked once shows it.
fn comparable(look: &look::Look) -> look::Look {
    look.only(|name| !["account 'root'@'localhost'", "account privileges"].contains(&name) && !name.contains("_brine"))
}

pub fn stage(kind: Kind) -> Stage {
    let (stage, backup) = stage_of(kind, BEFORE, WORK);
    let in_pieces = backup.log.iter().filter(|txn| txn.pieces.len() > 1).count();
    assert!(in_pieces > 0 && in_pieces < backup.log.len());
    stage
}

fn stage_of(kind: Kind, before: &str, work: &str) -> (Stage, Backup) {
    let [source, target] = servers([kind, kind]);
    source.sql(before);
    let backup = read(&source, || drop(source.sql(work)));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("backup.json"), serde_json::to_vec(&backup).unwrap()).unwrap();
    let expected = comparable(&look::everything(&source));
    let stage = Stage {
        until: backup.until,
        _source: source,
        target,
        dir,
        expected,
    };
    (stage, backup)
}

impl Stage {
    pub fn job(&self, id: &str) -> Job {
        Job {
            socket: self.target.socket(),
            backup: self.dir.path().join("backup.json"),
            ask: ask(id, self.until),
            close: true,
        }
    }

    pub fn child_error(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("child.err")).unwrap_or_default()
    }

    /// The restore is asked for again, in a process that nothing happens to.
    pub fn finish(&self, job: &Job, what: &str) {
        let done = child(job, self.dir.path(), &[]).wait().unwrap();
        assert!(done.success(), "{what}: {}", self.child_error());
        driver(&self.target.socket()).open().unwrap();
        let found = comparable(&look::everything(&self.target));
        self.expected.assert_same(&found, what);
    }

    /// Dies at each point, and goes on.
    fn every_point(&self) {
        let times = self.undisturbed();
        assert!(times.len() > 8, "{times:?}");
        for (name, times) in times {
            for at in [1, times.div_ceil(2)] {
                self.dies_at(&name, at);
                if times <= 2 {
                    break;
                }
            }
        }
    }

    /// Dies around each statement of the log, and goes on.
    fn every_statement(&self) {
        let times = self.undisturbed();
        for name in ["statement-begun", "statement-run", "batch-in"] {
            let name = format!("mysql.restore.{name}");
            let times = times.get(&name).copied().unwrap_or_default();
            assert!(times > 5, "{name}: {times}");
            (1..=times).for_each(|at| self.dies_at(&name, at));
        }
        self.dies_at("mysql.restore.log-in", 1);
    }

    /// Restores without a death; how often each point is passed.
    fn undisturbed(&self) -> BTreeMap<String, u32> {
        let log = self.dir.path().join("points");
        self.target.sql(IN_THE_WAY);
        let job = self.job("r0");
        let env = [("BRINE_CRASH_LOG", log.to_str().unwrap())];
        assert!(
            child(&job, self.dir.path(), &env).wait().unwrap().success(),
            "{}",
            self.child_error()
        );
        let found = comparable(&look::everything(&self.target));
        self.expected.assert_same(&found, "undisturbed");
        let passed = std::fs::read_to_string(&log).unwrap();
        let mut times = BTreeMap::new();
        passed
            .lines()
            .for_each(|name| *times.entry(name.to_owned()).or_default() += 1);
        times
    }

    fn dies_at(&self, name: &str, at: u32) {
        let point = format!("{name}:{at}");
        self.target.sql(IN_THE_WAY);
        let job = self.job(&format!("r-{name}-{at}"));
        let env = [("BRINE_CRASH_AT", point.as_str())];
        println!("{point}");
        let died = child(&job, self.dir.path(), &env).wait().unwrap();
        assert!(!died.success(), "{point} was not passed");
        self.finish(&job, &point);
    }

    /// The server is killed at some moment of the restore, and starts again.
    fn killed_server(&self) {
        for n in 0..6_u64 {
            self.target.sql(IN_THE_WAY);
            let job = self.job(&format!("k{n}"));
            let mut running = child(&job, self.dir.path(), &[]);
            std::thread::sleep(Duration::from_millis(150 + n * 220));
            self.target.kill();
            let _ = running.wait();
            self.target.up();
            self.finish(&job, &format!("killed the {n}th time"));
        }
    }
}

#[test]
fn a_restore_that_dies_at_any_point_goes_on_mariadb_10_11() {
    stage(Kind::MariaDb1011).every_point();
}

#[test]
fn a_restore_that_dies_at_any_point_goes_on_mysql_9_7() {
    stage(Kind::Mysql97).every_point();
}

#[test]
fn databases_of_the_log_are_as_they_were_after_any_death_mariadb_10_11() {
    stage_of(Kind::MariaDb1011, DATABASES, CHANGED_DATABASES)
        .0
        .every_statement();
}

#[test]
fn databases_of_the_log_are_as_they_were_after_any_death_mysql_9_7() {
    stage_of(Kind::Mysql97, DATABASES, CHANGED_DATABASES)
        .0
        .every_statement();
}

#[test]
fn a_server_killed_under_a_restore_mariadb_10_11() {
    stage(Kind::MariaDb1011).killed_server();
}

#[test]
fn a_server_killed_under_a_restore_mysql_9_7() {
    stage(Kind::Mysql97).killed_server();
}

/// Whether an application can log in.
fn can_log_in(server: &Server) -> bool {
    let options = server.options_tcp("app", "pw");
    MysqlCluster::new(options, Arc::new(SystemClock)).facts().is_ok()
}

fn fence(kind: Kind) {
    let [server] = servers([kind]);
    server.sql(
        "create user app@'%' identified by 'pw'; create user locked@'%' identified by 'x' account lock; create user api@localhost; \
         create database shop; create table shop.t (a int); grant all on *.* to app@'%'; set global event_scheduler = on",
    );
    let before = comparable(&look::everything(&server));
    let settings = "select @@read_only, @@init_connect, @@event_scheduler";
    let set_before = server.rows(settings);
    let cluster = driver(&server.socket());
    assert!(can_log_in(&server));
    cluster.open().unwrap();
    cluster.close(ClosedAs::Restoring).unwrap();
    assert!(matches!(cluster.facts().unwrap().state, ClusterState::Restoring { .. }));
    assert!(!can_log_in(&server));
    cluster.close(ClosedAs::Restoring).unwrap();
    server.kill();
    server.up();
    assert!(!can_log_in(&server), "locked accounts stay locked");
    cluster.close(ClosedAs::Closed("look first".to_owned())).unwrap();
    assert_eq!(
        server.rows("select @@read_only"),
        vec![vec!["1".to_owned()]],
        "put back"
    );
    let why = "look first".to_owned();
    assert_eq!(cluster.facts().unwrap().state, ClusterState::Closed { why });
    cluster.open().unwrap();
    cluster.open().unwrap();
    assert!(can_log_in(&server));
    assert_eq!(server.rows(settings), set_before);
    before.assert_same(&comparable(&look::everything(&server)), "opened again");
}

#[test]
fn closed_and_opened_mariadb_10_11() {
    fence(Kind::MariaDb1011);
}

#[test]
fn closed_and_opened_mysql_9_7() {
    fence(Kind::Mysql97);
}

/// MySQL warns of two engines without transactions that are written one after the other.
#[test]
fn engines_without_transactions_side_by_side() {
    let [source, spare] = servers([Kind::Mysql97, Kind::Mysql97]);
    let tables = (0..8).map(|n| {
        format!(
            "create table d.c{n} (a int not null) engine = csv; insert into d.c{n} values ({n});
             create table d.m{n} (a int) engine = myisam; insert into d.m{n} values ({n});"
        )
    });
    source.sql(&format!("create database d; {}", tables.collect::<String>()));
    let (w, other) = (World::new(&source), World::target(&spare));
    let backup = w.backup();
    w.restore_to(&other, snapshot(&backup.id));
    for n in 0..8 {
        assert_eq!(
            spare.value(&format!(
                "select sum(a) from (select a from d.c{n} union all select a from d.m{n}) x"
            )),
            (2 * n).to_string()
        );
    }
}
