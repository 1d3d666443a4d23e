//! Key walks through the main job: what an operator does, and what the desk is asked for.

use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::model::backup::ProofLevel;
use brine::service::desk::{LogAct, Question};
use brine::tui::Exit;
use brine::tui::event::{Effect, What};

use crate::harness::Console;
use crate::world::{Mood, World, cluster};

fn normal() -> Console {
    Console::new(Mood::Normal, (80, 24))
}

#[test]
fn worst_first_and_the_order_stays_while_keys_are_pressed() {
    let mut console = normal();
    let text = console.text();
    let place = |name: &str| text.find(name).unwrap();
    assert!(
        place("prod-us") < place("staging") && place("staging") < place("prod-eu"),
        "{text}"
    );
    console.keys("jj<Enter>").shows("brine > prod-eu > Backup");
}

#[test]
fn what_can_lose_something_has_no_focused() {
    let mut console = normal();
    console.keys("jj<Enter>Lp<Enter>");
    assert_eq!(console.world.acts(), [], "Enter alone must not pause the log backup");
}

#[test]
fn a_backup_is_two_keys_and_a_note_some_more() {
    let mut console = normal();
    console.keys("jj<Enter>B").shows("Back up prod-eu now").keys("<Esc>");
    assert_eq!(console.world.acts(), []);
    console.keys("B<Up><Up>before upgrade<Tab><Tab><Enter>");
    match console.world.acts().as_slice() {
        [Question::TakeBackup { cluster: c, request }] => {
            assert_eq!(
                (c, request.note.as_deref()),
                (&cluster("prod-eu"), Some("before upgrade"))
            );
        }
        other => panic!("{other:?}"),
    }
    console.shows("job 201 started");
}

#[test]
fn settings_are_previewed_and_refused_outside_their_range() {
    let mut console = normal();
    console.keys("jj<Enter>E").shows("1 backup removed").shows("Next runs");
    console.keys("<Tab><Backspace>6").shows("choose 7 to 90 days");
    console
        .keys("<Tab><Tab><Tab><Right><Enter>")
        .shows("choose 7 to 90 days");
    assert_eq!(console.world.acts(), []);
    console.keys("<Up><Up><Up><Backspace>14<Tab><Tab><Tab><Enter>");
    match console.world.acts().as_slice() {
        [Question::SetSettings { settings, .. }] => assert_eq!(settings.retention_days.get(), 14),
        other => panic!("{other:?}"),
    }
}

