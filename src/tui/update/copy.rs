//! What can be taken along from a screen: an id, a path, the command line that does the same, JSON; or all of a log, for a
//! pager.

use serde::Serialize;

use crate::model::clock::Millis;
use crate::model::job::LineLevel;
use crate::model::time;
use crate::tui::model::Model;
use crate::tui::screens::Screen;

/// A letter, what it is, and the text.
pub type Thing = (char, &'static str, String);

/// Whether values are written as JSON, or only named: a cluster's may be long, and hints ask at every picture.
#[derive(Clone, Copy)]
struct Json {
    wanted: bool,
}

impl Json {
    fn of(self, value: &impl Serialize) -> String {
        match self.wanted {
            true => serde_json::to_string_pretty(value).unwrap_or_default(),
            false => String::new(),
        }
    }
}

/// Whether anything can be copied now.
pub fn is_anything(m: &Model) -> bool {
    !collect(m, Json { wanted: false }).is_empty()
}

/// What can be copied now.
pub fn things(m: &Model) -> Vec<Thing> {
    collect(m, Json { wanted: true })
}

fn collect(m: &Model, json: Json) -> Vec<Thing> {
    match m.screen() {
        Screen::Fleet(s) => s.selected(m).map_or_else(Vec::new, |c| {
            let command = format!("brine cluster show {}", c.name);
            vec![
                ('i', "name", c.name.to_string()),
                ('c', "command", command),
                ('j', "JSON", json.of(c)),
            ]
        }),
        Screen::Backup(s) => s.selected(m).map_or_else(Vec::new, |b| {
            let id = &b.summary.id;
            let location = m.store.page(&s.cluster).map(|p| p.location.clone()).unwrap_or_default();
            vec![
                ('i', "id", id.to_string()),
                ('p', "path", format!("{}/snapshot-{id}", location.trim_end_matches('/'))),
                ('c', "command", format!("brine backup show {} {id}", s.cluster)),
                ('j', "JSON", json.of(b)),
            ]
        }),
        Screen::Schema(s) => s.selected(m).map_or_else(Vec::new, |t| {
            let command = format!("brine restore {} --latest --filter {} --plan", s.cluster, t.name);
            vec![
                ('i', "name", t.name.to_string()),
                ('c', "command", command),
                ('j', "JSON", json.of(t)),
            ]
        }),
        Screen::Log(s) => {
            let change = s.rows(m).into_iter().find(|c| Some(c.id.as_str()) == s.list.selected());
            change.map_or_else(Vec::new, |c| {
                let command = format!("brine restore {} --before {} --plan", s.cluster, c.id);
                vec![
                    ('i', "id", c.id.clone()),
                    ('c', "command", command),
                    ('j', "JSON", json.of(c)),
                ]
            })
        }
        Screen::Plan(_) => m.store.plan().map_or_else(Vec::new, |p| {
            vec![
                ('i', "plan hash", p.hash()),
                ('c', "command", p.command.clone()),
                ('j', "JSON", json.of(p)),
            ]
        }),
        Screen::Jobs(_) | Screen::Run(_) => super::enabled::job(m).map_or_else(
            |_| Vec::new(),
            |j| {
                let command = j.command.clone().unwrap_or_else(|| format!("brine job show {}", j.id));
                vec![
                    ('i', "id", j.id.to_string()),
                    ('c', "command", command),
                    ('j', "JSON", json.of(j)),
                ]
            },
        ),
        Screen::Storages(list) => {
            let found = m
                .store
                .storages()
                .unwrap_or_default()
                .iter()
                .find(|s| Some(s.name.as_str()) == list.selected());
            found.map_or_else(Vec::new, |s| {
                vec![
                    ('i', "name", s.name.to_string()),
                    ('p', "address", s.url.clone()),
                    ('j', "JSON", json.of(s)),
                ]
            })
        }
        Screen::Messages(list) => {
            let rows = crate::tui::screens::messages::rows(m, list);
            let found = rows.into_iter().find(|(id, _)| Some(id.as_str()) == list.selected());
            found.map_or_else(Vec::new, |(_, x)| {
                vec![('i', "text", x.text.clone()), ('j', "JSON", json.of(x))]
            })
        }
        Screen::Timeline(s) => s.moment(m).map_or_else(Vec::new, |at| {
            let zone = m.zone_of(Some(&s.cluster));
            let text = crate::model::time::exact(at.at, zone);
            let point = match s.change(m) {
                Some(c) => format!("--before {}", c.id),
                None => format!("--at '{text}'"),
            };
            vec![
                ('i', "moment", text),
                ('c', "command", format!("brine restore {} {point} --plan", s.cluster)),
                ('j', "JSON", json.of(&at)),
            ]
        }),
        Screen::Retention(s) => s.plan(m).map_or_else(Vec::new, |plan| {
            vec![
                ('c', "command", format!("brine retention plan {}", s.cluster)),
                ('j', "JSON", json.of(plan)),
            ]
        }),
        Screen::InEffect(list) => {
            let rows = crate::tui::screens::in_effect::rows(m, list);
            let found = rows.into_iter().find(|(key, ..)| Some(key.as_str()) == list.selected());
            found.map_or_else(Vec::new, |(key, value, _)| {
                vec![
                    ('i', "setting", key),
                    ('p', "value", value),
                    ('c', "command", "brine config show".to_owned()),
                ]
            })
        }
        Screen::Overview(s) => m.store.card(&s.cluster).map_or_else(Vec::new, |card| {
            vec![
                ('i', "name", s.cluster.to_string()),
                ('c', "command", format!("brine cluster show {}", s.cluster)),
                ('j', "JSON", json.of(card)),
            ]
        }),
        Screen::Restore(s) => {
            let moment = s.moment(m).map(|at| {
                let text = crate::model::time::exact(at.at, m.zone_of(Some(&s.cluster)));
                ('i', "moment", text)
            });
            let command = s
                .request(m)
                .ok()
                .map(|r| ('c', "command", format!("{} --plan", r.command_line(None))));
            moment.into_iter().chain(command).collect()
        }
    }
}

/// All of what the screen shows a window on, as lines for a pager: the messages, or a job's log. Oldest first, as in a file,
/// each with its own offset.
pub fn whole(m: &Model) -> Option<String> {
    let lines: Vec<(Millis, LineLevel, String)> = match m.screen() {
        Screen::Messages(list) => {
            let rows = crate::tui::screens::messages::rows(m, list);
            let said = rows.iter().rev().map(|(_, x)| {
                let cluster = x.cluster.as_ref().map(|c| format!("{c}: ")).unwrap_or_default();
                (x.at, x.level, format!("{cluster}{}", x.text))
            });
            said.collect()
        }
        Screen::Run(s) => {
            let lines = m.store.lines(s.job)?.iter();
            lines.map(|l| (l.at, l.level, l.text.clone())).collect()
        }
        _ => return None,
    };
    let line = |(at, level, text): &(Millis, LineLevel, String)| {
        let at = time::local(*at, m.zone_shown());
        let level = match level {
            LineLevel::Info => "       ",
            LineLevel::Warning => "warning",
            LineLevel::Error => "error  ",
        };
        format!("{at}  {level}  {}\n", m.told(text))
    };
    (!lines.is_empty()).then(|| lines.iter().map(line).collect())
}
