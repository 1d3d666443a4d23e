//! Every screen in each of its states: nothing there yet, on its way, old, refused, and no room; in several sizes and themes.

use brine::tui::event::What;
use brine::tui::glyphs::{ASCII, UNICODE};
use brine::tui::theme::{Depth, Meaning};
use ratatui::style::Color;

use crate::dump;
use crate::harness::{Console, look};
use crate::pictures::PLACES;
use crate::world::Mood;

/// Every screen by name, with the keys that lead to it; behind `|` its own data is asked for.
const SCREENS: [(&str, &str); 14] = [
    ("fleet", "|"),
    ("backup", "jj|<Enter>"),
    ("log", "jj|3"),
    ("timeline", "jj|7"),
    ("overview", "jj|0"),
    ("schema", "jj|d"),
    ("retention", "jj|8"),
    ("in_effect", "|9"),
    ("restore", "jj|<Enter>R"),
    ("plan", "jj<Enter>R|<Enter>"),
    ("jobs", "|4"),
    ("run", "4|<Enter>"),
    ("storages", "|5"),
    ("messages", "|6"),
];

/// How a screen came to be as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Normal,
    Empty,
    /// Asked for and not answered, for some seconds.
    Loading,
    /// Shown, and then refused when it was asked for again.
    Old,
    /// Shown, and then not answered when it was asked for again.
    Late,
    /// Refused from the start.
    Refused,
}

fn console(state: State, keys: &str, size: (u16, u16)) -> Console {
    let (before, after) = keys.split_once('|').unwrap();
    let mood = if state == State::Empty {
        Mood::Empty
    } else {
        Mood::Normal
    };
    // What the first screen asks for is asked for as soon as there is a console.
    let first = before.is_empty() && matches!(state, State::Loading | State::Refused);
    let mut c = match (first, state) {
        (true, State::Refused) => Console::new(Mood::Broken, size),
        (true, _) => Console::unanswered(size),
        _ => Console::new(mood, size),
    };
    c.keys(before);
    match state {
        State::Normal | State::Empty => drop(c.keys(after)),
        State::Loading => {
            c.silent = true;
            c.keys(after).wait(6_000);
        }
        State::Refused => {
            *c.world.refusing.lock().unwrap() = true;
            c.keys(after);
        }
        State::Old => {
            c.keys(after);
            *c.world.refusing.lock().unwrap() = true;
            c.event(What::Pulse(Ok(2)));
            c.wait(90_000);
        }
        State::Late => {
            c.keys(after);
            c.silent = true;
            c.event(What::Pulse(Ok(2)));
            c.wait(300).wait(7_000);
        }
    }
    c
}

/// All screens in a state, one below the other.
fn gallery(state: State, size: (u16, u16), styled: bool) -> String {
    let mut out = String::new();
    for (name, keys) in SCREENS {
        let mut c = console(state, keys, size);
        c.look = if styled {
            look("ansi", Depth::Ansi16, &ASCII)
        } else {
            look("brine-dark", Depth::True, &UNICODE)
        };
        let (buf, cursor) = c.picture();
        assert!(cursor.is_some(), "{name} hides the cursor when {state:?}");
        let text = if styled {
            dump::styled(&buf, cursor)
        } else {
            dump::text(&buf)
        };
        out += &format!("=== {name}\n{text}\n");
    }
    out
}

fn snapshots(state: State) {
    let name = format!("{state:?}").to_lowercase();
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "pictures"}, {
        // The usual sizes with everything there have pictures of their own.
        let sizes = [(80, 24), (120, 36), (200, 50)].into_iter().filter(|s| state != State::Normal || s.0 == 200);
        for size in sizes {
            let styled = size == (80, 24);
            insta::assert_snapshot!(format!("state_{name}_{}x{}", size.0, size.1), gallery(state, size, styled));
        }
    });
}

#[test]
fn with_everything() {
    snapshots(State::Normal);
}

#[test]
fn with_nothing_there_yet() {
    snapshots(State::Empty);
}

