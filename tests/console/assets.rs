//! The README's pictures, painted by the program itself; a picture that no longer fits fails here.
//!
//! `BRINE_PAINT=1 cargo test --test console pictures_of_the_readme` paints them anew.

use std::path::Path;

use brine::tui::glyphs::UNICODE;
use brine::tui::theme::Depth;

use crate::harness::{Console, look};
use crate::svg::svg;
use crate::world::Mood;

const PICTURES: [(&str, &str, &str); 5] = [
    ("fleet", "", "One line a cluster, worst first"),
    ("backups", "jj<Enter>", "The Backup page of a cluster"),
    ("timeline", "jj7NN", "The Timeline: just before a DROP TABLE"),
    ("restore", "jj<Enter>R", "Restore to just before a change"),
    (
        "plan",
        "jj<Enter>R<Tab><Tab><Tab><Right><Right><Enter>",
        "The plan of a restore in place",
    ),
];

#[test]
fn pictures_of_the_readme() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for (name, keys, title) in PICTURES {
        let mut console = Console::new(Mood::Normal, (100, 30));
        console.look = look("brine-dark", Depth::True, &UNICODE);
        console.keys(keys);
        let painted = svg(&console.picture().0, title);
        let path = dir.join(format!("{name}.svg"));
        if std::env::var_os("BRINE_PAINT").is_some() {
            std::fs::write(&path, &painted).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == painted,
            "assets/{name}.svg is stale: paint it anew with BRINE_PAINT=1"
        );
    }
}
