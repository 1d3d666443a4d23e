//! The console without threads: keys go in, the desk answers at once, pictures come out. Time stands still until told.

use std::sync::Arc;

use brine::model::clock::Millis;
use brine::service::desk::Desk;
use brine::tui::Options;
use brine::tui::event::{Effect, Event, What};
use brine::tui::glyphs::{ASCII, Glyphs};
use brine::tui::keys::{Key, Keymap};
use brine::tui::model::Model;
use brine::tui::theme::{Depth, Theme};
use brine::tui::update::update;
use brine::tui::view::{Look, ViewCache, view};
use crossterm::event::{KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::dump;
use crate::world::{Mood, NOW, World};

/// A console on a made-up desk.
pub struct Console {
    pub model: Model,
    pub world: Arc<World>,
    pub look: Look,
    pub cache: ViewCache,
    pub now: Millis,
    /// Effects that were not questions.
    pub effects: Vec<Effect>,
    /// Whether questions are not answered any more.
    pub silent: bool,
}

impl Console {
    pub fn new(mood: Mood, size: (u16, u16)) -> Console {
        Console::with(World::new(mood), Options::default(), size)
    }

    pub fn with(world: World, options: Options, size: (u16, u16)) -> Console {
        let mut model = Model::new(&options, Keymap::new(&options.keys).unwrap(), NOW, size);
        model.pid = 1;
        model.theme = Some("ansi".to_owned());
        let mut console = Console {
            model,
            world: Arc::new(world),
            look: look("mono", Depth::Mono, &ASCII),
            cache: ViewCache::default(),
            now: NOW,
            effects: Vec::new(),
            silent: false,
        };
        console.event(What::Deadline);
        console
    }

    /// A console whose first questions are not answered.
    pub fn unanswered(size: (u16, u16)) -> Console {
        let mut model = Model::new(&Options::default(), Keymap::new(&[]).unwrap(), NOW, size);
        model.pid = 1;
        let mut console = Console {
            model,
            world: Arc::new(World::new(Mood::Normal)),
            look: look("mono", Depth::Mono, &ASCII),
            cache: ViewCache::default(),
            now: NOW,
            effects: Vec::new(),
            silent: true,
        };
        console.event(What::Deadline);
        console
    }

    /// Feeds an event and everything that follows from it.
    pub fn event(&mut self, what: What) {
        let mut queue = vec![what];
        while let Some(what) = queue.pop() {
            let at = self.now;
            for effect in update(&mut self.model, Event { at, what }) {
                match effect {
                    Effect::Ask(..) if self.silent => {}
                    Effect::Ask(ticket, question) => {
                        let result = self.world.ask(*question);
                        queue.insert(0, What::Answered(ticket, Box::new(result)));
                    }
                    other => self.effects.push(other),
                }
            }
        }
    }

    /// Presses keys: characters, and names in angle brackets, as in `B<Enter>prod<Esc>`.
    pub fn keys(&mut self, text: &str) -> &mut Console {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let named = rest.strip_prefix('<').and_then(|r| r.split_once('>'));
            let (key, tail) = match named {
                Some((name, tail)) if name.parse::<Key>().is_ok() => (name.parse::<Key>().unwrap(), tail),
                _ => (c.to_string().parse::<Key>().unwrap(), &rest[c.len_utf8()..]),
            };
            rest = tail;
            let modifiers = if key.ctrl {
                KeyModifiers::CONTROL
            } else {
                KeyModifiers::NONE
            };
            self.event(What::Key(KeyEvent::new(key.code, modifiers)));
        }
        self
    }

    /// Lets time pass.
    pub fn wait(&mut self, ms: i64) -> &mut Console {
        self.now = self.now.plus(ms);
        self.event(What::Deadline);
        self
    }

    /// Paints.
    pub fn picture(&mut self) -> (Buffer, Option<Position>) {
        let (w, h) = self.model.size;
        let mut buf = Buffer::empty(Rect::new(0, 0, w, h));
        let cursor = view(&self.model, &mut self.cache, &self.look, &mut buf);
        (buf, cursor)
    }

    /// The characters on screen.
    pub fn text(&mut self) -> String {
        dump::text(&self.picture().0)
    }

    /// Asserts that the screen holds a text.
    #[track_caller]
    pub fn shows(&mut self, wanted: &str) -> &mut Console {
        let text = self.text();
        assert!(text.contains(wanted), "`{wanted}` is not on the screen:\n{text}");
        self
    }

    /// Asserts that the screen does not hold a text.
    #[track_caller]
    pub fn lacks(&mut self, unwanted: &str) -> &mut Console {
        let text = self.text();
        assert!(!text.contains(unwanted), "`{unwanted}` is on the screen:\n{text}");
        self
    }
}

/// A look by theme, depth and signs.
pub fn look(theme: &str, depth: Depth, glyphs: &'static Glyphs) -> Look {
    Look {
        theme: Theme::load(theme, depth).unwrap(),
        glyphs,
    }
}
