//! Every command in every state of every screen: it can be done, or there is a reason.

use brine::tui::commands::COMMANDS;
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
    console.keys("R").shows("read-only");
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
