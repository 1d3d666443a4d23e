//! Refusals that the command line itself makes.

use std::error::Error;

use super::output::chain_of;
use crate::config::ConfigError;
use crate::model::time::BadTime;
use crate::service::desk::{Answer, Refusal, RefusalKind};

/// A refusal of one line.
pub(super) fn of(kind: RefusalKind, what: impl Into<String>, hint: Option<String>) -> Refusal {
    Refusal {
        kind,
        chain: vec![what.into()],
        hint,
    }
}

/// A guard says no.
pub(super) fn guarded(what: impl Into<String>, hint: impl Into<String>) -> Refusal {
    of(RefusalKind::Refused, what, Some(hint.into()))
}

/// Wrong words.
pub(super) fn usage(error: &dyn Error) -> Refusal {
    Refusal {
        kind: RefusalKind::Usage,
        chain: chain_of(error),
        hint: None,
    }
}

/// A moment that cannot be read; `flag` is where it was written.
pub(super) fn bad_time(flag: &str, error: &BadTime) -> Refusal {
    let mut refusal = usage(error);
    if !flag.is_empty() {
        refusal.chain.insert(0, format!("{flag} cannot be used"));
    }
    refusal
}

/// Printing failed.
pub(super) fn printing(error: std::io::Error) -> Refusal {
    Refusal {
        kind: RefusalKind::Failed,
        chain: vec!["the result cannot be printed".to_owned(), error.to_string()],
        hint: None,
    }
}

/// The config cannot be used.
pub(super) fn config(error: &ConfigError) -> Refusal {
    use super::exit::ExitCode;
    let kind = match ExitCode::from(error) {
        ExitCode::Failed => RefusalKind::Failed,
        ExitCode::Refused => RefusalKind::Refused,
        _ => RefusalKind::Usage,
    };
    Refusal {
        kind,
        chain: chain_of(error),
        hint: None,
    }
}

/// The desk answered another question than was asked.
pub(super) fn unexpected(answer: &Answer) -> Refusal {
    let name = serde_json::to_value(answer).ok();
    let name = name.as_ref().and_then(|v| v.get("answer")?.as_str());
    of(
        RefusalKind::Failed,
        format!("the answer `{}` does not fit the question", name.unwrap_or("?")),
        Some("both processes must run the same version of brine".to_owned()),
    )
}
