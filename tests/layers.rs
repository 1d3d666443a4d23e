//! The house's order: who may use whom, where foreign crates live, and what every source file looks like.
//!
//! Reads the tokens of every file under `src/` (comments and texts left out) and looks at the paths in them.

// A test may panic, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

/// The folders from left to right; those of one group do not know each other.
const ORDER: [&[&str]; 9] = [
    &["model"],
    &["config"],
    &["storage"],
    &["archive", "cluster"],
    &["engine"],
    &["jobs"],
    &["service"],
    &["cli", "tui"],
    &["demo"],
];

/// Foreign crates and the only places that may name them. A place is a folder or a file below `src/`.
const HOMES: [(&str, &[&str]); 24] = [
    ("fjall", &["cluster/embedded"]),
    ("mysql_common", &["cluster/mysql"]),
    ("ring", &["cluster/mysql"]),
    ("rustls", &["cluster/mysql"]),
    ("rustls_native_certs", &["cluster/mysql"]),
    ("flate2", &["cluster/mysql"]),
    ("crc32fast", &["cluster/mysql"]),
    ("base64", &["cluster/mysql"]),
    ("zstd", &["archive", "cluster/mysql/binlog"]),
    ("blake3", &["archive"]),
    ("rusqlite", &["jobs"]),
    ("croner", &["jobs"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("tui_input", &["tui"]),
    ("nucleo_matcher", &["tui"]),
    ("unicode_width", &["tui"]),
    ("toml", &["config", "tui"]),
    ("directories", &["config"]),
    ("tokio", &["jobs", "service", "cli", "tui", "main.rs"]),
    ("reqwest", &[]),
];

/// Crates that some folders must not name although others may.
const NOT_IN: [(&str, &[&str]); 2] = [
    ("rustix", &["model", "config", "archive", "engine"]),
    (
        "anyhow",
        &["model", "config", "storage", "archive", "cluster", "engine"],
    ),
];

/// Uses that the order would allow and that must not be: the engine gets values, never the operator's file.
const NEVER: [(&str, &str); 1] = [("engine", "config")];

/// The longest file that is still read in one sitting.
const MAX_LINES: usize = 600;

struct Source {
    /// Below `src/`, with `/`.
    name: String,
    text: String,
}

impl Source {
    /// The top folder, or the file itself.
    fn top(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap_or_default()
    }

    fn is_in(&self, place: &str) -> bool {
        self.name == place || self.name.starts_with(&format!("{place}/")) || self.name == format!("{place}.rs")
    }

    /// How many modules it lies below the crate's root.
    fn depth(&self) -> usize {
        let folders = self.name.split('/').count() - 1;
        let is_mod = self.name.ends_with("mod.rs") || !self.name.contains('/') && self.top() == "lib";
        folders + usize::from(!is_mod)
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |path: &PathBuf| Source {
        name: path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"),
        text: fs::read_to_string(path).unwrap(),
    };
    files.iter().map(read).collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Words and single punctuation characters; `::` is one token. Comments, texts and characters are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut i, mut found) = (0, Vec::new());
    while i < chars.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            i = after_comment(&chars, i);
        } else if let Some(hashes) = raw_text(&chars, i) {
            i = after_raw_text(&chars, i, hashes);
        } else if c == '"' {
            i = after_quoted(&chars, i, '"');
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i = after_quoted(&chars, i, '\'');
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            found.push(chars[start..i].iter().collect());
        } else if c == ':' && at(i + 1) == ':' {
            found.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            i += 1;
        }
    }
    found
}

