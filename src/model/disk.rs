//! A disk without space, as it comes up in the texts of errors from below, and what to do then.
//!
//! The same cause comes from the system, from SQLite, from the embedded store and from servers, each in words of its own;
//! whoever reads it wants the same advice.

/// What to do about a full disk.
pub const FREE_SPACE: &str = "free some space there, then try again";

/// What to do about files that may not grow although there is space.
pub const LET_GROW: &str = "let files grow (ulimit -f, or the limit of that file system), then try again";

/// What to do about a store that refuses to go on after its disk had failed it.
pub const START_AGAIN: &str =
    "its store stopped at an earlier error of the disk: free some space there, then stop brine and start it again";

/// The same advice, where it is known which disk that is.
pub fn advice_in(advice: &str, place: &str) -> String {
    advice.replacen("free some space there", &format!("free some space in {place}"), 1)
}

/// How a full disk is told of: by the system, by SQLite, by servers.
const FULL: [&str; 8] = [
    "No space left on device",
    "Disk quota exceeded",
    "database or disk is full",
    // SQLite, when its shared memory cannot grow.
    "Error code 4874",
    "(os error 28)",
    "Errcode: 28",
    "errno: 28",
    "Disk full",
];

/// The advice, when this text of an error and its causes tells of a full disk.
pub fn advice(text: &str) -> Option<&'static str> {
    if text.contains("FjallError: Poisoned") {
        return Some(START_AGAIN);
    }
    if text.contains("File too large") || text.contains("(os error 27)") {
        return Some(LET_GROW);
    }
    FULL.iter().any(|words| text.contains(words)).then_some(FREE_SPACE)
}

/// The advice for an error with its causes.
pub fn advice_for(e: &dyn std::error::Error) -> Option<&'static str> {
    let mut next = Some(e);
    while let Some(e) = next {
        if let Some(advice) = advice(&e.to_string()) {
            return Some(advice);
        }
        next = e.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_by_whoever_tells_of_it() {
        let full = std::io::Error::from_raw_os_error(28);
        assert_eq!(advice_for(&full), Some(FREE_SPACE));
        for text in [
            "database or disk is full",
            "Error writing file './d/t.ibd' (Errcode: 28 \"No space left on device\")",
            "Got error 28 from storage engine (errno: 28)",
        ] {
            assert_eq!(advice(text), Some(FREE_SPACE), "{text}");
        }
        let large = std::io::Error::from_raw_os_error(27);
        assert_eq!(advice_for(&large), Some(LET_GROW));
        assert_eq!(advice("FjallError: Poisoned"), Some(START_AGAIN));
        assert_eq!(advice("connection refused"), None);
    }
}
