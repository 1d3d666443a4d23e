//! A text that many values share.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text of which copies cost nothing: a hundred thousand backups name the same version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Arc<str>);

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for Word {
    fn from(text: T) -> Self {
        Word(text.into())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Word::from)
    }
}

impl Word {
    /// Shares the other's text, where it is the same.
    pub fn share(&mut self, with: &Word) {
        if *self == *with {
            self.0 = Arc::clone(&with.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_its_text_and_can_be_shared() {
        let word = Word::from("MariaDB 10.11");
        let json = serde_json::to_string(&word).unwrap();
        assert_eq!(json, "\"MariaDB 10.11\"");
        let mut read: Word = serde_json::from_str(&json).unwrap();
        assert!(!Arc::ptr_eq(&read.0, &word.0));
        read.share(&word);
        assert!(Arc::ptr_eq(&read.0, &word.0) && read == word);
        let mut other = Word::from("MySQL 9.7");
        other.share(&word);
        assert_eq!(&*other, "MySQL 9.7");
    }
}
