//! Bad input: the error names the thing, the reason and the nearest thing that would work; nothing is changed.

use std::fs;

use crate::env::{Brine, Run};

struct Bad<'a> {
    args: &'a [&'a str],
    code: i32,
    says: &'a [&'a str],
}

#[track_caller]
fn refused(run: &Run, bad: &Bad<'_>) {
    assert_eq!(run.code, bad.code, "{:?}: {}{}", bad.args, run.out, run.err);
    assert_eq!(run.out, "", "{:?} prints no result", bad.args);
    for word in bad.says {
        assert!(
            run.err.contains(word),
            "{:?} should say `{word}`:\n{}",
            bad.args,
            run.err
        );
    }
}

#[test]
fn bad_input_is_refused_with_its_reason_and_changes_nothing() {
    let brine = Brine::new();
    let moment = brine.with_history();
    let id = brine.newest_backup();
    let wrong_id = format!("{}0000", &id[..id.len() - 4]);
    let before = brine.fingerprint();
    let at = ["restore", "demo", "--at", &moment, "--to", "demo2"];
    let cases: &[(&[&str], i32, &[&str])] = &[
        (
            &["restore", "demo", "--at", "1999-01-01 00:00", "--beside"],
            3,
            &["before the first", "the nearest is"],
        ),
        (
            &["restore", "demo", "--at", "2199-01-01 00:00", "--beside"],
            3,
            &["after the last", "the nearest is"],
        ),
        (
            &["restore", "demo", "--snapshot", &wrong_id, "--beside"],
            3,
            &[&wrong_id, &id],
        ),
        (
            &["restore", "demo", "--before", "470000000000000000"],
            3,
            &["470000000000000000"],
        ),
        (
            &["restore", "demo", "--latest", "--filter", "nope.*"],
            3,
            &["nope.*", "shop.orders"],
        ),
        (&["restore", "demo", "--latest", "--filter", "nope"], 2, &["nope"]),
        (&["restore", "demo", "--at", "gestern"], 2, &["gestern", "--at"]),
        (&["restore", "demo"], 2, &["--latest"]),
        (
            &["restore", "demo", "--latest", "--beside", "--in-place"],
            2,
            &["--in-place"],
        ),
        (&at, 3, &["demo2", "demo?"]),
        (&["restore", "demmo", "--latest"], 3, &["demmo", "did you mean demo?"]),
        (
            &["restore", "demo", "--latest", "--in-place"],
            4,
            &["--confirm-name demo --yes"],
        ),
        (
            &["restore", "demo", "--latest", "--in-place", "--yes"],
            4,
            &["--confirm-name demo"],
        ),
        (
            &[
                "restore",
                "demo",
                "--latest",
                "--in-place",
                "--yes",
                "--confirm-name",
                "x",
            ],
            4,
            &["`x`", "demo"],
        ),
        (
            &["undo", "demo", "--confirm-name", "demo", "--yes"],
            4,
            &["no restore that can be undone"],
        ),
        (&["backup", "show", "demo", &wrong_id], 3, &[&wrong_id, &id]),
        (&["backup", "delete", "demo", &id], 4, &["--confirm-name demo --yes"]),
        (&["backup", "verify", "demo", &wrong_id], 3, &[&wrong_id]),
        (&["backup", "create", "demo", "--filter", "nope.*"], 3, &["nope.*"]),
        (&["backup", "list", "othr"], 3, &["did you mean other?"]),
        (&["settings", "set", "demo", "--retention-days", "6"], 2, &["7 to 90"]),
        (&["settings", "set", "demo", "--retention-days", "91"], 2, &["7 to 90"]),
        (&["settings", "set", "demo", "--time", "25:00"], 2, &["25:00"]),
        (&["log", "flush", "other"], 4, &["brine log start other"]),
        (&["log", "truncate", "demo", "--until", "now"], 4, &[&id, "--drop-pitr"]),
        (&["job", "show", "999"], 3, &["999"]),
        (&["storage", "check", "nope"], 3, &["nope"]),
        (
            &["data", "checksum", "demo", "--at", "2199-01-01 00:00"],
            3,
            &["outside"],
        ),
        (&["data", "get", "demo", "shop.orders", "nokey"], 3, &["nokey"]),
        (&["data", "scan", "demo", "shop.nope"], 3, &["shop.nope"]),
        (&["--tz", "Berlin", "backup", "list", "demo"], 2, &["Europe/Berlin"]),
        (&["--read-only", "backup", "create", "demo"], 4, &["read-only"]),
        (&["backup", "create", "demo", "--storage", "dr"], 4, &["dr"]),
    ];
    for (args, code, says) in cases {
        let bad = Bad {
            args,
            code: *code,
            says,
        };
        refused(&brine.run(args), &bad);
    }
    assert_eq!(brine.fingerprint(), before);
}

