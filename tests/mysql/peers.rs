//! What comes of the data set with the tools that people use, and with brine: a report, table by table.
//!
//! It stands in `peers-fidelity.txt` in the directory for temporary files of the tests (`target/tmp`), and is printed with
//! `--nocapture`. A tool that is not installed is left out; only brine has to bring back everything.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::dataset;
use crate::look::{self, Look};
use crate::server::{Kind, Server, servers};
use crate::world::{World, snapshot};

/// The databases that tools are asked for.
const DATABASES: [&str; 2] = ["fid", "maria"];

/// What became of each table.
fn outcome(source: &Look, target: &Look) -> Vec<(String, &'static str)> {
    let ours = |name: &str| DATABASES.iter().any(|db| name.starts_with(&format!("rows `{db}`.")));
    let all = source.0.iter().filter(|(name, _)| ours(name));
    let of = |(name, rows): (&String, &Vec<String>)| {
        let what = match target.0.get(name) {
            None => "missing",
            Some(has) if has == rows => "equal",
            Some(has) if has.is_empty() => "empty",
            Some(has) if has.len() != rows.len() => "rows lost",
            Some(_) => "values changed",
        };
        (name.trim_start_matches("rows ").to_owned(), what)
    };
    all.map(of).collect()
}

/// A program that may take two minutes.
fn limited(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120"]).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn socket(server: &Server) -> String {
    format!("--socket={}", server.socket().display())
}

fn by_dump(source: &Server, target: &Server, dir: &Path) -> bool {
    let file = dir.join("dump.sql");
    let mut dump = limited(&source.kind.program("mariadb-dump"));
    dump.args([
        "--no-defaults",
        "-uroot",
        "--single-transaction",
        "--routines",
        "--events",
        "--max-allowed-packet=1G",
        "--force",
    ])
    .args([socket(source), format!("--result-file={}", file.display())])
    .arg("--databases")
    .args(DATABASES);
    let _ = dump.status().unwrap();
    let mut load = limited(&target.kind.program("mariadb"));
    load.args(["--no-defaults", "-uroot", "--force", "--max-allowed-packet=1G"])
        .arg(socket(target))
        .stdin(std::fs::File::open(&file).unwrap());
    let _ = load.status().unwrap();
    true
}

fn by_mydumper(source: &Server, target: &Server, dir: &Path) -> bool {
    let tools = ["/usr/bin/mydumper", "/usr/bin/myloader"].map(Path::new);
    if tools.iter().any(|t| !t.exists()) {
        return false;
    }
    let out = dir.join("mydumper");
    let mut dump = limited(tools[0]);
    dump.args(["--user=root", "--threads=1", "--regex=^(fid|maria)\\."])
        .args([socket(source), format!("--outputdir={}", out.display())]);
    let _ = dump.status().unwrap();
    let mut load = limited(tools[1]);
    load.args(["--user=root", "--threads=1"])
        .args([socket(target), format!("--directory={}", out.display())]);
    let _ = load.status().unwrap();
    true
}

#[test]
fn the_data_set_with_others_and_with_brine() {
    let [source, spare] = servers([Kind::MariaDb1011, Kind::MariaDb1011]);
    dataset::fill(&source);
    dataset::plugins(&spare);
    let wanted = look::rows(&source);
    let dir = tempfile::tempdir().unwrap();
    let mut columns = Vec::new();
    type Way = fn(&Server, &Server, &Path) -> bool;
    for (name, way) in [("mariadb-dump", by_dump as Way), ("mydumper", by_mydumper as Way)] {
        if way(&source, &spare, dir.path()) {
            columns.push((name, outcome(&wanted, &look::rows(&spare))));
        }
        let drops: Vec<String> = DATABASES
            .iter()
            .map(|db| format!("drop database if exists {db};"))
            .collect();
        spare.sql(&drops.concat());
    }
    let (w, other) = (World::new(&source), World::target(&spare));
    let backup = w.backup();
    w.restore_to(&other, snapshot(&backup.id));
    columns.push(("brine", outcome(&wanted, &look::rows(&spare))));
    let report = table(&columns);
    println!("{report}");
    std::fs::write(
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers-fidelity.txt"),
        &report,
    )
    .unwrap();
    let (_, own) = columns.last().unwrap();
    assert!(own.len() > 80, "{report}");
    assert!(own.iter().all(|(_, what)| *what == "equal"), "{report}");
}

/// A line for each table that anyone did not bring back, and the sums.
fn table(columns: &[(&str, Vec<(String, &'static str)>)]) -> String {
    let mut out = String::new();
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("{name:<16}")).collect();
    writeln!(out, "{:<40}{}", "table", names.concat()).unwrap();
    let tables = columns.first().map_or(0, |(_, tables)| tables.len());
    for n in 0..tables {
        let outcomes: Vec<&str> = columns.iter().map(|(_, all)| all[n].1).collect();
        if outcomes.iter().any(|o| *o != "equal") {
            let cells: Vec<String> = outcomes.iter().map(|o| format!("{o:<16}")).collect();
            writeln!(out, "{:<40}{}", columns[0].1[n].0, cells.concat()).unwrap();
        }
    }
    let equal = |all: &[(String, &str)]| all.iter().filter(|(_, what)| *what == "equal").count();
    let sums: Vec<String> = columns
        .iter()
        .map(|(_, all)| format!("{:<16}", format!("{} of {tables}", equal(all))))
        .collect();
    writeln!(out, "{:<40}{}", "equal", sums.concat()).unwrap();
    out
}
