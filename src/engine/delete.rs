//! Deleting a backup: into the trash, with what the window loses said first.

use serde::{Deserialize, Serialize};

use crate::archive::state::WayBackKind;
use crate::archive::{Archive, ArchiveLock, TrashNote, TrashState};
use crate::engine::cx::JobCx;
use crate::engine::error::EngineError;
use crate::engine::retention::TRASH;
use crate::engine::view::View;
use crate::model::clock::Millis;
use crate::model::ids::BackupId;
use crate::model::job::Unit;
use crate::model::position::Moment;
use crate::model::size;
use crate::model::time::mention;
use crate::model::window::Window;

/// What deleting a backup does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletePlan {
    /// The backup.
    pub id: BackupId,
    /// Why it cannot be deleted, if so.
    pub refused: Option<String>,
    /// What is lost, in words.
    pub loses: Vec<String>,
    /// Whether it is the last good backup, of all or of the live history, so that the cluster's name must be typed.
    pub last_good: bool,
    /// Bytes freed once the trash is emptied.
    pub freed_bytes: u64,
    /// Until when it can be undeleted.
    pub trash_until: Millis,
    /// The window after.
    pub window_after: Window,
}

/// Makes the plan.
pub fn plan(view: &View, id: &BackupId, now: Millis) -> Result<DeletePlan, EngineError> {
    let backup = view.backup(id)?;
    let remaining: Vec<_> = view.bases().into_iter().filter(|b| b.id != *id).collect();
    let live = view.live();
    let last_of_live = backup.incarnation == live && remaining.iter().all(|b| b.incarnation != live);
    let last_good = backup.is_full() && (last_of_live || remaining.is_empty());
    let window_before = view.window();
    let window_after = Window::new(remaining, &view.log.runs);
    let mut loses = vec![format!(
        "the snapshot of {} ({})",
        mention(backup.commit.at),
        size::iec(backup.stored_bytes)
    )];
    match (window_before.bounds(), window_after.bounds()) {
        (Some(_), None) => loses.push("everything: nothing can be restored afterwards".to_owned()),
        (Some((from, to)), Some((later, earlier))) => {
            let show = |m: Moment| mention(m.at);
            if from < later {
                loses.push(format!("the moments from {} to {}", show(from), show(later)));
            }
            let begin = earlier.max(backup.commit);
            if begin < to {
                loses.push(format!(
                    "the moments from {} to {}: no other base leads to them",
                    show(begin),
                    show(to)
                ));
            }
        }
        _ => {}
    }
    if window_after.spans.len() > window_before.spans.len() || window_after.gaps().len() > window_before.gaps().len() {
        loses.push("the window gets a gap".to_owned());
    }
    Ok(DeletePlan {
        id: id.clone(),
        refused: refusal(view, id, now),
        loses,
        last_good,
        freed_bytes: backup.stored_bytes,
        trash_until: now.plus(TRASH),
        window_after,
    })
}

/// What depends on a backup keeps it from being deleted.
fn refusal(view: &View, id: &BackupId, now: Millis) -> Option<String> {
    if let Some(p) = view.protect.0.get(id) {
        return Some(format!(
            "it is protected by {} since {}; unprotect it first",
            p.by,
            mention(p.at)
        ));
    }
    let way_backs = view
        .incarnations
        .list
        .iter()
        .filter_map(|i| Some((i, i.way_back.as_ref()?)));
    let mut in_use = way_backs.filter(|(_, w)| w.until > now && !w.used);
    let own = in_use.find(|(_, w)| match &w.kind {
        WayBackKind::Bookmark { base, .. } => base == id,
        WayBackKind::Snapshot { id: snapshot } => snapshot == id,
    });
    own.map(|(i, w)| {
        format!(
            "the way back of the restore of {} needs it until {}",
            mention(i.began.at),
            mention(w.until)
        )
    })
}

/// Puts a backup into the trash; the last good one only when that was confirmed by the typed name.
pub fn run(
    archive: &Archive,
    lock: &ArchiveLock,
    view: &View,
    id: &BackupId,
    confirmed: bool,
    cx: &dyn JobCx,
) -> Result<DeletePlan, EngineError> {
    let now = cx.clock().now();
    let plan = plan(view, id, now)?;
    if let Some(why) = &plan.refused {
        return Err(EngineError::refused(
            format!("backup {id} cannot be deleted: {why}"),
            "choose another backup",
        ));
    }
    if plan.last_good && !confirmed {
        return Err(EngineError::refused(
            format!("backup {id} has become the last good one since its deletion was asked for"),
            "ask again, with the typed name",
        ));
    }
    let moved = cx.step("Move the backup to the trash", Unit::Objects, Some(1));
    let note = TrashNote {
        deleted_at: now,
        until: plan.trash_until,
        by: cx.asked_by().to_owned(),
        stored_bytes: plan.freed_bytes,
        state: TrashState::Kept,
    };
    archive.trash(lock, id, &note)?;
    moved.add(1);
    Ok(plan)
}
