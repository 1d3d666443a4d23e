//! What the desk has answered so far: one slot for each question, with its age, its error and its generation.
//!
//! A slot keeps its last good answer while a newer one is on its way, so a screen dims old data and never blanks.

use std::collections::BTreeMap;

use super::event::{Effect, Query, Ticket};
use crate::engine::restore::plan::RestorePlan;
use crate::model::backup::{BackupEntry, BackupTable};
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, ClusterName, JobId};
use crate::model::job::{Job, JobLine};
use crate::model::log::Change;
use crate::service::desk::{
    Answer, ClusterCard, ClusterPage, DeletePlan, HelloAnswer, Message, Question, Refusal, RetentionPlan, SettingLine,
    StorageCard, TruncatePlan,
};

/// One question's state.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    answer: Option<Answer>,
    /// When the answer came.
    pub at: Option<Millis>,
    /// Why the latest try failed; the answer is then older.
    pub error: Option<Refusal>,
    generation: u64,
    /// Whether an answer is on its way.
    pub waiting: bool,
    /// When it was asked for last.
    asked: Millis,
    /// Whether something changed while it was.
    again: bool,
    /// How many answers came.
    answers: u64,
}

/// All slots.
#[derive(Clone, Debug, Default)]
pub struct Store {
    slots: BTreeMap<Query, Slot>,
    /// Now, as of the latest event.
    pub now: Millis,
}

/// An answer that takes longer than this is late: what is shown meanwhile must not look like the truth of now.
const PATIENCE: i64 = 5 * Millis::SECOND;

impl Slot {
    /// When the answer that is on its way will be late.
    pub fn late_at(&self) -> Option<Millis> {
        self.waiting.then(|| self.asked.plus(PATIENCE))
    }

    /// Since when an answer is awaited that is late.
    pub fn late_since(&self, now: Millis) -> Option<Millis> {
        self.late_at().filter(|at| *at <= now).map(|_| self.asked)
    }
}

impl Store {
    /// The slot of a query, if it was ever asked.
    pub fn slot(&self, query: &Query) -> Option<&Slot> {
        self.slots.get(query)
    }

    /// Asks, unless the same is being asked already; then it is asked again afterwards.
    pub fn ask(&mut self, query: Query, question: Question) -> Option<Effect> {
        let now = self.now;
        let slot = self.slots.entry(query.clone()).or_default();
        if slot.waiting {
            slot.again = true;
            return None;
        }
        (slot.waiting, slot.asked) = (true, now);
        slot.generation += 1;
        let generation = slot.generation;
        Some(Effect::Ask(Ticket { query, generation }, Box::new(question)))
    }

    /// Asks something new in the place of whatever was asked before; its answer is dropped when it comes.
    pub fn ask_anew(&mut self, query: Query, question: Question) -> Effect {
        let asked = self.now;
        let slot = self.slots.entry(query.clone()).or_default();
        let generation = slot.generation + 1;
        *slot = Slot {
            generation,
            waiting: true,
            asked,
            ..Slot::default()
        };
        Effect::Ask(Ticket { query, generation }, Box::new(question))
    }

    /// Forgets what was asked and answered; an answer on its way will be dropped.
    pub fn forget(&mut self, query: &Query) {
        if let Some(slot) = self.slots.get_mut(query) {
            let generation = slot.generation + 1;
            *slot = Slot {
                generation,
                ..Slot::default()
            };
        }
    }

    /// Takes an answer; false when it was for an older question.
    pub fn take(&mut self, ticket: &Ticket, result: Result<Answer, Refusal>, now: Millis) -> bool {
        let Some(slot) = self.slots.get_mut(&ticket.query) else {
            return false;
        };
        if slot.generation != ticket.generation {
            return false;
        }
        slot.waiting = false;
        match result {
            Ok(answer) => {
                slot.answers += 1;
                slot.answer = Some(answer);
                slot.at = Some(now);
                slot.error = None;
            }
            Err(refusal) => slot.error = Some(refusal),
        }
        true
    }

    /// Whether a question has to be asked again because something changed on the way; asks once.
    pub fn take_again(&mut self, query: &Query) -> bool {
        self.slots.get_mut(query).is_some_and(|s| std::mem::take(&mut s.again))
    }

    /// Whether an answer to this question is on its way.
    pub fn is_waiting(&self, query: &Query) -> bool {
        self.slots.get(query).is_some_and(|s| s.waiting)
    }

    /// How many answers to a question came: another number, another answer.
    pub fn version(&self, query: &Query) -> u64 {
        self.slots.get(query).map_or(0, |s| s.answers)
    }

    /// The latest error of a question.
    pub fn error(&self, query: &Query) -> Option<&Refusal> {
        self.slots.get(query).and_then(|s| s.error.as_ref())
    }

    fn answer(&self, query: &Query) -> Option<&Answer> {
        self.slots.get(query).and_then(|s| s.answer.as_ref())
    }
}

/// A getter for each kind of slot: the query, and the answer's shape.
macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $out:ty = $query:expr, $shape:pat => $value:expr;)*) => {
        impl Store {
            $($(#[$doc])*
            pub fn $name(&self, $($arg: $ty),*) -> Option<$out> {
                match self.answer(&$query)? {
                    $shape => Some($value),
                    _ => None,
                }
            })*
        }
    };
}

