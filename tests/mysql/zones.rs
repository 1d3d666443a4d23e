//! What the log says only by the name of a time zone comes back as it was, on a server in another one.

use brine::engine::point::RestorePoint;
use brine::engine::restore::plan::{Check, CheckState, RestorePlan};
use chrono::{NaiveDate, Weekday};

use crate::look;
use crate::replay::comparable;
use crate::server::{Kind, Server, servers};
use crate::world::{World, chain};

/// The east of the USA by today's rule, and two without summer time.
const EAST: &str = "EST5EDT,M3.2.0,M11.1.0";
const UTC: &str = "UTC0";
const JAPAN: &str = "JST-9";
/// A zone may call itself as it likes.
const NOT_UTC: &str = "UTC-9";

const BASE: &str = "create database d; use d; create table t (id int primary key, ts timestamp null, d datetime);
create table other (id int primary key, ts timestamp default current_timestamp);
set time_zone = '+00:00'; insert into t values (1, '2026-07-01 12:00:00', '2026-07-01 12:00:00'), (2, '2026-01-01 12:00:00', '2026-01-01 12:00:00');
set time_zone = 'SYSTEM'; create event e on schedule every 1 day starts '2036-01-01 03:00:00' do set @a = 1";

/// What depends on `SYSTEM`.
const DEPENDS: &str = "use d; alter table t modify ts datetime; alter table t modify d timestamp null;
alter table t add x timestamp not null default '2026-03-03 03:03:03', add y datetime default now(), add z varchar(40) default (cast(from_unixtime(1750000000) as char));
create table p (id int, ts timestamp not null) partition by range (unix_timestamp(ts)) (partition a values less than (unix_timestamp('2026-07-01 00:00:00')), partition b values less than maxvalue)";

/// An event in `SYSTEM` acts at that hour wherever it is.
const EVENT: &str = "create event d.e2 on schedule every 1 day starts '2036-01-01 03:00:00' do set @a = 1";

/// What does not, and what is in every log.
const PLAIN: &str = "use d; alter table other add a int default 5, add b varchar(10) default 'x';
create table plain (id int primary key, ts timestamp default current_timestamp on update current_timestamp, d datetime default current_timestamp);
create index i on other (a); alter table other modify b varchar(300), add e timestamp null, engine = innodb; alter table t add index (ts), add m int not null default 1, algorithm = copy; insert into plain (id) values (1); truncate table plain; rename table plain to plain2; drop table plain2";

/// Gives a server a zone by name that is as the rule of [`EAST`].
pub fn load_zone(s: &Server, name: &str) {
    let sunday = |year, month, nth, hour| {
        let day = NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Sun, nth).unwrap();
        day.and_hms_opt(hour, 0, 0).unwrap().and_utc().timestamp()
    };
    let turns = (1970..2038).flat_map(|year| [(sunday(year, 3, 2, 7), 1), (sunday(year, 11, 1, 6), 0)]);
    let turns: Vec<String> = turns.map(|(at, kind)| format!("(@id, {at}, {kind})")).collect();
    s.sql(&format!(
        "set sql_log_bin = 0; use mysql; insert into time_zone (use_leap_seconds) values ('N'); set @id = last_insert_id();
         insert into time_zone_name (name, time_zone_id) values ('{name}', @id);
         insert into time_zone_transition_type (time_zone_id, transition_type_id, `offset`, is_dst, abbreviation)
         values (@id, 0, -18000, 0, 'EST'), (@id, 1, -14400, 1, 'EDT');
         insert into time_zone_transition (time_zone_id, transition_time, transition_type_id) values {}",
        turns.join(", ")
    ));
}

fn check<'a>(plan: &'a RestorePlan, name: &str) -> &'a Check {
    plan.checks.iter().find(|c| c.name == name).unwrap()
}

fn archived(source: &Server, work: &[&str]) -> World {
    let w = World::new(source);
    source.sql(BASE);
    w.backup();
    w.start_log();
    work.iter().for_each(|sql| drop(source.sql(sql)));
    w.catch_up();
    w
}

#[test]
fn a_statement_of_another_zone_is_run_in_one_like_it() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.restart_in(EAST);
        spare.restart_in(UTC);
        let (w, other) = (archived(&source, &[PLAIN, EVENT, DEPENDS]), World::target(&spare));
        let latest = w.request_to(&other, RestorePoint::Latest);
        let plan = w.plan_to(&latest, &other).unwrap();
        let zone = check(&plan, "time zone");
        assert_eq!(zone.state, CheckState::Warning, "{zone:?}");
        assert!(zone.found.contains("EST") && zone.wanted.contains("tzinfo"), "{zone:?}");
        let e = chain(&w.try_restore(&latest, &other).unwrap_err());
        assert!(
            e.contains("depends on the time zone of its server (EST") && e.contains("modify ts"),
            "{e}"
        );

        load_zone(&spare, "Test/Like_it");
        let plan = w.plan_to(&latest, &other).unwrap();
        let zone = check(&plan, "time zone");
        // What is loaded ends in 2037, and newer TIMESTAMPs do not.
        let later = kind == Kind::MariaDb118;
        assert_eq!(zone.state == CheckState::Warning, later, "{zone:?}");
        assert!(
            zone.found.contains("Test/Like_it") && zone.found.contains("2037") == later,
            "{zone:?}"
        );
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        // Whether a row has a moment of an hour that is there twice, nobody looks.
        let [said] = receipt.warnings.as_slice() else {
            panic!("{kind:?}: {:?}", receipt.warnings);
        };
        assert!(
            said.contains("modify d timestamp") && said.contains("Test/Like_it"),
            "{said}"
        );
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
        assert_eq!(
            spare.column("select d from d.t order by id"),
            // In UTC, as the server is: noon in the east.
            ["2026-07-01 16:00:00", "2026-01-01 17:00:00"]
        );
    }
}

