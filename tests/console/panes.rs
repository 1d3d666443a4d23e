//! Parts of the screen and ways between screens: pages beside each other, the last view, all the room for one part, the third
//! pane of wide terminals, and what is drawn for what could not be read.

use brine::service::desk::{Question, Refusal, RefusalKind};
use brine::tui::event::{Effect, Query, What};

use crate::harness::Console;
use crate::world::{Mood, World, cluster};

const WIDE: (u16, u16) = (200, 50);

#[test]
fn a_clusters_pages_lie_beside_each_other() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj<Enter>").shows("Backup");
    for (key, page) in [
        ("<Tab>", "> Log"),
        ("<Right>", "> Schema"),
        ("l", "> Retention"),
        ("l", "> Retention"),
        ("<S-Tab>", "> Schema"),
        ("h", "> Log"),
        ("<Left>", "> Backup"),
        ("h", "> Overview"),
        ("h", "> Overview"),
    ] {
        c.keys(key).shows(page);
    }
    // One step back, however many pages were looked at.
    c.keys("<Esc>").shows("CLUSTER");
}

#[test]
fn minus_goes_to_the_last_view_and_back_and_zooms_where_there_is_a_bar() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("-").shows("no other screen");
    c.keys("jj<Enter>").shows("> Backup");
    c.keys("4").shows("> Jobs");
    c.keys("-")
        .shows("> Backup")
        .keys("-")
        .shows("> Jobs")
        .keys("-")
        .shows("> Backup");
    c.keys("<Esc>").shows("CLUSTER");
    c.keys("-").shows("> Backup");
    // On the Timeline the key has its old work.
    c.keys("7").shows("> Timeline").keys("-").shows("> Timeline");
}

#[test]
fn z_gives_a_list_all_the_room_until_it_is_pressed_again_or_another_screen_is_shown() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    for (keys, part) in [
        ("jj<Enter>", "Restorable"),
        ("3", "Checkpoint"),
        ("4", "Enter shows steps"),
        ("6", "in full"),
    ] {
        c.keys(keys).shows(part);
        c.keys("z").lacks(part);
        c.keys("z").shows(part);
        c.keys("z");
    }
    c.keys("5").shows("STORED");
    assert!(!c.model.zoomed);
    c.keys("jj7").shows("Restorable").keys("<Tab>");
    c.keys("z").lacks("zoom").shows("restorable").keys("z").shows("zoom");
}

#[test]
fn a_jobs_log_is_followed_and_wrapped() {
    let mut c = Console::new(Mood::Normal, (60, 16));
    c.keys("4jj<Enter>").lacks("(f follows, w wraps)");
    c.keys("f").shows("followed (f stops)").shows("tried again");
    c.keys("k").lacks("followed");
    // One line up from the end, not a dead key.
    c.keys("G");
    let end = c.text();
    c.keys("k");
    assert_ne!(c.text(), end);
    c.keys("w");
    assert!(matches!(c.model.screen(), brine::tui::screens::Screen::Run(s) if s.wrap && !s.follow));
}

#[test]
fn the_schema_lists_what_a_backup_holds_and_restores_a_table_of_it() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jjd")
        .shows("> Schema")
        .shows("shop.orders")
        .shows("as of the backup of");
    c.keys("/order_items<Enter>").lacks("shop.customers").keys("<Esc>");
    c.keys("s").shows("Sorted by size");
    c.keys("/shop.orders<Enter><Enter>")
        .shows("Restore 1/2")
        .shows("shop.orders");
    c.keys("<Enter>").shows("Restore 2/2");
    Console::new(Mood::Empty, (80, 24)).keys("d").shows("No backup yet");
}

#[test]
fn from_160_columns_on_there_are_three_panes() {
    for (keys, part) in [
        ("", "newest backups"),
        ("jj<Enter>", "its tables, the largest first"),
        ("jj3", "latest jobs"),
        ("jjd", "changes worth a look"),
        ("4", "its last words"),
    ] {
        let mut c = Console::new(Mood::Normal, WIDE);
        c.keys(keys).shows(part);
        c.keys("z").lacks(part).keys("z");
        c.event(What::Resize(120, 36));
        if !keys.ends_with('d') {
            c.lacks(part);
        }
    }
    // A screen reader reads lines across.
    let options = brine::tui::Options {
        accessible: true,
        ..Default::default()
    };
    Console::with(World::new(Mood::Normal), options, WIDE).lacks("newest backups");
}

#[test]
fn what_cannot_be_read_is_a_question_mark_with_its_age_and_not_the_last_good_value() {
    let mut c = Console::new(Mood::Normal, (120, 36));
    c.shows("9 s");
    // Nobody answers any more.
    c.silent = true;
    c.keys("r").wait(3 * 60_000);
    c.shows("? 3m old").lacks("ok ").lacks("Running").lacks("9 s");
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj3").shows("streaming");
    c.silent = true;
    c.keys("r").wait(3 * 60_000);
    c.shows("? 3m old").shows("not known").lacks("streaming");
}

