//! Killing the process: at random times and at every named point, then looking at what is there.
//!
//! The test binary starts itself with a scenario in the environment; the child works and prints what was
//! acknowledged, and dies.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use brine::cluster::embedded::{EmbeddedCluster, Options};
use brine::cluster::{Cluster, RestoreAsk};
use brine::model::clock::SystemClock;
use brine::model::filter::TableFilter;
use brine::model::position::{Moment, Position};
use brine::model::table::TableName;
use brine::model::tso::Tso;

use super::env::{Backup, ask, back_up, build, drain, log_after, place, t};

const SCENARIO: &str = "EMBEDDED_CRASH_SCENARIO";
const DIR: &str = "EMBEDDED_CRASH_DIR";

fn open(dir: &Path) -> Arc<EmbeddedCluster> {
    let options = Options::new(Arc::new(SystemClock)).with_history(None);
    EmbeddedCluster::open(dir, options).unwrap()
}

fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n@ {text}").unwrap();
    out.flush().unwrap();
}

/// The child's side; in a normal run it does nothing.
#[test]
fn child() {
    let Ok(scenario) = std::env::var(SCENARIO) else { return };
    let dir = std::path::PathBuf::from(std::env::var(DIR).unwrap());
    match scenario.as_str() {
        "commits" => commits(&dir),
        "ddl" => ddl(&dir),
        "restore" => restore(&dir),
        "collect" => collect(&dir),
        other => panic!("{other}"),
    }
    say("done");
}

/// Runs a scenario in a child, killed after so many lines or at a named point; returns what it said.
fn run(scenario: &str, dir: &Path, crash_at: Option<&str>, kill_after: usize) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["crash::child", "--exact", "--nocapture", "--test-threads", "1"]);
    command.env(SCENARIO, scenario).env(DIR, dir).env("RUST_BACKTRACE", "0");
    if let Some(point) = crash_at {
        command.env("BRINE_CRASH_AT", point);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        if let Some(text) = line.strip_prefix("@ ") {
            said.push(text.to_owned());
        }
        if said.len() == kill_after {
            child.kill().unwrap();
        }
    }
    let _ = child.wait();
    said
}

/// Four writers, each transaction writes the same number into two tables.
fn commits(dir: &Path) {
    let c = open(dir);
    let s = c.session("app").unwrap();
    for name in ["a", "b"] {
        let _ = s.create_table(&t(name), "");
    }
    std::thread::scope(|scope| {
        for writer in 0..4u8 {
            let c = &c;
            scope.spawn(move || {
                let s = c.session("app").unwrap();
                for n in 0..2_000u32 {
                    let key = [&[writer][..], &n.to_be_bytes()].concat();
                    let mut tx = s.begin().unwrap();
                    tx.put(&t("a"), &key, b"x").unwrap();
                    tx.put(&t("b"), &key, b"x").unwrap();
                    let at = tx.commit().unwrap();
                    say(format!("{writer} {n} {at}"));
                }
            });
        }
    });
}

fn keys_of(c: &EmbeddedCluster, name: &str) -> Vec<Vec<u8>> {
    let s = c.session("check").unwrap();
    match s.scan(&t(name), None, usize::MAX, None) {
        Ok(rows) => rows.into_iter().map(|(k, _)| k).collect(),
        Err(_) => Vec::new(),
    }
}

/// Opens what a crash left and asserts what must hold after any of them.
fn open_after_crash(dir: &Path, said: &[String]) -> Arc<EmbeddedCluster> {
    let c = open(dir);
    let (a, b) = (keys_of(&c, "a"), keys_of(&c, "b"));
    assert_eq!(a, b, "a transaction was applied by half");
    let log = log_after(&*c, Tso::ZERO);
    for line in said {
        let mut words = line.split(' ');
        let (Some(writer), Some(n), Some(at)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let key = [
            &[writer.parse::<u8>().unwrap()][..],
            &n.parse::<u32>().unwrap().to_be_bytes(),
        ]
        .concat();
        assert!(a.binary_search(&key).is_ok(), "acknowledged {line} is lost");
        assert!(
            log.iter().any(|txn| txn.id == at),
            "acknowledged {line} is not in the log"
        );
    }
    let rows: u64 = log
        .iter()
        .flat_map(|x| &x.deltas)
        .filter(|d| d.table == t("a"))
        .map(|d| d.puts - d.updates)
        .sum();
    let of_a = log
        .iter()
        .flat_map(|x| x.deltas.iter().map(move |d| (&x.id, d)))
        .filter(|(_, d)| d.table == t("a"));
    assert_eq!(
        rows,
        a.len() as u64,
        "log and data are one: {:?}",
        of_a.collect::<Vec<_>>()
    );
    let last = log.last().map(|txn| txn.commit.last_tso()).unwrap_or_default();
    assert!(c.mark().unwrap().moment.last_tso() > last);
    c
}

#[test]
fn no_acknowledged_commit_is_lost_by_a_kill() {
    for round in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        for again in 0..2 {
            let said = run("commits", dir.path(), None, 10 + 97 * round + 40 * again);
            assert!(said.len() > 9, "{said:?}");
            open_after_crash(dir.path(), &said);
        }
    }
}

