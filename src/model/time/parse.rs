//! Reading times and lengths of time as operators write them.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::BadTime;
use super::zone::{Zone, parse_zone_or_offset};
use crate::model::clock::Millis;
use crate::model::position::Moment;
use crate::model::text::safe;
use crate::model::tso::Tso;

/// Plain integers above this are TSOs: as milliseconds this is the year 33658, as a TSO the first hour of 1970.
const LEAST_TSO: u64 = 1_000_000_000_000_000;

/// A moment as it was written: an instant, or an exact timestamp of a cluster's oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// An instant of the wall clock.
    Exact(Millis),
    /// A timestamp of a cluster's oracle.
    Tso(Tso),
}

impl When {
    /// The moment: an instant means everything up to the end of its millisecond.
    pub fn moment(self) -> Moment {
        match self {
            When::Exact(at) => Moment::of_millis(at),
            When::Tso(tso) => Moment::of_tso(tso),
        }
    }

    /// The moment on a cluster with a timestamp oracle: an instant becomes the last TSO of its millisecond.
    pub fn on_oracle(self) -> Moment {
        Moment::of_tso(self.moment().last_tso())
    }

    /// The instant.
    pub fn millis(self) -> Millis {
        self.moment().at
    }
}

/// Reads a moment.
///
/// Accepted: RFC 3339; `YYYY-MM-DD HH:MM[:SS[.mmm]]`, `today HH:MM` and `yesterday HH:MM`, each with a zone
/// behind it (`Z`, `+02:00`, `Europe/Berlin`) or else in `zone`; `2h30m ago`; `now`; a TSO.
pub fn parse_when(text: &str, zone: Tz, now: Millis) -> Result<When, BadTime> {
    let given = text.trim();
    let bad = |why: &str| Err(form(given, why));
    if given.is_empty() {
        return bad("it is empty");
    }
    if given.bytes().all(|b| b.is_ascii_digit()) {
        return parse_tso(given);
    }
    if given.eq_ignore_ascii_case("now") {
        return Ok(When::Exact(now));
    }
    if let Some(length) = strip_word_at_end(given, "ago") {
        return Ok(When::Exact(now.plus(-parse_duration(length)?)));
    }
    let (day, rest) = split_day(given)?;
    let (time, zone_text) = split_time(rest);
    let zone = if zone_text.is_empty() {
        Zone::Named(zone)
    } else {
        parse_zone_or_offset(zone_text)?
    };
    let Some(time) = parse_time(time) else {
        return bad("it needs a time of day HH:MM, HH:MM:SS or HH:MM:SS.mmm after the day");
    };
    let date = match day {
        Day::Date(date) => date,
        Day::Today => zone.today(now),
        Day::Yesterday => zone.today(now).pred_opt().unwrap_or_default(),
    };
    let at = zone.resolve(date.and_time(time), given)?;
    if at <= Millis(0) {
        return bad("it lies before 1970");
    }
    Ok(When::Exact(at))
}

fn form(given: &str, why: &str) -> BadTime {
    BadTime::Form {
        given: safe(given, 60),
        why: why.to_owned(),
    }
}

fn parse_tso(digits: &str) -> Result<When, BadTime> {
    match digits.parse::<u64>() {
        Ok(tso) if tso > LEAST_TSO => Ok(When::Tso(Tso(tso))),
        Ok(_) => Err(form(
            digits,
            "a plain number is read as a TSO, and this one is too small",
        )),
        Err(_) => Err(form(
            digits,
            "a plain number is read as a TSO, and this one is too large",
        )),
    }
}

fn strip_word_at_end<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(word.len())?)?;
    // America/Chicago ends with "ago" too.
    let apart = head.is_empty() || head.ends_with(char::is_whitespace);
    (apart && tail.eq_ignore_ascii_case(word)).then(|| head.trim_end())
}

enum Day {
    Date(NaiveDate),
    Today,
    Yesterday,
}

