//! Ids: newtypes for anything that could be swapped by mistake.

use std::fmt;

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::word::Word;

/// Why a name or id was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{given}` is not valid: {why}")]
pub struct BadName {
    /// What kind of name it should have been.
    pub what: &'static str,
    /// What was given, made safe to show.
    pub given: String,
    /// The rule it breaks.
    pub why: &'static str,
}

/// A name that is safe as one path component: letters, digits, `-`, `_`, `.`; not starting with a dot; 1-64 long.
fn check_name(what: &'static str, s: &str) -> Result<(), BadName> {
    let bad = |why| {
        Err(BadName {
            what,
            given: super::text::safe(s, 80),
            why,
        })
    };
    if s.is_empty() || s.len() > 64 {
        return bad("it must have 1 to 64 characters");
    }
    if s.starts_with('.') || s.starts_with('-') {
        return bad("it must not start with a dot or a dash");
    }
    if !s
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        return bad("only letters, digits, '-', '_' and '.' are allowed");
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// Copies share their text: there may be a hundred thousand.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Word);

        impl $name {
            /// Checks and wraps a name.
            pub fn new(s: impl Into<Word>) -> Result<Self, BadName> {
                let s = s.into();
                check_name($what, &s)?;
                Ok($name(s))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;
            fn from_str(s: &str) -> Result<Self, BadName> {
                $name::new(s)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                $name::new(String::deserialize(d)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type!(
    /// The name of a cluster, as the operator wrote it in the config.
    ClusterName, "cluster name"
);
name_type!(
    /// The name of a storage, as the operator wrote it in the config.
    StorageName, "storage name"
);
name_type!(
    /// The id of a snapshot backup: `yyyymmddhhmmss-xxxx`, the UTC time of its commit_ts and four random hex digits.
    BackupId, "backup id"
);

impl BackupId {
    /// What stands in the list for a run that has left no backup: `job-7`.
    pub fn of_job(job: JobId) -> BackupId {
        BackupId(format!("job-{job}").into())
    }

    /// The second of its commit_ts, which its first fourteen digits tell; `None` for ids of another form.
    pub fn dated(&self) -> Option<Millis> {
        let at = NaiveDateTime::parse_from_str(self.0.get(..14)?, "%Y%m%d%H%M%S").ok()?;
        Some(at.and_utc().into())
    }
}

/// One run of a verb; numbered from 1 in each state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A cluster's history between two restores into it; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncarnationId(pub u32);

impl fmt::Display for IncarnationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_id_tells_its_second() {
        let id = BackupId::new("20261120020004-7f3a").unwrap();
        assert_eq!(id.dated().unwrap().utc().to_rfc3339(), "2026-11-20T02:00:04+00:00");
        assert_eq!(BackupId::of_job(JobId(7)).dated(), None);
        assert_eq!(
            BackupId::new("20261320020004-7f3a").unwrap().dated(),
            None,
            "there is no 13th month"
        );
    }

    #[test]
    fn names_never_become_paths() {
        for evil in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\0b",
            "-rf",
            ".git",
            "a b",
            "é",
            "\u{202e}x",
        ] {
            assert!(ClusterName::new(evil).is_err(), "{evil:?} was accepted");
            assert!(serde_json::from_value::<BackupId>(evil.into()).is_err());
        }
        assert_eq!(ClusterName::new("prod-eu_1.a").unwrap().as_str(), "prod-eu_1.a");
    }
}
