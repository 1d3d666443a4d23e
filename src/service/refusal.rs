//! Refusals: how every kind of failure becomes one value for screen, socket and exit code.

use super::desk::{Refusal, RefusalKind};
use crate::engine::error::EngineError;
use crate::jobs::error::JobError;
use crate::jobs::journal::JournalError;
use crate::model::disk;

impl From<EngineError> for Refusal {
    fn from(e: EngineError) -> Self {
        use crate::engine::error::ErrorKind;
        let kind = match e.kind() {
            ErrorKind::Failed => RefusalKind::Failed,
            ErrorKind::NotFound => RefusalKind::NotFound,
            ErrorKind::Refused => RefusalKind::Refused,
            ErrorKind::Corrupt => RefusalKind::Corrupt,
            ErrorKind::Cancelled => RefusalKind::Cancelled,
        };
        let hint = e.hint().map(str::to_owned);
        Refusal {
            kind,
            chain: chain(&e),
            hint,
        }
    }
}

/// An error and its causes, outermost first, made safe to show; a cause that only repeats its effect is left out.
pub(super) fn chain(e: &dyn std::error::Error) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut next = Some(e);
    while let Some(e) = next {
        let text = crate::model::text::safe(&e.to_string(), 500);
        if all.last() != Some(&text) {
            all.push(text);
        }
        next = e.source();
    }
    all
}

pub(super) fn failed(text: String) -> Refusal {
    Refusal {
        kind: RefusalKind::Failed,
        chain: vec![text],
        hint: None,
    }
}

pub(super) fn usage(text: String) -> Refusal {
    Refusal {
        kind: RefusalKind::Usage,
        chain: vec![text],
        hint: None,
    }
}

/// A failure of the runner, or of a job.
pub(super) fn of_job(e: JobError) -> Refusal {
    let hint = e.chain.iter().find_map(|text| disk::advice(text));
    Refusal {
        kind: e.kind,
        chain: e.chain,
        hint: hint.map(str::to_owned),
    }
}

pub(super) fn of_journal(e: JournalError) -> Refusal {
    of_error(&e)
}

/// A failure of this process's own surroundings.
pub(super) fn of_error(e: &dyn std::error::Error) -> Refusal {
    Refusal {
        kind: RefusalKind::Failed,
        chain: chain(e),
        hint: disk::advice_for(e).map(str::to_owned),
    }
}

impl From<Refusal> for JobError {
    fn from(e: Refusal) -> Self {
        let hint = e.hint.map(|h| format!("what to do: {h}"));
        JobError {
            kind: e.kind,
            chain: e.chain.into_iter().chain(hint).collect(),
        }
    }
}
