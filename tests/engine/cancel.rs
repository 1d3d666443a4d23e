//! A cancel at any place: it ends as cancelled, nothing half-done is left, and the next run works.

use brine::cluster::{ClosedAs, Cluster};
use brine::engine::error::ErrorKind;
use brine::engine::point::{RestorePoint, RestoreTarget};
use brine::model::position::Moment;

use crate::env::chain;
use crate::verbs::{Template, Verb};

#[test]
fn a_cancel_anywhere_leaves_nothing_half_done() {
    let template = Template::new();
    for verb in Verb::ALL {
        let w = template.world();
        let mut before = w.listing();
        let mut n = 0;
        loop {
            let what = format!("{verb:?} cancelled after {n} checks");
            let cx = w.cx();
            cx.cancel_after(n);
            let Err(e) = template.run(verb, &w, &cx) else { break };
            assert_eq!(e.kind(), ErrorKind::Cancelled, "{what}: {}", chain(&e));
            assert_eq!(w.sums(), template.live, "{what}");
            assert!(w.c().session("app").is_ok(), "{what}");
            assert!(w.view().incomplete.is_empty(), "{what}");
            // Before they build anything these bring the log up to date, or take a safety snapshot.
            if matches!(
                verb,
                Verb::Backup | Verb::Other | Verb::Beside | Verb::VerifyChecksums | Verb::VerifyTested
            ) {
                assert_eq!(w.listing(), before, "{what}");
            }
            before = w.listing();
            n += 1;
            assert!(n < 2_000, "{what}: no end");
        }
        println!("{verb:?}: {n} checks");
        assert!(
            n > 0 || verb == Verb::Delete,
            "{verb:?} never looks whether it is cancelled"
        );
        template.check_done(verb, &w, &format!("{verb:?} not cancelled"));
        template.check_sound(&w, &format!("{verb:?} after cancels"));
    }
}

#[test]
fn a_cluster_that_was_closed_by_hand_is_closed_again() {
    let template = Template::new();
    let w = template.world();
    w.c().close(ClosedAs::Closed("for the night".to_owned())).unwrap();
    let cx = w.cx();
    cx.cancel_after(12);
    let e = template.run(Verb::InPlace, &w, &cx).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Cancelled);
    let e = w.c().session("app").err().unwrap();
    assert!(e.to_string().contains("for the night"), "{e}");
    template.run(Verb::InPlace, &w, &w.cx()).unwrap();
    assert_eq!(w.sums(), template.want);
    assert!(w.c().session("app").is_ok());
}

#[test]
fn after_a_restore_it_stays_closed_when_asked_to() {
    let template = Template::new();
    let w = template.world();
    let point = RestorePoint::At {
        moment: Moment::of_tso(template.job.at),
    };
    let mut request = w.request(point, RestoreTarget::InPlace);
    request.stay_closed = true;
    let receipt = w.restore(&request).unwrap();
    assert!(
        receipt.next_steps.iter().any(|s| s.contains("brine cluster open demo")),
        "{receipt:?}"
    );
    assert!(w.c().session("app").is_err());
    assert_eq!(w.sums(), template.want);
    w.undo().unwrap();
    assert_eq!(w.sums(), template.live);
    assert!(w.c().session("app").is_ok());
}
