//! The main job from end to end.

use std::fs;

use crate::env::Brine;

#[test]
fn any_moment_comes_back_in_another_cluster_exactly_as_it_was() {
    let brine = Brine::new();
    let moment = brine.with_history();
    brine.ok(&format!("restore demo --at {moment} --to other"));
    let (then, restored) = (brine.sums("demo", Some(&moment)), brine.sums("other", None));
    assert_eq!(then, restored);
    assert_eq!(then.len(), 4, "two of the shop, two of the system: {then:?}");
    assert_ne!(then, brine.sums("demo", None), "something happened after the moment");
}

#[test]
fn just_before_a_dropped_table_beside_and_then_in_place_and_back() {
    let brine = Brine::new();
    brine.with_history();
    let whole = brine.sums("demo", None);
    brine.ok("data drop demo shop.orders");
    let dropped = brine.sums("demo", None);
    brine.ok("log flush demo");
    let changes = brine.json("log changes demo --table shop.orders");
    assert_eq!(changes[0]["kind"], "ddl", "{changes}");
    let change = changes[0]["id"].as_str().unwrap();

    brine.ok(&format!("restore demo --before {change} --beside --filter shop.orders"));
    let beside = brine.sums("demo", None);
    assert_eq!(beside.get("shop_restored.orders"), whole.get("shop.orders"));
    assert_eq!(beside.get("shop.orders"), None, "beside touches nothing else");
    brine.ok("data drop demo shop_restored.orders");

    let receipt = brine.json(&format!(
        "restore demo --before {change} --in-place --confirm-name demo --yes"
    ));
    assert_eq!(receipt["state"], "succeeded");
    assert_eq!(receipt["receipt"]["first_out"]["id"].as_str(), Some(change));
    assert_eq!(brine.sums("demo", None), whole);

    brine.ok("undo demo --confirm-name demo --yes");
    assert_eq!(brine.sums("demo", None), dropped);
}

#[test]
fn a_snapshot_latest_and_fastest() {
    let brine = Brine::new();
    let moment = brine.with_history();
    let id = brine.newest_backup();
    brine.ok(&format!("restore demo --snapshot {id} --to other"));
    let snapshot = brine.sums("other", None);
    assert!(!snapshot.contains_key("shop.notes"), "{snapshot:?}");
    let replace = "--to other --replace --confirm-name other --yes";
    brine.ok(&format!("restore demo --latest {replace}"));
    assert_eq!(brine.sums("other", None), brine.sums("demo", None));
    brine.ok(&format!("restore demo --fastest {moment} {replace}"));
    assert_eq!(brine.sums("other", None), snapshot);
}

#[test]
fn a_plan_is_shown_and_run_by_its_hash() {
    let brine = Brine::new();
    let moment = brine.with_history();
    let before = brine.fingerprint();
    let plan = brine.json(&format!("restore demo --at {moment} --to other --plan"));
    let hash = plan["hash"].as_str().unwrap();
    assert_eq!(plan["until"]["tso"].as_str(), Some(moment.as_str()));
    let text = brine.ok(&format!("restore demo --at {moment} --to other --plan")).out;
    assert!(text.contains(hash) && text.contains("shop.orders"), "{text}");
    let other = brine.run(&[
        "restore",
        "demo",
        "--at",
        &moment,
        "--to",
        "other",
        "--plan-hash",
        "abcdef",
        "--yes",
    ]);
    assert_eq!(other.code, 4, "{}", other.err);
    assert!(
        other.err.contains("drifted") && other.err.contains(hash),
        "{}",
        other.err
    );
    assert_eq!(brine.fingerprint(), before, "a plan changes nothing");
    brine.ok(&format!(
        "restore demo --at {moment} --to other --plan-hash {hash} --yes"
    ));
    assert_eq!(brine.sums("other", None), brine.sums("demo", Some(&moment)));
}

