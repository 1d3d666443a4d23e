//! Jobs, signals, and two processes on one data directory.

use rustix::process::Signal;

use crate::env::{Brine, wait_until};

#[test]
fn an_agent_runs_the_log_backup_and_answers_commands_until_it_is_told_to_end() {
    let brine = Brine::new();
    brine.with_history();
    let agent = brine.spawn(&["agent"]);
    wait_until("the agent streams", || {
        brine.json("log status demo")["actual"]["state"] == "streaming"
    });
    let tso = brine.put("shop.notes", "through", "the agent");
    brine.run(&["backup", "create", "demo", "--note", "by the agent"]).ok();
    brine.ok(&format!("restore demo --at {tso} --to other"));
    assert_eq!(brine.sums("other", None), brine.sums("demo", Some(&tso)));
    brine.ok("log flush demo");
    assert_eq!(brine.run(&["agent"]).code, 4, "one agent is enough");
    agent.signal(Signal::HUP);
    assert_eq!(brine.run(&["check", "demo"]).code, 0);
    agent.signal(Signal::TERM);
    let (code, err) = agent.end();
    assert_eq!(code, Some(0), "{err}");
    brine.ok("data tables demo");
    assert_eq!(brine.json("log status demo")["actual"]["state"], "no-runner");
}

#[test]
fn ctrl_c_cancels_the_job_and_leaves_nothing_behind() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 2000");
    let backup = brine.spawn(&["backup", "create", "demo", "--rate-limit", "50KiB"]);
    // A second command reaches the first one through its socket.
    wait_until("the backup reads", || {
        let jobs = brine.json("job list demo");
        jobs[0]["steps"]
            .as_array()
            .is_some_and(|s| s.iter().any(|s| s["progress"]["done"].as_u64() > Some(0)))
    });
    backup.signal(Signal::INT);
    let (code, err) = backup.end();
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("asked to stop"), "{err}");
    assert_eq!(brine.json("backup list demo").as_array().map(Vec::len), Some(0));
    let left = std::fs::read_dir(brine.path("backups/backup-demo")).unwrap();
    let left: Vec<String> = left.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with("snapshot-")), "{left:?}");
    let job = brine.json("job show 1");
    assert_eq!(job["job"]["state"], "cancelled");
}

#[test]
fn a_killed_backup_is_interrupted_and_goes_on() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 1000");
    let backup = brine.spawn(&["backup", "create", "demo", "--rate-limit", "100KiB"]);
    wait_until("the backup runs", || {
        brine.json("job list demo")[0]["state"] == "running"
    });
    backup.signal(Signal::KILL);
    drop(backup);
    let list = brine.json("job list demo");
    assert_eq!(list[0]["state"], "interrupted", "{list}");
    let watched = brine.run(&["job", "watch", "1"]);
    assert_eq!(watched.code, 1, "{}", watched.err);
    assert!(watched.err.contains("brine job resume 1"), "{}", watched.err);
    brine.ok("job resume 1");
    brine.ok(&format!("restore demo --snapshot {} --to other", brine.newest_backup()));
    assert_eq!(brine.sums("other", None), brine.sums("demo", None));
}

#[test]
fn a_command_that_is_done_waits_for_what_others_started_in_it() {
    let brine = Brine::new();
    for cluster in ["demo", "other"] {
        brine.ok(&format!("data load {cluster} shop.orders --rows 1500"));
    }
    let first = brine.spawn(&["backup", "create", "demo", "--rate-limit", "100KiB"]);
    wait_until("the first works", || {
        brine.json("job list demo")[0]["state"] == "running"
    });
    brine.ok("backup create other --rate-limit 60KiB");
    assert_eq!(first.end().0, Some(0));
    let ended = |job: &str| brine.json(&format!("job show {job}"))["job"]["ended"].as_i64().unwrap();
    assert!(
        ended("1") < ended("2"),
        "the second job outlived the first, in its process"
    );
}

#[test]
fn an_agent_that_ends_leaves_its_jobs_to_be_resumed() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 800");
    let agent = brine.spawn(&["agent"]);
    let holder = brine.path("data/runner.json");
    wait_until("the agent works", || {
        std::fs::read_to_string(&holder).is_ok_and(|note| note.contains("agent"))
    });
    let backup = brine.spawn(&["backup", "create", "demo", "--rate-limit", "60KiB"]);
    wait_until("the backup runs", || {
        brine.json("job list demo")[0]["state"] == "running"
    });
    agent.signal(Signal::TERM);
    assert_eq!(agent.end().0, Some(0));
    let (code, err) = backup.end();
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("lost sight of job 1") && err.contains("brine job show 1"),
        "{err}"
    );
    assert_eq!(brine.json("job show 1")["job"]["state"], "interrupted");
    brine.ok("job resume 1");
    assert_eq!(brine.json("backup list demo").as_array().map(Vec::len), Some(1));
}

#[test]
fn what_was_said_beside_the_jobs_can_be_read_again() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 10");
    assert!(brine.ok("messages").out.contains("there are no messages"));
    let mut found = Vec::new();
    let mut dirs = vec![brine.path("")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false if path.file_name().is_some_and(|n| n == "journal.db") => found.push(path),
                false => {}
            }
        }
    }
    let [journal] = found.as_slice() else {
        panic!("{found:?}")
    };
    std::fs::write(journal, vec![b'x'; 8192]).unwrap();
    let said = brine.ok("messages").out;
    assert!(said.starts_with("WHEN") && said.contains("warning"), "{said}");
    assert!(said.contains("the journal was damaged"), "{said}");
    let document = brine.json("messages --limit 1");
    assert_eq!(document[0]["level"], "warning");
    assert_eq!(document.as_array().map(Vec::len), Some(1));
}
