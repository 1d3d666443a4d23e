//! Keys: how they are written, and which command they mean where.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::commands::{COMMANDS, Cmd, Command, Scope};

/// A key with its modifiers. Shift is part of the character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The key.
    pub code: KeyCode,
    /// With Ctrl.
    pub ctrl: bool,
    /// With Alt.
    pub alt: bool,
}

impl From<KeyEvent> for Key {
    fn from(e: KeyEvent) -> Key {
        let shift = e.modifiers.contains(KeyModifiers::SHIFT);
        let code = match e.code {
            KeyCode::Tab if shift => KeyCode::BackTab,
            KeyCode::Char(c) if shift && c.is_ascii_lowercase() => KeyCode::Char(c.to_ascii_uppercase()),
            code => code,
        };
        Key {
            code,
            ctrl: e.modifiers.contains(KeyModifiers::CONTROL),
            alt: e.modifiers.contains(KeyModifiers::ALT),
        }
    }
}

/// The names of keys that are no characters.
const NAMES: [(&str, KeyCode); 16] = [
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("S-Tab", KeyCode::BackTab),
    ("Space", KeyCode::Char(' ')),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("Backspace", KeyCode::Backspace),
    ("Del", KeyCode::Delete),
    ("F1", KeyCode::F(1)),
];

/// Text that is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a key: write one character, or one of Enter, Esc, Tab, Space, Up, Down, PgUp, Home, F1, with Ctrl- before it if wanted"
)]
pub struct BadKey(pub String);

impl std::str::FromStr for Key {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Key, BadKey> {
        let bad = || BadKey(crate::model::text::safe(text, 40));
        let lower = text.to_ascii_lowercase();
        let (ctrl, rest) = match lower.strip_prefix("ctrl-") {
            Some(rest) if !rest.is_empty() => (true, rest),
            _ => (false, text),
        };
        let named = NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(rest))
            .map(|(_, code)| *code);
        let mut chars = rest.chars();
        let code = match (named, chars.next(), chars.next()) {
            (Some(code), _, _) => code,
            (None, Some(c), None) if !c.is_control() => KeyCode::Char(c),
            _ => return Err(bad()),
        };
        Ok(Key { code, ctrl, alt: false })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        if let Some((name, _)) = NAMES.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// The `[keys]` table of the config is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// No such command.
    #[error(
        "[keys] there is no command `{}`{}; `brine keys` lists them",
        crate::model::text::safe(id, 60),
        meant(id)
    )]
    UnknownCommand {
        /// As it was written.
        id: String,
    },
    /// Not a key.
    #[error("[keys] \"{id}\": {source}")]
    Key {
        /// The command.
        id: String,
        /// Why.
        source: BadKey,
    },
    /// Two commands on one key in one place.
    #[error("[keys] {key} means both \"{one}\" and \"{other}\"; give one of them another key")]
    Conflict {
        /// The key.
        key: String,
        /// A command
        one: &'static str,
        /// and the other.
        other: &'static str,
    },
}

/// The command that was probably meant.
fn meant(id: &str) -> String {
    let known = COMMANDS.iter().map(|c| c.id);
    let near = crate::model::text::nearest(id, known);
    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

impl BadKeys {
    /// The lines of the config that it is about, the likeliest first.
    pub fn ids(&self) -> Vec<&str> {
        match self {
            BadKeys::UnknownCommand { id } | BadKeys::Key { id, .. } => vec![id],
            BadKeys::Conflict { one, other, .. } => vec![other, one],
        }
    }
}

/// Which keys mean which command.
#[derive(Clone, Debug)]
pub struct Keymap {
    bindings: Vec<(Key, &'static Command)>,
    /// Keys as they were written, for showing.
    shown: Vec<(Cmd, Vec<String>)>,
}

impl Keymap {
    /// The command table's own keys, with the operator's instead where given.
    pub fn new(overrides: &[(String, Vec<String>)]) -> Result<Keymap, BadKeys> {
        let (map, problems) = Keymap::build(overrides);
        problems.into_iter().next().map_or(Ok(map), Err)
    }

    /// Everything that is wrong with an operator's keys.
    pub fn problems(overrides: &[(String, Vec<String>)]) -> Vec<BadKeys> {
        Keymap::build(overrides).1
    }

    fn build(overrides: &[(String, Vec<String>)]) -> (Keymap, Vec<BadKeys>) {
        let unknown = overrides.iter().filter(|(id, _)| !COMMANDS.iter().any(|c| c.id == id));
        let mut problems: Vec<BadKeys> = unknown
            .map(|(id, _)| BadKeys::UnknownCommand { id: id.clone() })
            .collect();
        let mut map = Keymap {
            bindings: Vec::new(),
            shown: Vec::new(),
        };
        for command in COMMANDS {
            let own = || command.keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
            let given = overrides.iter().find(|(id, _)| command.id == id);
            let texts = given.map_or_else(own, |(_, keys)| keys.clone());
            for text in &texts {
                let key = text.parse().map_err(|source| BadKeys::Key {
                    id: command.id.to_owned(),
                    source,
                });
                problems.extend(key.and_then(|key| map.bind(key, command)).err());
            }
            map.shown.push((command.cmd, texts));
        }
        (map, problems)
    }

    fn bind(&mut self, key: Key, command: &'static Command) -> Result<(), BadKeys> {
        let clash = |c: &Command| c.scopes.iter().any(|s| command.scopes.contains(s));
        if let Some((_, other)) = self.bindings.iter().find(|(k, c)| *k == key && clash(c)) {
            return Err(BadKeys::Conflict {
                key: key.to_string(),
                one: other.id,
                other: command.id,
            });
        }
        self.bindings.push((key, command));
        Ok(())
    }

    /// The command of a key in a scope; a screen's own commands go before those of every screen.
    pub fn find(&self, key: Key, scope: Scope) -> Option<&'static Command> {
        let in_scope = |wanted: Scope| {
            let hit = self
                .bindings
                .iter()
                .find(|(k, c)| *k == key && c.scopes.contains(&wanted));
            hit.map(|(_, c)| *c)
        };
        in_scope(scope)
            .or_else(|| scope.is_list().then(|| in_scope(Scope::List)).flatten())
            .or_else(|| in_scope(Scope::Everywhere))
    }

    /// Every command that a key means anywhere, in the table's order.
    pub fn all(&self, key: Key) -> Vec<&'static Command> {
        let hits = self.bindings.iter().filter(|(k, _)| *k == key);
        hits.map(|(_, c)| *c).collect()
    }

    /// The keys of a command as they were written.
    pub fn keys_of(&self, cmd: Cmd) -> &[String] {
        let found = self.shown.iter().find(|(c, _)| *c == cmd);
        found.map_or(&[], |(_, keys)| keys.as_slice())
    }

    /// The first key of a command, for hints.
    pub fn hint(&self, cmd: Cmd) -> &str {
        self.keys_of(cmd).first().map_or("", String::as_str)
    }
}

