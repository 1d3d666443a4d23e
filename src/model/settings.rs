//! Backup Settings: what an operator sets for one cluster; they live in its archive.

use std::fmt;

use chrono::NaiveTime;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// The fewest days of restorable window that can be asked for.
pub const MIN_RETENTION_DAYS: u32 = 7;
/// The most days of restorable window that can be asked for.
pub const MAX_RETENTION_DAYS: u32 = 90;

/// Backup Settings of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupSettings {
    /// Backup Time: when the daily snapshot starts, in `time_zone`.
    pub backup_time: BackupTime,
    /// The zone of Backup Time, from the config (default UTC); kept here so that every host agrees.
    pub time_zone: Tz,
    /// Backup Retention in days, 7 to 90.
    pub retention_days: RetentionDays,
    /// Whether daily snapshots are taken.
    pub schedule: bool,
    /// Whether point-in-time restore is wanted: whether the log backup should run.
    pub pitr: bool,
}

impl Default for BackupSettings {
    fn default() -> Self {
        BackupSettings {
            backup_time: BackupTime::default(),
            time_zone: Tz::UTC,
            retention_days: RetentionDays(MIN_RETENTION_DAYS),
            schedule: false,
            pitr: false,
        }
    }
}

/// A setting that is out of its range or not of its form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// Not a time of day.
    #[error("Backup Time `{0}` is not a time of day: write HH:MM, from 00:00 to 23:59")]
    Time(String),
    /// Outside 7 to 90.
    #[error("Backup Retention of {0} days is not possible: choose {MIN_RETENTION_DAYS} to {MAX_RETENTION_DAYS} days")]
    Retention(u32),
}

/// A time of day in minutes, `HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupTime {
    minutes: u16,
}

impl BackupTime {
    /// The hour, 0 to 23.
    pub fn hour(self) -> u32 {
        u32::from(self.minutes / 60)
    }
    /// The minute, 0 to 59.
    pub fn minute(self) -> u32 {
        u32::from(self.minutes % 60)
    }
    /// As a calendar value.
    pub fn naive(self) -> NaiveTime {
        NaiveTime::from_hms_opt(self.hour(), self.minute(), 0).unwrap_or_default()
    }
}

impl Default for BackupTime {
    fn default() -> Self {
        BackupTime { minutes: 2 * 60 }
    }
}

impl std::str::FromStr for BackupTime {
    type Err = BadSetting;
    fn from_str(s: &str) -> Result<Self, BadSetting> {
        let bad = || BadSetting::Time(super::text::safe(s, 20));
        let (h, m) = s.trim().split_once(':').ok_or_else(bad)?;
        let well_formed =
            |p: &str, max| p.len() <= 2 && (1..=max).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
        if !well_formed(h, 2) || m.len() != 2 || !well_formed(m, 2) {
            return Err(bad());
        }
        let (h, m): (u16, u16) = (h.parse().map_err(|_| bad())?, m.parse().map_err(|_| bad())?);
        if h < 24 && m < 60 {
            Ok(BackupTime { minutes: h * 60 + m })
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for BackupTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())
    }
}

impl Serialize for BackupTime {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackupTime {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A number of days between 7 and 90.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RetentionDays(u32);

impl RetentionDays {
    /// Checks and wraps a number of days.
    pub fn new(days: u32) -> Result<Self, BadSetting> {
        if (MIN_RETENTION_DAYS..=MAX_RETENTION_DAYS).contains(&days) {
            Ok(RetentionDays(days))
        } else {
            Err(BadSetting::Retention(days))
        }
    }
    /// The number of days.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RetentionDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for RetentionDays {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        RetentionDays::new(u32::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backup_time_is_read_and_refused() {
        assert_eq!("02:00".parse::<BackupTime>().unwrap(), BackupTime::default());
        assert_eq!("7:05".parse::<BackupTime>().unwrap().to_string(), "07:05");
        for bad in ["", "24:00", "12:60", "1200", "12:5", "-1:00", "12:00:00", "+1:00"] {
            assert!(bad.parse::<BackupTime>().is_err(), "{bad}");
        }
    }

    #[test]
    fn retention_is_seven_to_ninety() {
        assert!(RetentionDays::new(6).is_err() && RetentionDays::new(91).is_err());
        assert!(RetentionDays::new(7).is_ok() && RetentionDays::new(90).is_ok());
    }
}
