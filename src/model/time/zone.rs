//! Time zones: by name, by offset, and the local times that a change of offset repeats or skips.

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};

use super::BadTime;
use super::show::exact_at;
use crate::model::clock::Millis;
use crate::model::text::safe;

/// A zone as it may stand behind a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Named(Tz),
    Offset(FixedOffset),
}

/// Reads a zone's name, upper or lower case: `Europe/Berlin`, `UTC`.
pub fn parse_zone(text: &str) -> Result<Tz, BadTime> {
    let name = text.trim();
    let found = TZ_VARIANTS.iter().find(|tz| tz.name().eq_ignore_ascii_case(name));
    if let Some(tz) = found {
        return Ok(*tz);
    }
    let why = if parse_offset(name).is_some() {
        "an offset does not follow daylight saving; write a name such as Europe/Berlin or UTC".to_owned()
    } else {
        nearest_zone(name)
    };
    Err(BadTime::Zone {
        given: safe(text, 60),
        why,
    })
}

/// Advice for a name that is not known: a zone whose city is the same, or the form.
fn nearest_zone(name: &str) -> String {
    let wanted = name.replace(' ', "_").to_ascii_lowercase();
    let by_city = TZ_VARIANTS.iter().map(|tz| tz.name()).find(|known| {
        let city = known.rsplit('/').next().unwrap_or(known);
        !wanted.is_empty() && city.eq_ignore_ascii_case(wanted.rsplit('/').next().unwrap_or(&wanted))
    });
    by_city.map_or_else(
        || "write a name such as Europe/Berlin, or UTC".to_owned(),
        |known| format!("did you mean {known}?"),
    )
}

/// Reads what may stand behind a time: `Z`, an offset or a zone's name.
pub(super) fn parse_zone_or_offset(text: &str) -> Result<Zone, BadTime> {
    if text.eq_ignore_ascii_case("z") {
        return Ok(Zone::Named(Tz::UTC));
    }
    if let Some(offset) = parse_offset(text) {
        return Ok(Zone::Offset(offset));
    }
    parse_zone(text).map(Zone::Named).map_err(|bad| match bad {
        BadTime::Zone { given, .. } => BadTime::Zone {
            given,
            why: "write an offset such as +02:00, or a name such as Europe/Berlin or UTC".to_owned(),
        },
        other => other,
    })
}

/// Reads `+02:00`, `+0200`, `+02` and, for the odd zones of the past, `+01:02:03`.
fn parse_offset(text: &str) -> Option<FixedOffset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let pairs: Vec<&str> = match (digits.contains(':'), digits.len()) {
        (true, _) => digits.split(':').collect(),
        (false, 2) => vec![digits],
        (false, 4) => vec![digits.get(..2)?, digits.get(2..)?],
        (false, _) => return None,
    };
    let two_digits = |p: &&str| p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit());
    if pairs.len() > 3 || !pairs.iter().all(two_digits) {
        return None;
    }
    let numbers: Vec<i32> = pairs.iter().filter_map(|p| p.parse().ok()).collect();
    let (hours, minutes, seconds) = match numbers.as_slice() {
        [h] => (*h, 0, 0),
        [h, m] => (*h, *m, 0),
        [h, m, s] => (*h, *m, *s),
        _ => return None,
    };
    if hours > 18 || minutes > 59 || seconds > 59 {
        return None;
    }
    FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60 + seconds))
}

impl Zone {
    /// The instant at which this zone's clocks show `naive`; `given` is what the operator wrote.
    pub(super) fn resolve(self, naive: NaiveDateTime, given: &str) -> Result<Millis, BadTime> {
        match self {
            Zone::Offset(offset) => resolve_in(offset, naive).map_or_else(|| Err(skipped_anywhere(given)), Ok),
            Zone::Named(tz) => match tz.from_local_datetime(&naive) {
                LocalResult::Single(t) => Ok(Millis(t.timestamp_millis())),
                LocalResult::Ambiguous(first, second) => Err(ambiguous(tz, naive, first, second)),
                LocalResult::None => Err(skipped(tz, naive, given)),
            },
        }
    }

    /// The calendar day in this zone at an instant.
    pub(super) fn today(self, now: Millis) -> chrono::NaiveDate {
        match self {
            Zone::Named(tz) => now.utc().with_timezone(&tz).date_naive(),
            Zone::Offset(offset) => now.utc().with_timezone(&offset).date_naive(),
        }
    }
}

fn resolve_in(offset: FixedOffset, naive: NaiveDateTime) -> Option<Millis> {
    let at = offset.from_local_datetime(&naive).single()?;
    Some(Millis(at.timestamp_millis()))
}

fn ambiguous(tz: Tz, naive: NaiveDateTime, one: DateTime<Tz>, other: DateTime<Tz>) -> BadTime {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    BadTime::Ambiguous {
        given: naive.format("%Y-%m-%d %H:%M:%S%.f").to_string(),
        zone: tz.name().to_owned(),
        first: exact_at(&first),
        second: exact_at(&second),
    }
}

fn skipped(tz: Tz, naive: NaiveDateTime, given: &str) -> BadTime {
    let Some(after) = GapInfo::new(&naive, &tz).and_then(|gap| gap.end) else {
        return skipped_anywhere(given);
    };
    let before = after - TimeDelta::seconds(1);
    BadTime::Skipped {
        given: naive.format("%Y-%m-%d %H:%M:%S%.f").to_string(),
        zone: tz.name().to_owned(),
        before: exact_at(&before),
        after: exact_at(&after),
    }
}

/// For calendar values that no clock can show, at the ends of the calendar.
fn skipped_anywhere(given: &str) -> BadTime {
    BadTime::Form {
        given: safe(given, 60),
        why: "no clock can show it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_by_name_in_any_case_and_nothing_else() {
        assert_eq!(parse_zone("Europe/Berlin"), Ok(Tz::Europe__Berlin));
        assert_eq!(parse_zone(" europe/berlin "), Ok(Tz::Europe__Berlin));
        assert_eq!(parse_zone("utc"), Ok(Tz::UTC));
        for bad in ["", "CEST", "+02:00", "Europe/Berlln", "\x1b[2J"] {
            assert!(parse_zone(bad).is_err(), "{bad:?}");
        }
        let bad = parse_zone("Berlin").unwrap_err().to_string();
        assert!(bad.contains("did you mean Europe/Berlin?"), "{bad}");
        let bad = parse_zone("+02:00").unwrap_err().to_string();
        assert!(bad.contains("daylight saving"), "{bad}");
    }

    #[test]
    fn offsets_in_their_usual_forms() {
        let east = |s| FixedOffset::east_opt(s);
        for (text, offset) in [
            ("+02:00", east(7200)),
            ("-0330", east(-12_600)),
            ("+05", east(18_000)),
            ("-00:44:30", east(-2670)),
            ("02:00", None),
            ("+2", None),
            ("+19:00", None),
            ("+02:60", None),
            ("+02:", None),
            ("+ä2", None),
            ("+0200000", None),
        ] {
            assert_eq!(parse_offset(text), offset, "{text}");
        }
    }
}