#[test]
fn every_point_of_a_commit_can_be_the_last() {
    for point in [
        "embedded.commit.before-sync:9",
        "embedded.commit.after-sync:9",
        "embedded.commit.acked:9",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let said = run("commits", dir.path(), Some(point), usize::MAX);
        assert!(!said.contains(&"done".to_owned()), "{point} was not passed");
        open_after_crash(dir.path(), &said);
    }
}

/// Creates and drops.
fn ddl(dir: &Path) {
    let c = open(dir);
    let s = c.session("app").unwrap();
    for n in 0..4 {
        say(format!(
            "created {n} {}",
            s.create_table(&t(&format!("n{n}")), "").unwrap()
        ));
        s.put(&t(&format!("n{n}")), b"k", b"v").unwrap();
    }
    say(format!("dropped 1 {}", s.drop_table(&t("n1")).unwrap()));
}

#[test]
fn every_point_of_a_schema_change_can_be_the_last() {
    for (point, passes) in [("files-made", 6), ("before-commit", 7)] {
        for n in 1..=passes {
            let dir = tempfile::tempdir().unwrap();
            let point = format!("embedded.ddl.{point}:{n}");
            let said = run("ddl", dir.path(), Some(&point), usize::MAX);
            assert!(!said.contains(&"done".to_owned()), "{point} was not passed");
            let c = open(dir.path());
            let tables: Vec<_> = c.tables().unwrap().into_iter().map(|t| t.name).collect();
            for system in ["user", "global_variables"] {
                assert!(tables.contains(&TableName::new("mysql", system)));
            }
            let created = said.iter().filter(|l| l.starts_with("created")).count();
            let user = tables.len() - 2;
            assert!(user == created || user == created + 1, "{point}: {tables:?} {said:?}");
            assert!(c.checksums(&TableFilter::all(), None).unwrap().len() == tables.len());
            let s = c.session("app").unwrap();
            let _ = s.create_table(&t("after"), "");
            s.put(&t("after"), b"k", b"v").unwrap();
        }
    }
}

/// A cluster with a backup and a log after it, made anew from the same directory by parent and child.
fn story(
    dir: &Path,
) -> (
    Backup,
    Vec<brine::cluster::Txn>,
    RestoreAsk,
    Vec<(TableName, brine::model::checksum::TableChecksum)>,
) {
    let source = open(&dir.join("source"));
    let s = source.session("app").unwrap();
    for name in ["one", "two"] {
        s.create_table(&t(name), "").unwrap();
        let mut rows = (0..300u32).map(|n| (n.to_be_bytes().to_vec(), vec![1; 20]));
        s.load(&t(name), &mut rows).unwrap();
    }
    let backup = back_up(&*source);
    for n in 0..50u32 {
        s.put(&t("one"), &(n * 9).to_be_bytes(), b"changed").unwrap();
    }
    s.drop_table(&t("two")).unwrap();
    s.create_table(&t("three"), "").unwrap();
    let until = source.mark().unwrap().moment;
    let log = log_after(&*source, backup.at);
    let want = source.checksums(&TableFilter::all(), Some(until)).unwrap();
    let mut ask = ask(until.last_tso());
    ask.id = "the restore".to_owned();
    (backup, log, ask, want)
}

/// Restores into a target that was there before; the ask is fixed by what the first run wrote down.
fn restore(dir: &Path) {
    let story = story_once(dir);
    let target = open(&dir.join("target"));
    let restorer = target.restorer(&story.2).unwrap();
    build(&*restorer, &story.0, &story.1, story.2.until.last_tso()).unwrap();
    restorer.publish().unwrap();
    say("published");
    restorer.abandon().unwrap();
}

