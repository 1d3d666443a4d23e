//! A storage that fails at any call: an error or success, never a wrong success; and trying again works.

use std::sync::Arc;

use brine::engine::cx::{DONE, MemoryResumeLog, ResumeError, ResumeLog};
use brine::model::backup::BackupType;
use brine::storage::ErrorKind;
use brine::storage::count::{Call, Counting};
use brine::storage::faults::{Fault, FaultRule, Faults};
use brine::storage::memory::Memory;
use brine::storage::{ObjectName, Storage};

use crate::env::{World, chain, t};
use crate::moments::other;
use crate::verbs::{Template, Verb};

/// Of many places, so many are tried, spread evenly; all with `BRINE_TEST_ALL`.
pub fn spread(places: u64, most: u64) -> Vec<u64> {
    let step = match std::env::var_os("BRINE_TEST_ALL") {
        Some(_) => 1,
        None => (places / most).max(1),
    };
    (1..=places).step_by(step as usize).collect()
}

fn every_call_fails(fault: Fault) {
    let template = Template::new();
    template.base_may_be_missing.set(true);
    for verb in Verb::ALL {
        let (w, faults) = template.faulty();
        faults.clear();
        template
            .run(verb, &w, &w.cx())
            .unwrap_or_else(|e| panic!("{verb:?}: {}", chain(&e)));
        let calls = faults.calls();
        println!("{verb:?}: {calls} calls");
        for n in spread(calls, 3) {
            let what = format!("{verb:?} with {fault:?} at call {n} of {calls}");
            let (w, faults) = template.faulty();
            faults.clear();
            faults.add(FaultRule {
                call: None,
                nth: n,
                times: 1,
                fault,
            });
            let resume = Arc::new(brine::engine::cx::MemoryResumeLog::default());
            let cx = w.cx().with_resume(resume.clone());
            let first = template.run(verb, &w, &cx);
            faults.clear();
            if let Err(e) = first {
                let cx = w.cx().with_resume(resume);
                template
                    .run(verb, &w, &cx)
                    .unwrap_or_else(|again| panic!("{what}: {}; then {}", chain(&e), chain(&again)));
            }
            template.check_done(verb, &w, &what);
            template.check_sound(&w, &what);
        }
    }
}

#[test]
fn any_call_may_fail() {
    every_call_fails(Fault::Fail(ErrorKind::Other));
}

#[test]
fn any_answer_may_be_lost() {
    every_call_fails(Fault::LostAnswer);
}

/// Promise 3: what was finished is not read again.
#[test]
fn a_resumed_backup_reads_only_what_is_missing() {
    let faults = Faults::new(Arc::new(Memory::new()));
    let counting = Counting::new(Arc::new(faults.clone()));
    let counts = counting.counts();
    let w = World::on(Arc::new(counting));
    let app = w.app();
    for n in 0..10 {
        let table = t("shop", &format!("t{n}"));
        app.create_table(&table, "{}").unwrap();
        app.put(&table, b"k", b"v").unwrap();
    }
    let mut plan = w.plan_backup(BackupType::Auto);
    plan.concurrency = 1;
    faults.clear();
    faults.add(FaultRule {
        call: Some(Call::Finish),
        nth: 8,
        times: 1,
        fault: Fault::Fail(ErrorKind::Other),
    });
    let resume = Arc::new(MemoryResumeLog::default());
    let run = || w.run_backup(&plan, &w.cx().with_resume(resume.clone()));
    run().unwrap_err();
    let sums = w.sums();
    app.put(&t("shop", "t0"), b"k", b"later").unwrap();
    let before = counts.of(Call::Create);
    let backup = run().unwrap();
    // Of twelve tables seven were stored.
    assert_eq!((backup.tables, counts.of(Call::Create) - before), (12, 12 - 7));
    let other = other();
    w.restore_to(&w.request_to(&other, backup.commit.last_tso()), &other)
        .unwrap();
    assert_eq!(other.sums(), sums, "one moment, the first one");
    let left: Vec<_> = resume.load().unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, [DONE], "the result alone");
    let taken = counts.of(Call::Create);
    assert_eq!(run().unwrap(), backup, "a resume after the end does nothing again");
    assert_eq!(counts.of(Call::Create), taken);
}

