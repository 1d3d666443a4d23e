//! Disks that are really full: the error names the place and what to do, nothing is damaged, and with space again the very
//! same command works.

use crate::env::{BRINE, Brine, Run};
use crate::small_disk::{SmallDisk, inside};

/// From nothing at all to a good part of what is needed.
const LEFT: [u64; 4] = [0, 8, 200, 600];

/// It failed for want of space, and says so.
#[track_caller]
fn full(run: &Run, place: &str) {
    assert_eq!(run.code, 1, "{}{}", run.out, run.err);
    let says = |words: &str| run.err.contains(words);
    assert!(says(place), "should name {place}: {}", run.err);
    assert!(says("free some space"), "{}", run.err);
}

#[test]
fn of_the_storage() {
    if !inside("full_disk::of_the_storage") {
        return;
    }
    let brine = Brine::new();
    let disk = SmallDisk::over(&brine.path("backups"), 6 << 10);
    brine.ok("data load demo shop.orders --rows 2000 --size 1000 --seed 3");
    for left in LEFT {
        disk.fill_but(left);
        let run = brine.run(&["backup", "create", "demo"]);
        full(&run, "backup-demo/");
        let list = brine.json("backup list demo");
        assert!(
            list.as_array()
                .unwrap()
                .iter()
                .all(|b| b["status"]["state"] != "complete"),
            "{left} KiB: {list}"
        );
    }
    // The job that failed goes on, and so does a new one.
    disk.free();
    let failed = brine.json("job list demo")[0]["id"].to_string();
    brine.ok(&format!("job resume {failed}"));
    brine.ok("backup create demo");
    brine.ok("log start demo");
    brine.ok("log flush demo");
    brine.ok("data load demo shop.more --rows 1500 --size 1000");
    for left in LEFT {
        let before = brine.json("log status demo")["checkpoint"].clone();
        disk.fill_but(left);
        let kept = brine.put("shop.notes", &left.to_string(), "while the disk is full");
        let run = brine.run(&["log", "flush", "demo"]);
        full(&run, "backup-demo/");
        assert_eq!(brine.json("log status demo")["checkpoint"], before, "{left} KiB");
        if left == LEFT[3] {
            disk.free();
            brine.ok("log flush demo");
            brine.ok(&format!("restore demo --at {kept} --to other"));
            assert_eq!(brine.sums("other", None), brine.sums("demo", Some(&kept)));
        }
    }
    // Acts that change the few small documents.
    let id = brine.newest_backup();
    disk.fill_but(0);
    for args in [
        &["backup", "protect", "demo", &id][..],
        &["settings", "set", "demo", "--retention-days", "9"],
        &["log", "pause", "demo"],
    ] {
        full(&brine.run(args), "backup-demo/");
    }
    disk.free();
    assert_eq!(brine.json("settings show demo")["settings"]["retention_days"], 7);
    brine.ok(&format!("backup protect demo {id}"));
    brine.ok("settings set demo --retention-days 9");
    brine.ok(&format!("backup verify demo {id} --level checksums"));
}

/// A file that may not grow any further (`ulimit -f`) is told of, and does not end brine without a word.
#[test]
fn of_files_that_may_not_grow() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 3000 --size 1000 --seed 3");
    brine.ok("backup create other");
    let limited = format!("ulimit -f 1000; exec {BRINE} backup create demo");
    let mut shell = brine.surroundings("sh");
    shell
        .args(["-c", &limited])
        .env("BRINE_CONFIG", brine.path("config.toml"));
    let output = shell.output().unwrap();
    let run = Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert_eq!(run.code, 1, "{}{}", run.out, run.err);
    let says = |words: &str| run.err.contains(words);
    assert!(says("File too large") && says("ulimit -f"), "{}", run.err);
    brine.ok("backup create demo");
}

#[test]
fn of_the_jobs() {
    if !inside("full_disk::of_the_jobs") {
        return;
    }
    let brine = Brine::new();
    brine.with_history();
    let disk = SmallDisk::over(&brine.path("data"), 2 << 10);
    let before = brine.json("backup list demo").as_array().unwrap().len();
    for left in [0, 4, 8, 40, 100] {
        disk.fill_but(left);
        let run = brine.run(&["backup", "create", "demo"]);
        if run.code == 0 {
            // Enough for one journal.
            continue;
        }
        full(&run, &brine.path("data").display().to_string());
        disk.free();
        let journal = rusqlite::Connection::open(brine.path("data/journal.db")).unwrap();
        let integrity: String = journal.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
        assert_eq!(integrity, "ok");
    }
    disk.free();
    brine.ok("backup create demo");
    let after = brine.json("backup list demo");
    assert!(after.as_array().unwrap().len() > before, "{after}");
    let jobs = brine.json("job list demo");
    let states = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|j| j["state"].as_str().unwrap().to_owned());
    assert!(states.clone().all(|s| s != "running" && s != "queued"), "{jobs}");
}

#[test]
fn of_a_restores_target() {
    if !inside("full_disk::of_a_restores_target") {
        return;
    }
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 3000 --size 1000 --seed 3");
    let moment = brine.with_history();
    brine.ok("data load other shop.mine --rows 10");
    // Opened again, its journal is cut down to what it holds.
    brine.ok("data tables other");
    let disk = SmallDisk::over(&brine.path("other"), 8 << 10);
    let mine = brine.sums("other", None);
    let wanted = brine.sums("demo", Some(&moment));
    let restore = format!("restore demo --at {moment} --to other --replace --confirm-name other --yes");
    let args: Vec<&str> = restore.split(' ').collect();
    for left in LEFT {
        disk.fill_but(left);
        full(&brine.run(&args), &brine.path("other").display().to_string());
        disk.free();
        brine.ok("cluster open other");
        assert_eq!(brine.sums("other", None), mine, "{left} KiB: as it was");
    }
    brine.run(&args).ok();
    assert_eq!(brine.sums("other", None), wanted);
}

#[test]
fn of_a_cluster_restored_in_place() {
    if !inside("full_disk::of_a_cluster_restored_in_place") {
        return;
    }
    let brine = Brine::new();
    brine.ok("data load demo shop.big --rows 3000 --size 1000 --seed 3");
    let moment = brine.with_history();
    let disk = SmallDisk::over(&brine.path("demo"), 16 << 10);
    let live = brine.sums("demo", None);
    let wanted = brine.sums("demo", Some(&moment));
    let restore = format!("restore demo --at {moment} --in-place --confirm-name demo --yes");
    let args: Vec<&str> = restore.split(' ').collect();
    for left in LEFT {
        disk.fill_but(left);
        full(&brine.run(&args), &brine.path("demo").display().to_string());
        disk.free();
        brine.ok("cluster open demo");
        assert_eq!(brine.sums("demo", None), live, "{left} KiB: as it was");
    }
    brine.run(&args).ok();
    assert_eq!(brine.sums("demo", None), wanted);
    brine.ok("undo demo --confirm-name demo --yes");
    assert_eq!(brine.sums("demo", None), live);
}
