//! The demo's past: some days of a shop, with snapshots, log, an outage that left a gap, and an accident.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::clock::DemoClock;
use crate::archive::state::ProofsDoc;
use crate::archive::{Archive, ArchiveIdentity, ArchiveLock, Holder};
use crate::cluster::Cluster;
use crate::cluster::embedded::{EmbeddedCluster, Options};
use crate::engine::backup::{self, BackupPlan};
use crate::engine::cx::{JobCx as _, TestCx};
use crate::engine::log::task::{LogShared, LogTask};
use crate::engine::log::{LogOptions, control};
use crate::engine::verify;
use crate::model::backup::{BackupSummary, BackupType, Proof, ProofLevel};
use crate::model::clock::{Clock, Millis};
use crate::model::ids::ClusterName;
use crate::model::settings::BackupSettings;
use crate::service::shop::{self, Shop};
use crate::storage::Storage;

/// How fine the story is told.
const STEP: i64 = 30 * Millis::MINUTE;
/// How often the log is flushed.
const FLUSH: i64 = 3 * Millis::HOUR;
/// Orders already there on the first day.
const FIRST_ORDERS: u64 = 3_000;
/// Orders in each step.
const ORDERS: u64 = 6;

/// What the story is about.
pub struct Story {
    /// Days of history.
    pub days: u32,
    /// The dice.
    pub seed: u64,
    /// When it ends: the present.
    pub until: Millis,
}

/// Tells the story: makes the cluster in `dir` and its archive on `storage`. The clock ends at `until`.
pub fn tell(
    story: &Story,
    name: &ClusterName,
    dir: &std::path::Path,
    storage: Arc<dyn Storage>,
    clock: &Arc<DemoClock>,
) -> anyhow::Result<()> {
    let start = story.until.plus(-i64::from(story.days) * Millis::DAY);
    clock.set(start);
    let as_clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    // With a short history the source really throws its log away during the outage, and the gap is a real one.
    let options = Options::new(Arc::clone(&as_clock)).with_history(Some(Duration::from_secs(3600)));
    let cluster = EmbeddedCluster::open(dir, options).context("making the demo's cluster")?;
    let identity = ArchiveIdentity {
        cluster: name.clone(),
        cluster_identity: cluster.facts()?.identity,
        kind: cluster.facts()?.kind.word().to_owned(),
        created: start,
    };
    let archive = Archive::create(storage, identity)?;
    let lock = ArchiveLock::take(&archive, Holder::here("demo", "demo")?, Arc::clone(&as_clock))?;
    let teller = Teller {
        cluster,
        archive,
        lock: Arc::new(lock),
        clock,
        cx: TestCx::new(as_clock).asked_by("schedule"),
        name,
    };
    teller.tell(story, start)
}

struct Teller<'a> {
    cluster: Arc<EmbeddedCluster>,
    archive: Archive,
    lock: Arc<ArchiveLock>,
    clock: &'a DemoClock,
    cx: TestCx,
    name: &'a ClusterName,
}