#[test]
fn backups_are_protected_deleted_and_brought_back() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 50");
    brine.ok("backup create demo --note first");
    let first = brine.newest_backup();
    brine.ok("backup create demo --keep 9 --filter shop.* --rate-limit 50MiB --concurrency 2");
    brine.ok(&format!("backup protect demo {first}"));
    let refused = brine.run(&["backup", "delete", "demo", &first, "--yes"]);
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(refused.err.contains("protected by tester@"), "{}", refused.err);
    brine.ok(&format!("backup unprotect demo {first}"));
    let last = brine.run(&["backup", "delete", "demo", &first, "--yes"]);
    assert_eq!(last.code, 4, "the last full backup needs the typed name: {}", last.err);
    brine.ok(&format!("backup delete demo {first} --confirm-name demo --yes"));
    assert_eq!(brine.json("backup list demo").as_array().map(Vec::len), Some(1));
    let all = brine.json("backup list demo --deleted");
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|b| b["status"]["state"] == "deleted"),
        "{all}"
    );
    brine.ok(&format!("backup undelete demo {first}"));
    for level in ["files", "checksums", "test"] {
        brine.ok(&format!("backup verify demo {first} --level {level}"));
    }
    let page = brine.json(&format!("backup show demo {first}"));
    assert_eq!(page["backup"]["proof"]["level"], "tested");
}

#[test]
fn a_log_backup_that_is_started_again_soon_has_no_gap() {
    let brine = Brine::new();
    brine.with_history();
    brine.ok("log stop demo");
    let between = brine.put("shop.notes", "c", "while stopped");
    brine.ok("log start demo");
    brine.ok("log flush demo");
    brine.ok(&format!("restore demo --at {between} --to other"));
    assert_eq!(brine.sums("other", None), brine.sums("demo", Some(&between)));
}

/// A restore that the archive has not heard of would put the snapshot into the wrong history.
#[test]
fn a_backup_brings_the_log_up_to_date_first_where_nobody_streams_it() {
    let brine = Brine::new();
    brine.with_history();
    let change = brine.put("shop.notes", "c", "not archived yet");
    brine.ok("backup create demo");
    let status = brine.json("log status demo");
    let checkpoint: u64 = status["checkpoint"]["tso"].as_str().unwrap().parse().unwrap();
    assert!(checkpoint >= change.parse().unwrap(), "{status}");
}

#[test]
fn the_log_backup_is_paused_resumed_stopped_and_truncated() {
    let brine = Brine::new();
    brine.with_history();
    brine.ok("log pause demo");
    assert_eq!(brine.run(&["log", "flush", "demo"]).code, 4);
    brine.ok("log resume demo");
    let started = brine.ok("log start demo");
    assert!(started.err.contains("brine agent"), "nobody runs it: {}", started.err);
    brine.ok("backup create demo");
    brine.ok("log flush demo");
    let refused = brine.run(&["log", "truncate", "demo", "--until", "now"]);
    assert_eq!(refused.code, 4, "{}", refused.err);
    let plan = brine.json("log truncate demo --until now --drop-pitr --dry-run");
    assert!(plan["segments"].as_u64() > Some(0), "{plan}");
    let done = brine.json("log truncate demo --until now --drop-pitr");
    assert_eq!(done["receipt"]["segments"], plan["segments"]);
    assert_eq!(brine.json("settings show demo")["settings"]["pitr"], true);
    brine.ok("log stop demo");
    assert_eq!(brine.json("log status demo")["desired"], "stopped");
    assert_eq!(brine.json("settings show demo")["settings"]["pitr"], false);
    assert_eq!(brine.run(&["log", "resume", "demo"]).code, 4);
}

/// The disaster that the archive is for: it can be read, kept, checked and restored elsewhere without its database, and
/// looking at it does not silently begin a new one.
#[test]
fn the_archive_of_a_lost_database_can_be_kept_and_restored() {
    let brine = Brine::new();
    let moment = brine.with_history();
    let id = brine.newest_backup();
    let expected = brine.sums("demo", Some(&moment));
    fs::remove_dir_all(brine.path("demo")).unwrap();
    let listed = brine.ok("cluster list");
    assert!(listed.out.contains("nreachable"), "{}", listed.out);
    brine.ok(&format!("backup protect demo {id}"));
    brine.ok(&format!("backup verify demo {id} --level checksums"));
    let refused = brine.run(&["backup", "create", "demo"]);
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(
        refused.err.contains("not there, although it has backups"),
        "{}",
        refused.err
    );
    assert!(!brine.path("demo").exists(), "no empty database was begun in its place");
    let restored = brine
        .run(&["restore", "demo", "--at", &moment, "--to", "other", "--yes"])
        .ok();
    assert_eq!(brine.sums("other", None), expected, "{}", restored.out);
}