/// Splits the day off the front.
fn split_day(given: &str) -> Result<(Day, &str), BadTime> {
    let end = given
        .find([' ', 'T', 't'])
        .filter(|_| given.starts_with(|c: char| c.is_ascii_digit()));
    let end = end.or_else(|| given.find(' ')).unwrap_or(given.len());
    let (day, rest) = given.split_at(end);
    let rest = rest.get(1..).unwrap_or_default().trim_start();
    if day.eq_ignore_ascii_case("today") {
        return Ok((Day::Today, rest));
    }
    if day.eq_ignore_ascii_case("yesterday") {
        return Ok((Day::Yesterday, rest));
    }
    match parse_date(day) {
        Some(date) => Ok((Day::Date(date), rest)),
        None if looks_like_date(day) => Err(form(given, "there is no such day")),
        None => Err(form(
            given,
            "it does not begin with a day YYYY-MM-DD, today or yesterday",
        )),
    }
}

fn looks_like_date(day: &str) -> bool {
    day.len() == 10
        && day.bytes().enumerate().all(|(at, b)| {
            if matches!(at, 4 | 7) {
                b == b'-'
            } else {
                b.is_ascii_digit()
            }
        })
}

/// Reads exactly `YYYY-MM-DD`.
fn parse_date(day: &str) -> Option<NaiveDate> {
    if !looks_like_date(day) {
        return None;
    }
    let (year, month, date) = (day.get(..4)?, day.get(5..7)?, day.get(8..)?);
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, date.parse().ok()?)
}

/// Splits what is behind the time of day off its end.
fn split_time(rest: &str) -> (&str, &str) {
    let is_time = |c: char| c.is_ascii_digit() || c == ':' || c == '.';
    let end = rest.find(|c| !is_time(c)).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(end);
    (time, zone.trim_start())
}

/// Reads `HH:MM[:SS[.fraction]]`; what is finer than a millisecond is cut off, as TSOs carry milliseconds.
fn parse_time(text: &str) -> Option<NaiveTime> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let number = |p: &str, least: usize| -> Option<u32> {
        let good = (least..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
        if good { p.parse().ok() } else { None }
    };
    let (hour, minute, second) = match (parts.as_slice(), fraction) {
        ([h, m], None) => (number(h, 1)?, number(m, 2)?, 0),
        ([h, m, s], _) => (number(h, 1)?, number(m, 2)?, number(s, 2)?),
        _ => return None,
    };
    NaiveTime::from_hms_milli_opt(hour, minute, second, fraction.map_or(Some(0), parse_fraction)?)
}

fn parse_fraction(digits: &str) -> Option<u32> {
    if !(1..=9).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<3}").get(..3)?.parse().ok()
}

/// Reads `90s`, `10m`, `2h30m`, `1d 4 h`, `3 min`: whole numbers with units, largest unit first; returns milliseconds.
pub fn parse_duration(text: &str) -> Result<i64, BadTime> {
    let bad = || BadTime::Duration { given: safe(text, 60) };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    let (mut total, mut last_unit) = (0i64, i64::MAX);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (word, tail) = tail.split_at(letters);
        let unit = unit_millis(word).filter(|u| *u < last_unit).ok_or_else(bad)?;
        let part = number.parse::<i64>().ok().and_then(|n| n.checked_mul(unit));
        total = part.and_then(|p| total.checked_add(p)).ok_or_else(bad)?;
        (last_unit, rest) = (unit, tail.trim_start());
    }
    Ok(total)
}

