//! A job's receipt in plain lines: for restores in words, for other verbs as the fields they have.

use serde_json::Value;

use crate::engine::restore::plan::RestoreReceipt;
use crate::model::job::Job;
use crate::model::size;
use crate::model::time;
use crate::tui::model::Model;
use crate::tui::paint::{safe, wrap};
use crate::tui::theme::Meaning;
use crate::tui::widgets::status::{self, count, plural};

/// Longer labels are none.
const LABEL: usize = 17;

type Line = (String, Meaning);

/// The receipt's lines; none while there is no receipt.
pub fn lines(m: &Model, job: &Job) -> Vec<Line> {
    let Some(value) = &job.receipt else {
        return Vec::new();
    };
    match serde_json::from_value::<RestoreReceipt>(value.clone()) {
        Ok(receipt) => restored(m, job, &receipt),
        Err(_) => fields(value),
    }
}

/// A line with what does not fit below its text, not below its label or number.
pub fn hanging(text: &str, width: usize) -> Vec<String> {
    let text = safe(text);
    let number = || {
        text.starts_with("  ")
            .then(|| text.find(". ").map(|at| at + 2))
            .flatten()
    };
    // A label ends with two blanks or more.
    let label = || {
        let (label, rest) = text.split_once("  ").filter(|(label, _)| label.len() < LABEL)?;
        Some(label.len() + 2 + rest.len() - rest.trim_start().len())
    };
    let at = number().or_else(label).filter(|at| width > 2 * at).unwrap_or(0);
    let (lead, body) = text.split_at_checked(at).unwrap_or(("", &text));
    let lines = wrap(body, width - at).into_iter().enumerate();
    lines
        .map(|(i, line)| {
            if i == 0 {
                format!("{lead}{line}")
            } else {
                format!("{}{line}", " ".repeat(at))
            }
        })
        .collect()
}

fn restored(m: &Model, job: &Job, r: &RestoreReceipt) -> Vec<Line> {
    let base = |text: String| (text, Meaning::Base);
    let mut out = vec![
        (format!("Restored {}", m.told(&job.title)), Meaning::Ok),
        base(format!("moment      {}", status::echo_time(m, r.until))),
        base(format!(
            "base        {}, {} of log merged in",
            r.base,
            plural(r.replayed, "transaction")
        )),
    ];
    let transaction = |t: &crate::engine::restore::plan::TxnRef| {
        format!("{} at {}", t.id, time::exact(t.at.at, m.zone_of(Some(&r.target))))
    };
    if let Some(t) = &r.last_in {
        out.push(base(format!("last in     {}", transaction(t))));
    }
    if let Some(t) = &r.first_out {
        out.push(base(format!("first out   {}", transaction(t))));
    }
    let (tables, rows) = (plural(r.tables, "table"), plural(r.rows, "row"));
    out.push(base(format!(
        "content     {tables}, {rows}, {}, in {}",
        size::iec(r.bytes),
        time::took(r.took_ms)
    )));
    out.push((format!("compared    {}", r.compared), Meaning::Ok));
    if let Some(until) = r.undo_until {
        let until = time::local(until, m.zone_of(Some(&r.target)));
        out.push((
            format!("way back    u undoes this restore until {until}"),
            Meaning::Warn,
        ));
    }
    out.extend(r.warnings.iter().map(|w| (format!("warning     {w}"), Meaning::Warn)));
    if !r.next_steps.is_empty() {
        out.push(("What to do next".to_owned(), Meaning::Title));
        out.extend(
            r.next_steps
                .iter()
                .enumerate()
                .map(|(i, s)| base(format!("  {}. {s}", i + 1))),
        );
    }
    out
}

/// Any receipt: its fields with their names as words.
fn fields(value: &Value) -> Vec<Line> {
    let Value::Object(map) = value else {
        return vec![(plain(value), Meaning::Base)];
    };
    let shown = map.iter().filter(|(_, v)| !v.is_null());
    shown
        .map(|(name, v)| {
            let text = match (name.ends_with("bytes"), v.as_u64()) {
                (true, Some(bytes)) => size::iec(bytes),
                _ => plain(v),
            };
            (format!("{:<16} {text}", name.replace('_', " ")), Meaning::Base)
        })
        .collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Number(n) => n.as_u64().map_or_else(|| n.to_string(), count),
        Value::Bool(b) => if *b { "yes" } else { "no" }.to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_stands_below_its_text() {
        let text = "compared    the rows equal what was written";
        assert_eq!(hanging(text, 80), [text]);
        assert_eq!(
            hanging(text, 30),
            ["compared    the rows equal", "            what was written"]
        );
        assert_eq!(hanging("  1. take a new base", 15), ["  1. take a new", "     base"]);
        assert_eq!(hanging("Restored beside, in demo", 16), ["Restored beside,", "in demo"]);
    }
}
