//! Doing one thing with all marked backups: which it is done with, which are left out and why, and what it asks for.

use super::forms::Lines;
use crate::model::backup::{BackupEntry, ProofLevel};
use crate::model::ids::{BackupId, ClusterName};
use crate::model::size;
use crate::model::time;
use crate::model::window::Window;
use crate::service::desk::Question;
use crate::tui::commands::Cmd;
use crate::tui::model::Model;
use crate::tui::screens::Screen;
use crate::tui::theme::Meaning;
use crate::tui::update::enabled::{complete_entry, deletable, in_trash};
use crate::tui::widgets::status::plural;

/// So many backups are listed.
const LISTED: usize = 6;

/// What is done with all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Verified, to a level that is chosen.
    Verify,
    /// Kept until unprotected.
    Protect,
    /// No longer kept whatever the rules say.
    Unprotect,
    /// Put into the trash.
    Delete,
    /// Taken out of it.
    Undelete,
}

/// The marked backups that are shown, and what shall be done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Whose.
    pub cluster: ClusterName,
    /// What.
    pub act: Act,
    /// With these.
    pub ids: Vec<BackupId>,
    /// Not with these, and why.
    pub left_out: Vec<(BackupId, String)>,
}

impl Marked {
    /// What a command would do with the marked backups; nothing when none is marked or it is about one alone.
    pub fn of(m: &Model, cmd: Cmd) -> Option<Marked> {
        let Screen::Backup(s) = m.screen() else { return None };
        let all = s.marked(m);
        let protects = all.iter().any(|b| b.protection.is_none() && complete_entry(b).is_ok());
        let act = match cmd {
            Cmd::Verify => Act::Verify,
            Cmd::Protect if protects => Act::Protect,
            Cmd::Protect => Act::Unprotect,
            Cmd::Delete => Act::Delete,
            Cmd::Undelete => Act::Undelete,
            _ => return None,
        };
        let (mut ids, mut left_out) = (Vec::new(), Vec::new());
        for b in &all {
            match possible(act, b) {
                Ok(()) => ids.push(b.summary.id.clone()),
                Err(why) => left_out.push((b.summary.id.clone(), why)),
            }
        }
        (!all.is_empty()).then(|| Marked {
            cluster: s.cluster.clone(),
            act,
            ids,
            left_out,
        })
    }

    /// Whether it can be done with any of them; else why not.
    pub fn possible(&self) -> Result<(), String> {
        match (self.ids.is_empty(), self.left_out.first()) {
            (true, Some((_, why))) => Err(format!("with none of the marked backups: {why}")),
            _ => Ok(()),
        }
    }

    /// The words of the form's title.
    pub fn title(&self) -> String {
        let verb = match self.act {
            Act::Verify => "Verify",
            Act::Protect => "Protect",
            Act::Unprotect => "Unprotect",
            Act::Delete => "Delete",
            Act::Undelete => "Undelete",
        };
        format!("{verb} {} of {}", plural(self.ids.len() as u64, "backup"), self.cluster)
    }

    /// The button on which the focus stands first: the act, where nothing is lost by it.
    pub fn first_button(&self) -> usize {
        match self.act {
            Act::Verify | Act::Protect | Act::Undelete => 1,
            Act::Unprotect | Act::Delete => 0,
        }
    }