getters! {
    /// Who answers.
    hello() -> &HelloAnswer = Query::Hello, Answer::Hello(h) => h;
    /// All clusters.
    fleet() -> &[ClusterCard] = Query::Fleet, Answer::Fleet(f) => f;
    /// A cluster's page.
    page(cluster: &ClusterName) -> &ClusterPage = Query::Cluster(cluster.clone()), Answer::Cluster(p) => p;
    /// A cluster's backups, with or without the trash.
    backups(cluster: &ClusterName, trash: bool) -> &[BackupEntry] = Query::Backups(cluster.clone(), trash), Answer::Backups(b) => b;
    /// The tables of a backup.
    tables(cluster: &ClusterName, id: &BackupId) -> &[BackupTable] = Query::Backup(cluster.clone(), id.clone()), Answer::Backup { tables, .. } => tables;
    /// Changes of the log.
    changes(cluster: &ClusterName, all: bool) -> &[Change] = Query::Changes(cluster.clone(), all), Answer::Changes(c) => c;
    /// Every transaction of the stretch that the timeline shows.
    transactions(cluster: &ClusterName) -> &[Change] = Query::Transactions(cluster.clone()), Answer::Changes(c) => c;
    /// Jobs, newest first.
    jobs() -> &[Job] = Query::Jobs, Answer::Jobs(j) => j;
    /// One job, fresher than in the list.
    job_alone(id: JobId) -> &Job = Query::Job(id), Answer::JobState(j) => j;
    /// A job's log lines.
    lines(id: JobId) -> &[JobLine] = Query::Lines(id), Answer::Lines(l) => l;
    /// The desk's messages.
    messages() -> &[Message] = Query::Messages, Answer::Messages(m) => m;
    /// The storages.
    storages() -> &[StorageCard] = Query::Storages, Answer::Storages(s) => s;
    /// The config in effect.
    in_effect() -> &[SettingLine] = Query::InEffect, Answer::InEffect(s) => s;
    /// What retention would do.
    retention(cluster: &ClusterName, days: Option<u32>) -> &RetentionPlan = Query::Retention(cluster.clone(), days), Answer::Retention(p) => p;
    /// What the settings in the open dialog would do.
    preview() -> &RetentionPlan = Query::Preview, Answer::Retention(p) => p;
    /// The restore plan that is looked at.
    plan() -> &RestorePlan = Query::RestorePlan, Answer::Restore(p) => p;
    /// The delete plan that is looked at.
    delete_plan() -> &DeletePlan = Query::DeletePlan, Answer::DeletePlan(p) => p;
    /// The truncate plan that is looked at.
    truncate_plan() -> &TruncatePlan = Query::TruncatePlan, Answer::TruncatePlan(p) => p;
}

impl Store {
    /// A cluster's card: from its page when that is newer, else from the fleet.
    pub fn card(&self, cluster: &ClusterName) -> Option<&ClusterCard> {
        let at = |query: &Query| self.slots.get(query).and_then(|s| s.at);
        let of_page = self.page(cluster).map(|p| &p.card);
        let of_fleet = self.fleet().and_then(|f| f.iter().find(|c| c.name == *cluster));
        if at(&Query::Cluster(cluster.clone())) >= at(&Query::Fleet) {
            of_page.or(of_fleet)
        } else {
            of_fleet.or(of_page)
        }
    }

    /// A job, from wherever it is freshest.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        let listed = self.jobs().and_then(|j| j.iter().find(|j| j.id == id));
        listed.map(|j| self.fresher(j)).or_else(|| self.job_alone(id))
    }

    /// A job of the list, or what was heard of it alone, when that is newer.
    pub fn fresher<'a>(&'a self, listed: &'a Job) -> &'a Job {
        let at = |query: &Query| self.slots.get(query).and_then(|s| s.at);
        let alone = self.job_alone(listed.id);
        alone
            .filter(|_| at(&Query::Job(listed.id)) >= at(&Query::Jobs))
            .unwrap_or(listed)
    }

    /// Jobs that have not ended, oldest first.
    pub fn running(&self) -> Vec<&Job> {
        let listed = self.jobs().unwrap_or_default().iter().rev();
        let fresh = listed.map(|j| self.fresher(j));
        fresh.filter(|j| !j.state.is_over()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal {
            kind: crate::service::desk::RefusalKind::Failed,
            chain: vec!["no".to_owned()],
            hint: None,
        }
    }

    fn ticket(effect: Option<Effect>) -> Ticket {
        match effect {
            Some(Effect::Ask(ticket, _)) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn old_answers_are_dropped_and_errors_keep_the_last_good_one() {
        let mut store = Store::default();
        let first = ticket(store.ask(Query::Jobs, Question::Fleet));
        assert_eq!(store.ask(Query::Jobs, Question::Fleet), None, "one question at a time");
        assert!(store.take(&first, Ok(Answer::Jobs(vec![])), Millis(1)));
        assert!(store.take_again(&Query::Jobs) && !store.take_again(&Query::Jobs));
        let second = ticket(store.ask(Query::Jobs, Question::Fleet));
        assert!(!store.take(&first, Err(refusal()), Millis(2)));
        assert!(store.take(&second, Err(refusal()), Millis(2)));
        assert!(store.jobs().is_some() && store.error(&Query::Jobs).is_some());
    }

    #[test]
    fn a_new_question_forgets_the_old_answer() {
        let mut store = Store::default();
        let first = ticket(Some(store.ask_anew(Query::RestorePlan, Question::Fleet)));
        let second = ticket(Some(store.ask_anew(Query::RestorePlan, Question::Fleet)));
        assert!(
            !store.take(&first, Err(refusal()), Millis(1)),
            "the first answer comes too late"
        );
        assert!(store.take(&second, Err(refusal()), Millis(1)));
    }
}
