//! Retention: which backups stay, which go, and why.
//!
//! Pure planning over a [`View`]. N days of restorable window are kept: in each history that reaches into the window, the
//! newest base at or before its start and everything after it. Manual, protected and way-back backups and the
//! last good one stay by their own rules. Log is truncated only behind the oldest base that is kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::archive::state::WayBackKind;
use crate::archive::{Archive, ArchiveLock, TrashNote, TrashState};
use crate::engine::cx::JobCx;
use crate::engine::error::EngineError;
use crate::engine::truncate;
use crate::engine::view::{SummaryCache, View};
use crate::model::backup::{BackupSummary, BackupType, KeptTo};
use crate::model::clock::Millis;
use crate::model::crash::crash_point;
use crate::model::ids::{BackupId, IncarnationId};
use crate::model::job::{LineLevel, Unit};
use crate::model::position::Moment;
use crate::model::settings::{BackupSettings, RetentionDays};
use crate::model::window::Window;

/// So long a deleted backup can be undeleted.
pub const TRASH: i64 = 3 * Millis::DAY;
/// So old must an interrupted backup be before it is cleared away.
const DEBRIS_GRACE: i64 = Millis::DAY;

/// What retention keeps and drops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPlan {
    /// When it was made.
    pub at: Millis,
    /// Days of the window.
    pub days: u32,
    /// Every backup, newest first.
    pub backups: Vec<RetentionLine>,
    /// Log at or before this moment goes.
    pub truncate_until: Option<Moment>,
    /// Bytes freed once the trash is emptied, log not counted.
    pub freed_bytes: u64,
    /// The window before
    pub window_before: Window,
    /// and after.
    pub window_after: Window,
}

/// One backup in a retention plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionLine {
    /// The backup.
    pub id: BackupId,
    /// Its moment.
    pub commit: Moment,
    /// Whether it stays.
    pub keep: bool,
    /// Why.
    pub reason: String,
    /// Until when it stays, by which rule.
    pub kept_to: KeptTo,
    /// Its stored bytes.
    pub stored_bytes: u64,
}

impl RetentionPlan {
    /// Until when a backup stays.
    pub fn kept_to(&self, id: &BackupId) -> KeptTo {
        let line = self.backups.iter().find(|l| l.id == *id);
        line.map_or(KeptTo::Instant { at: self.at }, |l| l.kept_to.clone())
    }

    /// The backups that go.
    pub fn dropped(&self) -> impl Iterator<Item = &RetentionLine> {
        self.backups.iter().filter(|l| !l.keep)
    }
}

/// Why one backup stays or goes.
struct Verdict {
    keep: bool,
    reason: String,
    kept_to: KeptTo,
}

/// Makes the plan. Days and the rest come from `settings`, which may be ones that are only considered.
pub fn plan(view: &View, settings: &BackupSettings, now: Millis) -> RetentionPlan {
    let days = settings.retention_days.get();
    let cutoff = now.plus(-i64::from(days) * Millis::DAY);
    let last_good = view.bases().last().map(|b| b.id.clone());
    let rule = Rule {
        view,
        now,
        days,
        cutoff,
        last_good,
    };
    let mut lines: Vec<RetentionLine> = view.backups.iter().map(|b| rule.line(b)).collect();
    lines.reverse();
    let kept: Vec<_> = view
        .bases()
        .into_iter()
        .filter(|b| lines.iter().any(|l| l.keep && l.id == b.id))
        .collect();
    // Those that are dropped now lie in the trash for a while, and can be taken back with their log.
    let bases = view.bases();
    let truncate_until = bases
        .iter()
        .map(|b| b.commit)
        .chain(in_trash(view, now))
        .min()
        .filter(|until| has_log_before(view, *until));
    let mut runs = view.log.runs.clone();
    if let Some(until) = truncate_until {
        runs.iter_mut().for_each(|r| r.from = r.from.max(until.min(r.to)));
    }
    RetentionPlan {
        at: now,
        days,
        truncate_until,
        freed_bytes: lines.iter().filter(|l| !l.keep).map(|l| l.stored_bytes).sum(),
        backups: lines,
        window_before: view.window(),
        window_after: Window::new(kept, &runs),
    }
}

/// What can still be taken back: its log must be there when it is.
fn in_trash(view: &View, now: Millis) -> impl Iterator<Item = Moment> {
    let kept = view
        .trash
        .iter()
        .filter(move |(_, note, _)| note.state == TrashState::Kept && note.until > now);
    kept.filter_map(|(_, _, summary)| summary.as_ref())
        .filter(|s| s.is_full())
        .map(|s| s.commit)
}

