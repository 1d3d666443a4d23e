//! `--accessible`: what a screen reader hears. It reads the line of the cursor from edge to edge, sign by sign, and begins anew
//! whenever something changes.

use brine::model::job::LineLevel;
use brine::tui::Options;
use brine::tui::event::What;
use brine::tui::glyphs::QUIET;
use brine::tui::theme::Depth;

use crate::harness::{Console, look};
use crate::pictures::PLACES;
use crate::world::{Mood, World};

fn accessible(size: (u16, u16)) -> Console {
    let options = Options {
        accessible: true,
        ..Options::default()
    };
    let mut c = Console::with(World::new(Mood::Normal), options, size);
    c.look = look("mono", Depth::Mono, &QUIET);
    c
}

/// The line on which the cursor stands.
fn heard(c: &mut Console) -> String {
    let (_, cursor) = c.picture();
    let y = cursor.expect("a cursor").y;
    c.text().lines().nth(usize::from(y)).unwrap_or_default().to_owned()
}

#[test]
fn nothing_is_drawn_that_is_only_drawn() {
    for size in [(80, 24), (200, 50)] {
        for (name, keys) in PLACES {
            let mut c = accessible(size);
            c.keys(keys);
            for line in c.text().lines() {
                let signs: Vec<char> = line.chars().filter(|c| !c.is_whitespace()).collect();
                let run = signs
                    .windows(4)
                    .find(|w| w.iter().all(|c| *c == w[0] && !c.is_alphanumeric()));
                assert_eq!(run, None, "{name}: {line}");
                assert!(line.is_ascii(), "{name}: {line}");
            }
        }
    }
}

#[test]
fn nothing_repaints_by_itself_within_seconds_though_a_job_runs() {
    for (name, keys) in PLACES {
        let mut c = accessible((80, 24));
        // Tips and notices have gone.
        c.keys(keys).wait(10_000);
        let before = c.text();
        for _ in 0..4 {
            c.event(What::Pulse(Ok(1)));
            c.wait(1_000);
            assert_eq!(c.text(), before, "{name}");
        }
    }
}

#[test]
fn the_way_from_a_dropped_table_to_its_restore_is_heard_line_by_line() {
    let mut c = accessible((80, 24));
    assert!(heard(&mut c).contains("prod-us"));
    c.keys("jj");
    assert!(heard(&mut c).contains("prod-eu"));
    c.keys("3");
    assert!(heard(&mut c).contains("DROP TABLE"));
    c.keys("j<Enter>");
    let line = heard(&mut c);
    assert!(line.contains("shop.orders") && line.contains("DROP TABLE"), "{line}");
    // Along the fields, each line says what it is and what is chosen.
    for (key, words) in [
        ("<Tab>", "What"),
        ("<Tab>", "Where"),
        ("<Right>", "Where"),
        ("<Right>", "(x) IN PLACE"),
    ] {
        c.keys(key);
        let line = heard(&mut c);
        assert!(line.contains(words), "{key}: {line}");
    }
    c.keys("<Enter>");
    let line = heard(&mut c);
    assert!(line.contains("Type prod-eu"), "{line}");
    c.keys("prod-e<Enter>").shows("is not prod-eu");
    c.keys("u<Enter>");
    let line = heard(&mut c);
    assert!(line.contains("Restor") || line.contains("Running"), "{line}");
}

#[test]
fn on_the_bar_the_moment_is_heard_in_words() {
    let mut c = accessible((80, 24));
    c.keys("jj7<Left>");
    let line = heard(&mut c);
    assert!(line.contains("moment") && line.contains("+01:00"), "{line}");
    c.keys("<Up>h");
    assert!(heard(&mut c).contains("moment"));
    let mut c = accessible((80, 24));
    c.keys("jj<Enter>R<S-Tab>");
    let line = heard(&mut c);
    assert!(line.contains("moment") || line.contains("Point"), "{line}");
}

#[test]
fn a_dialog_stands_alone_and_a_notice_covers_nothing() {
    let mut c = accessible((80, 24));
    c.keys("jj<Enter>").shows("SNAPSHOT");
    c.keys("B").shows("Back up").lacks("SNAPSHOT").lacks("Complete");
    c.keys("<Esc>").shows("SNAPSHOT");
    let before: Vec<String> = c.text().lines().map(str::to_owned).collect();
    c.model.toast(LineLevel::Error, "the storage is full");
    let after: Vec<String> = c.text().lines().map(str::to_owned).collect();
    let changed: Vec<usize> = (0..24).filter(|y| before[*y] != after[*y]).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(before[changed[0]].trim(), "", "it covers something");
    assert!(after[changed[0]].contains("the storage is full"));
}
