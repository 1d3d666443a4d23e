//! Named points at which a test can kill the process.
//!
//! `BRINE_CRASH_AT=<name>` or `<name>:<n>` aborts at the n-th pass of that point, as `kill -9` would. Only
//! debug builds look; in release builds a point is nothing. `BRINE_CRASH_LOG=<file>` gets the name of every point
//! that is passed, so that a test can find out which ones a verb has.

/// Aborts here if the environment asks for it.
#[inline]
pub fn crash_point(name: &str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static LOG: OnceLock<Option<std::ffi::OsString>> = OnceLock::new();
    static WANTED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();

    /// `name:n` as (name, passes left).
    fn wanted() -> Option<(String, AtomicU64)> {
        let text = std::env::var("BRINE_CRASH_AT").ok()?;
        let (name, n) = match text.rsplit_once(':') {
            Some((name, n)) => (name.to_owned(), n.parse().ok()?),
            None => (text, 1),
        };
        Some((name, AtomicU64::new(n)))
    }

    /// One write a line: threads do not mix theirs.
    fn note(file: &std::ffi::OsStr, name: &str) {
        use std::io::Write;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
        if let Ok(mut file) = file {
            let _ = file.write_all(format!("{name}\n").as_bytes());
        }
    }

    pub(super) fn pass(name: &str) {
        if let Some(file) = LOG.get_or_init(|| std::env::var_os("BRINE_CRASH_LOG")) {
            note(file, name);
        }
        if let Some((wanted, left)) = WANTED.get_or_init(wanted)
            && wanted == name
            && left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            std::process::abort();
        }
    }
}
