//! `brine agent`: schedules, log backups and jobs without a terminal, until SIGTERM or SIGINT.
//!
//! When it ends, log backups are flushed; jobs at work are left as they are, so that the next runner finds them
//! interrupted and can go on with them. A hang-up does not end it.

use super::args::GlobalArgs;
use super::signals::Signals;
use super::{Outcome, Std, config, exit::ExitCode, open, refuse};
use crate::jobs::lease::HolderKind;
use crate::jobs::runner::Shutdown;
use crate::service::host::NotHost;

pub(super) fn run(global: &GlobalArgs, out: &mut Std) -> Outcome {
    let config = config::load(global)?;
    // Before anything runs: a signal that comes early must not kill what is just starting.
    let signals = Signals::listen().map_err(refuse::printing)?;
    let host = open::host(&config, global, HolderKind::Agent).map_err(|e| match e {
        NotHost::Held(held) => open::held(&held),
        NotHost::Refused(refusal) => refusal,
    })?;
    let _ = out.note(&format!(
        "agent at work in {}; SIGTERM or Ctrl-C ends it",
        config.data_dir.display()
    ));
    signals.wait();
    let _ = out.note("ending: flushing log backups");
    if host.runner().active() > 0 {
        let _ = out.note("jobs at work are left; `brine job list` shows them, `brine job resume` goes on");
    }
    host.shut(Shutdown::Leave);
    Ok(ExitCode::Done)
}
