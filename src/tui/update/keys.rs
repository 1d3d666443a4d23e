//! Where a key goes: the popup on top, the filter, a text field, then the commands of the screen.

use crossterm::event::KeyCode;
use tui_input::Input;

use super::{go, run};
use crate::model::job::LineLevel;
use crate::model::size;
use crate::service::desk::Question;
use crate::tui::commands::{Cmd, Scope};
use crate::tui::event::{Effect, Query};
use crate::tui::keys::Key;
use crate::tui::model::Model;
use crate::tui::popups::form::{self, edit};
use crate::tui::popups::forms::Subject;
use crate::tui::popups::menu::{self, Pick};
use crate::tui::popups::palette::{self, Goal};
use crate::tui::popups::{Popup, acts};
use crate::tui::popups::{tables, themes, twin};
use crate::tui::screens::Screen;
use crate::tui::screens::plan::Plan;
use crate::tui::screens::restore::{Focus, Which};
use crate::tui::update::enabled::enabled;

/// A terminal's clipboard takes no more than this.
const CLIPBOARD: usize = 74_000;

/// Takes a key.
pub fn on_key(m: &mut Model, key: Key) -> Vec<Effect> {
    if key.ctrl && matches!(key.code, KeyCode::Char('c' | 'l' | 'z')) {
        return on_command(m, key);
    }
    if m.too_small() && m.popups.is_empty() {
        return on_small(m, key);
    }
    if let Some(popup) = m.popups.pop() {
        return on_popup(m, popup, key);
    }
    if m.filtering {
        return on_filter(m, key);
    }
    if on_text(m, key) {
        return Vec::new();
    }
    on_command(m, key)
}

