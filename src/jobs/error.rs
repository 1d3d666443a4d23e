//! Why a job ended badly: a kind, which becomes the exit code, and the chain of causes as text.
//!
//! *Invariant: the texts are safe to show and hold no secrets; kind and chain survive journal and socket.*

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::cx::{Cancelled, ResumeError};
use crate::model::text::{redact, safe};

/// The longest text kept of one cause.
const MAX_CAUSE: usize = 2_000;
/// The most causes kept.
const MAX_CAUSES: usize = 20;

/// What kind of bad end; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Something failed.
    Failed,
    /// The request makes no sense as it is.
    Usage,
    /// The named thing is not there.
    NotFound,
    /// Needs a confirmation, is protected, conflicts, or has drifted.
    Refused,
    /// Bytes are not what was written, or the key is wrong.
    Corrupt,
    /// It was cancelled.
    Cancelled,
}

impl ErrorKind {
    /// The exit code of a command that ends so.
    pub fn exit_code(self) -> i32 {
        match self {
            ErrorKind::Failed => 1,
            ErrorKind::Usage => 2,
            ErrorKind::NotFound => 3,
            ErrorKind::Refused => 4,
            ErrorKind::Corrupt => 5,
            ErrorKind::Cancelled => 130,
        }
    }
}

/// Why a job, or a request to the runner, ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// What kind.
    pub kind: ErrorKind,
    /// What failed and why, outermost first; never empty when made by this type's functions.
    pub chain: Vec<String>,
}

impl JobError {
    /// One line without further causes.
    pub fn new(kind: ErrorKind, text: impl AsRef<str>) -> Self {
        JobError {
            kind,
            chain: vec![clean(text.as_ref())],
        }
    }

    /// An error with all its causes.
    pub fn of(kind: ErrorKind, error: &(dyn Error + 'static)) -> Self {
        let mut chain = Vec::new();
        let mut next = Some(error);
        while let Some(e) = next {
            let text = clean(&e.to_string());
            // A transparent wrapper repeats its source: say it once.
            if chain.last() != Some(&text) && chain.len() < MAX_CAUSES {
                chain.push(text);
            }
            next = e.source();
        }
        JobError { kind, chain }
    }

    /// The same with a line in front that says what was being done.
    #[must_use]
    pub fn context(mut self, doing: impl AsRef<str>) -> Self {
        self.chain.insert(0, clean(doing.as_ref()));
        self
    }

    /// The same with a line behind: what was left behind, what to do next.
    #[must_use]
    pub fn note(mut self, text: impl AsRef<str>) -> Self {
        self.chain.push(clean(text.as_ref()));
        self
    }
}

/// Line by line, because causes may be several lines long.
fn clean(text: &str) -> String {
    let lines: Vec<String> = redact(text).lines().map(|line| safe(line, MAX_CAUSE)).collect();
    safe_len(lines.join("; "))
}

fn safe_len(text: String) -> String {
    if text.chars().count() > MAX_CAUSE {
        safe(&text, MAX_CAUSE)
    } else {
        text
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain.join(": "))
    }
}

impl Error for JobError {}

impl From<Cancelled> for JobError {
    fn from(e: Cancelled) -> Self {
        JobError::of(ErrorKind::Cancelled, &e)
    }
}

impl From<ResumeError> for JobError {
    fn from(e: ResumeError) -> Self {
        JobError::of(ErrorKind::Failed, &e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot reach mysql://root:hunter2@db/x")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn keeps_the_chain_and_no_secret() {
        let e = JobError::of(
            ErrorKind::Failed,
            &Outer(std::io::Error::other("refused\x1b[2J\npassword=hunter2")),
        );
        assert_eq!(e.chain.len(), 2);
        assert!(!format!("{e:?}").contains("hunter2"), "{e:?}");
        assert!(e.to_string().chars().all(|c| !c.is_control()), "{e:?}");
        let back: JobError = serde_json::from_str(&serde_json::to_string(&e).unwrap()).unwrap();
        assert_eq!(back, e);
    }

    #[test]
    fn exit_codes_are_those_of_the_manual() {
        use ErrorKind::*;
        let codes = [Failed, Usage, NotFound, Refused, Corrupt, Cancelled].map(ErrorKind::exit_code);
        assert_eq!(codes, [1, 2, 3, 4, 5, 130]);
    }
}
