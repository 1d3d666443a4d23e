//! Finding the accident in the log, and restoring to just before it.

use brine::cluster::{ClusterKind, codec};
use brine::engine::changes::{self, Wanted};
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::model::filter::TableFilter;
use brine::model::log::{Change, ChangeKind};
use brine::model::position::Moment;

use crate::env::{World, t};
use crate::moments::other;

fn list(w: &World, wanted: Wanted) -> Vec<Change> {
    changes::list(&w.archive, &w.view(), codec(ClusterKind::Embedded), &wanted).unwrap()
}

#[test]
fn an_accident_is_listed_and_undone_by_its_id() {
    let mut w = World::new();
    let (a, b, app) = (t("shop", "a"), t("shop", "b"), w.app());
    w.log_options.flush_bytes = 20_000;
    app.create_table(&a, "{}").unwrap();
    app.create_table(&b, "{}").unwrap();
    let rows = |from: u32| (from..from + 1_200).map(|n| (n.to_be_bytes().to_vec(), vec![7; 30]));
    app.load(&a, &mut rows(0)).unwrap();
    w.backup();
    w.start_log();
    app.put(&b, b"k", b"small").unwrap();
    // One transaction over two tables, both of them worth a look.
    let mut tx = app.begin().unwrap();
    for (key, _) in rows(0).take(1_100) {
        tx.delete(&a, &key).unwrap();
    }
    for (key, value) in rows(5_000) {
        tx.put(&b, &key, &value).unwrap();
    }
    let mass = tx.commit().unwrap();
    app.put(&b, b"k", b"other").unwrap();
    let dropped = app.drop_table(&a).unwrap();
    app.put(&b, b"k", b"last").unwrap();
    w.catch_up();

    let wanted = Wanted {
        limit: 100,
        ..Wanted::default()
    };
    let found = list(&w, wanted.clone());
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(matches!(&found[0].kind, ChangeKind::Ddl { text } if text.contains("DROP TABLE")));
    assert_eq!((found[0].rows, found[0].table.as_ref()), (100, Some(&a)));
    assert_eq!((&found[1].kind, found[1].rows), (&ChangeKind::MassDelete, 1_100));
    let all = list(
        &w,
        Wanted {
            all: true,
            ..wanted.clone()
        },
    );
    assert_eq!(all.len(), 6, "{all:#?}");
    let of_b = list(
        &w,
        Wanted {
            all: true,
            table: Some(b),
            ..wanted.clone()
        },
    );
    assert_eq!(of_b.len(), 4);
    let later = Moment::of_tso(mass.next());
    assert_eq!(
        list(
            &w,
            Wanted {
                from: Some(later),
                ..wanted
            }
        )
        .len(),
        1
    );

    let other = other();
    for (change, at) in [(&found[0], dropped), (&found[1], mass)] {
        let before = RestorePoint::Before {
            change: change.id.clone(),
        };
        let through = RestorePoint::Through {
            change: change.id.clone(),
        };
        for (point, ts) in [(before, at.prev()), (through, at)] {
            let mut request = w.request_to(&other, at);
            request.point = point;
            let plan = w.plan_to(&request, &other).unwrap();
            let (last_in, first_out) = (plan.last_in.clone().unwrap(), plan.first_out.clone().unwrap());
            assert!(last_in.at.last_tso() <= ts && first_out.at.last_tso() > ts);
            w.run_to(&plan, &other, false, &w.cx()).unwrap();
            assert_eq!(other.sums(), w.sums_at(ts), "{:?}", request.point);
        }
    }
}

#[test]
fn the_drop_that_is_undone_in_place_counts_among_what_is_lost() {
    let w = World::new();
    let (a, b, app) = (t("shop", "a"), t("shop", "b"), w.app());
    app.create_table(&a, "{}").unwrap();
    app.create_table(&b, "{}").unwrap();
    app.put(&a, b"k", b"1").unwrap();
    w.backup();
    w.start_log();
    app.put(&b, b"k", b"1").unwrap();
    let dropped = app.drop_table(&a).unwrap();
    for value in [b"2", b"3"] {
        app.put(&b, b"k", value).unwrap();
    }
    w.catch_up();
    let point = RestorePoint::Before {
        change: dropped.to_string(),
    };
    let mut request = w.request(point, RestoreTarget::InPlace);
    let lost = |w: &World, request: &RestoreRequest| w.plan(request).unwrap().losses.unwrap();
    assert_eq!(lost(&w, &request).transactions, Some(3), "the drop and two rows");
    request.filter = TableFilter::parse(&["shop.a"]).unwrap();
    assert_eq!(lost(&w, &request).transactions, Some(1), "the drop alone");
    request.filter = TableFilter::parse(&["shop.b"]).unwrap();
    assert_eq!(lost(&w, &request).transactions, Some(2), "the rows alone");
}
