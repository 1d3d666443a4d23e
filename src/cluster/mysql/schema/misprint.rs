//! Definitions that a server shows in a way in which nobody could write them.
//!
//! MariaDB (10.11 and 11.8 were tried) shows the name of a foreign key, its columns and those that it refers to as they are: a
//! backtick in them is not doubled. Such a text can mean several things, so its keys are written anew with the names that the
//! server tells elsewhere. MySQL shows every name as it must be written.

use std::collections::BTreeMap;

use super::create::{leading_name, outside, split_to_close};
use crate::cluster::mysql::text::{ident, statement, string, table};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
use crate::model::table::TableName;

/// What every item with a foreign key begins with, and the condition on the text that one is in it.
const BEGIN: &str = "CONSTRAINT `";
const WITHIN: &str = "FOREIGN KEY (`";
/// What is between two items of the list.
const BETWEEN: &str = ",\n  ";
/// The table may be altered between two looks at it.
const TRIES: usize = 5;

/// A foreign key as the server tells of it elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    name: String,
    columns: Vec<String>,
    referenced: Vec<String>,
}

/// `SHOW CREATE TABLE`, with every name quoted as it must be.
pub(super) fn shown(conn: &mut Conn, name: &TableName) -> Result<Option<String>, WireError> {
    let sql = format!("SHOW CREATE TABLE {}", table(&name.db, &name.table));
    for _ in 0..TRIES {
        let row = conn.row(&sql)?;
        let Some(shown) = row.as_ref().and_then(|row| row.bytes(1)).map(statement) else {
            return Ok(None);
        };
        let unclear = match conn.info().flavor {
            Flavor::MariaDb => unclear_from(&shown),
            Flavor::MySql => None,
        };
        let Some(at) = unclear else {
            return Ok(Some(shown));
        };
        let keys = told(conn, name)?;
        if let Some(written) = rewritten(&shown, at, &keys) {
            return Ok(Some(written));
        }
    }
    Err(WireError::Protocol(format!(
        "SHOW CREATE TABLE {name} shows other foreign keys than information_schema.key_column_usage has"
    )))
}

/// The foreign keys of a table.
fn told(conn: &mut Conn, of: &TableName) -> Result<Vec<Told>, WireError> {
    let rows = conn.rows(&format!(
        "SELECT constraint_name, column_name, referenced_column_name FROM information_schema.key_column_usage \
         WHERE table_schema = {} AND table_name = {} AND referenced_table_name IS NOT NULL ORDER BY ordinal_position",
        string(&of.db),
        string(&of.table)
    ))?;
    let mut keys: BTreeMap<String, Told> = BTreeMap::new();
    for row in &rows {
        let key = keys.entry(row.text(0)).or_default();
        key.name = row.text(0);
        key.columns.push(row.text(1));
        key.referenced.push(row.text(2));
    }
    Ok(keys.into_values().collect())
}

/// Where the foreign keys of a definition begin, if the text of one could mean something else than it seems to.
fn unclear_from(create: &str) -> Option<usize> {
    let at = first_constraint(create).filter(|_| create.starts_with("CREATE TABLE"))?;
    let mut rest = create.get(at..)?;
    while let Some(behind) = plain_key(rest) {
        rest = behind;
    }
    rest.contains(WITHIN).then_some(at)
}

/// Where the first constraint stands in the list of columns and keys; what is before it can be read.
fn first_constraint(create: &str) -> Option<usize> {
    let mut at = outside(create, b'(')? + 1;
    let (parts, _) = split_to_close(create.get(at..)?);
    for part in parts {
        let item = part.trim_start();
        if item.starts_with(BEGIN) {
            return Some(at + part.len() - item.len());
        }
        at += part.len() + 1;
    }
    None
}