/// The story of a directory: its source is read again when it is there already.
fn story_once(
    dir: &Path,
) -> (
    Backup,
    Vec<brine::cluster::Txn>,
    RestoreAsk,
    Vec<(TableName, brine::model::checksum::TableChecksum)>,
) {
    let noted = dir.join("moments");
    let Ok(text) = std::fs::read_to_string(&noted) else {
        let story = story(dir);
        std::fs::write(&noted, format!("{} {}", story.0.at, story.2.until.last_tso())).unwrap();
        return story;
    };
    let mut moments = text.split(' ').map(|m| Tso(m.parse().unwrap()));
    let (at, until) = (moments.next().unwrap(), moments.next().unwrap());
    let source = open(&dir.join("source"));
    // The history is unlimited: the base is the source as it was then.
    let cluster = source.facts().unwrap().identity;
    let token = format!("{{\"cluster\":\"{cluster}\",\"id\":\"x\",\"ts\":\"{at}\"}}");
    let snapshot = source.open_snapshot(Some(&token)).unwrap();
    let tables = snapshot.tables().unwrap().into_iter().map(|def| {
        let (batches, sum) = super::env::read_all(&*snapshot, &def.name, 2, 1000);
        (def, batches, sum)
    });
    let backup = Backup {
        at,
        tables: tables.collect(),
    };
    let log = log_after(&*source, at);
    let want = source
        .checksums(&TableFilter::all(), Some(Moment::of_tso(until)))
        .unwrap();
    let mut ask = ask(until);
    ask.id = "the restore".to_owned();
    (backup, log, ask, want)
}

#[test]
fn a_restore_is_whole_or_not_there_and_goes_on() {
    let master = tempfile::tempdir().unwrap();
    let (_, _, _, want) = story_once(master.path());
    {
        let target = open(&master.path().join("target"));
        let s = target.session("app").unwrap();
        s.create_table(&t("one"), "").unwrap();
        s.put(&t("one"), b"old", b"row").unwrap();
    }
    let points = [
        "files-made:1",
        "files-made:2",
        "table-built:1",
        "table-built:3",
        "table-remembered:2",
        "before-publish",
        "published",
        "abandoned",
    ];
    for point in points {
        let dir = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .arg("-r")
            .arg(format!("{}/.", master.path().display()))
            .arg(dir.path())
            .status();
        assert!(copied.unwrap().success());
        let before = open(&dir.path().join("target"))
            .checksums(&TableFilter::all(), None)
            .unwrap();
        let said = run(
            "restore",
            dir.path(),
            Some(&format!("embedded.restore.{point}")),
            usize::MAX,
        );
        assert!(!said.contains(&"done".to_owned()), "{point} was not passed");
        let target = open(&dir.path().join("target"));
        let now = target.checksums(&TableFilter::all(), None).unwrap();
        if ["published", "abandoned"].contains(&point) {
            assert_eq!(now, want, "{point}");
        } else {
            assert_eq!(now, before, "{point}");
        }
        drop(target);
        let said = run("restore", dir.path(), None, usize::MAX);
        assert!(said.contains(&"done".to_owned()), "{point}: {said:?}");
        let target = open(&dir.path().join("target"));
        assert_eq!(target.checksums(&TableFilter::all(), None).unwrap(), want, "{point}");
        let s = target.session("app").unwrap();
        s.put(&t("one"), b"new", b"row").unwrap();
        let mut stream = target.changes(&place(&Position::Tso(Tso::ZERO)), &[]).unwrap();
        assert!(!drain(&mut *stream).is_empty());
    }
}

/// Writes, drops and collects with a window of nothing.
fn collect(dir: &Path) {
    let options = Options::new(Arc::new(SystemClock)).with_history(Some(Duration::ZERO));
    let c = EmbeddedCluster::open(dir, options).unwrap();
    let s = c.session("app").unwrap();
    for name in ["a", "b", "gone"] {
        let _ = s.create_table(&t(name), "");
    }
    for n in 0..200u32 {
        let mut tx = s.begin().unwrap();
        for name in ["a", "b"] {
            tx.put(&t(name), &[(n % 20) as u8], &n.to_be_bytes()).unwrap();
            tx.delete(&t(name), &[(n % 7) as u8]).unwrap();
        }
        tx.commit().unwrap();
    }
    s.drop_table(&t("gone")).unwrap();
    s.put(&t("a"), b"end", b"x").unwrap();
    s.put(&t("b"), b"end", b"x").unwrap();
    std::thread::sleep(Duration::from_millis(2));
    c.collect_garbage().unwrap();
}

#[test]
fn every_point_of_a_collection_can_be_the_last() {
    for point in [
        "safepoint-moved",
        "entries-removed",
        "compacted:1",
        "compacted:2",
        "before-trim",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let said = run("collect", dir.path(), Some(&format!("embedded.gc.{point}")), usize::MAX);
        assert!(!said.contains(&"done".to_owned()), "{point} was not passed");
        let c = open(dir.path());
        let sums = c.checksums(&TableFilter::all(), None).unwrap();
        let of = |name: &str| sums.iter().find(|(n, _)| *n == t(name)).map(|(_, s)| *s);
        assert_eq!(of("a"), of("b"), "{point}");
        assert_eq!(of("gone"), None);
        assert_eq!(keys_of(&c, "a"), keys_of(&c, "b"));
        assert!(keys_of(&c, "a").contains(&b"end".to_vec()));
    }
}
