//! Every verb as one thing that can be cancelled, made to fail, killed and tried again; on copies of one small world.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use brine::engine::cx::{JobCx, ResumeLog};
use brine::engine::error::EngineError;
use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::engine::restore::way_back;
use brine::engine::{delete, retention, truncate, verify};
use brine::model::backup::{BackupType, ProofLevel};
use brine::model::clock::Millis;
use brine::model::filter::TableFilter;
use brine::model::position::Moment;
use brine::model::tso::Tso;
use brine::storage::faults::Faults;
use brine::storage::memory::Memory;
use brine::storage::{ObjectName, Storage};

use crate::env::{Sums, World, chain, list, only, scratch_dir, t};

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Backup,
    CatchUp,
    /// Into an empty cluster without an archive.
    Other,
    Beside,
    /// One database, over the live one.
    Filtered,
    InPlace,
    /// In place without log backup: with a safety snapshot.
    Safety,
    Undo,
    Retention,
    Truncate,
    Delete,
    VerifyChecksums,
    VerifyTested,
}

impl Verb {
    pub const ALL: [Verb; 13] = [
        Verb::Backup,
        Verb::CatchUp,
        Verb::Other,
        Verb::Beside,
        Verb::Filtered,
        Verb::InPlace,
        Verb::Safety,
        Verb::Undo,
        Verb::Retention,
        Verb::Truncate,
        Verb::Delete,
        Verb::VerifyChecksums,
        Verb::VerifyTested,
    ];

    pub fn named(name: &str) -> Verb {
        Verb::ALL.into_iter().find(|v| format!("{v:?}") == name).unwrap()
    }

    pub fn writes_cluster(self) -> bool {
        matches!(
            self,
            Verb::Beside | Verb::Filtered | Verb::InPlace | Verb::Safety | Verb::Undo
        )
    }
}

/// What a verb is given.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// The moment that restores go to.
    pub at: Tso,
    pub now: Millis,
}

impl Job {
    /// Runs a verb.
    pub fn run(&self, verb: Verb, w: &World, cx: &dyn JobCx) -> Result<(), EngineError> {
        let point = RestorePoint::At {
            moment: Moment::of_tso(self.at),
        };
        let restore = |point, target, filter: &[&str], replace| {
            let mut request = w.request(point, target);
            request.replace = replace;
            request.filter = TableFilter::parse(filter).unwrap();
            w.run(&remembered(cx, || w.plan(&request))?, cx).map(drop)
        };
        match verb {
            Verb::Backup => w.try_backup(cx).map(drop),
            Verb::CatchUp => w.try_catch_up(cx).map(drop),
            Verb::Other => {
                let target = RestoreTarget::Cluster {
                    name: w.spare().name.clone(),
                };
                let plan = remembered(cx, || w.plan_to(&w.request(point, target), w.spare()))?;
                w.run_to(&plan, w.spare(), false, cx).map(drop)
            }
            Verb::Beside => restore(point, RestoreTarget::Beside, &[], false),
            Verb::Filtered => restore(point, RestoreTarget::InPlace, &["shop.*"], false),
            Verb::InPlace => restore(point, RestoreTarget::InPlace, &[], false),
            Verb::Safety => {
                let plan = remembered(cx, || w.plan(&w.request(point, RestoreTarget::InPlace)))?;
                w.restore_run(&plan, w, false, cx).run().map(drop)
            }
            Verb::Undo => {
                let plan = remembered(cx, || {
                    w.plan(&way_back::undo_request(&w.try_view()?, &w.name, w.now())?)
                })?;
                w.run_to(&plan, w, true, cx).map(drop)
            }
            Verb::Retention => {
                w.clock.set(self.now.plus(9 * Millis::DAY / 2));
                let view = w.try_view()?;
                let plan = retention::plan(&view, &view.settings, w.now());
                retention::run(&w.archive, &w.lock, &view, &plan, cx).map(drop)
            }
            Verb::Truncate => {
                let until = remembered(cx, || Ok(w.try_view()?.bases()[1].commit))?;
                truncate::run(&w.archive, &w.lock, until, cx).map(drop)
            }
            Verb::Delete => {
                let id = remembered(cx, || Ok(w.try_view()?.bases()[0].id.clone()))?;
                let view = w.try_view()?;
                if view.trash.iter().any(|(i, _, _)| *i == id) {
                    return Ok(());
                }
                delete::run(&w.archive, &w.lock, &view, &id, true, cx).map(drop)
            }
            Verb::VerifyChecksums | Verb::VerifyTested => {
                let level = match verb {
                    Verb::VerifyChecksums => ProofLevel::Checksums,
                    _ => ProofLevel::Tested,
                };
                let id = w.try_view()?.bases()[0].id.clone();
                let scratch = || Ok(w.spare().c().clone() as Arc<dyn brine::cluster::Cluster>);
                verify::run(&w.archive, &w.lock, &id, level, verify::Scratch::Fresh(&scratch), cx).map(drop)
            }
        }
    }
}

