//! The only part that touches terminal, threads and signals: feeds events to `update`, runs its effects, paints.
//!
//! The picture is painted into a buffer first and goes to the terminal only when it differs from the last one, so
//! that ticking without change costs no bytes. Input is never made to wait for the frame limit.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::Sender;
use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{Event as TermEvent, EventStream, MouseButton, MouseEvent, MouseEventKind};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::{execute, queue};
use futures_util::{FutureExt as _, StreamExt};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::event::{Effect, Event, Ticket, What};
use super::glyphs::{ASCII, QUIET, UNICODE, wants_ascii};
use super::ground::{self, Heard};
use super::keys::Keymap;
use super::model::Model;
use super::terminal::{self, PanicGuard, Screen};
use super::theme::Depth;
use super::update::{next_deadline, update};
use super::view::{Look, ViewCache, view};
use super::{Exit, Options};
use crate::config::Notify;
use crate::model::job::LineLevel;
use crate::service::desk::{Answer, Desk, Question, Refusal, RefusalKind};
use crate::service::opening::OpeningDesk;

/// Pictures that no key asked for are at least this far apart.
const FRAME: Duration = Duration::from_millis(33);
/// Threads that ask the desk; slow plans must not hold up the rest.
const ASKERS: usize = 4;
/// How long one wait for a change lasts.
const PULSE_MS: u64 = 120_000;

/// So long the first picture waits for a desk that is about to open: a picture without data would only flicker, and an
/// error shall stand in the terminal as it was.
const OPENING: Duration = Duration::from_millis(8);

/// Runs the console.
pub fn run(desk: Arc<OpeningDesk>, options: Options) -> anyhow::Result<Exit> {
    terminal::check(options.env)?;
    if let Some(outcome) = desk.wait_for(OPENING) {
        outcome?;
    }
    let look = look(&options)?;
    let keymap = Keymap::new(&options.keys)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the console's event loop cannot be started")?;
    runtime.block_on(async {
        let (events, inbox) = unbounded_channel();
        let mut shell = Shell::start(desk, &options, keymap, look, events, inbox)?;
        let exit = shell.main_loop().await;
        shell.finish(exit)
    })
}

/// Theme and signs, from the options and the environment.
fn look(options: &Options) -> anyhow::Result<Look> {
    let env = options.env;
    let depth = depth(options);
    let theme = options.themes.load(&theme_name(options, depth), depth)?;
    let ascii = options.ascii || wants_ascii(&env);
    let glyphs = match (options.accessible, ascii) {
        (true, _) => &QUIET,
        (false, true) => &ASCII,
        (false, false) => &UNICODE,
    };
    Ok(Look { theme, glyphs })
}

/// How many colours there are.
fn depth(options: &Options) -> Depth {
    if options.no_color {
        Depth::Mono
    } else {
        Depth::detect(&options.env)
    }
}

/// The theme that was chosen, else the one that suits the terminal.
fn theme_name(options: &Options, depth: Depth) -> String {
    let by_itself = || match depth {
        Depth::Mono => "mono",
        Depth::Ansi16 => "ansi",
        Depth::Cube256 | Depth::True if light_ground(&options.env) => "brine-light",
        Depth::Cube256 | Depth::True => "brine-dark",
    };
    options.theme.clone().unwrap_or_else(|| by_itself().to_owned())
}

/// Whether the terminal says that its ground is light: `COLORFGBG` ends with the colour of the ground.
fn light_ground(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let ground = env("COLORFGBG").and_then(|v| v.rsplit(';').next().map(str::to_owned));
    matches!(ground.as_deref(), Some("7" | "15"))
}

/// Whether the terminal has to be asked for its ground: nobody else said which theme suits it, and the theme matters.
fn ground_is_unknown(options: &Options, depth: Depth) -> bool {
    let said = |name: &str| (options.env)(name).is_some_and(|v| !v.is_empty());
    options.theme.is_none() && matches!(depth, Depth::Cube256 | Depth::True) && !said("COLORFGBG")
}

