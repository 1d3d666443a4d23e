//! The cluster itself: the driver's side of the contract, and the housekeeping thread.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use crate::cluster::{
    Capabilities, Changes, ClosedAs, Cluster, ClusterError, ClusterFacts, ClusterKind, Codec, Mark, RestoreAsk,
    Restorer, Snapshot, TableFacts,
};
use crate::model::checksum::TableChecksum;
use crate::model::filter::TableFilter;
use crate::model::position::{Moment, Position};
use crate::model::table::TableName;
use crate::model::tso::Tso;

use super::core::{Core, mark_at};
use super::gc::{self, Effort, GcReport};
use super::open::{self, Options};
use super::parallel::each;
use super::scan::Scan;
use super::session::Session;
use super::store::failed;
use super::{changes, codec, restore, snapshot};

/// How often the high-water mark is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often the estimates are written down.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// The shortest time between two collections.
const COLLECT_EVERY: Duration = Duration::from_secs(60);

/// An embedded cluster that is open in this process. Dropping it stops its housekeeping; the store is let
/// go when the last session, view and stream has gone too.
pub struct EmbeddedCluster {
    core: Arc<Core>,
    stop: Option<Sender<()>>,
    housekeeping: Option<JoinHandle<()>>,
}

impl EmbeddedCluster {
    /// Opens the cluster in a directory, or creates it.
    pub fn open(dir: &Path, options: Options) -> Result<Arc<EmbeddedCluster>, ClusterError> {
        let core = open::open(dir, &options)?;
        let (stop, stopped) = crossbeam_channel::bounded(1);
        let inside = core.clone();
        let housekeeping = std::thread::Builder::new()
            .name("embedded-housekeeping".to_owned())
            .spawn(move || keep_house(&inside, &stopped))
            .map_err(failed("starting the housekeeping thread"))?;
        Ok(Arc::new(EmbeddedCluster {
            core,
            stop: Some(stop),
            housekeeping: Some(housekeeping),
        }))
    }

    /// Opens an application's session; refused when the cluster is closed.
    pub fn session(&self, user: &str) -> Result<Session, ClusterError> {
        Session::open(&self.core, user)
    }

    /// Throws away what lies behind the history window, now.
    pub fn collect_garbage(&self) -> Result<GcReport, ClusterError> {
        gc::collect(&self.core, Effort::All)
    }
}

/// Writes marks and estimates now and then, and collects garbage. What fails here is tried again; a store
/// that is broken tells those who commit.
///
/// While nothing is committed there is nothing to write, and nobody is woken for it.
fn keep_house(core: &Core, stopped: &Receiver<()>) {
    let window = core.window.unwrap_or_default();
    let collect_every = COLLECT_EVERY.max(window / 24);
    let over = || stopped.try_recv() == Err(TryRecvError::Disconnected);
    let (mut saved, mut collected) = (Instant::now(), Instant::now());
    // Everything that is visible before the mark and the estimates are written is in them.
    let (mut marked, mut estimated) = (Tso::ZERO, Tso::ZERO);
    loop {
        let rest = collect_every.saturating_sub(collected.elapsed()).max(TICK);
        let unsaved = estimated < marked;
        let wait = if unsaved { rest.min(SAVE_EVERY) } else { rest };
        core.visible.wait_while_still(marked, wait, over);
        // Commits come in swarms: one mark for all within a moment.
        if stopped.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let (seen, tip) = (core.visible.get(), core.commit.lock().tip);
        if core.guard.lock().write(tip).is_ok() {
            marked = seen;
        }
        if saved.elapsed() > SAVE_EVERY {
            (saved, estimated) = (Instant::now(), marked);
            let _ = core.estimates.save(&core.store);
        }
        if collected.elapsed() > collect_every {
            let _ = gc::collect(core, Effort::Worthwhile);
            collected = Instant::now();
        }
    }
}

