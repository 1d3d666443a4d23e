//! What forms are about: their titles and the text above their fields.

use super::form::Form;
use super::marked::{Act, Marked};
use crate::model::ids::{BackupId, ClusterName, JobId};
use crate::model::job::Verb;
use crate::model::settings::BackupSettings;
use crate::model::size;
use crate::model::time;
use crate::model::window::Window;
use crate::service::desk::{Accident, LogAct, RetentionPlan};
use crate::service::overwrites;
use crate::tui::event::Query;
use crate::tui::model::Model;
use crate::tui::theme::Meaning;
use crate::tui::widgets::status::{plural, rpo};

/// What a form is about.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the titles below say it
pub enum Subject {
    BackupNow {
        cluster: ClusterName,
    },
    Settings {
        cluster: ClusterName,
        was: BackupSettings,
    },
    Verify {
        cluster: ClusterName,
        id: BackupId,
    },
    Protect {
        cluster: ClusterName,
        id: BackupId,
        on: bool,
    },
    Delete {
        cluster: ClusterName,
        id: BackupId,
    },
    Undelete {
        cluster: ClusterName,
        id: BackupId,
    },
    Marked(Box<Marked>),
    Retention {
        cluster: ClusterName,
    },
    Log {
        cluster: ClusterName,
        act: LogAct,
    },
    Purge {
        cluster: ClusterName,
    },
    OpenCluster {
        cluster: ClusterName,
    },
    Cancel {
        job: JobId,
    },
    Resume {
        job: JobId,
    },
    Quit,
    Suspend,
    Accident {
        cluster: ClusterName,
        kind: Accident,
    },
    Traffic {
        cluster: ClusterName,
        on: bool,
    },
}

impl Subject {
    /// The button that Enter presses first: the act where nothing can be lost by it, or where leaving is what was
    /// asked for and loses nothing; else the one that does nothing.
    pub fn first_button(&self) -> usize {
        match self {
            Subject::BackupNow { .. }
            | Subject::Verify { .. }
            | Subject::Undelete { .. }
            | Subject::Resume { .. }
            | Subject::Traffic { .. }
            | Subject::Quit => 1,
            Subject::Protect { on, .. } => usize::from(*on),
            Subject::Marked(marked) => marked.first_button(),
            Subject::Log { act, .. } => match act {
                LogAct::Start | LogAct::Resume | LogAct::Flush => 1,
                LogAct::Pause | LogAct::Stop => 0,
            },
            Subject::Settings { .. }
            | Subject::Delete { .. }
            | Subject::Retention { .. }
            | Subject::Purge { .. }
            | Subject::OpenCluster { .. }
            | Subject::Cancel { .. }
            | Subject::Suspend
            | Subject::Accident { .. } => 0,
        }
    }
}

/// Text with its meaning, line by line.
pub type Lines = Vec<(String, Meaning)>;

fn base(text: impl Into<String>) -> (String, Meaning) {
    (text.into(), Meaning::Base)
}

fn muted(text: impl Into<String>) -> (String, Meaning) {
    (text.into(), Meaning::Muted)
}

impl Subject {
    /// The words in the form's title line.
    pub fn title(&self, m: &Model) -> String {
        let moment = |cluster: &ClusterName, id: &BackupId| {
            let all = m
                .store
                .backups(cluster, true)
                .or_else(|| m.store.backups(cluster, false));
            let entry = all.and_then(|b| b.iter().find(|b| b.summary.id == *id));
            entry.map_or_else(|| id.to_string(), |b| m.stamp(b.summary.commit.at))
        };
        match self {
            Subject::BackupNow { cluster } => format!("Back up {cluster} now"),
            Subject::Settings { cluster, .. } => format!("Backup Settings of {cluster}"),
            Subject::Verify { cluster, id } => format!("Verify the backup of {cluster}, {}", moment(cluster, id)),
            Subject::Protect { cluster, id, on: true } => {
                format!("Protect the backup of {cluster}, {}", moment(cluster, id))
            }
            Subject::Protect { cluster, id, on: false } => {
                format!("Unprotect the backup of {cluster}, {}", moment(cluster, id))
            }
            Subject::Delete { cluster, id } => format!("Delete the backup of {cluster}, {}", moment(cluster, id)),
            Subject::Undelete { cluster, id } => format!("Undelete the backup of {cluster}, {}", moment(cluster, id)),
            Subject::Marked(marked) => marked.title(),
            Subject::Retention { cluster } => format!("Run the retention of {cluster}"),
            Subject::Log { cluster, act } => format!("{} the log backup of {cluster}", act_word(*act)),
            Subject::Purge { cluster } => format!("Purge log of {cluster}"),
            Subject::OpenCluster { cluster } => format!("Open {cluster}"),
            Subject::Cancel { job } => format!("Cancel job {job}"),
            Subject::Resume { job } => format!("Continue job {job}"),
            Subject::Quit => "Quit brine".to_owned(),
            Subject::Suspend => "Suspend brine".to_owned(),
            Subject::Accident { kind, .. } => format!("Demo accident: {}", accident_word(*kind)),
            Subject::Traffic { cluster, on } => format!("{} traffic on {cluster}", if *on { "Start" } else { "Stop" }),
        }
    }

