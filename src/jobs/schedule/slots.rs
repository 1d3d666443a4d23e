//! The slots of a daily Backup Time in a zone: one a day, as instants, right across daylight-saving changes.
//!
//! *Invariants: the sequence of slots depends on nothing but the settings, wherever one looks from; a time
//! that a day skips is taken at the end of the gap, one that a day has twice at its first; a day that the
//! zone does not have has no slot.*
//!
//! No cron library stands here: croner 4.0.2 takes the end of the gap for *any* time of a day whose midnight
//! is skipped (Santiago, every September), and finds the second 02:30 of an autumn night when asked from
//! between the two. One time a day needs no patterns.

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use crate::model::clock::Millis;
use crate::model::settings::BackupSettings;

/// Clocks are never set forward by as much as this, except where a zone skips a day.
const LONGEST_GAP_MINUTES: i64 = 6 * 60;

/// The first slot after an instant.
pub fn slot_after(settings: &BackupSettings, t: Millis) -> Option<Millis> {
    slots_around(settings, t).into_iter().find(|slot| *slot > t)
}

/// The last slot at or before an instant.
pub fn latest_slot(settings: &BackupSettings, t: Millis) -> Option<Millis> {
    slots_around(settings, t).into_iter().rfind(|slot| *slot <= t)
}

