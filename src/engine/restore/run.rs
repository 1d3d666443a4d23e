//! Running a restore plan.
//!
//! What is built stays invisible until it is published, after its checksums were compared. Before that step
//! a failure or a cancel throws it away and opens the cluster again; after it, the new incarnation is recorded,
//! a new base is taken, and the cluster opens.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::load;
use super::plan::{RestorePlan, RestoreReceipt, WayBackPlan};
use super::{advice, base, preflight, way_back};
use crate::archive::state::WayBack;
use crate::archive::{Archive, ArchiveLock};
use crate::cluster::{ClosedAs, Cluster, ClusterError, ClusterState, Mark, RestoreAsk, RestoreScope, Restorer};
use crate::engine::cx::{self, JobCx};
use crate::engine::error::{Doing, EngineError, ErrorKind};
use crate::engine::incarnation::{self, Beginning};
use crate::engine::interrupt::interruptible;
use crate::engine::point::{RestorePoint, RestoreTarget};
use crate::engine::view::{SummaryCache, View};
use crate::model::crash::crash_point;
use crate::model::ids::{ClusterName, IncarnationId};
use crate::model::job::{LineLevel, Unit};
use crate::model::position::Moment;
use crate::model::table::TableName;
use crate::model::window::{Base, covering_run};

// What the job remembers of a restore.
const WAS: &str = "was";
const RESTORE_ID: &str = "restore-id";
const UNTIL: &str = "until";
const WAY_BACK: &str = "way-back";
const PUBLISHING: &str = "publishing";
const PUBLISHED: &str = "published";

/// How often it is said what a switch waits for.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// A restore that was switched over.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Switched {
    mark: Mark,
    /// The moment; of `latest` it is known only after the flush.
    until: Moment,
    totals: load::Totals,
}

/// Brings a log backup up to the present, wherever its task runs.
pub trait LogControl: Send + Sync {
    /// Flushes and returns the checkpoint; `None` when no log backup runs for that cluster.
    fn flush(&self, cluster: &ClusterName, cx: &dyn JobCx) -> Result<Option<Moment>, EngineError>;
}

/// The archive of the cluster that is restored into.
#[derive(Clone, Copy)]
pub struct TargetArchive<'a> {
    /// The archive.
    pub archive: &'a Archive,
    /// Its lock, held by this process.
    pub lock: &'a ArchiveLock,
}

/// Everything a run needs.
pub struct RestoreRun<'a> {
    /// The plan that was agreed to.
    pub plan: &'a RestorePlan,
    /// The archive that is read.
    pub source: &'a Archive,
    /// The database that is written.
    pub target: &'a dyn Cluster,
    /// Its own archive, where it has one.
    pub target_archive: Option<TargetArchive<'a>>,
    /// For flushing before an in-place restore.
    pub log: &'a dyn LogControl,
    /// Whether it undoes the last restore, whose way back is used up by it.
    pub undo: bool,
    /// The job.
    pub cx: &'a dyn JobCx,
}