#[test]
fn while_it_is_loaded() {
    snapshots(State::Loading);
    for (name, keys) in SCREENS {
        let text = console(State::Loading, keys, (80, 24)).text();
        // What was heard in passing, of a job for instance, is shown, and is old.
        let says = ["Loading...", "Planning...", "OLD"].iter().any(|w| text.contains(w));
        assert!(
            says && text.contains("no answer yet"),
            "{name} does not say that it is loading:\n{text}"
        );
    }
}

#[test]
fn when_it_cannot_be_read() {
    snapshots(State::Refused);
    for (name, keys) in SCREENS {
        let text = console(State::Refused, keys, (80, 24)).text();
        assert!(text.contains("permission denied"), "{name} does not say why:\n{text}");
        assert!(
            !text.contains("Loading..."),
            "{name} waits for what was refused:\n{text}"
        );
    }
}

#[test]
fn when_it_is_old() {
    snapshots(State::Old);
    for (state, why) in [(State::Old, "could not be read again"), (State::Late, "no answer yet")] {
        for (name, keys) in SCREENS {
            let mut c = console(state, keys, (80, 24));
            c.look = look("ansi", Depth::Ansi16, &ASCII);
            let mut before = console(State::Normal, keys, (80, 24));
            c.shows("OLD").shows(why);
            // The old data stands where it stood, and is dimmed.
            let (buf, _) = c.picture();
            let (fresh, _) = before.picture();
            let muted = c.look.theme.style(Meaning::Muted);
            // Further right, ages have gone on.
            let row = |b: &ratatui::buffer::Buffer, y| (0..12).map(|x| b[(x, y)].symbol()).collect::<String>();
            // A state is drawn as not known; the rest stays.
            let shown = row(&buf, 1);
            assert!(shown == row(&fresh, 1) || shown.starts_with(" ? "), "{name}: {shown}");
            assert!(
                (0..80).all(|x| Some(buf[(x, 1)].fg) == muted.fg),
                "{name} is not dimmed"
            );
        }
    }
}

#[test]
fn without_room() {
    for (name, keys) in SCREENS {
        for size in [(59, 24), (80, 15), (20, 5), (1, 1)] {
            let mut c = console(State::Normal, keys, (80, 24));
            c.event(What::Resize(size.0, size.1));
            let text = c.text();
            if size.0 > 20 {
                assert!(
                    text.contains("brine needs 60x16") && text.contains("job 118"),
                    "{name}:\n{text}"
                );
            }
            c.event(What::Resize(80, 24));
            assert_eq!(
                c.text(),
                console(State::Normal, keys, (80, 24)).text(),
                "{name} has not come back"
            );
        }
    }
}

#[test]
fn themes_change_colours_and_nothing_else() {
    for (name, keys) in PLACES {
        let mut c = Console::new(Mood::Normal, (80, 24));
        c.look = look("mono", Depth::Mono, &UNICODE);
        let (mono, _) = c.keys(keys).picture();
        let plain = mono
            .content()
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset);
        assert!(plain, "{name} has colours in mono");
        for (theme, depth) in [
            ("ansi", Depth::Ansi16),
            ("brine-dark", Depth::True),
            ("brine-light", Depth::Cube256),
        ] {
            c.look = look(theme, depth, &UNICODE);
            let (coloured, _) = c.picture();
            assert_eq!(dump::text(&coloured), dump::text(&mono), "{name} in {theme}");
            let wrong = coloured
                .content()
                .iter()
                .flat_map(|cell| [cell.fg, cell.bg])
                .find(|c| match (depth, c) {
                    (_, Color::Reset) => false,
                    (Depth::Ansi16, c) => matches!(c, Color::Rgb(..) | Color::Indexed(16..)),
                    (Depth::Cube256, c) => matches!(c, Color::Rgb(..)),
                    _ => false,
                });
            assert_eq!(wrong, None, "{name} in {theme}");
        }
    }
}
