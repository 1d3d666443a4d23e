//! The tour of the demo: presses the keys of a story by itself, and says what is seen.
//!
//! Space pauses and goes on. Any other key ends the tour and does what it always does.

use crossterm::event::{KeyEvent, KeyModifiers};

use super::event::Effect;
use super::keys::Key;
use super::model::Model;
use super::screens::Screen;
use super::update::keys::on_key;
use crate::model::clock::Millis;
use crate::model::log::ChangeKind;

/// What a step waits for before its keys are pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Only its time.
    Ready,
    /// The newest change that is archived is a dropped table.
    DropSeen,
    /// The plan has been made.
    Planned,
    /// The job that is looked at has ended.
    Ended,
}

/// A step: its keys are pressed when it begins, then its caption stands for so many seconds.
struct Step {
    when: When,
    keys: &'static str,
    seconds: i64,
    caption: &'static str,
}

const fn step(when: When, keys: &'static str, seconds: i64, caption: &'static str) -> Step {
    Step {
        when,
        keys,
        seconds,
        caption,
    }
}

/// The story. `$` stands for the cluster's name, typed.
const STORY: &[Step] = &[
    step(
        When::Ready,
        "",
        6,
        "One line a cluster: its health, how much would be lost now, and the bar of moments that can be restored.",
    ),
    step(
        When::Ready,
        "<Enter>",
        7,
        "Enter opens the Backup page: every snapshot with its proof, and how far its log reaches.",
    ),
    step(
        When::Ready,
        "7",
        7,
        "7 is the Timeline: the month, and the bar with bases, archived log, gaps and changes.",
    ),
    step(
        When::Ready,
        "!dy",
        5,
        "An accident: somebody drops the table shop.orders. The shop at the bottom cannot sell any more.",
    ),
    step(
        When::DropSeen,
        "GN",
        7,
        "Within seconds the DROP is archived and on the bar. N goes to it: the moment just before it.",
    ),
    step(
        When::Ready,
        "<Enter>",
        6,
        "Enter starts the restore there. By itself it would bring that table back beside the live ones.",
    ),
    step(
        When::Ready,
        "<Tab><Right><Tab><Right><Right>",
        6,
        "This time everything goes back in place: What: whole cluster. Where: IN PLACE.",
    ),
    step(
        When::Ready,
        "<Enter>",
        3,
        "The plan: what is lost, how long it takes, and every check. Nothing has changed yet.",
    ),
    step(
        When::Planned,
        "",
        8,
        "The plan names the last transaction in and the first one out. In place wants the name typed.",
    ),
    step(
        When::Ready,
        "$<Enter>",
        4,
        "It runs exactly that plan: closed, restored, compared, opened again.",
    ),
    step(
        When::Ended,
        "",
        9,
        "The receipt: what came back, compared with what, and what to do next. The shop sells again.",
    ),
    step(
        When::Ready,
        "<Home>",
        8,
        "u would undo even that, for 7 days. This was the tour: the console is yours, q leaves.",
    ),
];

/// A tour under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tour {
    /// The step whose caption is shown; its keys were pressed.
    at: usize,
    /// When the next one may begin.
    due: Millis,
    paused: bool,
    began: Millis,
}

impl Tour {
    /// A tour that begins now.
    pub fn new(now: Millis) -> Tour {
        Tour {
            at: 0,
            due: now.plus(STORY.first().map_or(0, |s| s.seconds) * Millis::SECOND),
            paused: false,
            began: now,
        }
    }

    /// What is being seen.
    pub fn caption(&self) -> String {
        let text = STORY.get(self.at).map_or("", |s| s.caption);
        let how = if self.paused {
            "paused, Space goes on"
        } else {
            "Space pauses"
        };
        format!("{}/{} {text} ({how})", self.at + 1, STORY.len())
    }

    /// When something will happen.
    pub fn deadline(&self, now: Millis) -> Option<Millis> {
        // What it waits for beyond its time is looked for twice a second.
        (!self.paused).then(|| self.due.max(now.plus(500)))
    }
}

/// A key of the operator: true when the tour took it.
pub fn takes(m: &mut Model, key: Key) -> bool {
    let Some(tour) = &mut m.tour else { return false };
    if key.code == crossterm::event::KeyCode::Char(' ') {
        tour.paused = !tour.paused;
        tour.due = m.now.plus(Millis::SECOND);
        return true;
    }
    m.tour = None;
    false
}

/// Goes on with the story when it is time.
pub fn tick(m: &mut Model) -> Vec<Effect> {
    let Some(tour) = m.tour.clone().filter(|t| !t.paused && t.due <= m.now) else {
        return Vec::new();
    };
    let Some(next) = STORY.get(tour.at + 1) else {
        m.tour = None;
        return Vec::new();
    };
    if !ready(m, &tour, next.when) {
        return Vec::new();
    }
    // Notices would lie over what is explained.
    m.toasts.clear();
    m.tour = None;
    let mut effects = Vec::new();
    for key in keys(m, next.keys) {
        effects.extend(on_key(m, key));
        super::update::settle(m);
    }
    m.tour = Some(Tour {
        at: tour.at + 1,
        due: m.now.plus(next.seconds * Millis::SECOND),
        ..tour
    });
    effects
}

fn ready(m: &Model, tour: &Tour, when: When) -> bool {
    match when {
        When::Ready => true,
        When::Planned => m.store.plan().is_some(),
        When::Ended => match m.screen() {
            Screen::Run(run) => m.store.job(run.job).is_some_and(|j| j.state.is_over()),
            _ => false,
        },
        When::DropSeen => {
            let Some(cluster) = m.cluster() else { return false };
            let newest = m.store.changes(&cluster, false).and_then(|c| c.first());
            newest.is_some_and(|c| c.at.at >= tour.began && matches!(c.kind, ChangeKind::Ddl { .. }))
        }
    }
}

/// The keys of a step: characters, names in angle brackets, and `$` for the cluster's name.
fn keys(m: &Model, text: &str) -> Vec<Key> {
    let name = m.cluster().map(|c| c.to_string()).unwrap_or_default();
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|r| r.split_once('>'));
        let named = named.and_then(|(name, tail)| Some((name.parse::<Key>().ok()?, tail)));
        match (named, c) {
            (Some((key, tail)), _) => {
                out.push(key);
                rest = tail;
                continue;
            }
            (None, '$') => out.extend(name.chars().map(character)),
            (None, c) => out.push(character(c)),
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}

fn character(c: char) -> Key {
    Key::from(KeyEvent::new(crossterm::event::KeyCode::Char(c), KeyModifiers::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_fit_two_lines_of_80() {
        for (at, _) in STORY.iter().enumerate() {
            let tour = Tour {
                at,
                paused: true,
                ..Tour::new(Millis(0))
            };
            assert!(tour.caption().len() <= 156, "{}", tour.caption());
        }
    }
}
