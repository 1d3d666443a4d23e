//! `CREATE TABLE` taken apart: rows load faster into a table without secondary indexes, and foreign keys need other tables.
//!
//! The text is what `SHOW CREATE TABLE` gives: names in backticks, strings in single quotes with backslash escapes, one item
//! per column, key and constraint. Only the items are told apart; inside they stay as they are.

use serde::{Deserialize, Serialize};

use crate::cluster::ClusterError;
use crate::cluster::mysql::text::ident;

/// What an item of the list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster::mysql) enum ItemKind {
    Column(String),
    Primary,
    Unique,
    Index,
    /// FULLTEXT, SPATIAL or VECTOR.
    Special,
    Foreign(Foreign),
    /// Checks, periods, and whatever else stays in its place.
    Other,
}

/// A foreign key: the text before and behind the name of the table it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cluster::mysql) struct Foreign {
    pub(in crate::cluster::mysql) name: Option<String>,
    pub(in crate::cluster::mysql) before: String,
    pub(in crate::cluster::mysql) db: Option<String>,
    pub(in crate::cluster::mysql) table: String,
    pub(in crate::cluster::mysql) after: String,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster::mysql) struct Item {
    pub(in crate::cluster::mysql) text: String,
    pub(in crate::cluster::mysql) kind: ItemKind,
}

impl Item {
    /// The first columns of a key, by name; expressions are left out.
    pub(in crate::cluster::mysql) fn key_columns(&self) -> Vec<String> {
        first_list(&self.text)
    }

    /// The name of a plain key.
    pub(in crate::cluster::mysql) fn key_name(&self) -> String {
        let name = self.text.strip_prefix("KEY ").and_then(leading_name);
        name.map(|(name, _)| name).unwrap_or_default()
    }
}

/// A table's definition in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster::mysql) struct CreateTable {
    pub(in crate::cluster::mysql) items: Vec<Item>,
    /// From the closing parenthesis on: engine, partitions, comment.
    pub(in crate::cluster::mysql) tail: String,
    /// The keys, by their places, that only come together with the foreign keys.
    held: Vec<usize>,
}

/// A key over whole columns that is neither unique nor has any option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster::mysql) struct PlainKey {
    /// Its place among the items.
    pub(in crate::cluster::mysql) at: usize,
    pub(in crate::cluster::mysql) name: String,
    pub(in crate::cluster::mysql) columns: Vec<String>,
}

/// Names as a list between parentheses.
pub(in crate::cluster::mysql) fn name_list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|n| ident(n)).collect();
    format!("({})", names.join(","))
}

/// The names in the first list between parentheses.
fn first_list(text: &str) -> Vec<String> {
    let Some(at) = outside(text, b'(') else {
        return Vec::new();
    };
    let inner = text.get(at + 1..).unwrap_or_default();
    split_list(inner)
        .iter()
        .filter_map(|part| leading_name(part.trim_start()).map(|(name, _)| name))
        .collect()
}

fn malformed(why: &str) -> ClusterError {
    ClusterError::Malformed {
        what: "a table's definition",
        why: why.to_owned(),
    }
}

/// The byte behind the quoted piece that begins at `at`, or behind one byte.
fn skip(bytes: &[u8], at: usize) -> usize {
    let Some(&quote) = bytes.get(at).filter(|b| matches!(b, b'\'' | b'"' | b'`')) else {
        return at + 1;
    };
    let mut end = at + 1;
    while let Some(&b) = bytes.get(end) {
        if b == b'\\' && quote != b'`' {
            end += 2;
        } else if b != quote {
            end += 1;
        } else if bytes.get(end + 1) == Some(&quote) {
            end += 2;
        } else {
            return end + 1;
        }
    }
    bytes.len()
}

/// Where a byte first stands outside of quotes.
pub(super) fn outside(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        if b == wanted {
            return Some(at);
        }
        at = skip(bytes, at);
    }
    None
}

/// Splits at commas outside of quotes and parentheses, up to the parenthesis that closes the list.
fn split_list(inner: &str) -> Vec<&str> {
    let (parts, _) = split_to_close(inner);
    parts
}

