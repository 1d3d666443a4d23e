//! Another database in the place of the one that an archive was made for.

use std::fs;

use brine::service::desk::{Adoption, Answer, BackupRequest, Finding, LogAct, Question, Severity};

use crate::env::{World, name};

fn take() -> Question {
    Question::TakeBackup {
        cluster: name("demo"),
        request: BackupRequest::default(),
    }
}

fn check(w: &World) -> Vec<Finding> {
    match w.ok(Question::CheckCluster { cluster: name("demo") }) {
        Answer::Findings(findings) => findings,
        other => panic!("{other:?}"),
    }
}

fn adopt(w: &World) -> Adoption {
    let question = |typed: Option<&str>| Question::Adopt {
        cluster: name("demo"),
        confirm_name: typed.map(str::to_owned),
    };
    w.refused(question(None), &["typed name", "--confirm-name demo"]);
    match w.ok(question(Some("demo"))) {
        Answer::Adopted(adoption) => adoption,
        other => panic!("{other:?}"),
    }
}

/// The directory of the database is lost, and an empty one is in its place.
fn replaced() -> World {
    let w = World::new("", "").backed_up();
    w.ok(Question::Log {
        cluster: name("demo"),
        act: LogAct::Start,
        confirm_name: None,
    });
    w.put("b");
    w.ok(Question::Log {
        cluster: name("demo"),
        act: LogAct::Flush,
        confirm_name: None,
    });
    w.host.wards().get(&name("demo")).unwrap().shut();
    let path = w.dir.path().join("demo");
    fs::remove_dir_all(&path).unwrap();
    fs::create_dir(&path).unwrap();
    w
}

#[test]
fn another_database_writes_nothing_until_it_is_adopted_and_begins_a_history_of_its_own() {
    let w = replaced();
    w.refused(take(), &["belongs to another database", "brine cluster adopt demo"]);
    let found = check(&w);
    let missing: Vec<&Finding> = found.iter().filter(|f| f.severity == Severity::Missing).collect();
    assert_eq!(missing.len(), 1, "{found:?}");
    assert_eq!(
        (missing[0].name.as_str(), missing[0].mend.as_deref()),
        ("identity", Some("brine cluster adopt demo"))
    );
    let view = || w.host.wards().get(&name("demo")).unwrap().view().unwrap().unwrap();
    let before = view().window();

    let adopted = adopt(&w);
    assert!(!adopted.continued && adopted.before != adopted.identity, "{adopted:?}");
    assert_eq!(adopted.incarnation.map(|i| i.0), Some(2));
    assert!(check(&w).iter().all(|f| f.severity == Severity::Ok));
    assert_eq!(
        view().window().spans[0].from,
        before.spans[0].from,
        "what was can still be restored"
    );
    w.put("c");
    let Answer::Job(id) = w.ok(take()) else { panic!() };
    w.done(id);
    w.ok(Question::Log {
        cluster: name("demo"),
        act: LogAct::Flush,
        confirm_name: None,
    });
    let view = view();
    assert_eq!(view.live().0, 2);
    assert_eq!(view.backups.last().unwrap().incarnation.0, 2);
    assert_eq!(view.window().spans.len(), 2, "{:#?}", view.window());

    // Nothing is left to adopt: the same database, whose log goes on.
    let again = adopt(&w);
    assert!(
        again.continued && again.incarnation.is_none() && again.before == again.identity,
        "{again:?}"
    );
}

#[test]
fn a_database_that_is_its_own_has_nothing_missing() {
    let w = World::new("", "");
    w.put("a");
    assert!(check(&w).iter().all(|f| f.severity == Severity::Ok), "{:?}", check(&w));
}