/// What is behind a foreign key whose names have no backtick.
fn plain_key(text: &str) -> Option<&str> {
    let rest = plain_name(text.strip_prefix("CONSTRAINT ")?)?;
    let rest = plain_list(rest.strip_prefix(" FOREIGN KEY ")?)?;
    let rest = plain_list(parent(rest.strip_prefix(" REFERENCES ")?)?.strip_prefix(' ')?)?;
    let end = rest.find('\n')?;
    let (rules, behind) = rest.split_at_checked(end)?;
    let is_rule = |word: &str| word.bytes().all(|b| b.is_ascii_uppercase());
    match rules.strip_suffix(',').unwrap_or(rules).split(' ').all(is_rule) {
        true => Some(behind.trim_start_matches(['\n', ' '])),
        false => None,
    }
}

fn plain_name(text: &str) -> Option<&str> {
    let (_, rest) = text.strip_prefix('`')?.split_once('`')?;
    (!rest.starts_with('`')).then_some(rest)
}

fn plain_list(text: &str) -> Option<&str> {
    let mut rest = plain_name(text.strip_prefix('(')?)?;
    while let Some(more) = rest.strip_prefix(", ") {
        rest = plain_name(more)?;
    }
    rest.strip_prefix(')')
}

/// What is behind the name of the table that is referred to: this one is shown as it must be written.
fn parent(text: &str) -> Option<&str> {
    let (_, rest) = leading_name(text)?;
    let table = rest.strip_prefix('.').and_then(leading_name);
    Some(table.map_or(rest, |(_, rest)| rest))
}

/// The definition with its foreign keys, which begin at a place, quoted as they must be; `None` when it has others than these.
fn rewritten(create: &str, at: usize, keys: &[Told]) -> Option<String> {
    let (before, list) = create.split_at_checked(at)?;
    let bare = |name: &str| format!("`{name}`");
    // A server that doubles what it must needs no help.
    let list = with_keys(list, keys, bare).or_else(|| with_keys(list, keys, ident))?;
    Some(format!("{before}{list}"))
}

/// The rest of a list from the first foreign key on, in which names are quoted so, with all of them quoted as they must be.
fn with_keys(list: &str, keys: &[Told], quoted: fn(&str) -> String) -> Option<String> {
    let (mut out, mut rest) = (String::with_capacity(list.len() + 16), list);
    let mut left: Vec<&Told> = keys.iter().collect();
    while !left.is_empty() {
        // One name may be the text of another key: the longer one it is.
        let fits = left.iter().enumerate();
        let fits = fits.filter_map(|(i, key)| Some((i, key.written(rest, quoted)?)));
        let (i, (written, behind)) = fits.min_by_key(|(_, (_, behind))| behind.len())?;
        left.swap_remove(i);
        out.push_str(&written);
        rest = behind;
        if let Some(next) = rest.strip_prefix(BETWEEN) {
            out.push_str(BETWEEN);
            rest = next;
        }
    }
    out.push_str(rest);
    Some(out)
}

impl Told {
    /// This key as it must be written, when a text begins with it, and the text behind it.
    fn written<'a>(&self, text: &'a str, quoted: fn(&str) -> String) -> Option<(String, &'a str)> {
        let before = |quoted: fn(&str) -> String| {
            let columns = list(&self.columns, quoted);
            format!("CONSTRAINT {} FOREIGN KEY {columns} REFERENCES ", quoted(&self.name))
        };
        let from_parent = text.strip_prefix(&before(quoted))?;
        let behind_parent = parent(from_parent)?;
        let parent = from_parent.strip_suffix(behind_parent)?;
        let behind = behind_parent
            .strip_prefix(' ')?
            .strip_prefix(&list(&self.referenced, quoted))?;
        let rules = behind.get(..behind.find('\n')?)?;
        let rules = rules.strip_suffix(',').unwrap_or(rules);
        if !rules.bytes().all(|b| b.is_ascii_uppercase() || b == b' ') {
            return None;
        }
        let written = format!("{}{parent} {}{rules}", before(ident), list(&self.referenced, ident));
        Some((written, behind.strip_prefix(rules)?))
    }
}

