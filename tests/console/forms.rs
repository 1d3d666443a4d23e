//! Forms: the command line that does the same, what is pasted, and forms in terminals that are hardly large enough for them.

use brine::cli::args::Cli;
use brine::service::desk::Question;
use brine::tui::event::{Effect, What};
use clap::Parser;

use crate::harness::Console;
use crate::world::Mood;

const FORMS: [&str; 13] = [
    "jj<Enter>B",
    "jj<Enter>E",
    "jj<Enter>V",
    "jj<Enter>P",
    "jj<Enter>D",
    "jj<Enter>Lp",
    "jj<Enter>Lf",
    "jj<Enter>Lx",
    "jj<Enter>Lu7d ago<Right><Tab><Right>",
    "jj8D",
    "4X",
    "4jC",
    "jj<Enter> V",
];

fn copied(c: &Console) -> Vec<String> {
    let texts = c.effects.iter().filter_map(|e| match e {
        Effect::Copy(text) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

/// The words of a line as a shell takes them apart.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut inside, mut some) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => (inside, some) = (!inside, true),
            '\\' if !inside => word.extend(chars.next()),
            ' ' if !inside => {
                if some || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                some = false;
            }
            c => word.push(c),
        }
    }
    if some || !word.is_empty() {
        out.push(word);
    }
    out
}

#[test]
fn every_form_shows_a_command_line_that_brine_understands() {
    for keys in FORMS {
        let mut c = Console::new(Mood::Normal, (80, 24));
        c.keys(keys)
            .shows("The same (")
            .keys("<Ctrl-y>")
            .shows("Sent to the terminal");
        let [text] = copied(&c).try_into().unwrap();
        for line in text.lines() {
            let read = Cli::try_parse_from(words(line));
            assert!(read.is_ok(), "{keys}: {line}: {}", read.unwrap_err());
        }
        assert_eq!(c.world.acts(), [], "{keys}");
        assert!(!c.model.popups.is_empty(), "{keys}: the form stays");
    }
}

#[test]
fn the_command_line_says_what_is_typed() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj<Enter>B<Up><Up>it's v2<Tab>30").keys("<Tab>c");
    assert_eq!(
        copied(&c),
        ["brine backup create prod-eu --note 'it'\\''s v2' --keep 30"]
    );
    assert_eq!(words(&copied(&c)[0])[5], "it's v2");
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj<Enter>D<Ctrl-y>");
    assert!(
        copied(&c)[0].ends_with("--confirm-name prod-eu --yes"),
        "{:?}",
        copied(&c)
    );
}

#[test]
fn a_key_with_ctrl_consents_to_nothing() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj<Enter>P<Ctrl-y><Ctrl-n>");
    assert_eq!(c.world.acts(), []);
    assert!(!c.model.popups.is_empty());
    c.keys("y");
    assert!(matches!(c.world.acts().as_slice(), [Question::Protect { .. }]));
}

#[test]
fn of_what_is_pasted_the_first_line_with_something_in_it_arrives() {
    let paste = |c: &mut Console, text: &str| c.event(What::Paste(text.to_owned()));
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj<Enter>B<Up><Up>");
    paste(&mut c, "\n  before\tthe \u{1b}[31mrelease\u{7}  \r\nsecond line\n");
    c.shows("before the [31mrelease ").lacks("second");
    c.keys("<Esc>/");
    paste(&mut c, "\r\nmanual\n");
    c.keys("<Enter>").shows("/manual").shows("12h36m").lacks("1d01h");
    c.keys("<Esc>RT");
    paste(&mut c, "sessions\n");
    c.shows("shop.sessions").lacks("order_items  ");
    c.keys("<Esc><Esc>?/");
    paste(&mut c, "test restore\n");
    c.shows("Verify this backup").lacks("Take a snapshot");
    c.keys("<Esc><Esc>:");
    paste(&mut c, "undelete\n");
    c.shows("Undelete").keys("<Esc>7i<Ctrl-u>");
    paste(&mut c, "2026-11-20 02:30:00\n2026-11-19 02:30:00");
    c.shows("2026-11-20 02:30:00 ").keys("<Enter>").shows("= 01:30:00Z");
    assert_eq!(c.world.acts(), []);
}

#[test]
fn a_form_can_be_read_and_filled_in_wherever_it_opens() {
    for size in [(30, 8), (40, 10), (60, 16)] {
        for keys in FORMS {
            let mut c = Console::new(Mood::Normal, (80, 24));
            c.keys(keys);
            c.event(What::Resize(size.0, size.1));
            let fields = 6;
            for _ in 0..fields {
                let (_, cursor) = c.picture();
                let cursor = cursor.unwrap_or_else(|| panic!("{keys} at {size:?}: no cursor:\n{}", c.text()));
                assert!(cursor.x < size.0 && cursor.y < size.1, "{keys} at {size:?}");
                // The first button or the one in focus is always there.
                let last = c.text().lines().rev().nth(usize::from(size.1 > 20)).map(str::to_owned);
                assert!(c.text().contains("[ "), "{keys} at {size:?}: {last:?}\n{}", c.text());
                c.keys("<Tab>");
            }
        }
    }
}

#[test]
fn in_30x8_the_field_that_has_the_keys_is_seen_with_its_name() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj<Enter>E");
    c.event(What::Resize(30, 8));
    c.shows("Backup Time").shows("02:00").shows("[ Cancel ]");
    c.keys("<Tab>")
        .shows("Backup Retention")
        .keys("<Backspace>9")
        .shows("9");
    c.keys("<Tab>").shows("Daily schedule").shows("(o) on  ( ) off");
    c.keys("<Tab><Tab>").shows("[ Cancel ]");
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj<Enter>D");
    c.event(What::Resize(30, 8));
    c.shows("Type prod-eu, then Enter")
        .keys("prod<Enter>")
        .shows("nothing was done");
    c.keys("-eu<Enter>");
    assert!(matches!(c.world.acts().as_slice(), [Question::Delete { .. }]));
}

#[test]
fn a_running_job_can_be_cancelled_and_left_in_a_terminal_too_small_for_screens() {
    let mut c = Console::new(Mood::Normal, (30, 8));
    c.shows("job 118").shows("q quits").shows("X cancels it");
    c.keys("<Esc>jR").shows("X cancels it");
    c.keys("X").shows("Cancel job 118").shows("[ No, go on ]").keys("<Esc>");
    assert_eq!(c.world.acts(), []);
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj<Enter>");
    c.event(What::Resize(30, 8));
    c.shows("q goes back").keys("q").shows("q quits");
}
