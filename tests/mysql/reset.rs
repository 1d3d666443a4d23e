//! A log that was made anew at the source is noticed when nobody reads it, and no backup is said to reach further than it does.

use brine::cluster::Cluster;
use brine::cluster::mysql::codec;
use brine::engine::adopt;
use brine::engine::point::RestorePoint;
use brine::model::backup::{BackupSummary, PitrTo};
use brine::model::log::RunEnd;

use crate::look;
use crate::server::{Kind, servers_with};
use crate::world::{World, chain};

fn pitr(w: &World, backup: &BackupSummary) -> PitrTo {
    let view = w.view();
    let summary = view.backups.iter().find(|b| b.id == backup.id).unwrap();
    view.pitr_to(summary)
}

#[test]
fn a_log_that_was_reset_is_noticed_before_it_is_read() {
    let by_place = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    for (kind, options) in [
        (Kind::Mysql97, &by_place[..]),
        (Kind::Mysql97, &[]),
        (Kind::MariaDb1011, &[]),
        (Kind::MariaDb118, &[]),
    ] {
        let what = format!("{kind:?} {options:?}");
        let [s, spare] = servers_with([kind, kind], options);
        let (w, other) = (World::new(&s), World::target(&spare));
        s.sql("create database d; create table d.t (a int auto_increment primary key)");
        let first = w.backup();
        w.start_log();
        (0..10).for_each(|_| drop(s.sql("insert into d.t values ()")));
        w.catch_up();
        let end = w.log_doc().runs[0].to_position.clone();
        let goes_on = |w: &World| codec().continues(&w.c().facts().unwrap().now.position, &end);
        assert_eq!(goes_on(&w), Some(true), "{what}");
        w.c().continues(&end).unwrap();

        // Nobody reads the log meanwhile. Files are told apart by the second in which they were begun.
        let second = s.value("select unix_timestamp()");
        while s.value("select unix_timestamp()") == second {}
        s.sql(match kind.is_mysql() {
            true => "reset binary logs and gtids",
            false => "reset master",
        });
        s.sql("insert into d.t values ()");
        assert_eq!(goes_on(&w), Some(false), "{what}");
        let e = w.c().continues(&end).unwrap_err();
        assert_eq!(e.ends_log(), kind.is_mysql(), "{what}: {e}");
        if !kind.is_mysql() {
            let e = chain(&w.try_backup().unwrap_err());
            assert!(
                e.contains("does not continue") && e.contains("cluster adopt"),
                "{what}: {e}"
            );
            adopt::run(&**w.c(), &w.archive, &w.lock, &w.cx()).unwrap();
        }
        let next = w.backup();
        assert_eq!(w.log_doc().runs[0].ended, Some(RunEnd::SourceLogGone), "{what}");
        assert!(matches!(pitr(&w, &first), PitrTo::Moment { .. }), "{what}");
        assert_eq!(pitr(&w, &next), PitrTo::SnapshotOnly, "{what}");
        s.sql("insert into d.t values ()");
        w.catch_up();
        assert_eq!(pitr(&w, &next), PitrTo::Checkpoint, "{what}");
        w.restore_to(&other, RestorePoint::Latest);
        look::everything(&s).assert_same(&look::everything(&spare), &what);
    }
}
