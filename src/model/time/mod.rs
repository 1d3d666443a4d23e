//! Time on screen and on the command line: parsing what operators write, and echoing it in all forms.
//!
//! Pure: "now" and the zone are handed in. Whatever [`exact`] prints, [`parse_when`] reads back as the same
//! instant. Nothing is guessed: an hour that happens twice in autumn is refused until the operator says
//! which one, and a time that spring skips is refused with its neighbours.
//!
//! *Invariant: instant zero is never shown as a date of 1970, but as "none".*

mod echo;
mod mention;
mod parse;
mod show;
mod zone;

pub use echo::Echo;
pub use mention::{mention, mention_exact, with_mentions};
pub use parse::{When, parse_duration, parse_when};
pub use show::{
    age, ago, clock, clock_offset, day, exact, local, offset, push_short, range, short, short_seconds, took, utc, words,
};
pub use zone::parse_zone;

/// What stands for "no such moment".
pub const NONE: &str = "none";

/// A time, zone or duration that cannot be used, and what would work instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTime {
    /// Not of a known form.
    #[error(
        "`{given}` is not a time: {why}; write for example 2026-11-20 02:00, 2026-11-20T02:00:04+01:00, yesterday 02:00, 10m ago or a TSO"
    )]
    Form {
        /// What was written, made safe to show.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not a length of time.
    #[error("`{given}` is not a length of time: write for example 90s, 10m, 2h30m or 1d, largest unit first")]
    Duration {
        /// What was written, made safe to show.
        given: String,
    },
    /// Not a time zone.
    #[error("`{given}` is not a time zone: {why}")]
    Zone {
        /// What was written, made safe to show.
        given: String,
        /// What to write instead.
        why: String,
    },
    /// A local time that the end of daylight saving repeats.
    #[error("{given} happens twice in {zone}: write `{first}` for the first or `{second}` for the second")]
    Ambiguous {
        /// The local time.
        given: String,
        /// The zone that repeats it.
        zone: String,
        /// The first one, as it can be written.
        first: String,
        /// The second one, as it can be written.
        second: String,
    },
    /// A local time that the start of daylight saving skips.
    #[error("{given} does not exist in {zone}, the clock skips it: the nearest times are `{before}` and `{after}`")]
    Skipped {
        /// The local time.
        given: String,
        /// The zone that skips it.
        zone: String,
        /// The last second before the gap, as it can be written.
        before: String,
        /// The first instant after the gap, as it can be written.
        after: String,
    },
}