/// Where no screen is shown: leaving, and stopping the job that is.
fn on_small(m: &mut Model, key: Key) -> Vec<Effect> {
    let command = m.keymap.find(key, m.scope()).or_else(|| m.keymap.find(key, Scope::Run));
    match command.map(|c| c.cmd) {
        Some(Cmd::QuitOrBack) => go::attempt(m, Cmd::QuitOrBack),
        Some(Cmd::CancelJob) => match m.store.running().first().map(|j| (j.id, enabled(Cmd::CancelJob, m))) {
            Some((job, Ok(()))) => acts::open(m, Subject::Cancel { job }),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn on_command(m: &mut Model, key: Key) -> Vec<Effect> {
    match m.keymap.find(key, m.scope()) {
        Some(command) => go::attempt(m, command.cmd),
        None => elsewhere(m, key),
    }
}

/// A key that means something on other screens only: says where, so that none is dead.
fn elsewhere(m: &mut Model, key: Key) -> Vec<Effect> {
    let found = m.keymap.all(key);
    if !m.is_demo() && found.iter().any(|c| c.cmd == Cmd::Accident) {
        return go::attempt(m, Cmd::GoMessages);
    }
    // Moving about is not worth a word.
    let told = found.iter().filter(|c| c.priority > 0 && c.cmd != Cmd::NextField);
    let words: Vec<String> = told
        .map(|c| {
            let names: Vec<&str> = c.scopes.iter().take(2).map(|s| s.words()).collect();
            format!("{} on {}", c.label, names.join(" and "))
        })
        .collect();
    if !words.is_empty() {
        let text = format!("{key} does nothing here; it is {}.", words.join(", "));
        m.toast(LineLevel::Info, text);
    }
    Vec::new()
}

/// Text fields of a screen take what they can; true when one did.
fn on_text(m: &mut Model, key: Key) -> bool {
    match m.screen_mut() {
        Screen::Restore(s) => s.on_text_key(key),
        Screen::Timeline(s) => match &mut s.typing {
            Some(input) => {
                s.error = None;
                edit(input, key)
            }
            None => false,
        },
        Screen::Plan(s) if s.typing && s.started.is_none() => {
            let taken = edit(&mut s.name, key);
            if taken {
                s.error = None;
            }
            taken
        }
        _ => false,
    }
}

/// The filter is being typed: Enter keeps it, Esc clears it, arrows move in the list.
fn on_filter(m: &mut Model, key: Key) -> Vec<Effect> {
    match key.code {
        KeyCode::Enter | KeyCode::Tab => m.filtering = false,
        KeyCode::Esc => {
            m.filtering = false;
            if let Some(list) = m.list_mut() {
                list.filter.reset();
            }
        }
        KeyCode::Down => return go::attempt(m, Cmd::Down),
        KeyCode::Up => return go::attempt(m, Cmd::Up),
        _ => {
            if let Some(list) = m.list_mut() {
                edit(&mut list.filter, key);
            }
        }
    }
    Vec::new()
}

/// Pasted text fills text fields; it never presses keys and never confirms.
pub fn on_paste(m: &mut Model, text: &str) -> Vec<Effect> {
    match m.popups.pop() {
        Some(Popup::Form(mut form)) => {
            let outcome = form.on_paste(text);
            let effects = if outcome == form::Outcome::Changed {
                acts::changed(m, &mut form)
            } else {
                Vec::new()
            };
            m.popups.push(Popup::Form(form));
            return effects;
        }
        Some(Popup::Palette(mut palette)) => {
            form::paste(&mut palette.input, text);
            palette.at = 0;
            m.popups.push(Popup::Palette(palette));
            return Vec::new();
        }
        Some(Popup::Tables(mut tables)) => {
            tables.on_paste(text);
            m.popups.push(Popup::Tables(tables));
            return Vec::new();
        }
        Some(Popup::Help(mut help)) => {
            help.on_paste(text);
            m.popups.push(Popup::Help(help));
            return Vec::new();
        }
        Some(other) => {
            m.popups.push(other);
            return Vec::new();
        }
        None => {}
    }
    if m.filtering {
        if let Some(list) = m.list_mut() {
            form::paste(&mut list.filter, text);
        }
        return Vec::new();
    }
    match m.screen_mut() {
        Screen::Restore(s) => {
            if let Some(input) = s.input_mut() {
                form::paste(input, text);
                s.error = None;
            }
        }
        Screen::Timeline(s) => {
            if let Some(input) = &mut s.typing {
                form::paste(input, text);
                s.error = None;
            }
        }
        Screen::Plan(s) if s.typing => {
            s.error = Some("Pasted text does not confirm anything: type the name.".to_owned())
        }
        _ => {}
    }
    Vec::new()
}

fn on_popup(m: &mut Model, popup: Popup, key: Key) -> Vec<Effect> {
    match popup {
        Popup::Form(mut form) => match form.on_key(key) {
            form::Outcome::Close => Vec::new(),
            form::Outcome::Stay => keep(m, Popup::Form(form)),
            form::Outcome::Copy => {
                let commands = twin::commands(&form);
                m.popups.push(Popup::Form(form));
                copy_commands(m, &commands)
            }
            form::Outcome::Changed => {
                let effects = acts::changed(m, &mut form);
                m.popups.push(Popup::Form(form));
                effects
            }
            form::Outcome::Press(button) => match acts::press(m, &form, button) {
                Ok(effects) => effects,
                Err(why) => {
                    form.error = Some(why);
                    m.popups.push(Popup::Form(form));
                    vec![Effect::Bell]
                }
            },
        },
        Popup::Menu(mut menu) => match menu.on_key(key) {
            menu::Outcome::Close => Vec::new(),
            menu::Outcome::Stay => keep(m, Popup::Menu(menu)),
            menu::Outcome::Pick(n) => match menu.items.get(n).map(|i| i.pick.clone()) {
                Some(Ok(pick)) => picked(m, pick),
                Some(Err(why)) => {
                    m.toast(LineLevel::Info, format!("Not now: {why}"));
                    keep(m, Popup::Menu(menu))
                }
                None => keep(m, Popup::Menu(menu)),
            },
        },
        Popup::Tables(mut picker) => match picker.on_key(key) {
            tables::Outcome::Stay => keep(m, Popup::Tables(picker)),
            tables::Outcome::Close => Vec::new(),
            tables::Outcome::Keep(rules) => {
                run::with_restore(m, |s, _| {
                    (s.which, s.which_chosen, s.focus) = (Which::Chosen, true, Focus::Tables);
                    (s.tables, s.error) = (Input::new(rules), None);
                });
                Vec::new()
            }
        },
        Popup::Themes(mut themes) => match themes.on_key(key) {
            themes::Outcome::Stay => keep(m, Popup::Themes(themes)),
            themes::Outcome::Show(name) => {
                m.popups.push(Popup::Themes(themes));
                vec![Effect::Theme(name)]
            }
            themes::Outcome::Close(name) => vec![Effect::Theme(name)],
            themes::Outcome::Keep(name) => {
                m.theme = Some(name.clone());
                let text = format!("Theme {name}. To keep it, write theme = \"{name}\" below [console] in the config.");
                m.toast(LineLevel::Info, text);
                vec![Effect::Theme(name)]
            }
        },
        Popup::Help(mut help) => match help.on_key(key) {
            true => Vec::new(),
            false => keep(m, Popup::Help(help)),
        },
        Popup::Palette(mut palette) => match palette.on_key(key) {
            palette::Outcome::Close => Vec::new(),
            palette::Outcome::Stay => {
                let last = palette.entries(m).len().saturating_sub(1);
                palette.at = palette.at.min(last);
                keep(m, Popup::Palette(palette))
            }
            palette::Outcome::Pick(n) => match palette.entries(m).into_iter().nth(n).map(|e| e.goal) {
                Some(Ok(Goal::Run(cmd))) => go::attempt(m, cmd),
                Some(Ok(Goal::Visit(cluster))) => run::open_backup(m, cluster),
                Some(Err(why)) => {
                    m.toast(LineLevel::Info, format!("Not now: {why}"));
                    keep(m, Popup::Palette(palette))
                }
                None => keep(m, Popup::Palette(palette)),
            },
        },
    }
}

/// Copies the command lines that do the same as a form.
fn copy_commands(m: &mut Model, commands: &[String]) -> Vec<Effect> {
    if commands.is_empty() {
        m.toast(LineLevel::Info, "Nothing to copy: no command line does this.");
        return Vec::new();
    }
    copy(m, commands.join("\n"))
}

/// Sends a text to the terminal's clipboard. A part of it would look like the whole: what is too long is not sent.
fn copy(m: &mut Model, text: String) -> Vec<Effect> {
    if text.len() > CLIPBOARD {
        let (is, most) = (size::iec(text.len() as u64), size::iec(CLIPBOARD as u64));
        let text = format!("Not copied: it is {is}, and terminals take {most}. The command with --json prints it.");
        m.toast(LineLevel::Warning, text);
        return Vec::new();
    }
    // Nobody can know whether it has arrived.
    m.toast(LineLevel::Info, "Sent to the terminal's clipboard.");
    vec![Effect::Copy(text)]
}

fn keep(m: &mut Model, popup: Popup) -> Vec<Effect> {
    m.popups.push(popup);
    Vec::new()
}

fn picked(m: &mut Model, pick: Pick) -> Vec<Effect> {
    match pick {
        Pick::Open(subject) => acts::open(m, *subject),
        Pick::Copy(text) => copy(m, text),
        Pick::Replan(request) => {
            if let Screen::Plan(s) = m.screen_mut() {
                let source = s.source.clone();
                **s = Plan::new(source, false);
            }
            let request = *request;
            vec![m.store.ask_anew(Query::RestorePlan, Question::PlanRestore { request })]
        }
    }
}
