//! Whether the terminal's ground is light: the terminal is asked, and its answer is picked out of what is typed.
//!
//! It is asked behind the first picture and nothing waits for the answer; a terminal that does not know the question stays
//! silent, and the console stays as it is. The answer comes in as keys, because the reader of events knows no other name for
//! it: `Alt-]`, `11;rgb:ffff/ffff/ffff`, and an end.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The question for the ground's colour.
pub const QUESTION: &str = "\x1b]11;?\x1b\\";
/// An answer is no longer than this.
const LONGEST: usize = 40;

/// What a key was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A key.
    Key,
    /// A part of the answer.
    Part,
    /// The end of the answer: whether the ground is light.
    Ground(bool),
}

/// Listens for one answer.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// Whether an answer may come.
    awaited: bool,
    /// What came of it.
    text: Option<String>,
}

impl Listener {
    /// The question was asked.
    pub fn asked(&mut self) {
        (self.awaited, self.text) = (true, None);
    }

    /// Takes a key.
    pub fn take(&mut self, key: &KeyEvent) -> Heard {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let Some(text) = &mut self.text else {
            if self.awaited && alt && key.code == KeyCode::Char(']') {
                self.text = Some(String::new());
                return Heard::Part;
            }
            return Heard::Key;
        };
        let bell = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('g');
        if bell || alt && key.code == KeyCode::Char('\\') {
            let light = is_light(text);
            *self = Listener::default();
            return light.map_or(Heard::Part, Heard::Ground);
        }
        match key.code {
            KeyCode::Char(c) if key.modifiers.difference(KeyModifiers::SHIFT).is_empty() && fits(text, c) => {
                text.push(c);
                Heard::Part
            }
            // It was no answer.
            _ => {
                *self = Listener::default();
                Heard::Key
            }
        }
    }
}

/// Whether a character may follow in an answer.
fn fits(text: &str, c: char) -> bool {
    const HEAD: &str = "11;rgb";
    match HEAD.chars().nth(text.len()) {
        Some(wanted) => c == wanted,
        None => text.len() < LONGEST && (c.is_ascii_hexdigit() || matches!(c, ':' | '/')),
    }
}

/// Whether a colour such as `11;rgb:ffff/ffff/ffff` is light; nothing when it is no colour.
fn is_light(text: &str) -> Option<bool> {
    let (_, colour) = text.split_once(':')?;
    let parts: Vec<f64> = colour.split('/').filter_map(part).collect();
    let [red, green, blue, ..] = *parts.as_slice() else {
        return None;
    };
    // How bright eyes see it.
    Some(0.299 * red + 0.587 * green + 0.114 * blue > 0.5)
}

/// A part of a colour, of one to four digits, between 0 and 1.
fn part(digits: &str) -> Option<f64> {
    let value = u32::from_str_radix(digits, 16).ok()?;
    let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)?.checked_sub(1)?;
    (most > 0).then(|| f64::from(value) / f64::from(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(c: char, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(c), modifiers)
    }

    fn hear(listener: &mut Listener, text: &str, end: KeyEvent) -> Vec<Heard> {
        let plain = text.chars().map(|c| key(c, KeyModifiers::NONE));
        let keys = std::iter::once(key(']', KeyModifiers::ALT)).chain(plain).chain([end]);
        keys.map(|k| listener.take(&k)).collect()
    }

    #[test]
    fn an_answer_is_heard_once_and_only_when_it_was_asked_for() {
        let bell = key('g', KeyModifiers::CONTROL);
        let end = key('\\', KeyModifiers::ALT);
        for (text, end, light) in [
            ("11;rgb:ffff/ffff/ffff", bell, true),
            ("11;rgb:f4/f6/f8", end, true),
            ("11;rgb:0000/0000/0000", end, false),
            ("11;rgb:1d1d/1f1f/2121", bell, false),
        ] {
            let mut listener = Listener::default();
            listener.asked();
            let heard = hear(&mut listener, text, end);
            assert_eq!(heard.last(), Some(&Heard::Ground(light)), "{text}");
            assert!(heard.iter().rev().skip(1).all(|h| *h == Heard::Part), "{text}");
            assert_eq!(listener.take(&key(']', KeyModifiers::ALT)), Heard::Key, "once");
        }
        let mut listener = Listener::default();
        assert!(
            hear(&mut listener, "11;rgb:ffff/ffff/ffff", bell)
                .iter()
                .all(|h| *h == Heard::Key)
        );
    }

    #[test]
    fn what_is_typed_stays_what_was_typed() {
        let mut listener = Listener::default();
        listener.asked();
        for c in "jjR/x".chars() {
            assert_eq!(listener.take(&key(c, KeyModifiers::NONE)), Heard::Key);
        }
        // Somebody really pressed Alt-].
        assert_eq!(listener.take(&key(']', KeyModifiers::ALT)), Heard::Part);
        assert_eq!(listener.take(&key('j', KeyModifiers::NONE)), Heard::Key);
        assert_eq!(listener.take(&key('1', KeyModifiers::NONE)), Heard::Key);
    }

    #[test]
    fn what_is_no_colour_is_no_ground() {
        for text in [
            "11;rgb:",
            "11;rgb:ff/ff",
            "11;rgb:zz/ff/ff",
            "11;rgb:fffffffff/0/0",
            "11",
        ] {
            assert_eq!(is_light(text), None, "{text}");
        }
    }
}