/// A small world at rest, to be copied.
pub struct Template {
    pub dir: tempfile::TempDir,
    pub objects: BTreeMap<String, Vec<u8>>,
    pub job: Job,
    pub want: Sums,
    /// What the cluster holds.
    pub live: Sums,
    /// What the last restore overwrote.
    pub undone: Sums,
    /// A restore that could not take the first base of the new history only warns.
    pub base_may_be_missing: Cell<bool>,
}

pub fn read_all(storage: &dyn Storage) -> BTreeMap<String, Vec<u8>> {
    let read = |name: &String| storage.read(&ObjectName::new(name.clone()).unwrap(), 1 << 30).unwrap();
    list(storage)
        .into_keys()
        .map(|name| (name.clone(), read(&name)))
        .collect()
}

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

impl Template {
    /// Twelve days of history: three backups, a restore in place, segments, and something that is not archived yet.
    pub fn new() -> Template {
        let mut w = World::new();
        w.log_options.flush_bytes = 60;
        let app = w.app();
        for (db, table) in [("shop", "a"), ("shop", "b"), ("crm", "c")] {
            app.create_table(&t(db, table), "{}").unwrap();
        }
        let write = |w: &World, n: u8| {
            let app = w.app();
            app.put(&t("shop", "a"), &[b'k', n], &[n; 40]).unwrap();
            app.put(&t("crm", "c"), &[b'k', n % 3], &[n; 9]).unwrap()
        };
        write(&w, 0);
        // Long in the trash when the story ends.
        let gone = w.backup();
        delete::run(&w.archive, &w.lock, &w.view(), &gone.id, true, &w.cx()).unwrap();
        w.backup();
        w.start_log();
        for n in 1..6 {
            write(&w, n);
        }
        w.catch_up();
        w.advance(9 * Millis::DAY);
        w.backup();
        write(&w, 6);
        let restore_to = write(&w, 7);
        write(&w, 8);
        w.advance(Millis::DAY);
        let undone = w.sums();
        w.catch_up();
        w.in_place(restore_to).unwrap();
        write(&w, 9);
        w.app().drop_table(&t("shop", "b")).unwrap();
        let at = write(&w, 10);
        w.app().create_table(&t("shop", "d"), "{}").unwrap();
        write(&w, 11);
        w.catch_up();
        w.app().put(&t("shop", "d"), b"k", b"not archived yet").unwrap();
        w.advance(2 * Millis::DAY);
        let (want, live) = (w.sums_at(at), w.sums());
        let (objects, now) = (read_all(&*w.storage), w.now());
        Template {
            job: Job { at, now },
            want,
            live,
            undone,
            objects,
            dir: w.into_dir(),
            base_may_be_missing: Cell::new(false),
        }
    }

    /// A copy, on a storage that can be made to fail.
    pub fn faulty(&self) -> (World, Faults) {
        let faults = Faults::new(Arc::new(self.memory()));
        (self.on(Arc::new(faults.clone())), faults)
    }

    /// A copy.
    pub fn world(&self) -> World {
        self.on(Arc::new(self.memory()))
    }

    fn memory(&self) -> Memory {
        let memory = Memory::new();
        for (name, bytes) in &self.objects {
            memory.overwrite(&ObjectName::new(name.clone()).unwrap(), bytes);
        }
        memory
    }

