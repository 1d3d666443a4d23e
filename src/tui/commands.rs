//! The one table of commands: keymap, hint bar, help, palette, `brine keys` and the README all come from it.

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the table below says what each does
pub enum Cmd {
    Down,
    Up,
    PageDown,
    PageUp,
    Top,
    Bottom,
    NextField,
    PrevField,
    Left,
    Right,
    Enter,
    Back,
    QuitOrBack,
    Interrupt,
    Suspend,
    Repaint,
    Palette,
    Help,
    Filter,
    Sort,
    SortReverse,
    TimeMode,
    Refresh,
    Themes,
    Forward,
    Backward,
    GoClusters,
    GoBackup,
    GoLog,
    GoTimeline,
    GoOverview,
    GoRetention,
    GoInEffect,
    GoSchema,
    LastView,
    NextTab,
    PrevTab,
    Zoom,
    Follow,
    Wrap,
    Pager,
    GoJobs,
    GoStorages,
    GoMessages,
    BackupNow,
    Restore,
    Settings,
    Verify,
    Protect,
    Delete,
    Undelete,
    Trash,
    Undo,
    LogMenu,
    OpenCluster,
    AllChanges,
    ZoomIn,
    ZoomOut,
    RunRetention,
    MoreDays,
    FewerDays,
    TestStorage,
    NextMark,
    PrevMark,
    TypeTime,
    RunPlan,
    OtherBase,
    PickTables,
    Through,
    CopyMenu,
    CancelJob,
    ResumeJob,
    Accident,
    Traffic,
    Mark,
    MarkRange,
    MarkInvert,
    NextHit,
    PrevHit,
}

/// Where a command is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // screens by name
pub enum Scope {
    Everywhere,
    /// Every screen that is a list.
    List,
    Fleet,
    Backup,
    Log,
    Timeline,
    Overview,
    Retention,
    InEffect,
    Schema,
    Restore,
    Plan,
    Jobs,
    Run,
    Storages,
    Messages,
}

impl Scope {
    /// Whether the screen is a list.
    pub fn is_list(self) -> bool {
        match self {
            Scope::Fleet
            | Scope::Backup
            | Scope::Log
            | Scope::Retention
            | Scope::InEffect
            | Scope::Schema
            | Scope::Jobs
            | Scope::Storages
            | Scope::Messages => true,
            Scope::Everywhere
            | Scope::List
            | Scope::Timeline
            | Scope::Overview
            | Scope::Restore
            | Scope::Plan
            | Scope::Run => false,
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Scope::Everywhere => "everywhere",
            Scope::List => "lists",
            Scope::Fleet => "Clusters",
            Scope::Backup => "Backup",
            Scope::Log => "Log",
            Scope::Timeline => "Timeline",
            Scope::Overview => "Overview",
            Scope::Retention => "Retention",
            Scope::InEffect => "In effect",
            Scope::Schema => "Schema",
            Scope::Restore => "Restore 1/2",
            Scope::Plan => "Restore 2/2",
            Scope::Jobs => "Jobs",
            Scope::Run => "a job's page",
            Scope::Storages => "Storages",
            Scope::Messages => "Messages",
        }
    }
}

/// How careful one must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// No dialog.
    Safe,
    /// Asks, with No in focus.
    Confirm,
    /// Shows its plan, and may want the target's name typed.
    Destructive,
}

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// Its stable name, as the config's `[keys]` table uses it.
    pub id: &'static str,
    /// What it is.
    pub cmd: Cmd,
    /// Its keys.
    pub keys: &'static [&'static str],
    /// A word or two for the hint bar.
    pub label: &'static str,
    /// A sentence for help.
    pub help: &'static str,
    /// Where it is offered.
    pub scopes: &'static [Scope],
    /// How careful one must be.
    pub grade: Grade,
    /// Its place in the hint bar; higher comes first, 0 never.
    pub priority: u8,
}

