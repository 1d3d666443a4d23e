//! `brine agent`: schedules, log backups and jobs without a terminal, until SIGTERM or SIGINT.
//!
//! When it ends, log backups are flushed; jobs at work are left as they are, so that the next runner finds them
//! interrupted and can go on with them. A hang-up does not end it.

use std::time::Duration;

use super::args::GlobalArgs;
use super::signals::Signals;
use super::{Outcome, Std, config, exit::ExitCode, open, refuse};
use crate::config::Config;
use crate::jobs::lease::HolderKind;
use crate::jobs::runner::Shutdown;
use crate::service::desk::Refusal;
use crate::service::host::{Host, NotHost};

/// How often an agent that waits for a command tries again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(super) fn run(global: &GlobalArgs, out: &mut Std) -> Outcome {
    let config = config::load(global)?;
    // Before anything runs: a signal that comes early must not kill what is just starting.
    let signals = Signals::listen().map_err(refuse::printing)?;
    let Some(host) = take_over(&config, global, &signals, out)? else {
        return Ok(ExitCode::Done);
    };
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

/// Starts the host. A single command that has the lease is waited for, another agent or a console is not; `None` when
/// somebody wanted an end meanwhile.
fn take_over(config: &Config, global: &GlobalArgs, signals: &Signals, out: &mut Std) -> Result<Option<Host>, Refusal> {
    let mut told = false;
    loop {
        let held = match open::host(config, global, HolderKind::Agent) {
            Ok(host) => return Ok(Some(host)),
            Err(NotHost::Refused(refusal)) => return Err(refusal),
            Err(NotHost::Held(held)) if open::is_command(&held) => held,
            Err(NotHost::Held(held)) => return Err(open::held(&held)),
        };
        if !told {
            let _ = out.note(&format!("waiting: {held}"));
            told = true;
        }
        if signals.within(LOOK_AGAIN) {
            return Ok(None);
        }
    }
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
