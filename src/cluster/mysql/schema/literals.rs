//! Literals of a table's definition that the server does not show as they are.
//!
//! Servers write members of ENUM and SET, and MariaDB also defaults, in a charset of at most three bytes a character: a `?`
//! stands for any other. What they are is read out of a temporary table that has the same columns.

use super::create::{CreateTable, ItemKind, find_word, leading_name, split_to_close};
use super::tables::Details;
use crate::cluster::mysql::text;
use crate::cluster::mysql::wire::{Conn, Flavor, Row, WireError};
use crate::model::table::TableName;

/// The temporary table.
const COPY: &str = "_brine_literals";
/// Its key.
const KEY: &str = "_brine_n";
/// Rows in one statement.
const ROWS: usize = 500;

/// A column with literals that may not be what is shown.
#[derive(Debug)]
struct Doubtful {
    /// Its place among the items of the definition.
    item: usize,
    name: String,
    /// Members of an ENUM or SET, as they are shown.
    members: Vec<String>,
    set: bool,
    /// A default, as it is shown.
    default: Option<String>,
}

/// The definition with its literals as they are, where any may be shown otherwise.
pub fn exact(conn: &mut Conn, name: &TableName, create: &str, details: &Details) -> Result<String, WireError> {
    if !create.contains('?') {
        return Ok(create.to_owned());
    }
    let Ok(mut parsed) = CreateTable::parse(create) else {
        return Ok(create.to_owned());
    };
    let flavor = conn.info().flavor;
    let doubtful = doubtful(&parsed, details, flavor);
    if doubtful.is_empty() {
        return Ok(create.to_owned());
    }
    let rows = read(conn, name, &doubtful)?;
    for (at, column) in doubtful.iter().enumerate() {
        let values: Vec<Option<String>> = rows.iter().map(|r| value(r, at)).collect();
        let changed = || WireError::Protocol(format!("{name} was altered while its definition was read"));
        let exact = column.exact(&values).ok_or_else(changed)?;
        if let Some(item) = parsed.items.get_mut(column.item) {
            item.text = column.rewritten(&item.text, &exact).ok_or_else(changed)?;
        }
    }
    let items: Vec<&str> = parsed.items.iter().map(|i| i.text.as_str()).collect();
    Ok(format!(
        "CREATE TABLE {} (\n  {}\n{}",
        text::ident(&name.table),
        items.join(",\n  "),
        parsed.tail
    ))
}

/// The value of a column in the copy.
fn value(row: &Row, at: usize) -> Option<String> {
    text::unhex(&row.opt(at + 1)?).and_then(|bytes| String::from_utf8(bytes).ok())
}

fn doubtful(parsed: &CreateTable, details: &Details, flavor: Flavor) -> Vec<Doubtful> {
    let holds_more = |column: &str| {
        let charset = details.columns.iter().find(|c| c.name == column);
        let charset = charset.and_then(|c| c.charset.as_deref()).unwrap_or_default();
        ["utf8mb4", "utf16", "utf16le", "utf32", "gb18030"].contains(&charset)
    };
    let mut out = Vec::new();
    for (item, of) in parsed.items.iter().enumerate() {
        let ItemKind::Column(name) = &of.kind else { continue };
        if !of.text.contains('?') || !holds_more(name) {
            continue;
        }
        let (members, set) = members(&of.text).unwrap_or_default();
        let members = if members.iter().any(|m| m.contains('?')) {
            members
        } else {
            Vec::new()
        };
        let default = match flavor {
            Flavor::MariaDb => default(&of.text).map(|(_, literal, _)| shown(literal)),
            // A default that cannot be shown is shown in hex digits.
            Flavor::MySql => None,
        };
        let default = default.filter(|d| d.contains('?'));
        if !members.is_empty() || default.is_some() {
            out.push(Doubtful {
                item,
                name: name.clone(),
                members,
                set,
                default,
            });
        }
    }
    out
}

/// A literal's text.
fn shown(literal: &str) -> String {
    String::from_utf8_lossy(&text::unescape(literal.as_bytes())).into_owned()
}

