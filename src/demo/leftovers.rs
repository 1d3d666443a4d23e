//! What demos left behind that were killed before they could clear away: kill -9, or a signal while the past was being made.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::jobs::lease::holder_of;
use crate::model::clock::Millis;

/// What the name of a demo's directory begins with; 16 hex digits follow.
pub(super) const PREFIX: &str = "brine-demo-";
/// A demo that is making its past holds no lease yet, and writes all the time. In milliseconds.
const AT_WORK: i64 = 10 * Millis::MINUTE;

/// Removes directories of dead demos of this user. Best effort: the system's own folder for temporary things is cleared by
/// others, too.
pub(super) fn clear(temp: &Path, now: Millis) {
    let Ok(entries) = fs::read_dir(temp) else { return };
    for entry in entries.flatten() {
        if is_demo(&entry.file_name().to_string_lossy()) && is_dead(&entry.path(), now) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_demo(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX);
    random.is_some_and(|r| r.len() == 16 && r.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_dead(dir: &Path, now: Millis) -> bool {
    let Ok(meta) = fs::symlink_metadata(dir) else {
        return false;
    };
    let ours = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw();
    let written = meta.mtime().saturating_mul(1000);
    ours && now.since(Millis(written)) >= AT_WORK && holder_of(dir).is_none()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::jobs::lease::{HolderKind, Lease};
    use crate::model::clock::{Clock, SystemClock};

    #[test]
    fn only_dead_demos_are_cleared_away() {
        let temp = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let dir = temp.path().join(name);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("data"), "x").unwrap();
            dir
        };
        let dead = make("brine-demo-0123456789abcdef");
        let alive = make("brine-demo-0123456789abcde0");
        let others = [
            make("brine-demo-mine"),
            make("brine-demos-0123456789abcdef"),
            make("other"),
        ];
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let lease = Lease::acquire(&alive, HolderKind::Console, &clock).unwrap();
        let link = temp.path().join("brine-demo-fedcba9876543210");
        std::os::unix::fs::symlink(&others[2], &link).unwrap();

        clear(temp.path(), clock.now());
        assert!(dead.exists(), "one that makes its past has no lease yet");
        let later = clock.now().plus(2 * AT_WORK);
        clear(temp.path(), later);
        assert!(!dead.exists());
        assert!(alive.exists() && link.exists() && others.iter().all(|dir| dir.join("data").exists()));
        drop(lease);
        clear(temp.path(), later);
        assert!(!alive.exists());
    }
}