/// The signals that concern the console.
struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    resume: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            resume: signal(SignalKind::from_raw(SIGCONT))?,
        })
    }

    async fn next(&mut self) -> What {
        tokio::select! {
            _ = self.terminate.recv() => What::Terminate,
            // Ctrl-C is a key here: this comes from elsewhere, and would leave the terminal as it is now.
            _ = self.interrupt.recv() => What::Terminate,
            _ = self.hangup.recv() => What::Hangup,
            _ = self.resume.recv() => What::Continued,
        }
    }
}

/// By then a signal that came before has been heard of.
const SETTLED: Duration = Duration::from_millis(50);

/// tokio has no name for it.
const SIGCONT: i32 = rustix::process::Signal::CONT.as_raw();

struct Shell {
    model: Model,
    look: Look,
    depth: Depth,
    /// Whether clicks and the wheel are listened to.
    mouse: bool,
    notify: Notify,
    /// tmux keeps sequences that it does not know to itself, unless they are wrapped.
    in_tmux: bool,
    /// What shows long texts.
    pager: Option<String>,
    tips: Option<PathBuf>,
    /// The terminal's title as it was last set.
    title: String,
    cache: ViewCache,
    screen: Screen,
    last: Option<(Buffer, Option<Position>)>,
    clock: Arc<dyn crate::model::clock::Clock>,
    inbox: UnboundedReceiver<What>,
    asking: Sender<(Ticket, Question)>,
    input: Option<EventStream>,
    signals: Signals,
    /// Whether the process shall be stopped.
    suspended: bool,
    /// What shall be shown in the pager.
    paged: Option<String>,
    /// Whether the terminal shall be asked for its ground.
    ask_ground: bool,
    ground: ground::Listener,
    guard: PanicGuard,
}

impl Shell {
    fn start(
        desk: Arc<OpeningDesk>,
        options: &Options,
        keymap: Keymap,
        look: Look,
        events: UnboundedSender<What>,
        inbox: UnboundedReceiver<What>,
    ) -> anyhow::Result<Shell> {
        let signals = Signals::new().context("signals cannot be listened to")?;
        let to_panic = events.clone();
        let guard = PanicGuard::new(move |text| drop(to_panic.send(What::Panicked(text))));
        let screen = terminal::take().inspect_err(|_| terminal::give_back())?;
        if options.mouse {
            terminal::listen_to_mouse()?;
        }
        let to_watch = events.clone();
        terminal::watch(move || drop(to_watch.send(What::Hangup)))?;
        let asking = askers(&desk, &events)?;
        pulse(desk, events)?;
        let size = screen.size().context("the terminal's size cannot be read")?;
        let mut model = Model::new(options, keymap, options.clock.now(), (size.width, size.height));
        model.pid = std::process::id();
        let depth = depth(options);
        model.theme = (depth != Depth::Mono).then(|| theme_name(options, depth));
        Ok(Shell {
            model,
            look,
            depth,
            mouse: options.mouse,
            notify: options.notify,
            pager: (options.env)("PAGER"),
            in_tmux: (options.env)("TMUX").is_some_and(|v| !v.is_empty()),
            tips: options.tips.clone(),
            title: String::new(),
            cache: ViewCache::default(),
            screen,
            last: None,
            clock: Arc::clone(&options.clock),
            inbox,
            asking,
            input: Some(EventStream::new()),
            signals,
            suspended: false,
            paged: None,
            ask_ground: ground_is_unknown(options, depth),
            ground: ground::Listener::default(),
            guard,
        })
    }