#[test]
fn a_target_that_is_not_empty_needs_replace_and_its_name() {
    let brine = Brine::new();
    brine.with_history();
    brine.ok("data load other shop.orders --rows 3");
    let before = brine.fingerprint();
    let run = |more: &[&str]| {
        let args = [&["restore", "demo", "--latest", "--to", "other"], more].concat();
        brine.run(&args)
    };
    let plain = run(&["--yes"]);
    assert_eq!(
        (plain.code, plain.err.contains("--replace")),
        (4, true),
        "{}",
        plain.err
    );
    let unnamed = run(&["--replace", "--yes"]);
    assert_eq!(
        (unnamed.code, unnamed.err.contains("--confirm-name other")),
        (4, true),
        "{}",
        unnamed.err
    );
    assert_eq!(brine.fingerprint(), before);
}

#[test]
fn a_protected_cluster_wants_its_name_for_every_dangerous_act() {
    let brine = Brine::with("protected = true");
    brine.with_history();
    brine.ok("backup create demo");
    let id = brine.newest_backup();
    for args in [
        &["backup", "delete", "demo", &id, "--yes"][..],
        &["restore", "demo", "--latest", "--beside", "--yes"],
        &["log", "truncate", "demo", "--until", "1h ago", "--yes"],
        &["settings", "set", "demo", "--schedule", "on", "--yes"],
        &["log", "stop", "demo"],
        &["log", "stop", "demo", "--yes"],
        &["retention", "run", "demo"],
        &["data", "drop", "demo", "shop.orders", "--yes"],
    ] {
        let run = brine.run(args);
        assert_eq!(run.code, 4, "{args:?}: {}", run.err);
        assert!(run.err.contains("--confirm-name demo"), "{args:?}: {}", run.err);
    }
    brine.ok("log stop demo --confirm-name demo --yes");
}

#[test]
fn a_damaged_backup_is_named_and_not_restored() {
    let brine = Brine::new();
    brine.with_history();
    let id = brine.newest_backup();
    let dir = brine.path(&format!("backups/backup-demo/snapshot-{id}"));
    let data = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let largest = data.max_by_key(|p| fs::metadata(p).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).unwrap();
    let before = brine.fingerprint();
    let name = largest.file_name().unwrap().to_str().unwrap().to_owned();
    let run = brine.run(&["restore", "demo", "--latest", "--to", "other"]);
    assert_eq!(run.code, 5, "{}", run.err);
    assert!(run.err.contains(&name), "{}", run.err);
    let in_place = brine.run(&[
        "restore",
        "demo",
        "--latest",
        "--in-place",
        "--confirm-name",
        "demo",
        "--yes",
    ]);
    assert_eq!(in_place.code, 5, "{}", in_place.err);
    assert_eq!(brine.json("cluster show demo")["card"]["state"]["state"], "available");
    assert_eq!(brine.sums("other", None), parse(&before["other"], &brine));
    let verify = brine.run(&["backup", "verify", "demo", &id]);
    assert_eq!(verify.code, 5, "{}", verify.err);
    assert_eq!(brine.run(&["check", "demo"]).code, 1);
}

/// The fingerprint holds what `sums` gave as text.
fn parse(bytes: &[u8], brine: &Brine) -> std::collections::BTreeMap<String, String> {
    let now = brine.sums("other", None);
    assert_eq!(format!("{now:?}").as_bytes(), bytes);
    now
}