fn unit_millis(word: &str) -> Option<i64> {
    Some(match word.to_ascii_lowercase().as_str() {
        "ms" => 1,
        "s" | "sec" | "second" | "seconds" => Millis::SECOND,
        "m" | "min" | "minute" | "minutes" => Millis::MINUTE,
        "h" | "hour" | "hours" => Millis::HOUR,
        "d" | "day" | "days" => Millis::DAY,
        "w" | "week" | "weeks" => 7 * Millis::DAY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::show::{age, exact, local, took};
    use super::*;
    use chrono::TimeZone;
    use chrono_tz::TZ_VARIANTS;
    use proptest::prelude::*;

    const BERLIN: Tz = Tz::Europe__Berlin;

    /// 2026-11-20T09:00:00Z, ten o'clock in Berlin.
    const NOW: Millis = Millis(1_795_165_200_000);

    fn utc(text: &str) -> Millis {
        Millis(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    }

    fn check(text: &str, expect: &str) {
        assert_eq!(parse_when(text, BERLIN, NOW), Ok(When::Exact(utc(expect))), "{text}");
    }

    fn refused(text: &str) -> String {
        parse_when(text, BERLIN, NOW).expect_err(text).to_string()
    }

    #[test]
    fn dates_with_and_without_a_zone() {
        assert_eq!(utc("2026-11-20T09:00:00Z"), NOW);
        check("2026-11-20 02:00", "2026-11-20T01:00:00Z");
        check("2026-07-20 2:00:04", "2026-07-20T00:00:04Z");
        check("2026-11-20 02:00:04.5", "2026-11-20T01:00:04.500Z");
        check("2026-11-20 02:00 UTC", "2026-11-20T02:00:00Z");
        check("2026-11-20 02:00Z", "2026-11-20T02:00:00Z");
        check("2026-11-20 02:00:04 +02:00", "2026-11-20T00:00:04Z");
        check("2026-11-20 02:00 -0330", "2026-11-20T05:30:00Z");
        check("2026-11-20 02:00 america/new_york", "2026-11-20T07:00:00Z");
        check("2026-11-20 02:00   Asia/Kolkata ", "2026-11-19T20:30:00Z");
        check("2024-02-29 00:00 UTC", "2024-02-29T00:00:00Z");
    }

    #[test]
    fn every_zone_may_stand_behind_a_time() {
        for zone in TZ_VARIANTS {
            let text = format!("2026-11-20 12:00 {}", zone.name());
            let expect = zone
                .with_ymd_and_hms(2026, 11, 20, 12, 0, 0)
                .unwrap()
                .timestamp_millis();
            assert_eq!(
                parse_when(&text, BERLIN, NOW),
                Ok(When::Exact(Millis(expect))),
                "{text}"
            );
        }
    }

    #[test]
    fn rfc_3339() {
        check("2026-11-20T02:00:04+01:00", "2026-11-20T01:00:04Z");
        check("2026-11-20t02:00:04.123z", "2026-11-20T02:00:04.123Z");
        check("2026-11-20T02:00:04.123999999-00:00", "2026-11-20T02:00:04.123Z");
        check("2026-11-20T02:00", "2026-11-20T01:00:00Z");
    }

    #[test]
    fn relative_times() {
        check("now", "2026-11-20T09:00:00Z");
        check("10m ago", "2026-11-20T08:50:00Z");
        check("2h30m ago", "2026-11-20T06:30:00Z");
        check("1 day 1 h ago", "2026-11-19T08:00:00Z");
        check("today 14:05", "2026-11-20T13:05:00Z");
        check("Yesterday 02:00", "2026-11-19T01:00:00Z");
        check("yesterday 02:00:01 UTC", "2026-11-19T02:00:01Z");
    }

    #[test]
    fn today_is_the_day_of_the_zone_that_is_written() {
        let late = utc("2026-11-20T23:30:00Z");
        let at = |text| parse_when(text, BERLIN, late);
        assert_eq!(at("today 02:00"), Ok(When::Exact(utc("2026-11-21T01:00:00Z"))));
        assert_eq!(at("today 02:00 UTC"), Ok(When::Exact(utc("2026-11-20T02:00:00Z"))));
        assert_eq!(
            at("yesterday 02:00 +01:00"),
            Ok(When::Exact(utc("2026-11-20T01:00:00Z")))
        );
    }

    #[test]
    fn plain_numbers_are_tsos() {
        let tso = Tso::from_millis(NOW);
        assert_eq!(parse_when(&tso.to_string(), BERLIN, NOW), Ok(When::Tso(tso)));
        assert_eq!(When::Tso(tso).moment(), Moment::of_tso(tso));
        assert_eq!(When::Exact(NOW).on_oracle().tso, Some(Tso::last_of_millis(NOW)));
        for bad in ["0", "2026", "1795165200", "1795165200000", "99999999999999999999999"] {
            assert!(refused(bad).contains("TSO"), "{bad}");
        }
    }

    #[test]
    fn an_autumn_hour_must_say_which() {
        let text = refused("2026-10-25 02:30");
        assert_eq!(
            text,
            "2026-10-25 02:30:00 happens twice in Europe/Berlin: write `2026-10-25 02:30:00 +02:00` for the first or \
             `2026-10-25 02:30:00 +01:00` for the second"
        );
        check("2026-10-25 02:30 +02:00", "2026-10-25T00:30:00Z");
        check("2026-10-25 02:30 +01:00", "2026-10-25T01:30:00Z");
        check("2026-10-25 02:30 UTC", "2026-10-25T02:30:00Z");
        check("2026-10-25 03:00", "2026-10-25T02:00:00Z");
        check("2026-10-25 01:59:59", "2026-10-24T23:59:59Z");
    }

    #[test]
    fn a_spring_gap_names_its_neighbours() {
        let text = refused("2026-03-29 02:30");
        assert!(text.contains("2026-03-29 01:59:59 +01:00"), "{text}");
        assert!(text.contains("2026-03-29 03:00:00 +02:00"), "{text}");
        assert!(refused("2026-03-29 02:00").contains("does not exist"));
        check("2026-03-29 03:00", "2026-03-29T01:00:00Z");
        check("2026-03-29 01:59:59", "2026-03-29T00:59:59Z");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, why) in [
            ("", "empty"),
            ("2026-11-20", "time of day"),
            ("2026-02-30 02:00", "no such day"),
            ("20.11.2026 02:00", "does not begin with a day"),
            ("2026-11-20 25:00", "time of day"),
            ("2026-11-20 02:60", "time of day"),
            ("2026-11-20 02:00:60", "time of day"),
            ("2026-11-20 02:00:00.", "time of day"),
            ("2026-11-20 02:00 CEST", "not a time zone"),
            ("2026-11-20 02:00 +1", "not a time zone"),
            ("yesterday", "time of day"),
            ("tomorrow 02:00", "does not begin with a day"),
            ("ago", "length of time"),
            ("10 ago", "length of time"),
            ("-10m ago", "length of time"),
            ("5m2h ago", "length of time"),
            ("99999999999999999999d ago", "length of time"),
            ("9999999999999d ago", "length of time"),
            ("1969-12-31 23:00 UTC", "before 1970"),
        ] {
            let error = refused(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(!refused("\x1b[2J\x07").contains('\x1b'));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(ms in 1..4_102_444_800_000i64, zone in 0..TZ_VARIANTS.len(), other in 0..TZ_VARIANTS.len()) {
            let text = exact(Millis(ms), TZ_VARIANTS[zone]);
            prop_assert_eq!(parse_when(&text, TZ_VARIANTS[other], NOW), Ok(When::Exact(Millis(ms))), "{}", text);
            let text = local(Millis(ms), TZ_VARIANTS[zone]);
            let read = parse_when(&text, TZ_VARIANTS[other], NOW).map(When::millis);
            prop_assert!(ms < 1000 || read == Ok(Millis(ms / 1000 * 1000)), "{} {:?}", text, read);
        }

        #[test]
        fn a_local_time_is_read_or_refused_but_never_moved(ms in 86_400_000..4_102_444_800_000i64, zone in 0..TZ_VARIANTS.len()) {
            let at = Millis(ms / 1000 * 1000);
            let zone = TZ_VARIANTS[zone];
            let printed = local(at, zone);
            let without_offset = &printed[..19];
            match parse_when(without_offset, zone, NOW) {
                Ok(when) => prop_assert_eq!(when, When::Exact(at)),
                Err(BadTime::Ambiguous { first, second, .. }) => prop_assert!(first == printed || second == printed),
                Err(other) => prop_assert!(false, "{}: {}", printed, other),
            }
        }

        #[test]
        fn lengths_are_read_back_as_shown(ms in 1000..400_000_000_000i64) {
            let short = parse_duration(&age(ms)).unwrap();
            prop_assert!(short <= ms && (ms - short) * 61 <= ms * 60);
            let long = parse_duration(&took(ms)).unwrap();
            prop_assert!(long <= ms && (ms - long) * 61 <= ms * 60);
        }

        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            let _ = parse_when(&text, BERLIN, NOW);
            let _ = parse_when(&format!("{text} ago"), BERLIN, NOW);
            let _ = parse_when(&format!("2026-11-20 {text}"), BERLIN, NOW);
        }
    }
}
