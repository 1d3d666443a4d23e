//! Table names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table's name: its database and its own name, both as the source spells them.
///
/// In JSON and text it is `db.table`; a part that holds a dot or a backtick is quoted with backticks,
/// a backtick inside doubled, as in SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The database (schema).
    pub db: String,
    /// The table.
    pub table: String,
}

/// The text is not `db.table`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a table name: write db.table, with backticks around parts that hold a dot")]
pub struct BadTableName(pub String);

impl TableName {
    /// A name from its two parts.
    pub fn new(db: impl Into<String>, table: impl Into<String>) -> Self {
        TableName {
            db: db.into(),
            table: table.into(),
        }
    }
}

fn write_part(f: &mut fmt::Formatter<'_>, part: &str) -> fmt::Result {
    if !part.is_empty() && !part.contains(['.', '`', ' ']) {
        return f.write_str(part);
    }
    write!(f, "`{}`", part.replace('`', "``"))
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part(f, &self.db)?;
        f.write_str(".")?;
        write_part(f, &self.table)
    }
}

/// Takes one part off the front; returns it and the rest.
fn take_part(s: &str) -> Option<(String, &str)> {
    let Some(quoted) = s.strip_prefix('`') else {
        let end = s.find('.').unwrap_or(s.len());
        let (part, rest) = s.split_at(end);
        return (!part.is_empty() && !part.contains('`')).then(|| (part.to_owned(), rest));
    };
    let mut part = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '`' {
            part.push(c);
        } else if chars.peek().is_some_and(|(_, c)| *c == '`') {
            chars.next();
            part.push('`');
        } else {
            return Some((part, quoted.get(at + 1..)?));
        }
    }
    None
}

impl std::str::FromStr for TableName {
    type Err = BadTableName;
    fn from_str(s: &str) -> Result<Self, BadTableName> {
        let bad = || BadTableName(super::text::safe(s, 80));
        let (db, rest) = take_part(s).ok_or_else(bad)?;
        let rest = rest.strip_prefix('.').ok_or_else(bad)?;
        let (table, rest) = take_part(rest).ok_or_else(bad)?;
        if rest.is_empty() {
            Ok(TableName { db, table })
        } else {
            Err(bad())
        }
    }
}

impl Serialize for TableName {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_and_quoted() {
        let t: TableName = "shop.orders".parse().unwrap();
        assert_eq!(t, TableName::new("shop", "orders"));
        let t: TableName = "`a.b`.`c``d`".parse().unwrap();
        assert_eq!(t, TableName::new("a.b", "c`d"));
        for bad in ["", "a", "a.", ".b", "a.b.c", "`a.b", "a`b.c"] {
            assert!(bad.parse::<TableName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_form_round_trips(db in ".{1,12}", table in ".{1,12}") {
            let t = TableName::new(db, table);
            prop_assert_eq!(t.to_string().parse::<TableName>().unwrap(), t);
        }
    }
}