    /// Whether it takes something away.
    pub fn is_dangerous(&self) -> bool {
        match self {
            Subject::Delete { .. }
            | Subject::Retention { .. }
            | Subject::Purge { .. }
            | Subject::Accident { .. }
            | Subject::Cancel { .. } => true,
            Subject::Log { act, .. } => *act == LogAct::Stop,
            Subject::Marked(marked) => marked.act == Act::Delete,
            Subject::BackupNow { .. }
            | Subject::Settings { .. }
            | Subject::Verify { .. }
            | Subject::Protect { .. }
            | Subject::Undelete { .. }
            | Subject::OpenCluster { .. }
            | Subject::Resume { .. }
            | Subject::Quit
            | Subject::Suspend
            | Subject::Traffic { .. } => false,
        }
    }

    /// The text above the fields.
    pub fn body(&self, m: &Model, form: &Form) -> Lines {
        match self {
            Subject::BackupNow { cluster } => backup_now(m, cluster),
            Subject::Settings { cluster, was } => settings(m, cluster, was, form),
            Subject::Verify { .. } => vec![
                muted("files: every object is there with its size; seconds"),
                muted("checksums: every byte is read and its checksums hold; reads the whole backup"),
                muted("test restore: restored into a scratch cluster, compared, thrown away"),
            ],
            Subject::Protect { on: true, .. } => vec![base(
                "It is kept until it is unprotected, whatever Backup Retention says, and cannot be deleted.",
            )],
            Subject::Protect { on: false, .. } => vec![base(
                "Backup Retention may then drop it, at the earliest with the next run.",
            )],
            Subject::Delete { .. } => delete(m),
            Subject::Marked(marked) => marked.body(m),
            Subject::Retention { cluster } => run_retention(m, cluster),
            Subject::Undelete { .. } => vec![base("It is taken out of the trash and can be restored again.")],
            Subject::Log { cluster, act } => log_act(m, cluster, *act),
            Subject::Purge { .. } => purge(m, form),
            Subject::OpenCluster { cluster } => vec![base(format!(
                "Applications may connect to {cluster} again. Check the restored data first."
            ))],
            Subject::Cancel { job } => cancel(m, *job),
            Subject::Resume { job } => resume(m, *job),
            Subject::Quit => quit(m),
            Subject::Suspend => suspend(m),
            Subject::Accident { cluster, kind } => accident(cluster, *kind),
            Subject::Traffic { on: true, cluster } => vec![base(format!(
                "Generated orders are written to {cluster} until you stop them (T)."
            ))],
            Subject::Traffic { on: false, .. } => vec![base("No more orders are generated.")],
        }
    }
}

/// The word on a button for an act on the log backup.
pub fn act_word(act: LogAct) -> &'static str {
    match act {
        LogAct::Start => "Start",
        LogAct::Pause => "Pause",
        LogAct::Resume => "Resume",
        LogAct::Stop => "Stop",
        LogAct::Flush => "Flush",
    }
}

/// What an accident is called.
pub fn accident_word(kind: Accident) -> &'static str {
    match kind {
        Accident::DropTable => "drop the orders table",
        Accident::MassDelete => "delete most orders",
        Accident::BadUpdate => "set every price to zero",
    }
}

fn backup_now(m: &Model, cluster: &ClusterName) -> Lines {
    let page = m.store.page(cluster);
    let facts = page.and_then(|p| p.facts.as_ref()).map(|f| {
        let (tables, rows) = (plural(f.tables, "table"), plural(f.rows_estimate, "row"));
        base(format!(
            "A snapshot of the whole cluster: {tables}, about {rows}, {}.",
            size::iec(f.bytes_estimate)
        ))
    });
    let place = page.map(|p| muted(format!("To {}. Applications are not disturbed.", p.location)));
    let mut out: Lines = facts.into_iter().chain(place).collect();
    out.push(muted(
        "A manual backup is kept until it is deleted, unless days are given.",
    ));
    out
}

