//! What happens to the console, and what it wants done: both plain values.
//!
//! Time comes in with every event and nothing else knows it, so that a recorded list of events always ends in the
//! same model.

use crossterm::event::KeyEvent;

use super::Exit;
use crate::model::clock::Millis;
use crate::model::ids::{BackupId, ClusterName, JobId};
use crate::service::desk::{Answer, Question, Refusal};

/// Something that happened, and when.
#[derive(Clone, Debug)]
pub struct Event {
    /// The wall clock.
    pub at: Millis,
    /// What.
    pub what: What,
}

/// The kinds of events.
#[derive(Clone, Debug)]
pub enum What {
    /// A key was pressed.
    Key(KeyEvent),
    /// A line of the list was clicked, so many lines below the selected one.
    Click(i32),
    /// The wheel was turned, so many lines down.
    Wheel(i32),
    /// The terminal's window got the keys, or lost them.
    Focus(bool),
    /// Text was pasted.
    Paste(String),
    /// The terminal said whether its ground is light.
    Ground(bool),
    /// The terminal has a new size.
    Resize(u16, u16),
    /// The desk answered.
    Answered(Ticket, Box<Result<Answer, Refusal>>),
    /// Something changed at the desk.
    Pulse(Result<u64, Refusal>),
    /// Time has passed: ages, toasts, samples.
    Deadline,
    /// The process was continued after a stop that it did not ask for.
    Continued,
    /// The process was suspended by the operator, for so many milliseconds, and goes on.
    Awake(i64),
    /// SIGTERM.
    Terminate,
    /// The terminal is gone.
    Hangup,
    /// A thread that is not the console's panicked.
    Panicked(String),
    /// The desk could not be opened.
    NotOpened(Refusal),
}

/// Names an answer: which part of the store it belongs to, and how new the question was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The part.
    pub query: Query,
    /// Answers to older questions are dropped.
    pub generation: u64,
}

/// The parts of the store: each holds the latest answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the desk's questions by name
pub enum Query {
    Hello,
    Fleet,
    Cluster(ClusterName),
    Backups(ClusterName, bool),
    Backup(ClusterName, BackupId),
    Changes(ClusterName, bool),
    /// Every transaction of the stretch that the timeline shows.
    Transactions(ClusterName),
    Jobs,
    Job(JobId),
    Lines(JobId),
    Messages,
    Storages,
    InEffect,
    /// What retention would do with so many days; as it is set, when none are given.
    Retention(ClusterName, Option<u32>),
    /// What the settings in the open dialog would do.
    Preview,
    /// The plan that is being looked at.
    RestorePlan,
    DeletePlan,
    TruncatePlan,
    /// An act that was asked for; numbered, because each is its own.
    Act(u64),
}

/// Something to be done outside the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the desk; the answer comes back as [`What::Answered`].
    Ask(Ticket, Box<Question>),
    /// Put text on the terminal's clipboard.
    Copy(String),
    /// Give the terminal back and stop until continued.
    Suspend,
    /// Show a text in the operator's pager, who has the terminal until it ends.
    Page(String),
    /// Paint everything again.
    Repaint,
    /// Take the terminal again: whoever continued the process may have changed its modes.
    Retake,
    /// Paint in another theme.
    Theme(String),
    /// Ring.
    Bell,
    /// Ask the terminal for a notification.
    Notify(String),
    /// Note that the tips of the first run were seen.
    TipsSeen,
    /// Leave the console.
    Quit(Exit),
    /// Leave the console with an error.
    Fail(Refusal),
}