    /// Runs until something ends the console.
    async fn main_loop(&mut self) -> anyhow::Result<Exit> {
        if let Some(exit) = self.take(What::Deadline)? {
            return Ok(exit);
        }
        let mut dirty = true;
        let mut next_paint = Instant::now();
        loop {
            if dirty && Instant::now() >= next_paint {
                self.paint()?;
                self.ask_for_ground()?;
                dirty = false;
                next_paint = Instant::now() + FRAME;
            }
            let wake = self.wake(dirty.then_some(next_paint));
            let what = match self.wait(wake).await {
                What::Key(key) => match self.ground.take(&key) {
                    Heard::Key => What::Key(key),
                    Heard::Part => continue,
                    Heard::Ground(light) => What::Ground(light),
                },
                other => other,
            };
            if matches!(what, What::Key(_) | What::Paste(_) | What::Resize(..)) {
                next_paint = Instant::now();
            }
            if let Some(exit) = self.take(what)? {
                return Ok(exit);
            }
            if let Some(text) = self.paged.take() {
                self.page(&text).await?;
            }
            if std::mem::take(&mut self.suspended) {
                let stopped = self.clock.now();
                self.suspend().await?;
                let awake = What::Awake(self.clock.now().since(stopped));
                if let Some(exit) = self.take(awake)? {
                    return Ok(exit);
                }
            }
            // What has come in meanwhile belongs into the same picture.
            for _ in 0..256 {
                let Ok(what) = self.inbox.try_recv() else { break };
                if let Some(exit) = self.take(what)? {
                    return Ok(exit);
                }
            }
            dirty = true;
        }
    }

    /// When to wake up without an event.
    fn wake(&self, paint: Option<Instant>) -> Option<Instant> {
        let deadline = next_deadline(&self.model).map(|at| {
            let ms = at.since(self.clock.now()).clamp(10, 120_000);
            Instant::now() + Duration::from_millis(ms.unsigned_abs())
        });
        [paint, deadline].into_iter().flatten().min()
    }

    /// The next event; input goes first.
    async fn wait(&mut self, wake: Option<Instant>) -> What {
        let sleep = async move {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            what = next_input(&mut self.input, self.cache.rows, self.last.as_ref().and_then(|l| l.1)) => what,
            what = self.signals.next() => what,
            what = self.inbox.recv() => what.unwrap_or(What::Deadline),
            () = sleep => What::Deadline,
        }
    }

    /// Feeds one event and runs what it wants done.
    fn take(&mut self, what: What) -> anyhow::Result<Option<Exit>> {
        let event = Event {
            at: self.clock.now(),
            what,
        };
        for effect in update(&mut self.model, event) {
            match effect {
                Effect::Ask(ticket, question) => drop(self.asking.send((ticket, *question))),
                Effect::Copy(text) => self.copy(&text)?,
                Effect::Bell => self.print("\u{7}")?,
                Effect::Notify(text) => self.print(&terminal::notification(self.notify, &text, self.in_tmux))?,
                Effect::TipsSeen => self.note_tips(),
                Effect::Repaint => {
                    self.last = None;
                    terminal::clear(&mut self.screen)?;
                }
                Effect::Retake => self.retake()?,
                Effect::Theme(name) => {
                    self.look.theme = self.model.themes.load(&name, self.depth)?;
                    self.last = None;
                }
                Effect::Suspend => self.suspended = true,
                Effect::Page(text) => self.paged = Some(text),
                Effect::Quit(exit) => return Ok(Some(exit)),
                Effect::Fail(refusal) => return Err(refusal.into()),
            }
        }
        Ok(None)
    }