/// A server takes the later of two hours in its own zone, and the first in one by name.
#[test]
fn local_times_that_are_there_twice_are_told() {
    for kind in [Kind::MariaDb1011, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        source.restart_in(EAST);
        spare.restart_in(UTC);
        load_zone(&spare, "Test/Like_it");
        let twice = "alter table d.other add v timestamp null default '2026-11-01 02:30:00'; alter table d.other add w timestamp null \
                     default '2026-11-01 01:30:00'; create table d.p (id int, ts timestamp not null) partition by range \
                     (unix_timestamp(ts)) (partition a values less than (unix_timestamp('2026-11-01 01:45:00')))";
        let (w, other) = (archived(&source, &[PLAIN, EVENT, twice]), World::target(&spare));
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        let [one, two] = receipt.warnings.as_slice() else {
            panic!("{kind:?}: {:?}", receipt.warnings);
        };
        assert!(
            one.contains("add w timestamp") && one.contains("for which Test/Like_it stands"),
            "{one}"
        );
        assert!(two.contains("create table d.p"), "{two}");
        // In the zone itself there is nothing to be said.
        spare.restart_in(EAST);
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn what_hangs_on_no_zone_needs_none() {
    for kind in Kind::ALL {
        let [source, spare] = servers([kind, kind]);
        source.restart_in(EAST);
        spare.restart_in(UTC);
        let (w, other) = (archived(&source, &[PLAIN, EVENT]), World::target(&spare));
        let receipt = w.restore_to(&other, RestorePoint::Latest);
        assert_eq!(receipt.warnings, Vec::<String>::new(), "{kind:?}");
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
    }
}

/// The zone of a server is that with which it was started, and between two bases it may be started in another.
#[test]
fn the_zone_is_that_of_the_statement_and_not_of_the_base() {
    let zones = [
        (Kind::MariaDb1011, JAPAN),
        (Kind::MariaDb1011, NOT_UTC),
        (Kind::Mysql97, NOT_UTC),
    ];
    for (kind, zone) in zones {
        let [source, spare] = servers([kind, kind]);
        source.restart_in(UTC);
        spare.restart_in(EAST);
        let (w, other) = (World::new(&source), World::target(&spare));
        source.sql(BASE);
        w.backup();
        w.start_log();
        source.restart_in(zone);
        source.sql(DEPENDS);
        w.catch_up();
        source.restart_in(UTC);
        source.sql("alter table d.other add noon timestamp null default '2026-07-07 12:00:00'");
        w.catch_up();
        w.restore_to(&other, RestorePoint::Latest);
        comparable(&source).assert_same(&comparable(&spare), &format!("{kind:?}"));
        let noon = "set time_zone = '+00:00'; select noon from d.other limit 1";
        source.sql("insert into d.other (id) values (1)");
        spare.sql("insert into d.other (id) values (1)");
        assert_eq!(
            (source.value(noon), spare.value(noon)),
            ("2026-07-07 12:00:00".to_owned(), source.value(noon))
        );
    }
}

#[test]
fn a_zone_with_a_name_is_missed_before_anything_is_built() {
    for kind in [Kind::MariaDb118, Kind::Mysql97] {
        let [source, spare] = servers([kind, kind]);
        source.restart_in(UTC);
        spare.restart_in(UTC);
        load_zone(&source, "Test/Named");
        let work = format!("set session time_zone = 'Test/Named'; {DEPENDS}");
        let (w, other) = (archived(&source, &[PLAIN, &work]), World::target(&spare));
        let latest = w.request_to(&other, RestorePoint::Latest);
        let plan = w.plan_to(&latest, &other).unwrap();
        assert_eq!(check(&plan, "time zone").state, CheckState::Ok);
        let names = check(&plan, "named time zones");
        assert!(
            names.state == CheckState::Warning && names.wanted.contains("tzinfo"),
            "{names:?}"
        );
        let e = chain(&w.try_restore(&latest, &other).unwrap_err());
        assert!(
            e.contains("Test/Named, which this server does not know") && e.contains("tzinfo"),
            "{e}"
        );

        load_zone(&spare, "Test/Named");
        let plan = w.plan_to(&latest, &other).unwrap();
        assert!(!plan.checks.iter().any(|c| c.name == "named time zones"));
        w.restore_to(&other, RestorePoint::Latest);
        look::everything(&source)
            .rows()
            .assert_same(&look::everything(&spare).rows(), &format!("{kind:?}"));
    }
}
