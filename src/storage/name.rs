//! The names of objects and directories, parsed at the edge.
//!
//! The grammar is strict so that no name can lead out of a storage, collide with its temporary files or
//! mean something else on another kind of storage: components of `A-Z a-z 0-9 . _ -`, separated by `/`,
//! none empty, none starting with a dot.

use std::fmt;

use crate::model::text::safe;

/// The longest component.
const MAX_COMPONENT: usize = 200;
/// The longest name.
const MAX_NAME: usize = 600;
/// The deepest name.
const MAX_DEPTH: usize = 8;

/// Text that is not the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a valid object name: {why}")]
pub struct BadObjectName {
    /// What was given, made safe to show.
    given: String,
    /// The rule that it breaks.
    why: &'static str,
}

/// The name of one object: `dir/dir/file`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

/// The name of a directory; the empty one is the storage's root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirName(String);

/// Whether `part` may be one component of a name.
pub fn is_component(part: &str) -> bool {
    check_component(part).is_ok()
}

fn check_component(part: &str) -> Result<(), &'static str> {
    if part.is_empty() {
        return Err("a component is empty");
    }
    if part.len() > MAX_COMPONENT {
        return Err("a component is too long");
    }
    if part.starts_with('.') {
        return Err("a component starts with a dot");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !part.bytes().all(allowed) {
        return Err("only letters, digits, '.', '_' and '-' are allowed");
    }
    Ok(())
}

fn check(name: &str) -> Result<(), BadObjectName> {
    let bad = |why| BadObjectName {
        given: safe(name, 80),
        why,
    };
    if name.len() > MAX_NAME || name.split('/').count() > MAX_DEPTH {
        return Err(bad("it is too long or too deep"));
    }
    name.split('/').try_for_each(check_component).map_err(bad)
}

impl ObjectName {
    /// Checks and wraps a name.
    pub fn new(name: impl Into<String>) -> Result<Self, BadObjectName> {
        let name = name.into();
        check(&name)?;
        Ok(ObjectName(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory it is in.
    pub fn dir(&self) -> DirName {
        DirName(self.0.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned())
    }

    /// Its last component.
    pub fn file(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, file)| file)
    }
}

impl DirName {
    /// The storage's root.
    pub fn root() -> Self {
        DirName::default()
    }

    /// Checks and wraps a name; the empty one is the root.
    pub fn new(name: impl Into<String>) -> Result<Self, BadObjectName> {
        let name = name.into();
        if !name.is_empty() {
            check(&name)?;
        }
        Ok(DirName(name))
    }

    /// The name as text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the storage's root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// A directory in this one.
    pub fn join(&self, part: &str) -> Result<DirName, BadObjectName> {
        DirName::new(self.path_of(part))
    }

    /// An object in this directory.
    pub fn object(&self, file: &str) -> Result<ObjectName, BadObjectName> {
        ObjectName::new(self.path_of(file))
    }

    /// The directory it is in; `None` for the root.
    pub fn parent(&self) -> Option<DirName> {
        if self.is_root() {
            return None;
        }
        Some(DirName(self.0.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned()))
    }

    /// Its last component; empty for the root.
    pub fn last(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, last)| last)
    }

    fn path_of(&self, part: &str) -> String {
        if self.is_root() {
            part.to_owned()
        } else {
            format!("{}/{part}", self.0)
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for DirName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_root() { "/" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evil_names_are_refused() {
        for evil in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            ".tmp/x",
            "a/.b",
            "a\0b",
            "a b",
            "a\\b",
            "é",
            "a\nb",
            "\u{202e}x",
            "C:",
        ] {
            assert!(ObjectName::new(evil).is_err(), "{evil:?} was accepted");
            assert!(
                DirName::root().object(evil).is_err(),
                "{evil:?} was accepted below the root"
            );
        }
        assert!(ObjectName::new("a/".repeat(8) + "a").is_err());
        assert!(ObjectName::new("a".repeat(201)).is_err());
    }

    #[test]
    fn names_take_apart_and_join() {
        let name = ObjectName::new("a/b/c.x").unwrap();
        assert_eq!((name.dir().as_str(), name.file()), ("a/b", "c.x"));
        assert_eq!(name.dir().object("c.x").unwrap(), name);
        assert_eq!(name.dir().parent(), Some(DirName::new("a").unwrap()));
        assert_eq!(DirName::root().object("x").unwrap().dir(), DirName::root());
        assert_eq!(DirName::new("a").unwrap().parent(), Some(DirName::root()));
    }
}
