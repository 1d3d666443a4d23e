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

/// So long a command line that does the same as a job may be: terminals take not much more for the clipboard.
pub const MAX_COMMAND: usize = 64_000;

/// A command line to be shown and copied: all of it, for a part would do something else, or a line that says why not.
pub fn command(line: &str) -> String {
    let long = line.chars().count();
    match long > MAX_COMMAND {
        true => format!(
            "# not shown: it has {long} characters; choose the tables anew with fewer rules (--filter 'db.*', --filter '!db.t')"
        ),
        false => safe(line, MAX_COMMAND),
    }
}

/// A word as a shell takes it, whatever is in it.
pub fn shell_word(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
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

/// What stands where a secret stood.
const HIDDEN: &str = "***";

/// Words whose value is a secret, in lower case with `-` as `_`.
const SECRET_WORDS: [&str; 14] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "secret_key",
    "secret_access_key",
    "access_key_secret",
    "api_key",
    "token",
    "session_token",
    "private_key",
    "sig",
    "signature",
];

/// Whether a word names a secret: `password`, `--token`, `X-Amz-Signature`, `AWS_SECRET_ACCESS_KEY`.
pub fn names_secret(word: &str) -> bool {
    let word = word.trim_start_matches('-').to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|w| {
        word.strip_suffix(w)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    })
}

/// Hides what looks like a secret: the password in a URL, `password=...`, `token: ...`, `--password ...`.
///
/// A net under the rule that secrets are never put into texts, not a leave to do so.
pub fn redact(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    let mut next = Next::Anything;
    while !rest.is_empty() {
        let gap = take_while(&mut rest, is_gap);
        out.push_str(gap);
        if gap.contains([',', ';', '&']) {
            next = Next::Anything;
        }
        let quote = gap.chars().next_back().filter(|c| matches!(c, '"' | '\''));
        if let (Next::Secret, Some(quote)) = (next, quote) {
            take_while(&mut rest, |c| c != quote);
            out.push_str(HIDDEN);
            next = Next::Anything;
            continue;
        }
        let word = take_while(&mut rest, |c| !is_gap(c));
        let (shown, then) = redact_next(word, next);
        out.push_str(&shown);
        next = then;
    }
    out
}

/// What the next word may be.
#[derive(Clone, Copy)]
enum Next {
    Anything,
    /// After a word that names a secret: an equals sign or colon would make it one.
    Assignment,
    Secret,
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, '&' | ';' | ',' | '"' | '\'' | '{' | '}' | '(' | ')')
}

/// Splits off the longest start whose characters are all wanted.
fn take_while<'a>(rest: &mut &'a str, wanted: impl Fn(char) -> bool) -> &'a str {
    let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    let (start, tail) = rest.split_at(end);
    *rest = tail;
    start
}

fn redact_next(word: &str, next: Next) -> (String, Next) {
    if word.is_empty() {
        return (String::new(), next);
    }
    match (next, word.strip_prefix(['=', ':'])) {
        (Next::Secret, _) => return (HIDDEN.to_owned(), Next::Anything),
        (Next::Assignment, Some("")) => return (word.to_owned(), Next::Secret),
        (Next::Assignment, Some(value)) => {
            let sign = word.strip_suffix(value).unwrap_or_default();
            return (format!("{sign}{HIDDEN}"), Next::Anything);
        }
        _ => {}
    }
    let (shown, wants_value) = redact_word(word);
    let then = match wants_value {
        true => Next::Secret,
        false if names_secret(word) => Next::Assignment,
        false => Next::Anything,
    };
    (shown, then)
}

