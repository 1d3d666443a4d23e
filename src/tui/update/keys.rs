//! Where a key goes: the popup on top, the filter, a text field, then the commands of the screen.

use crossterm::event::KeyCode;
use tui_input::Input;

use super::{go, run};
use crate::model::job::LineLevel;
use crate::service::desk::Question;
use crate::tui::commands::Cmd;
use crate::tui::event::{Effect, Query};
use crate::tui::keys::Key;
use crate::tui::model::Model;
use crate::tui::popups::form::{self, edit};
use crate::tui::popups::menu::{self, Pick};
use crate::tui::popups::palette::{self, Goal};
use crate::tui::popups::{Popup, acts};
use crate::tui::popups::{tables, themes};
use crate::tui::screens::Screen;
use crate::tui::screens::plan::Plan;
use crate::tui::screens::restore::{Focus, Which};

/// Takes a key.
pub fn on_key(m: &mut Model, key: Key) -> Vec<Effect> {
    if key.ctrl && matches!(key.code, KeyCode::Char('c' | 'l' | 'z')) {
        return on_command(m, key);
    }
    if m.too_small() && m.popups.is_empty() && !matches!(key.code, KeyCode::Char('q' | 'X')) {
        return Vec::new();
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

fn on_command(m: &mut Model, key: Key) -> Vec<Effect> {
    let Some(command) = m.keymap.find(key, m.scope()) else {
        return Vec::new();
    };
    go::attempt(m, command.cmd)
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
            m.popups.push(Popup::Palette(palette));
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

fn keep(m: &mut Model, popup: Popup) -> Vec<Effect> {
    m.popups.push(popup);
    Vec::new()
}

fn picked(m: &mut Model, pick: Pick) -> Vec<Effect> {
    match pick {
        Pick::Open(subject) => acts::open(m, *subject),
        Pick::Copy(text) => {
            m.toast(LineLevel::Info, "Sent to the terminal's clipboard.");
            vec![Effect::Copy(text)]
        }
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
