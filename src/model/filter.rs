//! Table filters, as BR writes them, and rename maps.
//!
//! A filter is a list of rules. `db.table` with `*` (any characters), `?` (one character) and `[a-z]`,
//! `[!a-z]` in either part; a part in backticks is literal; a leading `!` excludes. The last rule that
//! matches a table decides; a table that no rule matches is left out; names match case-sensitively.
//! A filter without rules takes everything.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::table::TableName;

/// A rule that is not of the form `[!]db.table`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter rule `{rule}` cannot be read: {why}; examples: shop.*  !shop.tmp_*  `odd.name`.t")]
pub struct BadRule {
    /// The rule as given.
    pub rule: String,
    /// What is wrong.
    pub why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    Any,
    Many,
    Class { not: bool, ranges: Vec<(char, char)> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    exclude: bool,
    db: Vec<Piece>,
    table: Vec<Piece>,
}

/// A list of rules that choose tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFilter {
    text: Vec<String>,
    rules: Vec<Rule>,
    /// The tables, where every rule names just one: a look instead of a walk over thousands of rules.
    named: Option<BTreeSet<TableName>>,
}

impl TableFilter {
    /// Takes everything.
    pub fn all() -> Self {
        TableFilter::default()
    }

    /// Reads rules.
    pub fn parse<S: AsRef<str>>(rules: &[S]) -> Result<Self, BadRule> {
        let text: Vec<String> = rules.iter().map(|r| r.as_ref().trim().to_owned()).collect();
        let rules: Vec<Rule> = text.iter().map(|r| parse_rule(r)).collect::<Result<_, _>>()?;
        let named = named(&rules);
        Ok(TableFilter { text, rules, named })
    }

    /// Takes exactly these tables.
    pub fn only(tables: &[TableName]) -> Self {
        let literal = |s: &str| s.chars().map(Piece::Char).collect::<Vec<_>>();
        let rules: Vec<Rule> = tables
            .iter()
            .map(|t| Rule {
                exclude: false,
                db: literal(&t.db),
                table: literal(&t.table),
            })
            .collect();
        TableFilter {
            text: tables.iter().map(quoted).collect(),
            named: named(&rules),
            rules,
        }
    }

    /// Whether it takes everything because it has no rules.
    pub fn is_all(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules as they were written.
    pub fn rules(&self) -> &[String] {
        &self.text
    }

    /// Whether a table is chosen.
    pub fn matches(&self, name: &TableName) -> bool {
        if self.is_all() {
            return true;
        }
        if let Some(named) = &self.named {
            return named.contains(name);
        }
        let (db, table): (Vec<char>, Vec<char>) = (name.db.chars().collect(), name.table.chars().collect());
        let last = self
            .rules
            .iter()
            .rev()
            .find(|r| glob(&r.db, &db) && glob(&r.table, &table));
        last.is_some_and(|r| !r.exclude)
    }

    /// Whether every table that a database could have is chosen, so that what belongs to the database itself is too.
    pub fn takes_database(&self, db: &str) -> bool {
        if self.is_all() {
            return true;
        }
        let db: Vec<char> = db.chars().collect();
        let any = |r: &Rule| r.table.iter().all(|p| *p == Piece::Many);
        let mut rules = self.rules.iter().rev().filter(|r| glob(&r.db, &db));
        // From behind: what chooses all decides, unless something was taken out of it before.
        rules.find(|r| r.exclude || any(r)).is_some_and(|r| !r.exclude)
    }
}

/// The tables of rules that name one table each.
fn named(rules: &[Rule]) -> Option<BTreeSet<TableName>> {
    if rules.is_empty() {
        return None;
    }
    let literal = |pieces: &[Piece]| {
        let chars = pieces.iter().map(|p| match p {
            Piece::Char(c) => Some(*c),
            _ => None,
        });
        chars.collect::<Option<String>>()
    };
    let table = |r: &Rule| match r.exclude {
        true => None,
        false => Some(TableName::new(literal(&r.db)?, literal(&r.table)?)),
    };
    rules.iter().map(table).collect()
}

/// The literal rule for one table.
fn quoted(name: &TableName) -> String {
    let q = |s: &str| format!("`{}`", s.replace('`', "``"));
    format!("{}.{}", q(&name.db), q(&name.table))
}

fn parse_rule(text: &str) -> Result<Rule, BadRule> {
    let bad = |why| BadRule {
        rule: super::text::safe(text, 80),
        why,
    };
    let (exclude, rest) = text.strip_prefix('!').map_or((false, text), |r| (true, r));
    let chars: Vec<char> = rest.chars().collect();
    let (db, at) = parse_part(&chars, 0).map_err(bad)?;
    if chars.get(at) != Some(&'.') {
        return Err(bad("it needs a database and a table with a dot between"));
    }
    let (table, at) = parse_part(&chars, at + 1).map_err(bad)?;
    if at != chars.len() {
        return Err(bad(
            "it has more than one dot; put backticks around a name that holds one",
        ));
    }
    if db.is_empty() || table.is_empty() {
        return Err(bad("a part is empty"));
    }
    Ok(Rule { exclude, db, table })
}

/// Reads one part from `at`; returns its pieces and where it ends.
fn parse_part(chars: &[char], mut at: usize) -> Result<(Vec<Piece>, usize), &'static str> {
    let mut pieces = Vec::new();
    if chars.get(at) == Some(&'`') {
        at += 1;
        loop {
            match (chars.get(at), chars.get(at + 1)) {
                (Some('`'), Some('`')) => {
                    pieces.push(Piece::Char('`'));
                    at += 2;
                }
                (Some('`'), _) => return Ok((pieces, at + 1)),
                (Some(c), _) => {
                    pieces.push(Piece::Char(*c));
                    at += 1;
                }
                (None, _) => return Err("a backtick is not closed"),
            }
        }
    }
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            '.' => return Ok((pieces, at - 1)),
            '*' => pieces.push(Piece::Many),
            '?' => pieces.push(Piece::Any),
            '[' => {
                let (class, end) = parse_class(chars, at)?;
                pieces.push(class);
                at = end;
            }
            '/' | '@' | '`' => return Err("it holds a character that needs backticks around the name"),
            c => pieces.push(Piece::Char(c)),
        }
    }
    Ok((pieces, at))
}

