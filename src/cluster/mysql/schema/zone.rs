//! What a time zone means on a server: its offsets from UTC, as the server itself computes them. `SYSTEM` is another zone on
//! every host, and the server knows no name for it but an abbreviation that several zones share.

use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

use crate::cluster::mysql::text::string;
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};

/// The last second of a TIMESTAMP, and that of newer MariaDB servers.
const LAST: i64 = (1 << 31) - 1;
const LAST_OF_ALL: i64 = (1 << 32) - 1;
/// A zone that changes its offset twice within this is not told from one that does not.
const STEP: i64 = 7 * 86_400;
/// Enough for a zone that calls itself UTC and is so at all these moments.
const FAR_STEP: i64 = 60 * 86_400;
/// Moments by which a zone is looked up among many: the middle of January and of July of these years.
const LOOKED_UP: [i64; 10] = [1971, 1977, 1983, 1989, 1995, 2001, 2007, 2013, 2019, 2026];
/// So many of those that look alike are compared whole.
const COMPARED: usize = 40;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// As the server calls it.
    pub name: String,
    /// Since when (seconds since the epoch) local time is how many seconds before UTC; the first since the beginning.
    offsets: Vec<(i64, i64)>,
    /// It was looked at up to here.
    until: i64,
}

impl Zone {
    /// What `SYSTEM` is on this server. Leaves the session in UTC, as every one of brine's is.
    pub fn system(conn: &mut Conn) -> Result<Zone, WireError> {
        let name = conn.row("SELECT @@system_time_zone")?;
        let name = name.map(|row| row.text(0)).unwrap_or_default();
        Zone::within(conn, "SYSTEM", name)
    }

