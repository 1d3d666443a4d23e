//! What jobs say of themselves while they work.

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
