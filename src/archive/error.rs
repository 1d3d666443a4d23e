//! What can go wrong at an archive, by what the reader can do next.

use crate::model::ids::{BackupId, ClusterName};
use crate::model::position::Moment;
use crate::storage;
use crate::storage::StorageError;

use super::lock::LockError;

/// What kind of failure it is, for exit codes and for deciding whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// What was asked for is not there.
    NotFound,
    /// The state of the archive forbids it; nothing was changed.
    Refused,
    /// Bytes are damaged, missing, swapped, or of another archive.
    Corrupt,
    /// A key is needed, or it is the wrong one.
    WrongKey,
    /// Written by a newer brine.
    TooNew,
    /// May work when repeated.
    Temporary,
    /// The storage is full.
    Full,
    /// Anything else.
    Failed,
}

/// A failed operation on an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An object's bytes are not what was written.
    #[error("`{object}` is damaged: {why}")]
    Corrupt {
        /// The object.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// An object that is needed is not there.
    #[error("`{object}` is missing")]
    Missing {
        /// The object.
        object: String,
    },
    /// An object that others presuppose is not there. Nothing may be written in its place.
    #[error("`{object}` is missing, although {why}: put it back from a copy of this storage")]
    Lost {
        /// The object.
        object: String,
        /// How it is known that it was there.
        why: String,
    },
    /// An object stands where another one should be.
    #[error("`{object}` does not belong here: {why}")]
    Misplaced {
        /// The object.
        object: String,
        /// How that is known.
        why: String,
    },
    /// Written by a newer brine.
    #[error("`{object}` was written in format {found}, and this brine knows formats up to {known}: use a newer brine")]
    TooNew {
        /// The object.
        object: String,
        /// Its format.
        found: u32,
        /// The newest known format.
        known: u32,
    },
    /// Encrypted, and there is no key.
    #[error("`{object}` is encrypted (suite {suite}), which this brine cannot read: use a newer brine, with the key")]
    Encrypted {
        /// The object.
        object: String,
        /// How.
        suite: u8,
    },
    /// The archive in this place is of another cluster.
    #[error(
        "the archive `{archive}` holds backups of another {what} ({found}, not {wanted}): choose another storage or cluster name"
    )]
    Foreign {
        /// The archive's directory.
        archive: String,
        /// What differs: `cluster`, `kind of cluster`.
        what: &'static str,
        /// What the archive says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// There is no such backup.
    #[error("there is no backup {id} of {cluster}")]
    NoBackup {
        /// The backup.
        id: BackupId,
        /// Its cluster.
        cluster: ClusterName,
    },
    /// The backup has no manifest.
    #[error("backup {0} was never finished: it has no manifest")]
    Unfinished(BackupId),
    /// It is not in the trash.
    #[error("backup {0} is not in the trash")]
    NotInTrash(BackupId),
    /// It is being deleted for good.
    #[error("backup {0} is being deleted for good and cannot be taken back")]
    Purging(BackupId),
    /// It is in the trash.
    #[error("backup {0} is in the trash: undelete it first")]
    InTrash(BackupId),
    /// The log has a hole where it should have none.
    #[error("the log backup is broken at segment {seq}: {why}{}", last_good(*good))]
    BrokenLog {
        /// The number of the segment.
        seq: u64,
        /// The object, where one is there.
        object: Option<String>,
        /// What is wrong.
        why: String,
        /// The last moment that can still be restored.
        good: Option<Moment>,
    },
    /// The asked moments are not within the run of log.
    #[error("the log reaches from {} to {}, not to {}", from.last_tso(), to.last_tso(), asked.last_tso())]
    OutsideLog {
        /// What was asked for.
        asked: Moment,
        /// Where the run begins.
        from: Moment,
        /// Where it ends.
        to: Moment,
    },
    /// What was given cannot be stored.
    #[error("{what} cannot be stored: {why}")]
    Unfit {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// Too many others changed the same document at the same time.
    #[error("`{object}` was changed by others {tries} times in a row: try again")]
    Contended {
        /// The document.
        object: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The lock of the archive is not ours.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A thread could not be started.
    #[error("cannot start a thread to {doing}")]
    Thread {
        /// What for.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

fn last_good(good: Option<Moment>) -> String {
    good.map_or_else(String::new, |m| {
        format!("; the last good moment is TSO {} ({})", m.last_tso(), m.at.utc())
    })
}

impl ArchiveError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        use ArchiveError as E;
        match self {
            E::Storage(e) => storage_kind(e.kind),
            E::Corrupt { .. } | E::Missing { .. } | E::Lost { .. } | E::Misplaced { .. } | E::BrokenLog { .. } => {
                ErrorKind::Corrupt
            }
            E::TooNew { .. } => ErrorKind::TooNew,
            E::Encrypted { .. } => ErrorKind::WrongKey,
            E::NoBackup { .. } | E::NotInTrash(_) | E::OutsideLog { .. } => ErrorKind::NotFound,
            E::Foreign { .. } | E::Unfinished(_) | E::Purging(_) | E::InTrash(_) | E::Unfit { .. } => {
                ErrorKind::Refused
            }
            E::Contended { .. } => ErrorKind::Temporary,
            E::Lock(LockError::Archive(e)) => e.kind(),
            E::Lock(_) => ErrorKind::Refused,
            E::Thread { .. } => ErrorKind::Failed,
        }
    }

    /// Whether bytes on storage are to blame.
    pub fn is_corrupt(&self) -> bool {
        self.kind() == ErrorKind::Corrupt
    }

    pub(super) fn corrupt(object: impl ToString, why: impl Into<String>) -> Self {
        ArchiveError::Corrupt {
            object: object.to_string(),
            why: why.into(),
        }
    }
}

fn storage_kind(kind: storage::ErrorKind) -> ErrorKind {
    use storage::ErrorKind as S;
    match kind {
        S::NotFound | S::Corrupt | S::TooLarge => ErrorKind::Corrupt,
        S::Exists | S::Conflict | S::Permission => ErrorKind::Refused,
        S::Full => ErrorKind::Full,
        S::Temporary => ErrorKind::Temporary,
        S::Invalid | S::Other => ErrorKind::Failed,
    }
}
