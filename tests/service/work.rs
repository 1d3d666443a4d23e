//! What jobs say of themselves while they work.

use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::jobs::journal::JobQuery;
use brine::service::desk::{Answer, Question};

use crate::env::{World, name};

#[test]
fn housekeeping_that_does_nothing_is_not_the_last_word_of_a_backup() {
    let w = World::new("", "").backed_up();
    let steps = |n: usize| {
        let query = JobQuery {
            cluster: Some(name("demo")),
            verb: None,
            limit: Some(20),
        };
        let jobs = w.host.runner().list(&query).unwrap();
        let steps = jobs[n].steps.iter().map(|s| s.name.clone());
        steps.collect::<Vec<_>>()
    };
    let of_backup = steps(0);
    assert!(
        of_backup
            .last()
            .is_some_and(|s| !s.contains("trash") && !s.contains("Delete")),
        "{of_backup:?}"
    );
    let Answer::Job(id) = w.ok(Question::RunRetention {
        cluster: name("demo"),
        confirm_name: None,
    }) else {
        panic!()
    };
    w.done(id);
    assert_eq!(steps(0), [""; 0], "nothing was due");
}

#[test]
fn a_plan_says_how_long_it_takes_from_restores_that_were_run_here() {
    let w = World::new("", "").backed_up();
    let request = || {
        let (source, point) = (name("demo"), RestorePoint::Latest);
        let mut request = RestoreRequest::new(source, point, RestoreTarget::InPlace);
        request.replace = true;
        request
    };
    let plan = |w: &World| match w.ok(Question::PlanRestore { request: request() }) {
        Answer::Restore(plan) => plan,
        other => panic!("{other:?}"),
    };
    let first = plan(&w);
    assert_eq!(first.measured, 0);
    assert!(
        first.duration_words().contains("none like it"),
        "{}",
        first.duration_words()
    );
    let confirm_name = Some("demo".to_owned());
    let Answer::Job(id) = w.ok(Question::Restore {
        plan: first,
        confirm_name,
    }) else {
        panic!()
    };
    w.done(id);
    let job = w.host.runner().get(id).unwrap();
    let took = job.receipt.unwrap()["took_ms"].as_i64().unwrap();
    let second = plan(&w);
    assert_eq!(second.measured, 1);
    let (from, to) = second.duration_ms;
    assert!(from <= took && took <= to, "{from} {took} {to}");
    assert!(second.duration_words().ends_with("from 1 restore of this cluster"));
}