fn settings(m: &Model, cluster: &ClusterName, was: &BackupSettings, form: &Form) -> Lines {
    let mut out = Vec::new();
    let zone = was.time_zone.name();
    // What is typed decides, so that the next runs are seen before anything is confirmed.
    match super::acts::settings(form, was) {
        Ok(now) if !now.schedule => out.push(muted("The daily schedule is off: no run is due.")),
        Ok(now) => {
            let runs = super::super::screens::backup::next_runs(m, cluster, &now);
            out.push(muted(format!("Next runs: {runs} ({zone})")));
        }
        Err(_) => {}
    }
    if let Some(error) = m.store.error(&Query::Preview) {
        out.push((m.why(error), Meaning::Error));
    } else if let Some(plan) = m.store.preview() {
        out.extend(preview(m, plan));
    } else if m.store.is_waiting(&Query::Preview) {
        out.push(muted("Working out what would change..."));
    }
    out.push(muted("Turning point-in-time on takes effect after the next backup."));
    out
}

fn run_retention(m: &Model, cluster: &ClusterName) -> Lines {
    let Some(plan) = m.store.retention(cluster, None) else {
        return vec![muted("Working out what would go...")];
    };
    let mut out = preview(m, plan);
    if let Some(until) = plan.truncate_until {
        out.push(base(format!(
            "Archived log before {} goes for good.",
            time::local(until.at, m.zone_shown())
        )));
    }
    out.push(muted(
        "Backups stay in the trash for 3 days; until then U undeletes them.",
    ));
    out
}

/// What a retention plan does, in a few lines.
fn preview(m: &Model, plan: &RetentionPlan) -> Lines {
    let gone: Vec<_> = plan.backups.iter().filter(|b| !b.keep).collect();
    let head = format!(
        "{} removed at the next run, window {} -> {}, {} freed",
        plural(gone.len() as u64, "backup"),
        window_length(&plan.window_before),
        window_length(&plan.window_after),
        size::iec(plan.freed_bytes)
    );
    let mut out = vec![(head, if gone.is_empty() { Meaning::Base } else { Meaning::Warn })];
    out.extend(
        gone.iter()
            .take(6)
            .map(|b| muted(format!("  {}  {}", m.stamp(b.commit.at), m.told(&b.reason)))),
    );
    if gone.len() > 6 {
        out.push(muted(format!("  and {} more", gone.len() - 6)));
    }
    out
}

fn window_length(window: &Window) -> String {
    window
        .bounds()
        .map_or_else(|| "nothing".to_owned(), |(a, b)| time::age(b.at.since(a.at)))
}

fn delete(m: &Model) -> Lines {
    if let Some(error) = m.store.error(&Query::DeletePlan) {
        return vec![(m.why(error), Meaning::Error)];
    }
    let Some(plan) = m.store.delete_plan() else {
        return vec![muted("Working out what would be lost...")];
    };
    if let Some(why) = &plan.refused {
        return vec![(format!("It cannot be deleted: {}", m.told(why)), Meaning::Error)];
    }
    let mut out: Lines = plan
        .loses
        .iter()
        .map(|l| (format!("You lose: {}", m.told(l)), Meaning::Warn))
        .collect();
    if plan.loses.is_empty() {
        out.push(base("No restorable moment is lost but the snapshot itself."));
    }
    let until = time::local(plan.trash_until, m.zone_shown());
    out.push(base(format!(
        "It stays in the trash until {until}; until then U undeletes it."
    )));
    out.push(base(format!("{} are freed after that.", size::iec(plan.freed_bytes))));
    out.push(base(format!(
        "Restorable afterwards: {}.",
        window_length(&plan.window_after)
    )));
    out
}

fn log_act(m: &Model, cluster: &ClusterName, act: LogAct) -> Lines {
    let text = match act {
        LogAct::Start => {
            "Every change is archived from now on, so that any moment after the next backup can be restored."
        }
        LogAct::Pause => {
            "Changes are not archived meanwhile: the RPO gap grows. The source keeps its log for us as long as it can; \
             after that a gap stays that only a new snapshot ends."
        }
        LogAct::Resume => "Archiving goes on where it was paused, when the source still has its log from there.",
        LogAct::Stop => {
            "The log backup ends for good; the archived log stays and can be restored. A later start is a new task, and \
             the time between cannot be restored."
        }
        LogAct::Flush => "Everything committed until now is archived at once, and the checkpoint moves there.",
    };
    let gap = m.store.card(cluster).and_then(|c| rpo(m, &c.log));
    let gap = gap.map(|ms| muted(format!("The checkpoint is {} behind now.", m.age(ms))));
    [base(text)].into_iter().chain(gap).collect()
}

