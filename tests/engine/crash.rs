//! `kill -9` at every named point and at random ones, then what a restart finds and a resume makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use brine::cluster::Cluster;
use brine::engine::cx::{DONE, ResumeError, ResumeLog};
use brine::model::clock::Millis;
use brine::model::job::LineLevel;
use brine::model::position::Moment;
use brine::model::tso::Tso;
use brine::storage::local::Local;
use brine::storage::{ObjectName, Storage};

use crate::env::{World, chain, scratch_dir, t};
use crate::moments::check_moment;
use crate::verbs::{Job, Template, Verb, copy_dir};

/// A job's memory in a file.
struct FileLog(PathBuf);

impl FileLog {
    fn write(&self, entries: &[(String, serde_json::Value)]) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(entries).unwrap()).unwrap();
        std::fs::rename(new, &self.0).unwrap();
    }
}

impl ResumeLog for FileLog {
    fn load(&self) -> Result<Vec<(String, serde_json::Value)>, ResumeError> {
        Ok(std::fs::read(&self.0).map_or_else(|_| Vec::new(), |bytes| serde_json::from_slice(&bytes).unwrap()))
    }

    fn save(&self, key: &str, value: &serde_json::Value) -> Result<(), ResumeError> {
        static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _one = ONE.lock().unwrap();
        let mut entries = self.load()?;
        match entries.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value.clone(),
            None => entries.push((key.to_owned(), value.clone())),
        }
        self.write(&entries);
        Ok(())
    }

    fn clear(&self) -> Result<(), ResumeError> {
        self.write(&[]);
        Ok(())
    }

    fn finish(&self, result: &serde_json::Value) -> Result<(), ResumeError> {
        self.write(&[(DONE.to_owned(), result.clone())]);
        Ok(())
    }
}

/// The world in a directory, as a process finds it when it starts.
fn world(dir: &Path, now: Millis) -> World {
    let storage = Arc::new(Local::create(&dir.join("archive")).unwrap());
    let memory = Arc::new(brine::storage::memory::Memory::new());
    let spare = World::at(&dir.join("other"), memory, "other", now);
    World::existing(&dir.join("cluster"), storage, now).with_spare(spare)
}

fn lay_out(template: &Template, dir: &Path) {
    copy_dir(template.dir.path(), &dir.join("cluster"));
    let storage = Local::create(&dir.join("archive")).unwrap();
    for (name, bytes) in &template.objects {
        storage.put_new(&ObjectName::new(name.clone()).unwrap(), bytes).unwrap();
    }
}

/// Not a test of its own: what the parents below start. Without their variables it does nothing.
#[test]
fn child() {
    let var = |name: &str| std::env::var(name).ok();
    let Some(what) = var("BRINE_TEST_CHILD") else { return };
    let dir = PathBuf::from(var("BRINE_TEST_DIR").unwrap());
    let number = |name: &str| var(name).unwrap().parse::<u64>().unwrap();
    let job = Job {
        at: Tso(number("BRINE_TEST_AT")),
        now: Millis(number("BRINE_TEST_NOW") as i64),
    };
    let w = world(&dir, job.now);
    if what == "Traffic" {
        return traffic(w);
    }
    let cx = w.cx().with_resume(Arc::new(FileLog(dir.join("resume"))));
    job.run(Verb::named(&what), &w, &cx)
        .unwrap_or_else(|e| panic!("{}", chain(&e)));
    let warned = |(level, _): &(LineLevel, String)| *level == LineLevel::Warning;
    let warnings: Vec<_> = cx.lines().into_iter().filter(warned).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}