fn has_log_before(view: &View, until: Moment) -> bool {
    view.log.runs.iter().any(|r| r.from < until && r.end_seq > r.first_seq)
}

struct Rule<'a> {
    view: &'a View,
    now: Millis,
    days: u32,
    cutoff: Millis,
    last_good: Option<BackupId>,
}

impl Rule<'_> {
    fn line(&self, b: &BackupSummary) -> RetentionLine {
        let verdict = self.verdict(b);
        RetentionLine {
            id: b.id.clone(),
            commit: b.commit,
            keep: verdict.keep,
            reason: verdict.reason,
            kept_to: verdict.kept_to,
            stored_bytes: b.stored_bytes,
        }
    }

    fn verdict(&self, b: &BackupSummary) -> Verdict {
        let keep = |reason: String, kept_to| Verdict {
            keep: true,
            reason,
            kept_to,
        };
        if let Some(p) = self.view.protect.0.get(&b.id) {
            return keep(format!("protected by {}", p.by), KeptTo::Unprotected);
        }
        if (b.kind, b.keep_days) == (BackupType::Manual, None) {
            return keep("manual: kept until it is deleted".to_owned(), KeptTo::Deleted);
        }
        if let Some(until) = self.way_back_until(&b.id) {
            return keep("the way back of a restore".to_owned(), KeptTo::Instant { at: until });
        }
        let by_rule = match (b.kind, b.keep_days) {
            (_, Some(days)) => self.for_days(b, days),
            (_, None) => self.by_window(b),
        };
        let is_last = self.last_good.as_ref() == Some(&b.id);
        if !by_rule.keep && is_last {
            return keep("the last good backup always stays".to_owned(), KeptTo::LastGood);
        }
        by_rule
    }

    /// Way-backs that can still be used hold their snapshot, or the base of their bookmark.
    fn way_back_until(&self, id: &BackupId) -> Option<Millis> {
        let way_backs = self.view.incarnations.list.iter().filter_map(|i| i.way_back.as_ref());
        let own = way_backs.filter(|w| match &w.kind {
            WayBackKind::Bookmark { base, .. } => base == id,
            WayBackKind::Snapshot { id: snapshot } => snapshot == id,
        });
        own.map(|w| w.until).filter(|until| *until > self.now).max()
    }

    fn for_days(&self, b: &BackupSummary, days: u32) -> Verdict {
        let at = b.finished.plus(i64::from(days) * Millis::DAY);
        Verdict {
            keep: at > self.now,
            reason: match days {
                1 => "asked to be kept for 1 day".to_owned(),
                days => format!("asked to be kept for {days} days"),
            },
            kept_to: KeptTo::Instant { at },
        }
    }

    /// N days of window: the newest base at or before its start, and everything after.
    fn by_window(&self, b: &BackupSummary) -> Verdict {
        let window = i64::from(self.days) * Millis::DAY;
        // A base that goes after some days of its own cannot stand in for one that the window needs.
        let lasting = |n: &&Arc<BackupSummary>| n.is_full() && n.keep_days.is_none() && !self.view.is_proved_bad(&n.id);
        let mut later = self.view.backups.iter().filter(lasting);
        let next_base = later.find(|n| n.incarnation == b.incarnation && n.commit > b.commit);
        let replaced_at = next_base.map(|n| n.commit.at).or_else(|| self.ended(b.incarnation));
        let kept_to = match replaced_at {
            Some(at) => KeptTo::Instant { at: at.plus(window) },
            None => KeptTo::LastGood,
        };
        let (keep, reason) = match replaced_at {
            None => (true, "the newest base of the live history".to_owned()),
            Some(_) if b.commit.at > self.cutoff => (true, format!("within the last {} days", self.days)),
            Some(at) if at > self.cutoff => (true, "the base of the window's first moments".to_owned()),
            Some(_) => (
                false,
                format!("older than {} days, and a newer base reaches back to then", self.days),
            ),
        };
        Verdict { keep, reason, kept_to }
    }

    /// When an incarnation ended: when the next one began.
    fn ended(&self, id: IncarnationId) -> Option<Millis> {
        self.view
            .incarnations
            .list
            .iter()
            .find(|i| i.id.0 == id.0 + 1)
            .map(|i| i.began.at)
    }
}

