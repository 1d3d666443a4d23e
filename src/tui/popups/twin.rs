//! The command line that does what a form does.

use super::form::{Field, Form};
use super::forms::Subject;
use super::marked::{Act, Marked};
use crate::model::ids::ClusterName;
use crate::service::desk::LogAct;

/// The command lines that do the same as the form's button; none where only the console can do it.
pub fn commands(form: &Form) -> Vec<String> {
    let one = match &form.subject {
        Subject::BackupNow { cluster } => backup_now(form, cluster),
        Subject::Settings { cluster, .. } => settings(form, cluster),
        Subject::Verify { cluster, id } => format!("brine backup verify {cluster} {id} --level {}", level(form)),
        Subject::Protect { cluster, id, on: true } => format!("brine backup protect {cluster} {id}"),
        Subject::Protect { cluster, id, on: false } => format!("brine backup unprotect {cluster} {id}"),
        Subject::Delete { cluster, id } => format!("brine backup delete {cluster} {id}"),
        Subject::Undelete { cluster, id } => format!("brine backup undelete {cluster} {id}"),
        Subject::Retention { cluster } => format!("brine retention run {cluster}"),
        Subject::Log { cluster, act } => format!("brine log {} {cluster}", log_word(*act)),
        Subject::Purge { .. } if form.text(0).is_empty() => return Vec::new(),
        Subject::Purge { cluster } => purge(form, cluster),
        Subject::OpenCluster { cluster } => format!("brine cluster open {cluster}"),
        Subject::Cancel { job } => format!("brine job cancel {job}"),
        Subject::Resume { job } => format!("brine job resume {job}"),
        Subject::Traffic { cluster, on: true } => {
            format!("brine data traffic {cluster} --rate {}", super::acts::TRAFFIC)
        }
        Subject::Marked(marked) => return of_marked(form, marked),
        Subject::Traffic { on: false, .. } | Subject::Quit | Subject::Suspend | Subject::Accident { .. } => {
            return Vec::new();
        }
    };
    vec![format!("{one}{}", consent(form))]
}

/// What stands for the name that must be typed.
fn consent(form: &Form) -> String {
    let name = form.fields.iter().find_map(|field| match field {
        Field::Typed { must, .. } => Some(must),
        _ => None,
    });
    name.map_or_else(String::new, |name| format!(" --confirm-name {name} --yes"))
}

fn backup_now(form: &Form, cluster: &ClusterName) -> String {
    let note = match form.text(0) {
        "" => String::new(),
        note => format!(" --note {}", quoted(note)),
    };
    let keep = match form.text(1) {
        "" => String::new(),
        days => format!(" --keep {}", quoted(days)),
    };
    format!("brine backup create {cluster}{note}{keep}")
}

fn settings(form: &Form, cluster: &ClusterName) -> String {
    let on = |n: usize| if form.choice(n) == 0 { "on" } else { "off" };
    format!(
        "brine settings set {cluster} --time {} --retention-days {} --schedule {} --pitr {}",
        quoted(form.text(0)),
        quoted(form.text(1)),
        on(2),
        on(3)
    )
}

fn purge(form: &Form, cluster: &ClusterName) -> String {
    let drop = if form.choice(1) == 1 { " --drop-pitr" } else { "" };
    format!("brine log truncate {cluster} --until {}{drop}", quoted(form.text(0)))
}

fn level(form: &Form) -> &'static str {
    match form.choice(0) {
        0 => "files",
        1 => "checksums",
        _ => "test",
    }
}

fn log_word(act: LogAct) -> &'static str {
    match act {
        LogAct::Start => "start",
        LogAct::Pause => "pause",
        LogAct::Resume => "resume",
        LogAct::Stop => "stop",
        LogAct::Flush => "flush",
    }
}

fn of_marked(form: &Form, marked: &Marked) -> Vec<String> {
    let (word, level) = match marked.act {
        Act::Verify => ("verify", format!(" --level {}", level(form))),
        Act::Protect => ("protect", String::new()),
        Act::Unprotect => ("unprotect", String::new()),
        Act::Delete => ("delete", String::new()),
        Act::Undelete => ("undelete", String::new()),
    };
    let consent = consent(form);
    let line = |id| format!("brine backup {word} {} {id}{level}{consent}", marked.cluster);
    marked.ids.iter().map(line).collect()
}

/// A word as a shell reads it: in quotes where it has to be.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