const fn command(
    (cmd, id, keys): (Cmd, &'static str, &'static [&'static str]),
    label: &'static str,
    help: &'static str,
    scopes: &'static [Scope],
    grade: Grade,
    priority: u8,
) -> Command {
    Command {
        id,
        cmd,
        keys,
        label,
        help,
        scopes,
        grade,
        priority,
    }
}

use Grade::{Confirm, Destructive, Safe};
use Scope as S;

const ANY: &[Scope] = &[S::Everywhere];
const LISTS: &[Scope] = &[S::List, S::Restore, S::Timeline];
const CLUSTER: &[Scope] = &[
    S::Fleet,
    S::Backup,
    S::Log,
    S::Timeline,
    S::Overview,
    S::Retention,
    S::Schema,
];
/// The pages of a cluster on which Tab and the arrows have no other work.
const TABS: &[Scope] = &[S::Backup, S::Log, S::Overview, S::Retention, S::Schema];
/// Where the demo's shop can be harmed: wherever nothing is being filled in.
const SHOP: &[Scope] = &[
    S::Fleet,
    S::Backup,
    S::Log,
    S::Timeline,
    S::Overview,
    S::Retention,
    S::Schema,
    S::Jobs,
    S::Run,
    S::Storages,
];
const BACKUP: &[Scope] = &[S::Backup];
const HITS: &[Scope] = &[S::List, S::Restore];
const FORM: &[Scope] = &[S::Restore, S::Plan, S::Timeline];
const BARS: &[Scope] = &[S::Restore, S::Timeline];

/// All commands, in the order in which help shows them.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    // What changes something.
    command((Cmd::Restore, "restore", &["R"]), "Restore", "Restore: choose the point, what and where; nothing happens before the plan is confirmed", CLUSTER, Safe, 90),
    command((Cmd::BackupNow, "backup.now", &["B"]), "Back up now", "Take a snapshot backup now", CLUSTER, Confirm, 80),
    command((Cmd::Settings, "backup.settings", &["E"]), "Settings", "Backup Settings: Backup Time, Backup Retention, schedule, point-in-time restore", CLUSTER, Confirm, 70),
    command((Cmd::Verify, "backup.verify", &["V"]), "Verify", "Verify this backup: files, checksums, or a test restore", BACKUP, Confirm, 60),
    command((Cmd::Protect, "backup.protect", &["P"]), "Protect", "Protect this backup from retention and deletion, or unprotect it", BACKUP, Confirm, 50),
    command((Cmd::Delete, "backup.delete", &["D"]), "Delete", "Delete this backup into the trash, after showing what is lost", BACKUP, Destructive, 48),
    command((Cmd::LogMenu, "log.menu", &["L"]), "Log backup", "Log backup: start, pause, resume, stop, flush, purge", CLUSTER, Safe, 45),
    command((Cmd::Undo, "restore.undo", &["u"]), "Undo restore", "Undo the last restore into this cluster, through its own plan", &[S::Fleet, S::Backup, S::Log, S::Timeline, S::Overview, S::Run], Destructive, 38),
    command((Cmd::Undelete, "backup.undelete", &["U"]), "Undelete", "Take this backup out of the trash", BACKUP, Confirm, 55),
    command((Cmd::Trash, "backup.trash", &["a"]), "Trash", "Show or hide backups in the trash", BACKUP, Safe, 20),
    command((Cmd::OpenCluster, "cluster.open", &["O"]), "Open", "Open a cluster that a restore left closed", CLUSTER, Confirm, 75),
    command((Cmd::RunPlan, "restore.run", &["R"]), "Restore", "Run exactly the plan that is shown", &[S::Plan], Destructive, 95),
    command((Cmd::CancelJob, "job.cancel", &["X"]), "Cancel job", "Ask this job to stop, after saying what is left behind", &[S::Jobs, S::Run], Confirm, 70),
    command((Cmd::ResumeJob, "job.resume", &["C"]), "Continue", "Go on with an interrupted or failed job", &[S::Jobs, S::Run], Confirm, 60),
    command((Cmd::Accident, "demo.accident", &["!"]), "Accident", "Demo: cause an accident (drop a table, mass delete, bad update)", SHOP, Confirm, 85),
    command((Cmd::Traffic, "demo.traffic", &["T"]), "Traffic", "Start or stop generated traffic on an embedded cluster", CLUSTER, Confirm, 43),
    command((Cmd::RunRetention, "retention.run", &["D"]), "Delete what goes", "Run retention now: what goes is deleted into the trash", &[S::Retention], Destructive, 75),
    command((Cmd::TestStorage, "storage.test", &["V"]), "Test", "Test this storage: write, read, list and delete a small object", &[S::Storages], Safe, 80),
    // What only looks.
    command((Cmd::FewerDays, "retention.fewer", &["-"]), "Fewer days", "Show what retention would do with fewer days; nothing is changed", &[S::Retention], Safe, 89),
    command((Cmd::MoreDays, "retention.more", &["+", "="]), "More days", "Show what retention would do with more days; nothing is changed", &[S::Retention], Safe, 88),
    command((Cmd::Enter, "open", &["Enter"]), "Open", "Open the selected line, or go on to the next step", ANY, Safe, 88),
    command((Cmd::AllChanges, "log.all", &["a"]), "All", "Show all transactions, or only the changes worth a look", &[S::Log, S::Restore], Safe, 30),
    command((Cmd::TypeTime, "restore.type", &["i"]), "Type a time", "Type the moment to restore to, with a zone or in the cluster's", BARS, Safe, 61),
    command((Cmd::PickTables, "restore.tables", &["T"]), "Tables", "Choose the tables to restore from a tree", &[S::Restore], Safe, 58),
    command((Cmd::Through, "restore.through", &["w"]), "With it", "Restore to just before the change, or through it", &[S::Restore], Safe, 40),
    command((Cmd::OtherBase, "restore.base", &["o"]), "Other base", "Plan from another base", &[S::Plan], Safe, 50),
    command((Cmd::ZoomIn, "restore.zoom-in", &["+", "="]), "Zoom in", "Zoom the timeline in", BARS, Safe, 26),
    command((Cmd::ZoomOut, "restore.zoom-out", &["-"]), "Zoom out", "Zoom the timeline out", BARS, Safe, 25),
    command((Cmd::NextMark, "timeline.next", &["n"]), "Next mark", "Go to the next mark: a base, a change worth a look, the end of a gap", &[S::Timeline], Safe, 86),
    command((Cmd::PrevMark, "timeline.previous", &["N"]), "Previous mark", "Go to the mark before", &[S::Timeline], Safe, 62),
    command((Cmd::CopyMenu, "copy", &["y"]), "Copy", "Copy the id, the command line or JSON to the terminal's clipboard", ANY, Safe, 18),
    command((Cmd::Filter, "filter", &["/"]), "Filter", "Filter this list: words, !word leaves out, ~letters finds them in their order, status:word looks in that column", LISTS, Safe, 16),
    command((Cmd::NextHit, "filter.next", &["n"]), "Next hit", "The next line that passes the filter, from the last one on to the first", HITS, Safe, 0),
    command((Cmd::PrevHit, "filter.previous", &["N"]), "Previous hit", "The line before that passes the filter", HITS, Safe, 0),
    command((Cmd::Mark, "mark", &["Space"]), "Mark", "Mark this backup or no longer; V, P, D and U then do their work with all marked ones", BACKUP, Safe, 21),
    command((Cmd::MarkRange, "mark.range", &["v"]), "Mark to here", "Mark all from the line that was marked last to this one", BACKUP, Safe, 0),
    command((Cmd::MarkInvert, "mark.invert", &["*"]), "Invert marks", "Mark what is not marked, and the other way round", BACKUP, Safe, 0),
    command((Cmd::Sort, "sort", &["s"]), "Sort", "Sort by the next of this list's orders", &[S::Fleet, S::Backup, S::Schema], Safe, 15),
    command((Cmd::SortReverse, "sort.reverse", &["S"]), "Reverse", "Sort the other way round", &[S::Fleet, S::Backup, S::Schema], Safe, 0),
    command((Cmd::TimeMode, "time", &["t"]), "Time", "Show times as local, UTC or relative", ANY, Safe, 17),
    command((Cmd::Refresh, "refresh", &["r"]), "Refresh", "Ask again for what is shown", ANY, Safe, 5),
    command((Cmd::Themes, "themes", &["c"]), "Themes", "Choose a theme, seen while it is chosen", ANY, Safe, 2),
    command((Cmd::Zoom, "zoom", &["z"]), "Zoom", "Give the part of the screen that has the keys all the room, or no longer", LISTS, Safe, 0),
    command((Cmd::Follow, "log.follow", &["f"]), "Follow", "Follow the job's log: its newest line stays in sight", &[S::Run], Safe, 30),
    command((Cmd::Wrap, "log.wrap", &["w"]), "Wrap", "Wrap long lines of the job's log, or cut them", &[S::Run], Safe, 29),
    command((Cmd::Pager, "pager", &["o"]), "Pager", "Read all messages, or all of the job's log, in $PAGER: search it, or save it to a file", &[S::Run, S::Messages], Safe, 28),
    // Moving.
    command((Cmd::Down, "move.down", &["j", "Down"]), "Down", "Next line", ANY, Safe, 0),
    command((Cmd::Up, "move.up", &["k", "Up"]), "Up", "Previous line", ANY, Safe, 0),
    command((Cmd::Left, "move.left", &["h", "Left"]), "Left", "Left: previous choice, earlier moment", ANY, Safe, 0),
    command((Cmd::Right, "move.right", &["l", "Right"]), "Right", "Right: next choice, later moment", ANY, Safe, 0),
    command((Cmd::PageDown, "move.page-down", &["PgDn", "Ctrl-d"]), "Page down", "A page down", ANY, Safe, 0),
    command((Cmd::PageUp, "move.page-up", &["PgUp", "Ctrl-u"]), "Page up", "A page up", ANY, Safe, 0),
    command((Cmd::Top, "move.top", &["g", "Home"]), "First", "First line", ANY, Safe, 0),
    command((Cmd::Bottom, "move.bottom", &["G", "End"]), "Last", "Last line", ANY, Safe, 0),
    command((Cmd::NextField, "move.next", &["Tab"]), "Next field", "Next field or part of the screen", FORM, Safe, 22),
    command((Cmd::PrevField, "move.previous", &["S-Tab"]), "Previous field", "Previous field or part of the screen", FORM, Safe, 0),
    command((Cmd::NextTab, "tab.next", &["Tab"]), "Next page", "Next page of this cluster: Overview, Backup, Log, Schema, Retention; l and Right do the same", TABS, Safe, 0),
    command((Cmd::PrevTab, "tab.previous", &["S-Tab"]), "Previous page", "Previous page of this cluster; h and Left do the same", TABS, Safe, 0),
    // Going places.
    command((Cmd::GoClusters, "go.clusters", &["1"]), "Clusters", "Go to Clusters", ANY, Safe, 0),
    command((Cmd::GoBackup, "go.backup", &["2"]), "Backup", "Go to the cluster's Backup page", ANY, Safe, 12),
    command((Cmd::GoLog, "go.log", &["3"]), "Log", "Go to the cluster's Log page", ANY, Safe, 14),
    command((Cmd::GoTimeline, "go.timeline", &["7"]), "Timeline", "Go to the cluster's Timeline: every moment that can be restored", ANY, Safe, 15),
    command((Cmd::GoRetention, "go.retention", &["8"]), "Retention", "Go to the cluster's Retention: what stays, what goes, and what other days would change", ANY, Safe, 0),
    command((Cmd::GoOverview, "go.overview", &["0"]), "Overview", "Go to the cluster's Overview: facts, sizes and how numbers went", ANY, Safe, 11),
    command((Cmd::GoInEffect, "go.in-effect", &["9"]), "In effect", "Go to the settings in effect, with where each value came from", ANY, Safe, 0),
    command((Cmd::GoSchema, "go.schema", &["d"]), "Schema", "Go to the cluster's Schema: the tables of a backup, how large they are and what changed in them", ANY, Safe, 9),
    command((Cmd::GoJobs, "go.jobs", &["4", "J"]), "Jobs", "Go to Jobs", ANY, Safe, 13),
    command((Cmd::GoStorages, "go.storages", &["5"]), "Storages", "Go to Storages", ANY, Safe, 0),
    command((Cmd::GoMessages, "go.messages", &["6", "M"]), "Messages", "Go to Messages; outside the demo ! does the same", ANY, Safe, 4),
    command((Cmd::Palette, "palette", &[":", "Ctrl-p"]), "Commands", "Find a command by name", ANY, Safe, 6),
    command((Cmd::Help, "help", &["?", "F1"]), "Help", "All keys of this screen", ANY, Safe, 0),
    command((Cmd::Back, "back", &["Esc"]), "Back", "Close what is open, else clear the filter, else go back; never quits", ANY, Safe, 10),
    command((Cmd::Backward, "history.back", &["["]), "Last screen", "Back to the screen before this one", ANY, Safe, 0),
    command((Cmd::Forward, "history.forward", &["]"]), "Forward", "Forward again to the screen that was left", ANY, Safe, 0),
    command((Cmd::LastView, "history.last", &["-"]), "Last view", "The screen that was shown before, and from there back to this one", ANY, Safe, 0),
    command((Cmd::QuitOrBack, "quit", &["q"]), "Quit", "Back; on the first screen quit (asks when jobs or log backups run)", ANY, Safe, 3),
    command((Cmd::Interrupt, "interrupt", &["Ctrl-c"]), "Quit", "Quit; asks when jobs or log backups run, and again within 2 s leaves them running", ANY, Safe, 0),
    command((Cmd::Suspend, "suspend", &["Ctrl-z"]), "Suspend", "Stop this process until the shell continues it (jobs stop too, so it asks)", ANY, Confirm, 0),
    command((Cmd::Repaint, "repaint", &["Ctrl-l"]), "Repaint", "Paint the whole screen again", ANY, Safe, 0),
];

/// The command of a kind.
pub fn find(cmd: Cmd) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.cmd == cmd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_kinds_are_unique_and_every_command_has_a_key_without_ctrl() {
        for (i, c) in COMMANDS.iter().enumerate() {
            assert!(
                COMMANDS.iter().skip(i + 1).all(|d| d.id != c.id && d.cmd != c.cmd),
                "{}",
                c.id
            );
            assert!(!c.keys.is_empty() && !c.label.is_empty() && c.help.len() > 5);
        }
    }
}
