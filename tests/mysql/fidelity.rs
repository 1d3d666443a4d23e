//! The whole data set, there and back: by a snapshot, and by the log alone.

use brine::engine::point::RestorePoint;

use crate::dataset;
use crate::look::{self, Look};
use crate::server::{Kind, servers};
use crate::world::{World, snapshot};

/// What a restore leaves as it is at the target: the account that brine itself uses.
fn comparable(look: &Look) -> Look {
    look.only(|name| name != "account 'root'@'localhost'")
}

fn by_snapshot(kind: Kind) {
    let [source, spare] = servers([kind, kind]);
    dataset::fill(&source);
    dataset::plugins(&spare);
    let (w, other) = (World::new(&source), World::target(&spare));
    let before = look::everything(&source);
    let backup = w.backup();
    comparable(&before).assert_same(&comparable(&look::everything(&source)), "a backup changes nothing");
    w.restore_to(&other, snapshot(&backup.id));
    comparable(&before).assert_same(&comparable(&look::everything(&spare)), "restored from a snapshot");
    // Once more, over what is there now.
    spare.sql("create database more; create table more.t (a int); drop table fid.reals; delete from fid.ints");
    w.restore_to(&other, snapshot(&backup.id));
    comparable(&before).assert_same(&comparable(&look::everything(&spare)), "restored a second time");
    spare.restart();
    // What is in memory is gone then, at the source as well.
    let lasting = |look: &Look| comparable(look).only(|name| name != "rows `fid`.`e_memory`");
    lasting(&before).assert_same(&lasting(&look::everything(&spare)), "after a restart of the server");
}

#[test]
fn everything_of_mariadb_10_11_comes_back_from_a_snapshot() {
    by_snapshot(Kind::MariaDb1011);
}

#[test]
fn everything_of_mariadb_11_8_comes_back_from_a_snapshot() {
    by_snapshot(Kind::MariaDb118);
}

#[test]
fn everything_of_mysql_9_7_comes_back_from_a_snapshot() {
    by_snapshot(Kind::Mysql97);
}

/// The snapshot is of an empty server: whatever comes back was in the log.
fn by_log(kind: Kind) {
    let [source, spare] = servers([kind, kind]);
    let (w, other) = (World::new(&source), World::target(&spare));
    dataset::plugins(&spare);
    w.backup();
    w.start_log();
    dataset::fill(&source);
    w.catch_up();
    w.restore_to(&other, RestorePoint::Latest);
    let looked = |server| comparable(&look::everything(server)).without_counters();
    looked(&source).assert_same(&looked(&spare), "restored from the log");
}

#[test]
fn everything_of_mariadb_10_11_comes_back_from_the_log() {
    by_log(Kind::MariaDb1011);
}

#[test]
fn everything_of_mariadb_11_8_comes_back_from_the_log() {
    by_log(Kind::MariaDb118);
}

#[test]
fn everything_of_mysql_9_7_comes_back_from_the_log() {
    by_log(Kind::Mysql97);
}