    /// The same, where the server tells it.
    pub fn told(conn: &mut Conn) -> Result<Option<Zone>, WireError> {
        match Zone::system(conn) {
            Ok(zone) => Ok(Some(zone)),
            Err(WireError::Server { .. } | WireError::Protocol(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A zone that the server has loaded.
    fn named(conn: &mut Conn, name: &str) -> Result<Zone, WireError> {
        Zone::within(conn, name, name.to_owned())
    }

    fn within(conn: &mut Conn, zone: &str, name: String) -> Result<Zone, WireError> {
        conn.run(&format!("SET SESSION time_zone = {}", string(zone)))?;
        let read = offsets(conn, &name);
        conn.run("SET SESSION time_zone = '+00:00'")?;
        let (offsets, until) = read?;
        Ok(Zone { name, offsets, until })
    }

    /// Whether local time is the same in both at every moment that a TIMESTAMP of any server has.
    pub fn is_like(&self, other: &Zone) -> bool {
        self.up_to(LAST) == other.up_to(LAST)
    }

    /// Whether it is so at the moments beyond, too, as far as both were looked at.
    pub fn is_like_for_ever(&self, other: &Zone) -> bool {
        let until = self.until.min(other.until);
        self.up_to(until) == other.up_to(until)
    }

    fn up_to(&self, until: i64) -> &[(i64, i64)] {
        let end = self.offsets.partition_point(|(since, _)| *since <= until);
        self.offsets.get(..end).unwrap_or_default()
    }

    /// The offset at a moment.
    fn at(&self, moment: i64) -> i64 {
        self.up_to(moment).last().map_or(0, |(_, offset)| *offset)
    }

    /// Whether a local time is one of an hour that clocks repeat or leave out; also where it is written so that nobody can tell here.
    pub fn is_unclear(&self, text: &str) -> bool {
        if !text.bytes().next().is_some_and(|b| b.is_ascii_digit()) {
            return false;
        }
        let midnight = || format!("{text} 00:00:00");
        let read = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f");
        let Ok(local) = read(text).or_else(|_| read(&midnight())) else {
            // As 20261025023000; what is shorter is no time.
            return text.len() >= 12;
        };
        let local = local.and_utc().timestamp();
        self.offsets.windows(2).any(|two| match two {
            [(_, before), (at, after)] => (at + before.min(after)..at + before.max(after)).contains(&local),
            _ => false,
        })
    }

    /// The zone as an offset, where it always had the same.
    pub fn fixed(&self) -> Option<String> {
        let [(_, offset)] = self.offsets.as_slice() else {
            return None;
        };
        let minutes = offset.abs() / 60;
        // What every server takes.
        let told = offset % 60 == 0 && minutes < 13 * 60;
        let sign = if *offset < 0 { '-' } else { '+' };
        told.then(|| format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
    }

    /// The zone of this server that is like it: an offset, else one of those that were loaded. These end with the moments of
    /// older servers; whether it is like it also at later ones is said with it.
    pub fn found(&self, conn: &mut Conn) -> Result<Option<(String, bool)>, WireError> {
        if let Some(fixed) = self.fixed() {
            return Ok(Some((fixed, true)));
        }
        let alike = |moment: i64| {
            format!(
                "TIMESTAMPDIFF(SECOND, '1970-01-01', CONVERT_TZ(FROM_UNIXTIME({moment}), '+00:00', name)) = {}",
                moment + self.at(moment)
            )
        };
        let moments = LOOKED_UP.iter().flat_map(|year| {
            let begin = (year - 1970) * 31_556_952;
            [begin + 15 * 86_400, begin + 196 * 86_400]
        });
        let all: Vec<String> = moments.map(alike).collect();
        let sql = format!(
            "SELECT name FROM mysql.time_zone_name WHERE name NOT LIKE 'posix/%' AND name NOT LIKE 'right/%' AND {} \
             ORDER BY name NOT LIKE '%/%', name LIMIT {COMPARED}",
            all.join(" AND ")
        );
        let names = match conn.rows(&sql) {
            Ok(rows) => rows,
            // Not for this account to read.
            Err(e) if matches!(e.code(), Some(1142 | 1044 | 1146)) => return Ok(None),
            Err(e) => return Err(e),
        };
        for row in names {
            let name = row.text(0);
            let zone = Zone::named(conn, &name)?;
            if zone.is_like(self) {
                return Ok(Some((name, zone.is_like_for_ever(self))));
            }
        }
        Ok(None)
    }
}

/// How to load them, as a clause.
pub fn load(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::MariaDb => "load the time zones (mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql)",
        Flavor::MySql => "load the time zones (mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql)",
    }
}

/// How many zones the server has loaded; `None` where that is not for this account to see.
pub fn known(conn: &mut Conn) -> Result<Option<u64>, WireError> {
    match conn.row("SELECT COUNT(*) FROM mysql.time_zone_name") {
        Ok(row) => Ok(row.map(|row| row.number(0))),
        Err(e) if matches!(e.code(), Some(1142 | 1044 | 1146)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The offsets in the session's zone, which has that name, and up to where they were read. Looked at are thousands of moments,
/// which takes the server a fiftieth of a second while a backup waits: for UTC, which most servers keep, some hundreds do.
fn offsets(conn: &mut Conn, name: &str) -> Result<(Vec<(i64, i64)>, i64), WireError> {
    if name == "UTC" {
        let (offsets, until) = read(conn, FAR_STEP)?;
        if offsets == [(0, 0)] {
            return Ok((offsets, until));
        }
    }
    read(conn, STEP)
}

/// The same, with a look every so many seconds.
fn read(conn: &mut Conn, step: i64) -> Result<(Vec<(i64, i64)>, i64), WireError> {
    // With both limits: servers end at one of them.
    let steps = |from: i64, to: i64| (0..).map(move |n| from + n * step).take_while(move |at| *at < to);
    let mut grid: Vec<i64> = steps(0, LAST)
        .chain(steps(LAST, LAST_OF_ALL))
        .chain([LAST_OF_ALL])
        .collect();
    let offsets = offsets_at(conn, &grid)?;
    grid.truncate(offsets.len());
    let mut jumps = Vec::new();
    let known: Vec<(i64, i64)> = grid.iter().copied().zip(offsets).collect();
    for pair in known.windows(2) {
        if let [(from, before), (to, after)] = *pair
            && before != after
        {
            jumps.push(Jump {
                from,
                before,
                to,
                after,
            });
        }
    }
    while jumps.iter().any(|jump| jump.to - jump.from > 1) {
        let middles: Vec<i64> = jumps.iter().map(|jump| jump.from + (jump.to - jump.from) / 2).collect();
        for ((jump, at), offset) in jumps.iter_mut().zip(&middles).zip(offsets_at(conn, &middles)?) {
            match offset == jump.before {
                true => jump.from = *at,
                false => (jump.to, jump.after) = (*at, offset),
            }
        }
    }
    let begin = known.first().copied().into_iter();
    let all = begin.chain(jumps.iter().map(|jump| (jump.to, jump.after))).collect();
    Ok((all, grid.last().copied().unwrap_or_default()))
}

/// Somewhere between two moments the offset changes.
struct Jump {
    from: i64,
    before: i64,
    to: i64,
    after: i64,
}

/// The offsets at these moments, in order; those behind the server's last moment are left out.
fn offsets_at(conn: &mut Conn, moments: &[i64]) -> Result<Vec<i64>, WireError> {
    let all: Vec<String> = moments
        .iter()
        .map(|at| format!("TIMESTAMPDIFF(SECOND,'1970-01-01',FROM_UNIXTIME({at}))-{at}"))
        .collect();
    let row = conn.row(&format!("SELECT CONCAT_WS(',',{}) AS offsets", all.join(",")))?;
    let list = row.map(|row| row.text(0)).unwrap_or_default();
    let read = list.split(',').map(str::parse).collect::<Result<Vec<i64>, _>>();
    read.map_err(|_| WireError::Protocol("the server does not tell its time zone".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(offsets: &[(i64, i64)], until: i64) -> Zone {
        Zone {
            name: "X".to_owned(),
            offsets: offsets.to_vec(),
            until,
        }
    }

    #[test]
    fn zones_are_compared_by_what_they_do() {
        let summer = zone(&[(0, 3600), (100, 7200), (200, 3600), (LAST + 100, 7200)], LAST_OF_ALL);
        let loaded = zone(&[(0, 3600), (100, 7200), (200, 3600)], LAST_OF_ALL);
        let short = zone(&[(0, 3600), (100, 7200), (200, 3600)], LAST);
        assert!(summer.is_like(&loaded) && !summer.is_like_for_ever(&loaded));
        assert!(summer.is_like(&short) && summer.is_like_for_ever(&short));
        assert!(!summer.is_like(&zone(&[(0, 3600)], LAST)));
        assert!(!summer.is_like(&zone(&[(0, 3600), (101, 7200), (200, 3600)], LAST)));
        assert_eq!((summer.at(99), summer.at(100), summer.at(250)), (3600, 7200, 3600));
    }

    #[test]
    fn hours_that_are_repeated_or_left_out_are_unclear() {
        // 2026-03-29 01:00 and 2026-10-25 01:00 in UTC.
        let berlin = zone(&[(0, 3600), (1_774_746_000, 7200), (1_792_890_000, 3600)], LAST);
        for text in [
            "2026-03-29 02:00:00",
            "2026-10-25 02:59:59.9",
            "20261025023000",
            "2026-10-25T02:30:00",
        ] {
            assert!(berlin.is_unclear(text), "{text}");
        }
        for text in [
            "2026-03-29 03:00:00",
            "2026-10-25 01:59:59",
            "2026-10-25 03:00:00",
            "2026-10-25",
            "5",
            "x",
            "",
        ] {
            assert!(!berlin.is_unclear(text), "{text}");
        }
    }

    #[test]
    fn one_offset_is_a_zone() {
        let fixed = |offset| zone(&[(0, offset)], LAST).fixed();
        assert_eq!(fixed(0).as_deref(), Some("+00:00"));
        assert_eq!(fixed(-5 * 3600).as_deref(), Some("-05:00"));
        assert_eq!(fixed(5 * 3600 + 1800).as_deref(), Some("+05:30"));
        assert_eq!(fixed(-2670), None, "no server takes seconds");
        assert_eq!(fixed(14 * 3600), None);
        assert_eq!(zone(&[(0, 0), (5, 3600)], LAST).fixed(), None);
    }

    #[test]
    fn it_is_kept_as_it_is() {
        let zone = zone(&[(0, -18_000), (100, -14_400)], LAST);
        let text = serde_json::to_string(&zone).unwrap();
        assert_eq!(serde_json::from_str::<Zone>(&text).unwrap(), zone);
    }
}
