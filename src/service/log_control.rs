//! Acts on log backups, wherever their tasks run in this process.

use std::sync::Arc;
use std::time::Duration;

use super::desk::{LogAct, Refusal};
use super::ward::Ward;
use super::wards::Wards;
use crate::archive::state::LogDoc;
use crate::archive::{Archive, ArchiveLock};
use crate::engine::cx::JobCx;
use crate::engine::error::EngineError;
use crate::engine::log::control;
use crate::engine::log::task::LogShared;
use crate::engine::restore::run::LogControl;
use crate::model::ids::ClusterName;
use crate::model::log::LogDesired;
use crate::model::position::Moment;
use crate::model::settings::BackupSettings;

/// How often somebody who waits for a turn looks whether it was cancelled.
const PATIENCE: Duration = Duration::from_millis(200);

/// The log backups of this process, as the engine asks for them.
pub struct Logs {
    /// All clusters.
    pub wards: Arc<Wards>,
}

impl LogControl for Logs {
    fn flush(&self, cluster: &ClusterName, cx: &dyn JobCx) -> Result<Option<Moment>, EngineError> {
        let ward = self.wards.get(cluster).map_err(refused)?;
        flush(&ward, cx).map_err(refused)
    }
}

/// A refusal on its way through the engine.
fn refused(r: Refusal) -> EngineError {
    EngineError::Refused {
        what: r.chain.join(": "),
        hint: r.hint.unwrap_or_default(),
    }
}

/// Brings a log backup up to the present and returns the checkpoint; `None` when it is not wanted to run.
pub fn flush(ward: &Ward, cx: &dyn JobCx) -> Result<Option<Moment>, Refusal> {
    let Some(archive) = ward.archive_if_any()? else {
        return Ok(None);
    };
    if desired(&archive)? != Some(LogDesired::Running) {
        return Ok(None);
    }
    let now = ward.cluster()?.mark().map_err(EngineError::from)?.moment;
    if !ward.keeper.is_started() {
        // Nobody streams: catch up in this very call, one at a time.
        let _turn = loop {
            cx.check().map_err(EngineError::from)?;
            if let Some(turn) = ward.catching_up.try_lock_for(PATIENCE) {
                break turn;
            }
        };
        let task = ward.log_task(Arc::new(LogShared::default()))?;
        return Ok(Some(task.catch_up(cx)?));
    }
    let failures = ward.keeper.failures();
    loop {
        cx.check().map_err(EngineError::from)?;
        if !ward.keeper.is_started() || desired(&archive)? != Some(LogDesired::Running) {
            // Stopped, paused or closed by somebody since.
            return Ok(None);
        }
        let task = ward.keeper.wait_for_task();
        if let Some(task) = task
            && task.flush_to(now, cx).map_err(EngineError::from)?
        {
            return Ok(task.checkpoint());
        }
        if ward.keeper.failures() > failures
            && let Some(error) = ward.keeper.failure()
        {
            return Err(EngineError::refused(format!("the log backup fails: {error}"), "mend that first").into());
        }
    }
}

fn desired(archive: &Archive) -> Result<Option<LogDesired>, Refusal> {
    Ok(archive.state::<LogDoc>().map_err(EngineError::from)?.value.desired)
}

/// Does one of the acts on a log backup.
pub fn act(ward: &Ward, act: LogAct, by: &str, cx: &dyn JobCx) -> Result<(), Refusal> {
    match act {
        LogAct::Start => {
            // The archive is made first, so that an unreachable storage is heard of here.
            let (archive, lock) = (ward.archive()?, ward.lock()?);
            ward.cluster()?.check_log().map_err(EngineError::from)?;
            control::start(&archive, &lock)?;
            note_wish(ward, &archive, &lock, true)?;
            ward.keeper.poke();
        }
        LogAct::Resume => {
            control::resume(&ward.archive_for_reading()?, &*ward.lock()?)?;
            ward.keeper.poke();
        }
        LogAct::Pause => {
            control::pause(&ward.archive_for_reading()?, &*ward.lock()?, by)?;
            ward.keeper.stop_task();
        }
        LogAct::Stop => {
            let (archive, lock) = (ward.archive_for_reading()?, ward.lock()?);
            // What is not wanted any more is not started again; then the task flushes and ends; then its stretch is closed.
            control::no_longer_wanted(&archive, &lock)?;
            ward.keeper.stop_task();
            control::stop(&*ward.cluster()?, &archive, &lock)?;
            note_wish(ward, &archive, &lock, false)?;
        }
        LogAct::Flush => {
            if flush(ward, cx)?.is_none() {
                return Err(EngineError::refused(
                    format!(
                        "the log backup of {} does not run: there is nothing to flush",
                        ward.name()
                    ),
                    format!("start it: brine log start {}", ward.name()),
                )
                .into());
            }
        }
    }
    Ok(())
}

/// Backup Settings say the same as the log backup's wish, whoever changed it.
fn note_wish(ward: &Ward, archive: &Archive, lock: &ArchiveLock, on: bool) -> Result<(), Refusal> {
    let change = |doc: &mut BackupSettings| {
        if *doc == BackupSettings::default() {
            doc.time_zone = ward.config.time_zone;
        }
        doc.pitr = on;
    };
    archive.update(lock, change).map_err(EngineError::from)?;
    Ok(())
}
