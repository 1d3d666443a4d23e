//! Instants and lengths of time as text of known widths.

use chrono::{DateTime, Datelike, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

use super::NONE;
use crate::model::clock::Millis;

/// An instant in a zone, unless it is zero, which stands for "no such moment".
fn in_zone(at: Millis, zone: Tz) -> Option<DateTime<Tz>> {
    (at != Millis(0)).then(|| at.utc().with_timezone(&zone))
}

fn formatted(at: Millis, zone: Tz, format: &str) -> String {
    in_zone(at, zone).map_or_else(|| NONE.to_owned(), |t| t.format(format).to_string())
}

/// `2026-11-20 02:00:04 +01:00`, 26 wide; milliseconds are cut off.
pub fn local(at: Millis, zone: Tz) -> String {
    in_zone(at, zone).map_or_else(
        || NONE.to_owned(),
        |t| format!("{} {}", t.format("%Y-%m-%d %H:%M:%S"), offset_of(&t)),
    )
}

/// As [`local`], with milliseconds where there are some: what it prints is the very instant.
pub fn exact(at: Millis, zone: Tz) -> String {
    in_zone(at, zone).map_or_else(|| NONE.to_owned(), |t| exact_at(&t))
}

pub(super) fn exact_at<Z: TimeZone>(t: &DateTime<Z>) -> String {
    let naive = t.naive_local();
    let fraction = match naive.nanosecond() / 1_000_000 {
        0 => String::new(),
        ms => format!(".{ms:03}"),
    };
    format!("{}{fraction} {}", naive.format("%Y-%m-%d %H:%M:%S"), offset_of(t))
}

/// `20 Nov 02:00`, 12 wide. Only beside something that names the zone.
pub fn short(at: Millis, zone: Tz) -> String {
    let mut out = String::with_capacity(12);
    push_short(&mut out, at, zone);
    out
}

/// The same, behind what is there already: a filter over many lines asks for this of each.
pub fn push_short(out: &mut String, at: Millis, zone: Tz) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let Some(t) = in_zone(at, zone).map(|t| t.naive_local()) else {
        return out.push_str(NONE);
    };
    push_two(out, t.day());
    out.push(' ');
    out.push_str(MONTHS.get(t.month0() as usize).copied().unwrap_or_default());
    out.push(' ');
    push_two(out, t.hour());
    out.push(':');
    push_two(out, t.minute());
}

fn push_two(out: &mut String, n: u32) {
    out.extend([n / 10 % 10, n % 10].map(|d| char::from_digit(d, 10).unwrap_or('0')));
}

/// `20 Nov 02:31:40`, 15 wide. Only beside something that names the zone.
pub fn short_seconds(at: Millis, zone: Tz) -> String {
    formatted(at, zone, "%d %b %H:%M:%S")
}

/// `20 Nov`, 6 wide.
pub fn day(at: Millis, zone: Tz) -> String {
    formatted(at, zone, "%d %b")
}

/// `02:47:13`, 8 wide. Only beside something that names day and zone.
pub fn clock(at: Millis, zone: Tz) -> String {
    formatted(at, zone, "%H:%M:%S")
}

/// `03:07:12 +01:00`, 15 wide.
pub fn clock_offset(at: Millis, zone: Tz) -> String {
    in_zone(at, zone).map_or_else(
        || NONE.to_owned(),
        |t| format!("{} {}", t.format("%H:%M:%S"), offset_of(&t)),
    )
}

/// `01:00:04Z`, 9 wide. Only beside something that names the day.
pub fn utc(at: Millis) -> String {
    formatted(at, Tz::UTC, "%H:%M:%SZ")
}

/// `+01:00`, 6 wide: the zone's offset at that instant.
pub fn offset(at: Millis, zone: Tz) -> String {
    offset_of(&at.utc().with_timezone(&zone))
}

fn offset_of<Z: TimeZone>(t: &DateTime<Z>) -> String {
    let east = t.offset().fix().local_minus_utc();
    let (sign, s) = if east < 0 { ('-', -east) } else { ('+', east) };
    let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
    // Some zones had offsets with seconds until 1972.
    if s == 0 {
        format!("{sign}{h:02}:{m:02}")
    } else {
        format!("{sign}{h:02}:{m:02}:{s:02}")
    }
}

/// Days, hours, minutes, seconds of a length; a negative one counts as zero.
fn split(ms: i64) -> (i64, i64, i64, i64) {
    let s = ms.max(0) / Millis::SECOND;
    (s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60)
}

/// An age for columns, at most 6 wide: `9 s`, `4 min`, `1h07m`, `2d01h`, `123d`.
pub fn age(ms: i64) -> String {
    match split(ms) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, _) => format!("{m} min"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) if d < 100 => format!("{d}d{h:02}h"),
        (d, ..) => format!("{d}d"),
    }
}

/// How far an instant lies from now: `4 min ago`, `now`, or `in 4 min` where it lies ahead.
pub fn ago(ms: i64) -> String {
    match ms {
        ..=-1000 => format!("in {}", age(ms.saturating_neg())),
        -999..=999 => "now".to_owned(),
        1000.. => format!("{} ago", age(ms)),
    }
}

/// A length with two units, at most 6 wide: `850 ms`, `9 s`, `3m52s`, `1h07m`, `2d01h`.
pub fn took(ms: i64) -> String {
    match split(ms) {
        (0, 0, 0, 0) => format!("{} ms", ms.max(0)),
        (0, 0, m, s) if m > 0 => format!("{m}m{s:02}s"),
        _ => age(ms),
    }
}

