//! What goes to the terminal: results on stdout, errors on stderr.
//!
//! Results are lines or one JSON document. Errors say what failed, why, and what to do next. All text passes
//! [`safe`] line by line, and JSON is escaped, so that a hostile table or file name cannot write escape
//! sequences; errors and notes also pass [`redact`], a net under the rule that no secret is put into a text.
//! A reader that goes away (`| head`) ends the output, not the command.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::model::text::{MAX_COMMAND, is_hostile, redact, safe};
use crate::service::desk::Refusal;

/// The longest line of a result; foreign text is cut there, and a command line is not.
const MAX_RESULT: usize = MAX_COMMAND + 100;

/// The longest line of an error.
const MAX_LINE: usize = 4000;

/// The longest line of progress: a line that wraps cannot be rewritten.
const MAX_PASSING: usize = 78;

/// Where results and errors go.
pub struct Output<O, E> {
    out: O,
    err: E,
    json: bool,
    quiet: bool,
}

impl Output<io::Stdout, io::Stderr> {
    /// The process's own streams.
    pub fn std(json: bool, quiet: bool) -> Self {
        Output::new(io::stdout(), io::stderr(), json, quiet)
    }
}

impl<O: Write, E: Write> Output<O, E> {
    /// Other streams, for tests.
    pub fn new(out: O, err: E, json: bool, quiet: bool) -> Self {
        Output { out, err, json, quiet }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A result: the value as JSON, or else the lines.
    pub fn result<T: Serialize>(&mut self, value: &T, lines: impl FnOnce(&T) -> Vec<String>) -> io::Result<()> {
        if self.json {
            self.document(value)
        } else {
            self.lines(&lines(value))
        }
    }

    /// One JSON document.
    pub fn document<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let text = escaped(&serde_json::to_string_pretty(value).map_err(io::Error::other)?);
        unless_gone(writeln!(self.out, "{text}").and_then(|()| self.out.flush()))
    }

    /// Lines of a result.
    pub fn lines<S: AsRef<str>>(&mut self, lines: &[S]) -> io::Result<()> {
        let write = |out: &mut O| -> io::Result<()> {
            for line in lines {
                writeln!(out, "{}", safe(line.as_ref(), MAX_RESULT))?;
            }
            out.flush()
        };
        unless_gone(write(&mut self.out))
    }

    /// A line about what is going on; stderr, and nothing with `-q`.
    pub fn note(&mut self, line: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        unless_gone(writeln!(self.err, "{}", safe(&redact(line), MAX_LINE)))
    }

    /// A line of progress on a terminal, which the next one replaces; empty to take it away.
    pub fn passing(&mut self, line: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let line = safe(&redact(line), MAX_PASSING);
        unless_gone(write!(self.err, "\r{line}\x1b[K").and_then(|()| self.err.flush()))
    }

    /// A refusal.
    pub fn refusal(&mut self, refusal: &Refusal) -> io::Result<()> {
        self.failure(&refusal.chain, refusal.hint.as_deref())
    }

    /// An error with its causes.
    pub fn error(&mut self, error: &dyn Error, hint: Option<&str>) -> io::Result<()> {
        self.failure(&chain_of(error), hint)
    }

    fn failure(&mut self, chain: &[String], hint: Option<&str>) -> io::Result<()> {
        let text = failure_text(chain, hint);
        unless_gone(self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush()))
    }
}

/// JSON in which characters that a terminal may obey are escaped; beyond ASCII they only occur inside strings.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c >= '\u{7f}' && is_hostile(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// A reader that has gone away has seen enough.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// An error and its causes, outermost first; a cause that its error already quotes is not repeated.
pub fn chain_of(error: &dyn Error) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !chain.last().is_some_and(|outer| outer.ends_with(&text)) {
            chain.push(text);
        }
        next = cause.source();
    }
    chain
}

/// What failed, why, and what to do next, as lines.
fn failure_text(chain: &[String], hint: Option<&str>) -> String {
    let mut text = String::new();
    let heads = ["brine: "].into_iter().chain(std::iter::repeat("  because: "));
    for (head, cause) in heads.zip(chain) {
        push_lines(&mut text, head, cause);
    }
    if let Some(hint) = hint {
        push_lines(&mut text, "  next: ", hint);
    }
    text
}

/// Lists (all mistakes of a config) keep their lines, indented below the first.
fn push_lines(text: &mut String, head: &str, body: &str) {
    for (at, line) in body.lines().enumerate() {
        let head = if at == 0 { head } else { "       " };
        text.push_str(head);
        text.push_str(&safe(&redact(line), MAX_LINE));
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::desk::RefusalKind;

    fn printed(json: bool, act: impl FnOnce(&mut Output<&mut Vec<u8>, &mut Vec<u8>>)) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        act(&mut Output::new(&mut out, &mut err, json, false));
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn an_error_says_what_why_and_what_next() {
        let refusal = Refusal {
            kind: RefusalKind::NotFound,
            chain: vec!["there is no backup x".into(), "the archive has 3\nand a half".into()],
            hint: Some("brine backup list demo".into()),
        };
        let (out, err) = printed(false, |o| o.refusal(&refusal).unwrap());
        assert_eq!(out, "");
        assert_eq!(
            err,
            "brine: there is no backup x\n  because: the archive has 3\n       and a half\n  next: brine backup list demo\n"
        );
    }

    #[test]
    fn hostile_names_cannot_write_escapes() {
        let (out, err) = printed(false, |o| {
            o.lines(&["a\x1b[2Jb"]).unwrap();
            o.error(&io::Error::other("no \x1b]0;x\x07"), Some("do\rthis")).unwrap();
            o.note("\u{9b}1m").unwrap();
        });
        assert!(!out.contains('\x1b'), "{out:?}");
        assert!(!err.contains(['\x1b', '\x07', '\r', '\u{9b}']), "{err:?}");
    }

    #[test]
    fn secrets_do_not_reach_the_terminal() {
        let error = io::Error::other("cannot reach https://me:hunter2@host/x?sig=hunter2");
        let (_, err) = printed(false, |o| {
            o.error(&error, None).unwrap();
            o.note("password=hunter2").unwrap();
        });
        assert!(err.contains("cannot reach") && !err.contains("hunter2"), "{err}");
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("reading failed: {0}")]
        struct Quotes(#[source] io::Error);
        let error = anyhow::Error::new(Quotes(io::Error::other("disk full"))).context("backup failed");
        let chain = chain_of(error.as_ref());
        assert_eq!(chain, ["backup failed", "reading failed: disk full"]);
    }

    #[test]
    fn json_is_one_document_and_text_is_lines() {
        let value = vec![1, 2];
        let (out, _) = printed(true, |o| o.result(&value, |_| vec!["no".into()]).unwrap());
        assert_eq!(serde_json::from_str::<Vec<i32>>(&out).unwrap(), value);
        let (out, _) = printed(false, |o| {
            o.result(&value, |v| v.iter().map(i32::to_string).collect()).unwrap()
        });
        assert_eq!(out, "1\n2\n");
    }

    #[test]
    fn json_keeps_hostile_text_but_escaped() {
        let name = "a\x1b[2J\u{9b}1m\u{7f}\u{202e}\u{e0041}ä".to_owned();
        let (out, _) = printed(true, |o| o.document(&name).unwrap());
        assert!(!out.trim_end().chars().any(is_hostile), "{out:?}");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), name);
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output::new(Gone, Gone, false, false);
        assert!(output.lines(&["x"]).is_ok());
        assert!(output.document(&1).is_ok());
    }
}