fn start(what: &str, job: Job, dir: &Path, vars: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env("BRINE_TEST_CHILD", what)
        .env("BRINE_TEST_DIR", dir)
        .env("BRINE_TEST_AT", job.at.to_string())
        .env("BRINE_TEST_NOW", job.now.0.to_string())
        .env("RUST_BACKTRACE", "0")
        .envs(vars.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a child to its end; whether it was killed.
fn crashed(verb: Verb, job: Job, dir: &Path, vars: &[(&str, &str)], what: &str) -> bool {
    let out = start(&format!("{verb:?}"), job, dir, vars).wait_with_output().unwrap();
    let text = || [out.stdout.clone(), out.stderr.clone()].map(|t| String::from_utf8_lossy(&t).into_owned());
    match (out.status.success(), out.status.signal()) {
        (true, _) => false,
        (false, Some(6)) => true,
        _ => panic!("{what}: {:?} {:?}", out.status, text()),
    }
}

/// The points that a verb passes, with how often.
fn points_of(template: &Template, verb: Verb) -> BTreeMap<String, u64> {
    let dir = scratch_dir();
    lay_out(template, dir.path());
    let log = dir.path().join("points");
    let vars = [("BRINE_CRASH_LOG", log.to_str().unwrap())];
    assert!(!crashed(verb, template.job, dir.path(), &vars, &format!("{verb:?}")));
    let mut points = BTreeMap::new();
    for name in std::fs::read_to_string(log).unwrap().lines() {
        *points.entry(name.to_owned()).or_default() += 1;
    }
    points
}

/// Kills a verb at a point; then looks at what is left, and resumes.
fn kill_at(template: &Template, verb: Verb, point: &str) {
    let what = format!("{verb:?} killed at {point}");
    let dir = scratch_dir();
    lay_out(template, dir.path());
    if !crashed(verb, template.job, dir.path(), &[("BRINE_CRASH_AT", point)], &what) {
        // Which of several threads comes first is chance.
        return;
    }
    let left = scratch_dir();
    copy_dir(dir.path(), left.path());
    {
        let w = world(left.path(), template.job.now);
        w.c().open().unwrap();
        let sums = w.sums();
        if verb.writes_cluster() && sums != template.live {
            let view = w.view();
            assert_eq!(view.broken, [], "{what}");
        } else {
            assert_eq!(sums, template.live, "{what}");
        }
        template.check_sound(&w, &format!("{what}, left alone"));
    }
    assert!(!crashed(
        verb,
        template.job,
        dir.path(),
        &[],
        &format!("{what}, resumed")
    ));
    assert_eq!(
        FileLog(dir.path().join("resume"))
            .load()
            .unwrap()
            .into_iter()
            .filter(|(k, _)| k != "test/plan" && k != DONE)
            .count(),
        0
    );
    let w = world(dir.path(), template.job.now);
    template.check_done(verb, &w, &format!("{what}, resumed"));
    template.check_sound(&w, &format!("{what}, resumed"));
}

#[test]
fn kill_at_every_named_point() {
    let template = Template::new();
    let all = std::env::var_os("BRINE_TEST_ALL").is_some();
    let mut seen = BTreeSet::new();
    for verb in [
        Verb::InPlace,
        Verb::Safety,
        Verb::Undo,
        Verb::Beside,
        Verb::Filtered,
        Verb::Other,
    ]
    .into_iter()
    .chain(Verb::ALL)
    {
        let points = points_of(&template, verb);
        for (point, times) in points {
            // Each point once, where it matters most; and everything everywhere when asked for.
            let new = seen.insert((point.clone(), if all { Some(format!("{verb:?}")) } else { None }));
            if !new || point.starts_with("embedded.commit.") {
                continue;
            }
            kill_at(&template, verb, &point);
            if all && times > 1 {
                kill_at(&template, verb, &format!("{point}:{times}"));
                kill_at(&template, verb, &format!("{point}:{}", times / 2 + 1));
            }
        }
    }
    let seen: BTreeSet<String> = seen.into_iter().map(|(point, _)| point).collect();
    for point in engine_points() {
        assert!(
            seen.contains(&point) || NOT_HERE.contains(&&*point),
            "{point} is passed by no verb"
        );
    }
}

/// Points that only something else than one run of a verb comes to, or only clusters of another kind.
const NOT_HERE: [&str; 6] = [
    "adopt.history",
    "adopt.log-ended",
    "log.adopt",
    "log.crossing",
    "restore.compared",
    "restore.tables-loaded",
];

#[test]
fn kill_the_log_where_histories_meet() {
    let template = Template::new();
    let dir = scratch_dir();
    lay_out(&template, dir.path());
    {
        let w = world(dir.path(), template.job.now);
        template.run(Verb::Beside, &w, &w.cx()).unwrap();
        w.app().put(&t("crm", "c"), b"after", b"1").unwrap();
    }
    let job = template.job;
    for point in ["log.after-segment", "log.adopt", "log.crossing", "log.after-segment"] {
        assert!(
            crashed(Verb::CatchUp, job, dir.path(), &[("BRINE_CRASH_AT", point)], point),
            "{point}"
        );
    }
    assert!(!crashed(Verb::CatchUp, job, dir.path(), &[], "at last"));
    let w = world(dir.path(), job.now);
    let runs = w.log_doc().runs;
    let incarnations: Vec<u32> = runs.iter().map(|r| r.incarnation.0).collect();
    assert_eq!(incarnations, [1, 2, 3]);
    assert_eq!(runs.iter().filter(|r| r.ended.is_none()).count(), 1);
    template.check_sound(&w, "after all that");
}

/// Between a crash and its resume the operator let applications in again: what they wrote is in the way back.
#[test]
fn what_was_written_before_a_resume_can_be_undone_to() {
    let template = Template::new();
    for point in [
        "restore.closed",
        "restore.way-back",
        "restore.table-loaded",
        "restore.before-publish",
    ] {
        for verb in [Verb::InPlace, Verb::Safety] {
            let what = format!("{verb:?} at {point}");
            let dir = scratch_dir();
            lay_out(&template, dir.path());
            assert!(
                crashed(verb, template.job, dir.path(), &[("BRINE_CRASH_AT", point)], &what),
                "{what}"
            );
            let between = {
                let w = world(dir.path(), template.job.now);
                assert!(w.c().session("app").is_err(), "{what}: it is closed");
                w.c().open().unwrap();
                w.app().put(&t("crm", "c"), b"between", b"1").unwrap();
                w.sums()
            };
            assert!(!crashed(verb, template.job, dir.path(), &[], &what));
            let w = world(dir.path(), template.job.now);
            assert_eq!(w.sums(), template.want, "{what}");
            w.undo().unwrap();
            assert_eq!(w.sums(), between, "{what}");
        }
    }
}

/// A resume that finds the plan no longer true gives up, and opens what the first run had closed.
#[test]
fn a_resume_that_drifted_opens_the_cluster_again() {
    let template = Template::new();
    let dir = scratch_dir();
    lay_out(&template, dir.path());
    let vars = [("BRINE_CRASH_AT", "restore.table-loaded")];
    assert!(crashed(Verb::InPlace, template.job, dir.path(), &vars, "in place"));
    {
        let w = world(dir.path(), template.job.now);
        let newest = w.view().bases().last().unwrap().id.clone();
        let gone = w.view().backup(&newest).unwrap().clone();
        let note = brine::archive::TrashNote {
            deleted_at: w.now(),
            until: w.now().plus(Millis::DAY),
            by: "me".to_owned(),
            stored_bytes: gone.stored_bytes,
            state: brine::archive::TrashState::Kept,
        };
        w.archive.trash(&w.lock, &newest, &note).unwrap();
    }
    let out = start("InPlace", template.job, dir.path(), &[])
        .wait_with_output()
        .unwrap();
    assert!(!out.status.success());
    assert!(String::from_utf8_lossy(&out.stderr).contains("trash"));
    let w = world(dir.path(), template.job.now);
    assert_eq!(w.sums(), template.live);
    w.app().put(&t("crm", "c"), b"k", b"open").unwrap();
}

/// The points in the engine's source.
fn engine_points() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            for part in std::fs::read_to_string(path).unwrap().split("crash_point(\"").skip(1) {
                found.insert(part.split('"').next().unwrap().to_owned());
            }
        }
    }
    found
}

