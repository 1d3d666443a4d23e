//! Keeping applications out of a server while it is restored, and letting them in again.

use std::sync::Arc;

use super::core::Core;
use crate::cluster::{ClosedAs, ClusterError};

/// Closes the server to applications and ends their sessions.
pub(super) fn close(_core: &Arc<Core>, _state: ClosedAs) -> Result<(), ClusterError> {
    Err(super::binlog::not_yet())
}

/// Puts everything back as it was before [`close`].
pub(super) fn open(_core: &Arc<Core>) -> Result<(), ClusterError> {
    Err(super::binlog::not_yet())
}