/// Reads `a-z]` after the bracket.
fn parse_class(chars: &[char], mut at: usize) -> Result<(Piece, usize), &'static str> {
    let not = chars.get(at) == Some(&'!');
    at += usize::from(not);
    let mut ranges = Vec::new();
    loop {
        let from = *chars.get(at).ok_or("a bracket is not closed")?;
        if from == ']' && !ranges.is_empty() {
            return Ok((Piece::Class { not, ranges }, at + 1));
        }
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(&to)) if to != ']' => {
                if to < from {
                    return Err("a range in brackets goes backwards");
                }
                ranges.push((from, to));
                at += 3;
            }
            _ => {
                ranges.push((from, from));
                at += 1;
            }
        }
    }
}

/// Matches without recursion: on a mismatch the last `*` takes one character more.
fn glob(pattern: &[Piece], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let one = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(Piece::Many), _) => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some(Piece::Any), Some(_)) => true,
            (Some(Piece::Char(c)), Some(d)) => c == d,
            (Some(Piece::Class { not, ranges }), Some(c)) => ranges.iter().any(|(a, b)| a <= c && c <= b) != *not,
            _ => false,
        };
        if one {
            (p, t) = (p + 1, t + 1);
            continue;
        }
        match retry {
            Some((after, from)) if from < text.len() => {
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

impl Serialize for TableFilter {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(s)
    }
}

impl<'de> Deserialize<'de> for TableFilter {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        TableFilter::parse(&Vec::<String>::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// One `A=B` of a rename map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rename {
    /// All tables of a database go into another database.
    Db {
        /// From this database
        from: String,
        /// to this one.
        to: String,
    },
    /// One table gets another name.
    Table {
        /// From this name
        from: TableName,
        /// to this one.
        to: TableName,
    },
}

/// New names for restored tables. A rule for a table goes before one for its database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RenameMap(pub Vec<Rename>);

/// A rename that is not `A=B`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rename: write olddb=newdb or olddb.table=newdb.table")]
pub struct BadRename(pub String);

impl RenameMap {
    /// Reads rules of the form `db=db` or `db.table=db.table`.
    pub fn parse<S: AsRef<str>>(rules: &[S]) -> Result<Self, BadRename> {
        rules
            .iter()
            .map(|r| parse_rename(r.as_ref()))
            .collect::<Result<_, _>>()
            .map(RenameMap)
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name a table gets.
    pub fn apply(&self, name: &TableName) -> TableName {
        let table = self.0.iter().find_map(|r| match r {
            Rename::Table { from, to } if from == name => Some(to.clone()),
            Rename::Table { .. } | Rename::Db { .. } => None,
        });
        let db = || {
            self.0.iter().find_map(|r| match r {
                Rename::Db { from, to } if *from == name.db => Some(TableName::new(to.clone(), name.table.clone())),
                Rename::Table { .. } | Rename::Db { .. } => None,
            })
        };
        table.or_else(db).unwrap_or_else(|| name.clone())
    }
}

fn parse_rename(rule: &str) -> Result<Rename, BadRename> {
    let bad = || BadRename(super::text::safe(rule, 80));
    let (from, to) = rule.split_once('=').ok_or_else(bad)?;
    if let (Ok(from), Ok(to)) = (from.parse(), to.parse()) {
        return Ok(Rename::Table { from, to });
    }
    let db = |s: &str| {
        let s = s
            .strip_prefix('`')
            .and_then(|s| s.strip_suffix('`'))
            .map_or_else(|| s.to_owned(), |s| s.replace("``", "`"));
        (!s.is_empty() && !s.contains('.')).then_some(s)
    };
    match (db(from), db(to)) {
        (Some(from), Some(to)) => Ok(Rename::Db { from, to }),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(rules: &[&str], takes: &[&str], leaves: &[&str]) {
        let f = TableFilter::parse(rules).unwrap();
        takes
            .iter()
            .for_each(|t| assert!(f.matches(&t.parse().unwrap()), "{rules:?} should take {t}"));
        leaves
            .iter()
            .for_each(|t| assert!(!f.matches(&t.parse().unwrap()), "{rules:?} should leave {t}"));
    }

    #[test]
    fn the_last_matching_rule_decides() {
        check(&[], &["a.b"], &[]);
        check(&["db.*"], &["db.t", "db.x"], &["dc.t"]);
        check(&["db.*", "!db.tmp_*"], &["db.t"], &["db.tmp_1", "db.tmp_"]);
        check(&["!db.tmp_*", "db.*"], &["db.tmp_1"], &[]);
        check(&["*.*", "!mysql.*"], &["a.b"], &["mysql.user"]);
        check(&["d?.t[0-9]"], &["db.t5"], &["db.tx", "dbb.t5", "db.t55"]);
        check(&["d.[!a-c]"], &["d.x"], &["d.b"]);
        check(&["*.*a*b*c"], &["d.aXbXc", "d.abcabc"], &["d.acb", "d.abcx"]);
        check(&["`a.b`.`*`"], &["`a.b`.*"], &["`a.b`.x"]);
    }

    #[test]
    fn a_database_is_taken_when_nothing_is_left_out_of_it() {
        let takes = |rules: &[&str]| TableFilter::parse(rules).unwrap().takes_database("shop");
        for rules in [
            &[][..],
            &["*.*"],
            &["shop.*"],
            &["sh*.**"],
            &["!shop.orders", "shop.*"],
            &["shop.*", "shop.orders"],
            &["shop.*", "!other.*"],
        ] {
            assert!(takes(rules), "{rules:?}");
        }
        for rules in [
            &["other.*"][..],
            &["shop.orders"],
            &["shop.a*", "shop.b*"],
            &["shop.*", "!shop.tmp_*"],
            &["*.*", "!shop.*"],
            &["shop.*", "!*.orders", "shop.orders"],
        ] {
            assert!(!takes(rules), "{rules:?}");
        }
    }

    #[test]
    fn bad_rules_say_why() {
        for bad in ["", "a", "a.", ".a", "a.b.c", "`a.b", "d.[ab", "d.[z-a]", "/re/.x"] {
            assert!(TableFilter::parse(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn renames_tables_before_databases() {
        let map = RenameMap::parse(&["shop=shop2", "shop.orders=old.orders_1"]).unwrap();
        assert_eq!(
            map.apply(&TableName::new("shop", "orders")),
            TableName::new("old", "orders_1")
        );
        assert_eq!(
            map.apply(&TableName::new("shop", "items")),
            TableName::new("shop2", "items")
        );
        assert_eq!(map.apply(&TableName::new("x", "items")), TableName::new("x", "items"));
        for bad in ["", "a", "=b", "a=", "a.b=c", "a=b.c"] {
            assert!(RenameMap::parse(&[bad]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_literal_filter_takes_exactly_its_tables(a in ".{1,8}", b in ".{1,8}", c in ".{1,8}") {
            let (one, other) = (TableName::new(a.clone(), b), TableName::new(a, c));
            let f = TableFilter::only(std::slice::from_ref(&one));
            prop_assert!(f.matches(&one));
            prop_assert_eq!(f.matches(&other), one == other);
        }

        #[test]
        fn parsing_never_panics(rule in ".{0,30}", name in ".{0,10}") {
            if let Ok(f) = TableFilter::parse(&[rule]) {
                f.matches(&TableName::new(name.clone(), name));
            }
        }
    }
}