fn after_comment(chars: &[char], mut i: usize) -> usize {
    let mut depth = 0;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

/// The number of `#` of a raw text that begins here.
fn raw_text(chars: &[char], i: usize) -> Option<usize> {
    let part_of_word = i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_');
    let start = if chars[i] == 'b' && chars.get(i + 1) == Some(&'r') {
        i + 1
    } else {
        i
    };
    if part_of_word || chars.get(start) != Some(&'r') {
        return None;
    }
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(start + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn after_raw_text(chars: &[char], i: usize, hashes: usize) -> usize {
    let mut end = i + chars[i..].iter().position(|c| *c == '"').unwrap() + 1;
    while end < chars.len() {
        if chars[end] == '"' && chars[end + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return end + 1 + hashes;
        }
        end += 1;
    }
    end
}

fn after_quoted(chars: &[char], i: usize, quote: char) -> usize {
    let mut end = i + 1;
    while end < chars.len() && chars[end] != quote {
        end += if chars[end] == '\\' { 2 } else { 1 };
    }
    end + 1
}

/// The first names behind a `::` at `i`: one, or those of a `{group}`.
fn heads(tokens: &[String], i: usize) -> Vec<&str> {
    let Some(first) = tokens.get(i + 1) else {
        return Vec::new();
    };
    if first != "{" {
        return vec![first];
    }
    let (mut names, mut depth) = (Vec::new(), 0);
    for (place, token) in tokens.iter().enumerate().skip(i + 1) {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && matches!(tokens[place - 1].as_str(), "{" | ",") => names.push(name),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// The folders of ours that a file names, by `crate::`, by `brine::`, or by enough `super::`.
fn uses(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let mut used = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if token != "::" || i == 0 {
            continue;
        }
        let root = match tokens[i - 1].as_str() {
            "crate" => true,
            "brine" => matches!(source.top(), "main" | "front"),
            "super" => supers(&tokens, i) >= source.depth() && source.depth() > 0,
            _ => false,
        };
        if root {
            used.extend(heads(&tokens, i).into_iter().map(str::to_owned));
        }
    }
    used.retain(|name| rank(name).is_some());
    used
}

/// How many `super::` stand in a row up to the `::` at `i`.
fn supers(tokens: &[String], i: usize) -> usize {
    let pairs = tokens[..=i].rchunks_exact(2);
    pairs.take_while(|p| p[0] == "super" && p[1] == "::").count()
}

fn rank(folder: &str) -> Option<usize> {
    ORDER.iter().position(|group| group.contains(&folder))
}

/// What breaks the order in one file.
fn wrong_uses(source: &Source) -> Vec<String> {
    let from = source.top();
    let Some(own) = rank(from) else { return Vec::new() };
    let wrong = |to: &String| *to != from && (rank(to).unwrap() >= own || NEVER.contains(&(from, to.as_str())));
    uses(source)
        .into_iter()
        .filter(wrong)
        .map(|to| format!("{}: {from} must not use {to}", source.name))
        .collect()
}

/// What is named away from home in one file.
fn homeless_crates(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let names = |name: &str| {
        tokens.iter().enumerate().any(|(i, t)| {
            let path_begins = tokens.get(i + 1).is_some_and(|n| n == "::") && (i == 0 || tokens[i - 1] != "::");
            t == name && (path_begins || i > 0 && tokens[i - 1] == "use")
        })
    };
    let away = HOMES
        .iter()
        .filter(|(name, homes)| !homes.iter().any(|h| source.is_in(h)) && names(name));
    let banned = NOT_IN
        .iter()
        .filter(|(name, places)| places.iter().any(|p| source.is_in(p)) && names(name));
    let found = away.chain(banned);
    found
        .map(|(name, _)| format!("{}: {name} does not live here", source.name))
        .collect()
}

/// The engine knows names of objects and tables, not files of this host.
fn paths_in_engine(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let path_module = tokens
        .windows(3)
        .any(|w| w[0] == "std" && w[1] == "::" && w[2] == "path");
    let grouped = tokens
        .iter()
        .enumerate()
        .any(|(i, t)| t == "::" && i > 0 && tokens[i - 1] == "std" && heads(&tokens, i).contains(&"path"));
    let found = source.is_in("engine") && (path_module || grouped || tokens.iter().any(|t| t == "PathBuf"));
    found
        .then(|| format!("{}: the engine names std::path", source.name))
        .into_iter()
        .collect()
}

fn all(check: impl Fn(&Source) -> Vec<String>) {
    let wrong: Vec<String> = sources().iter().flat_map(check).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_folder_uses_only_what_stands_to_its_left() {
    all(wrong_uses);
}

#[test]
fn foreign_crates_stay_in_their_homes() {
    all(homeless_crates);
}

#[test]
fn the_engine_names_no_paths() {
    all(paths_in_engine);
}

#[test]
fn every_folder_has_its_place_in_the_order() {
    let unknown = |s: &Source| !matches!(s.top(), "lib" | "main" | "front") && rank(s.top()).is_none();
    all(|s| {
        if unknown(s) {
            vec![format!("{}: not in ORDER", s.name)]
        } else {
            Vec::new()
        }
    });
}

#[test]
fn every_file_says_what_it_owns_and_stays_short() {
    all(|source| {
        let mut wrong = Vec::new();
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{}: begins without //!", source.name));
        }
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{}: {lines} lines, split it", source.name));
        }
        if source.text.contains('\u{2014}') {
            wrong.push(format!("{}: holds an em dash", source.name));
        }
        wrong
    });
}

#[test]
fn the_checks_find_what_they_look_for() {
    let check = |name: &str, text: &str, expect: usize| {
        let source = Source {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let found = [wrong_uses(&source), homeless_crates(&source), paths_in_engine(&source)].concat();
        assert_eq!(found.len(), expect, "{name}: {text}: {found:?}");
    };
    check("storage/mod.rs", "use crate::archive::X;", 1);
    check("storage/mod.rs", "use crate::{model::Y, archive::{X, config}, tui};", 2);
    check("storage/mod.rs", "use super::archive::X;", 1);
    check(
        "storage/a/b.rs",
        "use super::super::super::archive::X; use super::archive::Own;",
        1,
    );
    check("storage/mod.rs", "fn f() { crate::engine::go() }", 1);
    check(
        "storage/mod.rs",
        "use crate::model::X; use crate::storage::archive::Y; use crate::config::Z;",
        0,
    );
    check(
        "storage/mod.rs",
        "// crate::tui\n/* crate::tui /* x */ crate::cli */ const A: &str = \"crate::tui \\\" crate::cli\";",
        0,
    );
    check(
        "storage/mod.rs",
        "const A: &str = r#\"crate::tui \" crate::cli\"#; fn f<'a>(c: &'a str) -> char { '\"' }",
        0,
    );
    check("storage/mod.rs", "fn f() -> char { '\\'' } use crate::tui::X;", 1);
    check("archive/mod.rs", "use crate::cluster::X;", 1);
    check("cluster/mod.rs", "use crate::archive::X;", 1);
    check("cli/mod.rs", "use crate::tui::X;", 1);
    check("engine/a.rs", "use crate::config::Config;", 1);
    check("engine/a.rs", "use std::{fs, path::Path};", 1);
    check("engine/a.rs", "fn f(p: &std::path::Path) {}", 1);
    check("main.rs", "use brine::cli; use brine::demo::x; use tokio::x;", 0);
    check("cluster/mysql/mod.rs", "use fjall::Database;", 1);
    check(
        "cluster/embedded/store.rs",
        "use fjall::Database; use crate::model::X;",
        0,
    );
    check("engine/a.rs", "use zstd; fn f() { rustix::fs::open() }", 2);
    check("engine/a.rs", "fn tokio() { model::toml::x() }", 0);
    check("engine/a.rs", "fn f() -> anyhow::Result<()> {}", 1);
    check("jobs/schedule.rs", "use croner::Cron; use tokio::net::UnixListener;", 0);
    check("tui/app.rs", "use reqwest::Client;", 1);
}