/// A length in words, its two largest units: `1 hour 7 minutes`.
pub fn words(ms: i64) -> String {
    let (d, h, m, s) = split(ms);
    let units = [(d, "day"), (h, "hour"), (m, "minute"), (s, "second")];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(units.len() - 1);
    let named = units.iter().skip(first).take(2).enumerate();
    let parts: Vec<String> = named
        .filter(|(place, (n, _))| *place == 0 || *n > 0)
        .map(|(_, (n, unit))| format!("{n} {unit}{}", if *n == 1 { "" } else { "s" }))
        .collect();
    parts.join(" ")
}

/// A length that is only known as a range: `8-12 s`, `34-51 min`, `1h05m-1h40m`, `under 2 min`.
pub fn range(from_ms: i64, to_ms: i64) -> String {
    let (from, to) = (from_ms.max(0), to_ms.max(from_ms).max(0));
    if to >= 100 * Millis::MINUTE {
        let (from, to) = (took(from), took(round_up(to, Millis::MINUTE) * Millis::MINUTE));
        return if from == to { to } else { format!("{from}-{to}") };
    }
    let (unit, word) = if to <= 90 * Millis::SECOND {
        (Millis::SECOND, "s")
    } else {
        (Millis::MINUTE, "min")
    };
    match (from / unit, round_up(to, unit).max(1)) {
        (0, to) => format!("under {to} {word}"),
        (from, to) if from == to => format!("{to} {word}"),
        (from, to) => format!("{from}-{to} {word}"),
    }
}

fn round_up(ms: i64, unit: i64) -> i64 {
    ms / unit + i64::from(ms % unit > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BERLIN: Tz = Tz::Europe__Berlin;
    /// 2026-11-20T01:00:04.250Z
    const AT: Millis = Millis(1_795_136_404_250);

    #[test]
    fn instants() {
        assert_eq!(local(AT, BERLIN), "2026-11-20 02:00:04 +01:00");
        assert_eq!(exact(AT, BERLIN), "2026-11-20 02:00:04.250 +01:00");
        assert_eq!(exact(AT.plus(-250), Tz::UTC), "2026-11-20 01:00:04 +00:00");
        assert_eq!(short(AT, BERLIN), "20 Nov 02:00");
        assert_eq!(short_seconds(AT, BERLIN), "20 Nov 02:00:04");
        assert_eq!(day(AT, BERLIN), "20 Nov");
        assert_eq!(clock(AT, BERLIN), "02:00:04");
        assert_eq!(clock_offset(AT, BERLIN), "02:00:04 +01:00");
        assert_eq!(utc(AT), "01:00:04Z");
        assert_eq!(offset(AT, Tz::America__St_Johns), "-03:30");
    }

    #[test]
    fn short_is_what_chrono_writes() {
        for days in 0..400 {
            for zone in [BERLIN, Tz::America__St_Johns, Tz::UTC] {
                let at = AT.plus(days * Millis::DAY + days * 7 * Millis::MINUTE);
                assert_eq!(short(at, zone), formatted(at, zone, "%d %b %H:%M"));
            }
        }
    }

    #[test]
    fn zero_is_never_1970() {
        let zero = Millis(0);
        let texts = [
            local(zero, BERLIN),
            exact(zero, BERLIN),
            short(zero, BERLIN),
            utc(zero),
            clock_offset(zero, BERLIN),
        ];
        assert!(texts.iter().all(|t| t == NONE), "{texts:?}");
    }

    #[test]
    fn lengths() {
        const S: i64 = Millis::SECOND;
        for (s, in_column, precise, spelled) in [
            (0, "0 s", "0 ms", "0 seconds"),
            (9, "9 s", "9 s", "9 seconds"),
            (60, "1 min", "1m00s", "1 minute"),
            (232, "3 min", "3m52s", "3 minutes 52 seconds"),
            (4_020, "1h07m", "1h07m", "1 hour 7 minutes"),
            (86_400, "1d00h", "1d00h", "1 day"),
            (176_400, "2d01h", "2d01h", "2 days 1 hour"),
            (123 * 86_400, "123d", "123d", "123 days"),
        ] {
            assert_eq!((age(s * S).as_str(), took(s * S).as_str()), (in_column, precise));
            assert_eq!(words(s * S), spelled);
        }
        assert_eq!(took(850), "850 ms");
        assert_eq!((age(-5), took(-5)), ("0 s".to_owned(), "0 ms".to_owned()));
        assert_eq!(
            (ago(240_000), ago(-240_000), ago(-3)),
            ("4 min ago".into(), "in 4 min".into(), "now".into())
        );
        assert_eq!(ago(i64::MIN), format!("in {}", age(i64::MAX)));
    }

    #[test]
    fn ranges() {
        const M: i64 = Millis::MINUTE;
        for (from, to, text) in [
            (34 * M, 51 * M, "34-51 min"),
            (34 * M, 34 * M, "34 min"),
            (8_000, 11_001, "8-12 s"),
            (0, 300, "under 1 s"),
            (100, 100_000, "under 2 min"),
            (65 * M, 100 * M, "1h05m-1h40m"),
            (100 * M, 100 * M, "1h40m"),
            (5_000, -1, "5 s"),
            (-9, -3, "under 1 s"),
        ] {
            assert_eq!(range(from, to), text);
        }
    }

    proptest! {
        #[test]
        fn columns_keep_their_width(ms in 0..8_640_000_000_000i64) {
            prop_assert!(age(ms).len() <= 6 && took(ms).len() <= 6);
            let at = Millis(ms + 63_072_000_000);
            prop_assert_eq!((local(at, BERLIN).len(), short(at, BERLIN).len(), utc(at).len()), (26, 12, 9));
        }

        #[test]
        fn nothing_panics(a in any::<i64>(), b in any::<i64>()) {
            let _ = (age(a), took(a), words(a), ago(a), range(a, b), exact(Millis(a), BERLIN), offset(Millis(b), BERLIN));
        }
    }
}