/// One word, and whether the next word is the secret.
fn redact_word(word: &str) -> (String, bool) {
    if let Some((before, after)) = word.split_once("://") {
        return (format!("{}://{}", before, redact_authority(after)), false);
    }
    if let Some(at) = word.find(['=', ':'])
        && let (Some(name), Some(value)) = (word.get(..at), word.get(at + 1..))
        && names_secret(name.rsplit(['?', '[']).next().unwrap_or(name))
    {
        let mark = word.get(..=at).unwrap_or(name);
        return if value.is_empty() {
            (word.to_owned(), true)
        } else {
            (format!("{mark}{HIDDEN}"), false)
        };
    }
    (word.to_owned(), word.starts_with("--") && names_secret(word))
}

/// What follows `://`: the password before the `@`, and secrets in the query.
fn redact_authority(rest: &str) -> String {
    // The last `@` before the path: a password may itself hold an unescaped `@`.
    let path = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(path);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{HIDDEN}@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    match tail.split_once('?') {
        Some((path, query)) => format!("{authority}{path}?{}", redact_word(query).0),
        None => format!("{authority}{tail}"),
    }
}

/// [`redact`] for JSON: strings, and the values of fields that name a secret.
pub fn redact_json(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(s) => *s = redact(s),
        Value::Array(items) => items.iter_mut().for_each(redact_json),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match field {
                    Value::String(s) if names_secret(name) => HIDDEN.clone_into(s),
                    other => redact_json(other),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_COMMAND, command, nearest, redact, redact_json, safe, shell_word};

    #[test]
    fn a_command_line_is_never_cut() {
        let long = format!("brine restore db {}--latest", "--filter 'shop.*' ".repeat(300));
        assert_eq!(command(&long), long);
        let told = command(&"x".repeat(MAX_COMMAND + 1));
        assert!(told.starts_with("# not shown: it has 64001 characters"), "{told}");
        assert_eq!(command("brine \u{1b}[2J"), "brine ?[2J");
        assert_eq!(shell_word("it's a.*"), "'it'\\''s a.*'");
    }

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

    #[test]
    fn secrets_are_hidden() {
        for (given, shown) in [
            ("mysql://root:hunter2@db:3306/x", "mysql://root:***@db:3306/x"),
            ("see s3://k:hun/ter2", "see s3://k:hun/ter2"),
            (
                "at https://u:a@hunter2@h/p?x=1&sig=hunter2 now",
                "at https://u:***@h/p?x=1&sig=*** now",
            ),
            ("https://h/p?token=hunter2", "https://h/p?token=***"),
            ("password=hunter2 user=root", "password=*** user=root"),
            ("password = \"hunter2\"", "password = \"***\""),
            ("Password: hunter2", "Password: ***"),
            (
                "identified with 'secret': 'hunter2 is hunter2', user x",
                "identified with 'secret': '***', user x",
            ),
            ("password=\"hunter2 and", "password=\"***"),
            ("password : hunter2", "password : ***"),
            ("Config { password: hunter2, n: 1 }", "Config { password: ***, n: 1 }"),
            ("brine x --password hunter2 --note n", "brine x --password *** --note n"),
            ("--aws-secret-access-key=hunter2", "--aws-secret-access-key=***"),
            ("X-Amz-Signature=hunter2", "X-Amz-Signature=***"),
            ("{\"password\":\"hunter2\"}", "{\"password\":\"***\"}"),
        ] {
            assert_eq!(redact(given), shown);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "",
            "brine backup create shop --filter 'app.*' --note 'before v2: go'",
            "file:///var/backups/brine",
            "mysql://root@db/x",
            "table app.tokens has 3 rows; token ring",
            "two  spaces\tand tabs",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn secret_fields_of_json_are_hidden() {
        let mut plan = serde_json::json!({
            "target": {"password": "hunter2", "url": "mysql://a:hunter2@h/", "token": {"rows": 3}},
            "tables": ["app.passwords"], "rows": 7,
        });
        redact_json(&mut plan);
        assert!(!plan.to_string().contains("hunter2"), "{plan}");
        assert_eq!(plan["target"]["token"]["rows"], 3);
        assert_eq!(plan["tables"][0], "app.passwords");
    }
}
