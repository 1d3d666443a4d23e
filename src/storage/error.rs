//! What can go wrong at a storage, by what the caller can do next.

use super::name::BadObjectName;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// The object is there already; nothing was written.
    Exists,
    /// The object is not the version that was expected; nothing was written.
    Conflict,
    /// No space, or a quota is used up.
    Full,
    /// The storage refuses: rights, or a read-only file system.
    Permission,
    /// May work when repeated; whether it was done is unknown.
    Temporary,
    /// What is there cannot be an object: a link, a directory in its place, a file that shrank while it was read.
    Corrupt,
    /// Larger than the caller is ready to take.
    TooLarge,
    /// The name or the URL is not valid.
    Invalid,
    /// Anything else; repeating will not help.
    Other,
}

impl ErrorKind {
    /// The reason in a few words.
    pub fn words(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "it does not exist",
            ErrorKind::Exists => "it exists already",
            ErrorKind::Conflict => "somebody else has changed it",
            ErrorKind::Full => "the storage is full: free some space and try again",
            ErrorKind::Permission => "the storage refuses: check owner, rights and whether it is mounted read-only",
            ErrorKind::Temporary => "a temporary failure: try again",
            ErrorKind::Corrupt => "what is there is not an object of this storage",
            ErrorKind::TooLarge => "it is larger than it can be",
            ErrorKind::Invalid => "the name is not valid",
            ErrorKind::Other => "the storage failed",
        }
    }
}

/// A failed call on a storage.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} `{object}`: {}", why(*kind, detail))]
pub struct StorageError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What was being done: a verb.
    pub doing: &'static str,
    /// The object or directory.
    pub object: String,
    /// More than the kind tells, or empty.
    pub detail: String,
    /// The cause below.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

fn why(kind: ErrorKind, detail: &str) -> &str {
    if detail.is_empty() { kind.words() } else { detail }
}

impl StorageError {
    /// An error without a cause below.
    pub fn new(kind: ErrorKind, doing: &'static str, object: impl ToString) -> Self {
        StorageError {
            kind,
            doing,
            object: object.to_string(),
            detail: String::new(),
            source: None,
        }
    }

    /// With the cause below.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With a reason in words.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Whether a repeat may help.
    pub fn is_temporary(&self) -> bool {
        self.kind == ErrorKind::Temporary
    }

    /// Whether the object was not there.
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }
}

impl From<BadObjectName> for StorageError {
    fn from(bad: BadObjectName) -> Self {
        StorageError::new(ErrorKind::Invalid, "use", "name").because(bad)
    }
}
