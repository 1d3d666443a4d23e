//! `kill -9` of brine in the middle of a restore in place: before the switch nothing has happened to the live tables, and
//! whoever goes on comes to the very same end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use brine::cluster::mysql::{Endpoint, MysqlOptions, Password};
use brine::engine::cx::{DONE, ResumeError, ResumeLog};
use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::model::filter::TableFilter;

use crate::edges::SCHEMA;
use crate::look;
use crate::server::{Kind, Server, server};
use crate::world::{World, ok};

/// A job's memory in a file.
struct FileLog(PathBuf);

impl FileLog {
    fn write(&self, entries: &[(String, serde_json::Value)]) -> Result<(), ResumeError> {
        let new = self.0.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(entries).unwrap()).unwrap();
        std::fs::rename(new, &self.0).unwrap();
        Ok(())
    }
}

impl ResumeLog for FileLog {
    fn load(&self) -> Result<Vec<(String, serde_json::Value)>, ResumeError> {
        Ok(std::fs::read(&self.0).map_or_else(|_| Vec::new(), |bytes| serde_json::from_slice(&bytes).unwrap()))
    }

    fn save(&self, key: &str, value: &serde_json::Value) -> Result<(), ResumeError> {
        static ONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
        let _one = ONE.lock();
        let mut entries = self.load()?;
        entries.retain(|(k, _)| k != key);
        entries.push((key.to_owned(), value.clone()));
        self.write(&entries)
    }

    fn clear(&self) -> Result<(), ResumeError> {
        self.write(&[])
    }

    fn finish(&self, result: &serde_json::Value) -> Result<(), ResumeError> {
        self.write(&[(DONE.to_owned(), result.clone())])
    }
}

pub fn world(dir: &Path, socket: &Path) -> World {
    let options = MysqlOptions::new(Endpoint::Socket(socket.to_owned()), "root", Password::default());
    World::in_dir(options, &dir.join("archive"))
}

/// Not a test of its own: what the parents below start. Without their variables it does nothing.
#[test]
fn child() {
    let Ok(dir) = std::env::var("BRINE_TEST_DIR").map(PathBuf::from) else {
        return;
    };
    let w = world(&dir, Path::new(&std::env::var("BRINE_TEST_SOCKET").unwrap()));
    let plan_file = dir.join("plan");
    if !plan_file.exists() {
        let request = w.request(RestorePoint::Latest, RestoreTarget::InPlace);
        let rules = std::env::var("BRINE_TEST_FILTER").unwrap_or_default();
        let rules: Vec<&str> = rules.split(',').filter(|r| !r.is_empty()).collect();
        let request = brine::engine::point::RestoreRequest {
            filter: TableFilter::parse(&rules).unwrap(),
            point: RestorePoint::Before {
                change: std::env::var("BRINE_TEST_BEFORE").unwrap(),
            },
            ..request
        };
        let plan = ok("planning", w.plan_to(&request, &w));
        std::fs::write(&plan_file, serde_json::to_vec(&plan).unwrap()).unwrap();
    }
    let plan = serde_json::from_slice(&std::fs::read(&plan_file).unwrap()).unwrap();
    let cx = w.cx().with_resume(Arc::new(FileLog(dir.join("resume"))));
    ok("restoring", w.run_to(&plan, &w, false, &cx));
}

/// Runs the child to its end; whether it was killed.
pub fn run(dir: &Path, s: &Server, before: &str, crash_at: Option<&str>) -> bool {
    run_some(dir, s, "", before, crash_at)
}

/// The same for some tables, by rules between commas.
pub fn run_some(dir: &Path, s: &Server, filter: &str, before: &str, crash_at: Option<&str>) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env("BRINE_TEST_DIR", dir)
        .env("BRINE_TEST_SOCKET", s.socket())
        .env("BRINE_TEST_BEFORE", before)
        .env("BRINE_TEST_FILTER", filter)
        .env("RUST_BACKTRACE", "0");
    if let Some(point) = crash_at {
        command.env("BRINE_CRASH_AT", point);
    }
    let out = command.output().unwrap();
    match (out.status.success(), out.status.signal()) {
        (true, _) => false,
        (false, Some(6)) => true,
        _ => panic!(
            "{crash_at:?}: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        ),
    }
}

