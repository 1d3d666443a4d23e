//! The desk that a command speaks to: its own, or that of the process which holds the lease.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::GlobalArgs;
use super::refuse;
use crate::config::Config;
use crate::jobs::lease::{HolderKind, LeaseError};
use crate::jobs::runner::Shutdown;
use crate::model::clock::SystemClock;
use crate::model::text::safe;
use crate::service::desk::{Desk, Refusal};
use crate::service::host::{Host, HostOptions, NotHost};
use crate::service::local::Role;
use crate::service::remote::RemoteDesk;

/// So long embedded clusters can be read in the past.
const HISTORY: Duration = Duration::from_secs(24 * 3600);
/// So long a command waits for a holder that cannot be spoken to: it is just starting or just ending.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long a command waits for another command to end before it asks that one instead.
const COMMAND_PATIENCE: Duration = Duration::from_secs(1);
/// The same for a console, which stays longer than the command would.
const SCREEN_PATIENCE: Duration = Duration::from_secs(10);
/// So long a command that did jobs of others can still be asked when they are done.
const LINGER: Duration = Duration::from_secs(1);

/// A desk, and what has to be closed behind it.
pub struct Opened {
    /// Answers questions.
    pub desk: Arc<dyn Desk>,
    /// The host, when it is in this very process.
    pub host: Option<Host>,
}

impl Opened {
    /// Whether jobs run in this very process.
    pub fn is_here(&self) -> bool {
        self.host.is_some()
    }

    /// Closes what this process opened. Jobs that others started here through the socket are waited for, unless
    /// the operator wants to leave now.
    pub fn shut(self, leave_now: bool) {
        let Some(host) = self.host else { return };
        if !leave_now {
            host.runner().close_when_idle(|| std::thread::sleep(LINGER));
        }
        host.shut(Shutdown::Leave);
    }
}

/// The desk for one command.
pub(super) fn desk(config: &Config, global: &GlobalArgs) -> Result<Opened, Refusal> {
    desk_of(HolderKind::Command, config, global)
}

/// The desk for a console: this process runs schedules and log backups, or another one does.
pub fn console(config: &Config, global: &GlobalArgs) -> Result<Opened, Refusal> {
    desk_of(HolderKind::Console, config, global)
}

fn desk_of(kind: HolderKind, config: &Config, global: &GlobalArgs) -> Result<Opened, Refusal> {
    let begun = Instant::now();
    loop {
        let held = match host(config, global, kind) {
            Ok(host) => {
                return Ok(Opened {
                    desk: host.desk.clone(),
                    host: Some(host),
                });
            }
            Err(NotHost::Refused(refusal)) => return Err(refusal),
            Err(NotHost::Held(held)) => held,
        };
        let patience = match kind {
            HolderKind::Command => COMMAND_PATIENCE,
            HolderKind::Console | HolderKind::Agent => SCREEN_PATIENCE,
        };
        if is_command(&held) && begun.elapsed() < patience {
            // It is most likely gone in a moment; what is started in it would only make it stay.
            continue;
        }
        match RemoteDesk::connect(&config.data_dir, &asked_by(), global.read_only) {
            Ok(desk) => {
                return Ok(Opened {
                    desk: Arc::new(desk),
                    host: None,
                });
            }
            Err(mut refusal) if begun.elapsed() >= PATIENCE => {
                refusal.chain.insert(0, held.to_string());
                return Err(refusal);
            }
            Err(_) => {}
        }
    }
}

/// Whether the holder is a single command, which will be gone by itself; one that has not said yet what it is may be.
pub(super) fn is_command(held: &LeaseError) -> bool {
    match held {
        LeaseError::Held { holder, .. } => holder.as_ref().is_none_or(|h| h.what == HolderKind::Command),
        LeaseError::Io { .. } => false,
    }
}

/// Starts the host of this process.
pub(super) fn host(config: &Config, global: &GlobalArgs, kind: HolderKind) -> Result<Host, NotHost> {
    Host::start(HostOptions {
        config: config.clone(),
        clock: Arc::new(SystemClock),
        role: Role {
            word: kind.word(),
            demo: false,
            read_only: global.read_only,
            asked_by: asked_by(),
        },
        kind,
        history: Some(HISTORY),
        keeps: kind != HolderKind::Command,
    })
}

/// Says who holds the lease, to a process that cannot do its work beside it.
pub(super) fn held(held: &LeaseError) -> Refusal {
    refuse::guarded(
        held.to_string(),
        "wait until it has ended, or give this process its own --data-dir and clusters",
    )
}

/// `user@host`, as it is noted beside backups and jobs.
pub fn asked_by() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|v| std::env::var(v).ok());
    let user = named.filter(|u| !u.is_empty()).unwrap_or_else(user_of_process);
    let host =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let host = host.unwrap_or_else(|_| "localhost".to_owned());
    safe(&format!("{user}@{}", host.trim()), 100)
}

/// For sessions without `USER`, such as those of a service manager.
fn user_of_process() -> String {
    let Ok(own) = std::fs::metadata("/proc/self") else {
        return "someone".to_owned();
    };
    let uid = own.uid().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut names = accounts.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    names.next().unwrap_or_else(|| format!("uid{uid}"))
}
