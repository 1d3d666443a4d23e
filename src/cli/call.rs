//! One command: asks the desk, reads moments in the cluster's zone, prints.

use std::io::IsTerminal as _;

use chrono_tz::Tz;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::args::GlobalArgs;
use super::open::Opened;
use super::words::At;
use super::{Outcome, Std, exit::ExitCode, refuse};
use crate::config::{ClusterSource, Config};
use crate::model::clock::{Clock as _, Millis, SystemClock};
use crate::model::ids::{ClusterName, StorageName};
use crate::model::position::Moment;
use crate::model::time::{self, Echo};
use crate::model::tso::Tso;
use crate::service::desk::{Answer, Question, Refusal};

/// Asks, and takes the one answer that fits.
macro_rules! answer {
    ($call:expr, $question:expr, $variant:path) => {
        match $call.ask($question)? {
            $variant(value) => value,
            other => return Err($crate::cli::refuse::unexpected(&other)),
        }
    };
}
pub(super) use answer;

/// One command at work.
pub(super) struct Call<'a> {
    opened: &'a Opened,
    config: Config,
    /// The flags that work everywhere.
    pub global: GlobalArgs,
    /// Where results and notes go.
    pub out: &'a mut Std,
    left: bool,
}

impl<'a> Call<'a> {
    /// A command that has opened its desk.
    pub fn new(opened: &'a Opened, config: Config, global: GlobalArgs, out: &'a mut Std) -> Self {
        Call {
            opened,
            config,
            global,
            out,
            left: false,
        }
    }

    /// Asks the desk. A read-only command asks nothing that changes something, whatever process would do it.
    pub fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        if self.global.read_only && question.changes_something() {
            return Err(refuse::guarded(
                "this is a read-only session",
                "leave out --read-only to change things",
            ));
        }
        self.opened.desk.ask(question)
    }

    /// Whether jobs run in this very process.
    pub fn is_here(&self) -> bool {
        self.opened.is_here()
    }

    /// Notes that the operator wants to leave: a job goes on, or is taken up again, without this command.
    pub fn leave(&mut self) {
        self.left = true;
    }

    /// Whether the operator wants to leave, whatever still runs.
    pub fn leaves_now(&self) -> bool {
        self.left
    }

    /// Whether there is somebody to ask.
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Whether a line of progress can be rewritten in place.
    pub fn can_rewrite(&self) -> bool {
        std::io::stderr().is_terminal() && !self.global.accessible
    }

    /// The columns of the terminal that results are written to; none where it is no terminal.
    pub fn columns(&self) -> Option<usize> {
        let out = std::io::stdout();
        let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| out.is_terminal())?;
        Some(usize::from(size.ws_col)).filter(|c| *c > 0)
    }

    /// A line that the next one replaces.
    pub fn passing(&mut self, line: &str) {
        let _ = self.out.passing(line);
    }

    /// The zone in which a cluster's times are read and shown.
    pub fn zone(&self, cluster: &ClusterName) -> Tz {
        let own = || self.config.cluster(cluster).map(|c| c.time_zone);
        self.global.tz.or_else(own).unwrap_or(Tz::UTC)
    }

    /// How a cluster's times are shown.
    pub fn at(&self, cluster: &ClusterName) -> At {
        let source = self.config.cluster(cluster).map(|c| &c.source);
        At {
            zone: self.zone(cluster),
            now: self.now(),
            server: matches!(source, Some(ClusterSource::Mysql(_))),
        }
    }

    /// The zone of what concerns no single cluster: that of the only cluster, else UTC.
    pub fn any_zone(&self) -> Tz {
        let only = match self.config.clusters.as_slice() {
            [one] => Some(one.time_zone),
            _ => None,
        };
        self.global.tz.or(only).unwrap_or(Tz::UTC)
    }

    /// The zone of the config, which is that of Backup Time; `--tz` does not change it.
    pub fn config_zone(&self, cluster: &ClusterName) -> Option<Tz> {
        self.config.cluster(cluster).map(|c| c.time_zone)
    }

    /// Whether every dangerous act on a cluster needs its typed name.
    pub fn is_protected(&self, cluster: &ClusterName) -> bool {
        self.config.cluster(cluster).is_some_and(|c| c.protected)
    }

    /// Copies in further storages are not in this version, so only the first can be asked for.
    pub fn first_storage(&self, cluster: &ClusterName, storage: &StorageName) -> Result<(), Refusal> {
        let first = self.config.cluster(cluster).and_then(|c| c.storages.first());
        if first.is_none_or(|first| first == storage) {
            return Ok(());
        }
        Err(refuse::guarded(
            format!("{storage} is not the first storage of {cluster}"),
            "copies in further storages are not in this version; leave out --storage",
        ))
    }

    /// Now.
    pub fn now(&self) -> Millis {
        SystemClock.now()
    }

    /// Reads a moment as it was written behind `flag`. Clusters of this version all have a timestamp oracle.
    pub fn moment(&self, flag: &str, text: &str, cluster: &ClusterName) -> Result<Moment, Refusal> {
        let when = time::parse_when(text, self.zone(cluster), self.now());
        when.map(time::When::on_oracle).map_err(|e| refuse::bad_time(flag, &e))
    }

    /// A moment that may not have been written.
    pub fn moment_if_any(
        &self,
        flag: &str,
        text: Option<&String>,
        cluster: &ClusterName,
    ) -> Result<Option<Moment>, Refusal> {
        text.map(|t| self.moment(flag, t, cluster)).transpose()
    }

    /// Prints a result: JSON in which every moment stands in all its forms, or lines.
    pub fn print<T: Serialize>(&mut self, value: &T, zone: Tz, lines: impl FnOnce() -> Vec<String>) -> Outcome {
        let printed = if self.out.is_json() {
            self.out.document(&echoed(value, zone)?)
        } else {
            self.out.lines(&lines())
        };
        printed.map_err(refuse::printing)?;
        Ok(ExitCode::Done)
    }

    /// A line about what is going on.
    pub fn note(&mut self, line: &str) {
        // A note that cannot be printed must not end what it is about.
        let _ = self.out.note(line);
    }

    /// Several of them.
    pub fn notes(&mut self, lines: &[String]) {
        lines.iter().for_each(|line| self.note(line));
    }

    /// An answer that is one line.
    pub fn done(&mut self, text: &str) -> Outcome {
        let printed = if self.out.is_json() {
            self.out.document(&json!({ "done": text }))
        } else {
            self.out.lines(&[text])
        };
        printed.map_err(refuse::printing)?;
        Ok(ExitCode::Done)
    }
}