fn purge(m: &Model, form: &Form) -> Lines {
    let mut out = vec![muted(
        "Deletes archived log at or before a moment. Bases that need it lose point-in-time; the snapshots stay.",
    )];
    if let Some(error) = m.store.error(&Query::TruncatePlan) {
        out.push((m.why(error), Meaning::Error));
    } else if let Some(plan) = m.store.truncate_plan() {
        out.push(base(format!("Until {}", time::local(plan.until.at, m.zone_here()))));
        let (before, after) = (window_length(&plan.window_before), window_length(&plan.window_after));
        let freed = size::iec(plan.freed_bytes);
        out.push(base(format!(
            "{} go, {freed} freed, window {before} -> {after}",
            plural(plan.segments, "segment")
        )));
        if !plan.bases_lost.is_empty() {
            let ids: Vec<String> = plan.bases_lost.iter().map(ToString::to_string).collect();
            out.push((format!("These lose point-in-time: {}", ids.join(", ")), Meaning::Warn));
        }
        if let Some(why) = &plan.refused {
            let next = "choose an earlier moment, or to give it up too";
            out.push((format!("Refused: {}; {next}", m.told(why)), Meaning::Error));
        }
    } else if m.store.is_waiting(&Query::TruncatePlan) {
        out.push(muted("Working out what would go..."));
    } else if form.text(0).is_empty() {
        out.push(muted(
            "Type a moment to see what would go; nothing goes before you confirm.",
        ));
    }
    out
}

fn cancel(m: &Model, id: JobId) -> Lines {
    let Some(job) = m.store.job(id) else {
        return vec![muted("It has gone.")];
    };
    let left = match job.verb {
        Verb::Backup => "Nothing is left behind: what was written so far is cleared away.",
        Verb::Restore | Verb::Undo if overwrites(job) => {
            "This restore writes over what is there. Before the switch, what was built is thrown away and the cluster opens \
             again as it was; after the switch it can only be undone."
        }
        Verb::Restore | Verb::Undo => "What was restored so far is thrown away; the target stays as it was.",
        Verb::Verify => "Nothing was changed; the backup keeps its older proof.",
        Verb::Delete | Verb::Retention | Verb::Truncate => {
            "What was begun to be deleted is finished later; nothing half-deleted is offered."
        }
        Verb::Compact => "The small segments stay as they are.",
    };
    vec![
        base(format!("{} {}: {}", job.verb.word(), job.cluster, m.told(&job.title))),
        (left.to_owned(), Meaning::Warn),
    ]
}

fn resume(m: &Model, id: JobId) -> Lines {
    let title = m
        .store
        .job(id)
        .map(|j| format!("{} {}: {}", j.verb.word(), j.cluster, m.told(&j.title)));
    let mut out: Lines = title.into_iter().map(base).collect();
    out.push(base(
        "It goes on with what is finished already, after checking that its plan still holds.",
    ));
    out
}

fn running(m: &Model) -> Lines {
    let jobs = m.store.running();
    let mut out: Lines = jobs
        .iter()
        .map(|j| {
            (
                format!(
                    "job {} {} {} is {}",
                    j.id,
                    j.verb.word(),
                    j.cluster,
                    j.state.word().to_lowercase()
                ),
                Meaning::Busy,
            )
        })
        .collect();
    out.extend(super::acts::streaming(m).map(|c| (format!("the log backup of {c} is running"), Meaning::Busy)));
    out
}

fn quit(m: &Model) -> Lines {
    let mut out = running(m);
    out.push(base(
        "Leave running: this process gives up the terminal and carries on; the next `brine` attaches to it.",
    ));
    if m.is_read_only() {
        return out;
    }
    out.push(base(
        "Stop and quit: running jobs are cancelled and what they have made so far is cleared away; log backups have no \
         runner until brine runs again.",
    ));
    out
}

fn suspend(m: &Model) -> Lines {
    let mut out = running(m);
    out.push((
        "Suspending stops the whole process: these stop too until you continue it (fg). A stopped backup keeps old \
         history alive at the source, and its lock may be taken over after 60 s."
            .to_owned(),
        Meaning::Warn,
    ));
    out
}

fn accident(cluster: &ClusterName, kind: Accident) -> Lines {
    let what = match kind {
        Accident::DropTable => "runs DROP TABLE on the shop's orders",
        Accident::MassDelete => "deletes most orders in one transaction",
        Accident::BadUpdate => "sets every price to zero in one transaction",
    };
    vec![
        base(format!("Somebody {what} of {cluster}. The shop notices at once.")),
        base("Then: R, Just before a change, Enter on it, and restore."),
    ]
}