#[test]
fn deleting_wants_the_typed_name_and_paste_does_not_do() {
    let mut console = normal();
    console
        .keys("jj<Enter>jD")
        .shows("You lose: the moments from 19 Nov 14:31:00 to 20 Nov 02:00:00")
        .shows("in the trash until");
    console.event(What::Paste("prod-eu".to_owned()));
    console.shows("Pasted text does not confirm");
    console.keys("<Enter>").shows("Type prod-eu to confirm");
    console
        .keys("prod-us<Enter>")
        .shows("`prod-us` is not prod-eu: nothing was done");
    assert_eq!(console.world.acts(), []);
    console.keys("<Ctrl-u>prod-eu<Enter>");
    match console.world.acts().as_slice() {
        [Question::Delete { confirm_name, .. }] => assert_eq!(confirm_name.as_deref(), Some("prod-eu")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_restore_beside_runs_exactly_the_shown_plan() {
    let mut console = normal();
    console
        .keys("jj<Enter>R")
        .shows("Restore 1/2")
        .shows("DROP TABLE")
        .shows("restorable    YES");
    console
        .keys("<Enter>")
        .shows("Restore 2/2: plan")
        .shows("Nothing is overwritten")
        .lacks("you lose");
    console.keys("<Enter>").shows("Enter does not restore: R does");
    assert_eq!(console.world.acts(), [], "Enter is not enough");
    console.keys("R");
    match console.world.acts().as_slice() {
        [
            Question::Restore {
                plan,
                confirm_name: None,
            },
        ] => {
            assert_eq!(plan.request.target, RestoreTarget::Beside);
            assert!(matches!(plan.request.point, RestorePoint::Before { .. }));
        }
        other => panic!("{other:?}"),
    }
    console.shows("Restoring");
    *console.world.restored.lock().unwrap() = true;
    console.wait(1000).shows("receipt").shows("What to do next");
}

#[test]
fn the_end_of_a_job_is_said_where_it_is_not_seen() {
    let mut console = normal();
    console.keys("jj<Enter>R<Enter>R<Esc>").lacks("Succeeded");
    *console.world.restored.lock().unwrap() = true;
    console
        .wait(1000)
        .wait(1000)
        .shows("job 200 restore prod-eu: Succeeded");
}

#[test]
fn in_place_wants_the_typed_name() {
    let mut console = normal();
    console
        .keys("jj<Enter>R<Tab><Tab><Tab><Right><Right><Enter>")
        .shows("IN PLACE over prod-eu")
        .shows("18,402 transactions");
    console.keys("<Enter>").shows("type prod-eu to confirm");
    console.event(What::Paste("prod-eu".to_owned()));
    console.shows("Pasted text does not confirm").keys("<Enter>");
    console.keys("prod-e<Enter>").shows("`prod-e` is not prod-eu");
    assert_eq!(console.world.acts(), []);
    console.keys("u<Enter>");
    match console.world.acts().as_slice() {
        [Question::Restore { confirm_name, .. }] => assert_eq!(confirm_name.as_deref(), Some("prod-eu")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn undo_goes_through_its_own_plan() {
    let mut console = normal();
    console.keys("jj<Enter>u").shows("Undo: plan").keys("prod-eu<Enter>");
    assert!(
        matches!(console.world.acts().as_slice(), [Question::Undo { .. }]),
        "{:?}",
        console.world.acts()
    );
}

#[test]
fn a_typed_moment_is_judged_while_it_is_typed() {
    let mut console = normal();
    console.keys("jj<Enter>Ri<Ctrl-u>").shows("NO");
    console
        .keys("2026-11-20 02:30:00")
        .shows("= 01:30:00Z")
        .shows("restorable    YES");
    console
        .keys("<Ctrl-u>2026-11-16 22:00")
        .shows("it lies in a gap")
        .shows("before and");
    console
        .keys("<Ctrl-u>2026-11-01 22:00")
        .shows("before the first restorable moment");
    console
        .keys("<Ctrl-u>2027-01-01 00:00")
        .shows("in the future")
        .keys("<Enter>")
        .shows("cannot be restored");
    console.keys("<Ctrl-u>yesterday noon").shows("is not a time");
    assert_eq!(console.world.acts(), []);
}

#[test]
fn a_snapshot_is_restored_from_its_row() {
    let mut console = normal();
    console
        .keys("jj<Enter>jj<Enter>")
        .shows("Basic Snapshot Restore")
        .keys("<Enter>");
    let asked = console.world.asked.lock().unwrap();
    let request = asked.iter().find_map(|q| match q {
        Question::PlanRestore { request } => Some(request.clone()),
        _ => None,
    });
    assert!(
        matches!(request.unwrap().point, RestorePoint::Snapshot { id } if id.as_str().starts_with("20261119010004"))
    );
}

#[test]
fn the_timeline_moves_the_moment() {
    let mut console = normal();
    console.keys("jj<Enter>Ri<S-Tab>").shows("2026-11-20 02:47:14");
    console
        .keys("<Left>")
        .lacks("2026-11-20 02:47:14")
        .shows("restorable    YES");
    console.keys("<Right>").shows("2026-11-20 02:47:14");
}

#[test]
fn the_log_menu_says_what_cannot_be_done() {
    let mut console = normal();
    console.keys("jj<Enter>L").shows("Start  not now: it is on already");
    console.keys("p").shows("Pause the log backup").keys("y");
    match console.world.acts().as_slice() {
        [Question::Log { act, .. }] => assert_eq!(*act, LogAct::Pause),
        other => panic!("{other:?}"),
    }
}

#[test]
fn purge_shows_what_goes_before_anything_does() {
    let mut console = normal();
    console.keys("jj<Enter>Lu").shows("Purge log");
    console.keys("<Tab><Tab>prod-eu<Enter>").shows("Type a moment first");
    console
        .keys("<Up><Up>7d ago")
        .shows("300 segments")
        .shows("These lose point-in-time");
    console.keys("<Tab><Tab><Enter>");
    assert!(matches!(
        console.world.acts().as_slice(),
        [Question::Truncate { drop_pitr: false, .. }]
    ));
}

#[test]
fn verify_offers_its_levels() {
    let mut console = normal();
    console.keys("jj<Enter>V<Right><Tab><Right><Enter>");
    match console.world.acts().as_slice() {
        [Question::Verify { level, .. }] => assert_eq!(*level, ProofLevel::Tested),
        other => panic!("{other:?}"),
    }
}

#[test]
fn quitting_with_work_running_asks_and_leaving_is_the_default() {
    let mut console = normal();
    console.keys("q").shows("Leave running").keys("<Enter>");
    assert_eq!(console.effects, [Effect::Quit(Exit::LeaveRunning)]);
    let mut console = normal();
    console.keys("q<Right><Enter>");
    assert_eq!(console.effects, [Effect::Quit(Exit::Quit)]);
    let mut console = normal();
    console.keys("q<Esc>");
    assert_eq!(console.effects, []);
    let mut console = Console::new(Mood::Empty, (80, 24));
    console.keys("q");
    assert_eq!(console.effects, [Effect::Quit(Exit::Quit)]);
}

#[test]
fn ctrl_c_twice_leaves_everything_running() {
    let mut console = normal();
    console.keys("jj<Enter>B<Ctrl-c>").shows("Quit brine").keys("<Ctrl-c>");
    assert_eq!(console.effects, [Effect::Quit(Exit::LeaveRunning)]);
    assert_eq!(console.world.acts(), []);
}

#[test]
fn ctrl_z_with_work_running_asks() {
    let mut console = normal();
    console.keys("<Ctrl-z>").shows("these stop too").keys("<Enter>");
    assert_eq!(console.effects, []);
    console.keys("<Ctrl-z>y");
    assert_eq!(console.effects, [Effect::Suspend]);
    let mut console = Console::new(Mood::Empty, (80, 24));
    console.keys("<Ctrl-z>");
    assert_eq!(console.effects, [Effect::Suspend]);
}

#[test]
fn cancelling_says_what_is_left_behind_and_asks_for_the_name_only_where_something_is_overwritten() {
    let mut console = normal();
    console.keys("jj<Enter>R<Enter>RX");
    console.shows("the target stays as it was").lacks("Type prod-eu");
    let mut console = normal();
    console.keys("jj<Enter>R<Tab><Tab><Tab><Right><Right><Enter><Tab><Enter>");
    console.shows("Enter alone does not restore: Tab, then type the name");
    console.keys("<Tab>prod-eu<Enter>X");
    console.shows("writes over what is there").shows("Type prod-eu");
}

#[test]
fn before_its_create_a_table_is_not_there_to_be_restored() {
    let mut console = normal();
    console.keys("jj<Enter>R").shows("(o) shop.order_items");
    let world = World {
        created: true,
        ..World::new(Mood::Normal)
    };
    let mut console = Console::with(world, Default::default(), (80, 24));
    console
        .keys("jj<Enter>R")
        .shows("CREATE TABLE")
        .shows("(o) whole cluster");
    console.lacks("( ) shop.orders");
    // Through it, the table is there.
    console.keys("w").shows("(o) shop.order_items");
}

#[test]
fn ctrl_z_does_not_stop_a_switch() {
    let world = World {
        switching: true,
        ..World::new(Mood::Normal)
    };
    let mut console = Console::with(world, Default::default(), (80, 24));
    console
        .keys("<Ctrl-z>")
        .shows("job 118 is switching prod-eu over")
        .lacks("Suspend brine");
    assert_eq!(console.effects, []);
}

#[test]
fn what_is_too_long_for_a_clipboard_is_not_copied_in_part() {
    let world = World::new(Mood::Normal);
    let mut console = Console::with(world, Default::default(), (80, 24));
    console
        .model
        .toast(brine::model::job::LineLevel::Info, "x".repeat(4000));
    console.keys("6yi");
    assert!(matches!(console.effects.as_slice(), [Effect::Copy(_)]));
    console.effects.clear();
    console.model.notes[0].text = "x".repeat(80_000);
    console.keys("gyi").shows("Not copied: it is 78.1 KiB");
    assert_eq!(console.effects, []);
}

#[test]
fn the_filter_narrows_and_escape_clears_it() {
    let mut console = normal();
    console
        .keys("jj<Enter>/manual<Enter>")
        .shows("/manual")
        .shows("manual")
        .lacks("x Failed");
    console.keys("<Esc>").shows("x Failed").lacks("/manual");
    console.keys("/!auto<Enter>").lacks("x Failed");
}

#[test]
fn what_is_copied_is_the_command() {
    let mut console = normal();
    console.keys("jj<Enter>yc").shows("Sent to the terminal's clipboard");
    assert!(
        matches!(console.effects.as_slice(), [Effect::Copy(text)] if text.starts_with("brine backup show prod-eu"))
    );
}

#[test]
fn the_palette_finds_commands_and_clusters() {
    let mut console = normal();
    console
        .keys(":backup now")
        .shows("Back up now")
        .keys("<Esc>:backups stag<Enter>")
        .shows("staging > Backup");
}

#[test]
fn times_go_round() {
    let mut console = normal();
    console
        .keys("jj<Enter>")
        .shows("20 Nov 02:00")
        .keys("t")
        .shows("20 Nov 01:00")
        .keys("t")
        .shows("1h07m ago")
        .keys("t")
        .shows("20 Nov 02:00");
}

#[test]
fn errors_stay_until_a_key_and_are_kept() {
    let mut console = Console::new(Mood::Broken, (80, 24));
    console
        .shows("permission denied")
        .shows("Run brine as the user that owns");
    console.event(What::Panicked("a thread".to_owned()));
    console.wait(60_000).shows("A part of brine failed");
    console.keys("6").shows("A part of brine failed");
}

#[test]
fn nothing_moves_while_nothing_happens() {
    let mut console = Console::new(Mood::Empty, (80, 24));
    let before = console.picture();
    console.wait(20_000);
    assert_eq!(
        console.picture(),
        before,
        "an idle console must not change within its minute"
    );
    let deadline = brine::tui::update::next_deadline(&console.model).unwrap();
    assert!(deadline.since(console.now) > 10_000, "an idle console must sleep");
}

#[test]
fn typing_a_time_starts_inside_the_window() {
    let mut console = normal();
    console
        .keys("jj<Enter>R<Left><Left>")
        .shows("(o) Latest")
        .keys("i")
        .shows("restorable    YES");
    console.keys("<Esc>").keys("R").keys("i").shows("restorable    YES");
}

#[test]
fn the_schedule_that_is_off_has_no_next_runs() {
    let mut console = normal();
    console.keys("jj<Enter>E").shows("Next runs: 21 Nov 02:00");
    console
        .keys("<Tab><Tab><Right>")
        .shows("The daily schedule is off")
        .lacks("Next runs");
}

#[test]
fn the_trash_is_mentioned_where_it_is_not_shown() {
    let mut console = normal();
    console.keys("jj<Enter>").shows("1 in trash (a)");
    console.keys("a").shows("1 in trash").lacks("1 in trash (a)");
}

#[test]
fn an_interrupted_step_does_not_look_done() {
    let mut console = normal();
    console
        .keys("4j<Enter>")
        .shows("* list objects")
        .shows("! read and check blocks")
        .shows("interrupted here");
}

#[test]
fn from_a_drop_on_the_bar_to_its_table_beside_is_three_keys() {
    let mut console = normal();
    console
        .keys("jj7")
        .shows("prod-eu > Timeline")
        .shows("the latest restorable moment");
    console
        .keys("NN")
        .shows("just before DROP TABLE shop.orders")
        .shows("YES: base 20 Nov 02:00");
    console
        .keys("<Enter>")
        .shows("to just before DROP TABLE shop.orders")
        .shows("(o) shop.orders");
    console
        .keys("<Enter>")
        .shows("Restore 2/2")
        .shows("Nothing is overwritten")
        .keys("R");
    match console.world.acts().as_slice() {
        [Question::Restore { plan, .. }] => {
            assert_eq!(plan.request.target, RestoreTarget::Beside);
            assert!(!plan.request.filter.is_all());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_timeline_says_why_a_moment_cannot_be_restored() {
    let mut console = normal();
    console.keys("jj7i<Ctrl-u>2026-11-16 22:30 Europe/Berlin<Enter>");
    console
        .shows("NO: it lies in a gap")
        .shows("2026-11-16 22:30:00 +01:00 = 21:30:00Z");
    console.keys("<Enter>").shows("cannot be restored").shows("Timeline");
    console.wait(10_000);
    console
        .keys("n")
        .shows("base 20261117010004-7f3a")
        .shows("YES: base 17 Nov 02:00");
    console.keys("<Enter>").shows("Basic Snapshot Restore");
    console
        .keys("<Esc>i<Ctrl-u>rubbish<Enter>")
        .shows("is not a time")
        .keys("<Esc>")
        .lacks("Go to");
    console
        .keys("i<Ctrl-u>2026-01-01 00:00<Enter>")
        .shows("lies outside the restorable window");
}

#[test]
fn the_timeline_goes_from_months_to_single_transactions() {
    let mut console = normal();
    console
        .keys("jj7")
        .shows("November 2026")
        .shows("7 days 1 hour")
        .lacks("every transaction within");
    console
        .keys("NN+++++")
        .shows("10 minutes")
        .shows("every transaction within the bar");
    let asked = console.world.asked.lock().unwrap().clone();
    let fine = asked
        .iter()
        .filter(|q| matches!(q, Question::Changes { all: true, .. }))
        .count();
    assert_eq!(fine, 1, "one question for the stretch");
    console.keys("---").lacks("every transaction within");
    console
        .keys("<Tab><Tab>h")
        .shows("this moment")
        .shows("Thursday 19 Nov 2026");
    console
        .keys("<Tab>l")
        .shows("Thursday 19 Nov 2026")
        .keys("g")
        .shows("Friday 13 Nov 2026");
}

#[test]
fn themes_are_seen_while_they_are_chosen() {
    let mut console = normal();
    console.keys("c").shows("Themes").keys("k");
    assert_eq!(console.effects, [Effect::Theme("color-blind".to_owned())]);
    console.keys("<Esc>");
    assert_eq!(
        console.effects.last(),
        Some(&Effect::Theme("ansi".to_owned())),
        "Esc brings the one before back"
    );
    console.keys("cj<Enter>").shows("Theme mono");
    assert_eq!(console.model.theme.as_deref(), Some("mono"));
    console.model.theme = None;
    console.keys("c").shows("colours are off");
}

#[test]
fn history_goes_back_and_forward() {
    let mut console = normal();
    console
        .keys("jj<Enter>7[")
        .shows("prod-eu > Backup")
        .keys("]")
        .shows("prod-eu > Timeline");
    console
        .keys("]")
        .shows("no screen was left")
        .keys("[[")
        .shows("Clusters")
        .keys("]]")
        .shows("Timeline");
    console.keys("[4]").shows("no screen was left");
}

#[test]
fn retention_is_tried_before_it_is_set() {
    let mut console = normal();
    console
        .keys("jj8")
        .shows("prod-eu > Retention")
        .shows("1 backup goes, 8 stay");
    console.keys("++").shows("9 days: a trial, nothing is changed");
    let asked = console.world.asked.lock().unwrap().clone();
    let tried =
        |q: &Question| matches!(q, Question::PreviewSettings { settings, .. } if settings.retention_days.get() == 9);
    assert!(asked.iter().any(tried));
    console.keys("D").shows("these days are only tried");
    console.keys("--").shows("as set").keys("-").shows("as set");
    console.keys("D").shows("Run the retention of prod-eu").keys("<Enter>");
    assert_eq!(console.world.acts(), [], "Enter alone deletes nothing");
    console.keys("Dy");
    assert!(matches!(
        console.world.acts().as_slice(),
        [Question::RunRetention { .. }]
    ));
}

#[test]
fn a_storage_is_tested_from_its_row() {
    let mut console = normal();
    console.keys("5V");
    assert!(matches!(
        console.world.acts().as_slice(),
        [Question::CheckStorage { .. }]
    ));
}

#[test]
fn settings_in_effect_say_where_each_value_came_from() {
    let mut console = normal();
    console
        .keys("9")
        .shows("data_dir")
        .shows("env BRINE_DATA_DIR")
        .shows("toml:12");
    console.keys("/prod-eu.path<Enter>").lacks("BRINE_DATA_DIR");
}

#[test]
fn the_overview_draws_what_was_seen() {
    let mut console = normal();
    console
        .keys("jj0")
        .shows("stored")
        .shows("RPO gap")
        .shows("scheduled backups took");
    for _ in 0..5 {
        console.wait(6_000);
    }
    console.shows("RPO gap").shows("log by table");
}

fn planned(console: &Console) -> brine::engine::point::RestoreRequest {
    let asked = console.world.asked.lock().unwrap();
    let request = asked.iter().rev().find_map(|q| match q {
        Question::PlanRestore { request } => Some(request.clone()),
        _ => None,
    });
    request.expect("a plan was asked for")
}

#[test]
fn tables_are_chosen_from_a_tree() {
    let mut console = normal();
    console
        .keys("jj<Enter>RT")
        .shows("Tables to restore")
        .shows("[-] shop")
        .shows("1 of 4");
    console
        .keys("sess<Space>")
        .shows("[x] shop.sessions")
        .keys("<Enter>")
        .shows("2 of 4 in the base");
    console.keys("<Enter>");
    let filter = planned(&console).filter;
    assert_eq!(filter.rules(), ["shop.order_items", "shop.sessions"]);
}

#[test]
fn a_change_is_restored_through() {
    let mut console = normal();
    console
        .keys("jj<Enter>Rw")
        .shows("Through a change")
        .shows("through DROP TABLE")
        .keys("<Enter>");
    assert!(matches!(planned(&console).point, RestorePoint::Through { .. }));
}

#[test]
fn another_base_is_planned_from() {
    let mut console = normal();
    console
        .keys("jj<Enter>R<Enter>o")
        .shows("Plan from another base")
        .keys("1")
        .shows("Restore 2/2: plan");
    let base = planned(&console).base.expect("a base was chosen");
    assert!(base.as_str().starts_with("20261119010004"), "{base}");
    assert_eq!(console.world.acts(), []);
}

#[test]
fn single_tables_get_new_names() {
    let mut console = normal();
    console.keys("jj<Enter>R<Tab><Tab><Tab><Tab><Ctrl-u>shop.orders=shop.orders_before<Enter>");
    assert_eq!(planned(&console).rename.0.len(), 1);
    let mut console = normal();
    console
        .keys("jj<Enter>R<Tab><Tab><Tab><Tab><Ctrl-u>orders=<Enter>")
        .shows("is not a rename");
}

#[test]
fn a_click_selects_and_a_click_on_the_selection_opens() {
    let mut console = normal();
    console.event(What::Click(2));
    console.event(What::Click(0));
    console.shows("prod-eu > Backup");
    console.event(What::Wheel(3));
    let row = console.picture().1.expect("a cursor").y;
    console.event(What::Wheel(-3));
    assert_eq!(console.picture().1.expect("a cursor").y + 3, row);
}

#[test]
fn the_tour_walks_by_itself_until_a_key_takes_over() {
    let options = || brine::tui::Options {
        tour: true,
        demo: Some(brine::tui::DemoStrip {
            cluster: cluster("prod-us"),
        }),
        ..Default::default()
    };
    let world = || crate::world::World {
        demo: true,
        ..crate::world::World::new(Mood::Normal)
    };
    let mut console = Console::with(world(), options(), (80, 24));
    console.shows("1/12").wait(7_000).shows("2/12").shows("> Backup");
    console
        .wait(8_000)
        .shows("3/12")
        .shows("> Timeline")
        .keys("<Space>")
        .shows("paused");
    console
        .wait(60_000)
        .shows("3/12")
        .keys("<Space>")
        .wait(2_000)
        .shows("4/12");
    assert!(matches!(console.world.acts().as_slice(), [Question::Accident { .. }]));
    console.keys("j").lacks("4/12");
    console.wait(60_000).lacks("5/12");
}

#[test]
fn lists_are_sorted_by_their_orders() {
    let mut console = normal();
    console.keys("s").shows("Sorted by name");
    let text = console.text();
    let place = |name: &str| text.find(name).unwrap();
    assert!(
        place("prod-eu") < place("prod-us") && place("prod-us") < place("staging"),
        "{text}"
    );
    console.keys("S").shows("the other way round");
    let text = console.text();
    assert!(text.find("staging") < text.find("prod-eu"), "{text}");
    console.keys("4s").keys("J").lacks("Sorted by RPO");
}

#[test]
fn a_chord_is_explained_only_when_it_takes_long() {
    let mut console = normal();
    console.keys("jj<Enter>y").lacks("Copy to the terminal's clipboard");
    console.wait(400).shows("Copy to the terminal's clipboard");
}

#[test]
fn old_data_is_shown_with_its_age_and_not_as_the_truth() {
    let mut console = normal();
    console.keys("jj<Enter>").lacks(" OLD ");
    console.world = std::sync::Arc::new(crate::world::World::new(Mood::Broken));
    console.wait(3 * 60_000).keys("r").shows("3 min OLD").shows("SNAPSHOT");
}

#[test]
fn help_is_searched() {
    let mut console = normal();
    console
        .keys("jj<Enter>?")
        .shows("Take a snapshot backup now")
        .keys("/verif");
    console.shows("Verify this backup").lacks("Take a snapshot backup now");
    console
        .keys("<Esc>")
        .shows("Take a snapshot backup now")
        .keys("<Esc>")
        .lacks("On this screen");
}

#[test]
fn an_operators_own_theme_is_offered_and_tried_like_the_others() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine.toml"), "inherits = \"ansi\"").unwrap();
    let (themes, bad) = brine::tui::theme::Library::read(dir.path());
    assert!(bad.is_empty(), "{bad:?}");
    let options = brine::tui::Options {
        themes,
        ..Default::default()
    };
    let mut console = Console::with(World::new(Mood::Normal), options, (80, 24));
    console
        .keys("c")
        .shows("mine")
        .shows("yours")
        .keys("<Up><Up><Up><Up><Up><Up><Up><Up><Enter>");
    console.shows("Theme mine");
    assert_eq!(console.effects.last(), Some(&Effect::Theme("mine".to_owned())));
}

#[test]
fn rebound_keys_work_and_are_shown() {
    let keys = [("backup.now", "b"), ("restore", "Ctrl-r"), ("themes", "")];
    let bound = |(id, key): (&str, &str)| (id.to_owned(), key.split_whitespace().map(str::to_owned).collect());
    let options = brine::tui::Options {
        keys: keys.map(bound).to_vec(),
        ..Default::default()
    };
    let mut console = Console::with(World::new(Mood::Normal), options, (80, 24));
    console.keys("jj<Enter>").shows("b Back up").shows("Ctrl-r Restore");
    console
        .keys("B")
        .lacks("Back up prod-eu now")
        .keys("b")
        .shows("Back up prod-eu now");
    console.keys("<Esc>c").lacks("Enter keeps it");
    console
        .keys("?")
        .shows("[backup.now]")
        .keys("/ctrl-r")
        .shows("[restore]");
    console
        .keys("<Esc><Esc>:choose a theme")
        .shows("Themes: Choose a theme")
        .keys("<Enter>")
        .shows("Enter keeps it");
}

#[test]
fn an_end_that_nobody_sees_rings_and_is_notified_as_the_config_wants() {
    use brine::config::Notify;
    let ended = |bell: bool, notify: Notify, focused: bool| {
        let options = brine::tui::Options {
            bell,
            notify,
            ..Default::default()
        };
        let mut console = Console::with(World::new(Mood::Normal), options, (80, 24));
        console.keys("jj<Enter>R<Enter>R");
        console.event(What::Focus(focused));
        *console.world.restored.lock().unwrap() = true;
        console.wait(1000);
        let notice = console
            .effects
            .iter()
            .any(|e| matches!(e, Effect::Notify(t) if t.contains("job 200")));
        (console.effects.contains(&Effect::Bell), notice)
    };
    assert_eq!(ended(true, Notify::Osc9, true), (false, false), "it was looked at");
    assert_eq!(ended(true, Notify::Osc777, false), (true, true));
    assert_eq!(ended(true, Notify::Off, false), (true, false));
    assert_eq!(ended(false, Notify::Osc9, false), (false, true));
    let options = brine::tui::Options {
        bell: false,
        ..Default::default()
    };
    let mut console = Console::with(World::new(Mood::Normal), options, (80, 24));
    console.keys("jj<Enter>D<Enter>");
    assert_eq!(console.effects, [], "no bell where none is wanted");
}

#[test]
fn the_first_run_has_tips_until_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let options = || brine::tui::Options {
        tips: Some(dir.path().join("seen")),
        ..Default::default()
    };
    let mut console = Console::with(World::new(Mood::Normal), options(), (80, 24));
    console.shows("upper case acts").shows("? lists the keys");
    console.keys("j").lacks("upper case acts");
    assert_eq!(console.effects, [Effect::TipsSeen]);
    console.keys("j");
    assert_eq!(console.effects.len(), 1);
    std::fs::write(dir.path().join("seen"), "").unwrap();
    Console::with(World::new(Mood::Normal), options(), (80, 24)).lacks("upper case acts");
}

#[test]
fn what_is_wrong_with_themes_is_said_at_the_start_and_kept() {
    let options = brine::tui::Options {
        warnings: vec!["theme `pale` is hard to read".to_owned()],
        ..Default::default()
    };
    let mut console = Console::with(World::new(Mood::Normal), options, (80, 24));
    console
        .shows("`pale` is hard to read")
        .wait(60_000)
        .keys("6")
        .shows("`pale` is hard to read");
}

#[test]
fn tables_get_new_names_in_another_cluster_too() {
    let mut console = normal();
    console
        .keys("jj<Enter>R<Tab><Tab><Tab><Right><Tab>")
        .shows("other cluster")
        .shows("empty: as they are");
    console.keys("<Enter>");
    assert!(
        planned(&console).rename.is_empty(),
        "the names stay when none are given"
    );
    console.keys("<Esc><Tab>shop=shop2 shop.orders=audit.orders<Enter>");
    let request = planned(&console);
    assert!(matches!(request.target, RestoreTarget::Cluster { .. }));
    assert_eq!(request.rename.0.len(), 2);
    console.keys("<Esc><Ctrl-u>shop2<Enter>").shows("is not a rename");
}

#[test]
fn the_moment_and_the_command_of_a_restore_can_be_copied() {
    let mut console = normal();
    console.keys("jj<Enter>Ryc");
    match console.effects.as_slice() {
        [Effect::Copy(text)] => assert!(
            text.starts_with("brine restore prod-eu --before ")
                && text.ends_with("--filter '`shop`.`order_items`' --beside --plan"),
            "{text}"
        ),
        other => panic!("{other:?}"),
    }
    console.keys("yi");
    assert!(matches!(console.effects.last(), Some(Effect::Copy(t)) if t.starts_with("2026-11-20 02:47:14")));
    console.keys("<Esc>7NNyi");
    assert!(matches!(console.effects.last(), Some(Effect::Copy(t)) if t.starts_with("2026-11-20 02:47:13")));
}

#[test]
fn what_the_typed_name_agrees_to_stands_beside_it() {
    let mut console = normal();
    console
        .keys("jj<Enter>R<Tab><Tab><Tab><Right><Right><Enter>")
        .shows("Overwrites prod-eu: 18,402 transactions lost, 12 sessions ended, 34-51 min.");
    // The cluster on top is protected.
    Console::new(Mood::Normal, (80, 24))
        .keys("<Enter>R<Enter>")
        .shows("Nothing is overwritten")
        .shows("prod-us is protected");
}

#[test]
fn the_timeline_says_to_which_history_a_moment_belongs() {
    let mut console = Console::new(Mood::Turned, (80, 24));
    console.keys("jj7").lacks("in the history before");
    console.keys("i<Ctrl-u>2026-11-16 12:00 Europe/Berlin<Enter>");
    console.shows("YES").shows("before the restore of 16 Nov 23:02");
    console.keys("n").shows("where a restore began a new history");
    let mut console = Console::new(Mood::Turned, (80, 24));
    console
        .keys("jj0")
        .shows("2 histories, the present one since 16 Nov 23:02");
    console
        .keys("2")
        .lacks("of an earlier history")
        .keys("G")
        .shows("of an earlier history");
    let mut console = normal();
    console
        .keys("jj0")
        .lacks("histories")
        .keys("2G")
        .lacks("of an earlier history");
}

#[test]
fn one_thing_is_done_with_all_marked_backups() {
    let mut console = normal();
    console.keys("jj<Enter><Space><Space>").shows("2 marked").keys("D");
    console
        .shows("Delete 2 backups of prod-eu")
        .shows("20 Nov 02:00")
        .shows("19 Nov 14:31")
        .shows("Restorable afterwards");
    console.keys("<Enter>").shows("Type prod-eu to confirm");
    assert_eq!(console.world.acts(), []);
    console.keys("prod-eu<Enter>");
    match console.world.acts().as_slice() {
        [
            Question::Delete { confirm_name: a, .. },
            Question::Delete { confirm_name: b, .. },
        ] => {
            assert_eq!((a.as_deref(), b.as_deref()), (Some("prod-eu"), Some("prod-eu")));
        }
        other => panic!("{other:?}"),
    }
    console.lacks("2 marked");
}

#[test]
fn marks_are_set_in_ranges_and_what_cannot_be_done_is_left_out_with_its_reason() {
    let mut console = normal();
    // The fourth run failed, the sixth backup is protected.
    console.keys("jj<Enter><Space>jjjjv").shows("6 marked").keys("P");
    console
        .shows("Protect 4 backups of prod-eu")
        .shows("left out")
        .shows("it is protected already")
        .keys("<Enter>");
    assert_eq!(console.world.acts().len(), 4);
    console.keys("<Space>*<Esc>").lacks("marked").shows("> Backup");
    console.keys("*V<Enter><Enter>");
    let verified = |q: &&Question| {
        matches!(
            q,
            Question::Verify {
                level: ProofLevel::Checksums,
                ..
            }
        )
    };
    assert_eq!(
        console.world.acts().iter().filter(verified).count(),
        9,
        "only those that are complete"
    );
    console.keys("/manual<Enter>*D").shows("Delete 1 backup of prod-eu");
    let mut console = normal();
    console
        .keys("jj<Enter>jjj<Space>V")
        .shows("with none of the marked backups: this run failed");
    console.keys("<Esc><Esc><Space>").shows("Clusters");
}

#[test]
fn filters_know_columns_letters_and_absences() {
    let mut console = normal();
    console
        .keys("jj<Enter>/type:manual<Enter>")
        .shows("manual")
        .lacks("x Failed");
    console
        .keys("/<Ctrl-u>status:fail<Enter>")
        .shows("x Failed")
        .shows("/status:fail");
    console
        .keys("/<Ctrl-u>!type:auto<Enter>")
        .shows("manual")
        .lacks("x Failed");
    console
        .keys("/<Ctrl-u>~mnl<Enter>")
        .shows("before the 8.4 upgrade")
        .lacks("x Failed");
    console.keys("/<Ctrl-u>~cmplt<Enter>g").lacks("x Failed");
    let row = |console: &mut Console| console.picture().1.unwrap().y;
    let first = row(&mut console);
    console.keys("n");
    assert_eq!(row(&mut console), first + 1);
    console.keys("NN");
    assert!(row(&mut console) > first + 1, "from the first line round to the last");
    console.keys("n");
    assert_eq!(row(&mut console), first);
    console.keys("<Esc>n").shows("this list has no filter");
    console
        .keys("4/verb:verify<Enter>")
        .shows("verify")
        .lacks("restore prod");
}