/// A job that was interrupted after its backup was published finds it there, even when the view is long gone.
#[test]
fn a_finished_backup_outlives_its_view() {
    let w = World::with(
        Arc::new(Memory::new()),
        "demo",
        Some(std::time::Duration::from_secs(60)),
    );
    let app = w.app();
    app.create_table(&t("shop", "a"), "{}").unwrap();
    let resume = Arc::new(Forgetful::default());
    let cx = w.cx().with_resume(resume.clone());
    let backup = w.try_backup(&cx).unwrap();
    w.advance(brine::model::clock::Millis::DAY);
    app.put(&t("shop", "a"), b"k", b"v").unwrap();
    w.c().collect_garbage().unwrap();
    let again = w.try_backup(&w.cx().with_resume(resume)).unwrap();
    assert_eq!(again.id, backup.id);
    assert_eq!(w.view().backups.len(), 1);
}

/// A memory that is never cleared: as if the process had died just before.
#[derive(Default)]
struct Forgetful(MemoryResumeLog);

impl ResumeLog for Forgetful {
    fn load(&self) -> Result<Vec<(String, serde_json::Value)>, ResumeError> {
        self.0.load()
    }
    fn save(&self, key: &str, value: &serde_json::Value) -> Result<(), ResumeError> {
        self.0.save(key, value)
    }
    fn finish(&self, _: &serde_json::Value) -> Result<(), ResumeError> {
        Ok(())
    }
    fn clear(&self) -> Result<(), ResumeError> {
        Ok(())
    }
}

/// A table that fills several data objects, one after the other.
#[test]
fn a_large_table_is_resumed_in_the_middle() {
    let faults = Faults::new(Arc::new(Memory::new()));
    let w = World::on(Arc::new(faults.clone()));
    let (app, table) = (w.app(), t("shop", "large"));
    app.create_table(&table, "{}").unwrap();
    for n in 0..150u8 {
        app.put(&table, &[n], &vec![n; 1 << 20]).unwrap();
    }
    let mut plan = w.plan_backup(BackupType::Auto);
    (plan.concurrency, plan.bytes_estimate) = (1, 0);
    faults.clear();
    let third = FaultRule {
        call: Some(Call::Finish),
        nth: 5,
        times: 1,
        fault: Fault::Fail(ErrorKind::Other),
    };
    faults.add(third);
    let resume = Arc::new(MemoryResumeLog::default());
    let run = || w.run_backup(&plan, &w.cx().with_resume(resume.clone()));
    run().unwrap_err();
    app.put(&table, b"later", b"1").unwrap();
    let backup = run().unwrap();
    assert_eq!((backup.objects, backup.totals.rows), (2 + 3 + 1, 4 + 150));
    let other = other();
    let at = backup.commit.last_tso();
    w.restore_to(&w.request_to(&other, at), &other).unwrap();
    assert_eq!(other.sums(), w.sums_at(at));
}

/// What was stored can be gone when the manifest is about to list it.
#[test]
fn no_manifest_lists_what_is_not_there() {
    let memory = Memory::new();
    let faults = Faults::new(Arc::new(memory.clone()));
    let w = World::on(Arc::new(faults.clone()));
    w.app().create_table(&t("shop", "a"), "{}").unwrap();
    w.app().put(&t("shop", "a"), b"k", b"v").unwrap();
    let resume = Arc::new(MemoryResumeLog::default());
    let mut plan = w.plan_backup(BackupType::Auto);
    plan.concurrency = 1;
    faults.clear();
    faults.add(FaultRule {
        call: Some(Call::Finish),
        nth: 2,
        times: 1,
        fault: Fault::Fail(ErrorKind::Other),
    });
    w.run_backup(&plan, &w.cx().with_resume(resume.clone())).unwrap_err();
    let stored = w.listing().into_keys().find(|n| n.contains("/data-")).unwrap();
    memory.delete(&ObjectName::new(stored.clone()).unwrap()).unwrap();
    let e = w.run_backup(&plan, &w.cx().with_resume(resume.clone())).unwrap_err();
    assert!(chain(&e).contains(&stored), "{}", chain(&e));
    assert!(w.view().backups.is_empty());
    w.run_backup(&plan, &w.cx().with_resume(resume)).unwrap();
    assert_eq!(w.view().backups.len(), 1);
}