fn list(names: &[String], quoted: fn(&str) -> String) -> String {
    let names: Vec<String> = names.iter().map(|n| quoted(n)).collect();
    format!("({})", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::schema::create::CreateTable;

    fn key(name: &str, columns: &[&str], referenced: &[&str]) -> Told {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Told {
            name: name.to_owned(),
            columns: owned(columns),
            referenced: owned(referenced),
        }
    }

    /// A definition as it is shown, with these keys and what comes behind each of them.
    fn shown(keys: &[(Told, &str)], quoted: fn(&str) -> String) -> String {
        let mut items = vec![
            "`a` int(11) DEFAULT NULL COMMENT 'CONSTRAINT `x`y` FOREIGN KEY (`'".to_owned(),
            "`b` int(11) DEFAULT NULL CHECK (`b` <> '\n  CONSTRAINT `x`y` FOREIGN KEY (`a`) REFERENCES `p` (`id`)')"
                .to_owned(),
            "KEY `f``k` (`a`)".to_owned(),
        ];
        items.extend(keys.iter().map(|(key, rules)| {
            let (columns, referenced) = (list(&key.columns, quoted), list(&key.referenced, quoted));
            let name = quoted(&key.name);
            format!("CONSTRAINT {name} FOREIGN KEY {columns} REFERENCES `d``b`.`p` {referenced}{rules}")
        }));
        items.push("CONSTRAINT `c``k` CHECK (`a` > 0)".to_owned());
        format!("CREATE TABLE `c` (\n  {}\n) ENGINE=InnoDB", items.join(",\n  "))
    }

    fn bare(name: &str) -> String {
        format!("`{name}`")
    }

    #[test]
    fn keys_are_written_as_the_server_tells_of_them_elsewhere() {
        const ODD: [&str; 11] = [
            "f`k",
            "f``k",
            "`",
            "``",
            "a`b`",
            "x` FOREIGN KEY (`y",
            "CONSTRAINT `x` FOREIGN KEY (`id`) REFERENCES `p` (`id`)",
            "f`\n`k",
            "x` REFERENCES `p",
            "a`) , (`",
            "x` CHECK (`y",
        ];
        for odd in ODD {
            for (name, column, referenced) in [(odd, "a", "id"), ("f", odd, "id"), ("f", "a", odd), (odd, odd, odd)] {
                let keys = [
                    (key("g", &["a"], &["id"]), ""),
                    (
                        key(name, &["a", column], &[referenced, "b"]),
                        " ON DELETE SET NULL ON UPDATE NO ACTION",
                    ),
                    (key("z", &["b"], &["id"]), " ON DELETE CASCADE"),
                ];
                let of = |create: &str| {
                    let told: Vec<Told> = keys.iter().map(|(key, _)| key.clone()).collect();
                    unclear_from(create).and_then(|at| rewritten(create, at, &told))
                };
                let meant = shown(&keys, ident);
                assert_eq!(of(&shown(&keys, bare)), Some(meant.clone()), "{keys:?}");
                // One that is shown as it must be stays so.
                assert_eq!(of(&meant), Some(meant.clone()), "{keys:?}");
                let read = CreateTable::parse(&meant).unwrap();
                let names: Vec<&str> = read.foreign_keys().filter_map(|f| f.name.as_deref()).collect();
                assert_eq!(names, ["g", name, "z"]);
            }
        }
    }

    #[test]
    fn nothing_is_asked_where_no_name_has_a_backtick() {
        let plain = [
            (key("fk", &["a", "b"], &["id", "x y"]), " ON UPDATE CASCADE"),
            (key("g(", &["a"], &["id"]), ""),
        ];
        assert_eq!(unclear_from(&shown(&plain, bare)), None);
        assert_eq!(unclear_from(&shown(&[], bare)), None);
        assert_eq!(unclear_from("CREATE ALGORITHM=UNDEFINED VIEW `v` AS select 1"), None);
        for cut in 0..shown(&plain, bare).len() {
            let _ = shown(&plain, bare).get(..cut).and_then(unclear_from);
        }
    }

    #[test]
    fn keys_that_changed_meanwhile_are_noticed() {
        let create = shown(&[(key("f`k", &["a"], &["id"]), "")], bare);
        let at = unclear_from(&create).unwrap();
        assert_eq!(rewritten(&create, at, &[key("g`k", &["a"], &["id"])]), None);
        assert_eq!(rewritten(&create, at, &[key("f`k", &["a"], &["other"])]), None);
    }
}