impl Drop for EmbeddedCluster {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.core.visible.wake();
        if let Some(thread) = self.housekeeping.take() {
            let _ = thread.join();
        }
        // A clean end only saves work for the next start; a crash needs none of it.
        let _ = self.core.estimates.save(&self.core.store);
        let mut state = self.core.commit.lock();
        let _ = state.oracle.close(&self.core.store);
        let _ = self.core.guard.lock().write(state.tip);
    }
}

impl Cluster for EmbeddedCluster {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            reopen_snapshot: true,
            read_past: true,
            log_before_load: true,
            atomic_restore: true,
        }
    }

    fn facts(&self) -> Result<ClusterFacts, ClusterError> {
        let tables = self.tables()?;
        Ok(ClusterFacts {
            kind: ClusterKind::Embedded,
            version: format!("embedded {}", env!("CARGO_PKG_VERSION")),
            identity: self.core.identity.clone(),
            address: None,
            state: self.core.door.state(),
            tables: tables.len() as u64,
            rows_estimate: tables.iter().map(|t| t.rows_estimate).sum(),
            bytes_estimate: tables.iter().map(|t| t.bytes_estimate).sum(),
            sessions: self.core.door.sessions(),
            now: mark_at(self.core.exclusive()?.last()),
            history_from: Some(Moment::of_tso(self.core.oldest())),
        })
    }

    fn tables(&self) -> Result<Vec<TableFacts>, ClusterError> {
        let tables = self.core.catalog.read().tables(self.core.visible.get());
        let facts = tables.into_iter().map(|(name, info)| {
            let estimate = self.core.estimates.get(info.id);
            TableFacts {
                name,
                rows_estimate: estimate.rows(),
                bytes_estimate: estimate.bytes(),
                system: info.system,
            }
        });
        Ok(facts.collect())
    }

    fn mark(&self) -> Result<Mark, ClusterError> {
        self.core.guarded_mark()
    }

    fn open_snapshot(&self, token: Option<&str>) -> Result<Box<dyn Snapshot>, ClusterError> {
        Ok(Box::new(snapshot::open(&self.core, token)?))
    }

    fn changes(&self, after: &Mark, _anchors: &[Mark]) -> Result<Box<dyn Changes>, ClusterError> {
        Ok(Box::new(changes::stream(self.core.clone(), &after.position)?))
    }

    fn keep_log(&self, from: Option<&Position>) -> Result<(), ClusterError> {
        let from = from
            .map(|p| {
                p.tso().ok_or_else(|| ClusterError::Malformed {
                    what: "a position",
                    why: format!("{p} is not a timestamp of an embedded cluster"),
                })
            })
            .transpose()?;
        self.core.log.keep(from, &self.core.store)
    }

    fn checksums(
        &self,
        filter: &TableFilter,
        at: Option<Moment>,
    ) -> Result<Vec<(TableName, TableChecksum)>, ClusterError> {
        let reading = self.core.reading(at)?;
        let tables = self.core.catalog.read().tables(reading.ts());
        let wanted: Vec<_> = tables.into_iter().filter(|(name, _)| filter.matches(name)).collect();
        each(&wanted, |(name, info)| {
            let rows = self.core.store.rows(info.id)?;
            Ok((name.clone(), Scan::all(&rows, reading.ts()).checksum()?))
        })
    }

    fn close(&self, state: ClosedAs) -> Result<(), ClusterError> {
        // Under the commit lock: when this returns, no application's commit follows.
        let exclusive = self.core.exclusive()?;
        self.core.door.close(state, self.core.clock.now(), &self.core.store)?;
        let tip = exclusive.tip();
        drop(exclusive);
        self.core.guard.lock().write(tip)
    }

    fn open(&self) -> Result<(), ClusterError> {
        self.core.door.open(&self.core.store)
    }

    fn restorer(&self, ask: &RestoreAsk) -> Result<Box<dyn Restorer>, ClusterError> {
        Ok(Box::new(restore::open(&self.core, ask, None)?))
    }

    fn codec(&self) -> &'static dyn Codec {
        codec()
    }
}
