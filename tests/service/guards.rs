//! What is dangerous needs the typed name at the desk itself, whatever the front end asked for.

use std::sync::mpsc::channel;

use brine::cluster::ClosedAs;
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::jobs::runner::JobSpec;
use brine::model::clock::{Clock, SystemClock};
use brine::model::job::{JobState, Verb};
use brine::model::position::Moment;
use brine::model::settings::{BackupSettings, RetentionDays};
use brine::model::table::TableName;
use brine::service::desk::{Answer, BackupRequest, DataQuestion, LogAct, Question};

use crate::env::{World, name, wait_until};

#[test]
fn a_protected_cluster_wants_its_name_for_whatever_loses_something() {
    let w = World::new("protected = true", "").backed_up();
    let cluster = || name("demo");
    let set = |confirm_name: Option<&str>| Question::SetSettings {
        cluster: cluster(),
        settings: BackupSettings {
            retention_days: RetentionDays::new(30).unwrap(),
            ..BackupSettings::default()
        },
        confirm_name: confirm_name.map(str::to_owned),
    };
    let purge = |confirm_name: Option<&str>| Question::Truncate {
        cluster: cluster(),
        until: Moment::of_millis(SystemClock.now()),
        drop_pitr: false,
        confirm_name: confirm_name.map(str::to_owned),
    };
    let stop = |confirm_name: Option<&str>| Question::Log {
        cluster: cluster(),
        act: LogAct::Stop,
        confirm_name: confirm_name.map(str::to_owned),
    };
    let retention = |confirm_name: Option<&str>| Question::RunRetention {
        cluster: cluster(),
        confirm_name: confirm_name.map(str::to_owned),
    };
    let drop = |confirm_name: Option<&str>| Question::Data {
        cluster: cluster(),
        question: DataQuestion::Drop {
            table: TableName::new("shop", "orders"),
            confirm_name: confirm_name.map(str::to_owned),
        },
    };
    let asked = [
        [set(None), set(Some("other"))],
        [purge(None), purge(Some("Demo"))],
        [stop(None), stop(Some("prod"))],
        [retention(None), retention(Some(""))],
        [drop(None), drop(Some("orders"))],
    ];
    for question in asked.into_iter().flatten() {
        w.refused(question, &["typed name", "demo", "--confirm-name demo"]);
    }
    let days = || w.host.desk.settings(&cluster()).unwrap().retention_days.get();
    assert_ne!(days(), 30);
    w.ok(set(Some("demo")));
    assert_eq!(days(), 30);
    for question in [purge(Some("demo")), retention(Some("demo"))] {
        let Answer::Job(id) = w.ok(question) else { panic!() };
        w.done(id);
    }
    w.ok(Question::Log {
        cluster: cluster(),
        act: LogAct::Start,
        confirm_name: None,
    });
    w.ok(stop(Some("demo")));
}

#[test]
fn cancelling_a_restore_that_overwrites_is_a_typed_act_once_it_runs() {
    let w = World::new("", "").backed_up();
    let planned = |target| {
        let id = w
            .host
            .wards()
            .get(&name("demo"))
            .unwrap()
            .view()
            .unwrap()
            .unwrap()
            .bases()[0]
            .id
            .clone();
        let request = RestoreRequest::new(name("demo"), RestorePoint::Snapshot { id }, target);
        let Answer::Restore(plan) = w.ok(Question::PlanRestore { request }) else {
            panic!()
        };
        serde_json::json!({ "work": "restore", "plan": plan, "undo": false })
    };
    let (give, take) = channel::<()>();
    let take = std::sync::Arc::new(std::sync::Mutex::new(take));
    let submit = |plan| {
        let take = std::sync::Arc::clone(&take);
        let spec = JobSpec {
            verb: Verb::Restore,
            cluster: name("demo"),
            title: "a restore".to_owned(),
            command: None,
            plan,
            asked_by: "tester".to_owned(),
            exclusive: None,
            resumable: true,
            slot: None,
        };
        let work = Box::new(move |cx: &dyn brine::engine::cx::JobCx| {
            while cx.check().is_ok() && take.lock().unwrap().try_recv().is_err() {
                std::thread::yield_now();
            }
            cx.check()
                .map_err(|e| brine::jobs::error::JobError::of(brine::jobs::error::ErrorKind::Cancelled, &e))?;
            Ok(serde_json::Value::Null)
        });
        let id = w.host.runner().submit(spec, work).unwrap();
        wait_until("it runs", || {
            w.host.runner().get(id).unwrap().state == JobState::Running
        });
        id
    };
    let cancel = |id, confirm_name: Option<&str>| Question::CancelJob {
        id,
        confirm_name: confirm_name.map(str::to_owned),
    };
    let over = submit(planned(RestoreTarget::InPlace));
    for typed in [None, Some("other")] {
        w.refused(cancel(over, typed), &["typed name", "--confirm-name demo"]);
    }
    assert_eq!(w.host.runner().get(over).unwrap().state, JobState::Running);
    w.ok(cancel(over, Some("demo")));
    let beside = submit(planned(RestoreTarget::Beside));
    w.ok(cancel(beside, None));
    drop(give);
}

#[test]
fn no_backup_of_a_cluster_that_a_restore_left_closed() {
    let w = World::new("", "").backed_up();
    let cluster = w.host.wards().get(&name("demo")).unwrap().cluster().unwrap();
    cluster.close(ClosedAs::Restoring).unwrap();
    let take = || Question::TakeBackup {
        cluster: name("demo"),
        request: BackupRequest::default(),
    };
    w.refused(take(), &["demo", "restore", "brine cluster open demo"]);
    w.ok(Question::Open { cluster: name("demo") });
    let Answer::Job(id) = w.ok(take()) else { panic!() };
    w.done(id);
}
