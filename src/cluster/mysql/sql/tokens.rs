//! The words of a statement by the lexical rules of MySQL and MariaDB.
//!
//! *Invariant: tokens cover the text: one begins where the one before it ends, the first at 0, the last ends at the end.*

use super::Modes;
use crate::cluster::mysql::wire::Flavor;

/// What kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// White space, comments, and the delimiters of comments whose inside is executed.
    Space,
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes.
    Name,
    /// A string.
    Text,
    /// A number.
    Number,
    /// One other character.
    Symbol,
}

/// A token: its kind and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What kind.
    pub kind: TokenKind,
    /// Its text, as it stands there.
    pub text: &'a str,
    /// The offset of its first byte.
    pub at: usize,
}

impl Token<'_> {
    /// The offset behind it.
    pub fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// Whether it is this keyword.
    pub fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this character.
    pub fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol && self.text.starts_with(symbol)
    }

    /// The name that it stands for, without quotes; for strings their content, escapes untouched.
    pub fn name(&self) -> String {
        let Some(quote) = self.text.chars().next() else {
            return String::new();
        };
        if !matches!(self.kind, TokenKind::Name | TokenKind::Text) {
            return self.text.to_owned();
        }
        let inner = self.text.strip_prefix(quote).unwrap_or(self.text);
        let inner = inner.strip_suffix(quote).unwrap_or(inner);
        inner.replace(&format!("{quote}{quote}"), &quote.to_string())
    }
}

/// A statement with other text in place of the tokens from `first` to `last`; `None` when they are not its own.
pub fn replaced(sql: &str, first: &Token<'_>, last: &Token<'_>, text: &str) -> Option<String> {
    Some([sql.get(..first.at)?, text, sql.get(last.end()..)?].concat())
}

/// Whether a statement that makes a program leaves one that is there: `IF NOT EXISTS`.
pub fn only_if_missing(sql: &str, modes: Modes) -> bool {
    let words = words(sql, modes);
    let ends = |t: &Token<'_>| t.is_symbol('(') || ["AS", "ON"].iter().any(|w| t.is(w));
    let end = words.iter().position(ends).unwrap_or(words.len());
    let is_it = |three: &[Token<'_>]| three.iter().zip(["IF", "NOT", "EXISTS"]).all(|(t, word)| t.is(word));
    words.get(..end).unwrap_or_default().windows(3).any(is_it)
}

/// All tokens of a statement, spaces included.
pub fn tokens(sql: &str, modes: Modes) -> Vec<Token<'_>> {
    let mut lexer = Lexer {
        sql,
        modes,
        at: 0,
        executed: 0,
    };
    let mut out = Vec::new();
    while let Some(token) = lexer.next() {
        out.push(token);
    }
    out
}

/// The tokens of a statement without spaces and comments.
pub fn words(sql: &str, modes: Modes) -> Vec<Token<'_>> {
    let mut all = tokens(sql, modes);
    all.retain(|t| t.kind != TokenKind::Space);
    all
}

struct Lexer<'a> {
    sql: &'a str,
    modes: Modes,
    at: usize,
    /// How many comments are open whose inside is executed.
    executed: u32,
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a [u8] {
        self.sql.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.rest();
        let (kind, len) = self.measure(rest, *rest.first()?);
        // Never within a character: all lengths end at ASCII or at the end.
        let end = (self.at + len).min(self.sql.len());
        let text = self.sql.get(self.at..end)?;
        let at = self.at;
        self.at = end;
        Some(Token { kind, text, at })
    }

    fn measure(&mut self, rest: &[u8], first: u8) -> (TokenKind, usize) {
        let run = |test: fn(u8) -> bool| rest.iter().take_while(|b| test(**b)).count();
        match first {
            b if is_space(b) => (TokenKind::Space, run(is_space)),
            b'#' => (TokenKind::Space, line(rest)),
            b'-' if rest.starts_with(b"--") && rest.get(2).is_none_or(|b| is_space(*b) || b.is_ascii_control()) => {
                (TokenKind::Space, line(rest))
            }
            b'/' if rest.starts_with(b"/*") => (TokenKind::Space, self.comment(rest)),
            b'*' if self.executed > 0 && rest.starts_with(b"*/") => {
                self.executed -= 1;
                (TokenKind::Space, 2)
            }
            b'`' => (TokenKind::Name, quoted(rest, b'`', false)),
            b'"' if self.modes.ansi_quotes => (TokenKind::Name, quoted(rest, b'"', false)),
            b'"' | b'\'' => (TokenKind::Text, quoted(rest, first, !self.modes.no_backslash_escapes)),
            b if is_word(b) => {
                let len = run(is_word);
                let digits = rest.iter().take(len).all(u8::is_ascii_digit);
                let kind = if digits { TokenKind::Number } else { TokenKind::Word };
                (kind, len)
            }
            _ => (TokenKind::Symbol, 1),
        }
    }

    /// A comment, or only its beginning when its inside is executed.
    fn comment(&mut self, rest: &[u8]) -> usize {
        let whole = || {
            let end = rest.get(2..).and_then(|r| r.windows(2).position(|w| w == b"*/"));
            end.map_or(rest.len(), |at| at + 4)
        };
        let (open, only_mariadb) = match (rest.get(2), rest.get(3)) {
            (Some(b'!'), _) => (3, false),
            (Some(b'M'), Some(b'!')) => (4, true),
            _ => return whole(),
        };
        let digits = rest
            .iter()
            .skip(open)
            .take(6)
            .take_while(|b| b.is_ascii_digit())
            .count();
        // Fewer than five digits are no version.
        let digits = if digits < 5 { 0 } else { digits };
        let version = rest.get(open..open + digits).unwrap_or_default();
        let version = version.iter().fold(0_u32, |n, b| n * 10 + u32::from(b - b'0'));
        let skipped = match self.modes.flavor {
            Flavor::MySql => only_mariadb || version >= 100_000,
            Flavor::MariaDb => !only_mariadb && (50_700..=50_999).contains(&version),
        };
        if skipped {
            return whole();
        }
        self.executed += 1;
        open + digits
    }
}