/// The parts of a list, and where the parenthesis that closes it stands.
pub(super) fn split_to_close(inner: &str) -> (Vec<&str>, Option<usize>) {
    let bytes = inner.as_bytes();
    let (mut parts, mut from, mut at, mut depth) = (Vec::new(), 0, 0, 0_usize);
    let part = |from: usize, to: usize| inner.get(from..to).unwrap_or_default();
    while let Some(&b) = bytes.get(at) {
        match b {
            b'(' => depth += 1,
            b')' if depth == 0 => {
                parts.push(part(from, at));
                return (parts, Some(at));
            }
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(part(from, at));
                from = at + 1;
            }
            _ => {}
        }
        at = skip(bytes, at);
    }
    parts.push(part(from, bytes.len()));
    (parts, None)
}

/// A name in backticks at the beginning, and what is behind it.
pub(in crate::cluster::mysql) fn leading_name(text: &str) -> Option<(String, &str)> {
    let end = text.starts_with('`').then(|| skip(text.as_bytes(), 0))?;
    let (quoted, rest) = (text.get(1..end.checked_sub(1)?)?, text.get(end..)?);
    Some((quoted.replace("``", "`"), rest))
}

/// Where a word stands outside of quotes and parentheses.
pub(super) fn find_word(text: &str, word: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&b) = bytes.get(at) {
        match b {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0
                && text
                    .get(at..at + word.len())
                    .is_some_and(|t| t.eq_ignore_ascii_case(word)) =>
            {
                return Some(at);
            }
            _ => {}
        }
        at = skip(bytes, at);
    }
    None
}

fn foreign(text: &str) -> Option<Foreign> {
    const REFERENCES: &str = "REFERENCES ";
    let at = find_word(text, REFERENCES)? + REFERENCES.len();
    let (first, rest) = leading_name(text.get(at..)?)?;
    let (db, table, after) = match rest.strip_prefix('.').and_then(leading_name) {
        Some((table, after)) => (Some(first), table, after),
        None => (None, first, rest),
    };
    let name = text.strip_prefix("CONSTRAINT ").and_then(leading_name).map(|n| n.0);
    Some(Foreign {
        name,
        before: text.get(..at)?.to_owned(),
        db,
        table,
        after: after.to_owned(),
    })
}

fn kind(text: &str) -> ItemKind {
    if let Some((name, _)) = leading_name(text) {
        return ItemKind::Column(name);
    }
    let starts = |word: &str| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if starts("PRIMARY KEY") {
        return ItemKind::Primary;
    }
    if starts("UNIQUE ") {
        return ItemKind::Unique;
    }
    if starts("KEY ") || starts("INDEX ") {
        return ItemKind::Index;
    }
    if ["FULLTEXT ", "SPATIAL ", "VECTOR "].into_iter().any(starts) {
        return ItemKind::Special;
    }
    if starts("CONSTRAINT ") || starts("FOREIGN KEY") {
        if find_word(text, "FOREIGN KEY").is_some()
            && let Some(foreign) = foreign(text)
        {
            return ItemKind::Foreign(foreign);
        }
        if find_word(text, "UNIQUE ").is_some() && find_word(text, "CHECK").is_none() {
            return ItemKind::Unique;
        }
    }
    ItemKind::Other
}

impl CreateTable {
    /// Takes a definition apart.
    pub(in crate::cluster::mysql) fn parse(create: &str) -> Result<CreateTable, ClusterError> {
        let open = outside(create, b'(').ok_or_else(|| malformed("it has no list of columns"))?;
        let inner = create.get(open + 1..).unwrap_or_default();
        let (parts, close) = split_to_close(inner);
        let close = close.ok_or_else(|| malformed("its list of columns does not end"))?;
        let items = parts
            .into_iter()
            .map(|part| {
                let text = part.trim().to_owned();
                Item {
                    kind: kind(&text),
                    text,
                }
            })
            .collect();
        let tail = inner.get(close..).unwrap_or_default().to_owned();
        Ok(CreateTable {
            items,
            tail,
            held: Vec::new(),
        })
    }

    /// Its keys over whole columns that are neither unique nor have any option: such ones foreign keys make.
    pub(in crate::cluster::mysql) fn plain_keys(&self) -> Vec<PlainKey> {
        let counter = self.counter_key();
        let indexes = self.items.iter().enumerate();
        indexes
            .filter(|(at, item)| item.kind == ItemKind::Index && counter != Some(*at))
            .filter_map(|(at, item)| {
                let (name, _) = leading_name(item.text.strip_prefix("KEY ")?)?;
                let columns = item.key_columns();
                let whole = format!("KEY {} {}", ident(&name), name_list(&columns));
                (item.text == whole).then_some(PlainKey { at, name, columns })
            })
            .collect()
    }

