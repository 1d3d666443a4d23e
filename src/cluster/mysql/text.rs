//! Quoting of names and strings, and reading statements that hold raw bytes.

/// A name in backticks.
pub fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table's full name in backticks.
pub fn table(db: &str, table: &str) -> String {
    format!("{}.{}", ident(db), ident(table))
}

/// A string literal, for sessions whose sql_mode lets the backslash escape (as [`super::login`] sets it).
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Bytes in hex digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{b:02x}");
    }
    out
}

/// Bytes of hex digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// A statement as text. The server shows the default of a binary column as its bytes, which need not be UTF-8: such a string
/// literal becomes a hex literal of the same bytes.
pub fn statement(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let end = match first {
            b'\'' | b'`' | b'"' => quoted_end(rest, first),
            _ => rest
                .iter()
                .position(|b| matches!(b, b'\'' | b'`' | b'"'))
                .unwrap_or(rest.len()),
        };
        let (piece, tail) = rest.split_at(end);
        match std::str::from_utf8(piece) {
            Ok(text) => out.push_str(text),
            Err(_) if first == b'\'' => {
                out.push_str("x'");
                out.push_str(&hex(&unescape(piece)));
                out.push('\'');
            }
            Err(_) => out.push_str(&String::from_utf8_lossy(piece)),
        }
        rest = tail;
    }
    out
}

/// Where a quoted piece ends: behind its closing quote.
pub fn quoted_end(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&b) = bytes.get(at) {
        if b == b'\\' && quote != b'`' {
            at += 2;
        } else if b != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

/// The bytes of a literal in single quotes.
pub fn unescape(literal: &[u8]) -> Vec<u8> {
    let inner = literal.strip_prefix(b"'").unwrap_or(literal);
    let inner = inner.strip_suffix(b"'").unwrap_or(inner);
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(b) = bytes.next() {
        match b {
            b'\\' => out.push(match bytes.next() {
                Some(b'0') => 0,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'b') => 8,
                Some(b'Z') => 26,
                Some(other) => other,
                None => b'\\',
            }),
            b'\'' => {
                bytes.next_if_eq(&b'\'');
                out.push(b'\'');
            }
            b => out.push(b),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_strings_are_quoted() {
        assert_eq!(table("a.b", "c`d"), "`a.b`.`c``d`");
        assert_eq!(string("it's \\ \0"), "'it''s \\\\ \\0'");
        assert_eq!(unhex(&hex(&[0, 255, 16])), Some(vec![0, 255, 16]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
    }

    #[test]
    fn raw_defaults_become_hex() {
        let shown = b"CREATE TABLE `b'\xc3\xbc` (\n  `b` binary(4) DEFAULT '\xff''\\0\\\\',\n  `c` text DEFAULT 'it''s \xc3\xa9' COMMENT 'x')";
        let text = statement(shown);
        assert_eq!(
            text,
            "CREATE TABLE `b'ü` (\n  `b` binary(4) DEFAULT x'ff27005c',\n  `c` text DEFAULT 'it''s é' COMMENT 'x')"
        );
        assert_eq!(statement("plain 'é'".as_bytes()), "plain 'é'");
    }
}