/// The type of an ENUM or SET: what is before its members, where they end, and whether it is a SET.
fn list(column: &str) -> Option<(usize, usize, bool)> {
    let (_, rest) = leading_name(column)?;
    let from = column.len() - rest.len();
    let kind = rest.trim_start();
    let open = from + rest.find('(')?;
    let set = match kind {
        k if k.starts_with("enum(") => false,
        k if k.starts_with("set(") => true,
        _ => return None,
    };
    let (_, close) = split_to_close(column.get(open + 1..)?);
    Some((open + 1, open + 1 + close?, set))
}

fn members(column: &str) -> Option<(Vec<String>, bool)> {
    let (from, to, set) = list(column)?;
    let (parts, _) = split_to_close(column.get(from..to)?);
    Some((parts.into_iter().map(|p| shown(p.trim())).collect(), set))
}

/// A literal default: what is before it, the literal, what is behind it.
fn default(column: &str) -> Option<(&str, &str, &str)> {
    const WORD: &str = "DEFAULT '";
    let at = find_word(column, WORD)? + WORD.len() - 1;
    let rest = column.get(at..)?;
    let (literal, after) = rest.split_at_checked(text::quoted_end(rest.as_bytes(), b'\''))?;
    Some((column.get(..at)?, literal, after))
}

/// What a column's literals are.
struct Exact {
    members: Vec<String>,
    default: Option<String>,
}

impl Doubtful {
    /// Of the values in the copy: first the default, then the members. `None` when they are not those that are shown.
    fn exact(&self, values: &[Option<String>]) -> Option<Exact> {
        let members: Vec<String> = (1..=self.members.len())
            .map(|n| values.get(n)?.clone())
            .collect::<Option<_>>()?;
        let default = match self.default {
            Some(_) => Some(values.first()?.clone()?),
            None => None,
        };
        let same = self
            .members
            .iter()
            .zip(&members)
            .all(|(shown, is)| stands_for(shown, is))
            && self
                .default
                .iter()
                .zip(&default)
                .all(|(shown, is)| stands_for(shown, is));
        same.then_some(Exact { members, default })
    }

    /// The column with them.
    fn rewritten(&self, column: &str, exact: &Exact) -> Option<String> {
        let mut out = column.to_owned();
        if let Some(value) = &exact.default {
            let (before, _, after) = default(&out)?;
            out = format!("{before}{}{after}", text::string(value));
        }
        if !exact.members.is_empty() {
            let (from, to, _) = list(&out)?;
            let members: Vec<String> = exact.members.iter().map(|m| text::string(m)).collect();
            out = format!("{}{}{}", out.get(..from)?, members.join(","), out.get(to..)?);
        }
        Some(out)
    }

    /// Its value in a row of the copy: a member by its number.
    fn nth(&self, n: usize) -> String {
        match (n > self.members.len(), self.set) {
            (true, _) => "DEFAULT".to_owned(),
            (false, false) => n.to_string(),
            (false, true) => (1_u64.checked_shl(u32::try_from(n - 1).unwrap_or(63)).unwrap_or(0)).to_string(),
        }
    }
}

/// Whether a server may show that text so.
fn stands_for(shown: &str, is: &str) -> bool {
    let lost = |c: char| if c.len_utf8() > 3 { '?' } else { c };
    is.chars().map(lost).eq(shown.chars())
}