// --- random kills -----------------------------------------------------------------------------------

/// Writes, archives and backs up until it is killed; prints every acknowledged commit.
fn traffic(mut w: World) {
    w.log_options.flush_every = Duration::from_millis(3);
    let task = w.log_task();
    let (cx, table) = (w.cx(), t("crm", "c"));
    std::thread::scope(|scope| {
        scope.spawn(|| task.run(&cx).unwrap());
        scope.spawn(|| {
            loop {
                w.backup();
            }
        });
        for n in 0u32.. {
            let ts = w.app().put(&table, &[b'k', (n % 7) as u8], &n.to_le_bytes()).unwrap();
            println!("acked {ts}");
        }
    });
}

#[test]
fn kill_at_random_under_traffic() {
    let template = Template::new();
    let rounds = if std::env::var_os("BRINE_TEST_ALL").is_some() {
        40
    } else {
        4
    };
    let dir = scratch_dir();
    lay_out(&template, dir.path());
    let other = crate::moments::other();
    for round in 0..rounds {
        let mut child = start("Traffic", template.job, dir.path(), &[]);
        let mut acked: Vec<Tso> = Vec::new();
        let wanted = fastrand::usize(1..60);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            if let Some(ts) = line.strip_prefix("acked ").and_then(|ts| ts.parse().ok()) {
                acked.push(ts);
                if acked.len() == wanted {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(
            acked.len() >= wanted,
            "round {round}: the child died by itself after {}",
            acked.len()
        );
        let w = world(dir.path(), template.job.now);
        let log_before = w.log_doc().runs.last().unwrap().to;
        w.catch_up();
        assert!(w.log_doc().runs.last().unwrap().to >= log_before);
        let window = w.view().window();
        for ts in &acked {
            assert!(
                window.span_at(Moment::of_tso(*ts)).is_some(),
                "round {round}: {ts} was acknowledged"
            );
        }
        for ts in [acked[0], acked[acked.len() / 2], acked[acked.len() - 1]] {
            check_moment(&w, &other, ts, false).unwrap();
        }
        assert!(w.view().broken.is_empty());
    }
}

#[test]
fn kill_at_random_moments_of_a_restore() {
    let template = Template::new();
    let rounds = if std::env::var_os("BRINE_TEST_ALL").is_some() {
        60
    } else {
        5
    };
    for round in 0..rounds {
        let verb = [Verb::InPlace, Verb::Filtered, Verb::Undo, Verb::Safety][round % 4];
        let dir = scratch_dir();
        lay_out(&template, dir.path());
        let mut kills = 0;
        loop {
            let mut child = start(&format!("{verb:?}"), template.job, dir.path(), &[]);
            let deadline = std::time::Instant::now() + Duration::from_millis(fastrand::u64(20..400) * (1 + kills));
            let status = loop {
                match child.try_wait().unwrap() {
                    Some(status) => break Some(status),
                    None if std::time::Instant::now() > deadline => break None,
                    None => std::thread::yield_now(),
                }
            };
            match status {
                Some(status) => {
                    assert!(status.success(), "round {round}: {verb:?} after {kills} kills");
                    break;
                }
                None => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    kills += 1;
                    // What has forgotten everything was done.
                    if std::fs::read(dir.path().join("resume")).is_ok_and(|text| text == b"[]") {
                        break;
                    }
                }
            }
        }
        let w = world(dir.path(), template.job.now);
        let what = format!("{verb:?} killed {kills} times at random");
        template.check_done(verb, &w, &what);
        template.check_sound(&w, &what);
    }
}