#[test]
fn however_long_a_name_is_the_page_and_the_clock_are_seen() {
    for keys in ["<Enter>", "3", "<Enter>R<Enter>"] {
        let mut c = Console::new(Mood::Hostile, (80, 24));
        c.keys(keys);
        let text = c.text();
        let top = text.lines().next().unwrap_or_default().to_owned();
        let page = ["Backup", "Log", "Restore 2/2"].iter().any(|p| top.contains(p));
        assert!(page && top.contains("+01:00"), "{top}");
    }
}

#[test]
fn tab_walks_over_the_buttons_of_a_dialog() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    // The first button does nothing and has the keys; once round and back on it.
    c.keys("4X").shows("Cancel job 118").keys("<Tab><Tab><Enter>");
    assert_eq!((c.model.popups.len(), c.world.acts().len()), (0, 0));
    c.keys("X<Tab><Enter>");
    assert_eq!((c.model.popups.len(), c.world.acts().len()), (0, 1));
}

#[test]
fn the_first_day_is_no_error() {
    for (key, words) in [
        ("<Enter>", "Nothing can be restored yet: B takes the first backup."),
        ("3", "L starts the log backup"),
        ("7", "L starts the"),
        ("d", "B takes the first"),
        ("0", "B takes the first backup"),
    ] {
        let mut c = Console::new(Mood::Empty, (80, 24));
        c.keys(key)
            .shows(words)
            .lacks("could not be read")
            .lacks("working it out");
        assert!(!c.text().contains('~'), "{key}: something is cut off\n{}", c.text());
    }
    // A desk refuses what it cannot answer without a backup.
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("jj");
    c.silent = true;
    c.keys("8");
    let question = Question::PlanRetention {
        cluster: cluster("prod-eu"),
    };
    let ask = c
        .model
        .store
        .ask_anew(Query::Retention(cluster("prod-eu"), None), question);
    let Effect::Ask(ticket, _) = ask else { panic!() };
    let refusal = Refusal {
        kind: RefusalKind::NotFound,
        chain: vec!["prod-eu has no backups yet".to_owned()],
        hint: None,
    };
    c.event(What::Answered(ticket, Box::new(Err(refusal))));
    c.shows("B takes the first.")
        .lacks("could not be read")
        .lacks("working it out");
}

#[test]
fn in_the_smallest_terminal_what_is_chosen_from_is_seen() {
    let mut c = Console::new(Mood::Normal, (60, 16));
    c.keys("jj<Enter>").lacks("KEPT").shows("SIZE");
    c.keys("R").shows("DROP TABLE").shows("restorable").lacks("Where");
    c.keys("<Tab><Tab>").shows("What").shows("Where");
    let mut c = Console::new(Mood::Normal, (60, 16));
    c.shows("WINDOW").lacks("NEXT").lacks("NE~");
    // Smaller still: what is asked stays answerable.
    c.keys("jj<Enter>B");
    c.event(What::Resize(30, 8));
    c.shows("[ ").keys("<Esc>").shows("needs 60x16");
}

#[test]
fn who_comes_back_from_the_shell_hears_what_became_of_the_work() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.event(What::Awake(12_000));
    c.shows("stood still for 12 s; its jobs and log backups go")
        .wait(5_000)
        .lacks("stood still");
    c.event(What::Awake(300_000));
    c.shows("stood still for 5m00s, longer than its locks hold")
        .wait(9_000)
        .lacks("stood still");
    let mut idle = Console::new(Mood::Empty, (80, 24));
    idle.event(What::Awake(300_000));
    idle.lacks("stood still");
}

#[test]
fn all_of_a_log_goes_to_the_pager_oldest_first() {
    let mut c = Console::new(Mood::Normal, (80, 24));
    c.keys("o").shows("Pager on a job's page and Messages").keys("6o");
    let Some(Effect::Page(text)) = c.effects.last() else {
        panic!("{:?}", c.effects)
    };
    let stamps: Vec<&str> = text.lines().map(|l| &l[..26]).collect();
    assert!(stamps.len() > 1 && stamps.is_sorted(), "{text}");
    assert!(stamps.iter().all(|s| s.ends_with("+01:00")), "{text}");
}

#[test]
fn what_a_narrow_terminal_cuts_off_is_said_of_the_selected_line() {
    let mut c = Console::new(Mood::Normal, (60, 20));
    c.keys("jj<Enter><Tab><Tab>").shows("> Schema").lacks("LAST CH");
    let mut seen = false;
    for _ in 0..8 {
        let text = c.keys("j").text();
        seen |= text.contains("last change: 20 Nov 02:47 DROP TABLE");
    }
    assert!(seen, "{}", c.text());
    let mut c = Console::new(Mood::Normal, (60, 20));
    c.keys(":suspend")
        .shows("|  Suspend: Stop this process until the shell          |")
        .shows("continues it (jobs stop too, so it asks)");
}
