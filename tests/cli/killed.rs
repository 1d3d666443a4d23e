//! `kill -9` at random moments of every verb that changes something: whatever it was doing, brine goes on, and everything
//! that it offers can be restored.

use crate::env::{Brine, wait_until};

/// One line per verb; `{id}` is the newest backup.
const VERBS: [&str; 24] = [
    "backup create demo",
    "backup verify demo {id} --level test",
    "backup protect demo {id}",
    "backup unprotect demo {id}",
    "backup delete demo {id} --confirm-name demo --yes",
    "backup undelete demo {id}",
    "settings set demo --retention-days 9 --schedule on --yes",
    "log pause demo",
    "log resume demo",
    "log flush demo",
    "log truncate demo --until 1s --drop-pitr --yes",
    "log stop demo --yes",
    "log start demo",
    "retention run demo --yes",
    "restore demo --latest --beside --yes",
    "restore demo --latest --in-place --confirm-name demo --yes",
    "undo demo --confirm-name demo --yes",
    "cluster open demo",
    "cluster adopt demo --confirm-name demo --yes",
    "data load demo shop.orders --rows 300 --yes",
    "data put demo shop.orders 000000000003 other",
    "data delete demo shop.orders 000000000004",
    "data traffic demo --rate 500 --seconds 3",
    "data drop demo shop.orders --confirm-name shop.orders --yes",
];

#[test]
fn at_random_moments_of_every_verb() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 800 --size 300");
    brine.ok("backup create demo");
    brine.ok("log start demo");
    brine.ok("log flush demo");
    for (n, verb) in VERBS.iter().enumerate() {
        let id = brine.newest_backup();
        let line = verb.replace("{id}", &id);
        let args: Vec<&str> = line.split(' ').collect();
        for _ in 0..3 {
            if *verb == "cluster open demo" {
                brine.ok("restore demo --latest --in-place --stay-closed --confirm-name demo --yes");
            }
            let child = brine.spawn(&args);
            let wait = fastrand::u64(5..400);
            std::thread::park_timeout(std::time::Duration::from_millis(wait));
            child.signal(rustix::process::Signal::KILL);
            drop(child);
        }
        check(&brine, n, &line);
    }
}

/// Nobody is stuck, what was begun can be ended, and the latest moment comes back exactly.
fn check(brine: &Brine, n: usize, line: &str) {
    let jobs = brine.json("job list demo");
    for job in jobs.as_array().unwrap() {
        let state = job["state"].as_str().unwrap();
        assert!(state != "running" && state != "cancelling", "{line}: {job}");
        if state == "interrupted" || state == "queued" {
            let id = job["id"].to_string();
            let resumed = brine.run(&["job", "resume", &id]);
            // What it was about may be gone, by the next kill of the same verb.
            if resumed.code != 0 {
                brine.run(&["job", "cancel", &id, "--confirm-name", "demo", "--yes"]);
            }
        }
    }
    wait_until("the cluster is open", || {
        brine.json("cluster show demo")["card"]["state"]["state"] == "available"
            || brine.run(&["cluster", "open", "demo"]).code == 0
    });
    for table in ["shop_restored.orders", "shop_restored.notes"] {
        brine.run(&["data", "drop", "demo", table, "--yes"]);
    }
    brine.put("shop.notes", &n.to_string(), "after the kills");
    for act in ["log resume demo", "log start demo"] {
        brine.run(&act.split(' ').collect::<Vec<_>>());
    }
    brine.ok("backup create demo");
    let moment = brine.put("shop.notes", &n.to_string(), "and after the backup");
    brine.ok("log flush demo");
    let replace = ["--to", "other", "--replace", "--confirm-name", "other", "--yes"];
    brine
        .run(&[&["restore", "demo", "--at", &moment][..], &replace].concat())
        .ok();
    assert_eq!(brine.sums("other", None), brine.sums("demo", Some(&moment)), "{line}");
    let list = brine.json("backup list demo");
    let bad = |b: &&serde_json::Value| b["status"]["state"] == "damaged" || b["status"]["state"] == "broken";
    assert_eq!(list.as_array().unwrap().iter().filter(bad).count(), 0, "{line}: {list}");
}