/// One line of `brine keys` and of the README's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLine<'a> {
    /// The command's id, as `[keys]` in the config names it.
    pub id: &'static str,
    /// Its keys.
    pub keys: &'a [String],
    /// Where it is offered, in words.
    pub place: &'static str,
    /// What it does.
    pub help: &'static str,
}

impl Keymap {
    /// The command table for people: what `brine keys` prints.
    pub fn table(&self) -> Vec<KeyLine<'_>> {
        COMMANDS
            .iter()
            .map(|c| KeyLine {
                id: c.id,
                keys: self.keys_of(c.cmd),
                place: c.scopes.first().map_or("", |s| s.words()),
                help: c.help,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_they_are_read() {
        for text in ["B", "Ctrl-d", "Enter", "Space", "S-Tab", "F1", "?", "-", "PgDn"] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
        assert_eq!("ctrl-D".parse::<Key>().unwrap().to_string(), "Ctrl-d");
        for bad in ["", "Ctrl-", "AB", "F99"] {
            assert!(bad.parse::<Key>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_table_has_no_conflicts_and_config_errors_are_found() {
        Keymap::new(&[]).unwrap();
        let with = |id: &str, key: &str| Keymap::new(&[(id.to_owned(), vec![key.to_owned()])]);
        assert!(with("backup.now", "b").is_ok());
        let unknown = with("backup.no", "b").unwrap_err();
        assert!(unknown.to_string().contains("did you mean `backup.now`?"), "{unknown}");
        assert!(matches!(with("backup.now", "bb"), Err(BadKeys::Key { .. })));
        assert!(matches!(with("backup.now", "E"), Err(BadKeys::Conflict { .. })));
    }

    #[test]
    fn a_rebound_command_is_shown_with_its_new_key() {
        let map = Keymap::new(&[("backup.now".to_owned(), vec!["ctrl-b".to_owned()])]).unwrap();
        assert_eq!(map.hint(Cmd::BackupNow), "ctrl-b");
        let key = "Ctrl-b".parse().unwrap();
        assert_eq!(map.find(key, Scope::Backup).map(|c| c.cmd), Some(Cmd::BackupNow));
        assert!(map.find("B".parse().unwrap(), Scope::Backup).is_none());
        let line = map.table().into_iter().find(|l| l.id == "backup.now").unwrap();
        assert_eq!(line.keys, ["ctrl-b"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_no_keys_are_allowed() {
        let keys = |list: &[(&str, &[&str])]| -> Vec<(String, Vec<String>)> {
            let owned = |(id, keys): &(&str, &[&str])| (id.to_string(), keys.iter().map(|k| k.to_string()).collect());
            list.iter().map(owned).collect()
        };
        let bad = Keymap::problems(&keys(&[
            ("nobody", &["x"]),
            ("backup.now", &["E", "bb"]),
            ("help", &["q"]),
        ]));
        let ids: Vec<Vec<&str>> = bad.iter().map(BadKeys::ids).collect();
        assert_eq!(
            ids,
            [
                vec!["nobody"],
                vec!["backup.now"],
                vec!["backup.settings", "backup.now"],
                vec!["quit", "help"]
            ]
        );
        // Two that change places do not clash.
        assert!(Keymap::problems(&keys(&[("backup.now", &["E"]), ("backup.settings", &["B"])])).is_empty());
        let none = Keymap::new(&keys(&[("themes", &[])])).unwrap();
        assert_eq!(none.hint(Cmd::Themes), "");
    }
}
