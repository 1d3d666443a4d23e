//! Statements in other charsets than UTF-8: latin1 is read here, all else needs a server.

use crate::cluster::mysql::text::hex;
use crate::cluster::mysql::wire::{Conn, WireError};

/// The text of bytes in the charset of a collation id; `None` when it is one that is not known here and the bytes are not
/// plain ASCII.
pub(super) fn decode(bytes: &[u8], collation: u16) -> Option<String> {
    // Of swe7 some bytes that are signs elsewhere are letters.
    let is_swe7 = matches!(padded(collation), 10 | 82);
    let letters = |b: &u8| matches!(b, b'@' | b'['..=b'^' | b'`' | b'{'..=b'~');
    if is_swe7 && bytes.iter().any(letters) {
        return None;
    }
    if bytes.is_ascii() {
        return Some(String::from_utf8_lossy(bytes).into_owned());
    }
    if is_latin1(collation) {
        return Some(bytes.iter().map(|b| cp1252(*b)).collect());
    }
    // Everything else that can be told apart is UTF-8 if it is valid as such: a multi-byte charset that happens to be
    // valid UTF-8 too is caught by its id.
    if is_multibyte(collation) {
        return None;
    }
    String::from_utf8(bytes.to_vec()).ok()
}

fn is_latin1(collation: u16) -> bool {
    matches!(padded(collation), 5 | 8 | 15 | 31 | 47 | 48 | 49 | 94)
}

/// Collations of charsets whose non-ASCII bytes mean something else than UTF-8.
fn is_multibyte(collation: u16) -> bool {
    let collation = padded(collation);
    let utf8mb3 = matches!(collation, 33 | 76 | 83 | 192..=215 | 223 | 576..=578);
    let utf8mb4 = matches!(collation, 45 | 46 | 224..=247 | 255..=323 | 608..=610);
    let binary = collation == 63;
    // MariaDB's newer numbers: UCA 14, of which only the utf8 ones can be those of a client.
    let newer = collation >= 2048;
    !(utf8mb3 || utf8mb4 || binary || newer)
}

/// The number of a collation without NO PAD, which MariaDB numbers from 1024 on.
fn padded(collation: u16) -> u16 {
    match collation {
        1024..2048 => collation - 1024,
        _ => collation,
    }
}

/// The text as far as it can be read without a server: its words are found, and letters that are not known are shown by a mark.
/// In some charsets a backslash or a quote may be the second half of a letter.
pub(super) fn marked(bytes: &[u8], collation: u16) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        let len = letter(rest, collation);
        match first.is_ascii() {
            true => out.push(char::from(*first)),
            false => out.push(char::REPLACEMENT_CHARACTER),
        }
        rest = rest.get(len..).unwrap_or_default();
    }
    out
}

/// How many bytes the first letter has.
fn letter(bytes: &[u8], collation: u16) -> usize {
    let (Some(first), second) = (bytes.first(), bytes.get(1).copied().unwrap_or_default()) else {
        return 0;
    };
    let kana = matches!(first, 0xA1..=0xDF);
    let goes_on = match padded(collation) {
        // big5, gbk, gb18030: some second halves are ASCII.
        1 | 84 | 28 | 87 => matches!(second, 0x40..=0x7E | 0x80..=0xFE),
        248..=250 => match second {
            0x30..=0x39 if *first >= 0x81 => return bytes.len().min(4),
            _ => matches!(second, 0x40..=0x7E | 0x80..=0xFE),
        },
        // sjis and cp932, whose half kana are one byte.
        13 | 88 | 95 | 96 => !kana && matches!(second, 0x40..=0x7E | 0x80..=0xFC),
        _ => false,
    };
    match *first >= 0x81 && goes_on {
        true => 2,
        false => 1,
    }
}

/// The same read by a server; `None` when it does not know the charset, or when the text would not come back as the same bytes.
pub(super) fn by_server(conn: &mut Conn, bytes: &[u8], collation: u16) -> Result<Option<String>, WireError> {
    let named = conn.row(&format!(
        "SELECT character_set_name FROM information_schema.collations WHERE id = {collation}"
    ))?;
    let is_name = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric());
    let Some(charset) = named.and_then(|row| row.opt(0)).filter(is_name) else {
        return Ok(None);
    };
    let given = hex(bytes);
    let text = format!("CONVERT(_{charset} x'{given}' USING utf8mb4)");
    let row = match conn.row(&format!("SELECT {text}, LOWER(HEX(CONVERT({text} USING {charset})))")) {
        Ok(row) => row,
        Err(WireError::Server { .. }) => return Ok(None),
        Err(e) => return Err(e),
    };
    let Some(row) = row.filter(|row| row.text(1) == given) else {
        return Ok(None);
    };
    Ok(row.bytes(0).and_then(|text| String::from_utf8(text.to_vec()).ok()))
}

/// MySQL's latin1 is cp1252 with the five holes as they are.
fn cp1252(byte: u8) -> char {
    const HIGH: [u16; 32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x9D, 0x017E, 0x0178,
    ];
    let code = match byte {
        0x80..=0x9F => HIGH.get(usize::from(byte) - 0x80).copied().unwrap_or_default(),
        _ => byte.into(),
    };
    char::from_u32(code.into()).unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_letters_are_no_backslashes() {
        // A letter whose second half is a backslash, in front of the closing quote.
        assert_eq!(marked(b"a '\xBF\\' b", 28), "a '\u{fffd}' b");
        assert_eq!(
            marked(b"a '\x95\\' \xB1\\", 13),
            "a '\u{fffd}' \u{fffd}\\",
            "a kana is one byte"
        );
        assert_eq!(marked(b"`\x81\x30\x81\x30`", 248), "`\u{fffd}`");
        assert_eq!(marked(b"'\xE4\\'", 51), "'\u{fffd}\\'", "cp1251 has one byte a letter");
        assert_eq!(marked(b"\xBF", 28), "\u{fffd}");
        assert_eq!(
            decode(&[0xC4, 0x85], 28 + 1024),
            None,
            "gbk without padding is not UTF-8"
        );
    }

    #[test]
    fn reads_what_it_can_and_says_when_not() {
        assert_eq!(decode(b"abc", 28).as_deref(), Some("abc"));
        assert_eq!(
            decode("\u{e4}\u{20ac}".as_bytes(), 45).as_deref(),
            Some("\u{e4}\u{20ac}")
        );
        assert_eq!(decode(b"\xE4\x80", 8).as_deref(), Some("\u{e4}\u{20ac}"));
        assert_eq!(decode("\u{e4}".as_bytes(), 28), None, "gbk");
        assert_eq!(
            (decode(b"a b", 10).as_deref(), decode(b"a [", 10)),
            (Some("a b"), None),
            "swe7"
        );
        assert_eq!(decode(b"\xE4", 45), None);
    }
}