/// A row with the defaults, then one for each member.
fn read(conn: &mut Conn, name: &TableName, doubtful: &[Doubtful]) -> Result<Vec<Row>, WireError> {
    let copy = text::table(&name.db, COPY);
    let drop = format!("DROP TEMPORARY TABLE IF EXISTS {copy}");
    let columns: Vec<String> = doubtful.iter().map(|d| text::ident(&d.name)).collect();
    conn.run(&drop)?;
    conn.run(&format!(
        "CREATE TEMPORARY TABLE {copy} ({KEY} INT NOT NULL PRIMARY KEY) SELECT 0 AS {KEY}, {} FROM {} LIMIT 0",
        columns.join(", "),
        text::table(&name.db, &name.table)
    ))?;
    conn.run(&format!("INSERT INTO {copy} ({KEY}) VALUES (0)"))?;
    let most = doubtful.iter().map(|d| d.members.len()).max().unwrap_or(0);
    let rows: Vec<String> = (1..=most)
        .map(|n| {
            let values: Vec<String> = doubtful.iter().map(|d| d.nth(n)).collect();
            format!("({n}, {})", values.join(", "))
        })
        .collect();
    for some in rows.chunks(ROWS) {
        let list = columns.join(", ");
        conn.run(&format!(
            "INSERT INTO {copy} ({KEY}, {list}) VALUES {}",
            some.join(", ")
        ))?;
    }
    let shown: Vec<String> = columns
        .iter()
        .map(|c| format!("HEX(CONVERT({c} USING utf8mb4))"))
        .collect();
    let rows = conn.rows(&format!(
        "SELECT {KEY}, {} FROM {copy} ORDER BY {KEY}",
        shown.join(", ")
    ))?;
    conn.run(&drop)?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mysql::schema::tables::ColumnInfo;

    const CREATE: &str = "CREATE TABLE `t` (\n  `e` enum('a','?','b''q\\\\','(?)') DEFAULT '?',\n  `s` set('x','?y'),\n  \
        `v` varchar(9) DEFAULT 'd?,' COMMENT 'c?',\n  `l` enum('?') CHARACTER SET latin1,\n  `x` text DEFAULT (concat('?')),\n  \
        KEY `k` (`v`) COMMENT '?'\n) ENGINE=InnoDB COMMENT='?'";

    fn details() -> Details {
        let column = |name: &str, charset: &str| ColumnInfo {
            name: name.to_owned(),
            data_type: String::new(),
            charset: Some(charset.to_owned()),
            collation: None,
            generated: false,
            row_end: false,
        };
        let columns = [
            ("e", "utf8mb4"),
            ("s", "utf16"),
            ("v", "utf8mb4"),
            ("l", "latin1"),
            ("x", "utf8mb4"),
        ];
        Details {
            columns: columns.iter().map(|(n, c)| column(n, c)).collect(),
            key: Vec::new(),
        }
    }

    #[test]
    fn only_what_may_be_otherwise_is_doubtful() {
        let parsed = CreateTable::parse(CREATE).unwrap();
        let of = |flavor| -> Vec<String> {
            doubtful(&parsed, &details(), flavor)
                .into_iter()
                .map(|d| d.name)
                .collect()
        };
        assert_eq!(of(Flavor::MariaDb), ["e", "s", "v"]);
        assert_eq!(of(Flavor::MySql), ["e", "s"]);
    }

    #[test]
    fn literals_are_put_in_their_places() {
        let parsed = CreateTable::parse(CREATE).unwrap();
        let all = doubtful(&parsed, &details(), Flavor::MariaDb);
        let column = &all[0];
        let values = ["🙂", "a", "🙂", "b'q\\", "(?)"].map(|v| Some(v.to_owned()));
        let exact = column.exact(&values).unwrap();
        assert_eq!(
            column.rewritten(&parsed.items[0].text, &exact).unwrap(),
            "`e` enum('a','🙂','b''q\\\\','(?)') DEFAULT '🙂'"
        );
        assert!(
            column
                .exact(&["?", "a", "b", "b'q\\", "(?)"].map(|v| Some(v.to_owned())))
                .is_none()
        );
        assert!(column.exact(&values[..3]).is_none());
        let other = &all[2];
        let exact = other.exact(&[Some("d😀,".to_owned())]).unwrap();
        assert_eq!(
            other.rewritten(&parsed.items[2].text, &exact).unwrap(),
            "`v` varchar(9) DEFAULT 'd😀,' COMMENT 'c?'"
        );
        assert_eq!([1, 2, 3].map(|n| all[1].nth(n)), ["1", "2", "DEFAULT"]);
    }
}
