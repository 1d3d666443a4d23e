//! The demo's story: real history with a gap and an accident, and the two minutes that follow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use brine::demo::{DemoOptions, Stage};
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::model::ids::{ClusterName, JobId};
use brine::model::job::{Job, JobState};
use brine::model::log::ChangeKind;
use brine::service::desk::{Accident, Answer, DataQuestion, Desk, HealthLevel, Question};
use brine::service::local::Role;

fn stage() -> Stage {
    let role = Role {
        word: "console",
        demo: true,
        read_only: false,
        asked_by: "tester".to_owned(),
    };
    Stage::open(
        &DemoOptions {
            rate: 50,
            ..DemoOptions::default()
        },
        role,
    )
    .unwrap()
}

fn demo() -> ClusterName {
    ClusterName::new("demo").unwrap()
}

fn finish(desk: &dyn Desk, id: JobId) -> Job {
    loop {
        let Answer::JobState(job) = desk.ask(Question::WaitJob { id, timeout_ms: 20_000 }).unwrap() else {
            panic!()
        };
        if job.state.is_over() {
            return *job;
        }
    }
}

fn ok(desk: &dyn Desk, id: JobId) -> Job {
    let job = finish(desk, id);
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    job
}

#[test]
fn the_past_has_snapshots_log_a_gap_and_an_accident() {
    let stage = stage();
    let desk = &*stage.host.desk;
    let Answer::Cluster(page) = desk.ask(Question::Cluster { cluster: demo() }).unwrap() else {
        panic!()
    };
    assert!(page.card.backups >= 6, "{}", page.card.backups);
    assert_eq!(page.card.window.gaps().len(), 1, "{:?}", page.card.window);
    assert!(page.card.health.level < HealthLevel::Bad, "{:?}", page.card.health);
    let ask = Question::Changes {
        cluster: demo(),
        from: None,
        to: None,
        table: None,
        all: false,
        limit: 50,
    };
    let Answer::Changes(changes) = desk.ask(ask).unwrap() else {
        panic!()
    };
    let dropped = changes
        .iter()
        .find(|c| matches!(&c.kind, ChangeKind::Ddl { text } if text.contains("DROP")));
    assert_eq!(dropped.unwrap().table.as_ref().unwrap().to_string(), "shop.coupons");
}

/// Drop the orders, restore to just before, see them again, undo.
#[test]
fn the_two_minute_story_works_as_told() {
    let stage = stage();
    let desk = &*stage.host.desk;
    let Answer::Committed(dropped) = desk
        .ask(Question::Accident {
            cluster: demo(),
            kind: Accident::DropTable,
        })
        .unwrap()
    else {
        panic!()
    };
    let before = brine::model::position::Moment::of_tso(dropped.prev());
    let sum = |at| {
        let question = DataQuestion::Checksum { at };
        let Answer::Checksums(c) = desk
            .ask(Question::Data {
                cluster: demo(),
                question,
            })
            .unwrap()
        else {
            panic!()
        };
        c.tables
    };
    let expected = sum(Some(before));
    assert!(expected.iter().any(|t| t.table.to_string() == "shop.orders"));
    desk.ask(Question::Log {
        cluster: demo(),
        act: brine::service::desk::LogAct::Flush,
        confirm_name: None,
    })
    .unwrap();
    let request = RestoreRequest::new(
        demo(),
        RestorePoint::Before {
            change: dropped.to_string(),
        },
        RestoreTarget::InPlace,
    );
    let Answer::Restore(plan) = desk.ask(Question::PlanRestore { request }).unwrap() else {
        panic!()
    };
    assert_eq!(plan.first_out.as_ref().unwrap().id, dropped.to_string());
    assert!(plan.needs_typed_name());
    let refused = desk.ask(Question::Restore {
        plan: plan.clone(),
        confirm_name: Some("prod".to_owned()),
    });
    assert!(refused.is_err());
    let Answer::Job(id) = desk
        .ask(Question::Restore {
            plan,
            confirm_name: Some("demo".to_owned()),
        })
        .unwrap()
    else {
        panic!()
    };
    let job = ok(desk, id);
    println!("{:#?}", job.receipt);
    let Answer::Cluster(page) = desk.ask(Question::Cluster { cluster: demo() }).unwrap() else {
        panic!()
    };
    assert_eq!(page.incarnations.len(), 1);
    assert!(page.undo.is_some());
    // What was restored is what was there just before; the live shop has gone on since.
    let began = page.incarnations[0].began;
    assert_eq!(sum(Some(began)), expected);
    let Answer::Restore(plan) = desk.ask(Question::PlanUndo { cluster: demo() }).unwrap() else {
        panic!()
    };
    let Answer::Job(id) = desk
        .ask(Question::Undo {
            plan,
            confirm_name: Some("demo".to_owned()),
        })
        .unwrap()
    else {
        panic!()
    };
    ok(desk, id);
    let Answer::Tables(tables) = desk
        .ask(Question::Data {
            cluster: demo(),
            question: DataQuestion::Tables,
        })
        .unwrap()
    else {
        panic!()
    };
    assert!(
        tables.iter().all(|t| t.name.to_string() != "shop.orders"),
        "the undo brings the accident back"
    );
}