/// What a run of retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionReceipt {
    /// Backups put into the trash.
    pub trashed: Vec<BackupId>,
    /// Backups whose time in the trash was over.
    pub purged: Vec<BackupId>,
    /// Interrupted backups cleared away.
    pub cleared: Vec<BackupId>,
    /// Log segments deleted.
    pub segments: u64,
    /// Bytes freed on storage.
    pub freed_bytes: u64,
}

/// Runs a plan: into the trash, out of the trash, log behind the oldest kept base, debris.
pub fn run(
    archive: &Archive,
    lock: &ArchiveLock,
    view: &View,
    plan: &RetentionPlan,
    cx: &dyn JobCx,
) -> Result<RetentionReceipt, EngineError> {
    let now = cx.clock().now();
    let mut receipt = RetentionReceipt::default();
    let fresh = still_true(archive, plan, now)?;
    // Steps are named once there is something to do: after a backup, housekeeping that does nothing is not its last word.
    let expired = plan.dropped().count() as u64;
    let mut meter = None;
    for line in plan.dropped().filter(|l| fresh.dropped().any(|f| f.id == l.id)) {
        cx.check()?;
        let note = TrashNote {
            deleted_at: now,
            until: now.plus(TRASH),
            by: "retention".to_owned(),
            stored_bytes: line.stored_bytes,
            state: TrashState::Kept,
        };
        archive.trash(lock, &line.id, &note)?;
        crash_point("retention.trashed");
        cx.line(
            LineLevel::Info,
            format!("{} goes into the trash: {}", line.id, line.reason),
        );
        receipt.trashed.push(line.id.clone());
        meter
            .get_or_insert_with(|| cx.step("Move expired backups to the trash", Unit::Objects, Some(expired)))
            .add(1);
    }
    empty_trash(archive, lock, view, now, cx, &mut receipt)?;
    if let Some(until) = plan.truncate_until.min(fresh.truncate_until) {
        let done = truncate::run(archive, lock, until, cx)?;
        receipt.segments = done.segments;
        receipt.freed_bytes += done.freed_bytes;
    }
    clear_debris(archive, lock, view, now, cx, &mut receipt)?;
    Ok(receipt)
}

/// The plan made anew: what the agreed one drops and this one keeps has become needed meanwhile.
fn still_true(archive: &Archive, agreed: &RetentionPlan, now: Millis) -> Result<RetentionPlan, EngineError> {
    let view = View::read(archive, &SummaryCache::default())?;
    let mut settings = view.settings.clone();
    if let Ok(days) = RetentionDays::new(agreed.days) {
        settings.retention_days = days;
    }
    let fresh = plan(&view, &settings, now.max(agreed.at));
    let needed = |l: &&RetentionLine| l.keep && agreed.dropped().any(|d| d.id == l.id);
    match fresh.backups.iter().find(needed) {
        None => Ok(fresh),
        Some(line) => Err(EngineError::Drifted {
            what: format!("backup {}", line.id),
            planned: "no longer needed".to_owned(),
            found: format!("kept: {}", line.reason),
        }),
    }
}

fn empty_trash(
    archive: &Archive,
    lock: &ArchiveLock,
    view: &View,
    now: Millis,
    cx: &dyn JobCx,
    receipt: &mut RetentionReceipt,
) -> Result<(), EngineError> {
    let mut meter = None;
    receipt.purged.extend(archive.finish_purges(lock)?);
    let due = view.trash.iter().filter(|(_, note, _)| note.until <= now);
    for (id, note, _) in due {
        cx.check()?;
        if receipt.purged.contains(id) {
            // Begun by a run that was interrupted, ended just now.
            continue;
        }
        archive.purge(lock, id)?;
        crash_point("retention.purged");
        receipt.freed_bytes += note.stored_bytes;
        receipt.purged.push(id.clone());
        meter
            .get_or_insert_with(|| cx.step("Empty the trash", Unit::Objects, None))
            .add(1);
    }
    Ok(())
}

/// Clears away what interrupted backups left, once nobody will resume them.
fn clear_debris(
    archive: &Archive,
    lock: &ArchiveLock,
    view: &View,
    now: Millis,
    cx: &dyn JobCx,
    receipt: &mut RetentionReceipt,
) -> Result<(), EngineError> {
    for id in &view.incomplete {
        cx.check()?;
        let old = id.dated().is_some_and(|begun| now.since(begun) > DEBRIS_GRACE);
        if old {
            archive.remove_snapshot(lock, id)?;
            receipt.cleared.push(id.clone());
        }
    }
    Ok(())
}
