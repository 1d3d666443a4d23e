//! The driver's two ends put together: what a snapshot reads goes straight into a restore, without archive or engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use brine::cluster::mysql::MysqlCluster;
use brine::cluster::{BatchSink, BatchSource, ChunkRange, Cluster, RestoreAsk, RestoreScope, Snapshot, Stop};
use brine::model::checksum::TableChecksum;
use brine::model::clock::SystemClock;
use brine::model::filter::{RenameMap, TableFilter};
use brine::model::table::TableName;

use crate::dataset;
use crate::look;
use crate::server::{Kind, Server, servers};

/// Batches in memory, both ways.
#[derive(Default)]
struct Batches {
    list: VecDeque<Vec<u8>>,
    rows: u64,
}

impl BatchSink for Batches {
    fn put(&mut self, batch: &[u8], rows: u64) -> Result<(), Stop> {
        self.list.push_back(batch.to_vec());
        self.rows += rows;
        Ok(())
    }
}

impl BatchSource for Batches {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        Ok(self.list.pop_front())
    }
}

fn cluster(server: &Server) -> MysqlCluster {
    MysqlCluster::new(server.options(), Arc::new(SystemClock))
}

/// Reads a table in ranges, each in several steps.
fn read(snapshot: &dyn Snapshot, table: &TableName) -> (Batches, TableChecksum) {
    let (mut batches, mut sum) = (Batches::default(), TableChecksum::default());
    for range in snapshot.split(table, 5).unwrap() {
        let mut rest: Option<ChunkRange> = Some(range);
        while let Some(range) = rest {
            let read = snapshot.read(table, &range, 20_000, &mut batches).unwrap();
            sum = sum + read.sum;
            rest = read.rest;
        }
    }
    assert_eq!(sum.rows, batches.rows, "{table}");
    (batches, sum)
}

type Sums = BTreeMap<TableName, TableChecksum>;

fn assert_same(wanted: &Sums, has: &Sums, what: &str) {
    let names: BTreeSet<&TableName> = wanted.keys().chain(has.keys()).collect();
    let differ = names.into_iter().filter(|n| wanted.get(n) != has.get(n));
    let lines: Vec<String> = differ
        .map(|n| format!("{n}: wanted {:?}, has {:?}", wanted.get(n), has.get(n)))
        .collect();
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

fn copy(from: &Server, to: &Server) -> Sums {
    let snapshot = cluster(from).open_snapshot(None).unwrap();
    let ask = RestoreAsk {
        id: "r1".to_owned(),
        scope: RestoreScope::Whole,
        filter: TableFilter::all(),
        rename: RenameMap::default(),
        until: snapshot.mark().moment,
        spares: false,
    };
    let restorer = cluster(to).restorer(&ask).unwrap();
    restorer.define_others(&snapshot.definitions().unwrap()).unwrap();
    let tables = snapshot.tables().unwrap();
    for table in &tables {
        restorer.define(table).unwrap();
    }
    restorer.end_of_log().unwrap();
    let mut sums = BTreeMap::new();
    for table in &tables {
        let (mut batches, sum) = read(&*snapshot, &table.name);
        let loaded = restorer.load(&table.name, &mut batches).unwrap();
        assert_eq!((&loaded.sum, &loaded.written), (&sum, &sum), "{}", table.name);
        sums.insert(table.name.clone(), sum);
    }
    let built: Sums = restorer.checksums().unwrap().into_iter().collect();
    assert_same(&sums, &built, "what was built");
    restorer.publish().unwrap();
    sums
}

fn there_and_back(kind: Kind) {
    let [source, target] = servers([kind, kind]);
    dataset::fill(&source);
    dataset::plugins(&target);
    let wanted = look::everything(&source);
    target.sql("create database old; create table old.t (a int); create user old");
    let sums = copy(&source, &target);
    let has = look::everything(&target);
    let not_root = |name: &str| name != "account 'root'@'localhost'";
    wanted.only(not_root).assert_same(&has.only(not_root), "restored");
    let live = |server: &Server| -> Sums {
        let all = cluster(server).checksums(&TableFilter::all(), None).unwrap();
        all.into_iter().collect()
    };
    assert_same(&sums, &live(&source), "the source");
    assert_same(&sums, &live(&target), "the target");
}

#[test]
fn mariadb_10_11_there_and_back() {
    there_and_back(Kind::MariaDb1011);
}

#[test]
fn mariadb_11_8_there_and_back() {
    there_and_back(Kind::MariaDb118);
}

#[test]
fn mysql_9_7_there_and_back() {
    there_and_back(Kind::Mysql97);
}