    pub fn on(&self, storage: Arc<dyn Storage>) -> World {
        let dir = scratch_dir();
        copy_dir(self.dir.path(), dir.path());
        World::existing(dir.path(), storage, self.job.now).owning(dir)
    }

    /// Runs a verb.
    pub fn run(&self, verb: Verb, w: &World, cx: &dyn JobCx) -> Result<(), EngineError> {
        self.job.run(verb, w, cx)
    }

    /// What must hold after a verb has succeeded.
    pub fn check_done(&self, verb: Verb, w: &World, what: &str) {
        match verb {
            Verb::Other => assert_eq!(w.spare().sums(), self.want, "{what}"),
            Verb::InPlace | Verb::Safety => assert_eq!(w.sums(), self.want, "{what}"),
            Verb::Undo => assert_eq!(w.sums(), self.undone, "{what}"),
            Verb::Filtered => {
                assert_eq!(
                    only(&w.sums(), &["*.*", "!shop.*"]),
                    only(&self.live, &["*.*", "!shop.*"]),
                    "{what}"
                );
                for table in only(&self.want, &["shop.*"]) {
                    assert!(w.sums().contains(&table), "{what}: {table:?}");
                }
            }
            Verb::Beside => {
                let rest = ["*.*", "!*_restored.*"];
                assert_eq!(only(&w.sums(), &rest), self.live, "{what}");
                let made = only(&w.sums(), &["*_restored.*"]).into_iter();
                let made: Vec<_> = made
                    .map(|(n, s)| (t(n.db.trim_end_matches("_restored"), &n.table), s))
                    .collect();
                assert_eq!(made, only(&self.want, &["*.*", "!mysql.*"]), "{what}");
            }
            _ => assert_eq!(w.sums(), self.live, "{what}"),
        }
        let bases = w.view().bases().len();
        match verb {
            Verb::Backup => assert_eq!(bases, 4, "{what}"),
            Verb::Retention | Verb::Delete => assert_eq!(bases, 2, "{what}"),
            _ => {}
        }
        if verb.writes_cluster() && !self.base_may_be_missing.get() {
            let view = w.view();
            assert_eq!(view.live().0, 3, "{what}");
            let last = view.backups.last().unwrap();
            let found = (last.kind, last.incarnation.0, view.live().0);
            assert_eq!(found, (BackupType::Base, 3, 3), "{what}: {:#?}", view.incarnations);
        }
    }

    /// What must hold whatever happened: the cluster works, and everything that is advertised can be restored.
    pub fn check_sound(&self, w: &World, what: &str) {
        let app = w.c().session("app").unwrap_or_else(|e| panic!("{what}: {e}"));
        let table = t("crm", "c");
        app.put(&table, b"later", b"1").unwrap();
        drop(app);
        let other = crate::moments::other();
        w.catch_up();
        let now = w.mark();
        w.catch_up();
        let bases: Vec<Tso> = w.view().bases().iter().map(|b| b.commit.last_tso()).collect();
        let in_window = |ts: &Tso| w.view().window().span_at(Moment::of_tso(*ts)).is_some();
        assert!(!bases.is_empty(), "{what}");
        for ts in bases
            .into_iter()
            .chain([self.job.at, now].into_iter().filter(in_window))
        {
            let want = w.sums_at(ts);
            w.restore_to(&w.request_to(&other, ts), &other)
                .unwrap_or_else(|e| panic!("{what}: to {ts}: {}", chain(&e)));
            assert_eq!(other.sums(), want, "{what}: to {ts}");
        }
    }
}

/// The plan that was agreed to, kept with the job: a job that is resumed runs the same one.
fn remembered<T: serde::Serialize + serde::de::DeserializeOwned>(
    cx: &dyn JobCx,
    make: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let log: &dyn ResumeLog = cx.resume_log();
    if let Some((_, known)) = log.load()?.into_iter().find(|(k, _)| k == "test/plan") {
        return Ok(serde_json::from_value(known).unwrap());
    }
    let made = make()?;
    log.save("test/plan", &serde_json::to_value(&made).unwrap())?;
    Ok(made)
}