/// The slots of the days around an instant, in order.
fn slots_around(settings: &BackupSettings, t: Millis) -> Vec<Millis> {
    let today = t.utc().with_timezone(&settings.time_zone).date_naive();
    // Two days each way: a slot may lie in the day after its own, and a day may have none.
    let mut slots: Vec<Millis> = (0..=4)
        .filter_map(|n| today.checked_sub_days(Days::new(2))?.checked_add_days(Days::new(n)))
        .filter_map(|day| slot_of(settings, day))
        .collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// The slot of a local day, if the zone has that day.
fn slot_of(settings: &BackupSettings, day: NaiveDate) -> Option<Millis> {
    let wanted = day.and_time(settings.backup_time.naive());
    (0..LONGEST_GAP_MINUTES)
        .filter_map(|minutes| wanted.checked_add_signed(TimeDelta::minutes(minutes)))
        .find_map(|time| local(settings.time_zone, time))
        .map(|slot| slot.to_utc().into())
}

/// A local time as an instant, the first of two; `None` where the zone skips it.
fn local(zone: Tz, time: NaiveDateTime) -> Option<DateTime<Tz>> {
    match zone.from_local_datetime(&time) {
        LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => Some(t),
        LocalResult::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(zone: Tz, time: &str) -> BackupSettings {
        BackupSettings {
            time_zone: zone,
            backup_time: time.parse().unwrap(),
            schedule: true,
            ..BackupSettings::default()
        }
    }

    fn at(text: &str) -> Millis {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    /// The slots from one instant to another, in local time.
    fn local_slots(zone: Tz, time: &str, from: &str, to: &str) -> Vec<String> {
        let settings = settings(zone, time);
        let (mut t, to) = (at(from), at(to));
        let mut found = Vec::new();
        while let Some(slot) = slot_after(&settings, t).filter(|s| *s <= to) {
            found.push(slot.utc().with_timezone(&zone).format("%m-%d %H:%M%:z").to_string());
            t = slot;
        }
        found
    }

    #[test]
    fn a_skipped_time_runs_at_the_end_of_the_gap() {
        let berlin = local_slots(
            Tz::Europe__Berlin,
            "02:30",
            "2026-03-28T00:00:00Z",
            "2026-03-30T23:00:00Z",
        );
        assert_eq!(berlin, ["03-28 02:30+01:00", "03-29 03:00+02:00", "03-30 02:30+02:00"]);
        let new_york = local_slots(
            Tz::America__New_York,
            "02:15",
            "2026-03-07T12:00:00Z",
            "2026-03-09T12:00:00Z",
        );
        assert_eq!(new_york, ["03-08 03:00-04:00", "03-09 02:15-04:00"]);
        // Half an hour's change.
        let lord_howe = local_slots(
            Tz::Australia__Lord_Howe,
            "02:10",
            "2026-10-03T00:00:00Z",
            "2026-10-05T00:00:00Z",
        );
        assert_eq!(lord_howe, ["10-04 02:30+11:00", "10-05 02:10+11:00"]);
        // The gap is at midnight.
        let sao_paulo = local_slots(
            Tz::America__Sao_Paulo,
            "00:00",
            "2018-11-02T12:00:00Z",
            "2018-11-05T12:00:00Z",
        );
        assert_eq!(
            sao_paulo,
            ["11-03 00:00-03:00", "11-04 01:00-02:00", "11-05 00:00-02:00"]
        );
        // The gap is at midnight, and Backup Time is not in it.
        let santiago = local_slots(
            Tz::America__Santiago,
            "02:00",
            "2024-09-07T12:00:00Z",
            "2024-09-09T12:00:00Z",
        );
        assert_eq!(santiago, ["09-08 02:00-03:00", "09-09 02:00-03:00"]);
        // The gap ends on the next day.
        let nuuk = local_slots(
            Tz::America__Nuuk,
            "23:30",
            "2025-03-28T12:00:00Z",
            "2025-03-31T12:00:00Z",
        );
        assert_eq!(nuuk, ["03-28 23:30-02:00", "03-30 00:00-01:00", "03-30 23:30-01:00"]);
    }

    #[test]
    fn a_repeated_time_runs_once() {
        let berlin = local_slots(
            Tz::Europe__Berlin,
            "02:30",
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
        );
        assert_eq!(berlin, ["10-25 02:30+02:00", "10-26 02:30+01:00"]);
        let new_york = local_slots(
            Tz::America__New_York,
            "01:30",
            "2026-10-31T12:00:00Z",
            "2026-11-02T12:00:00Z",
        );
        assert_eq!(new_york, ["11-01 01:30-04:00", "11-02 01:30-05:00"]);
        let lord_howe = local_slots(
            Tz::Australia__Lord_Howe,
            "01:45",
            "2026-04-04T00:00:00Z",
            "2026-04-06T00:00:00Z",
        );
        assert_eq!(lord_howe, ["04-05 01:45+11:00", "04-06 01:45+10:30"]);
        let sao_paulo = local_slots(
            Tz::America__Sao_Paulo,
            "23:30",
            "2018-02-16T12:00:00Z",
            "2018-02-19T12:00:00Z",
        );
        assert_eq!(
            sao_paulo,
            ["02-16 23:30-02:00", "02-17 23:30-02:00", "02-18 23:30-03:00"]
        );
    }

    #[test]
    fn a_day_that_is_missing_has_no_slot() {
        let apia = local_slots(
            Tz::Pacific__Apia,
            "02:00",
            "2011-12-28T20:00:00Z",
            "2012-01-01T20:00:00Z",
        );
        assert_eq!(
            apia,
            [
                "12-29 02:00-10:00",
                "12-31 02:00+14:00",
                "01-01 02:00+14:00",
                "01-02 02:00+14:00"
            ]
        );
    }

    #[test]
    fn the_ends_of_time_give_no_slot_and_no_panic() {
        for t in [i64::MIN, i64::MAX, 0] {
            let s = settings(Tz::UTC, "02:00");
            let _ = (slot_after(&s, Millis(t)), latest_slot(&s, Millis(t)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// From wherever one looks: the slot found is the next one, one a day, never closer than 20 hours.
        #[test]
        fn the_sequence_is_the_same_from_everywhere(
            zone in proptest::sample::select(&chrono_tz::TZ_VARIANTS[..]),
            minutes in 0u32..1440,
            // 2012 to 2030
            t in 1_325_376_000_000i64..1_893_456_000_000,
        ) {
            let s = settings(zone, &format!("{:02}:{:02}", minutes / 60, minutes % 60));
            let t = Millis(t);
            let (before, after) = (latest_slot(&s, t).unwrap(), slot_after(&s, t).unwrap());
            prop_assert!(before <= t && t < after);
            prop_assert_eq!(slot_after(&s, before), Some(after));
            prop_assert_eq!(latest_slot(&s, after.plus(-1)), Some(before));
            prop_assert_eq!(latest_slot(&s, after), Some(after));
            let hours = after.since(before) / Millis::HOUR;
            prop_assert!((20..=28).contains(&hours), "{hours} h between slots");
        }
    }
}
