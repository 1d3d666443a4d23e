//! Going back from a switch that began, as long as the tables have not moved.

use super::Building;
use crate::cluster::ClusterError;
use crate::cluster::mysql::restore::back;
use crate::cluster::mysql::restore::state::Phase;

impl Building {
    /// After a step of the switch failed: while the tables have not moved, all of it is undone. The error, and what became of it.
    pub(super) fn undo_switch(&self, e: ClusterError) -> ClusterError {
        // With the connection lost, only the next run can know how far it came.
        if !matches!(e, ClusterError::Server { .. } | ClusterError::Unsupported { .. }) {
            return e;
        }
        match self.go_back() {
            Ok(None) => e,
            Ok(Some(lost)) if lost.is_empty() => e,
            Ok(Some(lost)) => ClusterError::Unsupported {
                what: format!("{e}. The live tables are as they were, but: {}", lost.join("; ")),
                hint: "make these again by hand".to_owned(),
            },
            Err(undoing) => ClusterError::Unsupported {
                what: format!("{e}. Going back failed too: {undoing}"),
                hint: "resume the job when the server answers again".to_owned(),
            },
        }
    }

    /// Undoes a switch that began, and throws away what was built. `None` when the tables have moved already; else what could
    /// not be made again.
    pub(super) fn go_back(&self) -> Result<Option<Vec<String>>, ClusterError> {
        let (n, prefix) = {
            let inner = self.inner.lock();
            (inner.memory.number, inner.shadows.prefix())
        };
        self.pool.with(|conn| {
            if !back::is_open(conn, n)? {
                return Ok(None);
            }
            let lost = back::go(conn, n, self.core.options.switch_patience)?;
            self.inner.lock().memory.phase = Phase::Abandoning;
            back::throw_away(conn, n, &prefix)?;
            Ok(Some(lost))
        })
    }
}
