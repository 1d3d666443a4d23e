//! What the README shows runs as printed.

use crate::env::Brine;

/// The shell blocks of the README that are commands of brine, in order.
fn script() -> String {
    let readme = include_str!("../../README.md");
    let mut lines = vec!["set -e"];
    let mut inside = false;
    for line in readme.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => lines.push(line),
            _ => {}
        }
    }
    lines.join("\n")
}

#[test]
fn every_command_of_the_readme_runs_as_printed() {
    let brine = Brine::new();
    let script = script();
    assert!(script.matches("brine ").count() > 8, "{script}");
    let output = brine.surroundings("sh").args(["-c", &script]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "stdout: {}\nstderr: {}",
        text(&output.stdout),
        text(&output.stderr)
    );
}