impl RestoreRun<'_> {
    /// Runs the plan.
    pub fn run(&self) -> Result<RestoreReceipt, EngineError> {
        if let Some(receipt) = cx::finished(self.cx)? {
            return Ok(receipt);
        }
        let started = Instant::now();
        let before = match self.switched_before() {
            Ok(before) => before,
            // The switch of an earlier run cannot be finished. When it was undone, there is nothing left of it.
            Err(e) => match self.switched_before() {
                Ok(None) => Some(self.give_up(e)?),
                Ok(done) => done,
                Err(_) => return Err(e),
            },
        };
        if let Some(done) = before {
            self.cx.line(
                LineLevel::Info,
                "the restored data was already switched over; finishing".to_owned(),
            );
            return self.finish(&done, started);
        }
        let done = match self.switch() {
            Ok(done) => done,
            // An error of the last step may come after the switch: then there is nothing to give up. Where even that
            // cannot be known, the target stays closed and the job can be resumed.
            Err(e) => match self.switched_before() {
                Ok(Some(done)) => done,
                Ok(None) => self.give_up(e)?,
                Err(_) => return Err(e),
            },
        };
        crash_point("restore.published");
        self.cx.resume_log().save(PUBLISHED, &json!(done))?;
        self.finish(&done, started)
    }

    /// Builds and compares everything as [`RestoreRun::run`] does, and throws it away instead of switching over: what the
    /// target holds is not touched, and it stays open. Gives the rows.
    pub fn rehearse(&self) -> Result<u64, EngineError> {
        self.check_assumptions()?;
        self.outline();
        let ask = self.ask(self.restore_id()?, self.plan.until);
        let restorer = self.target.restorer(&ask)?;
        let job = self.load(&ask, &*restorer);
        let built = interruptible(self.cx, &|| {}, &|| restorer.interrupt(), || job.run());
        self.cx.step("Throw away what was built", Unit::Tables, None);
        let thrown_away = restorer.abandon();
        let rows = built?.sum.rows;
        thrown_away.doing(|| "throwing away what was built for the test".to_owned())?;
        self.cx.resume_log().clear()?;
        Ok(rows)
    }

    /// What an earlier run that died had switched over. After the last step that it remembered, only the target knows.
    fn switched_before(&self) -> Result<Option<Switched>, EngineError> {
        if let Some(done) = self.recall(PUBLISHED)? {
            return Ok(Some(done));
        }
        let Some((ask, mut totals)) = self.recall::<(RestoreAsk, load::Totals)>(PUBLISHING)? else {
            return Ok(None);
        };
        let restorer = self.target.restorer(&ask)?;
        let Some(mark) = restorer.published()? else {
            return Ok(None);
        };
        totals.remarks = restorer.remarks();
        drop(restorer);
        let done = Switched {
            mark,
            until: ask.until,
            totals,
        };
        self.cx.resume_log().save(PUBLISHED, &json!(done))?;
        Ok(Some(done))
    }

    /// Whether the target is closed to applications meanwhile: where something of theirs is overwritten, and where the
    /// target becomes exactly the source, because what they created in the meantime would be dropped.
    fn closes(&self) -> bool {
        self.plan.losses.is_some() || self.plan.whole
    }

    /// Checks, closes, builds and switches over.
    fn switch(&self) -> Result<Switched, EngineError> {
        self.check_assumptions()?;
        self.outline();
        if self.closes() {
            self.cx.step("Close the cluster to applications", Unit::Tables, None);
            self.close()?;
            crash_point("restore.closed");
        }
        self.build()
    }

    /// Closes the target, remembering how it was.
    fn close(&self) -> Result<(), EngineError> {
        let state = self.target.facts()?.state;
        match self.recall::<ClusterState>(WAS)? {
            None => self.cx.resume_log().save(WAS, &json!(state))?,
            // It was opened since an earlier run had closed it: what was committed then is not in that run's way back.
            Some(_) if !matches!(state, ClusterState::Restoring { .. }) => self.forget(WAY_BACK)?,
            Some(_) => {}
        }
        Ok(self.target.close(ClosedAs::Restoring)?)
    }

    /// Before the switch nothing has changed: throws away what was built and leaves the target as it was. It is opened also when
    /// what was built cannot be thrown away: applications need not wait for that, and another run can.
    fn give_up(&self, e: EngineError) -> Result<Switched, EngineError> {
        let ask = match (self.recall(RESTORE_ID)?, self.recall(UNTIL)?) {
            (Some(id), Some(until)) => Some(self.ask(id, until)),
            _ => None,
        };
        let thrown_away = match ask {
            Some(ask) => self.target.restorer(&ask).and_then(|r| r.abandon()),
            None => Ok(()),
        };
        let was = self.recall::<ClusterState>(WAS)?;
        if self.closes()
            && let Some(was) = was
        {
            let left = match was {
                ClusterState::Closed { why } => self.target.close(ClosedAs::Closed(why)),
                _ => self.target.open(),
            };
            left.doing(|| format!("opening {} again after: {}", self.plan.target, e.chain()))?;
        }
        thrown_away.doing(|| format!("throwing away what was built, after: {}", e.chain()))?;
        self.cx.resume_log().clear()?;
        Err(e)
    }

    /// The heavy steps and what they weigh against each other, in bytes of rows.
    fn outline(&self) {
        let rows: u64 = self.plan.tables.iter().map(|t| t.bytes).sum::<u64>().max(1);
        let log = self.plan.log.as_ref().map_or(0, |l| l.stored_bytes * 4);
        let (own, way_back) = (self.target_archive.is_some(), self.plan.way_back.is_some());
        let when = |wanted: bool, weight: u64| if wanted { weight } else { 0 };
        self.cx.outline(&[
            ("Read and check every row", when(way_back, rows / 2)),
            ("Read the log", log),
            ("Load rows", rows),
            ("Compare checksums", rows / 2),
            ("Switch over", 1),
            ("Read and store rows", when(own, rows)),
            ("Publish the manifest", 1),
        ]);
    }

    /// Everything up to and including the switch.
    fn build(&self) -> Result<Switched, EngineError> {
        let until = self.prepare()?;
        let ask = self.ask(self.restore_id()?, until);
        let restorer = self.target.restorer(&ask)?;
        let job = self.load(&ask, &*restorer);
        let mut totals = interruptible(self.cx, &|| {}, &|| restorer.interrupt(), || job.run())?;
        self.cx.step("Switch over", Unit::Tables, None);
        self.cx.check()?;
        if let Some(t) = self.target_archive {
            t.lock.check()?;
        }
        // The load took its time: a table that came into being meanwhile must not be overwritten.
        self.check_in_the_way()?;
        self.cx.resume_log().save(PUBLISHING, &json!((&ask, &totals)))?;
        crash_point("restore.before-publish");
        let said = Mutex::new(None);
        let look = || {
            let mut said = said.lock();
            let is_due = said.is_none_or(|at: Instant| at.elapsed() >= SAY_EVERY);
            if let Some(text) = restorer.waiting().filter(|_| is_due) {
                self.cx.line(LineLevel::Warning, text);
                *said = Some(Instant::now());
            }
        };
        let publish = || {
            restorer.publish().map_err(|e| match e {
                ClusterError::TableExists(name) => EngineError::refused(
                    format!("{name} came into being while the restore ran, and was left as it is"),
                    "restore under another name with --rename, or drop it and restore again",
                ),
                e => e.into(),
            })
        };
        let mark = interruptible(self.cx, &look, &|| restorer.interrupt(), publish)?;
        totals.remarks = restorer.remarks();
        Ok(Switched { mark, until, totals })
    }

    fn load<'a>(&'a self, ask: &RestoreAsk, restorer: &'a dyn Restorer) -> load::Load<'a> {
        load::Load {
            plan: self.plan,
            until: ask.until,
            archive: self.source,
            restorer,
            cx: self.cx,
            capabilities: self.target.capabilities(),
        }
    }

    /// The tables that are written, where it is not the whole cluster.
    fn written(&self) -> Option<Vec<TableName>> {
        (!self.plan.whole).then(|| self.plan.assumptions.writes.clone())
    }

    /// What the target is asked for.
    fn ask(&self, id: String, until: Moment) -> RestoreAsk {
        RestoreAsk {
            id,
            scope: match (self.plan.whole, self.plan.request.exactly) {
                (true, _) => RestoreScope::Whole,
                (false, true) => RestoreScope::Exactly,
                (false, false) => RestoreScope::Tables,
            },
            filter: self.plan.request.filter.clone(),
            rename: self.plan.request.rename.clone(),
            until,
            spares: !self.closes(),
        }
    }

    /// The same id in every try, so that what is loaded is not loaded again.
    fn restore_id(&self) -> Result<String, EngineError> {
        if let Some(id) = self.recall(RESTORE_ID)? {
            return Ok(id);
        }
        let id = format!("r{:016x}", random()?);
        self.cx.resume_log().save(RESTORE_ID, &json!(id))?;
        Ok(id)
    }

    fn recall<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, EngineError> {
        let memory = self.cx.resume_log().load()?;
        let found = memory.into_iter().find(|(k, v)| k == key && !v.is_null());
        found
            .map(|(_, v)| {
                serde_json::from_value(v)
                    .map_err(|e| EngineError::Corrupt(format!("the job's memory of {key} cannot be read: {e}")))
            })
            .transpose()
    }

    fn forget(&self, key: &str) -> Result<(), EngineError> {
        Ok(self.cx.resume_log().save(key, &serde_json::Value::Null)?)
    }

    /// Flushes what has to be in, and makes sure that there is a way back.
    fn prepare(&self) -> Result<Moment, EngineError> {
        let mut until = self.plan.until;
        let latest = self.plan.request.point == RestorePoint::Latest;
        let source = &self.plan.request.source;
        let in_place = self.plan.request.target == RestoreTarget::InPlace;
        if latest || in_place {
            self.cx.step("Flush the log", Unit::Transactions, None);
            let checkpoint = self.flush(source, latest && in_place)?;
            if let Some(checkpoint) = checkpoint.filter(|_| latest) {
                until = until.max(self.reached(checkpoint)?);
            }
        }
        if let Some(known) = self.recall(UNTIL)? {
            until = known;
        }
        self.cx.resume_log().save(UNTIL, &json!(until))?;
        self.way_back()?;
        Ok(until)
    }

    /// How far the log behind the base goes, now that the log backup has come to its checkpoint: behind a gap there may be more of
    /// it, which nothing leads to. Whoever did not agree to that does not get it for the latest.
    fn reached(&self, checkpoint: Moment) -> Result<Moment, EngineError> {
        let view = View::read(self.source, &SummaryCache::default())?;
        let base = Base {
            id: self.plan.base.id.clone(),
            commit: self.plan.base.commit,
            incarnation: self.plan.incarnation,
        };
        let reached = covering_run(&base, &view.log.runs).map_or(base.commit, |run| run.to.max(base.commit));
        if checkpoint <= reached || self.plan.checks.iter().any(|c| c.name == preflight::GAP) {
            return Ok(checkpoint.min(reached));
        }
        Err(EngineError::refused(
            format!(
                "the log of {} has a gap behind {}: what was committed since then is in no restore from this base",
                self.plan.request.source,
                preflight::clock(reached)
            ),
            "take a snapshot (brine backup create) and restore from that, or plan again: latest then ends at the gap",
        ))
    }

    /// Brings a log backup up to the present.
    ///
    /// One that fails must not keep backups from being restored, unless the restore `needs` what it lacks: the way back
    /// sees that the log is not complete, and becomes a safety snapshot.
    fn flush(&self, cluster: &ClusterName, needs: bool) -> Result<Option<Moment>, EngineError> {
        match self.log.flush(cluster, self.cx) {
            Err(e) if e.kind() != ErrorKind::Cancelled && !needs => {
                let text = format!("the log of {cluster} could not be flushed: {e}");
                self.cx.line(LineLevel::Warning, text);
                Ok(None)
            }
            flushed => flushed,
        }
    }

    /// Makes the way back, once, and remembers it.
    fn way_back(&self) -> Result<(), EngineError> {
        let wanted = self
            .plan
            .way_back
            .as_ref()
            .filter(|w| !matches!(w, WayBackPlan::None { .. }));
        let (Some(_), Some(target)) = (wanted, self.target_archive) else {
            return Ok(());
        };
        if self.recall::<WayBack>(WAY_BACK)?.is_some() {
            return Ok(());
        }
        if self.plan.target != self.plan.request.source {
            self.flush(&self.plan.target, false)?;
        }
        let made = way_back::make(self.target, target, &self.plan.target, self.written(), self.cx)?;
        self.cx.resume_log().save(WAY_BACK, &json!(made))?;
        crash_point("restore.way-back");
        Ok(())
    }

    /// The plan must still be true.
    fn check_assumptions(&self) -> Result<(), EngineError> {
        let assumed = &self.plan.assumptions;
        if let Some(check) = self.plan.blocked() {
            return Err(EngineError::refused(
                format!("{}: {}", check.name, check.found),
                check.wanted.clone(),
            ));
        }
        let view = View::read_for(self.source, &SummaryCache::default(), &self.plan.request.point)?;
        let base = view.backup(&assumed.base)?;
        drifted(
            "the base's moment",
            format!("{:?}", assumed.base_commit),
            format!("{:?}", base.commit),
        )?;
        drifted(
            "the live history of the source",
            assumed.live_incarnation.to_string(),
            view.live().to_string(),
        )?;
        let facts = self.target.facts()?;
        drifted("the target's identity", assumed.target_identity.clone(), facts.identity)?;
        self.check_in_the_way()
    }

    /// What would be overwritten or dropped at the target must be what was agreed to.
    fn check_in_the_way(&self) -> Result<(), EngineError> {
        let assumed = &self.plan.assumptions;
        let there: Vec<_> = self
            .target
            .tables()?
            .into_iter()
            .filter(|t| assumed_in_the_way(self.plan, &t.name, t.system))
            .map(|t| t.name.to_string())
            .collect();
        let planned: Vec<_> = assumed.in_the_way.iter().map(ToString::to_string).collect();
        drifted("what is in the way at the target", planned.join(" "), there.join(" "))
    }

    /// After the switch: the new history, its first base, and the doors.
    ///
    /// A cancel comes too late here. A base that cannot be taken does not keep the cluster closed.
    fn finish(&self, done: &Switched, started: Instant) -> Result<RestoreReceipt, EngineError> {
        let totals = done.totals.clone();
        let way_back = self.recall::<WayBack>(WAY_BACK)?;
        let incarnation = self
            .begin_incarnation(done, way_back.clone())
            .doing(|| "the restored data is in place; recording its new history, to be resumed".to_owned())?;
        crash_point("restore.incarnation");
        let (mut next_steps, mut warnings) = (Vec::new(), totals.remarks.clone());
        for remark in &warnings {
            self.cx.line(LineLevel::Warning, remark.clone());
        }
        if let Some(target) = self.target_archive
            && let Err(e) = base::take(self.target, target, self.plan, self.cx)
        {
            let text = format!("the first base of the new history could not be taken: {}", e.chain());
            self.cx.line(LineLevel::Warning, text.clone());
            warnings.push(text);
            next_steps.push(format!(
                "take a snapshot: until then no moment after the restore can be restored: brine backup create {}",
                self.plan.target
            ));
        }
        if self.closes() {
            self.open_again(&mut next_steps)?;
        }
        next_steps.extend(self.advice());
        let receipt = RestoreReceipt {
            target: self.plan.target.clone(),
            point: self.plan.point.clone(),
            until: done.until,
            base: self.plan.base.id.clone(),
            last_in: totals.last_in.or_else(|| self.plan.last_in.clone()),
            first_out: self.plan.first_out.clone().filter(|t| t.at > done.until),
            tables: totals.tables,
            rows: totals.sum.rows,
            bytes: totals.sum.bytes,
            replayed: totals.replayed,
            took_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
            compared: totals.compared,
            incarnation,
            undo_until: way_back.map(|w| w.until),
            next_steps,
            warnings,
        };
        cx::finish(self.cx, &receipt)?;
        crash_point("restore.done");
        Ok(receipt)
    }

    fn begin_incarnation(
        &self,
        done: &Switched,
        way_back: Option<WayBack>,
    ) -> Result<Option<IncarnationId>, EngineError> {
        let Some(target) = self.target_archive else {
            return Ok(None);
        };
        let same = self.plan.target == self.plan.request.source;
        if self.undo {
            incarnation::use_way_back(target.archive, target.lock, &done.mark)?;
        }
        let beginning = Beginning {
            restored_to: Some(done.until),
            from: same.then_some(self.plan.incarnation),
            partial: !self.plan.whole,
            job: None,
            way_back,
        };
        incarnation::begin(target.archive, target.lock, &done.mark, &beginning).map(Some)
    }

    fn open_again(&self, next_steps: &mut Vec<String>) -> Result<(), EngineError> {
        if self.plan.request.stay_closed {
            self.target.close(ClosedAs::Closed(format!(
                "restored to {}; closed until you open it",
                self.plan.point
            )))?;
            next_steps.push(format!(
                "look at the data, then open it: brine cluster open {}",
                self.plan.target
            ));
            return Ok(());
        }
        self.target.open()?;
        Ok(())
    }

    fn advice(&self) -> Vec<String> {
        let there = self
            .target
            .tables()
            .map(|tables| tables.into_iter().map(|t| t.name).collect());
        match there {
            Ok(there) => advice::steps(self.plan, &there),
            // The restore is done: that the target is not there to be asked is no reason to call it failed.
            Err(e) => vec![format!(
                "look at what was restored: the target could not be asked again: {}",
                EngineError::from(e).chain()
            )],
        }
    }
}

fn drifted(what: &str, planned: String, found: String) -> Result<(), EngineError> {
    if planned == found {
        return Ok(());
    }
    Err(EngineError::Drifted {
        what: what.to_owned(),
        planned,
        found,
    })
}

fn assumed_in_the_way(plan: &RestorePlan, name: &TableName, system: bool) -> bool {
    match plan.whole {
        true => !system,
        false => plan.assumptions.writes.contains(name),
    }
}

fn random() -> Result<u64, EngineError> {
    getrandom::u64().map_err(|e| EngineError::Corrupt(format!("the system gives no random numbers: {e}")))
}
