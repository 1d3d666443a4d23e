//! The state machine of a job: the one place that says which state may follow which.
//!
//! ```text
//! Queued -> Running -> Succeeded | Failed | Interrupted
//!    |         '----> Cancelling -> Cancelled | Succeeded | Failed | Interrupted
//!    '-> Cancelled | Failed | Interrupted
//! Interrupted | Failed -> Queued       (resume)
//! Interrupted -> Cancelled             (given up)
//! ```

use crate::model::job::JobState;

/// A change of state that must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {} cannot become {}", from.word().to_lowercase(), to.word().to_lowercase())]
pub struct BadTransition {
    /// The state it is in.
    pub from: JobState,
    /// The state it should have got.
    pub to: JobState,
}

/// Checks a change of state; every change goes through here.
pub fn check(from: JobState, to: JobState) -> Result<(), BadTransition> {
    use JobState::*;
    let allowed = match from {
        Queued => matches!(to, Running | Cancelled | Failed | Interrupted),
        // Cancelled needs Cancelling first: nobody is told "cancelled" who did not ask.
        Running => matches!(to, Cancelling | Succeeded | Failed | Interrupted),
        // Work that was done before it noticed has succeeded.
        Cancelling => matches!(to, Cancelled | Succeeded | Failed | Interrupted),
        Interrupted => matches!(to, Queued | Cancelled),
        Failed => matches!(to, Queued),
        Succeeded | Cancelled => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(BadTransition { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobState::*;

    #[test]
    fn the_whole_table() {
        let all = [Queued, Running, Cancelling, Succeeded, Failed, Cancelled, Interrupted];
        let expected = [
            // Q R Ca S F C I
            "-R--FCI", // Queued
            "--cSF-I", // Running
            "---SFCI", // Cancelling
            "-------", // Succeeded
            "Q------", // Failed
            "-------", // Cancelled
            "Q----C-", // Interrupted
        ];
        for (from, row) in all.iter().zip(expected) {
            for (to, cell) in all.iter().zip(row.chars()) {
                assert_eq!(check(*from, *to).is_ok(), cell != '-', "{from:?} -> {to:?}");
            }
        }
    }

    #[test]
    fn no_state_is_a_trap_and_no_end_is_left_by_accident() {
        let all = [Queued, Running, Cancelling, Succeeded, Failed, Cancelled, Interrupted];
        for from in all {
            assert!(check(from, from).is_err());
            if !from.is_over() {
                assert!(
                    all.iter().any(|to| to.is_over() && check(from, *to).is_ok()),
                    "{from:?}"
                );
                assert!(
                    check(from, Interrupted).is_ok(),
                    "{from:?} must be recoverable after a crash"
                );
            }
        }
        let text = check(Succeeded, Running).unwrap_err().to_string();
        assert_eq!(text, "a job that is succeeded cannot become running");
    }
}