    /// Once, behind the first picture: no picture waits for the answer.
    fn ask_for_ground(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.ask_ground) {
            self.ground.asked();
            self.print(ground::QUESTION)?;
        }
        Ok(())
    }

    fn print(&self, text: &str) -> anyhow::Result<()> {
        execute!(std::io::stdout(), crossterm::style::Print(text)).context("the terminal cannot be written")
    }

    /// Where that cannot be noted, the tips come again the next time.
    fn note_tips(&self) {
        if let Some(file) = &self.tips {
            let _ = std::fs::write(file, "");
        }
    }

    fn copy(&self, text: &str) -> anyhow::Result<()> {
        execute!(std::io::stdout(), CopyToClipboard::to_clipboard_from(text)).context("the terminal cannot be written")
    }

    /// Gives the terminal back and stops; goes on from here when the shell continues the process.
    async fn suspend(&mut self) -> anyhow::Result<()> {
        self.stop_reading();
        terminal::give_back();
        terminal::stop()?;
        // This thread may run on for a moment before the stop reaches it: it must not take the terminal again then.
        self.signals.resume.recv().await;
        self.retake()
    }

    /// Gives the terminal to the pager, and takes it again when that has ended. Jobs go on meanwhile.
    async fn page(&mut self, text: &str) -> anyhow::Result<()> {
        self.stop_reading();
        terminal::give_back();
        let shown = terminal::page(self.pager.as_deref(), text);
        // Ctrl-C in the pager is meant for the pager, and reaches everybody at this terminal; it is heard of in the next
        // moment of rest.
        tokio::time::sleep(SETTLED).await;
        while self.signals.interrupt.recv().now_or_never().flatten().is_some() {}
        self.retake()?;
        if let Err(e) = shown {
            self.model
                .toast(LineLevel::Error, format!("The pager could not be used: {e:#}"));
        }
        Ok(())
    }

    /// Ends the reader: while the shell has the terminal, two readers would share the keys.
    fn stop_reading(&mut self) {
        self.input = None;
        // Dropping the reader leaves a wake-up call in crossterm 0.29. When the next reader found it together with a
        // key, it would take the call, and the key would lie unread until another one is pressed.
        let _ = crossterm::event::poll(Duration::ZERO);
    }

    /// Takes the terminal again.
    fn retake(&mut self) -> anyhow::Result<()> {
        self.stop_reading();
        self.screen = terminal::retake()?;
        if self.mouse {
            terminal::listen_to_mouse()?;
        }
        self.input = Some(EventStream::new());
        let size = self.screen.size().context("the terminal's size cannot be read")?;
        self.model.size = (size.width, size.height);
        self.last = None;
        Ok(())
    }

    /// Paints, if the picture has changed.
    fn paint(&mut self) -> anyhow::Result<()> {
        let (width, height) = self.model.size;
        let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
        let cursor = view(&self.model, &mut self.cache, &self.look, &mut buf);
        self.entitle()?;
        let picture = (buf, cursor);
        if self.last.as_ref() == Some(&picture) {
            return Ok(());
        }
        queue!(self.screen.backend_mut(), BeginSynchronizedUpdate).context("the terminal cannot be written")?;
        let drawn = self.screen.draw(|frame| {
            let area = frame.area().intersection(picture.0.area);
            for position in area.positions() {
                let from = picture.0.cell(position);
                let to = frame.buffer_mut().cell_mut(position);
                if let (Some(from), Some(to)) = (from, to) {
                    to.clone_from(from);
                }
            }
            if let Some(at) = picture.1 {
                frame.set_cursor_position(at);
            }
        });
        drawn.map(|_| ()).context("the terminal cannot be written")?;
        execute!(self.screen.backend_mut(), EndSynchronizedUpdate).context("the terminal cannot be written")?;
        self.last = Some(picture);
        Ok(())
    }

    /// Sets the terminal's title, when it has changed.
    fn entitle(&mut self) -> anyhow::Result<()> {
        let title = super::view::title(&self.model);
        if title != self.title {
            execute!(std::io::stdout(), crossterm::terminal::SetTitle(&title))
                .context("the terminal cannot be written")?;
            self.title = title;
        }
        Ok(())
    }

    /// Gives everything back. A terminal that is gone gets nothing more.
    fn finish(mut self, exit: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        let exit = match exit {
            // An error of a terminal that has hung up is the hang-up.
            Err(_) if terminal::hung_up() => Ok(Exit::TerminalLost),
            other => other,
        };
        if matches!(exit, Ok(Exit::TerminalLost)) {
            // Where only the signal came, whoever is at the terminal gets it back as it was.
            if !terminal::hung_up() {
                terminal::give_back();
            }
            let silent = terminal::abandon().context("the lost terminal cannot be given up")?;
            // Kept for the life of the process, as it goes on without a terminal.
            std::mem::forget(silent);
        }
        self.input = None;
        terminal::give_back();
        drop(self.guard);
        // The desk's threads end with the process; one may be in a long question.
        exit
    }
}

