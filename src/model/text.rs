//! Text from outside, made safe to show.

/// Strips control, escape and direction-changing characters and shortens to `max` characters.
///
/// Everything foreign (table names, error texts, object names) passes through here before it reaches
/// a terminal or a log, so that a hostile name cannot inject escape sequences.
pub fn safe(s: &str, max: usize) -> String {
    let mut out = String::with_capacity(s.len().min(max));
    let mut chars = s.chars();
    out.extend(chars.by_ref().take(max).map(|c| if is_hostile(c) { '?' } else { c }));
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// C0, C1, DEL, bidi controls, zero-width and line separators, byte-order mark, tags.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn no_escape_survives() {
        let s = safe("\x1b]52;c;aGk=\x07a\u{202e}b\u{9b}c\nd", 100);
        assert_eq!(s, "?]52;c;aGk=?a?b?c?d");
    }

    #[test]
    fn shortens_by_characters() {
        assert_eq!(safe("äöüß", 2), "äö…");
    }
}