impl Teller<'_> {
    fn tell(&self, story: &Story, start: Millis) -> anyhow::Result<()> {
        let mut shop = Shop::new(story.seed);
        shop.open(&self.cluster, FIRST_ORDERS)?;
        self.coupons()?;
        self.archive.update(&self.lock, |doc: &mut BackupSettings| {
            (doc.schedule, doc.pitr) = (true, true);
        })?;
        control::start(&self.archive, &self.lock)?;
        self.backup(BackupType::Manual, Some("before opening day"))?;
        // The log begins here; the next snapshot may come before the first flush.
        self.catch_up()?;
        let events = Events::of(story);
        let mut now = start;
        while now < story.until {
            let next = events.next_stop(now);
            self.trade(&mut shop, now, next)?;
            self.clock.set(next);
            self.step(&events, now, next)?;
            now = next;
        }
        self.catch_up()
    }

    /// A table that somebody will drop.
    fn coupons(&self) -> anyhow::Result<()> {
        let session = self.cluster.session("shop")?;
        let table = shop::table("coupons");
        session.create_table(&table, r#"{"key":"code","value":["percent","until"]}"#)?;
        let mut tx = session.begin()?;
        for n in 0..1_250 {
            tx.put(
                &table,
                format!("C{n:05}").as_bytes(),
                format!(r#"{{"percent":{},"until":"2026-12-31"}}"#, 5 + n % 30).as_bytes(),
            )?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Orders, spread over the step.
    fn trade(&self, shop: &mut Shop, from: Millis, to: Millis) -> anyhow::Result<()> {
        let session = self.cluster.session("shop")?;
        for n in 0..ORDERS {
            self.clock.set(from.plus(to.since(from) * (n as i64) / (ORDERS as i64)));
            shop.trade(&session)?;
        }
        Ok(())
    }

    fn step(&self, events: &Events, from: Millis, to: Millis) -> anyhow::Result<()> {
        let within = |at: Millis| from < at && at <= to;
        if to == Events::night_after(from) {
            let taken = self.backup(BackupType::Auto, None)?;
            self.prove(events, &taken, to)?;
        }
        if within(events.sale) {
            self.backup(BackupType::Manual, Some("before the autumn sale"))?;
        }
        if within(events.accident) {
            self.cluster.session("intern")?.drop_table(&shop::table("coupons"))?;
        }
        let out = events.outage.0 < to && to < events.outage.1;
        if within(events.outage.1) {
            self.cluster.collect_garbage()?;
        }
        // Now and then is enough for a story: a flush is some twenty syncs.
        let flushes = to.0.div_euclid(FLUSH) != from.0.div_euclid(FLUSH);
        if out || !flushes { Ok(()) } else { self.catch_up() }
    }

    fn catch_up(&self) -> anyhow::Result<()> {
        let task = LogTask {
            cluster: Arc::clone(&self.cluster) as Arc<dyn Cluster>,
            archive: self.archive.clone(),
            lock: Arc::clone(&self.lock),
            options: LogOptions::default(),
            shared: Arc::new(LogShared::default()),
        };
        task.catch_up(&self.cx).context("archiving the demo's log")?;
        Ok(())
    }

    fn backup(&self, kind: BackupType, note: Option<&str>) -> anyhow::Result<BackupSummary> {
        let identity = self.cluster.facts()?.identity;
        let mut plan = BackupPlan::full(self.name.clone(), identity, kind);
        plan.note = note.map(str::to_owned);
        let plan = backup::plan(&*self.cluster, plan)?;
        let cx = TestCx::new(Arc::clone(self.cx.clock())).asked_by("schedule");
        backup::run(&*self.cluster, &self.archive, &self.lock, &plan, &cx)
            .context("taking a snapshot of the demo's past")
    }

    /// Some of the snapshots were verified.
    fn prove(&self, events: &Events, taken: &BackupSummary, night: Millis) -> anyhow::Result<()> {
        let days_ago = events.until.since(night) / Millis::DAY;
        if days_ago == 1 {
            verify::read_through(&self.archive, &taken.id, &self.cx)?;
            let proof = Proof {
                level: ProofLevel::Checksums,
                at: self.clock.now(),
                failed: None,
            };
            self.archive.update(&self.lock, |doc: &mut ProofsDoc| {
                doc.0.entry(taken.id.clone()).or_default().push(proof.clone());
            })?;
        }
        Ok(())
    }
}

/// When things happen.
struct Events {
    until: Millis,
    /// The log backup was down from .. to, longer than the source keeps its log.
    outage: (Millis, Millis),
    /// A manual snapshot.
    sale: Millis,
    /// Somebody drops a table.
    accident: Millis,
}

impl Events {
    fn of(story: &Story) -> Events {
        let days = i64::from(story.days);
        let start = story.until.plus(-days * Millis::DAY);
        // A night's snapshot in the gap would make two of it. The gap begins with the last flush before the outage, which is
        // behind the night, and ends where the source's log still begins at the first flush after it: a day before that.
        let night = Events::night_after(start);
        let out = night.plus(FLUSH).plus(30 * Millis::MINUTE);
        Events {
            until: story.until,
            outage: (out, out.plus(Millis::DAY + 90 * Millis::MINUTE)),
            sale: story.until.plus(-Millis::DAY - 2 * Millis::HOUR),
            accident: story.until.plus(-(5 * Millis::HOUR + 13 * Millis::MINUTE)),
        }
    }

    /// The first Backup Time, 02:00 UTC, after an instant.
    fn night_after(at: Millis) -> Millis {
        let passed = (at.0 - 2 * Millis::HOUR).rem_euclid(Millis::DAY);
        at.plus(Millis::DAY - passed)
    }

    /// Where the story stops next: after a step, or when something is due.
    fn next_stop(&self, now: Millis) -> Millis {
        let due = [
            Events::night_after(now),
            self.sale,
            self.accident,
            self.outage.0,
            self.outage.1,
            self.until,
        ];
        let coming = due.into_iter().filter(|at| *at > now);
        coming.fold(now.plus(STEP), Millis::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::{SummaryCache, View};
    use crate::storage::memory::Memory;

    #[test]
    fn whatever_time_it_is_there_is_one_gap() {
        for minutes in [10, 61, 121, 246] {
            let until = Millis(1_795_219_200_000).plus(minutes * Millis::MINUTE);
            let story = Story {
                days: 5,
                seed: 1,
                until,
            };
            let (dir, storage) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new()));
            let (name, clock) = (ClusterName::new("demo").unwrap(), Arc::new(DemoClock::new(until)));
            tell(&story, &name, dir.path(), storage.clone(), &clock).unwrap();
            let archive = Archive::open(storage, &name).unwrap().unwrap();
            let view = View::read(&archive, &SummaryCache::default()).unwrap();
            assert_eq!(view.window().gaps().len(), 1, "{minutes}: {:?}", view.window());
        }
    }
}