/// The next thing the terminal says; for ever nothing while there is no reader.
async fn next_input(input: &mut Option<EventStream>, rows: Option<Rect>, cursor: Option<Position>) -> What {
    let Some(stream) = input else {
        return std::future::pending().await;
    };
    loop {
        match stream.next().await {
            Some(Ok(TermEvent::Key(key))) => return What::Key(key),
            Some(Ok(TermEvent::Paste(text))) => return What::Paste(text),
            Some(Ok(TermEvent::Resize(width, height))) => return What::Resize(width, height),
            Some(Ok(TermEvent::Mouse(mouse))) => {
                if let Some(what) = of_mouse(mouse, rows, cursor) {
                    return what;
                }
            }
            Some(Ok(TermEvent::FocusGained)) => return What::Focus(true),
            Some(Ok(TermEvent::FocusLost)) => return What::Focus(false),
            Some(Err(_)) | None => return What::Hangup,
        }
    }
}

/// What the mouse means: a click on a line of the list, or the wheel.
fn of_mouse(mouse: MouseEvent, rows: Option<Rect>, cursor: Option<Position>) -> Option<What> {
    match mouse.kind {
        MouseEventKind::ScrollDown => Some(What::Wheel(3)),
        MouseEventKind::ScrollUp => Some(What::Wheel(-3)),
        MouseEventKind::Down(MouseButton::Left) => {
            let at = Position::new(mouse.column, mouse.row);
            let inside = rows.is_some_and(|r| r.contains(at));
            let by = i32::from(mouse.row) - i32::from(cursor?.y);
            inside.then_some(What::Click(by))
        }
        _ => None,
    }
}

/// Threads that ask the desk; a panic in the desk becomes a refusal, so that no question stays open.
fn askers(desk: &Arc<OpeningDesk>, events: &UnboundedSender<What>) -> anyhow::Result<Sender<(Ticket, Question)>> {
    let (asking, questions) = crossbeam_channel::unbounded::<(Ticket, Question)>();
    for n in 0..ASKERS {
        let (desk, events, questions) = (Arc::clone(desk), events.clone(), questions.clone());
        let work = move || {
            for (ticket, question) in questions {
                let result = ask(&*desk, question);
                if events.send(What::Answered(ticket, Box::new(result))).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("brine-desk-{n}"));
        thread.spawn(work).context("a thread that asks cannot be started")?;
    }
    Ok(asking)
}

fn ask(desk: &dyn Desk, question: Question) -> Result<Answer, Refusal> {
    let asked = std::panic::AssertUnwindSafe(|| desk.ask(question));
    std::panic::catch_unwind(asked).unwrap_or_else(|_| {
        Err(Refusal {
            kind: RefusalKind::Failed,
            chain: vec!["a part of brine failed while answering".to_owned()],
            hint: Some("See Messages (M); this is a bug worth reporting".to_owned()),
        })
    })
}

/// A thread that waits for changes at the desk and says so, or that the desk could not be opened.
fn pulse(desk: Arc<OpeningDesk>, events: UnboundedSender<What>) -> anyhow::Result<()> {
    let work = move || {
        if let Err(refusal) = desk.wait() {
            // A console that has ended meanwhile needs no word of it.
            return drop(events.send(What::NotOpened(refusal)));
        }
        let mut since = 0;
        loop {
            let question = Question::Pulse {
                since,
                timeout_ms: PULSE_MS,
            };
            let result = match ask(&*desk, question) {
                Ok(Answer::Pulse(version)) if version == since => continue,
                Ok(Answer::Pulse(version)) => {
                    since = version;
                    Ok(version)
                }
                Ok(_) => return,
                Err(refusal) => Err(refusal),
            };
            let failed = result.is_err();
            if events.send(What::Pulse(result)).is_err() {
                return;
            }
            if failed {
                std::thread::sleep(Duration::from_secs(2));
            }
        }
    };
    let thread = std::thread::Builder::new().name("brine-pulse".to_owned());
    thread
        .spawn(work)
        .context("the thread that waits for changes cannot be started")?;
    Ok(())
}
