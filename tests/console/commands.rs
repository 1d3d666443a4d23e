//! Every command in every state of every screen: it can be done, or there is a reason.

use brine::tui::commands::{COMMANDS, Scope};
use brine::tui::update::enabled::enabled;

use crate::harness::Console;
use crate::pictures::PLACES;
use crate::world::Mood;

#[test]
fn every_command_is_enabled_or_has_a_reason() {
    for mood in [Mood::Empty, Mood::Normal, Mood::Broken, Mood::Hostile] {
        for (name, keys) in PLACES {
            let mut console = Console::new(mood, (80, 24));
            console.keys(keys);
            for c in COMMANDS {
                if let Err(why) = enabled(c.cmd, &console.model) {
                    assert!(why.len() > 5, "{name} {}: no reason", c.id);
                }
            }
        }
    }
}

#[test]
fn every_key_of_the_foot_does_on_its_page_what_it_says() {
    for (name, keys) in PLACES {
        let mut console = Console::new(Mood::Normal, (200, 50));
        console.keys(keys);
        let (map, scope) = (&console.model.keymap, console.model.scope());
        for c in COMMANDS.iter().filter(|c| c.priority > 0) {
            let here = c.scopes.iter().any(|s| *s == scope || *s == Scope::Everywhere);
            if here && enabled(c.cmd, &console.model).is_ok() {
                let key = map.hint(c.cmd).parse().unwrap();
                assert_eq!(map.find(key, scope).map(|c| c.id), Some(c.id), "{name}");
            }
        }
        let foot = console.text().lines().last().unwrap_or_default().to_owned();
        // It goes back there.
        assert!(
            !foot.contains("q Quit") || console.model.screens.len() == 1,
            "{name}: {foot}"
        );
    }
}

#[test]
fn a_key_of_another_page_says_where_it_works() {
    let mut console = Console::new(Mood::Normal, (120, 36));
    console.keys("V").shows("Verify on Backup, Test on");
    console.keys("4D").shows("Delete on Backup");
    // Moving about is not worth a word, and what has no meaning anywhere says nothing.
    let mut console = Console::new(Mood::Normal, (80, 24));
    console.keys("<Tab>Q").lacks("does nothing here");
    // Where the demo has its accidents, others have Messages, on every page.
    let mut console = Console::new(Mood::Normal, (80, 24));
    console.keys("jj<Enter>R!").shows("> Messages");
}

#[test]
fn a_command_that_cannot_be_done_says_why() {
    Console::new(Mood::Empty, (80, 24))
        .keys("<Enter>R")
        .shows("nothing can be restored yet");
    Console::new(Mood::Normal, (80, 24))
        .keys("jj<Enter>U")
        .shows("not in the trash");
    Console::new(Mood::Normal, (80, 24)).keys("<Esc>").shows("first screen");
}

#[test]
fn read_only_refuses_every_change_and_lets_look() {
    let options = brine::tui::Options {
        read_only: true,
        ..Default::default()
    };
    let mut console = Console::with(crate::world::World::new(Mood::Normal), options, (80, 24));
    console.keys("jj<Enter>").shows("READ-ONLY");
    for key in ["B", "E", "V", "P", "D", "L", "u"] {
        console.keys(key).shows("read-only");
        assert!(console.model.popups.is_empty(), "{key} opened something");
    }
    console.keys("R<Enter>").shows("Restore 2/2");
    console
        .wait(10_000)
        .shows("this plan cannot be run here")
        .keys("R")
        .shows("read-only");
    // Nor is a name asked for that would lead nowhere.
    console
        .keys("<Esc><Tab><Tab><Tab><Right><Right><Enter>")
        .shows("IN PLACE over");
    console.shows("this plan cannot be run here").lacks("Type prod-eu");
    // Nor does who may only look stop what others have started here.
    console
        .keys("<Esc><Esc><Esc><Esc>q")
        .shows("Leave running")
        .lacks("Stop and quit");
    assert_eq!(console.world.acts(), []);
}

/// The README's table of keys, from the command table.
fn keys_table() -> String {
    let mut out = "| keys | command | where | does |\n|---|---|---|---|\n".to_owned();
    for c in COMMANDS {
        let keys: Vec<String> = c.keys.iter().map(|k| format!("`{k}`")).collect();
        let places: Vec<&str> = c.scopes.iter().map(|s| s.words()).collect();
        out.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            keys.join(" "),
            c.id,
            places.join(", "),
            c.help
        ));
    }
    out
}

/// `BRINE_PAINT=1` writes the table anew.
#[test]
fn the_readme_has_every_key() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- keys: painted by the tests -->\n", "<!-- end of keys -->");
    let (head, rest) = readme.split_once(begin).expect("the README has a place for the keys");
    let (kept, tail) = rest.split_once(end).expect("and an end of it");
    let wanted = format!("{}\n", keys_table());
    if std::env::var_os("BRINE_PAINT").is_some() {
        std::fs::write(&path, format!("{head}{begin}{wanted}{end}{tail}")).unwrap();
        return;
    }
    assert!(
        kept == wanted,
        "the README's keys are stale: BRINE_PAINT=1 writes them anew"
    );
}