const POINTS: [&str; 9] = [
    "restore.closed",
    "restore.way-back",
    "restore.tables-loaded",
    "mysql.restore.statement-run:2",
    "restore.before-publish",
    "mysql.restore.step-run",
    "mysql.restore.step-noted:2",
    "mysql.restore.step-run:4",
    "restore.published",
];

#[test]
fn a_killed_restore_in_place_is_brought_to_its_end() {
    for (kind, with_server) in [
        (Kind::MariaDb1011, false),
        (Kind::MariaDb1011, true),
        (Kind::Mysql97, false),
    ] {
        let s = server(kind);
        s.sql(SCHEMA);
        let dir = tempfile::tempdir().unwrap();
        let (wanted, bad) = {
            let w = world(dir.path(), &s.socket());
            w.backup();
            w.start_log();
            s.sql("insert into d.t values (50, 'wanted', 1); delete from d.parent where id = 1");
            // What the base had is no longer so after these.
            s.sql("alter table d.child drop foreign key child_ibfk_1; rename table d.child to d.orphan");
            let wanted = look::everything(&s);
            s.sql("drop table d.t");
            let bad = crate::edges::last_gtid(&s);
            s.sql("insert into d.nokey values (77, 'after')");
            w.catch_up();
            (wanted, bad)
        };
        let live = look::rows(&s);
        let mut kills = 0;
        for point in POINTS {
            if !run(dir.path(), &s, &bad, Some(point)) {
                break;
            }
            kills += 1;
            if [
                "restore.closed",
                "restore.way-back",
                "restore.tables-loaded",
                "mysql.restore.statement-run:2",
                "restore.before-publish",
            ]
            .contains(&point)
            {
                live.assert_same(&look::rows(&s), &format!("{kind:?}: killed at {point}"));
            }
            if with_server {
                s.kill();
                s.up();
            }
        }
        assert!(kills >= 4, "{kind:?}: {kills} points were passed");
        assert!(!run(dir.path(), &s, &bad, None));
        wanted.without_counters().assert_same(
            &look::everything(&s).without_counters(),
            &format!("{kind:?}: after {kills} kills"),
        );
        let names = s.column("select schema_name from information_schema.schemata");
        assert!(!names.iter().any(|n| n.starts_with("_brine_")), "{names:?}");
    }
}

/// Tables that look alike change places once, wherever brine is killed: their names do not tell whether they did.
#[test]
fn an_exchange_that_was_killed_is_made_once() {
    const BASE: &str = "create database d; create table d.a (id int primary key); create table d.b (id int primary key);
        create table d.c (id int primary key); create table d.part (id int primary key) partition by hash (id) partitions 1;
        insert into d.a values (1); insert into d.b values (2); insert into d.c values (3); insert into d.part values (4)";
    const EXCHANGES: [&str; 3] = [
        "rename table d.a to d.x, d.b to d.a, d.x to d.b",
        "alter table d.part exchange partition p0 with table d.c",
        "rename table d.a to d.old, d.c to d.a",
    ];
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let s = server(kind);
        s.sql(BASE);
        let dir = tempfile::tempdir().unwrap();
        let w = world(dir.path(), &s.socket());
        w.backup();
        w.start_log();
        for sql in EXCHANGES {
            s.sql(sql);
        }
        let wanted = look::everything(&s);
        s.sql("drop table d.a");
        let bad = crate::edges::last_gtid(&s);
        w.catch_up();
        drop(w);
        for point in ["run:1", "begun:1", "run:1", "begun:1", "run:1"] {
            assert!(run(
                dir.path(),
                &s,
                &bad,
                Some(&format!("mysql.restore.statement-{point}"))
            ));
        }
        assert!(!run(dir.path(), &s, &bad, None));
        wanted.assert_same(&look::everything(&s), &format!("{kind:?}"));
    }
}