#[test]
fn a_config_with_a_typo_names_line_and_nearest_key() {
    let brine = Brine::new();
    let config = brine.path("config.toml");
    let text = fs::read_to_string(&config).unwrap().replacen("path =", "pathh =", 1);
    fs::write(&config, text).unwrap();
    for args in [&["config", "check"][..], &["backup", "list", "demo"], &["agent"]] {
        let run = brine.run(args);
        assert_eq!(run.code, 2, "{}", run.err);
        assert!(
            run.err.contains("config.toml:9") && run.err.contains("did you mean `path`?"),
            "{}",
            run.err
        );
    }
    assert!(!brine.path("data").exists(), "nothing was made");
}

#[test]
fn a_missing_and_a_damaged_piece_of_the_log_is_named() {
    let brine = Brine::new();
    let moment = brine.with_history();
    let mut segments = Vec::new();
    let mut open = vec![brine.path("backups/backup-demo/log-backup")];
    while let Some(dir) = open.pop() {
        for path in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() {
                open.push(path)
            } else {
                segments.push(path)
            }
        }
    }
    let segment = &segments[0];
    let name = segment.file_name().unwrap().to_str().unwrap();
    let good = fs::read(segment).unwrap();
    let mut bad = good.clone();
    let at = bad.len() / 2;
    bad[at] ^= 0x10;
    let other = brine.sums("other", None);
    for bytes in [Some(bad), None] {
        match &bytes {
            Some(bytes) => fs::write(segment, bytes).unwrap(),
            None => fs::remove_file(segment).unwrap(),
        }
        let run = brine.run(&["restore", "demo", "--at", &moment, "--to", "other"]);
        assert_eq!(run.code, 5, "{}", run.err);
        let named = run.err.contains(name) || run.err.contains("segment 0: it is missing");
        assert!(named, "{name}: {}", run.err);
        assert_eq!(brine.sums("other", None), other);
    }
    fs::write(segment, good).unwrap();
    brine.ok(&format!("restore demo --at {moment} --to other"));
}

#[test]
fn keys_and_themes_that_cannot_be_are_named_with_their_line() {
    let brine = Brine::new();
    let config = brine.path("config.toml");
    let good = fs::read_to_string(&config).unwrap();
    let line = good.lines().count() + 3;
    fs::write(
        &config,
        format!("{good}\n[keys]\n\"backup.now\" = \"E\"\n\"bakup.verify\" = \"v\"\nhelp = \"hh\"\n"),
    )
    .unwrap();
    for args in [&["config", "check"][..], &["keys"]] {
        let run = brine.run(args);
        assert_eq!(run.code, 2, "{}", run.err);
        for said in [
            format!("config.toml:{line}:"),
            "E means both \"backup.now\" and \"backup.settings\"".to_owned(),
            format!("config.toml:{}:", line + 1),
            "did you mean `backup.verify`?".to_owned(),
            "`hh` is not a key".to_owned(),
        ] {
            assert!(run.err.contains(&said), "{args:?} should say {said}:\n{}", run.err);
        }
    }
    fs::write(
        &config,
        format!("{good}\n[keys]\n\"backup.now\" = [\"ctrl-b\", \"b\"]\n"),
    )
    .unwrap();
    brine.ok("config check");
    let keys = brine.run(&["keys"]).ok().out;
    let backup = keys.lines().find(|l| l.contains("backup.now")).unwrap();
    assert!(backup.starts_with("ctrl-b b  "), "{backup}");
    let list = brine.run(&["keys", "--json"]).json();
    let of = |id: &str| list.as_array().unwrap().iter().find(|k| k["id"] == id).unwrap()["keys"].clone();
    assert_eq!(of("backup.now"), serde_json::json!(["ctrl-b", "b"]));
    fs::create_dir(brine.path("themes")).unwrap();
    fs::write(brine.path("themes/mine.toml"), "inherits = \"nobody\"").unwrap();
    fs::write(
        brine.path("themes/pale.toml"),
        "inherits = \"brine-dark\"\n[style]\nmuted = { fg = \"#2a333c\" }",
    )
    .unwrap();
    let said = brine.run(&["config", "check"]).ok().out;
    assert!(
        said.contains("theme `mine` builds on `nobody`") && said.contains("`pale` is hard to read"),
        "{said}"
    );
    let run = brine.run(&["config", "check", "--theme", "mine"]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("there is no theme `mine`"), "{}", run.err);
    brine.run(&["config", "check", "--theme", "pale"]).ok();
}