/// A store that opens with less than it had (a volume that was put back, a file that was lost) is not used until an operator
/// accepts it; then everything goes on, the archive keeps what the store lost, and no restore goes across.
#[test]
fn a_store_that_went_back_is_refused_until_it_is_adopted_and_the_archive_keeps_what_it_lost() {
    for known in [true, false] {
        let brine = Brine::new();
        brine.with_history();
        copy(&brine.path("demo"), &brine.path("older"));
        // Lost, and archived: the first in the log, the second in a snapshot as well.
        let lost = brine.put("shop.notes", "lost", "1");
        brine.ok("log flush demo");
        brine.ok("backup create demo");
        let base = brine.newest_backup();
        let at_lost = brine.sums("demo", Some(&lost));
        brine.put("shop.notes", "never archived", "1");
        let mark = fs::read(brine.path("demo/high-water")).unwrap();
        fs::remove_dir_all(brine.path("demo")).unwrap();
        fs::rename(brine.path("older"), brine.path("demo")).unwrap();
        // What else is known of it: how far it had come, or not even that.
        let mark = if known { mark } else { b"damaged".to_vec() };
        fs::write(brine.path("demo/high-water"), mark).unwrap();

        for line in ["data put demo shop.notes k v", "backup create demo", "log flush demo"] {
            let run = brine.run(&line.split(' ').collect::<Vec<_>>());
            assert_eq!(run.code, 5, "{line}: {}", run.err);
            let says = if known { "lost data" } else { "high-water" };
            assert!(run.err.contains(says), "{line}: {}", run.err);
            assert!(run.err.contains("brine cluster adopt"), "{line}: {}", run.err);
        }
        let unnamed = brine.run(&["cluster", "adopt", "demo", "--yes"]);
        assert_eq!(unnamed.code, 4, "{}", unnamed.err);
        let adopted = brine.ok("cluster adopt demo --confirm-name demo --yes");
        assert!(adopted.out.contains("take a snapshot"), "{}", adopted.out);
        assert_eq!(
            brine.run(&["data", "get", "demo", "shop.notes", "lost"]).code,
            3,
            "it is lost"
        );
        // What was archived of the time that is lost can still be had, and is not mixed with what comes now.
        let after = brine.put("shop.notes", "after", "2");
        brine.ok("log flush demo");
        brine.ok(&format!("restore demo --at {lost} --to other"));
        assert_eq!(brine.sums("other", None), at_lost);
        let across = brine.run(&[
            "restore",
            "demo",
            "--at",
            &after,
            "--base",
            &base,
            "--to",
            "other",
            "--replace",
        ]);
        assert!(across.code != 0, "{}", across.out);
        let replace = "--to other --replace --confirm-name other --yes";
        brine.ok("backup create demo");
        let later = brine.put("shop.notes", "later", "3");
        brine.ok("log flush demo");
        brine.ok(&format!("restore demo --at {later} {replace}"));
        assert_eq!(brine.sums("other", None), brine.sums("demo", Some(&later)));
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[test]
fn what_is_known_of_a_storage_is_said_on_the_command_line_too() {
    let brine = Brine::new();
    brine.ok("backup create demo");
    let listed = brine.ok("storage list").out;
    for wanted in [
        "FREE",
        " of ",
        "\nlocal:\n  access        the rights of brine's user",
        "\n  versions      none",
        "\n  immutability  none",
    ] {
        assert!(listed.contains(wanted), "`{wanted}` is missing:\n{listed}");
    }
}

#[test]
fn sentences_name_moments_in_the_zone_of_the_rest() {
    let brine = Brine::new();
    let moment = brine.with_history();
    brine.ok(&format!("restore demo --at {moment} --to other"));
    let listed = brine.ok("job list --tz Asia/Tokyo").out;
    assert!(listed.contains("+09:00") && !listed.contains("UTC"), "{listed}");
    assert_eq!(listed.matches("into other to 20").count(), 1, "{listed}");
}
