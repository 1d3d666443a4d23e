//! Start, pause, resume and stop: what the operator wants of the log backup, written into the archive.
//!
//! Whoever runs the task reads the wish from there; these functions only write it.

use crate::archive::state::LogDoc;
use crate::archive::{Archive, ArchiveLock};
use crate::cluster::Cluster;
use crate::engine::error::EngineError;
use crate::model::log::{LogDesired, RunEnd};

/// Wants the log backup to run. Starting a running one is no error.
pub fn start(archive: &Archive, lock: &ArchiveLock) -> Result<(), EngineError> {
    archive.update(lock, |doc: &mut LogDoc| {
        if !matches!(doc.desired, Some(LogDesired::Running | LogDesired::Paused)) {
            doc.task += 1;
        }
        doc.desired = Some(LogDesired::Running);
        doc.paused = None;
        doc.last_error = None;
    })?;
    Ok(())
}

/// Holds the log backup; the source keeps its log for us as long as it can.
pub fn pause(archive: &Archive, lock: &ArchiveLock, by: &str) -> Result<(), EngineError> {
    let (_, was) = archive.update(lock, |doc: &mut LogDoc| {
        let was = doc.desired;
        if was == Some(LogDesired::Running) {
            doc.desired = Some(LogDesired::Paused);
            doc.paused = Some(by.to_owned());
        }
        was
    })?;
    wants(was, "pause", &[LogDesired::Running, LogDesired::Paused])
}

/// Goes on after a pause.
pub fn resume(archive: &Archive, lock: &ArchiveLock) -> Result<(), EngineError> {
    let (_, was) = archive.update(lock, |doc: &mut LogDoc| {
        let was = doc.desired;
        if was == Some(LogDesired::Paused) {
            doc.desired = Some(LogDesired::Running);
            doc.paused = None;
        }
        was
    })?;
    wants(was, "resume", &[LogDesired::Running, LogDesired::Paused])
}

/// The first half of a stop: nobody starts the task again. A task that runs may still flush.
pub fn no_longer_wanted(archive: &Archive, lock: &ArchiveLock) -> Result<(), EngineError> {
    archive.update(lock, |doc: &mut LogDoc| {
        if doc.desired.is_some() {
            doc.desired = Some(LogDesired::Stopped);
            doc.paused = None;
        }
    })?;
    Ok(())
}

/// Ends the log backup for good; what was archived stays. The source no longer keeps its log for us.
pub fn stop(cluster: &dyn Cluster, archive: &Archive, lock: &ArchiveLock) -> Result<(), EngineError> {
    let (_, was) = archive.update(lock, |doc: &mut LogDoc| {
        let was = doc.desired;
        if was.is_some() {
            doc.desired = Some(LogDesired::Stopped);
            let open = doc.runs.iter_mut().filter(|r| r.ended.is_none());
            open.for_each(|r| r.ended = Some(RunEnd::Stopped));
        }
        was
    })?;
    cluster.keep_log(None)?;
    wants(
        was,
        "stop",
        &[LogDesired::Running, LogDesired::Paused, LogDesired::Stopped],
    )
}

fn wants(was: Option<LogDesired>, act: &str, from: &[LogDesired]) -> Result<(), EngineError> {
    match was {
        Some(state) if from.contains(&state) => Ok(()),
        Some(state) => Err(EngineError::refused(
            format!("the log backup is {}: there is nothing to {act}", state.word()),
            "start it with `brine log start`",
        )),
        None => Err(EngineError::refused(
            format!("there is no log backup to {act}"),
            "start one with `brine log start`",
        )),
    }
}
