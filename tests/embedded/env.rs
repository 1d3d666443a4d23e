//! A cluster in a directory of its own, with a clock that the test moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brine::cluster::embedded::{EmbeddedCluster, Options};
use brine::cluster::{
    BatchSink, BatchSource, Changes, Cluster, ClusterError, LogEvent, Mark, ReplayTxn, RestoreAsk, RestoreScope,
    Restorer, Snapshot, Stop, Txn,
};
use brine::model::checksum::TableChecksum;
use brine::model::clock::{ManualClock, Millis};
use brine::model::filter::{RenameMap, TableFilter};
use brine::model::position::{Moment, Position};
use brine::model::table::TableName;
use brine::model::tso::Tso;

pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
/// A whole database: what a test believes.
pub type World = BTreeMap<TableName, Rows>;

pub const START: Millis = Millis(1_700_000_000_000);

pub fn t(name: &str) -> TableName {
    TableName::new("db", name)
}

pub fn sum_of(rows: &Rows) -> TableChecksum {
    let mut sum = TableChecksum::default();
    rows.iter().for_each(|(k, v)| sum.add_row(k, v));
    sum
}

pub fn user_tables() -> TableFilter {
    TableFilter::parse(&["*.*", "!mysql.*"]).unwrap()
}

pub struct Env {
    pub dir: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub history: Option<Duration>,
    cluster: Option<Arc<EmbeddedCluster>>,
}

impl Env {
    pub fn new() -> Env {
        Env::with_history(None)
    }

    pub fn with_history(history: Option<Duration>) -> Env {
        let mut env = Env {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(START)),
            history,
            cluster: None,
        };
        env.reopen();
        env
    }

    pub fn options(&self) -> Options {
        Options::new(self.clock.clone()).with_history(self.history)
    }

    pub fn try_open(&self) -> Result<Arc<EmbeddedCluster>, ClusterError> {
        EmbeddedCluster::open(self.dir.path(), self.options())
    }

    pub fn close(&mut self) {
        self.cluster = None;
    }

    pub fn reopen(&mut self) {
        self.cluster = None;
        self.cluster = Some(self.try_open().unwrap());
    }

    pub fn c(&self) -> &EmbeddedCluster {
        self.cluster.as_ref().unwrap()
    }

    /// Asserts that the cluster at a timestamp is exactly this world.
    pub fn assert_world(&self, at: Tso, world: &World) {
        let sums = self.c().checksums(&user_tables(), Some(Moment::of_tso(at))).unwrap();
        let want: Vec<_> = world.iter().map(|(name, rows)| (name.clone(), sum_of(rows))).collect();
        assert_eq!(sums, want, "at {at}");
    }
}

/// Collects batches.
#[derive(Default)]
pub struct Batches(pub Vec<Vec<u8>>);

impl BatchSink for Batches {
    fn put(&mut self, batch: &[u8], _rows: u64) -> Result<(), Stop> {
        self.0.push(batch.to_vec());
        Ok(())
    }
}

/// Gives batches.
pub struct Given(pub std::vec::IntoIter<Vec<u8>>);

impl BatchSource for Given {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        Ok(self.0.next())
    }
}

/// A snapshot as an archive would hold it.
pub struct Backup {
    pub at: Tso,
    pub tables: Vec<(brine::cluster::TableDef, Vec<Vec<u8>>, TableChecksum)>,
}

pub fn read_all(snapshot: &dyn Snapshot, table: &TableName, parts: usize, max: u64) -> (Vec<Vec<u8>>, TableChecksum) {
    let (mut batches, mut sum) = (Batches::default(), TableChecksum::default());
    for range in snapshot.split(table, parts).unwrap() {
        let mut next = Some(range);
        while let Some(range) = next {
            let read = snapshot.read(table, &range, max, &mut batches).unwrap();
            sum = sum + read.sum;
            next = read.rest;
        }
    }
    (batches.0, sum)
}

pub fn back_up(c: &dyn Cluster) -> Backup {
    let snapshot = c.open_snapshot(None).unwrap();
    let tables = snapshot.tables().unwrap().into_iter().map(|def| {
        let (batches, sum) = read_all(&*snapshot, &def.name, 3, 100);
        (def, batches, sum)
    });
    let backup = Backup {
        at: snapshot.mark().moment.last_tso(),
        tables: tables.collect(),
    };
    snapshot.release().unwrap();
    backup
}

/// Everything that the log holds after a timestamp, up to now.
pub fn drain(stream: &mut dyn Changes) -> Vec<LogEvent> {
    let mut events = Vec::new();
    loop {
        let event = stream.next(Duration::ZERO).unwrap().unwrap();
        if matches!(event, LogEvent::Reached(_)) {
            return events;
        }
        events.push(event);
    }
}

pub fn log_after(c: &dyn Cluster, at: Tso) -> Vec<Txn> {
    let mut stream = c.changes(&place(&Position::Tso(at)), &[]).unwrap();
    let txns = drain(&mut *stream).into_iter().map(|e| match e {
        LogEvent::Txn(txn) => txn,
        other => panic!("{other:?}"),
    });
    txns.collect()
}

pub fn ask(until: Tso) -> RestoreAsk {
    RestoreAsk {
        id: format!("r{until}"),
        scope: RestoreScope::Whole,
        filter: TableFilter::all(),
        rename: RenameMap::default(),
        until: Moment::of_tso(until),
        spares: false,
    }
}

/// Gives a restorer everything but the publish.
pub fn build(restorer: &dyn Restorer, backup: &Backup, log: &[Txn], until: Tso) -> Result<(), ClusterError> {
    for (def, _, _) in &backup.tables {
        restorer.define(def)?;
    }
    for txn in log.iter().filter(|txn| txn.commit.last_tso() <= until) {
        restorer.replay(&ReplayTxn {
            commit: txn.commit,
            id: &txn.id,
            payload: &txn.payload,
            early: false,
        })?;
    }
    restorer.end_of_log()?;
    for table in restorer.tables()? {
        let found = backup.tables.iter().find(|(def, _, _)| def.name == table);
        let batches = found.map(|(_, batches, _)| batches.clone()).unwrap_or_default();
        let loaded = restorer.load(&table, &mut Given(batches.into_iter()))?;
        assert_eq!(loaded.sum, found.map(|(_, _, sum)| *sum).unwrap_or_default());
    }
    Ok(())
}

/// A place that is known by its position alone, as an embedded cluster needs it.
pub fn place(position: &Position) -> Mark {
    Mark {
        moment: Moment::of_tso(position.tso().unwrap_or(Tso::ZERO)),
        position: position.clone(),
    }
}
