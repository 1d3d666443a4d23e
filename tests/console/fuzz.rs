//! Ten thousand random events at random sizes: no panic, a valid selection, nothing outside the screen.

use brine::tui::event::What;
use brine::tui::glyphs::UNICODE;
use brine::tui::theme::Depth;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::harness::{Console, look};
use crate::world::Mood;

const CODES: [KeyCode; 16] = [
    KeyCode::Enter,
    KeyCode::Esc,
    KeyCode::Tab,
    KeyCode::BackTab,
    KeyCode::Up,
    KeyCode::Down,
    KeyCode::Left,
    KeyCode::Right,
    KeyCode::PageUp,
    KeyCode::PageDown,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::Backspace,
    KeyCode::Delete,
    KeyCode::F(1),
    KeyCode::Null,
];

fn random_event(random: &mut fastrand::Rng) -> What {
    match random.u8(..100) {
        0..=2 => What::Resize(random.u16(1..200), random.u16(1..60)),
        3 => What::Paste("prod-eu\nx\u{1b}[2J日本".to_owned()),
        4 => What::Pulse(Ok(random.u64(..))),
        5..=10 => What::Deadline,
        11..=45 => key(CODES[random.usize(..CODES.len())], KeyModifiers::NONE),
        46..=48 => key(KeyCode::Char(random.char('a'..='z')), KeyModifiers::CONTROL),
        49 => key(KeyCode::Char(random.char(..)), KeyModifiers::NONE),
        _ => key(KeyCode::Char(random.char(' '..='~')), KeyModifiers::NONE),
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> What {
    What::Key(KeyEvent::new(code, modifiers))
}

#[test]
fn ten_thousand_random_events() {
    let seed = std::env::var("BRINE_TEST_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(7);
    let mut random = fastrand::Rng::with_seed(seed);
    for mood in [Mood::Normal, Mood::Empty, Mood::Broken, Mood::Hostile] {
        let mut console = Console::new(mood, (80, 24));
        console.look = look("brine-dark", Depth::True, &UNICODE);
        for n in 0..2_500 {
            console.now = console.now.plus(random.i64(0..3000));
            let event = random_event(&mut random);
            console.event(event);
            let (buf, cursor) = console.picture();
            assert!(
                cursor.is_none_or(|c| buf.area.contains(c)),
                "seed {seed}, event {n}: cursor outside"
            );
            let ids = console.model.screen().ids(&console.model);
            if let Some(list) = console.model.screen().list().filter(|_| !ids.is_empty()) {
                let selected = list.selected().expect("a list with lines has a selection");
                assert!(
                    ids.iter().any(|id| id == selected),
                    "seed {seed}, event {n}: {selected} is not in the list"
                );
            }
        }
    }
}
