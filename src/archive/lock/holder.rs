//! Who holds a lock, and whether that process is still there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::archive::error::ArchiveError;
use crate::model::text::safe;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The host's name.
    pub host: String,
    /// This boot of the host and, because pids mean nothing elsewhere, this process namespace.
    pub boot: String,
    /// The process.
    pub pid: u32,
    /// When the process started, in the kernel's ticks since boot: pids are used again.
    pub started: u64,
    /// A random id of this taking.
    pub owner: String,
    /// The user.
    pub user: String,
    /// What it is doing.
    pub what: String,
}

impl Holder {
    /// This process.
    pub fn here(user: &str, what: &str) -> Result<Holder, ArchiveError> {
        let mut owner = [0; 16];
        crate::archive::random(&mut owner)?;
        let pid = std::process::id();
        Ok(Holder {
            host: line("/proc/sys/kernel/hostname"),
            boot: boot(),
            pid,
            started: started(pid).unwrap_or_default(),
            owner: owner.iter().map(|b| format!("{b:02x}")).collect(),
            user: user.to_owned(),
            what: what.to_owned(),
        })
    }

    /// Whether it is certain that the process is gone: it ran on this host, boot and namespace, and no longer does.
    pub fn is_gone(&self) -> bool {
        let boot = boot();
        // Without these facts nothing is certain.
        if boot.is_empty() || self.boot != boot || self.host != line("/proc/sys/kernel/hostname") {
            return false;
        }
        match started(std::process::id()) {
            Some(_) => started(self.pid) != Some(self.started),
            None => false,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, host, what) = (safe(&self.user, 64), safe(&self.host, 64), safe(&self.what, 80));
        write!(f, "{user}@{host} (process {}, {what})", self.pid)
    }
}

fn line(path: &str) -> String {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Boot id and process namespace; empty where they cannot be told.
fn boot() -> String {
    let boot = line("/proc/sys/kernel/random/boot_id");
    match std::fs::read_link("/proc/self/ns/pid") {
        Ok(namespace) if !boot.is_empty() => format!("{boot} {}", namespace.display()),
        _ => String::new(),
    }
}

/// When a process started; `None` when there is none, or only its corpse.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses, which may hold spaces and parentheses.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_living_from_gone() {
        let me = Holder::here("ana", "backup").unwrap();
        assert!(!me.is_gone());
        let reused = Holder {
            started: me.started + 1,
            ..me.clone()
        };
        assert!(reused.is_gone(), "a pid that was used again is another process");
        let elsewhere = Holder {
            host: "elsewhere".to_owned(),
            ..reused
        };
        assert!(!elsewhere.is_gone(), "nothing is known of other hosts");
    }

    #[test]
    fn a_corpse_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let mut holder = Holder::here("ana", "backup").unwrap();
        holder.pid = child.id();
        holder.started = started(child.id()).unwrap_or(1);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !holder.is_gone() {
            assert!(
                std::time::Instant::now() < deadline,
                "an exited process counts as alive"
            );
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
