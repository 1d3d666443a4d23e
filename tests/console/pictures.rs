//! Pictures of every screen, committed: in 80x24 with styles, in 120x36, and on unhappy days.

use brine::tui::glyphs::{ASCII, UNICODE};
use brine::tui::theme::Depth;

use crate::dump;
use crate::harness::{Console, look};
use crate::world::{Mood, World};

/// Every screen and popup by name, and the keys that lead there from the first screen.
pub const PLACES: [(&str, &str); 35] = [
    ("fleet", ""),
    ("backup", "jj<Enter>"),
    ("log", "jj3"),
    ("timeline", "jj7"),
    ("timeline_change", "jj7NN"),
    ("timeline_fine", "jj7NN++++++"),
    ("timeline_month", "jj7<Up>h"),
    ("overview", "jj0"),
    ("schema", "jjd"),
    ("retention", "jj8G"),
    ("retention_tried", "jj8++"),
    ("form_retention", "jj8D"),
    ("in_effect", "9"),
    ("restore_change", "jj<Enter>R"),
    ("restore_snapshot", "jj<Enter><Enter>"),
    ("restore_exact", "jj<Enter>Ri"),
    ("restore_in_place", "jj<Enter>R<Tab><Tab><Tab><Right><Right>"),
    ("restore_tables", "jj<Enter>RT<Down><Space><Space>"),
    ("menu_base", "jj<Enter>R<Enter>o"),
    ("plan_beside", "jj<Enter>R<Enter>"),
    ("plan_in_place", "jj<Enter>R<Tab><Tab><Tab><Right><Right><Enter>"),
    ("jobs", "4"),
    ("run", "4<Enter>"),
    ("receipt", "4jj<Enter>"),
    ("storages", "5"),
    ("messages", "6"),
    ("form_settings", "jj<Enter>E"),
    ("form_backup_now", "jj<Enter>B"),
    ("form_delete", "jj<Enter>D"),
    ("form_verify", "jj<Enter>V"),
    ("form_quit", "q"),
    ("menu_log", "jj<Enter>L"),
    ("help", "jj<Enter>?"),
    ("palette", "jj<Enter>:"),
    ("themes", "c"),
];

fn snapshot(name: &str, text: String) {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "pictures"}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn in_80x24_with_styles() {
    for (name, keys) in PLACES {
        let mut console = Console::new(Mood::Normal, (80, 24));
        console.look = look("ansi", Depth::Ansi16, &ASCII);
        console.keys(keys);
        let (buf, cursor) = console.picture();
        snapshot(&format!("80x24_{name}"), dump::styled(&buf, cursor));
    }
}

#[test]
fn in_120x36() {
    for (name, keys) in PLACES {
        let mut console = Console::new(Mood::Normal, (120, 36));
        console.look = look("brine-dark", Depth::True, &UNICODE);
        console.keys(keys);
        snapshot(&format!("120x36_{name}"), console.text());
    }
}

/// Where not everything fits: names get shorter before anything is cut.
#[test]
fn in_60x20() {
    let narrow = |name: &str| name.starts_with("restore") || matches!(name, "timeline" | "storages" | "form_settings");
    for (name, keys) in PLACES.into_iter().filter(|(name, _)| narrow(name)) {
        let mut console = Console::new(Mood::Normal, (60, 20));
        snapshot(&format!("60x20_{name}"), console.keys(keys).text());
    }
}

#[test]
fn on_the_first_day() {
    for (name, keys) in [
        ("fleet", ""),
        ("backup", "<Enter>"),
        ("log", "3"),
        ("timeline", "7"),
        ("overview", "0"),
        ("retention", "8"),
        ("jobs", "4"),
        ("restore", "<Enter>R"),
    ] {
        let mut console = Console::new(Mood::Empty, (80, 24));
        snapshot(&format!("empty_{name}"), console.keys(keys).text());
    }
}

#[test]
fn when_nothing_can_be_read() {
    for (name, keys) in [("fleet", ""), ("jobs", "4"), ("storages", "5"), ("in_effect", "9")] {
        let mut console = Console::new(Mood::Broken, (80, 24));
        snapshot(&format!("broken_{name}"), console.keys(keys).text());
    }
}

#[test]
fn with_hostile_names() {
    for (name, keys) in PLACES {
        let mut console = Console::new(Mood::Hostile, (80, 24));
        console.keys(keys);
        let text = console.text();
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
            "{name}:\n{text}"
        );
        if matches!(
            name,
            "fleet" | "backup" | "log" | "timeline_change" | "plan_in_place" | "run" | "messages"
        ) {
            snapshot(&format!("hostile_{name}"), text);
        }
    }
}

#[test]
fn too_small_still_says_what_runs() {
    let mut console = Console::new(Mood::Normal, (59, 15));
    snapshot("59x15", console.text());
    console.shows("job 118").shows("q quits");
}

#[test]
fn the_demo_is_marked_and_its_shop_is_seen() {
    let world = World {
        demo: true,
        ..World::new(Mood::Normal)
    };
    let options = brine::tui::Options {
        demo: Some(brine::tui::DemoStrip {
            cluster: crate::world::cluster("prod-eu"),
        }),
        ..Default::default()
    };
    let mut console = Console::with(world, options, (80, 24));
    snapshot("demo", console.keys("jj<Enter>").text());
    console.shows("DEMO").shows("orders/s");
    snapshot("demo_accident", console.keys("!").text());
}

#[test]
fn every_screen_has_the_cursor_on_what_has_the_focus() {
    for (name, keys) in PLACES {
        let mut console = Console::new(Mood::Normal, (80, 24));
        let cursor = console.keys(keys).picture().1;
        assert!(cursor.is_some(), "{name} hides the cursor");
    }
}

#[test]
fn in_every_theme_at_every_depth() {
    for name in brine::tui::theme::Theme::names() {
        for depth in [Depth::Ansi16, Depth::Cube256, Depth::True] {
            let mut console = Console::new(Mood::Normal, (80, 24));
            console.look = look(&name, depth, &UNICODE);
            for keys in ["", "jj<Enter>", "7"] {
                let text = console.keys(keys).text();
                assert!(text.contains("brine"), "{name}");
            }
        }
    }
}

#[test]
fn at_every_size() {
    for size in [(60, 16), (60, 40), (79, 20), (100, 30), (160, 45), (200, 50)] {
        for (name, keys) in PLACES {
            let mut console = Console::new(Mood::Normal, size);
            let (buf, cursor) = console.keys(keys).picture();
            assert!(
                cursor.is_some_and(|c| buf.area.contains(c)),
                "{name} at {size:?} hides the cursor"
            );
            let text = dump::text(&buf);
            assert!(text.starts_with("brine"), "{name} at {size:?}:\n{text}");
        }
    }
}
