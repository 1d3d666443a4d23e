//! The README's pictures, painted by the program itself; a picture that no longer fits fails here.
//!
//! `BRINE_PAINT=1 cargo test --test console pictures_of_the_readme` paints them anew.

use std::path::Path;

use brine::tui::glyphs::UNICODE;
use brine::tui::theme::Depth;

use crate::harness::{Console, look};
use crate::svg::{DARK, LIGHT, svg};
use crate::world::Mood;

const PICTURES: [(&str, &str, &str); 9] = [
    ("fleet", "", "One line a cluster, worst first"),
    ("backups", "jj<Enter>", "The Backup page of a cluster"),
    ("timeline", "jj7NN", "The Timeline: just before a DROP TABLE"),
    ("overview", "jj0", "The Overview of a cluster"),
    ("retention", "jj8G", "Retention: what stays and what goes"),
    ("restore", "jj<Enter>R", "Restore to just before a change"),
    (
        "plan",
        "jj<Enter>R<Tab><Tab><Tab><Right><Right><Enter>",
        "The plan of a restore in place",
    ),
    ("restoring", "jj<Enter>R<Enter>R", "A restore at work"),
    ("receipt", "4jj<Enter>", "The receipt of a restore"),
];

#[test]
fn pictures_of_the_readme() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for (name, keys, title) in PICTURES {
        for (suffix, theme, ground) in [("", "brine-dark", DARK), ("-light", "brine-light", LIGHT)] {
            let mut console = Console::new(Mood::Normal, (100, 30));
            console.look = look(theme, Depth::True, &UNICODE);
            console.keys(keys);
            let painted = svg(&console.picture().0, title, ground);
            let path = dir.join(format!("{name}{suffix}.svg"));
            if std::env::var_os("BRINE_PAINT").is_some() {
                std::fs::write(&path, &painted).unwrap();
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                kept == painted,
                "assets/{name}{suffix}.svg is stale: paint it anew with BRINE_PAINT=1"
            );
        }
    }
}