    /// Leaves these keys, and others that are shown behind them, out of [`CreateTable::statement`] and
    /// [`CreateTable::later_keys`]: so they keep their order when they come with the foreign keys.
    pub(in crate::cluster::mysql) fn hold(mut self, names: &[String]) -> CreateTable {
        let plain = self.plain_keys();
        if let Some(first) = plain.iter().find(|k| names.contains(&k.name)) {
            let counter = self.counter_key();
            let behind = self.items.iter().enumerate().skip(first.at);
            self.held = behind
                .filter(|(at, item)| item.kind == ItemKind::Index && counter != Some(*at))
                .map(|(at, _)| at)
                .collect();
        }
        self
    }

    /// The keys that were left out so.
    pub(in crate::cluster::mysql) fn held(&self) -> impl Iterator<Item = (usize, &Item)> {
        self.held.iter().filter_map(|at| Some((*at, self.items.get(*at)?)))
    }

    fn has_primary(&self) -> bool {
        self.items.iter().any(|i| i.kind == ItemKind::Primary)
    }

    /// The column that counts by itself.
    fn counter(&self) -> Option<&str> {
        self.items.iter().find_map(|i| match &i.kind {
            ItemKind::Column(name) if find_word(&i.text, "AUTO_INCREMENT").is_some() => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether an item waits until the rows are in. Kept are the primary key, the first unique key where there is no
    /// primary one (rows are stored in its order), and a key that AUTO_INCREMENT cannot be without.
    fn waits(&self, at: usize, item: &Item) -> bool {
        match item.kind {
            ItemKind::Special => true,
            ItemKind::Unique if !self.has_primary() => false,
            ItemKind::Unique | ItemKind::Index => self.counter_key() != Some(at),
            _ => false,
        }
    }

    /// The key that AUTO_INCREMENT needs, when it is not the primary one.
    fn counter_key(&self) -> Option<usize> {
        let counter = self.counter()?;
        let holds = |item: &Item, first: bool| {
            let columns = item.key_columns();
            match first {
                true => columns.first().is_some_and(|c| c == counter),
                false => columns.iter().any(|c| c == counter),
            }
        };
        let is_key = |kind: &ItemKind| matches!(kind, ItemKind::Primary | ItemKind::Unique | ItemKind::Index);
        let primary = self.items.iter().find(|i| i.kind == ItemKind::Primary);
        if primary.is_some_and(|i| holds(i, true)) {
            return None;
        }
        let find = |first: bool| self.items.iter().position(|i| is_key(&i.kind) && holds(i, first));
        find(true).or_else(|| find(false))
    }

    /// The statement that creates the table under another name, without what needs other tables (foreign keys, values of
    /// sequences), and with `lean` without the indexes that can wait.
    pub(in crate::cluster::mysql) fn statement(&self, db: &str, table: &str, lean: bool) -> String {
        let text = |item: &Item| match item.kind {
            ItemKind::Column(_) => sequence_column(&item.text).map_or_else(|| item.text.clone(), |c| c.plain()),
            _ => item.text.clone(),
        };
        let kept: Vec<String> = self
            .items
            .iter()
            .enumerate()
            .filter(|(at, item)| !(matches!(item.kind, ItemKind::Foreign(_)) || lean && self.waits(*at, item)))
            .filter(|(at, _)| !self.held.contains(at))
            .map(|(_, item)| text(item))
            .collect();
        format!(
            "CREATE TABLE {}.{} (\n  {}\n{}",
            ident(db),
            ident(table),
            kept.join(",\n  "),
            self.tail
        )
    }

    /// What [`CreateTable::statement`] left out of the keys, as clauses of `ALTER TABLE`: those that go together, then
    /// those that each need a statement of their own.
    pub(in crate::cluster::mysql) fn later_keys(&self) -> (Vec<String>, Vec<String>) {
        let waiting = self
            .items
            .iter()
            .enumerate()
            .filter(|(at, item)| self.waits(*at, item) && !self.held.contains(at))
            .map(|(_, item)| item);
        let (alone, together): (Vec<&Item>, Vec<&Item>) = waiting.partition(|i| i.kind == ItemKind::Special);
        let add = |items: Vec<&Item>| items.iter().map(|i| format!("ADD {}", i.text)).collect();
        (add(together), add(alone))
    }

    /// Columns whose default is a sequence's next value.
    pub(in crate::cluster::mysql) fn sequence_columns(&self) -> impl Iterator<Item = SequenceColumn> {
        self.items.iter().filter_map(|i| match &i.kind {
            ItemKind::Column(_) => sequence_column(&i.text),
            _ => None,
        })
    }

    /// The foreign keys.
    pub(in crate::cluster::mysql) fn foreign_keys(&self) -> impl Iterator<Item = &Foreign> {
        self.items.iter().filter_map(|i| match &i.kind {
            ItemKind::Foreign(foreign) => Some(foreign),
            _ => None,
        })
    }
}

/// A column whose default is a sequence's next value: its text before and behind that default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster::mysql) struct SequenceColumn {
    pub(in crate::cluster::mysql) before: String,
    pub(in crate::cluster::mysql) db: Option<String>,
    pub(in crate::cluster::mysql) sequence: String,
    pub(in crate::cluster::mysql) after: String,
}

fn sequence_column(text: &str) -> Option<SequenceColumn> {
    const WORD: &str = "DEFAULT nextval(";
    let at = find_word(text, WORD)?;
    let (first, rest) = leading_name(text.get(at + WORD.len()..)?)?;
    let (db, sequence, rest) = match rest.strip_prefix('.').and_then(leading_name) {
        Some((sequence, rest)) => (Some(first), sequence, rest),
        None => (None, first, rest),
    };
    Some(SequenceColumn {
        before: text.get(..at)?.to_owned(),
        db,
        sequence,
        after: rest.strip_prefix(')')?.to_owned(),
    })
}

impl SequenceColumn {
    /// As a clause of `ALTER TABLE`, with that sequence.
    pub(in crate::cluster::mysql) fn clause(&self, db: &str, sequence: &str) -> String {
        format!(
            "MODIFY COLUMN {}DEFAULT nextval({}.{}){}",
            self.before,
            ident(db),
            ident(sequence),
            self.after
        )
    }

    /// The same without a default.
    pub(in crate::cluster::mysql) fn clause_without(&self) -> String {
        format!("MODIFY COLUMN {}", self.plain())
    }

    /// The column without that default.
    fn plain(&self) -> String {
        format!("{}{}", self.before.trim_end(), self.after)
    }
}

impl Foreign {
    /// Its columns.
    pub(in crate::cluster::mysql) fn columns(&self) -> Vec<String> {
        let name = self.name.as_deref().map(|n| format!("CONSTRAINT {} ", ident(n)));
        first_list(name.and_then(|n| self.before.strip_prefix(&n)).unwrap_or(&self.before))
    }

    /// The columns it refers to.
    pub(in crate::cluster::mysql) fn referenced(&self) -> Vec<String> {
        first_list(&self.after)
    }

    /// As a clause of `ALTER TABLE`, referring to that table.
    pub(in crate::cluster::mysql) fn clause(&self, db: &str, table: &str) -> String {
        format!("ADD {}{}.{}{}", self.before, ident(db), ident(table), self.after)
    }

    /// As [`Foreign::clause`], for the server to name it.
    pub(in crate::cluster::mysql) fn unnamed(&self, db: &str, table: &str) -> String {
        let name = self.name.as_deref().map(|n| format!("CONSTRAINT {} ", ident(n)));
        let before = name.and_then(|n| self.before.strip_prefix(&n)).unwrap_or(&self.before);
        format!("ADD {before}{}.{}{}", ident(db), ident(table), self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPES: &str = "CREATE TABLE `t``1` (\n  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,\n  \
        `e` enum('a,b','it''s (','\\\\back') DEFAULT 'a,b' COMMENT 'KEY (, ',\n  \
        `gs` varchar(64) GENERATED ALWAYS AS (concat('k',`t4` % 1000)) STORED,\n  \
        `pid` int(11) NOT NULL,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`e`,`pid`),\n  KEY `k_gs` (`gs`(10)),\n  \
        FULLTEXT KEY `f` (`gs`),\n  SPATIAL KEY `s` (`g`),\n  \
        CONSTRAINT `fk_c` FOREIGN KEY (`pid`) REFERENCES `o``d`.`parent` (`id`) ON DELETE CASCADE,\n  \
        CONSTRAINT `c2` CHECK (`pid` < 10 and 'FOREIGN KEY' <> '')\n\
        ) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='a) b'\n PARTITION BY RANGE (`id`)\n(PARTITION `p` VALUES LESS THAN MAXVALUE)";

    #[test]
    fn indexes_and_foreign_keys_are_left_for_later() {
        let parsed = CreateTable::parse(TYPES).unwrap();
        assert_eq!(parsed.items.len(), 11);
        let lean = parsed.statement("sh", "x", true);
        assert!(lean.starts_with("CREATE TABLE `sh`.`x` (\n  `id` bigint"), "{lean}");
        for kept in [
            "PRIMARY KEY (`id`)",
            "CHECK (`pid` < 10",
            "AUTO_INCREMENT=7",
            "PARTITION `p`",
        ] {
            assert!(lean.contains(kept), "{kept} in {lean}");
        }
        for gone in ["UNIQUE", "k_gs", "FULLTEXT", "SPATIAL", "fk_c"] {
            assert!(!lean.contains(gone), "{gone} in {lean}");
        }
        let (together, alone) = parsed.later_keys();
        assert_eq!(
            together,
            ["ADD UNIQUE KEY `u` (`e`,`pid`)", "ADD KEY `k_gs` (`gs`(10))"]
        );
        assert_eq!(alone.len(), 2);
        let fk = parsed.foreign_keys().next().unwrap();
        assert_eq!((fk.db.as_deref(), fk.table.as_str()), (Some("o`d"), "parent"));
        assert_eq!(
            fk.clause("s", "p"),
            "ADD CONSTRAINT `fk_c` FOREIGN KEY (`pid`) REFERENCES `s`.`p` (`id`) ON DELETE CASCADE"
        );
    }

    #[test]
    fn values_of_sequences_come_later() {
        let create = "CREATE TABLE `t` (\n  `id` bigint(20) NOT NULL DEFAULT nextval(`m`.`s``1`) COMMENT 'x',\n  \
            `v` varchar(30) DEFAULT 'DEFAULT nextval(`m`.`s`)'\n)";
        let parsed = CreateTable::parse(create).unwrap();
        assert!(
            parsed
                .statement("d", "t", true)
                .contains("`id` bigint(20) NOT NULL COMMENT 'x',")
        );
        let columns: Vec<SequenceColumn> = parsed.sequence_columns().collect();
        assert_eq!(columns.len(), 1);
        assert_eq!(
            (columns[0].db.as_deref(), columns[0].sequence.as_str()),
            (Some("m"), "s`1")
        );
        assert_eq!(
            columns[0].clause("n", "q"),
            "MODIFY COLUMN `id` bigint(20) NOT NULL DEFAULT nextval(`n`.`q`) COMMENT 'x'"
        );
    }

    #[test]
    fn a_counter_keeps_its_key() {
        let create = "CREATE TABLE `t` (\n  `a` int,\n  `n` int NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`a`),\n  KEY `n` (`n`)\n)";
        let parsed = CreateTable::parse(create).unwrap();
        assert!(parsed.statement("d", "t", true).contains("KEY `n`"));
        assert_eq!(parsed.later_keys(), (vec![], vec![]));
        let create = "CREATE TABLE `t` (\n  `a` int,\n  UNIQUE KEY `u` (`a`),\n  KEY `k` (`a`)\n)";
        let parsed = CreateTable::parse(create).unwrap();
        let (together, _) = parsed.later_keys();
        assert_eq!(
            together,
            ["ADD KEY `k` (`a`)"],
            "rows lie in the order of the unique key"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_safe_and_full_statements_keep_every_item(text in ".{0,200}") {
            let _ = CreateTable::parse(&text);
        }

        #[test]
        fn what_is_left_out_comes_later(quoted in "[a-z,()'`\" ]{0,12}") {
            let string = quoted.replace('\'', "''");
            let name = ident(&quoted);
            let create = format!(
                "CREATE TABLE `t` (\n  {name} int DEFAULT '{string}',\n  PRIMARY KEY ({name}),\n  KEY {name} ({name})\n) COMMENT='{string}'"
            );
            let parsed = CreateTable::parse(&create).unwrap();
            prop_assert_eq!(parsed.items.len(), 3);
            prop_assert_eq!(parsed.later_keys().0, vec![format!("ADD KEY {name} ({name})")]);
            prop_assert_eq!(parsed.statement("d", "t", false).replace("`d`.", ""), create);
        }
    }
}
