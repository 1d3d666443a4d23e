//! The JSON documents: their names and shapes are a promise to scripts.

use serde_json::{Map, Value, json};

use crate::env::Brine;

/// Numbers that are the same in every run.
const STABLE: [&str; 6] = [
    "rows",
    "tables",
    "days",
    "retention_days",
    "transactions",
    "incarnation",
];

/// Puts a word for its kind in the place of every value that differs from run to run.
fn normal(key: &str, value: &Value, dir: &str) -> Value {
    match value {
        Value::Object(fields) => {
            let inner = fields.iter().map(|(k, v)| (k.clone(), normal(k, v, dir)));
            Value::Object(inner.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(|v| normal(key, v, dir)).collect(),
        Value::Number(_) if !STABLE.contains(&key) => json!("<number>"),
        Value::String(text) => json!(text_of(key, text, dir)),
        other => other.clone(),
    }
}

fn text_of(key: &str, text: &str, dir: &str) -> String {
    let digits = |n: usize| text.len() >= n && text.bytes().all(|b| b.is_ascii_digit());
    let hex = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_id = text.len() == 19 && text.as_bytes().get(14) == Some(&b'-');
    match key {
        "local" | "utc" => format!("<{key}>"),
        "asked_by" | "by" => "<who>".to_owned(),
        "command" | "hash" | "point" | "title" | "version" | "source_version" | "product" => format!("<{key}>"),
        _ if digits(15) || text.contains("4705") => "<tso>".to_owned(),
        _ if is_id => "<id>".to_owned(),
        _ if hex => "<hex>".to_owned(),
        _ => words_of(text).replace(dir, "<dir>"),
    }
}

/// Identities inside sentences.
fn words_of(text: &str) -> String {
    let hex = |w: &str| w.len() == 32 && w.bytes().all(|b| b.is_ascii_hexdigit());
    let words = text.split(' ').map(|w| if hex(w) { "<hex>" } else { w });
    words.collect::<Vec<_>>().join(" ")
}

fn shape(brine: &Brine, line: &str) -> String {
    let value = brine.json(line);
    let dir = brine.path("").display().to_string();
    serde_json::to_string_pretty(&normal("", &value, dir.trim_end_matches('/'))).unwrap()
}

#[test]
fn documents_keep_their_shapes() {
    let brine = Brine::new();
    let moment = brine.with_history();
    let id = brine.newest_backup();
    for (name, line) in [
        ("backup_list", "backup list demo".to_owned()),
        ("backup_show", format!("backup show demo {id}")),
        ("cluster_list", "cluster list".to_owned()),
        ("log_status", "log status demo".to_owned()),
        ("log_changes", "log changes demo".to_owned()),
        ("retention_plan", "retention plan demo".to_owned()),
        ("settings_show", "settings show demo".to_owned()),
        ("storage_list", "storage list".to_owned()),
        ("restore_plan", format!("restore demo --at {moment} --to other --plan")),
        ("restore_receipt", format!("restore demo --at {moment} --to other")),
        ("job_list", "job list other".to_owned()),
    ] {
        insta::assert_snapshot!(format!("json_{name}"), shape(&brine, &line));
    }
}

#[test]
fn a_checksum_is_exactly_a_moment_and_tables_in_order() {
    let brine = Brine::new();
    let moment = brine.with_history();
    let sums = brine.json(&format!("data checksum demo --at {moment}"));
    let keys = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&sums), ["at", "tables"]);
    assert_eq!(sums["at"]["tso"].as_str(), Some(moment.as_str()));
    assert!(sums["at"]["utc"].is_string() && sums["at"]["local"].is_string());
    let tables = sums["tables"].as_array().unwrap();
    let names: Vec<&str> = tables.iter().map(|t| t["table"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"shop.orders"), "{names:?}");
    for table in tables {
        assert_eq!(keys(table), ["bytes", "checksum", "rows", "table"]);
        assert_eq!(table["checksum"].as_str().map(str::len), Some(32));
    }
}

#[test]
fn moments_are_read_and_shown_in_the_wanted_zone() {
    let brine = Brine::with("time_zone = \"Europe/Berlin\"");
    let moment = brine.with_history();
    let sums = brine.json(&format!("data checksum demo --at {moment}"));
    let local = sums["at"]["local"].as_str().unwrap().to_owned();
    assert!(local.ends_with("+01:00") || local.ends_with("+02:00"), "{local}");
    let tokyo = brine.json(&format!("--tz Asia/Tokyo data checksum demo --at {moment}"));
    assert!(tokyo["at"]["local"].as_str().unwrap().ends_with("+09:00"));
    // What is printed can be typed again; it means the whole of its millisecond.
    let again = brine
        .run(&["data", "checksum", "demo", "--at", &local, "--json"])
        .json();
    assert_eq!(again["at"]["at"], sums["at"]["at"]);
}

#[test]
fn check_says_in_its_code_how_it_is() {
    let brine = Brine::new();
    brine.ok("data load demo shop.orders --rows 5");
    assert_eq!(brine.json("check")["ok"], true, "nothing is asked for");
    brine.with_history();
    let run = brine.run(&["check", "demo", "--json"]);
    assert_eq!(run.code, 1, "the log backup has no runner: {}", run.out);
    let health: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (&health["ok"], &health["clusters"][0]["word"]),
        (&json!(false), &json!("no runner"))
    );
}