    /// The word on the button that does it.
    pub fn button(&self) -> &'static str {
        match self.act {
            Act::Verify => "Verify",
            Act::Protect => "Protect",
            Act::Unprotect => "Unprotect",
            Act::Delete => "Delete",
            Act::Undelete => "Undelete",
        }
    }

    /// The text above the fields.
    pub fn body(&self, m: &Model) -> Lines {
        let mut out: Lines = Vec::new();
        let line = |id: &BackupId| {
            entry(m, &self.cluster, id).map_or_else(
                || id.to_string(),
                |b| {
                    let s = &b.summary;
                    let (at, kind) = (m.stamp(s.commit.at), s.kind.word());
                    format!("{at}  {kind:<8} {:>9}", size::iec(s.stored_bytes))
                },
            )
        };
        out.extend(self.ids.iter().take(LISTED).map(|id| (line(id), Meaning::Base)));
        if self.ids.len() > LISTED {
            out.push((format!("and {} more", self.ids.len() - LISTED), Meaning::Base));
        }
        let stays = |(id, why): &(BackupId, String)| (format!("left out: {}: {why}", line(id)), Meaning::Muted);
        out.extend(self.left_out.iter().take(3).map(stays));
        if self.left_out.len() > 3 {
            out.push((format!("and {} more left out", self.left_out.len() - 3), Meaning::Muted));
        }
        if self.act == Act::Delete {
            out.extend(self.losses(m));
        }
        out
    }

    /// What deleting all of them takes away; the desk looks again at each.
    fn losses(&self, m: &Model) -> Lines {
        let Some(card) = m.store.card(&self.cluster) else {
            return Vec::new();
        };
        let kept = card.window.bases.iter().filter(|b| !self.ids.contains(&b.id));
        let after = Window::new(kept.cloned().collect(), &card.log.runs);
        let length = |w: &Window| {
            w.bounds()
                .map_or_else(|| "nothing".to_owned(), |(a, b)| time::age(b.at.since(a.at)))
        };
        let (before, after) = (length(&card.window), length(&after));
        let meaning = if before == after { Meaning::Base } else { Meaning::Warn };
        let freed: u64 = self
            .ids
            .iter()
            .filter_map(|id| entry(m, &self.cluster, id))
            .map(|b| b.summary.stored_bytes)
            .sum();
        vec![
            (format!("Restorable afterwards: {after}; now {before}."), meaning),
            (
                format!(
                    "In the trash for 3 days, where U takes them out; then {} are freed. What others depend on stays.",
                    size::iec(freed)
                ),
                Meaning::Base,
            ),
        ]
    }

    /// What is asked of the desk, each with its words.
    pub fn questions(&self, level: ProofLevel, confirm_name: Option<&str>) -> Vec<(String, Question)> {
        let question = |id: &BackupId| {
            let (cluster, id) = (self.cluster.clone(), id.clone());
            match self.act {
                Act::Verify => Question::Verify {
                    cluster,
                    id,
                    level,
                    scratch: None,
                },
                Act::Protect => Question::Protect { cluster, id, on: true },
                Act::Unprotect => Question::Protect { cluster, id, on: false },
                Act::Delete => Question::Delete {
                    cluster,
                    id,
                    confirm_name: confirm_name.map(str::to_owned),
                },
                Act::Undelete => Question::Undelete { cluster, id },
            }
        };
        let word = self.button();
        self.ids
            .iter()
            .map(|id| (format!("{word} {id}"), question(id)))
            .collect()
    }
}

fn entry<'a>(m: &'a Model, cluster: &ClusterName, id: &BackupId) -> Option<&'a BackupEntry> {
    let all = m
        .store
        .backups(cluster, true)
        .or_else(|| m.store.backups(cluster, false))?;
    all.iter().find(|b| b.summary.id == *id)
}

fn possible(act: Act, b: &BackupEntry) -> Result<(), String> {
    match act {
        Act::Verify => complete_entry(b),
        Act::Protect | Act::Unprotect => {
            complete_entry(b)?;
            match (act, b.protection.is_some()) {
                (Act::Protect, true) => Err("it is protected already".to_owned()),
                _ => Ok(()),
            }
        }
        Act::Delete => deletable(b),
        Act::Undelete => in_trash(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_nothing_has_the_focus_on_its_button() {
        let of = |act| Marked {
            cluster: ClusterName::new("demo").unwrap(),
            act,
            ids: Vec::new(),
            left_out: vec![(BackupId::new("b1").unwrap(), "it is protected".to_owned())],
        };
        for act in [Act::Unprotect, Act::Delete] {
            assert_eq!(of(act).first_button(), 0);
        }
        for act in [Act::Verify, Act::Protect, Act::Undelete] {
            assert_eq!(of(act).first_button(), 1);
        }
        assert!(of(Act::Delete).possible().unwrap_err().contains("it is protected"));
    }
}