/// As JSON, with `local` and `utc` beside every moment's `at` and `tso`.
pub(super) fn echoed<T: Serialize>(value: &T, zone: Tz) -> Result<Value, Refusal> {
    let mut value = serde_json::to_value(value).map_err(|e| refuse::printing(std::io::Error::other(e)))?;
    echo_in(&mut value, zone);
    Ok(value)
}

fn echo_in(value: &mut Value, zone: Tz) {
    match value {
        Value::Object(fields) => {
            if let Some(moment) = as_moment(fields) {
                fields.insert("utc".to_owned(), json!(utc_text(moment.at)));
                fields.insert("local".to_owned(), json!(time::exact(moment.at, zone)));
                return;
            }
            fields.values_mut().for_each(|v| echo_in(v, zone));
        }
        Value::Array(items) => items.iter_mut().for_each(|v| echo_in(v, zone)),
        _ => {}
    }
}

/// An object that holds `at`, perhaps `tso`, and nothing else.
fn as_moment(fields: &Map<String, Value>) -> Option<Moment> {
    let at = fields.get("at")?.as_i64()?;
    match (fields.len(), fields.get("tso")) {
        (1, None) => Some(Moment::of_millis(Millis(at))),
        (2, Some(tso)) => {
            let tso: Tso = tso.as_str()?.parse().ok()?;
            Some(Moment {
                at: Millis(at),
                tso: Some(tso),
            })
        }
        _ => None,
    }
}

/// RFC 3339 with milliseconds.
fn utc_text(at: Millis) -> String {
    at.utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A moment in all its forms, for people.
pub(super) fn all_forms(moment: Moment, zone: Tz, now: Millis) -> String {
    Echo::of(moment, zone, now).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_echoed_wherever_they_stand_and_nothing_else_is_touched() {
        let moment = Moment::of_tso(Tso::from_millis(Millis(1_795_136_404_000)));
        let value = json!({ "list": [{ "commit": moment }], "next": { "next": "at", "at": 5 }, "n": 1 });
        let shown = echoed(&value, Tz::Europe__Berlin).unwrap();
        let commit = &shown["list"][0]["commit"];
        assert_eq!(commit["utc"], "2026-11-20T01:00:04.000Z");
        assert_eq!(commit["local"], "2026-11-20 02:00:04 +01:00");
        assert_eq!(commit["tso"], "470584237490176000");
        assert_eq!(shown["next"], value["next"]);
    }
}
