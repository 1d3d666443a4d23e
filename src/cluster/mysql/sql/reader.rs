//! Reading a statement word by word, taking note of the tables and databases that it names.

use super::Modes;
use super::tokens::{Token, TokenKind, words};
use crate::model::table::TableName;

/// What a reference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefKind {
    /// A table or sequence.
    Table,
    /// The table that a foreign key refers to.
    Parent,
    /// A sequence in an expression.
    Sequence,
    /// A table in front of one of its columns: only `db.table.column` or `table.column`.
    OfColumn,
    /// A database.
    Database,
}

/// A name in the statement and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ref {
    pub kind: RefKind,
    pub name: TableName,
    /// Byte range in the statement.
    pub start: usize,
    pub end: usize,
}

/// The significant tokens of a statement and a place among them.
pub(super) struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    default_db: &'a str,
    pub refs: Vec<Ref>,
}

impl<'a> Reader<'a> {
    pub fn new(sql: &'a str, default_db: &'a str, modes: Modes) -> Self {
        Reader {
            tokens: words(sql, modes),
            at: 0,
            default_db,
            refs: Vec::new(),
        }
    }

    pub fn default_db(&self) -> &'a str {
        self.default_db
    }

    pub fn peek(&self) -> Option<&Token<'a>> {
        self.peek_at(0)
    }

    pub fn peek_at(&self, ahead: usize) -> Option<&Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    pub fn next(&mut self) -> Option<Token<'a>> {
        let token = self.tokens.get(self.at).copied();
        self.at += usize::from(token.is_some());
        token
    }

    /// Whether the next token is this keyword.
    pub fn at_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|t| t.is(word))
    }

    /// Whether it is one of these keywords.
    pub fn at_any(&self, words: &[&str]) -> bool {
        words.iter().any(|w| self.at_word(w))
    }

    pub fn at_symbol(&self, symbol: char) -> bool {
        self.peek().is_some_and(|t| t.is_symbol(symbol))
    }

    /// Takes these keywords if they are next, all of them.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let all = words
            .iter()
            .enumerate()
            .all(|(i, w)| self.peek_at(i).is_some_and(|t| t.is(w)));
        if all {
            self.at += words.len();
        }
        all
    }

    /// Takes one of these keywords if it is next.
    pub fn take_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|w| self.take(&[w]))
    }

    pub fn take_symbol(&mut self, symbol: char) -> bool {
        let is = self.at_symbol(symbol);
        self.at += usize::from(is);
        is
    }

    /// The number of tokens that were read.
    pub fn place(&self) -> usize {
        self.at
    }

    pub fn go_to(&mut self, place: usize) {
        self.at = place;
    }

    /// Where the statement's last two tokens begin, if they are these keywords.
    pub fn last_words(&self, words: [&str; 2]) -> Option<usize> {
        let last = self.tokens.last_chunk::<2>()?;
        let same = last.iter().zip(words).all(|(t, w)| t.is(w));
        same.then(|| last.first().map(|t| t.at))?
    }

    /// A name of one part.
    pub fn ident(&mut self) -> Option<String> {
        let token = self.peek().filter(|t| is_name(t)).copied()?;
        self.at += 1;
        Some(token.name())
    }

    /// `name`, `db.name` or `.name`, without noting it.
    pub fn qualified(&mut self) -> Option<(TableName, usize, usize)> {
        self.qualified_in(self.default_db)
    }

    /// The same, where `default` is the database of a name without one.
    fn qualified_in(&mut self, default: &str) -> Option<(TableName, usize, usize)> {
        let start = self.peek()?.at;
        let (db, table) = if self.take_symbol('.') {
            (None, self.ident()?)
        } else {
            let first = self.ident()?;
            if self.at_symbol('.') && self.peek_at(1).is_some_and(is_name) {
                self.at += 1;
                (Some(first), self.ident()?)
            } else {
                (None, first)
            }
        };
        let end = self.tokens.get(self.at.checked_sub(1)?)?.end();
        let db = db.unwrap_or_else(|| default.to_owned());
        Some((TableName::new(db, table), start, end))
    }

    /// A table's name, noted.
    pub fn table(&mut self) -> Option<TableName> {
        let found = self.qualified()?;
        Some(self.note(RefKind::Table, found))
    }

    fn note(&mut self, kind: RefKind, (name, start, end): (TableName, usize, usize)) -> TableName {
        self.refs.push(Ref {
            kind,
            name: name.clone(),
            start,
            end,
        });
        name
    }

    /// Table names between commas, noted.
    pub fn tables(&mut self) -> Option<Vec<TableName>> {
        let mut out = vec![self.table()?];
        while self.take_symbol(',') {
            out.push(self.table()?);
        }
        Some(out)
    }

    /// A database's name, noted.
    pub fn database(&mut self) -> Option<String> {
        let token = *self.peek()?;
        let db = self.ident()?;
        self.refs.push(Ref {
            kind: RefKind::Database,
            name: TableName::new(db.clone(), ""),
            start: token.at,
            end: token.end(),
        });
        Some(db)
    }

    pub fn if_exists(&mut self) -> bool {
        self.take(&["IF", "EXISTS"])
    }

    pub fn if_not_exists(&mut self) -> bool {
        self.take(&["IF", "NOT", "EXISTS"])
    }

    /// `WAIT n` or `NOWAIT`.
    pub fn wait(&mut self) {
        if self.take(&["WAIT"]) {
            self.next();
        } else {
            self.take(&["NOWAIT"]);
        }
    }

    /// `= user@host`, `= CURRENT_USER()`, behind the word DEFINER.
    pub fn definer(&mut self) {
        self.take_symbol('=');
        self.next();
        if self.take_symbol('(') {
            self.take_symbol(')');
        }
        if self.take_symbol('@') {
            self.next();
        }
    }

    /// Notes the names in what follows a table's name: foreign keys, sequences, partitions, merged tables, and columns
    /// written with their table `own` in front.
    pub fn body(&mut self, own: &TableName) -> Option<()> {
        while let Some(token) = self.peek().copied() {
            if token.kind != TokenKind::Word && token.kind != TokenKind::Name {
                self.at += 1;
                continue;
            }
            if token.kind == TokenKind::Word && self.body_word(own)? {
                continue;
            }
            self.column(own);
        }
        Some(())
    }

    /// Whether a keyword was read that may name a table.
    fn body_word(&mut self, own: &TableName) -> Option<bool> {
        if self.at_word("UNION") {
            self.merged()?;
            return Some(true);
        }
        if self.take(&["REFERENCES"]) {
            // Both servers look for it beside the child, wherever the session is.
            let found = self.qualified_in(&own.db)?;
            self.note(RefKind::Parent, found);
            return Some(true);
        }
        let called =
            self.at_any(&["NEXTVAL", "LASTVAL", "SETVAL"]) && self.peek_at(1).is_some_and(|t| t.is_symbol('('));
        if called {
            self.at += 2;
        }
        let follows = [&["NEXT", "VALUE", "FOR"], &["PREVIOUS", "VALUE", "FOR"]];
        let named = called || follows.iter().any(|words| self.take(*words));
        if named {
            let found = self.qualified()?;
            self.note(RefKind::Sequence, found);
        }
        Some(named)
    }

    /// `UNION = (t1, t2)` of a table that merges others.
    fn merged(&mut self) -> Option<()> {
        self.at += 1;
        self.take_symbol('=');
        let query = |t: &Token<'_>| ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|w| t.is(w));
        if !self.at_symbol('(') || self.peek_at(1).is_none_or(query) {
            return Some(());
        }
        self.at += 1;
        if !self.at_symbol(')') {
            self.tables()?;
        }
        Some(())
    }

    /// `db.table.column` and `table.column`, where it is the statement's own table.
    fn column(&mut self, own: &TableName) {
        let start = self.at;
        let mut parts = Vec::new();
        while let Some(token) = self.peek().filter(|t| is_name(t)).copied() {
            parts.push(token);
            self.at += 1;
            if !(self.at_symbol('.') && self.peek_at(1).is_some_and(is_name)) {
                break;
            }
            self.at += 1;
        }
        if parts.is_empty() {
            self.at = start + 1;
            return;
        }
        let (db, table) = match parts.as_slice() {
            [db, table, _] => (Some(db), table),
            [table, _] => (None, table),
            _ => return,
        };
        let name = TableName::new(db.map_or_else(|| own.db.clone(), Token::name), table.name());
        if name == *own {
            self.refs.push(Ref {
                kind: RefKind::OfColumn,
                name,
                start: db.unwrap_or(table).at,
                end: table.end(),
            });
        }
    }
}

fn is_name(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::Name | TokenKind::Number)
}