fn line(rest: &[u8]) -> usize {
    rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
}

/// The length of something in quotes, whose quote is doubled inside.
fn quoted(rest: &[u8], quote: u8, escapes: bool) -> usize {
    let mut at = 1;
    while let Some(b) = rest.get(at) {
        at += match *b {
            b'\\' if escapes => 2,
            b if b == quote && rest.get(at + 1) == Some(&quote) => 2,
            b if b == quote => return at + 1,
            _ => 1,
        };
        // A backslash before a character of several bytes: its other bytes are ordinary ones.
        while rest.get(at).is_some_and(|b| b & 0xC0 == 0x80) {
            at += 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn maria() -> Modes {
        Modes::of(0, Flavor::MariaDb)
    }

    #[test]
    fn a_condition_stands_before_what_it_is_about() {
        let leaves = |sql: &str| only_if_missing(sql, maria());
        assert!(leaves("CREATE OR REPLACE VIEW IF NOT EXISTS d.v (x) AS select 1"));
        assert!(leaves(
            "create definer=`a`@`b` event if  not /**/ exists e on schedule every 1 day do set @a = 1"
        ));
        assert!(!leaves(
            "CREATE VIEW `if` AS select 1 where if(not exists(select 1), 1, 2) or not exists (select 2)"
        ));
        assert!(!leaves(
            "CREATE FUNCTION f(x int) RETURNS int if not exists (select 1) then return 1; end if"
        ));
    }

    fn significant(sql: &str, modes: Modes) -> Vec<String> {
        let all = tokens(sql, modes);
        let kept = all.iter().filter(|t| t.kind != TokenKind::Space);
        kept.map(|t| t.text.to_owned()).collect()
    }

    #[test]
    fn takes_a_statement_apart() {
        let sql = "SELECT a.`b``c`, 'it''s \\' x', _utf8mb4\"q\", 0x1F, 1.5 -- end\nFROM t # more";
        let got = significant(sql, maria());
        let want = [
            "SELECT",
            "a",
            ".",
            "`b``c`",
            ",",
            "'it''s \\' x'",
            ",",
            "_utf8mb4",
            "\"q\"",
            ",",
            "0x1F",
            ",",
            "1",
            ".",
            "5",
            "FROM",
            "t",
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn comments_are_executed_by_those_they_are_meant_for() {
        let sql = "A /*!50100 B */ /*M!100100 C */ /*!50701 D */ /*!100100 E */ /* F */ G";
        assert_eq!(significant(sql, maria()), ["A", "B", "C", "E", "G"]);
        let mysql = Modes::of(0, Flavor::MySql);
        assert_eq!(significant(sql, mysql), ["A", "B", "D", "G"]);
        assert_eq!(significant("/*! X /* y */ Z */ W", maria()), ["X", "Z", "W"]);
    }

    #[test]
    fn modes_change_what_quotes_mean() {
        let modes = Modes::of(4 | 0x10_0000, Flavor::MySql);
        assert_eq!(significant(r#"'a\' "x""y""#, modes), [r"'a\'", r#""x""y""#]);
        let all = tokens(r#""x""y""#, modes);
        assert_eq!((all[0].kind, all[0].name()), (TokenKind::Name, "x\"y".to_owned()));
    }

    #[test]
    fn two_minuses_need_a_space_behind_them() {
        assert_eq!(significant("1--2", maria()), ["1", "-", "-", "2"]);
        assert_eq!(significant("a -- b", maria()), ["a"]);
    }

    proptest! {
        #[test]
        fn tokens_cover_any_text(
            sql in "([a-z0-9 .,()@='\"`\\\\*/!#\n-]|/\\*!|\\*/|/\\*M!|\u{e4}|50100){0,60}",
            mode in 0u64..8,
            mysql: bool,
        ) {
            let flavor = if mysql { Flavor::MySql } else { Flavor::MariaDb };
            let modes = Modes::of(if mode & 1 == 1 { 0x10_0000 } else { 0 } | mode & 4, flavor);
            let joined: String = tokens(&sql, modes).iter().map(|t| t.text).collect();
            prop_assert_eq!(joined, sql);
        }
    }
}
