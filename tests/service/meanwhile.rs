//! Several who ask for the same at the same time, and what fails behind something that went well.

use std::sync::Barrier;

use brine::archive::state::LogDoc;
use brine::model::job::LineLevel;
use brine::model::log::LogDesired;
use brine::model::settings::{BackupSettings, RetentionDays};
use brine::service::desk::{Answer, BackupRequest, LogAct, Question, RefusalKind};

use crate::env::{World, name};

fn log(act: LogAct) -> Question {
    Question::Log {
        cluster: name("demo"),
        act,
        confirm_name: None,
    }
}

fn log_doc(w: &World) -> LogDoc {
    let ward = w.host.wards().get(&name("demo")).unwrap();
    let archive = ward.archive_if_any().unwrap().unwrap();
    archive.state::<LogDoc>().unwrap().value
}

/// Each transaction of the log once, and in one stretch.
fn check_log(w: &World, rows: usize) {
    let Answer::Changes(list) = w.ok(Question::Changes {
        cluster: name("demo"),
        from: None,
        to: None,
        table: None,
        all: true,
        limit: 10_000,
    }) else {
        panic!()
    };
    let ids: std::collections::BTreeSet<String> = list.iter().map(|c| format!("{c:?}")).collect();
    assert_eq!(ids.len(), list.len(), "none twice");
    assert!(list.len() >= rows, "{} of {rows}", list.len());
    let doc = log_doc(w);
    assert_eq!(doc.runs.len(), 1, "{doc:?}");
}

/// Without a runner everybody who wants a flush archives in his own call: one after the other.
#[test]
fn two_who_catch_up_at_the_same_time_write_one_log() {
    let w = World::new("", "").backed_up();
    w.ok(log(LogAct::Start));
    for round in 0..6 {
        for n in 0..20 {
            w.put(&format!("{round}-{n}"));
        }
        let together = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    w.ok(log(LogAct::Flush));
                });
            }
        });
    }
    check_log(&w, 120);
}

#[test]
fn a_flush_while_the_log_is_paused_and_resumed_ends_and_says_how() {
    let dir = tempfile::tempdir().unwrap();
    let w = World::open(dir, "", "", true).backed_up();
    w.ok(log(LogAct::Start));
    w.ok(log(LogAct::Flush));
    let rounds = 12;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds {
                w.ok(log(LogAct::Pause));
                w.ok(log(LogAct::Resume));
            }
        });
        for who in 0..2 {
            let w = &w;
            scope.spawn(move || {
                for n in 0..rounds {
                    w.put(&format!("{who}-{n}"));
                    if let Err(e) = w.ask(log(LogAct::Flush)) {
                        assert_eq!(e.kind, RefusalKind::Refused, "{e}");
                        assert!(e.to_string().contains("does not run"), "{e}");
                    }
                }
            });
        }
    });
    w.ok(log(LogAct::Flush));
    assert_eq!(log_doc(&w).desired, Some(LogDesired::Running));
    check_log(&w, 24);
}

#[test]
fn settings_saved_twice_at_once_are_those_of_one_of_both() {
    let w = World::new("", "").backed_up();
    let settings = |days: u32, pitr: bool| BackupSettings {
        retention_days: RetentionDays::new(days).unwrap(),
        schedule: pitr,
        pitr,
        ..BackupSettings::default()
    };
    let both = [settings(9, true), settings(30, false)];
    for _ in 0..8 {
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            for settings in &both {
                let (w, together) = (&w, &together);
                scope.spawn(move || {
                    together.wait();
                    w.ok(Question::SetSettings {
                        cluster: name("demo"),
                        settings: settings.clone(),
                        confirm_name: None,
                    });
                });
            }
        });
        let view = w.host.wards().get(&name("demo")).unwrap().view().unwrap().unwrap();
        let running = matches!(view.log.desired, Some(LogDesired::Running));
        assert_eq!(
            view.settings.pitr, running,
            "the log backup is as the settings say: {:?}",
            view.settings
        );
        let one = both
            .iter()
            .find(|s| s.retention_days == view.settings.retention_days)
            .unwrap();
        let as_one = (one.schedule, one.pitr);
        assert_eq!(
            (view.settings.schedule, view.settings.pitr),
            as_one,
            "not a mix: {:?}",
            view.settings
        );
    }
}

/// What is old cannot be cleared away: the new backup is good all the same, and its job says what is left to do.
#[test]
fn a_backup_is_good_when_the_retention_after_it_fails() {
    let w = World::new("", "").backed_up();
    let take = || {
        let request = BackupRequest::default();
        let Answer::Job(id) = w.ok(Question::TakeBackup {
            cluster: name("demo"),
            request,
        }) else {
            panic!()
        };
        w.done(id);
        w.host.runner().lines(id, 0).unwrap()
    };
    // Who may not be deleted cannot be read any more: so nothing is.
    let protect = w.dir.path().join("backups/backup-demo/state/protect");
    std::fs::write(&protect, b"damaged").unwrap();
    let lines = take();
    let warning = lines.iter().find(|l| l.level == LineLevel::Warning).unwrap();
    assert!(
        warning
            .text
            .contains("the backup is complete; retention after it failed")
            && warning.text.contains("state/protect"),
        "{lines:?}"
    );
    std::fs::remove_file(&protect).unwrap();
    let ward = w.host.wards().get(&name("demo")).unwrap();
    assert_eq!(ward.view().unwrap().unwrap().backups.len(), 2);
    assert!(
        take().iter().all(|l| l.level == LineLevel::Info),
        "and it is made up for"
    );
}
