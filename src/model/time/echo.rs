//! One moment in all its forms, so that nobody mistakes a zone.

use std::fmt;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::NONE;
use super::show::{ago, exact, took};
use crate::model::clock::Millis;
use crate::model::position::Moment;
use crate::model::tso::Tso;

/// One moment in all its forms.
///
/// As text: `2026-11-20 02:00:04 +01:00 = 01:00:04Z = TSO 470584237490176000, 20m49s ago`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// In the cluster's zone, with the offset.
    pub local: String,
    /// In UTC; with the day only where it is another day than the local one.
    pub utc: String,
    /// The timestamp, on clusters that have an oracle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tso: Option<String>,
    /// The distance from now.
    pub age: String,
}

impl Echo {
    /// A moment's forms; for a cluster with an oracle, hand in a moment that has its TSO ([`super::When::on_oracle`]).
    pub fn of(moment: Moment, zone: Tz, now: Millis) -> Echo {
        let at = moment.at;
        let none = at == Millis(0);
        Echo {
            local: exact(at, zone),
            utc: if none { NONE.to_owned() } else { utc_beside(at, zone) },
            tso: moment.tso.map(tso_text),
            age: if none {
                NONE.to_owned()
            } else {
                precise_ago(now.since(at))
            },
        }
    }
}

/// UTC to stand beside the local time.
fn utc_beside(at: Millis, zone: Tz) -> String {
    let (utc, local) = (at.utc(), at.utc().with_timezone(&zone));
    let fraction = if at.0.rem_euclid(1000) == 0 { "" } else { "%.3f" };
    let day = if utc.date_naive() == local.date_naive() {
        ""
    } else {
        "%Y-%m-%d "
    };
    utc.format(&format!("{day}%H:%M:%S{fraction}Z")).to_string()
}

fn tso_text(tso: Tso) -> String {
    if tso == Tso::ZERO {
        NONE.to_owned()
    } else {
        tso.to_string()
    }
}

/// As [`ago`], with seconds under an hour.
fn precise_ago(ms: i64) -> String {
    match ms {
        ..=-1000 => format!("in {}", took(ms.saturating_neg())),
        -999..=999 => ago(ms),
        1000.. => format!("{} ago", took(ms)),
    }
}

impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local == NONE {
            return f.write_str(NONE);
        }
        write!(f, "{} = {}", self.local, self.utc)?;
        if let Some(tso) = &self.tso {
            write!(f, " = TSO {tso}")?;
        }
        write!(f, ", {}", self.age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: Tz = Tz::Europe__Berlin;
    /// 2026-11-20T01:00:04Z
    const AT: Millis = Millis(1_795_136_404_000);

    fn check(moment: Moment, age_ms: i64, expect: &str) {
        let echo = Echo::of(moment, BERLIN, moment.at.plus(age_ms));
        assert_eq!(echo.to_string(), expect);
    }

    #[test]
    fn says_a_moment_in_all_forms() {
        let at = Moment::of_millis(AT);
        check(at, 1_249_000, "2026-11-20 02:00:04 +01:00 = 01:00:04Z, 20m49s ago");
        check(at, -60_000, "2026-11-20 02:00:04 +01:00 = 01:00:04Z, in 1m00s");
        let tso = Moment::of_tso(Tso::from_millis(AT));
        check(
            tso,
            0,
            "2026-11-20 02:00:04 +01:00 = 01:00:04Z = TSO 470584237490176000, now",
        );
        let early = Moment::of_millis(AT.plus(-5_400_000 + 7));
        check(
            early,
            0,
            "2026-11-20 00:30:04.007 +01:00 = 2026-11-19 23:30:04.007Z, now",
        );
    }

    #[test]
    fn zero_is_none_in_every_form() {
        let echo = Echo::of(Moment::of_tso(Tso::ZERO), BERLIN, AT);
        assert_eq!(echo.to_string(), NONE);
        assert_eq!(
            (echo.utc.as_str(), echo.tso.as_deref(), echo.age.as_str()),
            (NONE, Some(NONE), NONE)
        );
    }
}
