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

/// Whether a terminal may take a character for more than itself: C0, C1, DEL, bidi controls, zero-width and
/// line separators, byte-order mark, tags.
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The known word that `given` was most likely meant to be, if one is close enough to be worth asking.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given: Vec<char> = given.chars().take(64).flat_map(char::to_lowercase).collect();
    let close = given.len().div_ceil(3).min(3);
    let ranked = known.into_iter().map(|word| (distance(&given, word), word));
    let best = ranked.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= close).then_some(best.1)
}

/// Edit distance: insertions, deletions, changes, and swaps of neighbours, one each.
fn distance(given: &[char], word: &str) -> usize {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=word.len()).collect();
    for (row, a) in given.iter().enumerate() {
        let mut this = vec![row + 1];
        for (column, b) in word.iter().enumerate() {
            let at = |line: &[usize], place: usize| line.get(place).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, column) + usize::from(a != b))
                .min(at(&last, column + 1) + 1)
                .min(at(&this, column) + 1);
            let swapped = row > 0 && column > 0 && given.get(row - 1) == Some(b) && word.get(column - 1) == Some(a);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            this.push(best);
        }
        before_last = std::mem::replace(&mut last, this);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{nearest, safe};

    #[test]
    fn the_nearest_word_is_offered_only_when_near() {
        let known = ["path", "name", "storage", "time_zone"];
        for (given, expect) in [
            ("pth", Some("path")),
            ("PAHT", Some("path")),
            ("timezone", Some("time_zone")),
            ("storages", Some("storage")),
            ("hosts", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, known), expect, "{given}");
        }
    }

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
