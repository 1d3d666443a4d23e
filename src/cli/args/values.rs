//! Readers of single values.

use chrono_tz::Tz;

use crate::model::filter::{BadRename, BadRule, RenameMap, TableFilter};
use crate::model::job::Verb;
use crate::model::size::{self, BadSize};
use crate::model::text::safe;
use crate::model::time::{BadTime, parse_zone};

/// All verbs of jobs.
const VERBS: [Verb; 8] = [
    Verb::Backup,
    Verb::Restore,
    Verb::Undo,
    Verb::Delete,
    Verb::Verify,
    Verb::Retention,
    Verb::Truncate,
    Verb::Compact,
];

pub(super) fn zone(text: &str) -> Result<Tz, BadTime> {
    parse_zone(text)
}

/// Checks one rule of a filter; the rules are read together later.
pub(super) fn filter_rule(text: &str) -> Result<String, BadRule> {
    TableFilter::parse(&[text]).map(|_| text.to_owned())
}

/// Checks one rename; they are read together later.
pub(super) fn rename_rule(text: &str) -> Result<String, BadRename> {
    RenameMap::parse(&[text]).map(|_| text.to_owned())
}

pub(super) fn size(text: &str) -> Result<u64, BadSize> {
    size::parse(text)
}

/// A rate of bytes; zero would never end.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    match size::parse(text) {
        Ok(0) => Err("a limit of 0 bytes per second would never end".to_owned()),
        Ok(rate) => Ok(rate),
        Err(bad) => Err(bad.to_string()),
    }
}

pub(super) fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off".to_owned()),
    }
}

pub(super) fn verb(text: &str) -> Result<Verb, String> {
    let known = VERBS.into_iter().find(|v| v.word() == text);
    known.ok_or_else(|| format!("there are {}", VERBS.map(Verb::word).join(", ")))
}

/// Text that says something: a moment, a transaction, a note.
pub(super) fn words(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text.to_owned())
}

/// The hash of a plan, or its beginning.
pub(super) fn plan_hash(text: &str) -> Result<String, String> {
    let good = (6..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if good {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!(
        "`{}` is not the hash of a plan: it has 6 to 64 hex digits",
        safe(text, 80)
    ))
}
