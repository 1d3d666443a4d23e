//! `brine agent`: schedules, log backups and jobs without a terminal, until SIGTERM or SIGINT.
//!
//! When it ends, log backups are flushed; jobs at work are left as they are, so that the next runner finds them
//! interrupted and can go on with them. A hang-up does not end it.

use super::args::GlobalArgs;
use super::signals::Signals;
use super::{Outcome, Std, config, exit::ExitCode, open, refuse};
use crate::jobs::lease::HolderKind;
use crate::jobs::runner::Shutdown;
use crate::service::host::{Host, NotHost};

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

/// Goes on as an agent after the terminal is gone, until SIGTERM: quietly, because nobody reads.
pub fn carry_on(host: &Host) -> std::io::Result<()> {
    let signals = Signals::listen()?;
    // Only what `brine cluster list` says of the holder; the work goes on without it.
    let _ = host.runner().journal().lease().now_is(HolderKind::Agent);
    signals.wait();
    host.shut(Shutdown::Leave);
    Ok(())
}
