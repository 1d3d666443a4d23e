//! Statements in other charsets than UTF-8, as far as they can be read without a server.

/// The text of bytes in the charset of a collation id; `None` when it is one that is not known here and the bytes are not
/// plain ASCII.
pub(super) fn decode(bytes: &[u8], collation: u16) -> Option<String> {
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
    matches!(collation, 5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 | 1032 | 1071)
}

/// Collations of charsets whose non-ASCII bytes mean something else than UTF-8.
fn is_multibyte(collation: u16) -> bool {
    let utf8mb3 = matches!(collation, 33 | 76 | 83 | 192..=215 | 223 | 576..=578);
    let utf8mb4 = matches!(collation, 45 | 46 | 224..=247 | 255..=323 | 608..=610);
    let binary = collation == 63;
    // MariaDB's newer numbers: everything from 1024 to 2303 is a utf8 variant with NO PAD or UCA 14.
    let newer = collation >= 1024;
    !(utf8mb3 || utf8mb4 || binary || newer)
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
    fn reads_what_it_can_and_says_when_not() {
        assert_eq!(decode(b"abc", 28).as_deref(), Some("abc"));
        assert_eq!(
            decode("\u{e4}\u{20ac}".as_bytes(), 45).as_deref(),
            Some("\u{e4}\u{20ac}")
        );
        assert_eq!(decode(b"\xE4\x80", 8).as_deref(), Some("\u{e4}\u{20ac}"));
        assert_eq!(decode("\u{e4}".as_bytes(), 28), None, "gbk");
        assert_eq!(decode(b"\xE4", 45), None);
    }
}
