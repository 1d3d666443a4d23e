//! What can go wrong in a verb, told by what the reader can do next.

use crate::archive::{self, ArchiveError, LockError};
use crate::cluster::{ClusterError, Stop};
use crate::engine::cx::{Cancelled, ResumeError};

/// Why a verb could not be planned or did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database failed or refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The archive failed, is damaged or refused.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The job was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The job's own memory failed.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A step with its cause.
    #[error("{doing}")]
    While {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<EngineError>,
    },
    /// There is no such thing.
    #[error("{what}")]
    NotFound {
        /// What was looked for, and where.
        what: String,
        /// The nearest thing that would work.
        hint: String,
    },
    /// A guard says no; nothing was changed.
    #[error("{what}")]
    Refused {
        /// What is refused, and why.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// The world no longer is as the plan assumed; nothing was changed.
    #[error("drifted: {what} was {planned} when the plan was made and is {found} now")]
    Drifted {
        /// What changed.
        what: String,
        /// As planned.
        planned: String,
        /// As found.
        found: String,
    },
    /// Two checksums that must agree do not.
    #[error("checksums differ for {table}: {expected_of} has {expected}, {found_of} has {found}")]
    Mismatch {
        /// The table.
        table: String,
        /// Where the first comes from.
        expected_of: &'static str,
        /// The first.
        expected: String,
        /// Where the second comes from.
        found_of: &'static str,
        /// The second.
        found: String,
    },
    /// Something that brine itself wrote does not make sense.
    #[error("{0}")]
    Corrupt(String),
}

impl From<LockError> for EngineError {
    fn from(e: LockError) -> Self {
        EngineError::Archive(e.into())
    }
}

/// Kinds of failure, as exit codes tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It was tried and failed.
    Failed,
    /// No such thing.
    NotFound,
    /// A guard says no.
    Refused,
    /// Corrupt data or wrong key.
    Corrupt,
    /// Cancelled.
    Cancelled,
}

impl EngineError {
    /// A guard's no.
    pub fn refused(what: impl Into<String>, hint: impl Into<String>) -> Self {
        EngineError::Refused {
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// Nothing of that name.
    pub fn not_found(what: impl Into<String>, hint: impl Into<String>) -> Self {
        EngineError::NotFound {
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// The error with its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(c) = cause {
            text = format!("{text}: {c}");
            cause = c.source();
        }
        text
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            EngineError::While { source, .. } => source.kind(),
            EngineError::Cancelled(_) => ErrorKind::Cancelled,
            EngineError::NotFound { .. } => ErrorKind::NotFound,
            EngineError::Refused { .. } | EngineError::Drifted { .. } => ErrorKind::Refused,
            EngineError::Mismatch { .. } | EngineError::Corrupt(_) => ErrorKind::Corrupt,
            EngineError::Archive(e) => archive_kind(e.kind()),
            EngineError::Cluster(e) => cluster_kind(e),
            EngineError::Resume(_) => ErrorKind::Failed,
        }
    }

    /// Whether the way to the cluster broke, so that the same may go well a little later.
    pub fn is_lost_connection(&self) -> bool {
        match self {
            EngineError::While { source, .. } => source.is_lost_connection(),
            EngineError::Cluster(e) => e.is_lost_connection(),
            _ => false,
        }
    }

    /// What to do where the store under a cluster has no space left; who knows where it lies can say that too.
    pub fn store_advice(&self) -> Option<&'static str> {
        match self {
            EngineError::While { source, .. } => source.store_advice(),
            EngineError::Cluster(e @ ClusterError::Store { .. }) => crate::model::disk::advice_for(e),
            _ => None,
        }
    }

    /// What to do next, where the error does not say it itself.
    pub fn hint(&self) -> Option<&str> {
        match self {
            EngineError::While { source, .. } => source.hint(),
            EngineError::NotFound { hint, .. } | EngineError::Refused { hint, .. } => Some(hint),
            EngineError::Drifted { .. } => Some("make a new plan and look at it again"),
            EngineError::Mismatch { .. } => {
                Some("nothing was switched over; verify the backup with --level checksums and try another base")
            }
            EngineError::Cluster(
                ClusterError::WentBack { .. }
                | ClusterError::Malformed {
                    what: "the store" | "the high-water file",
                    ..
                },
            ) => Some(
                "look for the store as it was; or accept the loss: brine cluster adopt, with the cluster's name; what was                  archived of it can still be restored",
            ),
            _ => crate::model::disk::advice_for(self),
        }
    }
}

fn archive_kind(kind: archive::ErrorKind) -> ErrorKind {
    use archive::ErrorKind as A;
    match kind {
        A::Corrupt | A::WrongKey => ErrorKind::Corrupt,
        A::NotFound => ErrorKind::NotFound,
        A::Refused => ErrorKind::Refused,
        A::TooNew | A::Temporary | A::Full | A::Failed => ErrorKind::Failed,
    }
}

fn cluster_kind(e: &ClusterError) -> ErrorKind {
    match e {
        ClusterError::NoTable(_) | ClusterError::TableGone(_) | ClusterError::OutsideHistory { .. } => {
            ErrorKind::NotFound
        }
        ClusterError::Closed(_)
        | ClusterError::SessionEnded(_)
        | ClusterError::Conflict { .. }
        | ClusterError::TableExists(_)
        | ClusterError::OtherServer(_)
        | ClusterError::Unsupported { .. }
        | ClusterError::Locked { .. } => ErrorKind::Refused,
        ClusterError::Malformed { .. } | ClusterError::WentBack { .. } => ErrorKind::Corrupt,
        ClusterError::Stopped(stop) => match stop.0.downcast_ref::<EngineError>() {
            Some(inner) => inner.kind(),
            None => ErrorKind::Failed,
        },
        ClusterError::LogGone { .. }
        | ClusterError::LogLacks(..)
        | ClusterError::SnapshotGone(_)
        | ClusterError::TooLarge(_)
        | ClusterError::Connect { .. }
        | ClusterError::Server { .. }
        | ClusterError::Store { .. } => ErrorKind::Failed,
    }
}

/// Gives an error the step it happened in.
pub trait Doing<T> {
    /// Says what was being done.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, EngineError>;
}

impl<T, E: Into<EngineError>> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, EngineError> {
        self.map_err(|e| match e.into() {
            // A cancellation is no failure of the step.
            cancelled if cancelled.kind() == ErrorKind::Cancelled => cancelled,
            source => EngineError::While {
                doing: doing(),
                source: Box::new(source),
            },
        })
    }
}

/// An error that our own sink had raised comes back as itself.
pub fn unwrap_stop(e: ClusterError) -> EngineError {
    match e {
        ClusterError::Stopped(Stop(inner)) => match inner.downcast::<EngineError>() {
            Ok(own) => *own,
            Err(other) => ClusterError::Stopped(Stop(other)).into(),
        },
        other => other.into(),
    }
}
