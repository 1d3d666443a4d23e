//! The binary log: read as a stream, dated, summed up, kept as it is.

pub mod payload;

use std::sync::Arc;

use super::core::Core;
use crate::cluster::{Changes, ClusterError, Mark};
use crate::model::position::Position;

/// A mark at or after everything that was acknowledged before.
pub(super) fn mark(_core: &Arc<Core>) -> Result<Mark, ClusterError> {
    Err(not_yet())
}

/// The stream behind a place.
pub(super) fn changes(_core: &Arc<Core>, _after: &Mark, _anchors: &[Mark]) -> Result<Box<dyn Changes>, ClusterError> {
    Err(not_yet())
}

/// These servers keep their log by their own settings; nothing is asked of them.
pub(super) fn keep_log(_core: &Arc<Core>, _from: Option<&Position>) -> Result<(), ClusterError> {
    Ok(())
}

pub(super) fn not_yet() -> ClusterError {
    ClusterError::Unsupported {
        what: "not written yet".to_owned(),
        hint: "wait".to_owned(),
    }
}
